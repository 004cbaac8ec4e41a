//! The fused operations as burn operations with gradients of their own.
//!
//! [`Fused`] is what a backend must offer: the CPU runs [`crate::kernels`], a GPU what [`crate::composed`] makes of its
//! own operations.

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::flex::{Flex, FlexTensor};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorData, TensorMetadata, TensorPrimitive};

#[cfg(feature = "cuda")]
use crate::composed;
use crate::kernels;

/// A backend with the fused operations. `x` of the layer norm is `[rows, width]`, gain and bias `[1, width]`;
/// softmax runs along the last axis of `[batch, heads, queries, keys]`.
pub trait Fused: Backend {
    /// `x Φ(x)`.
    fn gelu_erf(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `grad (Φ(x) + x φ(x))`.
    fn gelu_erf_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Softmax along the last axis.
    fn softmax_last(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Gradient of the input from the output `y` and its gradient.
    fn softmax_last_backward(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Layer normalisation.
    fn norm_rows(x: FloatTensor<Self>, gain: FloatTensor<Self>, bias: FloatTensor<Self>, eps: f32)
    -> FloatTensor<Self>;
    /// Gradients of input, gain and bias.
    fn norm_rows_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f32,
    ) -> [FloatTensor<Self>; 3];
}

/// The numbers of a CPU tensor, and a tensor of the same shape from numbers.
fn numbers(tensor: FlexTensor) -> Vec<f32> {
    let tensor = tensor.to_contiguous();
    tensor.storage::<f32>().to_vec()
}

fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

fn last(tensor: &FlexTensor) -> usize {
    tensor.shape().last().copied().unwrap_or(1)
}

impl Fused for Flex {
    fn gelu_erf(x: FlexTensor) -> FlexTensor {
        let (shape, x) = (x.shape(), x.to_contiguous());
        let x = x.storage::<f32>();
        let mut out = vec![0.0; x.len()];
        kernels::gelu(x, &mut out);
        tensor(out, shape)
    }

    fn gelu_erf_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let (shape, x) = (x.shape(), x.to_contiguous());
        let mut grad = numbers(grad);
        kernels::gelu_backward(x.storage(), &mut grad);
        tensor(grad, shape)
    }

    fn softmax_last(x: FlexTensor) -> FlexTensor {
        let (shape, width) = (x.shape(), last(&x));
        let mut rows = numbers(x);
        kernels::softmax(&mut rows, width);
        tensor(rows, shape)
    }

    fn softmax_last_backward(y: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let (shape, width, y) = (y.shape(), last(&y), y.to_contiguous());
        let mut grad = numbers(grad);
        kernels::softmax_backward(y.storage(), &mut grad, width);
        tensor(grad, shape)
    }

    fn norm_rows(x: FlexTensor, gain: FlexTensor, bias: FlexTensor, eps: f32) -> FlexTensor {
        let (shape, x) = (x.shape(), x.to_contiguous());
        let (gain, bias) = (gain.to_contiguous(), bias.to_contiguous());
        let x = x.storage::<f32>();
        let mut out = vec![0.0; x.len()];
        kernels::layer_norm(x, gain.storage(), bias.storage(), eps, &mut out);
        tensor(out, shape)
    }

    fn norm_rows_backward(x: FlexTensor, gain: FlexTensor, grad: FlexTensor, eps: f32) -> [FlexTensor; 3] {
        let (shape, width) = (x.shape(), last(&x));
        let (x, gain) = (x.to_contiguous(), gain.to_contiguous());
        let mut grad = numbers(grad);
        let (mut grad_gain, mut grad_bias) = (vec![0.0; width], vec![0.0; width]);
        kernels::layer_norm_backward(
            x.storage(),
            gain.storage(),
            eps,
            &mut grad,
            &mut grad_gain,
            &mut grad_bias,
        );
        [
            tensor(grad, shape),
            tensor(grad_gain, [1, width]),
            tensor(grad_bias, [1, width]),
        ]
    }
}

#[cfg(feature = "cuda")]
impl Fused for burn::backend::Cuda {
    fn gelu_erf(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::gelu_erf::<Self>(x)
    }

