//! ST LSM6DSOX, I2C and SPI.
//!
//! Sources: LSM6DSOX data sheet DS12814 rev. 3 and application note AN5272 rev. 3.
//!
//! The FIFO (512 words of 7 bytes, 3 KiB of data) tags each word with what it holds and with a 2-bit count of the time
//! slot (AN5272 9.4). A sample is the gyroscope, accelerometer and time stamp word of one slot, in whatever order. When
//! full the oldest words are overwritten; time stamps tell how many samples that cost.

use embedded_hal::delay::DelayNs;

use super::ticks::SampleTicks;
use super::{
    ACCELERATION, ANGULAR_RATE, DEGREE_RAD, Error, FifoRead, Gap, GapCause, ImuChip, Range, Rate, Running,
    STANDARD_GRAVITY_M_S2, Sample, Setting, TickSource, choose_range, choose_rate, vector_le,
};
use crate::registers::{Interface, RegisterBus};

const NAME: &str = "LSM6DSOX";

// Registers, DS12814 section 9.
const FIFO_CTRL_3: u8 = 0x09;
const FIFO_CTRL_4: u8 = 0x0a;
const WHO_AM_I: u8 = 0x0f;
const CTRL_1_XL: u8 = 0x10;
const CTRL_2_G: u8 = 0x11;
const CTRL_3_C: u8 = 0x12;
const CTRL_4_C: u8 = 0x13;
const CTRL_9_XL: u8 = 0x18;
const CTRL_10_C: u8 = 0x19;
const FIFO_STATUS_1: u8 = 0x3a;
const INTERNAL_FREQ_FINE: u8 = 0x63;
/// Reading on beyond 0x7e goes round to this register (AN5272 9.5).
const FIFO_DATA_OUT_TAG: u8 = 0x78;

const IDENTITIES: &[u8] = &[0x6c];

const SOFTWARE_RESET: u8 = 1;
/// Data updated as a whole, register address rises by itself (DS12814 9.14).
const BLOCK_UPDATE: u8 = 0x44;
const I2C_DISABLE: u8 = 1 << 2;
/// Reset value with I3C off (DS12814 9.20).
const I3C_DISABLE: u8 = 0xe2;
const TIMESTAMP_ENABLE: u8 = 1 << 5;
/// Every time stamp batched, continuous mode (DS12814 9.6).
const FIFO_CONTINUOUS: u8 = 0x46;
/// FIFO_STATUS2: an overrun now, or one since the register was read (DS12814 9.40).
const OVERRUN: u8 = 0x48;
const WORDS_HELD: u16 = 0x03ff;

/// The rate of code 10 (nominally 6667 Hz); each code below halves it (AN5272 6.4).
const FASTEST_HZ: f64 = 40_000.0 / 6.0;
/// Time stamps count at this rate (DS12814 9.43: 25 µs).
const TICKS_PER_S: f64 = 40_000.0;
/// Ticks per sample at the fastest rate: both come from one oscillator, so trimming does not change it.
const TICKS_PER_FASTEST_SAMPLE: f64 = 6.0;
/// What a step of INTERNAL_FREQ_FINE adds to the oscillator's rate (DS12814 9.55).
const TRIM_STEP: f64 = 0.0015;

/// AN5272 table 13: exact rates, not the rounded names.
const RATES: [Rate; 9] = [
    rate(1),
    rate(2),
    rate(3),
    rate(4),
    rate(5),
    rate(6),
    rate(7),
    rate(8),
    rate(9),
];

const fn rate(code: u8) -> Rate {
    Rate {
        hz: (FASTEST_HZ / halvings(code)) as f32,
        code,
    }
}

const fn halvings(code: u8) -> f64 {
    (1_u32 << (10 - code)) as f64
}

/// DS12814 table 2: mg per count.
const ACCELERATION_RANGES: [Range; 4] = [
    acceleration(2, 0, 0.061),
    acceleration(4, 2, 0.122),
    acceleration(8, 3, 0.244),
    acceleration(16, 1, 0.488),
];

/// DS12814 table 2: thousandths of a degree per second per count. The code includes FS_125.
const ANGULAR_RATE_RANGES: [Range; 5] = [
    angular_rate(125, 0b001, 4.375),
    angular_rate(250, 0b000, 8.75),
    angular_rate(500, 0b010, 17.5),
    angular_rate(1000, 0b100, 35.0),
    angular_rate(2000, 0b110, 70.0),
];

