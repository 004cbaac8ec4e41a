//! FLIR Lepton 2.5 and 3.5 on a board's own buses: video on SPI, control on I2C.
//!
//! Temperatures only (TLinear): a camera that sends raw counts is switched over, or refused. Telemetry is switched on: it
//! carries the camera's clock, the count of its unique frames, the state of the flat-field correction and the resolution
//! of each frame. A frame's capture time is the camera's own, mapped to the host's clock; FLIR gives no figure for the
//! delay between the light and that stamp.
//!
//! The camera waits for nobody: a segment that is not read before the next is ready, 9 ms later, breaks the stream. It is
//! synchronised anew, for which a read blocks 186 ms beyond its timeout, and the frames lost are a gap in the numbers.

use crate::bus::{BusError, FirstEnd, I2cNode, Place, SpiNode};
use crate::settings;
use crate::thermal_array::open_i2c;
use linux_embedded_hal::Delay;
use linux_embedded_hal::spidev::SpiModeFlags;
use schemars::{JsonSchema, Schema};
use sensebind_chips::thermal::FfcState;
use sensebind_chips::thermal::lepton::{
    self as chip, CciError, Error, Model, Poll, Resolution, SyncLoss, Telemetry, TelemetryLocation,
};
use sensebind_core::{
    Clock, ClockFix, ClockMap, ClockMapSpec, Driver, ErrorKind, Format, Found, Frame, Reading, Sense, Settings, Source,
    SourceError, StreamId, ThermalUnit, Timestamp,
};
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The SPI clock's limits (FLIR "Lepton Engineering Datasheet", 500-0659-00-09 rev 203, section 4.2).
const SLOWEST_HZ: u32 = 2_200_000;
const SLOWEST_LEPTON_3_HZ: u32 = 9_500_000;
const FASTEST_HZ: u32 = 20_000_000;
/// Unique frames a second, as FLIR gives them.
const RATE_HZ: f32 = 8.7;
/// The segments of a frame leave the camera in 1/27 s (section 4.2.3.2).
const VIDEO_FRAME: Duration = Duration::from_micros(37_037);
/// A pause where the camera has nothing: a fifth of a segment's time.
const IDLE: Duration = Duration::from_millis(2);
/// Transfers that fail one after the other before the camera is given up.
const TRIES: u32 = 5;
/// Without a frame for so long, the camera was reset or lost power.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// Counters of 32 bits that went back further than they could have gone forth.
const BACK: u32 = u32::MAX / 2;

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

/// What one look at the video stream brought.
#[derive(Debug)]
enum Look {
    /// In the middle of a frame.
    Reading,
    /// Nothing to read for some milliseconds.
    Idle,
    /// A frame; its pixels are in `frame`.
    Frame(Telemetry),
}

/// One camera, running.
struct LeptonSource {
    stream: StreamId,
    format: Format,
    clock: Arc<dyn Clock>,
    places: Places,
    camera: Camera,
    resolution: Resolution,
    /// From the first segment of a frame to its last.
    readout: Duration,
    map: ClockMap,
    /// Milliseconds of the camera's clock, which wraps after 49 days, without its wraps.
    uptime_ms: u64,
    /// Telemetry of the frame before.
    last: Option<Telemetry>,
    seq: u64,
    heard: Timestamp,
    breaks: u32,
    last_break: Option<SyncLoss>,
    failures_in_a_row: u32,
    frame: Vec<u8>,
}

impl LeptonSource {
    fn new(stream: &StreamId, clock: &Arc<dyn Clock>, places: Places, camera: Camera, resolution: Resolution) -> Self {
        let model = camera.setup().model;
        let (width, height) = (model.width(), model.height());
        let segments = u32::from(model.segments());
        Self {
            stream: stream.clone(),
            format: Format::Thermal {
                // 160 and 120 at most.
                width: u32::try_from(width).unwrap_or(u32::MAX),
                height: u32::try_from(height).unwrap_or(u32::MAX),
                unit: ThermalUnit::KelvinPerCount(resolution.kelvin_per_count()),
                rate_hz: RATE_HZ,
            },
            clock: Arc::clone(clock),
            places,
            camera,
            resolution,
            readout: VIDEO_FRAME * (segments - 1) / segments,
            map: ClockMap::new(ClockMapSpec::default()),
            uptime_ms: 0,
            last: None,
            seq: 0,
            heard: clock.now(),
            breaks: 0,
            last_break: None,
            failures_in_a_row: 0,
            frame: vec![0; width * height * size_of::<u16>()],
        }
    }

