//! Which topic, schema and metadata a stream has in a log, and back.

use sensebind_core::{DepthUnit, Format, PixelLayout, Sense, StreamId, ThermalUnit};
use std::collections::BTreeMap;

/// Keys of a channel's metadata: what its schema has no field for. Written by [`LogWriter`](crate::LogWriter), read
/// where present. Values are decimal text.
pub mod keys {
    /// The stream's name, exactly; without it the name comes from the topic.
    pub const STREAM: &str = "stream";
    /// `image`, `thermal` or `depth`: decides before encoding and topic do.
    pub const SENSE: &str = "sense";
    /// Nominal frames per second (for sound of ROS bags: samples per second).
    pub const RATE_HZ: &str = "rate_hz";
    /// Thermal: kelvin of one count of a 16-bit pixel.
    pub const KELVIN_PER_COUNT: &str = "kelvin_per_count";
    /// Depth: metres of one count of a 16-bit pixel.
    pub const METRES_PER_COUNT: &str = "metres_per_count";
    /// Depth: focal length in pixels.
    pub const FOCAL_PX: &str = "focal_px";
    /// Compressed pictures: pixels per row.
    pub const WIDTH: &str = "width";
    /// Compressed pictures: rows.
    pub const HEIGHT: &str = "height";
    /// `true` on the channel of frames that a sensor took while it calibrated itself; the others of its stream have a
    /// channel without this key.
    pub const CALIBRATING: &str = "calibrating";
    /// Sound of ROS bags: interleaved channels.
    pub const CHANNELS: &str = "channels";
}

/// The topic that carries detected events.
pub(crate) const EVENTS: &str = "/events";
/// The topic that carries what really happened.
pub(crate) const TRUTH: &str = "/truth";

/// Key-value pairs of a channel.
pub(crate) type Metadata = BTreeMap<String, String>;

/// What the messages of a sensor channel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    FoxgloveRawImage,
    FoxgloveCompressedImage,
    FoxgloveRawAudio,
    RosImage,
    RosCompressedImage,
    RosImu,
    RosAudioData,
    RosAudioDataStamped,
}

impl Kind {
    /// Message encoding, schema name, kind. ROS names are those of ROS 2.
    const ALL: [(&str, &str, Self); 8] = [
        ("protobuf", "foxglove.RawImage", Self::FoxgloveRawImage),
        ("protobuf", "foxglove.CompressedImage", Self::FoxgloveCompressedImage),
        ("protobuf", "foxglove.RawAudio", Self::FoxgloveRawAudio),
        ("cdr", "sensor_msgs/msg/Image", Self::RosImage),
        ("cdr", "sensor_msgs/msg/CompressedImage", Self::RosCompressedImage),
        ("cdr", "sensor_msgs/msg/Imu", Self::RosImu),
        ("cdr", "audio_common_msgs/msg/AudioData", Self::RosAudioData),
        (
            "cdr",
            "audio_common_msgs/msg/AudioDataStamped",
            Self::RosAudioDataStamped,
        ),
    ];

    pub(crate) fn of(message_encoding: &str, schema: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(e, s, _)| *e == message_encoding && *s == schema)
            .map(|&(_, _, kind)| kind)
    }
}

/// The topic a stream is written to.
pub(crate) fn of_stream(stream: &StreamId, format: &Format) -> String {
    let kind = match format.sense() {
        Sense::Audio => "audio",
        Sense::Imu => "imu",
        Sense::Image | Sense::Thermal | Sense::Depth | Sense::Text => "image",
    };
    format!("/{}/{kind}", stream.as_str().trim_matches('/'))
}

/// The metadata a stream is written with.
pub(crate) fn metadata_of(stream: &StreamId, format: &Format) -> Metadata {
    let mut metadata = Metadata::from([
        (keys::STREAM.to_owned(), stream.as_str().to_owned()),
        (keys::SENSE.to_owned(), format.sense().name().to_owned()),
    ]);
    let mut set = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    match *format {
        Format::Image {
            width,
            height,
            layout,
            rate_hz,
        } => {
            set(keys::RATE_HZ, rate_hz.to_string());
            if matches!(layout, PixelLayout::Jpeg | PixelLayout::Png) {
                set(keys::WIDTH, width.to_string());
                set(keys::HEIGHT, height.to_string());
            }
        }
        Format::Thermal { unit, rate_hz, .. } => {
            set(keys::RATE_HZ, rate_hz.to_string());
            if let ThermalUnit::KelvinPerCount(kelvin) = unit {
                set(keys::KELVIN_PER_COUNT, kelvin.to_string());
            }
        }
        Format::Depth {
            unit,
            focal_px,
            rate_hz,
            ..
        } => {
            set(keys::RATE_HZ, rate_hz.to_string());
            if let DepthUnit::MetresPerCount(metres) = unit {
                set(keys::METRES_PER_COUNT, metres.to_string());
            }
            if let Some(focal_px) = focal_px {
                set(keys::FOCAL_PX, focal_px.to_string());
            }
        }
        Format::Imu { rate_hz } => {
            set(keys::RATE_HZ, rate_hz.to_string());
        }
        Format::Audio { .. } => {}
    }
    metadata
}

