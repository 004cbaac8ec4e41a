//! Which devices there are, and the one that a board means.

use super::folder::Folder;
use sensebind_core::{ErrorKind, SourceError};
use std::fs;
use std::path::{Path, PathBuf};

/// An IIO device.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) folder: Folder,
    /// What its driver calls it, such as `bmi160`.
    pub(crate) name: String,
    /// Its character device.
    pub(crate) node: PathBuf,
    label: Option<String>,
    /// The device it is part of, such as `1-0068` on an I2C bus.
    parent: Option<PathBuf>,
}

impl Device {
    /// Its name and what it hangs on: the same after every start.
    pub(crate) fn identity(&self) -> String {
        let parent = self.parent.as_ref().and_then(|parent| parent.file_name());
        parent.map_or_else(
            || self.name.clone(),
            |parent| format!("{}@{}", self.name, parent.to_string_lossy()),
        )
    }

    fn is(&self, wanted: &str, root: &Path) -> bool {
        if let Some(path) = wanted.strip_prefix('/') {
            let path = fs::canonicalize(root.join(path)).ok();
            let own = fs::canonicalize(self.folder.path()).ok();
            return path.is_some() && (path == own || path == self.parent);
        }
        self.name == wanted || self.label.as_deref() == Some(wanted) || self.identity() == wanted
    }
}

/// Every device with an accelerometer and a gyroscope, in the order of their numbers; `sys` and `dev` are in `root`.
pub(crate) fn inertial(root: &Path) -> Vec<Device> {
    let mut devices: Vec<(u32, Device)> = fs::read_dir(root.join("sys/bus/iio/devices"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let file_name = entry.file_name().into_string().ok()?;
            let number = file_name.strip_prefix("iio:device")?.parse().ok()?;
            let folder = Folder::new(entry.path());
            let device = Device {
                name: folder.text("name")?,
                label: folder.text("label"),
                node: root.join("dev").join(&file_name),
                parent: fs::canonicalize(entry.path())
                    .ok()
                    .and_then(|path| Some(path.parent()?.to_owned())),
                folder,
            };
            let measures = |channel: &str| device.folder.has(&format!("in_{channel}_x_raw"));
            (measures("accel") && measures("anglvel")).then_some((number, device))
        })
        .collect();
    devices.sort_by_key(|(number, _)| *number);
    devices.into_iter().map(|(_, device)| device).collect()
}

/// The device that `wanted` names.
pub(crate) fn find(root: &Path, wanted: &str) -> Result<Device, SourceError> {
    let devices = inertial(root);
    let there: Vec<_> = devices.iter().map(Device::identity).collect();
    let mut meant = devices.into_iter().filter(|device| device.is(wanted, root));
    match (meant.next(), meant.next()) {
        (Some(device), None) => Ok(device),
        (Some(_), Some(_)) => Err(SourceError::new(
            ErrorKind::Misconfigured,
            format!("several IIO devices are called {wanted:?}: name one of {there:?}"),
        )),
        (None, _) => Err(SourceError::new(
            ErrorKind::Gone,
            format!(
                "no IIO device with accelerometer and gyroscope is called {wanted:?}, found {there:?}: is its driver \
                 loaded, and the chip in the device tree or given to `new_device` of its bus?"
            ),
        )),
    }
}
