//! The emulated camera, seen by an unmodified v4l (polls) and an unmodified linuxvideo (blocks).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io;
use std::time::Duration;

use linuxvideo::format::{PixFormat, PixelFormat as Fourcc};
use sensebind_lab::{Camera, CameraMode, CameraSpec, Errno, Interval, Lab, PixelFormat, Shot};
use v4l::buffer::{Flags, Metadata, Type};
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC};

const PATIENCE: Duration = Duration::from_secs(10);

/// Another byte at every place of every frame.
fn pattern(sequence: u32, at: usize) -> u8 {
    (at as u32 ^ (at as u32 >> 8) ^ (at as u32 >> 16)).wrapping_add(sequence.wrapping_mul(37)) as u8
}

fn paint(shot: &Shot, into: &mut [u8]) -> usize {
    into.iter_mut()
        .enumerate()
        .for_each(|(at, byte)| *byte = pattern(shot.sequence, at));
    into.len()
}

fn is_painted(bytes: &[u8], sequence: u32) -> bool {
    bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte == pattern(sequence, at))
}

fn lab(test: &str) -> Option<Lab> {
    Lab::new().map_err(|why| eprintln!("SKIPPED: {test}: {why}")).ok()
}

fn small(lab: &Lab) -> Camera {
    let mode = CameraMode::new(PixelFormat::Y16, 160, 120, 100);
    lab.camera("video0", CameraSpec::new(mode), paint)
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

fn next<'a>(stream: &'a mut Stream<'_>) -> io::Result<(&'a [u8], Metadata)> {
    stream.set_timeout(PATIENCE);
    CaptureStream::next(stream).map(|(bytes, meta)| (bytes, *meta))
}

#[test]
fn modes_are_listed_and_negotiated() {
    let Some(lab) = lab("camera negotiation") else { return };
    let spec = CameraSpec::new(
        CameraMode::new(PixelFormat::Yuyv, 640, 480, 30)
            .also_at(15)
            .also_at(Interval::new(2, 15)),
    )
    .also(CameraMode::new(PixelFormat::Yuyv, 1280, 720, 10))
    .also(CameraMode::new(PixelFormat::Mjpg, 1280, 720, 30))
    .named("uvcvideo", "A camera", "usb-0000:00:14.0-1");
    let camera = lab.camera("video0", spec, paint);
    let device = Device::with_path(camera.path()).unwrap();
    let caps = device.query_caps().unwrap();
    assert_eq!(
        (caps.driver.as_str(), caps.card.as_str(), caps.bus.as_str()),
        ("uvcvideo", "A camera", "usb-0000:00:14.0-1")
    );
    let formats = device.enum_formats().unwrap();
    let fourccs: Vec<FourCC> = formats.iter().map(|format| format.fourcc).collect();
    assert_eq!(fourccs, [FourCC::new(b"YUYV"), FourCC::new(b"MJPG")]);
    let sizes = device.enum_framesizes(FourCC::new(b"YUYV")).unwrap();
    let sizes: Vec<(u32, u32)> = sizes
        .into_iter()
        .map(|size| match size.size {
            FrameSizeEnum::Discrete(size) => (size.width, size.height),
            FrameSizeEnum::Stepwise(_) => panic!("sizes are discrete"),
        })
        .collect();
    assert_eq!(sizes, [(640, 480), (1280, 720)]);
    let intervals = device.enum_frameintervals(FourCC::new(b"YUYV"), 640, 480).unwrap();
    let intervals: Vec<(u32, u32)> = intervals
        .into_iter()
        .map(|interval| match interval.interval {
            FrameIntervalEnum::Discrete(interval) => (interval.numerator, interval.denominator),
            FrameIntervalEnum::Stepwise(_) => panic!("intervals are discrete"),
        })
        .collect();
    assert_eq!(intervals, [(1, 30), (1, 15), (2, 15)]);

    // What is not there is replaced by what is nearest.
    let set = device
        .set_format(&Format::new(1100, 700, FourCC::new(b"YUYV")))
        .unwrap();
    assert_eq!((set.width, set.height, set.fourcc), (1280, 720, FourCC::new(b"YUYV")));
    assert_eq!((set.stride, set.size), (2560, 1280 * 720 * 2));
    assert_eq!(device.params().unwrap().interval.denominator, 10, "the only rate there");
    let set = device.set_format(&Format::new(600, 400, FourCC::new(b"NV12"))).unwrap();
    assert_eq!((set.width, set.height, set.fourcc), (640, 480, FourCC::new(b"YUYV")));
    let params = device.set_params(&Parameters::with_fps(16)).unwrap();
    assert_eq!((params.interval.numerator, params.interval.denominator), (1, 15));
    device.query_controls().unwrap_err();

    let stream = Stream::new(&device, Type::VideoCapture).unwrap();
    let error = device.set_format(&set).unwrap_err();
    assert_eq!(errno(&error), Some(Errno::EBUSY), "buffers hold the format");
    let other = Device::with_path(camera.path()).unwrap();
    let error = Stream::new(&other, Type::VideoCapture).err().unwrap();
    assert_eq!(errno(&error), Some(Errno::EBUSY), "one client streams");
    drop(stream);
    drop(device);
    assert!(Stream::new(&other, Type::VideoCapture).is_ok());
}

