//! Which crate may use which: the direction data flows, held as one table.
//!
//! The compiler refuses cycles; it does not refuse an engine that opens a camera. This does.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::fences;
use crate::workspace::{Kind, Package, Workspace};

/// One crate of ours and what it may use.
struct Row {
    name: &'static str,
    /// Crates of ours that it, or its build script, may depend on.
    uses: &'static [&'static str],
    /// Crates of ours that only its tests, examples and benchmarks may use besides.
    tests_use: &'static [&'static str],
}

const TABLE: &[Row] = &[
    Row {
        name: "sensebind-core",
        uses: &[],
        tests_use: &[],
    },
    Row {
        name: "sensebind-scene",
        uses: &[],
        tests_use: &[],
    },
    Row {
        name: "sensebind-chips",
        uses: &[],
        tests_use: &["sensebind-lab"],
    },
    Row {
        name: "sensebind-drivers",
        uses: &[
            "sensebind-chips",
            "sensebind-core",
            "sensebind-record",
            "sensebind-scene",
        ],
        tests_use: &["sensebind-lab"],
    },
    Row {
        name: "sensebind-ring",
        uses: &["sensebind-core"],
        tests_use: &[],
    },
    Row {
        name: "sensebind-space",
        uses: &["sensebind-core"],
        tests_use: &[],
    },
    Row {
        name: "sensebind-record",
        uses: &["sensebind-core"],
        tests_use: &["sensebind-scene"],
    },
    Row {
        name: "sensebind-models",
        uses: &["sensebind-core"],
        tests_use: &["sensebind-drivers", "sensebind-scene"],
    },
    Row {
        name: "sensebind-bind",
        uses: &[
            "sensebind-core",
            "sensebind-drivers",
            "sensebind-models",
            "sensebind-scene",
            "sensebind-space",
        ],
        tests_use: &[],
    },
    Row {
        name: "sensebind-engine",
        uses: &["sensebind-core", "sensebind-ring", "sensebind-space"],
        tests_use: &[
            "sensebind-drivers",
            "sensebind-models",
            "sensebind-record",
            "sensebind-scene",
        ],
    },
    Row {
        name: "sensebind",
        uses: &[
            "sensebind-core",
            "sensebind-drivers",
            "sensebind-engine",
            "sensebind-models",
            "sensebind-record",
            "sensebind-ring",
            "sensebind-scene",
            "sensebind-space",
        ],
        tests_use: &["sensebind-lab"],
    },
    Row {
        name: "sensebind-lab",
        uses: &[],
        tests_use: &[],
    },
    Row {
        name: "xtask",
        uses: &[],
        tests_use: &[],
    },
];

/// Checks the crates' dependencies and their sources; prints the table when all is well.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut offences = edge_offences(&workspace.packages);
    offences.extend(lint_offences(&workspace.packages)?);
    offences.extend(fences::source_offences(&workspace.root)?);
    if !offences.is_empty() {
        bail!("{}", offences.join("\n"));
    }
    print!("{}{}", drawing(&workspace.packages), fences::drawing());
    Ok(())
}

fn edge_offences(packages: &[Package]) -> Vec<String> {
    let ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut offences = Vec::new();
    for row in TABLE {
        if !ours(row.name) {
            offences.push(format!(
                "{}: in the table of ci/xtask/src/arrows.rs, but no such crate: remove its row",
                row.name
            ));
        }
    }
    for package in packages {
        let Some(row) = TABLE.iter().find(|row| row.name == package.name) else {
            offences.push(format!(
                "{}: a crate without a row in ci/xtask/src/arrows.rs: say there what it may use",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let in_tests = dependency.kind == Some(Kind::Dev);
            if ours(&dependency.name)
                && !row.uses.contains(&dependency.name.as_str())
                && !(in_tests && row.tests_use.contains(&dependency.name.as_str()))
            {
                let allowed = if row.uses.is_empty() {
                    "none of ours".to_owned()
                } else {
                    row.uses.join(", ")
                };
                offences.push(format!(
                    "{} -> {}{}: not an arrow of this design (allowed: {allowed}). Move what is shared to \
                     sensebind-core, or hand it in from the command; a new arrow needs a decision record and its row \
                     in ci/xtask/src/arrows.rs",
                    package.name,
                    dependency.name,
                    if in_tests { " (in tests)" } else { "" },
                ));
            }
            offences.extend(fences::dependency_offence(&package.name, &dependency.name));
        }
    }
    offences
}

/// The workspace's lints reach a crate only when its manifest asks for them.
fn lint_offences(packages: &[Package]) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for package in packages {
        let text = fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("{} cannot be read", package.manifest_path.display()))?;
        let manifest: toml::Table = toml::from_str(&text).context("a manifest that cargo takes and toml does not")?;
        let inherited = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if inherited != Some(true) {
            offences.push(format!(
                "{}: its Cargo.toml lacks `[lints] workspace = true`, so unsafe code and missing documentation pass",
                package.name
            ));
        }
    }
    Ok(offences)
}

