//! The phrases: enough of them, the held-out ones apart, and no word in those that training never shows.

use std::collections::HashSet;

use sensebind_scene::Happening;
use sensebind_scene::captions::{Split, all, phrase, prompts};

fn everything() -> impl Iterator<Item = Option<Happening>> {
    Happening::ALL.iter().copied().map(Some).chain([None])
}

#[test]
fn enough_phrases_of_each() {
    for happening in everything() {
        let (train, held_out) = (all(happening, Split::Train), all(happening, Split::HeldOut));
        assert!(
            train.len() >= 40 && held_out.len() >= 8,
            "{happening:?}: {} and {}",
            train.len(),
            held_out.len()
        );
        assert!(prompts(happening).len() >= 3);
    }
}

#[test]
fn held_out_phrases_are_never_trained_but_their_words_are() {
    let train: HashSet<String> = everything()
        .flat_map(|happening| all(happening, Split::Train))
        .collect();
    let words: HashSet<&str> = train.iter().flat_map(|phrase| phrase.split(' ')).collect();
    for happening in everything() {
        for phrase in all(happening, Split::HeldOut) {
            assert!(!train.contains(&phrase), "{phrase:?} is in both");
            for word in phrase.split(' ') {
                assert!(words.contains(word), "{word:?} of {phrase:?} is never trained");
            }
        }
    }
}

#[test]
fn picks_come_from_their_split_and_vary() {
    for happening in everything() {
        for split in [Split::Train, Split::HeldOut] {
            let all: HashSet<String> = all(happening, split).into_iter().collect();
            let picked: HashSet<String> = (0..200).map(|pick| phrase(happening, split, pick)).collect();
            assert!(picked.is_subset(&all));
            assert!(picked.len() >= 25, "{happening:?} {split:?}: {}", picked.len());
            assert_eq!(phrase(happening, split, 17), phrase(happening, split, 17));
        }
    }
}

#[test]
fn no_sentence_of_one_happening_is_said_of_another() {
    let mut seen = std::collections::HashMap::new();
    for happening in everything() {
        for prompt in prompts(happening) {
            assert_eq!(
                seen.insert(prompt, happening),
                None,
                "{prompt:?} stands for two happenings"
            );
        }
    }
}
