//! The drivers against the kernel's own: `vivid`, `uvcvideo`, `i2c-tiny-usb`, IIO and `snd-aloop`, streaming, failing,
//! pulled and put back.
//!
//! Runs inside the virtual machine (`cargo xtask vm`), one test at a time; says that it is skipped elsewhere.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use sensebind_core::{
    Clock, DepthUnit, Driver, ErrorKind, Format, PixelLayout, Reading, Settings, Source, SourceError, StreamId,
    ThermalUnit, Timestamp,
};
use sensebind_drivers::depth_v4l2::DepthV4l2;
use sensebind_drivers::host_clock::HostClock;
use sensebind_drivers::thermal_uvc::ThermalUvc;
use sensebind_drivers::v4l2_camera::V4l2Camera;
use sensebind_lab::guest;
use sensebind_lab::usb::uvc::{Camera, Mode, Pixels};
use sensebind_lab::usb::vhci;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use v4l::control::{Control, Value};

#[path = "kernel/imu.rs"]
mod imu;
#[path = "kernel/microphone.rs"]
mod microphone;
#[path = "kernel/thermal.rs"]
mod thermal;

const TIMEOUT: Duration = Duration::from_millis(500);
/// Readings without a frame after which a test gives up: the machine is emulated, and slow when the host is busy.
const PATIENCE: u32 = 60;
const LONG: Duration = Duration::from_secs(20);
const VIVID: &str = "/sys/bus/platform/drivers/vivid";

fn open(driver: &dyn Driver, settings: &Settings) -> Result<Box<dyn Source>, SourceError> {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    driver.check(settings).unwrap();
    driver.open(&StreamId::new("under test"), settings, &clock)
}

/// Number, time and bytes of the next frame.
fn next(source: &mut dyn Source) -> Result<(u64, Timestamp, Vec<u8>), SourceError> {
    for _ in 0..PATIENCE {
        if let Reading::Frame(frame) = source.read(TIMEOUT)? {
            return Ok((frame.seq, frame.captured, frame.data.to_vec()));
        }
    }
    panic!("no frame came");
}

fn first_error(source: &mut dyn Source) -> SourceError {
    (0..PATIENCE).find_map(|_| source.read(TIMEOUT).err()).unwrap()
}

/// Ten frames of the size that the format says, each after the other and captured while this ran.
fn assert_streams(source: &mut dyn Source) {
    let clock = HostClock::start();
    let mut last: Option<(u64, Timestamp)> = None;
    for _ in 0..10 {
        let (seq, captured, data) = next(source).unwrap();
        if let Some(bytes) = source.format().frame_bytes() {
            assert_eq!(data.len(), bytes);
        }
        assert!(last < Some((seq, captured)) && last.is_none_or(|(_, before)| before < captured));
        assert!(captured <= clock.now(), "from the future");
        assert!(clock.epoch().since(captured) < LONG, "by another clock");
        last = Some((seq, captured));
    }
}

/// Loads `vivid` where it is not: one webcam.
fn vivid() -> Settings {
    let parameters = ["n_devs=1", "node_types=0x1", "num_inputs=1", "input_types=0x0"];
    guest::load_module("vivid", &parameters).unwrap();
    let folder = fs::canonicalize("/sys/devices/platform/vivid.0").unwrap();
    guest::node_below(&folder, "video", LONG).unwrap();
    let found = V4l2Camera
        .find()
        .into_iter()
        .find(|found| found.about.contains("vivid"))
        .unwrap();
    let mut settings = found.settings;
    assert_eq!(
        settings["device"].as_str(),
        Some("bus:platform:vivid-000"),
        "{}",
        found.about
    );
    settings.extend(toml::toml! { width = 320
    height = 180
    rate_hz = 30 });
    settings
}

fn with(settings: &Settings, key: &str, value: impl Into<toml::Value>) -> Settings {
    let mut settings = settings.clone();
    settings.insert(key.to_owned(), value.into());
    settings
}

