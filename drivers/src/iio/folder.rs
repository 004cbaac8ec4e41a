//! A folder of attributes: files that hold one value each.

use rustix::io::Errno;
use sensebind_core::{ErrorKind, SourceError};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The folder of a device or trigger.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// The value of `name`, where there is one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.0.join(name)).ok()?;
        Some(text.trim().to_owned())
    }

    /// The same as a number.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// Writes `value`: an attribute that is not there stays so.
    pub(crate) fn write(&self, name: &str, value: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(self.0.join(name))?;
        file.write_all(value.as_bytes())
    }

    /// The same; says what to do about a failure.
    pub(crate) fn set(&self, name: &str, value: &str) -> Result<(), SourceError> {
        self.write(name, value)
            .map_err(|error| fault(&self.0.join(name), &format!("writing {value:?}"), &error))
    }
}

/// The error of `doing` something with the attribute or node `at`.
pub(crate) fn fault(at: &Path, doing: &str, error: &io::Error) -> SourceError {
    let (kind, remedy) = match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::NOTCONN | Errno::CONNABORTED) => (
            ErrorKind::Gone,
            "was the device pulled, or its driver unloaded?".to_owned(),
        ),
        Some(Errno::ACCESS | Errno::PERM) => (
            ErrorKind::Denied,
            format!(
                "IIO files belong to root: run as root, or let a udev rule (SUBSYSTEM==\"iio\") give its node and \
                 folder to a group of yours, such as `iio`: `sudo usermod -aG iio $USER`, and log in again; found at {}",
                at.parent().unwrap_or(at).display()
            ),
        ),
        Some(Errno::BUSY) => (
            ErrorKind::Reopen,
            "another program captures from it: `sudo fuser -v /dev/iio:device*` says which".to_owned(),
        ),
        Some(Errno::INVAL) => (
            ErrorKind::Misconfigured,
            "its driver does not take this value".to_owned(),
        ),
        _ => (
            ErrorKind::Reopen,
            "a passing fault, or a fault of its driver".to_owned(),
        ),
    };
    SourceError::new(kind, format!("{}: {doing}: {error}; {remedy}", at.display()))
}
