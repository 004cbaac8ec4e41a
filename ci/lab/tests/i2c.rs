//! The emulated I2C bus, seen by an unmodified linux-embedded-hal.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

use embedded_hal::i2c::{I2c as _, Operation};
use linux_embedded_hal::I2cdev;
use linux_embedded_hal::i2cdev::core::I2CDevice as _;
use linux_embedded_hal::i2cdev::linux::LinuxI2CDevice;
use sensebind_lab::bus::{I2cChip, Nack};
use sensebind_lab::{Errno, I2cBus, Lab};

/// 65536 registers behind a 16-bit pointer that moves on.
#[derive(Debug)]
struct Memory {
    bytes: Vec<u8>,
    pointer: u16,
}

impl Memory {
    fn new() -> Self {
        Self {
            bytes: (0..=u16::MAX).map(|at| (at ^ (at >> 8)) as u8).collect(),
            pointer: 0,
        }
    }

    fn next(&mut self) -> &mut u8 {
        let at = usize::from(self.pointer);
        self.pointer = self.pointer.wrapping_add(1);
        &mut self.bytes[at]
    }
}

impl I2cChip for Memory {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        if let [high, low, values @ ..] = bytes {
            self.pointer = u16::from_be_bytes([*high, *low]);
            values.iter().for_each(|value| *self.next() = *value);
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        into.iter_mut().for_each(|byte| *byte = *self.next());
        Ok(())
    }
}

/// 256 registers behind an 8-bit pointer, as SMBus chips have.
#[derive(Debug)]
struct Registers {
    bytes: [u8; 256],
    pointer: u8,
}

