//! The bounded history of one stream, and windows cut from it.
//!
//! ```text
//! Source ─► Ring::push ─► Planner::next (which stretch?) ─► Ring::cut ─► Window
//! ```
//!
//! * [`capacity`]: how much a ring must hold to look back a given time.
//! * [`ring`]: [`Ring`], which keeps the newest frames and counts what it lets go.
//! * [`cut`](mod@cut): what a window holds and what its coverage means, per sense.
//! * [`plan`]: [`Planner`], which puts window ends on one time grid shared by all streams.
//!
//! No clock, no threads, no I/O; after construction nothing allocates once a window's buffers have grown.

pub mod capacity;
pub mod cut;
pub mod plan;
pub mod ring;

pub use capacity::Capacity;
pub use plan::{PlanError, Planner, WindowPlan};
pub use ring::{Counters, PushError, Pushed, Ring, RingError};
