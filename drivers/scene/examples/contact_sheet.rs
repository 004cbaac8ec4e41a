//! Draws every happening as the camera, the thermal camera and the depth camera see it, one row each, several seeds
//! beside each other: `cargo run --release -p sensebind-scene --example contact_sheet -- sheet.png`.

use std::fs::File;
use std::io::BufWriter;

use sensebind_scene::{CAMERA_SIZE, Happening, THERMAL_SIZE, Timeline, World};

/// Happenings to a row, and seeds for each.
const PER_ROW: usize = 3;
const SEEDS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "contact_sheet.png".to_owned());
    let first_seed: u64 = std::env::args().nth(2).map_or(Ok(1), |seed| seed.parse())?;
    let mut cells: Vec<Option<Happening>> = Happening::ALL.iter().copied().map(Some).collect();
    cells.push(None);
    let (cell_width, cell_height) = (CAMERA_SIZE.width * SEEDS, CAMERA_SIZE.height + THERMAL_SIZE.height);
    let (columns, rows) = (PER_ROW, cells.len().div_ceil(PER_ROW));
    let (width, height) = (columns * cell_width, rows * cell_height);
    let mut sheet = vec![0u8; width * height * 3];
    for (cell, happening) in cells.into_iter().enumerate() {
        let (left, top) = (cell % columns * cell_width, cell / columns * cell_height);
        for seed in 0..SEEDS {
            let number = first_seed + (seed + 7 * cell) as u64;
            let world = World::new(number, Timeline::single(happening, 10.0, number));
            let t_s = 2.3 + 0.37 * seed as f64;
            let (mut rgb, mut heat, mut depth) = (Vec::new(), Vec::new(), Vec::new());
            world.camera(t_s, CAMERA_SIZE, &mut rgb);
            world.thermal(t_s, &mut heat);
            world.depth(t_s, &mut depth);
            let mut put = |x: usize, y: usize, pixel: [u8; 3]| {
                let at = ((top + y) * width + left + seed * CAMERA_SIZE.width + x) * 3;
                sheet[at..at + 3].copy_from_slice(&pixel);
            };
            for (index, pixel) in rgb.chunks_exact(3).enumerate() {
                put(
                    index % CAMERA_SIZE.width,
                    index / CAMERA_SIZE.width,
                    [pixel[0], pixel[1], pixel[2]],
                );
            }
            for (index, &centikelvin) in heat.iter().enumerate() {
                let warm = (f32::from(centikelvin) / 100.0 - 275.0) / 40.0;
                let level = |from: f32| ((warm - from) * 510.0).clamp(0.0, 255.0) as u8;
                let (x, y) = (index % THERMAL_SIZE.width, index / THERMAL_SIZE.width);
                put(x, CAMERA_SIZE.height + y, [level(0.3), level(0.6), level(0.0) / 2]);
            }
            for (index, &millimetres) in depth.iter().enumerate() {
                let near = if millimetres == 0 {
                    0
                } else {
                    (255.0 / (1.0 + f32::from(millimetres) / 1500.0)) as u8 + 20
                };
                let (x, y) = (index % THERMAL_SIZE.width, index / THERMAL_SIZE.width);
                put(THERMAL_SIZE.width + x, CAMERA_SIZE.height + y, [near; 3]);
            }
        }
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(&path)?), width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&sheet)?;
    Ok(())
}
