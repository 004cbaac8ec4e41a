//! What an emulated thermal chip looks at.

use std::fmt;
use std::time::Duration;

/// Temperature of the scene, in kelvin: of time since the chip's start, column from the left, row from the top.
pub struct Scene(Box<dyn Fn(Duration, usize, usize) -> f64 + Send>);

impl Scene {
    /// A scene from a formula.
    pub fn new(kelvin: impl Fn(Duration, usize, usize) -> f64 + Send + 'static) -> Self {
        Self(Box::new(kelvin))
    }

    /// The temperature of a pixel at a time, in kelvin.
    #[must_use]
    pub fn kelvin(&self, time: Duration, column: usize, row: usize) -> f64 {
        (self.0)(time, column, row)
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scene")
    }
}
