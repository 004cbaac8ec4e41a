//! Where in the file what lies: a walk over record heads that reads no picture and no sound.
//!
//! Made from the records themselves and not from the indexes at the end, so it is the same for a log that is whole and
//! one that was cut off. The end is read for the channels that it repeats. Reading then goes stretch by stretch in order of time.

use crate::RecordError;
use crate::chunk::{RECORD_HEAD, record_head};
use mcap::records::{Record, op};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// A file, or anything like one.
pub(crate) trait Input: Read + Seek + Send {}
impl<T: Read + Seek + Send> Input for T {}

/// Records outside chunks are taken together up to this many bytes.
const PLAIN_STRETCH_BYTES: u64 = 4 << 20;
/// Message indexes longer than this are not read; the chunk is then opened to see what it holds.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// Bytes of a chunk record up to the name of its compression, and of the message record up to its data.
const CHUNK_HEAD: usize = 32;
const MESSAGE_HEAD: usize = 22;

/// A run of bytes that is read at once: one chunk, or neighbouring records outside chunks.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    /// Where its first record begins.
    pub(crate) offset: u64,
    /// Bytes of all its records, heads included.
    pub(crate) length: u64,
    /// Whether it is one chunk.
    pub(crate) is_chunk: bool,
    /// Earliest `log_time` of a message, as its header says.
    pub(crate) first: u64,
    /// Channels that have messages in it, where known without opening it.
    pub(crate) channels: Option<BTreeSet<u16>>,
}

impl Stretch {
    /// Whether it only declares schemas and channels.
    pub(crate) fn has_no_messages(&self) -> bool {
        !self.is_chunk && self.channels.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Whether a channel of which `is_wanted` is true may have messages in it.
    pub(crate) fn may_hold(&self, is_wanted: impl Fn(u16) -> bool) -> bool {
        match &self.channels {
            Some(channels) => channels.iter().any(|&channel| is_wanted(channel)),
            None => true,
        }
    }
}

/// How much a channel says and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) messages: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Traffic {
    /// That of two channels together.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }

    /// Mean messages per second; 0 for a single one.
    pub(crate) fn rate_hz(&self) -> f32 {
        let seconds = self.last.saturating_sub(self.first) as f64 * 1e-9;
        if seconds > 0.0 {
            (self.messages.saturating_sub(1) as f64 / seconds) as f32
        } else {
            0.0
        }
    }
}

/// Counts of [`Traffic`] by channel.
#[derive(Debug, Default)]
pub(crate) struct TrafficByChannel(pub(crate) BTreeMap<u16, Traffic>);

