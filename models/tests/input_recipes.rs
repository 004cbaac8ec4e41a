//! Recipes that were never published, against results worked out by hand; and properties of all of them.
#![allow(clippy::unwrap_used, reason = "in a test, a failure to set up is the failure")]

use sensebind_core::{AudioSample, DepthUnit, PixelLayout, ThermalUnit, Timestamp};
use sensebind_models::input::{
    DepthPreparer, ImuPreparer, LogMel, Resampler, ThermalPreparer, Tokenizer, clip_ranges, decode, decode_grey_png,
    first_channel,
};
use sensebind_models::manifest::{AudioRecipe, DepthRecipe, DepthRepresentation, ImuRecipe, TextRecipe, ThermalRecipe};

fn thermal() -> ThermalRecipe {
    ThermalRecipe {
        size: 6,
        min_k: 280.0,
        max_k: 320.0,
        mean: 0.5,
        std: 0.25,
        provenance: String::new(),
    }
}

fn depth(representation: DepthRepresentation) -> DepthRecipe {
    DepthRecipe {
        size: 6,
        min_m: 0.1,
        max_m: 8.0,
        representation,
        max_value: 75.0,
        divisor: 75.0,
        mean: 0.0,
        std: 1.0,
        provenance: String::new(),
    }
}

fn imu(rate_hz: f32, samples: usize) -> ImuRecipe {
    ImuRecipe {
        rate_hz,
        samples,
        mean: [0.0; 6],
        std: [1.0; 6],
        provenance: String::new(),
    }
}

#[track_caller]
fn assert_all(values: &[f32], expected: f32) {
    for (i, v) in values.iter().enumerate() {
        assert!((v - expected).abs() < 1e-5, "element {i} is {v}, expected {expected}");
    }
}

fn run_thermal(unit: ThermalUnit, frame: &[u8]) -> (Vec<f32>, usize) {
    let mut out = Vec::new();
    let filled = ThermalPreparer::new(&thermal(), 8, 6, unit)
        .unwrap()
        .append(frame, &mut out)
        .unwrap();
    assert_eq!(out.len(), 36);
    (out, filled)
}

#[test]
fn the_same_temperature_in_every_unit_gives_the_same_numbers() {
    // 310 K is 0.75 of the range; (0.75 - 0.5) / 0.25 = 1.
    let (out, filled) = run_thermal(ThermalUnit::KelvinPerCount(0.01), &31_000u16.to_le_bytes().repeat(48));
    assert_all(&out, 1.0);
    assert_eq!(filled, 0);
    assert_all(
        &run_thermal(ThermalUnit::KelvinF32, &310f32.to_le_bytes().repeat(48)).0,
        1.0,
    );
    assert_all(&run_thermal(ThermalUnit::Gray8, &[255; 48]).0, 2.0);
    // Outside the range: clamped.
    assert_all(
        &run_thermal(ThermalUnit::KelvinF32, &900f32.to_le_bytes().repeat(48)).0,
        2.0,
    );
    assert_all(
        &run_thermal(ThermalUnit::KelvinF32, &100f32.to_le_bytes().repeat(48)).0,
        -2.0,
    );
}

#[test]
fn a_dead_thermal_pixel_takes_its_neighbours_value_and_is_counted() {
    for dead in [0.0, f32::NAN, f32::INFINITY] {
        let mut frame = [300f32; 48];
        frame[3 * 8 + 4] = dead;
        let bytes: Vec<u8> = frame.iter().flat_map(|k| k.to_le_bytes()).collect();
        let (out, filled) = run_thermal(ThermalUnit::KelvinF32, &bytes);
        assert_all(&out, 0.0);
        assert_eq!(filled, 1);
    }
    // Three of forty-eight are more than a twentieth.
    let frame: Vec<u8> = (0..48)
        .flat_map(|i| if i < 3 { 0f32 } else { 300.0 }.to_le_bytes())
        .collect();
    let error = ThermalPreparer::new(&thermal(), 8, 6, ThermalUnit::KelvinF32).unwrap();
    assert!(
        error
            .clone()
            .append(&frame, &mut Vec::new())
            .unwrap_err()
            .to_string()
            .contains("3 of 48")
    );
}

