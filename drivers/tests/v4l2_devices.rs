//! The drivers on V4L2 through emulated cameras: values, units, capture times, and the ways in which cameras fail.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use sensebind_core::{
    Clock, DepthUnit, Driver, ErrorKind, Format, PixelLayout, Reading, Settings, Source, SourceError, StreamId,
    ThermalUnit, Timestamp,
};
use sensebind_drivers::depth_v4l2::DepthV4l2;
use sensebind_drivers::host_clock::HostClock;
use sensebind_drivers::thermal_uvc::ThermalUvc;
use sensebind_drivers::v4l2_camera::V4l2Camera;
use sensebind_lab::{Camera, CameraMode, CameraSpec, Lab, PixelFormat, Shot};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(200);
/// Readings without a frame after which a test gives up: ten seconds, or that many useless frames.
const PATIENCE: u32 = 50;

fn lab(test: &str) -> Option<Lab> {
    Lab::new().map_err(|why| eprintln!("SKIPPED: {test}: {why}")).ok()
}

fn open(driver: &dyn Driver, settings: &Settings) -> Result<Box<dyn Source>, SourceError> {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    driver.check(settings).unwrap();
    driver.open(&StreamId::new("under test"), settings, &clock)
}

fn refused(driver: &dyn Driver, settings: &Settings) -> SourceError {
    open(driver, settings).err().expect("it opened")
}

/// `more` with the device at `path`.
fn settings(path: &Path, mut more: Settings) -> Settings {
    more.insert("device".to_owned(), path.display().to_string().into());
    more
}

#[derive(Debug)]
struct Got {
    seq: u64,
    captured: Timestamp,
    calibrating: bool,
    data: Vec<u8>,
}

fn next(source: &mut dyn Source) -> Result<Got, SourceError> {
    for _ in 0..PATIENCE {
        if let Reading::Frame(frame) = source.read(TIMEOUT)? {
            return Ok(Got {
                seq: frame.seq,
                captured: frame.captured,
                calibrating: frame.calibrating,
                data: frame.data.to_vec(),
            });
        }
    }
    panic!("no frame came");
}

fn first_error(source: &mut dyn Source) -> SourceError {
    for _ in 0..PATIENCE {
        if let Err(error) = source.read(TIMEOUT) {
            return error;
        }
    }
    panic!("it went on");
}

/// Frame number and time in the first bytes, then another byte at every place.
fn paint(shot: &Shot, into: &mut [u8]) -> usize {
    for (at, byte) in into.iter_mut().enumerate() {
        *byte = (at as u32 ^ (at as u32 >> 8)).wrapping_add(shot.sequence * 37) as u8;
    }
    into[2..6].copy_from_slice(&shot.sequence.to_le_bytes());
    into[6..14].copy_from_slice(&(shot.stamp.as_nanos() as u64).to_le_bytes());
    into.len()
}

/// What [`paint`] said of the frame that `bytes` are.
fn truth(bytes: &[u8]) -> (u32, Timestamp) {
    let sequence = u32::from_le_bytes(bytes[2..6].try_into().unwrap());
    let stamp = u64::from_le_bytes(bytes[6..14].try_into().unwrap());
    (sequence, Timestamp::from_nanos(stamp))
}

fn assert_painted(bytes: &[u8]) {
    let (sequence, _) = truth(bytes);
    let wrong = (14..bytes.len()).find(|&at| {
        let expected = (at as u32 ^ (at as u32 >> 8)).wrapping_add(sequence * 37) as u8;
        bytes[at] != expected
    });
    assert_eq!(wrong, None, "of {} bytes", bytes.len());
}

/// A camera with one small, fast mode.
fn small(lab: &Lab) -> Camera {
    lab.camera(
        "video0",
        CameraSpec::new(CameraMode::new(PixelFormat::Grey, 64, 48, 100)),
        paint,
    )
}

