//! The parts of a pre-norm transformer, in PyTorch's names and packing. `x` is `[batch, tokens, width]` throughout.

use super::builder::{Graph, Value};
use super::weights::Weights;
use crate::checkpoint::CheckpointError;

/// Epsilon of the LayerNorms of trunk and head; a stem's is PyTorch's default, 1e-5.
pub(crate) const TRUNK_EPSILON: f32 = 1e-6;

type Built = Result<Value, CheckpointError>;

/// Sizes of one encoder's trunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trunk {
    /// Numbers per token.
    pub width: usize,
    /// Blocks.
    pub blocks: usize,
    /// Attention heads.
    pub heads: usize,
    /// Whether attention has one learned extra key and value (`bias_k`, `bias_v`).
    pub bias_kv: bool,
}

/// The token that the head reads.
#[derive(Debug)]
pub(crate) enum Selected {
    /// The class token.
    First,
    /// One position per item, `[batch, 1]`.
    At(Value),
}

impl Selected {
    /// `[batch, tokens, width]` → `[batch, 1, width]`.
    fn of(&self, graph: &mut Graph<'_>, x: &Value) -> Value {
        match self {
            Self::First => {
                let one = graph.integers(&[1]);
                graph.first(x, &one, &[1])
            }
            Self::At(position) => graph.gather_per_item(x, position),
        }
    }

    /// Rows of the mask `[tokens, tokens]` for the selected token: `[batch, 1, 1, tokens]`.
    fn of_mask(&self, graph: &mut Graph<'_>, mask: &Value) -> Value {
        let rows = match self {
            Self::First => graph.integers(&[0]),
            Self::At(position) => position.clone(),
        };
        let rows = graph.gather(mask, &rows);
        graph.unsqueeze(&rows, 1)
    }
}

/// `x W^T (+ b)`.
pub(crate) fn linear<'a>(
    graph: &mut Graph<'a>,
    weights: &Weights<'a>,
    x: &Value,
    sizes: (usize, usize),
    bias: bool,
) -> Built {
    let (inputs, outputs) = sizes;
    let matrix = graph.weight(weights.get("weight", &[outputs, inputs])?.transposed());
    let product = graph.matmul(x, &matrix);
    if !bias {
        return Ok(product);
    }
    let bias = graph.weight(weights.get("bias", &[outputs])?);
    Ok(graph.add(&product, &bias))
}

/// LayerNorm over `width`.
pub(crate) fn layer_norm<'a>(
    graph: &mut Graph<'a>,
    weights: &Weights<'a>,
    x: &Value,
    width: usize,
    epsilon: f32,
) -> Built {
    let scale = graph.weight(weights.get("weight", &[width])?);
    let bias = graph.weight(weights.get("bias", &[width])?);
    Ok(graph.layer_norm(x, &scale, &bias, epsilon))
}

/// All blocks. The last one computes only the `selected` token: its keys and values need every token, its query,
/// output projection and MLP only that one. Returns `[batch, 1, width]`. `mask` is added to the attention logits.
pub(crate) fn trunk<'a>(
    graph: &mut Graph<'a>,
    weights: &Weights<'a>,
    sizes: Trunk,
    mut x: Value,
    mask: Option<&Value>,
    selected: &Selected,
) -> Built {
    for block in 0..sizes.blocks {
        let weights = weights.below(format_args!("blocks.{block}"));
        let normed = layer_norm(graph, &weights.below("norm_1"), &x, sizes.width, TRUNK_EPSILON)?;
        let last = block + 1 == sizes.blocks;
        let (queries, mask) = if last {
            x = selected.of(graph, &x);
            (selected.of(graph, &normed), mask.map(|m| selected.of_mask(graph, m)))
        } else {
            (normed.clone(), mask.cloned())
        };
        let attended = attention(graph, &weights.below("attn"), sizes, &queries, &normed, mask.as_ref())?;
        x = graph.add(&x, &attended);
        let normed = layer_norm(graph, &weights.below("norm_2"), &x, sizes.width, TRUNK_EPSILON)?;
        let changed = mlp(graph, &weights.below("mlp"), sizes.width, &normed)?;
        x = graph.add(&x, &changed);
    }
    Ok(x)
}

