//! Cameras whose windows are clips: the pack's video graph behind an encoder.
#![allow(clippy::unwrap_used, reason = "in a test, a failure to set up is the failure")]

mod support;

use sensebind_core::{Embedding, EncodeError, Encoder, Format, PixelLayout, Sense, StreamId, Timestamp, Window};
use sensebind_models::encoder::{OpenError, PackEncoders};
use sensebind_models::family::imagebind::Config;
use sensebind_models::manifest::Precision;
use sensebind_models::pack::{GraphKind, Pack, import};
use sensebind_models::session::{Runtime, Threads};
use std::num::NonZeroUsize;
use std::time::Duration;
use support::{Golden, write_safetensors};

/// The formula model with these graphs, in a folder that lives as long as the tuple.
fn pack(graphs: Vec<GraphKind>, crops: u32) -> (Pack, tempfile::TempDir) {
    let golden = Golden::compact();
    let folder = tempfile::tempdir().unwrap();
    let mut config: Config = serde_json::from_value(golden.config.clone()).unwrap();
    config.senses = graphs;
    let checkpoint = folder.path().join("formula.safetensors");
    write_safetensors(&checkpoint, &golden.weights());
    let out = folder.path().join("pack");
    import(&checkpoint, &config, &out, Precision::F32, &mut |_| ()).unwrap();
    let manifest = out.join("pack.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    if text.contains("crops = 3") {
        std::fs::write(&manifest, text.replace("crops = 3", &format!("crops = {crops}"))).unwrap();
    }
    (Pack::open(&out).unwrap(), folder)
}

fn threads() -> Threads {
    Threads(NonZeroUsize::MIN)
}

const fn camera(layout: PixelLayout) -> Format {
    Format::Image {
        width: 64,
        height: 48,
        layout,
        rate_hz: 10.0,
    }
}

fn picture(step: usize) -> Vec<u8> {
    (0..64 * 48 * 3).map(|i| (i * step / 7 % 251) as u8 + 1).collect()
}

fn window(format: Format, frames: &[Vec<u8>]) -> Window {
    let mut window = Window::new(StreamId::new("/camera"), format);
    for (nth, bytes) in frames.iter().enumerate() {
        window.push(Timestamp::from_nanos(nth as u64 * 100_000_000), &[bytes]);
    }
    window
}

fn encode(encoder: &mut dyn Encoder, windows: &[Window]) -> Vec<Result<Embedding, EncodeError>> {
    let mut out = Vec::new();
    encoder.encode(windows, &mut out).unwrap();
    assert_eq!(out.len(), windows.len());
    out
}

fn cosine(a: &Result<Embedding, EncodeError>, b: &Result<Embedding, EncodeError>) -> f32 {
    a.as_ref().unwrap().cosine(b.as_ref().unwrap()).unwrap()
}

