//! Sizes of one ImageBind-shaped model, and how its pack introduces itself.

use crate::manifest::{AudioRecipe, CommercialUse, DepthRecipe, ImageRecipe, ImuRecipe, ThermalRecipe, VideoRecipe};
use crate::pack::GraphKind;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Entries of CLIP's vocabulary.
pub(super) const CLIP_VOCABULARY: usize = 49_408;

/// The published model's constructor arguments under their own names, and, optional with ImageBind's values as
/// defaults, what our own smaller packs vary. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Frames of a video clip; the kernel covers all of them.
    pub video_frames: usize,
    /// Kernel and stride of the picture stem: frames, rows, columns.
    pub kernel_size: [usize; 3],
    /// Rows and columns of the sound stem's kernel.
    pub audio_kernel_size: usize,
    /// Step of the sound stem, rows and columns.
    pub audio_stride: usize,
    /// Numbers per embedding.
    pub out_embed_dim: usize,
    /// Numbers per picture token.
    pub vision_embed_dim: usize,
    /// Blocks of the picture trunk.
    pub vision_num_blocks: usize,
    /// Attention heads of the picture trunk.
    pub vision_num_heads: usize,
    /// Numbers per sound token.
    pub audio_embed_dim: usize,
    /// Blocks of the sound trunk.
    pub audio_num_blocks: usize,
    /// Attention heads of the sound trunk.
    pub audio_num_heads: usize,
    /// Rows of the log-mel picture.
    pub audio_num_mel_bins: usize,
    /// Columns of the log-mel picture.
    pub audio_target_len: usize,
    /// Stochastic depth in training; nothing at inference.
    #[serde(default)]
    pub audio_drop_path: f64,
    /// Numbers per text token.
    pub text_embed_dim: usize,
    /// Blocks of the text trunk.
    pub text_num_blocks: usize,
    /// Attention heads of the text trunk.
    pub text_num_heads: usize,
    /// Numbers per depth token.
    pub depth_embed_dim: usize,
    /// Rows and columns of the depth stem's kernel.
    pub depth_kernel_size: usize,
    /// Blocks of the depth trunk.
    pub depth_num_blocks: usize,
    /// Attention heads of the depth trunk.
    pub depth_num_heads: usize,
    /// Stochastic depth in training; nothing at inference.
    #[serde(default)]
    pub depth_drop_path: f64,
    /// Numbers per thermal token.
    pub thermal_embed_dim: usize,
    /// Rows and columns of the thermal stem's kernel.
    pub thermal_kernel_size: usize,
    /// Blocks of the thermal trunk.
    pub thermal_num_blocks: usize,
    /// Attention heads of the thermal trunk.
    pub thermal_num_heads: usize,
    /// Stochastic depth in training; nothing at inference.
    #[serde(default)]
    pub thermal_drop_path: f64,
    /// Numbers per IMU token.
    pub imu_embed_dim: usize,
    /// Samples per IMU token.
    pub imu_kernel_size: usize,
    /// Blocks of the IMU trunk.
    pub imu_num_blocks: usize,
    /// Attention heads of the IMU trunk.
    pub imu_num_heads: usize,
    /// Stochastic depth in training; nothing at inference.
    #[serde(default)]
    pub imu_drop_path: f64,

    /// Pixels per side of a picture.
    #[serde(default = "side")]
    pub image_size: usize,
    /// Pixels per side of a depth picture.
    #[serde(default = "side")]
    pub depth_size: usize,
    /// Pixels per side of a thermal picture.
    #[serde(default = "side")]
    pub thermal_size: usize,
    /// Step of the depth stem; its kernel where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth_stride: Option<usize>,
    /// Step of the thermal stem; its kernel where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thermal_stride: Option<usize>,
    /// Samples per IMU window.
    #[serde(default = "imu_samples")]
    pub imu_samples: usize,
    /// Axes of the IMU.
    #[serde(default = "imu_channels")]
    pub imu_channels: usize,
    /// Longest token sequence.
    #[serde(default = "text_context")]
    pub text_context: usize,
    /// CLIP ids that the token table has rows for, ascending; one more row stands for all others. All of CLIP's
    /// where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_known_ids: Option<Vec<u32>>,
    /// Encoders to write; all seven where absent.
    #[serde(default = "all_graphs")]
    pub senses: Vec<GraphKind>,
    /// How the pack introduces itself.
    #[serde(default)]
    pub pack: PackInfo,
    /// Input recipes that differ from ImageBind's.
    #[serde(default)]
    pub recipes: Recipes,
    /// Window and hop where they differ from ImageBind's.
    #[serde(default)]
    pub windows: Windows,
}

