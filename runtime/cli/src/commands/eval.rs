//! `sensebind eval`: zero-shot accuracy on scenes and recordings that training never saw.
//!
//! Per sense: scenes of one happening each, of those this sense can tell at all, rendered from seeds far from the
//! training ones, go through the same rings and encoders as a live stream; a happening is named by the nearest of their
//! phrases, which are phrasings that training never saw. Recordings: those of one fold, each embedded as
//! `sensebind embed` does.

use crate::commands::embed;
use crate::exit::{Exit, Failure, OrExit};
use crate::packs::{Models, PackArg};
use crate::terminal::{self, Progress};
use sensebind_core::{Embedding, Sense, Timestamp, Window};
use sensebind_drivers::{scene, sound_collection};
use sensebind_engine::{Capture, Cutting};
use sensebind_engine::{Input, Merged};
use sensebind_models::encoder::files;
use sensebind_scene::{Happening, Timeline, World, captions};
use sensebind_space::zero_shot;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// First seed of the scenes; training takes its seeds from elsewhere (models/packs/starter/train.toml).
const FIRST_SEED: u64 = 0x7e57_0000_0000;

/// Seconds per scene: the longest window, and a second for happenings to unfold.
const SCENE_S: f64 = 4.0;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pack: PackArg,
    /// Scenes per happening.
    #[arg(long, default_value_t = 20)]
    scenes: u64,
    /// Senses to measure. Default: all that the pack has.
    #[arg(long, value_delimiter = ',', value_name = "SENSE,…")]
    sense: Vec<String>,
    /// A folder of labelled recordings: a copy of ESC-50, or class folders with an index.tsv.
    #[arg(long, value_name = "DIR")]
    sounds: Option<PathBuf>,
    /// The fold of the recordings that training did not hear.
    #[arg(long, default_value_t = 4)]
    fold: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Accuracy over one set of items.
#[derive(Debug, Serialize)]
struct Accuracy {
    what: String,
    classes: usize,
    items: u64,
    top1: f64,
    chance: f64,
    per_class: BTreeMap<String, f64>,
    /// What was said instead, most frequent first.
    confusions: Vec<(String, String, u64)>,
}

#[derive(Debug, Default)]
struct Tally(BTreeMap<(String, String), u64>);

impl Tally {
    fn count(&mut self, truth: &str, said: &str) {
        *self.0.entry((truth.to_owned(), said.to_owned())).or_default() += 1;
    }

    fn accuracy(&self, what: String) -> Accuracy {
        let classes: BTreeSet<&str> = self.0.keys().map(|(truth, _)| truth.as_str()).collect();
        let of = |class: &str| -> (u64, u64) {
            self.0
                .iter()
                .filter(|((t, _), _)| t == class)
                .fold((0, 0), |(right, all), ((t, s), n)| {
                    (right + if t == s { *n } else { 0 }, all + n)
                })
        };
        let per_class: BTreeMap<String, f64> = classes
            .iter()
            .map(|c| {
                let (right, all) = of(c);
                ((*c).to_owned(), right as f64 / all as f64)
            })
            .collect();
        let (right, items) = classes
            .iter()
            .map(|c| of(c))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let mut confusions: Vec<_> = self
            .0
            .iter()
            .filter(|((t, s), _)| t != s)
            .map(|((t, s), n)| (t.clone(), s.clone(), *n))
            .collect();
        confusions.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.cmp(b)));
        Accuracy {
            what,
            classes: classes.len(),
            items,
            top1: right as f64 / (items as f64).max(1.0),
            chance: 1.0 / (classes.len() as f64).max(1.0),
            per_class,
            confusions,
        }
    }
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let models = Models::open(&args.pack.pack)?;
    let senses = wanted(&args, &models)?;
    let names = Names::new(&models)?;
    let mut results = scenes(&args, &models, &senses, &names)?;
    if let Some(folder) = &args.sounds {
        results.push(sounds(&args, &models, folder, &names)?);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
        return Ok(());
    }
    println!(
        "{:<34} {:>7} {:>6} {:>7} {:>7}  weakest",
        "zero-shot top-1", "classes", "items", "top-1", "chance"
    );
    for r in &results {
        let mut weakest: Vec<_> = r.per_class.iter().filter(|(_, a)| **a < 0.8).collect();
        weakest.sort_by(|a, b| a.1.total_cmp(b.1));
        let weakest: Vec<String> = weakest
            .iter()
            .take(3)
            .map(|(c, a)| format!("{c} {:.0} %", *a * 100.0))
            .collect();
        println!(
            "{:<34} {:>7} {:>6} {:>5.1} % {:>5.1} %  {}",
            r.what,
            r.classes,
            r.items,
            r.top1 * 100.0,
            r.chance * 100.0,
            weakest.join(", ")
        );
    }
    Ok(())
}

fn wanted(args: &Args, models: &Models) -> Result<Vec<Sense>, Failure> {
    let sensors = Sense::ALL.into_iter().filter(|s| *s != Sense::Text);
    if args.sense.is_empty() {
        return Ok(sensors.filter(|s| models.pack.graph_path(*s).is_ok()).collect());
    }
    args.sense
        .iter()
        .map(|name| {
            sensors.clone().find(|s| s.name() == name).ok_or_else(|| {
                let known: Vec<_> = sensors.clone().map(Sense::name).collect();
                Failure::new(
                    Exit::Configuration,
                    format!("no sense {name:?}; known: {}", known.join(", ")),
                )
            })
        })
        .collect()
}

/// What happenings are called: the mean of phrasings that training never saw.
struct Names(BTreeMap<Happening, Embedding>);

