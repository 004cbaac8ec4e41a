//! Encoders of a pack: streams and files in, unit vectors out. The pack's weights are a formula's.
#![allow(clippy::unwrap_used, reason = "in a test, a failure to set up is the failure")]

mod support;

use sensebind_core::{
    AudioSample, DepthUnit, Embedding, EncodeError, Encoder, Format, PixelLayout, Sense, Span, StreamId, ThermalUnit,
    Timestamp, Window,
};
use sensebind_models::encoder::{EncoderOptions, OpenError, PackEncoders, files};
use sensebind_models::family::imagebind::Config;
use sensebind_models::input::InputError;
use sensebind_models::manifest::Precision;
use sensebind_models::pack::{Pack, import};
use sensebind_models::session::{Runtime, Threads};
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::Duration;
use support::{Golden, write_safetensors};

struct Opened {
    pack: Pack,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

/// One pack for all tests of a process.
fn opened() -> &'static Opened {
    static OPENED: OnceLock<Opened> = OnceLock::new();
    OPENED.get_or_init(|| {
        let golden = Golden::compact();
        let folder = tempfile::tempdir().unwrap();
        let config: Config = serde_json::from_value(golden.config.clone()).unwrap();
        let checkpoint = folder.path().join("formula.safetensors");
        write_safetensors(&checkpoint, &golden.weights());
        let out = folder.path().join("pack");
        import(&checkpoint, &config, &out, Precision::F32, &mut |_| ()).unwrap();
        Opened {
            pack: Pack::open(&out).unwrap(),
            runtime: Runtime::load(None).unwrap(),
            _folder: folder,
        }
    })
}

fn encoders() -> PackEncoders<'static> {
    let opened = opened();
    PackEncoders::new(&opened.pack, &opened.runtime, Threads(NonZeroUsize::MIN))
}

fn window(format: Format, frames: &[(u64, Vec<u8>)]) -> Window {
    let mut window = Window::new(StreamId::new("/test"), format);
    window.clear(Span::new(Timestamp::ZERO, Timestamp::from_nanos(5_000_000_000)));
    for (nanos, bytes) in frames {
        window.push(Timestamp::from_nanos(*nanos), &[bytes]);
    }
    window
}

fn encode(encoder: &mut dyn Encoder, windows: &[Window]) -> Vec<Result<Embedding, EncodeError>> {
    let mut out = Vec::new();
    encoder.encode(windows, &mut out).unwrap();
    assert_eq!(out.len(), windows.len());
    out
}

fn rgb(width: u32, height: u32) -> Format {
    Format::Image {
        width,
        height,
        layout: PixelLayout::Rgb8,
        rate_hz: 10.0,
    }
}

fn picture(width: u32, height: u32, step: usize) -> Vec<u8> {
    (0..(width * height * 3) as usize)
        .map(|i| (i * step / 7 % 251) as u8 + 1)
        .collect()
}

fn same(a: &Embedding, b: &Embedding) -> bool {
    a.cosine(b).is_some_and(|c| c > 0.999_999)
}

#[test]
fn a_bad_window_does_not_cost_its_neighbours() {
    let mut encoder = encoders().encoder(Sense::Image).unwrap();
    let (a, b) = (picture(40, 30, 3), picture(40, 30, 11));
    let windows = [
        window(rgb(40, 30), &[(0, a.clone())]),
        window(rgb(40, 30), &[(0, vec![0; 3600])]),
        window(rgb(40, 30), &[(0, vec![1; 17])]),
        window(rgb(40, 30), &[]),
        window(rgb(40, 30), &[(0, b.clone())]),
    ];
    let out = encode(&mut *encoder, &windows);
    for (result, why) in out[1..4]
        .iter()
        .zip(["every pixel is zero", "17 bytes", "holds no frame"])
    {
        match result {
            Err(e @ EncodeError::BadWindow { .. }) => assert!(e.to_string().contains(why), "{e}"),
            other => panic!("{other:?}"),
        }
    }
    for (result, bytes) in [(&out[0], a), (&out[4], b)] {
        let alone = encode(&mut *encoder, &[window(rgb(40, 30), &[(0, bytes)])]);
        assert!(same(result.as_ref().unwrap(), alone[0].as_ref().unwrap()));
    }
    assert!(!same(out[0].as_ref().unwrap(), out[4].as_ref().unwrap()));
}

#[test]
fn the_last_picture_of_a_window_counts_whatever_its_size_and_layout() {
    let mut encoder = encoders().encoder(Sense::Image).unwrap();
    let (old, new) = (picture(40, 30, 3), picture(40, 30, 11));
    let bgr: Vec<u8> = new.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
    let bgr_format = Format::Image {
        width: 40,
        height: 30,
        layout: PixelLayout::Bgr8,
        rate_hz: 10.0,
    };
    let out = encode(
        &mut *encoder,
        &[
            window(rgb(40, 30), &[(0, old), (1, new)]),
            window(bgr_format, &[(0, bgr)]),
            window(rgb(30, 40), &[(0, picture(30, 40, 5))]),
        ],
    );
    assert!(same(out[0].as_ref().unwrap(), out[1].as_ref().unwrap()));
    assert!(out[2].is_ok());
}

