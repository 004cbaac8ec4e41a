//! `sensebind boards`, `devices` and `doctor` through the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod support;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Ran, copy_of_starter, ran, sensebind, text};

const CONFIGURATION: i32 = 4;

fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards")
}

fn shipped() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(boards())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

fn ci_replay_with(dir: &Path, from: &str, to: &str) -> PathBuf {
    let board = fs::read_to_string(boards().join("ci-replay.toml")).unwrap();
    assert!(board.contains(from), "{from}");
    let file = dir.join("changed.toml");
    fs::write(&file, board.replacen(from, to, 1)).unwrap();
    file
}

fn check(file: &Path) -> Ran {
    sensebind(&["boards", "check", text(file)])
}

#[test]
fn every_shipped_board_can_be_used() {
    let files = shipped();
    assert!(files.len() >= 6, "{files:?}");
    let args: Vec<&str> = ["boards", "check"]
        .into_iter()
        .chain(files.iter().map(|f| text(f)))
        .collect();
    let out = sensebind(&args).fine();
    assert_eq!(out.lines().filter(|line| line.contains(": ok: ")).count(), files.len());
    for file in files {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        assert!(
            out.contains(&format!(": ok: {stem}, ")),
            "{stem} calls itself otherwise: {out}"
        );
    }
}

#[test]
fn the_board_for_ci_can_be_used_anywhere() {
    assert!(
        check(&boards().join("ci-replay.toml"))
            .fine()
            .contains("ok: ci-replay, 5 sensors")
    );
}

#[test]
fn the_committed_schema_is_what_the_types_say() {
    let committed = fs::read_to_string(boards().join("schema.json")).unwrap();
    let now = sensebind(&["boards", "schema"]).fine();
    assert!(
        committed == now,
        "boards/schema.json is stale: run `sensebind boards schema > boards/schema.json`"
    );
}

#[test]
fn the_schema_knows_every_driver_and_points_nowhere_else() {
    let schema: Value = serde_json::from_str(&sensebind(&["boards", "schema"]).fine()).unwrap();
    let drivers: Value = serde_json::from_str(&sensebind(&["devices", "--drivers", "--json"]).fine()).unwrap();
    let by_driver = schema["$defs"]["Sensor"]["allOf"].as_array().unwrap();
    assert_eq!(by_driver.len(), drivers.as_array().unwrap().len());
    for driver in drivers.as_array().unwrap() {
        let settings = by_driver
            .iter()
            .find(|choice| choice["if"]["properties"]["driver"]["const"] == driver["driver"])
            .unwrap();
        assert_eq!(settings["then"]["additionalProperties"], false);
        for setting in driver["settings"]["properties"].as_object().unwrap().keys() {
            let said = &settings["then"]["properties"][setting];
            assert!(said["description"].is_string(), "{driver}: {setting}");
        }
    }
    let mut described = 0;
    walk(&schema, &mut |value| {
        if let Some(target) = value["$ref"].as_str() {
            assert!(schema.pointer(&target[1..]).is_some(), "{target}");
            described += 1;
        }
        assert!(value["type"] != "null", "TOML has no null");
    });
    assert!(described > 5);
}

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(table) => table.values().for_each(|v| walk(v, visit)),
        Value::Array(items) => items.iter().for_each(|v| walk(v, visit)),
        _ => {}
    }
}

