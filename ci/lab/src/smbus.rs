//! `I2C_SMBUS`, carried out as the kernel emulates SMBus on a plain I2C adapter (`i2c_smbus_xfer_emulated`).

use nix::errno::Errno;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::caller::Caller;
use crate::i2c::{Message, Wires};

const READ: u8 = 1;
const BLOCK: usize = 32;

const QUICK: u32 = 0;
const BYTE: u32 = 1;
const BYTE_DATA: u32 = 2;
const WORD_DATA: u32 = 3;
const PROC_CALL: u32 = 4;
const BLOCK_DATA: u32 = 5;
const I2C_BLOCK_BROKEN: u32 = 6;
const BLOCK_PROC_CALL: u32 = 7;
const I2C_BLOCK_DATA: u32 = 8;

#[derive(Debug, FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct SmbusData {
    read_write: u8,
    command: u8,
    padding: u16,
    size: u32,
    data: u64,
}

/// One SMBus transfer with the chip at `address`. Block reads whose length the chip names (`I2C_M_RECV_LEN`) are
/// `EOPNOTSUPP`, as on many adapters.
pub(crate) fn transfer(wires: &mut Wires, address: u16, caller: Caller, arg: u64) -> Result<(), Errno> {
    let call = caller.bytes(arg, size_of::<SmbusData>())?;
    let call = SmbusData::read_from_bytes(&call).map_err(|_| Errno::EFAULT)?;
    let reads = call.read_write == READ;
    let (data_bytes, block) = match call.size {
        QUICK => (0, false),
        BYTE | BYTE_DATA => (1, false),
        WORD_DATA | PROC_CALL => (2, false),
        I2C_BLOCK_DATA => (BLOCK, true),
        BLOCK_DATA if !reads => (BLOCK, true),
        BLOCK_DATA | BLOCK_PROC_CALL | I2C_BLOCK_BROKEN => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EINVAL),
    };
    let message = |read, bytes| Message {
        address,
        read,
        goes_on: false,
        bytes,
    };
    if call.size == QUICK {
        return wires.transact(&mut [message(reads, Vec::new())]).map(drop);
    }
    if call.size == BYTE && !reads {
        return wires.transact(&mut [message(false, vec![call.command])]).map(drop);
    }
    if call.data == 0 {
        return Err(Errno::EINVAL);
    }
    if call.size == BYTE {
        let mut messages = [message(true, vec![0])];
        wires.transact(&mut messages)?;
        return caller.write(call.data, &messages[0].bytes);
    }
    // A block carries its length in its first byte.
    let mut data = caller.bytes(call.data, data_bytes + usize::from(block))?;
    let first = usize::from(block);
    let length = if block { usize::from(data[0]) } else { data_bytes };
    if length > BLOCK || (block && length == 0) {
        return Err(Errno::EINVAL);
    }
    let payload = first..first + length;
    let mut command = vec![call.command];
    if !reads || call.size == PROC_CALL {
        // An SMBus block has its length on the wire, an I2C block has not.
        let from = if call.size == BLOCK_DATA { 0 } else { first };
        command.extend_from_slice(&data[from..payload.end]);
        if call.size != PROC_CALL {
            return wires.transact(&mut [message(false, command)]).map(drop);
        }
    }
    let mut messages = [message(false, command), message(true, vec![0; length])];
    wires.transact(&mut messages)?;
    data[payload].copy_from_slice(&messages[1].bytes);
    caller.write(call.data, &data)
}
