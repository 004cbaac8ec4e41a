//! What a log of a running device needs: flushes, frames of a calibrating sensor, clocks, health, and a disk that is full.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

mod logs;

use foxglove::messages::RawImage;
use logs::*;
use prost::Message as _;
use sensebind_core::{ClockFix, Format, Frame, PixelLayout, StreamId, ThermalUnit, Timestamp};
use sensebind_record::{LogReader, LogWriter, ReadOptions, RecordError};
use std::io::{self, Cursor, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A disk that others can look at while it is written, with room for so many bytes.
#[derive(Debug, Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    at: usize,
    room: usize,
}

impl Disk {
    fn new(room: usize) -> Self {
        Self {
            bytes: Arc::default(),
            at: 0,
            room,
        }
    }

    fn contents(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl Write for Disk {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap();
        let room = self.room.saturating_sub(self.at).min(new.len());
        if room == 0 && !new.is_empty() {
            return Err(ErrorKind::StorageFull.into());
        }
        let end = self.at + room;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[self.at..end].copy_from_slice(&new[..room]);
        self.at = end;
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = self.bytes.lock().unwrap().len() as u64;
        let mut place = Cursor::new(());
        place.set_position(self.at as u64);
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => length.checked_add_signed(by).unwrap(),
            SeekFrom::Current(by) => place.position().checked_add_signed(by).unwrap(),
        } as usize;
        Ok(self.at as u64)
    }
}

const GREY: Format = Format::Image {
    width: 64,
    height: 32,
    layout: PixelLayout::Gray8,
    rate_hz: 10.0,
};
const IMU: Format = Format::Imu { rate_hz: 10.0 };

/// Frame `nth` of both streams; `false` once the log takes no more.
fn write_both<W: Write + Seek>(log: &mut LogWriter<W>, nth: u64) -> Result<(), RecordError> {
    for (stream, format) in [("grey", GREY), ("imu", IMU)] {
        let data = frame_bytes(&format, nth);
        let frame = Frame {
            seq: nth,
            captured: Timestamp::from_nanos(nth * 100_000_000),
            calibrating: false,
            data: &data,
        };
        log.write(&StreamId::new(stream), &format, &frame)?;
    }
    Ok(())
}

/// Whether `frames` are the first `frames.len()` of those that [`write_both`] wrote.
fn are_the_first(frames: &[Delivered]) -> bool {
    frames.iter().enumerate().all(|(place, (stream, time, data))| {
        let (nth, expected) = ((place / 2) as u64, place % 2);
        let format = [GREY, IMU][expected];
        *stream == expected && *time == nth * 100_000_000 && *data == frame_bytes(&format, nth)
    })
}

#[test]
fn what_was_flushed_is_in_the_file_and_is_read_without_an_end() {
    let disk = Disk::new(usize::MAX);
    let mut log = LogWriter::new(disk.clone()).unwrap();
    log.flush().unwrap();
    for nth in 0..50 {
        write_both(&mut log, nth).unwrap();
        if nth % 10 == 9 {
            log.flush().unwrap();
            let (frames, loss) = read_all(&mut open(disk.contents()));
            assert_eq!(frames.len() as u64, (nth + 1) * 2);
            assert!(are_the_first(&frames));
            // A log without an end says how far it goes; nothing was lost.
            assert_eq!(
                (loss.recovered_until, loss.bytes_lost),
                (Some(Timestamp::from_nanos(nth * 100_000_000)), 0)
            );
        }
    }
    write_both(&mut log, 50).unwrap();
    assert_eq!(read_all(&mut open(disk.contents())).0.len(), 100);
    log.finish().unwrap();
    let (frames, loss) = read_all(&mut open(disk.contents()));
    assert_eq!(frames.len(), 102);
    assert!(!loss.is_damage() && loss.recovered_until.is_none());
}

