//! The newest frames of one stream. Two rings of crate `ringbuf` inside: the frames' bytes, and an index of them.

use crate::Capacity;
use ringbuf::LocalRb;
use ringbuf::storage::Heap;
use ringbuf::traits::Observer;
use sensebind_core::{Format, StreamId, Timestamp};
use std::fmt;
use std::time::Duration;

/// A ring could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// Nothing could be held, or more than any board has.
    #[error(
        "{stream}: a ring of {} bytes and {} frames, expected 1 to {} bytes and 1 to {} frames: check the format's \
         width, height and rate, and the history asked for",
        .capacity.bytes, .capacity.frames, Capacity::MAX_BYTES, Capacity::MAX_FRAMES
    )]
    Capacity {
        /// The stream.
        stream: StreamId,
        /// What was asked for.
        capacity: Capacity,
    },
    /// Sound without a rate or without channels.
    #[error("{stream}: {format}, expected a rate and a number of channels above zero: correct the source's format")]
    NoSound {
        /// The stream.
        stream: StreamId,
        /// What the source declares, in words.
        format: String,
    },
}

/// A frame was refused; it is counted, and the stream may go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// It would not fit even into the empty ring.
    #[error("{stream}: a frame of {found} bytes, the ring holds {capacity}: give the stream a longer history")]
    TooLarge {
        /// The stream.
        stream: StreamId,
        /// Bytes of the frame.
        found: usize,
        /// Bytes of the ring.
        capacity: usize,
    },
    /// Its size contradicts the stream's format.
    #[error("{stream}: a frame of {found} bytes, expected {expected}: the source does not keep to its format")]
    WrongSize {
        /// The stream.
        stream: StreamId,
        /// Bytes of the frame.
        found: usize,
        /// What the format says, in words.
        expected: String,
    },
}

/// What a push did besides storing the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pushed {
    /// The capture time the frame is held under.
    pub captured: Timestamp,
    /// Oldest frames pushed out to make room.
    pub overwritten: u64,
    /// Whether the capture time did not follow the last one and was moved to 1 ns after it.
    pub repaired: bool,
}

/// Totals since construction. `captured = held + overwritten + cleared + refused` at every moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames offered.
    pub captured: u64,
    /// Frames pushed out by newer ones.
    pub overwritten: u64,
    /// Frames let go by [`Ring::clear`].
    pub cleared: u64,
    /// Frames not taken; see [`PushError`].
    pub refused: u64,
    /// Frames held under a repaired capture time.
    pub repaired: u64,
}

/// One entry of the index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// When it was captured, strictly later than the entry before.
    pub captured: Timestamp,
    /// Bytes pushed before it, ever.
    pub at: u64,
    /// Bytes.
    pub len: usize,
}

/// The bounded history of one stream: the newest frames within a [`Capacity`]; the oldest make room for the newest.
///
/// # Time
/// Capture times inside the ring rise strictly. A frame whose time is not later than the last one's is held under that
/// time plus 1 ns and counted as repaired, however far back it jumped: the ring never goes back. After a large jump back
/// (a device clock that was reset) frames therefore pile up at one instant until the clock has caught up; a caller that
/// sees `repaired` grow should reopen the source and [`clear`](Self::clear). A jump forward is taken as it is: it
/// shows as a gap in coverage, and the [`Planner`](crate::Planner) passes over it.
///
/// Sound packets keep their own times even where, by jitter, one begins before the end of the last: clamping would add
/// up to a drift against the other senses.
pub struct Ring {
    stream: StreamId,
    pub(crate) format: Format,
    pub(crate) index: LocalRb<Heap<Held>>,
    pub(crate) bytes: LocalRb<Heap<u8>>,
    /// Bytes pushed, ever.
    written: u64,
    last: Option<Timestamp>,
    latest_end: Option<Timestamp>,
    /// The longest packet of sound since the last clear: how far back a search must begin.
    pub(crate) longest: Duration,
    counters: Counters,
}

impl Ring {
    /// An empty ring. Allocates all it will ever need.
    ///
    /// # Errors
    /// [`RingError`] for a capacity of zero or beyond [`Capacity::MAX_BYTES`], and for sound without rate or channels.
    pub fn new(stream: StreamId, format: Format, capacity: Capacity) -> Result<Self, RingError> {
        if !(1..=Capacity::MAX_BYTES).contains(&capacity.bytes)
            || !(1..=Capacity::MAX_FRAMES).contains(&capacity.frames)
        {
            return Err(RingError::Capacity { stream, capacity });
        }
        if let Format::Audio { rate_hz, .. } = format
            && (rate_hz == 0 || format.audio_sample_bytes() == 0)
        {
            return Err(RingError::NoSound {
                stream,
                format: format.to_string(),
            });
        }
        Ok(Self {
            stream,
            format,
            index: LocalRb::new(capacity.frames),
            bytes: LocalRb::new(capacity.bytes),
            written: 0,
            last: None,
            latest_end: None,
            longest: Duration::ZERO,
            counters: Counters::default(),
        })
    }

