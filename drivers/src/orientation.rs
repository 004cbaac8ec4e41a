//! How a sensor is mounted: which of its axes lies along which axis of the board.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;

const NAMES: [&str; 6] = ["+x", "-x", "+y", "-y", "+z", "-z"];

/// An axis of the sensor, or its opposite.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    index: usize,
    sign: f32,
}

/// For each axis of the board, the sensor's axis that points the same way: a rotation by quarter turns.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "[String; 3]")]
pub(crate) struct Orientation([Axis; 3]);

impl Orientation {
    /// A vector in the sensor's axes, in the board's.
    pub(crate) fn turn(&self, vector: [f32; 3]) -> [f32; 3] {
        self.0.map(|axis| axis.sign * vector[axis.index])
    }
}

impl Default for Orientation {
    /// The sensor's axes are the board's.
    fn default() -> Self {
        Self([0, 1, 2].map(|index| Axis { index, sign: 1.0 }))
    }
}

impl TryFrom<[String; 3]> for Orientation {
    type Error = String;

    fn try_from(names: [String; 3]) -> Result<Self, Self::Error> {
        let mut axes = [Axis { index: 0, sign: 1.0 }; 3];
        for (axis, name) in axes.iter_mut().zip(&names) {
            let place = NAMES.iter().position(|known| known == name);
            let place = place.ok_or_else(|| format!("expected one of {NAMES:?} in orientation, found {name:?}"))?;
            *axis = Axis {
                index: place / 2,
                sign: if place % 2 == 0 { 1.0 } else { -1.0 },
            };
        }
        // The determinant of the matrix with one ±1 in each row; 0 where a column has two.
        let [x, y, z] = axes.map(|axis| axis.index);
        let permutation = match (x, y, z) {
            (0, 1, 2) | (1, 2, 0) | (2, 0, 1) => 1.0,
            (0, 2, 1) | (1, 0, 2) | (2, 1, 0) => -1.0,
            _ => {
                return Err(format!(
                    "expected each of x, y and z once in orientation, found {names:?}"
                ));
            }
        };
        if permutation * axes.iter().map(|axis| axis.sign).product::<f32>() < 0.0 {
            return Err(format!(
                "the orientation {names:?} is left-handed, which no mounting makes: turn one sign round"
            ));
        }
        Ok(Self(axes))
    }
}

impl JsonSchema for Orientation {
    fn schema_name() -> Cow<'static, str> {
        "Orientation".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "items": { "type": "string", "enum": NAMES },
            "minItems": 3,
            "maxItems": 3
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: [&str; 3]) -> Result<Orientation, String> {
        names.map(str::to_owned).try_into()
    }

    #[test]
    fn twenty_four_mountings_keep_length_and_hand() {
        let mut mountings = 0;
        for x in NAMES {
            for y in NAMES {
                for z in NAMES {
                    let Ok(orientation) = named([x, y, z]) else { continue };
                    mountings += 1;
                    let [a, b, c] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|v| orientation.turn(v));
                    let cross = [
                        a[1] * b[2] - a[2] * b[1],
                        a[2] * b[0] - a[0] * b[2],
                        a[0] * b[1] - a[1] * b[0],
                    ];
                    assert_eq!(cross, c, "{x} {y} {z}");
                }
            }
        }
        assert_eq!(mountings, 24);
    }

    #[test]
    fn a_chip_on_its_edge() {
        // The board's up is the chip's y.
        let orientation = named(["+x", "-z", "+y"]).unwrap();
        assert_eq!(orientation.turn([1.0, 2.0, 3.0]), [1.0, -3.0, 2.0]);
        assert_eq!(Orientation::default(), named(["+x", "+y", "+z"]).unwrap());
    }

    #[test]
    fn what_is_no_mounting_is_refused() {
        for (names, word) in [
            (["+x", "+y", "-z"], "left-handed"),
            (["+x", "+x", "+z"], "each of x, y and z once"),
            (["x", "+y", "+z"], "found \"x\""),
        ] {
            let error = named(names).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
