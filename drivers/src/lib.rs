//! Sensor drivers: bytes and capture times in, nothing else.
//!
//! One file per device, kernel interface or file format, all in the same order: what it is, its settings, the driver, the
//! source, what only this file needs, tests. [`DRIVERS`] lists them; a new driver is one file and one line here, and
//! `tests/contract.rs` holds it to what the traits promise.
//!
//! ```
//! use sensebind_core::{Clock, StreamId};
//! use sensebind_drivers::host_clock::HostClock;
//! use std::sync::Arc;
//!
//! let scene = sensebind_drivers::find("scene").expect("listed below");
//! let settings = toml::toml! {
//!     seed = 7
//!     sensor = "thermal"
//!     seconds = 10
//! };
//! let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
//! let source = scene.open(&StreamId::new("thermal"), &settings, &clock)?;
//! assert_eq!(source.format().rate_hz(), 8.0);
//! # Ok::<(), sensebind_core::SourceError>(())
//! ```

use sensebind_core::Driver;

pub mod amg8833;
pub mod audio_file;
mod bus;
pub mod depth_v4l2;
pub mod host_clock;
mod iio;
pub mod iio_imu;
pub mod imu_chip;
pub mod lepton;
pub mod microphone;
pub mod mlx90640;
mod orientation;
mod paced;
pub mod picture_folder;
pub mod replay;
pub mod scene;
mod settings;
mod sound;
pub mod sound_collection;
mod thermal_array;
pub mod thermal_uvc;
mod v4l2;
pub mod v4l2_camera;

/// Every driver, by name.
pub static DRIVERS: &[&dyn Driver] = &[
    &amg8833::Amg8833,
    &audio_file::AudioFile,
    &depth_v4l2::DepthV4l2,
    &iio_imu::IioImu,
    &imu_chip::ImuChip,
    &lepton::Lepton,
    &microphone::Microphone,
    &mlx90640::Mlx90640,
    &picture_folder::PictureFolder,
    &replay::Replay,
    &scene::Scene,
    &thermal_uvc::ThermalUvc,
    &v4l2_camera::V4l2Camera,
];

/// The driver called `name`.
pub fn find(name: &str) -> Option<&'static dyn Driver> {
    DRIVERS.iter().copied().find(|driver| driver.name() == name)
}
