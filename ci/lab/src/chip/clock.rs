//! Where an emulated chip takes its time from: the host's monotonic clock, or a test's hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time that passes only when told to. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    elapsed_ns: Arc<AtomicU64>,
}

impl ManualClock {
    /// Lets `by` pass.
    pub fn advance(&self, by: Duration) {
        let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_ns.fetch_add(by_ns, Ordering::Relaxed);
    }

    /// How much has passed since the clock was made, in ns.
    pub fn elapsed_ns(&self) -> u64 {
        self.elapsed_ns.load(Ordering::Relaxed)
    }
}

/// A chip's time base, 0 when it was made. Its oscillator may be wrong.
#[derive(Debug, Clone)]
pub struct ChipClock {
    source: Source,
    /// Chip time passed per time passed.
    pace: f64,
}

#[derive(Debug, Clone)]
enum Source {
    Host(Instant),
    Manual(ManualClock),
}

impl ChipClock {
    /// The host's monotonic clock from now on.
    #[expect(
        clippy::disallowed_methods,
        reason = "a chip behind a device node lives in real time"
    )]
    pub fn host() -> Self {
        Self {
            source: Source::Host(Instant::now()),
            pace: 1.0,
        }
    }

    /// The time that a test sets.
    pub fn manual(clock: &ManualClock) -> Self {
        Self {
            source: Source::Manual(clock.clone()),
            pace: 1.0,
        }
    }

    /// The same, its oscillator fast by `ppm` parts per million.
    #[must_use]
    pub fn fast_by_ppm(mut self, ppm: f64) -> Self {
        self.pace = 1.0 + ppm * 1e-6;
        self
    }

    /// Chip time in ns.
    pub fn now_ns(&self) -> u64 {
        let elapsed_ns = match &self.source {
            Source::Host(start) => u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
            Source::Manual(clock) => clock.elapsed_ns(),
        };
        // Exact where the oscillator is: nanoseconds of days do not fit an f64's mantissa.
        if self.pace == 1.0 {
            elapsed_ns
        } else {
            (elapsed_ns as f64 * self.pace) as u64
        }
    }
}
