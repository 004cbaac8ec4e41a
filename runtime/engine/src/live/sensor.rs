//! A sensor's thread: opens, reads, cuts windows, and opens again after every fault.

use super::queue::{Cut, CutSender};
use super::recorder::Tap;
use super::{Halt, Health, Opener, State, TICK, wait};
use crate::account::DropReason;
use crate::stream::{Cutting, SharedLedger, StreamCapture, settle};
use crossbeam_channel::Sender;
use sensebind_core::{
    Clock, ClockFix, ErrorKind, Format, Frame, Reading, Sense, Source, SourceError, StreamId, Timestamp, Window,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Frame periods without a frame after which a sensor has stalled.
const STALL_PERIODS: f64 = 3.0;
/// Stalls shorter than this are the scheduler's, not the sensor's.
const SHORTEST_STALL: Duration = Duration::from_millis(500);
/// How long a sensor may take to its first frame.
const FIRST_FRAME: Duration = Duration::from_secs(4);
/// After this long without a frame it is opened anew.
const REOPEN_AFTER: Duration = Duration::from_secs(3);
/// Between two tries to open: doubles from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// Between two tries where a person must do something first.
const LONG_PAUSE: Duration = Duration::from_secs(4);
/// How often a source is asked how its clock lies.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// What a sensor's thread and the judging one share.
#[derive(Debug)]
pub(crate) struct Link {
    pub stream: StreamId,
    pub cuttings: BTreeMap<Sense, Cutting>,
    pub ledger: SharedLedger,
    /// Every window that ends by then has been sent, nanoseconds.
    complete_until: AtomicU64,
    /// When the thread last showed that it lives, nanoseconds.
    heartbeat: AtomicU64,
    /// The thread has ended.
    done: AtomicBool,
    face: Mutex<Face>,
}

/// What is shown of a sensor.
#[derive(Debug)]
pub(crate) struct Face {
    pub health: Health,
    pub format: Option<Format>,
    pub ring_bytes: usize,
    /// Why the encoders refuse the format, if they do.
    pub refused: Option<String>,
}

/// What a sensor's thread tells.
#[derive(Debug)]
pub(crate) struct Report {
    pub index: usize,
    pub news: News,
}

#[derive(Debug)]
pub(crate) enum News {
    /// It is open and delivers this.
    Opened(Format),
    /// Its state has changed.
    Health(Health),
}

impl Link {
    pub fn new(stream: StreamId, cuttings: BTreeMap<Sense, Cutting>, now: Timestamp) -> Self {
        let health = Health {
            stream: stream.clone(),
            at: now,
            state: State::Opening,
            why: String::new(),
        };
        Self {
            stream,
            cuttings,
            ledger: SharedLedger::default(),
            complete_until: AtomicU64::new(0),
            heartbeat: AtomicU64::new(now.as_nanos()),
            done: AtomicBool::new(false),
            face: Mutex::new(Face {
                health,
                format: None,
                ring_bytes: 0,
                refused: None,
            }),
        }
    }

    pub fn face(&self) -> MutexGuard<'_, Face> {
        self.face.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn complete_until(&self) -> Timestamp {
        Timestamp::from_nanos(self.complete_until.load(Ordering::Acquire))
    }

    pub fn heartbeat(&self) -> Timestamp {
        Timestamp::from_nanos(self.heartbeat.load(Ordering::Relaxed))
    }

    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Publishes that every window that ends by `until` has been sent. Whether that lets another moment be judged.
    fn complete(&self, until: Timestamp) -> bool {
        let before = self.complete_until.fetch_max(until.as_nanos(), Ordering::Release);
        let passes = |cutting: &Cutting| {
            let hop = u64::try_from(cutting.hop.as_nanos()).unwrap_or(u64::MAX).max(1);
            until.as_nanos() / hop > before / hop
        };
        self.cuttings.values().any(passes)
    }
}

/// See the [module](self).
pub(crate) struct SensorThread {
    pub index: usize,
    pub link: Arc<Link>,
    pub open: Opener,
    pub clock: Arc<dyn Clock>,
    pub halt: Arc<Halt>,
    pub windows: CutSender,
    pub reports: Sender<Report>,
    pub tap: Option<Tap>,
}

/// What a thread keeps from one opening to the next.
#[derive(Default)]
struct Bench {
    capture: Option<StreamCapture>,
    spare: Vec<Window>,
    ready: Vec<Window>,
}

impl SensorThread {
    pub fn run(mut self) {
        let mut bench = Bench::default();
        let ended = Ended(Arc::clone(&self.link));
        let mut pause = FIRST_PAUSE;
        while !self.halt.is_set() {
            let began = self.clock.now();
            let fault = match (self.open)() {
                Ok(source) => self.deliver(source, &mut bench),
                Err(fault) => Some(fault),
            };
            let Some(fault) = fault else {
                break;
            };
            self.tell(State::after(fault.kind), fault.message);
            if fault.kind == ErrorKind::Ended {
                break;
            }
            let now = self.clock.now();
            if now.since(began) > FIRST_FRAME {
                pause = FIRST_PAUSE;
            }
            let this_pause = match fault.kind {
                ErrorKind::Denied | ErrorKind::Misconfigured => LONG_PAUSE,
                _ => pause,
            };
            pause = (pause * 2).min(LAST_PAUSE);
            self.wait_without_data(now.after(this_pause), &mut bench);
        }
        if let Some(capture) = &mut bench.capture {
            capture.finish(&mut bench.spare, &mut bench.ready);
        }
        self.forward(&mut bench, Timestamp::ZERO, self.clock.now());
        drop(ended);
        self.windows.ring();
    }

    /// Reads until the source fails (why) or the run ends (`None`).
    fn deliver(&mut self, mut source: Box<dyn Source>, bench: &mut Bench) -> Option<SourceError> {
        let format = *source.format();
        if let Err(fault) = self.prepare(format, bench) {
            return Some(fault);
        }
        let period_s = 1.0 / format.rate_hz().max(1e-3);
        let is_sound = matches!(format, Format::Audio { .. });
        let stall = Duration::from_secs_f64(if is_sound { 0.0 } else { STALL_PERIODS * period_s }).max(SHORTEST_STALL);
        let reopen = REOPEN_AFTER.max(stall * 2);
        let mut flow = Flow {
            last_arrival: self.clock.now(),
            delivered: false,
            next_seq: None,
            clock_due: Timestamp::ZERO,
            fix: None,
        };
        loop {
            if self.halt.is_set() {
                return None;
            }
            if let Some(why) = self.link.face().refused.clone() {
                return Some(SourceError::new(ErrorKind::Misconfigured, why));
            }
            let reading = match source.read(TICK) {
                Ok(reading) => reading,
                Err(fault) => return Some(fault),
            };
            let now = self.clock.now();
            self.link.heartbeat.store(now.as_nanos(), Ordering::Relaxed);
            match reading {
                Reading::Frame(frame) => {
                    self.frame(&frame, &format, &mut flow, now, bench);
                    self.ask_clock(&*source, &mut flow, now);
                }
                Reading::NoData { at, .. } => {
                    flow.last_arrival = now;
                    self.nothing_until(at, now, bench);
                }
                Reading::Waiting => {
                    let silence = now.since(flow.last_arrival);
                    let allowed = if flow.delivered { stall } else { FIRST_FRAME };
                    if silence > allowed.max(reopen) {
                        let why = format!("no frame for {:.1} s: opened anew", silence.as_secs_f64());
                        return Some(SourceError::new(ErrorKind::Reopen, why));
                    }
                    if silence > allowed {
                        let due = if is_sound {
                            "sound".to_owned()
                        } else {
                            format!("one every {:.3} s", period_s)
                        };
                        let why = format!("no frame for {:.1} s, expected {due}", silence.as_secs_f64());
                        self.stall(why);
                        self.nothing_until(now, now, bench);
                    }
                }
            }
        }
    }

    /// A ring for `format`: the old one where it has not changed.
    fn prepare(&mut self, format: Format, bench: &mut Bench) -> Result<(), SourceError> {
        match &mut bench.capture {
            Some(capture) if capture.format == format => capture.clear(),
            slot => {
                let cutting = self.link.cuttings.get(&format.sense()).copied();
                let capture = StreamCapture::new(&self.link.stream, &format, cutting, self.link.ledger.clone())
                    .map_err(|e| SourceError::new(ErrorKind::Misconfigured, e.to_string()))?;
                self.link.face().ring_bytes = capture.ring_bytes();
                *slot = Some(capture);
            }
        }
        self.link.face().format = Some(format);
        self.report(News::Opened(format));
        Ok(())
    }

    fn frame(&mut self, frame: &Frame<'_>, format: &Format, flow: &mut Flow, now: Timestamp, bench: &mut Bench) {
        if !flow.delivered || self.link.face().health.state != State::Running {
            self.tell(State::Running, String::new());
        }
        flow.delivered = true;
        flow.last_arrival = now;
        let missed = flow.next_seq.map_or(0, |expected| frame.seq.saturating_sub(expected));
        if missed > 0 {
            self.link.ledger.lock().frames.missed += missed;
        }
        flow.next_seq = Some(frame.seq + 1);
        if let Some(tap) = &self.tap {
            tap.frame(&self.link.stream, format, frame);
        }
        if let Some(capture) = &mut bench.capture {
            self.windows.take_back(&mut bench.spare);
            capture.push(
                frame.captured,
                frame.calibrating,
                frame.data,
                &mut bench.spare,
                &mut bench.ready,
            );
            let complete = if frame.calibrating {
                Some(frame.captured)
            } else {
                capture.complete_until()
            };
            self.forward(bench, complete.unwrap_or(Timestamp::ZERO), now);
        }
    }

    /// Sends what is ready, says that all up to `until` has been sent, and rings where that matters: in this order, so that
    /// who hears the bell finds both.
    fn forward(&self, bench: &mut Bench, until: Timestamp, now: Timestamp) {
        for window in bench.ready.drain(..) {
            if let Some(dropped) = self.windows.send(Cut { window, arrived: now }) {
                let cutting = self.link.cuttings.get(&dropped.format.sense()).copied();
                settle(
                    &self.link.ledger,
                    cutting,
                    &dropped,
                    Err((DropReason::QueueFull, String::new())),
                );
                bench.spare.push(dropped);
            }
        }
        if self.link.complete(until) {
            self.windows.ring();
        }
    }

    /// The sensor is known to have nothing up to `until`.
    fn nothing_until(&self, until: Timestamp, now: Timestamp, bench: &mut Bench) {
        if let Some(capture) = &mut bench.capture {
            capture.no_data(until, &mut bench.spare, &mut bench.ready);
        }
        self.forward(bench, until, now);
    }

    fn wait_without_data(&self, until: Timestamp, bench: &mut Bench) {
        while !self.halt.is_set() && self.clock.now() < until {
            let now = self.clock.now();
            self.link.heartbeat.store(now.as_nanos(), Ordering::Relaxed);
            self.nothing_until(now, now, bench);
            wait(&*self.clock, until.min(now.after(TICK)), &self.halt);
        }
    }

    fn ask_clock(&self, source: &dyn Source, flow: &mut Flow, now: Timestamp) {
        if now < flow.clock_due {
            return;
        }
        flow.clock_due = now.after(CLOCK_EVERY);
        if let (Some(tap), Some(fix)) = (&self.tap, source.clock_fix())
            && flow.fix != Some(fix)
        {
            flow.fix = Some(fix);
            tap.clock(&self.link.stream, now, fix);
        }
    }

    /// Says once that the sensor is silent.
    fn stall(&self, why: String) {
        if self.link.face().health.state != State::Stalled {
            self.tell(State::Stalled, why);
        }
    }

    fn tell(&self, state: State, why: String) {
        let health = Health {
            stream: self.link.stream.clone(),
            at: self.clock.now(),
            state,
            why,
        };
        let mut face = self.link.face();
        if face.health.state == state && face.health.why == health.why {
            return;
        }
        face.health = health.clone();
        drop(face);
        self.report(News::Health(health));
    }

    fn report(&self, news: News) {
        // A thousand reports behind: the status still shows the latest state.
        let _ = self.reports.try_send(Report {
            index: self.index,
            news,
        });
        self.windows.ring();
    }
}

/// What one opening has seen so far.
struct Flow {
    last_arrival: Timestamp,
    delivered: bool,
    next_seq: Option<u64>,
    clock_due: Timestamp,
    fix: Option<ClockFix>,
}

/// Marks a thread as ended, however it ends.
struct Ended(Arc<Link>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.complete(Timestamp::from_nanos(u64::MAX));
        self.0.done.store(true, Ordering::Release);
    }
}
