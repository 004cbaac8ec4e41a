//! Frames on their way to a log, on a thread of their own: a slow disk never holds up a sensor.

use super::Health;
use super::LiveError;
use super::health::Recording;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use sensebind_core::{Clock, ClockFix, Event, Format, Frame, StreamId, Timestamp};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often what was written is handed to the system: what a killed process loses at most, half of what is promised.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// Entries that may wait, whatever their size: five senses with an IMU at 1 kHz for four seconds.
const WAITING_ENTRIES: usize = 8192;
/// Buffers kept per sensor for reuse.
const SPARE_BUFFERS: usize = 64;

/// A recording could not be written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct RecorderError(pub String);

/// Writes what happened to a log. Called on one thread only; may block on the disk.
pub trait Recorder: Send {
    /// A frame was captured.
    ///
    /// # Errors
    /// When it cannot be written: the recording stops, capture and detection go on.
    fn frame(&mut self, stream: &StreamId, format: &Format, frame: &Frame<'_>) -> Result<(), RecorderError>;

    /// How a sensor's clock lies to the host's has changed.
    ///
    /// # Errors
    /// As [`frame`](Self::frame).
    fn clock(&mut self, stream: &StreamId, at: Timestamp, fix: &ClockFix) -> Result<(), RecorderError>;

    /// An event began, changed or ended.
    ///
    /// # Errors
    /// As [`frame`](Self::frame).
    fn event(&mut self, event: &Event) -> Result<(), RecorderError>;

    /// A sensor's state changed.
    ///
    /// # Errors
    /// As [`frame`](Self::frame).
    fn health(&mut self, health: &Health) -> Result<(), RecorderError>;

    /// Hands all that was written to the system, so that it survives this process.
    ///
    /// # Errors
    /// As [`frame`](Self::frame).
    fn flush(&mut self) -> Result<(), RecorderError>;

    /// Completes the log.
    ///
    /// # Errors
    /// As [`frame`](Self::frame).
    fn finish(self: Box<Self>) -> Result<(), RecorderError>;
}

enum Entry {
    Frame {
        stream: StreamId,
        format: Format,
        seq: u64,
        captured: Timestamp,
        calibrating: bool,
        data: Vec<u8>,
        /// Where the buffer goes back to.
        home: Sender<Vec<u8>>,
    },
    Clock(StreamId, Timestamp, ClockFix),
    Event(Event),
    Health(Health),
}

/// What sensors and the recorder's thread share.
#[derive(Debug)]
struct Books {
    budget: usize,
    waiting_bytes: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    stopped: Mutex<Option<String>>,
}

impl Books {
    fn is_stopped(&self) -> bool {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn stop(&self, why: String) {
        self.stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(why);
    }
}

/// The recorder's thread, from outside.
pub(crate) struct RecorderThread {
    entries: Sender<Entry>,
    books: Arc<Books>,
    thread: JoinHandle<()>,
}

impl RecorderThread {
    pub fn start(recorder: Box<dyn Recorder>, budget: usize, clock: &Arc<dyn Clock>) -> Result<Self, LiveError> {
        let (entries, from) = crossbeam_channel::bounded(WAITING_ENTRIES);
        let books = Arc::new(Books {
            budget,
            waiting_bytes: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            stopped: Mutex::new(None),
        });
        let (shared, clock) = (Arc::clone(&books), Arc::clone(clock));
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || work(recorder, &from, &shared, &*clock))
            .map_err(|why| LiveError::Thread {
                what: "the recorder".to_owned(),
                why,
            })?;
        Ok(Self { entries, books, thread })
    }

    /// The end for one sensor.
    pub fn tap(&self) -> Tap {
        let (home, spare) = crossbeam_channel::bounded(SPARE_BUFFERS);
        Tap {
            entries: self.entries.clone(),
            books: Arc::clone(&self.books),
            home,
            spare,
        }
    }

    pub fn event(&self, event: &Event) {
        // Rare next to frames; a recorder that is behind by thousands of entries drops them as it drops frames.
        let _ = self.entries.try_send(Entry::Event(event.clone()));
    }

    pub fn health(&self, health: &Health) {
        let _ = self.entries.try_send(Entry::Health(health.clone()));
    }

