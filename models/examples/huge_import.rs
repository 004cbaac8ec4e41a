//! Imports a checkpoint of ImageBind's huge size (1311 tensors, 4.8 GB, weights by formula) and reports time and peak
//! memory of the import alone, then runs its picture encoder once. Needs 15 GB of disk in the folder given.
//!
//! `cargo run --release -p sensebind-models --example huge_import -- FOLDER [f32|f16]`

#[path = "../tests/support/formula.rs"]
mod formula;
#[path = "../tests/support/pickle.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod pickle;

use pickle::{Entry, Pickle};
use sensebind_models::family::imagebind::{Config, NamedShape};
use sensebind_models::manifest::Precision;
use sensebind_models::pack::{GraphKind, Pack, import};
use sensebind_models::session::{Provider, Runtime, Session, Threads};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use zip::write::SimpleFileOptions;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["import", checkpoint, out, precision] => import_alone(Path::new(checkpoint), Path::new(out), precision),
        ["run", pack] => run_one_picture(Path::new(pack)),
        [folder] => all(Path::new(folder), "f32"),
        [folder, precision] => all(Path::new(folder), precision),
        _ => Err("usage: huge_import FOLDER [f32|f16]".into()),
    }
}

/// Each step in its own process, so that its peak memory is its own.
fn all(folder: &Path, precision: &str) -> Done {
    fs::create_dir_all(folder)?;
    let (checkpoint, out) = (folder.join("formula_huge.pth"), folder.join("pack"));
    if !checkpoint.exists() {
        let seconds = timed(|| write_checkpoint(&checkpoint))?;
        println!(
            "checkpoint: {} bytes written in {seconds:.1} s",
            fs::metadata(&checkpoint)?.len()
        );
    }
    let step = |arguments: &[&str]| -> Done {
        let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{arguments:?}: {status}").into())
        }
    };
    let (checkpoint, out) = (checkpoint.to_string_lossy(), out.to_string_lossy());
    step(&["import", &checkpoint, &out, precision])?;
    step(&["run", &out])
}

fn write_checkpoint(path: &Path) -> Done {
    let tensors = Config::huge().state_dict();
    let keys: Vec<String> = (0..tensors.len()).map(|i| i.to_string()).collect();
    let shapes: Vec<Vec<u32>> = tensors
        .iter()
        .map(|(_, shape)| shape.iter().map(|d| *d as u32).collect())
        .collect();
    let strides: Vec<Vec<u32>> = shapes.iter().map(|shape| row_major_strides(shape)).collect();
    let entries: Vec<Entry<'_>> = (0..tensors.len())
        .map(|i| Entry {
            name: &tensors[i].0,
            storage: "FloatStorage",
            key: &keys[i],
            elements: shapes[i].iter().product(),
            offset: 0,
            shape: &shapes[i],
            strides: &strides[i],
        })
        .collect();
    let mut zip = zip::ZipWriter::new(BufWriter::new(File::create(path)?));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", options)?;
    zip.write_all(&Pickle::state_dict(&entries))?;
    for (key, tensor) in keys.iter().zip(&tensors) {
        zip.start_file(format!("archive/data/{key}"), options)?;
        let bytes: Vec<u8> = numbers(tensor).iter().flat_map(|v| v.to_le_bytes()).collect();
        zip.write_all(&bytes)?;
    }
    zip.finish()?;
    Ok(())
}

fn row_major_strides(shape: &[u32]) -> Vec<u32> {
    (0..shape.len()).map(|d| shape[d + 1..].iter().product()).collect()
}

fn numbers((name, shape): &NamedShape) -> Vec<f32> {
    if name.ends_with("log_logit_scale") {
        return vec![1.0];
    }
    let (scale, offset) = formula::scale_of(name, shape);
    formula::generate(&format!("huge/{name}"), shape.iter().product(), scale, offset)
}

fn import_alone(checkpoint: &Path, out: &Path, precision: &str) -> Done {
    let precision = if precision == "f16" {
        Precision::F16
    } else {
        Precision::F32
    };
    let seconds = timed(|| {
        import(checkpoint, &Config::huge(), out, precision, &mut |_| ())?;
        Ok(())
    })?;
    println!("import: {seconds:.1} s, peak memory {} MiB", peak_memory_mib()?);
    let pack = Pack::open(out)?;
    for file in &pack.manifest().files {
        println!("  {:16} {:>13} bytes", file.path, file.bytes);
    }
    println!("  space {}", pack.manifest().space.id);
    Ok(())
}

fn run_one_picture(out: &Path) -> Done {
    let pack = Pack::open(out)?;
    let verify = timed(|| Ok(pack.verify(&mut |_| ())?))?;
    let threads = Threads(NonZeroUsize::MIN.saturating_add(1));
    let mut session = None;
    let load = timed(|| {
        session = Some(Session::open(
            &Runtime::load(None)?,
            &pack.graph_path(GraphKind::Image)?,
            Provider::Cpu,
            threads,
        )?);
        Ok(())
    })?;
    let mut session = session.ok_or("no session")?;
    let picture = formula::generate("huge/input", 3 * 224 * 224, 2.0, 0.0);
    let mut norm = 0.0;
    let run = timed(|| {
        let (_, embedding) = session.run_f32(&[1, 3, 224, 224], &picture)?;
        norm = embedding.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        Ok(())
    })?;
    println!(
        "every hash verified in {verify:.1} s; image encoder loaded in {load:.1} s, one picture in {run:.2} s, length {norm:.6}"
    );
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "wall time is what is measured")]
fn timed(work: impl FnOnce() -> Done) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The process's highest resident size so far (Linux).
fn peak_memory_mib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .ok_or("no VmHWM")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib / 1024)
}
