//! Writes a log.

use crate::RecordError;
use crate::encode::encode;
use crate::frame::has_whole_chroma;
use crate::journal::{Entry, LoggedClock, LoggedHealth, LoggedWallClock};
use crate::labels::{encode_event, encode_truth};
use crate::topic::{self, Metadata, keys};
use foxglove::Encode;
use foxglove::messages::{CompressedImage, Event as FoxgloveEvent, RawAudio, RawImage};
use mcap::records::MessageHeader;
use mcap::{Compression, McapError, WriteOptions, Writer};
use sensebind_core::{ClockFix, Event, Format, Frame, PixelLayout, Span, StreamId, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

/// The definition of `sensor_msgs/msg/Imu` and the types in it, in the text form `ros2msg`: fields in the order of CDR.
const IMU_DEFINITION: &str = include_str!("imu.msg");
const IMU_SCHEMA: &str = "sensor_msgs/msg/Imu";

/// zstd's level. A second of raw 720p video at 30 pictures per second takes it 0.08 to 0.28 s of one core, by how noisy
/// the pictures are; the default, 3, takes 0.44 s (`cargo bench -p sensebind-record`, one core of a 2-core x86-64 server).
const ZSTD_LEVEL: u32 = 1;
/// Uncompressed bytes per chunk: what a cut-off log loses at most between flushes.
const CHUNK_BYTES: u64 = 1 << 20;

/// Writes one log, chunk by chunk. A log that was not finished (power cut, `kill -9`) is readable up to its last whole
/// chunk: [`flush`](Self::flush) ends one.
///
/// When writing fails (the disk is full) the call says so with [`RecordError::Write`], and every later one with
/// [`RecordError::Stopped`]: the file stays as it is, readable up to the last flush.
pub struct LogWriter<W: Write + Seek> {
    mcap: Writer<W>,
    streams: HashMap<StreamId, OpenStream>,
    /// Channels that are no stream, by topic, once used.
    others: HashMap<&'static str, u16>,
    /// The latest mapping written of each sensor's clock.
    clocks: HashMap<StreamId, ClockFix>,
    /// The latest capture time written.
    latest: Timestamp,
    /// Why nothing more is taken.
    failure: Option<String>,
    message: Vec<u8>,
}

/// A stream that has been written before.
#[derive(Debug)]
struct OpenStream {
    format: Format,
    channel: Option<u16>,
    /// For frames taken while the sensor calibrated itself.
    calibrating_channel: Option<u16>,
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
            .compression_level(ZSTD_LEVEL)
            // No worker threads: writing must cost little and always the same.
            .compression_threads(0)
            .chunk_size(Some(CHUNK_BYTES))
            // A chunk is put together in memory and goes out in one piece: whatever interrupts that cuts the file short
            // and leaves nothing else that is wrong.
            .disable_seeking(true)
            .library(concat!("sensebind-record ", env!("CARGO_PKG_VERSION")));
        Ok(Self {
            mcap: options.create(out).map_err(error_of)?,
            streams: HashMap::new(),
            others: HashMap::new(),
            clocks: HashMap::new(),
            latest: Timestamp::ZERO,
            failure: None,
            message: Vec::new(),
        })
    }

    /// Appends one frame. `format` must be the same for every frame of a stream. `f32` sound is converted here, once, to
    /// signed 16 bits (× 32768, rounded, limited to the range): it reads back as [`AudioSample::I16`]. IMU values are
    /// kept exactly. Blocks while a full chunk goes to the file.
    ///
    /// # Errors
    /// [`RecordError::BadFrame`] and [`RecordError::FormatChanged`] leave the log as it was; [`RecordError::Write`],
    /// [`RecordError::Stopped`], [`RecordError::Refused`].
    ///
    /// [`AudioSample::I16`]: sensebind_core::AudioSample::I16
    pub fn write(&mut self, stream: &StreamId, format: &Format, frame: &Frame<'_>) -> Result<(), RecordError> {
        check(stream, format, frame.data)?;
        let channel = self.channel(stream, format, frame.calibrating)?;
        self.latest = self.latest.max(frame.captured);
        encode(format, frame, &mut self.message).map_err(RecordError::Write)?;
        // The field has 32 bits; a gap stays visible modulo 2^32.
        self.put(channel, frame.seq as u32, frame.captured)
    }

    /// Appends a detected event to `/events`: its label and the whole event as JSON in the metadata. Logged at the
    /// event's end, or while it lasts at the latest capture time written so far.
    ///
    /// # Errors
    /// [`RecordError::Write`], [`RecordError::Stopped`], [`RecordError::Refused`].
    pub fn write_event(&mut self, event: &Event) -> Result<(), RecordError> {
        let at = event.end_ns.unwrap_or_else(|| self.latest.max(event.start_ns));
        self.write_label(topic::EVENTS, at, encode_event(event))
    }

    /// Appends to `/truth` that `label` really applied during `span`: known for simulated and annotated recordings.
    ///
    /// # Errors
    /// [`RecordError::Write`], [`RecordError::Stopped`], [`RecordError::Refused`].
    pub fn write_truth(&mut self, label: &str, span: Span) -> Result<(), RecordError> {
        self.write_label(topic::TRUTH, span.start, encode_truth(label, span))
    }

    /// Appends to `/clocks` how the clock of `stream`'s sensor maps to the log's, as found `at`; nothing when it is still
    /// the mapping last written.
    ///
    /// # Errors
    /// [`RecordError::Write`], [`RecordError::Stopped`], [`RecordError::Refused`].
    pub fn write_clock(&mut self, stream: &StreamId, at: Timestamp, fix: &ClockFix) -> Result<(), RecordError> {
        if self.clocks.get(stream) == Some(fix) {
            return Ok(());
        }
        self.write_entry(&LoggedClock {
            at,
            stream: stream.clone(),
            fix: *fix,
        })?;
        self.clocks.insert(stream.clone(), *fix);
        Ok(())
    }

    /// Appends to `/wall_clock` that the calendar said `unix_ns` nanoseconds since 1970-01-01T00:00:00Z `at`.
    ///
    /// # Errors
    /// [`RecordError::Write`], [`RecordError::Stopped`], [`RecordError::Refused`].
    pub fn write_wall_clock(&mut self, at: Timestamp, unix_ns: u64) -> Result<(), RecordError> {
        self.write_entry(&LoggedWallClock { at, unix_ns })
    }

    /// Appends to `/health` that `stream`'s sensor is in `state` (one word) from `at` on, and `why`.
    ///
    /// # Errors
    /// [`RecordError::Write`], [`RecordError::Stopped`], [`RecordError::Refused`].
    pub fn write_health(
        &mut self,
        at: Timestamp,
        stream: &StreamId,
        state: &str,
        why: &str,
    ) -> Result<(), RecordError> {
        self.write_entry(&LoggedHealth {
            at,
            stream: stream.clone(),
            state: state.to_owned(),
            why: why.to_owned(),
        })
    }

    /// Ends the current chunk and hands everything written so far to the operating system: a process killed right after
    /// loses none of it (a power cut loses what the system had not yet put on the disk). Call it once a second; nothing
    /// else bounds how much a killed process loses. Blocks as long as the file does.
    ///
    /// # Errors
    /// [`RecordError::Write`], [`RecordError::Stopped`].
    pub fn flush(&mut self) -> Result<(), RecordError> {
        self.attempt(Writer::flush)
    }

    /// Writes the last chunk and the index, and gives back what was written to. A log dropped without this is finished
    /// too, but nobody hears whether that worked.
    ///
    /// # Errors
    /// [`RecordError::Write`], [`RecordError::Stopped`].
    pub fn finish(mut self) -> Result<W, RecordError> {
        self.attempt(Writer::finish)?;
        let mut out = self.mcap.into_inner();
        out.flush().map_err(RecordError::Write)?;
        Ok(out)
    }

    /// One step of writing; the first that fails is the last one tried.
    fn attempt<T>(&mut self, step: impl FnOnce(&mut Writer<W>) -> Result<T, McapError>) -> Result<T, RecordError> {
        if let Some(why) = &self.failure {
            return Err(RecordError::Stopped { why: why.clone() });
        }
        step(&mut self.mcap).map_err(|e| {
            let error = error_of(e);
            if let RecordError::Write(why) = &error {
                self.failure = Some(why.to_string());
            }
            error
        })
    }

    /// Appends `self.message`.
    fn put(&mut self, channel_id: u16, sequence: u32, at: Timestamp) -> Result<(), RecordError> {
        let header = MessageHeader {
            channel_id,
            sequence,
            log_time: at.as_nanos(),
            publish_time: at.as_nanos(),
        };
        // Taken out while the writer is borrowed.
        let message = std::mem::take(&mut self.message);
        let done = self.attempt(|mcap| mcap.write_to_known_channel(&header, &message));
        self.message = message;
        done
    }

    fn channel(&mut self, stream: &StreamId, format: &Format, calibrating: bool) -> Result<u16, RecordError> {
        let open = self.streams.get(stream);
        if let Some(open) = open {
            if open.format != *format {
                return Err(RecordError::FormatChanged {
                    stream: stream.clone(),
                    before: Box::new(open.format),
                    after: Box::new(*format),
                });
            }
            let known = if calibrating {
                open.calibrating_channel
            } else {
                open.channel
            };
            if let Some(channel) = known {
                return Ok(channel);
            }
        }
        let mut metadata = topic::metadata_of(stream, format);
        if calibrating {
            metadata.insert(keys::CALIBRATING.to_owned(), "true".to_owned());
        }
        let topic = topic::of_stream(stream, format);
        let channel = self.attempt(|mcap| {
            let (schema, message_encoding) = match format {
                Format::Image {
                    layout: PixelLayout::Jpeg | PixelLayout::Png,
                    ..
                } => (foxglove_schema::<CompressedImage, _>(mcap)?, "protobuf"),
                Format::Image { .. } | Format::Thermal { .. } | Format::Depth { .. } => {
                    (foxglove_schema::<RawImage, _>(mcap)?, "protobuf")
                }
                Format::Audio { .. } => (foxglove_schema::<RawAudio, _>(mcap)?, "protobuf"),
                Format::Imu { .. } => (
                    mcap.add_schema(IMU_SCHEMA, "ros2msg", IMU_DEFINITION.as_bytes())?,
                    "cdr",
                ),
            };
            mcap.add_channel(schema, &topic, message_encoding, &metadata)
        })?;
        let open = self.streams.entry(stream.clone()).or_insert(OpenStream {
            format: *format,
            channel: None,
            calibrating_channel: None,
        });
        if calibrating {
            open.calibrating_channel = Some(channel);
        } else {
            open.channel = Some(channel);
        }
        Ok(channel)
    }

    fn write_label(&mut self, topic: &'static str, at: Timestamp, message: Vec<u8>) -> Result<(), RecordError> {
        let channel = self.other_channel(topic, "protobuf", foxglove_schema::<FoxgloveEvent, _>)?;
        self.message = message;
        self.put(channel, 0, at)
    }

    fn write_entry<E: Entry>(&mut self, entry: &E) -> Result<(), RecordError> {
        let channel = self.other_channel(E::TOPIC, "json", |mcap| {
            mcap.add_schema(E::SCHEMA, "jsonschema", E::DEFINITION.as_bytes())
        })?;
        self.message.clear();
        serde_json::to_writer(&mut self.message, entry).map_err(|e| RecordError::Write(e.into()))?;
        self.put(channel, 0, entry.at())
    }

    /// The channel of a topic that is no stream.
    fn other_channel(
        &mut self,
        topic: &'static str,
        message_encoding: &str,
        schema: impl FnOnce(&mut Writer<W>) -> Result<u16, McapError>,
    ) -> Result<u16, RecordError> {
        if let Some(&channel) = self.others.get(topic) {
            return Ok(channel);
        }
        let channel = self.attempt(|mcap| {
            let schema = schema(mcap)?;
            mcap.add_channel(schema, topic, message_encoding, &Metadata::new())
        })?;
        self.others.insert(topic, channel);
        Ok(channel)
    }
}

impl<W: Write + Seek> fmt::Debug for LogWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("streams", &self.streams)
            .field("latest", &self.latest)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

fn foxglove_schema<M: Encode, W: Write + Seek>(mcap: &mut Writer<W>) -> Result<u16, McapError> {
    // Schema 0 is MCAP's "no schema"; every message of the foxglove crate has one.
    M::get_schema().map_or(Ok(0), |schema| {
        mcap.add_schema(&schema.name, &schema.encoding, &schema.data)
    })
}

fn error_of(error: McapError) -> RecordError {
    match error {
        McapError::Io(source) => RecordError::Write(source),
        other => RecordError::Refused(other),
    }
}

fn check(stream: &StreamId, format: &Format, data: &[u8]) -> Result<(), RecordError> {
    let (fits, expected) = match (format.frame_bytes(), format.audio_sample_bytes()) {
        _ if !has_whole_chroma(format) => (false, "an even width, for 4:2:0 an even height too,".to_owned()),
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
