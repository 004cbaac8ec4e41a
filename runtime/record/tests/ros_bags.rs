//! ROS 2 bags: CDR messages of both byte orders, however the bag is stored.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

mod logs;

use logs::*;
use sensebind_core::{AudioSample, DepthUnit, Format, PixelLayout, ThermalUnit};
use sensebind_record::{LogReader, ReadOptions};
use std::io::Cursor;

/// Builds CDR as ROS 2 does; written for the tests, apart from the crate's own writer.
struct Cdr {
    bytes: Vec<u8>,
    big: bool,
}

impl Cdr {
    fn new(big: bool) -> Self {
        Self {
            bytes: vec![0, u8::from(!big), 0, 0],
            big,
        }
    }

    fn number(mut self, mut little_endian: Vec<u8>) -> Self {
        while !(self.bytes.len() - 4).is_multiple_of(little_endian.len()) {
            self.bytes.push(0);
        }
        if self.big {
            little_endian.reverse();
        }
        self.bytes.extend(little_endian);
        self
    }

    fn u32(self, value: u32) -> Self {
        self.number(value.to_le_bytes().to_vec())
    }

    fn f64s(self, values: &[f64]) -> Self {
        values.iter().fold(self, |cdr, v| cdr.number(v.to_le_bytes().to_vec()))
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mut cdr = self.u32(bytes.len() as u32);
        cdr.bytes.extend(bytes);
        cdr
    }

    fn text(self, text: &str) -> Self {
        self.bytes(&[text.as_bytes(), &[0]].concat())
    }

    fn header(self) -> Self {
        self.u32(17).u32(5).text("camera_link")
    }
}

fn image(big: bool, encoding: &str, (width, height): (u32, u32), step: u32, data: &[u8]) -> Vec<u8> {
    let mut cdr = Cdr::new(big).header().u32(height).u32(width).text(encoding);
    cdr.bytes.push(u8::from(big));
    cdr.u32(step).bytes(data).bytes
}

fn imu(big: bool, turning_covariance: f64) -> Vec<u8> {
    let mut covariance = [0.0; 9];
    covariance[0] = turning_covariance;
    Cdr::new(big)
        .header()
        .f64s(&[0.0, 0.0, 0.0, 1.0])
        .f64s(&[0.0; 9])
        .f64s(&[0.1, 0.2, 0.3])
        .f64s(&covariance)
        .f64s(&[1.0, 2.0, 9.81])
        .f64s(&[0.0; 9])
        .bytes
}

/// Stream name, format and frames of a bag with one channel.
fn read(bag: Vec<u8>) -> (String, Format, Vec<Vec<u8>>) {
    let mut reader = open(bag);
    assert_eq!(reader.streams().len(), 1, "{}", reader.loss());
    let (name, format) = (reader.streams()[0].0.as_str().to_owned(), reader.streams()[0].1);
    let (frames, loss) = read_all(&mut reader);
    assert!(!loss.is_damage(), "{loss}");
    (name, format, frames.into_iter().map(|(_, _, data)| data).collect())
}

fn options() -> mcap::WriteOptions {
    mcap::WriteOptions::new()
}

#[test]
fn images_of_every_encoding_and_both_byte_orders() {
    let rate_hz = 10.0;
    let (width, height) = (3, 2);
    let picture = |layout| Format::Image {
        width,
        height,
        layout,
        rate_hz,
    };
    let thermal = Format::Thermal {
        width,
        height,
        unit: ThermalUnit::KelvinPerCount(0.01),
        rate_hz,
    };
    let depth = |unit| Format::Depth {
        width,
        height,
        unit,
        focal_px: None,
        rate_hz,
    };
    let cases = [
        ("rgb8", 3, picture(PixelLayout::Rgb8)),
        ("bgr8", 3, picture(PixelLayout::Bgr8)),
        ("8UC3", 3, picture(PixelLayout::Bgr8)),
        ("mono8", 1, picture(PixelLayout::Gray8)),
        ("8UC1", 1, picture(PixelLayout::Gray8)),
        ("mono16", 2, thermal),
        ("16UC1", 2, depth(DepthUnit::MetresPerCount(0.001))),
        ("32FC1", 4, depth(DepthUnit::MetresF32)),
    ];
    for (encoding, pixel, format) in cases {
        for big in [false, true] {
            for padding in [0usize, 4] {
                let row = 3 * pixel;
                let little: Vec<u8> = noise(row * 2, 9);
                let mut data = Vec::new();
                for line in little.chunks(row) {
                    let mut line = line.to_vec();
                    if big && matches!(pixel, 2 | 4) {
                        line.chunks_mut(pixel).for_each(<[u8]>::reverse);
                    }
                    line.resize(row + padding, 0xee);
                    data.extend(line);
                }
                let message = image(big, encoding, (3, 2), (row + padding) as u32, &data);
                let bag = OneChannel::cdr("/cam/front/image_raw", "sensor_msgs/msg/Image")
                    .log(options(), &[message.clone(), message]);
                let (name, found, frames) = read(bag);
                assert_eq!(name, "/cam/front");
                assert_eq!(found, format, "{encoding}");
                assert_eq!(frames, [little.clone(), little], "{encoding} big {big} +{padding}");
            }
        }
    }
}

