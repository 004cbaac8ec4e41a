//! What every driver promises, in one loop over [`DRIVERS`].
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use sensebind_core::{Driver, ErrorKind, Reading, Source};
use sensebind_drivers::DRIVERS;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// One second of 16-bit mono silence at 8 kHz.
fn wav() -> Vec<u8> {
    let data = vec![0u8; 16_000];
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + data.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    for field in [1u16, 1] {
        wav.extend(field.to_le_bytes());
    }
    for field in [8_000u32, 16_000] {
        wav.extend(field.to_le_bytes());
    }
    for field in [2u16, 16] {
        wav.extend(field.to_le_bytes());
    }
    wav.extend(b"data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    wav
}

/// An address that opens on a machine with nothing attached, where the driver has one.
fn address_without_hardware(driver: &dyn Driver, folder: &Path) -> Option<String> {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    match driver.name() {
        "scene" => Some("5:0.6".to_owned()),
        "audio_file" => {
            std::fs::write(folder.join("silence.wav"), wav()).unwrap();
            Some(path("silence.wav"))
        }
        "picture_folder" => {
            std::fs::create_dir(folder.join("pictures")).unwrap();
            for nth in 0..3 {
                let picture = [0xff, 0xd8, 0xff, nth];
                std::fs::write(folder.join(format!("pictures/{nth}.jpg")), picture).unwrap();
            }
            Some(path("pictures"))
        }
        _ => None,
    }
}

fn read_to_the_end(source: &mut dyn Source) {
    let (stream, format) = (source.stream().clone(), *source.format());
    let (mut expected_seq, mut last) = (0, None);
    loop {
        match source.read(Duration::ZERO) {
            Ok(Reading::Frame(frame)) => {
                assert_eq!(frame.seq, expected_seq, "{stream}: nothing was lost here");
                assert!(Some(frame.captured) >= last, "{stream}: time went back");
                assert!(!frame.data.is_empty(), "{stream}");
                if let Some(bytes) = format.frame_bytes() {
                    assert_eq!(frame.data.len(), bytes, "{stream}");
                }
                if format.audio_sample_bytes() > 0 {
                    assert_eq!(frame.data.len() % format.audio_sample_bytes(), 0);
                }
                expected_seq += 1;
                last = Some(frame.captured);
            }
            Ok(Reading::NoData { .. }) => panic!("{stream}: a finite source always has data"),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Ended, "{stream}: {error}");
                break;
            }
        }
        assert_eq!((source.stream(), source.format()), (&stream, &format));
    }
    assert!(expected_seq > 0, "{stream}: opened and gave nothing");
    let again = source.read(Duration::ZERO).unwrap_err();
    assert_eq!(again.kind, ErrorKind::Ended, "{stream}: the end stays the end");
}

#[test]
fn every_driver_keeps_the_contract() {
    for driver in DRIVERS {
        let name = driver.name();
        assert!(!driver.about().is_empty(), "{name}");
        for found in driver.find() {
            assert!(!found.address.is_empty() && !found.about.is_empty(), "{name}");
        }
        let nonsense = "no/such thing: \u{1f9ed}";
        let error = driver.open(nonsense).err().expect("nonsense opened");
        assert_eq!(error.kind, ErrorKind::Misconfigured, "{name}: {error}");
        assert!(error.message.contains(nonsense), "{name}: {error}");

        let folder = tempfile::tempdir().unwrap();
        let Some(address) = address_without_hardware(*driver, folder.path()) else {
            continue;
        };
        let mut sources = driver.open(&address).unwrap();
        let streams: BTreeSet<_> = sources.iter().map(|s| s.stream().clone()).collect();
        assert_eq!(streams.len(), sources.len(), "{name}: stream names repeat");
        assert!(!sources.is_empty(), "{name}");
        for source in &mut sources {
            read_to_the_end(&mut **source);
        }
    }
}

#[test]
fn the_list_and_the_files_agree() {
    let listed: Vec<_> = DRIVERS.iter().map(|driver| driver.name()).collect();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(listed, sorted, "in order of names, each once");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let source = std::fs::read_to_string(path).unwrap();
            source.contains("impl Driver for")
        })
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    files.sort();
    assert_eq!(files, listed, "one file per driver, each in the list");
}
