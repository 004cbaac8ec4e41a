//! InvenSense MPU-6050 and MPU-9250 (also MPU-6500 and MPU-9255): I2C, the MPU-9250 on SPI too.
//!
//! Sources: RM-MPU-6000A-00 rev. 4.2 and PS-MPU-6000A-00 rev. 3.4; RM-MPU-9250A-00 rev. 1.6 and PS-MPU-9250A-01 rev. 1.1.
//! The magnetometer of the MPU-9250 is left alone.
//!
//! The FIFO has no frames: an overflow empties it, and the count of lost samples is unknown. It holds 1024 bytes on the
//! MPU-6050 (85 samples, 85 ms at 1 kHz), 512 on the others.

use embedded_hal::delay::DelayNs;

use super::unframed::{BURST_BYTES, FifoRegisters, SAMPLE_BYTES, UnframedFifo, choose_divider, choose_low_pass};
use super::{
    ACCELERATION, ANGULAR_RATE, DEGREE_RAD, Error, FifoRead, ImuChip, Range, Running, STANDARD_GRAVITY_M_S2, Sample,
    Setting, TickSource, choose_range,
};
use crate::registers::{Interface, RegisterBus};

const NAME: &str = "MPU-6050/9250";

// Registers, RM-MPU-6000A section 3 and RM-MPU-9250A section 3.
const SMPLRT_DIV: u8 = 0x19;
const CONFIG: u8 = 0x1a;
const GYRO_CONFIG: u8 = 0x1b;
const ACCEL_CONFIG: u8 = 0x1c;
/// MPU-6500 and later only.
const ACCEL_CONFIG_2: u8 = 0x1d;
const FIFO_EN: u8 = 0x23;
const INT_ENABLE: u8 = 0x38;
const INT_STATUS: u8 = 0x3a;
const SIGNAL_PATH_RESET: u8 = 0x68;
const USER_CTRL: u8 = 0x6a;
const PWR_MGMT_1: u8 = 0x6b;
const PWR_MGMT_2: u8 = 0x6c;
const FIFO_COUNT_H: u8 = 0x72;
const FIFO_R_W: u8 = 0x74;
const WHO_AM_I: u8 = 0x75;

/// FIFO_EN: gyroscope x, y, z and accelerometer. They enter in the order of their registers: acceleration first.
const FIFO_GYRO_AND_ACCEL: u8 = 0x78;
const FIFO_OFLOW: u8 = 1 << 4;
const USER_FIFO_EN: u8 = 1 << 6;
const USER_I2C_IF_DIS: u8 = 1 << 4;
const USER_FIFO_RESET: u8 = 1 << 2;
const POWER_RESET: u8 = 1 << 7;
/// CLKSEL 1: PLL on the gyroscope, steadier than the internal 8 MHz (RM-MPU-6000A 4.28).
const POWER_CLOCK_PLL: u8 = 1;

const MPU_6050: u8 = 0x68;
const MPU_6500: u8 = 0x70;
const MPU_9250: u8 = 0x71;
const MPU_9255: u8 = 0x73;
const IDENTITIES: &[u8] = &[MPU_6050, MPU_6500, MPU_9250, MPU_9255];

/// Rate before the divider while the low-pass filter is on (RM-MPU-6000A 4.2).
const BASE_RATE_HZ: f32 = 1000.0;

/// Low-pass settings and their bandwidth in Hz, narrowest first (RM-MPU-6000A 4.3).
const LOW_PASS: [(f32, u8); 6] = [(5.0, 6), (10.0, 5), (21.0, 4), (44.0, 3), (98.0, 2), (188.0, 1)];

/// PS-MPU-6000A 6.2 and PS-MPU-9250A 3.2: counts per g.
const ACCELERATION_RANGES: [Range; 4] = [
    acceleration(2, 0, 16_384.0),
    acceleration(4, 1, 8_192.0),
    acceleration(8, 2, 4_096.0),
    acceleration(16, 3, 2_048.0),
];

/// PS-MPU-6000A 6.1 and PS-MPU-9250A 3.1: counts per degree per second.
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

/// The chip behind the registers `B`.
#[derive(Debug)]
pub struct Mpu6050<B> {
    registers: B,
    fifo: Option<UnframedFifo>,
    buffer: [u8; BURST_BYTES],
}

impl<B: RegisterBus> Mpu6050<B> {
    /// The chip behind `registers`: address 0x68 or 0x69 on I2C, mode 0 or 3 up to 1 MHz on SPI.
    pub fn new(registers: B) -> Self {
        Self {
            registers,
            fifo: None,
            buffer: [0; BURST_BYTES],
        }
    }

    fn identity(&mut self) -> Result<u8, Error<B::Error>> {
        let found = self.registers.read_register(WHO_AM_I)?;
        if !IDENTITIES.contains(&found) {
            return Err(Error::WrongChip {
                chip: NAME,
                expected: IDENTITIES,
                found,
            });
        }
        Ok(found)
    }
}

