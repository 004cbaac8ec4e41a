//! TDK InvenSense ICM-42688-P, I2C and SPI.
//!
//! Source: DS-000347 rev. 1.7 ("data sheet" below).
//!
//! The FIFO (2048 bytes) hands out packets of 16 bytes with header and 16-bit time stamp (data sheet 6.1, packet 3);
//! when full it drops the oldest packet and counts it. Packets stay whole, so reading goes on after an overflow.

use embedded_hal::delay::DelayNs;

use super::ticks::SampleTicks;
use super::{
    ACCELERATION, ANGULAR_RATE, DEGREE_RAD, Error, FifoRead, Gap, GapCause, ImuChip, Range, Rate, Running,
    STANDARD_GRAVITY_M_S2, Sample, Setting, TickSource, choose_range, choose_rate, vector_be,
};
use crate::registers::{Interface, RegisterBus};

const NAME: &str = "ICM-42688-P";

// Registers of bank 0, data sheet 13 and 14.
const DEVICE_CONFIG: u8 = 0x11;
const FIFO_CONFIG: u8 = 0x16;
/// FIFO_COUNTH and FIFO_COUNTL follow it.
const INT_STATUS: u8 = 0x2d;
const FIFO_DATA: u8 = 0x30;
const SIGNAL_PATH_RESET: u8 = 0x4b;
const INTF_CONFIG_0: u8 = 0x4c;
const PWR_MGMT_0: u8 = 0x4e;
const GYRO_CONFIG_0: u8 = 0x4f;
const ACCEL_CONFIG_0: u8 = 0x50;
const GYRO_ACCEL_CONFIG_0: u8 = 0x52;
const TMST_CONFIG: u8 = 0x54;
const FIFO_CONFIG_1: u8 = 0x5f;
const FIFO_LOST_PKT_0: u8 = 0x6c;
const WHO_AM_I: u8 = 0x75;
const REG_BANK_SEL: u8 = 0x76;

const IDENTITIES: &[u8] = &[0x47];

const SOFT_RESET: u8 = 1;
const FIFO_STREAM: u8 = 0x40;
const FIFO_FULL: u8 = 1 << 1;
const FIFO_FLUSH: u8 = 1 << 1;
/// Big-endian counts and data, FIFO count in bytes (the reset value; data sheet 14.33).
const BIG_ENDIAN: u8 = 0x30;
/// INTF_CONFIG0.UI_SIFS_CFG: the other interface off.
const SPI_OFF: u8 = 0x02;
const I2C_OFF: u8 = 0x03;
/// Both sensors in low-noise mode (data sheet 14.36).
const BOTH_LOW_NOISE: u8 = 0x0f;
/// Bandwidth of both filters: half the rate, or a quarter of the rate but at least 100 Hz (data sheet 14.40). From 200 Hz
/// on the latter stays below half the rate, and is steeper.
const HALF_RATE: u8 = 0x00;
const QUARTER_RATE: u8 = 0x11;
const QUARTER_RATE_FROM_HZ: f32 = 200.0;
/// Reserved bit 5 as after reset, absolute time stamps in steps of 16 µs (data sheet 14.42). One turn of 16 bits is then
/// 1.1 s, longer than anything the FIFO holds at the rates below.
const TIME_STAMPS: u8 = 0x29;
/// Accelerometer, gyroscope, temperature and time stamp into the FIFO (data sheet 14.49).
const FIFO_PACKET_3: u8 = 0x0f;

/// Without an external clock a step of the time stamp is 32/30 of its name (data sheet 12.7).
const TICK_S: f64 = 16e-6 * 32.0 / 30.0;
const TIME_STAMP_BITS: u32 = 16;

/// Data sheet 14.37.
const RATES: [Rate; 9] = [
    Rate { hz: 12.5, code: 11 },
    Rate { hz: 25.0, code: 10 },
    Rate { hz: 50.0, code: 9 },
    Rate { hz: 100.0, code: 8 },
    Rate { hz: 200.0, code: 7 },
    Rate { hz: 500.0, code: 15 },
    Rate { hz: 1000.0, code: 6 },
    Rate { hz: 2000.0, code: 5 },
    Rate { hz: 4000.0, code: 4 },
];

/// Data sheet 3.2: counts per g.
const ACCELERATION_RANGES: [Range; 4] = [
    acceleration(2, 3, 16_384.0),
    acceleration(4, 2, 8_192.0),
    acceleration(8, 1, 4_096.0),
    acceleration(16, 0, 2_048.0),
];

/// Data sheet 3.1: counts per degree per second.
const ANGULAR_RATE_RANGES: [Range; 5] = [
    angular_rate(125, 4, 262.0),
    angular_rate(250, 3, 131.0),
    angular_rate(500, 2, 65.5),
    angular_rate(1000, 1, 32.8),
    angular_rate(2000, 0, 16.4),
];

