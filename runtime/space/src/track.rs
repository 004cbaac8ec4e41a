//! The life of one label: hits, then an event, then its end.
//!
//! ```text
//!           k of the last n steps ≥ on              lasts ≥ min_length
//!   quiet ─────────────────────────────► emerging ────────────────────► reported (begin, updates)
//!     ▲                                     │ fell                          │ fell below off, or silence
//!     └────────── merge_gap passed ◄────────┴───────────────────────────────┘ (end)
//! ```

use crate::fusion::Fused;
use crate::{DetectorRules, EventRules};
use sensebind_core::{Event, Evidence, Phase, SpaceId, Span, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// A step at or above the threshold, before there is an event.
#[derive(Debug)]
struct Hit {
    centre: Timestamp,
    score: f32,
    evidence: Vec<Evidence>,
}

/// An event that is emerging or reported.
#[derive(Debug)]
struct Run {
    /// 0 until it is reported.
    id: u64,
    start: Timestamp,
    score: f32,
    evidence: Vec<Evidence>,
    /// Last step at or above `off`: when it was judged, and the window it rests on.
    held: Timestamp,
    held_window: Span,
    /// Where it ends if it does not rise again.
    fell: Option<Timestamp>,
    /// When the last line was reported, and its score.
    line: Timestamp,
    line_score: f32,
}

/// One label.
#[derive(Debug)]
pub(crate) struct Track {
    label: String,
    rules: EventRules,
    /// Silence longer than this ends an event.
    patience: Duration,
    hits: VecDeque<Option<Hit>>,
    last_step: Option<Timestamp>,
    run: Option<Run>,
    rest_until: Timestamp,
}

/// What all tracks of a detector share while they report.
#[derive(Debug)]
pub(crate) struct Desk {
    pub space: SpaceId,
    pub rules: DetectorRules,
    pub reported: u64,
    pub too_short: u64,
}

/// Whether `now` itself may still bring a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Now {
    /// A step at `now` is about to be judged.
    Open,
    /// Nothing that ends at or before `now` is to come.
    Closed,
}

impl Track {
    pub(crate) fn new(label: String, rules: EventRules, patience: Duration) -> Self {
        let hits = VecDeque::with_capacity(rules.n);
        Self {
            label,
            rules,
            patience,
            hits,
            last_step: None,
            run: None,
            rest_until: Timestamp::ZERO,
        }
    }

    /// Lets time pass: silence makes an event fall, and a fall that lasted is an end. What comes out does not depend on
    /// how often this is called: a `Closed` now means that the next step is later still.
    pub(crate) fn pass(&mut self, now: Timestamp, kind: Now, desk: &mut Desk, out: &mut Vec<Event>) {
        let beyond = |since: Timestamp, limit: Duration| match kind {
            Now::Open => now.since(since) > limit,
            Now::Closed => now.since(since) >= limit && now > since,
        };
        if self.last_step.is_some_and(|t| beyond(t, self.patience)) {
            self.hits.clear();
            if let Some(run) = &mut self.run
                && run.fell.is_none()
            {
                run.fell = Some(run.held_window.end);
            }
        }
        if let Some(run) = self
            .run
            .take_if(|r| r.fell.is_some() && beyond(r.held, self.rules.merge_gap))
        {
            self.end(run, desk, out);
        }
    }

    /// Judges one step.
    pub(crate) fn step(&mut self, now: Timestamp, fused: Fused, desk: &mut Desk, out: &mut Vec<Event>) {
        self.last_step = Some(now);
        let hit = fused.score >= self.rules.on && fused.confirmed;
        if let Some(run) = &mut self.run {
            if run.fell.is_some() && !hit {
                return;
            }
            if fused.score >= self.rules.off {
                run.hold(now, &fused);
                self.report(now, desk, out);
            } else {
                // Centre of the window that fell, of the stream that spoke loudest; never beyond what it heard.
                let last = run.held_window;
                run.fell = Some(centre(last).after(now.since(last.end)).min(last.end));
                self.pass(now, Now::Open, desk, out);
            }
            return;
        }
        // A repetition of what an earlier step said is neither a hit nor a miss.
        if fused.score >= self.rules.on && !fused.confirmed {
            return;
        }
        let at = centre(fused.window);
        while self.hits.len() >= self.rules.n {
            self.hits.pop_front();
        }
        let resting = at < self.rest_until;
        self.hits.push_back((hit && !resting).then(|| Hit {
            centre: at,
            score: fused.score,
            evidence: fused.evidence.clone(),
        }));
        if self.hits.iter().flatten().count() < self.rules.k || !hit || resting {
            return;
        }
        let mut hits: Vec<Hit> = self.hits.drain(..).flatten().collect();
        let start = hits.iter().map(|h| h.centre).min().unwrap_or(at);
        // The earliest of equals, so that evidence does not depend on what came later.
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        let Some(best) = hits.into_iter().next() else {
            return;
        };
        self.run = Some(Run {
            id: 0,
            start,
            score: best.score,
            evidence: best.evidence,
            held: now,
            held_window: fused.window,
            fell: None,
            line: now,
            line_score: best.score,
        });
        self.report(now, desk, out);
    }

    /// Reports what is new about a run that holds.
    fn report(&mut self, now: Timestamp, desk: &mut Desk, out: &mut Vec<Event>) {
        let Some(run) = &mut self.run else { return };
        let phase = if run.id == 0 {
            if centre(run.held_window).since(run.start) < self.rules.min_length {
                return;
            }
            desk.reported += 1;
            run.id = desk.reported;
            Phase::Begin
        } else if run.score - run.line_score >= desk.rules.update_step || now.since(run.line) >= desk.rules.update_every
        {
            Phase::Update
        } else {
            return;
        };
        (run.line, run.line_score) = (now, run.score);
        out.push(run.event(phase, None, &self.label, &desk.space));
    }

    fn end(&mut self, run: Run, desk: &mut Desk, out: &mut Vec<Event>) {
        let end = run.fell.unwrap_or(run.held_window.end).max(run.start);
        self.hits.clear();
        if run.id == 0 {
            desk.too_short += 1;
            return;
        }
        self.rest_until = end.after(self.rules.cooldown);
        out.push(run.event(Phase::End, Some(end), &self.label, &desk.space));
    }

    /// Ends what lasts, at the latest at `now`.
    pub(crate) fn finish(&mut self, now: Timestamp, desk: &mut Desk, out: &mut Vec<Event>) {
        if let Some(mut run) = self.run.take() {
            run.fell = Some(run.fell.unwrap_or(run.held_window.end).min(now));
            self.end(run, desk, out);
        }
    }
}

impl Run {
    fn hold(&mut self, now: Timestamp, fused: &Fused) {
        (self.held, self.held_window, self.fell) = (now, fused.window, None);
        if fused.score > self.score {
            self.score = fused.score;
            self.evidence.clone_from(&fused.evidence);
        }
    }

    fn event(&self, phase: Phase, end_ns: Option<Timestamp>, label: &str, space: &SpaceId) -> Event {
        Event {
            phase,
            id: self.id,
            label: label.to_owned(),
            start_ns: self.start,
            end_ns,
            score: self.score,
            evidence: self.evidence.clone(),
            space: space.clone(),
        }
    }
}

/// Where an event lies whose share of a window just crossed a threshold: neither at its start nor at its end.
fn centre(window: Span) -> Timestamp {
    window.start.after(window.length() / 2)
}
