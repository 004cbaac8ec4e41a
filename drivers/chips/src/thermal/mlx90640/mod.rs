//! Melexis MLX90640: 32x24 pixels on I2C.
//!
//! Registers and flow after Melexis "MLX90640 32x24 IR array" datasheet, 3901090640 rev 12, sections 10.4 (measurement
//! flow), 10.5 (reading patterns) and 10.6 (address map). Half of the pixels are measured at a time, one sub-page after
//! the other: a whole frame takes two of them.

mod bus;
mod eeprom;
mod temperature;

use core::fmt;

use embedded_hal::i2c::I2c;

use super::{FrameInfo, ThermalArray};

use bus::Bus;
pub use eeprom::{Calibration, EEPROM_WORDS, EepromError, PixelParameters};
pub use temperature::{Measurement, Optics};

/// Pixels in a row.
pub const WIDTH: usize = 32;
/// Rows.
pub const HEIGHT: usize = 24;
/// Words of the RAM: the pixels, then what the chip measures of itself. 1664 bytes.
pub const RAM_WORDS: usize = 832;
/// The factory's address. It can be programmed to another.
pub const ADDRESS: u8 = 0x33;

const PIXELS: usize = WIDTH * HEIGHT;
const RAM_START: u16 = 0x0400;
const STATUS: u16 = 0x8000;
const CONTROL: u16 = 0x800D;

const STATUS_SUBPAGE: u16 = 0b111;
const STATUS_NEW_DATA: u16 = 1 << 3;
/// Overwriting the RAM allowed, new data flag cleared.
const STATUS_CLEAR: u16 = 1 << 4;
const CONTROL_SUBPAGES: u16 = 1 << 0;
const CONTROL_HOLD: u16 = 1 << 2;
const CONTROL_REPEAT: u16 = 1 << 3;
const CONTROL_RATE: u16 = 0b111 << 7;
/// Reading pattern: chess, else interleaved.
const CONTROL_CHESS: u16 = 1 << 12;

/// Sub-pages a second; a whole frame takes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRate {
    /// 0.5 Hz.
    Half,
    /// 1 Hz.
    One,
    /// 2 Hz, the chip's default.
    Two,
    /// 4 Hz.
    Four,
    /// 8 Hz. From here on the bus needs more than 100 kHz: the RAM takes 15 000 bits of it.
    Eight,
    /// 16 Hz.
    Sixteen,
    /// 32 Hz. From here on the bus needs more than 400 kHz.
    ThirtyTwo,
    /// 64 Hz. Needs a bus at 1 MHz.
    SixtyFour,
}

impl RefreshRate {
    /// All of them, slowest first.
    pub const ALL: [Self; 8] = [
        Self::Half,
        Self::One,
        Self::Two,
        Self::Four,
        Self::Eight,
        Self::Sixteen,
        Self::ThirtyTwo,
        Self::SixtyFour,
    ];

    /// Sub-pages a second.
    #[must_use]
    pub fn hz(self) -> f32 {
        libm::scalbnf(0.5, self as i32)
    }
}

/// How the chip is to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Sub-pages a second.
    pub refresh: RefreshRate,
    /// What the chip looks at.
    pub optics: Optics,
    /// Longest read message, in words of two bytes: some I2C controllers take no more than 255 bytes at once. From 1;
    /// 832 reads the RAM in one message.
    pub message_words: usize,
}

