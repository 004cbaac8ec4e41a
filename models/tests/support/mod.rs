//! Weights and inputs by formula (SplitMix64 seeded with FNV-1a of a name), and the expected outputs for them.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod pickle;

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Numbers by the formula: `f32((2 u - 1) scale + offset)`, u from the top 24 bits.
pub fn generate(tag_and_name: &str, count: usize, scale: f64, offset: f64) -> Vec<f32> {
    let seed = tag_and_name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
    (1..=count as u64)
        .map(|k| {
            let mut z = seed.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            let u = (z >> 40) as f64 / 16_777_216.0;
            ((u * 2.0 - 1.0) * scale + offset) as f32
        })
        .collect()
}

/// Scale and offset of a weight, by its name and shape.
pub fn scale_of(name: &str, shape: &[usize]) -> (f64, f64) {
    let fan_in = shape.iter().skip(1).product::<usize>() as f64;
    if name.ends_with("text.token_embedding.weight") || name.ends_with("text.pos_embed") {
        (0.05, 0.0)
    } else if name.ends_with("cls_token") || name.ends_with("pos_embed") {
        (0.5, 0.0)
    } else if name.ends_with("bias_k") || name.ends_with("bias_v") {
        (0.5, 0.0)
    } else if name.ends_with("bias") {
        (0.2, 0.0)
    } else if shape.len() == 1 {
        (0.3, 1.0)
    } else if name.ends_with("in_proj_weight") {
        ((6.0 / fan_in).sqrt(), 0.0)
    } else {
        ((3.0 / fan_in).sqrt(), 0.0)
    }
}

/// Sum over i of (i + 1) × bits of value i, modulo 2^64.
pub fn checksum(values: &[f32]) -> u64 {
    (1_u64..).zip(values).fold(0, |sum, (i, v)| {
        sum.wrapping_add(i.wrapping_mul(u64::from(v.to_bits())))
    })
}

/// Expected results for one set of weights.
#[derive(Debug, Deserialize)]
pub struct Golden {
    pub tag: String,
    pub config: serde_json::Value,
    /// Name, shape, checksum in hex.
    pub tensors: Vec<(String, Vec<usize>, String)>,
    /// Tensors that are no formula's: name, bits of the one number.
    pub constants: Vec<(String, u32)>,
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
pub struct Case {
    pub name: String,
    pub modality: String,
    pub output: Vec<Vec<f64>>,
    pub inputs: Vec<Generated>,
    pub ids: Vec<Vec<i64>>,
}

#[derive(Debug, Deserialize)]
pub struct Generated {
    pub name: String,
    pub shape: Vec<usize>,
    pub scale: f64,
    pub offset: f64,
}

impl Golden {
    /// The model whose weights are the formula's.
    pub fn compact() -> Self {
        serde_json::from_str(include_str!("../golden/compact.json")).expect("golden file")
    }

    /// The model in the shared kit's torch checkpoint.
    pub fn mini() -> Self {
        serde_json::from_str(include_str!("../golden/mini.json")).expect("golden file")
    }

    /// The weights of the formula model.
    pub fn weights(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        self.tensors
            .iter()
            .map(|(name, shape, _)| (name.clone(), shape.clone(), self.weight(name, shape)))
            .collect()
    }

    fn weight(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        if let Some((_, bits)) = self.constants.iter().find(|(n, _)| n == name) {
            return vec![f32::from_bits(*bits)];
        }
        if name.ends_with("text.mask") {
            let side = shape[0];
            return (0..side * side)
                .map(|i| {
                    if i % side > i / side {
                        f32::NEG_INFINITY
                    } else {
                        0.0
                    }
                })
                .collect();
        }
        let (scale, offset) = scale_of(name, shape);
        generate(
            &format!("{}{name}", self.tag),
            shape.iter().product(),
            scale,
            offset,
        )
    }
}

/// Writes a safetensors file.
pub fn write_safetensors(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.expect("shape fits"))
    });
    safetensors::serialize_to_file(views, None, path).expect("written");
}

/// A file of the shared kit, or a line on stderr that says what is skipped.
pub fn shared(relative: &str) -> Option<PathBuf> {
    let path =
        std::env::var_os("SENSEBIND_SHARED").map(|folder| PathBuf::from(folder).join(relative));
    match path {
        Some(path) if path.exists() => Some(path),
        _ => {
            eprintln!("SKIPPED: set SENSEBIND_SHARED to the folder that has {relative}");
            None
        }
    }
}
