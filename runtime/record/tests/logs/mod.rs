//! Small logs for the tests of this folder.
#![allow(dead_code, reason = "every test file includes this module and uses a part of it")]

use sensebind_core::{AudioSample, DepthUnit, Format, Frame, PixelLayout, Span, StreamId, ThermalUnit, Timestamp};
use sensebind_record::{LogReader, LogWriter, Loss, ReadOptions};
use std::collections::BTreeMap;
use std::io::Cursor;

/// Stream, time in nanoseconds, bytes.
pub type Delivered = (usize, u64, Vec<u8>);

/// Bytes that do not compress to nothing and differ from frame to frame.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

pub fn jpeg(seed: u64) -> Vec<u8> {
    [&[0xff, 0xd8, 0xff, 0xe0][..], &noise(60, seed)].concat()
}

/// Every format a log can hold, with an odd size where pictures have one.
pub fn every_format() -> Vec<(&'static str, Format)> {
    let (width, height, rate_hz) = (7, 5, 4.0);
    let image = |layout| Format::Image {
        width,
        height,
        layout,
        rate_hz,
    };
    let thermal = |unit| Format::Thermal {
        width,
        height,
        unit,
        rate_hz,
    };
    let depth = |unit, focal_px| Format::Depth {
        width,
        height,
        unit,
        focal_px,
        rate_hz,
    };
    vec![
        ("rgb", image(PixelLayout::Rgb8)),
        ("/cam/bgr", image(PixelLayout::Bgr8)),
        ("grey", image(PixelLayout::Gray8)),
        ("jpeg", image(PixelLayout::Jpeg)),
        ("png", image(PixelLayout::Png)),
        (
            "i16",
            Format::Audio {
                rate_hz: 44_100,
                channels: 2,
                sample: AudioSample::I16,
            },
        ),
        ("tenths", thermal(ThermalUnit::KelvinPerCount(0.1))),
        ("agc", thermal(ThermalUnit::Gray8)),
        ("kelvin", thermal(ThermalUnit::KelvinF32)),
        ("quarter_mm", depth(DepthUnit::MetresPerCount(0.00025), Some(421.5))),
        ("metres", depth(DepthUnit::MetresF32, None)),
        ("imu", Format::Imu { rate_hz: 200.0 }),
        ("yuyv", shared_colours(PixelLayout::Yuyv)),
        ("nv12", shared_colours(PixelLayout::Nv12)),
    ]
}

/// Pixels of these share their colours in pairs or squares: even sizes only.
fn shared_colours(layout: PixelLayout) -> Format {
    Format::Image {
        width: 6,
        height: 4,
        layout,
        rate_hz: 4.0,
    }
}

/// A frame that fits `format`.
pub fn frame_bytes(format: &Format, seed: u64) -> Vec<u8> {
    match format {
        Format::Image {
            layout: PixelLayout::Jpeg,
            ..
        } => jpeg(seed),
        Format::Image {
            layout: PixelLayout::Png,
            ..
        } => [&b"\x89PNG\r\n\x1a\n"[..], &noise(50, seed)].concat(),
        Format::Audio { .. } => noise(format.audio_sample_bytes() * 40, seed),
        // Floats that are numbers: NaNs do not survive a conversion unchanged.
        Format::Imu { .. } => (0..6)
            .flat_map(|axis| (seed as f32 * 0.37 - axis as f32).to_le_bytes())
            .collect(),
        _ => noise(format.frame_bytes().expect("every frame has one size"), seed),
    }
}

pub fn write_frame(log: &mut LogWriter<Cursor<Vec<u8>>>, stream: &str, format: &Format, time: u64, data: &[u8]) {
    let frame = Frame {
        seq: 0,
        calibrating: false,
        captured: Timestamp::from_nanos(time),
        data,
    };
    log.write(&StreamId::new(stream), format, &frame).expect("frame fits");
}

pub fn new_log() -> LogWriter<Cursor<Vec<u8>>> {
    LogWriter::new(Cursor::new(Vec::new())).expect("memory")
}

pub fn finished(log: LogWriter<Cursor<Vec<u8>>>) -> Vec<u8> {
    log.finish().expect("memory").into_inner()
}

/// Three chunks or so: a picture every 100 ms that does not compress, IMU in between, two labels.
pub fn camera_and_imu(seconds: u64) -> Vec<u8> {
    let camera = Format::Image {
        width: 320,
        height: 240,
        layout: PixelLayout::Gray8,
        rate_hz: 10.0,
    };
    let imu = Format::Imu { rate_hz: 50.0 };
    let mut log = new_log();
    for tick in 0..seconds * 50 {
        let time = tick * 20_000_000;
        if tick % 5 == 0 {
            write_frame(&mut log, "camera", &camera, time, &noise(320 * 240, tick));
        }
        write_frame(&mut log, "imu", &imu, time, &frame_bytes(&imu, tick));
    }
    let at = Timestamp::from_nanos;
    log.write_truth("dog_bark", Span::new(at(1_000), at(2_000)))
        .expect("memory");
    log.write_truth("rain", Span::new(at(0), at(1_500))).expect("memory");
    finished(log)
}

pub fn open(log: Vec<u8>) -> LogReader {
    LogReader::new(Cursor::new(log), ReadOptions::default()).expect("an MCAP file")
}

/// Reads to the end.
pub fn read_all(reader: &mut LogReader) -> (Vec<Delivered>, Loss) {
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().expect("memory does not fail") {
        frames.push((frame.stream, frame.captured.as_nanos(), frame.data.to_vec()));
    }
    (frames, reader.loss())
}

/// A log of one channel written with the bare mcap crate.
pub struct OneChannel {
    pub topic: &'static str,
    pub schema: &'static str,
    pub encoding: &'static str,
    pub metadata: BTreeMap<String, String>,
}

impl OneChannel {
    pub fn cdr(topic: &'static str, schema: &'static str) -> Self {
        Self {
            topic,
            schema,
            encoding: "cdr",
            metadata: BTreeMap::new(),
        }
    }

    pub fn protobuf(topic: &'static str, schema: &'static str) -> Self {
        Self {
            encoding: "protobuf",
            ..Self::cdr(topic, schema)
        }
    }

    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Messages 100 ms apart.
    pub fn log(&self, options: mcap::WriteOptions, messages: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = options.profile("ros2").create(Cursor::new(Vec::new())).expect("memory");
        let schema = writer.add_schema(self.schema, "ros2msg", b"").expect("memory");
        let channel = writer
            .add_channel(schema, self.topic, self.encoding, &self.metadata)
            .expect("memory");
        for (nth, message) in messages.iter().enumerate() {
            let log_time = nth as u64 * 100_000_000;
            let header = mcap::records::MessageHeader {
                channel_id: channel,
                sequence: 0,
                log_time,
                publish_time: 0,
            };
            writer.write_to_known_channel(&header, message).expect("memory");
        }
        writer.finish().expect("memory");
        writer.into_inner().into_inner()
    }
}
