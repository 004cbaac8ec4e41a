//! What a score is.
//!
//! For a window `w` of sense `s` with logit scale `L` (from the pack), the logit of a phrase `p` is `L·cos(w, p)`.
//!
//! * A label's logit is that of its best phrasing: `l(e) = max over p of L·cos(w, p)`.
//! * The background's logit is `b = ln mean over c of exp(L·cos(w, c))` over the contrast phrases: a mixture, so that
//!   more contrast phrases make it better informed and not stronger.
//! * The score is the log-odds of the label against everything else that is considered:
//!   `score(e) = (l(e) - ln(exp b + Σ over rivals r of exp l(r)) - background(s, e)) / T(s)`
//!   with the measured `background` and `T` of a [`Calibration`] (0 and 1 without one).
//!
//! With `exclusive = true`, the default, the rivals are all other labels that this sense may perceive: the score is
//! then the logit of the label's share in a softmax over labels and background. What a window holds goes to the label
//! that describes it best, which keeps labels that sound or look alike from firing together; two events that really
//! overlap *within one sense* then weaken each other (at equal strength both score about 0), and are told apart by the
//! senses that perceive only one of them. With `exclusive = false` there are no rivals: overlapping events are all found,
//! and so are confusions.

use crate::{Calibration, CalibrationError, DetectorRules, EventRules, PromptError, PromptFile};
use sensebind_core::{Embedding, Sense, SpaceId};
use std::collections::BTreeSet;

/// Vectors of unequal spaces were to be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a vector of space {found} ({found_dim} numbers) against space {expected} ({expected_dim} numbers): encode both with one pack"
)]
pub struct SpaceMismatch {
    /// The space of the prompts.
    pub expected: SpaceId,
    /// Numbers per vector there.
    pub expected_dim: usize,
    /// The other space.
    pub found: SpaceId,
    /// Numbers per vector there.
    pub found_dim: usize,
}

/// One label, ready to be compared.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub name: String,
    pub senses: Option<BTreeSet<Sense>>,
    pub rules: EventRules,
    phrasings: Vec<Embedding>,
}

impl Label {
    pub(crate) fn perceived_by(&self, sense: Sense) -> bool {
        self.senses.as_ref().is_none_or(|s| s.contains(&sense))
    }
}

/// Prompts as unit vectors of one space, with the rules that go with them.
#[derive(Debug, Clone)]
pub struct PromptSet {
    space: SpaceId,
    labels: Vec<Label>,
    contrast: Vec<Embedding>,
    exclusive: bool,
    detector: DetectorRules,
    calibration: Option<Calibration>,
}

impl PromptSet {
    /// Looks every phrase of `file` up with `embed`; `default_contrast` is the pack's, used where the file has none.
    /// A phrase is asked for each time it occurs.
    ///
    /// # Errors
    /// [`PromptError::NotEncoded`] when `embed` has no answer; [`PromptError::Space`] when a vector lives in another
    /// space than the first, or than the file asks for; [`PromptError::NoContrast`].
    pub fn new(
        file: &PromptFile,
        default_contrast: &[&str],
        mut embed: impl FnMut(&str) -> Option<Embedding>,
    ) -> Result<Self, PromptError> {
        let mut first: Option<(SpaceId, usize)> = None;
        let mut look_up = |phrase: &str| {
            let e = embed(phrase).ok_or_else(|| PromptError::NotEncoded {
                phrase: phrase.to_owned(),
            })?;
            let (expected, dim) = first.get_or_insert_with(|| {
                (
                    file.space.clone().unwrap_or_else(|| e.space().clone()),
                    e.as_slice().len(),
                )
            });
            if e.space() != expected || e.as_slice().len() != *dim {
                let (found, expected) = (e.space().clone(), expected.clone());
                return Err(PromptError::Space {
                    phrase: phrase.to_owned(),
                    found,
                    expected,
                });
            }
            Ok(e)
        };
        let mut labels = Vec::with_capacity(file.events.len());
        for e in &file.events {
            labels.push(Label {
                name: e.label.clone(),
                senses: e.senses.clone(),
                rules: e.rules,
                phrasings: e.prompts.iter().map(|p| look_up(p)).collect::<Result<_, _>>()?,
            });
        }
        let contrast = match &file.contrast {
            Some(own) => own.iter().map(|p| look_up(p)).collect::<Result<Vec<_>, _>>()?,
            None => default_contrast
                .iter()
                .map(|p| look_up(p))
                .collect::<Result<Vec<_>, _>>()?,
        };
        let Some((space, _)) = first.filter(|_| !contrast.is_empty()) else {
            return Err(PromptError::NoContrast);
        };
        Ok(Self {
            space,
            labels,
            contrast,
            exclusive: file.exclusive,
            detector: file.detector.clone(),
            calibration: None,
        })
    }

