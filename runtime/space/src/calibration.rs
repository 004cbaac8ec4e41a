//! What was measured about scores: one temperature per pack and sense, and this site's own background.

use sensebind_core::{Sense, SpaceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A calibration that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// It belongs to other vectors.
    #[error("calibration of space {found}, expected {expected}: calibrate again with this pack")]
    Space {
        /// The space of the prompts.
        expected: SpaceId,
        /// The space it was measured in.
        found: SpaceId,
    },
    /// Dividing by it makes no sense.
    #[error("calibration: {sense} temperature is {found}, expected a finite number above 0: calibrate again")]
    Temperature {
        /// The sense.
        sense: Sense,
        /// What stands there.
        found: f32,
    },
    /// Subtracting it makes no sense.
    #[error("calibration: {sense} background of {label:?} is {found}, expected a finite number: calibrate again")]
    Background {
        /// The sense.
        sense: Sense,
        /// The label.
        label: String,
        /// What stands there.
        found: f32,
    },
}

/// Measured corrections of scores in one space. Without it every temperature is 1 and every background 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The space it was measured in; no other is corrected by it.
    pub space: SpaceId,
    /// Per sense.
    #[serde(default)]
    pub senses: BTreeMap<Sense, SenseCalibration>,
}

impl Calibration {
    pub(crate) fn check(&self, space: &SpaceId) -> Result<(), CalibrationError> {
        if self.space != *space {
            return Err(CalibrationError::Space {
                expected: space.clone(),
                found: self.space.clone(),
            });
        }
        for (&sense, c) in &self.senses {
            if !(c.temperature.is_finite() && c.temperature > 0.0) {
                return Err(CalibrationError::Temperature {
                    sense,
                    found: c.temperature,
                });
            }
            if let Some((label, &found)) = c.background.iter().find(|(_, x)| !x.is_finite()) {
                return Err(CalibrationError::Background {
                    sense,
                    label: label.clone(),
                    found,
                });
            }
        }
        Ok(())
    }
}

/// Measured corrections of one sense: calibrated score = (score - background) / temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenseCalibration {
    /// Above 0. Above 1 where raw log-odds are too sure of themselves (Guo et al., arXiv 1706.04599).
    #[serde(default = "one")]
    pub temperature: f32,
    /// Per label: the score this site's background reaches by itself, for instance a high quantile over an hour in
    /// which nothing happened. Missing labels have 0.
    #[serde(default)]
    pub background: BTreeMap<String, f32>,
}

fn one() -> f32 {
    1.0
}

impl Default for SenseCalibration {
    fn default() -> Self {
        Self {
            temperature: one(),
            background: BTreeMap::new(),
        }
    }
}
