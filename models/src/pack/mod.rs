//! A pack: a folder with `pack.toml` and ONNX graphs. [`import`] makes one, [`Pack`] opens and verifies one.

mod import;
mod open;

pub use import::{Blueprint, ImportError, Progress, Written, import};
pub use open::{Pack, PackError};

use crate::manifest::{FileEntry, Manifest, Precision};
use sensebind_core::format::Sense;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// File name of the manifest.
pub const MANIFEST_FILE: &str = "pack.toml";

/// The graphs a pack may have: one per sense, and one for clips of several frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphKind {
    /// Still pictures.
    Image,
    /// Clips of several frames, into the image sense's place.
    Video,
    /// Words.
    Text,
    /// Sound.
    Audio,
    /// Depth pictures.
    Depth,
    /// Thermal pictures.
    Thermal,
    /// Inertial measurements.
    Imu,
}

impl GraphKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Image,
        Self::Video,
        Self::Text,
        Self::Audio,
        Self::Depth,
        Self::Thermal,
        Self::Imu,
    ];

    /// Its table in `pack.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Text => "text",
            Self::Audio => "audio",
            Self::Depth => "depth",
            Self::Thermal => "thermal",
            Self::Imu => "imu",
        }
    }

    /// Its file in a pack that the importer writes.
    pub(crate) fn file_name(self) -> String {
        format!("{}.onnx", self.name())
    }

    /// The sense its embeddings belong to.
    pub const fn sense(self) -> Sense {
        match self {
            Self::Image | Self::Video => Sense::Image,
            Self::Text => Sense::Text,
            Self::Audio => Sense::Audio,
            Self::Depth => Sense::Depth,
            Self::Thermal => Sense::Thermal,
            Self::Imu => Sense::Imu,
        }
    }

    /// The graph file that `manifest` names for it.
    pub fn file_in(self, manifest: &Manifest) -> Option<&str> {
        match self {
            Self::Image => manifest.image.as_ref().map(|s| s.graph.as_str()),
            Self::Video => manifest.video.as_ref().map(|s| s.graph.as_str()),
            Self::Text => manifest.text.as_ref().map(|s| s.graph.as_str()),
            Self::Audio => manifest.audio.as_ref().map(|s| s.graph.as_str()),
            Self::Depth => manifest.depth.as_ref().map(|s| s.graph.as_str()),
            Self::Thermal => manifest.thermal.as_ref().map(|s| s.graph.as_str()),
            Self::Imu => manifest.imu.as_ref().map(|s| s.graph.as_str()),
        }
    }

    /// How `manifest` says that its weights are stored; nothing when the pack lacks it.
    pub fn precision_in(self, manifest: &Manifest) -> Option<Precision> {
        match self {
            Self::Image => manifest.image.as_ref().map(|s| s.precision),
            Self::Video => manifest.video.as_ref().map(|s| s.precision),
            Self::Text => manifest.text.as_ref().map(|s| s.precision),
            Self::Audio => manifest.audio.as_ref().map(|s| s.precision),
            Self::Depth => manifest.depth.as_ref().map(|s| s.precision),
            Self::Thermal => manifest.thermal.as_ref().map(|s| s.precision),
            Self::Imu => manifest.imu.as_ref().map(|s| s.precision),
        }
    }
}

impl fmt::Display for GraphKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Sense> for GraphKind {
    fn from(sense: Sense) -> Self {
        match sense {
            Sense::Image => Self::Image,
            Sense::Text => Self::Text,
            Sense::Audio => Self::Audio,
            Sense::Depth => Self::Depth,
            Sense::Thermal => Self::Thermal,
            Sense::Imu => Self::Imu,
        }
    }
}

/// `<name>-<first 12 hex digits>` of the SHA-256 over the graph files' hex hashes in file-name order, each followed by
/// a line feed. Graph files end in `.onnx` or `.onnx_data`.
fn space_id(name: &str, files: &[FileEntry]) -> String {
    let mut graphs: Vec<&FileEntry> = files
        .iter()
        .filter(|f| f.path.ends_with(".onnx") || f.path.ends_with(".onnx_data"))
        .collect();
    graphs.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hash = Sha256::new();
    for graph in graphs {
        hash.update(&graph.sha256);
        hash.update(b"\n");
    }
    let hash = crate::hash::hex(&hash.finalize());
    format!("{name}-{}", &hash[..12])
}
