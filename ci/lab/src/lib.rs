//! A device lab without devices: emulated sensors behind real device nodes.
//!
//! [`bus`] says what an emulated chip is; [`chip`] holds the chips; [`hal`] shows them to chip drivers directly. A [`Lab`]
//! puts them behind nodes of a FUSE file system on the host's own kernel, at native speed: unmodified clients open, map,
//! poll and `ioctl` them, from this process or another, without `LD_PRELOAD`. [`vm`] boots a virtual machine with the
//! kernel's own drivers; inside it, [`usb`] plugs emulated devices in and [`guest`] finds their nodes. [`alsa`] is a
//! microphone without a sound card.
//!
//! ```no_run
//! use std::sync::{Arc, Mutex};
//! use sensebind_lab::bus::{I2cChip, Nack};
//! use sensebind_lab::Lab;
//!
//! #[derive(Debug, Default)]
//! struct Thermometer { celsius: u8 }
//!
//! impl I2cChip for Thermometer {
//!     fn write(&mut self, _bytes: &[u8]) -> Result<(), Nack> { Ok(()) }
//!     fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> { into.fill(self.celsius); Ok(()) }
//! }
//!
//! let lab = match Lab::new() {
//!     Ok(lab) => lab,
//!     Err(why) => { eprintln!("SKIPPED: thermometer: {why}"); return; }
//! };
//! let chip = Arc::new(Mutex::new(Thermometer { celsius: 20 }));
//! let bus = lab.i2c("i2c-1", vec![(0x48, Box::new(Arc::clone(&chip)))]);
//! // The code under test opens bus.path(); meanwhile the test warms the chip, pulls the adapter, puts it back.
//! chip.lock().unwrap().celsius = 21;
//! bus.nack_next(2);
//! bus.unplug();
//! bus.replug();
//! ```
//!
//! A camera is a [`CameraSpec`] and a picture, an IIO device an [`IioSpec`] and its values:
//!
//! ```no_run
//! # use sensebind_lab::{CameraMode, CameraSpec, IioSpec, Lab, PixelFormat, ScanType};
//! # fn main() -> Result<(), sensebind_lab::Unavailable> {
//! let lab = Lab::new()?;
//! let spec = CameraSpec::new(CameraMode::new(PixelFormat::Z16, 320, 240, 30).also_at(15));
//! let camera = lab.camera("video0", spec, |shot, bytes| {
//!     for pixel in bytes.chunks_exact_mut(2) {
//!         pixel.copy_from_slice(&(1000 + shot.sequence as u16).to_le_bytes());
//!     }
//!     bytes.len()
//! });
//! camera.drop_frames(3);
//! let s16 = ScanType::signed(16, 16, 0);
//! let spec = IioSpec::new("bmi160", 200.0).channel("in_accel_x", s16).attribute("in_accel_scale", "0.000598");
//! let imu = lab.iio(0, spec, |scan, values| values.fill(scan as i64 % 100));
//! println!("{} {}", imu.folder().display(), imu.path().display());
//! # Ok(())
//! # }
//! ```
//!
//! Frames, scans and samples keep to a schedule on `CLOCK_MONOTONIC` and are stamped with it, so that a busy machine
//! delays them but moves no stamp.
//!
//! # What differs from a real device
//! - Nodes are regular files, not character devices: a client that checks the file type refuses them (v4l2-ctl does), and
//!   `stat` gives no device number. Clients that only open, map, poll and `ioctl` see no difference.
//! - The lab reads the caller's memory as a debugger would: run both as one user, or the lab as root. A client must be a
//!   64-bit process.
//! - Whether a file blocks is taken from how it was opened; a later `F_SETFL` is not seen.
//! - A process that serves a lab and is killed while a thread of its own blocks in an `ioctl` or `read` on it lingers, as
//!   any FUSE server that waits for itself does, until the next lab unmounts what it left. Clients that poll first, and
//!   clients in other processes, do not.
//! - It tests our code, not the kernel's: limits and error numbers here are written from the kernel's sources.

pub mod alsa;
pub mod bus;
mod caller;
mod camera;
mod channel;
pub mod chip;
mod clock;
pub mod guest;
pub mod hal;
mod i2c;
mod iio;
mod lab;
mod lock;
mod mount;
mod node;
mod plug;
mod session;
mod smbus;
mod spi;
mod tree;
pub mod usb;
pub mod vm;
mod wire;

pub use camera::{Camera, CameraCounts, CameraMode, CameraSpec, Interval, PixelFormat, Shot};
pub use i2c::I2cBus;
pub use iio::{Iio, IioSpec, ScanType};
pub use lab::Lab;
pub use mount::Unavailable;
pub use nix::errno::Errno;
pub use spi::SpiDevice;
