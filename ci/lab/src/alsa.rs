//! A microphone without a sound card: ALSA's `file` plug-in over `null` reads its samples from a FIFO.
//!
//! The process that captures must be started with `ALSA_CONFIG_PATH` set to [`Microphone::config`]: ALSA reads it once.
//!
//! # What differs from a sound card
//! - The default device takes any rate, channels and sample format: what comes through the FIFO must be what the client
//!   asked for, and its rate is the writer's.
//! - A client reads in steps of 20 ms or a whole part of that: where a read finds less than it wants, the plug-in fills it
//!   up with stale sound.
//! - A client that reads while nothing is written hangs in its read, without an error; when the FIFO ends, ALSA delivers
//!   its last buffer again and again, as fast as it is asked.
//! - There are no overruns: what does not fit into the FIFO, a fifth of a second, is thrown away silently.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// One write.
const PERIOD: Duration = Duration::from_millis(20);
const PERIODS_PER_S: u32 = 50;
/// The most that a pipe takes whole or not at all (pipe(7)).
const PIPE_BUF: usize = 4096;

/// ALSA's default device, captured from a FIFO.
#[derive(Debug)]
pub struct Microphone {
    config: PathBuf,
    fifo: PathBuf,
    /// Held open for reading too: else a client's open would wait for a writer, and a pause would be the end.
    hold: File,
}

impl Microphone {
    /// Writes `asound.conf` and the FIFO `microphone` into `folder`, which exists.
    ///
    /// # Errors
    /// As the file system answers; a FIFO that is there already is used.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let (config, fifo) = (folder.join("asound.conf"), folder.join("microphone"));
        match mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let text = format!(
            "pcm.null {{ type null }}\npcm.!default {{\n    type file\n    slave.pcm null\n    file /dev/null\n    \
             infile {fifo:?}\n    format raw\n}}\n"
        );
        fs::write(&config, text)?;
        let hold = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&fifo)?;
        Ok(Self { config, fifo, hold })
    }

    /// What `ALSA_CONFIG_PATH` must name.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Plays `frame` into the FIFO, in real time, from a thread: it appends the bytes of frame number `.0` (all channels)
    /// to `.1`. When the [`Playing`] is dropped the FIFO ends.
    ///
    /// # Errors
    /// As the file system answers.
    ///
    /// # Panics
    /// Where 20 ms are no whole number of frames. The thread does where they are more than 4096 bytes: two channels of 16
    /// bits at 48 kHz fit.
    pub fn play(self, rate_hz: u32, frame: impl FnMut(u64, &mut Vec<u8>) + Send + 'static) -> io::Result<Playing> {
        assert!(rate_hz > 0 && rate_hz.is_multiple_of(PERIODS_PER_S), "{rate_hz} Hz");
        let (paused, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let lost = Arc::new(AtomicU64::new(0));
        let player = Player {
            fifo: self.hold,
            paused: Arc::clone(&paused),
            over: Arc::clone(&over),
            lost: Arc::clone(&lost),
        };
        let thread = thread::Builder::new()
            .name(format!("playing {}", self.fifo.display()))
            .spawn(move || player.run(u64::from(rate_hz / PERIODS_PER_S), frame))?;
        Ok(Playing {
            paused,
            over,
            lost,
            thread: Some(thread),
        })
    }
}

/// Sound being played into a microphone; the FIFO ends when it is dropped.
#[derive(Debug)]
pub struct Playing {
    paused: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Playing {
    /// Stops writing, or goes on: a device that hangs.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
    }

    /// Frames that nobody took in time.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A signal that panicked has failed the test already.
            let _ = thread.join();
        }
    }
}

struct Player {
    fifo: File,
    paused: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

impl Player {
    #[expect(clippy::disallowed_methods, reason = "a sound card has a clock of its own")]
    fn run(mut self, frames: u64, mut frame: impl FnMut(u64, &mut Vec<u8>)) {
        let (mut bytes, mut nth) = (Vec::new(), 0);
        let mut due = Instant::now();
        while !self.over.load(Ordering::SeqCst) {
            due += PERIOD;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.paused.load(Ordering::SeqCst) {
                continue;
            }
            bytes.clear();
            for _ in 0..frames {
                frame(nth, &mut bytes);
                nth += 1;
            }
            assert!(bytes.len() <= PIPE_BUF, "{} bytes in 20 ms", bytes.len());
            if nth == frames {
                // Sound of long ago must not wait for whoever opens the device. A pipe of another size serves too.
                let _ = fcntl(
                    &self.fifo,
                    FcntlArg::F_SETPIPE_SZ((bytes.len() * 10).try_into().unwrap_or(i32::MAX)),
                );
            }
            if self.fifo.write_all(&bytes).is_err() {
                self.lost.fetch_add(frames, Ordering::SeqCst);
            }
        }
    }
}
