//! The loop that answers the kernel, one request after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use zerocopy::{FromBytes, IntoBytes as _};

use crate::caller::Caller;
use crate::channel::{Channel, Reply};
use crate::node::{Ioctl, OpenFile, ready};
use crate::tree::{Entry, Tree};
use crate::wire::{self, opcode};

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// Answers until the mount has gone.
pub(crate) fn serve(channel: &Channel, tree: &Arc<Tree>) {
    let mut session = Session {
        channel,
        tree,
        next_file: 1,
    };
    let mut buffer = vec![0; wire::MAX_WRITE as usize + 4096];
    loop {
        match channel.receive(&mut buffer) {
            Ok(size) => session.answer(&buffer[..size]),
            // ENOENT: the caller was killed before its request was read.
            Err(error)
                if matches!(
                    error.raw_os_error().map(Errno::from_raw),
                    Some(Errno::EINTR | Errno::EAGAIN | Errno::ENOENT)
                ) => {}
            Err(_) => return,
        }
    }
}

struct Session<'a> {
    channel: &'a Channel,
    tree: &'a Tree,
    next_file: u64,
}

impl Session<'_> {
    fn answer(&mut self, request: &[u8]) {
        let Ok((header, body)) = wire::InHeader::read_from_prefix(request) else {
            return;
        };
        let reply = Reply::new(self.channel, header.unique);
        // A panic in a test's chip must not leave every other client hanging: the reply answers EIO as it drops, the
        // panic is on standard error.
        let _ = catch_unwind(AssertUnwindSafe(|| self.dispatch(&header, body, reply)));
    }

    fn dispatch(&mut self, header: &wire::InHeader, body: &[u8], reply: Reply) {
        match header.opcode {
            opcode::FORGET | opcode::BATCH_FORGET => reply.none(),
            opcode::INTERRUPT => {
                reply.none();
                if let Ok(interrupt) = parse::<wire::InterruptIn>(body) {
                    for node in self.tree.nodes() {
                        node.interrupt(interrupt.unique);
                    }
                }
            }
            opcode::INIT => match parse::<wire::InitIn>(body) {
                Ok(init) => reply.bytes(init_out(&init).as_bytes()),
                Err(errno) => reply.error(errno),
            },
            // "Not implemented" once, and no kernel sends FLUSH again. Newer ones never do (OPEN_NOFLUSH). A process that
            // serves and uses the lab, and ends without dropping it, would wait for itself on closing its files.
            opcode::FLUSH => reply.error(Errno::ENOSYS),
            opcode::FSYNC | opcode::ACCESS | opcode::RELEASEDIR | opcode::DESTROY => reply.bytes(&[]),
            opcode::STATFS => {
                let statfs = wire::StatfsOut {
                    bsize: 4096,
                    namelen: 255,
                    frsize: 4096,
                    ..Default::default()
                };
                reply.bytes(statfs.as_bytes());
            }
            opcode::OPENDIR => reply.bytes(open_out(0, 0).as_bytes()),
            opcode::LOOKUP => match self.lookup(header.nodeid, body) {
                Ok(entry) => reply.bytes(entry.as_bytes()),
                Err(errno) => reply.error(errno),
            },
            opcode::READDIR => match parse::<wire::ReadWriteIn>(body) {
                Ok(read) => reply.bytes(&self.list(header.nodeid, &read)),
                Err(errno) => reply.error(errno),
            },
            _ => match self.tree.entry(header.nodeid) {
                Ok(entry) => self.on_node(header, &entry, body, reply),
                Err(errno) => reply.error(errno),
            },
        }
    }

    fn on_node(&mut self, header: &wire::InHeader, entry: &Entry, body: &[u8], reply: Reply) {
        let result = match header.opcode {
            // Sizes and modes cannot be changed; truncating on open is no error on a device.
            opcode::GETATTR | opcode::SETATTR => {
                let out = wire::AttrOut {
                    attr: attr(header.nodeid, entry),
                    ..Default::default()
                };
                return reply.bytes(out.as_bytes());
            }
            opcode::OPEN => match self.open(entry, body) {
                Ok(out) => return reply.bytes(out.as_bytes()),
                Err(errno) => Err(errno),
            },
            _ => Ok(()),
        };
        let Some(node) = entry.node.as_deref() else {
            return reply.error(Errno::EISDIR);
        };
        let result = result.and_then(|()| match header.opcode {
            opcode::RELEASE => {
                node.release(OpenFile(parse::<wire::ReleaseIn>(body)?.fh));
                Ok(Action::Done)
            }
            opcode::READ => Ok(Action::Read(parse(body)?)),
            opcode::POLL => Ok(Action::Poll(parse(body)?)),
            opcode::WRITE | opcode::IOCTL if entry.gone() => Err(node.gone()),
            opcode::WRITE => {
                let (write, bytes) = parse_prefix::<wire::ReadWriteIn>(body)?;
                Ok(Action::Write(write, bytes))
            }
            opcode::IOCTL => {
                let (ioctl, input) = parse_prefix::<wire::IoctlIn>(body)?;
                Ok(Action::Ioctl(ioctl, input))
            }
            _ => Err(Errno::ENOSYS),
        });
        match result {
            Err(errno) => reply.error(errno),
            Ok(Action::Done) => reply.bytes(&[]),
            // Mappings outlive the device: touching them is no error (it would be SIGBUS), they read as before.
            Ok(Action::Read(_)) if entry.gone() && node.mapped_bytes().is_none() => reply.error(node.gone()),
            Ok(Action::Read(read)) => node.read(OpenFile(read.fh), read.offset, read.size as usize, reply),
            Ok(Action::Write(write, bytes)) => node.write(OpenFile(write.fh), bytes, reply),
            Ok(Action::Poll(poll)) => {
                let wake = (poll.flags & wire::POLL_SCHEDULE_NOTIFY != 0).then_some(poll.kh);
                let revents = if entry.gone() {
                    ready::ERR | ready::HUP
                } else {
                    node.poll(OpenFile(poll.fh), wake)
                };
                reply.bytes(wire::PollOut { revents, padding: 0 }.as_bytes());
            }
            Ok(Action::Ioctl(ioctl, input)) => {
                let call = Ioctl {
                    file: OpenFile(ioctl.fh),
                    caller: Caller::new(header.pid),
                    command: ioctl.cmd,
                    arg: ioctl.arg,
                    input: input.get(..ioctl.in_size as usize).unwrap_or(input),
                };
                node.ioctl(&call, reply);
            }
        }
    }

    fn open(&mut self, entry: &Entry, body: &[u8]) -> Result<wire::OpenOut, Errno> {
        let node = entry.node.as_deref().ok_or(Errno::EISDIR)?;
        if entry.denied {
            return Err(Errno::EACCES);
        }
        if entry.gone() {
            return Err(node.gone());
        }
        let flags = OFlag::from_bits_retain(parse::<wire::OpenIn>(body)?.flags);
        let file = self.next_file;
        self.next_file += 1;
        node.open(OpenFile(file), flags.contains(OFlag::O_NONBLOCK))?;
        Ok(open_out(
            file,
            wire::OPEN_NOFLUSH
                | match node.mapped_bytes() {
                    Some(_) => wire::OPEN_KEEP_CACHE,
                    None if node.is_text() => wire::OPEN_DIRECT_IO,
                    None => wire::OPEN_DIRECT_IO | wire::OPEN_STREAM,
                },
        ))
    }

    fn lookup(&self, parent: u64, body: &[u8]) -> Result<wire::EntryOut, Errno> {
        let name = body.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        let nodeid = self.tree.lookup(parent, name)?;
        Ok(wire::EntryOut {
            nodeid,
            attr: attr(nodeid, &self.tree.entry(nodeid)?),
            ..Default::default()
        })
    }

    fn list(&self, parent: u64, read: &wire::ReadWriteIn) -> Vec<u8> {
        let mut out = Vec::new();
        let own = [(parent, ".".to_owned(), true), (parent, "..".to_owned(), true)];
        for (index, (ino, name, folder)) in own.into_iter().chain(self.tree.list(parent)).enumerate() {
            let offset = index as u64 + 1;
            let padded = (size_of::<wire::Dirent>() + name.len()).next_multiple_of(8);
            if offset <= read.offset {
                continue;
            }
            if out.len() + padded > read.size as usize {
                break;
            }
            let end = out.len() + padded;
            let dirent = wire::Dirent {
                ino,
                offset,
                namelen: name.len() as u32,
                kind: (if folder { FOLDER } else { FILE }) >> 12,
            };
            out.extend_from_slice(dirent.as_bytes());
            out.extend_from_slice(name.as_bytes());
            out.resize(end, 0);
        }
        out
    }
}

