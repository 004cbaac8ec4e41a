//! The [`Encoder`] of a sensor's sense: prepare, run once, answer window by window.

use super::model::Model;
use crate::input::InputError;
use sensebind_core::{Embedding, EncodeError, Encoder, EncoderSpec, Format, StreamId, Window};

/// How windows of one sense become items of a batch.
pub(super) trait WindowInput: Send {
    /// Shape of one item.
    fn item(&self) -> Vec<usize>;

    /// Items that [`append`](Self::append) makes of one window; the mean of their embeddings is the window's.
    fn items_per_window(&self) -> usize {
        1
    }

    /// Whether frames of `format` can be prepared; the sense is already known to fit.
    fn accepts(&self, format: &Format) -> Result<(), InputError>;

    /// Appends the items of one window; appends nothing on failure.
    fn append(&mut self, window: &Window, batch: &mut Vec<f32>) -> Result<(), InputError>;
}

/// An encoder of a pack.
pub(super) struct WindowEncoder<I> {
    model: Model,
    input: I,
    item: Vec<usize>,
    batch: Vec<f32>,
}

impl<I: WindowInput> WindowEncoder<I> {
    pub fn new(model: Model, input: I) -> Self {
        Self {
            model,
            item: input.item(),
            input,
            batch: Vec::new(),
        }
    }
}

impl<I: WindowInput> Encoder for WindowEncoder<I> {
    fn spec(&self) -> &EncoderSpec {
        self.model.spec()
    }

    fn accepts(&self, stream: &StreamId, format: &Format) -> Result<(), EncodeError> {
        let sense = self.spec().sense;
        let why = if format.sense() == sense {
            match self.input.accepts(format) {
                Ok(()) => return Ok(()),
                Err(e) => e.to_string(),
            }
        } else {
            format!("it is of sense {}; give the stream to that encoder", format.sense())
        };
        Err(EncodeError::Mismatch {
            stream: stream.clone(),
            sense,
            format: Box::new(*format),
            why,
        })
    }

    fn encode(&mut self, windows: &[Window], out: &mut Vec<Result<Embedding, EncodeError>>) -> Result<(), EncodeError> {
        self.batch.clear();
        let prepared: Vec<Result<(), InputError>> = windows
            .iter()
            .map(|window| self.input.append(window, &mut self.batch))
            .collect();
        let mut embeddings = match self.batch.is_empty() {
            true => Vec::new(),
            false => self.model.run_f32(&self.item, &self.batch)?,
        }
        .into_iter();
        let per_window = self.input.items_per_window();
        out.extend(windows.iter().zip(prepared).map(|(window, prepared)| {
            let bad = |why: String| EncodeError::BadWindow {
                stream: window.stream.clone(),
                span: window.span,
                why,
            };
            prepared.map_err(|e| bad(e.to_string()))?;
            // Taken whole, whatever is among them: the next window's come after.
            let mut items: Vec<_> = embeddings.by_ref().take(per_window).collect();
            let of_window = match items.len() == per_window {
                false => None,
                true if per_window == 1 => items.pop(),
                true => match items.into_iter().collect::<Result<Vec<_>, _>>() {
                    Ok(items) => Embedding::mean(&items),
                    Err(e) => Some(Err(e)),
                },
            };
            match of_window {
                Some(embedding) => embedding.map_err(|e| bad(e.to_string())),
                None => Err(bad("the model returned fewer embeddings than windows".into())),
            }
        }));
        Ok(())
    }
}
