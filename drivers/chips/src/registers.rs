//! Chips with byte-wide register addresses: one way to read and write them, over I2C or SPI.
//!
//! A chip's file is written once against [`RegisterBus`]; which wires it hangs on is chosen by wrapping an
//! `embedded-hal` bus in [`I2cRegisters`] or [`SpiRegisters`].

use core::fmt::Debug;

use embedded_hal::i2c::I2c;
use embedded_hal::spi::{Operation, SpiDevice};

/// The wires a chip hangs on. Some chips must be told to leave the other interface alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Two wires, an address.
    I2c,
    /// Four wires, a chip select.
    Spi,
}

/// Registers of one chip. Every call blocks for one bus transaction and allocates nothing here.
pub trait RegisterBus {
    /// What the bus reports when a transaction fails.
    type Error: Debug;

    /// The wires underneath.
    const INTERFACE: Interface;

    /// Reads `into.len()` bytes in one transaction, starting at register `first`.
    ///
    /// # Errors
    /// What the bus reports; part of the bytes may then have left the chip already.
    fn read_registers(&mut self, first: u8, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes one register.
    ///
    /// # Errors
    /// What the bus reports.
    fn write_register(&mut self, register: u8, value: u8) -> Result<(), Self::Error>;

    /// Reads one register.
    ///
    /// # Errors
    /// As [`RegisterBus::read_registers`].
    fn read_register(&mut self, register: u8) -> Result<u8, Self::Error> {
        let mut byte = [0];
        self.read_registers(register, &mut byte)?;
        let [value] = byte;
        Ok(value)
    }
}

/// Registers over I2C: the register address is written, then a repeated start reads.
#[derive(Debug)]
pub struct I2cRegisters<B> {
    bus: B,
    address: u8,
}

impl<B> I2cRegisters<B> {
    /// The chip at the 7-bit `address` of `bus`.
    pub fn new(bus: B, address: u8) -> Self {
        Self { bus, address }
    }
}

impl<B: I2c> RegisterBus for I2cRegisters<B> {
    type Error = B::Error;

    const INTERFACE: Interface = Interface::I2c;

    fn read_registers(&mut self, first: u8, into: &mut [u8]) -> Result<(), Self::Error> {
        self.bus.write_read(self.address, &[first], into)
    }

    fn write_register(&mut self, register: u8, value: u8) -> Result<(), Self::Error> {
        self.bus.write(self.address, &[register, value])
    }
}

/// Set in the first byte of a SPI transaction that reads: the convention of InvenSense, Bosch and ST alike.
const SPI_READ: u8 = 0x80;

/// Registers over SPI: bit 7 of the first byte set reads, clear writes.
#[derive(Debug)]
pub struct SpiRegisters<D> {
    device: D,
}

impl<D> SpiRegisters<D> {
    /// The chip selected by `device`.
    pub fn new(device: D) -> Self {
        Self { device }
    }
}

impl<D: SpiDevice> RegisterBus for SpiRegisters<D> {
    type Error = D::Error;

    const INTERFACE: Interface = Interface::Spi;

    fn read_registers(&mut self, first: u8, into: &mut [u8]) -> Result<(), Self::Error> {
        self.device
            .transaction(&mut [Operation::Write(&[first | SPI_READ]), Operation::Read(into)])
    }

    fn write_register(&mut self, register: u8, value: u8) -> Result<(), Self::Error> {
        self.device.write(&[register & !SPI_READ, value])
    }
}
