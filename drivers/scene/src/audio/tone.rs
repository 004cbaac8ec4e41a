//! Tones: harmonics, gliding pitch, noise in a band, and grains scattered in time.

use super::{RATE, Stretch};
use crate::chance::{mix, smooth, unit_at};
use crate::numeric::{cos_turns, decay, sin_turns};

/// The sum of harmonics 1, 2, ... with these weights, at a phase of the fundamental in turns.
pub(super) fn harmonics(phase: f64, weights: &[f32]) -> f32 {
    let (sin, cos) = (sin_turns(phase), cos_turns(phase));
    let twice = 2.0 * cos;
    let second = twice * sin;
    let third = twice * second - sin;
    let cos_two = twice * cos - 1.0;
    // Four neighbours at a time, which the compiler turns into one vector:
    // sin((k+4)x) = 2 cos(4x) sin(kx) - sin((k-4)x).
    let stride = 2.0 * (2.0 * cos_two * cos_two - 1.0);
    let mut now = [sin, second, third, twice * third - second];
    let mut before = [-third, -second, -sin, 0.0];
    let mut sums = [0.0f32; 4];
    let (fours, rest) = weights.as_chunks::<4>();
    for four in fours {
        for lane in 0..4 {
            sums[lane] += four[lane] * now[lane];
            let next = stride * now[lane] - before[lane];
            before[lane] = now[lane];
            now[lane] = next;
        }
    }
    for (sum, (weight, value)) in sums.iter_mut().zip(rest.iter().zip(now)) {
        *sum += weight * value;
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// The phase in turns, `at_s` into a pitch that runs in straight lines through (seconds, hertz) points.
pub(super) fn glide(points: &[(f32, f32)], at_s: f32) -> f64 {
    let mut turns = 0.0f64;
    for pair in points.windows(2) {
        let ((from_s, from_hz), (to_s, to_hz)) = (pair[0], pair[1]);
        let here = (at_s.min(to_s) - from_s).max(0.0);
        let slope = (to_hz - from_hz) / (to_s - from_s).max(1e-4);
        turns += f64::from(here * (from_hz + 0.5 * slope * here));
    }
    turns
}

/// Noise about `centre_hz`, `half_hz` to either side.
pub(super) fn band(seed: u64, at_s: f64, centre_hz: f64, half_hz: f64) -> f32 {
    smooth(seed, at_s * half_hz * 2.0) * sin_turns(at_s * centre_hz)
        + smooth(seed ^ 0xB, at_s * half_hz * 2.0) * cos_turns(at_s * centre_hz)
}

/// Weights of `N` harmonics of `pitch_hz` under formants (centre and half width in hertz, weight).
pub(super) fn formants<const N: usize>(pitch_hz: f32, peaks: &[(f32, f32, f32)]) -> [f32; N] {
    core::array::from_fn(|index| {
        let rate_hz = pitch_hz * (index + 1) as f32;
        if rate_hz > 7000.0 {
            return 0.0;
        }
        let mut sum = 0.0;
        for &(centre, half, weight) in peaks {
            let off = (rate_hz - centre) / half;
            sum += weight / (1.0 + off * off);
        }
        sum
    })
}

/// Short rings scattered at random, about `rate_hz` a second, each of pitch `pitch_hz` and dying within `fading_s`.
pub(super) fn grains(stretch: &mut Stretch<'_>, seed: u64, rate_hz: f64, pitch_hz: (f32, f32), fading_s: (f32, f32)) {
    let (from_s, to_s) = stretch.span_s();
    let longest_s = f64::from(fading_s.1) * 5.0;
    // One draw for every cell of time; half of the cells stay silent.
    let cell_s = 0.5 / rate_hz;
    let first = ((from_s - longest_s) / cell_s).floor() as i64 - 1;
    let last = (to_s / cell_s).ceil() as i64;
    for cell in first.max(0)..last {
        let own = mix(seed, cell as u64);
        if own & 1 == 0 {
            continue;
        }
        let start_s = (cell as f64 + f64::from(unit_at(own, 1))) * cell_s;
        let pitch = f64::from(pitch_hz.0 + (pitch_hz.1 - pitch_hz.0) * unit_at(own, 2)).min(RATE * 0.48);
        let fading = fading_s.0 + (fading_s.1 - fading_s.0) * unit_at(own, 3);
        let loud = unit_at(own, 4);
        let loud = loud * loud * loud;
        stretch.once(start_s, f64::from(fading) * 5.0, |since, _| {
            loud * decay(since / fading) * sin_turns(f64::from(since) * pitch)
        });
    }
}
