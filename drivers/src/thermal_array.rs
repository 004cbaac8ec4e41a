//! Thermal arrays on I2C: how their sources read them, whichever chip it is.
//!
//! None of these chips has a clock or a counter to read. A frame's capture time is when it was found complete, less the
//! time that its exposure took; frames that the chip made and nobody read are counted by the time that went by.

use crate::bus::{BusError, FirstEnd, I2cNode, Place};
use sensebind_chips::thermal::ThermalArray;
use sensebind_core::{Clock, ErrorKind, Format, Frame, Reading, Source, SourceError, StreamId, ThermalUnit, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Transactions that fail one after the other before the sensor is given up; passing faults are shorter.
const TRIES: u32 = 5;
const RETRY_AFTER: Duration = Duration::from_millis(2);
/// A chip that measures nothing for so many periods, and so long besides, has stopped or lost its settings.
const SILENT_MEASUREMENTS: u32 = 8;
const SILENT_AT_LEAST: Duration = Duration::from_millis(250);

/// A chip of this kind.
pub(crate) trait Array: ThermalArray + Send {
    /// What the bus said, where `error` came from there.
    fn bus_error(error: &Self::Error) -> Option<BusError>;

    /// Measurements read so far, where a frame needs several.
    fn measurements(&self) -> u64 {
        0
    }
}

/// When a chip has what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// From one measurement to the next.
    pub(crate) measurement: Duration,
    /// Measurements that a frame needs.
    pub(crate) per_frame: u32,
    /// From reading a measurement to asking for the next one.
    pub(crate) ask_after: Duration,
    /// From asking in vain to asking again.
    pub(crate) ask_again_after: Duration,
    /// From the start of a frame's exposure to its reading, on average.
    pub(crate) age: Duration,
}

impl Timing {
    fn frame(&self) -> Duration {
        self.measurement * self.per_frame
    }
}

/// Opens the I2C bus of `place` for its chip.
pub(crate) fn open_i2c(node: &str, address: u8, place: &Place, clock: &Arc<dyn Clock>) -> Result<I2cNode, SourceError> {
    I2cNode::open(node, address, &FirstEnd::new(clock)).map_err(|error| {
        if error.is_taken() {
            let why = format!(
                "{place}: a kernel driver has taken this chip: unbind it (`ls -l /sys/bus/i2c/devices` shows which; \
                 `video-i2c` makes it a camera of the driver `v4l2_camera`)"
            );
            SourceError::new(ErrorKind::Misconfigured, why)
        } else {
            place.fault("opening its node", error)
        }
    })
}

/// One chip, running.
pub(crate) struct ArraySource<C> {
    stream: StreamId,
    format: Format,
    clock: Arc<dyn Clock>,
    place: Place,
    chip: C,
    timing: Timing,
    kelvin: Vec<f32>,
    frame: Vec<u8>,
    next_look: Timestamp,
    /// When the last measurement was read.
    heard: Timestamp,
    /// When the last frame was read.
    last: Option<Timestamp>,
    seq: u64,
    failures_in_a_row: u32,
    /// What the chip said instead of a measurement, since the last one.
    complaint: Option<String>,
}

impl<C: Array> ArraySource<C> {
    /// `chip`, which runs and hangs at `place`, as `stream`.
    pub(crate) fn new(stream: &StreamId, clock: &Arc<dyn Clock>, place: Place, chip: C, timing: Timing) -> Self {
        let pixels = chip.width() * chip.height();
        let now = clock.now();
        Self {
            stream: stream.clone(),
            format: Format::Thermal {
                // Arrays of some hundred pixels.
                width: u32::try_from(chip.width()).unwrap_or(u32::MAX),
                height: u32::try_from(chip.height()).unwrap_or(u32::MAX),
                unit: ThermalUnit::KelvinF32,
                rate_hz: (1.0 / timing.frame().as_secs_f64()) as f32,
            },
            clock: Arc::clone(clock),
            place,
            chip,
            timing,
            kelvin: vec![0.0; pixels],
            frame: vec![0; pixels * size_of::<f32>()],
            next_look: now,
            heard: now,
            last: None,
            seq: 0,
            failures_in_a_row: 0,
            complaint: None,
        }
    }

    /// Asks the chip once. Whether it had a new frame, which is then in `frame`.
    fn look(&mut self) -> Result<bool, SourceError> {
        let asked = self.clock.now();
        let before = self.chip.measurements();
        let found = match self.chip.poll(&mut self.kelvin) {
            Ok(found) => found.is_some(),
            Err(error) => {
                if let Some(bus) = C::bus_error(&error) {
                    self.failures_in_a_row += 1;
                    if bus.is_final() || self.failures_in_a_row >= TRIES {
                        let doing = format!("reading a frame ({} tries in a row failed)", self.failures_in_a_row);
                        return Err(self.place.fault(&doing, bus));
                    }
                    self.next_look = asked.after(RETRY_AFTER);
                } else {
                    self.complaint = Some(error.to_string());
                    self.next_look = asked.after(self.timing.ask_after);
                }
                return self.unless_silent(asked).map(|()| false);
            }
        };
        self.failures_in_a_row = 0;
        if found || self.chip.measurements() != before {
            self.heard = asked;
            self.complaint = None;
            self.next_look = asked.after(self.timing.ask_after);
        } else {
            self.next_look = asked.after(self.timing.ask_again_after);
            self.unless_silent(asked)?;
        }
        if found {
            for (bytes, kelvin) in self.frame.as_chunks_mut::<4>().0.iter_mut().zip(&self.kelvin) {
                *bytes = kelvin.to_le_bytes();
            }
            if let Some(last) = self.last.replace(asked) {
                let frames = asked.since(last).as_secs_f64() / self.timing.frame().as_secs_f64();
                self.seq += (frames.round() as u64).max(1);
            }
        }
        Ok(found)
    }

    fn unless_silent(&self, now: Timestamp) -> Result<(), SourceError> {
        let silent = now.since(self.heard);
        if silent <= self.timing.measurement * SILENT_MEASUREMENTS + SILENT_AT_LEAST {
            return Ok(());
        }
        let why = self
            .complaint
            .as_deref()
            .unwrap_or("it answers and does not measure: it lost power or its settings, and has to be set up again");
        Err(SourceError::new(
            ErrorKind::Reopen,
            format!("{}: no measurement for {} ms: {why}", self.place, silent.as_millis()),
        ))
    }
}

impl<C: Array> Source for ArraySource<C> {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let patience = self.clock.now().after(timeout);
        loop {
            if self.next_look > patience {
                self.clock.wait_until(patience);
                return Ok(Reading::Waiting);
            }
            self.clock.wait_until(self.next_look);
            if self.look()? {
                break;
            }
        }
        Ok(Reading::Frame(Frame {
            seq: self.seq,
            captured: self.heard.before(self.timing.age),
            calibrating: false,
            data: &self.frame,
        }))
    }
}

impl<C> fmt::Debug for ArraySource<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArraySource")
            .field("stream", &self.stream)
            .field("place", &self.place)
            .field("timing", &self.timing)
            .field("complaint", &self.complaint)
            .finish_non_exhaustive()
    }
}
