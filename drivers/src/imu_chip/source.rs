//! One chip, running: samples from its FIFO, their numbers and capture times.

use super::Plan;
use super::models::Chip;
use crate::bus::{BusError, FirstEnd};
use sensebind_chips::imu::{self, FifoRead, Gap, Running, Sample, TickSource};
use sensebind_core::{
    Clock, ClockFix, ClockMap, ClockMapSpec, ErrorKind, Format, Frame, Reading, Source, SourceError, StreamId,
    Timestamp,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Fewest samples taken from the chip at once, so that slow chips with small FIFOs are emptied in one go too.
const BATCH_MIN: usize = 16;
/// More than the longest burst of any chip brings.
const BATCH_MAX: usize = 512;
/// Transactions that fail one after the other before the sensor is given up; passing faults are shorter.
const TRIES: u32 = 5;
const RETRY_AFTER: Duration = Duration::from_millis(2);
/// Without a sample for so many periods, and no less than so long, the chip has lost its set-up: a power cut resets it.
const SILENT_PERIODS: f64 = 10.0;
const SILENT_AT_LEAST: Duration = Duration::from_millis(250);
/// The oscillators inside are trimmed to some per cents.
const DRIFT_PPM: f64 = 50_000.0;
/// The first samples are thrown away, while the least delayed reading is sought: the clock map takes seconds to forget a
/// late first observation.
const SETTLING: Duration = Duration::from_millis(200);
/// A sample count that missed an unknown number leaps so far ahead: the clock map then starts anew, with the drift it
/// knew.
const LEAP: Duration = Duration::from_secs(3600);

/// When a time of the device's clock was known on the host.
#[derive(Debug, Clone, Copy)]
struct Observation {
    device_ns: u64,
    arrived: Timestamp,
}

/// One chip, running.
pub(super) struct ImuChipSource {
    stream: StreamId,
    format: Format,
    clock: Arc<dyn Clock>,
    chip: Chip,
    /// Every reading of a FIFO begins by asking what it holds: those samples were taken by then.
    count_read: FirstEnd,
    plan: Plan,
    running: Running,
    period: Duration,
    /// From one reading of the FIFO to the next.
    interval: Duration,
    silent_after: Duration,
    /// The samples last read: those from `given` to `held` are still to be handed out.
    samples: Vec<Sample>,
    given: usize,
    held: usize,
    next_reading: Timestamp,
    map: ClockMap,
    /// Before the first sample is handed out: when it began, and the least delayed observation since.
    settling: Option<(Timestamp, Observation)>,
    /// Of the device's clock, to be added to the chip's ticks: samples that no count knows of.
    skipped: Duration,
    /// Samples are missing before those that come next.
    gap: Option<Gap>,
    /// The sample read last: its ticks and capture time.
    last: Option<(u64, Timestamp)>,
    seq: u64,
    empty_since: Option<Timestamp>,
    failures_in_a_row: u32,
    failures: u64,
    frame: [u8; Format::IMU_FRAME_BYTES],
}

impl ImuChipSource {
    pub(super) fn new(
        stream: &StreamId,
        clock: &Arc<dyn Clock>,
        plan: Plan,
        chip: Chip,
        count_read: FirstEnd,
        running: Running,
    ) -> Self {
        let period = Duration::from_secs_f64(1.0 / running.rate_hz);
        // Three quarters of the FIFO are left for a host that is late.
        let quarter_full = period.mul_f64(running.fifo_samples as f64 / 4.0);
        Self {
            stream: stream.clone(),
            format: Format::Imu {
                rate_hz: running.rate_hz as f32,
            },
            clock: Arc::clone(clock),
            chip,
            count_read,
            running,
            period,
            interval: plan.latency.min(quarter_full),
            silent_after: period.mul_f64(SILENT_PERIODS).max(SILENT_AT_LEAST),
            plan,
            samples: vec![Sample::default(); running.fifo_samples.clamp(BATCH_MIN, BATCH_MAX)],
            given: 0,
            held: 0,
            next_reading: clock.now(),
            map: ClockMap::new(ClockMapSpec {
                max_drift_ppm: DRIFT_PPM,
                ..ClockMapSpec::default()
            }),
            settling: None,
            skipped: Duration::ZERO,
            gap: None,
            last: None,
            seq: 0,
            empty_since: None,
            failures_in_a_row: 0,
            failures: 0,
            frame: [0; Format::IMU_FRAME_BYTES],
        }
    }

    /// Reads the FIFO once. It may bring nothing.
    fn fetch(&mut self) -> Result<(), SourceError> {
        let asked = self.clock.now();
        (self.given, self.held) = (0, 0);
        self.count_read.reset();
        let read = match self.chip.read_fifo(&mut self.samples) {
            Ok(read) => read,
            Err(imu::Error::Bus(error)) => return self.failed(asked, error),
            Err(error) => return Err(self.plan.fault("reading the FIFO", error)),
        };
        self.failures_in_a_row = 0;
        self.next_reading = asked.after(self.interval);
        if let Some(gap) = read.gap {
            self.gap = Some(self.gap.map_or(gap, |before| both(before, gap)));
        }
        if read.samples == 0 {
            // A gap, too, is a sign of life.
            let since = *self.empty_since.get_or_insert(asked);
            if read.gap.is_some() {
                self.empty_since = None;
            } else if asked.since(since) > self.silent_after {
                return Err(SourceError::new(
                    ErrorKind::Reopen,
                    format!(
                        "{} at {}: no sample for {} ms: it was reset or lost power, and has to be set up again",
                        self.chip.name(),
                        self.plan.place,
                        asked.since(since).as_millis()
                    ),
                ));
            }
            return Ok(());
        }
        self.empty_since = None;
        self.place(read);
        if read.more {
            self.next_reading = asked;
        } else if let Some((_, newest)) = self.last {
            // Slow chips are not asked before the next sample is due.
            self.next_reading = self.next_reading.max(newest.after(self.period));
        }
        Ok(())
    }

    /// Puts samples just read in their places: numbers, and the chip's clock on the host's.
    fn place(&mut self, read: FifoRead) {
        let Some(newest) = read.samples.checked_sub(1).and_then(|last| self.samples.get(last)) else {
            return;
        };
        let (first, newest) = (
            self.samples.first().map_or(0, |sample| sample.device_ticks),
            newest.device_ticks,
        );
        let gap = self.gap.take();
        let counted = gap.map_or(Some(0), |gap| gap.lost_samples.map(u64::from));
        if self.running.tick_source == TickSource::SampleCount {
            self.skipped += counted.map_or(LEAP, |lost| self.period.mul_f64(lost as f64));
        }
        // Samples that came later than the count are no witnesses of its time.
        let witness = read
            .samples
            .checked_sub(read.late + 1)
            .and_then(|at| self.samples.get(at));
        let observed = witness.map(|sample| Observation {
            device_ns: self.device_ns(sample.device_ticks),
            arrived: self.count_read.at(),
        });
        if self.last.is_none() && !self.settle(observed, gap.is_some()) {
            return;
        }
        if let Some(Observation { device_ns, arrived }) = observed {
            self.map.observe(device_ns, arrived);
        }
        if let Some((ticks, captured)) = self.last {
            let elapsed = match self.running.tick_source {
                TickSource::ChipClock => {
                    Duration::from_secs_f64(first.saturating_sub(ticks) as f64 * self.running.tick_s)
                }
                TickSource::SampleCount => self.captured(first).since(captured),
            };
            let missing = (elapsed.as_secs_f64() * self.running.rate_hz).round() as u64;
            self.seq += counted.unwrap_or_else(|| missing.saturating_sub(1).max(1));
        }
        self.last = Some((newest, self.captured(newest)));
        self.held = read.samples;
    }

    /// Whether the clock map has got its first observation, the least delayed of the settling. Starts over at a gap.
    fn settle(&mut self, observed: Option<Observation>, gap: bool) -> bool {
        let Some(observed) = observed else { return false };
        let (began, least) = match self.settling {
            Some(settling) if !gap => settling,
            _ => (observed.arrived, observed),
        };
        let lateness = |at: Observation| i128::from(at.arrived.as_nanos()) - i128::from(at.device_ns);
        let least = if lateness(observed) < lateness(least) {
            observed
        } else {
            least
        };
        self.settling = Some((began, least));
        if observed.arrived.since(began) < SETTLING {
            return false;
        }
        self.map.observe(least.device_ns, least.arrived);
        true
    }

    fn device_ns(&self, ticks: u64) -> u64 {
        let skipped = u64::try_from(self.skipped.as_nanos()).unwrap_or(u64::MAX);
        // f64 holds nanoseconds of 104 days exactly.
        ((ticks as f64 * self.running.tick_s * 1e9) as u64).saturating_add(skipped)
    }

    fn captured(&self, ticks: u64) -> Timestamp {
        // Observed before, so mapped.
        self.map.map(self.device_ns(ticks)).unwrap_or(Timestamp::ZERO)
    }

    /// A transaction failed: bearable until too many do in a row.
    fn failed(&mut self, at: Timestamp, error: BusError) -> Result<(), SourceError> {
        self.failures += 1;
        self.failures_in_a_row += 1;
        if error.is_final() || self.failures_in_a_row >= TRIES {
            let doing = format!(
                "reading the FIFO ({} tries in a row failed, {} since it was opened)",
                self.failures_in_a_row, self.failures
            );
            return Err(self.plan.place.fault(&doing, error));
        }
        self.next_reading = at.after(RETRY_AFTER);
        Ok(())
    }
}

impl Source for ImuChipSource {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn format(&self) -> &Format {
        &self.format
    }

    fn read(&mut self, timeout: Duration) -> Result<Reading<'_>, SourceError> {
        let patience = self.clock.now().after(timeout);
        while self.given == self.held {
            if self.next_reading > patience {
                self.clock.wait_until(patience);
                return Ok(Reading::Waiting);
            }
            self.clock.wait_until(self.next_reading);
            self.fetch()?;
        }
        let sample = self.samples.get(self.given).copied().unwrap_or_default();
        self.given += 1;
        let acceleration = self.plan.orientation.turn(sample.acceleration_m_s2);
        let angular_rate = self.plan.orientation.turn(sample.angular_rate_rad_s);
        for (bytes, value) in self
            .frame
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(acceleration.into_iter().chain(angular_rate))
        {
            *bytes = value.to_le_bytes();
        }
        let seq = self.seq;
        self.seq += 1;
        Ok(Reading::Frame(Frame {
            seq,
            captured: self.captured(sample.device_ticks),
            calibrating: false,
            data: &self.frame,
        }))
    }

    fn clock_fix(&self) -> Option<ClockFix> {
        self.map.fix()
    }
}

impl fmt::Debug for ImuChipSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImuChipSource")
            .field("stream", &self.stream)
            .field("plan", &self.plan)
            .field("running", &self.running)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

/// Two gaps with no sample between are one.
fn both(first: Gap, second: Gap) -> Gap {
    Gap {
        cause: first.cause,
        lost_samples: first
            .lost_samples
            .zip(second.lost_samples)
            .map(|(first, second)| first.saturating_add(second)),
    }
}
