//! `prompts.toml`: the file a person writes.
//!
//! ```toml
//! exclusive = true                  # optional: labels compete with each other (see sensebind_space::set)
//! space = "starter-0123456789ab"    # optional: refuse any other space
//!
//! [[event]]
//! label = "fire"                                      # required, unique
//! prompts = ["crackle of a fire", "flames burning"]   # one or more phrasings; the best counts
//! senses = ["audio", "thermal", "image"]              # optional; default: all that are present
//! on = 2.0                                            # optional: any key of [detector] down to cooldown_s
//!
//! [contrast]                        # optional: what is there when nothing is; default: the pack's
//! prompts = ["an empty room", "silence"]
//!
//! [detector]                        # optional defaults for every event
//! on = 2.0
//! off = 0.5
//! k = 2
//! n = 3
//! min_length_s = 0.0
//! merge_gap_s = 1.0
//! cooldown_s = 0.0
//! floor = -0.5
//! update_step = 1.0
//! update_every_s = 10.0
//!
//! [detector.audio]                  # optional, per sense
//! weight = 1.0
//! median = 1
//! min_coverage = 0.5
//! stale_s = 2.5
//! ```

use crate::{DetectorRules, EventRules};
use sensebind_core::{Sense, SpaceId};
use std::collections::BTreeSet;

/// Prompts that cannot be used. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// No TOML, an unknown key, a missing key, or a value of the wrong type.
    #[error("prompts line {line}, column {column}: {message}: correct it or take it out")]
    Toml {
        /// Where.
        line: usize,
        /// Where in the line, in characters from 1.
        column: usize,
        /// What was expected and found.
        message: String,
    },
    /// A value that makes no sense.
    #[error("prompts line {line}: {key} is {found}, expected {expected}: {remedy}")]
    Value {
        /// Where.
        line: usize,
        /// The key, with its table.
        key: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: String,
        /// What to do.
        remedy: String,
    },
    /// There is nothing to weigh a label against.
    #[error(
        "no contrast prompts, expected at least one: add [contrast] prompts = [\"an empty room\", …], as neither the \
         file nor the pack has any"
    )]
    NoContrast,
    /// A phrase could not be turned into an embedding.
    #[error("no embedding for the phrase {phrase:?}: the pack needs a text encoder, or this phrase in its cache")]
    NotEncoded {
        /// The phrase.
        phrase: String,
    },
    /// A phrase lives in another space than the first one, or than the file asks for.
    #[error(
        "the phrase {phrase:?} lives in space {found}, expected {expected}: use the pack the prompts were made for, or encode them again"
    )]
    Space {
        /// The phrase.
        phrase: String,
        /// Its space.
        found: SpaceId,
        /// The space of the others.
        expected: SpaceId,
    },
}

/// One event to look for.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPrompts {
    /// Its name in the event file.
    pub label: String,
    /// Phrasings; the best counts. At least one.
    pub prompts: Vec<String>,
    /// Senses that may perceive it; `None` for all.
    pub senses: Option<BTreeSet<Sense>>,
    /// How its scores become events.
    pub rules: EventRules,
}

/// The content of `prompts.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptFile {
    /// What to look for, in the order of the file. At least one.
    pub events: Vec<EventPrompts>,
    /// What is there when nothing is; `None` for the pack's own.
    pub contrast: Option<Vec<String>>,
    /// Whether labels compete with each other; see [`set`](crate::set).
    pub exclusive: bool,
    /// What is common to all labels.
    pub detector: DetectorRules,
    /// The only space these prompts may be used in.
    pub space: Option<SpaceId>,
}

impl PromptFile {
    /// Reads the text of a `prompts.toml`.
    ///
    /// # Errors
    /// [`PromptError::Toml`] and [`PromptError::Value`], with the line.
    pub fn parse(text: &str) -> Result<Self, PromptError> {
        crate::parse::parse(text)
    }

    /// A file that asks for `labels`, each its own only phrasing, with all defaults: for one-off questions.
    pub fn of_labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let events = labels.into_iter().map(|label| EventPrompts {
            label: label.to_owned(),
            prompts: vec![label.to_owned()],
            senses: None,
            rules: EventRules::default(),
        });
        Self {
            events: events.collect(),
            contrast: None,
            exclusive: true,
            detector: DetectorRules::default(),
            space: None,
        }
    }

    /// Every phrase to encode, each once, in the order of the file: phrasings, then the file's own contrast.
    pub fn phrases(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let contrast = self.contrast.iter().flatten();
        let all = self
            .events
            .iter()
            .flat_map(|e| &e.prompts)
            .chain(contrast)
            .map(String::as_str);
        all.filter(|p| seen.insert(*p)).collect()
    }
}
