//! Barks and crows.

use super::Stretch;
use super::tone::{band, formants, glide, harmonics};
use crate::Happening;
use crate::bodies::beats;
use crate::chance::{Draw, unit_at};
use crate::numeric::ramp;

pub(super) fn dog(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let pitch_hz = draw.range(260.0, 620.0);
    let weights: [f32; 9] = formants(pitch_hz, &[(pitch_hz * 1.6, pitch_hz, 0.6), (1700.0, 500.0, 0.25)]);
    let (from_s, to_s) = stretch.span_s();
    for (beat, at_s) in beats(Happening::Dog, seed).between(from_s - 0.4, to_s) {
        let length = 0.14 + 0.12 * unit_at(seed, beat as u64);
        let rise = 1.25 + 0.35 * unit_at(seed ^ 1, beat as u64);
        let pitch = [
            (0.0, pitch_hz * 0.8),
            (0.04, pitch_hz * rise),
            (length, pitch_hz * 0.65),
            (1.0, pitch_hz * 0.6),
        ];
        stretch.once(at_s, f64::from(length) + 0.05, |since, _| {
            let shape = ramp(0.0, 0.012, since) * (1.0 - ramp(length * 0.45, length + 0.05, since));
            let rough = band(seed ^ 3, f64::from(since), 1400.0, 900.0);
            shape * (0.9 * harmonics(glide(&pitch, since), &weights) + 0.3 * rough)
        });
    }
}

pub(super) fn rooster(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let pitch_hz = draw.range(480.0, 640.0);
    let weights: [f32; 9] = formants(
        pitch_hz * 1.5,
        &[(1900.0, 700.0, 0.5), (3200.0, 800.0, 0.25), (pitch_hz, 500.0, 0.25)],
    );
    // Cock - a - doodle - doo: three short calls and a long one that sinks.
    let pitch = [
        (0.0, pitch_hz),
        (0.12, pitch_hz * 1.5),
        (0.2, pitch_hz * 1.35),
        (0.34, pitch_hz * 1.8),
        (0.5, pitch_hz * 1.6),
        (0.62, pitch_hz * 2.0),
        (0.85, pitch_hz * 1.85),
        (1.2, pitch_hz * 1.0),
        (2.0, pitch_hz),
    ];
    let calls = [(0.0, 0.15), (0.19, 0.32), (0.36, 0.5), (0.55, 1.22)];
    let (from_s, to_s) = stretch.span_s();
    for (_, at_s) in beats(Happening::Rooster, seed).between(from_s - 1.4, to_s) {
        stretch.once(at_s, 1.25, |since, _| {
            let mut shape = 0.0;
            for (from, to) in calls {
                shape += ramp(from, from + 0.03, since) * (1.0 - ramp(to - 0.06, to, since));
            }
            let rough = 1.0 + 0.35 * band(seed ^ 4, f64::from(since), 40.0, 30.0);
            0.8 * shape * rough * harmonics(glide(&pitch, since), &weights)
        });
    }
}