const fn acceleration(full_scale: u16, code: u8, counts_per_g: f32) -> Range {
    Range {
        full_scale,
        code,
        unit_per_count: STANDARD_GRAVITY_M_S2 / counts_per_g,
    }
}

const fn angular_rate(full_scale: u16, code: u8, counts_per_dps: f32) -> Range {
    Range {
        full_scale,
        code,
        unit_per_count: DEGREE_RAD / counts_per_dps,
    }
}

const PACKET_BYTES: usize = 16;
const FIFO_BYTES: usize = 2048;
/// Header bits that tell a packet 3: not empty, accelerometer, gyroscope, 16-bit data, time stamp of the data rate (data
/// sheet 6.1). The two low bits tell a change of rate.
const HEADER_BITS: u8 = 0xfc;
const HEADER_PACKET_3: u8 = 0x68;
/// What the data registers hold until a sensor has its first sample (data sheet 6.1).
const INVALID: [u8; 2] = [0x80, 0x00];

/// The chip behind the registers `B`.
#[derive(Debug)]
pub struct Icm42688<B> {
    registers: B,
    running: Option<State>,
    buffer: [u8; FIFO_BYTES],
}

#[derive(Debug, Clone, Copy)]
struct State {
    acceleration: Range,
    angular_rate: Range,
    ticks: SampleTicks,
    /// The chip's count of lost packets when last read.
    lost_count: u16,
    /// Packets the chip has dropped since the last sample.
    dropped: u32,
    /// Why packets may be missing before the next sample.
    cause: Option<GapCause>,
}

impl<B: RegisterBus> Icm42688<B> {
    /// The chip behind `registers`: address 0x68 or 0x69 on I2C, mode 0 or 3 up to 24 MHz on SPI.
    pub fn new(registers: B) -> Self {
        Self {
            registers,
            running: None,
            buffer: [0; FIFO_BYTES],
        }
    }

