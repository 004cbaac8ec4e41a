//! `CLOCK_MONOTONIC`, which V4L2 and IIO stamp with.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Since an arbitrary start, the same for all processes of this machine.
pub(crate) fn monotonic() -> Duration {
    // It cannot fail for this clock.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}
