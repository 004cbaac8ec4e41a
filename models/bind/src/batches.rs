//! Training batches: which moments meet, and how their inputs are varied. Every row is drawn from its own seed.

use anyhow::{Context as _, Result};
use sensebind_core::Sense;
use sensebind_models::manifest::AudioRecipe;

use crate::chance::Draw;
use crate::config::{Augment, TrainConfig};
use crate::encoder::Input;
use crate::moments::{Moments, all_shown, sensed};
use crate::patches::{cut_picture, cut_signal};
use crate::recordings::TrainingTakes;

/// Decibels to nepers of power.
const NEPERS_PER_DB: f32 = std::f32::consts::LN_10 / 10.0;

/// Which of [`all_shown`] a sense is trained on: what it can tell, and nothing happening.
pub fn taught(sense: Sense) -> Vec<usize> {
    let sensed = sensed(sense);
    let kinds = all_shown();
    (0..kinds.len())
        .filter(|&kind| kinds[kind].is_none_or(|happening| sensed.contains(&happening)))
        .collect()
}

/// What the rows of a batch show: each kind as often as any other (± 1), so that happenings recur as little as they can.
pub fn spread(kinds: &[usize], count: usize, draw: &mut Draw) -> Vec<usize> {
    let mut order = Vec::with_capacity(count + kinds.len());
    while order.len() < count {
        let mut round = kinds.to_vec();
        draw.shuffle(&mut round);
        order.extend(round);
    }
    order.truncate(count);
    order
}

/// Cuts one sense's input into patches behind those of other rows.
pub fn cut(config: &TrainConfig, sense: Sense, input: &[f32], out: &mut Vec<f32>) {
    let m = &config.model;
    match sense {
        Sense::Image => {
            let side = m.image_size;
            cut_picture(input, [3, side, side], m.kernel_size[1], m.kernel_size[1], out);
        }
        Sense::Audio => {
            let shape = [1, m.audio_num_mel_bins, m.audio_target_len];
            cut_picture(input, shape, m.audio_kernel_size, m.audio_stride, out);
        }
        Sense::Depth => {
            let (side, kernel) = (m.depth_size, m.depth_kernel_size);
            cut_picture(input, [1, side, side], kernel, m.depth_stride.unwrap_or(kernel), out);
        }
        Sense::Thermal => {
            let (side, kernel) = (m.thermal_size, m.thermal_kernel_size);
            cut_picture(input, [1, side, side], kernel, m.thermal_stride.unwrap_or(kernel), out);
        }
        Sense::Imu => cut_signal(input, m.imu_channels, m.imu_kernel_size, out),
        Sense::Text => {}
    }
}

/// Patches of moments as they are.
pub fn plain(config: &TrainConfig, sense: Sense, moments: &Moments, which: &[usize]) -> Input {
    let mut patches = Vec::new();
    for &moment in which {
        cut(config, sense, &moments.inputs(sense).get(moment), &mut patches);
    }
    Input::Patches(patches)
}

/// What training inputs are made of.
#[derive(Debug)]
pub struct Source<'a> {
    /// The run's configuration.
    pub config: &'a TrainConfig,
    /// Rendered moments.
    pub moments: &'a Moments,
    /// The moments that show each kind.
    pub by_shown: &'a [Vec<usize>],
    /// Real recordings.
    pub takes: &'a TrainingTakes,
}

impl Source<'_> {
    /// A varied input of `sense` for one moment.
    ///
    /// # Errors
    /// An incomplete configuration.
    pub fn varied(&self, sense: Sense, moment: usize, draw: &mut Draw) -> Result<Vec<f32>> {
        let augment = &self.config.augment;
        let stored = self.moments.inputs(sense).get(moment);
        Ok(match sense {
            Sense::Image => vary_plane(stored, 3, augment, draw),
            Sense::Depth | Sense::Thermal => vary_plane(stored, 1, augment, draw),
            Sense::Imu => vary_signal(stored, augment, draw),
            Sense::Audio => self.sound(moment, stored, draw)?,
            Sense::Text => stored,
        })
    }

    /// The moment's own sound or a recording of the same happening, in surroundings, masked.
    fn sound(&self, moment: usize, stored: Vec<f32>, draw: &mut Draw) -> Result<Vec<f32>> {
        let (config, kinds) = (self.config, all_shown());
        let augment = &config.sound;
        let recipe = config
            .model
            .recipes
            .audio
            .as_ref()
            .context("model.recipes.audio is missing")?;
        let kind = self.moments.shown[moment];
        let recorded = match kinds[kind] {
            Some(happening) if draw.chance(config.recordings.probability) => self.takes.window(happening, draw),
            _ => None,
        };
        let is_recorded = recorded.is_some();
        let mut sound = recorded.unwrap_or(stored);
        let level = draw.range(-augment.gain_db, augment.gain_db);
        shift(&mut sound, recipe, level, draw.range(-augment.tilt_db, augment.tilt_db));
        // A recording always gets the simulated surroundings' hum now and then, so that it is not told by its silence.
        if draw.chance(augment.mix_probability) {
            let quiet = &self.by_shown[kinds.len() - 1];
            let mut other = self.moments.inputs(Sense::Audio).get(quiet[draw.index(quiet.len())]);
            let below = draw.range(augment.mix_db[0], augment.mix_db[1]);
            match_level(
                &mut other,
                &sound,
                recipe,
                -below,
                draw.range(-augment.tilt_db, augment.tilt_db),
            );
            mix(&mut sound, &other, recipe);
        }
        if kinds[kind].is_some() && draw.chance(augment.mix_probability * 0.3) {
            // Something else far away; it must stay clearly below.
            let other_kind = draw.index(kinds.len() - 1);
            let other = match kinds[other_kind] {
                Some(happening) if is_recorded || draw.chance(0.5) => self.takes.window(happening, draw),
                _ => None,
            };
            let list = &self.by_shown[other_kind];
            let mut other =
                other.unwrap_or_else(|| self.moments.inputs(Sense::Audio).get(list[draw.index(list.len())]));
            match_level(&mut other, &sound, recipe, -draw.range(10.0, 25.0), 0.0);
            mix(&mut sound, &other, recipe);
        }
        mask(&mut sound, recipe, augment.mask, draw);
        Ok(sound)
    }
}

