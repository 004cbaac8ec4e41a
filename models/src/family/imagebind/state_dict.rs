//! Every tensor of a checkpoint of this family: what training must save and what the huge model has.

use super::config::Config;

/// A tensor's name and its shape, slowest dimension first; a scalar has none.
pub type NamedShape = (String, Vec<usize>);

/// One encoder's part of the list.
struct Encoder<'a> {
    name: &'a str,
    width: usize,
    blocks: usize,
    bias_kv: bool,
}

impl Config {
    /// Names and shapes of all tensors, encoder by encoder: stems, then trunks, heads and logit scales. For the
    /// published model these are its 1311 tensors. (The causal mask of the text encoder is among them, as PyTorch
    /// stores it; the importer does not read it.)
    pub fn state_dict(&self) -> Vec<NamedShape> {
        let encoders = [
            Encoder {
                name: "vision",
                width: self.vision_embed_dim,
                blocks: self.vision_num_blocks,
                bias_kv: false,
            },
            Encoder {
                name: "text",
                width: self.text_embed_dim,
                blocks: self.text_num_blocks,
                bias_kv: false,
            },
            Encoder {
                name: "audio",
                width: self.audio_embed_dim,
                blocks: self.audio_num_blocks,
                bias_kv: true,
            },
            Encoder {
                name: "depth",
                width: self.depth_embed_dim,
                blocks: self.depth_num_blocks,
                bias_kv: true,
            },
            Encoder {
                name: "thermal",
                width: self.thermal_embed_dim,
                blocks: self.thermal_num_blocks,
                bias_kv: true,
            },
            Encoder {
                name: "imu",
                width: self.imu_embed_dim,
                blocks: self.imu_num_blocks,
                bias_kv: true,
            },
        ];
        let mut list = Vec::new();
        encoders.iter().for_each(|e| self.stem(&mut list, e));
        encoders.iter().for_each(|e| trunk(&mut list, e));
        encoders.iter().for_each(|e| self.head(&mut list, e));
        for encoder in &encoders[1..] {
            list.push((
                format!("modality_postprocessors.{}.1.log_logit_scale", encoder.name),
                vec![],
            ));
        }
        list
    }

    fn stem(&self, list: &mut Vec<NamedShape>, encoder: &Encoder<'_>) {
        let &Encoder { name, width, .. } = encoder;
        let mut add = |tensor: &str, shape: &[usize]| {
            list.push((format!("modality_preprocessors.{name}.{tensor}"), shape.to_vec()));
        };
        let tokens = 1 + self.token_count(name);
        match name {
            "text" => {
                let context = self.text_context;
                add("pos_embed", &[1, context, width]);
                add("mask", &[context, context]);
                add("token_embedding.weight", &[self.text_rows(), width]);
            }
            "vision" => {
                let [frames, rows, columns] = self.kernel_size;
                add("cls_token", &[1, 1, width]);
                add("rgbt_stem.proj.1.weight", &[width, 3, frames, rows, columns]);
                add("pos_embedding_helper.pos_embed", &[1, tokens, width]);
            }
            "imu" => {
                add("pos_embed", &[1, tokens, width]);
                add("cls_token", &[1, 1, width]);
                add(
                    "imu_stem.proj.weight",
                    &[width, self.imu_channels * self.imu_kernel_size],
                );
                add("imu_stem.norm_layer.weight", &[width]);
                add("imu_stem.norm_layer.bias", &[width]);
            }
            _ => {
                let (stem, kernel) = match name {
                    "audio" => ("rgbt_stem", self.audio_kernel_size),
                    "depth" => ("depth_stem", self.depth_kernel_size),
                    _ => ("rgbt_stem", self.thermal_kernel_size),
                };
                add("cls_token", &[1, 1, width]);
                add(&format!("{stem}.proj.weight"), &[width, 1, kernel, kernel]);
                add(&format!("{stem}.norm_layer.weight"), &[width]);
                add(&format!("{stem}.norm_layer.bias"), &[width]);
                add("pos_embedding_helper.pos_embed", &[1, tokens, width]);
            }
        }
    }

    fn head(&self, list: &mut Vec<NamedShape>, encoder: &Encoder<'_>) {
        let &Encoder { name, width, .. } = encoder;
        let (norm, projection) = match name {
            "text" => ("proj.0", "proj.1"),
            "imu" => ("0", "3"),
            _ => ("0", "2"),
        };
        let mut add = |tensor: String, shape: &[usize]| {
            list.push((format!("modality_heads.{name}.{tensor}"), shape.to_vec()));
        };
        add(format!("{norm}.weight"), &[width]);
        add(format!("{norm}.bias"), &[width]);
        add(format!("{projection}.weight"), &[self.out_embed_dim, width]);
    }
}

fn trunk(list: &mut Vec<NamedShape>, encoder: &Encoder<'_>) {
    let &Encoder {
        name,
        width,
        blocks,
        bias_kv,
    } = encoder;
    let mut add = |tensor: String, shape: &[usize]| {
        list.push((format!("modality_trunks.{name}.{tensor}"), shape.to_vec()));
    };
    if name == "vision" {
        add("pre_transformer_layer.0.weight".into(), &[width]);
        add("pre_transformer_layer.0.bias".into(), &[width]);
    }
    for block in 0..blocks {
        let mut add = |tensor: &str, shape: &[usize]| add(format!("blocks.{block}.{tensor}"), shape);
        add("attn.in_proj_weight", &[3 * width, width]);
        add("attn.in_proj_bias", &[3 * width]);
        if bias_kv {
            add("attn.bias_k", &[1, 1, width]);
            add("attn.bias_v", &[1, 1, width]);
        }
        add("attn.out_proj.weight", &[width, width]);
        add("attn.out_proj.bias", &[width]);
        add("norm_1.weight", &[width]);
        add("norm_1.bias", &[width]);
        add("mlp.fc1.weight", &[4 * width, width]);
        add("mlp.fc1.bias", &[4 * width]);
        add("mlp.fc2.weight", &[width, 4 * width]);
        add("mlp.fc2.bias", &[width]);
        add("norm_2.weight", &[width]);
        add("norm_2.bias", &[width]);
    }
}
