//! The simulated world as sensors: camera, microphone, thermal and depth camera, IMU.
//!
//! Up to a minute it is the demo's programme, cut to length; longer ones are happenings drawn from the seed. The five
//! sensors of one seed see the same world.

use crate::paced::Paced;
use crate::settings;
use schemars::{JsonSchema, Schema};
use sensebind_core::{
    AudioSample, Clock, DepthUnit, Driver, ErrorKind, Format, Found, Frame, PixelLayout, Reading, Sense, Settings,
    Source, SourceError, Span, StreamId, ThermalUnit, Timestamp,
};
use sensebind_scene::{
    AUDIO_RATE_HZ, CAMERA_RATE_HZ, CAMERA_SIZE, DEPTH_RATE_HZ, DEPTH_SIZE, Happening, IMU_RATE_HZ, Size,
    THERMAL_RATE_HZ, THERMAL_SIZE, Timeline, World,
};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Samples of one sound packet: 50 ms.
const PACKET_SAMPLES: u64 = 800;
/// The thermal camera gives hundredths of a kelvin, the depth camera millimetres.
const KELVIN_PER_COUNT: f32 = 0.01;
const METRES_PER_COUNT: f32 = 0.001;
/// Longest world, seconds.
const MAX_DURATION_S: f64 = 86_400.0;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SceneSettings {
    /// The world: the same seed gives the same one, for all its sensors.
    seed: u64,
    /// Which of its sensors.
    sensor: Sensor,
    /// How long it lasts, seconds; without it, the demo's minute.
    seconds: Option<f64>,
}

/// A sensor of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Sensor {
    Camera,
    Microphone,
    Thermal,
    Depth,
    Imu,
}

impl Sensor {
    fn sense(self) -> Sense {
        match self {
            Self::Camera => Sense::Image,
            Self::Microphone => Sense::Audio,
            Self::Thermal => Sense::Thermal,
            Self::Depth => Sense::Depth,
            Self::Imu => Sense::Imu,
        }
    }
}

/// The driver.
#[derive(Debug)]
pub struct Scene;

impl Driver for Scene {
    fn name(&self) -> &'static str {
        "scene"
    }

    fn about(&self) -> &'static str {
        "a sensor of a simulated world: camera, microphone, thermal, depth or IMU"
    }

    /// Nothing: it is no device.
    fn find(&self) -> Vec<Found> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        settings::schema::<SceneSettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        let SceneSettings { seed, seconds, .. } = settings::parse(self.name(), settings)?;
        world(seed, seconds).map(drop)
    }

    fn sense(&self, settings: &Settings) -> Result<Sense, SourceError> {
        let SceneSettings { sensor, .. } = settings::parse(self.name(), settings)?;
        Ok(sensor.sense())
    }

    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let SceneSettings { seed, sensor, seconds } = settings::parse(self.name(), settings)?;
        let source = open_world(world(seed, seconds)?)
            .into_iter()
            .find(|source| source.format().sense() == sensor.sense());
        // `open_world` has one of each.
        let source = source.ok_or_else(SourceError::ended)?;
        Ok(Box::new(Paced::new(source, stream, clock)))
    }
}

/// The world of `seed`, for `seconds` (the demo's minute unless said).
///
/// # Errors
/// [`ErrorKind::Misconfigured`] for an impossible length.
pub fn world(seed: u64, seconds: Option<f64>) -> Result<World, SourceError> {
    let demo = Timeline::demo(seed);
    let timeline = match seconds {
        None => demo,
        Some(s) if !(s > 0.0 && s <= MAX_DURATION_S) => {
            let message = format!("a world of {s} seconds, expected more than 0 and at most {MAX_DURATION_S}");
            return Err(SourceError::new(ErrorKind::Misconfigured, message));
        }
        Some(s) if s <= demo.duration_s => Timeline { duration_s: s, ..demo },
        Some(s) => Timeline::random(seed, s, Happening::ALL),
    };
    Ok(World::new(seed, timeline))
}

/// What really happens in `world` and when, as far as it lasts, by start.
pub fn truth(world: &World) -> Vec<(String, Span)> {
    let timeline = world.timeline();
    let time = |s: f64| Timestamp::ZERO.after(Duration::from_secs_f64(s.clamp(0.0, timeline.duration_s)));
    timeline
        .occurrences
        .iter()
        .filter(|occurrence| occurrence.start_s < timeline.duration_s)
        .map(|o| (o.happening.name().to_owned(), Span::new(time(o.start_s), time(o.end_s))))
        .collect()
}

