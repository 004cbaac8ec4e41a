//! Five senses at once on emulated device nodes: what it costs, and what is lost.
//!
//! ```text
//! cargo bench -p sensebind --bench five_senses -- [--minutes 10] [--detect] [--json]
//! ```
//!
//! The sensors live in this process, what captures them in a child of its own: this program again, with drivers, rings and
//! windows but encoders that do nothing; or, with `--detect`, `sensebind run` with the starter pack. Shares of a core are
//! of that child alone, from its start-up on.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

mod capture;
mod process;
mod sensors;

use clap::Parser;
use process::{Process, Sample};
use sensebind_core::Clock;
use sensebind_drivers::host_clock::HostClock;
use sensors::Sensors;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Memory is compared between this long at a time, in a run that is long enough.
const SPAN_S: usize = 60;
/// From the start of all streams until measuring begins: what is loaded and filled once is over by then.
const WARM_S: usize = 3;
/// A child that takes longer to end is broken.
const ENDING: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
struct Args {
    /// How long to measure.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Detect with the starter pack, instead of capturing only.
    #[arg(long)]
    detect: bool,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
    /// What the child runs with: its board.
    #[arg(long, hide = true)]
    capture: Option<PathBuf>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let seconds = (args.minutes * 60.0).round().max(1.0) as usize;
    match &args.capture {
        Some(board) => capture::run(board),
        None => measure(seconds, args.detect, args.json),
    }
}

fn measure(seconds: usize, detect: bool, as_json: bool) {
    let folder = tempfile::tempdir().unwrap();
    let sensors = match Sensors::plug_in(folder.path()) {
        Ok(sensors) => sensors,
        Err(why) => {
            eprintln!("SKIPPED: five senses: {why}");
            return;
        }
    };
    let board = folder.path().join("board.toml");
    std::fs::write(&board, sensors.board()).unwrap();
    let mut command = if detect {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sensebind"));
        command.arg("run").arg("--json").arg("--board").arg(&board);
        command
    } else {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--capture").arg(&board);
        command
    };
    command
        .env("ALSA_CONFIG_PATH", sensors.alsa_config())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let (lines, told) = sync_channel(1 << 14);
    let reader = std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            if lines.send(serde_json::from_str::<Value>(&line).unwrap()).is_err() {
                return;
            }
        }
    });
    let mut process = Process::watch(child);

    let clock = HostClock::start();
    let mut second = clock.now();
    let mut samples: Vec<Sample> = Vec::new();
    let (mut running, mut faults, mut summary, mut events) = (0, Vec::new(), Value::Null, 0u64);
    let mut warm = WARM_S;
    let mut lost_before = 0;
    while samples.len() <= seconds {
        second = second.after(Duration::from_secs(1));
        clock.wait_until(second);
        assert!(process.lives(), "it ended early: {}", faults.join("; "));
        for line in told.try_iter() {
            match line["type"].as_str() {
                Some("status") => {
                    let states = line["streams"].as_array().unwrap().iter();
                    running = states.filter(|stream| stream["state"] == "running").count();
                }
                Some("health") if !samples.is_empty() => {
                    faults.push(format!("{} {}: {}", line["stream"], line["state"], line["why"]));
                }
                Some("begin") => events += 1,
                _ => {}
            }
        }
        if samples.is_empty() && running < 5 {
            let waited = second.since(clock.epoch());
            assert!(waited < Duration::from_secs(120), "only {running} of 5 sensors run");
            continue;
        }
        if warm > 0 {
            warm -= 1;
            lost_before = sensors.sound_lost();
            continue;
        }
        samples.push(process.sample());
    }
    process.ask_to_end();
    let over = clock.now().after(ENDING);
    while process.lives() && clock.now() < over {
        clock.wait_until(clock.now().after(Duration::from_millis(50)));
    }
    let produced = sensors.produced();
    let sound_lost = sensors.sound_lost() - lost_before;
    drop(process);
    reader.join().unwrap();
    for line in told.try_iter() {
        if line["type"] == "summary" {
            summary = line;
        }
    }
    let report = report(&samples, &summary, &produced, sound_lost, &faults, events, detect);
    if as_json {
        println!("{report:#}");
    } else {
        tell(&report);
    }
}

