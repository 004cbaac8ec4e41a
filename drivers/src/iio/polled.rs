//! Values of a device without a buffer, asked for one by one.

use super::channel::CHANNELS;
use super::device::Device;
use super::folder::fault;
use sensebind_core::SourceError;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// Longer than any number in a `_raw` attribute.
const TEXT_BYTES: usize = 32;

/// The six `_raw` attributes, held open.
#[derive(Debug)]
pub(crate) struct Polled {
    folder: PathBuf,
    files: Vec<File>,
}

impl Polled {
    pub(crate) fn open(device: &Device) -> Result<Self, SourceError> {
        let folder = device.folder.path().to_owned();
        let files = CHANNELS
            .into_iter()
            .map(|channel| {
                let path = folder.join(format!("{channel}_raw"));
                File::open(&path).map_err(|error| fault(&path, "opening it", &error))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { folder, files })
    }

    /// Counts of the six channels, each taken when it is read: within some milliseconds on a slow bus.
    pub(crate) fn counts(&self) -> Result<[i64; 6], SourceError> {
        let mut counts = [0; 6];
        for ((count, file), channel) in counts.iter_mut().zip(&self.files).zip(CHANNELS) {
            *count = number(file)
                .map_err(|error| fault(&self.folder.join(format!("{channel}_raw")), "reading it", &error))?;
        }
        Ok(counts)
    }
}

fn number(file: &File) -> io::Result<i64> {
    let mut text = [0; TEXT_BYTES];
    // From the start: sysfs then asks the driver anew.
    let length = file.read_at(&mut text, 0)?;
    let text = text.get(..length).unwrap_or_default();
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("expected a whole number, found {:?}", String::from_utf8_lossy(text)),
            )
        })
}
