//! The virtual machine's kernel as the lab promises it, seen by raw clients: what a driver of ours may count on.
//!
//! Runs inside the machine (`cargo xtask vm`), one test at a time; says that it is skipped elsewhere.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use embedded_hal::i2c::{I2c as _, Operation};
use linux_embedded_hal::{I2CError, I2cdev};
use rustix::io::Errno;
use sensebind_lab::bus::{I2cChip, Nack};
use sensebind_lab::guest;
use sensebind_lab::usb::i2c_tiny::Adapter;
use sensebind_lab::usb::uvc::{Camera, Mode, Pixels};
use sensebind_lab::usb::vhci;
use v4l::FourCC;
use v4l::buffer::{Flags, Type};
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream as _;
use v4l::video::Capture as _;
use v4l::video::capture::Parameters;

const LONG: Duration = Duration::from_secs(20);
const VIVID: &str = "/sys/bus/platform/drivers/vivid";

#[test]
fn vivid_streams_yuyv_and_y16() {
    if !guest::inside("vivid_streams_yuyv_and_y16") {
        return;
    }
    let node = vivid();
    for four in [b"YUYV", b"Y16 "] {
        let device = open(&node, *four, 320, 180);
        device.set_params(&Parameters::with_fps(30)).unwrap();
        let mut stream = stream(&device);
        let mut last = None;
        for _ in 0..10 {
            let (_, meta) = stream.next().unwrap();
            assert_eq!(meta.bytesused, 320 * 180 * 2);
            let at = Duration::from(meta.timestamp);
            assert!(last < Some(at), "{last:?} before {at:?}");
            last = Some(at);
        }
    }
}

#[test]
fn vivid_unbound_mid_stream_says_enodev_and_streams_again_when_bound() {
    if !guest::inside("vivid_unbound_mid_stream_says_enodev_and_streams_again_when_bound") {
        return;
    }
    let node = vivid();
    let device = open(&node, *b"YUYV", 320, 180);
    let mut running = stream(&device);
    running.next().unwrap();
    fs::write(Path::new(VIVID).join("unbind"), "vivid.0").unwrap();
    assert_eq!(first_error(&mut running), Some(Errno::NODEV));
    drop(running);
    drop(device);
    assert!(!node.exists());
    fs::write(Path::new(VIVID).join("bind"), "vivid.0").unwrap();
    let device = open(&vivid(), *b"YUYV", 320, 180);
    stream(&device).next().unwrap();
}

#[test]
fn uvc_frames_are_exact_in_every_coding() {
    if !guest::inside("uvc_frames_are_exact_in_every_coding") {
        return;
    }
    let cable = vhci::plug(0, camera()).unwrap();
    let node = cable.node("video").unwrap();
    for mode in modes() {
        let (four, width, height) = (four(mode.pixels), mode.width, mode.height);
        let device = open(&node, four, u32::from(width), u32::from(height));
        let mut stream = stream(&device);
        let mut last = None;
        for _ in 0..10 {
            let (bytes, meta) = stream.next().unwrap();
            assert!(!meta.flags.contains(Flags::ERROR), "{mode:?}");
            let bytes = &bytes[..usize::try_from(meta.bytesused).unwrap()];
            let number = u64::from_le_bytes(bytes[2..10].try_into().unwrap());
            let mut expected = Vec::new();
            render(&mode, number, &mut expected);
            assert!(
                bytes == expected,
                "frame {number} of {mode:?} is not what the camera sent"
            );
            assert!(last < Some(number), "{last:?} before {number}");
            last = Some(number);
        }
    }
}

#[test]
fn uvc_mode_and_rate_are_negotiated() {
    if !guest::inside("uvc_mode_and_rate_are_negotiated") {
        return;
    }
    let cable = vhci::plug(0, camera()).unwrap();
    let device = v4l::Device::with_path(cable.node("video").unwrap()).unwrap();
    let offered: Vec<[u8; 4]> = device
        .enum_formats()
        .unwrap()
        .iter()
        .map(|format| format.fourcc.repr)
        .collect();
    assert_eq!(offered, [*b"YUYV", *b"Y16 ", *b"Z16 ", *b"MJPG"]);
    let sizes = device.enum_framesizes(FourCC::new(b"YUYV")).unwrap();
    assert_eq!(sizes.len(), 2);
    device
        .set_format(&v4l::Format::new(160, 120, FourCC::new(b"Y16 ")))
        .unwrap();
    let parameters = device.set_params(&Parameters::with_fps(9)).unwrap();
    let interval = parameters.interval;
    assert_eq!(interval.denominator / interval.numerator, 9, "{interval}");
}

