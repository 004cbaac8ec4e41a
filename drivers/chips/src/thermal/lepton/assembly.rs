//! Frames out of packets: order, segments, telemetry, repeated frames. No bus here.
//!
//! FLIR "Lepton Engineering Datasheet", 500-0659-00-09 rev 203, sections 4.2.2.2 (Lepton 2), 4.2.3.2 and 4.2.3.3
//! (Lepton 3), tables 10 to 13.

use core::fmt;

use super::packet::{PACKET_BYTES, PACKET_WORDS, Packet};
use super::telemetry::{self, Telemetry};
use super::{Model, TelemetryLocation};

const MOST_PIXELS: usize = 160 * 120;
/// The packet that carries the number of its segment.
const SEGMENT_PACKET: u16 = 20;
/// Discard packets in a row before the stream counts as silent: 393 ms of them at the fastest clock of 20 MHz, ten frame
/// periods, while a Lepton in sync never pauses for a whole one. A line stuck high reads as discard packets for ever.
const MOST_DISCARDS: u32 = 6000;

/// Why the stream of packets broke. The remedy is the same for all: leave the chip deselected for
/// [`RESYNC_MS`](super::RESYNC_MS), then start again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncLoss {
    /// A checksum did not match: bits flipped, or the stream is shifted.
    Checksum {
        /// What the packet's bytes give.
        expected: u16,
        /// What the packet says.
        found: u16,
    },
    /// A packet is missing or comes twice: the reader was late.
    Packet {
        /// The number that should have followed.
        expected: u16,
        /// The number that came.
        found: u16,
    },
    /// A segment is missing: the reader was late by more than a segment.
    Segment {
        /// The segment that should have followed.
        expected: u8,
        /// The segment that came.
        found: u8,
    },
    /// Nothing but discard packets for ten frame periods: no camera, or one that waits to be synchronised.
    Silent,
}

impl fmt::Display for SyncLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { expected, found } => {
                write!(f, "packet with checksum {found:#06x}, its bytes give {expected:#06x}")
            }
            Self::Packet { expected, found } => write!(f, "packet {found} where {expected} should follow"),
            Self::Segment { expected, found } => write!(f, "segment {found} where {expected} should follow"),
            Self::Silent => write!(f, "nothing but discard packets for ten frame periods"),
        }
    }
}

/// What one packet led to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Nothing yet.
    Waiting,
    /// The last packet of a new frame: [`Assembly::counts`] holds it until the next packet.
    Frame(Option<Telemetry>),
    /// The last packet of a frame that was seen before: each unique frame comes up to three times.
    Repeated,
    /// The stream broke.
    Lost(SyncLoss),
}

/// Puts frames together. Holds one frame (38 KiB); allocates nothing, blocks on nothing, accepts any bytes.
#[derive(Debug)]
pub struct Assembly {
    model: Model,
    telemetry: Option<TelemetryLocation>,
    counts: [u16; MOST_PIXELS],
    telemetry_words: [u16; telemetry::WORDS],
    /// Segment expected or being read, from 1.
    segment: u8,
    /// Packet expected in it.
    packet: u16,
    /// The segment being read belongs to no frame: its packets only count.
    invalid: bool,
    discards: u32,
    /// Checksums of the frame so far: tells a repeated frame where no telemetry does.
    fingerprint: u64,
    last_fingerprint: Option<u64>,
    last_counter: Option<u32>,
}

impl Assembly {
    /// Waits for the first packet of a first segment.
    #[must_use]
    pub fn new(model: Model, telemetry: Option<TelemetryLocation>) -> Self {
        Self {
            model,
            telemetry,
            counts: [0; MOST_PIXELS],
            telemetry_words: [0; telemetry::WORDS],
            segment: 1,
            packet: 0,
            invalid: false,
            discards: 0,
            fingerprint: FINGERPRINT_START,
            last_fingerprint: None,
            last_counter: None,
        }
    }

    /// Which model the frames are of.
    #[must_use]
    pub fn model(&self) -> Model {
        self.model
    }

    /// Forgets the frame begun, not which frame was the last: a resynchronised stream may repeat it.
    pub fn restart(&mut self) {
        self.segment = 1;
        self.packet = 0;
        self.invalid = false;
        self.discards = 0;
        self.fingerprint = FINGERPRINT_START;
    }

    /// Pixels of the frame that [`Step::Frame`] just announced, row by row from the top left.
    #[must_use]
    pub fn counts(&self) -> &[u16] {
        &self.counts[..self.model.width() * self.model.height()]
    }

