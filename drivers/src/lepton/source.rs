//! A Lepton that runs: its frames numbered by the camera's count and placed by the camera's clock.

use super::{Camera, Places};
use sensebind_chips::thermal::FfcState;
use sensebind_chips::thermal::lepton::{Error, Poll, Resolution, SyncLoss, Telemetry};
use sensebind_core::{
    Clock, ClockFix, ClockMap, ClockMapSpec, Format, Frame, Reading, Source, SourceError, StreamId, ThermalUnit,
    Timestamp,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Unique frames a second, as FLIR gives them.
const RATE_HZ: f32 = 8.7;
/// The segments of a frame leave the camera in 1/27 s (section 4.2.3.2).
const VIDEO_FRAME: Duration = Duration::from_micros(37_037);
/// A pause where the camera has nothing: a fifth of a segment's time.
const IDLE: Duration = Duration::from_millis(2);
/// Transfers that fail one after the other before the camera is given up.
const TRIES: u32 = 5;
/// Without a frame for so long, the camera was reset or lost power.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// Counters of 32 bits that went back further than they could have gone forth.
const BACK: u32 = u32::MAX / 2;

/// What one look at the video stream brought.
#[derive(Debug)]
enum Look {
    /// In the middle of a frame.
    Reading,
    /// Nothing to read for some milliseconds.
    Idle,
    /// A frame; its pixels are in `frame`.
    Frame(Telemetry),
}

/// One camera, running.
pub(super) struct LeptonSource {
    stream: StreamId,
    format: Format,
    clock: Arc<dyn Clock>,
    places: Places,
    camera: Camera,
    resolution: Resolution,
    /// From the first segment of a frame to its last.
    readout: Duration,
    map: ClockMap,
    /// Milliseconds of the camera's clock, which wraps after 49 days, without its wraps.
    uptime_ms: u64,
    /// Telemetry of the frame before.
    last: Option<Telemetry>,
    seq: u64,
    heard: Timestamp,
    breaks: u32,
    last_break: Option<SyncLoss>,
    failures_in_a_row: u32,
    frame: Vec<u8>,
}

impl LeptonSource {
    /// `camera`, which hangs at `places` and sends temperatures at `resolution`, as `stream`.
    pub(super) fn new(
        stream: &StreamId,
        clock: &Arc<dyn Clock>,
        places: Places,
        camera: Camera,
        resolution: Resolution,
    ) -> Self {
        let model = camera.setup().model;
        let (width, height) = (model.width(), model.height());
        let segments = u32::from(model.segments());
        Self {
            stream: stream.clone(),
            format: Format::Thermal {
                // 160 and 120 at most.
                width: u32::try_from(width).unwrap_or(u32::MAX),
                height: u32::try_from(height).unwrap_or(u32::MAX),
                unit: ThermalUnit::KelvinPerCount(resolution.kelvin_per_count()),
                rate_hz: RATE_HZ,
            },
            clock: Arc::clone(clock),
            places,
            camera,
            resolution,
            readout: VIDEO_FRAME * (segments - 1) / segments,
            map: ClockMap::new(ClockMapSpec::default()),
            uptime_ms: 0,
            last: None,
            seq: 0,
            heard: clock.now(),
            breaks: 0,
            last_break: None,
            failures_in_a_row: 0,
            frame: vec![0; width * height * size_of::<u16>()],
        }
    }

    /// Reads one transfer of the video stream.
    fn look(&mut self) -> Result<Look, SourceError> {
        let telemetry = match self.camera.poll_video() {
            Ok(Poll::Frame(frame)) => {
                for (bytes, count) in self.frame.as_chunks_mut::<2>().0.iter_mut().zip(frame.counts) {
                    *bytes = count.to_le_bytes();
                }
                frame.telemetry
            }
            Ok(Poll::Reading) => {
                self.failures_in_a_row = 0;
                return Ok(Look::Reading);
            }
            Ok(Poll::Idle) => {
                self.failures_in_a_row = 0;
                return self.unless_silent().map(|()| Look::Idle);
            }
            Ok(Poll::Lost(loss)) => {
                self.failures_in_a_row = 0;
                self.breaks = self.breaks.saturating_add(1);
                self.last_break = Some(loss);
                return self.unless_silent().map(|()| Look::Idle);
            }
            Err(error) => {
                self.failures_in_a_row += 1;
                let settled = match error {
                    Error::Video(error) => error.is_final() || error.is_too_much(),
                    _ => true,
                };
                if settled || self.failures_in_a_row >= TRIES {
                    return Err(self.places.fault(error));
                }
                return Ok(Look::Idle);
            }
        };
        self.failures_in_a_row = 0;
        // It was switched on: a stream without it has another shape, which breaks.
        telemetry.map_or(Ok(Look::Reading), |telemetry| Ok(Look::Frame(telemetry)))
    }

    fn unless_silent(&self) -> Result<(), SourceError> {
        let silent = self.clock.now().since(self.heard);
        if silent <= SILENT_AFTER {
            return Ok(());
        }
        let last = self
            .last_break
            .map(|last| format!("; the last: {last}"))
            .unwrap_or_default();
        Err(self.places.reopen(
            &self.places.video,
            format_args!(
                "no frame for {} ms, and {} breaks of the stream{last}: it was reset or lost power and has to be set up \
                 again, or the wires are bad at this `speed_hz`, or this machine is too busy to read it in time",
                silent.as_millis(),
                self.breaks
            ),
        ))
    }

    /// Numbers a frame and puts it on the host's clock.
    fn place(&mut self, telemetry: Telemetry) -> Result<Timestamp, SourceError> {
        let arrived = self.clock.now();
        if telemetry.agc || telemetry.tlinear != Some(self.resolution) {
            let found = match telemetry.tlinear {
                _ if telemetry.agc => "automatic gain",
                None => "raw counts",
                Some(Resolution::Centikelvin) => "0.01 K per count",
                Some(Resolution::Decikelvin) => "0.1 K per count",
            };
            return Err(self.places.reopen(
                &self.places.video,
                format_args!(
                    "the camera sends {found}, expected {} K per count as when it was opened: another program changed it, \
                     or it was reset",
                    self.resolution.kelvin_per_count()
                ),
            ));
        }
        let (frames, elapsed_ms) = self.last.map_or((0, telemetry.uptime_ms), |last| {
            (
                telemetry.counter.wrapping_sub(last.counter),
                telemetry.uptime_ms.wrapping_sub(last.uptime_ms),
            )
        });
        if self.last.is_some() && (frames > BACK || elapsed_ms > BACK) {
            return Err(self.places.reopen(
                &self.places.video,
                "the camera's counters went back: it booted anew and has to be set up again",
            ));
        }
        self.seq += u64::from(frames);
        self.uptime_ms += u64::from(elapsed_ms);
        self.last = Some(telemetry);
        self.heard = arrived;
        self.breaks = 0;
        self.last_break = None;
        let device_ns = self.uptime_ms * 1_000_000;
        let left_at = arrived.before(self.readout);
        self.map.observe(device_ns, left_at);
        Ok(self.map.map(device_ns).unwrap_or(left_at))
    }
}

impl Source for LeptonSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let patience = self.clock.now().after(timeout);
        let telemetry = loop {
            let look = self.look()?;
            if let Look::Frame(telemetry) = look {
                break telemetry;
            }
            let now = self.clock.now();
            if now >= patience {
                return Ok(Reading::Waiting);
            }
            if matches!(look, Look::Idle) {
                self.clock.wait_until(now.after(IDLE).min(patience));
            }
        };
        let captured = self.place(telemetry)?;
        Ok(Reading::Frame(Frame {
            seq: self.seq,
            captured,
            calibrating: telemetry.ffc == FfcState::InProgress,
            data: &self.frame,
        }))
    }

    fn clock_fix(&self) -> Option<ClockFix> {
        self.map.fix()
    }
}

impl fmt::Debug for LeptonSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeptonSource")
            .field("stream", &self.stream)
            .field("places", &self.places)
            .field("setup", &self.camera.setup())
            .field("counts", &self.camera.counts())
            .finish_non_exhaustive()
    }
}
