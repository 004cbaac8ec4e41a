//! Depth picture → f32 `[1, size, size]`.
//!
//! ImageBind published no depth loader. The paper (appendix A) says in-filled depth, as disparity, one channel. An
//! author states disparity = baseline × focal length / metres, with metres clamped first (facebookresearch/omnivore
//! issue 12); omnivore, of the same group, clamps, divides by 75 and standardises afterwards; ImageBind issues 14, 69,
//! 107, 122 and 134 discuss what reproduces the paper. None is confirmed, so all constants are the recipe's.

use super::InputError;
use super::error::check_scaling;
use super::picture::check_bytes;
use super::plane::PlaneResizer;
use crate::manifest::{DepthRecipe, DepthRepresentation};
use sensebind_core::{DepthUnit, Sense};

/// Turns depth frames of one format into a depth encoder's input: holes filled from the nearest valid pixel; metres
/// clamped to `min_m..max_m`; metric or disparity; clamped to `max_value`; `/ divisor`; short side to `size` (bicubic,
/// antialiased, in floating point, clamped again because the kernel overshoots); centre crop; `(x - mean) / std`.
#[derive(Debug, Clone)]
pub struct DepthPreparer {
    recipe: DepthRecipe,
    unit: DepthUnit,
    /// `Some(baseline_m × focal_px)` for disparity.
    disparity_m_px: Option<f32>,
    width: u32,
    height: u32,
    resizer: PlaneResizer,
    plane: Vec<f32>,
    /// Column and row of every pixel's nearest valid pixel.
    nearest: Vec<[u32; 2]>,
}

impl DepthPreparer {
    /// Tables for frames of `width × height` pixels of `unit`. `focal_px` is the stream's focal length in pixels of
    /// this picture; the recipe's own is used without it.
    ///
    /// # Errors
    /// [`InputError::Recipe`] for an empty range or a useless divisor, std, baseline or focal length;
    /// [`InputError::Size`] for an absurd picture; [`InputError::Unusable`] for a scale or focal length of the stream
    /// that is not a positive number.
    pub fn new(
        recipe: &DepthRecipe,
        width: u32,
        height: u32,
        unit: DepthUnit,
        focal_px: Option<f32>,
    ) -> Result<Self, InputError> {
        check_scaling(Sense::Depth, &[recipe.mean], &[recipe.std])?;
        let DepthRecipe {
            min_m,
            max_m,
            max_value,
            divisor,
            ..
        } = *recipe;
        let wrong = |why: String| Err(InputError::recipe(Sense::Depth, why));
        if !(is_positive(min_m) && max_m.is_finite() && min_m < max_m) {
            return wrong(format!(
                "min_m is {min_m} and max_m is {max_m}, expected 0 < min_m < max_m"
            ));
        }
        if !is_positive(max_value) || !is_positive(divisor) {
            return wrong(format!(
                "max_value is {max_value} and divisor is {divisor}, expected both above 0"
            ));
        }
        if let DepthUnit::MetresPerCount(m) = unit
            && !is_positive(m)
        {
            let why = format!("{m} metres per count, expected a number above 0, such as 0.001");
            return Err(InputError::unusable("depth stream", why));
        }
        if let Some(f) = focal_px
            && !is_positive(f)
        {
            return Err(InputError::unusable(
                "depth stream",
                format!("focal length is {f} pixels, expected above 0"),
            ));
        }
        let disparity_m_px = match recipe.representation {
            DepthRepresentation::Metric => None,
            DepthRepresentation::Disparity {
                baseline_m,
                focal_px: recipe_focal_px,
            } => {
                if !is_positive(baseline_m) || !is_positive(recipe_focal_px) {
                    return wrong(format!(
                        "baseline_m is {baseline_m} and focal_px is {recipe_focal_px}, expected both above 0"
                    ));
                }
                Some(baseline_m * focal_px.unwrap_or(recipe_focal_px))
            }
        };
        let resizer = PlaneResizer::new(Sense::Depth, recipe.size, width, height)?;
        let recipe = recipe.clone();
        Ok(Self {
            recipe,
            unit,
            disparity_m_px,
            width,
            height,
            resizer,
            plane: Vec::new(),
            nearest: Vec::new(),
        })
    }

