//! Inertial chips on I2C and SPI, read through their FIFOs.
//!
//! A chip measures by its own oscillator, per cents off, and hands over what its FIFO has gathered some milliseconds
//! later. Each sample's capture time is its place on the chip's clock (or its number, for chips that stamp nothing),
//! mapped to the host's.

use crate::bus::{BusError, FirstEnd, I2cNode, Place, SpiNode};
use crate::orientation::Orientation;
use crate::settings;
use linux_embedded_hal::Delay;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sensebind_chips::imu::bmi160::Bmi160;
use sensebind_chips::imu::icm20948::Icm20948;
use sensebind_chips::imu::icm42688::Icm42688;
use sensebind_chips::imu::lsm6dsox::Lsm6dsox;
use sensebind_chips::imu::mpu6050::Mpu6050;
use sensebind_chips::imu::{self, FifoRead, Gap, Running, Sample, Setting, TickSource};
use sensebind_chips::registers::{I2cRegisters, SpiRegisters};
use sensebind_core::{
    Clock, ClockFix, ClockMap, ClockMapSpec, Driver, ErrorKind, Format, Found, Frame, Reading, Sense, Settings, Source,
    SourceError, StreamId, Timestamp,
};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Chip = Box<dyn imu::ImuChip<BusError = BusError> + Send>;

/// A chip that a board can name.
struct Model {
    name: &'static str,
    /// The I2C address it has unless its address pin says otherwise.
    address: u8,
    on_i2c: fn(I2cRegisters<I2cNode>) -> Chip,
    on_spi: Option<fn(SpiRegisters<SpiNode>) -> Chip>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every chip: a new one is a file in `sensebind-chips` and an entry here.
static MODELS: &[Model] = &[
    Model {
        name: "bmi160",
        address: 0x68,
        on_i2c: |registers| Box::new(Bmi160::new(registers)),
        on_spi: Some(|registers| Box::new(Bmi160::new(registers))),
    },
    Model {
        name: "icm20948",
        address: 0x68,
        on_i2c: |registers| Box::new(Icm20948::new(registers)),
        on_spi: Some(|registers| Box::new(Icm20948::new(registers))),
    },
    Model {
        name: "icm42688",
        address: 0x68,
        on_i2c: |registers| Box::new(Icm42688::new(registers)),
        on_spi: Some(|registers| Box::new(Icm42688::new(registers))),
    },
    Model {
        name: "lsm6dsox",
        address: 0x6a,
        on_i2c: |registers| Box::new(Lsm6dsox::new(registers)),
        on_spi: Some(|registers| Box::new(Lsm6dsox::new(registers))),
    },
    Model {
        name: "mpu6050",
        address: 0x68,
        on_i2c: |registers| Box::new(Mpu6050::new(registers)),
        on_spi: None,
    },
    Model {
        name: "mpu9250",
        address: 0x68,
        on_i2c: |registers| Box::new(Mpu6050::new(registers)),
        on_spi: Some(|registers| Box::new(Mpu6050::new(registers))),
    },
];

/// Every chip here speaks at this rate on SPI; it is enough for 24 000 samples a second.
const SPI_HZ: u32 = 1_000_000;
/// The longest that samples may wait in the chip unless a board says otherwise.
const LATENCY_MS: u32 = 15;
/// Fewest samples taken from the chip at once, so that slow chips with small FIFOs are emptied in one go too.
const BATCH_MIN: usize = 16;
/// More than the longest burst of any chip brings.
const BATCH_MAX: usize = 512;
/// Transactions that fail one after the other before the sensor is given up; passing faults are shorter.
const TRIES: u32 = 5;
const RETRY_AFTER: Duration = Duration::from_millis(2);
/// Without a sample for so many periods, and no less than so long, the chip has lost its set-up: a power cut resets it.
const SILENT_PERIODS: f64 = 10.0;
const SILENT_AT_LEAST: Duration = Duration::from_millis(250);
/// The oscillators inside are trimmed to some per cents.
const DRIFT_PPM: f64 = 50_000.0;
/// A sample count that missed an unknown number leaps so far ahead: the clock map then starts anew, with the drift it
/// knew.
const LEAP: Duration = Duration::from_secs(3600);

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ImuChipSettings {
    /// Which chip it is.
    chip: ChipName,
    /// The I2C bus it hangs on, as in `/dev/i2c-1`; either this or `spi`.
    i2c: Option<String>,
    /// Its I2C address, 7 bits; without it, the one it has while its address pin is low.
    address: Option<u8>,
    /// The SPI device it is, as in `/dev/spidev0.0`; either this or `i2c`.
    spi: Option<String>,
    /// The SPI clock in hertz; without it, 1 MHz, which every chip can.
    speed_hz: Option<u32>,
    /// Samples per second: the chip runs at its lowest rate that is not below.
    #[serde(default = "rate_hz")]
    rate_hz: f32,
    /// Accelerations up to this many g must be measurable.
    #[serde(default = "acceleration_range_g")]
    acceleration_range_g: u16,
    /// Angular rates up to this many degrees per second must be measurable.
    #[serde(default = "angular_rate_range_dps")]
    angular_rate_range_dps: u16,
    /// How it is mounted: for the board's x, y and z, the chip's axis that points the same way. With
    /// `["+x", "-z", "+y"]` the chip stands on its edge. Without it, the chip's axes are the board's.
    #[serde(default)]
    orientation: Orientation,
    /// The longest that samples wait in the chip before they are read, milliseconds; less where its FIFO is small.
    #[serde(default = "latency_ms")]
    latency_ms: u32,
}

fn rate_hz() -> f32 {
    Setting::default().rate_hz
}

fn acceleration_range_g() -> u16 {
    Setting::default().acceleration_range_g
}

fn angular_rate_range_dps() -> u16 {
    Setting::default().angular_rate_range_dps
}

fn latency_ms() -> u32 {
    LATENCY_MS
}

/// A chip of the list, by name.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct ChipName(&'static Model);

impl TryFrom<String> for ChipName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let model = MODELS.iter().find(|model| model.name == name);
        model
            .map(Self)
            .ok_or_else(|| format!("expected one of {MODELS:?} as chip, found {name:?}"))
    }
}

