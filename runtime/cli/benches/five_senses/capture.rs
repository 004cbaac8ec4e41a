//! The capturing child: drivers, rings and windows as in `sensebind run`, and encoders that do nothing.

use sensebind_core::{
    Clock, Embedding, EncodeError, Encoder, EncoderSpec, Format, Sense, Settings, SpaceId, StreamId, Window,
};
use sensebind_drivers::host_clock::HostClock;
use sensebind_engine::live::{self, Health, Limits, Observer, Sensor, Status};
use sensebind_engine::{Account, DropReason, Perceive, WindowAccount};
use sensebind_space::{Detector, PromptFile, PromptSet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Captures what `board` lists until SIGTERM, and says so in the lines of `sensebind run --json`.
pub fn run(board: &Path) {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::SeqCst)).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    let board: toml::Table = std::fs::read_to_string(board).unwrap().parse().unwrap();
    let sensors = board["sensor"].as_array().unwrap().iter();
    let sensors = sensors
        .map(|sensor| self::sensor(sensor.as_table().unwrap().clone(), &clock))
        .collect();
    let limits = Limits::default();
    let summary = live::run(sensors, Some(blank()), None, &clock, limits, &mut Lines, &stop).unwrap();
    let streams: Vec<Value> = summary
        .streams
        .iter()
        .map(|(stream, _, frames, windows)| account(stream, frames, windows))
        .collect();
    let reaction_ms = |share: f64| summary.reaction.quantile(share).as_secs_f64() * 1e3;
    println!(
        "{}",
        json!({
            "type": "summary", "streams": streams, "balances": summary.balances(),
            "reaction_ms": {
                "p50": reaction_ms(0.5), "p99": reaction_ms(0.99), "moments": summary.reaction.moments(),
            },
        })
    );
}

fn sensor(mut settings: Settings, clock: &Arc<dyn Clock>) -> Sensor {
    let mut take = |key| settings.remove(key).unwrap().as_str().unwrap().to_owned();
    let (stream, driver) = (StreamId::new(take("name")), take("driver"));
    let driver = sensebind_drivers::find(&driver).unwrap();
    let (name, clock) = (stream.clone(), Arc::clone(clock));
    Sensor {
        stream,
        open: Box::new(move || driver.open(&name, &settings, &clock)),
    }
}

/// What the observer is told, as lines.
struct Lines;

impl Observer for Lines {
    fn health(&mut self, health: &Health) {
        let Health { stream, state, why, .. } = health;
        println!(
            "{}",
            json!({ "type": "health", "stream": stream, "state": state.name(), "why": why })
        );
    }

    fn status(&mut self, status: &Status) {
        let states = status.streams.iter().map(|s| json!({ "state": s.health.state.name() }));
        println!("{}", json!({ "type": "status", "streams": states.collect::<Vec<_>>() }));
    }
}

fn account(stream: &StreamId, frames: &Account, windows: &WindowAccount) -> Value {
    let by_reason = |counts: &BTreeMap<DropReason, u64>| {
        let counts = counts.iter().map(|(reason, n)| (reason.name().to_owned(), json!(n)));
        Value::Object(counts.collect())
    };
    json!({
        "stream": stream, "captured": frames.captured, "missed": frames.missed, "dropped": by_reason(&frames.dropped),
        "windows": windows.cut, "encoded": windows.encoded, "windows_dropped": by_reason(&windows.dropped),
    })
}

/// Windows as the starter pack wants them, all of which show nothing.
fn blank() -> Perceive {
    let space = SpaceId::new("blank");
    let nothing = Embedding::new(space.clone(), vec![1.0, 0.0]).unwrap();
    let something = Embedding::new(space.clone(), vec![0.0, 1.0]).unwrap();
    let file = PromptFile::of_labels(["something"]);
    let prompts = PromptSet::new(&file, &["nothing"], |phrase| {
        Some(if phrase == "nothing" { &nothing } else { &something }.clone())
    })
    .unwrap();
    let encoder = |(sense, window_ms)| {
        let spec = EncoderSpec {
            sense,
            space: space.clone(),
            dim: 2,
            logit_scale: 10.0,
            window: Duration::from_millis(window_ms),
            hop: Duration::from_millis(500),
        };
        Box::new(Blank(spec, nothing.clone())) as Box<dyn Encoder>
    };
    let encoders = [
        (Sense::Image, 0),
        (Sense::Audio, 2000),
        (Sense::Thermal, 0),
        (Sense::Depth, 0),
        (Sense::Imu, 2000),
    ];
    let detector = Detector::new(&prompts);
    Perceive::new(encoders.map(encoder).into(), prompts, detector, 0.5).unwrap()
}

/// Looks at nothing and sees nothing.
struct Blank(EncoderSpec, Embedding);

impl Encoder for Blank {
    fn spec(&self) -> &EncoderSpec {
        &self.0
    }

    fn accepts(&self, _stream: &StreamId, _format: &Format) -> Result<(), EncodeError> {
        Ok(())
    }

    fn encode(&mut self, windows: &[Window], out: &mut Vec<Result<Embedding, EncodeError>>) -> Result<(), EncodeError> {
        out.extend(windows.iter().map(|_| Ok(self.1.clone())));
        Ok(())
    }
}
