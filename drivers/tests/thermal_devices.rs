//! The thermal drivers through the device nodes of emulated chips: temperatures, capture times, and the ways in which
//! chips and buses fail.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use rustix::time::{ClockId, clock_gettime};
use sensebind_core::{
    Clock, Driver, ErrorKind, Format, Reading, Settings, Source, SourceError, StreamId, ThermalUnit, Timestamp,
};
use sensebind_drivers::amg8833::Amg8833;
use sensebind_drivers::host_clock::HostClock;
use sensebind_drivers::lepton::Lepton;
use sensebind_drivers::mlx90640::Mlx90640;
use sensebind_lab::bus::{I2cChip, Nack};
use sensebind_lab::chip::amg8833::Amg8833 as GridEye;
use sensebind_lab::chip::clock::ChipClock;
use sensebind_lab::chip::lepton::{Lepton as Camera, Part};
use sensebind_lab::chip::mlx90640::Mlx90640 as Array;
use sensebind_lab::chip::thermal::Scene;
use sensebind_lab::{Errno, I2cBus, Lab, SpiDevice};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(200);
/// Readings without a frame after which a test gives up: ten seconds.
const PATIENCE: u32 = 50;
/// Further from the truth no capture time may be, however busy the machine is, and half of them no further than the
/// second figure.
const WORST: Duration = Duration::from_millis(400);
const USUAL: Duration = Duration::from_millis(100);
/// Segments that a reader may lag behind the emulated camera, 9 ms each: a busy machine is no fault of the driver's.
const SLACK: u64 = 60;

fn lab(test: &str) -> Option<Lab> {
    Lab::new().map_err(|why| eprintln!("SKIPPED: {test}: {why}")).ok()
}

fn open(driver: &dyn Driver, settings: &Settings) -> Result<Box<dyn Source>, SourceError> {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    driver.check(settings).unwrap();
    driver.open(&StreamId::new("under test"), settings, &clock)
}

fn refused(driver: &dyn Driver, settings: &Settings, kind: ErrorKind, words: &[&str]) {
    let error = open(driver, settings).err().expect("it opened");
    assert_says(&error, kind, words);
}

fn assert_says(error: &SourceError, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind, kind, "{error}");
    for word in words {
        assert!(error.message.contains(word), "{word}: {error}");
    }
}

fn with(settings: &Settings, key: &str, value: impl Into<toml::Value>) -> Settings {
    let mut settings = settings.clone();
    settings.insert(key.to_owned(), value.into());
    settings
}

#[derive(Debug)]
struct Got {
    seq: u64,
    captured: Timestamp,
    calibrating: bool,
    kelvin: Vec<f64>,
}

fn kelvin(format: &Format, data: &[u8]) -> Vec<f64> {
    assert_eq!(Some(data.len()), format.frame_bytes());
    let Format::Thermal { unit, .. } = *format else {
        panic!("{format}");
    };
    match unit {
        ThermalUnit::KelvinPerCount(scale) => {
            let counts = data.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
            counts.map(|count| f64::from(count) * f64::from(scale)).collect()
        }
        ThermalUnit::KelvinF32 => {
            let values = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            values.map(f64::from).collect()
        }
        ThermalUnit::Gray8 => panic!("no temperatures"),
    }
}

fn next(source: &mut dyn Source) -> Result<Got, SourceError> {
    let format = *source.format();
    for _ in 0..PATIENCE {
        if let Reading::Frame(frame) = source.read(TIMEOUT)? {
            return Ok(Got {
                seq: frame.seq,
                captured: frame.captured,
                calibrating: frame.calibrating,
                kelvin: kelvin(&format, frame.data),
            });
        }
    }
    panic!("no frame came");
}

fn first_error(source: &mut dyn Source) -> SourceError {
    (0..PATIENCE)
        .find_map(|_| source.read(TIMEOUT).err())
        .expect("it went on")
}

/// So many frames, each after the other.
fn frames(source: &mut dyn Source, count: usize) -> Vec<Got> {
    let frames: Vec<_> = (0..count).map(|_| next(source).unwrap()).collect();
    for pair in frames.windows(2) {
        assert!(
            pair[0].seq < pair[1].seq && pair[0].captured < pair[1].captured,
            "{pair:?}"
        );
    }
    frames
}

