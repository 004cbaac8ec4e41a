//! Inertial samples → f32 `[6, samples]`.
//!
//! ImageBind published no IMU loader. The paper gives 6 × 2000 numbers for 5 s, which would be 400 Hz; the related
//! imu2clip resamples Ego4D to 200 Hz in the order acceleration x y z, turning rate x y z; ImageBind issues 48, 66, 114
//! and 131 leave it open. Rate, length, mean and std are therefore the recipe's.

use super::InputError;
use super::error::check_scaling;
use crate::manifest::ImuRecipe;
use sensebind_core::{Sense, Timestamp};

/// Longest stretch without samples that is bridged, in seconds: by a straight line inside the window, by holding the
/// nearest sample at its ends. Longer ones are refused: half a second hides a whole fall.
pub const IMU_MAX_GAP_S: f64 = 0.25;

/// Turns timed samples into an IMU encoder's input, resampled by capture time: the mean over each output interval when
/// the sensor is at least twice as fast as the recipe (so that vibration does not alias), else linear interpolation;
/// then `(x - mean) / std` per axis.
#[derive(Debug, Clone)]
pub struct ImuPreparer {
    recipe: ImuRecipe,
    /// `[samples][6]`.
    resampled: Vec<[f32; 6]>,
}

impl ImuPreparer {
    /// Checks the recipe.
    ///
    /// # Errors
    /// [`InputError::Recipe`].
    pub fn new(recipe: &ImuRecipe) -> Result<Self, InputError> {
        check_scaling(Sense::Imu, &recipe.mean, &recipe.std)?;
        if !(recipe.rate_hz.is_finite() && recipe.rate_hz > 0.0) {
            let why = format!("rate_hz is {}, expected a number above 0", recipe.rate_hz);
            return Err(InputError::recipe(Sense::Imu, why));
        }
        if !(1..=1_000_000).contains(&recipe.samples) {
            let why = format!("samples is {}, expected 1 to 1000000", recipe.samples);
            return Err(InputError::recipe(Sense::Imu, why));
        }
        Ok(Self {
            recipe: recipe.clone(),
            resampled: Vec::new(),
        })
    }

    /// Appends `[6, samples]` numbers, channel after channel: acceleration x y z (m/s², gravity included), turning rate
    /// x y z (rad/s). Output sample `i` stands for the time `i / rate_hz` seconds after `start`.
    /// `times` and `samples` belong together, oldest first; those outside the window only help at its edges.
    ///
    /// # Errors
    /// [`InputError::Size`] when the two lists differ in length; [`InputError::Unusable`] for no samples, numbers that
    /// are not finite, all zero (gravity is never zero on all axes for a whole window), times that run backwards, or a
    /// gap over [`IMU_MAX_GAP_S`].
    pub fn append(
        &mut self,
        start: Timestamp,
        times: &[Timestamp],
        samples: &[[f32; 6]],
        out: &mut Vec<f32>,
    ) -> Result<(), InputError> {
        check_samples(times, samples)?;
        // Seconds relative to the window: exact enough in f64 at any age of the clock.
        let seconds = |t: Timestamp| (t.as_nanos() as i128 - start.as_nanos() as i128) as f64 * 1e-9;
        let step_s = 1.0 / f64::from(self.recipe.rate_hz);
        let last_s = step_s * (self.recipe.samples - 1) as f64;
        check_gaps(times.iter().map(|&t| seconds(t)), last_s)?;

        let spread_s = seconds(times[times.len() - 1]) - seconds(times[0]);
        let average = spread_s > 0.0 && (times.len() - 1) as f64 / spread_s >= 2.0 / step_s * (1.0 - 1e-9);
        // An averaged interval is centred on its time, as an interpolated value is.
        let half_s = if average { step_s / 2.0 } else { 0.0 };
        self.resampled.clear();
        // Index of the first sample not before the wanted interval; it only moves forwards.
        let mut after = 0;
        for i in 0..self.recipe.samples {
            let t = i as f64 * step_s;
            while after < times.len() && seconds(times[after]) < t - half_s {
                after += 1;
            }
            let inside = samples[after..]
                .iter()
                .zip(&times[after..])
                .take_while(|(_, s)| seconds(**s) < t + half_s);
            let (mut sum, mut count) = ([0.0f64; 6], 0u32);
            for (sample, _) in inside {
                sum.iter_mut().zip(sample).for_each(|(s, &x)| *s += f64::from(x));
                count += 1;
            }
            self.resampled.push(if count > 0 {
                sum.map(|s| (s / f64::from(count)) as f32)
            } else if after == 0 {
                samples[0]
            } else if after == times.len() {
                samples[after - 1]
            } else {
                let (before_s, after_s) = (seconds(times[after - 1]), seconds(times[after]));
                let part = ((t - before_s) / (after_s - before_s)) as f32;
                std::array::from_fn(|c| samples[after - 1][c] + part * (samples[after][c] - samples[after - 1][c]))
            });
        }
        out.reserve(6 * self.recipe.samples);
        for (c, (mean, std)) in self.recipe.mean.iter().zip(&self.recipe.std).enumerate() {
            out.extend(self.resampled.iter().map(|sample| (sample[c] - mean) / std));
        }
        Ok(())
    }
}

fn check_samples(times: &[Timestamp], samples: &[[f32; 6]]) -> Result<(), InputError> {
    if times.len() != samples.len() {
        let (expected, found) = (format!("{} capture times", samples.len()), times.len());
        return Err(InputError::size("IMU window", expected, found));
    }
    let unusable = |why: String| Err(InputError::unusable("IMU window", why));
    if samples.is_empty() {
        return unusable("it holds no sample: the sensor is silent".into());
    }
    if let Some(i) = samples.iter().position(|s| s.iter().any(|x| !x.is_finite())) {
        return unusable(format!(
            "sample {i} is {:?}, expected finite m/s² and rad/s",
            samples[i]
        ));
    }
    if samples.iter().all(|s| *s == [0.0; 6]) {
        return unusable("every number is zero: even a device at rest feels gravity, so the sensor has failed".into());
    }
    if let Some(i) = times.windows(2).position(|w| w[1] < w[0]) {
        return unusable(format!(
            "sample {} was captured before sample {i}: times run backwards",
            i + 1
        ));
    }
    Ok(())
}

/// Refuses stretches of `0..=last_s` that no sample is near.
fn check_gaps(seconds: impl Iterator<Item = f64>, last_s: f64) -> Result<(), InputError> {
    let mut previous = f64::NEG_INFINITY;
    let mut gap = (0.0, 0.0);
    for s in seconds.chain([f64::INFINITY]) {
        // The part of this stretch that lies inside the window.
        let (from, to) = (previous.max(0.0), s.min(last_s));
        if to - from > gap.1 - gap.0 {
            gap = (from, to);
        }
        previous = s;
    }
    if gap.1 - gap.0 <= IMU_MAX_GAP_S {
        return Ok(());
    }
    let why = format!(
        "no sample from {:.3} s to {:.3} s of the window, expected no gap over {IMU_MAX_GAP_S} s",
        gap.0, gap.1
    );
    Err(InputError::unusable("IMU window", why))
}
