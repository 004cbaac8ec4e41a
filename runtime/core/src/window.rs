//! A stretch of one stream, cut out of its ring, ready to be encoded.

use crate::{Format, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The name of a stream, as in `/camera/front`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// The stream called `name`.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(Arc::from(name.as_ref()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for StreamId {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0.to_string()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The frames of one stream captured within `span`, in order of capture. Buffers are reused: see [`Window::clear`].
#[derive(Debug, Clone)]
pub struct Window {
    /// Where it comes from.
    pub stream: StreamId,
    /// What the bytes mean.
    pub format: Format,
    /// The stretch asked for.
    pub span: Span,
    /// Part of `span` that data covers, 0 to 1. Windows below a detector's minimum are not judged.
    pub coverage: f32,
    frames: Vec<(Timestamp, usize)>,
    bytes: Vec<u8>,
}

impl Window {
    /// An empty window of `stream`.
    pub fn new(stream: StreamId, format: Format) -> Self {
        Self {
            stream,
            format,
            span: Span::default(),
            coverage: 0.0,
            frames: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Forgets the frames, keeps the buffers.
    pub fn clear(&mut self, span: Span) {
        self.span = span;
        self.coverage = 0.0;
        self.frames.clear();
        self.bytes.clear();
    }

    /// Appends a frame given in pieces (a ring's storage wraps). Allocates only while the buffers still grow.
    pub fn push(&mut self, captured: Timestamp, pieces: &[&[u8]]) {
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        self.frames.push((captured, self.bytes.len()));
    }

    /// The frames with their capture times, oldest first.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = (Timestamp, &[u8])> + ExactSizeIterator {
        (0..self.frames.len()).map(|i| {
            let start = if i == 0 { 0 } else { self.frames[i - 1].1 };
            (self.frames[i].0, &self.bytes[start..self.frames[i].1])
        })
    }

    /// All bytes, frame after frame.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