/// The five sensors in `world`, named `camera`, `microphone`, `thermal`, `depth` and `imu`: times from its start, never
/// waiting.
pub fn open_world(world: World) -> Vec<Box<dyn Source>> {
    let world = Arc::new(world);
    let size = |size: Size| (size.width as u32, size.height as u32);
    let (width, height) = size(CAMERA_SIZE);
    let camera = Format::Image {
        width,
        height,
        layout: PixelLayout::Rgb8,
        rate_hz: CAMERA_RATE_HZ as f32,
    };
    // 16-bit sound: a recording holds exactly what was heard live.
    let microphone = Format::Audio {
        rate_hz: AUDIO_RATE_HZ,
        channels: 1,
        sample: AudioSample::I16,
    };
    let (width, height) = size(THERMAL_SIZE);
    let thermal = Format::Thermal {
        width,
        height,
        unit: ThermalUnit::KelvinPerCount(KELVIN_PER_COUNT),
        rate_hz: THERMAL_RATE_HZ as f32,
    };
    let (width, height) = size(DEPTH_SIZE);
    let depth = Format::Depth {
        width,
        height,
        unit: DepthUnit::MetresPerCount(METRES_PER_COUNT),
        focal_px: None,
        rate_hz: DEPTH_RATE_HZ as f32,
    };
    let imu = Format::Imu {
        rate_hz: IMU_RATE_HZ as f32,
    };
    [
        ("camera", camera),
        ("microphone", microphone),
        ("thermal", thermal),
        ("depth", depth),
        ("imu", imu),
    ]
    .into_iter()
    .map(|(name, format)| Box::new(SceneSource::new(&world, name, format)) as Box<dyn Source>)
    .collect()
}

/// One sensor of a world.
#[derive(Debug)]
struct SceneSource {
    world: Arc<World>,
    stream: StreamId,
    format: Format,
    /// Frames delivered.
    seq: u64,
    counts: Vec<u16>,
    samples: Vec<f32>,
    bytes: Vec<u8>,
}

impl SceneSource {
    fn new(world: &Arc<World>, name: &str, format: Format) -> Self {
        Self {
            world: Arc::clone(world),
            stream: StreamId::new(name),
            format,
            seq: 0,
            counts: Vec::new(),
            samples: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Renders frame `seq` into `bytes`. `tick` counts frames, for sound samples.
    fn render(&mut self, tick: u64, t_s: f64) {
        self.bytes.clear();
        match self.format {
            Format::Image { .. } => self.world.camera(t_s, CAMERA_SIZE, &mut self.bytes),
            Format::Audio { rate_hz, .. } => {
                let end = (self.world.timeline().duration_s * f64::from(rate_hz)).ceil() as u64;
                let samples = PACKET_SAMPLES.min(end.saturating_sub(tick));
                self.samples.resize(samples as usize, 0.0);
                self.world.audio(tick, &mut self.samples);
                // `as` limits to the range.
                let to_i16 = |x: &f32| ((x * 32768.0).round() as i16).to_le_bytes();
                self.bytes.extend(self.samples.iter().flat_map(to_i16));
            }
            Format::Thermal { .. } => {
                self.world.thermal(t_s, &mut self.counts);
                self.bytes.extend(self.counts.iter().flat_map(|c| c.to_le_bytes()));
            }
            Format::Depth { .. } => {
                self.world.depth(t_s, &mut self.counts);
                self.bytes.extend(self.counts.iter().flat_map(|c| c.to_le_bytes()));
            }
            Format::Imu { .. } => {
                let values = self.world.imu(tick);
                self.bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            }
        }
    }
}

impl Source for SceneSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, _timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let per_frame = if matches!(self.format, Format::Audio { .. }) {
            PACKET_SAMPLES
        } else {
            1
        };
        let tick = self.seq * per_frame;
        // All rates are whole numbers.
        let rate_hz = self.format.rate_hz() as u64;
        let t_s = tick as f64 / rate_hz as f64;
        if t_s >= self.world.timeline().duration_s {
            return Err(SourceError::ended());
        }
        self.render(tick, t_s);
        let seq = self.seq;
        self.seq += 1;
        let captured = Timestamp::from_nanos(tick * 1_000_000_000 / rate_hz);
        Ok(Reading::Frame(Frame {
            seq,
            captured,
            calibrating: false,
            data: &self.bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_length_make_the_world() {
        assert_eq!(world(3, None).unwrap().timeline().duration_s, 60.0);
        assert_eq!(world(3, Some(2.5)).unwrap().timeline().duration_s, 2.5);
        assert_eq!(world(3, Some(90.0)).unwrap().timeline().duration_s, 90.0);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let error = world(3, Some(bad)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured);
            assert!(error.message.contains(&bad.to_string()), "{error}");
        }
    }

    #[test]
    fn truth_ends_with_the_world() {
        let cut = truth(&world(3, Some(5.0)).unwrap());
        let end = Timestamp::from_nanos(5_000_000_000);
        assert!(!cut.is_empty() && cut.iter().all(|(_, span)| span.start < end && span.end <= end));
        assert!(truth(&world(3, None).unwrap()).len() > cut.len());
    }
}
