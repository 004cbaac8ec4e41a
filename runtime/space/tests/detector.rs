//! Behaviour of the detector on score traces written by hand.

use sensebind_core::{Embedding, Event, Phase, Sense, SpaceId, Span, StreamId, Timestamp};
use sensebind_space::{Detector, PromptFile, PromptSet, Scored};
use std::time::Duration;

fn detector(labels: &[&str], toml: &str) -> Detector {
    let events: String = labels
        .iter()
        .map(|l| format!("[[event]]\nlabel = \"{l}\"\nprompts = [\"{l}\"]\n"))
        .collect();
    let file = PromptFile::parse(&format!("{events}{toml}")).expect("valid prompts");
    let embed = |_: &str| Embedding::new(SpaceId::new("s"), vec![1.0]).ok();
    Detector::new(&PromptSet::new(&file, &["quiet"], embed).expect("one space"))
}

/// Window of 1 s that ends at `end` seconds.
fn window(stream: &str, sense: Sense, end: f64, scores: &[f32]) -> Scored {
    let end = Timestamp::from_nanos((end * 1e9) as u64);
    let span = Span::ending(end, Duration::from_secs(1));
    Scored {
        stream: StreamId::new(stream),
        sense,
        span,
        scores: scores.to_vec(),
    }
}

fn sound(end: f64, score: f32) -> Scored {
    window("/mic", Sense::Audio, end, &[score])
}

/// Feeds a trace of scores, one window each half second from 1 s on, and finishes.
fn trace(mut d: Detector, scores: &[f32]) -> (Vec<String>, Detector) {
    let mut out = Vec::new();
    for (i, s) in scores.iter().enumerate() {
        d.observe(&sound(1.0 + 0.5 * i as f64, *s), 1.0, &mut out);
    }
    let end = Timestamp::from_nanos(500_000_000 * (scores.len() as u64 + 1));
    d.finish(end, &mut out);
    (lines(&out), d)
}

/// `phase id start-end score`, times in seconds.
fn lines(events: &[Event]) -> Vec<String> {
    let show = |e: &Event| {
        let phase = match e.phase {
            Phase::Begin => "begin",
            Phase::Update => "update",
            Phase::End => "end",
        };
        let end = e.end_ns.map_or(String::new(), |t| t.as_secs_f64().to_string());
        format!("{phase} {} {}-{end} {}", e.id, e.start_ns.as_secs_f64(), e.score)
    };
    events.iter().map(show).collect()
}

const ONE_HIT: &str = "[detector]\nk = 1\nn = 1\nmerge_gap_s = 0\n";

#[test]
fn hysteresis_holds_between_on_and_off() {
    // Windows end at 1.0, 1.5, …; their centres are half a second earlier.
    let (found, _) = trace(detector(&["a"], ONE_HIT), &[0.0, 1.9, 2.0, 0.6, 1.0, 0.4, 1.9, 0.0]);
    assert_eq!(found, ["begin 1 1.5- 2", "end 1 1.5-3 2"]);
}

#[test]
fn k_of_n_ignores_single_spikes_and_begins_at_the_first_hit() {
    let rules = "[detector]\nk = 2\nn = 3\nmerge_gap_s = 0\n";
    let (found, _) = trace(detector(&["a"], rules), &[3.0, 0.0, 0.0, 3.0, 0.0, 0.0]);
    assert!(found.is_empty(), "{found:?}");
    // Hits at windows ending 2.0 and 3.0, a miss between: two of three.
    let (found, _) = trace(detector(&["a"], rules), &[0.0, 0.0, 4.0, 1.0, 3.0, 0.0]);
    assert_eq!(found, ["begin 1 1.5- 4", "end 1 1.5-3 4"]);
}

