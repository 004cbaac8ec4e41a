//! Emulated USB devices on the kernel's own virtual host controller: the drivers above it are the real ones.
//!
//! [`device`] says what an emulated device is, [`vhci`] plugs it in; [`uvc`] is a camera, [`i2c_tiny`] an adapter that
//! any [`I2cChip`](crate::bus::I2cChip) hangs on. They work inside the virtual machine ([`crate::guest`]), as root.

pub mod device;
pub mod i2c_tiny;
pub mod uvc;
pub mod vhci;
