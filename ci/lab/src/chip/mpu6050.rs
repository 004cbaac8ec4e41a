//! InvenSense MPU-6050 and MPU-9250: RM-MPU-6000A-00 rev. 4.2, RM-MPU-9250A-00 rev. 1.6.

use std::collections::VecDeque;

use crate::chip::clock::ChipClock;
use crate::chip::imu_body::{ImuBody, RegisterChip, on_i2c_and_spi};

/// Which of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// 1024 bytes of FIFO; after reset it sleeps. I2C only.
    Mpu6050,
    /// 512 bytes of FIFO, I2C and SPI; after reset it is awake.
    Mpu9250,
}

impl Model {
    fn identity(self) -> u8 {
        match self {
            Self::Mpu6050 => 0x68,
            Self::Mpu9250 => 0x71,
        }
    }

    fn fifo_bytes(self) -> usize {
        match self {
            Self::Mpu6050 => 1024,
            Self::Mpu9250 => 512,
        }
    }

    fn power_after_reset(self) -> u8 {
        match self {
            Self::Mpu6050 => 0x40,
            Self::Mpu9250 => 0x01,
        }
    }
}

const SMPLRT_DIV: u8 = 0x19;
const CONFIG: u8 = 0x1a;
const GYRO_CONFIG: u8 = 0x1b;
const ACCEL_CONFIG: u8 = 0x1c;
const FIFO_EN: u8 = 0x23;
const INT_STATUS: u8 = 0x3a;
const ACCEL_XOUT_H: u8 = 0x3b;
const GYRO_ZOUT_L: u8 = 0x48;
const USER_CTRL: u8 = 0x6a;
const PWR_MGMT_1: u8 = 0x6b;
const FIFO_COUNT_H: u8 = 0x72;
const FIFO_COUNT_L: u8 = 0x73;
const FIFO_R_W: u8 = 0x74;
const WHO_AM_I: u8 = 0x75;

const DATA_RDY: u8 = 0x01;
const FIFO_OFLOW: u8 = 0x10;
/// How long DEVICE_RESET takes at most.
const RESET_NS: u64 = 100_000_000;

/// The emulated chip.
#[derive(Debug)]
pub struct Mpu6050 {
    /// Time, motion, identity, faults.
    pub body: ImuBody,
    model: Model,
    registers: [u8; 128],
    fifo: VecDeque<u8>,
    /// What reading the empty FIFO repeats.
    last_read: u8,
    status: u8,
    /// Sample `next` is taken at `origin_ns + next × period`.
    origin_ns: u64,
    next: u64,
    busy_until_ns: u64,
    produced: u64,
}

impl Mpu6050 {
    /// A chip just powered, on the host's clock.
    pub fn new(model: Model) -> Self {
        Self::with_clock(model, ChipClock::host())
    }