    /// Appends a frame of `data` captured at `captured`, pushing out as many of the oldest as needed. Never blocks,
    /// never allocates.
    ///
    /// # Errors
    /// [`PushError`]: the frame was refused and counted; what the ring held is unchanged.
    pub fn push(&mut self, captured: Timestamp, data: &[u8]) -> Result<Pushed, PushError> {
        self.counters.captured += 1;
        if let Err(e) = self.check(data.len()) {
            self.counters.refused += 1;
            return Err(e);
        }
        let floor = self.last.map_or(Timestamp::ZERO, |t| t.after(Duration::from_nanos(1)));
        let repaired = captured < floor;
        let captured = captured.max(floor);
        let mut overwritten = 0;
        while self.index.is_full() || self.bytes.vacant_len() < data.len() {
            let Some(oldest) = self.index.try_pop() else {
                break;
            };
            self.bytes.skip(oldest.len);
            overwritten += 1;
        }
        self.bytes.push_slice(data);
        let _ = self.index.try_push(Held {
            captured,
            at: self.written,
            len: data.len(),
        });
        self.written += data.len() as u64;
        self.last = Some(captured);
        let length = self.packet_length(data.len());
        self.longest = self.longest.max(length);
        let end = captured.after(length);
        self.latest_end = Some(self.latest_end.map_or(end, |e| e.max(end)));
        self.counters.overwritten += overwritten;
        self.counters.repaired += u64::from(repaired);
        Ok(Pushed {
            captured,
            overwritten,
            repaired,
        })
    }

    fn check(&self, found: usize) -> Result<(), PushError> {
        let capacity = self.bytes.capacity().get();
        let sample = self.format.audio_sample_bytes();
        let expected = match self.format.frame_bytes() {
            Some(size) if found != size => size.to_string(),
            None if found == 0 => "at least one".to_owned(),
            None if sample > 0 && !found.is_multiple_of(sample) => {
                format!("a multiple of {sample}")
            }
            _ if found > capacity => {
                return Err(PushError::TooLarge {
                    stream: self.stream.clone(),
                    found,
                    capacity,
                });
            }
            _ => return Ok(()),
        };
        Err(PushError::WrongSize {
            stream: self.stream.clone(),
            found,
            expected,
        })
    }

    /// How long a frame of `len` bytes speaks for: sound to half a sample after its last one (windows are cut at the
    /// nearest sample), anything else its own instant.
    fn packet_length(&self, len: usize) -> Duration {
        let Format::Audio { rate_hz, .. } = self.format else {
            return Duration::from_nanos(1);
        };
        let samples = (len / self.format.audio_sample_bytes()) as u128;
        let nanos = (samples * 1_000_000_000 + 499_999_999) / u128::from(rate_hz);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The time up to which the ring is complete, exclusive: whatever of this stream was captured before has been
    /// pushed. Sound: the end of the last packet. Everything else: 1 ns after the last frame, because the next may
    /// follow at any moment. `None` before the first frame and after [`clear`](Self::clear).
    pub fn latest_end(&self) -> Option<Timestamp> {
        self.latest_end
    }

    /// The time up to which windows may be cut without waiting for what comes next, exclusive. Sound: as
    /// [`latest_end`](Self::latest_end). Everything else: the last frame plus three quarters of the nominal frame period,
    /// because the next is not due before; a frame that comes earlier still takes part in later windows. Without it, every
    /// picture window would be a frame period late. `None` before the first frame and after [`clear`](Self::clear).
    pub fn complete_until(&self) -> Option<Timestamp> {
        let latest = self.latest_end?;
        let rate_hz = self.format.rate_hz();
        if matches!(self.format, Format::Audio { .. }) || !(rate_hz.is_finite() && rate_hz > 0.0) {
            return Some(latest);
        }
        Some(latest.after(Duration::try_from_secs_f64(0.75 / rate_hz).unwrap_or(Duration::ZERO)))
    }

    /// Forgets all frames (a source that was reopened, a log that was rewound) and with them the last capture time.
    pub fn clear(&mut self) {
        self.counters.cleared += self.held() as u64;
        self.index.clear();
        self.bytes.clear();
        self.last = None;
        self.latest_end = None;
        self.longest = Duration::ZERO;
    }

    /// Frames held now.
    pub fn held(&self) -> usize {
        self.index.occupied_len()
    }

    /// Totals since construction.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes the ring can hold.
    pub fn bytes_capacity(&self) -> usize {
        self.bytes.capacity().get()
    }

    /// The stream it holds.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// What its frames mean.
    pub fn format(&self) -> &Format {
        &self.format
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("stream", &self.stream)
            .field("format", &self.format)
            .field("held", &self.held())
            .field("bytes", &self.bytes.occupied_len())
            .field("latest_end", &self.latest_end)
            .field("counters", &self.counters)
            .finish()
    }
}
