//! The video side: packets of 164 bytes, in order, as long as the reader keeps up.

use std::time::Duration;

use super::{Camera, Lepton};
use crate::bus::SpiChip;

const PACKET: usize = 164;
const LINE: usize = 80;
/// 27 frames a second, of which every third is new.
const FRAME_NS: u64 = 1_000_000_000 / 27;
const REPEATS: u64 = 3;
/// A reader that leaves the camera deselected for this long finds the stream at its start again.
const RESYNC: Duration = Duration::from_millis(185);

/// Where the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The reader was late: what it reads is shifted until it resynchronises.
    Lost,
    /// At a packet of a segment, segments counted since boot.
    At { segment: u64, packet: usize },
}

/// The camera on SPI.
#[derive(Debug)]
pub struct LeptonVideo {
    lepton: Lepton,
    place: Place,
    last_read: Option<Duration>,
    /// The unique frame rendered below, counted since boot.
    frame: Option<u64>,
    counts: Vec<u16>,
    telemetry: [u16; 4 * LINE],
    /// What was left of a packet that the reader cut short.
    rest: Vec<u8>,
    sent: u64,
}

impl LeptonVideo {
    pub(super) fn new(lepton: Lepton) -> Self {
        Self {
            lepton,
            place: Place::Lost,
            last_read: None,
            frame: None,
            counts: Vec::new(),
            telemetry: [0; 4 * LINE],
            rest: Vec::new(),
            sent: 0,
        }
    }

    /// The next packet of the stream at a time.
    fn packet(&mut self, camera: &mut Camera, now: Duration) -> [u8; PACKET] {
        self.sent += 1;
        let period = FRAME_NS / camera.part.segments() as u64;
        let newest = now.as_nanos() as u64 / period;
        let mut packet = match self.place {
            Place::Lost => {
                let mut packet = self.line(camera, newest, 3);
                packet.rotate_left(50);
                packet
            }
            Place::At { segment, .. } if segment + camera.late_segments < newest => {
                self.place = Place::Lost;
                self.line(camera, newest, 7)
            }
            Place::At { segment, .. } if segment > newest => discard(),
            Place::At { segment, packet } => {
                let bytes = self.line(camera, segment, packet);
                self.place = if packet + 1 < packets_in_segment(camera) {
                    Place::At {
                        segment,
                        packet: packet + 1,
                    }
                } else {
                    Place::At {
                        segment: segment + 1,
                        packet: 0,
                    }
                };
                bytes
            }
        };
        if camera.corrupt > 0 {
            camera.corrupt -= 1;
            packet[4 + (self.sent % 160) as usize] ^= 1 << (self.sent % 8);
        }
        packet
    }

    /// A packet of a segment.
    fn line(&mut self, camera: &mut Camera, segment: u64, packet: usize) -> [u8; PACKET] {
        let segments = camera.part.segments() as u64;
        let frame = segment / segments;
        self.render(camera, frame / REPEATS);
        let in_frame = (segment % segments) as usize * packets_in_segment(camera) + packet;
        let lines = self.counts.len() / LINE;
        let telemetry_lines = if camera.telemetry { telemetry_lines(camera) } else { 0 };
        let words = match (camera.footer, in_frame) {
            (true, line) if line >= lines => &self.telemetry[(line - lines) * LINE..][..LINE],
            (false, line) if line < telemetry_lines => &self.telemetry[line * LINE..][..LINE],
            (true, line) => &self.counts[line * LINE..][..LINE],
            (false, line) => &self.counts[(line - telemetry_lines) * LINE..][..LINE],
        };
        let mut bytes = [0; PACKET];
        bytes[..2].copy_from_slice(&(packet as u16).to_be_bytes());
        for (pair, word) in bytes[4..].as_chunks_mut::<2>().0.iter_mut().zip(words) {
            *pair = word.to_be_bytes();
        }
        let crc = crc(&bytes);
        bytes[2..4].copy_from_slice(&crc.to_be_bytes());
        if segments > 1 && packet == 20 && frame.is_multiple_of(REPEATS) {
            bytes[0] |= ((segment % segments + 1) as u8) << 4;
        }
        bytes
    }

