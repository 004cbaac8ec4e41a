//! What a replay tells at its end: where every frame went, how fast it was, what was lost.

use crate::exit::{Exit, Failure};
use crate::terminal;
use sensebind_engine::Summary;
use sensebind_record::Loss;
use serde_json::{Value, json};
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
    eprintln!(
        "{:<14} {:>9} {:>9} {:>9}  {:>7} {:>7}  dropped because",
        "stream", "captured", "processed", "dropped", "windows", "encoded"
    );
    for (id, format, frames, windows) in &summary.streams {
        let reasons: Vec<String> = frames
            .dropped
            .iter()
            .map(|(reason, n)| format!("{reason} {n}"))
            .collect();
        anstream::eprintln!(
            "{:<14} {:>9} {:>9} {:>9}  {:>7} {:>7}  {}",
            id.as_str(),
            frames.captured,
            frames.processed,
            frames.dropped_total(),
            windows.cut,
            windows.encoded,
            if reasons.is_empty() {
                "-".to_owned()
            } else {
                reasons.join(", ")
            },
        );
        if frames.repaired > 0 {
            terminal::warning(format!(
                "{id}: {} capture times jumped back and were repaired",
                frames.repaired
            ));
        }
        if let Some(fault) = &windows.first_fault {
            terminal::warning(format!("{id} ({format}): {fault}"));
        }
    }
    let balance = if summary.balances() {
        "holds"
    } else {
        "DOES NOT HOLD: please report this"
    };
    eprintln!("captured = processed + dropped: {balance}");
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

/// The summary for programs.
pub fn as_json(summary: &Summary, loss: Option<&Loss>, speed: &Speed) -> Value {
    let world = summary.world.length().as_secs_f64();
    let streams: Vec<Value> = summary
        .streams
        .iter()
        .map(|(id, format, frames, windows)| {
            let by_reason = |m: &std::collections::BTreeMap<sensebind_engine::DropReason, u64>| -> Value {
                m.iter()
                    .map(|(reason, n)| (reason.name().to_owned(), json!(n)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            };
            json!({
                "stream": id, "sense": format.sense(), "captured": frames.captured, "processed": frames.processed,
                "dropped": by_reason(&frames.dropped), "repaired": frames.repaired,
                "windows": windows.cut, "encoded": windows.encoded, "windows_dropped": by_reason(&windows.dropped),
                "first_fault": windows.first_fault,
            })
        })
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
