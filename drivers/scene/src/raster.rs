//! From patches to pixels: which pixels a patch covers, and how much of each.

use crate::Size;
use crate::numeric::{cos_turns, sin_turns};
use crate::patch::{Patch, Point, Shape, View};

/// The middle of a picture of the usual 4:3 shape.
const MIDDLE: Point = [2.0 / 3.0, 0.5];

/// Walks over every pixel a patch covers, in painting order: pixel index, cover in (0, 1], point of the scene, patch.
pub(crate) fn paint(patches: &[Patch], view: View, size: Size, mut put: impl FnMut(usize, f32, Point, &Patch)) {
    if size.width == 0 || size.height == 0 {
        return;
    }
    let pixel = 1.0 / size.height as f32;
    let (sin, cos) = (sin_turns(f64::from(view.turns)), cos_turns(f64::from(view.turns)));
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
                let x = ((column as f32 + 0.5) * pixel + left - MIDDLE[0] - view.shift[0]) / view.zoom;
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
            Shape::Ellipse { centre, radii, turns } => {
                let (sin, cos) = (sin_turns(f64::from(turns)), cos_turns(f64::from(turns)));
                let (rx, ry) = (radii[0].max(1e-4), radii[1].max(1e-4));
                let reach = [(rx * cos).abs() + (ry * sin).abs(), (rx * sin).abs() + (ry * cos).abs()];
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
            Shape::Ring { centre, radius, width } => Self::Ring {
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
                let (u, v) = ((x * cos + y * sin) * inverse[0], (y * cos - x * sin) * inverse[1]);
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
                        let d = (point[0] - corner[0]) * normal[0] + (point[1] - corner[1]) * normal[1];
                        furthest = furthest.max(d);
                    }
                }
                furthest
            }
            Self::Ring { centre, radius, half } => {
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
                from, along, radius, ..
            } => {
                let middle = [from[0] + along[0] / 2.0, from[1] + along[1] / 2.0];
                around(middle, along[0].abs() / 2.0 + radius, along[1].abs() / 2.0 + radius)
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
            Self::Ring { centre, radius, half } => around(centre, radius + half, radius + half),
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