/// The first frame after one or more were lost.
fn first_after_a_gap(source: &mut dyn Source, mut seq: u64) -> Got {
    for _ in 0..PATIENCE {
        let got = next(source).unwrap();
        if got.seq > seq + 1 {
            return got;
        }
        seq = got.seq;
    }
    panic!("no gap");
}

fn pause(length: Duration) {
    let clock = HostClock::start();
    clock.wait_until(clock.now().after(length));
}

/// A clock for chips, and when it began.
fn chip_clock() -> (ChipClock, Timestamp) {
    let clock = ChipClock::host();
    (clock, HostClock::start().now())
}

/// Kelvin over a frame of `width`, without the time.
fn slope(column: usize, row: usize) -> f64 {
    290.0 + 0.11 * column as f64 + 0.07 * row as f64
}

const KELVIN_PER_SECOND: f64 = 10.0;

/// What a step of the MLX90640's converter is worth for its least sensitive pixels: half of it each way, and as much for
/// the words that the chip measures of itself.
const STEP_K: f64 = 0.35;

/// A scene that tells the time: ten kelvin up a second.
fn warming() -> Scene {
    Scene::new(|time, column, row| slope(column, row) + KELVIN_PER_SECOND * time.as_secs_f64())
}

fn still() -> Scene {
    Scene::new(|_, column, row| slope(column, row))
}

fn assert_still(got: &Got, width: usize, tolerance_k: f64) {
    for (pixel, found) in got.kelvin.iter().enumerate() {
        let expected = slope(pixel % width, pixel / width);
        assert!(
            (found - expected).abs() <= tolerance_k,
            "pixel {pixel}: {found} K, scene {expected} K"
        );
    }
}

/// The chip's time that a picture of the warming scene tells, as the mean over its pixels.
fn told(got: &Got, width: usize) -> Duration {
    let pixels = got.kelvin.iter().enumerate();
    let sum: f64 = pixels.map(|(at, kelvin)| kelvin - slope(at % width, at / width)).sum();
    Duration::from_secs_f64(sum / got.kelvin.len() as f64 / KELVIN_PER_SECOND)
}

/// Capture times lie `lead` before the times that the pictures tell.
fn assert_times(frames: &[Got], width: usize, began: Timestamp, lead: Duration) {
    let mut off: Vec<_> = frames
        .iter()
        .map(|got| {
            let told = began.after(told(got, width)).before(lead);
            told.since(got.captured).max(got.captured.since(told))
        })
        .collect();
    off.sort();
    assert!(off[off.len() / 2] < USUAL && off[off.len() - 1] < WORST, "{off:?}");
}

