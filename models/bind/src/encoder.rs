//! ImageBind's six encoders (parity specification, section 5) as burn computations, at any size.
//!
//! Two shortcuts change no result: convolution stems are matrix products over patches cut beforehand, and in the last
//! block only the selected token has a query, an output projection and an MLP.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use sensebind_core::Sense;

use crate::chance::Draw;
use crate::fused::{Fused, gelu, layer_norm, softmax};
use crate::parameters::{Parameters, Start};

/// Epsilon of the stem's layer norm.
const STEM_EPS: f32 = 1e-5;
/// Epsilon of every other layer norm.
const EPS: f32 = 1e-6;
/// What a masked key's score is lowered by.
const MASKED: f32 = -1e9;

/// What the checkpoint calls a sense.
pub fn checkpoint_name(sense: Sense) -> &'static str {
    if sense == Sense::Image { "vision" } else { sense.name() }
}

fn stem_name(sense: Sense) -> &'static str {
    match sense {
        Sense::Depth => "depth_stem",
        Sense::Imu => "imu_stem",
        _ => "rgbt_stem",
    }
}

/// Only text has no class token.
fn has_class_token(sense: Sense) -> bool {
    sense != Sense::Text
}

/// One more learned key and value for every block.
fn has_extra_key(sense: Sense) -> bool {
    !matches!(sense, Sense::Text | Sense::Image)
}

/// The size of one encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Which one.
    pub sense: Sense,
    /// Numbers per token.
    pub width: usize,
    /// Transformer blocks.
    pub blocks: usize,
    /// Attention heads.
    pub heads: usize,
    /// Numbers per embedding.
    pub dim: usize,
    /// Tokens without the class token; for text the context.
    pub tokens: usize,
    /// Shape of the stem's weight after its first axis; for text `[rows of the word table]`.
    pub stem: Vec<usize>,
}

impl Architecture {
    /// Numbers per patch.
    pub fn patch(&self) -> usize {
        self.stem.iter().product()
    }

    fn positions(&self) -> usize {
        self.tokens + usize::from(has_class_token(self.sense))
    }

    /// All weights with their initial values.
    pub fn initial(&self, draw: &mut Draw) -> Parameters {
        let (sense, width) = (self.sense, self.width);
        let name = checkpoint_name(sense);
        let pre = format!("modality_preprocessors.{name}");
        let mut all = Parameters::default();
        let norm = |all: &mut Parameters, prefix: String, draw: &mut Draw| {
            all.add(format!("{prefix}.weight"), &[width], Start::Constant(1.0), false, draw);
            all.add(format!("{prefix}.bias"), &[width], Start::Constant(0.0), false, draw);
        };
        if sense == Sense::Text {
            all.add(
                format!("{pre}.token_embedding.weight"),
                &[self.stem[0], width],
                Start::Normal(0.3),
                false,
                draw,
            );
            all.add(
                format!("{pre}.pos_embed"),
                &[1, self.tokens, width],
                Start::Normal(0.05),
                false,
                draw,
            );
        } else {
            let stem = format!("{pre}.{}", stem_name(sense));
            let weight = if sense == Sense::Image {
                "proj.1.weight"
            } else {
                "proj.weight"
            };
            let shape: Vec<usize> = std::iter::once(width).chain(self.stem.iter().copied()).collect();
            let spread = Start::Normal((self.patch() as f32).powf(-0.5));
            all.add(format!("{stem}.{weight}"), &shape, spread, true, draw);
            if sense != Sense::Image {
                norm(&mut all, format!("{stem}.norm_layer"), draw);
            }
            all.add(
                format!("{pre}.cls_token"),
                &[1, 1, width],
                Start::Normal(0.1),
                false,
                draw,
            );
            let positions = if sense == Sense::Imu {
                "pos_embed"
            } else {
                "pos_embedding_helper.pos_embed"
            };
            all.add(
                format!("{pre}.{positions}"),
                &[1, self.positions(), width],
                Start::Normal(0.1),
                false,
                draw,
            );
        }
        let trunk = format!("modality_trunks.{name}");
        if sense == Sense::Image {
            norm(&mut all, format!("{trunk}.pre_transformer_layer.0"), draw);
        }
        let matrix = |inputs: usize, outputs: usize| Start::Normal((2.0 / (inputs + outputs) as f32).sqrt());
        // Residual branches start small, so that depth does not raise the variance (as GPT-2).
        let residual = |inputs: usize, outputs: usize| {
            Start::Normal((2.0 / (inputs + outputs) as f32).sqrt() / (2.0 * self.blocks as f32).sqrt())
        };
        let zero = Start::Constant(0.0);
        for block in 0..self.blocks {
            let block = format!("{trunk}.blocks.{block}");
            all.add(
                format!("{block}.attn.in_proj_weight"),
                &[3 * width, width],
                matrix(width, width),
                true,
                draw,
            );
            all.add(format!("{block}.attn.in_proj_bias"), &[3 * width], zero, false, draw);
            if has_extra_key(sense) {
                all.add(
                    format!("{block}.attn.bias_k"),
                    &[1, 1, width],
                    Start::Normal(0.1),
                    false,
                    draw,
                );
                all.add(
                    format!("{block}.attn.bias_v"),
                    &[1, 1, width],
                    Start::Normal(0.1),
                    false,
                    draw,
                );
            }
            all.add(
                format!("{block}.attn.out_proj.weight"),
                &[width, width],
                residual(width, width),
                true,
                draw,
            );
            all.add(format!("{block}.attn.out_proj.bias"), &[width], zero, false, draw);
            norm(&mut all, format!("{block}.norm_1"), draw);
            let hidden = 4 * width;
            all.add(
                format!("{block}.mlp.fc1.weight"),
                &[hidden, width],
                matrix(width, hidden),
                true,
                draw,
            );
            all.add(format!("{block}.mlp.fc1.bias"), &[hidden], zero, false, draw);
            all.add(
                format!("{block}.mlp.fc2.weight"),
                &[width, hidden],
                residual(hidden, width),
                true,
                draw,
            );
            all.add(format!("{block}.mlp.fc2.bias"), &[width], zero, false, draw);
            norm(&mut all, format!("{block}.norm_2"), draw);
        }
        let head = format!("modality_heads.{name}");
        let (first, linear) = match sense {
            Sense::Text => ("proj.0", "proj.1"),
            Sense::Imu => ("0", "3"),
            _ => ("0", "2"),
        };
        norm(&mut all, format!("{head}.{first}"), draw);
        all.add(
            format!("{head}.{linear}.weight"),
            &[self.dim, width],
            matrix(width, self.dim),
            true,
            draw,
        );
        all
    }
}

