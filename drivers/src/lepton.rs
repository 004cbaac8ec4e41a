//! FLIR Lepton 2.5 and 3.5 on a board's own buses: video on SPI, control on I2C.
//!
//! Temperatures only (TLinear): a camera that sends raw counts is switched over, or refused. Telemetry is switched on: it
//! carries the camera's clock, the count of its unique frames, the state of the flat-field correction and the resolution
//! of each frame. A frame's capture time is the camera's own, mapped to the host's clock; FLIR gives no figure for the
//! delay between the light and that stamp.
//!
//! The camera waits for nobody: a segment that is not read before the next is ready, 9 ms later, breaks the stream. It is
//! synchronised anew, for which a read blocks 186 ms beyond its timeout, and the frames lost are a gap in the numbers.

mod source;

use crate::bus::{BusError, FirstEnd, I2cNode, Place, SpiNode};
use crate::settings;
use crate::thermal_array::open_i2c;
use linux_embedded_hal::Delay;
use linux_embedded_hal::spidev::SpiModeFlags;
use schemars::{JsonSchema, Schema};
use sensebind_chips::thermal::lepton::{self as chip, CciError, Error, Model, Resolution, TelemetryLocation};
use sensebind_core::{Clock, Driver, ErrorKind, Found, Sense, Settings, Source, SourceError, StreamId};
use serde::Deserialize;
use source::LeptonSource;
use std::fmt;
use std::sync::Arc;

/// The SPI clock's limits (FLIR "Lepton Engineering Datasheet", 500-0659-00-09 rev 203, section 4.2).
const SLOWEST_HZ: u32 = 2_200_000;
const SLOWEST_LEPTON_3_HZ: u32 = 9_500_000;
const FASTEST_HZ: u32 = 20_000_000;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LeptonSettings {
    /// Its video, as in `/dev/spidev0.0`.
    spi: String,
    /// The I2C bus of its control side, as in `/dev/i2c-1`; it always has address 0x2a.
    i2c: String,
    /// The SPI clock in hertz: 20 MHz, which is its most, unless the wires are too long for it. A Lepton 3 needs 9.5 MHz.
    #[serde(default = "speed_hz")]
    speed_hz: u32,
    /// Which generation it is; needed only where its part number is not known.
    model: Option<ModelName>,
    /// Whether temperatures (TLinear, at 0.01 K) are switched on where they are off; without it, they are. A camera that
    /// has them on keeps its resolution, 0.01 K or 0.1 K.
    #[serde(default = "tlinear")]
    tlinear: bool,
}

fn speed_hz() -> u32 {
    FASTEST_HZ
}

fn tlinear() -> bool {
    true
}

/// A generation.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ModelName {
    /// 2.x: 80x60.
    Lepton2,
    /// 3.x: 160x120.
    Lepton3,
}

impl From<ModelName> for Model {
    fn from(name: ModelName) -> Self {
        match name {
            ModelName::Lepton2 => Self::Lepton2,
            ModelName::Lepton3 => Self::Lepton3,
        }
    }
}

type Camera = chip::Lepton<I2cNode, SpiNode, Delay>;
type CameraError = Error<BusError, BusError>;

/// The driver.
#[derive(Debug)]
pub struct Lepton;

impl Lepton {
    fn parse(&self, settings: &Settings) -> Result<LeptonSettings, SourceError> {
        let wanted: LeptonSettings = settings::parse(self.name(), settings)?;
        if !(SLOWEST_HZ..=FASTEST_HZ).contains(&wanted.speed_hz) {
            return Err(misconfigured(format!(
                "driver {}: `speed_hz` must be {SLOWEST_HZ} to {FASTEST_HZ}, found {}",
                self.name(),
                wanted.speed_hz
            )));
        }
        Ok(wanted)
    }
}

