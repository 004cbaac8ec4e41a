//! TDK InvenSense ICM-20948: DS-000189 rev. 1.3. User banks 0 and 2.

use std::collections::VecDeque;

use crate::chip::clock::ChipClock;
use crate::chip::imu_body::{ImuBody, RegisterChip, on_i2c_and_spi};

// Bank 0.
const WHO_AM_I: u8 = 0x00;
const USER_CTRL: u8 = 0x03;
const PWR_MGMT_1: u8 = 0x06;
const INT_STATUS_1: u8 = 0x1a;
const INT_STATUS_2: u8 = 0x1b;
const ACCEL_XOUT_H: u8 = 0x2d;
const TEMP_OUT_L: u8 = 0x3a;
const FIFO_EN_2: u8 = 0x67;
const FIFO_RST: u8 = 0x68;
const FIFO_MODE: u8 = 0x69;
const FIFO_COUNT_H: u8 = 0x70;
const FIFO_COUNT_L: u8 = 0x71;
const FIFO_R_W: u8 = 0x72;
const REG_BANK_SEL: u8 = 0x7f;

// Bank 2.
const GYRO_SMPLRT_DIV: u8 = 0x00;
const GYRO_CONFIG_1: u8 = 0x01;
const ACCEL_CONFIG: u8 = 0x14;

const FIFO_BYTES: usize = 512;
const RESET_NS: u64 = 100_000_000;

/// The emulated chip. Its accelerometer samples with the gyroscope, as with equal dividers and ODR_ALIGN_EN.
#[derive(Debug)]
pub struct Icm20948 {
    /// Time, motion, identity, faults.
    pub body: ImuBody,
    banks: [[u8; 128]; 4],
    bank: usize,
    fifo: VecDeque<u8>,
    overflow: bool,
    ready: bool,
    origin_ns: u64,
    next: u64,
    busy_until_ns: u64,
    produced: u64,
}

impl Icm20948 {
    /// A chip just powered, on the host's clock.
    pub fn new() -> Self {
        Self::with_clock(ChipClock::host())
    }

    /// A chip just powered, on `clock`.
    pub fn with_clock(clock: ChipClock) -> Self {
        let mut chip = Self {
            body: ImuBody::new(clock),
            banks: [[0; 128]; 4],
            bank: 0,
            fifo: VecDeque::new(),
            overflow: false,
            ready: false,
            origin_ns: 0,
            next: 1,
            busy_until_ns: 0,
            produced: 0,
        };
        chip.reset();
        chip
    }

