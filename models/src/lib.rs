//! Encoder families and packs: windows in, unit vectors out.
//!
//! * [`input`]: what sensors deliver → the numbers a graph reads.
//! * [`manifest`]: what `pack.toml` says — the contract between an imported model and the runtime.

pub mod input;
pub mod manifest;
