//! Melexis MLX90640: 32x24 pixels, two sub-pages, an EEPROM of calibration.
//!
//! Written from Melexis "MLX90640 32x24 IR array" datasheet, 3901090640 rev 12: registers (10.6), reading patterns (10.5),
//! EEPROM layout (10.6.2). The words of the RAM are computed the way the sensor makes them, from the sheet's sensitivity
//! law V = α·(1 + KsTo·(To − CT))·(To⁴ − Ta-r⁴), forwards in 64 bits; a driver solves the same law backwards.

use std::time::Duration;

use super::clock::ChipClock;
use super::thermal::Scene;
use crate::bus::{I2cChip, Nack};

const WIDTH: usize = 32;
const HEIGHT: usize = 24;
const EEPROM: u16 = 0x2400;
const RAM: u16 = 0x0400;
const WORDS: usize = 832;
const STATUS: u16 = 0x8000;
const CONTROL: u16 = 0x800D;
const NEW_DATA: u16 = 1 << 3;
const OVERWRITE: u16 = 1 << 4;
const CHESS: u16 = 1 << 12;

/// The shared parameters of the data sheet's worked example (section 11.2), words 0x2410 to 0x243F.
const SHEET_PARAMETERS: [u16; 48] = [
    0x4210, 0xFFBB, 0x0202, 0xF202, 0xF2F2, 0xE2E2, 0xD1E1, 0xB1D1, 0xF10F, 0xF00F, 0xE0EF, 0xE0EF, 0xE1E1, 0xF3F2,
    0xF404, 0xE504, 0x79A6, 0x2F44, 0xFFDD, 0x2210, 0x3333, 0x2233, 0xEF01, 0x9ACC, 0xEEDC, 0x10FF, 0x2221, 0x3333,
    0x2333, 0x0112, 0xEEFF, 0xBBDD, 0x18EF, 0x2FF1, 0x5952, 0x9D68, 0x5454, 0x0994, 0x6956, 0x5354, 0x2363, 0xE446,
    0xFBB5, 0x044B, 0xF020, 0x9797, 0x9797, 0x2889,
];

/// What the sensor itself goes through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Temperature of the chip, in °C.
    pub chip_c: f64,
    /// Supply, in V.
    pub supply_v: f64,
    /// Emissivity of the scene.
    pub emissivity: f64,
    /// Temperature of what the scene reflects, in °C.
    pub reflected_c: f64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            chip_c: 39.0,
            supply_v: 3.31,
            emissivity: 1.0,
            reflected_c: 31.0,
        }
    }
}

/// The emulated chip.
#[derive(Debug)]
pub struct Mlx90640 {
    clock: ChipClock,
    scene: Scene,
    conditions: Conditions,
    eeprom: [u16; WORDS],
    ram: [u16; WORDS],
    status: u16,
    control: u16,
    pointer: u16,
    /// Measurements made since the refresh rate was set, and when that was.
    measured: u64,
    since: Duration,
}

impl Mlx90640 {
    /// A chip with the shared parameters of the data sheet's worked example and pixels that all differ a little, as it is
    /// after power-on: 2 Hz, chess pattern.
    #[must_use]
    pub fn new(scene: Scene, clock: ChipClock) -> Self {
        let mut eeprom = [0; WORDS];
        eeprom[0x07..0x0A].copy_from_slice(&[0x00AE, 0x499A, 0x0005]);
        eeprom[0x0C..0x10].copy_from_slice(&[0x1901, 0x0000, 0x0000, 0xBE33]);
        eeprom[0x10..0x40].copy_from_slice(&SHEET_PARAMETERS);
        for (pixel, word) in eeprom[0x40..].iter_mut().enumerate() {
            let spread = |step: usize, count: usize| (pixel * step / 7 % count) as u16;
            let (offset, alpha, kta) = (spread(5, 64), 8 + spread(3, 8), spread(11, 8));
            *word = offset << 10 | alpha << 4 | kta << 1;
        }
        Self {
            since: Duration::from_nanos(clock.now_ns()),
            clock,
            scene,
            conditions: Conditions::default(),
            eeprom,
            ram: [0; WORDS],
            status: OVERWRITE,
            control: 0x1901,
            pointer: 0,
            measured: 0,
        }
    }

