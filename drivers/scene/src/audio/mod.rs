//! The microphone: one voice for every happening that sounds, over the noise of the surroundings.
//!
//! Every sample is a function of its number, so that any stretch can be asked for and overlapping stretches agree.

mod animals;
mod household;
mod machines;
mod nature;
mod people;
mod tone;

use crate::chance::{Draw, mix, smooth, white};
use crate::numeric::sin_turns;
use crate::stage::Stage;
use crate::{AUDIO_RATE_HZ, Happening, Occurrence, Recordings, Timeline};

const RATE: f64 = AUDIO_RATE_HZ as f64;

pub(crate) fn render(
    stage: &Stage,
    timeline: &Timeline,
    recordings: Option<&dyn Recordings>,
    first_sample: u64,
    out: &mut [f32],
) {
    let hum_hz = if stage.seed & 1 == 0 { 50.0 } else { 60.0 };
    let level = stage.background_level;
    for (index, value) in out.iter_mut().enumerate() {
        let sample = first_sample + index as u64;
        let t_s = sample as f64 / RATE;
        let rush = smooth(stage.seed ^ 1, t_s * 900.0) + 0.5 * smooth(stage.seed ^ 2, t_s * 150.0);
        let hiss = 0.5 * white(stage.seed ^ 3, sample);
        *value = level * (rush + hiss + 0.6 * sin_turns(t_s * 2.0 * hum_hz));
    }
    for occurrence in &timeline.occurrences {
        let start = (occurrence.start_s * RATE) as i64;
        let end = (occurrence.end_s * RATE) as i64;
        let (from, to) = (
            (first_sample as i64).max(start),
            (first_sample as i64 + out.len() as i64).min(end),
        );
        if from < to {
            let slice = &mut out[(from - first_sample as i64) as usize..(to - first_sample as i64) as usize];
            sound(occurrence, recordings, from - start, end - start, slice);
        }
    }
    for value in out.iter_mut() {
        *value = value.clamp(-1.0, 1.0);
    }
}

/// Adds the samples of one occurrence from its sample `from` on; it is `length` samples long.
fn sound(occurrence: &Occurrence, recordings: Option<&dyn Recordings>, from: i64, length: i64, out: &mut [f32]) {
    let mut draw = Draw::new(occurrence.seed, 31);
    // Pressure falls with distance; loud things are heard from further away.
    let gain = 0.55 / draw.range(1.0, 4.0);
    let mut voice = vec![0.0; out.len()];
    let clip = recordings.and_then(|recordings| recordings.clip(occurrence.happening, mix(occurrence.seed, 1)));
    match clip {
        Some(clip) if !clip.is_empty() => {
            let offset = mix(occurrence.seed, 2) % clip.len() as u64;
            for (index, value) in voice.iter_mut().enumerate() {
                *value = clip[((offset + from as u64 + index as u64) % clip.len() as u64) as usize];
            }
        }
        _ => synthesise(
            occurrence.happening,
            &mut Stretch {
                seed: occurrence.seed,
                from,
                out: &mut voice,
            },
            &mut draw,
        ),
    }
    let edge = RATE * 0.02;
    for (index, value) in voice.iter().enumerate() {
        let at = from + index as i64;
        let fade = ((at.min(length - at)) as f64 / edge).clamp(0.0, 1.0) as f32;
        out[index] += gain * fade * value;
    }
}

fn synthesise(happening: Happening, stretch: &mut Stretch<'_>, draw: &mut Draw) {
    match happening {
        Happening::Fire => nature::fire(stretch, draw),
        Happening::Rain => nature::rain(stretch, draw),
        Happening::SeaWaves => nature::sea(stretch, draw),
        Happening::Dog => animals::dog(stretch, draw),
        Happening::Rooster => animals::rooster(stretch, draw),
        Happening::GlassBreaking => household::glass(stretch, draw),
        Happening::DoorOpening => household::door(stretch, draw),
        Happening::ClockTick => household::clock(stretch, draw),
        Happening::Shaken => household::rattle(stretch, draw),
        Happening::Siren => machines::siren(stretch, draw),
        Happening::Engine => machines::engine(stretch, draw),
        Happening::Driven => machines::driven(stretch, draw),
        Happening::Helicopter => machines::helicopter(stretch, draw),
        Happening::Chainsaw => machines::chainsaw(stretch, draw),
        Happening::PersonWalking => people::walking(stretch, draw),
        Happening::PersonFalling => people::falling(stretch, draw),
        Happening::SomeoneClose => people::talking(stretch, draw),
        Happening::Sneeze => people::sneezing(stretch, draw),
        Happening::BabyCry => people::crying(stretch, draw),
        Happening::PickedUp | Happening::HotObject => {}
    }
}

/// A stretch of one occurrence's sound, to be filled.
struct Stretch<'a> {
    seed: u64,
    /// Number of the first sample, counted from the start of the occurrence.
    from: i64,
    out: &'a mut [f32],
}

impl Stretch<'_> {
    fn span_s(&self) -> (f64, f64) {
        (
            self.from as f64 / RATE,
            (self.from + self.out.len() as i64) as f64 / RATE,
        )
    }

    /// Adds `value(seconds since the occurrence began, sample number)` to every sample.
    fn throughout(&mut self, mut value: impl FnMut(f64, u64) -> f32) {
        for (index, out) in self.out.iter_mut().enumerate() {
            let sample = self.from + index as i64;
            *out += value(sample as f64 / RATE, sample as u64);
        }
    }

    /// Adds a sound that begins at `start_s` and lasts `length_s`: `value(seconds since it began, sample number)`.
    fn once(&mut self, start_s: f64, length_s: f64, mut value: impl FnMut(f32, u64) -> f32) {
        let start = (start_s * RATE).ceil() as i64;
        let end = ((start_s + length_s) * RATE) as i64;
        let last = end.min(self.from + self.out.len() as i64);
        for sample in start.max(self.from)..last {
            let since = (sample as f64 / RATE - start_s) as f32;
            self.out[(sample - self.from) as usize] += value(since, sample as u64);
        }
    }
}
