//! The guest's kernel, its modules and a static busybox: Debian's packages, unpacked below `target/lab`, installed
//! nowhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Unable;

/// Packages that stand for the newest kernel of their kind, the wanted one first: 6.12 has IIO's timer triggers.
const KERNELS: [&str; 2] = ["linux-image-6.12-amd64", "linux-image-amd64"];
const BUSYBOX: &str = "busybox-static";

/// An unpacked guest, and the host's programs that it takes to run it.
#[derive(Debug)]
pub(super) struct Guest {
    /// What `uname -r` says inside.
    pub release: String,
    pub kernel: PathBuf,
    /// The folder that holds `lib/modules`.
    pub folder: PathBuf,
    pub busybox: PathBuf,
    pub modprobe: PathBuf,
    pub qemu: PathBuf,
}

impl Guest {
    /// Finds the guest below `lab`, where it is kept between runs, or downloads and unpacks it there (about 110 MB).
    ///
    /// # Errors
    /// [`Unable`] where this machine cannot run it.
    pub(super) fn find(lab: &Path) -> Result<Self> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err(unable(
                "its guest is an x86-64 Linux, which runs the host's own binaries",
            ));
        }
        let qemu = program("qemu-system-x86_64", "qemu-system-x86")?;
        let modprobe = program("modprobe", "kmod")?;
        let folder = lab.join("guest");
        if !folder.exists() {
            fetch(lab, &folder)?;
        }
        let folder = fs::canonicalize(&folder)?;
        let modules = folder.join("lib/modules");
        let release = fs::read_dir(&modules)?
            .next()
            .with_context(|| format!("{} holds no modules: remove {}", modules.display(), folder.display()))??
            .file_name()
            .to_string_lossy()
            .into_owned();
        let busybox = ["bin/busybox", "usr/bin/busybox"]
            .into_iter()
            .map(|place| folder.join(place))
            .find(|place| place.exists())
            .with_context(|| format!("no busybox in {0}: remove {0}", folder.display()))?;
        Ok(Self {
            kernel: folder.join("boot").join(format!("vmlinuz-{release}")),
            release,
            folder,
            busybox,
            modprobe,
            qemu,
        })
    }

    pub(super) fn modules(&self) -> PathBuf {
        self.folder.join("lib/modules").join(&self.release)
    }
}

fn unable(why: impl Into<String>) -> anyhow::Error {
    Unable(why.into()).into()
}

/// A program on `PATH`, or where only root's `PATH` has it.
fn program(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|place| place.is_file())
        .ok_or_else(|| {
            unable(format!(
                "there is no {name}; `ci/setup --test` as root installs it (Debian's package {package})"
            ))
        })
}

/// Unpacks the packages into a folder of their own beside `folder`, which it becomes once it is whole.
fn fetch(lab: &Path, folder: &Path) -> Result<()> {
    for (name, package) in [("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg-deb", "dpkg")] {
        program(name, package).map_err(|_| {
            unable(format!(
                "there is no {name}: the guest's kernel comes as a package of Debian's"
            ))
        })?;
    }
    fs::create_dir_all(lab)?;
    let new = tempfile::tempdir_in(lab)?;
    let kernel = newest_kernel()?;
    println!("vm: fetching {kernel} and {BUSYBOX} (about 110 MB) into target/lab");
    if let Err(error) = download(new.path(), &kernel) {
        // The lists may be older than what the server still has, or than Debian's newest kernel.
        if rustix::process::geteuid().is_root() {
            apt(Command::new("apt-get").arg("update"))?;
            download(new.path(), &newest_kernel()?)?;
        } else {
            return Err(error);
        }
    }
    let root = new.path().join("root");
    for entry in fs::read_dir(new.path())? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&root))?;
        }
    }
    // Packages since Debian 13 have `usr/lib` only.
    if !root.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", root.join("lib"))?;
    }
    for release in fs::read_dir(root.join("lib/modules"))? {
        let depmod = program("depmod", "kmod")?;
        run(Command::new(depmod)
            .arg("--basedir")
            .arg(&root)
            .arg(release?.file_name()))?;
    }
    fs::rename(&root, folder).with_context(|| format!("{} cannot be made", folder.display()))
}

/// The name of the package that has the kernel: those in [`KERNELS`] only depend on it.
fn newest_kernel() -> Result<String> {
    for name in KERNELS {
        let output = Command::new("apt-cache").args(["depends", name]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kernel = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|package| package.starts_with("linux-image-"));
        if let Some(kernel) = kernel {
            return Ok(kernel.to_owned());
        }
    }
    Err(unable(format!(
        "apt knows neither {} nor {}: on Debian `apt-get update` mends that, other systems have no such package",
        KERNELS[0], KERNELS[1]
    )))
}

fn download(folder: &Path, kernel: &str) -> Result<()> {
    apt(Command::new("apt-get")
        .args(["download", kernel, BUSYBOX])
        .current_dir(folder))
}

/// Runs apt; that it fails says something about this machine and its network.
fn apt(command: &mut Command) -> Result<()> {
    run(command).map_err(|error| unable(format!("{error:#}")))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} could not be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!("{command:?} failed: {}", said.trim_end());
    }
    Ok(())
}