    /// Changes what the sensor goes through.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Replaces one word of the EEPROM, by its address from 0x2400 to 0x273F; others are left alone.
    pub fn set_eeprom_word(&mut self, address: u16, word: u16) {
        if let Some(slot) = self.eeprom.get_mut(usize::from(address.wrapping_sub(EEPROM))) {
            *slot = word;
        }
    }

    /// Fills the whole EEPROM with one word: an erased chip.
    pub fn fill_eeprom(&mut self, word: u16) {
        self.eeprom.fill(word);
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.now_ns())
    }

    fn period(&self) -> Duration {
        Duration::from_secs(2) / (1 << (self.control >> 7 & 0b111))
    }

    /// Makes the measurements that fell due: only the last of each sub-page can be seen.
    fn measure(&mut self) {
        let due = (self.now() - self.since).as_nanos() / self.period().as_nanos();
        let due = due as u64;
        if due == self.measured || self.status & (NEW_DATA | OVERWRITE) == NEW_DATA {
            return;
        }
        for measurement in due.saturating_sub(2).max(self.measured)..due {
            let subpage = (measurement % 2) as u16;
            let time = self.since + self.period() * (measurement + 1) as u32;
            self.expose(usize::from(subpage), time);
            self.status = self.status & !0b111 | NEW_DATA | subpage;
        }
        self.measured = due;
    }

    /// One sub-page at a time: the pixels of its pattern, and what the chip measures of itself.
    fn expose(&mut self, subpage: usize, time: Duration) {
        let sensor = Sensor::new(&self.eeprom, &self.conditions, self.control);
        for (word, value) in sensor.own_words(subpage) {
            self.ram[word] = value;
        }
        let compensation = sensor.compensation_after(self.ram[0x308 + 0x20 * subpage]);
        let chess = self.control & CHESS != 0;
        for pixel in 0..WIDTH * HEIGHT {
            let (row, column) = (pixel / WIDTH, pixel % WIDTH);
            let member = if chess { (row ^ column) & 1 } else { row & 1 };
            if member == subpage {
                let celsius = self.scene.kelvin(time, column, row) - 273.15;
                self.ram[pixel] = sensor.raw(row, column, celsius, compensation[subpage], subpage);
            }
        }
    }

    fn word(&mut self, address: u16) -> u16 {
        match address {
            STATUS => self.status,
            CONTROL => self.control,
            _ => {
                let of =
                    |words: &[u16; WORDS], start: u16| words.get(usize::from(address.wrapping_sub(start))).copied();
                of(&self.ram, RAM).or_else(|| of(&self.eeprom, EEPROM)).unwrap_or(0)
            }
        }
    }
}

impl I2cChip for Mlx90640 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        self.measure();
        let (words, []) = bytes.as_chunks::<2>() else {
            return Err(Nack);
        };
        let mut words = words.iter().map(|pair| u16::from_be_bytes(*pair));
        self.pointer = words.next().unwrap_or(self.pointer);
        for word in words {
            match self.pointer {
                // The new-data flag can only be cleared.
                STATUS => self.status = self.status & 0b111 | word & OVERWRITE | self.status & word & NEW_DATA,
                CONTROL => {
                    self.control = word;
                    self.since = self.now();
                    self.measured = 0;
                }
                // The EEPROM takes writes only after an unlocking sequence, the RAM none.
                _ => {}
            }
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        self.measure();
        for pair in into.chunks_mut(2) {
            let bytes = self.word(self.pointer).to_be_bytes();
            pair.copy_from_slice(&bytes[..pair.len()]);
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}

/// The sensor's physics: what its parameters make of a temperature, in 64 bits.
struct Sensor<'a> {
    eeprom: &'a [u16; WORDS],
    conditions: Conditions,
    control: u16,
}

impl<'a> Sensor<'a> {
    fn new(eeprom: &'a [u16; WORDS], conditions: &Conditions, control: u16) -> Self {
        Self {
            eeprom,
            conditions: *conditions,
            control,
        }
    }

    /// Bits `high` to `low` of an EEPROM word, unsigned.
    fn bits(&self, address: u16, high: u16, low: u16) -> i64 {
        let word = i64::from(self.eeprom[usize::from(address - EEPROM)]);
        word % (1 << (high + 1)) / (1 << low)
    }

    /// The same, negative from half its range on.
    fn signed(&self, address: u16, high: u16, low: u16) -> f64 {
        let range = 1i64 << (high - low + 1);
        let value = self.bits(address, high, low);
        (if value >= range / 2 { value - range } else { value }) as f64
    }

