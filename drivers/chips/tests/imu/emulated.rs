//! Each driver reads the chip that the lab emulates from its data sheet.

use std::fmt::Debug;
use std::time::Duration;

use sensebind_chips::imu::{DEGREE_RAD, Error, GapCause, ImuChip, STANDARD_GRAVITY_M_S2, Sample, Setting, TickSource};
use sensebind_lab::chip::clock::ChipClock;
use sensebind_lab::chip::imu_body::Motion;
use sensebind_lab::chip::{bmi160, icm20948, icm42688, lsm6dsox, mpu6050};

use crate::bench::{Bench, Pair, on_i2c, on_spi};

const KILOHERTZ: Setting = Setting {
    rate_hz: 1000.0,
    acceleration_range_g: 2,
    angular_rate_range_dps: 500,
};

/// Half a metre per second squared more each second: a sample tells when it was taken, to about a millisecond.
fn ramp(time_s: f64) -> Motion {
    Motion {
        acceleration_m_s2: [0.5 * time_s, -0.5 * time_s, 9.806_65],
        angular_rate_rad_s: [0.1 * time_s, 0.2, -0.1 * time_s],
    }
}

/// Ten seconds at a kilohertz, read every 15 ms: every sample arrives, in order, with the right time.
fn loses_nothing<C: Pair, D: ImuChip>(mut bench: Bench<C, D>, slice: usize) {
    bench.set_motion(ramp);
    let running = bench.configure(&KILOHERTZ);
    assert!(running.rate_hz >= 990.0, "{running:?}");
    let mut samples = Vec::new();
    // 15 ms and a bit, so that reads fall anywhere between samples.
    let step = Duration::from_micros(15_077);
    let steps = 664_u32;
    for _ in 0..steps {
        bench.clock.advance(step);
        for read in bench.drain(slice, &mut samples).unwrap() {
            assert_eq!(read.gap, None, "after {} samples", samples.len());
        }
    }
    assert_eq!(samples.len() as u64, bench.produced(), "{running:?}");
    let expected = running.rate_hz * (step * steps).as_secs_f64();
    // The gyroscope of the LSM6DSOX may settle for the first few samples.
    assert!(
        (samples.len() as f64 - expected).abs() <= 3.0,
        "{} of {expected}",
        samples.len()
    );

    let first = samples[0];
    let per_sample = 1.0 / (running.rate_hz * running.tick_s);
    for (index, sample) in samples.iter().enumerate() {
        let ticks = (sample.device_ticks - first.device_ticks) as f64;
        assert!(
            (ticks - index as f64 * per_sample).abs() <= 1.5,
            "sample {index} at tick {ticks}, {per_sample} each"
        );
        let by_value_s = f64::from(sample.acceleration_m_s2[0] - first.acceleration_m_s2[0]) / 0.5;
        let by_ticks_s = ticks * running.tick_s;
        assert!((by_value_s - by_ticks_s).abs() < 0.003, "{by_value_s} {by_ticks_s}");
        assert!((sample.acceleration_m_s2[0] + sample.acceleration_m_s2[1]).abs() < 0.002);
        assert!((sample.angular_rate_rad_s[0] + sample.angular_rate_rad_s[2]).abs() < 0.001);
        assert!((sample.angular_rate_rad_s[1] - 0.2).abs() < 0.001);
    }
}

fn at_rest(sample: &Sample) -> bool {
    let near = |found: [f32; 3], expected: [f32; 3]| found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 0.01);
    near(sample.acceleration_m_s2, [0.0, 0.0, STANDARD_GRAVITY_M_S2]) && near(sample.angular_rate_rad_s, [0.0; 3])
}

