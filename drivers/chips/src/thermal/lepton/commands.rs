//! What can be asked of a Lepton on its control bus.
//!
//! FLIR "Lepton Software Interface Description Document (IDD)", 110-0144-04 rev 303, section 4.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

use super::cci::{Cci, CciError, DATA_WORDS, long};
use super::{Model, Resolution, TelemetryLocation};
use crate::thermal::FfcState;

/// Commands of the IDD, section 4, in their "get" form. OEM and RAD need the protection bit 0x4000.
mod command {
    pub const AGC_ENABLE: u16 = 0x0100;
    pub const SYS_SERIAL_NUMBER: u16 = 0x0208;
    pub const SYS_UPTIME: u16 = 0x020C;
    pub const SYS_TELEMETRY_ENABLE: u16 = 0x0218;
    pub const SYS_TELEMETRY_LOCATION: u16 = 0x021C;
    pub const SYS_SHUTTER_MODE: u16 = 0x023C;
    pub const SYS_RUN_FFC: u16 = 0x0242;
    pub const SYS_FFC_STATE: u16 = 0x024C;
    pub const VID_OUTPUT_FORMAT: u16 = 0x0330;
    pub const OEM_PART_NUMBER: u16 = 0x481C;
    pub const RAD_TLINEAR_ENABLE: u16 = 0x4EC0;
    pub const RAD_TLINEAR_RESOLUTION: u16 = 0x4EC4;
}

/// `RAW14` among the video output formats (section 4.6, VID output format).
const FORMAT_RAW14: u32 = 7;

/// How the shutter is worked (IDD, FFC shutter mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutterMode {
    /// No correction unless asked for.
    Manual,
    /// The camera corrects itself: at start, every three minutes, after a drift.
    Auto,
    /// There is no shutter inside: the host puts something even before the lens.
    External,
}

/// The part number as the camera says it, such as `500-0771-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartNumber([u8; 2 * DATA_WORDS]);

impl PartNumber {
    /// The text before the first byte that is no printable ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self
            .0
            .iter()
            .position(|byte| !byte.is_ascii_graphic())
            .unwrap_or(self.0.len());
        core::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

/// Every method blocks until the camera has finished, at most [`BUSY_LIMIT_MS`](super::BUSY_LIMIT_MS).
impl<I2C: I2c> Cci<I2C> {
    /// FLIR's serial number.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn serial_number(&mut self, delay: &mut impl DelayNs) -> Result<u64, CciError<I2C::Error>> {
        let mut words = [0; 4];
        self.get(command::SYS_SERIAL_NUMBER, &mut words, delay)?;
        Ok(words
            .iter()
            .rev()
            .fold(0, |number, word| number << 16 | u64::from(*word)))
    }