/// Last parts of a topic that say what it carries, not where it comes from.
const CARRIES: &[&str] = &[
    "image",
    "image_raw",
    "image_color",
    "image_mono",
    "image_rect",
    "image_rect_raw",
    "image_rect_color",
    "compressed",
    "audio",
    "audio_stamped",
    "imu",
    "data",
    "data_raw",
];

/// The stream name of a topic: metadata first, else the topic without the parts that only say what it carries
/// (`/camera/front/image_raw/compressed` is `/camera/front`; `/imu/data` is `/imu`).
pub(crate) fn stream_name(topic: &str, metadata: &Metadata) -> String {
    if let Some(name) = metadata.get(keys::STREAM).filter(|name| !name.is_empty()) {
        return name.clone();
    }
    let mut name = topic;
    while let Some((rest, last)) = name.rsplit_once('/') {
        if rest.is_empty() || !CARRIES.contains(&last) {
            break;
        }
        name = rest;
    }
    name.to_owned()
}

/// The sense of uncompressed pictures of `encoding`, by the first rule that fits:
///
/// | Rule | Sense |
/// |---|---|
/// | metadata `sense` | as it says |
/// | one channel, topic contains `thermal`, `lwir`, `flir` or `lepton` | thermal |
/// | `mono16`, topic contains `depth` | depth |
/// | `mono16` | thermal |
/// | `16UC1`, `32FC1` | depth |
/// | anything else | image |
pub(crate) fn raster_sense(encoding: &str, topic: &str, metadata: &Metadata) -> Sense {
    if let Some(sense) = metadata.get(keys::SENSE).and_then(|s| Sense::from_name(s)) {
        return sense;
    }
    let topic = topic.to_ascii_lowercase();
    let one_channel = matches!(encoding, "mono8" | "8UC1" | "mono16" | "16UC1" | "32FC1");
    if one_channel
        && ["thermal", "lwir", "flir", "lepton"]
            .iter()
            .any(|hint| topic.contains(hint))
    {
        return Sense::Thermal;
    }
    match encoding {
        "mono16" if !topic.contains("depth") => Sense::Thermal,
        "mono16" | "16UC1" | "32FC1" => Sense::Depth,
        _ => Sense::Image,
    }
}

/// Whether frames of a channel were taken while the sensor calibrated itself.
pub(crate) fn is_calibrating(metadata: &Metadata) -> bool {
    metadata.get(keys::CALIBRATING).is_some_and(|value| value == "true")
}

/// A positive finite number of the metadata.
pub(crate) fn number(metadata: &Metadata, key: &str) -> Option<f32> {
    metadata
        .get(key)?
        .parse()
        .ok()
        .filter(|x: &f32| x.is_finite() && *x > 0.0)
}

/// A whole number of the metadata.
pub(crate) fn count(metadata: &Metadata, key: &str) -> Option<u32> {
    metadata.get(key)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_only_says_the_kind() {
        for (topic, name) in [
            ("/camera/front/image_raw/compressed", "/camera/front"),
            ("/imu/data", "/imu"),
            ("/imu", "/imu"),
            ("/audio/audio", "/audio"),
            ("/robot/lidar", "/robot/lidar"),
            ("image_raw", "image_raw"),
            ("/image_raw", "/image_raw"),
        ] {
            assert_eq!(stream_name(topic, &Metadata::new()), name);
        }
    }

    #[test]
    fn metadata_decides_before_the_topic_and_the_topic_before_the_encoding() {
        let none = Metadata::new();
        assert_eq!(raster_sense("mono16", "/cam/image_raw", &none), Sense::Thermal);
        assert_eq!(raster_sense("mono16", "/cam/depth/image_raw", &none), Sense::Depth);
        assert_eq!(raster_sense("16UC1", "/cam/image_raw", &none), Sense::Depth);
        assert_eq!(raster_sense("16UC1", "/flir/image_raw", &none), Sense::Thermal);
        assert_eq!(raster_sense("mono8", "/flir/image_raw", &none), Sense::Thermal);
        assert_eq!(raster_sense("rgb8", "/flir/image_raw", &none), Sense::Image);
        let depth = Metadata::from([(keys::SENSE.to_owned(), "depth".to_owned())]);
        assert_eq!(raster_sense("32FC1", "/flir/image_raw", &depth), Sense::Depth);
    }
}