/// Two seconds without reading: the loss is told, in number where the chip can know, and reading goes on.
fn reports_overflow<C: Pair, D: ImuChip>(mut bench: Bench<C, D>) {
    let running = bench.configure(&KILOHERTZ);
    let mut samples = Vec::new();
    let mut lost = 0;
    for round in 0..3 {
        for _ in 0..10 {
            bench.advance(15);
            for read in bench.drain(400, &mut samples).unwrap() {
                assert_eq!(read.gap, None, "round {round}");
            }
        }
        // A little later each time, so that the FIFO is cut elsewhere.
        bench.advance(2000 + 7 * round);
        let gaps: Vec<_> = bench
            .drain(400, &mut samples)
            .unwrap()
            .into_iter()
            .filter_map(|read| read.gap)
            .collect();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert_eq!(gaps[0].cause, GapCause::Overflow);
        match running.tick_source {
            TickSource::ChipClock => lost += u64::from(gaps[0].lost_samples.unwrap()),
            TickSource::SampleCount => assert_eq!(gaps[0].lost_samples, None),
        }
    }
    bench.advance(15);
    let before = samples.len();
    bench.drain(400, &mut samples).unwrap();
    assert!(samples.len() >= before + 14);
    assert!(samples.iter().all(at_rest));
    if running.tick_source == TickSource::ChipClock {
        assert_eq!(samples.len() as u64 + lost, bench.produced());
        let per_sample = 1.0 / (running.rate_hz * running.tick_s);
        let span = (samples.last().unwrap().device_ticks - samples[0].device_ticks) as f64;
        assert!((span / per_sample - (bench.produced() - 1) as f64).abs() < 0.1);
    }
}

/// A bus that breaks off in the middle of a burst costs samples, and nothing else.
fn recovers_from_a_broken_read<C: Pair, D: ImuChip>(bench: impl Fn() -> Bench<C, D>)
where
    D::BusError: Debug,
{
    for bytes in [0, 1, 3, 5, 9, 17, 40, 100, 131] {
        let mut bench = bench();
        let running = bench.configure(&KILOHERTZ);
        let mut samples = Vec::new();
        bench.advance(15);
        bench.drain(400, &mut samples).unwrap();
        bench.advance(15);
        bench.fail_read_after(bytes);
        let error = bench.drain(400, &mut samples).unwrap_err();
        assert!(matches!(error, Error::Bus(_)), "{error:?}");
        let (mut gaps, mut lost) = (0, 0);
        for _ in 0..5 {
            bench.advance(15);
            for read in bench.drain(400, &mut samples).unwrap() {
                if let Some(gap) = read.gap {
                    assert_eq!(gap.cause, GapCause::BusError, "after {bytes} bytes");
                    gaps += 1;
                    lost += u64::from(gap.lost_samples.unwrap_or(0));
                }
            }
        }
        assert!(samples.iter().all(at_rest), "after {bytes} bytes");
        if running.tick_source == TickSource::SampleCount {
            assert!(gaps <= 1, "after {bytes} bytes");
        }
        if running.tick_source == TickSource::ChipClock {
            assert_eq!(samples.len() as u64 + lost, bench.produced(), "after {bytes} bytes");
        }
        // Of 105 ms at most the 30 around the break are gone.
        assert!(samples.len() >= 74, "{}", samples.len());
    }
}

