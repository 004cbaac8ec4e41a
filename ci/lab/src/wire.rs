//! The FUSE wire protocol, as far as device nodes need it: the structures of `include/uapi/linux/fuse.h`, version 7.31.
//!
//! Spoken here rather than through a crate because an ioctl's argument pointer (`fuse_ioctl_in.arg`) must reach the
//! emulator: `I2C_RDWR` carries no size in its number, so the kernel copies nothing and only the pointer leads to the
//! messages.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) const MAJOR: u32 = 7;
pub(crate) const MINOR: u32 = 31;
/// The node that the mount point is.
pub(crate) const ROOT: u64 = 1;
/// Bytes that one WRITE request may carry.
pub(crate) const MAX_WRITE: u32 = 128 << 10;

pub(crate) mod opcode {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const ACCESS: u32 = 34;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const IOCTL: u32 = 39;
    pub(crate) const POLL: u32 = 40;
    pub(crate) const BATCH_FORGET: u32 = 42;
}

/// `error` field of a message that answers no request.
pub(crate) mod notify {
    pub(crate) const POLL: i32 = 1;
    pub(crate) const STORE: i32 = 4;
}

pub(crate) const INIT_BIG_WRITES: u32 = 1 << 5;
pub(crate) const INIT_ATOMIC_O_TRUNC: u32 = 1 << 3;
pub(crate) const OPEN_DIRECT_IO: u32 = 1 << 0;
pub(crate) const OPEN_KEEP_CACHE: u32 = 1 << 1;
pub(crate) const OPEN_STREAM: u32 = 1 << 4;
pub(crate) const OPEN_NOFLUSH: u32 = 1 << 5;
pub(crate) const POLL_SCHEDULE_NOTIFY: u32 = 1 << 0;

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct InHeader {
    pub(crate) len: u32,
    pub(crate) opcode: u32,
    pub(crate) unique: u64,
    pub(crate) nodeid: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) pid: u32,
    pub(crate) padding: u32,
}

#[derive(Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct OutHeader {
    pub(crate) len: u32,
    pub(crate) error: i32,
    pub(crate) unique: u64,
}

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct InitIn {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) max_readahead: u32,
    pub(crate) flags: u32,
}

#[derive(Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct InitOut {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) max_readahead: u32,
    pub(crate) flags: u32,
    pub(crate) max_background: u16,
    pub(crate) congestion_threshold: u16,
    pub(crate) max_write: u32,
    pub(crate) time_gran: u32,
    pub(crate) max_pages: u16,
    pub(crate) map_alignment: u16,
    pub(crate) unused: [u32; 8],
}

#[derive(Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Attr {
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) blocks: u64,
    pub(crate) times: [u64; 3],
    pub(crate) times_ns: [u32; 3],
    pub(crate) mode: u32,
    pub(crate) nlink: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) rdev: u32,
    pub(crate) blksize: u32,
    pub(crate) flags: u32,
}

/// Answers LOOKUP. All validities are zero: a node may be pulled at any moment.
#[derive(Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct EntryOut {
    pub(crate) nodeid: u64,
    pub(crate) generation: u64,
    pub(crate) validity: [u64; 3],
    pub(crate) attr: Attr,
}

#[derive(Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct AttrOut {
    pub(crate) validity: [u64; 2],
    pub(crate) attr: Attr,
}

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct OpenIn {
    pub(crate) flags: i32,
    pub(crate) open_flags: u32,
}

#[derive(Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct OpenOut {
    pub(crate) fh: u64,
    pub(crate) open_flags: u32,
    pub(crate) padding: u32,
}

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct ReleaseIn {
    pub(crate) fh: u64,
}

/// READ and READDIR; WRITE has the same fields and its bytes after them.
#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct ReadWriteIn {
    pub(crate) fh: u64,
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) request_flags: u32,
    pub(crate) lock_owner: u64,
    pub(crate) flags: u32,
    pub(crate) padding: u32,
}

#[derive(Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct WriteOut {
    pub(crate) size: u32,
    pub(crate) padding: u32,
}

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct IoctlIn {
    pub(crate) fh: u64,
    pub(crate) flags: u32,
    pub(crate) cmd: u32,
    pub(crate) arg: u64,
    pub(crate) in_size: u32,
    pub(crate) out_size: u32,
}

#[derive(Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct IoctlOut {
    pub(crate) result: i32,
    pub(crate) flags: u32,
    pub(crate) in_iovs: u32,
    pub(crate) out_iovs: u32,
}

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct PollIn {
    pub(crate) fh: u64,
    pub(crate) kh: u64,
    pub(crate) flags: u32,
    pub(crate) events: u32,
}

#[derive(Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct PollOut {
    pub(crate) revents: u32,
    pub(crate) padding: u32,
}

#[derive(Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct NotifyPollOut {
    pub(crate) kh: u64,
}

#[derive(Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct NotifyStoreOut {
    pub(crate) nodeid: u64,
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) padding: u32,
}

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct InterruptIn {
    pub(crate) unique: u64,
}

#[derive(Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Dirent {
    pub(crate) ino: u64,
    pub(crate) offset: u64,
    pub(crate) namelen: u32,
    pub(crate) kind: u32,
}

/// Answers STATFS: an empty file system.
#[derive(Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct StatfsOut {
    pub(crate) blocks: [u64; 5],
    pub(crate) bsize: u32,
    pub(crate) namelen: u32,
    pub(crate) frsize: u32,
    pub(crate) unused: [u32; 7],
}

const _: () = {
    assert!(size_of::<InHeader>() == 40);
    assert!(size_of::<OutHeader>() == 16);
    assert!(size_of::<InitOut>() == 64);
    assert!(size_of::<EntryOut>() == 128);
    assert!(size_of::<AttrOut>() == 104);
    assert!(size_of::<ReadWriteIn>() == 40);
    assert!(size_of::<IoctlIn>() == 32);
    assert!(size_of::<StatfsOut>() == 80);
};
