//! An output that a failure closes for good.

use std::io::{self, ErrorKind, Seek, SeekFrom, Write};

/// Passes everything on until something fails, then refuses the rest. Without it a disk that is full for a moment would
/// take the end of a chunk whose middle it had refused: a chunk that looks whole and is not.
#[derive(Debug)]
pub(crate) struct Latch<W> {
    out: W,
    has_failed: bool,
}

impl<W> Latch<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, has_failed: false }
    }

    pub(crate) fn into_inner(self) -> W {
        self.out
    }

    fn pass<T>(&mut self, step: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        if self.has_failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let done = step(&mut self.out);
        // Whoever is interrupted tries again.
        self.has_failed = done.as_ref().is_err_and(|e| e.kind() != ErrorKind::Interrupted);
        done
    }
}

impl<W: Write> Write for Latch<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pass(|out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass(Write::flush)
    }
}

impl<W: Seek> Seek for Latch<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.pass(|out| out.seek(to))
    }
}
