//! The microphone driver on ALSA, without a sound card: the lab plays into a FIFO.
//!
//! ALSA reads its configuration from the environment, once per process: each test runs its body in a child process.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use sensebind_core::{
    AudioSample, Clock, ErrorKind, Format, Reading, Settings, Source, SourceError, StreamId, Timestamp,
};
use sensebind_drivers::host_clock::HostClock;
use sensebind_lab::alsa::Microphone;
use std::f64::consts::TAU;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// The lab's folder, in the child.
const FOLDER: &str = "SENSEBIND_TEST_MICROPHONE";
/// Names a real input on which [`LEFT_HZ`] and [`RIGHT_HZ`] are played at 48 kHz, for machines that have one.
const DEVICE: &str = "SENSEBIND_TEST_MICROPHONE_DEVICE";
const LEFT_HZ: f64 = 440.0;
const RIGHT_HZ: f64 = 1000.0;
/// A machine that takes longer is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `body` in a process whose ALSA reads from a FIFO, and passes on what it says, in which ALSA has no part.
fn with_microphone(test: &str, body: impl FnOnce(Microphone)) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return body(Microphone::create(Path::new(&folder)).unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    // The child alone holds the FIFO, or it would not end with what plays.
    let config = Microphone::create(folder.path()).unwrap().config().to_owned();
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env("ALSA_CONFIG_PATH", config)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    eprint!("{}{said}", String::from_utf8_lossy(&child.stdout));
    assert!(child.status.success(), "{test}: {}", child.status);
    assert!(!said.contains("ALSA lib"), "{test}: ALSA writes to the user's screen");
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(HostClock::start())
}

fn open(settings: &Settings) -> Result<Box<dyn Source>, SourceError> {
    let driver = sensebind_drivers::find("microphone").unwrap();
    driver.open(&StreamId::new("ear"), settings, &clock())
}

/// One packet, copied.
#[derive(Debug)]
struct Packet {
    seq: u64,
    captured: Timestamp,
    /// The host's clock when it was read.
    read: Timestamp,
    /// Of all channels, in [-1, 1] or as integers.
    samples: Vec<f64>,
}

/// The next packet; `None` when none comes in time.
fn read(source: &mut dyn Source, timeout: Duration) -> Result<Option<Packet>, SourceError> {
    let format = *source.format();
    let Format::Audio { sample, .. } = format else {
        panic!("{format}");
    };
    match source.read(timeout)? {
        Reading::Frame(frame) => Ok(Some(Packet {
            seq: frame.seq,
            captured: frame.captured,
            read: clock().now(),
            samples: match sample {
                AudioSample::I16 => {
                    let value = |b: &[u8]| f64::from(i16::from_le_bytes(b.try_into().unwrap()));
                    frame.data.chunks_exact(2).map(value).collect()
                }
                AudioSample::F32 => {
                    let value = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap()));
                    frame.data.chunks_exact(4).map(value).collect()
                }
            },
        })),
        Reading::Waiting => Ok(None),
        Reading::NoData { .. } => panic!("a microphone never knows that"),
    }
}

/// Packets for `length` of sound.
fn listen(source: &mut dyn Source, length: Duration) -> Vec<Packet> {
    let format = *source.format();
    let bytes = (format.rate_hz() * length.as_secs_f64()) as usize;
    let channels = channels(&format);
    let mut packets: Vec<Packet> = Vec::new();
    while packets.iter().map(|p| p.samples.len() / channels).sum::<usize>() < bytes {
        packets.push(read(source, PATIENCE).unwrap().expect("it hears nothing"));
    }
    packets
}

fn channels(format: &Format) -> usize {
    match format {
        Format::Audio { channels, .. } => usize::from(*channels),
        _ => panic!("{format}"),
    }
}

/// The frequency of a pure tone in channel `channel`, from its first to its last upward crossing of zero.
fn tone_hz(packets: &[Packet], format: &Format, channel: usize) -> f64 {
    let all = packets.iter().flat_map(|p| p.samples.iter().copied());
    let samples: Vec<f64> = all.skip(channel).step_by(channels(format)).collect();
    let upward = |(nth, pair): (usize, &[f64])| {
        let &[a, b] = pair else { return None };
        (a < 0.0 && b >= 0.0).then(|| nth as f64 + a / (a - b))
    };
    let crossings: Vec<f64> = samples.windows(2).enumerate().filter_map(upward).collect();
    let (first, last) = (crossings.first().unwrap(), crossings.last().unwrap());
    (crossings.len() - 1) as f64 / (last - first) * format.rate_hz()
}

