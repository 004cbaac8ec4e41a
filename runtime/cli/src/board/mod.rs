//! Board files: what is attached to a device, what runs where, what is recorded.
//!
//! One TOML file per board, in `boards/`. Unknown keys are refused at every level: a misspelt one would silently be a
//! default. The types here are also the JSON Schema ([`schema`]); [`parse`] turns text into them and says where a fault
//! stands. What a driver wants to know of its sensor is the driver's own: every key of a `[[sensor]]` but its name and
//! driver.

mod fit;
mod parse;
mod schema;

pub use fit::{pack_fault, prompts_fault};
pub use schema::schema;

use schemars::JsonSchema;
use sensebind_core::{Driver, Sense, Settings, SourceError, StreamId};
use sensebind_models::encoder::EncoderOptions;
use sensebind_models::manifest::Precision;
use sensebind_models::session::Provider;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// A board file that was read. Relative paths in it are from the folder of the file; here they are joined to it.
#[derive(Debug)]
pub struct Board {
    /// Where it was read from.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// What it is, for a person.
    pub description: Option<String>,
    /// Which pack, which prompts.
    pub pack: PackTable,
    /// What computes the embeddings.
    pub encoder: EncoderTable,
    /// Where a log is kept, where one is wanted.
    pub record: Option<RecordTable>,
    /// What is attached; at least one, names differ.
    pub sensors: Vec<Sensor>,
}

/// One sensor of a board.
pub struct Sensor {
    /// The stream's name.
    pub name: StreamId,
    /// Who opens it.
    pub driver: &'static dyn Driver,
    /// What its driver is told. A relative `path` is joined to the board's folder.
    pub settings: Settings,
    /// Where it begins in the file.
    line: usize,
    /// Where each of its keys stands.
    key_lines: BTreeMap<String, usize>,
}

impl fmt::Debug for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sensor")
            .field("name", &self.name)
            .field("driver", &self.driver.name())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The model pack, and what to look for in its space.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackTable {
    /// Folder of the model pack, from the board file's folder. Default: the starter pack that ships.
    pub path: Option<PathBuf>,
    /// What to look for (a TOML file, see docs/prompts.md), from the board file's folder. Default: the pack's own
    /// `prompts.toml`.
    pub prompts: Option<PathBuf>,
}

/// What computes the embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderTable {
    /// What computes the graphs of all senses that do not say otherwise. A provider that this machine cannot run is an
    /// error at start, never another provider. Default: "cpu".
    pub provider: Provider,
    /// Threads per graph on the CPU, at least 1. Senses run side by side, so 1 is right for small models. Default: 1.
    pub threads: NonZeroUsize,
    /// Pictures.
    pub image: ImageEncoderTable,
    /// Phrases; encoded when the run starts.
    pub text: SenseEncoderTable,
    /// Sound.
    pub audio: SenseEncoderTable,
    /// Depth pictures.
    pub depth: SenseEncoderTable,
    /// Thermal pictures.
    pub thermal: SenseEncoderTable,
    /// Inertial measurements.
    pub imu: SenseEncoderTable,
}

/// How pictures are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageEncoderTable {
    /// What computes this sense's graph. Default: the table above.
    pub provider: Option<Provider>,
    /// How the pack must store this graph's weights; an error at start where it does not. Default: as the pack has it.
    pub precision: Option<Precision>,
    /// What a window of the camera is. Default: "still".
    pub frames: Frames,
}

/// How another sense is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SenseEncoderTable {
    /// What computes this sense's graph. Default: the table above.
    pub provider: Option<Provider>,
    /// How the pack must store this graph's weights; an error at start where it does not. Default: as the pack has it.
    pub precision: Option<Precision>,
}

/// What a window of a camera is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Frames {
    /// One picture, through the pack's image graph.
    #[default]
    Still,
    /// A clip of two pictures, through the pack's video graph.
    Clip,
}

/// A log of everything the sensors deliver and of the events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordTable {
    /// The log to write (MCAP), from the board file's folder.
    pub path: PathBuf,
    /// Largest size of the log, bytes. When it is reached, or the disk is full, recording stops and says so; detection
    /// goes on. Default: until the disk is full.
    pub max_bytes: Option<u64>,
}

