//! Machines: emergency vehicles, motors, helicopters, chainsaws.

use super::{Brush, Cue};
use crate::chance::{smooth, unit_at, white};
use crate::numeric::{cos_turns, sin_turns};
use crate::patch::{Look, Patch, shade};

pub(crate) fn siren(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 2.0, (0.38, 0.6));
    brush.origin[0] = draw.range(0.4, 0.93);
    let kind = draw.index(3);
    let (paint, stripe) = [
        ([0.95, 0.95, 0.96], [0.1, 0.25, 0.75]),
        ([0.97, 0.97, 0.95], [0.9, 0.2, 0.1]),
        ([0.8, 0.08, 0.08], [0.97, 0.93, 0.85]),
    ][kind];
    let hull = Look::rounded(paint, cue.ambient + 2.0);
    let tall = [1.0, 1.75, 1.85][kind];
    let glass = Look::new([0.2, 0.28, 0.36], cue.ambient);
    brush.slab(-1.9, 0.35, 1.9, 1.0, hull);
    if kind == 0 {
        brush.quad([[-1.3, 1.0], [1.0, 1.0], [0.55, 1.5], [-0.95, 1.5]], hull);
        brush.quad([[-1.1, 1.03], [-0.1, 1.03], [-0.1, 1.43], [-0.88, 1.43]], glass);
        brush.quad([[0.0, 1.03], [0.82, 1.03], [0.48, 1.43], [0.0, 1.43]], glass);
    } else {
        brush.slab(-1.9, 0.9, 0.95, tall, hull);
        brush.quad([[0.95, 1.0], [1.75, 1.0], [1.35, tall - 0.1], [0.95, tall - 0.1]], hull);
        brush.quad(
            [[1.02, 1.03], [1.6, 1.03], [1.3, tall - 0.2], [1.02, tall - 0.2]],
            glass,
        );
        brush.slab(-1.3, 1.2, -0.5, 1.55, glass);
        let cross = Look::new([0.85, 0.1, 0.1], cue.ambient + 2.0);
        if kind == 1 {
            brush.slab(0.1, 1.15, 0.25, 1.65, cross);
            brush.slab(-0.07, 1.32, 0.42, 1.48, cross);
        }
    }
    brush.slab(-1.9, 0.68, 1.9, 0.84, Look::new(stripe, cue.ambient + 2.0));
    for x in [-1.2, 1.2] {
        brush.ellipse(x, 0.32, [0.34, 0.34], Look::new([0.08, 0.08, 0.09], cue.ambient + 6.0));
        brush.ellipse(x, 0.32, [0.16, 0.16], Look::new([0.65, 0.66, 0.68], cue.ambient + 8.0));
    }
    brush.ellipse(1.85, 0.72, [0.09, 0.1], Look::light([1.0, 0.98, 0.85], 1.0).soft(0.01));
    // Two lamps turn: one is bright while the other is dark.
    let roof = if kind == 0 { 1.5 } else { tall };
    let blue = [0.1, 0.3, 1.0];
    let red = if draw.chance(0.7) { [1.0, 0.08, 0.1] } else { blue };
    let phase = cue.since_s * f64::from(draw.range(1.2, 2.2)) + f64::from(draw.unit());
    brush.slab(
        -0.75,
        roof,
        0.45,
        roof + 0.06,
        Look::new([0.15, 0.15, 0.17], cue.ambient + 3.0),
    );
    for (x, rgb, at) in [(-0.5, blue, 0.0), (0.2, red, 0.5)] {
        let bright = 0.4 + 0.6 * (0.5 + 0.5 * sin_turns(phase + at));
        brush.ellipse(
            x,
            roof + 0.16,
            [0.22, 0.17],
            Look::new(shade(rgb, 0.5 + 0.5 * bright), cue.ambient + 10.0).glowing(),
        );
        brush.ellipse(
            x,
            roof + 0.17,
            [0.1, 0.09],
            Look::light([1.0, 1.0, 1.0], bright * 0.9).soft(0.02),
        );
        brush.ellipse(x, roof + 0.2, [1.0, 0.65], Look::light(rgb, 0.62 * bright).soft(0.14));
    }
}

