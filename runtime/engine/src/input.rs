//! Frames of several streams in order of capture.

use sensebind_core::{ErrorKind, Format, Reading, Source, SourceError, StreamId, Timestamp};
use std::time::Duration;

/// One step of an input.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Index into [`Input::streams`].
    pub stream: usize,
    /// When it was captured.
    pub captured: Timestamp,
    /// Whether the sensor was calibrating itself: such a frame is not judged.
    pub calibrating: bool,
    /// Bytes as the stream's format says.
    pub data: &'a [u8],
}

/// The input broke off; what came before it stays valid.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InputError(pub String);

/// Several streams, merged by capture time.
pub trait Input {
    /// The streams, known up front and constant.
    fn streams(&self) -> &[(StreamId, Format)];

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// When the input breaks off.
    fn next(&mut self) -> Result<Option<Item<'_>>, InputError>;
}

/// Merges finite sources by capture time, then by stream name: the same order on every run.
pub struct Merged {
    streams: Vec<(StreamId, Format)>,
    heads: Vec<Head>,
    current: Option<usize>,
}

struct Head {
    source: Box<dyn Source>,
    captured: Timestamp,
    calibrating: bool,
    data: Vec<u8>,
    state: HeadState,
}

#[derive(PartialEq)]
enum HeadState {
    Stale,
    Full,
    Ended,
}

impl std::fmt::Debug for Merged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merged")
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

impl Merged {
    /// Merges `sources`. They must be finite: a source that blocks holds up the others.
    pub fn new(mut sources: Vec<Box<dyn Source>>) -> Self {
        sources.sort_by(|a, b| a.stream().cmp(b.stream()));
        let streams = sources.iter().map(|s| (s.stream().clone(), *s.format())).collect();
        let heads = sources
            .into_iter()
            .map(|source| Head {
                source,
                captured: Timestamp::ZERO,
                calibrating: false,
                data: Vec::new(),
                state: HeadState::Stale,
            })
            .collect();
        Self {
            streams,
            heads,
            current: None,
        }
    }
}

impl Head {
    fn refill(&mut self) -> Result<(), SourceError> {
        while self.state == HeadState::Stale {
            match self.source.read(Duration::ZERO) {
                Ok(Reading::Frame(frame)) => {
                    self.captured = frame.captured;
                    self.calibrating = frame.calibrating;
                    self.data.clear();
                    self.data.extend_from_slice(frame.data);
                    self.state = HeadState::Full;
                }
                Ok(Reading::NoData { .. } | Reading::Waiting) => {}
                Err(e) if e.kind == ErrorKind::Ended => self.state = HeadState::Ended,
                Err(e) => {
                    self.state = HeadState::Ended;
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}

impl Input for Merged {
    fn streams(&self) -> &[(StreamId, Format)] {
        &self.streams
    }

    fn next(&mut self) -> Result<Option<Item<'_>>, InputError> {
        if let Some(taken) = self.current.take() {
            self.heads[taken].state = HeadState::Stale;
        }
        for head in &mut self.heads {
            head.refill()
                .map_err(|e| InputError(format!("{}: {e}", head.source.stream())))?;
        }
        let first = (0..self.heads.len())
            .filter(|&i| self.heads[i].state == HeadState::Full)
            .min_by_key(|&i| (self.heads[i].captured, i));
        self.current = first;
        Ok(first.map(|stream| {
            let head = &self.heads[stream];
            Item {
                stream,
                captured: head.captured,
                calibrating: head.calibrating,
                data: &head.data,
            }
        }))
    }
}
