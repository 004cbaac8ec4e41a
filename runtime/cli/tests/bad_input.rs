//! Whatever is wrong with an input gets a message, the documented exit code, and no panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod support;

use sensebind_core::{AudioSample, Format, Frame, PixelLayout, StreamId, ThermalUnit, Timestamp};
use sensebind_record::LogWriter;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{copy_of_starter, ran, sensebind, starter, text};

const CONFIGURATION: i32 = 4;
const INPUT: i32 = 5;
const MODEL: i32 = 6;
const LOST_DATA: i32 = 3;

#[test]
fn without_onnx_runtime_the_remedy_is_named() {
    let run = ran(Command::new(env!("CARGO_BIN_EXE_sensebind"))
        .args(["replay", "--scene", "7", "--seconds", "4"])
        .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so"));
    run.failed_with(MODEL, &["/nowhere/libonnxruntime.so", "ORT_DYLIB_PATH"]);
}

#[test]
fn a_library_that_is_no_onnx_runtime_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join("libonnxruntime.so");
    fs::write(&fake, "not a library").unwrap();
    let run = ran(Command::new(env!("CARGO_BIN_EXE_sensebind"))
        .args(["replay", "--scene", "7", "--seconds", "4"])
        .env("ORT_DYLIB_PATH", &fake));
    run.failed_with(MODEL, &[text(&fake)]);
}

fn replay_with_pack(pack: &Path) -> support::Ran {
    sensebind(&["replay", "--scene", "7", "--seconds", "4", "--pack", text(pack)])
}

#[test]
fn packs_that_are_not_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    replay_with_pack(&dir.path().join("none")).failed_with(MODEL, &["none", "pack.toml"]);

    let pack = copy_of_starter(dir.path());
    let manifest = fs::read_to_string(pack.join("pack.toml")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(manifest.contains(from), "{from}");
        fs::write(pack.join("pack.toml"), manifest.replacen(from, to, 1)).unwrap();
    };

    with("audio.onnx", "../audio.onnx");
    replay_with_pack(&pack).failed_with(MODEL, &["../audio.onnx"]);
    with("name = ", "nickname = \"x\"\nname = ");
    replay_with_pack(&pack).failed_with(MODEL, &["nickname", "pack.toml"]);
    fs::write(pack.join("pack.toml"), &manifest).unwrap();

    // One flipped bit in the weights, the length unchanged.
    let graph = pack.join("audio.onnx");
    let mut bytes = fs::read(&graph).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&graph, &bytes).unwrap();
    replay_with_pack(&pack).failed_with(MODEL, &["audio.onnx", "sha256"]);
    sensebind(&["pack", "verify", text(&pack)]).failed_with(MODEL, &["audio.onnx"]);
    fs::remove_file(&graph).unwrap();
    replay_with_pack(&pack).failed_with(MODEL, &["audio.onnx"]);
}

#[test]
fn a_sense_the_pack_lacks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let pack = copy_of_starter(dir.path());
    let manifest = fs::read_to_string(pack.join("pack.toml")).unwrap();
    let mut table: toml::Table = manifest.parse().unwrap();
    table.remove("audio").unwrap();
    fs::write(pack.join("pack.toml"), toml::to_string(&table).unwrap()).unwrap();
    let wav = dir.path().join("x.wav");
    fs::write(&wav, b"RIFF").unwrap();
    sensebind(&["embed", "--sense", "audio", text(&wav), "--pack", text(&pack)]).failed_with(MODEL, &["audio"]);
    let run = replay_with_pack(&pack);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("no audio encoder"), "{}", run.err);
}

fn replay_with_prompts(prompts: &str) -> support::Ran {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("prompts.toml");
    fs::write(&file, prompts).unwrap();
    sensebind(&["replay", "--scene", "7", "--seconds", "4", "--prompts", text(&file)])
}

#[test]
fn prompts_that_cannot_be_used() {
    replay_with_prompts("").failed_with(CONFIGURATION, &["prompts.toml", "event"]);
    replay_with_prompts("[[event]]\nlabel = \"x\"\nprompts = []\n").failed_with(CONFIGURATION, &["line 3", "prompts"]);
    replay_with_prompts("[[event]]\nlabel = \"x\"\nprompts = [\"x\"]\ncolour = 1\n")
        .failed_with(CONFIGURATION, &["line 4", "colour"]);
    replay_with_prompts("space = \"other-0123456789ab\"\n[[event]]\nlabel = \"x\"\nprompts = [\"a dog\"]\n")
        .failed_with(CONFIGURATION, &["other-0123456789ab", "starter-"]);
    let strange = replay_with_prompts("[[event]]\nlabel = \"x\"\nprompts = [\"a xylophone quartet\"]\n");
    assert_eq!(strange.code, 0, "{}", strange.err);
    assert!(strange.err.contains("xylophone"), "{}", strange.err);
    let missing = sensebind(&["replay", "--scene", "7", "--prompts", "/nowhere/prompts.toml"]);
    missing.failed_with(CONFIGURATION, &["/nowhere/prompts.toml"]);
}

fn scene_log(dir: &Path) -> PathBuf {
    let log = dir.join("log.mcap");
    sensebind(&["record", "--scene", "3", "--seconds", "20", "--out", text(&log)]).fine();
    log
}