pub(crate) fn engine(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 0.9, (0.55, 0.85));
    brush.origin[0] = draw.range(0.5, 0.84);
    // It trembles.
    let tremble = (cue.since_s * 60.0) as i64 as u64;
    brush.origin[0] += 0.004 * white(cue.seed, tremble);
    brush.origin[1] += 0.004 * white(cue.seed ^ 1, tremble);
    let block_rgb = draw.pick([
        [0.5, 0.52, 0.54],
        [0.2, 0.42, 0.3],
        [0.25, 0.35, 0.55],
        [0.75, 0.3, 0.15],
    ]);
    let hot = draw.range(345.0, 372.0);
    let block = Look::rounded(block_rgb, hot);
    let dark = Look::new(shade(block_rgb, 0.45), hot - 8.0);
    let steel = Look::rounded([0.68, 0.69, 0.71], hot + 6.0);
    let frame = Look::new([0.15, 0.15, 0.16], hot - 35.0);
    for (a, b) in [
        ([-0.6, 0.04], [0.6, 0.04]),
        ([-0.55, 0.04], [-0.55, 0.5]),
        ([0.55, 0.04], [0.55, 0.5]),
    ] {
        brush.limb(a, b, 0.03, frame);
    }
    brush.slab(-0.42, 0.1, 0.38, 0.5, block);
    // Cylinders with cooling fins.
    for cylinder in 0..3 {
        let x = -0.3 + 0.24 * cylinder as f32;
        brush.slab(x - 0.1, 0.46, x + 0.1, 0.76, block);
        for fin in 0..4 {
            let y = 0.52 + 0.06 * fin as f32;
            brush.slab(x - 0.115, y, x + 0.115, y + 0.022, dark);
        }
        brush.slab(x - 0.05, 0.76, x + 0.05, 0.83, steel);
        brush.limb(
            [x, 0.83],
            [x + 0.04, 0.92],
            0.012,
            Look::new([0.75, 0.15, 0.1], hot - 25.0),
        );
    }
    // Fan and belt.
    let turn = cue.since_s * 7.3;
    brush.ring(0.42, 0.34, 0.2, 0.05, dark);
    brush.ellipse(0.42, 0.34, [0.19, 0.19], steel);
    for blade in 0..4 {
        let at = turn + f64::from(blade) / 4.0;
        brush.limb(
            [0.42, 0.34],
            [0.42 + cos_turns(at) * 0.16, 0.34 + sin_turns(at) * 0.16],
            0.025,
            dark,
        );
    }
    brush.limb([-0.14, 0.2], [0.42, 0.16], 0.016, dark);
    brush.ellipse(-0.14, 0.28, [0.1, 0.1], steel);
    brush.ellipse(-0.14, 0.28, [0.05, 0.05], dark);
    // Exhaust pipe and its smoke.
    let pipe = Look::rounded([0.45, 0.36, 0.3], hot + 70.0);
    brush.limb([-0.4, 0.4], [-0.6, 0.46], 0.045, pipe);
    brush.limb([-0.6, 0.46], [-0.64, 0.8], 0.045, pipe);
    for puff in 0..6u64 {
        let rise = (cue.since_s * 0.9 + puff as f64 / 6.0).fract() as f32;
        let drift = 0.1 * smooth(cue.seed ^ puff, cue.since_s);
        let smoke = Look::new([0.4, 0.4, 0.42], cue.ambient + 28.0 * (1.0 - rise))
            .airy(0.6 * (1.0 - rise))
            .soft(0.025);
        brush.ellipse(
            -0.66 - 0.15 * rise + drift * rise,
            0.86 + 0.35 * rise,
            [0.06 + 0.12 * rise, 0.06 + 0.1 * rise],
            smoke,
        );
    }
}

pub(crate) fn helicopter(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let optics = cue.stage.optics;
    let bob = sin_turns(cue.since_s * 0.4 + f64::from(draw.unit())) * 0.02;
    let origin = [draw.range(0.4, 0.93), draw.range(0.17, 0.36) + bob];
    let mut brush = Brush::floating(patches, &optics, origin, draw.range(14.0, 30.0));
    brush.scale = draw.range(0.085, 0.16);
    brush.facing = draw.side();
    let paint = draw.pick([
        [0.2, 0.26, 0.22],
        [0.85, 0.2, 0.15],
        [0.95, 0.8, 0.2],
        [0.2, 0.3, 0.55],
        [0.12, 0.12, 0.14],
    ]);
    let hull = Look::rounded(paint, cue.ambient + 8.0);
    let dark = Look::new([0.08, 0.08, 0.09], cue.ambient + 2.0);
    brush.limb([-0.6, 0.15], [-3.0, 0.5], 0.16, hull);
    brush.triangle([-2.7, 0.45], [-3.25, 0.45], [-3.2, 1.25], hull);
    brush.ring(
        -3.0,
        0.55,
        0.42,
        0.1,
        Look::new([0.3, 0.3, 0.32], cue.ambient).airy(0.8),
    );
    brush.ellipse(0.2, 0.0, [1.3, 0.75], hull);
    brush.ellipse(0.85, 0.1, [0.6, 0.48], Look::new([0.6, 0.8, 0.92], cue.ambient));
    brush.slab(
        -0.5,
        0.6,
        0.4,
        0.95,
        Look::rounded(shade(paint, 0.8), cue.ambient + 60.0),
    );
    brush.limb([0.0, 0.8], [0.0, 1.2], 0.07, dark);
    for x in [-0.4, 0.7] {
        brush.limb([x, -0.6], [x, -1.0], 0.05, dark);
    }
    brush.limb([-1.0, -1.0], [1.4, -1.0], 0.07, dark);
    // Rotor: a blurred disc with a blade that jumps from frame to frame.
    brush.ellipse(0.0, 1.22, [3.2, 0.22], Look::light([0.25, 0.26, 0.28], 0.4).soft(0.01));
    let sweep = cos_turns(cue.since_s * 6.7) * 3.2;
    brush.limb([-sweep, 1.22], [sweep, 1.22], 0.07, dark.airy(0.9));
    brush.limb([-3.0, 1.24], [3.0, 1.2], 0.035, dark.airy(0.75));
}