#[test]
fn metadata_and_topic_say_what_the_encoding_does_not() {
    let message = image(false, "mono16", (2, 1), 4, &[1, 2, 3, 4]);
    let bag = |topic| OneChannel::cdr(topic, "sensor_msgs/msg/Image");
    let depth = bag("/stereo/depth/image_rect_raw")
        .with("metres_per_count", "0.0005")
        .with("focal_px", "380");
    let (name, format, _) = read(depth.log(options(), std::slice::from_ref(&message)));
    assert_eq!(name, "/stereo/depth");
    let unit = DepthUnit::MetresPerCount(0.0005);
    assert!(
        matches!(format, Format::Depth { unit: u, focal_px: Some(380.0), .. } if u == unit),
        "{format}"
    );
    let lepton = bag("/lepton/image").with("kelvin_per_count", "0.1");
    let (_, format, _) = read(lepton.log(options(), &[message]));
    let unit = ThermalUnit::KelvinPerCount(0.1);
    assert!(
        matches!(format, Format::Thermal { unit: u, .. } if u == unit),
        "{format}"
    );
}

#[test]
fn compressed_images_by_their_content() {
    let message = Cdr::new(false)
        .header()
        .text("rgb8; jpeg compressed bgr8")
        .bytes(&jpeg(4))
        .bytes;
    let bag = OneChannel::cdr("/cam/image_raw/compressed", "sensor_msgs/msg/CompressedImage");
    let (name, format, frames) = read(bag.log(options(), &[message]));
    assert_eq!(name, "/cam");
    let jpeg_layout = PixelLayout::Jpeg;
    assert!(matches!(format, Format::Image { width: 0, layout, .. } if layout == jpeg_layout));
    assert_eq!(frames, [jpeg(4)]);
}

#[test]
fn imu_in_either_byte_order_acceleration_first() {
    let expected: Vec<u8> = [1.0f32, 2.0, 9.81, 0.1, 0.2, 0.3]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    for big in [false, true] {
        let bag = OneChannel::cdr("/imu/data_raw", "sensor_msgs/msg/Imu");
        let (_, format, frames) = read(bag.log(options(), &[imu(big, 0.0), imu(big, 0.1)]));
        assert_eq!(format, Format::Imu { rate_hz: 10.0 });
        assert_eq!(frames, [expected.clone(), expected.clone()]);
    }
}

#[test]
fn an_imu_that_says_it_has_no_gyroscope_is_refused_by_name() {
    let bag = OneChannel::cdr("/imu", "sensor_msgs/msg/Imu").log(options(), &[imu(false, -1.0)]);
    let mut reader = open(bag);
    assert!(reader.streams().is_empty());
    let (_, loss) = read_all(&mut reader);
    assert_eq!(loss.frames_refused, 1);
    let reason = loss.messages_skipped_by_reason.keys().next().unwrap();
    assert!(reason.starts_with("/imu: IMU message says"), "{reason}");
}

#[test]
fn sound_with_rate_and_channels_from_options_or_metadata() {
    let plain = Cdr::new(false).bytes(&[1, 0, 2, 0]).bytes;
    let stamped = Cdr::new(false).header().bytes(&[1, 0, 2, 0]).bytes;
    let data = OneChannel::cdr("/mic/audio", "audio_common_msgs/msg/AudioData");
    let with_header = OneChannel::cdr("/mic/audio_stamped", "audio_common_msgs/msg/AudioDataStamped")
        .with("rate_hz", "48000")
        .with("channels", "2");
    let audio = |rate_hz, channels| Format::Audio {
        rate_hz,
        channels,
        sample: AudioSample::I16,
    };
    let (name, format, frames) = read(data.log(options(), std::slice::from_ref(&plain)));
    assert_eq!((name.as_str(), format), ("/mic", audio(16_000, 1)));
    assert_eq!(frames, [[1, 0, 2, 0]]);
    let (name, format, _) = read(with_header.log(options(), &[stamped]));
    assert_eq!((name.as_str(), format), ("/mic", audio(48_000, 2)));
    let eight = ReadOptions {
        audio_rate_hz: 8_000,
        ..ReadOptions::default()
    };
    let bag = data.log(options(), &[plain]);
    let reader = LogReader::new(Cursor::new(bag), eight).unwrap();
    assert_eq!(reader.streams()[0].1, audio(8_000, 1));
}

#[test]
fn however_the_bag_is_stored() {
    let messages = vec![imu(false, 0.0); 500];
    let bag = OneChannel::cdr("/imu", "sensor_msgs/msg/Imu");
    let small = || options().chunk_size(Some(4096));
    for (how, options) in [
        ("zstd", small()),
        ("lz4", small().compression(Some(mcap::Compression::Lz4))),
        ("stored", small().compression(None)),
        ("without chunks", options().use_chunks(false)),
        ("without message indexes", small().emit_message_indexes(false)),
        ("without summary", small().emit_summary_records(false)),
        ("without CRCs", small().calculate_chunk_crcs(false)),
    ] {
        let log = bag.log(options, &messages);
        let mut reader = open(log);
        assert_eq!(reader.streams()[0].1, Format::Imu { rate_hz: 10.0 }, "{how}");
        assert_eq!(reader.duration().as_millis(), 49_900, "{how}");
        let (frames, loss) = read_all(&mut reader);
        assert_eq!(frames.len(), 500, "{how}: {loss}");
        assert!(!loss.is_damage(), "{how}: {loss}");
    }
}
