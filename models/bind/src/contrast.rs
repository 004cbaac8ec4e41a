//! Symmetric InfoNCE and its gradient, in closed form on the host (van den Oord, Li and Vinyals 2018; symmetric as in
//! CLIP, Radford et al. 2021, and ImageBind, Girdhar et al. 2023, equation 1).
//!
//! A batch has at most a few hundred rows, so this costs nothing; and because the loss needs only embeddings, the
//! encoders' graphs can be split over threads (gradient caching, Gao et al. 2021).

/// Rows of equal width.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Numbers per row.
    pub width: usize,
    /// Row by row.
    pub values: Vec<f32>,
}

impl Rows {
    /// Number of rows.
    pub fn count(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// One row.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// Every row divided by its length (at least 1e-12), and the lengths.
    pub fn unit(&self) -> (Rows, Vec<f32>) {
        let mut unit = self.clone();
        let mut lengths = Vec::with_capacity(self.count());
        for row in unit.values.chunks_exact_mut(self.width) {
            let length = dot(row, row).sqrt().max(1e-12);
            row.iter_mut().for_each(|value| *value /= length);
            lengths.push(length);
        }
        (unit, lengths)
    }
}

/// Dot product.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Loss of a batch and its gradients.
#[derive(Debug)]
pub struct Contrast {
    /// Mean of both directions, nats.
    pub loss: f32,
    /// Gradient with respect to the left rows, before they were brought to unit length.
    pub left: Rows,
    /// The same for the right rows.
    pub right: Rows,
    /// Gradient with respect to ln(scale).
    pub log_scale: f32,
}

/// Symmetric InfoNCE of rows that belong together pairwise: cosines times `scale` (1 / temperature), cross-entropy
/// with smoothed targets (`smoothing` of the weight goes to all rows alike: a batch repeats happenings, so some
/// negatives are none), mean over both directions.
pub fn info_nce(left: &Rows, right: &Rows, scale: f32, smoothing: f32) -> Contrast {
    let count = left.count();
    let ((left_unit, left_length), (right_unit, right_length)) = (left.unit(), right.unit());
    let mut logits = vec![0.0; count * count];
    for i in 0..count {
        for j in 0..count {
            logits[i * count + j] = scale * dot(left_unit.row(i), right_unit.row(j));
        }
    }
    let target = |i: usize, j: usize| smoothing / count as f32 + if i == j { 1.0 - smoothing } else { 0.0 };
    // Gradient with respect to the logits: (softmax over rows + softmax over columns) / 2 - targets, per item.
    let mut slope = vec![0.0; count * count];
    let mut loss = 0.0f64;
    let half = 0.5 / count as f32;
    for by_column in [false, true] {
        let place = |item: usize, other: usize| {
            if by_column {
                other * count + item
            } else {
                item * count + other
            }
        };
        for item in 0..count {
            let top = (0..count)
                .map(|other| logits[place(item, other)])
                .fold(f32::MIN, f32::max);
            let total: f32 = (0..count).map(|other| (logits[place(item, other)] - top).exp()).sum();
            for other in 0..count {
                let logit = logits[place(item, other)] - top;
                let wanted = target(item, other);
                loss -= f64::from(half * wanted * (logit - total.ln()));
                slope[place(item, other)] += half * (logit.exp() / total - wanted);
            }
        }
    }
    let log_scale = slope.iter().zip(&logits).map(|(slope, logit)| slope * logit).sum();
    let gradient = |own: &Rows, lengths: &[f32], other: &Rows, by_column: bool| {
        let width = own.width;
        let mut values = vec![0.0; own.values.len()];
        for item in 0..count {
            let row = &mut values[item * width..(item + 1) * width];
            for partner in 0..count {
                let place = if by_column {
                    partner * count + item
                } else {
                    item * count + partner
                };
                let weight = slope[place] * scale;
                row.iter_mut()
                    .zip(other.row(partner))
                    .for_each(|(out, &value)| *out += weight * value);
            }
            // Through the division by the length: the part along the row vanishes.
            let along = dot(row, own.row(item));
            for (out, &value) in row.iter_mut().zip(own.row(item)) {
                *out = (*out - along * value) / lengths[item];
            }
        }
        Rows { width, values }
    };
    Contrast {
        loss: loss as f32,
        left: gradient(&left_unit, &left_length, &right_unit, false),
        right: gradient(&right_unit, &right_length, &left_unit, true),
        log_scale,
    }
}
