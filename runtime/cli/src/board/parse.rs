//! Text → [`Board`], and what to say where it is none.

use super::schema::SensorTable;
use super::{Board, BoardError, EncoderTable, Fault, PackTable, RecordTable, Sensor};
use schemars::JsonSchema;
use sensebind_core::{Settings, StreamId};
use sensebind_drivers::DRIVERS;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Spanned, Value};

/// Longest name of a board or a sensor.
const LONGEST_NAME: usize = 64;
/// Words less alike than this are no misspelling of each other, 0 to 1 (Jaro-Winkler).
const ALIKE: f64 = 0.8;

/// A board of Sensebind: what is attached to a device, what runs where, what is recorded.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Sensebind board")]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Name of the board: up to 64 ASCII letters, digits, `-`, `_` and `.`.
    name: String,
    /// What it is, for a person.
    description: Option<String>,
    /// The model pack, and what to look for in its space.
    #[serde(default)]
    pack: PackTable,
    /// What computes the embeddings.
    #[serde(default)]
    encoder: EncoderTable,
    /// A log of everything the sensors deliver and of the events. Default: none is written.
    record: Option<RecordTable>,
    /// What is attached, one table per sensor. A sensor that is missing is reported and waited for; it never stops the
    /// others.
    #[schemars(with = "Vec<SensorTable>", length(min = 1))]
    sensor: Vec<Spanned<Entry>>,
}

/// One `[[sensor]]` with the places of its keys.
type Entry = BTreeMap<Spanned<String>, Spanned<Value>>;

/// The board in `text`, which is what `file` holds.
pub(super) fn board(file: &Path, text: &str) -> Result<Board, BoardError> {
    let line = |offset: usize| text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count() + 1;
    let fault = |line: Option<usize>, message: String| Fault {
        file: file.to_owned(),
        line,
        message,
    };
    let File {
        name,
        description,
        mut pack,
        encoder,
        mut record,
        sensor: entries,
    } = toml::from_str(text).map_err(|e| BoardError {
        faults: vec![fault(
            e.span().map(|span| line(span.start)),
            with_suggestion(format!("{}: `sensebind boards schema` lists every key", e.message())),
        )],
    })?;
    let mut faults = Vec::new();
    if let Err(why) = check_name(&name) {
        faults.push(fault(None, format!("name = {name:?}: {why}")));
    }
    if entries.is_empty() {
        let remedy = "`sensebind devices` prints one for everything that is attached";
        faults.push(fault(None, format!("no [[sensor]], expected at least one: {remedy}")));
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut sensors: Vec<Sensor> = Vec::new();
    for (nth, entry) in entries.into_iter().enumerate() {
        let begin = line(entry.span().start);
        match sensor(entry.into_inner(), nth + 1, begin, folder, line) {
            Ok(sensor) => match sensors.iter().find(|other| other.name == sensor.name) {
                Some(other) => faults.push(fault(
                    Some(sensor.line),
                    format!(
                        "two sensors are called {:?}, the other one at line {}: give each a name of its own",
                        sensor.name.as_str(),
                        other.line
                    ),
                )),
                None => sensors.push(sensor),
            },
            Err((line, message)) => faults.push(fault(Some(line), message)),
        }
    }
    if !faults.is_empty() {
        return Err(BoardError { faults });
    }
    let paths = [&mut pack.path, &mut pack.prompts].into_iter().flatten();
    for path in paths.chain(record.as_mut().map(|record| &mut record.path)) {
        *path = folder.join(&*path);
    }
    Ok(Board {
        file: file.to_owned(),
        name,
        description,
        pack,
        encoder,
        record,
        sensors,
    })
}

/// The `nth` sensor, which begins at line `begin`; or a line and what is wrong there.
fn sensor(
    entry: Entry,
    nth: usize,
    begin: usize,
    folder: &Path,
    line: impl Fn(usize) -> usize,
) -> Result<Sensor, (usize, String)> {
    let mut key_lines = BTreeMap::new();
    let mut settings = Settings::new();
    for (key, value) in entry {
        key_lines.insert(key.get_ref().clone(), line(key.span().start));
        settings.insert(key.into_inner(), value.into_inner());
    }
    let line_of = |key: &str| key_lines.get(key).copied().unwrap_or(begin);
    let mut take = |key: &str, called: &str, example: &str| match settings.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err((
            line_of(key),
            format!(
                "{called}: {key} is of type {}, expected text, as in {key} = {example:?}",
                other.type_str()
            ),
        )),
        None => Err((
            begin,
            format!("{called}: no {key}, expected one, as in {key} = {example:?}"),
        )),
    };
    let name = take("name", &format!("sensor {nth}"), "camera")?;
    check_name(&name).map_err(|why| (line_of("name"), format!("sensor {nth}: name = {name:?}: {why}")))?;
    let called = format!("sensor {name:?}");
    let driver = take("driver", &called, "v4l2_camera")?;
    let driver = sensebind_drivers::find(&driver).ok_or_else(|| {
        let known: Vec<&str> = DRIVERS.iter().map(|driver| driver.name()).collect();
        let meant = alike(&driver, known.iter().copied());
        let meant = meant.map_or(String::new(), |name| format!(" (did you mean {name:?}?)"));
        let message = format!(
            "{called}: no driver {driver:?}{meant}, expected one of {}: `sensebind devices --drivers` describes them",
            known.join(", ")
        );
        (line_of("driver"), message)
    })?;
    // A file is named as seen from the board, wherever the command is run.
    if let Some(Value::String(path)) = settings.get_mut("path") {
        *path = folder.join(PathBuf::from(&*path)).to_string_lossy().into_owned();
    }
    Ok(Sensor {
        name: StreamId::new(name),
        driver,
        settings,
        line: begin,
        key_lines,
    })
}

/// Names of boards and sensors become names of files and channels.
fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with('.') || !name.chars().all(fits) {
        return Err(format!(
            "expected 1 to {LONGEST_NAME} ASCII letters, digits, `-`, `_` and `.`, no `.` in front: choose another name"
        ));
    }
    Ok(())
}

/// `message` with what was probably meant, where it names an unknown word and then the known ones, in backquotes each
/// (as serde does).
pub(super) fn with_suggestion(message: String) -> String {
    let Some(at) = message.find("unknown ") else {
        return message;
    };
    let mut words = quoted(&message[at..]);
    let suggested = words.next().and_then(|found| {
        let meant = alike(found, words)?;
        let found = format!("`{found}`");
        let end = at + message[at..].find(&found)? + found.len();
        let (before, after) = message.split_at_checked(end)?;
        Some(format!("{before} (did you mean `{meant}`?){after}"))
    });
    suggested.unwrap_or(message)
}

/// The words of `text` in backquotes.
pub(super) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The known word that `word` is probably meant to be.
fn alike<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
