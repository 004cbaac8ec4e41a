//! Models whose weights come from a formula, and the expected outputs for them.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod formula;
pub mod pickle;

use formula::{generate, scale_of};
use serde::Deserialize;
use std::path::{Path, PathBuf};

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
                .map(|i| if i % side > i / side { f32::NEG_INFINITY } else { 0.0 })
                .collect();
        }
        let (scale, offset) = scale_of(name, shape);
        generate(&format!("{}{name}", self.tag), shape.iter().product(), scale, offset)
    }
}

/// Writes a safetensors file.
pub fn write_safetensors(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.expect("shape fits"))
    });
    safetensors::serialize_to_file(views, None, path).expect("written");
}

/// A file of the shared kit, or a line on stderr that says what is skipped.
pub fn shared(relative: &str) -> Option<PathBuf> {
    let path = std::env::var_os("SENSEBIND_SHARED").map(|folder| PathBuf::from(folder).join(relative));
    match path {
        Some(path) if path.exists() => Some(path),
        _ => {
            eprintln!("SKIPPED: set SENSEBIND_SHARED to the folder that has {relative}");
            None
        }
    }
}
