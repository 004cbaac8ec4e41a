//! Sirens, motors, rotors and saws.

use super::Stretch;
use super::tone::{band, harmonics};
use crate::chance::{Draw, smooth, white};
use crate::numeric::{cos_turns, decay, sin_turns};

pub(super) fn siren(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let weights = [0.55, 0.22, 0.2, 0.08, 0.06];
    let (low_hz, high_hz) = (
        f64::from(draw.range(420.0, 650.0)),
        f64::from(draw.range(900.0, 1500.0)),
    );
    let two_tone = draw.chance(0.35);
    let sweep_s = f64::from(if draw.chance(0.4) {
        draw.range(0.25, 0.5)
    } else {
        draw.range(1.5, 3.5)
    });
    let (note_low, note_high) = (low_hz * 0.9, low_hz * 1.25);
    stretch.throughout(|t_s, _| {
        let phase = if two_tone {
            // Two notes of 0.55 s each; whole rounds first, then what is left of this one.
            let note_s = 0.55;
            let round = (t_s / (2.0 * note_s)).floor();
            let rest = t_s - round * 2.0 * note_s;
            round * note_s * (note_low + note_high) + rest.min(note_s) * note_low + (rest - note_s).max(0.0) * note_high
        } else {
            let (middle, half) = ((low_hz + high_hz) / 2.0, (high_hz - low_hz) / 2.0);
            t_s * middle - half * sweep_s / core::f64::consts::TAU * f64::from(cos_turns(t_s / sweep_s))
        };
        0.9 * harmonics(phase, &weights)
    });
}

pub(super) fn engine(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let turn_hz = f64::from(draw.range(26.0, 58.0));
    let weights: [f32; 20] = core::array::from_fn(|index| draw.range(0.3, 1.0) * 0.5 / (1.0 + 0.35 * index as f32));
    stretch.throughout(|t_s, _| {
        let phase = t_s * turn_hz + 0.08 * f64::from(smooth(seed, t_s * 4.0));
        let stroke = sin_turns(phase);
        let puff = (0.5 + 0.5 * stroke) * smooth(seed ^ 1, t_s * 1800.0);
        0.5 * harmonics(phase, &weights) + 0.3 * puff
    });
}

pub(super) fn driven(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let hum_hz = f64::from(draw.range(75.0, 120.0));
    let tyre = draw.range(0.15, 0.3);
    stretch.throughout(|t_s, _| {
        let phase = t_s * hum_hz + 0.4 * f64::from(smooth(seed, t_s * 0.8));
        let rumble = 0.9 * smooth(seed ^ 1, t_s * 90.0) + 0.5 * smooth(seed ^ 2, t_s * 260.0);
        let bump = smooth(seed ^ 5, t_s * 3.0).max(0.0);
        rumble * (0.6 + 0.5 * bump) + 0.22 * harmonics(phase, &[1.0, 0.6, 0.3]) + tyre * smooth(seed ^ 3, t_s * 1100.0)
    });
}

pub(super) fn helicopter(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let blade_hz = f64::from(draw.range(11.0, 19.0));
    let whine_hz = f64::from(draw.range(500.0, 900.0));
    let sharp = draw.range(5.0, 9.0);
    stretch.throughout(|t_s, sample| {
        let turn = (t_s * blade_hz).fract() as f32;
        let slap = decay(turn * sharp);
        let air = smooth(seed, t_s * 420.0) + 0.5 * smooth(seed ^ 1, t_s * 1500.0);
        let thump = sin_turns(f64::from(turn) * 4.0);
        slap * (0.9 * air + 0.7 * thump) + 0.06 * sin_turns(t_s * whine_hz) + 0.05 * white(seed ^ 2, sample)
    });
}

pub(super) fn chainsaw(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let turn_hz = f64::from(draw.range(95.0, 150.0));
    let peak = draw.range(12.0, 20.0);
    let weights: [f32; 34] = core::array::from_fn(|index| {
        let off = (index as f32 - peak) / 9.0;
        0.09 + 0.14 / (1.0 + off * off)
    });
    stretch.throughout(|t_s, sample| {
        // It labours in the wood and races between cuts.
        let phase = t_s * turn_hz + 6.0 * f64::from(smooth(seed, t_s * 1.1));
        let bite = 0.7 + 0.3 * smooth(seed ^ 1, t_s * 9.0);
        bite * (0.55 * harmonics(phase, &weights)
            + 0.3 * band(seed ^ 2, t_s, 3200.0, 1500.0)
            + 0.06 * white(seed ^ 3, sample))
    });
}
