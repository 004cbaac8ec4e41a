//! `train.toml`: the model's sizes and recipes, the data, and how every stage is optimised.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sensebind_core::Sense;
use sensebind_models::family::imagebind::Config as Model;
use serde::{Deserialize, Serialize};

use crate::encoder::Architecture;
use crate::optimiser::Schedule;

/// The senses that are bound to images, in training order.
pub const BOUND: [Sense; 4] = [Sense::Audio, Sense::Thermal, Sense::Depth, Sense::Imu];

/// Everything that decides what a training run computes. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Initial weights, scenes, batches and augmentation all follow from it.
    pub seed: u64,
    /// Pairs that one thread works on at a time; results do not depend on the number of threads, but on this.
    pub share: usize,
    /// Steps between two measurements on held-out data.
    pub validate_every: usize,
    /// Steps between two saved states; a run that was stopped goes on from the last.
    pub save_every: usize,
    /// Sizes, recipes and introduction of the model, as the importer takes them; `text_known_ids` is filled in.
    pub model: Model,
    /// The simulated world.
    pub scenes: Scenes,
    /// Real recordings.
    pub recordings: Recordings,
    /// How inputs are varied.
    pub augment: Augment,
    /// How sounds are varied.
    pub sound: SoundAugment,
    /// Image with text, both trained.
    pub image_text: Schedule,
    /// Each sense against frozen image embeddings.
    pub audio: Schedule,
    /// As `audio`.
    pub thermal: Schedule,
    /// As `audio`.
    pub depth: Schedule,
    /// As `audio`.
    pub imu: Schedule,
}

/// How many moments of the simulated world are rendered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenes {
    /// Moments of each happening, and of nothing happening, to train on.
    pub train_each: usize,
    /// The same to validate on, from other seeds.
    pub validate_each: usize,
    /// Length of each scene; the moment lies at least one window after its start.
    pub scene_s: f64,
    /// Held-out phrases averaged into each happening's prompt in validation.
    pub phrases: usize,
}

/// How real recordings enter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recordings {
    /// How often a happening that has recordings sounds from one, and not from the synthesiser.
    pub probability: f32,
    /// Folds to train on.
    pub train_folds: Vec<u32>,
    /// Folds to validate on; never trained on.
    pub validate_folds: Vec<u32>,
    /// Playback rates each recording is prepared at (pitch and speed together), Hz per 16 000.
    pub rates_hz: Vec<u32>,
}

/// How pictures, inertial signals and phrases are varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Smallest part of the picture's sides a random crop keeps.
    pub image_crop: f32,
    /// Largest relative change of brightness, contrast and colour.
    pub image_colour: f32,
    /// Standard deviation of noise added to a normalised picture, depth or thermal picture or IMU channel.
    pub noise: f32,
    /// Largest part of a picture's area that is blanked.
    pub erase: f32,
    /// How often a word is replaced by the unknown word.
    pub word_dropout: f32,
}

/// How sounds are varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoundAugment {
    /// Largest change of level, dB, either way.
    pub gain_db: f32,
    /// Largest tilt from the lowest to the highest band, dB, either way.
    pub tilt_db: f32,
    /// How often surroundings are mixed in, and their level below the sound, dB.
    pub mix_probability: f32,
    /// Range of that level.
    pub mix_db: [f32; 2],
    /// Widest masked stretches: bands and frames (two of each; SpecAugment, Park et al. 2019).
    pub mask: [usize; 2],
}

