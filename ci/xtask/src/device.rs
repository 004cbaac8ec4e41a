//! What is built here and runs elsewhere: `sensebind` for 64-bit ARM boards, the chip drivers for a microcontroller.
//!
//! How the binary is built is in `.cargo/aarch64.toml`; what that takes, `ci/setup --device` installs. A machine that
//! lacks it skips the check and says so.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{self, Workspace};

const BOARD: &str = "aarch64-unknown-linux-gnu";
const MICROCONTROLLER: &str = "thumbv7em-none-eabihf";

/// Where `ci/setup` puts the board's libasound.
const ALSA: &str = "target/aarch64-linux/usr/lib/aarch64-linux-gnu/pkgconfig/alsa.pc";

/// What the binary may ask of a board: libraries of every Linux system, and ALSA for the microphone. ONNX Runtime is
/// not among them: it is opened when a pack is.
const LIBRARIES: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "libasound.so.2",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
];

/// Built as in development, and not optimised: whether it builds and starts is what is checked, and optimising what
/// runs nowhere would take most of the time. The size that counts is the release build's.
const UNOPTIMISED: &[&str] = &[
    "--config",
    "profile.dev.opt-level=0",
    "--config",
    "profile.dev.package.\"*\".opt-level=0",
];

/// Builds the binary for a board, reads what it asks of one, and starts it in an emulator.
pub(crate) fn binary(workspace: &Workspace) -> Result<()> {
    if let Some(why) = lacks(workspace)? {
        println!("SKIPPED: the device binary for {BOARD}: {why}");
        return Ok(());
    }
    run_cargo(&mut cargo(workspace, "build"))?;
    let binary = workspace.target_directory.join(BOARD).join("debug/sensebind");
    let object = Object::read(&binary)?;
    object.check()?;
    println!(
        "  {BOARD}: needs {} and glibc {}.{}; {:.1} MB without optimisation, stripped",
        object.libraries.iter().cloned().collect::<Vec<_>>().join(", "),
        object.glibc.0,
        object.glibc.1,
        stripped_mb(&binary)?,
    );
    emulate(workspace)
}

/// Checks the chip drivers for a target without an operating system.
pub(crate) fn microcontroller(workspace: &Workspace) -> Result<()> {
    if !rust_knows(MICROCONTROLLER)? {
        println!("SKIPPED: the chip drivers for {MICROCONTROLLER}: `rustup target add {MICROCONTROLLER}` first");
        return Ok(());
    }
    let mut command = Command::new(workspace::cargo());
    command
        .args([
            "check",
            "--locked",
            "--package",
            "sensebind-chips",
            "--target",
            MICROCONTROLLER,
        ])
        .current_dir(&workspace.root);
    run_cargo(&mut command)
}

fn lacks(workspace: &Workspace) -> Result<Option<&'static str>> {
    Ok(if cfg!(target_arch = "aarch64") {
        Some("this machine is one, and the other steps build for it")
    } else if !rust_knows(BOARD)? {
        Some("`rustup target add aarch64-unknown-linux-gnu` first")
    } else if !starts("aarch64-linux-gnu-gcc") || !starts("aarch64-linux-gnu-objdump") {
        Some("it takes Debian's gcc-aarch64-linux-gnu and libc6-dev-arm64-cross: `ci/setup --device` as root")
    } else if !workspace.root.join(ALSA).exists() {
        Some("there is no libasound for it in target/aarch64-linux: `ci/setup --device`")
    } else {
        None
    })
}

/// Whether Rust's own libraries are installed for a target.
fn rust_knows(target: &str) -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = printed_by(Command::new(rustc).args(["--print", "target-libdir", "--target", target]))?;
    Ok(Path::new(printed.trim_end()).is_dir())
}

fn starts(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn cargo(workspace: &Workspace, verb: &str) -> Command {
    let mut command = Command::new(workspace::cargo());
    command
        .args([
            verb,
            "--config",
            ".cargo/aarch64.toml",
            "--locked",
            "--package",
            "sensebind",
        ])
        .args(UNOPTIMISED)
        .current_dir(&workspace.root);
    command
}

fn run_cargo(command: &mut Command) -> Result<()> {
    let status = command.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("`{command:?}` failed, see above");
    }
    Ok(())
}

/// The words of a person at a board which has no sensor attached. ONNX Runtime does not run in an emulator: nothing
/// here opens a pack.
fn emulate(workspace: &Workspace) -> Result<()> {
    if !starts("qemu-aarch64") {
        println!("SKIPPED: starting the device binary: qemu-aarch64 is not installed (Debian's qemu-user)");
        return Ok(());
    }
    let boards = boards(&workspace.root)?;
    let check: Vec<&OsStr> = ["boards", "check"]
        .iter()
        .map(OsStr::new)
        .chain(boards.iter().map(|board| board.as_os_str()))
        .collect();
    for words in [&["--version"].map(OsStr::new)[..], &check, &["devices"].map(OsStr::new)] {
        run_cargo(cargo(workspace, "run").args(["--quiet", "--"]).args(words))?;
    }
    Ok(())
}

