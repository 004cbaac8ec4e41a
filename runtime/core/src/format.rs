//! What the bytes of a stream mean. Settled once, when its source opens; a mismatch is found then, not per frame.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The six senses of ImageBind's space (arXiv 2305.05665). Video belongs to [`Sense::Image`], as in the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sense {
    /// Colour pictures and two-frame video clips.
    Image,
    /// Words. Never a sensor stream: prompts and captions.
    Text,
    /// Sound.
    Audio,
    /// Distance to every pixel.
    Depth,
    /// Long-wave infrared: temperature of every pixel.
    Thermal,
    /// Acceleration and turning rate, three axes each.
    Imu,
}

impl Sense {
    /// Every sense, in the order of the paper's tables.
    pub const ALL: [Self; 6] = [
        Self::Image,
        Self::Text,
        Self::Audio,
        Self::Depth,
        Self::Thermal,
        Self::Imu,
    ];

    /// The name used in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
            Self::Audio => "audio",
            Self::Depth => "depth",
            Self::Thermal => "thermal",
            Self::Imu => "imu",
        }
    }

    /// The sense called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the bytes of one picture are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelLayout {
    /// `height × width × 3` bytes, red first.
    Rgb8,
    /// `height × width × 3` bytes, blue first.
    Bgr8,
    /// `height × width` bytes.
    Gray8,
    /// `height × width × 2` bytes, 4:2:2, as Y0 Cb Y1 Cr per pair of pixels (V4L2 `YUYV`, BT.601, limited range).
    Yuyv,
    /// `height × width × 3 / 2` bytes, 4:2:0: the plane of Y, then that of Cb Cr pairs (V4L2 `NV12`, BT.601, limited range).
    Nv12,
    /// A whole JPEG file; its own header gives the size.
    Jpeg,
    /// A whole PNG file; its own header gives the size.
    Png,
}

/// How one sound sample is stored, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioSample {
    /// Signed 16-bit; divide by 32768 for [-1, 1).
    I16,
    /// 32-bit float in [-1, 1].
    F32,
}

/// What one thermal pixel means, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThermalUnit {
    /// 16-bit unsigned, kelvin = value × this many kelvin per count (FLIR TLinear: 0.01 or 0.1).
    KelvinPerCount(f32),
    /// 8-bit picture after the camera's own gain control: no absolute temperature.
    Gray8,
    /// 32-bit float, kelvin.
    KelvinF32,
}

/// What one depth pixel means, little-endian. 0 and NaN mean "no return".
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepthUnit {
    /// 16-bit unsigned, metres = value × this many metres per count (0.001 for millimetres).
    MetresPerCount(f32),
    /// 32-bit float, metres.
    MetresF32,
}

/// The meaning of a stream's frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "sense", rename_all = "lowercase")]
pub enum Format {
    /// One frame = one picture. For compressed layouts width and height may be 0: unknown until decoded.
    Image {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes of a frame.
        layout: PixelLayout,
        /// Nominal frames per second.
        rate_hz: f32,
    },
    /// One frame = any number of samples of all channels, interleaved; its time is that of the first sample.
    Audio {
        /// Samples per second and channel.
        rate_hz: u32,
        /// Interleaved channels.
        channels: u16,
        /// Bytes of a sample.
        sample: AudioSample,
    },
    /// One frame = `height × width` pixels.
    Thermal {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
        /// Meaning of a pixel.
        unit: ThermalUnit,
        /// Nominal frames per second.
        rate_hz: f32,
    },
    /// One frame = `height × width` pixels.
    Depth {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
        /// Meaning of a pixel.
        unit: DepthUnit,
        /// Focal length in pixels of this picture, where known; needed for disparity.
        focal_px: Option<f32>,
        /// Nominal frames per second.
        rate_hz: f32,
    },
    /// One frame = one sample of six little-endian f32: acceleration x y z in m/s² (gravity included), turning rate
    /// x y z in rad/s.
    Imu {
        /// Nominal samples per second.
        rate_hz: f32,
    },
}

impl Format {
    /// Bytes of one IMU sample.
    pub const IMU_FRAME_BYTES: usize = 24;

    /// The sense this stream feeds.
    pub const fn sense(&self) -> Sense {
        match self {
            Self::Image { .. } => Sense::Image,
            Self::Audio { .. } => Sense::Audio,
            Self::Thermal { .. } => Sense::Thermal,
            Self::Depth { .. } => Sense::Depth,
            Self::Imu { .. } => Sense::Imu,
        }
    }

    /// Bytes per frame where every frame has the same size; `None` for sound packets and compressed pictures.
    pub fn frame_bytes(&self) -> Option<usize> {
        let area = |w: u32, h: u32| (w as usize).checked_mul(h as usize);
        match *self {
            Self::Image {
                width, height, layout, ..
            } => match layout {
                PixelLayout::Rgb8 | PixelLayout::Bgr8 => area(width, height)?.checked_mul(3),
                PixelLayout::Gray8 => area(width, height),
                PixelLayout::Yuyv => area(width, height)?.checked_mul(2),
                PixelLayout::Nv12 => area(width, height)?.checked_mul(3).map(|n| n / 2),
                PixelLayout::Jpeg | PixelLayout::Png => None,
            },
            Self::Audio { .. } => None,
            Self::Thermal {
                width, height, unit, ..
            } => area(width, height)?.checked_mul(match unit {
                ThermalUnit::KelvinPerCount(_) => 2,
                ThermalUnit::Gray8 => 1,
                ThermalUnit::KelvinF32 => 4,
            }),
            Self::Depth {
                width, height, unit, ..
            } => area(width, height)?.checked_mul(match unit {
                DepthUnit::MetresPerCount(_) => 2,
                DepthUnit::MetresF32 => 4,
            }),
            Self::Imu { .. } => Some(Self::IMU_FRAME_BYTES),
        }
    }

    /// Bytes of one sample of all channels; sound packets must be a multiple of it. 0 for other senses.
    pub const fn audio_sample_bytes(&self) -> usize {
        match *self {
            Self::Audio { channels, sample, .. } => {
                channels as usize
                    * match sample {
                        AudioSample::I16 => 2,
                        AudioSample::F32 => 4,
                    }
            }
            _ => 0,
        }
    }

    /// Nominal frames (for sound: samples) per second.
    pub fn rate_hz(&self) -> f64 {
        match *self {
            Self::Image { rate_hz, .. }
            | Self::Thermal { rate_hz, .. }
            | Self::Depth { rate_hz, .. }
            | Self::Imu { rate_hz } => f64::from(rate_hz),
            Self::Audio { rate_hz, .. } => f64::from(rate_hz),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image {
                width,
                height,
                layout,
                rate_hz,
            } => {
                write!(f, "image {width}x{height} {layout:?} at {rate_hz} Hz")
            }
            Self::Audio {
                rate_hz,
                channels,
                sample,
            } => write!(f, "audio {rate_hz} Hz x{channels} {sample:?}"),
            Self::Thermal {
                width,
                height,
                unit,
                rate_hz,
            } => {
                write!(f, "thermal {width}x{height} {unit:?} at {rate_hz} Hz")
            }
            Self::Depth {
                width,
                height,
                unit,
                rate_hz,
                ..
            } => {
                write!(f, "depth {width}x{height} {unit:?} at {rate_hz} Hz")
            }
            Self::Imu { rate_hz } => write!(f, "imu at {rate_hz} Hz"),
        }
    }
}