#[test]
fn every_byte_of_every_format_arrives() {
    let Some(lab) = lab("camera pixels") else { return };
    let modes = [
        // Sizes whose frames do not end with a page.
        (PixelFormat::Yuyv, b"YUYV", 644, 482, 644 * 482 * 2),
        (PixelFormat::Nv12, b"NV12", 642, 482, 642 * 482 * 3 / 2),
        (PixelFormat::Grey, b"GREY", 330, 250, 330 * 250),
        (PixelFormat::Y16, b"Y16 ", 160, 120, 160 * 120 * 2),
        (PixelFormat::Z16, b"Z16 ", 320, 240, 320 * 240 * 2),
    ];
    let mut spec = CameraSpec::new(CameraMode::new(modes[0].0, modes[0].2, modes[0].3, 100));
    for (format, _, width, height, _) in &modes[1..] {
        spec = spec.also(CameraMode::new(*format, *width, *height, 100));
    }
    let camera = lab.camera("video0", spec, paint);
    let device = Device::with_path(camera.path()).unwrap();
    for (_, fourcc, width, height, size) in modes {
        let set = device
            .set_format(&Format::new(width, height, FourCC::new(fourcc)))
            .unwrap();
        assert_eq!((set.fourcc, set.size), (FourCC::new(fourcc), size));
        let mut stream = Stream::new(&device, Type::VideoCapture).unwrap();
        let mut last: Option<Metadata> = None;
        // Twice around the four buffers.
        for _ in 0..9 {
            let (bytes, meta) = next(&mut stream).unwrap();
            assert_eq!(meta.bytesused, size);
            assert!(
                is_painted(&bytes[..size as usize], meta.sequence),
                "{set} {}",
                meta.sequence
            );
            assert!(meta.flags.contains(Flags::TIMESTAMP_MONOTONIC));
            assert!(!meta.flags.intersects(Flags::ERROR | Flags::TSTAMP_SRC_SOE));
            if let Some(last) = last {
                let micros = |meta: &Metadata| meta.timestamp.sec * 1_000_000 + meta.timestamp.usec;
                let frames = i64::from(meta.sequence - last.sequence);
                assert!(frames > 0);
                assert!(
                    (micros(&meta) - micros(&last) - 10_000 * frames).abs() <= 1,
                    "stamps keep the schedule"
                );
            }
            last = Some(meta);
        }
    }
}

#[test]
fn compressed_frames_have_their_own_length_and_start_of_exposure_is_said() {
    let Some(lab) = lab("camera MJPG") else { return };
    let mode = CameraMode::new(PixelFormat::Mjpg, 640, 480, 100);
    let exposure = Duration::from_millis(8);
    let length = |sequence: u32| 1000 + 5000 * (sequence as usize % 7);
    let camera = lab.camera(
        "video0",
        CameraSpec::new(mode).stamped_at_start(exposure),
        move |shot: &Shot, into: &mut [u8]| paint(shot, &mut into[..length(shot.sequence)]),
    );
    let device = Device::with_path(camera.path()).unwrap();
    let mut stream = Stream::new(&device, Type::VideoCapture).unwrap();
    for _ in 0..14 {
        let (bytes, meta) = next(&mut stream).unwrap();
        assert_eq!(meta.bytesused as usize, length(meta.sequence));
        assert!(is_painted(&bytes[..meta.bytesused as usize], meta.sequence));
        assert!(meta.flags.contains(Flags::TSTAMP_SRC_SOE));
    }
}

#[test]
fn lost_broken_and_missing_frames_show() {
    let Some(lab) = lab("camera faults") else { return };
    let camera = small(&lab);
    let device = Device::with_path(camera.path()).unwrap();
    let mut stream = Stream::new(&device, Type::VideoCapture).unwrap();
    next(&mut stream).unwrap();
    camera.corrupt_frames(2);
    let broken = (0..20).filter(|_| next(&mut stream).unwrap().1.flags.contains(Flags::ERROR));
    assert_eq!(broken.count(), 2);
    camera.drop_frames(3);
    while camera.counts().dropped < 3 {
        next(&mut stream).unwrap();
    }
    // More than a round of the buffers later all that was lost shows as a gap.
    let mut last = 0;
    for _ in 0..10 {
        last = next(&mut stream).unwrap().1.sequence;
    }
    let counts = camera.counts();
    assert!(u64::from(last) < counts.filled + counts.dropped + counts.without_buffer);
    assert!(u64::from(last) >= 30 + 3, "sequence {last} counts the lost ones");

    camera.stall();
    while next_within(&mut stream, Duration::from_millis(200)).is_ok() {}
    let at_stall = camera.counts();
    assert_eq!(
        next_within(&mut stream, Duration::from_millis(100)).unwrap_err().kind(),
        io::ErrorKind::TimedOut
    );
    assert_eq!(camera.counts(), at_stall);
    camera.resume();
    stream.set_timeout(PATIENCE);
    let index = CaptureStream::dequeue(&mut stream).unwrap();
    CaptureStream::queue(&mut stream, index).unwrap();

    camera.fail_stream();
    let error = CaptureStream::dequeue(&mut stream).unwrap_err();
    assert_eq!(errno(&error), Some(Errno::EIO));
    drop(stream);
    let mut stream = Stream::new(&device, Type::VideoCapture).unwrap();
    next(&mut stream).unwrap();
}

