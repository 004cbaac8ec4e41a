//! Coverage, planned windows, and the two together.

use proptest::prelude::*;
use sensebind_core::{AudioSample, Format, PixelLayout, Span, StreamId, Timestamp, Window};
use sensebind_ring::{Capacity, Planner, Ring, WindowPlan};
use std::time::Duration;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * MS)
}

fn span(from_ms: u64, to_ms: u64) -> Span {
    Span::new(at(from_ms), at(to_ms))
}

fn ring(format: Format, history_s: u64) -> (Ring, Window) {
    let stream = StreamId::new("/s");
    let capacity = Capacity::for_history(&format, Duration::from_secs(history_s));
    (
        Ring::new(stream.clone(), format, capacity).expect("a possible ring"),
        Window::new(stream, format),
    )
}

fn sound(rate_hz: u32) -> Format {
    Format::Audio {
        rate_hz,
        channels: 1,
        sample: AudioSample::I16,
    }
}

const CAMERA: Format = Format::Image {
    width: 2,
    height: 2,
    layout: PixelLayout::Gray8,
    rate_hz: 10.0,
};

fn planner(window_ms: u64, hop_ms: u64) -> Planner {
    Planner::new(WindowPlan {
        window: Duration::from_millis(window_ms),
        hop: Duration::from_millis(hop_ms),
    })
    .expect("a hop above zero")
}

fn drain(planner: &mut Planner, ring: &mut Ring, until: Timestamp) -> Vec<(u64, u64)> {
    std::iter::from_fn(|| planner.next(ring, until))
        .map(|s| (s.start.as_nanos() / MS, s.end.as_nanos() / MS))
        .collect()
}

#[test]
fn a_gap_in_sound_costs_its_share_of_coverage() {
    let (mut ring, mut w) = ring(sound(16_000), 4);
    for ms in (0..1000).step_by(20).filter(|ms| !(200..500).contains(ms)) {
        ring.push(at(ms), &[0; 640]).unwrap();
    }
    ring.cut(span(0, 1000), &mut w);
    assert!((w.coverage - 0.7).abs() < 1e-6, "{}", w.coverage);
    ring.cut(span(250, 450), &mut w);
    assert_eq!((w.coverage, w.frames().len()), (0.0, 0));
    ring.cut(span(500, 1500), &mut w);
    assert!((w.coverage - 0.5).abs() < 1e-6, "{}", w.coverage);
    ring.cut(span(500, 500), &mut w);
    assert_eq!((w.coverage, w.frames().len()), (0.0, 0));
}

#[test]
fn less_than_one_and_a_half_samples_is_no_gap() {
    let (mut ring, mut w) = ring(sound(8_000), 4);
    // One sample lasts 125 µs: a pause of 1.4 of them is jitter, one of 1.6 is a gap.
    for (second, pause_us, full) in [(0u64, 175u64, true), (2, 200, false)] {
        let start = second * 1000 * MS;
        ring.push(Timestamp::from_nanos(start), &[0; 8000]).unwrap();
        ring.push(Timestamp::from_nanos(start + 500 * MS + pause_us * 1000), &[0; 8000])
            .unwrap();
        ring.cut(
            Span::new(Timestamp::from_nanos(start), Timestamp::from_nanos(start + 1000 * MS)),
            &mut w,
        );
        assert_eq!(w.coverage == 1.0, full, "{}", w.coverage);
    }
}

#[test]
fn adjoining_windows_share_no_sample_and_lose_none_though_times_are_rounded() {
    // 44.1 kHz in packets of 441 samples: no packet boundary is a whole number of samples from the grid.
    let (mut ring, mut w) = ring(sound(44_100), 4);
    let mut n = 0u64;
    while n < 44_100 * 3 {
        let data: Vec<u8> = (n..n + 367).flat_map(|i| (i as u16).to_le_bytes()).collect();
        ring.push(Timestamp::from_nanos(n * 1_000_000_000 / 44_100), &data)
            .unwrap();
        n += 367;
    }
    let mut expected = 0u16;
    for i in 0..5 {
        ring.cut(span(i * 500, i * 500 + 500), &mut w);
        assert_eq!(w.bytes().len(), 22_050 * 2);
        assert_eq!(w.coverage, 1.0);
        for s in w.bytes().chunks(2) {
            assert_eq!(u16::from_le_bytes([s[0], s[1]]), expected);
            expected = expected.wrapping_add(1);
        }
    }
}

#[test]
fn the_first_frame_begins_with_its_first_sample() {
    let (mut ring, mut w) = ring(sound(1000), 4);
    ring.push(at(100), &[0; 200]).unwrap();
    ring.push(at(200), &[0; 200]).unwrap();
    ring.cut(span(150, 220), &mut w);
    let frames: Vec<_> = w.frames().map(|(t, d)| (t, d.len())).collect();
    assert_eq!(frames, [(at(150), 100), (at(200), 40)]);
}

#[test]
fn imu_coverage_is_samples_over_expected() {
    let (mut ring, mut w) = ring(Format::Imu { rate_hz: 100.0 }, 4);
    for ms in (0..500).step_by(10) {
        ring.push(at(ms), &[0; 24]).unwrap();
    }
    ring.cut(span(0, 1000), &mut w);
    assert!((w.coverage - 0.5).abs() < 1e-6);
    ring.cut(span(0, 495), &mut w);
    assert_eq!(w.coverage, 1.0);
}