#[test]
fn pictures_are_exact_timed_and_in_the_layout_that_the_format_says() {
    let Some(lab) = lab("camera values") else { return };
    let spec = CameraSpec::new(CameraMode::new(PixelFormat::Yuyv, 640, 480, 30))
        .also(CameraMode::new(PixelFormat::Nv12, 320, 240, 50))
        .also(CameraMode::new(PixelFormat::Grey, 160, 120, 100));
    let camera = lab.camera("video0", spec, paint);
    for (code, layout, width, height, rate_hz) in [
        ("YUYV", PixelLayout::Yuyv, 640, 480, 30.0),
        ("NV12", PixelLayout::Nv12, 320, 240, 50.0),
        ("GREY", PixelLayout::Gray8, 160, 120, 100.0),
    ] {
        let ask = toml::toml! { pixel_format = "" };
        let mut ask = settings(camera.path(), ask);
        ask.insert("pixel_format".to_owned(), code.into());
        ask.insert("width".to_owned(), width.into());
        ask.insert("height".to_owned(), height.into());
        ask.insert("rate_hz".to_owned(), f64::from(rate_hz).into());
        let mut source = open(&V4l2Camera, &ask).unwrap();
        let format = Format::Image {
            width: width as u32,
            height: height as u32,
            layout,
            rate_hz,
        };
        assert_eq!(*source.format(), format);
        let mut last = Timestamp::ZERO;
        for expected in 0..10 {
            let got = next(&mut *source).unwrap();
            assert_eq!(Some(got.data.len()), format.frame_bytes());
            assert_painted(&got.data);
            let (sequence, stamp) = truth(&got.data);
            assert_eq!(
                (got.seq, u64::from(sequence)),
                (expected, expected),
                "{code}: none was lost"
            );
            // V4L2 stamps in microseconds.
            let off = stamp.since(got.captured);
            assert!(
                got.captured <= stamp && off < Duration::from_micros(1),
                "{code}: {off:?} off"
            );
            assert!(got.captured > last, "{code}");
            assert!(!got.calibrating);
            last = got.captured;
        }
    }
}

#[test]
fn jpegs_keep_their_length_and_what_is_none_is_a_gap() {
    let Some(lab) = lab("camera JPEG") else { return };
    let mode = CameraMode::new(PixelFormat::Mjpg, 320, 240, 100);
    let camera = lab.camera("video0", CameraSpec::new(mode), |shot: &Shot, into: &mut [u8]| {
        paint(shot, into);
        into[..2].copy_from_slice(&[0xff, 0xd8]);
        match shot.sequence % 5 {
            3 => 0,
            4 => {
                into[0] = 0;
                500
            }
            nth => 500 + 100 * nth as usize,
        }
    });
    let mut source = open(
        &V4l2Camera,
        &settings(camera.path(), toml::toml! { pixel_format = "MJPG" }),
    )
    .unwrap();
    assert!(matches!(
        source.format(),
        Format::Image {
            layout: PixelLayout::Jpeg,
            width: 320,
            height: 240,
            ..
        }
    ));
    for expected in [0, 1, 2, 5, 6, 7, 10] {
        let got = next(&mut *source).unwrap();
        assert_eq!(
            (got.seq, got.data.len()),
            (expected, 500 + 100 * (expected as usize % 5))
        );
        assert_painted(&got.data);
    }
}

#[test]
fn latency_is_taken_off_stamps_at_the_end_of_frames() {
    let Some(lab) = lab("camera latency") else { return };
    let camera = small(&lab);
    let mut source = open(&V4l2Camera, &settings(camera.path(), toml::toml! { latency_ms = 7.5 })).unwrap();
    let got = next(&mut *source).unwrap();
    let (_, end) = truth(&got.data);
    let before = end.since(got.captured);
    assert!(
        before >= Duration::from_micros(7500) && before <= Duration::from_micros(7501),
        "{before:?}"
    );

    let exposure = Duration::from_millis(8);
    let spec = CameraSpec::new(CameraMode::new(PixelFormat::Grey, 64, 48, 100)).stamped_at_start(exposure);
    let camera = lab.camera("video1", spec, paint);
    let mut source = open(&V4l2Camera, &settings(camera.path(), Settings::new())).unwrap();
    let got = next(&mut *source).unwrap();
    let (_, start) = truth(&got.data);
    assert!(
        start.since(got.captured) < Duration::from_micros(1),
        "the start as it is"
    );
}

