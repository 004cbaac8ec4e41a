//! The colour camera.

use crate::Size;
use crate::bodies::{Blur, Scene};
use crate::chance::normal;
use crate::patch::{Paint, Rgb};
use crate::raster::{extent, paint};
use crate::stage::Stage;

/// Paints `scene` as RGB8. `frame_seed` is the seed of this frame's noise.
pub(crate) fn render(stage: &Stage, scene: &Scene, frame_seed: u64, size: Size, out: &mut Vec<u8>) {
    let mut picture = vec![[0.0f32; 3]; size.width * size.height];
    let mut last = (core::ptr::null(), (0.0, 1.0));
    paint(&scene.patches, scene.view, size, |index, cover, point, patch| {
        let Some(colours) = patch.paint else { return };
        let light = if patch.glows { 1.0 } else { stage.light };
        let rgb = match colours {
            Paint::Flat(rgb) => rgb,
            Paint::Vertical(top, bottom) => {
                // The extent is the same for all pixels of a patch.
                if !core::ptr::eq(last.0, patch) {
                    last = (patch, extent(&patch.shape));
                }
                let (from, to) = last.1;
                let part = ((point[1] - from) / (to - from).max(1e-4)).clamp(0.0, 1.0);
                [0, 1, 2].map(|channel| top[channel] + (bottom[channel] - top[channel]) * part)
            }
            Paint::Tiles(even, odd, tile_m) => {
                let away_m = scene.optics.ground_m(point[1]).min(40.0);
                let x = (point[0] - 0.667) * away_m / scene.optics.focal;
                let square = (x / tile_m).floor() as i32 + (away_m / tile_m).floor() as i32;
                if square & 1 == 0 { even } else { odd }
            }
        };
        let part = cover * patch.alpha;
        let pixel = &mut picture[index];
        for channel in 0..3 {
            pixel[channel] += (rgb[channel] * light - pixel[channel]) * part;
        }
    });
    let picture = match scene.blur {
        Blur::None => picture,
        Blur::Ghosts(offsets) => ghosts(&picture, size, &offsets),
        Blur::Radial { centre, strength } => radial(&picture, size, centre, strength),
    };
    out.clear();
    out.reserve(picture.len() * 3);
    let (half_width, half_height) = (size.width as f32 / 2.0, size.height as f32 / 2.0);
    for (index, pixel) in picture.iter().enumerate() {
        let x = (index % size.width) as f32 / half_width - 1.0;
        let y = (index / size.width) as f32 / half_height - 1.0;
        let corner = 1.0 - 0.09 * (x * x + y * y);
        for (channel, value) in pixel.iter().enumerate() {
            let noise = stage.camera_noise * normal(frame_seed, (index * 3 + channel) as u64);
            let value = value * stage.cast[channel] * corner + noise;
            out.push((value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
        }
    }
}

fn clamped(picture: &[Rgb], size: Size, x: f32, y: f32) -> Rgb {
    let column = (x.max(0.0) as usize).min(size.width - 1);
    let row = (y.max(0.0) as usize).min(size.height - 1);
    picture[row * size.width + column]
}

fn ghosts(picture: &[Rgb], size: Size, offsets: &[[f32; 2]; 6]) -> Vec<Rgb> {
    let scale = size.height as f32;
    each_pixel(size, |x, y| {
        let mut sum = [0.0; 3];
        for offset in offsets {
            let rgb = clamped(picture, size, x + offset[0] * scale, y + offset[1] * scale);
            for channel in 0..3 {
                sum[channel] += rgb[channel] / 6.0;
            }
        }
        sum
    })
}

fn radial(picture: &[Rgb], size: Size, centre: [f32; 2], strength: f32) -> Vec<Rgb> {
    let (cx, cy) = (centre[0] * size.height as f32, centre[1] * size.height as f32);
    each_pixel(size, |x, y| {
        let mut sum = [0.0; 3];
        for step in 0..5 {
            let part = 1.0 - strength * step as f32 * 0.25;
            let rgb = clamped(picture, size, cx + (x - cx) * part, cy + (y - cy) * part);
            for channel in 0..3 {
                sum[channel] += rgb[channel] * 0.2;
            }
        }
        sum
    })
}

fn each_pixel(size: Size, value: impl Fn(f32, f32) -> Rgb) -> Vec<Rgb> {
    let mut out = Vec::with_capacity(size.width * size.height);
    for row in 0..size.height {
        for column in 0..size.width {
            out.push(value(column as f32 + 0.5, row as f32 + 0.5));
        }
    }
    out
}