#[test]
fn a_log_cut_anywhere_gives_every_stream_of_its_whole_chunks() {
    let disk = Disk::new(usize::MAX);
    let mut log = LogWriter::new(disk.clone()).unwrap();
    let mut flushed = vec![(disk.contents().len(), 0)];
    for nth in 0..3 {
        // Streams that begin in a later chunk, beside one that is known: the indexes of the last chunk matter.
        let formats = every_format();
        for (name, format) in formats[..1].iter().chain(&formats[nth * 4 + 1..nth * 4 + 5]) {
            write_frame_to(&mut log, name, format, nth as u64, &frame_bytes(format, 7));
        }
        log.flush().unwrap();
        flushed.push((disk.contents().len(), (nth + 1) * 5));
    }
    let whole = disk.contents();
    for cut in 9..=whole.len() {
        let mut reader = open(whole[..cut].to_vec());
        let streams = reader.streams().len();
        let (frames, loss) = read_all(&mut reader);
        let least = flushed
            .iter()
            .rev()
            .find(|(length, _)| *length <= cut)
            .map_or(0, |f| f.1);
        assert!(frames.len() >= least, "cut at {cut}: {} frames", frames.len());
        assert_eq!(loss.frames_refused, 0, "cut at {cut}: {loss}");
        assert_eq!(
            streams,
            frames.len() - frames.len().saturating_sub(1) / 5,
            "cut at {cut}"
        );
    }
}

fn write_frame_to<W: Write + Seek>(log: &mut LogWriter<W>, stream: &str, format: &Format, time: u64, data: &[u8]) {
    let frame = Frame {
        seq: 0,
        calibrating: false,
        captured: Timestamp::from_nanos(time),
        data,
    };
    log.write(&StreamId::new(stream), format, &frame).unwrap();
}

#[test]
fn a_full_disk_is_told_once_and_leaves_what_was_flushed() {
    let whole = {
        let mut log = new_log();
        for nth in 0..60 {
            write_both(&mut log, nth).unwrap();
        }
        finished(log).len()
    };
    let mut stops = [0, 0];
    for room in (0..whole + 4_000).step_by(997) {
        let disk = Disk::new(room);
        let Ok(mut log) = LogWriter::new(disk.clone()) else {
            assert!(room < 100);
            continue;
        };
        let mut flushed = 0;
        let mut failure = None;
        for nth in 0..60 {
            let step = write_both(&mut log, nth).and_then(|()| match nth % 7 {
                6 => log.flush().map(|()| flushed = (nth + 1) * 2),
                _ => Ok(()),
            });
            if let Err(error) = step {
                failure = Some(error);
                break;
            }
        }
        let is_full = failure.is_some();
        if let Some(error) = failure {
            assert!(
                matches!(&error, RecordError::Write(e) if e.kind() == ErrorKind::StorageFull),
                "{error:?}"
            );
            assert!(error.to_string().contains("make room"), "{error}");
            // Room made meanwhile must not complete what was half refused.
            log_after_failure(log);
        } else if log.finish().is_ok() {
            flushed = 120;
        }
        stops[usize::from(is_full)] += 1;
        let (frames, loss) = read_all(&mut open(disk.contents()));
        assert!(frames.len() as u64 >= flushed, "{room}: {} of {flushed}", frames.len());
        assert!(are_the_first(&frames), "{room}: a frame that was not written");
        assert_eq!(loss.chunks_lost + loss.frames_refused, 0, "{room}: {loss}");
    }
    assert!(stops.iter().all(|&stops| stops > 0), "{stops:?}");
}

fn log_after_failure<W: Write + Seek>(mut log: LogWriter<W>) {
    let error = write_both(&mut log, 60).unwrap_err();
    assert!(matches!(error, RecordError::Stopped { .. }), "{error}");
    assert!(log.flush().is_err() && log.finish().is_err());
}

/// A disk that refuses one write and has room again afterwards.
#[derive(Debug)]
struct Hiccup {
    disk: Disk,
    writes_until: usize,
}

