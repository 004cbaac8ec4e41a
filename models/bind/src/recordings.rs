//! Real recordings as training and validation windows.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use half::f16;
use sensebind_drivers::audio_file::decode_audio;
use sensebind_drivers::sound_collection;
use sensebind_models::input::{LogMel, Resampler, clip_ranges};
use sensebind_models::manifest::AudioRecipe;
use sensebind_scene::Happening;

use crate::chance::Draw;
use crate::config::TrainConfig;

/// One recording that shows a happening of the simulated world.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What sounds.
    pub happening: Happening,
    /// Fold, file and credits.
    pub entry: sound_collection::Recording,
}

/// Lists a collection (a copy of ESC-50, or a folder with `index.tsv`).
///
/// # Errors
/// A folder that is neither; a class that the simulated world does not know; no recording at all.
pub fn list(folder: &Path) -> Result<Vec<Recording>> {
    let list = sound_collection::list(folder)?
        .into_iter()
        .map(|entry| {
            let happening = Happening::from_name(&entry.label)
                .with_context(|| format!("unknown class {:?} of {}", entry.label, entry.file))?;
            Ok(Recording { happening, entry })
        })
        .collect::<Result<Vec<_>>>()?;
    ensure!(!list.is_empty(), "{}: no recording in it", folder.display());
    Ok(list)
}

impl Recording {
    /// The first channel at `rate_hz`, in [-1, 1].
    ///
    /// # Errors
    /// A file that cannot be decoded.
    pub fn samples(&self, rate_hz: u32) -> Result<Vec<f32>> {
        let decoded = decode_audio(&self.entry.path)?;
        let samples = decoded
            .samples
            .into_iter()
            .step_by(usize::from(decoded.channels.max(1)))
            .collect::<Vec<_>>();
        if decoded.rate_hz == rate_hz {
            return Ok(samples);
        }
        Ok(Resampler::new(decoded.rate_hz, rate_hz)?.resample(&samples))
    }
}

/// A recording as log-mel frames, ready to cut windows from.
#[derive(Debug)]
struct Take {
    /// `[frames, mels]`, normalised by the recipe.
    frames: Vec<f16>,
    /// First frames of windows in which the recording sounds (ESC clips are padded with silence).
    starts: Vec<usize>,
}

/// Recordings to train on, by happening.
#[derive(Debug, Default)]
pub struct TrainingTakes {
    mels: usize,
    window: usize,
    by_happening: Vec<(Happening, Vec<Take>)>,
}

/// A window counts as sounding when its loudest frame is within this many nepers of power of the recording's loudest.
const SOUNDING: f32 = 3.5;

impl TrainingTakes {
    /// Prepares the recordings of the training folds at every rate.
    ///
    /// # Errors
    /// A recording that cannot be decoded; a recipe that cannot be used.
    pub fn prepare(config: &TrainConfig, recipe: &AudioRecipe, recordings: &[Recording]) -> Result<Self> {
        let mut takes = Self {
            mels: recipe.mels,
            window: recipe.frames,
            by_happening: Vec::new(),
        };
        for recording in recordings
            .iter()
            .filter(|one| config.recordings.train_folds.contains(&one.entry.fold))
        {
            let samples = recording.samples(recipe.rate_hz)?;
            for &rate_hz in &config.recordings.rates_hz {
                let played = if rate_hz == recipe.rate_hz {
                    samples.clone()
                } else {
                    Resampler::new(rate_hz, recipe.rate_hz)?.resample(&samples)
                };
                let take = take(recipe, &played)?;
                match takes
                    .by_happening
                    .iter_mut()
                    .find(|(happening, _)| *happening == recording.happening)
                {
                    Some((_, list)) => list.push(take),
                    None => takes.by_happening.push((recording.happening, vec![take])),
                }
            }
        }
        Ok(takes)
    }

    /// Whether there is any of it.
    pub fn has(&self, happening: Happening) -> bool {
        self.by_happening.iter().any(|(one, _)| *one == happening)
    }

    /// A random sounding window, `[mels, frames]`, as the recipe delivers it.
    pub fn window(&self, happening: Happening, draw: &mut Draw) -> Option<Vec<f32>> {
        let (_, list) = self.by_happening.iter().find(|(one, _)| *one == happening)?;
        let take = &list[draw.index(list.len())];
        let start = take.starts[draw.index(take.starts.len())];
        let mut window = vec![0.0; self.mels * self.window];
        for frame in 0..self.window {
            let values = &take.frames[(start + frame) * self.mels..][..self.mels];
            for (mel, value) in values.iter().enumerate() {
                window[mel * self.window + frame] = value.to_f32();
            }
        }
        Some(window)
    }
}

fn take(recipe: &AudioRecipe, samples: &[f32]) -> Result<Take> {
    let mut samples = samples.to_vec();
    let window_samples = (recipe.frames - 1) * recipe.hop_samples + recipe.frame_samples;
    if samples.len() < window_samples {
        samples.resize(window_samples, 0.0);
    }
    // The recipe's own code over the whole recording: frames do not depend on each other.
    let count = (samples.len() - recipe.frame_samples) / recipe.hop_samples + 1;
    let whole = AudioRecipe {
        frames: count,
        ..recipe.clone()
    };
    let mut mel_major = Vec::new();
    LogMel::new(&whole)?.append(&samples, &mut mel_major)?;
    let mut frames = vec![f16::ZERO; mel_major.len()];
    let mut loudness = vec![f32::MIN; count];
    for mel in 0..recipe.mels {
        for frame in 0..count {
            let value = mel_major[mel * count + frame];
            frames[frame * recipe.mels + mel] = f16::from_f32(value);
            loudness[frame] = loudness[frame].max(value * recipe.std);
        }
    }
    let top = loudness.iter().copied().fold(f32::MIN, f32::max);
    let starts = (0..=count - recipe.frames)
        .filter(|&start| {
            loudness[start..start + recipe.frames]
                .iter()
                .any(|&value| value >= top - SOUNDING)
        })
        .collect();
    Ok(Take { frames, starts })
}

/// The windows a file is embedded by, as the runtime cuts them: evenly spaced, to be averaged.
///
/// # Errors
/// A recording that cannot be decoded; a recipe that cannot be used.
pub fn evaluation_windows(recipe: &AudioRecipe, recording: &Recording) -> Result<Vec<Vec<f32>>> {
    let samples = recording.samples(recipe.rate_hz)?;
    let window = (recipe.frames - 1) * recipe.hop_samples + recipe.frame_samples;
    let mut log_mel = LogMel::new(recipe)?;
    clip_ranges(samples.len(), recipe.rate_hz, window, recipe.clips)
        .into_iter()
        .map(|range| {
            let mut out = Vec::new();
            log_mel.append(&samples[range], &mut out)?;
            Ok(out)
        })
        .collect()
}