const fn acceleration(full_scale: u16, code: u8, mg_per_count: f32) -> Range {
    Range {
        full_scale,
        code,
        unit_per_count: mg_per_count * (STANDARD_GRAVITY_M_S2 / 1000.0),
    }
}

const fn angular_rate(full_scale: u16, code: u8, mdps_per_count: f32) -> Range {
    Range {
        full_scale,
        code,
        unit_per_count: mdps_per_count * (DEGREE_RAD / 1000.0),
    }
}

// Tags, AN5272 table 78.
const TAG_GYROSCOPE: u8 = 0x01;
const TAG_ACCELEROMETER: u8 = 0x02;
const TAG_TIMESTAMP: u8 = 0x04;
/// While a sensor settles its x holds one of the three highest numbers (AN5272 9.4).
const SETTLING_MIN: i16 = 0x7ffd;

const WORD_BYTES: usize = 7;
const WORDS_PER_SAMPLE: usize = 3;
const FIFO_WORDS: usize = 512;
/// Words per burst: 97 samples, 2037 bytes. A fuller FIFO takes a second call.
const BURST_WORDS: usize = 291;

/// The chip behind the registers `B`.
#[derive(Debug)]
pub struct Lsm6dsox<B> {
    registers: B,
    running: Option<State>,
    buffer: [u8; BURST_WORDS * WORD_BYTES],
}

#[derive(Debug, Clone, Copy)]
struct State {
    acceleration: Range,
    angular_rate: Range,
    ticks: SampleTicks,
    slot: Slot,
    /// No sample yet: the sensors settle.
    settling: bool,
    /// Why samples may be missing before the next.
    cause: Option<GapCause>,
}

/// The words of one time slot seen so far; a burst may end within one.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    count: u8,
    gyroscope: Option<[u8; 6]>,
    accelerometer: Option<[u8; 6]>,
    timestamp: Option<u32>,
}

impl Slot {
    fn words(&self) -> usize {
        usize::from(self.gyroscope.is_some())
            + usize::from(self.accelerometer.is_some())
            + usize::from(self.timestamp.is_some())
    }

    /// Adds a word; the sample's parts when it was the last of its slot.
    fn add(&mut self, tag: u8, data: [u8; 6]) -> Option<([u8; 6], [u8; 6], u32)> {
        let count = (tag >> 1) & 0x03;
        if count != self.count {
            // What was there of the slot before lost its rest.
            *self = Self {
                count,
                ..Self::default()
            };
        }
        match tag >> 3 {
            TAG_GYROSCOPE => self.gyroscope = Some(data),
            TAG_ACCELEROMETER => self.accelerometer = Some(data),
            TAG_TIMESTAMP => {
                let [t0, t1, t2, t3, _, _] = data;
                self.timestamp = Some(u32::from_le_bytes([t0, t1, t2, t3]));
            }
            _ => {}
        }
        let whole = (self.accelerometer?, self.gyroscope?, self.timestamp?);
        *self = Self {
            count,
            ..Self::default()
        };
        Some(whole)
    }
}

fn settles([x0, x1, ..]: [u8; 6]) -> bool {
    i16::from_le_bytes([x0, x1]) >= SETTLING_MIN
}

impl<B: RegisterBus> Lsm6dsox<B> {
    /// The chip behind `registers`: address 0x6a or 0x6b on I2C, mode 0 or 3 up to 10 MHz on SPI.
    pub fn new(registers: B) -> Self {
        Self {
            registers,
            running: None,
            buffer: [0; BURST_WORDS * WORD_BYTES],
        }
    }
}

impl<B: RegisterBus> ImuChip for Lsm6dsox<B> {
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
        self.probe()?;
        let acceleration = choose_range(NAME, ACCELERATION, &ACCELERATION_RANGES, wanted.acceleration_range_g)?;
        let angular_rate = choose_range(NAME, ANGULAR_RATE, &ANGULAR_RATE_RANGES, wanted.angular_rate_range_dps)?;
        let rate = choose_rate(NAME, &RATES, wanted.rate_hz)?;

