//! Steps, falls, talk, sneezes and cries.

use super::Stretch;
use super::tone::{band, formants, glide, harmonics};
use crate::Happening;
use crate::bodies::{beats, fall, steps};
use crate::chance::{Beats, Draw, smooth, unit_at, white};
use crate::numeric::{decay, ramp, sin_turns};

pub(super) fn walking(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let thud_hz = f64::from(draw.range(80.0, 140.0));
    let click_hz = f64::from(draw.range(700.0, 1900.0));
    let hard = draw.range(0.25, 0.8);
    let (from_s, to_s) = stretch.span_s();
    for (step, at_s) in steps(seed).between(from_s - 0.3, to_s) {
        let uneven = if step & 1 == 0 { 1.0 } else { 0.85 };
        stretch.once(at_s, 0.22, |since, sample| {
            let heel = decay(since / 0.035) * sin_turns(f64::from(since) * thud_hz);
            let click =
                hard * decay(since / 0.012) * (sin_turns(f64::from(since) * click_hz) + 0.6 * white(seed, sample));
            let sole = if since > 0.07 {
                0.3 * decay((since - 0.07) / 0.03) * smooth(seed ^ 1, sample as f64 * 0.3)
            } else {
                0.0
            };
            uneven * (1.2 * heel + click + sole)
        });
    }
}

pub(super) fn falling(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let body_hz = f64::from(draw.range(42.0, 70.0));
    let voice_hz = draw.range(170.0, 340.0);
    let cry: [f32; 14] = formants(
        voice_hz,
        &[(750.0, 250.0, 0.5), (1250.0, 250.0, 0.3), (2700.0, 400.0, 0.12)],
    );
    let (from_s, to_s) = stretch.span_s();
    for (_, at_s) in beats(Happening::PersonFalling, seed).between(from_s - 1.4, to_s) {
        let pitch = [
            (0.0, voice_hz),
            (0.12, voice_hz * 1.5),
            (0.45, voice_hz * 0.9),
            (1.0, voice_hz * 0.8),
        ];
        stretch.once(at_s, 0.45, |since, _| {
            let shape = ramp(0.02, 0.08, since) * (1.0 - ramp(0.3, 0.45, since));
            0.4 * shape * harmonics(glide(&pitch, since), &cry)
        });
        for (late_s, loud) in [(0.0, 1.0f32), (0.13, 0.5), (0.21, 0.25)] {
            stretch.once(at_s + fall::LANDING_S + late_s, 0.5, |since, sample| {
                let thud = decay(since / 0.11) * sin_turns(f64::from(since) * body_hz + 0.1);
                let cloth = decay(since / 0.05) * smooth(seed ^ 1, sample as f64 * 0.05);
                loud * (1.5 * thud + 1.0 * cloth)
            });
        }
    }
}

pub(super) fn talking(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let voice_hz = draw.range(95.0, 230.0);
    let syllables = Beats {
        seed: seed ^ 0x77,
        period_s: f64::from(draw.range(0.19, 0.27)),
        jitter: 0.25,
    };
    let vowels = [
        [730.0, 1090.0, 2440.0],
        [270.0, 2290.0, 3010.0],
        [300.0, 870.0, 2240.0],
        [530.0, 1840.0, 2480.0],
        [570.0, 840.0, 2410.0],
    ];
    let (from_s, to_s) = stretch.span_s();
    for (syllable, at_s) in syllables.between(from_s - 0.5, to_s) {
        let own = seed ^ (syllable as u64).wrapping_mul(0x51);
        // A short rest now and then.
        if unit_at(own, 9) < 0.12 {
            continue;
        }
        let vowel = vowels[(unit_at(own, 1) * 5.0) as usize % 5];
        let pitch_hz = voice_hz * (0.85 + 0.4 * unit_at(own, 2));
        let weights: [f32; 28] = formants(
            pitch_hz,
            &[(vowel[0], 90.0, 0.6), (vowel[1], 120.0, 0.35), (vowel[2], 180.0, 0.15)],
        );
        let pitch = [(0.0, pitch_hz * 1.05), (0.25, pitch_hz * 0.92), (1.0, pitch_hz * 0.9)];
        let hissing = unit_at(own, 3) < 0.35;
        stretch.once(at_s, 0.24, |since, _| {
            let shape = ramp(0.02, 0.06, since) * (1.0 - ramp(0.14, 0.23, since));
            let start = if hissing {
                0.35 * (1.0 - ramp(0.02, 0.07, since)) * band(seed ^ 5, f64::from(since), 5000.0, 1500.0)
            } else {
                0.0
            };
            0.75 * shape * harmonics(glide(&pitch, since), &weights) + start
        });
    }
}

