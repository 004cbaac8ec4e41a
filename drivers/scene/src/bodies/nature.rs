//! Fire, rain and the sea.

use super::{Brush, Cue};
use crate::chance::{Draw, mix, smooth, unit_at};
use crate::numeric::{blend, sin_turns};
use crate::patch::{Look, Paint, Patch, Point, Range, Rgb, Shape, shade, tint};

pub(crate) fn fire(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 0.9, (0.4, 0.85));
    let width = draw.range(0.22, 0.42);
    let hot = draw.range(560.0, 645.0);
    let smoke = draw.range(0.08, 0.3);
    let hearth = draw.index(3);
    let glow = 0.32 + 0.08 * smooth(cue.seed, cue.since_s * 7.0);
    brush.ellipse(
        0.0,
        0.35,
        [width * 2.4, 0.8],
        Look::light([1.0, 0.5, 0.12], glow).soft(0.16),
    );
    brush.ellipse(
        0.0,
        -0.02,
        [width * 2.2, 0.16],
        Look::light([1.0, 0.55, 0.2], glow).soft(0.06),
    );
    for puff in 0..5u64 {
        let rise = (cue.since_s * 0.35 + puff as f64 / 5.0).fract() as f32;
        let x = width * 0.6 * smooth(cue.seed ^ puff, cue.since_s * 0.4) * (0.5 + rise);
        let grey = Look::new([0.38, 0.37, 0.37], cue.ambient + 30.0 * (1.0 - rise))
            .airy(smoke * (1.0 - rise))
            .soft(0.05);
        let r = 0.12 + 0.2 * rise;
        brush.ellipse(x, 0.65 + 0.7 * rise, [r, r], grey);
    }
    let log = Look::rounded([0.25, 0.15, 0.09], 430.0);
    let ember = Look::new([1.0, 0.35, 0.08], hot).glowing();
    match hearth {
        0 => {
            // A ring of stones.
            for stone in 0..7 {
                let x = (stone as f32 - 3.0) * width * 0.4;
                let grey = Look::rounded(draw.near([0.45, 0.44, 0.43], 0.08), 340.0);
                brush.ellipse(
                    x,
                    0.02 - 0.03 * (1.0 - (stone as f32 - 3.0).abs() / 3.0),
                    [width * 0.22, 0.06],
                    grey,
                );
            }
        }
        1 => {
            // A fire bowl.
            let iron = Look::rounded([0.17, 0.16, 0.16], 390.0);
            brush.ellipse(0.0, 0.06, [width * 1.25, 0.11], iron);
        }
        _ => {}
    }
    for (from, to) in [
        ([-1.0, 0.0], [0.8, 0.16]),
        ([1.0, 0.0], [-0.8, 0.17]),
        ([-0.5, 0.1], [0.9, 0.05]),
    ] {
        let scaled = |p: Point| [p[0] * width, p[1] + 0.03];
        brush.limb(scaled(from), scaled(to), 0.05, log);
    }
    brush.ellipse(0.0, 0.1, [width * 0.6, 0.05], ember);
    // Tongues, from the outer red ones to the inner pale ones.
    let layers: [(Rgb, f32, f32, f32); 3] = [
        ([0.93, 0.26, 0.05], 1.0, 0.88, -40.0),
        ([1.0, 0.58, 0.08], 0.72, 0.95, 0.0),
        ([1.0, 0.92, 0.5], 0.42, 0.95, 5.0),
    ];
    for (layer, (rgb, size, alpha, warmer)) in layers.into_iter().enumerate() {
        let flame = Look::new(rgb, hot + warmer).airy(alpha).soft(0.012).glowing();
        for tongue in 0..7u64 {
            let seed = mix(cue.seed, tongue + 10 * layer as u64);
            let x = (tongue as f32 / 3.0 - 1.0) * width * 0.8 * size;
            let centred = 1.0 - (x / width).abs() * 0.65;
            let tall = size * centred * (0.55 + 0.32 * smooth(seed, cue.since_s * 6.0));
            let lean = 0.09 * smooth(seed ^ 5, cue.since_s * 4.0);
            let base = 0.07 * size.max(0.5);
            brush.limb(
                [x, base + 0.06],
                [x + lean * 0.3, base + tall * 0.35],
                0.075 * size + 0.02,
                flame,
            );
            brush.triangle(
                [x - 0.085 * size - 0.01, base + tall * 0.35],
                [x + 0.085 * size + 0.01, base + tall * 0.35],
                [x + lean, base + tall],
                flame,
            );
        }
    }
    for spark in 0..10u64 {
        let rise = (cue.since_s * f64::from(0.5 + unit_at(cue.seed, spark)) + f64::from(unit_at(cue.seed, spark + 50)))
            .fract() as f32;
        let x = (unit_at(cue.seed, spark + 90) - 0.5) * width * 2.0 * (0.5 + rise);
        brush.ellipse(x, 0.3 + rise, [0.009, 0.009], Look::light([1.0, 0.75, 0.3], 1.0 - rise));
    }
}

