//! Whatever bytes a FIFO holds, reading it ends without panic, within the slice, and in physical bounds.

use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;
use sensebind_chips::imu::{ImuChip, Sample, Setting};
use sensebind_chips::registers::{I2cRegisters, Interface, RegisterBus};
use sensebind_lab::chip::{bmi160, icm20948, icm42688, lsm6dsox, mpu6050};
use sensebind_lab::hal::LabI2c;

use crate::bench::{ADDRESS, Bench, Pair, on_i2c};

type Noise = Rc<RefCell<Option<Vec<u8>>>>;

/// A chip's registers until there is noise: then every read takes from that, over and over.
struct Noisy<B> {
    registers: B,
    noise: Noise,
    position: usize,
}

impl<B: RegisterBus> RegisterBus for Noisy<B> {
    type Error = B::Error;

    const INTERFACE: Interface = B::INTERFACE;

    fn read_registers(&mut self, first: u8, into: &mut [u8]) -> Result<(), Self::Error> {
        self.registers.read_registers(first, into)?;
        if let Some(noise) = &*self.noise.borrow() {
            for byte in into {
                *byte = noise[self.position % noise.len()];
                self.position += 1;
            }
        }
        Ok(())
    }

    fn write_register(&mut self, register: u8, value: u8) -> Result<(), Self::Error> {
        self.registers.write_register(register, value)
    }
}

fn survives<C: Pair>(noise: &[u8], slice: usize) {
    let Bench { clock, chip, .. } = on_i2c::<C>(Pair::chip);
    let held = Noise::default();
    let mut driver = C::driver(Noisy {
        registers: I2cRegisters::new(LabI2c::new(ADDRESS, chip), ADDRESS),
        noise: Rc::clone(&held),
        position: 0,
    });
    driver.configure(&Setting::default(), &mut clock.clone()).unwrap();
    *held.borrow_mut() = Some(noise.to_vec());
    let mut samples = vec![Sample::default(); slice];
    let mut ticks = 0;
    for _ in 0..8 {
        let Ok(read) = driver.read_fifo(&mut samples) else {
            continue;
        };
        assert!(read.samples <= slice);
        for sample in &samples[..read.samples] {
            assert!(sample.device_ticks >= ticks, "time runs backwards");
            ticks = sample.device_ticks;
            assert!(sample.acceleration_m_s2.iter().all(|value| value.abs() <= 160.0));
            assert!(sample.angular_rate_rad_s.iter().all(|value| value.abs() <= 36.0));
        }
    }
    // Right again once it is configured again.
    *held.borrow_mut() = None;
    driver.configure(&Setting::default(), &mut clock.clone()).unwrap();
    clock.advance(std::time::Duration::from_millis(20));
    let mut samples = [Sample::default(); 16];
    let read = driver.read_fifo(&mut samples).unwrap();
    assert!(read.samples >= 3 && read.gap.is_none(), "{read:?}");
}

/// Bytes near what the chips send: counts that are possible, headers and tags that exist.
fn fifo_like() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => any::<u8>(),
        2 => prop::sample::select(vec![0x00, 0x01, 0x02, 0x40, 0x44, 0x48, 0x68, 0x80, 0x8c, 0xff]),
        1 => prop::sample::select(vec![0x08, 0x0a, 0x10, 0x12, 0x20, 0x22, 0x24, 0x26]),
    ];
    prop::collection::vec(byte, 1..3000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bmi160_fifo(noise in fifo_like(), slice in 0_usize..200) {
        survives::<bmi160::Bmi160>(&noise, slice);
    }

    #[test]
    fn icm20948_fifo(noise in fifo_like(), slice in 0_usize..200) {
        survives::<icm20948::Icm20948>(&noise, slice);
    }

    #[test]
    fn icm42688_fifo(noise in fifo_like(), slice in 0_usize..200) {
        survives::<icm42688::Icm42688>(&noise, slice);
    }

    #[test]
    fn lsm6dsox_fifo(noise in fifo_like(), slice in 0_usize..200) {
        survives::<lsm6dsox::Lsm6dsox>(&noise, slice);
    }

    #[test]
    fn mpu6050_fifo(noise in fifo_like(), slice in 0_usize..200) {
        survives::<mpu6050::Mpu6050>(&noise, slice);
    }
}
