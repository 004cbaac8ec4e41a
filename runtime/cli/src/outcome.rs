//! Events against what really happened.

use sensebind_core::{Event, Phase, Span, Timestamp};
use std::time::Duration;

/// How far an event may lie from the truth and still be the same: windows are seconds long.
const TOLERANCE: Duration = Duration::from_millis(1500);

/// One thing that really happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Its label.
    pub label: String,
    /// When.
    pub span: Span,
}

/// Counts what was found, missed and made up.
#[derive(Debug, Default)]
pub struct Outcome {
    truth: Vec<Truth>,
    found: Vec<bool>,
    open: Vec<(u64, usize)>,
    false_events: Vec<(String, Timestamp)>,
}

impl Outcome {
    /// Against these truths.
    pub fn new(truth: Vec<Truth>) -> Self {
        let found = vec![false; truth.len()];
        Self {
            truth,
            found,
            ..Self::default()
        }
    }

    /// The truth an event that begins belongs to, if any; counts it.
    pub fn observe(&mut self, event: &Event) -> Option<&Truth> {
        match event.phase {
            Phase::Begin => {
                let matched = self.truth.iter().position(|t| {
                    t.label == event.label
                        && t.span.start.before(TOLERANCE) <= event.start_ns
                        && event.start_ns < t.span.end.after(TOLERANCE)
                });
                match matched {
                    Some(i) => {
                        self.found[i] = true;
                        self.open.push((event.id, i));
                    }
                    None => self.false_events.push((event.label.clone(), event.start_ns)),
                }
            }
            Phase::Update => {}
            Phase::End => self.extend(event),
        }
        let index = self.open.iter().find(|(id, _)| *id == event.id)?.1;
        Some(&self.truth[index])
    }

    /// One long event may cover several happenings of its label.
    fn extend(&mut self, event: &Event) {
        let Some(end) = event.end_ns else { return };
        let span = Span::new(event.start_ns, end);
        for (truth, found) in self.truth.iter().zip(&mut self.found) {
            if truth.label == event.label && truth.span.intersection(span).is_some() {
                *found = true;
            }
        }
    }

    /// How many things happened.
    pub fn happened(&self) -> usize {
        self.truth.len()
    }

    /// How many of them have an event.
    pub fn found(&self) -> usize {
        self.found.iter().filter(|f| **f).count()
    }

    /// Those that have none.
    pub fn missed(&self) -> impl Iterator<Item = &Truth> {
        self.truth
            .iter()
            .zip(&self.found)
            .filter(|(_, found)| !**found)
            .map(|(truth, _)| truth)
    }

    /// Events of things that did not happen.
    pub fn made_up(&self) -> &[(String, Timestamp)] {
        &self.false_events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensebind_core::SpaceId;

    fn s(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn event(phase: Phase, id: u64, label: &str, start: u64, end: Option<u64>) -> Event {
        Event {
            phase,
            id,
            label: label.into(),
            start_ns: s(start),
            end_ns: end.map(s),
            score: 1.0,
            evidence: vec![],
            space: SpaceId::new("x"),
        }
    }

    #[test]
    fn counts_found_missed_and_made_up() {
        let truth = |label: &str, a, b| Truth {
            label: label.into(),
            span: Span::new(s(a), s(b)),
        };
        let mut o = Outcome::new(vec![truth("fire", 10, 20), truth("dog", 30, 33), truth("fire", 40, 45)]);
        assert!(o.observe(&event(Phase::Begin, 1, "fire", 11, None)).is_some());
        assert!(o.observe(&event(Phase::End, 1, "fire", 11, Some(41))).is_some());
        assert!(o.observe(&event(Phase::Begin, 2, "dog", 50, None)).is_none());
        assert_eq!((o.happened(), o.found(), o.made_up().len()), (3, 2, 1));
        assert_eq!(o.missed().map(|t| t.label.as_str()).collect::<Vec<_>>(), ["dog"]);
    }
}
