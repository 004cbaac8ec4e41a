//! The simulated world as five sensors.
//!
//! Address: `SEED` or `SEED:SECONDS`. Up to a minute it is the demo's programme, cut to length (60 s unless said); longer
//! ones are happenings drawn from the seed. Streams: `camera`, `microphone`, `thermal`, `depth`, `imu`. Times count from
//! the start of the world; reading never waits.

use sensebind_core::{
    AudioSample, DepthUnit, Driver, ErrorKind, Format, Found, Frame, PixelLayout, Reading, Source, SourceError, Span,
    StreamId, ThermalUnit, Timestamp,
};
use sensebind_scene::{
    AUDIO_RATE_HZ, CAMERA_RATE_HZ, CAMERA_SIZE, DEPTH_RATE_HZ, DEPTH_SIZE, Happening, IMU_RATE_HZ, Size,
    THERMAL_RATE_HZ, THERMAL_SIZE, Timeline, World,
};
use std::sync::Arc;
use std::time::Duration;

/// Samples of one sound packet: 50 ms.
const PACKET_SAMPLES: u64 = 800;
/// The thermal camera gives hundredths of a kelvin, the depth camera millimetres.
const KELVIN_PER_COUNT: f32 = 0.01;
const METRES_PER_COUNT: f32 = 0.001;
/// Longest world, seconds.
const MAX_DURATION_S: f64 = 86_400.0;

/// The driver.
#[derive(Debug)]
pub struct Scene;

impl Driver for Scene {
    fn name(&self) -> &'static str {
        "scene"
    }

    fn about(&self) -> &'static str {
        "a simulated world: camera, microphone, thermal, depth and IMU from one seed"
    }

    fn find(&self) -> Vec<Found> {
        vec![Found {
            address: "1".to_owned(),
            about: "the demo's minute, seed 1".to_owned(),
        }]
    }

    fn open(&self, address: &str) -> Result<Vec<Box<dyn Source>>, SourceError> {
        Ok(open_world(world(address)?))
    }
}

/// The world behind `address`.
///
/// # Errors
/// [`ErrorKind::Misconfigured`] when it is not `SEED` or `SEED:SECONDS`.
pub fn world(address: &str) -> Result<World, SourceError> {
    let misconfigured = || {
        let message = format!(
            "scene address {address:?}: expected SEED or SEED:SECONDS (more than 0, at most {MAX_DURATION_S}), as in 7:30"
        );
        SourceError::new(ErrorKind::Misconfigured, message)
    };
    let (seed, duration_s) = match address.split_once(':') {
        Some((seed, seconds)) => (seed, Some(seconds.parse::<f64>().map_err(|_| misconfigured())?)),
        None => (address, None),
    };
    let seed = seed.parse().map_err(|_| misconfigured())?;
    let demo = Timeline::demo(seed);
    let timeline = match duration_s {
        None => demo,
        Some(s) if !(s > 0.0 && s <= MAX_DURATION_S) => return Err(misconfigured()),
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

/// Five sensors in `world`.
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
            data: &self.bytes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_sets_seed_and_length() {
        assert_eq!(world("3").unwrap().timeline().duration_s, 60.0);
        assert_eq!(world("3:2.5").unwrap().timeline().duration_s, 2.5);
        assert_eq!(world("3:90").unwrap().timeline().duration_s, 90.0);
        for bad in ["", "x", "-1", "3:", "3:0", "3:-1", "3:NaN", "3:inf", "3:1e9"] {
            let error = world(bad).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured);
            assert!(error.message.contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn truth_ends_with_the_world() {
        let cut = truth(&world("3:5").unwrap());
        let end = Timestamp::from_nanos(5_000_000_000);
        assert!(!cut.is_empty() && cut.iter().all(|(_, span)| span.start < end && span.end <= end));
        assert!(truth(&world("3").unwrap()).len() > cut.len());
    }
}
