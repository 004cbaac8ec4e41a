//! Single files as windows, so that `sensebind embed` and a live stream go through the same encoders.
//!
//! A recording longer than a window becomes several windows, evenly spaced, whose embeddings [`embed`] averages: as the
//! reference does for sound (parity specification 4.2).

use crate::input::{InputError, Resampler, clip_ranges, decode_grey_png};
use crate::manifest::{AudioRecipe, SenseEntry};
use sensebind_core::{
    AudioSample, DepthUnit, Embedding, EncodeError, Encoder, Format, PixelLayout, Span, StreamId, ThermalUnit,
    Timestamp, Window,
};
use std::time::Duration;

/// Clips of an inertial recording that is longer than a window; three, as for sound.
const IMU_CLIPS: usize = 3;

/// The unit vector of a file's windows: each is encoded, then the mean, then unit length.
///
/// # Errors
/// The first bad window's [`EncodeError::BadWindow`], or [`EncodeError::Model`].
pub fn embed(encoder: &mut dyn Encoder, windows: &[Window]) -> Result<Embedding, EncodeError> {
    let mut results = Vec::with_capacity(windows.len());
    encoder.encode(windows, &mut results)?;
    let parts = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    let failed = |why: String| EncodeError::Model {
        sense: encoder.spec().sense,
        why,
    };
    match Embedding::mean(&parts) {
        Some(mean) => mean.map_err(|e| failed(format!("the mean of {} windows: {e}", parts.len()))),
        None => Err(failed("no window to encode".into())),
    }
}

/// A JPEG or PNG file.
///
/// # Errors
/// [`InputError::Undecodable`] for anything else.
pub fn picture(file: &[u8], name: &str) -> Result<Window, InputError> {
    let layout = match file {
        [0xff, 0xd8, ..] => PixelLayout::Jpeg,
        [0x89, b'P', b'N', b'G', ..] => PixelLayout::Png,
        _ => {
            let why = "it begins neither as a JPEG nor as a PNG file".into();
            return Err(InputError::Undecodable { what: "picture", why });
        }
    };
    let format = Format::Image {
        width: 0,
        height: 0,
        layout,
        rate_hz: 0.0,
    };
    Ok(single(name, format, file))
}

/// A grey PNG of a thermal camera: 16 bits of `kelvin_per_count`, or 8 bits after the camera's own gain control.
///
/// # Errors
/// [`InputError::Undecodable`].
pub fn thermal_png(file: &[u8], kelvin_per_count: f32, name: &str) -> Result<Window, InputError> {
    let png = decode_grey_png(file)?;
    let unit = if png.bits == 8 {
        ThermalUnit::Gray8
    } else {
        ThermalUnit::KelvinPerCount(kelvin_per_count)
    };
    let format = Format::Thermal {
        width: png.width,
        height: png.height,
        unit,
        rate_hz: 0.0,
    };
    Ok(single(name, format, &png.bytes))
}

/// A grey 16-bit PNG of a depth camera, of `metres_per_count` (0.001 for millimetres). `focal_px` is the focal length
/// in pixels of this picture where known; disparity needs it, and the pack has a default.
///
/// # Errors
/// [`InputError::Undecodable`], also for 8-bit pictures: a distance in 256 steps is a drawing.
pub fn depth_png(file: &[u8], metres_per_count: f32, focal_px: Option<f32>, name: &str) -> Result<Window, InputError> {
    let png = decode_grey_png(file)?;
    if png.bits != 16 {
        let why = "it has 8 bits per pixel, expected a depth picture of 16".into();
        return Err(InputError::Undecodable { what: "PNG", why });
    }
    let unit = DepthUnit::MetresPerCount(metres_per_count);
    let format = Format::Depth {
        width: png.width,
        height: png.height,
        unit,
        focal_px,
        rate_hz: 0.0,
    };
    Ok(single(name, format, &png.bytes))
}

