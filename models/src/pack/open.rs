//! Opens a pack folder: what `pack.toml` says is checked against what is there.

use super::{GraphKind, MANIFEST_FILE, space_id};
use crate::hash::sha256_of;
use crate::manifest::{FileEntry, Manifest};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file could not be read.
    #[error("{path}: cannot be read: {source}; is this the folder of a pack, complete?")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is no manifest.
    #[error("{path}: {source}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Line, column and key.
        source: Box<toml::de::Error>,
    },
    /// A path that leaves the pack.
    #[error("{manifest}: path `{path}` leaves the pack's folder; do not use this pack")]
    Outside {
        /// The manifest.
        manifest: PathBuf,
        /// The path it names.
        path: String,
    },
    /// A file of another length than the manifest says.
    #[error("{path}: {found} bytes, expected {expected}; copy or import the pack again")]
    Size {
        /// The file.
        path: PathBuf,
        /// By the manifest.
        expected: u64,
        /// On disk.
        found: u64,
    },
    /// A file with another content than the manifest says.
    #[error("{path}: sha256 {found}, expected {expected}; copy or import the pack again")]
    Hash {
        /// The file.
        path: PathBuf,
        /// By the manifest.
        expected: String,
        /// Of the bytes on disk.
        found: String,
    },
    /// A graph that is not in the list of files.
    #[error("{manifest}: {kind} names graph `{graph}`, which is not listed under [[files]]")]
    Unlisted {
        /// The manifest.
        manifest: PathBuf,
        /// The graph.
        kind: GraphKind,
        /// Its file.
        graph: String,
    },
    /// The id does not follow from the hashes.
    #[error("{manifest}: space id `{found}`, but its files give `{expected}`; import the pack again")]
    SpaceId {
        /// The manifest.
        manifest: PathBuf,
        /// From the hashes.
        expected: String,
        /// In the manifest.
        found: String,
    },
    /// The pack has no encoder for a sense.
    #[error("{manifest}: no encoder for {kind}; it has {present}")]
    MissingSense {
        /// The manifest.
        manifest: PathBuf,
        /// The sense.
        kind: GraphKind,
        /// Those it has, comma-separated.
        present: String,
    },
}

/// An open pack: a folder whose manifest and files agree in name and length.
#[derive(Debug, Clone)]
pub struct Pack {
    folder: PathBuf,
    manifest: Manifest,
}

impl Pack {
    /// Opens the pack in `folder`. Checks the manifest, that every file it names lies inside the folder (also through
    /// symbolic links), is there and has its length, and that the space id follows from the hashes. The
    /// hashes themselves are checked by [`Pack::verify`], and by [`Pack::verified_graph`] for the senses that are used.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, PackError> {
        let folder = folder.as_ref().to_path_buf();
        let path = folder.join(MANIFEST_FILE);
        let text = fs::read_to_string(&path).map_err(|source| PackError::Io {
            path: path.clone(),
            source,
        })?;
        let manifest: Manifest = toml::from_str(&text).map_err(|e| PackError::Manifest {
            path: path.clone(),
            source: Box::new(e),
        })?;
        let pack = Self { folder, manifest };
        pack.check_graphs()?;
        for file in &pack.manifest.files {
            let path = pack.inside(&file.path)?;
            let found = fs::metadata(&path)
                .map_err(|source| PackError::Io {
                    path: path.clone(),
                    source,
                })?
                .len();
            if found != file.bytes {
                return Err(PackError::Size {
                    path,
                    expected: file.bytes,
                    found,
                });
            }
        }
        let expected = space_id(&pack.manifest.name, &pack.manifest.files);
        if expected != pack.manifest.space.id {
            let found = pack.manifest.space.id.clone();
            return Err(PackError::SpaceId {
                manifest: path,
                expected,
                found,
            });
        }
        Ok(pack)
    }

    /// Reads every file and checks its hash. `progress` is told of each file before it is read.
    ///
    /// # Errors
    /// [`PackError::Hash`] for the first file that differs.
    pub fn verify(&self, progress: &mut dyn FnMut(&FileEntry)) -> Result<(), PackError> {
        for file in &self.manifest.files {
            progress(file);
            self.verify_file(file)?;
        }
        Ok(())
    }

    /// The graph file of a sense, once it and its external data have the hashes that the space id stands for. Reads them
    /// whole: a second for a gigabyte, less than loading it takes.
    ///
    /// # Errors
    /// As [`Pack::graph_path`], and [`PackError::Hash`].
    pub fn verified_graph(&self, kind: impl Into<GraphKind>) -> Result<PathBuf, PackError> {
        let kind = kind.into();
        let path = self.graph_path(kind)?;
        let graph = kind.file_in(&self.manifest).unwrap_or_default();
        for file in self.manifest.files.iter().filter(|file| file.path.starts_with(graph)) {
            self.verify_file(file)?;
        }
        Ok(path)
    }

    fn verify_file(&self, file: &FileEntry) -> Result<(), PackError> {
        let path = self.inside(&file.path)?;
        let found = sha256_of(&path).map_err(|source| PackError::Io {
            path: path.clone(),
            source,
        })?;
        if found == file.sha256 {
            return Ok(());
        }
        Err(PackError::Hash {
            path,
            expected: file.sha256.clone(),
            found,
        })
    }

    /// What `pack.toml` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pack's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The graphs it has.
    pub fn graphs(&self) -> impl Iterator<Item = GraphKind> {
        GraphKind::ALL
            .into_iter()
            .filter(|kind| kind.file_in(&self.manifest).is_some())
    }

    /// The graph file of a sense (or of [`GraphKind::Video`]).
    ///
    /// # Errors
    /// [`PackError::MissingSense`] names the ones it has.
    pub fn graph_path(&self, kind: impl Into<GraphKind>) -> Result<PathBuf, PackError> {
        let kind = kind.into();
        match kind.file_in(&self.manifest) {
            Some(file) => self.inside(file),
            None => {
                let present = self.graphs().map(GraphKind::name).collect::<Vec<_>>().join(", ");
                Err(PackError::MissingSense {
                    manifest: self.manifest_path(),
                    kind,
                    present,
                })
            }
        }
    }

    fn manifest_path(&self) -> PathBuf {
        self.folder.join(MANIFEST_FILE)
    }

    fn check_graphs(&self) -> Result<(), PackError> {
        for kind in self.graphs() {
            let graph = kind.file_in(&self.manifest).unwrap_or_default();
            if !self.manifest.files.iter().any(|file| file.path == graph) {
                return Err(PackError::Unlisted {
                    manifest: self.manifest_path(),
                    kind,
                    graph: graph.into(),
                });
            }
        }
        Ok(())
    }

    /// The file `relative` of the pack, if it really lies inside.
    fn inside(&self, relative: &str) -> Result<PathBuf, PackError> {
        let outside = || PackError::Outside {
            manifest: self.manifest_path(),
            path: relative.into(),
        };
        let plain = Path::new(relative)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || relative.is_empty() {
            return Err(outside());
        }
        let path = self.folder.join(relative);
        let real = |path: &Path| {
            path.canonicalize().map_err(|source| PackError::Io {
                path: path.to_path_buf(),
                source,
            })
        };
        if !real(&path)?.starts_with(real(&self.folder)?) {
            return Err(outside());
        }
        Ok(path)
    }
}
