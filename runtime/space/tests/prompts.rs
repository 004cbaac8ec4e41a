//! What `prompts.toml` may say, and what is answered when it says something else.

use sensebind_core::{Embedding, Sense, SpaceId};
use sensebind_space::{PromptError, PromptFile, PromptSet};
use std::time::Duration;

const FULL: &str = r#"
exclusive = false
space = "starter-1"

[[event]]
label = "fire"
prompts = ["crackle of a fire", "flames burning"]
senses = ["audio", "thermal"]
on = 3
cooldown_s = 1.5

[[event]]
label = "fall"
prompts = ["a person falls", "flames burning"]

[contrast]
prompts = ["silence", "a person falls"]

[detector]
on = 2.5
k = 1
update_every_s = 5

[detector.audio]
weight = 0.5
stale_s = 4
"#;

#[test]
fn reads_every_part_of_the_file() {
    let f = PromptFile::parse(FULL).unwrap();
    assert!(!f.exclusive);
    assert_eq!(f.space, Some(SpaceId::new("starter-1")));
    assert_eq!(
        f.events[0].senses.iter().flatten().copied().collect::<Vec<_>>(),
        [Sense::Audio, Sense::Thermal]
    );
    assert_eq!((f.events[0].rules.on, f.events[0].rules.k), (3.0, 1));
    assert_eq!(f.events[0].rules.cooldown, Duration::from_millis(1500));
    assert_eq!((f.events[1].rules.on, f.events[1].senses.clone()), (2.5, None));
    assert_eq!(f.detector.update_every, Duration::from_secs(5));
    assert_eq!(f.detector.sense(Sense::Audio).weight, 0.5);
    assert_eq!(f.detector.sense(Sense::Image).weight, 1.0);
    assert_eq!(
        f.phrases(),
        ["crackle of a fire", "flames burning", "a person falls", "silence"]
    );
}

#[test]
fn the_documented_example_is_valid_and_spells_out_the_defaults() {
    let doc: String = include_str!("../src/prompts.rs")
        .lines()
        .skip_while(|l| *l != "//! ```toml")
        .skip(1)
        .take_while(|l| *l != "//! ```")
        .map(|l| format!("{}\n", l.trim_start_matches("//!")))
        .collect();
    let documented = PromptFile::parse(&doc).unwrap();
    let bare = PromptFile::parse("[[event]]\nlabel = \"fire\"\nprompts = [\"x\"]").unwrap();
    assert_eq!(documented.events[0].rules, bare.events[0].rules);
    assert_eq!(
        documented.detector.sense(Sense::Audio),
        bare.detector.sense(Sense::Audio)
    );
    assert_eq!(documented.detector.floor, bare.detector.floor);
    assert_eq!(documented.detector.update_step, bare.detector.update_step);
    assert_eq!(documented.detector.update_every, bare.detector.update_every);
    assert_eq!(documented.exclusive, bare.exclusive);
}

