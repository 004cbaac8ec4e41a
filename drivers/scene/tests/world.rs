//! What the world promises: the same bytes for the same seeds, any moment in any order, units, and that every sense
//! shows the happenings it lists.

use std::sync::Arc;

use sensebind_scene::{CAMERA_SIZE, Happening, Recordings, Sense, Size, Timeline, World};

const SECOND: u64 = 16_000;

/// What one sense gives around `t_s`, as numbers.
fn render(world: &World, sense: Sense, t_s: f64) -> Vec<f64> {
    let mut words = Vec::new();
    match sense {
        Sense::Image => {
            let mut bytes = Vec::new();
            world.camera(t_s, CAMERA_SIZE, &mut bytes);
            return bytes.into_iter().map(f64::from).collect();
        }
        Sense::Thermal => world.thermal(t_s, &mut words),
        Sense::Depth => world.depth(t_s, &mut words),
        Sense::Audio => {
            let mut sound = vec![0.0; 32_000];
            world.audio((t_s * 16_000.0) as u64, &mut sound);
            return sound.into_iter().map(f64::from).collect();
        }
        Sense::Imu => {
            let first = (t_s * 200.0) as u64;
            return (first..first + 400)
                .flat_map(|sample| world.imu(sample))
                .map(f64::from)
                .collect();
        }
    }
    words.into_iter().map(f64::from).collect()
}

fn rms_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / a.len() as f64).sqrt()
}

/// How much two renderings differ. Depth compares only pixels with a return in both, or its holes would decide.
fn difference(sense: Sense, a: &[f64], b: &[f64]) -> f64 {
    if sense != Sense::Depth {
        return rms_difference(a, b);
    }
    let (a, b): (Vec<f64>, Vec<f64>) = a
        .iter()
        .zip(b)
        .filter(|(a, b)| **a > 0.0 && **b > 0.0)
        .map(|(a, b)| (a.ln(), b.ln()))
        .unzip();
    rms_difference(&a, &b)
}

