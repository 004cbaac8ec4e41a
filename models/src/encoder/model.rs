//! One graph of the pack: a batch of tensors in, one unit vector per item out.

use crate::session::{Session, SessionError};
use sensebind_core::{Embedding, EmbeddingError, EncodeError, EncoderSpec};

/// A loaded graph and what the pack says of it.
#[derive(Debug)]
pub(super) struct Model {
    session: Session,
    spec: EncoderSpec,
}

impl Model {
    pub fn new(session: Session, spec: EncoderSpec) -> Self {
        Self { session, spec }
    }

    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Shape of the graph's input, the batch first; -1 is any size.
    pub fn input_shape(&self) -> &[i64] {
        self.session.input().1
    }

    /// Runs f32 items, each of shape `item`, back to back in `data`. One answer per item.
    pub fn run_f32(
        &mut self,
        item: &[usize],
        data: &[f32],
    ) -> Result<Vec<Result<Embedding, EmbeddingError>>, EncodeError> {
        let shape = batch_shape(item, data.len());
        let output = self.session.run_f32(&shape, data);
        self.split(shape[0], output)
    }

    /// Runs rows of `length` token ids, back to back in `ids`. One answer per row.
    pub fn run_i64(
        &mut self,
        length: usize,
        ids: &[i64],
    ) -> Result<Vec<Result<Embedding, EmbeddingError>>, EncodeError> {
        let shape = batch_shape(&[length], ids.len());
        let output = self.session.run_i64(&shape, ids);
        self.split(shape[0], output)
    }

    fn split(
        &self,
        batch: usize,
        output: Result<(Vec<usize>, Vec<f32>), SessionError>,
    ) -> Result<Vec<Result<Embedding, EmbeddingError>>, EncodeError> {
        let EncoderSpec {
            sense, dim, ref space, ..
        } = self.spec;
        let (shape, rows) = output.map_err(|e| EncodeError::Model {
            sense,
            why: e.to_string(),
        })?;
        if shape != [batch, dim] {
            let why = format!("it returned numbers of shape {shape:?}, its pack promises [{batch}, {dim}]");
            return Err(EncodeError::Model { sense, why });
        }
        Ok(rows
            .chunks_exact(dim)
            .map(|row| Embedding::new(space.clone(), row.to_vec()))
            .collect())
    }
}

fn batch_shape(item: &[usize], numbers: usize) -> Vec<usize> {
    let mut shape = vec![numbers / item.iter().product::<usize>().max(1)];
    shape.extend_from_slice(item);
    shape
}
