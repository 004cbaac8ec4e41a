//! Elementary functions from additions and multiplications alone.
//!
//! The standard `sin` and `exp` come from the platform's mathematics library and differ in their last bit between
//! machines; a world that is a function of its seed must not.

/// Sine of `turns` whole turns, by a parabola and one correction step; absolute error below 1.1e-3.
pub(crate) fn sin_turns(turns: f64) -> f32 {
    let whole = turns as i64 as f64;
    let mut part = (turns - whole) as f32;
    if part > 0.5 {
        part -= 1.0;
    } else if part < -0.5 {
        part += 1.0;
    }
    let parabola = part * (8.0 - 16.0 * part.abs());
    parabola * (0.775 + 0.225 * parabola.abs())
}

/// Cosine of `turns` whole turns; error as [`sin_turns`].
pub(crate) fn cos_turns(turns: f64) -> f32 {
    sin_turns(turns + 0.25)
}

/// `exp(-x)` for `x >= 0` (negative arguments count as 0); relative error below 2e-4.
pub(crate) fn decay(x: f32) -> f32 {
    let binary = x.max(0.0) * core::f32::consts::LOG2_E;
    if binary > 60.0 {
        return 0.0;
    }
    let whole = binary as u32;
    let part = binary - whole as f32;
    // Polynomial for 2^-part on [0, 1).
    let fraction = 1.0 - part * (core::f32::consts::LN_2 - part * (0.240_226_5 - part * (0.055_504 - part * 0.008_67)));
    fraction * f32::from_bits((127 - whole) << 23)
}

/// 0 below `from`, 1 above `to`, smooth between.
pub(crate) fn ramp(from: f32, to: f32, x: f32) -> f32 {
    let part = ((x - from) / (to - from)).clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

/// Linear blend from `a` (at 0) to `b` (at 1).
pub(crate) fn blend(a: f32, b: f32, part: f32) -> f32 {
    a + (b - a) * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_standard_functions() {
        for step in -4000..4000 {
            let x = f64::from(step) * 0.003_7;
            let expected = (x * core::f64::consts::TAU).sin() as f32;
            assert!((sin_turns(x) - expected).abs() < 1.1e-3, "sin {x}");
        }
        for step in 0..4000 {
            let x = step as f32 * 0.005;
            assert!((decay(x) / (-x).exp() - 1.0).abs() < 5e-4, "exp {x}");
        }
    }
}
