//! How soon events follow the data, without encoding.

use std::time::Duration;

/// Moments remembered: nine hours at two a second.
const KEPT: usize = 1 << 16;

/// From the arrival of the last data of a moment's windows until its events were delivered, less the time spent encoding.
/// Of the latest 65 536 moments; allocates once.
#[derive(Debug, Clone)]
pub struct Reaction {
    us: Vec<u32>,
    next: usize,
}

impl Default for Reaction {
    fn default() -> Self {
        Self {
            us: Vec::with_capacity(KEPT),
            next: 0,
        }
    }
}

impl Reaction {
    pub(crate) fn record(&mut self, took: Duration) {
        let us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if self.us.len() < KEPT {
            self.us.push(us);
        } else {
            self.us[self.next] = us;
        }
        self.next = (self.next + 1) % KEPT;
    }

    /// Moments remembered.
    pub fn moments(&self) -> usize {
        self.us.len()
    }

    /// What `share` (0 to 1) of the moments did not exceed; zero when there were none. Allocates and sorts.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.us.clone();
        sorted.sort_unstable();
        let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        let us = sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0);
        Duration::from_micros(u64::from(us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank_and_memory_is_bounded() {
        let mut reaction = Reaction::default();
        assert_eq!(reaction.quantile(0.5), Duration::ZERO);
        for us in (1..=100).rev() {
            reaction.record(Duration::from_micros(us));
        }
        assert_eq!(reaction.quantile(0.5), Duration::from_micros(50));
        assert_eq!(reaction.quantile(0.99), Duration::from_micros(99));
        assert_eq!(reaction.quantile(1.0), Duration::from_micros(100));
        for _ in 0..KEPT {
            reaction.record(Duration::from_micros(7));
        }
        assert_eq!(
            (reaction.moments(), reaction.quantile(1.0)),
            (KEPT, Duration::from_micros(7))
        );
    }
}
