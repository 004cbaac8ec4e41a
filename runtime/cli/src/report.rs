//! What a replay tells at its end: where every frame went, how fast it was, what was lost.

use crate::exit::{Exit, Failure};
use crate::terminal;
use sensebind_core::{Format, StreamId};
use sensebind_engine::{Account, DropReason, Summary, WindowAccount};
use sensebind_record::Loss;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// Wall time of a replay: the one place where it is the subject.
#[derive(Debug)]
pub struct Speed(Instant);

impl Speed {
    /// Starts to measure.
    #[expect(
        clippy::disallowed_methods,
        reason = "wall time is what is measured here; no event depends on it"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Prints the summary to stderr, for a person.
pub fn print(summary: &Summary, loss: Option<&Loss>, speed: &Speed) {
    let world = summary.world.length().as_secs_f64();
    let wall = speed.seconds();
    print_accounts(
        summary
            .streams
            .iter()
            .map(|(id, format, frames, windows)| (id, Some(format), frames, windows)),
        summary.balances(),
    );
    if let Some(loss) = loss.filter(|l| **l != Loss::default()) {
        terminal::warning(loss);
    }
    if let Some(why) = &summary.broke_off {
        terminal::warning(format!("the input broke off: {why}"));
    }
    eprintln!(
        "{} events in {world:.1} s of world time; {wall:.2} s, {:.0} x real time",
        summary.events,
        world / wall.max(1e-9)
    );
}

/// Prints to stderr, for a person, where every frame and every window of these streams went.
pub fn print_accounts<'a>(
    streams: impl Iterator<Item = (&'a StreamId, Option<&'a Format>, &'a Account, &'a WindowAccount)>,
    balances: bool,
) {
    eprintln!(
        "{:<14} {:>9} {:>9} {:>9} {:>7}  {:>7} {:>7}  dropped because",
        "stream", "captured", "processed", "dropped", "missed", "windows", "encoded"
    );
    for (id, format, frames, windows) in streams {
        anstream::eprintln!(
            "{:<14} {:>9} {:>9} {:>9} {:>7}  {:>7} {:>7}  {}",
            id.as_str(),
            frames.captured,
            frames.processed,
            frames.dropped_total(),
            frames.missed,
            windows.cut,
            windows.encoded,
            reasons(frames, windows),
        );
        if frames.repaired > 0 {
            terminal::warning(format!(
                "{id}: {} capture times jumped back and were repaired",
                frames.repaired
            ));
        }
        if let Some(fault) = &windows.first_fault {
            let format = format.map_or_else(|| "never opened".to_owned(), Format::to_string);
            terminal::warning(format!("{id} ({format}): {fault}"));
        }
    }
    let balance = if balances {
        "holds"
    } else {
        "DOES NOT HOLD: please report this"
    };
    eprintln!("captured = processed + dropped: {balance}");
}

/// Why frames, and windows where only they were, did not reach the detector.
fn reasons(frames: &Account, windows: &WindowAccount) -> String {
    let frames = frames.dropped.iter().map(|(reason, n)| format!("{reason} {n}"));
    let windows = windows
        .dropped
        .iter()
        .map(|(reason, n)| format!("windows {reason} {n}"));
    let all: Vec<String> = frames.chain(windows).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

/// Counts by reason, for programs.
pub fn by_reason(counts: &BTreeMap<DropReason, u64>) -> Value {
    let pairs = counts.iter().map(|(reason, n)| (reason.name().to_owned(), json!(n)));
    Value::Object(pairs.collect())
}

/// One stream's accounts, for programs.
pub fn account_json(stream: &StreamId, format: Option<&Format>, frames: &Account, windows: &WindowAccount) -> Value {
    json!({
        "stream": stream, "sense": format.map(Format::sense), "captured": frames.captured,
        "processed": frames.processed, "dropped": by_reason(&frames.dropped), "missed": frames.missed,
        "repaired": frames.repaired, "windows": windows.cut, "encoded": windows.encoded,
        "windows_dropped": by_reason(&windows.dropped), "first_fault": windows.first_fault,
    })
}

/// The summary for programs.
pub fn as_json(summary: &Summary, loss: Option<&Loss>, speed: &Speed) -> Value {
    let world = summary.world.length().as_secs_f64();
    let streams: Vec<Value> = summary
        .streams
        .iter()
        .map(|(id, format, frames, windows)| account_json(id, Some(format), frames, windows))
        .collect();
    json!({
        "type": "summary", "events": summary.events, "world_s": world, "wall_s": speed.seconds(),
        "balances": summary.balances(), "streams": streams, "broke_off": summary.broke_off,
        "loss": loss.map(ToString::to_string),
    })
}

/// Whether data was lost, as an exit code.
///
/// # Errors
/// With [`Exit::LostData`].
pub fn lost(summary: &Summary, loss: Option<&Loss>) -> Result<(), Failure> {
    match (&summary.broke_off, loss.filter(|l| l.is_damage())) {
        (Some(why), _) => Err(Failure::new(
            Exit::LostData,
            format!("finished, but the input broke off: {why}"),
        )),
        (None, Some(loss)) => Err(Failure::new(
            Exit::LostData,
            format!("finished, but data was lost: {loss}"),
        )),
        (None, None) => Ok(()),
    }
}
