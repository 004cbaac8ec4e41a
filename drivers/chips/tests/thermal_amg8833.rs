//! The AMG8833 driver on an emulated chip.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sensebind_chips::thermal::ThermalArray;
use sensebind_chips::thermal::amg8833::{ADDRESS, Amg8833, Error, Rate};
use sensebind_lab::bus::{I2cChip, Nack};
use sensebind_lab::chip::amg8833::Amg8833 as Emulated;
use sensebind_lab::chip::clock::{ChipClock, ManualClock};
use sensebind_lab::chip::thermal::Scene;
use sensebind_lab::hal::LabI2c;

fn scene(time: Duration, column: usize, row: usize) -> f64 {
    // -10 °C to 69 °C, one degree up a second.
    263.15 + 10.0 * row as f64 + 1.13 * column as f64 + time.as_secs_f64().floor()
}

fn chip(scene: Scene, clock: &ManualClock) -> Arc<Mutex<Emulated>> {
    Arc::new(Mutex::new(Emulated::new(scene, ChipClock::manual(clock))))
}

#[test]
fn a_frame_is_the_scene_within_half_a_step() {
    let clock = ManualClock::default();
    let chip = chip(Scene::new(scene), &clock);
    chip.lock().unwrap().set_thermistor_celsius(-3.5);
    let i2c = LabI2c::new(ADDRESS, chip);
    let mut driver = Amg8833::start(i2c, ADDRESS, Rate::Ten, &mut clock.clone()).unwrap();
    let mut kelvin = [0.0; 64];
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1));
        let info = driver.poll(&mut kelvin).unwrap().unwrap();
        assert!((info.chip_k.unwrap() - 269.65).abs() < 1e-3, "{info:?}");
        let time = Duration::from_nanos(clock.elapsed_ns());
        for (pixel, found) in kelvin.iter().enumerate() {
            let expected = scene(time, pixel % 8, pixel / 8);
            assert!(
                (f64::from(*found) - expected).abs() < 0.126,
                "pixel {pixel}: {found} K, scene {expected} K"
            );
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let clock = ManualClock::default();
    let mut delay = clock.clone();
    let i2c = || LabI2c::new(ADDRESS, chip(Scene::new(scene), &clock));
    let absent = Amg8833::start(i2c(), 0x69, Rate::One, &mut delay);
    assert!(matches!(absent, Err(Error::Bus(_))));

    let mut driver = Amg8833::start(i2c(), ADDRESS, Rate::One, &mut delay).unwrap();
    assert_eq!(driver.poll(&mut [0.0; 63]), Err(Error::BufferLength(63)));

    let furnace = chip(Scene::new(|_, _, _| 900.0), &clock);
    let mut driver = Amg8833::start(LabI2c::new(ADDRESS, furnace), ADDRESS, Rate::One, &mut delay).unwrap();
    assert_eq!(driver.poll(&mut [0.0; 64]), Err(Error::Overflow));
}

/// A chip that keeps nothing.
struct Other;

impl I2cChip for Other {
    fn write(&mut self, _: &[u8]) -> Result<(), Nack> {
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        into.fill(0x71);
        Ok(())
    }
}

#[test]
fn another_chip_is_refused() {
    let i2c = LabI2c::new(ADDRESS, Arc::new(Mutex::new(Other)));
    let refused = Amg8833::start(i2c, ADDRESS, Rate::One, &mut ManualClock::default());
    let expected = Error::NotAnAmg88 {
        expected: 1,
        found: 0x71,
    };
    assert_eq!(refused.err(), Some(expected));
}
