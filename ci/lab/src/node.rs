//! What a device node answers, whatever device it is.

use std::fmt::Debug;

use nix::errno::Errno;

use crate::caller::Caller;
use crate::channel::Reply;

/// One open file of a node. Never used again, so a late request cannot reach another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpenFile(pub(crate) u64);

/// An ioctl as a regular FUSE file gets it.
///
/// The kernel copies by the size and direction in the number: `input` for `_IOW`, the reply's bytes for `_IOR`. A number
/// without a size leaves only `arg`, in the caller's address space.
#[derive(Debug)]
pub(crate) struct Ioctl<'a> {
    pub(crate) file: OpenFile,
    pub(crate) caller: Caller,
    pub(crate) command: u32,
    pub(crate) arg: u64,
    pub(crate) input: &'a [u8],
}

impl Ioctl<'_> {
    /// Reads a plain integer argument (`ioctl(fd, command, 3)`).
    pub(crate) fn value(&self) -> u32 {
        self.arg as u32
    }
}

/// Bits of `poll.h`, which the kernel's FUSE messages use too.
pub(crate) mod ready {
    pub(crate) const IN: u32 = 0x001 | 0x040;
    pub(crate) const OUT: u32 = 0x004 | 0x100;
    pub(crate) const ERR: u32 = 0x008;
    pub(crate) const HUP: u32 = 0x010;
}

/// A device behind a node. Calls come from the one thread that answers the kernel: a call that cannot answer yet keeps
/// its [`Reply`] and returns.
pub(crate) trait Node: Send + Sync + Debug {
    /// Bytes that may be mapped. `None`: reads and writes go straight to the device.
    fn mapped_bytes(&self) -> Option<u64> {
        None
    }

    /// Whether a read goes on where the one before it ended, to an end: a text, not a stream.
    fn is_text(&self) -> bool {
        false
    }

    /// Permission bits of the file.
    fn permissions(&self) -> u32 {
        0o666
    }

    /// What calls on an already open file get once the device has been pulled.
    fn gone(&self) -> Errno {
        Errno::ENODEV
    }

    /// A new open file; `nonblocking` as it was opened.
    fn open(&self, _file: OpenFile, _nonblocking: bool) -> Result<(), Errno> {
        Ok(())
    }

    fn release(&self, _file: OpenFile) {}

    fn ioctl(&self, _call: &Ioctl<'_>, reply: Reply) {
        reply.error(Errno::ENOTTY);
    }

    fn read(&self, _file: OpenFile, _offset: u64, _size: usize, reply: Reply) {
        reply.error(Errno::EINVAL);
    }

    fn write(&self, _file: OpenFile, _bytes: &[u8], reply: Reply) {
        reply.error(Errno::EINVAL);
    }

    /// What is ready now. `wake` is whom to tell when that changes.
    fn poll(&self, _file: OpenFile, _wake: Option<u64>) -> u32 {
        ready::IN | ready::OUT
    }

    /// The caller of a request that still waits got a signal.
    fn interrupt(&self, _unique: u64) {}

    /// The node has come, under this number.
    fn plugged(&self, _nodeid: u64) {}

    /// The node has been pulled: answer all that wait.
    fn unplugged(&self) {}

    /// The lab goes: end every thread.
    fn shut_down(&self) {}
}
