//! From a checkpoint to a pack: everything is checked first, written into a folder beside, and renamed at the end.

use super::{GraphKind, MANIFEST_FILE, space_id};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::family::imagebind::{Config, ConfigError};
use crate::graph::WriteError;
use crate::manifest::{CheckpointSource, FileEntry, Manifest, Precision, SpaceEntry};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The graph being written.
    pub graph: GraphKind,
    /// Bytes of weights written, all graphs together.
    pub written_bytes: u64,
    /// Bytes of weights there are to write.
    pub total_bytes: u64,
}

/// Why an import failed. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A graph file.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The output folder holds something else.
    #[error("{path}: exists and is no pack (no {MANIFEST_FILE} in it); name a new folder for the pack")]
    OutputTaken {
        /// The folder.
        path: PathBuf,
    },
    /// The file system.
    #[error("{path}: cannot be written: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest cannot be said in TOML.
    #[error("pack.toml: {0}")]
    Manifest(#[from] toml::ser::Error),
}

/// Imports the ImageBind-shaped `checkpoint` that `config` describes into the folder `out`, which is created, or
/// replaced if it is a pack already. At most one tensor is in memory at a time.
///
/// # Errors
/// [`ImportError`]; `out` is then as it was.
pub fn import(
    checkpoint: &Path,
    config: &Config,
    out: &Path,
    precision: Precision,
    progress: &mut dyn FnMut(Progress),
) -> Result<Manifest, ImportError> {
    config.check()?;
    refuse_what_is_no_pack(out)?;
    let checkpoint = Checkpoint::open(checkpoint)?;
    let mut kinds = config.senses.clone();
    kinds.sort();
    kinds.dedup();
    // Describing the graphs checks every tensor's name and shape, before a byte is written.
    let graphs = kinds
        .iter()
        .map(|kind| config.graph(*kind, &checkpoint, precision).map(|graph| (*kind, graph)))
        .collect::<Result<Vec<_>, _>>()?;
    let source = CheckpointSource {
        checkpoint: file_name(checkpoint.path()),
        sha256: checkpoint.sha256()?,
    };

    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| ImportError::Io { path, source }
    };
    fs::create_dir_all(parent).map_err(io(parent))?;
    let folder = tempfile::Builder::new()
        .prefix(".pack-")
        .tempdir_in(parent)
        .map_err(io(parent))?;

    let total_bytes = graphs.iter().map(|(_, graph)| graph.weight_bytes()).sum();
    let mut written_bytes = 0;
    let mut files = Vec::new();
    for (kind, graph) in &graphs {
        let written = graph.write(folder.path(), &kind.file_name(), &mut |bytes| {
            written_bytes += bytes;
            progress(Progress {
                graph: *kind,
                written_bytes,
                total_bytes,
            });
        })?;
        files.extend(written.into_iter().map(|f| FileEntry {
            path: f.name,
            bytes: f.bytes,
            sha256: f.sha256,
        }));
    }
    let space = SpaceEntry {
        id: space_id(&config.pack.name, &files),
        dim: config.out_embed_dim,
    };
    let manifest = config.manifest(&kinds, &checkpoint, precision, source, space, files)?;
    let text = format!(
        "# {} {}. Written by the importer; a changed file or recipe is another space.\n\n{}",
        manifest.name,
        manifest.version,
        toml::to_string(&manifest)?
    );
    let manifest_path = folder.path().join(MANIFEST_FILE);
    fs::write(&manifest_path, text).map_err(io(&manifest_path))?;
    put_in_place(folder, out).map_err(io(out))?;
    Ok(manifest)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn refuse_what_is_no_pack(out: &Path) -> Result<(), ImportError> {
    let taken = || ImportError::OutputTaken {
        path: out.to_path_buf(),
    };
    match fs::read_dir(out) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(taken()),
        Err(source) => Err(ImportError::Io {
            path: out.to_path_buf(),
            source,
        }),
        Ok(mut entries) => {
            let empty = entries.next().is_none();
            if empty || out.join(MANIFEST_FILE).is_file() {
                Ok(())
            } else {
                Err(taken())
            }
        }
    }
}

/// Renames the finished folder to `out`; a pack that was there is moved aside first and deleted last.
fn put_in_place(folder: tempfile::TempDir, out: &Path) -> io::Result<()> {
    // A temporary folder is private; a pack is for everyone who may read its parent.
    #[cfg(unix)]
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let old = tempfile::Builder::new()
        .prefix(".pack-old-")
        .tempdir_in(folder.path().parent().unwrap_or(out))?;
    let aside = old.path().join("pack");
    let replaced = match fs::rename(out, &aside) {
        Ok(()) => true,
        Err(e) if e.kind() == io::ErrorKind::NotFound => false,
        Err(e) => return Err(e),
    };
    if let Err(e) = fs::rename(folder.path(), out) {
        if replaced {
            fs::rename(&aside, out)?;
        }
        return Err(e);
    }
    // The path is gone: nothing is left for the temporary folder to delete.
    let _moved = folder.keep();
    Ok(())
}
