//! `sensebind-bind`: trains the encoders of a small pack.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use sensebind_bind::config::TrainConfig;
use sensebind_bind::export;
use sensebind_bind::run::{Options, run};
use sensebind_models::family::imagebind::Config as Model;
use sensebind_models::manifest::Precision;
use sensebind_models::pack;

/// The system's allocator gives large blocks back after every operation; this one keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Trains the encoders of a small pack: image with text, then every sense against images.
#[derive(Debug, Parser)]
#[command(name = "sensebind-bind", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trains all six encoders. Writes a checkpoint and its configuration into a folder, and into its folder `pack` what
    /// the importer makes of them, with a card, credits and a report.
    Train {
        /// Every hyper-parameter.
        #[arg(long)]
        config: PathBuf,
        /// Folder for the results and for the states of an unfinished run.
        #[arg(long)]
        out: PathBuf,
        /// Real recordings: a copy of ESC-50, or a folder with `index.tsv`. Without it all sound is synthesised.
        #[arg(long)]
        sounds: Option<PathBuf>,
        /// Go on where an earlier run into the same folder stopped.
        #[arg(long)]
        resume: bool,
        /// Threads; results do not depend on it. All processors where absent.
        #[arg(long)]
        threads: Option<usize>,
    },
}

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<()> {
    let Command::Train {
        config,
        out,
        sounds,
        resume,
        threads,
    } = Cli::parse().command;
    let config = TrainConfig::read(&config)?;
    let threads = threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .max(1);
    let options = Options {
        out,
        sounds,
        resume,
        threads,
        stop_after: None,
    };
    let Some(trained) = run(config, &options)? else {
        return Ok(());
    };
    let (checkpoint, model) = (
        options.out.join("checkpoint.safetensors"),
        options.out.join("config.json"),
    );
    export::write_checkpoint(&trained, &checkpoint, &model)?;
    let folder = options.out.join("pack");
    pack::import(&checkpoint, &Model::read(&model)?, &folder, Precision::F16, &mut |_| {})?;
    export::write_papers(&trained, &folder)?;
    for sense in &trained.report.senses {
        let recordings = sense.recordings.as_ref().map_or(String::new(), |accuracy| {
            format!(
                ", recordings {:.1} % (chance {:.1} %)",
                100.0 * accuracy.top1,
                100.0 * accuracy.chance
            )
        });
        let (top1, chance) = (100.0 * sense.scenes.top1, 100.0 * sense.scenes.chance);
        println!(
            "{:8} scenes {top1:.1} % (chance {chance:.1} %){recordings}",
            sense.sense.name()
        );
    }
    println!("pack     {}", folder.display());
    Ok(())
}
