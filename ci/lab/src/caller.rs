//! The memory of the process that called an ioctl, for pointers that the kernel does not follow.

use std::io::{IoSlice, IoSliceMut};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

/// A calling thread. Reading its memory needs what a debugger needs: the same user, or `CAP_SYS_PTRACE`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(Pid);

impl Caller {
    pub(crate) fn new(pid: u32) -> Self {
        Self(Pid::from_raw(i32::try_from(pid).unwrap_or(0)))
    }

    /// Fills `into` from `address`, or `EFAULT`.
    pub(crate) fn read(self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let length = into.len();
        if length == 0 {
            return Ok(());
        }
        let read = process_vm_readv(self.0, &mut [IoSliceMut::new(into)], &[remote(address, length)?])?;
        if read == length { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// A fresh buffer of `length` bytes from `address`.
    pub(crate) fn bytes(self, address: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies `bytes` to `address`, or `EFAULT`.
    pub(crate) fn write(self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = process_vm_writev(self.0, &[IoSlice::new(bytes)], &[remote(address, bytes.len())?])?;
        if written == bytes.len() {
            Ok(())
        } else {
            Err(Errno::EFAULT)
        }
    }
}

fn remote(address: u64, len: usize) -> Result<RemoteIoVec, Errno> {
    let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
    Ok(RemoteIoVec { base, len })
}
