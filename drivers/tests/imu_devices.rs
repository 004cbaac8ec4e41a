//! Inertial sensors through device nodes: emulated chips on I2C and SPI, and IIO devices.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use rustix::time::{ClockId, clock_gettime};
use sensebind_core::{Clock, Driver, ErrorKind, Reading, Settings, Source, SourceError, StreamId, Timestamp};
use sensebind_drivers::host_clock::HostClock;
use sensebind_drivers::iio_imu::IioImu;
use sensebind_drivers::imu_chip::ImuChip;
use sensebind_lab::bus::{I2cChip, SpiChip};
use sensebind_lab::chip::bmi160::Bmi160;
use sensebind_lab::chip::clock::ChipClock;
use sensebind_lab::chip::icm20948::Icm20948;
use sensebind_lab::chip::icm42688::Icm42688;
use sensebind_lab::chip::imu_body::{ImuBody, Motion};
use sensebind_lab::chip::lsm6dsox::Lsm6dsox;
use sensebind_lab::chip::mpu6050::{Model, Mpu6050};
use sensebind_lab::{Errno, Iio, IioSpec, Lab, ScanType};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(200);
/// Readings without a frame after which a test gives up.
const PATIENCE: u32 = 50;
const PPM: f64 = 50.0;

/// One sample: number, capture time, values.
#[derive(Debug, Clone, Copy)]
struct Got {
    seq: u64,
    captured: Timestamp,
    values: [f32; 6],
}

fn lab(test: &str) -> Option<Lab> {
    Lab::new().map_err(|why| eprintln!("SKIPPED: {test}: {why}")).ok()
}

fn open(driver: &dyn Driver, settings: &Settings) -> Result<Box<dyn Source>, SourceError> {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    driver.check(settings).unwrap();
    let source = driver.open(&StreamId::new("under test"), settings, &clock)?;
    assert_eq!(driver.sense(settings).unwrap(), source.format().sense());
    Ok(source)
}

fn refused(driver: &dyn Driver, settings: &Settings) -> SourceError {
    open(driver, settings).err().expect("it should not have opened")
}

fn next(source: &mut dyn Source) -> Result<Got, SourceError> {
    for _ in 0..PATIENCE {
        if let Reading::Frame(frame) = source.read(TIMEOUT)? {
            let (values, rest) = frame.data.as_chunks::<4>();
            assert!(rest.is_empty());
            return Ok(Got {
                seq: frame.seq,
                captured: frame.captured,
                values: values
                    .iter()
                    .map(|bytes| f32::from_le_bytes(*bytes))
                    .collect::<Vec<_>>()
                    .try_into()
                    .unwrap(),
            });
        }
    }
    panic!("no sample came");
}

fn take(source: &mut dyn Source, count: usize) -> Vec<Got> {
    (0..count).map(|_| next(source).unwrap()).collect()
}

fn first_error(source: &mut dyn Source) -> SourceError {
    (0..100_000).find_map(|_| source.read(TIMEOUT).err()).unwrap()
}

fn with(settings: &Settings, key: &str, value: impl Into<toml::Value>) -> Settings {
    let mut settings = settings.clone();
    settings.insert(key.to_owned(), value.into());
    settings
}

/// Lets time pass without reading.
fn pause(ms: u64) {
    let clock = HostClock::start();
    clock.wait_until(clock.now().after(Duration::from_millis(ms)));
}

/// Samples missing by their numbers must be missing by their times.
fn assert_gaps_are_honest(got: &[Got], rate_hz: f64) {
    for pair in got.windows(2) {
        let [before, after] = [pair[0], pair[1]];
        let numbers = after.seq - before.seq;
        let periods = after.captured.since(before.captured).as_secs_f64() * rate_hz;
        assert!(numbers >= 1, "{before:?} then {after:?}");
        // Mapped times hurry and dawdle by up to half a period, and a jump in the map is a few more.
        let tolerance = 4.0 + numbers as f64 * 0.02;
        assert!(
            (periods - numbers as f64).abs() < tolerance,
            "{numbers} on from {before:?} in {periods:.2} periods"
        );
    }
}

