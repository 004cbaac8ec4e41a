//! Captions as rows of the word table.

use anyhow::Result;
use sensebind_models::input::Tokenizer;
use sensebind_models::manifest::TextRecipe;
use sensebind_scene::captions::{self, Split};

use crate::chance::Draw;
use crate::encoder::Input;
use crate::moments::{Shown, all_shown};

/// Tokenizer and table of the words that occur in captions.
#[derive(Debug)]
pub struct Words {
    tokenizer: Tokenizer,
    known_ids: Vec<u32>,
}

impl Words {
    /// The ids of every caption word, ascending, with padding, start and end; and the tokenizer that gives them.
    ///
    /// # Errors
    /// A tokenizer that cannot be made.
    pub fn collect(context: usize) -> Result<Self> {
        let recipe = TextRecipe {
            tokenizer: "clip-bpe".to_owned(),
            context,
            known_ids: None,
        };
        let tokenizer = Tokenizer::new(&recipe)?;
        let mut known_ids = vec![0];
        for shown in all_shown() {
            for split in [Split::Train, Split::HeldOut] {
                for phrase in captions::all(shown, split) {
                    known_ids.extend(tokenizer.tokens(&phrase).into_iter().map(|id| id as u32));
                }
            }
        }
        known_ids.sort_unstable();
        known_ids.dedup();
        Ok(Self { tokenizer, known_ids })
    }

    /// The ids with a row of their own, ascending; one more row stands for all others.
    pub fn known_ids(&self) -> &[u32] {
        &self.known_ids
    }

    /// Rows of a phrase, start and end included.
    pub fn rows(&self, phrase: &str) -> Vec<u32> {
        let unknown = self.known_ids.len();
        let row = |id: i64| self.known_ids.binary_search(&(id as u32)).unwrap_or(unknown) as u32;
        self.tokenizer.tokens(phrase).into_iter().map(row).collect()
    }

    /// A training caption; words are made unknown with this probability, so that the shared row learns to say nothing.
    pub fn caption(&self, shown: Shown, dropout: f32, draw: &mut Draw) -> Vec<u32> {
        let mut rows = self.rows(&captions::phrase(shown, Split::Train, draw.bits()));
        let last = rows.len() - 1;
        for row in &mut rows[1..last] {
            if draw.chance(dropout) {
                *row = self.known_ids.len() as u32;
            }
        }
        rows
    }

    /// Up to `count` held-out phrases.
    pub fn held_out(&self, shown: Shown, count: usize, seed: u64) -> Vec<Vec<u32>> {
        let mut phrases = captions::all(shown, Split::HeldOut);
        Draw::at(seed, &[0x9E]).shuffle(&mut phrases);
        phrases.iter().take(count).map(|phrase| self.rows(phrase)).collect()
    }
}

/// A batch of phrases, filled up with row 0 (padding) to the longest.
pub fn batch(phrases: &[Vec<u32>]) -> Input {
    let length = phrases.iter().map(Vec::len).max().unwrap_or(1);
    let mut rows = Vec::with_capacity(phrases.len() * length);
    for phrase in phrases {
        rows.extend(phrase);
        rows.resize(rows.len() + length - phrase.len(), 0);
    }
    // The end token has the largest id, so the largest row but the unknown one; it comes last.
    Input::Words {
        rows,
        length,
        ends: phrases.iter().map(|phrase| phrase.len() - 1).collect(),
    }
}
