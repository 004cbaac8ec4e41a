//! Why something cannot become a model's input.

use sensebind_core::Sense;

/// A recipe or the data for it is unusable. Nothing was appended to the output.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InputError {
    /// The pack asks for something impossible: found when the preparer is built.
    #[error("the pack's {sense} recipe cannot be used: {why}")]
    Recipe {
        /// Whose recipe.
        sense: Sense,
        /// The field, what it says, what it may say.
        why: String,
    },
    /// Data of another size than was settled.
    #[error("{what}: expected {expected}, found {found}")]
    Size {
        /// What is measured.
        what: &'static str,
        /// What would fit.
        expected: String,
        /// What came.
        found: String,
    },
    /// A compressed picture that is damaged, of an unsupported kind, or too large.
    #[error("{what} cannot be decoded: {why}")]
    Undecodable {
        /// The kind of file.
        what: &'static str,
        /// What the decoder said.
        why: String,
    },
    /// Data of the right size that means nothing: NaN, all zero, no valid pixel.
    #[error("{what} is unusable: {why}")]
    Unusable {
        /// What was looked at.
        what: &'static str,
        /// What was expected and found, and the likely cause.
        why: String,
    },
}

impl InputError {
    pub(crate) fn recipe(sense: Sense, why: impl Into<String>) -> Self {
        Self::Recipe { sense, why: why.into() }
    }

    pub(crate) fn size(what: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self::Size {
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    pub(crate) fn unusable(what: &'static str, why: impl Into<String>) -> Self {
        Self::Unusable { what, why: why.into() }
    }
}

/// Refuses a `mean`/`std` pair that would make every number infinite or NaN.
pub(crate) fn check_scaling(sense: Sense, mean: &[f32], std: &[f32]) -> Result<(), InputError> {
    match (
        mean.iter().find(|m| !m.is_finite()),
        std.iter().find(|s| !(s.is_finite() && **s > 0.0)),
    ) {
        (None, None) => Ok(()),
        (Some(m), _) => Err(InputError::recipe(
            sense,
            format!("mean is {m}, expected a finite number"),
        )),
        (_, Some(s)) => Err(InputError::recipe(
            sense,
            format!("std is {s}, expected a number above 0"),
        )),
    }
}
