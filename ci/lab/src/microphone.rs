//! A microphone without a sound card: ALSA's `file` plug-in over `null`, its `infile` a FIFO that is fed in real time.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::clock::monotonic;
use crate::lock::lock;
use crate::mount::Unavailable;

/// Time between two writes into the FIFO.
const PERIOD: Duration = Duration::from_millis(20);
/// Periods that wait for a client before one is lost, at least.
const PERIODS: usize = 25;
const PAGE: usize = 4096;

#[derive(Debug, Default)]
struct State {
    stalled: bool,
    closed: bool,
    ended: bool,
    frames: u64,
    lost_frames: u64,
    started: Option<Duration>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// An emulated microphone: 16-bit little-endian samples, interleaved, paced by the clock, one 20 ms period at a time.
///
/// The client is a process with `ALSA_CONFIG_PATH` set to [`config`](Self::config); it opens the device `default` or
/// [`pcm`](Self::pcm). It must ask for the rate and the channels given here and for `S16_LE` (the plug-in takes anything
/// and converts nothing), and read at most [`period_frames`](Self::period_frames) at a time: where the FIFO holds less
/// than it asks for, ALSA leaves old samples in the rest.
///
/// ALSA hides two failures, as a real sound card would not: after [`close`](Self::close) the client reads old samples as
/// fast as it can, and while the microphone is [stalled](Self::stall) closing the client's stream blocks. Neither is an
/// error to the client. Opening blocks until the microphone lives.
#[derive(Debug)]
pub struct Microphone {
    folder: TempDir,
    rate_hz: u32,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl Microphone {
    /// Starts a microphone. `sound` fills interleaved samples, given the number of the first frame, counted from the
    /// moment that a client opened the device.
    ///
    /// # Errors
    /// [`Unavailable`] where no FIFO, file or thread can be made.
    pub fn new(
        rate_hz: u32,
        channels: u16,
        sound: impl FnMut(u64, &mut [i16]) + Send + 'static,
    ) -> Result<Self, Unavailable> {
        let unavailable = |what: &str, why: &dyn std::fmt::Display| {
            Unavailable::new(
                format!("{what} cannot be made ({why})"),
                "point TMPDIR at a folder that can be written and holds FIFOs",
            )
        };
        let folder = TempDir::with_prefix("sensebind-microphone-").map_err(|why| unavailable("a folder", &why))?;
        let fifo = folder.path().join("sound");
        mkfifo(&fifo, Mode::from_bits_truncate(0o666)).map_err(|why| unavailable("a FIFO", &why))?;
        fs::write(folder.path().join("asound.conf"), config(&fifo)).map_err(|why| unavailable("a file", &why))?;
        let shared = Arc::new(Shared::default());
        let feed = Feed {
            fifo,
            shared: Arc::clone(&shared),
            rate_hz,
            channels,
        };
        let writer = thread::Builder::new()
            .spawn(move || feed.run(sound))
            .map_err(|why| unavailable("a thread", &why))?;
        Ok(Self {
            folder,
            rate_hz,
            shared,
            writer: Some(writer),
        })
    }

    /// What the client's `ALSA_CONFIG_PATH` must say.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("asound.conf")
    }

    /// The device's name in ALSA; `default` means it too.
    pub fn pcm(&self) -> &'static str {
        "lab"
    }

    /// The most frames that a client may read at once.
    pub fn period_frames(&self) -> u32 {
        period_frames(self.rate_hz)
    }

    /// When frame 0 was taken, on `CLOCK_MONOTONIC`; frame n follows n / rate later. `None` while no client has the
    /// device open.
    pub fn started(&self) -> Option<Duration> {
        lock(&self.shared.state).started
    }

    /// Frames that a client could read so far, since it opened the device.
    pub fn frames(&self) -> u64 {
        lock(&self.shared.state).frames
    }

    /// Frames lost because the client did not read in time: more than half a second was waiting.
    pub fn lost_frames(&self) -> u64 {
        lock(&self.shared.state).lost_frames
    }

