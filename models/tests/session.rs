//! Running graphs: any batch, any text length, and what a session refuses.

mod support;

use sensebind_models::family::imagebind::Config;
use sensebind_models::manifest::Precision;
use sensebind_models::pack::{GraphKind, Pack, import};
use sensebind_models::session::{InputType, Provider, Runtime, Session, SessionError, Threads};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use support::formula::generate;
use support::{Golden, write_safetensors};

const START: i64 = 49_406;
const END: i64 = 49_407;

struct Imported {
    pack: Pack,
    _folder: tempfile::TempDir,
}

/// The formula model; `change` may alter its configuration and its tensors.
fn imported(change: impl FnOnce(&mut Config, &mut Vec<(String, Vec<usize>, Vec<f32>)>)) -> Imported {
    let golden = Golden::compact();
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut config: Config = serde_json::from_value(golden.config.clone()).expect("configuration");
    let mut weights = golden.weights();
    change(&mut config, &mut weights);
    let checkpoint = folder.path().join("formula.safetensors");
    write_safetensors(&checkpoint, &weights);
    import(
        &checkpoint,
        &config,
        &folder.path().join("pack"),
        Precision::F32,
        &mut |_| (),
    )
    .expect("import");
    Imported {
        pack: Pack::open(folder.path().join("pack")).expect("pack"),
        _folder: folder,
    }
}

fn session(pack: &Pack, kind: GraphKind) -> Session {
    let path = pack.graph_path(kind).expect("graph");
    Session::open(&Runtime::load(None).expect("ONNX Runtime"), &path, Provider::Cpu, one()).expect("session")
}

fn one() -> Threads {
    Threads(NonZeroUsize::MIN)
}