#[test]
fn boards_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let changed = |from: &str, to: &str| check(&ci_replay_with(dir.path(), from, to));
    changed("provider =", "provder =").failed_with(CONFIGURATION, &["changed.toml:", "provder", "did you mean"]);
    changed("seed = 1", "sed = 1").failed_with(CONFIGURATION, &["changed.toml:", "\"camera\"", "did you mean `seed`?"]);
    changed("driver = \"scene\"", "driver = \"szene\"")
        .failed_with(CONFIGURATION, &["szene", "scene", "devices --drivers"]);
    changed("name = \"imu\"", "name = \"camera\"").failed_with(CONFIGURATION, &["two sensors", "\"camera\""]);
    changed("[encoder]", "[pack]\nprompts = \"none.toml\"\n[encoder]")
        .failed_with(CONFIGURATION, &["none.toml", "docs/prompts.md"]);
    // The starter pack stores f16.
    changed("[encoder]", "[encoder.audio]\nprecision = \"f32\"\n[encoder]")
        .failed_with(CONFIGURATION, &["encoder.audio", "f16", "--precision f32"]);
    check(Path::new("/nowhere/board.toml")).failed_with(CONFIGURATION, &["/nowhere/board.toml", "cannot be read"]);

    // One bad board does not hide the next one.
    let good = boards().join("ci-replay.toml");
    let both = sensebind(&["boards", "check", "/nowhere/board.toml", text(&good)]);
    both.failed_with(CONFIGURATION, &["1 of 2"]);
    assert!(both.out.contains("ok: ci-replay"));

    // A pack that is not on this machine is said, and no fault of the board.
    let elsewhere = changed("[encoder]", "[pack]\npath = \"/nowhere/pack\"\n[encoder]");
    assert_eq!(elsewhere.code, 0, "{}", elsewhere.err);
    assert!(elsewhere.err.contains("pack not checked"), "{}", elsewhere.err);
}

#[test]
fn clips_need_a_pack_with_a_graph_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let clips = "[encoder.image]\nframes = \"clip\"\n[encoder]";
    check(&ci_replay_with(dir.path(), "[encoder]", clips)).fine();
    let pack = copy_of_starter(dir.path());
    let manifest = fs::read_to_string(pack.join("pack.toml")).unwrap();
    let mut table: toml::Table = manifest.parse().unwrap();
    table.remove("video").unwrap();
    fs::write(pack.join("pack.toml"), toml::to_string(&table).unwrap()).unwrap();
    let board = ci_replay_with(dir.path(), "[encoder]", &format!("[pack]\npath = \"pack\"\n{clips}"));
    check(&board).failed_with(
        CONFIGURATION,
        &["encoder.image", "no video graph", "frames = \"still\""],
    );
}

#[test]
fn paths_are_from_the_boards_folder() {
    let dir = tempfile::tempdir().unwrap();
    let prompts = "[[event]]\nlabel = \"x\"\nprompts = [\"a dog\"]\n";
    fs::write(dir.path().join("mine.toml"), prompts).unwrap();
    let board = ci_replay_with(dir.path(), "[encoder]", "[pack]\nprompts = \"mine.toml\"\n[encoder]");
    check(&board).fine();
    fs::write(dir.path().join("mine.toml"), "[[event]]\n").unwrap();
    check(&board).failed_with(CONFIGURATION, &["mine.toml", "label"]);
}

#[test]
fn devices_print_a_board_or_say_what_was_looked_for() {
    let found: Vec<Value> = serde_json::from_str(&sensebind(&["devices", "--json"]).fine()).unwrap();
    let run = sensebind(&["devices"]);
    assert_eq!(run.code, 0, "{}", run.err);
    if found.is_empty() {
        assert!(
            run.err.contains("scene") && run.err.contains("sensebind doctor"),
            "{}",
            run.err
        );
        return;
    }
    // What is printed is pasted: with a name it is a board.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pasted.toml");
    fs::write(&file, format!("name = \"pasted\"\n\n{}", run.out)).unwrap();
    assert!(check(&file).fine().contains(&format!("{} sensors", found.len())));
}

#[test]
fn drivers_are_listed_with_their_settings() {
    let out = sensebind(&["devices", "--drivers"]).fine();
    for part in [
        "scene: ",
        "seed (integer): ",
        "seconds (number, optional): ",
        "\"microphone\"",
        "audio_file: ",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains('\u{1b}'), "no colour where there is no terminal");
}

fn doctor(args: &[&str]) -> (Ran, Vec<Value>) {
    let args: Vec<&str> = ["doctor", "--json"].iter().chain(args).copied().collect();
    let run = sensebind(&args);
    let findings = serde_json::from_str(&run.out).unwrap();
    (run, findings)
}

