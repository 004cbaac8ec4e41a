//! Whether a pack and prompts are what a board expects of them.

use super::{Board, Frames};
use sensebind_core::Sense;
use sensebind_models::pack::{GraphKind, Pack};
use sensebind_space::PromptFile;

/// The first thing that `board` asks of `pack` and that it does not have, with the remedy.
pub fn pack_fault(board: &Board, pack: &Pack) -> Option<String> {
    let manifest = pack.manifest();
    let fault = Sense::ALL.into_iter().find_map(|sense| {
        let clip = sense == Sense::Image && board.encoder.image.frames == Frames::Clip;
        let kind = if clip {
            GraphKind::Video
        } else {
            GraphKind::from(sense)
        };
        match (board.encoder.options(sense).precision, kind.precision_in(manifest)) {
            (_, None) if clip => Some(
                "encoder.image: frames = \"clip\", but the pack has no video graph: write frames = \"still\", or import \
                 a checkpoint that has one"
                    .to_owned(),
            ),
            (Some(wanted), Some(found)) if wanted != found => Some(format!(
                "encoder.{sense}: precision = \"{wanted}\", but the pack stores {found}: import the checkpoint again \
                 with `sensebind pack import CHECKPOINT --config CONFIG --out DIR --precision {wanted}`, or write \
                 precision = \"{found}\""
            )),
            _ => None,
        }
    });
    fault.map(|why| format!("{why} (pack {})", pack.folder().display()))
}

/// Why the board's own prompts cannot be used, where it has some.
pub fn prompts_fault(board: &Board) -> Option<String> {
    let file = board.pack.prompts.as_ref()?;
    let why = match std::fs::read_to_string(file) {
        Ok(text) => PromptFile::parse(&text).err()?.to_string(),
        Err(e) => format!("cannot be read: {e}: write it (see docs/prompts.md), or take `prompts` out"),
    };
    Some(format!("pack.prompts: {}: {why}", file.display()))
}
