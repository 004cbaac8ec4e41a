//! What a pack of this family says about itself in `pack.toml`.

use super::config::{Config, Windowing};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::manifest::{CheckpointSource, FileEntry, Manifest, Precision, SenseEntry, SpaceEntry};
use crate::pack::GraphKind;

impl Config {
    /// The manifest of a pack with the graphs `kinds`.
    pub(crate) fn manifest(
        &self,
        kinds: &[GraphKind],
        checkpoint: &Checkpoint,
        precision: Precision,
        source: CheckpointSource,
        space: SpaceEntry,
        files: Vec<FileEntry>,
    ) -> Result<Manifest, CheckpointError> {
        let writer = Entries {
            config: self,
            kinds,
            checkpoint,
            precision,
        };
        Ok(Manifest {
            name: self.pack.name.clone(),
            version: self.pack.version.clone(),
            family: "imagebind".into(),
            licence: self.pack.licence.clone(),
            commercial_use: self.pack.commercial_use,
            about: self.pack.about.clone(),
            source,
            space,
            image: writer.entry(GraphKind::Image, self.image_window(), self.image_recipe())?,
            video: writer.entry(GraphKind::Video, self.video_window(), self.video_recipe())?,
            text: writer.entry(
                GraphKind::Text,
                Windowing {
                    window_s: 0.0,
                    hop_s: 0.0,
                },
                self.text_recipe(),
            )?,
            audio: writer.entry(GraphKind::Audio, self.audio_window(), self.audio_recipe())?,
            depth: writer.entry(GraphKind::Depth, self.depth_window(), self.depth_recipe())?,
            thermal: writer.entry(GraphKind::Thermal, self.thermal_window(), self.thermal_recipe())?,
            imu: writer.entry(GraphKind::Imu, self.imu_window(), self.imu_recipe())?,
            files,
        })
    }
}

struct Entries<'a> {
    config: &'a Config,
    kinds: &'a [GraphKind],
    checkpoint: &'a Checkpoint,
    precision: Precision,
}

impl Entries<'_> {
    fn entry<R>(&self, kind: GraphKind, window: Windowing, input: R) -> Result<Option<SenseEntry<R>>, CheckpointError> {
        if !self.kinds.contains(&kind) {
            return Ok(None);
        }
        Ok(Some(SenseEntry {
            graph: kind.file_name(),
            precision: self.precision,
            logit_scale: self.config.logit_scale(kind, self.checkpoint)?,
            window_s: window.window_s,
            hop_s: window.hop_s,
            input,
        }))
    }
}
