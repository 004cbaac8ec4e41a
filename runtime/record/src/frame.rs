//! From a message to a frame: parse, check, bring to the layout that the stream's [`Format`] promises.

use crate::cdr::{CdrError, CdrReader};
use crate::reader::ReadOptions;
use crate::topic::{self, Kind, Metadata, keys};
use bytes::Bytes;
use foxglove::messages::{CompressedImage, RawAudio, RawImage};
use prost::Message as _;
use sensebind_core::{AudioSample, DepthUnit, Format, PixelLayout, Sense, ThermalUnit};

/// Sides of a picture beyond this are taken for damage.
const MAX_SIDE_PX: u32 = 16_384;
/// Interleaved channels beyond this are taken for damage.
const MAX_AUDIO_CHANNELS: u32 = 64;
/// Sample rates beyond this are taken for damage.
const MAX_AUDIO_RATE_HZ: u32 = 768_000;
/// FLIR TLinear at high resolution, assumed where the metadata does not say.
const DEFAULT_KELVIN_PER_COUNT: f32 = 0.01;
/// Millimetres, as ROS REP 118 has it, assumed where the metadata does not say.
const DEFAULT_METRES_PER_COUNT: f32 = 0.001;

/// A message of any kind, its sizes not yet checked.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    /// A JPEG or PNG file.
    Picture(Bytes),
    /// Rows of pixels.
    Raster {
        width: u32,
        height: u32,
        encoding: String,
        step: u32,
        big_endian: bool,
        data: Bytes,
    },
    /// Signed 16-bit samples, little-endian, interleaved; rate and channels where the message itself says.
    Sound {
        rate_and_channels: Option<(u32, u32)>,
        data: Bytes,
    },
    /// Acceleration and turning rate.
    Motion([f32; 6]),
}

