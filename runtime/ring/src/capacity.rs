//! How much a ring must hold to look back a given time.

use sensebind_core::{Format, PixelLayout};
use std::time::Duration;

/// Shortest packet of sound planned for, in seconds: cpal and ALSA deliver periods of 5 to 20 ms. Shorter ones shorten
/// the history.
const SHORTEST_PACKET_S: f64 = 0.0025;
/// A source that runs faster than its nominal rate, or jitters, still fits.
const SPARE: f64 = 1.25;
/// Rate assumed for pictures whose format names none.
const UNKNOWN_PICTURE_RATE_HZ: f64 = 30.0;
/// Rate assumed for IMUs whose format names none.
const UNKNOWN_IMU_RATE_HZ: f64 = 400.0;
/// Pixels assumed for compressed pictures of unknown size.
const UNKNOWN_PICTURE_PIXELS: f64 = 1920.0 * 1080.0;
/// A JPEG of camera quality takes 1 to 3 bits a pixel; a whole byte leaves room for noise and quality 95.
const JPEG_BYTES_PER_PIXEL: f64 = 1.0;
/// A PNG of noise is as large as its pixels.
const PNG_BYTES_PER_PIXEL: f64 = 3.0;
/// Headers make tiny pictures larger than their pixels.
const SMALLEST_COMPRESSED_BYTES: f64 = 16_384.0;

/// What a ring may hold: whichever limit is met first pushes the oldest frames out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes of all frames together.
    pub bytes: usize,
    /// Frames (for sound: packets).
    pub frames: usize,
}

impl Capacity {
    /// Most bytes a ring may be given: 2 GiB, so that a misdeclared picture size fails with words and not in the
    /// allocator.
    pub const MAX_BYTES: usize = 1 << 31;
    /// Most frames a ring may be given.
    pub const MAX_FRAMES: usize = 1 << 24;

    /// Enough for `history` of a stream, with a quarter to spare.
    ///
    /// Assumes: sound comes in packets of at least 2.5 ms, one of up to a second being kept beyond the history; JPEG
    /// takes one byte a pixel and PNG three; a compressed picture of unknown size is 1920×1080; a missing rate (zero or
    /// not finite) is 30 Hz for pictures and 400 Hz for IMUs. Where these do not hold the ring is still correct, its
    /// history is shorter, and [`Counters::overwritten`](crate::Counters::overwritten) grows earlier.
    pub fn for_history(format: &Format, history: Duration) -> Self {
        let seconds = history.as_secs_f64();
        if let Format::Audio { rate_hz, .. } = format {
            let samples = ((seconds + 1.0) * f64::from(*rate_hz)).ceil();
            return Self {
                bytes: (samples * format.audio_sample_bytes() as f64) as usize,
                frames: ((seconds + 1.0) / SHORTEST_PACKET_S).ceil() as usize,
            };
        }
        let nominal = format.rate_hz();
        let rate_hz = match format {
            _ if nominal.is_finite() && nominal > 0.0 => nominal,
            Format::Imu { .. } => UNKNOWN_IMU_RATE_HZ,
            _ => UNKNOWN_PICTURE_RATE_HZ,
        };
        let frames = (seconds * rate_hz * SPARE).ceil() + 2.0;
        let frame_bytes = format
            .frame_bytes()
            .map_or_else(|| compressed_bytes(format), |b| b as f64);
        Self {
            bytes: (frames * frame_bytes) as usize,
            frames: frames as usize,
        }
    }
}

fn compressed_bytes(format: &Format) -> f64 {
    let Format::Image {
        width, height, layout, ..
    } = format
    else {
        return SMALLEST_COMPRESSED_BYTES;
    };
    let pixels = match f64::from(*width) * f64::from(*height) {
        0.0 => UNKNOWN_PICTURE_PIXELS,
        known => known,
    };
    let per_pixel = if *layout == PixelLayout::Jpeg {
        JPEG_BYTES_PER_PIXEL
    } else {
        PNG_BYTES_PER_PIXEL
    };
    (pixels * per_pixel).max(SMALLEST_COMPRESSED_BYTES)
}
