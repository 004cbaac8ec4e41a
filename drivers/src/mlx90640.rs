//! Melexis MLX90640: 32x24 pixels on I2C.
//!
//! The chip measures half of its pixels at a time; a frame is complete when both halves are new. Its capture time is the
//! start of the first half's exposure: two refresh periods before the second was found ready, right to a tenth of a
//! frame period or better.

use crate::bus::{BusError, I2cNode, Place};
use crate::settings;
use crate::thermal_array::{Array, ArraySource, Timing, open_i2c};
use schemars::{JsonSchema, Schema};
use sensebind_chips::thermal::ZERO_CELSIUS_K;
use sensebind_chips::thermal::mlx90640::{self as chip, EepromError, Error, Optics, RAM_WORDS, RefreshRate};
use sensebind_core::{Clock, Driver, ErrorKind, Found, Sense, Settings, Source, SourceError, StreamId};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Refresh periods per frame.
const HALVES: u32 = 2;
/// Of a refresh period, after which the next measurement is asked for: the chip's oscillator is off by some per cents.
const ASK_AFTER: f64 = 0.85;
const ASK_AGAIN_AFTER: f64 = 0.05;
const ASK_AGAIN_AT_MOST: Duration = Duration::from_millis(10);
const ASK_AGAIN_AT_LEAST: Duration = Duration::from_millis(1);

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Mlx90640Settings {
    /// The I2C bus it hangs on, as in `/dev/i2c-1`. At 100 kHz it bears 2 frames per second, at 400 kHz 8, at 1 MHz 32.
    i2c: String,
    /// Its I2C address, 7 bits: 0x33 unless it was programmed to another.
    #[serde(default = "address")]
    address: u8,
    /// Frames per second, of both halves: the chip runs at its lowest rate that is not below, among 0.25, 0.5, 1, 2, 4, 8,
    /// 16 and 32.
    #[serde(default = "rate_hz")]
    rate_hz: f32,
    /// Emissivity of the surfaces in view, above 0 and at most 1: skin 0.98, most paint 0.95, bare metal below 0.2.
    #[serde(default = "emissivity")]
    emissivity: f32,
    /// Temperature of what those surfaces reflect, in °C; without it, 8 K below the chip's own. Without effect at
    /// emissivity 1.
    reflected_celsius: Option<f32>,
    /// Longest I2C message in bytes, for adapters that take no more at once: 2 to 1664.
    #[serde(default = "message_bytes")]
    message_bytes: usize,
}

fn address() -> u8 {
    chip::ADDRESS
}

/// What a bus at 100 kHz bears, the rate at which most boards start it.
fn rate_hz() -> f32 {
    2.0
}

fn emissivity() -> f32 {
    Optics::default().emissivity
}

fn message_bytes() -> usize {
    2 * RAM_WORDS
}

/// The driver.
#[derive(Debug)]
pub struct Mlx90640;

impl Mlx90640 {
    fn parse(&self, settings: &Settings) -> Result<(Mlx90640Settings, chip::Settings), SourceError> {
        let wanted: Mlx90640Settings = settings::parse(self.name(), settings)?;
        let refuse = |why: String| {
            Err(SourceError::new(
                ErrorKind::Misconfigured,
                format!("driver {}: {why}", self.name()),
            ))
        };
        // The rest of the addresses is reserved (UM10204, section 3.1.12).
        if !(0x08..=0x77).contains(&wanted.address) {
            return refuse(format!("`address` must be 0x08 to 0x77, found {:#04x}", wanted.address));
        }
        if !(wanted.emissivity > 0.0 && wanted.emissivity <= 1.0) {
            return refuse(format!(
                "`emissivity` must be above 0 and at most 1, found {}",
                wanted.emissivity
            ));
        }
        let reflected_k = wanted.reflected_celsius.map(|celsius| celsius + ZERO_CELSIUS_K);
        if let Some(kelvin) = reflected_k
            && !(kelvin.is_finite() && kelvin > 0.0)
        {
            return refuse(format!(
                "`reflected_celsius` must be a temperature in °C, found {}",
                kelvin - ZERO_CELSIUS_K
            ));
        }
        if !(2..=2 * RAM_WORDS).contains(&wanted.message_bytes) {
            return refuse(format!(
                "`message_bytes` must be 2 to {}, found {}",
                2 * RAM_WORDS,
                wanted.message_bytes
            ));
        }
        let refresh = RefreshRate::ALL
            .into_iter()
            .find(|refresh| wanted.rate_hz > 0.0 && refresh.hz() >= wanted.rate_hz * HALVES as f32);
        let Some(refresh) = refresh else {
            return refuse(format!(
                "`rate_hz` must be above 0 and at most 32, found {}",
                wanted.rate_hz
            ));
        };
        let chip_settings = chip::Settings {
            refresh,
            optics: Optics {
                emissivity: wanted.emissivity,
                reflected_k,
            },
            message_words: wanted.message_bytes / 2,
        };
        Ok((wanted, chip_settings))
    }
}

