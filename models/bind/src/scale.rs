//! The logit scale a pack ships for a sense: 1 / temperature, fitted once its encoder is trained.
//!
//! The temperature of training is that of InfoNCE among a batch of pairs (and of smoothed targets); how sharply a window
//! should be compared with a list of phrases is another question. One temperature per model and sense transfers across
//! data and prompts (LeVine et al., arXiv 2303.12748), so one number is fitted: the scale at which the softmax over
//! what a sense can tell, and nothing, gives held-out scenes the highest likelihood. Cosines keep their order, so no
//! accuracy depends on it.

use sensebind_scene::Happening;

use crate::contrast::{Rows, dot};
use crate::moments::all_shown;

/// Bounds of the search; the upper one is where the published model clips (parity specification, section 5).
const BOUNDS: (f64, f64) = (1.0, 100.0);

/// Halvings of the interval: the scale to better than a thousandth.
const STEPS: usize = 40;

/// The scale for `rows` (embeddings of moments that show `shown`, places in [`all_shown`]) against `prompts` (in that
/// order), over the happenings `among` and nothing. 1 where no moment shows one of them.
pub fn fit(rows: &Rows, shown: &[usize], prompts: &Rows, among: &[Happening]) -> f32 {
    let candidates: Vec<usize> = all_shown()
        .iter()
        .enumerate()
        .filter(|(_, kind)| kind.is_none_or(|happening| among.contains(&happening)))
        .map(|(place, _)| place)
        .collect();
    let trials: Vec<(Vec<f64>, usize)> = shown
        .iter()
        .enumerate()
        .filter_map(|(row, kind)| {
            let right = candidates.iter().position(|place| place == kind)?;
            let cosines = candidates
                .iter()
                .map(|&place| f64::from(dot(rows.row(row), prompts.row(place))));
            Some((cosines.collect(), right))
        })
        .collect();
    if trials.is_empty() {
        return 1.0;
    }
    let loss = |log_scale: f64| -> f64 {
        trials
            .iter()
            .map(|(cosines, right)| surprise(cosines, *right, log_scale.exp()))
            .sum()
    };
    // The loss is convex in the scale, hence has one minimum in its logarithm: golden-section search.
    let shrink = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (BOUNDS.0.ln(), BOUNDS.1.ln());
    for _ in 0..STEPS {
        let (left, right) = (high - shrink * (high - low), low + shrink * (high - low));
        if loss(left) <= loss(right) {
            high = right
        } else {
            low = left
        }
    }
    f64::midpoint(low, high).exp() as f32
}

/// `-ln softmax(scale · cosines)[right]`.
fn surprise(cosines: &[f64], right: usize, scale: f64) -> f64 {
    let top = cosines.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = cosines.iter().map(|cosine| (scale * (cosine - top)).exp()).sum();
    sum.ln() - scale * (cosines[right] - top)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two happenings and nothing on three axes, seen at right angles; `wrong` of ten rows show something else.
    fn scale_of(wrong: usize) -> f32 {
        let kinds = all_shown();
        let place = |kind| kinds.iter().position(|one| *one == kind).unwrap();
        let (dog, rain) = (place(Some(Happening::Dog)), place(Some(Happening::Rain)));
        let mut prompts = Rows {
            width: 3,
            values: vec![0.0; 3 * kinds.len()],
        };
        for (axis, at) in [dog, rain, place(None)].into_iter().enumerate() {
            prompts.values[3 * at + axis] = 1.0;
        }
        let rows = Rows {
            width: 3,
            values: [1.0, 0.0, 0.0].repeat(10),
        };
        let shown: Vec<usize> = (0..10).map(|n| if n < wrong { rain } else { dog }).collect();
        fit(&rows, &shown, &prompts, &[Happening::Dog, Happening::Rain])
    }

    #[test]
    fn the_scale_is_the_log_odds_of_being_right() {
        // Nine of ten right among three: the best softmax gives the right one 0.9, so e^s / (e^s + 2) = 0.9.
        assert!((scale_of(1) - 18f32.ln()).abs() < 1e-2, "{}", scale_of(1));
        assert!((scale_of(2) - 8f32.ln()).abs() < 1e-2, "{}", scale_of(2));
        assert!(scale_of(0) > 30.0, "never wrong: as sharp as makes a difference");
    }
}