fn sine(frequency_hz: f64, rate_hz: u32, nth: u64) -> f64 {
    0.5 * (TAU * frequency_hz * nth as f64 / f64::from(rate_hz)).sin()
}

fn stereo(rate_hz: u32) -> impl FnMut(u64, &mut Vec<u8>) {
    move |nth, bytes| {
        for tone in [LEFT_HZ, RIGHT_HZ] {
            bytes.extend(((sine(tone, rate_hz, nth) * 32767.0) as i16).to_le_bytes());
        }
    }
}

/// Both channels of `device`, the right one first.
fn hears_both_channels(device: &str) {
    let settings = toml::toml! {
        rate_hz = 48000
        channels = [2, 1]
    };
    let device = Settings::from_iter([("device".to_owned(), device.into())]);
    let mut source = open(&settings.into_iter().chain(device).collect()).unwrap();
    let format = *source.format();
    assert_eq!(
        format,
        Format::Audio {
            rate_hz: 48_000,
            channels: 2,
            sample: AudioSample::I16
        }
    );
    listen(&mut *source, Duration::from_millis(300));
    let packets = listen(&mut *source, Duration::from_secs(1));
    let tones = [0, 1].map(|channel| tone_hz(&packets, &format, channel));
    assert!(
        (tones[0] - RIGHT_HZ).abs() < 2.0 && (tones[1] - LEFT_HZ).abs() < 2.0,
        "{tones:?} Hz"
    );
}

#[test]
fn both_channels_in_the_order_asked_for() {
    with_microphone("both_channels_in_the_order_asked_for", |microphone| {
        let _playing = microphone.play(48_000, stereo(48_000)).unwrap();
        hears_both_channels("default");
    });
}

#[test]
fn a_real_card_if_there_is_one() {
    match std::env::var(DEVICE) {
        Ok(device) => hears_both_channels(&device),
        Err(_) => eprintln!("SKIPPED: a real sound card: {DEVICE} names none"),
    }
}

#[test]
fn one_channel_of_two_at_44100_hz() {
    with_microphone("one_channel_of_two_at_44100_hz", |microphone| {
        let _playing = microphone.play(44_100, stereo(44_100)).unwrap();
        let settings = toml::toml! {
            rate_hz = 44100
            channels = [2]
            packet_ms = 10
        };
        let mut source = open(&settings).unwrap();
        let packets = listen(&mut *source, Duration::from_millis(700));
        assert!(packets.iter().all(|packet| packet.samples.len() == 441));
        let tone = tone_hz(&packets, source.format(), 0);
        assert!((tone - RIGHT_HZ).abs() < 2.0, "{tone} Hz");
    });
}

#[test]
fn float_samples() {
    with_microphone("float_samples", |microphone| {
        let tone = |nth, bytes: &mut Vec<u8>| bytes.extend((sine(LEFT_HZ, 16_000, nth) as f32).to_le_bytes());
        let _playing = microphone.play(16_000, tone).unwrap();
        let mut source = open(&toml::toml! { sample = "f32" }).unwrap();
        let packets = listen(&mut *source, Duration::from_millis(700));
        let tone = tone_hz(&packets, source.format(), 0);
        assert!((tone - LEFT_HZ).abs() < 2.0, "{tone} Hz");
        let loudest = packets
            .iter()
            .flat_map(|p| &p.samples)
            .fold(0.0f64, |a, b| a.max(b.abs()));
        assert!((0.45..=0.5).contains(&loudest), "{loudest}");
    });
}

/// Every sample says which it is.
fn numbered(nth: u64, bytes: &mut Vec<u8>) {
    bytes.extend(((nth & 0x7fff) as u16).to_le_bytes());
}