#[test]
fn a_pulled_camera_says_enodev_to_a_polling_reader_and_comes_back() {
    if !guest::inside("a_pulled_camera_says_enodev_to_a_polling_reader_and_comes_back") {
        return;
    }
    let cable = vhci::plug(0, camera()).unwrap();
    let node = cable.node("video").unwrap();
    let device = open(&node, *b"Y16 ", 160, 120);
    let mut running = stream(&device);
    running.next().unwrap();
    let camera = cable.pull().unwrap();
    assert_eq!(first_error(&mut running), Some(Errno::NODEV));
    assert_eq!(errno(&device.format().unwrap_err()), Some(Errno::NODEV));
    drop(running);
    drop(device);
    guest::wait_for(LONG, || (!node.exists()).then_some(())).unwrap();

    let cable = vhci::plug(0, camera).unwrap();
    assert_eq!(cable.node("video").unwrap(), node);
    let device = open(&node, *b"Y16 ", 160, 120);
    stream(&device).next().unwrap();
}

#[test]
fn a_pulled_camera_says_einval_then_enodev_to_a_blocked_reader() {
    if !guest::inside("a_pulled_camera_says_einval_then_enodev_to_a_blocked_reader") {
        return;
    }
    // Stalls after some frames, so that the reader is surely blocked when the cable is pulled.
    let camera = Camera::new("lab-stalls", modes(), |mode, number, into| {
        if number < 5 {
            render(mode, number, into);
        }
    });
    let cable = vhci::plug(0, camera).unwrap();
    let node = cable.node("video").unwrap();
    let format = linuxvideo::format::PixFormat::new(160, 120, linuxvideo::format::PixelFormat::from_fourcc(*b"Y16 "));
    let device = linuxvideo::Device::open(node).unwrap().video_capture(format).unwrap();
    let mut blocking = device.into_stream().unwrap();
    blocking.dequeue(|_| Ok(())).unwrap();
    let reader = thread::spawn(move || {
        let mut failed = Vec::new();
        while failed.len() < 2 {
            if let Err(error) = blocking.dequeue(|_| Ok(())) {
                failed.push(errno(&error).unwrap());
            }
        }
        failed
    });
    let asleep = || reader_is_asleep().then_some(());
    guest::wait_for(LONG, asleep).unwrap();
    drop(cable);
    assert_eq!(reader.join().unwrap(), [Errno::INVAL, Errno::NODEV]);
}

#[test]
fn i2c_dev_reads_registers_and_says_who_does_not_answer() {
    if !guest::inside("i2c_dev_reads_registers_and_says_who_does_not_answer") {
        return;
    }
    let cable = vhci::plug(1, adapter()).unwrap();
    let mut bus = I2cdev::new(cable.node("i2c-").unwrap()).unwrap();
    let mut bytes = [0; 6];
    bus.write_read(BMI160, &[0x12], &mut bytes).unwrap();
    assert_eq!(bytes, ACCELERATION);
    bus.write(BMI160, &[0x40, 1, 2, 3]).unwrap();
    bus.write_read(BMI160, &[0x41], &mut bytes[..2]).unwrap();
    assert_eq!(bytes[..2], [2, 3]);
    let nobody = bus.write_read(0x10_u8, &[0], &mut bytes).unwrap_err();
    assert_eq!(i2c_errno(&nobody), Some(Errno::NXIO));
}

#[test]
fn i2c_dev_refuses_8193_bytes_and_43_messages() {
    if !guest::inside("i2c_dev_refuses_8193_bytes_and_43_messages") {
        return;
    }
    let cable = vhci::plug(1, adapter()).unwrap();
    let mut bus = I2cdev::new(cable.node("i2c-").unwrap()).unwrap();
    let mut long = vec![0; 8193];
    assert_eq!(i2c_errno(&bus.read(BMI160, &mut long).unwrap_err()), Some(Errno::INVAL));
    bus.read(BMI160, &mut long[..8192]).unwrap();
    for (count, refused) in [(42, None), (43, Some(Errno::INVAL))] {
        let mut messages: Vec<Operation<'_>> = (0..count).map(|_| Operation::Write(&[0x12])).collect();
        let outcome = bus.transaction(BMI160, &mut messages);
        assert_eq!(
            outcome.err().and_then(|error| i2c_errno(&error)),
            refused,
            "{count} messages"
        );
    }
}

