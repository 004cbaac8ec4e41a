//! What InvenSense's older chips share: a FIFO without frames, and rates by a divider.
//!
//! After an overflow nothing in such a FIFO tells where a sample begins. It is then emptied and started again, and the
//! count of lost samples is unknown.

use super::{Error, FifoRead, Gap, GapCause, RATE, RATE_TOLERANCE, Range, Sample, vector_be};
use crate::registers::RegisterBus;

/// Acceleration, then angular rate, most significant byte first.
pub(super) const SAMPLE_BYTES: usize = 12;
/// The longest burst: 85 samples, as much as the largest of these FIFOs is known to hold.
pub(super) const BURST_BYTES: usize = 1024;

/// The registers of one chip's FIFO.
#[derive(Debug, Clone, Copy)]
pub(super) struct FifoRegisters {
    pub chip: &'static str,
    /// High byte of the count of bytes held; the low byte follows.
    pub count_high: u8,
    pub data: u8,
    /// Where an overflow is told, and cleared by reading.
    pub status: u8,
    pub overflow: u8,
    /// More bytes than these it cannot hold.
    pub bytes: usize,
}

/// A FIFO in use.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnframedFifo {
    registers: FifoRegisters,
    acceleration: Range,
    angular_rate: Range,
    samples: u64,
    /// Bytes may have left the FIFO unseen: where a sample begins is unknown until it is emptied.
    misaligned: bool,
}

impl UnframedFifo {
    /// A FIFO just emptied and started.
    pub(super) fn new(registers: FifoRegisters, acceleration: Range, angular_rate: Range) -> Self {
        Self {
            registers,
            acceleration,
            angular_rate,
            samples: 0,
            misaligned: false,
        }
    }

    /// Reads what is held; `restart` empties the FIFO and starts it again.
    pub(super) fn read<B: RegisterBus>(
        &mut self,
        bus: &mut B,
        buffer: &mut [u8; BURST_BYTES],
        into: &mut [Sample],
        restart: impl FnOnce(&mut B) -> Result<(), B::Error>,
    ) -> Result<FifoRead, Error<B::Error>> {
        if self.misaligned {
            return self.start_over(bus, restart, GapCause::BusError);
        }
        let mut count = [0; 2];
        bus.read_registers(self.registers.count_high, &mut count)?;
        let count = u16::from_be_bytes(count);
        let bytes_held = usize::from(count);
        if bytes_held > self.registers.bytes {
            return Err(Error::Unexpected {
                chip: self.registers.chip,
                register: "FIFO_COUNT",
                expected: "no more bytes than its FIFO has",
                found: count,
            });
        }
        let held = bytes_held / SAMPLE_BYTES;
        let taken = held.min(into.len()).min(BURST_BYTES / SAMPLE_BYTES);
        let (burst, _) = buffer.split_at_mut(taken * SAMPLE_BYTES);
        self.misaligned = true;
        if !burst.is_empty() {
            bus.read_registers(self.registers.data, burst)?;
        }
        // After the burst, so that an overflow during it is seen before its bytes are believed.
        let status = bus.read_register(self.registers.status)?;
        if status & self.registers.overflow != 0 || bytes_held == self.registers.bytes {
            return self.start_over(bus, restart, GapCause::Overflow);
        }
        self.misaligned = false;
        let (bytes, _) = burst.as_chunks::<SAMPLE_BYTES>();
        for (sample, bytes) in into.iter_mut().zip(bytes) {
            let [a0, a1, a2, a3, a4, a5, g0, g1, g2, g3, g4, g5] = *bytes;
            *sample = Sample {
                acceleration_m_s2: vector_be([a0, a1, a2, a3, a4, a5], self.acceleration.unit_per_count),
                angular_rate_rad_s: vector_be([g0, g1, g2, g3, g4, g5], self.angular_rate.unit_per_count),
                device_ticks: self.samples,
            };
            self.samples += 1;
        }
        Ok(FifoRead {
            samples: taken,
            more: taken < held,
            ..FifoRead::default()
        })
    }

    fn start_over<B: RegisterBus>(
        &mut self,
        bus: &mut B,
        restart: impl FnOnce(&mut B) -> Result<(), B::Error>,
        cause: GapCause,
    ) -> Result<FifoRead, Error<B::Error>> {
        restart(bus)?;
        self.misaligned = false;
        Ok(FifoRead {
            gap: Some(Gap {
                cause,
                lost_samples: None,
            }),
            ..FifoRead::default()
        })
    }
}

/// The value of an 8-bit divider, where the rate is `base_hz / (value + 1)`, for the lowest rate not below `wanted_hz`.
pub(super) fn choose_divider<E>(chip: &'static str, base_hz: f32, wanted_hz: f32) -> Result<u8, Error<E>> {
    if !(wanted_hz > 0.0 && wanted_hz * RATE_TOLERANCE <= base_hz) {
        return Err(Error::BeyondChip {
            chip,
            quantity: RATE,
            wanted: wanted_hz,
            most: base_hz,
        });
    }
    // The cast cuts off the fraction, and what is too slow for the divider ends at its slowest.
    let periods = (base_hz / (wanted_hz * RATE_TOLERANCE)) as u32;
    Ok(u8::try_from(periods.saturating_sub(1)).unwrap_or(u8::MAX))
}

/// The code of the widest of `filters` (bandwidth in Hz and code, narrowest first) that passes no more than half of
/// `rate_hz`; the narrowest where none does.
pub(super) fn choose_low_pass(filters: &[(f32, u8)], rate_hz: f32) -> u8 {
    let fitting = filters
        .iter()
        .rev()
        .find(|(bandwidth_hz, _)| *bandwidth_hz <= rate_hz / 2.0);
    fitting.or(filters.first()).map_or(0, |(_, code)| *code)
}