enum Action<'a> {
    Done,
    Read(wire::ReadWriteIn),
    Write(wire::ReadWriteIn, &'a [u8]),
    Poll(wire::PollIn),
    Ioctl(wire::IoctlIn, &'a [u8]),
}

fn parse<T: FromBytes>(body: &[u8]) -> Result<T, Errno> {
    parse_prefix(body).map(|(value, _)| value)
}

fn parse_prefix<T: FromBytes>(body: &[u8]) -> Result<(T, &[u8]), Errno> {
    T::read_from_prefix(body).map_err(|_| Errno::EIO)
}

fn init_out(init: &wire::InitIn) -> wire::InitOut {
    wire::InitOut {
        major: wire::MAJOR,
        minor: wire::MINOR.min(init.minor),
        max_readahead: init.max_readahead,
        flags: init.flags & (wire::INIT_BIG_WRITES | wire::INIT_ATOMIC_O_TRUNC),
        max_background: 16,
        congestion_threshold: 12,
        max_write: wire::MAX_WRITE,
        time_gran: 1,
        ..Default::default()
    }
}

fn open_out(fh: u64, open_flags: u32) -> wire::OpenOut {
    wire::OpenOut {
        fh,
        open_flags,
        padding: 0,
    }
}

fn attr(nodeid: u64, entry: &Entry) -> wire::Attr {
    let (mode, size) = match &entry.node {
        None => (FOLDER | 0o755, 0),
        Some(node) => (FILE | node.permissions(), node.mapped_bytes().unwrap_or(0)),
    };
    wire::Attr {
        ino: nodeid,
        size,
        mode,
        nlink: 1,
        blksize: 4096,
        ..Default::default()
    }
}
