//! Bosch BMI160, I2C and SPI.
//!
//! Source: BST-BMI160-DS000-09 ("data sheet" below).
//!
//! The FIFO (1024 bytes) is read in header mode (data sheet 2.5.2): a frame that was read in part is handed out again in
//! whole, lost frames are told by a skip frame, and a read beyond the last frame brings the sensor time. The chip takes
//! its samples when the low bits of the sensor time roll over (data sheet 2.3), so each sample's time is exact.

use embedded_hal::delay::DelayNs;

use super::{
    ACCELERATION, ANGULAR_RATE, DEGREE_RAD, Error, FifoRead, Gap, GapCause, ImuChip, Range, Rate, Running,
    STANDARD_GRAVITY_M_S2, Sample, Setting, TickSource, choose_range, choose_rate, vector_le,
};
use crate::registers::{Interface, RegisterBus};

const NAME: &str = "BMI160";

// Registers, data sheet 2.11.
const CHIP_ID: u8 = 0x00;
const ERR_REG: u8 = 0x02;
const PMU_STATUS: u8 = 0x03;
const SENSORTIME: u8 = 0x18;
const FIFO_LENGTH: u8 = 0x22;
const FIFO_DATA: u8 = 0x24;
const ACC_CONF: u8 = 0x40;
const ACC_RANGE: u8 = 0x41;
const GYR_CONF: u8 = 0x42;
const GYR_RANGE: u8 = 0x43;
const FIFO_DOWNS: u8 = 0x45;
const FIFO_CONFIG_1: u8 = 0x47;
const CMD: u8 = 0x7e;
/// A read of this register is what the data sheet recommends to switch the interface to SPI (3.2.1).
const SPI_WAKE: u8 = 0x7f;

const IDENTITIES: &[u8] = &[0xd1];

// Commands, data sheet 2.11.38.
const CMD_ACC_NORMAL: u8 = 0x11;
const CMD_GYR_NORMAL: u8 = 0x15;
const CMD_FIFO_FLUSH: u8 = 0xb0;
const CMD_SOFT_RESET: u8 = 0xb6;

/// PMU_STATUS with accelerometer and gyroscope in normal mode.
const BOTH_NORMAL: u8 = 0x14;
/// ERR_REG: fatal error and error code.
const ERROR_BITS: u8 = 0x1f;
/// Bandwidth parameter "normal" of both sensors (data sheet 2.11.12 and 2.11.14).
const NORMAL_BANDWIDTH: u8 = 0x20;
/// Filtered data into the FIFO, not downsampled (data sheet 2.11.16).
const FIFO_FILTERED: u8 = 0x88;
/// Gyroscope, accelerometer, headers, sensor time (data sheet 2.11.17).
const FIFO_SETUP: u8 = 0xd2;

/// Ticks of the sensor time per second: 39.0625 µs each (data sheet 2.11.5).
const TICKS_PER_S: u32 = 25_600;
const SENSORTIME_BITS: u32 = 24;

/// Rates both sensors offer in normal mode (data sheet 2.11.12 and 2.11.14).
const RATES: [Rate; 7] = [
    Rate { hz: 25.0, code: 0x6 },
    Rate { hz: 50.0, code: 0x7 },
    Rate { hz: 100.0, code: 0x8 },
    Rate { hz: 200.0, code: 0x9 },
    Rate { hz: 400.0, code: 0xa },
    Rate { hz: 800.0, code: 0xb },
    Rate { hz: 1600.0, code: 0xc },
];

/// Data sheet table 2: counts per g.
const ACCELERATION_RANGES: [Range; 4] = [
    acceleration(2, 0x3, 16_384.0),
    acceleration(4, 0x5, 8_192.0),
    acceleration(8, 0x8, 4_096.0),
    acceleration(16, 0xc, 2_048.0),
];

