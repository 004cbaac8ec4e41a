//! Writes an encoder as an ONNX graph, straight from a checkpoint.
//!
//! [`Graph`] collects operators of the standard domain (opset 20: `LayerNormalization`, `Gelu`) and the *recipes* of
//! its weights; [`Graph::write`] then streams the file, one tensor in memory at a time. [`layers`] are the parts a
//! transformer is built from.

mod builder;
pub(crate) mod layers;
mod onnx;
mod weights;
mod write;

pub use builder::Graph;
pub(crate) use builder::{Dim, InputType, Value};
pub(crate) use weights::{Recipe, Weights};
pub use write::WriteError;
