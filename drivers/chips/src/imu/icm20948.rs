//! TDK InvenSense ICM-20948, I2C and SPI.
//!
//! Source: DS-000189 rev. 1.3 ("data sheet" below). The magnetometer is left alone.
//!
//! The FIFO has no frames: an overflow empties it, and the count of lost samples is unknown. The data sheet gives it 512
//! bytes and its count 13 bits; the smaller number is what [`Running::fifo_samples`] promises.

use embedded_hal::delay::DelayNs;

use super::unframed::{BURST_BYTES, FifoRegisters, SAMPLE_BYTES, UnframedFifo, choose_divider, choose_low_pass};
use super::{
    ACCELERATION, ANGULAR_RATE, DEGREE_RAD, Error, FifoRead, ImuChip, Range, Running, STANDARD_GRAVITY_M_S2, Sample,
    Setting, TickSource, choose_range,
};
use crate::registers::{Interface, RegisterBus};

const NAME: &str = "ICM-20948";

// Bank 0, data sheet 7.1.
const WHO_AM_I: u8 = 0x00;
const USER_CTRL: u8 = 0x03;
const PWR_MGMT_1: u8 = 0x06;
const PWR_MGMT_2: u8 = 0x07;
const INT_ENABLE_2: u8 = 0x12;
const INT_STATUS_2: u8 = 0x1b;
const FIFO_EN_2: u8 = 0x67;
const FIFO_RST: u8 = 0x68;
const FIFO_MODE: u8 = 0x69;
const FIFO_COUNT_H: u8 = 0x70;
const FIFO_R_W: u8 = 0x72;
/// In every bank.
const REG_BANK_SEL: u8 = 0x7f;

// Bank 2, data sheet 7.3.
const GYRO_SMPLRT_DIV: u8 = 0x00;
const GYRO_CONFIG_1: u8 = 0x01;
const ODR_ALIGN_EN: u8 = 0x09;
const ACCEL_SMPLRT_DIV_1: u8 = 0x10;
const ACCEL_SMPLRT_DIV_2: u8 = 0x11;
const ACCEL_CONFIG: u8 = 0x14;

const IDENTITIES: &[u8] = &[0xea];

const BANK_0: u8 = 0x00;
const BANK_2: u8 = 0x20;
const POWER_RESET: u8 = 1 << 7;
/// Best clock there is (data sheet 8.5).
const POWER_CLOCK_AUTO: u8 = 1;
const USER_FIFO_EN: u8 = 1 << 6;
const USER_I2C_IF_DIS: u8 = 1 << 4;
/// One bit per FIFO of the chip's sensors.
const ALL_FIFOS: u8 = 0x1f;
/// Accelerometer and gyroscope x, y, z; they enter in the order of their registers, acceleration first.
const FIFO_ACCEL_AND_GYRO: u8 = 0x1e;
/// Oldest bytes give way (data sheet 8.65).
const FIFO_STREAM: u8 = 0;
/// FCHOICE: low-pass filter and divider in use.
const FILTER_ON: u8 = 1;

/// Rate before the divider (data sheet 10.1 and 10.11).
const BASE_RATE_HZ: f32 = 1125.0;

/// Low-pass codes with the wider of the gyroscope's and the accelerometer's bandwidth in Hz, narrowest first (data sheet
/// tables 16 and 18).
const LOW_PASS: [(f32, u8); 7] = [
    (5.7, 6),
    (11.6, 5),
    (23.9, 4),
    (51.2, 3),
    (119.5, 2),
    (246.0, 1),
    (473.0, 7),
];

/// Data sheet table 2: counts per g.
const ACCELERATION_RANGES: [Range; 4] = [
    acceleration(2, 0, 16_384.0),
    acceleration(4, 1, 8_192.0),
    acceleration(8, 2, 4_096.0),
    acceleration(16, 3, 2_048.0),
];