#[test]
fn a_wide_thermal_picture_is_cut_in_its_middle() {
    // Height 6 is the size already, so columns 1..7 of 8 remain as they are.
    let frame: Vec<u8> = (0..48).map(|i| (i % 8 * 30 + 5) as u8).collect();
    let (out, _) = run_thermal(ThermalUnit::Gray8, &frame);
    for (i, v) in out.iter().enumerate() {
        let grey = ((i % 6 + 1) * 30 + 5) as f32 / 255.0;
        assert!((v - (grey - 0.5) / 0.25).abs() < 1e-5, "{i}: {v}");
    }
}

fn run_depth(recipe: &DepthRecipe, unit: DepthUnit, focal_px: Option<f32>, frame: &[u8]) -> (Vec<f32>, usize) {
    let mut out = Vec::new();
    let holes = DepthPreparer::new(recipe, 6, 6, unit, focal_px)
        .unwrap()
        .append(frame, &mut out)
        .unwrap();
    assert_eq!(out.len(), 36);
    (out, holes)
}

#[test]
fn metres_and_millimetres_give_the_same_numbers_metric_and_as_disparity() {
    let millimetres = 2500u16.to_le_bytes().repeat(36);
    let metres = 2.5f32.to_le_bytes().repeat(36);
    let metric = depth(DepthRepresentation::Metric);
    assert_all(
        &run_depth(&metric, DepthUnit::MetresPerCount(0.001), None, &millimetres).0,
        2.5 / 75.0,
    );
    assert_all(&run_depth(&metric, DepthUnit::MetresF32, None, &metres).0, 2.5 / 75.0);
    // 0.075 m × 500 px / 2.5 m = 15 px, of 75.
    let disparity = depth(DepthRepresentation::Disparity {
        baseline_m: 0.075,
        focal_px: 500.0,
    });
    assert_all(&run_depth(&disparity, DepthUnit::MetresF32, None, &metres).0, 0.2);
    // The stream's own focal length wins.
    assert_all(
        &run_depth(&disparity, DepthUnit::MetresF32, Some(1000.0), &metres).0,
        0.4,
    );
    // Nearer than 0.1 m counts as 0.1 m: 375 px, clamped to 75.
    assert_all(
        &run_depth(
            &disparity,
            DepthUnit::MetresF32,
            None,
            &0.01f32.to_le_bytes().repeat(36),
        )
        .0,
        1.0,
    );
    // Farther than 8 m counts as 8 m.
    assert_all(
        &run_depth(&metric, DepthUnit::MetresF32, None, &60f32.to_le_bytes().repeat(36)).0,
        8.0 / 75.0,
    );
}

#[test]
fn holes_take_the_nearest_valid_depth() {
    let metric = depth(DepthRepresentation::Metric);
    // Only the left column (1 m) and the right column (3 m) have a distance.
    let row = [1.0, 0.0, f32::NAN, f32::INFINITY, -2.0, 3.0f32];
    let frame: Vec<u8> = (0..6).flat_map(|_| row).flat_map(f32::to_le_bytes).collect();
    let (out, holes) = run_depth(&metric, DepthUnit::MetresF32, None, &frame);
    assert_eq!(holes, 24);
    for row in out.chunks_exact(6) {
        assert_all(&row[..3], 1.0 / 75.0);
        assert_all(&row[3..], 3.0 / 75.0);
    }
    // One valid pixel, in any place, fills everything.
    for at in [0, 14, 35] {
        let mut frame = [0u16; 36];
        frame[at] = 4000;
        let bytes: Vec<u8> = frame.iter().flat_map(|c| c.to_le_bytes()).collect();
        let (out, holes) = run_depth(&metric, DepthUnit::MetresPerCount(0.001), None, &bytes);
        assert_all(&out, 4.0 / 75.0);
        assert_eq!(holes, 35);
    }
}