#[test]
fn lost_and_damaged_frames_show_as_gaps() {
    let Some(lab) = lab("camera losses") else { return };
    let camera = small(&lab);
    let mut source = open(&V4l2Camera, &settings(camera.path(), Settings::new())).unwrap();
    let mut missing_after = |lose: &dyn Fn()| {
        let before = next(&mut *source).unwrap().seq;
        lose();
        let (mut last, mut missing) = (before, 0);
        for _ in 0..20 {
            let got = next(&mut *source).unwrap();
            assert_eq!(
                got.seq,
                u64::from(truth(&got.data).0),
                "the right count with the right picture"
            );
            missing += got.seq - last - 1;
            last = got.seq;
        }
        missing
    };
    // A machine that is too busy for 100 Hz loses more than the test does.
    let by_the_way = || camera.counts().without_buffer;
    let base = by_the_way();
    let dropped = missing_after(&|| camera.drop_frames(3));
    let (late, base) = (by_the_way() - base, by_the_way());
    assert!((3..=3 + late).contains(&dropped), "{dropped} of 3, {late} late");
    let damaged = missing_after(&|| camera.corrupt_frames(2));
    let late = by_the_way() - base;
    assert!((2..=2 + late).contains(&damaged), "{damaged} of 2, {late} late");
}

#[test]
fn a_reader_that_comes_late_sees_what_it_missed() {
    let Some(lab) = lab("late reader") else { return };
    let camera = small(&lab);
    let mut source = open(&V4l2Camera, &settings(camera.path(), Settings::new())).unwrap();
    next(&mut *source).unwrap();
    let clock = HostClock::start();
    while camera.counts().without_buffer < 5 {
        clock.wait_until(clock.now().after(Duration::from_millis(20)));
    }
    let (mut seq, mut frames) = (0, 1);
    while seq < 40 {
        seq = next(&mut *source).unwrap().seq;
        frames += 1;
    }
    let missing = seq + 1 - frames;
    assert!(
        missing >= 5 && missing <= camera.counts().without_buffer,
        "{missing} missing"
    );
}

#[test]
fn a_stall_is_waited_out() {
    let Some(lab) = lab("camera stall") else { return };
    let camera = small(&lab);
    let mut source = open(&V4l2Camera, &settings(camera.path(), Settings::new())).unwrap();
    next(&mut *source).unwrap();
    camera.stall();
    let mut waited = 0;
    for _ in 0..PATIENCE {
        waited += u32::from(matches!(
            source.read(Duration::from_millis(30)).unwrap(),
            Reading::Waiting
        ));
        if waited == 3 {
            break;
        }
    }
    assert_eq!(waited, 3, "it says that nothing came, again and again");
    assert!(matches!(source.read(Duration::ZERO).unwrap(), Reading::Waiting));
    camera.resume();
    let seq = next(&mut *source).unwrap().seq;
    assert!(next(&mut *source).unwrap().seq > seq);
}

#[test]
fn a_pulled_camera_is_gone_and_comes_back_under_the_same_settings() {
    let Some(lab) = lab("camera unplug") else { return };
    let camera = small(&lab);
    let settings = settings(camera.path(), toml::toml! { pixel_format = "GREY" });
    for _ in 0..3 {
        let mut source = open(&V4l2Camera, &settings).unwrap();
        let format = *source.format();
        assert_eq!(next(&mut *source).unwrap().seq, 0);
        camera.unplug();
        let error = first_error(&mut *source);
        assert_eq!(error.kind, ErrorKind::Gone, "{error}");
        assert!(error.message.contains("video0"), "{error}");
        assert_eq!(first_error(&mut *source).kind, ErrorKind::Gone, "and stays so");
        assert_eq!(*source.format(), format);
        drop(source);
        let error = refused(&V4l2Camera, &settings);
        assert_eq!(error.kind, ErrorKind::Gone, "{error}");
        camera.replug();
    }
    assert_painted(&next(&mut *open(&V4l2Camera, &settings).unwrap()).unwrap().data);
}