/// Bits that every write of USER_CTRL keeps: on SPI the I2C side stays off (RM-MPU-9250A, register 106).
const fn user_control<B: RegisterBus>() -> u8 {
    match B::INTERFACE {
        Interface::I2c => 0,
        Interface::Spi => USER_I2C_IF_DIS,
    }
}

/// Empties the FIFO and starts it: the reset bit works while the FIFO is off (RM-MPU-6000A 4.27).
fn restart_fifo<B: RegisterBus>(registers: &mut B) -> Result<(), B::Error> {
    let kept = user_control::<B>();
    registers.write_register(USER_CTRL, kept)?;
    registers.write_register(USER_CTRL, kept | USER_FIFO_RESET)?;
    // Reading clears the overflow that the reset has made good.
    registers.read_register(INT_STATUS)?;
    registers.write_register(USER_CTRL, kept | USER_FIFO_EN)
}

impl<B: RegisterBus> ImuChip for Mpu6050<B> {
    type BusError = B::Error;

    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&mut self) -> Result<(), Error<B::Error>> {
        self.identity().map(|_| ())
    }

    fn configure(&mut self, wanted: &Setting, delay: &mut dyn DelayNs) -> Result<Running, Error<B::Error>> {
        self.fifo = None;
        let identity = self.identity()?;
        let acceleration = choose_range(NAME, ACCELERATION, &ACCELERATION_RANGES, wanted.acceleration_range_g)?;
        let angular_rate = choose_range(NAME, ANGULAR_RATE, &ANGULAR_RATE_RANGES, wanted.angular_rate_range_dps)?;
        let divider = choose_divider(NAME, BASE_RATE_HZ, wanted.rate_hz)?;
        let low_pass = choose_low_pass(&LOW_PASS, BASE_RATE_HZ / (f32::from(divider) + 1.0));

        self.registers.write_register(PWR_MGMT_1, POWER_RESET)?;
        delay.delay_ms(100);
        if B::INTERFACE == Interface::Spi {
            // RM-MPU-6000A 4.28: over SPI the signal paths are reset too, with 100 ms after each.
            self.registers.write_register(SIGNAL_PATH_RESET, 0x07)?;
            delay.delay_ms(100);
        }
        self.registers.write_register(PWR_MGMT_1, POWER_CLOCK_PLL)?;
        self.registers.write_register(USER_CTRL, user_control::<B>())?;
        self.registers.write_register(PWR_MGMT_2, 0)?;
        // Gyroscope start-up 30 ms (PS-MPU-6000A 6.1), PLL settling up to 10 ms (6.5).
        delay.delay_ms(50);
        let power = self.registers.read_register(PWR_MGMT_1)?;
        if power != POWER_CLOCK_PLL {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "PWR_MGMT_1",
                expected: "0x01 (awake, on its PLL)",
                found: u16::from(power),
            });
        }
        self.registers.write_register(CONFIG, low_pass)?;
        self.registers.write_register(SMPLRT_DIV, divider)?;
        self.registers.write_register(GYRO_CONFIG, angular_rate.code << 3)?;
        self.registers.write_register(ACCEL_CONFIG, acceleration.code << 3)?;
        if identity != MPU_6050 {
            self.registers.write_register(ACCEL_CONFIG_2, low_pass)?;
        }
        self.registers.write_register(INT_ENABLE, FIFO_OFLOW)?;
        self.registers.write_register(FIFO_EN, FIFO_GYRO_AND_ACCEL)?;
        restart_fifo(&mut self.registers)?;

        // PS-MPU-6000A 7.17: 1024 bytes; PS-MPU-9250A 4.17 and PS-MPU-6500A: 512.
        let fifo_bytes = if identity == MPU_6050 { 1024 } else { 512 };
        let registers = FifoRegisters {
            chip: NAME,
            count_high: FIFO_COUNT_H,
            data: FIFO_R_W,
            status: INT_STATUS,
            overflow: FIFO_OFLOW,
            bytes: fifo_bytes,
        };
        self.fifo = Some(UnframedFifo::new(registers, acceleration, angular_rate));
        let rate_hz = f64::from(BASE_RATE_HZ) / (f64::from(divider) + 1.0);
        Ok(Running {
            rate_hz,
            acceleration_range_g: acceleration.full_scale,
            angular_rate_range_dps: angular_rate.full_scale,
            tick_s: 1.0 / rate_hz,
            tick_source: TickSource::SampleCount,
            fifo_samples: fifo_bytes / SAMPLE_BYTES,
        })
    }

    fn read_fifo(&mut self, into: &mut [Sample]) -> Result<FifoRead, Error<B::Error>> {
        let Some(fifo) = &mut self.fifo else {
            return Err(Error::NotConfigured { chip: NAME });
        };
        fifo.read(&mut self.registers, &mut self.buffer, into, restart_fifo)
    }
}