/// A sound recording: `samples` of its first channel in [-1, 1] at `rate_hz`. Resampled as a whole to the recipe's rate,
/// then cut into the recipe's number of clips, evenly spaced ([`clip_ranges`]).
///
/// # Errors
/// [`InputError::Size`] for an empty recording or an impossible rate.
pub fn recording(
    samples: &[f32],
    rate_hz: u32,
    entry: &SenseEntry<AudioRecipe>,
    name: &str,
) -> Result<Vec<Window>, InputError> {
    if samples.is_empty() {
        let (expected, found) = ("at least one frame of sound".into(), "no samples".into());
        return Err(InputError::Size {
            what: "recording",
            expected,
            found,
        });
    }
    let recipe = &entry.input;
    let resampled = Resampler::new(rate_hz, recipe.rate_hz)?.resample(samples);
    let window_samples = (entry.window_s * f64::from(recipe.rate_hz)).round() as usize;
    let mut ranges = clip_ranges(resampled.len(), recipe.rate_hz, window_samples, recipe.clips);
    // Equal clips have equal embeddings, and so has their mean.
    ranges.dedup();
    let format = Format::Audio {
        rate_hz: recipe.rate_hz,
        channels: 1,
        sample: AudioSample::F32,
    };
    let at = |sample: usize| seconds(sample as f64 / f64::from(recipe.rate_hz));
    Ok(ranges
        .into_iter()
        .map(|range| {
            let mut window = Window::new(StreamId::new(name), format);
            window.clear(Span::new(at(range.start), at(range.end)));
            let bytes: Vec<u8> = resampled[range].iter().flat_map(|x| x.to_le_bytes()).collect();
            window.push(window.span.start, &[&bytes]);
            window.coverage = 1.0;
            window
        })
        .collect())
}

/// An inertial recording as CSV: a header line `t_s,ax,ay,az,gx,gy,gz`, then a line per sample; seconds, m/s² (gravity
/// included), rad/s. Longer than a window: three clips, evenly spaced.
///
/// # Errors
/// [`InputError::Undecodable`] names the line.
pub fn imu_csv(text: &str, window: Duration, name: &str) -> Result<Vec<Window>, InputError> {
    const HEADER: &str = "t_s,ax,ay,az,gx,gy,gz";
    let wrong = |why: String| InputError::Undecodable { what: "IMU CSV", why };
    let mut lines = text
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty());
    let header: String = lines
        .next()
        .map(|(_, l)| l.chars().filter(|c| !c.is_whitespace()).collect())
        .unwrap_or_default();
    if header != HEADER {
        return Err(wrong(format!("it begins {header:?}, expected the header {HEADER:?}")));
    }
    let mut samples: Vec<(Timestamp, [f32; 6])> = Vec::new();
    let mut first_s = None;
    for (index, line) in lines {
        let numbers: Result<Vec<f64>, _> = line.split(',').map(|field| field.trim().parse()).collect();
        let numbers = numbers
            .ok()
            .and_then(|n| <[f64; 7]>::try_from(n).ok())
            .filter(|n| n[0].is_finite());
        let Some([t, values @ ..]) = numbers else {
            return Err(wrong(format!(
                "line {} is {line:?}, expected seven numbers ({HEADER})",
                index + 1
            )));
        };
        let since_first = t - *first_s.get_or_insert(t);
        if since_first < 0.0 {
            return Err(wrong(format!("line {}: {t} s lies before the first sample", index + 1)));
        }
        samples.push((seconds(since_first), values.map(|v| v as f32)));
    }
    let Some(&(last, _)) = samples.last() else {
        return Err(wrong("it holds no sample".into()));
    };
    let spare = last.since(Timestamp::ZERO).saturating_sub(window);
    let clips = if spare.is_zero() { 1 } else { IMU_CLIPS };
    Ok((0..clips as u32)
        .map(|i| {
            let start = Timestamp::ZERO.after(spare * i / (clips as u32 - 1).max(1));
            let span = Span::new(start, start.after(window));
            let mut cut = Window::new(StreamId::new(name), Format::Imu { rate_hz: 0.0 });
            cut.clear(span);
            for (t, values) in samples.iter().filter(|(t, _)| span.contains(*t)) {
                cut.push(*t, &[values.map(f32::to_le_bytes).as_flattened()]);
            }
            cut.coverage = 1.0;
            cut
        })
        .collect())
}

/// A window of one frame.
fn single(name: &str, format: Format, frame: &[u8]) -> Window {
    let mut window = Window::new(StreamId::new(name), format);
    window.push(Timestamp::ZERO, &[frame]);
    window.coverage = 1.0;
    window
}

fn seconds(s: f64) -> Timestamp {
    Timestamp::from_nanos((s * 1e9).round() as u64)
}
