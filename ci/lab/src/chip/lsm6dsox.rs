//! ST LSM6DSOX: DS12814 rev. 3, AN5272 rev. 3.

use std::collections::VecDeque;

use crate::chip::clock::ChipClock;
use crate::chip::imu_body::{ImuBody, RegisterChip, on_i2c_and_spi};

const FIFO_CTRL_3: u8 = 0x09;
const FIFO_CTRL_4: u8 = 0x0a;
const WHO_AM_I: u8 = 0x0f;
const CTRL_1_XL: u8 = 0x10;
const CTRL_2_G: u8 = 0x11;
const CTRL_3_C: u8 = 0x12;
const CTRL_9_XL: u8 = 0x18;
const CTRL_10_C: u8 = 0x19;
const OUTX_L_G: u8 = 0x22;
const OUTX_L_A: u8 = 0x28;
const OUTZ_H_A: u8 = 0x2d;
const FIFO_STATUS_1: u8 = 0x3a;
const FIFO_STATUS_2: u8 = 0x3b;
const TIMESTAMP_0: u8 = 0x40;
const TIMESTAMP_2: u8 = 0x42;
const TIMESTAMP_3: u8 = 0x43;
const INTERNAL_FREQ_FINE: u8 = 0x63;
const FIFO_DATA_OUT_TAG: u8 = 0x78;
const FIFO_DATA_OUT_Z_H: u8 = 0x7e;

const FIFO_WORDS: usize = 512;
/// What one step of the time stamp lasts, untrimmed.
const TICK_NS: u64 = 25_000;
/// From power-down to valid data (DS12814 table 2 and AN5272 3.9).
const ACCELEROMETER_START_NS: u64 = 10_000_000;
const GYROSCOPE_START_NS: u64 = 70_000_000;

/// The emulated chip.
#[derive(Debug)]
pub struct Lsm6dsox {
    /// Time, motion, identity, faults.
    pub body: ImuBody,
    registers: [u8; 128],
    /// Where in a time slot the time stamp stands: data sheet and application note leave the order open.
    timestamp_last: bool,
    timestamp_origin_ns: u64,
    accelerometer_from_ns: u64,
    gyroscope_from_ns: u64,
    origin_ns: u64,
    next: u64,
    slot: u8,
    fifo: VecDeque<[u8; 7]>,
    overrun: bool,
    overrun_latched: bool,
    produced: u64,
}

impl Lsm6dsox {
    /// A chip just powered, on the host's clock.
    pub fn new() -> Self {
        Self::with_clock(ChipClock::host())
    }

    /// A chip just powered, on `clock`.
    pub fn with_clock(clock: ChipClock) -> Self {
        let mut chip = Self {
            body: ImuBody::new(clock),
            registers: [0; 128],
            timestamp_last: false,
            timestamp_origin_ns: 0,
            accelerometer_from_ns: 0,
            gyroscope_from_ns: 0,
            origin_ns: 0,
            next: 1,
            slot: 0,
            fifo: VecDeque::new(),
            overrun: false,
            overrun_latched: false,
            produced: 0,
        };
        chip.reset();
        chip
    }

    /// Puts the time stamp behind the data of its slot.
    pub fn put_timestamp_last(&mut self) {
        self.timestamp_last = true;
    }

    /// The factory's trim of the oscillator: INTERNAL_FREQ_FINE, in steps of 0.15 %. Its clock runs faster by that.
    pub fn set_trim(&mut self, steps: i8) {
        self.registers[usize::from(INTERNAL_FREQ_FINE)] = steps.to_le_bytes()[0];
    }

