//! Exit codes: programs that call `sensebind` act on them (docs/SPECIFICATION.md lists them).

use std::fmt::Display;
use std::process::ExitCode;

/// Why the command ended. 0 is success, 2 is clap's usage error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something unforeseen: a full disk, a closed pipe.
    Failure = 1,
    /// Finished, but some of the data was lost; stderr says what.
    LostData = 3,
    /// Prompts, configuration or arguments do not fit.
    Configuration = 4,
    /// An input file or device cannot be read.
    Input = 5,
    /// The pack, the model or ONNX Runtime.
    Model = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its exit code.
#[derive(Debug)]
pub struct Failure {
    /// What the process exits with.
    pub exit: Exit,
    /// What a person reads.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure that says `message`.
    pub fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            error: anyhow::anyhow!("{message}"),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self {
            exit: Exit::Failure,
            error: error.into(),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self {
            exit: Exit::Failure,
            error: error.into(),
        }
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// The value, or a [`Failure`] with `exit`.
    ///
    /// # Errors
    /// The error, with its exit code.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|e| Failure { exit, error: e.into() })
    }
}
