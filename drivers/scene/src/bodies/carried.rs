//! What happens to the device itself: picked up, shaken, driven.

use super::{Blur, Brush, Cue, Scene};
use crate::chance::{Draw, smooth, unit_at, white};
use crate::numeric::{blend, cos_turns, ramp, sin_turns};
use crate::patch::{Look, Paint, Patch, Range, Shape, View, shade};
use crate::stage::rectangle;

/// How far a device held in the hand is turned about its line of sight: well away from upright, and slowly changing.
pub(crate) fn roll_turns(seed: u64, since_s: f64) -> f32 {
    let mut draw = Draw::new(seed, 23);
    let lifted = ramp(0.0, 0.4, since_s as f32);
    lifted * (draw.side() * draw.range(0.07, 0.19) + 0.035 * smooth(seed, since_s * 0.7))
}

/// The swings of a shaken device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shake {
    seed: u64,
    pub(crate) rate_hz: f64,
}

impl Shake {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            rate_hz: f64::from(Draw::new(seed, 24).range(3.0, 8.0)),
        }
    }

    /// Where in its swing the device is, in turns, `since_s` after the shaking began.
    pub(crate) fn swing_turns(&self, since_s: f64) -> f64 {
        since_s * self.rate_hz + 0.3 * f64::from(smooth(self.seed, since_s * 3.0))
    }
}

pub(crate) fn picked_up(cue: &Cue<'_>, scene: &mut Scene) {
    let mut draw = cue.draw();
    let tilt = roll_turns(cue.seed, cue.since_s);
    let shift = [
        0.1 * smooth(cue.seed ^ 1, cue.since_s * 0.6),
        0.1 * smooth(cue.seed ^ 2, cue.since_s * 0.6),
    ];
    scene.view = View {
        turns: tilt,
        zoom: draw.range(1.0, 1.3),
        shift,
    };
    hand(cue, &mut draw, scene);
    if scene.blur == Blur::None {
        let drift = 0.008 * smooth(cue.seed ^ 3, cue.since_s * 2.0);
        scene.blur = Blur::Ghosts([0.0, 0.2, 0.4, 0.6, 0.8, 1.0].map(|part| [drift * part, drift * part * 0.5]));
    }
}

/// Fingers that come in from one side of the picture and a thumb from the other. They hold the device, so they are
/// placed against the turned view.
fn hand(cue: &Cue<'_>, draw: &mut Draw, scene: &mut Scene) {
    let view = scene.view;
    let skin = draw.pick([
        [0.95, 0.78, 0.66],
        [0.85, 0.64, 0.48],
        [0.62, 0.43, 0.31],
        [0.4, 0.27, 0.2],
    ]);
    let side = draw.side();
    let away = Range::Metres(draw.range(0.12, 0.2));
    let grip = smooth(cue.seed ^ 9, cue.since_s * 1.5) * 0.012;
    let (sin, cos) = (sin_turns(f64::from(view.turns)), cos_turns(f64::from(view.turns)));
    let scenic = |x: f32, y: f32| {
        let x = if side > 0.0 { x } else { 1.333 - x };
        let (u, v) = (
            (x - 0.667 - view.shift[0]) / view.zoom,
            (y - 0.5 - view.shift[1]) / view.zoom,
        );
        [u * cos + v * sin + 0.667, v * cos - u * sin + 0.5]
    };
    let mut put = |from: [f32; 2], to: [f32; 2], radius: f32, look: Look| {
        let radius = radius / view.zoom;
        scene.patches.push(look.patch(
            Shape::Capsule {
                from: scenic(from[0], from[1]),
                to: scenic(to[0], to[1]),
                radius,
            },
            away,
        ));
    };
    let low = draw.range(0.3, 0.45);
    for finger in 0..4 {
        let y = low + 0.155 * finger as f32 + grip;
        let reach = [0.27, 0.34, 0.32, 0.24][finger] + draw.range(-0.03, 0.05);
        let tone = shade(skin, 1.05 - 0.07 * finger as f32);
        put(
            [-0.12, y + 0.03],
            [reach, y - 0.02],
            0.082,
            Look::new(shade(tone, 0.6), 305.5),
        );
        put([-0.12, y + 0.03], [reach, y - 0.025], 0.074, Look::new(tone, 306.5));
        put(
            [reach + 0.02, y - 0.03],
            [reach + 0.045, y - 0.03],
            0.034,
            Look::new(shade(tone, 1.22), 305.0),
        );
        put(
            [reach - 0.13, y - 0.05],
            [reach - 0.13, y + 0.02],
            0.006,
            Look::new(shade(tone, 0.7), 306.0),
        );
    }
    let thumb_y = draw.range(0.68, 0.9) + grip;
    put(
        [1.5, thumb_y + 0.12],
        [1.1, thumb_y],
        0.115,
        Look::new(shade(skin, 0.62), 305.5),
    );
    put(
        [1.5, thumb_y + 0.12],
        [1.1, thumb_y],
        0.105,
        Look::new(shade(skin, 0.97), 306.8),
    );
    put(
        [1.06, thumb_y - 0.01],
        [1.11, thumb_y],
        0.05,
        Look::new(shade(skin, 1.2), 305.0),
    );
}