impl Write for Hiccup {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes_until = self.writes_until.wrapping_sub(1);
        if self.writes_until == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        self.disk.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.flush()
    }
}

impl Seek for Hiccup {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.disk.seek(to)
    }
}

#[test]
fn a_moment_without_room_never_makes_a_chunk_that_only_looks_whole() {
    for writes_until in 1..200 {
        let disk = Disk::new(usize::MAX);
        let hiccup = Hiccup {
            disk: disk.clone(),
            writes_until,
        };
        let Ok(mut log) = LogWriter::new(hiccup) else {
            continue;
        };
        for nth in 0..40 {
            let done = write_both(&mut log, nth);
            if done.is_err() || (nth % 5 == 4 && log.flush().is_err()) {
                break;
            }
        }
        drop(log);
        let (frames, loss) = read_all(&mut open(disk.contents()));
        assert!(are_the_first(&frames), "write {writes_until}");
        assert_eq!(
            loss.chunks_lost + loss.frames_refused,
            0,
            "write {writes_until}: {loss}"
        );
    }
}

#[test]
fn the_system_says_that_a_disk_is_full() {
    if !Path::new("/dev/full").exists() {
        eprintln!("SKIPPED: the_system_says_that_a_disk_is_full: no /dev/full here");
        return;
    }
    let mut log = LogWriter::create("/dev/full").unwrap();
    let mut outcome = Ok(());
    for nth in 0..5 {
        outcome = outcome.and_then(|()| write_both(&mut log, nth));
    }
    let error = outcome.and_then(|()| log.flush()).unwrap_err();
    assert!(error.to_string().contains("No space left on device"), "{error}");
}

#[test]
fn frames_of_a_calibrating_sensor_belong_to_its_stream_and_say_so() {
    // A rate of 0 is not written: it comes from the messages, of both channels together.
    for rate_hz in [9.0, 0.0] {
        let thermal = Format::Thermal {
            width: 8,
            height: 6,
            unit: ThermalUnit::KelvinPerCount(0.01),
            rate_hz,
        };
        let mut log = new_log();
        let shutter = 3..6;
        for nth in 0..10u64 {
            let data = frame_bytes(&thermal, nth);
            let frame = Frame {
                seq: nth,
                captured: Timestamp::from_nanos(nth * 1_000_000_000),
                calibrating: shutter.contains(&nth),
                data: &data,
            };
            log.write(&StreamId::new("thermal"), &thermal, &frame).unwrap();
        }
        let bytes = finished(log);

        let mut topics = Vec::new();
        for message in mcap::MessageStream::new(&bytes).unwrap() {
            let message = message.unwrap();
            assert_eq!(RawImage::decode(&*message.data).unwrap().encoding, "mono16");
            topics.push((
                message.channel.topic.clone(),
                message.channel.metadata.get("calibrating").cloned(),
            ));
        }
        assert!(topics.iter().all(|(topic, _)| topic == "/thermal/image"));
        assert_eq!(
            topics
                .iter()
                .filter(|(_, mark)| mark.as_deref() == Some("true"))
                .count(),
            3
        );

        let mut reader = open(bytes);
        assert_eq!(reader.streams().len(), 1, "{:?}", reader.streams());
        assert_eq!(reader.streams()[0].0.as_str(), "thermal");
        let expected_hz = if rate_hz > 0.0 { 9.0 } else { 1.0 };
        assert_eq!(reader.streams()[0].1.rate_hz(), expected_hz);
        let mut nth = 0;
        while let Some(frame) = reader.next().unwrap() {
            assert_eq!(frame.captured.as_nanos(), nth * 1_000_000_000);
            assert_eq!(frame.calibrating, shutter.contains(&nth), "frame {nth}");
            assert_eq!(frame.data, frame_bytes(&thermal, nth));
            nth += 1;
        }
        assert_eq!(nth, 10);
    }
}

