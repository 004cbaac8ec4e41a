//! The control side: registers of 16 bits, commands of the IDD.

use super::{Camera, Lepton};
use crate::bus::{I2cChip, Nack};

const STATUS: u16 = 0x0002;
const COMMAND: u16 = 0x0004;
const DATA_LENGTH: u16 = 0x0006;
const DATA: u16 = 0x0008;
/// How often the status reads as busy after a command.
const BUSY_READS: u32 = 2;

const WRONG_SIZE: i8 = -6;
const UNDEFINED: i8 = -7;
const NOT_SUPPORTED: i8 = -8;
const OUT_OF_RANGE: i8 = -9;

/// The camera on I2C.
#[derive(Debug)]
pub struct LeptonControl {
    lepton: Lepton,
    pointer: u16,
    busy_reads: u32,
    error: i8,
    length: u16,
    data: [u16; 16],
}

impl LeptonControl {
    pub(super) fn new(lepton: Lepton) -> Self {
        Self {
            lepton,
            pointer: 0,
            busy_reads: 0,
            error: 0,
            length: 0,
            data: [0; 16],
        }
    }

    fn status(&mut self) -> u16 {
        if !self.lepton.lock().booted {
            return 0;
        }
        let busy = self.busy_reads > 0;
        self.busy_reads = self.busy_reads.saturating_sub(1);
        u16::from(self.error.cast_unsigned()) << 8 | 0b110 | u16::from(busy)
    }

    fn store(&mut self, register: u16, word: u16) {
        // While it is busy the camera takes nothing.
        if self.busy_reads > 0 {
            return;
        }
        match register {
            COMMAND => {
                self.busy_reads = BUSY_READS;
                self.error = self.run(word).err().unwrap_or(0);
            }
            DATA_LENGTH => self.length = word,
            _ => {
                if let Some(slot) = data_slot(register).and_then(|slot| self.data.get_mut(slot)) {
                    *slot = word;
                }
            }
        }
    }

    fn run(&mut self, command: u16) -> Result<(), i8> {
        let lepton = self.lepton.clone();
        let mut camera = lepton.lock();
        let length = usize::from(self.length);
        match (command & !3, command & 3) {
            (0x0240, 2) => {
                camera.ffc_begun = Some(camera.now());
                Ok(())
            }
            (attribute, 0) => {
                let words = get(&mut camera, attribute)?;
                let into = self.data.get_mut(..length).filter(|into| into.len() == words.len());
                into.ok_or(WRONG_SIZE)?.copy_from_slice(&words);
                Ok(())
            }
            (attribute, 1) => {
                let words = self.data.get(..length).ok_or(WRONG_SIZE)?;
                set(&mut camera, attribute, words)
            }
            _ => Err(UNDEFINED),
        }
    }
}

fn data_slot(register: u16) -> Option<usize> {
    register.checked_sub(DATA).map(|offset| usize::from(offset / 2))
}

fn get(camera: &mut Camera, attribute: u16) -> Result<Vec<u16>, i8> {
    let long = |value: u32| Ok(vec![value as u16, (value >> 16) as u16]);
    let now = camera.now();
    match attribute {
        0x0100 => long(camera.agc.into()),
        // Serial number: four words, the lowest first.
        0x0208 => Ok(vec![0x5EED, 0x0003, 0x0000, 0x0000]),
        0x020C => long(now.as_millis() as u32),
        0x0218 => long(camera.telemetry.into()),
        0x021C => long(camera.footer.into()),
        0x023C => Ok(camera.shutter.to_vec()),
        0x024C => long(camera.ffc_state(now).into()),
        0x0330 => long(if camera.raw14 { 7 } else { 3 }),
        0x481C => {
            let mut text = [0u8; 32];
            let number = camera.part.number().as_bytes();
            text[..number.len()].copy_from_slice(number);
            Ok(text
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| u16::from_le_bytes(*pair))
                .collect())
        }
        0x4EC0 | 0x4EC4 if !camera.part.radiometric() => Err(NOT_SUPPORTED),
        0x4EC0 => long(camera.tlinear.into()),
        0x4EC4 => long(camera.centikelvin.into()),
        _ => Err(UNDEFINED),
    }
}

fn set(camera: &mut Camera, attribute: u16, words: &[u16]) -> Result<(), i8> {
    if attribute == 0x023C {
        camera.shutter = words.try_into().map_err(|_| WRONG_SIZE)?;
        return Ok(());
    }
    let &[low, high] = words else {
        return Err(WRONG_SIZE);
    };
    let value = u32::from(low) | u32::from(high) << 16;
    let flag = match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(OUT_OF_RANGE),
    };
    match attribute {
        0x0100 => camera.agc = flag?,
        0x0218 => {
            camera.layout_changed |= camera.telemetry != flag?;
            camera.telemetry = flag?;
        }
        0x021C => {
            camera.layout_changed |= camera.footer != flag?;
            camera.footer = flag?;
        }
        0x0330 => {
            camera.raw14 = match value {
                7 => true,
                3 => false,
                _ => return Err(OUT_OF_RANGE),
            }
        }
        0x4EC0 | 0x4EC4 if !camera.part.radiometric() => return Err(NOT_SUPPORTED),
        0x4EC0 => camera.tlinear = flag?,
        0x4EC4 => camera.centikelvin = flag?,
        _ => return Err(UNDEFINED),
    }
    Ok(())
}

impl I2cChip for LeptonControl {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        // Only whole words are allowed: the first is the register.
        let (words, []) = bytes.as_chunks::<2>() else {
            return Err(Nack);
        };
        let mut words = words.iter().map(|pair| u16::from_be_bytes(*pair));
        self.pointer = words.next().unwrap_or(self.pointer);
        for word in words {
            self.store(self.pointer, word);
            self.pointer = self.pointer.wrapping_add(2);
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        for pair in into.chunks_mut(2) {
            let word = match self.pointer {
                STATUS => self.status(),
                DATA_LENGTH => self.length,
                register => data_slot(register)
                    .and_then(|slot| self.data.get(slot))
                    .copied()
                    .unwrap_or(0),
            };
            pair.copy_from_slice(&word.to_be_bytes()[..pair.len()]);
            self.pointer = self.pointer.wrapping_add(2);
        }
        Ok(())
    }
}
