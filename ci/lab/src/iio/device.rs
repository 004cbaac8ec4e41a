//! The IIO device itself: its file of scans, and the thread that samples.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::buffer::{Buffer, CLOCKS};
use super::spec::{IioSpec, ScanType};
use crate::channel::{Channel, Reply};
use crate::clock::monotonic;
use crate::lock::lock;
use crate::node::{Node, OpenFile, ready};

/// Gives the value of every channel for the scan of a number.
type Source = Box<dyn FnMut(u64, &mut [i64]) + Send>;

pub(crate) struct State {
    pub(crate) buffer: Buffer,
    pub(crate) rate_hz: f64,
    pub(crate) clock: (&'static str, ClockId),
    source: Source,
    first_due: Duration,
    /// The time stamps' clock less `CLOCK_MONOTONIC`, when sampling began.
    clock_offset_ns: i64,
    ticks: u64,
    stalled: bool,
    ended: bool,
    /// The one file that may be open.
    open: Option<OpenFile>,
    nonblocking: BTreeSet<OpenFile>,
    waiting: Vec<(usize, Reply)>,
    pollers: Vec<u64>,
}

impl State {
    /// The next sample is due one period from now.
    pub(crate) fn schedule(&mut self) {
        self.ticks = 0;
        let now = monotonic();
        let stamp = clock_gettime(self.clock.1).map_or(now, Duration::from);
        self.clock_offset_ns = stamp.as_nanos() as i64 - now.as_nanos() as i64;
        self.first_due = now + Duration::from_secs_f64(1.0 / self.rate_hz);
    }

    fn next_due(&self) -> Duration {
        self.first_due + Duration::from_secs_f64(self.ticks as f64 / self.rate_hz)
    }

    fn sample(&mut self, due: Duration) {
        self.ticks += 1;
        let mut values = vec![0; self.buffer.channels.len() - 1];
        let taken = self.buffer.taken;
        let source = &mut self.source;
        if catch_unwind(AssertUnwindSafe(|| source(taken, &mut values))).is_err() {
            // The panic is on standard error; like a driver whose bus fails, no sample comes any more.
            self.stalled = true;
            return;
        }
        // Stamped with the schedule: exact, however late this thread is.
        self.buffer.push(&values, due.as_nanos() as i64 + self.clock_offset_ns);
    }
}

/// The node of the character device; the attributes are nodes of their own.
pub(crate) struct IioDevice {
    channel: Channel,
    spec: IioSpec,
    state: Mutex<State>,
    changed: Condvar,
}

impl IioDevice {
    pub(crate) fn new(channel: &Channel, spec: IioSpec, source: Source) -> Self {
        Self {
            channel: channel.clone(),
            state: Mutex::new(State {
                buffer: Buffer::new(spec.channels.clone()),
                rate_hz: spec.rate_hz,
                clock: CLOCKS[0],
                source,
                first_due: Duration::ZERO,
                clock_offset_ns: 0,
                ticks: 0,
                stalled: false,
                ended: false,
                open: None,
                nonblocking: BTreeSet::new(),
                waiting: Vec::new(),
                pollers: Vec::new(),
            }),
            spec,
            changed: Condvar::new(),
        }
    }

    pub(crate) fn spec(&self) -> &IioSpec {
        &self.spec
    }

    pub(crate) fn scan_channels(&self) -> Vec<(String, ScanType)> {
        lock(&self.state).buffer.channels.clone()
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut lock(&self.state));
        self.changed.notify_all();
        result
    }

    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.change(|state| {
            state.stalled = stalled;
            state.schedule();
        });
    }

    pub(crate) fn scans(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.buffer.taken, state.buffer.lost)
    }

    /// A channel's value now; `EBUSY` while the buffer runs.
    pub(crate) fn raw(&self, index: usize) -> Result<i64, Errno> {
        let mut state = lock(&self.state);
        state.buffer.idle()?;
        let mut values = vec![0; state.buffer.channels.len() - 1];
        let taken = state.buffer.taken;
        (state.source)(taken, &mut values);
        values.get(index).copied().ok_or(Errno::EINVAL)
    }

    /// Gives scans to a read that waits, else wakes who polls.
    fn serve(&self, state: &mut State) {
        if let Some((size, reply)) = state.waiting.pop() {
            match state.buffer.take(size, false) {
                Ok(scans) => reply.bytes(&scans),
                Err(Errno::EAGAIN) => state.waiting.push((size, reply)),
                Err(errno) => reply.error(errno),
            }
        }
        if state.buffer.is_ready() {
            for poller in state.pollers.drain(..) {
                self.channel.wake_poll(poller);
            }
        }
    }
}

/// Samples until the lab goes.
pub(crate) fn sample(device: &IioDevice) {
    let mut state = lock(&device.state);
    while !state.ended {
        if !state.buffer.enabled || state.stalled {
            state = device.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let (due, now) = (state.next_due(), monotonic());
        if now < due {
            state = device
                .changed
                .wait_timeout(state, due - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            continue;
        }
        state.sample(due);
        device.serve(&mut state);
    }
}

impl fmt::Debug for IioDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IioDevice")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl Node for IioDevice {
    fn permissions(&self) -> u32 {
        0o600
    }

    fn open(&self, file: OpenFile, nonblocking: bool) -> Result<(), Errno> {
        let mut state = lock(&self.state);
        if state.open.is_some() {
            return Err(Errno::EBUSY);
        }
        state.open = Some(file);
        if nonblocking {
            state.nonblocking.insert(file);
        }
        Ok(())
    }

    fn release(&self, file: OpenFile) {
        let mut state = lock(&self.state);
        state.nonblocking.remove(&file);
        if state.open == Some(file) {
            state.open = None;
        }
    }

    fn read(&self, file: OpenFile, _offset: u64, size: usize, reply: Reply) {
        let mut state = lock(&self.state);
        let nonblocking = state.nonblocking.contains(&file);
        match state.buffer.take(size, nonblocking) {
            Ok(scans) => reply.bytes(&scans),
            Err(Errno::EAGAIN) if !nonblocking => state.waiting.push((size, reply)),
            Err(errno) => reply.error(errno),
        }
    }

    fn poll(&self, _file: OpenFile, wake: Option<u64>) -> u32 {
        let mut state = lock(&self.state);
        if let Some(wake) = wake
            && !state.pollers.contains(&wake)
        {
            state.pollers.push(wake);
        }
        if state.buffer.is_ready() { ready::IN } else { 0 }
    }

    fn interrupt(&self, unique: u64) {
        let mut state = lock(&self.state);
        if let Some(at) = state.waiting.iter().position(|(_, reply)| reply.unique() == unique) {
            state.waiting.remove(at).1.error(Errno::EINTR);
        }
    }

    fn plugged(&self, _nodeid: u64) {
        self.change(|state| {
            state.buffer = Buffer::new(self.spec.channels.clone());
            state.rate_hz = self.spec.rate_hz;
            state.clock = CLOCKS[0];
            state.open = None;
        });
    }

    fn unplugged(&self) {
        self.change(|state| {
            state.buffer.enabled = false;
            state.open = None;
            for (_, reply) in state.waiting.drain(..) {
                reply.error(Errno::ENODEV);
            }
            for poller in state.pollers.drain(..) {
                self.channel.wake_poll(poller);
            }
        });
    }

    fn shut_down(&self) {
        self.change(|state| state.ended = true);
    }
}
