//! A live run's log: frames, events, states and clocks.

use crate::exit::{Exit, Failure, OrExit};
use sensebind_core::{Clock, ClockFix, Event, Format, Frame, Phase, StreamId, Timestamp};
use sensebind_engine::live::{Health, Recorder, RecorderError};
use sensebind_record::LogWriter;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How often a log that may grow to a bound is measured: every so many frames.
const MEASURE_EVERY: u64 = 64;

/// A log being written.
pub struct Recording {
    log: LogWriter<BufWriter<File>>,
    path: PathBuf,
    max_bytes: Option<u64>,
    frames: u64,
}

impl Recording {
    /// Creates the log, or empties it, and notes what the host's clock reads on the wall.
    ///
    /// # Errors
    /// With [`Exit::Failure`] when it cannot be written.
    pub fn create(path: &Path, max_bytes: Option<u64>, clock: &Arc<dyn Clock>) -> Result<Self, Failure> {
        let mut log = LogWriter::create(path).or_exit(Exit::Failure)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the log says which wall time its clock belongs to; nothing is decided by it"
        )]
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ns = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
        log.write_wall_clock(clock.now(), unix_ns).or_exit(Exit::Failure)?;
        Ok(Self {
            log,
            path: path.to_owned(),
            max_bytes,
            frames: 0,
        })
    }

    fn fault(&self, why: impl std::fmt::Display) -> RecorderError {
        RecorderError(format!("{}: {why}", self.path.display()))
    }

    fn check_size(&mut self) -> Result<(), RecorderError> {
        self.frames += 1;
        let Some(max) = self.max_bytes.filter(|_| self.frames.is_multiple_of(MEASURE_EVERY)) else {
            return Ok(());
        };
        let bytes = std::fs::metadata(&self.path).map(|m| m.len()).unwrap_or(0);
        if bytes >= max {
            return Err(self.fault(format!("the log has reached its bound of {max} bytes")));
        }
        Ok(())
    }
}

impl Recorder for Recording {
    fn frame(&mut self, stream: &StreamId, format: &Format, frame: &Frame<'_>) -> Result<(), RecorderError> {
        self.check_size()?;
        self.log.write(stream, format, frame).map_err(|e| self.fault(e))
    }

    fn clock(&mut self, stream: &StreamId, at: Timestamp, fix: &ClockFix) -> Result<(), RecorderError> {
        self.log.write_clock(stream, at, fix).map_err(|e| self.fault(e))
    }

    fn event(&mut self, event: &Event) -> Result<(), RecorderError> {
        match event.phase {
            Phase::Update => Ok(()),
            Phase::Begin | Phase::End => self.log.write_event(event).map_err(|e| self.fault(e)),
        }
    }

    fn health(&mut self, health: &Health) -> Result<(), RecorderError> {
        self.log
            .write_health(health.at, &health.stream, health.state.name(), &health.why)
            .map_err(|e| self.fault(e))
    }

    fn flush(&mut self) -> Result<(), RecorderError> {
        self.log.flush().map_err(|e| self.fault(e))
    }

    fn finish(self: Box<Self>) -> Result<(), RecorderError> {
        let Self { log, path, .. } = *self;
        log.finish()
            .map(drop)
            .map_err(|e| RecorderError(format!("{}: {e}", path.display())))
    }
}
