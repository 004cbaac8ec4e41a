//! A device lab without devices: emulated sensors behind real device nodes.
//!
//! [`bus`] says what an emulated chip is; [`chip`] holds the chips; [`hal`] shows them to chip drivers directly.

pub mod bus;
pub mod chip;
pub mod hal;