/// How a pack introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackInfo {
    /// Name; first part of the space id. Lower-case letters, digits and hyphens.
    pub name: String,
    /// Version.
    pub version: String,
    /// SPDX expression, or the licence's own name.
    pub licence: String,
    /// Whether the weights may be used commercially.
    pub commercial_use: CommercialUse,
    /// One or two sentences: what it knows, what it does not.
    pub about: String,
}

impl Default for PackInfo {
    /// Of a checkpoint nobody has said anything about.
    fn default() -> Self {
        Self {
            name: "imported".into(),
            version: "0".into(),
            licence: "unknown".into(),
            commercial_use: CommercialUse::Unclear,
            about: "Imported from a checkpoint; its configuration says nothing about it.".into(),
        }
    }
}

/// Input recipes that replace ImageBind's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipes {
    /// Still pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRecipe>,
    /// Video clips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoRecipe>,
    /// Sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioRecipe>,
    /// Depth pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<DepthRecipe>,
    /// Thermal pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thermal: Option<ThermalRecipe>,
    /// Inertial measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imu: Option<ImuRecipe>,
}

/// Window and hop of one sense.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windowing {
    /// Seconds per window; 0 for a single frame.
    pub window_s: f64,
    /// Seconds between window ends.
    pub hop_s: f64,
}

/// Windows that replace ImageBind's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Windows {
    /// Still pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Windowing>,
    /// Video clips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<Windowing>,
    /// Sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Windowing>,
    /// Depth pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Windowing>,
    /// Thermal pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thermal: Option<Windowing>,
    /// Inertial measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imu: Option<Windowing>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: cannot be read: {source}; --config takes `huge` or a JSON file")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No JSON of this form.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and key.
        source: serde_json::Error,
    },
    /// Values that do not fit together.
    #[error("model configuration: {0}")]
    Inconsistent(String),
}

impl Config {
    /// ImageBind as published: `imagebind_huge`, 1.2 billion parameters.
    pub fn huge() -> Self {
        Self {
            video_frames: 2,
            kernel_size: [2, 14, 14],
            audio_kernel_size: 16,
            audio_stride: 10,
            out_embed_dim: 1024,
            vision_embed_dim: 1280,
            vision_num_blocks: 32,
            vision_num_heads: 16,
            audio_embed_dim: 768,
            audio_num_blocks: 12,
            audio_num_heads: 12,
            audio_num_mel_bins: 128,
            audio_target_len: 204,
            audio_drop_path: 0.1,
            text_embed_dim: 1024,
            text_num_blocks: 24,
            text_num_heads: 16,
            depth_embed_dim: 384,
            depth_kernel_size: 16,
            depth_num_blocks: 12,
            depth_num_heads: 8,
            depth_drop_path: 0.0,
            thermal_embed_dim: 768,
            thermal_kernel_size: 16,
            thermal_num_blocks: 12,
            thermal_num_heads: 12,
            thermal_drop_path: 0.0,
            imu_embed_dim: 512,
            imu_kernel_size: 8,
            imu_num_blocks: 6,
            imu_num_heads: 8,
            imu_drop_path: 0.7,
            image_size: side(),
            depth_size: side(),
            thermal_size: side(),
            depth_stride: None,
            thermal_stride: None,
            imu_samples: imu_samples(),
            imu_channels: imu_channels(),
            text_context: text_context(),
            text_known_ids: None,
            senses: all_graphs(),
            pack: PackInfo {
                name: "imagebind-huge".into(),
                version: "1".into(),
                licence: "CC-BY-NC-SA-4.0".into(),
                commercial_use: CommercialUse::No,
                about: "ImageBind (huge) as published: six senses bound through images. Non-commercial.".into(),
            },
            recipes: Recipes::default(),
            windows: Windows::default(),
        }
    }