    /// Appends `[1, size, size]` numbers for a frame of little-endian pixels, and returns how many holes were filled.
    /// A hole: 0, negative, or not finite ("no return").
    ///
    /// # Errors
    /// [`InputError::Size`] for a wrong number of bytes; [`InputError::Unusable`] when every pixel is a hole.
    pub fn append(&mut self, frame: &[u8], out: &mut Vec<f32>) -> Result<usize, InputError> {
        let check = |n| check_bytes("depth frame", self.width, self.height, n, frame.len());
        self.plane.clear();
        match self.unit {
            DepthUnit::MetresPerCount(scale) => {
                check(2)?;
                let counts = frame.as_chunks().0.iter().map(|&c| u16::from_le_bytes(c));
                self.plane.extend(counts.map(|c| f32::from(c) * scale));
            }
            DepthUnit::MetresF32 => {
                check(4)?;
                self.plane
                    .extend(frame.as_chunks().0.iter().map(|&c| f32::from_le_bytes(c)));
            }
        }
        let holes = self.plane.iter().filter(|m| !is_positive(**m)).count();
        if holes == self.plane.len() {
            let why = "no pixel has a distance: nothing in range, or a covered or failed sensor";
            return Err(InputError::unusable("depth frame", why));
        }
        if holes > 0 {
            fill_from_nearest(&mut self.plane, self.width as usize, &mut self.nearest);
        }
        let DepthRecipe {
            min_m,
            max_m,
            max_value,
            divisor,
            mean,
            std,
            ..
        } = self.recipe;
        for metres in &mut self.plane {
            let clamped = metres.clamp(min_m, max_m);
            *metres = self.disparity_m_px.map_or(clamped, |f| f / clamped).min(max_value) / divisor;
        }
        let begin = out.len();
        self.resizer.append(&self.plane, out);
        out[begin..]
            .iter_mut()
            .for_each(|x| *x = (x.clamp(0.0, max_value / divisor) - mean) / std);
        Ok(holes)
    }
}

fn is_positive(x: f32) -> bool {
    x.is_finite() && x > 0.0
}

/// Gives every hole the value of its nearest valid pixel, by Danielsson's two sweeps: each pixel asks its already
/// visited neighbours which valid pixel they are nearest to (P.-E. Danielsson, "Euclidean distance mapping", 1980;
/// in rare layouts off by a fraction of a pixel, which does not matter here).
fn fill_from_nearest(plane: &mut [f32], width: usize, nearest: &mut Vec<[u32; 2]>) {
    const UNKNOWN: [u32; 2] = [u32::MAX; 2];
    let height = plane.len() / width;
    nearest.clear();
    for (y, row) in plane.chunks_exact(width).enumerate() {
        nearest.extend(row.iter().enumerate().map(
            |(x, &m)| {
                if is_positive(m) { [x as u32, y as u32] } else { UNKNOWN }
            },
        ));
    }
    let ask = |nearest: &mut [[u32; 2]], x: usize, y: usize, neighbour: usize| {
        let distance = |[cx, cy]: [u32; 2]| {
            let (dx, dy) = (u64::from(cx.abs_diff(x as u32)), u64::from(cy.abs_diff(y as u32)));
            dx * dx + dy * dy
        };
        let (candidate, current) = (nearest[neighbour], nearest[y * width + x]);
        if candidate != UNKNOWN && (current == UNKNOWN || distance(candidate) < distance(current)) {
            nearest[y * width + x] = candidate;
        }
    };
    // `previous`: the row visited before.
    let sweep_row = |nearest: &mut [[u32; 2]], y: usize, previous: Option<usize>| {
        let is_hole = |x: usize| !is_positive(plane[y * width + x]);
        for x in (0..width).filter(|&x| is_hole(x)) {
            if let Some(p) = previous {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    ask(nearest, x, y, p * width + nx);
                }
            }
            if x > 0 {
                ask(nearest, x, y, y * width + x - 1);
            }
        }
        for x in (0..width - 1).rev().filter(|&x| is_hole(x)) {
            ask(nearest, x, y, y * width + x + 1);
        }
    };
    for y in 0..height {
        sweep_row(nearest, y, y.checked_sub(1));
    }
    for y in (0..height).rev() {
        sweep_row(nearest, y, (y + 1 < height).then_some(y + 1));
    }
    for (i, &[x, y]) in nearest.iter().enumerate() {
        // A pixel with a distance is its own source, so no source is ever overwritten.
        if [x, y] != UNKNOWN {
            plane[i] = plane[y as usize * width + x as usize];
        }
    }
}
