//! The encoders of an open pack: windows in, unit vectors out.
//!
//! [`PackEncoders`] opens one session per sense, when that sense is asked for: a device without a camera never loads the
//! image encoder. An encoder prepares every window by the pack's recipe ([`crate::input`]), runs the model once for the
//! whole batch, and answers window by window: a bad one does not cost its neighbours.
//!
//! [`files`] turns single files into windows, for `sensebind embed`.

pub mod files;
mod model;
mod sense;
mod text;
mod window;

pub use text::TextEncoder;

use crate::input::InputError;
use crate::manifest::{Precision, SenseEntry};
use crate::pack::{GraphKind, Pack, PackError};
use crate::session::{Provider, Runtime, Session, SessionError, Threads};
use model::Model;
use sense::{AudioInput, DepthInput, ImageInput, ImuInput, ThermalInput, VideoInput};
use sensebind_core::{Encoder, EncoderSpec, Sense, SpaceId};
use std::collections::BTreeMap;
use std::time::Duration;
use window::{WindowEncoder, WindowInput};

/// An encoder of a pack could not be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The pack has no such sense, or its file is not there.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The pack has no graph for video clips.
    #[error("{0}: let the camera's windows be stills (frames = \"still\"), or take a pack with video")]
    NoVideo(PackError),
    /// The graph could not be loaded.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The recipe in the pack's manifest is impossible.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The recipe gives another shape than the graph takes.
    #[error("the pack's {sense} recipe gives {recipe:?} per window, its graph takes {graph:?}: import the pack again")]
    Shape {
        /// Whose entry.
        sense: Sense,
        /// Shape of one item by the recipe.
        recipe: Vec<usize>,
        /// Shape of the graph's input, the batch first; -1 is any size.
        graph: Vec<i64>,
    },
    /// The pack stores the weights of a sense otherwise than was asked for.
    #[error(
        "the pack's {sense} graph is {found}, {wanted} was asked for: import the checkpoint again (`sensebind pack import \
         CHECKPOINT --config CONFIG --out DIR --precision {wanted}`), or ask for {found}"
    )]
    Precision {
        /// Whose graph.
        sense: Sense,
        /// What was asked for.
        wanted: Precision,
        /// What the manifest says.
        found: Precision,
    },
    /// A length of time in the manifest is impossible.
    #[error("the pack's {sense} {field} is {value}, expected seconds from 0 to 3600")]
    Seconds {
        /// Whose entry.
        sense: Sense,
        /// `window_s` or `hop_s`.
        field: &'static str,
        /// What it says.
        value: f64,
    },
}

/// How the graph of one sense is to run. By default on the CPU, whatever its precision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncoderOptions {
    /// What computes it.
    pub provider: Provider,
    /// How its weights must be stored; another precision in the pack is an error.
    pub precision: Option<Precision>,
}

/// Opens the encoders of one pack, sense by sense.
#[derive(Debug, Clone)]
pub struct PackEncoders<'a> {
    pack: &'a Pack,
    runtime: &'a Runtime,
    threads: Threads,
    options: BTreeMap<Sense, EncoderOptions>,
}

impl<'a> PackEncoders<'a> {
    /// Encoders of `pack`, each running on `threads` of the CPU unless [`with`](Self::with) says otherwise. Loads
    /// nothing yet.
    pub fn new(pack: &'a Pack, runtime: &'a Runtime, threads: Threads) -> Self {
        Self {
            pack,
            runtime,
            threads,
            options: BTreeMap::new(),
        }
    }

    /// The same, with `options` for `sense`.
    #[must_use]
    pub fn with(mut self, sense: Sense, options: EncoderOptions) -> Self {
        self.options.insert(sense, options);
        self
    }

    /// Loads the encoder of a sensor's sense. Blocks while the graph is read.
    ///
    /// # Errors
    /// [`OpenError::Pack`] when the pack lacks it (text is none of the sensors': see [`text`](Self::text)),
    /// [`OpenError::Session`] when its graph cannot run as asked, [`OpenError::Precision`] when it is stored otherwise,
    /// [`OpenError::Input`] for an impossible recipe.
    pub fn encoder(&self, sense: Sense) -> Result<Box<dyn Encoder>, OpenError> {
        let m = self.pack.manifest();
        match sense {
            Sense::Image => self.open(sense, m.image.as_ref(), ImageInput::new),
            Sense::Audio => self.open(sense, m.audio.as_ref(), AudioInput::new),
            Sense::Depth => self.open(sense, m.depth.as_ref(), DepthInput::new),
            Sense::Thermal => self.open(sense, m.thermal.as_ref(), ThermalInput::new),
            Sense::Imu => self.open(sense, m.imu.as_ref(), ImuInput::new),
            Sense::Text => Err(self.missing(sense)),
        }
    }

