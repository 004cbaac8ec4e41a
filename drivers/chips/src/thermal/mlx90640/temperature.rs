//! From raw words of the RAM to temperatures.
//!
//! Melexis "MLX90640 32x24 IR array" datasheet, 3901090640 rev 12, section 11.2.2. Names follow the sheet.

use super::eeprom::Calibration;
use super::{RAM_WORDS, WIDTH};

const ZERO_CELSIUS_K: f32 = crate::thermal::ZERO_CELSIUS_K;

/// Words of the RAM after the pixels, counted from 0x0400.
const VBE: usize = 0x300;
const CP: [usize; 2] = [0x308, 0x328];
const GAIN: usize = 0x30A;
const PTAT: usize = 0x320;
const VDD: usize = 0x32A;

/// What the chip looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Optics {
    /// Emissivity of the surfaces in view, above 0 and at most 1. Skin 0.98, most paint 0.95, bare metal below 0.2.
    pub emissivity: f32,
    /// Temperature of what those surfaces reflect, in kelvin; none takes it as 8 K below the chip, which warms itself
    /// (section 11.2.2.9). Without effect at emissivity 1.
    pub reflected_k: Option<f32>,
}

impl Default for Optics {
    /// Black surfaces.
    fn default() -> Self {
        Self {
            emissivity: 1.0,
            reflected_k: None,
        }
    }
}

/// One reading of the RAM, with what all its pixels have in common already computed.
#[derive(Debug)]
pub struct Measurement<'a> {
    calibration: &'a Calibration,
    ram: &'a [u16; RAM_WORDS],
    /// Reading pattern: chess, else interleaved.
    chess: bool,
    emissivity: f32,
    supply_v: f32,
    ambient_c: f32,
    gain: f32,
    /// Compensated compensation pixel, by sub-page, in counts.
    compensation: [f32; 2],
    /// `Ta-r`: the fourth power of the temperature a pixel would show were there nothing to see, in K⁴.
    reflected_k4: f32,
    /// αcorr of the four temperature ranges.
    range_alpha: [f32; 4],
}

impl<'a> Measurement<'a> {
    /// Computes supply, chip temperature, gain and compensation pixels (11.2.2.1 to 11.2.2.4 and 11.2.2.6). `control` is
    /// control register 1: the resolution and the reading pattern of this reading.
    #[must_use]
    pub fn new(calibration: &'a Calibration, ram: &'a [u16; RAM_WORDS], control: u16, optics: &Optics) -> Self {
        let c = calibration;
        let raw = |at: usize| f32::from(ram[at].cast_signed());
        let chess = control & super::CONTROL_CHESS != 0;
        let resolution = i32::from(control >> 10 & 0b11);
        let correction = libm::scalbnf(1.0, i32::from(c.resolution) - resolution);
        let delta_v = (correction * raw(VDD) - c.vdd25) / c.kvdd;
        let ptat_art = raw(PTAT) / (raw(PTAT) * c.alpha_ptat + raw(VBE)) * 262_144.0;
        let ambient_c = (ptat_art / (1.0 + c.kv_ptat * delta_v) - c.vptat25) / c.kt_ptat + 25.0;
        let gain = c.gain / raw(GAIN);
        // The offsets of the compensation pixel are for the pattern of calibration (11.2.2.6.2).
        let other_pattern = if chess == c.calibrated_in_chess {
            0.0
        } else {
            c.il_chess[0]
        };
        let cp_drift = (1.0 + c.cp_kta * (ambient_c - 25.0)) * (1.0 + c.cp_kv * delta_v);
        let compensation = [
            raw(CP[0]) * gain - c.cp_offset[0] * cp_drift,
            raw(CP[1]) * gain - (c.cp_offset[1] + other_pattern) * cp_drift,
        ];
        let ambient_k = ambient_c + ZERO_CELSIUS_K;
        let surroundings_k4 = fourth(optics.reflected_k.unwrap_or(ambient_k - 8.0));
        let [ct1, ct2, ct3, ct4] = c.corners_c;
        let above_ct3 = 1.0 + c.ks_to[1] * (ct3 - ct2);
        Self {
            calibration,
            ram,
            chess,
            emissivity: optics.emissivity,
            supply_v: 3.3 + delta_v,
            ambient_c,
            gain,
            compensation,
            reflected_k4: surroundings_k4 - (surroundings_k4 - fourth(ambient_k)) / optics.emissivity,
            range_alpha: [
                1.0 / (1.0 + c.ks_to[0] * (ct2 - ct1)),
                1.0,
                above_ct3,
                above_ct3 * (1.0 + c.ks_to[2] * (ct4 - ct3)),
            ],
        }
    }

    /// Supply voltage, in V.
    #[must_use]
    pub fn supply_v(&self) -> f32 {
        self.supply_v
    }

    /// Temperature of the chip, in kelvin.
    #[must_use]
    pub fn chip_k(&self) -> f32 {
        self.ambient_c + ZERO_CELSIUS_K
    }

    /// `Kgain`.
    #[must_use]
    pub fn gain(&self) -> f32 {
        self.gain
    }

