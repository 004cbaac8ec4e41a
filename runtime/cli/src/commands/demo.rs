//! `sensebind demo`: a minute of a simulated world, its events beside what really happened.

use crate::commands::record;
use crate::exit::{Exit, Failure, OrExit};
use crate::inputs::{self, Opened};
use crate::outcome::Outcome;
use crate::packs::{Models, PackArg};
use crate::report::{self, Speed};
use crate::terminal::{self, Progress};
use owo_colors::OwoColorize;
use sensebind_core::{Event, Phase, Timestamp};
use sensebind_engine::{Observer, replay};
use std::path::PathBuf;

/// Width of the column that names the senses: room for all five.
const SUPPORT_COLUMNS: usize = 54;

/// Which world, and where its recording goes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seed of the simulated world.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Seconds of world time; without it, a minute in which every sense has something to perceive.
    #[arg(long)]
    seconds: Option<f64>,
    /// Where the recording is kept.
    #[arg(long, value_name = "FILE", default_value = "target/demo.mcap")]
    log: PathBuf,
    #[command(flatten)]
    pack: PackArg,
    /// What to look for (TOML). Default: the pack's own `prompts.toml`.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(folder) = args.log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    record::scene_log(args.seed, args.seconds, &args.log)?;
    let bytes = std::fs::metadata(&args.log)?.len();
    println!(
        "recorded a simulated world (seed {}) into {} ({:.1} MB)",
        args.seed,
        args.log.display(),
        bytes as f64 / 1e6
    );
    let Opened {
        mut input,
        truth,
        duration,
    } = inputs::open_path(&args.log)?;
    let models = Models::open(&args.pack.pack)?;
    let mut perceive = models.perceive(args.prompts.as_deref(), &inputs::senses(input.streams()))?;
    anstream::println!(
        "\n{}",
        format!(
            "{:<8} {:<24} {:<SUPPORT_COLUMNS$} {}",
            "world", "event", "heard, seen, felt by", "what really happened"
        )
        .bold()
    );
    let total = duration.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let mut show = Show {
        outcome: Outcome::new(truth),
        bar: Progress::new("replaying", total),
    };
    let speed = Speed::start();
    let summary = replay(input.as_input(), &mut perceive, &mut show).or_exit(Exit::Model)?;
    let Show { outcome, bar } = show;
    bar.finish();
    println!();
    report::print(&summary, input.loss().as_ref(), &speed);
    conclude(&outcome);
    report::lost(&summary, input.loss().as_ref())
}

fn conclude(outcome: &Outcome) {
    let list = |items: Vec<String>| {
        if items.is_empty() {
            String::new()
        } else {
            format!(": {}", items.join(", "))
        }
    };
    let missed: Vec<String> = outcome
        .missed()
        .map(|t| format!("{} at {}", t.label, terminal::clock(t.span.start, Timestamp::ZERO)))
        .collect();
    let false_events: Vec<String> = outcome
        .made_up()
        .iter()
        .map(|(label, at)| format!("{label} at {}", terminal::clock(*at, Timestamp::ZERO)))
        .collect();
    anstream::println!(
        "{} {} of {} happenings · {} {}{} · {} {}{}",
        "found".green().bold(),
        outcome.found(),
        outcome.happened(),
        "missed".yellow().bold(),
        missed.len(),
        list(missed),
        "false".red().bold(),
        false_events.len(),
        list(false_events),
    );
}

struct Show {
    outcome: Outcome,
    bar: Progress,
}

impl Observer for Show {
    fn event(&mut self, event: &Event) {
        let truth = self.outcome.observe(event);
        let (sign, at) = match event.phase {
            Phase::Begin => ("begin", event.start_ns),
            Phase::End => ("end", event.end_ns.unwrap_or(event.start_ns)),
            Phase::Update => return,
        };
        let really = match truth {
            Some(t) => format!(
                "✓ {} {}–{}",
                t.label,
                terminal::clock(t.span.start, Timestamp::ZERO),
                terminal::clock(t.span.end, Timestamp::ZERO)
            )
            .green()
            .to_string(),
            None => "✗ no such thing".red().to_string(),
        };
        // What does not perceive an event says nothing of interest here; the event file has all of it.
        let support: Vec<_> = event.evidence.iter().filter(|e| e.score > 0.0).collect();
        let senses: Vec<String> = support
            .iter()
            .map(|e| format!("{} {:+.1}", terminal::sense(e.sense), e.score))
            .collect();
        // Padded by hand: colours are no columns.
        let width: usize = support
            .iter()
            .map(|e| format!("{} {:+.1} ", e.sense, e.score).len())
            .sum();
        let pad = " ".repeat(SUPPORT_COLUMNS.saturating_sub(width.saturating_sub(1)));
        let name = format!("{sign:<5} {}", event.label);
        self.bar.aside(|| {
            anstream::println!(
                "{:<8} {name:<24} {}{pad} {really}",
                terminal::clock(at, Timestamp::ZERO),
                senses.join(" ")
            );
        });
    }

    fn reached(&mut self, at: Timestamp) {
        self.bar.set(inputs::elapsed_ms(at, Timestamp::ZERO));
    }
}