impl Names {
    fn new(models: &Models) -> Result<Self, Failure> {
        let mut text = models.text()?;
        let mut names = BTreeMap::new();
        for &happening in Happening::ALL {
            let phrases = captions::all(Some(happening), captions::Split::HeldOut);
            let phrases: Vec<&str> = phrases.iter().map(String::as_str).collect();
            let embeddings = text.encode(&phrases).or_exit(Exit::Model)?;
            if let Some(mean) = Embedding::mean(&embeddings) {
                names.insert(happening, mean.or_exit(Exit::Model)?);
            }
        }
        Ok(Self(names))
    }

    /// The nearest of `among`.
    fn nearest(&self, embedding: &Embedding, among: &[Happening]) -> Result<&'static str, Failure> {
        let candidates: Vec<(&'static str, &[Embedding])> = among
            .iter()
            .filter_map(|h| Some((h.name(), std::slice::from_ref(self.0.get(h)?))))
            .collect();
        let ranking = zero_shot(embedding, &candidates).or_exit(Exit::Model)?;
        ranking
            .first()
            .map(|r| r.label)
            .ok_or_else(|| Failure::new(Exit::Model, "no happening has a phrase"))
    }
}

fn perceivable(sense: Sense) -> Vec<Happening> {
    let scene_sense = match sense {
        Sense::Image => sensebind_scene::Sense::Image,
        Sense::Audio => sensebind_scene::Sense::Audio,
        Sense::Thermal => sensebind_scene::Sense::Thermal,
        Sense::Depth => sensebind_scene::Sense::Depth,
        Sense::Imu => sensebind_scene::Sense::Imu,
        Sense::Text => return Vec::new(),
    };
    Happening::ALL
        .iter()
        .copied()
        .filter(|h| h.sensed_by().contains(&scene_sense))
        .collect()
}

fn scenes(args: &Args, models: &Models, senses: &[Sense], names: &Names) -> Result<Vec<Accuracy>, Failure> {
    let mut encoders = BTreeMap::new();
    let mut cuttings = BTreeMap::new();
    for &sense in senses {
        let encoder = models.encoder(sense)?;
        cuttings.insert(
            sense,
            Cutting {
                window: encoder.spec().window,
                hop: encoder.spec().hop,
            },
        );
        encoders.insert(sense, encoder);
    }
    let mut tallies: BTreeMap<Sense, Tally> = BTreeMap::new();
    let mut bar = Progress::new("scenes", args.scenes * Happening::ALL.len() as u64);
    for index in 0..args.scenes {
        for (nth, &happening) in Happening::ALL.iter().enumerate() {
            let seed = FIRST_SEED + index * 1000 + nth as u64;
            let world = World::new(seed, Timeline::single(Some(happening), SCENE_S, seed));
            for window in last_windows(world, &cuttings)? {
                let sense = window.format.sense();
                let classes = perceivable(sense);
                let Some(encoder) = encoders.get_mut(&sense).filter(|_| classes.contains(&happening)) else {
                    continue;
                };
                let embedding = files::embed(encoder.as_mut(), std::slice::from_ref(&window)).or_exit(Exit::Model)?;
                tallies
                    .entry(sense)
                    .or_default()
                    .count(happening.name(), names.nearest(&embedding, &classes)?);
            }
            bar.set(index * Happening::ALL.len() as u64 + nth as u64 + 1);
        }
    }
    bar.finish();
    Ok(tallies
        .into_iter()
        .map(|(sense, tally)| tally.accuracy(format!("{sense}, held-out scenes")))
        .collect())
}

/// The last whole window of every stream.
fn last_windows(world: World, cuttings: &BTreeMap<Sense, Cutting>) -> Result<Vec<Window>, Failure> {
    let mut input = Merged::new(scene::open_world(world));
    let mut capture = Capture::new(input.streams(), cuttings).or_exit(Exit::Model)?;
    let mut ready = Vec::new();
    while let Some(item) = input.next().or_exit(Exit::Input)? {
        capture.push(item.stream, item.captured, item.calibrating, item.data, &mut ready);
    }
    let mut last: BTreeMap<String, (Timestamp, Window)> = BTreeMap::new();
    for window in ready.into_iter().filter(|w| w.coverage > 0.99) {
        last.insert(window.stream.to_string(), (window.span.end, window));
    }
    Ok(last.into_values().map(|(_, window)| window).collect())
}

fn sounds(args: &Args, models: &Models, folder: &std::path::Path, names: &Names) -> Result<Accuracy, Failure> {
    let recordings = sound_collection::list(folder).or_exit(Exit::Input)?;
    let recordings: Vec<_> = recordings.into_iter().filter(|r| r.fold == args.fold).collect();
    let classes: BTreeSet<Happening> = recordings
        .iter()
        .filter_map(|r| Happening::from_name(&r.label))
        .collect();
    let classes: Vec<Happening> = classes.into_iter().collect();
    let mut encoder = models.encoder(Sense::Audio)?;
    let mut tally = Tally::default();
    let mut bar = Progress::new("recordings", recordings.len() as u64);
    for (done, recording) in recordings.iter().enumerate() {
        let windows = embed::recording(models, &recording.path)?;
        match files::embed(encoder.as_mut(), &windows) {
            Ok(embedding) => tally.count(&recording.label, names.nearest(&embedding, &classes)?),
            Err(e) => terminal::warning(format!("{}: left out: {e}", recording.path.display())),
        }
        bar.set(done as u64 + 1);
    }
    bar.finish();
    Ok(tally.accuracy(format!("audio, real recordings, fold {}", args.fold)))
}