impl JsonSchema for ChipName {
    fn schema_name() -> Cow<'static, str> {
        "ChipName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// What a board says, understood.
#[derive(Debug)]
struct Plan {
    model: &'static Model,
    place: Place,
    setting: Setting,
    orientation: Orientation,
    latency: Duration,
}

/// The driver.
#[derive(Debug)]
pub struct ImuChip;

impl ImuChip {
    fn plan(&self, settings: &Settings) -> Result<Plan, SourceError> {
        let wanted: ImuChipSettings = settings::parse(self.name(), settings)?;
        let refuse = |why: String| {
            Err(SourceError::new(
                ErrorKind::Misconfigured,
                format!("driver {}: {why}", self.name()),
            ))
        };
        let ChipName(model) = wanted.chip;
        let place = match (wanted.i2c, wanted.spi) {
            (Some(node), None) if wanted.speed_hz.is_none() => Place::I2c {
                node,
                address: wanted.address.unwrap_or(model.address),
            },
            (None, Some(node)) if wanted.address.is_none() => Place::Spi {
                node,
                speed_hz: wanted.speed_hz.unwrap_or(SPI_HZ),
            },
            (Some(_), None) => return refuse("`speed_hz` is of SPI, found it beside `i2c`: remove it".to_owned()),
            (None, Some(_)) => return refuse("`address` is of I2C, found it beside `spi`: remove it".to_owned()),
            (both, _) => {
                let found = if both.is_some() { "both" } else { "neither" };
                return refuse(format!(
                    "expected one of `i2c` (as in \"/dev/i2c-1\") and `spi` (as in \"/dev/spidev0.0\"), found {found}"
                ));
            }
        };
        match place {
            // The rest of the addresses is reserved (UM10204, section 3.1.12).
            Place::I2c { address, .. } if !(0x08..=0x77).contains(&address) => {
                return refuse(format!("`address` must be 0x08 to 0x77, found {address:#04x}"));
            }
            Place::Spi { .. } if model.on_spi.is_none() => {
                return refuse(format!("{} has no SPI: name the `i2c` bus it hangs on", model.name));
            }
            Place::Spi { speed_hz: 0, .. } => return refuse("`speed_hz` must be above 0".to_owned()),
            _ => {}
        }
        if !(wanted.rate_hz.is_finite() && wanted.rate_hz > 0.0) {
            return refuse(format!("`rate_hz` must be above 0, found {}", wanted.rate_hz));
        }
        if wanted.acceleration_range_g == 0 || wanted.angular_rate_range_dps == 0 {
            return refuse("ranges must be above 0".to_owned());
        }
        if !(1..=1000).contains(&wanted.latency_ms) {
            return refuse(format!(
                "`latency_ms` must be 1 to 1000, found {}: the default is {LATENCY_MS}",
                wanted.latency_ms
            ));
        }
        Ok(Plan {
            model,
            place,
            setting: Setting {
                rate_hz: wanted.rate_hz,
                acceleration_range_g: wanted.acceleration_range_g,
                angular_rate_range_dps: wanted.angular_rate_range_dps,
            },
            orientation: wanted.orientation,
            latency: Duration::from_millis(wanted.latency_ms.into()),
        })
    }
}

impl Driver for ImuChip {
    fn name(&self) -> &'static str {
        "imu_chip"
    }

