//! Sound files: exact samples, and readable errors for everything that is none.
#![allow(clippy::unwrap_used, reason = "the functions the tests share are tests too")]

use sensebind_core::{AudioSample, ErrorKind, Format, Reading};
use sensebind_drivers::audio_file::{self, decode_audio};
use std::path::PathBuf;
use std::time::Duration;

/// A WAV file. `code` 1: integers, 3: floating point.
fn wav(code: u16, channels: u16, rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let block = channels.wrapping_mul(bits / 8);
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + data.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    wav.extend(code.to_le_bytes());
    wav.extend(channels.to_le_bytes());
    wav.extend(rate_hz.to_le_bytes());
    wav.extend(rate_hz.wrapping_mul(u32::from(block)).to_le_bytes());
    wav.extend(block.to_le_bytes());
    wav.extend(bits.to_le_bytes());
    wav.extend(b"data");
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    wav
}

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(name: &str, bytes: &[u8]) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    File { _folder: folder, path }
}

/// The format and all bytes of a file as a stream; times checked against the samples before each packet.
fn stream(file: &File) -> (Format, Vec<u8>) {
    let mut source = audio_file::open(&file.path).unwrap();
    let format = *source.format();
    let mut bytes = Vec::new();
    loop {
        match source.read(Duration::ZERO) {
            Ok(Reading::Frame(frame)) => {
                let samples = bytes.len() / format.audio_sample_bytes();
                let expected_s = samples as f64 / format.rate_hz();
                assert!((frame.captured.as_secs_f64() - expected_s).abs() < 1e-8);
                bytes.extend_from_slice(frame.data);
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Ended, "{error}");
                return (format, bytes);
            }
        }
    }
}

#[test]
fn sixteen_bits_come_out_as_they_are() {
    let samples: Vec<i16> = (0..20_000).map(|n| (n * 37 % 65_536 - 32_768) as i16).collect();
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let file = file("two channels.wav", &wav(1, 2, 44_100, 16, &data));
    let expected = Format::Audio {
        rate_hz: 44_100,
        channels: 2,
        sample: AudioSample::I16,
    };
    assert_eq!(stream(&file), (expected, data));
    let decoded = decode_audio(&file.path).unwrap();
    assert_eq!((decoded.rate_hz, decoded.channels), (44_100, 2));
    let as_f32: Vec<f32> = samples.iter().map(|&s| f32::from(s) / 32_768.0).collect();
    assert_eq!(decoded.samples, as_f32);
    let source = audio_file::open(&file.path).unwrap();
    assert_eq!(source.stream().as_str(), "two channels");
}

#[test]
fn more_than_sixteen_bits_come_out_as_floats() {
    let floats: Vec<f32> = (0..5_000).map(|n| (n as f32 * 0.01).sin()).collect();
    let data: Vec<u8> = floats.iter().flat_map(|s| s.to_le_bytes()).collect();
    let float_file = file("f.wav", &wav(3, 1, 16_000, 32, &data));
    let (format, bytes) = stream(&float_file);
    assert!(matches!(
        format,
        Format::Audio {
            sample: AudioSample::F32,
            ..
        }
    ));
    assert_eq!(bytes, data);

    let data: Vec<u8> = [1 << 22, -(1 << 23), 1i32]
        .iter()
        .flat_map(|s| s.to_le_bytes()[..3].to_vec())
        .collect();
    let file = file("24.wav", &wav(1, 1, 48_000, 24, &data));
    let decoded = decode_audio(&file.path).unwrap();
    assert_eq!(decoded.samples, [0.5, -1.0, 1.0 / 8_388_608.0]);
}

#[test]
fn a_file_cut_off_in_recording_gives_what_is_there() {
    let data = vec![1u8; 32_000];
    let whole = wav(1, 1, 16_000, 16, &data);
    let file = file("cut.wav", &whole[..whole.len() - 16_000]);
    let (_, bytes) = stream(&file);
    assert!(bytes.len() > 10_000 && bytes.len() <= 16_000, "{}", bytes.len());
}

