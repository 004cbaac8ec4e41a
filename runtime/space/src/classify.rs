//! Plain zero-shot ranking: which of several labels describes a vector best. For evaluation and one-off questions;
//! events come from the [`Detector`](crate::Detector).

use crate::SpaceMismatch;
use sensebind_core::Embedding;

/// One candidate and how well it fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked<'a> {
    /// The candidate's label.
    pub label: &'a str,
    /// Cosine of its best phrasing, -1 to 1.
    pub cosine: f32,
}

/// Ranks candidates by the cosine of their best phrasing, best first; equals keep their order. Candidates without
/// phrasings are left out.
///
/// # Errors
/// [`SpaceMismatch`] when a phrasing lives in another space than `embedding`.
pub fn zero_shot<'a>(
    embedding: &Embedding,
    candidates: &[(&'a str, &[Embedding])],
) -> Result<Vec<Ranked<'a>>, SpaceMismatch> {
    let mut ranking = Vec::with_capacity(candidates.len());
    for &(label, phrasings) in candidates {
        let mut best: Option<f32> = None;
        for p in phrasings {
            let cosine = embedding.cosine(p).ok_or_else(|| SpaceMismatch {
                expected: embedding.space().clone(),
                expected_dim: embedding.as_slice().len(),
                found: p.space().clone(),
                found_dim: p.as_slice().len(),
            })?;
            best = Some(best.map_or(cosine, |b| b.max(cosine)));
        }
        ranking.extend(best.map(|cosine| Ranked { label, cosine }));
    }
    ranking.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
    Ok(ranking)
}
