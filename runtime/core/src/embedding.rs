//! Unit vectors of a shared space, and who makes them.

use crate::{Format, Sense, Span, StreamId, Window};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which space a vector lives in: pack name and a hash of its weights. Vectors of unequal ids never compare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct SpaceId(Arc<str>);

impl SpaceId {
    /// The space called `id`.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self(Arc::from(id.as_ref()))
    }

    /// The id as written in packs and logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SpaceId {
    fn from(id: String) -> Self {
        Self::new(id)
    }
}

impl From<SpaceId> for String {
    fn from(id: SpaceId) -> Self {
        id.0.to_string()
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Numbers that are no direction.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EmbeddingError {
    /// A NaN or an infinity.
    #[error(
        "embedding element {index} is {value}, expected a finite number: the model overflowed (try f32) or its input was not finite"
    )]
    NotFinite {
        /// Where.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// All zero, or so small that the direction is lost.
    #[error("embedding of {dim} numbers has length {norm:e}, expected a direction: the model returned nothing")]
    Zero {
        /// How many numbers.
        dim: usize,
        /// Their Euclidean length.
        norm: f32,
    },
}

/// A unit vector of a space: what one window, prompt or example means.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    space: SpaceId,
    v: Vec<f32>,
}

impl Embedding {
    /// Normalises `v` to length 1.
    ///
    /// # Errors
    /// When `v` holds a number that is not finite, or has no direction.
    pub fn new(space: SpaceId, mut v: Vec<f32>) -> Result<Self, EmbeddingError> {
        if let Some((index, &value)) = v.iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(EmbeddingError::NotFinite { index, value });
        }
        let norm = v.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if norm < 1e-12 {
            return Err(EmbeddingError::Zero {
                dim: v.len(),
                norm: norm as f32,
            });
        }
        for x in &mut v {
            *x = (f64::from(*x) / norm) as f32;
        }
        Ok(Self { space, v })
    }

    /// The direction of the mean of unit vectors: how several clips of one recording, or several phrasings of one
    /// prompt, become one vector. Renormalised, unlike the reference's multi-clip mean.
    ///
    /// # Errors
    /// [`EmbeddingError::Zero`] when they cancel out.
    ///
    /// # Panics
    /// Never; `None` for an empty list or unequal spaces.
    pub fn mean(parts: &[Self]) -> Option<Result<Self, EmbeddingError>> {
        let first = parts.first()?;
        if parts
            .iter()
            .any(|p| p.space != first.space || p.v.len() != first.v.len())
        {
            return None;
        }
        let sum = (0..first.v.len()).map(|i| parts.iter().map(|p| p.v[i]).sum()).collect();
        Some(Self::new(first.space.clone(), sum))
    }

    /// The space it belongs to.
    pub fn space(&self) -> &SpaceId {
        &self.space
    }

    /// Its coordinates; Euclidean length 1.
    pub fn as_slice(&self) -> &[f32] {
        &self.v
    }

    /// Cosine of the angle to `other`, -1 to 1; `None` when they live in different spaces.
    pub fn cosine(&self, other: &Self) -> Option<f32> {
        (self.space == other.space && self.v.len() == other.v.len())
            .then(|| self.v.iter().zip(&other.v).map(|(a, b)| a * b).sum())
    }
}

/// What an encoder is and expects.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderSpec {
    /// The sense it reads.
    pub sense: Sense,
    /// The space it writes into.
    pub space: SpaceId,
    /// Numbers per embedding.
    pub dim: usize,
    /// 1 / temperature of this sense against phrases: logit = `logit_scale` × cosine.
    pub logit_scale: f32,
    /// Length of one window; zero for a single still frame.
    pub window: Duration,
    /// Time between window starts that the pack suggests.
    pub hop: Duration,
}

/// A window or a stream could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The stream's format does not fit this encoder: found at start, never per window.
    #[error("{stream}: the {sense} encoder cannot take {format}: {why}")]
    Mismatch {
        /// The stream.
        stream: StreamId,
        /// The encoder's sense.
        sense: Sense,
        /// What the stream delivers.
        format: Box<Format>,
        /// What was expected, and the remedy.
        why: String,
    },
    /// This window's data is unusable; the stream may go on.
    #[error("{stream} at {span:?}: {why}")]
    BadWindow {
        /// The stream.
        stream: StreamId,
        /// The window.
        span: Span,
        /// What was expected and found.
        why: String,
    },
    /// The model itself failed.
    #[error("{sense} encoder: {why}")]
    Model {
        /// The encoder's sense.
        sense: Sense,
        /// What the inference engine said, and the remedy.
        why: String,
    },
}

/// Windows in, unit vectors out.
pub trait Encoder: Send {
    /// What it is and expects.
    fn spec(&self) -> &EncoderSpec;

    /// Whether it can read a stream of this format; called once, at start.
    ///
    /// # Errors
    /// [`EncodeError::Mismatch`].
    fn accepts(&self, stream: &StreamId, format: &Format) -> Result<(), EncodeError>;

    /// Encodes a batch. Appends exactly one result per window to `out`, in order: a bad window does not cost its
    /// neighbours. Blocks while the model runs.
    ///
    /// # Errors
    /// [`EncodeError::Model`] when the batch as a whole failed; `out` is then unchanged.
    fn encode(&mut self, windows: &[Window], out: &mut Vec<Result<Embedding, EncodeError>>) -> Result<(), EncodeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e(space: &str, v: &[f32]) -> Result<Embedding, EmbeddingError> {
        Embedding::new(SpaceId::new(space), v.to_vec())
    }

    #[test]
    fn refuses_what_is_no_direction() {
        assert!(matches!(
            e("a", &[0.0, f32::NAN]),
            Err(EmbeddingError::NotFinite { index: 1, .. })
        ));
        assert!(matches!(e("a", &[0.0, 0.0]), Err(EmbeddingError::Zero { dim: 2, .. })));
        assert!(matches!(e("a", &[]), Err(EmbeddingError::Zero { dim: 0, .. })));
    }

    #[test]
    fn compares_within_one_space_only() {
        let (a, b) = (e("a", &[3.0, 4.0]).unwrap(), e("b", &[3.0, 4.0]).unwrap());
        assert!((a.cosine(&a).unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(a.cosine(&b), None);
        assert!(Embedding::mean(&[a.clone(), b]).is_none());
        assert!(Embedding::mean(&[]).is_none());
        let m = Embedding::mean(&[a, e("a", &[4.0, 3.0]).unwrap()]).unwrap().unwrap();
        assert!((m.as_slice()[0] - 0.5f32.sqrt()).abs() < 1e-6);
    }
}
