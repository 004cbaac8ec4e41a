//! The encoders of ImageBind: each a stem (input → tokens), the shared trunk, the shared head.

use super::config::{CLIP_VOCABULARY, Config};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::graph::layers::{Selected, Trunk, head, layer_norm, linear, per_item, trunk};
use crate::graph::{Dim, Graph, InputType, Recipe, Value, Weights};
use crate::manifest::Precision;
use crate::pack::GraphKind;

/// Epsilon of a stem's LayerNorm (PyTorch's default; the trunk's is smaller).
const STEM_EPSILON: f32 = 1e-5;
/// Largest logit scale: the published model clips there.
const MAX_LOGIT_SCALE: f32 = 100.0;

/// A grey picture's stem: its tensors, its sizes.
struct PictureStem {
    stem: &'static str,
    rows: usize,
    columns: usize,
    kernel: usize,
    stride: usize,
}

impl Config {
    /// Describes the graph of `kind`; every tensor it needs is checked for name and shape, none is read.
    pub(super) fn describe<'a>(
        &self,
        kind: GraphKind,
        checkpoint: &'a Checkpoint,
        precision: Precision,
    ) -> Result<Graph<'a>, CheckpointError> {
        let weights = Weights::new(checkpoint);
        match kind {
            GraphKind::Image => self.image(&weights, precision),
            GraphKind::Video => self.video(&weights, precision),
            GraphKind::Text => self.text(&weights, precision),
            GraphKind::Audio => {
                let sizes = (self.audio_embed_dim, self.audio_num_blocks, self.audio_num_heads);
                let stem = PictureStem {
                    stem: "rgbt_stem",
                    rows: self.audio_num_mel_bins,
                    columns: self.audio_target_len,
                    kernel: self.audio_kernel_size,
                    stride: self.audio_stride,
                };
                self.grey_picture("audio", &weights, precision, sizes, &stem)
            }
            GraphKind::Depth => {
                let sizes = (self.depth_embed_dim, self.depth_num_blocks, self.depth_num_heads);
                let stem = PictureStem {
                    stem: "depth_stem",
                    rows: self.depth_size,
                    columns: self.depth_size,
                    kernel: self.depth_kernel_size,
                    stride: self.depth_stride(),
                };
                self.grey_picture("depth", &weights, precision, sizes, &stem)
            }
            GraphKind::Thermal => {
                let sizes = (self.thermal_embed_dim, self.thermal_num_blocks, self.thermal_num_heads);
                let stem = PictureStem {
                    stem: "rgbt_stem",
                    rows: self.thermal_size,
                    columns: self.thermal_size,
                    kernel: self.thermal_kernel_size,
                    stride: self.thermal_stride(),
                };
                self.grey_picture("thermal", &weights, precision, sizes, &stem)
            }
            GraphKind::Imu => self.imu(&weights, precision),
        }
    }

    /// 1 / temperature of `kind`, as the checkpoint has it: `min(exp(log_logit_scale), 100)`; 1 for pictures.
    pub(crate) fn logit_scale(&self, kind: GraphKind, checkpoint: &Checkpoint) -> Result<f32, CheckpointError> {
        if matches!(kind, GraphKind::Image | GraphKind::Video) {
            return Ok(1.0);
        }
        let name = format!("modality_postprocessors.{}.1.log_logit_scale", kind.name());
        let tensor = checkpoint.get(&name)?;
        match tensor.read_f32()?[..] {
            [log_scale] => Ok(log_scale.exp().min(MAX_LOGIT_SCALE)),
            _ => Err(CheckpointError::Shape {
                path: checkpoint.path().to_path_buf(),
                name,
                expected: vec![],
                found: tensor.shape().to_vec(),
            }),
        }
    }

    /// Still pictures `[B, 3, size, size]`: the published model repeats them to identical frames, so the kernel's
    /// temporal slices are summed and one 2-D convolution gives the same tokens.
    fn image<'a>(&self, weights: &Weights<'a>, precision: Precision) -> Result<Graph<'a>, CheckpointError> {
        let size = Dim::Fixed(self.image_size);
        let shape = [Dim::Free("batch"), Dim::Fixed(3), size, size];
        let (mut graph, input) = Graph::new("image", InputType::F32, &shape, self.out_embed_dim, precision);
        let kernel = self.vision_kernel(weights)?.summed(2);
        self.vision(&mut graph, weights, &input, kernel)?;
        Ok(graph)
    }

    /// Clips `[B, 3, frames, size, size]`: colours × frames as channels of one 2-D convolution.
    fn video<'a>(&self, weights: &Weights<'a>, precision: Precision) -> Result<Graph<'a>, CheckpointError> {
        let size = Dim::Fixed(self.image_size);
        let shape = [
            Dim::Free("batch"),
            Dim::Fixed(3),
            Dim::Fixed(self.video_frames),
            size,
            size,
        ];
        let (mut graph, input) = Graph::new("video", InputType::F32, &shape, self.out_embed_dim, precision);
        let [frames, rows, columns] = self.kernel_size;
        let kernel = self
            .vision_kernel(weights)?
            .reshaped(&[self.vision_embed_dim, 3 * frames, rows, columns]);
        let side = self.image_size as i64;
        let input = graph.reshape(&input, &[0, 3 * frames as i64, side, side]);
        self.vision(&mut graph, weights, &input, kernel)?;
        Ok(graph)
    }

    fn vision_kernel<'a>(&self, weights: &Weights<'a>) -> Result<Recipe<'a>, CheckpointError> {
        let [frames, rows, columns] = self.kernel_size;
        let stem = weights.below("modality_preprocessors.vision.rgbt_stem");
        stem.get("proj.1.weight", &[self.vision_embed_dim, 3, frames, rows, columns])
    }

    fn vision<'a>(
        &self,
        graph: &mut Graph<'a>,
        weights: &Weights<'a>,
        input: &Value,
        kernel: Recipe<'a>,
    ) -> Result<(), CheckpointError> {
        let width = self.vision_embed_dim;
        let kernel_size = self.kernel_size[1];
        let kernel = graph.weight(kernel);
        let tokens = patches(graph, input, &kernel, width, kernel_size);
        let count = self.token_count("vision");
        let stem = weights.below("modality_preprocessors.vision");
        let tokens = with_class_token(graph, &stem, &tokens, (count, width), "pos_embedding_helper.pos_embed")?;
        let trunk_weights = weights.below("modality_trunks.vision");
        let pre_norm = trunk_weights.below("pre_transformer_layer.0");
        let tokens = layer_norm(graph, &pre_norm, &tokens, width, crate::graph::layers::TRUNK_EPSILON)?;
        let sizes = Trunk {
            width,
            blocks: self.vision_num_blocks,
            heads: self.vision_num_heads,
            bias_kv: false,
        };
        let token = trunk(graph, &trunk_weights, sizes, tokens, None, &Selected::First)?;
        let head_weights = weights.below("modality_heads.vision");
        head(
            graph,
            &head_weights.below("0"),
            &head_weights.below("2"),
            &token,
            (width, self.out_embed_dim),
        )
    }

    /// Log-mel, depth and thermal pictures `[B, 1, rows, columns]`. `sizes`: width, blocks, heads.
    fn grey_picture<'a>(
        &self,
        name: &str,
        weights: &Weights<'a>,
        precision: Precision,
        sizes: (usize, usize, usize),
        stem: &PictureStem,
    ) -> Result<Graph<'a>, CheckpointError> {
        let (width, blocks, heads) = sizes;
        let &PictureStem {
            rows,
            columns,
            kernel,
            stride,
            ..
        } = stem;
        let shape = [Dim::Free("batch"), Dim::Fixed(1), Dim::Fixed(rows), Dim::Fixed(columns)];
        let (mut graph, input) = Graph::new(name, InputType::F32, &shape, self.out_embed_dim, precision);
        let before = weights.below(format_args!("modality_preprocessors.{name}"));
        let stem_weights = before.below(stem.stem);
        let matrix = graph.weight(stem_weights.get("proj.weight", &[width, 1, kernel, kernel])?);
        let tokens = patches(&mut graph, &input, &matrix, width, stride);
        let tokens = layer_norm(
            &mut graph,
            &stem_weights.below("norm_layer"),
            &tokens,
            width,
            STEM_EPSILON,
        )?;
        let count = self.token_count(name);
        let positions = "pos_embedding_helper.pos_embed";
        let tokens = with_class_token(&mut graph, &before, &tokens, (count, width), positions)?;
        let sizes = Trunk {
            width,
            blocks,
            heads,
            bias_kv: true,
        };
        let trunk_weights = weights.below(format_args!("modality_trunks.{name}"));
        let token = trunk(&mut graph, &trunk_weights, sizes, tokens, None, &Selected::First)?;
        let head_weights = weights.below(format_args!("modality_heads.{name}"));
        let (norm, projection) = (head_weights.below("0"), head_weights.below("2"));
        head(&mut graph, &norm, &projection, &token, (width, self.out_embed_dim))?;
        Ok(graph)
    }

    /// Windows `[B, axes, samples]`, cut along time; a token holds its samples axis by axis.
    fn imu<'a>(&self, weights: &Weights<'a>, precision: Precision) -> Result<Graph<'a>, CheckpointError> {
        let (axes, kernel, width) = (self.imu_channels, self.imu_kernel_size, self.imu_embed_dim);
        let shape = [Dim::Free("batch"), Dim::Fixed(axes), Dim::Fixed(self.imu_samples)];
        let (mut graph, input) = Graph::new("imu", InputType::F32, &shape, self.out_embed_dim, precision);
        let count = self.token_count("imu");
        let windows = graph.reshape(&input, &[0, axes as i64, count as i64, kernel as i64]);
        let windows = graph.transpose(&windows, &[0, 2, 1, 3]);
        let windows = graph.reshape(&windows, &[0, count as i64, (axes * kernel) as i64]);
        let before = weights.below("modality_preprocessors.imu");
        let stem = before.below("imu_stem");
        let tokens = linear(&mut graph, &stem.below("proj"), &windows, (axes * kernel, width), false)?;
        let tokens = layer_norm(&mut graph, &stem.below("norm_layer"), &tokens, width, STEM_EPSILON)?;
        let tokens = with_class_token(&mut graph, &before, &tokens, (count, width), "pos_embed")?;
        let sizes = Trunk {
            width,
            blocks: self.imu_num_blocks,
            heads: self.imu_num_heads,
            bias_kv: true,
        };
        let token = trunk(
            &mut graph,
            &weights.below("modality_trunks.imu"),
            sizes,
            tokens,
            None,
            &Selected::First,
        )?;
        let head_weights = weights.below("modality_heads.imu");
        let (norm, projection) = (head_weights.below("0"), head_weights.below("3"));
        head(&mut graph, &norm, &projection, &token, (width, self.out_embed_dim))?;
        Ok(graph)
    }

    /// Token ids `[B, L]`, any L up to the context; shorter rows of a batch are padded behind their end token, where
    /// the causal mask hides the padding. The head reads the first largest id: the end token.
    fn text<'a>(&self, weights: &Weights<'a>, precision: Precision) -> Result<Graph<'a>, CheckpointError> {
        let (width, context) = (self.text_embed_dim, self.text_context);
        let shape = [Dim::Free("batch"), Dim::Free("length")];
        let (mut graph, ids) = Graph::new("text", InputType::I64, &shape, self.out_embed_dim, precision);
        let before = weights.below("modality_preprocessors.text");
        let end = graph.first_argmax(&ids, 1);
        let rows = match &self.text_known_ids {
            None => ids.clone(),
            Some(known) => {
                let table = graph.integer_table("row of CLIP id", &row_of_id(known));
                graph.gather(&table, &ids)
            }
        };
        let table = before.get("token_embedding.weight", &[self.text_rows(), width])?;
        let tokens = graph.lookup(table, &rows);
        let length = graph.size(&ids, 1);
        let positions = before.get("pos_embed", &[1, context, width])?;
        let positions = graph.weight(positions);
        let positions = graph.first(&positions, &length, &[1]);
        let tokens = graph.add(&tokens, &positions);
        let mask = graph.constant("causal mask", &[context, context], causal_mask(context));
        let mask = graph.first(&mask, &length, &[0, 1]);
        let sizes = Trunk {
            width,
            blocks: self.text_num_blocks,
            heads: self.text_num_heads,
            bias_kv: false,
        };
        let trunk_weights = weights.below("modality_trunks.text");
        let token = trunk(
            &mut graph,
            &trunk_weights,
            sizes,
            tokens,
            Some(&mask),
            &Selected::At(end),
        )?;
        let head_weights = weights.below("modality_heads.text.proj");
        let (norm, projection) = (head_weights.below("0"), head_weights.below("1"));
        head(&mut graph, &norm, &projection, &token, (width, self.out_embed_dim))?;
        Ok(graph)
    }
}

