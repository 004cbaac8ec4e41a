//! Sensor chips behind the traits of `embedded-hal` 1.0: registers in, physical units out.
//!
//! No operating system, no allocator, no clock: the same code runs on a Linux board (crate `sensebind-drivers` opens the
//! bus) and on a microcontroller. One file per chip family; a page or section of the data sheet stands beside every
//! register and formula.
#![no_std]

pub mod imu;
pub mod registers;
pub mod thermal;
