//! What stands in the scene while something happens: for every happening, its patches, its place and its movement.

mod animals;
mod carried;
mod household;
mod machines;
mod nature;
mod people;

pub(crate) use carried::{Shake, roll_turns};
pub(crate) use people::{fall, steps};

use crate::chance::{Beats, Draw};
use crate::patch::{Look, Optics, Patch, Point, Range, Shape, View};
use crate::stage::{Place, Stage};
use crate::{Happening, Occurrence, Timeline};

/// The scene at one moment, ready to be painted.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) patches: Vec<Patch>,
    pub(crate) view: View,
    pub(crate) optics: Optics,
    pub(crate) blur: Blur,
}

/// How movement of the device smears a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Blur {
    None,
    /// Copies beside each other, by these offsets in picture heights.
    Ghosts([Point; 6]),
    /// Away from the point the device moves to; `strength` is the part of the distance.
    Radial {
        centre: Point,
        strength: f32,
    },
}

/// One occurrence at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cue<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) seed: u64,
    /// Seconds since the occurrence began.
    pub(crate) since_s: f64,
    pub(crate) ambient: f32,
}

impl Cue<'_> {
    /// The draws of this occurrence's look: the same at every moment.
    pub(crate) fn draw(&self) -> Draw {
        Draw::new(self.seed, 20)
    }
}

/// The beat of a happening that repeats; sound, pictures and shocks share it.
pub(crate) fn beats(happening: Happening, seed: u64) -> Beats {
    let mut draw = Draw::new(seed, 21);
    let (shortest_s, longest_s, jitter) = match happening {
        Happening::Dog => (0.45, 0.9, 0.5),
        Happening::GlassBreaking => (0.9, 1.2, 0.35),
        Happening::PersonFalling => (1.25, 1.4, 0.2),
        Happening::DoorOpening => (1.3, 1.5, 0.15),
        Happening::Sneeze => (1.0, 1.25, 0.3),
        Happening::PersonWalking => (0.45, 0.65, 0.06),
        Happening::ClockTick => (0.4, 1.0, 0.0),
        Happening::BabyCry => (0.9, 1.3, 0.1),
        Happening::Rooster => (1.5, 1.8, 0.05),
        Happening::Shaken => (0.09, 0.2, 0.6),
        _ => (0.8, 1.2, 0.3),
    };
    Beats {
        seed,
        period_s: f64::from(draw.range(shortest_s, longest_s)),
        jitter,
    }
}

/// Where a happening wants to take place; `None` = wherever the sensors are.
fn place_of(occurrence: &Occurrence) -> Option<Place> {
    let mut draw = Draw::new(occurrence.seed, 22);
    let mut often = |place, probability| draw.chance(probability).then_some(place);
    match occurrence.happening {
        Happening::Driven => Some(Place::Road),
        Happening::SeaWaves => Some(Place::Beach),
        Happening::Rain => often(Place::Outdoors, 0.85),
        Happening::Siren | Happening::Helicopter => often(Place::Outdoors, 0.9),
        Happening::Chainsaw | Happening::Rooster => often(Place::Outdoors, 0.7),
        Happening::HotObject | Happening::BabyCry | Happening::ClockTick | Happening::DoorOpening => {
            often(Place::Room, 0.9)
        }
        _ => None,
    }
}

/// Puts together the scene at `t_s`.
pub(crate) fn compose(stage: &Stage, timeline: &Timeline, t_s: f64) -> Scene {
    let mut active: Vec<&Occurrence> = timeline.active(t_s).collect();
    let place = active
        .iter()
        .rev()
        .find_map(|occurrence| place_of(occurrence))
        .unwrap_or(stage.home);
    let mut scene = Scene {
        patches: Vec::with_capacity(256),
        view: View::STRAIGHT,
        optics: stage.optics,
        blur: Blur::None,
    };
    stage.backdrop(place, &mut scene.patches);
    // What fills the surroundings first, what is before the lens last.
    active.sort_by_key(|occurrence| layer(occurrence.happening));
    for occurrence in active {
        let cue = Cue {
            stage,
            seed: occurrence.seed,
            since_s: t_s - occurrence.start_s,
            ambient: stage.ambient_kelvin,
        };
        draw_happening(occurrence.happening, &cue, &mut scene);
    }
    scene
}

fn layer(happening: Happening) -> u8 {
    match happening {
        Happening::SeaWaves | Happening::Driven => 0,
        Happening::Helicopter | Happening::DoorOpening | Happening::ClockTick => 1,
        Happening::SomeoneClose | Happening::Sneeze => 3,
        Happening::Rain => 4,
        Happening::PickedUp | Happening::Shaken => 5,
        _ => 2,
    }
}

