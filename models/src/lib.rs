//! Encoder families and packs: windows in, unit vectors out.
//!
//! * [`manifest`]: what `pack.toml` says — the contract between an imported model and the runtime.

pub mod manifest;
