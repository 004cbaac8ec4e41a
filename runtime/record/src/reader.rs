//! Reads a log in order of time, with bounded memory, whatever state it is in.

mod entries;
mod queue;
mod survey;

use crate::chunk::{self, Contents, Message};
use crate::frame::{FrameBytes, Payload};
use crate::index::{self, Input, Stretch};
use crate::topic::{Kind, Metadata};
use crate::{Loss, RecordError};
use bytes::Bytes;
use queue::Queue;
use sensebind_core::{Format, Span, StreamId, Timestamp};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// What a log does not say itself, and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// Samples per second of `audio_common_msgs` sound, unless the channel's metadata has `rate_hz`. The message does
    /// not say; 16000 is what `audio_capture` records by default.
    pub audio_rate_hz: u32,
    /// Interleaved channels of `audio_common_msgs` sound, unless the channel's metadata has `channels`.
    pub audio_channels: u16,
    /// Chunks that decompress to more bytes than this are passed over as damage.
    pub max_chunk_bytes: usize,
    /// Decompressed bytes held at once. Chunks overlap in time by little, so two or three are held; where more overlap
    /// than fit, messages come out of order rather than filling the memory.
    pub max_held_bytes: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            audio_rate_hz: 16_000,
            audio_channels: 1,
            max_chunk_bytes: 256 << 20,
            max_held_bytes: 512 << 20,
        }
    }
}

/// One frame of a log; borrowed from the reader until the next one.
#[derive(Debug, Clone, Copy)]
pub struct LogFrame<'a> {
    /// Index into [`LogReader::streams`].
    pub stream: usize,
    /// Capture time: the message's `log_time`, the one clock all streams of a log share. For ROS bags that is when the
    /// recorder received the message; stamps in headers may come from other clocks and are not used.
    pub captured: Timestamp,
    /// Whether the sensor was calibrating itself when it took this frame: not to be judged.
    pub calibrating: bool,
    /// Bytes as the stream's [`Format`] says.
    pub data: &'a [u8],
}

/// Reads a log: all its sensor streams, merged in order of time.
///
/// Reads what [`LogWriter`](crate::LogWriter) writes, and the CDR messages of ROS 2 bags (rosbag2 storage `mcap`):
/// `sensor_msgs/msg/Image` (`rgb8`, `bgr8`, `8UC3`, `mono8`, `8UC1`, `yuyv`, `yuv422_yuy2`, `nv12`, `mono16`, `16UC1`,
/// `32FC1`),
/// `sensor_msgs/msg/CompressedImage` (JPEG, PNG), `sensor_msgs/msg/Imu`, `audio_common_msgs/msg/AudioData` and
/// `AudioDataStamped` (taken for signed 16-bit little-endian samples; rate and channels: [`ReadOptions`]).
///
/// A stream is named after its topic without the parts that only say what it carries: `/camera/front/image_raw` becomes
/// `/camera/front`. Two channels that would share a name but not a format keep their whole topics.
///
/// `mono16` is thermal (0.01 K per count unless metadata says), `16UC1` (1 mm per count unless metadata says) and
/// `32FC1` are depth, other encodings pictures; metadata `sense`, and topics that contain `thermal`, `lwir`, `flir`,
/// `lepton` (or, for `mono16`, `depth`) decide before that.
///
/// Nominal rates come from metadata, else from the number of messages.
///
/// Damage does not stop it: a chunk whose CRC does not match is passed over, a log that was cut off ends after its last
/// whole chunk, a message that makes no sense is skipped; [`LogReader::loss`] tells. Times that jump back within a chunk
/// are put in order. Nothing is allocated on a damaged length's word.
pub struct LogReader {
    input: Box<dyn Input>,
    options: ReadOptions,
    streams: Vec<(StreamId, Format)>,
    /// Pixel encoding of each stream's first message.
    encodings: Vec<String>,
    roles: HashMap<u16, Role>,
    truth: Vec<(String, Span)>,
    span: Option<Span>,
    /// In the order of the file.
    stretches: Vec<Stretch>,
    /// Indexes of those still to be opened, by `first`, latest first: the next one is at the end.
    to_come: Vec<usize>,
    /// The only stream whose frames are delivered, where there is one.
    selected: Option<usize>,
    queue: Queue,
    loss: Loss,
    is_whole: bool,
    latest: Option<Timestamp>,
    current: FrameBytes,
    scratch: Vec<u8>,
}

