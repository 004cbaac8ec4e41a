//! Model families: one file (or folder) per family, listed in [`FAMILIES`].

pub mod imagebind;

use crate::manifest::{Manifest, Precision};
use crate::pack::{ImportError, Progress};
use std::fmt;
use std::path::Path;

/// A family of models: how its checkpoints become packs.
pub trait Family: Sync + fmt::Debug {
    /// The name in `pack.toml`.
    fn name(&self) -> &'static str;

    /// One line for a person who chooses.
    fn about(&self) -> &'static str;

    /// Imports `checkpoint` into the new folder `out`. `config` is a preset's name or a JSON file.
    ///
    /// # Errors
    /// Everything that [`crate::pack::import`] refuses, and a configuration that cannot be read.
    fn import(
        &self,
        checkpoint: &Path,
        config: &str,
        out: &Path,
        precision: Precision,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Manifest, ImportError>;
}

/// Every family this build knows.
pub static FAMILIES: &[&dyn Family] = &[&imagebind::ImageBind];
