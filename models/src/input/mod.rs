//! Input recipes: what sensors deliver → the numbers a graph reads.
//!
//! Every recipe is a pure function of the sensor's bytes and of the recipe that the pack's manifest states; training
//! and the runtime call the same code. A *preparer* is such a function with its tables computed and its buffers
//! allocated: build it once per stream, call it per frame. All of them *append* to a `Vec<f32>`, so that a batch is
//! built without copies, and append nothing when they fail.
//!
//! | sense | preparer | takes | appends |
//! | --- | --- | --- | --- |
//! | image | [`ImagePreparer`] | [`Rgb8`] | `[3, size, size]` |
//! | video | [`VideoPreparer`] | [`Rgb8`] frames | `[crops, 3, frames, size, size]` |
//! | audio | [`LogMel`] | mono f32 at the recipe's rate | `[mels, frames]` |
//! | text | [`Tokenizer`] | a phrase | token ids |
//! | depth | [`DepthPreparer`] | counts or metres | `[1, size, size]` |
//! | thermal | [`ThermalPreparer`] | counts, kelvin or 8-bit grey | `[1, size, size]` |
//! | imu | [`ImuPreparer`] | timed samples | `[6, samples]` |
//!
//! Numbers for image, video, audio and text are those of ImageBind's published loaders, specified in words and checked
//! against golden vectors. No loader was ever published for depth, thermal and IMU: there the pack's manifest holds the
//! constants, with their provenance beside them.

mod bicubic;
mod clips;
mod depth;
mod error;
mod geometry;
mod image;
mod imu;
mod log_mel;
mod picture;
mod plane;
mod resample;
mod sound;
mod text;
mod text_cleaning;
mod thermal;
mod video;
mod ycbcr;

pub use clips::clip_ranges;
pub use depth::DepthPreparer;
pub use error::InputError;
pub use image::ImagePreparer;
pub use imu::{IMU_MAX_GAP_S, ImuPreparer};
pub use log_mel::LogMel;
pub(crate) use picture::check_sides;
pub use picture::{GreyPicture, MAX_PIXELS, Rgb8, decode, decode_grey_png};
pub use resample::{MAX_RATE_HZ, Resampler};
pub use sound::first_channel;
pub use text::Tokenizer;
pub use thermal::{MAX_DEAD_FRACTION, ThermalPreparer};
pub use video::{VideoPreparer, evenly_spaced};