impl Payload {
    /// Reads one message.
    ///
    /// # Errors
    /// Why it is none; the text does not depend on the message's content, so that skipped messages can be counted by it.
    pub(crate) fn parse(kind: Kind, message: &Bytes) -> Result<Self, &'static str> {
        const NOT_PROTOBUF: &str = "message is not the protobuf its schema says";
        let cdr = |e: CdrError| e.reason();
        match kind {
            Kind::FoxgloveRawImage => {
                let image = RawImage::decode(message.clone()).map_err(|_| NOT_PROTOBUF)?;
                let RawImage {
                    width,
                    height,
                    encoding,
                    step,
                    data,
                    ..
                } = image;
                Ok(Self::Raster {
                    width,
                    height,
                    encoding,
                    step,
                    big_endian: false,
                    data,
                })
            }
            Kind::FoxgloveCompressedImage => {
                let image = CompressedImage::decode(message.clone()).map_err(|_| NOT_PROTOBUF)?;
                Ok(Self::Picture(image.data))
            }
            Kind::FoxgloveRawAudio => {
                let sound = RawAudio::decode(message.clone()).map_err(|_| NOT_PROTOBUF)?;
                if sound.format != "pcm-s16" {
                    return Err("sound format is not pcm-s16");
                }
                let rate_and_channels = Some((sound.sample_rate, sound.number_of_channels));
                Ok(Self::Sound {
                    rate_and_channels,
                    data: sound.data,
                })
            }
            Kind::RosImage => ros_image(message).map_err(cdr),
            Kind::RosCompressedImage => ros_compressed_image(message).map_err(cdr),
            Kind::RosImu => ros_imu(message)
                .map_err(cdr)?
                .ok_or("IMU message says it has no acceleration or turning rate"),
            Kind::RosAudioData => ros_audio(message, false).map_err(cdr),
            Kind::RosAudioDataStamped => ros_audio(message, true).map_err(cdr),
        }
    }

    /// The format of the stream this is the first message of.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn format(
        &self,
        topic: &str,
        metadata: &Metadata,
        options: &ReadOptions,
        seen_rate_hz: f32,
    ) -> Result<Format, &'static str> {
        let rate_hz = topic::number(metadata, keys::RATE_HZ).unwrap_or(seen_rate_hz);
        match self {
            Self::Picture(data) => {
                let side = |key| topic::count(metadata, key).unwrap_or(0);
                Ok(Format::Image {
                    width: side(keys::WIDTH),
                    height: side(keys::HEIGHT),
                    layout: compressed_layout(data)?,
                    rate_hz,
                })
            }
            Self::Raster {
                width,
                height,
                encoding,
                ..
            } => {
                let (width, height) = (*width, *height);
                let sense = topic::raster_sense(encoding, topic, metadata);
                match (sense, encoding.as_str()) {
                    (Sense::Thermal, "mono16" | "16UC1") => {
                        let kelvin =
                            topic::number(metadata, keys::KELVIN_PER_COUNT).unwrap_or(DEFAULT_KELVIN_PER_COUNT);
                        Ok(Format::Thermal {
                            width,
                            height,
                            unit: ThermalUnit::KelvinPerCount(kelvin),
                            rate_hz,
                        })
                    }
                    (Sense::Thermal, "32FC1") => Ok(Format::Thermal {
                        width,
                        height,
                        unit: ThermalUnit::KelvinF32,
                        rate_hz,
                    }),
                    (Sense::Thermal, "mono8" | "8UC1") => Ok(Format::Thermal {
                        width,
                        height,
                        unit: ThermalUnit::Gray8,
                        rate_hz,
                    }),
                    (Sense::Depth, "mono16" | "16UC1" | "32FC1") => {
                        let unit = if encoding == "32FC1" {
                            DepthUnit::MetresF32
                        } else {
                            DepthUnit::MetresPerCount(
                                topic::number(metadata, keys::METRES_PER_COUNT).unwrap_or(DEFAULT_METRES_PER_COUNT),
                            )
                        };
                        let focal_px = topic::number(metadata, keys::FOCAL_PX);
                        Ok(Format::Depth {
                            width,
                            height,
                            unit,
                            focal_px,
                            rate_hz,
                        })
                    }
                    (Sense::Image, encoding) => {
                        let layout = match encoding {
                            "rgb8" => PixelLayout::Rgb8,
                            // OpenCV's three-channel pictures are blue first.
                            "bgr8" | "8UC3" => PixelLayout::Bgr8,
                            "mono8" | "8UC1" => PixelLayout::Gray8,
                            "yuyv" | "yuv422_yuy2" => PixelLayout::Yuyv,
                            "nv12" => PixelLayout::Nv12,
                            _ => {
                                return Err(
                                    "pixel encoding is not one of rgb8, bgr8, mono8, yuyv, nv12, mono16, 16UC1, 32FC1",
                                );
                            }
                        };
                        let format = Format::Image {
                            width,
                            height,
                            layout,
                            rate_hz,
                        };
                        if has_whole_chroma(&format) {
                            Ok(format)
                        } else {
                            Err("picture with shared colours has an odd size")
                        }
                    }
                    _ => Err("pixel encoding does not fit the sense of the topic"),
                }
            }
            Self::Sound { rate_and_channels, .. } => {
                let (rate_hz, channels) = rate_and_channels.unwrap_or_else(|| {
                    (
                        topic::count(metadata, keys::RATE_HZ).unwrap_or(options.audio_rate_hz),
                        topic::count(metadata, keys::CHANNELS).unwrap_or(u32::from(options.audio_channels)),
                    )
                });
                if !(1..=MAX_AUDIO_RATE_HZ).contains(&rate_hz) || !(1..=MAX_AUDIO_CHANNELS).contains(&channels) {
                    return Err("sound with an absurd sample rate or number of channels");
                }
                Ok(Format::Audio {
                    rate_hz,
                    channels: channels as u16,
                    sample: AudioSample::I16,
                })
            }
            Self::Motion(_) => Ok(Format::Imu { rate_hz }),
        }
    }

    /// The bytes of this message as a frame of a stream of `format`, which [`Self::format`] gave for its first message.
    /// Uses `scratch` only where the layout differs.
    ///
    /// # Errors
    /// Why it does not belong to such a stream.
    pub(crate) fn into_frame(
        self,
        format: &Format,
        first_encoding: &str,
        scratch: &mut Vec<u8>,
    ) -> Result<FrameBytes, &'static str> {
        match (self, *format) {
            (Self::Picture(data), Format::Image { layout, .. }) if compressed_layout(&data)? == layout => {
                Ok(FrameBytes::Shared(data))
            }
            (
                Self::Raster {
                    width,
                    height,
                    encoding,
                    step,
                    big_endian,
                    data,
                },
                Format::Image {
                    width: w, height: h, ..
                }
                | Format::Thermal {
                    width: w, height: h, ..
                }
                | Format::Depth {
                    width: w, height: h, ..
                },
            ) => {
                if (width, height) != (w, h) || encoding != first_encoding {
                    return Err("picture has another size or encoding than the first of its stream");
                }
                // The colours of NV12 follow its brightness, half as many rows.
                let rows = if encoding == "nv12" { height / 2 * 3 } else { height };
                if !(1..=MAX_SIDE_PX).contains(&width) || !(1..=MAX_SIDE_PX).contains(&height) {
                    return Err("picture with an absurd size");
                }
                let swap = big_endian && matches!(encoding.as_str(), "mono16" | "16UC1" | "32FC1");
                raster_bytes(width, rows, pixel_bytes(&encoding), step, swap, data, scratch)
            }
            (
                Self::Sound {
                    rate_and_channels,
                    data,
                },
                Format::Audio { rate_hz, channels, .. },
            ) => {
                if rate_and_channels.is_some_and(|said| said != (rate_hz, u32::from(channels))) {
                    return Err("sound has another rate or number of channels than the first of its stream");
                }
                if data.is_empty() || data.len() % format.audio_sample_bytes() != 0 {
                    return Err("sound is not a whole number of samples of all channels");
                }
                Ok(FrameBytes::Shared(data))
            }
            (Self::Motion(values), Format::Imu { .. }) => {
                scratch.clear();
                scratch.extend(values.iter().flat_map(|v| v.to_le_bytes()));
                Ok(FrameBytes::Scratch)
            }
            _ => Err("message has another layout than the first of its stream"),
        }
    }

    /// The pixel encoding, where there is one.
    pub(crate) fn encoding(&self) -> &str {
        match self {
            Self::Raster { encoding, .. } => encoding,
            _ => "",
        }
    }
}

