//! Thermal cameras that give 16-bit temperatures as video (V4L2 `Y16 `): a FLIR Lepton on a PureThermal board and the like.
//!
//! The camera must be set to linear temperature (TLinear), and the board file says its resolution: `Y16 ` alone does not
//! tell it, and the USB extension unit in which a PureThermal hides it is not read. Where the camera appends telemetry
//! rows, they are cut off and read: pictures during a flat-field correction are marked, and a resolution other than the
//! board's is refused.

use crate::settings;
use crate::v4l2::{self, Camera, Identity, Layout, Picture, Pictures, Wanted};
use schemars::{JsonSchema, Schema};
use sensebind_chips::thermal::FfcState;
use sensebind_chips::thermal::lepton::{Resolution, Telemetry};
use sensebind_core::{
    Clock, Driver, ErrorKind, Format, Found, Frame, Reading, Sense, Settings, Source, SourceError, StreamId,
    ThermalUnit,
};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use v4l::FourCC;

const Y16: FourCC = FourCC { repr: *b"Y16 " };
const Z16: FourCC = FourCC { repr: *b"Z16 " };
/// Bytes of a pixel.
const PIXEL: usize = 2;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ThermalSettings {
    /// Which camera: `usb:VENDOR:PRODUCT:SERIAL` (serial optional; lsusb -v gives them), `bus:PLACE` for one USB socket or
    /// connector, `card:NAME`, or a path such as `/dev/v4l/by-id/...`. Looked up at every open.
    device: Identity,
    /// What one count is, in kelvin: 0.01 or 0.1 for a Lepton, as its TLinear resolution is set.
    kelvin_per_count: f32,
    /// Pixels per row; with `height`, or neither for the camera's current size.
    width: Option<u32>,
    /// Rows as the camera gives them, telemetry included; with `width`, or neither for the camera's current size.
    height: Option<u32>,
    /// Frames per second; without it, the camera's current rate.
    rate_hz: Option<f32>,
    /// Rows of telemetry below the picture, cut off it: 2 for a Lepton 3 that gives 160x122, 3 for a Lepton 2 that gives
    /// 80x63; none without it.
    #[serde(default)]
    telemetry_rows: u32,
    /// Milliseconds from the capture of a picture to the camera's stamp, taken off every capture time; 0 without it.
    latency_ms: Option<f32>,
}

/// The driver.
#[derive(Debug)]
pub struct ThermalUvc;

impl ThermalUvc {
    fn parse(&self, settings: &Settings) -> Result<(ThermalSettings, Wanted, Duration), SourceError> {
        let s: ThermalSettings = settings::parse(self.name(), settings)?;
        if !(s.kelvin_per_count > 0.0 && s.kelvin_per_count <= 1.0) {
            let found = s.kelvin_per_count;
            return Err(refusal(format!(
                "driver {}: kelvin_per_count {found}: expected kelvin, more than 0 and at most 1 (a Lepton: 0.01 or 0.1)",
                self.name()
            )));
        }
        let wanted = Wanted::new(self.name(), vec![Y16], (s.width, s.height), s.rate_hz)?;
        let latency = v4l2::latency(self.name(), s.latency_ms)?;
        Ok((s, wanted, latency))
    }
}

impl Driver for ThermalUvc {
    fn name(&self) -> &'static str {
        "thermal_uvc"
    }

    fn about(&self) -> &'static str {
        "a thermal camera that gives 16-bit temperatures as USB video: PureThermal and the like"
    }

    fn find(&self) -> Vec<Found> {
        // No assumption of the driver's: a person pastes it, reads the line beside it and answers for it.
        let to_confirm = toml::toml! { kelvin_per_count = 0.01 };
        let suits = |node: &v4l2::Node| node.offers(&[Y16]) && !node.offers(&[Z16]);
        let mut found = v4l2::find("thermal", suits, &to_confirm);
        for found in &mut found {
            found
                .about
                .push_str("; kelvin_per_count: confirm the camera's TLinear resolution, 0.01 or 0.1");
        }
        found
    }

    fn schema(&self) -> Schema {
        settings::schema::<ThermalSettings>()
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
        let (settings, wanted, latency) = self.parse(settings)?;
        let camera = Camera::open(&settings.device, wanted.formats())?;
        let agreed = wanted.agree(&camera)?;
        let (width, height) = (agreed.width, agreed.height);
        let height = picture_rows(width, height, settings.telemetry_rows)
            .map_err(|why| refusal(format!("{}: {why}", settings.device)))?;
        let layout = Layout::Rows {
            rows: agreed.height as usize,
            row_bytes: width as usize * PIXEL,
        };
        Ok(Box::new(ThermalSource {
            pictures: Pictures::start(camera, &agreed, layout, latency, clock)?,
            stream: stream.clone(),
            picture_bytes: width as usize * height as usize * PIXEL,
            kelvin_per_count: settings.kelvin_per_count,
            format: Format::Thermal {
                width,
                height,
                unit: ThermalUnit::KelvinPerCount(settings.kelvin_per_count),
                rate_hz: agreed.rate_hz,
            },
        }))
    }
}

