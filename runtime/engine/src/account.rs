//! Where every frame and every window went.

use sensebind_core::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Why a frame or a window did not reach the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// Frame: wrong size, or larger than the ring.
    Refused,
    /// Frame: the sensor was calibrating itself.
    Calibrating,
    /// Frame: the pack has no encoder for this sense.
    NoEncoder,
    /// Frame: a newer picture of the same window was encoded instead.
    Superseded,
    /// Frame: captured between two windows, because the hop is longer than the window.
    BetweenWindows,
    /// Frame: the input ended before a window that would have held it.
    AfterLastWindow,
    /// Frame or window: newer windows pushed it out of the queue to the encoders.
    QueueFull,
    /// Frame or window: too little of the window was covered by data to judge it.
    LowCoverage,
    /// Frame or window: its data could not be encoded (all zero, not finite, not decodable).
    BadWindow,
}

impl DropReason {
    /// One or two words for tables and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Calibrating => "calibrating",
            Self::NoEncoder => "no encoder",
            Self::Superseded => "superseded",
            Self::BetweenWindows => "between windows",
            Self::AfterLastWindow => "after the last window",
            Self::QueueFull => "queue full",
            Self::LowCoverage => "low coverage",
            Self::BadWindow => "bad window",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Frames of one stream: `captured = processed + dropped + pending`, and `pending` is 0 once the input has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Frames the source delivered.
    pub captured: u64,
    /// Frames an encoder has read.
    pub processed: u64,
    /// Frames that were not read, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Frames that the sensor, the kernel or the driver lost before they could be captured: gaps in their numbering.
    pub missed: u64,
    /// Capture times that jumped back and were repaired. The frames themselves are counted above.
    pub repaired: u64,
    pending: VecDeque<Timestamp>,
}

impl Account {
    /// Frames in the ring whose fate is open.
    pub fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Frames dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether every captured frame is accounted for.
    pub fn balances(&self) -> bool {
        self.captured == self.processed + self.dropped_total() + self.pending()
    }

    pub(crate) fn arrived(&mut self, captured: Timestamp) {
        self.captured += 1;
        self.pending.push_back(captured);
    }

    pub(crate) fn turned_away(&mut self, reason: DropReason) {
        self.captured += 1;
        *self.dropped.entry(reason).or_default() += 1;
    }

    /// Settles the frames a window `[start, end)` has decided. `newest_only`: its encoder reads one picture per window.
    pub(crate) fn encoded(&mut self, start: Timestamp, end: Timestamp, newest_only: bool) {
        self.settle_before(start, DropReason::BetweenWindows);
        let inside = self.pending.iter().take_while(|&&t| t < end).count();
        self.pending.drain(..inside);
        let read = if newest_only { inside.min(1) } else { inside };
        self.processed += read as u64;
        self.add(DropReason::Superseded, (inside - read) as u64);
    }

    /// Drops what lies before `time`: no later window can hold it.
    pub(crate) fn settle_before(&mut self, time: Timestamp, reason: DropReason) {
        let gone = self.pending.iter().take_while(|&&t| t < time).count();
        self.pending.drain(..gone);
        self.add(reason, gone as u64);
    }

    pub(crate) fn close(&mut self) {
        let left = self.pending.len() as u64;
        self.pending.clear();
        self.add(DropReason::AfterLastWindow, left);
    }

    fn add(&mut self, reason: DropReason, n: u64) {
        if n > 0 {
            *self.dropped.entry(reason).or_default() += n;
        }
    }
}

/// Windows of one stream: `cut = encoded + dropped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowAccount {
    /// Windows cut from the ring.
    pub cut: u64,
    /// Windows that became an embedding and were scored.
    pub encoded: u64,
    /// Windows that were not, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// The first complaint about a bad window, in words.
    pub first_fault: Option<String>,
}

impl WindowAccount {
    /// Whether every window is accounted for.
    pub fn balances(&self) -> bool {
        self.cut == self.encoded + self.dropped.values().sum::<u64>()
    }
}
