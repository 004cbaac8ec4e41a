//! What makes a device take a scan.

use super::folder::Folder;
use super::rate;
use sensebind_core::{ErrorKind, SourceError};
use std::fs;
use std::path::Path;

const CURRENT: &str = "trigger/current_trigger";

/// The trigger that `device` goes by now: its folder, where that is in `root`.
pub(crate) fn current(root: &Path, device: &Folder) -> Option<Folder> {
    let name = device.text(CURRENT).filter(|name| !name.is_empty())?;
    find(root, &name)
}

/// Whether `device` goes by a trigger and has none.
pub(crate) fn is_missing(device: &Folder) -> bool {
    device.text(CURRENT).is_some_and(|name| name.is_empty())
}

/// Lets `device` go by the trigger called `name`.
pub(crate) fn choose(root: &Path, device: &Folder, name: &str) -> Result<(), SourceError> {
    if find(root, name).is_none() {
        return Err(SourceError::new(
            ErrorKind::Misconfigured,
            format!(
                "there is no IIO trigger {name:?}, found {:?}: correct `trigger`",
                names(root)
            ),
        ));
    }
    device.set(CURRENT, name)
}

/// Makes a timer trigger of `rate_hz` through configfs for `device`, where this kernel has such. Returns its folder. It
/// stays until the host restarts: the next opening uses it again.
pub(crate) fn timer(root: &Path, device: &Folder, rate_hz: f64) -> Result<Option<Folder>, SourceError> {
    let timers = root.join("sys/kernel/config/iio/triggers/hrtimer");
    let device_name = device.path().file_name().unwrap_or_default().to_string_lossy();
    let name = format!("sensebind-{}", device_name.trim_start_matches("iio:"));
    if find(root, &name).is_none() && fs::create_dir(timers.join(&name)).is_err() {
        return Ok(None);
    }
    let Some(trigger) = find(root, &name) else {
        return Ok(None);
    };
    rate::set(&trigger, rate_hz)?;
    device.set(CURRENT, &name)?;
    Ok(Some(trigger))
}

fn triggers(root: &Path) -> impl Iterator<Item = (String, Folder)> {
    fs::read_dir(root.join("sys/bus/iio/devices"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("trigger"))
        .filter_map(|entry| {
            let folder = Folder::new(entry.path());
            Some((folder.text("name")?, folder))
        })
}

fn find(root: &Path, name: &str) -> Option<Folder> {
    triggers(root).find(|(own, _)| own == name).map(|(_, folder)| folder)
}

fn names(root: &Path) -> Vec<String> {
    triggers(root).map(|(name, _)| name).collect()
}
