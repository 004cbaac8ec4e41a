//! A small simulated world that renders five senses consistently.
//!
//! A [`Timeline`] says what happens when; a [`World`] gives the surroundings and renders any moment of it for a
//! camera, a microphone, a thermal camera, a depth camera and an inertial unit. Everything is a function of seeds and
//! time: no clock, no hidden state, any moment in any order, the same bytes on every machine.
//!
//! ```
//! use sensebind_scene::{CAMERA_SIZE, Timeline, World};
//!
//! let world = World::new(7, Timeline::demo(7));
//! let (mut picture, mut sound) = (Vec::new(), vec![0.0; 32_000]);
//! world.camera(4.0, CAMERA_SIZE, &mut picture);
//! world.audio(4 * 16_000, &mut sound);
//! assert_eq!(picture.len(), 160 * 120 * 3);
//! ```
//!
//! The three cameras paint one list of patches, each with a colour, a temperature and a distance (`patch`, `bodies`),
//! so what one sees the others see in the same place.

mod audio;
mod bodies;
mod camera;
pub mod captions;
mod chance;
mod depth;
mod happening;
mod imu;
mod numeric;
mod patch;
mod raster;
mod stage;
mod thermal;
mod timeline;
mod world;

pub use happening::{Happening, Sense};
pub use timeline::{Occurrence, Timeline};
pub use world::{Recordings, World};

/// Width and height of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// The camera's usual size.
pub const CAMERA_SIZE: Size = Size {
    width: 160,
    height: 120,
};
/// The thermal camera's size.
pub const THERMAL_SIZE: Size = Size { width: 80, height: 60 };
/// The depth camera's size.
pub const DEPTH_SIZE: Size = Size { width: 80, height: 60 };
/// Pictures a second of the camera.
pub const CAMERA_RATE_HZ: u32 = 5;
/// Pictures a second of the thermal camera.
pub const THERMAL_RATE_HZ: u32 = 8;
/// Pictures a second of the depth camera.
pub const DEPTH_RATE_HZ: u32 = 5;
/// Samples a second of the microphone.
pub const AUDIO_RATE_HZ: u32 = 16_000;
/// Samples a second of the inertial unit.
pub const IMU_RATE_HZ: u32 = 200;
