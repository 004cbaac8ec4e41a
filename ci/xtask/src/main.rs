//! `cargo xtask`: what CI runs, and each of its checks alone.
//!
//! A check belongs here when a compiler, clippy or a test cannot make it: which of our crates may use which, the
//! licences of what we build on, and whether the documents name things that exist.

use std::process::ExitCode;

mod arrows;
mod ci;
mod device;
mod docs;
mod fences;
mod licences;
mod machine_paths;
mod sources;
mod workspace;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["help" | "--help" | "-h"] => {
            print!("{}", ci::usage());
            Ok(())
        }
        ["ci"] => ci::all(),
        [step] => ci::one(step),
        _ => Err(anyhow::anyhow!("one word at a time\n\n{}", ci::usage())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
