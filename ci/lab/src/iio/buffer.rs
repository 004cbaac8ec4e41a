//! The buffer of an IIO device: which channels it takes, and the scans that wait in it.

use std::collections::VecDeque;

use nix::errno::Errno;
use nix::time::ClockId;

use super::spec::ScanType;

/// Clocks by the names that `current_timestamp_clock` knows.
pub(crate) const CLOCKS: [(&str, ClockId); 3] = [
    ("realtime", ClockId::CLOCK_REALTIME),
    ("monotonic", ClockId::CLOCK_MONOTONIC),
    ("boottime", ClockId::CLOCK_BOOTTIME),
];

#[derive(Debug)]
pub(crate) struct Buffer {
    /// With the time stamp as the last.
    pub(crate) channels: Vec<(String, ScanType)>,
    pub(crate) enabled_channels: Vec<bool>,
    pub(crate) enabled: bool,
    /// Scans that fit.
    pub(crate) length: usize,
    /// Scans that a reader waits for.
    pub(crate) watermark: usize,
    pub(crate) scans: VecDeque<Vec<u8>>,
    pub(crate) taken: u64,
    pub(crate) lost: u64,
}

impl Buffer {
    pub(crate) fn new(mut channels: Vec<(String, ScanType)>) -> Self {
        channels.push(("in_timestamp".to_owned(), ScanType::signed(64, 64, 0)));
        Self {
            enabled_channels: vec![false; channels.len()],
            channels,
            enabled: false,
            length: 2,
            watermark: 1,
            scans: VecDeque::new(),
            taken: 0,
            lost: 0,
        }
    }

    pub(crate) fn enable(&mut self, enabled: bool) -> Result<(), Errno> {
        if enabled && !self.enabled {
            if !self.enabled_channels.contains(&true) {
                return Err(Errno::EINVAL);
            }
            self.scans.clear();
            (self.taken, self.lost) = (0, 0);
        }
        self.enabled = enabled;
        Ok(())
    }

    /// What may not change while the buffer runs.
    pub(crate) fn idle(&self) -> Result<(), Errno> {
        if self.enabled { Err(Errno::EBUSY) } else { Ok(()) }
    }

    /// One scan of the enabled channels: each value at a multiple of its own size, the whole a multiple of the largest.
    pub(crate) fn push(&mut self, values: &[i64], stamp_ns: i64) {
        self.taken += 1;
        if self.scans.len() >= self.length {
            self.lost += 1;
            return;
        }
        let mut scan = Vec::new();
        let mut largest = 1;
        let values = values.iter().copied().chain([stamp_ns]);
        for (((_, scan_type), enabled), value) in self.channels.iter().zip(&self.enabled_channels).zip(values) {
            if *enabled {
                let bytes = scan_type.bytes();
                largest = largest.max(bytes);
                scan.resize(scan.len().next_multiple_of(bytes), 0xa5);
                scan_type.put(value, &mut scan);
            }
        }
        scan.resize(scan.len().next_multiple_of(largest), 0xa5);
        self.scans.push_back(scan);
    }

    /// Whole scans, as many as fit into `size` bytes; `EAGAIN` while fewer wait than the watermark asks for.
    pub(crate) fn take(&mut self, size: usize, nonblocking: bool) -> Result<Vec<u8>, Errno> {
        let Some(scan_bytes) = self.scans.front().map(Vec::len) else {
            return Err(Errno::EAGAIN);
        };
        let fits = size / scan_bytes;
        if fits == 0 {
            return Err(Errno::EINVAL);
        }
        if !nonblocking && self.enabled && self.scans.len() < self.watermark.min(fits) {
            return Err(Errno::EAGAIN);
        }
        let count = fits.min(self.scans.len());
        Ok(self.scans.drain(..count).flatten().collect())
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.scans.len() >= self.watermark
    }
}
