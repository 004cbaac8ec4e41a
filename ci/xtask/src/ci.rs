//! The steps of `cargo xtask ci`, in order: cheap ones first, the tests last so that their count closes the output.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::workspace::{self, Workspace};
use crate::{arrows, device, docs, licences};

struct Step {
    name: &'static str,
    about: &'static str,
    does: Does,
}

enum Does {
    /// `cargo` with these arguments, in the workspace root.
    Cargo(&'static [&'static str]),
    /// A check of our own; prints what it saw.
    Check(fn(&Workspace) -> Result<()>),
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        about: "rustfmt changes no file; `cargo fmt --all` mends those listed",
        does: Does::Cargo(&["fmt", "--all", "--", "--check", "--files-with-diff"]),
    },
    Step {
        name: "arrows",
        about: "each crate uses only what the table in ci/xtask/src/arrows.rs lets it use",
        does: Does::Check(arrows::check),
    },
    Step {
        name: "licences",
        about: "every dependency's licence is allowed by deny.toml; advisories where cargo-deny is installed",
        does: Does::Check(licences::check),
    },
    Step {
        name: "docs",
        about: "the documents name only files and commands that exist, and no text a path of one machine",
        does: Does::Check(docs::check),
    },
    Step {
        name: "clippy",
        about: "clippy finds nothing, in all targets",
        does: Does::Cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    },
    Step {
        name: "doctests",
        about: "the examples in the documentation run",
        does: Does::Cargo(&["test", "--doc", "--workspace", "--locked", "--quiet"]),
    },
    Step {
        name: "microcontroller",
        about: "the chip drivers compile where there is no operating system; skipped where Rust has no such target",
        does: Does::Check(device::microcontroller),
    },
    Step {
        name: "device",
        about: "the binary builds for a 64-bit ARM board and starts in an emulator; skipped where it cannot be built",
        does: Does::Check(device::binary),
    },
    Step {
        name: "vm",
        about: "our drivers against the kernel's own, in a virtual machine; skipped where none can run",
        does: Does::Cargo(&[
            "run",
            "--quiet",
            "--locked",
            "--package",
            "sensebind-lab",
            "--bin",
            "sensebind-lab",
            "--",
            "vm",
        ]),
    },
    Step {
        name: "tests",
        about: "unit and integration tests, by nextest",
        does: Does::Cargo(&["nextest", "run", "--workspace", "--locked", "--profile", "ci"]),
    },
];

/// What `cargo xtask help` prints.
pub(crate) fn usage() -> String {
    let mut text =
        String::from("cargo xtask ci              all of these, in this order; stops at the first that fails\n");
    for step in STEPS {
        let _ = writeln!(text, "cargo xtask {:<15} {}", step.name, step.about);
    }
    text
}

/// Whether `cargo xtask <name>` is a command.
pub(crate) fn is_command(name: &str) -> bool {
    matches!(name, "ci" | "help") || STEPS.iter().any(|step| step.name == name)
}

/// Runs every step, stopping at the first failure.
pub(crate) fn all() -> Result<()> {
    let workspace = Workspace::read()?;
    let mut total = Duration::ZERO;
    for step in STEPS {
        total += run(step, &workspace)?;
    }
    println!("ci: all {} steps passed in {:.1} s", STEPS.len(), total.as_secs_f64());
    Ok(())
}

/// Runs one step by its name.
pub(crate) fn one(name: &str) -> Result<()> {
    let Some(step) = STEPS.iter().find(|step| step.name == name) else {
        bail!("there is no `cargo xtask {name}`\n\n{}", usage());
    };
    run(step, &Workspace::read()?).map(drop)
}

fn run(step: &Step, workspace: &Workspace) -> Result<Duration> {
    println!("ci: {} ({})", step.name, step.about);
    #[expect(clippy::disallowed_methods, reason = "a step's wall time is what is printed")]
    let started = Instant::now();
    let outcome = match step.does {
        Does::Cargo(arguments) => cargo(arguments, workspace),
        Does::Check(check) => check(workspace),
    };
    let took = started.elapsed();
    match outcome {
        Ok(()) => {
            println!("ci: {} passed in {:.1} s\n", step.name, took.as_secs_f64());
            Ok(took)
        }
        Err(error) => bail!(
            "{error:#}\n\nci: {name} FAILED after {:.1} s; `cargo xtask {name}` runs it alone",
            took.as_secs_f64(),
            name = step.name,
        ),
    }
}

fn cargo(arguments: &[&str], workspace: &Workspace) -> Result<()> {
    let status = Command::new(workspace::cargo())
        .args(arguments)
        .current_dir(&workspace.root)
        .env("PATH", path_with_tools(workspace)?)
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("`cargo {}` failed, see above", arguments.join(" "));
    }
    Ok(())
}

/// `PATH` with the tools that `ci/setup` builds where the machine has none, which the machine's own go before.
pub(crate) fn path_with_tools(workspace: &Workspace) -> Result<OsString> {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let tools = workspace.root.join("target/tools/bin");
    std::env::join_paths(std::env::split_paths(&inherited).chain([tools]))
        .context("PATH cannot be extended by target/tools/bin")
}
