//! The camera's node: V4L2's calls, and the thread that takes the pictures.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, PoisonError};

use nix::errno::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::queue::{CameraCounts, Exposure, MAX_BUFFERS, Next, Queue};
use super::spec::{CameraMode, CameraSpec, Interval, PixelFormat, Shot, page_aligned};
use super::v4l2;
use crate::channel::{Channel, Reply};
use crate::lock::lock;
use crate::node::{Ioctl, Node, OpenFile};

/// The node.
pub(crate) struct CameraNode {
    channel: Channel,
    slot_bytes: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
    nonblocking: Mutex<BTreeSet<OpenFile>>,
}

impl CameraNode {
    pub(crate) fn new(channel: &Channel, spec: CameraSpec) -> Self {
        Self {
            channel: channel.clone(),
            slot_bytes: spec.slot_bytes(),
            queue: Mutex::new(Queue::new(spec)),
            changed: Condvar::new(),
            nonblocking: Mutex::new(BTreeSet::new()),
        }
    }

    /// Changes something that the camera's thread and the client may wait for.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = lock(&self.queue);
        let result = change(&mut queue);
        if queue.ready() != 0 {
            for poller in queue.pollers.drain(..) {
                self.channel.wake_poll(poller);
            }
        }
        drop(queue);
        self.changed.notify_all();
        result
    }

    pub(crate) fn counts(&self) -> CameraCounts {
        lock(&self.queue).counts
    }

    /// Blocks for the next frame that has a buffer; `None` when the lab goes.
    fn next_exposure(&self) -> Option<Exposure> {
        let mut queue = lock(&self.queue);
        loop {
            queue = match queue.next() {
                Next::End => return None,
                Next::Take(exposure) => return Some(exposure),
                Next::Wait => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Next::WaitFor(time) => {
                    self.changed
                        .wait_timeout(queue, time)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    fn finish(&self, exposure: &Exposure, used: usize) {
        let mut queue = lock(&self.queue);
        if !queue.finish(exposure, used) {
            return;
        }
        if let Some(reply) = queue.waiting.pop_front() {
            match queue.dequeue() {
                Ok(buffer) => reply.ioctl(0, buffer.as_bytes()),
                Err(errno) => reply.error(errno),
            }
        } else {
            for poller in queue.pollers.drain(..) {
                self.channel.wake_poll(poller);
            }
        }
    }
}

/// Takes picture after picture, until the lab goes.
pub(crate) fn expose(node: &CameraNode, mut picture: impl FnMut(&Shot, &mut [u8]) -> usize) {
    while let Some(exposure) = node.next_exposure() {
        let size = exposure.frame_bytes;
        let taken = {
            let mut bytes = exposure.bytes.write().unwrap_or_else(PoisonError::into_inner);
            let into = &mut bytes[..size];
            catch_unwind(AssertUnwindSafe(|| picture(&exposure.shot, into).min(size)))
        };
        let Ok(used) = taken else {
            // A panic in the test's picture is on standard error; the client must not wait for ever.
            node.change(Queue::fail);
            continue;
        };
        let bytes = exposure.bytes.read().unwrap_or_else(PoisonError::into_inner);
        // It fails where the camera was pulled meanwhile: nobody maps it then.
        let _ = node
            .channel
            .store(exposure.nodeid, exposure.offset, &bytes[..page_aligned(used)]);
        drop(bytes);
        node.finish(&exposure, used);
    }
}

impl fmt::Debug for CameraNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CameraNode").finish_non_exhaustive()
    }
}

impl Node for CameraNode {
    fn mapped_bytes(&self) -> Option<u64> {
        Some((MAX_BUFFERS * self.slot_bytes) as u64)
    }

    fn open(&self, file: OpenFile, nonblocking: bool) -> Result<(), Errno> {
        if nonblocking {
            lock(&self.nonblocking).insert(file);
        }
        Ok(())
    }

    fn release(&self, file: OpenFile) {
        lock(&self.nonblocking).remove(&file);
        self.change(|queue| {
            if queue.owner == Some(file) {
                queue.free();
            }
        });
    }

    fn ioctl(&self, call: &Ioctl<'_>, reply: Reply) {
        if call.command == v4l2::DQBUF {
            return self.dequeue(call, reply);
        }
        match self.change(|queue| control(queue, call)) {
            Ok(out) => reply.ioctl(0, &out),
            Err(errno) => reply.error(errno),
        }
    }

    /// A page that the kernel does not hold (any more).
    fn read(&self, _file: OpenFile, offset: u64, size: usize, reply: Reply) {
        let slot = lock(&self.queue).slot_at(offset);
        let mut page = vec![0; size];
        if let Some((bytes, from)) = slot {
            let bytes = bytes.read().unwrap_or_else(PoisonError::into_inner);
            page.iter_mut()
                .zip(bytes.iter().skip(from))
                .for_each(|(to, from)| *to = *from);
        }
        reply.bytes(&page);
    }

    /// What a client wrote into its mapping is its own affair.
    fn write(&self, _file: OpenFile, bytes: &[u8], reply: Reply) {
        reply.written(bytes.len());
    }

    fn poll(&self, _file: OpenFile, wake: Option<u64>) -> u32 {
        let mut queue = lock(&self.queue);
        if let Some(wake) = wake
            && !queue.pollers.contains(&wake)
        {
            queue.pollers.push(wake);
        }
        queue.ready()
    }

    fn interrupt(&self, unique: u64) {
        let mut queue = lock(&self.queue);
        if let Some(at) = queue.waiting.iter().position(|reply| reply.unique() == unique)
            && let Some(reply) = queue.waiting.remove(at)
        {
            reply.error(Errno::EINTR);
        }
    }

    fn plugged(&self, nodeid: u64) {
        self.change(|queue| queue.power_on(nodeid));
    }

    fn unplugged(&self) {
        // `change` wakes the pollers, whose next poll finds the node gone.
        self.change(|queue| {
            queue.stop(Errno::EINVAL);
            queue.owner = None;
        });
    }

    fn shut_down(&self) {
        self.change(|queue| queue.ended = true);
    }
}

impl CameraNode {
    fn dequeue(&self, call: &Ioctl<'_>, reply: Reply) {
        let blocks = !lock(&self.nonblocking).contains(&call.file);
        let wanted = parse::<v4l2::Buffer>(call.input);
        let mut queue = lock(&self.queue);
        let answer = wanted.and_then(|wanted| {
            check(
                wanted.kind == v4l2::CAPTURE && wanted.memory == v4l2::MEMORY_MMAP,
                Errno::EINVAL,
            )?;
            queue.dequeue()
        });
        match answer {
            Ok(buffer) => reply.ioctl(0, buffer.as_bytes()),
            Err(Errno::EAGAIN) if blocks => queue.waiting.push_back(reply),
            Err(errno) => reply.error(errno),
        }
    }
}

fn parse<T: FromBytes>(input: &[u8]) -> Result<T, Errno> {
    T::read_from_bytes(input).map_err(|_| Errno::EINVAL)
}

fn check(fine: bool, otherwise: Errno) -> Result<(), Errno> {
    if fine { Ok(()) } else { Err(otherwise) }
}

/// Reads the argument, lets `fill` change it, gives it back.
fn answer<T: FromBytes + IntoBytes + Immutable>(
    call: &Ioctl<'_>,
    fill: impl FnOnce(&mut T) -> Result<(), Errno>,
) -> Result<Vec<u8>, Errno> {
    let mut argument = parse::<T>(call.input)?;
    fill(&mut argument)?;
    Ok(argument.as_bytes().to_vec())
}

/// Every call but `VIDIOC_DQBUF`, which may block.
fn control(queue: &mut Queue, call: &Ioctl<'_>) -> Result<Vec<u8>, Errno> {
    match call.command {
        v4l2::QUERYCAP => Ok(capability(&queue.spec).as_bytes().to_vec()),
        v4l2::ENUM_FMT => answer(call, |out: &mut v4l2::FormatDescription| {
            check(out.kind == v4l2::CAPTURE, Errno::EINVAL)?;
            let format = *queue.spec.formats().get(out.index as usize).ok_or(Errno::EINVAL)?;
            out.flags = if format == PixelFormat::Mjpg {
                v4l2::FMT_FLAG_COMPRESSED
            } else {
                0
            };
            out.description = v4l2::text(format.description());
            out.pixelformat = format.fourcc();
            Ok(())
        }),
        v4l2::ENUM_FRAMESIZES => answer(call, |out: &mut v4l2::FrameSize| {
            let mode = queue
                .spec
                .modes
                .iter()
                .filter(|mode| mode.format.fourcc() == out.pixel_format)
                .nth(out.index as usize)
                .ok_or(Errno::EINVAL)?;
            out.kind = v4l2::FRAME_TYPE_DISCRETE;
            (out.width, out.height) = (mode.width, mode.height);
            Ok(())
        }),
        v4l2::ENUM_FRAMEINTERVALS => answer(call, |out: &mut v4l2::FrameInterval| {
            let interval = queue
                .spec
                .modes
                .iter()
                .filter(|mode| mode.format.fourcc() == out.pixel_format)
                .find(|mode| (mode.width, mode.height) == (out.width, out.height))
                .and_then(|mode| mode.intervals.get(out.index as usize))
                .ok_or(Errno::EINVAL)?;
            out.kind = v4l2::FRAME_TYPE_DISCRETE;
            (out.numerator, out.denominator) = (interval.numerator, interval.denominator);
            Ok(())
        }),
        v4l2::G_FMT | v4l2::S_FMT | v4l2::TRY_FMT => answer(call, |out: &mut v4l2::Format| {
            check(out.kind == v4l2::CAPTURE, Errno::EINVAL)?;
            if call.command == v4l2::G_FMT {
                fill_format(out, &queue.mode);
                return Ok(());
            }
            let mode = queue.spec.nearest(out.pixelformat, out.width, out.height).clone();
            fill_format(out, &mode);
            if call.command == v4l2::S_FMT {
                check(!queue.is_busy(), Errno::EBUSY)?;
                queue.set_mode(mode);
            }
            Ok(())
        }),
        v4l2::G_PARM | v4l2::S_PARM => answer(call, |out: &mut v4l2::StreamParameters| {
            check(out.kind == v4l2::CAPTURE, Errno::EINVAL)?;
            if call.command == v4l2::S_PARM {
                check(!queue.streaming, Errno::EBUSY)?;
                // A zero asks for the default.
                let wanted = if out.numerator == 0 || out.denominator == 0 {
                    queue.mode.intervals[0]
                } else {
                    Interval::new(out.numerator, out.denominator)
                };
                queue.set_interval(wanted);
            }
            out.capability = v4l2::CAP_TIMEPERFRAME;
            out.capturemode = 0;
            (out.numerator, out.denominator) = (queue.interval.numerator, queue.interval.denominator);
            out.rest.fill(0);
            Ok(())
        }),
        v4l2::ENUMINPUT => answer(call, |out: &mut v4l2::Input| {
            check(out.index == 0, Errno::EINVAL)?;
            out.name = v4l2::text("Camera 1");
            out.kind = v4l2::INPUT_TYPE_CAMERA;
            out.rest.fill(0);
            Ok(())
        }),
        v4l2::G_INPUT => Ok(vec![0; 4]),
        v4l2::S_INPUT => answer(call, |index: &mut u32| check(*index == 0, Errno::EINVAL)),
        v4l2::REQBUFS => answer(call, |out: &mut v4l2::RequestBuffers| {
            check(
                out.kind == v4l2::CAPTURE && out.memory == v4l2::MEMORY_MMAP,
                Errno::EINVAL,
            )?;
            check(!queue.streaming, Errno::EBUSY)?;
            check(queue.owner.is_none_or(|owner| owner == call.file), Errno::EBUSY)?;
            out.count = queue.allocate(out.count as usize) as u32;
            queue.owner = (out.count > 0).then_some(call.file);
            out.capabilities = v4l2::BUF_CAP_SUPPORTS_MMAP;
            out.flags = 0;
            Ok(())
        }),
        v4l2::QUERYBUF | v4l2::QBUF => answer(call, |buffer: &mut v4l2::Buffer| {
            check(buffer.kind == v4l2::CAPTURE, Errno::EINVAL)?;
            let index = buffer.index as usize;
            if call.command == v4l2::QBUF {
                check(buffer.memory == v4l2::MEMORY_MMAP, Errno::EINVAL)?;
                check(queue.owner == Some(call.file), Errno::EBUSY)?;
                queue.queue(index)?;
            }
            *buffer = queue.describe(index).ok_or(Errno::EINVAL)?;
            Ok(())
        }),
        v4l2::STREAMON | v4l2::STREAMOFF => {
            check(parse::<u32>(call.input)? == v4l2::CAPTURE, Errno::EINVAL)?;
            check(queue.owner.is_none_or(|owner| owner == call.file), Errno::EBUSY)?;
            if call.command == v4l2::STREAMOFF {
                queue.stop(Errno::EINVAL);
            } else if !queue.streaming {
                check(queue.is_busy(), Errno::EINVAL)?;
                queue.start();
            }
            Ok(Vec::new())
        }
        _ => Err(Errno::ENOTTY),
    }
}

fn capability(spec: &CameraSpec) -> v4l2::Capability {
    let device_caps = v4l2::CAP_VIDEO_CAPTURE | v4l2::CAP_STREAMING | v4l2::CAP_EXT_PIX_FORMAT;
    v4l2::Capability {
        driver: v4l2::text(&spec.driver),
        card: v4l2::text(&spec.card),
        bus_info: v4l2::text(&spec.bus),
        version: 0x0006_0100,
        capabilities: device_caps | v4l2::CAP_DEVICE_CAPS,
        device_caps,
        reserved: [0; 3],
    }
}

fn fill_format(out: &mut v4l2::Format, mode: &CameraMode) {
    *out = v4l2::Format {
        kind: v4l2::CAPTURE,
        padding: 0,
        width: mode.width,
        height: mode.height,
        pixelformat: mode.format.fourcc(),
        field: v4l2::FIELD_NONE,
        bytesperline: mode.format.line_bytes(mode.width),
        sizeimage: mode.frame_bytes(),
        colorspace: v4l2::COLORSPACE_SRGB,
        private: 0,
        rest: [0; 42],
    };
}