// Chips.

trait Emulated: I2cChip + SpiChip + 'static {
    fn body(&mut self) -> &mut ImuBody;
}

macro_rules! emulated {
    ($($chip:ty),+) => {
        $(impl Emulated for $chip {
            fn body(&mut self) -> &mut ImuBody {
                &mut self.body
            }
        })+
    };
}
emulated!(Bmi160, Icm20948, Icm42688, Lsm6dsox, Mpu6050);

const RAMP_S: f64 = 0.5;
const RAMP_RAD_S: f64 = 15.0;

/// Along the chip's axes: all different, and the angular rate about x tells the chip's time, again and again.
fn telling_time(at_s: f64) -> Motion {
    Motion {
        acceleration_m_s2: [1.0, -2.0, 9.5],
        angular_rate_rad_s: [at_s % RAMP_S / RAMP_S * RAMP_RAD_S, 0.5, -0.25],
    }
}

/// A chip that tells time, its oscillator fast; when it was switched on.
fn moving<C: Emulated>(make: impl FnOnce(ChipClock) -> C) -> (Arc<Mutex<C>>, Timestamp) {
    let host = HostClock::start();
    let mut chip = make(ChipClock::host().fast_by_ppm(PPM));
    chip.body().set_motion(telling_time);
    (Arc::new(Mutex::new(chip)), host.epoch())
}

fn settings(chip: &str, bus: &str, path: &Path) -> Settings {
    let mut settings = toml::toml! { rate_hz = 1000
    orientation = ["+y", "-x", "+z"] };
    settings.insert("chip".to_owned(), chip.into());
    settings.insert(bus.to_owned(), path.to_str().unwrap().into());
    settings
}

/// Of `got`, half of the samples are nearer to the truth than this, in seconds: mapped time less the chip's own.
fn median_error_s(got: &[Got], switched_on: Timestamp) -> f64 {
    let mut errors: Vec<f64> = got
        .iter()
        .map(|got| {
            // Board y is chip -x.
            let ramp = f64::from(-got.values[4]) / RAMP_RAD_S * RAMP_S;
            let chip_s = got.captured.since(switched_on).as_secs_f64() * (1.0 + PPM * 1e-6);
            let off = (chip_s - ramp).rem_euclid(RAMP_S);
            if off > RAMP_S / 2.0 { off - RAMP_S } else { off }
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}

fn assert_turned(got: &Got) {
    let [ax, ay, az, gx, gy, gz] = got.values;
    let near = |value: f32, expected: f32| (value - expected).abs() < 0.01;
    assert!(near(ax, -2.0) && near(ay, -1.0) && near(az, 9.5), "m/s²: {got:?}");
    assert!(near(gx, 0.5) && near(gz, -0.25), "rad/s: {got:?}");
    assert!((-RAMP_RAD_S as f32 - 0.01..=0.01).contains(&gy), "{got:?}");
}

/// Two seconds and a half of samples as they come, on a thread of its own: what it lost, and what else is promised.
fn stream_all(chip: &str, settings: &Settings, switched_on: Timestamp) -> u64 {
    let mut source = open(&ImuChip, settings).unwrap();
    let rate_hz = source.format().rate_hz();
    assert!((990.0..=1700.0).contains(&rate_hz), "{chip}: {rate_hz}");
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    let wall = HostClock::start();
    let before = cpu();
    let got = take(&mut *source, (2.5 * rate_hz) as usize);
    let spent = cpu() - before;
    let took = wall.now().since(wall.epoch()).as_secs_f64();
    let lost = got[got.len() - 1].seq + 1 - got.len() as u64;

    got.iter().for_each(assert_turned);
    assert_gaps_are_honest(&got, rate_hz);
    let warm = &got[got.len() / 2..];
    let periods = (warm[warm.len() - 1].seq - warm[0].seq) as f64;
    let spacing = warm[warm.len() - 1].captured.since(warm[0].captured).as_secs_f64() * rate_hz / periods;
    assert!((spacing - 1.0).abs() < 0.02, "{chip}: {spacing} periods apart");
    let error_s = median_error_s(warm, switched_on);
    assert!(error_s.abs() < 1e-3, "{chip}: captured {error_s} s from the truth");
    let fix = source.clock_fix().unwrap();
    assert!(fix.drift_ppm.abs() < 50_000.0 && fix.steps <= lost, "{chip}: {fix:?}");
    let bus = if settings.contains_key("i2c") { "I2C" } else { "SPI" };
    eprintln!(
        "{chip} on {bus}: {rate_hz} Hz, {} samples, {lost} lost, median error {:.0} us, {:.2} % of a core",
        got.len(),
        error_s * 1e6,
        spent / took * 100.0
    );
    lost
}

/// A busy machine may keep a reader waiting for longer than a FIFO lasts (38 ms the shortest): now and then, not always.
fn loses_nothing(chip: &str, settings: &Settings, switched_on: Timestamp) {
    let lost: Vec<_> = (0..5)
        .map(|_| stream_all(chip, settings, switched_on))
        .take_while(|lost| *lost > 0)
        .collect();
    assert!(lost.len() < 5, "{chip}: lost {lost:?}");
}

fn chip_on_both_buses<C: Emulated>(name: &str, address: u8, make: fn(ChipClock) -> C) {
    let Some(lab) = lab(name) else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (chip, switched_on) = moving(make);
            let bus = lab.i2c("i2c-1", vec![(address, Box::new(chip))]);
            loses_nothing(name, &settings(name, "i2c", bus.path()), switched_on);
        });
        if name == "mpu6050" {
            return;
        }
        scope.spawn(|| {
            let (chip, switched_on) = moving(make);
            let device = lab.spi("spidev0.0", Box::new(chip));
            let settings = with(&settings(name, "spi", device.path()), "speed_hz", 4_000_000);
            loses_nothing(name, &settings, switched_on);
            assert_eq!((device.mode(), device.speed_hz()), (0, 4_000_000));
        });
    });
}

