//! What a window holds, and what its coverage means.
//!
//! | sense | frames | coverage |
//! |---|---|---|
//! | audio | packets, cut at the span's edges to the nearest sample | share of the span's time that sound covers; up to 1.5 sample periods between packets are no gap |
//! | imu | samples captured in the span | samples over samples expected by the nominal rate, at most 1 (1 for any sample where the format names no rate) |
//! | image, thermal, depth | frames captured in the span | 1 with at least one frame, else 0: a slow camera is no less present, and encoders look at one or two frames however many there are |
//!
//! A span of length zero yields nothing, with coverage 0.

use crate::ring::{Held, Ring};
use sensebind_core::{Format, Span, Timestamp, Window};
use std::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// The two pieces a ring's storage consists of, addressed as one.
struct Pieces<'a, T>(&'a [T], &'a [T]);

impl<'a, T: Copy> Pieces<'a, T> {
    fn len(&self) -> usize {
        self.0.len() + self.1.len()
    }

    fn get(&self, i: usize) -> Option<T> {
        self.0.get(i).or_else(|| self.1.get(i - self.0.len())).copied()
    }

    /// Elements `from..to` as two slices.
    fn range(&self, from: usize, to: usize) -> [&'a [T]; 2] {
        let n = self.0.len();
        [&self.0[from.min(n)..to.min(n)], &self.1[from.max(n) - n..to.max(n) - n]]
    }

    /// Index of the first element for which `before` is false.
    fn partition_point(&self, before: impl Fn(&T) -> bool) -> usize {
        let i = self.0.partition_point(&before);
        if i < self.0.len() {
            i
        } else {
            i + self.1.partition_point(&before)
        }
    }
}

impl Ring {
    /// Copies what `span` holds into `into`, whose former content is forgotten; see the [module](mod@crate::cut).
    ///
    /// Sound is cut to the nearest sample: of contiguous packets, a span holds exactly length × rate samples, and
    /// adjoining spans share none and lose none. The first frame's time is that of its first sample (never before
    /// the span).
    ///
    /// Exclusive access is what `ringbuf` asks for; nothing in the ring changes.
    pub fn cut(&mut self, span: Span, into: &mut Window) {
        self.cut_frames(span, usize::MAX, into);
    }

    /// Like [`cut`](Self::cut), but of pictures only the newest one in the span: all that a still-picture encoder reads,
    /// without copying a second of video to get it. Sound and IMU are cut whole.
    pub fn cut_latest(&mut self, span: Span, into: &mut Window) {
        let most = if matches!(self.format, Format::Audio { .. } | Format::Imu { .. }) {
            usize::MAX
        } else {
            1
        };
        self.cut_frames(span, most, into);
    }

    fn cut_frames(&mut self, span: Span, most: usize, into: &mut Window) {
        into.clear(span);
        into.format = self.format;
        if into.stream != *self.stream() {
            into.stream = self.stream().clone();
        }
        if span.length().is_zero() {
            return;
        }
        let (a, b) = self.index.as_slices();
        let index = Pieces(a, b);
        let (a, b) = self.bytes.as_slices();
        let bytes = Pieces(a, b);
        let base = index.get(0).map_or(0, |h| h.at);
        let slice = |h: &Held, from: usize, to: usize| {
            let at = (h.at - base) as usize;
            bytes.range(at + from, at + to)
        };
        let end = index.partition_point(|h| h.captured < span.end);

        if let Format::Audio { rate_hz, .. } = self.format {
            let sample_bytes = self.format.audio_sample_bytes();
            let reach = span.start.before(self.longest);
            let mut cover = Cover::new(span, rate_hz);
            for h in (index.partition_point(|h| h.captured < reach)..end).filter_map(|i| index.get(i)) {
                let samples = h.len / sample_bytes;
                let from = nearest_sample(h.captured, span.start, rate_hz).min(samples);
                let to = nearest_sample(h.captured, span.end, rate_hz).min(samples);
                if from < to {
                    let first = h.captured.after(sample_time(from, rate_hz)).max(span.start);
                    into.push(first, &slice(&h, from * sample_bytes, to * sample_bytes));
                    cover.add(h.captured, samples);
                }
            }
            into.coverage = cover.share();
            return;
        }

        let start = index
            .partition_point(|h| h.captured < span.start)
            .max(end.saturating_sub(most));
        for h in (start..end).filter_map(|i| index.get(i)) {
            into.push(h.captured, &slice(&h, 0, h.len));
        }
        let found = end.saturating_sub(start);
        into.coverage = match self.format {
            Format::Imu { rate_hz } if rate_hz.is_finite() && rate_hz > 0.0 => {
                let expected = (span.length().as_secs_f64() * f64::from(rate_hz)).round().max(1.0);
                (found as f64 / expected).min(1.0) as f32
            }
            _ if found > 0 => 1.0,
            _ => 0.0,
        };
    }

