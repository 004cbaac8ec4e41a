//! Things of a house: a breaking pane, something hot, a door, a clock.

use super::{Brush, Cue, beats};
use crate::Happening;
use crate::chance::{mix, smooth, unit_at};
use crate::numeric::{blend, cos_turns, ramp, sin_turns};
use crate::patch::{Look, Paint, Patch, Range, shade, tint};
use crate::stage::rectangle;

pub(crate) fn glass(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let (beat, since_s) = beats(Happening::GlassBreaking, cue.seed).last(cue.since_s);
    let since = since_s as f32;
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 1.0, (0.7, 0.95));
    brush.origin[0] = draw.range(0.5, 0.84);
    let frame_rgb = draw.pick([[0.92, 0.9, 0.86], [0.4, 0.27, 0.17], [0.25, 0.26, 0.28]]);
    let frame = Look::rounded(frame_rgb, cue.ambient - 0.5);
    let pane = Look::new([0.72, 0.88, 0.93], cue.ambient - 1.5)
        .airy(0.55)
        .painted(Paint::Vertical([0.86, 0.95, 0.98], [0.55, 0.75, 0.85]))
        .unheated();
    brush.slab(-0.45, 0.2, 0.45, 0.98, pane);
    for (a, b) in [
        ([-0.45, 0.2], [0.45, 0.2]),
        ([-0.45, 0.98], [0.45, 0.98]),
        ([-0.45, 0.2], [-0.45, 0.98]),
        ([0.45, 0.2], [0.45, 0.98]),
    ] {
        brush.limb(a, b, 0.03, frame);
    }
    // A jagged hole, with cracks running from it.
    let hole = [draw.range(-0.14, 0.14), draw.range(0.5, 0.68)];
    let dark = Look::light([0.1, 0.11, 0.13], 0.9);
    let crack = Look::light([0.97, 0.99, 1.0], 0.95);
    let shadow = Look::light([0.25, 0.3, 0.34], 0.8);
    let spikes = 11;
    for spike in 0..spikes {
        let turn = f64::from(spike) / f64::from(spikes) + f64::from(unit_at(cue.seed, spike as u64)) * 0.05;
        let direction = [cos_turns(turn), sin_turns(turn)];
        let next = [cos_turns(turn + 0.09), sin_turns(turn + 0.09)];
        let reach = 0.12 + 0.16 * unit_at(cue.seed, 40 + spike as u64);
        let tip = [hole[0] + direction[0] * reach, hole[1] + direction[1] * reach];
        brush.triangle(hole, tip, [hole[0] + next[0] * 0.13, hole[1] + next[1] * 0.13], dark);
        let mut from = tip;
        for piece in 0..3u64 {
            let bend = (unit_at(cue.seed, 60 + spike as u64 * 4 + piece) - 0.5) * 0.16;
            let to = [
                (from[0] + (direction[0] - direction[1] * bend * 4.0) * 0.16).clamp(-0.43, 0.43),
                (from[1] + (direction[1] + direction[0] * bend * 4.0) * 0.16).clamp(0.22, 0.96),
            ];
            brush.limb(
                [from[0] + 0.006, from[1] - 0.006],
                [to[0] + 0.006, to[1] - 0.006],
                0.005,
                shadow,
            );
            brush.limb(from, to, 0.0055, crack);
            from = to;
        }
    }
    // Shards fly with the blow and lie about afterwards.
    for shard in 0..34u64 {
        let seed = mix(cue.seed, 500 + shard + 64 * (beat as u64 & 3));
        let lying = shard % 2 == 0;
        let flight = since.min(0.9);
        let (vx, vy) = ((unit_at(seed, 0) - 0.5) * 1.6, 0.2 + unit_at(seed, 1) * 1.1);
        let (x, y) = if lying {
            ((unit_at(seed, 2) - 0.5) * 1.3, 0.02 + 0.13 * unit_at(seed, 3))
        } else {
            (
                hole[0] + vx * flight,
                (hole[1] + vy * flight - 2.4 * flight * flight).max(0.03 + 0.1 * unit_at(seed, 3)),
            )
        };
        let size = 0.022 + 0.05 * unit_at(seed, 4);
        let spin = f64::from(unit_at(seed, 5)) + if lying { 0.0 } else { f64::from(flight) * 1.3 };
        let corner = |part: f64, long: f32| {
            [
                x + cos_turns(spin + part) * size * long,
                y + sin_turns(spin + part) * size * long,
            ]
        };
        let bright = unit_at(seed, 6);
        let shine = Look::new([0.72 + 0.27 * bright, 0.88 + 0.1 * bright, 0.95], cue.ambient)
            .airy(0.9)
            .unheated();
        brush.triangle(corner(0.0, 1.3), corner(0.3, 0.8), corner(0.62, 0.9), shine);
        brush.limb(corner(0.0, 1.3), corner(0.3, 0.8), 0.004, crack);
    }
}

