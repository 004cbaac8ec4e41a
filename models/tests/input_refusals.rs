//! What recipes refuse, and that no bytes make them panic.
#![allow(clippy::unwrap_used, reason = "in a test, a failure to set up is the failure")]

use proptest::prelude::*;
use sensebind_core::{AudioSample, DepthUnit, PixelLayout, Sense, ThermalUnit, Timestamp};
use sensebind_models::input::{
    DepthPreparer, ImagePreparer, ImuPreparer, InputError, LogMel, Resampler, Rgb8, ThermalPreparer, Tokenizer,
    VideoPreparer, clip_ranges, decode, decode_grey_png, first_channel,
};
use sensebind_models::manifest::{
    AudioRecipe, DepthRecipe, DepthRepresentation, Filter, ImageRecipe, ImuRecipe, TextRecipe, ThermalRecipe,
    VideoRecipe,
};

fn image() -> ImageRecipe {
    ImageRecipe {
        size: 8,
        filter: Filter::Bicubic,
        mean: [0.5; 3],
        std: [0.25; 3],
    }
}

fn thermal() -> ThermalRecipe {
    ThermalRecipe {
        size: 4,
        min_k: 273.15,
        max_k: 373.15,
        mean: 0.0,
        std: 1.0,
        provenance: String::new(),
    }
}

fn depth() -> DepthRecipe {
    DepthRecipe {
        size: 4,
        min_m: 0.1,
        max_m: 10.0,
        representation: DepthRepresentation::Metric,
        max_value: 10.0,
        divisor: 10.0,
        mean: 0.0,
        std: 1.0,
        provenance: String::new(),
    }
}

fn imu() -> ImuRecipe {
    ImuRecipe {
        rate_hz: 100.0,
        samples: 100,
        mean: [0.0; 6],
        std: [1.0; 6],
        provenance: String::new(),
    }
}

fn audio() -> AudioRecipe {
    AudioRecipe {
        rate_hz: 16_000,
        mels: 64,
        frames: 50,
        frame_samples: 400,
        hop_samples: 320,
        fft: 512,
        min_hz: 50.0,
        max_hz: 7600.0,
        preemphasis: 0.97,
        floor: 1e-7,
        mean: 0.0,
        std: 1.0,
        clips: 3,
    }
}

fn is_recipe<T: std::fmt::Debug>(result: Result<T, InputError>, sense: Sense) {
    assert!(
        matches!(&result, Err(InputError::Recipe { sense: s, .. }) if *s == sense),
        "{result:?}"
    );
}

fn is_size<T: std::fmt::Debug>(result: Result<T, InputError>) {
    assert!(matches!(result, Err(InputError::Size { .. })), "{result:?}");
}

fn is_unusable<T: std::fmt::Debug>(result: Result<T, InputError>) {
    assert!(matches!(result, Err(InputError::Unusable { .. })), "{result:?}");
}

#[test]
fn impossible_recipes_are_refused_when_the_preparer_is_built() {
    is_recipe(
        ImagePreparer::new(&ImageRecipe { size: 0, ..image() }, 8, 8),
        Sense::Image,
    );
    is_recipe(
        ImagePreparer::new(
            &ImageRecipe {
                std: [1.0, 0.0, 1.0],
                ..image()
            },
            8,
            8,
        ),
        Sense::Image,
    );
    is_recipe(
        ImagePreparer::new(
            &ImageRecipe {
                filter: Filter::Bilinear,
                ..image()
            },
            8,
            8,
        ),
        Sense::Image,
    );
    is_recipe(
        ThermalPreparer::new(
            &ThermalRecipe {
                min_k: 400.0,
                ..thermal()
            },
            4,
            4,
            ThermalUnit::Gray8,
        ),
        Sense::Thermal,
    );
    is_recipe(
        DepthPreparer::new(
            &DepthRecipe {
                divisor: 0.0,
                ..depth()
            },
            4,
            4,
            DepthUnit::MetresF32,
            None,
        ),
        Sense::Depth,
    );
    let flat = DepthRepresentation::Disparity {
        baseline_m: 0.0,
        focal_px: 500.0,
    };
    is_recipe(
        DepthPreparer::new(
            &DepthRecipe {
                representation: flat,
                ..depth()
            },
            4,
            4,
            DepthUnit::MetresF32,
            None,
        ),
        Sense::Depth,
    );
    is_recipe(
        ImuPreparer::new(&ImuRecipe {
            rate_hz: f32::NAN,
            ..imu()
        }),
        Sense::Imu,
    );
    is_recipe(ImuPreparer::new(&ImuRecipe { samples: 0, ..imu() }), Sense::Imu);
    for wrong in [
        AudioRecipe { fft: 256, ..audio() },
        AudioRecipe { fft: 511, ..audio() },
        AudioRecipe { mels: 0, ..audio() },
        AudioRecipe {
            hop_samples: 0,
            ..audio()
        },
        AudioRecipe {
            max_hz: 9000.0,
            ..audio()
        },
        AudioRecipe { floor: 0.0, ..audio() },
        AudioRecipe {
            std: f32::INFINITY,
            ..audio()
        },
        AudioRecipe { rate_hz: 0, ..audio() },
    ] {
        is_recipe(LogMel::new(&wrong), Sense::Audio);
    }
    let text = TextRecipe {
        tokenizer: "clip-bpe".into(),
        context: 77,
        known_ids: None,
    };
    is_recipe(
        Tokenizer::new(&TextRecipe {
            tokenizer: "words".into(),
            ..text.clone()
        }),
        Sense::Text,
    );
    is_recipe(
        Tokenizer::new(&TextRecipe {
            context: 1,
            ..text.clone()
        }),
        Sense::Text,
    );
    is_recipe(
        Tokenizer::new(&TextRecipe {
            known_ids: Some(vec![5, 5]),
            ..text
        }),
        Sense::Text,
    );
    let video = VideoRecipe {
        size: 8,
        frames: 2,
        filter: Filter::Bilinear,
        crops: 2,
        clips: 5,
        mean: [0.5; 3],
        std: [0.25; 3],
    };
    is_recipe(VideoPreparer::new(&video, 8, 8), Sense::Image);
}

