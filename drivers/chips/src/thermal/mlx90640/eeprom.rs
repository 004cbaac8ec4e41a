//! Calibration parameters out of the EEPROM.
//!
//! Melexis "MLX90640 32x24 IR array" datasheet, 3901090640 rev 12, section 10.6.2 (layout) and 11.1 (restoring each
//! parameter). Names follow the sheet. Rows and columns count from 1 there, from 0 here.

use core::fmt;

use super::{HEIGHT, PIXELS, WIDTH};

/// Words of the EEPROM: 1664 bytes.
pub const EEPROM_WORDS: usize = 832;
/// Address of its first word.
pub(super) const EEPROM_START: u16 = 0x2400;
/// The maker's promise (section 9, false pixel correction): a good chip has at most four.
pub(super) const MOST_DEVIATING: usize = 4;

const FIRST_PIXEL: usize = 0x40;

/// Why an EEPROM is not taken for one of this chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EepromError {
    /// Every word is the same: no chip drove the bus, or its EEPROM was erased.
    Blank(u16),
    /// Bit 6 of word 0x240A is set: an MLX90641 (16x12), which has other maths.
    Mlx90641,
    /// A parameter that the maths divides by is zero.
    Zero {
        /// The sheet's name of it.
        parameter: &'static str,
        /// Address of its word.
        address: u16,
        /// The word.
        found: u16,
    },
    /// More pixels are marked broken or outliers than the maker lets pass.
    DeviatingPixels(usize),
}

impl fmt::Display for EepromError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank(word) => write!(
                f,
                "MLX90640: every word of its EEPROM is {word:#06x}, expected calibration: lower the bus to 400 kHz, check \
                 the pull-ups and the 3.3 V supply; if it stays so, the module was erased"
            ),
            Self::Mlx90641 => write!(
                f,
                "expected an MLX90640 (32x24), found an MLX90641 (16x12) at its address"
            ),
            Self::Zero {
                parameter,
                address,
                found,
            } => write!(
                f,
                "MLX90640: {parameter} is zero (word {found:#06x} at {address:#06x}), expected a calibration: lower the \
                 bus to 400 kHz and read again; if it stays so, the module is damaged"
            ),
            Self::DeviatingPixels(found) => write!(
                f,
                "MLX90640: {found} pixels are marked bad, expected at most {MOST_DEVIATING}: lower the bus to 400 kHz and \
                 read again; if it stays so, the module is damaged"
            ),
        }
    }
}

impl core::error::Error for EepromError {}

/// Calibration of one pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelParameters {
    /// Offset at 25 °C and 3.3 V, in counts (`pix_os_ref`).
    pub offset: f32,
    /// Sensitivity at 25 °C, in counts per K⁴ (`α`).
    pub alpha: f32,
    /// Slope of the offset with the chip's temperature, per K (`Kta`).
    pub kta: f32,
    /// Slope of the offset with the supply, per V (`Kv`).
    pub kv: f32,
}

/// Everything the EEPROM says. 12 KiB.
#[derive(Debug, Clone)]
pub struct Calibration {
    pub(super) kvdd: f32,
    pub(super) vdd25: f32,
    pub(super) resolution: u8,
    pub(super) kv_ptat: f32,
    pub(super) kt_ptat: f32,
    pub(super) vptat25: f32,
    pub(super) alpha_ptat: f32,
    pub(super) gain: f32,
    pub(super) tgc: f32,
    pub(super) ks_ta: f32,
    pub(super) ks_to: [f32; 4],
    /// Corner temperatures CT1 to CT4, in °C.
    pub(super) corners_c: [f32; 4],
    /// Sub-page 0 and 1.
    pub(super) cp_alpha: [f32; 2],
    pub(super) cp_offset: [f32; 2],
    pub(super) cp_kta: f32,
    pub(super) cp_kv: f32,
    /// IL_CHESS_C1 to C3.
    pub(super) il_chess: [f32; 3],
    /// The reading pattern the chip was calibrated in.
    pub(super) calibrated_in_chess: bool,
    /// By parity: `[row odd][column odd]`, counted from 0.
    pub(super) kv: [[f32; 2]; 2],
    pub(super) offset: [f32; PIXELS],
    pub(super) alpha: [f32; PIXELS],
    pub(super) kta: [f32; PIXELS],
    deviating: [u16; MOST_DEVIATING],
    deviating_count: u8,
}