pub(crate) fn hot_object(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let optics = cue.stage.optics;
    let away_m = draw.range(0.7, 1.3);
    let table = draw.range(0.66, 0.8);
    let wood = draw.pick([[0.62, 0.47, 0.32], [0.8, 0.78, 0.75], [0.3, 0.28, 0.28]]);
    let counter = Look::new(wood, cue.ambient + 1.0).painted(Paint::Vertical(shade(wood, 1.1), shade(wood, 0.75)));
    patches.push(counter.patch(rectangle(0.667, table + 0.3, 1.5, 0.3 + 0.01), Range::Metres(away_m)));
    let x = draw.range(0.42, 0.92);
    let size = draw.range(0.85, 1.2);
    let kind = draw.index(3);
    let mut brush = Brush::floating(patches, &optics, [x, table + 0.13], away_m);
    brush.scale = size * 1.0;
    brush.facing = draw.side();
    let hot = draw.range(370.0, 450.0);
    let pulse = 0.85 + 0.15 * sin_turns(cue.since_s * 0.5);
    let red = |alpha: f32| Look::light([1.0, 0.25 * pulse, 0.06], alpha);
    // Glowing ring under everything: a stove plate seen from the side.
    let plate = Look::new([0.13, 0.12, 0.12], hot - 20.0);
    brush.ellipse(0.0, 0.0, [0.3, 0.075], plate);
    for (rx, width) in [(0.26, 1.0), (0.17, 0.8)] {
        brush.ellipse(
            0.0,
            0.0,
            [rx, rx * 0.25],
            Look {
                kelvin: Some(hot + 40.0),
                ..red(width)
            },
        );
        brush.ellipse(0.0, 0.0, [rx - 0.045, (rx - 0.045) * 0.22], plate);
    }
    brush.ellipse(0.0, 0.03, [0.42, 0.2], red(0.22).soft(0.08));
    let metal = draw.pick([[0.75, 0.76, 0.78], [0.8, 0.25, 0.2], [0.35, 0.38, 0.42]]);
    let steel = Look::rounded(metal, hot);
    let handle = Look::new([0.08, 0.08, 0.09], 312.0);
    match kind {
        0 => {
            // A kettle.
            brush.limb([0.13, 0.13], [0.3, 0.27], 0.028, steel);
            brush.ellipse(0.0, 0.13, [0.2, 0.145], steel);
            brush.slab(-0.2, 0.0, 0.2, 0.1, steel);
            brush.ellipse(0.0, 0.25, [0.1, 0.035], Look::rounded(shade(metal, 0.8), hot - 10.0));
            brush.ellipse(0.0, 0.295, [0.025, 0.025], handle);
            for (a, b) in [
                ([-0.13, 0.25], [-0.09, 0.4]),
                ([-0.09, 0.4], [0.09, 0.4]),
                ([0.09, 0.4], [0.13, 0.25]),
            ] {
                brush.limb(a, b, 0.018, handle);
            }
        }
        1 => {
            // A flat iron on its sole.
            brush.quad([[-0.25, 0.02], [0.32, 0.02], [0.1, 0.12], [-0.25, 0.12]], steel);
            brush.quad(
                [[-0.23, 0.1], [0.14, 0.1], [0.02, 0.2], [-0.2, 0.2]],
                Look::rounded([0.25, 0.45, 0.8], hot - 60.0),
            );
            brush.limb([-0.2, 0.18], [-0.2, 0.3], 0.03, handle);
            brush.limb([-0.2, 0.3], [0.08, 0.26], 0.03, handle);
            brush.slab(
                -0.25,
                0.0,
                0.3,
                0.035,
                Look {
                    kelvin: Some(hot + 30.0),
                    ..red(0.85)
                },
            );
        }
        _ => {
            // A pan of glowing coal-red metal.
            brush.slab(
                -0.2,
                0.02,
                0.2,
                0.16,
                Look::rounded(tint(metal, [1.0, 0.2, 0.05], 0.6), hot + 20.0),
            );
            brush.ellipse(
                0.0,
                0.16,
                [0.2, 0.05],
                Look {
                    kelvin: Some(hot + 30.0),
                    ..red(0.95)
                },
            );
            brush.limb([0.2, 0.13], [0.46, 0.17], 0.022, handle);
        }
    }
    for puff in 0..6u64 {
        let rise = (cue.since_s * 0.5 + puff as f64 / 6.0).fract() as f32;
        let drift = 0.06 * smooth(cue.seed ^ puff, cue.since_s * 0.7);
        let steam = Look::new([0.93, 0.95, 0.97], cue.ambient + 25.0 * (1.0 - rise))
            .airy(0.42 * (1.0 - rise))
            .soft(0.03);
        brush.ellipse(
            0.05 + drift,
            0.36 + 0.4 * rise,
            [0.04 + 0.07 * rise, 0.06 + 0.06 * rise],
            steam,
        );
    }
}