/// Waits for a frame without giving a buffer back first; the buffer it got goes back at once.
fn next_within(stream: &mut Stream<'_>, time: Duration) -> io::Result<()> {
    stream.set_timeout(time);
    let index = CaptureStream::dequeue(stream)?;
    CaptureStream::queue(stream, index)
}

#[test]
fn a_client_that_polls_sees_the_cable_pulled() {
    let Some(lab) = lab("camera unplug") else { return };
    let camera = small(&lab);
    let device = Device::with_path(camera.path()).unwrap();
    let mut stream = Stream::new(&device, Type::VideoCapture).unwrap();
    next(&mut stream).unwrap();
    camera.stall();
    while next_within(&mut stream, Duration::from_millis(100)).is_ok() {}
    // Pulled while the client waits in poll: it must wake by itself.
    let error = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| next_within(&mut stream, PATIENCE).unwrap_err());
        camera.unplug();
        waiting.join().unwrap()
    });
    assert_eq!(errno(&error), Some(Errno::ENODEV));
    assert!(!camera.path().exists());
    assert_eq!(errno(&device.format().unwrap_err()), Some(Errno::ENODEV));
    drop(stream);
    Device::with_path(camera.path()).err().unwrap();

    camera.replug();
    camera.resume();
    assert_eq!(errno(&device.format().unwrap_err()), Some(Errno::ENODEV));
    let device = Device::with_path(camera.path()).unwrap();
    let mut stream = Stream::new(&device, Type::VideoCapture).unwrap();
    let (bytes, meta) = next(&mut stream).unwrap();
    assert!(is_painted(&bytes[..meta.bytesused as usize], meta.sequence));
}

#[test]
fn a_client_that_blocks_gets_frames_then_einval_then_enodev() {
    let Some(lab) = lab("camera blocking") else { return };
    let camera = small(&lab);
    let device = linuxvideo::Device::open(camera.path()).unwrap();
    let capture = device
        .video_capture(PixFormat::new(160, 120, Fourcc::from_fourcc(*b"Y16 ")))
        .unwrap();
    let mut stream = capture.into_stream().unwrap();
    for _ in 0..6 {
        stream
            .dequeue(|view| {
                assert!((0..10_000).any(|sequence| view[0] == pattern(sequence, 0) && is_painted(&view, sequence)));
                Ok(())
            })
            .unwrap();
    }
    camera.stall();
    let error = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            loop {
                if let Err(error) = stream.dequeue(|_| Ok(())) {
                    return error;
                }
            }
        });
        while camera.blocked() == 0 && !waiting.is_finished() {
            std::thread::yield_now();
        }
        camera.unplug();
        waiting.join().unwrap()
    });
    assert_eq!(errno(&error), Some(Errno::EINVAL));
    assert_eq!(errno(&stream.dequeue(|_| Ok(())).unwrap_err()), Some(Errno::ENODEV));
}

#[test]
fn a_client_that_keeps_its_buffers_loses_frames_and_it_is_counted() {
    let Some(lab) = lab("camera without buffers") else {
        return;
    };
    let camera = small(&lab);
    let device = Device::with_path(camera.path()).unwrap();
    let mut stream = Stream::with_buffers(&device, Type::VideoCapture, 2).unwrap();
    next(&mut stream).unwrap();
    while camera.counts().without_buffer < 5 {
        std::thread::yield_now();
    }
    next(&mut stream).unwrap();
    let (_, after) = next(&mut stream).unwrap();
    assert!(after.sequence >= 5, "the gap shows: {}", after.sequence);
}

#[test]
fn a_picture_that_panics_ends_the_stream_only() {
    let Some(lab) = lab("camera panic") else { return };
    let mode = CameraMode::new(PixelFormat::Grey, 64, 64, 100);
    let camera = lab.camera("video0", CameraSpec::new(mode), |shot: &Shot, into: &mut [u8]| {
        assert!(shot.sequence < 2, "meant to happen");
        paint(shot, into)
    });
    let device = Device::with_path(camera.path()).unwrap();
    let mut stream = Stream::new(&device, Type::VideoCapture).unwrap();
    let error = (0..3).find_map(|_| next(&mut stream).err()).unwrap();
    assert_eq!(errno(&error), Some(Errno::EIO));
    device.query_caps().unwrap();
}
