//! What an importer and a pack refuse, and what they leave behind.

mod support;

use sensebind_core::Sense;
use sensebind_models::checkpoint::CheckpointError;
use sensebind_models::family::FAMILIES;
use sensebind_models::family::imagebind::{Config, ConfigError};
use sensebind_models::manifest::{Manifest, Precision};
use sensebind_models::pack::{GraphKind, ImportError, MANIFEST_FILE, Pack, PackError, import};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use support::formula::{generate, scale_of};
use support::{Golden, write_safetensors};

/// A very small model: every size differs from the published one.
fn tiny() -> serde_json::Value {
    let mut config = Golden::compact().config;
    for (key, value) in json!({
        "kernel_size": [2, 8, 8], "image_size": 32, "out_embed_dim": 8,
        "audio_kernel_size": 8, "audio_stride": 8, "audio_num_mel_bins": 32, "audio_target_len": 48,
        "depth_size": 32, "depth_kernel_size": 8, "depth_stride": 4, "thermal_size": 24, "thermal_kernel_size": 8,
        "imu_samples": 64, "text_context": 12, "text_known_ids": [320, 1929, 49406, 49407],
        "vision_embed_dim": 16, "audio_embed_dim": 8, "text_embed_dim": 8, "depth_embed_dim": 8,
        "thermal_embed_dim": 10, "imu_embed_dim": 8, "vision_num_blocks": 1,
        "pack": {"name": "tiny", "version": "3", "licence": "MIT", "commercial_use": "yes", "about": "For tests."},
    })
    .as_object()
    .expect("object")
    {
        config[key] = value.clone();
    }
    config
}

fn config(value: serde_json::Value) -> Config {
    serde_json::from_value(value).expect("configuration")
}

fn write_checkpoint(path: &Path, config: &Config) {
    let tensors: Vec<_> = config
        .state_dict()
        .into_iter()
        .map(|(name, shape)| {
            let (scale, offset) = scale_of(&name, &shape);
            let values = if name.ends_with("log_logit_scale") {
                vec![6.0]
            } else {
                generate(&name, shape.iter().product(), scale, offset)
            };
            (name, shape, values)
        })
        .collect();
    write_safetensors(path, &tensors);
}

struct Workshop {
    folder: tempfile::TempDir,
    config: Config,
}

impl Workshop {
    fn new() -> Self {
        let workshop = Self {
            folder: tempfile::tempdir().expect("temporary folder"),
            config: config(tiny()),
        };
        write_checkpoint(&workshop.checkpoint(), &workshop.config);
        workshop
    }

    fn checkpoint(&self) -> PathBuf {
        self.folder.path().join("tiny.safetensors")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("pack")
    }

    fn import(&self) -> Result<Manifest, ImportError> {
        import(
            &self.checkpoint(),
            &self.config,
            &self.out(),
            Precision::F32,
            &mut |_| (),
        )
    }

    fn imported() -> Self {
        let workshop = Self::new();
        workshop.import().expect("import");
        workshop
    }

    /// Changes the manifest's text and opens the pack.
    fn open_with(&self, from: &str, to: &str) -> Result<Pack, PackError> {
        let path = self.out().join(MANIFEST_FILE);
        let text = fs::read_to_string(&path).expect("manifest");
        assert!(text.contains(from), "`{from}` in {text}");
        fs::write(&path, text.replace(from, to)).expect("manifest");
        Pack::open(self.out())
    }
}

#[test]
fn import_writes_every_sense_and_says_what_it_is() {
    let workshop = Workshop::new();
    let mut progress = Vec::new();
    let manifest = import(
        &workshop.checkpoint(),
        &workshop.config,
        &workshop.out(),
        Precision::F32,
        &mut |p| {
            progress.push(p);
        },
    )
    .expect("import");
    let pack = Pack::open(workshop.out()).expect("opens");
    pack.verify(&mut |_| ()).expect("hashes");
    assert_eq!(pack.manifest(), &manifest);
    assert_eq!(pack.graphs().collect::<Vec<_>>(), GraphKind::ALL);
    assert_eq!(manifest.source.checkpoint, "tiny.safetensors");
    assert!(FAMILIES.iter().any(|family| family.name() == manifest.family));
    assert!(manifest.space.id.starts_with("tiny-") && manifest.space.id.len() == "tiny-".len() + 12);
    assert_eq!(manifest.depth.as_ref().expect("depth").input.size, 32);
    assert_eq!(
        manifest.text.expect("text").input.known_ids,
        workshop.config.text_known_ids
    );
    let last = progress.last().expect("progress");
    assert_eq!(last.written_bytes, last.total_bytes);
    assert!(progress.is_sorted_by_key(|p| p.written_bytes));
}

