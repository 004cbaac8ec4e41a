//! A trained model's weights as a file: names, shapes and numbers, read tensor by tensor.
//!
//! Two containers: PyTorch's `torch.save` zip ([`torch`], through an unpickler that can execute nothing) and
//! safetensors. Opening reads only the directory; every name, shape, count and offset is checked against the bytes
//! that are really there before a number is read, so memory stays bounded by one tensor.

mod pickle;
mod safetensors;
mod torch;

use crate::hash::sha256_of;
use half::{bf16, f16};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read at a time: large enough for the disk, small beside a tensor.
const CHUNK_BYTES: usize = 1 << 20;

/// How a checkpoint stores one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
}

impl Dtype {
    /// Bytes per number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

/// Where one tensor lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    dtype: Dtype,
    shape: Vec<usize>,
    /// Dimensions from slowest to fastest in the stored bytes; `None` when that is already the order of `shape`.
    stored_order: Option<Vec<usize>>,
    /// First byte, from the start of the file.
    offset: u64,
}

/// What a file holds under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stored {
    Tensor(Layout),
    /// A tensor of a type no encoder weight has (an integer counter, say); an error only if somebody asks for it.
    OtherType(String),
}

/// Why a checkpoint could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file could not be opened or read.
    #[error("{path}: cannot be read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Neither container was recognised.
    #[error(
        "{path}: neither a PyTorch zip checkpoint (starts with `PK`) nor safetensors (8-byte header length, then `{{`); \
         save it again with torch.save of torch >= 1.6, or as safetensors"
    )]
    UnknownContainer {
        /// The file.
        path: PathBuf,
    },
    /// The container or its pickle is broken, or holds something a state dict does not need.
    #[error("{path}: refused: {why}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        why: String,
    },
    /// No tensor of that name.
    #[error("{path}: no tensor `{name}` among its {count}{hint}; does --config describe this checkpoint?")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// How many tensors there are.
        count: usize,
        /// A similar name, where there is one.
        hint: String,
    },
    /// A tensor of a type that holds no weights.
    #[error("{path}: tensor `{name}` is {found}; expected f32, f16 or bf16")]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// A tensor of another shape than the model's.
    #[error(
        "{path}: tensor `{name}` has shape {found:?}, expected {expected:?}; does --config describe this checkpoint?"
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A weight that is NaN or infinite.
    #[error("{path}: tensor `{name}` holds {value} at element {index}; the checkpoint is damaged or training diverged")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Flat row-major index.
        index: usize,
        /// The value.
        value: f32,
    },
}

/// An open checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<String, Stored>,
}

impl Checkpoint {
    /// Opens a `.pth` zip or a safetensors file, told apart by their first bytes.
    ///
    /// # Errors
    /// [`CheckpointError::UnknownContainer`] for anything else, [`CheckpointError::Refused`] for a broken or hostile file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref().to_path_buf();
        let io = |source| CheckpointError::Io {
            path: path.clone(),
            source,
        };
        let refused = |why| CheckpointError::Refused {
            path: path.clone(),
            why,
        };
        let file = File::open(&path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let mut start = [0_u8; 9];
        let read = read_up_to(&file, &mut start).map_err(io)?;
        let tensors = if start.starts_with(b"PK\x03\x04") {
            torch::directory(&file, bytes).map_err(refused)?
        } else if read == start.len() && start[8] == b'{' {
            safetensors::directory(&file, bytes).map_err(refused)?
        } else {
            return Err(CheckpointError::UnknownContainer { path });
        };
        Ok(Self { path, file, tensors })
    }

