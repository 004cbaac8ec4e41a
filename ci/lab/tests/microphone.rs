//! The emulated microphone, seen by an unmodified alsa-lib.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Read as _;
use std::process::{Command, Output};

use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, ValueOr};
use sensebind_lab::Microphone;

const RATE_HZ: u32 = 16_000;
const PERIODS: usize = 10;

/// Left counts frames, right is its negative.
fn sound(first: u64, samples: &mut [i16]) {
    for (frame, sample) in samples.chunks_exact_mut(2).enumerate() {
        sample[0] = ((first as usize + frame) % 30_000) as i16;
        sample[1] = -sample[0];
    }
}

/// The client's half: runs in a process of its own, because alsa-lib reads its configuration from the environment.
#[test]
fn client() {
    let Ok(name) = std::env::var("LAB_PCM") else { return };
    let pcm = PCM::new(&name, Direction::Capture, false).unwrap();
    let hardware = HwParams::any(&pcm).unwrap();
    hardware.set_channels(2).unwrap();
    hardware.set_rate(RATE_HZ, ValueOr::Nearest).unwrap();
    hardware.set_format(Format::s16()).unwrap();
    hardware.set_access(Access::RWInterleaved).unwrap();
    hardware.set_period_size(320, ValueOr::Nearest).unwrap();
    pcm.hw_params(&hardware).unwrap();
    let io = pcm.io_i16().unwrap();
    let mut samples = vec![0; 320 * 2];
    for _ in 0..PERIODS {
        assert_eq!(io.readi(&mut samples).unwrap(), 320);
        let text: Vec<String> = samples.iter().map(i16::to_string).collect();
        println!("samples {}", text.join(" "));
    }
}

fn run_client(microphone: &Microphone, pcm: &str) -> Output {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "client", "--nocapture"])
        .env("ALSA_CONFIG_PATH", microphone.config())
        .env("LAB_PCM", pcm)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out
}

fn samples(out: &Output) -> Vec<i16> {
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .filter_map(|line| line.split_once("samples ").map(|(_, samples)| samples.to_owned()))
        .flat_map(|samples| {
            samples
                .split(' ')
                .map(|sample| sample.parse().unwrap())
                .collect::<Vec<i16>>()
        })
        .collect()
}

#[test]
fn every_sample_arrives_in_real_time() {
    let microphone = match Microphone::new(RATE_HZ, 2, sound) {
        Ok(microphone) => microphone,
        Err(why) => return eprintln!("SKIPPED: microphone: {why}"),
    };
    assert_eq!(microphone.period_frames(), 320);
    for pcm in [microphone.pcm(), "default"] {
        assert_eq!(microphone.started(), None);
        let heard = samples(&run_client(&microphone, pcm));
        let mut expected = vec![0; heard.len()];
        sound(0, &mut expected);
        assert_eq!(heard.len(), PERIODS * 320 * 2);
        assert_eq!(heard, expected, "{pcm}");
        // Paced: nobody reads what was not written.
        assert!(microphone.frames() >= PERIODS as u64 * 320);
        assert!(
            microphone.frames() < 10 * PERIODS as u64 * 320,
            "{}",
            microphone.frames()
        );
        while microphone.started().is_some() {
            std::thread::yield_now();
        }
    }
    assert_eq!(microphone.lost_frames(), 0);
}

#[test]
fn a_slow_client_loses_whole_periods_and_a_closed_microphone_ends() {
    let microphone = match Microphone::new(RATE_HZ, 2, sound) {
        Ok(microphone) => microphone,
        Err(why) => return eprintln!("SKIPPED: microphone faults: {why}"),
    };
    let config = std::fs::read_to_string(microphone.config()).unwrap();
    let fifo = config.split('"').find(|word| word.starts_with('/')).unwrap();
    let mut client = std::fs::File::open(fifo).unwrap();
    while microphone.lost_frames() == 0 {
        std::thread::yield_now();
    }
    let mut bytes = vec![0; 4 * 320];
    client.read_exact(&mut bytes).unwrap();
    let first: Vec<i16> = bytes
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut expected = vec![0; first.len()];
    sound(0, &mut expected);
    assert_eq!(first, expected, "what was written before is kept");
    assert!(microphone.started().is_some());
    microphone.close();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(
        (bytes.len() + rest.len()) as u64,
        4 * microphone.frames(),
        "only whole periods"
    );
}

#[test]
fn a_stalled_microphone_is_silent_and_the_time_between_is_lost() {
    let microphone = match Microphone::new(RATE_HZ, 2, sound) {
        Ok(microphone) => microphone,
        Err(why) => return eprintln!("SKIPPED: microphone stall: {why}"),
    };
    let config = std::fs::read_to_string(microphone.config()).unwrap();
    let fifo = config.split('"').find(|word| word.starts_with('/')).unwrap();
    let mut client = std::fs::File::open(fifo).unwrap();
    let mut bytes = vec![0; 4 * 320];
    let mut frame = || {
        client.read_exact(&mut bytes).unwrap();
        i16::from_le_bytes([bytes[0], bytes[1]])
    };
    assert_eq!(frame(), 0);
    microphone.stall();
    let at_stall = microphone.frames();
    let started = microphone.started().unwrap();
    let elapsed = || {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        std::time::Duration::from(now) - started
    };
    let until = elapsed() + std::time::Duration::from_millis(200);
    while elapsed() < until {
        std::thread::yield_now();
    }
    // One period may have been on its way.
    assert!(microphone.frames() <= at_stall + 320);
    microphone.resume();
    // The periods up to the stall, and those after it.
    let mut numbers = vec![0];
    numbers.extend((0..4 + at_stall / 320).map(|_| frame()));
    let gap = numbers.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gap >= 5 * 320 && gap % 320 == 0, "{numbers:?}");
}
