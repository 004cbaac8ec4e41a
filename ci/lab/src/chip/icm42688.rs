//! TDK InvenSense ICM-42688-P: DS-000347 rev. 1.7. User bank 0.

use std::collections::VecDeque;

use crate::chip::clock::ChipClock;
use crate::chip::imu_body::{ImuBody, RegisterChip, on_i2c_and_spi};

const DEVICE_CONFIG: u8 = 0x11;
const FIFO_CONFIG: u8 = 0x16;
const TEMP_DATA_1: u8 = 0x1d;
const GYRO_DATA_Z0: u8 = 0x2a;
const INT_STATUS: u8 = 0x2d;
const FIFO_COUNT_H: u8 = 0x2e;
const FIFO_COUNT_L: u8 = 0x2f;
const FIFO_DATA: u8 = 0x30;
const SIGNAL_PATH_RESET: u8 = 0x4b;
const INTF_CONFIG_0: u8 = 0x4c;
const PWR_MGMT_0: u8 = 0x4e;
const GYRO_CONFIG_0: u8 = 0x4f;
const ACCEL_CONFIG_0: u8 = 0x50;
const TMST_CONFIG: u8 = 0x54;
const FIFO_CONFIG_1: u8 = 0x5f;
const FIFO_LOST_PKT_0: u8 = 0x6c;
const FIFO_LOST_PKT_1: u8 = 0x6d;
const WHO_AM_I: u8 = 0x75;
const REG_BANK_SEL: u8 = 0x76;

const DATA_RDY: u8 = 1 << 3;
const FIFO_FULL: u8 = 1 << 1;
const RESET_DONE: u8 = 1 << 4;

const FIFO_BYTES: usize = 2048;
const RESET_NS: u64 = 1_000_000;
/// No register writes for so long after a sensor is switched on (14.36).
const SWITCH_ON_NS: u64 = 200_000;
/// From gyroscope enable to valid data (3.1).
const GYROSCOPE_START_NS: u64 = 30_000_000;
/// Accelerometer start-up from sleep (3.2).
const ACCELEROMETER_START_NS: u64 = 10_000_000;
const INVALID: [i16; 3] = [i16::MIN; 3];

/// The emulated chip.
#[derive(Debug)]
pub struct Icm42688 {
    /// Time, motion, identity, faults.
    pub body: ImuBody,
    registers: [u8; 128],
    bank: u8,
    status: u8,
    busy_until_ns: u64,
    accelerometer_from_ns: u64,
    gyroscope_from_ns: u64,
    origin_ns: u64,
    next: u64,
    fifo: VecDeque<Vec<u8>>,
    /// Bytes of the oldest packet sent in this burst.
    sent: usize,
    lost: u16,
    produced: u64,
}

impl Icm42688 {
    /// A chip just powered, on the host's clock.
    pub fn new() -> Self {
        Self::with_clock(ChipClock::host())
    }

    /// A chip just powered, on `clock`.
    pub fn with_clock(clock: ChipClock) -> Self {
        let mut chip = Self {
            body: ImuBody::new(clock),
            registers: [0; 128],
            bank: 0,
            status: 0,
            busy_until_ns: 0,
            accelerometer_from_ns: 0,
            gyroscope_from_ns: 0,
            origin_ns: 0,
            next: 1,
            fifo: VecDeque::new(),
            sent: 0,
            lost: 0,
            produced: 0,
        };
        chip.reset();
        chip
    }

