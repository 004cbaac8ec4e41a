//! What a run leaves behind: a checkpoint under ImageBind's names, its configuration for the importer, the credits of
//! every recording, and a report.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use sensebind_core::Sense;
use sensebind_drivers::sound_collection;
use serde::Serialize;

use crate::encoder::checkpoint_name;
use crate::measure::Accuracy;
use crate::parameters::{Arrays, write_arrays};
use crate::recordings::Recording;
use crate::run::{Trained, results};

/// Times and accuracies of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Stage and the seconds it took in this run (less when it went on from a saved state).
    pub seconds: Vec<(String, f64)>,
    /// Threads it ran on.
    pub threads: usize,
    /// Each sense on held-out data.
    pub senses: Vec<SenseReport>,
}

/// One sense on held-out data.
#[derive(Debug, Clone, Serialize)]
pub struct SenseReport {
    /// Which.
    pub sense: Sense,
    /// Numbers in its encoder.
    pub parameters: usize,
    /// Zero-shot top-1 on scenes of other seeds, in words of held-out phrases.
    pub scenes: Accuracy,
    /// The same on recordings of folds that were not trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<Accuracy>,
}

/// Writes all four files into `out`.
///
/// # Errors
/// A file that cannot be written.
pub fn write(trained: &Trained, out: &Path) -> Result<()> {
    let [checkpoint, config, attribution, report] = results(out);
    write_arrays(&checkpoint, &arrays(trained))?;
    let text = |path: &Path, text: String| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    text(&config, serde_json::to_string_pretty(&trained.config.model)? + "\n")?;
    text(&attribution, credits(&trained.recordings))?;
    text(&report, serde_json::to_string_pretty(&trained.report)? + "\n")
}

/// Every tensor of the checkpoint. A still picture stands for two equal frames, so each of the two slices of the
/// published kernel takes half of the trained one.
fn arrays(trained: &Trained) -> Arrays {
    let mut arrays = Arrays::new();
    let frames = trained.config.model.video_frames;
    for encoder in &trained.encoders {
        let (architecture, sense) = (&encoder.architecture, encoder.architecture.sense);
        encoder.parameters.store("", &mut arrays);
        if sense == Sense::Image {
            let name = "modality_preprocessors.vision.rgbt_stem.proj.1.weight";
            if let Some((shape, values)) = arrays.get_mut(name) {
                let area = shape[2] * shape[3];
                *values = values
                    .chunks_exact(area)
                    .flat_map(|plane| std::iter::repeat_n(plane, frames).flatten())
                    .map(|value| value / frames as f32)
                    .collect();
                shape.insert(2, frames);
            }
            continue;
        }
        // 1 / temperature, as a logarithm; vision has none.
        let scale = -trained.config.stage(sense).temperature.ln();
        let name = checkpoint_name(architecture.sense);
        arrays.insert(format!("modality_postprocessors.{name}.1.log_logit_scale"), (Vec::new(), vec![scale]));
    }
    arrays
}

/// Who made the recordings.
fn credits(recordings: &[Recording]) -> String {
    let mut text = String::from("# Recordings behind this pack\n\n");
    if recordings.is_empty() {
        text += "None: every sound it learned from was synthesised.\n";
        return text;
    }
    text += "The audio encoder learned from, and was measured on, field recordings of ESC-10 (K. J. Piczak, \"ESC: Dataset for\n\
        Environmental Sound Classification\", ACM Multimedia 2015), a collection under CC BY 3.0 of clips from\n\
        freesound.org. No recording is part of the pack. Each clip, with its own licence:\n\n\
        | fold | sound | file | title | author | source | licence |\n| --- | --- | --- | --- | --- | --- | --- |\n";
    for one in recordings {
        let sound_collection::Recording { label, fold, file, title, author, source, licence, .. } = &one.entry;
        let cells = [label, file, title, author, source, licence].map(|cell| cell.replace('|', "/"));
        let _ = writeln!(text, "| {fold} | {} |", cells.join(" | "));
    }
    text
}
