//! What the kernel starts from: busybox, the modules that it takes to see the host's files, and [`INIT`].

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cpio::newc::ModeFileType;
use cpio::{NewcBuilder, write_cpio};

use super::debian::Guest;

const INIT: &str = include_str!("init.sh");

/// Modules, or parts of the kernel, between its start and the host's files.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

type File = (NewcBuilder, Cursor<Vec<u8>>);

/// Writes the archive to `place`: `command` is the shell script that the guest runs, for at most `limit`.
pub(super) fn write(place: &Path, guest: &Guest, command: &str, limit: Duration) -> Result<()> {
    let mut files = vec![
        folder("bin"),
        folder("modules"),
        file("bin/busybox", fs::read(&guest.busybox)?),
        file("init", INIT),
        file("command", command),
        file("limit_s", limit.as_secs().to_string()),
        file("modules/folder", guest.modules().to_string_lossy().into_owned()),
    ];
    let mut order = Vec::new();
    for module in MODULES {
        for path in with_dependencies(guest, module)? {
            let path = Path::new(&path);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !order.contains(&name) {
                let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
                files.push(file(&format!("modules/{name}"), bytes));
                order.push(name);
            }
        }
    }
    files.push(file("modules/order", order.join("\n") + "\n"));
    write_cpio(files.into_iter(), fs::File::create(place)?)?;
    Ok(())
}

/// The files that loading `module` takes, in order; none for a part of the kernel.
fn with_dependencies(guest: &Guest, module: &str) -> Result<Vec<String>> {
    let output = Command::new(&guest.modprobe)
        .arg("--dirname")
        .arg(&guest.folder)
        .args(["--set-version", &guest.release, "--show-depends", module])
        .output()
        .context("modprobe could not be started")?;
    if !output.status.success() {
        bail!(
            "modprobe does not know {module} of {}: {}",
            guest.release,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.strip_prefix("insmod "))
        .map(|path| path.trim().to_owned())
        .collect())
}

fn file(name: &str, bytes: impl Into<Vec<u8>>) -> File {
    let mode = NewcBuilder::new(name)
        .mode(0o755)
        .set_mode_file_type(ModeFileType::Regular);
    (mode, Cursor::new(bytes.into()))
}

fn folder(name: &str) -> File {
    let mode = NewcBuilder::new(name)
        .mode(0o755)
        .set_mode_file_type(ModeFileType::Directory);
    (mode, Cursor::new(Vec::new()))
}
