//! FLIR Lepton 2.x (80x60) and 3.x (160x120): video over SPI, control over I2C.
//!
//! [`VoSpi`] reads the video, [`Cci`] speaks on the control bus, [`Lepton`] sets a camera up and holds both. Only 2.5 and
//! 3.5 measure temperatures; 2.0, 3.0 and 3.1R send raw counts.

mod assembly;
mod cci;
mod commands;
mod packet;
mod telemetry;
mod vospi;

use core::fmt;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use embedded_hal::spi::SpiDevice;

use super::{FrameInfo, ThermalArray};

pub use assembly::{Assembly, Step, SyncLoss};
pub use cci::{ADDRESS, BUSY_LIMIT_MS, Cci, CciError};
pub use commands::{PartNumber, ShutterMode};
pub use packet::{PACKET_BYTES, PACKET_WORDS, checksum};
pub use telemetry::Telemetry;
pub use vospi::{Counts, Frame, PACKETS_PER_TRANSFER, Poll, RESYNC_MS, VoSpi};

/// Which generation: they differ in size and in the shape of their video stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// 1.5, 1.6, 2.0, 2.5: 80x60, a frame in one piece.
    Lepton2,
    /// 3.0, 3.1R, 3.5: 160x120, a frame in four segments.
    Lepton3,
}

impl Model {
    /// Pixels in a row.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Lepton2 => 80,
            Self::Lepton3 => 160,
        }
    }

    /// Rows.
    #[must_use]
    pub fn height(self) -> usize {
        match self {
            Self::Lepton2 => 60,
            Self::Lepton3 => 120,
        }
    }

    /// Segments of a frame on the video stream.
    #[must_use]
    pub fn segments(self) -> u8 {
        match self {
            Self::Lepton2 => 1,
            Self::Lepton3 => 4,
        }
    }

    /// The model of a part number, by its second group of digits: 500-0643 and 500-0659 (2.0), 500-0690 (1.5),
    /// 500-0763 (2.5), 500-0726 (3.0), 500-0758 (3.1R), 500-0771 (3.5).
    #[must_use]
    pub fn from_part_number(part: &str) -> Option<Self> {
        match part.get(..8)? {
            "500-0643" | "500-0659" | "500-0690" | "500-0763" => Some(Self::Lepton2),
            "500-0726" | "500-0758" | "500-0771" => Some(Self::Lepton3),
            _ => None,
        }
    }
}

/// Where the telemetry lines are in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TelemetryLocation {
    /// Before the first row.
    Header,
    /// After the last row.
    Footer,
}

/// What one count of a TLinear frame is worth. A resolution set wrong is wrong tenfold: it is read from the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// 0.1 K.
    Decikelvin,
    /// 0.01 K.
    Centikelvin,
}

impl Resolution {
    /// Kelvin per count.
    #[must_use]
    pub fn kelvin_per_count(self) -> f32 {
        match self {
            Self::Decikelvin => 0.1,
            Self::Centikelvin => 0.01,
        }
    }
}

/// How a Lepton is to be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// The model, for part numbers not in the list; else the part number decides.
    pub model: Option<Model>,
    /// Where telemetry lines are to be; none leaves telemetry off, and with it the marks of flat-field corrections.
    pub telemetry: Option<TelemetryLocation>,
    /// Resolution to set; none keeps what the camera has.
    pub tlinear: Option<Resolution>,
}

/// What a Lepton said of itself when it was set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// The model.
    pub model: Model,
    /// FLIR's part number.
    pub part_number: PartNumber,
    /// FLIR's serial number.
    pub serial_number: u64,
    /// Kelvin per count as read back; none if the camera sends raw counts.
    pub tlinear: Option<Resolution>,
}

/// What can go wrong with a Lepton on its two buses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error<I2C, SPI> {
    /// The control bus.
    Control(CciError<I2C>),
    /// The video bus.
    Video(SPI),
    /// The part number is not in the list and the settings name no model.
    UnknownModel(PartNumber),
    /// The camera sends raw counts, and temperatures were asked for.
    NoTemperatures,
    /// The buffer is not `expected` long.
    BufferLength {
        /// Pixels of this model.
        expected: usize,
        /// Length of the buffer.
        found: usize,
    },
    /// Automatic gain is on: the counts are no temperatures. Someone changed the camera since it was set up.
    AutomaticGain,
    /// The stream broke; the next call resynchronises it.
    Sync(SyncLoss),
}

impl<I2C: fmt::Debug, SPI: fmt::Debug> fmt::Display for Error<I2C, SPI> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control(error) => error.fmt(f),
            Self::Video(error) => write!(
                f,
                "Lepton: the SPI bus failed ({error:?}): check wiring, mode 3, 20 MHz at most"
            ),
            Self::UnknownModel(part) => write!(
                f,
                "Lepton: part number {:?} is not known: name the model, 2.x (80x60) or 3.x (160x120)",
                part.as_str()
            ),
            Self::NoTemperatures => write!(
                f,
                "Lepton: it sends raw counts, expected TLinear temperatures: set a resolution (2.5 and 3.5 only)"
            ),
            Self::BufferLength { expected, found } => {
                write!(f, "Lepton: a frame has {expected} pixels, the buffer {found}")
            }
            Self::AutomaticGain => write!(
                f,
                "Lepton: automatic gain is on, expected off: another program changed the camera, set it up again"
            ),
            Self::Sync(loss) => write!(f, "Lepton: video out of sync: {loss}"),
        }
    }
}

