//! Input recipes against golden vectors of the reference loaders (`tests/golden_input/`, all inputs synthetic).
#![allow(clippy::unwrap_used, reason = "in a test, a failure to set up is the failure")]

use sensebind_core::PixelLayout;
use sensebind_models::input::{
    ImagePreparer, LogMel, Resampler, Rgb8, Tokenizer, VideoPreparer, clip_ranges, decode, evenly_spaced,
};
use sensebind_models::manifest::{AudioRecipe, Filter, ImageRecipe, TextRecipe, VideoRecipe};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_input")
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn integers(v: &Value) -> Vec<i64> {
    v.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The kit's formula: 64 bits per element of the tensor called `name`.
fn formula(name: &str, count: usize) -> impl Iterator<Item = u64> {
    let start = 0xcbf2_9ce4_8422_2325u64;
    let seed = name
        .bytes()
        .fold(start, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (1..=count as u64).map(move |k| {
        let mut z = seed.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

fn image_recipe() -> ImageRecipe {
    ImageRecipe {
        size: 224,
        filter: Filter::Bicubic,
        mean: MEAN,
        std: STD,
    }
}

fn audio_recipe() -> AudioRecipe {
    AudioRecipe {
        rate_hz: 16_000,
        mels: 128,
        frames: 204,
        frame_samples: 400,
        hop_samples: 160,
        fft: 512,
        min_hz: 20.0,
        max_hz: 8000.0,
        preemphasis: 0.97,
        floor: 1.192_092_9e-7,
        mean: -4.268,
        std: 9.138,
        clips: 3,
    }
}

/// The file from the golden folder; the one too large for the repository from the shared kit.
fn golden_file(name: &str) -> Option<Vec<u8>> {
    let committed = folder().join(name);
    let path = if committed.exists() {
        committed
    } else {
        let shared = std::env::var_os("SENSEBIND_SHARED")?;
        Path::new(&shared).join("parity/compact/inputs").join(name)
    };
    std::fs::read(path).ok()
}

#[test]
fn pictures_are_bit_exact_with_the_reference() {
    for golden in expected()["images"].as_array().unwrap() {
        let name = golden["file"].as_str().unwrap();
        let Some(file) = golden_file(name) else {
            eprintln!("SKIPPED: {name} is in the shared kit only, SENSEBIND_SHARED is not set to it");
            continue;
        };
        let picture = decode(PixelLayout::Png, &file, 0, 0).unwrap();
        assert_eq!(sha256(picture.bytes()), golden["rgb_sha256"], "{name} decoded");
        let mut preparer = ImagePreparer::new(&image_recipe(), picture.width(), picture.height()).unwrap();
        let crop = preparer.resize_crop(&picture).unwrap();
        assert_eq!(sha256(crop), golden["crop_rgb_sha256"], "{name} resized");
        let mut tensor = Vec::new();
        preparer.append(&picture, &mut tensor).unwrap();
        let points = golden["pixels_y_x_r_g_b"].as_array().unwrap();
        for (point, value) in points.iter().zip(golden["normalised_first8_r_g_b"].as_array().unwrap()) {
            let (point, value) = (integers(point), numbers(value));
            for c in 0..3 {
                let got = tensor[c * 224 * 224 + point[0] as usize * 224 + point[1] as usize];
                assert!(
                    (f64::from(got) - value[c]).abs() < 1e-6,
                    "{name}: {got} for {}",
                    value[c]
                );
            }
        }
    }
}

/// Hashes of Pillow's result (crop after `resize(…, BICUBIC)`) for pictures made by the formula.
#[test]
fn formula_pictures_are_bit_exact_with_pillow() {
    for golden in expected()["pillow"].as_array().unwrap() {
        let [width, height, size] = [0, 1, 2].map(|i| golden["width_height_size"][i].as_u64().unwrap() as u32);
        let name = format!("pillow/{width}x{height}");
        let bytes = formula(&name, (width * height * 3) as usize)
            .map(|z| (z >> 56) as u8)
            .collect();
        let picture = Rgb8::new(width, height, bytes).unwrap();
        let recipe = ImageRecipe { size, ..image_recipe() };
        let mut preparer = ImagePreparer::new(&recipe, width, height).unwrap();
        let crop = preparer.resize_crop(&picture).unwrap();
        assert_eq!(sha256(crop), golden["crop_rgb_sha256"], "{name} to {size}");
    }
}

struct Wave {
    rate_hz: u32,
    channels: Vec<Vec<f32>>,
}

fn read_wav(name: &str) -> Wave {
    let mut reader = hound::WavReader::open(folder().join(name)).unwrap();
    let spec = reader.spec();
    let full_scale = (1u64 << (spec.bits_per_sample - 1)) as f64;
    let interleaved: Vec<f32> = reader
        .samples::<i32>()
        .map(|s| (f64::from(s.unwrap()) / full_scale) as f32)
        .collect();
    let count = usize::from(spec.channels);
    let channels = (0..count)
        .map(|c| interleaved.iter().skip(c).step_by(count).copied().collect())
        .collect();
    Wave {
        rate_hz: spec.sample_rate,
        channels,
    }
}

#[test]
fn sound_is_resampled_cut_and_turned_into_mel_as_the_reference_does() {
    for golden in expected()["audio"].as_array().unwrap() {
        let name = golden["file"].as_str().unwrap();
        let wave = read_wav(name);
        let resampler = Resampler::new(wave.rate_hz, 16_000).unwrap();
        let resampled: Vec<Vec<f32>> = wave.channels.iter().map(|c| resampler.resample(c)).collect();
        for (channel, points) in resampled
            .iter()
            .zip(golden["wave16k_every_97th_sample"].as_array().unwrap())
        {
            assert_eq!(channel.len() as u64, golden["frames_16k"].as_u64().unwrap(), "{name}");
            let points = numbers(points);
            assert_eq!(channel.iter().step_by(97).count(), points.len());
            for (got, want) in channel.iter().step_by(97).zip(points) {
                assert!((f64::from(*got) - want).abs() <= 2e-5, "{name}: {got} for {want}");
            }
        }
        let ranges = clip_ranges(resampled[0].len(), 16_000, 32_000, 3);
        let wanted: Vec<_> = golden["clips_16k_samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(integers)
            .collect();
        assert_eq!(
            ranges
                .iter()
                .map(|r| vec![r.start as i64, r.end as i64])
                .collect::<Vec<_>>(),
            wanted,
            "{name}"
        );
        let (max, mean) = if wave.rate_hz == 16_000 {
            (2e-3, 1e-5)
        } else {
            (5e-2, 1e-4)
        };
        for clip in golden["mel"].as_array().unwrap() {
            let range = ranges[clip["clip"].as_u64().unwrap() as usize].clone();
            compare_mel(name, &resampled[0][range], clip, max, mean);
        }
    }
}

fn compare_mel(name: &str, samples: &[f32], golden: &Value, max: f64, mean: f64) {
    let mut mel = Vec::new();
    LogMel::new(&audio_recipe()).unwrap().append(samples, &mut mel).unwrap();
    assert_eq!(mel.len(), 128 * 204);
    let (mut worst, mut sum, mut count) = (0f64, 0.0, 0);
    for (row, points) in mel
        .chunks_exact(204)
        .step_by(7)
        .zip(golden["every_7th_mel_every_5th_frame"].as_array().unwrap())
    {
        for (got, want) in row.iter().step_by(5).zip(numbers(points)) {
            let difference = (f64::from(*got) - want).abs();
            (worst, sum, count) = (worst.max(difference), sum + difference, count + 1);
        }
    }
    assert_eq!(count, 19 * 41);
    let average = sum / f64::from(count);
    assert!(
        worst <= max && average <= mean,
        "{name}: largest difference {worst:e}, mean {average:e}"
    );
    let n = mel.len() as f64;
    let got_mean = mel.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let got_std = (mel.iter().map(|&x| (f64::from(x) - got_mean).powi(2)).sum::<f64>() / n).sqrt();
    assert!(
        (got_mean - golden["mean"].as_f64().unwrap()).abs() <= 1e-4,
        "{name}: mean {got_mean}"
    );
    assert!(
        (got_std - golden["std_population"].as_f64().unwrap()).abs() <= 1e-4,
        "{name}: std {got_std}"
    );
    eprintln!("{name}: log-mel max {worst:.1e} mean {average:.1e}");
}

#[test]
fn clip_ranges_are_exact() {
    let expected = expected();
    let items = expected["clip_ranges"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 23);
    for item in items.iter().map(integers) {
        let got: Vec<i64> = clip_ranges(item[0] as usize, 16_000, 32_000, 3)
            .iter()
            .flat_map(|r| [r.start as i64, r.end as i64])
            .collect();
        assert_eq!(got, item[1..], "{} samples", item[0]);
    }
}

#[test]
fn prompts_become_the_reference_tokens() {
    let recipe = TextRecipe {
        tokenizer: "clip-bpe".into(),
        context: 77,
        known_ids: None,
    };
    let tokenizer = Tokenizer::new(&recipe).unwrap();
    let expected = expected();
    let prompts = expected["text"].as_array().unwrap();
    assert_eq!(prompts.len(), 50);
    let wrong: Vec<String> = prompts
        .iter()
        .filter_map(|p| {
            let (got, want) = (tokenizer.tokens(p["text"].as_str().unwrap()), integers(&p["ids"]));
            (got != want).then(|| format!("{}: got {got:?}, expected {want:?}", p["text"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of 50:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn video_clips_match_the_reference() {
    let expected = expected();
    let golden = &expected["video"];
    let (frames, height, width) = (9, 120u32, 160u32);
    let area = (width * height) as usize;
    let name = format!("{}video/frames", expected["tag"].as_str().unwrap());
    // Formula order is channel, frame, row, column.
    let planes: Vec<u8> = formula(&name, 3 * frames * area).map(|z| (z >> 56) as u8).collect();
    assert_eq!(
        integers(&golden["frames"]["first8"]),
        planes[..8].iter().map(|&b| i64::from(b)).collect::<Vec<_>>()
    );
    let clip: Vec<Rgb8> = (0..frames)
        .map(|t| {
            let pixel = |i: usize| [0, 1, 2].map(|c| planes[(c * frames + t) * area + i]);
            Rgb8::new(width, height, (0..area).flat_map(pixel).collect()).unwrap()
        })
        .collect();
    let recipe = VideoRecipe {
        size: 224,
        frames: 2,
        filter: Filter::Bilinear,
        crops: 3,
        clips: 5,
        mean: MEAN,
        std: STD,
    };
    let mut tensor = Vec::new();
    let preparer = VideoPreparer::new(&recipe, width, height).unwrap();
    preparer.append(&clip.iter().collect::<Vec<_>>(), &mut tensor).unwrap();
    let shape = integers(&golden["crops_shape"]);
    assert_eq!(tensor.len() as i64, shape.iter().product::<i64>());
    for point in golden["points_crop_c_t_y_x_value"]
        .as_array()
        .unwrap()
        .iter()
        .map(numbers)
    {
        let index = point[..5]
            .iter()
            .zip(&shape)
            .fold(0, |sum, (&i, &n)| sum * n as usize + i as usize);
        let difference = (f64::from(tensor[index]) - point[5]).abs();
        assert!(difference <= 1e-4, "{point:?}: got {}", tensor[index]);
    }
    for (crop, want) in tensor
        .chunks_exact(3 * 2 * 224 * 224)
        .zip(numbers(&golden["crop_mean"]))
    {
        let mean = crop.iter().map(|&x| f64::from(x)).sum::<f64>() / crop.len() as f64;
        assert!((mean - want).abs() <= 1e-5, "crop mean {mean}, expected {want}");
    }
}

#[test]
fn frames_are_spaced_as_truncated_linspace() {
    assert_eq!(evenly_spaced(9, 2), [0, 8]);
    assert_eq!(evenly_spaced(10, 4), [0, 3, 6, 9]);
    assert_eq!(evenly_spaced(1, 2), [0, 0]);
    assert_eq!(evenly_spaced(5, 1), [0]);
    assert!(evenly_spaced(0, 2).is_empty());
}
