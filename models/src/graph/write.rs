//! Streams a graph to disk, hashing as it goes, with one tensor in memory at a time.
//!
//! A protobuf message needs its length in front. All lengths follow from the shapes, so the file is written in one
//! pass: the model's head, the graph's nodes, then each weight's head and numbers. Above protobuf's 2 GB the numbers
//! of the weights go to a second file (`<graph>_data`, ONNX external data), each tensor on its own pages; shapes and
//! other constants stay in the graph, where ONNX Runtime needs them to infer shapes.

use super::builder::{Graph, Initializer, Numbers};
use super::onnx::{self, Model, OperatorSet, StringEntry, TensorHead};
use crate::checkpoint::CheckpointError;
use crate::hash::hex;
use crate::manifest::Precision;
use half::f16;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// `ModelProto.ir_version` that goes with the operator set.
const IR_VERSION: i64 = 9;
/// Operator set: the first with `Gelu`.
const OPSET: i64 = 20;
/// Weights above this go to external data: protobuf's limit is 2^31 bytes for the whole file.
const MAX_EMBEDDED_BYTES: u64 = 2_000_000_000;
/// Alignment of external tensors, so that they can be mapped into memory.
const PAGE_BYTES: u64 = 4096;
/// Numbers converted at a time.
const CHUNK_NUMBERS: usize = 1 << 18;

/// Why a graph could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A weight could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The disk.
    #[error("{path}: cannot be written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A weight beyond f16's largest number.
    #[error("tensor `{name}` holds {value}, beyond the largest f16 (65504); import with --precision f32")]
    TooLargeForF16 {
        /// The tensor.
        name: String,
        /// The weight.
        value: f32,
    },
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenFile {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

impl Graph<'_> {
    /// Bytes of all stored numbers.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.initializers.iter().map(|i| i.bytes(self.precision)).sum()
    }

    /// Writes `<folder>/<file>` and, where the weights need it, `<folder>/<file>_data`. `progress` is told the bytes
    /// of weights after each tensor.
    pub(crate) fn write(
        &self,
        folder: &Path,
        file: &str,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<WrittenFile>, WriteError> {
        self.write_with_limit(folder, file, MAX_EMBEDDED_BYTES, progress)
    }

    pub(super) fn write_with_limit(
        &self,
        folder: &Path,
        file: &str,
        embedded_limit: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<WrittenFile>, WriteError> {
        let mut model = Output::create(folder, file)?;
        if self.weight_bytes() <= embedded_limit {
            let heads = self
                .initializers
                .iter()
                .map(|i| i.head(self.precision))
                .collect::<Vec<_>>();
            self.write_model(&mut model, &heads, progress)?;
            return Ok(vec![model.finish()?]);
        }
        let mut data = Output::create(folder, &format!("{file}_data"))?;
        let mut heads = Vec::with_capacity(self.initializers.len());
        for initializer in &self.initializers {
            let mut head = initializer.head(self.precision);
            if matches!(initializer.numbers, Numbers::Weights(_)) {
                data.pad_to(PAGE_BYTES)?;
                let entry = |key: &str, value: String| StringEntry { key: key.into(), value };
                head.external_data = vec![
                    entry("location", data.name.clone()),
                    entry("offset", data.bytes.to_string()),
                    entry("length", initializer.bytes(self.precision).to_string()),
                ];
                head.data_location = Some(onnx::EXTERNAL);
                initializer.stream(self.precision, &mut data, progress)?;
            }
            heads.push(head);
        }
        self.write_model(&mut model, &heads, progress)?;
        Ok(vec![model.finish()?, data.finish()?])
    }

    /// The `ModelProto`. A head without external data is followed by its numbers.
    fn write_model(
        &self,
        out: &mut Output,
        heads: &[TensorHead],
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), WriteError> {
        let model = Model {
            ir_version: IR_VERSION,
            producer_name: "sensebind".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            opset_import: vec![OperatorSet {
                domain: String::new(),
                version: OPSET,
            }],
        };
        let body = onnx::GraphBody {
            node: self.nodes.clone(),
            name: self.name.clone(),
            input: vec![self.input.clone()],
            output: vec![self.output.clone()],
        };
        // Bytes of one TensorProto: its head and, where embedded, key, length and numbers.
        let raw_len = |head: &TensorHead, initializer: &Initializer<'_>| {
            let bytes = initializer.bytes(self.precision);
            match head.data_location {
                Some(_) => 0,
                None => (key_len(onnx::TENSOR_RAW_DATA) + encoded_len_varint(bytes)) as u64 + bytes,
            }
        };
        let tensor_len = |head: &TensorHead, initializer| head.encoded_len() as u64 + raw_len(head, initializer);
        let tensors = || heads.iter().zip(&self.initializers);
        let graph_len = body.encoded_len() as u64
            + tensors()
                .map(|(head, initializer)| {
                    let len = tensor_len(head, initializer);
                    (key_len(onnx::GRAPH_INITIALIZER) + encoded_len_varint(len)) as u64 + len
                })
                .sum::<u64>();

        let mut bytes = model.encode_to_vec();
        begin(onnx::MODEL_GRAPH, graph_len, &mut bytes);
        bytes.extend(body.encode_to_vec());
        out.write(&bytes)?;
        for (head, initializer) in tensors() {
            let mut bytes = Vec::new();
            begin(onnx::GRAPH_INITIALIZER, tensor_len(head, initializer), &mut bytes);
            bytes.extend(head.encode_to_vec());
            if head.data_location.is_none() {
                begin(onnx::TENSOR_RAW_DATA, initializer.bytes(self.precision), &mut bytes);
            }
            out.write(&bytes)?;
            if head.data_location.is_none() {
                initializer.stream(self.precision, out, progress)?;
            }
        }
        Ok(())
    }
}