#[test]
fn clocks_the_calendar_and_health_come_back() {
    let fix = |device_ns, drift_ppm, steps| ClockFix {
        device_ns,
        host: Timestamp::from_nanos(u64::MAX - 3),
        drift_ppm,
        steps,
    };
    let (camera, imu) = (StreamId::new("camera"), StreamId::new("imu"));
    let at = Timestamp::from_nanos;
    let mut log = new_log();
    let first = fix(u64::MAX, -52.25, 0);
    log.write_clock(&camera, at(10), &first).unwrap();
    for again in 11..20 {
        log.write_clock(&camera, at(again), &first).unwrap();
        log.write_clock(&imu, at(again), &fix(again, 0.0, 1)).unwrap();
    }
    log.write_clock(&camera, at(30), &fix(7, 1e-3, 2)).unwrap();
    log.write_wall_clock(at(5), 1_700_000_000_123_456_789).unwrap();
    log.write_health(at(40), &camera, "gone", "unplugged: wait for serial \"A1\"")
        .unwrap();
    log.write_health(at(12), &camera, "live", "").unwrap();
    write_both(&mut log, 1).unwrap();
    let bytes = finished(log);

    for message in mcap::MessageStream::new(&bytes).unwrap() {
        let message = message.unwrap();
        if message.channel.message_encoding == "json" {
            let schema = message.channel.schema.as_ref().unwrap();
            let schema_json: serde_json::Value = serde_json::from_slice(&schema.data).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&message.data).unwrap();
            assert_eq!(
                (schema.encoding.as_str(), &schema_json["title"]),
                ("jsonschema", &schema.name.as_str().into())
            );
            let fields: Vec<_> = json.as_object().unwrap().keys().collect();
            let described: Vec<_> = schema_json["properties"].as_object().unwrap().keys().collect();
            assert_eq!(fields, described, "{}", message.channel.topic);
        }
    }

    let mut reader = open(bytes);
    let clocks = reader.clocks().unwrap();
    assert_eq!(clocks.len(), 11);
    assert!(clocks.windows(2).all(|pair| pair[0].at <= pair[1].at));
    let of_camera: Vec<_> = clocks.iter().filter(|clock| clock.stream == camera).collect();
    assert_eq!(of_camera.len(), 2, "what has not changed is not written again");
    assert_eq!((of_camera[0].at, of_camera[0].fix), (at(10), first));
    assert_eq!((of_camera[1].at, of_camera[1].fix), (at(30), fix(7, 1e-3, 2)));
    let calendar = reader.wall_clock().unwrap();
    assert_eq!(
        (calendar[0].at, calendar[0].unix_ns),
        (at(5), 1_700_000_000_123_456_789)
    );
    let health = reader.health().unwrap();
    let states: Vec<_> = health
        .iter()
        .map(|h| (h.at.as_nanos(), h.state.as_str(), h.why.as_str()))
        .collect();
    assert_eq!(
        states,
        [(12, "live", ""), (40, "gone", "unplugged: wait for serial \"A1\"")]
    );
    assert!(reader.events().unwrap().is_empty());

    // They are neither streams nor skipped messages, and reading them does not move the frames.
    let (frames, loss) = read_all(&mut reader);
    assert_eq!((frames.len(), reader.streams().len()), (2, 2));
    assert!(loss.messages_skipped_by_reason.is_empty(), "{loss}");
    assert_eq!(reader.clocks().unwrap(), clocks, "also at the end");
}

#[test]
fn one_stream_can_be_read_alone() {
    let mut reader = LogReader::new(Cursor::new(camera_and_imu(10)), ReadOptions::default()).unwrap();
    let imu = reader
        .streams()
        .iter()
        .position(|(id, _)| id.as_str() == "imu")
        .unwrap();
    reader.select(imu);
    let (frames, loss) = read_all(&mut reader);
    assert_eq!(frames.len(), 500);
    assert!(frames.iter().all(|(stream, ..)| *stream == imu));
    assert!(!loss.is_damage() && loss.messages_skipped_by_reason.is_empty());
}
