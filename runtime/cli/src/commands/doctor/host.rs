//! The machine itself: clocks, disk, processor.

use super::Finding;
use crate::board::{Board, RecordTable};
use rustix::fs::{Access, access, statvfs};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::path::Path;

/// 2024-01-01, seconds of Unix time. A device without a battery clock wakes up before.
const SANE_TIME_S: i64 = 1_704_067_200;
/// Where systemd-timesyncd says that it runs, and that it reached a server.
const TIME_SYNC: &str = "/run/systemd/timesync";
/// The kernel's time source.
const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
/// How the first core sets its clock frequency.
const CPU_FREQUENCY: &str = "/sys/devices/system/cpu/cpu0/cpufreq";
/// Less free space than this is soon none, bytes. An hour of five senses is about 1.4 GB.
const LITTLE_SPACE: u64 = 2_000_000_000;

/// What the machine has to show.
pub fn check(board: Option<&Board>) -> Vec<Finding> {
    let mut findings = vec![monotonic_clock(), wall_clock()];
    findings.extend(governor());
    findings.extend(board.map(|board| match &board.record {
        Some(record) => disk(record),
        None => Finding::ok("recording", "off"),
    }));
    findings
}

fn monotonic_clock() -> Finding {
    let source = fs::read_to_string(CLOCK_SOURCE).unwrap_or_default();
    let source = match source.trim() {
        "" => "source unknown",
        source => source,
    };
    let before = clock_gettime(ClockId::Monotonic);
    let after = clock_gettime(ClockId::Monotonic);
    if (after.tv_sec, after.tv_nsec) < (before.tv_sec, before.tv_nsec) {
        let found = format!("the monotonic clock went back ({source}): capture times would be wrong");
        return Finding::problem("clock", found)
            .remedied_by("boot with another clock source (kernel option clocksource=)");
    }
    Finding::ok("clock", format!("monotonic, {source}"))
}

fn wall_clock() -> Finding {
    let now = clock_gettime(ClockId::Realtime);
    let remedy = "sudo timedatectl set-ntp true";
    if now.tv_sec < SANE_TIME_S {
        let found = "the wall clock is before 2024: logs would carry a wrong date; events do not depend on it";
        return Finding::warning("wall clock", found).remedied_by(remedy);
    }
    let folder = Path::new(TIME_SYNC);
    if folder.join("synchronized").exists() {
        Finding::ok("wall clock", "synchronised")
    } else if folder.exists() {
        Finding::warning("wall clock", "not synchronised yet: the date in logs may be off").remedied_by(remedy)
    } else {
        Finding::ok("wall clock", "set; whether it is synchronised is unknown")
    }
}

/// A governor that keeps the processor slow; where the hardware decides, its name means something else.
fn governor() -> Option<Finding> {
    let read = |file: &str| fs::read_to_string(Path::new(CPU_FREQUENCY).join(file)).ok();
    let (governor, driver) = (read("scaling_governor")?, read("scaling_driver")?);
    let (governor, driver) = (governor.trim(), driver.trim());
    let found = format!("governor {governor} ({driver})");
    let slow = governor == "powersave" && !driver.contains("pstate");
    Some(if slow {
        Finding::warning("processor", format!("{found}: stays at its lowest frequency"))
            .remedied_by("echo schedutil | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")
    } else {
        Finding::ok("processor", found)
    })
}

/// Recording that fails never stops detection, so nothing here is a problem.
fn disk(record: &RecordTable) -> Finding {
    let check = "recording";
    let folder = record.path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let found = format!("{} is no folder: nothing would be recorded", folder.display());
        return Finding::warning(check, found).remedied_by(format!("mkdir -p {}", folder.display()));
    }
    if access(folder, Access::WRITE_OK).is_err() {
        let found = format!(
            "{}: this user may not write there: nothing would be recorded",
            folder.display()
        );
        return Finding::warning(check, found).remedied_by(format!("sudo chown $USER {}", folder.display()));
    }
    let free = match statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(e) => return Finding::warning(check, format!("{}: free space unknown: {e}", folder.display())),
    };
    let found = format!("{}: {:.1} GB free", record.path.display(), free as f64 / 1e9);
    let wanted = record.max_bytes.unwrap_or(LITTLE_SPACE);
    if free < wanted {
        let found = format!(
            "{found}, {:.1} GB wanted: recording would stop early",
            wanted as f64 / 1e9
        );
        return Finding::warning(check, found)
            .remedied_by("free space there, or set `max_bytes` or another `path` in [record]");
    }
    Finding::ok(check, found)
}
