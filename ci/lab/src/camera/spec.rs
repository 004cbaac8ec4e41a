//! What a camera is and can do.

use std::time::Duration;

/// A format of one frame's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// Packed YUV 4:2:2, two bytes a pixel.
    Yuyv,
    /// A plane of Y, then one of interleaved Cb and Cr, 4:2:0.
    Nv12,
    /// One JPEG a frame.
    Mjpg,
    /// 8-bit brightness.
    Grey,
    /// 16-bit little-endian brightness, or whatever a sensor puts there (thermal cameras).
    Y16,
    /// 16-bit little-endian distance.
    Z16,
}

impl PixelFormat {
    /// The FourCC as V4L2 has it, first letter in the lowest byte.
    pub fn fourcc(self) -> u32 {
        u32::from_le_bytes(*match self {
            Self::Yuyv => b"YUYV",
            Self::Nv12 => b"NV12",
            Self::Mjpg => b"MJPG",
            Self::Grey => b"GREY",
            Self::Y16 => b"Y16 ",
            Self::Z16 => b"Z16 ",
        })
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Yuyv => "YUYV 4:2:2",
            Self::Nv12 => "Y/UV 4:2:0",
            Self::Mjpg => "Motion-JPEG",
            Self::Grey => "8-bit Greyscale",
            Self::Y16 => "16-bit Greyscale",
            Self::Z16 => "16-bit Depth",
        }
    }

    /// Bytes of one line of the first plane; zero for a compressed format.
    pub(crate) fn line_bytes(self, width: u32) -> u32 {
        match self {
            Self::Yuyv | Self::Y16 | Self::Z16 => 2 * width,
            Self::Nv12 | Self::Grey => width,
            Self::Mjpg => 0,
        }
    }

    /// Bytes of one frame; of a compressed one, the most.
    pub(crate) fn frame_bytes(self, width: u32, height: u32) -> u32 {
        match self {
            Self::Nv12 => width * height + width * height.div_ceil(2),
            Self::Grey => width * height,
            Self::Yuyv | Self::Y16 | Self::Z16 | Self::Mjpg => 2 * width * height,
        }
    }
}

/// Seconds from frame to frame, a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub(crate) numerator: u32,
    pub(crate) denominator: u32,
}

impl Interval {
    /// `numerator / denominator` seconds; zeros are taken for ones.
    pub fn new(numerator: u32, denominator: u32) -> Self {
        Self {
            numerator: numerator.max(1),
            denominator: denominator.max(1),
        }
    }

    pub(crate) fn seconds(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// Of `frames` frames; exact to the nanosecond, however many.
    pub(crate) fn times(self, frames: u64) -> Duration {
        let ns = u128::from(frames) * u128::from(self.numerator) * 1_000_000_000 / u128::from(self.denominator);
        Duration::from_nanos(ns as u64)
    }
}

/// Frames a second.
impl From<u32> for Interval {
    fn from(rate_hz: u32) -> Self {
        Self::new(1, rate_hz)
    }
}

/// One format and size, with its frame rates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraMode {
    pub(crate) format: PixelFormat,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) intervals: Vec<Interval>,
}

impl CameraMode {
    /// A mode of `width` times `height` pixels, at one frame rate: a number of hertz, or an [`Interval`].
    pub fn new(format: PixelFormat, width: u32, height: u32, rate: impl Into<Interval>) -> Self {
        Self {
            format,
            width,
            height,
            intervals: vec![rate.into()],
        }
    }

    /// Another frame rate for the same format and size.
    #[must_use]
    pub fn also_at(mut self, rate: impl Into<Interval>) -> Self {
        self.intervals.push(rate.into());
        self
    }

    pub(crate) fn frame_bytes(&self) -> u32 {
        self.format.frame_bytes(self.width, self.height)
    }
}

/// A camera as a test describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraSpec {
    pub(crate) driver: String,
    pub(crate) card: String,
    pub(crate) bus: String,
    pub(crate) modes: Vec<CameraMode>,
    /// From start of exposure to end of frame, where frames are stamped with the start.
    pub(crate) exposure: Option<Duration>,
}

impl CameraSpec {
    /// A camera that starts in `mode`, at the mode's first rate, and stamps frames with their end.
    pub fn new(mode: CameraMode) -> Self {
        Self {
            driver: "uvcvideo".to_owned(),
            card: "Lab camera".to_owned(),
            bus: "usb-lab-1".to_owned(),
            modes: vec![mode],
            exposure: None,
        }
    }

    /// Another mode. Modes of one format belong side by side.
    #[must_use]
    pub fn also(mut self, mode: CameraMode) -> Self {
        self.modes.push(mode);
        self
    }

    /// What `VIDIOC_QUERYCAP` says: the kernel driver, the product, where it is attached.
    #[must_use]
    pub fn named(mut self, driver: &str, card: &str, bus: &str) -> Self {
        self.driver = driver.to_owned();
        self.card = card.to_owned();
        self.bus = bus.to_owned();
        self
    }

    /// Frames are stamped with the start of their exposure (`V4L2_BUF_FLAG_TSTAMP_SRC_SOE`), which was `exposure` before
    /// they are complete.
    #[must_use]
    pub fn stamped_at_start(mut self, exposure: Duration) -> Self {
        self.exposure = Some(exposure);
        self
    }

    /// Page-aligned room for any frame of this camera.
    pub(crate) fn slot_bytes(&self) -> usize {
        let largest = self.modes.iter().map(CameraMode::frame_bytes).max().unwrap_or(0);
        page_aligned(largest as usize)
    }

    /// The formats, each once.
    pub(crate) fn formats(&self) -> Vec<PixelFormat> {
        let mut formats: Vec<PixelFormat> = self.modes.iter().map(|mode| mode.format).collect();
        formats.dedup();
        formats
    }

    /// The mode that a driver would choose for what a client asks: its format if listed, else the first; the size nearest.
    pub(crate) fn nearest(&self, fourcc: u32, width: u32, height: u32) -> &CameraMode {
        let first = &self.modes[0];
        let format = self
            .modes
            .iter()
            .find(|mode| mode.format.fourcc() == fourcc)
            .unwrap_or(first);
        self.modes
            .iter()
            .filter(|mode| mode.format == format.format)
            .min_by_key(|mode| u64::from(mode.width.abs_diff(width)) + u64::from(mode.height.abs_diff(height)))
            .unwrap_or(first)
    }
}

pub(crate) fn page_aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(4096)
}

/// What a frame is taken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shot {
    /// The sequence number that the buffer carries.
    pub sequence: u32,
    /// The negotiated format.
    pub format: PixelFormat,
    /// Pixels a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// The buffer's time stamp, on `CLOCK_MONOTONIC`.
    pub stamp: Duration,
}