/// FNV-1a over the bytes of everything the senses give at one moment.
fn fingerprint(world: &World, t_s: f64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for &sense in Sense::ALL {
        for value in render(world, sense, t_s) {
            for byte in value.to_bits().to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    hash
}

#[test]
fn the_same_seeds_give_the_same_bytes() {
    let prints: Vec<u64> = [(1, 4.5), (1, 24.0), (9, 14.0), (9, 29.5), (9, 38.0)]
        .into_iter()
        .map(|(seed, t_s)| fingerprint(&World::new(seed, Timeline::demo(seed)), t_s))
        .collect();
    // Change these only together with the look or sound of the world.
    assert_eq!(
        prints,
        [
            0x98d0_ba4e_14a3_a6f7,
            0xa7bf_00b4_4b58_9b56,
            0x22cb_f818_14d8_c1ca,
            0xc5da_ad96_ebfd_3b6d,
            0xa3fc_261d_3e8a_3410
        ],
        "{prints:#x?}"
    );
}

#[test]
fn stretches_of_sound_agree_sample_for_sample() {
    for &happening in Happening::ALL {
        let world = World::new(3, Timeline::single(Some(happening), 10.0, 3));
        let mut whole = vec![0.0; 2 * SECOND as usize];
        world.audio(3 * SECOND, &mut whole);
        let mut part = vec![0.0; 4_321];
        world.audio(3 * SECOND + 9_999, &mut part);
        assert_eq!(whole[9_999..9_999 + 4_321], part, "{}", happening.name());
    }
}

#[test]
fn pictures_do_not_depend_on_what_was_asked_before() {
    let world = World::new(5, Timeline::demo(5));
    let mut first = Vec::new();
    world.camera(24.2, CAMERA_SIZE, &mut first);
    let mut other = vec![7; 3];
    world.camera(3.0, Size { width: 32, height: 24 }, &mut other);
    assert_eq!(other.len(), 32 * 24 * 3);
    world.camera(24.2, CAMERA_SIZE, &mut other);
    assert_eq!(first, other);
}

#[test]
fn every_happening_shows_in_every_sense_it_lists() {
    for &happening in Happening::ALL {
        for &sense in happening.sensed_by() {
            for seed in 0..6 {
                // Noise is the same in both worlds and cancels, so what changes is what the happening adds: over the whole
                // picture or stretch it must not drown in what the sense shows between two quiet moments.
                let quiet = World::new(seed, Timeline::single(None, 12.0, seed));
                let loud = World::new(seed, Timeline::single(Some(happening), 12.0, seed));
                let t_s = 2.0 + 1.1 * seed as f64;
                let noise = difference(sense, &render(&quiet, sense, t_s), &render(&quiet, sense, t_s + 1.7));
                let change = difference(sense, &render(&quiet, sense, t_s), &render(&loud, sense, t_s));
                assert!(
                    change > 0.3 * noise,
                    "{} in {sense:?}, seed {seed}: {change} against {noise}",
                    happening.name()
                );
            }
        }
    }
}

#[test]
fn enough_to_tell_for_every_sense() {
    assert!(Happening::ALL.len() >= 12);
    for &sense in Sense::ALL {
        let told = Happening::ALL
            .iter()
            .filter(|happening| happening.sensed_by().contains(&sense))
            .count();
        assert!(told >= 5, "{sense:?} tells only {told}");
    }
    for &happening in Happening::ALL {
        assert!(
            happening.sensed_by().contains(&Sense::Image),
            "{} has no picture to bind to",
            happening.name()
        );
    }
}

#[test]
fn units_are_sane() {
    for (index, &happening) in Happening::ALL.iter().enumerate() {
        let seed = index as u64;
        let world = World::new(seed, Timeline::single(Some(happening), 10.0, seed));
        for value in render(&world, Sense::Thermal, 2.5) {
            assert!(
                (24_000.0..65_535.0).contains(&value),
                "{}: {value} cK",
                happening.name()
            );
        }
        for value in render(&world, Sense::Depth, 2.5) {
            assert!(
                value == 0.0 || (80.0..=20_500.0).contains(&value),
                "{}: {value} mm",
                happening.name()
            );
        }
        assert!(
            render(&world, Sense::Audio, 2.5)
                .iter()
                .all(|value| (-1.0..=1.0).contains(value))
        );
    }
    let still = World::new(4, Timeline::background(4, 10.0));
    for sample in 0..400 {
        let [x, y, z, turns @ ..] = still.imu(sample);
        let gravity = (x * x + y * y + z * z).sqrt();
        assert!((gravity - 9.81).abs() < 0.3, "{gravity} m/s2 at rest");
        assert!(z > 9.5 && turns.iter().all(|turn| turn.abs() < 0.05));
    }
    let hot = World::new(2, Timeline::single(Some(Happening::HotObject), 10.0, 2));
    let hottest = render(&hot, Sense::Thermal, 1.0).into_iter().fold(0.0, f64::max);
    assert!(hottest > 35_000.0, "a hot plate of {hottest} cK");
}

#[test]
fn every_two_seconds_of_a_sounding_happening_sound() {
    for &happening in Happening::ALL
        .iter()
        .filter(|happening| happening.sensed_by().contains(&Sense::Audio))
    {
        for seed in 0..4 {
            let quiet = World::new(seed, Timeline::single(None, 20.0, seed));
            let world = World::new(seed, Timeline::single(Some(happening), 20.0, seed));
            for window in 0..7 {
                let t_s = 0.3 + 2.6 * f64::from(window);
                let loud = rms_difference(&render(&world, Sense::Audio, t_s), &render(&quiet, Sense::Audio, t_s));
                assert!(loud > 0.002, "{} from {t_s} s, seed {seed}: {loud}", happening.name());
            }
        }
    }
}

#[test]
fn names_lead_back() {
    for &happening in Happening::ALL {
        assert_eq!(Happening::from_name(happening.name()), Some(happening));
    }
    assert_eq!(Happening::from_name("earthquake"), None);
}

#[test]
fn timelines_are_well_formed() {
    let some = [Happening::Fire, Happening::Dog, Happening::Shaken];
    for seed in 0..20 {
        for timeline in [
            Timeline::demo(seed),
            Timeline::random(seed, 90.0, &some),
            Timeline::random(seed, 90.0, Happening::ALL),
        ] {
            assert!(timeline.occurrences.len() >= 5);
            let mut before = 0.0;
            for (index, occurrence) in timeline.occurrences.iter().enumerate() {
                assert!(occurrence.start_s >= before && occurrence.start_s < occurrence.end_s);
                assert!(occurrence.end_s <= timeline.duration_s);
                before = occurrence.start_s;
                for other in &timeline.occurrences[..index] {
                    assert!(other.happening != occurrence.happening || other.end_s <= occurrence.start_s);
                }
            }
        }
        for &sense in Sense::ALL {
            let told = Timeline::demo(seed)
                .occurrences
                .iter()
                .filter(|o| o.happening.sensed_by().contains(&sense))
                .count();
            assert!(told >= 2, "the demo has {told} for {sense:?}");
        }
    }
    assert!(Timeline::random(1, 60.0, &[]).occurrences.is_empty());
    assert!(Timeline::background(1, 60.0).occurrences.is_empty());
}

#[derive(Debug)]
struct Constant(Vec<f32>);

impl Recordings for Constant {
    fn clip(&self, happening: Happening, _: u64) -> Option<&[f32]> {
        (happening == Happening::Dog).then_some(self.0.as_slice())
    }
}

#[test]
fn recordings_replace_the_synthesiser() {
    let timeline = Timeline::single(Some(Happening::Dog), 10.0, 1);
    let quiet = render(&World::new(1, Timeline::background(1, 10.0)), Sense::Audio, 2.0);
    let played = World::new(1, timeline.clone()).with_recordings(Arc::new(Constant(vec![0.5; 100])));
    let played = render(&played, Sense::Audio, 2.0);
    let gains: Vec<f64> = played.iter().zip(&quiet).map(|(a, b)| a - b).collect();
    assert!(gains[0] > 0.01 && gains.iter().all(|gain| (gain - gains[0]).abs() < 1e-6));
    let empty = World::new(1, timeline).with_recordings(Arc::new(Constant(Vec::new())));
    assert!(rms_difference(&render(&empty, Sense::Audio, 2.0), &quiet) > 0.0);
}
