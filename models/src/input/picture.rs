//! Pictures out of bytes: raw layouts, JPEG, PNG.
//!
//! Alpha is dropped, not blended; grey is replicated; palettes are expanded; 16-bit channels keep their high byte; EXIF
//! orientation is not applied. All as Pillow's `convert("RGB")` does for the reference (parity specification 4.1).

use super::{InputError, ycbcr};
use sensebind_core::PixelLayout;
use std::io::Cursor;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Largest picture decoded: 64 Mpixel. A few kilobytes of compressed file can claim gigabytes of pixels.
pub const MAX_PIXELS: usize = 64 << 20;

/// A colour picture: `height × width × 3` bytes, red first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rgb8 {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Rgb8 {
    /// A picture of `width × height` pixels made of `bytes`.
    ///
    /// # Errors
    /// [`InputError::Size`] unless there are `width × height × 3` bytes, and at least one.
    pub fn new(width: u32, height: u32, bytes: Vec<u8>) -> Result<Self, InputError> {
        check_bytes("picture", width, height, 3, bytes.len())?;
        Ok(Self { width, height, bytes })
    }

    /// Pixels per row; 0 in a default picture that nothing was decoded into.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All pixels, row after row.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// [`decode`], into this picture's buffer. On failure the picture is empty.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode_from(
        &mut self,
        layout: PixelLayout,
        bytes: &[u8],
        width: u32,
        height: u32,
    ) -> Result<(), InputError> {
        (self.width, self.height) = (0, 0);
        self.bytes.clear();
        let size = match layout {
            PixelLayout::Rgb8 => {
                check_bytes("RGB picture", width, height, 3, bytes.len())?;
                self.bytes.extend_from_slice(bytes);
                (width, height)
            }
            PixelLayout::Bgr8 => {
                check_bytes("BGR picture", width, height, 3, bytes.len())?;
                self.bytes
                    .extend(bytes.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]));
                (width, height)
            }
            PixelLayout::Gray8 => {
                check_bytes("grey picture", width, height, 1, bytes.len())?;
                self.bytes.extend(bytes.iter().flat_map(|&g| [g; 3]));
                (width, height)
            }
            PixelLayout::Yuyv => {
                check_sides(layout, width, height)?;
                check_bytes("YUYV picture", width, height, 2, bytes.len())?;
                ycbcr::yuyv(bytes, &mut self.bytes);
                (width, height)
            }
            PixelLayout::Nv12 => {
                check_sides(layout, width, height)?;
                let pixels = count_pixels("NV12 picture", width, height)?;
                check_length("NV12 picture", width, height, pixels / 2 * 3, bytes.len())?;
                ycbcr::nv12(bytes, width as usize, &mut self.bytes);
                (width, height)
            }
            PixelLayout::Jpeg => decode_jpeg(bytes, &mut self.bytes)?,
            PixelLayout::Png => {
                let png = read_png(bytes, png::Transformations::normalize_to_color8())?;
                rgb_from(png.channels, &png.bytes, &mut self.bytes);
                (png.width, png.height)
            }
        };
        (self.width, self.height) = size;
        Ok(())
    }
}

/// Decodes one camera frame or picture file. `width` and `height` describe raw layouts and are ignored for JPEG and
/// PNG, whose own header gives the size.
///
/// # Errors
/// [`InputError::Size`] when a raw picture has the wrong number of bytes or is over [`MAX_PIXELS`];
/// [`InputError::Undecodable`] for a damaged, unsupported or too large file.
pub fn decode(layout: PixelLayout, bytes: &[u8], width: u32, height: u32) -> Result<Rgb8, InputError> {
    let mut picture = Rgb8::default();
    picture.decode_from(layout, bytes, width, height)?;
    Ok(picture)
}

/// A picture of one channel: what depth and thermal cameras are stored as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GreyPicture {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 8 or 16.
    pub bits: u8,
    /// `height × width` samples of one byte, or two bytes little-endian (a PNG stores them big-endian).
    pub bytes: Vec<u8>,
}

/// Decodes a grey PNG of 8 or 16 bits without touching its numbers.
///
/// # Errors
/// [`InputError::Undecodable`] for a damaged file, a colour picture, or one over [`MAX_PIXELS`].
pub fn decode_grey_png(bytes: &[u8]) -> Result<GreyPicture, InputError> {
    let mut png = read_png(bytes, png::Transformations::EXPAND)?;
    if png.channels != 1 {
        return Err(undecodable(
            "PNG",
            "it is in colour or has alpha, expected one grey channel of 8 or 16 bits",
        ));
    }
    if png.bits == 16 {
        png.bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|s| s.swap(0, 1));
    }
    Ok(GreyPicture {
        width: png.width,
        height: png.height,
        bits: png.bits,
        bytes: png.bytes,
    })
}

