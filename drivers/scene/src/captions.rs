//! What people would write about a happening: a small grammar for training and testing text against the other senses.

use crate::Happening;

mod grammar;

/// Which phrasings: those to learn from, or those kept back to test with. The two never share a phrase; every word of a
/// held-out phrase occurs in some training phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Phrases to learn from.
    Train,
    /// Phrases kept back.
    HeldOut,
}

/// The words for one happening.
struct Grammar {
    /// Phrases that stand alone: what a user would type as a prompt.
    prompts: &'static [&'static str],
    /// Who or what; each names the happening by itself.
    subjects: &'static [&'static str],
    /// Who or what in general ("someone", "the device"): only together with an action do they name the happening.
    actors: &'static [&'static str],
    /// What it does.
    actions: &'static [&'static str],
    /// Where.
    places: &'static [&'static str],
}

/// Sentence patterns: `S` subject, `W` actor, `A` action, `P` place.
const TRAIN: &[&str] = &[
    "S",
    "S A",
    "S P",
    "S A P",
    "there is S",
    "there is S P",
    "this is S",
    "W A",
    "W A P",
];
const HELD_OUT: &[&str] = &["P S A", "P there is S", "this is S P", "P W A"];

impl Grammar {
    /// The patterns of a split that this grammar can fill.
    fn patterns(&self, split: Split) -> Vec<&'static str> {
        let patterns = match split {
            Split::Train => TRAIN,
            Split::HeldOut => HELD_OUT,
        };
        patterns
            .iter()
            .copied()
            .filter(|pattern| self.count(pattern) > 0)
            .collect()
    }

    /// How many phrases a pattern gives.
    fn count(&self, pattern: &str) -> usize {
        pattern
            .split(' ')
            .map(|part| self.choices(part).map_or(1, <[_]>::len))
            .product()
    }

    fn choices(&self, part: &str) -> Option<&'static [&'static str]> {
        match part {
            "S" => Some(self.subjects),
            "W" => Some(self.actors),
            "A" => Some(self.actions),
            "P" => Some(self.places),
            _ => None,
        }
    }

    /// Phrase number `pick` of a pattern.
    fn expand(&self, pattern: &str, mut pick: usize) -> String {
        let mut words = Vec::new();
        for part in pattern.split(' ') {
            match self.choices(part) {
                Some(choices) if !choices.is_empty() => {
                    words.push(choices[pick % choices.len()]);
                    pick /= choices.len();
                }
                Some(_) => {}
                None => words.push(part),
            }
        }
        words.join(" ")
    }
}

/// One phrase for `happening` (`None` = nothing happens); the same one for the same `pick`. All patterns are equally
/// likely, however many phrases each gives; in training, prompts count as one more pattern.
pub fn phrase(happening: Option<Happening>, split: Split, pick: u64) -> String {
    let grammar = grammar::of(happening);
    let patterns = grammar.patterns(split);
    let kinds = patterns.len() + usize::from(split == Split::Train);
    let kind = (crate::chance::mix(pick, 1) % kinds as u64) as usize;
    let choice = crate::chance::mix(pick, 2);
    match patterns.get(kind) {
        Some(pattern) => grammar.expand(pattern, (choice % grammar.count(pattern) as u64) as usize),
        None => grammar.prompts[(choice % grammar.prompts.len() as u64) as usize].to_owned(),
    }
}

/// Every phrase for `happening` in a split, without doubles.
pub fn all(happening: Option<Happening>, split: Split) -> Vec<String> {
    let grammar = grammar::of(happening);
    let mut phrases: Vec<String> = match split {
        Split::Train => grammar.prompts.iter().map(|&prompt| prompt.to_owned()).collect(),
        Split::HeldOut => Vec::new(),
    };
    for pattern in grammar.patterns(split) {
        phrases.extend((0..grammar.count(pattern)).map(|pick| grammar.expand(pattern, pick)));
    }
    phrases.sort();
    phrases.dedup();
    phrases
}

/// The plain phrases a user would write into a list of prompts.
pub fn prompts(happening: Option<Happening>) -> &'static [&'static str] {
    grammar::of(happening).prompts
}