fn mlp<'a>(graph: &mut Graph<'a>, weights: &Weights<'a>, width: usize, x: &Value) -> Built {
    let hidden = linear(graph, &weights.below("fc1"), x, (width, 4 * width), true)?;
    let hidden = graph.gelu(&hidden);
    linear(graph, &weights.below("fc2"), &hidden, (4 * width, width), true)
}

/// PyTorch's `MultiheadAttention`: packed q, k, v; heads are consecutive slices of the width; `bias_k` and `bias_v`
/// are one more key and value, already projected, behind the last token.
fn attention<'a>(
    graph: &mut Graph<'a>,
    weights: &Weights<'a>,
    sizes: Trunk,
    queries: &Value,
    tokens: &Value,
    mask: Option<&Value>,
) -> Built {
    let Trunk { width, heads, .. } = sizes;
    let per_head = width / heads;
    let projected = |graph: &mut Graph<'a>, x: &Value, index: usize, name: &str| -> Built {
        let matrix = weights
            .get("in_proj_weight", &[3 * width, width])?
            .part(index, 3, name)
            .transposed();
        let bias = weights.get("in_proj_bias", &[3 * width])?.part(index, 3, name);
        let (matrix, bias) = (graph.weight(matrix), graph.weight(bias));
        let product = graph.matmul(x, &matrix);
        Ok(graph.add(&product, &bias))
    };
    let q = projected(graph, queries, 0, ".q")?;
    let mut k = projected(graph, tokens, 1, ".k")?;
    let mut v = projected(graph, tokens, 2, ".v")?;
    if sizes.bias_kv {
        k = append(graph, weights, "bias_k", &k, width)?;
        v = append(graph, weights, "bias_v", &v, width)?;
    }
    let scale = graph.scalar((1.0 / (per_head as f64).sqrt()) as f32);
    let q = graph.multiply(&q, &scale);
    let split = [0, 0, heads as i64, per_head as i64];
    let q = graph.reshape(&q, &split);
    let q = graph.transpose(&q, &[0, 2, 1, 3]);
    let k = graph.reshape(&k, &split);
    let k = graph.transpose(&k, &[0, 2, 3, 1]);
    let v = graph.reshape(&v, &split);
    let v = graph.transpose(&v, &[0, 2, 1, 3]);
    let mut logits = graph.matmul(&q, &k);
    if let Some(mask) = mask {
        logits = graph.add(&logits, mask);
    }
    let shares = graph.softmax(&logits);
    let mixed = graph.matmul(&shares, &v);
    let mixed = graph.transpose(&mixed, &[0, 2, 1, 3]);
    let mixed = graph.reshape(&mixed, &[0, 0, width as i64]);
    linear(graph, &weights.below("out_proj"), &mixed, (width, width), true)
}

fn append<'a>(graph: &mut Graph<'a>, weights: &Weights<'a>, name: &str, tokens: &Value, width: usize) -> Built {
    let extra = graph.weight(weights.get(name, &[1, 1, width])?);
    let extra = per_item(graph, &extra, tokens, width);
    Ok(graph.concat(&[tokens, &extra], 1))
}

/// `token` `[1, 1, width]` repeated for every item of `like`.
pub(crate) fn per_item(graph: &mut Graph<'_>, token: &Value, like: &Value, width: usize) -> Value {
    let batch = graph.size(like, 0);
    let rest = graph.integers(&[1, width as i64]);
    let shape = graph.concat(&[&batch, &rest], 0);
    graph.expand(token, &shape)
}

/// The head: LayerNorm and linear projection of the selected token, then unit length. Ends the graph.
pub(crate) fn head<'a>(
    graph: &mut Graph<'a>,
    norm: &Weights<'a>,
    projection: &Weights<'a>,
    x: &Value,
    sizes: (usize, usize),
) -> Result<(), CheckpointError> {
    let (width, dim) = sizes;
    let x = layer_norm(graph, norm, x, width, TRUNK_EPSILON)?;
    let x = linear(graph, projection, &x, (width, dim), false)?;
    let x = graph.reshape(&x, &[0, dim as i64]);
    graph.finish_unit_length(&x);
    Ok(())
}
