//! Bosch BMI160: BST-BMI160-DS000-09.

use std::collections::VecDeque;

use crate::chip::clock::ChipClock;
use crate::chip::imu_body::{ImuBody, RegisterChip, on_i2c_and_spi};

const CHIP_ID: u8 = 0x00;
const ERR_REG: u8 = 0x02;
const PMU_STATUS: u8 = 0x03;
const DATA_GYR: u8 = 0x0c;
const DATA_ACC: u8 = 0x12;
const SENSORTIME: u8 = 0x18;
const SENSORTIME_LAST: u8 = 0x1a;
const FIFO_LENGTH: u8 = 0x22;
const FIFO_LENGTH_HIGH: u8 = 0x23;
const FIFO_DATA: u8 = 0x24;
const ACC_CONF: u8 = 0x40;
const ACC_RANGE: u8 = 0x41;
const GYR_CONF: u8 = 0x42;
const GYR_RANGE: u8 = 0x43;
const FIFO_CONFIG_1: u8 = 0x47;
const CMD: u8 = 0x7e;

const FIFO_BYTES: usize = 1024;
/// One step of the sensor time is 1/25600 s.
const TICK_NS: f64 = 39_062.5;

/// The interface that listens: both until the select line has risen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interface {
    I2c,
    Spi,
}

/// The emulated chip.
#[derive(Debug)]
pub struct Bmi160 {
    /// Time, motion, identity, faults.
    pub body: ImuBody,
    registers: [u8; 128],
    interface: Interface,
    /// Chip time from which each sensor is in normal mode.
    accelerometer_from_ns: Option<u64>,
    gyroscope_from_ns: Option<u64>,
    /// Sensor time up to which samples are taken.
    sampled_ticks: u64,
    fifo: VecDeque<Vec<u8>>,
    skipped: u64,
    /// What is being sent of the FIFO in this burst, and how far.
    sending: Option<(Vec<u8>, usize)>,
    time_sent: bool,
    produced: u64,
}

impl Bmi160 {
    /// A chip just powered, on the host's clock.
    pub fn new() -> Self {
        Self::with_clock(ChipClock::host())
    }

    /// A chip just powered, on `clock`.
    pub fn with_clock(clock: ChipClock) -> Self {
        let mut chip = Self {
            body: ImuBody::new(clock),
            registers: [0; 128],
            interface: Interface::I2c,
            accelerometer_from_ns: None,
            gyroscope_from_ns: None,
            sampled_ticks: 0,
            fifo: VecDeque::new(),
            skipped: 0,
            sending: None,
            time_sent: false,
            produced: 0,
        };
        chip.reset();
        chip
    }