/// Data sheet table 1: counts per degree per second.
const ANGULAR_RATE_RANGES: [Range; 4] = [
    angular_rate(250, 0, 131.0),
    angular_rate(500, 1, 65.5),
    angular_rate(1000, 2, 32.8),
    angular_rate(2000, 3, 16.4),
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

const FIFO_BYTES_PROMISED: usize = 512;
const FIFO: FifoRegisters = FifoRegisters {
    chip: NAME,
    count_high: FIFO_COUNT_H,
    data: FIFO_R_W,
    status: INT_STATUS_2,
    overflow: ALL_FIFOS,
    bytes: 4096,
};

/// The chip behind the registers `B`.
#[derive(Debug)]
pub struct Icm20948<B> {
    registers: B,
    fifo: Option<UnframedFifo>,
    buffer: [u8; BURST_BYTES],
}

impl<B: RegisterBus> Icm20948<B> {
    /// The chip behind `registers`: address 0x68 or 0x69 on I2C, mode 0 or 3 up to 7 MHz on SPI.
    pub fn new(registers: B) -> Self {
        Self {
            registers,
            fifo: None,
            buffer: [0; BURST_BYTES],
        }
    }
}

/// Bits that every write of USER_CTRL keeps: on SPI the I2C side stays off (data sheet 8.2).
const fn user_control<B: RegisterBus>() -> u8 {
    match B::INTERFACE {
        Interface::I2c => 0,
        Interface::Spi => USER_I2C_IF_DIS,
    }
}

/// Empties the FIFO and starts it: the reset bits are set, then cleared (data sheet 8.64).
fn restart_fifo<B: RegisterBus>(registers: &mut B) -> Result<(), B::Error> {
    let kept = user_control::<B>();
    registers.write_register(USER_CTRL, kept)?;
    registers.write_register(FIFO_RST, ALL_FIFOS)?;
    registers.write_register(FIFO_RST, 0)?;
    // Reading clears the overflow that the reset has made good.
    registers.read_register(INT_STATUS_2)?;
    registers.write_register(USER_CTRL, kept | USER_FIFO_EN)
}

impl<B: RegisterBus> ImuChip for Icm20948<B> {
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
        self.fifo = None;
        self.registers.write_register(REG_BANK_SEL, BANK_0)?;
        self.probe()?;
        let acceleration = choose_range(NAME, ACCELERATION, &ACCELERATION_RANGES, wanted.acceleration_range_g)?;
        let angular_rate = choose_range(NAME, ANGULAR_RATE, &ANGULAR_RATE_RANGES, wanted.angular_rate_range_dps)?;
        let divider = choose_divider(NAME, BASE_RATE_HZ, wanted.rate_hz)?;
        let low_pass = choose_low_pass(&LOW_PASS, BASE_RATE_HZ / (f32::from(divider) + 1.0));

        self.registers.write_register(PWR_MGMT_1, POWER_RESET)?;
        // Data sheet table 5: start-up from reset 11 ms, at most 100 ms.
        delay.delay_ms(100);
        self.registers.write_register(PWR_MGMT_1, POWER_CLOCK_AUTO)?;
        self.registers.write_register(USER_CTRL, user_control::<B>())?;
        self.registers.write_register(PWR_MGMT_2, 0)?;
        // Data sheet tables 1 and 2: gyroscope 35 ms, accelerometer 20 ms from sleep.
        delay.delay_ms(50);
        let power = self.registers.read_register(PWR_MGMT_1)?;
        if power != POWER_CLOCK_AUTO {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "PWR_MGMT_1",
                expected: "0x01 (awake, on its best clock)",
                found: u16::from(power),
            });
        }
        self.registers.write_register(REG_BANK_SEL, BANK_2)?;
        // Both sensors start a period together.
        self.registers.write_register(ODR_ALIGN_EN, 1)?;
        self.registers.write_register(GYRO_SMPLRT_DIV, divider)?;
        self.registers
            .write_register(GYRO_CONFIG_1, low_pass << 3 | angular_rate.code << 1 | FILTER_ON)?;
        self.registers.write_register(ACCEL_SMPLRT_DIV_1, 0)?;
        self.registers.write_register(ACCEL_SMPLRT_DIV_2, divider)?;
        self.registers
            .write_register(ACCEL_CONFIG, low_pass << 3 | acceleration.code << 1 | FILTER_ON)?;
        self.registers.write_register(REG_BANK_SEL, BANK_0)?;
        self.registers.write_register(INT_ENABLE_2, ALL_FIFOS)?;
        self.registers.write_register(FIFO_MODE, FIFO_STREAM)?;
        self.registers.write_register(FIFO_EN_2, FIFO_ACCEL_AND_GYRO)?;
        restart_fifo(&mut self.registers)?;

        self.fifo = Some(UnframedFifo::new(FIFO, acceleration, angular_rate));
        let rate_hz = f64::from(BASE_RATE_HZ) / (f64::from(divider) + 1.0);
        Ok(Running {
            rate_hz,
            acceleration_range_g: acceleration.full_scale,
            angular_rate_range_dps: angular_rate.full_scale,
            tick_s: 1.0 / rate_hz,
            tick_source: TickSource::SampleCount,
            fifo_samples: FIFO_BYTES_PROMISED / SAMPLE_BYTES,
        })
    }

    fn read_fifo(&mut self, into: &mut [Sample]) -> Result<FifoRead, Error<B::Error>> {
        let Some(fifo) = &mut self.fifo else {
            return Err(Error::NotConfigured { chip: NAME });
        };
        fifo.read(&mut self.registers, &mut self.buffer, into, restart_fifo)
    }
}
