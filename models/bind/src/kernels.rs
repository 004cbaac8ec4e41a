//! Fused CPU kernels for the four operations that a small transformer spends its element-wise time in.
//!
//! The CPU backend composes these from passes over memory; one pass each makes a training step about twice as fast.
//! Rows are contiguous; nothing here knows about tensors. `pulp` compiles each loop for the widest vectors the
//! processor has.

use pulp::{Arch, NullaryFnOnce};

/// Partial sums kept side by side, so that a sum may be vectorised and is still the same on every run.
const LANES: usize = 16;

/// `e^x` to about 2e-7 relative, without branches (range reduction and the polynomial of Cephes' `expf`); 0 below -80,
/// because the subnormal numbers there would be slow and mean nothing.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer that then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let inside = x.clamp(-80.0, 88.0);
    let rounded = inside * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = inside - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_2e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let y = p * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < -80.0 { 0.0 } else { y }
}

/// Φ(x) and φ(x) of the standard normal distribution; erf after Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7).
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = 1.061_405_4 * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    let gauss = exp(-z * z);
    let upper = 0.5 * p * t * gauss;
    let cdf = if x < 0.0 { upper } else { 1.0 - upper };
    (cdf, gauss * 0.398_942_3)
}

#[inline(always)]
fn sum(row: &[f32], term: impl Fn(usize, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = row.len() / LANES * LANES;
    for (chunk, values) in row[..whole].chunks_exact(LANES).enumerate() {
        for lane in 0..LANES {
            lanes[lane] += term(chunk * LANES + lane, values[lane]);
        }
    }
    for (lane, &value) in row[whole..].iter().enumerate() {
        lanes[lane] += term(whole + lane, value);
    }
    lanes.iter().sum()
}

struct Gelu<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl NullaryFnOnce for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = x * normal(x).0;
        }
    }
}

/// `x Φ(x)`: GELU with the exact erf (Hendrycks and Gimpel 2016), element by element.
pub fn gelu(x: &[f32], out: &mut [f32]) {
    Arch::new().dispatch(Gelu { x, out });
}

struct GeluBackward<'a> {
    x: &'a [f32],
    grad: &'a mut [f32],
}

impl NullaryFnOnce for GeluBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (grad, &x) in self.grad.iter_mut().zip(self.x) {
            let (cdf, density) = normal(x);
            *grad *= cdf + x * density;
        }
    }
}

/// Multiplies `grad` by the derivative `Φ(x) + x φ(x)`.
pub fn gelu_backward(x: &[f32], grad: &mut [f32]) {
    Arch::new().dispatch(GeluBackward { x, grad });
}

struct Softmax<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl NullaryFnOnce for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for row in self.rows.chunks_exact_mut(self.width) {
            let mut lanes = [f32::MIN; LANES];
            let whole = row.len() / LANES * LANES;
            for values in row[..whole].chunks_exact(LANES) {
                for lane in 0..LANES {
                    lanes[lane] = if values[lane] > lanes[lane] {
                        values[lane]
                    } else {
                        lanes[lane]
                    };
                }
            }
            let top = row[whole..]
                .iter()
                .chain(&lanes)
                .fold(f32::MIN, |top, &value| top.max(value));
            for value in row.iter_mut() {
                *value = exp(*value - top);
            }
            let scale = 1.0 / sum(row, |_, value| value);
            for value in row.iter_mut() {
                *value *= scale;
            }
        }
    }
}

/// Softmax of every row of `width` numbers, in place.
pub fn softmax(rows: &mut [f32], width: usize) {
    Arch::new().dispatch(Softmax { rows, width });
}

struct SoftmaxBackward<'a> {
    y: &'a [f32],
    grad: &'a mut [f32],
    width: usize,
}

impl NullaryFnOnce for SoftmaxBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (grad, y) in self
            .grad
            .chunks_exact_mut(self.width)
            .zip(self.y.chunks_exact(self.width))
        {
            let dot = sum(grad, |i, g| g * y[i]);
            for (g, &y) in grad.iter_mut().zip(y) {
                *g = y * (*g - dot);
            }
        }
    }
}

/// Turns the gradient of a softmax' output `y` into that of its input, in place.
pub fn softmax_backward(y: &[f32], grad: &mut [f32], width: usize) {
    Arch::new().dispatch(SoftmaxBackward { y, grad, width });
}

#[inline(always)]
fn mean_and_scale(row: &[f32], eps: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, |_, x| x) / count;
    let variance = sum(row, |_, x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (variance + eps).sqrt())
}

struct LayerNorm<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    bias: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl NullaryFnOnce for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.gain.len();
        for (x, out) in self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)) {
            let (mean, scale) = mean_and_scale(x, self.eps);
            for i in 0..width {
                out[i] = (x[i] - mean) * scale * self.gain[i] + self.bias[i];
            }
        }
    }
}

/// Layer normalisation (Ba, Kiros and Hinton 2016) of every row, `gain.len()` wide.
pub fn layer_norm(x: &[f32], gain: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    Arch::new().dispatch(LayerNorm {
        x,
        gain,
        bias,
        eps,
        out,
    });
}

struct LayerNormBackward<'a> {
    x: &'a [f32],
    gain: &'a [f32],
    eps: f32,
    grad: &'a mut [f32],
    grad_gain: &'a mut [f32],
    grad_bias: &'a mut [f32],
}

impl NullaryFnOnce for LayerNormBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.gain.len();
        let count = width as f32;
        for (x, grad) in self.x.chunks_exact(width).zip(self.grad.chunks_exact_mut(width)) {
            let (mean, scale) = mean_and_scale(x, self.eps);
            let along = sum(grad, |i, g| g * self.gain[i]) / count;
            let across = sum(grad, |i, g| g * self.gain[i] * (x[i] - mean) * scale) / count;
            for i in 0..width {
                let unit = (x[i] - mean) * scale;
                self.grad_gain[i] += grad[i] * unit;
                self.grad_bias[i] += grad[i];
                grad[i] = (grad[i] * self.gain[i] - along - unit * across) * scale;
            }
        }
    }
}

/// Turns the gradient of a layer norm's output into that of its input, in place; adds those of gain and bias.
pub fn layer_norm_backward(
    x: &[f32],
    gain: &[f32],
    eps: f32,
    grad: &mut [f32],
    grad_gain: &mut [f32],
    grad_bias: &mut [f32],
) {
    Arch::new().dispatch(LayerNormBackward {
        x,
        gain,
        eps,
        grad,
        grad_gain,
        grad_bias,
    });
}