impl Driver for Lepton {
    fn name(&self) -> &'static str {
        "lepton"
    }

    fn about(&self) -> &'static str {
        "a thermal camera on SPI and I2C: FLIR Lepton 2.5 (80x60) and 3.5 (160x120)"
    }

    /// Nothing: no bus tells which of its select lines has a camera, and asking addresses upsets chips that take a read for
    /// a command.
    fn find(&self) -> Vec<Found> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        settings::schema::<LeptonSettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        self.parse(settings).map(drop)
    }

    fn sense(&self, settings: &Settings) -> Result<Sense, SourceError> {
        self.check(settings).map(|()| Sense::Thermal)
    }

    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let wanted = self.parse(settings)?;
        let places = Places::new(&wanted);
        let i2c = open_i2c(&wanted.i2c, chip::ADDRESS, &places.control, clock)?;
        let spi = SpiNode::open(
            &wanted.spi,
            wanted.speed_hz,
            SpiModeFlags::SPI_MODE_3,
            &FirstEnd::new(clock),
        )
        .map_err(|error| places.video.fault("opening its node", error))?;
        let chip_settings = chip::Settings {
            model: wanted.model.map(Model::from),
            telemetry: Some(TelemetryLocation::Footer),
            tlinear: None,
        };
        let mut camera = Camera::start(i2c, spi, Delay, chip_settings).map_err(|error| places.fault(error))?;
        let resolution = resolution(&mut camera, wanted.tlinear, &places)?;
        let model = camera.setup().model;
        if model == Model::Lepton3 && wanted.speed_hz < SLOWEST_LEPTON_3_HZ {
            return Err(misconfigured(format!(
                "{}: a Lepton 3 must be read at {SLOWEST_LEPTON_3_HZ} Hz or faster, found `speed_hz` = {}",
                places.video, wanted.speed_hz
            )));
        }
        Ok(Box::new(LeptonSource::new(stream, clock, places, camera, resolution)))
    }
}

/// Kelvin per count as the camera says it, once it sends temperatures.
fn resolution(camera: &mut Camera, switch_on: bool, places: &Places) -> Result<Resolution, SourceError> {
    let setup = camera.setup();
    if let Some(resolution) = setup.tlinear {
        return Ok(resolution);
    }
    let part = setup.part_number;
    if !switch_on {
        return Err(misconfigured(format!(
            "{}: the camera (part {}) sends raw counts, expected temperatures: remove `tlinear = false`",
            places.control,
            part.as_str()
        )));
    }
    let (control, delay) = camera.control();
    let set = control.set_tlinear(Some(Resolution::Centikelvin), delay);
    match set.and_then(|()| control.tlinear(delay)) {
        Ok(Some(resolution)) => Ok(resolution),
        Ok(None) | Err(CciError::Refused { .. }) => Err(misconfigured(format!(
            "{}: the camera (part {}) measures no temperatures, only Lepton 2.5 (500-0763) and 3.5 (500-0771) do: use one \
             of these",
            places.control,
            part.as_str()
        ))),
        Err(error) => Err(places.fault(Error::Control(error))),
    }
}

/// Where the camera's two sides hang.
#[derive(Debug)]
struct Places {
    control: Place,
    video: Place,
}

impl Places {
    fn new(wanted: &LeptonSettings) -> Self {
        Self {
            control: Place::I2c {
                node: wanted.i2c.clone(),
                address: chip::ADDRESS,
            },
            video: Place::Spi {
                node: wanted.spi.clone(),
                speed_hz: wanted.speed_hz,
            },
        }
    }

    fn fault(&self, error: CameraError) -> SourceError {
        match error {
            Error::Control(CciError::Bus(error)) => self.control.fault("setting the camera up", error),
            Error::Video(error) => self.video.fault("reading video", error),
            Error::UnknownModel(_) => misconfigured(format!("{}: {error}", self.control)),
            Error::Control(_) => self.reopen(&self.control, error),
            _ => self.reopen(&self.video, error),
        }
    }

    fn reopen(&self, place: &Place, why: impl fmt::Display) -> SourceError {
        SourceError::new(ErrorKind::Reopen, format!("{place}: {why}"))
    }
}

fn misconfigured(message: String) -> SourceError {
    SourceError::new(ErrorKind::Misconfigured, message)
}
