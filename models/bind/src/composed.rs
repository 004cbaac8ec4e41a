//! The fused operations made of any backend's own ones: what a GPU runs.
//!
//! burn's default gradient of GELU is that of the tanh approximation, so both are composed from erf here. Shapes as in
//! [`crate::fused::Fused`].

use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, FloatTensorOps};
use burn::tensor::{Shape, Tensor, TensorMetadata, TensorPrimitive};

/// 1 / sqrt(2 pi).
const DENSITY_AT_0: f32 = 0.398_942_3;

fn wrap<B: Backend, const D: usize>(tensor: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}

fn unwrap<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn flat<B: Backend>(tensor: FloatTensor<B>) -> (Tensor<B, 1>, Shape) {
    let shape = tensor.shape();
    let count = shape.num_elements();
    (
        wrap(<B as FloatTensorOps<B>>::float_reshape(tensor, Shape::from([count]))),
        shape,
    )
}

fn shaped<B: Backend>(tensor: Tensor<B, 1>, shape: Shape) -> FloatTensor<B> {
    <B as FloatTensorOps<B>>::float_reshape(unwrap(tensor), shape)
}

fn cdf<B: Backend>(x: Tensor<B, 1>) -> Tensor<B, 1> {
    ((x * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0) * 0.5
}

/// `x Φ(x)`.
pub fn gelu_erf<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let (x, shape) = flat::<B>(x);
    shaped(x.clone() * cdf(x), shape)
}

/// `grad (Φ(x) + x φ(x))`.
pub fn gelu_erf_backward<B: Backend>(x: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let ((x, shape), (grad, _)) = (flat::<B>(x), flat::<B>(grad));
    let density = (x.clone() * x.clone() * -0.5).exp() * DENSITY_AT_0;
    shaped(grad * (cdf(x.clone()) + x * density), shape)
}

/// Softmax along the last of four axes.
pub fn softmax_last<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let x = wrap::<B, 4>(x);
    let raised = (x.clone() - x.max_dim(3)).exp();
    unwrap(raised.clone() / raised.sum_dim(3))
}

/// Gradient of the softmax' input from its output and the output's gradient.
pub fn softmax_last_backward<B: Backend>(y: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let (y, grad) = (wrap::<B, 4>(y), wrap::<B, 4>(grad));
    let dot = (y.clone() * grad.clone()).sum_dim(3);
    unwrap(y * (grad - dot))
}

/// Rows with mean 0 and variance 1, and what each was multiplied by.
fn unit_rows<B: Backend>(x: Tensor<B, 2>, eps: f32) -> (Tensor<B, 2>, Tensor<B, 2>) {
    let centred = x.clone() - x.mean_dim(1);
    let scale = ((centred.clone() * centred.clone()).mean_dim(1) + eps).sqrt().recip();
    (centred * scale.clone(), scale)
}

/// Layer normalisation of rows.
pub fn norm_rows<B: Backend>(
    x: FloatTensor<B>,
    gain: FloatTensor<B>,
    bias: FloatTensor<B>,
    eps: f32,
) -> FloatTensor<B> {
    let (unit, _) = unit_rows(wrap::<B, 2>(x), eps);
    unwrap(unit * wrap::<B, 2>(gain) + wrap::<B, 2>(bias))
}

/// Gradients of a layer norm's input, gain and bias.
pub fn norm_rows_backward<B: Backend>(
    x: FloatTensor<B>,
    gain: FloatTensor<B>,
    grad: FloatTensor<B>,
    eps: f32,
) -> [FloatTensor<B>; 3] {
    let (unit, scale) = unit_rows(wrap::<B, 2>(x), eps);
    let grad = wrap::<B, 2>(grad);
    let scaled = grad.clone() * wrap::<B, 2>(gain);
    let along = scaled.clone().mean_dim(1);
    let across = (scaled.clone() * unit.clone()).mean_dim(1);
    let grad_x = (scaled - along - unit.clone() * across) * scale;
    [
        unwrap(grad_x),
        unwrap((grad.clone() * unit).sum_dim(0)),
        unwrap(grad.sum_dim(0)),
    ]
}
