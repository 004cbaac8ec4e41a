//! One stream of a recorded log.
//!
//! Times count from the log's first frame, not from the stream's: several sensors of a board that replay the same log
//! stay as far apart as they were recorded.

use crate::paced::Paced;
use crate::settings;
use schemars::{JsonSchema, Schema};
use sensebind_core::{
    Clock, Driver, ErrorKind, Format, Found, Frame, Reading, Sense, Settings, Source, SourceError, StreamId, Timestamp,
};
use sensebind_record::LogReader;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplaySettings {
    /// A sensor log (MCAP): one of `sensebind record`, or a ROS 2 bag. It is played once, in real time.
    path: PathBuf,
    /// Which of its streams, by name.
    stream: String,
}

/// The driver.
#[derive(Debug)]
pub struct Replay;

impl Driver for Replay {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn about(&self) -> &'static str {
        "one stream of a recorded sensor log"
    }

    /// Nothing: logs are named, not looked for.
    fn find(&self) -> Vec<Found> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        settings::schema::<ReplaySettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        settings::parse::<ReplaySettings>(self.name(), settings).map(drop)
    }

    fn sense(&self, settings: &Settings) -> Result<Sense, SourceError> {
        let from: ReplaySettings = settings::parse(self.name(), settings)?;
        Ok(open(&from.path, &from.stream)?.format().sense())
    }

    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let from: ReplaySettings = settings::parse(self.name(), settings)?;
        Ok(Box::new(Paced::new(open(&from.path, &from.stream)?, stream, clock)))
    }
}

/// The stream called `stream` of the log at `path`, as a finite stream: times from the log's first frame, never waiting.
/// Blocks on the disk. Of a damaged log it delivers what is whole.
///
/// # Errors
/// [`ErrorKind::Misconfigured`] when the log cannot be read or has no such stream; names those it has.
pub fn open(path: impl AsRef<Path>, stream: &str) -> Result<Box<dyn Source>, SourceError> {
    Ok(Box::new(ReplaySource::open(path.as_ref(), stream)?))
}

/// A stream of a log.
#[derive(Debug)]
struct ReplaySource {
    path: PathBuf,
    log: LogReader,
    stream: StreamId,
    format: Format,
    /// When the log begins.
    start: Timestamp,
    /// Frames delivered.
    seq: u64,
}

impl ReplaySource {
    fn open(path: &Path, stream: &str) -> Result<Self, SourceError> {
        let mut log = LogReader::open(path).map_err(|e| misconfigured(path, &e.to_string()))?;
        let found = log.streams().iter().position(|(id, _)| id.as_str() == stream);
        let Some(index) = found else {
            let names: Vec<_> = log.streams().iter().map(|(id, _)| id.as_str()).collect();
            let has = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            return Err(misconfigured(path, &format!("no stream {stream:?}, it has {has}")));
        };
        let (stream, format) = log.streams()[index].clone();
        let start = log.span().map_or(Timestamp::ZERO, |span| span.start);
        log.select(index);
        Ok(Self {
            path: path.to_owned(),
            log,
            stream,
            format,
            start,
            seq: 0,
        })
    }
}

/// `why`, after the name of the log where it is not named already.
fn misconfigured(path: &Path, why: &str) -> SourceError {
    let path = path.display().to_string();
    let message = if why.contains(&path) {
        why.to_owned()
    } else {
        format!("{path}: {why}")
    };
    SourceError::new(ErrorKind::Misconfigured, message)
}

impl Source for ReplaySource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, _timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let frame = self.log.next().map_err(|e| misconfigured(&self.path, &e.to_string()))?;
        let frame = frame.ok_or_else(SourceError::ended)?;
        let seq = self.seq;
        self.seq += 1;
        Ok(Reading::Frame(Frame {
            seq,
            captured: Timestamp::ZERO.after(frame.captured.since(self.start)),
            calibrating: frame.calibrating,
            data: frame.data,
        }))
    }
}
