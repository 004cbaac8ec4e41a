//! The telemetry lines: what the Lepton says about each frame.
//!
//! FLIR "Lepton Engineering Datasheet", 500-0659-00-09 rev 203, section 3.4, tables 2 and 3. Words of 16 bits; values of
//! 32 bits have their low word first.

use super::Resolution;
use super::packet::PACKET_WORDS;
use crate::thermal::FfcState;

/// Row A and row C are read; row C begins at word 160.
pub(super) const ROWS: usize = 3;
pub(super) const WORDS: usize = ROWS * PACKET_WORDS;

const UPTIME: usize = 1;
const STATUS: usize = 3;
const COUNTER: usize = 20;
const FPA_TEMPERATURE: usize = 24;
const HOUSING_TEMPERATURE: usize = 26;
const FPA_TEMPERATURE_AT_FFC: usize = 29;
const UPTIME_AT_FFC: usize = 30;
const TLINEAR_ENABLED: usize = 208;
const TLINEAR_RESOLUTION: usize = 209;

/// What the Lepton says about one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Telemetry {
    /// Version of the telemetry layout: major in the high byte.
    pub revision: u16,
    /// Milliseconds since the camera booted.
    pub uptime_ms: u32,
    /// Unique frames since the camera booted. Repeated frames carry the count of the frame they repeat.
    pub counter: u32,
    /// State of the flat-field correction.
    pub ffc: FfcState,
    /// The camera would like a flat-field correction: it drifted, or three minutes went by.
    pub ffc_desired: bool,
    /// Automatic gain is on: the counts are for display and no temperatures.
    pub agc: bool,
    /// The shutter is locked because the camera is outside -10 °C to 80 °C.
    pub shutter_locked: bool,
    /// The camera shuts down for heat within ten seconds.
    pub overheating: bool,
    /// Temperature of the focal plane array, in kelvin.
    pub fpa_k: f32,
    /// Temperature of the housing, in kelvin.
    pub housing_k: f32,
    /// Temperature of the focal plane array at the last correction, in kelvin.
    pub fpa_at_ffc_k: f32,
    /// Uptime at the last correction, in milliseconds.
    pub uptime_at_ffc_ms: u32,
    /// Kelvin per count if this frame is TLinear (Lepton 2.5 and 3.5), none if its counts are raw.
    pub tlinear: Option<Resolution>,
}

impl Telemetry {
    /// Words of rows A to C, 80 each.
    pub const WORDS: usize = WORDS;

    /// Reads rows A to C, one after the other, as the camera sends them.
    #[must_use]
    pub fn parse(words: &[u16; Self::WORDS]) -> Self {
        let long = |at: usize| u32::from(words[at]) | u32::from(words[at + 1]) << 16;
        let kelvin = |at: usize| f32::from(words[at]) * 0.01;
        let status = long(STATUS);
        Self {
            revision: words[0],
            uptime_ms: long(UPTIME),
            counter: long(COUNTER),
            ffc: match status >> 4 & 0b11 {
                0 => FfcState::NeverCommanded,
                1 => FfcState::Imminent,
                2 => FfcState::InProgress,
                _ => FfcState::Complete,
            },
            ffc_desired: status & 1 << 3 != 0,
            agc: status & 1 << 12 != 0,
            shutter_locked: status & 1 << 15 != 0,
            overheating: status & 1 << 20 != 0,
            fpa_k: kelvin(FPA_TEMPERATURE),
            housing_k: kelvin(HOUSING_TEMPERATURE),
            fpa_at_ffc_k: kelvin(FPA_TEMPERATURE_AT_FFC),
            uptime_at_ffc_ms: long(UPTIME_AT_FFC),
            tlinear: (words[TLINEAR_ENABLED] != 0).then(|| match words[TLINEAR_RESOLUTION] {
                0 => Resolution::Decikelvin,
                _ => Resolution::Centikelvin,
            }),
        }
    }
}