#[test]
fn hole_filling_agrees_with_a_search_of_all_pixels() {
    let (width, height) = (23usize, 17usize);
    let mut state = 7u32;
    let plane: Vec<f32> = (0..width * height)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 24 < 20 { 1.0 + i as f32 * 0.01 } else { 0.0 }
        })
        .collect();
    // A size equal to the height: nothing is resized, columns 3..20 remain.
    let recipe = DepthRecipe {
        size: 17,
        divisor: 1.0,
        ..depth(DepthRepresentation::Metric)
    };
    let mut out = Vec::new();
    let bytes: Vec<u8> = plane.iter().flat_map(|m| m.to_le_bytes()).collect();
    DepthPreparer::new(&recipe, 23, 17, DepthUnit::MetresF32, None)
        .unwrap()
        .append(&bytes, &mut out)
        .unwrap();
    for (i, &got) in out.iter().enumerate() {
        let (x, y) = (i % 17 + 3, i / 17);
        let distance = |j: usize| (j % width).abs_diff(x).pow(2) + (j / width).abs_diff(y).pow(2);
        let valid = (0..plane.len()).filter(|&j| plane[j] > 0.0);
        let least = valid.clone().map(distance).min().unwrap();
        assert!(
            valid
                .filter(|&j| distance(j) == least)
                .any(|j| (plane[j] - got).abs() < 1e-4),
            "column {x}, row {y}: {got} is not at the least distance {least}"
        );
    }
}

fn sine(rate_hz: f64, seconds: f64, hz: f64) -> (Vec<Timestamp>, Vec<[f32; 6]>) {
    (0..(rate_hz * seconds) as usize)
        .map(|i| {
            let t = i as f64 / rate_hz;
            let s = (std::f64::consts::TAU * hz * t).sin() as f32;
            (
                Timestamp::from_nanos(5_000_000_000 + (t * 1e9) as u64),
                [s, 2.0 * s, 9.81, -s, 0.5, 0.0],
            )
        })
        .unzip()
}

#[test]
fn imu_is_resampled_by_capture_time_and_laid_out_channel_after_channel() {
    // The recording begins 0.1 s before the window.
    let start = Timestamp::from_nanos(5_100_000_000);
    // (sensor rate, tolerance): slower, equal, faster, and so much faster that it is averaged.
    for (rate_hz, tolerance) in [(93.0, 0.02), (200.0, 1e-5), (333.0, 0.01), (1600.0, 0.005)] {
        let (times, samples) = sine(rate_hz, 2.2, 2.0);
        let mut out = Vec::new();
        ImuPreparer::new(&imu(200.0, 400))
            .unwrap()
            .append(start, &times, &samples, &mut out)
            .unwrap();
        assert_eq!(out.len(), 6 * 400);
        for i in 0..400 {
            let s = (std::f64::consts::TAU * 2.0 * (0.1 + i as f64 / 200.0)).sin() as f32;
            for (channel, expected) in [s, 2.0 * s, 9.81, -s, 0.5, 0.0].into_iter().enumerate() {
                let got = out[channel * 400 + i];
                assert!(
                    (got - expected).abs() <= 2.0 * tolerance,
                    "{rate_hz} Hz, {channel}, {i}: {got} for {expected}"
                );
            }
        }
    }
}

#[test]
fn fast_vibration_is_averaged_away_instead_of_aliased() {
    // 100 Hz seen through 50 Hz: interpolation alone would alias it to a constant.
    let (times, samples) = sine(1000.0, 1.1, 100.0);
    let mut out = Vec::new();
    let start = Timestamp::from_nanos(5_000_000_000);
    ImuPreparer::new(&imu(50.0, 50))
        .unwrap()
        .append(start, &times, &samples, &mut out)
        .unwrap();
    assert!(out[..50].iter().all(|x| x.abs() < 0.01), "{:?}", &out[..50]);
}

#[test]
fn imu_numbers_are_scaled_per_axis() {
    let recipe = ImuRecipe {
        mean: [1.0, 0.0, 9.81, 0.0, 0.0, 0.0],
        std: [2.0, 1.0, 1.0, 1.0, 0.5, 1.0],
        ..imu(100.0, 4)
    };
    let mut out = Vec::new();
    let samples = [[3.0, 0.0, 9.81, 0.0, 0.25, 0.0]];
    ImuPreparer::new(&recipe)
        .unwrap()
        .append(Timestamp::ZERO, &[Timestamp::ZERO], &samples, &mut out)
        .unwrap();
    assert_all(&out[..4], 1.0);
    assert_all(&out[8..12], 0.0);
    assert_all(&out[16..20], 0.5);
}

