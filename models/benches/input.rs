//! What preparing one window costs, on one thread: `cargo bench -p sensebind-models --bench input`.

use divan::{Bencher, black_box};
use sensebind_core::{DepthUnit, PixelLayout, ThermalUnit, Timestamp};
use sensebind_models::input::{
    DepthPreparer, ImagePreparer, ImuPreparer, LogMel, Resampler, Rgb8, ThermalPreparer, Tokenizer, decode,
};
use sensebind_models::manifest::{
    AudioRecipe, DepthRecipe, DepthRepresentation, Filter, ImageRecipe, ImuRecipe, TextRecipe, ThermalRecipe,
};

fn main() {
    divan::main();
}

/// Bytes that look like noise, the same in every run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn sound(samples: usize) -> Vec<f32> {
    (0..samples).map(|i| (i as f32 * 0.173).sin() * 0.3).collect()
}

#[divan::bench(args = [(1920, 1080), (640, 480), (160, 120)])]
fn image_to_224(bencher: Bencher<'_, '_>, (width, height): (u32, u32)) {
    let recipe = ImageRecipe {
        size: 224,
        filter: Filter::Bicubic,
        mean: [0.45; 3],
        std: [0.26; 3],
    };
    let picture = Rgb8::new(width, height, noise((width * height * 3) as usize)).expect("size fits");
    let mut preparer = ImagePreparer::new(&recipe, width, height).expect("recipe");
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        preparer.append(black_box(&picture), &mut out)
    });
}

#[divan::bench]
fn decode_raw_1080p(bencher: Bencher<'_, '_>) {
    let bytes = noise(1920 * 1080 * 3);
    let mut picture = decode(PixelLayout::Rgb8, &bytes, 1920, 1080).expect("size fits");
    bencher.bench_local(|| picture.decode_from(PixelLayout::Rgb8, black_box(&bytes), 1920, 1080));
}

#[divan::bench]
fn log_mel_of_2_s(bencher: Bencher<'_, '_>) {
    let recipe = AudioRecipe {
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
    };
    let samples = sound(32_000);
    let mut log_mel = LogMel::new(&recipe).expect("recipe");
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        log_mel.append(black_box(&samples), &mut out)
    });
}

#[divan::bench(args = [48_000, 44_100])]
fn resample_2_s_to_16_khz(bencher: Bencher<'_, '_>, rate_hz: u32) {
    let samples = sound(2 * rate_hz as usize);
    let resampler = Resampler::new(rate_hz, 16_000).expect("rates");
    bencher.bench_local(|| resampler.resample(black_box(&samples)));
}

#[divan::bench]
fn thermal_160x120_to_224(bencher: Bencher<'_, '_>) {
    let recipe = ThermalRecipe {
        size: 224,
        min_k: 273.0,
        max_k: 323.0,
        mean: 0.0,
        std: 1.0,
        provenance: String::new(),
    };
    let frame: Vec<u8> = noise(160 * 120)
        .iter()
        .flat_map(|&b| (29_000 + u16::from(b)).to_le_bytes())
        .collect();
    let mut preparer = ThermalPreparer::new(&recipe, 160, 120, ThermalUnit::KelvinPerCount(0.01)).expect("recipe");
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        preparer.append(black_box(&frame), &mut out)
    });
}

/// A tenth of the pixels are holes.
#[divan::bench]
fn depth_640x480_to_224(bencher: Bencher<'_, '_>) {
    let recipe = DepthRecipe {
        size: 224,
        min_m: 0.01,
        max_m: 50.0,
        representation: DepthRepresentation::Disparity {
            baseline_m: 0.075,
            focal_px: 525.0,
        },
        max_value: 75.0,
        divisor: 75.0,
        mean: 0.0418,
        std: 0.0295,
        provenance: String::new(),
    };
    let counts = noise(640 * 480)
        .into_iter()
        .map(|b| if b < 26 { 0 } else { 1000 + u16::from(b) });
    let frame: Vec<u8> = counts.flat_map(u16::to_le_bytes).collect();
    let mut preparer = DepthPreparer::new(&recipe, 640, 480, DepthUnit::MetresPerCount(0.001), None).expect("recipe");
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        preparer.append(black_box(&frame), &mut out)
    });
}

#[divan::bench]
fn imu_5_s_of_1_khz_to_400_hz(bencher: Bencher<'_, '_>) {
    let recipe = ImuRecipe {
        rate_hz: 400.0,
        samples: 2000,
        mean: [0.0; 6],
        std: [1.0; 6],
        provenance: String::new(),
    };
    let times: Vec<Timestamp> = (0..5000).map(|i| Timestamp::from_nanos(i * 1_000_000)).collect();
    let samples: Vec<[f32; 6]> = (0..5000).map(|i| [i as f32 * 1e-3, 0.0, 9.81, 0.0, 0.1, 0.0]).collect();
    let mut preparer = ImuPreparer::new(&recipe).expect("recipe");
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        preparer.append(Timestamp::ZERO, black_box(&times), black_box(&samples), &mut out)
    });
}

#[divan::bench]
fn tokens_of_a_phrase(bencher: Bencher<'_, '_>) {
    let recipe = TextRecipe {
        tokenizer: "clip-bpe".into(),
        context: 77,
        known_ids: None,
    };
    let tokenizer = Tokenizer::new(&recipe).expect("recipe");
    bencher.bench_local(|| tokenizer.tokens(black_box("the crackle of a fire in the next room")));
}