#[test]
fn frames_of_the_wrong_size_are_refused_and_leave_no_trace() {
    let mut out = vec![7.0];
    is_size(decode(PixelLayout::Rgb8, &[0; 11], 2, 2));
    is_size(decode(PixelLayout::Gray8, &[0; 4], u32::MAX, u32::MAX));
    is_size(decode(PixelLayout::Yuyv, &[0; 7], 2, 2));
    is_size(decode(PixelLayout::Yuyv, &[0; 12], 3, 2));
    is_size(decode(PixelLayout::Nv12, &[0; 7], 2, 2));
    is_size(decode(PixelLayout::Nv12, &[0; 9], 3, 2));
    is_size(decode(PixelLayout::Nv12, &[0; 9], 2, 3));
    is_size(decode(PixelLayout::Nv12, &[], 0, 0));
    let picture = Rgb8::new(4, 2, vec![9; 24]).unwrap();
    is_size(ImagePreparer::new(&image(), 2, 4).unwrap().append(&picture, &mut out));
    let mut preparer = ThermalPreparer::new(&thermal(), 4, 4, ThermalUnit::KelvinF32).unwrap();
    is_size(preparer.append(&[1; 63], &mut out));
    let mut preparer = DepthPreparer::new(&depth(), 4, 4, DepthUnit::MetresPerCount(0.001), None).unwrap();
    is_size(preparer.append(&[1; 33], &mut out));
    is_size(LogMel::new(&audio()).unwrap().append(&[0.1; 399], &mut out));
    is_size(first_channel(&[0; 5], AudioSample::I16, 2, &mut out));
    is_size(first_channel(&[], AudioSample::F32, 0, &mut out));
    is_size(
        ImuPreparer::new(&imu())
            .unwrap()
            .append(Timestamp::ZERO, &[], &[[1.0; 6]], &mut out),
    );
    is_size(Resampler::new(0, 16_000));
    is_size(Resampler::new(16_000, u32::MAX));
    assert_eq!(out, [7.0]);
}

#[test]
fn meaningless_numbers_are_refused_and_leave_no_trace() {
    let mut out = vec![7.0];
    let black = Rgb8::new(4, 4, vec![0; 48]).unwrap();
    is_unusable(ImagePreparer::new(&image(), 4, 4).unwrap().append(&black, &mut out));
    let mut grey = ThermalPreparer::new(&thermal(), 4, 4, ThermalUnit::Gray8).unwrap();
    is_unusable(grey.append(&[0; 16], &mut out));
    let mut kelvin = ThermalPreparer::new(&thermal(), 4, 4, ThermalUnit::KelvinF32).unwrap();
    is_unusable(kelvin.append(&f32::NAN.to_le_bytes().repeat(16), &mut out));
    is_unusable(ThermalPreparer::new(
        &thermal(),
        4,
        4,
        ThermalUnit::KelvinPerCount(-0.01),
    ));
    let mut metres = DepthPreparer::new(&depth(), 4, 4, DepthUnit::MetresF32, None).unwrap();
    for hole in [0.0, f32::NAN, f32::INFINITY, -1.0f32] {
        is_unusable(metres.append(&hole.to_le_bytes().repeat(16), &mut out));
    }
    is_unusable(DepthPreparer::new(&depth(), 4, 4, DepthUnit::MetresF32, Some(0.0)));
    let mut sound = vec![0.1; 400];
    sound[17] = f32::INFINITY;
    is_unusable(LogMel::new(&audio()).unwrap().append(&sound, &mut out));
    is_unusable(first_channel(&f32::NAN.to_le_bytes(), AudioSample::F32, 1, &mut out));
    assert_eq!(out, [7.0]);
}