    fn about(&self) -> &'static str {
        "an inertial chip (accelerometer and gyroscope) on I2C or SPI, read through its FIFO"
    }

    /// Nothing: asking every address of every bus who is there upsets chips that take a read for a command, and those
    /// that the kernel knows are found by the driver `iio_imu`.
    fn find(&self) -> Vec<Found> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        settings::schema::<ImuChipSettings>()
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
        let plan = self.plan(settings)?;
        let count_read = FirstEnd::new(clock);
        let mut chip = connect(&plan, &count_read)?;
        let running = chip
            .configure(&plan.setting, &mut Delay)
            .map_err(|error| plan.fault("setting the chip up", error))?;
        Ok(Box::new(ImuChipSource::new(
            stream, clock, plan, chip, count_read, running,
        )))
    }
}

/// One chip, running.
struct ImuChipSource {
    stream: StreamId,
    format: Format,
    clock: Arc<dyn Clock>,
    chip: Chip,
    /// Every reading of a FIFO begins by asking what it holds: those samples were taken by then.
    count_read: FirstEnd,
    plan: Plan,
    running: Running,
    period: Duration,
    /// From one reading of the FIFO to the next.
    interval: Duration,
    silent_after: Duration,
    /// The samples last read: those from `given` to `held` are still to be handed out.
    samples: Vec<Sample>,
    given: usize,
    held: usize,
    next_reading: Timestamp,
    map: ClockMap,
    /// Of the device's clock, to be added to the chip's ticks: samples that no count knows of.
    skipped: Duration,
    /// Samples are missing before those that come next.
    gap: Option<Gap>,
    /// The sample read last: its ticks and capture time.
    last: Option<(u64, Timestamp)>,
    seq: u64,
    empty_since: Option<Timestamp>,
    failures_in_a_row: u32,
    failures: u64,
    frame: [u8; Format::IMU_FRAME_BYTES],
}

impl ImuChipSource {
    fn new(
        stream: &StreamId,
        clock: &Arc<dyn Clock>,
        plan: Plan,
        chip: Chip,
        count_read: FirstEnd,
        running: Running,
    ) -> Self {
        let period = Duration::from_secs_f64(1.0 / running.rate_hz);
        let half_full = period.mul_f64(running.fifo_samples as f64 / 2.0);
        Self {
            stream: stream.clone(),
            format: Format::Imu {
                rate_hz: running.rate_hz as f32,
            },
            clock: Arc::clone(clock),
            chip,
            count_read,
            running,
            period,
            interval: plan.latency.min(half_full),
            silent_after: period.mul_f64(SILENT_PERIODS).max(SILENT_AT_LEAST),
            plan,
            samples: vec![Sample::default(); running.fifo_samples.clamp(BATCH_MIN, BATCH_MAX)],
            given: 0,
            held: 0,
            next_reading: clock.now(),
            map: ClockMap::new(ClockMapSpec {
                max_drift_ppm: DRIFT_PPM,
                ..ClockMapSpec::default()
            }),
            skipped: Duration::ZERO,
            gap: None,
            last: None,
            seq: 0,
            empty_since: None,
            failures_in_a_row: 0,
            failures: 0,
            frame: [0; Format::IMU_FRAME_BYTES],
        }
    }

