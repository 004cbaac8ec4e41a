//! Plays a recorded or simulated source along with the host clock, as if its sensor were attached now.

use sensebind_core::{Clock, Format, Frame, Reading, Source, SourceError, StreamId, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A finite source whose time zero is the run's epoch. A frame comes out when its capture time has come (a packet of sound
/// when its last sample has), late frames at once.
pub(crate) struct Paced {
    source: Box<dyn Source>,
    stream: StreamId,
    clock: Arc<dyn Clock>,
    /// A frame read from the source that is not due yet.
    next: Option<Next>,
    data: Vec<u8>,
}

#[derive(Debug)]
struct Next {
    seq: u64,
    captured: Timestamp,
    calibrating: bool,
    due: Timestamp,
}

impl Paced {
    /// `source` as `stream`.
    pub fn new(source: Box<dyn Source>, stream: &StreamId, clock: &Arc<dyn Clock>) -> Self {
        Self {
            source,
            stream: stream.clone(),
            clock: Arc::clone(clock),
            next: None,
            data: Vec::new(),
        }
    }

    fn fill(&mut self) -> Result<Option<Next>, SourceError> {
        let Reading::Frame(frame) = self.source.read(Duration::ZERO)? else {
            return Ok(None);
        };
        self.data.clear();
        self.data.extend_from_slice(frame.data);
        let captured = self.clock.epoch().after(frame.captured.since(Timestamp::ZERO));
        let (seq, calibrating) = (frame.seq, frame.calibrating);
        let length = match *self.source.format() {
            Format::Audio { rate_hz, .. } => {
                let samples = self.data.len() / self.source.format().audio_sample_bytes().max(1);
                Duration::from_secs_f64(samples as f64 / f64::from(rate_hz.max(1)))
            }
            _ => Duration::ZERO,
        };
        Ok(Some(Next {
            seq,
            captured,
            calibrating,
            due: captured.after(length),
        }))
    }
}

impl Source for Paced {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        self.source.format()
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        if self.next.is_none() {
            self.next = self.fill()?;
        }
        let patience = self.clock.now().after(timeout);
        let Some(next) = self.next.take_if(|next| next.due <= patience) else {
            self.clock.wait_until(patience);
            return Ok(Reading::Waiting);
        };
        self.clock.wait_until(next.due);
        Ok(Reading::Frame(Frame {
            seq: next.seq,
            captured: next.captured,
            calibrating: next.calibrating,
            data: &self.data,
        }))
    }
}

impl fmt::Debug for Paced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paced")
            .field("stream", &self.stream)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