pub(crate) fn rain(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let optics = cue.stage.optics;
    let wet_kelvin = cue.ambient - draw.range(9.0, 12.0);
    let gloom = draw.range(0.35, 0.6);
    // Low cloud over everything, mist, and wet ground with a cold shine.
    let cloud = Look::new([0.5, 0.54, 0.6], wet_kelvin).airy(gloom).soft(0.1);
    patches.push(cloud.patch(
        Shape::Band {
            top: -9.0,
            bottom: optics.horizon,
        },
        Range::Nothing,
    ));
    let wet = Look::new([0.42, 0.47, 0.53], wet_kelvin).airy(gloom);
    patches.push(wet.patch(
        Shape::Band {
            top: optics.horizon,
            bottom: 9.0,
        },
        Range::Ground,
    ));
    for puddle in 0..draw.index(4) + 2 {
        let y = draw.range(0.66, 0.96);
        let (x, r) = (draw.range(0.0, 1.33), draw.range(0.08, 0.22));
        let shine = Look::new([0.68, 0.74, 0.8], wet_kelvin - 1.5).airy(0.75).soft(0.01);
        patches.push(shine.patch(
            Shape::Ellipse {
                centre: [x, y],
                radii: [r, r * 0.22],
                turns: 0.0,
            },
            Range::Ground,
        ));
        for drop in 0..3u64 {
            let seed = mix(cue.seed, puddle as u64 * 8 + drop);
            let age = (cue.since_s * 1.9 + f64::from(unit_at(seed, 0))).fract() as f32;
            let centre = [x + (unit_at(seed, 1) - 0.5) * r * 1.5, y];
            let ring = Look::light([0.95, 0.97, 1.0], 0.8 * (1.0 - age));
            patches.push(ring.patch(
                Shape::Ring {
                    centre,
                    radius: 0.04 * age,
                    width: 0.006,
                },
                Range::Ground,
            ));
        }
    }
    let slant = draw.range(-0.12, 0.12);
    let count = 90 + draw.index(80) as u64;
    for streak in 0..count {
        let near = unit_at(cue.seed, streak);
        let speed = 1.6 + 2.2 * near;
        let fallen = cue.since_s * f64::from(speed) + f64::from(unit_at(cue.seed, streak + 1000)) * 3.0;
        let round = fallen.floor() as u64;
        let y = fallen.fract() as f32 * 1.3 - 0.2;
        let x = unit_at(cue.seed ^ round, streak + 2000) * 1.5 - 0.08;
        let long = 0.05 + 0.11 * near;
        let water = Look::new([0.88, 0.92, 0.97], wet_kelvin - 2.5)
            .airy(0.35 + 0.35 * near)
            .glowing();
        let to = [x + slant * long, y + long];
        patches.push(water.patch(
            Shape::Capsule {
                from: [x, y],
                to,
                radius: 0.0015 + 0.002 * near,
            },
            Range::Nothing,
        ));
    }
    if draw.chance(0.35) {
        umbrella(cue, &mut draw, patches);
    }
}

fn umbrella(cue: &Cue<'_>, draw: &mut Draw, patches: &mut Vec<Patch>) {
    let rgb = [draw.range(0.2, 0.9), draw.range(0.05, 0.5), draw.range(0.1, 0.7)];
    let mut brush = Brush::standing(patches, draw, &cue.stage.optics, 1.9, (0.45, 0.7));
    let cloth = Look::rounded(rgb, cue.ambient - 9.0);
    brush.limb(
        [0.0, 0.3],
        [0.0, 1.7],
        0.02,
        Look::new([0.2, 0.2, 0.2], cue.ambient - 8.0),
    );
    for rib in -2..=2 {
        let x = rib as f32 * 0.22;
        brush.triangle([x - 0.13, 1.4], [x + 0.13, 1.4], [0.0, 1.85], cloth);
        brush.ellipse(
            x,
            1.42,
            [0.12, 0.05],
            Look::rounded(shade(rgb, 0.85), cue.ambient - 9.0),
        );
    }
}