#[test]
fn what_is_no_sound_is_a_readable_error() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty.wav", Vec::new()),
        ("header only.wav", wav(1, 1, 16_000, 16, &[])),
        ("text.wav", b"not a sound file at all, but long enough to look".to_vec()),
        ("no rate.wav", wav(1, 1, 0, 16, &[0; 64])),
        ("absurd rate.wav", wav(1, 1, u32::MAX, 16, &[0; 64])),
        ("no channels.wav", wav(1, 0, 16_000, 16, &[0; 64])),
        ("many channels.wav", wav(1, 40_000, 16_000, 16, &[0; 64])),
        ("no bits.wav", wav(1, 1, 16_000, 0, &[0; 64])),
        (
            "flac.flac",
            b"fLaC\x00\x00\x00\x22garbage garbage garbage garbage".to_vec(),
        ),
        ("ogg.ogg", b"OggS\x00\x02garbage garbage garbage garbage garb".to_vec()),
    ];
    for (name, bytes) in cases {
        let file = file(name, &bytes);
        let error = decode_audio(&file.path).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        let error = audio_file::open(&file.path).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Misconfigured, "{name}: {error}");
    }
}

#[test]
fn no_damage_makes_it_panic() {
    let data: Vec<u8> = (0..4_000u32).map(|n| (n * 7) as u8).collect();
    let good = wav(1, 2, 8_000, 16, &data);
    for at in 0..60 {
        for value in [0x00, 0x01, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            // Either way is fine; it has to return.
            let _ = decode_audio(&file("bad.wav", &bad).path);
        }
    }
}

/// FLAC and Ogg Vorbis need real files: the shared kit has five-second recordings, mono at 16 kHz.
#[test]
fn ogg_vorbis_of_the_shared_kit() {
    let clip = std::env::var_os("SENSEBIND_SHARED")
        .map(|kit| PathBuf::from(kit).join("sounds/dog_bark/1-100032-A.ogg"))
        .filter(|path| path.is_file());
    let Some(path) = clip else {
        eprintln!("SKIPPED: SENSEBIND_SHARED has no sounds/dog_bark/1-100032-A.ogg");
        return;
    };
    let decoded = decode_audio(&path).unwrap();
    assert_eq!((decoded.rate_hz, decoded.channels), (16_000, 1));
    let seconds = decoded.samples.len() as f64 / 16_000.0;
    assert!((seconds - 5.0).abs() < 0.05, "{seconds}");
    assert!(decoded.samples.iter().any(|s| s.abs() > 0.01));
    let mut damaged = std::fs::read(&path).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xaa);
    let _ = decode_audio(&file("damaged.ogg", &damaged).path);
}

/// CRC of `width` bits, most significant first, as FLAC uses it (RFC 9639, 9.1.8 and 9.3).
fn crc(bytes: &[u8], width: u32, polynomial: u32) -> u32 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << (width - 8), |crc, _| {
            let next = crc << 1;
            (if crc >> (width - 1) & 1 == 1 {
                next ^ polynomial
            } else {
                next
            }) & ((1u64 << width) - 1) as u32
        })
    })
}

/// A mono 16-bit FLAC file of 192-sample frames with verbatim subframes (RFC 9639).
fn flac(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
    const BLOCK: usize = 192;
    let mut flac = b"fLaC\x80\0\0\x22".to_vec();
    flac.extend([0, 192, 0, 192, 0, 0, 0, 0, 0, 0]);
    let packed = u64::from(rate_hz) << 44 | 15 << 36 | samples.len() as u64;
    flac.extend(packed.to_be_bytes());
    flac.extend([0; 16]);
    for (number, block) in samples.chunks_exact(BLOCK).enumerate() {
        let mut frame = vec![0xff, 0xf8, 0x10, 0x08, u8::try_from(number).unwrap()];
        frame.push(crc(&frame, 8, 0x07) as u8);
        frame.push(0b0000_0010);
        frame.extend(block.iter().flat_map(|s| s.to_be_bytes()));
        frame.extend((crc(&frame, 16, 0x8005) as u16).to_be_bytes());
        flac.extend(frame);
    }
    flac
}

#[test]
fn flac_comes_out_sample_by_sample() {
    let samples: Vec<i16> = (0..192 * 20).map(|n: i32| (n * 53 % 65_536 - 32_768) as i16).collect();
    let file = file("tone.flac", &flac(22_050, &samples));
    let (format, bytes) = stream(&file);
    assert_eq!(
        format,
        Format::Audio {
            rate_hz: 22_050,
            channels: 1,
            sample: AudioSample::I16
        }
    );
    assert_eq!(bytes, samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<_>>());
}
