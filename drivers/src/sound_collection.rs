//! Folders of labelled recordings, with who made them: what packs are trained and measured on.
//!
//! Two layouts: `index.tsv` (columns fold, class, file, title, author, source, licence) beside one folder per class, or
//! a copy of ESC-50 as its authors publish it (`meta/esc50.csv`, `audio/`), of which the ten `esc10` categories are
//! used (K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015).

use std::path::{Path, PathBuf};

/// Names of ESC-50's ten `esc10` categories, and of the happenings they are in the simulated world.
const ESC10: [(&str, &str); 10] = [
    ("dog", "dog_bark"),
    ("rain", "rain"),
    ("sea_waves", "sea_waves"),
    ("crying_baby", "baby_cry"),
    ("clock_tick", "clock_tick"),
    ("sneezing", "person_sneeze"),
    ("helicopter", "helicopter"),
    ("chainsaw", "chainsaw"),
    ("rooster", "rooster"),
    ("crackling_fire", "fire_crackling"),
];

/// One recording and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// What sounds.
    pub label: String,
    /// Fold; clips of one original recording share it, so folds are kept apart when validating.
    pub fold: u32,
    /// File name.
    pub file: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Its title.
    pub title: String,
    /// Who made it.
    pub author: String,
    /// Its page.
    pub source: String,
    /// Its licence.
    pub licence: String,
}

/// A folder that cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError {
    /// Neither layout.
    #[error(
        "{path}: neither index.tsv nor meta/esc50.csv in it: give the folder of a copy of ESC-50, or one with an index.tsv"
    )]
    UnknownLayout {
        /// The folder.
        path: PathBuf,
    },
    /// The list cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The list.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line that is not as the heading promises.
    #[error("{path} line {line}: {why}")]
    Line {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected and found.
        why: String,
    },
}

/// Lists a collection by fold, label and file. Reads the list, not the recordings.
///
/// # Errors
/// [`CollectionError`].
pub fn list(folder: impl AsRef<Path>) -> Result<Vec<Recording>, CollectionError> {
    let folder = folder.as_ref();
    let (index, meta) = (folder.join("index.tsv"), folder.join("meta/esc50.csv"));
    let mut recordings = if index.is_file() {
        let columns = ["fold", "class", "file", "title", "author", "source", "licence"];
        Table::read(&index, '\t')?.rows(columns, |[fold, class, file, title, author, source, licence]| {
            let path = folder.join(class).join(file);
            Some((
                class,
                fold,
                file,
                [title, author, source, licence].map(str::to_owned),
                path,
            ))
        })?
    } else if meta.is_file() {
        let columns = ["filename", "fold", "category", "esc10", "src_file"];
        Table::read(&meta, ',')?.rows(columns, |[file, fold, category, esc10, source]| {
            let (_, label) = ESC10.iter().find(|(name, _)| esc10 == "True" && *name == category)?;
            let page = format!("freesound.org sound {source}");
            let credit = [
                file.to_owned(),
                "see the LICENSE file of ESC-50".into(),
                page,
                "CC-BY-3.0 (dataset)".into(),
            ];
            Some((*label, fold, file, credit, folder.join("audio").join(file)))
        })?
    } else {
        return Err(CollectionError::UnknownLayout { path: folder.into() });
    };
    recordings.sort_by(|a, b| (a.fold, &a.label, &a.file).cmp(&(b.fold, &b.label, &b.file)));
    Ok(recordings)
}

/// A list of recordings as text with a heading.
struct Table {
    path: PathBuf,
    text: String,
    separator: char,
}

type Row<'a> = (&'a str, &'a str, &'a str, [String; 4], PathBuf);

impl Table {
    fn read(path: &Path, separator: char) -> Result<Self, CollectionError> {
        let text = std::fs::read_to_string(path).map_err(|source| CollectionError::Read {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            path: path.into(),
            text,
            separator,
        })
    }

    fn rows<'a, const N: usize>(
        &'a self,
        columns: [&str; N],
        make: impl Fn([&'a str; N]) -> Option<Row<'a>>,
    ) -> Result<Vec<Recording>, CollectionError> {
        let wrong = |line: usize, why: String| CollectionError::Line {
            path: self.path.clone(),
            line,
            why,
        };
        let heading: Vec<&str> = self
            .text
            .lines()
            .next()
            .unwrap_or_default()
            .split(self.separator)
            .collect();
        let mut places = [0; N];
        for (place, column) in places.iter_mut().zip(columns) {
            *place = heading
                .iter()
                .position(|name| name.trim() == column)
                .ok_or_else(|| wrong(1, format!("no column {column:?}; found {}", heading.join(", "))))?;
        }
        let mut recordings = Vec::new();
        for (number, line) in self
            .text
            .lines()
            .enumerate()
            .skip(1)
            .filter(|(_, l)| !l.trim().is_empty())
        {
            let cells: Vec<&str> = line.split(self.separator).collect();
            if cells.len() < heading.len() {
                let why = format!("{} columns, expected {}", cells.len(), heading.len());
                return Err(wrong(number + 1, why));
            }
            let Some((label, fold, file, credit, path)) = make(places.map(|place| cells[place])) else {
                continue;
            };
            let fold = fold
                .parse()
                .map_err(|_| wrong(number + 1, format!("fold {fold:?}, expected a number")))?;
            if Path::new(file).components().count() != 1 || Path::new(label).components().count() != 1 {
                return Err(wrong(number + 1, format!("{label}/{file} is no plain file name")));
            }
            let [title, author, source, licence] = credit;
            recordings.push(Recording {
                label: label.into(),
                fold,
                file: file.into(),
                path,
                title,
                author,
                source,
                licence,
            });
        }
        Ok(recordings)
    }
}