impl Calibration {
    /// Restores all parameters (section 11.1).
    ///
    /// # Errors
    /// [`EepromError`] when these words cannot be this chip's.
    pub fn parse(words: &[u16; EEPROM_WORDS]) -> Result<Self, EepromError> {
        if words.iter().all(|word| *word == words[0]) {
            return Err(EepromError::Blank(words[0]));
        }
        if words[0x0A] & 1 << 6 != 0 {
            return Err(EepromError::Mlx90641);
        }
        let nonzero = |parameter, at: usize, value: f32| match value {
            0.0 => Err(EepromError::Zero {
                parameter,
                address: EEPROM_START + at as u16,
                found: words[at],
            }),
            value => Ok(value),
        };
        let scales = words[0x38];
        let kta_scale = power(-(i32::from(field(scales, 4, 4)) + 8));
        let kv_scale = power(-i32::from(field(scales, 8, 4)));
        let ks_to_scale = power(-(i32::from(field(words[0x3F], 0, 4)) + 8));
        let corner_step = f32::from(field(words[0x3F], 12, 2)) * 10.0;
        let ct3 = f32::from(field(words[0x3F], 4, 4)) * corner_step;
        let ct4 = ct3 + f32::from(field(words[0x3F], 8, 4)) * corner_step;
        let cp_alpha = signed(words[0x39], 0, 10) * power(-(i32::from(field(words[0x20], 12, 4)) + 27));
        let cp_offset = signed(words[0x3A], 0, 10);
        let mut this = Self {
            kvdd: nonzero("KVdd", 0x33, signed(words[0x33], 8, 8) * 32.0)?,
            vdd25: (f32::from(field(words[0x33], 0, 8)) - 256.0) * 32.0 - 8192.0,
            resolution: field(scales, 12, 2) as u8,
            kv_ptat: signed(words[0x32], 10, 6) / 4096.0,
            kt_ptat: nonzero("KtPTAT", 0x32, signed(words[0x32], 0, 10) / 8.0)?,
            vptat25: signed(words[0x31], 0, 16),
            alpha_ptat: f32::from(field(words[0x10], 12, 4)) / 4.0 + 8.0,
            gain: nonzero("GAIN", 0x30, signed(words[0x30], 0, 16))?,
            tgc: signed(words[0x3C], 0, 8) / 32.0,
            ks_ta: signed(words[0x3C], 8, 8) / 8192.0,
            ks_to: [
                signed(words[0x3D], 0, 8) * ks_to_scale,
                signed(words[0x3D], 8, 8) * ks_to_scale,
                signed(words[0x3E], 0, 8) * ks_to_scale,
                signed(words[0x3E], 8, 8) * ks_to_scale,
            ],
            corners_c: [-40.0, 0.0, ct3, ct4],
            cp_alpha: [cp_alpha, cp_alpha * (1.0 + signed(words[0x39], 10, 6) / 128.0)],
            cp_offset: [cp_offset, cp_offset + signed(words[0x3A], 10, 6)],
            cp_kta: signed(words[0x3B], 0, 8) * kta_scale,
            cp_kv: signed(words[0x3B], 8, 8) * kv_scale,
            il_chess: [
                signed(words[0x35], 0, 6) / 16.0,
                signed(words[0x35], 6, 5) / 2.0,
                signed(words[0x35], 11, 5) / 8.0,
            ],
            calibrated_in_chess: words[0x0A] & 1 << 11 == 0,
            kv: [
                [
                    signed(words[0x34], 12, 4) * kv_scale,
                    signed(words[0x34], 4, 4) * kv_scale,
                ],
                [
                    signed(words[0x34], 8, 4) * kv_scale,
                    signed(words[0x34], 0, 4) * kv_scale,
                ],
            ],
            offset: [0.0; PIXELS],
            alpha: [0.0; PIXELS],
            kta: [0.0; PIXELS],
            deviating: [0; MOST_DEVIATING],
            deviating_count: 0,
        };
        this.restore_pixels(words, kta_scale);
        this.list_deviating(words)?;
        Ok(this)
    }