    /// Packets written into the FIFO since it was last flushed, lost ones too.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    fn reset(&mut self) {
        self.registers = [0; 128];
        for (register, value) in [
            (0x13, 0x05),
            (INTF_CONFIG_0, 0x30),
            (0x4d, 0x91),
            (GYRO_CONFIG_0, 0x06),
            (ACCEL_CONFIG_0, 0x06),
            (TMST_CONFIG, 0x23),
        ] {
            self.registers[usize::from(register)] = value;
        }
        self.bank = 0;
        self.status = RESET_DONE;
        self.lost = 0;
        self.flush();
        self.restart_sampling();
    }

    fn flush(&mut self) {
        self.fifo.clear();
        self.sent = 0;
        self.produced = 0;
    }

    fn register(&self, register: u8) -> u8 {
        self.registers[usize::from(register & 0x7f)]
    }

    fn restart_sampling(&mut self) {
        self.origin_ns = self.body.now_ns();
        self.next = 1;
    }

    fn period_ns(&self) -> u64 {
        match self.register(ACCEL_CONFIG_0) & 0x0f {
            3 => 125_000,
            4 => 250_000,
            5 => 500_000,
            7 => 5_000_000,
            8 => 10_000_000,
            9 => 20_000_000,
            10 => 40_000_000,
            11 => 80_000_000,
            15 => 2_000_000,
            _ => 1_000_000,
        }
    }

    fn take_samples(&mut self) {
        if self.register(PWR_MGMT_0) & 0x0f == 0 {
            self.restart_sampling();
            return;
        }
        let now_ns = self.body.now_ns();
        let period_ns = self.period_ns();
        loop {
            let at_ns = self.origin_ns + self.next * period_ns;
            if at_ns > now_ns {
                break;
            }
            self.next += 1;
            self.take_sample(at_ns);
        }
    }

    fn time_stamp(&self, at_ns: u64) -> [u8; 2] {
        let setup = self.register(TMST_CONFIG);
        if setup & 0x01 == 0 {
            return [0; 2];
        }
        let step_us = if setup & 0x08 == 0 { 1.0 } else { 16.0 };
        // Without an external clock: 32/30 of the step (12.7).
        let steps = at_ns as f64 * 1e-3 / (step_us * 32.0 / 30.0);
        ((steps as u64 & 0xffff) as u16).to_be_bytes()
    }

    fn take_sample(&mut self, at_ns: u64) {
        let full_scale_g = f64::from(16_u8 >> (self.register(ACCEL_CONFIG_0) >> 5).min(3));
        let counts_per_dps =
            [16.4, 32.8, 65.5, 131.0, 262.0, 524.3, 1048.6, 2097.2][usize::from(self.register(GYRO_CONFIG_0) >> 5)];
        let (mut acceleration, mut angular_rate) = self.body.counts(
            at_ns,
            32_768.0 / full_scale_g / 9.806_65,
            f64::to_degrees(1.0) * counts_per_dps,
        );
        let power = self.register(PWR_MGMT_0);
        if power & 0x03 == 0 || at_ns < self.accelerometer_from_ns {
            acceleration = INVALID;
        }
        if power & 0x0c == 0 || at_ns < self.gyroscope_from_ns {
            angular_rate = INVALID;
        }
        // INTF_CONFIG0.SENSOR_DATA_ENDIAN.
        let big_endian = self.register(INTF_CONFIG_0) & 0x10 != 0;
        let bytes = |value: i16| {
            if big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let acceleration = acceleration.map(bytes).concat();
        let angular_rate = angular_rate.map(bytes).concat();
        let data = [&[0, 0], acceleration.as_slice(), angular_rate.as_slice()].concat();
        self.registers[usize::from(TEMP_DATA_1)..][..data.len()].copy_from_slice(&data);
        self.status |= DATA_RDY;

        // FIFO_CONFIG: bypass, stream, or stop when full.
        let mode = self.register(FIFO_CONFIG) >> 6;
        let packet = match self.register(FIFO_CONFIG_1) & 0x03 {
            1 => [&[0x40], acceleration.as_slice(), &[0]].concat(),
            2 => [&[0x20], angular_rate.as_slice(), &[0]].concat(),
            3 => {
                let mut stamp = self.time_stamp(at_ns);
                if !big_endian {
                    stamp.reverse();
                }
                let header = if self.register(TMST_CONFIG) & 1 == 0 {
                    0x60
                } else {
                    0x68
                };
                [&[header], acceleration.as_slice(), &angular_rate, &[0], &stamp].concat()
            }
            _ => return,
        };
        if mode == 0 {
            return;
        }
        self.produced += 1;
        if self.fifo_length() + packet.len() > FIFO_BYTES {
            self.status |= FIFO_FULL;
            self.lost = self.lost.wrapping_add(1);
            if mode > 1 {
                return;
            }
            self.fifo.pop_front();
        }
        self.fifo.push_back(packet);
        if self.fifo_length() == FIFO_BYTES {
            self.status |= FIFO_FULL;
        }
    }

    fn fifo_length(&self) -> usize {
        self.fifo.iter().map(Vec::len).sum()
    }

    fn send_byte(&mut self) -> u8 {
        let Some(packet) = self.fifo.front() else {
            return 0xff;
        };
        let byte = packet[self.sent];
        self.sent += 1;
        if self.sent == packet.len() {
            self.sent = 0;
            self.fifo.pop_front();
        }
        byte
    }
}