#[test]
fn a_fatal_error_of_the_stream_is_mended_by_reopening() {
    let Some(lab) = lab("camera failure") else { return };
    let camera = small(&lab);
    let settings = settings(camera.path(), Settings::new());
    let mut source = open(&V4l2Camera, &settings).unwrap();
    next(&mut *source).unwrap();
    camera.fail_stream();
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Reopen, "{error}");
    drop(source);
    next(&mut *open(&V4l2Camera, &settings).unwrap()).unwrap();
}

#[test]
fn a_source_outlives_what_served_its_device() {
    let Some(lab) = lab("camera without a kernel") else {
        return;
    };
    let camera = small(&lab);
    let mut source = open(&V4l2Camera, &settings(camera.path(), Settings::new())).unwrap();
    next(&mut *source).unwrap();
    drop(lab);
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
}

#[test]
fn who_may_not_open_it_or_finds_it_taken_learns_what_to_do() {
    let Some(lab) = lab("camera denied") else { return };
    let camera = small(&lab);
    let settings_here = settings(camera.path(), Settings::new());
    lab.deny("video0", true);
    let error = refused(&V4l2Camera, &settings_here);
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(error.message.contains("usermod -aG video"), "{error}");
    lab.deny("video0", false);

    let mut first = open(&V4l2Camera, &settings_here).unwrap();
    let error = refused(&V4l2Camera, &settings_here);
    assert_eq!(error.kind, ErrorKind::Reopen, "{error}");
    assert!(
        error.message.contains("another program") && error.message.contains("fuser"),
        "{error}"
    );
    next(&mut *first).unwrap();
    drop(first);
    assert!(open(&V4l2Camera, &settings_here).is_ok());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("video0");
    std::fs::write(&file, "no camera").unwrap();
    let error = refused(&V4l2Camera, &settings(&file, Settings::new()));
    assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
    assert!(error.message.contains("no V4L2 capture device"), "{error}");
}

#[test]
fn what_a_camera_cannot_do_is_refused_with_what_it_can() {
    let Some(lab) = lab("camera refusals") else { return };
    let spec = CameraSpec::new(CameraMode::new(PixelFormat::Yuyv, 640, 480, 30).also_at(15))
        .also(CameraMode::new(PixelFormat::Yuyv, 1280, 720, 10))
        .also(CameraMode::new(PixelFormat::Y16, 160, 120, 9));
    let camera = lab.camera("video0", spec, paint);
    let refused = |driver: &dyn Driver, more| {
        let error = refused(driver, &settings(camera.path(), more));
        assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
        error.message
    };
    let format = refused(&V4l2Camera, toml::toml! { pixel_format = "NV12" });
    assert!(
        format.contains("asked for NV12, the device offers YUYV, Y16"),
        "{format}"
    );
    let format = refused(&DepthV4l2, toml::toml! { metres_per_count = 0.001 });
    assert!(
        format.contains("asked for Z16, the device offers YUYV, Y16"),
        "{format}"
    );
    let size = refused(
        &V4l2Camera,
        toml::toml! { width = 800
        height = 600 },
    );
    assert!(
        size.contains("asked for 800x600, the device offers YUYV in 640x480, 1280x720"),
        "{size}"
    );
    let rate = refused(
        &V4l2Camera,
        toml::toml! { width = 640
        height = 480
        rate_hz = 60 },
    );
    assert!(
        rate.contains("asked for 60 Hz, the device offers 640x480 at 30, 15 Hz"),
        "{rate}"
    );

    // What is left open is the camera's choice, and reported.
    let source = open(&V4l2Camera, &settings(camera.path(), toml::toml! { rate_hz = 15 })).unwrap();
    let format = Format::Image {
        width: 640,
        height: 480,
        layout: PixelLayout::Yuyv,
        rate_hz: 15.0,
    };
    assert_eq!(*source.format(), format);
}

/// The telemetry that a Lepton puts below its picture: state of the flat-field correction, TLinear.
fn telemetry(into: &mut [u8], ffc_state: u16, tlinear: bool, centikelvin: bool) {
    into.fill(0);
    let mut word = |nth: usize, value: u16| into[2 * nth..2 * nth + 2].copy_from_slice(&value.to_le_bytes());
    word(3, ffc_state << 4);
    word(208, u16::from(tlinear));
    word(209, u16::from(centikelvin));
}