fn drawing(packages: &[Package]) -> String {
    let mut text = String::new();
    for row in TABLE {
        let Some(package) = packages.iter().find(|package| package.name == row.name) else {
            continue;
        };
        let used = |in_tests: bool| {
            let mut names: Vec<&str> = package
                .dependencies
                .iter()
                .filter(|dependency| (dependency.kind == Some(Kind::Dev)) == in_tests)
                .map(|dependency| dependency.name.as_str())
                .filter(|name| TABLE.iter().any(|row| row.name == *name))
                .map(|name| name.trim_start_matches("sensebind-"))
                .collect();
            names.sort_unstable();
            names.join(" ")
        };
        let (built_with, tested_with) = (used(false), used(true));
        let built_with = if built_with.is_empty() {
            "none of ours"
        } else {
            &built_with
        };
        let _ = write!(text, "  {:<18} -> {built_with}", row.name);
        if !tested_with.is_empty() {
            let _ = write!(text, " (tests: {tested_with})");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    /// Every crate of the table, using nothing, but for one dependency.
    fn packages_with(user: &str, used: &str, kind: Option<Kind>) -> Vec<Package> {
        TABLE
            .iter()
            .map(|row| Package {
                name: row.name.to_owned(),
                manifest_path: "Cargo.toml".into(),
                dependencies: if row.name == user {
                    vec![Dependency {
                        name: used.to_owned(),
                        kind,
                    }]
                } else {
                    Vec::new()
                },
                targets: Vec::new(),
            })
            .collect()
    }

    #[test]
    fn an_edge_of_the_table_passes() {
        assert_eq!(
            edge_offences(&packages_with("sensebind-engine", "sensebind-ring", None)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_forbidden_edge_is_named_with_its_remedy() {
        for kind in [None, Some(Kind::Build), Some(Kind::Dev)] {
            let offences = edge_offences(&packages_with("sensebind-ring", "sensebind-models", kind));
            assert_eq!(offences.len(), 1, "{offences:?}");
            assert!(
                offences[0].starts_with("sensebind-ring -> sensebind-models"),
                "{offences:?}"
            );
            assert!(offences[0].contains("sensebind-core"), "{offences:?}");
        }
    }

    #[test]
    fn what_tests_may_use_the_crate_itself_may_not() {
        assert_eq!(
            edge_offences(&packages_with("sensebind-engine", "sensebind-models", Some(Kind::Dev))),
            [""; 0]
        );
        assert_eq!(
            edge_offences(&packages_with("sensebind-engine", "sensebind-models", None)).len(),
            1
        );
    }

    #[test]
    fn nothing_runs_training_code() {
        for row in TABLE {
            assert_eq!(
                edge_offences(&packages_with(row.name, "sensebind-bind", None)).len(),
                1,
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn fenced_libraries_stay_with_their_owner() {
        for (user, library, offences) in [
            ("sensebind-models", "ort", 0),
            ("sensebind-engine", "ort", 1),
            ("sensebind-engine", "ort-sys", 1),
            ("sensebind-engine", "ortho", 0),
            ("sensebind-bind", "burn-flex", 0),
            ("sensebind", "burn", 1),
        ] {
            assert_eq!(
                edge_offences(&packages_with(user, library, None)).len(),
                offences,
                "{user} -> {library}"
            );
        }
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_both_named() {
        let mut packages = packages_with("xtask", "anyhow", None);
        packages[0].name = "sensebind-newcomer".to_owned();
        let offences = edge_offences(&packages);
        assert!(
            offences
                .iter()
                .any(|offence| offence.starts_with("sensebind-newcomer: a crate without a row"))
        );
        assert!(
            offences
                .iter()
                .any(|offence| offence.starts_with("sensebind-core: in the table"))
        );
    }
}
