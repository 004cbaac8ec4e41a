//! How often a device samples.

use super::folder::Folder;
use sensebind_core::SourceError;

/// A whole device's, or one for each kind of channel.
const NAMES: [&str; 3] = [
    "sampling_frequency",
    "in_accel_sampling_frequency",
    "in_anglvel_sampling_frequency",
];
/// What of a wanted rate is enough: drivers offer rates such as 199.3 Hz.
const TOLERANCE: f64 = 0.99;

/// Sets the lowest rate on offer that is not below `wanted_hz`; the highest where all are. Returns what the device then
/// says, or nothing where it has no rate of its own.
pub(crate) fn set(folder: &Folder, wanted_hz: f64) -> Result<Option<f64>, SourceError> {
    let mut slowest: Option<f64> = None;
    for name in NAMES.into_iter().filter(|name| folder.has(name)) {
        let available = folder.text(&format!("{name}_available")).unwrap_or_default();
        folder.set(name, &choose(&available, wanted_hz))?;
        if let Some(rate_hz) = folder.number(name).filter(|rate_hz| *rate_hz > 0.0) {
            slowest = Some(slowest.map_or(rate_hz, |slowest| slowest.min(rate_hz)));
        }
    }
    Ok(slowest)
}

/// What to write: an entry of `available` as it stands there, since drivers compare their decimals.
fn choose(available: &str, wanted_hz: f64) -> String {
    let mut offered: Vec<(f64, &str)> = available
        .split_whitespace()
        .filter_map(|text| Some((text.parse().ok()?, text)))
        .collect();
    offered.sort_by(|a, b| a.0.total_cmp(&b.0));
    let enough = offered.iter().find(|(rate_hz, _)| *rate_hz >= wanted_hz * TOLERANCE);
    // A range, `[least step most]`, parses as no list.
    match enough.or(offered.last()).filter(|_| !available.starts_with('[')) {
        Some((_, text)) => (*text).to_owned(),
        None => wanted_hz.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_rate_that_is_enough() {
        let list = "0.781000 25 50 100 199.300000 400";
        for (wanted_hz, written) in [(30.0, "50"), (200.0, "199.300000"), (401.0, "400"), (1000.0, "400")] {
            assert_eq!(choose(list, wanted_hz), written);
        }
        assert_eq!(choose("", 104.0), "104");
        assert_eq!(choose("[4 1 1000]", 104.5), "104.5");
    }
}
