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
    #[schemars(with = "String")]
    name: Spanned<String>,
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
    if let Err(why) = check_name(name.get_ref()) {
        let at = Some(line(name.span().start));
        faults.push(fault(at, format!("name = {:?}: {why}", name.get_ref())));
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
        name: name.into_inner(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sensebind_models::manifest::Precision;
    use sensebind_models::session::Provider;

    const GOOD: &str = r#"
name = "lab"

[pack]
path = "../packs/huge"
prompts = "/etc/sensebind/prompts.toml"

[encoder]
provider = "cuda"
threads = 2

[encoder.image]
provider = "tensorrt"
precision = "f16"
frames = "clip"

[encoder.imu]
provider = "cpu"

[record]
path = "logs/lab.mcap"
max_bytes = 1_000_000_000

[[sensor]]
name = "microphone"
driver = "audio_file"
path = "sounds/rain.wav"

[[sensor]]
name = "imu"
driver = "scene"
seed = 1
sensor = "imu"
"#;

    fn parsed(text: &str) -> Result<Board, BoardError> {
        board(Path::new("boards/lab.toml"), text)
    }

    #[test]
    fn a_board_says_what_it_says_and_paths_are_from_its_folder() {
        use sensebind_core::Sense;
        let board = parsed(GOOD).unwrap();
        assert_eq!(board.name, "lab");
        assert_eq!(board.pack.path.as_deref(), Some(Path::new("boards/../packs/huge")));
        assert_eq!(
            board.pack.prompts.as_deref(),
            Some(Path::new("/etc/sensebind/prompts.toml"))
        );
        let record = board.record.unwrap();
        assert_eq!(record.path, Path::new("boards/logs/lab.mcap"));
        assert_eq!(record.max_bytes, Some(1_000_000_000));
        let image = board.encoder.options(Sense::Image);
        assert_eq!(
            (image.provider, image.precision),
            (Provider::TensorRt, Some(Precision::F16))
        );
        assert_eq!(board.encoder.options(Sense::Audio).provider, Provider::Cuda);
        assert_eq!(board.encoder.options(Sense::Imu).provider, Provider::Cpu);
        let [microphone, imu] = &board.sensors[..] else {
            panic!("two sensors");
        };
        assert_eq!(microphone.settings["path"].as_str(), Some("boards/sounds/rain.wav"));
        assert!(!imu.settings.contains_key("name") && !imu.settings.contains_key("driver"));
        assert_eq!(imu.settings["seed"].as_integer(), Some(1));
    }

    #[test]
    fn a_board_that_says_little_runs_on_one_thread_of_the_cpu_and_records_nothing() {
        let board = parsed("name = \"a\"\n[[sensor]]\nname = \"b\"\ndriver = \"scene\"\n").unwrap();
        assert_eq!(board.encoder, EncoderTable::default());
        assert_eq!(board.encoder.threads.get(), 1);
        assert_eq!((board.pack.path, board.record), (None, None));
    }

    /// A fault, and what its message must say.
    #[test]
    fn every_fault_is_named_with_its_line() {
        let with = |from: &str, to: &str| {
            assert!(GOOD.contains(from), "{from}");
            GOOD.replacen(from, to, 1)
        };
        let cases: &[(String, &[&str])] = &[
            (
                with("name = \"lab\"", "name = \"my lab\""),
                &["lab.toml:2:", "\"my lab\"", "letters"],
            ),
            (
                with("name = \"lab\"", "nam = \"lab\""),
                &["lab.toml:2:", "`nam`", "did you mean `name`?"],
            ),
            (
                with("path = \"../", "pat = \"../"),
                &["lab.toml:5:", "did you mean `path`?"],
            ),
            (
                with("provider = \"cuda\"", "provider = \"gpu\""),
                &["lab.toml:9:", "`gpu`", "`cuda`"],
            ),
            (with("threads = 2", "threads = 0"), &["lab.toml:10:", "nonzero"]),
            (
                with("precision = \"f16\"", "precision = \"f61\""),
                &["lab.toml:14:", "`f61`", "`f16`"],
            ),
            (with("frames = \"clip\"", "frames = 2"), &["lab.toml:15:"]),
            (
                with("[encoder.imu]", "[encoder.smell]"),
                &["lab.toml:17:", "`smell`", "`imu`"],
            ),
            (with("max_bytes", "max_mb"), &["lab.toml:22:", "`max_mb`"]),
            (with("path = \"logs/lab.mcap\"", ""), &["`path`"]),
            (
                with("name = \"microphone\"", ""),
                &["lab.toml:24:", "sensor 1", "no name"],
            ),
            (
                with("\"microphone\"", "\"front/left\""),
                &["lab.toml:25:", "front/left"],
            ),
            (
                with("\"microphone\"", "\"imu\""),
                &["lab.toml:29:", "\"imu\"", "line 24"],
            ),
            (
                with("\"scene\"", "\"scenes\""),
                &["lab.toml:31:", "did you mean \"scene\"?", "audio_file"],
            ),
            (with("\"scene\"", "7"), &["lab.toml:31:", "integer"]),
            (with("driver = \"scene\"", ""), &["lab.toml:29:", "no driver"]),
            (
                "name = \"a\"\nsensor = []\n".to_owned(),
                &["[[sensor]]", "sensebind devices"],
            ),
            ("name = \"a\"\n".to_owned(), &["`sensor`"]),
            ("name = ".to_owned(), &["lab.toml:1:"]),
            (String::new(), &["`name`"]),
        ];
        for (text, words) in cases {
            let message = parsed(text).map(|_| ()).expect_err(text).to_string();
            for word in *words {
                assert!(message.contains(word), "{word:?} is not in {message:?}, of {text}");
            }
        }
    }

    #[test]
    fn what_a_driver_refuses_is_named_with_its_line_all_at_once() {
        let text = GOOD
            .replace("seed = 1", "sead = 1")
            .replace("path = \"sounds", "pahts = \"sounds");
        let message = parsed(&text).unwrap().check().unwrap_err().to_string();
        for part in [
            "lab.toml:27: sensor \"microphone\"",
            "`pahts` (did you mean `path`?)",
            "lab.toml:32: sensor \"imu\"",
            "`sead` (did you mean `seed`?)",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let wrong = GOOD.replace("seed = 1", "seed = \"one\"");
        let message = parsed(&wrong).unwrap().check().unwrap_err().to_string();
        assert!(
            message.contains("lab.toml:32:") && message.contains("`seed`"),
            "{message}"
        );
        parsed(GOOD).unwrap().check().unwrap();
    }

    /// Lines of board files, whole and broken.
    fn lines() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            prop::sample::select(GOOD.lines().map(str::to_owned).collect::<Vec<_>>()),
            "[a-z\\[\\]\"'=., `0-9ü]{0,30}",
            any::<String>(),
        ];
        prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_text_makes_it_panic(text in lines()) {
            match parsed(&text) {
                Ok(board) => drop(board.check()),
                Err(error) => prop_assert!(error.to_string().starts_with("boards/lab.toml:")),
            }
        }

        #[test]
        fn one_changed_character_makes_no_panic(at in 0..GOOD.len(), with in any::<char>()) {
            let mut text = GOOD.to_owned();
            text.replace_range(at..at + 1, &with.to_string());
            if let Ok(board) = parsed(&text) {
                drop(board.check());
            }
        }
    }
}
