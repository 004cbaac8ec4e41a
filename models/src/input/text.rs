//! Phrase → token ids: CLIP's byte-pair encoding, 49 408 entries (parity specification 4.3).

use super::InputError;
use super::text_cleaning::clean;
use crate::manifest::TextRecipe;
use instant_clip_tokenizer::Tokenizer as BytePairs;
use regex::Regex;
use sensebind_core::Sense;
use std::fmt;

const START_OF_TEXT: u16 = 49406;
const END_OF_TEXT: u16 = 49407;

/// CLIP's way to cut a phrase, in order: the two special tokens, contractions, letters, one number character, the rest.
const PIECES: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";

/// Turns phrases into a text encoder's input. Building it reads the whole vocabulary: keep it.
pub struct Tokenizer {
    recipe: TextRecipe,
    pieces: Regex,
    byte_pairs: BytePairs,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("recipe", &self.recipe)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// The tokenizer that the recipe names, with its vocabulary.
    ///
    /// # Errors
    /// [`InputError::Recipe`] for an unknown tokenizer, a context under 2, or `known_ids` out of order.
    pub fn new(recipe: &TextRecipe) -> Result<Self, InputError> {
        let wrong = |why: String| InputError::recipe(Sense::Text, why);
        if recipe.tokenizer != "clip-bpe" {
            return Err(wrong(format!(
                "tokenizer is {:?}, expected \"clip-bpe\"",
                recipe.tokenizer
            )));
        }
        if recipe.context < 2 {
            return Err(wrong(format!(
                "context is {}, expected at least 2: start and end token",
                recipe.context
            )));
        }
        if let Some(w) = recipe
            .known_ids
            .as_deref()
            .unwrap_or_default()
            .windows(2)
            .find(|w| w[0] >= w[1])
        {
            return Err(wrong(format!(
                "known_ids holds {} before {}, expected ascending ids",
                w[0], w[1]
            )));
        }
        let pieces = Regex::new(PIECES).map_err(|e| wrong(e.to_string()))?;
        Ok(Self {
            recipe: recipe.clone(),
            pieces,
            byte_pairs: BytePairs::new(),
        })
    }

    /// The ids of `phrase`: start token, what fits of the phrase, end token; at most `context`, not padded.
    pub fn tokens(&self, phrase: &str) -> Vec<i64> {
        let text = clean(phrase);
        let mut ids = vec![START_OF_TEXT];
        for piece in self.pieces.find_iter(&text) {
            self.encode(piece.as_str(), &mut ids);
        }
        ids.truncate(self.recipe.context - 1);
        ids.push(END_OF_TEXT);
        ids.into_iter().map(i64::from).collect()
    }

    /// The words of `phrase` that the pack knows nothing of: none of their tokens is among its `known_ids`. In order, as
    /// cleaned. Empty for a pack with the whole vocabulary.
    pub fn unknown_words(&self, phrase: &str) -> Vec<String> {
        let Some(known) = &self.recipe.known_ids else {
            return Vec::new();
        };
        let text = clean(phrase);
        let mut ids = Vec::new();
        let is_unknown = |word: &&str| {
            ids.clear();
            self.encode(word, &mut ids);
            word.contains(char::is_alphanumeric) && !ids.iter().any(|&id| known.binary_search(&u32::from(id)).is_ok())
        };
        self.pieces
            .find_iter(&text)
            .map(|m| m.as_str())
            .filter(is_unknown)
            .map(str::to_owned)
            .collect()
    }

    /// Appends the ids of one piece.
    fn encode(&self, piece: &str, ids: &mut Vec<u16>) {
        match piece {
            "<|startoftext|>" => ids.push(START_OF_TEXT),
            "<|endoftext|>" => ids.push(END_OF_TEXT),
            _ => {
                let mut tokens = Vec::new();
                self.byte_pairs.encode(piece, &mut tokens);
                ids.extend(tokens.into_iter().map(|t| t.to_u16()));
            }
        }
    }
}
