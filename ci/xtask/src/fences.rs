//! Libraries that one crate, or one file, keeps from the others; and `unsafe`, which nearly none may say.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::sources;

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

impl Fence {
    fn encloses(&self, dependency: &str) -> bool {
        dependency
            .strip_prefix(self.library)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// Why `package` may not depend on `dependency`, where a fence stands between them.
pub(crate) fn dependency_offence(package: &str, dependency: &str) -> Option<String> {
    let fence = FENCES
        .iter()
        .find(|fence| fence.encloses(dependency) && fence.owner != package)?;
    Some(format!(
        "{package} -> {dependency}: only {} may depend on it ({})",
        fence.owner, fence.why
    ))
}

/// What the Rust files below `root` say that they may not.
pub(crate) fn source_offences(root: &Path) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for file in sources::rust_files(root)? {
        let text = fs::read_to_string(root.join(&file)).with_context(|| format!("{file} cannot be read"))?;
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
                 ci/xtask/src/fences.rs"
            ));
        }
    }
    Ok(offences)
}

/// The fences as lines, for people.
pub(crate) fn drawing() -> String {
    let mut text = String::new();
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

    #[test]
    fn the_runtime_library_is_named_in_one_file_only() {
        let text = "use ort::session::Session;\nfn f() { let _ = ort::init(); }\n";
        assert!(file_offences("models/src/session.rs", text).unwrap().is_empty());
        let offences = file_offences("models/src/pack.rs", text).unwrap();
        assert_eq!(offences.len(), 2, "{offences:?}");
        assert!(offences[0].starts_with("models/src/pack.rs:1:"), "{offences:?}");
        assert!(offences[1].starts_with("models/src/pack.rs:2:"), "{offences:?}");
    }

    #[test]
    fn words_in_comments_and_strings_are_no_offence() {
        let text = "//! Not unsafe; see ort::Session.\nconst A: &str = \"unsafe ort::\";\n#![deny(unsafe_code)]\n";
        assert!(file_offences("runtime/ring/src/lib.rs", text).unwrap().is_empty());
    }

    #[test]
    fn unsafe_code_is_found_wherever_it_stands() {
        let offences = file_offences("runtime/ring/src/lib.rs", "fn f() {\n    unsafe { g() }\n}\n").unwrap();
        assert!(
            offences[0].starts_with("runtime/ring/src/lib.rs:2: `unsafe`"),
            "{offences:?}"
        );
    }
}
