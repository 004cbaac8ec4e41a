//! Panasonic Grid-EYE AMG8833 (and AMG8834, 8853, 8854): 8x8 pixels on I2C.
//!
//! Registers after Panasonic's "Grid-EYE specifications, AMG88**" (SPEC 4, register map). The crate `grideye` reads its
//! 64 pixels in 64 transactions, so a frame can tear; here they come in one burst of 128 bytes.

use core::fmt;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use super::{FrameInfo, ThermalArray, ZERO_CELSIUS_K};

/// Pixels in a row, and rows.
pub const SIDE: usize = 8;
/// Address with AD_SELECT at ground.
pub const ADDRESS: u8 = 0x68;
/// Address with AD_SELECT at VDD.
pub const ADDRESS_HIGH: u8 = 0x69;

const PIXELS: usize = SIDE * SIDE;
const POWER_CONTROL: u8 = 0x00;
const RESET: u8 = 0x01;
const FRAME_RATE: u8 = 0x02;
const STATUS: u8 = 0x04;
const STATUS_CLEAR: u8 = 0x05;
const THERMISTOR: u8 = 0x0E;
const FIRST_PIXEL: u8 = 0x80;
const INITIAL_RESET: u8 = 0x3F;
const STATUS_OVERFLOW: u8 = 0x04;
/// After the mode is set the chip needs 50 ms, after a reset two frames at 10 Hz until its first full one.
const SETTLE_MS: u32 = 250;

/// Frames a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// 1 Hz.
    One,
    /// 10 Hz.
    Ten,
}

impl Rate {
    /// Frames a second.
    #[must_use]
    pub fn hz(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Ten => 10,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Ten => 0,
        }
    }
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error<E> {
    /// The bus failed, or no chip answers at the address.
    Bus(E),
    /// The rate register does not hold what was written: another chip answers at this address.
    NotAnAmg88 {
        /// The value written.
        expected: u8,
        /// The value read back.
        found: u8,
    },
    /// The chip flagged that a pixel left the range it can express: the frame is not to be trusted.
    Overflow,
    /// The buffer is not 64 long.
    BufferLength(usize),
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => write!(
                f,
                "AMG8833: the I2C bus failed ({error:?}): check wiring, address 0x68 or 0x69"
            ),
            Self::NotAnAmg88 { expected, found } => write!(
                f,
                "AMG8833: wrote {expected:#04x} to its rate register but read {found:#04x}: another chip has this address"
            ),
            Self::Overflow => write!(f, "AMG8833: a pixel is outside the range of the sensor"),
            Self::BufferLength(found) => write!(f, "AMG8833: a frame has {PIXELS} pixels, the buffer {found}"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

/// The sensor on its bus.
#[derive(Debug)]
pub struct Amg8833<I2C> {
    i2c: I2C,
    address: u8,
}

impl<I2C: I2c> Amg8833<I2C> {
    /// Resets the chip into normal mode at `rate`. Blocks for a quarter of a second, until its first full frame.
    ///
    /// # Errors
    /// [`Error::Bus`], or [`Error::NotAnAmg88`] when the chip does not keep its rate.
    pub fn start(i2c: I2C, address: u8, rate: Rate, delay: &mut impl DelayNs) -> Result<Self, Error<I2C::Error>> {
        let mut chip = Self { i2c, address };
        chip.write(POWER_CONTROL, 0)?;
        chip.write(RESET, INITIAL_RESET)?;
        chip.write(FRAME_RATE, rate.code())?;
        delay.delay_ms(SETTLE_MS);
        let mut found = [0];
        chip.read(FRAME_RATE, &mut found)?;
        if found[0] != rate.code() {
            return Err(Error::NotAnAmg88 {
                expected: rate.code(),
                found: found[0],
            });
        }
        Ok(chip)
    }

    /// Temperature of the chip's thermistor, in kelvin. Two bytes on the bus.
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn thermistor_k(&mut self) -> Result<f32, Error<I2C::Error>> {
        let mut bytes = [0; 2];
        self.read(THERMISTOR, &mut bytes)?;
        let word = u16::from_le_bytes(bytes);
        // Twelve bits, sign and magnitude, 0.0625 °C each (register map, TTHL/TTHH).
        let magnitude = f32::from(word & 0x07FF) * 0.0625;
        let celsius = if word & 0x0800 == 0 { magnitude } else { -magnitude };
        Ok(celsius + ZERO_CELSIUS_K)
    }

    /// Gives the bus back.
    pub fn release(self) -> I2C {
        self.i2c
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), Error<I2C::Error>> {
        self.i2c.write(self.address, &[register, value]).map_err(Error::Bus)
    }

    fn read(&mut self, register: u8, into: &mut [u8]) -> Result<(), Error<I2C::Error>> {
        self.i2c.write_read(self.address, &[register], into).map_err(Error::Bus)
    }
}

impl<I2C: I2c> ThermalArray for Amg8833<I2C> {
    type Error = Error<I2C::Error>;

    fn width(&self) -> usize {
        SIDE
    }

    fn height(&self) -> usize {
        SIDE
    }

    /// The chip has no flag for a new frame: every call reads the newest one, so call it once a frame period.
    fn poll(&mut self, kelvin: &mut [f32]) -> Result<Option<FrameInfo>, Self::Error> {
        if kelvin.len() != PIXELS {
            return Err(Error::BufferLength(kelvin.len()));
        }
        let mut bytes = [0; 2 * PIXELS];
        self.read(FIRST_PIXEL, &mut bytes)?;
        let mut status = [0];
        self.read(STATUS, &mut status)?;
        if status[0] & STATUS_OVERFLOW != 0 {
            self.write(STATUS_CLEAR, STATUS_OVERFLOW)?;
            return Err(Error::Overflow);
        }
        for (pixel, pair) in kelvin.iter_mut().zip(bytes.as_chunks::<2>().0) {
            // Twelve bits of two's complement, 0.25 °C each (register map, T01L..T64H): shifted up so that the sign
            // lands in the sign bit, sixteen times the value.
            let shifted = (u16::from_le_bytes(*pair) << 4).cast_signed();
            *pixel = f32::from(shifted) * (0.25 / 16.0) + ZERO_CELSIUS_K;
        }
        let chip_k = Some(self.thermistor_k()?);
        Ok(Some(FrameInfo {
            chip_k,
            ..FrameInfo::default()
        }))
    }
}
