//! Buffers on their way between client and camera, and when the next frame is due.

use std::collections::VecDeque;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use nix::errno::Errno;

use super::spec::{CameraMode, CameraSpec, Interval, Shot, page_aligned};
use super::v4l2;
use crate::channel::Reply;
use crate::clock::monotonic;
use crate::node::{OpenFile, ready};

/// As many as videobuf2 gives.
pub(crate) const MAX_BUFFERS: usize = 32;

/// What became of a camera's frames, since the lab started it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CameraCounts {
    /// Put into a client's buffer.
    pub filled: u64,
    /// Lost because the client had queued no buffer in time.
    pub without_buffer: u64,
    /// Dropped because the test asked for it.
    pub dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// With the client.
    Client,
    Queued,
    Done,
}

#[derive(Debug)]
struct Slot {
    place: Place,
    /// What the page cache holds too; asked for again where the kernel has dropped a page.
    bytes: Arc<RwLock<Vec<u8>>>,
    used: u32,
    sequence: u32,
    stamp: Duration,
    error: bool,
}

/// A frame that is being taken.
#[derive(Debug)]
pub(crate) struct Exposure {
    pub(crate) nodeid: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Arc<RwLock<Vec<u8>>>,
    pub(crate) frame_bytes: usize,
    pub(crate) shot: Shot,
    index: usize,
    epoch: u64,
    error: bool,
}

/// All that changes in a camera.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) spec: CameraSpec,
    pub(crate) mode: CameraMode,
    pub(crate) interval: Interval,
    nodeid: u64,
    /// Moves on when buffers or stream are given up: a frame taken before it is thrown away.
    epoch: u64,
    /// The open file that the buffers belong to.
    pub(crate) owner: Option<OpenFile>,
    slots: Vec<Slot>,
    queued: VecDeque<usize>,
    done: VecDeque<usize>,
    pub(crate) streaming: bool,
    failed: bool,
    first_due: Duration,
    ticks: u64,
    sequence: u32,
    /// `VIDIOC_DQBUF` calls that block.
    pub(crate) waiting: VecDeque<Reply>,
    /// Whom to wake from `poll`.
    pub(crate) pollers: Vec<u64>,
    pub(crate) drop_next: u32,
    pub(crate) corrupt_next: u32,
    pub(crate) stalled: bool,
    pub(crate) counts: CameraCounts,
    pub(crate) ended: bool,
}

/// What the camera's thread does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing before somebody changes something.
    Wait,
    /// Nothing before this much time has passed.
    WaitFor(Duration),
    Take(Exposure),
    End,
}

impl Queue {
    pub(crate) fn new(spec: CameraSpec) -> Self {
        let mode = spec.modes[0].clone();
        Self {
            interval: mode.intervals[0],
            mode,
            spec,
            nodeid: 0,
            epoch: 0,
            owner: None,
            slots: Vec::new(),
            queued: VecDeque::new(),
            done: VecDeque::new(),
            streaming: false,
            failed: false,
            first_due: Duration::ZERO,
            ticks: 0,
            sequence: 0,
            waiting: VecDeque::new(),
            pollers: Vec::new(),
            drop_next: 0,
            corrupt_next: 0,
            stalled: false,
            counts: CameraCounts::default(),
            ended: false,
        }
    }

    /// A camera that has just been plugged in.
    pub(crate) fn power_on(&mut self, nodeid: u64) {
        self.nodeid = nodeid;
        self.set_mode(self.spec.modes[0].clone());
        self.free();
    }

    /// Sets a mode; of its rates, the nearest to the one before.
    pub(crate) fn set_mode(&mut self, mode: CameraMode) {
        self.mode = mode;
        self.set_interval(self.interval);
    }

    pub(crate) fn set_interval(&mut self, wanted: Interval) {
        let distance = |interval: &Interval| (interval.seconds() - wanted.seconds()).abs();
        if let Some(nearest) = self
            .mode
            .intervals
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        {
            self.interval = *nearest;
        }
    }

    /// Whether buffers exist, so that the format stands.
    pub(crate) fn is_busy(&self) -> bool {
        !self.slots.is_empty()
    }

    pub(crate) fn allocate(&mut self, count: usize) -> usize {
        self.free();
        let bytes = page_aligned(self.mode.frame_bytes() as usize);
        self.slots = (0..count.min(MAX_BUFFERS))
            .map(|_| Slot {
                place: Place::Client,
                bytes: Arc::new(RwLock::new(vec![0; bytes])),
                used: 0,
                sequence: 0,
                stamp: Duration::ZERO,
                error: false,
            })
            .collect();
        self.slots.len()
    }

    pub(crate) fn free(&mut self) {
        self.stop(Errno::EINVAL);
        self.slots.clear();
        self.owner = None;
    }

    pub(crate) fn start(&mut self) {
        self.streaming = true;
        self.sequence = 0;
        self.schedule();
    }

    /// The next frame is due one period from now.
    pub(crate) fn schedule(&mut self) {
        self.first_due = monotonic() + self.interval.times(1);
        self.ticks = 0;
    }

    /// Every buffer goes back to the client; who blocks in `VIDIOC_DQBUF` gets `errno`.
    pub(crate) fn stop(&mut self, errno: Errno) {
        self.streaming = false;
        self.failed = false;
        self.epoch += 1;
        self.queued.clear();
        self.done.clear();
        for slot in &mut self.slots {
            slot.place = Place::Client;
        }
        for reply in self.waiting.drain(..) {
            reply.error(errno);
        }
    }