    /// Time slots batched into the FIFO since it was last in bypass mode, lost ones too.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    fn reset(&mut self) {
        let trim = self.register(INTERNAL_FREQ_FINE);
        self.registers = [0; 128];
        self.registers[usize::from(INTERNAL_FREQ_FINE)] = trim;
        self.registers[usize::from(CTRL_3_C)] = 0x04;
        self.registers[usize::from(CTRL_9_XL)] = 0xe0;
        self.clear_fifo();
        self.restart_sampling();
    }

    fn clear_fifo(&mut self) {
        self.fifo.clear();
        self.overrun = false;
        self.overrun_latched = false;
        self.produced = 0;
    }

    fn register(&self, register: u8) -> u8 {
        self.registers[usize::from(register & 0x7f)]
    }

    fn restart_sampling(&mut self) {
        self.origin_ns = self.body.now_ns();
        self.next = 1;
    }

    /// How many steps of `steps_ns` the trimmed oscillator makes in `ns`.
    fn steps(&self, ns: u64, step_ns: u64) -> u64 {
        let trim = f64::from(i8::from_le_bytes([self.register(INTERNAL_FREQ_FINE)]));
        if trim == 0.0 {
            ns / step_ns
        } else {
            (ns as f64 * (1.0 + 0.0015 * trim) / step_ns as f64) as u64
        }
    }

    fn timestamp(&self, at_ns: u64) -> u32 {
        if self.register(CTRL_10_C) & 0x20 == 0 {
            return 0;
        }
        self.steps(at_ns.saturating_sub(self.timestamp_origin_ns), TICK_NS) as u32
    }

    /// Time between samples of an output data rate code: code 10 is 6 ticks, each below twice that.
    fn period_ns(code: u8) -> Option<u64> {
        match code {
            1..=10 => Some((6 * TICK_NS) << (10 - code)),
            _ => None,
        }
    }

    fn take_samples(&mut self) {
        let accelerometer = Self::period_ns(self.register(CTRL_1_XL) >> 4);
        let gyroscope = Self::period_ns(self.register(CTRL_2_G) >> 4);
        let Some(period_ns) = accelerometer.into_iter().chain(gyroscope).min() else {
            self.restart_sampling();
            return;
        };
        let taken = self.steps(self.body.now_ns() - self.origin_ns, period_ns);
        let trim = f64::from(i8::from_le_bytes([self.register(INTERNAL_FREQ_FINE)]));
        while self.next <= taken {
            let index = self.next;
            self.next += 1;
            let at_ns = self.origin_ns
                + if trim == 0.0 {
                    index * period_ns
                } else {
                    ((index * period_ns) as f64 / (1.0 + 0.0015 * trim)).ceil() as u64
                };
            let due = |period: Option<u64>| period.is_some_and(|period| (index * period_ns).is_multiple_of(period));
            self.take_sample(at_ns, due(accelerometer), due(gyroscope));
        }
    }

    fn take_sample(&mut self, at_ns: u64, accelerometer: bool, gyroscope: bool) {
        let mg_per_count = [0.061, 0.488, 0.122, 0.244][usize::from((self.register(CTRL_1_XL) >> 2) & 3)];
        let control = self.register(CTRL_2_G);
        let mdps_per_count = if control & 0x02 != 0 {
            4.375
        } else {
            [8.75, 17.5, 35.0, 70.0][usize::from((control >> 2) & 3)]
        };
        let (mut acceleration, mut angular_rate) = self.body.counts(
            at_ns,
            1000.0 / mg_per_count / 9.806_65,
            f64::to_degrees(1.0) * 1000.0 / mdps_per_count,
        );
        // While a sensor settles, its x says so (AN5272 9.4).
        if at_ns < self.accelerometer_from_ns {
            acceleration[0] = 0x7fff;
        }
        if at_ns < self.gyroscope_from_ns {
            angular_rate[0] = 0x7ffe;
        }
        let acceleration = acceleration.map(i16::to_le_bytes).concat();
        let angular_rate = angular_rate.map(i16::to_le_bytes).concat();
        if gyroscope {
            self.registers[usize::from(OUTX_L_G)..][..6].copy_from_slice(&angular_rate);
        }
        if accelerometer {
            self.registers[usize::from(OUTX_L_A)..][..6].copy_from_slice(&acceleration);
        }
        let mode = self.register(FIFO_CTRL_4) & 0x07;
        let batch = self.register(FIFO_CTRL_3);
        let with_gyroscope = gyroscope && batch >> 4 != 0;
        let with_accelerometer = accelerometer && batch & 0x0f != 0;
        if mode == 0 || !(with_gyroscope || with_accelerometer) {
            return;
        }
        self.produced += 1;
        self.slot = (self.slot + 1) & 0x03;
        let with_timestamp = self.register(FIFO_CTRL_4) >> 6 != 0 && self.register(CTRL_10_C) & 0x20 != 0;
        let [t0, t1, t2, t3] = self.timestamp(at_ns).to_le_bytes();
        let timestamp = [t0, t1, t2, t3, 0, 0];
        if with_timestamp && !self.timestamp_last {
            self.push(0x04, &timestamp);
        }
        if with_gyroscope {
            self.push(0x01, &angular_rate);
        }
        if with_accelerometer {
            self.push(0x02, &acceleration);
        }
        if with_timestamp && self.timestamp_last {
            self.push(0x04, &timestamp);
        }
    }

    fn push(&mut self, sensor: u8, data: &[u8]) {
        if self.fifo.len() == FIFO_WORDS {
            // FIFO mode (1) stops when full, continuous mode (6) overwrites the oldest.
            if self.register(FIFO_CTRL_4) & 0x07 == 1 {
                return;
            }
            self.overrun = true;
            self.overrun_latched = true;
            self.fifo.pop_front();
        }
        let tag = sensor << 3 | self.slot << 1;
        let mut word = [0; 7];
        word[0] = tag | (tag.count_ones() & 1) as u8;
        word[1..].copy_from_slice(data);
        self.fifo.push_back(word);
    }
}

