//! How the clock of a device lies to the host's, found from observations that come late.

use crate::{ClockFix, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// What a [`ClockMap`] is told about the clocks it maps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockMapSpec {
    /// Largest drift expected between the two clocks, parts per million; at most 100 000. Two crystals differ by less
    /// than 200, and NTP bends the host's clock by up to 500 more; the oscillator inside an IMU is off by up to 50 000.
    pub max_drift_ppm: f64,
    /// An observation further off than this is no delay and no drift: the device's clock has jumped. Smaller jumps are
    /// taken for a delay, and forgotten with the window of 20 s.
    pub step: Duration,
}

impl Default for ClockMapSpec {
    /// Crystals under NTP, 500 ppm; steps from 50 ms.
    fn default() -> Self {
        Self {
            max_drift_ppm: 500.0,
            step: Duration::from_millis(50),
        }
    }
}

/// Maps a device's clock to the host's, with drift, from observations that come late.
///
/// An observation says when a device time was seen on the host: never before it happened, and later by a random delay
/// (bus, scheduler, queue). So the true line lies *below* all observations, and the best guess is the line below all of
/// them that comes nearest to them: the edge of their lower convex hull over the middle of the window (Moon, Skelly,
/// Towsley, "Estimation and Removal of Clock Skew from Network Delay Measurements", INFOCOM 1999). The window is the last
/// 20 s, held as the least delayed observation of each of 64 stretches.
///
/// The least delay of all cannot be seen: where even the quickest observation is 3 ms late, mapped times are 3 ms late.
/// A driver that knows it subtracts it.
///
/// Fixed memory: nothing is allocated after [`new`](Self::new).
#[derive(Debug, Clone)]
pub struct ClockMap {
    spec: ClockMapSpec,
    /// The newest observation; its device time is the newest of this era.
    last: Option<Observation>,
    /// The first observation since the last step: where the coordinates of `points` begin.
    base: Observation,
    /// Least delayed observations, by device time.
    points: VecDeque<Point>,
    hull: Vec<Point>,
    /// The fitted line: its height at `base`, nanoseconds, and its slope less 1.
    offset: f64,
    drift: f64,
    /// What [`map`](Self::map) answers: the fit, without the jumps that a new fit makes; by device time.
    segments: VecDeque<Segment>,
    /// No mapped time since the last step lies before this.
    floor: Timestamp,
    late: Option<LateRun>,
    steps: u64,
}

#[derive(Debug, Clone, Copy)]
struct Observation {
    device_ns: u64,
    arrived: Timestamp,
}

/// An observation in coordinates of its era, nanoseconds: device time since `base`, and how much more host time than
/// device time has gone by since then.
#[derive(Debug, Clone, Copy)]
struct Point {
    x: f64,
    y: f64,
}

/// From `device_ns` on: the fit then, plus what was left of the difference to the fit before, which fades.
#[derive(Debug, Clone, Copy)]
struct Segment {
    device_ns: u64,
    host: Timestamp,
    drift: f64,
    residual_ns: f64,
    fade_ns: f64,
}

/// Observations in a row too late for a delay: a device's clock that stood still, or a host that did.
#[derive(Debug, Clone, Copy)]
struct LateRun {
    first: Observation,
    newest: Observation,
    best: Observation,
    least_late_ns: f64,
    count: u32,
}

const WINDOW_NS: f64 = 20e9;
const POINTS: usize = 64;
/// Seldom observed devices keep this many points, however old.
const FEWEST_POINTS: usize = 16;
/// Below this the slope stays what it was: nothing, or that before the step.
const POINTS_FOR_DRIFT: usize = 4;
/// [`ClockMap::map`] answers the same for ever for device times among this many observations.
const SEGMENTS: usize = 16;
const FADE_NS: f64 = 1e9;
/// Host nanoseconds per device nanosecond by which mapped time hurries or dawdles at most while a residual fades.
const MAX_SLEW: f64 = 0.5;
const MAX_DRIFT: f64 = 0.1;
/// So many late observations in a row, for so long, may be a step.
const LATE_RUN: u32 = 8;
const LATE_FOR: Duration = Duration::from_millis(500);

impl ClockMap {
    /// A map that has seen nothing. Allocates all it will ever need, 4 KiB.
    pub fn new(spec: ClockMapSpec) -> Self {
        let nothing = Observation {
            device_ns: 0,
            arrived: Timestamp::ZERO,
        };
        Self {
            spec,
            last: None,
            base: nothing,
            points: VecDeque::with_capacity(POINTS),
            hull: Vec::with_capacity(POINTS),
            offset: 0.0,
            drift: 0.0,
            segments: VecDeque::with_capacity(SEGMENTS),
            floor: Timestamp::ZERO,
            late: None,
            steps: 0,
        }
    }

