//! Still picture → f32 `[3, size, size]`, bit-exact with Pillow's resize (parity specification 4.1).

use super::bicubic::{Taps, taps};
use super::error::check_scaling;
use super::geometry::ShortSideCrop;
use super::{InputError, Rgb8};
use crate::manifest::{Filter, ImageRecipe};
use sensebind_core::Sense;

/// Fractional bits of a weight: 32, less 8 for the pixel, less 2 so that sums with negative weights stay inside.
const FRACTION_BITS: u32 = 22;
const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// Turns pictures of one size into an image encoder's input: short side to `size` (bicubic), centre crop,
/// `(x / 255 - mean) / std`, channels first, red first.
///
/// The resize is Pillow's on 8-bit pictures: weights in 22-bit fixed point, horizontal pass, then vertical, each rounded
/// to 8 bits. Only pixels that the crop can see are computed, which changes nothing.
#[derive(Debug, Clone)]
pub struct ImagePreparer {
    geometry: ShortSideCrop,
    /// `None`: the width already fits.
    horizontal: Option<FixedTaps>,
    /// `None`: the height already fits.
    vertical: Option<FixedTaps>,
    /// First source row the crop can see, and how many.
    first_row: usize,
    rows: usize,
    /// `[channel][byte]` → normalised value.
    normalised: Box<[[f32; 256]; 3]>,
    /// `rows × size × 3` bytes between the passes.
    between: Vec<u8>,
    /// One row of sums.
    sums: Vec<i32>,
    /// `size × size × 3` bytes.
    cropped: Vec<u8>,
}

impl ImagePreparer {
    /// Tables for pictures of `width × height` pixels.
    ///
    /// # Errors
    /// [`InputError::Recipe`] for a recipe that is no such thing, [`InputError::Size`] for an absurd picture.
    pub fn new(recipe: &ImageRecipe, width: u32, height: u32) -> Result<Self, InputError> {
        check_scaling(Sense::Image, &recipe.mean, &recipe.std)?;
        if recipe.filter != Filter::Bicubic {
            return Err(InputError::recipe(
                Sense::Image,
                "filter is \"bilinear\", expected \"bicubic\"",
            ));
        }
        let geometry = ShortSideCrop::new(Sense::Image, recipe.size, width, height)?;
        let ShortSideCrop {
            width,
            height,
            resized_width,
            resized_height,
            crop_x,
            crop_y,
            size,
        } = geometry;
        let horizontal = (resized_width != width)
            .then(|| FixedTaps::new(&taps(width, resized_width, crop_x..crop_x + size), width, 3));
        let vertical_taps = (resized_height != height).then(|| taps(height, resized_height, crop_y..crop_y + size));
        let (first_row, end_row) = match &vertical_taps {
            None => (crop_y, crop_y + size),
            Some(v) => v.iter().fold((height, 0), |(first, end), t| {
                (first.min(t.start), end.max(t.start + t.weights.len()))
            }),
        };
        let mut normalised = Box::new([[0.0; 256]; 3]);
        for (c, table) in normalised.iter_mut().enumerate() {
            for (byte, value) in table.iter_mut().enumerate() {
                *value = (byte as f32 / 255.0 - recipe.mean[c]) / recipe.std[c];
            }
        }
        Ok(Self {
            geometry,
            horizontal,
            vertical: vertical_taps.map(|v| FixedTaps::new(&v, height, 1)),
            first_row,
            rows: end_row - first_row,
            normalised,
            between: vec![0; (end_row - first_row) * size * 3],
            sums: vec![0; size * 3],
            cropped: vec![0; size * size * 3],
        })
    }

    /// Whether it was built for pictures of this size.
    pub fn fits(&self, picture: &Rgb8) -> bool {
        (picture.width() as usize, picture.height() as usize) == (self.geometry.width, self.geometry.height)
    }

    /// The resized and cropped picture: `size × size × 3` bytes, red first. Overwritten by the next call.
    ///
    /// # Errors
    /// [`InputError::Size`] for a picture of another size than the tables.
    pub fn resize_crop(&mut self, picture: &Rgb8) -> Result<&[u8], InputError> {
        let ShortSideCrop { width, height, .. } = self.geometry;
        if !self.fits(picture) {
            let found = format!("{}x{}", picture.width(), picture.height());
            return Err(InputError::size("picture", format!("{width}x{height}"), found));
        }
        let passes = Passes {
            tables: self,
            source: picture.bytes(),
        };
        // The widest vector instructions this processor has: the sums are integers, so the result is the same.
        pulp::Arch::new().dispatch(passes);
        Ok(&self.cropped)
    }

    /// Appends `[3, size, size]` numbers to `out`.
    ///
    /// # Errors
    /// [`InputError::Size`] for a picture of another size than the tables, [`InputError::Unusable`] when every byte is
    /// zero (a covered or failed camera).
    pub fn append(&mut self, picture: &Rgb8, out: &mut Vec<f32>) -> Result<(), InputError> {
        if picture.bytes().iter().all(|&b| b == 0) {
            return Err(InputError::unusable(
                "picture",
                "every pixel is zero: a covered or failed camera",
            ));
        }
        self.resize_crop(picture)?;
        out.reserve(self.cropped.len());
        for (c, table) in self.normalised.iter().enumerate() {
            out.extend(self.cropped.as_chunks::<3>().0.iter().map(|p| table[usize::from(p[c])]));
        }
        Ok(())
    }
}

