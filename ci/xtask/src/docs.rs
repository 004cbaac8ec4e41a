//! What the documents name exists: files, `make` targets, cargo commands and the crates and targets they take.
//!
//! Looked at are links, and words in code: a path counts when it starts with a top-level folder of the repository.
//! A placeholder is written as one (`boards/<name>.toml`, `FILE`) and passed over.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::workspace::{Package, Workspace};
use crate::{ci, machine_paths};

/// Checks every Markdown file, and every text for paths of one machine.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let Some(files) = repository_files(&workspace.root)? else {
        println!("  not checked: this is no git checkout, so what belongs to it is unknown");
        return Ok(());
    };
    let makefile = fs::read_to_string(workspace.root.join("Makefile")).context("Makefile cannot be read")?;
    let known = Known {
        root: &workspace.root,
        packages: &workspace.packages,
        folders: files.iter().filter_map(|file| Some(file.split_once('/')?.0)).collect(),
        make_targets: make_targets(&makefile),
    };
    let documents: Vec<&String> = files.iter().filter(|file| file.ends_with(".md")).collect();
    let mut offences = Vec::new();
    for document in &documents {
        let text =
            fs::read_to_string(known.root.join(document)).with_context(|| format!("{document} cannot be read"))?;
        offences.extend(known.offences(document, &text));
    }
    offences.extend(machine_paths::offences(&workspace.root, &files));
    if !offences.is_empty() {
        bail!("{}", offences.join("\n"));
    }
    println!(
        "  {} documents name only what exists; {} files name no path of one machine",
        documents.len(),
        files.len()
    );
    Ok(())
}

/// Files that are committed or would be, or nothing where git does not know.
fn repository_files(root: &Path) -> Result<Option<Vec<String>>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git could not be started: ci/setup installs it")?;
    if !output.status.success() {
        return Ok(None);
    }
    let listed = String::from_utf8(output.stdout).context("a file name that is not UTF-8")?;
    let mut files: Vec<String> = listed
        .split_terminator('\0')
        .filter(|file| root.join(file).is_file())
        .map(str::to_owned)
        .collect();
    files.sort_unstable();
    files.dedup();
    Ok(Some(files))
}

fn make_targets(makefile: &str) -> BTreeSet<&str> {
    makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(target, _)| target)
        .filter(|target| !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        .collect()
}

/// What a document may name.
struct Known<'a> {
    root: &'a Path,
    packages: &'a [Package],
    /// The repository's top-level folders.
    folders: BTreeSet<&'a str>,
    make_targets: BTreeSet<&'a str>,
}

impl Known<'_> {
    fn offences(&self, document: &str, text: &str) -> Vec<String> {
        let mut offences = Vec::new();
        let mut in_block = false;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let missing = match event {
                Event::Start(Tag::CodeBlock(_)) => {
                    in_block = true;
                    continue;
                }
                Event::End(TagEnd::CodeBlock) => {
                    in_block = false;
                    continue;
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    self.missing_link(document, &dest_url).into_iter().collect()
                }
                Event::Code(code) => self.missing_in_code(document, &code),
                Event::Text(code) if in_block => self.missing_in_code(document, &code),
                _ => continue,
            };
            let line = text[..range.start].matches('\n').count() + 1;
            offences.extend(missing.into_iter().map(|what| format!("{document}:{line}: {what}")));
        }
        offences
    }

    fn missing_link(&self, document: &str, link: &str) -> Option<String> {
        let path = link.split('#').next().unwrap_or_default();
        if path.is_empty() || link.contains("://") || link.starts_with("mailto:") || self.exists(document, path) {
            return None;
        }
        Some(format!("links to `{path}`, which does not exist"))
    }

    fn missing_in_code(&self, document: &str, code: &str) -> Vec<String> {
        let mut missing = Vec::new();
        for line in code.lines() {
            let line = line.split(" # ").next().unwrap_or_default();
            for command in line.split(['|', ';', '&']) {
                let words: Vec<&str> = command.split_whitespace().skip_while(|word| *word == "$").collect();
                missing.extend(self.missing_command(&words));
                missing.extend(words.iter().filter_map(|word| self.missing_path(document, word)));
            }
        }
        missing
    }

    fn missing_command(&self, words: &[&str]) -> Option<String> {
        match words {
            ["make", target, ..] => {
                let checked = !target.starts_with('-') && !target.contains('=') && !is_placeholder(target);
                (checked && !self.make_targets.contains(target))
                    .then(|| format!("`make {target}`: the Makefile has no such target"))
            }
            ["cargo", "xtask", name, ..] => (!is_placeholder(name) && !ci::is_command(name))
                .then(|| format!("`cargo xtask {name}`: no such command, see `cargo xtask help`")),
            ["cargo", rest @ ..] => {
                let ours = rest.iter().take_while(|word| **word != "--").collect::<Vec<_>>();
                ours.windows(2).find_map(|pair| self.missing_argument(pair[0], pair[1]))
            }
            _ => None,
        }
    }

    /// `-p NAME`, `--bin NAME` and the like, where no crate or target of ours has that name.
    fn missing_argument(&self, option: &str, name: &str) -> Option<String> {
        if is_placeholder(name) {
            return None;
        }
        let kind = match option {
            "-p" | "--package" => {
                let known = self.packages.iter().any(|package| package.name == name);
                return (!known).then(|| format!("`{option} {name}`: no crate of this workspace"));
            }
            "--bin" | "--example" | "--test" | "--bench" => &option[2..],
            _ => return None,
        };
        let known = self
            .packages
            .iter()
            .flat_map(|package| &package.targets)
            .any(|target| target.name == name && target.kind.iter().any(|of| of == kind));
        (!known).then(|| format!("`{option} {name}`: no crate of this workspace has it"))
    }

    fn missing_path(&self, document: &str, word: &str) -> Option<String> {
        let word = word
            .trim_matches(|letter: char| "\"'`(),:;[]".contains(letter))
            .trim_end_matches('.');
        let word = word.trim_start_matches("./");
        let path = word.split(':').next().unwrap_or_default();
        let (folder, _) = path.split_once('/')?;
        if !self.folders.contains(folder) || is_placeholder(path) || self.exists(document, path) {
            return None;
        }
        Some(format!(
            "names `{path}`, which does not exist (a placeholder is written with angle brackets: `{folder}/<name>`)"
        ))
    }

    /// Whether `path` exists beside the document or from the repository's root.
    fn exists(&self, document: &str, path: &str) -> bool {
        let beside = Path::new(document).parent().unwrap_or(Path::new(""));
        self.root.join(beside).join(path).exists() || self.root.join(path).exists()
    }
}

