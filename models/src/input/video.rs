//! Clip → f32 `[crops, 3, frames, size, size]` (parity specification 4.4).

use super::error::check_scaling;
use super::picture::MAX_PIXELS;
use super::{InputError, Rgb8};
use crate::manifest::{Filter, VideoRecipe};
use sensebind_core::Sense;

/// Turns clips of frames of one size into a video encoder's input: `frames` of them, evenly spaced; `/ 255`; short side
/// to `size` (bilinear, half-pixel centres, not antialiased, in floating point), long side truncated; crops along the
/// long side; `(x - mean) / std`.
#[derive(Debug, Clone)]
pub struct VideoPreparer {
    recipe: VideoRecipe,
    width: u32,
    height: u32,
    /// Per crop: the source columns and rows of its pixels.
    crops: Vec<(Vec<Blend>, Vec<Blend>)>,
}

/// An output pixel lies between source pixels `low` and `high`, `part` of the way.
#[derive(Debug, Clone, Copy)]
struct Blend {
    low: usize,
    high: usize,
    part: f32,
}

impl VideoPreparer {
    /// Tables for frames of `width × height` pixels.
    ///
    /// # Errors
    /// [`InputError::Recipe`] for a recipe that is no such thing, [`InputError::Size`] for an absurd picture.
    pub fn new(recipe: &VideoRecipe, width: u32, height: u32) -> Result<Self, InputError> {
        check_scaling(Sense::Image, &recipe.mean, &recipe.std)?;
        let wrong = |why: String| Err(InputError::recipe(Sense::Image, why));
        if recipe.filter != Filter::Bilinear {
            return wrong("video filter is \"bicubic\", expected \"bilinear\"".into());
        }
        if recipe.crops != 1 && recipe.crops != 3 {
            return wrong(format!("video crops is {}, expected 1 or 3", recipe.crops));
        }
        if !(1..=4096).contains(&recipe.size) || !(1..=64).contains(&recipe.frames) {
            let VideoRecipe { size, frames, .. } = recipe;
            return wrong(format!(
                "video size is {size} and frames {frames}, expected 1 to 4096 and 1 to 64"
            ));
        }
        let (w, h, size) = (width as usize, height as usize, recipe.size as usize);
        let absurd = |expected: String| Err(InputError::size("video frame", expected, format!("{width}x{height}")));
        if w == 0 || h == 0 || w.checked_mul(h).is_none_or(|n| n > MAX_PIXELS) {
            return absurd(format!("1 to {MAX_PIXELS} pixels"));
        }
        // The reference computes the long side in this order, in f64.
        let long = (w.max(h) as f64 / w.min(h) as f64 * size as f64).floor() as usize;
        if long > MAX_PIXELS / size {
            return absurd("a less extreme ratio of sides".into());
        }
        let (resized_w, resized_h) = if w < h { (size, long) } else { (long, size) };
        let spare = long - size;
        let offsets = if recipe.crops == 1 {
            vec![spare.div_ceil(2)]
        } else {
            vec![0, spare.div_ceil(2), spare]
        };
        let crops = offsets.into_iter().map(|offset| {
            let (x, y) = if w < h { (0, offset) } else { (offset, 0) };
            (blends(w, resized_w, x, size), blends(h, resized_h, y, size))
        });
        Ok(Self {
            width,
            height,
            crops: crops.collect(),
            recipe: recipe.clone(),
        })
    }

    /// Appends `[crops, 3, frames, size, size]` numbers: of the clip's pictures those at [`evenly_spaced`] places.
    ///
    /// # Errors
    /// [`InputError::Size`] for a clip without frames or frames of another size than the tables;
    /// [`InputError::Unusable`] when every byte of a frame is zero (a covered or failed camera).
    pub fn append(&self, clip: &[&Rgb8], out: &mut Vec<f32>) -> Result<(), InputError> {
        if clip.is_empty() {
            return Err(InputError::size("video clip", "at least one frame", "none"));
        }
        for frame in clip {
            if (frame.width(), frame.height()) != (self.width, self.height) {
                let expected = format!("{}x{}", self.width, self.height);
                return Err(InputError::size(
                    "video frame",
                    expected,
                    format!("{}x{}", frame.width(), frame.height()),
                ));
            }
            if frame.bytes().iter().all(|&b| b == 0) {
                return Err(InputError::unusable(
                    "video frame",
                    "every pixel is zero: a covered or failed camera",
                ));
            }
        }
        let chosen = evenly_spaced(clip.len(), self.recipe.frames as usize);
        for (columns, rows) in &self.crops {
            for channel in 0..3 {
                for &i in &chosen {
                    self.append_channel(clip[i].bytes(), channel, columns, rows, out);
                }
            }
        }
        Ok(())
    }

    fn append_channel(&self, bytes: &[u8], channel: usize, columns: &[Blend], rows: &[Blend], out: &mut Vec<f32>) {
        let (mean, std) = (self.recipe.mean[channel], self.recipe.std[channel]);
        let stride = self.width as usize * 3;
        let pixel = |row: usize, column: usize| f32::from(bytes[row * stride + column * 3 + channel]) / 255.0;
        for y in rows {
            out.extend(columns.iter().map(|x| {
                let line = |row| pixel(row, x.low) * (1.0 - x.part) + pixel(row, x.high) * x.part;
                (line(y.low) * (1.0 - y.part) + line(y.high) * y.part - mean) / std
            }));
        }
    }
}

/// Output pixels `offset .. offset + count` of a line of `from` pixels resized to `to`.
fn blends(from: usize, to: usize, offset: usize, count: usize) -> Vec<Blend> {
    let scale = from as f32 / to as f32;
    (offset..offset + count)
        .map(|i| {
            let source = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
            let low = (source as usize).min(from - 1);
            Blend {
                low,
                high: (low + 1).min(from - 1),
                part: source - low as f32,
            }
        })
        .collect()
}

/// `count` indices into `length` things: `trunc(linspace(0, length - 1, count))`, ends included. For two frames the first
/// and the last. In f32 and from both ends towards the middle, as the reference's linspace does. Empty when `length` is 0.
pub fn evenly_spaced(length: usize, count: usize) -> Vec<usize> {
    let Some(last) = length.checked_sub(1) else {
        return Vec::new();
    };
    let step = if count > 1 {
        last as f32 / (count - 1) as f32
    } else {
        0.0
    };
    (0..count)
        .map(|i| {
            let place = if i < count / 2 {
                step * i as f32
            } else {
                last as f32 - step * (count - 1 - i) as f32
            };
            // With a count of 1 linspace gives its start.
            if count == 1 { 0 } else { (place as usize).min(last) }
        })
        .collect()
}
