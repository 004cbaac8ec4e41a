//! What a person sees: colour only on a terminal, progress only for work that takes long.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::OwoColorize;
use sensebind_core::{Sense, Timestamp};
use std::time::Duration;

/// Work shorter than this shows no progress bar.
const QUIET: Duration = Duration::from_secs(2);

/// Prints an error with its causes to stderr.
pub fn error(error: &anyhow::Error) {
    anstream::eprintln!("{} {error}", "error:".red().bold());
    for cause in error.chain().skip(1) {
        anstream::eprintln!("  {} {cause}", "because:".dimmed());
    }
}

/// Prints a warning to stderr.
pub fn warning(message: impl std::fmt::Display) {
    anstream::eprintln!("{} {message}", "warning:".yellow().bold());
}

/// Minutes and seconds of world time.
pub fn clock(at: Timestamp, zero: Timestamp) -> String {
    let s = at.since(zero).as_secs_f64();
    format!("{:02}:{:04.1}", (s / 60.0) as u64, s % 60.0)
}

/// A name for `sense`, coloured so that the eye finds it.
pub fn sense(sense: Sense) -> String {
    match sense {
        Sense::Image => sense.cyan().to_string(),
        Sense::Text => sense.white().to_string(),
        Sense::Audio => sense.magenta().to_string(),
        Sense::Depth => sense.blue().to_string(),
        Sense::Thermal => sense.red().to_string(),
        Sense::Imu => sense.yellow().to_string(),
    }
}

/// A progress bar that shows itself only on a terminal and only once work has taken two seconds.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    shown: bool,
}

impl Progress {
    /// Towards `total`, in a unit the caller chooses; `what` says what is being done.
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg} {bar:30} {percent:>3} %, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Self { bar, shown: false }
    }

    /// There is this much to do, as it turns out.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Work has reached `done`.
    pub fn set(&mut self, done: u64) {
        if !self.shown && self.bar.elapsed() >= QUIET {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown = true;
        }
        self.bar.set_position(done);
    }

    /// Prints through the bar, so that lines and bar do not overwrite each other.
    pub fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Takes the bar off the screen.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