/// Whether a word stands for others: capitals only (`FILE`, `boards/X.toml`), or signs that no file name of ours has.
fn is_placeholder(word: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let stem = word
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(word)
        .split('.')
        .next()
        .unwrap_or(word);
    let known_capitals = [
        "README",
        "ARCHITECTURE",
        "SPECIFICATION",
        "LICENSE",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ];
    let capitals = !stem.is_empty()
        && stem
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || "_-".contains(letter))
        && !known_capitals.contains(&stem);
    !word.chars().all(plain) || capitals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    /// What is missing from a repository that holds README.md, docs/guide.md, a crate `tool` and `make test`.
    fn missing(document: &str, text: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(root.path().join("README.md"), "").unwrap();
        fs::write(root.path().join("docs/guide.md"), "").unwrap();
        let packages = [Package {
            name: "tool".to_owned(),
            manifest_path: "Cargo.toml".into(),
            dependencies: Vec::new(),
            targets: vec![Target {
                name: "speed".to_owned(),
                kind: vec!["bench".to_owned()],
            }],
        }];
        let known = Known {
            root: root.path(),
            packages: &packages,
            folders: BTreeSet::from(["docs"]),
            make_targets: make_targets("help: ## list\ntest: ## all\n\t@run\nA := b\n.PHONY: x\n"),
        };
        known.offences(document, text)
    }

    #[test]
    fn what_exists_passes() {
        for text in [
            "`make test` and [the guide](docs/guide.md#top)",
            "`cargo xtask arrows`, `cargo bench -p tool --bench speed -- --bench none`",
            "```sh\n$ make test  # and `docs/nothing.md`\n```",
            "`docs/guide.md:12`, `docs/`, (`./docs/guide.md`)",
            "placeholders: `docs/<name>.md`, `docs/X.toml`, `make TARGET`, `docs/*.md`",
            "`other/nothing.md` is not ours, and make sense is no command",
            "[elsewhere](https://example.com/docs/nothing.md)",
        ] {
            assert_eq!(missing("README.md", text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_line() {
        for (text, start) in [
            ("one\n\n`make tset`", "README.md:3: `make tset`"),
            ("```sh\nmake test && make nothing\n```", "README.md:2: `make nothing`"),
            ("`cargo xtask arows`", "README.md:1: `cargo xtask arows`"),
            ("`cargo build --release -p tol`", "README.md:1: `-p tol`"),
            ("`cargo run --bin speed`", "README.md:1: `--bin speed`"),
            ("see `docs/gide.md`", "README.md:1: names `docs/gide.md`"),
            ("[guide](gide.md)", "README.md:1: links to `gide.md`"),
            ("| a |\n|---|\n| `docs/gide.md` |", "README.md:3: names `docs/gide.md`"),
        ] {
            let missing = missing("README.md", text);
            assert_eq!(missing.len(), 1, "{text}: {missing:?}");
            assert!(missing[0].starts_with(start), "{text}: {missing:?}");
        }
    }

    #[test]
    fn links_are_read_from_where_the_document_lies() {
        assert_eq!(
            missing("docs/guide.md", "[up](../README.md), [self](guide.md)"),
            [""; 0]
        );
    }
}
