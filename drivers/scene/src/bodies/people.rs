//! People: walking, falling, close by, sneezing; and a baby.

use super::{Brush, Cue, beats};
use crate::Happening;
use crate::chance::{Beats, Draw, unit_at};
use crate::numeric::{blend, cos_turns, ramp, sin_turns};
use crate::patch::{Look, Patch, Rgb, shade, tint};

/// Kelvin of bare skin and of clothes over it.
const SKIN_KELVIN: f32 = 306.5;
const CLOTHES_KELVIN: f32 = 301.5;

/// When the feet of a walker touch the ground.
pub(crate) fn steps(seed: u64) -> Beats {
    beats(Happening::PersonWalking, seed)
}

/// How far a fall has come: part of the way to the floor, in [0, 1], `since_s` after it began. The body lands after
/// [`fall::LANDING_S`].
pub(crate) mod fall {
    /// From the first leaning to the body on the floor, seconds.
    pub(crate) const LANDING_S: f64 = 0.45;

    pub(crate) fn part(since_s: f64) -> f32 {
        let part = (since_s / LANDING_S).clamp(0.0, 1.0) as f32;
        part * part
    }
}

#[derive(Debug, Clone, Copy)]
struct Person {
    skin: Look,
    hair: Look,
    top: Look,
    legs: Look,
    shoes: Look,
    long_hair: bool,
}

impl Person {
    fn new(draw: &mut Draw) -> Self {
        let skin = draw.pick([
            [0.95, 0.78, 0.66],
            [0.85, 0.64, 0.48],
            [0.62, 0.43, 0.31],
            [0.4, 0.27, 0.2],
        ]);
        let hair = draw.pick([
            [0.12, 0.1, 0.09],
            [0.35, 0.22, 0.12],
            [0.75, 0.6, 0.3],
            [0.6, 0.6, 0.6],
            [0.5, 0.2, 0.1],
        ]);
        let mut cloth = || -> Rgb { [draw.range(0.1, 0.9), draw.range(0.1, 0.9), draw.range(0.1, 0.9)] };
        let top = cloth();
        let legs = tint(cloth(), [0.2, 0.22, 0.3], 0.6);
        Self {
            skin: Look::rounded(skin, SKIN_KELVIN + draw.range(-0.8, 0.8)),
            hair: Look::rounded(hair, CLOTHES_KELVIN),
            top: Look::rounded(top, CLOTHES_KELVIN + draw.range(-1.5, 1.0)),
            legs: Look::rounded(legs, CLOTHES_KELVIN - 1.0),
            shoes: Look::new([0.12, 0.1, 0.1], CLOTHES_KELVIN - 4.0),
            long_hair: draw.chance(0.45),
        }
    }

    /// The whole figure, 1.75 m tall. `swing` moves the legs (-1..1), `fling` throws the arms up (0..1).
    fn figure(&self, brush: &mut Brush<'_>, swing: f32, fling: f32) {
        let hip = [0.0, 0.88];
        for (side, look) in [(-1.0, self.legs), (1.0, self.legs)] {
            let foot = [swing * side * 0.32, 0.06 + (swing * side).max(0.0) * 0.05];
            let knee = [foot[0] * 0.45 + 0.06, 0.46];
            brush.limb([hip[0] + side * 0.06, hip[1]], knee, 0.085, look);
            brush.limb(knee, foot, 0.065, look);
            brush.limb(foot, [foot[0] + 0.13, 0.045], 0.045, self.shoes);
        }
        let hand = |side: f32| {
            [
                blend(-swing * side * 0.35 + side * 0.12, side * 0.55 + 0.1, fling),
                blend(0.86, 1.75, fling),
            ]
        };
        let elbow = |side: f32| {
            [
                blend(-swing * side * 0.15 + side * 0.16, side * 0.4, fling),
                blend(1.1, 1.45, fling),
            ]
        };
        let arm = |brush: &mut Brush<'_>, side: f32| {
            brush.limb([side * 0.15, 1.38], elbow(side), 0.055, self.top);
            brush.limb(elbow(side), hand(side), 0.045, self.top);
            brush.ellipse(hand(side)[0], hand(side)[1], [0.055, 0.055], self.skin);
        };
        arm(brush, -1.0);
        brush.limb([0.0, 0.95], [0.0, 1.32], 0.18, self.top);
        brush.limb([0.0, 1.42], [0.01, 1.52], 0.055, self.skin);
        if self.long_hair {
            brush.ellipse(-0.05, 1.53, [0.11, 0.19], self.hair);
        }
        brush.ellipse(0.02, 1.62, [0.1, 0.13], self.skin);
        brush.ellipse(-0.01, 1.69, [0.105, 0.075], self.hair);
        arm(brush, 1.0);
    }
}

