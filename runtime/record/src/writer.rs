//! Writes a log.

use crate::RecordError;
use crate::cdr::CdrWriter;
use crate::labels::{encode_event, encode_truth, foxglove_time};
use crate::topic::{self, Metadata};
use bytes::Bytes;
use foxglove::Encode;
use foxglove::messages::{CompressedImage, Event as FoxgloveEvent, RawAudio, RawImage};
use mcap::records::MessageHeader;
use mcap::{Compression, WriteOptions, Writer};
use prost::Message as _;
use sensebind_core::{
    AudioSample, DepthUnit, Event, Format, Frame, PixelLayout, Span, StreamId, ThermalUnit, Timestamp,
};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

/// The definition of `sensor_msgs/msg/Imu` and the types in it, in the text form `ros2msg`: fields in the order of CDR.
const IMU_DEFINITION: &str = include_str!("imu.msg");
const IMU_SCHEMA: &str = "sensor_msgs/msg/Imu";

/// Uncompressed bytes per chunk: what a cut-off log loses at most, a second or so of five senses.
const CHUNK_BYTES: u64 = 1 << 20;

/// Writes one log, chunk by chunk. A log that was not finished (power cut) is readable up to its last whole chunk.
pub struct LogWriter<W: Write + Seek> {
    mcap: Writer<W>,
    streams: HashMap<StreamId, OpenStream>,
    /// Channels of `/events` and `/truth`, once used.
    labels: HashMap<&'static str, u16>,
    /// The latest capture time written.
    latest: Timestamp,
}

/// A stream that has been written before.
#[derive(Debug)]
struct OpenStream {
    channel: u16,
    format: Format,
}

impl LogWriter<BufWriter<File>> {
    /// Creates the file at `path`, or empties it.
    ///
    /// # Errors
    /// [`RecordError::Open`], [`RecordError::Write`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let file = File::create(path).map_err(|source| RecordError::Open {
            path: path.to_owned(),
            source,
        })?;
        Self::new(BufWriter::new(file))
    }
}

