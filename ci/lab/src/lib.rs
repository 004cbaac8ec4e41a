//! A device lab without devices: emulated sensors behind real device nodes.
//!
//! [`bus`] says what an emulated chip is; [`chip`] holds the chips. [`alsa`] is a microphone without a sound card.

pub mod alsa;
pub mod bus;
pub mod chip;