impl Default for EncoderTable {
    fn default() -> Self {
        Self {
            provider: Provider::default(),
            threads: NonZeroUsize::MIN,
            image: ImageEncoderTable::default(),
            text: SenseEncoderTable::default(),
            audio: SenseEncoderTable::default(),
            depth: SenseEncoderTable::default(),
            thermal: SenseEncoderTable::default(),
            imu: SenseEncoderTable::default(),
        }
    }
}

impl EncoderTable {
    /// How the graph of `sense` is to run.
    pub fn options(&self, sense: Sense) -> EncoderOptions {
        let (provider, precision) = match sense {
            Sense::Image => (self.image.provider, self.image.precision),
            Sense::Text => (self.text.provider, self.text.precision),
            Sense::Audio => (self.audio.provider, self.audio.precision),
            Sense::Depth => (self.depth.provider, self.depth.precision),
            Sense::Thermal => (self.thermal.provider, self.thermal.precision),
            Sense::Imu => (self.imu.provider, self.imu.precision),
        };
        EncoderOptions {
            provider: provider.unwrap_or(self.provider),
            precision,
        }
    }
}

/// What is wrong with a board file: every fault that could be told at once, one a line, each as `FILE:LINE: fault`.
#[derive(Debug)]
pub struct BoardError {
    faults: Vec<Fault>,
}

/// One fault.
#[derive(Debug)]
struct Fault {
    file: PathBuf,
    /// From 1; nothing where it is the file as a whole.
    line: Option<usize>,
    message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for BoardError {}

impl Board {
    /// Reads `file`: its keys, names and drivers; what drivers are told is [`check`](Self::check)ed apart.
    ///
    /// # Errors
    /// [`BoardError`] when it cannot be read, is no TOML, has unknown or missing keys, sensors of one name, or a driver
    /// that there is not.
    pub fn load(file: &Path) -> Result<Self, BoardError> {
        let text = std::fs::read_to_string(file).map_err(|e| {
            let remedy = "name a board file; docs/boards.md says how to write one";
            BoardError::whole(file, format!("cannot be read: {e}: {remedy}"))
        })?;
        parse::board(file, &text)
    }

    /// The senses its sensors feed.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn senses(&self) -> Result<BTreeSet<Sense>, BoardError> {
        self.sensors
            .iter()
            .map(|sensor| {
                sensor
                    .driver
                    .sense(&sensor.settings)
                    .map_err(|error| self.fault(sensor, &error))
            })
            .collect()
    }

    fn fault(&self, sensor: &Sensor, error: &SourceError) -> BoardError {
        let fault = Fault {
            file: self.file.clone(),
            line: Some(sensor.line_of(&error.message)),
            message: parse::with_suggestion(format!("sensor {:?}: {error}", sensor.name.as_str())),
        };
        BoardError { faults: vec![fault] }
    }

    /// Asks every sensor's driver whether it can do with its settings. Touches no device.
    ///
    /// # Errors
    /// [`BoardError`] with all that they find wrong.
    pub fn check(&self) -> Result<(), BoardError> {
        let faults: Vec<Fault> = self
            .sensors
            .iter()
            .filter_map(|sensor| Some((sensor, sensor.driver.check(&sensor.settings).err()?)))
            .flat_map(|(sensor, error)| self.fault(sensor, &error).faults)
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(BoardError { faults })
        }
    }
}

impl BoardError {
    /// Something about the file as a whole.
    pub fn whole(file: &Path, message: String) -> Self {
        Self {
            faults: vec![Fault {
                file: file.to_owned(),
                line: None,
                message,
            }],
        }
    }
}

impl Sensor {
    /// The line of the key that `message` names in backquotes first, else where the sensor begins.
    fn line_of(&self, message: &str) -> usize {
        parse::quoted(message)
            .find_map(|word| self.key_lines.get(word))
            .copied()
            .unwrap_or(self.line)
    }
}