#[test]
fn a_clip_is_its_evenly_spaced_pictures_whatever_lies_between() {
    let runtime = Runtime::load(None).unwrap();
    for crops in [1, 3] {
        let (pack, _folder) = pack(vec![GraphKind::Image, GraphKind::Video], crops);
        let encoders = PackEncoders::new(&pack, &runtime, threads());
        let mut encoder = encoders.clip_encoder().unwrap();
        let spec = encoder.spec();
        let entry = pack.manifest().video.as_ref().unwrap();
        assert_eq!(
            (spec.sense, spec.window),
            (Sense::Image, Duration::from_secs_f64(entry.window_s))
        );
        assert!(!spec.window.is_zero() && entry.input.crops == crops);

        let rgb = camera(PixelLayout::Rgb8);
        let [a, b, c, d] = [3, 11, 5, 23].map(picture);
        let out = encode(
            &mut *encoder,
            &[
                window(rgb, &[a.clone(), b.clone()]),
                window(rgb, &[]),
                window(rgb, &[a.clone(), c.clone(), d.clone(), b.clone()]),
                window(rgb, &[a.clone(), vec![1; 17]]),
                window(rgb, &[b.clone(), a.clone()]),
                window(rgb, std::slice::from_ref(&a)),
                window(rgb, &[a.clone(), a.clone()]),
            ],
        );
        assert!(cosine(&out[0], &out[2]) > 0.999_999);
        assert!(
            cosine(&out[5], &out[6]) > 0.999_999,
            "one picture is a clip of equal ones"
        );
        assert!(cosine(&out[0], &out[4]) < 0.999_99, "the order counts");
        assert!(cosine(&out[0], &out[6]) < 0.999_99);
        for (bad, says) in [(&out[1], "holds no frame"), (&out[3], "17 bytes")] {
            let error = bad.as_ref().unwrap_err();
            assert!(matches!(error, EncodeError::BadWindow { .. }), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }

        let stream = StreamId::new("/camera");
        encoder.accepts(&stream, &camera(PixelLayout::Yuyv)).unwrap();
        encoder.accepts(&stream, &camera(PixelLayout::Jpeg)).unwrap();
        let odd = Format::Image {
            width: 63,
            height: 48,
            layout: PixelLayout::Yuyv,
            rate_hz: 10.0,
        };
        for refused in [odd, Format::Imu { rate_hz: 1.0 }] {
            assert!(encoder.accepts(&stream, &refused).is_err());
            assert!(
                encoders
                    .encoder(Sense::Image)
                    .unwrap()
                    .accepts(&stream, &refused)
                    .is_err()
            );
        }
    }
}

#[test]
fn a_camera_that_delivers_ycbcr_means_the_same_as_one_that_delivers_rgb() {
    let runtime = Runtime::load(None).unwrap();
    let (pack, _folder) = pack(vec![GraphKind::Image, GraphKind::Video], 3);
    let encoders = PackEncoders::new(&pack, &runtime, threads());
    // Grey ramps: 16 + v * 219 / 255 of brightness is grey v.
    let grey = |shift: usize| (0..64 * 48).map(move |i| (i * 3 / 64 + shift) % 200 + 16);
    let yuyv = |shift| -> Vec<u8> { grey(shift).flat_map(|y| [y as u8, 128]).collect() };
    let rgb = |shift| -> Vec<u8> {
        let to_rgb = |y: usize| [((y as f64 - 16.0) * 255.0 / 219.0).round() as u8; 3];
        grey(shift).flat_map(to_rgb).collect()
    };
    for mut encoder in [
        encoders.clip_encoder().unwrap(),
        encoders.encoder(Sense::Image).unwrap(),
    ] {
        let windows = [
            window(camera(PixelLayout::Yuyv), &[yuyv(0), yuyv(40)]),
            window(camera(PixelLayout::Rgb8), &[rgb(0), rgb(40)]),
        ];
        let out = encode(&mut *encoder, &windows);
        assert!(cosine(&out[0], &out[1]) > 0.999_99);
    }
}

#[test]
fn the_starter_pack_sees_clips_in_the_space_of_its_pictures() {
    let runtime = Runtime::load(None).unwrap();
    let pack = Pack::open(concat!(env!("CARGO_MANIFEST_DIR"), "/packs/starter")).unwrap();
    let encoders = PackEncoders::new(&pack, &runtime, threads());
    let mut clips = encoders.clip_encoder().unwrap();
    assert_eq!(clips.spec().window, Duration::from_secs(2));
    let mut stills = encoders.encoder(Sense::Image).unwrap();
    assert_eq!(clips.spec().logit_scale, stills.spec().logit_scale);
    let rgb = camera(PixelLayout::Rgb8);
    let smooth: Vec<u8> = (0..64 * 48)
        .flat_map(|i| [(i % 64 * 3) as u8, (i / 64 * 4) as u8, 90])
        .collect();
    let clip = encode(&mut *clips, &[window(rgb, &[smooth.clone(), smooth.clone()])]);
    let still = encode(&mut *stills, &[window(rgb, &[smooth])]);
    // Their recipes resize differently.
    assert!(cosine(&clip[0], &still[0]) > 0.9, "{}", cosine(&clip[0], &still[0]));
}

#[test]
fn a_pack_without_video_says_what_to_do() {
    let runtime = Runtime::load(None).unwrap();
    let (pack, _folder) = pack(vec![GraphKind::Image], 3);
    let error = PackEncoders::new(&pack, &runtime, threads())
        .clip_encoder()
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::NoVideo(_)), "{error}");
    for says in ["no encoder for video", "it has image", "frames = \"still\""] {
        assert!(error.to_string().contains(says), "{error}");
    }
}
