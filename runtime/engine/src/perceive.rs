//! Encoders, prompts and detector: windows in, events out.

use sensebind_core::{
    Embedding, EncodeError, Encoder, Event, Format, Sense, SpaceId, Span, StreamId, Timestamp, Window,
};
use sensebind_space::{Detector, PromptSet, Scored};
use std::collections::BTreeMap;

use crate::account::DropReason;
use crate::stream::{CaptureError, Cutting};
use rayon::prelude::*;

/// Encoders, prompts and input do not fit each other: found at start.
#[derive(Debug, thiserror::Error)]
pub enum PerceiveError {
    /// An encoder refuses a stream's format, or the model failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A stream cannot be captured.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Prompts and encoder live in different spaces.
    #[error(
        "the {sense} encoder writes into space {encoder}, the prompts live in {prompts}: encode the prompts with the same pack"
    )]
    Space {
        /// The encoder's sense.
        sense: Sense,
        /// Its space.
        encoder: SpaceId,
        /// The prompts' space.
        prompts: SpaceId,
    },
}

/// Part of a window that data must cover for it to be judged, unless the caller says otherwise.
pub const DEFAULT_MIN_COVERAGE: f32 = 0.5;

/// What became of one window.
#[derive(Debug)]
pub struct Judged {
    /// The window, for its buffers.
    pub window: Window,
    /// Scored, or why not.
    pub outcome: Result<(), (DropReason, String)>,
}

/// Encodes windows in batches, scores them against the prompts and runs the detector over the scores.
pub struct Perceive {
    lanes: Vec<Lane>,
    /// Encoded and not yet scored: the window, its embedding, the lane it came from.
    encoded: Vec<(Window, Result<Embedding, EncodeError>, usize)>,
    /// The scores of the window being judged; kept for its buffers.
    scored: Scored,
    prompts: PromptSet,
    detector: Detector,
    min_coverage: f32,
}

struct Lane {
    sense: Sense,
    logit_scale: f32,
    encoder: Box<dyn Encoder>,
    windows: Vec<Window>,
    results: Vec<Result<Embedding, EncodeError>>,
}

impl std::fmt::Debug for Perceive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let senses: Vec<_> = self.lanes.iter().map(|l| l.sense).collect();
        f.debug_struct("Perceive")
            .field("senses", &senses)
            .finish_non_exhaustive()
    }
}

impl Perceive {
    /// Joins encoders and prompts of one space.
    ///
    /// # Errors
    /// [`PerceiveError::Space`].
    pub fn new(
        encoders: Vec<Box<dyn Encoder>>,
        prompts: PromptSet,
        detector: Detector,
        min_coverage: f32,
    ) -> Result<Self, PerceiveError> {
        for encoder in &encoders {
            let spec = encoder.spec();
            if spec.space != *prompts.space() {
                return Err(PerceiveError::Space {
                    sense: spec.sense,
                    encoder: spec.space.clone(),
                    prompts: prompts.space().clone(),
                });
            }
        }
        let lanes = encoders
            .into_iter()
            .map(|encoder| Lane {
                sense: encoder.spec().sense,
                logit_scale: encoder.spec().logit_scale,
                encoder,
                windows: Vec::new(),
                results: Vec::new(),
            })
            .collect();
        Ok(Self {
            lanes,
            encoded: Vec::new(),
            scored: Scored {
                stream: StreamId::new(""),
                sense: Sense::Image,
                span: Span::default(),
                scores: Vec::new(),
            },
            prompts,
            detector,
            min_coverage,
        })
    }

    /// The prompts in use.
    pub fn prompts(&self) -> &PromptSet {
        &self.prompts
    }

    /// What each sense wants cut.
    pub fn cuttings(&self) -> BTreeMap<Sense, Cutting> {
        self.lanes
            .iter()
            .map(|lane| {
                let spec = lane.encoder.spec();
                (
                    lane.sense,
                    Cutting {
                        window: spec.window,
                        hop: spec.hop,
                    },
                )
            })
            .collect()
    }

