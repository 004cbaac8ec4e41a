//! What every emulated inertial chip has apart from its registers: time, motion, an identity, faults to order.

use std::fmt;

use crate::bus::Nack;
use crate::chip::clock::ChipClock;

/// What the chip's case goes through at one moment, along its own axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    /// Specific force in m/s².
    pub acceleration_m_s2: [f64; 3],
    /// Angular rate in rad/s.
    pub angular_rate_rad_s: [f64; 3],
}

impl Motion {
    /// At rest, z up.
    pub const REST: Self = Self {
        acceleration_m_s2: [0.0, 0.0, 9.806_65],
        angular_rate_rad_s: [0.0; 3],
    };
}

/// The part of an emulated inertial chip that is no register.
pub struct ImuBody {
    clock: ChipClock,
    motion: Box<dyn Fn(f64) -> Motion + Send>,
    identity: Option<u8>,
    fail_after: Option<usize>,
    /// The register that the next I2C read starts at.
    pointer: u8,
}

impl fmt::Debug for ImuBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImuBody")
            .field("clock", &self.clock)
            .field("identity", &self.identity)
            .field("fail_after", &self.fail_after)
            .field("pointer", &self.pointer)
            .finish_non_exhaustive()
    }
}

impl ImuBody {
    pub(super) fn new(clock: ChipClock) -> Self {
        Self {
            clock,
            motion: Box::new(|_| Motion::REST),
            identity: None,
            fail_after: None,
            pointer: 0,
        }
    }

    /// Moves the chip: what it goes through as a function of its time in seconds.
    pub fn set_motion(&mut self, motion: impl Fn(f64) -> Motion + Send + 'static) {
        self.motion = Box::new(motion);
    }

    /// Lets another chip's identity answer.
    pub fn set_identity(&mut self, identity: u8) {
        self.identity = Some(identity);
    }

    /// Breaks the I2C read during which the chip has sent `bytes` more bytes: once.
    pub fn fail_read_after(&mut self, bytes: usize) {
        self.fail_after = Some(bytes);
    }

    pub(super) fn identity_or(&self, own: u8) -> u8 {
        self.identity.unwrap_or(own)
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// The motion at chip time `at_ns` in counts of so many per m/s² and per rad/s.
    pub(super) fn counts(&self, at_ns: u64, per_m_s2: f64, per_rad_s: f64) -> ([i16; 3], [i16; 3]) {
        let motion = (self.motion)(at_ns as f64 * 1e-9);
        // `as` saturates, as the chips do.
        (
            motion.acceleration_m_s2.map(|value| (value * per_m_s2).round() as i16),
            motion
                .angular_rate_rad_s
                .map(|value| (value * per_rad_s).round() as i16),
        )
    }
}

/// A chip with byte-wide register addresses, whichever bus it hangs on.
pub(super) trait RegisterChip {
    fn body(&mut self) -> &mut ImuBody;
    /// A transaction begins: the chip's time has gone on.
    fn begin(&mut self);
    fn read_register(&mut self, register: u8) -> u8;
    fn write_register(&mut self, register: u8, value: u8);
    /// The register that a burst goes on with.
    fn after(&self, register: u8) -> u8;
    /// The transaction is over.
    fn end(&mut self) {}
    /// The select line falls: whether the chip listens.
    fn selected(&mut self) -> bool {
        true
    }
}

pub(super) fn i2c_write(chip: &mut impl RegisterChip, bytes: &[u8]) -> Result<(), Nack> {
    let Some((first, values)) = bytes.split_first() else {
        return Ok(());
    };
    chip.begin();
    let mut register = *first;
    for value in values {
        chip.write_register(register, *value);
        register = chip.after(register);
    }
    chip.body().pointer = register;
    chip.end();
    Ok(())
}

pub(super) fn i2c_read(chip: &mut impl RegisterChip, into: &mut [u8]) -> Result<(), Nack> {
    chip.begin();
    let mut register = chip.body().pointer;
    let mut result = Ok(());
    for byte in into {
        match &mut chip.body().fail_after {
            Some(0) => {
                chip.body().fail_after = None;
                result = Err(Nack);
                break;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        *byte = chip.read_register(register);
        register = chip.after(register);
    }
    chip.body().pointer = register;
    chip.end();
    result
}

pub(super) fn spi_transfer(chip: &mut impl RegisterChip, write: &[u8], read: &mut [u8]) {
    read.fill(0xff);
    if !chip.selected() {
        return;
    }
    let Some((first, values)) = write.split_first() else {
        return;
    };
    chip.begin();
    let reads = first & 0x80 != 0;
    let mut register = first & 0x7f;
    for (value, byte) in values.iter().zip(read.iter_mut().skip(1)) {
        if reads {
            *byte = chip.read_register(register);
        } else {
            chip.write_register(register, *value);
        }
        register = chip.after(register);
    }
    chip.end();
}

/// Hangs a [`RegisterChip`] on both buses.
macro_rules! on_i2c_and_spi {
    ($chip:ty) => {
        impl crate::bus::I2cChip for $chip {
            fn write(&mut self, bytes: &[u8]) -> Result<(), crate::bus::Nack> {
                crate::chip::imu_body::i2c_write(self, bytes)
            }

            fn read(&mut self, into: &mut [u8]) -> Result<(), crate::bus::Nack> {
                crate::chip::imu_body::i2c_read(self, into)
            }
        }

        impl crate::bus::SpiChip for $chip {
            fn transfer(&mut self, write: &[u8], read: &mut [u8]) {
                crate::chip::imu_body::spi_transfer(self, write, read);
            }
        }
    };
}
pub(super) use on_i2c_and_spi;