pub(crate) fn door(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let stage = cue.stage;
    let clock = beats(Happening::DoorOpening, cue.seed);
    let (_, since_s) = clock.last(cue.since_s);
    // It falls shut with every beat, then swings open again.
    let since = since_s as f32;
    let open = ramp(0.08, 0.8, since) * 0.8 + 0.2 - 0.15 * (1.0 - ramp(0.0, 0.08, since));
    let away_m = stage.wall_m * draw.range(0.62, 0.95);
    let scale = stage.optics.focal / away_m;
    let foot = stage.optics.ground_y(away_m).min(0.98);
    let tall = (2.05 * scale).clamp(0.5, 0.82).min(foot - 0.04);
    let half = tall * draw.range(0.2, 0.26);
    let x = draw.range(0.4, 0.93);
    let facing = draw.side();
    let behind = draw.pick([[1.0, 0.95, 0.78], [0.9, 0.96, 1.0], [1.0, 0.88, 0.62]]);
    let leaf_rgb = draw.pick([
        [0.5, 0.32, 0.18],
        [0.93, 0.92, 0.89],
        [0.24, 0.34, 0.45],
        [0.45, 0.14, 0.13],
    ]);
    let trim_rgb = draw.pick([[0.95, 0.94, 0.9], [0.35, 0.24, 0.15], [0.6, 0.6, 0.58]]);
    let middle = foot - tall / 2.0;
    let wall = Range::Metres(away_m);
    let warm = cue.ambient + draw.range(-3.0, 3.0);
    let trim = Look::new(trim_rgb, cue.ambient);
    patches.push(trim.patch(rectangle(x, middle - 0.008, half + 0.022, tall / 2.0 + 0.014), wall));
    let light = Look::new(behind, warm)
        .painted(Paint::Vertical(behind, shade(behind, 0.82)))
        .glowing();
    patches.push(light.patch(rectangle(x, middle, half, tall / 2.0), Range::Metres(away_m + 3.5)));
    // Light falls through onto the floor.
    let spill = Look::light(behind, 0.38 * open).soft(0.02);
    let reach = (foot + 0.25).min(1.2);
    let hinge = x - facing * half;
    let floor = crate::patch::Shape::Quad([
        [hinge + facing * half * 2.0 * (1.0 - open), foot],
        [x + facing * half, foot],
        [x + facing * (half + 0.22), reach],
        [hinge, reach],
    ]);
    patches.push(spill.patch(floor, Range::Ground));
    // The leaf swings towards the camera: its free edge comes nearer and looks taller.
    let free = hinge + facing * half * 2.0 * (1.0 - open * 1.25);
    let grow = 1.0 + 0.2 * open;
    let (top, low) = (foot - tall, foot);
    let rise = tall * (grow - 1.0) * 0.5;
    let leaf = Look::rounded(leaf_rgb, cue.ambient + 0.4);
    let near = Range::Metres(away_m - 0.75 * open);
    patches.push(leaf.patch(
        crate::patch::Shape::Quad([[hinge, top], [free, top - rise], [free, low + rise], [hinge, low]]),
        near,
    ));
    let inset = Look::new(shade(leaf_rgb, 0.75), cue.ambient + 0.4);
    for (from, to) in [(0.1, 0.42), (0.55, 0.9)] {
        let (a, b) = (blend(hinge, free, 0.2), blend(hinge, free, 0.8));
        patches.push(inset.patch(
            crate::patch::Shape::Quad([
                [a, top + tall * from],
                [b, top + tall * from],
                [b, top + tall * to],
                [a, top + tall * to],
            ]),
            near,
        ));
    }
    let knob = Look::new([0.9, 0.78, 0.35], cue.ambient);
    let centre = [blend(hinge, free, 0.9), middle + 0.03];
    patches.push(knob.patch(
        crate::patch::Shape::Ellipse {
            centre,
            radii: [0.014, 0.014],
            turns: 0.0,
        },
        near,
    ));
}