#[test]
fn logit_scale_is_the_checkpoint_s_and_at_most_100() {
    let manifest = Workshop::new().import().expect("import"); // exp(6) = 403
    assert_eq!(manifest.text.expect("text").logit_scale, 100.0);
    assert_eq!(manifest.audio.expect("audio").logit_scale, 100.0);
    assert_eq!(manifest.image.expect("image").logit_scale, 1.0);
}

#[test]
fn importing_twice_gives_the_same_bytes_and_other_weights_another_space() {
    let workshop = Workshop::imported();
    let first = Pack::open(workshop.out()).expect("opens").manifest().clone();
    assert_eq!(workshop.import().expect("replaces its own pack"), first);
    let half = import(
        &workshop.checkpoint(),
        &workshop.config,
        &workshop.out(),
        Precision::F16,
        &mut |_| (),
    );
    assert_ne!(half.expect("import").space.id, first.space.id);
}

#[test]
fn a_subset_of_senses_is_a_pack() {
    let mut workshop = Workshop::new();
    workshop.config.senses = vec![GraphKind::Text, GraphKind::Audio];
    workshop.import().expect("import");
    let pack = Pack::open(workshop.out()).expect("opens");
    assert!(pack.graph_path(Sense::Audio).expect("audio").is_file());
    let message = pack.graph_path(Sense::Depth).expect_err("missing").to_string();
    assert!(
        message.contains("no encoder for depth") && message.contains("text, audio"),
        "{message}"
    );
}

#[test]
fn a_failed_import_leaves_nothing() {
    let workshop = Workshop::new();
    let before = fs::read_dir(workshop.folder.path()).expect("folder").count();
    let other = config({
        let mut value = tiny();
        value["imu_embed_dim"] = json!(16);
        value
    });
    let failed = import(
        &workshop.checkpoint(),
        &other,
        &workshop.out(),
        Precision::F32,
        &mut |_| (),
    );
    let Err(ImportError::Checkpoint(CheckpointError::Shape {
        name, expected, found, ..
    })) = failed
    else {
        panic!("{failed:?}");
    };
    assert_eq!(
        (name.as_str(), expected, found),
        (
            "modality_preprocessors.imu.imu_stem.proj.weight",
            vec![16, 48],
            vec![8, 48]
        )
    );
    // A weight that turns out to be unusable half-way through.
    write_safetensors(&workshop.checkpoint(), &{
        let with_nan = |(name, shape): (String, Vec<usize>)| {
            let count = shape.iter().product();
            let value = if name.ends_with("heads.imu.3.weight") {
                f32::NAN
            } else {
                0.5
            };
            (name, shape, vec![value; count])
        };
        workshop
            .config
            .state_dict()
            .into_iter()
            .map(with_nan)
            .collect::<Vec<_>>()
    });
    let failed = workshop.import();
    assert!(matches!(failed, Err(ImportError::Write(_))), "{failed:?}");
    assert_eq!(fs::read_dir(workshop.folder.path()).expect("folder").count(), before);
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let workshop = Workshop::new();
    fs::create_dir(workshop.out()).expect("folder");
    fs::write(workshop.out().join("thesis.txt"), "years of work").expect("file");
    assert!(matches!(workshop.import(), Err(ImportError::OutputTaken { .. })));
    assert!(workshop.out().join("thesis.txt").is_file());
}

#[test]
fn weights_beyond_f16_are_refused_for_f16() {
    let workshop = Workshop::new();
    let large = |(name, shape): (String, Vec<usize>)| {
        let values = vec![
            if name.ends_with("heads.text.proj.1.weight") {
                1e5
            } else {
                0.5
            };
            shape.iter().product()
        ];
        (name, shape, values)
    };
    let tensors: Vec<_> = workshop.config.state_dict().into_iter().map(large).collect();
    write_safetensors(&workshop.checkpoint(), &tensors);
    let failed = import(
        &workshop.checkpoint(),
        &workshop.config,
        &workshop.out(),
        Precision::F16,
        &mut |_| (),
    );
    let message = failed.expect_err("refused").to_string();
    assert!(
        message.contains("65504") && message.contains("--precision f32"),
        "{message}"
    );
}