#[test]
fn mpu6050_at_a_kilohertz() {
    chip_on_both_buses("mpu6050", 0x68, |clock| Mpu6050::with_clock(Model::Mpu6050, clock));
}

#[test]
fn mpu9250_at_a_kilohertz() {
    chip_on_both_buses("mpu9250", 0x68, |clock| Mpu6050::with_clock(Model::Mpu9250, clock));
}

#[test]
fn bmi160_at_its_next_rate_above_a_kilohertz() {
    chip_on_both_buses("bmi160", 0x68, Bmi160::with_clock);
}

#[test]
fn icm20948_at_a_kilohertz() {
    chip_on_both_buses("icm20948", 0x68, Icm20948::with_clock);
}

#[test]
fn icm42688_at_a_kilohertz() {
    chip_on_both_buses("icm42688", 0x68, Icm42688::with_clock);
}

#[test]
fn lsm6dsox_at_its_next_rate_above_a_kilohertz() {
    chip_on_both_buses("lsm6dsox", 0x6a, Lsm6dsox::with_clock);
}

#[test]
fn pulled_adapters_are_gone_and_the_same_settings_open_them_again() {
    let Some(lab) = lab("pulled adapters") else { return };
    let (chip, _) = moving(Bmi160::with_clock);
    let bus = lab.i2c("i2c-3", vec![(0x69, Box::new(chip))]);
    let on_i2c = with(&settings("bmi160", "i2c", bus.path()), "address", 0x69);
    let (chip, _) = moving(Icm42688::with_clock);
    let device = lab.spi("spidev1.0", Box::new(chip));
    let on_spi = settings("icm42688", "spi", device.path());

    let mut source = open(&ImuChip, &on_i2c).unwrap();
    take(&mut *source, 50);
    bus.unplug();
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    let error = refused(&ImuChip, &on_i2c);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    assert!(error.message.contains("i2c-dev"), "{error}");
    bus.replug();
    take(&mut *open(&ImuChip, &on_i2c).unwrap(), 50);

    let mut source = open(&ImuChip, &on_spi).unwrap();
    take(&mut *source, 50);
    device.unplug();
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    assert_eq!(refused(&ImuChip, &on_spi).kind, ErrorKind::Gone);
    device.replug();
    take(&mut *open(&ImuChip, &on_spi).unwrap(), 50);
}