/// The board files that ship, relative to the workspace.
fn boards(root: &Path) -> Result<Vec<PathBuf>> {
    let mut boards = Vec::new();
    for entry in fs::read_dir(root.join("boards")).context("boards/ cannot be read")? {
        let name = PathBuf::from(entry.context("boards/ cannot be read")?.file_name());
        if name.extension().is_some_and(|extension| extension == "toml") {
            boards.push(Path::new("boards").join(name));
        }
    }
    boards.sort_unstable();
    Ok(boards)
}

/// What a binary asks of the machine that it runs on.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    /// As binutils call it.
    format: String,
    libraries: BTreeSet<String>,
    /// The oldest C library with every function that is called: major, minor.
    glibc: (u32, u32),
}

impl Object {
    fn read(binary: &Path) -> Result<Self> {
        let printed = printed_by(Command::new("aarch64-linux-gnu-objdump").arg("-p").arg(binary))?;
        Self::parse(&printed).context("aarch64-linux-gnu-objdump printed something unexpected")
    }

    /// Reads what `objdump -p` prints.
    fn parse(printed: &str) -> Option<Self> {
        let format = printed.lines().find_map(|line| line.split_once("file format "))?.1;
        let words = || printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let libraries = words()
            .filter_map(|words| match words[..] {
                ["NEEDED", library] => Some(library.to_owned()),
                _ => None,
            })
            .collect();
        let glibc = words()
            .filter_map(|words| {
                let (major, minor) = words.last()?.strip_prefix("GLIBC_")?.split_once('.')?;
                // The last number of `2.3.4` says nothing that matters.
                Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
            })
            .max()?;
        Some(Self {
            format: format.trim().to_owned(),
            libraries,
            glibc,
        })
    }

    fn check(&self) -> Result<()> {
        if self.format != "elf64-littleaarch64" {
            bail!("the device binary is {}: expected elf64-littleaarch64", self.format);
        }
        if let Some(other) = self
            .libraries
            .iter()
            .find(|library| !LIBRARIES.contains(&library.as_str()))
        {
            bail!(
                "the device binary needs {other}: expected only {}; link it statically, open it when it is used, or \
                 add it to LIBRARIES of ci/xtask/src/device.rs",
                LIBRARIES.join(", ")
            );
        }
        Ok(())
    }
}

/// The binary's size without symbols, in units of 1e6 bytes. The names of functions in the message of a panic are
/// among them, so what is built keeps them.
fn stripped_mb(binary: &Path) -> Result<f64> {
    let stripped = binary.with_extension("stripped");
    printed_by(
        Command::new("aarch64-linux-gnu-strip")
            .arg("-o")
            .arg(&stripped)
            .arg(binary),
    )?;
    let bytes = fs::metadata(&stripped)
        .context("the stripped binary cannot be read")?
        .len();
    fs::remove_file(&stripped).context("the stripped binary cannot be removed")?;
    Ok(bytes as f64 / 1e6)
}

fn printed_by(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("`{command:?}` could not be started"))?;
    if !output.status.success() {
        bail!(
            "`{command:?}` failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{command:?}` printed something that is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\n/somewhere/sensebind:     file format elf64-littleaarch64\n\nDynamic Section:\n  \
        NEEDED               libasound.so.2\n  NEEDED               libc.so.6\n  STRTAB  0x0000000000000310\n\n\
        Version References:\n  required from libasound.so.2:\n    0x0adc39a4 0x00 02 ALSA_0.9\n  \
        required from libc.so.6:\n    0x06969197 0x00 09 GLIBC_2.17\n    0x069691b4 0x00 03 GLIBC_2.34\n    \
        0x09691974 0x00 04 GLIBC_2.3.4\n";

    #[test]
    fn libraries_and_the_newest_glibc_are_read_from_objdump() {
        let object = Object::parse(PRINTED).unwrap();
        assert_eq!(object.glibc, (2, 34));
        assert_eq!(
            object.libraries,
            ["libasound.so.2", "libc.so.6"].map(str::to_owned).into()
        );
        object.check().unwrap();
    }

    #[test]
    fn another_processor_and_another_library_are_offences() {
        for (from, to) in [
            ("elf64-littleaarch64", "elf64-x86-64"),
            ("libc.so.6", "libonnxruntime.so.1"),
        ] {
            let object = Object::parse(&PRINTED.replacen(from, to, 1)).unwrap();
            let error = object.check().unwrap_err().to_string();
            assert!(error.contains(to), "{error}");
        }
        assert_eq!(Object::parse("objdump: not there"), None);
    }
}