    /// A fatal error: the client has to stream anew.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
        for reply in self.waiting.drain(..) {
            reply.error(Errno::EIO);
        }
    }

    pub(crate) fn queue(&mut self, index: usize) -> Result<(), Errno> {
        let slot = self.slots.get_mut(index).ok_or(Errno::EINVAL)?;
        if slot.place != Place::Client {
            return Err(Errno::EINVAL);
        }
        slot.place = Place::Queued;
        self.queued.push_back(index);
        Ok(())
    }

    /// The oldest full buffer, or `EAGAIN`.
    pub(crate) fn dequeue(&mut self) -> Result<v4l2::Buffer, Errno> {
        if !self.streaming {
            return Err(Errno::EINVAL);
        }
        if self.failed {
            return Err(Errno::EIO);
        }
        let index = self.done.pop_front().ok_or(Errno::EAGAIN)?;
        let mut buffer = self.describe(index).ok_or(Errno::EINVAL)?;
        buffer.flags &= !v4l2::BUF_DONE;
        self.slots[index].place = Place::Client;
        Ok(buffer)
    }

    pub(crate) fn ready(&self) -> u32 {
        if !self.streaming || self.failed {
            ready::ERR
        } else if self.done.is_empty() {
            0
        } else {
            ready::IN
        }
    }

    pub(crate) fn describe(&self, index: usize) -> Option<v4l2::Buffer> {
        let slot = self.slots.get(index)?;
        let place = match slot.place {
            Place::Client => 0,
            Place::Queued => v4l2::BUF_QUEUED,
            Place::Done => v4l2::BUF_DONE,
        };
        let (error, source) = (slot.error && slot.place == Place::Done, self.spec.exposure.is_some());
        Some(v4l2::Buffer {
            index: index as u32,
            kind: v4l2::CAPTURE,
            bytesused: slot.used,
            flags: v4l2::BUF_MAPPED
                | v4l2::BUF_STAMP_MONOTONIC
                | place
                | if error { v4l2::BUF_ERROR } else { 0 }
                | if source { v4l2::BUF_STAMP_START_OF_EXPOSURE } else { 0 },
            field: v4l2::FIELD_NONE,
            padding: 0,
            seconds: slot.stamp.as_secs() as i64,
            microseconds: slot.stamp.subsec_micros().into(),
            timecode: [0; 4],
            sequence: slot.sequence,
            memory: v4l2::MEMORY_MMAP,
            offset: u32::try_from(index * self.spec.slot_bytes()).unwrap_or(u32::MAX),
            offset_padding: 0,
            length: page_aligned(self.mode.frame_bytes() as usize) as u32,
            reserved: [0; 3],
        })
    }

    /// What the kernel's page at `offset` should hold.
    pub(crate) fn slot_at(&self, offset: u64) -> Option<(Arc<RwLock<Vec<u8>>>, usize)> {
        let offset = usize::try_from(offset).ok()?;
        let slot = self.slots.get(offset / self.spec.slot_bytes())?;
        Some((Arc::clone(&slot.bytes), offset % self.spec.slot_bytes()))
    }

    /// What to do now. Frames keep to their schedule: a late one is not shifted, and none is left out for being late.
    pub(crate) fn next(&mut self) -> Next {
        loop {
            if self.ended {
                return Next::End;
            }
            if !self.streaming || self.failed || self.stalled {
                return Next::Wait;
            }
            let due = self.first_due + self.interval.times(self.ticks);
            let now = monotonic();
            if now < due {
                return Next::WaitFor(due - now);
            }
            self.ticks += 1;
            let sequence = self.sequence;
            self.sequence = sequence.wrapping_add(1);
            if self.drop_next > 0 {
                self.drop_next -= 1;
                self.counts.dropped += 1;
                continue;
            }
            let Some(index) = self.queued.pop_front() else {
                self.counts.without_buffer += 1;
                continue;
            };
            let error = self.corrupt_next > 0;
            self.corrupt_next -= u32::from(error);
            return Next::Take(Exposure {
                nodeid: self.nodeid,
                offset: (index * self.spec.slot_bytes()) as u64,
                bytes: Arc::clone(&self.slots[index].bytes),
                frame_bytes: self.mode.frame_bytes() as usize,
                shot: Shot {
                    sequence,
                    format: self.mode.format,
                    width: self.mode.width,
                    height: self.mode.height,
                    stamp: due.saturating_sub(self.spec.exposure.unwrap_or_default()),
                },
                index,
                epoch: self.epoch,
                error,
            });
        }
    }

    /// The frame is in the client's mapping. Whether the client is to be told.
    pub(crate) fn finish(&mut self, exposure: &Exposure, used: usize) -> bool {
        if exposure.epoch != self.epoch {
            return false;
        }
        let slot = &mut self.slots[exposure.index];
        slot.place = Place::Done;
        slot.used = used as u32;
        slot.sequence = exposure.shot.sequence;
        slot.stamp = exposure.shot.stamp;
        slot.error = exposure.error;
        self.done.push_back(exposure.index);
        self.counts.filled += 1;
        true
    }
}
