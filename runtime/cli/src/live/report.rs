//! What a live run tells while it lasts, and at its end.

use crate::exit::{Exit, Failure};
use crate::report::{account_json, print_accounts};
use crate::terminal;
use indicatif::{ProgressBar, ProgressDrawTarget};
use owo_colors::OwoColorize;
use sensebind_core::{Event, StreamId, Timestamp};
use sensebind_engine::live::{Health, Observer, State, Status, Summary};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How results are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Events as JSON lines on `out`; all else in words on stderr.
    Words,
    /// Everything as JSON lines on `out`: events, `health`, `status` every second, and a last `summary`.
    Json,
}

/// Tells what happens as it happens.
pub struct Reporter {
    out: Box<dyn Write>,
    style: Style,
    began: Timestamp,
    until: Option<Timestamp>,
    stop: Arc<AtomicBool>,
    /// Streams whose format and memory have been told.
    introduced: BTreeSet<StreamId>,
    line: ProgressBar,
    failed: Option<io::Error>,
}

impl Reporter {
    /// Of a run that began at `began` and is asked to `stop` after `length`, if it is bounded.
    pub fn new(
        out: Box<dyn Write>,
        style: Style,
        began: Timestamp,
        length: Option<Duration>,
        stop: &Arc<AtomicBool>,
    ) -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if style == Style::Words && io::stderr().is_terminal() {
            line.set_draw_target(ProgressDrawTarget::stderr());
        }
        Self {
            out,
            style,
            began,
            until: length.map(|length| began.after(length)),
            stop: Arc::clone(stop),
            introduced: BTreeSet::new(),
            line,
            failed: None,
        }
    }

    fn write(&mut self, value: &impl serde::Serialize) {
        let written = serde_json::to_writer(&mut self.out, value)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .and_then(|()| self.out.flush());
        if let Err(error) = written {
            // Nobody reads any more: that ends the run, as it ends any command in a pipe.
            self.stop.store(true, Ordering::SeqCst);
            self.failed.get_or_insert(error);
        }
    }

    fn say(&self, text: impl std::fmt::Display) {
        self.line.suspend(|| anstream::eprintln!("{text}"));
    }

    fn introduce(&mut self, status: &Status) {
        for stream in &status.streams {
            let Some(format) = &stream.format else { continue };
            if self.introduced.insert(stream.stream.clone()) && self.style == Style::Words {
                let memory = match stream.ring_bytes {
                    0 => "not judged: the pack has no such sense".to_owned(),
                    bytes => format!("keeps at most {:.2} MB", bytes as f64 / 1e6),
                };
                self.say(format!("{:<14} {format}, {memory}", stream.stream.as_str().bold()));
            }
        }
    }

    /// The end: what could not be written, if anything.
    fn finish(&mut self) -> io::Result<()> {
        self.line.finish_and_clear();
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }
}

impl Observer for Reporter {
    fn event(&mut self, event: &Event) {
        self.write(event);
    }

    fn health(&mut self, health: &Health) {
        if self.style == Style::Json {
            self.write(&json!({
                "type": "health", "stream": health.stream, "at_ns": health.at, "state": health.state.name(),
                "why": health.why,
            }));
            return;
        }
        let state = match health.state {
            State::Running => health.state.green().to_string(),
            State::Opening | State::Ended => health.state.to_string(),
            _ => health.state.red().bold().to_string(),
        };
        let why = if health.why.is_empty() {
            String::new()
        } else {
            format!(": {}", health.why)
        };
        let at = terminal::clock(health.at, self.began);
        self.say(format!("{at} {:<14} {state}{why}", health.stream.as_str().bold()));
    }