    fn shift(&self, address: u16, high: u16, low: u16) -> f64 {
        f64::from(1u32 << self.bits(address, high, low))
    }

    fn over_25(&self) -> f64 {
        self.conditions.chip_c - 25.0
    }

    fn over_3v3(&self) -> f64 {
        self.conditions.supply_v - 3.3
    }

    /// The gain word: a sensor a little weaker than at its calibration.
    fn gain_word(&self) -> f64 {
        (self.signed(0x2430, 15, 0) * 0.98).round()
    }

    fn gain(&self) -> f64 {
        self.signed(0x2430, 15, 0) / self.gain_word()
    }

    /// Words the chip measures of itself in a sub-page: VBE, PTAT, VDD, gain, and its compensation pixel.
    fn own_words(&self, subpage: usize) -> [(usize, u16); 5] {
        let resolution = f64::from(1 << self.bits(0x2438, 13, 12)) / f64::from(1 << (self.control >> 10 & 0b11));
        let vdd25 = (self.bits(0x2433, 7, 0) as f64 - 256.0) * 32.0 - 8192.0;
        let supply = (self.over_3v3() * self.signed(0x2433, 15, 8) * 32.0 + vdd25) / resolution;
        // The chip's temperature sets the ratio of PTAT to VBE. With PTAT fixed, VBE follows.
        let ptat = 1711.0;
        let kv = self.signed(0x2432, 15, 10) / 4096.0;
        let kt = self.signed(0x2432, 9, 0) / 8.0;
        let art = (self.over_25() * kt + self.signed(0x2431, 15, 0)) * (1.0 + kv * self.over_3v3());
        let alpha = self.bits(0x2410, 15, 12) as f64 / 4.0 + 8.0;
        let vbe = ptat * 262_144.0 / art - ptat * alpha;
        // The compensation pixel sees only the chip: a signal of a few counts.
        let cp = (3.0 + self.cp_offset(subpage)) / self.gain();
        [
            (0x300, word(vbe)),
            (0x320, word(ptat)),
            (0x32A, word(supply)),
            (0x30A, word(self.gain_word())),
            (0x308 + 0x20 * subpage, word(cp)),
        ]
    }

    /// Offset of the compensation pixel as it is now.
    fn cp_offset(&self, subpage: usize) -> f64 {
        let mut offset = self.signed(0x243A, 9, 0);
        if subpage == 1 {
            offset += self.signed(0x243A, 15, 10);
            if self.other_pattern() {
                offset += self.signed(0x2435, 5, 0) / 16.0;
            }
        }
        let kta = self.signed(0x243B, 7, 0) / (256.0 * self.shift(0x2438, 7, 4));
        let kv = self.signed(0x243B, 15, 8) / self.shift(0x2438, 11, 8);
        offset * (1.0 + kta * self.over_25()) * (1.0 + kv * self.over_3v3())
    }

    /// Signal of the compensation pixel as its word, rounded, says it; the same for both sub-pages.
    fn compensation_after(&self, raw: u16) -> [f64; 2] {
        let counts = f64::from(raw.cast_signed()) * self.gain();
        [0, 1].map(|subpage| counts - self.cp_offset(subpage))
    }

    /// Whether the chip reads in another pattern than it was calibrated in.
    fn other_pattern(&self) -> bool {
        (self.control & CHESS != 0) != (self.bits(0x240A, 11, 11) == 0)
    }

