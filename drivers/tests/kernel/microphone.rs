//! A sound card of the kernel's, `snd-aloop`: what is played into one of its devices is recorded from the other.

use super::{LONG, first_error, next, open, with};
use alsa::pcm::{Access, Format as SampleFormat, HwParams, PCM};
use alsa::{Direction, ValueOr};
use sensebind_core::{AudioSample, Clock as _, Driver as _, ErrorKind, Format, Settings, Source, Timestamp};
use sensebind_drivers::host_clock::HostClock;
use sensebind_drivers::microphone::Microphone;
use sensebind_lab::guest;
use std::f64::consts::{PI, TAU};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const CARD: &str = "/sys/bus/platform/drivers/snd_aloop";
const RATE_HZ: u32 = 48_000;
/// Left and right. Both are whole in a packet: they are orthogonal there, and start each with the same phase.
const TONES_HZ: [f64; 2] = [440.0, 1000.0];
/// The card holds two of them: long, because the machine is emulated.
const PACKET: Duration = Duration::from_millis(100);
const PACKET_FRAMES: usize = 4800;
const AMPLITUDE: f64 = 0.5;

/// [`TONES_HZ`], played until this is dropped or the card is gone.
struct Playing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Playing {
    fn start() -> Self {
        let pcm = PCM::new("hw:CARD=Loopback,DEV=0", Direction::Playback, false).unwrap();
        let wanted = HwParams::any(&pcm).unwrap();
        wanted.set_access(Access::RWInterleaved).unwrap();
        wanted.set_format(SampleFormat::s16()).unwrap();
        wanted.set_channels(2).unwrap();
        wanted.set_rate(RATE_HZ, ValueOr::Nearest).unwrap();
        // A second: this thread may wait that long for its turn.
        wanted.set_buffer_size_near(10 * PACKET_FRAMES as i64).unwrap();
        pcm.hw_params(&wanted).unwrap();
        drop(wanted);
        let sound: Vec<i16> = (0..PACKET_FRAMES)
            .flat_map(|nth| TONES_HZ.map(|hz| (sine(hz, nth) * AMPLITUDE * 32767.0).round() as i16))
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(
            move || {
                while !stopped.load(Ordering::Relaxed) && play_once(&pcm, &sound).is_ok() {}
            },
        );
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

fn play_once(pcm: &PCM, sound: &[i16]) -> alsa::Result<()> {
    let mut rest = sound;
    while !rest.is_empty() {
        match pcm.io_i16()?.writei(rest) {
            Ok(frames) => rest = &rest[2 * frames..],
            // After an underrun it goes on; not after the card is gone.
            Err(error) => pcm.try_recover(error, true)?,
        }
    }
    Ok(())
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of its own has been printed.
            let _ = thread.join();
        }
    }
}

fn sine(hz: f64, nth: usize) -> f64 {
    (TAU * hz * nth as f64 / f64::from(RATE_HZ)).sin()
}

/// A packet, and what each of its channels has of the tone that is played there.
#[derive(Debug, Clone, Copy)]
struct Packet {
    seq: u64,
    captured: Timestamp,
    tones: [Tone; 2],
}

#[derive(Debug, Clone, Copy)]
struct Tone {
    /// Full scale is 1.
    amplitude: f64,
    /// Of the channel's energy: 1 where there is nothing else.
    share: f64,
    phase_rad: f64,
}

impl Tone {
    fn of(samples: &[f64], hz: f64) -> Self {
        let half = samples.len() as f64 / 2.0;
        let against = |quarter: usize| {
            // A quarter of a period on: a cosine.
            let shift = quarter as f64 * f64::from(RATE_HZ) / (4.0 * hz);
            let of = |(nth, value): (usize, &f64)| value * (TAU * hz * (nth as f64 + shift) / f64::from(RATE_HZ)).sin();
            samples.iter().enumerate().map(of).sum::<f64>() / half
        };
        let (sine, cosine) = (against(0), against(1));
        let energy: f64 = samples.iter().map(|value| value * value).sum();
        let amplitude = sine.hypot(cosine);
        Self {
            amplitude,
            share: amplitude * amplitude * half / energy.max(f64::MIN_POSITIVE),
            phase_rad: cosine.atan2(sine),
        }
    }

    fn is_pure(&self) -> bool {
        (self.amplitude - AMPLITUDE).abs() < 0.01 && self.share > 0.999
    }
}

impl Packet {
    fn next(source: &mut dyn Source) -> Self {
        let (seq, captured, data) = next(source).unwrap();
        assert_eq!(data.len(), PACKET_FRAMES * 4);
        let (values, _) = data.as_chunks::<2>();
        let tones = [0, 1].map(|channel| {
            let of_it = values.iter().skip(channel).step_by(2);
            let samples: Vec<f64> = of_it
                .map(|bytes| f64::from(i16::from_le_bytes(*bytes)) / 32768.0)
                .collect();
            Tone::of(&samples, TONES_HZ[channel])
        });
        Self { seq, captured, tones }
    }

