//! The licences of everything we build on, against `deny.toml`.
//!
//! cargo-deny reads the same file and does more, but takes long to build and, for advisories, a database from a host
//! that a build machine may not reach. So the licences are checked here, always; what only cargo-deny can tell is
//! asked of it where it is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::ci::path_with_tools;
use crate::workspace::{self, Workspace};

/// The parts of `deny.toml` that this check reads.
#[derive(Debug, Deserialize)]
struct Policy {
    graph: Graph,
    licenses: Licences,
}

#[derive(Debug, Deserialize)]
struct Graph {
    /// The targets we build for: what only other ones need is never built.
    targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences allowed to one crate.
#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// One line of `cargo tree`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    /// Empty where the crate names none.
    licence: String,
    from_git: bool,
}

/// Checks every crate that a build for one of our targets contains.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let text = fs::read_to_string(workspace.root.join("deny.toml")).context("deny.toml cannot be read")?;
    let policy: Policy = toml::from_str(&text).context("deny.toml")?;
    let mut crates = BTreeSet::new();
    for target in &policy.graph.targets {
        crates.extend(crates_built_for(target, workspace)?);
    }
    let offences = offences(&crates, &policy.licenses)?;
    if !offences.is_empty() {
        bail!("{}", offences.join("\n"));
    }
    println!("  {} crates, every licence allowed by deny.toml", crates.len());
    ask_cargo_deny(workspace)
}

/// `cargo tree` and not `cargo metadata`: that one lists optional crates too which no feature of ours turns on.
fn crates_built_for(target: &str, workspace: &Workspace) -> Result<BTreeSet<Crate>> {
    let output = Command::new(workspace::cargo())
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--prefix",
            "none",
            "--target",
            target,
            "--format",
            "{p}\t{l}",
        ])
        .current_dir(&workspace.root)
        .output()
        .context("cargo could not be started")?;
    if !output.status.success() {
        bail!(
            "cargo tree failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    let text = String::from_utf8(output.stdout).context("cargo tree printed something that is not UTF-8")?;
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| read_line(line).with_context(|| format!("cargo tree printed something unexpected: `{line}`")))
        .collect()
}

/// `name v1.2.3 (where from)<tab>licence (*)`, both brackets optional.
fn read_line(line: &str) -> Option<Crate> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split_whitespace();
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    let licence = licence.trim_end_matches("(*)").trim().to_owned();
    Some(Crate {
        name,
        version,
        licence,
        from_git: package.contains("://"),
    })
}

fn offences(crates: &BTreeSet<Crate>, licences: &Licences) -> Result<Vec<String>> {
    let allowed = licensees(&licences.allow)?;
    let mut exceptions = BTreeMap::new();
    for exception in &licences.exceptions {
        exceptions.insert(exception.name.as_str(), licensees(&exception.allow)?);
    }

    let mut offences = Vec::new();
    for Crate {
        name,
        version,
        licence,
        from_git,
    } in crates
    {
        if *from_git {
            offences.push(format!(
                "{name} {version}: comes from no registry, so a fresh machine may not get it"
            ));
        }
        if licence.is_empty() {
            offences.push(format!("{name} {version}: names no licence: use another crate"));
            continue;
        }
        let expression = Expression::parse_mode(licence, ParseMode::LAX)
            .with_context(|| format!("{name} {version}: `{licence}` is no SPDX expression"))?;
        let own = exceptions.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        if !expression.evaluate(|wanted| allowed.iter().chain(own).any(|licensee| licensee.satisfies(wanted))) {
            offences.push(format!(
                "{name} {version}: licence `{licence}` is not allowed: use another crate, or argue an exception in \
                 deny.toml"
            ));
        }
    }
    for name in exceptions.keys() {
        if !crates.iter().any(|one| one.name == *name) {
            offences.push(format!(
                "{name}: deny.toml has an exception for it, but nothing uses it: remove that"
            ));
        }
    }
    Ok(offences)
}

