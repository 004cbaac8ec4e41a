//! What holds for any scores whatever.

use proptest::prelude::*;
use sensebind_core::{Embedding, Event, Phase, Sense, SpaceId, Span, StreamId, Timestamp};
use sensebind_space::{Detector, PromptFile, PromptSet, Scored};
use std::collections::BTreeMap;
use std::time::Duration;

const LABELS: [&str; 3] = ["a", "b", "c"];
const STREAMS: [(&str, Sense); 3] = [("/cam", Sense::Image), ("/ir", Sense::Thermal), ("/mic", Sense::Audio)];

fn detector(rules: &str) -> Detector {
    let events: String = LABELS
        .iter()
        .map(|l| format!("[[event]]\nlabel = \"{l}\"\nprompts = [\"{l}\"]\n"))
        .collect();
    let file = PromptFile::parse(&format!("{events}[detector]\n{rules}")).expect("valid prompts");
    let embed = |_: &str| Embedding::new(SpaceId::new("s"), vec![1.0]).ok();
    Detector::new(&PromptSet::new(&file, &["quiet"], embed).expect("one space"))
}

fn rules() -> impl Strategy<Value = String> {
    (1usize..4, 0usize..3, 0u32..4, 0u32..4, 0u32..4).prop_map(|(k, more, length, gap, rest)| {
        let n = k + more;
        let [length, gap, rest] = [length, gap, rest].map(|x| f64::from(x) * 0.5);
        format!(
            "k = {k}\nn = {n}\nmin_length_s = {length}\nmerge_gap_s = {gap}\ncooldown_s = {rest}\nupdate_every_s = 2\n"
        )
    })
}

/// Steps on a half-second grid with pauses; in each, any of the streams.
fn steps() -> impl Strategy<Value = Vec<Vec<Scored>>> {
    let scores = prop::collection::vec(-4.0f32..6.0, LABELS.len());
    let step = (
        prop_oneof![6 => Just(1u64), 1 => 2u64..12],
        prop::collection::vec(prop::option::of(scores), STREAMS.len()),
    );
    prop::collection::vec(step, 1..40).prop_map(|steps| {
        let mut end = Timestamp::from_nanos(1_000_000_000);
        steps
            .into_iter()
            .map(|(pause, rows)| {
                end = end.after(Duration::from_millis(500 * pause));
                let span = Span::ending(end, Duration::from_secs(1));
                let heard = STREAMS.iter().zip(rows).filter_map(|(&(stream, sense), row)| {
                    Some(Scored {
                        stream: StreamId::new(stream),
                        sense,
                        span,
                        scores: row?,
                    })
                });
                heard.collect()
            })
            .collect()
    })
}

fn end_of(steps: &[Vec<Scored>]) -> Timestamp {
    steps.iter().flatten().map(|s| s.span.end).max().unwrap_or_default()
}

fn run(rules: &str, steps: &[Vec<Scored>], reversed: bool, advance: impl Fn(usize) -> bool) -> Vec<Event> {
    let mut d = detector(rules);
    let mut out = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let mut step = step.clone();
        if reversed {
            step.reverse();
        }
        for s in &step {
            d.observe(s, 1.0, &mut out);
        }
        if advance(i)
            && let Some(s) = step.first()
        {
            // Up to just before the next step there is nothing.
            let next = steps[i + 1..].iter().flatten().map(|s| s.span.end).next();
            let quiet = next.map_or(s.span.end, |t| t.before(Duration::from_nanos(1)));
            for now in [
                s.span.end,
                s.span.end.after(Duration::from_millis(300)).min(quiet),
                quiet,
            ] {
                d.advance(now, &mut out);
            }
        }
    }
    d.finish(end_of(steps), &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn lives_are_well_formed(rules in rules(), steps in steps()) {
        let out = run(&rules, &steps, false, |i| i % 2 == 0);
        let last = end_of(&steps);
        let mut open: BTreeMap<u64, Event> = BTreeMap::new();
        let mut rest: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut begun = 0;
        for e in out {
            prop_assert!(e.score >= 2.0 && e.start_ns <= last);
            prop_assert!(!e.evidence.is_empty() && e.evidence.windows(2).all(|w| w[0].score >= w[1].score));
            match e.phase {
                Phase::Begin => {
                    begun += 1;
                    prop_assert_eq!(e.id, begun, "ids count begins");
                    prop_assert_eq!(e.end_ns, None);
                    prop_assert!(open.values().all(|o| o.label != e.label), "one at a time of each label");
                    prop_assert!(rest.get(&e.label).is_none_or(|t| e.start_ns >= *t), "no two overlap");
                    open.insert(e.id, e);
                }
                Phase::Update => {
                    let before = open.insert(e.id, e.clone());
                    let before = before.ok_or_else(|| TestCaseError::fail("an update without a begin"))?;
                    prop_assert_eq!((before.start_ns, &before.label, e.end_ns), (e.start_ns, &e.label, None));
                    prop_assert!(e.score >= before.score);
                }
                Phase::End => {
                    let before = open.remove(&e.id).ok_or_else(|| TestCaseError::fail("an end without a begin"))?;
                    prop_assert_eq!((before.start_ns, &before.label), (e.start_ns, &e.label));
                    let end = e.end_ns.ok_or_else(|| TestCaseError::fail("an end without a time"))?;
                    prop_assert!(end >= e.start_ns && end <= last && e.score >= before.score);
                    rest.insert(e.label, end);
                }
            }
        }
        prop_assert!(open.is_empty(), "finish ends all");
    }

    #[test]
    fn the_order_within_a_step_does_not_matter(rules in rules(), steps in steps()) {
        prop_assert_eq!(run(&rules, &steps, false, |_| false), run(&rules, &steps, true, |_| false));
    }

    /// How often one says that time has passed changes when lines come out, and so their order among labels, but not
    /// what they say.
    #[test]
    fn the_cadence_of_advance_does_not_matter(rules in rules(), steps in steps()) {
        let per_label = |out: Vec<Event>| {
            let mut lives: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for e in out {
                let line = format!("{:?} {:?} {:?} {} {:?}", e.phase, e.start_ns, e.end_ns, e.score, e.evidence);
                lives.entry(e.label).or_default().push(line);
            }
            lives
        };
        let never = per_label(run(&rules, &steps, false, |_| false));
        prop_assert_eq!(&never, &per_label(run(&rules, &steps, false, |_| true)));
        prop_assert_eq!(&never, &per_label(run(&rules, &steps, false, |i| i % 3 == 0)));
    }
}
