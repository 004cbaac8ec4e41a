//! An I2C bus behind a node that speaks as i2c-dev does (`Documentation/i2c/dev-interface.rst`, `drivers/i2c/i2c-dev.c`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bus::{I2cChip, Nack};
use crate::caller::Caller;
use crate::channel::Reply;
use crate::lock::lock;
use crate::node::{Ioctl, Node, OpenFile};
use crate::plug::Plug;
use crate::smbus;

const I2C_RETRIES: u32 = 0x0701;
const I2C_TIMEOUT: u32 = 0x0702;
const I2C_SLAVE: u32 = 0x0703;
const I2C_TENBIT: u32 = 0x0704;
const I2C_FUNCS: u32 = 0x0705;
const I2C_SLAVE_FORCE: u32 = 0x0706;
const I2C_RDWR: u32 = 0x0707;
const I2C_PEC: u32 = 0x0708;
const I2C_SMBUS: u32 = 0x0720;

/// `I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL | I2C_FUNC_NOSTART`, as `i2c.h` adds them up.
const FUNCTIONS: u64 = 0x0eff_0019;
const I2C_M_RD: u16 = 1;
const I2C_M_NOSTART: u16 = 0x4000;
/// i2c-dev refuses longer messages.
const MESSAGE_BYTES: usize = 8192;
/// `I2C_RDWR_IOCTL_MAX_MSGS`.
const MESSAGES: usize = 42;

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RdwrData {
    messages: u64,
    count: u32,
    padding: u32,
}

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawMessage {
    address: u16,
    flags: u16,
    length: u16,
    padding: u16,
    buffer: u64,
}

/// One message of a transaction.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) address: u16,
    pub(crate) read: bool,
    /// Goes on where the message before it ended, without a start between (`I2C_M_NOSTART`).
    pub(crate) goes_on: bool,
    pub(crate) bytes: Vec<u8>,
}

/// The wires and what hangs on them.
pub(crate) struct Wires {
    chips: BTreeMap<u16, Box<dyn I2cChip>>,
    nack: Errno,
    nack_next: u32,
    cut_next: u32,
    transactions: u64,
}

impl Wires {
    /// One transaction: the messages in order, with repeated starts between. How many were transferred.
    pub(crate) fn transact(&mut self, messages: &mut [Message]) -> Result<usize, Errno> {
        self.transactions += 1;
        if take_one(&mut self.nack_next) {
            return Err(self.nack);
        }
        let count = if take_one(&mut self.cut_next) {
            1
        } else {
            messages.len()
        };
        let count = count.min(messages.len());
        for started in messages[..count].chunk_by_mut(|_, next| next.goes_on) {
            self.start(started)?;
        }
        Ok(count)
    }

    /// Messages between two starts: to the chip they are one.
    fn start(&mut self, messages: &mut [Message]) -> Result<(), Errno> {
        let chip = self.chips.get_mut(&messages[0].address).ok_or(self.nack)?;
        let mut bytes: Vec<u8> = messages.iter().flat_map(|message| &message.bytes).copied().collect();
        if !messages[0].read {
            return chip.write(&bytes).map_err(|Nack| self.nack);
        }
        chip.read(&mut bytes).map_err(|Nack| self.nack)?;
        let mut rest = bytes.as_slice();
        for message in messages {
            let (own, others) = rest.split_at(message.bytes.len());
            message.bytes.copy_from_slice(own);
            rest = others;
        }
        Ok(())
    }
}

fn take_one(left: &mut u32) -> bool {
    let any = *left > 0;
    *left -= u32::from(any);
    any
}

struct State {
    wires: Wires,
    /// What `I2C_SLAVE` chose for each open file.
    addresses: BTreeMap<OpenFile, u16>,
    gone: Errno,
}

/// The node.
pub(crate) struct I2cNode(Mutex<State>);

impl I2cNode {
    pub(crate) fn new(chips: Vec<(u8, Box<dyn I2cChip>)>) -> Self {
        Self(Mutex::new(State {
            wires: Wires {
                chips: chips
                    .into_iter()
                    .map(|(address, chip)| (u16::from(address), chip))
                    .collect(),
                nack: Errno::ENXIO,
                nack_next: 0,
                cut_next: 0,
                transactions: 0,
            },
            addresses: BTreeMap::new(),
            gone: Errno::ENODEV,
        }))
    }
}

impl fmt::Debug for I2cNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I2cNode").finish_non_exhaustive()
    }
}

impl Node for I2cNode {
    fn gone(&self) -> Errno {
        lock(&self.0).gone
    }

    fn open(&self, file: OpenFile, _nonblocking: bool) -> Result<(), Errno> {
        lock(&self.0).addresses.insert(file, 0);
        Ok(())
    }

    fn release(&self, file: OpenFile) {
        lock(&self.0).addresses.remove(&file);
    }

