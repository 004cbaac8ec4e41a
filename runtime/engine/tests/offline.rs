//! Replay through the public surface, with sources and encoders made here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use proptest::prelude::*;
use sensebind_core::{
    Embedding, ErrorKind, Event, Format, Frame, Phase, PixelLayout, Reading, Sense, Source, SourceError, SpaceId,
    StreamId, Timestamp,
};
use sensebind_engine::{DropReason, Merged, Observer, Perceive, Summary, replay};
use sensebind_space::{Detector, PromptFile, PromptSet};
use std::time::Duration;
use support::{ByteEncoder, SPACE, gray, perceive};

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

/// A finite source of frames whose first byte says what they show.
struct Script {
    stream: StreamId,
    format: Format,
    frames: Vec<(u64, Vec<u8>)>,
    next: usize,
}

impl Source for Script {
    fn stream(&self) -> &StreamId {
        &self.stream
    }
    fn format(&self) -> &Format {
        &self.format
    }
    fn read(&mut self, _: Duration) -> Result<Reading<'_>, SourceError> {
        let seq = self.next as u64;
        self.next += 1;
        match self.frames.get(seq as usize) {
            Some((ms, data)) => Ok(Reading::Frame(Frame {
                seq,
                calibrating: false,
                captured: at_ms(*ms),
                data,
            })),
            None => Err(SourceError::new(ErrorKind::Ended, "end of data")),
        }
    }
}

fn camera(frames: Vec<(u64, Vec<u8>)>) -> Box<dyn Source> {
    Box::new(Script {
        stream: StreamId::new("camera"),
        format: gray(10.0),
        frames,
        next: 0,
    })
}

#[derive(Default)]
struct Collect(Vec<Event>);

impl Observer for Collect {
    fn event(&mut self, event: &Event) {
        self.0.push(event.clone());
    }
}

fn run(sources: Vec<Box<dyn Source>>, perceive: &mut Perceive) -> (Summary, Vec<Event>) {
    let mut collect = Collect::default();
    let summary = replay(&mut Merged::new(sources), perceive, &mut collect).unwrap();
    (summary, collect.0)
}

/// 10 Hz for 20 s, showing `one` from 5 s to 10 s.
fn story() -> Vec<(u64, Vec<u8>)> {
    (0..200)
        .map(|i| (i * 100, vec![u8::from((50..100).contains(&i))]))
        .collect()
}

#[test]
fn names_what_the_frames_show_and_when() {
    let (summary, events) = run(
        vec![camera(story())],
        &mut perceive(vec![ByteEncoder::boxed(Sense::Image, 0, 500)]),
    );
    let begin = events.iter().find(|e| e.phase == Phase::Begin).unwrap();
    let end = events.iter().find(|e| e.phase == Phase::End).unwrap();
    assert_eq!(
        (
            begin.label.as_str(),
            events.iter().filter(|e| e.phase == Phase::Begin).count()
        ),
        ("one", 1)
    );
    assert!(
        begin.start_ns >= at_ms(4_500) && begin.start_ns <= at_ms(5_500),
        "{begin:?}"
    );
    assert!(
        end.end_ns.unwrap() >= at_ms(9_500) && end.end_ns.unwrap() <= at_ms(10_500),
        "{end:?}"
    );
    assert_eq!(summary.events, 1);
    assert!(summary.balances(), "{summary:?}");
}

#[test]
fn a_still_encoder_reads_one_picture_per_window_and_the_others_are_superseded() {
    let (summary, _) = run(
        vec![camera(story())],
        &mut perceive(vec![ByteEncoder::boxed(Sense::Image, 0, 500)]),
    );
    let (_, _, frames, windows) = &summary.streams[0];
    assert_eq!((frames.captured, frames.processed), (200, 40));
    assert_eq!(frames.dropped[&DropReason::Superseded], 160);
    assert_eq!((windows.cut, windows.encoded), (40, 40));
}

#[test]
fn bad_windows_cost_only_themselves_and_say_why() {
    let mut frames = story();
    frames[120].1 = vec![255];
    frames[123].1 = vec![255];
    frames[124].1 = vec![255]; // the newest of its window
    let (summary, events) = run(
        vec![camera(frames)],
        &mut perceive(vec![ByteEncoder::boxed(Sense::Image, 0, 500)]),
    );
    let (_, _, frames, windows) = &summary.streams[0];
    assert_eq!(windows.dropped[&DropReason::BadWindow], 1);
    assert_eq!(frames.dropped[&DropReason::BadWindow], 5);
    assert!(windows.first_fault.as_ref().unwrap().contains("byte 255"));
    assert!(summary.balances());
    assert_eq!(events.iter().filter(|e| e.phase == Phase::Begin).count(), 1);
}