#[test]
fn nothing_is_lost_and_times_are_the_samples_own() {
    with_microphone("nothing_is_lost_and_times_are_the_samples_own", |microphone| {
        let playing = microphone.play(16_000, numbered).unwrap();
        let mut source = open(&toml::toml! { latency_ms = 7 }).unwrap();
        let packets = listen(&mut *source, Duration::from_secs(7));
        if playing.lost() > 0 {
            eprintln!(
                "SKIPPED: every sample: this machine did not take {} in time",
                playing.lost()
            );
            return;
        }
        for pair in packets.windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq + 1);
            assert!(pair[1].captured >= pair[0].captured);
        }
        let samples: Vec<u16> = packets.iter().flat_map(|p| &p.samples).map(|s| *s as u16).collect();
        let next = |pair: &[u16]| pair[1] == (pair[0] + 1) & 0x7fff;
        assert!(samples.windows(2).all(next), "samples are missing");

        // Once the backlog of the start is heard and the clocks are known.
        let settled = &packets[100..];
        let spacing_ms: Vec<f64> = settled
            .windows(2)
            .map(|p| p[1].captured.since(p[0].captured).as_secs_f64() * 1e3)
            .collect();
        let mean = spacing_ms.iter().sum::<f64>() / spacing_ms.len() as f64;
        assert!((mean - 20.0).abs() < 0.2, "{mean} ms");
        let uneven = spacing_ms.iter().filter(|ms| (*ms - 20.0).abs() > 1.0).count();
        assert!(
            uneven * 20 <= spacing_ms.len(),
            "{uneven} of {}: {spacing_ms:?}",
            spacing_ms.len()
        );
        // From the first sample to the reader: the packet itself, the known latency, the way.
        let age_ms = |p: &Packet| p.read.since(p.captured).as_secs_f64() * 1e3;
        let mut ages: Vec<f64> = settled.iter().map(age_ms).collect();
        ages.sort_by(f64::total_cmp);
        assert!(
            ages[0] >= 26.0 && ages[ages.len() / 2] < 47.0,
            "{} to {} ms",
            ages[0],
            ages[ages.len() - 1]
        );
        let fix = source.clock_fix().unwrap();
        assert!(fix.drift_ppm.abs() <= 500.0, "{fix:?}");
    });
}

#[test]
fn a_device_that_hangs_hangs_nobody() {
    with_microphone("a_device_that_hangs_hangs_nobody", |microphone| {
        let playing = microphone.play(16_000, numbered).unwrap();
        let mut source = open(&Settings::new()).unwrap();
        listen(&mut *source, Duration::from_millis(200));
        playing.pause(true);
        let brief = Duration::from_millis(200);
        let mut silent = 0;
        while silent < 2 {
            silent = read(&mut *source, brief).unwrap().map_or(silent + 1, |_| 0);
        }
        playing.pause(false);
        listen(&mut *source, Duration::from_millis(200));
        playing.pause(true);
        while read(&mut *source, brief).unwrap().is_some() {}
        let dropped = std::thread::spawn(move || drop(source));
        let clock = clock();
        let patience = clock.now().after(PATIENCE);
        while !dropped.is_finished() && clock.now() < patience {
            clock.wait_until(clock.now().after(Duration::from_millis(10)));
        }
        assert!(dropped.is_finished(), "dropping it hangs");
    });
}

#[test]
fn a_device_that_ended_is_opened_again() {
    with_microphone("a_device_that_ended_is_opened_again", |microphone| {
        let playing = microphone.play(16_000, numbered).unwrap();
        let mut source = open(&Settings::new()).unwrap();
        listen(&mut *source, Duration::from_millis(200));
        drop(playing);
        let patience = clock().now().after(PATIENCE);
        let error = loop {
            assert!(clock().now() < patience, "the end is not noticed");
            if let Err(error) = read(&mut *source, Duration::from_millis(100)) {
                break error;
            }
        };
        assert_eq!(error.kind, ErrorKind::Reopen, "{error}");
        assert!(error.message.contains("16000"), "{error}");
        assert_eq!(source.read(Duration::ZERO).unwrap_err().kind, ErrorKind::Reopen);
    });
}

#[test]
fn no_such_card() {
    with_microphone("no_such_card", |_microphone| {
        let error = open(&toml::toml! { device = "plughw:CARD=Unplugged,DEV=0" })
            .err()
            .unwrap();
        assert_eq!(error.kind, ErrorKind::Gone, "{error}");
        assert!(error.message.contains("Unplugged"), "{error}");
    });
}