/// Data sheet table 3: counts per degree per second.
const ANGULAR_RATE_RANGES: [Range; 5] = [
    angular_rate(125, 4, 262.4),
    angular_rate(250, 3, 131.2),
    angular_rate(500, 2, 65.6),
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

// Frames, data sheet 2.5.2.
const FRAME_GYR_ACC: u8 = 0x8c;
/// What a read beyond the end brings.
const FRAME_EMPTY: u8 = 0x80;
const FRAME_SKIPPED: u8 = 0x40;
const FRAME_SENSORTIME: u8 = 0x44;
const FRAME_CONFIG: u8 = 0x48;
/// Interrupt tags in the header's low bits say nothing about its length.
const FRAME_TAGS: u8 = 0x03;
const FRAME_BYTES: usize = 13;
const FIFO_BYTES: usize = 1024;
/// Read beyond the end: one frame that arrives meanwhile, one sensor time frame.
const BEYOND_BYTES: usize = FRAME_BYTES + 4;
/// A skip frame stops counting here.
const SKIPPED_MAX: u8 = 0xff;

/// The chip behind the registers `B`.
#[derive(Debug)]
pub struct Bmi160<B> {
    registers: B,
    running: Option<State>,
    buffer: [u8; FIFO_BYTES + BEYOND_BYTES],
}

#[derive(Debug, Clone, Copy)]
struct State {
    acceleration: Range,
    angular_rate: Range,
    ticks_per_sample: u64,
    last_ticks: u64,
    /// Frames may have gone without being counted, and why: the next sensor time tells how many.
    uncounted: Option<GapCause>,
}

impl<B: RegisterBus> Bmi160<B> {
    /// The chip behind `registers`: address 0x68 or 0x69 on I2C, mode 0 or 3 up to 10 MHz on SPI.
    pub fn new(registers: B) -> Self {
        Self {
            registers,
            running: None,
            buffer: [0; FIFO_BYTES + BEYOND_BYTES],
        }
    }

    fn sensor_time(&mut self) -> Result<u64, B::Error> {
        let mut bytes = [0; 3];
        self.registers.read_registers(SENSORTIME, &mut bytes)?;
        Ok(ticks_of(bytes))
    }

    /// After power-on and reset the chip listens on I2C until its select line has risen once (data sheet 3.2.1).
    fn wake_spi(&mut self) -> Result<(), B::Error> {
        if B::INTERFACE == Interface::Spi {
            self.registers.read_register(SPI_WAKE)?;
        }
        Ok(())
    }
}

fn ticks_of([low, middle, high]: [u8; 3]) -> u64 {
    u64::from(u32::from_le_bytes([low, middle, high, 0]))
}

/// What a burst of FIFO bytes held.
#[derive(Debug, Default)]
struct Frames {
    samples: usize,
    skipped: u8,
    sensor_time: Option<u64>,
    corrupt: bool,
}

/// Takes the frames of `bytes` apart; `into` is at least as long as there can be frames, the rest is not taken.
fn take_frames(mut bytes: &[u8], state: &State, into: &mut [Sample]) -> Frames {
    let mut frames = Frames::default();
    while let Some((header, rest)) = bytes.split_first() {
        let length = match header & !FRAME_TAGS {
            FRAME_GYR_ACC => {
                // Cut off by the end of the burst: the chip hands it out again.
                let Some([g0, g1, g2, g3, g4, g5, a0, a1, a2, a3, a4, a5]) = rest.first_chunk() else {
                    break;
                };
                let Some(sample) = into.get_mut(frames.samples) else {
                    break;
                };
                sample.angular_rate_rad_s =
                    vector_le([*g0, *g1, *g2, *g3, *g4, *g5], state.angular_rate.unit_per_count);
                sample.acceleration_m_s2 = vector_le([*a0, *a1, *a2, *a3, *a4, *a5], state.acceleration.unit_per_count);
                frames.samples += 1;
                FRAME_BYTES - 1
            }
            FRAME_SKIPPED => {
                let Some(count) = rest.first() else { break };
                frames.skipped = frames.skipped.saturating_add(*count);
                1
            }
            FRAME_SENSORTIME => {
                frames.sensor_time = rest.first_chunk().map(|time| ticks_of(*time));
                break;
            }
            FRAME_CONFIG => 1,
            FRAME_EMPTY => break,
            _ => {
                frames.corrupt = true;
                break;
            }
        };
        bytes = rest.get(length..).unwrap_or_default();
    }
    frames
}

impl<B: RegisterBus> ImuChip for Bmi160<B> {
    type BusError = B::Error;

    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&mut self) -> Result<(), Error<B::Error>> {
        self.wake_spi()?;
        let found = self.registers.read_register(CHIP_ID)?;
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
        self.probe()?;
        let acceleration = choose_range(NAME, ACCELERATION, &ACCELERATION_RANGES, wanted.acceleration_range_g)?;
        let angular_rate = choose_range(NAME, ANGULAR_RATE, &ANGULAR_RATE_RANGES, wanted.angular_rate_range_dps)?;
        let rate = choose_rate(NAME, &RATES, wanted.rate_hz)?;

        self.registers.write_register(CMD, CMD_SOFT_RESET)?;
        // Data sheet table 1: 1 ms from power-off to configuration.
        delay.delay_ms(2);
        self.wake_spi()?;
        // Data sheet table 2: 3.8 ms to start the accelerometer; table 3: 80 ms for the gyroscope.
        self.registers.write_register(CMD, CMD_ACC_NORMAL)?;
        delay.delay_ms(5);
        self.registers.write_register(CMD, CMD_GYR_NORMAL)?;
        delay.delay_ms(85);
        let power = self.registers.read_register(PMU_STATUS)?;
        if power & BOTH_NORMAL != BOTH_NORMAL {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "PMU_STATUS",
                expected: "0x14 (both sensors in normal mode)",
                found: u16::from(power),
            });
        }
        self.registers.write_register(ACC_CONF, NORMAL_BANDWIDTH | rate.code)?;
        self.registers.write_register(ACC_RANGE, acceleration.code)?;
        self.registers.write_register(GYR_CONF, NORMAL_BANDWIDTH | rate.code)?;
        self.registers.write_register(GYR_RANGE, angular_rate.code)?;
        self.registers.write_register(FIFO_DOWNS, FIFO_FILTERED)?;
        self.registers.write_register(FIFO_CONFIG_1, FIFO_SETUP)?;
        let errors = self.registers.read_register(ERR_REG)?;
        if errors & ERROR_BITS != 0 {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "ERR_REG",
                expected: "no error",
                found: u16::from(errors),
            });
        }
        self.registers.write_register(CMD, CMD_FIFO_FLUSH)?;
        // Rates divide the tick rate evenly.
        let ticks_per_sample = u64::from(TICKS_PER_S) / rate.hz as u64;
        let now = self.sensor_time()?;
        self.running = Some(State {
            acceleration,
            angular_rate,
            ticks_per_sample,
            last_ticks: now - now % ticks_per_sample,
            uncounted: None,
        });
        Ok(Running {
            rate_hz: f64::from(rate.hz),
            acceleration_range_g: acceleration.full_scale,
            angular_rate_range_dps: angular_rate.full_scale,
            tick_s: 1.0 / f64::from(TICKS_PER_S),
            tick_source: TickSource::ChipClock,
            fifo_samples: FIFO_BYTES / FRAME_BYTES,
        })
    }

    fn read_fifo(&mut self, into: &mut [Sample]) -> Result<FifoRead, Error<B::Error>> {
        let Some(mut state) = self.running else {
            return Err(Error::NotConfigured { chip: NAME });
        };
        let mut length = [0; 2];
        self.registers.read_registers(FIFO_LENGTH, &mut length)?;
        let length = u16::from_le_bytes(length);
        let held = usize::from(length);
        if held > FIFO_BYTES {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "FIFO_LENGTH",
                expected: "at most 1024 bytes",
                found: length,
            });
        }
        if into.is_empty() || (held == 0 && state.uncounted.is_none()) {
            return Ok(FifoRead {
                more: held > 0,
                ..FifoRead::default()
            });
        }
        // No more bytes than samples fit: a frame read in whole leaves the FIFO.
        let all = held + BEYOND_BYTES;
        let room = into.len() * FRAME_BYTES;
        let (burst, _) = self.buffer.split_at_mut(all.min(room).min(FIFO_BYTES + BEYOND_BYTES));
        if let Err(error) = self.registers.read_registers(FIFO_DATA, burst) {
            if let Some(running) = &mut self.running {
                running.uncounted = Some(GapCause::BusError);
            }
            return Err(Error::Bus(error));
        }
        let frames = take_frames(burst, &state, into);
        let samples = into.get_mut(..frames.samples).unwrap_or_default();

        let mut lost = u64::from(frames.skipped);
        let mut cause = state.uncounted;
        if frames.skipped > 0 {
            cause = cause.or(Some(GapCause::Overflow));
        }
        if frames.corrupt {
            self.registers.write_register(CMD, CMD_FIFO_FLUSH)?;
            cause = Some(GapCause::Corrupt);
        }
        let mut first = state.last_ticks + state.ticks_per_sample * (lost + 1);
        let mut counted = !frames.corrupt && frames.skipped < SKIPPED_MAX && state.uncounted.is_none();
        if let Some(time) = frames.sensor_time
            && !samples.is_empty()
        {
            let last = first + state.ticks_per_sample * (samples.len() as u64 - 1);
            let ahead = samples_ahead(time, last, state.ticks_per_sample);
            // One ahead is a sample taken but not yet in the FIFO, unless frames are known to be missing.
            if ahead >= 2 || (ahead == 1 && !counted) {
                first += ahead * state.ticks_per_sample;
                lost += ahead;
                cause = cause.or(Some(GapCause::Overflow));
            }
            counted = !frames.corrupt;
        }
        for (sample, place) in samples.iter_mut().zip(0_u64..) {
            sample.device_ticks = first + place * state.ticks_per_sample;
        }
        state.last_ticks = first + samples.len() as u64 * state.ticks_per_sample - state.ticks_per_sample;
        let samples = frames.samples;
        // A loss not yet counted is reported with the samples whose sensor time tells its size.
        state.uncounted = if counted { None } else { cause };
        self.running = Some(state);
        let gap = cause.filter(|_| lost > 0 || frames.corrupt).map(|cause| Gap {
            cause,
            lost_samples: counted.then(|| u32::try_from(lost).unwrap_or(u32::MAX)),
        });
        Ok(FifoRead {
            samples,
            gap,
            more: all > room,
            late: samples.saturating_sub(held / FRAME_BYTES),
        })
    }
}

/// How many samples the chip has taken by its `sensor_time` after the one it took at `ticks`.
fn samples_ahead(sensor_time: u64, ticks: u64, ticks_per_sample: u64) -> u64 {
    let turn = 1_u64 << SENSORTIME_BITS;
    let ahead = sensor_time.wrapping_sub(ticks) & (turn - 1);
    // More than half a turn (five minutes) ahead is behind: the sample's own moment has not been passed.
    if ahead > turn / 2 { 0 } else { ahead / ticks_per_sample }
}