    /// Reads the FIFO once. It may bring nothing.
    fn fetch(&mut self) -> Result<(), SourceError> {
        let asked = self.clock.now();
        (self.given, self.held) = (0, 0);
        self.count_read.reset();
        let read = match self.chip.read_fifo(&mut self.samples) {
            Ok(read) => read,
            Err(imu::Error::Bus(error)) => return self.failed(asked, error),
            Err(error) => return Err(self.plan.fault("reading the FIFO", error)),
        };
        self.failures_in_a_row = 0;
        self.next_reading = asked.after(self.interval);
        if let Some(gap) = read.gap {
            self.gap = Some(self.gap.map_or(gap, |before| both(before, gap)));
        }
        if read.samples == 0 {
            // A gap, too, is a sign of life.
            let since = *self.empty_since.get_or_insert(asked);
            if read.gap.is_some() {
                self.empty_since = None;
            } else if asked.since(since) > self.silent_after {
                return Err(SourceError::new(
                    ErrorKind::Reopen,
                    format!(
                        "{} at {}: no sample for {} ms: it was reset or lost power, and has to be set up again",
                        self.chip.name(),
                        self.plan.place,
                        asked.since(since).as_millis()
                    ),
                ));
            }
            return Ok(());
        }
        self.empty_since = None;
        self.place(read);
        if read.more {
            self.next_reading = asked;
        } else if let Some((_, newest)) = self.last {
            // Slow chips are not asked before the next sample is due.
            self.next_reading = self.next_reading.max(newest.after(self.period));
        }
        Ok(())
    }

    /// Puts samples just read in their places: numbers, and the chip's clock on the host's.
    fn place(&mut self, read: FifoRead) {
        self.held = read.samples;
        let (Some(first), Some(newest)) = (self.samples.first(), self.samples.get(read.samples.saturating_sub(1)))
        else {
            return;
        };
        let (first, newest) = (first.device_ticks, newest.device_ticks);
        let gap = self.gap.take();
        let counted = gap.map_or(Some(0), |gap| gap.lost_samples.map(u64::from));
        if self.running.tick_source == TickSource::SampleCount {
            self.skipped += counted.map_or(LEAP, |lost| self.period.mul_f64(lost as f64));
        }
        // Samples that came later than the count are no witnesses of its time.
        if let Some(sample) = read
            .samples
            .checked_sub(read.late + 1)
            .and_then(|at| self.samples.get(at))
        {
            self.map
                .observe(self.device_ns(sample.device_ticks), self.count_read.at());
        } else if self.last.is_none() {
            self.map.observe(self.device_ns(newest), self.clock.now());
        }
        if let Some((ticks, captured)) = self.last {
            let elapsed = match self.running.tick_source {
                TickSource::ChipClock => {
                    Duration::from_secs_f64(first.saturating_sub(ticks) as f64 * self.running.tick_s)
                }
                TickSource::SampleCount => self.captured(first).since(captured),
            };
            let missing = (elapsed.as_secs_f64() * self.running.rate_hz).round() as u64;
            self.seq += counted.unwrap_or_else(|| missing.saturating_sub(1).max(1));
        }
        self.last = Some((newest, self.captured(newest)));
    }

    fn device_ns(&self, ticks: u64) -> u64 {
        let skipped = u64::try_from(self.skipped.as_nanos()).unwrap_or(u64::MAX);
        // f64 holds nanoseconds of 104 days exactly.
        ((ticks as f64 * self.running.tick_s * 1e9) as u64).saturating_add(skipped)
    }

    fn captured(&self, ticks: u64) -> Timestamp {
        // Observed before, so mapped.
        self.map.map(self.device_ns(ticks)).unwrap_or(Timestamp::ZERO)
    }

    /// A transaction failed: bearable until too many do in a row.
    fn failed(&mut self, at: Timestamp, error: BusError) -> Result<(), SourceError> {
        self.failures += 1;
        self.failures_in_a_row += 1;
        if error.is_final() || self.failures_in_a_row >= TRIES {
            let doing = format!(
                "reading the FIFO ({} tries in a row failed, {} since it was opened)",
                self.failures_in_a_row, self.failures
            );
            return Err(self.plan.place.fault(&doing, error));
        }
        self.next_reading = at.after(RETRY_AFTER);
        Ok(())
    }
}

impl Source for ImuChipSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let patience = self.clock.now().after(timeout);
        while self.given == self.held {
            if self.next_reading > patience {
                self.clock.wait_until(patience);
                return Ok(Reading::Waiting);
            }
            self.clock.wait_until(self.next_reading);
            self.fetch()?;
        }
        let sample = self.samples.get(self.given).copied().unwrap_or_default();
        self.given += 1;
        let acceleration = self.plan.orientation.turn(sample.acceleration_m_s2);
        let angular_rate = self.plan.orientation.turn(sample.angular_rate_rad_s);
        for (bytes, value) in self
            .frame
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(acceleration.into_iter().chain(angular_rate))
        {
            *bytes = value.to_le_bytes();
        }
        let seq = self.seq;
        self.seq += 1;
        Ok(Reading::Frame(Frame {
            seq,
            captured: self.captured(sample.device_ticks),
            calibrating: false,
            data: &self.frame,
        }))
    }

    fn clock_fix(&self) -> Option<ClockFix> {
        self.map.fix()
    }
}

