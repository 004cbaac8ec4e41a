//! An `i2c-tiny-usb` adapter: the kernel's I2C core and `i2c-dev`, with any emulated chips on the bus.
//!
//! Requests as the kernel's driver sends them (`drivers/i2c/busses/i2c-tiny-usb.c`): each I2C message is one vendor
//! request with the address in `wIndex`, and the host asks afterwards whether it was acknowledged.

use std::fmt;

use super::device::{Device, Identity, Setup, Stall};
use crate::bus::I2cChip;

const GET_FUNCTIONS: u8 = 1;
const SET_DELAY: u8 = 2;
const GET_STATUS: u8 = 3;
/// Bits 0 and 1 beside it mark the first and the last message of a transfer.
const MESSAGE: u8 = 4;

const ACKNOWLEDGED: u8 = 1;
const NOT_ACKNOWLEDGED: u8 = 2;

/// `I2C_FUNC_I2C`, and of `I2C_FUNC_SMBUS_EMUL` all but the checksums: the kernel's `include/uapi/linux/i2c.h`.
const FUNCTIONS: u32 = 0x0eff_0001;

/// The adapter with its chips, by their seven-bit addresses.
pub struct Adapter {
    chips: Vec<(u8, Box<dyn I2cChip>)>,
    status: u8,
}

impl fmt::Debug for Adapter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<u8> = self.chips.iter().map(|(address, _)| *address).collect();
        formatter
            .debug_struct("Adapter")
            .field("addresses", &addresses)
            .finish()
    }
}

impl Adapter {
    /// An adapter with `chips` on its bus, each with its seven-bit address.
    #[must_use]
    pub fn new(chips: Vec<(u8, Box<dyn I2cChip>)>) -> Self {
        Self { chips, status: 0 }
    }

    fn chip(&mut self, address: u16) -> Option<&mut Box<dyn I2cChip>> {
        self.chips
            .iter_mut()
            .find(|(own, _)| u16::from(*own) == address)
            .map(|(_, chip)| chip)
    }
}

impl Device for Adapter {
    fn identity(&self) -> Identity {
        Identity {
            vendor: 0x0403,
            product: 0xc631,
            class: [0xff, 0, 0],
            manufacturer: "Sensebind".to_owned(),
            product_name: "Emulated i2c-tiny-usb".to_owned(),
            serial: "lab-i2c".to_owned(),
        }
    }

    fn interface_count(&self) -> u8 {
        1
    }

    fn interfaces(&self) -> Vec<u8> {
        vec![9, 4, 0, 0, 0, 0xff, 0, 0, 0]
    }

    fn kernel_modules(&self) -> &'static [&'static str] {
        &["i2c-dev", "i2c-tiny-usb"]
    }

    fn read(&mut self, setup: Setup) -> Result<Vec<u8>, Stall> {
        match setup.request {
            GET_FUNCTIONS => Ok(FUNCTIONS.to_le_bytes().to_vec()),
            GET_STATUS => Ok(vec![self.status]),
            request if request & MESSAGE != 0 => {
                let mut bytes = vec![0; usize::from(setup.length)];
                let acknowledged = self.chip(setup.index).is_some_and(|chip| chip.read(&mut bytes).is_ok());
                self.status = if acknowledged { ACKNOWLEDGED } else { NOT_ACKNOWLEDGED };
                Ok(bytes)
            }
            _ => Err(Stall),
        }
    }

    fn write(&mut self, setup: Setup, data: &[u8]) -> Result<(), Stall> {
        match setup.request {
            SET_DELAY => Ok(()),
            request if request & MESSAGE != 0 => {
                let acknowledged = self.chip(setup.index).is_some_and(|chip| chip.write(data).is_ok());
                self.status = if acknowledged { ACKNOWLEDGED } else { NOT_ACKNOWLEDGED };
                Ok(())
            }
            _ => Err(Stall),
        }
    }
}