/// What is done with the messages of a channel.
#[derive(Debug, Clone)]
enum Role {
    /// Frames of a stream.
    Stream {
        /// Index into [`LogReader::streams`].
        index: usize,
        kind: Kind,
        calibrating: bool,
    },
    /// A sensor, but no message so far could be understood.
    Unsettled {
        kind: Kind,
        topic: String,
        metadata: Metadata,
    },
    /// Labels of what really happened, read at the start.
    Truth,
    /// Detected events: output, not input.
    Events,
    /// Entries of this topic about clocks or health, read when asked for.
    Entries(String),
    /// No sensor; why.
    Skipped(String),
}

impl LogReader {
    /// Opens the log at `path`. Reads its record heads and the chunks where streams begin, not the whole file.
    ///
    /// # Errors
    /// [`RecordError::Open`], [`RecordError::NotMcap`] (also for an empty file), [`RecordError::Read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| RecordError::Open {
            path: path.to_owned(),
            source,
        })?;
        Self::new(file, ReadOptions::default())
    }

    /// Opens a log in memory, or a file with other options.
    ///
    /// # Errors
    /// [`RecordError::NotMcap`], [`RecordError::Read`].
    pub fn new(input: impl Read + std::io::Seek + Send + 'static, options: ReadOptions) -> Result<Self, RecordError> {
        let mut input: Box<dyn Input> = Box::new(input);
        let index = index::walk(&mut *input)?;
        let mut log = Self {
            input,
            options,
            streams: Vec::new(),
            encodings: Vec::new(),
            roles: HashMap::new(),
            truth: Vec::new(),
            span: None,
            stretches: Vec::new(),
            to_come: Vec::new(),
            selected: None,
            queue: Queue::default(),
            loss: Loss {
                bytes_lost: index.bytes_lost,
                ..Loss::default()
            },
            is_whole: index.is_whole,
            latest: None,
            current: FrameBytes::Scratch,
            scratch: Vec::new(),
        };
        log.stretches = index.stretches;
        log.survey(index.traffic)?;
        let stretches = &log.stretches;
        log.to_come = (0..stretches.len())
            .filter(|&nth| !stretches[nth].has_no_messages())
            .collect();
        log.to_come
            .sort_by_key(|&nth| Reverse((stretches[nth].first, stretches[nth].offset)));
        Ok(log)
    }

    /// Every stream and its format, in the order of the log. Constant.
    pub fn streams(&self) -> &[(StreamId, Format)] {
        &self.streams
    }

    /// What really happened, where the log says (`/truth`), by start.
    pub fn truth(&self) -> Vec<(String, Span)> {
        self.truth.clone()
    }

    /// From the first frame's capture time to the last one's, over all streams; `None` for a log without frames.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// Length of [`Self::span`].
    pub fn duration(&self) -> Duration {
        self.span.map_or(Duration::ZERO, Span::length)
    }

    /// Delivers from here on only frames of the stream of this index, and opens only what may hold some.
    pub fn select(&mut self, stream: usize) {
        self.selected = Some(stream);
        let (stretches, roles) = (&self.stretches, &self.roles);
        let is_of_it = |role: &Role| matches!(role, Role::Stream { index, .. } if *index == stream);
        self.to_come
            .retain(|&nth| stretches[nth].may_hold(|channel| roles.get(&channel).is_some_and(is_of_it)));
    }

    /// What could not be delivered so far; complete once [`Self::next`] has returned `None`.
    pub fn loss(&self) -> Loss {
        self.loss.clone()
    }

    /// The next frame in order of time; of equal times the one that comes first in the file. `None` at the end.
    ///
    /// # Errors
    /// [`RecordError::Read`] when the disk fails. Damage in the log is no error.
    #[expect(
        clippy::should_implement_trait,
        reason = "frames borrow the reader's buffers: no Iterator can"
    )]
    pub fn next(&mut self) -> Result<Option<LogFrame<'_>>, RecordError> {
        loop {
            self.refill()?;
            let Some(message) = self.queue.pop() else {
                if !self.is_whole {
                    self.loss.recovered_until = self.latest;
                }
                return Ok(None);
            };
            let captured = Timestamp::from_nanos(message.log_time);
            self.latest = self.latest.max(Some(captured));
            if let Some((stream, calibrating)) = self.frame(&message) {
                let data = match &self.current {
                    FrameBytes::Shared(data) => data,
                    FrameBytes::Scratch => &self.scratch[..],
                };
                return Ok(Some(LogFrame {
                    stream,
                    captured,
                    calibrating,
                    data,
                }));
            }
        }
    }

    /// Makes the frame of `message` the current one: its stream, and whether the sensor was calibrating itself. `None`,
    /// and counted, when it is none.
    fn frame(&mut self, message: &Message) -> Option<(usize, bool)> {
        let (stream, kind, calibrating) = match self.roles.get(&message.channel) {
            Some(Role::Stream { index, .. }) if self.selected.is_some_and(|selected| selected != *index) => {
                return None;
            }
            Some(Role::Stream {
                index,
                kind,
                calibrating,
            }) => (*index, *kind, *calibrating),
            Some(Role::Truth | Role::Events | Role::Entries(_)) => return None,
            Some(Role::Skipped(why)) => {
                self.loss.skip(why);
                return None;
            }
            Some(Role::Unsettled { kind, topic, .. }) => {
                let why = Payload::parse(*kind, &message.data)
                    .err()
                    .unwrap_or("no message gives a format");
                self.loss.skip(&format!("{topic}: {why}"));
                self.loss.frames_refused += 1;
                return None;
            }
            None => {
                self.loss.skip("message of a channel that the log does not declare");
                self.loss.frames_refused += 1;
                return None;
            }
        };
        let (name, format) = &self.streams[stream];
        let bytes = Payload::parse(kind, &message.data)
            .and_then(|payload| payload.into_frame(format, &self.encodings[stream], &mut self.scratch));
        match bytes {
            Ok(bytes) => {
                self.current = bytes;
                Some((stream, calibrating))
            }
            Err(why) => {
                self.loss.skip(&format!("{name}: {why}"));
                self.loss.frames_refused += 1;
                None
            }
        }
    }

    /// Opens the stretches that may hold the next message.
    fn refill(&mut self) -> Result<(), RecordError> {
        while let Some(&nth) = self.to_come.last() {
            let stretch = &self.stretches[nth];
            let has_room = self.queue.held_bytes() < self.options.max_held_bytes;
            let is_due = self
                .queue
                .next_time()
                .is_none_or(|next| stretch.first <= next && has_room);
            if !is_due {
                break;
            }
            let (offset, length) = (stretch.offset, stretch.length);
            self.to_come.pop();
            match self.open_stretch(nth)? {
                Ok(contents) => self.queue.add(offset, contents),
                Err(why) => {
                    self.loss.chunks_lost += 1;
                    self.loss.bytes_lost = self.loss.bytes_lost.saturating_add(length);
                    self.loss.skip(&format!("unknown number in a damaged chunk: {why}"));
                }
            }
        }
        Ok(())
    }

    /// Reads and opens a stretch by its index; the inner error says why it is unusable.
    fn open_stretch(&mut self, nth: usize) -> Result<Result<Contents, String>, RecordError> {
        let stretch = &self.stretches[nth];
        let at = |source| RecordError::Read {
            offset: stretch.offset,
            source,
        };
        if stretch.length > self.options.max_chunk_bytes as u64 {
            return Ok(Err(format!(
                "{} bytes, limit {}",
                stretch.length, self.options.max_chunk_bytes
            )));
        }
        self.input.seek(SeekFrom::Start(stretch.offset)).map_err(at)?;
        // Not longer than the file: the index saw its end.
        let mut bytes = Vec::with_capacity(stretch.length as usize);
        self.input
            .by_ref()
            .take(stretch.length)
            .read_to_end(&mut bytes)
            .map_err(at)?;
        let bytes = Bytes::from(bytes);
        if !stretch.is_chunk {
            return Ok(chunk::split(bytes));
        }
        if bytes.len() < chunk::RECORD_HEAD {
            return Ok(Err("file became shorter while it was read".to_owned()));
        }
        Ok(chunk::open(
            bytes.slice(chunk::RECORD_HEAD..),
            self.options.max_chunk_bytes,
        ))
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader")
            .field("streams", &self.streams)
            .field("span", &self.span)
            .field("loss", &self.loss)
            .finish_non_exhaustive()
    }
}
