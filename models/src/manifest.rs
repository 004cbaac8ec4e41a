//! `pack.toml`: everything the runtime must know about a pack, in one file a person can read.
//!
//! A pack is a folder: this manifest and ONNX graphs. Each graph has ONE input named `input` and ONE output named
//! `embedding`, `[batch, dim]`, unit length. What was never published for ImageBind (thermal, depth, IMU input) is
//! configuration here, with its provenance beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The whole of `pack.toml`. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the pack; first part of its space id.
    pub name: String,
    /// Version of the pack.
    pub version: String,
    /// The model family that reads it; one of the list `FAMILIES`.
    pub family: String,
    /// SPDX expression, or the licence's own name.
    pub licence: String,
    /// Whether the weights may be used commercially.
    pub commercial_use: CommercialUse,
    /// One or two sentences: what it knows, what it does not.
    pub about: String,
    /// What it was imported from.
    pub source: CheckpointSource,
    /// The space its embeddings live in.
    pub space: SpaceEntry,
    /// Still pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<SenseEntry<ImageRecipe>>,
    /// Two-frame clips; embeddings share the image sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<SenseEntry<VideoRecipe>>,
    /// Words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<SenseEntry<TextRecipe>>,
    /// Sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<SenseEntry<AudioRecipe>>,
    /// Depth pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<SenseEntry<DepthRecipe>>,
    /// Thermal pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thermal: Option<SenseEntry<ThermalRecipe>>,
    /// Inertial measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imu: Option<SenseEntry<ImuRecipe>>,
    /// Every other file of the pack, with its hash.
    pub files: Vec<FileEntry>,
}

/// Whether weights may be used commercially.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommercialUse {
    /// The licence allows it.
    Yes,
    /// The licence forbids it.
    No,
    /// Nobody has said.
    Unclear,
}

/// Where the weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointSource {
    /// File name of the checkpoint (never a path).
    pub checkpoint: String,
    /// SHA-256 of that file, lower-case hex.
    pub sha256: String,
}

/// The shared space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceEntry {
    /// `<pack name>-<first 12 hex digits of the SHA-256 over the graph files' hashes in file-name order>`.
    pub id: String,
    /// Numbers per embedding.
    pub dim: usize,
}

/// One file of the pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path inside the pack folder; no `..`, not absolute.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// How weights are stored in a graph. Input and output are f32 whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit float.
    F32,
    /// 16-bit float weights, cast to f32 when the session loads.
    F16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

/// One sense of the pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenseEntry<R> {
    /// File name of the graph.
    pub graph: String,
    /// How its weights are stored.
    pub precision: Precision,
    /// 1 / temperature: logit = scale × cosine. From the checkpoint (`log_logit_scale`), not a constant of ours.
    pub logit_scale: f32,
    /// Seconds per window; 0 for a single still frame or a phrase.
    pub window_s: f64,
    /// Seconds between window ends that the pack suggests.
    pub hop_s: f64,
    /// How sensor units become the graph's input.
    pub input: R,
}

/// Interpolation used when resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Pillow's BICUBIC: a = -0.5, antialiased, 22-bit fixed point on 8-bit pictures.
    Bicubic,
    /// Bilinear, half-pixel centres, not antialiased.
    Bilinear,
}

/// Still picture → f32 `[3, size, size]`: short side to `size`, centre crop, `(x / 255 - mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecipe {
    /// Pixels per side after the crop.
    pub size: u32,
    /// How it is resized.
    pub filter: Filter,
    /// Per channel, red first, of pixels in 0..1.
    pub mean: [f32; 3],
    /// Per channel, red first, of pixels in 0..1.
    pub std: [f32; 3],
}

/// Clip → f32 `[3, frames, size, size]`: frames at `trunc(linspace(0, n - 1, frames))`, short side to `size`, crop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoRecipe {
    /// Pixels per side after the crop.
    pub size: u32,
    /// Frames per clip.
    pub frames: u32,
    /// How frames are resized.
    pub filter: Filter,
    /// Crops along the long side: 1 (centre) or 3 (start, centre, end; averaged).
    pub crops: u32,
    /// Clips a file is sampled into.
    pub clips: u32,
    /// Per channel, red first, of pixels in 0..1.
    pub mean: [f32; 3],
    /// Per channel, red first, of pixels in 0..1.
    pub std: [f32; 3],
}

