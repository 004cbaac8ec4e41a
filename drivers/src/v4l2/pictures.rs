//! Whole pictures in the order and at the time they were captured, whatever the device does to its buffers.

use super::buffers::Buffers;
use super::device::Camera;
use super::negotiate::Agreed;
use sensebind_core::{Clock, ErrorKind, SourceError, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How the bytes of a picture lie in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As many rows, all planes together, of as many bytes.
    Rows { rows: usize, row_bytes: usize },
    /// A JPEG file, of any length.
    Jpeg,
}

/// A picture, without what the device put between its rows.
pub(crate) struct Picture<'a> {
    pub(crate) seq: u64,
    pub(crate) captured: Timestamp,
    pub(crate) data: &'a [u8],
}

/// Pictures from a device. Damaged and cut-off ones are left out; they show as gaps in `seq`, like those that the kernel
/// had no buffer for.
pub(crate) struct Pictures {
    buffers: Buffers,
    layout: Layout,
    stride: usize,
    /// The rows of a device that pads them, without the padding; empty for one that does not.
    packed: Vec<u8>,
    sequence: Sequence,
    latency: Duration,
    last: Timestamp,
    clock: Arc<dyn Clock>,
}

impl Pictures {
    /// Lets `camera` stream what was agreed with it. Capture times are its stamps less `latency`.
    pub(crate) fn start(
        camera: Camera,
        agreed: &Agreed,
        layout: Layout,
        latency: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let (stride, packed) = match layout {
            Layout::Jpeg => (0, Vec::new()),
            Layout::Rows { row_bytes, .. } if [0, row_bytes].contains(&agreed.stride) => (row_bytes, Vec::new()),
            Layout::Rows { rows, row_bytes } if agreed.stride > row_bytes => (agreed.stride, vec![0; rows * row_bytes]),
            Layout::Rows { row_bytes, .. } => {
                let message = format!(
                    "{}: rows of {} bytes, expected {row_bytes} for {} pixels of {}: a fault of its driver; try another \
                     pixel format or size",
                    camera.at, agreed.stride, agreed.width, agreed.format
                );
                return Err(SourceError::new(ErrorKind::Misconfigured, message));
            }
        };
        Ok(Self {
            buffers: Buffers::start(camera)?,
            layout,
            stride,
            packed,
            sequence: Sequence::default(),
            latency,
            last: Timestamp::ZERO,
            clock: Arc::clone(clock),
        })
    }

    /// The next picture; nothing when none came within `timeout`, or one that is no use.
    pub(crate) fn next(&mut self, timeout: Duration) -> Result<Option<Picture<'_>>, SourceError> {
        let Some(shot) = self.buffers.next(timeout)? else {
            return Ok(None);
        };
        let seq = self.sequence.count(shot.sequence);
        if shot.damaged {
            return Ok(None);
        }
        let Some(data) = whole(self.layout, self.stride, shot.data, &mut self.packed) else {
            return Ok(None);
        };
        // Stamps that the kernel computes, from a USB device's clock or a nominal rate, may lie ahead or go back a little.
        let now = self.clock.now();
        let stamp = shot.stamp.map_or(now, |stamp| stamp.min(now));
        self.last = self.last.max(stamp.before(self.latency));
        Ok(Some(Picture {
            seq,
            captured: self.last,
            data,
        }))
    }
}

/// How long before its stamp a picture was captured, as `latency_ms` of `driver` says.
///
/// # Errors
/// [`ErrorKind::Misconfigured`] for less than nothing or more than a second.
pub(crate) fn latency(driver: &str, latency_ms: Option<f32>) -> Result<Duration, SourceError> {
    match latency_ms.unwrap_or(0.0) {
        ms if (0.0..=1000.0).contains(&ms) => Ok(Duration::from_secs_f64(f64::from(ms) / 1000.0)),
        ms => {
            let message = format!("driver {driver}: latency_ms {ms}: expected milliseconds from 0 to 1000");
            Err(SourceError::new(ErrorKind::Misconfigured, message))
        }
    }
}

