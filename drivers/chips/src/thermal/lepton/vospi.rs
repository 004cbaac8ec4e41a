//! Video over SPI: reads packets, keeps in sync, hands out frames.
//!
//! FLIR "Lepton Engineering Datasheet", 500-0659-00-09 rev 203, section 4.2: SPI mode 3, 2.2 to 20 MHz, chip select held
//! while a packet is read; at 27 frames a second, of which every third is new, a Lepton 3 must be read at 9.5 MHz or
//! faster.

use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{Operation, SpiDevice};

use super::assembly::{Assembly, Step, SyncLoss};
use super::packet::PACKET_BYTES;
use super::telemetry::Telemetry;
use super::{Model, Resolution, TelemetryLocation};

/// How long the chip must be deselected to find its place again: more than 185 ms (section 4.2.2.3.1).
pub const RESYNC_MS: u32 = 186;
/// Packets in one transfer: 3280 bytes, below the 4096 that Linux takes at once unless told otherwise.
pub const PACKETS_PER_TRANSFER: usize = 20;

/// One unique frame, valid until the next call.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Counts, row by row from the top left: TLinear temperatures, or 14 bits of raw signal.
    pub counts: &'a [u16],
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The frame's own telemetry; none when telemetry is off.
    pub telemetry: Option<Telemetry>,
}

impl Frame<'_> {
    /// Writes temperatures in kelvin. The resolution is the chip's, see [`Setup::tlinear`](super::Setup::tlinear).
    ///
    /// Pixels beyond the shorter of the two slices are left alone.
    pub fn write_kelvin(&self, resolution: Resolution, kelvin: &mut [f32]) {
        for (pixel, count) in kelvin.iter_mut().zip(self.counts) {
            *pixel = f32::from(*count) * resolution.kelvin_per_count();
        }
    }
}

/// What one call found.
#[derive(Debug)]
pub enum Poll<'a> {
    /// In the middle of a frame: call again at once.
    Reading,
    /// The chip has nothing to send: the next frame (or segment) begins within a few milliseconds.
    Idle,
    /// A new frame.
    Frame(Frame<'a>),
    /// The stream broke. The frame begun is lost; the next call first waits for [`RESYNC_MS`].
    Lost(SyncLoss),
}

/// What happened on the stream so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Unique frames handed out.
    pub frames: u64,
    /// Whole frames that repeated the one before.
    pub repeated: u64,
    /// Times the stream broke.
    pub losses: u64,
    /// Unique frames that the chip made and that were never read, by its own count (needs telemetry).
    pub missed: u64,
}

/// The video side of a Lepton.
#[derive(Debug)]
pub struct VoSpi<SPI> {
    spi: SPI,
    assembly: Assembly,
    buffer: [u8; PACKETS_PER_TRANSFER * PACKET_BYTES],
    /// Packet of the buffer to look at next; past the end when a transfer is due.
    next: usize,
    resync_due: bool,
    counts: Counts,
    last_counter: Option<u32>,
}

impl<SPI: SpiDevice> VoSpi<SPI> {
    /// Takes the bus. The first [`poll`](Self::poll) waits for [`RESYNC_MS`]: the chip may be anywhere in its stream.
    #[must_use]
    pub fn new(spi: SPI, model: Model, telemetry: Option<TelemetryLocation>) -> Self {
        Self {
            spi,
            assembly: Assembly::new(model, telemetry),
            buffer: [0; PACKETS_PER_TRANSFER * PACKET_BYTES],
            next: PACKETS_PER_TRANSFER,
            resync_due: true,
            counts: Counts::default(),
            last_counter: None,
        }
    }

    /// Reads at most one transfer of [`PACKETS_PER_TRANSFER`] packets and says what it led to. Blocks for the transfer,
    /// and for [`RESYNC_MS`] after a loss of sync.
    ///
    /// # Errors
    /// The bus's error; the stream is then resynchronised.
    pub fn poll(&mut self, delay: &mut impl DelayNs) -> Result<Poll<'_>, SPI::Error> {
        if self.next >= PACKETS_PER_TRANSFER {
            if self.resync_due {
                // The chip is deselected between transfers: waiting is all it takes.
                delay.delay_ms(RESYNC_MS);
                self.assembly.restart();
                self.resync_due = false;
            }
            if let Err(error) = self.spi.transaction(&mut [Operation::Read(&mut self.buffer)]) {
                self.resync_due = true;
                return Err(error);
            }
            self.next = 0;
        }
        let mut idle = true;
        while let Some(packet) = self.buffer.as_chunks::<PACKET_BYTES>().0.get(self.next) {
            self.next += 1;
            idle &= packet[0] & 0x0F == 0x0F;
            match self.assembly.push(packet) {
                Step::Waiting => {}
                Step::Repeated => self.counts.repeated += 1,
                Step::Lost(loss) => {
                    self.counts.losses += 1;
                    self.resync_due = true;
                    self.next = PACKETS_PER_TRANSFER;
                    return Ok(Poll::Lost(loss));
                }
                Step::Frame(telemetry) => {
                    self.count_frame(telemetry.as_ref());
                    let model = self.assembly.model();
                    return Ok(Poll::Frame(Frame {
                        counts: self.assembly.counts(),
                        width: model.width(),
                        height: model.height(),
                        telemetry,
                    }));
                }
            }
        }
        Ok(if idle { Poll::Idle } else { Poll::Reading })
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Gives the bus back.
    pub fn release(self) -> SPI {
        self.spi
    }

    fn count_frame(&mut self, telemetry: Option<&Telemetry>) {
        self.counts.frames += 1;
        let Some(telemetry) = telemetry else { return };
        if let Some(last) = self.last_counter.replace(telemetry.counter) {
            // A camera that booted again counts from zero: not four thousand million frames missed.
            if telemetry.counter > last {
                self.counts.missed += u64::from(telemetry.counter - last - 1);
            }
        }
    }
}
