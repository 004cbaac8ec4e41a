//! `sensebind boards`: check board files, print their schema.

use crate::board::{Board, BoardError, Frames, schema};
use crate::exit::{Exit, Failure};
use crate::packs;
use crate::terminal;
use sensebind_core::Sense;
use sensebind_models::pack::{GraphKind, Pack};
use sensebind_space::PromptFile;
use std::path::PathBuf;

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
            print!("{}", schema());
            Ok(())
        }
    }
}

/// Every file is checked, whatever is wrong with the one before.
fn check(files: &[PathBuf]) -> Result<(), Failure> {
    let mut refused = 0;
    for file in files {
        match fitting(file) {
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

fn fitting(file: &std::path::Path) -> Result<Board, BoardError> {
    let board = Board::load(file)?;
    board.check()?;
    match pack_fault(&board).or_else(|| prompts_fault(&board)) {
        Some(why) => Err(BoardError::whole(file, why)),
        None => Ok(board),
    }
}

/// Whether the pack, where it is on this machine, is what the board expects of it.
fn pack_fault(board: &Board) -> Option<String> {
    let dir = board.pack.path.clone().unwrap_or_else(packs::starter);
    let pack = match Pack::open(&dir) {
        Ok(pack) => pack,
        Err(error) => {
            terminal::warning(format!("{}: pack not checked: {error}", board.file.display()));
            return None;
        }
    };
    let manifest = pack.manifest();
    let fault = Sense::ALL.into_iter().find_map(|sense| {
        let clip = sense == Sense::Image && board.encoder.image.frames == Frames::Clip;
        let kind = if clip { GraphKind::Video } else { GraphKind::from(sense) };
        let wanted = board.encoder.options(sense).precision;
        match (wanted, kind.precision_in(manifest)) {
            (_, None) if clip => Some("encoder.image: frames = \"clip\", but the pack has no video graph: write \
                                       frames = \"still\", or import a checkpoint that has one".to_owned()),
            (Some(wanted), Some(found)) if wanted != found => Some(format!(
                "encoder.{sense}: precision = \"{wanted}\", but the pack stores {found}: import the checkpoint again with \
                 `sensebind pack import … --precision {wanted}`, or write precision = \"{found}\""
            )),
            _ => None,
        }
    });
    fault.map(|why| format!("{why} (pack {})", dir.display()))
}

fn prompts_fault(board: &Board) -> Option<String> {
    let file = board.pack.prompts.as_ref()?;
    let why = match std::fs::read_to_string(file) {
        Ok(text) => PromptFile::parse(&text).err()?.to_string(),
        Err(e) => format!("cannot be read: {e}: write it (see docs/prompts.md), or take `prompts` out"),
    };
    Some(format!("pack.prompts: {}: {why}", file.display()))
}