    /// At `arrived`, at the latest, the device's clock read `device_ns`. Observe in the order of arrival, then map.
    ///
    /// A device time that went back, or that is known before it can have happened, is a step at once; one that comes late
    /// for good (a device that stood still) is one after half a second and at least eight late observations in a row that
    /// keep the device's pace. After a step the map starts anew, with the drift it knew.
    pub fn observe(&mut self, device_ns: u64, arrived: Timestamp) {
        let Some(last) = self.last else {
            self.begin(Observation { device_ns, arrived });
            return;
        };
        let now = Observation {
            device_ns,
            arrived: arrived.max(last.arrived),
        };
        let point = self.point(now);
        let late_ns = point.y - self.offset - self.drift * point.x;
        let tolerance_ns = self.tolerance_ns(last, now);
        let back_ns = last.device_ns.saturating_sub(device_ns);
        if u128::from(back_ns) > self.spec.step.as_nanos() {
            self.step(now);
            return;
        }
        if late_ns < -tolerance_ns {
            if self.knows_drift() {
                self.step(now);
            } else {
                // The first observations were the late ones.
                self.begin(now);
            }
            return;
        }
        if late_ns > tolerance_ns {
            self.last = Some(Observation {
                device_ns: device_ns.max(last.device_ns),
                ..now
            });
            let run = LateRun::grown(self.late, now, late_ns);
            self.late = (!run.is_over()).then_some(run);
            if run.is_over() && run.keeps_pace() {
                self.step(run.best);
                // The run went on after its best.
                self.last = Some(Observation {
                    device_ns: device_ns.max(run.best.device_ns),
                    ..now
                });
            }
            return;
        }
        self.late = None;
        if device_ns <= last.device_ns {
            // Later for the same device time: says nothing that is not known.
            self.last = Some(Observation {
                device_ns: last.device_ns,
                ..now
            });
            return;
        }
        self.last = Some(now);
        self.keep(point);
        self.fit_line();
        self.lead_over(device_ns);
    }

    /// The host time of `device_ns`: `None` before the first observation. Never goes back while device times do not,
    /// across steps too, for device times up to that observed last and within the last 16 observations; beyond, it follows
    /// the line of the nearest. Neither blocks nor allocates.
    pub fn map(&self, device_ns: u64) -> Option<Timestamp> {
        let before = |segment: &&Segment| segment.device_ns <= device_ns;
        let segment = self
            .segments
            .iter()
            .rev()
            .find(before)
            .or_else(|| self.segments.front())?;
        Some(segment.map(device_ns).max(self.floor))
    }

    /// The fitted line, at the device time observed last: for the log.
    pub fn fix(&self) -> Option<ClockFix> {
        let last = self.last?;
        Some(ClockFix {
            device_ns: last.device_ns,
            host: self.fitted(last.device_ns),
            drift_ppm: self.drift * 1e6,
            steps: self.steps,
        })
    }

    /// How often the device's clock was found to have jumped.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How far an observation may lie off the line: more after a pause, most while the drift is unknown.
    fn tolerance_ns(&self, last: Observation, now: Observation) -> f64 {
        let since = if self.knows_drift() {
            last.arrived
        } else {
            self.base.arrived
        };
        self.spec.step.as_nanos() as f64 + self.max_drift() * now.arrived.since(since).as_nanos() as f64
    }

    fn knows_drift(&self) -> bool {
        self.points.len() >= POINTS_FOR_DRIFT
    }

    fn max_drift(&self) -> f64 {
        // NaN becomes 0.
        (self.spec.max_drift_ppm * 1e-6).max(0.0).clamp(0.0, MAX_DRIFT)
    }

    fn step(&mut self, from: Observation) {
        self.steps += 1;
        self.begin(from);
    }

    fn begin(&mut self, from: Observation) {
        if let Some(reached) = self.last.and_then(|last| self.map(last.device_ns)) {
            self.floor = reached;
        }
        self.base = from;
        self.last = Some(from);
        self.late = None;
        self.offset = 0.0;
        self.points.clear();
        self.points.push_back(Point { x: 0.0, y: 0.0 });
        self.segments.clear();
        self.segments.push_back(Segment {
            device_ns: from.device_ns,
            host: from.arrived,
            drift: self.drift,
            residual_ns: 0.0,
            fade_ns: FADE_NS,
        });
    }

