//! Pillow's antialiased bicubic: which source pixels make an output pixel, and with what weight.
//!
//! Separable convolution with Keys' cubic kernel, a = -0.5 (R. Keys, "Cubic convolution interpolation for digital image
//! processing", 1981). When shrinking, the kernel is stretched by the ratio, which is what antialiases (parity
//! specification 4.1).

use std::ops::Range;

/// Source pixels `start .. start + weights.len()` of one output pixel; the weights sum to 1.
#[derive(Debug, Clone)]
pub(crate) struct Taps {
    pub start: usize,
    pub weights: Vec<f64>,
}

/// The taps of output pixels `wanted`, of a line of `from` pixels resized to `to`.
pub(crate) fn taps(from: usize, to: usize, wanted: Range<usize>) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    wanted
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            // Casts truncate towards zero and saturate at it, which is Pillow's rounding and clipping in one.
            let start = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let mut weights: Vec<f64> = (start..end)
                .map(|j| cubic((j as f64 - centre + 0.5) / stretch))
                .collect();
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= sum);
            Taps { start, weights }
        })
        .collect()
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