    /// Samples written into the FIFO since it was last reset, lost ones too.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    fn reset(&mut self) {
        self.banks = [[0; 128]; 4];
        self.banks[0][usize::from(PWR_MGMT_1)] = 0x41;
        self.banks[2][usize::from(GYRO_CONFIG_1)] = 0x01;
        self.banks[2][usize::from(ACCEL_CONFIG)] = 0x01;
        self.bank = 0;
        self.overflow = false;
        self.ready = false;
        self.clear_fifo();
        self.restart_sampling();
    }

    fn clear_fifo(&mut self) {
        self.fifo.clear();
        self.produced = 0;
    }

    fn restart_sampling(&mut self) {
        self.origin_ns = self.body.now_ns();
        self.next = 1;
    }

    fn of_bank_0(&self, register: u8) -> u8 {
        self.banks[0][usize::from(register)]
    }

    fn of_bank_2(&self, register: u8) -> u8 {
        self.banks[2][usize::from(register)]
    }

    fn take_samples(&mut self) {
        if self.of_bank_0(PWR_MGMT_1) & 0x40 != 0 {
            self.restart_sampling();
            return;
        }
        let now_ns = self.body.now_ns();
        // 1125 Hz / (1 + divider); 9 kHz with the filter bypassed.
        let periods = if self.of_bank_2(GYRO_CONFIG_1) & 1 == 0 {
            1_000_000_000.0 / 9000.0
        } else {
            1_000_000_000.0 / 1125.0 * (f64::from(self.of_bank_2(GYRO_SMPLRT_DIV)) + 1.0)
        };
        loop {
            let at_ns = self.origin_ns + (self.next as f64 * periods) as u64;
            if at_ns > now_ns {
                break;
            }
            self.next += 1;
            self.take_sample(at_ns);
        }
    }

    fn take_sample(&mut self, at_ns: u64) {
        let counts_per_g = f64::from(16_384 >> ((self.of_bank_2(ACCEL_CONFIG) >> 1) & 3));
        let counts_per_dps = [131.0, 65.5, 32.8, 16.4][usize::from((self.of_bank_2(GYRO_CONFIG_1) >> 1) & 3)];
        let (acceleration, angular_rate) =
            self.body
                .counts(at_ns, counts_per_g / 9.806_65, f64::to_degrees(1.0) * counts_per_dps);
        let temperature = 0_i16;
        // Acceleration, angular rate, temperature: the order of the registers here.
        let values = acceleration.into_iter().chain(angular_rate).chain([temperature]);
        for (index, value) in values.enumerate() {
            let first = usize::from(ACCEL_XOUT_H) + 2 * index;
            self.banks[0][first..first + 2].copy_from_slice(&value.to_be_bytes());
        }
        self.ready = true;
        if self.of_bank_0(USER_CTRL) & 0x40 == 0 || self.of_bank_0(FIFO_RST) & 0x1f != 0 {
            return;
        }
        let enabled = self.of_bank_0(FIFO_EN_2);
        let groups = [
            (0x10, 0..6),
            (0x02, 6..8),
            (0x04, 8..10),
            (0x08, 10..12),
            (0x01, 12..14),
        ];
        let mut any = false;
        for (bit, bytes) in groups {
            if enabled & bit != 0 {
                any = true;
                for offset in bytes {
                    self.push(self.of_bank_0(ACCEL_XOUT_H + offset));
                }
            }
        }
        self.produced += u64::from(any);
    }

    fn push(&mut self, byte: u8) {
        if self.fifo.len() == FIFO_BYTES {
            self.overflow = true;
            // Snapshot mode takes nothing more, stream mode lets the oldest go.
            if self.of_bank_0(FIFO_MODE) & 1 != 0 {
                return;
            }
            self.fifo.pop_front();
        }
        self.fifo.push_back(byte);
    }
}

impl Default for Icm20948 {
    fn default() -> Self {
        Self::new()
    }
}

impl RegisterChip for Icm20948 {
    fn body(&mut self) -> &mut ImuBody {
        &mut self.body
    }

    fn begin(&mut self) {
        self.take_samples();
    }

    fn read_register(&mut self, register: u8) -> u8 {
        let [count_high, count_low] = (self.fifo.len() as u16).to_be_bytes();
        match (self.bank, register) {
            (_, REG_BANK_SEL) => (self.bank as u8) << 4,
            (0, WHO_AM_I) => self.body.identity_or(0xea),
            (0, INT_STATUS_1) => u8::from(std::mem::take(&mut self.ready)),
            (0, INT_STATUS_2) => u8::from(std::mem::take(&mut self.overflow)),
            (0, FIFO_COUNT_H) => count_high,
            (0, FIFO_COUNT_L) => count_low,
            (0, FIFO_R_W) => self.fifo.pop_front().unwrap_or(0xff),
            (bank, _) => self.banks[bank][usize::from(register & 0x7f)],
        }
    }

    fn write_register(&mut self, register: u8, value: u8) {
        if self.body.now_ns() < self.busy_until_ns {
            return;
        }
        match (self.bank, register) {
            (_, REG_BANK_SEL) => self.bank = usize::from((value >> 4) & 3),
            (0, PWR_MGMT_1) if value & 0x80 != 0 => {
                self.reset();
                self.busy_until_ns = self.body.now_ns() + RESET_NS;
            }
            (0, WHO_AM_I | INT_STATUS_1 | INT_STATUS_2 | FIFO_COUNT_H | FIFO_COUNT_L)
            | (0, ACCEL_XOUT_H..=TEMP_OUT_L) => {}
            (0, FIFO_R_W) => self.push(value),
            (bank, _) => {
                self.banks[bank][usize::from(register & 0x7f)] = value;
                match (bank, register) {
                    (0, FIFO_RST) if value & 0x1f != 0 => self.clear_fifo(),
                    (2, GYRO_SMPLRT_DIV | GYRO_CONFIG_1) => self.restart_sampling(),
                    _ => {}
                }
            }
        }
    }

    fn after(&self, register: u8) -> u8 {
        if self.bank == 0 && register == FIFO_R_W {
            register
        } else {
            register.wrapping_add(1) & 0x7f
        }
    }
}

on_i2c_and_spi!(Icm20948);
