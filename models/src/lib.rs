//! Encoder families and packs: windows in, unit vectors out.
//!
//! * [`checkpoint`]: trained weights as a file, read tensor by tensor.
//! * [`encoder`]: the encoders of an open pack, window by window.
//! * [`family`]: model families; how their checkpoints become packs.
//! * [`graph`]: writes ONNX graphs.
//! * [`input`]: what sensors deliver → the numbers a graph reads.
//! * [`manifest`]: what `pack.toml` says — the contract between an imported model and the runtime.
//! * [`pack`]: a folder of graphs and its manifest: import, open, verify.
//! * [`session`]: runs a graph; the only file that knows ONNX Runtime.

pub mod checkpoint;
pub mod encoder;
pub mod family;
pub mod graph;
mod hash;
pub mod input;
pub mod manifest;
pub mod pack;
pub mod session;
