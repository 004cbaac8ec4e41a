//! How scores of several streams become events.
//!
//! # Steps
//! Windows that end at the same time are judged together, as one *step*. A step is judged when a window that ends later
//! arrives, or when [`advance`](Detector::advance) says that nothing that ends at or before a time is to come. So the
//! order in which windows of one step arrive does not matter, and neither does how often `advance` is called; steps
//! themselves must come in order, as a merge of the streams by window end gives them. A window that comes after its
//! step was judged is counted as late and takes part in the next step.
//!
//! # One label at one step
//! Fusion: within a sense the strongest stream counts; across senses log-odds add, each times its weight; what is
//! negative takes away at most `floor` in total; streams whose last window is older than `stale` say nothing. A step is a
//! *hit* when the fused score reaches `on` and a stream that speaks for the label has news.
//!
//! # From steps to an event
//! `k` hits in the last `n` steps begin an event. It starts at the centre of the first hit's window: a window crosses
//! the threshold when an event fills a part of it, so its start would be too early and its end too late. The event lasts
//! while the fused score stays at or above `off`; it ends at the centre of the window in which it fell, or, when its
//! streams fall silent for `stale`, at the end of the last window. A new hit within `merge_gap` carries it on. An event
//! is reported once it has lasted `min_length`; then the label rests for `cooldown`.
//!
//! # Order
//! Lines come out in the order of their decisions: steps ascending, labels in the order of the file. `id` counts begins
//! from 1. An `end` is decided `merge_gap` after the event fell, and its `end_ns` lies that much earlier than lines
//! before it may.

use crate::PromptSet;
use crate::fusion::Fusion;
use crate::set::Label;
use crate::track::{Desk, Now, Track};
use sensebind_core::{Event, Sense, Span, StreamId, Timestamp};

/// The scores of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Where the window comes from.
    pub stream: StreamId,
    /// Its sense.
    pub sense: Sense,
    /// When it was.
    pub span: Span,
    /// Log-odds, one per label of the set; see [`PromptSet::score`].
    pub scores: Vec<f32>,
}

/// Totals since construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Windows offered: judged + not judged.
    pub observed: u64,
    /// Windows not judged: covered too little, of the wrong number of scores, not finite, not later than the last of
    /// their stream, or after the end.
    pub unjudged: u64,
    /// Windows that came after their step had been judged and took part in a later one.
    pub late: u64,
    /// Events that fell before they had lasted long enough to be reported.
    pub too_short: u64,
}

/// Turns scores into events; see the [module](crate::detector). Holds no clock: time is that of the windows.
#[derive(Debug)]
pub struct Detector {
    labels: Vec<Label>,
    tracks: Vec<Track>,
    fusion: Fusion,
    desk: Desk,
    /// End of the windows being gathered.
    pending: Option<Timestamp>,
    /// Up to where steps have been judged.
    judged: Option<Timestamp>,
    counters: Counters,
    finished: bool,
}

impl Detector {
    /// A detector of the set's labels by the set's rules, that has seen nothing.
    pub fn new(set: &PromptSet) -> Self {
        let rules = set.detector_rules().clone();
        let labels = set.entries().to_vec();
        let track = |l: &Label| {
            let heard = Sense::ALL.into_iter().filter(|&s| l.perceived_by(s));
            let patience = heard.map(|s| rules.sense(s).stale).max().unwrap_or_default();
            Track::new(l.name.clone(), l.rules, patience)
        };
        Self {
            tracks: labels.iter().map(track).collect(),
            labels,
            fusion: Fusion::new(rules.clone()),
            desk: Desk {
                space: set.space().clone(),
                rules,
                reported: 0,
                too_short: 0,
            },
            pending: None,
            judged: None,
            counters: Counters::default(),
            finished: false,
        }
    }

    /// Takes one window in, covered by data to the part `coverage` (0 to 1); appends to `out` what that decides.
    pub fn observe(&mut self, scored: &Scored, coverage: f32, out: &mut Vec<Event>) {
        self.counters.observed += 1;
        let end = scored.span.end;
        let usable = !self.finished
            && coverage >= self.desk.rules.sense(scored.sense).min_coverage
            && scored.scores.len() == self.labels.len()
            && scored.scores.iter().all(|s| s.is_finite());
        if !usable {
            self.counters.unjudged += 1;
            return;
        }
        if self.pending.is_some_and(|p| end > p) {
            self.judge(out);
        }
        if !self.fusion.hear(scored) {
            self.counters.unjudged += 1;
            return;
        }
        if self.judged.is_some_and(|j| end <= j) {
            self.counters.late += 1;
        } else {
            self.pending = Some(self.pending.map_or(end, |p| p.max(end)));
        }
    }

    /// Nothing that ends at or before `now` is to come: judges what was gathered up to then, and ends events whose
    /// streams have fallen silent. Call it as soon as it is true; a `now` that goes back does nothing.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Event>) {
        if self.finished {
            return;
        }
        if self.pending.is_some_and(|p| p <= now) {
            self.judge(out);
        }
        if self.pending.is_none() && self.judged.is_none_or(|j| j <= now) {
            for track in &mut self.tracks {
                track.pass(now, Now::Closed, &mut self.desk, out);
            }
            self.judged = Some(now);
        }
    }

    /// There is no more: judges what was gathered and ends all events, at `now` at the latest. Whatever comes
    /// afterwards is counted and not judged.
    pub fn finish(&mut self, now: Timestamp, out: &mut Vec<Event>) {
        if self.finished {
            return;
        }
        self.judge(out);
        for track in &mut self.tracks {
            track.finish(now, &mut self.desk, out);
        }
        self.finished = true;
    }

    /// Totals since construction.
    pub fn counters(&self) -> Counters {
        Counters {
            too_short: self.desk.too_short,
            ..self.counters
        }
    }

    fn judge(&mut self, out: &mut Vec<Event>) {
        let Some(now) = self.pending.take() else {
            return;
        };
        for (i, (label, track)) in self.labels.iter().zip(&mut self.tracks).enumerate() {
            track.pass(now, Now::Open, &mut self.desk, out);
            if let Some(fused) = self.fusion.fuse(i, now, |s| label.perceived_by(s)) {
                track.step(now, fused, &mut self.desk, out);
            }
        }
        self.fusion.settle();
        self.judged = Some(now);
    }
}
