//! Runs the graphs of a pack. The only file that knows ONNX Runtime.
//!
//! The library is loaded at run time, once per process: a Jetson or a CUDA host brings its own build through
//! `ORT_DYLIB_PATH`, a development machine uses the one that `make setup` unpacked.

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::Session as OrtSession;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, PrimitiveTensorElementType, TensorElementType, TensorRef, ValueType};
use schemars::JsonSchema;
use serde::Deserialize;
use std::env;
use std::fmt;
use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Names the library by path.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";
/// Where `make setup` unpacks it, relative to the repository.
const SETUP_FOLDER: &str = "target/onnxruntime";
/// How every build of it begins.
const LIBRARY_NAME: &str = "libonnxruntime.so";
/// Name of a graph's one input.
const INPUT: &str = "input";
/// Name of a graph's one output.
const OUTPUT: &str = "embedding";

/// Why a graph cannot be run.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The library is nowhere.
    #[error("ONNX Runtime not found; looked at {}. Run `make setup`, or set {LIBRARY_VARIABLE} to a libonnxruntime.so of 1.24 or newer", list(.looked))]
    NoLibrary {
        /// Every place looked at, in order.
        looked: Vec<PathBuf>,
    },
    /// The library is there but cannot be used.
    #[error(
        "{path}: cannot be used as ONNX Runtime: {why}. Run `make setup`, or set {LIBRARY_VARIABLE} to a libonnxruntime.so of 1.24 or newer"
    )]
    BadLibrary {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        why: String,
    },
    /// Another library was loaded before.
    #[error("{wanted}: this process already runs ONNX Runtime from {loaded}; one process has one")]
    OtherLibrary {
        /// The library asked for.
        wanted: PathBuf,
        /// The library in use.
        loaded: PathBuf,
    },
    /// The graph could not be loaded.
    #[error("{graph}: not loaded: {why}; `sensebind pack verify` tells whether the file is whole")]
    Load {
        /// The graph.
        graph: PathBuf,
        /// What ONNX Runtime said.
        why: String,
    },
    /// The library cannot run a graph on what was asked for.
    #[error(
        "{graph}: cannot run on {wanted}: {why}. {library} offers {}; {}",
        names(.offered),
        remedy(*.wanted, .offered)
    )]
    Provider {
        /// The graph.
        graph: PathBuf,
        /// What was asked for.
        wanted: Provider,
        /// The ONNX Runtime in use.
        library: PathBuf,
        /// What it was built with.
        offered: Vec<Provider>,
        /// What it said.
        why: String,
    },
    /// The graph does not keep the contract of a pack.
    #[error(
        "{graph}: expected one input `{INPUT}` (f32 or i64) and one output `{OUTPUT}` (f32, [batch, dim]); found {found}"
    )]
    Contract {
        /// The graph.
        graph: PathBuf,
        /// Its inputs and outputs.
        found: String,
    },
    /// An input of the wrong type or shape.
    #[error("{graph}: input has {found}; expected {expected}")]
    Input {
        /// The graph.
        graph: PathBuf,
        /// Type and shape the graph takes; -1 is any.
        expected: String,
        /// Type, shape and count given.
        found: String,
    },
    /// The graph failed while running.
    #[error("{graph}: failed while running: {why}")]
    Run {
        /// The graph.
        graph: PathBuf,
        /// What ONNX Runtime said.
        why: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|p| p.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn names(providers: &[Provider]) -> String {
    providers.iter().map(Provider::to_string).collect::<Vec<_>>().join(", ")
}

fn remedy(wanted: Provider, offered: &[Provider]) -> String {
    let needs = match wanted {
        Provider::Cpu => "",
        Provider::Cuda => "the driver of the GPU, CUDA and cuDNN of the versions it was built for",
        Provider::TensorRt => "the driver of the GPU, CUDA, cuDNN and TensorRT of the versions it was built for",
    };
    if offered.contains(&wanted) {
        format!("install {needs} (what it says names the missing library), or run on the CPU")
    } else {
        format!(
            "set {LIBRARY_VARIABLE} to a libonnxruntime.so built with {wanted} (as in the wheel onnxruntime-gpu, or the \
             board maker's), or run on the CPU"
        )
    }
}

/// What computes a graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, through CUDA and cuDNN.
    Cuda,
    /// An NVIDIA GPU, through TensorRT; what TensorRT cannot run goes to CUDA.
    TensorRt,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::TensorRt];

    /// Whether the loaded library was built with it; says nothing about the machine.
    fn is_built_in(self) -> bool {
        let answer = match self {
            Self::Cpu => ep::CPU::is_available(),
            Self::Cuda => ep::CUDA::is_available(),
            Self::TensorRt => ep::TensorRT::is_available(),
        };
        answer.unwrap_or(false)
    }

    /// In the order in which nodes are offered to them. None may be left out in silence.
    fn registered(self) -> Vec<ExecutionProviderDispatch> {
        let providers = match self {
            Self::Cpu => vec![],
            Self::Cuda => vec![ep::CUDA::default().build()],
            Self::TensorRt => vec![ep::TensorRT::default().build(), ep::CUDA::default().build()],
        };
        providers
            .into_iter()
            .map(ExecutionProviderDispatch::error_on_failure)
            .collect()
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "the CPU",
            Self::Cuda => "CUDA",
            Self::TensorRt => "TensorRT",
        })
    }
}

