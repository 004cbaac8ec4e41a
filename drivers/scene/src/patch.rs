//! The one description all three cameras paint: patches with a colour, a temperature and a distance.
//!
//! Picture coordinates: y runs from 0 (top) to 1 (bottom), x from 0 to width / height, so a circle is round.

use crate::Size;
use crate::numeric::{cos_turns, sin_turns};

/// A point of the picture.
pub(crate) type Point = [f32; 2];
/// A colour, each channel in [0, 1].
pub(crate) type Rgb = [f32; 3];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Ellipse {
        centre: Point,
        radii: Point,
        turns: f32,
    },
    /// A line with round ends.
    Capsule { from: Point, to: Point, radius: f32 },
    /// A convex quadrilateral, corners in order (a triangle repeats one).
    Quad([Point; 4]),
    Ring {
        centre: Point,
        radius: f32,
        width: f32,
    },
    /// All of the picture between two heights, however it is turned.
    Band { top: f32, bottom: f32 },
}

/// How the colour runs over a patch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Paint {
    Flat(Rgb),
    /// From the top of the shape to its bottom.
    Vertical(Rgb, Rgb),
    /// Squares of the ground of this size in metres, in two colours.
    Tiles(Rgb, Rgb, f32),
}

/// How far away a patch is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range {
    Metres(f32),
    /// On the ground plane.
    Ground,
    /// No echo comes back (sky, mirrors).
    Nothing,
}

/// One painted shape. A sense for which the value is `None` looks through it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patch {
    pub(crate) shape: Shape,
    pub(crate) paint: Option<Paint>,
    /// In [0, 1].
    pub(crate) alpha: f32,
    /// Width of the blurred edge, in picture heights.
    pub(crate) soft: f32,
    /// Shines by itself: not dimmed with the light of the surroundings.
    pub(crate) glows: bool,
    pub(crate) kelvin: Option<f32>,
    pub(crate) range: Option<Range>,
}

/// What a patch is made of; made into a patch by giving it a shape and a distance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) paint: Option<Paint>,
    pub(crate) alpha: f32,
    pub(crate) soft: f32,
    pub(crate) glows: bool,
    pub(crate) kelvin: Option<f32>,
    pub(crate) solid: bool,
}

impl Look {
    /// An opaque, solid surface.
    pub(crate) fn new(rgb: Rgb, kelvin: f32) -> Self {
        Self {
            paint: Some(Paint::Flat(rgb)),
            alpha: 1.0,
            soft: 0.0,
            glows: false,
            kelvin: Some(kelvin),
            solid: true,
        }
    }

    /// Lighter above than below.
    pub(crate) fn rounded(rgb: Rgb, kelvin: f32) -> Self {
        Self {
            paint: Some(Paint::Vertical(shade(rgb, 1.18), shade(rgb, 0.68))),
            ..Self::new(rgb, kelvin)
        }
    }

    /// Only the camera sees it.
    pub(crate) fn light(rgb: Rgb, alpha: f32) -> Self {
        Self {
            alpha,
            glows: true,
            kelvin: None,
            solid: false,
            ..Self::new(rgb, 0.0)
        }
    }

    /// Camera and thermal camera see it, an echo goes through.
    pub(crate) fn airy(self, alpha: f32) -> Self {
        Self {
            alpha,
            solid: false,
            ..self
        }
    }

    pub(crate) fn soft(self, soft: f32) -> Self {
        Self { soft, ..self }
    }

    pub(crate) fn glowing(self) -> Self {
        Self {
            glows: true,
            ..self
        }
    }

    pub(crate) fn painted(self, paint: Paint) -> Self {
        Self {
            paint: Some(paint),
            ..self
        }
    }

    pub(crate) fn unheated(self) -> Self {
        Self {
            kelvin: None,
            ..self
        }
    }

    pub(crate) fn patch(self, shape: Shape, range: Range) -> Patch {
        Patch {
            shape,
            paint: self.paint,
            alpha: self.alpha,
            soft: self.soft,
            glows: self.glows,
            kelvin: self.kelvin,
            range: self.solid.then_some(range),
        }
    }
}

/// `rgb` made darker (below 1) or lighter (above 1).
pub(crate) fn shade(rgb: Rgb, factor: f32) -> Rgb {
    rgb.map(|channel| (channel * factor).min(1.0))
}

/// `a` blended into `b`.
pub(crate) fn tint(a: Rgb, b: Rgb, part: f32) -> Rgb {
    [0, 1, 2].map(|channel| a[channel] + (b[channel] - a[channel]) * part)
}

/// The pinhole camera all three picture senses share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Optics {
    /// Height of the horizon in the picture.
    pub(crate) horizon: f32,
    /// Height of the camera above the ground in metres.
    pub(crate) height_m: f32,
    /// Focal length in picture heights.
    pub(crate) focal: f32,
}

