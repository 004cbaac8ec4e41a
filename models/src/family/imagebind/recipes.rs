//! ImageBind's input recipes as far as they were published, and where the rest comes from.
//!
//! Numbers of image, video and sound are the released code's. For thermal, depth and IMU no loader was released:
//! each recipe says so in its `provenance`, which lands in `pack.toml`.

use super::config::{Config, ConfigError, Windowing};
use crate::manifest::{
    AudioRecipe, DepthRecipe, DepthRepresentation, Filter, ImageRecipe, ImuRecipe, TextRecipe, ThermalRecipe,
    VideoRecipe,
};

/// CLIP's picture statistics, red first.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// CLIP's picture statistics, red first.
#[expect(clippy::excessive_precision, reason = "the digits that were published")]
const STD: [f32; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
/// The paper's IMU clips (section 3): 2000 samples in five seconds.
const IMU_WINDOW_S: f64 = 5.0;

const DEPTH_PROVENANCE: &str = "No loader was published. Clamp 0.01-50 m and disparity = baseline x focal / depth: an author in \
    facebookresearch/omnivore issue 12 (baseline 0.075 m, Kinect). Clamp to 75, / 75, mean 0.0418, std 0.0295: Omnivore, the same group. \
    Focal length 525 px: the nominal value of a Kinect's 640-pixel picture, where a stream does not say its own.";
const THERMAL_PROVENANCE: &str = "No loader was published. Grey picture / 255 without mean and std: users in ImageBind issue 37 and pull request 73 \
    (62.4 % on LLVIP; paper 63.4 %). The kelvin range that maps to 0..1 is our choice.";
const IMU_PROVENANCE: &str = "No loader was published. Accelerometer then gyroscope, x y z, 2000 samples in 5 s (hence 400 Hz): paper, section 3 and \
    appendix B.1. Related code of the group (imu2clip) uses 200 Hz; ImageBind issues 66 and 114 leave it open. No normalisation is stated.";

impl Config {
    pub(super) fn image_recipe(&self) -> ImageRecipe {
        self.recipes.image.clone().unwrap_or(ImageRecipe {
            size: self.image_size as u32,
            filter: Filter::Bicubic,
            mean: MEAN,
            std: STD,
        })
    }

    pub(super) fn video_recipe(&self) -> VideoRecipe {
        self.recipes.video.clone().unwrap_or(VideoRecipe {
            size: self.image_size as u32,
            frames: self.video_frames as u32,
            filter: Filter::Bilinear,
            crops: 3,
            clips: 5,
            mean: MEAN,
            std: STD,
        })
    }

    pub(super) fn text_recipe(&self) -> TextRecipe {
        TextRecipe {
            tokenizer: "clip-bpe".into(),
            context: self.text_context,
            known_ids: self.text_known_ids.clone(),
        }
    }

    pub(super) fn audio_recipe(&self) -> AudioRecipe {
        self.recipes.audio.clone().unwrap_or(AudioRecipe {
            rate_hz: 16_000,
            mels: self.audio_num_mel_bins,
            frames: self.audio_target_len,
            frame_samples: 400,
            hop_samples: 160,
            fft: 512,
            min_hz: 20.0,
            max_hz: 8000.0,
            preemphasis: 0.97,
            floor: 1.192_092_9e-7,
            mean: -4.268,
            std: 9.138,
            clips: 3,
        })
    }

    pub(super) fn depth_recipe(&self) -> DepthRecipe {
        self.recipes.depth.clone().unwrap_or(DepthRecipe {
            size: self.depth_size as u32,
            min_m: 0.01,
            max_m: 50.0,
            representation: DepthRepresentation::Disparity {
                baseline_m: 0.075,
                focal_px: 525.0,
            },
            max_value: 75.0,
            divisor: 75.0,
            mean: 0.0418,
            std: 0.0295,
            provenance: DEPTH_PROVENANCE.into(),
        })
    }

    pub(super) fn thermal_recipe(&self) -> ThermalRecipe {
        self.recipes.thermal.clone().unwrap_or(ThermalRecipe {
            size: self.thermal_size as u32,
            min_k: 273.15,
            max_k: 323.15,
            mean: 0.0,
            std: 1.0,
            provenance: THERMAL_PROVENANCE.into(),
        })
    }

    pub(super) fn imu_recipe(&self) -> ImuRecipe {
        self.recipes.imu.clone().unwrap_or(ImuRecipe {
            rate_hz: (self.imu_samples as f64 / IMU_WINDOW_S) as f32,
            samples: self.imu_samples,
            mean: [0.0; 6],
            std: [1.0; 6],
            provenance: IMU_PROVENANCE.into(),
        })
    }

    /// A recipe of the configuration must give the shape the encoder was built for.
    pub(super) fn check_recipes(&self) -> Result<(), ConfigError> {
        let audio = self.audio_recipe();
        let video = self.video_recipe();
        for (what, recipe, model) in [
            ("recipes.image.size", self.image_recipe().size as usize, self.image_size),
            ("recipes.video.size", video.size as usize, self.image_size),
            ("recipes.video.frames", video.frames as usize, self.video_frames),
            ("recipes.audio.mels", audio.mels, self.audio_num_mel_bins),
            ("recipes.audio.frames", audio.frames, self.audio_target_len),
            ("recipes.depth.size", self.depth_recipe().size as usize, self.depth_size),
            (
                "recipes.thermal.size",
                self.thermal_recipe().size as usize,
                self.thermal_size,
            ),
            ("recipes.imu.samples", self.imu_recipe().samples, self.imu_samples),
        ] {
            if recipe != model {
                return Err(ConfigError::Inconsistent(format!(
                    "{what} is {recipe}, the encoder takes {model}"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn image_window(&self) -> Windowing {
        self.windows.image.unwrap_or(Windowing {
            window_s: 0.0,
            hop_s: 0.5,
        })
    }

    pub(super) fn video_window(&self) -> Windowing {
        self.windows.video.unwrap_or(Windowing {
            window_s: 2.0,
            hop_s: 1.0,
        })
    }

    pub(super) fn audio_window(&self) -> Windowing {
        self.windows.audio.unwrap_or(Windowing {
            window_s: 2.0,
            hop_s: 1.0,
        })
    }

    pub(super) fn depth_window(&self) -> Windowing {
        self.windows.depth.unwrap_or(Windowing {
            window_s: 0.0,
            hop_s: 0.5,
        })
    }

    pub(super) fn thermal_window(&self) -> Windowing {
        self.windows.thermal.unwrap_or(Windowing {
            window_s: 0.0,
            hop_s: 0.5,
        })
    }

    pub(super) fn imu_window(&self) -> Windowing {
        let recipe = self.imu_recipe();
        let window_s = recipe.samples as f64 / f64::from(recipe.rate_hz);
        self.windows.imu.unwrap_or(Windowing { window_s, hop_s: 1.0 })
    }
}