pub(crate) fn shaken(cue: &Cue<'_>, scene: &mut Scene) {
    let mut draw = cue.draw();
    let reach = draw.range(0.1, 0.2);
    let slope = draw.range(-1.0, 1.0);
    // The exposure covers a good part of one swing, so everything stands there several times.
    let start = Shake::new(cue.seed).swing_turns(cue.since_s);
    let ghosts = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(|step| {
        let at = start + step * 0.09;
        let x = sin_turns(at) * reach;
        [x, x * slope * 0.6 + sin_turns(at * 1.7 + 0.2) * reach * 0.35]
    });
    scene.blur = Blur::Ghosts(ghosts);
    let wobble = sin_turns(start * 0.8) * 0.04;
    scene.view.turns += wobble;
    scene.view.zoom *= 1.12;
}

pub(crate) fn driven(cue: &Cue<'_>, scene: &mut Scene) {
    let mut draw = cue.draw();
    let mut optics = cue.stage.optics;
    optics.horizon = draw.range(0.36, 0.44);
    optics.height_m = draw.range(1.1, 1.5);
    let speed_m_s = f64::from(draw.range(9.0, 25.0));
    let jolt = 0.006 * white(cue.seed, (cue.since_s * 12.0) as i64 as u64);
    let sway = 0.02 * sin_turns(cue.since_s * 0.35);
    let vanish = [0.667 + draw.range(-0.12, 0.12) + sway, optics.horizon + jolt];
    let patches = &mut scene.patches;
    let cool = cue.ambient - 5.0;
    let skies = draw.pick([
        ([0.4, 0.62, 0.9], [0.82, 0.9, 0.97]),
        ([0.6, 0.65, 0.7], [0.8, 0.82, 0.84]),
        ([0.12, 0.14, 0.25], [0.4, 0.36, 0.45]),
    ]);
    let sky = Look::new(skies.0, cool - 18.0).painted(Paint::Vertical(skies.0, skies.1));
    patches.push(sky.patch(
        Shape::Band {
            top: -9.0,
            bottom: vanish[1] + 0.01,
        },
        Range::Nothing,
    ));
    let verge = draw.pick([[0.3, 0.46, 0.2], [0.62, 0.54, 0.38], [0.5, 0.52, 0.5]]);
    patches.push(Look::new(verge, cool).patch(
        Shape::Band {
            top: vanish[1],
            bottom: 9.0,
        },
        Range::Ground,
    ));
    // Metres beside and ahead of the vehicle, carried into the picture.
    let at = |x_m: f32, z_m: f32| {
        [
            vanish[0] + x_m * optics.focal / z_m,
            vanish[1] + optics.height_m * optics.focal / z_m,
        ]
    };
    let asphalt = draw.near([0.3, 0.3, 0.32], 0.06);
    let road = Look::new(asphalt, cool + 6.0).painted(Paint::Vertical(shade(asphalt, 1.25), shade(asphalt, 0.9)));
    patches.push(road.patch(
        Shape::Quad([at(-4.6, 300.0), at(4.6, 300.0), at(4.6, 0.9), at(-4.6, 0.9)]),
        Range::Ground,
    ));
    let travelled_m = cue.since_s * speed_m_s;
    let white_line = Look::new([0.95, 0.95, 0.92], cool + 5.0);
    let centre_line = Look::new(draw.pick([[0.97, 0.97, 0.95], [0.98, 0.8, 0.15]]), cool + 5.0);
    for x in [-4.2f32, 4.2] {
        patches.push(white_line.patch(
            Shape::Quad([
                at(x - 0.09, 200.0),
                at(x + 0.09, 200.0),
                at(x + 0.09, 0.9),
                at(x - 0.09, 0.9),
            ]),
            Range::Ground,
        ));
    }
    let (gap_m, lane_m) = (8.0, draw.pick([-1.4, 1.4]));
    for dash in (0..9).rev() {
        let near_m = (dash as f64 * gap_m - travelled_m.rem_euclid(gap_m)) as f32 + 1.2;
        let far_m = near_m + 3.6;
        if far_m > 1.0 {
            let near_m = near_m.max(0.9);
            patches.push(centre_line.patch(
                Shape::Quad([
                    at(lane_m - 0.1, far_m),
                    at(lane_m + 0.1, far_m),
                    at(lane_m + 0.1, near_m),
                    at(lane_m - 0.1, near_m),
                ]),
                Range::Ground,
            ));
        }
    }
    roadside(cue, &mut draw, travelled_m, cool, optics.focal, at, patches);
    if draw.chance(0.6) {
        // A car ahead.
        let away_m = 9.0 + 4.0 * smooth(cue.seed, cue.since_s * 0.3) + draw.range(0.0, 8.0);
        let rgb = [draw.unit(), draw.range(0.1, 0.8), draw.range(0.1, 0.8)];
        let mut brush = Brush::floating(patches, &optics, at(lane_m - lane_m.signum() * 1.9, away_m), away_m);
        brush.slab(-0.85, 0.2, 0.85, 0.85, Look::rounded(rgb, cool + 5.0));
        brush.quad(
            [[-0.7, 0.85], [0.7, 0.85], [0.55, 1.4], [-0.55, 1.4]],
            Look::rounded(shade(rgb, 0.7), cool + 3.0),
        );
        for x in [-0.68, 0.68] {
            brush.ellipse(x, 0.7, [0.13, 0.08], Look::new([1.0, 0.12, 0.1], cool + 12.0).glowing());
            brush.slab(
                x - 0.12,
                0.0,
                x + 0.12,
                0.25,
                Look::new([0.05, 0.05, 0.05], cool + 14.0),
            );
        }
    }
    dashboard(cue, &mut draw, jolt, &mut scene.patches);
    scene.optics = optics;
    scene.blur = Blur::Radial {
        centre: vanish,
        strength: 0.1,
    };
}

