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

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// Absent for a crate of this workspace.
    source: Option<String>,
}

/// Checks every crate that a build for one of our targets can contain.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let text =
        fs::read_to_string(workspace.root.join("deny.toml")).context("deny.toml cannot be read")?;
    let policy: Policy = toml::from_str(&text).context("deny.toml")?;
    let mut arguments = Vec::new();
    for target in &policy.graph.targets {
        arguments.extend(["--filter-platform", target]);
    }
    let metadata: Metadata = workspace::metadata(&arguments)?;
    let built: BTreeSet<&str> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| node.id.as_str())
        .collect();
    let packages: Vec<&Package> = metadata
        .packages
        .iter()
        .filter(|package| built.contains(package.id.as_str()))
        .collect();

    let offences = offences(&packages, &policy.licenses)?;
    if !offences.is_empty() {
        bail!("{}", offences.join("\n"));
    }
    println!(
        "  {} crates, every licence allowed by deny.toml",
        packages.len()
    );
    ask_cargo_deny(workspace)
}

fn offences(packages: &[&Package], licences: &Licences) -> Result<Vec<String>> {
    let allowed = licensees(&licences.allow)?;
    let mut exceptions = BTreeMap::new();
    for exception in &licences.exceptions {
        exceptions.insert(exception.name.as_str(), licensees(&exception.allow)?);
    }

    let mut offences = Vec::new();
    for package in packages {
        let crate_ = format!("{} {}", package.name, package.version);
        if package
            .source
            .as_ref()
            .is_some_and(|source| !source.starts_with("registry+"))
        {
            offences.push(format!(
                "{crate_}: comes from no registry, so a fresh machine may not get it"
            ));
        }
        let Some(licence) = &package.license else {
            offences.push(format!("{crate_}: names no licence: use another crate"));
            continue;
        };
        let expression = Expression::parse_mode(licence, ParseMode::LAX)
            .with_context(|| format!("{crate_}: `{licence}` is no SPDX expression"))?;
        let own = exceptions
            .get(package.name.as_str())
            .map_or(&[][..], Vec::as_slice);
        if !expression.evaluate(|wanted| {
            allowed
                .iter()
                .chain(own)
                .any(|licensee| licensee.satisfies(wanted))
        }) {
            offences.push(format!(
                "{crate_}: licence `{licence}` is not allowed: use another crate, or argue an exception in deny.toml"
            ));
        }
    }
    for name in exceptions.keys() {
        if !packages.iter().any(|package| package.name == *name) {
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
        .map(|name| {
            Licensee::parse(name).with_context(|| format!("deny.toml: `{name}` is no SPDX licence"))
        })
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
        println!(
            "  advisories: not checked, cargo-deny is not installed (`cargo install cargo-deny --locked`)"
        );
        return Ok(());
    }
    let mut checks = vec![
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ];
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

    fn package(name: &str, license: Option<&str>) -> Package {
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: Some("registry+somewhere".to_owned()),
        }
    }

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

    fn count(licence: Option<&str>, policy: &Licences) -> usize {
        offences(&[&package("some", licence)], policy)
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
            assert_eq!(count(Some(licence), &policy), offences, "{licence}");
        }
    }

    #[test]
    fn a_crate_without_a_licence_or_registry_is_refused() {
        let policy = policy(&["MIT"], None);
        assert_eq!(count(None, &policy), 1);
        let mut from_git = package("some", Some("MIT"));
        from_git.source = Some("git+somewhere".to_owned());
        assert_eq!(offences(&[&from_git], &policy).unwrap().len(), 1);
    }

    #[test]
    fn an_exception_holds_for_its_crate_only_and_may_not_outlive_it() {
        let some = policy(&["MIT"], Some(("some", "MPL-2.0")));
        assert_eq!(count(Some("MPL-2.0"), &some), 0);
        let other = policy(&["MIT"], Some(("other", "MPL-2.0")));
        assert_eq!(
            count(Some("MPL-2.0"), &other),
            2,
            "refused, and the exception for `other` is stale"
        );
    }
}