fn small_mel() -> AudioRecipe {
    AudioRecipe {
        rate_hz: 16_000,
        mels: 40,
        frames: 60,
        frame_samples: 400,
        hop_samples: 320,
        fft: 512,
        min_hz: 50.0,
        max_hz: 8000.0,
        preemphasis: 0.97,
        floor: 1.192_092_9e-7,
        mean: -4.0,
        std: 2.0,
        clips: 3,
    }
}

#[test]
fn a_tone_lights_the_band_around_its_frequency() {
    let mel = |hz: f32| 1127.0 * (1.0 + hz / 700.0).ln();
    let step = (mel(8000.0) - mel(50.0)) / 41.0;
    for hz in [200.0f32, 1000.0, 4000.0] {
        let tone: Vec<f32> = (0..16_000)
            .map(|i| (std::f32::consts::TAU * hz * i as f32 / 16_000.0).sin())
            .collect();
        let mut out = Vec::new();
        LogMel::new(&small_mel()).unwrap().append(&tone, &mut out).unwrap();
        assert_eq!(out.len(), 40 * 60);
        let column: Vec<f32> = out.iter().skip(20).step_by(60).copied().collect();
        let loudest = (0..40).max_by(|&a, &b| column[a].total_cmp(&column[b])).unwrap();
        let centre = mel(50.0) + (loudest as f32 + 1.0) * step;
        assert!((centre - mel(hz)).abs() <= step, "{hz} Hz lights band {loudest}");
        // 49 frames of sound; what is left is padding: zero before the scaling.
        assert!(out.chunks_exact(60).all(|row| row[49..].iter().all(|&x| x == 2.0)));
    }
}

#[test]
fn a_constant_offset_changes_nothing_audible() {
    let tone: Vec<f32> = (0..8000).map(|i| (i as f32 * 0.3).sin() * 0.2).collect();
    let shifted: Vec<f32> = tone.iter().map(|x| x + 0.25).collect();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut log_mel = LogMel::new(&small_mel()).unwrap();
    log_mel.append(&tone, &mut a).unwrap();
    log_mel.append(&shifted, &mut b).unwrap();
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() < 0.05, "{a} and {b}");
    }
}

#[test]
fn resampling_keeps_a_tone_and_its_length() {
    for (from, to) in [
        (48_000, 16_000),
        (44_100, 16_000),
        (8_000, 16_000),
        (11_025, 16_000),
        (16_000, 16_000),
    ] {
        let tone = |rate: u32, n: usize| -> Vec<f32> {
            (0..n)
                .map(|i| (std::f64::consts::TAU * 440.0 * i as f64 / f64::from(rate)).sin() as f32)
                .collect()
        };
        let resampled = Resampler::new(from, to)
            .unwrap()
            .resample(&tone(from, from as usize / 2));
        let length = (u64::from(from) / 2 * u64::from(to)).div_ceil(u64::from(from));
        assert_eq!(resampled.len() as u64, length);
        // Away from the ends, where the recording is taken as silent.
        for (i, (got, want)) in resampled
            .iter()
            .zip(tone(to, length as usize))
            .enumerate()
            .skip(200)
            .take(7000)
        {
            assert!(
                (got - want).abs() < 3e-3,
                "{from} to {to} Hz, sample {i}: {got} for {want}"
            );
        }
    }
    assert!(Resampler::new(48_000, 16_000).unwrap().resample(&[]).is_empty());
}

#[test]
fn only_the_first_channel_is_heard() {
    let mut out = Vec::new();
    let stereo: Vec<u8> = [16_384i16, 1, -32_768, 2]
        .iter()
        .flat_map(|s| s.to_le_bytes())
        .collect();
    first_channel(&stereo, AudioSample::I16, 2, &mut out).unwrap();
    let floats: Vec<u8> = [0.25f32, 9.0].iter().flat_map(|s| s.to_le_bytes()).collect();
    first_channel(&floats, AudioSample::F32, 2, &mut out).unwrap();
    assert_eq!(out, [0.5, -1.0, 0.25]);
}