#[test]
fn the_ring_says_up_to_when_it_is_complete() {
    let (mut mic, _) = ring(sound(16_000), 4);
    assert_eq!(mic.latest_end(), None);
    // 1/3 s is no whole number of nanoseconds: the last sample must not hold a window back.
    mic.push(Timestamp::from_nanos(333_333_333), &vec![0; 2 * 16_000 / 2])
        .unwrap();
    let end = mic.latest_end().unwrap();
    assert!(end >= Timestamp::from_nanos(833_333_334) && end < Timestamp::from_nanos(833_333_333 + 62_500 / 2 + 1));
    let (mut cam, _) = ring(CAMERA, 4);
    cam.push(at(100), &[0; 4]).unwrap();
    assert_eq!(cam.latest_end(), Some(Timestamp::from_nanos(100 * MS + 1)));
}

#[test]
fn window_ends_lie_on_the_grid_and_begin_with_the_data() {
    let (mut mic, _) = ring(sound(16_000), 8);
    let mut p = planner(2000, 500);
    let mut found = Vec::new();
    for ms in (3_210..6_210).step_by(20) {
        mic.push(at(ms), &[0; 640]).unwrap();
        let until = mic.latest_end().unwrap();
        found.extend(drain(&mut p, &mut mic, until));
    }
    assert_eq!(
        found,
        [
            (1500, 3500),
            (2000, 4000),
            (2500, 4500),
            (3000, 5000),
            (3500, 5500),
            (4000, 6000)
        ]
    );
    assert_eq!(p.skipped(), 0);
}

#[test]
fn no_window_reaches_behind_the_clocks_zero() {
    let (mut mic, _) = ring(sound(1000), 8);
    mic.push(at(0), &[0; 6000]).unwrap();
    let until = mic.latest_end().unwrap();
    assert_eq!(
        drain(&mut planner(2000, 500), &mut mic, until),
        [(0, 2000), (500, 2500), (1000, 3000)]
    );
}

#[test]
fn a_gap_is_passed_over_and_counted() {
    let (mut cam, _) = ring(CAMERA, 30);
    let mut p = planner(0, 500);
    for ms in [1100u64, 1200, 9800, 10_300] {
        cam.push(at(ms), &[0; 4]).unwrap();
    }
    // Windows of single pictures are one hop long: 1500 holds data, 2000 to 9500 do not, 10000 does.
    assert_eq!(drain(&mut p, &mut cam, at(10_301)), [(1000, 1500), (9500, 10_000)]);
    assert_eq!(p.skipped(), 16);
    // Silence that the source vouches for moves the planner on as well.
    assert_eq!(drain(&mut p, &mut cam, at(12_000)), [(10_000, 10_500)]);
    assert_eq!(p.skipped(), 16 + 3);
    cam.push(at(12_100), &[0; 4]).unwrap();
    assert_eq!(drain(&mut p, &mut cam, at(12_500)), [(12_000, 12_500)]);
}

#[test]
fn senses_share_their_window_ends() {
    let (mut mic, _) = ring(sound(16_000), 8);
    let (mut cam, _) = ring(CAMERA, 8);
    let (mut hear, mut see) = (planner(2000, 500), planner(0, 250));
    for ms in (130..4130).step_by(100) {
        mic.push(at(ms), &[0; 3200]).unwrap();
        cam.push(at(ms + 7), &[0; 4]).unwrap();
    }
    let heard = drain(&mut hear, &mut mic, at(4100));
    let seen = drain(&mut see, &mut cam, at(4100));
    assert!(!heard.is_empty() && heard.iter().all(|h| seen.iter().any(|s| s.1 == h.1)));
}

#[test]
fn a_hop_of_zero_is_refused() {
    let plan = WindowPlan {
        window: Duration::from_secs(1),
        hop: Duration::ZERO,
    };
    assert!(Planner::new(plan).unwrap_err().to_string().contains("hop_s"));
}

proptest! {
    /// Which windows come out depends on the data, not on how often one asks; every one is on the grid, complete, holds
    /// data, and none with data is missing.
    #[test]
    fn windows_depend_on_the_data_alone(
        packets in prop::collection::vec((0u64..900, 1usize..300), 1..60),
        window_ms in 1u64..1500,
        hop_ms in 1u64..700,
        every in 1usize..8,
    ) {
        let (mut often, _) = ring(sound(1000), 60);
        let (mut seldom, mut w) = ring(sound(1000), 60);
        let (mut p, mut q) = (planner(window_ms, hop_ms), planner(window_ms, hop_ms));
        let (mut a, mut b, mut now) = (Vec::new(), Vec::new(), 0);
        for (i, &(pause, samples)) in packets.iter().enumerate() {
            // Half a gap, half contiguous.
            now += if pause > 450 { pause } else { 0 };
            for r in [&mut often, &mut seldom] {
                r.push(at(now), &vec![0; samples * 2]).unwrap();
            }
            now += samples as u64;
            let until = often.latest_end().unwrap();
            a.extend(drain(&mut p, &mut often, until));
            if i % every == 0 {
                b.extend(drain(&mut q, &mut seldom, until));
            }
        }
        let until = seldom.latest_end().unwrap();
        b.extend(drain(&mut q, &mut seldom, until));
        prop_assert_eq!(&a, &b);
        let first = window_ms.div_ceil(hop_ms) * hop_ms;
        let expected: Vec<(u64, u64)> = (0..)
            .map(|i| first + i * hop_ms)
            .take_while(|end| *end <= now)
            .map(|end| (end - window_ms, end))
            .filter(|&(from, to)| {
                seldom.cut(span(from, to), &mut w);
                w.frames().len() > 0
            })
            .collect();
        prop_assert_eq!(a, expected);
    }
}
