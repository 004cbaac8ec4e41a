//! From a frame to the message that its stream's schema asks for.

use crate::cdr::CdrWriter;
use crate::labels::foxglove_time;
use foxglove::messages::{CompressedImage, RawAudio, RawImage};
use prost::Message as _;
use sensebind_core::{AudioSample, DepthUnit, Format, Frame, PixelLayout, ThermalUnit};
use std::io;
use std::mem;

/// Numbers of the field `data` in the foxglove schemas.
const COMPRESSED_IMAGE_DATA: u8 = 2;
const RAW_AUDIO_DATA: u8 = 2;
const RAW_IMAGE_DATA: u8 = 6;

/// Encodes `frame` into `message`, whatever that held. Once `message` has grown to a frame's size, allocates little.
///
/// # Errors
/// When the memory cannot hold the message.
pub(crate) fn encode(format: &Format, frame: &Frame<'_>, message: &mut Vec<u8>) -> io::Result<()> {
    message.clear();
    match *format {
        Format::Image {
            layout: PixelLayout::Jpeg,
            ..
        } => picture("jpeg", frame, message),
        Format::Image {
            layout: PixelLayout::Png,
            ..
        } => picture("png", frame, message),
        Format::Image {
            width, height, layout, ..
        } => {
            let (encoding, pixel_bytes) = match layout {
                PixelLayout::Rgb8 => ("rgb8", 3),
                PixelLayout::Bgr8 => ("bgr8", 3),
                PixelLayout::Yuyv => ("yuyv", 2),
                PixelLayout::Nv12 => ("nv12", 1),
                PixelLayout::Gray8 | PixelLayout::Jpeg | PixelLayout::Png => ("mono8", 1),
            };
            raster(width, height, encoding, pixel_bytes, frame, message)
        }
        Format::Thermal {
            width, height, unit, ..
        } => {
            let (encoding, pixel_bytes) = match unit {
                ThermalUnit::KelvinPerCount(_) => ("mono16", 2),
                ThermalUnit::Gray8 => ("mono8", 1),
                ThermalUnit::KelvinF32 => ("32FC1", 4),
            };
            raster(width, height, encoding, pixel_bytes, frame, message)
        }
        Format::Depth {
            width, height, unit, ..
        } => {
            let (encoding, pixel_bytes) = match unit {
                DepthUnit::MetresPerCount(_) => ("16UC1", 2),
                DepthUnit::MetresF32 => ("32FC1", 4),
            };
            raster(width, height, encoding, pixel_bytes, frame, message)
        }
        Format::Audio {
            rate_hz,
            channels,
            sample,
        } => sound(rate_hz, channels, sample, frame, message),
        Format::Imu { .. } => {
            imu(frame, message);
            Ok(())
        }
    }
}

fn picture(format: &str, frame: &Frame<'_>, message: &mut Vec<u8>) -> io::Result<()> {
    CompressedImage {
        timestamp: Some(foxglove_time(frame.captured)),
        format: format.to_owned(),
        ..CompressedImage::default()
    }
    .encode(message)?;
    begin_bytes(COMPRESSED_IMAGE_DATA, frame.data.len(), message)?;
    message.extend_from_slice(frame.data);
    Ok(())
}

fn raster(
    width: u32,
    height: u32,
    encoding: &str,
    pixel_bytes: u32,
    frame: &Frame<'_>,
    message: &mut Vec<u8>,
) -> io::Result<()> {
    RawImage {
        timestamp: Some(foxglove_time(frame.captured)),
        width,
        height,
        encoding: encoding.to_owned(),
        step: width.saturating_mul(pixel_bytes),
        ..RawImage::default()
    }
    .encode(message)?;
    begin_bytes(RAW_IMAGE_DATA, frame.data.len(), message)?;
    message.extend_from_slice(frame.data);
    Ok(())
}

fn sound(rate_hz: u32, channels: u16, sample: AudioSample, frame: &Frame<'_>, message: &mut Vec<u8>) -> io::Result<()> {
    RawAudio {
        timestamp: Some(foxglove_time(frame.captured)),
        format: "pcm-s16".to_owned(),
        sample_rate: rate_hz,
        number_of_channels: u32::from(channels),
        ..RawAudio::default()
    }
    .encode(message)?;
    match sample {
        AudioSample::I16 => {
            begin_bytes(RAW_AUDIO_DATA, frame.data.len(), message)?;
            message.extend_from_slice(frame.data);
        }
        AudioSample::F32 => {
            let (samples, _) = frame.data.as_chunks::<4>();
            begin_bytes(RAW_AUDIO_DATA, samples.len() * 2, message)?;
            // `as` limits to the range and turns NaN into silence.
            let to_i16 = |b: &[u8; 4]| ((f32::from_le_bytes(*b) * 32768.0).round() as i16).to_le_bytes();
            message.extend(samples.iter().flat_map(to_i16));
        }
    }
    Ok(())
}

/// Begins a protobuf field of `length` bytes, which the caller appends: a message may come in parts, and a picture need
/// not be copied into a struct first.
fn begin_bytes(field: u8, length: usize, message: &mut Vec<u8>) -> io::Result<()> {
    const LENGTH_DELIMITED: u8 = 2;
    message.push(field << 3 | LENGTH_DELIMITED);
    Ok(prost::encode_length_delimiter(length, message)?)
}

fn imu(frame: &Frame<'_>, message: &mut Vec<u8>) {
    let mut values = [0.0; 6];
    for (value, bytes) in values.iter_mut().zip(frame.data.as_chunks::<4>().0) {
        *value = f64::from(f32::from_le_bytes(*bytes));
    }
    let (acceleration_m_s2, turning_rad_s) = values.split_at(3);
    // Element 0 = -1 says "no orientation"; all zero says "covariance unknown" (sensor_msgs/msg/Imu).
    let mut absent = [0.0; 9];
    absent[0] = -1.0;
    let unknown = [0.0; 9];

    let mut cdr = CdrWriter::new(mem::take(message));
    let time = foxglove_time(frame.captured);
    cdr.u32(time.sec());
    cdr.u32(time.nsec());
    cdr.text("");
    cdr.f64s(&[0.0, 0.0, 0.0, 1.0]);
    cdr.f64s(&absent);
    cdr.f64s(turning_rad_s);
    cdr.f64s(&unknown);
    cdr.f64s(acceleration_m_s2);
    cdr.f64s(&unknown);
    *message = cdr.finish();
}
