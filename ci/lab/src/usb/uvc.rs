//! A UVC camera with a bulk endpoint: YUYV, Y16, Z16 and MJPG as the kernel's `uvcvideo` takes them.
//!
//! Layouts: USB Device Class Definition for Video Devices 1.0 and its payload documents for uncompressed video and
//! Motion-JPEG; the depth format's GUID is the one `uvcvideo` knows as `UVC_GUID_FORMAT_Z16`.

use std::fmt;
use std::time::Duration;

use super::device::{Device, Identity, Setup, Stall};

const CLASS_INTERFACE: u8 = 0x24;
const BULK_IN: u8 = 0x81;
/// A bulk packet at high speed.
const PACKET: u16 = 512;
/// Header length and flags, nothing else: no presentation time and no source clock.
const PAYLOAD_HEADER: usize = 2;
/// The control of the streaming interface that is probed, and the one that starts the stream (UVC 1.0, table 4-46).
const PROBE: u16 = 1;
const COMMIT: u16 = 2;
/// Length of UVC 1.0's probe and commit controls.
const PROBE_LENGTH: usize = 26;

/// How pixels are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    /// 4:2:2, two bytes per pixel.
    Yuyv,
    /// 16-bit grey, little-endian: thermal cameras.
    Y16,
    /// 16-bit depth, little-endian.
    Z16,
    /// A JPEG per frame, of any length up to `width * height * 2` bytes.
    Mjpg,
}

impl Pixels {
    /// The GUID of an uncompressed format: the FourCC before a fixed tail.
    fn guid(self) -> Option<[u8; 16]> {
        let four = match self {
            Self::Yuyv => *b"YUY2",
            Self::Y16 => *b"Y16 ",
            Self::Z16 => *b"Z16 ",
            Self::Mjpg => return None,
        };
        let mut guid = [0, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
        guid[..4].copy_from_slice(&four);
        Some(guid)
    }
}

/// One size in one coding, with the rates it comes at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// How pixels are coded.
    pub pixels: Pixels,
    /// Pixels per line.
    pub width: u16,
    /// Lines.
    pub height: u16,
    /// Frames per second, the one taken by default first.
    pub rates_hz: Vec<u32>,
}

impl Mode {
    /// A mode with a single rate.
    #[must_use]
    pub fn new(pixels: Pixels, width: u16, height: u16, rate_hz: u32) -> Self {
        Self {
            pixels,
            width,
            height,
            rates_hz: vec![rate_hz],
        }
    }

    /// Bytes of a frame; the most a JPEG may have.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.width) * usize::from(self.height) * 2
    }

    /// Frame intervals in UVC's unit of 100 ns.
    fn intervals(&self) -> impl Iterator<Item = u32> + '_ {
        self.rates_hz.iter().map(|rate_hz| 10_000_000 / (*rate_hz).max(1))
    }
}

/// Writes frame `number` (from 0, over the camera's life) into an empty buffer, as the mode codes it. Left empty, no
/// frame comes in this period: that is how a camera stalls.
pub type Render = Box<dyn FnMut(&Mode, u64, &mut Vec<u8>) + Send>;

/// The camera. It stays itself over being pulled and plugged in again.
pub struct Camera {
    modes: Vec<Mode>,
    render: Render,
    serial: String,
    /// Into `modes`.
    chosen: usize,
    /// In 100 ns.
    interval: u32,
    streaming: bool,
    number: u64,
    /// Flips with every frame, so that the host sees where one begins.
    frame_id: u8,
}

