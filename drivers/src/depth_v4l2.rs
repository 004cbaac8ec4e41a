//! Depth cameras that give 16-bit distances as video: V4L2 `Z16 ` (RealSense and the like), or `Y16 ` in millimetres.
//!
//! What one count of `Z16 ` means is a setting of the device that V4L2 does not tell: the board file says it. The clock
//! of capture times is as in [`v4l2_camera`](crate::v4l2_camera).

use crate::settings;
use crate::v4l2::{self, Camera, Identity, Layout, Picture, Pictures, Wanted};
use schemars::{JsonSchema, Schema};
use sensebind_core::{
    Clock, DepthUnit, Driver, ErrorKind, Format, Found, Frame, Reading, Sense, Settings, Source, SourceError, StreamId,
};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use v4l::FourCC;

/// Bytes of a pixel.
const PIXEL: usize = 2;
/// `Y16 ` of a depth camera is in millimetres.
const MILLIMETRE: f32 = 0.001;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DepthSettings {
    /// Which camera: `usb:VENDOR:PRODUCT:SERIAL` (serial optional; lsusb -v gives them), `bus:PLACE` for one USB socket or
    /// connector, `card:NAME`, or a path such as `/dev/v4l/by-id/...`. Looked up at every open.
    device: Identity,
    /// How the camera shall code distances: `Z16` (without it) or `Y16`.
    #[serde(default)]
    pixel_format: PixelFormat,
    /// What one count is, in metres. Mandatory for `Z16`: the depth scale that the camera is set to, 0.001 for a RealSense
    /// D400 as it comes. `Y16` is in millimetres, 0.001, unless said.
    metres_per_count: Option<f32>,
    /// Focal length in pixels of the depth picture, from the camera's calibration: needed for disparity.
    focal_px: Option<f32>,
    /// Pixels per row; with `height`, or neither for the camera's current size.
    width: Option<u32>,
    /// Rows; with `width`, or neither for the camera's current size.
    height: Option<u32>,
    /// Frames per second; without it, the camera's current rate.
    rate_hz: Option<f32>,
    /// Milliseconds from the capture of a picture to the camera's stamp, taken off every capture time; 0 without it.
    latency_ms: Option<f32>,
}

/// Pixel formats by their V4L2 codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum PixelFormat {
    #[default]
    Z16,
    Y16,
}

impl PixelFormat {
    fn code(self) -> FourCC {
        FourCC {
            repr: match self {
                Self::Z16 => *b"Z16 ",
                Self::Y16 => *b"Y16 ",
            },
        }
    }
}

/// Settings that hold together.
#[derive(Debug)]
struct Checked {
    device: Identity,
    wanted: Wanted,
    metres_per_count: f32,
    focal_px: Option<f32>,
    latency: Duration,
}

/// The driver.
#[derive(Debug)]
pub struct DepthV4l2;

impl DepthV4l2 {
    fn parse(&self, settings: &Settings) -> Result<Checked, SourceError> {
        let s: DepthSettings = settings::parse(self.name(), settings)?;
        let refuse = |what: String| {
            let message = format!("driver {}: {what}", self.name());
            Err(SourceError::new(ErrorKind::Misconfigured, message))
        };
        let metres_per_count = match (s.metres_per_count, s.pixel_format) {
            (Some(metres), _) if !(metres > 0.0 && metres <= 1.0) => {
                return refuse(format!(
                    "metres_per_count {metres}: expected metres, more than 0 and at most 1 (0.001 for millimetres)"
                ));
            }
            (Some(metres), _) => metres,
            (None, PixelFormat::Y16) => MILLIMETRE,
            (None, PixelFormat::Z16) => {
                return refuse(
                    "metres_per_count is missing: Z16 does not say what one count is; set the camera's depth scale \
                     (0.001 for millimetres)"
                        .to_owned(),
                );
            }
        };
        if let Some(focal) = s.focal_px
            && !(focal > 0.0 && focal.is_finite())
        {
            return refuse(format!("focal_px {focal}: expected pixels, more than 0"));
        }
        Ok(Checked {
            device: s.device,
            wanted: Wanted::new(self.name(), vec![s.pixel_format.code()], (s.width, s.height), s.rate_hz)?,
            metres_per_count,
            focal_px: s.focal_px,
            latency: v4l2::latency(self.name(), s.latency_ms)?,
        })
    }
}

impl Driver for DepthV4l2 {
    fn name(&self) -> &'static str {
        "depth_v4l2"
    }

    fn about(&self) -> &'static str {
        "a depth camera that gives 16-bit distances as video: RealSense and the like"
    }

    /// Those with `Z16 `: `Y16 ` is as likely a thermal camera.
    fn find(&self) -> Vec<Found> {
        // No assumption of the driver's: a person pastes it, reads the line beside it and answers for it.
        let to_confirm = toml::toml! { metres_per_count = 0.001 };
        let mut found = v4l2::find("depth", |node| node.offers(&[PixelFormat::Z16.code()]), &to_confirm);
        for found in &mut found {
            found
                .about
                .push_str("; metres_per_count: confirm the depth scale that the camera is set to");
        }
        found
    }

    fn schema(&self) -> Schema {
        settings::schema::<DepthSettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        self.parse(settings).map(drop)
    }

    fn sense(&self, settings: &Settings) -> Result<Sense, SourceError> {
        self.check(settings).map(|()| Sense::Depth)
    }

    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let checked = self.parse(settings)?;
        let camera = Camera::open(&checked.device, checked.wanted.formats())?;
        let agreed = checked.wanted.agree(&camera)?;
        let layout = Layout::Rows {
            rows: agreed.height as usize,
            row_bytes: agreed.width as usize * PIXEL,
        };
        Ok(Box::new(DepthSource {
            pictures: Pictures::start(camera, &agreed, layout, checked.latency, clock)?,
            stream: stream.clone(),
            format: Format::Depth {
                width: agreed.width,
                height: agreed.height,
                unit: DepthUnit::MetresPerCount(checked.metres_per_count),
                focal_px: checked.focal_px,
                rate_hz: agreed.rate_hz,
            },
        }))
    }
}

/// One open depth camera.
struct DepthSource {
    pictures: Pictures,
    stream: StreamId,
    format: Format,
}

impl Source for DepthSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        Ok(match self.pictures.next(timeout)? {
            None => Reading::Waiting,
            Some(Picture { seq, captured, data }) => Reading::Frame(Frame {
                seq,
                captured,
                calibrating: false,
                data,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_z16_is_mandatory_and_y16_is_millimetres() {
        let parse = |settings: Settings| DepthV4l2.parse(&settings);
        let z16 = toml::toml! { device = "usb:8086:0b07"
        metres_per_count = 0.0001
        focal_px = 380.5 };
        assert_eq!(parse(z16).unwrap().metres_per_count, 0.0001);
        let y16 = toml::toml! { device = "usb:8086:0b07"
        pixel_format = "Y16" };
        assert_eq!(parse(y16).unwrap().metres_per_count, 0.001);
        for (settings, expected) in [
            (toml::toml! { device = "usb:8086:0b07" }, "metres_per_count is missing"),
            (
                toml::toml! { device = "usb:8086:0b07"
                metres_per_count = 1000 },
                "metres_per_count 1000",
            ),
            (
                toml::toml! { device = "usb:8086:0b07"
                metres_per_count = 0.001
                focal_px = 0 },
                "focal_px 0",
            ),
        ] {
            let error = parse(settings).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured);
            assert!(error.message.contains(expected), "{error}");
        }
    }
}
