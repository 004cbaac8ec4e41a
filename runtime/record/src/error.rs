//! What can go wrong with a log as a whole. Damage inside one is not an error: see [`Loss`](crate::Loss).

use sensebind_core::{Format, StreamId};
use std::io;
use std::path::PathBuf;

/// A log could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be opened or created.
    #[error("{path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not begin like an MCAP file.
    #[error("not an MCAP file: expected it to begin with 89 4D 43 41 50 30 0D 0A, found {found}")]
    NotMcap {
        /// Its first bytes in hexadecimal, or "nothing".
        found: String,
    },
    /// Reading failed at the level of the disk.
    #[error("reading the log at byte {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed: the disk is full, say. The log takes nothing more; what was flushed before stays readable.
    #[error("writing the log: {0}; it is readable up to its last flush: make room, then start a new log")]
    Write(io::Error),
    /// The log was written to again after writing had failed.
    #[error("nothing more is recorded since writing the log failed ({why}): start a new log")]
    Stopped {
        /// How it failed.
        why: String,
    },
    /// The log has no room of another kind: more than 65535 channels, say. It stays as it was.
    #[error("writing the log: {0}")]
    Refused(mcap::McapError),
    /// A frame does not fit the format of its stream.
    #[error("{stream}: expected {expected} for {format}, found {found} bytes: the source breaks its own format")]
    BadFrame {
        /// The stream.
        stream: StreamId,
        /// Its format.
        format: Box<Format>,
        /// What a frame should be.
        expected: String,
        /// Bytes given.
        found: usize,
    },
    /// A stream changed its format while it was recorded.
    #[error("{stream}: the format changed from {before} to {after}: record it as a new stream")]
    FormatChanged {
        /// The stream.
        stream: StreamId,
        /// As first written.
        before: Box<Format>,
        /// As given now.
        after: Box<Format>,
    },
}