impl fmt::Debug for Camera {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Camera")
            .field("modes", &self.modes)
            .field("serial", &self.serial)
            .field("chosen", &self.chosen)
            .field("streaming", &self.streaming)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Camera {
    /// A camera that offers `modes` (the codings in the order they first come in) and has its frames from `render`.
    /// `serial` is what it is known by when it comes back.
    #[must_use]
    pub fn new(
        serial: impl Into<String>,
        modes: Vec<Mode>,
        render: impl FnMut(&Mode, u64, &mut Vec<u8>) + Send + 'static,
    ) -> Self {
        let interval = modes.first().and_then(|mode| mode.intervals().next()).unwrap_or(0);
        Self {
            modes,
            render: Box::new(render),
            serial: serial.into(),
            chosen: 0,
            interval,
            streaming: false,
            number: 0,
            frame_id: 0,
        }
    }

    /// The codings in the order of their format index, each with the places of its modes.
    fn formats(&self) -> Vec<(Pixels, Vec<usize>)> {
        let mut formats: Vec<(Pixels, Vec<usize>)> = Vec::new();
        for (place, mode) in self.modes.iter().enumerate() {
            match formats.iter_mut().find(|(pixels, _)| *pixels == mode.pixels) {
                Some((_, places)) => places.push(place),
                None => formats.push((mode.pixels, vec![place])),
            }
        }
        formats
    }

    /// Format and frame descriptors (uncompressed payload 1.0 tables 3-1 and 3-2, Motion-JPEG payload 1.0 the same).
    fn format_descriptors(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (format, (pixels, places)) in (1u8..).zip(self.formats()) {
            let frames = places.len().to_le_bytes()[0];
            let frame_kind = match pixels.guid() {
                Some(guid) => {
                    bytes.extend([27, CLASS_INTERFACE, 4, format, frames]);
                    bytes.extend(guid);
                    bytes.extend([16, 1, 0, 0, 0, 0]);
                    5
                }
                None => {
                    bytes.extend([11, CLASS_INTERFACE, 6, format, frames, 0, 1, 0, 0, 0, 0]);
                    7
                }
            };
            for (frame, mode) in (1u8..).zip(places.iter().map(|place| &self.modes[*place])) {
                let intervals: Vec<u32> = mode.intervals().collect();
                let count = intervals.len().to_le_bytes()[0];
                let size = word(mode.frame_bytes());
                let rate = mode.rates_hz.iter().copied().max().unwrap_or(1);
                let bits_per_second = size.saturating_mul(8).saturating_mul(rate);
                bytes.extend([26 + 4 * count, CLASS_INTERFACE, frame_kind, frame, 0]);
                bytes.extend(mode.width.to_le_bytes());
                bytes.extend(mode.height.to_le_bytes());
                bytes.extend(bits_per_second.to_le_bytes());
                bytes.extend(bits_per_second.to_le_bytes());
                bytes.extend(size.to_le_bytes());
                bytes.extend(intervals.first().copied().unwrap_or(0).to_le_bytes());
                bytes.push(count);
                bytes.extend(intervals.iter().flat_map(|interval| interval.to_le_bytes()));
            }
        }
        bytes
    }

    /// The probe control (UVC 1.0, table 4-47) with what is settled so far.
    fn probe(&self) -> Vec<u8> {
        let (mut format, mut frame) = (1, 1);
        for (index, (_, places)) in (1u8..).zip(self.formats()) {
            if let Some((at, _)) = (1u8..).zip(places).find(|(_, place)| *place == self.chosen) {
                (format, frame) = (index, at);
            }
        }
        let bytes = self.modes.get(self.chosen).map_or(0, Mode::frame_bytes);
        let mut probe = vec![1, 0, format, frame];
        probe.extend(self.interval.to_le_bytes());
        probe.extend([0; 10]);
        probe.extend(word(bytes).to_le_bytes());
        probe.extend(word(bytes + PAYLOAD_HEADER).to_le_bytes());
        probe
    }

    /// Takes the format, frame and interval that a probe or commit names; the nearest interval that there is.
    fn choose(&mut self, probe: &[u8]) {
        let &[_, _, format, frame, a, b, c, d, ..] = probe else {
            return;
        };
        let formats = self.formats();
        let places = usize::from(format).checked_sub(1).and_then(|at| formats.get(at));
        let place = places.and_then(|(_, places)| places.get(usize::from(frame).checked_sub(1)?));
        if let Some(place) = place {
            self.chosen = *place;
        }
        let wanted = u32::from_le_bytes([a, b, c, d]);
        let nearest = self
            .modes
            .get(self.chosen)
            .and_then(|mode| mode.intervals().min_by_key(|interval| interval.abs_diff(wanted)));
        self.interval = nearest.unwrap_or(self.interval);
    }
}

/// Sizes of these small pictures, as UVC writes them.
fn word(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Device for Camera {
    fn identity(&self) -> Identity {
        Identity {
            vendor: 0x1e4e,
            product: 0x0100,
            class: [0xef, 2, 1],
            manufacturer: "Sensebind".to_owned(),
            product_name: "Emulated UVC camera".to_owned(),
            serial: self.serial.clone(),
        }
    }

    fn interface_count(&self) -> u8 {
        2
    }

    fn interfaces(&self) -> Vec<u8> {
        let association = [8, 11, 0, 2, 14, 3, 0, 0];
        let control = [9, 4, 0, 0, 0, 14, 1, 0, 0];
        // A camera terminal without controls, wired to the USB terminal; 6 MHz as the clock nothing here uses.
        let input = [17, CLASS_INTERFACE, 2, 1, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0];
        let output = [9, CLASS_INTERFACE, 3, 2, 0x01, 0x01, 0, 1, 0];
        let total = (13 + input.len() + output.len()).to_le_bytes()[0];
        let header = [13, CLASS_INTERFACE, 1, 0x00, 0x01, total, 0, 0x80, 0x8d, 0x5b, 0, 1, 1];
        let streaming = [9, 4, 1, 0, 1, 14, 2, 0, 0];

        let formats = self.format_descriptors();
        let count = self.formats().len().to_le_bytes()[0];
        let mut input_header = vec![13 + count, CLASS_INTERFACE, 1, count];
        let all = u16::try_from(13 + usize::from(count) + formats.len()).unwrap_or(u16::MAX);
        input_header.extend(all.to_le_bytes());
        input_header.extend([BULK_IN, 0, 2, 0, 0, 0, 1]);
        input_header.resize(usize::from(13 + count), 0);

        let mut endpoint = vec![7, 5, BULK_IN, 2];
        endpoint.extend(PACKET.to_le_bytes());
        endpoint.push(0);
        [
            &association[..],
            &control,
            &header,
            &input,
            &output,
            &streaming,
            &input_header,
            &formats,
            &endpoint,
        ]
        .concat()
    }

    fn kernel_modules(&self) -> &'static [&'static str] {
        &["uvcvideo"]
    }

    fn read(&mut self, setup: Setup) -> Result<Vec<u8>, Stall> {
        const GET_LEN: u8 = 0x85;
        const GET_INFO: u8 = 0x86;
        const REQUEST_ERROR_CODE: u16 = 2;
        let selector = setup.value >> 8;
        match (setup.index & 0xff, selector, setup.request) {
            (1, PROBE | COMMIT, GET_LEN) => Ok(PROBE_LENGTH.to_le_bytes()[..2].to_vec()),
            (1, PROBE | COMMIT, GET_INFO) => Ok(vec![3]),
            (1, PROBE | COMMIT, _) => Ok(self.probe()),
            (0, REQUEST_ERROR_CODE, _) => Ok(vec![0]),
            _ => Err(Stall),
        }
    }

    fn write(&mut self, setup: Setup, data: &[u8]) -> Result<(), Stall> {
        let selector = setup.value >> 8;
        if setup.index & 0xff != 1 || !matches!(selector, PROBE | COMMIT) {
            return Err(Stall);
        }
        self.choose(data);
        self.streaming |= selector == COMMIT;
        Ok(())
    }

    fn halt_cleared(&mut self) {
        self.streaming = false;
    }

    fn stream_period(&self) -> Option<Duration> {
        self.streaming
            .then(|| Duration::from_nanos(u64::from(self.interval) * 100))
    }

    fn payload_limit(&self) -> usize {
        self.modes.get(self.chosen).map_or(0, Mode::frame_bytes) + PAYLOAD_HEADER
    }

    fn payload(&mut self, into: &mut Vec<u8>) {
        const END_OF_HEADER: u8 = 0x80;
        const END_OF_FRAME: u8 = 0x02;
        let Some(mode) = self.modes.get(self.chosen) else {
            return;
        };
        let mut frame = Vec::with_capacity(mode.frame_bytes());
        (self.render)(mode, self.number, &mut frame);
        self.number += 1;
        if frame.is_empty() {
            return;
        }
        frame.truncate(mode.frame_bytes());
        self.frame_id ^= 1;
        into.extend([2, END_OF_HEADER | END_OF_FRAME | self.frame_id]);
        into.extend(frame);
    }
}