/// Refuses a byte count that is not `width × height × bytes_per_pixel`.
pub(crate) fn check_bytes(
    what: &'static str,
    width: u32,
    height: u32,
    bytes_per_pixel: usize,
    found: usize,
) -> Result<(), InputError> {
    let pixels = count_pixels(what, width, height)?;
    check_length(what, width, height, pixels * bytes_per_pixel, found)
}

/// Refuses a picture whose pixels do not come in the whole pairs (YUYV) or squares (NV12) that share a colour.
pub(crate) fn check_sides(layout: PixelLayout, width: u32, height: u32) -> Result<(), InputError> {
    let (what, expected, fits) = match layout {
        PixelLayout::Yuyv => ("YUYV picture", "an even width", width.is_multiple_of(2)),
        PixelLayout::Nv12 => (
            "NV12 picture",
            "an even width and height",
            width.is_multiple_of(2) && height.is_multiple_of(2),
        ),
        _ => return Ok(()),
    };
    if fits {
        return Ok(());
    }
    Err(InputError::size(what, expected, format!("{width}x{height}")))
}

fn count_pixels(what: &'static str, width: u32, height: u32) -> Result<usize, InputError> {
    let pixels = (width as usize)
        .checked_mul(height as usize)
        .filter(|n| (1..=MAX_PIXELS).contains(n));
    pixels.ok_or_else(|| {
        let expected = format!("1 to {MAX_PIXELS} pixels");
        InputError::size(what, expected, format!("{width}x{height}"))
    })
}

fn check_length(what: &'static str, width: u32, height: u32, expected: usize, found: usize) -> Result<(), InputError> {
    if found == expected {
        return Ok(());
    }
    Err(InputError::size(
        what,
        format!("{expected} bytes ({width}x{height})"),
        format!("{found} bytes"),
    ))
}

fn undecodable(what: &'static str, why: impl ToString) -> InputError {
    InputError::Undecodable {
        what,
        why: why.to_string(),
    }
}

fn too_large(what: &'static str, width: usize, height: usize) -> InputError {
    undecodable(
        what,
        format!("it claims {width}x{height} pixels, the limit is {MAX_PIXELS}: shrink the picture"),
    )
}

fn decode_jpeg(bytes: &[u8], out: &mut Vec<u8>) -> Result<(u32, u32), InputError> {
    // The decoder's own limit is per side; the product is checked below, before any pixel is allocated.
    let options = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| undecodable("JPEG", e))?;
    let Some((width, height)) = decoder.dimensions() else {
        return Err(undecodable("JPEG", "it states no size"));
    };
    if width == 0 || height == 0 || width * height > MAX_PIXELS {
        return Err(too_large("JPEG", width, height));
    }
    let pixels = decoder.decode().map_err(|e| undecodable("JPEG", e))?;
    if pixels.len() != width * height * 3 {
        return Err(undecodable(
            "JPEG",
            format!("{} bytes for {width}x{height} RGB pixels", pixels.len()),
        ));
    }
    *out = pixels;
    // Sides of a JPEG are 16-bit.
    Ok((width as u32, height as u32))
}

struct Png {
    width: u32,
    height: u32,
    channels: usize,
    bits: u8,
    bytes: Vec<u8>,
}

fn read_png(bytes: &[u8], transformations: png::Transformations) -> Result<Png, InputError> {
    let limits = png::Limits { bytes: MAX_PIXELS * 8 };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(transformations);
    let mut reader = decoder.read_info().map_err(|e| undecodable("PNG", e))?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS as u64 {
        return Err(too_large("PNG", width as usize, height as usize));
    }
    let (color, depth) = reader.output_color_type();
    let Some(length) = reader.output_buffer_size() else {
        return Err(too_large("PNG", width as usize, height as usize));
    };
    let mut pixels = vec![0; length];
    let frame = reader.next_frame(&mut pixels).map_err(|e| undecodable("PNG", e))?;
    pixels.truncate(frame.buffer_size());
    let (channels, bits) = (color.samples(), depth as u8);
    let expected = width as usize * height as usize * channels * usize::from(bits).div_ceil(8);
    if pixels.len() != expected || (frame.width, frame.height) != (width, height) {
        return Err(undecodable(
            "PNG",
            format!("its first frame does not cover {width}x{height} pixels"),
        ));
    }
    Ok(Png {
        width,
        height,
        channels,
        bits,
        bytes: pixels,
    })
}

/// Interleaved 8-bit pixels of 1 to 4 channels (an even number: the last is alpha) → RGB.
fn rgb_from(channels: usize, pixels: &[u8], out: &mut Vec<u8>) {
    match channels {
        3 => out.extend_from_slice(pixels),
        4 => out.extend(pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]])),
        n => out.extend(pixels.chunks_exact(n).flat_map(|p| [p[0]; 3])),
    }
}
