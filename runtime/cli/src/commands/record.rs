//! `sensebind record`: write a sensor log.

use crate::board::Board;
use crate::exit::{Exit, Failure, OrExit};
use crate::inputs;
use crate::live::{self, Reporter, Session, Style};
use crate::terminal::Progress;
use sensebind_core::{Frame, Timestamp};
use sensebind_drivers::scene;
use sensebind_engine::{Input, Merged};
use sensebind_record::LogWriter;
use std::path::{Path, PathBuf};

/// What to record, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: From,
    /// Seconds of world time (with --scene; without it, the demo's minute) or of real time (with --board; without it, until
    /// Ctrl-C).
    #[arg(long)]
    seconds: Option<f64>,
    /// The MCAP file to write.
    #[arg(long)]
    out: PathBuf,
    /// Write states of sensors, a status every second and the summary as JSON lines to stdout (with --board).
    #[arg(long, requires = "board")]
    json: bool,
}

/// Where frames come from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct From {
    /// Seed of a simulated world; the same seed gives the same log.
    #[arg(long, value_name = "SEED")]
    scene: Option<u64>,
    /// A board file: its sensors are recorded live, and judged by nobody.
    #[arg(long, value_name = "FILE")]
    board: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(seed) = args.from.scene {
        let frames = scene_log(seed, args.seconds, &args.out)?;
        println!(
            "{}: {frames} frames of a simulated world, seed {seed}",
            args.out.display()
        );
        return Ok(());
    }
    match &args.from.board {
        Some(board) => board_log(board, &args),
        // The argument group lets nobody through without one of the two.
        None => Err(Failure::new(
            Exit::Configuration,
            "nothing to record: --scene or --board",
        )),
    }
}

/// Records a board's sensors live.
fn board_log(file: &Path, args: &Args) -> Result<(), Failure> {
    let board = Board::load(file).or_exit(Exit::Configuration)?;
    board.check().or_exit(Exit::Configuration)?;
    let length = live::length(args.seconds)?;
    let style = if args.json { Style::Json } else { Style::Words };
    let session = Session::start()?;
    let out = Box::new(std::io::stdout());
    let mut reporter = Reporter::new(out, style, session.clock().now(), length, session.stop());
    let bound = board.record.as_ref().and_then(|table| table.max_bytes);
    let summary = session.run(board, None, Some((&args.out, bound)), &mut reporter)?;
    live::conclude(&summary, reporter)
}

/// Renders a simulated world into a log, with what really happened in it. Returns the number of frames.
///
/// # Errors
/// With [`Exit::Failure`] when the file cannot be written.
pub fn scene_log(seed: u64, seconds: Option<f64>, out: &Path) -> Result<u64, Failure> {
    let world = inputs::world(seed, seconds)?;
    let end_ms = (world.timeline().duration_s * 1e3) as u64;
    let truth = scene::truth(&world);
    let mut input = Merged::new(scene::open_world(world));
    let streams = input.streams().to_vec();
    let mut log = LogWriter::create(out).or_exit(Exit::Failure)?;
    for (label, span) in truth {
        log.write_truth(&label, span).or_exit(Exit::Failure)?;
    }
    let mut seq = vec![0u64; streams.len()];
    let mut frames = 0;
    let mut bar = Progress::new("recording", end_ms);
    while let Some(item) = input.next().or_exit(Exit::Input)? {
        let (stream, format) = &streams[item.stream];
        let frame = Frame {
            seq: seq[item.stream],
            captured: item.captured,
            calibrating: item.calibrating,
            data: item.data,
        };
        log.write(stream, format, &frame).or_exit(Exit::Failure)?;
        seq[item.stream] += 1;
        frames += 1;
        bar.set(inputs::elapsed_ms(item.captured, Timestamp::ZERO));
    }
    log.finish().or_exit(Exit::Failure)?;
    bar.finish();
    Ok(frames)
}
