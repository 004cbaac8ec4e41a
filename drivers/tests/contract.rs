//! What every driver promises, in one loop over [`DRIVERS`].
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use sensebind_core::{Clock, Driver, ErrorKind, Format, Frame, Reading, Settings, Source, StreamId, Timestamp};
use sensebind_drivers::DRIVERS;
use sensebind_record::LogWriter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A clock that stands still until someone waits on it: recorded sources play as fast as they can be read.
#[derive(Debug, Default)]
struct Jumping(AtomicU64);

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn wait_until(&self, at: Timestamp) {
        self.0.fetch_max(at.as_nanos(), Ordering::SeqCst);
    }

    fn epoch(&self) -> Timestamp {
        Timestamp::ZERO
    }
}

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

/// Settings that open on a machine with nothing attached, where the driver has some.
fn settings_without_hardware(driver: &dyn Driver, folder: &Path) -> Option<Settings> {
    let path = |name: &str| {
        let path = folder.join(name).to_string_lossy().into_owned();
        Settings::from_iter([("path".to_owned(), path.into())])
    };
    match driver.name() {
        "scene" => Some(toml::toml! { seed = 5
        sensor = "imu"
        seconds = 0.6 }),
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
        "replay" => {
            let mut settings = path("run.mcap");
            let mut log = LogWriter::create(folder.join("run.mcap")).unwrap();
            for nth in 0..30u64 {
                for (stream, rate_hz) in [("imu", 60.0), ("wrist", 60.0)] {
                    let frame = Frame {
                        seq: nth,
                        captured: Timestamp::from_nanos(nth * 16_000_000),
                        calibrating: false,
                        data: &[0; Format::IMU_FRAME_BYTES],
                    };
                    log.write(&StreamId::new(stream), &Format::Imu { rate_hz }, &frame)
                        .unwrap();
                }
            }
            log.finish().unwrap();
            settings.insert("stream".to_owned(), "wrist".into());
            Some(settings)
        }
        _ => None,
    }
}

fn read_to_the_end(source: &mut dyn Source) {
    let (stream, format) = (source.stream().clone(), *source.format());
    let (mut expected_seq, mut last) = (0, None);
    loop {
        match source.read(Duration::from_millis(50)) {
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
            Ok(Reading::Waiting | Reading::NoData { .. }) => {}
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
            assert!(!found.name.is_empty() && !found.about.is_empty(), "{name}");
            driver.check(&found.settings).unwrap();
        }
        let clock: Arc<dyn Clock> = Arc::new(Jumping::default());
        let stream = StreamId::new("under test");
        let nonsense = toml::toml! { no_such_setting = 1 };
        for error in [
            driver.check(&nonsense).unwrap_err(),
            driver.open(&stream, &nonsense, &clock).err().expect("nonsense opened"),
        ] {
            assert_eq!(error.kind, ErrorKind::Misconfigured, "{name}: {error}");
            assert!(error.message.contains("no_such_setting"), "{name}: {error}");
            assert!(error.message.contains(name), "{name}: {error}");
        }
        every_setting_is_described(*driver);

        let folder = tempfile::tempdir().unwrap();
        let Some(settings) = settings_without_hardware(*driver, folder.path()) else {
            continue;
        };
        driver.check(&settings).unwrap();
        let sense = driver.sense(&settings).unwrap();
        let mut source = driver.open(&stream, &settings, &clock).unwrap();
        assert_eq!(
            source.stream(),
            &stream,
            "{name}: a stream has the name that the board gives it"
        );
        assert_eq!(source.format().sense(), sense, "{name}");
        read_to_the_end(&mut *source);
    }
}

/// What a user reads in the schema of board files.
fn every_setting_is_described(driver: &dyn Driver) {
    let (name, schema) = (driver.name(), driver.schema().to_value());
    assert_eq!(
        schema["additionalProperties"], false,
        "{name}: unknown settings must be refused"
    );
    let settings = schema["properties"].as_object().unwrap();
    assert!(!settings.is_empty(), "{name}");
    for (setting, schema) in settings {
        assert!(
            schema["description"].is_string(),
            "{name}: setting {setting} has no description"
        );
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
        .filter(|path| path.is_file())
        .filter(|path| {
            let source = std::fs::read_to_string(path).unwrap();
            source.contains("impl Driver for")
        })
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    files.sort();
    assert_eq!(files, listed, "one file per driver, each in the list");
}