    fn lost_count(&mut self) -> Result<u16, B::Error> {
        let mut bytes = [0; 2];
        self.registers.read_registers(FIFO_LOST_PKT_0, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// Notes what an overflow has cost. Whether reading or flushing clears the chip's count the data sheet leaves open.
    fn note_overflow(&mut self) -> Result<(), B::Error> {
        let count = self.lost_count()?;
        if let Some(running) = &mut self.running {
            let more = count.checked_sub(running.lost_count).unwrap_or(count);
            running.lost_count = count;
            running.dropped = running.dropped.saturating_add(u32::from(more));
            if more > 0 {
                running.cause = Some(GapCause::Overflow);
            }
        }
        Ok(())
    }
}

impl<B: RegisterBus> ImuChip for Icm42688<B> {
    type BusError = B::Error;

    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&mut self) -> Result<(), Error<B::Error>> {
        let found = self.registers.read_register(WHO_AM_I)?;
        if !IDENTITIES.contains(&found) {
            return Err(Error::WrongChip {
                chip: NAME,
                expected: IDENTITIES,
                found,
            });
        }
        Ok(())
    }

    fn configure(&mut self, wanted: &Setting, delay: &mut dyn DelayNs) -> Result<Running, Error<B::Error>> {
        self.running = None;
        self.registers.write_register(REG_BANK_SEL, 0)?;
        self.probe()?;
        let acceleration = choose_range(NAME, ACCELERATION, &ACCELERATION_RANGES, wanted.acceleration_range_g)?;
        let angular_rate = choose_range(NAME, ANGULAR_RATE, &ANGULAR_RATE_RANGES, wanted.angular_rate_range_dps)?;
        let rate = choose_rate(NAME, &RATES, wanted.rate_hz)?;

        self.registers.write_register(DEVICE_CONFIG, SOFT_RESET)?;
        // Data sheet 14.1: 1 ms until the reset is done.
        delay.delay_ms(2);
        let other_off = match B::INTERFACE {
            Interface::I2c => SPI_OFF,
            Interface::Spi => I2C_OFF,
        };
        self.registers.write_register(INTF_CONFIG_0, BIG_ENDIAN | other_off)?;
        self.registers
            .write_register(GYRO_CONFIG_0, angular_rate.code << 5 | rate.code)?;
        self.registers
            .write_register(ACCEL_CONFIG_0, acceleration.code << 5 | rate.code)?;
        let bandwidth = if rate.hz < QUARTER_RATE_FROM_HZ {
            HALF_RATE
        } else {
            QUARTER_RATE
        };
        self.registers.write_register(GYRO_ACCEL_CONFIG_0, bandwidth)?;
        self.registers.write_register(TMST_CONFIG, TIME_STAMPS)?;
        self.registers.write_register(PWR_MGMT_0, BOTH_LOW_NOISE)?;
        // Data sheet 14.36: no writes for 200 µs, gyroscope on for at least 45 ms; 3.1: 30 ms until its data is right.
        delay.delay_ms(50);
        let power = self.registers.read_register(PWR_MGMT_0)?;
        if power != BOTH_LOW_NOISE {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "PWR_MGMT0",
                expected: "0x0f (both sensors in low-noise mode)",
                found: u16::from(power),
            });
        }
        self.registers.write_register(FIFO_CONFIG_1, FIFO_PACKET_3)?;
        self.registers.write_register(FIFO_CONFIG, FIFO_STREAM)?;
        self.registers.write_register(SIGNAL_PATH_RESET, FIFO_FLUSH)?;
        self.registers.read_register(INT_STATUS)?;
        let lost_count = self.lost_count()?;
        let rate_hz = f64::from(rate.hz);
        self.running = Some(State {
            acceleration,
            angular_rate,
            ticks: SampleTicks::new(TIME_STAMP_BITS, 1.0 / (rate_hz * TICK_S)),
            lost_count,
            dropped: 0,
            cause: None,
        });
        Ok(Running {
            rate_hz,
            acceleration_range_g: acceleration.full_scale,
            angular_rate_range_dps: angular_rate.full_scale,
            tick_s: TICK_S,
            tick_source: TickSource::ChipClock,
            fifo_samples: FIFO_BYTES / PACKET_BYTES,
        })
    }

    fn read_fifo(&mut self, into: &mut [Sample]) -> Result<FifoRead, Error<B::Error>> {
        if self.running.is_none() {
            return Err(Error::NotConfigured { chip: NAME });
        }
        let mut status_and_count = [0; 3];
        self.registers.read_registers(INT_STATUS, &mut status_and_count)?;
        let [status, count_high, count_low] = status_and_count;
        let count = u16::from_be_bytes([count_high, count_low]);
        let held = usize::from(count) / PACKET_BYTES;
        if usize::from(count) > FIFO_BYTES {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "FIFO_COUNT",
                expected: "at most 2048 bytes",
                found: count,
            });
        }
        if status & FIFO_FULL != 0 {
            // The status is cleared by reading: until the count is read, remember why there may be a gap.
            if let Some(running) = &mut self.running {
                running.cause = running.cause.or(Some(GapCause::Overflow));
            }
            self.note_overflow()?;
        }
        let taken = held.min(into.len());
        let (burst, _) = self.buffer.split_at_mut(taken * PACKET_BYTES);
        if !burst.is_empty()
            && let Err(error) = self.registers.read_registers(FIFO_DATA, burst)
        {
            if let Some(running) = &mut self.running {
                running.cause = Some(GapCause::BusError);
            }
            return Err(Error::Bus(error));
        }
        let Some(state) = &mut self.running else {
            return Err(Error::NotConfigured { chip: NAME });
        };
        let (packets, _) = burst.as_chunks::<PACKET_BYTES>();
        let mut samples = 0;
        let mut missing = 0_u32;
        let mut cause = None;
        let mut corrupt = false;
        for packet in packets {
            let [header, a0, a1, a2, a3, a4, a5, g0, g1, g2, g3, g4, g5, _, t1, t0] = *packet;
            if header & HEADER_BITS != HEADER_PACKET_3 {
                corrupt = true;
                break;
            }
            if [a0, a1] == INVALID || [g0, g1] == INVALID {
                continue;
            }
            let placed = state
                .ticks
                .place(u32::from(u16::from_be_bytes([t1, t0])), state.dropped);
            state.dropped = 0;
            let why = state.cause.take();
            if placed.missing > 0 {
                missing = missing.saturating_add(placed.missing);
                cause = Some(why.unwrap_or(GapCause::Overflow));
            }
            if let Some(sample) = into.get_mut(samples) {
                *sample = Sample {
                    acceleration_m_s2: vector_be([a0, a1, a2, a3, a4, a5], state.acceleration.unit_per_count),
                    angular_rate_rad_s: vector_be([g0, g1, g2, g3, g4, g5], state.angular_rate.unit_per_count),
                    device_ticks: placed.ticks,
                };
                samples += 1;
            }
        }
        if corrupt {
            state.cause = Some(GapCause::Corrupt);
            self.registers.write_register(SIGNAL_PATH_RESET, FIFO_FLUSH)?;
            return Ok(FifoRead {
                samples,
                gap: Some(Gap {
                    cause: GapCause::Corrupt,
                    lost_samples: None,
                }),
                ..FifoRead::default()
            });
        }
        Ok(FifoRead {
            samples,
            gap: cause.map(|cause| Gap {
                cause,
                lost_samples: Some(missing),
            }),
            more: taken < held,
            late: 0,
        })
    }
}
