//! A device lab without devices: emulated sensors behind real device nodes.
//!
//! [`bus`] says what an emulated chip is; [`chip`] holds the chips. [`vm`] boots a virtual machine with the kernel's
//! own drivers; inside it, [`usb`] plugs emulated devices in and [`guest`] finds their nodes.

pub mod bus;
pub mod chip;
pub mod guest;
pub mod usb;
pub mod vm;