impl fmt::Debug for ImuChipSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImuChipSource")
            .field("stream", &self.stream)
            .field("plan", &self.plan)
            .field("running", &self.running)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl Plan {
    fn fault(&self, doing: &str, error: imu::Error<BusError>) -> SourceError {
        let kind = match error {
            imu::Error::Bus(error) => return self.place.fault(doing, error),
            // Nobody drives a SPI data line without a chip: it reads as all ones or all zeroes.
            imu::Error::WrongChip { found: 0x00 | 0xff, .. } if matches!(self.place, Place::Spi { .. }) => {
                ErrorKind::Gone
            }
            imu::Error::WrongChip { .. } | imu::Error::BeyondChip { .. } => ErrorKind::Misconfigured,
            imu::Error::Unexpected { .. } | imu::Error::NotConfigured { .. } => ErrorKind::Reopen,
        };
        SourceError::new(kind, format!("{}: {doing}: {error}", self.place))
    }
}

fn connect(plan: &Plan, count_read: &FirstEnd) -> Result<Chip, SourceError> {
    let Plan { model, place, .. } = plan;
    let failed = |error| place.fault("opening its node", error);
    match (place, model.on_spi) {
        (Place::I2c { node, address }, _) => {
            let bus = I2cNode::open(node, *address, count_read).map_err(|error| {
                if error.is_taken() {
                    SourceError::new(
                        ErrorKind::Misconfigured,
                        format!(
                            "{place}: a kernel driver has taken this chip: use the driver `iio_imu`, or unbind the \
                             kernel's"
                        ),
                    )
                } else {
                    failed(error)
                }
            })?;
            Ok((model.on_i2c)(I2cRegisters::new(bus, *address)))
        }
        (Place::Spi { node, speed_hz }, Some(on_spi)) => {
            let device = SpiNode::open(node, *speed_hz, count_read).map_err(failed)?;
            Ok(on_spi(SpiRegisters::new(device)))
        }
        (Place::Spi { .. }, None) => Err(SourceError::new(
            ErrorKind::Misconfigured,
            format!("{place}: {} has no SPI", model.name),
        )),
    }
}

/// Two gaps with no sample between are one.
fn both(first: Gap, second: Gap) -> Gap {
    Gap {
        cause: first.cause,
        lost_samples: first
            .lost_samples
            .zip(second.lost_samples)
            .map(|(first, second)| first.saturating_add(second)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_one_bus_each() {
        for (settings, word) in [
            (toml::toml! { chip = "bmi160" }, "neither"),
            (
                toml::toml! { chip = "bmi160"
                i2c = "/dev/i2c-1"
                spi = "/dev/spidev0.0" },
                "both",
            ),
            (
                toml::toml! { chip = "bmi160"
                i2c = "/dev/i2c-1"
                speed_hz = 1 },
                "speed_hz",
            ),
            (
                toml::toml! { chip = "bmi160"
                spi = "/dev/spidev0.0"
                address = 0x68 },
                "address",
            ),
            (
                toml::toml! { chip = "mpu6050"
                spi = "/dev/spidev0.0" },
                "no SPI",
            ),
            (
                toml::toml! { chip = "bmi160"
                i2c = "/dev/i2c-1"
                address = 0x78 },
                "0x78",
            ),
            (
                toml::toml! { chip = "bmi160"
                i2c = "/dev/i2c-1"
                rate_hz = 0.0 },
                "rate_hz",
            ),
            (
                toml::toml! { chip = "bmi160"
                i2c = "/dev/i2c-1"
                latency_ms = 0 },
                "latency_ms",
            ),
            (
                toml::toml! { chip = "bmi161"
                i2c = "/dev/i2c-1" },
                "bmi160",
            ),
            (
                toml::toml! { chip = "bmi160"
                i2c = "/dev/i2c-1"
                orientation = ["+x", "+y", "-z"] },
                "left-handed",
            ),
        ] {
            let error = ImuChip.check(&settings).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
            assert!(
                error.message.contains("imu_chip") && error.message.contains(word),
                "{error}"
            );
        }
    }

    #[test]
    fn models_are_sorted_by_name() {
        assert!(MODELS.is_sorted_by_key(|model| model.name));
    }
}