#[test]
fn chips_that_do_not_answer_are_gone() {
    let Some(lab) = lab("silent chips") else { return };
    let (chip, _) = moving(Bmi160::with_clock);
    let bus = lab.i2c("i2c-1", vec![(0x68, Box::new(Arc::clone(&chip)))]);
    let on_i2c = settings("bmi160", "i2c", bus.path());
    for nack in [Errno::ENXIO, Errno::EREMOTEIO] {
        bus.set_nack(nack);
        let mut source = open(&ImuChip, &on_i2c).unwrap();
        take(&mut *source, 50);
        bus.disconnect(0x68);
        for error in [first_error(&mut *source), refused(&ImuChip, &on_i2c)] {
            assert_eq!(error.kind, ErrorKind::Gone, "{error}");
            assert!(
                error.message.contains("0x68") && error.message.contains("i2cdetect -y 1"),
                "{error}"
            );
        }
        bus.connect(0x68, Box::new(Arc::clone(&chip)));
    }

    /// A data line that nobody drives.
    struct Nobody;
    impl SpiChip for Nobody {
        fn transfer(&mut self, _write: &[u8], read: &mut [u8]) {
            read.fill(0xff);
        }
    }
    let device = lab.spi("spidev0.0", Box::new(Nobody));
    let error = refused(&ImuChip, &settings("icm20948", "spi", device.path()));
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
}

