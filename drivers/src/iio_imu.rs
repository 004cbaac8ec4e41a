//! Inertial sensors that a kernel driver has taken: Linux Industrial I/O.
//!
//! Scans come from the device's buffer, with the kernel's time stamps. A device without one (no interrupt line, no
//! timer triggers in the kernel) has its values asked for one by one: then the capture time is that of the asking, and
//! what the chip measured between two questions is never seen.

use crate::iio::buffer::{self, Buffer, Depth};
use crate::iio::channel::Conversion;
use crate::iio::device::{self, Device};
use crate::iio::polled::Polled;
use crate::iio::{rate, trigger};
use crate::orientation::Orientation;
use crate::settings;
use schemars::{JsonSchema, Schema};
use sensebind_core::{
    Clock, ClockFix, ClockMap, ClockMapSpec, Driver, ErrorKind, Format, Found, Frame, Reading, Sense, Settings, Source,
    SourceError, StreamId, Timestamp,
};
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const RATE_HZ: f32 = 200.0;
const LATENCY_MS: u32 = 15;
/// Scans further apart than so many periods have others missing between.
const GAP_PERIODS: f64 = 1.5;
const TIMESTAMP_CLOCK: &str = "current_timestamp_clock";

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IioImuSettings {
    /// The device: its name as in `bmi160`, its name and what it hangs on as in `bmi160@1-0068`, its label, or the path
    /// of the device it is part of as in `/sys/bus/i2c/devices/1-0068`.
    device: String,
    /// Samples per second: the device runs at its lowest rate that is not below.
    #[serde(default = "rate_hz")]
    rate_hz: f32,
    /// How it is mounted, after the mount matrix that the kernel may know: for the board's x, y and z, the sensor's
    /// axis that points the same way. With `["+x", "-z", "+y"]` it stands on its edge. Without it, the sensor's axes are
    /// the board's.
    #[serde(default)]
    orientation: Orientation,
    /// The trigger that makes it take a scan; without it, the one that is set, else a timer where the kernel has such.
    trigger: Option<String>,
    /// The longest that samples wait before they are read, milliseconds.
    #[serde(default = "latency_ms")]
    latency_ms: u32,
    /// Samples that the kernel holds for a reader who is late; without it, those of one second.
    buffer_samples: Option<usize>,
    /// The folder with `sys` and `dev` in it, where that is not `/`: in a container, or under test.
    #[serde(default = "root")]
    root: PathBuf,
}

fn rate_hz() -> f32 {
    RATE_HZ
}

fn latency_ms() -> u32 {
    LATENCY_MS
}

fn root() -> PathBuf {
    PathBuf::from("/")
}

/// The driver.
#[derive(Debug)]
pub struct IioImu;

impl IioImu {
    fn plan(&self, settings: &Settings) -> Result<IioImuSettings, SourceError> {
        let wanted: IioImuSettings = settings::parse(self.name(), settings)?;
        let refuse = |why: String| {
            Err(SourceError::new(
                ErrorKind::Misconfigured,
                format!("driver {}: {why}", self.name()),
            ))
        };
        if !(wanted.rate_hz.is_finite() && wanted.rate_hz > 0.0) {
            return refuse(format!("`rate_hz` must be above 0, found {}", wanted.rate_hz));
        }
        if !(1..=1000).contains(&wanted.latency_ms) {
            return refuse(format!(
                "`latency_ms` must be 1 to 1000, found {}: the default is {LATENCY_MS}",
                wanted.latency_ms
            ));
        }
        if wanted.buffer_samples.is_some_and(|samples| samples < 2) {
            return refuse("`buffer_samples` must be 2 or more".to_owned());
        }
        Ok(wanted)
    }
}

