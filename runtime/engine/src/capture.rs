//! Rings, and the windows cut from them as soon as they are complete.

use crate::account::{Account, DropReason, WindowAccount};
use sensebind_core::{Format, Sense, StreamId, Timestamp, Window};
use sensebind_ring::{Capacity, PlanError, Planner, Ring, RingError, WindowPlan};
use std::collections::BTreeMap;
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

/// Every stream's ring and account. Allocates per stream at start; per frame and window only while buffers still grow.
#[derive(Debug)]
pub struct Capture {
    streams: Vec<Stream>,
    spare: Vec<Window>,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    format: Format,
    cutting: Option<Cutting>,
    ring: Option<(Ring, Planner)>,
    frames: Account,
    windows: WindowAccount,
}

impl Capture {
    /// Rings for `streams`; those whose sense is not in `cuttings` are counted and not kept.
    ///
    /// # Errors
    /// When a format or an encoder's spec allows no ring or no window.
    pub fn new(streams: &[(StreamId, Format)], cuttings: &BTreeMap<Sense, Cutting>) -> Result<Self, CaptureError> {
        let streams = streams
            .iter()
            .map(|(id, format)| Stream::new(id, format, cuttings.get(&format.sense()).copied()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            streams,
            spare: Vec::new(),
        })
    }

    /// Bytes all rings together may hold: the memory bound of capture.
    pub fn ring_bytes(&self) -> usize {
        self.streams
            .iter()
            .filter_map(|s| s.ring.as_ref())
            .map(|(ring, _)| ring.bytes_capacity())
            .sum()
    }

    /// Takes one frame of stream `index` and appends every window it completes to `ready`.
    pub fn push(&mut self, index: usize, captured: Timestamp, data: &[u8], ready: &mut Vec<Window>) {
        let Some(stream) = self.streams.get_mut(index) else {
            return;
        };
        let Some((ring, _)) = &mut stream.ring else {
            stream.frames.turned_away(DropReason::NoEncoder);
            return;
        };
        match ring.push(captured, data) {
            Ok(pushed) => {
                stream.frames.arrived(pushed.captured);
                stream.frames.repaired += u64::from(pushed.repaired);
            }
            Err(fault) => {
                stream.frames.turned_away(DropReason::Refused);
                stream.windows.first_fault.get_or_insert_with(|| fault.to_string());
                return;
            }
        }
        if let Some(until) = ring.latest_end() {
            stream.cut(until, &mut self.spare, ready);
        }
    }

    /// The input has ended: cuts the window that the newest frames lie in, complete or not.
    pub fn finish(&mut self, ready: &mut Vec<Window>) {
        for stream in &mut self.streams {
            let end = stream.ring.as_ref().and_then(|(ring, planner)| {
                let newest = ring.latest_end()?.before(Duration::from_nanos(1));
                Some(planner.first_end_after(newest))
            });
            if let Some(end) = end {
                stream.cut(end, &mut self.spare, ready);
            }
        }
    }

    /// Says what became of a window, and takes its buffers back.
    pub fn settle(&mut self, window: Window, outcome: Result<(), (DropReason, String)>) {
        if let Some(stream) = self.streams.iter_mut().find(|s| s.id == window.stream) {
            match outcome {
                Ok(()) => {
                    let newest_only = stream.cutting.is_some_and(|c| c.newest_only(stream.format.sense()));
                    stream.windows.encoded += 1;
                    stream.frames.encoded(window.span.start, window.span.end, newest_only);
                }
                Err((reason, why)) => {
                    stream.drop_window(window.span.start, reason);
                    if !why.is_empty() {
                        stream.windows.first_fault.get_or_insert(why);
                    }
                }
            }
        }
        self.spare.push(window);
    }

    /// Closes the accounts once every window is settled.
    pub fn close(&mut self) {
        for stream in &mut self.streams {
            stream.frames.close();
        }
    }

    /// The accounts of every stream.
    pub fn accounts(&self) -> impl Iterator<Item = (&StreamId, &Format, &Account, &WindowAccount)> {
        self.streams.iter().map(|s| (&s.id, &s.format, &s.frames, &s.windows))
    }
}

impl Stream {
    fn new(id: &StreamId, format: &Format, cutting: Option<Cutting>) -> Result<Self, CaptureError> {
        let ring = match cutting.map(Cutting::plan) {
            None => None,
            Some(plan) => {
                // Two windows and two hops: a window is cut before its first frame can be overwritten.
                let capacity = Capacity::for_history(format, (plan.window + plan.hop) * 2);
                Some((Ring::new(id.clone(), *format, capacity)?, Planner::new(plan)?))
            }
        };
        Ok(Self {
            id: id.clone(),
            format: *format,
            cutting,
            ring,
            frames: Account::default(),
            windows: WindowAccount::default(),
        })
    }

    /// Cuts every window complete at `until`.
    fn cut(&mut self, until: Timestamp, spare: &mut Vec<Window>, ready: &mut Vec<Window>) {
        let Some((ring, planner)) = &mut self.ring else {
            return;
        };
        while let Some(span) = planner.next(ring, until) {
            self.windows.cut += 1;
            let mut window = match spare.pop() {
                Some(mut recycled) => {
                    recycled.stream = self.id.clone();
                    recycled.format = self.format;
                    recycled
                }
                None => Window::new(self.id.clone(), self.format),
            };
            ring.cut(span, &mut window);
            ready.push(window);
        }
    }

    /// Frames before the next window's start can reach no encoder any more.
    fn drop_window(&mut self, start: Timestamp, reason: DropReason) {
        *self.windows.dropped.entry(reason).or_default() += 1;
        if let Some(cutting) = self.cutting {
            self.frames.settle_before(start.after(cutting.hop), reason);
        }
    }
}
