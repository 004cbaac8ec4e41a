//! Live runs through the public surface: sensors that come and go, encoders and recorders that cannot keep up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use sensebind_core::{
    Clock, ClockFix, Encoder, EncoderSpec, ErrorKind, Event, Format, Frame, Phase, Reading, Sense, Source, SourceError,
    StreamId, Timestamp,
};
use sensebind_drivers::host_clock::HostClock;
use sensebind_engine::DropReason;
use sensebind_engine::live::{
    Health, Limits, LiveError, Observer, Recorder, RecorderError, Sensor, State, Status, Summary, run,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{ByteEncoder, gray, perceive};

/// What a test makes a sensor do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    /// Deliver frames that show this.
    Show(u8),
    /// Be open and silent.
    Silent,
    /// Deliver frames taken while calibrating.
    Calibrate,
    /// Fail like this, also when opened.
    Fail(ErrorKind),
    /// Nothing more will come.
    End,
}

/// A sensor at 50 Hz whose mood a test sets.
#[derive(Debug, Clone)]
struct Puppet {
    stream: StreamId,
    rate_hz: f32,
    mood: Arc<Mutex<Mood>>,
    clock: Arc<dyn Clock>,
}

impl Puppet {
    fn new(name: &str, rate_hz: f32, clock: &Arc<dyn Clock>) -> Self {
        Self {
            stream: StreamId::new(name),
            rate_hz,
            mood: Arc::new(Mutex::new(Mood::Show(0))),
            clock: Arc::clone(clock),
        }
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn sensor(&self) -> Sensor {
        let puppet = self.clone();
        Sensor {
            stream: self.stream.clone(),
            open: Box::new(move || match *puppet.mood.lock().unwrap() {
                Mood::Fail(kind) => Err(SourceError::new(kind, "as the test wants it")),
                _ => Ok(Box::new(Hand {
                    puppet: puppet.clone(),
                    format: gray(puppet.rate_hz),
                    due: puppet.clock.now(),
                    seq: 0,
                    data: [0],
                })),
            }),
        }
    }
}

struct Hand {
    puppet: Puppet,
    format: Format,
    due: Timestamp,
    seq: u64,
    data: [u8; 1],
}

impl Source for Hand {
    fn stream(&self) -> &StreamId {
        &self.puppet.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let period = Duration::from_secs_f32(1.0 / self.puppet.rate_hz);
        let clock = &self.puppet.clock;
        self.due = self.due.after(period).max(clock.now().before(period * 3));
        clock.wait_until(self.due.min(clock.now().after(timeout)));
        let calibrating = match *self.puppet.mood.lock().unwrap() {
            Mood::Show(byte) => {
                self.data = [byte];
                false
            }
            Mood::Calibrate => true,
            Mood::Silent => return Ok(Reading::Waiting),
            Mood::Fail(kind) => return Err(SourceError::new(kind, "as the test wants it")),
            Mood::End => return Err(SourceError::ended()),
        };
        self.seq += 1;
        Ok(Reading::Frame(Frame {
            seq: self.seq - 1,
            captured: self.due,
            calibrating,
            data: &self.data,
        }))
    }

    fn clock_fix(&self) -> Option<ClockFix> {
        Some(ClockFix {
            device_ns: self.seq,
            host: self.due,
            drift_ppm: 0.0,
            steps: 0,
        })
    }
}

/// Whether a play is over, by what was told and the number of statuses.
type Curtain<'a> = Box<dyn FnMut(&[Event], &[Health], u64) -> bool + 'a>;

/// A play: at some statuses (ten a second) something is done; everything told is kept.
struct Play<'a> {
    acts: Vec<(u64, Box<dyn FnMut() + 'a>)>,
    statuses: u64,
    events: Vec<Event>,
    health: Vec<Health>,
    unbalanced: u64,
    until: Curtain<'a>,
    stop: Arc<AtomicBool>,
}

impl Observer for Play<'_> {
    fn event(&mut self, event: &Event) {
        self.events.push(event.clone());
    }

    fn health(&mut self, health: &Health) {
        self.health.push(health.clone());
    }