    /// FLIR's part number: tells the model.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn part_number(&mut self, delay: &mut impl DelayNs) -> Result<PartNumber, CciError<I2C::Error>> {
        let mut words = [0; DATA_WORDS];
        self.get(command::OEM_PART_NUMBER, &mut words, delay)?;
        let mut text = [0; 2 * DATA_WORDS];
        for (pair, word) in text.as_chunks_mut::<2>().0.iter_mut().zip(words) {
            // Text is packed low byte first.
            *pair = word.to_le_bytes();
        }
        Ok(PartNumber(text))
    }

    /// The model, from the part number; none if the number is not one of the known ones.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn model(&mut self, delay: &mut impl DelayNs) -> Result<Option<Model>, CciError<I2C::Error>> {
        Ok(Model::from_part_number(self.part_number(delay)?.as_str()))
    }

    /// Milliseconds since the camera booted.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn uptime_ms(&mut self, delay: &mut impl DelayNs) -> Result<u32, CciError<I2C::Error>> {
        self.get_long(command::SYS_UPTIME, delay)
    }

    /// State of the flat-field correction.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn ffc_state(&mut self, delay: &mut impl DelayNs) -> Result<FfcState, CciError<I2C::Error>> {
        match self.get_long(command::SYS_FFC_STATE, delay)? {
            0 => Ok(FfcState::NeverCommanded),
            1 => Ok(FfcState::Imminent),
            2 => Ok(FfcState::InProgress),
            3 => Ok(FfcState::Complete),
            found => Err(CciError::Answer {
                command: command::SYS_FFC_STATE,
                expected: 3,
                found,
            }),
        }
    }

    /// Asks for a flat-field correction now.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn run_ffc(&mut self, delay: &mut impl DelayNs) -> Result<(), CciError<I2C::Error>> {
        self.command(command::SYS_RUN_FFC, 0, delay)
    }

    /// How the shutter is worked.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn shutter_mode(&mut self, delay: &mut impl DelayNs) -> Result<ShutterMode, CciError<I2C::Error>> {
        // The object is 16 words long; its first 32 bits are the mode.
        let mut words = [0; DATA_WORDS];
        self.get(command::SYS_SHUTTER_MODE, &mut words, delay)?;
        match long([words[0], words[1]]) {
            0 => Ok(ShutterMode::Manual),
            1 => Ok(ShutterMode::Auto),
            2 => Ok(ShutterMode::External),
            found => Err(CciError::Answer {
                command: command::SYS_SHUTTER_MODE,
                expected: 2,
                found,
            }),
        }
    }

    /// Sets how the shutter is worked, leaving the rest of the correction's settings.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn set_shutter_mode(
        &mut self,
        mode: ShutterMode,
        delay: &mut impl DelayNs,
    ) -> Result<(), CciError<I2C::Error>> {
        let mut words = [0; DATA_WORDS];
        self.get(command::SYS_SHUTTER_MODE, &mut words, delay)?;
        words[0] = match mode {
            ShutterMode::Manual => 0,
            ShutterMode::Auto => 1,
            ShutterMode::External => 2,
        };
        words[1] = 0;
        self.set(command::SYS_SHUTTER_MODE, &words, delay)
    }

    /// Where telemetry lines are, none when they are off.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn telemetry(&mut self, delay: &mut impl DelayNs) -> Result<Option<TelemetryLocation>, CciError<I2C::Error>> {
        if self.get_flag(command::SYS_TELEMETRY_ENABLE, delay)? {
            let footer = self.get_flag(command::SYS_TELEMETRY_LOCATION, delay)?;
            Ok(Some(if footer {
                TelemetryLocation::Footer
            } else {
                TelemetryLocation::Header
            }))
        } else {
            Ok(None)
        }
    }

    /// Puts telemetry lines at the head or the foot of each frame, or turns them off. The video stream must be
    /// resynchronised after it: a frame's length changes.
    ///
    /// # Errors
    /// [`CciError`]; [`CciError::Answer`] when the camera does not keep the setting.
    pub fn set_telemetry(
        &mut self,
        location: Option<TelemetryLocation>,
        delay: &mut impl DelayNs,
    ) -> Result<(), CciError<I2C::Error>> {
        if let Some(location) = location {
            let footer = u32::from(location == TelemetryLocation::Footer);
            self.set_long(command::SYS_TELEMETRY_LOCATION, footer, delay)?;
        }
        self.set_long(command::SYS_TELEMETRY_ENABLE, u32::from(location.is_some()), delay)
    }

    /// Kelvin per count if the camera sends temperatures (TLinear), none if it sends raw counts. Cameras without
    /// radiometry (2.0, 3.0) have no such setting and send raw counts.
    ///
    /// # Errors
    /// [`CciError`].
    pub fn tlinear(&mut self, delay: &mut impl DelayNs) -> Result<Option<Resolution>, CciError<I2C::Error>> {
        match self.get_flag(command::RAD_TLINEAR_ENABLE, delay) {
            Ok(true) => {}
            Ok(false) | Err(CciError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let centikelvin = self.get_flag(command::RAD_TLINEAR_RESOLUTION, delay)?;
        Ok(Some(if centikelvin {
            Resolution::Centikelvin
        } else {
            Resolution::Decikelvin
        }))
    }

    /// Makes the camera send temperatures (TLinear) at a resolution, or raw counts.
    ///
    /// # Errors
    /// [`CciError::Refused`] on a camera without radiometry; [`CciError`] otherwise.
    pub fn set_tlinear(
        &mut self,
        resolution: Option<Resolution>,
        delay: &mut impl DelayNs,
    ) -> Result<(), CciError<I2C::Error>> {
        if let Some(resolution) = resolution {
            let centikelvin = u32::from(resolution == Resolution::Centikelvin);
            self.set_long(command::RAD_TLINEAR_RESOLUTION, centikelvin, delay)?;
        }
        self.set_long(command::RAD_TLINEAR_ENABLE, u32::from(resolution.is_some()), delay)
    }

    /// Turns automatic gain off and the video to 14-bit words: what [`VoSpi`](super::VoSpi) reads.
    ///
    /// # Errors
    /// [`CciError`]; [`CciError::Answer`] when the camera does not keep the setting.
    pub fn set_raw_video(&mut self, delay: &mut impl DelayNs) -> Result<(), CciError<I2C::Error>> {
        self.set_long(command::AGC_ENABLE, 0, delay)?;
        self.set_long(command::VID_OUTPUT_FORMAT, FORMAT_RAW14, delay)
    }
}
