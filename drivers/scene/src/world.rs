//! The world: surroundings and a timeline, rendered for any moment.

use std::sync::Arc;

use crate::chance::mix;
use crate::stage::Stage;
use crate::{Happening, Size, Timeline, audio, bodies, camera, depth, imu, thermal};

/// Real recordings that may stand in for the synthesiser.
pub trait Recordings: Send + Sync {
    /// A recording of `happening`, mono, 16 kHz, in [-1, 1]; `pick` chooses among several, the same one for the same
    /// number. `None` = the synthesiser sounds. The clip repeats without a gap for as long as the happening lasts.
    fn clip(&self, happening: Happening, pick: u64) -> Option<&[f32]>;
}

/// Surroundings drawn from a seed, and what happens in them.
pub struct World {
    stage: Stage,
    timeline: Timeline,
    recordings: Option<Arc<dyn Recordings>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.stage.seed)
            .field("timeline", &self.timeline)
            .field("recordings", &self.recordings.is_some())
            .finish_non_exhaustive()
    }
}

impl World {
    /// Room or open land, light, warmth, camera height and the sensors' noise come from `seed`.
    pub fn new(seed: u64, timeline: Timeline) -> Self {
        Self {
            stage: Stage::new(seed),
            timeline,
            recordings: None,
        }
    }

    /// Sounds from real recordings where there is one.
    pub fn with_recordings(self, recordings: Arc<dyn Recordings>) -> Self {
        Self {
            recordings: Some(recordings),
            ..self
        }
    }

    /// What happens when.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The camera's picture `t_s` seconds after the start: RGB8, rows from the top, `width * height * 3` bytes.
    /// `out` is replaced. Sizes of the shape 4:3 show the whole scene.
    pub fn camera(&self, t_s: f64, size: Size, out: &mut Vec<u8>) {
        let scene = bodies::compose(&self.stage, &self.timeline, t_s);
        camera::render(&self.stage, &scene, self.frame_seed(t_s, 1), size, out);
    }

    /// The thermal picture at `t_s`: hundredths of a kelvin, rows from the top, 80 x 60. `out` is replaced.
    pub fn thermal(&self, t_s: f64, out: &mut Vec<u16>) {
        let scene = bodies::compose(&self.stage, &self.timeline, t_s);
        thermal::render(&self.stage, &scene, self.frame_seed(t_s, 2), out);
    }

    /// The depth picture at `t_s`: millimetres, 0 = no return, rows from the top, 80 x 60. `out` is replaced.
    pub fn depth(&self, t_s: f64, out: &mut Vec<u16>) {
        let scene = bodies::compose(&self.stage, &self.timeline, t_s);
        depth::render(&self.stage, &scene, self.frame_seed(t_s, 3), out);
    }

    /// Sound from sample `first_sample` on: mono, 16 kHz, in [-1, 1]. `out` is filled.
    pub fn audio(&self, first_sample: u64, out: &mut [f32]) {
        audio::render(
            &self.stage,
            &self.timeline,
            self.recordings.as_deref(),
            first_sample,
            out,
        );
    }

    /// Sample `sample` of the inertial unit at 200 Hz: acceleration x, y, z in m/s² (z up, +9.81 at rest), then turning
    /// about x, y, z in rad/s.
    pub fn imu(&self, sample: u64) -> [f32; 6] {
        imu::sample(&self.stage, &self.timeline, sample)
    }

    /// The seed of one frame's noise: another one in every microsecond.
    fn frame_seed(&self, t_s: f64, sense: u64) -> u64 {
        mix(self.stage.seed ^ (sense << 60), (t_s * 1e6).round() as i64 as u64)
    }
}
