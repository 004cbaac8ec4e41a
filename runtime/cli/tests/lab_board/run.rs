//! The real binary, and what it says while it runs.

use rustix::process::{Pid, Signal, kill_process};
use sensebind_core::{Clock, Timestamp};
use sensebind_drivers::host_clock::HostClock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Models are loaded and sensors opened within this, also where everything is slow.
const START: Duration = Duration::from_secs(60);
/// From the signal to the end of the process.
const ENDING: Duration = Duration::from_secs(30);

/// A change of state as it was told.
#[derive(Debug, Clone)]
pub struct Change {
    /// Whose.
    pub stream: String,
    /// To what.
    pub state: String,
    /// Why.
    pub why: String,
    at: Timestamp,
}

/// What may be waited for, and how long.
#[derive(Debug)]
pub struct Waiting {
    since: Timestamp,
    at_most: Duration,
}

impl Waiting {
    /// For something that follows what happened at `since`.
    pub fn since(since: Timestamp, at_most: Duration) -> Self {
        Self { since, at_most }
    }

    /// For something from the start on.
    pub fn for_start() -> Self {
        Self::since(HostClock::start().now(), START)
    }
}

/// Where everything stood before something was done to one sensor.
#[derive(Debug)]
pub struct Quiet {
    changes: usize,
    missed: BTreeMap<String, u64>,
}

/// A run and all that it has said.
pub struct Run {
    child: Child,
    lines: Receiver<Value>,
    clock: HostClock,
    changes: Vec<Change>,
    begun: Vec<(String, Timestamp)>,
    /// The latest status, by stream.
    status: BTreeMap<String, Value>,
    statuses: u64,
    summary: Option<Value>,
}

impl Run {
    /// Runs `board`, with a sound system of its own.
    pub fn start(board: &Path, alsa_config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sensebind"))
            .args(["run", "--json", "--board"])
            .arg(board)
            .env("ALSA_CONFIG_PATH", alsa_config)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = sync_channel(1 << 14);
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).expect("every line is JSON");
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            clock: HostClock::start(),
            changes: Vec::new(),
            begun: Vec::new(),
            status: BTreeMap::new(),
            statuses: 0,
            summary: None,
        }
    }

    /// Now, on the clock of the run.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Listens until `until`.
    pub fn go_on_until(&mut self, until: Timestamp) {
        while self.listen(until) {}
    }

    /// Waits for `stream` to change to `state`.
    pub fn state(&mut self, stream: &str, state: &str, waiting: &Waiting) -> Change {
        let until = waiting.since.after(waiting.at_most);
        loop {
            let told = self
                .changes
                .iter()
                .find(|change| change.stream == stream && change.state == state && change.at >= waiting.since);
            if let Some(told) = told {
                let took = told.at.since(waiting.since);
                assert!(took <= waiting.at_most, "{stream} {state} after {took:?}");
                eprintln!("{stream} {state} after {took:.2?}: {}", told.why);
                return told.clone();
            }
            assert!(
                self.listen(until),
                "{stream} is not {state} after {:?}; {:#?}",
                waiting.at_most,
                self.changes
            );
        }
    }

    /// Waits until `stream` runs, if it does not.
    pub fn all_running(&mut self, stream: &str) {
        let until = self.now().after(START);
        while self.latest(stream) != Some("running") {
            assert!(self.listen(until), "{stream} does not run: {:#?}", self.changes);
        }
    }

    fn latest(&self, stream: &str) -> Option<&str> {
        let changes = self.changes.iter().rev();
        let mut own = changes.filter(|change| change.stream == stream);
        own.next().map(|change| change.state.as_str())
    }

    /// Remembers how things are, with a status that is news.
    pub fn quiet(&mut self) -> Quiet {
        self.next_status();
        Quiet {
            changes: self.changes.len(),
            missed: self.missed(),
        }
    }

    /// Nothing has happened since to any sensor but `stream`.
    pub fn others_never_noticed(&mut self, stream: &str, since: &Quiet) {
        self.next_status();
        let noticed: Vec<_> = self.changes[since.changes..]
            .iter()
            .filter(|change| change.stream != stream)
            .collect();
        assert!(noticed.is_empty(), "while {stream} was away: {noticed:#?}");
        for (name, before) in &since.missed {
            let now = self.missed()[name];
            assert!(
                name == stream || now == *before,
                "{name} missed {} frames",
                now - before
            );
        }
    }

    fn missed(&self) -> BTreeMap<String, u64> {
        let missed = |status: &Value| status["missed"].as_u64().unwrap();
        self.status
            .iter()
            .map(|(name, status)| (name.clone(), missed(status)))
            .collect()
    }

    fn next_status(&mut self) {
        let (before, until) = (self.statuses, self.now().after(START));
        while self.statuses == before {
            assert!(self.listen(until), "no status any more");
        }
    }

    /// Takes in one line; whether one came before `until`.
    fn listen(&mut self, until: Timestamp) -> bool {
        let left = until.since(self.now());
        if left.is_zero() {
            return false;
        }
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                self.take_in(line);
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => panic!("it ended early: {:?}", self.child.wait()),
        }
    }

    fn take_in(&mut self, line: Value) {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let time = |key: &str| Timestamp::from_nanos(line[key].as_u64().unwrap());
        match text("type").as_str() {
            "health" => self.changes.push(Change {
                stream: text("stream"),
                state: text("state"),
                why: text("why"),
                at: time("at_ns"),
            }),
            "status" => {
                self.statuses += 1;
                for stream in line["streams"].as_array().unwrap() {
                    assert_balanced(stream);
                    self.status
                        .insert(stream["stream"].as_str().unwrap().to_owned(), stream.clone());
                }
            }
            "begin" => self.begun.push((text("label"), time("start_ns"))),
            "summary" => self.summary = Some(line),
            _ => {}
        }
    }

    /// Asks it to end: its exit code and summary.
    pub fn end(&mut self) -> (i32, Value) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let until = self.now().after(ENDING);
        while self.summary.is_none() {
            assert!(self.listen(until), "no summary");
        }
        while self.child.try_wait().unwrap().is_none() {
            assert!(self.now() < until, "it does not end");
            self.clock.wait_until(self.now().after(Duration::from_millis(20)));
        }
        let code = self.child.wait().unwrap().code().expect("ended by itself");
        (code, self.summary.take().unwrap())
    }

    /// Events that have begun: what, and when it did.
    pub fn events(&self) -> &[(String, Timestamp)] {
        &self.begun
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn assert_balanced(stream: &Value) {
    let count = |key: &str| stream[key].as_u64().unwrap();
    let dropped: u64 = stream["dropped"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(
        count("captured"),
        count("processed") + dropped + count("pending"),
        "{stream}"
    );
}
