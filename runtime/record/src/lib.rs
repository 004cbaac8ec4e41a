//! Sensor logs: MCAP in and out.
//!
//! ```no_run
//! use sensebind_record::LogReader;
//!
//! let mut log = LogReader::open("site.mcap")?;
//! for (stream, format) in log.streams() {
//!     println!("{stream}: {format}");
//! }
//! while let Some(frame) = log.next()? {
//!     println!("{} {} bytes of stream {}", frame.captured, frame.data.len(), frame.stream);
//! }
//! eprintln!("{}", log.loss());
//! # Ok::<(), sensebind_record::RecordError>(())
//! ```
//!
//! # What a log holds
//! A message's `log_time` is the capture time; one clock for all streams of a log.
//!
//! | Stream | Topic | Schema, encoding |
//! |---|---|---|
//! | image, compressed | `/<stream>/image` | `foxglove.CompressedImage` (protobuf), the JPEG or PNG file as it is |
//! | image, raw | `/<stream>/image` | `foxglove.RawImage`: `rgb8`, `bgr8`, `mono8`, `yuyv` (4:2:2), `nv12` (4:2:0, two planes, `step` = width) |
//! | thermal | `/<stream>/image` | `foxglove.RawImage`: `mono16` counts, `mono8` after gain control, `32FC1` kelvin |
//! | depth | `/<stream>/image` | `foxglove.RawImage`: `16UC1` counts, `32FC1` metres |
//! | sound | `/<stream>/audio` | `foxglove.RawAudio`: `pcm-s16` |
//! | IMU | `/<stream>/imu` | `sensor_msgs/msg/Imu` (cdr, ros2msg) |
//! | events | `/events` | `foxglove.Event` |
//! | what really happened | `/truth` | `foxglove.Event` |
//! | clocks of sensors | `/clocks` | `sensebind.ClockFix` (json, jsonschema) |
//! | the calendar | `/wall_clock` | `sensebind.WallClock` (json, jsonschema) |
//! | states of sensors | `/health` | `sensebind.Health` (json, jsonschema) |
//!
//! Frames that a sensor took while it calibrated itself have a channel of their own beside the others of their stream:
//! same topic and schema, metadata `calibrating = true`.
//!
//! What a schema has no field for stands in the channel's metadata ([`keys`]). [`LogReader`] also reads what ROS 2
//! bags hold; see there.

mod cdr;
mod chunk;
mod encode;
mod error;
mod frame;
mod index;
mod journal;
mod labels;
mod loss;
mod reader;
mod topic;
mod writer;

pub use error::RecordError;
pub use journal::{LoggedClock, LoggedHealth, LoggedWallClock};
pub use loss::Loss;
pub use reader::{LogFrame, LogReader, ReadOptions};
pub use topic::keys;
pub use writer::LogWriter;
