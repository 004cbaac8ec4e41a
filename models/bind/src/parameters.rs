//! The weights of one encoder: named arrays in main memory, read and written as safetensors.
//!
//! They live here and not on the device because everything that must be exact across runs (initial values, optimiser,
//! checkpoints) is then plain arithmetic on slices; the five megabytes a step costs to copy do not show.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::chance::Draw;

/// One weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name in the checkpoint.
    pub name: String,
    /// Shape in the checkpoint.
    pub shape: Vec<usize>,
    /// Values, row by row.
    pub values: Vec<f32>,
    /// Whether weight decay pulls on it: matrices yes; gains, biases, positions and class tokens no.
    pub decays: bool,
}

impl Parameter {
    /// Rows and columns of the matrix it is trained as: the last axis, and all before it; a weight of a convolution
    /// or a linear layer is its first axis by the rest.
    pub fn matrix(&self) -> [usize; 2] {
        let count = self.values.len();
        match self.shape.as_slice() {
            [_] => [1, count],
            shape if shape[0] == 1 => [count / shape[shape.len() - 1], shape[shape.len() - 1]],
            shape => [shape[0], count / shape[0]],
        }
    }
}

/// How a weight starts.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// All the same.
    Constant(f32),
    /// Normal with this standard deviation.
    Normal(f32),
}

/// All weights of an encoder, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    list: Vec<Parameter>,
}

impl Parameters {
    /// Appends a weight with initial values.
    pub fn add(&mut self, name: String, shape: &[usize], start: Start, decays: bool, draw: &mut Draw) {
        let values = (0..shape.iter().product())
            .map(|_| match start {
                Start::Constant(value) => value,
                Start::Normal(deviation) => draw.normal() * deviation,
            })
            .collect();
        self.list.push(Parameter {
            name,
            shape: shape.to_vec(),
            values,
            decays,
        });
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.list.iter()
    }

    /// In order, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Parameter> {
        self.list.iter_mut()
    }

    /// Place of a weight in the order.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|parameter| parameter.name == name)
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.list.iter().map(|parameter| parameter.values.len()).sum()
    }
}

/// Arrays by name: what a safetensors file holds.
pub type Arrays = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Writes arrays as f32 safetensors; the file appears whole or not at all.
pub fn write_arrays(path: &Path, arrays: &Arrays) -> Result<()> {
    let bytes: BTreeMap<&str, (&[usize], Vec<u8>)> = arrays
        .iter()
        .map(|(name, (shape, values))| {
            (
                name.as_str(),
                (
                    shape.as_slice(),
                    values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                ),
            )
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, (shape, bytes))| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    let part = path.with_extension("part");
    std::fs::write(&part, safetensors::serialize(views, None)?)
        .with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("cannot put {} into place", path.display()))
}

/// Reads f32 safetensors.
pub fn read_arrays(path: &Path) -> Result<Arrays> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file =
        SafeTensors::deserialize(&bytes).with_context(|| format!("{} is no safetensors file", path.display()))?;
    let mut arrays = Arrays::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            bail!("{}: tensor {name} is {:?}, expected F32", path.display(), view.dtype());
        }
        let values = view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        arrays.insert(name, (view.shape().to_vec(), values));
    }
    Ok(arrays)
}

impl Parameters {
    /// Adds every weight to `arrays`, its name behind `prefix`.
    pub fn store(&self, prefix: &str, arrays: &mut Arrays) {
        for parameter in &self.list {
            let entry = (parameter.shape.clone(), parameter.values.clone());
            arrays.insert(format!("{prefix}{}", parameter.name), entry);
        }
    }

    /// Takes every weight from `arrays`.
    ///
    /// # Errors
    /// A weight that is missing or has another shape: the file belongs to another configuration.
    pub fn load(&mut self, prefix: &str, arrays: &Arrays) -> Result<()> {
        for parameter in &mut self.list {
            let name = format!("{prefix}{}", parameter.name);
            let (shape, values) = arrays
                .get(&name)
                .with_context(|| format!("{name} is missing: saved with another configuration?"))?;
            ensure!(
                *shape == parameter.shape,
                "{name} is {shape:?}, expected {:?}: saved with another configuration?",
                parameter.shape
            );
            parameter.values.clone_from(values);
        }
        Ok(())
    }
}