#[test]
fn changed_bytes_are_found() {
    let workshop = Workshop::imported();
    let path = workshop.out().join("audio.onnx");
    let mut bytes = fs::read(&path).expect("graph");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).expect("graph");
    let verified = Pack::open(workshop.out()).expect("length is right").verify(&mut |_| ());
    assert!(
        matches!(&verified, Err(PackError::Hash { path: named, .. }) if *named == path),
        "{verified:?}"
    );
    fs::write(&path, &bytes[1..]).expect("graph");
    assert!(matches!(Pack::open(workshop.out()), Err(PackError::Size { .. })));
    fs::remove_file(&path).expect("graph");
    let message = Pack::open(workshop.out()).expect_err("missing").to_string();
    assert!(message.contains("audio.onnx"), "{message}");
}

#[test]
fn paths_that_leave_the_folder_are_refused() {
    for path in ["../audio.onnx", "/etc/hostname", "./audio.onnx", "a/../audio.onnx", ""] {
        let opened = Workshop::imported().open_with("\"audio.onnx\"", &format!("\"{path}\""));
        assert!(matches!(opened, Err(PackError::Outside { .. })), "{path}: {opened:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_leaves_the_folder_is_refused() {
    let workshop = Workshop::imported();
    let (inside, outside) = (
        workshop.out().join("imu.onnx"),
        workshop.folder.path().join("elsewhere.onnx"),
    );
    fs::rename(&inside, &outside).expect("moved");
    std::os::unix::fs::symlink(&outside, &inside).expect("linked");
    assert!(matches!(Pack::open(workshop.out()), Err(PackError::Outside { .. })));
}

#[test]
fn a_manifest_that_does_not_fit_is_refused() {
    let unknown = Workshop::imported()
        .open_with("family =", "colour = \"red\"\nfamily =")
        .expect_err("refused");
    assert!(unknown.to_string().contains("colour"), "{unknown}");
    let id = Workshop::imported().open_with("id = \"tiny-", "id = \"tiny-0");
    assert!(matches!(id, Err(PackError::SpaceId { .. })), "{id:?}");
    let unlisted = Workshop::imported().open_with("path = \"text.onnx\"", "path = \"pack.toml\"");
    assert!(
        matches!(
            unlisted,
            Err(PackError::Unlisted {
                kind: GraphKind::Text,
                ..
            })
        ),
        "{unlisted:?}"
    );
    let empty = tempfile::tempdir().expect("temporary folder");
    assert!(
        Pack::open(empty.path())
            .expect_err("no pack")
            .to_string()
            .contains(MANIFEST_FILE)
    );
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let refused = |key: &str, value: serde_json::Value, why: &str| {
        let mut changed = tiny();
        changed[key] = value;
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("config.json");
        fs::write(&path, changed.to_string()).expect("written");
        let message = Config::read(&path).expect_err("refused").to_string();
        assert!(message.contains(why), "{key}: {message}");
    };
    refused("colour", json!("red"), "colour");
    refused("vision_num_heads", json!(3), "vision");
    refused("audio_num_blocks", json!(0), "audio");
    refused("video_frames", json!(4), "video_frames");
    refused("kernel_size", json!([2, 8, 9]), "square");
    refused("depth_kernel_size", json!(33), "depth_kernel_size");
    refused("imu_samples", json!(63), "imu_samples");
    refused("text_known_ids", json!([5, 4]), "ascending");
    refused("text_known_ids", json!([49408]), "ascending");
    refused("senses", json!([]), "senses");
    refused(
        "pack",
        json!({"name": "../x", "version": "1", "licence": "", "commercial_use": "no", "about": ""}),
        "pack.name",
    );
    refused(
        "recipes",
        json!({"thermal": {"size": 25, "min_k": 0.0, "max_k": 1.0, "mean": 0.0, "std": 1.0, "provenance": ""}}),
        "recipes.thermal.size is 25",
    );
    assert!(matches!(
        Config::resolve("/nowhere/config.json"),
        Err(ConfigError::Io { .. })
    ));
    assert_eq!(Config::resolve("huge").expect("preset"), Config::huge());
    Config::huge().check().expect("preset fits");
}
