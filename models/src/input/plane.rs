//! One plane of floats, short side to `size`, centre crop: what depth and thermal pictures go through.

use super::InputError;
use super::bicubic::{Taps, taps};
use super::geometry::ShortSideCrop;
use sensebind_core::Sense;

/// Pillow's antialiased bicubic in floating point: the image recipe's kernel without its rounding to 8 bits.
#[derive(Debug, Clone)]
pub(crate) struct PlaneResizer {
    geometry: ShortSideCrop,
    horizontal: Vec<Taps>,
    vertical: Vec<Taps>,
    /// `height × size`, between the passes.
    between: Vec<f32>,
}

impl PlaneResizer {
    pub fn new(sense: Sense, size: u32, width: u32, height: u32) -> Result<Self, InputError> {
        let g = ShortSideCrop::new(sense, size, width, height)?;
        Ok(Self {
            geometry: g,
            horizontal: taps(g.width, g.resized_width, g.crop_x..g.crop_x + g.size),
            vertical: taps(g.height, g.resized_height, g.crop_y..g.crop_y + g.size),
            between: vec![0.0; g.height * g.size],
        })
    }

    /// Appends `size × size` numbers. `plane` holds `height × width`.
    pub fn append(&mut self, plane: &[f32], out: &mut Vec<f32>) {
        let ShortSideCrop { width, size, .. } = self.geometry;
        for (row, out) in plane.chunks_exact(width).zip(self.between.chunks_exact_mut(size)) {
            for (t, value) in self.horizontal.iter().zip(out) {
                let window = &row[t.start..t.start + t.weights.len()];
                *value = window.iter().zip(&t.weights).map(|(&x, &w)| x * w as f32).sum();
            }
        }
        for t in &self.vertical {
            let begin = out.len();
            out.resize(begin + size, 0.0);
            for (row, &w) in self.between.chunks_exact(size).skip(t.start).zip(&t.weights) {
                for (sum, &x) in out[begin..].iter_mut().zip(row) {
                    *sum += x * w as f32;
                }
            }
        }
    }
}