    /// When the first data at or after `from` was captured: a frame, or of sound the first sample nearest to it or
    /// later, given as the time from which on a span's end takes it in.
    pub(crate) fn first_after(&mut self, from: Timestamp) -> Option<Timestamp> {
        let reach = from.before(self.longest);
        let (format, (a, b)) = (self.format, self.index.as_slices());
        let index = Pieces(a, b);
        let Format::Audio { rate_hz, .. } = format else {
            return index
                .get(index.partition_point(|h| h.captured < from))
                .map(|h| h.captured);
        };
        (index.partition_point(|h| h.captured < reach)..index.len())
            .filter_map(|i| index.get(i))
            .find_map(|h| {
                let samples = h.len / format.audio_sample_bytes();
                let at = nearest_sample(h.captured, from, rate_hz);
                (at < samples).then(|| {
                    h.captured
                        .after(sample_time(at, rate_hz))
                        .after(half_period(rate_hz))
                        .max(from)
                })
            })
    }
}

/// Index of the sample of a packet captured at `captured` that lies nearest to `t`; 0 when `t` is not later.
fn nearest_sample(captured: Timestamp, t: Timestamp, rate_hz: u32) -> usize {
    let samples = (t.since(captured).as_nanos() * u128::from(rate_hz) + NANOS / 2) / NANOS;
    usize::try_from(samples).unwrap_or(usize::MAX)
}

/// How long `samples` last.
fn sample_time(samples: usize, rate_hz: u32) -> Duration {
    Duration::from_nanos(u64::try_from(samples as u128 * NANOS / u128::from(rate_hz)).unwrap_or(u64::MAX))
}

fn half_period(rate_hz: u32) -> Duration {
    Duration::from_nanos(500_000_000 / u64::from(rate_hz))
}

/// Adds up the part of a span that packets cover.
struct Cover {
    span: Span,
    rate_hz: u32,
    until: Timestamp,
    covered: Duration,
}

impl Cover {
    fn new(span: Span, rate_hz: u32) -> Self {
        Self {
            span,
            rate_hz,
            until: span.start,
            covered: Duration::ZERO,
        }
    }

    /// What is no gap: 1.5 sample periods.
    fn slack(&self) -> Duration {
        Duration::from_nanos(1_500_000_000 / u64::from(self.rate_hz))
    }

    fn add(&mut self, captured: Timestamp, samples: usize) {
        let start = if captured.since(self.until) <= self.slack() {
            self.until
        } else {
            captured
        };
        let mut end = captured.after(sample_time(samples, self.rate_hz));
        if self.span.end.since(end) <= self.slack() {
            end = self.span.end;
        }
        self.covered += end.since(start);
        self.until = self.until.max(end);
    }

    fn share(&self) -> f32 {
        (self.covered.as_secs_f64() / self.span.length().as_secs_f64()).min(1.0) as f32
    }
}