/// Where the bytes of a frame lie.
#[derive(Debug)]
pub(crate) enum FrameBytes {
    /// In the log's own memory.
    Shared(Bytes),
    /// In the scratch buffer given.
    Scratch,
}

/// The file type of a compressed picture, by its first bytes: format names vary between writers.
fn compressed_layout(data: &[u8]) -> Result<PixelLayout, &'static str> {
    if data.starts_with(&[0xff, 0xd8, 0xff]) {
        Ok(PixelLayout::Jpeg)
    } else if data.starts_with(b"\x89PNG\r\n\x1a\n") {
        Ok(PixelLayout::Png)
    } else {
        Err("compressed picture is neither JPEG nor PNG")
    }
}

fn pixel_bytes(encoding: &str) -> usize {
    match encoding {
        "rgb8" | "bgr8" | "8UC3" => 3,
        "mono16" | "16UC1" | "yuyv" | "yuv422_yuy2" => 2,
        "32FC1" => 4,
        _ => 1,
    }
}

/// Whether its pixels come in the whole pairs (4:2:2) or squares of four (4:2:0) that share their colour.
pub(crate) fn has_whole_chroma(format: &Format) -> bool {
    match *format {
        Format::Image {
            width,
            layout: PixelLayout::Yuyv,
            ..
        } => width.is_multiple_of(2),
        Format::Image {
            width,
            height,
            layout: PixelLayout::Nv12,
            ..
        } => width.is_multiple_of(2) && height.is_multiple_of(2),
        _ => true,
    }
}

/// Checks that there are `rows`; removes their padding and, to `swap`, turns each pixel's bytes around.
fn raster_bytes(
    width: u32,
    rows: u32,
    pixel_bytes: usize,
    step: u32,
    swap: bool,
    data: Bytes,
    scratch: &mut Vec<u8>,
) -> Result<FrameBytes, &'static str> {
    // Below 2^14 * 4 bytes: no overflow.
    let row = width as usize * pixel_bytes;
    let step = step as usize;
    if step < row {
        return Err("picture rows are shorter than its width");
    }
    if step.checked_mul(rows as usize) != Some(data.len()) {
        return Err("picture data is not rows times height");
    }
    if step == row && !swap {
        return Ok(FrameBytes::Shared(data));
    }
    scratch.clear();
    for line in data.chunks_exact(step) {
        scratch.extend_from_slice(&line[..row]);
    }
    if swap {
        scratch.chunks_exact_mut(pixel_bytes).for_each(<[u8]>::reverse);
    }
    Ok(FrameBytes::Scratch)
}

fn ros_image(message: &Bytes) -> Result<Payload, CdrError> {
    let mut cdr = CdrReader::new(message)?;
    cdr.skip_header()?;
    let (height, width) = (cdr.u32()?, cdr.u32()?);
    let encoding = cdr.text()?.to_owned();
    let big_endian = cdr.u8()? != 0;
    let step = cdr.u32()?;
    let data = message.slice_ref(cdr.bytes()?);
    Ok(Payload::Raster {
        width,
        height,
        encoding,
        step,
        big_endian,
        data,
    })
}

fn ros_compressed_image(message: &Bytes) -> Result<Payload, CdrError> {
    let mut cdr = CdrReader::new(message)?;
    cdr.skip_header()?;
    cdr.text()?;
    Ok(Payload::Picture(message.slice_ref(cdr.bytes()?)))
}

/// `None` when the message says that a part is absent: element 0 of its covariance is -1.
fn ros_imu(message: &Bytes) -> Result<Option<Payload>, CdrError> {
    let mut cdr = CdrReader::new(message)?;
    cdr.skip_header()?;
    let _orientation: [f64; 4] = cdr.f64s()?;
    let _orientation_covariance: [f64; 9] = cdr.f64s()?;
    let turning_rad_s: [f64; 3] = cdr.f64s()?;
    let turning_covariance: [f64; 9] = cdr.f64s()?;
    let acceleration_m_s2: [f64; 3] = cdr.f64s()?;
    let acceleration_covariance: [f64; 9] = cdr.f64s()?;
    if turning_covariance[0] == -1.0 || acceleration_covariance[0] == -1.0 {
        return Ok(None);
    }
    let [ax, ay, az] = acceleration_m_s2.map(|v| v as f32);
    let [gx, gy, gz] = turning_rad_s.map(|v| v as f32);
    Ok(Some(Payload::Motion([ax, ay, az, gx, gy, gz])))
}

fn ros_audio(message: &Bytes, stamped: bool) -> Result<Payload, CdrError> {
    let mut cdr = CdrReader::new(message)?;
    if stamped {
        cdr.skip_header()?;
    }
    Ok(Payload::Sound {
        rate_and_channels: None,
        data: message.slice_ref(cdr.bytes()?),
    })
}
