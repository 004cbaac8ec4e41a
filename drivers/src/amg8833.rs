//! Panasonic Grid-EYE AMG8833 (and AMG8834, 8853, 8854): 8x8 pixels on I2C.
//!
//! The chip does not say when it has a new frame: it is read once a frame period. What it then holds is up to one period
//! old and took another to measure, so that capture times are right to half a period either way. Where the chip's
//! oscillator is slower than the host's clock, now and then a frame comes twice.

use crate::bus::{BusError, I2cNode, Place};
use crate::settings;
use crate::thermal_array::{Array, ArraySource, Timing, open_i2c};
use linux_embedded_hal::Delay;
use schemars::{JsonSchema, Schema};
use sensebind_chips::thermal::amg8833::{self as chip, Error, Rate};
use sensebind_core::{Clock, Driver, ErrorKind, Found, Sense, Settings, Source, SourceError, StreamId};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Amg8833Settings {
    /// The I2C bus it hangs on, as in `/dev/i2c-1`.
    i2c: String,
    /// Its I2C address: 0x69, as on most modules, or 0x68 where its pin AD_SELECT is at ground.
    #[serde(default = "address")]
    address: u8,
    /// Frames per second: 10 or 1.
    #[serde(default = "rate_hz")]
    rate_hz: f32,
}

fn address() -> u8 {
    chip::ADDRESS_HIGH
}

fn rate_hz() -> f32 {
    10.0
}

/// The driver.
#[derive(Debug)]
pub struct Amg8833;

impl Amg8833 {
    fn parse(&self, settings: &Settings) -> Result<(Amg8833Settings, Rate), SourceError> {
        let wanted: Amg8833Settings = settings::parse(self.name(), settings)?;
        let refuse = |why: String| SourceError::new(ErrorKind::Misconfigured, format!("driver {}: {why}", self.name()));
        if ![chip::ADDRESS, chip::ADDRESS_HIGH].contains(&wanted.address) {
            return Err(refuse(format!(
                "`address` must be 0x68 or 0x69, found {:#04x}",
                wanted.address
            )));
        }
        let rate = [Rate::One, Rate::Ten]
            .into_iter()
            .find(|rate| wanted.rate_hz == rate.hz() as f32)
            .ok_or_else(|| refuse(format!("`rate_hz` must be 10 or 1, found {}", wanted.rate_hz)))?;
        Ok((wanted, rate))
    }
}

impl Driver for Amg8833 {
    fn name(&self) -> &'static str {
        "amg8833"
    }

    fn about(&self) -> &'static str {
        "a thermal array of 8x8 pixels on I2C: Panasonic Grid-EYE AMG8833"
    }

    /// Nothing: asking every address of every bus who is there upsets chips that take a read for a command, and inertial
    /// chips have the same addresses.
    fn find(&self) -> Vec<Found> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        settings::schema::<Amg8833Settings>()
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
        let (Amg8833Settings { i2c: node, address, .. }, rate) = self.parse(settings)?;
        let place = Place::I2c {
            node: node.clone(),
            address,
        };
        let i2c = open_i2c(&node, address, &place, clock)?;
        let chip = chip::Amg8833::start(i2c, address, rate, &mut Delay).map_err(|error| match error {
            Error::Bus(error) => place.fault("setting the chip up", error),
            error => SourceError::new(ErrorKind::Misconfigured, format!("{place}: {error}")),
        })?;
        let period = Duration::from_secs(1) / rate.hz();
        let timing = Timing {
            measurement: period,
            per_frame: 1,
            ask_after: period,
            ask_again_after: period,
            age: period * 3 / 2,
        };
        Ok(Box::new(ArraySource::new(stream, clock, place, chip, timing)))
    }
}

impl Array for chip::Amg8833<I2cNode> {
    fn bus_error(error: &Self::Error) -> Option<BusError> {
        match *error {
            Error::Bus(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_the_chip_cannot_have_are_refused() {
        for (settings, word) in [
            (
                toml::toml! { i2c = "/dev/i2c-1"
                address = 0x33 },
                "0x33",
            ),
            (
                toml::toml! { i2c = "/dev/i2c-1"
                rate_hz = 5 },
                "10 or 1",
            ),
            (toml::toml! { rate_hz = 10 }, "i2c"),
        ] {
            let error = Amg8833.check(&settings).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
            assert!(
                error.message.contains("amg8833") && error.message.contains(word),
                "{error}"
            );
        }
    }
}
