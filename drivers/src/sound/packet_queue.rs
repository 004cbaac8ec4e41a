//! Packets of sound from the audio callback to the thread that reads.
//!
//! The callback runs where a missed deadline is lost sound: it takes no lock, allocates nothing and never waits. What does
//! not fit is dropped, and the gap in the frame numbers says so.

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use sensebind_core::{Clock, ErrorKind, SourceError, Timestamp};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Sound beyond twice the rate that is taken for a backlog; more is a device that runs free.
const BACKLOG: Duration = Duration::from_secs(5);

/// What is known of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Frames (samples of all channels) before it, as far as the callback saw them.
    pub first_frame: u64,
    /// When its first frame was captured, at the latest.
    pub captured: Timestamp,
    /// Times the device had lost sound before it, an unknown amount each.
    pub overruns: u64,
    /// Its length.
    pub bytes: usize,
}

/// What the callback's sound is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub rate_hz: u32,
    pub frame_bytes: usize,
    /// The most the queue holds.
    pub packets: usize,
    pub packet_bytes: usize,
}

/// Both ends of an empty queue.
///
/// # Errors
/// When the kernel has no more file descriptors.
pub(crate) fn packet_queue(shape: Shape, clock: &Arc<dyn Clock>) -> io::Result<(Sender, Receiver)> {
    let shared = Arc::new(Shared {
        wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        overruns: AtomicU64::new(0),
        failure: OnceLock::new(),
    });
    let (packets, packets_out) = HeapRb::new(shape.packets).split();
    let (bytes, bytes_out) = HeapRb::new(shape.packets * shape.packet_bytes).split();
    let sender = Sender {
        packets,
        bytes,
        clock: Arc::clone(clock),
        shape,
        frames: 0,
        since: None,
        ahead_ns: 0.0,
        shared: Arc::clone(&shared),
    };
    let receiver = Receiver {
        packets: packets_out,
        bytes: bytes_out,
        shared,
    };
    Ok((sender, receiver))
}

#[derive(Debug)]
struct Shared {
    /// Readable when something was sent since it was read.
    wake: OwnedFd,
    overruns: AtomicU64,
    failure: OnceLock<SourceError>,
}

impl Shared {
    fn wake(&self) {
        // It can only fail when it is readable already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn fail(&self, error: SourceError) {
        // The first failure is the cause of the others.
        let _ = self.failure.set(error);
        self.wake();
    }
}

/// Reports what the callback's thread learns besides sound.
#[derive(Debug, Clone)]
pub(crate) struct Reporter(Arc<Shared>);

impl Reporter {
    /// The device lost sound.
    pub fn overrun(&self) {
        self.0.overruns.fetch_add(1, Ordering::Relaxed);
    }

    /// There will be no more.
    pub fn fail(&self, error: SourceError) {
        self.0.fail(error);
    }
}

/// The callback's end.
pub(crate) struct Sender {
    packets: HeapProd<Packet>,
    bytes: HeapProd<u8>,
    clock: Arc<dyn Clock>,
    shape: Shape,
    /// Seen so far, dropped ones included.
    frames: u64,
    since: Option<Timestamp>,
    /// How much more sound came than twice the time that went by.
    ahead_ns: f64,
    shared: Arc<Shared>,
}

impl Sender {
    /// For the callback that hears of errors.
    pub fn reporter(&self) -> Reporter {
        Reporter(Arc::clone(&self.shared))
    }

    /// Takes what the device delivered now; its first frame is `age` old, or older where that cannot be.
    pub fn send(&mut self, bytes: &[u8], age: Duration) {
        if self.shared.failure.get().is_some() {
            return;
        }
        let now = self.clock.now();
        let frames = (bytes.len() / self.shape.frame_bytes.max(1)) as u64;
        // Its last frame was captured by now, so its first at least as long ago as the packet is.
        let length = Duration::from_nanos(frames * 1_000_000_000 / u64::from(self.shape.rate_hz.max(1)));
        let packet = Packet {
            first_frame: self.frames,
            captured: now.before(age.max(length)),
            overruns: self.shared.overruns.load(Ordering::Relaxed),
            bytes: bytes.len(),
        };
        self.frames += frames;
        if self.runs_free(now, length) {
            self.shared.fail(SourceError::new(
                ErrorKind::Reopen,
                format!(
                    "sound comes far faster than {} samples per second: the device has ended and repeats itself",
                    self.shape.rate_hz
                ),
            ));
        } else if self.packets.vacant_len() > 0 && self.bytes.vacant_len() >= bytes.len() {
            self.bytes.push_slice(bytes);
            // There is room, and nobody else fills it.
            let _ = self.packets.try_push(packet);
            self.shared.wake();
        }
    }