impl I2cChip for Registers {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        if let [pointer, values @ ..] = bytes {
            self.pointer = *pointer;
            for value in values {
                self.bytes[usize::from(self.pointer)] = *value;
                self.pointer = self.pointer.wrapping_add(1);
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        for byte in into {
            *byte = self.bytes[usize::from(self.pointer)];
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}

fn lab(test: &str) -> Option<Lab> {
    Lab::new().map_err(|why| eprintln!("SKIPPED: {test}: {why}")).ok()
}

fn bus(lab: &Lab) -> (I2cBus, Arc<Mutex<Memory>>) {
    let memory = Arc::new(Mutex::new(Memory::new()));
    let registers = Registers {
        bytes: std::array::from_fn(|at| at as u8),
        pointer: 0,
    };
    let chips: Vec<(u8, Box<dyn I2cChip>)> = vec![(0x33, Box::new(Arc::clone(&memory))), (0x48, Box::new(registers))];
    (lab.i2c("i2c-1", chips), memory)
}

fn errno(error: &linux_embedded_hal::I2CError) -> Option<Errno> {
    use linux_embedded_hal::i2cdev::linux::LinuxI2CError;
    match error.inner() {
        LinuxI2CError::Errno(errno) => Some(Errno::from_raw(*errno)),
        LinuxI2CError::Io(error) => error.raw_os_error().map(Errno::from_raw),
    }
}

#[test]
fn registers_read_and_written_are_the_chips() {
    let Some(lab) = lab("i2c registers") else { return };
    let (bus, memory) = bus(&lab);
    let mut client = I2cdev::new(bus.path()).unwrap();
    let mut read = [0; 1536];
    client.write_read(0x33_u8, &[0x04, 0x00], &mut read).unwrap();
    assert_eq!(read[..], memory.lock().unwrap().bytes[0x400..0x400 + 1536]);
    client.write(0x33_u8, &[0x80, 0x01, 0xab, 0xcd]).unwrap();
    assert_eq!(memory.lock().unwrap().bytes[0x8001..0x8003], [0xab, 0xcd]);
    memory.lock().unwrap().bytes[7] = 99;
    let mut one = [0];
    client.write_read(0x33_u8, &[0, 7], &mut one).unwrap();
    assert_eq!(one, [99]);
    // Two reads without a start between are one read to the chip.
    let (mut first, mut second) = ([0; 2], [0; 3]);
    let mut operations = [
        Operation::Write(&[0, 0x20]),
        Operation::Read(&mut first),
        Operation::Read(&mut second),
    ];
    client.transaction(0x33_u8, &mut operations).unwrap();
    assert_eq!(
        [&first[..], &second[..]].concat(),
        memory.lock().unwrap().bytes[0x20..0x25]
    );
    assert_eq!(bus.transactions(), 4);
}

#[test]
fn limits_are_i2c_devs() {
    let Some(lab) = lab("i2c limits") else { return };
    let (bus, memory) = bus(&lab);
    let mut client = I2cdev::new(bus.path()).unwrap();
    let mut longest = vec![0; 8192];
    client.write_read(0x33_u8, &[0, 0], &mut longest).unwrap();
    assert_eq!(longest, memory.lock().unwrap().bytes[..8192]);
    let error = client.write_read(0x33_u8, &[0, 0], &mut [0; 8193]).unwrap_err();
    assert_eq!(errno(&error), Some(Errno::EINVAL));
    let mut run = |count: usize| {
        let mut buffers = vec![[0; 1]; count];
        let mut operations: Vec<_> = buffers.iter_mut().map(|buffer| Operation::Read(buffer)).collect();
        client.transaction(0x33_u8, &mut operations)
    };
    run(42).unwrap();
    assert_eq!(errno(&run(43).unwrap_err()), Some(Errno::EINVAL));
    assert_eq!(bus.transactions(), 2, "a refused transfer reaches no chip");
}

#[test]
fn an_absent_chip_and_injected_faults_are_not_acknowledged() {
    let Some(lab) = lab("i2c faults") else { return };
    let (bus, memory) = bus(&lab);
    let mut client = I2cdev::new(bus.path()).unwrap();
    let mut one = [0];
    assert_eq!(errno(&client.read(0x50_u8, &mut one).unwrap_err()), Some(Errno::ENXIO));
    bus.set_nack(Errno::EREMOTEIO);
    assert_eq!(
        errno(&client.read(0x50_u8, &mut one).unwrap_err()),
        Some(Errno::EREMOTEIO)
    );
    bus.nack_next(2);
    for _ in 0..2 {
        assert_eq!(
            errno(&client.read(0x33_u8, &mut one).unwrap_err()),
            Some(Errno::EREMOTEIO)
        );
    }
    client.read(0x33_u8, &mut one).unwrap();
    bus.disconnect(0x33);
    client.read(0x33_u8, &mut one).unwrap_err();
    bus.connect(0x33, Box::new(Arc::clone(&memory)));
    client.read(0x33_u8, &mut one).unwrap();
    // A cut transaction: the address went out, nothing came back.
    bus.cut_next(1);
    let mut read = [0xee; 4];
    client.write_read(0x33_u8, &[0, 0x10], &mut read).unwrap();
    assert_eq!(read, [0xee; 4]);
}

#[test]
fn plain_files_and_smbus_work_too() {
    let Some(lab) = lab("i2c files and smbus") else { return };
    let (bus, _) = bus(&lab);
    let mut client = LinuxI2CDevice::new(bus.path(), 0x48).unwrap();
    client.write(&[0x10]).unwrap();
    let mut read = [0; 4];
    client.read(&mut read).unwrap();
    assert_eq!(read, [0x10, 0x11, 0x12, 0x13]);
    assert_eq!(client.smbus_read_byte_data(0x75).unwrap(), 0x75);
    assert_eq!(client.smbus_read_word_data(0x20).unwrap(), 0x2120, "low byte first");
    client.smbus_write_byte_data(0x20, 0xaa).unwrap();
    client.smbus_write_word_data(0x30, 0x1234).unwrap();
    client.smbus_write_byte(0x30).unwrap();
    assert_eq!(client.smbus_read_byte().unwrap(), 0x34);
    assert_eq!(client.smbus_read_i2c_block_data(0x20, 3).unwrap(), [0xaa, 0x21, 0x22]);
    client.smbus_write_i2c_block_data(0x40, &[1, 2, 3]).unwrap();
    assert_eq!(client.smbus_read_i2c_block_data(0x40, 4).unwrap(), [1, 2, 3, 0x43]);
    client.smbus_write_quick(false).unwrap();
    client.smbus_read_block_data(0x40).unwrap_err();

    // Without I2C_SLAVE a file talks to address 0, where nobody is; cut, a read is short.
    let mut file = File::options().read(true).write(true).open(bus.path()).unwrap();
    assert_eq!(file.write(&[0]).unwrap_err().raw_os_error(), Some(Errno::ENXIO as i32));
    bus.cut_next(1);
    bus.connect(0, Box::new(Memory::new()));
    assert_eq!(file.read(&mut read).unwrap(), 2);
}

#[test]
fn a_pulled_adapter_is_gone_and_comes_back_for_new_files() {
    let Some(lab) = lab("i2c unplug") else { return };
    let (bus, _) = bus(&lab);
    let mut client = I2cdev::new(bus.path()).unwrap();
    let mut one = [0];
    client.read(0x33_u8, &mut one).unwrap();
    assert_eq!(std::fs::read_dir(lab.folder()).unwrap().count(), 1);
    bus.unplug();
    assert!(!bus.path().exists());
    assert_eq!(std::fs::read_dir(lab.folder()).unwrap().count(), 0);
    assert_eq!(errno(&client.read(0x33_u8, &mut one).unwrap_err()), Some(Errno::ENODEV));
    assert!(I2cdev::new(bus.path()).is_err());
    bus.replug();
    client.read(0x33_u8, &mut one).unwrap_err();
    I2cdev::new(bus.path()).unwrap().read(0x33_u8, &mut one).unwrap();
    lab.deny("i2c-1", true);
    assert_eq!(
        File::open(bus.path()).unwrap_err().kind(),
        std::io::ErrorKind::PermissionDenied
    );
}

#[test]
fn a_dropped_lab_leaves_no_mount_even_with_files_open() {
    let Some(lab) = lab("unmount") else { return };
    let (bus, _) = bus(&lab);
    let folder = lab.folder().to_owned();
    let mut client = I2cdev::new(bus.path()).unwrap();
    drop(lab);
    assert!(!folder.exists());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(folder.to_str().unwrap()), "{mounts}");
    client.read(0x33_u8, &mut [0]).unwrap_err();
}

#[test]
fn a_chip_that_panics_fails_one_call_only() {
    #[derive(Debug)]
    struct Bomb;
    impl I2cChip for Bomb {
        fn write(&mut self, _bytes: &[u8]) -> Result<(), Nack> {
            Ok(())
        }
        fn read(&mut self, _into: &mut [u8]) -> Result<(), Nack> {
            panic!("meant to happen")
        }
    }
    let Some(lab) = lab("panic in a chip") else { return };
    let bus = lab.i2c("i2c-9", vec![(0x10, Box::new(Bomb))]);
    let mut client = I2cdev::new(bus.path()).unwrap();
    assert_eq!(errno(&client.read(0x10_u8, &mut [0]).unwrap_err()), Some(Errno::EIO));
    client.write(0x10_u8, &[0]).unwrap();
}