/// Each wrong file and the whole answer.
#[test]
fn errors_name_line_key_expectation_and_remedy() {
    let event = "[[event]]\nlabel = \"fire\"\nprompts = [\"fire\"]\n";
    let cases = [
        (
            String::new(),
            "prompts line 1: event is missing, expected at least one [[event]]: add [[event]] with a label and prompts",
        ),
        (
            "[[event]]\nlabel = \"fire\"\nprompts = []".into(),
            "prompts line 3: event.prompts is [], expected at least one phrase: add one, or take the table out",
        ),
        (
            "[[event]]\nlabel = \"fire\"\nprompts = [\"ok\",\n  \" \"]".into(),
            "prompts line 4: event.prompts is empty, expected words: say what to look for",
        ),
        (
            format!("{event}\n{event}"),
            "prompts line 6: event.label is \"fire\", expected a label of its own: line 2 has it already: rename one, \
             or list both phrasings under one label",
        ),
        (
            format!("{event}senses = [\"audio\", \"smell\"]"),
            "prompts line 4: event.senses is \"smell\", expected image, audio, depth, thermal or imu: correct the name",
        ),
        (
            format!("{event}senses = [\"text\"]"),
            "prompts line 4: event.senses is \"text\", expected image, audio, depth, thermal or imu: correct the name",
        ),
        (
            format!("{event}senses = []"),
            "prompts line 4: event.senses is [], expected image, audio, depth, thermal or imu: name one, or take the \
             key out for all of them",
        ),
        (
            format!("{event}off = 5"),
            "prompts line 4: event.off is 5, expected at most on, which is 2: lower off or raise on",
        ),
        (
            format!("{event}k = 4"),
            "prompts line 4: event.k is 4, expected at most n, which is 3: lower k or raise n",
        ),
        (
            format!("{event}n = 0"),
            "prompts line 4: event.n is 0, expected 1 to 1000: the default is 3",
        ),
        (
            format!("{event}merge_gap_s = -1.5"),
            "prompts line 4: event.merge_gap_s is -1.5, expected 0 to 86400: the default is 1",
        ),
        (
            format!("{event}[detector]\non = nan"),
            "prompts line 5: detector.on is NaN, expected -100 to 100: the default is 2",
        ),
        (
            format!("{event}[detector.audio]\nmin_coverage = 2"),
            "prompts line 5: detector.audio.min_coverage is 2, expected 0 to 1: the default is 0.5",
        ),
        (
            format!("{event}[contrast]\nprompts = []"),
            "prompts line 5: contrast.prompts is [], expected at least one phrase: add one, or take the table out",
        ),
        (
            format!("{event}treshold = 2"),
            "prompts line 4, column 1: unknown field `treshold`, expected one of `label`, `prompts`, `senses`, `on`, \
             `off`, `k`, `n`, `min_length_s`, `merge_gap_s`, `cooldown_s`: correct it or take it out",
        ),
        (
            "[[event]]\nprompts = [\"fire\"]".into(),
            "prompts line 1, column 1: missing field `label`: correct it or take it out",
        ),
        (
            format!("{event}on = \"high\""),
            "prompts line 4, column 6: invalid type: string \"high\", expected f64: correct it or take it out",
        ),
    ];
    for (text, expected) in cases {
        let found = PromptFile::parse(&text).unwrap_err().to_string();
        assert_eq!(found, expected, "for:\n{text}");
    }
    assert!(matches!(
        PromptFile::parse("[[event\n"),
        Err(PromptError::Toml { line: 1, .. })
    ));
}

fn embedding(space: &str) -> Option<Embedding> {
    Embedding::new(SpaceId::new(space), vec![1.0, 2.0]).ok()
}

#[test]
fn a_set_lives_in_one_space() {
    let file = PromptFile::parse("[[event]]\nlabel = \"fire\"\nprompts = [\"a fire\"]").unwrap();
    let set = PromptSet::new(&file, &["silence"], |_| embedding("a")).unwrap();
    assert_eq!(set.space().as_str(), "a");
    assert_eq!(set.labels().collect::<Vec<_>>(), ["fire"]);

    let mixed = PromptSet::new(&file, &["silence"], |p| {
        embedding(if p == "silence" { "b" } else { "a" })
    });
    assert_eq!(
        mixed.unwrap_err().to_string(),
        "the phrase \"silence\" lives in space b, expected a: use the pack the prompts were made for, or encode them \
         again"
    );
    let unknown = PromptSet::new(&file, &["silence"], |p| {
        (p != "silence").then(|| embedding("a")).flatten()
    });
    assert!(matches!(unknown, Err(PromptError::NotEncoded { phrase }) if phrase == "silence"));
    assert!(matches!(
        PromptSet::new(&file, &[], |_| embedding("a")),
        Err(PromptError::NoContrast)
    ));

    let bound = PromptFile {
        space: Some(SpaceId::new("b")),
        ..file
    };
    assert!(matches!(
        PromptSet::new(&bound, &["silence"], |_| embedding("a")),
        Err(PromptError::Space { .. })
    ));
}

#[test]
fn the_files_own_contrast_replaces_the_packs() {
    let file = PromptFile::parse(FULL).unwrap();
    let mut asked = Vec::new();
    PromptSet::new(&file, &["pack contrast"], |p| {
        asked.push(p.to_owned());
        embedding("starter-1")
    })
    .unwrap();
    assert!(asked.contains(&"silence".to_owned()) && !asked.contains(&"pack contrast".to_owned()));
}
