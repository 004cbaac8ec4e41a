//! Emulated chips behind `embedded-hal` 1.0, for tests of chip drivers without a kernel in between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource, SevenBitAddress};
use embedded_hal::spi::{self, SpiDevice};

use crate::bus::{I2cChip, SpiChip};
use crate::chip::clock::ManualClock;

fn lock<C>(chip: &Mutex<C>) -> MutexGuard<'_, C> {
    // A test that panicked with the chip in hand has failed already.
    chip.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An I2C bus with one chip on it.
#[derive(Debug)]
pub struct LabI2c<C> {
    address: u8,
    chip: Arc<Mutex<C>>,
}

impl<C> LabI2c<C> {
    /// `chip` at the 7-bit `address`; who keeps a clone of `chip` can go on turning its knobs.
    pub fn new(address: u8, chip: Arc<Mutex<C>>) -> Self {
        Self { address, chip }
    }
}

impl<C> i2c::ErrorType for LabI2c<C> {
    type Error = i2c::ErrorKind;
}

impl<C: I2cChip> I2c for LabI2c<C> {
    fn transaction(
        &mut self,
        address: SevenBitAddress,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), Self::Error> {
        if address != self.address {
            return Err(i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        let mut chip = lock(&self.chip);
        for operation in operations {
            match operation {
                i2c::Operation::Write(bytes) => chip.write(bytes),
                i2c::Operation::Read(into) => chip.read(into),
            }
            .map_err(|_| i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data))?;
        }
        Ok(())
    }
}

/// A chip on a SPI bus of its own.
#[derive(Debug)]
pub struct LabSpi<C> {
    chip: Arc<Mutex<C>>,
}

impl<C> LabSpi<C> {
    /// Selects `chip`; who keeps a clone of it can go on turning its knobs.
    pub fn new(chip: Arc<Mutex<C>>) -> Self {
        Self { chip }
    }
}

impl<C> spi::ErrorType for LabSpi<C> {
    type Error = spi::ErrorKind;
}

impl<C: SpiChip> SpiDevice for LabSpi<C> {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), Self::Error> {
        // The chip sees one chip-select period, however it was cut into operations.
        let mut sent = Vec::new();
        for operation in &*operations {
            match operation {
                spi::Operation::Read(into) => sent.resize(sent.len() + into.len(), 0),
                spi::Operation::Write(bytes) => sent.extend_from_slice(bytes),
                spi::Operation::Transfer(into, bytes) => {
                    let end = sent.len() + into.len().max(bytes.len());
                    sent.extend_from_slice(bytes);
                    sent.resize(end, 0);
                }
                spi::Operation::TransferInPlace(bytes) => sent.extend_from_slice(bytes),
                spi::Operation::DelayNs(_) => {}
            }
        }
        let mut received = vec![0; sent.len()];
        lock(&self.chip).transfer(&sent, &mut received);
        let mut rest = received.as_slice();
        for operation in operations {
            let (length, into) = match operation {
                spi::Operation::Read(into) => (into.len(), Some(&mut **into)),
                spi::Operation::Write(bytes) => (bytes.len(), None),
                spi::Operation::Transfer(into, bytes) => (into.len().max(bytes.len()), Some(&mut **into)),
                spi::Operation::TransferInPlace(bytes) => (bytes.len(), Some(&mut **bytes)),
                spi::Operation::DelayNs(_) => (0, None),
            };
            let (bytes, after) = rest.split_at(length);
            if let Some(into) = into {
                let filled = into.len();
                into.copy_from_slice(&bytes[..filled]);
            }
            rest = after;
        }
        Ok(())
    }
}

/// A driver's delay lets the chip's time pass.
impl DelayNs for ManualClock {
    fn delay_ns(&mut self, ns: u32) {
        self.advance(Duration::from_nanos(u64::from(ns)));
    }
}