fn licensees(names: &[String]) -> Result<Vec<Licensee>> {
    names
        .iter()
        .map(|name| Licensee::parse(name).with_context(|| format!("deny.toml: `{name}` is no SPDX licence")))
        .collect()
}

/// Known vulnerabilities, yanked versions, bans: cargo-deny's part, where it is installed.
fn ask_cargo_deny(workspace: &Workspace) -> Result<()> {
    let path = path_with_tools(workspace)?;
    let cargo_deny = |arguments: &[&str]| {
        let mut command = Command::new(workspace::cargo());
        command
            .arg("deny")
            .args(arguments)
            .current_dir(&workspace.root)
            .env("PATH", &path)
            .stdin(Stdio::null());
        command
    };
    let works = |mut command: Command| {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !works(cargo_deny(&["--version"])) {
        println!("  advisories: not checked, cargo-deny is not installed (`cargo install cargo-deny --locked`)");
        return Ok(());
    }
    let mut checks = vec!["check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    if works(cargo_deny(&["fetch", "db"])) {
        checks.push("advisories");
    } else {
        println!("  advisories: not checked, their database cannot be reached from this machine");
    }
    if !cargo_deny(&checks)
        .status()
        .context("cargo-deny could not be started")?
        .success()
    {
        bail!("`cargo deny {}` failed, see above", checks.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], exception: Option<(&str, &str)>) -> Licences {
        Licences {
            allow: allow.iter().map(|&name| name.to_owned()).collect(),
            exceptions: exception
                .map(|(name, allow)| Exception {
                    name: name.to_owned(),
                    allow: vec![allow.to_owned()],
                })
                .into_iter()
                .collect(),
        }
    }

    fn count(licence: &str, policy: &Licences) -> usize {
        let line = format!("some v1.0.0\t{licence}");
        offences(&BTreeSet::from([read_line(&line).unwrap()]), policy)
            .unwrap()
            .len()
    }

    #[test]
    fn one_allowed_branch_of_an_expression_is_enough_and_every_joined_one_is_needed() {
        let policy = policy(&["MIT", "Unicode-3.0"], None);
        for (licence, offences) in [
            ("MIT", 0),
            ("MIT OR GPL-3.0-only", 0),
            ("MIT/Apache-2.0", 0),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", 0),
            ("GPL-3.0-only", 1),
            ("MIT AND GPL-3.0-only", 1),
            ("Apache-2.0 WITH LLVM-exception", 1),
        ] {
            assert_eq!(count(licence, &policy), offences, "{licence}");
        }
    }

    #[test]
    fn a_crate_without_a_licence_or_registry_is_refused() {
        let policy = policy(&["MIT"], None);
        assert_eq!(count("", &policy), 1);
        let from_git = read_line("some v1.0.0 (https://example.com/some#0123abcd)	MIT").unwrap();
        assert_eq!(offences(&BTreeSet::from([from_git]), &policy).unwrap().len(), 1);
    }

    #[test]
    fn an_exception_holds_for_its_crate_only_and_may_not_outlive_it() {
        let some = policy(&["MIT"], Some(("some", "MPL-2.0")));
        assert_eq!(count("MPL-2.0", &some), 0);
        let other = policy(&["MIT"], Some(("other", "MPL-2.0")));
        assert_eq!(
            count("MPL-2.0", &other),
            2,
            "refused, and the exception for `other` is stale"
        );
    }

    #[test]
    fn lines_of_cargo_tree_are_read_with_and_without_their_brackets() {
        for (line, licence) in [
            ("toml v1.1.2+spec-1.1.0\tMIT OR Apache-2.0", "MIT OR Apache-2.0"),
            (
                "serde_derive v1.0.229 (proc-macro)\tMIT OR Apache-2.0 (*)",
                "MIT OR Apache-2.0",
            ),
            ("ours v0.1.0 (/somewhere/runtime)\t", ""),
        ] {
            let read = read_line(line).unwrap();
            assert_eq!((read.licence.as_str(), read.from_git), (licence, false), "{line}");
        }
        assert_eq!(read_line("warning: nothing to print."), None);
    }
}