    /// The file it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every tensor's name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor called `name`. Nothing is read yet.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`], or [`CheckpointError::Type`] when it is not of a floating-point type.
    pub fn get(&self, name: &str) -> Result<Tensor<'_>, CheckpointError> {
        match self.tensors.get_key_value(name) {
            Some((name, Stored::Tensor(layout))) => Ok(Tensor {
                checkpoint: self,
                name,
                layout,
            }),
            Some((_, Stored::OtherType(found))) => Err(CheckpointError::Type {
                path: self.path.clone(),
                name: name.into(),
                found: found.clone(),
            }),
            None => Err(CheckpointError::Missing {
                path: self.path.clone(),
                name: name.into(),
                count: self.tensors.len(),
                hint: self
                    .similar(name)
                    .map(|s| format!(" (it has `{s}`)"))
                    .unwrap_or_default(),
            }),
        }
    }

    /// SHA-256 of the whole file, lower-case hex.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn sha256(&self) -> Result<String, CheckpointError> {
        sha256_of(&self.path).map_err(|source| CheckpointError::Io {
            path: self.path.clone(),
            source,
        })
    }

    /// A stored name that ends alike: what a wrapped module (`module.` or `model.` in front) looks like.
    fn similar(&self, name: &str) -> Option<&str> {
        self.names()
            .find(|stored| stored.ends_with(name) || name.ends_with(*stored))
    }
}

/// One tensor of a checkpoint; its numbers are read on request.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    checkpoint: &'a Checkpoint,
    name: &'a str,
    layout: &'a Layout,
}

impl Tensor<'_> {
    /// Its name in the checkpoint.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Elements per dimension, slowest first; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// How its numbers are stored.
    pub fn dtype(&self) -> Dtype {
        self.layout.dtype
    }

    /// All its numbers, row-major (last index fastest).
    ///
    /// # Errors
    /// [`CheckpointError::Io`], or [`CheckpointError::NotFinite`] at the first NaN or infinity.
    pub fn read_f32(&self) -> Result<Vec<f32>, CheckpointError> {
        let path = &self.checkpoint.path;
        let count: usize = self.layout.shape.iter().product();
        let mut values = Vec::with_capacity(count);
        let width = self.layout.dtype.bytes();
        let mut chunk = vec![0; CHUNK_BYTES.min(count * width)];
        let mut offset = self.layout.offset;
        while values.len() < count {
            let bytes = &mut chunk[..CHUNK_BYTES.min((count - values.len()) * width)];
            self.checkpoint
                .file
                .read_exact_at(bytes, offset)
                .map_err(|source| CheckpointError::Io {
                    path: path.clone(),
                    source,
                })?;
            decode(self.layout.dtype, bytes, &mut values);
            offset += bytes.len() as u64;
        }
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            let name = self.name.into();
            return Err(CheckpointError::NotFinite {
                path: path.clone(),
                name,
                index,
                value: values[index],
            });
        }
        Ok(match &self.layout.stored_order {
            None => values,
            Some(order) => row_major(&values, &self.layout.shape, order),
        })
    }
}

fn decode(dtype: Dtype, bytes: &[u8], into: &mut Vec<f32>) {
    match dtype {
        Dtype::F32 => into.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
        Dtype::F16 => into.extend(bytes.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
        Dtype::Bf16 => into.extend(
            bytes
                .as_chunks::<2>()
                .0
                .iter()
                .map(|b| bf16::from_le_bytes(*b).to_f32()),
        ),
    }
}

/// Puts numbers that were stored with the dimensions in `order` (slowest first) into the order of `shape`.
fn row_major(stored: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for &dim in order.iter().rev() {
        strides[dim] = stride;
        stride *= shape[dim];
    }
    let mut index = vec![0; shape.len()];
    let mut from = 0;
    let mut values = Vec::with_capacity(stored.len());
    for _ in 0..stored.len() {
        values.push(stored[from]);
        for dim in (0..shape.len()).rev() {
            index[dim] += 1;
            from += strides[dim];
            if index[dim] < shape[dim] {
                break;
            }
            from -= strides[dim] * shape[dim];
            index[dim] = 0;
        }
    }
    values
}

fn read_up_to(file: &File, into: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match file.read_at(&mut into[read..], read as u64)? {
            0 => break,
            n => read += n,
        }
    }
    Ok(read)
}
