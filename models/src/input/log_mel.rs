//! Sound → f32 `[mels, frames]`: Kaldi-style log-mel spectrogram (parity specification 4.2).

use super::InputError;
use super::error::check_scaling;
use super::resample::check_recipe_rate;
use crate::manifest::AudioRecipe;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use sensebind_core::Sense;
use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

/// Turns mono sound at the recipe's rate into an audio encoder's input.
///
/// Per frame: subtract its mean; pre-emphasis; symmetric Hann window; power spectrum; triangular filters whose edges and
/// slopes are linear in mel = 1127 ln(1 + f / 700), Nyquist bin unused; natural logarithm of at least `floor`. The whole
/// is padded with zeros on the right to `frames` columns, or cut, and then everything, padding included, becomes
/// `(x - mean) / std`. The reference subtracts the clip's mean first; that cancels against the frame's and is left out.
pub struct LogMel {
    recipe: AudioRecipe,
    window: Vec<f32>,
    filters: Vec<Filter>,
    fft: Arc<dyn RealToComplex<f32>>,
    frame: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
}

/// One triangle: the weights of FFT bins `first ..`.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl fmt::Debug for LogMel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogMel")
            .field("recipe", &self.recipe)
            .finish_non_exhaustive()
    }
}

impl LogMel {
    /// Window, filters and FFT plan.
    ///
    /// # Errors
    /// [`InputError::Recipe`] for lengths or frequencies that do not fit together.
    pub fn new(recipe: &AudioRecipe) -> Result<Self, InputError> {
        check(recipe)?;
        let fft = RealFftPlanner::new().plan_fft_forward(recipe.fft);
        let last = (recipe.frame_samples - 1).max(1) as f64;
        Ok(Self {
            window: (0..recipe.frame_samples)
                .map(|i| (0.5 - 0.5 * (2.0 * PI * i as f64 / last).cos()) as f32)
                .collect(),
            filters: filters(recipe),
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; recipe.fft / 2],
            fft,
            recipe: recipe.clone(),
        })
    }

    /// Appends `[mels, frames]` numbers, mel band after mel band, for `samples` in [-1, 1] at the recipe's rate.
    ///
    /// # Errors
    /// [`InputError::Size`] for less sound than one analysis frame; [`InputError::Unusable`] for a NaN or an infinity.
    pub fn append(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), InputError> {
        let AudioRecipe {
            mels,
            frames,
            frame_samples,
            hop_samples,
            preemphasis,
            floor,
            mean,
            std,
            ..
        } = self.recipe;
        if samples.len() < frame_samples {
            let expected = format!("at least one frame of {frame_samples} samples");
            return Err(InputError::size(
                "sound",
                expected,
                format!("{} samples", samples.len()),
            ));
        }
        if let Some(i) = samples.iter().position(|x| !x.is_finite()) {
            let why = format!("sample {i} is {}, expected finite numbers in [-1, 1]", samples[i]);
            return Err(InputError::unusable("sound", why));
        }
        let begin = out.len();
        out.resize(begin + mels * frames, (0.0 - mean) / std);
        let columns = &mut out[begin..];
        for (column, source) in samples
            .windows(frame_samples)
            .step_by(hop_samples)
            .take(frames)
            .enumerate()
        {
            let offset = source.iter().sum::<f32>() / frame_samples as f32;
            let mut previous = source[0] - offset;
            for ((x, &s), w) in self.frame.iter_mut().zip(source).zip(&self.window) {
                let centred = s - offset;
                *x = (centred - preemphasis * previous) * w;
                previous = centred;
            }
            self.frame[frame_samples..].fill(0.0);
            self.fft
                .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
                .map_err(|e| InputError::unusable("sound", e.to_string()))?;
            for (power, bin) in self.power.iter_mut().zip(&self.spectrum) {
                *power = bin.norm_sqr();
            }
            for (mel, filter) in self.filters.iter().enumerate() {
                let energy: f32 = filter
                    .weights
                    .iter()
                    .zip(&self.power[filter.first..])
                    .map(|(w, p)| w * p)
                    .sum();
                columns[mel * frames + column] = (energy.max(floor).ln() - mean) / std;
            }
        }
        Ok(())
    }
}

fn check(recipe: &AudioRecipe) -> Result<(), InputError> {
    check_scaling(Sense::Audio, &[recipe.mean], &[recipe.std])?;
    check_recipe_rate(recipe.rate_hz)?;
    let wrong = |why: String| Err(InputError::recipe(Sense::Audio, why));
    let AudioRecipe {
        mels,
        frames,
        frame_samples,
        hop_samples,
        fft,
        min_hz,
        max_hz,
        preemphasis,
        floor,
        ..
    } = *recipe;
    for (name, value, most) in [
        ("mels", mels, 1024),
        ("frames", frames, 65_536),
        ("frame_samples", frame_samples, fft),
        ("hop_samples", hop_samples, 1 << 20),
        ("fft", fft, 1 << 20),
    ] {
        if !(1..=most).contains(&value) {
            return wrong(format!("{name} is {value}, expected 1 to {most}"));
        }
    }
    if fft % 2 != 0 {
        return wrong(format!("fft is {fft}, expected an even number"));
    }
    let nyquist_hz = recipe.rate_hz as f32 / 2.0;
    if !(min_hz >= 0.0 && min_hz < max_hz && max_hz <= nyquist_hz) {
        return wrong(format!(
            "bands from {min_hz} to {max_hz} Hz, expected 0 <= min_hz < max_hz <= {nyquist_hz}"
        ));
    }
    if !(preemphasis.is_finite() && floor.is_finite() && floor > 0.0) {
        return wrong(format!(
            "preemphasis is {preemphasis} and floor {floor}, expected finite numbers, floor above 0"
        ));
    }
    Ok(())
}

fn mel(hz: f64) -> f64 {
    1127.0 * (hz / 700.0).ln_1p()
}

fn filters(recipe: &AudioRecipe) -> Vec<Filter> {
    let (low, high) = (mel(f64::from(recipe.min_hz)), mel(f64::from(recipe.max_hz)));
    let step = (high - low) / (recipe.mels + 1) as f64;
    let bin_mels: Vec<f64> = (0..recipe.fft / 2)
        .map(|k| mel(k as f64 * f64::from(recipe.rate_hz) / recipe.fft as f64))
        .collect();
    (0..recipe.mels)
        .map(|m| {
            let left = low + m as f64 * step;
            let weight = |b: f64| ((b - left) / step).min((left + 2.0 * step - b) / step).max(0.0);
            let first = bin_mels.partition_point(|&b| b <= left);
            let inside = bin_mels[first..]
                .iter()
                .map(|&b| weight(b) as f32)
                .take_while(|&w| w > 0.0);
            Filter {
                first,
                weights: inside.collect(),
            }
        })
        .collect()
}