    fn runs_free(&mut self, now: Timestamp, length: Duration) -> bool {
        let gone_by = now.since(self.since.replace(now).unwrap_or(now));
        self.ahead_ns += length.as_nanos() as f64 - 2.0 * gone_by.as_nanos() as f64;
        self.ahead_ns = self.ahead_ns.max(0.0);
        self.ahead_ns > BACKLOG.as_nanos() as f64
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("shape", &self.shape)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

/// The reading thread's end.
pub(crate) struct Receiver {
    packets: HeapCons<Packet>,
    bytes: HeapCons<u8>,
    shared: Arc<Shared>,
}

impl Receiver {
    /// The next packet, its bytes in `into`; `None` when none came within about `timeout`.
    ///
    /// # Errors
    /// What the callback's thread reported, at once and from then on: what was still queued is stale by then.
    pub fn receive(&mut self, timeout: Duration, into: &mut Vec<u8>) -> Result<Option<Packet>, SourceError> {
        // A first wake may be left over from a packet that was taken already; a second is a new one.
        for _ in 0..2 {
            if let Some(packet) = self.take(into)? {
                return Ok(Some(packet));
            }
            if !self.wait(timeout) {
                break;
            }
        }
        self.take(into)
    }

    fn take(&mut self, into: &mut Vec<u8>) -> Result<Option<Packet>, SourceError> {
        if let Some(error) = self.shared.failure.get() {
            return Err(error.clone());
        }
        let Some(packet) = self.packets.try_pop() else {
            return Ok(None);
        };
        into.resize(packet.bytes, 0);
        self.bytes.pop_slice(into);
        Ok(Some(packet))
    }

    /// Whether something was sent.
    fn wait(&self, timeout: Duration) -> bool {
        let mut wake = [PollFd::new(&self.shared.wake, PollFlags::IN)];
        let timeout = Timespec::try_from(timeout).ok();
        // An interrupted wait is a short one.
        let woken = poll(&mut wake, timeout.as_ref()).is_ok_and(|ready| ready > 0);
        if woken {
            let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        }
        woken
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("waiting", &self.packets.occupied_len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_clock::HostClock;

    /// A packet is ten frames of two bytes at 1 kHz.
    const SHAPE: Shape = Shape {
        rate_hz: 1000,
        frame_bytes: 2,
        packets: 4,
        packet_bytes: 20,
    };

    fn queue() -> (Sender, Receiver) {
        let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
        packet_queue(SHAPE, &clock).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_leaves_a_gap() {
        let (mut sender, mut receiver) = queue();
        for nth in 0..6 {
            sender.send(&[nth; 20], Duration::ZERO);
        }
        let mut bytes = Vec::new();
        for nth in 0..4u8 {
            let packet = receiver.receive(Duration::ZERO, &mut bytes).unwrap().unwrap();
            assert_eq!((packet.first_frame, &bytes[..]), (u64::from(nth) * 10, &[nth; 20][..]));
        }
        assert_eq!(receiver.receive(Duration::ZERO, &mut bytes).unwrap(), None);
        sender.send(&[9; 20], Duration::ZERO);
        let packet = receiver.receive(Duration::ZERO, &mut bytes).unwrap().unwrap();
        assert_eq!((packet.first_frame, bytes[0]), (60, 9));
    }

    #[test]
    fn a_packet_is_as_old_as_it_is_long_or_as_the_device_says() {
        let (mut sender, mut receiver) = queue();
        let mut bytes = Vec::new();
        for (said, least) in [(0, 10), (25, 25)] {
            let before = sender.clock.now();
            sender.send(&[0; 20], Duration::from_millis(said));
            let packet = receiver.receive(Duration::ZERO, &mut bytes).unwrap().unwrap();
            let age = Duration::from_millis(least);
            assert!(packet.captured >= before.before(age) && packet.captured <= sender.clock.now().before(age));
        }
    }

    #[test]
    fn a_reader_wakes_for_sound_and_for_the_end() {
        let (mut sender, mut receiver) = queue();
        let reporter = sender.reporter();
        let mut bytes = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                sender.send(&[1; 20], Duration::ZERO);
                reporter.overrun();
                sender.send(&[2; 20], Duration::ZERO);
            });
            let long = Duration::from_secs(60);
            assert_eq!(receiver.receive(long, &mut bytes).unwrap().unwrap().overruns, 0);
            assert_eq!(receiver.receive(long, &mut bytes).unwrap().unwrap().overruns, 1);
            scope.spawn(|| reporter.fail(SourceError::new(ErrorKind::Gone, "pulled")));
            for _ in 0..2 {
                let error = receiver.receive(long, &mut bytes).unwrap_err();
                assert_eq!((error.kind, &error.message[..]), (ErrorKind::Gone, "pulled"));
            }
        });
    }

    #[test]
    fn a_device_that_runs_free_is_an_error_a_backlog_is_not() {
        let (mut sender, mut receiver) = queue();
        let mut bytes = Vec::new();
        // Four seconds of sound at once.
        for _ in 0..400 {
            sender.send(&[0; 20], Duration::ZERO);
        }
        assert!(receiver.receive(Duration::ZERO, &mut bytes).unwrap().is_some());
        for _ in 0..100_000 {
            sender.send(&[0; 20], Duration::ZERO);
        }
        let error = receiver.receive(Duration::ZERO, &mut bytes).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Reopen);
        assert!(error.message.contains("1000"), "{error}");
    }
}
