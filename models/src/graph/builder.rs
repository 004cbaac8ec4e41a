//! A graph under construction: values, operators, constants, weights.

use super::onnx::{Attribute, Dimension, FLOAT, INT64, Node, Shape, Size, TensorType, Type, ValueInfo};
use super::weights::Recipe;
use crate::manifest::Precision;
use std::collections::BTreeSet;

/// Name of the one input of every graph.
pub(crate) const INPUT: &str = "input";
/// Name of the one output of every graph.
pub(crate) const OUTPUT: &str = "embedding";

/// A value that flows through the graph.
#[derive(Debug, Clone)]
pub(crate) struct Value(String);

/// One dimension of the input or output.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dim {
    /// Settled when the graph is written.
    Fixed(usize),
    /// Settled by each call.
    Free(&'static str),
}

/// Type of the input's numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum InputType {
    /// 32-bit float.
    F32,
    /// 64-bit integer.
    I64,
}

/// Numbers stored in the file.
#[derive(Debug)]
pub(super) enum Numbers<'a> {
    /// Weights, stored in the graph's precision.
    Weights(Recipe<'a>),
    /// Constants of the computation, always exact.
    F32(Vec<f32>),
    /// Shapes and indices.
    I64(Vec<i64>),
}

/// One stored tensor.
#[derive(Debug)]
pub(super) struct Initializer<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub numbers: Numbers<'a>,
}

/// An encoder being described.
#[derive(Debug)]
pub struct Graph<'a> {
    pub(super) name: String,
    pub(super) precision: Precision,
    pub(super) input: ValueInfo,
    pub(super) output: ValueInfo,
    pub(super) nodes: Vec<Node>,
    pub(super) initializers: Vec<Initializer<'a>>,
    constants: BTreeSet<String>,
}

impl<'a> Graph<'a> {
    /// A graph with the contract's one input and one output `[batch, dim]`, and the value of the input.
    pub(crate) fn new(
        name: &str,
        input: InputType,
        input_shape: &[Dim],
        dim: usize,
        precision: Precision,
    ) -> (Self, Value) {
        let element = match input {
            InputType::F32 => FLOAT,
            InputType::I64 => INT64,
        };
        let graph = Self {
            name: name.into(),
            precision,
            input: value_info(INPUT, element, input_shape),
            output: value_info(OUTPUT, FLOAT, &[Dim::Free("batch"), Dim::Fixed(dim)]),
            nodes: Vec::new(),
            initializers: Vec::new(),
            constants: BTreeSet::new(),
        };
        (graph, Value(INPUT.into()))
    }

    fn node(&mut self, op: &str, inputs: &[&Value], attributes: Vec<Attribute>) -> Value {
        let name = format!("{op}_{}", self.nodes.len());
        self.nodes.push(Node {
            input: inputs.iter().map(|v| v.0.clone()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.into(),
            attribute: attributes,
        });
        Value(name)
    }

    /// Weights as they are stored, f16 if that is the graph's precision: only for looking rows up.
    fn stored(&mut self, recipe: Recipe<'a>) -> Value {
        let name = recipe.name.clone();
        let shape = recipe.shape.clone();
        self.initializers.push(Initializer {
            name: name.clone(),
            shape,
            numbers: Numbers::Weights(recipe),
        });
        Value(name)
    }

    fn as_f32(&mut self, stored: Value) -> Value {
        match self.precision {
            Precision::F32 => stored,
            Precision::F16 => self.node("Cast", &[&stored], vec![Attribute::int("to", FLOAT.into())]),
        }
    }

    /// Weights, as f32 whatever they are stored as.
    pub(crate) fn weight(&mut self, recipe: Recipe<'a>) -> Value {
        let stored = self.stored(recipe);
        self.as_f32(stored)
    }

    /// Rows of a table `[rows, width]` by number: only the rows looked up are converted to f32.
    pub(crate) fn lookup(&mut self, table: Recipe<'a>, rows: &Value) -> Value {
        let table = self.stored(table);
        let picked = self.node("Gather", &[&table, rows], vec![Attribute::int("axis", 0)]);
        self.as_f32(picked)
    }

    /// A constant of f32.
    pub(crate) fn constant(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Value {
        if self.constants.insert(name.into()) {
            let numbers = Numbers::F32(values);
            self.initializers.push(Initializer {
                name: name.into(),
                shape: shape.to_vec(),
                numbers,
            });
        }
        Value(name.into())
    }

    /// A constant f32 number.
    pub(crate) fn scalar(&mut self, value: f32) -> Value {
        self.constant(&format!("f32 {value:e}"), &[], vec![value])
    }

    /// A constant list of integers; equal lists are stored once.
    pub(crate) fn integers(&mut self, values: &[i64]) -> Value {
        self.integer_table(&format!("i64 {values:?}"), values)
    }

    /// A long constant list of integers, under a name of its own.
    pub(crate) fn integer_table(&mut self, name: &str, values: &[i64]) -> Value {
        if self.constants.insert(name.into()) {
            let numbers = Numbers::I64(values.to_vec());
            self.initializers.push(Initializer {
                name: name.into(),
                shape: vec![values.len()],
                numbers,
            });
        }
        Value(name.into())
    }

    /// `a + b`, broadcast.
    pub(crate) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Add", &[a, b], vec![])
    }

    /// `a × b`, element by element, broadcast.
    pub(crate) fn multiply(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Mul", &[a, b], vec![])
    }

    /// Matrix product over the last two dimensions.
    pub(crate) fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        self.node("MatMul", &[a, b], vec![])
    }