/// What goes into an encoder: a batch on the host.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Patches, `[batch, tokens, numbers per patch]`, row by row.
    Patches(Vec<f32>),
    /// Rows of the word table, every phrase filled up with 0 to the same length.
    Words {
        /// `[batch, length]`.
        rows: Vec<u32>,
        /// Length of every phrase.
        length: usize,
        /// Where each phrase ends.
        ends: Vec<usize>,
    },
}

/// The weights on a device, in the order of [`Parameters`], as matrices.
#[derive(Debug)]
pub struct Weights<B: Backend> {
    /// One matrix for each parameter.
    pub tensors: Vec<Tensor<B, 2>>,
}

impl<B: Backend> Weights<B> {
    /// Copies the weights to the device.
    pub fn upload(parameters: &Parameters, device: &B::Device) -> Self {
        let tensors = parameters
            .iter()
            .map(|parameter| Tensor::from_data(TensorData::new(parameter.values.clone(), parameter.matrix()), device))
            .collect();
        Self { tensors }
    }
}

/// Hands the weights out in the order in which [`Architecture::initial`] made them.
struct InOrder<'a, B: Backend>(std::slice::Iter<'a, Tensor<B, 2>>);

impl<B: Backend> InOrder<'_, B> {
    fn next(&mut self) -> Tensor<B, 2> {
        match self.0.next() {
            Some(tensor) => tensor.clone(),
            None => unreachable!("an encoder reads exactly the weights it made"),
        }
    }
}

fn linear<B: Backend>(x: Tensor<B, 2>, weight: Tensor<B, 2>, bias: Tensor<B, 2>) -> Tensor<B, 2> {
    x.matmul(weight.transpose()) + bias
}

/// `[batch * tokens, width]` to `[batch, heads, tokens, width / heads]`.
fn split_heads<B: Backend>(x: Tensor<B, 2>, batch: usize, heads: usize) -> Tensor<B, 4> {
    let [rows, width] = x.dims();
    x.reshape([batch, rows / batch, heads, width / heads]).swap_dims(1, 2)
}

