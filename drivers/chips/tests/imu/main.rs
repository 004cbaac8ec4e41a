//! Inertial chips against emulated ones, over I2C and SPI, and against transactions written down from the data sheets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arbitrary_bytes;
mod bench;
mod emulated;
mod transactions;
