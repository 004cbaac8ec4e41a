//! Weights of a graph as recipes: where a tensor comes from and how it is rearranged. Read only while writing.

use crate::checkpoint::{Checkpoint, CheckpointError};
use std::fmt;

type Read<'a> = Box<dyn Fn() -> Result<Vec<f32>, CheckpointError> + 'a>;

/// How to get one tensor of a graph.
pub(crate) struct Recipe<'a> {
    /// Its name in the graph: the checkpoint's, and what was taken of it.
    pub(super) name: String,
    /// Its shape in the graph.
    pub(super) shape: Vec<usize>,
    pub(super) read: Read<'a>,
}

impl fmt::Debug for Recipe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe")
            .field("name", &self.name)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl<'a> Recipe<'a> {
    fn then(self, suffix: &str, shape: Vec<usize>, change: impl Fn(Vec<f32>) -> Vec<f32> + 'a) -> Self {
        debug_assert!(self.shape.iter().product::<usize>() >= shape.iter().product());
        let read = self.read;
        Self {
            name: self.name + suffix,
            shape,
            read: Box::new(move || read().map(&change)),
        }
    }

    /// The same numbers under another shape.
    pub(crate) fn reshaped(self, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            ..self
        }
    }

    /// Part `index` of `parts` equal ones along the first dimension.
    pub(crate) fn part(self, index: usize, parts: usize, suffix: &str) -> Self {
        let mut shape = self.shape.clone();
        shape[0] /= parts;
        let size: usize = shape.iter().product();
        self.then(suffix, shape, move |values| {
            values[index * size..(index + 1) * size].to_vec()
        })
    }

    /// `[rows, columns]` → `[columns, rows]`: PyTorch's linear layers hold `[out, in]`, MatMul wants `[in, out]`.
    pub(crate) fn transposed(self) -> Self {
        let [rows, columns] = self.shape[..] else {
            return self;
        };
        self.then(".T", vec![columns, rows], move |values| {
            transpose(&values, rows, columns)
        })
    }

    /// Sums over dimension `axis`, in order.
    pub(crate) fn summed(self, axis: usize) -> Self {
        let size = self.shape[axis];
        let inner: usize = self.shape[axis + 1..].iter().product();
        let mut shape = self.shape.clone();
        shape.remove(axis);
        self.then(".sum", shape, move |values| {
            let mut sums = Vec::with_capacity(values.len() / size);
            for slices in values.chunks_exact(size * inner) {
                sums.extend((0..inner).map(|i| (0..size).map(|s| slices[s * inner + i]).sum::<f32>()));
            }
            sums
        })
    }
}

/// Transposes in square tiles, so that both sides stay in the cache.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0.0; values.len()];
    for row_tile in (0..rows).step_by(TILE) {
        for column_tile in (0..columns).step_by(TILE) {
            for row in row_tile..(row_tile + TILE).min(rows) {
                for column in column_tile..(column_tile + TILE).min(columns) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

/// The tensors below one prefix of a checkpoint, each checked for its shape when asked for.
#[derive(Debug, Clone)]
pub(crate) struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    prefix: String,
}

impl<'a> Weights<'a> {
    /// All of `checkpoint`.
    pub(crate) fn new(checkpoint: &'a Checkpoint) -> Self {
        Self {
            checkpoint,
            prefix: String::new(),
        }
    }

    /// Those whose names start with this prefix, `name` and a dot.
    pub(crate) fn below(&self, name: impl fmt::Display) -> Self {
        Self {
            checkpoint: self.checkpoint,
            prefix: format!("{}{name}.", self.prefix),
        }
    }

    /// The tensor `name`, which must have this `shape`.
    pub(crate) fn get(&self, name: &str, shape: &[usize]) -> Result<Recipe<'a>, CheckpointError> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self.checkpoint.get(&name)?;
        if tensor.shape() != shape {
            return Err(CheckpointError::Shape {
                path: self.checkpoint.path().to_path_buf(),
                name,
                expected: shape.to_vec(),
                found: tensor.shape().to_vec(),
            });
        }
        Ok(Recipe {
            name,
            shape: shape.to_vec(),
            read: Box::new(move || tensor.read_f32()),
        })
    }
}
