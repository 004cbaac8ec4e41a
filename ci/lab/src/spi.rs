//! A SPI device behind a node that speaks as spidev does (`Documentation/spi/spidev.rst`, `drivers/spi/spidev.c`).

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bus::SpiChip;
use crate::caller::Caller;
use crate::channel::Reply;
use crate::lock::lock;
use crate::node::{Ioctl, Node, OpenFile};
use crate::plug::Plug;

const MAGIC: u32 = b'k' as u32;
const WRITES: u32 = 1;
const READS: u32 = 2;
/// spidev's `bufsiz`, unless its module parameter says otherwise.
const BUFFER_BYTES: usize = 4096;
/// Mode bits of `spi.h` that a controller here would support: `SPI_MODE_X_MASK`, CS_HIGH, LSB_FIRST, 3WIRE, LOOP, NO_CS.
const MODE_BITS: u32 = 0x7f;

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Transfer {
    tx: u64,
    rx: u64,
    length: u32,
    speed_hz: u32,
    delay_us: u16,
    bits_per_word: u8,
    cs_change: u8,
    tx_wires: u8,
    rx_wires: u8,
    word_delay_us: u8,
    padding: u8,
}

struct State {
    chip: Box<dyn SpiChip>,
    mode: u32,
    bits_per_word: u8,
    speed_hz: u32,
    buffer_bytes: usize,
    fail_next: u32,
    messages: u64,
}

/// The node.
pub(crate) struct SpiNode(Mutex<State>);

impl SpiNode {
    pub(crate) fn new(chip: Box<dyn SpiChip>) -> Self {
        Self(Mutex::new(State {
            chip,
            mode: 0,
            bits_per_word: 8,
            speed_hz: 500_000,
            buffer_bytes: BUFFER_BYTES,
            fail_next: 0,
            messages: 0,
        }))
    }
}

impl fmt::Debug for SpiNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpiNode").finish_non_exhaustive()
    }
}

impl Node for SpiNode {
    /// What spidev says once its device has gone.
    fn gone(&self) -> Errno {
        Errno::ESHUTDOWN
    }