/// Rows of the picture without its telemetry.
fn picture_rows(width: u32, height: u32, telemetry_rows: u32) -> Result<u32, String> {
    let lepton = match (width, height) {
        (160, 122) => 2,
        (80, 63) => 3,
        _ => 0,
    };
    if lepton > 0 && telemetry_rows != lepton {
        return Err(format!(
            "{width}x{height} is a Lepton's picture with telemetry below it, and telemetry_rows is {telemetry_rows}: set \
             telemetry_rows = {lepton}"
        ));
    }
    match height.checked_sub(telemetry_rows) {
        Some(rows) if rows > 0 => Ok(rows),
        _ => Err(format!(
            "{width}x{height} with telemetry_rows = {telemetry_rows} leaves no picture: expected fewer than {height}"
        )),
    }
}

fn refusal(message: String) -> SourceError {
    SourceError::new(ErrorKind::Misconfigured, message)
}

/// One open thermal camera.
struct ThermalSource {
    pictures: Pictures,
    stream: StreamId,
    format: Format,
    /// Where the telemetry begins.
    picture_bytes: usize,
    kelvin_per_count: f32,
}

impl Source for ThermalSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let Some(Picture { seq, captured, data }) = self.pictures.next(timeout)? else {
            return Ok(Reading::Waiting);
        };
        let (data, telemetry) = data.split_at(self.picture_bytes);
        let telemetry = read_telemetry(telemetry);
        if let Some(telemetry) = &telemetry {
            confirm_unit(telemetry.tlinear, self.kelvin_per_count, &self.stream)?;
        }
        Ok(Reading::Frame(Frame {
            seq,
            captured,
            calibrating: telemetry.is_some_and(|telemetry| telemetry.ffc == FfcState::InProgress),
            data,
        }))
    }
}

/// What the bytes below a Lepton's picture say; nothing where they are no whole telemetry.
fn read_telemetry(bytes: &[u8]) -> Option<Telemetry> {
    let mut words = [0; Telemetry::WORDS];
    let bytes = bytes.get(..words.len() * PIXEL)?;
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(PIXEL)) {
        *word = u16::from_le_bytes([bytes[0], bytes[1]]);
    }
    Some(Telemetry::parse(&words))
}

/// Refuses to go on with a unit that the camera contradicts.
fn confirm_unit(tlinear: Option<Resolution>, stated: f32, stream: &StreamId) -> Result<(), SourceError> {
    match tlinear.map(Resolution::kelvin_per_count) {
        Some(actual) if (actual / stated - 1.0).abs() < 0.01 => Ok(()),
        Some(actual) => Err(refusal(format!(
            "{stream}: kelvin_per_count is {stated}, and the camera's telemetry says {actual}: set that"
        ))),
        None => Err(refusal(format!(
            "{stream}: kelvin_per_count is {stated}, and the camera's telemetry says that its counts are not linear in \
             temperature: turn TLinear on in the camera"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_is_read_as_the_pixels_are() {
        // Row A, low word of the status bits; row C, words 48 and 49.
        let mut bytes = vec![0; Telemetry::WORDS * PIXEL + 160];
        for (nth, word) in [(3, 2_u16 << 4), (208, 1), (209, 1)] {
            bytes[nth * PIXEL..][..PIXEL].copy_from_slice(&word.to_le_bytes());
        }
        let telemetry = read_telemetry(&bytes).unwrap();
        assert_eq!(
            (telemetry.ffc, telemetry.tlinear),
            (FfcState::InProgress, Some(Resolution::Centikelvin))
        );
        assert_eq!(read_telemetry(&bytes[..Telemetry::WORDS * PIXEL - 1]), None);
        assert_eq!(read_telemetry(&[]), None);
    }

    #[test]
    fn a_unit_that_the_camera_contradicts_is_refused() {
        let confirm = |tlinear| confirm_unit(tlinear, 0.01, &StreamId::new("thermal"));
        assert!(confirm(Some(Resolution::Centikelvin)).is_ok());
        let other = confirm(Some(Resolution::Decikelvin)).unwrap_err();
        assert!(
            other.message.contains("0.01") && other.message.contains("says 0.1"),
            "{other}"
        );
        let raw = confirm(None).unwrap_err();
        assert_eq!(raw.kind, ErrorKind::Misconfigured);
        assert!(raw.message.contains("TLinear"), "{raw}");
    }

    #[test]
    fn telemetry_is_never_taken_for_a_picture() {
        assert_eq!(picture_rows(160, 120, 0), Ok(120));
        assert_eq!(picture_rows(160, 122, 2), Ok(120));
        assert_eq!(picture_rows(80, 63, 3), Ok(60));
        assert!(picture_rows(160, 122, 0).unwrap_err().contains("telemetry_rows = 2"));
        assert!(picture_rows(160, 120, 120).unwrap_err().contains("leaves no picture"));
    }

    #[test]
    fn the_unit_is_mandatory() {
        let check = |settings: Settings| ThermalUvc.check(&settings);
        assert!(
            check(toml::toml! { device = "usb:1e4e:0100"
            kelvin_per_count = 0.01 })
            .is_ok()
        );
        let error = check(toml::toml! { device = "usb:1e4e:0100" }).unwrap_err();
        assert!(error.message.contains("kelvin_per_count"), "{error}");
        let error = check(toml::toml! { device = "usb:1e4e:0100"
        kelvin_per_count = 0 })
        .unwrap_err();
        assert!(error.message.contains("0.01 or 0.1"), "{error}");
    }
}