/// The picture in `buffer`, its rows moved together in `packed` where the device pads them; nothing if it is not all there.
fn whole<'a>(layout: Layout, stride: usize, buffer: &'a [u8], packed: &'a mut [u8]) -> Option<&'a [u8]> {
    match layout {
        Layout::Jpeg => buffer.starts_with(&[0xff, 0xd8]).then_some(buffer),
        Layout::Rows { rows, row_bytes } if stride == row_bytes => buffer.get(..rows * row_bytes),
        Layout::Rows { rows, row_bytes } => {
            // The last row may end without its padding.
            let buffer = buffer.get(..stride * rows.checked_sub(1)? + row_bytes)?;
            for (row, packed) in buffer.chunks(stride).zip(packed.chunks_exact_mut(row_bytes)) {
                packed.copy_from_slice(&row[..row_bytes]);
            }
            Some(packed)
        }
    }
}

/// Counts pictures by the device's own count, which is 32 bits wide, need not start at 0, and which some leave at 0.
#[derive(Debug, Default)]
struct Sequence {
    last: Option<(u32, u64)>,
}

impl Sequence {
    fn count(&mut self, sequence: u32) -> u64 {
        let seq = match self.last {
            None => 0,
            Some((last, seq)) => match sequence.wrapping_sub(last) {
                // Stands still or went back.
                0 | 0x8000_0000.. => seq + 1,
                step => seq + u64::from(step),
            },
        };
        self.last = Some((sequence, seq));
        seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_show_and_counters_wrap() {
        let counted = |counts: &[u32]| {
            let mut sequence = Sequence::default();
            counts.iter().map(|&count| sequence.count(count)).collect::<Vec<_>>()
        };
        assert_eq!(counted(&[0, 1, 2, 5, 6]), [0, 1, 2, 5, 6]);
        assert_eq!(counted(&[7, 8, 10]), [0, 1, 3]);
        assert_eq!(counted(&[u32::MAX - 1, u32::MAX, 0, 2]), [0, 1, 2, 4]);
        assert_eq!(counted(&[0, 0, 0]), [0, 1, 2]);
        assert_eq!(counted(&[9, 0, 1]), [0, 1, 2]);
    }

    #[test]
    fn padding_goes_and_cut_off_pictures_go_too() {
        let layout = Layout::Rows { rows: 2, row_bytes: 3 };
        let mut packed = vec![0; 6];
        let padded = [1, 2, 3, 0, 4, 5, 6];
        assert_eq!(whole(layout, 4, &padded, &mut packed), Some(&[1, 2, 3, 4, 5, 6][..]));
        assert_eq!(whole(layout, 4, &padded[..6], &mut packed), None);
        let tight = [1, 2, 3, 4, 5, 6, 99];
        assert_eq!(whole(layout, 3, &tight, &mut []), Some(&tight[..6]));
        assert_eq!(whole(layout, 3, &tight[..5], &mut []), None);
        let jpeg = [0xff, 0xd8, 0xff, 0xe0];
        assert_eq!(whole(Layout::Jpeg, 0, &jpeg, &mut []), Some(&jpeg[..]));
        assert_eq!(whole(Layout::Jpeg, 0, &[], &mut []), None);
        assert_eq!(whole(Layout::Jpeg, 0, &[0xff], &mut []), None);
    }

    #[test]
    fn latency_is_milliseconds() {
        assert_eq!(latency("v4l2_camera", None).unwrap(), Duration::ZERO);
        assert_eq!(
            latency("v4l2_camera", Some(33.5)).unwrap(),
            Duration::from_micros(33_500)
        );
        for bad in [-1.0, 1001.0, f32::NAN] {
            assert_eq!(
                latency("v4l2_camera", Some(bad)).unwrap_err().kind,
                ErrorKind::Misconfigured
            );
        }
    }
}
