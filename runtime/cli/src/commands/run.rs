//! `sensebind run`: a board's sensors in, named events out, for as long as it takes.

use crate::board::Board;
use crate::exit::{Exit, Failure, OrExit};
use crate::live::{self, Reporter, Session, Style};
use crate::packs::{self, Models};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Which board, and where results go.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board file: what is attached, what runs where (see docs/boards.md).
    #[arg(long, value_name = "FILE")]
    board: PathBuf,
    /// Folder of the model pack. Default: the board's, else the starter pack.
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,
    /// What to look for (TOML). Default: the board's, else the pack's own `prompts.toml`.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Record everything to this log (MCAP). Default: as the board says.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Stop after this long. Default: Ctrl-C, or the end of every source.
    #[arg(long)]
    seconds: Option<f64>,
    /// Where events go, one JSON object a line. Default: stdout.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write states of sensors, a status every second and the summary as JSON lines too, among the events.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let board = Board::load(&args.board).or_exit(Exit::Configuration)?;
    board.check().or_exit(Exit::Configuration)?;
    let length = live::length(args.seconds)?;
    let pack = args.pack.unwrap_or_else(|| packs::of(&board));
    let models = Models::open_for(&pack, board.encoder.clone())?;
    let prompts = args.prompts.or_else(|| board.pack.prompts.clone());
    let perceive = models.perceive(prompts.as_deref(), &board.senses().or_exit(Exit::Configuration)?)?;
    let log = match (&args.record, &board.record) {
        (Some(path), _) => Some((path.clone(), None)),
        (None, Some(table)) => Some((table.path.clone(), table.max_bytes)),
        (None, None) => None,
    };
    let out: Box<dyn Write> = match &args.events {
        None => Box::new(io::stdout()),
        Some(path) => Box::new(create(path)?),
    };
    let style = if args.json { Style::Json } else { Style::Words };
    let session = Session::start()?;
    let mut reporter = Reporter::new(out, style, session.clock().now(), length, session.stop());
    let log = log.as_ref().map(|(path, max_bytes)| (path.as_path(), *max_bytes));
    let summary = session.run(board, Some(perceive), log, &mut reporter)?;
    live::conclude(&summary, reporter)
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    File::create(path)
        .map(BufWriter::new)
        .map_err(|e| Failure::new(Exit::Failure, format!("{}: cannot be written: {e}", path.display())))
}