    /// Takes the next packet of the stream.
    pub fn push(&mut self, bytes: &[u8; PACKET_BYTES]) -> Step {
        match Packet::parse(bytes) {
            Packet::Discard => {
                self.discards += 1;
                if self.discards < MOST_DISCARDS {
                    return Step::Waiting;
                }
                self.lose(SyncLoss::Silent)
            }
            Packet::Corrupt { expected, found } => self.lose(SyncLoss::Checksum { expected, found }),
            Packet::Line {
                number,
                segment,
                checksum,
                payload,
            } => self.line(number, segment, checksum, payload),
        }
    }

    fn line(&mut self, number: u16, segment: u8, checksum: u16, payload: &[u8]) -> Step {
        self.discards = 0;
        if number != self.packet {
            return self.lose(SyncLoss::Packet {
                expected: self.packet,
                found: number,
            });
        }
        if number == SEGMENT_PACKET
            && self.model.segments() > 1
            && let Err(loss) = self.take_segment(segment)
        {
            return self.lose(loss);
        }
        self.fingerprint = (self.fingerprint ^ u64::from(checksum)).wrapping_mul(FINGERPRINT_FACTOR);
        self.store(payload);
        self.packet += 1;
        if self.packet < self.packets_in_segment() {
            return Step::Waiting;
        }
        self.packet = 0;
        if core::mem::take(&mut self.invalid) {
            self.restart();
            return Step::Waiting;
        }
        if self.segment < self.model.segments() {
            self.segment += 1;
            return Step::Waiting;
        }
        self.finish()
    }

    /// Packet 20 says which segment is being read.
    fn take_segment(&mut self, found: u8) -> Result<(), SyncLoss> {
        if found == self.segment {
            return Ok(());
        }
        // Between frames come segments of number 0, and a stream just synchronised may begin in the middle of a frame.
        if self.segment == 1 {
            self.invalid = true;
            return Ok(());
        }
        Err(SyncLoss::Segment {
            expected: self.segment,
            found,
        })
    }

    fn packets_in_segment(&self) -> u16 {
        match (self.model.segments(), self.telemetry) {
            (1, Some(_)) => 63,
            (_, Some(_)) => 61,
            (_, None) => 60,
        }
    }

    /// Puts a payload where it belongs in the frame: a line of pixels, or of telemetry at the frame's head or foot.
    fn store(&mut self, payload: &[u8]) {
        let in_frame =
            usize::from(self.segment - 1) * usize::from(self.packets_in_segment()) + usize::from(self.packet);
        let lines = self.counts().len() / PACKET_WORDS;
        let all = usize::from(self.model.segments()) * usize::from(self.packets_in_segment());
        let head = match self.telemetry {
            Some(TelemetryLocation::Header) => all - lines,
            _ => 0,
        };
        let words = match in_frame.checked_sub(head) {
            Some(line) if line < lines => self.counts[line * PACKET_WORDS..].first_chunk_mut::<PACKET_WORDS>(),
            // The fourth telemetry line of a Lepton 3 is reserved: `telemetry_words` has no place for it.
            Some(line) => telemetry_row(&mut self.telemetry_words, line - lines),
            None => telemetry_row(&mut self.telemetry_words, in_frame),
        };
        for (word, bytes) in words.into_iter().flatten().zip(payload.as_chunks::<2>().0) {
            *word = u16::from_be_bytes(*bytes);
        }
    }

    fn finish(&mut self) -> Step {
        let fingerprint = self.fingerprint;
        self.restart();
        let telemetry = self.telemetry.map(|_| Telemetry::parse(&self.telemetry_words));
        let repeated = match &telemetry {
            Some(telemetry) => self.last_counter.replace(telemetry.counter) == Some(telemetry.counter),
            None => self.last_fingerprint.replace(fingerprint) == Some(fingerprint),
        };
        if repeated {
            Step::Repeated
        } else {
            Step::Frame(telemetry)
        }
    }

    fn lose(&mut self, loss: SyncLoss) -> Step {
        self.restart();
        Step::Lost(loss)
    }
}

/// FNV-1a, 64 bits.
const FINGERPRINT_START: u64 = 0xCBF2_9CE4_8422_2325;
const FINGERPRINT_FACTOR: u64 = 0x0100_0000_01B3;

fn telemetry_row(words: &mut [u16; telemetry::WORDS], row: usize) -> Option<&mut [u16; PACKET_WORDS]> {
    words.as_chunks_mut::<PACKET_WORDS>().0.get_mut(row)
}
