//! `sensebind embed`, `pack` and `eval` through the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod support;

use serde_json::Value;
use support::{sensebind, starter, text};

#[test]
fn phrases_become_unit_vectors_in_order() {
    let out = sensebind(&[
        "embed",
        "--sense",
        "text",
        "a dog barking",
        "crackle of a fire",
        "a dog barking",
    ])
    .fine();
    let lines: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(
        lines.iter().map(|l| l["item"].as_str().unwrap()).collect::<Vec<_>>()[1],
        "crackle of a fire"
    );
    let vector = |i: usize| -> Vec<f64> {
        lines[i]["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect()
    };
    for i in 0..3 {
        let norm: f64 = vector(i).iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    }
    assert_eq!(vector(0), vector(2), "neighbours in a batch do not matter");
    assert_ne!(vector(0), vector(1));
}

#[test]
fn a_pack_says_what_it_is() {
    let pack = starter();
    let info = sensebind(&["pack", "info", text(&pack)]).fine();
    for word in [
        "starter",
        "licence",
        "space",
        "image.onnx",
        "imu.onnx",
        "provenance",
        "knows",
    ] {
        assert!(info.contains(word), "{word}: {info}");
    }
    let json: Value = serde_json::from_str(&sensebind(&["pack", "info", text(&pack), "--json"]).fine()).unwrap();
    assert!(info.contains(json["space"]["id"].as_str().unwrap()));
    assert!(
        sensebind(&["pack", "verify", text(&pack)])
            .fine()
            .contains("every hash")
    );
    let bytes: u64 = json["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["bytes"].as_u64().unwrap())
        .sum();
    assert!(
        bytes <= 16_000_000,
        "the starter pack is {bytes} bytes, promised are 16 MB at most"
    );
}

#[test]
fn held_out_scenes_are_named_far_above_chance() {
    let out = sensebind(&["eval", "--scenes", "2", "--json"]).fine();
    let results: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(results.len(), 5);
    for result in results {
        let (top1, chance) = (result["top1"].as_f64().unwrap(), result["chance"].as_f64().unwrap());
        assert!(
            top1 >= 0.6 && top1 > 2.0 * chance,
            "{}: {top1} (chance {chance})",
            result["what"]
        );
    }
}
