//! `sensebind`: sensors in, named events out.
//!
//! One file per verb in `commands`; what several verbs share sits beside this file:
//! [`board`] (board files), [`exit`] (codes), [`inputs`] (what can be replayed), [`packs`] (opening a pack with its prompts),
//! [`outcome`] (events against what really happened), [`report`] (the summary), [`terminal`] (what a person sees).

mod board;
mod commands;
mod exit;
mod inputs;
mod live;
mod outcome;
mod packs;
mod report;
mod terminal;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Names what a device's sensors perceive, in plain words.
///
/// Camera, microphone, thermal camera, depth sensor and IMU go into one embedding space; events are phrases.
/// Events and other results go to stdout, everything else to stderr.
#[derive(Debug, Parser)]
#[command(name = "sensebind", version, about, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done · 1 failure · 2 usage · 3 done, but data was lost · 4 configuration · \
                        5 input · 6 pack, model or ONNX Runtime"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay about a minute of a simulated world and compare the events with what really happened.
    Demo(commands::demo::Args),
    /// Run a recorded log, sound file, picture folder or simulated world through the detector.
    Replay(commands::replay::Args),
    /// Run the sensors of a board through the detector, live.
    Run(commands::run::Args),
    /// Write a sensor log (MCAP).
    Record(commands::record::Args),
    /// Print the embedding of files or phrases, one JSON line each.
    Embed(commands::embed::Args),
    /// Import, inspect and verify model packs.
    Pack(commands::pack::Args),
    /// Measure zero-shot accuracy of a pack on held-out scenes and recordings.
    Eval(commands::eval::Args),
    /// Check board files, print their schema.
    Boards(commands::boards::Args),
    /// List what is attached, as board snippets to paste.
    Devices(commands::devices::Args),
    /// Check what a run needs of this machine, and say what to do.
    Doctor(commands::doctor::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => commands::demo::run(args),
        Command::Replay(args) => commands::replay::run(args),
        Command::Run(args) => commands::run::run(args),
        Command::Record(args) => commands::record::run(args),
        Command::Embed(args) => commands::embed::run(args),
        Command::Pack(args) => commands::pack::run(args),
        Command::Eval(args) => commands::eval::run(args),
        Command::Boards(args) => commands::boards::run(args),
        Command::Devices(args) => commands::devices::run(args),
        Command::Doctor(args) => commands::doctor::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if is_closed_pipe(&failure.error) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::error(&failure.error);
            failure.exit.into()
        }
    }
}

/// `sensebind … | head` is no error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
