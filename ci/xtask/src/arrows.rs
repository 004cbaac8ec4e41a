//! Which crate may use which: the direction data flows, held as one table.
//!
//! The compiler refuses cycles; it does not refuse an engine that opens a camera. This does.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::sources;
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
        name: "sensebind-drivers",
        uses: &["sensebind-core", "sensebind-scene"],
        tests_use: &[],
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
        tests_use: &["sensebind-drivers", "sensebind-scene"],
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
        tests_use: &[],
    },
    Row {
        name: "xtask",
        uses: &[],
        tests_use: &[],
    },
];

/// A library that one crate keeps from the others.
struct Fence {
    /// The library, and every crate whose name goes on with `-`.
    library: &'static str,
    owner: &'static str,
    /// The only file that may name it, where it is only one.
    file: Option<&'static str>,
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        library: "ort",
        owner: "sensebind-models",
        file: Some("models/src/session.rs"),
        why: "one file knows ONNX Runtime, so that another engine is one file's change",
    },
    Fence {
        library: "burn",
        owner: "sensebind-bind",
        file: None,
        why: "training code never links into what runs on a device",
    },
];

/// Files that may say `unsafe`, each with its reason. The lint `unsafe_code` stays denied everywhere else.
const UNSAFE_FILES: &[(&str, &str)] = &[];

/// Checks the crates' dependencies and their sources; prints the table when all is well.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut offences = edge_offences(&workspace.packages);
    offences.extend(lint_offences(&workspace.packages)?);
    offences.extend(source_offences(workspace)?);
    if !offences.is_empty() {
        bail!("{}", offences.join("\n"));
    }
    print!("{}", drawing(&workspace.packages));
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
            for fence in FENCES {
                if fence.encloses(&dependency.name) && package.name != fence.owner {
                    offences.push(format!(
                        "{} -> {}: only {} may depend on it ({})",
                        package.name, dependency.name, fence.owner, fence.why
                    ));
                }
            }
        }
    }
    offences
}

impl Fence {
    fn encloses(&self, dependency: &str) -> bool {
        dependency
            .strip_prefix(self.library)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// The workspace's lints reach a crate only when its manifest asks for them.
fn lint_offences(packages: &[Package]) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for package in packages {
        let text = fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("{} cannot be read", package.manifest_path.display()))?;
        let manifest: toml::Table =
            toml::from_str(&text).context("a manifest that cargo takes and toml does not")?;
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

fn source_offences(workspace: &Workspace) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for file in sources::rust_files(&workspace.root)? {
        let text = fs::read_to_string(workspace.root.join(&file))
            .with_context(|| format!("{file} cannot be read"))?;
        offences.extend(file_offences(&file, &text)?);
    }
    Ok(offences)
}

fn file_offences(file: &str, text: &str) -> Result<Vec<String>> {
    let tokens = sources::tokens(file, text)?;
    let mut offences = Vec::new();
    for fence in FENCES {
        if let Some(home) = fence.file
            && file != home
        {
            for line in sources::lines_naming_crate(&tokens, fence.library) {
                offences.push(format!(
                    "{file}:{line}: names `{}`: only {home} may ({})",
                    fence.library, fence.why
                ));
            }
        }
    }
    if !UNSAFE_FILES.iter().any(|(named, _)| *named == file) {
        for line in sources::lines_with_word(&tokens, "unsafe") {
            offences.push(format!(
                "{file}:{line}: `unsafe`: write it safely, or name the file with its reason in UNSAFE_FILES of \
                 ci/xtask/src/arrows.rs"
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
    for fence in FENCES {
        let _ = writeln!(
            text,
            "  {:<18} only in {}",
            fence.library,
            fence.file.unwrap_or(fence.owner)
        );
    }
    let unsafe_files: Vec<&str> = UNSAFE_FILES.iter().map(|(file, _)| *file).collect();
    let _ = writeln!(
        text,
        "  {:<18} {}",
        "unsafe",
        if unsafe_files.is_empty() {
            "nowhere".to_owned()
        } else {
            format!("only in {}", unsafe_files.join(", "))
        }
    );
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
            let offences =
                edge_offences(&packages_with("sensebind-ring", "sensebind-models", kind));
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
            edge_offences(&packages_with(
                "sensebind-engine",
                "sensebind-models",
                Some(Kind::Dev)
            )),
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

    #[test]
    fn the_runtime_library_is_named_in_one_file_only() {
        let text = "use ort::session::Session;\nfn f() { let _ = ort::init(); }\n";
        assert!(
            file_offences("models/src/session.rs", text)
                .unwrap()
                .is_empty()
        );
        let offences = file_offences("models/src/pack.rs", text).unwrap();
        assert_eq!(offences.len(), 2, "{offences:?}");
        assert!(
            offences[0].starts_with("models/src/pack.rs:1:"),
            "{offences:?}"
        );
        assert!(
            offences[1].starts_with("models/src/pack.rs:2:"),
            "{offences:?}"
        );
    }

    #[test]
    fn words_in_comments_and_strings_are_no_offence() {
        let text = "//! Not unsafe; see ort::Session.\nconst A: &str = \"unsafe ort::\";\n#![deny(unsafe_code)]\n";
        assert!(
            file_offences("runtime/ring/src/lib.rs", text)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn unsafe_code_is_found_wherever_it_stands() {
        let offences = file_offences(
            "runtime/ring/src/lib.rs",
            "fn f() {\n    unsafe { g() }\n}\n",
        )
        .unwrap();
        assert!(
            offences[0].starts_with("runtime/ring/src/lib.rs:2: `unsafe`"),
            "{offences:?}"
        );
    }
}