#[test]
fn a_stream_that_does_not_fit_is_refused_at_start() {
    let encoder = encoders().encoder(Sense::Image).unwrap();
    let stream = StreamId::new("/camera");
    encoder.accepts(&stream, &rgb(640, 480)).unwrap();
    encoder
        .accepts(
            &stream,
            &Format::Image {
                width: 0,
                height: 0,
                layout: PixelLayout::Jpeg,
                rate_hz: 10.0,
            },
        )
        .unwrap();
    for wrong in [rgb(0, 480), Format::Imu { rate_hz: 100.0 }] {
        match encoder.accepts(&stream, &wrong) {
            Err(EncodeError::Mismatch {
                sense: Sense::Image,
                format,
                ..
            }) => assert_eq!(*format, wrong),
            other => panic!("{other:?}"),
        }
    }
    let ear = encoders().encoder(Sense::Audio).unwrap();
    let deaf = Format::Audio {
        rate_hz: 48_000,
        channels: 0,
        sample: AudioSample::I16,
    };
    assert!(ear.accepts(&stream, &deaf).is_err());
    let unit = ThermalUnit::KelvinPerCount(0.0);
    let cold = Format::Thermal {
        width: 8,
        height: 8,
        unit,
        rate_hz: 9.0,
    };
    assert!(
        encoders()
            .encoder(Sense::Thermal)
            .unwrap()
            .accepts(&stream, &cold)
            .is_err()
    );
    assert!(matches!(
        encoders().encoder(Sense::Text),
        Err(OpenError::Input(InputError::Recipe { .. }))
    ));
}

fn tone(rate_hz: u32, channels: usize) -> Vec<u8> {
    (0..2 * rate_hz)
        .flat_map(|i| {
            let s = (std::f64::consts::TAU * 500.0 * f64::from(i) / f64::from(rate_hz)).sin() * 0.5;
            let mut frame = vec![(s * 32_767.0) as i16];
            frame.resize(channels, 99);
            frame
        })
        .flat_map(i16::to_le_bytes)
        .collect()
}

#[test]
fn sound_of_any_rate_and_channel_count_means_the_same() {
    let mut encoder = encoders().encoder(Sense::Audio).unwrap();
    let format = |rate_hz, channels| Format::Audio {
        rate_hz,
        channels,
        sample: AudioSample::I16,
    };
    let packets: Vec<(u64, Vec<u8>)> = tone(16_000, 1).chunks(640).map(|c| (0, c.to_vec())).collect();
    let out = encode(
        &mut *encoder,
        &[
            window(format(16_000, 1), &packets),
            window(format(16_000, 2), &[(0, tone(16_000, 2))]),
            window(format(48_000, 1), &[(0, tone(48_000, 1))]),
            window(format(16_000, 1), &[(0, vec![1, 0])]),
            window(format(16_000, 1), &[]),
        ],
    );
    let first = out[0].as_ref().unwrap();
    assert!(same(first, out[1].as_ref().unwrap()));
    assert!(first.cosine(out[2].as_ref().unwrap()).unwrap() > 0.99);
    assert!(out[3].is_err() && out[4].is_err());
}

#[test]
fn every_sense_gives_unit_vectors_of_the_packs_space() {
    let space = &opened().pack.manifest().space;
    let kelvin: Vec<u8> = (0..64u16).flat_map(|i| (29_000 + i * 20).to_le_bytes()).collect();
    let metres: Vec<u8> = (0..64).flat_map(|i| (0.5 + i as f32 * 0.1).to_le_bytes()).collect();
    let samples: Vec<(u64, Vec<u8>)> = (0..500)
        .map(|i| {
            (
                i * 10_000_000,
                [0.1, 0.0, 9.81, 0.0, i as f32 * 1e-3, 0.0f32]
                    .map(f32::to_le_bytes)
                    .concat(),
            )
        })
        .collect();
    let thermal = ThermalUnit::KelvinPerCount(0.01);
    for (sense, window) in [
        (Sense::Image, window(rgb(8, 8), &[(0, picture(8, 8, 3))])),
        (
            Sense::Thermal,
            window(
                Format::Thermal {
                    width: 8,
                    height: 8,
                    unit: thermal,
                    rate_hz: 9.0,
                },
                &[(0, kelvin)],
            ),
        ),
        (
            Sense::Depth,
            window(
                Format::Depth {
                    width: 8,
                    height: 8,
                    unit: DepthUnit::MetresF32,
                    focal_px: None,
                    rate_hz: 9.0,
                },
                &[(0, metres)],
            ),
        ),
        (Sense::Imu, window(Format::Imu { rate_hz: 100.0 }, &samples)),
    ] {
        let mut encoder = encoders().encoder(sense).unwrap();
        assert_eq!(encoder.spec().sense, sense);
        encoder.accepts(&window.stream, &window.format).unwrap();
        let out = encode(&mut *encoder, &[window]);
        let embedding = out[0].as_ref().unwrap();
        assert_eq!(embedding.space().as_str(), space.id);
        assert_eq!(embedding.as_slice().len(), space.dim);
    }
}

