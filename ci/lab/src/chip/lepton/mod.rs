//! FLIR Lepton: one camera on two buses, video on SPI and control on I2C.
//!
//! Written from FLIR's "Lepton Engineering Datasheet", 500-0659-00-09 rev 203, and "Lepton Software Interface Description
//! Document (IDD)", 110-0144-04 rev 303. A camera's two sides share one state.

mod control;
mod video;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::ChipClock;
use super::thermal::Scene;

pub use control::LeptonControl;
pub use video::LeptonVideo;

/// The control bus's address.
pub const ADDRESS: u8 = 0x2A;

/// Which camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// 80x60, raw counts only.
    Lepton2,
    /// 80x60, with temperatures.
    Lepton2R5,
    /// 160x120, raw counts only.
    Lepton3,
    /// 160x120, with temperatures.
    Lepton3R5,
}

impl Part {
    fn number(self) -> &'static str {
        match self {
            Self::Lepton2 => "500-0659-01",
            Self::Lepton2R5 => "500-0763-01",
            Self::Lepton3 => "500-0726-01",
            Self::Lepton3R5 => "500-0771-01",
        }
    }

    fn radiometric(self) -> bool {
        matches!(self, Self::Lepton2R5 | Self::Lepton3R5)
    }

    fn segments(self) -> usize {
        match self {
            Self::Lepton2 | Self::Lepton2R5 => 1,
            Self::Lepton3 | Self::Lepton3R5 => 4,
        }
    }

    fn size(self) -> (usize, usize) {
        match self.segments() {
            1 => (80, 60),
            _ => (160, 120),
        }
    }
}

/// How long the shutter stays closed.
pub const FFC_TIME: Duration = Duration::from_millis(850);
/// How long before it closes on its own the camera says so.
pub const FFC_NOTICE: Duration = Duration::from_secs(2);

/// The camera as its owner holds it: hands out its two sides, and sets what befalls it.
#[derive(Debug, Clone)]
pub struct Lepton(Arc<Mutex<Camera>>);

impl Lepton {
    /// A camera after boot, with the power-on settings of its part: TLinear at 0.01 K where it has it, telemetry off,
    /// automatic gain off, a correction every three minutes.
    #[must_use]
    pub fn new(part: Part, scene: Scene, clock: ChipClock) -> Self {
        Self(Arc::new(Mutex::new(Camera {
            part,
            scene,
            clock,
            booted: true,
            agc: false,
            tlinear: part.radiometric(),
            centikelvin: true,
            telemetry: false,
            footer: true,
            raw14: true,
            shutter: [1, 0, 0, 0, 0, 0, 0, 0, 0x20, 0xBF, 2, 0, 0, 0, 0, 0],
            ffc_every: Some(Duration::from_secs(180)),
            ffc_begun: None,
            late_segments: 0,
            corrupt: 0,
            layout_changed: false,
        })))
    }

    /// The side on I2C.
    #[must_use]
    pub fn control(&self) -> LeptonControl {
        LeptonControl::new(self.clone())
    }

    /// The side on SPI.
    #[must_use]
    pub fn video(&self) -> LeptonVideo {
        LeptonVideo::new(self.clone())
    }

    /// Whether the camera has booted; until then it answers on I2C and says so.
    pub fn set_booted(&self, booted: bool) {
        self.lock().booted = booted;
    }

    /// Time between the corrections it does on its own; none: only on command.
    pub fn set_ffc_interval(&self, every: Option<Duration>) {
        self.lock().ffc_every = every;
    }

    /// How many segments the reader may lag behind. The data sheet's camera has none to spare; a host with two busy cores
    /// does.
    pub fn set_late_segments(&self, segments: u64) {
        self.lock().late_segments = segments;
    }

    /// Flips one bit in each of the next `packets` video packets.
    pub fn corrupt_packets(&self, packets: u64) {
        self.lock().corrupt = packets;
    }

    fn lock(&self) -> MutexGuard<'_, Camera> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What both sides share.
#[derive(Debug)]
struct Camera {
    part: Part,
    scene: Scene,
    clock: ChipClock,
    booted: bool,
    agc: bool,
    tlinear: bool,
    centikelvin: bool,
    telemetry: bool,
    footer: bool,
    raw14: bool,
    /// FFC shutter mode object: the mode, and settings that are kept as they are set.
    shutter: [u16; 16],
    ffc_every: Option<Duration>,
    ffc_begun: Option<Duration>,
    late_segments: u64,
    corrupt: u64,
    /// A setting changed the shape of the video stream: it must be synchronised anew.
    layout_changed: bool,
}

impl Camera {
    /// Time since boot.
    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.now_ns())
    }

    /// State of the correction as telemetry and the control bus encode it: 0 never, 1 imminent, 2 in progress, 3 done.
    fn ffc_state(&mut self, now: Duration) -> u16 {
        let mut imminent = false;
        if let (Some(every), 1) = (self.ffc_every, self.shutter[0]) {
            let mut next = self.ffc_begun.unwrap_or_default() + every;
            while next <= now {
                self.ffc_begun = Some(next);
                next += every;
            }
            imminent = next - now <= FFC_NOTICE;
        }
        match self.ffc_begun {
            Some(begun) if now >= begun && now - begun < FFC_TIME => 2,
            _ if imminent => 1,
            Some(_) => 3,
            None => 0,
        }
    }
}