    fn ioctl(&self, call: &Ioctl<'_>, reply: Reply) {
        match self.control(call) {
            Ok(result) => reply.ioctl(result, &[]),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(&self, file: OpenFile, _offset: u64, size: usize, reply: Reply) {
        let mut state = lock(&self.0);
        let cut = state.wires.cut_next > 0;
        let size = size.min(MESSAGE_BYTES);
        let mut message = [state.message(file, true, vec![0; size])];
        match state.wires.transact(&mut message) {
            Ok(_) => reply.bytes(&message[0].bytes[..if cut { size / 2 } else { size }]),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(&self, file: OpenFile, bytes: &[u8], reply: Reply) {
        let mut state = lock(&self.0);
        let bytes = bytes.get(..MESSAGE_BYTES).unwrap_or(bytes);
        let message = state.message(file, false, bytes.to_vec());
        match state.wires.transact(&mut [message]) {
            Ok(_) => reply.written(bytes.len()),
            Err(errno) => reply.error(errno),
        }
    }
}

impl I2cNode {
    fn control(&self, call: &Ioctl<'_>) -> Result<usize, Errno> {
        let mut state = lock(&self.0);
        match call.command {
            I2C_FUNCS => call.caller.write(call.arg, &FUNCTIONS.to_ne_bytes()).map(|()| 0),
            I2C_SLAVE | I2C_SLAVE_FORCE => {
                let address = u16::try_from(call.value()).ok().filter(|address| *address <= 0x7f);
                state.addresses.insert(call.file, address.ok_or(Errno::EINVAL)?);
                Ok(0)
            }
            I2C_RETRIES | I2C_TIMEOUT => Ok(0),
            // Ten-bit addresses and checksums are not emulated: refused rather than ignored.
            I2C_TENBIT | I2C_PEC if call.value() == 0 => Ok(0),
            I2C_TENBIT | I2C_PEC => Err(Errno::EINVAL),
            I2C_RDWR => state.transfer(call.caller, call.arg),
            I2C_SMBUS => {
                let address = state.addresses.get(&call.file).copied().unwrap_or(0);
                smbus::transfer(&mut state.wires, address, call.caller, call.arg).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }
}

impl State {
    fn message(&self, file: OpenFile, read: bool, bytes: Vec<u8>) -> Message {
        Message {
            address: self.addresses.get(&file).copied().unwrap_or(0),
            read,
            goes_on: false,
            bytes,
        }
    }

    /// `I2C_RDWR`: everything is checked before the first message goes out, as i2c-dev does.
    fn transfer(&mut self, caller: Caller, arg: u64) -> Result<usize, Errno> {
        let data = caller.bytes(arg, size_of::<RdwrData>())?;
        let data = RdwrData::read_from_bytes(&data).map_err(|_| Errno::EFAULT)?;
        let count = data.count as usize;
        if data.messages == 0 || count == 0 || count > MESSAGES {
            return Err(Errno::EINVAL);
        }
        let raw = caller.bytes(data.messages, count * size_of::<RawMessage>())?;
        let mut buffers = Vec::with_capacity(count);
        let mut messages = Vec::with_capacity(count);
        for raw in raw.chunks_exact(size_of::<RawMessage>()) {
            let raw = RawMessage::read_from_bytes(raw).map_err(|_| Errno::EFAULT)?;
            let length = usize::from(raw.length);
            if length > MESSAGE_BYTES || raw.flags & !(I2C_M_RD | I2C_M_NOSTART) != 0 {
                return Err(Errno::EINVAL);
            }
            let read = raw.flags & I2C_M_RD != 0;
            let goes_on = raw.flags & I2C_M_NOSTART != 0;
            if goes_on && messages.last().is_none_or(|before: &Message| before.read != read) {
                return Err(Errno::EINVAL);
            }
            buffers.push(raw.buffer);
            messages.push(Message {
                address: raw.address,
                read,
                goes_on,
                // What a chip leaves alone stays as the caller had it.
                bytes: caller.bytes(raw.buffer, length)?,
            });
        }
        let done = self.wires.transact(&mut messages)?;
        for (message, buffer) in messages.iter().zip(buffers).take(done) {
            if message.read {
                caller.write(buffer, &message.bytes)?;
            }
        }
        Ok(done)
    }
}

/// The test's end of an emulated I2C bus. To reach a chip while it is plugged in, put it in an `Arc<Mutex<_>>` and keep
/// a clone.
#[derive(Debug, Clone)]
pub struct I2cBus {
    plug: Plug,
    node: Arc<I2cNode>,
}

impl I2cBus {
    pub(crate) fn new(plug: Plug, node: Arc<I2cNode>) -> Self {
        Self { plug, node }
    }

    /// The node's path.
    pub fn path(&self) -> &Path {
        self.plug.path()
    }

    /// The next `count` transactions are not acknowledged, whatever the address.
    pub fn nack_next(&self, count: u32) {
        lock(&self.node.0).wires.nack_next = count;
    }

    /// The next `count` transactions end early: a plain `read` returns half of the bytes, `I2C_RDWR` transfers and
    /// returns one message.
    pub fn cut_next(&self, count: u32) {
        lock(&self.node.0).wires.cut_next = count;
    }

    /// What a missing acknowledgement looks like from now on: adapters differ between `ENXIO` (the default) and
    /// `EREMOTEIO`.
    pub fn set_nack(&self, errno: Errno) {
        lock(&self.node.0).wires.nack = errno;
    }

    /// What open files get after an unplug: `ENODEV` by default; some USB adapters give `EREMOTEIO`.
    pub fn set_gone(&self, errno: Errno) {
        lock(&self.node.0).gone = errno;
    }

    /// Wires a chip to a 7-bit address, in place of one that is there.
    pub fn connect(&self, address: u8, chip: Box<dyn I2cChip>) {
        lock(&self.node.0).wires.chips.insert(address.into(), chip);
    }

    /// Takes a chip off the bus: its address is no longer acknowledged.
    pub fn disconnect(&self, address: u8) {
        lock(&self.node.0).wires.chips.remove(&address.into());
    }

    /// Transactions so far, failed ones too.
    pub fn transactions(&self) -> u64 {
        lock(&self.node.0).wires.transactions
    }

    /// Pulls the adapter: the node vanishes, open files fail for good.
    pub fn unplug(&self) {
        self.plug.unplug();
    }

    /// Puts the adapter back under its name, with the same chips.
    pub fn replug(&self) {
        self.plug.replug();
    }
}
