//! A device lab without devices: emulated sensors behind real device nodes.
//!
//! [`bus`] says what an emulated chip is; [`chip`] holds the chips.

pub mod bus;
pub mod chip;
