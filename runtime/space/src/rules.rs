//! The numbers that turn scores into events, and their defaults.

use sensebind_core::Sense;
use std::collections::BTreeMap;
use std::time::Duration;

/// How scores of one label become events. Scores are log-odds: 0 is even, 2 is seven to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventRules {
    /// A step with a fused score at or above this is a hit. Default 2.
    pub on: f32,
    /// An event lasts while the fused score is at or above this. Default 0.5.
    pub off: f32,
    /// Hits that make an event, out of … Default 2.
    pub k: usize,
    /// … this many steps in a row. Default 3.
    pub n: usize,
    /// Shorter events are not reported; longer ones are reported this much later. Default 0.
    pub min_length: Duration,
    /// A pause of at most this is part of the event; its end is reported this much later. Default 1 s.
    pub merge_gap: Duration,
    /// After an event the label rests this long. Default 0.
    pub cooldown: Duration,
}

impl Default for EventRules {
    fn default() -> Self {
        Self {
            on: 2.0,
            off: 0.5,
            k: 2,
            n: 3,
            min_length: Duration::ZERO,
            merge_gap: Duration::from_secs(1),
            cooldown: Duration::ZERO,
        }
    }
}

/// How one sense is listened to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SenseRules {
    /// Reliability: its log-odds are multiplied by this before senses are added. Default 1.
    pub weight: f32,
    /// A stream's score is the median over this many of its windows. Default 1: k-of-n smooths already.
    pub median: usize,
    /// Windows covered less than this (0 to 1) are not judged. Default 0.5.
    pub min_coverage: f32,
    /// A window this much older than the newest says nothing any more. Default 2.5 s.
    pub stale: Duration,
}

impl Default for SenseRules {
    fn default() -> Self {
        Self {
            weight: 1.0,
            median: 1,
            min_coverage: 0.5,
            stale: Duration::from_millis(2500),
        }
    }
}

/// What is common to all labels.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorRules {
    /// The most that senses which do not perceive an event may take away from those that do, all together. At most 0;
    /// default -0.5.
    pub floor: f32,
    /// An update is reported when the score rose by this since the last line. Default 1.
    pub update_step: f32,
    /// An update is reported at least this often while an event lasts. Default 10 s.
    pub update_every: Duration,
    /// Senses that differ from the default.
    pub senses: BTreeMap<Sense, SenseRules>,
}

impl Default for DetectorRules {
    fn default() -> Self {
        Self {
            floor: -0.5,
            update_step: 1.0,
            update_every: Duration::from_secs(10),
            senses: BTreeMap::new(),
        }
    }
}

impl DetectorRules {
    /// The rules of one sense.
    pub fn sense(&self, sense: Sense) -> SenseRules {
        self.senses.get(&sense).copied().unwrap_or_default()
    }
}