        self.registers.write_register(CTRL_3_C, SOFTWARE_RESET)?;
        // AN5272 5.7: 50 µs.
        delay.delay_ms(1);
        let control = self.registers.read_register(CTRL_3_C)?;
        if control & SOFTWARE_RESET != 0 {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "CTRL3_C",
                expected: "0x04 (reset done)",
                found: u16::from(control),
            });
        }
        self.registers.write_register(CTRL_3_C, BLOCK_UPDATE)?;
        self.registers.write_register(CTRL_9_XL, I3C_DISABLE)?;
        if B::INTERFACE == Interface::Spi {
            self.registers.write_register(CTRL_4_C, I2C_DISABLE)?;
        }
        self.registers
            .write_register(CTRL_1_XL, rate.code << 4 | acceleration.code << 2)?;
        self.registers
            .write_register(CTRL_2_G, rate.code << 4 | angular_rate.code << 1)?;
        self.registers.write_register(CTRL_10_C, TIMESTAMP_ENABLE)?;
        let trim = self.registers.read_register(INTERNAL_FREQ_FINE)?;
        self.registers.write_register(FIFO_CTRL_3, rate.code << 4 | rate.code)?;
        // DS12814 table 2: the gyroscope needs 70 ms after power-down.
        delay.delay_ms(80);
        self.registers.write_register(FIFO_CTRL_4, FIFO_CONTINUOUS)?;

        // Two's complement.
        let oscillator = 1.0 + TRIM_STEP * f64::from(i8::from_le_bytes([trim]));
        self.running = Some(State {
            acceleration,
            angular_rate,
            ticks: SampleTicks::new(32, TICKS_PER_FASTEST_SAMPLE * halvings(rate.code)),
            slot: Slot::default(),
            settling: true,
            cause: None,
        });
        Ok(Running {
            rate_hz: FASTEST_HZ / halvings(rate.code) * oscillator,
            acceleration_range_g: acceleration.full_scale,
            angular_rate_range_dps: angular_rate.full_scale,
            tick_s: 1.0 / (TICKS_PER_S * oscillator),
            tick_source: TickSource::ChipClock,
            fifo_samples: FIFO_WORDS / WORDS_PER_SAMPLE,
        })
    }

    fn read_fifo(&mut self, into: &mut [Sample]) -> Result<FifoRead, Error<B::Error>> {
        let Some(state) = &mut self.running else {
            return Err(Error::NotConfigured { chip: NAME });
        };
        let mut status = [0; 2];
        self.registers.read_registers(FIFO_STATUS_1, &mut status)?;
        let [_, status_2] = status;
        let status = u16::from_le_bytes(status);
        let held = usize::from(status & WORDS_HELD);
        if held > FIFO_WORDS {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "FIFO_STATUS",
                expected: "at most 512 words",
                found: status,
            });
        }
        if status_2 & OVERRUN != 0 {
            state.cause = state.cause.or(Some(GapCause::Overflow));
        }
        let room = (into.len() * WORDS_PER_SAMPLE).saturating_sub(state.slot.words());
        let taken = held.min(room).min(BURST_WORDS);
        let (burst, _) = self.buffer.split_at_mut(taken * WORD_BYTES);
        if !burst.is_empty()
            && let Err(error) = self.registers.read_registers(FIFO_DATA_OUT_TAG, burst)
        {
            state.cause = Some(GapCause::BusError);
            state.slot = Slot::default();
            return Err(Error::Bus(error));
        }
        let mut samples = 0;
        let mut missing = 0_u32;
        let mut cause = None;
        let (words, _) = burst.as_chunks::<WORD_BYTES>();
        for [tag, d0, d1, d2, d3, d4, d5] in words {
            let Some((acceleration, angular_rate, timestamp)) = state.slot.add(*tag, [*d0, *d1, *d2, *d3, *d4, *d5])
            else {
                continue;
            };
            if state.settling && (settles(acceleration) || settles(angular_rate)) {
                continue;
            }
            state.settling = false;
            let placed = state.ticks.place(timestamp, 0);
            let why = state.cause.take();
            if placed.missing > 0 {
                missing = missing.saturating_add(placed.missing);
                cause = Some(why.unwrap_or(GapCause::Overflow));
            }
            if let Some(sample) = into.get_mut(samples) {
                *sample = Sample {
                    acceleration_m_s2: vector_le(acceleration, state.acceleration.unit_per_count),
                    angular_rate_rad_s: vector_le(angular_rate, state.angular_rate.unit_per_count),
                    device_ticks: placed.ticks,
                };
                samples += 1;
            }
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