#[test]
fn some_failed_transactions_are_survived_and_many_are_counted() {
    let Some(lab) = lab("failed transactions") else { return };
    let (chip, _) = moving(Bmi160::with_clock);
    let bus = lab.i2c("i2c-1", vec![(0x68, Box::new(Arc::clone(&chip)))]);
    let mut source = open(&ImuChip, &settings("bmi160", "i2c", bus.path())).unwrap();
    let rate_hz = source.format().rate_hz();
    let mut got = take(&mut *source, 100);
    for _ in 0..5 {
        bus.nack_next(3);
        got.extend(take(&mut *source, 100));
        bus.cut_next(2);
        got.extend(take(&mut *source, 100));
        // In the middle of a burst, so that samples have left the FIFO already.
        chip.lock().unwrap().body.fail_read_after(30);
        got.extend(take(&mut *source, 100));
    }
    assert_gaps_are_honest(&got, rate_hz);
    got.iter().for_each(assert_turned);
    bus.nack_next(u32::MAX);
    let error = first_error(&mut *source);
    bus.nack_next(0);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    assert!(
        error.message.contains("5 tries in a row") && error.message.contains("since it was opened"),
        "{error}"
    );
    let counted: u32 = error
        .message
        .split_once("failed, ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .unwrap();
    assert!(counted >= 5 + 5 * (3 + 2), "{error}");

    let (chip, _) = moving(Bmi160::with_clock);
    let device = lab.spi("spidev0.0", Box::new(chip));
    let mut source = open(&ImuChip, &settings("bmi160", "spi", device.path())).unwrap();
    take(&mut *source, 50);
    device.fail_next(3);
    take(&mut *source, 50);
    device.fail_next(u32::MAX);
    assert_eq!(first_error(&mut *source).kind, ErrorKind::Reopen);
}

#[test]
fn wrong_chips_and_missing_permission_say_what_to_do() {
    let Some(lab) = lab("wrong chips") else { return };
    let (chip, _) = moving(Bmi160::with_clock);
    chip.lock().unwrap().body.set_identity(0x12);
    let bus = lab.i2c("i2c-1", vec![(0x68, Box::new(chip))]);
    let wrong = settings("bmi160", "i2c", bus.path());
    let error = refused(&ImuChip, &wrong);
    assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
    assert!(
        error.message.contains("0xd1") && error.message.contains("0x12"),
        "{error}"
    );
    lab.deny("i2c-1", true);
    let error = refused(&ImuChip, &wrong);
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(error.message.contains("usermod -aG i2c"), "{error}");

    let (chip, _) = moving(Icm42688::with_clock);
    let device = lab.spi("spidev0.0", Box::new(chip));
    let settings = settings("icm42688", "spi", device.path());
    let error = refused(&ImuChip, &with(&settings, "acceleration_range_g", 1000));
    assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
    assert!(
        error.message.contains("1000") && error.message.contains("16"),
        "{error}"
    );
    lab.deny("spidev0.0", true);
    let error = refused(&ImuChip, &settings);
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(error.message.contains("usermod -aG spi"), "{error}");
}

/// What is numbered missing after the reader paused, beside what the times of the samples say.
fn lost_in_a_pause<C: Emulated>(lab: &Lab, name: &str, address: u8, make: fn(ChipClock) -> C) {
    let (chip, switched_on) = moving(make);
    let bus = lab.i2c(&format!("i2c-{name}"), vec![(address, Box::new(chip))]);
    let mut source = open(&ImuChip, &settings(name, "i2c", bus.path())).unwrap();
    let rate_hz = source.format().rate_hz();
    let mut got = take(&mut *source, (2.0 * rate_hz) as usize);
    pause(1000);
    got.extend(take(&mut *source, (2.0 * rate_hz) as usize));
    assert_gaps_are_honest(&got, rate_hz);
    let missing = got[got.len() - 1].seq + 1 - got.len() as u64;
    // A second's samples, less those that the FIFO kept; more on a busy machine.
    assert!(missing as f64 > 0.4 * rate_hz, "{name}: {missing}");
    let error_s = median_error_s(&got[got.len() - rate_hz as usize..], switched_on);
    assert!(error_s.abs() < 2e-3, "{name}: {error_s} s from the truth after the gap");
}

#[test]
fn a_reader_who_pauses_gets_a_gap_of_the_right_size() {
    let Some(lab) = lab("gaps") else { return };
    std::thread::scope(|scope| {
        // Told by the chip, told by time stamps, told by nobody.
        scope.spawn(|| lost_in_a_pause(&lab, "bmi160", 0x68, Bmi160::with_clock));
        scope.spawn(|| lost_in_a_pause(&lab, "lsm6dsox", 0x6a, Lsm6dsox::with_clock));
        scope.spawn(|| {
            lost_in_a_pause(&lab, "mpu9250", 0x68, |clock| {
                Mpu6050::with_clock(Model::Mpu9250, clock)
            });
        });
    });
}

#[test]
fn a_chip_that_lost_power_is_set_up_again() {
    let Some(lab) = lab("power cuts") else { return };
    let bus = lab.i2c("i2c-1", vec![]);
    let on_i2c = settings("icm42688", "i2c", bus.path());
    let power_on = || bus.connect(0x68, Box::new(moving(Icm42688::with_clock).0));
    power_on();
    let mut source = open(&ImuChip, &on_i2c).unwrap();
    take(&mut *source, 50);
    // As after reset: it answers, and measures nothing.
    power_on();
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Reopen, "{error}");
    take(&mut *open(&ImuChip, &on_i2c).unwrap(), 50);
}

// Linux Industrial I/O.

/// Scan n has n in accel x, the rest fixed; every coding that drivers use.
fn iio_spec() -> IioSpec {
    let s16 = ScanType::signed(16, 16, 0);
    IioSpec::new("bmi160", 1000.0)
        .channel("in_temp", ScanType::unsigned(8, 8, 0))
        .channel("in_accel_x", ScanType::signed(24, 32, 8))
        .channel("in_accel_y", s16.big_endian())
        .channel("in_accel_z", ScanType::signed(12, 16, 4))
        .channel("in_anglvel_x", s16)
        .channel("in_anglvel_y", s16)
        .channel("in_anglvel_z", s16.big_endian())
        .attribute("in_accel_scale", "0.001")
        .attribute("in_accel_y_offset", "10")
        .attribute("in_anglvel_scale", "0.01")
        // Of the accelerometer alone: x and y swapped, one turned round.
        .attribute("in_accel_mount_matrix", "0, -1, 0; 1, 0, 0; 0, 0, 1")
}