pub(crate) fn sea(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let horizon = draw.range(0.26, 0.42);
    let shore = draw.range(0.7, 0.86);
    let cool = cue.ambient - 4.0;
    let skies: [(Rgb, Rgb); 3] = [
        ([0.3, 0.58, 0.93], [0.8, 0.9, 0.98]),
        ([0.6, 0.66, 0.73], [0.85, 0.87, 0.88]),
        ([0.55, 0.42, 0.6], [1.0, 0.72, 0.45]),
    ];
    let (top, low) = draw.pick(skies);
    let sky = Look::new(top, cool - 18.0).painted(Paint::Vertical(top, low));
    patches.push(sky.patch(
        Shape::Band {
            top: -9.0,
            bottom: horizon + 0.01,
        },
        Range::Nothing,
    ));
    if draw.chance(0.5) {
        let centre = [draw.range(0.2, 1.1), horizon - draw.range(0.06, 0.16)];
        patches.push(Look::light([1.0, 0.93, 0.7], 1.0).soft(0.02).patch(
            Shape::Ellipse {
                centre,
                radii: [0.045, 0.045],
                turns: 0.0,
            },
            Range::Nothing,
        ));
    }
    let deep = draw.pick([[0.05, 0.27, 0.45], [0.08, 0.38, 0.45], [0.2, 0.33, 0.4]]);
    let sand = draw.pick([[0.86, 0.76, 0.56], [0.74, 0.66, 0.52], [0.55, 0.5, 0.45]]);
    let beach = Look::new(sand, cue.ambient + 3.0).painted(Paint::Vertical(shade(sand, 0.8), sand));
    patches.push(beach.patch(
        Shape::Band {
            top: shore - 0.1,
            bottom: 9.0,
        },
        Range::Ground,
    ));
    let water = Look::new(deep, cool).painted(Paint::Vertical(deep, tint(deep, [0.35, 0.7, 0.72], 0.6)));
    let wash = 0.035 * sin_turns(cue.since_s * 0.16);
    patches.push(water.patch(
        Shape::Band {
            top: horizon,
            bottom: shore + wash,
        },
        Range::Nothing,
    ));
    // Rows of waves roll towards the shore and grow; the last one breaks into foam.
    let rows = 7;
    for row in 0..rows {
        let rolled = (cue.since_s * 0.1 + row as f64 / rows as f64).fract() as f32;
        let y = blend(horizon + 0.015, shore + wash, rolled * rolled);
        let grown = 0.012 + 0.06 * rolled * rolled;
        let crest = Look::new(tint(deep, [0.75, 0.92, 0.95], 0.35 + 0.25 * rolled), cool);
        let trough = Look::new(shade(deep, 0.72), cool);
        for part in 0..7u64 {
            let seed = mix(cue.seed, row as u64 * 16 + part);
            let x = part as f32 * 0.23 + 0.1 * unit_at(seed, 0) - 0.05;
            let dy = grown * 0.5 * sin_turns(f64::from(x) * 0.9 + row as f64 * 0.37);
            let r = 0.14 + 0.05 * unit_at(seed, 1);
            let hump = |drop: f32, tall: f32| Shape::Ellipse {
                centre: [x, y + dy + drop],
                radii: [r, tall],
                turns: 0.0,
            };
            patches.push(trough.patch(hump(grown * 0.5, grown * 0.7), Range::Nothing));
            patches.push(crest.patch(hump(0.0, grown * 0.55), Range::Nothing));
            if rolled > 0.45 {
                let foam = Look::new([0.97, 0.98, 0.99], cool + 0.5)
                    .airy((rolled - 0.45) * 2.2)
                    .soft(0.006);
                for bubble in 0..4u64 {
                    let bx = x + (unit_at(seed, 10 + bubble) - 0.5) * 0.24;
                    let by = y + dy + (unit_at(seed, 20 + bubble) - 0.6) * grown;
                    let tall = grown * (0.2 + 0.25 * unit_at(seed, 30 + bubble));
                    patches.push(foam.patch(
                        Shape::Ellipse {
                            centre: [bx, by],
                            radii: [tall * 2.6, tall],
                            turns: 0.0,
                        },
                        Range::Nothing,
                    ));
                }
            }
        }
    }
    for lace in 0..14u64 {
        let x = lace as f32 * 0.1;
        let y = shore + wash + 0.012 * smooth(cue.seed, f64::from(x) * 6.0 + cue.since_s * 0.4);
        let foam = Look::new([0.97, 0.97, 0.95], cool).airy(0.85).soft(0.008);
        patches.push(foam.patch(
            Shape::Ellipse {
                centre: [x, y],
                radii: [0.075, 0.012],
                turns: 0.0,
            },
            Range::Ground,
        ));
    }
    if draw.chance(0.4) {
        let (x, r) = (draw.range(0.1, 1.2), draw.range(0.05, 0.12));
        let rock = Look::rounded([0.3, 0.28, 0.27], cool + 2.0);
        patches.push(rock.patch(
            Shape::Ellipse {
                centre: [x, shore - 0.06],
                radii: [r * 1.3, r],
                turns: 0.02,
            },
            Range::Metres(6.0),
        ));
    }
}
