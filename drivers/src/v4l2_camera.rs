//! Cameras on Video4Linux2: USB webcams (UVC), capture cards, CSI cameras with a single-planar driver.
//!
//! Pictures as the camera gives them: YUYV, NV12, MJPG or GREY. Nothing is converted or copied; only where a camera pads
//! its rows are they moved together. Capture times are the kernel's stamps on the monotonic clock: USB cameras stamp the
//! start of exposure, most others the end of the frame, for which there is `latency_ms`. A kernel that stamps with another
//! clock leaves the time of arrival.

use crate::settings;
use crate::v4l2::{self, Agreed, Camera, Identity, Layout, Picture, Pictures, Wanted};
use schemars::{JsonSchema, Schema};
use sensebind_core::{
    Clock, Driver, ErrorKind, Format, Found, Frame, PixelLayout, Reading, Sense, Settings, Source, SourceError,
    StreamId,
};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use v4l::FourCC;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CameraSettings {
    /// Which camera: `usb:VENDOR:PRODUCT:SERIAL` (serial optional; lsusb -v gives them), `bus:PLACE` for one USB socket or
    /// connector, `card:NAME`, or a path such as `/dev/v4l/by-id/...`. Looked up at every open.
    device: Identity,
    /// How the camera shall code pictures; without it, as it does now if that is one of these, else the first of these that
    /// it offers.
    pixel_format: Option<PixelFormat>,
    /// Pixels per row; with `height`, or neither for the camera's current size.
    width: Option<u32>,
    /// Rows; with `width`, or neither for the camera's current size.
    height: Option<u32>,
    /// Frames per second; without it, the camera's current rate.
    rate_hz: Option<f32>,
    /// Milliseconds from the start of exposure to the camera's stamp, taken off every capture time; 0 without it, which
    /// is right for USB cameras. For cameras that stamp the end of a frame: exposure plus read-out, at most one frame.
    latency_ms: Option<f32>,
}

/// Pixel formats by their V4L2 codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum PixelFormat {
    Yuyv,
    Nv12,
    Grey,
    Mjpg,
}

impl PixelFormat {
    /// Uncompressed first: nothing to decode.
    const ALL: [Self; 4] = [Self::Yuyv, Self::Nv12, Self::Mjpg, Self::Grey];

    fn code(self) -> FourCC {
        FourCC {
            repr: match self {
                Self::Yuyv => *b"YUYV",
                Self::Nv12 => *b"NV12",
                Self::Grey => *b"GREY",
                Self::Mjpg => *b"MJPG",
            },
        }
    }

    fn pixels(self) -> PixelLayout {
        match self {
            Self::Yuyv => PixelLayout::Yuyv,
            Self::Nv12 => PixelLayout::Nv12,
            Self::Grey => PixelLayout::Gray8,
            Self::Mjpg => PixelLayout::Jpeg,
        }
    }

    fn layout(self, width: u32, height: u32) -> Layout {
        let (width, height) = (width as usize, height as usize);
        let rows = |rows, row_bytes| Layout::Rows { rows, row_bytes };
        match self {
            Self::Yuyv => rows(height, 2 * width),
            // Rows of chroma are as long as those of luma, and half as many.
            Self::Nv12 => rows(height + height / 2, width),
            Self::Grey => rows(height, width),
            Self::Mjpg => Layout::Jpeg,
        }
    }
}

/// The driver.
#[derive(Debug)]
pub struct V4l2Camera;

impl V4l2Camera {
    fn parse(&self, settings: &Settings) -> Result<(Identity, Wanted, Duration), SourceError> {
        let s: CameraSettings = settings::parse(self.name(), settings)?;
        let formats = match s.pixel_format {
            Some(format) => vec![format.code()],
            None => PixelFormat::ALL.map(PixelFormat::code).to_vec(),
        };
        let wanted = Wanted::new(self.name(), formats, (s.width, s.height), s.rate_hz)?;
        Ok((s.device, wanted, v4l2::latency(self.name(), s.latency_ms)?))
    }
}

