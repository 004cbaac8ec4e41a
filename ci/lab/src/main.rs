//! The device lab's command: what `cargo xtask vm` runs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use sensebind_lab::vm::{self, Verdict};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words != ["vm"] {
        bail!("usage: sensebind-lab vm");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("this crate lies in ci/lab of the workspace")?;
    Ok(match vm::run(root)? {
        Verdict::Passed => ExitCode::SUCCESS,
        Verdict::Failed => {
            println!("vm: FAILED, see above");
            ExitCode::FAILURE
        }
        Verdict::Skipped(why) => {
            println!(
                "SKIPPED: the tests against the kernel's own drivers (vivid, uvcvideo, i2c-dev, snd-aloop, IIO): {why}"
            );
            ExitCode::SUCCESS
        }
    })
}
