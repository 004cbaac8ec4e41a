//! What a pack of this family says about itself in `pack.toml`.

use super::config::{Config, Windowing};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::graph::Graph;
use crate::manifest::{Manifest, Precision, SenseEntry};
use crate::pack::{Blueprint, GraphKind, Written};

impl Blueprint for Config {
    fn check(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(Config::check(self)?)
    }

    fn graphs(&self) -> Vec<GraphKind> {
        let mut kinds = self.senses.clone();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    fn graph<'a>(
        &self,
        kind: GraphKind,
        checkpoint: &'a Checkpoint,
        precision: Precision,
    ) -> Result<Graph<'a>, CheckpointError> {
        self.describe(kind, checkpoint, precision)
    }

    fn space(&self) -> (&str, usize) {
        (&self.pack.name, self.out_embed_dim)
    }

    fn manifest(&self, written: Written<'_>) -> Result<Manifest, CheckpointError> {
        let Written {
            checkpoint,
            precision,
            source,
            space,
            files,
        } = written;
        let kinds = &self.graphs();
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