#[test]
fn vivid_gives_every_layout_at_the_size_and_rate_that_are_asked_for() {
    if !guest::inside("vivid_gives_every_layout_at_the_size_and_rate_that_are_asked_for") {
        return;
    }
    let settings = vivid();
    for (code, layout) in [
        ("YUYV", PixelLayout::Yuyv),
        ("NV12", PixelLayout::Nv12),
        ("GREY", PixelLayout::Gray8),
    ] {
        let mut source = open(&V4l2Camera, &with(&settings, "pixel_format", code)).unwrap();
        let format = Format::Image {
            width: 320,
            height: 180,
            layout,
            rate_hz: 30.0,
        };
        assert_eq!(*source.format(), format);
        assert_streams(&mut *source);
    }
    let no_jpeg = open(&V4l2Camera, &with(&settings, "pixel_format", "MJPG"))
        .err()
        .unwrap();
    assert_eq!(no_jpeg.kind, ErrorKind::Misconfigured);
    assert!(
        no_jpeg.message.contains("MJPG") && no_jpeg.message.contains("YUYV"),
        "{no_jpeg}"
    );
    let no_size = open(&V4l2Camera, &with(&settings, "width", 321)).err().unwrap();
    assert!(
        no_size.message.contains("321x180") && no_size.message.contains("320x180"),
        "{no_size}"
    );
    let no_rate = open(&V4l2Camera, &with(&settings, "rate_hz", 33)).err().unwrap();
    assert!(
        no_rate.message.contains("33 Hz") && no_rate.message.contains("30, "),
        "{no_rate}"
    );
}

/// Presses the button of vivid's that is called `name`, on a descriptor of its own.
fn press(name: &str) {
    let folder = fs::canonicalize("/sys/devices/platform/vivid.0").unwrap();
    let device = v4l::Device::with_path(guest::node_below(&folder, "video", LONG).unwrap()).unwrap();
    let controls = device.query_controls().unwrap();
    let button = controls.iter().find(|control| control.name == name).unwrap();
    let (id, value) = (button.id, Value::Integer(1));
    device.set_control(Control { id, value }).unwrap();
}

#[test]
fn vivid_says_busy_and_its_errors_are_survived() {
    if !guest::inside("vivid_says_busy_and_its_errors_are_survived") {
        return;
    }
    let settings = vivid();
    let mut source = open(&V4l2Camera, &settings).unwrap();
    let busy = open(&V4l2Camera, &settings).err().unwrap();
    assert_eq!(busy.kind, ErrorKind::Reopen, "{busy}");
    assert!(busy.message.contains("another program"), "{busy}");

    let before = next(&mut *source).unwrap().0;
    press("Inject V4L2_BUF_FLAG_ERROR");
    let after = (0..20).map(|_| next(&mut *source).unwrap().0).last().unwrap();
    assert!(
        after > before + 20,
        "from {before} to {after}: the damaged frame is a gap"
    );

    press("Inject Fatal Streaming Error");
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Reopen, "{error}");
    drop(source);
    assert_streams(&mut *open(&V4l2Camera, &settings).unwrap());
}

#[test]
fn vivid_unbound_is_gone_and_streams_again_when_bound() {
    if !guest::inside("vivid_unbound_is_gone_and_streams_again_when_bound") {
        return;
    }
    let settings = vivid();
    let mut source = open(&V4l2Camera, &settings).unwrap();
    next(&mut *source).unwrap();
    fs::write(Path::new(VIVID).join("unbind"), "vivid.0").unwrap();
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    drop(source);
    let error = open(&V4l2Camera, &settings).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    fs::write(Path::new(VIVID).join("bind"), "vivid.0").unwrap();
    assert_streams(&mut *open(&V4l2Camera, &vivid()).unwrap());
}

