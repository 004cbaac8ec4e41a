//! Seeded draws addressed by what they are for, so that any batch can be made again without the ones before it.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A sequence of draws.
#[derive(Debug)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The draws of one purpose: `seed` is the run's, `path` says which (stage, step, row, …).
    pub fn at(seed: u64, path: &[u64]) -> Self {
        let mut state = seed;
        for &part in path {
            state = mix(state ^ mix(part));
        }
        Self(ChaCha8Rng::seed_from_u64(state))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform between `low` and `high`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..count`; 0 when `count` is 0.
    pub fn index(&mut self, count: usize) -> usize {
        ((f64::from(self.unit()) * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Nearly normal, mean 0 and variance 1 (the sum of four uniform draws).
    pub fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xFFFF).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.732
    }

    /// Puts the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
