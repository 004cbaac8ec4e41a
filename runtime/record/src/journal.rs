//! `/clocks`, `/wall_clock` and `/health`: what a run knew about its sensors, as JSON with a schema.

use sensebind_core::{ClockFix, StreamId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A point of the mapping from a sensor's own clock to the log's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedClock {
    /// When it was found.
    #[serde(skip)]
    pub at: Timestamp,
    /// The stream of the sensor.
    pub stream: StreamId,
    /// The point, and the line through it.
    #[serde(flatten)]
    pub fix: ClockFix,
}

/// What the calendar said at a moment of the log's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedWallClock {
    /// The moment.
    #[serde(skip)]
    pub at: Timestamp,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: u64,
}

/// A sensor's state, from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedHealth {
    /// The moment.
    #[serde(skip)]
    pub at: Timestamp,
    /// The stream of the sensor.
    pub stream: StreamId,
    /// One word for the state, as whoever recorded put it.
    pub state: String,
    /// The reason, for a person.
    pub why: String,
}

/// A message that stands in a log beside frames. Its time is the log time and not in the JSON.
pub(crate) trait Entry: Serialize + DeserializeOwned {
    const TOPIC: &'static str;
    const SCHEMA: &'static str;
    /// The JSON schema.
    const DEFINITION: &'static str;

    fn at(&self) -> Timestamp;

    /// The same entry, logged `at`.
    fn logged(self, at: Timestamp) -> Self;
}

/// Whether messages of that topic and schema are entries.
pub(crate) fn is_entry(topic: &str, schema: &str) -> bool {
    [
        (LoggedClock::TOPIC, LoggedClock::SCHEMA),
        (LoggedWallClock::TOPIC, LoggedWallClock::SCHEMA),
        (LoggedHealth::TOPIC, LoggedHealth::SCHEMA),
    ]
    .contains(&(topic, schema))
}

impl Entry for LoggedClock {
    const TOPIC: &'static str = "/clocks";
    const SCHEMA: &'static str = "sensebind.ClockFix";
    const DEFINITION: &'static str = include_str!("clock.schema.json");

    fn at(&self) -> Timestamp {
        self.at
    }

    fn logged(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }
}

impl Entry for LoggedWallClock {
    const TOPIC: &'static str = "/wall_clock";
    const SCHEMA: &'static str = "sensebind.WallClock";
    const DEFINITION: &'static str = include_str!("wall_clock.schema.json");

    fn at(&self) -> Timestamp {
        self.at
    }

    fn logged(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }
}

impl Entry for LoggedHealth {
    const TOPIC: &'static str = "/health";
    const SCHEMA: &'static str = "sensebind.Health";
    const DEFINITION: &'static str = include_str!("health.schema.json");

    fn at(&self) -> Timestamp {
        self.at
    }

    fn logged(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }
}
