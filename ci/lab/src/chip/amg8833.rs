//! Panasonic Grid-EYE AMG8833: 8x8 pixels of 0.25 °C, a thermistor, 1 or 10 frames a second.
//!
//! Registers after Panasonic's "Grid-EYE specifications, AMG88**".

use std::time::Duration;

use super::clock::ChipClock;
use super::thermal::Scene;
use crate::bus::{I2cChip, Nack};

const SIDE: usize = 8;
const NORMAL: u8 = 0x00;

/// The emulated chip.
#[derive(Debug)]
pub struct Amg8833 {
    clock: ChipClock,
    scene: Scene,
    registers: [u8; 256],
    pointer: u8,
    /// The frame the pixel registers hold, counted since the start.
    frame: Option<u64>,
}

impl Amg8833 {
    /// A chip in normal mode at 10 Hz, its own temperature 25 °C.
    #[must_use]
    pub fn new(scene: Scene, clock: ChipClock) -> Self {
        let mut chip = Self {
            clock,
            scene,
            registers: [0; 256],
            pointer: 0,
            frame: None,
        };
        chip.set_thermistor_celsius(25.0);
        chip
    }

    /// The chip's own temperature: steps of 0.0625 °C, sign and magnitude.
    pub fn set_thermistor_celsius(&mut self, celsius: f64) {
        let magnitude = (celsius.abs() / 0.0625).round().min(2047.0) as u16;
        let word = magnitude | if celsius < 0.0 { 0x0800 } else { 0 };
        self.registers[0x0E..0x10].copy_from_slice(&word.to_le_bytes());
    }

    fn measure(&mut self) {
        if self.registers[0x00] != NORMAL {
            return;
        }
        let period = if self.registers[0x02] & 1 == 0 { 100 } else { 1000 };
        let frame = self.clock.now_ns() / 1_000_000 / period;
        if self.frame == Some(frame) {
            return;
        }
        self.frame = Some(frame);
        let time = Duration::from_millis(frame * period);
        for pixel in 0..SIDE * SIDE {
            let celsius = self.scene.kelvin(time, pixel % SIDE, pixel / SIDE) - 273.15;
            let quarters = (celsius * 4.0).round();
            if !(-2048.0..=2047.0).contains(&quarters) {
                self.registers[0x04] |= 0x04;
            }
            let word = (quarters.clamp(-2048.0, 2047.0) as i16).cast_unsigned() & 0x0FFF;
            self.registers[0x80 + 2 * pixel..][..2].copy_from_slice(&word.to_le_bytes());
        }
    }

    fn store(&mut self, register: u8, value: u8) {
        match register {
            // Flag reset and initial reset.
            0x01 => {
                self.registers[0x04] = 0;
                if value == 0x3F {
                    self.registers[0x02] = 0;
                    self.registers[0x07] = 0;
                    self.frame = None;
                }
            }
            0x05 => self.registers[0x04] &= !value,
            0x02 => {
                self.registers[0x02] = value & 1;
                self.frame = None;
            }
            // Power, interrupts and averages; the rest can only be read.
            0x00 | 0x03 | 0x07..=0x0D => self.registers[usize::from(register)] = value,
            _ => {}
        }
    }
}

impl I2cChip for Amg8833 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let Some((register, values)) = bytes.split_first() else {
            return Ok(());
        };
        self.pointer = *register;
        for value in values {
            self.store(self.pointer, *value);
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        self.measure();
        for byte in into {
            *byte = self.registers[usize::from(self.pointer)];
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}
