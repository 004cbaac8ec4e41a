//! Which parts of a recording stand for the whole of it.

use std::ops::Range;

/// Sample ranges of `clips` windows evenly spaced over a recording of `samples` samples, the first at its start and the
/// last at its end. A recording shorter than a window gives `clips` times the whole recording.
///
/// Exactly as the reference does: with d = samples / rate and m = max(d - window, 0) rounded to f64, the starts are
/// `i × m / (clips - 1)` as exact rationals, floored to samples (parity specification 4.2). The rounding shows: 5.3 s at
/// 16 kHz gives 26399, because the double 5.3 - 2 lies below 3.3. `rate_hz` 0 gives the whole recording, too.
pub fn clip_ranges(samples: usize, rate_hz: u32, window_samples: usize, clips: usize) -> Vec<Range<usize>> {
    let rate = f64::from(rate_hz);
    let spare_s = (samples as f64 / rate - window_samples as f64 / rate).max(0.0);
    (0..clips)
        .map(|i| {
            let start = match clips {
                1 => 0,
                n => floor_of_product(spare_s, rate_hz as usize * i, n - 1),
            };
            start.min(samples)..start.saturating_add(window_samples).min(samples)
        })
        .collect()
}

/// `floor(x × multiplier / divisor)` without rounding in between; 0 for an `x` that is negative or not finite.
fn floor_of_product(x: f64, multiplier: usize, divisor: usize) -> usize {
    if !(x.is_finite() && x > 0.0) {
        return 0;
    }
    // x = mantissa × 2^exponent, exactly.
    let bits = x.to_bits();
    let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
    let (mantissa, exponent) = if biased == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, biased - 1075)
    };
    let product = u128::from(mantissa) * multiplier as u128;
    let numerator = if exponent > 0 {
        product.saturating_mul(1u128 << exponent.min(64))
    } else {
        product
    };
    // Division by a power of two and then by an integer floors the same as one division by both.
    let scaled = numerator.checked_shr(exponent.min(0).unsigned_abs()).unwrap_or(0);
    usize::try_from(scaled / divisor as u128).unwrap_or(usize::MAX)
}