impl TrainConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// An unreadable file, an unknown or missing key, values that do not fit together.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config: Self =
            toml::from_str(&text).with_context(|| format!("{} is no training configuration", path.display()))?;
        config.check().with_context(|| format!("{}", path.display()))?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        self.model.check()?;
        ensure!(
            self.share > 0 && self.validate_every > 0 && self.save_every > 0,
            "share, validate_every and save_every must be at least 1"
        );
        ensure!(
            self.scenes.train_each > 0 && self.scenes.validate_each > 0,
            "scenes: at least one moment of each is needed"
        );
        let folds = &self.recordings;
        ensure!(
            !folds.train_folds.iter().any(|fold| folds.validate_folds.contains(fold)),
            "recordings: a fold is in train_folds and in validate_folds; validation would measure memory"
        );
        for stage in [&self.image_text, &self.audio, &self.thermal, &self.depth, &self.imu] {
            ensure!(
                stage.temperature > 0.0 && stage.batch > 1,
                "every stage needs temperature > 0 and batch > 1"
            );
        }
        let recipes = &self.model.recipes;
        ensure!(
            recipes.image.is_some()
                && recipes.audio.is_some()
                && recipes.depth.is_some()
                && recipes.thermal.is_some()
                && recipes.imu.is_some(),
            "model.recipes: image, audio, depth, thermal and imu must be given"
        );
        Ok(())
    }

    /// The stage that trains a sense.
    pub fn stage(&self, sense: Sense) -> &Schedule {
        match sense {
            Sense::Image | Sense::Text => &self.image_text,
            Sense::Audio => &self.audio,
            Sense::Thermal => &self.thermal,
            Sense::Depth => &self.depth,
            Sense::Imu => &self.imu,
        }
    }

    /// The encoder of a sense.
    pub fn architecture(&self, sense: Sense) -> Architecture {
        let m = &self.model;
        let grid = |rows: usize, columns: usize, kernel: usize, stride: usize| {
            ((rows - kernel) / stride + 1) * ((columns - kernel) / stride + 1)
        };
        let (width, blocks, heads, tokens, stem) = match sense {
            Sense::Image => {
                let kernel = m.kernel_size[1];
                let tokens = grid(m.image_size, m.image_size, kernel, kernel);
                (
                    m.vision_embed_dim,
                    m.vision_num_blocks,
                    m.vision_num_heads,
                    tokens,
                    vec![3, kernel, kernel],
                )
            }
            Sense::Text => {
                let rows = m.text_known_ids.as_ref().map_or(0, |ids| ids.len() + 1);
                (
                    m.text_embed_dim,
                    m.text_num_blocks,
                    m.text_num_heads,
                    m.text_context,
                    vec![rows],
                )
            }
            Sense::Audio => {
                let kernel = m.audio_kernel_size;
                let tokens = grid(m.audio_num_mel_bins, m.audio_target_len, kernel, m.audio_stride);
                (
                    m.audio_embed_dim,
                    m.audio_num_blocks,
                    m.audio_num_heads,
                    tokens,
                    vec![1, kernel, kernel],
                )
            }
            Sense::Depth => {
                let kernel = m.depth_kernel_size;
                let tokens = grid(m.depth_size, m.depth_size, kernel, m.depth_stride.unwrap_or(kernel));
                (
                    m.depth_embed_dim,
                    m.depth_num_blocks,
                    m.depth_num_heads,
                    tokens,
                    vec![1, kernel, kernel],
                )
            }
            Sense::Thermal => {
                let kernel = m.thermal_kernel_size;
                let tokens = grid(
                    m.thermal_size,
                    m.thermal_size,
                    kernel,
                    m.thermal_stride.unwrap_or(kernel),
                );
                (
                    m.thermal_embed_dim,
                    m.thermal_num_blocks,
                    m.thermal_num_heads,
                    tokens,
                    vec![1, kernel, kernel],
                )
            }
            Sense::Imu => {
                let tokens = m.imu_samples / m.imu_kernel_size;
                let stem = vec![m.imu_channels * m.imu_kernel_size];
                (m.imu_embed_dim, m.imu_num_blocks, m.imu_num_heads, tokens, stem)
            }
        };
        Architecture {
            sense,
            width,
            blocks,
            heads,
            dim: m.out_embed_dim,
            tokens,
            stem,
        }
    }

    /// What a stage's result depends on, as text: the settings it reads, and those of the stage before it. `recordings`
    /// says whether there are any.
    ///
    /// # Errors
    /// A configuration that cannot be said in JSON.
    pub fn settings(&self, sense: Sense, recordings: bool) -> Result<String> {
        #[derive(Serialize)]
        struct Settings<'a> {
            config: TrainConfig,
            recordings: bool,
            stage: &'a str,
        }
        let mut config = self.clone();
        let unused = config.image_text;
        for other in BOUND.into_iter().filter(|&other| other != sense) {
            match other {
                Sense::Audio => config.audio = unused,
                Sense::Thermal => config.thermal = unused,
                Sense::Depth => config.depth = unused,
                _ => config.imu = unused,
            }
        }
        // How often is looked or saved changes nothing; nor does how the pack introduces itself.
        (config.validate_every, config.save_every) = (0, 0);
        config.model.pack = Default::default();
        if sense != Sense::Audio {
            config.recordings = Recordings {
                probability: 0.0,
                train_folds: Vec::new(),
                validate_folds: Vec::new(),
                rates_hz: Vec::new(),
            };
            config.sound = SoundAugment {
                gain_db: 0.0,
                tilt_db: 0.0,
                mix_probability: 0.0,
                mix_db: [0.0; 2],
                mask: [0; 2],
            };
        }
        let recordings = recordings && sense == Sense::Audio;
        Ok(serde_json::to_string_pretty(&Settings {
            config,
            recordings,
            stage: sense.name(),
        })?)
    }
}
