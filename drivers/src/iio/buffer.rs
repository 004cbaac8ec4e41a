//! Scans from a device's buffer.

use super::channel::CHANNELS;
use super::device::Device;
use super::folder::{Folder, fault};
use super::scan::{Layout, ScanType};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use sensebind_core::{ErrorKind, SourceError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

const TIMESTAMP: &str = "in_timestamp";
/// Scans read at once.
const BATCH: usize = 256;

/// One scan: counts of the six channels, and the kernel's time stamp in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) counts: [i64; 6],
    pub(crate) stamp_ns: u64,
}

/// A running buffer; stopped on drop.
#[derive(Debug)]
pub(crate) struct Buffer {
    device: Folder,
    places: Places,
    file: File,
    node: PathBuf,
    layout: Layout,
    /// Of each channel, then of the time stamp: its place in the order of the scan.
    order: [usize; 7],
    bytes: Vec<u8>,
    given: usize,
    held: usize,
}

/// Where kernels keep a buffer's files: in one folder since 5.11, in two before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    control: &'static str,
    elements: &'static str,
}

const NEW: Places = Places {
    control: "buffer0",
    elements: "buffer0",
};
const OLD: Places = Places {
    control: "buffer",
    elements: "scan_elements",
};

/// How much a buffer holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    pub(crate) length: usize,
    /// Scans that make a reader wake.
    pub(crate) watermark: usize,
}

/// Whether `device` can capture all six channels with time stamps.
pub(crate) fn is_there(device: &Device) -> bool {
    places(&device.folder).is_some()
}

fn places(folder: &Folder) -> Option<Places> {
    [NEW, OLD].into_iter().find(|places| {
        CHANNELS
            .into_iter()
            .chain([TIMESTAMP])
            .all(|channel| folder.has(&format!("{}/{channel}_en", places.elements)))
    })
}

/// Stops what a program that died left running: nothing can be set before.
pub(crate) fn stop(device: &Device) -> Result<(), SourceError> {
    let Some(places) = places(&device.folder) else {
        return Ok(());
    };
    device.folder.set(&format!("{}/enable", places.control), "0")
}

/// Starts the buffer of a device that [has one](is_there) and is [stopped](stop).
pub(crate) fn start(device: &Device, depth: Depth) -> Result<Buffer, SourceError> {
    let folder = &device.folder;
    let places = places(folder).unwrap_or(NEW);
    for channel in elements(folder, places) {
        let wanted = channel == TIMESTAMP || CHANNELS.contains(&channel.as_str());
        folder.set(
            &format!("{}/{channel}_en", places.elements),
            if wanted { "1" } else { "0" },
        )?;
    }
    folder.set(&format!("{}/length", places.control), &depth.length.to_string())?;
    let watermark = format!("{}/watermark", places.control);
    if folder.has(&watermark) {
        folder.set(&watermark, &depth.watermark.to_string())?;
    }
    let (layout, order) = layout(folder, places)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&device.node)
        .map_err(|error| fault(&device.node, "opening it", &error))?;
    folder.set(&format!("{}/enable", places.control), "1")?;
    Ok(Buffer {
        device: folder.clone(),
        places,
        file,
        node: device.node.clone(),
        bytes: vec![0; layout.bytes * BATCH],
        layout,
        order,
        given: 0,
        held: 0,
    })
}

/// Names of the channels that a scan may have.
fn elements(folder: &Folder, places: Places) -> Vec<String> {
    fs::read_dir(folder.path().join(places.elements))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix("_en")?.to_owned()))
        .collect()
}

/// What a scan of the enabled channels looks like: some drivers enable more than they are asked to.
fn layout(folder: &Folder, places: Places) -> Result<(Layout, [usize; 7]), SourceError> {
    let attribute = |channel: &str, what: &str| folder.text(&format!("{}/{channel}_{what}", places.elements));
    let mut enabled = Vec::new();
    for channel in elements(folder, places) {
        if attribute(&channel, "en").as_deref() != Some("1") {
            continue;
        }
        let index: Option<u32> = attribute(&channel, "index").and_then(|text| text.parse().ok());
        let text = attribute(&channel, "type").unwrap_or_default();
        let (Some(index), Some(scan_type)) = (index, ScanType::parse(&text)) else {
            return Err(SourceError::new(
                ErrorKind::Misconfigured,
                format!(
                    "{}: {channel}: expected a scan type such as \"le:s16/16>>0\" and an index, found {text:?}",
                    folder.path().display()
                ),
            ));
        };
        enabled.push((index, channel, scan_type));
    }
    enabled.sort_by_key(|(index, ..)| *index);
    let mut order = [0; 7];
    for (place, channel) in order.iter_mut().zip(CHANNELS.into_iter().chain([TIMESTAMP])) {
        *place = enabled.iter().position(|(_, own, _)| own == channel).ok_or_else(|| {
            SourceError::new(
                ErrorKind::Misconfigured,
                format!(
                    "{}: its driver does not capture {channel} together with the other channels",
                    folder.path().display()
                ),
            )
        })?;
    }
    Ok((Layout::new(enabled.iter().map(|(_, _, scan_type)| *scan_type)), order))
}

impl Buffer {
    /// The next scan, of those read.
    pub(crate) fn next(&mut self) -> Option<Scan> {
        let scan = self.bytes.get(self.given..self.given + self.layout.bytes)?;
        if self.given + self.layout.bytes > self.held {
            return None;
        }
        let mut counts = [0; 6];
        let [channels @ .., stamp] = &self.order;
        for (count, place) in counts.iter_mut().zip(channels) {
            *count = self.layout.value(scan, *place);
        }
        let stamp_ns = self.layout.value(scan, *stamp);
        self.given += self.layout.bytes;
        Some(Scan {
            counts,
            stamp_ns: u64::try_from(stamp_ns).unwrap_or(0),
        })
    }

    /// The time stamp of the scan read last.
    pub(crate) fn newest_stamp_ns(&self) -> Option<u64> {
        let scan = self.bytes.get(self.held.checked_sub(self.layout.bytes)?..self.held)?;
        u64::try_from(self.layout.value(scan, self.order[6])).ok()
    }

    /// Waits up to `timeout` for as many scans as the watermark says, and reads what is there.
    pub(crate) fn fill(&mut self, timeout: Duration) -> Result<(), SourceError> {
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        (self.given, self.held) = (0, 0);
        // A signal ends the wait early, which does no harm; a device that went says so when it is read.
        let _ = poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&timeout));
        match self.file.read(&mut self.bytes) {
            Ok(bytes) => self.held = bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(fault(&self.node, "reading scans", &error)),
        }
        Ok(())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Where the device has gone there is nothing to stop.
        let _ = self.device.write(&format!("{}/enable", self.places.control), "0");
    }
}
