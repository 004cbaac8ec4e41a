//! The one description all three cameras paint: patches with a colour, a temperature and a distance.
//!
//! Picture coordinates: y runs from 0 (top) to 1 (bottom), x from 0 to width / height, so a circle is round.

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
    Capsule {
        from: Point,
        to: Point,
        radius: f32,
    },
    /// A convex quadrilateral, corners in order (a triangle repeats one).
    Quad([Point; 4]),
    Ring {
        centre: Point,
        radius: f32,
        width: f32,
    },
    /// All of the picture between two heights, however it is turned.
    Band {
        top: f32,
        bottom: f32,
    },
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
        Self { glows: true, ..self }
    }

    pub(crate) fn painted(self, paint: Paint) -> Self {
        Self {
            paint: Some(paint),
            ..self
        }
    }

    pub(crate) fn unheated(self) -> Self {
        Self { kelvin: None, ..self }
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
