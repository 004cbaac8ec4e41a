//! Scores against numbers worked out by hand.

use sensebind_core::{Embedding, Sense, SpaceId};
use sensebind_space::{Calibration, PromptFile, PromptSet, SenseCalibration, zero_shot};
use std::collections::BTreeMap;

fn vector(v: &[f32]) -> Embedding {
    Embedding::new(SpaceId::new("s"), v.to_vec()).expect("a direction")
}

/// Cosines with the window [1, 0, 0, 0] can be read off the first coordinate.
fn with_cosine(cosine: f32, axis: usize) -> Embedding {
    let mut v = [cosine, 0.0, 0.0, 0.0];
    v[axis] = (1.0 - cosine * cosine).sqrt();
    vector(&v)
}

fn set(exclusive: bool) -> PromptSet {
    let text = format!(
        "exclusive = {exclusive}\n\
         [[event]]\nlabel = \"fire\"\nprompts = [\"fire a\", \"fire b\"]\n\
         [[event]]\nlabel = \"rain\"\nprompts = [\"rain\"]\n\
         [[event]]\nlabel = \"fall\"\nprompts = [\"fall\"]\nsenses = [\"imu\"]\n"
    );
    PromptSet::new(
        &PromptFile::parse(&text).expect("valid"),
        &["quiet a", "quiet b"],
        |p| {
            Some(match p {
                "fire a" => with_cosine(0.6, 1),
                "fire b" => with_cosine(0.8, 2),
                "rain" => with_cosine(0.5, 3),
                "fall" => with_cosine(0.9, 2),
                "quiet a" => with_cosine(0.1, 1),
                _ => with_cosine(0.3, 2),
            })
        },
    )
    .expect("one space")
}

fn scores(set: &PromptSet, sense: Sense) -> Vec<f32> {
    let mut out = vec![9.0; 9];
    set.score(sense, 10.0, &vector(&[1.0, 0.0, 0.0, 0.0]), &mut out)
        .expect("one space");
    out
}

fn assert_near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f64::from(*f) - e).abs() < 1e-4, "{found:?} against {expected:?}");
    }
}

#[test]
fn without_rivals_a_score_weighs_the_best_phrasing_against_the_mean_contrast() {
    // b = ln((e^1 + e^3) / 2) = 2.433781; fire: 8 - b, rain: 5 - b; sound does not perceive falls.
    let b = ((1f64.exp() + 3f64.exp()) / 2.0).ln();
    assert_near(&scores(&set(false), Sense::Audio), &[8.0 - b, 5.0 - b, 0.0]);
    assert_near(&scores(&set(false), Sense::Imu), &[8.0 - b, 5.0 - b, 9.0 - b]);
}

#[test]
fn rivals_are_the_labels_the_sense_may_perceive() {
    let background = (1f64.exp() + 3f64.exp()) / 2.0;
    let fire = 8.0 - (background + 5f64.exp()).ln();
    let rain = 5.0 - (background + 8f64.exp()).ln();
    assert_near(&scores(&set(true), Sense::Audio), &[fire, rain, 0.0]);
    let fire = 8.0 - (background + 5f64.exp() + 9f64.exp()).ln();
    assert!((f64::from(scores(&set(true), Sense::Imu)[0]) - fire).abs() < 1e-4);
}

#[test]
fn the_score_is_the_logit_of_a_softmax_share() {
    // With rivals, the shares of all labels and the background add up to 1.
    let s = scores(&set(true), Sense::Imu);
    let background = (1f64.exp() + 3f64.exp()) / 2.0;
    let share = background / (background + 8f64.exp() + 5f64.exp() + 9f64.exp());
    let sum: f64 = s.iter().map(|&x| 1.0 / (1.0 + (-f64::from(x)).exp())).sum();
    assert!((sum + share - 1.0).abs() < 1e-5);
}

#[test]
fn repeating_the_contrast_changes_nothing() {
    let file = PromptFile::parse("[[event]]\nlabel = \"fire\"\nprompts = [\"fire\"]").unwrap();
    let embed = |p: &str| {
        Some(if p == "fire" {
            with_cosine(0.8, 1)
        } else {
            with_cosine(0.2, 2)
        })
    };
    let one = PromptSet::new(&file, &["quiet"], embed).unwrap();
    let ten = PromptSet::new(&file, &["quiet"; 10], embed).unwrap();
    assert_near(&scores(&ten, Sense::Audio), &[f64::from(scores(&one, Sense::Audio)[0])]);
}