    /// Which sub-page updates a pixel (row × 32 + column) in this reading's pattern.
    #[must_use]
    pub fn subpage(&self, pixel: usize) -> usize {
        subpage(pixel, self.chess)
    }

    /// `VIR` of a pixel before the compensation pixel is taken off: gain, offset, chip temperature and supply compensated
    /// (11.2.2.5), in counts.
    ///
    /// # Panics
    /// When `pixel` is not below 768.
    #[must_use]
    pub fn offset_free(&self, pixel: usize) -> f32 {
        let c = self.calibration;
        let kv = c.kv[pixel / WIDTH % 2][pixel % WIDTH % 2];
        let drift = (1.0 + c.kta[pixel] * (self.ambient_c - 25.0)) * (1.0 + kv * (self.supply_v - 3.3));
        let counts = f32::from(self.ram[pixel].cast_signed()) * self.gain - c.offset[pixel] * drift;
        if self.chess == c.calibrated_in_chess {
            return counts;
        }
        let interleaved = if subpage(pixel, false) == 0 { -1.0 } else { 1.0 };
        counts + c.il_chess[2] * interleaved - c.il_chess[1] * conversion_pattern(pixel)
    }

    /// `VIR_compensated`: emissivity and the compensation pixel taken off (11.2.2.5.4, 11.2.2.7), in counts.
    ///
    /// # Panics
    /// When `pixel` is not below 768.
    #[must_use]
    pub fn compensated(&self, pixel: usize) -> f32 {
        self.offset_free(pixel) / self.emissivity - self.calibration.tgc * self.compensation[self.subpage(pixel)]
    }

    /// `α_comp` of a pixel: compensation pixel taken off, drifted with the chip's temperature (11.2.2.8), in counts per K⁴.
    ///
    /// # Panics
    /// When `pixel` is not below 768.
    #[must_use]
    pub fn sensitivity(&self, pixel: usize) -> f32 {
        let c = self.calibration;
        (c.alpha[pixel] - c.tgc * c.cp_alpha[self.subpage(pixel)]) * (1.0 + c.ks_ta * (self.ambient_c - 25.0))
    }

    /// Temperature of what a pixel sees, in kelvin; none if its signal is that of no temperature.
    ///
    /// # Panics
    /// When `pixel` is not below 768.
    #[must_use]
    pub fn kelvin(&self, pixel: usize) -> Option<f32> {
        self.object_k(self.compensated(pixel), self.sensitivity(pixel))
    }

    /// `To` of a compensated signal and sensitivity (11.2.2.9), then once more with the slope of its temperature range
    /// (11.2.2.9.1), in kelvin; none if no temperature gives such a signal.
    #[must_use]
    pub fn object_k(&self, compensated: f32, sensitivity: f32) -> Option<f32> {
        let first_c = self.basic_k(compensated, sensitivity)? - ZERO_CELSIUS_K;
        let c = self.calibration;
        let range = match first_c {
            t if t < c.corners_c[1] => 0,
            t if t < c.corners_c[2] => 1,
            t if t < c.corners_c[3] => 2,
            _ => 3,
        };
        let slope = 1.0 + c.ks_to[range] * (first_c - c.corners_c[range]);
        self.root(compensated / (sensitivity * self.range_alpha[range] * slope))
    }

    /// `To` without the temperature ranges (11.2.2.9), in kelvin: right from 0 °C to the third corner, and a few
    /// hundredths of a kelvin coarser than [`object_k`](Self::object_k).
    #[must_use]
    pub fn basic_k(&self, compensated: f32, sensitivity: f32) -> Option<f32> {
        let ks_to = self.calibration.ks_to[1];
        // The sheet's ⁴√(α³·V + α⁴·Ta-r), with α drawn out of the root: α⁴ is near the smallest f32.
        let sx = ks_to * sensitivity * self.root(compensated / sensitivity)?;
        self.root(compensated / (sensitivity * (1.0 - ks_to * ZERO_CELSIUS_K) + sx))
    }

    /// ⁴√(x + Ta-r); none unless that is a temperature.
    fn root(&self, over_surroundings_k4: f32) -> Option<f32> {
        let sum = over_surroundings_k4 + self.reflected_k4;
        let kelvin = libm::sqrtf(libm::sqrtf(sum));
        (kelvin.is_finite() && kelvin > 0.0).then_some(kelvin)
    }
}

/// Which sub-page updates a pixel: in chess by the parity of row and column, interleaved by that of the row
/// (section 10.5, reading patterns).
pub(super) fn subpage(pixel: usize, chess: bool) -> usize {
    let (row, column) = (pixel / WIDTH, pixel % WIDTH);
    if chess { (row + column) % 2 } else { row % 2 }
}

/// -1, 0 or 1: the pattern by which columns differ between the two reading patterns, four columns a period
/// (11.1.3.1 and 11.2.2.5.3).
fn conversion_pattern(pixel: usize) -> f32 {
    let columns = match pixel % 4 {
        1 => -1.0,
        3 => 1.0,
        _ => 0.0,
    };
    if subpage(pixel, false) == 0 { columns } else { -columns }
}

fn fourth(kelvin: f32) -> f32 {
    let square = kelvin * kelvin;
    square * square
}
