//! Capture and perceive, free of I/O: the path from frames to events.
//!
//! ```text
//! Input ─► Capture (ring, windows, accounts) ─► Perceive (encode, score, detect) ─► Observer
//! ```
//!
//! * [`input`]: frames of several streams in order of capture.
//! * [`account`]: where every frame went; `captured = processed + dropped(reason)` at every moment.
//! * [`stream`]: one stream's ring, windows and ledger.
//! * [`capture`]: several streams captured together.
//! * [`perceive`]: encoders, prompts and detector.
//! * [`offline`]: the loop that replays a finite input, exactly and as fast as it can.
//! * [`live`]: threads around sensors that are attached now.
//!
//! Names no driver and no model: both come in as traits of `sensebind-core`.

pub mod account;
pub mod capture;
pub mod input;
pub mod live;
pub mod offline;
pub mod perceive;
pub mod stream;

pub use account::{Account, DropReason, WindowAccount};
pub use capture::Capture;
pub use input::{Input, InputError, Item, Merged};
pub use offline::{Observer, Summary, replay};
pub use perceive::{DEFAULT_MIN_COVERAGE, Perceive, PerceiveError};
pub use stream::{CaptureError, Cutting, Ledger};
