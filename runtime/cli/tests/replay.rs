//! The main job: a log of five senses in, named events out, exactly.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use support::{sensebind, text};

fn recorded(dir: &tempfile::TempDir, seed: &str) -> std::path::PathBuf {
    let log = dir.path().join("demo.mcap");
    sensebind(&["record", "--scene", seed, "--out", text(&log)]).fine();
    log
}

#[test]
fn three_replays_write_the_same_bytes_and_every_frame_is_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let log = recorded(&dir, "7");
    let runs: Vec<Vec<u8>> = (0..3)
        .map(|run| {
            let events = dir.path().join(format!("{run}.jsonl"));
            let out = sensebind(&["replay", text(&log), "--events", text(&events), "--json"]).fine();
            let summary: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(summary["balances"], true);
            for stream in summary["streams"].as_array().unwrap() {
                let count = |key: &str| stream[key].as_u64().unwrap();
                let dropped: u64 = stream["dropped"]
                    .as_object()
                    .unwrap()
                    .values()
                    .map(|n| n.as_u64().unwrap())
                    .sum();
                assert!(count("captured") > 0);
                assert_eq!(count("captured"), count("processed") + dropped, "{stream}");
                let dropped = stream["windows_dropped"].as_object().unwrap().values();
                assert_eq!(
                    count("windows"),
                    count("encoded") + dropped.map(|n| n.as_u64().unwrap()).sum::<u64>()
                );
            }
            fs::read(events).unwrap()
        })
        .collect();
    assert!(!runs[0].is_empty());
    assert!(runs.iter().all(|run| *run == runs[0]));
}

#[test]
fn a_scene_replayed_as_it_is_rendered_gives_the_events_of_its_recording() {
    let dir = tempfile::tempdir().unwrap();
    let log = recorded(&dir, "7");
    let recorded = sensebind(&["replay", text(&log)]).fine();
    let rendered = sensebind(&["replay", "--scene", "7"]).fine();
    assert_eq!(recorded, rendered);
}

#[test]
fn event_lines_are_the_documented_ones() {
    let out = sensebind(&["replay", "--scene", "7"]).fine();
    let (mut open, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut senses = BTreeSet::new();
    for line in out.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let keys: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "type", "id", "label", "start_ns", "end_ns", "score", "evidence", "space",
        ];
        assert_eq!(keys, BTreeSet::from(expected));
        let id = event["id"].as_u64().unwrap();
        match event["type"].as_str().unwrap() {
            "begin" => assert!(event["end_ns"].is_null() && open.insert(id) && seen.insert(id)),
            "update" => assert!(event["end_ns"].is_null() && open.contains(&id)),
            "end" => {
                assert!(event["end_ns"].as_u64() >= event["start_ns"].as_u64() && open.remove(&id))
            }
            other => panic!("type {other}"),
        }
        for evidence in event["evidence"].as_array().unwrap() {
            senses.insert(evidence["sense"].as_str().unwrap().to_owned());
        }
    }
    assert!(open.is_empty(), "begun and never ended: {open:?}");
    assert!(!seen.is_empty());
    assert_eq!(
        senses,
        ["audio", "depth", "image", "imu", "thermal"].map(String::from).into()
    );
}

#[test]
fn the_demo_names_events_of_all_five_senses_and_ends_with_a_summary() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("demo.mcap");
    let out = sensebind(&["demo", "--log", text(&log)]).fine();
    assert!(!out.contains('\u{1b}'), "no colour where there is no terminal");
    for sense in ["image", "audio", "thermal", "depth", "imu"] {
        assert!(out.contains(&format!("{sense} +")), "no event of {sense}: {out}");
    }
    let summary = out.lines().last().unwrap();
    let mut numbers = summary.split_whitespace().filter_map(|w| w.parse::<u32>().ok());
    let (found, happened) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(found * 10 >= happened * 6, "{summary}");
}

#[test]
fn a_sound_file_and_a_folder_of_pictures_are_replayed_too() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("noise.wav");
    fs::write(
        &wav,
        wav_bytes(
            16_000,
            &(0..48_000)
                .map(|i| ((i * 7919) % 2001) as i16 - 1000)
                .collect::<Vec<_>>(),
        ),
    )
    .unwrap();
    let summary = sensebind(&["replay", text(&wav), "--events", text(&dir.path().join("e")), "--json"]).fine();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["streams"][0]["sense"], "audio");
    assert!(summary["streams"][0]["encoded"].as_u64().unwrap() >= 3, "{summary}");
    assert_eq!(summary["balances"], true);
}

/// A mono 16-bit WAV file.
fn wav_bytes(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
    let data = samples.len() as u32 * 2;
    let mut bytes = Vec::new();
    bytes.extend(b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * 2).to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    bytes
}
