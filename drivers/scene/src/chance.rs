//! Chance without state: seeded draws for looks, and noise addressed by position so that any moment can be asked for.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A sequence of draws from one seed and one stream (so that two uses of a seed stay independent).
#[derive(Debug)]
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    pub(crate) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform between `low` and `high`.
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..count`; 0 when `count` is 0.
    pub(crate) fn index(&mut self, count: usize) -> usize {
        ((self.unit() * count as f32) as usize).min(count.saturating_sub(1))
    }

    /// -1 or 1.
    pub(crate) fn side(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.index(N)]
    }

    /// A colour near `rgb`, each channel moved by up to `spread`.
    pub(crate) fn near(&mut self, rgb: [f32; 3], spread: f32) -> [f32; 3] {
        let common = self.range(-spread, spread);
        rgb.map(|channel| (channel + common + self.range(-spread, spread) * 0.5).clamp(0.0, 1.0))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over a seed and a position.
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed ^ index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Uniform in [0, 1) at a position.
pub(crate) fn unit_at(seed: u64, index: u64) -> f32 {
    (mix(seed, index) >> 40) as f32 * (1.0 / 16_777_216.0)
}

/// Uniform in [-1, 1) at a position: white noise.
pub(crate) fn white(seed: u64, index: u64) -> f32 {
    unit_at(seed, index) * 2.0 - 1.0
}

/// Nearly normal with unit variance at a position: the sum of four uniform draws.
pub(crate) fn normal(seed: u64, index: u64) -> f32 {
    let bits = mix(seed, index);
    let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
    (sum as f32 * (1.0 / 65_536.0) - 2.0) * 1.732
}

/// Smooth noise in [-1, 1] with one knot for every unit of `x`: low-pass noise.
pub(crate) fn smooth(seed: u64, x: f64) -> f32 {
    // Rounding down by hand: without SSE4.1, `floor` is a call into the platform's library.
    let towards_zero = x as i64;
    let knot = if towards_zero as f64 > x {
        towards_zero - 1
    } else {
        towards_zero
    };
    let part = (x - knot as f64) as f32;
    let index = knot as u64;
    let (a, b) = (white(seed, index), white(seed, index.wrapping_add(1)));
    a + (b - a) * part * part * (3.0 - 2.0 * part)
}

/// A happening that repeats at uneven intervals: one beat in every period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beats {
    pub(crate) seed: u64,
    pub(crate) period_s: f64,
    /// The part of a period by which beats are late at most; two beats are at most `period_s * (1 + jitter)` apart.
    pub(crate) jitter: f64,
}

impl Beats {
    /// When beat `index` sounds, seconds from the start of its occurrence.
    pub(crate) fn time_s(&self, index: i64) -> f64 {
        let late = f64::from(unit_at(self.seed, index as u64)) * self.jitter;
        (index as f64 + 0.05 + late) * self.period_s
    }

    /// The latest beat at or before `at_s`, with the seconds since.
    pub(crate) fn last(&self, at_s: f64) -> (i64, f64) {
        let mut index = (at_s / self.period_s).floor() as i64;
        while self.time_s(index) > at_s {
            index -= 1;
        }
        (index, at_s - self.time_s(index))
    }

    /// Every beat between two times, with its time.
    pub(crate) fn between(&self, from_s: f64, to_s: f64) -> impl Iterator<Item = (i64, f64)> + use<> {
        let beats = *self;
        let first = (from_s / self.period_s).floor() as i64 - 1;
        let last = (to_s / self.period_s).floor() as i64 + 1;
        (first..=last)
            .map(move |index| (index, beats.time_s(index)))
            .filter(move |&(_, at)| at >= from_s && at < to_s)
    }
}