    /// Corrects all scores from now on by what was measured.
    ///
    /// # Errors
    /// [`CalibrationError`] when it was measured in another space, or holds a number that is no measurement.
    pub fn calibrate(&mut self, calibration: Calibration) -> Result<(), CalibrationError> {
        calibration.check(&self.space)?;
        self.calibration = Some(calibration);
        Ok(())
    }

    /// The space all prompts live in.
    pub fn space(&self) -> &SpaceId {
        &self.space
    }

    /// The labels in the order of the file: the order of scores.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|l| l.name.as_str())
    }

    /// The rules common to all labels.
    pub fn detector_rules(&self) -> &DetectorRules {
        &self.detector
    }

    pub(crate) fn entries(&self) -> &[Label] {
        &self.labels
    }

    /// Scores one window: replaces `out` by one log-odds per label, in their order; see the [module](crate::set).
    /// Labels that this sense may not perceive get 0: it says nothing about them.
    ///
    /// # Errors
    /// [`SpaceMismatch`]; `out` is then empty.
    pub fn score(
        &self,
        sense: Sense,
        logit_scale: f32,
        embedding: &Embedding,
        out: &mut Vec<f32>,
    ) -> Result<(), SpaceMismatch> {
        out.clear();
        let logit = |prompt: &Embedding| {
            let cosine = embedding.cosine(prompt).ok_or_else(|| {
                let (space, dim) = (embedding.space().clone(), embedding.as_slice().len());
                self.mismatch(space, dim)
            })?;
            Ok::<f64, SpaceMismatch>(f64::from(logit_scale) * f64::from(cosine))
        };
        let contrast = self.contrast.iter().map(logit).collect::<Result<Vec<_>, _>>()?;
        let background = log_sum_exp(contrast.iter().copied()) - (contrast.len() as f64).ln();
        let mut logits = Vec::with_capacity(self.labels.len());
        for label in &self.labels {
            let mut best = f64::NEG_INFINITY;
            for phrasing in &label.phrasings {
                best = best.max(logit(phrasing)?);
            }
            logits.push(best);
        }
        let measured = self.calibration.as_ref().and_then(|c| c.senses.get(&sense));
        for (i, label) in self.labels.iter().enumerate() {
            if !label.perceived_by(sense) {
                out.push(0.0);
                continue;
            }
            let rivals = self
                .labels
                .iter()
                .zip(&logits)
                .enumerate()
                .filter_map(|(j, (other, &l))| (self.exclusive && j != i && other.perceived_by(sense)).then_some(l));
            let mut score = logits[i] - log_sum_exp(std::iter::once(background).chain(rivals));
            if let Some(m) = measured {
                score -= f64::from(m.background.get(&label.name).copied().unwrap_or(0.0));
                score /= f64::from(m.temperature);
            }
            out.push(score as f32);
        }
        Ok(())
    }

    fn dim(&self) -> usize {
        self.contrast.first().map_or(0, |e| e.as_slice().len())
    }

    fn mismatch(&self, found: SpaceId, found_dim: usize) -> SpaceMismatch {
        SpaceMismatch {
            expected: self.space.clone(),
            expected_dim: self.dim(),
            found,
            found_dim,
        }
    }
}

/// `ln Σ exp x`, without overflow.
fn log_sum_exp(xs: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = xs.clone().fold(f64::NEG_INFINITY, f64::max);
    if max.is_finite() {
        max + xs.map(|x| (x - max).exp()).sum::<f64>().ln()
    } else {
        max
    }
}
