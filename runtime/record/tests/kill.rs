//! `kill -9` at any moment: what is left reads up to the last flush, frame for frame.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

mod logs;

use logs::*;
use sensebind_core::{AudioSample, DepthUnit, Format, Frame, PixelLayout, StreamId, ThermalUnit, Timestamp};
use sensebind_record::{LogReader, LogWriter};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where the child writes. Set only by the test below.
const LOG: &str = "SENSEBIND_TEST_KILLED_LOG";
const FLUSH_EVERY_NS: u64 = 1_000_000_000;
/// Five senses: name, format, frames per second.
const SENSORS: [(&str, Format, u64); 5] = [
    (
        "camera",
        Format::Image {
            width: 160,
            height: 120,
            layout: PixelLayout::Yuyv,
            rate_hz: 30.0,
        },
        30,
    ),
    (
        "microphone",
        Format::Audio {
            rate_hz: 800,
            channels: 2,
            sample: AudioSample::I16,
        },
        20,
    ),
    (
        "thermal",
        Format::Thermal {
            width: 32,
            height: 24,
            unit: ThermalUnit::KelvinPerCount(0.01),
            rate_hz: 9.0,
        },
        9,
    ),
    (
        "depth",
        Format::Depth {
            width: 80,
            height: 60,
            unit: DepthUnit::MetresPerCount(0.001),
            focal_px: None,
            rate_hz: 30.0,
        },
        30,
    ),
    ("imu", Format::Imu { rate_hz: 100.0 }, 100),
];

/// All frames of the first `seconds` in order of time: sensor, time.
fn plan(seconds: u64) -> Vec<(usize, u64)> {
    let mut plan: Vec<_> = (0..SENSORS.len())
        .flat_map(|sensor| {
            let rate = SENSORS[sensor].2;
            (0..rate * seconds).map(move |nth| (sensor, nth * 1_000_000_000 / rate))
        })
        .collect();
    plan.sort_by_key(|&(sensor, time)| (time, sensor));
    plan
}

fn contents(sensor: usize, time: u64) -> Vec<u8> {
    frame_bytes(&SENSORS[sensor].1, time + sensor as u64)
}

/// The process that is killed: writes in real time and says on its standard output, frame by frame, what it has handed
/// over (`w`), and when that was flushed (`f`). Does nothing where no parent has named a log.
#[test]
#[expect(clippy::disallowed_methods, reason = "it writes in real time")]
fn recorder_to_be_killed() {
    let Some(path) = std::env::var_os(LOG) else {
        return;
    };
    let mut log = LogWriter::create(path).unwrap();
    let mut said = std::io::stderr();
    let start = Instant::now();
    let mut flushed = 0;
    for (nth, (sensor, time)) in plan(60).into_iter().enumerate() {
        thread::sleep(Duration::from_nanos(time).saturating_sub(start.elapsed()));
        let (name, format, _) = SENSORS[sensor];
        let data = contents(sensor, time);
        let frame = Frame {
            seq: nth as u64,
            captured: Timestamp::from_nanos(time),
            calibrating: false,
            data: &data,
        };
        log.write(&StreamId::new(name), &format, &frame).unwrap();
        said.write_all(b"w").unwrap();
        if time >= flushed + FLUSH_EVERY_NS {
            log.flush().unwrap();
            flushed = time;
            said.write_all(b"f").unwrap();
        }
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "recorder_to_be_killed", "--nocapture"])
        .env(LOG, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "processes are killed at moments of wall time")]
fn twenty_killed_recorders_lose_at_most_their_last_second() {
    let folder = tempfile::tempdir().unwrap();
    // Moments spread over two flushes and a half, and within them by a fixed sequence.
    let moments: Vec<_> = noise(20, 3)
        .iter()
        .enumerate()
        .map(|(nth, &jitter)| Duration::from_millis(700 + nth as u64 * 130 + u64::from(jitter)))
        .collect();
    let began = Instant::now();
    let mut children: Vec<(PathBuf, Child)> = (0..moments.len())
        .map(|nth| {
            let path = folder.path().join(format!("{nth}.mcap"));
            let child = start(&path);
            (path, child)
        })
        .collect();
    for ((_, child), moment) in children.iter_mut().zip(&moments) {
        thread::sleep(moment.saturating_sub(began.elapsed()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let plan = plan(60);
    let mut with_a_flush = 0;
    for (path, mut child) in children {
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let frames_in = |said: &str| said.bytes().filter(|&byte| byte == b'w').count();
        let flushed = said.rfind('f').map_or(0, |at| frames_in(&said[..at]));
        with_a_flush += usize::from(flushed > 0);
        let written = frames_in(&said);
        if written == 0 {
            continue;
        }

        let mut log = LogReader::open(&path).unwrap();
        let names: Vec<_> = log.streams().iter().map(|(id, _)| id.as_str().to_owned()).collect();
        let mut read = 0;
        while let Some(frame) = log.next().unwrap() {
            let (sensor, time) = plan[read];
            assert_eq!(names[frame.stream], SENSORS[sensor].0, "frame {read}");
            assert_eq!(frame.captured.as_nanos(), time, "frame {read}");
            assert!(
                frame.data == contents(sensor, time),
                "frame {read} is not what was written"
            );
            read += 1;
        }
        let loss = log.loss();
        assert_eq!(loss.chunks_lost + loss.frames_refused, 0, "{loss}");
        // One more may have been written than was told.
        assert!(
            (flushed..=written + 1).contains(&read),
            "{flushed} flushed, {read} read, {written} written"
        );
        let last_written = plan[written - 1].1;
        let last_read = read.checked_sub(1).map_or(0, |last| plan[last].1);
        assert!(
            last_written.saturating_sub(last_read) <= FLUSH_EVERY_NS + 100_000_000,
            "written up to {last_written} ns, read up to {last_read} ns"
        );
    }
    assert!(
        with_a_flush >= 10,
        "only {with_a_flush} lived to flush: the machine is too busy to tell"
    );
}
