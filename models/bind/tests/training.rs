//! Whole runs of a tiny model: what is trained is what is served, and a run can be repeated and resumed.

use std::num::NonZeroUsize;

use sensebind_bind::config::TrainConfig;
use sensebind_bind::device::Device;
use sensebind_bind::export;
use sensebind_bind::moments::render;
use sensebind_bind::passes::{Share, embed};
use sensebind_bind::run::{Options, Trained, embed_some, run};
use sensebind_bind::words::{Words, batch};
use sensebind_core::Sense;
use sensebind_models::family::imagebind::Config as Model;
use sensebind_models::manifest::Precision;
use sensebind_models::pack;
use sensebind_models::session::{Provider, Runtime, Session, Threads};

fn tiny() -> TrainConfig {
    toml::from_str(include_str!("support/tiny.toml")).expect("the tiny configuration is one")
}

fn options(folder: &tempfile::TempDir, threads: usize) -> Options {
    Options {
        out: folder.path().to_owned(),
        sounds: None,
        resume: false,
        threads,
        stop_after: None,
    }
}

fn weights(trained: &Trained) -> Vec<f32> {
    let values = trained.encoders.iter().flat_map(|encoder| encoder.parameters.iter());
    values.flat_map(|parameter| parameter.values.iter().copied()).collect()
}

#[test]
fn a_run_repeats_exactly_on_any_number_of_threads_and_from_any_stop() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let whole = run(tiny(), &options(&folders[0], 1)).unwrap().unwrap();
    let threaded = run(tiny(), &options(&folders[1], 3)).unwrap().unwrap();
    assert!(
        weights(&whole) == weights(&threaded),
        "another number of threads gave other weights"
    );
    assert_eq!(whole.report.senses.len(), 5);

    // Two steps at a time until it is through; saved every three steps and at each stop.
    let mut pieces = 0;
    let resumed = loop {
        pieces += 1;
        assert!(pieces < 40, "the run does not come to an end");
        let piece = Options {
            resume: true,
            stop_after: Some(2),
            ..options(&folders[2], 2)
        };
        if let Some(trained) = run(tiny(), &piece).unwrap() {
            break trained;
        }
    };
    assert!(pieces > 5, "it was never stopped");
    assert!(weights(&whole) == weights(&resumed), "a resumed run gave other weights");

    // Another seed is another model; another setting does not go on from these states.
    let other = TrainConfig { seed: 8, ..tiny() };
    let refused = run(
        other,
        &Options {
            resume: true,
            ..options(&folders[2], 1)
        },
    )
    .unwrap_err();
    assert!(format!("{refused:#}").contains("other settings"), "{refused:#}");
}

#[test]
fn what_is_trained_is_what_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(tiny(), &options(&folder, 2)).unwrap().unwrap();
    let (checkpoint, config) = (
        folder.path().join("checkpoint.safetensors"),
        folder.path().join("config.json"),
    );
    export::write_checkpoint(&trained, &checkpoint, &config).unwrap();
    let packed = folder.path().join("pack");
    let model = Model::read(&config).unwrap();
    let manifest = pack::import(&checkpoint, &model, &packed, Precision::F32, &mut |_| {}).unwrap();
    let fitted = |sense| {
        trained
            .report
            .senses
            .iter()
            .find(|one| one.sense == sense)
            .unwrap()
            .logit_scale
    };
    assert!((manifest.audio.unwrap().logit_scale / fitted(Sense::Audio) - 1.0).abs() < 1e-4);
    let text = manifest.text.as_ref().unwrap().logit_scale;
    assert!(
        (text / fitted(Sense::Image) - 1.0).abs() < 1e-4,
        "pictures are judged at the text's scale"
    );

    let runtime = Runtime::load(None).unwrap();
    let one = Threads(NonZeroUsize::MIN);
    let moments = render(&trained.config, 9, 1, false, 1, &|| {}).unwrap();
    let side = |size: usize| vec![size, size];
    for encoder in &trained.encoders {
        let sense = encoder.architecture.sense;
        let mut session = Session::open(
            &runtime,
            &packed.join(format!("{}.onnx", sense.name())),
            Provider::Cpu,
            one,
        )
        .unwrap();
        let (ours, served) = if sense == Sense::Text {
            let words = Words::collect(model.text_context).unwrap();
            let recipe = manifest.text.as_ref().unwrap().input.clone();
            let phrase = "a dog and a zyzzyva, outside";
            let ids = sensebind_models::input::Tokenizer::new(&recipe).unwrap().tokens(phrase);
            let share = Share {
                architecture: &encoder.architecture,
                parameters: &encoder.parameters,
                input: batch(&[words.rows(phrase), words.rows("fire")]),
                count: 2,
            };
            let ours = embed(vec![share], 1, &Device::default())[..12].to_vec();
            (ours, session.run_i64(&[1, ids.len()], &ids).unwrap().1)
        } else {
            let shape = match sense {
                Sense::Image => [vec![2, 3], side(model.image_size)].concat(),
                Sense::Audio => vec![2, 1, model.audio_num_mel_bins, model.audio_target_len],
                Sense::Depth => [vec![2, 1], side(model.depth_size)].concat(),
                Sense::Thermal => [vec![2, 1], side(model.thermal_size)].concat(),
                _ => vec![2, 6, model.imu_samples],
            };
            let input = [moments.inputs(sense).get(0), moments.inputs(sense).get(5)].concat();
            let ours = embed_some(&trained.config, encoder, &moments, &[0, 5]).unwrap();
            (ours, session.run_f32(&shape, &input).unwrap().1)
        };
        assert_eq!(ours.len(), served.len(), "{sense}");
        let furthest = ours.iter().zip(&served).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(
            furthest <= 1e-5,
            "{sense}: trained and served embeddings differ by {furthest}"
        );
    }
}

#[test]
fn a_fold_is_never_trained_and_validated_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.toml");
    let text = include_str!("support/tiny.toml").replace("validate_folds = [4]", "validate_folds = [3]");
    std::fs::write(&path, text).unwrap();
    let refused = TrainConfig::read(&path).unwrap_err();
    assert!(format!("{refused:#}").contains("fold"), "{refused:#}");
}

#[test]
fn the_shipped_configuration_can_be_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../packs/starter/train.toml");
    TrainConfig::read(path.as_ref()).unwrap();
}
