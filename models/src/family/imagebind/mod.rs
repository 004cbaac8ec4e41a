//! ImageBind (arXiv 2305.05665): six transformer encoders into one space, aligned through images.
//!
//! Written from the paper and a specification of the published model's numbers. [`Config`] holds the sizes, `graphs`
//! describes the encoders; any widths, depths, heads, kernels and strides of that architecture will do.

mod config;
mod graphs;
mod manifest;
mod recipes;
mod state_dict;

pub use config::{Config, ConfigError, PackInfo, Recipes, Windowing, Windows};
pub use state_dict::NamedShape;

use super::Family;
use crate::manifest::{Manifest, Precision};
use crate::pack::{self, ImportError, Progress};
use std::path::Path;

/// The family's entry in [`super::FAMILIES`].
#[derive(Debug, Clone, Copy)]
pub struct ImageBind;

impl Family for ImageBind {
    fn name(&self) -> &'static str {
        "imagebind"
    }

    fn about(&self) -> &'static str {
        "image, video, text, sound, depth, thermal and IMU in one space, bound through images (arXiv 2305.05665)"
    }

    fn import(
        &self,
        checkpoint: &Path,
        config: &str,
        out: &Path,
        precision: Precision,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Manifest, ImportError> {
        let config = Config::resolve(config).map_err(|e| ImportError::Config(e.into()))?;
        pack::import(checkpoint, &config, out, precision, progress)
    }
}
