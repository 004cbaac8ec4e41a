//! Inertial measurement units: accelerometer and gyroscope in one chip, read through its FIFO.
//!
//! Every chip is an [`ImuChip`]: [`ImuChip::configure`] chooses rate and ranges and starts the FIFO,
//! [`ImuChip::read_fifo`] empties it, in bursts of at most 2048 bytes. The FIFO holds [`Running::fifo_samples`] samples:
//! whoever reads more often than that loses nothing, and who comes too late is told so in [`FifoRead::gap`].
//!
//! A sample carries the chip's own time in ticks of [`Running::tick_s`]. Mapping ticks to another clock is the
//! caller's.
//!
//! No crate on `embedded-hal` 1.0 reads these chips through their FIFOs (`bmi160` 1.1 reads the data registers only).

use core::fmt;

use embedded_hal::delay::DelayNs;

pub mod bmi160;
pub mod icm20948;
pub mod icm42688;
pub mod lsm6dsox;
pub mod mpu6050;
mod ticks;
mod unframed;

/// Standard gravity in m/s²: what the data sheets call 1 g (ISO 80000-3).
pub const STANDARD_GRAVITY_M_S2: f32 = 9.806_65;

/// One degree in radians.
pub const DEGREE_RAD: f32 = core::f32::consts::PI / 180.0;

/// Acceleration and angular rate at one moment, along the chip's own axes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Specific force along x, y, z in m/s²: a chip at rest with z up reads +9.81 on z.
    pub acceleration_m_s2: [f32; 3],
    /// Angular rate about x, y, z in rad/s, right-handed.
    pub angular_rate_rad_s: [f32; 3],
    /// The chip's time of this sample in ticks of [`Running::tick_s`]; rises from sample to sample.
    pub device_ticks: u64,
}

/// What is asked of a chip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Output data rate in Hz. The chip runs at the lowest rate it offers that is not below (within 1 %, its
    /// oscillator's tolerance).
    pub rate_hz: f32,
    /// Accelerations up to this many g must be measurable: the smallest range that holds them is chosen.
    pub acceleration_range_g: u16,
    /// Angular rates up to this many degrees per second must be measurable: the smallest range is chosen.
    pub angular_rate_range_dps: u16,
}

impl Default for Setting {
    /// 200 Hz, ±8 g, ±1000 °/s.
    fn default() -> Self {
        Self {
            rate_hz: 200.0,
            acceleration_range_g: 8,
            angular_rate_range_dps: 1000,
        }
    }
}

/// What a chip was set to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Running {
    /// Output data rate in Hz, by the chip's own (nominal or trimmed) oscillator.
    pub rate_hz: f64,
    /// Full scale of the accelerometer, ± g.
    pub acceleration_range_g: u16,
    /// Full scale of the gyroscope, ± degrees per second.
    pub angular_rate_range_dps: u16,
    /// Seconds per tick of [`Sample::device_ticks`], nominal.
    pub tick_s: f64,
    /// Where the ticks come from.
    pub tick_source: TickSource,
    /// Whole samples the FIFO holds.
    pub fifo_samples: usize,
}

/// What [`Sample::device_ticks`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickSource {
    /// A clock in the chip: right across gaps.
    ChipClock,
    /// The samples read so far: after a gap of unknown length the count must be anchored anew.
    SampleCount,
}

/// What one reading of the FIFO brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FifoRead {
    /// Samples written to the front of the slice, oldest first.
    pub samples: usize,
    /// Samples are missing before or among these.
    pub gap: Option<Gap>,
    /// The FIFO holds more than the slice or one burst could take: read again.
    pub more: bool,
    /// The last so many of `samples` may have been taken after the reading's first transaction, which asks what the FIFO
    /// holds: all others before.
    pub late: usize,
}

/// Samples the chip measured and nobody will read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Why they are missing.
    pub cause: GapCause,
    /// How many, where chip or time stamps tell.
    pub lost_samples: Option<u32>,
}

/// Why samples are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// The FIFO was not read in time.
    Overflow,
    /// A transaction failed half-way and took bytes with it.
    BusError,
    /// The FIFO's content could not be understood and was thrown away.
    Corrupt,
}

impl fmt::Display for GapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overflow => "the chip's FIFO overflowed: it was not read in time",
            Self::BusError => "a bus transaction failed half-way",
            Self::Corrupt => "the chip's FIFO held what its data sheet does not describe",
        })
    }
}

