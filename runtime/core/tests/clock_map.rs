//! Device clocks that drift, jitter, wander and jump, mapped to the host's.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use proptest::prelude::*;
use proptest::test_runner::Config;
use sensebind_core::{ClockMap, ClockMapSpec, Timestamp};
use std::time::Duration;

const SECOND: f64 = 1e9;
const MS: f64 = 1e6;

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a seed makes the whole run.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0, up to 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

/// How late observations come; all scaled to 5 ms.
#[derive(Debug, Clone, Copy)]
enum Delay {
    /// Up to 5 ms.
    Uniform,
    /// 5 ms on average.
    Exponential,
    /// 5 ms on average, one in a thousand above 150 ms: Pareto (Lomax) with exponent 2.
    Heavy,
}

impl Delay {
    fn draw_ns(self, random: &mut Random) -> f64 {
        let u = random.unit();
        5.0 * MS
            * match self {
                Self::Uniform => 1.0 - u,
                Self::Exponential => -u.ln(),
                Self::Heavy => u.powf(-0.5) - 1.0,
            }
    }
}

/// A device and the bus to it. Device time is its own; `host_ns` is the truth that the map must find.
#[derive(Debug)]
struct Device {
    random: Random,
    rate_hz: f64,
    delay: Delay,
    drift_ppm: f64,
    host_ns: f64,
    device_ns: f64,
    last_arrived_ns: f64,
}

impl Device {
    fn new(seed: u64, rate_hz: f64, delay: Delay, drift_ppm: f64) -> Self {
        let mut random = Random(seed);
        let device_ns = random.unit() * 1e15;
        Self {
            random,
            rate_hz,
            delay,
            drift_ppm,
            host_ns: 1000.0 * SECOND,
            device_ns,
            last_arrived_ns: 0.0,
        }
    }

    /// Captures and is observed once; how far the map lies off, nanoseconds.
    fn observed_by(&mut self, map: &mut ClockMap) -> f64 {
        let period = SECOND / self.rate_hz;
        self.host_ns += period;
        // Positive drift: the device runs slower.
        self.device_ns += period / (1.0 + self.drift_ppm * 1e-6);
        // A queue: nothing overtakes.
        let arrived = (self.host_ns + self.delay.draw_ns(&mut self.random)).max(self.last_arrived_ns);
        self.last_arrived_ns = arrived;
        map.observe(self.device_ns as u64, Timestamp::from_nanos(arrived.ceil() as u64));
        let mapped = map.map(self.device_ns as u64).unwrap();
        mapped.as_nanos() as f64 - self.host_ns
    }

    /// The largest error between `from_s` and `to_s`, milliseconds.
    fn worst_ms(&mut self, map: &mut ClockMap, from_s: f64, to_s: f64) -> f64 {
        let count = |s: f64| (s * self.rate_hz) as u64;
        let (from, to) = (count(from_s), count(to_s));
        let mut worst: f64 = 0.0;
        for nth in 0..to {
            let error = self.observed_by(map).abs() / MS;
            if nth >= from {
                worst = worst.max(error);
            }
        }
        worst
    }
}

const DELAYS: [Delay; 3] = [Delay::Uniform, Delay::Exponential, Delay::Heavy];

/// Runs of fixed seeds, so that what passes once passes always: how many, and of these how many are off by more than 1 ms
/// between `from_s` and a minute.
fn runs_and_misses(rates_hz: &[f64], from_s: f64) -> (u32, u32) {
    let (mut runs, mut misses) = (0, 0);
    for seed in 0..200 {
        for delay in DELAYS {
            for &rate_hz in rates_hz {
                let mut map = ClockMap::new(ClockMapSpec::default());
                let drift_ppm = if seed % 2 == 0 { 50.0 } else { -50.0 };
                let worst = Device::new(seed, rate_hz, delay, drift_ppm).worst_ms(&mut map, from_s, 60.0);
                assert_eq!(map.steps(), 0, "{rate_hz} Hz, {delay:?}, seed {seed}");
                runs += 1;
                misses += u32::from(worst > 1.0);
            }
        }
    }
    (runs, misses)
}

#[test]
fn within_a_millisecond_after_ten_seconds() {
    assert_eq!(runs_and_misses(&[20.0, 30.0, 50.0, 100.0], 10.0), (2400, 0));
}

/// Ninety observations are few: one run in a hundred takes until the window is full.
#[test]
fn nine_observations_a_second_may_take_twenty_seconds() {
    assert_eq!(runs_and_misses(&[9.0], 20.0), (600, 0));
    let (runs, misses) = runs_and_misses(&[9.0], 10.0);
    assert!(misses * 50 <= runs, "{misses} of {runs}");
}

#[test]
fn an_imu_three_per_cent_off() {
    let spec = ClockMapSpec {
        max_drift_ppm: 50_000.0,
        ..ClockMapSpec::default()
    };
    for seed in 0..20 {
        for drift_ppm in [30_000.0, -30_000.0] {
            let mut map = ClockMap::new(spec);
            let worst = Device::new(seed, 50.0, Delay::Uniform, drift_ppm).worst_ms(&mut map, 10.0, 60.0);
            assert!(worst <= 1.0, "{worst} ms");
            let fix = map.fix().unwrap();
            assert!((fix.drift_ppm - drift_ppm).abs() < 100.0, "{fix:?}");
            assert_eq!(fix.steps, 0);
        }
    }
}