    /// Takes the picture of a unique frame, unless the shutter is closed: then the one before stays.
    fn render(&mut self, camera: &mut Camera, unique: u64) {
        if self.frame == Some(unique) {
            return;
        }
        self.frame = Some(unique);
        let time = Duration::from_nanos(unique * REPEATS * FRAME_NS);
        let ffc = camera.ffc_state(time);
        if ffc != 2 || self.counts.is_empty() {
            let (width, height) = camera.part.size();
            self.counts = (0..width * height)
                .map(|pixel| count(camera, camera.scene.kelvin(time, pixel % width, pixel / width)))
                .collect();
        }
        self.telemetry = [0; 4 * LINE];
        let mut long = |at: usize, value: u64| {
            self.telemetry[at] = value as u16;
            self.telemetry[at + 1] = (value >> 16) as u16;
        };
        long(1, time.as_millis() as u64);
        let desired = u64::from(ffc == 1) << 3;
        long(3, desired | u64::from(ffc) << 4 | u64::from(camera.agc) << 12);
        long(20, unique);
        long(30, camera.ffc_begun.unwrap_or_default().as_millis() as u64);
        self.telemetry[0] = 0x000E;
        // Focal plane array and housing, in 0.01 K.
        self.telemetry[24] = 30_515;
        self.telemetry[26] = 30_215;
        self.telemetry[29] = 30_515;
        self.telemetry[208] = camera.tlinear.into();
        self.telemetry[209] = camera.centikelvin.into();
    }
}

fn packets_in_segment(camera: &Camera) -> usize {
    let telemetry = if camera.telemetry { telemetry_lines(camera) } else { 0 };
    60 + telemetry / camera.part.segments()
}

/// Three lines of 80 words for an 80x60 camera; two rows of 160 for the larger.
fn telemetry_lines(camera: &Camera) -> usize {
    match camera.part.segments() {
        1 => 3,
        _ => 4,
    }
}

/// What a pixel counts: TLinear, 14 bits around half scale, or 8 bits under automatic gain.
fn count(camera: &Camera, kelvin: f64) -> u16 {
    if camera.agc {
        (kelvin - 200.0).clamp(0.0, 255.0) as u16
    } else if camera.tlinear {
        let per_kelvin = if camera.centikelvin { 100.0 } else { 10.0 };
        (kelvin * per_kelvin).round() as u16
    } else {
        (8192.0 + (kelvin - 300.0) * 30.0).round().clamp(0.0, 16383.0) as u16
    }
}

fn discard() -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[..4].copy_from_slice(&[0x0F, 0xFF, 0xFF, 0xFF]);
    packet
}

/// The sheet's checksum, bit by bit, over a packet whose T bits and CRC field are still zero.
fn crc(bytes: &[u8; PACKET]) -> u16 {
    let mut register = 0u16;
    for byte in bytes {
        for bit in (0..8).rev() {
            let carry = register >> 15 != u16::from(byte >> bit & 1);
            register <<= 1;
            if carry {
                register ^= 1 << 12 | 1 << 5 | 1;
            }
        }
    }
    register
}

impl SpiChip for LeptonVideo {
    fn transfer(&mut self, _write: &[u8], read: &mut [u8]) {
        let lepton = self.lepton.clone();
        let mut camera = lepton.lock();
        let now = camera.now();
        let idle = self.last_read.map_or(now, |last| now.saturating_sub(last));
        if std::mem::take(&mut camera.layout_changed) {
            self.place = Place::Lost;
            self.frame = None;
        }
        if idle > RESYNC {
            let period = FRAME_NS / camera.part.segments() as u64;
            let segment = now.as_nanos() as u64 / period + 1;
            self.place = Place::At { segment, packet: 0 };
            self.rest.clear();
        }
        self.last_read = Some(now);
        for byte in read {
            if self.rest.is_empty() {
                let packet = self.packet(&mut camera, now);
                self.rest.extend(packet.iter().rev());
            }
            *byte = self.rest.pop().unwrap_or_default();
        }
    }
}