#[test]
fn damaged_logs_are_read_as_far_as_they_go() {
    let dir = tempfile::tempdir().unwrap();
    let log = scene_log(dir.path());
    let whole = fs::read(&log).unwrap();

    fs::write(&log, &whole[..whole.len() * 7 / 10]).unwrap();
    let cut = sensebind(&["replay", text(&log)]);
    cut.failed_with(
        LOST_DATA,
        &["recovered up to", "bytes lost", "captured = processed + dropped: holds"],
    );
    assert!(!cut.out.is_empty(), "events before the cut are kept");

    let mut flipped = whole.clone();
    let middle = whole.len() / 2;
    flipped[middle] ^= 0x10;
    fs::write(&log, &flipped).unwrap();
    sensebind(&["replay", text(&log)]).failed_with(LOST_DATA, &["lost", "holds"]);

    fs::write(&log, b"").unwrap();
    sensebind(&["replay", text(&log)]).failed_with(INPUT, &["log.mcap", "found nothing"]);
    fs::write(&log, b"this is a letter, not a log").unwrap();
    sensebind(&["replay", text(&log)]).failed_with(INPUT, &["log.mcap"]);
    sensebind(&["replay", "/nowhere/log.mcap"]).failed_with(INPUT, &["/nowhere/log.mcap"]);
}

/// A log whose frames are written one by one.
struct Hand {
    log: LogWriter<std::io::BufWriter<fs::File>>,
    seq: u64,
}

impl Hand {
    fn write(&mut self, stream: &str, format: &Format, ms: u64, data: &[u8]) {
        let frame = Frame {
            seq: self.seq,
            calibrating: false,
            captured: Timestamp::from_nanos(ms * 1_000_000),
            data,
        };
        self.seq += 1;
        self.log.write(&StreamId::new(stream), format, &frame).unwrap();
    }
}

#[test]
fn frames_that_cannot_be_judged_are_counted_and_cost_only_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.mcap");
    let mut hand = Hand {
        log: LogWriter::create(&path).unwrap(),
        seq: 0,
    };
    let thermal = Format::Thermal {
        width: 8,
        height: 6,
        unit: ThermalUnit::KelvinF32,
        rate_hz: 10.0,
    };
    let sound = Format::Audio {
        rate_hz: 16_000,
        channels: 1,
        sample: AudioSample::I16,
    };
    let imu = Format::Imu { rate_hz: 100.0 };
    let floats = |x: f32, n: usize| std::iter::repeat_n(x.to_le_bytes(), n).flatten().collect::<Vec<u8>>();
    for i in 0..60u64 {
        let ms = i * 100;
        // Good, then not a number, then infinite, then all zero: fifteen each.
        let kelvin = [295.0, f32::NAN, f32::INFINITY, 0.0][i as usize / 15];
        hand.write("thermal", &thermal, ms, &floats(kelvin, 48));
        hand.write("microphone", &sound, ms, &[0; 3200]);
        // The clock jumps back once.
        hand.write("imu", &imu, if i == 30 { 0 } else { ms }, &floats(1.0, 6));
    }
    hand.log.finish().unwrap();
    let run = sensebind(&["replay", text(&path), "--events", text(&dir.path().join("e")), "--json"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let summary: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(summary["balances"], true);
    let stream = |name: &str| {
        summary["streams"]
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["stream"] == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    assert!(stream("thermal")["encoded"].as_u64().unwrap() > 0);
    assert!(
        stream("thermal")["windows_dropped"]["bad window"].as_u64().unwrap() > 0,
        "{summary}"
    );
    assert!(
        stream("microphone")["encoded"].as_u64().unwrap() > 0,
        "silence is a sound: {summary}"
    );
    assert_eq!(stream("imu")["captured"], 60);
}

#[test]
fn pictures_that_are_none_are_lost_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dark.mcap");
    let mut hand = Hand {
        log: LogWriter::create(&path).unwrap(),
        seq: 0,
    };
    let picture = Format::Image {
        width: 0,
        height: 0,
        layout: PixelLayout::Jpeg,
        rate_hz: 10.0,
    };
    for i in 0..20 {
        hand.write("camera", &picture, i * 100, b"\xff\xd8 no picture");
    }
    hand.log.finish().unwrap();
    sensebind(&["replay", text(&path)]).failed_with(LOST_DATA, &["20 messages skipped", "camera"]);
}

#[test]
fn files_that_hold_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("empty.wav");
    fs::write(
        &wav,
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0",
    )
    .unwrap();
    for args in [
        vec!["replay", text(&wav)],
        vec!["embed", "--sense", "audio", text(&wav)],
    ] {
        sensebind(&args).failed_with(INPUT, &["empty.wav"]);
    }
    let folder = dir.path().join("pictures");
    fs::create_dir(&folder).unwrap();
    sensebind(&["replay", text(&folder)]).failed_with(INPUT, &["pictures"]);
    let png = dir.path().join("x.png");
    fs::write(&png, b"\x89PNG\r\n\x1a\n").unwrap();
    sensebind(&["embed", "--sense", "image", text(&png)]).failed_with(INPUT, &["x.png"]);
}

#[test]
fn checkpoints_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("pack");
    let checkpoint = dir.path().join("model.pth");
    fs::write(&checkpoint, b"cos\nsystem\n(S'true'\ntR.").unwrap();
    let import = |config: &str| {
        sensebind(&[
            "pack",
            "import",
            text(&checkpoint),
            "--config",
            config,
            "--out",
            text(&out),
        ])
    };
    import("huge").failed_with(MODEL, &["model.pth"]);
    import("/nowhere/config.json").failed_with(MODEL, &["/nowhere/config.json"]);
    assert!(!out.exists(), "a failed import leaves nothing behind");
    sensebind(&[
        "pack",
        "import",
        text(&checkpoint),
        "--config",
        "huge",
        "--family",
        "clap",
        "--out",
        text(&out),
    ])
    .failed_with(CONFIGURATION, &["clap", "imagebind"]);
}

#[test]
fn help_lists_the_exit_codes() {
    let help = sensebind(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Exit codes"));
    assert!(starter().is_dir());
}
