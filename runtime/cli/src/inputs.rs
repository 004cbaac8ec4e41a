//! What can be replayed: a log, a sound file, pictures, or a simulated world.

use crate::exit::{Exit, Failure, OrExit};
use crate::outcome::Truth;
use sensebind_core::{Format, Sense, Source, SourceError, StreamId, Timestamp};
use sensebind_drivers::{audio_file, picture_folder, scene};
use sensebind_engine::{Input, InputError, Item, Merged};
use sensebind_record::{LogReader, Loss, RecordError};
use sensebind_scene::World;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where frames come from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct InputArgs {
    /// An MCAP log, a WAV, FLAC or OGG file, a JPEG or PNG file, or a folder of pictures.
    pub input: Option<PathBuf>,
    /// A simulated world with this seed, rendered as it runs.
    #[arg(long, value_name = "SEED")]
    pub scene: Option<u64>,
}

/// An open input, with what is known about it.
pub struct Opened {
    /// The frames.
    pub input: Box<dyn Replayable>,
    /// What really happened, where that is known.
    pub truth: Vec<Truth>,
    /// How long it is, where that is known.
    pub duration: Option<Duration>,
}

/// An input that can say what was lost.
pub trait Replayable: Input {
    /// What a damaged or unknown part of the input cost; complete at the end of the input.
    fn loss(&self) -> Option<Loss> {
        None
    }

    /// As the engine takes it.
    fn as_input(&mut self) -> &mut dyn Input;
}

impl Replayable for Merged {
    fn as_input(&mut self) -> &mut dyn Input {
        self
    }
}

struct Log(LogReader);

impl Input for Log {
    fn streams(&self) -> &[(StreamId, Format)] {
        self.0.streams()
    }

    fn next(&mut self) -> Result<Option<Item<'_>>, InputError> {
        match self.0.next() {
            Ok(frame) => Ok(frame.map(|f| Item {
                stream: f.stream,
                captured: f.captured,
                calibrating: f.calibrating,
                data: f.data,
            })),
            Err(e) => Err(InputError(e.to_string())),
        }
    }
}

impl Replayable for Log {
    fn loss(&self) -> Option<Loss> {
        Some(self.0.loss())
    }

    fn as_input(&mut self) -> &mut dyn Input {
        self
    }
}

/// Opens what the arguments name.
///
/// # Errors
/// With [`Exit::Input`] when it cannot be read.
pub fn open(args: &InputArgs, scene_seconds: Option<f64>) -> Result<Opened, Failure> {
    match (&args.input, args.scene) {
        (Some(path), _) => open_path(path),
        (None, Some(seed)) => simulated(seed, scene_seconds),
        (None, None) => Err(Failure::new(
            Exit::Configuration,
            "nothing to replay: name a file or --scene SEED",
        )),
    }
}

/// The demo's world, or `seconds` of it and what follows.
///
/// # Errors
/// With [`Exit::Configuration`] for an impossible length.
pub fn world(seed: u64, seconds: Option<f64>) -> Result<World, Failure> {
    scene::world(seed, seconds).or_exit(Exit::Configuration)
}

fn simulated(seed: u64, seconds: Option<f64>) -> Result<Opened, Failure> {
    let world = world(seed, seconds)?;
    let duration = Duration::try_from_secs_f64(world.timeline().duration_s).ok();
    let truth = truths(scene::truth(&world));
    Ok(Opened {
        input: Box::new(Merged::new(scene::open_world(world))),
        truth,
        duration,
    })
}

/// Opens a recording.
///
/// # Errors
/// With [`Exit::Input`].
pub fn open_path(path: &Path) -> Result<Opened, Failure> {
    let is_sound = has_extension(path, &["wav", "flac", "ogg", "oga"]);
    if path.is_dir() || has_extension(path, &["jpg", "jpeg", "png"]) {
        return finite(picture_folder::open(path));
    }
    if is_sound {
        return finite(audio_file::open(path));
    }
    let log = LogReader::open(path).map_err(|e| {
        let message = match e {
            RecordError::Open { .. } => e.to_string(),
            other => format!("{}: {other}: is it a sensor log?", path.display()),
        };
        Failure::new(Exit::Input, message)
    })?;
    let truth = truths(log.truth());
    let duration = Some(log.duration());
    Ok(Opened {
        input: Box::new(Log(log)),
        truth,
        duration,
    })
}

fn finite(source: Result<Box<dyn Source>, SourceError>) -> Result<Opened, Failure> {
    Ok(Opened {
        input: Box::new(Merged::new(vec![source.or_exit(Exit::Input)?])),
        truth: Vec::new(),
        duration: None,
    })
}

/// The senses of `streams`.
pub fn senses(streams: &[(StreamId, Format)]) -> BTreeSet<Sense> {
    streams.iter().map(|(_, format)| format.sense()).collect()
}

/// Whether `path` ends in one of `extensions`, whatever their case.
pub fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| extensions.iter().any(|x| x.eq_ignore_ascii_case(e)))
}

fn truths(labels: Vec<(String, sensebind_core::Span)>) -> Vec<Truth> {
    labels.into_iter().map(|(label, span)| Truth { label, span }).collect()
}

/// How far `at` lies into a replay that began at `zero`, in milliseconds: what progress bars count.
pub fn elapsed_ms(at: Timestamp, zero: Timestamp) -> u64 {
    u64::try_from(at.since(zero).as_millis()).unwrap_or(u64::MAX)
}
