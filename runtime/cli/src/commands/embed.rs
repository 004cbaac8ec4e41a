//! `sensebind embed`: files or phrases in, one JSON line with a unit vector each out.

use crate::exit::{Exit, Failure, OrExit};
use crate::packs::{Models, PackArg};
use crate::terminal::Progress;
use sensebind_core::{Embedding, Encoder, Sense, Window};
use sensebind_drivers::audio_file::decode_audio;
use sensebind_models::encoder::files;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// What to embed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pack: PackArg,
    /// Which sense the items are.
    #[arg(long)]
    sense: SenseArg,
    /// Files (image: JPEG, PNG; audio: WAV, FLAC, OGG; thermal, depth: grey PNG; imu: CSV), or phrases for text.
    #[arg(required = true, value_name = "ITEM")]
    items: Vec<String>,
    /// How results are printed.
    #[arg(long, default_value = "jsonl")]
    format: OutputFormat,
    /// Kelvin per count of 16-bit thermal pictures.
    #[arg(long, default_value_t = 0.01)]
    kelvin_per_count: f32,
    /// Metres per count of depth pictures.
    #[arg(long, default_value_t = 0.001)]
    metres_per_count: f32,
    /// Focal length of depth pictures in pixels; the pack has a default.
    #[arg(long)]
    focal_px: Option<f32>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OutputFormat {
    /// One JSON object a line.
    Jsonl,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SenseArg {
    Image,
    Text,
    Audio,
    Depth,
    Thermal,
    Imu,
}

impl From<SenseArg> for Sense {
    fn from(sense: SenseArg) -> Self {
        match sense {
            SenseArg::Image => Self::Image,
            SenseArg::Text => Self::Text,
            SenseArg::Audio => Self::Audio,
            SenseArg::Depth => Self::Depth,
            SenseArg::Thermal => Self::Thermal,
            SenseArg::Imu => Self::Imu,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    item: &'a str,
    sense: Sense,
    embedding: &'a [f32],
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let OutputFormat::Jsonl = args.format;
    let sense = Sense::from(args.sense);
    let models = Models::open(&args.pack.pack)?;
    let mut out = io::stdout().lock();
    let mut print = |item: &str, embedding: &Embedding| -> Result<(), Failure> {
        serde_json::to_writer(
            &mut out,
            &Line {
                item,
                sense,
                embedding: embedding.as_slice(),
            },
        )?;
        out.write_all(b"\n")?;
        Ok(())
    };
    if sense == Sense::Text {
        let phrases: Vec<&str> = args.items.iter().map(String::as_str).collect();
        let embeddings = models.text()?.encode(&phrases).or_exit(Exit::Model)?;
        return phrases
            .iter()
            .zip(&embeddings)
            .try_for_each(|(phrase, embedding)| print(phrase, embedding));
    }
    let mut encoder = models.encoder(sense)?;
    let mut bar = Progress::new("embedding", args.items.len() as u64);
    for (done, item) in args.items.iter().enumerate() {
        let windows = windows(&args, &models, encoder.as_ref(), item)?;
        let embedding =
            files::embed(encoder.as_mut(), &windows).map_err(|e| Failure::new(Exit::Input, format!("{item}: {e}")))?;
        print(item, &embedding)?;
        bar.set(done as u64 + 1);
    }
    bar.finish();
    Ok(())
}

fn windows(args: &Args, models: &Models, encoder: &dyn Encoder, item: &str) -> Result<Vec<Window>, Failure> {
    let unreadable = |why: &dyn std::fmt::Display| Failure::new(Exit::Input, format!("{item}: {why}"));
    let bytes = || std::fs::read(item).map_err(|e| unreadable(&format!("cannot be read: {e}")));
    let windows = match encoder.spec().sense {
        Sense::Image => files::picture(&bytes()?, item).map(|w| vec![w]),
        Sense::Thermal => files::thermal_png(&bytes()?, args.kelvin_per_count, item).map(|w| vec![w]),
        Sense::Depth => files::depth_png(&bytes()?, args.metres_per_count, args.focal_px, item).map(|w| vec![w]),
        Sense::Imu => {
            let text = String::from_utf8(bytes()?).map_err(|e| unreadable(&e))?;
            files::imu_csv(&text, encoder.spec().window, item)
        }
        Sense::Audio => return recording(models, Path::new(item)),
        Sense::Text => return Err(unreadable(&"phrases are no files")),
    };
    windows.map_err(|e| unreadable(&e))
}

/// The clips of a sound file, as the pack's recipe samples them. Channel 0 counts, as in the reference.
///
/// # Errors
/// With [`Exit::Input`] for the file, [`Exit::Model`] for a pack that cannot hear.
pub fn recording(models: &Models, path: &Path) -> Result<Vec<Window>, Failure> {
    let entry = models.pack.manifest().audio.as_ref().ok_or_else(|| {
        Failure::new(
            Exit::Model,
            "the pack has no audio encoder: use one that has (sensebind pack info)",
        )
    })?;
    let sound = decode_audio(path).or_exit(Exit::Input)?;
    let first: Vec<f32> = sound
        .samples
        .iter()
        .step_by(usize::from(sound.channels.max(1)))
        .copied()
        .collect();
    files::recording(&first, sound.rate_hz, entry, &path.display().to_string())
        .map_err(|e| Failure::new(Exit::Input, format!("{}: {e}", path.display())))
}
