//! What the kernel says a process uses.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::process::Child;

/// A child that is measured, and does not outlive this.
pub struct Process(Child);

/// What it has used so far, and what it holds.
pub struct Sample {
    /// On a CPU, all threads together.
    pub cpu_ns: u64,
    /// Resident memory.
    pub memory_kib: u64,
    /// By thread.
    pub threads: BTreeMap<u32, Thread>,
}

/// One thread.
pub struct Thread {
    /// As it named itself: 15 characters.
    pub name: String,
    /// On a CPU.
    pub cpu_ns: u64,
}

impl Process {
    /// Watches `child`.
    pub fn watch(child: Child) -> Self {
        Self(child)
    }

    /// Whether it has not ended.
    pub fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
    }

    /// What it uses now.
    pub fn sample(&self) -> Sample {
        let root = format!("/proc/{}", self.0.id());
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("{root}/task")).unwrap().flatten() {
            // One that ended meanwhile is left out.
            let (Ok(id), Ok(name), Ok(used)) = (
                task.file_name().to_string_lossy().parse(),
                fs::read_to_string(task.path().join("comm")),
                fs::read_to_string(task.path().join("schedstat")),
            ) else {
                continue;
            };
            let cpu_ns = used.split(' ').next().unwrap().parse().unwrap();
            let name = name.trim().to_owned();
            threads.insert(id, Thread { name, cpu_ns });
        }
        let stat = fs::read_to_string(format!("{root}/stat")).unwrap();
        // Fields 14 and 15 of proc(5), in hundredths of a second; the name before may hold anything.
        let ticks: Vec<u64> = stat
            .rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .skip(11)
            .take(2)
            .map(|n| n.parse().unwrap())
            .collect();
        let status = fs::read_to_string(format!("{root}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Sample {
            cpu_ns: ticks.iter().sum::<u64>() * 10_000_000,
            memory_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            threads,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
