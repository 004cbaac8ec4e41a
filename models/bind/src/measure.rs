//! Zero-shot accuracy on held-out data: no label is ever trained on, only words are compared.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use sensebind_core::Sense;
use sensebind_scene::Happening;
use serde::{Deserialize, Serialize};

use crate::batches::{cut, plain};
use crate::config::TrainConfig;
use crate::contrast::{Rows, dot};
use crate::device::Device;
use crate::encoder::{Architecture, Input};
use crate::moments::{Moments, all_shown, sensed};
use crate::parameters::Parameters;
use crate::passes::{Share, embed};
use crate::recordings::{Recording, evaluation_windows};
use crate::words::{Words, batch};

/// How often the nearest words were the right ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Part of the trials in which the right happening's words were nearest.
    pub top1: f32,
    /// What guessing gives.
    pub chance: f32,
    /// Number of trials.
    pub trials: usize,
    /// `top1` of each happening by name.
    pub by_happening: BTreeMap<String, f32>,
    /// The commonest mistakes: shown, said, how often.
    pub mistakes: Vec<(String, String, usize)>,
}

/// The embedding of each happening's words: the mean of its held-out phrases, in the order of [`all_shown`].
pub fn prompts(
    config: &TrainConfig,
    words: &Words,
    architecture: &Architecture,
    parameters: &Parameters,
    threads: usize,
    device: &Device,
) -> Rows {
    let shares = all_shown().into_iter().map(|shown| {
        let phrases = words.held_out(shown, config.scenes.phrases, config.seed);
        Share {
            architecture,
            parameters,
            input: batch(&phrases),
            count: phrases.len(),
        }
    });
    let shares: Vec<Share<'_>> = shares.collect();
    let counts: Vec<usize> = shares.iter().map(|share| share.count).collect();
    let all = embed(shares, threads, device);
    let (width, mut values, mut from) = (architecture.dim, Vec::new(), 0);
    for count in counts {
        values.extend(mean(&all[from * width..(from + count) * width], width));
        from += count;
    }
    Rows { width, values }.unit().0
}

fn mean(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
    }
    sum
}

/// Embeddings of unit length for moments as they are, row by row.
pub fn embed_moments(
    config: &TrainConfig,
    architecture: &Architecture,
    parameters: &Parameters,
    moments: &Moments,
    threads: usize,
    device: &Device,
) -> Vec<f32> {
    let which: Vec<usize> = (0..moments.count()).collect();
    // A few shares at a time: patches of all moments at once would need gigabytes.
    let mut out = Vec::with_capacity(moments.count() * architecture.dim);
    for some in which.chunks(16 * threads * 8) {
        let shares = some
            .chunks(16)
            .map(|part| {
                let input = plain(config, architecture.sense, moments, part);
                Share {
                    architecture,
                    parameters,
                    input,
                    count: part.len(),
                }
            })
            .collect();
        out.extend(embed(shares, threads, device));
    }
    out
}

fn nearest(embedding: &[f32], prompts: &Rows, among: &[Happening]) -> Option<Happening> {
    let score = |happening: &Happening| {
        let place = Happening::ALL
            .iter()
            .position(|one| one == happening)
            .unwrap_or_default();
        dot(embedding, prompts.row(place))
    };
    among.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))
}

fn accuracy(answers: &[(Happening, Happening)], among: usize) -> Accuracy {
    let mut by: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut mistakes: BTreeMap<(Happening, Happening), usize> = BTreeMap::new();
    for &(shown, said) in answers {
        let entry = by.entry(shown.name().to_owned()).or_default();
        entry.1 += 1;
        if shown == said {
            entry.0 += 1;
        } else {
            *mistakes.entry((shown, said)).or_default() += 1;
        }
    }
    let right: usize = by.values().map(|(right, _)| right).sum();
    let mut mistakes: Vec<_> = mistakes
        .into_iter()
        .map(|((shown, said), count)| (shown.name().into(), said.name().into(), count))
        .collect();
    mistakes.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    mistakes.truncate(6);
    Accuracy {
        top1: right as f32 / answers.len().max(1) as f32,
        chance: 1.0 / among.max(1) as f32,
        trials: answers.len(),
        by_happening: by
            .into_iter()
            .map(|(name, (right, all))| (name, right as f32 / all as f32))
            .collect(),
        mistakes,
    }
}

/// Zero-shot top-1 of held-out scenes (`rows`: the moments' embeddings), among the happenings the sense can tell.
pub fn scenes(sense: Sense, rows: &Rows, moments: &Moments, prompts: &Rows) -> Accuracy {
    let among = sensed(sense);
    let kinds = all_shown();
    let answers: Vec<_> = rows
        .values
        .chunks_exact(rows.width)
        .zip(&moments.shown)
        .filter_map(|(row, &shown)| {
            Some((
                kinds[shown].filter(|one| among.contains(one))?,
                nearest(row, prompts, &among)?,
            ))
        })
        .collect();
    accuracy(&answers, among.len())
}

/// Windows of the recordings kept for validation.
#[derive(Debug, Default)]
pub struct HeldOutRecordings {
    windows: Vec<(Happening, Vec<Vec<f32>>)>,
}

impl HeldOutRecordings {
    /// Cuts them as the runtime does.
    ///
    /// # Errors
    /// A recording that cannot be decoded.
    pub fn prepare(config: &TrainConfig, recordings: &[Recording]) -> Result<Self> {
        let recipe = config
            .model
            .recipes
            .audio
            .as_ref()
            .context("model.recipes.audio is missing")?;
        let windows = recordings
            .iter()
            .filter(|one| config.recordings.validate_folds.contains(&one.entry.fold))
            .map(|one| Ok((one.happening, evaluation_windows(recipe, one)?)))
            .collect::<Result<_>>()?;
        Ok(Self { windows })
    }

    /// Zero-shot top-1 among the happenings that have recordings; `None` without any.
    pub fn accuracy(
        &self,
        config: &TrainConfig,
        architecture: &Architecture,
        parameters: &Parameters,
        prompts: &Rows,
        threads: usize,
        device: &Device,
    ) -> Option<Accuracy> {
        let mut among: Vec<Happening> = self.windows.iter().map(|(happening, _)| *happening).collect();
        among.sort_unstable();
        among.dedup();
        let shares = self.windows.iter().map(|(_, windows)| {
            let mut patches = Vec::new();
            windows
                .iter()
                .for_each(|window| cut(config, Sense::Audio, window, &mut patches));
            Share {
                architecture,
                parameters,
                input: Input::Patches(patches),
                count: windows.len(),
            }
        });
        let shares: Vec<Share<'_>> = shares.collect();
        let rows = embed(shares, threads, device);
        let (width, mut from) = (architecture.dim, 0);
        let mut answers = Vec::new();
        for (happening, windows) in &self.windows {
            let embedding = mean(&rows[from * width..(from + windows.len()) * width], width);
            from += windows.len();
            answers.push((*happening, nearest(&embedding, prompts, &among)?));
        }
        (!answers.is_empty()).then(|| accuracy(&answers, among.len()))
    }
}
