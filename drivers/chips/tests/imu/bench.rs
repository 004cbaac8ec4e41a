//! An emulated chip, its driver and a bus between them, in a time of their own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sensebind_chips::imu::{
    Error, FifoRead, ImuChip, Running, Sample, Setting, bmi160::Bmi160, icm20948::Icm20948, icm42688::Icm42688,
    lsm6dsox::Lsm6dsox, mpu6050::Mpu6050,
};
use sensebind_chips::registers::{I2cRegisters, RegisterBus, SpiRegisters};
use sensebind_lab::bus::{I2cChip, SpiChip};
use sensebind_lab::chip::clock::{ChipClock, ManualClock};
use sensebind_lab::chip::imu_body::{ImuBody, Motion};
use sensebind_lab::chip::{bmi160, icm20948, icm42688, lsm6dsox, mpu6050};
use sensebind_lab::hal::{LabI2c, LabSpi};

/// An emulated chip and its driver.
pub trait Pair: I2cChip + SpiChip + Sized {
    type Driver<B: RegisterBus>: ImuChip<BusError = B::Error>;
    fn chip(clock: ChipClock) -> Self;
    fn driver<B: RegisterBus>(registers: B) -> Self::Driver<B>;
    fn body(&mut self) -> &mut ImuBody;
    fn produced(&self) -> u64;
}

macro_rules! pair {
    ($chip:ty, $driver:ident, $make:expr) => {
        impl Pair for $chip {
            type Driver<B: RegisterBus> = $driver<B>;

            fn chip(clock: ChipClock) -> Self {
                $make(clock)
            }

            fn driver<B: RegisterBus>(registers: B) -> $driver<B> {
                $driver::new(registers)
            }

            fn body(&mut self) -> &mut ImuBody {
                &mut self.body
            }

            fn produced(&self) -> u64 {
                <$chip>::produced(self)
            }
        }
    };
}

pair!(bmi160::Bmi160, Bmi160, Self::with_clock);
pair!(icm20948::Icm20948, Icm20948, Self::with_clock);
pair!(icm42688::Icm42688, Icm42688, Self::with_clock);
pair!(lsm6dsox::Lsm6dsox, Lsm6dsox, Self::with_clock);

// An MPU-9250: the emulated type covers the family, a pair is one chip.
pair!(mpu6050::Mpu6050, Mpu6050, |clock| Self::with_clock(
    mpu6050::Model::Mpu9250,
    clock
));

pub const ADDRESS: u8 = 0x68;

/// One chip with its driver on a bus, in a time of its own.
pub struct Bench<C, D> {
    pub clock: ManualClock,
    pub chip: Arc<Mutex<C>>,
    pub driver: D,
}

pub fn on_i2c<C: Pair>(chip: impl FnOnce(ChipClock) -> C) -> Bench<C, C::Driver<I2cRegisters<LabI2c<C>>>> {
    let clock = ManualClock::default();
    let chip = Arc::new(Mutex::new(chip(ChipClock::manual(&clock))));
    let driver = C::driver(I2cRegisters::new(LabI2c::new(ADDRESS, Arc::clone(&chip)), ADDRESS));
    Bench { clock, chip, driver }
}

pub fn on_spi<C: Pair>(chip: impl FnOnce(ChipClock) -> C) -> Bench<C, C::Driver<SpiRegisters<LabSpi<C>>>> {
    let clock = ManualClock::default();
    let chip = Arc::new(Mutex::new(chip(ChipClock::manual(&clock))));
    let driver = C::driver(SpiRegisters::new(LabSpi::new(Arc::clone(&chip))));
    Bench { clock, chip, driver }
}

impl<C: Pair, D: ImuChip> Bench<C, D> {
    pub fn configure(&mut self, wanted: &Setting) -> Running {
        let mut delay = self.clock.clone();
        self.driver.configure(wanted, &mut delay).unwrap()
    }

    pub fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    pub fn set_motion(&self, motion: impl Fn(f64) -> Motion + Send + 'static) {
        self.chip.lock().unwrap().body().set_motion(motion);
    }

    pub fn fail_read_after(&self, bytes: usize) {
        self.chip.lock().unwrap().body().fail_read_after(bytes);
    }

    pub fn produced(&self) -> u64 {
        self.chip.lock().unwrap().produced()
    }

    /// Empties the FIFO, `slice` samples at a time.
    pub fn drain(&mut self, slice: usize, into: &mut Vec<Sample>) -> Result<Vec<FifoRead>, Error<D::BusError>> {
        let mut reads = Vec::new();
        let mut room = vec![Sample::default(); slice];
        loop {
            let read = self.driver.read_fifo(&mut room)?;
            into.extend_from_slice(&room[..read.samples]);
            reads.push(read);
            if !read.more {
                return Ok(reads);
            }
        }
    }
}