/// The loaded ONNX Runtime; cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    library: PathBuf,
    environment: Environment,
}

impl Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

static RUNTIME: OnceLock<Result<Runtime, SessionError>> = OnceLock::new();

impl Runtime {
    /// Loads ONNX Runtime, once per process; later calls return the same. Looks at `library` if given, else at
    /// `ORT_DYLIB_PATH`, beside the executable and in `../lib`, and in `target/onnxruntime` under the executable's and
    /// the working directory's ancestors.
    ///
    /// # Errors
    /// [`SessionError::NoLibrary`] lists every place; [`SessionError::BadLibrary`] for one that is too old or no
    /// ONNX Runtime; [`SessionError::OtherLibrary`] if the process runs another one already.
    pub fn load(library: Option<&Path>) -> Result<Self, SessionError> {
        let runtime = RUNTIME
            .get_or_init(|| find(library).and_then(Self::load_from))
            .clone()?;
        match library {
            Some(wanted) if wanted != runtime.library => Err(SessionError::OtherLibrary {
                wanted: wanted.into(),
                loaded: runtime.library,
            }),
            _ => Ok(runtime),
        }
    }

    /// The library in use.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Its version, where its name or its build tells: `1.32.0`.
    pub fn version(&self) -> Option<String> {
        let resolved = self.library.canonicalize().unwrap_or_else(|_| self.library.clone());
        let name = resolved.file_name().map(|n| n.to_string_lossy().into_owned());
        name.iter()
            .map(String::as_str)
            .chain([ort::info()])
            .find_map(version_in)
            .map(str::to_owned)
    }

    /// What it was built to run graphs on, the CPU first. Whether this machine can is known when a graph is opened.
    pub fn providers(&self) -> Vec<Provider> {
        Provider::ALL.into_iter().filter(|p| p.is_built_in()).collect()
    }

    fn load_from(library: PathBuf) -> Result<Self, SessionError> {
        let bad = |why: String| SessionError::BadLibrary {
            path: library.clone(),
            why,
        };
        let environment = ort::init_from(&library)
            .map_err(|e| bad(e.to_string()))?
            .with_name("sensebind")
            .with_telemetry(false)
            .build()
            .map_err(|e| bad(e.to_string()))?;
        Ok(Self { library, environment })
    }
}

/// The first `1.32.0` in `text`.
fn version_in(text: &str) -> Option<&str> {
    let is_version = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
    };
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|word| word.trim_matches('.'))
        .find(is_version)
}

/// The first library that is there.
fn find(library: Option<&Path>) -> Result<PathBuf, SessionError> {
    if let Some(path) = library
        .map(Path::to_path_buf)
        .or_else(|| env::var_os(LIBRARY_VARIABLE).map(PathBuf::from))
    {
        return if path.is_file() {
            Ok(path)
        } else {
            Err(SessionError::NoLibrary { looked: vec![path] })
        };
    }
    let executable = env::current_exe().ok();
    let beside = executable.as_deref().and_then(Path::parent);
    let near = beside
        .into_iter()
        .flat_map(|folder| [folder.to_path_buf(), folder.join("../lib")]);
    let working = env::current_dir().ok();
    let set_up = [beside, working.as_deref()]
        .into_iter()
        .flatten()
        .flat_map(Path::ancestors)
        .map(|folder| folder.join(SETUP_FOLDER));
    let mut looked = Vec::new();
    for folder in near.chain(set_up) {
        if looked.contains(&folder) {
            continue;
        }
        if let Some(path) = library_in(&folder) {
            return Ok(path);
        }
        looked.push(folder);
    }
    Err(SessionError::NoLibrary { looked })
}

/// `libonnxruntime.so` or, with a version behind it, the last by name.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let named = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(LIBRARY_NAME))
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| named(path) && path.is_file())
        .max()
}

/// Threads that compute one call. Results are equal, bit for bit, only for equal counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(pub NonZeroUsize);

/// Element type of a graph's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputType {
    /// 32-bit float.
    F32,
    /// 64-bit integer.
    I64,
}

impl fmt::Display for InputType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::I64 => "i64",
        })
    }
}

/// One graph, loaded and ready to run.
pub struct Session {
    graph: PathBuf,
    session: OrtSession,
    provider: Provider,
    input: (InputType, Vec<i64>),
    dim: usize,
}

