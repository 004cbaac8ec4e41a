//! Reading `torch.save` files: what a state dict is, and everything that is refused.

mod support;

use half::{bf16, f16};
use proptest::prelude::*;
use sensebind_models::checkpoint::{Checkpoint, CheckpointError, Dtype};
use sensebind_models::family::imagebind::Config;
use std::path::PathBuf;
use support::formula::checksum;
use support::pickle::{Entry, Pickle, zip};
use support::{Golden, shared};
use zip::CompressionMethod::Stored;

const SIX: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

/// A file that is deleted when the test ends.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("checkpoint.pth");
    std::fs::write(&path, bytes).expect("written");
    (folder, path)
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

const PLAIN: Entry<'static> = Entry {
    name: "w",
    storage: "FloatStorage",
    key: "0",
    elements: 6,
    offset: 0,
    shape: &[2, 3],
    strides: &[3, 1],
};

fn open(pickle: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let (_folder, path) = file(&zip(pickle, &[("0", &bytes_of(&SIX))], Stored));
    Checkpoint::open(path)
}

/// The message of a refusal.
fn refusal(pickle: &[u8]) -> String {
    match open(pickle) {
        Err(error @ CheckpointError::Refused { .. }) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

fn read(entry: Entry<'_>) -> Vec<f32> {
    let (_folder, path) = file(&zip(&Pickle::state_dict(&[entry]), &[("0", &bytes_of(&SIX))], Stored));
    Checkpoint::open(path)
        .expect("opens")
        .get("w")
        .expect("tensor")
        .read_f32()
        .expect("numbers")
}

#[test]
fn reads_a_state_dict() {
    let (_folder, path) = file(&zip(&Pickle::state_dict(&[PLAIN]), &[("0", &bytes_of(&SIX))], Stored));
    let checkpoint = Checkpoint::open(path).expect("opens");
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["w"]);
    let tensor = checkpoint.get("w").expect("tensor");
    assert_eq!((tensor.shape(), tensor.dtype()), (&[2, 3][..], Dtype::F32));
    assert_eq!(tensor.read_f32().expect("numbers"), SIX);
}

#[test]
fn reads_views_into_a_storage_and_transposed_tensors() {
    assert_eq!(
        read(Entry {
            offset: 2,
            shape: &[2],
            strides: &[1],
            ..PLAIN
        }),
        [3.0, 4.0]
    );
    assert_eq!(
        read(Entry {
            shape: &[3, 2],
            strides: &[1, 3],
            ..PLAIN
        }),
        [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
    );
    assert_eq!(
        read(Entry {
            shape: &[1, 6, 1],
            strides: &[77, 1, 5],
            ..PLAIN
        }),
        SIX
    );
    assert_eq!(
        read(Entry {
            offset: 5,
            shape: &[],
            strides: &[],
            ..PLAIN
        }),
        [6.0]
    );
}

#[test]
fn reads_half_precision() {
    let halves: Vec<u8> = SIX.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
    let brains: Vec<u8> = SIX.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
    for (storage, bytes, dtype) in [
        ("HalfStorage", halves, Dtype::F16),
        ("BFloat16Storage", brains, Dtype::Bf16),
    ] {
        let pickle = Pickle::state_dict(&[Entry { storage, ..PLAIN }]);
        let (_folder, path) = file(&zip(&pickle, &[("0", &bytes)], Stored));
        let checkpoint = Checkpoint::open(path).expect("opens");
        let tensor = checkpoint.get("w").expect("tensor");
        assert_eq!(
            (tensor.dtype(), tensor.read_f32().expect("numbers")),
            (dtype, SIX.to_vec())
        );
    }
}

#[test]
fn counters_are_no_weights_but_do_no_harm() {
    let counter = Entry {
        name: "n",
        storage: "LongStorage",
        key: "1",
        elements: 1,
        shape: &[],
        strides: &[],
        offset: 0,
    };
    let pickle = Pickle::state_dict(&[PLAIN, counter]);
    let (_folder, path) = file(&zip(&pickle, &[("0", &bytes_of(&SIX)), ("1", &[0; 8])], Stored));
    let checkpoint = Checkpoint::open(path).expect("opens");
    assert!(checkpoint.get("w").is_ok());
    assert!(matches!(checkpoint.get("n"), Err(CheckpointError::Type { found, .. }) if found == "LongStorage"));
}

#[test]
fn missing_tensor_is_named_with_a_similar_one() {
    let entry = Entry {
        name: "module.norm.weight",
        ..PLAIN
    };
    let checkpoint = open(&Pickle::state_dict(&[entry])).expect("opens");
    let message = checkpoint.get("norm.weight").expect_err("missing").to_string();
    assert!(
        message.contains("`norm.weight`") && message.contains("`module.norm.weight`"),
        "{message}"
    );
}

#[test]
fn nan_is_refused_with_its_place() {
    let pickle = Pickle::state_dict(&[PLAIN]);
    let (_folder, path) = file(&zip(
        &pickle,
        &[("0", &bytes_of(&[1.0, 2.0, 3.0, f32::NAN, 5.0, 6.0]))],
        Stored,
    ));
    let checkpoint = Checkpoint::open(path).expect("opens");
    let read = checkpoint.get("w").expect("tensor").read_f32();
    assert!(
        matches!(read, Err(CheckpointError::NotFinite { index: 3, .. })),
        "{read:?}"
    );
}

#[test]
fn python_objects_are_refused_by_name() {
    let call = Pickle::new().global("os", "system").op(b"(").text("true").op(b"tR.").0;
    let message = refusal(&call);
    assert!(
        message.contains("`os.system`") && message.contains("nothing was executed"),
        "{message}"
    );
    for (module, name) in [
        ("builtins", "eval"),
        ("posix", "system"),
        ("torch", "load"),
        ("torch", "FloatStorage.x"),
    ] {
        let message = refusal(&Pickle::new().global(module, name).op(b".").0);
        assert!(message.contains(&format!("`{module}.{name}`")), "{message}");
    }
}

#[test]
fn opcodes_that_build_objects_are_refused() {
    // INST, OBJ, NEWOBJ, NEWOBJ_EX, STACK_GLOBAL, EXT1, PERSID
    for opcode in [b'i', b'o', 0x81, 0x92, 0x93, 0x82, b'P'] {
        let message = refusal(&Pickle::new().op(&[opcode]).op(b"\n.").0);
        assert!(message.contains(&format!("opcode 0x{opcode:02x}")), "{message}");
    }
}

#[test]
fn calls_with_other_arguments_are_refused() {
    let call = Pickle::new()
        .global("collections", "OrderedDict")
        .int(1)
        .op(b"\x85R.")
        .0;
    assert!(refusal(&call).contains("unexpected arguments"));
    let call = Pickle::new().global("torch", "FloatStorage").op(b")R.").0;
    assert!(refusal(&call).contains("unexpected arguments"));
    let call = Pickle::new().text("not callable").op(b")R.").0;
    assert!(refusal(&call).contains("calls a string"));
}

#[test]
fn sizes_are_not_taken_on_trust() {
    let refused = |entry: Entry<'_>, why: &str| {
        let message = refusal(&Pickle::state_dict(&[entry]));
        assert!(message.contains("`w`") && message.contains(why), "{message}");
    };
    refused(Entry { elements: 7, ..PLAIN }, "the zip entry has 24 bytes");
    refused(
        Entry {
            elements: 0x7fff_ffff,
            shape: &[0x7fff_ffff],
            strides: &[1],
            ..PLAIN
        },
        "the zip entry has 24 bytes",
    );
    refused(
        Entry {
            storage: "HalfStorage",
            ..PLAIN
        },
        "the zip entry has 24 bytes",
    );
    refused(
        Entry {
            shape: &[3, 3],
            ..PLAIN
        },
        "leaves its storage of 6 elements",
    );
    refused(Entry { offset: 1, ..PLAIN }, "leaves its storage of 6 elements");
    refused(
        Entry {
            shape: &[0x7fff_ffff; 3],
            strides: &[1, 1, 1],
            ..PLAIN
        },
        "leaves its storage",
    );
    refused(
        Entry {
            strides: &[0, 1],
            ..PLAIN
        },
        "overlap or leave gaps",
    );
    refused(
        Entry {
            strides: &[1, 1],
            ..PLAIN
        },
        "overlap or leave gaps",
    );
    refused(
        Entry {
            shape: &[2, 2],
            strides: &[4, 1],
            ..PLAIN
        },
        "overlap or leave gaps",
    );
    refused(Entry { strides: &[1], ..PLAIN }, "overlap or leave gaps");
    refused(Entry { key: "9", ..PLAIN }, "which the zip does not have");
    let many = refusal(&Pickle::state_dict(&[Entry {
        shape: &[1; 17],
        strides: &[1; 17],
        ..PLAIN
    }]));
    assert!(many.contains("17 dimensions"), "{many}");
}

#[test]
fn negative_sizes_are_refused() {
    let minus_one = u32::MAX;
    let message = refusal(&Pickle::state_dict(&[Entry {
        offset: minus_one,
        ..PLAIN
    }]));
    assert!(message.contains("offset is -1"), "{message}");
}

#[test]
fn huge_counts_cost_nothing() {
    let text_of_4_gb = Pickle::new().op(b"X\xff\xff\xff\xff.").0;
    assert!(refusal(&text_of_4_gb).contains("4294967295 bytes follow"));
    let long = Pickle::new().op(b"\x8a\xff").op(&[1; 255]).op(b".").0;
    assert!(refusal(&long).contains("255 bytes"));
    let far_memo = Pickle::new().op(b"}r\xff\xff\xff\xffj\xff\xff\xff\xff.").0;
    assert!(open(&far_memo).is_ok(), "a far memo index is only a key");
    assert!(refusal(&Pickle::new().op(b"h\x05.").0).contains("recalls value 5"));
}

#[test]
fn deep_and_endless_structures_are_refused() {
    let nested = Pickle::new().op(b")").op(&[0x85; 3_000_000]).op(b".").0;
    assert!(refusal(&nested).contains("more than"));
    let nested_but_few = Pickle::new().op(b")").op(&[0x85; 900_000]).op(b".").0;
    assert!(refusal(&nested_but_few).contains("no dictionary"));
    assert!(refusal(&Pickle::new().op(&[b'('; 65]).op(b".").0).contains("open marks"));
    let doubling = (0..40)
        .fold(Pickle::new().op(b")q\x00"), |p, _| p.op(b"h\x00h\x00\x86q\x00"))
        .op(b".")
        .0;
    assert!(refusal(&doubling).contains("no dictionary"));
    let cycle = Pickle::new().op(b"}q\x00").text("w").op(b"h\x00s.").0;
    assert!(refusal(&cycle).contains("`w` is a dictionary"));
}

#[test]
fn underflow_and_truncation_are_refused() {
    for broken in [
        &b"."[..],
        b"\x85.",
        b"t.",
        b"s.",
        b"u.",
        b"R.",
        b"b.",
        b"Q.",
        b"(}u.",
        b"q\x00.",
    ] {
        refusal(&Pickle::new().op(broken).0);
    }
    let whole = Pickle::state_dict(&[PLAIN]);
    for length in 0..whole.len() {
        refusal(&whole[..length]);
    }
    assert!(refusal(&[0x80, 4, b'.']).contains("protocol 4"));
}

#[test]
fn other_things_than_a_state_dict_say_so() {
    assert!(refusal(&Pickle::new().int(5).op(b".").0).contains("model.state_dict()"));
    let nested = Pickle::new().op(b"}").text("epoch").int(5).op(b"s.").0;
    assert!(refusal(&nested).contains("`epoch` is an integer"));
}

#[test]
fn compressed_entries_are_refused() {
    let zeros = vec![0; 1 << 20];
    let pickle = Pickle::state_dict(&[PLAIN]);
    let (_folder, path) = file(&deflated_bomb(&pickle, &zeros));
    let message = Checkpoint::open(path).expect_err("refused").to_string();
    assert!(message.contains("compressed"), "{message}");
}

/// A zip whose central directory and local header claim deflate; made by patching a stored one, so that no
/// compressor is needed.
fn deflated_bomb(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let mut bytes = zip(pickle, &[("0", storage)], Stored);
    const DEFLATED: u8 = 8;
    let mut at = 0;
    while at + 4 < bytes.len() {
        match &bytes[at..at + 4] {
            b"PK\x03\x04" => bytes[at + 8] = DEFLATED,
            b"PK\x01\x02" => bytes[at + 10] = DEFLATED,
            _ => {}
        }
        at += 1;
    }
    bytes
}

#[test]
fn zip_entries_that_lie_about_their_size_are_refused() {
    let bytes = zip(&Pickle::state_dict(&[PLAIN]), &[("0", &bytes_of(&SIX))], Stored);
    let entries: Vec<usize> = (0..bytes.len() - 4)
        .filter(|at| bytes[*at..].starts_with(b"PK\x01\x02"))
        .collect();
    for entry in entries {
        for field in [20, 24] {
            let mut lying = bytes.clone();
            lying[entry + field..entry + field + 4].copy_from_slice(&0x7000_0000_u32.to_le_bytes());
            let (_folder, path) = file(&lying);
            if let Ok(checkpoint) = Checkpoint::open(path) {
                panic!("opened with a false size: {checkpoint:?}");
            }
        }
    }
}

#[test]
fn other_files_are_refused() {
    for bytes in [
        &b""[..],
        b"PK",
        b"PK\x03\x04",
        b"\x80\x02}q\x00.",
        b"just text, no model at all",
    ] {
        let (_folder, path) = file(bytes);
        let message = Checkpoint::open(&path).expect_err("refused").to_string();
        assert!(message.contains("checkpoint.pth"), "{message}");
    }
    let (_folder, path) = file(&zip(b"", &[], Stored)[..60]);
    assert!(Checkpoint::open(path).is_err());
}

#[test]
fn real_torch_file_is_read_to_the_bit() {
    let Some(path) = shared("parity/mini/imagebind_mini.pth") else {
        return;
    };
    let checkpoint = Checkpoint::open(path).expect("opens");
    let golden = Golden::mini();
    assert_eq!(checkpoint.names().count(), golden.tensors.len());
    for (name, shape, expected) in &golden.tensors {
        let tensor = checkpoint.get(name).expect("tensor");
        assert_eq!(tensor.shape(), shape, "{name}");
        if name.ends_with("text.mask") {
            continue; // -inf above the diagonal
        }
        let expected = u64::from_str_radix(expected.trim_start_matches("0x"), 16).expect("hex");
        assert_eq!(checksum(&tensor.read_f32().expect("numbers")), expected, "{name}");
    }
}

#[test]
fn state_dict_of_the_huge_model_is_the_published_one() {
    let Some(path) = shared("parity/imagebind_huge_parameters.tsv") else {
        return;
    };
    let text = std::fs::read_to_string(path).expect("list");
    let expected: Vec<(String, Vec<usize>)> = text
        .lines()
        .skip(1)
        .map(|line| {
            let mut columns = line.split('\t');
            let name = columns.next().expect("name").to_string();
            let shape = columns.next().expect("shape");
            let sizes = shape.split('x').filter(|_| shape != "scalar");
            (name, sizes.map(|d| d.parse().expect("size")).collect())
        })
        .collect();
    assert_eq!(expected.len(), 1311);
    assert_eq!(Config::huge().state_dict(), expected);
}

proptest! {
    #[test]
    fn arbitrary_pickles_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = open(&Pickle::new().op(&tail).0);
    }

    #[test]
    fn likely_opcodes_never_panic(picks in proptest::collection::vec(0_usize..27, 0..120)) {
        const OPCODES: [&[u8]; 27] = [
            b"}", b")", b"\x85", b"\x86", b"\x87", b"t", b"(", b"N", b"\x88", b"K\x01", b"M\x02\x00", b"J\x03\x00\x00\x00",
            b"\x8a\x01\x05", b"X\x01\x00\x00\x00w", b"X\x07\x00\x00\x00storage", b"ccollections\nOrderedDict\n",
            b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_parameter\n",
            b"q\x00", b"h\x00", b"s", b"u", b"Q", b"R", b"b", b".",
        ];
        let pickle = picks.iter().fold(Pickle::new(), |p, i| p.op(OPCODES[*i]));
        let _ = open(&pickle.op(b".").0);
    }

    #[test]
    fn flipped_bytes_never_panic(at in 0_usize..600, to in any::<u8>()) {
        let mut bytes = zip(&Pickle::state_dict(&[PLAIN]), &[("0", &bytes_of(&SIX))], Stored);
        let at = at % bytes.len();
        bytes[at] = to;
        let (_folder, path) = file(&bytes);
        if let Ok(checkpoint) = Checkpoint::open(path) {
            let _ = checkpoint.get("w").map(|tensor| tensor.read_f32());
        }
    }

    #[test]
    fn arbitrary_files_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_folder, path) = file(&bytes);
        let _ = Checkpoint::open(path);
    }
}