    /// What `--config` names: the preset `huge`, or a JSON file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn resolve(spec: &str) -> Result<Self, ConfigError> {
        match spec {
            "huge" => Ok(Self::huge()),
            path => Self::read(Path::new(path)),
        }
    }

    /// Reads a JSON file and checks it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let path = path.to_path_buf();
        let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Io {
            path: path.clone(),
            source,
        })?;
        let config: Self = serde_json::from_str(&text).map_err(|source| ConfigError::Json { path, source })?;
        config.check()?;
        Ok(config)
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`ConfigError::Inconsistent`] names the key, what was expected and what was found.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fail = |why: String| Err(ConfigError::Inconsistent(why));
        for (name, width, blocks, heads) in [
            (
                "vision",
                self.vision_embed_dim,
                self.vision_num_blocks,
                self.vision_num_heads,
            ),
            ("text", self.text_embed_dim, self.text_num_blocks, self.text_num_heads),
            (
                "audio",
                self.audio_embed_dim,
                self.audio_num_blocks,
                self.audio_num_heads,
            ),
            (
                "depth",
                self.depth_embed_dim,
                self.depth_num_blocks,
                self.depth_num_heads,
            ),
            (
                "thermal",
                self.thermal_embed_dim,
                self.thermal_num_blocks,
                self.thermal_num_heads,
            ),
            ("imu", self.imu_embed_dim, self.imu_num_blocks, self.imu_num_heads),
        ] {
            if blocks == 0 || heads == 0 || width == 0 || !width.is_multiple_of(heads) {
                return fail(format!(
                    "{name}: needs at least one block and a width that its heads divide; found {blocks} blocks, width {width}, {heads} heads"
                ));
            }
        }
        if self.out_embed_dim == 0 {
            return fail("out_embed_dim is 0".into());
        }
        if self.kernel_size[0] != self.video_frames || self.video_frames == 0 {
            return fail(format!(
                "kernel_size[0] must cover all video_frames; found {} of {}",
                self.kernel_size[0], self.video_frames
            ));
        }
        if self.kernel_size[1] != self.kernel_size[2] {
            return fail(format!("kernel_size must be square; found {:?}", self.kernel_size));
        }
        for (key, kernel, stride, size) in [
            ("kernel_size", self.kernel_size[1], self.kernel_size[1], self.image_size),
            (
                "audio_kernel_size",
                self.audio_kernel_size,
                self.audio_stride,
                self.audio_num_mel_bins,
            ),
            (
                "audio_kernel_size",
                self.audio_kernel_size,
                self.audio_stride,
                self.audio_target_len,
            ),
            (
                "depth_kernel_size",
                self.depth_kernel_size,
                self.depth_stride(),
                self.depth_size,
            ),
            (
                "thermal_kernel_size",
                self.thermal_kernel_size,
                self.thermal_stride(),
                self.thermal_size,
            ),
        ] {
            if kernel == 0 || stride == 0 || kernel > size {
                return fail(format!("{key} {kernel} with stride {stride} does not fit into {size}"));
            }
        }
        if self.imu_kernel_size == 0
            || self.imu_samples == 0
            || self.imu_channels == 0
            || !self.imu_samples.is_multiple_of(self.imu_kernel_size)
        {
            return fail(format!(
                "imu_samples must be a multiple of imu_kernel_size; found {} and {} on {} axes",
                self.imu_samples, self.imu_kernel_size, self.imu_channels
            ));
        }
        if self.text_context < 2 {
            return fail(format!(
                "text_context must hold start and end token; found {}",
                self.text_context
            ));
        }
        if let Some(ids) = &self.text_known_ids
            && (ids.last().is_none_or(|last| *last as usize >= CLIP_VOCABULARY) || !ids.is_sorted_by(|a, b| a < b))
        {
            return fail(format!(
                "text_known_ids must be ascending CLIP ids below {CLIP_VOCABULARY}"
            ));
        }
        if self.senses.is_empty() {
            return fail("senses is empty; leave it out for all".into());
        }
        let name = &self.pack.name;
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        {
            return fail(format!(
                "pack.name must be lower-case letters, digits and hyphens; found `{name}`"
            ));
        }
        self.check_recipes()
    }

    /// Step of the depth stem.
    pub(super) fn depth_stride(&self) -> usize {
        self.depth_stride.unwrap_or(self.depth_kernel_size)
    }

    /// Step of the thermal stem.
    pub(super) fn thermal_stride(&self) -> usize {
        self.thermal_stride.unwrap_or(self.thermal_kernel_size)
    }

    /// Tokens that the stem of an encoder (by its name in the checkpoint) makes, class token not counted.
    pub(super) fn token_count(&self, encoder: &str) -> usize {
        let audio = |size| steps(size, self.audio_kernel_size, self.audio_stride);
        match encoder {
            "vision" => steps(self.image_size, self.kernel_size[1], self.kernel_size[1]).pow(2),
            "audio" => audio(self.audio_num_mel_bins) * audio(self.audio_target_len),
            "depth" => steps(self.depth_size, self.depth_kernel_size, self.depth_stride()).pow(2),
            "thermal" => steps(self.thermal_size, self.thermal_kernel_size, self.thermal_stride()).pow(2),
            "imu" => self.imu_samples / self.imu_kernel_size,
            _ => self.text_context,
        }
    }

    /// Rows of the token table.
    pub(super) fn text_rows(&self) -> usize {
        self.text_known_ids
            .as_ref()
            .map_or(CLIP_VOCABULARY, |ids| ids.len() + 1)
    }
}

/// Positions at which a kernel fits.
const fn steps(size: usize, kernel: usize, stride: usize) -> usize {
    (size - kernel) / stride + 1
}

const fn side() -> usize {
    224
}

const fn imu_samples() -> usize {
    2000
}

const fn imu_channels() -> usize {
    6
}

const fn text_context() -> usize {
    77
}

fn all_graphs() -> Vec<GraphKind> {
    GraphKind::ALL.to_vec()
}
