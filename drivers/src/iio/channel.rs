//! From a channel's counts to m/s² and rad/s along the board's axes.

use super::folder::Folder;
use crate::orientation::Orientation;
use sensebind_core::{ErrorKind, SourceError};

/// Names of the six channels, in the order of an IMU frame.
pub(crate) const CHANNELS: [&str; 6] = [
    "in_accel_x",
    "in_accel_y",
    "in_accel_z",
    "in_anglvel_x",
    "in_anglvel_y",
    "in_anglvel_z",
];

/// How the counts of the six channels become a sample.
#[derive(Debug, Clone)]
pub(crate) struct Conversion {
    offset: [f64; 6],
    scale: [f64; 6],
    /// Rows of the matrices that turn accelerations and angular rates into the axes of the device that the chip is in.
    mounting: [[[f64; 3]; 3]; 2],
    orientation: Orientation,
}

impl Conversion {
    /// As `folder` says, and `orientation` after it.
    pub(crate) fn new(folder: &Folder, orientation: Orientation) -> Result<Self, SourceError> {
        let mut conversion = Self {
            offset: [0.0; 6],
            scale: [0.0; 6],
            mounting: [mounting(folder, "accel")?, mounting(folder, "anglvel")?],
            orientation,
        };
        for (index, channel) in CHANNELS.into_iter().enumerate() {
            // A channel's own attribute, or one that it shares with the other axes.
            let value = |what: &str| {
                let shared = channel.trim_end_matches(['x', 'y', 'z']);
                folder
                    .number(&format!("{channel}_{what}"))
                    .or_else(|| folder.number(&format!("{shared}{what}")))
            };
            conversion.offset[index] = value("offset").unwrap_or(0.0);
            conversion.scale[index] = value("scale").ok_or_else(|| {
                SourceError::new(
                    ErrorKind::Misconfigured,
                    format!(
                        "{}: {channel} has no scale: its driver does not say what a count means",
                        folder.path().display()
                    ),
                )
            })?;
        }
        Ok(conversion)
    }

    /// Accelerations in m/s², then angular rates in rad/s.
    pub(crate) fn sample(&self, counts: &[i64; 6]) -> [f32; 6] {
        let mut values = [0.0; 6];
        for (index, value) in values.iter_mut().enumerate() {
            *value = (counts[index] as f64 + self.offset[index]) * self.scale[index];
        }
        let [ax, ay, az, gx, gy, gz] = values;
        let [acceleration, angular_rate] =
            [(self.mounting[0], [ax, ay, az]), (self.mounting[1], [gx, gy, gz])].map(|(mounting, [x, y, z])| {
                let turned = mounting.map(|row| (row[0] * x + row[1] * y + row[2] * z) as f32);
                self.orientation.turn(turned)
            });
        let ([ax, ay, az], [gx, gy, gz]) = (acceleration, angular_rate);
        [ax, ay, az, gx, gy, gz]
    }
}

/// The mount matrix of a kind of channel: its own, or one of the whole device.
fn mounting(folder: &Folder, kind: &str) -> Result<[[f64; 3]; 3], SourceError> {
    let names = [
        format!("in_{kind}_mount_matrix"),
        "in_mount_matrix".to_owned(),
        "mount_matrix".to_owned(),
    ];
    let Some(text) = names.iter().find_map(|name| folder.text(name)) else {
        return Ok([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    };
    matrix(&text).ok_or_else(|| {
        SourceError::new(
            ErrorKind::Misconfigured,
            format!(
                "{}: expected a mount matrix such as \"1, 0, 0; 0, 1, 0; 0, 0, 1\", found {text:?}",
                folder.path().display()
            ),
        )
    })
}

fn matrix(text: &str) -> Option<[[f64; 3]; 3]> {
    let mut rows = [[0.0; 3]; 3];
    let mut texts = text.split(';');
    for row in &mut rows {
        let mut values = texts.next()?.split(',');
        for value in row.iter_mut() {
            *value = values.next()?.trim().parse().ok()?;
        }
        values.next().is_none().then_some(())?;
    }
    texts.next().is_none().then_some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_matrices_are_read_row_by_row() {
        assert_eq!(
            matrix("0, -1, 0; 1, 0.0, 0; 0, 0, 1"),
            Some([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        );
        for bad in [
            "",
            "1, 0, 0; 0, 1, 0",
            "1, 0, 0; 0, 1, 0; 0, 0, x",
            "1;1;1",
            "1, 0, 0, 0; 0, 1, 0; 0, 0, 1",
        ] {
            assert_eq!(matrix(bad), None, "{bad}");
        }
    }
}