    /// New shape; 0 keeps a dimension, -1 takes what is left.
    pub(crate) fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.integers(shape);
        self.node("Reshape", &[x, &shape], vec![])
    }

    /// New order of dimensions.
    pub(crate) fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        self.node("Transpose", &[x], vec![Attribute::ints("perm", order)])
    }

    /// One after the other along `axis`.
    pub(crate) fn concat(&mut self, parts: &[&Value], axis: i64) -> Value {
        self.node("Concat", parts, vec![Attribute::int("axis", axis)])
    }

    /// Softmax over the last dimension.
    pub(crate) fn softmax(&mut self, x: &Value) -> Value {
        self.node("Softmax", &[x], vec![Attribute::int("axis", -1)])
    }

    /// Exact (erf) GELU.
    pub(crate) fn gelu(&mut self, x: &Value) -> Value {
        self.node("Gelu", &[x], vec![])
    }

    /// LayerNorm over the last dimension.
    pub(crate) fn layer_norm(&mut self, x: &Value, scale: &Value, bias: &Value, epsilon: f32) -> Value {
        let attributes = vec![Attribute::int("axis", -1), Attribute::float("epsilon", epsilon)];
        self.node("LayerNormalization", &[x, scale, bias], attributes)
    }

    /// 2-D convolution without bias or padding.
    pub(crate) fn convolution(&mut self, x: &Value, kernel: &Value, stride: usize) -> Value {
        let stride = stride as i64;
        self.node(
            "Conv",
            &[x, kernel],
            vec![Attribute::ints("strides", &[stride, stride])],
        )
    }

    /// Size of dimension `axis`, as a list of one integer.
    pub(crate) fn size(&mut self, x: &Value, axis: i64) -> Value {
        self.node(
            "Shape",
            &[x],
            vec![Attribute::int("start", axis), Attribute::int("end", axis + 1)],
        )
    }

    /// `x` repeated to the (integer list) `shape`.
    pub(crate) fn expand(&mut self, x: &Value, shape: &Value) -> Value {
        self.node("Expand", &[x, shape], vec![])
    }

    /// The first `length` (a list of one integer) elements along each of `axes`.
    pub(crate) fn first(&mut self, x: &Value, length: &Value, axes: &[i64]) -> Value {
        let start = self.integers(&vec![0; axes.len()]);
        let ends = vec![length; axes.len()];
        let end = if axes.len() == 1 {
            length.clone()
        } else {
            self.concat(&ends, 0)
        };
        let axes = self.integers(axes);
        self.node("Slice", &[x, &start, &end, &axes], vec![])
    }

    /// Rows `indices` of the first dimension.
    pub(crate) fn gather(&mut self, x: &Value, indices: &Value) -> Value {
        self.node("Gather", &[x, indices], vec![Attribute::int("axis", 0)])
    }

    /// `x[b, index[b], ..]` for `x` `[B, L, D]` and `index` `[B, 1]`: `[B, 1, D]`.
    pub(crate) fn gather_per_item(&mut self, x: &Value, index: &Value) -> Value {
        let index = self.unsqueeze(index, 2);
        self.node("GatherND", &[x, &index], vec![Attribute::int("batch_dims", 1)])
    }

    /// A new dimension of size 1 at `axis`.
    pub(crate) fn unsqueeze(&mut self, x: &Value, axis: i64) -> Value {
        let axes = self.integers(&[axis]);
        self.node("Unsqueeze", &[x, &axes], vec![])
    }

    /// Position of the first largest element along `axis`, which stays with size 1.
    pub(crate) fn first_argmax(&mut self, x: &Value, axis: i64) -> Value {
        let attributes = vec![
            Attribute::int("axis", axis),
            Attribute::int("keepdims", 1),
            Attribute::int("select_last_index", 0),
        ];
        self.node("ArgMax", &[x], attributes)
    }

    /// Ends the graph: `x` `[B, dim]` divided by `max(norm, 1e-12)` becomes the output.
    pub(crate) fn finish_unit_length(&mut self, x: &Value) {
        let axes = self.integers(&[-1]);
        let norm = self.node("ReduceL2", &[x, &axes], vec![Attribute::int("keepdims", 1)]);
        let least = self.scalar(1e-12);
        let norm = self.node("Max", &[&norm, &least], vec![]);
        self.node("Div", &[x, &norm], vec![]);
        if let Some(last) = self.nodes.last_mut() {
            last.output = vec![OUTPUT.into()];
        }
    }
}

fn value_info(name: &str, element: i32, shape: &[Dim]) -> ValueInfo {
    let dim = shape
        .iter()
        .map(|d| Dimension {
            size: Some(match d {
                Dim::Fixed(n) => Size::Known(*n as i64),
                Dim::Free(name) => Size::Named((*name).into()),
            }),
        })
        .collect();
    let tensor_type = Some(TensorType {
        elem_type: element,
        shape: Some(Shape { dim }),
    });
    ValueInfo {
        name: name.into(),
        r#type: Some(Type { tensor_type }),
    }
}
