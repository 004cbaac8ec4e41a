//! What is said about a sensor, and when.

use crate::account::{Account, WindowAccount};
use sensebind_core::{ErrorKind, Format, StreamId, Timestamp};
use std::fmt;

/// The state of a sensor, or of the recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is being opened for the first time.
    Opening,
    /// It delivers.
    Running,
    /// It is open and silent for three frame periods.
    Stalled,
    /// It is not there; it is looked for.
    Missing,
    /// It is there and may not be opened.
    Denied,
    /// Its settings do not fit the device that is there.
    Misconfigured,
    /// It returned an error; it is opened again.
    Failing,
    /// It has delivered everything. Not a fault.
    Ended,
    /// It has given up: nothing more will come.
    Stopped,
}

impl State {
    /// One word for tables and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Running => "running",
            Self::Stalled => "stalled",
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::Misconfigured => "misconfigured",
            Self::Failing => "failing",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
        }
    }

    /// What an error of `kind` means for a sensor.
    pub(crate) const fn after(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Misconfigured => Self::Misconfigured,
            ErrorKind::Gone => Self::Missing,
            ErrorKind::Ended => Self::Ended,
            _ => Self::Failing,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whose; [`Health::RECORDING`] for the recorder.
    pub stream: StreamId,
    /// Since when, on the host clock.
    pub at: Timestamp,
    /// The new state.
    pub state: State,
    /// Why, for a person; empty where there is nothing to say.
    pub why: String,
}

impl Health {
    /// The name under which the recorder reports.
    pub const RECORDING: &'static str = "recording";
}

/// Where one stream stands.
#[derive(Debug, Clone)]
pub struct StreamStatus {
    /// The stream.
    pub stream: StreamId,
    /// What it delivers, once it has been opened.
    pub format: Option<Format>,
    /// Its latest change of state.
    pub health: Health,
    /// Its frames: `captured = processed + dropped + pending`.
    pub frames: Account,
    /// Its windows.
    pub windows: WindowAccount,
    /// Bytes its ring may hold: its memory bound.
    pub ring_bytes: usize,
}

/// What becomes of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Frames written.
    pub written: u64,
    /// Frames that were not, because the recorder could not keep up or had stopped.
    pub dropped: u64,
    /// Why it stopped before its time, if it did.
    pub stopped: Option<String>,
}

/// Where everything stands.
#[derive(Debug, Clone)]
pub struct Status {
    /// When, on the host clock.
    pub at: Timestamp,
    /// Every stream.
    pub streams: Vec<StreamStatus>,
    /// Events that have begun.
    pub events: u64,
    /// The recording, where there is one.
    pub recording: Option<Recording>,
}