#[test]
fn a_pulled_i2c_adapter_takes_its_node_along_and_comes_back() {
    if !guest::inside("a_pulled_i2c_adapter_takes_its_node_along_and_comes_back") {
        return;
    }
    let cable = vhci::plug(1, adapter()).unwrap();
    let node = cable.node("i2c-").unwrap();
    let mut bus = I2cdev::new(&node).unwrap();
    bus.write(BMI160, &[0x12]).unwrap();
    let adapter = cable.pull().unwrap();
    assert!(bus.write(BMI160, &[0x12]).is_err());
    drop(bus);
    guest::wait_for(LONG, || (!node.exists()).then_some(())).unwrap();
    let cable = vhci::plug(1, adapter).unwrap();
    I2cdev::new(cable.node("i2c-").unwrap())
        .unwrap()
        .write(BMI160, &[0x12])
        .unwrap();
}

#[test]
fn alsa_has_a_loopback_card() {
    if !guest::inside("alsa_has_a_loopback_card") {
        return;
    }
    guest::load_module("snd-aloop", &[]).unwrap();
    let cards = fs::read_to_string("/proc/asound/cards").unwrap();
    assert!(cards.contains("Loopback"), "{cards}");
    for node in ["controlC0", "pcmC0D0p", "pcmC0D0c", "pcmC0D1p", "pcmC0D1c"] {
        assert!(Path::new("/dev/snd").join(node).exists(), "{node}");
    }
}

#[test]
fn iio_reads_a_bmi160_raw_and_in_scans() {
    if !guest::inside("iio_reads_a_bmi160_raw_and_in_scans") {
        return;
    }
    let cable = vhci::plug(1, adapter()).unwrap();
    guest::load_module("bmi160_i2c", &[]).unwrap();
    let chip = guest::bind_i2c(&cable.node("i2c-").unwrap(), "bmi160", BMI160).unwrap();
    let node = guest::node_below(&chip, "iio:device", LONG).unwrap();
    let device = chip.join(node.file_name().unwrap());
    let read = |file: &str| fs::read_to_string(device.join(file)).unwrap().trim().to_owned();
    assert_eq!(read("name"), "bmi160");
    assert_eq!(
        ["x", "y", "z"].map(|axis| read(&format!("in_accel_{axis}_raw"))),
        ["1000", "-2000", "16384"]
    );

    let Some(trigger) = guest::iio_timer_trigger("lab-100hz", 100).unwrap() else {
        eprintln!("SKIPPED: scans of the BMI160: this kernel has no IIO timer trigger (Debian's have since 6.12)");
        return;
    };
    let write = |file: &str, text: &str| fs::write(device.join(file), text).unwrap();
    write(
        "trigger/current_trigger",
        fs::read_to_string(trigger.join("name")).unwrap().trim(),
    );
    for axis in ["x", "y", "z"] {
        write(&format!("buffer0/in_accel_{axis}_en"), "1");
    }
    write("buffer0/in_timestamp_en", "1");
    write("buffer0/length", "128");
    write("buffer0/enable", "1");
    let mut file = fs::File::open(&node).unwrap();
    let mut last = None;
    for _ in 0..20 {
        let mut scan = [0; 16];
        file.read_exact(&mut scan).unwrap();
        assert_eq!(scan[..6], ACCELERATION);
        let at = i64::from_le_bytes(scan[8..].try_into().unwrap());
        assert!(last < Some(at), "{last:?} before {at}");
        last = Some(at);
    }
    write("buffer0/enable", "0");
}

#[test]
fn iio_reads_an_mpu6050_raw() {
    if !guest::inside("iio_reads_an_mpu6050_raw") {
        return;
    }
    let cable = vhci::plug(1, adapter()).unwrap();
    guest::load_module("inv_mpu6050_i2c", &[]).unwrap();
    let chip = guest::bind_i2c(&cable.node("i2c-").unwrap(), "mpu6050", MPU6050).unwrap();
    let device = guest::folder_below(&chip, "iio:device", LONG).unwrap();
    let raw = |axis: &str| {
        let text = fs::read_to_string(device.join(format!("in_accel_{axis}_raw"))).unwrap();
        text.trim().parse::<i16>().unwrap()
    };
    assert_eq!(["x", "y", "z"].map(raw), [1000, -2000, 16384]);
}

/// The webcam of `vivid`, whose module is loaded where it is not.
fn vivid() -> PathBuf {
    guest::load_module(
        "vivid",
        &["n_devs=1", "node_types=0x1", "num_inputs=1", "input_types=0x0"],
    )
    .unwrap();
    let folder = fs::canonicalize("/sys/devices/platform/vivid.0").unwrap();
    guest::node_below(&folder, "video", LONG).unwrap()
}

