//! Recording while live: what a killed process leaves behind, and what a log at its bound stops.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use sensebind_core::{Clock, Timestamp};
use sensebind_drivers::host_clock::HostClock;
use sensebind_record::LogReader;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How many recorders are killed.
const KILLED: u32 = 20;

fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards")
}

fn record(board: &Path, log: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensebind"));
    command.args(["record", "--board"]).arg(board).arg("--out").arg(log);
    command
}

struct Recorder {
    child: Child,
    log: PathBuf,
    kill_at: Timestamp,
}

/// When the newest frame of a log was captured, and how many streams it holds.
fn newest(log: &Path) -> (Timestamp, usize) {
    let mut log = LogReader::open(log).unwrap();
    let (mut newest, mut streams) = (Timestamp::ZERO, BTreeSet::new());
    while let Some(frame) = log.next().unwrap() {
        newest = newest.max(frame.captured);
        streams.insert(frame.stream);
    }
    (newest, streams.len())
}

#[test]
fn twenty_recorders_killed_at_twenty_moments_lose_the_last_second_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let board = boards().join("ci-replay.toml");
    let clock = HostClock::start();
    let mut recorders: Vec<Recorder> = (0..KILLED)
        .map(|nth| {
            let log = folder.path().join(format!("{nth}.mcap"));
            let child = record(&board, &log)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Moments that share no phase with a flush.
            let kill_at = clock.now().after(Duration::from_millis(4000 + u64::from(nth) * 137));
            Recorder { child, log, kill_at }
        })
        .collect();
    let mut lost_s: Vec<f64> = recorders
        .iter_mut()
        .map(|recorder| {
            clock.wait_until(recorder.kill_at);
            let killed = clock.now();
            recorder.child.kill().unwrap();
            recorder.child.wait().unwrap();
            let (newest, streams) = newest(&recorder.log);
            assert_eq!(streams, 5, "{}", recorder.log.display());
            killed.since(newest).as_secs_f64()
        })
        .collect();
    lost_s.sort_by(f64::total_cmp);
    eprintln!("seconds lost: {lost_s:.2?}");
    let beyond = lost_s.iter().filter(|s| **s > 1.0).count();
    // Twenty recorders on two cores: one may have waited for its turn when it was killed.
    assert!(beyond <= 1 && lost_s.iter().all(|s| *s < 2.0), "{lost_s:.2?}");
}

#[test]
fn a_log_at_its_bound_stops_the_recording_and_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let board = folder.path().join("small.toml");
    let log = folder.path().join("small.mcap");
    std::fs::write(
        &board,
        "name = \"small\"\n[record]\npath = \"unused.mcap\"\nmax_bytes = 60000\n[[sensor]]\nname = \"microphone\"\n\
         driver = \"scene\"\nseed = 1\nsensor = \"microphone\"\n",
    )
    .unwrap();
    let output = record(&board, &log)
        .args(["--seconds", "12", "--json"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("bound of 60000 bytes"), "{stderr}");
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let stopped = lines
        .iter()
        .position(|line| line["type"] == "health" && line["stream"] == "recording")
        .unwrap();
    assert_eq!(lines[stopped]["state"], "stopped");
    let captured = |line: &serde_json::Value| line["streams"][0]["captured"].as_u64();
    let at_stop = lines[..stopped].iter().rev().find_map(captured).unwrap_or(0);
    let at_end = lines.iter().rev().find_map(captured).unwrap();
    assert!(at_end > at_stop + 20, "capture goes on: {at_stop}, then {at_end}");
    let (_, streams) = newest(&log);
    assert_eq!(streams, 1, "what was written before stays readable");
}
