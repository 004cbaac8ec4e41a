//! The pack, ONNX Runtime, and whether the providers that are asked for really run.

use super::Finding;
use crate::board::{Board, pack_fault, prompts_fault};
use crate::packs;
use sensebind_core::Sense;
use sensebind_models::manifest::Manifest;
use sensebind_models::pack::{GraphKind, Pack};
use sensebind_models::session::{Provider, Runtime, Session, Threads};
use std::num::NonZeroUsize;

/// What a run needs to encode anything.
pub fn check(board: Option<&Board>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let dir = board.map_or_else(packs::starter, packs::of);
    let pack = match Pack::open(&dir) {
        Ok(pack) => Some(pack),
        Err(error) => {
            findings.push(Finding::problem("pack", error.to_string()).remedied_by(
                "name a pack's folder in the board's [pack] path, or make one with `sensebind pack import`",
            ));
            None
        }
    };
    if let Some(pack) = &pack {
        let Manifest {
            name, version, licence, ..
        } = pack.manifest();
        let found = format!("{name} {version} in {}, licence {licence}", dir.display());
        findings.push(Finding::ok("pack", found));
        let fault = board.and_then(|board| pack_fault(board, pack));
        findings.extend(fault.map(|why| Finding::problem("pack", why)));
        findings.extend(board.and_then(|board| unjudged(board, pack)));
    }
    let fault = board.and_then(prompts_fault);
    findings.extend(fault.map(|why| Finding::problem("prompts", why)));
    match Runtime::load(None) {
        Ok(runtime) => {
            findings.push(library(&runtime));
            let wanted = wanted(board);
            if let Some(pack) = &pack {
                findings.extend(wanted.into_iter().map(|provider| tried(&runtime, pack, provider)));
            }
        }
        Err(error) => findings.push(
            Finding::problem("ONNX Runtime", error.to_string())
                .remedied_by("make setup, or set ORT_DYLIB_PATH to a libonnxruntime.so of this machine"),
        ),
    }
    findings
}

fn library(runtime: &Runtime) -> Finding {
    let version = runtime.version().unwrap_or_else(|| "of unknown version".to_owned());
    let providers: Vec<String> = runtime.providers().iter().map(Provider::to_string).collect();
    let found = format!(
        "{version}, {}, built for {}",
        runtime.library().display(),
        providers.join(", ")
    );
    Finding::ok("ONNX Runtime", found)
}

/// The senses that a board's sensors feed, and the phrases they are compared with.
fn senses(board: &Board) -> Vec<Sense> {
    let fed = board
        .sensors
        .iter()
        .filter_map(|sensor| sensor.driver.sense(&sensor.settings).ok());
    let fed: Vec<Sense> = fed.chain([Sense::Text]).collect();
    Sense::ALL.into_iter().filter(|sense| fed.contains(sense)).collect()
}

/// Senses that sensors feed and that the pack cannot encode.
fn unjudged(board: &Board, pack: &Pack) -> Option<Finding> {
    let lacking: Vec<&str> = senses(board)
        .into_iter()
        .filter(|sense| pack.graph_path(*sense).is_err())
        .map(Sense::name)
        .collect();
    let found = format!(
        "no encoder for {}: what such sensors deliver is recorded, not judged",
        lacking.join(", ")
    );
    (!lacking.is_empty()).then(|| Finding::warning("pack", found).remedied_by("name a pack that has it in [pack] path"))
}

/// The providers that the senses of a board ask for, each once; the CPU without a board.
fn wanted(board: Option<&Board>) -> Vec<Provider> {
    let Some(board) = board else {
        return vec![Provider::Cpu];
    };
    let asked: Vec<Provider> = senses(board)
        .into_iter()
        .map(|sense| board.encoder.options(sense).provider)
        .collect();
    Provider::ALL.into_iter().filter(|p| asked.contains(p)).collect()
}

/// Loads the pack's smallest graph: a library that was built for a GPU does not make one.
fn tried(runtime: &Runtime, pack: &Pack, provider: Provider) -> Finding {
    let bytes = |kind: &GraphKind| {
        let graph = kind.file_in(pack.manifest()).unwrap_or_default();
        let files = pack.manifest().files.iter().filter(|file| file.path.starts_with(graph));
        files.map(|file| file.bytes).sum::<u64>()
    };
    let kinds = GraphKind::ALL
        .into_iter()
        .filter(|kind| kind.file_in(pack.manifest()).is_some());
    let check = "provider";
    let Some(kind) = kinds.min_by_key(bytes) else {
        return Finding::problem(check, "the pack has no graph")
            .remedied_by("import a checkpoint with `sensebind pack import`");
    };
    let graph = match pack.verified_graph(kind) {
        Ok(graph) => graph,
        Err(error) => return Finding::problem(check, error.to_string()),
    };
    match Session::open(runtime, &graph, provider, Threads(NonZeroUsize::MIN)) {
        Ok(session) => Finding::ok(check, format!("{}: tried with the {kind} graph", session.provider())),
        Err(error) => Finding::problem(check, error.to_string()),
    }
}