impl Driver for Mlx90640 {
    fn name(&self) -> &'static str {
        "mlx90640"
    }

    fn about(&self) -> &'static str {
        "a thermal array of 32x24 pixels on I2C: Melexis MLX90640"
    }

    /// Nothing: asking every address of every bus who is there upsets chips that take a read for a command.
    fn find(&self) -> Vec<Found> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        settings::schema::<Mlx90640Settings>()
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
        let (Mlx90640Settings { i2c: node, address, .. }, chip_settings) = self.parse(settings)?;
        let place = Place::I2c {
            node: node.clone(),
            address,
        };
        let i2c = open_i2c(&node, address, &place, clock)?;
        let chip = chip::Mlx90640::start(i2c, address, chip_settings).map_err(|error| refused(&place, error))?;
        let period = Duration::from_secs_f32(1.0 / chip_settings.refresh.hz());
        let ask_again_after = period
            .mul_f64(ASK_AGAIN_AFTER)
            .clamp(ASK_AGAIN_AT_LEAST, ASK_AGAIN_AT_MOST);
        let timing = Timing {
            measurement: period,
            per_frame: HALVES,
            ask_after: period.mul_f64(ASK_AFTER),
            ask_again_after,
            age: period * HALVES + ask_again_after / 2,
        };
        Ok(Box::new(ArraySource::new(stream, clock, place, chip, timing)))
    }
}

/// Why the chip at `place` could not be set up.
fn refused(place: &Place, error: Error<BusError>) -> SourceError {
    let kind = match error {
        Error::Bus(error) if error.is_too_long() => {
            return SourceError::new(
                ErrorKind::Misconfigured,
                format!("{place}: its adapter takes no message of this length: set `message_bytes`, to 254, 62 or 30"),
            );
        }
        Error::Bus(error) => return place.fault("reading its calibration", error),
        Error::Eeprom(EepromError::Mlx90641) | Error::Settings(_) => ErrorKind::Misconfigured,
        // On a bus with faults the next reading may bring the calibration whole.
        _ => ErrorKind::Reopen,
    };
    SourceError::new(kind, format!("{place}: {error}"))
}

impl Array for chip::Mlx90640<I2cNode> {
    fn bus_error(error: &Self::Error) -> Option<BusError> {
        match *error {
            Error::Bus(error) => Some(error),
            _ => None,
        }
    }

    fn measurements(&self) -> u64 {
        self.counts().subpages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_lowest_that_is_not_below() {
        for (rate_hz, refresh) in [
            (0.1, RefreshRate::Half),
            (2.0, RefreshRate::Four),
            (2.1, RefreshRate::Eight),
            (32.0, RefreshRate::SixtyFour),
        ] {
            let mut settings = toml::toml! { i2c = "/dev/i2c-1" };
            settings.insert("rate_hz".to_owned(), rate_hz.into());
            assert_eq!(Mlx90640.parse(&settings).unwrap().1.refresh, refresh);
        }
    }

    #[test]
    fn settings_that_the_chip_cannot_have_are_refused() {
        for (setting, value) in [
            ("address", toml::Value::from(0x78)),
            ("rate_hz", 33.0.into()),
            ("rate_hz", 0.0.into()),
            ("emissivity", 0.0.into()),
            ("emissivity", 1.1.into()),
            ("reflected_celsius", (-300.0).into()),
            ("message_bytes", 1.into()),
            ("message_bytes", 1666.into()),
        ] {
            let mut settings = toml::toml! { i2c = "/dev/i2c-1" };
            settings.insert(setting.to_owned(), value);
            let error = Mlx90640.check(&settings).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
            assert!(
                error.message.contains("mlx90640") && error.message.contains(setting),
                "{error}"
            );
        }
    }
}
