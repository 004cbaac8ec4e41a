//! `sensebind boards`: check board files, print their schema.

use crate::board::{Board, BoardError, pack_fault, prompts_fault, schema};
use crate::exit::{Exit, Failure};
use crate::packs;
use crate::terminal;
use sensebind_models::pack::Pack;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What to do with board files.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Check board files: keys, drivers and their settings, pack, prompts. Touches no device.
    Check {
        /// The board files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of board files.
    Schema,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Check { files } => check(&files),
        Action::Schema => {
            io::stdout().write_all(schema().as_bytes())?;
            Ok(())
        }
    }
}

/// Every file is checked, whatever is wrong with the one before.
fn check(files: &[PathBuf]) -> Result<(), Failure> {
    let mut refused = 0;
    for file in files {
        match usable(file) {
            Ok(board) => println!(
                "{}: ok: {}, {} sensors",
                file.display(),
                board.name,
                board.sensors.len()
            ),
            Err(error) => {
                terminal::error(&error.into());
                refused += 1;
            }
        }
    }
    if refused == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Configuration,
        format!("{refused} of {} board files cannot be used", files.len()),
    ))
}

fn usable(file: &Path) -> Result<Board, BoardError> {
    let board = Board::load(file)?;
    board.check()?;
    // A board is often written on another machine than the one it runs on: a pack that is not here is no fault of it.
    let fault = match Pack::open(packs::of(&board)) {
        Ok(pack) => pack_fault(&board, &pack),
        Err(error) => {
            terminal::warning(format!("{}: pack not checked: {error}", file.display()));
            None
        }
    };
    match fault.or_else(|| prompts_fault(&board)) {
        Some(why) => Err(BoardError::whole(file, why)),
        None => Ok(board),
    }
}
