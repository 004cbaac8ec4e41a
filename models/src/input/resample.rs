//! Any rate → the recipe's rate: windowed-sinc interpolation.

use super::InputError;
use sensebind_core::Sense;
use std::f64::consts::PI;

/// Highest sample rate accepted, in Hz: twice the fastest sound cards. Bounds the size of the tables.
pub const MAX_RATE_HZ: u32 = 384_000;

/// Zero crossings of the sinc on each side.
const ZERO_CROSSINGS: f64 = 6.0;
/// Cut-off as a part of the lower Nyquist frequency.
const ROLL_OFF: f64 = 0.99;

/// Resamples whole recordings between two fixed rates: Hann-windowed sinc, 6 zero crossings, roll-off 0.99; the
/// defaults of torchaudio, which the reference uses (parity specification 4.2).
#[derive(Debug, Clone)]
pub struct Resampler {
    /// Rates divided by their greatest common divisor.
    from: usize,
    to: usize,
    /// Per output phase: the source sample of its first tap, relative to the block, and where its weights begin.
    phases: Vec<(isize, usize)>,
    weights: Vec<f32>,
}

impl Resampler {
    /// Tables from `from_hz` to `to_hz`.
    ///
    /// # Errors
    /// [`InputError::Size`] for a rate of 0 or above [`MAX_RATE_HZ`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, InputError> {
        for rate in [from_hz, to_hz] {
            if rate == 0 || rate > MAX_RATE_HZ {
                let expected = format!("1 to {MAX_RATE_HZ} Hz");
                return Err(InputError::size("sample rate", expected, format!("{rate} Hz")));
            }
        }
        let divisor = gcd(from_hz, to_hz);
        let (from, to) = ((from_hz / divisor) as usize, (to_hz / divisor) as usize);
        let mut resampler = Self {
            from,
            to,
            phases: Vec::new(),
            weights: Vec::new(),
        };
        if from != to {
            resampler.fill_tables();
        }
        Ok(resampler)
    }

    fn fill_tables(&mut self) {
        let (o, n) = (self.from as f64, self.to as f64);
        let f = ROLL_OFF * o.min(n);
        let half_width = (ZERO_CROSSINGS * o / f).ceil() as isize;
        for p in 0..self.to {
            let time = |k: isize| (k as f64 / o - p as f64 / n) * f;
            // Outside ±6 the window is zero: only taps inside are kept.
            let middle = p as f64 * o / n;
            let first = ((middle - ZERO_CROSSINGS * o / f).floor() as isize).max(-half_width);
            let last = ((middle + ZERO_CROSSINGS * o / f).ceil() as isize).min(half_width + self.from as isize - 1);
            self.phases.push((first, self.weights.len()));
            self.weights.extend((first..=last).map(|k| {
                let t = time(k).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS);
                let window = (PI * t / (2.0 * ZERO_CROSSINGS)).cos().powi(2);
                let sinc = if t == 0.0 { 1.0 } else { (PI * t).sin() / (PI * t) };
                (sinc * window * f / o) as f32
            }));
        }
    }

    /// The whole of `samples` at the new rate: `ceil(n × to / from)` samples. The recording is taken as silent before its
    /// start and after its end.
    pub fn resample(&self, samples: &[f32]) -> Vec<f32> {
        if self.from == self.to {
            return samples.to_vec();
        }
        let length = (samples.len() as u128 * self.to as u128).div_ceil(self.from as u128) as usize;
        (0..length)
            .map(|j| {
                let (block, phase) = (j / self.to, j % self.to);
                let (first, begin) = self.phases[phase];
                let end = self.phases.get(phase + 1).map_or(self.weights.len(), |next| next.1);
                let weights = &self.weights[begin..end];
                let first = (block * self.from) as isize + first;
                let skipped = first.min(0).unsigned_abs().min(weights.len());
                let inside = samples.get(first.max(0) as usize..).unwrap_or_default();
                weights[skipped..].iter().zip(inside).map(|(w, x)| w * x).sum()
            })
            .collect()
    }
}

/// For a recipe's own rate, which [`Resampler::new`] would refuse later.
pub(crate) fn check_recipe_rate(rate_hz: u32) -> Result<(), InputError> {
    if rate_hz == 0 || rate_hz > MAX_RATE_HZ {
        let why = format!("rate_hz is {rate_hz}, expected 1 to {MAX_RATE_HZ}");
        return Err(InputError::recipe(Sense::Audio, why));
    }
    Ok(())
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
