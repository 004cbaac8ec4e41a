//! The importer's graphs give the reference implementation's numbers.
//!
//! Expected values are the reference in float64; the gate is max abs difference / L2 norm of the expected row.

mod support;

use sensebind_models::family::imagebind::Config;
use sensebind_models::manifest::Precision;
use sensebind_models::pack::{GraphKind, Pack, import};
use sensebind_models::session::{Provider, Runtime, Session, Threads};
use std::num::NonZeroUsize;
use std::path::Path;
use support::formula::{checksum, generate};
use support::{Case, Golden, shared, write_safetensors};

const F32_GATE: f64 = 2e-6;
const F16_GATE: f64 = 1e-3;

/// An imported pack in a folder of its own.
struct Imported {
    pack: Pack,
    _folder: tempfile::TempDir,
}

fn import_golden(golden: &Golden, checkpoint: Option<&Path>, precision: Precision) -> Imported {
    let folder = tempfile::tempdir().expect("temporary folder");
    let config: Config = serde_json::from_value(golden.config.clone()).expect("configuration");
    let written = folder.path().join("formula.safetensors");
    let checkpoint = checkpoint.unwrap_or_else(|| {
        write_safetensors(&written, &golden.weights());
        &written
    });
    let out = folder.path().join("pack");
    import(checkpoint, &config, &out, precision, &mut |_| ()).expect("import");
    let pack = Pack::open(&out).expect("pack");
    pack.verify(&mut |_| ()).expect("hashes");
    Imported { pack, _folder: folder }
}

fn session(pack: &Pack, kind: GraphKind) -> Session {
    let runtime = Runtime::load(None).expect("ONNX Runtime");
    let threads = Threads(NonZeroUsize::new(2).expect("two"));
    Session::open(&runtime, &pack.graph_path(kind).expect("graph"), Provider::Cpu, threads).expect("session")
}

/// Which graph a case runs on.
fn kind_of(case: &Case) -> GraphKind {
    match (case.name.as_str(), case.modality.as_str()) {
        ("video_clip", _) => GraphKind::Video,
        (_, "vision") => GraphKind::Image,
        (_, modality) => GraphKind::ALL
            .into_iter()
            .find(|k| k.name() == modality)
            .expect("modality"),
    }
}

fn logit_scale(pack: &Pack, kind: GraphKind) -> f64 {
    let manifest = pack.manifest();
    let scale = match kind {
        GraphKind::Image => manifest.image.as_ref().map(|s| s.logit_scale),
        GraphKind::Video => manifest.video.as_ref().map(|s| s.logit_scale),
        GraphKind::Text => manifest.text.as_ref().map(|s| s.logit_scale),
        GraphKind::Audio => manifest.audio.as_ref().map(|s| s.logit_scale),
        GraphKind::Depth => manifest.depth.as_ref().map(|s| s.logit_scale),
        GraphKind::Thermal => manifest.thermal.as_ref().map(|s| s.logit_scale),
        GraphKind::Imu => manifest.imu.as_ref().map(|s| s.logit_scale),
    };
    f64::from(scale.expect("sense"))
}

/// The rows that our graphs give for a case, unit length.
fn embeddings(golden: &Golden, case: &Case, pack: &Pack) -> Vec<Vec<f32>> {
    let mut session = session(pack, kind_of(case));
    let (shape, values) = if case.ids.is_empty() {
        let mut shape = vec![case.inputs.len()];
        shape.extend(&case.inputs[0].shape);
        let data: Vec<f32> = case
            .inputs
            .iter()
            .flat_map(|i| {
                generate(
                    &format!("{}{}", golden.tag, i.name),
                    i.shape.iter().product(),
                    i.scale,
                    i.offset,
                )
            })
            .collect();
        session.run_f32(&shape, &data).expect("run")
    } else {
        let longest = case.ids.iter().map(Vec::len).max().expect("prompts");
        let padded: Vec<i64> = case
            .ids
            .iter()
            .flat_map(|ids| (0..longest).map(|i| ids.get(i).copied().unwrap_or(0)))
            .collect();
        session.run_i64(&[case.ids.len(), longest], &padded).expect("run")
    };
    assert_eq!(shape[1], session.dim());
    values.chunks(shape[1]).map(<[f32]>::to_vec).collect()
}

/// Largest difference of unit embedding × logit scale from the expected output, over its norm.
fn error(golden: &Golden, case: &Case, pack: &Pack) -> f64 {
    let rows = embeddings(golden, case, pack);
    for row in &rows {
        let norm: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        assert!((norm - 1.0).abs() < 1e-6, "{}: length {norm}", case.name);
    }
    let scale = logit_scale(pack, kind_of(case));
    let mut scaled: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| row.iter().map(|v| f64::from(*v) * scale).collect())
        .collect();
    // The reference's mean over clips is not normalised again.
    if case.output.len() < scaled.len() {
        let clips = scaled.len() as f64;
        let mean = (0..scaled[0].len())
            .map(|i| scaled.iter().map(|row| row[i]).sum::<f64>() / clips)
            .collect();
        scaled = vec![mean];
    }
    assert_eq!(scaled.len(), case.output.len());
    let mut worst: f64 = 0.0;
    let mut norm: f64 = 0.0;
    for (found, expected) in scaled.iter().zip(&case.output) {
        norm = norm.max(expected.iter().map(|v| v * v).sum::<f64>().sqrt());
        let differences = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
        worst = differences.fold(worst, f64::max);
    }
    worst / norm
}

fn check(golden: &Golden, pack: &Pack, gate: f64) {
    let mut failed = Vec::new();
    for case in &golden.cases {
        let error = error(golden, case, pack);
        eprintln!("{:12} {error:.1e} (gate {gate:.0e})", case.name);
        if error.is_nan() || error > gate {
            failed.push(format!("{} {error:.1e}", case.name));
        }
    }
    assert_eq!(golden.cases.len(), 8);
    assert!(failed.is_empty(), "over {gate:.0e}: {failed:?}");
}

#[test]
fn formula_weights_are_the_reference_s() {
    let golden = Golden::compact();
    for ((name, _, values), (_, _, expected)) in golden.weights().iter().zip(&golden.tensors) {
        if name.ends_with("text.mask") {
            continue; // no formula's: -inf above the diagonal
        }
        let expected = u64::from_str_radix(expected.trim_start_matches("0x"), 16).expect("hex");
        assert_eq!(checksum(values), expected, "{name}");
    }
}

#[test]
fn f32_pack_gives_the_reference_s_numbers() {
    let golden = Golden::compact();
    let imported = import_golden(&golden, None, Precision::F32);
    check(&golden, &imported.pack, F32_GATE);
}

#[test]
fn f16_pack_stays_within_f16_rounding() {
    let golden = Golden::compact();
    let imported = import_golden(&golden, None, Precision::F16);
    check(&golden, &imported.pack, F16_GATE);
}

#[test]
fn torch_checkpoint_gives_the_reference_s_numbers() {
    let Some(checkpoint) = shared("parity/mini/imagebind_mini.pth") else {
        return;
    };
    let golden = Golden::mini();
    let imported = import_golden(&golden, Some(&checkpoint), Precision::F32);
    check(&golden, &imported.pack, F32_GATE);
}