#[test]
fn streams_without_an_encoder_are_counted_and_cost_no_memory() {
    let imu = Script {
        stream: StreamId::new("imu"),
        format: Format::Imu { rate_hz: 100.0 },
        frames: (0..50).map(|i| (i * 10, vec![0; 24])).collect(),
        next: 0,
    };
    let (summary, _) = run(
        vec![Box::new(imu), camera(story())],
        &mut perceive(vec![ByteEncoder::boxed(Sense::Image, 0, 500)]),
    );
    let (_, _, frames, _) = summary.streams.iter().find(|(id, ..)| id.as_str() == "imu").unwrap();
    assert_eq!(frames.dropped[&DropReason::NoEncoder], 50);
    assert!(summary.balances());
}

#[test]
fn a_format_the_encoder_cannot_take_is_refused_at_start() {
    let rgb = Script {
        stream: StreamId::new("camera"),
        format: Format::Image {
            width: 1,
            height: 1,
            layout: PixelLayout::Rgb8,
            rate_hz: 10.0,
        },
        frames: vec![],
        next: 0,
    };
    let error = replay(
        &mut Merged::new(vec![Box::new(rgb)]),
        &mut perceive(vec![ByteEncoder::boxed(Sense::Image, 0, 500)]),
        &mut Collect::default(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("expected gray8"), "{error}");
}

#[test]
fn prompts_and_encoders_of_different_spaces_are_refused_at_start() {
    let file = PromptFile::of_labels(["one"]);
    let other = |_: &str| Some(Embedding::new(SpaceId::new("other"), vec![1.0, 0.0, 0.0, 0.0]).unwrap());
    let prompts = PromptSet::new(&file, &["nothing"], other).unwrap();
    let detector = Detector::new(&prompts);
    let error = Perceive::new(vec![ByteEncoder::boxed(Sense::Image, 0, 500)], prompts, detector, 0.5)
        .unwrap_err()
        .to_string();
    assert!(error.contains(SPACE) && error.contains("other"), "{error}");
}

#[test]
fn a_source_that_breaks_off_keeps_what_came_before() {
    struct Broken(Script);
    impl Source for Broken {
        fn stream(&self) -> &StreamId {
            self.0.stream()
        }
        fn format(&self) -> &Format {
            self.0.format()
        }
        fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
            if self.0.next == 120 {
                return Err(SourceError::new(ErrorKind::Gone, "unplugged"));
            }
            self.0.read(timeout)
        }
    }
    let script = Script {
        stream: StreamId::new("camera"),
        format: gray(10.0),
        frames: story(),
        next: 0,
    };
    let (summary, events) = run(
        vec![Box::new(Broken(script))],
        &mut perceive(vec![ByteEncoder::boxed(Sense::Image, 0, 500)]),
    );
    assert!(summary.broke_off.as_ref().unwrap().contains("unplugged"));
    assert_eq!(summary.streams[0].2.captured, 120);
    assert!(summary.balances());
    assert_eq!(events.iter().filter(|e| e.phase == Phase::End).count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever arrives, in whatever order of times, every frame has one fate, events come in pairs, and a second run
    /// says the same.
    #[test]
    fn every_frame_has_one_fate_and_replay_is_exact(
        times in prop::collection::vec(0u64..30_000, 0..120),
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(255)], 120),
        sizes in prop::collection::vec(prop_oneof![9 => Just(1usize), 1 => 0usize..3], 120),
        window_ms in prop_oneof![Just(0u64), Just(300), Just(2000)],
    ) {
        let frames: Vec<(u64, Vec<u8>)> =
            times.iter().enumerate().map(|(i, &t)| (t, vec![bytes[i]; sizes[i]])).collect();
        let once = || run(
            vec![camera(frames.clone())],
            &mut perceive(vec![ByteEncoder::boxed(Sense::Image, window_ms, 500)]),
        );
        let ((summary, events), (_, again)) = (once(), once());
        prop_assert!(summary.balances(), "{:?}", summary);
        prop_assert_eq!(summary.streams[0].2.captured, frames.len() as u64);
        let count = |phase| events.iter().filter(|e| e.phase == phase).count();
        prop_assert_eq!(count(Phase::Begin), count(Phase::End));
        prop_assert_eq!(events, again);
    }
}