/// Why a chip cannot be used. `E` is the bus's own error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Error<E> {
    /// The bus failed.
    Bus(E),
    /// Another chip answers.
    WrongChip {
        /// The chip asked for.
        chip: &'static str,
        /// The identities its register may hold.
        expected: &'static [u8],
        /// What it held.
        found: u8,
    },
    /// More is asked than the chip can do.
    BeyondChip {
        /// The chip.
        chip: &'static str,
        /// What was asked for, with its unit.
        quantity: &'static str,
        /// How much was asked for.
        wanted: f32,
        /// The most that the chip can do.
        most: f32,
    },
    /// A register does not hold what the data sheet promises.
    Unexpected {
        /// The chip.
        chip: &'static str,
        /// The register's name.
        register: &'static str,
        /// What the data sheet promises there.
        expected: &'static str,
        /// What was read.
        found: u16,
    },
    /// [`ImuChip::read_fifo`] before [`ImuChip::configure`].
    NotConfigured {
        /// The chip.
        chip: &'static str,
    },
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => write!(f, "the bus failed: {error:?}"),
            Self::WrongChip { chip, expected, found } => write!(
                f,
                "expected a {chip} (identity {expected:#04x?}), found identity {found:#04x}: check address, wiring and \
                 the chip's name"
            ),
            Self::BeyondChip {
                chip,
                quantity,
                wanted,
                most,
            } => write!(
                f,
                "{chip}: {quantity} of {wanted} asked for, it offers above 0 and up to {most}"
            ),
            Self::Unexpected {
                chip,
                register,
                expected,
                found,
            } => write!(
                f,
                "{chip}: {register} should hold {expected}, found {found:#06x}: check supply and wiring"
            ),
            Self::NotConfigured { chip } => write!(f, "{chip}: configure it before reading its FIFO"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Bus(error)
    }
}

/// A chip with accelerometer, gyroscope and FIFO. Usable as `dyn ImuChip<BusError = E>`.
pub trait ImuChip {
    /// What the bus reports when a transaction fails.
    type BusError: fmt::Debug;

    /// The chip's name as its maker writes it.
    fn name(&self) -> &'static str;

    /// Checks that the chip answers, and that it is the right one.
    ///
    /// # Errors
    /// [`Error::Bus`], [`Error::WrongChip`].
    fn probe(&mut self) -> Result<(), Error<Self::BusError>>;

    /// Resets the chip, sets it up as `wanted` and starts its FIFO empty. Blocks for the chip's start-up (50 to 250 ms).
    /// Right at any time, after a power cut too.
    ///
    /// # Errors
    /// Any but [`Error::NotConfigured`].
    fn configure(&mut self, wanted: &Setting, delay: &mut dyn DelayNs) -> Result<Running, Error<Self::BusError>>;

    /// Takes what the FIFO holds, oldest first, as much as fits `into`. Blocks for two to four bus transactions, does not
    /// wait for samples, allocates nothing. A chip that was reset behind the driver's back holds none for ever: configure
    /// it again after some periods without a sample.
    ///
    /// # Errors
    /// [`Error::Bus`]: the next call goes on and reports what was lost as [`FifoRead::gap`].
    /// [`Error::Unexpected`]: the chip has gone or was reset; configure it again. [`Error::NotConfigured`].
    fn read_fifo(&mut self, into: &mut [Sample]) -> Result<FifoRead, Error<Self::BusError>>;
}

/// A full scale that a chip offers.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// ± g or ± degrees per second.
    full_scale: u16,
    /// The field's value in the register.
    code: u8,
    /// What one count means in m/s² or rad/s.
    unit_per_count: f32,
}

/// A rate that a chip offers.
#[derive(Debug, Clone, Copy)]
struct Rate {
    hz: f32,
    code: u8,
}

const ACCELERATION: &str = "an acceleration range in g";
const ANGULAR_RATE: &str = "an angular rate range in degrees per second";
const RATE: &str = "a rate in Hz";

/// The first of `ranges` (smallest first) that holds `wanted`.
fn choose_range<E>(
    chip: &'static str,
    quantity: &'static str,
    ranges: &[Range],
    wanted: u16,
) -> Result<Range, Error<E>> {
    let found = ranges.iter().find(|range| range.full_scale >= wanted && wanted > 0);
    found.copied().ok_or(Error::BeyondChip {
        chip,
        quantity,
        wanted: f32::from(wanted),
        most: ranges.last().map_or(0.0, |range| f32::from(range.full_scale)),
    })
}

/// What of a wanted rate is enough: oscillators are within 1 %.
const RATE_TOLERANCE: f32 = 0.99;

/// The first of `rates` (slowest first) that is not below `wanted_hz`.
fn choose_rate<E>(chip: &'static str, rates: &[Rate], wanted_hz: f32) -> Result<Rate, Error<E>> {
    let found = rates
        .iter()
        .find(|rate| wanted_hz > 0.0 && rate.hz >= wanted_hz * RATE_TOLERANCE);
    found.copied().ok_or(Error::BeyondChip {
        chip,
        quantity: RATE,
        wanted: wanted_hz,
        most: rates.last().map_or(0.0, |rate| rate.hz),
    })
}

/// Three 16-bit numbers, most significant byte first, in units of `unit_per_count`.
fn vector_be(bytes: [u8; 6], unit_per_count: f32) -> [f32; 3] {
    let [x1, x0, y1, y0, z1, z0] = bytes;
    [[x1, x0], [y1, y0], [z1, z0]].map(|pair| f32::from(i16::from_be_bytes(pair)) * unit_per_count)
}

/// Three 16-bit numbers, least significant byte first, in units of `unit_per_count`.
fn vector_le(bytes: [u8; 6], unit_per_count: f32) -> [f32; 3] {
    let [x0, x1, y0, y1, z0, z1] = bytes;
    [[x0, x1], [y0, y1], [z0, z1]].map(|pair| f32::from(i16::from_le_bytes(pair)) * unit_per_count)
}