#[test]
fn a_recording_shorter_than_a_window_is_one_clip_many_times() {
    assert_eq!(clip_ranges(900, 100, 1000, 3), [0..900, 0..900, 0..900]);
    assert_eq!(clip_ranges(3000, 100, 1000, 3), [0..1000, 1000..2000, 2000..3000]);
    let one = 0..1000;
    assert_eq!(clip_ranges(3000, 100, 1000, 1), [one]);
    assert_eq!(clip_ranges(3000, 0, 1000, 2), [0..1000, 0..1000]);
}

#[test]
fn a_small_vocabulary_names_the_words_it_lacks() {
    let whole = TextRecipe {
        tokenizer: "clip-bpe".into(),
        context: 8,
        known_ids: None,
    };
    let all = Tokenizer::new(&whole).unwrap();
    let mut ids: Vec<u32> = all.tokens("a dog barks").iter().map(|&id| id as u32).collect();
    ids.sort_unstable();
    let small = Tokenizer::new(&TextRecipe {
        known_ids: Some(ids),
        ..whole
    })
    .unwrap();
    assert_eq!(small.unknown_words("A  Dog, an AXOLOTL!"), ["an", "axolotl"]);
    assert!(all.unknown_words("axolotl").is_empty());
    // Ids are the vocabulary's in both; and a long phrase ends with the end token.
    assert_eq!(small.tokens("a dog"), all.tokens("a dog"));
    let long = all.tokens("one two three four five six seven eight nine");
    assert_eq!((long.len(), long[0], long[7]), (8, 49406, 49407));
}

#[test]
fn raw_layouts_become_rgb() {
    assert_eq!(decode(PixelLayout::Bgr8, &[1, 2, 3], 1, 1).unwrap().bytes(), [3, 2, 1]);
    assert_eq!(decode(PixelLayout::Gray8, &[9], 1, 1).unwrap().bytes(), [9, 9, 9]);
    // By hand from BT.601: black, white, mid-grey and the bars of 100 %, each as a pair of a size and its brightness.
    for (y, cb, cr, rgb) in [
        (16, 128, 128, [0, 0, 0]),
        (235, 128, 128, [255, 255, 255]),
        (126, 128, 128, [128, 128, 128]),
        (81, 90, 240, [254, 0, 0]),
        (145, 54, 34, [0, 255, 1]),
        (41, 240, 110, [0, 0, 255]),
        // Blacker than black and whiter than white stay black and white.
        (0, 128, 128, [0, 0, 0]),
        (255, 128, 128, [255, 255, 255]),
    ] {
        let black = [0, 0, 0];
        let plain = decode(PixelLayout::Yuyv, &[y, 128, 16, 128, y, cb, y, cr], 2, 2).unwrap();
        assert_eq!(plain.bytes()[3..], [black, rgb, rgb].concat(), "{rgb:?}");
        let square = decode(PixelLayout::Nv12, &[y, y, y, y, cb, cr], 2, 2).unwrap();
        assert_eq!((square.width(), square.height()), (2, 2));
        assert_eq!(square.bytes(), [rgb; 4].concat(), "{rgb:?}");
    }
    // Brightness by pixel, colour by pair or square, rows in order: 4x2, grey but for a red right half.
    let [dark, light] = [[28u8; 3], [226; 3]];
    let nv12 = [40, 210, 81, 81, 210, 40, 81, 81, 128, 128, 90, 240];
    let red = [254, 0, 0];
    let expected = [dark, light, red, red, light, dark, red, red].concat();
    assert_eq!(decode(PixelLayout::Nv12, &nv12, 4, 2).unwrap().bytes(), expected);
    let yuyv = [40, 128, 210, 128, 81, 90, 81, 240, 210, 128, 40, 128, 81, 90, 81, 240];
    assert_eq!(decode(PixelLayout::Yuyv, &yuyv, 4, 2).unwrap().bytes(), expected);
    let grey = decode_grey_png(include_bytes!("golden_input/gray_161x129.png")).unwrap();
    assert_eq!(
        (grey.width, grey.height, grey.bits, grey.bytes.len()),
        (161, 129, 8, 161 * 129)
    );
    let error = decode_grey_png(include_bytes!("golden_input/sq_224.png"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("grey channel"), "{error}");
}
