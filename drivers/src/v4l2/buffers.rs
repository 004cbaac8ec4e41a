//! Streaming from memory that the device fills and this process reads: one buffer is held by the reader, the others wait in
//! the kernel.

use super::device::Camera;
use super::fault::{fault, is_gone};
use rustix::io::Errno;
use sensebind_core::{ErrorKind, SourceError, Timestamp};
use std::io;
use std::mem;
use std::time::Duration;
use v4l::buffer::{Flags, Type};
use v4l::io::mmap;
use v4l::io::traits::{CaptureStream as _, Stream as _};
use v4l::video::Capture as _;

/// Buffers asked for. One is read, the others cover a reading thread that comes late: a fifth of a second at 30 Hz.
const BUFFERS: u32 = 8;
/// `POLLIN` of poll(2).
const POLLIN: i16 = 1;
/// Nothing is dequeued before the device said that something is ready, so this only ends a wait that should not be.
const DEQUEUE_TIMEOUT: Duration = Duration::from_secs(1);

/// A device that streams. Stops when dropped.
pub(super) struct Buffers {
    camera: Camera,
    /// Always there until dropped. Between calls its current buffer is ours and all others are the device's.
    stream: Option<mmap::Stream<'static>>,
}

/// What came in one buffer.
pub(super) struct Shot<'a> {
    /// The bytes that the device says it wrote.
    pub(super) data: &'a [u8],
    /// The device says that they are not right.
    pub(super) damaged: bool,
    /// When, by the monotonic clock, where the kernel stamps with that.
    pub(super) stamp: Option<Timestamp>,
    /// The device's own count.
    pub(super) sequence: u32,
}

impl Buffers {
    /// Lets `camera` stream in the format it was set to.
    pub(super) fn start(camera: Camera) -> Result<Self, SourceError> {
        let mut stream = match mmap::Stream::with_buffers(&camera.device, Type::VideoCapture, BUFFERS) {
            Ok(stream) => stream,
            // The kernel's answer to a device that only knows read(2), or captures in planes.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                let message = format!(
                    "{}: the device does not stream from memory (V4L2_CAP_STREAMING)",
                    camera.at
                );
                return Err(SourceError::new(ErrorKind::Misconfigured, message));
            }
            Err(error) => return Err(fault(&camera.at, "its buffers cannot be had", &error)),
        };
        stream.set_timeout(DEQUEUE_TIMEOUT);
        let mut this = Self {
            camera,
            stream: Some(stream),
        };
        this.switch_on()
            .map_err(|error| fault(&this.camera.at, "it does not start to stream", &error))?;
        Ok(this)
    }

    fn switch_on(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        // Buffer 0 is the first that `next` gives back. How many there are only shows by asking for one too many.
        let mut queued = 0;
        loop {
            match stream.queue(queued + 1) {
                Ok(()) => queued += 1,
                Err(error) if queued > 0 && Errno::from_io_error(&error) == Some(Errno::INVAL) => break,
                Err(error) => return Err(error),
            }
        }
        stream.start()
    }

    /// The next buffer; nothing when none is ready within `timeout`.
    pub(super) fn next(&mut self, timeout: Duration) -> Result<Option<Shot<'_>>, SourceError> {
        let Self { camera, stream } = self;
        let Some(stream) = stream else { return Ok(None) };
        let timeout_ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        match camera.device.handle().poll(POLLIN, timeout_ms) {
            Ok(0) => return Ok(None),
            // Ready, or in error: then dequeuing says which.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(error) => return Err(broken(camera, &error)),
        }
        let (data, meta) = stream.next().map_err(|error| broken(camera, &error))?;
        let monotonic = meta.flags & Flags::TIMESTAMP_MASK == Flags::TIMESTAMP_MONOTONIC;
        let since_start = Duration::from(meta.timestamp);
        Ok(Some(Shot {
            data: data.get(..meta.bytesused as usize).unwrap_or(data),
            damaged: meta.flags.contains(Flags::ERROR),
            stamp: (monotonic && !since_start.is_zero()).then(|| Timestamp::ZERO.after(since_start)),
            sequence: meta.sequence,
        }))
    }
}

/// A stream that was running gave `error`. One that is pulled may answer EINVAL or EIO first: asking it anything else tells.
fn broken(camera: &Camera, error: &io::Error) -> SourceError {
    match camera.device.format() {
        Err(now) if is_gone(&now) => fault(&camera.at, "it was there and is not any more", &now),
        _ => fault(&camera.at, "it stopped streaming", error),
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        // The library panics in its drop when a device that is still there refuses to stop; it ignores one that is not.
        match stream.stop() {
            Ok(()) => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => {}
            // Its descriptor and mappings stay until the process ends: better than the process ending.
            Err(_) => mem::forget(stream),
        }
    }
}