impl<W: Write + Seek> LogWriter<W> {
    /// Starts a log on `out`.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn new(out: W) -> Result<Self, RecordError> {
        let options = WriteOptions::new()
            .compression(Some(Compression::Zstd))
            // No worker threads: the recorder is a tap on a sensor's thread and must cost little and always the same.
            .compression_threads(0)
            .chunk_size(Some(CHUNK_BYTES))
            .library(concat!("sensebind-record ", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            mcap: options.create(out)?,
            streams: HashMap::new(),
            labels: HashMap::new(),
            latest: Timestamp::ZERO,
        })
    }

    /// Appends one frame. `format` must be the same for every frame of a stream. `f32` sound is converted here, once, to
    /// signed 16 bits (× 32768, rounded, limited to the range): it reads back as [`AudioSample::I16`]. IMU values are
    /// kept exactly.
    ///
    /// # Errors
    /// [`RecordError::BadFrame`] and [`RecordError::FormatChanged`] leave the log as it was; [`RecordError::Write`].
    pub fn write(&mut self, stream: &StreamId, format: &Format, frame: &Frame<'_>) -> Result<(), RecordError> {
        check(stream, format, frame.data)?;
        let channel = self.channel(stream, format)?;
        self.latest = self.latest.max(frame.captured);
        let header = MessageHeader {
            channel_id: channel,
            // The field has 32 bits; a gap stays visible modulo 2^32.
            sequence: frame.seq as u32,
            log_time: frame.captured.as_nanos(),
            publish_time: frame.captured.as_nanos(),
        };
        Ok(self.mcap.write_to_known_channel(&header, &encode(format, frame))?)
    }

    /// Appends a detected event to `/events`: its label and the whole event as JSON in the metadata. Logged at the
    /// event's end, or while it lasts at the latest capture time written so far.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write_event(&mut self, event: &Event) -> Result<(), RecordError> {
        let at = event.end_ns.unwrap_or_else(|| self.latest.max(event.start_ns));
        self.write_label(topic::EVENTS, at, &encode_event(event))
    }

    /// Appends to `/truth` that `label` really applied during `span`: known for simulated and annotated recordings.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn write_truth(&mut self, label: &str, span: Span) -> Result<(), RecordError> {
        self.write_label(topic::TRUTH, span.start, &encode_truth(label, span))
    }

    /// Writes the last chunk and the index, and gives back what was written to.
    ///
    /// # Errors
    /// [`RecordError::Write`].
    pub fn finish(mut self) -> Result<W, RecordError> {
        self.mcap.finish()?;
        let mut out = self.mcap.into_inner();
        out.flush().map_err(mcap::McapError::from)?;
        Ok(out)
    }

    fn channel(&mut self, stream: &StreamId, format: &Format) -> Result<u16, RecordError> {
        if let Some(open) = self.streams.get(stream) {
            if open.format == *format {
                return Ok(open.channel);
            }
            return Err(RecordError::FormatChanged {
                stream: stream.clone(),
                before: Box::new(open.format),
                after: Box::new(*format),
            });
        }
        let (schema, message_encoding) = match format {
            Format::Image {
                layout: PixelLayout::Jpeg | PixelLayout::Png,
                ..
            } => (foxglove_schema::<CompressedImage, W>(&mut self.mcap)?, "protobuf"),
            Format::Image { .. } | Format::Thermal { .. } | Format::Depth { .. } => {
                (foxglove_schema::<RawImage, W>(&mut self.mcap)?, "protobuf")
            }
            Format::Audio { .. } => (foxglove_schema::<RawAudio, W>(&mut self.mcap)?, "protobuf"),
            Format::Imu { .. } => (
                self.mcap.add_schema(IMU_SCHEMA, "ros2msg", IMU_DEFINITION.as_bytes())?,
                "cdr",
            ),
        };
        let metadata = topic::metadata_of(stream, format);
        let channel = self
            .mcap
            .add_channel(schema, &topic::of_stream(stream, format), message_encoding, &metadata)?;
        self.streams.insert(
            stream.clone(),
            OpenStream {
                channel,
                format: *format,
            },
        );
        Ok(channel)
    }

    fn write_label(&mut self, topic: &'static str, at: Timestamp, message: &[u8]) -> Result<(), RecordError> {
        let channel_id = match self.labels.get(topic) {
            Some(&channel) => channel,
            None => {
                let schema = foxglove_schema::<FoxgloveEvent, W>(&mut self.mcap)?;
                let channel = self.mcap.add_channel(schema, topic, "protobuf", &Metadata::new())?;
                self.labels.insert(topic, channel);
                channel
            }
        };
        let header = MessageHeader {
            channel_id,
            sequence: 0,
            log_time: at.as_nanos(),
            publish_time: at.as_nanos(),
        };
        Ok(self.mcap.write_to_known_channel(&header, message)?)
    }
}

impl<W: Write + Seek> fmt::Debug for LogWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("streams", &self.streams)
            .field("latest", &self.latest)
            .finish_non_exhaustive()
    }
}

fn foxglove_schema<M: Encode, W: Write + Seek>(mcap: &mut Writer<W>) -> Result<u16, RecordError> {
    // Schema 0 is MCAP's "no schema"; every message of the foxglove crate has one.
    M::get_schema().map_or(Ok(0), |schema| {
        Ok(mcap.add_schema(&schema.name, &schema.encoding, &schema.data)?)
    })
}

fn check(stream: &StreamId, format: &Format, data: &[u8]) -> Result<(), RecordError> {
    let (fits, expected) = match (format.frame_bytes(), format.audio_sample_bytes()) {
        (Some(bytes), _) => (data.len() == bytes && bytes > 0, format!("{bytes} bytes")),
        (None, 0) => (!data.is_empty(), "a whole JPEG or PNG file".to_owned()),
        (None, sample) => (
            !data.is_empty() && data.len().is_multiple_of(sample),
            format!("a positive multiple of {sample} bytes"),
        ),
    };
    if fits {
        return Ok(());
    }
    Err(RecordError::BadFrame {
        stream: stream.clone(),
        format: Box::new(*format),
        expected,
        found: data.len(),
    })
}