pub(crate) fn chainsaw(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 0.75, (0.6, 0.85));
    brush.origin[0] = 0.667 - brush.facing * draw.range(0.0, 0.18);
    let tremble = (cue.since_s * 50.0) as i64 as u64;
    let buck = 0.012 * white(cue.seed, tremble);
    let bark = Look::rounded(draw.near([0.42, 0.28, 0.17], 0.06), cue.ambient);
    let cut = Look::rounded([0.88, 0.72, 0.48], cue.ambient + 4.0);
    // The log, lying across, with a fresh cut.
    brush.limb([0.15, 0.17], [1.3, 0.17], 0.17, bark);
    brush.ellipse(0.1, 0.17, [0.09, 0.17], cut);
    brush.ring(0.1, 0.17, 0.05, 0.012, Look::new([0.6, 0.43, 0.25], cue.ambient));
    brush.slab(0.42, 0.1, 0.47, 0.36, Look::new([0.93, 0.8, 0.55], cue.ambient + 15.0));
    let shell = draw.pick([[0.95, 0.42, 0.05], [0.85, 0.15, 0.1], [0.95, 0.75, 0.1]]);
    let hull = Look::rounded(shell, 318.0);
    let black = Look::new([0.08, 0.08, 0.08], 308.0);
    let bar = Look::rounded([0.78, 0.79, 0.8], cue.ambient + 22.0);
    let y = 0.42 + buck;
    brush.limb([-0.1, y], [0.78, y - 0.1], 0.062, black);
    brush.limb([-0.1, y], [0.78, y - 0.1], 0.045, bar);
    for tooth in 0..12 {
        let part = (tooth as f32 / 12.0 + (cue.since_s * 9.0).fract() as f32 / 12.0) * 0.9;
        for side in [-0.066, 0.066] {
            brush.ellipse(-0.1 + part * 0.95, y - part * 0.108 + side, [0.016, 0.013], black);
        }
    }
    brush.slab(-0.52, y - 0.13, -0.08, y + 0.14, hull);
    brush.ellipse(-0.3, y, [0.1, 0.1], Look::rounded(shade(shell, 0.6), 345.0));
    for (a, b) in [
        ([-0.15, y + 0.12], [-0.18, y + 0.3]),
        ([-0.18, y + 0.3], [-0.38, y + 0.28]),
        ([-0.5, y - 0.08], [-0.78, y - 0.02]),
        ([-0.78, y - 0.02], [-0.7, y + 0.14]),
        ([-0.7, y + 0.14], [-0.5, y + 0.1]),
    ] {
        brush.limb(a, b, 0.03, black);
    }
    // Gloved hands and sleeves.
    let glove = Look::rounded(draw.pick([[0.75, 0.6, 0.35], [0.25, 0.3, 0.35]]), 302.0);
    let sleeve = Look::rounded(draw.pick([[0.8, 0.3, 0.1], [0.2, 0.35, 0.2], [0.25, 0.3, 0.55]]), 301.0);
    for hand in [[-0.26, y + 0.29], [-0.66, y + 0.12]] {
        brush.limb(hand, [hand[0] - 0.35, hand[1] + 0.55], 0.075, sleeve);
        brush.ellipse(hand[0], hand[1], [0.085, 0.07], glove);
    }
    // Sawdust in a fan, back and down from the cut.
    for chip in 0..60u64 {
        let age = (cue.since_s * 1.7 + f64::from(unit_at(cue.seed, chip))).fract() as f32;
        let (vx, vy) = (
            0.5 + 0.7 * unit_at(cue.seed, chip + 100),
            0.5 + 0.7 * unit_at(cue.seed, chip + 200),
        );
        let (x, y) = (0.42 - vx * age, (0.32 + vy * age - 1.5 * age * age).max(0.01));
        let r = 0.008 + 0.009 * unit_at(cue.seed, chip + 300);
        brush.ellipse(
            x,
            y,
            [r, r],
            Look::new([0.95, 0.83, 0.55], cue.ambient + 6.0).airy(0.95),
        );
    }
    brush.ellipse(
        -0.05,
        0.02,
        [0.45, 0.035],
        Look::new([0.9, 0.77, 0.5], cue.ambient).airy(0.85).soft(0.01),
    );
}
