//! Thermal cameras that give 16-bit temperatures as video (V4L2 `Y16 `): a FLIR Lepton on a PureThermal board and the like.
//!
//! The camera must be set to linear temperature (TLinear), and the board file says its resolution: `Y16 ` alone does not
//! tell it, and the USB extension unit in which a PureThermal hides it is not read. Where the camera appends telemetry
//! rows, they are cut off and read: pictures during a flat-field correction are marked, and a resolution other than the
//! board's is refused.
//!
//! Telemetry: FLIR "Lepton Engineering Datasheet", 500-0659-00-09 rev 203, section 3.4, tables 2 and 3.

use crate::settings;
use crate::v4l2::{self, Camera, Identity, Layout, Picture, Pictures, Wanted};
use schemars::{JsonSchema, Schema};
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
        let telemetry = Telemetry::read(telemetry);
        if let Some(telemetry) = &telemetry {
            telemetry.confirm(self.kelvin_per_count, &self.stream)?;
        }
        Ok(Reading::Frame(Frame {
            seq,
            captured,
            calibrating: telemetry.is_some_and(|telemetry| telemetry.calibrating),
            data,
        }))
    }
}

/// What the telemetry below a Lepton's picture says, of what matters here.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Telemetry {
    /// A flat-field correction is in progress: the shutter is in front of the sensor.
    calibrating: bool,
    /// Kelvin per count; none where counts are not linear in temperature.
    kelvin_per_count: Option<f32>,
}

impl Telemetry {
    /// Rows A, B and C, 80 words each.
    const WORDS: usize = 240;
    /// Row A, low word of the status bits; bits 4 and 5 are the state of the flat-field correction.
    const STATUS: usize = 3;
    const FFC_IN_PROGRESS: u16 = 2;
    /// Row C, words 48 and 49.
    const TLINEAR_ENABLED: usize = 208;
    const TLINEAR_RESOLUTION: usize = 209;

    /// Of the bytes below the picture; nothing where they are no whole telemetry.
    fn read(bytes: &[u8]) -> Option<Self> {
        let words = bytes.get(..Self::WORDS * PIXEL)?;
        let word = |nth: usize| u16::from_le_bytes([words[nth * PIXEL], words[nth * PIXEL + 1]]);
        let resolution = if word(Self::TLINEAR_RESOLUTION) == 0 { 0.1 } else { 0.01 };
        Some(Self {
            calibrating: word(Self::STATUS) >> 4 & 0b11 == Self::FFC_IN_PROGRESS,
            kelvin_per_count: (word(Self::TLINEAR_ENABLED) != 0).then_some(resolution),
        })
    }

    /// Refuses to go on with a unit that the camera contradicts.
    fn confirm(&self, stated: f32, stream: &StreamId) -> Result<(), SourceError> {
        match self.kelvin_per_count {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telemetry(words: &[(usize, u16)]) -> Vec<u8> {
        let mut bytes = vec![0; Telemetry::WORDS * PIXEL];
        for &(nth, word) in words {
            bytes[nth * PIXEL..][..PIXEL].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn telemetry_tells_correction_and_unit() {
        let read = |words: &[(usize, u16)]| Telemetry::read(&telemetry(words)).unwrap();
        for (state, calibrating) in [(0, false), (1, false), (2, true), (3, false)] {
            assert_eq!(read(&[(3, state << 4)]).calibrating, calibrating, "state {state}");
        }
        assert_eq!(read(&[]).kelvin_per_count, None);
        assert_eq!(read(&[(208, 1)]).kelvin_per_count, Some(0.1));
        assert_eq!(read(&[(208, 1), (209, 1)]).kelvin_per_count, Some(0.01));
        assert_eq!(Telemetry::read(&telemetry(&[])[1..]), None);
    }

    #[test]
    fn a_unit_that_the_camera_contradicts_is_refused() {
        let stream = StreamId::new("thermal");
        let says = |kelvin_per_count| Telemetry {
            calibrating: false,
            kelvin_per_count,
        };
        assert!(says(Some(0.01)).confirm(0.01, &stream).is_ok());
        let other = says(Some(0.1)).confirm(0.01, &stream).unwrap_err();
        assert!(
            other.message.contains("0.01") && other.message.contains("says 0.1"),
            "{other}"
        );
        let raw = says(None).confirm(0.01, &stream).unwrap_err();
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
