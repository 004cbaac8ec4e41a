//! What a person watching a run sees: a bar on a terminal, lines elsewhere. All on stderr.

use std::io::IsTerminal as _;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Progress of one piece of work.
#[derive(Debug)]
pub struct Progress {
    name: String,
    total: usize,
    bar: ProgressBar,
    lines: bool,
    started: Instant,
    from: usize,
}

/// Steps between two lines where there is no terminal.
const LINE_EVERY: usize = 50;

impl Progress {
    /// `total` steps, of which `from` are done.
    pub fn new(name: &str, total: usize, from: usize) -> Self {
        let lines = !std::io::stderr().is_terminal();
        let target = if lines {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>12} {wide_bar} {pos}/{len} {msg} {per_sec} left {eta}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.set_position(from as u64);
        bar.reset_eta();
        #[expect(clippy::disallowed_methods, reason = "steps per second are about wall time")]
        let started = Instant::now();
        Self {
            name: name.to_owned(),
            total,
            bar,
            lines,
            started,
            from,
        }
    }

    /// One more piece is done, with nothing to say about it.
    pub fn tick(&self) {
        self.bar.inc(1);
    }

    /// `step` steps are done; `what` says how it goes.
    pub fn step(&self, step: usize, what: &str) {
        self.bar.set_position(step as u64);
        self.bar.set_message(what.to_owned());
        if self.lines && (step.is_multiple_of(LINE_EVERY) || step == self.total) {
            let seconds = self.seconds().max(1e-9);
            let rate = (step - self.from) as f64 / seconds;
            let left_s = (self.total - step) as f64 / rate.max(1e-9);
            eprintln!(
                "{}: step {step}/{} {what} {rate:.2} steps/s, {left_s:.0} s left",
                self.name, self.total
            );
        }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        if self.lines {
            eprintln!("{}: {line}", self.name);
        } else {
            self.bar.println(format!("{}: {line}", self.name));
        }
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// The end; the seconds it took.
    pub fn finish(self) -> f64 {
        self.bar.finish_and_clear();
        self.seconds()
    }
}
