//! Real recordings: windows cut for training are what the runtime would compute, silence is left out, and everyone who
//! recorded something is named.

use std::path::Path;

use sensebind_bind::chance::Draw;
use sensebind_bind::config::TrainConfig;
use sensebind_bind::export;
use sensebind_bind::recordings::{TrainingTakes, list};
use sensebind_bind::run::{Options, run};
use sensebind_models::input::LogMel;
use sensebind_scene::Happening;

const RATE_HZ: u32 = 16_000;

fn tiny() -> TrainConfig {
    toml::from_str(include_str!("support/tiny.toml")).expect("the tiny configuration is one")
}

/// 1.5 s: half a second of noise that grows, then silence.
fn samples() -> Vec<f32> {
    let mut draw = Draw::at(3, &[]);
    let noise = (0..RATE_HZ / 2).map(|i| (0.05 + 0.1 * i as f32 / RATE_HZ as f32) * draw.normal());
    let quantised = noise.map(|x| (x * 32_768.0).round() / 32_768.0);
    quantised.chain(std::iter::repeat_n(0.0, RATE_HZ as usize)).collect()
}

/// One recording in fold 1, one in fold 4.
fn collection(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut index = String::from("fold\tclass\tfile\ttitle\tauthor\tsource\tlicence\n");
    for (fold, class) in [
        (1, "rain"),
        (4, "rain"),
        (1, "dog_bark"),
        (4, "dog_bark"),
        (5, "rooster"),
    ] {
        let file = format!("{class}-{fold}.wav");
        std::fs::create_dir_all(folder.join(class))?;
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE_HZ,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(folder.join(class).join(&file), spec)?;
        for sample in samples() {
            writer.write_sample((sample * 32_768.0) as i16)?;
        }
        writer.finalize()?;
        index +=
            &format!("{fold}\t{class}\t{file}\tTitle of {file}\tAuthor {fold}\thttp://example.org/{fold}\tCC-BY\n");
    }
    Ok(std::fs::write(folder.join("index.tsv"), index)?)
}

#[test]
fn training_windows_are_what_the_runtime_computes_and_never_silent() {
    let folder = tempfile::tempdir().unwrap();
    collection(folder.path()).unwrap();
    let mut config = tiny();
    config.recordings.rates_hz = vec![RATE_HZ];
    let recipe = config.model.recipes.audio.clone().unwrap();
    let takes = TrainingTakes::prepare(&config, &recipe, &list(folder.path()).unwrap()).unwrap();
    assert!(
        takes.has(Happening::Rain) && !takes.has(Happening::Rooster),
        "fold 5 is not trained on"
    );

    let (samples, hop) = (samples(), recipe.hop_samples);
    let mut log_mel = LogMel::new(&recipe).unwrap();
    let length = (recipe.frames - 1) * hop + recipe.frame_samples;
    let starts = (samples.len() - length) / hop;
    let exact: Vec<Vec<f32>> = (0..=starts)
        .map(|start| {
            let mut out = Vec::new();
            log_mel
                .append(&samples[start * hop..start * hop + length], &mut out)
                .unwrap();
            out
        })
        .collect();
    let mut chosen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let window = takes.window(Happening::Rain, &mut Draw::at(seed, &[])).unwrap();
        let furthest = |exact: &[f32]| {
            exact
                .iter()
                .zip(&window)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max)
        };
        // Windows are kept in half precision.
        let start = exact.iter().position(|exact| furthest(exact) < 4e-3);
        chosen.insert(start.expect("no stretch of the recording gives this window"));
    }
    assert!(chosen.len() > 10, "always the same window");
    assert!(
        chosen.iter().all(|start| start * hop < RATE_HZ as usize / 2),
        "a window of silence was chosen"
    );
}

#[test]
fn a_pack_names_everyone_whose_recordings_it_learned_from() {
    let (folder, sounds) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    collection(sounds.path()).unwrap();
    let options = Options {
        out: folder.path().to_owned(),
        sounds: Some(sounds.path().to_owned()),
        resume: false,
        threads: 2,
        stop_after: None,
    };
    let trained = run(tiny(), &options).unwrap().unwrap();
    let audio = trained
        .report
        .senses
        .iter()
        .find(|report| report.recordings.is_some())
        .unwrap();
    let measured = audio.recordings.as_ref().unwrap();
    assert_eq!(
        (measured.trials, measured.chance),
        (2, 0.5),
        "two recordings of fold 4, of two sounds"
    );

    export::write_papers(&trained, folder.path()).unwrap();
    let credits = std::fs::read_to_string(folder.path().join("ATTRIBUTION.md")).unwrap();
    for line in [
        "| 1 | rain | rain-1.wav | Title of rain-1.wav | Author 1 | http://example.org/1 | CC-BY |",
        "Author 4",
    ] {
        assert!(credits.contains(line), "{line} is missing:\n{credits}");
    }
    assert!(!credits.contains("Author 5"), "fold 5 was used for nothing");
    let card = std::fs::read_to_string(folder.path().join("CARD.md")).unwrap();
    assert!(card.contains("| audio | held-out real recordings |"), "{card}");
}
