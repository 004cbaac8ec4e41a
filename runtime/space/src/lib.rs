//! Prompts, scores and the detector: pure, no clock, no I/O.
//!
//! ```text
//! prompts.toml ─► PromptFile ─► PromptSet ─┐
//!                                          ▼
//!                        Embedding ─► scores (log-odds) ─► Detector ─► Event
//! ```
//!
//! * [`prompts`]: `prompts.toml`, the file a person writes.
//! * [`rules`]: the numbers that turn scores into events, and their defaults.
//! * [`set`]: [`PromptSet`]; what a score is.
//! * [`calibration`]: what was measured about scores, per pack and per site.
//! * [`detector`]: [`Detector`]; how scores of several streams become events.
//! * [`classify`]: plain zero-shot ranking, for evaluation.

pub mod calibration;
pub mod classify;
pub mod detector;
mod fusion;
mod parse;
pub mod prompts;
pub mod rules;
pub mod set;
mod track;

pub use calibration::{Calibration, CalibrationError, SenseCalibration};
pub use classify::{Ranked, zero_shot};
pub use detector::{Counters, Detector, Scored};
pub use prompts::{EventPrompts, PromptError, PromptFile};
pub use rules::{DetectorRules, EventRules, SenseRules};
pub use set::{PromptSet, SpaceMismatch};