/// Three hours; the crystal warms and cools, and something bends it at random.
#[test]
fn drift_may_wander() {
    for (seed, rate_hz) in [(1, 9.0), (2, 50.0)] {
        let mut map = ClockMap::new(ClockMapSpec::default());
        let mut device = Device::new(seed, rate_hz, Delay::Exponential, 30.0);
        let (mut bend_ppm, mut worst): (f64, f64) = (0.0, 0.0);
        let count = (3.0 * 3600.0 * rate_hz) as u64;
        for nth in 0..count {
            let t_s = nth as f64 / rate_hz;
            bend_ppm = (bend_ppm + (device.random.unit() - 0.5) * 0.2 / rate_hz.sqrt()).clamp(-10.0, 10.0);
            device.drift_ppm = 30.0 + 20.0 * (t_s / 600.0 * std::f64::consts::TAU).sin() + bend_ppm;
            let error = device.observed_by(&mut map).abs() / MS;
            if t_s > 20.0 {
                worst = worst.max(error);
            }
        }
        assert!(worst <= 1.0, "{rate_hz} Hz: {worst} ms");
        assert_eq!(map.steps(), 0);
    }
}

#[test]
fn a_stalled_host_is_no_step() {
    for delay in DELAYS {
        let mut map = ClockMap::new(ClockMapSpec::default());
        let mut device = Device::new(7, 100.0, delay, -20.0);
        device.worst_ms(&mut map, 0.0, 20.0);
        // Three seconds of observations wait in a queue.
        device.last_arrived_ns = device.host_ns + 3.0 * SECOND;
        let worst = device.worst_ms(&mut map, 0.0, 20.0);
        assert!(worst <= 1.0, "{worst} ms");
        assert_eq!(map.steps(), 0);
    }
}

fn cases(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// A device reset or a counter that wraps (back), a host that slept while the device did not (ahead), a device that
    /// stood still (back by less than it went on since).
    #[test]
    fn a_step_is_bridged(
        seed: u64,
        rate_hz in 9.0..100.0f64,
        // A tenth of a second to an hour.
        decades in 0.0..4.556f64,
        ahead: bool,
    ) {
        let mut map = ClockMap::new(ClockMapSpec::default());
        let mut device = Device::new(seed, rate_hz, Delay::Uniform, 40.0);
        device.device_ns += 3600.0 * SECOND;
        device.worst_ms(&mut map, 0.0, 30.0);
        let before = map.map(device.device_ns as u64).unwrap();

        let step_ns = 0.1 * SECOND * 10f64.powf(decades);
        device.device_ns += if ahead { step_ns } else { -step_ns };
        // At once, or after half a second and eight observations; two more where jitter hides the pace.
        let at_most = if ahead { 1 } else { 10.max((0.5 * rate_hz) as u64 + 3) };
        let mut taken = 0;
        while map.steps() == 0 && taken < at_most {
            device.observed_by(&mut map);
            taken += 1;
            prop_assert!(map.map(device.device_ns as u64).unwrap() >= before || map.steps() == 0);
        }
        prop_assert_eq!(map.steps(), 1, "after {} observations", taken);

        let worst = device.worst_ms(&mut map, 0.0, 20.0);
        prop_assert!(worst <= 5.5, "no further off than the delay: {} ms", worst);
        let worst = device.worst_ms(&mut map, 0.0, 20.0);
        prop_assert!(worst <= 1.0, "{} ms", worst);
        prop_assert_eq!(map.steps(), 1);
    }

    #[test]
    fn time_never_goes_back(
        seed: u64, rate_hz in 9.0..1000.0f64, delay in prop::sample::select(&DELAYS[..]), drift_ppm in -400.0..400.0f64,
        jumps in prop::collection::vec((0u32..600, -5e9..5e9f64), 0..4),
    ) {
        let mut map = ClockMap::new(ClockMapSpec::default());
        let mut device = Device::new(seed, rate_hz, delay, drift_ppm);
        device.device_ns += 60.0 * SECOND;
        let (mut last, mut newest) = (Timestamp::ZERO, 0);
        for nth in 0..600 {
            device.device_ns += jumps.iter().filter(|(at, _)| *at == nth).map(|(_, by)| by).sum::<f64>();
            let (from, steps) = (device.device_ns as u64, map.steps());
            device.observed_by(&mut map);
            // What was captured between two observations, as the samples of a packet.
            let to = device.device_ns as u64;
            if map.steps() > steps {
                newest = from;
            }
            for nth in 0..=8 {
                let device_ns = from + (to - from) / 8 * nth;
                let mapped = map.map(device_ns).unwrap();
                if device_ns >= newest {
                    prop_assert!(mapped >= last, "{last} then {mapped}");
                    (last, newest) = (mapped, device_ns);
                }
            }
        }
    }

    #[test]
    fn nonsense_is_survived(observations in prop::collection::vec((any::<u64>(), any::<u64>()), 1..200)) {
        let mut map = ClockMap::new(ClockMapSpec { max_drift_ppm: f64::NAN, step: Duration::MAX });
        let mut sane = ClockMap::new(ClockMapSpec::default());
        let mut last = Timestamp::ZERO;
        for (device_ns, arrived) in observations {
            map.observe(device_ns, Timestamp::from_nanos(arrived));
            sane.observe(device_ns, Timestamp::from_nanos(arrived));
            prop_assert!(map.map(device_ns).is_some() && map.map(0) <= map.map(u64::MAX));
            prop_assert!(map.fix().unwrap().drift_ppm.is_finite());
            prop_assert!(sane.map(u64::MAX) >= Some(last));
            last = last.max(sane.map(device_ns).unwrap());
        }
    }
}

#[test]
fn nothing_observed_nothing_known() {
    let map = ClockMap::new(ClockMapSpec::default());
    assert_eq!((map.map(5), map.fix(), map.steps()), (None, None, 0));
}
