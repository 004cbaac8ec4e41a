//! Pictures from a folder, or a single one.
//!
//! Pictures come in order of their names, one per second, as they are: nothing is decoded here.

use crate::paced::Paced;
use crate::settings;
use schemars::{JsonSchema, Schema};
use sensebind_core::{
    Clock, Driver, ErrorKind, Format, Found, Frame, PixelLayout, Reading, Sense, Settings, Source, SourceError,
    StreamId, Timestamp,
};
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Pictures per second.
const RATE_HZ: u64 = 1;
/// Files beyond this are not taken for pictures, bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// What a board says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FolderSettings {
    /// A folder with JPEG or PNG files (one kind; others are passed over), or one such file. Played once, in real time.
    path: PathBuf,
}

/// The driver.
#[derive(Debug)]
pub struct PictureFolder;

impl Driver for PictureFolder {
    fn name(&self) -> &'static str {
        "picture_folder"
    }

    fn about(&self) -> &'static str {
        "JPEG or PNG files of a folder, one per second in order of their names"
    }

    /// Nothing: files are named, not looked for.
    fn find(&self) -> Vec<Found> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        settings::schema::<FolderSettings>()
    }

    fn check(&self, settings: &Settings) -> Result<(), SourceError> {
        settings::parse::<FolderSettings>(self.name(), settings).map(drop)
    }

    fn sense(&self, _settings: &Settings) -> Result<Sense, SourceError> {
        Ok(Sense::Image)
    }

    fn open(
        &self,
        stream: &StreamId,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Box<dyn Source>, SourceError> {
        let FolderSettings { path } = settings::parse(self.name(), settings)?;
        Ok(Box::new(Paced::new(open(&path)?, stream, clock)))
    }
}

/// The folder or file at `path` as a finite stream: times from 0, named after it, never waiting.
///
/// # Errors
/// [`ErrorKind::Misconfigured`] when it cannot be read or holds no pictures of one kind.
pub fn open(path: impl AsRef<Path>) -> Result<Box<dyn Source>, SourceError> {
    Ok(Box::new(PictureSource::open(path.as_ref())?))
}

/// The pictures yet to come.
#[derive(Debug)]
struct PictureSource {
    stream: StreamId,
    format: Format,
    pictures: Vec<PathBuf>,
    /// Pictures delivered.
    seq: u64,
    bytes: Vec<u8>,
}

impl PictureSource {
    fn open(path: &Path) -> Result<Self, SourceError> {
        let misconfigured =
            |why: String| SourceError::new(ErrorKind::Misconfigured, format!("{}: {why}", path.display()));
        let files = if path.is_dir() {
            list(path).map_err(|e| misconfigured(e.to_string()))?
        } else {
            vec![path.to_owned()]
        };
        let mut pictures = Vec::new();
        for file in files {
            let layout = layout(&file).map_err(|e| misconfigured(format!("{}: {e}", file.display())))?;
            pictures.extend(layout.map(|layout| (file, layout)));
        }
        let Some(&(_, layout)) = pictures.first() else {
            return Err(misconfigured(
                "no JPEG or PNG picture: give a folder that holds some, or one file".to_owned(),
            ));
        };
        if let Some((other, found)) = pictures.iter().find(|(_, l)| *l != layout) {
            return Err(misconfigured(format!(
                "expected only {layout:?} as the first picture is, found {found:?} in {}: use one folder per kind",
                other.display()
            )));
        }
        let name = path.file_stem().unwrap_or(path.as_os_str());
        Ok(Self {
            stream: StreamId::new(name.to_string_lossy()),
            format: Format::Image {
                width: 0,
                height: 0,
                layout,
                rate_hz: RATE_HZ as f32,
            },
            pictures: pictures.into_iter().map(|(file, _)| file).collect(),
            seq: 0,
            bytes: Vec::new(),
        })
    }
}

impl Source for PictureSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, _timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let next = usize::try_from(self.seq).ok().and_then(|seq| self.pictures.get(seq));
        let Some(path) = next else {
            return Err(SourceError::ended());
        };
        self.bytes.clear();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut self.bytes))
            .map_err(|e| SourceError::new(ErrorKind::Gone, format!("{}: {e}", path.display())))?;
        let seq = self.seq;
        self.seq += 1;
        let captured = Timestamp::from_nanos(seq * 1_000_000_000 / RATE_HZ);
        Ok(Reading::Frame(Frame {
            seq,
            captured,
            calibrating: false,
            data: &self.bytes,
        }))
    }
}

/// The plain files of a folder, by name.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

/// What a file is by its first bytes, whatever its name says; `None` when it is no picture or too long.
fn layout(path: &Path) -> io::Result<Option<PixelLayout>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > MAX_FILE_BYTES {
        return Ok(None);
    }
    let mut head = Vec::new();
    file.take(8).read_to_end(&mut head)?;
    Ok(if head.starts_with(&[0xff, 0xd8, 0xff]) {
        Some(PixelLayout::Jpeg)
    } else if head == b"\x89PNG\r\n\x1a\n" {
        Some(PixelLayout::Png)
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 1];
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n2";

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    #[test]
    fn in_order_of_names_by_content_others_passed_over() {
        let last = [JPEG, &[9]].concat();
        let folder = folder(&[("b.png", &last), ("a.jpg", JPEG), ("notes.txt", b"x")]);
        let mut source = PictureSource::open(folder.path()).unwrap();
        let layout = PixelLayout::Jpeg;
        assert!(matches!(*source.format(), Format::Image { layout: l, .. } if l == layout));
        for (second, expected) in [JPEG, &last].into_iter().enumerate() {
            let Reading::Frame(frame) = source.read(Duration::ZERO).unwrap() else {
                panic!("no frame")
            };
            assert_eq!(frame.data, expected);
            assert_eq!(frame.captured.as_secs_f64(), second as f64);
        }
        let end = source.read(Duration::ZERO).unwrap_err();
        assert_eq!(end.kind, ErrorKind::Ended);
    }

    #[test]
    fn says_what_is_wrong_with_a_folder() {
        let mixed = folder(&[("a.jpg", JPEG), ("b.png", PNG)]);
        let empty = folder(&[("a.jpg", b"")]);
        for (folder, says) in [(mixed, "b.png"), (empty, "no JPEG or PNG")] {
            let error = PictureSource::open(folder.path()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Misconfigured);
            assert!(error.message.contains(says), "{error}");
        }
    }
}