impl Default for Lsm6dsox {
    fn default() -> Self {
        Self::new()
    }
}

impl RegisterChip for Lsm6dsox {
    fn body(&mut self) -> &mut ImuBody {
        &mut self.body
    }

    fn begin(&mut self) {
        self.take_samples();
    }

    fn read_register(&mut self, register: u8) -> u8 {
        let [held_low, held_high] = (self.fifo.len() as u16).to_le_bytes();
        match register {
            WHO_AM_I => self.body.identity_or(0x6c),
            FIFO_STATUS_1 => held_low,
            FIFO_STATUS_2 => {
                let full = self.fifo.len() == FIFO_WORDS;
                let latched = std::mem::take(&mut self.overrun_latched);
                held_high | u8::from(self.overrun) << 6 | u8::from(full) << 5 | u8::from(latched) << 3
            }
            TIMESTAMP_0..=TIMESTAMP_3 => {
                self.timestamp(self.body.now_ns()).to_le_bytes()[usize::from(register - TIMESTAMP_0)]
            }
            FIFO_DATA_OUT_TAG..=FIFO_DATA_OUT_Z_H => {
                let word = self.fifo.front().copied().unwrap_or_default();
                // The word leaves when its last byte is read, and room ends an overrun.
                if register == FIFO_DATA_OUT_Z_H && self.fifo.pop_front().is_some() {
                    self.overrun = false;
                }
                word[usize::from(register - FIFO_DATA_OUT_TAG)]
            }
            _ => self.register(register),
        }
    }

    fn write_register(&mut self, register: u8, value: u8) {
        let now_ns = self.body.now_ns();
        match register {
            CTRL_3_C if value & 1 != 0 => self.reset(),
            TIMESTAMP_2 => {
                if value == 0xaa {
                    self.timestamp_origin_ns = now_ns;
                }
            }
            WHO_AM_I
            | OUTX_L_G..=OUTZ_H_A
            | FIFO_STATUS_1
            | FIFO_STATUS_2
            | TIMESTAMP_0..=TIMESTAMP_3
            | INTERNAL_FREQ_FINE
            | FIFO_DATA_OUT_TAG..=FIFO_DATA_OUT_Z_H => {}
            _ => {
                let before = self.register(register);
                self.registers[usize::from(register & 0x7f)] = value;
                match register {
                    CTRL_1_XL if before >> 4 == 0 => self.accelerometer_from_ns = now_ns + ACCELEROMETER_START_NS,
                    CTRL_2_G if before >> 4 == 0 => self.gyroscope_from_ns = now_ns + GYROSCOPE_START_NS,
                    CTRL_10_C if before & 0x20 == 0 && value & 0x20 != 0 => self.timestamp_origin_ns = now_ns,
                    FIFO_CTRL_4 if value & 0x07 == 0 => self.clear_fifo(),
                    _ => {}
                }
                if matches!(register, CTRL_1_XL | CTRL_2_G) && before >> 4 != value >> 4 {
                    self.restart_sampling();
                }
            }
        }
    }

    fn after(&self, register: u8) -> u8 {
        match register {
            FIFO_DATA_OUT_Z_H => FIFO_DATA_OUT_TAG,
            // IF_INC (DS12814 9.14).
            _ if self.register(CTRL_3_C) & 0x04 == 0 => register,
            _ => register.wrapping_add(1) & 0x7f,
        }
    }
}

on_i2c_and_spi!(Lsm6dsox);
