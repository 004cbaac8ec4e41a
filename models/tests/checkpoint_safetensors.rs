//! Reading safetensors files, whole and damaged.

mod support;

use proptest::prelude::*;
use sensebind_models::checkpoint::{Checkpoint, CheckpointError};
use std::path::PathBuf;
use support::write_safetensors;

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, bytes).expect("written");
    (folder, path)
}

/// Two tensors, 24 and 4 bytes.
fn whole() -> Vec<u8> {
    let (_folder, path) = file(b"");
    let six = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    write_safetensors(&path, &[("a".into(), vec![2, 3], six), ("b".into(), vec![], vec![7.0])]);
    std::fs::read(&path).expect("read")
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn refusal(bytes: &[u8]) -> String {
    let (_folder, path) = file(bytes);
    match Checkpoint::open(path) {
        Err(error @ CheckpointError::Refused { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn reads_tensors() {
    let (_folder, path) = file(&whole());
    let checkpoint = Checkpoint::open(path).expect("opens");
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    let a = checkpoint.get("a").expect("a");
    assert_eq!(
        (a.shape(), a.read_f32().expect("numbers")),
        (&[2, 3][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    );
    assert_eq!(checkpoint.get("b").expect("b").read_f32().expect("number"), [7.0]);
}

#[test]
fn cut_files_are_refused() {
    let bytes = whole();
    assert!(refusal(&bytes[..bytes.len() - 1]).contains("cut off"));
    assert!(refusal(&bytes[..20]).contains("says it is"));
}

#[test]
fn lying_headers_are_refused() {
    let mut endless = whole();
    endless[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&endless).contains("18446744073709551615"));
    for header in [
        r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
        r#"{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}"#,
        r#"{"a":"#,
    ] {
        assert!(
            refusal(&with_header(header, &[0; 12])).contains("weights.safetensors"),
            "{header}"
        );
    }
}

proptest! {
    #[test]
    fn damaged_files_never_panic(at in any::<proptest::sample::Index>(), to in any::<u8>(), keep in any::<proptest::sample::Index>()) {
        let mut bytes = whole();
        let at = at.index(bytes.len());
        bytes[at] = to;
        bytes.truncate(keep.index(bytes.len()) + 1);
        let (_folder, path) = file(&bytes);
        if let Ok(checkpoint) = Checkpoint::open(path) {
            for name in ["a", "b"] {
                let _ = checkpoint.get(name).map(|tensor| tensor.read_f32());
            }
        }
    }
}