impl Default for Settings {
    /// 8 Hz, which is four whole frames a second, black surfaces, one message.
    fn default() -> Self {
        Self {
            refresh: RefreshRate::Eight,
            optics: Optics::default(),
            message_words: RAM_WORDS,
        }
    }
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Error<E> {
    /// The bus failed, or no chip answers at the address.
    Bus(E),
    /// The EEPROM is not one of this chip.
    Eeprom(EepromError),
    /// The chip does not keep its settings: another chip, or this one after a power cut.
    Control {
        /// The word written to control register 1.
        expected: u16,
        /// The word read back.
        found: u16,
    },
    /// The chip measured anew while its RAM was read, three times in a row: the bus is too slow for the refresh rate.
    Overrun,
    /// An emissivity outside 0 to 1, or a message length of 0.
    Settings(Settings),
    /// Its gain or thermistor word is zero: the RAM does not hold a measurement.
    NoMeasurement,
    /// The buffer is not 768 long.
    BufferLength(usize),
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => write!(
                f,
                "MLX90640: the I2C bus failed ({error:?}): check wiring, address 0x33"
            ),
            Self::Eeprom(error) => error.fmt(f),
            Self::Control { expected, found } => write!(
                f,
                "MLX90640: wrote {expected:#06x} to its control register but read {found:#06x}: is this the chip at this \
                 address, and its supply steady?"
            ),
            Self::Overrun => write!(
                f,
                "MLX90640: it measured anew while it was read: lower the refresh rate or raise the bus clock (400 kHz \
                 reads 16 Hz, 1 MHz reads 64 Hz)"
            ),
            Self::Settings(settings) => write!(
                f,
                "MLX90640: expected an emissivity above 0 and at most 1 and messages of 1 word or more, found {} and {}",
                settings.optics.emissivity, settings.message_words
            ),
            Self::NoMeasurement => write!(
                f,
                "MLX90640: its gain is zero, expected a measurement: reset its supply"
            ),
            Self::BufferLength(found) => write!(f, "MLX90640: a frame has {PIXELS} pixels, the buffer {found}"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

/// What happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Whole frames handed out.
    pub frames: u64,
    /// Sub-pages read.
    pub subpages: u64,
    /// Times a sub-page came twice in a row: the one between was not read in time.
    pub missed: u64,
    /// Readings thrown away because the chip measured anew during them.
    pub torn: u64,
}

/// The sensor on its bus, with its calibration. 17 KiB; allocates nothing.
#[derive(Debug)]
pub struct Mlx90640<I2C> {
    i2c: I2C,
    address: u8,
    settings: Settings,
    control: u16,
    calibration: Calibration,
    ram: [u16; RAM_WORDS],
    /// Pixels of both sub-pages; not a number where a signal was that of no temperature.
    kelvin: [f32; PIXELS],
    /// The sub-page that waits for the other one.
    half: Option<usize>,
    counts: Counts,
}

impl<I2C: I2c> Mlx90640<I2C> {
    /// Reads the calibration and sets the chip up: both sub-pages in turn, the reading pattern it was calibrated in, the
    /// refresh rate. Blocks for 1664 bytes on the bus; the maker asks for 400 kHz or less while the EEPROM is read.
    ///
    /// # Errors
    /// [`Error::Settings`] before anything is sent; [`Error::Bus`]; [`Error::Eeprom`]; [`Error::Control`].
    pub fn start(i2c: I2C, address: u8, settings: Settings) -> Result<Self, Error<I2C::Error>> {
        let emissivity = settings.optics.emissivity;
        if !(emissivity > 0.0 && emissivity <= 1.0) || settings.message_words == 0 {
            return Err(Error::Settings(settings));
        }
        let mut bus = Bus {
            i2c,
            address,
            message_words: settings.message_words,
        };
        let mut words = [0; EEPROM_WORDS];
        bus.read(eeprom::EEPROM_START, &mut words)?;
        let calibration = Calibration::parse(&words).map_err(Error::Eeprom)?;
        let before = bus.read_word(CONTROL)?;
        let pattern = if calibration.calibrated_in_chess {
            CONTROL_CHESS
        } else {
            0
        };
        let cleared = CONTROL_RATE | CONTROL_CHESS | CONTROL_HOLD | CONTROL_REPEAT;
        let control = before & !cleared | CONTROL_SUBPAGES | pattern | (settings.refresh as u16) << 7;
        bus.write_word(CONTROL, control)?;
        let found = bus.read_word(CONTROL)?;
        if found != control {
            return Err(Error::Control {
                expected: control,
                found,
            });
        }
        // What the RAM holds was measured with the settings before.
        bus.write_word(STATUS, STATUS_CLEAR)?;
        Ok(Self {
            i2c: bus.i2c,
            address,
            settings,
            control,
            calibration,
            ram: [0; RAM_WORDS],
            kelvin: [f32::NAN; PIXELS],
            half: None,
            counts: Counts::default(),
        })
    }

    /// The chip's calibration.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Gives the bus back.
    pub fn release(self) -> I2C {
        self.i2c
    }

    /// Reads the RAM if the chip has measured since the last call, and says which sub-page is new.
    fn read_subpage(&mut self) -> Result<Option<usize>, Error<I2C::Error>> {
        let mut bus = Bus {
            i2c: &mut self.i2c,
            address: self.address,
            message_words: self.settings.message_words,
        };
        let mut status = bus.read_word(STATUS)?;
        if status & STATUS_NEW_DATA == 0 {
            return Ok(None);
        }
        // The flag is cleared first: if it is set again at the end, the chip wrote into the RAM meanwhile.
        for _ in 0..3 {
            bus.write_word(STATUS, STATUS_CLEAR)?;
            bus.read(RAM_START, &mut self.ram)?;
            let after = bus.read_word(STATUS)?;
            if after & STATUS_NEW_DATA == 0 {
                // The words mean what they mean only with the resolution and the pattern that were set.
                let found = bus.read_word(CONTROL)?;
                if found != self.control {
                    return Err(Error::Control {
                        expected: self.control,
                        found,
                    });
                }
                return Ok(Some(usize::from(status & STATUS_SUBPAGE) & 1));
            }
            self.counts.torn += 1;
            status = after;
        }
        Err(Error::Overrun)
    }

    /// Pixels marked bad by the maker, and pixels whose signal was that of no temperature, become the mean of their good
    /// neighbours. Returns how many.
    fn fill_bad(&self, kelvin: &mut [f32]) -> u16 {
        kelvin.copy_from_slice(&self.kelvin);
        for pixel in self.calibration.deviating() {
            kelvin[usize::from(*pixel)] = f32::NAN;
        }
        let mut filled = 0;
        for (pixel, value) in kelvin.iter_mut().enumerate().filter(|(_, value)| value.is_nan()) {
            // Neighbours are taken as measured, so that what is filled in does not spread.
            *value = self.mean_around(pixel);
            filled += 1;
        }
        filled
    }

    fn mean_around(&self, pixel: usize) -> f32 {
        let (row, column) = (pixel / WIDTH, pixel % WIDTH);
        let mut sum = 0.0;
        let mut good = 0.0;
        for row in row.saturating_sub(1)..=(row + 1).min(HEIGHT - 1) {
            for column in column.saturating_sub(1)..=(column + 1).min(WIDTH - 1) {
                let neighbour = row * WIDTH + column;
                let value = self.kelvin[neighbour];
                let marked = self
                    .calibration
                    .deviating()
                    .iter()
                    .any(|bad| usize::from(*bad) == neighbour);
                if neighbour != pixel && !marked && !value.is_nan() {
                    sum += value;
                    good += 1.0;
                }
            }
        }
        // All around it bad as well: not a number, as nobody knows.
        sum / good
    }
}

impl<I2C: I2c> ThermalArray for Mlx90640<I2C> {
    type Error = Error<I2C::Error>;

    fn width(&self) -> usize {
        WIDTH
    }

    fn height(&self) -> usize {
        HEIGHT
    }

    /// A frame is complete when both sub-pages are new: every second measurement of the chip. A pixel is not a number
    /// only where all its neighbours are bad too.
    fn poll(&mut self, kelvin: &mut [f32]) -> Result<Option<FrameInfo>, Self::Error> {
        if kelvin.len() != PIXELS {
            return Err(Error::BufferLength(kelvin.len()));
        }
        let Some(subpage) = self.read_subpage()? else {
            return Ok(None);
        };
        let measurement = Measurement::new(&self.calibration, &self.ram, self.control, &self.settings.optics);
        let chip_k = measurement.chip_k();
        if !(chip_k.is_finite() && measurement.gain().is_finite()) {
            return Err(Error::NoMeasurement);
        }
        for (pixel, value) in self.kelvin.iter_mut().enumerate() {
            if measurement.subpage(pixel) == subpage {
                *value = measurement.kelvin(pixel).unwrap_or(f32::NAN);
            }
        }
        self.counts.subpages += 1;
        match self.half {
            Some(half) if half != subpage => self.half = None,
            Some(_) => {
                self.counts.missed += 1;
                return Ok(None);
            }
            None => {
                self.half = Some(subpage);
                return Ok(None);
            }
        }
        self.counts.frames += 1;
        Ok(Some(FrameInfo {
            chip_k: Some(chip_k),
            filled_pixels: self.fill_bad(kelvin),
            ..FrameInfo::default()
        }))
    }
}
