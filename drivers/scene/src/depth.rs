//! The depth camera: distances of the same patches, with the faults of a stereo camera (noise that grows with the
//! square of the distance, holes at edges and at random, nothing beyond its range).

use crate::DEPTH_SIZE;
use crate::bodies::Scene;
use crate::chance::{normal, unit_at};
use crate::patch::Range;
use crate::raster::paint;
use crate::stage::Stage;

/// Nearest and furthest distance with a return, in metres.
const NEAREST_M: f32 = 0.1;
const FURTHEST_M: f32 = 20.0;

/// Paints `scene` in millimetres, 0 = no return. `frame_seed` is the seed of this frame's noise.
pub(crate) fn render(stage: &Stage, scene: &Scene, frame_seed: u64, out: &mut Vec<u16>) {
    let size = DEPTH_SIZE;
    let mut metres = vec![0.0f32; size.width * size.height];
    paint(&scene.patches, scene.view, size, |index, cover, point, patch| {
        let Some(range) = patch.range else { return };
        if cover * patch.alpha > 0.4 {
            metres[index] = match range {
                Range::Metres(metres) => metres,
                Range::Ground => scene.optics.ground_m(point[1]),
                Range::Nothing => 0.0,
            };
        }
    });
    out.clear();
    for (index, &here) in metres.iter().enumerate() {
        let beside = if (index + 1) % size.width == 0 {
            here
        } else {
            metres[index + 1]
        };
        let at_edge = (beside - here).abs() > 0.1 * here;
        let lost = stage.depth_dropout + if at_edge { 0.45 } else { 0.0 };
        let noisy = here
            + 0.004 * here * here * normal(frame_seed, index as u64).min(3.0)
            + 0.002 * normal(frame_seed ^ 1, index as u64);
        let seen = (NEAREST_M..FURTHEST_M).contains(&noisy) && unit_at(frame_seed ^ 2, index as u64) >= lost;
        out.push(if seen { (noisy * 1000.0 + 0.5) as u16 } else { 0 });
    }
}
