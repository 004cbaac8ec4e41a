//! Thermal cameras: an array of pixels, each a temperature in kelvin.
//!
//! Each chip has its own type with its own settings; [`ThermalArray`] is what they have in common, so that whoever
//! captures need not know which chip it is.

pub mod amg8833;
pub mod lepton;
pub mod mlx90640;

/// Kelvin at 0 °C.
pub const ZERO_CELSIUS_K: f32 = 273.15;

/// A chip that measures a grid of temperatures.
pub trait ThermalArray {
    /// What can go wrong on the bus or in the chip.
    type Error: core::fmt::Debug + core::fmt::Display;

    /// Pixels in a row.
    fn width(&self) -> usize;

    /// Rows.
    fn height(&self) -> usize;

    /// Asks the chip once whether a new frame is complete, and reads it: row by row from the top left, in kelvin.
    ///
    /// Never allocates. Blocks for the bus transfers, and where the chip demands a pause (each chip says which).
    ///
    /// # Errors
    /// `Ok(None)` while no new frame is complete. The chip's error when the bus fails, when `kelvin` is not
    /// `width * height` long, or when what the chip sent cannot be a temperature.
    fn poll(&mut self, kelvin: &mut [f32]) -> Result<Option<FrameInfo>, Self::Error>;
}

/// What a chip says about one frame beside its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FrameInfo {
    /// The chip's own count of unique frames, where it has one; it wraps.
    pub counter: Option<u32>,
    /// The chip's own clock when it made the frame, in milliseconds since its boot, where it has one; it wraps.
    pub uptime_ms: Option<u32>,
    /// State of the flat-field correction, where the chip has a shutter and says so.
    pub ffc: Option<FfcState>,
    /// Temperature of the chip itself, in kelvin, where it measures it.
    pub chip_k: Option<f32>,
    /// Pixels whose value was taken from their neighbours: marked bad by the maker, or not a temperature this time.
    pub filled_pixels: u16,
}

impl FrameInfo {
    /// Whether the frame shows the scene: false while the shutter is closed for a flat-field correction.
    #[must_use]
    pub fn shows_scene(&self) -> bool {
        self.ffc != Some(FfcState::InProgress)
    }
}

/// Flat-field correction: the chip closes its shutter to even out its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FfcState {
    /// None has been done since the chip started: values may be far off.
    NeverCommanded,
    /// One begins within two seconds.
    Imminent,
    /// The shutter is closed: the frame does not show the scene.
    InProgress,
    /// The last one is complete.
    Complete,
}
