//! "Short side to `size`, centre crop": where the crop lies.

use super::InputError;
use super::picture::MAX_PIXELS;
use sensebind_core::Sense;

/// A picture scaled so that its short side is `size`, and the centred square of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortSideCrop {
    pub width: usize,
    pub height: usize,
    pub resized_width: usize,
    pub resized_height: usize,
    pub crop_x: usize,
    pub crop_y: usize,
    pub size: usize,
}

impl ShortSideCrop {
    /// For a source of `width × height`. The long side is truncated, not rounded; the crop's offset is rounded half to
    /// even: both as the reference does (parity specification 4.1).
    pub fn new(sense: Sense, size: u32, width: u32, height: u32) -> Result<Self, InputError> {
        if size == 0 || size > 4096 {
            return Err(InputError::recipe(
                sense,
                format!("size is {size} pixels, expected 1 to 4096"),
            ));
        }
        let (size, width, height) = (size as usize, width as usize, height as usize);
        let found = || format!("{width}x{height}");
        if width == 0 || height == 0 || width.checked_mul(height).is_none_or(|n| n > MAX_PIXELS) {
            return Err(InputError::size(
                "picture",
                format!("1 to {MAX_PIXELS} pixels"),
                found(),
            ));
        }
        let (short, long) = (width.min(height), width.max(height));
        let resized_long = size * long / short;
        if resized_long > MAX_PIXELS / size {
            return Err(InputError::size("picture", "a less extreme ratio of sides", found()));
        }
        let (resized_width, resized_height) = if width <= height {
            (size, resized_long)
        } else {
            (resized_long, size)
        };
        Ok(Self {
            width,
            height,
            resized_width,
            resized_height,
            crop_x: half_to_even(resized_width - size),
            crop_y: half_to_even(resized_height - size),
            size,
        })
    }
}

/// `n / 2`, rounded half to even.
fn half_to_even(n: usize) -> usize {
    n / 2 + usize::from(n % 4 == 3)
}

#[cfg(test)]
mod tests {
    use super::half_to_even;

    #[test]
    fn halves_round_to_even() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(half_to_even), [0, 0, 1, 2, 2, 2, 3, 4]);
    }
}
