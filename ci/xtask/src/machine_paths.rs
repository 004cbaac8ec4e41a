//! Text that only holds on the machine it was written on: absolute paths into somebody's folders.

use std::fs;
use std::path::Path;

/// Top-level folders that differ from machine to machine.
const FOLDERS: [&str; 3] = ["home", "root", "work"];

/// Names every line of the given files, relative to `root`, that holds such a path. Files that are no text are passed over.
pub(crate) fn offences(root: &Path, files: &[String]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(root.join(file)) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            if let Some(folder) = FOLDERS.into_iter().find(|folder| names_folder(line, folder)) {
                offences.push(format!(
                    "{file}:{}: a path of one machine (`/{folder}/`…): write it relative to the checkout",
                    index + 1
                ));
            }
        }
    }
    offences
}

/// Whether `line` holds `/folder/` at the start of a path.
fn names_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}/");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "_.-/}>~*".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_paths_count() {
        let path = |before: &str, folder: &str| format!("see {before}/{folder}/x for it");
        for folder in FOLDERS {
            assert!(names_folder(&path("", folder), folder));
            assert!(names_folder(&path("`", folder), folder));
            assert!(names_folder(&path("FILE=", folder), folder));
            for before in ["some", ".", "..", "${TOP}", "1.2"] {
                assert!(!names_folder(&path(before, folder), folder), "{before}");
            }
        }
        assert!(!names_folder("a workhorse/of work/ and /usr/lib/", "work"));
    }

    #[test]
    fn the_line_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.txt"), format!("fine\nsee /{}/me\n", FOLDERS[0])).unwrap();
        fs::write(root.path().join("b.bin"), [0xff, 0xfe]).unwrap();
        let offences = offences(root.path(), &["a.txt".to_owned(), "b.bin".to_owned()]);
        assert_eq!(offences.len(), 1, "{offences:?}");
        assert!(offences[0].starts_with("a.txt:2:"), "{offences:?}");
    }
}
