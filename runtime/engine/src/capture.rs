//! Rings of several streams, and the windows cut from them as soon as they are complete.

use crate::account::{Account, DropReason, WindowAccount};
use crate::stream::{CaptureError, Cutting, SharedLedger, StreamCapture};
use sensebind_core::{Format, Sense, StreamId, Timestamp, Window};
use std::collections::BTreeMap;

/// Every stream's ring and account. Allocates per stream at start; per frame and window only while buffers still grow.
#[derive(Debug)]
pub struct Capture {
    streams: Vec<StreamCapture>,
    spare: Vec<Window>,
}

impl Capture {
    /// Rings for `streams`; those whose sense is not in `cuttings` are counted and not kept.
    ///
    /// # Errors
    /// When a format or an encoder's spec allows no ring or no window.
    pub fn new(streams: &[(StreamId, Format)], cuttings: &BTreeMap<Sense, Cutting>) -> Result<Self, CaptureError> {
        let streams = streams
            .iter()
            .map(|(id, format)| {
                let cutting = cuttings.get(&format.sense()).copied();
                StreamCapture::new(id, format, cutting, SharedLedger::default())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            streams,
            spare: Vec::new(),
        })
    }

    /// Bytes all rings together may hold: the memory bound of capture.
    pub fn ring_bytes(&self) -> usize {
        self.streams.iter().map(StreamCapture::ring_bytes).sum()
    }

    /// Takes one frame of stream `index` and appends every window it completes to `ready`.
    pub fn push(&mut self, index: usize, captured: Timestamp, calibrating: bool, data: &[u8], ready: &mut Vec<Window>) {
        if let Some(stream) = self.streams.get_mut(index) {
            stream.push(captured, calibrating, data, &mut self.spare, ready);
        }
    }

    /// The input has ended: cuts the windows that the newest frames lie in, complete or not.
    pub fn finish(&mut self, ready: &mut Vec<Window>) {
        for stream in &mut self.streams {
            stream.finish(&mut self.spare, ready);
        }
    }

    /// Says what became of a window, and takes its buffers back.
    pub fn settle(&mut self, window: Window, outcome: Result<(), (DropReason, String)>) {
        if let Some(stream) = self.streams.iter().find(|s| s.id == window.stream) {
            stream.settle(&window, outcome);
        }
        self.spare.push(window);
    }

    /// Closes the accounts once every window is settled.
    pub fn close(&mut self) {
        for stream in &self.streams {
            stream.ledger.lock().frames.close();
        }
    }

    /// The accounts of every stream, as they are now.
    pub fn accounts(&self) -> impl Iterator<Item = (StreamId, Format, Account, WindowAccount)> {
        self.streams.iter().map(|s| {
            let ledger = s.ledger.lock();
            (s.id.clone(), s.format, ledger.frames.clone(), ledger.windows.clone())
        })
    }
}
