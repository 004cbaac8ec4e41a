//! Glass, doors, clocks, and a device whose parts rattle.

use super::Stretch;
use super::tone::{band, grains, harmonics};
use crate::Happening;
use crate::bodies::{Shake, beats};
use crate::chance::{Draw, smooth, unit_at, white};
use crate::numeric::{decay, ramp, sin_turns};

pub(super) fn glass(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let modes: [(f64, f32, f32); 10] = core::array::from_fn(|_| {
        (
            f64::from(draw.range(2200.0, 7600.0)),
            draw.range(0.03, 0.16),
            draw.range(0.04, 0.2),
        )
    });
    let (from_s, to_s) = stretch.span_s();
    for (beat, at_s) in beats(Happening::GlassBreaking, seed).between(from_s - 1.0, to_s) {
        stretch.once(at_s, 0.2, |since, sample| {
            0.8 * decay(since / 0.03) * white(seed ^ 9, sample)
        });
        for &(pitch_hz, fading_s, loud) in &modes {
            stretch.once(at_s, f64::from(fading_s) * 5.0, |since, _| {
                loud * decay(since / fading_s) * sin_turns(f64::from(since) * pitch_hz)
            });
        }
        // Pieces that land.
        for piece in 0..9u64 {
            let own = seed ^ ((beat as u64).wrapping_mul(16).wrapping_add(piece));
            let late_s = 0.12 + 0.6 * unit_at(own, 1);
            let pitch_hz = 3000.0 + 4600.0 * f64::from(unit_at(own, 2));
            let loud = 0.4 * unit_at(own, 3);
            stretch.once(at_s + f64::from(late_s), 0.15, |since, _| {
                loud * decay(since / 0.03) * sin_turns(f64::from(since) * pitch_hz)
            });
        }
    }
}

pub(super) fn door(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let creak_hz = f64::from(draw.range(90.0, 170.0));
    let squeak = draw.range(6.0, 14.0);
    let weights: [f32; 26] = core::array::from_fn(|index| {
        let off = (index as f32 - squeak) / 4.0;
        0.16 / (1.0 + off * off)
    });
    let boom_hz = f64::from(draw.range(70.0, 120.0));
    let (from_s, to_s) = stretch.span_s();
    for (_, at_s) in beats(Happening::DoorOpening, seed).between(from_s - 1.3, to_s) {
        // The slam, with a rattle of the latch.
        stretch.once(at_s + 0.06, 0.4, |since, sample| {
            let boom = decay(since / 0.09) * sin_turns(f64::from(since) * boom_hz);
            let knock = decay(since / 0.025) * (smooth(seed, sample as f64 * 0.12) + 0.3 * white(seed ^ 1, sample));
            let latch = if since > 0.05 {
                decay((since - 0.05) / 0.008) * 0.35 * sin_turns(f64::from(since) * 2700.0)
            } else {
                0.0
            };
            1.3 * boom + 1.1 * knock + latch
        });
        // The hinge creaks while it opens again.
        stretch.once(at_s + 0.3, 0.75, |since, _| {
            let shape = ramp(0.0, 0.1, since) * (1.0 - ramp(0.5, 0.75, since));
            let at = f64::from(since);
            let phase = at * creak_hz * (1.0 + 0.5 * at) + 0.25 * f64::from(smooth(seed ^ 2, at * 25.0));
            0.8 * shape * harmonics(phase, &weights)
        });
    }
}

pub(super) fn clock(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let (tick_hz, tock_hz) = (
        f64::from(draw.range(2200.0, 4200.0)),
        f64::from(draw.range(1400.0, 2600.0)),
    );
    let fading_s = draw.range(0.004, 0.012);
    let case_hz = f64::from(draw.range(300.0, 800.0));
    let (from_s, to_s) = stretch.span_s();
    for (beat, at_s) in beats(Happening::ClockTick, seed).between(from_s - 0.2, to_s) {
        let pitch_hz = if beat & 1 == 0 { tick_hz } else { tock_hz };
        stretch.once(at_s, 0.12, |since, sample| {
            let ring = decay(since / fading_s) * (sin_turns(f64::from(since) * pitch_hz) + 0.5 * white(seed, sample));
            let again = if since > 0.02 {
                0.45 * decay((since - 0.02) / fading_s) * sin_turns(f64::from(since) * pitch_hz * 1.3)
            } else {
                0.0
            };
            ring + again + 0.3 * decay(since / 0.02) * sin_turns(f64::from(since) * case_hz)
        });
    }
}

pub(super) fn rattle(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    grains(
        stretch,
        seed ^ 1,
        f64::from(draw.range(60.0, 110.0)),
        (700.0, 4200.0),
        (0.0015, 0.005),
    );
    let thud = draw.range(0.5, 0.9);
    let shake = Shake::new(seed);
    stretch.throughout(|t_s, _| {
        let turn = sin_turns(shake.swing_turns(t_s)).abs();
        let near_end = turn * turn * turn * turn;
        thud * near_end * (smooth(seed ^ 2, t_s * 180.0) + 0.5 * band(seed ^ 3, t_s, 1100.0, 500.0))
    });
}