fn embed(session: &mut Session, ids: &[i64]) -> Vec<f32> {
    session.run_i64(&[1, ids.len()], ids).expect("run").1
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn text_of_any_length_is_the_same_with_and_without_padding() {
    let imported = imported(|config, _| config.senses = vec![GraphKind::Text]);
    let mut session = session(&imported.pack, GraphKind::Text);
    let ids = [START, 320, 1929, 269, END];
    let short = embed(&mut session, &ids);
    for length in [6, 20, 77] {
        let mut padded = ids.to_vec();
        padded.resize(length, 0);
        assert!(difference(&short, &embed(&mut session, &padded)) < 1e-6, "{length}");
    }
    let mut longest = vec![320; 77];
    (longest[0], longest[76]) = (START, END);
    embed(&mut session, &longest);
    let too_long = session.run_i64(&[1, 78], &[END; 78]);
    assert!(matches!(too_long, Err(SessionError::Run { .. })), "{too_long:?}");
    // What follows the end token does not count; what precedes it does.
    let tail = embed(&mut session, &[START, 320, 1929, 269, END, 5, END]);
    assert!(difference(&short, &tail) < 1e-6);
    assert!(difference(&short, &embed(&mut session, &[START, 321, 1929, 269, END])) > 1e-3);
}

#[test]
fn a_cut_vocabulary_gives_the_same_numbers_for_what_it_knows() {
    let known = [320_u32, 1929, START as u32, END as u32];
    let whole = imported(|config, _| config.senses = vec![GraphKind::Text]);
    let cut = imported(|config, weights| {
        config.senses = vec![GraphKind::Text];
        config.text_known_ids = Some(known.to_vec());
        let (_, shape, table) = weights
            .iter_mut()
            .find(|(name, ..)| name.ends_with("token_embedding.weight"))
            .expect("table");
        let row = |id: &u32| &table[*id as usize * 32..][..32];
        let mut rows: Vec<f32> = known.iter().flat_map(row).copied().collect();
        rows.extend(row(&777)); // the row that stands for every other token
        (*shape, *table) = (vec![known.len() + 1, 32], rows);
    });
    let (mut whole, mut cut) = (
        session(&whole.pack, GraphKind::Text),
        session(&cut.pack, GraphKind::Text),
    );
    let sentence = [START, 1929, 320, END];
    assert_eq!(embed(&mut whole, &sentence), embed(&mut cut, &sentence));
    let unknown = embed(&mut cut, &[START, 5000, END]);
    assert_eq!(unknown, embed(&mut cut, &[START, 40_000, END]));
    assert_eq!(unknown, embed(&mut whole, &[START, 777, END]));
}

#[test]
fn an_item_s_embedding_does_not_depend_on_its_batch() {
    let imported = imported(|config, _| config.senses = vec![GraphKind::Imu]);
    let mut session = session(&imported.pack, GraphKind::Imu);
    let items: Vec<Vec<f32>> = (0..3)
        .map(|i| generate(&format!("item {i}"), 12_000, 1.0, 0.0))
        .collect();
    let (shape, together) = session.run_f32(&[3, 6, 2000], &items.concat()).expect("run");
    assert_eq!(shape, [3, 64]);
    for (item, row) in items.iter().zip(together.chunks(64)) {
        let (_, alone) = session.run_f32(&[1, 6, 2000], item).expect("run");
        assert!(difference(&alone, row) < 1e-6);
    }
    let (_, again) = session.run_f32(&[3, 6, 2000], &items.concat()).expect("run");
    assert_eq!(together, again, "to the bit");
}

#[test]
fn a_still_picture_is_a_clip_of_equal_frames() {
    let imported = imported(|config, _| config.senses = vec![GraphKind::Image, GraphKind::Video]);
    let picture = generate("picture", 3 * 224 * 224, 2.0, 0.0);
    let clip: Vec<f32> = picture
        .chunks(224 * 224)
        .flat_map(|plane| [plane, plane].concat())
        .collect();
    let (_, still) = session(&imported.pack, GraphKind::Image)
        .run_f32(&[1, 3, 224, 224], &picture)
        .expect("run");
    let (_, moving) = session(&imported.pack, GraphKind::Video)
        .run_f32(&[1, 3, 2, 224, 224], &clip)
        .expect("run");
    assert!(difference(&still, &moving) < 1e-6);
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let imported = imported(|config, _| config.senses = vec![GraphKind::Imu]);
    let mut session = session(&imported.pack, GraphKind::Imu);
    assert_eq!(session.input(), (InputType::F32, &[-1, 6, 2000][..]));
    assert_eq!((session.dim(), session.provider()), (64, Provider::Cpu));
    let zeros = vec![0.0; 12_000];
    for shape in [&[1, 6, 1999][..], &[1, 12_000], &[2, 6, 2000], &[0, 6, 2000], &[]] {
        let refused = session.run_f32(shape, &zeros).expect_err("refused").to_string();
        assert!(
            refused.contains("f32 [-1, 6, 2000]") && refused.contains("imu.onnx"),
            "{refused}"
        );
    }
    assert!(matches!(
        session.run_i64(&[1, 2], &[1, 2]),
        Err(SessionError::Input { .. })
    ));
}

#[test]
fn a_broken_graph_and_another_library_are_named() {
    let runtime = Runtime::load(None).expect("ONNX Runtime");
    let folder = tempfile::tempdir().expect("temporary folder");
    let graph = folder.path().join("audio.onnx");
    std::fs::write(&graph, b"no graph").expect("written");
    let failed = Session::open(&runtime, &graph, Provider::Cpu, one())
        .expect_err("refused")
        .to_string();
    assert!(
        failed.contains("audio.onnx") && failed.contains("pack verify"),
        "{failed}"
    );
    let other = Runtime::load(Some(Path::new("/elsewhere/libonnxruntime.so"))).expect_err("refused");
    assert!(
        matches!(&other, SessionError::OtherLibrary { loaded, .. } if loaded == runtime.library()),
        "{other}"
    );
}

/// A library that is not there: in a process of its own, because a process loads one library once.
#[test]
fn a_missing_library_names_the_place_and_the_remedy() {
    const ALONE: &str = "SENSEBIND_TEST_MISSING_LIBRARY";
    if std::env::var_os(ALONE).is_some() {
        let error = Runtime::load(None).expect_err("not there");
        assert!(matches!(&error, SessionError::NoLibrary { looked } if *looked == [PathBuf::from("/nowhere/lib.so")]));
        assert!(error.to_string().contains("make setup"), "{error}");
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "a_missing_library_names_the_place_and_the_remedy"])
        .env(ALONE, "1")
        .env("ORT_DYLIB_PATH", "/nowhere/lib.so")
        .status()
        .expect("runs");
    assert!(status.success());
}

#[test]
fn a_provider_that_the_library_lacks_is_an_error_that_names_the_remedy() {
    let runtime = Runtime::load(None).expect("ONNX Runtime");
    let imported = imported(|config, _| config.senses = vec![GraphKind::Imu]);
    let graph = imported.pack.graph_path(GraphKind::Imu).expect("graph");
    let offered = runtime.providers();
    assert_eq!(offered[0], Provider::Cpu);
    for wanted in [Provider::Cuda, Provider::TensorRt] {
        match Session::open(&runtime, &graph, wanted, one()) {
            // A machine with a GPU: then it must be what was asked for.
            Ok(session) => assert!(session.provider() == wanted && offered.contains(&wanted)),
            Err(error) => {
                assert!(matches!(error, SessionError::Provider { .. }), "{error:?}");
                let message = error.to_string();
                for part in [wanted.to_string().as_str(), "imu.onnx", "libonnxruntime", "the CPU"] {
                    assert!(message.contains(part), "{part}: {message}");
                }
                assert!(
                    message.contains("ORT_DYLIB_PATH") || offered.contains(&wanted),
                    "no remedy: {message}"
                );
            }
        }
    }
}

#[test]
fn the_library_says_its_version() {
    let runtime = Runtime::load(None).expect("ONNX Runtime");
    let version = runtime.version().expect("a release has a version");
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().expect("number")).collect();
    assert!(parts[..2] >= [1, 24][..], "{version}");
}
