//! Points and stretches of time on one host clock.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A point in time: nanoseconds on the host's clock (monotonic when live, the log's clock on replay).
///
/// Always the moment of *capture at the sensor*, never of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);

    /// A point `nanos` nanoseconds after the start of the clock.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the clock.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start of the clock; for display and plots (53 bits of precision).
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// This point plus `d`; stays at the end of the clock rather than wrapping.
    pub const fn after(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos(d)))
    }

    /// This point minus `d`; stays at zero rather than wrapping.
    pub const fn before(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(d)))
    }

    /// How long after `earlier` this point lies; zero when it does not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.as_secs_f64())
    }
}

const fn nanos(d: Duration) -> u64 {
    let n = d.as_nanos();
    if n > u64::MAX as u128 { u64::MAX } else { n as u64 }
}

/// A half-open stretch of time, `start <= t < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

impl Span {
    /// The stretch from `start` to `end`; empty when `end` is not later.
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }

    /// The stretch of length `length` that ends at `end` (shorter where the clock begins).
    pub fn ending(end: Timestamp, length: Duration) -> Self {
        Self {
            start: end.before(length),
            end,
        }
    }

    /// How long it lasts.
    pub fn length(self) -> Duration {
        self.end.since(self.start)
    }

    /// Whether `t` lies inside.
    pub fn contains(self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }

    /// The common part of two stretches, if there is one.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (start < end).then_some(Self { start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends_of_the_clock() {
        let late = Timestamp::from_nanos(u64::MAX);
        assert_eq!(late.after(Duration::from_secs(1)), late);
        assert_eq!(Timestamp::ZERO.before(Duration::from_secs(1)), Timestamp::ZERO);
        assert_eq!(Timestamp::ZERO.since(late), Duration::ZERO);
    }

    #[test]
    fn spans_are_half_open() {
        let s = Span::new(Timestamp::from_nanos(10), Timestamp::from_nanos(20));
        assert!(s.contains(s.start) && !s.contains(s.end));
        assert_eq!(s.intersection(Span::new(s.end, Timestamp::from_nanos(30))), None);
        assert_eq!(Span::new(s.end, s.start).length(), Duration::ZERO);
    }
}