fn iio_values(number: u64, values: &mut [i64]) {
    values.copy_from_slice(&[99, (number % 8_000_000) as i64, -510, 2000, 1, -2, 300]);
}

fn iio_settings(lab: &Lab) -> Settings {
    let mut settings = toml::toml! { device = "bmi160"
    rate_hz = 1000
    orientation = ["+z", "+x", "+y"] };
    settings.insert("root".to_owned(), lab.folder().to_str().unwrap().into());
    settings
}

/// The scan's number, after the values beside it were found right.
fn iio_number(got: &Got) -> u64 {
    // Counts to m/s²: (n, -0.5, 2); mounted: (0.5, n, 2); turned: board x is z, y is x, z is y.
    let [ax, ay, az, gx, gy, gz] = got.values;
    let near = |value: f32, expected: f32| (value - expected).abs() < 1e-4;
    assert!(near(ax, 2.0) && near(ay, 0.5), "m/s²: {got:?}");
    assert!(near(gx, 3.0) && near(gy, 0.01) && near(gz, -0.02), "rad/s: {got:?}");
    (f64::from(az) / 0.001).round() as u64
}

fn assert_iio_streams(iio: &Iio, settings: &Settings) {
    let mut source = open(&IioImu, settings).unwrap();
    assert_eq!(source.format().rate_hz(), 1000.0);
    let clock = HostClock::start();
    let got = take(&mut *source, 1500);
    for (nth, got) in got.iter().enumerate() {
        assert_eq!(iio_number(got), got.seq, "a scan's number is the sample's");
        assert_eq!(got.seq, nth as u64, "the kernel holds a second: nothing is lost");
        assert!(got.captured <= clock.now() && clock.epoch().since(got.captured) < Duration::from_secs(5));
    }
    let steps: Vec<_> = got
        .windows(2)
        .map(|pair| pair[1].captured.since(pair[0].captured))
        .collect();
    assert!(
        steps
            .iter()
            .all(|step| step.abs_diff(Duration::from_millis(1)) < Duration::from_micros(200)),
        "{:?}",
        steps.iter().max()
    );
    assert_eq!(iio.scans().1, 0);
    assert!(source.clock_fix().is_none(), "stamped with the host clock");
}

#[test]
fn iio_buffers_of_new_and_old_kernels() {
    let Some(lab) = lab("IIO buffers") else { return };
    let iio = lab.iio(0, iio_spec(), iio_values);
    assert_iio_streams(&iio, &iio_settings(&lab));
    iio.unplug();
    let iio = lab.iio(1, iio_spec().legacy_only(), iio_values);
    assert_iio_streams(&iio, &iio_settings(&lab));
    // A program that died has left it running; names and paths mean the same device.
    fs::write(iio.folder().join("scan_elements/in_temp_en"), "1").unwrap();
    fs::write(iio.folder().join("buffer/enable"), "1").unwrap();
    for name in ["bmi160@devices", "/sys/bus/iio/devices/iio:device1"] {
        take(
            &mut *open(&IioImu, &with(&iio_settings(&lab), "device", name)).unwrap(),
            20,
        );
    }
}

#[test]
fn iio_scans_that_did_not_fit_are_a_gap() {
    let Some(lab) = lab("IIO gaps") else { return };
    let iio = lab.iio(0, iio_spec(), iio_values);
    let mut source = open(&IioImu, &with(&iio_settings(&lab), "buffer_samples", 32)).unwrap();
    let mut got = take(&mut *source, 100);
    pause(400);
    got.extend(take(&mut *source, 200));
    assert!(iio.scans().1 > 100, "{:?}", iio.scans());
    for got in &got {
        assert_eq!(iio_number(got), got.seq);
    }
}