fn finding<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|f| f["check"] == check);
    found.unwrap_or_else(|| panic!("{check}: {findings:?}"))
}

#[test]
fn a_machine_that_can_run_the_board_is_told_so() {
    let (run, findings) = doctor(&["--board", text(&boards().join("ci-replay.toml"))]);
    assert_eq!(run.code, 0, "{}", run.out);
    for check in [
        "board",
        "camera",
        "imu",
        "pack",
        "ONNX Runtime",
        "provider",
        "clock",
        "recording",
    ] {
        assert_eq!(finding(&findings, check)["level"], "ok", "{check}");
    }
    let plain = sensebind(&["doctor"]).fine();
    assert!(!plain.contains('\u{1b}') && plain.contains("ONNX Runtime"), "{plain}");
}

#[test]
fn what_is_missing_is_named_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let board = ci_replay_with(
        dir.path(),
        "driver = \"scene\"\nseed = 1\nsensor = \"camera\"",
        "driver = \"picture_folder\"\npath = \"pictures\"",
    );
    let record = "[record]\npath = \"logs/run.mcap\"\n\n[encoder]";
    let with_record = fs::read_to_string(&board).unwrap().replacen("[encoder]", record, 1);
    fs::write(&board, with_record).unwrap();
    let (run, findings) = doctor(&["--board", text(&board)]);
    assert_eq!(run.code, 0, "a missing sensor or log stops no run: {}", run.out);
    for (check, part) in [("camera", "pictures"), ("recording", "logs")] {
        let finding = finding(&findings, check);
        assert_eq!(finding["level"], "warning", "{finding}");
        assert!(finding["found"].as_str().unwrap().contains(part), "{finding}");
        assert!(finding["do"].is_string(), "{finding}");
    }
    fs::create_dir(dir.path().join("logs")).unwrap();
    fs::create_dir(dir.path().join("pictures")).unwrap();
    let (_, findings) = doctor(&["--board", text(&board)]);
    assert_eq!(finding(&findings, "camera")["level"], "ok");
    assert!(
        finding(&findings, "recording")["found"]
            .as_str()
            .unwrap()
            .contains("GB free")
    );
}

#[test]
fn what_stops_a_run_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = ci_replay_with(dir.path(), "seed = 1", "sead = 1");
    let (run, findings) = doctor(&["--board", text(&wrong)]);
    run.failed_with(CONFIGURATION, &["stops a run"]);
    assert_eq!(finding(&findings, "board")["level"], "problem");
    assert_eq!(
        finding(&findings, "ONNX Runtime")["level"],
        "ok",
        "the rest is looked at all the same"
    );

    let elsewhere = ci_replay_with(dir.path(), "[encoder]", "[pack]\npath = \"none\"\n[encoder]");
    let (run, findings) = doctor(&["--board", text(&elsewhere)]);
    assert_eq!(run.code, CONFIGURATION);
    assert_eq!(finding(&findings, "pack")["level"], "problem");

    let run = ran(Command::new(env!("CARGO_BIN_EXE_sensebind"))
        .arg("doctor")
        .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so"));
    run.failed_with(CONFIGURATION, &["stops a run"]);
    assert!(
        run.out.contains("/nowhere/libonnxruntime.so") && run.out.contains("make setup"),
        "{}",
        run.out
    );
}

#[test]
fn a_gpu_that_is_not_there_is_never_replaced_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let board = ci_replay_with(dir.path(), "provider = \"cpu\"", "provider = \"cuda\"");
    let (run, findings) = doctor(&["--board", text(&board)]);
    let provider = finding(&findings, "provider");
    let found = provider["found"].as_str().unwrap();
    if provider["level"] == "ok" {
        assert!(found.contains("CUDA"), "{found}");
        return;
    }
    assert_eq!(run.code, CONFIGURATION);
    for part in ["cannot run on CUDA", "ORT_DYLIB_PATH", "libonnxruntime"] {
        assert!(found.contains(part), "{part}: {found}");
    }
}
