//! The surroundings, drawn once from the world's seed: rooms and open land, light, warmth, the sensors' own faults.

use crate::chance::Draw;
use crate::patch::{Look, Optics, Paint, Patch, Range, Rgb, Shape, shade, tint};

/// Where the sensors stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Room,
    Outdoors,
    Road,
    Beach,
}

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) seed: u64,
    /// Where the sensors stand when no happening asks for another place.
    pub(crate) home: Place,
    pub(crate) optics: Optics,
    /// Light on surfaces that do not glow, 1 = bright day.
    pub(crate) light: f32,
    /// The light's tint, one gain for each channel.
    pub(crate) cast: Rgb,
    pub(crate) ambient_kelvin: f32,
    /// Distance to the back wall of the room.
    pub(crate) wall_m: f32,
    /// Standard deviation of the camera's noise, full scale 1.
    pub(crate) camera_noise: f32,
    /// Standard deviation of the thermal camera's noise in kelvin.
    pub(crate) thermal_noise_kelvin: f32,
    /// Part of the depth pixels that come back empty.
    pub(crate) depth_dropout: f32,
    /// Loudness of the background, full scale 1.
    pub(crate) background_level: f32,
}

impl Stage {
    pub(crate) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 10);
        let home = if draw.chance(0.6) { Place::Room } else { Place::Outdoors };
        let dim = draw.chance(0.2);
        let warm = draw.range(-0.1, 0.1);
        Self {
            seed,
            home,
            optics: Optics {
                horizon: draw.range(0.36, 0.5),
                height_m: draw.range(0.7, 1.6),
                focal: draw.range(0.85, 1.15),
            },
            light: if dim {
                draw.range(0.35, 0.6)
            } else {
                draw.range(0.7, 1.1)
            },
            cast: [1.0 + warm, 1.0, 1.0 - warm],
            ambient_kelvin: draw.range(286.0, 299.0),
            wall_m: draw.range(3.2, 6.0),
            camera_noise: draw.range(0.008, 0.04),
            thermal_noise_kelvin: draw.range(0.03, 0.12),
            depth_dropout: draw.range(0.004, 0.04),
            background_level: 0.002 * (1.0 + 9.0 * draw.unit() * draw.unit()),
        }
    }

    /// Paints the surroundings of `place` at `t_s`, far to near.
    pub(crate) fn backdrop(&self, place: Place, scene: &mut Vec<Patch>) {
        let mut draw = Draw::new(self.seed, 11);
        match place {
            Place::Room => self.room(&mut draw, scene),
            Place::Outdoors => self.open_land(&mut draw, scene),
            // These are wholly painted by the happening that takes the sensors there.
            Place::Road | Place::Beach => {}
        }
    }

    fn room(&self, draw: &mut Draw, scene: &mut Vec<Patch>) {
        let warm = self.ambient_kelvin;
        let walls = [
            [0.86, 0.83, 0.76],
            [0.72, 0.79, 0.84],
            [0.76, 0.82, 0.72],
            [0.84, 0.74, 0.7],
            [0.6, 0.62, 0.66],
            [0.93, 0.93, 0.92],
        ];
        let wall = draw.pick(walls);
        let wall = draw.near(wall, 0.06);
        let floors = [
            [0.5, 0.36, 0.24],
            [0.62, 0.6, 0.56],
            [0.36, 0.3, 0.28],
            [0.7, 0.62, 0.5],
            [0.45, 0.47, 0.5],
        ];
        let floor = draw.pick(floors);
        let floor = draw.near(floor, 0.06);
        let foot = self.optics.ground_y(self.wall_m);
        let paint = Paint::Vertical(shade(wall, 1.06), shade(wall, 0.88));
        scene.push(Look::new(wall, warm + draw.range(-1.0, 1.0)).painted(paint).patch(
            Shape::Band {
                top: -9.0,
                bottom: foot,
            },
            Range::Metres(self.wall_m),
        ));
        let tile_m = draw.range(0.3, 0.9);
        let contrast = draw.range(0.8, 0.98);
        let ground = Look::new(floor, warm - 0.6).painted(Paint::Tiles(floor, shade(floor, contrast), tile_m));
        scene.push(ground.patch(Shape::Band { top: foot, bottom: 9.0 }, Range::Ground));
        let board = Look::new(shade(wall, 0.6), warm);
        scene.push(board.patch(
            Shape::Band {
                top: foot - 0.016,
                bottom: foot,
            },
            Range::Metres(self.wall_m),
        ));
        if draw.chance(0.5) {
            self.window(draw, scene);
        }
        for _ in 0..draw.index(4) {
            self.furniture(draw, scene);
        }
    }

    fn window(&self, draw: &mut Draw, scene: &mut Vec<Patch>) {
        let (x, y) = (draw.range(0.1, 1.2), draw.range(0.05, 0.22));
        let (half, tall) = (draw.range(0.07, 0.13), draw.range(0.12, 0.2));
        let sky = draw.pick([[0.75, 0.87, 0.98], [0.9, 0.92, 0.95], [0.2, 0.24, 0.36]]);
        let at = Range::Metres(self.wall_m);
        let frame = Look::new([0.92, 0.91, 0.88], self.ambient_kelvin);
        scene.push(frame.patch(rectangle(x, y + tall / 2.0, half + 0.012, tall / 2.0 + 0.012), at));
        let pane = Look::new(sky, self.ambient_kelvin - 3.0).glowing();
        scene.push(pane.patch(rectangle(x, y + tall / 2.0, half, tall / 2.0), at));
        scene.push(frame.patch(rectangle(x, y + tall / 2.0, 0.005, tall / 2.0), at));
    }

    fn furniture(&self, draw: &mut Draw, scene: &mut Vec<Patch>) {
        let away_m = draw.range(0.75, 0.98) * self.wall_m;
        let scale = self.optics.focal / away_m;
        let base = self.optics.ground_y(away_m);
        let x = draw.range(0.0, 1.33);
        let colours = [
            [0.45, 0.3, 0.2],
            [0.25, 0.32, 0.42],
            [0.55, 0.5, 0.42],
            [0.4, 0.22, 0.22],
            [0.3, 0.4, 0.32],
            [0.8, 0.78, 0.74],
        ];
        let colour = draw.pick(colours);
        let look = Look::rounded(draw.near(colour, 0.08), self.ambient_kelvin + draw.range(-0.8, 0.8));
        let at = Range::Metres(away_m);
        match draw.index(5) {
            0 => {
                // A shelf with books.
                let (half, tall) = (0.45 * scale, draw.range(1.2, 1.9) * scale);
                scene.push(look.patch(rectangle(x, base - tall / 2.0, half, tall / 2.0), at));
                for row in 0..3 {
                    let y = base - tall * (0.2 + 0.28 * row as f32);
                    for book in 0..5 {
                        let rgb = [draw.unit(), draw.range(0.1, 0.7), draw.range(0.1, 0.7)];
                        let book_x = x + half * (book as f32 - 2.0) * 0.36;
                        scene.push(
                            Look::new(rgb, self.ambient_kelvin)
                                .patch(rectangle(book_x, y, half * 0.14, tall * 0.09), at),
                        );
                    }
                }
            }
            1 => {
                // A sofa.
                let unit = scale * 0.9;
                scene.push(look.patch(rectangle(x, base - 0.55 * unit, 0.8 * unit, 0.28 * unit), at));
                scene.push(look.patch(rectangle(x, base - 0.25 * unit, 0.85 * unit, 0.2 * unit), at));
                for side in [-1.0, 1.0] {
                    let arm = Shape::Ellipse {
                        centre: [x + side * 0.85 * unit, base - 0.35 * unit],
                        radii: [0.14 * unit, 0.3 * unit],
                        turns: 0.0,
                    };
                    scene.push(look.patch(arm, at));
                }
            }
            2 => {
                // A table.
                let tall = 0.75 * scale;
                let half = draw.range(0.4, 0.8) * scale;
                for side in [-0.9, 0.9] {
                    scene.push(look.patch(
                        rectangle(x + side * half, base - tall / 2.0, 0.03 * scale, tall / 2.0),
                        at,
                    ));
                }
                scene.push(look.patch(rectangle(x, base - tall, half, 0.035 * scale), at));
            }
            3 => {
                // A picture on the wall.
                let y = self.optics.horizon - draw.range(0.05, 0.2);
                let (half, tall) = (draw.range(0.05, 0.11), draw.range(0.05, 0.09));
                let wall = Range::Metres(self.wall_m);
                scene.push(look.patch(rectangle(x, y, half, tall), wall));
                let art = [draw.unit(), draw.unit(), draw.unit()];
                scene.push(
                    Look::new(tint(art, [0.7; 3], 0.4), self.ambient_kelvin)
                        .patch(rectangle(x, y, half * 0.8, tall * 0.75), wall),
                );
            }
            _ => {
                // A plant in a pot.
                scene.push(look.patch(rectangle(x, base - 0.15 * scale, 0.15 * scale, 0.15 * scale), at));
                for leaf in 0..6 {
                    let turns = (leaf as f32 - 2.5) * 0.07;
                    let centre = [x + turns * 1.2 * scale, base - (0.65 - turns.abs()) * scale];
                    let green = Look::rounded(draw.near([0.2, 0.45, 0.2], 0.08), self.ambient_kelvin - 0.5);
                    scene.push(green.patch(
                        Shape::Ellipse {
                            centre,
                            radii: [0.09 * scale, 0.33 * scale],
                            turns,
                        },
                        at,
                    ));
                }
            }
        }
    }

    fn open_land(&self, draw: &mut Draw, scene: &mut Vec<Patch>) {
        let cool = self.ambient_kelvin - 6.0;
        let horizon = self.optics.horizon;
        let skies: [(Rgb, Rgb); 3] = [
            ([0.35, 0.6, 0.92], [0.78, 0.88, 0.97]),
            ([0.62, 0.68, 0.75], [0.82, 0.84, 0.86]),
            ([0.45, 0.5, 0.7], [0.95, 0.75, 0.6]),
        ];
        let (top, low) = draw.pick(skies);
        let sky = Look::new(top, cool - 18.0).painted(Paint::Vertical(top, low));
        scene.push(sky.patch(
            Shape::Band {
                top: -9.0,
                bottom: horizon + 0.01,
            },
            Range::Nothing,
        ));
        let grounds = [
            [0.33, 0.5, 0.22],
            [0.45, 0.46, 0.47],
            [0.6, 0.52, 0.38],
            [0.38, 0.44, 0.3],
        ];
        let ground = draw.pick(grounds);
        let ground = draw.near(ground, 0.06);
        let land = Look::new(ground, cool).painted(Paint::Tiles(
            ground,
            shade(ground, draw.range(0.85, 0.97)),
            draw.range(0.5, 2.0),
        ));
        scene.push(land.patch(
            Shape::Band {
                top: horizon,
                bottom: 9.0,
            },
            Range::Ground,
        ));
        for _ in 0..draw.index(5) {
            let away_m = draw.range(9.0, 25.0);
            let (scale, base) = (self.optics.focal / away_m, self.optics.ground_y(away_m));
            let x = draw.range(-0.1, 1.43);
            let at = Range::Metres(away_m);
            if draw.chance(0.6) {
                // A tree.
                scene.push(
                    Look::new([0.34, 0.25, 0.17], cool + 1.0)
                        .patch(rectangle(x, base - 1.0 * scale, 0.22 * scale, 1.0 * scale), at),
                );
                let crown = Look::rounded(draw.near([0.2, 0.42, 0.18], 0.1), cool + 0.5);
                for (dx, dy, r) in [(0.0, 3.6, 1.7), (-1.0, 2.8, 1.3), (1.0, 2.9, 1.3)] {
                    let centre = [x + dx * scale, base - dy * scale];
                    scene.push(crown.patch(
                        Shape::Ellipse {
                            centre,
                            radii: [r * scale, r * scale],
                            turns: 0.0,
                        },
                        at,
                    ));
                }
            } else {
                // A house.
                let (half, tall) = (draw.range(2.5, 5.0) * scale, draw.range(1.5, 3.0) * scale);
                let front = draw.near([0.75, 0.66, 0.58], 0.15);
                scene.push(Look::rounded(front, cool + 2.0).patch(rectangle(x, base - tall, half, tall), at));
                let peak = [x, base - 2.0 * tall - 1.8 * scale];
                let roof = Shape::Quad([
                    [x - half * 1.1, base - 2.0 * tall],
                    peak,
                    peak,
                    [x + half * 1.1, base - 2.0 * tall],
                ]);
                scene.push(Look::new([0.5, 0.25, 0.2], cool + 2.0).patch(roof, at));
            }
        }
    }
}

/// An upright rectangle about its centre.
pub(crate) fn rectangle(x: f32, y: f32, half_width: f32, half_height: f32) -> Shape {
    Shape::Quad([
        [x - half_width, y - half_height],
        [x + half_width, y - half_height],
        [x + half_width, y + half_height],
        [x - half_width, y + half_height],
    ])
}