/// Noise, brightness, mirroring, a blanked rectangle.
fn vary_plane(mut plane: Vec<f32>, channels: usize, augment: &Augment, draw: &mut Draw) -> Vec<f32> {
    let side = ((plane.len() / channels) as f64).sqrt() as usize;
    if draw.chance(0.5) {
        plane.chunks_exact_mut(side).for_each(<[f32]>::reverse);
    }
    let (gain, offset) = (1.0 + draw.range(-0.1, 0.1), draw.range(-0.1, 0.1));
    let noise = draw.range(0.0, augment.noise);
    for value in &mut plane {
        *value = *value * gain + offset + noise * draw.normal();
    }
    if draw.chance(0.25) {
        let area = draw.range(0.02, augment.erase.max(0.02)) * (side * side) as f32;
        let shape = draw.range(0.5, 2.0);
        let height = ((area * shape).sqrt() as usize).clamp(1, side);
        let width = ((area / shape).sqrt() as usize).clamp(1, side);
        let (top, left) = (draw.index(side - height + 1), draw.index(side - width + 1));
        for channel in 0..channels {
            for row in top..top + height {
                plane[(channel * side + row) * side + left..][..width].fill(0.0);
            }
        }
    }
    plane
}

/// Gain and noise for each axis.
fn vary_signal(mut signal: Vec<f32>, augment: &Augment, draw: &mut Draw) -> Vec<f32> {
    let samples = signal.len() / 6;
    for axis in signal.chunks_exact_mut(samples) {
        let gain = 1.0 + draw.range(-0.1, 0.1);
        let noise = draw.range(0.0, augment.noise);
        for value in axis {
            *value = *value * gain + noise * draw.normal();
        }
    }
    signal
}

/// Changes the level, and tilts the spectrum from the lowest to the highest band.
fn shift(sound: &mut [f32], recipe: &AudioRecipe, level_db: f32, tilt_db: f32) {
    let floor = (recipe.floor.ln() - recipe.mean) / recipe.std;
    for (mel, band) in sound.chunks_exact_mut(recipe.frames).enumerate() {
        let along = mel as f32 / recipe.mels as f32 - 0.5;
        let offset = (level_db + tilt_db * along) * NEPERS_PER_DB / recipe.std;
        band.iter_mut().for_each(|value| *value = (*value + offset).max(floor));
    }
}

/// Brings `other` to `relative_db` of `sound`, by their loudest bands.
fn match_level(other: &mut [f32], sound: &[f32], recipe: &AudioRecipe, relative_db: f32, tilt_db: f32) {
    let top = |sound: &[f32]| sound.iter().copied().fold(f32::MIN, f32::max) * recipe.std / NEPERS_PER_DB;
    let level_db = top(sound) - top(other) + relative_db;
    shift(other, recipe, level_db, tilt_db);
}

/// Adds the powers of two sounds.
fn mix(sound: &mut [f32], other: &[f32], recipe: &AudioRecipe) {
    for (value, &other) in sound.iter_mut().zip(other) {
        let (high, low) = if *value > other {
            (*value, other)
        } else {
            (other, *value)
        };
        *value = high + ((low - high) * recipe.std).exp().ln_1p() / recipe.std;
    }
}

/// Blanks two stretches of bands and two of frames (SpecAugment).
fn mask(sound: &mut [f32], recipe: &AudioRecipe, [bands, frames]: [usize; 2], draw: &mut Draw) {
    let mean = sound.iter().sum::<f32>() / sound.len() as f32;
    for _ in 0..2 {
        let width = draw.index(bands + 1).min(recipe.mels);
        let first = draw.index(recipe.mels - width + 1);
        sound[first * recipe.frames..(first + width) * recipe.frames].fill(mean);
        let width = draw.index(frames + 1).min(recipe.frames);
        let first = draw.index(recipe.frames - width + 1);
        for band in sound.chunks_exact_mut(recipe.frames) {
            band[first..first + width].fill(mean);
        }
    }
}
