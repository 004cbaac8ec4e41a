//! The host's monotonic clock: the one that V4L2, ALSA and IIO stamp with.

use rustix::time::{ClockId, clock_gettime};
use sensebind_core::{Clock, Timestamp};
use std::time::Duration;

/// `CLOCK_MONOTONIC`, nanoseconds since the host started.
#[derive(Debug, Clone, Copy)]
pub struct HostClock {
    epoch: Timestamp,
}

impl HostClock {
    /// The clock of a run that begins now.
    pub fn start() -> Self {
        Self { epoch: monotonic() }
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        monotonic()
    }

    fn wait_until(&self, at: Timestamp) {
        let left = at.since(monotonic());
        if left > Duration::ZERO {
            #[expect(clippy::disallowed_methods, reason = "waiting for a time is this method's business")]
            std::thread::sleep(left);
        }
    }

    fn epoch(&self) -> Timestamp {
        self.epoch
    }
}

fn monotonic() -> Timestamp {
    let now = clock_gettime(ClockId::Monotonic);
    // The monotonic clock starts at zero and never goes back: neither part is negative.
    let seconds = Duration::from_secs(u64::try_from(now.tv_sec).unwrap_or(0));
    Timestamp::ZERO.after(seconds + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or(0)))
}