    /// Loads the encoder of a camera whose windows are clips and not stills: the pack's video graph, in the same space as
    /// its pictures. A window is as long as the manifest says and of its pictures the encoder takes as many as the
    /// recipe has frames, evenly spaced. Blocks while the graph is read.
    ///
    /// # Errors
    /// [`OpenError::NoVideo`] when the pack has no video graph; else as [`encoder`](Self::encoder).
    pub fn clip_encoder(&self) -> Result<Box<dyn Encoder>, OpenError> {
        let entry = self.pack.manifest().video.as_ref();
        if let Err(e) = self.pack.graph_path(GraphKind::Video) {
            return Err(OpenError::NoVideo(e));
        }
        if entry.is_some_and(|entry| entry.window_s <= 0.0) {
            let why = "its video window_s is 0, expected the length of a clip in seconds".into();
            return Err(OpenError::Input(InputError::Recipe {
                sense: Sense::Image,
                why,
            }));
        }
        self.open(GraphKind::Video, entry, VideoInput::new)
    }

    /// Loads the text encoder and its vocabulary. Blocks while the graph is read.
    ///
    /// # Errors
    /// As [`encoder`](Self::encoder).
    pub fn text(&self) -> Result<TextEncoder, OpenError> {
        let entry = self
            .pack
            .manifest()
            .text
            .as_ref()
            .ok_or_else(|| self.missing(Sense::Text))?;
        TextEncoder::new(self.model(GraphKind::Text, entry)?, &entry.input)
    }

    fn open<R, I: WindowInput + 'static>(
        &self,
        kind: impl Into<GraphKind>,
        entry: Option<&SenseEntry<R>>,
        input: impl FnOnce(&R) -> Result<I, InputError>,
    ) -> Result<Box<dyn Encoder>, OpenError> {
        let kind = kind.into();
        let sense = kind.sense();
        let entry = entry.ok_or_else(|| self.missing(sense))?;
        // The recipe first: it is checked in microseconds, a graph may take seconds to load.
        let input = input(&entry.input)?;
        let model = self.model(kind, entry)?;
        let (item, graph) = (input.item(), model.input_shape());
        let fits = |(&size, &wanted): (&usize, &i64)| wanted < 0 || i64::try_from(size) == Ok(wanted);
        if graph.len() != item.len() + 1 || !item.iter().zip(&graph[1..]).all(fits) {
            return Err(OpenError::Shape {
                sense,
                recipe: item,
                graph: graph.to_vec(),
            });
        }
        Ok(Box::new(WindowEncoder::new(model, input)))
    }

    fn model<R>(&self, kind: GraphKind, entry: &SenseEntry<R>) -> Result<Model, OpenError> {
        let sense = kind.sense();
        let seconds = |field, value| {
            Duration::try_from_secs_f64(value)
                .ok()
                .filter(|d| d.as_secs() <= 3600)
                .ok_or(OpenError::Seconds { sense, field, value })
        };
        let options = self.options.get(&sense).copied().unwrap_or_default();
        if let Some(wanted) = options.precision.filter(|wanted| *wanted != entry.precision) {
            return Err(OpenError::Precision {
                sense,
                wanted,
                found: entry.precision,
            });
        }
        let space = &self.pack.manifest().space;
        let spec = EncoderSpec {
            sense,
            space: SpaceId::new(&space.id),
            dim: space.dim,
            logit_scale: entry.logit_scale * self.scale_of_text_for(sense),
            window: seconds("window_s", entry.window_s)?,
            hop: seconds("hop_s", entry.hop_s)?,
        };
        let graph = self.pack.verified_graph(kind)?;
        let session = Session::open(self.runtime, &graph, options.provider, self.threads)?;
        Ok(Model::new(session, spec))
    }

    /// Pictures met text in training, at the text's temperature, and have none of their own (parity specification 5:
    /// "vision none"); every other sense met pictures, at its own.
    fn scale_of_text_for(&self, sense: Sense) -> f32 {
        match (sense, &self.pack.manifest().text) {
            (Sense::Image, Some(text)) => text.logit_scale,
            _ => 1.0,
        }
    }

    fn missing(&self, sense: Sense) -> OpenError {
        match self.pack.graph_path(sense) {
            Err(e) => OpenError::Pack(e),
            // Only text has a graph and yet no sensor.
            Ok(_) => OpenError::Input(InputError::Recipe {
                sense,
                why: "it encodes phrases, not windows of a sensor".into(),
            }),
        }
    }
}