fn open(node: &Path, four: [u8; 4], width: u32, height: u32) -> v4l::Device {
    let device = v4l::Device::with_path(node).unwrap();
    let format = device
        .set_format(&v4l::Format::new(width, height, FourCC::new(&four)))
        .unwrap();
    assert_eq!((format.fourcc.repr, format.width, format.height), (four, width, height));
    device
}

fn stream(device: &v4l::Device) -> Stream<'_> {
    let mut stream = Stream::with_buffers(device, Type::VideoCapture, 4).unwrap();
    stream.set_timeout(LONG);
    stream
}

/// What ends the stream, after the frames that were still in it.
fn first_error(stream: &mut Stream<'_>) -> Option<Errno> {
    (0..100).find_map(|_| stream.next().err()).and_then(|error| {
        assert_ne!(error.kind(), ErrorKind::TimedOut);
        errno(&error)
    })
}

fn errno(error: &std::io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

fn i2c_errno(error: &I2CError) -> Option<Errno> {
    use linux_embedded_hal::i2cdev::linux::LinuxI2CError;
    match error.inner() {
        LinuxI2CError::Errno(number) => Some(Errno::from_raw_os_error(*number)),
        LinuxI2CError::Io(error) => errno(error),
    }
}

fn modes() -> Vec<Mode> {
    let mut modes = vec![
        Mode::new(Pixels::Yuyv, 320, 240, 30),
        Mode::new(Pixels::Yuyv, 640, 480, 15),
        Mode::new(Pixels::Y16, 160, 120, 30),
        Mode::new(Pixels::Z16, 320, 240, 30),
        Mode::new(Pixels::Mjpg, 320, 240, 30),
    ];
    modes[2].rates_hz.push(9);
    modes
}

fn camera() -> Camera {
    Camera::new("lab-camera", modes(), render)
}

/// Two bytes, the frame's number, then bytes that depend on it and on their place. What stands for a JPEG is no picture
/// and has another length in every frame.
fn render(mode: &Mode, number: u64, into: &mut Vec<u8>) {
    let length = match mode.pixels {
        Pixels::Mjpg => 16_384 - 2 + usize::try_from(number % 3).unwrap(),
        _ => mode.frame_bytes(),
    };
    into.extend([0xff, 0xd8]);
    into.extend(number.to_le_bytes());
    let seed = number.to_le_bytes()[0];
    into.extend((0..length - into.len()).map(|place| (place % 251).to_le_bytes()[0].wrapping_add(seed)));
}

fn four(pixels: Pixels) -> [u8; 4] {
    match pixels {
        Pixels::Yuyv => *b"YUYV",
        Pixels::Y16 => *b"Y16 ",
        Pixels::Z16 => *b"Z16 ",
        Pixels::Mjpg => *b"MJPG",
    }
}

/// Whether some other thread of this process waits inside the kernel for a video buffer.
fn reader_is_asleep() -> bool {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .any(|task| fs::read_to_string(task.path().join("wchan")).is_ok_and(|function| function.contains("vb2")))
}

const BMI160: u8 = 0x69;
const MPU6050: u8 = 0x68;

/// x 1000, y -2000, z 16384 in the BMI160's registers.
const ACCELERATION: [u8; 6] = [0xe8, 0x03, 0x30, 0xf8, 0x00, 0x40];

/// An adapter with a BMI160 (chip id and data: its data sheet, section 2.11) and an MPU-6050 (register map 4.2,
/// `WHO_AM_I` and `ACCEL_OUT`, high bytes first) that lie still.
fn adapter() -> Adapter {
    let mut bmi160 = [0; 256];
    bmi160[0x00] = 0xd1;
    bmi160[0x12..0x18].copy_from_slice(&ACCELERATION);
    let mut mpu6050 = [0; 256];
    mpu6050[0x75] = 0x68;
    for (place, byte) in (0x3b..).zip([1, 0, 3, 2, 5, 4]) {
        mpu6050[place] = ACCELERATION[byte];
    }
    Adapter::new(vec![(BMI160, registers(bmi160)), (MPU6050, registers(mpu6050))])
}

fn registers(registers: [u8; 256]) -> Box<dyn I2cChip> {
    Box::new(Registers { registers, pointer: 0 })
}

/// Registers behind a pointer that counts up, as nearly every sensor has them.
struct Registers {
    registers: [u8; 256],
    pointer: u8,
}

impl I2cChip for Registers {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        if let Some((pointer, values)) = bytes.split_first() {
            self.pointer = *pointer;
            for value in values {
                self.registers[usize::from(self.pointer)] = *value;
                self.pointer = self.pointer.wrapping_add(1);
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Nack> {
        for value in into {
            *value = self.registers[usize::from(self.pointer)];
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}
