//! Our Rust files as tokens, so that a word in a comment or a string is not taken for code.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};

/// Every Rust file below `root`, relative to it with `/`, sorted; without build output and hidden folders.
pub(crate) fn rust_files(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let entries = fs::read_dir(&path).with_context(|| format!("{} cannot be listed", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("{} cannot be listed", path.display()))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(format!("{folder}{name}/"));
            } else if name.ends_with(".rs") {
                files.push(format!("{folder}{name}"));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The tokens of one file, those inside brackets included, in order.
pub(crate) fn tokens(file: &str, text: &str) -> Result<Vec<TokenTree>> {
    let stream: TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| anyhow!("{file}:{}: {error}", error.span().start().line))?;
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    Ok(flat)
}

fn flatten(stream: TokenStream, flat: &mut Vec<TokenTree>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) => flatten(group.stream(), flat),
            other => flat.push(other),
        }
    }
}

/// The lines on which `word` stands as a word of the language or a name.
pub(crate) fn lines_with_word(tokens: &[TokenTree], word: &str) -> Vec<usize> {
    tokens.iter().filter(|token| is_name(token, word)).map(line).collect()
}

/// The lines that name the crate `name`: as the head of a path, or after `use` or `extern crate`.
pub(crate) fn lines_naming_crate(tokens: &[TokenTree], name: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if !is_name(token, name) {
            continue;
        }
        let imported = index > 0 && (is_name(&tokens[index - 1], "use") || is_name(&tokens[index - 1], "crate"));
        let heads_a_path = matches!(&tokens[index + 1..], [TokenTree::Punct(a), TokenTree::Punct(b), ..] if a.as_char() == ':' && b.as_char() == ':');
        if imported || heads_a_path {
            lines.push(line(token));
        }
    }
    lines
}

fn is_name(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_found_however_it_is_imported() {
        for text in [
            "use ort;",
            "use ort as runtime;",
            "extern crate ort;",
            "pub use ort::Error;",
            "type E = ::ort::Error;",
        ] {
            assert_eq!(lines_naming_crate(&tokens("f.rs", text).unwrap(), "ort"), [1], "{text}");
        }
        for text in ["let ort = 1;", "use port::x;", "fn f(ort: u8) {}", "// ort::x"] {
            assert!(
                lines_naming_crate(&tokens("f.rs", text).unwrap(), "ort").is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_that_is_no_rust_is_named_with_its_line() {
        let error = tokens("half.rs", "fn f() {\n").unwrap_err().to_string();
        assert!(error.starts_with("half.rs:"), "{error}");
    }

    #[test]
    fn files_are_found_in_every_folder_but_build_output() {
        let root = tempfile::tempdir().unwrap();
        for file in ["a/src/lib.rs", "a/src/notes.md", "target/debug/x.rs", ".git/y.rs"] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(rust_files(root.path()).unwrap(), ["a/src/lib.rs"]);
    }
}