impl<I2C: fmt::Debug, SPI: fmt::Debug> core::error::Error for Error<I2C, SPI> {}

/// A Lepton on both of its buses.
#[derive(Debug)]
pub struct Lepton<I2C, SPI, DELAY> {
    control: Cci<I2C>,
    video: VoSpi<SPI>,
    delay: DELAY,
    setup: Setup,
}

impl<I2C: I2c, SPI: SpiDevice, DELAY: DelayNs> Lepton<I2C, SPI, DELAY> {
    /// Waits for the camera, identifies it, and sets it up: automatic gain off, 14-bit words, telemetry and TLinear as
    /// `settings` say. Blocks for some fifty control transfers.
    ///
    /// # Errors
    /// [`Error::Control`]; [`Error::UnknownModel`].
    pub fn start(
        i2c: I2C,
        spi: SPI,
        mut delay: DELAY,
        settings: Settings,
    ) -> Result<Self, Error<I2C::Error, SPI::Error>> {
        let mut control = Cci::new(i2c);
        let setup = set_up(&mut control, &mut delay, settings).map_err(Error::Control)?;
        let part_number = setup.1;
        let model = settings
            .model
            .or_else(|| Model::from_part_number(part_number.as_str()))
            .ok_or(Error::UnknownModel(part_number))?;
        Ok(Self {
            control,
            video: VoSpi::new(spi, model, settings.telemetry),
            delay,
            setup: Setup {
                model,
                part_number,
                serial_number: setup.0,
                tlinear: setup.2,
            },
        })
    }

    /// What the camera said of itself.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.setup
    }

    /// The control bus, and the delay its methods want.
    pub fn control(&mut self) -> (&mut Cci<I2C>, &mut DELAY) {
        (&mut self.control, &mut self.delay)
    }

    /// What happened on the video stream so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.video.counts()
    }

    /// Reads at most one transfer of the video stream; see [`VoSpi::poll`].
    ///
    /// # Errors
    /// [`Error::Video`].
    pub fn poll_video(&mut self) -> Result<Poll<'_>, Error<I2C::Error, SPI::Error>> {
        self.video.poll(&mut self.delay).map_err(Error::Video)
    }
}

/// Serial number, part number and resolution of a camera, once it is set up.
fn set_up<I2C: I2c>(
    control: &mut Cci<I2C>,
    delay: &mut impl DelayNs,
    settings: Settings,
) -> Result<(u64, PartNumber, Option<Resolution>), CciError<I2C::Error>> {
    control.wait_ready(delay)?;
    let serial_number = control.serial_number(delay)?;
    let part_number = control.part_number(delay)?;
    control.set_raw_video(delay)?;
    control.set_telemetry(settings.telemetry, delay)?;
    if settings.tlinear.is_some() {
        control.set_tlinear(settings.tlinear, delay)?;
    }
    Ok((serial_number, part_number, control.tlinear(delay)?))
}

impl<I2C: I2c, SPI: SpiDevice, DELAY: DelayNs> ThermalArray for Lepton<I2C, SPI, DELAY> {
    type Error = Error<I2C::Error, SPI::Error>;

    fn width(&self) -> usize {
        self.setup.model.width()
    }

    fn height(&self) -> usize {
        self.setup.model.height()
    }

    /// Frames during a flat-field correction are handed out, marked in [`FrameInfo::ffc`]. A break of the stream is an
    /// error once; the next call blocks for [`RESYNC_MS`]. The resolution is the frame's own where telemetry is on.
    fn poll(&mut self, kelvin: &mut [f32]) -> Result<Option<FrameInfo>, Self::Error> {
        let expected = self.width() * self.height();
        if kelvin.len() != expected {
            return Err(Error::BufferLength {
                expected,
                found: kelvin.len(),
            });
        }
        let frame = match self.video.poll(&mut self.delay).map_err(Error::Video)? {
            Poll::Reading | Poll::Idle => return Ok(None),
            Poll::Lost(loss) => return Err(Error::Sync(loss)),
            Poll::Frame(frame) => frame,
        };
        if frame.telemetry.is_some_and(|telemetry| telemetry.agc) {
            return Err(Error::AutomaticGain);
        }
        let resolution = match frame.telemetry {
            Some(telemetry) => telemetry.tlinear,
            None => self.setup.tlinear,
        };
        frame.write_kelvin(resolution.ok_or(Error::NoTemperatures)?, kelvin);
        Ok(Some(match frame.telemetry {
            None => FrameInfo::default(),
            Some(telemetry) => FrameInfo {
                counter: Some(telemetry.counter),
                uptime_ms: Some(telemetry.uptime_ms),
                ffc: Some(telemetry.ffc),
                chip_k: Some(telemetry.fpa_k),
                filled_pixels: 0,
            },
        }))
    }
}