impl Driver for IioImu {
    fn name(&self) -> &'static str {
        "iio_imu"
    }

    fn about(&self) -> &'static str {
        "an inertial sensor behind a kernel driver (Linux Industrial I/O): buffered, else polled"
    }

    fn find(&self) -> Vec<Found> {
        let found = |device: Device| {
            let how = if buffer::is_there(&device) {
                "buffered"
            } else {
                "no buffer: its values are asked for one by one"
            };
            Found {
                name: "imu".to_owned(),
                settings: Settings::from_iter([("device".to_owned(), device.identity().into())]),
                about: format!("{}, {how}", device.identity()),
            }
        };
        device::inertial(&root()).into_iter().map(found).collect()
    }

    fn schema(&self) -> Schema {
        settings::schema::<IioImuSettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        self.plan(settings).map(drop)
    }

    fn sense(&self, settings: &Settings) -> Result<Sense, SourceError> {
        self.check(settings).map(|()| Sense::Imu)
    }

    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let wanted = self.plan(settings)?;
        let device = device::find(&wanted.root, &wanted.device)?;
        buffer::stop(&device)?;
        let own_hz = rate::set(&device.folder, wanted.rate_hz.into())?;
        let conversion = Conversion::new(&device.folder, wanted.orientation)?;
        let (capture, rate_hz) = start(&wanted, &device, own_hz)?;
        Ok(Box::new(IioImuSource {
            stream: stream.clone(),
            format: Format::Imu {
                rate_hz: rate_hz as f32,
            },
            clock: Arc::clone(clock),
            device,
            conversion,
            capture,
            period: Duration::from_secs_f64(1.0 / rate_hz),
            next_question: clock.now(),
            last: None,
            seq: 0,
            frame: [0; Format::IMU_FRAME_BYTES],
        }))
    }
}

/// Starts the capture; also the rate it runs at, hertz.
fn start(wanted: &IioImuSettings, device: &Device, own_hz: Option<f64>) -> Result<(Capture, f64), SourceError> {
    let (root, folder) = (wanted.root.as_path(), &device.folder);
    let polled = || Ok((Capture::Polled(Polled::open(device)?), f64::from(wanted.rate_hz)));
    if !buffer::is_there(device) {
        return polled();
    }
    if let Some(name) = &wanted.trigger {
        trigger::choose(root, folder, name)?;
    }
    let map = stamps(device);
    let rate_hz = running_hz(wanted, root, device, own_hz);
    match buffer::start(device, depth(wanted, rate_hz)) {
        Ok(buffer) => return Ok((Capture::Buffered { buffer, map }, rate_hz)),
        // What a driver says that waits for a trigger and has none.
        Err(error) if error.kind == ErrorKind::Misconfigured && trigger::is_missing(folder) => {}
        Err(error) => return Err(error),
    }
    if trigger::timer(root, folder, wanted.rate_hz.into())?.is_none() {
        return polled();
    }
    let rate_hz = running_hz(wanted, root, device, own_hz);
    let buffer = buffer::start(device, depth(wanted, rate_hz))?;
    Ok((Capture::Buffered { buffer, map }, rate_hz))
}

/// A trigger's own rate goes before the device's.
fn running_hz(wanted: &IioImuSettings, root: &Path, device: &Device, own_hz: Option<f64>) -> f64 {
    trigger::current(root, &device.folder)
        .and_then(|trigger| trigger.number("sampling_frequency"))
        .filter(|rate_hz| *rate_hz > 0.0)
        .or(own_hz)
        .unwrap_or_else(|| wanted.rate_hz.into())
}

fn depth(wanted: &IioImuSettings, rate_hz: f64) -> Depth {
    let watermark = (rate_hz * f64::from(wanted.latency_ms) * 1e-3).floor().max(1.0) as usize;
    let length = wanted.buffer_samples.unwrap_or(rate_hz.ceil() as usize);
    let length = length.max(2 * watermark);
    Depth { length, watermark }
}

/// Lets the kernel stamp with the host clock where it can; otherwise its stamps have to be mapped.
fn stamps(device: &Device) -> Option<Box<ClockMap>> {
    let set = device.folder.write(TIMESTAMP_CLOCK, "monotonic").is_ok();
    let is_host = set && device.folder.text(TIMESTAMP_CLOCK).as_deref() == Some("monotonic");
    (!is_host).then(|| Box::new(ClockMap::new(ClockMapSpec::default())))
}

#[derive(Debug)]
enum Capture {
    Buffered {
        buffer: Buffer,
        /// Of the kernel's stamps, where they are of another clock than the host's.
        map: Option<Box<ClockMap>>,
    },
    Polled(Polled),
}

