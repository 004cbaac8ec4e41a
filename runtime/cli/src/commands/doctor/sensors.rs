//! The sensors of a board: is each there, and may it be opened?

use super::{Finding, buses};
use crate::board::{Board, Sensor};
use std::path::Path;
use toml::Value;

/// One finding per sensor and thing it needs. A missing sensor never stops a run, so it is a warning.
pub fn check(board: &Board) -> Vec<Finding> {
    board.sensors.iter().flat_map(check_sensor).collect()
}

fn check_sensor(sensor: &Sensor) -> Vec<Finding> {
    let name = sensor.name.as_str();
    let texts = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let needed: Vec<(String, String)> = sensor
        .settings
        .iter()
        .filter_map(texts)
        .filter(|(key, value)| key == "path" || value.starts_with("/dev/"))
        .collect();
    if needed.is_empty() {
        return vec![by_driver(sensor)];
    }
    needed
        .iter()
        .map(|(key, value)| {
            let path = Path::new(value);
            if !path.exists() {
                let remedy = if key == "path" {
                    "correct `path` in the board file"
                } else {
                    buses::absent(path)
                };
                let found = format!("{value} is not there: a run goes on without it and waits for it");
                return Finding::warning(name, found).remedied_by(remedy);
            }
            match buses::denied(path).filter(|_| key != "path") {
                Some(remedy) => Finding::warning(
                    name,
                    format!("{value}: this user may not open it: a run goes on without it"),
                )
                .remedied_by(remedy),
                None => Finding::ok(name, format!("{value}, driver {}", sensor.driver.name())),
            }
        })
        .collect()
}

/// A sensor that is no device node: what its driver sees, where it looks for a device.
fn by_driver(sensor: &Sensor) -> Finding {
    let (name, driver) = (sensor.name.as_str(), sensor.driver.name());
    let Some(device) = sensor.settings.get("device") else {
        return Finding::ok(name, format!("driver {driver}"));
    };
    let found: Vec<String> = sensor.driver.find().into_iter().map(|found| found.about).collect();
    if found.is_empty() {
        let found = format!("device {device}: driver {driver} finds nothing attached: a run goes on without it");
        return Finding::warning(name, found).remedied_by("plug it in; `sensebind devices` lists what is attached");
    }
    Finding::ok(
        name,
        format!("device {device}; driver {driver} finds {}", found.join(", ")),
    )
}