pub(crate) fn walking(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let person = Person::new(&mut draw);
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 1.75, (0.42, 0.85));
    let steps = steps(cue.seed);
    let (step, since_s) = steps.last(cue.since_s);
    let part = (since_s / steps.period_s).min(1.0);
    let swing = cos_turns(part / 2.0 + if step % 2 == 0 { 0.0 } else { 0.5 });
    // Back and forth across the picture.
    let path = sin_turns(cue.since_s * 0.09 + f64::from(draw.unit()));
    let ahead = cos_turns(cue.since_s * 0.09 + f64::from(unit_at(cue.seed, 1)));
    brush.origin[0] = 0.667 + path * draw.range(0.15, 0.42);
    brush.facing = if ahead > 0.0 { 1.0 } else { -1.0 };
    brush.origin[1] -= 0.02 * brush.scale * (1.0 - swing.abs());
    person.figure(&mut brush, swing, 0.0);
}

pub(crate) fn falling(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let person = Person::new(&mut draw);
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 1.75, (0.5, 0.95));
    let (_, since_s) = beats(Happening::PersonFalling, cue.seed).last(cue.since_s);
    let part = fall::part(since_s);
    // From well off balance to flat on the floor, away from the nearer edge of the picture.
    let turns = blend(0.11, 0.245, part);
    brush.facing = if brush.origin[0] < 0.667 { 1.0 } else { -1.0 };
    brush.origin[0] = 0.667 - brush.facing * brush.scale * 0.8 + (brush.origin[0] - 0.667) * 0.4;
    brush.lean = [sin_turns(f64::from(turns)), cos_turns(f64::from(turns))];
    brush.origin[1] -= 0.16 * part * brush.scale;
    let shadow = Look::light([0.05, 0.05, 0.06], 0.35).soft(0.03);
    brush.lean = [0.0, 1.0];
    brush.ellipse(0.85, -0.12, [0.95, 0.1], shadow);
    brush.lean = [sin_turns(f64::from(turns)), cos_turns(f64::from(turns))];
    person.figure(&mut brush, 0.55, 0.55 + 0.3 * part);
}

/// A head with shoulders, 0.6 m tall, its chin at 0.28 m. `mouth` opens it (0..1), `eyes` opens those (0..1).
fn bust(brush: &mut Brush<'_>, person: &Person, mouth: f32, eyes: f32) {
    brush.limb([-0.17, 0.02], [0.17, 0.02], 0.13, person.top);
    brush.slab(-0.3, -0.6, 0.3, 0.02, person.top);
    brush.limb([0.0, 0.1], [0.0, 0.26], 0.06, person.skin);
    if person.long_hair {
        brush.ellipse(0.0, 0.36, [0.135, 0.23], person.hair);
    }
    brush.ellipse(0.0, 0.4, [0.098, 0.13], person.skin);
    for side in [-1.0, 1.0] {
        brush.ellipse(side * 0.1, 0.39, [0.016, 0.03], person.skin);
    }
    brush.ellipse(0.0, 0.505, [0.105, 0.05], person.hair);
    let white = Look::new([0.96, 0.96, 0.95], SKIN_KELVIN);
    let dark = Look::new([0.1, 0.08, 0.08], SKIN_KELVIN + 0.5);
    for side in [-1.0, 1.0] {
        let x = side * 0.04;
        brush.limb([x - 0.02, 0.452], [x + 0.02, 0.452], 0.005, person.hair);
        if eyes > 0.3 {
            brush.ellipse(x, 0.425, [0.02, 0.012 * eyes], white);
            brush.ellipse(x, 0.425, [0.009, 0.011 * eyes], dark);
        } else {
            brush.limb([x - 0.02, 0.425], [x + 0.02, 0.42], 0.004, dark);
        }
    }
    let nose = Look {
        kelvin: Some(SKIN_KELVIN - 3.0),
        ..person.skin
    };
    brush.triangle([-0.016, 0.375], [0.016, 0.375], [0.0, 0.425], nose);
    let lips = Look::new([0.7, 0.3, 0.28], SKIN_KELVIN + 1.0);
    brush.ellipse(0.0, 0.335, [0.036, 0.008 + 0.024 * mouth], lips);
    if mouth > 0.25 {
        brush.ellipse(0.0, 0.335, [0.026, 0.02 * mouth], dark);
    }
}