    /// Frames written into the FIFO since it was last flushed, lost ones too.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    fn reset(&mut self) {
        self.registers = [0; 128];
        for (register, value) in [
            (ACC_CONF, 0x28),
            (ACC_RANGE, 0x03),
            (GYR_CONF, 0x28),
            (0x45, 0x88),
            (0x46, 0x80),
            (FIFO_CONFIG_1, 0x10),
        ] {
            self.registers[usize::from(register)] = value;
        }
        self.interface = Interface::I2c;
        self.accelerometer_from_ns = None;
        self.gyroscope_from_ns = None;
        self.sampled_ticks = self.sensor_ticks();
        self.flush();
    }

    fn flush(&mut self) {
        self.fifo.clear();
        self.skipped = 0;
        self.sending = None;
        self.produced = 0;
    }

    fn register(&self, register: u8) -> u8 {
        self.registers[usize::from(register & 0x7f)]
    }

    fn sensor_ticks(&self) -> u64 {
        (self.body.now_ns() as f64 / TICK_NS) as u64
    }

    fn power(&self) -> u8 {
        let now_ns = self.body.now_ns();
        let normal = |from_ns: Option<u64>| u8::from(from_ns.is_some_and(|from_ns| from_ns <= now_ns));
        normal(self.accelerometer_from_ns) << 4 | normal(self.gyroscope_from_ns) << 2
    }

    /// Sensor time between samples for the rate code of a CONF register: 100 Hz is code 8.
    fn period_ticks(conf: u8) -> u64 {
        match conf & 0x0f {
            code @ 1..=13 => (256 << 8) >> code,
            _ => 256,
        }
    }

    fn take_samples(&mut self) {
        let now = self.sensor_ticks();
        let power = self.power();
        let accelerometer = (power & 0x10 != 0).then(|| Self::period_ticks(self.register(ACC_CONF)));
        let gyroscope = (power & 0x04 != 0).then(|| Self::period_ticks(self.register(GYR_CONF)));
        let Some(step) = [accelerometer, gyroscope].into_iter().flatten().min() else {
            self.sampled_ticks = now;
            return;
        };
        let mut at = (self.sampled_ticks / step + 1) * step;
        while at <= now {
            let due = |period: Option<u64>| period.is_some_and(|period| at.is_multiple_of(period));
            self.take_sample(at, due(accelerometer), due(gyroscope));
            at += step;
        }
        self.sampled_ticks = now;
    }

    fn take_sample(&mut self, at_ticks: u64, accelerometer: bool, gyroscope: bool) {
        let counts_per_g = match self.register(ACC_RANGE) & 0x0f {
            0x5 => 8_192.0,
            0x8 => 4_096.0,
            0xc => 2_048.0,
            _ => 16_384.0,
        };
        let counts_per_dps = match self.register(GYR_RANGE) & 0x07 {
            0 => 16.4,
            1 => 32.8,
            2 => 65.6,
            3 => 131.2,
            _ => 262.4,
        };
        let at_ns = (at_ticks as f64 * TICK_NS) as u64;
        let (acceleration, angular_rate) =
            self.body
                .counts(at_ns, counts_per_g / 9.806_65, f64::to_degrees(1.0) * counts_per_dps);
        let setup = self.register(FIFO_CONFIG_1);
        let mut frame = vec![0x80];
        let mut put = |due: bool, first: u8, fifo_bit: u8, header_bit: u8, values: [i16; 3]| {
            if due {
                let bytes = values.map(i16::to_le_bytes).concat();
                self.registers[usize::from(first)..][..6].copy_from_slice(&bytes);
                if setup & fifo_bit != 0 {
                    frame[0] |= header_bit;
                    frame.extend(bytes);
                }
            }
        };
        put(gyroscope, DATA_GYR, 0x80, 0x08, angular_rate);
        put(accelerometer, DATA_ACC, 0x40, 0x04, acceleration);
        if frame.len() == 1 {
            return;
        }
        if setup & 0x10 == 0 {
            frame.remove(0);
        }
        self.produced += 1;
        self.fifo.push_back(frame);
        while self.fifo_length() > FIFO_BYTES {
            // The frame being sent is the oldest: its rest goes on, as a new frame would overwrite it only then.
            self.fifo.pop_front();
            self.skipped += 1;
        }
    }

    fn fifo_length(&self) -> usize {
        self.fifo.iter().map(Vec::len).sum()
    }

    fn send_byte(&mut self) -> u8 {
        let header_mode = self.register(FIFO_CONFIG_1) & 0x10 != 0;
        if self.sending.is_none() {
            let next = if header_mode && self.skipped > 0 {
                let count = self.skipped.min(255) as u8;
                self.skipped = 0;
                vec![0x40, count]
            } else if let Some(frame) = self.fifo.front() {
                frame.clone()
            } else if header_mode && self.register(FIFO_CONFIG_1) & 0x02 != 0 && !self.time_sent {
                self.time_sent = true;
                let [t0, t1, t2, ..] = self.sensor_ticks().to_le_bytes();
                vec![0x44, t0, t1, t2]
            } else {
                vec![0x80]
            };
            self.sending = Some((next, 0));
        }
        let Some((bytes, at)) = &mut self.sending else {
            return 0x80;
        };
        let byte = bytes[*at];
        *at += 1;
        if *at == bytes.len() {
            // A frame leaves the FIFO when its last byte is read.
            let is_sample = !header_mode && !self.fifo.is_empty() || bytes[0] & 0xc0 == 0x80 && bytes.len() > 1;
            self.sending = None;
            if is_sample {
                self.fifo.pop_front();
            }
        }
        byte
    }
}

impl Default for Bmi160 {
    fn default() -> Self {
        Self::new()
    }
}

impl RegisterChip for Bmi160 {
    fn body(&mut self) -> &mut ImuBody {
        &mut self.body
    }

    fn begin(&mut self) {
        self.take_samples();
        self.time_sent = false;
    }

    fn read_register(&mut self, register: u8) -> u8 {
        let [length_low, length_high] = (self.fifo_length() as u16).to_le_bytes();
        match register {
            CHIP_ID => self.body.identity_or(0xd1),
            ERR_REG => std::mem::take(&mut self.registers[usize::from(ERR_REG)]),
            PMU_STATUS => self.power(),
            SENSORTIME..=SENSORTIME_LAST => self.sensor_ticks().to_le_bytes()[usize::from(register - SENSORTIME)],
            FIFO_LENGTH => length_low,
            FIFO_LENGTH_HIGH => length_high,
            FIFO_DATA => self.send_byte(),
            CMD => 0,
            _ => self.register(register),
        }
    }

    fn write_register(&mut self, register: u8, value: u8) {
        let now_ns = self.body.now_ns();
        match (register, value) {
            (CMD, 0x11) => self.accelerometer_from_ns = Some(now_ns + 3_800_000),
            (CMD, 0x15) => self.gyroscope_from_ns = Some(now_ns + 80_000_000),
            (CMD, 0x10) => self.accelerometer_from_ns = None,
            (CMD, 0x14) => self.gyroscope_from_ns = None,
            (CMD, 0xb0) => self.flush(),
            (CMD, 0xb6) => self.reset(),
            (CMD, _) | (..ACC_CONF, _) => {}
            _ => {
                // A rate outside the table is a configuration error (section 2.11.2).
                let rate = value & 0x0f;
                if register == ACC_CONF && !(1..=12).contains(&rate)
                    || register == GYR_CONF && !(6..=13).contains(&rate)
                {
                    self.registers[usize::from(ERR_REG)] |= 0x02;
                }
                self.registers[usize::from(register & 0x7f)] = value;
            }
        }
    }

    fn after(&self, register: u8) -> u8 {
        if register == FIFO_DATA {
            register
        } else {
            register.wrapping_add(1) & 0x7f
        }
    }

    fn end(&mut self) {
        // What was sent in part is sent again.
        self.sending = None;
    }

    fn selected(&mut self) -> bool {
        let listens = self.interface == Interface::Spi;
        self.interface = Interface::Spi;
        listens
    }
}

on_i2c_and_spi!(Bmi160);
