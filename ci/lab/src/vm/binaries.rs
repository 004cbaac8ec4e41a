//! The test binaries that run inside: every integration test target of the workspace that is named [`TARGET`].

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::guest;

const TARGET: &str = "kernel";

/// One built test target.
#[derive(Debug)]
pub(super) struct Binary {
    /// The folder of its package, which is where cargo runs tests.
    folder: PathBuf,
    executable: PathBuf,
}

/// The part of cargo's message on something it built that matters here.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

/// Builds them with the features that `cargo nextest run --workspace` builds tests with, so that each is built once.
pub(super) fn build(root: &Path) -> Result<Vec<Binary>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "test",
            "--no-run",
            "--workspace",
            "--locked",
            "--quiet",
            "--test",
            TARGET,
        ])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo could not be started")?;
    if !output.status.success() {
        bail!("the tests for the virtual machine do not build, see above");
    }
    let mut binaries = Vec::new();
    for line in output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let message: Message = serde_json::from_slice(line).context("cargo printed something unexpected")?;
        if message.reason == "compiler-artifact"
            && message.target.is_some_and(|target| target.name == TARGET)
            && let (Some(executable), Some(manifest)) = (message.executable, message.manifest_path)
            && let Some(folder) = manifest.parent()
        {
            binaries.push(Binary {
                folder: folder.to_owned(),
                executable,
            });
        }
    }
    binaries.sort_by(|a, b| a.folder.cmp(&b.folder));
    if binaries.is_empty() {
        bail!("cargo built no test target named {TARGET}");
    }
    Ok(binaries)
}

/// The packages by their folders, for people.
pub(super) fn names(binaries: &[Binary]) -> String {
    let names: Vec<String> = binaries
        .iter()
        .map(|binary| {
            let folder = binary.folder.file_name().unwrap_or_default();
            format!("{}/tests/{TARGET}.rs", folder.to_string_lossy())
        })
        .collect();
    names.join(", ")
}

/// The shell script that runs them inside, one after the other and each to its end. Its status says whether all of
/// them passed and the kernel wrote of no fault of its own.
pub(super) fn guest_command(binaries: &[Binary]) -> String {
    let mut script = format!(
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root RUST_BACKTRACE=1 {}=1\n\
         status=0\n",
        guest::MARK
    );
    for binary in binaries {
        let _ = writeln!(
            script,
            "cd {} && {} --test-threads=1 --nocapture || status=1",
            quoted(&binary.folder),
            quoted(&binary.executable),
        );
    }
    script.push_str(
        "if dmesg | grep -E 'BUG:|Oops|WARNING:|Call Trace'; then echo 'vm: the kernel complained, see above'; \
         status=1; fi\n\
         sed -n 's/^MemAvailable: */vm: memory left at the end: /p' /proc/meminfo\n\
         exit $status\n",
    );
    script
}

/// A path as one word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_one_word_of_the_shell() {
        let path = "a folder/with 'quotes' and $signs";
        let script = format!("printf %s {}", quoted(Path::new(path)));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), path);
    }
}
