//! Streams of a log: aligned with each other, marked as they were recorded, and named when the board is wrong.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use sensebind_core::{Clock, ErrorKind, Format, Frame, Reading, Source, SourceError, StreamId, Timestamp};
use sensebind_drivers::replay;
use sensebind_record::LogWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const IMU: Format = Format::Imu { rate_hz: 10.0 };
/// When the log begins: some host's clock, long after its start.
const BEGIN_NS: u64 = 4_000_000_000_000;

/// Two streams: `early` from the log's beginning, `late` from 0.25 s on, ten samples each; the third is of a sensor that
/// calibrates itself.
fn write_log(folder: &Path) -> PathBuf {
    let path = folder.join("two.mcap");
    let mut log = LogWriter::create(&path).unwrap();
    for nth in 0..10u64 {
        for (stream, offset_ns) in [("early", 0), ("late", 250_000_000)] {
            let data: Vec<u8> = [nth as f32; 6].iter().flat_map(|v| v.to_le_bytes()).collect();
            let frame = Frame {
                seq: nth,
                captured: Timestamp::from_nanos(BEGIN_NS + offset_ns + nth * 100_000_000),
                calibrating: nth == 2,
                data: &data,
            };
            log.write(&StreamId::new(stream), &IMU, &frame).unwrap();
        }
        log.flush().unwrap();
    }
    log.finish().unwrap();
    path
}

/// Capture time in milliseconds, whether it was calibrating, first value.
fn read_all(source: &mut dyn Source) -> Vec<(u64, bool, f32)> {
    let mut frames = Vec::new();
    loop {
        match source.read(Duration::from_secs(1)) {
            Ok(Reading::Frame(frame)) => {
                assert_eq!(frame.seq, frames.len() as u64);
                let value = f32::from_le_bytes(*frame.data.first_chunk().unwrap());
                frames.push((frame.captured.as_nanos() / 1_000_000, frame.calibrating, value));
            }
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Ended, "{error}");
                return frames;
            }
        }
    }
}

fn expected(first_ms: u64) -> Vec<(u64, bool, f32)> {
    (0..10)
        .map(|nth| (first_ms + nth * 100, nth == 2, nth as f32))
        .collect()
}

#[test]
fn times_count_from_the_logs_first_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_log(folder.path());
    for (name, first_ms) in [("early", 0), ("late", 250)] {
        let mut source = replay::open(&path, name).unwrap();
        assert_eq!((source.stream().as_str(), *source.format()), (name, IMU));
        assert_eq!(read_all(&mut *source), expected(first_ms));
    }
}

/// A clock on which every moment has come, of a run that began at 7 s.
#[derive(Debug)]
struct Late;

impl Clock for Late {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(u64::MAX)
    }

    fn wait_until(&self, _at: Timestamp) {}

    fn epoch(&self) -> Timestamp {
        Timestamp::from_nanos(7_000_000_000)
    }
}

#[test]
fn a_board_plays_it_along_the_run_under_the_boards_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_log(folder.path());
    let settings = [("path", path.to_str().unwrap()), ("stream", "late")];
    let settings = settings
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into_iter()
        .collect();
    let clock: Arc<dyn Clock> = Arc::new(Late);
    let driver = sensebind_drivers::find("replay").unwrap();
    let mut source = driver.open(&StreamId::new("arm"), &settings, &clock).unwrap();
    assert_eq!(source.stream().as_str(), "arm");
    assert_eq!(read_all(&mut *source), expected(7_250));
}

#[test]
fn a_log_that_was_cut_off_plays_up_to_its_last_whole_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_log(folder.path());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let frames = read_all(&mut *replay::open(&path, "late").unwrap());
    assert!((1..10).contains(&frames.len()));
    assert_eq!(frames[..], expected(250)[..frames.len()]);
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_log(folder.path());
    let refused = |path: &Path, stream| -> SourceError { replay::open(path, stream).err().unwrap() };
    let missing = folder.path().join("nowhere.mcap");
    std::fs::write(folder.path().join("text.mcap"), "no log").unwrap();
    for (error, says) in [
        (refused(&path, "camera"), &["two.mcap", "\"camera\"", "early, late"][..]),
        (refused(&missing, "early"), &["nowhere.mcap"]),
        (
            refused(&folder.path().join("text.mcap"), "early"),
            &["text.mcap", "not an MCAP file"],
        ),
    ] {
        assert_eq!(error.kind, ErrorKind::Misconfigured);
        for part in says {
            assert!(error.message.contains(part), "{error}");
        }
        let path = folder.path().to_str().unwrap();
        assert_eq!(error.message.matches(path).count(), 1, "{error}");
    }
}
