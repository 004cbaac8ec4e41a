//! The way back to the kernel: answers to requests, and messages that answer none.

use std::fs::File;
use std::io::{IoSlice, Read as _, Result, Write as _};
use std::sync::Arc;

use nix::errno::Errno;
use zerocopy::IntoBytes as _;

use crate::wire;

/// The open `/dev/fuse` of one mount. Every message is one `writev`, so threads need no lock between them.
#[derive(Debug, Clone)]
pub(crate) struct Channel(Arc<File>);

impl Channel {
    pub(crate) fn new(fuse: File) -> Self {
        Self(Arc::new(fuse))
    }

    /// Blocks for the next request. `ENODEV` when the mount has gone.
    pub(crate) fn receive(&self, into: &mut [u8]) -> Result<usize> {
        (&*self.0).read(into)
    }

    fn send(&self, unique: u64, error: i32, head: &[u8], body: &[u8]) -> Result<()> {
        let size = size_of::<wire::OutHeader>() + head.len() + body.len();
        let header = wire::OutHeader {
            len: u32::try_from(size).map_err(|_| Errno::EMSGSIZE)?,
            error,
            unique,
        };
        let parts = [IoSlice::new(header.as_bytes()), IoSlice::new(head), IoSlice::new(body)];
        (&*self.0).write_vectored(&parts).map(drop)
    }

    /// Wakes whoever polls the open file that `kh` stands for.
    pub(crate) fn wake_poll(&self, kh: u64) {
        // The file may have been closed since: then nobody is left to wake.
        let _ = self.send(0, wire::notify::POLL, wire::NotifyPollOut { kh }.as_bytes(), &[]);
    }

    /// Puts `bytes` into the page cache of a node, where its mappings see them.
    ///
    /// Whole pages only: of a page that is stored in part the kernel reads the rest again at the first touch, and that
    /// answer overwrites what was stored. Never call this from the thread that answers requests, nor under a lock which
    /// that thread takes: the kernel waits here for a READ of the same page.
    pub(crate) fn store(&self, nodeid: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        let head = wire::NotifyStoreOut {
            nodeid,
            offset,
            size: u32::try_from(bytes.len()).map_err(|_| Errno::EMSGSIZE)?,
            padding: 0,
        };
        self.send(0, wire::notify::STORE, head.as_bytes(), bytes)
    }
}

/// The one answer that a request gets. Dropped without one (a panic in a test's chip, say) it answers `EIO`, so that no
/// client hangs in the kernel.
#[derive(Debug)]
pub(crate) struct Reply {
    channel: Channel,
    unique: u64,
    answered: bool,
}

impl Reply {
    pub(crate) fn new(channel: &Channel, unique: u64) -> Self {
        Self {
            channel: channel.clone(),
            unique,
            answered: false,
        }
    }

    /// The request's number, by which an INTERRUPT names it.
    pub(crate) fn unique(&self) -> u64 {
        self.unique
    }

    /// For requests that the kernel expects no answer to.
    pub(crate) fn none(mut self) {
        self.answered = true;
    }

    pub(crate) fn error(mut self, errno: Errno) {
        self.send(-(errno as i32), &[], &[]);
    }

    /// Success with `bytes` as the whole answer.
    pub(crate) fn bytes(mut self, bytes: &[u8]) {
        self.send(0, bytes, &[]);
    }

    /// Success of an ioctl: what it returns, and what the kernel copies to the caller's argument.
    pub(crate) fn ioctl(mut self, result: usize, out: &[u8]) {
        let head = wire::IoctlOut {
            result: i32::try_from(result).unwrap_or(i32::MAX),
            ..Default::default()
        };
        self.send(0, head.as_bytes(), out);
    }

    /// Success of a write of `size` bytes.
    pub(crate) fn written(self, size: usize) {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.bytes(wire::WriteOut { size, padding: 0 }.as_bytes());
    }

    fn send(&mut self, error: i32, head: &[u8], body: &[u8]) {
        self.answered = true;
        // It fails only where the caller was killed or the mount has gone: nobody waits for the answer then.
        let _ = self.channel.send(self.unique, error, head, body);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.answered {
            self.send(-(Errno::EIO as i32), &[], &[]);
        }
    }
}