/// One device, running.
struct IioImuSource {
    stream: StreamId,
    format: Format,
    clock: Arc<dyn Clock>,
    device: Device,
    conversion: Conversion,
    capture: Capture,
    period: Duration,
    next_question: Timestamp,
    /// When the sample handed out last was captured.
    last: Option<Timestamp>,
    seq: u64,
    frame: [u8; Format::IMU_FRAME_BYTES],
}

impl IioImuSource {
    /// The next sample's counts and capture time.
    fn next(&mut self, patience: Timestamp) -> Result<Option<([i64; 6], Timestamp)>, SourceError> {
        let (buffer, map) = match &mut self.capture {
            Capture::Polled(polled) => {
                if self.next_question > patience {
                    self.clock.wait_until(patience);
                    return Ok(None);
                }
                self.clock.wait_until(self.next_question);
                let asked = self.clock.now();
                let counts = polled.counts()?;
                let took = self.clock.now().since(asked);
                // Questions that are too late are left out.
                let late = asked.since(self.next_question).as_secs_f64() / self.period.as_secs_f64();
                self.next_question = self.next_question.after(self.period.mul_f64(late.floor() + 1.0));
                return Ok(Some((counts, asked.after(took / 2))));
            }
            Capture::Buffered { buffer, map } => (buffer, map),
        };
        loop {
            if let Some(scan) = buffer.next() {
                let captured = match map {
                    // The map errs by microseconds; no sample is from the future all the same.
                    Some(map) => map.map(scan.stamp_ns).unwrap_or(Timestamp::ZERO).min(self.clock.now()),
                    None => Timestamp::from_nanos(scan.stamp_ns),
                };
                return Ok(Some((scan.counts, captured)));
            }
            let now = self.clock.now();
            let left = patience.since(now);
            buffer.fill(left)?;
            if let (Some(map), Some(stamp_ns)) = (map.as_mut(), buffer.newest_stamp_ns()) {
                map.observe(stamp_ns, self.clock.now());
            }
            if left.is_zero() && buffer.newest_stamp_ns().is_none() {
                return Ok(None);
            }
        }
    }
}

impl Source for IioImuSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let patience = self.clock.now().after(timeout);
        let Some((counts, captured)) = self.next(patience)? else {
            // A driver that was unloaded says nothing: its folder goes.
            if !self.device.folder.has("name") {
                return Err(SourceError::new(
                    ErrorKind::Gone,
                    format!("{}: its folder is gone: was it pulled?", self.device.identity()),
                ));
            }
            return Ok(Reading::Waiting);
        };
        if let Some(last) = self.last {
            let periods = captured.since(last).as_secs_f64() / self.period.as_secs_f64();
            if periods > GAP_PERIODS {
                self.seq += (periods.round() as u64).saturating_sub(1);
            }
        }
        let captured = self.last.map_or(captured, |last| captured.max(last));
        self.last = Some(captured);
        let sample = self.conversion.sample(&counts);
        for (bytes, value) in self.frame.as_chunks_mut::<4>().0.iter_mut().zip(sample) {
            *bytes = value.to_le_bytes();
        }
        let seq = self.seq;
        self.seq += 1;
        Ok(Reading::Frame(Frame {
            seq,
            captured,
            calibrating: false,
            data: &self.frame,
        }))
    }

    fn clock_fix(&self) -> Option<ClockFix> {
        match &self.capture {
            Capture::Buffered { map, .. } => map.as_ref()?.fix(),
            Capture::Polled(_) => None,
        }
    }
}

impl fmt::Debug for IioImuSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IioImuSource")
            .field("stream", &self.stream)
            .field("device", &self.device)
            .field("capture", &self.capture)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        for (settings, word) in [
            (
                toml::toml! { device = "bmi160"
                rate_hz = -1.0 },
                "rate_hz",
            ),
            (
                toml::toml! { device = "bmi160"
                latency_ms = 2000 },
                "latency_ms",
            ),
            (
                toml::toml! { device = "bmi160"
                buffer_samples = 1 },
                "buffer_samples",
            ),
            (
                toml::toml! { device = "bmi160"
                orientation = ["+x", "+z", "+y"] },
                "left-handed",
            ),
        ] {
            let error = IioImu.check(&settings).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
            assert!(
                error.message.contains("iio_imu") && error.message.contains(word),
                "{error}"
            );
        }
    }
}
