//! From text to [`PromptFile`]: what a person wrote, then what it means.

use crate::{DetectorRules, EventPrompts, EventRules, PromptError, PromptFile, SenseRules};
use sensebind_core::{Sense, SpaceId};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    event: Vec<RawEvent>,
    contrast: Option<RawContrast>,
    detector: Option<RawDetector>,
    space: Option<String>,
    exclusive: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContrast {
    prompts: Spanned<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    label: Spanned<String>,
    prompts: Spanned<Vec<Spanned<String>>>,
    senses: Option<Spanned<Vec<Spanned<String>>>>,
    on: Option<Spanned<f64>>,
    off: Option<Spanned<f64>>,
    k: Option<Spanned<i64>>,
    n: Option<Spanned<i64>>,
    min_length_s: Option<Spanned<f64>>,
    merge_gap_s: Option<Spanned<f64>>,
    cooldown_s: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDetector {
    on: Option<Spanned<f64>>,
    off: Option<Spanned<f64>>,
    k: Option<Spanned<i64>>,
    n: Option<Spanned<i64>>,
    min_length_s: Option<Spanned<f64>>,
    merge_gap_s: Option<Spanned<f64>>,
    cooldown_s: Option<Spanned<f64>>,
    floor: Option<Spanned<f64>>,
    update_step: Option<Spanned<f64>>,
    update_every_s: Option<Spanned<f64>>,
    image: Option<RawSense>,
    audio: Option<RawSense>,
    depth: Option<RawSense>,
    thermal: Option<RawSense>,
    imu: Option<RawSense>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSense {
    weight: Option<Spanned<f64>>,
    median: Option<Spanned<i64>>,
    min_coverage: Option<Spanned<f64>>,
    stale_s: Option<Spanned<f64>>,
}

/// Longest time any rule may name.
const DAY_S: f64 = 86_400.0;
/// Most steps any rule may look back.
const STEPS: RangeInclusive<i64> = 1..=1000;

pub(crate) fn parse(text: &str) -> Result<PromptFile, PromptError> {
    let raw: RawFile = toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |s| s.start).min(text.len());
        let line_start = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let column = text[line_start..at].chars().count() + 1;
        PromptError::Toml {
            line: line_of(text, at),
            column,
            message: e.message().trim().replace('\n', ", "),
        }
    })?;
    let read = Reader { text };

    let mut defaults = EventRules::default();
    let mut detector = DetectorRules::default();
    if let Some(d) = &raw.detector {
        let overrides = Overrides {
            on: &d.on,
            off: &d.off,
            k: &d.k,
            n: &d.n,
            min_length_s: &d.min_length_s,
            merge_gap_s: &d.merge_gap_s,
            cooldown_s: &d.cooldown_s,
        };
        defaults = read.rules("detector", defaults, &overrides)?;
        detector = read.detector(d)?;
    }

    if raw.event.is_empty() {
        return Err(PromptError::Value {
            line: 1,
            key: "event".into(),
            found: "missing".into(),
            expected: "at least one [[event]]".into(),
            remedy: "add [[event]] with a label and prompts".into(),
        });
    }
    let mut lines = BTreeMap::new();
    let mut events = Vec::with_capacity(raw.event.len());
    for e in &raw.event {
        let label = read.phrase("event.label", &e.label)?;
        let line = read.line(&e.label);
        if let Some(first) = lines.insert(label.clone(), line) {
            let remedy = format!("line {first} has it already: rename one, or list both phrasings under one label");
            return Err(read.error(
                &e.label,
                "event.label",
                format!("{label:?}"),
                "a label of its own",
                &remedy,
            ));
        }
        let overrides = Overrides {
            on: &e.on,
            off: &e.off,
            k: &e.k,
            n: &e.n,
            min_length_s: &e.min_length_s,
            merge_gap_s: &e.merge_gap_s,
            cooldown_s: &e.cooldown_s,
        };
        events.push(EventPrompts {
            prompts: read.phrases("event.prompts", &e.prompts)?,
            senses: e.senses.as_ref().map(|s| read.senses(s)).transpose()?,
            rules: read.rules("event", defaults, &overrides)?,
            label,
        });
    }
    Ok(PromptFile {
        events,
        contrast: raw
            .contrast
            .as_ref()
            .map(|c| read.phrases("contrast.prompts", &c.prompts))
            .transpose()?,
        exclusive: raw.exclusive.unwrap_or(true),
        detector,
        space: raw.space.map(SpaceId::new),
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The keys that `[detector]` and `[[event]]` share.
struct Overrides<'a> {
    on: &'a Option<Spanned<f64>>,
    off: &'a Option<Spanned<f64>>,
    k: &'a Option<Spanned<i64>>,
    n: &'a Option<Spanned<i64>>,
    min_length_s: &'a Option<Spanned<f64>>,
    merge_gap_s: &'a Option<Spanned<f64>>,
    cooldown_s: &'a Option<Spanned<f64>>,
}

/// Checks values and says where they stand.
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn line<T>(&self, at: &Spanned<T>) -> usize {
        line_of(self.text, at.span().start.min(self.text.len()))
    }

    fn error<T>(&self, at: &Spanned<T>, key: &str, found: String, expected: &str, remedy: &str) -> PromptError {
        let (line, key, expected, remedy) = (self.line(at), key.to_owned(), expected.to_owned(), remedy.to_owned());
        PromptError::Value {
            line,
            key,
            found,
            expected,
            remedy,
        }
    }

    fn phrase(&self, key: &str, phrase: &Spanned<String>) -> Result<String, PromptError> {
        let text = phrase.get_ref().trim();
        if text.is_empty() {
            return Err(self.error(phrase, key, "empty".into(), "words", "say what to look for"));
        }
        Ok(text.to_owned())
    }

    fn phrases(&self, key: &str, list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, PromptError> {
        if list.get_ref().is_empty() {
            return Err(self.error(
                list,
                key,
                "[]".into(),
                "at least one phrase",
                "add one, or take the table out",
            ));
        }
        list.get_ref().iter().map(|p| self.phrase(key, p)).collect()
    }

    fn senses(&self, list: &Spanned<Vec<Spanned<String>>>) -> Result<BTreeSet<Sense>, PromptError> {
        const EXPECTED: &str = "image, audio, depth, thermal or imu";
        if list.get_ref().is_empty() {
            let remedy = "name one, or take the key out for all of them";
            return Err(self.error(list, "event.senses", "[]".into(), EXPECTED, remedy));
        }
        let known = |s: &Spanned<String>| {
            Sense::from_name(s.get_ref())
                .filter(|&sense| sense != Sense::Text)
                .ok_or_else(|| {
                    self.error(
                        s,
                        "event.senses",
                        format!("{:?}", s.get_ref()),
                        EXPECTED,
                        "correct the name",
                    )
                })
        };
        list.get_ref().iter().map(known).collect()
    }

    fn number(
        &self,
        table: &str,
        key: &str,
        value: &Option<Spanned<f64>>,
        within: RangeInclusive<f64>,
        default: f64,
    ) -> Result<f64, PromptError> {
        match value {
            None => Ok(default),
            Some(v) if within.contains(v.get_ref()) => Ok(*v.get_ref()),
            Some(v) => {
                let expected = format!("{} to {}", within.start(), within.end());
                let remedy = format!("the default is {default}");
                Err(self.error(
                    v,
                    &format!("{table}.{key}"),
                    v.get_ref().to_string(),
                    &expected,
                    &remedy,
                ))
            }
        }
    }

    fn steps(&self, table: &str, key: &str, v: &Option<Spanned<i64>>, default: usize) -> Result<usize, PromptError> {
        match v {
            None => Ok(default),
            Some(v) if STEPS.contains(v.get_ref()) => Ok(*v.get_ref() as usize),
            Some(v) => {
                let expected = format!("{} to {}", STEPS.start(), STEPS.end());
                let remedy = format!("the default is {default}");
                Err(self.error(
                    v,
                    &format!("{table}.{key}"),
                    v.get_ref().to_string(),
                    &expected,
                    &remedy,
                ))
            }
        }
    }

    fn rules(&self, table: &str, base: EventRules, o: &Overrides<'_>) -> Result<EventRules, PromptError> {
        let seconds = |key: &str, value: &Option<Spanned<f64>>, default: Duration| {
            self.number(table, key, value, 0.0..=DAY_S, default.as_secs_f64())
                .map(Duration::from_secs_f64)
        };
        let rules = EventRules {
            on: self.number(table, "on", o.on, -100.0..=100.0, base.on.into())? as f32,
            off: self.number(table, "off", o.off, -100.0..=100.0, base.off.into())? as f32,
            k: self.steps(table, "k", o.k, base.k)?,
            n: self.steps(table, "n", o.n, base.n)?,
            min_length: seconds("min_length_s", o.min_length_s, base.min_length)?,
            merge_gap: seconds("merge_gap_s", o.merge_gap_s, base.merge_gap)?,
            cooldown: seconds("cooldown_s", o.cooldown_s, base.cooldown)?,
        };
        if rules.off > rules.on
            && let Some(at) = o.off.as_ref().or(o.on.as_ref())
        {
            let expected = format!("at most on, which is {}", rules.on);
            return Err(self.error(
                at,
                &format!("{table}.off"),
                rules.off.to_string(),
                &expected,
                "lower off or raise on",
            ));
        }
        if rules.k > rules.n
            && let Some(at) = o.k.as_ref().or(o.n.as_ref())
        {
            let expected = format!("at most n, which is {}", rules.n);
            return Err(self.error(
                at,
                &format!("{table}.k"),
                rules.k.to_string(),
                &expected,
                "lower k or raise n",
            ));
        }
        Ok(rules)
    }

    fn detector(&self, d: &RawDetector) -> Result<DetectorRules, PromptError> {
        let base = DetectorRules::default();
        let update_every_s = base.update_every.as_secs_f64();
        let mut senses = BTreeMap::new();
        let raw = [
            (Sense::Image, &d.image),
            (Sense::Audio, &d.audio),
            (Sense::Depth, &d.depth),
            (Sense::Thermal, &d.thermal),
            (Sense::Imu, &d.imu),
        ];
        for (sense, raw) in raw {
            let Some(r) = raw else { continue };
            let (table, base) = (format!("detector.{sense}"), SenseRules::default());
            let stale_s = self.number(&table, "stale_s", &r.stale_s, 0.0..=DAY_S, base.stale.as_secs_f64())?;
            let rules = SenseRules {
                weight: self.number(&table, "weight", &r.weight, 0.0..=100.0, base.weight.into())? as f32,
                median: self.steps(&table, "median", &r.median, base.median)?,
                min_coverage: self.number(
                    &table,
                    "min_coverage",
                    &r.min_coverage,
                    0.0..=1.0,
                    base.min_coverage.into(),
                )? as f32,
                stale: Duration::from_secs_f64(stale_s),
            };
            senses.insert(sense, rules);
        }
        Ok(DetectorRules {
            floor: self.number("detector", "floor", &d.floor, -100.0..=0.0, base.floor.into())? as f32,
            update_step: self.number(
                "detector",
                "update_step",
                &d.update_step,
                0.01..=100.0,
                base.update_step.into(),
            )? as f32,
            update_every: Duration::from_secs_f64(self.number(
                "detector",
                "update_every_s",
                &d.update_every_s,
                0.1..=DAY_S,
                update_every_s,
            )?),
            senses,
        })
    }
}
