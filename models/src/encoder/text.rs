//! Phrases in, unit vectors out.

use super::OpenError;
use super::model::Model;
use crate::input::Tokenizer;
use crate::manifest::TextRecipe;
use sensebind_core::{Embedding, EncodeError, EncoderSpec};

/// Phrases encoded in one run of the model.
const BATCH: usize = 32;

/// The text encoder of a pack.
#[derive(Debug)]
pub struct TextEncoder {
    model: Model,
    tokenizer: Tokenizer,
}

impl TextEncoder {
    pub(super) fn new(model: Model, recipe: &TextRecipe) -> Result<Self, OpenError> {
        Ok(Self {
            model,
            tokenizer: Tokenizer::new(recipe)?,
        })
    }

    /// What it is.
    pub fn spec(&self) -> &EncoderSpec {
        self.model.spec()
    }

    /// Its tokenizer, which also knows the words that the pack does not.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// One unit vector per phrase, in order. Blocks while the model runs.
    ///
    /// # Errors
    /// [`EncodeError::Model`] when the model fails or returns no direction for a phrase.
    pub fn encode(&mut self, phrases: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        let sense = self.spec().sense;
        let mut embeddings = Vec::with_capacity(phrases.len());
        for some in phrases.chunks(BATCH) {
            let rows: Vec<Vec<i64>> = some.iter().map(|phrase| self.tokenizer.tokens(phrase)).collect();
            // Causality hides whatever follows the end token, so rows are padded only as far as the longest needs.
            let length = rows.iter().map(Vec::len).max().unwrap_or(0);
            let mut ids = vec![0; rows.len() * length];
            for (padded, row) in ids.chunks_exact_mut(length).zip(&rows) {
                padded[..row.len()].copy_from_slice(row);
            }
            for (embedding, phrase) in self.model.run_i64(length, &ids)?.into_iter().zip(some) {
                embeddings.push(embedding.map_err(|e| EncodeError::Model {
                    sense,
                    why: format!("phrase {phrase:?}: {e}"),
                })?);
            }
        }
        Ok(embeddings)
    }
}
