//! `sensebind record`: write a sensor log.

use crate::exit::{Exit, Failure, OrExit};
use crate::inputs;
use crate::terminal::Progress;
use sensebind_core::{Frame, Timestamp};
use sensebind_drivers::scene;
use sensebind_engine::{Input, Merged};
use sensebind_record::LogWriter;
use std::path::{Path, PathBuf};

/// What to record, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seed of a simulated world; the same seed gives the same log.
    #[arg(long, value_name = "SEED")]
    scene: u64,
    /// Seconds of world time; without it, the demo's minute.
    #[arg(long)]
    seconds: Option<f64>,
    /// The MCAP file to write.
    #[arg(long)]
    out: PathBuf,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let frames = scene_log(args.scene, args.seconds, &args.out)?;
    println!(
        "{}: {frames} frames of a simulated world, seed {}",
        args.out.display(),
        args.scene
    );
    Ok(())
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