/// Key and length of a length-delimited field.
fn begin(tag: u32, len: u64, bytes: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, bytes);
    encode_varint(len, bytes);
}

impl Initializer<'_> {
    fn count(&self) -> u64 {
        self.shape.iter().map(|d| *d as u64).product()
    }

    fn bytes(&self, precision: Precision) -> u64 {
        self.count()
            * match (&self.numbers, precision) {
                (Numbers::I64(_), _) => 8,
                (Numbers::Weights(_), Precision::F16) => 2,
                _ => 4,
            }
    }

    fn head(&self, precision: Precision) -> TensorHead {
        TensorHead {
            dims: self.shape.iter().map(|d| *d as i64).collect(),
            data_type: match (&self.numbers, precision) {
                (Numbers::I64(_), _) => onnx::INT64,
                (Numbers::Weights(_), Precision::F16) => onnx::FLOAT16,
                _ => onnx::FLOAT,
            },
            name: self.name.clone(),
            ..TensorHead::default()
        }
    }

    fn stream(&self, precision: Precision, out: &mut Output, progress: &mut dyn FnMut(u64)) -> Result<(), WriteError> {
        match &self.numbers {
            Numbers::I64(values) => out.numbers(values, |v, bytes| bytes.extend(v.to_le_bytes()))?,
            Numbers::F32(values) => out.numbers(values, |v, bytes| bytes.extend(v.to_le_bytes()))?,
            Numbers::Weights(recipe) => {
                let values = (recipe.read)()?;
                match precision {
                    Precision::F32 => out.numbers(&values, |v, bytes| bytes.extend(v.to_le_bytes()))?,
                    Precision::F16 => {
                        if let Some(value) = values.iter().find(|v| f16::from_f32(**v).is_infinite()) {
                            return Err(WriteError::TooLargeForF16 {
                                name: self.name.clone(),
                                value: *value,
                            });
                        }
                        out.numbers(&values, |v, bytes| bytes.extend(f16::from_f32(v).to_le_bytes()))?;
                    }
                }
            }
        }
        progress(self.bytes(precision));
        Ok(())
    }
}