pub(super) fn sneezing(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let voice_hz = draw.range(180.0, 380.0);
    let weights: [f32; 16] = formants(
        voice_hz,
        &[(800.0, 200.0, 0.4), (1300.0, 250.0, 0.3), (2600.0, 400.0, 0.1)],
    );
    let hiss_hz = f64::from(draw.range(2600.0, 4200.0));
    let (from_s, to_s) = stretch.span_s();
    for (_, at_s) in beats(Happening::Sneeze, seed).between(from_s - 0.5, to_s + 0.4) {
        let gasp = [(0.0, voice_hz * 0.9), (0.28, voice_hz * 1.35), (1.0, voice_hz * 1.4)];
        stretch.once(at_s - 0.3, 0.28, |since, _| {
            let shape = ramp(0.0, 0.15, since) * (1.0 - ramp(0.24, 0.28, since));
            shape
                * (0.25 * harmonics(glide(&gasp, since), &weights) + 0.1 * band(seed, f64::from(since), 1500.0, 800.0))
        });
        let shout = [(0.0, voice_hz * 1.5), (0.3, voice_hz * 0.8), (1.0, voice_hz * 0.8)];
        stretch.once(at_s, 0.42, |since, sample| {
            let burst = ramp(0.0, 0.008, since) * decay(since / 0.09);
            let voiced = ramp(0.03, 0.07, since) * (1.0 - ramp(0.15, 0.35, since));
            let air = band(seed ^ 1, f64::from(since), hiss_hz, 1700.0) + 0.4 * white(seed ^ 2, sample);
            1.3 * burst * air + 0.4 * voiced * harmonics(glide(&shout, since), &weights)
        });
    }
}

pub(super) fn crying(stretch: &mut Stretch<'_>, draw: &mut Draw) {
    let seed = stretch.seed;
    let voice_hz = draw.range(360.0, 520.0);
    let weights: [f32; 12] = formants(
        voice_hz,
        &[(1150.0, 300.0, 0.55), (voice_hz, 200.0, 0.35), (3100.0, 600.0, 0.3)],
    );
    let tremble_hz = f64::from(draw.range(5.0, 8.0));
    let (from_s, to_s) = stretch.span_s();
    for (_, at_s) in beats(Happening::BabyCry, seed).between(from_s - 1.2, to_s) {
        let pitch = [
            (0.0, voice_hz * 0.85),
            (0.15, voice_hz * 1.15),
            (0.5, voice_hz * 1.08),
            (0.8, voice_hz * 0.75),
            (1.2, voice_hz * 0.7),
        ];
        stretch.once(at_s, 0.78, |since, _| {
            let shape = ramp(0.0, 0.07, since) * (1.0 - ramp(0.6, 0.78, since));
            let phase = glide(&pitch, since) + 0.6 * f64::from(sin_turns(f64::from(since) * tremble_hz));
            let rough = 1.0 + 0.25 * smooth(seed, f64::from(since) * 90.0);
            0.8 * shape * rough * harmonics(phase, &weights)
        });
        // Drawing breath.
        stretch.once(at_s + 0.8, 0.14, |since, _| {
            0.12 * ramp(0.0, 0.08, since)
                * (1.0 - ramp(0.1, 0.14, since))
                * band(seed ^ 1, f64::from(since), 2300.0, 900.0)
        });
    }
}