/// Percent of one core that this thread takes to read `source`, for the log.
fn tell_load(name: &str, source: &mut dyn Source, frames: u32) {
    let clock = HostClock::start();
    let used = |id| {
        let time = clock_gettime(id);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let (began, cpu) = (clock.now(), used(ClockId::ThreadCPUTime));
    for _ in 0..frames {
        next(source).unwrap();
    }
    let share = (used(ClockId::ThreadCPUTime) - cpu).as_secs_f64() / clock.now().since(began).as_secs_f64();
    eprintln!("{name}: {:.2} % of a core", 100.0 * share);
    assert!(share < 0.5, "{name} reads busily");
}

struct Bench {
    camera: Camera,
    spi: SpiDevice,
    i2c: I2cBus,
    settings: Settings,
    lab: Lab,
}

/// A Lepton on the buses of a lab.
fn bench(test: &str, part: Part, scene: Scene) -> Option<(Bench, Timestamp)> {
    let lab = lab(test)?;
    let (clock, began) = chip_clock();
    let camera = Camera::new(part, scene, clock);
    camera.set_late_segments(SLACK);
    camera.set_ffc_interval(None);
    let spi = lab.spi("spidev0.0", Box::new(camera.video()));
    let i2c = lab.i2c("i2c-1", vec![(0x2a, Box::new(camera.control()))]);
    let settings = Settings::from_iter([
        ("spi".to_owned(), spi.path().display().to_string().into()),
        ("i2c".to_owned(), i2c.path().display().to_string().into()),
    ]);
    let bench = Bench {
        camera,
        spi,
        i2c,
        settings,
        lab,
    };
    Some((bench, began))
}

impl Bench {
    /// Sets an attribute of the camera as another program would (IDD, section 2.1: data, length, command).
    fn set(&self, attribute: u16, value: u16) {
        let mut control = self.camera.control();
        for words in [[0x0008, value], [0x000a, 0], [0x0006, 2], [0x0004, attribute | 1]] {
            let bytes: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
            control.write(&bytes).unwrap();
        }
    }
}

const TELEMETRY: u16 = 0x0218;
const TLINEAR: u16 = 0x4ec0;
const TLINEAR_RESOLUTION: u16 = 0x4ec4;

#[test]
fn lepton_gives_both_sizes_in_kelvin_with_the_cameras_own_times() {
    for (part, width, height) in [(Part::Lepton3R5, 160, 120), (Part::Lepton2R5, 80, 60)] {
        let Some((bench, began)) = bench("lepton's frames", part, warming()) else {
            return;
        };
        let mut source = open(&Lepton, &bench.settings).unwrap();
        let format = Format::Thermal {
            width,
            height,
            unit: ThermalUnit::KelvinPerCount(0.01),
            rate_hz: 8.7,
        };
        assert_eq!(*source.format(), format);
        assert_eq!((bench.spi.mode(), bench.spi.speed_hz()), (3, 20_000_000));
        let width = width as usize;
        let frames = frames(&mut *source, 8);
        assert_eq!(frames[0].seq, 0);
        for got in &frames {
            assert!(!got.calibrating);
            let since_boot = told(got, width).as_secs_f64();
            for (pixel, found) in got.kelvin.iter().enumerate() {
                let expected = slope(pixel % width, pixel / width) + KELVIN_PER_SECOND * since_boot;
                assert!((found - expected).abs() < 0.011, "{found} K, scene {expected} K");
            }
        }
        // Nine unique frames a second: their numbers follow from the times of the pictures.
        for pair in frames.windows(2) {
            let passed = (told(&pair[1], width) - told(&pair[0], width)).as_secs_f64() * 9.0;
            assert_eq!(pair[1].seq - pair[0].seq, passed.round() as u64);
        }
        assert_times(&frames, width, began, Duration::ZERO);
        assert!(source.clock_fix().is_some());
        tell_load(&format!("lepton {width}x{height}"), &mut *source, 9);
    }
}

#[test]
fn lepton_marks_frames_of_a_flat_field_correction() {
    let Some((bench, _)) = bench("lepton's correction", Part::Lepton3R5, warming()) else {
        return;
    };
    let mut source = open(&Lepton, &bench.settings).unwrap();
    assert!(!next(&mut *source).unwrap().calibrating);
    bench.camera.control().write(&[0x00, 0x04, 0x02, 0x42]).unwrap();
    let seen: Vec<_> = (0..16).map(|_| next(&mut *source).unwrap()).collect();
    let marked: Vec<_> = seen.iter().filter(|got| got.calibrating).collect();
    assert!(!marked.is_empty());
    for got in &marked {
        assert_eq!(got.kelvin, marked[0].kelvin, "behind the shutter nothing changes");
    }
    assert!(!seen.last().unwrap().calibrating);
    assert_ne!(seen.last().unwrap().kelvin, marked[0].kelvin);
}

#[test]
fn lepton_counts_frames_lost_to_noise_and_to_a_late_reader() {
    let Some((bench, _)) = bench("lepton's losses", Part::Lepton3R5, still()) else {
        return;
    };
    let mut source = open(&Lepton, &bench.settings).unwrap();
    let before = next(&mut *source).unwrap();
    // More than the packets by which the camera says that it has nothing, which noise does not harm.
    bench.camera.corrupt_packets(160);
    let after = first_after_a_gap(&mut *source, before.seq);
    assert_still(&after, 160, 0.006);

    bench.camera.set_late_segments(0);
    pause(Duration::from_millis(100));
    // What is left of the last transfer, then one that comes too late.
    for _ in 0..3 {
        source.read(Duration::ZERO).unwrap();
    }
    bench.camera.set_late_segments(SLACK);
    let after = first_after_a_gap(&mut *source, after.seq);
    assert_still(&after, 160, 0.006);

    // A message that fails is repeated.
    bench.spi.fail_next(2);
    let after = first_after_a_gap(&mut *source, after.seq);
    assert_still(&after, 160, 0.006);
    bench.spi.fail_next(1000);
    assert_says(&first_error(&mut *source), ErrorKind::Reopen, &["spidev0.0", "wiring"]);
}

#[test]
fn lepton_is_never_taken_for_what_it_does_not_say() {
    let Some((bench, _)) = bench("lepton's units", Part::Lepton3R5, still()) else {
        return;
    };
    bench.set(TLINEAR, 0);
    let keep = with(&bench.settings, "tlinear", false);
    refused(
        &Lepton,
        &keep,
        ErrorKind::Misconfigured,
        &["raw counts", "tlinear = false"],
    );
    // Without the word it is switched on; a resolution that is set is kept.
    let mut source = open(&Lepton, &bench.settings).unwrap();
    assert_still(&next(&mut *source).unwrap(), 160, 0.006);
    drop(source);
    bench.set(TLINEAR_RESOLUTION, 0);
    let mut source = open(&Lepton, &keep).unwrap();
    assert!(matches!(
        *source.format(),
        Format::Thermal {
            unit: ThermalUnit::KelvinPerCount(0.1),
            ..
        }
    ));
    assert_still(&next(&mut *source).unwrap(), 160, 0.051);
    // Changed under way, by another program.
    bench.set(TLINEAR_RESOLUTION, 1);
    assert_says(
        &first_error(&mut *source),
        ErrorKind::Reopen,
        &["0.01 K", "expected 0.1 K"],
    );

    for part in [Part::Lepton3, Part::Lepton2] {
        let bench = self::bench("lepton without temperatures", part, still()).unwrap().0;
        refused(
            &Lepton,
            &bench.settings,
            ErrorKind::Misconfigured,
            &["no temperatures", "3.5"],
        );
    }
}

#[test]
fn lepton_that_forgot_its_settings_is_set_up_anew() {
    let Some((bench, _)) = bench("lepton's reset", Part::Lepton3R5, still()) else {
        return;
    };
    let mut source = open(&Lepton, &bench.settings).unwrap();
    next(&mut *source).unwrap();
    // As after a power cut: no telemetry, and with it another shape of the stream.
    bench.set(TELEMETRY, 0);
    assert_says(
        &first_error(&mut *source),
        ErrorKind::Reopen,
        &["no frame for", "lost power"],
    );
    drop(source);
    let mut source = open(&Lepton, &bench.settings).unwrap();
    assert_still(&next(&mut *source).unwrap(), 160, 0.006);
}

#[test]
fn lepton_says_which_of_its_buses_fails_and_what_to_do() {
    let Some((bench, _)) = bench("lepton's buses", Part::Lepton3R5, still()) else {
        return;
    };
    let settings = &bench.settings;
    let slow = with(settings, "speed_hz", 4_000_000);
    refused(&Lepton, &slow, ErrorKind::Misconfigured, &["9500000", "4000000"]);
    let fast = Lepton.check(&with(settings, "speed_hz", 25_000_000)).unwrap_err();
    assert_says(&fast, ErrorKind::Misconfigured, &["lepton", "speed_hz"]);

    bench.lab.deny("spidev0.0", true);
    refused(&Lepton, settings, ErrorKind::Denied, &["spidev0.0", "usermod -aG spi"]);
    bench.lab.deny("spidev0.0", false);
    bench.lab.deny("i2c-1", true);
    refused(&Lepton, settings, ErrorKind::Denied, &["i2c-1", "usermod -aG i2c"]);
    bench.lab.deny("i2c-1", false);

    bench.i2c.set_nack(Errno::EREMOTEIO);
    bench.i2c.nack_next(1);
    refused(&Lepton, settings, ErrorKind::Gone, &["0x2a", "i2c-1", "wiring"]);
    bench.i2c.unplug();
    refused(&Lepton, settings, ErrorKind::Gone, &["i2c-1", "modprobe i2c-dev"]);
    bench.i2c.replug();

    bench.spi.set_buffer_bytes(2048);
    let mut source = open(&Lepton, settings).unwrap();
    assert_says(
        &first_error(&mut *source),
        ErrorKind::Misconfigured,
        &["spidev0.0", "spidev.bufsiz=4096"],
    );
    bench.spi.set_buffer_bytes(4096);
    next(&mut *source).unwrap();
    bench.spi.unplug();
    assert_says(&first_error(&mut *source), ErrorKind::Gone, &["spidev0.0", "pulled"]);
    drop(source);
    refused(&Lepton, settings, ErrorKind::Gone, &["spidev0.0", "bound"]);
    bench.spi.replug();
    let mut source = open(&Lepton, settings).unwrap();
    assert_still(&next(&mut *source).unwrap(), 160, 0.006);
}

/// An array chip on a bus of a lab, and the settings that name the bus.
fn on_i2c(test: &str, address: u8, chip: impl FnOnce() -> Box<dyn I2cChip>) -> Option<(Lab, I2cBus, Settings)> {
    let lab = lab(test)?;
    let bus = lab.i2c("i2c-1", vec![(address, chip())]);
    let settings = Settings::from_iter([("i2c".to_owned(), bus.path().display().to_string().into())]);
    Some((lab, bus, settings))
}

#[test]
fn mlx90640_gives_kelvin_within_the_converters_steps() {
    let chip = || Box::new(Array::new(still(), ChipClock::host())) as Box<dyn I2cChip>;
    let Some((_lab, _bus, settings)) = on_i2c("mlx90640's temperatures", 0x33, chip) else {
        return;
    };
    for message_bytes in [1664, 254] {
        let settings = with(&with(&settings, "rate_hz", 8), "message_bytes", message_bytes);
        let mut source = open(&Mlx90640, &settings).unwrap();
        let format = Format::Thermal {
            width: 32,
            height: 24,
            unit: ThermalUnit::KelvinF32,
            rate_hz: 8.0,
        };
        assert_eq!(*source.format(), format);
        for got in frames(&mut *source, 3) {
            assert_still(&got, 32, STEP_K);
            assert!(!got.calibrating);
        }
    }
    let grey = with(&settings, "emissivity", 0.5);
    let mut source = open(&Mlx90640, &with(&grey, "rate_hz", 8)).unwrap();
    let got = next(&mut *source).unwrap();
    // The scene is black: the driver takes it for a grey one that is hotter, or colder, than what it reflects.
    assert!(
        got.kelvin
            .iter()
            .zip(0..)
            .any(|(found, at)| (found - slope(at % 32, at / 32)).abs() > 1.0)
    );
}

#[test]
fn mlx90640_knows_when_a_frame_was_exposed_and_which_are_missing() {
    let (clock, began) = chip_clock();
    let chip = || Box::new(Array::new(warming(), clock)) as Box<dyn I2cChip>;
    let Some((_lab, _bus, settings)) = on_i2c("mlx90640's times", 0x33, chip) else {
        return;
    };
    let mut source = open(&Mlx90640, &with(&settings, "rate_hz", 4)).unwrap();
    let seen = frames(&mut *source, 6);
    // The halves of a picture tell the ends of their exposures: in the mean, three eighths of a second after it began.
    assert_times(&seen, 32, began, Duration::from_micros(187_500));
    let before = seen.last().unwrap().seq;
    pause(Duration::from_millis(1300));
    let after = next(&mut *source).unwrap();
    assert!(after.seq >= before + 4, "{before}, then {}", after.seq);
    tell_load("mlx90640 at 4 Hz", &mut *source, 4);
}

#[test]
fn mlx90640_bears_passing_faults_and_names_lasting_ones() {
    let chip = Arc::new(Mutex::new(Array::new(still(), ChipClock::host())));
    let on_bus = Arc::clone(&chip);
    let Some((_lab, bus, settings)) = on_i2c("mlx90640's faults", 0x33, || Box::new(on_bus)) else {
        return;
    };
    let settings = with(&settings, "rate_hz", 8);
    let mut source = open(&Mlx90640, &settings).unwrap();
    for _ in 0..3 {
        bus.nack_next(2);
        assert_still(&next(&mut *source).unwrap(), 32, STEP_K);
        bus.cut_next(2);
        assert_still(&next(&mut *source).unwrap(), 32, STEP_K);
    }
    bus.disconnect(0x33);
    assert_says(
        &first_error(&mut *source),
        ErrorKind::Gone,
        &["0x33", "i2c-1", "wiring"],
    );
    drop(source);
    refused(&Mlx90640, &settings, ErrorKind::Gone, &["0x33", "i2c-1", "i2cdetect"]);

    bus.connect(0x33, Box::new(Arc::clone(&chip)));
    let mut source = open(&Mlx90640, &settings).unwrap();
    next(&mut *source).unwrap();
    // A power cut between two looks: the chip measures on with its settings of the factory.
    *chip.lock().unwrap() = Array::new(still(), ChipClock::host());
    assert_says(
        &first_error(&mut *source),
        ErrorKind::Reopen,
        &["no measurement", "control register"],
    );
    drop(source);
    let mut source = open(&Mlx90640, &settings).unwrap();
    assert_still(&next(&mut *source).unwrap(), 32, STEP_K);

    bus.unplug();
    assert_says(&first_error(&mut *source), ErrorKind::Gone, &["i2c-1", "pulled"]);
    drop(source);
    refused(&Mlx90640, &settings, ErrorKind::Gone, &["i2c-1", "modprobe"]);
    bus.replug();
    let mut source = open(&Mlx90640, &settings).unwrap();
    assert_still(&next(&mut *source).unwrap(), 32, STEP_K);
    drop(source);

    chip.lock().unwrap().set_eeprom_word(0x240a, 0x0040);
    refused(&Mlx90640, &settings, ErrorKind::Misconfigured, &["i2c-1", "MLX90641"]);
    chip.lock().unwrap().fill_eeprom(0xffff);
    refused(&Mlx90640, &settings, ErrorKind::Reopen, &["i2c-1", "0xffff", "400 kHz"]);
}

#[test]
fn amg8833_gives_kelvin_in_quarters_and_knows_when() {
    let chip = || Box::new(GridEye::new(still(), ChipClock::host())) as Box<dyn I2cChip>;
    let Some((_lab, bus, settings)) = on_i2c("amg8833's frames", 0x69, chip) else {
        return;
    };
    let mut source = open(&Amg8833, &settings).unwrap();
    let format = Format::Thermal {
        width: 8,
        height: 8,
        unit: ThermalUnit::KelvinF32,
        rate_hz: 10.0,
    };
    assert_eq!(*source.format(), format);
    assert_still(&next(&mut *source).unwrap(), 8, 0.126);
    drop(source);

    let (clock, began) = chip_clock();
    bus.connect(0x68, Box::new(GridEye::new(warming(), clock)));
    let mut source = open(&Amg8833, &with(&settings, "address", 0x68)).unwrap();
    let seen = frames(&mut *source, 8);
    // A picture tells the end of its exposure, one frame period long.
    assert_times(&seen, 8, began, Duration::from_millis(100));
    let before = seen.last().unwrap().seq;
    pause(Duration::from_millis(550));
    let after = next(&mut *source).unwrap().seq;
    assert!(after >= before + 4, "{before}, then {after}");
    tell_load("amg8833 at 10 Hz", &mut *source, 10);

    let once = with(&with(&settings, "address", 0x68), "rate_hz", 1);
    let mut source = open(&Amg8833, &once).unwrap();
    assert_eq!(source.format().rate_hz(), 1.0);
    next(&mut *source).unwrap();
}

/// A chip that is none of ours: every byte it gives is the same.
#[derive(Debug)]
struct Stranger;

impl I2cChip for Stranger {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), Nack> {
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        into.fill(0xee);
        Ok(())
    }
}