pub(crate) fn close(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let person = Person::new(&mut draw);
    let away_m = draw.range(0.3, 0.48);
    let sway = sin_turns(cue.since_s * 0.3 + f64::from(draw.unit())) * 0.03;
    let x = draw.range(0.5, 0.84) + sway;
    let mut brush = Brush::floating(patches, &cue.stage.optics, [x, 0.0], away_m);
    // Eyes a little above the middle of the picture.
    brush.origin[1] = draw.range(0.38, 0.56) + 0.42 * brush.scale + sway * 0.5;
    let talk = 0.5 + 0.5 * sin_turns(cue.since_s * 3.7 + f64::from(draw.unit()));
    bust(&mut brush, &person, talk, 1.0);
}

pub(crate) fn sneezing(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let person = Person::new(&mut draw);
    let away_m = draw.range(0.75, 1.15);
    let x = draw.range(0.4, 0.75);
    let (beat, since_s) = beats(Happening::Sneeze, cue.seed).last(cue.since_s);
    let since = since_s as f32;
    let jerk = 1.0 - ramp(0.0, 0.35, since);
    let mut brush = Brush::floating(patches, &cue.stage.optics, [x, 0.0], away_m);
    brush.facing = draw.side();
    if brush.facing < 0.0 {
        brush.origin[0] = 1.333 - brush.origin[0];
    }
    brush.origin[1] = draw.range(0.42, 0.55) + 0.35 * brush.scale + 0.03 * jerk;
    bust(&mut brush, &person, 0.3 + 0.7 * jerk, 0.0);
    let red = Look::light([0.85, 0.25, 0.22], 0.55).soft(0.01);
    brush.ellipse(0.0, 0.385, [0.024, 0.026], red);
    // A tissue in the hand before mouth and nose, crumpled.
    let paper = Look::new([0.97, 0.97, 0.98], 299.0);
    let low = 0.1 * jerk;
    brush.limb([0.3, -0.25], [0.1, 0.24 - low], 0.05, person.top);
    brush.quad(
        [
            [-0.06, 0.25 - low],
            [0.09, 0.24 - low],
            [0.075, 0.37 - low],
            [-0.045, 0.385 - low],
        ],
        paper,
    );
    brush.triangle([-0.06, 0.25 - low], [0.0, 0.2 - low], [0.06, 0.25 - low], paper);
    for finger in 0..4 {
        let y = 0.27 + 0.028 * finger as f32 - low;
        brush.limb([0.1, y], [0.035, y + 0.012], 0.014, person.skin);
    }
    // Droplets fly from the mouth after the sneeze, in a cone to the side faced.
    let spray = Look::new([0.8, 0.92, 1.0], cue.ambient + 4.0).airy(0.85).unheated();
    let reach = 0.12 + 0.5 * ramp(0.0, 0.5, since);
    let fading = 1.0 - 0.6 * ramp(0.3, 1.0, since);
    for drop in 0..46u64 {
        let (u, v) = (
            unit_at(cue.seed ^ beat as u64, drop),
            unit_at(cue.seed ^ beat as u64, drop + 100),
        );
        let out = (0.15 + 0.85 * u) * reach;
        let radius = 0.004 + 0.006 * unit_at(cue.seed, drop + 200);
        let (x, y) = (0.06 + out, 0.33 + (v - 0.55) * out * 0.9);
        brush.ellipse(x, y, [radius, radius], spray.airy(0.85 * fading));
    }
}