/// Runs an encoder: `[batch, dim]`, not yet of unit length.
pub fn forward<B: Fused>(
    architecture: &Architecture,
    weights: &Weights<B>,
    input: &Input,
    batch: usize,
    device: &B::Device,
) -> Tensor<B, 2> {
    let Architecture {
        sense,
        width,
        blocks,
        heads,
        ..
    } = *architecture;
    let mut next = InOrder(weights.tensors.iter());
    let (mut x, selected, mask) = match input {
        Input::Words { rows, length, ends } => {
            let table = next.next();
            let positions = next.next();
            let rows: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
            let rows = Tensor::<B, 1, Int>::from_data(TensorData::new(rows, [batch * length]), device);
            let words = table.select(0, rows).reshape([batch, *length, width]);
            let positions = positions.slice([0..*length, 0..width]).reshape([1, *length, width]);
            let x = (words + positions).reshape([batch * length, width]);
            (x, ends.clone(), Some(causal_mask(*length, ends, device)))
        }
        Input::Patches(patches) => {
            let (tokens, patch) = (architecture.tokens, architecture.patch());
            let patches = Tensor::<B, 2>::from_data(TensorData::new(patches.clone(), [batch * tokens, patch]), device);
            let mut x = patches.matmul(next.next().transpose());
            if sense != Sense::Image {
                x = layer_norm(x, next.next(), next.next(), STEM_EPS);
            }
            let class = next.next().reshape([1, 1, width]).expand([batch, 1, width]);
            let positions = next.next().reshape([1, tokens + 1, width]);
            let x = Tensor::cat(vec![class, x.reshape([batch, tokens, width])], 1) + positions;
            (x.reshape([batch * (tokens + 1), width]), vec![0; batch], None)
        }
    };
    if sense == Sense::Image {
        x = layer_norm(x, next.next(), next.next(), EPS);
    }
    let tokens = x.dims()[0] / batch;
    let selected: Vec<i64> = selected
        .iter()
        .enumerate()
        .map(|(item, &token)| (item * tokens + token) as i64)
        .collect();
    let selected = Tensor::<B, 1, Int>::from_data(TensorData::new(selected, [batch]), device);
    for block in 0..blocks {
        let is_last = block + 1 == blocks;
        let (in_weight, in_bias) = (next.next(), next.next());
        let extra = has_extra_key(sense).then(|| (next.next(), next.next()));
        let (out_weight, out_bias) = (next.next(), next.next());
        let norm_1 = (next.next(), next.next());
        let fc1 = (next.next(), next.next());
        let fc2 = (next.next(), next.next());
        let norm_2 = (next.next(), next.next());

        let h = layer_norm(x.clone(), norm_1.0, norm_1.1, EPS);
        let part = |from: usize, to: usize| {
            (in_weight.clone().slice([from * width..to * width, 0..width]), {
                in_bias.clone().slice([0..1, from * width..to * width])
            })
        };
        let (query, pair) = if is_last {
            let (weight, bias) = part(0, 1);
            let query = linear(h.clone().select(0, selected.clone()), weight, bias);
            let (weight, bias) = part(1, 3);
            (query, linear(h, weight, bias))
        } else {
            let all = linear(h, in_weight.clone(), in_bias.clone());
            let rows = batch * tokens;
            (
                all.clone().slice([0..rows, 0..width]),
                all.slice([0..rows, width..3 * width]),
            )
        };
        let rows = batch * tokens;
        let mut key = split_heads(pair.clone().slice([0..rows, 0..width]), batch, heads);
        let mut value = split_heads(pair.slice([0..rows, width..2 * width]), batch, heads);
        if let Some((extra_key, extra_value)) = extra {
            let spread = |extra: Tensor<B, 2>| {
                extra
                    .reshape([1, heads, 1, width / heads])
                    .expand([batch, heads, 1, width / heads])
            };
            key = Tensor::cat(vec![key, spread(extra_key)], 2);
            value = Tensor::cat(vec![value, spread(extra_value)], 2);
        }
        let scale = ((width / heads) as f32).powf(-0.5);
        let query = split_heads(query * scale, batch, heads);
        let mut scores = query.matmul(key.transpose());
        if let Some((all, last)) = &mask {
            scores = scores + if is_last { last.clone() } else { all.clone() };
        }
        let seen = softmax(scores).matmul(value).swap_dims(1, 2);
        let rows = if is_last { batch } else { rows };
        if is_last {
            x = x.select(0, selected.clone());
        }
        x = x + linear(seen.reshape([rows, width]), out_weight, out_bias);
        let h = layer_norm(x.clone(), norm_2.0, norm_2.1, EPS);
        x = x + linear(gelu(linear(h, fc1.0, fc1.1)), fc2.0, fc2.1);
    }
    let x = layer_norm(x, next.next(), next.next(), EPS);
    x.matmul(next.next().transpose())
}

/// What hides later words: from every word `[1, 1, length, length]`, from each phrase's end `[batch, 1, 1, length]`.
fn causal_mask<B: Backend>(length: usize, ends: &[usize], device: &B::Device) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let row = |end: usize| (0..length).map(move |key| if key > end { MASKED } else { 0.0 });
    let all: Vec<f32> = (0..length).flat_map(row).collect();
    let last: Vec<f32> = ends.iter().flat_map(|&end| row(end)).collect();
    (
        Tensor::from_data(TensorData::new(all, [1, 1, length, length]), device),
        Tensor::from_data(TensorData::new(last, [ends.len(), 1, 1, length]), device),
    )
}