    fn gelu_erf_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::gelu_erf_backward::<Self>(x, grad)
    }

    fn softmax_last(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::softmax_last::<Self>(x)
    }

    fn softmax_last_backward(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        composed::softmax_last_backward::<Self>(y, grad)
    }

    fn norm_rows(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self> {
        composed::norm_rows::<Self>(x, gain, bias, eps)
    }

    fn norm_rows_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f32,
    ) -> [FloatTensor<Self>; 3] {
        composed::norm_rows_backward::<Self>(x, gain, grad, eps)
    }
}

#[derive(Debug)]
struct GeluStep;

impl<B: Fused> Backward<B, 1> for GeluStep {
    type State = NodeId;

    fn backward(self, ops: Ops<NodeId, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let x = checkpointer.retrieve_node_output(ops.state);
        unary::<B, _>(ops.parents, ops.node, grads, |grad| B::gelu_erf_backward(x, grad));
    }
}

#[derive(Debug)]
struct SoftmaxStep;

impl<B: Fused> Backward<B, 1> for SoftmaxStep {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<FloatTensor<B>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::softmax_last_backward(ops.state, grad)
        });
    }
}

#[derive(Debug)]
struct NormStep;

impl<B: Fused> Backward<B, 3> for NormStep {
    type State = (NodeId, FloatTensor<B>, f32);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (x, gain, eps) = ops.state;
        let x = checkpointer.retrieve_node_output(x);
        let grad = grads.consume::<B>(&ops.node);
        let found = B::norm_rows_backward(x, gain, grad, eps);
        for (parent, grad) in ops.parents.into_iter().zip(found) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

impl<B: Fused, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn gelu_erf(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match GeluStep.prepare::<C>([x.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let state = step.checkpoint(&x);
                step.finish(state, B::gelu_erf(x.primitive))
            }
            OpsKind::UnTracked(step) => step.finish(B::gelu_erf(x.primitive)),
        }
    }

    fn gelu_erf_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        // Second derivatives are never asked for: the result carries no graph.
        FloatTensor::<Self>::new(B::gelu_erf_backward(x.primitive, grad.primitive))
    }

    fn softmax_last(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match SoftmaxStep.prepare::<C>([x.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let y = B::softmax_last(x.primitive);
                step.finish(y.clone(), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::softmax_last(x.primitive)),
        }
    }

    fn softmax_last_backward(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        FloatTensor::<Self>::new(B::softmax_last_backward(y.primitive, grad.primitive))
    }

    fn norm_rows(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self> {
        let nodes = [x.node.clone(), gain.node.clone(), bias.node.clone()];
        match NormStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let state = (step.checkpoint(&x), gain.primitive.clone(), eps);
                step.finish(state, B::norm_rows(x.primitive, gain.primitive, bias.primitive, eps))
            }
            OpsKind::UnTracked(step) => step.finish(B::norm_rows(x.primitive, gain.primitive, bias.primitive, eps)),
        }
    }

    fn norm_rows_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f32,
    ) -> [FloatTensor<Self>; 3] {
        B::norm_rows_backward(x.primitive, gain.primitive, grad.primitive, eps).map(FloatTensor::<Self>::new)
    }
}

fn unary_op<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    op: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>,
) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(op(x.into_primitive().tensor())))
}

/// GELU with the exact erf.
pub fn gelu<B: Fused, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    unary_op(x, B::gelu_erf)
}

/// Softmax along the keys of `[batch, heads, queries, keys]`.
pub fn softmax<B: Fused>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    unary_op(x, B::softmax_last)
}

/// Layer normalisation of the rows of `[rows, width]`; gain and bias are `[1, width]`.
pub fn layer_norm<B: Fused>(x: Tensor<B, 2>, gain: Tensor<B, 2>, bias: Tensor<B, 2>, eps: f32) -> Tensor<B, 2> {
    let (gain, bias) = (gain.into_primitive().tensor(), bias.into_primitive().tensor());
    unary_op(x, |x| B::norm_rows(x, gain, bias, eps))
}
