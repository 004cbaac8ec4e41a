//! Time stamps of few bits, sample after sample, as ticks that never wrap; and how many samples are missing in between.

/// Follows the time stamps of equally spaced samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct SampleTicks {
    /// Width of the chip's time stamp.
    bits: u32,
    /// Ticks from sample to sample, times 65536: rates do not divide the tick rate evenly.
    period_q16: u64,
    last: Option<u64>,
}

/// A time stamp put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub ticks: u64,
    /// Samples missing since the one before.
    pub missing: u32,
}

impl SampleTicks {
    pub(super) fn new(bits: u32, ticks_per_sample: f64) -> Self {
        Self {
            bits,
            // Rates are positive and ticks finite: at least one sixty-five-thousandth, so that nothing divides by zero.
            period_q16: ((ticks_per_sample * 65_536.0) as u64).max(1),
            last: None,
        }
    }

    /// Puts the next sample's time stamp in its place: of all the times at which a counter of so few bits could have
    /// shown `raw`, the nearest to when the sample was due after `known_missing` others.
    pub(super) fn place(&mut self, raw: u32, known_missing: u32) -> Placed {
        let raw = u64::from(raw) & ((1 << self.bits) - 1);
        let Some(last) = self.last else {
            self.last = Some(raw);
            return Placed { ticks: raw, missing: 0 };
        };
        let wrap = 1_u64 << self.bits;
        let due = last.saturating_add((self.period_q16.saturating_mul(1 + u64::from(known_missing))) >> 16);
        // A counter's time below `due` by at most half a turn, or above it by less.
        let lowest = due.saturating_sub(wrap / 2);
        let mut ticks = lowest.saturating_add(raw.wrapping_sub(lowest) & (wrap - 1));
        // Time does not run backwards, whatever a damaged stamp says.
        if ticks < last {
            ticks = ticks.saturating_add(wrap);
        }
        self.last = Some(ticks);
        let periods = ((((ticks - last) << 16) + self.period_q16 / 2) / self.period_q16).saturating_sub(1);
        Placed {
            ticks,
            missing: u32::try_from(periods).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_sixteen_bits_go_on_across_the_wrap() {
        let mut ticks = SampleTicks::new(16, 58.59375);
        let mut last = ticks.place(65_500, 0).ticks;
        for sample in 1..10_000_u64 {
            let exact = 65_500 + sample * 5_859_375 / 100_000;
            let placed = ticks.place((exact & 0xffff) as u32, 0);
            assert_eq!(
                placed,
                Placed {
                    ticks: exact,
                    missing: 0
                }
            );
            assert!(placed.ticks > last);
            last = placed.ticks;
        }
    }

    #[test]
    fn missing_samples_are_counted_across_turns_of_the_counter() {
        let mut ticks = SampleTicks::new(16, 58.59375);
        ticks.place(100, 0);
        // 3000 lost is 2.7 turns: told by the chip, exact by the stamp.
        let exact = 100 + 3001 * 5_859_375 / 100_000;
        assert_eq!(
            ticks.place(exact as u32, 2990),
            Placed {
                ticks: exact,
                missing: 3000
            }
        );
    }
}
