//! Once warm, capture allocates nothing: not per frame, not per window, not across threads.
//!
//! Counted in the whole process, so each test runs in a process of its own (as nextest does) or alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use sensebind_core::{
    AudioSample, Clock, Format, Frame, PixelLayout, Reading, Sense, Source, SourceError, StreamId, Timestamp,
};
use sensebind_drivers::host_clock::HostClock;
use sensebind_engine::live::{self, Limits, Observer, Sensor, Status};
use sensebind_engine::{Capture, Cutting};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Heap calls that cost: allocations and those that grow.
fn calls(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.allocations + change.reallocations
}

const CAMERA: Format = Format::Image {
    width: 320,
    height: 240,
    layout: PixelLayout::Yuyv,
    rate_hz: 30.0,
};
const MICROPHONE: Format = Format::Audio {
    rate_hz: 48_000,
    channels: 2,
    sample: AudioSample::I16,
};
const IMU: Format = Format::Imu { rate_hz: 1000.0 };

fn cutting(window_ms: u64, hop_ms: u64) -> Cutting {
    Cutting {
        window: Duration::from_millis(window_ms),
        hop: Duration::from_millis(hop_ms),
    }
}

#[test]
fn frames_and_windows_of_three_senses_allocate_nothing_once_warm() {
    let streams = [("camera", CAMERA), ("microphone", MICROPHONE), ("imu", IMU)]
        .map(|(name, format)| (StreamId::new(name), format));
    let cuttings = BTreeMap::from([
        (Sense::Image, cutting(0, 500)),
        (Sense::Audio, cutting(2000, 500)),
        (Sense::Imu, cutting(5000, 500)),
    ]);
    let mut capture = Capture::new(&streams, &cuttings).unwrap();
    let (picture, sound, motion) = (vec![7; 320 * 240 * 2], vec![7; 960 * 4], [0; 24]);
    let mut ready = Vec::new();
    let (mut frames, mut windows) = (0u64, 0u64);
    // A millisecond a step: motion every one, sound every 20, pictures every 33.
    let mut run = |from_ms: u64, to_ms: u64| {
        for ms in from_ms..to_ms {
            let at = Timestamp::from_nanos(ms * 1_000_000);
            if ms % 33 == 0 {
                capture.push(0, at, false, &picture, &mut ready);
                frames += 1;
            }
            if ms % 20 == 0 {
                capture.push(1, at, false, &sound, &mut ready);
                frames += 1;
            }
            capture.push(2, at, false, &motion, &mut ready);
            frames += 1;
            for window in ready.drain(..) {
                windows += 1;
                capture.settle(window, Ok(()));
            }
        }
        (frames, windows)
    };
    run(0, 20_000);
    let region = Region::new(GLOBAL);
    let (frames, windows) = run(20_000, 60_000);
    assert_eq!(calls(&region), 0, "{frames} frames, {windows} windows");
    assert!(frames > 60_000 && windows > 300);
}

/// IMU samples at 1 kHz, by the clock.
struct Ticking {
    stream: StreamId,
    clock: Arc<dyn Clock>,
    due: Timestamp,
    seq: u64,
}

impl Source for Ticking {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &IMU
    }

    fn read(&mut self, _: Duration) -> Result<Reading<'_>, SourceError> {
        self.due = self.due.after(Duration::from_millis(1));
        self.clock.wait_until(self.due);
        self.seq += 1;
        Ok(Reading::Frame(Frame {
            seq: self.seq,
            captured: self.due,
            calibrating: false,
            data: &[0; 24],
        }))
    }
}

/// Measures from one status to another.
struct Measure {
    region: Option<Region<'static, System>>,
    captured: u64,
    calls: Option<(usize, u64)>,
    stop: Arc<AtomicBool>,
}

impl Observer for Measure {
    fn status(&mut self, status: &Status) {
        let captured = status.streams[0].frames.captured;
        match self.region.take() {
            None => self.captured = captured,
            Some(region) => {
                self.calls = Some((calls(&region), captured - self.captured));
                self.stop.store(true, Ordering::SeqCst);
            }
        }
        self.region = Some(Region::new(GLOBAL));
    }
}

#[test]
fn a_live_sensor_thread_allocates_nothing_once_warm() {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    let (stream, opens_on) = (StreamId::new("imu"), Arc::clone(&clock));
    let source = move || Ticking {
        stream: StreamId::new("imu"),
        due: opens_on.now(),
        clock: Arc::clone(&opens_on),
        seq: 0,
    };
    let sensor = Sensor {
        stream,
        open: Box::new(move || Ok(Box::new(source()))),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut measure = Measure {
        region: None,
        captured: 0,
        calls: None,
        stop: Arc::clone(&stop),
    };
    let limits = Limits {
        status_every: Duration::from_millis(1500),
        ..Limits::default()
    };
    let summary = live::run(vec![sensor], None, None, &clock, limits, &mut measure, &stop).unwrap();
    let (calls, frames) = measure.calls.unwrap();
    assert!(frames > 500, "{frames} frames");
    // The status itself, which is made anew each time, allocates a handful.
    assert!(calls < 20, "{calls} heap calls for {frames} frames");
    assert!(summary.balances());
}