#[test]
fn amg8833_bears_passing_faults_and_names_lasting_ones() {
    let chip = || Box::new(GridEye::new(still(), ChipClock::host())) as Box<dyn I2cChip>;
    let Some((lab, bus, settings)) = on_i2c("amg8833's faults", 0x69, chip) else {
        return;
    };
    let mut source = open(&Amg8833, &settings).unwrap();
    bus.nack_next(2);
    assert_still(&next(&mut *source).unwrap(), 8, 0.126);
    bus.cut_next(2);
    assert_still(&next(&mut *source).unwrap(), 8, 0.126);
    bus.disconnect(0x69);
    assert_says(
        &first_error(&mut *source),
        ErrorKind::Gone,
        &["0x69", "i2c-1", "wiring"],
    );
    drop(source);

    bus.connect(0x69, Box::new(Stranger));
    refused(&Amg8833, &settings, ErrorKind::Misconfigured, &["0x69", "another chip"]);
    let too_hot = GridEye::new(Scene::new(|_, _, _| 900.0), ChipClock::host());
    bus.connect(0x69, Box::new(too_hot));
    let mut source = open(&Amg8833, &settings).unwrap();
    assert_says(
        &first_error(&mut *source),
        ErrorKind::Reopen,
        &["no measurement", "range"],
    );
    drop(source);

    bus.connect(0x69, chip());
    let mut source = open(&Amg8833, &settings).unwrap();
    bus.unplug();
    assert_says(&first_error(&mut *source), ErrorKind::Gone, &["i2c-1", "pulled"]);
    drop(source);
    bus.replug();
    lab.deny("i2c-1", true);
    refused(&Amg8833, &settings, ErrorKind::Denied, &["i2c-1", "usermod -aG i2c"]);
    lab.deny("i2c-1", false);
    let mut source = open(&Amg8833, &settings).unwrap();
    assert_still(&next(&mut *source).unwrap(), 8, 0.126);
}