#[test]
fn thermal_pictures_are_kelvin_and_marked_during_correction() {
    let Some(lab) = lab("thermal camera") else { return };
    let mode = CameraMode::new(PixelFormat::Y16, 160, 122, 50);
    let camera = lab.camera("video0", CameraSpec::new(mode), |shot: &Shot, into: &mut [u8]| {
        let (picture, below) = into.split_at_mut(160 * 120 * 2);
        for (nth, pixel) in picture.chunks_exact_mut(2).enumerate() {
            // 300.00 K in the upper left corner, a hundredth more per pixel.
            pixel.copy_from_slice(&(30_000 + nth as u16).to_le_bytes());
        }
        telemetry(below, if (4..6).contains(&shot.sequence) { 2 } else { 3 }, true, true);
        into.len()
    });
    let ask = |more| settings(camera.path(), more);
    let lepton = toml::toml! { kelvin_per_count = 0.01
    telemetry_rows = 2 };
    let mut source = open(&ThermalUvc, &ask(lepton)).unwrap();
    let unit = ThermalUnit::KelvinPerCount(0.01);
    let format = Format::Thermal {
        width: 160,
        height: 120,
        unit,
        rate_hz: 50.0,
    };
    assert_eq!(*source.format(), format);
    for seq in 0..8 {
        let got = next(&mut *source).unwrap();
        assert_eq!((got.seq, got.data.len()), (seq, 160 * 120 * 2));
        assert_eq!(got.calibrating, (4..6).contains(&seq), "frame {seq}");
        let kelvin = |nth: usize| f32::from(u16::from_le_bytes([got.data[2 * nth], got.data[2 * nth + 1]])) * 0.01;
        assert!((kelvin(0) - 300.0).abs() < 1e-3 && (kelvin(160 * 120 - 1) - 491.99).abs() < 1e-3);
    }
    drop(source);

    let missing = refused(&ThermalUvc, &ask(toml::toml! { kelvin_per_count = 0.01 }));
    assert!(missing.message.contains("set telemetry_rows = 2"), "{missing}");
    let coarse = toml::toml! { kelvin_per_count = 0.1
    telemetry_rows = 2 };
    let error = first_error(&mut *open(&ThermalUvc, &ask(coarse)).unwrap());
    assert_eq!(error.kind, ErrorKind::Misconfigured);
    assert!(
        error.message.contains("is 0.1") && error.message.contains("says 0.01"),
        "{error}"
    );
}

#[test]
fn depth_pictures_are_metres() {
    let Some(lab) = lab("depth camera") else { return };
    let spec = CameraSpec::new(CameraMode::new(PixelFormat::Z16, 320, 240, 30)).also(CameraMode::new(
        PixelFormat::Y16,
        160,
        120,
        30,
    ));
    let camera = lab.camera("video0", spec, |_: &Shot, into: &mut [u8]| {
        for (nth, pixel) in into.chunks_exact_mut(2).enumerate() {
            pixel.copy_from_slice(&(nth as u16).to_le_bytes());
        }
        into.len()
    });
    let realsense = toml::toml! { metres_per_count = 0.0001
    focal_px = 190.5 };
    for (more, width, height, metres, focal_px) in [
        (realsense, 320, 240, 0.0001, Some(190.5)),
        (toml::toml! { pixel_format = "Y16" }, 160, 120, 0.001, None),
    ] {
        let mut source = open(&DepthV4l2, &settings(camera.path(), more)).unwrap();
        let format = Format::Depth {
            width,
            height,
            unit: DepthUnit::MetresPerCount(metres),
            focal_px,
            rate_hz: 30.0,
        };
        assert_eq!(*source.format(), format);
        let got = next(&mut *source).unwrap();
        assert_eq!(Some(got.data.len()), format.frame_bytes());
        let wrong = got
            .data
            .chunks_exact(2)
            .enumerate()
            .find(|(nth, pixel)| u16::from_le_bytes([pixel[0], pixel[1]]) != *nth as u16);
        assert_eq!(wrong, None);
    }
}