    /// A chip just powered, on `clock`.
    pub fn with_clock(model: Model, clock: ChipClock) -> Self {
        let mut chip = Self {
            body: ImuBody::new(clock),
            model,
            registers: [0; 128],
            fifo: VecDeque::new(),
            last_read: 0,
            status: 0,
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
        self.registers = [0; 128];
        self.registers[usize::from(PWR_MGMT_1)] = self.model.power_after_reset();
        self.fifo.clear();
        self.status = 0;
        self.restart_sampling();
    }

    fn register(&self, register: u8) -> u8 {
        self.registers[usize::from(register & 0x7f)]
    }

    fn restart_sampling(&mut self) {
        self.origin_ns = self.body.now_ns();
        self.next = 1;
    }

    fn period_ns(&self) -> u64 {
        // Gyroscope output rate 8 kHz with the low-pass filter off, else 1 kHz (section 4.2).
        let base_hz = if matches!(self.register(CONFIG) & 7, 0 | 7) {
            8000
        } else {
            1000
        };
        1_000_000_000 / base_hz * (u64::from(self.register(SMPLRT_DIV)) + 1)
    }

    fn take_samples(&mut self) {
        let now_ns = self.body.now_ns();
        if self.register(PWR_MGMT_1) & 0x40 != 0 {
            self.restart_sampling();
            return;
        }
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

    fn take_sample(&mut self, at_ns: u64) {
        let counts_per_g = f64::from(16_384 >> ((self.register(ACCEL_CONFIG) >> 3) & 3));
        let counts_per_dps = [131.0, 65.5, 32.8, 16.4][usize::from((self.register(GYRO_CONFIG) >> 3) & 3)];
        let (acceleration, angular_rate) =
            self.body
                .counts(at_ns, counts_per_g / 9.806_65, f64::to_degrees(1.0) * counts_per_dps);
        let temperature = 0_i16;
        let values = acceleration.into_iter().chain([temperature]).chain(angular_rate);
        for (index, value) in values.enumerate() {
            let first = usize::from(ACCEL_XOUT_H) + 2 * index;
            self.registers[first..first + 2].copy_from_slice(&value.to_be_bytes());
        }
        self.status |= DATA_RDY;
        if self.register(USER_CTRL) & 0x40 == 0 {
            return;
        }
        let enabled = self.register(FIFO_EN);
        // In the order of the registers, each as its bit says (section 4.7 of RM-MPU-6000A).
        let groups = [
            (0x08, 0..6),
            (0x80, 6..8),
            (0x40, 8..10),
            (0x20, 10..12),
            (0x10, 12..14),
        ];
        let mut any = false;
        for (bit, bytes) in groups {
            if enabled & bit != 0 {
                any = true;
                for offset in bytes {
                    self.push(self.registers[usize::from(ACCEL_XOUT_H) + offset]);
                }
            }
        }
        self.produced += u64::from(any);
    }

    fn push(&mut self, byte: u8) {
        if self.fifo.len() == self.model.fifo_bytes() {
            self.status |= FIFO_OFLOW;
            // CONFIG.FIFO_MODE of the MPU-9250: a full FIFO takes nothing more.
            if self.model == Model::Mpu9250 && self.register(CONFIG) & 0x40 != 0 {
                return;
            }
            self.fifo.pop_front();
        }
        self.fifo.push_back(byte);
    }
}

impl RegisterChip for Mpu6050 {
    fn body(&mut self) -> &mut ImuBody {
        &mut self.body
    }

    fn begin(&mut self) {
        self.take_samples();
    }

    fn read_register(&mut self, register: u8) -> u8 {
        let [count_high, count_low] = (self.fifo.len() as u16).to_be_bytes();
        match register {
            INT_STATUS => std::mem::take(&mut self.status),
            FIFO_COUNT_H => count_high,
            FIFO_COUNT_L => count_low,
            FIFO_R_W => {
                if let Some(byte) = self.fifo.pop_front() {
                    self.last_read = byte;
                }
                self.last_read
            }
            WHO_AM_I => self.body.identity_or(self.model.identity()),
            _ => self.register(register),
        }
    }

    fn write_register(&mut self, register: u8, value: u8) {
        if self.body.now_ns() < self.busy_until_ns {
            return;
        }
        match register {
            PWR_MGMT_1 if value & 0x80 != 0 => {
                self.reset();
                self.busy_until_ns = self.body.now_ns() + RESET_NS;
            }
            USER_CTRL => {
                if value & 0x04 != 0 && value & 0x40 == 0 {
                    self.fifo.clear();
                    self.produced = 0;
                }
                self.registers[usize::from(USER_CTRL)] = value & 0xf0;
            }
            ACCEL_XOUT_H..=GYRO_ZOUT_L | INT_STATUS | FIFO_COUNT_H | FIFO_COUNT_L | WHO_AM_I => {}
            FIFO_R_W => self.push(value),
            _ => {
                self.registers[usize::from(register & 0x7f)] = value;
                if matches!(register, SMPLRT_DIV | CONFIG) {
                    self.restart_sampling();
                }
            }
        }
    }

    fn after(&self, register: u8) -> u8 {
        if register == FIFO_R_W {
            register
        } else {
            register.wrapping_add(1) & 0x7f
        }
    }

    fn selected(&mut self) -> bool {
        // The MPU-6050 has no SPI pins.
        self.model == Model::Mpu9250
    }
}

on_i2c_and_spi!(Mpu6050);
