//! `sensebind replay`: a recording in, named events out.

use crate::exit::{Exit, Failure, OrExit};
use crate::inputs::{self, InputArgs, Opened};
use crate::packs::{Models, PackArg};
use crate::report::{self, Speed};
use crate::terminal::Progress;
use sensebind_core::{Event, Timestamp};
use sensebind_engine::{Observer, replay};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// What to replay, and what to look for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// Seconds of a simulated world (with --scene); without it, the demo's minute.
    #[arg(long, requires = "scene")]
    seconds: Option<f64>,
    #[command(flatten)]
    pack: PackArg,
    /// What to look for (TOML). Default: the pack's own `prompts.toml`.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Where events go, one JSON object a line. Default: stdout.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Print the summary as one JSON object on stdout (with --events, else on stderr).
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Opened {
        mut input, duration, ..
    } = inputs::open(&args.input, args.seconds)?;
    let models = Models::open(&args.pack.pack)?;
    let mut perceive = models.perceive(args.prompts.as_deref(), &inputs::senses(input.streams()))?;
    let out: Box<dyn Write> = match &args.events {
        None => Box::new(io::stdout().lock()),
        Some(path) => {
            let file = File::create(path)
                .map_err(|e| Failure::new(Exit::Failure, format!("{}: cannot be written: {e}", path.display())))?;
            Box::new(BufWriter::new(file))
        }
    };
    let total = duration.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let mut lines = Lines {
        out,
        zero: None,
        bar: Progress::new("replaying", total),
        failed: None,
    };
    let speed = Speed::start();
    let summary = replay(input.as_input(), &mut perceive, &mut lines).or_exit(Exit::Model)?;
    let Lines {
        mut out, bar, failed, ..
    } = lines;
    bar.finish();
    out.flush()?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    drop(out);
    let loss = input.loss();
    if args.json {
        let summary = serde_json::to_string(&report::as_json(&summary, loss.as_ref(), &speed))?;
        if args.events.is_some() {
            println!("{summary}");
        } else {
            eprintln!("{summary}");
        }
    } else {
        report::print(&summary, loss.as_ref(), &speed);
    }
    report::lost(&summary, loss.as_ref())
}

struct Lines {
    out: Box<dyn Write>,
    zero: Option<Timestamp>,
    bar: Progress,
    failed: Option<io::Error>,
}

impl Observer for Lines {
    fn event(&mut self, event: &Event) {
        let written = serde_json::to_writer(&mut self.out, event)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    fn reached(&mut self, at: Timestamp) {
        let zero = *self.zero.get_or_insert(at);
        self.bar.set(inputs::elapsed_ms(at, zero));
    }
}
