//! One run of the virtual machine: boots it, prints what its command says, gets the command's exit status back.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::debian::Guest;
use super::initramfs;

/// Several times what the tests were seen to use; what they write to disk is in memory too.
const MEMORY: &str = "512M";

/// `panic=-1` and qemu's `-no-reboot`: a kernel that panics ends the machine at once.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 loglevel=5 panic=-1 mitigations=off nokaslr tsc=reliable";

/// How a run ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The command ran to its end, with this status.
    Exited(i32),
    /// It did not: what went wrong with the machine.
    Trouble(String),
}

/// Boots `guest`, runs the shell script `command` as root inside and prints its output as it comes.
pub(super) fn run(guest: &Guest, command: &str, limit: Duration) -> Result<Outcome> {
    let scratch = tempfile::tempdir()?;
    let place = |name: &str| scratch.path().join(name);
    initramfs::write(&place("initramfs"), guest, command, limit)?;

    // One processor: with two the guest was seen ten times slower on a busy host, and is no faster on a quiet one.
    let mut qemu = Command::new(&guest.qemu);
    qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
        .args([
            "-machine",
            "q35",
            "-accel",
            "tcg,tb-size=256",
            "-cpu",
            "max",
            "-smp",
            "1",
            "-m",
            MEMORY,
        ])
        .arg("-kernel")
        .arg(&guest.kernel)
        .arg("-initrd")
        .arg(place("initramfs"))
        .args(["-append", KERNEL_ARGUMENTS])
        .args([
            "-fsdev",
            "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
        ])
        .args(["-device", "virtio-9p-pci,fsdev=root,mount_tag=host"])
        .args(["-serial", &format!("file:{}", place("console").display())])
        .args(["-serial", "stdio"])
        .args(["-serial", &format!("file:{}", place("status").display())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut running = Running(qemu.spawn().context("qemu could not be started")?);
    let ended = running.print_until_end(limit);
    let qemu_status = running.0.wait()?;

    let trouble = |what: String| Outcome::Trouble(format!("{what}{}", told(&place("console"))));
    let said = fs::read_to_string(place("status")).unwrap_or_default();
    Ok(match said.trim().parse() {
        Ok(status) => Outcome::Exited(status),
        Err(_) if !ended => trouble(format!("no end within {} s", limit.as_secs())),
        Err(_) if !qemu_status.success() => trouble(format!("qemu failed: {qemu_status}")),
        Err(_) => trouble("it ended without a result".to_owned()),
    })
}

/// Twenty lines of the console: from where the kernel says what is wrong, else the last.
fn told(console: &Path) -> String {
    let text = fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let wrong = lines
        .iter()
        .position(|line| ["Kernel panic", "BUG:", "Oops"].iter().any(|word| line.contains(word)));
    let from = wrong.unwrap_or_else(|| lines.len().saturating_sub(20));
    let shown: Vec<&str> = lines.iter().skip(from).take(20).copied().collect();
    format!("; its console says:\n    {}", shown.join("\n    "))
}

/// A qemu that does not outlive this run.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Errors say that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Prints its output until that ends or `limit` is over, when qemu is ended. Whether it ended by itself.
    fn print_until_end(&mut self, limit: Duration) -> bool {
        let lines = self.lines();
        let deadline = now() + limit;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(now())) {
                Ok(line) => println!("{line}"),
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => {
                    // An error says that it has just ended by itself.
                    let _ = self.0.kill();
                    return false;
                }
            }
        }
    }

    /// Its output by lines, from a thread of its own: reading has no time-out.
    fn lines(&mut self) -> Receiver<String> {
        let (sender, receiver) = sync_channel(64);
        if let Some(stdout) = self.0.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        receiver
    }
}

#[expect(clippy::disallowed_methods, reason = "the bound on a virtual machine is wall time")]
fn now() -> Instant {
    Instant::now()
}
