//! Sensor drivers: bytes and capture times in, nothing else.
//!
//! One file per device, kernel interface or file format, all in the same order: what it is and how its addresses look,
//! the driver, the source, what only this file needs, tests. [`DRIVERS`] lists them; a new driver is one file and one
//! line here, and `tests/contract.rs` holds it to what the traits promise.
//!
//! ```
//! use sensebind_core::Driver;
//!
//! let scene = sensebind_drivers::find("scene").expect("listed below");
//! let sources = scene.open("7:10").expect("seed 7, ten seconds");
//! assert_eq!(sources.len(), 5);
//! ```

use sensebind_core::Driver;

pub mod audio_file;
pub mod picture_folder;
pub mod scene;
pub mod sound_collection;

/// Every driver, by name.
pub static DRIVERS: &[&dyn Driver] = &[&audio_file::AudioFile, &picture_folder::PictureFolder, &scene::Scene];

/// The driver called `name`.
pub fn find(name: &str) -> Option<&'static dyn Driver> {
    DRIVERS.iter().copied().find(|driver| driver.name() == name)
}