/// Posts and trees pass by on both sides.
fn roadside(
    cue: &Cue<'_>,
    draw: &mut Draw,
    travelled_m: f64,
    kelvin: f32,
    focal: f32,
    at: impl Fn(f32, f32) -> [f32; 2],
    patches: &mut Vec<Patch>,
) {
    let gap_m = 11.0;
    let passed = (travelled_m / gap_m).floor() as i64;
    let green = draw.near([0.2, 0.4, 0.17], 0.08);
    for post in (0..6).rev() {
        let z_m = ((post as f64 + 1.0) * gap_m - travelled_m.rem_euclid(gap_m)) as f32 * 0.9 + 2.0;
        for side in [-1.0f32, 1.0] {
            let kind = unit_at(cue.seed ^ 77, (passed + post) as u64 * 2 + u64::from(side > 0.0));
            let foot = at(side * 7.0, z_m);
            let scale = focal / z_m;
            let range = Range::Metres(z_m);
            if kind < 0.6 {
                patches.push(
                    Look::new([0.3, 0.22, 0.15], kelvin)
                        .patch(rectangle(foot[0], foot[1] - scale, 0.18 * scale, scale), range),
                );
                let crown = Look::rounded(shade(green, 0.8 + kind), kelvin + 0.5);
                patches.push(crown.patch(
                    Shape::Ellipse {
                        centre: [foot[0], foot[1] - 3.2 * scale],
                        radii: [1.5 * scale, 1.8 * scale],
                        turns: 0.0,
                    },
                    range,
                ));
            } else {
                let post = Look::new([0.85, 0.85, 0.83], kelvin);
                patches.push(post.patch(
                    rectangle(foot[0], foot[1] - 0.5 * scale, 0.09 * scale, 0.5 * scale),
                    range,
                ));
            }
        }
    }
}

fn dashboard(cue: &Cue<'_>, draw: &mut Draw, jolt: f32, patches: &mut Vec<Patch>) {
    let top = draw.range(0.74, 0.82) - jolt;
    let rgb = draw.near([0.12, 0.12, 0.13], 0.05);
    let board = Look::new(rgb, cue.ambient + 3.0).painted(Paint::Vertical(shade(rgb, 1.6), rgb));
    let range = Range::Metres(0.7);
    patches.push(board.patch(
        Shape::Ellipse {
            centre: [0.667, top + 0.32],
            radii: [1.15, 0.34],
            turns: 0.0,
        },
        range,
    ));
    let side = draw.side();
    let x = 0.667 + side * 0.32;
    let rim = Look::new([0.05, 0.05, 0.06], cue.ambient + 5.0);
    let turn = 0.03 * sin_turns(cue.since_s * 0.35);
    patches.push(rim.patch(
        Shape::Ring {
            centre: [x, 1.05],
            radius: 0.27,
            width: 0.045,
        },
        Range::Metres(0.55),
    ));
    patches.push(rim.patch(
        Shape::Capsule {
            from: [x - 0.26, 1.0 + turn],
            to: [x + 0.26, 1.0 - turn],
            radius: 0.025,
        },
        Range::Metres(0.55),
    ));
    for gauge in [-0.09f32, 0.09] {
        let centre = [x + gauge, blend(top, 1.0, 0.42)];
        patches.push(Look::light([0.85, 0.9, 0.95], 0.9).patch(
            Shape::Ring {
                centre,
                radius: 0.05,
                width: 0.008,
            },
            range,
        ));
    }
    // The pillar at the side of the windscreen.
    let pillar = Look::new(shade(rgb, 0.8), cue.ambient + 2.0);
    let edge = 0.667 + side * 0.667;
    patches.push(pillar.patch(
        Shape::Quad([
            [edge + side * 0.1, -0.2],
            [edge - side * 0.05, -0.2],
            [edge + side * 0.03, top + 0.1],
            [edge + side * 0.1, top + 0.1],
        ]),
        Range::Metres(0.8),
    ));
}