    fn point(&self, now: Observation) -> Point {
        let device = difference(now.device_ns, self.base.device_ns);
        let host = difference(now.arrived.as_nanos(), self.base.arrived.as_nanos());
        Point {
            x: device as f64,
            y: (host - device) as f64,
        }
    }

    /// Keeps `point` where it is the least delayed of its stretch, and forgets what left the window.
    fn keep(&mut self, point: Point) {
        let stretch = |p: &Point| (p.x / (WINDOW_NS / POINTS as f64)).floor();
        let height = |p: &Point| p.y - self.drift * p.x;
        if let Some(newest) = self.points.back_mut()
            && stretch(newest) == stretch(&point)
        {
            if height(&point) <= height(newest) {
                *newest = point;
            }
            return;
        }
        let old = |p: &Point| p.x < point.x - WINDOW_NS;
        while self.points.len() == POINTS || (self.points.len() > FEWEST_POINTS && self.points.front().is_some_and(old))
        {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// The line below all points that comes nearest to them, with a slope that can be.
    fn fit_line(&mut self) {
        if self.knows_drift()
            && let Some(slope) = self.slope_below()
        {
            let limit = self.max_drift();
            self.drift = slope.max(-limit).min(limit);
        }
        let heights = self.points.iter().map(|p| p.y - self.drift * p.x);
        self.offset = heights.fold(f64::INFINITY, f64::min);
    }

    /// The slope of the lower hull over the middle of the points.
    fn slope_below(&mut self) -> Option<f64> {
        self.hull.clear();
        for &point in &self.points {
            while let [.., a, b] = self.hull[..]
                && (b.y - a.y) * (point.x - a.x) >= (point.y - a.y) * (b.x - a.x)
            {
                self.hull.pop();
            }
            self.hull.push(point);
        }
        let middle = self.points.iter().map(|p| p.x).sum::<f64>() / self.points.len() as f64;
        self.hull.windows(2).find_map(|edge| match edge {
            [a, b] if b.x >= middle => Some((b.y - a.y) / (b.x - a.x)),
            _ => None,
        })
    }

    /// From `device_ns` on mapped time goes over to the new fit, without a jump.
    fn lead_over(&mut self, device_ns: u64) {
        let host = self.fitted(device_ns);
        let was = self.map(device_ns).unwrap_or(host);
        let residual_ns = difference(was.as_nanos(), host.as_nanos()) as f64;
        if self.segments.len() == SEGMENTS {
            self.segments.pop_front();
        }
        self.segments.push_back(Segment {
            device_ns,
            host,
            drift: self.drift,
            residual_ns,
            fade_ns: FADE_NS.max(residual_ns.abs() / MAX_SLEW),
        });
    }

    fn fitted(&self, device_ns: u64) -> Timestamp {
        let since = difference(device_ns, self.base.device_ns);
        let above = (self.offset + self.drift * since as f64).round() as i128;
        timestamp(i128::from(self.base.arrived.as_nanos()) + since + above)
    }
}

impl Segment {
    fn map(&self, device_ns: u64) -> Timestamp {
        let since = difference(device_ns, self.device_ns);
        let left = (1.0 - since as f64 / self.fade_ns).clamp(0.0, 1.0);
        let above = (self.drift * since as f64 + self.residual_ns * left).round() as i128;
        timestamp(i128::from(self.host.as_nanos()) + since + above)
    }
}

impl LateRun {
    fn grown(run: Option<Self>, now: Observation, late_ns: f64) -> Self {
        let mut run = run.unwrap_or(Self {
            first: now,
            newest: now,
            best: now,
            least_late_ns: late_ns,
            count: 0,
        });
        run.count = run.count.saturating_add(1);
        run.newest = now;
        if late_ns <= run.least_late_ns {
            (run.best, run.least_late_ns) = (now, late_ns);
        }
        run
    }

    /// Long enough to tell a step from a stall.
    fn is_over(&self) -> bool {
        self.count >= LATE_RUN && self.newest.arrived.since(self.first.arrived) >= LATE_FOR
    }

    /// In the pace of the device's clock: a stall is a jump, and the queue that it leaves is emptied faster.
    fn keeps_pace(&self) -> bool {
        let host = self.newest.arrived.since(self.first.arrived).as_nanos() as f64;
        let device = difference(self.newest.device_ns, self.first.device_ns) as f64;
        (0.75 * device..=1.5 * device).contains(&host)
    }
}

fn difference(a: u64, b: u64) -> i128 {
    i128::from(a) - i128::from(b)
}

fn timestamp(nanos: i128) -> Timestamp {
    Timestamp::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}
