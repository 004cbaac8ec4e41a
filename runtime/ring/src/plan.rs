//! Which stretches of a stream become windows: their ends lie on one grid that all streams share.

use crate::Ring;
use sensebind_core::{Span, Timestamp};
use std::time::Duration;

/// Length and spacing of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPlan {
    /// Length of a window; zero for encoders of single pictures, whose windows are then one `hop` long.
    pub window: Duration,
    /// Time between window ends.
    pub hop: Duration,
}

/// A plan that yields no windows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("hop is zero, expected the time between window ends: set hop_s in the pack or the board file above zero")]
pub struct PlanError;

/// Yields the windows of one stream, each once, in order.
///
/// Window ends are multiples of the hop from the clock's zero, so windows of different senses share their end times
/// wherever their hops are multiples of each other. Every grid point is used whose window
/// * lies wholly after the clock's zero,
/// * is complete (see [`next`](Self::next)), and
/// * holds at least one frame (or one sample of sound) in the ring.
///
/// The first windows of a stream are therefore covered in part, and say so. Grid points without data (a gap, or data
/// that was overwritten before the window was asked for) are passed over and counted. Which windows come out depends on
/// the data alone, not on how often one asks, as long as the ring still holds it.
#[derive(Debug, Clone)]
pub struct Planner {
    window: Duration,
    hop: u64,
    /// End of the next window; `None` before the first frame.
    next_end: Option<Timestamp>,
    skipped: u64,
}

impl Planner {
    /// A planner that has yielded nothing yet.
    ///
    /// # Errors
    /// [`PlanError`] when the hop is zero.
    pub fn new(plan: WindowPlan) -> Result<Self, PlanError> {
        let hop = u64::try_from(plan.hop.as_nanos()).unwrap_or(u64::MAX);
        if hop == 0 {
            return Err(PlanError);
        }
        let window = if plan.window.is_zero() { plan.hop } else { plan.window };
        Ok(Self {
            window,
            hop,
            next_end: None,
            skipped: 0,
        })
    }

    /// The next window of `ring` that ends at or before `complete_until` (usually [`Ring::complete_until`], or later when
    /// the source says that there is nothing up to then); `None` until then. Call until `None`.
    pub fn next(&mut self, ring: &mut Ring, complete_until: Timestamp) -> Option<Span> {
        let mut end = match self.next_end {
            Some(end) => end,
            None => self.first_end_after(ring.first_after(Timestamp::ZERO)?),
        };
        while end <= complete_until {
            let start = end.before(self.window);
            let data = ring.first_after(start);
            if data.is_some_and(|t| t < end) {
                self.next_end = Some(end.after(Duration::from_nanos(self.hop)));
                return Some(Span { start, end });
            }
            // On to the next data, or behind what is known to be empty.
            let behind = self.grid_after(complete_until);
            let later = data.map_or(behind, |t| self.first_end_after(t).min(behind));
            if later <= end {
                break; // the end of the clock
            }
            self.skipped += (later.as_nanos() - end.as_nanos()) / self.hop;
            end = later;
        }
        // Kept even before the first window is complete: it was fixed by a frame that may be overwritten meanwhile.
        self.next_end = Some(end);
        None
    }

    /// Grid points passed over because their windows held no data.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Begins anew with the next frame (the ring was cleared).
    pub fn restart(&mut self) {
        self.next_end = None;
    }

    /// The first grid point after `t` whose whole window fits after the clock's zero.
    pub fn first_end_after(&self, t: Timestamp) -> Timestamp {
        let window = u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX);
        let whole = window.div_ceil(self.hop).saturating_mul(self.hop);
        self.grid_after(t).max(Timestamp::from_nanos(whole))
    }

    fn grid_after(&self, t: Timestamp) -> Timestamp {
        Timestamp::from_nanos((t.as_nanos() / self.hop + 1).saturating_mul(self.hop))
    }
}