#[test]
fn iio_stamps_of_another_clock_are_mapped_to_the_hosts() {
    let Some(lab) = lab("IIO clocks") else { return };
    let iio = lab.iio(0, iio_spec(), iio_values);
    // As on kernels without the choice: stamps are of the wall clock.
    lab.deny("sys/bus/iio/devices/iio:device0/current_timestamp_clock", true);
    let mut source = open(&IioImu, &iio_settings(&lab)).unwrap();
    let clock = HostClock::start();
    let got = take(&mut *source, 1500);
    assert_gaps_are_honest(&got, 1000.0);
    assert!(source.clock_fix().is_some());
    let newest = got[got.len() - 1].captured;
    let now = clock.now();
    assert!(
        newest <= now && now.since(newest) < Duration::from_secs(5),
        "{newest:?} at {now:?}, {:?}",
        source.clock_fix()
    );
    assert!(got[0].captured.after(TIMEOUT) > clock.epoch());
    assert_eq!(iio.scans().1, 0);
}

#[test]
fn iio_files_that_may_not_be_opened_say_what_to_do() {
    let Some(lab) = lab("IIO permissions") else { return };
    lab.iio(0, iio_spec(), iio_values);
    lab.deny("dev/iio:device0", true);
    let error = refused(&IioImu, &iio_settings(&lab));
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(
        error.message.contains("udev") && error.message.contains("usermod"),
        "{error}"
    );
}

#[test]
fn a_pulled_iio_device_is_gone_and_the_same_settings_open_it_again() {
    let Some(lab) = lab("IIO pulled") else { return };
    let iio = lab.iio(0, iio_spec(), iio_values);
    let settings = iio_settings(&lab);
    let mut source = open(&IioImu, &settings).unwrap();
    take(&mut *source, 50);
    iio.unplug();
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    let error = refused(&IioImu, &settings);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    assert!(error.message.contains("bmi160"), "{error}");
    iio.replug();
    take(&mut *open(&IioImu, &settings).unwrap(), 50);
    iio.stall();
    let mut source = open(&IioImu, &settings).unwrap();
    assert!(matches!(
        source.read(Duration::from_millis(20)).unwrap(),
        Reading::Waiting
    ));

    let twin = lab.iio(1, iio_spec(), iio_values);
    let error = refused(&IioImu, &settings);
    assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
    assert!(error.message.contains("several"), "{error}");
    twin.unplug();
}

#[test]
fn iio_devices_without_a_buffer_are_asked() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("sys/bus/iio/devices/iio:device4");
    fs::create_dir_all(&folder).unwrap();
    let put = |name: &str, value: &str| fs::write(folder.join(name), format!("{value}\n")).unwrap();
    put("name", "mpu6050");
    put("in_accel_scale", "0.000598");
    put("in_anglvel_scale", "0.001064724");
    for (axis, value) in [("x", "0"), ("y", "-16384"), ("z", "16399")] {
        put(&format!("in_accel_{axis}_raw"), value);
        put(&format!("in_anglvel_{axis}_raw"), "939");
    }
    let mut settings = toml::toml! { device = "mpu6050"
    rate_hz = 100 };
    settings.insert("root".to_owned(), root.path().to_str().unwrap().into());
    let mut source = open(&IioImu, &settings).unwrap();
    assert_eq!(source.format().rate_hz(), 100.0);
    let clock = HostClock::start();
    let mut got = take(&mut *source, 20);
    let [ax, ay, az, gx, ..] = got[0].values;
    assert!(
        ax == 0.0 && (ay + 9.7976).abs() < 1e-3 && (az - 9.8066).abs() < 1e-3,
        "{got:?}"
    );
    assert!((gx - 0.99978).abs() < 1e-4, "{got:?}");
    put("in_accel_x_raw", "1000");
    pause(200);
    got.extend(take(&mut *source, 20));
    assert!((got[39].values[0] - 0.598).abs() < 1e-4);
    assert_gaps_are_honest(&got, 100.0);
    assert!(
        got[39].seq >= 39 + 15,
        "what was not asked in time is a gap: {}",
        got[39].seq
    );
    assert!(got[0].captured >= clock.epoch().before(TIMEOUT) && got[39].captured <= clock.now());

    put("in_accel_x_raw", "no number");
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Reopen, "{error}");
    fs::remove_file(folder.join("in_accel_scale")).unwrap();
    let error = refused(&IioImu, &settings);
    assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(refused(&IioImu, &settings).kind, ErrorKind::Gone);
}
