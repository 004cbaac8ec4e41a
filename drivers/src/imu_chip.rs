//! Inertial chips on I2C and SPI, read through their FIFOs.
//!
//! A chip measures by its own oscillator, per cents off, and hands over what its FIFO has gathered some milliseconds
//! later. Each sample's capture time is its place on the chip's clock (or its number, for chips that stamp nothing),
//! mapped to the host's.

mod models;
mod source;

use crate::bus::{BusError, FirstEnd, I2cNode, Place, SpiNode};
use crate::orientation::Orientation;
use crate::settings;
use linux_embedded_hal::Delay;
use linux_embedded_hal::spidev::SpiModeFlags;
use models::{Chip, ChipName, Model};
use schemars::{JsonSchema, Schema};
use sensebind_chips::imu::{self, Setting};
use sensebind_chips::registers::{I2cRegisters, SpiRegisters};
use sensebind_core::{Clock, Driver, ErrorKind, Found, Sense, Settings, Source, SourceError, StreamId};
use serde::Deserialize;
use source::ImuChipSource;
use std::sync::Arc;
use std::time::Duration;

/// Every chip here speaks at this rate on SPI; it is enough for 24 000 samples a second.
const SPI_HZ: u32 = 1_000_000;
/// The longest that samples may wait in the chip unless a board says otherwise.
const LATENCY_MS: u32 = 15;

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
            let device = SpiNode::open(node, *speed_hz, SpiModeFlags::SPI_MODE_0, count_read).map_err(failed)?;
            Ok(on_spi(SpiRegisters::new(device)))
        }
        (Place::Spi { .. }, None) => Err(SourceError::new(
            ErrorKind::Misconfigured,
            format!("{place}: {} has no SPI", model.name),
        )),
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
}