fn encode(format: &Format, frame: &Frame<'_>) -> Vec<u8> {
    match *format {
        Format::Image {
            layout: PixelLayout::Jpeg,
            ..
        } => picture("jpeg", frame),
        Format::Image {
            layout: PixelLayout::Png,
            ..
        } => picture("png", frame),
        Format::Image {
            width, height, layout, ..
        } => {
            let (encoding, pixel_bytes) = match layout {
                PixelLayout::Rgb8 => ("rgb8", 3),
                PixelLayout::Bgr8 => ("bgr8", 3),
                PixelLayout::Yuyv => ("yuyv", 2),
                PixelLayout::Nv12 => ("nv12", 1),
                PixelLayout::Gray8 | PixelLayout::Jpeg | PixelLayout::Png => ("mono8", 1),
            };
            raster(width, height, encoding, pixel_bytes, frame)
        }
        Format::Thermal {
            width, height, unit, ..
        } => {
            let (encoding, pixel_bytes) = match unit {
                ThermalUnit::KelvinPerCount(_) => ("mono16", 2),
                ThermalUnit::Gray8 => ("mono8", 1),
                ThermalUnit::KelvinF32 => ("32FC1", 4),
            };
            raster(width, height, encoding, pixel_bytes, frame)
        }
        Format::Depth {
            width, height, unit, ..
        } => {
            let (encoding, pixel_bytes) = match unit {
                DepthUnit::MetresPerCount(_) => ("16UC1", 2),
                DepthUnit::MetresF32 => ("32FC1", 4),
            };
            raster(width, height, encoding, pixel_bytes, frame)
        }
        Format::Audio {
            rate_hz,
            channels,
            sample,
        } => sound(rate_hz, channels, sample, frame),
        Format::Imu { .. } => imu(frame),
    }
}

fn picture(format: &str, frame: &Frame<'_>) -> Vec<u8> {
    CompressedImage {
        timestamp: Some(foxglove_time(frame.captured)),
        frame_id: String::new(),
        data: Bytes::copy_from_slice(frame.data),
        format: format.to_owned(),
    }
    .encode_to_vec()
}

fn raster(width: u32, height: u32, encoding: &str, pixel_bytes: u32, frame: &Frame<'_>) -> Vec<u8> {
    RawImage {
        timestamp: Some(foxglove_time(frame.captured)),
        frame_id: String::new(),
        width,
        height,
        encoding: encoding.to_owned(),
        step: width.saturating_mul(pixel_bytes),
        data: Bytes::copy_from_slice(frame.data),
    }
    .encode_to_vec()
}

fn sound(rate_hz: u32, channels: u16, sample: AudioSample, frame: &Frame<'_>) -> Vec<u8> {
    let data = match sample {
        AudioSample::I16 => Bytes::copy_from_slice(frame.data),
        AudioSample::F32 => {
            let (samples, _) = frame.data.as_chunks::<4>();
            // `as` limits to the range and turns NaN into silence.
            samples
                .iter()
                .flat_map(|b| ((f32::from_le_bytes(*b) * 32768.0).round() as i16).to_le_bytes())
                .collect()
        }
    };
    RawAudio {
        timestamp: Some(foxglove_time(frame.captured)),
        data,
        format: "pcm-s16".to_owned(),
        sample_rate: rate_hz,
        number_of_channels: u32::from(channels),
    }
    .encode_to_vec()
}

fn imu(frame: &Frame<'_>) -> Vec<u8> {
    let mut values = [0.0; 6];
    for (value, bytes) in values.iter_mut().zip(frame.data.as_chunks::<4>().0) {
        *value = f64::from(f32::from_le_bytes(*bytes));
    }
    let (acceleration_m_s2, turning_rad_s) = values.split_at(3);
    // Element 0 = -1 says "no orientation"; all zero says "covariance unknown" (sensor_msgs/msg/Imu).
    let mut absent = [0.0; 9];
    absent[0] = -1.0;
    let unknown = [0.0; 9];

    let mut cdr = CdrWriter::new();
    let time = foxglove_time(frame.captured);
    cdr.u32(time.sec());
    cdr.u32(time.nsec());
    cdr.text("");
    cdr.f64s(&[0.0, 0.0, 0.0, 1.0]);
    cdr.f64s(&absent);
    cdr.f64s(turning_rad_s);
    cdr.f64s(&unknown);
    cdr.f64s(acceleration_m_s2);
    cdr.f64s(&unknown);
    cdr.finish()
}
