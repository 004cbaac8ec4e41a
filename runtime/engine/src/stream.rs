//! One stream: its ring, the windows cut from it, and the ledger of where everything went.

use crate::account::{Account, DropReason, WindowAccount};
use sensebind_core::{Format, Sense, StreamId, Timestamp, Window};
use sensebind_ring::{Capacity, PlanError, Planner, Ring, RingError, WindowPlan};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A stream cannot be captured: found at start.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Its format allows no ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The encoder's spec allows no windows.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What a sense wants cut: from its encoder's spec.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cutting {
    /// Length of a window; zero for a single still picture.
    pub window: Duration,
    /// Time between window ends.
    pub hop: Duration,
}

impl Cutting {
    /// Whether an encoder reads the newest picture only.
    fn newest_only(self, sense: Sense) -> bool {
        self.window.is_zero() && matches!(sense, Sense::Image | Sense::Thermal | Sense::Depth)
    }

    fn plan(self) -> WindowPlan {
        let window = if self.window.is_zero() { self.hop } else { self.window };
        WindowPlan { window, hop: self.hop }
    }
}

/// The accounts of one stream, shared by who captures and who judges.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Its frames.
    pub frames: Account,
    /// Its windows.
    pub windows: WindowAccount,
}

/// A [`Ledger`] that several threads write to, each for nanoseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    pub fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Numbers only: whatever a panicking thread left is still a ledger.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ring, windows and ledger of one stream. Allocates at start; per frame and window only while buffers still grow.
#[derive(Debug)]
pub(crate) struct StreamCapture {
    pub id: StreamId,
    pub format: Format,
    cutting: Option<Cutting>,
    ring: Option<(Ring, Planner)>,
    pub ledger: SharedLedger,
}

impl StreamCapture {
    /// A ring for `format`, or none where no encoder wants the sense: then frames are counted only.
    pub fn new(
        id: &StreamId,
        format: &Format,
        cutting: Option<Cutting>,
        ledger: SharedLedger,
    ) -> Result<Self, CaptureError> {
        let ring = match cutting.map(Cutting::plan) {
            None => None,
            Some(plan) => {
                // A window is cut before its first frame can be overwritten, also where a driver delivers in bursts.
                let capacity = Capacity::for_history(format, plan.window + plan.hop);
                Some((Ring::new(id.clone(), *format, capacity)?, Planner::new(plan)?))
            }
        };
        Ok(Self {
            id: id.clone(),
            format: *format,
            cutting,
            ring,
            ledger,
        })
    }

    /// Bytes the ring may hold: the stream's memory bound.
    pub fn ring_bytes(&self) -> usize {
        self.ring.as_ref().map_or(0, |(ring, _)| ring.bytes_capacity())
    }

    /// Forgets what the ring holds: the source was opened anew.
    pub fn clear(&mut self) {
        if let Some((ring, _)) = &mut self.ring {
            ring.clear();
        }
    }

    /// Takes one frame and appends every window it completes to `ready`, made of `spare` ones where there are any.
    pub fn push(
        &mut self,
        captured: Timestamp,
        calibrating: bool,
        data: &[u8],
        spare: &mut Vec<Window>,
        ready: &mut Vec<Window>,
    ) {
        let Some((ring, _)) = &mut self.ring else {
            self.ledger.lock().frames.turned_away(DropReason::NoEncoder);
            return;
        };
        if calibrating {
            self.ledger.lock().frames.turned_away(DropReason::Calibrating);
            self.no_data(captured, spare, ready);
            return;
        }
        let until = match ring.push(captured, data) {
            Ok(pushed) => {
                let mut ledger = self.ledger.lock();
                ledger.frames.arrived(pushed.captured);
                ledger.frames.repaired += u64::from(pushed.repaired);
                ring.complete_until()
            }
            Err(fault) => {
                let mut ledger = self.ledger.lock();
                ledger.frames.turned_away(DropReason::Refused);
                ledger.windows.first_fault.get_or_insert_with(|| fault.to_string());
                return;
            }
        };
        if let Some(until) = until {
            self.no_data(until, spare, ready);
        }
    }

    /// Nothing more that was captured before `until` is to come: cuts what is complete by then.
    pub fn no_data(&mut self, until: Timestamp, spare: &mut Vec<Window>, ready: &mut Vec<Window>) {
        let Some((ring, planner)) = &mut self.ring else {
            return;
        };
        while let Some(span) = planner.next(ring, until) {
            self.ledger.lock().windows.cut += 1;
            let mut window = match spare.pop() {
                Some(mut recycled) => {
                    recycled.stream = self.id.clone();
                    recycled.format = self.format;
                    recycled
                }
                None => Window::new(self.id.clone(), self.format),
            };
            if self.cutting.is_some_and(|c| c.newest_only(self.format.sense())) {
                ring.cut_latest(span, &mut window);
            } else {
                ring.cut(span, &mut window);
            }
            ready.push(window);
        }
    }

    /// Up to when every window that will ever come has been cut.
    pub fn complete_until(&self) -> Option<Timestamp> {
        self.ring.as_ref().and_then(|(ring, _)| ring.complete_until())
    }

    /// The input has ended: cuts the window that the newest frames lie in, complete or not.
    pub fn finish(&mut self, spare: &mut Vec<Window>, ready: &mut Vec<Window>) {
        let end = self.ring.as_ref().and_then(|(ring, planner)| {
            let newest = ring.latest_end()?.before(Duration::from_nanos(1));
            Some(planner.first_end_after(newest))
        });
        if let Some(end) = end {
            self.no_data(end, spare, ready);
        }
    }

    /// Books what became of a window of this stream.
    pub fn settle(&self, window: &Window, outcome: Result<(), (DropReason, String)>) {
        settle(&self.ledger, self.cutting, window, outcome);
    }
}

/// Books what became of `window`, of a stream cut by `cutting`.
pub(crate) fn settle(
    ledger: &SharedLedger,
    cutting: Option<Cutting>,
    window: &Window,
    outcome: Result<(), (DropReason, String)>,
) {
    let mut ledger = ledger.lock();
    match outcome {
        Ok(()) => {
            let newest_only = cutting.is_some_and(|c| c.newest_only(window.format.sense()));
            ledger.windows.encoded += 1;
            ledger.frames.encoded(window.span.start, window.span.end, newest_only);
        }
        Err((reason, why)) => {
            *ledger.windows.dropped.entry(reason).or_default() += 1;
            // Frames before the next window's start can reach no encoder any more.
            if let Some(cutting) = cutting {
                ledger
                    .frames
                    .settle_before(window.span.start.after(cutting.hop), reason);
            }
            if !why.is_empty() {
                ledger.windows.first_fault.get_or_insert(why);
            }
        }
    }
}