pub(crate) fn baby(cue: &Cue<'_>, patches: &mut Vec<Patch>) {
    let mut draw = cue.draw();
    let person = Person::new(&mut draw);
    let wood = draw.pick([[0.93, 0.92, 0.9], [0.72, 0.52, 0.33], [0.5, 0.34, 0.22]]);
    let cloth = draw.pick([
        [0.95, 0.75, 0.8],
        [0.7, 0.85, 0.97],
        [0.97, 0.93, 0.7],
        [0.75, 0.93, 0.78],
    ]);
    let mut brush = Brush::standing(patches, &mut draw, &cue.stage.optics, 1.0, (0.62, 0.9));
    brush.origin[0] = draw.range(0.5, 0.84);
    let warm = cue.ambient;
    let bar = Look::rounded(wood, warm);
    let sheet = Look::rounded([0.94, 0.94, 0.96], warm + 2.0);
    let crying = beats(Happening::BabyCry, cue.seed).last(cue.since_s).1 as f32;
    let mouth = 0.45 + 0.55 * (1.0 - ramp(0.55, 0.9, crying));
    let wave = sin_turns(cue.since_s * 2.3) * 0.05;
    // The far side of the crib, the mattress, the baby, the near side.
    for post in 0..9 {
        let x = -0.56 + 0.14 * post as f32;
        brush.slab(x, 0.3, x + 0.025, 0.95, bar);
    }
    brush.slab(-0.6, 0.93, 0.6, 1.0, bar);
    brush.slab(-0.6, 0.25, 0.6, 0.4, sheet);
    let blanket = Look::rounded(cloth, CLOTHES_KELVIN);
    brush.ellipse(0.12, 0.42, [0.4, 0.2], blanket);
    for side in [-1.0, 1.0] {
        let hand = [-0.1 + side * 0.26, 0.72 + wave * side];
        brush.limb([-0.1 + side * 0.12, 0.48], hand, 0.055, blanket);
        brush.ellipse(hand[0], hand[1], [0.055, 0.055], person.skin);
    }
    let flushed = Look {
        kelvin: Some(308.5),
        ..Look::rounded(tint([0.95, 0.55, 0.5], [0.75, 0.45, 0.35], draw.unit()), 308.5)
    };
    brush.ellipse(-0.1, 0.62, [0.2, 0.19], flushed);
    brush.ellipse(-0.1, 0.79, [0.09, 0.03], person.hair);
    let dark = Look::new([0.35, 0.05, 0.07], 310.0);
    for side in [-1.0, 1.0] {
        brush.limb([-0.1 + side * 0.1, 0.68], [-0.1 + side * 0.05, 0.66], 0.009, dark);
        let tear = Look::new([0.7, 0.88, 1.0], 305.0);
        brush.ellipse(-0.1 + side * 0.1, 0.62 - 0.04 * crying.min(1.0), [0.014, 0.025], tear);
    }
    brush.ellipse(-0.1, 0.55, [0.075, 0.075 * mouth], dark);
    brush.ellipse(-0.1, 0.53, [0.04, 0.03 * mouth], Look::new([0.9, 0.45, 0.45], 310.0));
    let near = Look::rounded(shade(wood, 0.92), warm);
    for post in 0..5 {
        let x = -0.6 + 0.28 * post as f32;
        brush.slab(x, 0.0, x + 0.03, 0.5, near);
    }
    brush.slab(-0.63, 0.46, 0.63, 0.52, near);
    brush.slab(-0.63, 0.08, 0.63, 0.14, near);
}
