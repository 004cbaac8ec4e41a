//! The ring against a plain list of everything that was pushed.

use proptest::prelude::*;
use sensebind_core::{AudioSample, Format, PixelLayout, Span, StreamId, Timestamp, Window};
use sensebind_ring::{Capacity, PushError, Ring};
use std::collections::VecDeque;

const NANOS: i128 = 1_000_000_000;

/// What the ring should hold, kept the plain way.
struct Model {
    capacity: Capacity,
    held: VecDeque<(u64, Vec<u8>)>,
    last: Option<u64>,
    overwritten: u64,
    repaired: u64,
    refused: u64,
    cleared: u64,
    captured: u64,
}

impl Model {
    fn push(&mut self, captured: u64, data: &[u8]) {
        self.captured += 1;
        if data.is_empty() || data.len() > self.capacity.bytes {
            self.refused += 1;
            return;
        }
        let time = match self.last {
            Some(last) if captured <= last => {
                self.repaired += 1;
                last + 1
            }
            _ => captured,
        };
        self.last = Some(time);
        self.held.push_back((time, data.to_vec()));
        while self.held.len() > self.capacity.frames
            || self.held.iter().map(|f| f.1.len()).sum::<usize>() > self.capacity.bytes
        {
            self.held.pop_front();
            self.overwritten += 1;
        }
    }

    /// Sample by sample: one belongs to the span in which its middle lies, `start < middle <= end`.
    fn cut_sound(&self, span: Span, rate_hz: u32) -> Vec<Vec<u8>> {
        let (start, end) = (i128::from(span.start.as_nanos()), i128::from(span.end.as_nanos()));
        let mut frames = Vec::new();
        for (time, data) in &self.held {
            let twice_after = |t: i128| 2 * (t - i128::from(*time)) * i128::from(rate_hz);
            let inside = |i: usize| {
                let twice_middle = (2 * i as i128 + 1) * NANOS;
                twice_middle > twice_after(start) && twice_middle <= twice_after(end)
            };
            let frame: Vec<u8> = data
                .chunks(2)
                .enumerate()
                .filter(|(i, _)| inside(*i))
                .flat_map(|(_, s)| s.to_vec())
                .collect();
            if !frame.is_empty() {
                frames.push(frame);
            }
        }
        frames
    }
}

