//! What comes out: named events with their evidence. The JSON form is a contract (docs/SPECIFICATION.md).

use crate::{Sense, SpaceId, Span, StreamId, Timestamp};
use serde::{Deserialize, Serialize};

/// Where in its life an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has just been detected.
    Begin,
    /// It goes on; score and evidence are fresh.
    Update,
    /// It is over; `end_ns` is set.
    End,
}

/// How much one stream supports an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The stream.
    pub stream: StreamId,
    /// Its sense.
    pub sense: Sense,
    /// Log-odds of the prompt against the contrast set, from this stream alone.
    pub score: f32,
}

/// One line of the event file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Where in its life the event is.
    #[serde(rename = "type")]
    pub phase: Phase,
    /// Counts events of one run from 1; the same in all lines of one event.
    pub id: u64,
    /// The label of the prompt that matched.
    pub label: String,
    /// When it began, nanoseconds on the host clock.
    pub start_ns: Timestamp,
    /// When it ended; `null` while it lasts.
    pub end_ns: Option<Timestamp>,
    /// Fused log-odds; the highest so far.
    pub score: f32,
    /// What each stream contributed at the highest score, strongest first.
    pub evidence: Vec<Evidence>,
    /// The space prompts and windows were compared in.
    pub space: SpaceId,
}

impl Event {
    /// From its beginning to its end, or to `now` while it lasts.
    pub fn span(&self, now: Timestamp) -> Span {
        Span::new(self.start_ns, self.end_ns.unwrap_or(now))
    }
}
