//! What an emulated chip is, whichever bus adapter it hangs on.

use std::sync::{Arc, Mutex};

use crate::lock::lock;

/// The chip does not acknowledge: what the master sees as `ENXIO` or `EREMOTEIO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack;

/// A chip on an I2C bus. It keeps its own register pointer.
pub trait I2cChip: Send {
    /// One write message addressed to the chip.
    ///
    /// # Errors
    /// [`Nack`] when the chip would not acknowledge.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack>;

    /// One read message: fills `into`.
    ///
    /// # Errors
    /// [`Nack`] when the chip would not acknowledge.
    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack>;
}

/// A chip on a SPI bus.
pub trait SpiChip: Send {
    /// One chip-select period, full duplex: `read` is as long as `write`.
    fn transfer(&mut self, write: &[u8], read: &mut [u8]);
}

/// A chip that the test keeps a hand on.
impl<C: I2cChip + ?Sized> I2cChip for Arc<Mutex<C>> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        lock(self).write(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        lock(self).read(into)
    }
}

/// A chip that the test keeps a hand on.
impl<C: SpiChip + ?Sized> SpiChip for Arc<Mutex<C>> {
    fn transfer(&mut self, write: &[u8], read: &mut [u8]) {
        lock(self).transfer(write, read);
    }
}