    /// Offset, sensitivity and Kta of each pixel: a common value, corrected by row, by column, and by pixel.
    fn restore_pixels(&mut self, words: &[u16; EEPROM_WORDS], kta_scale: f32) {
        let kta_average = [
            [signed(words[0x36], 8, 8), signed(words[0x37], 8, 8)],
            [signed(words[0x36], 0, 8), signed(words[0x37], 0, 8)],
        ];
        let kta_remnant = power(i32::from(field(words[0x38], 0, 4)));
        let alpha_scale = power(-(i32::from(field(words[0x20], 12, 4)) + 30));
        for (pixel, word) in words[FIRST_PIXEL..].iter().enumerate() {
            let (row, column) = (pixel / WIDTH, pixel % WIDTH);
            self.offset[pixel] = signed(words[0x11], 0, 16)
                + corrections(words, 0x12, row, column, words[0x10])
                + signed(*word, 10, 6) * power(i32::from(field(words[0x10], 0, 4)));
            self.alpha[pixel] = (f32::from(words[0x21])
                + corrections(words, 0x22, row, column, words[0x20])
                + signed(*word, 4, 6) * power(i32::from(field(words[0x20], 0, 4))))
                * alpha_scale;
            self.kta[pixel] = (kta_average[row % 2][column % 2] + signed(*word, 1, 3) * kta_remnant) * kta_scale;
        }
    }

    /// A word of zero marks a broken pixel, bit 0 an outlier (section 10.6.2, notes 1 and 2).
    fn list_deviating(&mut self, words: &[u16; EEPROM_WORDS]) -> Result<(), EepromError> {
        let bad = |word: &u16| *word == 0 || word & 1 != 0;
        let pixels = &words[FIRST_PIXEL..];
        let found = pixels.iter().filter(|word| bad(word)).count();
        if found > MOST_DEVIATING {
            return Err(EepromError::DeviatingPixels(found));
        }
        let listed = (0..).zip(pixels).filter(|(_, word)| bad(word)).map(|(pixel, _)| pixel);
        for (slot, pixel) in self.deviating.iter_mut().zip(listed) {
            *slot = pixel;
        }
        self.deviating_count = found as u8;
        Ok(())
    }

    /// Pixels marked broken or outliers by the maker, at most four: row × 32 + column.
    #[must_use]
    pub fn deviating(&self) -> &[u16] {
        &self.deviating[..usize::from(self.deviating_count)]
    }

    /// Calibration of the pixel in `row` (0 to 23) and `column` (0 to 31); none outside.
    #[must_use]
    pub fn pixel(&self, row: usize, column: usize) -> Option<PixelParameters> {
        let index = row * WIDTH + column;
        (row < HEIGHT && column < WIDTH).then(|| PixelParameters {
            offset: self.offset[index],
            alpha: self.alpha[index],
            kta: self.kta[index],
            kv: self.kv[row % 2][column % 2],
        })
    }
}

/// Row and column corrections of an offset or sensitivity: four signed nibbles a word, the lowest first; six words of
/// rows, eight of columns. Their scales are bits 8 to 11 and 4 to 7 of `scales`.
fn corrections(words: &[u16; EEPROM_WORDS], rows_at: usize, row: usize, column: usize, scales: u16) -> f32 {
    let nibble = |at: usize, index: usize| signed(words[at + index / 4], 4 * (index % 4), 4);
    nibble(rows_at, row) * power(i32::from(field(scales, 8, 4)))
        + nibble(rows_at + HEIGHT / 4, column) * power(i32::from(field(scales, 4, 4)))
}

/// `bits` of a word from bit `low` on.
fn field(word: u16, low: usize, bits: usize) -> u16 {
    word >> low & (u32::MAX >> (32 - bits)) as u16
}

/// The same as two's complement.
fn signed(word: u16, low: usize, bits: usize) -> f32 {
    let top = (word << (16 - low - bits)).cast_signed();
    f32::from(top >> (16 - bits))
}

/// 2 to the power of `exponent`, exactly.
fn power(exponent: i32) -> f32 {
    libm::scalbnf(1.0, exponent)
}