#[test]
fn a_short_pause_is_merged_and_a_long_one_is_not() {
    let rules = "[detector]\nk = 1\nn = 1\nmerge_gap_s = 1\n";
    // The pause lasts from the hit at 1.0 to the hit at 2.0: one second.
    let (found, _) = trace(detector(&["a"], rules), &[3.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(found, ["begin 1 0.5- 3", "end 1 0.5-2 3"]);
    let (found, _) = trace(detector(&["a"], rules), &[3.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0]);
    assert_eq!(
        found,
        ["begin 1 0.5- 3", "end 1 0.5-1 3", "begin 2 2- 3", "end 2 2-2.5 3"]
    );
}

#[test]
fn short_events_are_not_reported() {
    let rules = "[detector]\nk = 1\nn = 1\nmerge_gap_s = 0\nmin_length_s = 1\n";
    let (found, d) = trace(detector(&["a"], rules), &[3.0, 3.0, 0.0, 0.0, 3.0, 3.0, 3.0, 0.0]);
    assert_eq!(found, ["begin 1 2.5- 3", "end 1 2.5-4 3"]);
    assert_eq!(d.counters().too_short, 1);
}

#[test]
fn a_label_rests_after_an_event() {
    let scores = [3.0, 0.0, 3.0, 3.0, 3.0, 3.0, 0.0];
    let (found, _) = trace(detector(&["a"], ONE_HIT), &scores);
    assert_eq!(
        found,
        ["begin 1 0.5- 3", "end 1 0.5-1 3", "begin 2 1.5- 3", "end 2 1.5-3.5 3"]
    );
    let rules = format!("{ONE_HIT}cooldown_s = 1.5\n");
    let (found, _) = trace(detector(&["a"], &rules), &scores);
    assert_eq!(
        found,
        ["begin 1 0.5- 3", "end 1 0.5-1 3", "begin 2 2.5- 3", "end 2 2.5-3.5 3"]
    );
}

#[test]
fn updates_follow_a_risen_score_or_a_long_time() {
    let rules = format!("{ONE_HIT}update_step = 1\nupdate_every_s = 2\n");
    let (found, _) = trace(detector(&["a"], &rules), &[3.0, 3.5, 4.0, 3.0, 3.0, 3.0, 3.0, 0.0]);
    assert_eq!(
        found,
        ["begin 1 0.5- 3", "update 1 0.5- 4", "update 1 0.5- 4", "end 1 0.5-4 4"]
    );
}

#[test]
fn the_median_takes_out_a_spike() {
    let rules = format!("{ONE_HIT}[detector.audio]\nmedian = 3\n");
    let (found, _) = trace(detector(&["a"], &rules), &[0.0, 0.0, 9.0, 0.0, 0.0]);
    assert!(found.is_empty());
    let (found, _) = trace(detector(&["a"], &rules), &[0.0, 0.0, 9.0, 5.0, 0.0, 0.0]);
    assert_eq!(found, ["begin 1 2- 5", "end 1 2-3 5"]);
}

#[test]
fn what_is_not_fit_to_be_judged_is_counted() {
    let mut d = detector(&["a"], ONE_HIT);
    let mut out = Vec::new();
    d.observe(&sound(1.0, 9.0), 0.49, &mut out);
    d.observe(&sound(1.5, 9.0), f32::NAN, &mut out);
    d.observe(&sound(2.0, f32::NAN), 1.0, &mut out);
    d.observe(&window("/mic", Sense::Audio, 2.5, &[9.0, 9.0]), 1.0, &mut out);
    d.observe(&sound(3.0, 0.0), 1.0, &mut out);
    d.observe(&sound(3.0, 9.0), 1.0, &mut out);
    d.finish(Timestamp::from_nanos(3_000_000_000), &mut out);
    d.observe(&sound(4.0, 9.0), 1.0, &mut out);
    assert!(out.is_empty());
    assert_eq!((d.counters().observed, d.counters().unjudged), (7, 6));
}

#[test]
fn senses_add_up_and_missing_ones_add_nothing() {
    let mut d = detector(&["a"], ONE_HIT);
    let mut out = Vec::new();
    d.observe(&sound(1.0, 1.5), 1.0, &mut out);
    d.observe(&window("/ir", Sense::Thermal, 1.0, &[1.0]), 1.0, &mut out);
    d.advance(Timestamp::from_nanos(1_000_000_000), &mut out);
    assert_eq!(lines(&out), ["begin 1 0.5- 2.5"]);
    let evidence: Vec<_> = out[0]
        .evidence
        .iter()
        .map(|e| (e.stream.as_str(), e.sense, e.score))
        .collect();
    assert_eq!(evidence, [("/mic", Sense::Audio, 1.5), ("/ir", Sense::Thermal, 1.0)]);
    // Alone, each of them is below the threshold.
    let (found, _) = trace(detector(&["a"], ONE_HIT), &[1.5, 1.5]);
    assert!(found.is_empty());
}

#[test]
fn senses_that_perceive_nothing_do_not_veto() {
    for others in [vec![], vec![-9.0], vec![-9.0, -9.0]] {
        let mut d = detector(&["a"], ONE_HIT);
        let mut out = Vec::new();
        for (i, score) in others.iter().enumerate() {
            let sense = [Sense::Image, Sense::Depth][i];
            d.observe(&window(sense.name(), sense, 1.0, &[*score]), 1.0, &mut out);
        }
        d.observe(&sound(1.0, 2.6), 1.0, &mut out);
        d.advance(Timestamp::from_nanos(1_000_000_000), &mut out);
        // However many they are, they take away the floor, 0.5, and no more.
        assert_eq!(
            lines(&out),
            [if others.is_empty() {
                "begin 1 0.5- 2.6"
            } else {
                "begin 1 0.5- 2.1"
            }]
        );
    }
}

#[test]
fn the_strongest_stream_of_a_sense_counts_once() {
    let mut d = detector(&["a"], ONE_HIT);
    let mut out = Vec::new();
    for (stream, score) in [("/mic/left", 1.5), ("/mic/right", 1.9), ("/mic/far", -5.0)] {
        d.observe(&window(stream, Sense::Audio, 1.0, &[score]), 1.0, &mut out);
    }
    d.advance(Timestamp::from_nanos(1_000_000_000), &mut out);
    assert!(out.is_empty(), "1.9 is below 2, and two microphones are no two senses");
}

#[test]
fn weights_scale_a_sense() {
    let rules = format!("{ONE_HIT}[detector.audio]\nweight = 0.5\n");
    let (found, _) = trace(detector(&["a"], &rules), &[3.9, 3.9]);
    assert!(found.is_empty());
    let (found, _) = trace(detector(&["a"], &rules), &[4.0, 0.0]);
    assert_eq!(found, ["begin 1 0.5- 2", "end 1 0.5-1 2"]);
}

#[test]
fn a_label_is_judged_by_its_own_senses_only() {
    let mut d = detector(
        &[],
        &format!("[[event]]\nlabel = \"a\"\nprompts = [\"a\"]\nsenses = [\"thermal\"]\n{ONE_HIT}"),
    );
    let mut out = Vec::new();
    d.observe(&sound(1.0, 9.0), 1.0, &mut out);
    d.observe(&window("/ir", Sense::Thermal, 1.0, &[1.0]), 1.0, &mut out);
    d.advance(Timestamp::from_nanos(1_000_000_000), &mut out);
    assert!(out.is_empty());
}

#[test]
fn one_window_is_no_two_hits_however_often_another_sense_reports() {
    let mut d = detector(&["a"], "[detector]\nk = 2\nn = 3\nmerge_gap_s = 0\n");
    let mut out = Vec::new();
    d.observe(&sound(1.0, 5.0), 1.0, &mut out);
    for i in 0..6 {
        d.observe(
            &window("/cam", Sense::Image, 1.0 + 0.25 * f64::from(i), &[-1.0]),
            1.0,
            &mut out,
        );
    }
    d.finish(Timestamp::from_nanos(3_000_000_000), &mut out);
    assert!(out.is_empty(), "{:?}", lines(&out));
}

#[test]
fn silence_ends_an_event_where_its_data_ended() {
    let mut d = detector(&["a"], ONE_HIT);
    let mut out = Vec::new();
    d.observe(&sound(1.0, 3.0), 1.0, &mut out);
    d.observe(&sound(1.5, 3.0), 1.0, &mut out);
    for tenths in 15..40 {
        d.advance(Timestamp::from_nanos(tenths * 100_000_000), &mut out);
    }
    assert_eq!(lines(&out), ["begin 1 0.5- 3"]);
    // 2.5 s after the last window it says nothing any more.
    d.advance(Timestamp::from_nanos(4_000_000_000), &mut out);
    assert_eq!(lines(&out), ["begin 1 0.5- 3", "end 1 0.5-1.5 3"]);
}

#[test]
fn a_dead_sense_leaves_the_event_to_the_others() {
    let mut d = detector(&["a"], ONE_HIT);
    let mut out = Vec::new();
    d.observe(&sound(1.0, 4.0), 1.0, &mut out);
    for i in 0..12 {
        d.observe(
            &window("/ir", Sense::Thermal, 1.0 + 0.5 * f64::from(i), &[0.2]),
            1.0,
            &mut out,
        );
    }
    d.finish(Timestamp::from_nanos(6_500_000_000), &mut out);
    // Sound counts for 2.5 s; then thermal alone, at 0.2, is below off, and the event ended with what sound heard.
    assert_eq!(lines(&out), ["begin 1 0.5- 4.2", "end 1 0.5-1 4.2"]);
}

#[test]
fn finishing_closes_all_and_nothing_follows() {
    let mut d = detector(&["a", "b"], ONE_HIT);
    let mut out = Vec::new();
    d.observe(&window("/mic", Sense::Audio, 1.0, &[3.0, 4.0]), 1.0, &mut out);
    d.finish(Timestamp::from_nanos(800_000_000), &mut out);
    assert_eq!(
        lines(&out),
        ["begin 1 0.5- 3", "begin 2 0.5- 4", "end 1 0.5-0.8 3", "end 2 0.5-0.8 4"]
    );
    let told = out.len();
    d.observe(&window("/mic", Sense::Audio, 9.0, &[3.0, 4.0]), 1.0, &mut out);
    d.advance(Timestamp::from_nanos(99_000_000_000), &mut out);
    d.finish(Timestamp::from_nanos(99_000_000_000), &mut out);
    assert_eq!(out.len(), told);
}

#[test]
fn a_late_window_takes_part_in_the_next_step() {
    let mut d = detector(&["a"], ONE_HIT);
    let mut out = Vec::new();
    d.observe(&sound(1.0, 0.0), 1.0, &mut out);
    d.observe(&sound(1.5, 0.0), 1.0, &mut out);
    d.advance(Timestamp::from_nanos(1_500_000_000), &mut out);
    d.observe(&window("/ir", Sense::Thermal, 1.5, &[3.0]), 1.0, &mut out);
    assert!(out.is_empty());
    d.observe(&sound(2.0, 0.0), 1.0, &mut out);
    d.advance(Timestamp::from_nanos(2_000_000_000), &mut out);
    assert_eq!(lines(&out), ["begin 1 1- 3"]);
    assert_eq!(d.counters().late, 1);
}