impl Driver for V4l2Camera {
    fn name(&self) -> &'static str {
        "v4l2_camera"
    }

    fn about(&self) -> &'static str {
        "a camera on Video4Linux2: USB webcams and others"
    }

    fn find(&self) -> Vec<Found> {
        let formats = PixelFormat::ALL.map(PixelFormat::code);
        v4l2::find("camera", |node| node.offers(&formats), &Settings::new())
    }

    fn schema(&self) -> Schema {
        settings::schema::<CameraSettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        self.parse(settings).map(drop)
    }

    fn sense(&self, settings: &Settings) -> Result<Sense, SourceError> {
        self.check(settings).map(|()| Sense::Image)
    }

    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let (device, wanted, latency) = self.parse(settings)?;
        let camera = Camera::open(&device, wanted.formats())?;
        let agreed = wanted.agree(&camera)?;
        let (pixels, layout) = settle(&agreed, &device)?;
        let format = Format::Image {
            width: agreed.width,
            height: agreed.height,
            layout: pixels,
            rate_hz: agreed.rate_hz,
        };
        Ok(Box::new(CameraSource {
            pictures: Pictures::start(camera, &agreed, layout, latency, clock)?,
            stream: stream.clone(),
            format,
        }))
    }
}

/// How the pictures that were agreed on lie in memory.
fn settle(agreed: &Agreed, device: &Identity) -> Result<(PixelLayout, Layout), SourceError> {
    let (width, height) = (agreed.width, agreed.height);
    let format = PixelFormat::ALL
        .into_iter()
        .find(|format| format.code() == agreed.format);
    match format {
        // Pairs of pixels share their colour.
        Some(PixelFormat::Yuyv) if width % 2 != 0 => {}
        Some(PixelFormat::Nv12) if width % 2 != 0 || height % 2 != 0 => {}
        Some(format) => return Ok((format.pixels(), format.layout(width, height))),
        None => {}
    }
    let message = format!(
        "{device}: {width}x{height} in {}: expected even sides for its colours; set width and height",
        agreed.format
    );
    Err(SourceError::new(ErrorKind::Misconfigured, message))
}

/// One open camera.
struct CameraSource {
    pictures: Pictures,
    stream: StreamId,
    format: Format,
}

impl Source for CameraSource {
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
    fn layouts_hold_what_the_format_says() {
        for pixel_format in PixelFormat::ALL {
            let format = Format::Image {
                width: 64,
                height: 48,
                layout: pixel_format.pixels(),
                rate_hz: 30.0,
            };
            let bytes = match pixel_format.layout(64, 48) {
                Layout::Rows { rows, row_bytes } => Some(rows * row_bytes),
                Layout::Jpeg => None,
            };
            assert_eq!(format.frame_bytes(), bytes, "{pixel_format:?}");
        }
    }

    #[test]
    fn settings_say_what_they_expect() {
        let check = |settings: Settings| V4l2Camera.check(&settings);
        assert!(check(toml::toml! { device = "usb:046d:0825" }).is_ok());
        let full = toml::toml! { device = "/dev/video0"
        pixel_format = "YUYV"
        width = 1280
        height = 720
        rate_hz = 30
        latency_ms = 20.5 };
        assert!(check(full).is_ok());
        for (settings, expected) in [
            (toml::toml! { width = 640 }, "device"),
            (toml::toml! { device = "video0" }, "usb:VENDOR:PRODUCT"),
            (
                toml::toml! { device = "/dev/video0"
                pixel_format = "RGB3" },
                "`YUYV`",
            ),
            (
                toml::toml! { device = "/dev/video0"
                width = 640 },
                "expected both",
            ),
            (
                toml::toml! { device = "/dev/video0"
                latency_ms = -3 },
                "latency_ms",
            ),
        ] {
            let error = check(settings).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured);
            assert!(error.message.contains(expected), "{error}");
        }
    }
}
