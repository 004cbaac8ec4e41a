//! Runs the real binary and looks at what it prints.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The pack that ships.
pub fn starter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/packs/starter")
}

/// What one run of the command did.
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `sensebind` with `args`.
pub fn sensebind<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Ran {
    ran(Command::new(env!("CARGO_BIN_EXE_sensebind")).args(args))
}

/// Runs a prepared command.
pub fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ran {
        code: status.code().expect("ended by itself"),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

impl Ran {
    /// Ended with `code`, and says each of `words` on stderr. Never panicked.
    pub fn failed_with(&self, code: i32, words: &[&str]) {
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert_eq!(self.code, code, "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
    }

    /// Ended well; its standard output.
    pub fn fine(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }
}

/// A copy of the starter pack that may be damaged.
pub fn copy_of_starter(into: &Path) -> PathBuf {
    let copy = into.join("pack");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(starter()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    copy
}

/// Path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