    /// Checks every stream whose sense has an encoder against it.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn accepts(&self, streams: &[(StreamId, Format)]) -> Result<(), PerceiveError> {
        for (stream, format) in streams {
            if let Some(lane) = self.lanes.iter().find(|l| l.sense == format.sense()) {
                lane.encoder.accepts(stream, format)?;
            }
        }
        Ok(())
    }

    /// Encodes `windows` (senses side by side, one batch each), then scores and detects in order of window end and
    /// stream name. Drains `windows`; appends one [`Judged`] each, in that order.
    ///
    /// Blocks while the models run.
    ///
    /// # Errors
    /// When a model failed as a whole.
    pub fn perceive(
        &mut self,
        windows: &mut Vec<Window>,
        judged: &mut Vec<Judged>,
        on_score: impl FnMut(&Scored),
        events: &mut Vec<Event>,
    ) -> Result<(), PerceiveError> {
        self.encode(windows, judged)?;
        self.judge(judged, on_score, events);
        Ok(())
    }

    /// The first half of [`perceive`](Self::perceive): encodes `windows`, and sorts out into `judged` those that cannot be.
    ///
    /// # Errors
    /// When a model failed as a whole.
    pub fn encode(&mut self, windows: &mut Vec<Window>, judged: &mut Vec<Judged>) -> Result<(), PerceiveError> {
        for window in windows.drain(..) {
            if window.coverage < self.min_coverage {
                judged.push(Judged {
                    window,
                    outcome: Err((DropReason::LowCoverage, String::new())),
                });
                continue;
            }
            match self.lanes.iter_mut().find(|l| l.sense == window.format.sense()) {
                Some(lane) => lane.windows.push(window),
                None => judged.push(Judged {
                    window,
                    outcome: Err((DropReason::NoEncoder, String::new())),
                }),
            }
        }
        self.lanes
            .par_iter_mut()
            .filter(|lane| !lane.windows.is_empty())
            .try_for_each(|lane| {
                lane.results.clear();
                lane.encoder.encode(&lane.windows, &mut lane.results)
            })?;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            self.encoded.extend(
                lane.windows
                    .drain(..)
                    .zip(lane.results.drain(..))
                    .map(|(w, r)| (w, r, index)),
            );
        }
        Ok(())
    }

    /// The second half of [`perceive`](Self::perceive): scores what was encoded and shows it to the detector.
    pub fn judge(&mut self, judged: &mut Vec<Judged>, mut on_score: impl FnMut(&Scored), events: &mut Vec<Event>) {
        self.encoded
            .sort_by(|(a, _, _), (b, _, _)| (a.span.end, &a.stream).cmp(&(b.span.end, &b.stream)));
        for (window, result, index) in self.encoded.drain(..) {
            let lane = &self.lanes[index];
            let scored = &mut self.scored;
            let outcome = match result {
                Ok(embedding) => {
                    scored.scores.clear();
                    match self
                        .prompts
                        .score(lane.sense, lane.logit_scale, &embedding, &mut scored.scores)
                    {
                        Ok(()) => {
                            scored.stream = window.stream.clone();
                            scored.sense = lane.sense;
                            scored.span = window.span;
                            on_score(scored);
                            self.detector.observe(scored, window.coverage, events);
                            Ok(())
                        }
                        Err(mismatch) => Err((DropReason::BadWindow, mismatch.to_string())),
                    }
                }
                Err(fault) => Err((DropReason::BadWindow, fault.to_string())),
            };
            judged.push(Judged { window, outcome });
        }
        // Accounts are settled in the order windows were cut, judged or not.
        judged.sort_by(|a, b| (a.window.span.end, &a.window.stream).cmp(&(b.window.span.end, &b.window.stream)));
    }

    /// Tells the detector that nothing was captured up to `now`.
    pub fn advance(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        self.detector.advance(now, events);
    }

    /// Ends every open event.
    pub fn finish(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        self.detector.finish(now, events);
    }
}