fn draw_happening(happening: Happening, cue: &Cue<'_>, scene: &mut Scene) {
    let patches = &mut scene.patches;
    match happening {
        Happening::Fire => nature::fire(cue, patches),
        Happening::Rain => nature::rain(cue, patches),
        Happening::SeaWaves => nature::sea(cue, patches),
        Happening::Dog => animals::dog(cue, patches),
        Happening::Rooster => animals::rooster(cue, patches),
        Happening::GlassBreaking => household::glass(cue, patches),
        Happening::HotObject => household::hot_object(cue, patches),
        Happening::DoorOpening => household::door(cue, patches),
        Happening::ClockTick => household::clock(cue, patches),
        Happening::Siren => machines::siren(cue, patches),
        Happening::Engine => machines::engine(cue, patches),
        Happening::Helicopter => machines::helicopter(cue, patches),
        Happening::Chainsaw => machines::chainsaw(cue, patches),
        Happening::PersonWalking => people::walking(cue, patches),
        Happening::PersonFalling => people::falling(cue, patches),
        Happening::SomeoneClose => people::close(cue, patches),
        Happening::Sneeze => people::sneezing(cue, patches),
        Happening::BabyCry => people::baby(cue, patches),
        Happening::Driven => carried::driven(cue, scene),
        Happening::PickedUp => carried::picked_up(cue, scene),
        Happening::Shaken => carried::shaken(cue, scene),
    }
}

/// Draws a body in its own metres (x to the right, y up from where it stands) into the picture.
pub(crate) struct Brush<'a> {
    patches: &'a mut Vec<Patch>,
    /// Where the body's origin lies in the picture.
    pub(crate) origin: Point,
    /// Picture heights for a metre.
    pub(crate) scale: f32,
    pub(crate) away_m: f32,
    /// -1 turns the body to face the other way.
    pub(crate) facing: f32,
    /// Leaning about the origin as (sine, cosine).
    pub(crate) lean: Point,
}

impl<'a> Brush<'a> {
    /// A body of `height_m` that takes up about `part` of the picture's height and stands on the ground (or, where the
    /// ground would lie below the picture, at its lower edge). Size and distance agree with the optics.
    pub(crate) fn standing(
        patches: &'a mut Vec<Patch>,
        draw: &mut Draw,
        optics: &Optics,
        height_m: f32,
        part: (f32, f32),
    ) -> Self {
        let part = draw.range(part.0, part.1);
        let scale = part / height_m;
        let away_m = optics.focal / scale;
        let lowest = draw.range(0.86, 0.97);
        let origin = [
            draw.range(0.33, 1.0),
            optics.ground_y(away_m).clamp(part + 0.02, lowest.max(part + 0.02)),
        ];
        Self {
            patches,
            origin,
            scale,
            away_m,
            facing: draw.side(),
            lean: [0.0, 1.0],
        }
    }

    /// A body whose middle lies at `origin`.
    pub(crate) fn floating(patches: &'a mut Vec<Patch>, optics: &Optics, origin: Point, away_m: f32) -> Self {
        Self {
            patches,
            origin,
            scale: optics.focal / away_m,
            away_m,
            facing: 1.0,
            lean: [0.0, 1.0],
        }
    }

    pub(crate) fn at(&self, x_m: f32, y_m: f32) -> Point {
        let x = x_m * self.facing;
        let (sin, cos) = (self.lean[0] * self.facing, self.lean[1]);
        [
            self.origin[0] + (x * cos + y_m * sin) * self.scale,
            self.origin[1] - (y_m * cos - x * sin) * self.scale,
        ]
    }

    pub(crate) fn put(&mut self, shape: Shape, look: Look) {
        self.patches.push(look.patch(shape, Range::Metres(self.away_m)));
    }

    pub(crate) fn ellipse(&mut self, x_m: f32, y_m: f32, radii_m: Point, look: Look) {
        self.tilted(x_m, y_m, radii_m, 0.0, look);
    }

    /// An ellipse turned by `turns` (upwards on the side the body faces).
    pub(crate) fn tilted(&mut self, x_m: f32, y_m: f32, radii_m: Point, turns: f32, look: Look) {
        // The lean as an angle is only needed for a quarter turn or none: ellipses follow by swapping radii in between.
        let leaning = self.lean[0].abs() > self.lean[1].abs();
        let radii = if leaning { [radii_m[1], radii_m[0]] } else { radii_m };
        let centre = self.at(x_m, y_m);
        let radii = [radii[0] * self.scale, radii[1] * self.scale];
        self.put(
            Shape::Ellipse {
                centre,
                radii,
                turns: -turns * self.facing,
            },
            look,
        );
    }

    pub(crate) fn limb(&mut self, from_m: Point, to_m: Point, radius_m: f32, look: Look) {
        let (from, to) = (self.at(from_m[0], from_m[1]), self.at(to_m[0], to_m[1]));
        self.put(
            Shape::Capsule {
                from,
                to,
                radius: radius_m * self.scale,
            },
            look,
        );
    }

    pub(crate) fn quad(&mut self, corners_m: [Point; 4], look: Look) {
        let corners = corners_m.map(|corner| self.at(corner[0], corner[1]));
        self.put(Shape::Quad(corners), look);
    }

    /// An upright box from (`left`, `low`) to (`right`, `high`).
    pub(crate) fn slab(&mut self, left: f32, low: f32, right: f32, high: f32, look: Look) {
        self.quad([[left, low], [right, low], [right, high], [left, high]], look);
    }

    pub(crate) fn triangle(&mut self, a: Point, b: Point, c: Point, look: Look) {
        self.quad([a, b, c, c], look);
    }

    pub(crate) fn ring(&mut self, x_m: f32, y_m: f32, radius_m: f32, width_m: f32, look: Look) {
        let centre = self.at(x_m, y_m);
        self.put(
            Shape::Ring {
                centre,
                radius: radius_m * self.scale,
                width: width_m * self.scale,
            },
            look,
        );
    }
}
