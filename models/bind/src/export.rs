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
use crate::moments::sensed;
use crate::parameters::{Arrays, write_arrays};
use crate::recordings::Recording;
use crate::run::Trained;

/// Times and accuracies of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Stage and the seconds it took, over all runs that it needed.
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
    /// 1 / temperature against phrases, fitted on held-out scenes; see [`crate::scale`].
    pub logit_scale: f32,
    /// Zero-shot top-1 on scenes of other seeds, in words of held-out phrases.
    pub scenes: Accuracy,
    /// The same on recordings of folds that were not trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<Accuracy>,
}

/// Writes what the importer takes: the checkpoint and its configuration.
///
/// # Errors
/// A file that cannot be written.
pub fn write_checkpoint(trained: &Trained, checkpoint: &Path, config: &Path) -> Result<()> {
    write_arrays(checkpoint, &arrays(trained))?;
    write(config, &(serde_json::to_string_pretty(&trained.config.model)? + "\n"))
}

/// Writes what belongs beside the graphs of the finished pack: card, credits, report.
///
/// # Errors
/// A file that cannot be written.
pub fn write_papers(trained: &Trained, folder: &Path) -> Result<()> {
    write(&folder.join("ATTRIBUTION.md"), &credits(&trained.recordings))?;
    write(&folder.join("CARD.md"), &card(trained))?;
    let report = serde_json::to_string_pretty(&trained.report)? + "\n";
    write(&folder.join("training-report.json"), &report)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Every tensor of the checkpoint. A still picture stands for two equal frames, so each of the two slices of the
/// published kernel takes half of the trained one.
fn arrays(trained: &Trained) -> Arrays {
    let mut arrays = Arrays::new();
    let frames = trained.config.model.video_frames;
    for encoder in &trained.encoders {
        let sense = encoder.architecture.sense;
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
        // As a logarithm. Vision has none: pictures are judged at the scale of the text they met.
        let judged = if sense == Sense::Text { Sense::Image } else { sense };
        let report = trained.report.senses.iter().find(|report| report.sense == judged);
        let scale = report.map_or(1.0, |report| report.logit_scale).ln();
        let name = checkpoint_name(sense);
        arrays.insert(
            format!("modality_postprocessors.{name}.1.log_logit_scale"),
            (Vec::new(), vec![scale]),
        );
    }
    arrays
}

/// What the pack is, in a page.
fn card(trained: &Trained) -> String {
    let model = &trained.config.model;
    let mut text = format!(
        "# The {} pack\n\n{}\n\n\
        It maps pictures, phrases, sounds, depth pictures, thermal pictures and inertial measurements to unit vectors of\n\
        {} numbers that can be compared with one another. It is small enough for any device; it is no substitute for\n\
        ImageBind's weights, which know the real world.\n\n",
        model.pack.name, model.pack.about, model.out_embed_dim
    );
    text +=
        "## What it knows\n\nThe simulated world of `drivers/scene`, in the words of its captions, and no more:\n\n";
    for report in &trained.report.senses {
        let names: Vec<&str> = sensed(report.sense)
            .into_iter()
            .map(|happening| happening.name())
            .collect();
        let _ = writeln!(text, "- {}: {}", report.sense, names.join(", "));
    }
    let mut classes: Vec<&str> = trained.recordings.iter().map(|one| one.happening.name()).collect();
    classes.sort_unstable();
    classes.dedup();
    if classes.is_empty() {
        text += "\nEvery sound it learned from was synthesised; real sounds are strange to it.\n";
    } else {
        let folds = &trained.config.recordings;
        let _ = writeln!(
            text,
            "\nOf {} it also heard real recordings: ESC-10, folds {:?} (fold {:?} was kept back to measure).\n\
            `ATTRIBUTION.md` names everyone who made them; ESC-10 is under CC BY 3.0, and whoever passes this pack on\n\
            keeps that file with it. Real pictures, temperatures, distances and movements it has never met.",
            classes.join(", "),
            folds.train_folds,
            folds.validate_folds
        );
    }
    text += "\nWords that occur in no caption are all one word to it, which says nothing.\n\n\
        ## How it was made\n\n\
        As ImageBind (arXiv 2305.05665): image and text first, then every other sense against the frozen image encoder and\n\
        nothing else. No sense but the image ever met a word. `train.toml` holds every number; the command is its first\n\
        line.\n\n\
        ## How well\n\n\
        Zero-shot top-1: which happening's words are nearest, among those the sense can tell. Scenes are of seeds, and\n\
        phrases of a kind, that were not trained on. From `training-report.json`:\n\n\
        | sense | data | top-1 | chance | trials |\n| --- | --- | --- | --- | --- |\n";
    for report in &trained.report.senses {
        let line = |data: &str, accuracy: &Accuracy| {
            let (top1, chance) = (100.0 * accuracy.top1, 100.0 * accuracy.chance);
            format!(
                "| {} | {data} | {top1:.1} % | {chance:.1} % | {} |\n",
                report.sense, accuracy.trials
            )
        };
        text += &line("held-out scenes", &report.scenes);
        if let Some(recordings) = &report.recordings {
            text += &line("held-out real recordings", recordings);
        }
    }
    let minutes = trained.report.seconds.iter().map(|(_, seconds)| seconds).sum::<f64>() / 60.0;
    let _ = writeln!(
        text,
        "\nTraining took {minutes:.0} minutes on {} threads.",
        trained.report.threads
    );
    text
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
        let sound_collection::Recording {
            label,
            fold,
            file,
            title,
            author,
            source,
            licence,
            ..
        } = &one.entry;
        let cells = [label, file, title, author, source, licence].map(|cell| cell.replace('|', "/"));
        let _ = writeln!(text, "| {fold} | {} |", cells.join(" | "));
    }
    text
}