fn names_a_wrong_chip<C: Pair, D: ImuChip>(mut bench: Bench<C, D>) {
    bench.chip.lock().unwrap().body().set_identity(0xa5);
    let mut delay = bench.clock.clone();
    for error in [
        bench.driver.probe().unwrap_err(),
        bench.driver.configure(&Setting::default(), &mut delay).unwrap_err(),
    ] {
        assert!(matches!(error, Error::WrongChip { found: 0xa5, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("0xa5") && text.contains(bench.driver.name()), "{text}");
    }
    let error = bench.driver.read_fifo(&mut [Sample::default()]).unwrap_err();
    assert!(matches!(error, Error::NotConfigured { .. }), "{error:?}");
}

/// Every range the chip has, at its ends and in the middle.
fn scales_every_range<C: Pair, D: ImuChip>(mut bench: Bench<C, D>) {
    for (acceleration_range_g, angular_rate_range_dps) in [(2, 250), (3, 260), (8, 1000), (16, 2000)] {
        let turn = f64::from(angular_rate_range_dps) * 0.9 * f64::from(DEGREE_RAD);
        let pull = f64::from(acceleration_range_g) * 0.9 * 9.806_65;
        bench.set_motion(move |_| Motion {
            acceleration_m_s2: [pull, -pull, pull / 3.0],
            angular_rate_rad_s: [-turn, turn, turn / 3.0],
        });
        let running = bench.configure(&Setting {
            rate_hz: 100.0,
            acceleration_range_g,
            angular_rate_range_dps,
        });
        assert!(running.acceleration_range_g >= acceleration_range_g);
        assert!(running.angular_rate_range_dps >= angular_rate_range_dps);
        bench.advance(100);
        let mut samples = Vec::new();
        bench.drain(16, &mut samples).unwrap();
        let sample = samples.last().unwrap();
        let half_count_m_s2 = f64::from(running.acceleration_range_g) * 9.81 / 32_768.0;
        let half_count_rad_s = f64::from(running.angular_rate_range_dps) * 1.2 * f64::from(DEGREE_RAD) / 32_768.0;
        for (found, expected) in sample.acceleration_m_s2.iter().zip([pull, -pull, pull / 3.0]) {
            assert!(
                (f64::from(*found) - expected).abs() < half_count_m_s2,
                "{sample:?} {running:?}"
            );
        }
        for (found, expected) in sample.angular_rate_rad_s.iter().zip([-turn, turn, turn / 3.0]) {
            assert!(
                (f64::from(*found) - expected).abs() < half_count_rad_s,
                "{sample:?} {running:?}"
            );
        }
    }
    let mut delay = bench.clock.clone();
    for beyond in [
        Setting {
            acceleration_range_g: 100,
            ..Setting::default()
        },
        Setting {
            angular_rate_range_dps: 9000,
            ..Setting::default()
        },
        Setting {
            rate_hz: 1e6,
            ..Setting::default()
        },
        Setting {
            rate_hz: f32::NAN,
            ..Setting::default()
        },
        Setting {
            rate_hz: 0.0,
            ..Setting::default()
        },
    ] {
        let error = bench.driver.configure(&beyond, &mut delay).unwrap_err();
        assert!(matches!(error, Error::BeyondChip { .. }), "{error:?}");
    }
}

macro_rules! cases {
    ($name:ident, $chip:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn loses_nothing_on_i2c() {
                loses_nothing(on_i2c::<$chip>(Pair::chip), 400);
            }

            #[test]
            fn loses_nothing_on_spi_in_small_slices() {
                loses_nothing(on_spi::<$chip>(Pair::chip), 3);
            }

            #[test]
            fn overflow_on_i2c() {
                reports_overflow(on_i2c::<$chip>(Pair::chip));
            }

            #[test]
            fn overflow_on_spi() {
                reports_overflow(on_spi::<$chip>(Pair::chip));
            }

            #[test]
            fn broken_read() {
                recovers_from_a_broken_read(|| on_i2c::<$chip>(Pair::chip));
            }

            #[test]
            fn wrong_chip() {
                names_a_wrong_chip(on_i2c::<$chip>(Pair::chip));
                names_a_wrong_chip(on_spi::<$chip>(Pair::chip));
            }

            #[test]
            fn scale() {
                scales_every_range(on_i2c::<$chip>(Pair::chip));
            }
        }
    };
}

cases!(bmi160_chip, bmi160::Bmi160);
cases!(icm20948_chip, icm20948::Icm20948);
cases!(icm42688_chip, icm42688::Icm42688);
cases!(lsm6dsox_chip, lsm6dsox::Lsm6dsox);
cases!(mpu9250_chip, mpu6050::Mpu6050);

fn mpu6050_chip(clock: ChipClock) -> mpu6050::Mpu6050 {
    mpu6050::Mpu6050::with_clock(mpu6050::Model::Mpu6050, clock)
}

#[test]
fn the_mpu6050_loses_nothing_and_reports_overflow() {
    loses_nothing(on_i2c(mpu6050_chip), 400);
    reports_overflow(on_i2c(mpu6050_chip));
    recovers_from_a_broken_read(|| on_i2c(mpu6050_chip));
}

#[test]
fn the_time_stamp_of_the_lsm6dsox_may_come_last_in_its_slot() {
    let chip = |clock| {
        let mut chip = lsm6dsox::Lsm6dsox::with_clock(clock);
        chip.put_timestamp_last();
        chip
    };
    loses_nothing(on_i2c(chip), 400);
    loses_nothing(on_spi(chip), 1);
    reports_overflow(on_i2c(chip));
}

#[test]
fn the_trim_of_the_lsm6dsox_sets_rate_and_ticks() {
    let mut bench = on_i2c(|clock| {
        let mut chip = lsm6dsox::Lsm6dsox::with_clock(clock);
        chip.set_trim(-20);
        chip
    });
    let running = bench.configure(&KILOHERTZ);
    assert!((running.rate_hz - 40_000.0 / 24.0 * 0.97).abs() < 1e-6);
    let mut samples = Vec::new();
    for _ in 0..100 {
        bench.advance(20);
        bench.drain(400, &mut samples).unwrap();
    }
    assert!(
        (samples.len() as f64 - 2.0 * running.rate_hz).abs() < 3.0,
        "{}",
        samples.len()
    );
    let span_s = (samples.last().unwrap().device_ticks - samples[0].device_ticks) as f64 * running.tick_s;
    assert!((span_s - (samples.len() - 1) as f64 / running.rate_hz).abs() < 1e-4);
}

#[test]
fn ticks_follow_the_chips_own_oscillator() {
    fn check<C: Pair, D: ImuChip>(mut bench: Bench<C, D>) {
        let running = bench.configure(&Setting::default());
        let mut samples = Vec::new();
        bench.advance(20);
        bench.drain(400, &mut samples).unwrap();
        let start = *samples.last().unwrap();
        for _ in 0..5_000 {
            bench.advance(20);
            bench.drain(400, &mut samples).unwrap();
        }
        let ticks = samples.last().unwrap().device_ticks - start.device_ticks;
        let error_s = ticks as f64 * running.tick_s - 100.0 * 1.0002;
        assert!(error_s.abs() < 1.5 / running.rate_hz, "{error_s}");
    }
    check(on_i2c(|clock| bmi160::Bmi160::with_clock(clock.fast_by_ppm(200.0))));
    check(on_i2c(|clock| icm42688::Icm42688::with_clock(clock.fast_by_ppm(200.0))));
    check(on_i2c(|clock| lsm6dsox::Lsm6dsox::with_clock(clock.fast_by_ppm(200.0))));
    check(on_i2c(|clock| {
        mpu6050::Mpu6050::with_clock(mpu6050::Model::Mpu6050, clock.fast_by_ppm(200.0))
    }));
}

#[test]
fn rates_are_the_lowest_that_is_not_below() {
    fn rates<C: Pair, D: ImuChip>(mut bench: Bench<C, D>) -> Vec<f64> {
        [50.0, 104.0, 200.0, 400.0, 833.0, 1000.0]
            .map(|rate_hz| {
                let running = bench.configure(&Setting {
                    rate_hz,
                    ..Setting::default()
                });
                (running.rate_hz * 10.0).round() / 10.0
            })
            .to_vec()
    }
    assert_eq!(
        rates(on_i2c(bmi160::Bmi160::with_clock)),
        [50.0, 200.0, 200.0, 400.0, 1600.0, 1600.0]
    );
    assert_eq!(
        rates(on_i2c(icm20948::Icm20948::with_clock)),
        [51.1, 112.5, 225.0, 562.5, 1125.0, 1125.0]
    );
    assert_eq!(
        rates(on_i2c(icm42688::Icm42688::with_clock)),
        [50.0, 200.0, 200.0, 500.0, 1000.0, 1000.0]
    );
    assert_eq!(
        rates(on_i2c(lsm6dsox::Lsm6dsox::with_clock)),
        [52.1, 104.2, 208.3, 416.7, 833.3, 1666.7]
    );
    assert_eq!(rates(on_i2c(mpu6050_chip)), [50.0, 111.1, 200.0, 500.0, 1000.0, 1000.0]);
}
