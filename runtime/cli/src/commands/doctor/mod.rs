//! `sensebind doctor`: what stands between this machine and a run, and what to do about it.
//!
//! One file per thing that is looked at: [`buses`], [`host`], [`models`], [`sensors`]. Nothing is opened that a running
//! Sensebind might hold.

mod buses;
mod host;
mod models;
mod sensors;

use crate::board::{Board, BoardError};
use crate::exit::{Exit, Failure};
use owo_colors::OwoColorize;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What to look at.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board that is to run here: its sensors, pack, providers and recording are checked too.
    #[arg(long, value_name = "FILE")]
    board: Option<PathBuf>,
    /// Print the findings as one JSON array.
    #[arg(long)]
    json: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be, or not needed.
    Ok,
    /// A run starts, but lacks something.
    Warning,
    /// No run starts.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    /// What was looked at, in a word or two.
    check: String,
    /// What was found, and what that means.
    found: String,
    /// What to do: a command where there is one.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            check: check.into(),
            found: found.into(),
            remedy: None,
        }
    }

    fn warning(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::ok(check, found)
        }
    }

    fn problem(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            level: Level::Problem,
            ..Self::ok(check, found)
        }
    }

    fn remedied_by(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut findings = Vec::new();
    let board = args.board.and_then(|file| match read(&file) {
        Ok(board) => Some(board),
        Err(finding) => {
            findings.push(finding);
            None
        }
    });
    if let Some(board) = &board {
        let about = board.description.as_deref().unwrap_or("no description");
        findings.push(Finding::ok(
            "board",
            format!("{}: {about}, {} sensors", board.name, board.sensors.len()),
        ));
        findings.extend(sensors::check(board));
    }
    findings.extend(buses::check(board.is_none()));
    findings.extend(models::check(board.as_ref()));
    findings.extend(host::check(board.as_ref()));
    if args.json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&findings)?)?;
    } else {
        let mut out = anstream::stdout().lock();
        for finding in &findings {
            print(&mut out, finding)?;
        }
    }
    let problems = findings.iter().filter(|f| f.level == Level::Problem).count();
    if problems == 0 {
        return Ok(());
    }
    let what = if problems == 1 {
        "a problem stops".to_owned()
    } else {
        format!("{problems} problems stop")
    };
    Err(Failure::new(Exit::Configuration, format!("{what} a run")))
}

fn read(file: &Path) -> Result<Board, Finding> {
    let refuse = |error: BoardError| {
        Finding::problem("board", error.to_string())
            .remedied_by("correct the file; `sensebind boards check FILE` checks it again")
    };
    let board = Board::load(file).map_err(refuse)?;
    board.check().map_err(refuse)?;
    Ok(board)
}

fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let level = match finding.level {
        Level::Ok => format!("{:<8}", "ok").green().to_string(),
        Level::Warning => format!("{:<8}", "warning").yellow().bold().to_string(),
        Level::Problem => format!("{:<8}", "problem").red().bold().to_string(),
    };
    // What goes on below begins where the first line's text does.
    let found = finding.found.replace('\n', &format!("\n{:24}", ""));
    writeln!(out, "{level} {:<14} {found}", finding.check)?;
    match &finding.remedy {
        Some(remedy) => writeln!(out, "{:24}{} {remedy}", "", "→".bold()),
        None => Ok(()),
    }
}