impl TrafficByChannel {
    pub(crate) fn add(&mut self, channel: u16, log_time: u64) {
        let traffic = self.0.entry(channel).or_insert(Traffic {
            messages: 0,
            first: log_time,
            last: log_time,
        });
        traffic.messages = traffic.messages.saturating_add(1);
        traffic.first = traffic.first.min(log_time);
        traffic.last = traffic.last.max(log_time);
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// In the order of the file.
    pub(crate) stretches: Vec<Stretch>,
    /// As far as known without opening chunks.
    pub(crate) traffic: TrafficByChannel,
    /// Whether the log ends as a finished one does.
    pub(crate) is_whole: bool,
    /// Bytes after the last whole record of one that does not.
    pub(crate) bytes_lost: u64,
    /// Channel and `log_time` of the messages that the indexes behind the latest chunk name so far.
    in_latest_chunk: Vec<(u16, u64)>,
}

/// Walks over all records of `input`.
///
/// # Errors
/// [`RecordError::NotMcap`], [`RecordError::Read`].
pub(crate) fn walk(input: &mut dyn Input) -> Result<Index, RecordError> {
    let read_error = |offset| move |source| RecordError::Read { offset, source };
    let length = input.seek(SeekFrom::End(0)).map_err(read_error(0))?;
    input.rewind().map_err(read_error(0))?;
    let mut file = BufReader::new(input);
    let mut magic = Vec::new();
    file.by_ref()
        .take(mcap::MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(read_error(0))?;
    if magic != mcap::MAGIC {
        let found = magic
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<Vec<_>>()
            .join(" ");
        let found = if found.is_empty() { "nothing".to_owned() } else { found };
        return Err(RecordError::NotMcap { found });
    }

    let mut index = Index::default();
    let mut at = magic.len() as u64;
    loop {
        let left = length - at;
        let size = match read_record_head(&mut file, left).map_err(read_error(at))? {
            Some((op::FOOTER, _)) => {
                index.end_chunk();
                index.is_whole = true;
                return Ok(index);
            }
            Some((opcode, content)) => {
                if opcode != op::MESSAGE_INDEX {
                    index.end_chunk();
                }
                // What follows repeats what came before; damage there costs nothing.
                index.is_whole |= opcode == op::DATA_END;
                let consumed = index.note(&mut file, opcode, at, content).map_err(read_error(at))?;
                skip(&mut file, content - consumed).map_err(read_error(at))?;
                content + RECORD_HEAD as u64
            }
            None => {
                // The indexes of the latest chunk may be missing in part: it is opened to see what it holds.
                if !index.is_whole {
                    index.bytes_lost = left;
                }
                return Ok(index);
            }
        };
        at += size;
    }
}

/// Opcode and length of content of the next record; `None` when it is not whole within the `left` bytes of the file, or
/// is none: opcode 0 stands in files that were allocated before they were written.
fn read_record_head(file: &mut impl Read, left: u64) -> io::Result<Option<(u8, u64)>> {
    let mut head = [0; RECORD_HEAD];
    let Some(room) = left.checked_sub(RECORD_HEAD as u64) else {
        return Ok(None);
    };
    file.read_exact(&mut head)?;
    Ok(record_head(&head).filter(|&(opcode, content)| opcode != 0 && content <= room))
}

impl Index {
    /// Notes one record whose content comes next in `file`; returns how much of it was consumed.
    fn note(&mut self, file: &mut impl Read, opcode: u8, at: u64, content: u64) -> io::Result<u64> {
        let size = content + RECORD_HEAD as u64;
        match opcode {
            op::CHUNK => {
                let (head, consumed) = read_head::<CHUNK_HEAD>(file, content)?;
                let first = first_u64(&head);
                self.stretches.push(Stretch {
                    offset: at,
                    length: size,
                    is_chunk: true,
                    first,
                    channels: None,
                });
                Ok(consumed)
            }
            op::MESSAGE_INDEX if content <= MAX_INDEX_BYTES => {
                let mut bytes = Vec::new();
                file.take(content).read_to_end(&mut bytes)?;
                self.note_message_index(&bytes);
                Ok(content)
            }
            op::SCHEMA | op::CHANNEL => {
                self.plain(at, size, None);
                Ok(0)
            }
            op::MESSAGE => {
                let (head, consumed) = read_head::<MESSAGE_HEAD>(file, content)?;
                // Channel (2 bytes), sequence (4), log time (8), publish time (8).
                let channel = u16::from_le_bytes([head[0], head[1]]);
                let log_time = first_u64(&head[6..]);
                self.traffic.add(channel, log_time);
                self.plain(at, size, Some((channel, log_time)));
                Ok(consumed)
            }
            _ => Ok(0),
        }
    }

    /// Message indexes follow their chunk, one per channel.
    fn note_message_index(&mut self, bytes: &[u8]) {
        let Ok(Record::MessageIndex(message_index)) = mcap::parse_record(op::MESSAGE_INDEX, bytes) else {
            return;
        };
        let messages = message_index.records.iter();
        self.in_latest_chunk
            .extend(messages.map(|entry| (message_index.channel_id, entry.log_time)));
    }

    /// Notes what the indexes behind the latest chunk said: they are complete.
    fn end_chunk(&mut self) {
        let mut chunk = self.stretches.last_mut().filter(|stretch| stretch.is_chunk);
        for (channel, log_time) in self.in_latest_chunk.drain(..) {
            if let Some(chunk) = &mut chunk {
                chunk.channels.get_or_insert_default().insert(channel);
            }
            self.traffic.add(channel, log_time);
        }
    }

    /// Adds a record outside chunks to the last stretch if that ends here and has room, else to a new one.
    fn plain(&mut self, at: u64, size: u64, message: Option<(u16, u64)>) {
        let has_room = |s: &&mut Stretch| {
            !s.is_chunk && s.offset + s.length == at && s.length.saturating_add(size) <= PLAIN_STRETCH_BYTES
        };
        let log_time = message.map_or(u64::MAX, |(_, log_time)| log_time);
        let stretch = match self.stretches.last_mut().filter(has_room) {
            Some(stretch) => {
                stretch.length += size;
                stretch.first = stretch.first.min(log_time);
                stretch
            }
            None => {
                let channels = Some(BTreeSet::new());
                let new = Stretch {
                    offset: at,
                    length: size,
                    is_chunk: false,
                    first: log_time,
                    channels,
                };
                self.stretches.push(new);
                let last = self.stretches.len() - 1;
                &mut self.stretches[last]
            }
        };
        if let (Some(channels), Some((channel, _))) = (&mut stretch.channels, message) {
            channels.insert(channel);
        }
    }
}

/// Up to `N` bytes of a record's content; what it lacks is zero.
fn read_head<const N: usize>(file: &mut impl Read, content: u64) -> io::Result<([u8; N], u64)> {
    let mut head = [0; N];
    let take = usize::try_from(content).map_or(N, |content| content.min(N));
    file.read_exact(&mut head[..take])?;
    Ok((head, take as u64))
}

fn first_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

fn skip<R: Read + Seek>(file: &mut BufReader<R>, bytes: u64) -> io::Result<()> {
    match i64::try_from(bytes) {
        Ok(bytes) => file.seek_relative(bytes),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "record length does not fit a file",
        )),
    }
}