pub(crate) fn clock(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let away_m = draw.range(0.8, 2.2);
    let radius = draw.range(0.17, 0.34);
    let centre = [
        draw.range(radius + 0.05, 1.28 - radius),
        draw.range(radius + 0.04, 0.9 - radius * 0.9),
    ];
    let mut brush = Brush::floating(patches, &cue.stage.optics, centre, away_m);
    brush.scale = radius;
    let warm = cue.ambient + 0.2;
    let rim = draw.pick([
        [0.15, 0.15, 0.16],
        [0.55, 0.36, 0.2],
        [0.8, 0.65, 0.25],
        [0.75, 0.2, 0.2],
    ]);
    let face = draw.pick([[0.97, 0.97, 0.95], [0.95, 0.92, 0.8], [0.12, 0.13, 0.16]]);
    let ink = if face[0] < 0.5 {
        [0.95, 0.95, 0.9]
    } else {
        [0.08, 0.08, 0.1]
    };
    let beats = beats(Happening::ClockTick, cue.seed);
    let (beat, _) = beats.last(cue.since_s);
    if draw.chance(0.4) {
        // A pendulum case below.
        let swing = sin_turns(cue.since_s / (beats.period_s * 2.0)) * 0.3;
        brush.slab(-0.45, -2.0, 0.45, -0.5, Look::rounded(shade(rim, 0.8), warm));
        brush.limb([0.0, -0.7], [swing, -1.6], 0.03, Look::new([0.9, 0.75, 0.3], warm));
        brush.ellipse(swing, -1.6, [0.16, 0.16], Look::rounded([0.95, 0.8, 0.35], warm));
    } else if draw.chance(0.5) {
        // An alarm clock's bells and feet.
        for side in [-1.0, 1.0] {
            brush.ellipse(side * 0.6, 0.95, [0.3, 0.22], Look::rounded(rim, warm));
            brush.limb([side * 0.5, -0.8], [side * 0.75, -1.1], 0.08, Look::rounded(rim, warm));
        }
    }
    brush.ellipse(0.0, 0.0, [1.0, 1.0], Look::rounded(rim, warm));
    brush.ellipse(0.0, 0.0, [0.86, 0.86], Look::new(face, warm));
    let mark = Look::new(ink, warm);
    for hour in 0..12 {
        let turn = f64::from(hour) / 12.0;
        let (x, y) = (sin_turns(turn), cos_turns(turn));
        let from = if hour % 3 == 0 { 0.6 } else { 0.7 };
        brush.limb(
            [x * from, y * from],
            [x * 0.78, y * 0.78],
            if hour % 3 == 0 { 0.035 } else { 0.02 },
            mark,
        );
    }
    let time = f64::from(draw.unit()) * 12.0;
    for (turn, long, wide) in [(time / 12.0, 0.42, 0.045), (time.fract(), 0.64, 0.032)] {
        brush.limb([0.0, 0.0], [sin_turns(turn) * long, cos_turns(turn) * long], wide, mark);
    }
    let second = (beat.rem_euclid(60)) as f64 / 60.0;
    let red = Look::new([0.85, 0.12, 0.1], warm);
    brush.limb(
        [0.0, 0.0],
        [sin_turns(second) * 0.72, cos_turns(second) * 0.72],
        0.018,
        red,
    );
    brush.ellipse(0.0, 0.0, [0.06, 0.06], red);
}