    fn is_pure(&self) -> bool {
        self.tones.iter().all(Tone::is_pure)
    }
}

/// `count` packets, each after the other and captured while this ran, half of them at least with both tones and nothing
/// else, and nothing missing between those that follow one another. Half: the player's turn may come too late.
fn assert_hears(source: &mut dyn Source, count: usize) -> Vec<Packet> {
    let format = Format::Audio {
        rate_hz: RATE_HZ,
        channels: 2,
        sample: AudioSample::I16,
    };
    assert_eq!(*source.format(), format);
    let clock = HostClock::start();
    let packets: Vec<Packet> = (0..count)
        .map(|_| {
            let packet = Packet::next(source);
            assert!(packet.captured <= clock.now(), "from the future");
            assert!(clock.epoch().since(packet.captured) < LONG, "by another clock");
            packet
        })
        .collect();
    let pure = packets.iter().filter(|packet| packet.is_pure()).count();
    assert!(pure * 2 >= count, "{pure} of {packets:#?}");
    for pair in packets.windows(2) {
        assert!(
            pair[0].seq < pair[1].seq && pair[0].captured < pair[1].captured,
            "{pair:?}"
        );
        if pair[0].seq + 1 == pair[1].seq && pair.iter().all(Packet::is_pure) {
            for (before, after) in pair[0].tones.iter().zip(pair[1].tones) {
                // Of 1000 Hz, a frame is 0.13 rad.
                let off = (after.phase_rad - before.phase_rad + PI).rem_euclid(TAU) - PI;
                assert!(off.abs() < 0.05, "frames are missing: {pair:?}");
            }
        }
    }
    assert_spacing(&packets);
    packets
}

/// The numbers and the times of `packets` go by together, those left out included.
fn assert_spacing(packets: &[Packet]) {
    let (first, last) = (packets[0], packets[packets.len() - 1]);
    let passed_s = last.captured.since(first.captured).as_secs_f64();
    let counted_s = (last.seq - first.seq) as f64 * PACKET.as_secs_f64();
    let ratio = passed_s / counted_s;
    assert!(
        (0.5..=2.0).contains(&ratio),
        "{passed_s} s for {counted_s} s: {packets:#?}"
    );
}

/// As it is found, at the rate and with the channels of what is played.
fn settings() -> Settings {
    let found = Microphone.find().into_iter().map(|found| found.settings);
    let devices: Vec<Settings> = found
        .filter(|found| found["device"].as_str().unwrap().contains("Loopback"))
        .collect();
    let of_it = devices
        .iter()
        .find(|found| found["device"].as_str() == Some("plughw:CARD=Loopback,DEV=1"));
    let mut settings = of_it.unwrap_or_else(|| panic!("{devices:?}")).clone();
    settings.extend(toml::toml! { rate_hz = 48000
    channels = [1, 2] });
    with(&settings, "packet_ms", PACKET.as_millis() as i64)
}

#[test]
fn a_sound_card_is_heard_pulled_and_put_back() {
    if !guest::inside("a_sound_card_is_heard_pulled_and_put_back") {
        return;
    }
    guest::load_module("snd-aloop", &[]).unwrap();
    let settings = settings();
    let playing = Playing::start();
    let mut source = open(&Microphone, &settings).unwrap();
    let before = assert_hears(&mut *source, 20);

    // Nobody reads for three seconds, of which one is kept.
    let clock = HostClock::start();
    clock.wait_until(clock.now().after(Duration::from_secs(3)));
    let after = assert_hears(&mut *source, 20);
    let left_out = after[19].seq - after[0].seq - 19;
    assert!(left_out >= 5, "{left_out} left out: {after:#?}");
    assert_spacing(&[before, after].concat());

    // The kernel waits there until nobody has the card open.
    let unbinding = thread::spawn(|| fs::write(Path::new(CARD).join("unbind"), "snd_aloop.0"));
    let error = first_error(&mut *source);
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    let error = open(&Microphone, &settings).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    assert!(error.message.contains("no such device"), "{error}");
    drop(source);
    drop(playing);
    guest::wait_for(LONG, || unbinding.is_finished().then_some(())).expect("the card is held open");
    unbinding.join().unwrap().unwrap();
    assert_eq!(open(&Microphone, &settings).err().unwrap().kind, ErrorKind::Gone);

    fs::write(Path::new(CARD).join("bind"), "snd_aloop.0").unwrap();
    let _playing = Playing::start();
    assert_hears(&mut *open(&Microphone, &settings).unwrap(), 10);
}