    pub fn status(&self) -> Recording {
        Recording {
            written: self.books.written.load(Ordering::Relaxed),
            dropped: self.books.dropped.load(Ordering::Relaxed),
            stopped: self
                .books
                .stopped
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    /// Writes what waits, completes the log and ends the thread. Every [`Tap`] must be gone.
    pub fn finish(self) -> Recording {
        let Self { entries, books, thread } = self;
        drop(entries);
        if thread.join().is_err() {
            books.stop("the recorder's thread ended unexpectedly: please report this".to_owned());
        }
        Recording {
            written: books.written.load(Ordering::Relaxed),
            dropped: books.dropped.load(Ordering::Relaxed),
            stopped: books.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl fmt::Debug for RecorderThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderThread")
            .field("books", &self.books)
            .finish_non_exhaustive()
    }
}

/// A sensor's way to the recorder.
#[derive(Debug)]
pub(crate) struct Tap {
    entries: Sender<Entry>,
    books: Arc<Books>,
    home: Sender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
}

impl Tap {
    /// Copies a frame for the recorder. Never blocks: counts it as not recorded where there is no room.
    pub fn frame(&self, stream: &StreamId, format: &Format, frame: &Frame<'_>) {
        let bytes = frame.data.len();
        let full = self.books.waiting_bytes.load(Ordering::Relaxed) + bytes > self.books.budget;
        if full || self.books.is_stopped() {
            self.books.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut data = self.spare.try_recv().unwrap_or_default();
        data.clear();
        data.extend_from_slice(frame.data);
        self.books.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let entry = Entry::Frame {
            stream: stream.clone(),
            format: *format,
            seq: frame.seq,
            captured: frame.captured,
            calibrating: frame.calibrating,
            data,
            home: self.home.clone(),
        };
        if self.entries.try_send(entry).is_err() {
            self.books.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.books.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn clock(&self, stream: &StreamId, at: Timestamp, fix: ClockFix) {
        let _ = self.entries.try_send(Entry::Clock(stream.clone(), at, fix));
    }
}

fn work(recorder: Box<dyn Recorder>, entries: &Receiver<Entry>, books: &Books, clock: &dyn Clock) {
    let mut recorder = Some(recorder);
    let mut flush_at = clock.now().after(FLUSH_EVERY);
    loop {
        let entry = match entries.recv_timeout(flush_at.since(clock.now())) {
            Ok(entry) => Some(entry),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let mut outcome = entry.map_or(Ok(()), |entry| write(entry, recorder.as_deref_mut(), books));
        if clock.now() >= flush_at {
            flush_at = clock.now().after(FLUSH_EVERY);
            if let (Ok(()), Some(recorder)) = (&outcome, &mut recorder) {
                outcome = recorder.flush();
            }
        }
        if let Err(why) = outcome {
            // What was flushed before stays readable; a half-written end is no reason to fill the disk further.
            recorder = None;
            books.stop(why.to_string());
        }
    }
    if let Some(recorder) = recorder
        && let Err(why) = recorder.finish()
    {
        books.stop(why.to_string());
    }
}

fn write(entry: Entry, recorder: Option<&mut (dyn Recorder + 'static)>, books: &Books) -> Result<(), RecorderError> {
    match (entry, recorder) {
        (
            Entry::Frame {
                stream,
                format,
                seq,
                captured,
                calibrating,
                data,
                home,
            },
            recorder,
        ) => {
            let outcome = recorder.map(|recorder| {
                let frame = Frame {
                    seq,
                    captured,
                    calibrating,
                    data: &data,
                };
                recorder.frame(&stream, &format, &frame)
            });
            books.waiting_bytes.fetch_sub(data.len(), Ordering::Relaxed);
            // With its sensor gone nobody needs the buffer.
            let _ = home.try_send(data);
            match outcome {
                Some(Ok(())) => {
                    books.written.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                other => {
                    books.dropped.fetch_add(1, Ordering::Relaxed);
                    other.unwrap_or(Ok(()))
                }
            }
        }
        (Entry::Clock(stream, at, fix), Some(recorder)) => recorder.clock(&stream, at, &fix),
        (Entry::Event(event), Some(recorder)) => recorder.event(&event),
        (Entry::Health(health), Some(recorder)) => recorder.health(&health),
        (_, None) => Ok(()),
    }
}