/// Phrase → i64 `[L]`, `L` up to `context`, start and end token included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRecipe {
    /// The tokenizer; `clip-bpe` (49 408 entries) is the only one so far.
    pub tokenizer: String,
    /// Longest sequence.
    pub context: usize,
    /// When the pack kept only part of the vocabulary: the ids it has rows for, ascending. Others share one row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_ids: Option<Vec<u32>>,
}

/// Sound → f32 `[1, mels, frames]`: Kaldi-style log-mel (parity specification section 4.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioRecipe {
    /// Samples per second the filter bank works at.
    pub rate_hz: u32,
    /// Mel bands.
    pub mels: usize,
    /// Frames after padding or cutting.
    pub frames: usize,
    /// Samples per analysis frame.
    pub frame_samples: usize,
    /// Samples between frames.
    pub hop_samples: usize,
    /// FFT length; frames are zero-padded to it.
    pub fft: usize,
    /// Lower edge of the lowest band.
    pub min_hz: f32,
    /// Upper edge of the highest band.
    pub max_hz: f32,
    /// Pre-emphasis coefficient.
    pub preemphasis: f32,
    /// Smallest energy before the logarithm.
    pub floor: f32,
    /// Subtracted from the log-mel (padding included).
    pub mean: f32,
    /// Divided by.
    pub std: f32,
    /// Clips a file longer than a window is sampled into, evenly spaced.
    pub clips: usize,
}

/// What a depth pixel becomes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum DepthRepresentation {
    /// Metres, clamped.
    Metric,
    /// `baseline_m × focal_px / metres` pixels, of metres clamped first.
    Disparity {
        /// Distance between the stereo pair's eyes.
        baseline_m: f32,
        /// Focal length of the native picture, used where the stream does not say its own.
        focal_px: f32,
    },
}

/// Depth picture → f32 `[1, size, size]`: holes filled from the nearest valid pixel, clamp, representation, clamp to
/// `max_value`, divide by `divisor`, short side to `size`, centre crop, `(x - mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthRecipe {
    /// Pixels per side after the crop.
    pub size: u32,
    /// Nearest distance.
    pub min_m: f32,
    /// Farthest distance.
    pub max_m: f32,
    /// Metres or disparity.
    pub representation: DepthRepresentation,
    /// Upper clamp after the representation.
    pub max_value: f32,
    /// Divided by, after the clamp.
    pub divisor: f32,
    /// Subtracted, after the division.
    pub mean: f32,
    /// Divided by, last.
    pub std: f32,
    /// Where these constants come from.
    pub provenance: String,
}

/// Thermal picture → f32 `[1, size, size]`: kelvin stretched linearly so that `min_k` is 0 and `max_k` is 1, clamped;
/// 8-bit pictures / 255; short side to `size`, centre crop, `(x - mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThermalRecipe {
    /// Pixels per side after the crop.
    pub size: u32,
    /// Kelvin that become 0.
    pub min_k: f32,
    /// Kelvin that become 1.
    pub max_k: f32,
    /// Subtracted after the stretch.
    pub mean: f32,
    /// Divided by, last.
    pub std: f32,
    /// Where these constants come from.
    pub provenance: String,
}

/// Inertial samples → f32 `[6, samples]`: resampled to `rate_hz` by capture time, axis order acceleration x y z,
/// turning rate x y z, each `(x - mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImuRecipe {
    /// Samples per second.
    pub rate_hz: f32,
    /// Samples per window.
    pub samples: usize,
    /// Per axis, m/s² and rad/s.
    pub mean: [f32; 6],
    /// Per axis, m/s² and rad/s.
    pub std: [f32; 6],
    /// Where these constants come from.
    pub provenance: String,
}
