//! A V4L2 camera behind a node: `mmap` streaming, negotiation and the ways in which cameras fail.
//!
//! Frames reach the client's mappings through the page cache (`FUSE_NOTIFY_STORE`).

mod node;
mod queue;
mod spec;
mod v4l2;

use std::path::Path;
use std::sync::Arc;

pub(crate) use node::{CameraNode, expose};
pub use queue::CameraCounts;
pub use spec::{CameraMode, CameraSpec, Interval, PixelFormat, Shot};

use crate::plug::Plug;

/// The test's end of an emulated camera.
#[derive(Debug, Clone)]
pub struct Camera {
    plug: Plug,
    node: Arc<CameraNode>,
}

impl Camera {
    pub(crate) fn new(plug: Plug, node: Arc<CameraNode>) -> Self {
        Self { plug, node }
    }

    /// The node's path.
    pub fn path(&self) -> &Path {
        self.plug.path()
    }

    /// The next `count` frames are lost on the way: their sequence numbers are missing.
    pub fn drop_frames(&self, count: u32) {
        self.node.change(|queue| queue.drop_next = count);
    }

    /// The next `count` frames carry `V4L2_BUF_FLAG_ERROR`.
    pub fn corrupt_frames(&self, count: u32) {
        self.node.change(|queue| queue.corrupt_next = count);
    }

    /// No frame comes any more, and no error either, until [`resume`](Self::resume).
    pub fn stall(&self) {
        self.node.change(|queue| queue.stalled = true);
    }

    /// Ends a stall: the next frame comes one period from now, its sequence number follows the last one.
    pub fn resume(&self) {
        self.node.change(|queue| {
            queue.stalled = false;
            queue.schedule();
        });
    }

    /// A fatal error of the stream: `poll` says `POLLERR`, `VIDIOC_DQBUF` `EIO`, until the client streams anew.
    pub fn fail_stream(&self) {
        self.node.change(|queue| queue.fail());
    }

    /// Pulls the camera, streaming or not: the node vanishes, a `VIDIOC_DQBUF` that blocks gets `EINVAL`, whoever polls
    /// `POLLERR | POLLHUP`, and every later call `ENODEV`.
    pub fn unplug(&self) {
        self.plug.unplug();
    }

    /// Puts the camera back under its name, with its first mode set. Files opened before stay dead.
    pub fn replug(&self) {
        self.plug.replug();
    }

    /// How many calls of `VIDIOC_DQBUF` block now.
    pub fn blocked(&self) -> usize {
        self.node.change(|queue| queue.waiting.len())
    }

    /// What became of the frames so far.
    pub fn counts(&self) -> CameraCounts {
        self.node.counts()
    }
}
