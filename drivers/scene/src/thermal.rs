//! The thermal camera: temperatures of the same patches, blurred by its small lens, with the faults of a
//! microbolometer (noise, fixed columns, dead pixels).

use crate::bodies::Scene;
use crate::chance::{Draw, normal};
use crate::raster::paint;
use crate::stage::Stage;
use crate::{THERMAL_SIZE, chance};

/// Paints `scene` in centikelvin. `frame_seed` is the seed of this frame's noise.
pub(crate) fn render(stage: &Stage, scene: &Scene, frame_seed: u64, out: &mut Vec<u16>) {
    let size = THERMAL_SIZE;
    let mut kelvin = vec![stage.ambient_kelvin; size.width * size.height];
    paint(&scene.patches, scene.view, size, |index, cover, _, patch| {
        if let Some(value) = patch.kelvin {
            kelvin[index] += (value - kelvin[index]) * cover * patch.alpha;
        }
    });
    blur(&mut kelvin, size.width, 1);
    blur(&mut kelvin, size.width, size.width);
    let columns = stage.seed ^ 0xC01;
    for (index, value) in kelvin.iter_mut().enumerate() {
        *value += stage.thermal_noise_kelvin * normal(frame_seed, index as u64);
        *value += 0.08 * chance::white(columns, (index % size.width) as u64);
    }
    let mut draw = Draw::new(stage.seed, 12);
    for _ in 0..draw.index(4) {
        let index = draw.index(kelvin.len());
        kelvin[index] = stage.ambient_kelvin + draw.range(-25.0, 25.0);
    }
    out.clear();
    out.extend(
        kelvin
            .iter()
            .map(|kelvin| (kelvin * 100.0 + 0.5).clamp(0.0, 65_535.0) as u16),
    );
}

/// The weights 1 2 1 along one direction.
fn blur(values: &mut [f32], width: usize, stride: usize) {
    let source = values.to_vec();
    let count = values.len();
    for index in 0..count {
        let (before, after) = if stride == 1 {
            (index % width > 0, index % width + 1 < width)
        } else {
            (index >= stride, index + stride < count)
        };
        let a = if before { source[index - stride] } else { source[index] };
        let b = if after { source[index + stride] } else { source[index] };
        values[index] = 0.25 * a + 0.5 * source[index] + 0.25 * b;
    }
}