    fn ioctl(&self, call: &Ioctl<'_>, reply: Reply) {
        match lock(&self.0).control(call) {
            Ok((result, out)) => reply.ioctl(result, &out),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(&self, _file: OpenFile, _offset: u64, size: usize, reply: Reply) {
        match lock(&self.0).half_duplex(&vec![0; size]) {
            Ok(bytes) => reply.bytes(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(&self, _file: OpenFile, bytes: &[u8], reply: Reply) {
        match lock(&self.0).half_duplex(bytes) {
            Ok(_) => reply.written(bytes.len()),
            Err(errno) => reply.error(errno),
        }
    }
}

impl State {
    /// What the ioctl returns, and what the kernel copies to the caller.
    fn control(&mut self, call: &Ioctl<'_>) -> Result<(usize, Vec<u8>), Errno> {
        let (direction, kind) = (call.command >> 30, call.command >> 8 & 0xff);
        let (number, size) = (call.command & 0xff, (call.command >> 16 & 0x3fff) as usize);
        let value = || {
            let mut bytes = [0; 4];
            bytes.iter_mut().zip(call.input).for_each(|(to, from)| *to = *from);
            u32::from_le_bytes(bytes)
        };
        match (kind, number, direction, size) {
            (MAGIC, 0, WRITES, _) => self.message(call.caller, call.input).map(|total| (total, Vec::new())),
            (MAGIC, 1, READS, 1) => Ok((0, vec![self.mode as u8])),
            (MAGIC, 2, READS, 1) => Ok((0, vec![u8::from(self.mode & 0x08 != 0)])),
            (MAGIC, 3, READS, 1) => Ok((0, vec![self.bits_per_word])),
            (MAGIC, 4, READS, 4) => Ok((0, self.speed_hz.to_ne_bytes().to_vec())),
            (MAGIC, 5, READS, 4) => Ok((0, self.mode.to_ne_bytes().to_vec())),
            (MAGIC, 1, WRITES, 1) | (MAGIC, 5, WRITES, 4) => {
                if value() & !MODE_BITS != 0 {
                    return Err(Errno::EINVAL);
                }
                self.mode = value();
                Ok((0, Vec::new()))
            }
            (MAGIC, 2, WRITES, 1) => {
                self.mode = self.mode & !0x08 | if value() == 0 { 0 } else { 0x08 };
                Ok((0, Vec::new()))
            }
            (MAGIC, 3, WRITES, 1) => {
                // Zero means eight; other word sizes are not emulated.
                if value() != 0 && value() != 8 {
                    return Err(Errno::EINVAL);
                }
                Ok((0, Vec::new()))
            }
            (MAGIC, 4, WRITES, 4) => {
                if value() == 0 {
                    return Err(Errno::EINVAL);
                }
                self.speed_hz = value();
                Ok((0, Vec::new()))
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    /// `SPI_IOC_MESSAGE(n)`: the sum of all lengths. Chip select stays low until a transfer asks for a change.
    fn message(&mut self, caller: Caller, transfers: &[u8]) -> Result<usize, Errno> {
        if !transfers.len().is_multiple_of(size_of::<Transfer>()) {
            return Err(Errno::EINVAL);
        }
        let transfers: Vec<Transfer> = transfers
            .chunks_exact(size_of::<Transfer>())
            .map(|raw| Transfer::read_from_bytes(raw).map_err(|_| Errno::EINVAL))
            .collect::<Result<_, _>>()?;
        let bytes_of = |chosen: fn(&Transfer) -> u64| {
            transfers
                .iter()
                .filter(|transfer| chosen(transfer) != 0)
                .map(|transfer| transfer.length as usize)
                .sum::<usize>()
        };
        if bytes_of(|transfer| transfer.tx).max(bytes_of(|transfer| transfer.rx)) > self.buffer_bytes {
            return Err(Errno::EMSGSIZE);
        }
        if transfers
            .iter()
            .any(|transfer| !matches!(transfer.bits_per_word, 0 | 8))
        {
            return Err(Errno::EINVAL);
        }
        self.count()?;
        let mut total = 0;
        for selected in transfers.split_inclusive(|transfer| transfer.cs_change != 0) {
            let length = selected.iter().map(|transfer| transfer.length as usize).sum();
            let mut write = vec![0; length];
            let mut read = vec![0; length];
            let mut at = 0;
            for transfer in selected {
                let end = at + transfer.length as usize;
                if transfer.tx != 0 {
                    caller.read(transfer.tx, &mut write[at..end])?;
                }
                at = end;
            }
            if length > 0 {
                self.chip.transfer(&write, &mut read);
            }
            let mut at = 0;
            for transfer in selected {
                let end = at + transfer.length as usize;
                if transfer.rx != 0 {
                    caller.write(transfer.rx, &read[at..end])?;
                }
                at = end;
            }
            total += length;
        }
        Ok(total)
    }

    /// Plain `read` and `write`: one chip-select period, the other direction ignored.
    fn half_duplex(&mut self, write: &[u8]) -> Result<Vec<u8>, Errno> {
        if write.len() > self.buffer_bytes {
            return Err(Errno::EMSGSIZE);
        }
        self.count()?;
        let mut read = vec![0; write.len()];
        self.chip.transfer(write, &mut read);
        Ok(read)
    }

    fn count(&mut self) -> Result<(), Errno> {
        self.messages += 1;
        if self.fail_next > 0 {
            self.fail_next -= 1;
            return Err(Errno::EIO);
        }
        Ok(())
    }
}

/// The test's end of an emulated SPI device. To reach the chip while it is plugged in, put it in an `Arc<Mutex<_>>` and
/// keep a clone.
#[derive(Debug, Clone)]
pub struct SpiDevice {
    plug: Plug,
    node: Arc<SpiNode>,
}

impl SpiDevice {
    pub(crate) fn new(plug: Plug, node: Arc<SpiNode>) -> Self {
        Self { plug, node }
    }

    /// The node's path.
    pub fn path(&self) -> &Path {
        self.plug.path()
    }

    /// The bytes that one message may carry in each direction before spidev says `EMSGSIZE`: its module parameter
    /// `bufsiz`, 4096 unless set here.
    pub fn set_buffer_bytes(&self, bytes: usize) {
        lock(&self.node.0).buffer_bytes = bytes;
    }

    /// The next `count` messages fail with `EIO` before the chip sees them.
    pub fn fail_next(&self, count: u32) {
        lock(&self.node.0).fail_next = count;
    }

    /// The mode bits that the client set (`SPI_MODE_0` … and flags, see `spi.h`).
    pub fn mode(&self) -> u32 {
        lock(&self.node.0).mode
    }

    /// The clock that the client set, in hertz.
    pub fn speed_hz(&self) -> u32 {
        lock(&self.node.0).speed_hz
    }

    /// Messages so far, failed ones too.
    pub fn messages(&self) -> u64 {
        lock(&self.node.0).messages
    }

    /// Pulls the device: the node vanishes, open files get `ESHUTDOWN`.
    pub fn unplug(&self) {
        self.plug.unplug();
    }

    /// Puts the device back under its name, with the same chip and spidev's default settings.
    pub fn replug(&self) {
        {
            let mut state = lock(&self.node.0);
            state.mode = 0;
            state.speed_hz = 500_000;
        }
        self.plug.replug();
    }
}