    fn status(&mut self, status: &Status) {
        self.statuses += 1;
        for (at, act) in &mut self.acts {
            if *at == self.statuses {
                act();
            }
        }
        let balanced = |s: &sensebind_engine::live::StreamStatus| s.frames.balances();
        self.unbalanced += u64::from(!status.streams.iter().all(balanced));
        // No test takes a minute.
        if (self.until)(&self.events, &self.health, self.statuses) || self.statuses > 600 {
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

impl<'a> Play<'a> {
    fn until(until: impl FnMut(&[Event], &[Health], u64) -> bool + 'a) -> Self {
        Self {
            acts: Vec::new(),
            statuses: 0,
            events: Vec::new(),
            health: Vec::new(),
            unbalanced: 0,
            until: Box::new(until),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    fn at(mut self, status: u64, act: impl FnMut() + 'a) -> Self {
        self.acts.push((status, Box::new(act)));
        self
    }

    fn states(&self, stream: &str) -> Vec<State> {
        let of = |h: &&Health| h.stream.as_str() == stream;
        self.health.iter().filter(of).map(|h| h.state).collect()
    }
}

fn limits() -> Limits {
    Limits {
        status_every: Duration::from_millis(100),
        ..Limits::default()
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(HostClock::start())
}

fn act(
    puppets: &[&Puppet],
    encoders: Vec<Box<dyn Encoder>>,
    recorder: Option<Box<dyn Recorder>>,
    play: &mut Play<'_>,
) -> Result<Summary, LiveError> {
    let clock = Arc::clone(&puppets[0].clock);
    let sensors = puppets.iter().map(|p| p.sensor()).collect();
    let stop = Arc::clone(&play.stop);
    let summary = run(
        sensors,
        Some(perceive(encoders)),
        recorder,
        &clock,
        limits(),
        play,
        &stop,
    )?;
    assert!(summary.balances(), "{summary:?}");
    assert_eq!(
        play.unbalanced, 0,
        "captured = processed + dropped + pending at every moment"
    );
    Ok(summary)
}

fn still() -> Vec<Box<dyn Encoder>> {
    vec![ByteEncoder::boxed(Sense::Image, 0, 100)]
}

fn has_ended(events: &[Event], label: &str) -> bool {
    events.iter().any(|e| e.label == label && e.phase == Phase::End)
}

#[test]
fn names_what_is_shown_as_it_is_shown() {
    let camera = Puppet::new("camera", 50.0, &clock());
    let mut play = Play::until(|events, _, _| has_ended(events, "one"))
        .at(5, || camera.set(Mood::Show(1)))
        .at(15, || camera.set(Mood::Show(0)));
    let summary = act(&[&camera], still(), None, &mut play).unwrap();
    assert_eq!(summary.events, 1);
    let end = play.events.iter().find(|e| e.phase == Phase::End).unwrap();
    let length = end.end_ns.unwrap().since(end.start_ns).as_secs_f64();
    assert!((0.4..2.5).contains(&length), "shown for about a second: {length}");
    assert_eq!(play.states("camera")[..1], [State::Running]);
    assert!(summary.reaction.moments() > 10);
}

#[test]
fn a_sensor_that_is_pulled_ends_its_event_and_comes_back_and_the_other_never_notices() {
    let clock = clock();
    let (a, b) = (Puppet::new("a", 50.0, &clock), Puppet::new("b", 50.0, &clock));
    let mut play = Play::until(|events, health, _| {
        let back = health
            .iter()
            .filter(|h| h.stream.as_str() == "a" && h.state == State::Running)
            .count()
            == 2;
        back && has_ended(events, "two")
    })
    .at(2, || a.set(Mood::Show(2)))
    .at(12, || a.set(Mood::Fail(ErrorKind::Gone)))
    .at(45, || a.set(Mood::Show(0)));
    let summary = act(&[&a, &b], still(), None, &mut play).unwrap();
    assert_eq!(play.states("a"), [State::Running, State::Missing, State::Running]);
    assert_eq!(play.states("b"), [State::Running]);
    let at = |n: usize| {
        play.health
            .iter()
            .filter(|h| h.stream.as_str() == "a")
            .nth(n)
            .unwrap()
            .at
    };
    let gone = at(2).since(at(1));
    assert!(
        gone.as_secs_f64() < 3.3 + 5.0,
        "back within 5 s of the replug: {gone:?}"
    );
    let (_, _, frames, _) = &summary.streams[1];
    assert_eq!((frames.missed, frames.dropped.get(&DropReason::QueueFull)), (0, None));
    let ended = play
        .events
        .iter()
        .find(|e| e.phase == Phase::End && e.label == "two")
        .unwrap();
    assert!(
        ended.end_ns.unwrap() < at(1).after(Duration::from_secs(1)),
        "a dead sensor carries no event on"
    );
}

#[test]
fn silence_is_a_stall_and_an_event_does_not_outlive_it() {
    let camera = Puppet::new("camera", 50.0, &clock());
    let mut play =
        Play::until(|events, health, _| has_ended(events, "one") && health.iter().any(|h| h.state == State::Stalled))
            .at(2, || camera.set(Mood::Show(1)))
            .at(12, || camera.set(Mood::Silent));
    act(&[&camera], still(), None, &mut play).unwrap();
    let stalled = play.health.iter().find(|h| h.state == State::Stalled).unwrap();
    assert!(stalled.why.contains("no frame for"), "{stalled:?}");
}

#[test]
fn missing_and_denied_sensors_are_reported_with_reasons_while_the_others_run() {
    let clock = clock();
    let names = ["absent", "forbidden", "good"];
    let [absent, forbidden, good] = names.map(|name| Puppet::new(name, 50.0, &clock));
    absent.set(Mood::Fail(ErrorKind::Gone));
    forbidden.set(Mood::Fail(ErrorKind::Denied));
    let mut play = Play::until(|_, _, statuses| statuses == 12);
    let summary = act(&[&absent, &forbidden, &good], still(), None, &mut play).unwrap();
    assert_eq!(play.states("absent"), [State::Missing], "said once");
    assert_eq!(play.states("forbidden"), [State::Denied]);
    assert_eq!(play.states("good"), [State::Running]);
    assert!(
        play.health
            .iter()
            .all(|h| h.state == State::Running || h.why == "as the test wants it")
    );
    let (_, format, frames, windows) = &summary.streams[2];
    assert!(
        format.is_some() && frames.captured > 20 && windows.encoded > 5,
        "{frames:?}"
    );
}

#[test]
fn settings_that_do_not_fit_stop_a_run_at_its_start() {
    let clock = clock();
    let (good, bad) = (Puppet::new("good", 50.0, &clock), Puppet::new("bad", 50.0, &clock));
    bad.set(Mood::Fail(ErrorKind::Misconfigured));
    let mut play = Play::until(|_, _, _| false);
    let error = act(&[&good, &bad], still(), None, &mut play).unwrap_err();
    assert_eq!(error.to_string(), "sensor bad: as the test wants it");
}

#[test]
fn frames_taken_while_calibrating_are_counted_and_not_judged() {
    let camera = Puppet::new("camera", 50.0, &clock());
    let mut play = Play::until(|_, _, statuses| statuses == 20).at(10, || camera.set(Mood::Calibrate));
    let summary = act(&[&camera], still(), None, &mut play).unwrap();
    let (_, _, frames, windows) = &summary.streams[0];
    assert!(frames.dropped[&DropReason::Calibrating] > 20, "{frames:?}");
    assert!(
        (3..16).contains(&windows.cut),
        "ten a second, and none in the second half: {windows:?}"
    );
    assert_eq!(play.states("camera"), [State::Running]);
}

#[test]
fn every_source_at_its_end_ends_the_run() {
    let camera = Puppet::new("camera", 50.0, &clock());
    let mut play = Play::until(|_, _, statuses| statuses > 100).at(5, || camera.set(Mood::End));
    act(&[&camera], still(), None, &mut play).unwrap();
    assert_eq!(play.states("camera"), [State::Running, State::Ended]);
    assert!(play.statuses < 100);
}

/// An encoder that takes longer than its windows are apart.
struct Slow(Box<dyn Encoder>, Arc<dyn Clock>);

impl Encoder for Slow {
    fn spec(&self) -> &EncoderSpec {
        self.0.spec()
    }

    fn accepts(&self, stream: &StreamId, format: &Format) -> Result<(), sensebind_core::EncodeError> {
        self.0.accepts(stream, format)
    }

    fn encode(
        &mut self,
        windows: &[sensebind_core::Window],
        out: &mut Vec<Result<sensebind_core::Embedding, sensebind_core::EncodeError>>,
    ) -> Result<(), sensebind_core::EncodeError> {
        self.1.wait_until(self.1.now().after(Duration::from_millis(900)));
        self.0.encode(windows, out)
    }
}

#[test]
fn encoders_that_cannot_keep_up_cost_counted_windows_and_no_frame() {
    let clock = clock();
    let camera = Puppet::new("camera", 100.0, &clock);
    let encoder = Slow(ByteEncoder::boxed(Sense::Image, 0, 20), Arc::clone(&clock));
    let mut play = Play::until(|_, _, statuses| statuses >= 3);
    let summary = act(&[&camera], vec![Box::new(encoder)], None, &mut play).unwrap();
    let (_, _, frames, windows) = &summary.streams[0];
    assert!(windows.dropped[&DropReason::QueueFull] > 10, "{windows:?}");
    assert_eq!(frames.missed, 0);
    assert_eq!(play.states("camera"), [State::Running], "the sensor is not held up");
}

/// Writes into memory and fails after some frames.
struct Disk {
    room: usize,
    written: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Recorder for Disk {
    fn frame(&mut self, stream: &StreamId, _: &Format, frame: &Frame<'_>) -> Result<(), RecorderError> {
        let mut written = self.written.lock().unwrap();
        if written.len() >= self.room {
            return Err(RecorderError("no space left".into()));
        }
        written.push((stream.to_string(), frame.calibrating));
        Ok(())
    }
    fn clock(&mut self, _: &StreamId, _: Timestamp, _: &ClockFix) -> Result<(), RecorderError> {
        Ok(())
    }
    fn event(&mut self, _: &Event) -> Result<(), RecorderError> {
        Ok(())
    }
    fn health(&mut self, _: &Health) -> Result<(), RecorderError> {
        Ok(())
    }
    fn flush(&mut self) -> Result<(), RecorderError> {
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<(), RecorderError> {
        Ok(())
    }
}

#[test]
fn a_full_disk_stops_the_recording_with_a_clear_state_and_detection_goes_on() {
    let camera = Puppet::new("camera", 50.0, &clock());
    let written = Arc::new(Mutex::new(Vec::new()));
    let disk = Disk {
        room: 20,
        written: Arc::clone(&written),
    };
    let mut play = Play::until(|events, _, _| has_ended(events, "one"))
        .at(15, || camera.set(Mood::Show(1)))
        .at(25, || camera.set(Mood::Show(0)));
    let summary = act(&[&camera], still(), Some(Box::new(disk)), &mut play).unwrap();
    assert_eq!(summary.events, 1, "after the disk was full");
    let recording = summary.recording.unwrap();
    assert_eq!(recording.written, 20);
    let (_, _, frames, _) = &summary.streams[0];
    assert_eq!(
        recording.written + recording.dropped,
        frames.captured,
        "every frame is accounted for"
    );
    assert_eq!(play.states(Health::RECORDING), [State::Stopped]);
    let stopped = play.health.iter().find(|h| h.state == State::Stopped).unwrap();
    assert!(stopped.why.contains("no space left"), "{stopped:?}");
    assert_eq!(written.lock().unwrap().len(), 20);
}

#[test]
fn a_recording_holds_every_frame_also_those_not_judged() {
    let camera = Puppet::new("camera", 50.0, &clock());
    let written = Arc::new(Mutex::new(Vec::new()));
    let disk = Disk {
        room: usize::MAX,
        written: Arc::clone(&written),
    };
    let mut play = Play::until(|_, _, statuses| statuses == 10).at(5, || camera.set(Mood::Calibrate));
    let summary = act(&[&camera], still(), Some(Box::new(disk)), &mut play).unwrap();
    let (_, _, frames, _) = &summary.streams[0];
    let written = written.lock().unwrap();
    assert_eq!(written.len() as u64, frames.captured);
    let calibrating = written.iter().filter(|(_, calibrating)| *calibrating).count() as u64;
    assert_eq!(calibrating, frames.dropped[&DropReason::Calibrating]);
}