/// A file being written, with its length and hash so far.
struct Output {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Output {
    fn create(folder: &Path, name: &str) -> Result<Self, WriteError> {
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(|source| WriteError::Io {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            name: name.into(),
            path,
            file: BufWriter::new(file),
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| WriteError::Io {
            path: self.path.clone(),
            source,
        })
    }

    fn numbers<T: Copy>(&mut self, values: &[T], encode: impl Fn(T, &mut Vec<u8>)) -> Result<(), WriteError> {
        let mut bytes = Vec::new();
        for chunk in values.chunks(CHUNK_NUMBERS) {
            bytes.clear();
            chunk.iter().for_each(|v| encode(*v, &mut bytes));
            self.write(&bytes)?;
        }
        Ok(())
    }

    fn pad_to(&mut self, multiple: u64) -> Result<(), WriteError> {
        let padding = self.bytes.next_multiple_of(multiple) - self.bytes;
        self.write(&vec![0; padding as usize])
    }

    fn finish(mut self) -> Result<WrittenFile, WriteError> {
        self.file.flush().map_err(|source| WriteError::Io {
            path: self.path.clone(),
            source,
        })?;
        Ok(WrittenFile {
            name: self.name,
            bytes: self.bytes,
            sha256: hex(&self.hash.finalize()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::graph::layers::linear;
    use crate::graph::{Dim, InputType, Weights};
    use crate::session::{Provider, Runtime, Session, Threads};
    use std::num::NonZeroUsize;

    fn run(graph: &Path) -> Vec<f32> {
        let runtime = Runtime::load(None).expect("ONNX Runtime");
        let mut session = Session::open(&runtime, graph, Provider::Cpu, Threads(NonZeroUsize::MIN)).expect("session");
        session.run_f32(&[1, 2], &[1.0, 2.0]).expect("run").1
    }

    /// The public way to external data is a model of over 2 GB: here the limit is lowered instead.
    #[test]
    fn external_data_gives_the_same_numbers_as_embedded() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("w.safetensors");
        let header = r#"{"weight":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}"#;
        let numbers = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0].map(f32::to_le_bytes).concat();
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &numbers].concat();
        std::fs::write(&path, bytes).expect("written");
        let checkpoint = Checkpoint::open(&path).expect("checkpoint");
        let shape = [Dim::Free("batch"), Dim::Fixed(2)];
        let (mut graph, input) = Graph::new("test", InputType::F32, &shape, 3, Precision::F32);
        let weights = Weights::new(&checkpoint);
        let product = linear(&mut graph, &weights, &input, (2, 3), false).expect("weights");
        let product = graph.reshape(&product, &[0, 3]);
        graph.finish_unit_length(&product);

        let embedded = graph.write(folder.path(), "a.onnx", &mut |_| ()).expect("written");
        let split = graph
            .write_with_limit(folder.path(), "b.onnx", 0, &mut |_| ())
            .expect("written");
        assert_eq!(embedded.len(), 1);
        assert_eq!(
            split.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
            ["b.onnx", "b.onnx_data"]
        );
        for file in embedded.iter().chain(&split) {
            let bytes = std::fs::read(folder.path().join(&file.name)).expect("read");
            assert_eq!(
                (bytes.len() as u64, hex(&Sha256::digest(&bytes))),
                (file.bytes, file.sha256.clone())
            );
        }
        // [1, 2] W^T = [5, 11, 17], over its length
        let expected = [5.0, 11.0, 17.0].map(|v: f32| v / 435.0_f32.sqrt());
        for graph in ["a.onnx", "b.onnx"] {
            let found = run(&folder.path().join(graph));
            assert!(
                found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6),
                "{graph}: {found:?}"
            );
        }
    }
}
