//! Where data enters: sources and what they yield.

use crate::{ClockFix, Format, StreamId, Timestamp};
use std::fmt;
use std::time::Duration;

/// One unit of capture: a picture, a packet of sound, an IMU sample. Borrowed from the source until its next read.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Counts frames of this source from 0; a gap means the sensor or the kernel lost some.
    pub seq: u64,
    /// When the sensor captured it (start of exposure, first sample).
    pub captured: Timestamp,
    /// Whether the sensor was calibrating itself (a thermal camera's flat-field correction): such a frame is recorded
    /// and shown, never judged.
    pub calibrating: bool,
    /// Bytes as the source's [`Format`] says.
    pub data: &'a [u8],
}

/// What a read brought.
#[derive(Debug, Clone, Copy)]
pub enum Reading<'a> {
    /// Data.
    Frame(Frame<'a>),
    /// The sensor is known to have nothing up to `at`: lets an open event end instead of waiting.
    NoData {
        /// Up to when nothing is known to have been captured.
        at: Timestamp,
        /// Why, in words for the log.
        why: &'static str,
    },
    /// Nothing arrived within the timeout, which says nothing about the sensor: it may be slow, late or dead.
    Waiting,
}

/// What the engine does about a source that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A passing fault: close, wait, open again.
    Reopen,
    /// Permission is missing: report the remedy, try again slowly.
    Denied,
    /// The configuration does not fit the device or the file: stop at start.
    Misconfigured,
    /// The device was there and is not any more: wait for it by its stable identity.
    Gone,
    /// A finite source (file, log, scene) has delivered everything. Not a fault.
    Ended,
}

/// A source could not open or read.
#[derive(Debug, Clone)]
pub struct SourceError {
    /// What the engine does about it.
    pub kind: ErrorKind,
    /// What was expected, what was found, and the remedy, for a person.
    pub message: String,
}

impl SourceError {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A finite source has delivered everything.
    pub fn ended() -> Self {
        Self::new(ErrorKind::Ended, "end of data")
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {}

/// One open stream.
///
/// # For driver authors
/// Keep the buffer a [`Frame`] borrows inside the source and reuse it: the reading thread must not allocate once warm.
/// Give capture times of the sensor, not of arrival.
pub trait Source: Send {
    /// Which stream this is; stable from open to close.
    fn stream(&self) -> &StreamId;

    /// What its frames mean; constant from open to close.
    fn format(&self) -> &Format;

    /// The next reading. Blocks up to about `timeout`, then answers [`Reading::Waiting`]; finite sources never block.
    ///
    /// # Errors
    /// By [`ErrorKind`]; [`ErrorKind::Ended`] when a finite source has no more.
    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError>;

    /// How the sensor's own clock lies to the host's, where it has one and the mapping is known: for the log.
    fn clock_fix(&self) -> Option<ClockFix> {
        None
    }
}