#[test]
fn calibration_subtracts_the_background_and_divides_by_the_temperature() {
    let mut set = set(false);
    let audio = SenseCalibration {
        temperature: 2.0,
        background: BTreeMap::from([("fire".to_owned(), 1.5)]),
    };
    let calibration = Calibration {
        space: SpaceId::new("s"),
        senses: BTreeMap::from([(Sense::Audio, audio)]),
    };
    let raw = scores(&set, Sense::Audio);
    set.calibrate(calibration.clone()).unwrap();
    let (fire, rain) = ((f64::from(raw[0]) - 1.5) / 2.0, f64::from(raw[1]) / 2.0);
    assert_near(&scores(&set, Sense::Audio), &[fire, rain, 0.0]);
    assert_eq!(scores(&set, Sense::Image)[0], raw[0]);

    let elsewhere = Calibration {
        space: SpaceId::new("t"),
        ..calibration.clone()
    };
    assert!(
        set.calibrate(elsewhere)
            .unwrap_err()
            .to_string()
            .contains("space t, expected s")
    );
    let mut frozen = calibration;
    frozen.senses.entry(Sense::Audio).or_default().temperature = 0.0;
    assert!(
        set.calibrate(frozen)
            .unwrap_err()
            .to_string()
            .contains("audio temperature is 0")
    );
}

#[test]
fn another_space_is_refused_and_leaves_no_scores() {
    let stranger = Embedding::new(SpaceId::new("t"), vec![1.0, 0.0]).unwrap();
    let mut out = vec![1.0];
    let e = set(true).score(Sense::Audio, 10.0, &stranger, &mut out).unwrap_err();
    assert_eq!(
        e.to_string(),
        "a vector of space t (2 numbers) against space s (4 numbers): encode both with one pack"
    );
    assert!(out.is_empty());
}

#[test]
fn extreme_logits_stay_finite() {
    let mut out = Vec::new();
    set(true)
        .score(Sense::Imu, 1e6, &vector(&[1.0, 0.0, 0.0, 0.0]), &mut out)
        .unwrap();
    assert!(out.iter().all(|s| s.is_finite()), "{out:?}");
}

/// Why labels compete by default: in a mock space where prompts share a common direction (the cone every trained space
/// has) and two labels lie close together, each label's windows fire its neighbour unless they compete.
#[test]
fn competition_keeps_a_look_alike_from_firing() {
    let [crackle, rain, quiet] =
        [[1.0, 0.9, 0.5, 0.0], [1.0, 0.5, 0.9, 0.0], [1.0, -0.3, -0.3, 0.9]].map(|v| vector(&v));
    let embed = |p: &str| {
        Some(match p {
            "crackle" => crackle.clone(),
            "rain" => rain.clone(),
            _ => quiet.clone(),
        })
    };
    let fired = |exclusive| {
        let file = PromptFile {
            exclusive,
            ..PromptFile::of_labels(["crackle", "rain"])
        };
        let set = PromptSet::new(&file, &["quiet"], embed).expect("one space");
        let mut out = Vec::new();
        set.score(Sense::Audio, 20.0, &vector(&[1.0, 1.1, 0.4, 0.0]), &mut out)
            .expect("one space");
        out.iter().map(|&s| s >= 2.0).collect::<Vec<_>>()
    };
    assert_eq!(fired(false), [true, true]);
    assert_eq!(fired(true), [true, false]);
}

#[test]
fn zero_shot_ranks_by_the_best_phrasing() {
    let w = vector(&[1.0, 0.0, 0.0, 0.0]);
    let (a, b, c) = (
        [with_cosine(0.2, 1), with_cosine(0.7, 2)],
        [with_cosine(0.5, 1)],
        [with_cosine(0.7, 3)],
    );
    let ranking = zero_shot(&w, &[("b", &b), ("a", &a), ("none", &[]), ("c", &c)]).unwrap();
    assert_eq!(ranking.iter().map(|r| r.label).collect::<Vec<_>>(), ["a", "c", "b"]);
    assert!((ranking[0].cosine - 0.7).abs() < 1e-6);
    let stranger = [Embedding::new(SpaceId::new("t"), vec![1.0]).unwrap()];
    assert!(zero_shot(&w, &[("x", &stranger)]).is_err());
}
