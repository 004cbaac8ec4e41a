//! Inside the virtual machine of [`vm`](crate::vm): loading drivers, finding their nodes, binding chips.
//!
//! Nothing in there loads a module or names a node by itself: there is no udev.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Set for every test that runs inside.
pub(crate) const MARK: &str = "SENSEBIND_VM";

/// How long a driver may take to make its node; the machine is emulated, and slow when the host is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether this process runs inside the virtual machine. Says to stderr that `test` is skipped where it does not.
#[must_use]
pub fn inside(test: &str) -> bool {
    let inside = std::env::var_os(MARK).is_some();
    if !inside {
        eprintln!("SKIPPED: {test}: it needs the kernel drivers of the virtual machine: `cargo xtask vm` runs it");
    }
    inside
}

/// Loads a kernel module with its parameters (`name=value`); one that is loaded stays as it is.
///
/// # Errors
/// With what modprobe said.
pub fn load_module(name: &str, parameters: &[&str]) -> io::Result<()> {
    modprobe(&[&[name], parameters].concat())
}

/// Unloads a kernel module that nobody uses.
///
/// # Errors
/// With what modprobe said.
pub fn unload_module(name: &str) -> io::Result<()> {
    modprobe(&["--remove", name])
}

fn modprobe(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("modprobe").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "modprobe {}: {}",
        arguments.join(" "),
        said.trim_end()
    )))
}

/// Asks every 20 ms until there is an answer, at most for `limit`.
pub fn wait_for<T>(limit: Duration, mut answer: impl FnMut() -> Option<T>) -> Option<T> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bound on waiting for the kernel is wall time"
    )]
    let started = Instant::now();
    loop {
        if let Some(found) = answer() {
            return Some(found);
        }
        if started.elapsed() > limit {
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "sysfs has nothing to wait on")]
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The node in `/dev` that a driver made for the device whose folder in sysfs is `device`, such as `/dev/video1` for
/// the prefix `video`: the lowest number where there are several. Waits for it.
///
/// # Errors
/// Where none comes within `limit`.
pub fn node_below(device: &Path, prefix: &str, limit: Duration) -> io::Result<PathBuf> {
    let node = wait_for(limit, || {
        let node = Path::new("/dev").join(lowest(device, prefix)?.file_name()?);
        node.exists().then_some(node)
    });
    node.ok_or_else(|| no_such(&format!("/dev/{prefix}*"), device, limit))
}

/// The folder in sysfs that a driver made below the device's own, such as `iio:device0` for the prefix `iio:device`:
/// a driver without a buffer has no node. The lowest number where there are several. Waits for it.
///
/// # Errors
/// Where none comes within `limit`.
pub fn folder_below(device: &Path, prefix: &str, limit: Duration) -> io::Result<PathBuf> {
    wait_for(limit, || lowest(device, prefix)).ok_or_else(|| no_such(&format!("{prefix}*"), device, limit))
}

fn no_such(what: &str, device: &Path, limit: Duration) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("no {what} for {} within {} s", device.display(), limit.as_secs()),
    )
}

fn lowest(device: &Path, prefix: &str) -> Option<PathBuf> {
    let mut folders = Vec::new();
    collect_numbered(device, prefix, 5, &mut folders);
    folders.into_iter().min().map(|(_, folder)| folder)
}

/// The folders named `prefix` and a number. Links lead out of the device and are not followed.
fn collect_numbered(folder: &Path, prefix: &str, depth: u32, found: &mut Vec<(u32, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(number) = name.strip_prefix(prefix).and_then(|rest| rest.parse().ok()) {
            found.push((number, entry.path()));
        }
        if depth > 0 {
            collect_numbered(&entry.path(), prefix, depth - 1, found);
        }
    }
}

/// Binds a kernel driver to the chip at `address` of an I2C bus, given by its node: `bmi160` on `/dev/i2c-3`, say. The
/// module must be loaded. Returns the chip's folder in sysfs, once the driver has taken it.
///
/// # Errors
/// Where the bus is none, or no driver takes the chip within 20 s.
pub fn bind_i2c(bus: &Path, driver: &str, address: u8) -> io::Result<PathBuf> {
    let name = bus.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let number = name.strip_prefix("i2c-").unwrap_or_default();
    let folder = Path::new("/sys/bus/i2c/devices");
    fs::write(
        folder.join(&name).join("new_device"),
        format!("{driver} {address:#04x}"),
    )?;
    let chip = folder.join(format!("{number}-{address:04x}"));
    wait_for(PATIENCE, || chip.join("driver").exists().then_some(()))
        .ok_or_else(|| io::Error::other(format!("no driver took {} as a {driver}", chip.display())))?;
    // The name below /sys/bus is a link; what hangs on the chip is found below the folder itself.
    fs::canonicalize(chip)
}

/// Makes an IIO trigger that fires `rate_hz` times a second, for chips without an interrupt line. Returns its folder
/// in sysfs, or nothing where this kernel has no such triggers (Debian's have since 6.12).
///
/// # Errors
/// Where the kernel has them and refuses one.
pub fn iio_timer_trigger(name: &str, rate_hz: u32) -> io::Result<Option<PathBuf>> {
    if load_module("iio-trig-hrtimer", &[]).is_err() {
        return Ok(None);
    }
    let configfs = Path::new("/sys/kernel/config");
    if !configfs.join("iio").exists() {
        let status = Command::new("mount")
            .args(["-t", "configfs", "configfs"])
            .arg(configfs)
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("configfs cannot be mounted: {status}")));
        }
    }
    fs::create_dir(configfs.join("iio/triggers/hrtimer").join(name))?;
    let trigger = wait_for(PATIENCE, || {
        fs::read_dir("/sys/bus/iio/devices")
            .ok()?
            .flatten()
            .map(|entry| entry.path())
            .find(|device| fs::read_to_string(device.join("name")).is_ok_and(|own| own.trim() == name))
    })
    .ok_or_else(|| io::Error::other(format!("no IIO trigger named {name} came")))?;
    fs::write(trigger.join("sampling_frequency"), rate_hz.to_string())?;
    Ok(Some(trigger))
}
