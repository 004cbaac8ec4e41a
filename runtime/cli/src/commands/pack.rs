//! `sensebind pack`: import a checkpoint, show what a pack is, verify its hashes.

use crate::exit::{Exit, Failure, OrExit};
use crate::terminal::Progress;
use sensebind_models::family::FAMILIES;
use sensebind_models::manifest::{Manifest, Precision, SenseEntry};
use sensebind_models::pack::Pack;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What to do with a pack.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Turn a PyTorch (.pth) or safetensors checkpoint into a pack of ONNX graphs.
    Import {
        /// The checkpoint. A .pth is read by a restricted reader that executes nothing.
        checkpoint: PathBuf,
        /// `huge` (ImageBind's released size) or a JSON file with the architecture's numbers.
        #[arg(long)]
        config: String,
        /// The model family whose names the checkpoint uses.
        #[arg(long, default_value = "imagebind")]
        family: String,
        /// Folder to create; an existing pack there is replaced.
        #[arg(long)]
        out: PathBuf,
        /// How weights are stored.
        #[arg(long, default_value = "f32")]
        precision: Stored,
    },
    /// Print senses, sizes, input recipes, licence and space id.
    Info {
        /// The pack's folder.
        pack: PathBuf,
        /// Print the manifest as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check the hash of every file.
    Verify {
        /// The pack's folder.
        pack: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Stored {
    F32,
    F16,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Import {
            checkpoint,
            config,
            family,
            out,
            precision,
        } => import(&checkpoint, &config, &family, &out, precision),
        Action::Info { pack, json } => info(&pack, json),
        Action::Verify { pack } => verify(&pack),
    }
}

fn import(checkpoint: &Path, config: &str, family: &str, out: &Path, precision: Stored) -> Result<(), Failure> {
    let precision = match precision {
        Stored::F32 => Precision::F32,
        Stored::F16 => Precision::F16,
    };
    let family = FAMILIES.iter().find(|f| f.name() == family).ok_or_else(|| {
        let known: Vec<_> = FAMILIES.iter().map(|f| f.name()).collect();
        Failure::new(
            Exit::Configuration,
            format!("no model family {family:?}; known: {}", known.join(", ")),
        )
    })?;
    let mut bar = Progress::new("writing graphs", 0);
    let manifest = family
        .import(checkpoint, config, out, precision, &mut |p| {
            bar.set_total(p.total_bytes);
            bar.set(p.written_bytes);
        })
        .or_exit(Exit::Model)?;
    bar.finish();
    print_manifest(&manifest);
    eprintln!("wrote {}", out.display());
    Ok(())
}

fn info(dir: &Path, json: bool) -> Result<(), Failure> {
    let pack = Pack::open(dir).or_exit(Exit::Model)?;
    if json {
        println!("{}", serde_json::to_string_pretty(pack.manifest())?);
    } else {
        print_manifest(pack.manifest());
    }
    Ok(())
}

fn verify(dir: &Path) -> Result<(), Failure> {
    let pack = Pack::open(dir).or_exit(Exit::Model)?;
    let files = pack.manifest().files.len();
    let total = pack.manifest().files.iter().map(|f| f.bytes).sum();
    let (mut bar, mut done) = (Progress::new("hashing", total), 0);
    pack.verify(&mut |file| {
        bar.set(done);
        done += file.bytes;
    })
    .or_exit(Exit::Model)?;
    bar.finish();
    println!(
        "{}: {files} files, every hash as pack.toml says",
        pack.manifest().space.id
    );
    Ok(())
}

fn print_manifest(m: &Manifest) {
    println!("{} {} ({})", m.name, m.version, m.family);
    println!("  {}", m.about);
    println!("  space    {} ({} numbers per embedding)", m.space.id, m.space.dim);
    println!("  licence  {} · commercial use: {:?}", m.licence, m.commercial_use);
    println!("  from     {} (sha256 {})", m.source.checkpoint, m.source.sha256);
    print_sense(m, "image", m.image.as_ref());
    print_sense(m, "video", m.video.as_ref());
    print_sense(m, "text", m.text.as_ref());
    print_sense(m, "audio", m.audio.as_ref());
    print_sense(m, "depth", m.depth.as_ref());
    print_sense(m, "thermal", m.thermal.as_ref());
    print_sense(m, "imu", m.imu.as_ref());
    let bytes: u64 = m.files.iter().map(|f| f.bytes).sum();
    println!("  total    {:.1} MB in {} files", bytes as f64 / 1e6, m.files.len());
}

fn print_sense<R: Serialize>(manifest: &Manifest, name: &str, entry: Option<&SenseEntry<R>>) {
    let Some(entry) = entry else {
        println!("  {name:<8} none");
        return;
    };
    let bytes: u64 = manifest
        .files
        .iter()
        .filter(|f| f.path.starts_with(&entry.graph))
        .map(|f| f.bytes)
        .sum();
    println!(
        "  {name:<8} {} · {:.1} MB {:?} · logit scale {:.1} · window {} s, hop {} s",
        entry.graph,
        bytes as f64 / 1e6,
        entry.precision,
        entry.logit_scale,
        entry.window_s,
        entry.hop_s
    );
    for line in recipe_lines(&entry.input) {
        println!("             {line}");
    }
}

/// The recipe as `pack.toml` says it; long lists (a kept vocabulary) by their length.
fn recipe_lines<R: Serialize>(recipe: &R) -> Vec<String> {
    const LONGEST: usize = 160;
    let text = toml::to_string(recipe).unwrap_or_else(|e| format!("(not to be said in TOML: {e})"));
    text.lines()
        .map(|line| match line.split_once(" = [") {
            Some((key, list)) if line.len() > LONGEST => {
                format!(
                    "{key} = ({} values)",
                    list.split(',')
                        .filter(|v| !v.trim_matches(&[']', ' '][..]).is_empty())
                        .count()
                )
            }
            _ => line.to_owned(),
        })
        .collect()
}
