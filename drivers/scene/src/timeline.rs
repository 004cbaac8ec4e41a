//! When what happens.

use crate::Happening;
use crate::chance::Draw;

/// One happening from one moment to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Occurrence {
    /// What happens.
    pub happening: Happening,
    /// First moment, seconds from the start of the timeline.
    pub start_s: f64,
    /// First moment after it, seconds from the start of the timeline.
    pub end_s: f64,
    /// Everything particular (position, distance, loudness, look) is drawn from this seed.
    pub seed: u64,
}

impl Occurrence {
    /// Whether it is under way at `t_s`.
    pub fn is_active(&self, t_s: f64) -> bool {
        (self.start_s..self.end_s).contains(&t_s)
    }
}

/// A stretch of time and what happens in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Length in seconds.
    pub duration_s: f64,
    /// What happens, by `start_s`; occurrences may overlap.
    pub occurrences: Vec<Occurrence>,
}

/// The demo's programme: happening, start and end in seconds. Every sense has something to tell, two pairs overlap.
const DEMO: &[(Happening, f64, f64)] = &[
    (Happening::PersonWalking, 3.0, 8.0),
    (Happening::Dog, 6.0, 10.0),
    (Happening::Fire, 13.0, 19.0),
    (Happening::PickedUp, 22.0, 26.0),
    (Happening::GlassBreaking, 28.5, 31.0),
    (Happening::DoorOpening, 33.5, 37.0),
    (Happening::SomeoneClose, 36.0, 40.5),
    (Happening::PersonFalling, 43.5, 46.0),
    (Happening::HotObject, 48.5, 52.0),
    (Happening::Shaken, 54.0, 57.0),
];

impl Timeline {
    /// About a minute in which every sense has events, some overlap across senses, and quiet gaps lie between.
    pub fn demo(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 1);
        let occurrences = DEMO
            .iter()
            .map(|&(happening, start_s, end_s)| {
                let late_s = f64::from(draw.range(0.0, 0.4));
                Occurrence {
                    happening,
                    start_s: start_s + late_s,
                    end_s: end_s + late_s,
                    seed: draw.seed(),
                }
            })
            .collect();
        Self {
            duration_s: 60.0,
            occurrences,
        }
    }

    /// Happenings drawn from `happenings`, 2 to 6 s long, with quiet gaps of 1 to 4 s; one in four overlaps the one
    /// before. No happening overlaps itself. An empty list gives a timeline in which nothing happens.
    pub fn random(seed: u64, duration_s: f64, happenings: &[Happening]) -> Self {
        let mut draw = Draw::new(seed, 2);
        let mut occurrences: Vec<Occurrence> = Vec::new();
        let mut free_s = f64::from(draw.range(1.0, 3.0));
        while !happenings.is_empty() {
            let happening = happenings[draw.index(happenings.len())];
            let length_s = f64::from(draw.range(2.0, 6.0));
            let overlap = draw.chance(0.25);
            let seed = draw.seed();
            let gap_s = f64::from(draw.range(1.0, 4.0));
            let start_s = match occurrences.last() {
                Some(last) if overlap && !lasts_beyond(&occurrences, happening, (last.start_s + last.end_s) / 2.0) => {
                    (last.start_s + last.end_s) / 2.0
                }
                _ => free_s,
            };
            if start_s + length_s > duration_s {
                break;
            }
            occurrences.push(Occurrence {
                happening,
                start_s,
                end_s: start_s + length_s,
                seed,
            });
            free_s = free_s.max(start_s + length_s) + gap_s;
        }
        Self {
            duration_s,
            occurrences,
        }
    }

    /// One happening throughout, or nothing: for training and evaluation.
    pub fn single(happening: Option<Happening>, duration_s: f64, seed: u64) -> Self {
        let seed = Draw::new(seed, 3).seed();
        let occurrences = happening
            .map(|happening| Occurrence {
                happening,
                start_s: 0.0,
                end_s: duration_s,
                seed,
            })
            .into_iter()
            .collect();
        Self {
            duration_s,
            occurrences,
        }
    }

    /// Nothing happens. The seed is taken for symmetry with the other timelines: the surroundings come from the world's.
    pub fn background(seed: u64, duration_s: f64) -> Self {
        Self::single(None, duration_s, seed)
    }

    /// What is under way at `t_s`.
    pub fn active(&self, t_s: f64) -> impl Iterator<Item = &Occurrence> {
        self.occurrences
            .iter()
            .filter(move |occurrence| occurrence.is_active(t_s))
    }
}

/// Whether an occurrence of `happening` ends after `start_s`.
fn lasts_beyond(occurrences: &[Occurrence], happening: Happening, start_s: f64) -> bool {
    occurrences
        .iter()
        .any(|occurrence| occurrence.happening == happening && occurrence.end_s > start_s)
}
