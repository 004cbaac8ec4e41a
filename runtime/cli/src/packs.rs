//! Opening a pack, and the prompts that are compared in its space.

use crate::board::{Board, EncoderTable, Frames};
use crate::exit::{Exit, Failure, OrExit};
use crate::terminal;
use sensebind_core::{Embedding, Encoder, Sense};
use sensebind_engine::{DEFAULT_MIN_COVERAGE, Perceive};
use sensebind_models::encoder::{PackEncoders, TextEncoder};
use sensebind_models::pack::Pack;
use sensebind_models::session::{Provider, Runtime, Threads};
use sensebind_space::{Detector, PromptFile, PromptSet};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What an empty moment is called where the prompts do not say so.
const CONTRAST: &[&str] = &["nothing is happening", "an empty room", "a quiet street", "silence"];

/// Which pack.
#[derive(Debug, clap::Args)]
pub struct PackArg {
    /// Folder of the model pack.
    #[arg(long, value_name = "DIR", default_value_os_t = starter())]
    pub pack: PathBuf,
}

/// The folder of the pack that `board` names, or of the one that ships.
pub fn of(board: &Board) -> PathBuf {
    board.pack.path.clone().unwrap_or_else(starter)
}

/// The pack that ships, where this checkout or installation keeps it.
pub fn starter() -> PathBuf {
    let relative = Path::new("models/packs/starter");
    std::env::current_exe()
        .ok()
        .and_then(|exe| exe.ancestors().map(|a| a.join(relative)).find(|p| p.is_dir()))
        .unwrap_or_else(|| relative.to_owned())
}

/// A pack with ONNX Runtime loaded: everything that turns data into embeddings.
#[derive(Debug)]
pub struct Models {
    /// The pack.
    pub pack: Pack,
    runtime: Runtime,
    encoder: EncoderTable,
}

impl Models {
    /// Opens a pack to be run on the CPU, one thread per sense, and says on stderr what it may be used for and what
    /// runs it.
    ///
    /// # Errors
    /// With [`Exit::Model`].
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        Self::open_for(dir, EncoderTable::default())
    }

    /// The same, to be run as a board's `encoder` says. What a sense runs on is said when it is loaded, where it is not
    /// the CPU.
    ///
    /// # Errors
    /// With [`Exit::Model`].
    pub fn open_for(dir: &Path, encoder: EncoderTable) -> Result<Self, Failure> {
        let pack = Pack::open(dir).or_exit(Exit::Model)?;
        let runtime = Runtime::load(None).or_exit(Exit::Model)?;
        let manifest = pack.manifest();
        eprintln!(
            "pack {} {} · space {} · licence {} (commercial use: {}) · ONNX Runtime on {}",
            manifest.name,
            manifest.version,
            manifest.space.id,
            manifest.licence,
            format!("{:?}", manifest.commercial_use).to_lowercase(),
            encoder.provider,
        );
        Ok(Self { pack, runtime, encoder })
    }

    fn encoders(&self) -> PackEncoders<'_> {
        // Senses run side by side, one thread each unless a board says otherwise: faster on small models than one sense
        // on many threads, and the order of additions inside a model is fixed.
        let encoders = PackEncoders::new(&self.pack, &self.runtime, Threads(self.encoder.threads));
        Sense::ALL.into_iter().fold(encoders, |encoders, sense| {
            encoders.with(sense, self.encoder.options(sense))
        })
    }

    fn say_provider(&self, sense: Sense) {
        let provider = self.encoder.options(sense).provider;
        if provider != self.encoder.provider || provider != Provider::Cpu {
            eprintln!("{sense} runs on {provider}");
        }
    }

    /// The encoder of one sense.
    ///
    /// # Errors
    /// With [`Exit::Model`].
    pub fn encoder(&self, sense: Sense) -> Result<Box<dyn Encoder>, Failure> {
        let encoders = self.encoders();
        let clips = sense == Sense::Image && self.encoder.image.frames == Frames::Clip;
        let encoder = if clips {
            encoders.clip_encoder()
        } else {
            encoders.encoder(sense)
        };
        let encoder = encoder.or_exit(Exit::Model)?;
        self.say_provider(sense);
        Ok(encoder)
    }

    /// The text encoder.
    ///
    /// # Errors
    /// With [`Exit::Model`].
    pub fn text(&self) -> Result<TextEncoder, Failure> {
        let text = self.encoders().text().or_exit(Exit::Model)?;
        self.say_provider(Sense::Text);
        Ok(text)
    }

    /// Encoders for those of `senses` that the pack has, joined with the prompts of a file (by default the
    /// pack's own).
    ///
    /// # Errors
    /// With [`Exit::Configuration`] for the prompts, [`Exit::Model`] for the rest.
    pub fn perceive(&self, prompts: Option<&Path>, senses: &BTreeSet<Sense>) -> Result<Perceive, Failure> {
        let file = self.prompt_file(prompts)?;
        let prompts = self.prompt_set(&file)?;
        let mut encoders = Vec::new();
        for &sense in senses {
            if self.pack.graph_path(sense).is_ok() {
                encoders.push(self.encoder(sense)?);
            } else {
                terminal::warning(format!(
                    "the pack has no {sense} encoder: its streams are counted, not judged"
                ));
            }
        }
        let detector = Detector::new(&prompts);
        Perceive::new(encoders, prompts, detector, DEFAULT_MIN_COVERAGE).or_exit(Exit::Configuration)
    }

    fn prompt_file(&self, path: Option<&Path>) -> Result<PromptFile, Failure> {
        let path = path.map_or_else(|| self.pack.folder().join("prompts.toml"), Path::to_owned);
        let text = std::fs::read_to_string(&path).map_err(|e| {
            let remedy = "write one (see docs/prompts.md) and name it with --prompts";
            Failure::new(
                Exit::Configuration,
                format!("{}: prompts cannot be read: {e}: {remedy}", path.display()),
            )
        })?;
        PromptFile::parse(&text).map_err(|e| Failure::new(Exit::Configuration, format!("{}: {e}", path.display())))
    }

    fn prompt_set(&self, file: &PromptFile) -> Result<PromptSet, Failure> {
        let mut text = self.text()?;
        let mut phrases = file.phrases();
        phrases.extend(CONTRAST);
        for phrase in file.phrases() {
            let unknown = text.tokenizer().unknown_words(phrase);
            if !unknown.is_empty() {
                let words = unknown.join(", ");
                terminal::warning(format!(
                    "the prompt {phrase:?} has words this pack never learned: {words}"
                ));
            }
        }
        let embeddings = text.encode(&phrases).or_exit(Exit::Model)?;
        let by_phrase: BTreeMap<&str, Embedding> = phrases.into_iter().zip(embeddings).collect();
        PromptSet::new(file, CONTRAST, |phrase| by_phrase.get(phrase).cloned()).or_exit(Exit::Configuration)
    }
}