/// A camera that gives colours, temperatures and distances; frame numbers are in its first bytes.
fn usb_camera() -> Camera {
    let modes = vec![
        Mode::new(Pixels::Yuyv, 320, 240, 30),
        Mode::new(Pixels::Y16, 160, 120, 9),
        Mode::new(Pixels::Z16, 320, 240, 30),
        Mode::new(Pixels::Mjpg, 320, 240, 30),
    ];
    Camera::new("lab-eye", modes, |mode, number, into| {
        let length = match mode.pixels {
            Pixels::Mjpg => 5000 + number as usize % 3,
            _ => mode.frame_bytes(),
        };
        into.extend([0xff, 0xd8]);
        into.extend(number.to_le_bytes());
        into.extend((0..length - into.len()).map(|place| (place % 251) as u8 ^ number as u8));
    })
}

fn assert_sent(data: &[u8]) {
    let number = u64::from_le_bytes(data[2..10].try_into().unwrap());
    let wrong = data[10..]
        .iter()
        .enumerate()
        .find(|(place, byte)| **byte != (place % 251) as u8 ^ number as u8);
    assert_eq!(wrong, None, "frame {number} of {} bytes", data.len());
}

/// The settings with which `driver` finds the emulated USB camera.
fn found(driver: &dyn Driver) -> Option<Settings> {
    let named = |settings: &Settings| {
        settings["device"]
            .as_str()
            .is_some_and(|device| device.ends_with(":lab-eye"))
    };
    let mut found = driver.find().into_iter().map(|found| found.settings);
    found.find(named)
}

#[test]
fn a_usb_camera_serves_three_senses_by_its_serial_number() {
    if !guest::inside("a_usb_camera_serves_three_senses_by_its_serial_number") {
        return;
    }
    let cable = vhci::plug(0, usb_camera()).unwrap();
    cable.node("video").unwrap();
    let camera = found(&V4l2Camera).unwrap();
    assert!(camera["device"].as_str().unwrap().starts_with("usb:"));
    for code in ["YUYV", "MJPG"] {
        let mut source = open(&V4l2Camera, &with(&camera, "pixel_format", code)).unwrap();
        assert_streams(&mut *source);
        assert_sent(&next(&mut *source).unwrap().2);
    }

    // It may be a depth camera as well, so it is not listed as a thermal one; said so, it opens.
    assert_eq!(found(&ThermalUvc), None);
    let mut thermal = open(&ThermalUvc, &with(&camera, "kelvin_per_count", 0.01)).unwrap();
    let format = Format::Thermal {
        width: 160,
        height: 120,
        unit: ThermalUnit::KelvinPerCount(0.01),
        rate_hz: thermal.format().rate_hz() as f32,
    };
    assert_eq!(*thermal.format(), format);
    assert!((thermal.format().rate_hz() - 9.0).abs() < 0.01);
    assert_sent(&next(&mut *thermal).unwrap().2);
    drop(thermal);

    let mut depth = open(&DepthV4l2, &found(&DepthV4l2).unwrap()).unwrap();
    assert!(matches!(
        depth.format(),
        Format::Depth {
            unit: DepthUnit::MetresPerCount(0.001),
            width: 320,
            height: 240,
            ..
        }
    ));
    assert_sent(&next(&mut *depth).unwrap().2);
}

#[test]
fn a_pulled_usb_camera_is_gone_and_found_again_in_another_socket() {
    if !guest::inside("a_pulled_usb_camera_is_gone_and_found_again_in_another_socket") {
        return;
    }
    let mut cable = vhci::plug(0, usb_camera()).unwrap();
    cable.node("video").unwrap();
    let settings = with(&found(&V4l2Camera).unwrap(), "pixel_format", "YUYV");
    for socket in [3, 0] {
        let mut source = open(&V4l2Camera, &settings).unwrap();
        next(&mut *source).unwrap();
        let camera = cable.pull().unwrap();
        let error = first_error(&mut *source);
        assert_eq!(error.kind, ErrorKind::Gone, "{error}");
        drop(source);
        let error = open(&V4l2Camera, &settings).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Gone, "{error}");
        cable = vhci::plug(socket, camera).unwrap();
        cable.node("video").unwrap();
        let mut source = open(&V4l2Camera, &settings).unwrap();
        assert_streams(&mut *source);
        assert_sent(&next(&mut *source).unwrap().2);
    }
}