    /// Reads one transfer of the video stream.
    fn look(&mut self) -> Result<Look, SourceError> {
        let telemetry = match self.camera.poll_video() {
            Ok(Poll::Frame(frame)) => {
                for (bytes, count) in self.frame.as_chunks_mut::<2>().0.iter_mut().zip(frame.counts) {
                    *bytes = count.to_le_bytes();
                }
                frame.telemetry
            }
            Ok(Poll::Reading) => {
                self.failures_in_a_row = 0;
                return Ok(Look::Reading);
            }
            Ok(Poll::Idle) => {
                self.failures_in_a_row = 0;
                return self.unless_silent().map(|()| Look::Idle);
            }
            Ok(Poll::Lost(loss)) => {
                self.failures_in_a_row = 0;
                self.breaks = self.breaks.saturating_add(1);
                self.last_break = Some(loss);
                return self.unless_silent().map(|()| Look::Idle);
            }
            Err(error) => {
                self.failures_in_a_row += 1;
                let settled = match error {
                    Error::Video(error) => error.is_final() || error.is_too_much(),
                    _ => true,
                };
                if settled || self.failures_in_a_row >= TRIES {
                    return Err(self.places.fault(error));
                }
                return Ok(Look::Idle);
            }
        };
        self.failures_in_a_row = 0;
        // It was switched on: a stream without it has another shape, which breaks.
        telemetry.map_or(Ok(Look::Reading), |telemetry| Ok(Look::Frame(telemetry)))
    }

    fn unless_silent(&self) -> Result<(), SourceError> {
        let silent = self.clock.now().since(self.heard);
        if silent <= SILENT_AFTER {
            return Ok(());
        }
        let last = self
            .last_break
            .map(|last| format!("; the last: {last}"))
            .unwrap_or_default();
        Err(self.places.reopen(
            &self.places.video,
            format_args!(
                "no frame for {} ms, and {} breaks of the stream{last}: it was reset or lost power and has to be set up \
                 again, or the wires are bad at this `speed_hz`, or this machine is too busy to read it in time",
                silent.as_millis(),
                self.breaks
            ),
        ))
    }

    /// Numbers a frame and puts it on the host's clock.
    fn place(&mut self, telemetry: Telemetry) -> Result<Timestamp, SourceError> {
        let arrived = self.clock.now();
        if telemetry.agc || telemetry.tlinear != Some(self.resolution) {
            let found = match telemetry.tlinear {
                _ if telemetry.agc => "automatic gain",
                None => "raw counts",
                Some(Resolution::Centikelvin) => "0.01 K per count",
                Some(Resolution::Decikelvin) => "0.1 K per count",
            };
            return Err(self.places.reopen(
                &self.places.video,
                format_args!(
                    "the camera sends {found}, expected {} K per count as when it was opened: another program changed it, \
                     or it was reset",
                    self.resolution.kelvin_per_count()
                ),
            ));
        }
        let (frames, elapsed_ms) = self.last.map_or((0, telemetry.uptime_ms), |last| {
            (
                telemetry.counter.wrapping_sub(last.counter),
                telemetry.uptime_ms.wrapping_sub(last.uptime_ms),
            )
        });
        if self.last.is_some() && (frames > BACK || elapsed_ms > BACK) {
            return Err(self.places.reopen(
                &self.places.video,
                "the camera's counters went back: it booted anew and has to be set up again",
            ));
        }
        self.seq += u64::from(frames);
        self.uptime_ms += u64::from(elapsed_ms);
        self.last = Some(telemetry);
        self.heard = arrived;
        self.breaks = 0;
        self.last_break = None;
        let device_ns = self.uptime_ms * 1_000_000;
        let left_at = arrived.before(self.readout);
        self.map.observe(device_ns, left_at);
        Ok(self.map.map(device_ns).unwrap_or(left_at))
    }
}

impl Source for LeptonSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let patience = self.clock.now().after(timeout);
        let telemetry = loop {
            let look = self.look()?;
            if let Look::Frame(telemetry) = look {
                break telemetry;
            }
            let now = self.clock.now();
            if now >= patience {
                return Ok(Reading::Waiting);
            }
            if matches!(look, Look::Idle) {
                self.clock.wait_until(now.after(IDLE).min(patience));
            }
        };
        let captured = self.place(telemetry)?;
        Ok(Reading::Frame(Frame {
            seq: self.seq,
            captured,
            calibrating: telemetry.ffc == FfcState::InProgress,
            data: &self.frame,
        }))
    }

    fn clock_fix(&self) -> Option<ClockFix> {
        self.map.fix()
    }
}

impl fmt::Debug for LeptonSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeptonSource")
            .field("stream", &self.stream)
            .field("places", &self.places)
            .field("setup", &self.camera.setup())
            .field("counts", &self.camera.counts())
            .finish_non_exhaustive()
    }
}