/// Both passes over one picture, for [`pulp`] to compile once per set of vector instructions: that works only for what is
/// inlined into `call`.
struct Passes<'a> {
    tables: &'a mut ImagePreparer,
    source: &'a [u8],
}

impl pulp::NullaryFnOnce for Passes<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let ImagePreparer {
            geometry,
            horizontal,
            vertical,
            first_row,
            rows,
            between,
            sums,
            cropped,
            ..
        } = self.tables;
        let ShortSideCrop {
            width, crop_x, size, ..
        } = *geometry;
        let rows = self.source.chunks_exact(width * 3).skip(*first_row).take(*rows);
        for (row, out) in rows.zip(between.chunks_exact_mut(size * 3)) {
            match horizontal {
                Some(t) => t.horizontal(row, out),
                None => out.copy_from_slice(&row[crop_x * 3..(crop_x + size) * 3]),
            }
        }
        match vertical {
            Some(t) => t.vertical(between, size * 3, *first_row, sums, cropped),
            None => cropped.copy_from_slice(between),
        }
    }
}

/// Weights of every output pixel in fixed point, all with the same number of taps.
#[derive(Debug, Clone)]
struct FixedTaps {
    /// First source pixel of each output pixel.
    starts: Vec<usize>,
    /// `taps × repeat` weights per output pixel.
    weights: Vec<i32>,
    taps: usize,
}

impl FixedTaps {
    /// Every weight stands `repeat` times in a row: once per interleaved channel. Windows are widened to one length
    /// (weight 0 adds nothing) and moved left where that would pass the end of a line of `length` pixels.
    fn new(taps: &[Taps], length: usize, repeat: usize) -> Self {
        let longest = taps.iter().map(|t| t.weights.len()).max().unwrap_or(0);
        let count = longest.next_multiple_of(8).min(length);
        let mut starts = Vec::with_capacity(taps.len());
        let mut weights = vec![0; taps.len() * count * repeat];
        for (t, fixed) in taps.iter().zip(weights.chunks_exact_mut(count * repeat)) {
            let start = t.start.min(length - count);
            starts.push(start);
            let moved = (t.start - start) * repeat;
            for (w, group) in t.weights.iter().zip(fixed[moved..].chunks_exact_mut(repeat)) {
                group.fill((w * f64::from(1 << FRACTION_BITS)).round() as i32);
            }
        }
        Self {
            starts,
            weights,
            taps: count,
        }
    }

    /// One row of interleaved RGB.
    #[inline(always)]
    fn horizontal(&self, row: &[u8], out: &mut [u8]) {
        let n = self.taps * 3;
        let windows = self.starts.iter().zip(self.weights.chunks_exact(n));
        for ((&start, weights), pixel) in windows.zip(out.chunks_exact_mut(3)) {
            pixel.copy_from_slice(&dot_rgb(&row[start * 3..start * 3 + n], weights).map(to_byte));
        }
    }

    /// All rows. `source` begins at source row `first_row`; rows are `stride` bytes.
    #[inline(always)]
    fn vertical(&self, source: &[u8], stride: usize, first_row: usize, sums: &mut [i32], out: &mut [u8]) {
        let windows = self.starts.iter().zip(self.weights.chunks_exact(self.taps));
        for ((&start, weights), out) in windows.zip(out.chunks_exact_mut(stride)) {
            sums.fill(0);
            for (i, &weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0) {
                let row = (start + i - first_row) * stride;
                for (sum, &byte) in sums.iter_mut().zip(&source[row..row + stride]) {
                    *sum += i32::from(byte) * weight;
                }
            }
            for (byte, &sum) in out.iter_mut().zip(sums.iter()) {
                *byte = to_byte(sum);
            }
        }
    }
}

/// Weighted sum of interleaved RGB pixels. Twenty-four independent sums: eight pixels of three channels, a shape that
/// compilers turn into vector instructions.
#[inline(always)]
fn dot_rgb(pixels: &[u8], weights: &[i32]) -> [i32; 3] {
    const LANES: usize = 24;
    let mut lanes = [0i32; LANES];
    let ((p, p_rest), (w, w_rest)) = (pixels.as_chunks::<LANES>(), weights.as_chunks::<LANES>());
    for (p, w) in p.iter().zip(w) {
        for l in 0..LANES {
            lanes[l] += i32::from(p[l]) * w[l];
        }
    }
    for (lane, (&p, &w)) in lanes.iter_mut().zip(p_rest.iter().zip(w_rest)) {
        *lane += i32::from(p) * w;
    }
    for half in [12, 6, 3] {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
    }
    [lanes[0], lanes[1], lanes[2]]
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    ((sum + HALF) >> FRACTION_BITS).clamp(0, 255) as u8
}
