//! InvenSense MPU-6050 and MPU-9250 (also MPU-6500 and MPU-9255): I2C, the MPU-9250 on SPI too.
//!
//! Sources: RM-MPU-6000A-00 rev. 4.2 and PS-MPU-6000A-00 rev. 3.4; RM-MPU-9250A-00 rev. 1.6 and PS-MPU-9250A-01 rev. 1.1.
//! The magnetometer of the MPU-9250 is left alone.
//!
//! The FIFO has no frames: after an overflow nothing in it tells where a sample begins. It is then emptied and started
//! again, and the count of lost samples is unknown. It holds 1024 bytes on the MPU-6050 (85 samples, 85 ms at 1 kHz), 512
//! on the others.

use embedded_hal::delay::DelayNs;

use super::{
    ACCELERATION, ANGULAR_RATE, DEGREE_RAD, Error, FifoRead, Gap, GapCause, ImuChip, RATE, RATE_TOLERANCE, Range,
    Running, STANDARD_GRAVITY_M_S2, Sample, Setting, TickSource, choose_range, vector_be,
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

const SAMPLE_BYTES: usize = 12;
const FIFO_BYTES_MAX: usize = 1024;

/// The chip behind the registers `B`.
#[derive(Debug)]
pub struct Mpu6050<B> {
    registers: B,
    running: Option<State>,
    buffer: [u8; FIFO_BYTES_MAX],
}

#[derive(Debug, Clone, Copy)]
struct State {
    acceleration: Range,
    angular_rate: Range,
    fifo_bytes: usize,
    samples: u64,
    /// Bytes may have left the FIFO unseen: where a sample begins is unknown until it is emptied.
    misaligned: bool,
}

impl<B: RegisterBus> Mpu6050<B> {
    /// The chip behind `registers`: address 0x68 or 0x69 on I2C, mode 0 or 3 up to 1 MHz on SPI.
    pub fn new(registers: B) -> Self {
        Self {
            registers,
            running: None,
            buffer: [0; FIFO_BYTES_MAX],
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

    /// Bits that every write of USER_CTRL keeps: on SPI the I2C side stays off (RM-MPU-9250A, register 106).
    const fn user_control() -> u8 {
        match B::INTERFACE {
            Interface::I2c => 0,
            Interface::Spi => USER_I2C_IF_DIS,
        }
    }

    /// Empties the FIFO and starts it: the reset bit works while the FIFO is off (RM-MPU-6000A 4.27).
    fn restart_fifo(&mut self) -> Result<(), B::Error> {
        self.registers.write_register(USER_CTRL, Self::user_control())?;
        self.registers
            .write_register(USER_CTRL, Self::user_control() | USER_FIFO_RESET)?;
        // Reading clears the overflow that the reset has made good.
        self.registers.read_register(INT_STATUS)?;
        self.registers
            .write_register(USER_CTRL, Self::user_control() | USER_FIFO_EN)
    }
}

/// The divider for the lowest rate not below `wanted_hz`.
fn divider<E>(wanted_hz: f32) -> Result<u8, Error<E>> {
    if !(wanted_hz > 0.0 && wanted_hz * RATE_TOLERANCE <= BASE_RATE_HZ) {
        return Err(Error::BeyondChip {
            chip: NAME,
            quantity: RATE,
            wanted: wanted_hz,
            most: BASE_RATE_HZ,
        });
    }
    let steps = BASE_RATE_HZ / (wanted_hz * RATE_TOLERANCE);
    // The cast cuts off the fraction and stays within 255.
    Ok((steps as u32).clamp(1, 256).wrapping_sub(1) as u8)
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
        self.running = None;
        let identity = self.identity()?;
        let acceleration = choose_range(NAME, ACCELERATION, &ACCELERATION_RANGES, wanted.acceleration_range_g)?;
        let angular_rate = choose_range(NAME, ANGULAR_RATE, &ANGULAR_RATE_RANGES, wanted.angular_rate_range_dps)?;
        let divider = divider(wanted.rate_hz)?;
        let rate_hz = BASE_RATE_HZ / (f32::from(divider) + 1.0);
        let (_, low_pass) = LOW_PASS
            .iter()
            .rev()
            .find(|(bandwidth_hz, _)| *bandwidth_hz <= rate_hz / 2.0)
            .unwrap_or(&LOW_PASS[0]);

        self.registers.write_register(PWR_MGMT_1, POWER_RESET)?;
        delay.delay_ms(100);
        if B::INTERFACE == Interface::Spi {
            // RM-MPU-6000A 4.28: over SPI the signal paths are reset too, with 100 ms after each.
            self.registers.write_register(SIGNAL_PATH_RESET, 0x07)?;
            delay.delay_ms(100);
        }
        self.registers.write_register(PWR_MGMT_1, POWER_CLOCK_PLL)?;
        self.registers.write_register(USER_CTRL, Self::user_control())?;
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
        self.registers.write_register(CONFIG, *low_pass)?;
        self.registers.write_register(SMPLRT_DIV, divider)?;
        self.registers.write_register(GYRO_CONFIG, angular_rate.code << 3)?;
        self.registers.write_register(ACCEL_CONFIG, acceleration.code << 3)?;
        if identity != MPU_6050 {
            self.registers.write_register(ACCEL_CONFIG_2, *low_pass)?;
        }
        self.registers.write_register(INT_ENABLE, FIFO_OFLOW)?;
        self.registers.write_register(FIFO_EN, FIFO_GYRO_AND_ACCEL)?;
        self.restart_fifo()?;

        // PS-MPU-6000A 7.17: 1024 bytes; PS-MPU-9250A 4.17 and PS-MPU-6500A: 512.
        let fifo_bytes = if identity == MPU_6050 { 1024 } else { 512 };
        self.running = Some(State {
            acceleration,
            angular_rate,
            fifo_bytes,
            samples: 0,
            misaligned: false,
        });
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
        let Some(mut state) = self.running else {
            return Err(Error::NotConfigured { chip: NAME });
        };
        if state.misaligned {
            return self.start_over(state, GapCause::BusError);
        }
        let mut count = [0; 2];
        self.registers.read_registers(FIFO_COUNT_H, &mut count)?;
        let bytes_held = usize::from(u16::from_be_bytes(count));
        if bytes_held > state.fifo_bytes {
            return Err(Error::Unexpected {
                chip: NAME,
                register: "FIFO_COUNT",
                expected: "no more bytes than its FIFO has",
                found: u16::from_be_bytes(count),
            });
        }
        let held = bytes_held / SAMPLE_BYTES;
        let taken = held.min(into.len());
        let (burst, _) = self.buffer.split_at_mut(taken * SAMPLE_BYTES);
        if let Some(running) = &mut self.running {
            running.misaligned = true;
        }
        if !burst.is_empty() {
            self.registers.read_registers(FIFO_R_W, burst)?;
        }
        // After the burst, so that an overflow during it is seen before its bytes are believed.
        let status = self.registers.read_register(INT_STATUS)?;
        if status & FIFO_OFLOW != 0 || bytes_held == state.fifo_bytes {
            return self.start_over(state, GapCause::Overflow);
        }
        let (bytes, _) = self.buffer[..taken * SAMPLE_BYTES].as_chunks::<SAMPLE_BYTES>();
        for (sample, bytes) in into.iter_mut().zip(bytes) {
            let [a0, a1, a2, a3, a4, a5, g0, g1, g2, g3, g4, g5] = *bytes;
            *sample = Sample {
                acceleration_m_s2: vector_be([a0, a1, a2, a3, a4, a5], state.acceleration.unit_per_count),
                angular_rate_rad_s: vector_be([g0, g1, g2, g3, g4, g5], state.angular_rate.unit_per_count),
                device_ticks: state.samples,
            };
            state.samples += 1;
        }
        self.running = Some(state);
        Ok(FifoRead {
            samples: taken,
            gap: None,
            more: taken < held,
        })
    }
}

impl<B: RegisterBus> Mpu6050<B> {
    /// Empties the FIFO after `cause`.
    fn start_over(&mut self, state: State, cause: GapCause) -> Result<FifoRead, Error<B::Error>> {
        self.restart_fifo()?;
        self.running = Some(State {
            misaligned: false,
            ..state
        });
        Ok(FifoRead {
            samples: 0,
            gap: Some(Gap {
                cause,
                lost_samples: None,
            }),
            more: false,
        })
    }
}
