//! What the senses say together about one label at one moment.
//!
//! Within one sense the strongest stream counts: two microphones hear the same fire, and a camera that looks elsewhere
//! does not deny it. Across senses log-odds add, each times its weight. A sense that cannot perceive an event says
//! nothing: all negative contributions together take away no more than the floor.

use crate::{DetectorRules, Scored, SenseRules};
use sensebind_core::{Evidence, Sense, Span, StreamId, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// What is known of one stream.
#[derive(Debug)]
struct Voice {
    sense: Sense,
    rules: SenseRules,
    span: Span,
    recent: VecDeque<Vec<f32>>,
    /// Median of `recent`, per label.
    scores: Vec<f32>,
    /// Arrived since the last step.
    fresh: bool,
}

/// All streams.
#[derive(Debug)]
pub(crate) struct Fusion {
    rules: DetectorRules,
    voices: BTreeMap<StreamId, Voice>,
}

/// One label at one step.
#[derive(Debug)]
pub(crate) struct Fused {
    /// Weighted sum of log-odds.
    pub score: f32,
    /// Whether a stream that speaks for the label has news, so that this is more than a repetition.
    pub confirmed: bool,
    /// The window of the stream that speaks loudest.
    pub window: Span,
    /// What each stream says, strongest first.
    pub evidence: Vec<Evidence>,
}

impl Fusion {
    pub(crate) fn new(rules: DetectorRules) -> Self {
        Self {
            rules,
            voices: BTreeMap::new(),
        }
    }

    /// Takes one window's scores in. False when it is not later than the stream's last one: it then changes nothing.
    pub(crate) fn hear(&mut self, scored: &Scored) -> bool {
        let rules = self.rules.sense(scored.sense);
        let voice = self.voices.entry(scored.stream.clone()).or_insert_with(|| Voice {
            sense: scored.sense,
            rules,
            span: Span::default(),
            recent: VecDeque::new(),
            scores: Vec::new(),
            fresh: false,
        });
        if !voice.recent.is_empty() {
            if scored.span.end <= voice.span.end {
                return false;
            }
            if scored.span.end.since(voice.span.end) > rules.stale {
                voice.recent.clear();
            }
        }
        let mut row = match voice.recent.len() >= rules.median {
            true => voice.recent.pop_front().unwrap_or_default(),
            false => Vec::new(),
        };
        row.clear();
        row.extend_from_slice(&scored.scores);
        voice.recent.push_back(row);
        voice.span = scored.span;
        voice.fresh = true;
        voice.scores.clear();
        let recent = &voice.recent;
        voice
            .scores
            .extend((0..scored.scores.len()).map(|i| median(recent.iter().filter_map(|r| r.get(i).copied()))));
        true
    }

    /// Fuses label `i` at step `now` from the streams that `listens` admits; `None` when none of them has news.
    pub(crate) fn fuse(&self, i: usize, now: Timestamp, listens: impl Fn(Sense) -> bool) -> Option<Fused> {
        let mut best: BTreeMap<Sense, f32> = BTreeMap::new();
        let (mut news, mut confirmed) = (false, false);
        let mut loudest: Option<(f32, Span)> = None;
        let mut evidence = Vec::new();
        for (stream, v) in &self.voices {
            if !listens(v.sense) || now.since(v.span.end) > v.rules.stale {
                continue;
            }
            let Some(&score) = v.scores.get(i) else {
                continue;
            };
            let weighted = score * v.rules.weight;
            news |= v.fresh;
            confirmed |= v.fresh && weighted > 0.0;
            best.entry(v.sense)
                .and_modify(|b| *b = b.max(weighted))
                .or_insert(weighted);
            if loudest.is_none_or(|(l, _)| weighted > l) {
                loudest = Some((weighted, v.span));
            }
            evidence.push(Evidence {
                stream: stream.clone(),
                sense: v.sense,
                score,
            });
        }
        let (_, window) = loudest.filter(|_| news)?;
        evidence.sort_by(|a, b| b.score.total_cmp(&a.score));
        let (mut plus, mut minus) = (0.0, 0.0);
        for weighted in best.into_values() {
            if weighted > 0.0 {
                plus += weighted
            } else {
                minus += weighted
            }
        }
        Some(Fused {
            score: plus + f32::max(minus, self.rules.floor),
            confirmed,
            window,
            evidence,
        })
    }

    /// The step is over: nothing is news any more.
    pub(crate) fn settle(&mut self) {
        for v in self.voices.values_mut() {
            v.fresh = false;
        }
    }
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut sorted: Vec<f32> = values.collect();
    sorted.sort_by(f32::total_cmp);
    let n = sorted.len();
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => sorted[n / 2],
        _ => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}