#[test]
fn phrases_are_encoded_alike_alone_and_in_company() {
    let mut text = encoders().text().unwrap();
    let phrases = ["a dog.", "", "the crackle of a fire in the very next room of the house"];
    let together = text.encode(&phrases).unwrap();
    for (phrase, embedding) in phrases.iter().zip(&together) {
        assert!(same(&text.encode(&[phrase]).unwrap()[0], embedding), "{phrase:?}");
    }
    assert!(!same(&together[0], &together[2]));
    assert!(text.encode(&[]).unwrap().is_empty());
}

#[test]
fn a_long_recording_is_the_mean_of_its_clips() {
    let entry = opened().pack.manifest().audio.as_ref().unwrap();
    let mut encoder = encoders().encoder(Sense::Audio).unwrap();
    let samples: Vec<f32> = (0..80_000)
        .map(|i| (i as f32 * (0.05 + i as f32 * 1e-6)).sin() * 0.4)
        .collect();
    let windows = files::recording(&samples, 16_000, entry, "clip.wav").unwrap();
    let starts: Vec<u64> = windows.iter().map(|w| w.span.start.as_nanos()).collect();
    assert_eq!(starts, [0, 1_500_000_000, 3_000_000_000]);
    let parts: Vec<Embedding> = encode(&mut *encoder, &windows)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let whole = files::embed(&mut *encoder, &windows).unwrap();
    assert!(same(&whole, &Embedding::mean(&parts).unwrap().unwrap()));
    // A short one is one window.
    assert_eq!(
        files::recording(&samples[..19_200], 16_000, entry, "short.wav")
            .unwrap()
            .len(),
        1
    );
    assert!(matches!(
        files::recording(&[], 16_000, entry, "empty.wav"),
        Err(InputError::Size { .. })
    ));
}

#[test]
fn picture_files_are_embedded_and_others_refused() {
    let mut encoder = encoders().encoder(Sense::Image).unwrap();
    let file = include_bytes!("golden_input/sq_224.png");
    let window = files::picture(file, "sq_224.png").unwrap();
    files::embed(&mut *encoder, &[window]).unwrap();
    assert!(matches!(
        files::picture(b"GIF89a", "x.gif"),
        Err(InputError::Undecodable { .. })
    ));
    let grey = include_bytes!("golden_input/gray_161x129.png");
    let thermal = files::thermal_png(grey, 0.01, "grey.png").unwrap();
    assert!(matches!(
        thermal.format,
        Format::Thermal {
            unit: ThermalUnit::Gray8,
            width: 161,
            height: 129,
            ..
        }
    ));
    files::embed(&mut *encoders().encoder(Sense::Thermal).unwrap(), &[thermal]).unwrap();
    let error = files::depth_png(grey, 0.001, None, "grey.png").unwrap_err().to_string();
    assert!(error.contains("expected a depth picture of 16"), "{error}");
}

#[test]
fn imu_tables_become_windows_and_errors_name_the_line() {
    let lines: String = (0..1200)
        .map(|i| format!("{},0.1,0,9.81,0,{},0\n", 7.0 + i as f64 * 0.01, i % 10))
        .collect();
    let table = format!("t_s, ax, ay, az, gx, gy, gz\n{lines}");
    let window = Duration::from_secs(5);
    let windows = files::imu_csv(&table, window, "walk.csv").unwrap();
    let starts: Vec<u64> = windows.iter().map(|w| w.span.start.as_nanos()).collect();
    assert_eq!(starts, [0, 3_495_000_000, 6_990_000_000]);
    files::embed(&mut *encoders().encoder(Sense::Imu).unwrap(), &windows).unwrap();
    for (text, why) in [
        ("", "expected the header"),
        ("time,x\n", "expected the header"),
        ("t_s,ax,ay,az,gx,gy,gz\n", "no sample"),
        ("t_s,ax,ay,az,gx,gy,gz\n0,0,0,9.8,0,0,0\n1,2,3\n", "line 3"),
        ("t_s,ax,ay,az,gx,gy,gz\nNaN,0,0,9.8,0,0,0\n", "line 2"),
        (
            "t_s,ax,ay,az,gx,gy,gz\n5,0,0,9.8,0,0,0\n4,0,0,9.8,0,0,0\n",
            "before the first",
        ),
    ] {
        let error = files::imu_csv(text, window, "x.csv").unwrap_err().to_string();
        assert!(error.contains(why), "{text:?}: {error}");
    }
}

#[test]
fn a_board_may_insist_on_a_precision() {
    let wanting = |precision| {
        let options = EncoderOptions {
            precision: Some(precision),
            ..EncoderOptions::default()
        };
        encoders().with(Sense::Imu, options).encoder(Sense::Imu)
    };
    wanting(Precision::F32).unwrap();
    let refused = wanting(Precision::F16).err().expect("the pack is f32").to_string();
    for part in [
        "imu graph is f32",
        "f16 was asked for",
        "pack import",
        "--precision f16",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}
