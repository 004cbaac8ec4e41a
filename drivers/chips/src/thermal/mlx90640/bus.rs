//! Words on the bus (data sheet, section 10.2).

use embedded_hal::i2c::I2c;

use super::{Error, RAM_WORDS};

/// Words on the bus: 16 bits, high byte first, at addresses of 16 bits that count words.
pub(super) struct Bus<I2C> {
    pub(super) i2c: I2C,
    pub(super) address: u8,
    pub(super) message_words: usize,
}

impl<I2C: I2c> Bus<I2C> {
    pub(super) fn read(&mut self, mut start: u16, words: &mut [u16]) -> Result<(), Error<I2C::Error>> {
        let mut bytes = [0; 2 * RAM_WORDS];
        for chunk in words.chunks_mut(self.message_words) {
            let bytes = &mut bytes[..2 * chunk.len()];
            self.i2c
                .write_read(self.address, &start.to_be_bytes(), bytes)
                .map_err(Error::Bus)?;
            for (word, pair) in chunk.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *word = u16::from_be_bytes(*pair);
            }
            start += chunk.len() as u16;
        }
        Ok(())
    }

    pub(super) fn read_word(&mut self, at: u16) -> Result<u16, Error<I2C::Error>> {
        let mut word = [0];
        self.read(at, &mut word)?;
        Ok(word[0])
    }

    pub(super) fn write_word(&mut self, at: u16, word: u16) -> Result<(), Error<I2C::Error>> {
        let [a, b] = at.to_be_bytes();
        let [c, d] = word.to_be_bytes();
        self.i2c.write(self.address, &[a, b, c, d]).map_err(Error::Bus)
    }
}
