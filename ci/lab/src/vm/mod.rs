//! The VM lane: tests against the kernel's own drivers, in a stock Debian kernel under qemu.
//!
//! The guest has the host's root read-only over 9p with a layer in memory above it, so that a test binary just built
//! runs in there as it stands. One processor, emulated: nothing in there may assert how long something takes.
//!
//! Every integration test target named `kernel` in this workspace runs in one boot, its tests one at a time.
//! [`guest`](crate::guest) and [`usb`](crate::usb) are what they make their devices with:
//!
//! ```no_run
//! use sensebind_lab::guest;
//! use sensebind_lab::usb::uvc::{Camera, Mode, Pixels};
//! use sensebind_lab::usb::vhci;
//!
//! # fn main() -> std::io::Result<()> {
//! if !guest::inside("a_thermal_camera_is_read") {
//!     return Ok(());
//! }
//! let camera = Camera::new("serial", vec![Mode::new(Pixels::Y16, 160, 120, 9)], |mode, number, frame| {
//!     frame.resize(mode.frame_bytes(), number.to_le_bytes()[0]);
//! });
//! let cable = vhci::plug(0, camera)?;
//! let node = cable.node("video")?;
//! println!("read frames from {}", node.display());
//! let camera = cable.pull()?;
//! let cable = vhci::plug(0, camera)?;
//! # Ok(())
//! # }
//! ```

mod binaries;
mod debian;
mod initramfs;
mod machine;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use self::debian::Guest;
use self::machine::Outcome;

/// Bound on one boot with all its tests; a quiet machine needs a tenth of it.
const LIMIT: Duration = Duration::from_secs(300);

/// How the lane ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every test passed.
    Passed,
    /// A test failed, or the kernel complained in its log: see the output.
    Failed,
    /// This machine cannot run the lane, and why.
    Skipped(String),
}

/// What this machine lacks to run the lane, with the remedy.
#[derive(Debug)]
struct Unable(String);

impl fmt::Display for Unable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unable {}

/// Runs the lane for the workspace at `root`, printing as it goes. Blocks for a minute or so, ten at most.
///
/// # Errors
/// Where the tests do not build, or the virtual machine failed twice: trouble of its own is tried again once, a failed
/// test never.
pub fn run(root: &Path) -> Result<Verdict> {
    let guest = match Guest::find(&root.join("target/lab")) {
        Ok(guest) => guest,
        Err(error) => {
            return match error.downcast::<Unable>() {
                Ok(Unable(why)) => Ok(Verdict::Skipped(why)),
                Err(error) => Err(error),
            };
        }
    };
    let binaries = binaries::build(root)?;
    let command = binaries::guest_command(&binaries);
    println!("vm: {} in qemu, kernel {}", binaries::names(&binaries), guest.release);
    let mut outcome = machine::run(&guest, &command, LIMIT)?;
    if let Outcome::Trouble(trouble) = outcome {
        println!("vm: trouble of the virtual machine, not of a test: {trouble}\nvm: trying once more");
        outcome = machine::run(&guest, &command, LIMIT)?;
    }
    match outcome {
        Outcome::Exited(0) => Ok(Verdict::Passed),
        Outcome::Exited(_) => Ok(Verdict::Failed),
        Outcome::Trouble(trouble) => anyhow::bail!("the virtual machine failed twice; the second time: {trouble}"),
    }
}