#[derive(Debug, Clone)]
enum Op {
    /// Nanoseconds relative to the last frame's end, and samples.
    Push(i64, usize),
    /// Nanoseconds back from the last frame, and length.
    Cut(u64, u64),
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        // Mostly contiguous packets, some jitter, some gaps, some jumps back.
        8 => (prop_oneof![4 => Just(0i64), 3 => -60_000i64..60_000, 1 => -20_000_000i64..20_000_000], 0usize..40)
            .prop_map(|(dt, n)| Op::Push(dt, n)),
        4 => (0u64..12_000_000, 0u64..12_000_000).prop_map(|(back, length)| Op::Cut(back, length)),
        1 => Just(Op::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_a_plain_list_at_sample_precision(
        ops in prop::collection::vec(op(), 1..80),
        rate_hz in prop::sample::select(vec![8_000u32, 11_025, 16_000, 44_100, 48_000]),
        bytes in 20usize..200,
        frames in 1usize..12,
    ) {
        let capacity = Capacity { bytes, frames };
        let format = Format::Audio { rate_hz, channels: 1, sample: AudioSample::I16 };
        let stream = StreamId::new("/mic");
        let mut ring = Ring::new(stream.clone(), format, capacity).unwrap();
        let mut model = Model {
            capacity, held: VecDeque::new(), last: None, overwritten: 0, repaired: 0, refused: 0, cleared: 0, captured: 0,
        };
        let mut window = Window::new(stream, format);
        let (mut next, mut value) = (1_000_000_000u64, 0u16);
        for op in ops {
            match op {
                Op::Push(dt, samples) => {
                    let data: Vec<u8> = (0..samples).flat_map(|_| { value = value.wrapping_add(1); value.to_le_bytes() }).collect();
                    let captured = next.saturating_add_signed(dt);
                    let (over, rep, refused) = (model.overwritten, model.repaired, model.refused);
                    model.push(captured, &data);
                    match ring.push(Timestamp::from_nanos(captured), &data) {
                        Ok(pushed) => {
                            prop_assert_eq!(model.refused, refused);
                            prop_assert_eq!(pushed.overwritten, model.overwritten - over);
                            prop_assert_eq!(pushed.repaired, model.repaired > rep);
                            next = model.last.unwrap() + samples as u64 * 1_000_000_000 / u64::from(rate_hz);
                        }
                        Err(_) => prop_assert_eq!(model.refused, refused + 1),
                    }
                }
                Op::Cut(back, length) => {
                    let start = next.saturating_sub(back);
                    let span = Span::new(Timestamp::from_nanos(start), Timestamp::from_nanos(start + length));
                    ring.cut(span, &mut window);
                    let found: Vec<Vec<u8>> = window.frames().map(|(_, d)| d.to_vec()).collect();
                    prop_assert_eq!(&found, &model.cut_sound(span, rate_hz));
                    let slack = 1_000_000_000 / u64::from(rate_hz);
                    for (t, _) in window.frames() {
                        prop_assert!(t >= span.start && t.as_nanos() < span.end.as_nanos() + slack);
                    }
                    prop_assert!((0.0..=1.0).contains(&window.coverage));
                    prop_assert_eq!(window.span, span);
                }
                Op::Clear => {
                    model.cleared += model.held.len() as u64;
                    model.held.clear();
                    model.last = None;
                    ring.clear();
                    prop_assert_eq!(ring.latest_end(), None);
                }
            }
            let c = ring.counters();
            prop_assert_eq!(
                (c.captured, c.overwritten, c.repaired, c.refused, c.cleared, ring.held()),
                (model.captured, model.overwritten, model.repaired, model.refused, model.cleared, model.held.len())
            );
            prop_assert_eq!(c.captured, ring.held() as u64 + c.overwritten + c.refused + c.cleared);
        }
    }

    #[test]
    fn pictures_come_out_whole_and_in_order(
        frames in prop::collection::vec((1u64..200, 1usize..30), 1..60),
        bytes in 30usize..120,
        spans in prop::collection::vec((0u64..6_000, 0u64..2_000), 1..10),
    ) {
        let capacity = Capacity { bytes, frames: 8 };
        let format = Format::Image { width: 0, height: 0, layout: PixelLayout::Jpeg, rate_hz: 10.0 };
        let stream = StreamId::new("/camera");
        let mut ring = Ring::new(stream.clone(), format, capacity).unwrap();
        let mut model = Model {
            capacity, held: VecDeque::new(), last: None, overwritten: 0, repaired: 0, refused: 0, cleared: 0, captured: 0,
        };
        let mut now = 0;
        for (i, (dt, len)) in frames.into_iter().enumerate() {
            now += dt;
            let data = vec![i as u8; len];
            model.push(now, &data);
            ring.push(Timestamp::from_nanos(now), &data).unwrap();
        }
        let mut window = Window::new(stream, format);
        for (start, length) in spans {
            let span = Span::new(Timestamp::from_nanos(start), Timestamp::from_nanos(start + length));
            let expected: Vec<(u64, Vec<u8>)> =
                model.held.iter().filter(|(t, _)| span.contains(Timestamp::from_nanos(*t))).cloned().collect();
            ring.cut(span, &mut window);
            let found: Vec<(u64, Vec<u8>)> = window.frames().map(|(t, d)| (t.as_nanos(), d.to_vec())).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(window.coverage, if expected.is_empty() { 0.0 } else { 1.0 });
            ring.cut_latest(span, &mut window);
            let latest: Vec<(u64, Vec<u8>)> = window.frames().map(|(t, d)| (t.as_nanos(), d.to_vec())).collect();
            prop_assert_eq!(latest.as_slice(), expected.last().map_or(&[][..], std::slice::from_ref));
        }
    }
}

#[test]
fn refusals_name_both_sizes_and_change_nothing() {
    let format = Format::Thermal {
        width: 2,
        height: 2,
        unit: sensebind_core::ThermalUnit::KelvinPerCount(0.01),
        rate_hz: 9.0,
    };
    let mut ring = Ring::new(StreamId::new("/ir"), format, Capacity { bytes: 16, frames: 4 }).unwrap();
    ring.push(Timestamp::from_nanos(5), &[1; 8]).unwrap();
    let e = ring.push(Timestamp::from_nanos(6), &[1; 7]).unwrap_err();
    assert_eq!(
        e.to_string(),
        "/ir: a frame of 7 bytes, expected 8: the source does not keep to its format"
    );
    assert_eq!((ring.held(), ring.counters().refused), (1, 1));

    let format = Format::Image {
        width: 0,
        height: 0,
        layout: PixelLayout::Jpeg,
        rate_hz: 10.0,
    };
    let mut ring = Ring::new(StreamId::new("/cam"), format, Capacity { bytes: 16, frames: 4 }).unwrap();
    ring.push(Timestamp::from_nanos(5), &[1; 16]).unwrap();
    assert!(matches!(
        ring.push(Timestamp::from_nanos(6), &[1; 17]),
        Err(PushError::TooLarge {
            found: 17,
            capacity: 16,
            ..
        })
    ));
    assert!(matches!(
        ring.push(Timestamp::from_nanos(6), &[]),
        Err(PushError::WrongSize { found: 0, .. })
    ));
    assert_eq!(
        (ring.held(), ring.counters().overwritten, ring.counters().refused),
        (1, 0, 2)
    );

    let stereo = Format::Audio {
        rate_hz: 8000,
        channels: 2,
        sample: AudioSample::I16,
    };
    let mut ring = Ring::new(StreamId::new("/mic"), stereo, Capacity { bytes: 16, frames: 4 }).unwrap();
    let e = ring.push(Timestamp::ZERO, &[0; 6]).unwrap_err();
    assert!(e.to_string().contains("a multiple of 4"), "{e}");
}

#[test]
fn impossible_rings_are_refused_with_words() {
    let stream = StreamId::new("/mic");
    let silent = Format::Audio {
        rate_hz: 0,
        channels: 1,
        sample: AudioSample::I16,
    };
    let e = Ring::new(stream.clone(), silent, Capacity { bytes: 10, frames: 10 }).unwrap_err();
    assert!(e.to_string().contains("rate"), "{e}");
    let wall = Format::Image {
        width: u32::MAX,
        height: u32::MAX,
        layout: PixelLayout::Gray8,
        rate_hz: 30.0,
    };
    let capacity = Capacity::for_history(&wall, std::time::Duration::from_secs(4));
    assert!(Ring::new(stream.clone(), wall, capacity).is_err());
    assert!(Ring::new(stream, wall, Capacity { bytes: 0, frames: 1 }).is_err());
}

#[test]
fn a_ring_can_move_to_the_thread_that_reads_the_sensor() {
    fn moves<T: Send>(_: &T) {}
    let format = Format::Imu { rate_hz: 100.0 };
    moves(&Ring::new(StreamId::new("/imu"), format, Capacity { bytes: 24, frames: 1 }).unwrap());
}