impl Default for Icm42688 {
    fn default() -> Self {
        Self::new()
    }
}

impl RegisterChip for Icm42688 {
    fn body(&mut self) -> &mut ImuBody {
        &mut self.body
    }

    fn begin(&mut self) {
        self.take_samples();
    }

    fn read_register(&mut self, register: u8) -> u8 {
        if register == REG_BANK_SEL {
            return self.bank;
        }
        if self.bank != 0 {
            return 0;
        }
        let [count_high, count_low] = {
            // INTF_CONFIG0: FIFO_COUNT_REC counts packets, FIFO_COUNT_ENDIAN is big-endian.
            let interface = self.register(INTF_CONFIG_0);
            let count = if interface & 0x40 == 0 {
                self.fifo_length() as u16
            } else {
                self.fifo.len() as u16
            };
            if interface & 0x20 == 0 {
                count.to_le_bytes()
            } else {
                count.to_be_bytes()
            }
        };
        let [lost_low, lost_high] = self.lost.to_le_bytes();
        match register {
            INT_STATUS => std::mem::take(&mut self.status),
            FIFO_COUNT_H => count_high,
            FIFO_COUNT_L => count_low,
            FIFO_DATA => self.send_byte(),
            FIFO_LOST_PKT_0 => lost_low,
            FIFO_LOST_PKT_1 => lost_high,
            WHO_AM_I => self.body.identity_or(0x47),
            _ => self.register(register),
        }
    }

    fn write_register(&mut self, register: u8, value: u8) {
        let now_ns = self.body.now_ns();
        if now_ns < self.busy_until_ns {
            return;
        }
        if register == REG_BANK_SEL {
            self.bank = value & 0x07;
            return;
        }
        if self.bank != 0 {
            return;
        }
        match register {
            DEVICE_CONFIG if value & 1 != 0 => {
                self.reset();
                self.busy_until_ns = now_ns + RESET_NS;
            }
            SIGNAL_PATH_RESET => {
                if value & 0x02 != 0 {
                    self.flush();
                }
            }
            PWR_MGMT_0 => {
                let before = self.register(PWR_MGMT_0);
                if before & 0x03 == 0 && value & 0x03 != 0 {
                    self.accelerometer_from_ns = now_ns + ACCELEROMETER_START_NS;
                    self.busy_until_ns = now_ns + SWITCH_ON_NS;
                }
                if before & 0x0c == 0 && value & 0x0c != 0 {
                    self.gyroscope_from_ns = now_ns + GYROSCOPE_START_NS;
                    self.busy_until_ns = now_ns + SWITCH_ON_NS;
                }
                if before & 0x0f == 0 {
                    self.restart_sampling();
                }
                self.registers[usize::from(PWR_MGMT_0)] = value;
            }
            TEMP_DATA_1..=GYRO_DATA_Z0 | INT_STATUS..=FIFO_DATA | FIFO_LOST_PKT_0 | FIFO_LOST_PKT_1 | WHO_AM_I => {}
            _ => {
                self.registers[usize::from(register & 0x7f)] = value;
                if register == ACCEL_CONFIG_0 {
                    self.restart_sampling();
                }
                if register == FIFO_CONFIG && value >> 6 == 0 {
                    self.flush();
                }
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
        // FIFO_RESUME_PARTIAL_RD off: a packet read in part is read again from its start.
        self.sent = 0;
    }
}

on_i2c_and_spi!(Icm42688);
