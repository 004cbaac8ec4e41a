//! From a checkpoint to a pack: everything is checked first, written into a folder beside, and renamed at the end.

use super::{GraphKind, MANIFEST_FILE, space_id};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::graph::{Graph, WriteError};
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
    /// The family's configuration.
    #[error(transparent)]
    Config(Box<dyn std::error::Error + Send + Sync>),
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

/// What an import must know of a model: the configuration of its family.
pub trait Blueprint {
    /// Checks that its numbers fit together.
    ///
    /// # Errors
    /// The family's own, naming the key, what was expected and what was found.
    fn check(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// The graphs to write, each once.
    fn graphs(&self) -> Vec<GraphKind>;

    /// Describes one graph; every tensor it needs is checked for name and shape, none is read.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape.
    fn graph<'a>(
        &self,
        kind: GraphKind,
        checkpoint: &'a Checkpoint,
        precision: Precision,
    ) -> Result<Graph<'a>, CheckpointError>;

    /// Name of the pack, and numbers per embedding.
    fn space(&self) -> (&str, usize);

    /// The manifest of the pack whose graphs are written.
    ///
    /// # Errors
    /// A number that should stand in the checkpoint and does not.
    fn manifest(&self, written: Written<'_>) -> Result<Manifest, CheckpointError>;
}

/// What is known of a pack once its graphs are written.
#[derive(Debug)]
pub struct Written<'a> {
    /// Where the weights come from.
    pub checkpoint: &'a Checkpoint,
    /// How they are stored.
    pub precision: Precision,
    /// The checkpoint by name and hash.
    pub source: CheckpointSource,
    /// The space that follows from the files.
    pub space: SpaceEntry,
    /// The graph files.
    pub files: Vec<FileEntry>,
}

/// Imports the `checkpoint` that `model` describes into the folder `out`, which is created, or replaced if it is a pack
/// already. At most one tensor is in memory at a time.
///
/// # Errors
/// [`ImportError`]; `out` is then as it was.
pub fn import(
    checkpoint: &Path,
    model: &dyn Blueprint,
    out: &Path,
    precision: Precision,
    progress: &mut dyn FnMut(Progress),
) -> Result<Manifest, ImportError> {
    model.check().map_err(ImportError::Config)?;
    refuse_what_is_no_pack(out)?;
    let checkpoint = Checkpoint::open(checkpoint)?;
    // Describing the graphs checks every tensor's name and shape, before a byte is written.
    let graphs = model
        .graphs()
        .into_iter()
        .map(|kind| model.graph(kind, &checkpoint, precision).map(|graph| (kind, graph)))
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
    let (name, dim) = model.space();
    let space = SpaceEntry {
        id: space_id(name, &files),
        dim,
    };
    let manifest = model.manifest(Written {
        checkpoint: &checkpoint,
        precision,
        source,
        space,
        files,
    })?;
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
