//! Mounting and, above all, unmounting.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// Why this machine cannot run the lab. Tests print it after `SKIPPED:` and return.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the device lab cannot run here: {what}; {remedy}")]
pub struct Unavailable {
    what: String,
    remedy: &'static str,
}

impl Unavailable {
    pub(crate) fn new(what: String, remedy: &'static str) -> Self {
        Self { what, remedy }
    }
}

/// What `/proc/mounts` says before the process id of the lab's owner.
const SOURCE: &str = "sensebind-lab:";

/// A FUSE file system in a fresh folder. It is unmounted, whoever still has files open, when this is dropped.
#[derive(Debug)]
pub(crate) struct Mount {
    folder: TempDir,
}

impl Mount {
    pub(crate) fn new() -> Result<(Self, File), Unavailable> {
        clear_stale_mounts();
        let fuse = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .map_err(|error| {
                Unavailable::new(
                    format!("/dev/fuse cannot be opened ({error})"),
                    "load the kernel module `fuse` and run as root",
                )
            })?;
        let folder = TempDir::with_prefix("sensebind-lab-").map_err(|error| {
            Unavailable::new(
                format!("no temporary folder ({error})"),
                "point TMPDIR at a folder that can be written",
            )
        })?;
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
            fuse.as_raw_fd()
        );
        let source = format!("{SOURCE}{}", std::process::id());
        mount(
            Some(source.as_str()),
            folder.path(),
            Some("fuse.sensebind"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some(options.as_str()),
        )
        .map_err(|errno| {
            Unavailable::new(
                format!("mounting FUSE is refused ({errno})"),
                "run as root with CAP_SYS_ADMIN",
            )
        })?;
        Ok((Self { folder }, fuse))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

fn unmount(folder: &Path) {
    // Force ends the connection, so that no client is left waiting in the kernel and the serving thread sees ENODEV;
    // detach takes the name away even where files are still open.
    let _ = umount2(folder, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH);
}

/// A test that was killed could not unmount: the next lab does it.
fn clear_stale_mounts() {
    for (pid, folder) in lab_mounts(&fs::read_to_string("/proc/self/mounts").unwrap_or_default()) {
        if !lives(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default()) {
            unmount(&folder);
            let _ = fs::remove_dir(&folder);
        }
    }
}

/// Whether the text of `/proc/PID/stat` is of a living process. A killed one may linger, dead but for a thread that waits
/// in the kernel for an answer of its own lab: unmounting frees it.
fn lives(stat: &str) -> bool {
    let state = stat.rsplit_once(") ").map(|(_, state)| state);
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Owner and folder of every lab in the text of `/proc/mounts`.
fn lab_mounts(mounts: &str) -> Vec<(u32, PathBuf)> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let pid = words.next()?.strip_prefix(SOURCE)?.parse().ok()?;
            Some((pid, PathBuf::from(words.next()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_does_not_live() {
        assert!(lives("7 (a) b) S 1 7"));
        assert!(!lives("7 (a) b) Z 1 7"));
        assert!(!lives(""));
    }

    #[test]
    fn only_labs_are_found_among_the_mounts() {
        let mounts = "proc /proc proc rw 0 0\nsensebind-lab:12 /tmp/sensebind-lab-x fuse.sensebind rw 0 0\n";
        assert_eq!(lab_mounts(mounts), [(12, PathBuf::from("/tmp/sensebind-lab-x"))]);
    }
}