    fn status(&mut self, status: &Status) {
        self.introduce(status);
        if self.style == Style::Json {
            self.write(&status_json(status));
        } else {
            self.line.set_message(summary_line(status, self.began));
            self.line.tick();
        }
        if self.until.is_some_and(|until| status.at >= until) {
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

fn summary_line(status: &Status, began: Timestamp) -> String {
    let running = status
        .streams
        .iter()
        .filter(|s| s.health.state == State::Running)
        .count();
    let (captured, missed) = status
        .streams
        .iter()
        .fold((0, 0), |(c, m), s| (c + s.frames.captured, m + s.frames.missed));
    let dropped: u64 = status.streams.iter().flat_map(|s| s.windows.dropped.values()).sum();
    format!(
        "{} · {running} of {} sensors running · {captured} frames, {missed} missed · {dropped} windows dropped · {} events",
        terminal::clock(status.at, began),
        status.streams.len(),
        status.events
    )
}

fn status_json(status: &Status) -> Value {
    let streams: Vec<Value> = status
        .streams
        .iter()
        .map(|s| {
            let mut value = account_json(&s.stream, s.format.as_ref(), &s.frames, &s.windows);
            value["pending"] = json!(s.frames.pending());
            value["state"] = json!(s.health.state.name());
            value["since_ns"] = json!(s.health.at);
            value["why"] = json!(s.health.why);
            value["ring_bytes"] = json!(s.ring_bytes);
            value
        })
        .collect();
    json!({
        "type": "status", "at_ns": status.at, "streams": streams, "events": status.events,
        "recording": status.recording.as_ref().map(|r| json!({
            "written": r.written, "dropped": r.dropped, "stopped": r.stopped,
        })),
    })
}

/// Tells at the end where everything went.
///
/// # Errors
/// With [`Exit::LostData`] when frames were missed or the recording is not whole, [`Exit::Failure`] when nothing could be
/// written.
pub fn conclude(summary: &Summary, mut reporter: Reporter) -> Result<(), Failure> {
    let reaction_ms = |share: f64| summary.reaction.quantile(share).as_secs_f64() * 1e3;
    if reporter.style == Style::Json {
        let streams: Vec<Value> = summary
            .streams
            .iter()
            .map(|(stream, format, frames, windows)| account_json(stream, format.as_ref(), frames, windows))
            .collect();
        reporter.write(&json!({
            "type": "summary", "streams": streams, "events": summary.events, "balances": summary.balances(),
            "reaction_ms": {
                "p50": reaction_ms(0.5), "p95": reaction_ms(0.95), "p99": reaction_ms(0.99),
                "moments": summary.reaction.moments(),
            },
            "recording": summary.recording.as_ref().map(|r| json!({
                "written": r.written, "dropped": r.dropped, "stopped": r.stopped,
            })),
        }));
        reporter.finish()?;
        return lost(summary);
    }
    reporter.finish()?;
    print_accounts(
        summary
            .streams
            .iter()
            .map(|(stream, format, frames, windows)| (stream, format.as_ref(), frames, windows)),
        summary.balances(),
    );
    if summary.reaction.moments() > 0 {
        eprintln!(
            "{} events; from the last data of a window to its events, without encoding: p50 {:.1} ms, p99 {:.1} ms",
            summary.events,
            reaction_ms(0.5),
            reaction_ms(0.99)
        );
    }
    if let Some(recording) = &summary.recording {
        eprintln!("recorded {} frames, {} not", recording.written, recording.dropped);
    }
    lost(summary)
}

fn lost(summary: &Summary) -> Result<(), Failure> {
    if let Some(why) = summary.recording.as_ref().and_then(|r| r.stopped.as_ref()) {
        return Err(Failure::new(
            Exit::LostData,
            format!("finished, but the recording stopped early: {why}"),
        ));
    }
    let missed: Vec<String> = summary
        .streams
        .iter()
        .filter(|(_, _, frames, _)| frames.missed > 0)
        .map(|(stream, _, frames, _)| format!("{stream} {}", frames.missed))
        .collect();
    let unrecorded = summary.recording.as_ref().map_or(0, |r| r.dropped);
    if missed.is_empty() && unrecorded == 0 {
        return Ok(());
    }
    let mut what = Vec::new();
    if !missed.is_empty() {
        what.push(format!("frames that sensors or the kernel lost: {}", missed.join(", ")));
    }
    if unrecorded > 0 {
        what.push(format!("{unrecorded} frames not recorded: the disk was too slow"));
    }
    Err(Failure::new(
        Exit::LostData,
        format!("finished, but data was lost: {}", what.join("; ")),
    ))
}
