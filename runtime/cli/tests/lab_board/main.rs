//! `sensebind run` on a board of five emulated devices that show one simulated world: events come in while sensors are
//! refused, stalled, pulled and put back, one after the other, and the others never notice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod run;
mod world;

use run::{Run, Waiting};
use sensebind_core::Timestamp;
use sensebind_record::LogReader;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use world::{NAMES, Sensors};

/// What the project promises: a change is reported, and undone, within this.
const PROMISED: Duration = Duration::from_secs(5);
/// What a machine that is busy with other tests may take besides.
const BUSY: Duration = Duration::from_secs(3);
/// The world's happenings that are waited for: the demo's first four.
const WORLD_S: f64 = 27.0;

#[test]
fn five_nodes_come_and_go_and_events_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut sensors = match Sensors::plug_in(folder.path()) {
        Ok(sensors) => sensors,
        Err(why) => {
            eprintln!("SKIPPED: a board of five emulated devices: {why}");
            return;
        }
    };
    let board = folder.path().join("board.toml");
    std::fs::write(&board, sensors.board()).unwrap();

    // One of them may not be opened at first.
    sensors.deny_imu(true);
    let mut run = Run::start(&board, sensors.alsa_config());
    let denied = run.state("imu", "denied", &Waiting::for_start());
    assert!(denied.why.contains("usermod -aG i2c"), "{}", denied.why);
    sensors.deny_imu(false);
    let allowed = run.now();
    run.state("imu", "running", &Waiting::since(allowed, PROMISED + BUSY));
    for name in NAMES {
        run.all_running(name);
    }

    let quiet = run.quiet();
    let stalled = run.now();
    sensors.stall_thermal(true);
    let told = run.state("thermal", "stalled", &Waiting::since(stalled, PROMISED + BUSY));
    assert!(told.why.contains("no frame"), "{}", told.why);
    sensors.stall_thermal(false);
    run.state("thermal", "running", &Waiting::since(run.now(), PROMISED + BUSY));
    run.others_never_noticed("thermal", &quiet);

    for name in NAMES {
        let quiet = run.quiet();
        let pulled = run.now();
        sensors.pull(name);
        let told = run.state(name, "missing", &Waiting::since(pulled, PROMISED + BUSY));
        assert!(!told.why.is_empty(), "{name} is missing, and nobody says why");
        // Long enough that it is looked for in vain.
        run.go_on_until(run.now().after(Duration::from_millis(700)));
        let back = run.now();
        sensors.put_back(name);
        run.state(name, "running", &Waiting::since(back, PROMISED + BUSY));
        run.others_never_noticed(name, &quiet);
    }

    let origin = sensors.origin().expect("the world has begun");
    run.go_on_until(origin.after(Duration::from_secs_f64(WORLD_S + 2.0)));
    let end = run.now();
    let (code, summary) = run.end();

    let missed: BTreeMap<&str, u64> = summary["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| (stream["stream"].as_str().unwrap(), stream["missed"].as_u64().unwrap()))
        .collect();
    assert_eq!(missed.len(), NAMES.len());
    assert_eq!(code, if missed.values().all(|n| *n == 0) { 0 } else { 3 }, "{missed:?}");
    assert_eq!(summary["balances"], true, "{summary}");
    assert!(summary["reaction_ms"]["moments"].as_u64() > Some(20), "{summary}");

    the_log_tells_the_same(&folder.path().join("lab.mcap"), &summary);

    // What happened, near the time at which it did.
    let begun = run.events();
    assert_eq!(summary["events"].as_u64(), Some(begun.len() as u64));
    let near = |at: Timestamp, start_s: f64, end_s: f64| {
        at >= origin.after(Duration::from_secs_f64((start_s - 2.0).max(0.0)))
            && at <= origin.after(Duration::from_secs_f64(end_s + 2.0))
    };
    let over_s = end.since(origin).as_secs_f64();
    let happened: Vec<_> = world::truth()
        .into_iter()
        .filter(|(_, _, end_s)| *end_s < over_s)
        .collect();
    let named: BTreeSet<&str> = happened
        .iter()
        .filter(|(label, start_s, end_s)| {
            begun
                .iter()
                .any(|(seen, at)| seen == label && near(*at, *start_s, *end_s))
        })
        .map(|(label, ..)| label.as_str())
        .collect();
    eprintln!("of {happened:?} it named {named:?}; events: {begun:?}");
    assert!(
        named.len() >= 2,
        "of {happened:?} it named {named:?}; events: {begun:?}"
    );
}

/// The log of the run holds every frame, the states of the sensors, and how their clocks map to the host's.
fn the_log_tells_the_same(path: &Path, summary: &Value) {
    let mut log = LogReader::open(path).unwrap();
    let mut frames: BTreeMap<String, u64> = BTreeMap::new();
    let streams = log.streams().to_vec();
    while let Some(frame) = log.next().unwrap() {
        *frames.entry(streams[frame.stream].0.to_string()).or_default() += 1;
    }
    for stream in summary["streams"].as_array().unwrap() {
        let name = stream["stream"].as_str().unwrap();
        assert_eq!(frames.get(name).copied(), stream["captured"].as_u64(), "{name}");
    }
    let clocks: BTreeSet<String> = log.clocks().unwrap().iter().map(|c| c.stream.to_string()).collect();
    let mapped = ["imu", "microphone"].map(str::to_owned);
    assert!(mapped.iter().all(|name| clocks.contains(name)), "{clocks:?}");
    assert!(!log.wall_clock().unwrap().is_empty());
    let missing: BTreeSet<String> = log
        .health()
        .unwrap()
        .iter()
        .filter(|h| h.state == "missing")
        .map(|h| h.stream.to_string())
        .collect();
    assert_eq!(missing, NAMES.map(str::to_owned).into_iter().collect());
}