fn report(
    samples: &[Sample],
    summary: &Value,
    produced: &BTreeMap<&str, u64>,
    sound_lost: u64,
    faults: &[String],
    events: u64,
    detect: bool,
) -> Value {
    let (first, last) = (&samples[0], &samples[samples.len() - 1]);
    let seconds = samples.len() - 1;
    let share = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9 / seconds as f64;
    let threads: BTreeMap<&str, f64> = last.threads.iter().fold(BTreeMap::new(), |mut shares, (id, thread)| {
        let before = first.threads.get(id).map_or(0, |thread| thread.cpu_ns);
        *shares.entry(thread.name.as_str()).or_default() += share(before, thread.cpu_ns);
        shares
    });
    // The second span and the last, of ten or more.
    let span = (seconds / 10).clamp(1, SPAN_S);
    let mean = |samples: &[Sample]| samples.iter().map(|s| s.memory_kib as f64).sum::<f64>() / samples.len() as f64;
    let early = mean(&samples[span.min(seconds)..(2 * span).min(seconds + 1).max(span + 1)]);
    let late = mean(&samples[samples.len() - span..]);
    let streams: Vec<Value> = summary["streams"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|stream| {
            let mut stream = stream.clone();
            let name = stream["stream"].as_str().unwrap_or_default().to_owned();
            stream["produced"] = json!(produced.get(name.as_str()));
            stream
        })
        .collect();
    json!({
        "mode": if detect { "detect" } else { "capture" }, "seconds": seconds,
        "core_share": share(first.cpu_ns, last.cpu_ns), "threads": threads,
        "memory_mib": { "early": early / 1024.0, "late": late / 1024.0, "ratio": late / early, "span_s": span },
        "streams": streams, "sound_lost_on_the_way": sound_lost, "balances": summary["balances"],
        "reaction_ms": summary["reaction_ms"], "events": events, "faults": faults,
    })
}

fn tell(report: &Value) {
    let number = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
    println!(
        "{} for {} s: {:.2} % of one core",
        report["mode"].as_str().unwrap_or_default(),
        report["seconds"],
        report["core_share"].as_f64().unwrap_or(f64::NAN) * 100.0
    );
    println!(
        "{:<12} {:>9} {:>9} {:>7} {:>8} {:>8}  dropped windows, dropped frames",
        "stream", "produced", "captured", "missed", "windows", "encoded"
    );
    for stream in report["streams"].as_array().into_iter().flatten() {
        println!(
            "{:<12} {:>9} {:>9} {:>7} {:>8} {:>8}  {} {}",
            stream["stream"].as_str().unwrap_or_default(),
            number(&stream["produced"]),
            number(&stream["captured"]),
            number(&stream["missed"]),
            number(&stream["windows"]),
            number(&stream["encoded"]),
            stream["windows_dropped"],
            stream["dropped"],
        );
    }
    let memory = &report["memory_mib"];
    println!(
        "resident {:.1} MiB in the second {} s, {:.1} MiB in the last: ratio {:.4}",
        memory["early"].as_f64().unwrap_or(f64::NAN),
        memory["span_s"],
        memory["late"].as_f64().unwrap_or(f64::NAN),
        memory["ratio"].as_f64().unwrap_or(f64::NAN)
    );
    println!(
        "from the last data of a window to its events, encoding excluded: {}",
        report["reaction_ms"]
    );
    println!(
        "events {}, sound lost on the way {}, every frame accounted for: {}, faults: {}",
        report["events"], report["sound_lost_on_the_way"], report["balances"], report["faults"]
    );
    for (name, share) in report["threads"].as_object().into_iter().flatten() {
        println!("  {:<16} {:6.3} %", name, share.as_f64().unwrap_or(f64::NAN) * 100.0);
    }
}