/// Convolution whose output pixels become tokens, row by row.
fn patches(graph: &mut Graph<'_>, picture: &Value, kernel: &Value, width: usize, stride: usize) -> Value {
    let map = graph.convolution(picture, kernel, stride);
    let tokens = graph.reshape(&map, &[0, width as i64, -1]);
    graph.transpose(&tokens, &[0, 2, 1])
}

/// Puts the class token first and adds the positions of all `1 + count` tokens.
fn with_class_token<'a>(
    graph: &mut Graph<'a>,
    weights: &Weights<'a>,
    tokens: &Value,
    (count, width): (usize, usize),
    positions: &str,
) -> Result<Value, CheckpointError> {
    let class = graph.weight(weights.get("cls_token", &[1, 1, width])?);
    let class = per_item(graph, &class, tokens, width);
    let tokens = graph.concat(&[&class, tokens], 1);
    let positions = graph.weight(weights.get(positions, &[1, 1 + count, width])?);
    Ok(graph.add(&tokens, &positions))
}

/// Row of the token table for every CLIP id; ids that are not `known` share the last one.
fn row_of_id(known: &[u32]) -> Vec<i64> {
    let mut rows = vec![known.len() as i64; CLIP_VOCABULARY];
    for (row, id) in known.iter().enumerate() {
        rows[*id as usize] = row as i64;
    }
    rows
}

/// -inf where a token would look ahead, else 0.
fn causal_mask(context: usize) -> Vec<f32> {
    let ahead = |i| {
        if i % context > i / context {
            f32::NEG_INFINITY
        } else {
            0.0
        }
    };
    (0..context * context).map(ahead).collect()
}