#[test]
fn imu_windows_that_cannot_be_filled_are_refused() {
    let mut preparer = ImuPreparer::new(&imu()).unwrap();
    let times: Vec<Timestamp> = (0..100).map(|i| Timestamp::from_nanos(i * 10_000_000)).collect();
    let rest = [[0.0, 0.0, 9.81, 0.0, 0.0, 0.0]; 100];
    let mut out = Vec::new();
    is_unusable(preparer.append(Timestamp::ZERO, &[], &[], &mut out));
    is_unusable(preparer.append(Timestamp::ZERO, &times, &[[0.0; 6]; 100], &mut out));
    let mut broken = rest;
    broken[50][3] = f32::NAN;
    is_unusable(preparer.append(Timestamp::ZERO, &times, &broken, &mut out));
    let mut backwards = times.clone();
    backwards.swap(10, 11);
    is_unusable(preparer.append(Timestamp::ZERO, &backwards, &rest, &mut out));
    // 0.3 s without samples: in the middle, at the end, at the start.
    let keep = |from: usize, to: usize| -> (Vec<Timestamp>, Vec<[f32; 6]>) {
        (0..100)
            .filter(|i| !(from..to).contains(i))
            .map(|i| (times[i], rest[i]))
            .unzip()
    };
    for (from, to) in [(30, 60), (70, 100), (0, 30)] {
        let (t, s) = keep(from, to);
        is_unusable(preparer.append(Timestamp::ZERO, &t, &s, &mut out));
    }
    assert!(out.is_empty());
    let (t, s) = keep(30, 50);
    preparer.append(Timestamp::ZERO, &t, &s, &mut out).unwrap();
    assert_eq!(out.len(), 600);
}

#[test]
fn a_picture_bomb_is_refused_before_it_is_unpacked() {
    // A PNG header that claims 60000 x 60000 pixels.
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend(60_000u32.to_be_bytes().repeat(2));
    png.extend([8, 2, 0, 0, 0]);
    let crc = png[12..].iter().fold(!0u32, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| {
            if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 }
        })
    });
    png.extend((!crc).to_be_bytes());
    png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    let error = decode(PixelLayout::Png, &png, 0, 0).unwrap_err().to_string();
    assert!(error.contains("60000x60000") && error.contains("limit"), "{error}");
    assert!(decode_grey_png(&png).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), layout in 0..7) {
        let layout = [
            PixelLayout::Rgb8,
            PixelLayout::Bgr8,
            PixelLayout::Gray8,
            PixelLayout::Yuyv,
            PixelLayout::Nv12,
            PixelLayout::Jpeg,
            PixelLayout::Png,
        ][layout as usize];
        let signature: &[u8] = match layout {
            PixelLayout::Jpeg => b"\xff\xd8\xff",
            PixelLayout::Png => b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
            _ => b"",
        };
        let bytes = [signature, &bytes].concat();
        if let Ok(picture) = decode(layout, &bytes, 5, 7) {
            prop_assert_eq!(picture.bytes().len(), (picture.width() * picture.height() * 3) as usize);
        }
        let _ = decode_grey_png(&bytes);
    }

    #[test]
    fn a_damaged_picture_is_decoded_or_refused(at in 0usize..10_000, value: u8, cut in 0usize..10_971) {
        let mut png = include_bytes!("golden_input/gray_161x129.png").to_vec();
        png[at] ^= value;
        let _ = decode(PixelLayout::Png, &png, 0, 0);
        prop_assert!(decode(PixelLayout::Png, &png[..cut.min(10_000)], 0, 0).is_err());
    }

    #[test]
    fn any_phrase_becomes_a_sequence_with_one_start_and_end(phrase in "\\PC{0,200}") {
        thread_local!(static TOKENIZER: Tokenizer =
            Tokenizer::new(&TextRecipe { tokenizer: "clip-bpe".into(), context: 77, known_ids: None }).unwrap());
        let ids = TOKENIZER.with(|t| t.tokens(&phrase));
        prop_assert!((2..=77).contains(&ids.len()));
        prop_assert_eq!((ids[0], ids[ids.len() - 1]), (49406, 49407));
    }

    #[test]
    fn clips_lie_inside_the_recording(samples in 0usize..2_000_000, rate in 1u32..200_000, window in 1usize..500_000,
        clips in 1usize..9) {
        let ranges = clip_ranges(samples, rate, window, clips);
        prop_assert_eq!(ranges.len(), clips);
        prop_assert_eq!(ranges[0].start, 0);
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].start <= pair[1].start);
        }
        for range in &ranges {
            // The exact rational of a rounded difference of seconds may miss the last window by one sample.
            prop_assert!(range.end <= samples && range.len() + 1 >= window.min(samples));
        }
        if clips > 1 {
            prop_assert!(ranges[clips - 1].end + 1 >= samples);
        }
    }

    #[test]
    fn any_sizes_of_pictures_fill_the_tensor(width in 1u32..90, height in 1u32..90, size in 1u32..40) {
        let picture = Rgb8::new(width, height, vec![200; (width * height * 3) as usize]).unwrap();
        let mut preparer = ImagePreparer::new(&ImageRecipe { size, ..image() }, width, height).unwrap();
        let mut out = Vec::new();
        preparer.append(&picture, &mut out).unwrap();
        prop_assert_eq!(out.len(), (3 * size * size) as usize);
        // A flat picture stays flat.
        prop_assert!(out.iter().all(|&x| x == (200.0f32 / 255.0 - 0.5) / 0.25));
    }
}