impl Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("graph", &self.graph)
            .field("provider", &self.provider)
            .field("input", &self.input)
            .field("dim", &self.dim)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Loads `graph` onto `provider` and checks that it keeps the contract: one input `input`, one output `embedding`
    /// `[batch, dim]`. A provider that cannot run it is an error, never another provider; single operations that a GPU
    /// lacks go to the CPU. `threads` count on the CPU. Blocks while the graph is read: seconds for a large one, minutes
    /// when TensorRT sees it for the first time.
    ///
    /// # Errors
    /// [`SessionError::Provider`], [`SessionError::Load`], [`SessionError::Contract`].
    pub fn open(runtime: &Runtime, graph: &Path, provider: Provider, threads: Threads) -> Result<Self, SessionError> {
        let load = |e: ort::Error| match provider {
            Provider::Cpu => SessionError::Load {
                graph: graph.into(),
                why: e.to_string(),
            },
            wanted => SessionError::Provider {
                graph: graph.into(),
                wanted,
                library: runtime.library.clone(),
                offered: runtime.providers(),
                why: e.to_string().trim_end().trim_end_matches('.').to_owned(),
            },
        };
        let session = configured(&runtime.environment, provider, threads)
            .and_then(|mut builder| builder.commit_from_file(graph))
            .map_err(load)?;
        let contract = || {
            let found = format!(
                "inputs {}, outputs {}",
                outlets(session.inputs()),
                outlets(session.outputs())
            );
            SessionError::Contract {
                graph: graph.into(),
                found,
            }
        };
        let ([input], [output]) = (session.inputs(), session.outputs()) else {
            return Err(contract());
        };
        let element = |outlet: &Outlet| match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => Some((*ty, shape.to_vec())),
            _ => None,
        };
        let input_type = match element(input) {
            Some((TensorElementType::Float32, shape)) => (InputType::F32, shape),
            Some((TensorElementType::Int64, shape)) => (InputType::I64, shape),
            _ => return Err(contract()),
        };
        let dim = match element(output) {
            Some((TensorElementType::Float32, shape)) => match shape[..] {
                [_, dim] => usize::try_from(dim).map_err(|_| contract())?,
                _ => return Err(contract()),
            },
            _ => return Err(contract()),
        };
        if input.name() != INPUT || output.name() != OUTPUT {
            return Err(contract());
        }
        Ok(Self {
            graph: graph.into(),
            input: input_type,
            dim,
            session,
            provider,
        })
    }

    /// The graph's file.
    pub fn graph(&self) -> &Path {
        &self.graph
    }

    /// Element type and shape of the input; -1 is any size.
    pub fn input(&self) -> (InputType, &[i64]) {
        (self.input.0, &self.input.1)
    }

    /// Numbers per embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What runs the graph.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Runs the graph on f32 `data` of `shape` (row-major); returns the shape `[batch, dim]` and the embeddings.
    ///
    /// # Errors
    /// [`SessionError::Input`] when type, shape or count do not fit; [`SessionError::Run`].
    pub fn run_f32(&mut self, shape: &[usize], data: &[f32]) -> Result<(Vec<usize>, Vec<f32>), SessionError> {
        self.run(InputType::F32, shape, data)
    }

    /// Runs the graph on i64 `data` of `shape` (row-major): token ids `[batch, length]`.
    ///
    /// # Errors
    /// As [`Session::run_f32`].
    pub fn run_i64(&mut self, shape: &[usize], data: &[i64]) -> Result<(Vec<usize>, Vec<f32>), SessionError> {
        self.run(InputType::I64, shape, data)
    }

    fn run<T>(&mut self, given: InputType, shape: &[usize], data: &[T]) -> Result<(Vec<usize>, Vec<f32>), SessionError>
    where
        T: PrimitiveTensorElementType + Debug + Clone + 'static,
    {
        let (expected, expected_shape) = (self.input.0, &self.input.1);
        let fits = shape.len() == expected_shape.len()
            && shape
                .iter()
                .zip(expected_shape)
                .all(|(s, e)| *e < 0 || i64::try_from(*s) == Ok(*e));
        if given != expected || !fits || shape.contains(&0) || shape.iter().product::<usize>() != data.len() {
            return Err(SessionError::Input {
                graph: self.graph.clone(),
                expected: format!("{expected} {expected_shape:?}"),
                found: format!("{given} {shape:?} of {} numbers", data.len()),
            });
        }
        let failed = |e: ort::Error| SessionError::Run {
            graph: self.graph.clone(),
            why: e.to_string(),
        };
        let input = TensorRef::from_array_view((shape.to_vec(), data)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![INPUT => input]).map_err(failed)?;
        let (shape, values) = outputs[OUTPUT].try_extract_tensor::<f32>().map_err(failed)?;
        Ok((
            shape.iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect(),
            values.to_vec(),
        ))
    }
}

fn configured(
    environment: &Environment,
    provider: Provider,
    threads: Threads,
) -> ort::Result<ort::session::builder::SessionBuilder> {
    Ok(OrtSession::builder(environment)?
        .with_execution_providers(provider.registered())?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(threads.0.get())?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_deterministic_compute(true)?
        // A waiting thread sleeps: the next window comes in a tenth of a second, and the processor is shared.
        .with_intra_op_spinning(false)?)
}

fn outlets(outlets: &[Outlet]) -> String {
    let described = |o: &Outlet| format!("`{}` {}", o.name(), o.dtype());
    outlets.iter().map(described).collect::<Vec<_>>().join(", ")
}
