//! Thermal picture → f32 `[1, size, size]`.
//!
//! ImageBind published no thermal loader. What is known: one channel, grey, resized bicubic, centre crop, `/ 255`
//! (users in ImageBind issue 37 and pull request 73, who measured 62.4 % on LLVIP without a mean and std and 55.2 % with;
//! the paper says 63.4 %). The range of temperatures, mean and std are therefore the recipe's.

use super::InputError;
use super::error::check_scaling;
use super::picture::check_bytes;
use super::plane::PlaneResizer;
use crate::manifest::ThermalRecipe;
use sensebind_core::{Sense, ThermalUnit};

/// Largest part of a thermal frame that may be dead pixels: above, the frame is refused rather than invented.
pub const MAX_DEAD_FRACTION: f64 = 0.05;

/// Turns thermal frames of one format into a thermal encoder's input: kelvin stretched linearly so that `min_k` is 0
/// and `max_k` is 1 and clamped (8-bit pictures: `/ 255`); short side to `size` (bicubic, antialiased, in floating
/// point, clamped to 0..1 again because the kernel overshoots); centre crop; `(x - mean) / std`.
#[derive(Debug, Clone)]
pub struct ThermalPreparer {
    recipe: ThermalRecipe,
    unit: ThermalUnit,
    width: u32,
    height: u32,
    resizer: PlaneResizer,
    plane: Vec<f32>,
    dead: Vec<usize>,
}

impl ThermalPreparer {
    /// Tables for frames of `width × height` pixels of `unit`.
    ///
    /// # Errors
    /// [`InputError::Recipe`] for an empty range of temperatures or a useless std, [`InputError::Size`] for an absurd
    /// picture, [`InputError::Unusable`] for a scale that is not a positive number of kelvin per count.
    pub fn new(recipe: &ThermalRecipe, width: u32, height: u32, unit: ThermalUnit) -> Result<Self, InputError> {
        check_scaling(Sense::Thermal, &[recipe.mean], &[recipe.std])?;
        if !(recipe.min_k.is_finite() && recipe.max_k.is_finite() && recipe.min_k < recipe.max_k) {
            let why = format!(
                "min_k is {} and max_k is {}, expected min_k < max_k",
                recipe.min_k, recipe.max_k
            );
            return Err(InputError::recipe(Sense::Thermal, why));
        }
        if let ThermalUnit::KelvinPerCount(k) = unit
            && !(k.is_finite() && k > 0.0)
        {
            let why = format!("{k} kelvin per count, expected a number above 0, such as 0.01");
            return Err(InputError::unusable("thermal stream", why));
        }
        let resizer = PlaneResizer::new(Sense::Thermal, recipe.size, width, height)?;
        let recipe = recipe.clone();
        Ok(Self {
            recipe,
            unit,
            width,
            height,
            resizer,
            plane: Vec::new(),
            dead: Vec::new(),
        })
    }

    /// Appends `[1, size, size]` numbers for a frame of little-endian pixels, and returns how many dead pixels were
    /// filled. Dead: 0 counts, 0 kelvin or less, not finite; filled with the mean of the living among their eight
    /// neighbours. In 8-bit pictures 0 is a value like any other.
    ///
    /// # Errors
    /// [`InputError::Size`] for a wrong number of bytes; [`InputError::Unusable`] when every pixel is zero, more than
    /// [`MAX_DEAD_FRACTION`] are dead, or a dead pixel has no living neighbour.
    pub fn append(&mut self, frame: &[u8], out: &mut Vec<f32>) -> Result<usize, InputError> {
        self.read(frame)?;
        let filled = self.fill_dead()?;
        let ThermalRecipe {
            min_k,
            max_k,
            mean,
            std,
            ..
        } = self.recipe;
        if self.unit != ThermalUnit::Gray8 {
            self.plane
                .iter_mut()
                .for_each(|k| *k = ((*k - min_k) / (max_k - min_k)).clamp(0.0, 1.0));
        }
        let begin = out.len();
        self.resizer.append(&self.plane, out);
        out[begin..]
            .iter_mut()
            .for_each(|x| *x = (x.clamp(0.0, 1.0) - mean) / std);
        Ok(filled)
    }

    /// Fills `plane` with kelvin, or 0..1 for 8-bit pictures, and `dead` with the indices of dead pixels.
    fn read(&mut self, frame: &[u8]) -> Result<(), InputError> {
        let check = |n| check_bytes("thermal frame", self.width, self.height, n, frame.len());
        self.plane.clear();
        match self.unit {
            ThermalUnit::Gray8 => {
                check(1)?;
                self.plane.extend(frame.iter().map(|&g| f32::from(g) / 255.0));
            }
            ThermalUnit::KelvinPerCount(scale) => {
                check(2)?;
                let counts = frame.as_chunks().0.iter().map(|&c| u16::from_le_bytes(c));
                self.plane.extend(counts.map(|c| f32::from(c) * scale));
            }
            ThermalUnit::KelvinF32 => {
                check(4)?;
                self.plane
                    .extend(frame.as_chunks().0.iter().map(|&c| f32::from_le_bytes(c)));
            }
        }
        if self.plane.iter().all(|&x| x == 0.0) {
            return Err(InputError::unusable(
                "thermal frame",
                "every pixel is zero: a closed shutter or failed sensor",
            ));
        }
        self.dead.clear();
        if self.unit != ThermalUnit::Gray8 {
            let dead = self.plane.iter().enumerate().filter(|(_, k)| !is_alive(**k));
            self.dead.extend(dead.map(|(i, _)| i));
        }
        Ok(())
    }

    fn fill_dead(&mut self) -> Result<usize, InputError> {
        let (dead, pixels) = (self.dead.len(), self.plane.len());
        if dead as f64 > MAX_DEAD_FRACTION * pixels as f64 {
            let why = format!(
                "{dead} of {pixels} pixels are zero, negative or not finite, expected at most {} %",
                MAX_DEAD_FRACTION * 100.0
            );
            return Err(InputError::unusable("thermal frame", why));
        }
        let (width, height) = (self.width as usize, self.height as usize);
        // Neighbours are judged by what the sensor gave, so all replacements are found before one is written.
        let mut replacements = Vec::with_capacity(dead);
        for &i in &self.dead {
            let (x, y) = (i % width, i / width);
            let (mut sum, mut count) = (0.0f32, 0u8);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let k = self.plane[ny * width + nx];
                    if is_alive(k) {
                        sum += k;
                        count += 1;
                    }
                }
            }
            if count == 0 {
                let why = format!("the dead pixel at column {x}, row {y} has no living neighbour: a dead patch");
                return Err(InputError::unusable("thermal frame", why));
            }
            replacements.push(sum / f32::from(count));
        }
        for (&i, k) in self.dead.iter().zip(replacements) {
            self.plane[i] = k;
        }
        Ok(dead)
    }
}

fn is_alive(kelvin: f32) -> bool {
    kelvin.is_finite() && kelvin > 0.0
}