    /// The word a pixel gives for an object temperature.
    fn raw(&self, row: usize, column: usize, object_c: f64, compensation: f64, subpage: usize) -> u16 {
        let pixel = 0x2440 + (row * WIDTH + column) as u16;
        // A correction per row and per column: four nibbles a word.
        let nibble = |start: u16, index: usize| {
            let low = (index % 4 * 4) as u16;
            self.signed(start + (index / 4) as u16, low + 3, low)
        };
        let alpha_scale = 2f64.powi(self.bits(0x2420, 15, 12) as i32 + 30);
        let alpha = (self.bits(0x2421, 15, 0) as f64
            + nibble(0x2422, row) * self.shift(0x2420, 11, 8)
            + nibble(0x2428, column) * self.shift(0x2420, 7, 4)
            + self.signed(pixel, 9, 4) * self.shift(0x2420, 3, 0))
            / alpha_scale;
        let cp_alpha = self.signed(0x2439, 9, 0) / (alpha_scale / 8.0)
            * if subpage == 1 {
                1.0 + self.signed(0x2439, 15, 10) / 128.0
            } else {
                1.0
            };
        let tgc = self.signed(0x243C, 7, 0) / 32.0;
        let ks_ta = self.signed(0x243C, 15, 8) / 8192.0;
        let alpha = (alpha - tgc * cp_alpha) * (1.0 + ks_ta * self.over_25());

        let fourth = |celsius: f64| (celsius + 273.15).powi(4);
        let Conditions {
            chip_c,
            emissivity,
            reflected_c,
            ..
        } = self.conditions;
        let surroundings = fourth(reflected_c) - (fourth(reflected_c) - fourth(chip_c)) / emissivity;
        let seen = alpha * self.range_sensitivity(object_c) * (fourth(object_c) - surroundings);

        let offset = self.signed(0x2411, 15, 0)
            + nibble(0x2412, row) * self.shift(0x2410, 11, 8)
            + nibble(0x2418, column) * self.shift(0x2410, 7, 4)
            + self.signed(pixel, 15, 10) * self.shift(0x2410, 3, 0);
        // Rows and columns count from 1 in the sheet: the first is odd.
        let (odd_row, odd_column) = (row.is_multiple_of(2), column.is_multiple_of(2));
        let (address, high) = match (odd_row, odd_column) {
            (true, true) => (0x2436, 15),
            (false, true) => (0x2436, 7),
            (true, false) => (0x2437, 15),
            (false, false) => (0x2437, 7),
        };
        let kta = (self.signed(address, high, high - 7) + self.signed(pixel, 3, 1) * self.shift(0x2438, 3, 0))
            / (256.0 * self.shift(0x2438, 7, 4));
        let kv_high = match (odd_row, odd_column) {
            (true, true) => 15,
            (false, true) => 11,
            (true, false) => 7,
            (false, false) => 3,
        };
        let kv = self.signed(0x2434, kv_high, kv_high - 3) / self.shift(0x2438, 11, 8);
        let drifted = offset * (1.0 + kta * self.over_25()) * (1.0 + kv * self.over_3v3());
        let pattern = if self.other_pattern() {
            self.pattern_shift(row, column)
        } else {
            0.0
        };
        word(((seen + tgc * compensation) * emissivity + drifted - pattern) / self.gain())
    }

    /// How far the interleaved pattern moves a pixel of a chip calibrated in chess: by row, and by column in fours.
    fn pattern_shift(&self, row: usize, column: usize) -> f64 {
        let c2 = self.signed(0x2435, 10, 6) / 2.0;
        let c3 = self.signed(0x2435, 15, 11) / 8.0;
        let by_row = if row % 2 == 1 { 1.0 } else { -1.0 };
        let by_column = [0.0, -1.0, 0.0, 1.0][column % 4] * -by_row;
        c3 * by_row - c2 * by_column
    }

    /// Sensitivity at an object temperature over that at 0 °C: the slopes of the ranges up to it, one after the other.
    fn range_sensitivity(&self, object_c: f64) -> f64 {
        let scale = f64::from(1u32 << (self.bits(0x243F, 3, 0) + 8));
        let slope = |address, high: u16| self.signed(address, high, high - 7) / scale;
        let step = self.bits(0x243F, 13, 12) as f64 * 10.0;
        let ct3 = self.bits(0x243F, 7, 4) as f64 * step;
        let ct4 = ct3 + self.bits(0x243F, 11, 8) as f64 * step;
        let [first, second, third, fourth] = [slope(0x243D, 7), slope(0x243D, 15), slope(0x243E, 7), slope(0x243E, 15)];
        if object_c < 0.0 {
            (1.0 + first * (object_c + 40.0)) / (1.0 + first * 40.0)
        } else if object_c < ct3 {
            1.0 + second * object_c
        } else if object_c < ct4 {
            (1.0 + second * ct3) * (1.0 + third * (object_c - ct3))
        } else {
            (1.0 + second * ct3) * (1.0 + third * (ct4 - ct3)) * (1.0 + fourth * (object_c - ct4))
        }
    }
}

/// A signal as the converter gives it: whole, 16 bits, two's complement.
fn word(counts: f64) -> u16 {
    (counts.round() as i16).cast_unsigned()
}