    /// No sample comes any more. End it with [`resume`](Self::resume) before the client closes its stream, or that
    /// blocks.
    pub fn stall(&self) {
        self.change(|state| state.stalled = true);
    }

    /// Samples come again; those of the time between are lost.
    pub fn resume(&self) {
        self.change(|state| state.stalled = false);
    }

    /// Ends the FIFO: the client sees its end.
    pub fn close(&self) {
        self.change(|state| state.closed = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.shared.state));
        self.shared.changed.notify_all();
    }
}

impl Drop for Microphone {
    fn drop(&mut self) {
        self.change(|state| state.ended = true);
        if let Some(writer) = self.writer.take() {
            // A panic in the test's sound is on standard error already.
            let _ = writer.join();
        }
    }
}

fn period_frames(rate_hz: u32) -> u32 {
    rate_hz / (1000 / PERIOD.as_millis() as u32)
}

fn config(fifo: &Path) -> String {
    format!(
        "pcm.lab {{\n    type file\n    slave.pcm null_slave\n    file /dev/null\n    infile \"{}\"\n    format raw\n    \
         hint {{\n        show on\n        description \"Lab microphone\"\n    }}\n}}\n\
         pcm.null_slave {{\n    type null\n}}\n\
         pcm.default {{\n    type empty\n    slave.pcm lab\n}}\n",
        fifo.display()
    )
}

struct Feed {
    fifo: PathBuf,
    shared: Arc<Shared>,
    rate_hz: u32,
    channels: u16,
}

impl Feed {
    fn run(&self, mut sound: impl FnMut(u64, &mut [i16])) {
        let frames = period_frames(self.rate_hz) as usize;
        let mut samples = vec![0_i16; frames * usize::from(self.channels)];
        let mut bytes = Vec::with_capacity(2 * samples.len());
        let mut pending = Vec::new();
        let mut client: Option<(File, u64)> = None;
        let mut due = monotonic();
        while let Some(feeding) = self.wait_until(due) {
            due += PERIOD;
            let Some((fifo, first)) = &mut client else {
                // Fails until a client has the other end open.
                if feeding && let Some(fifo) = self.open(samples.len() * 2) {
                    client = Some((fifo, 0));
                    let mut state = lock(&self.shared.state);
                    state.frames = 0;
                    // The period that is written next began with this one's end.
                    state.started = Some(due - PERIOD);
                }
                continue;
            };
            if lock(&self.shared.state).closed {
                client = None;
                pending.clear();
                continue;
            }
            let number = *first;
            *first += frames as u64;
            if !feeding {
                continue;
            }
            sound(number, &mut samples);
            bytes.clear();
            bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            // A period is taken whole or lost whole, or the samples after it would be out of step.
            // Counted under the lock: who has heard a sample finds it counted.
            let mut state = lock(&self.shared.state);
            if pending.is_empty() {
                pending.extend_from_slice(&bytes);
            } else {
                state.lost_frames += frames as u64;
            }
            match fifo.write(&pending) {
                Ok(written) => {
                    pending.drain(..written);
                    if pending.is_empty() {
                        state.frames += frames as u64;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The client has closed the device.
                Err(_) => {
                    state.started = None;
                    client = None;
                    pending.clear();
                }
            }
        }
    }

    /// Whether to feed now; `None` when the microphone ends.
    fn wait_until(&self, due: Duration) -> Option<bool> {
        let mut state = lock(&self.shared.state);
        loop {
            if state.ended {
                return None;
            }
            let now = monotonic();
            if now >= due {
                return Some(!state.stalled && !state.closed);
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, due - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn open(&self, period_bytes: usize) -> Option<File> {
        let fifo = File::options()
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&self.fifo)
            .ok()?;
        // A pipe counts in pages, and a period that does not fit into the rest of one begins another.
        let pages = PERIODS.div_ceil((PAGE / period_bytes).max(1)) * period_bytes.div_ceil(PAGE);
        let room = (pages * PAGE).next_power_of_two();
        fcntl(&fifo, FcntlArg::F_SETPIPE_SZ(i32::try_from(room).ok()?)).ok()?;
        Some(fifo)
    }
}
