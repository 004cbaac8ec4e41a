//! Windows on their way to the encoders: bounded per sensor, the oldest make room for the newest.

use crossbeam_channel::{Receiver, Sender, TrySendError};
use sensebind_core::{Timestamp, Window};
use std::time::Duration;

/// A window and when it was complete.
#[derive(Debug)]
pub(crate) struct Cut {
    /// The window.
    pub window: Window,
    /// When the data arrived that completed it, on the host clock.
    pub arrived: Timestamp,
}

/// The sensor's end.
#[derive(Debug)]
pub(crate) struct CutSender {
    to: Sender<Cut>,
    /// The other end, to take the oldest out when full.
    oldest: Receiver<Cut>,
    /// Buffers that come back.
    returned: Receiver<Window>,
    bell: Sender<()>,
}

/// The encoders' end.
#[derive(Debug)]
pub(crate) struct CutReceiver {
    from: Receiver<Cut>,
    back: Sender<Window>,
}

/// Rings when a sensor has put something in.
#[derive(Debug)]
pub(crate) struct Bell {
    ring: Sender<()>,
    heard: Receiver<()>,
}

impl Bell {
    pub fn new() -> Self {
        let (ring, heard) = crossbeam_channel::bounded(1);
        Self { ring, heard }
    }

    /// A queue of at most `bound` windows that rings this bell. Allocates all it will ever need.
    pub fn queue(&self, bound: usize) -> (CutSender, CutReceiver) {
        let (to, from) = crossbeam_channel::bounded(bound.max(1));
        let (back, returned) = crossbeam_channel::bounded(bound.max(1) * 2);
        let sender = CutSender {
            to,
            oldest: from.clone(),
            returned,
            bell: self.ring.clone(),
        };
        (sender, CutReceiver { from, back })
    }

    /// Waits for the bell, `timeout` at most.
    pub fn wait(&self, timeout: Duration) {
        // A bell that did not ring within the time is no fault.
        let _ = self.heard.recv_timeout(timeout);
    }
}

impl CutSender {
    /// Puts `cut` in. Never blocks; gives back the window that had to make room, if one had to.
    pub fn send(&self, mut cut: Cut) -> Option<Window> {
        let mut dropped = None;
        while let Err(TrySendError::Full(back)) = self.to.try_send(cut) {
            cut = back;
            dropped = self.oldest.try_recv().ok().map(|oldest| oldest.window).or(dropped);
        }
        dropped
    }

    /// Rings the bell.
    pub fn ring(&self) {
        // A full bell is ringing already.
        let _ = self.bell.try_send(());
    }

    /// Buffers that have come back, for reuse.
    pub fn take_back(&self, spare: &mut Vec<Window>) {
        spare.extend(self.returned.try_iter());
    }
}

impl CutReceiver {
    /// What has come since.
    pub fn take(&self) -> impl Iterator<Item = Cut> {
        self.from.try_iter()
    }

    /// Returns the buffers of a window.
    pub fn give_back(&self, window: Window) {
        // With its sensor gone nobody needs them.
        let _ = self.back.try_send(window);
    }
}