impl Optics {
    /// Where the ground `distance_m` ahead lies in the picture.
    pub(crate) fn ground_y(&self, distance_m: f32) -> f32 {
        self.horizon + self.height_m * self.focal / distance_m
    }

    /// How far the ground is at picture height `y`.
    pub(crate) fn ground_m(&self, y: f32) -> f32 {
        self.height_m * self.focal / (y - self.horizon).max(1e-3)
    }
}

/// How the picture is turned, widened and moved against the scene.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) turns: f32,
    pub(crate) zoom: f32,
    pub(crate) shift: Point,
}

impl View {
    pub(crate) const STRAIGHT: View = View {
        turns: 0.0,
        zoom: 1.0,
        shift: [0.0, 0.0],
    };
}

/// The middle of a picture of the usual 4:3 shape.
const MIDDLE: Point = [2.0 / 3.0, 0.5];

/// Walks over every pixel a patch covers, in painting order: pixel index, cover in (0, 1], point of the scene, patch.
pub(crate) fn paint(
    patches: &[Patch],
    view: View,
    size: Size,
    mut put: impl FnMut(usize, f32, Point, &Patch),
) {
    if size.width == 0 || size.height == 0 {
        return;
    }
    let pixel = 1.0 / size.height as f32;
    let (sin, cos) = (
        sin_turns(f64::from(view.turns)),
        cos_turns(f64::from(view.turns)),
    );
    let left = MIDDLE[0] - 0.5 * size.width as f32 * pixel;
    for patch in patches {
        let edge = patch.soft + pixel / view.zoom;
        let Some(shape) = Outline::new(patch.shape) else {
            continue;
        };
        let (low, high) = shape.bounds(edge);
        // The corners of the box, carried into the picture.
        let (mut from, mut to) = ([f32::MAX; 2], [f32::MIN; 2]);
        for corner in [
            [low[0], low[1]],
            [high[0], low[1]],
            [low[0], high[1]],
            [high[0], high[1]],
        ] {
            let (x, y) = (corner[0] - MIDDLE[0], corner[1] - MIDDLE[1]);
            let at = [
                (x * cos - y * sin) * view.zoom + view.shift[0],
                (x * sin + y * cos) * view.zoom + view.shift[1],
            ];
            for axis in 0..2 {
                from[axis] = from[axis].min(at[axis] + MIDDLE[axis]);
                to[axis] = to[axis].max(at[axis] + MIDDLE[axis]);
            }
        }
        let columns = span(from[0] - left, to[0] - left, pixel, size.width);
        let rows = span(from[1], to[1], pixel, size.height);
        for row in rows {
            let y = ((row as f32 + 0.5) * pixel - MIDDLE[1] - view.shift[1]) / view.zoom;
            for column in columns.clone() {
                let x =
                    ((column as f32 + 0.5) * pixel + left - MIDDLE[0] - view.shift[0]) / view.zoom;
                let point = [x * cos + y * sin + MIDDLE[0], y * cos - x * sin + MIDDLE[1]];
                let cover = (0.5 - shape.distance(point) / edge).min(1.0);
                if cover > 0.0 {
                    put(row * size.width + column, cover, point, patch);
                }
            }
        }
    }
}

fn span(from: f32, to: f32, pixel: f32, count: usize) -> core::ops::Range<usize> {
    let first = (from / pixel).max(0.0) as usize;
    let last = ((to / pixel).max(-1.0) + 1.0) as usize;
    first.min(count)..last.min(count)
}

/// A shape prepared for asking distances.
enum Outline {
    Ellipse {
        centre: Point,
        inverse: Point,
        least: f32,
        reach: Point,
        sin: f32,
        cos: f32,
    },
    Capsule {
        from: Point,
        along: Point,
        inverse: f32,
        radius: f32,
    },
    Quad {
        corners: [Point; 4],
        normals: [Point; 4],
    },
    Ring {
        centre: Point,
        radius: f32,
        half: f32,
    },
    Band {
        top: f32,
        bottom: f32,
    },
}

