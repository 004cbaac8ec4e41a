//! Forward and backward passes of many small shares of a batch, side by side.
//!
//! A batch is cut into shares of fixed size; threads only decide how many run at once, and sums are taken in the order
//! of the shares. So the numbers depend on the size of a share, not on the number of threads.

use burn::tensor::{Tensor, TensorData};

use crate::contrast::Rows;
use crate::device::{Device, Plain, Tracked};
use crate::encoder::{Architecture, Input, Weights, forward};
use crate::parameters::Parameters;

/// One share's input for one encoder.
#[derive(Debug)]
pub struct Share<'a> {
    /// The encoder.
    pub architecture: &'a Architecture,
    /// Its weights.
    pub parameters: &'a Parameters,
    /// What goes in.
    pub input: Input,
    /// Rows of the input.
    pub count: usize,
}

/// A forward pass that can be followed by its backward pass.
#[derive(Debug)]
pub struct Pass {
    weights: Weights<Tracked>,
    output: Tensor<Tracked, 2>,
    /// Embeddings, not of unit length.
    pub rows: Rows,
}

fn host(tensor: TensorData) -> Vec<f32> {
    tensor.iter::<f32>().collect()
}

/// Runs `work` over `items` on `threads` threads; results in order.
pub fn side_by_side<T: Send, R: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if threads <= 1 || items.len() <= 1 {
        return items.into_iter().map(work).collect();
    }
    let queue = std::sync::Mutex::new(items.into_iter().enumerate());
    let done = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let Some((place, item)) = next else { break };
                    let result = work(item);
                    done.lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

impl Pass {
    /// The forward pass of one share.
    pub fn forward(share: &Share<'_>, device: &Device) -> Self {
        let mut weights = Weights::<Tracked>::upload(share.parameters, device);
        for tensor in &mut weights.tensors {
            *tensor = tensor.clone().require_grad();
        }
        let output = forward(share.architecture, &weights, &share.input, share.count, device);
        let rows = Rows {
            width: share.architecture.dim,
            values: host(output.clone().into_data()),
        };
        Self { weights, output, rows }
    }

    /// Gradients of all weights from that of the embeddings.
    pub fn backward(self, gradient: &[f32], device: &Device) -> Vec<Vec<f32>> {
        let gradient = TensorData::new(gradient.to_vec(), self.output.dims());
        let gradient = Tensor::<Tracked, 2>::from_data(gradient, device);
        let mut gradients = (self.output * gradient).sum().backward();
        self.weights
            .tensors
            .iter()
            .map(|weight| match weight.grad_remove(&mut gradients) {
                Some(gradient) => host(gradient.into_data()),
                None => vec![0.0; weight.dims().iter().product()],
            })
            .collect()
    }
}

/// Embeddings of unit length, without gradients.
pub fn embed(shares: Vec<Share<'_>>, threads: usize, device: &Device) -> Vec<f32> {
    let parts = side_by_side(shares, threads, |share| {
        let weights = Weights::<Plain>::upload(share.parameters, device);
        let output = forward(share.architecture, &weights, &share.input, share.count, device);
        Rows {
            width: share.architecture.dim,
            values: host(output.into_data()),
        }
        .unit()
        .0
        .values
    });
    parts.concat()
}
