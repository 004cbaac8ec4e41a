//! Live capture: a thread per sensor, one for the encoders, one for the recorder.
//!
//! ```text
//! thread per sensor:  Source::read ─► recorder queue (a copy) ─► Ring::push ─► windows cut ─┐
//!                                                                                           ▼
//!                           bounded queue of windows: the oldest make room, every drop is counted
//!                                                                                           ▼
//! calling thread:     windows of one moment together: encode ─► score ─► detect ─► Observer
//! ```
//!
//! * [`health`]: what is said about a sensor, and when.
//! * [`sensor`]: opens, reads, reopens.
//! * [`reaction`]: how soon events follow the data.
//! * [`queue`]: windows on their way, and their buffers on the way back.
//! * [`recorder`]: frames on their way to a log; never in a sensor's way.
//! * [`judging`]: which windows belong together, and when they can wait no longer.
//!
//! Nothing waits for a slower stage: where one cannot keep up, the oldest work is dropped and counted with its reason.
//! Between sensors nothing is shared but the clock, so that one that hangs cannot hold up another.

pub mod health;
mod judging;
mod queue;
mod reaction;
pub mod recorder;
mod sensor;

pub use health::{Health, Recording, State, Status, StreamStatus};
pub use reaction::Reaction;
pub use recorder::{Recorder, RecorderError};

use crate::account::{Account, WindowAccount};
use crate::perceive::{Perceive, PerceiveError};
use judging::Judging;
use queue::Bell;
use recorder::RecorderThread;
use sensebind_core::{Clock, Event, Format, Source, SourceError, StreamId, Timestamp};
use sensebind_space::Scored;
use sensor::{Link, SensorThread};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Opens a sensor: called at start and after every fault.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Source>, SourceError> + Send>;

/// One sensor of a board.
pub struct Sensor {
    /// What its stream is called.
    pub stream: StreamId,
    /// How it is opened.
    pub open: Opener,
}

impl fmt::Debug for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sensor")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// Bounds of a live run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Windows that may wait for the encoders, per sensor.
    pub queued_windows: usize,
    /// How long a window waits for those of other streams that end at the same time.
    pub patience: Duration,
    /// Bytes of frames that may wait for the recorder.
    pub recorder_bytes: usize,
    /// How often [`Observer::status`] is called.
    pub status_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queued_windows: 8,
            patience: Duration::from_millis(250),
            recorder_bytes: 64 << 20,
            status_every: Duration::from_secs(1),
        }
    }
}

/// Told of everything that happens during a live run, on the calling thread. Every method does nothing unless overridden.
pub trait Observer {
    /// An event began, changed or ended.
    fn event(&mut self, _event: &Event) {}

    /// A window was scored.
    fn scored(&mut self, _scored: &Scored) {}

    /// A sensor's state, or the recorder's, changed.
    fn health(&mut self, _health: &Health) {}

    /// Where everything stands.
    fn status(&mut self, _status: &Status) {}
}

/// What a live run did.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Each stream: name, format where it was ever opened, frames, windows.
    pub streams: Vec<(StreamId, Option<Format>, Account, WindowAccount)>,
    /// Events that began.
    pub events: u64,
    /// What became of the recording, where there was one.
    pub recording: Option<Recording>,
    /// How soon events followed the data.
    pub reaction: Reaction,
}

impl Summary {
    /// Whether `captured = processed + dropped` holds for every stream and every window is accounted for.
    pub fn balances(&self) -> bool {
        self.streams
            .iter()
            .all(|(_, _, frames, windows)| frames.balances() && frames.pending() == 0 && windows.balances())
    }
}

/// A live run could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// A sensor's settings do not fit its device: found at start.
    #[error("sensor {stream}: {why}")]
    Misconfigured {
        /// The sensor.
        stream: StreamId,
        /// What was expected and found, and the remedy.
        why: String,
    },
    /// Streams, encoders and prompts do not fit, or a model failed.
    #[error(transparent)]
    Perceive(#[from] PerceiveError),
    /// The system gives no more threads.
    #[error("a thread for {what} cannot be started: {why}: end other programs, or raise the limit on processes")]
    Thread {
        /// What for.
        what: String,
        /// What the system said.
        why: std::io::Error,
    },
}

/// Captures `sensors` and judges what they perceive until `stop` is set or all of them have ended. Without `perceive`
/// frames are only captured (and recorded). Blocks.
///
/// A sensor that is missing, denied or failing never ends a run: it is reported and tried again.
///
/// # Errors
/// [`LiveError`]: at start for what does not fit, later only when a model fails. Threads have ended when it returns.
pub fn run(
    sensors: Vec<Sensor>,
    perceive: Option<Perceive>,
    recorder: Option<Box<dyn Recorder>>,
    clock: &Arc<dyn Clock>,
    limits: Limits,
    observer: &mut dyn Observer,
    stop: &Arc<AtomicBool>,
) -> Result<Summary, LiveError> {
    // Ends the threads of this run whatever ends the run.
    let halt = Arc::new(Halt {
        asked: Arc::clone(stop),
        over: AtomicBool::new(false),
    });
    let recorder = recorder
        .map(|recorder| RecorderThread::start(recorder, limits.recorder_bytes, clock))
        .transpose()?;
    let cuttings = perceive.as_ref().map(Perceive::cuttings).unwrap_or_default();
    let bell = Bell::new();
    let (reports, told) = crossbeam_channel::bounded(1024);
    let mut lanes = Vec::new();
    let mut threads = Vec::new();
    for (index, sensor) in sensors.into_iter().enumerate() {
        let link = Arc::new(Link::new(sensor.stream.clone(), cuttings.clone(), clock.now()));
        let (windows, taken) = bell.queue(limits.queued_windows);
        lanes.push((Arc::clone(&link), taken));
        let name = sensor.stream.to_string();
        let thread = SensorThread {
            index,
            link,
            open: sensor.open,
            clock: Arc::clone(clock),
            halt: Arc::clone(&halt),
            windows,
            reports: reports.clone(),
            tap: recorder.as_ref().map(RecorderThread::tap),
        };
        let spawned = thread::Builder::new().name(name.clone()).spawn(move || thread.run());
        match spawned {
            Ok(handle) => threads.push((StreamId::new(name), handle)),
            Err(why) => {
                halt.over.store(true, Ordering::Relaxed);
                return Err(LiveError::Thread { what: name, why });
            }
        }
    }
    drop(reports);
    let mut judging = Judging::new(lanes, perceive, recorder, Arc::clone(clock), limits);
    let outcome = judging.run(&bell, &told, observer, &halt);
    halt.over.store(true, Ordering::Relaxed);
    for (stream, thread) in threads {
        if thread.join().is_err() {
            judging.thread_died(&stream, observer);
        }
    }
    match outcome {
        Ok(()) => judging.finish(observer),
        Err(why) => {
            judging.abandon();
            Err(why)
        }
    }
}

/// Why sensor threads end.
#[derive(Debug)]
pub(crate) struct Halt {
    asked: Arc<AtomicBool>,
    /// The run has ended or failed by itself.
    over: AtomicBool,
}

impl Halt {
    pub fn is_set(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.over.load(Ordering::Relaxed)
    }
}

/// Time waited in one piece, at most: how soon a thread notices that it should end.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Waits until `until`, or until the run ends.
pub(crate) fn wait(clock: &dyn Clock, until: Timestamp, halt: &Halt) {
    while !halt.is_set() && clock.now() < until {
        clock.wait_until(until.min(clock.now().after(TICK)));
    }
}