impl Outline {
    fn new(shape: Shape) -> Option<Self> {
        Some(match shape {
            Shape::Ellipse {
                centre,
                radii,
                turns,
            } => {
                let (sin, cos) = (sin_turns(f64::from(turns)), cos_turns(f64::from(turns)));
                let (rx, ry) = (radii[0].max(1e-4), radii[1].max(1e-4));
                let reach = [
                    (rx * cos).abs() + (ry * sin).abs(),
                    (rx * sin).abs() + (ry * cos).abs(),
                ];
                Self::Ellipse {
                    centre,
                    inverse: [1.0 / rx, 1.0 / ry],
                    least: rx.min(ry),
                    reach,
                    sin,
                    cos,
                }
            }
            Shape::Capsule { from, to, radius } => {
                let along = [to[0] - from[0], to[1] - from[1]];
                let length = along[0] * along[0] + along[1] * along[1];
                Self::Capsule {
                    from,
                    along,
                    inverse: 1.0 / length.max(1e-9),
                    radius,
                }
            }
            Shape::Quad(corners) => {
                // Twice the area with its sign: tells which side of an edge is outside.
                let mut area = 0.0;
                for (i, a) in corners.iter().enumerate() {
                    let b = corners[(i + 1) % 4];
                    area += a[0] * b[1] - b[0] * a[1];
                }
                if area.abs() < 1e-9 {
                    return None;
                }
                let side = area.signum();
                let mut normals = [[0.0; 2]; 4];
                for (i, normal) in normals.iter_mut().enumerate() {
                    let (a, b) = (corners[i], corners[(i + 1) % 4]);
                    let (x, y) = (b[0] - a[0], b[1] - a[1]);
                    let length = (x * x + y * y).sqrt();
                    if length > 1e-6 {
                        *normal = [y / length * side, -x / length * side];
                    }
                }
                Self::Quad { corners, normals }
            }
            Shape::Ring {
                centre,
                radius,
                width,
            } => Self::Ring {
                centre,
                radius,
                half: width / 2.0,
            },
            Shape::Band { top, bottom } => Self::Band { top, bottom },
        })
    }

    /// Distance to the outline, negative inside; near the outline, in picture heights.
    fn distance(&self, point: Point) -> f32 {
        match *self {
            Self::Ellipse {
                centre,
                inverse,
                least,
                sin,
                cos,
                ..
            } => {
                let (x, y) = (point[0] - centre[0], point[1] - centre[1]);
                let (u, v) = (
                    (x * cos + y * sin) * inverse[0],
                    (y * cos - x * sin) * inverse[1],
                );
                ((u * u + v * v).sqrt() - 1.0) * least
            }
            Self::Capsule {
                from,
                along,
                inverse,
                radius,
            } => {
                let (x, y) = (point[0] - from[0], point[1] - from[1]);
                let part = ((x * along[0] + y * along[1]) * inverse).clamp(0.0, 1.0);
                let (dx, dy) = (x - along[0] * part, y - along[1] * part);
                (dx * dx + dy * dy).sqrt() - radius
            }
            Self::Quad {
                ref corners,
                ref normals,
            } => {
                let mut furthest = f32::MIN;
                for (corner, normal) in corners.iter().zip(normals) {
                    if normal[0] != 0.0 || normal[1] != 0.0 {
                        let d =
                            (point[0] - corner[0]) * normal[0] + (point[1] - corner[1]) * normal[1];
                        furthest = furthest.max(d);
                    }
                }
                furthest
            }
            Self::Ring {
                centre,
                radius,
                half,
            } => {
                let (x, y) = (point[0] - centre[0], point[1] - centre[1]);
                ((x * x + y * y).sqrt() - radius).abs() - half
            }
            Self::Band { top, bottom } => (top - point[1]).max(point[1] - bottom),
        }
    }

    fn bounds(&self, edge: f32) -> (Point, Point) {
        let around = |centre: Point, x: f32, y: f32| {
            (
                [centre[0] - x - edge, centre[1] - y - edge],
                [centre[0] + x + edge, centre[1] + y + edge],
            )
        };
        match *self {
            Self::Ellipse { centre, reach, .. } => around(centre, reach[0], reach[1]),
            Self::Capsule {
                from,
                along,
                radius,
                ..
            } => {
                let middle = [from[0] + along[0] / 2.0, from[1] + along[1] / 2.0];
                around(
                    middle,
                    along[0].abs() / 2.0 + radius,
                    along[1].abs() / 2.0 + radius,
                )
            }
            Self::Quad { ref corners, .. } => {
                let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
                for corner in corners {
                    for axis in 0..2 {
                        low[axis] = low[axis].min(corner[axis] - edge);
                        high[axis] = high[axis].max(corner[axis] + edge);
                    }
                }
                (low, high)
            }
            Self::Ring {
                centre,
                radius,
                half,
            } => around(centre, radius + half, radius + half),
            Self::Band { top, bottom } => ([-9.0, top - edge], [9.0, bottom + edge]),
        }
    }
}

/// The heights between which a shape lies, for colours that run from its top to its bottom.
pub(crate) fn extent(shape: &Shape) -> (f32, f32) {
    match *shape {
        Shape::Band { top, bottom } => (top.max(-0.5), bottom.min(1.5)),
        shape => Outline::new(shape).map_or((0.0, 1.0), |outline| {
            let (low, high) = outline.bounds(0.0);
            (low[1], high[1])
        }),
    }
}
