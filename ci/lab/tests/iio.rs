//! The emulated IIO device, seen through plain files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use sensebind_lab::{Errno, Iio, IioSpec, Lab, ScanType};

/// Channel c of scan n is 1000 * c - n.
fn imu(lab: &Lab) -> Iio {
    let s16 = ScanType::signed(16, 16, 0);
    let spec = IioSpec::new("bmi160", 1000.0)
        .channel("in_accel_x", s16)
        .channel("in_accel_y", s16.big_endian())
        .channel("in_anglvel_x", ScanType::signed(24, 32, 8))
        .attribute("in_accel_scale", "0.000598")
        .attribute("in_accel_mount_matrix", "0, -1, 0; 1, 0, 0; 0, 0, 1");
    lab.iio(0, spec, |number, values| {
        for (channel, value) in values.iter_mut().enumerate() {
            *value = 1000 * channel as i64 - number as i64;
        }
    })
}

fn lab(test: &str) -> Option<Lab> {
    Lab::new().map_err(|why| eprintln!("SKIPPED: {test}: {why}")).ok()
}

fn get(iio: &Iio, name: &str) -> String {
    let text = fs::read_to_string(iio.folder().join(name)).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

fn set(iio: &Iio, name: &str, value: &str) -> Result<(), Errno> {
    fs::write(iio.folder().join(name), value).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap()))
}

#[test]
fn attributes_read_and_write_as_in_sysfs() {
    let Some(lab) = lab("iio attributes") else { return };
    let iio = imu(&lab);
    for (name, value) in [
        ("name", "bmi160"),
        ("in_accel_scale", "0.000598"),
        ("in_accel_mount_matrix", "0, -1, 0; 1, 0, 0; 0, 0, 1"),
        ("in_accel_x_raw", "0"),
        ("in_accel_y_raw", "1000"),
        ("in_anglvel_x_raw", "2000"),
        ("sampling_frequency", "1000.000000"),
        ("current_timestamp_clock", "realtime"),
        ("buffer0/in_accel_y_type", "be:s16/16>>0"),
        ("scan_elements/in_anglvel_x_type", "le:s24/32>>8"),
        ("scan_elements/in_anglvel_x_index", "2"),
        ("scan_elements/in_timestamp_type", "le:s64/64>>0"),
        ("buffer/enable", "0"),
    ] {
        assert_eq!(get(&iio, name), value, "{name}");
    }
    set(&iio, "sampling_frequency", "200\n").unwrap();
    assert_eq!(get(&iio, "sampling_frequency"), "200.000000");
    assert_eq!(set(&iio, "sampling_frequency", "0"), Err(Errno::EINVAL));
    assert_eq!(set(&iio, "buffer0/enable", "1"), Err(Errno::EINVAL), "no channel yet");
    set(&iio, "buffer0/in_accel_x_en", "1").unwrap();
    assert_eq!(get(&iio, "scan_elements/in_accel_x_en"), "1", "old and new are one");
    set(&iio, "buffer/enable", "1").unwrap();
    assert_eq!(get(&iio, "buffer0/enable"), "1");
    for name in [
        "scan_elements/in_accel_y_en",
        "buffer0/length",
        "current_timestamp_clock",
    ] {
        assert_eq!(set(&iio, name, "1"), Err(Errno::EBUSY), "{name}");
    }
    let error = fs::read_to_string(iio.folder().join("in_accel_x_raw")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::EBUSY as i32));
}

