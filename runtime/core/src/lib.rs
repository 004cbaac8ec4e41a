//! The words every Sensebind crate speaks, in the order data flows.
//!
//! ```text
//! Source ─► Frame ─► (ring) ─► Window ─► Encoder ─► Embedding ─► (space) ─► Event
//! ```
//!
//! This crate holds types and traits only: no I/O, no clock, no threads. Everything else depends on it and it depends
//! on nothing of ours, so a driver or an encoder written elsewhere needs this crate alone.
//!
//! * [`time`]: [`Timestamp`] and [`Span`], nanoseconds of one host clock.
//! * [`format`](mod@format): what the bytes of a stream mean, settled once when its source opens.
//! * [`clock`]: the host [`Clock`], and how device clocks lie to it.
//! * [`clock_map`]: how that is found, [`ClockMap`].
//! * [`frame`]: the [`Source`] trait and what a source yields.
//! * [`driver`]: the [`Driver`] trait: who opens sources.
//! * [`window`]: a stretch of one stream, ready to be encoded.
//! * [`embedding`]: the [`Encoder`] trait, unit vectors and the [`SpaceId`] that says which may be compared.
//! * [`event`]: what comes out.

pub mod clock;
pub mod clock_map;
pub mod driver;
pub mod embedding;
pub mod event;
pub mod format;
pub mod frame;
pub mod time;
pub mod window;

pub use clock::{Clock, ClockFix};
pub use clock_map::{ClockMap, ClockMapSpec};
pub use driver::{Driver, Found, Settings};
pub use embedding::{Embedding, EmbeddingError, EncodeError, Encoder, EncoderSpec, SpaceId};
pub use event::{Event, Evidence, Phase};
pub use format::{AudioSample, DepthUnit, Format, PixelLayout, Sense, ThermalUnit};
pub use frame::{ErrorKind, Frame, Reading, Source, SourceError};
pub use time::{Span, Timestamp};
pub use window::{StreamId, Window};
