//! From a stretch of the file to its messages: decompressed within limits, checked, split into records.

use bytes::Bytes;
use mcap::records::{self, Record, op};
use std::io::Read;

/// One message as the file holds it.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The channel it belongs to.
    pub(crate) channel: u16,
    /// `log_time`, nanoseconds.
    pub(crate) log_time: u64,
    /// Its bytes, shared with the chunk they lie in.
    pub(crate) data: Bytes,
}

/// What a stretch of the file holds, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) schemas: Vec<(u16, String)>,
    pub(crate) channels: Vec<records::Channel>,
    pub(crate) messages: Vec<Message>,
    /// Bytes held in memory as long as one message lives.
    pub(crate) size: usize,
}

/// Bytes before the content of a record: opcode and length.
pub(crate) const RECORD_HEAD: usize = 9;

/// Opcode and length of content at the start of `bytes`, if they are long enough.
pub(crate) fn record_head(bytes: &[u8]) -> Option<(u8, u64)> {
    let (&opcode, rest) = bytes.split_first()?;
    Some((opcode, u64::from_le_bytes(*rest.first_chunk()?)))
}

/// Opens the content of one chunk record.
///
/// # Errors
/// Why the chunk is unusable: CRC, compression, more than `max_bytes` when decompressed, records that do not fit.
pub(crate) fn open(chunk: Bytes, max_bytes: usize) -> Result<Contents, String> {
    let Record::Chunk { header, data } = mcap::parse_record(op::CHUNK, &chunk).map_err(|e| e.to_string())? else {
        return Err("not a chunk".to_owned());
    };
    let size = usize::try_from(header.uncompressed_size)
        .ok()
        .filter(|&size| size <= max_bytes)
        .ok_or_else(|| format!("chunk of {} bytes, limit {max_bytes}", header.uncompressed_size))?;
    let records = match header.compression.as_str() {
        "" => chunk.slice_ref(&data),
        "zstd" => decompress(zstd::Decoder::with_buffer(&*data), size)?,
        "lz4" => decompress(lz4::Decoder::new(&*data), size)?,
        other => return Err(format!("unknown compression {other:?}")),
    };
    if records.len() != size {
        return Err(format!("chunk holds {} bytes, its header says {size}", records.len()));
    }
    // A CRC of 0 means that the writer did not compute one.
    if header.uncompressed_crc != 0 && crc32fast::hash(&records) != header.uncompressed_crc {
        return Err("chunk CRC does not match".to_owned());
    }
    split(records)
}

/// Taken on a header's word; beyond it the buffer grows only as data really comes.
const FIRST_ALLOCATION: usize = 16 << 20;

/// Reads at most one byte more than `size`, so a stream that decompresses to more than its header says is found
/// without unpacking it.
fn decompress(decoder: std::io::Result<impl Read>, size: usize) -> Result<Bytes, String> {
    let mut out = Vec::with_capacity(size.min(FIRST_ALLOCATION));
    decoder
        .and_then(|decoder| decoder.take(size as u64 + 1).read_to_end(&mut out))
        .map_err(|e| format!("decompression: {e}"))?;
    Ok(out.into())
}

/// Splits a run of whole records.
///
/// # Errors
/// Why the run is unusable.
pub(crate) fn split(records: Bytes) -> Result<Contents, String> {
    let mut contents = Contents {
        size: records.len(),
        ..Contents::default()
    };
    let mut rest = records.clone();
    while !rest.is_empty() {
        let (opcode, length) = record_head(&rest).ok_or("chunk ends within a record")?;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(RECORD_HEAD))
            .filter(|&end| end <= rest.len())
            .ok_or("chunk ends within a record")?;
        let content = rest.split_to(end).slice(RECORD_HEAD..);
        if !matches!(opcode, op::SCHEMA | op::CHANNEL | op::MESSAGE) {
            continue;
        }
        match mcap::parse_record(opcode, &content).map_err(|e| e.to_string())? {
            Record::Schema { header, .. } => contents.schemas.push((header.id, header.name)),
            Record::Channel(channel) => contents.channels.push(channel),
            Record::Message { header, data } => contents.messages.push(Message {
                channel: header.channel_id,
                log_time: header.log_time,
                data: content.slice_ref(&data),
            }),
            _ => {}
        }
    }
    Ok(contents)
}