#[test]
fn scans_are_laid_out_and_stamped_as_declared() {
    let Some(lab) = lab("iio scans") else { return };
    let iio = imu(&lab);
    for name in ["in_accel_x", "in_accel_y", "in_anglvel_x", "in_timestamp"] {
        set(&iio, &format!("buffer0/{name}_en"), "1").unwrap();
    }
    set(&iio, "current_timestamp_clock", "monotonic").unwrap();
    set(&iio, "buffer0/length", "4096").unwrap();
    set(&iio, "buffer0/watermark", "16").unwrap();
    let mut device = File::open(iio.path()).unwrap();
    assert_eq!(
        File::open(iio.path()).unwrap_err().raw_os_error(),
        Some(Errno::EBUSY as i32)
    );
    set(&iio, "buffer0/enable", "1").unwrap();
    let before = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    let mut bytes = vec![0; 16 * 64];
    let mut scans = Vec::new();
    while scans.len() < 100 {
        let read = device.read(&mut bytes).unwrap();
        assert!(
            read.is_multiple_of(16) && read >= 16 * 16,
            "at least the watermark: {read}"
        );
        scans.extend(bytes[..read].chunks_exact(16).map(<[u8]>::to_vec));
    }
    let mut last = None;
    for (number, scan) in scans.iter().enumerate() {
        let number = number as i16;
        assert_eq!(i16::from_le_bytes([scan[0], scan[1]]), -number);
        assert_eq!(i16::from_be_bytes([scan[2], scan[3]]), 1000 - number);
        let word = i32::from_le_bytes(scan[4..8].try_into().unwrap());
        assert_eq!(word >> 8, 2000 - i32::from(number));
        let stamp_ns = i64::from_le_bytes(scan[8..16].try_into().unwrap());
        assert!(stamp_ns > before.tv_sec() * 1_000_000_000);
        if let Some(last) = last {
            let step_ns: i64 = stamp_ns - last;
            assert!((step_ns - 1_000_000).abs() < 100_000, "1 kHz: {step_ns} ns");
        }
        last = Some(stamp_ns);
    }
    assert_eq!(iio.scans().1, 0, "nothing lost");
    let error = device.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "less than a scan");
    // A small buffer that nobody reads loses scans, and says how many.
    set(&iio, "buffer0/enable", "0").unwrap();
    set(&iio, "buffer0/length", "4").unwrap();
    assert_eq!(get(&iio, "buffer0/watermark"), "4", "no more than fits");
    set(&iio, "buffer0/enable", "1").unwrap();
    while iio.scans().1 < 3 {
        std::thread::yield_now();
    }
    assert_eq!(get(&iio, "buffer0/data_available"), "4");
}

#[test]
fn readers_that_poll_and_pulled_devices() {
    let Some(lab) = lab("iio poll") else { return };
    let iio = imu(&lab);
    set(&iio, "buffer0/in_accel_x_en", "1").unwrap();
    let nonblocking = || {
        File::options()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(iio.path())
            .unwrap()
    };
    let mut device = nonblocking();
    assert_eq!(device.read(&mut [0; 2]).unwrap_err().kind(), ErrorKind::WouldBlock);
    set(&iio, "buffer0/enable", "1").unwrap();
    let wait = |device: &File, time: PollTimeout| {
        let mut polled = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, time).unwrap();
        polled[0].revents().unwrap()
    };
    assert_eq!(wait(&device, PollTimeout::from(10_000_u16)), PollFlags::POLLIN);
    assert_eq!(device.read(&mut [0; 2]).unwrap(), 2);
    iio.stall();
    while device.read(&mut [0; 64]).is_ok() {}
    assert_eq!(wait(&device, PollTimeout::from(50_u8)), PollFlags::empty());
    let revents = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(&device, PollTimeout::from(10_000_u16)));
        iio.unplug();
        waiting.join().unwrap()
    });
    assert_eq!(revents, PollFlags::POLLERR | PollFlags::POLLHUP);
    assert_eq!(
        device.read(&mut [0; 2]).unwrap_err().raw_os_error(),
        Some(Errno::ENODEV as i32)
    );
    assert!(!iio.folder().exists() && !iio.path().exists());

    iio.replug();
    iio.resume();
    assert_eq!(get(&iio, "buffer0/enable"), "0");
    set(&iio, "buffer0/in_accel_x_en", "1").unwrap();
    set(&iio, "buffer0/enable", "1").unwrap();
    let mut first = [0; 2];
    let device = nonblocking();
    wait(&device, PollTimeout::from(10_000_u16));
    (&device).read_exact(&mut first).unwrap();
    assert_eq!(first, [0, 0], "scan 0 again");
}

#[test]
fn an_old_kernels_device_has_no_buffer0() {
    let Some(lab) = lab("iio legacy") else { return };
    let spec = IioSpec::new("mpu6050", 100.0).channel("in_accel_x", ScanType::signed(16, 16, 0));
    let iio = lab.iio(3, spec.legacy_only(), |_, values| values.fill(7));
    assert!(iio.folder().ends_with("iio:device3"));
    assert!(!iio.folder().join("buffer0").exists());
    set(&iio, "scan_elements/in_accel_x_en", "1").unwrap();
    set(&iio, "buffer/enable", "1").unwrap();
    let mut scan = [0; 2];
    File::open(iio.path()).unwrap().read_exact(&mut scan).unwrap();
    assert_eq!(scan, [7, 0]);
}
