//! The host clock, and a point of how the clock of a device lies to it.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The host clock: what live capture and recorded sources that play along with it go by. Nothing after the ring reads it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now. Never goes back.
    fn now(&self) -> Timestamp;

    /// Returns once `at` has come; at once where it has passed.
    fn wait_until(&self, at: Timestamp);

    /// When this run began: time zero of recordings and simulated worlds that play along.
    fn epoch(&self) -> Timestamp;
}

/// One point of a mapping: a capture at `device_ns` happened at `host`; the line through it has slope `1 + drift_ppm /
/// 1e6`, in host nanoseconds per device nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClockFix {
    /// Time on the device's clock, nanoseconds.
    pub device_ns: u64,
    /// The same moment on the host's.
    pub host: Timestamp,
    /// How much slower the device's clock runs than the host's, parts per million.
    pub drift_ppm: f64,
    /// Times the device's clock was found to have jumped since the source was opened.
    pub steps: u64,
}

impl ClockFix {
    /// The host time of `device_ns`.
    pub fn map(&self, device_ns: u64) -> Timestamp {
        let since = device_ns as i128 - i128::from(self.device_ns);
        // f64 holds differences up to 104 days exactly.
        let drift = (since as f64 * self.drift_ppm * 1e-6).round() as i128;
        let host = i128::from(self.host.as_nanos()) + since + drift;
        Timestamp::from_nanos(u64::try_from(host.max(0)).unwrap_or(u64::MAX))
    }
}
