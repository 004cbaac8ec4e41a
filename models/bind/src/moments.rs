//! Moments of the simulated world, each rendered for all senses and brought into the encoders' input form by the
//! runtime's own recipes.

use anyhow::{Context as _, Result};
use half::f16;
use sensebind_core::{DepthUnit, Sense, ThermalUnit, Timestamp};
use sensebind_models::input::{DepthPreparer, ImagePreparer, ImuPreparer, LogMel, Rgb8, ThermalPreparer};
use sensebind_scene::{AUDIO_RATE_HZ, CAMERA_SIZE, DEPTH_SIZE, Happening, IMU_RATE_HZ, THERMAL_SIZE, Timeline, World};

use crate::chance::Draw;
use crate::config::TrainConfig;

/// What a moment shows: a happening, or nothing.
pub type Shown = Option<Happening>;

/// Everything a moment can show: every happening, then nothing.
pub fn all_shown() -> Vec<Shown> {
    Happening::ALL.iter().copied().map(Some).chain([None]).collect()
}

/// The scene crate's name of a sense; text is none.
pub fn scene_sense(sense: Sense) -> Option<sensebind_scene::Sense> {
    match sense {
        Sense::Image => Some(sensebind_scene::Sense::Image),
        Sense::Audio => Some(sensebind_scene::Sense::Audio),
        Sense::Depth => Some(sensebind_scene::Sense::Depth),
        Sense::Thermal => Some(sensebind_scene::Sense::Thermal),
        Sense::Imu => Some(sensebind_scene::Sense::Imu),
        Sense::Text => None,
    }
}

/// The happenings a sense can tell.
pub fn sensed(sense: Sense) -> Vec<Happening> {
    let scene = scene_sense(sense);
    let all = Happening::ALL.iter().copied();
    all.filter(|happening| scene.is_none_or(|scene| happening.sensed_by().contains(&scene)))
        .collect()
}

/// Inputs of one sense, all of one size, in half precision.
#[derive(Debug, Default)]
pub struct Inputs {
    each: usize,
    values: Vec<f16>,
}

impl Inputs {
    /// The input of one moment.
    pub fn get(&self, moment: usize) -> Vec<f32> {
        self.values[moment * self.each..(moment + 1) * self.each]
            .iter()
            .map(|value| value.to_f32())
            .collect()
    }

    fn push(&mut self, input: &[f32]) {
        self.each = input.len();
        self.values.extend(input.iter().map(|&value| f16::from_f32(value)));
    }
}

/// A set of moments.
#[derive(Debug, Default)]
pub struct Moments {
    /// What each shows: index into [`all_shown`].
    pub shown: Vec<usize>,
    inputs: [Inputs; 5],
}

fn place(sense: Sense) -> usize {
    match sense {
        Sense::Image | Sense::Text => 0,
        Sense::Audio => 1,
        Sense::Depth => 2,
        Sense::Thermal => 3,
        Sense::Imu => 4,
    }
}

impl Moments {
    /// Number of moments.
    pub fn count(&self) -> usize {
        self.shown.len()
    }

    /// Inputs of a sense (not text).
    pub fn inputs(&self, sense: Sense) -> &Inputs {
        &self.inputs[place(sense)]
    }

    /// The moments that show each of [`all_shown`].
    pub fn by_shown(&self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); all_shown().len()];
        for (moment, &shown) in self.shown.iter().enumerate() {
            lists[shown].push(moment);
        }
        lists
    }

    fn append(&mut self, other: Moments) {
        self.shown.extend(other.shown);
        for (own, others) in self.inputs.iter_mut().zip(other.inputs) {
            own.each = others.each;
            own.values.extend(others.values);
        }
    }
}

/// Renders `each` moments of everything that can be shown, on `threads` threads. The same for a seed, whatever the
/// number of threads. `vary` turns crops, mirroring and colours of pictures on. `done` hears of every moment.
///
/// # Errors
/// A recipe that cannot be used.
pub fn render(
    config: &TrainConfig,
    purpose: u64,
    each: usize,
    vary: bool,
    threads: usize,
    done: &(dyn Fn() + Sync),
) -> Result<Moments> {
    let kinds = all_shown();
    let count = kinds.len() * each;
    let share = count.div_ceil(threads.max(1)).max(1);
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .step_by(share)
            .map(|from| {
                let kinds = &kinds;
                scope.spawn(move || -> Result<Moments> {
                    let mut renderer = Renderer::new(config)?;
                    let mut part = Moments::default();
                    for index in from..(from + share).min(count) {
                        let mut draw = Draw::at(config.seed, &[purpose, index as u64]);
                        part.shown.push(index % kinds.len());
                        renderer.render(config, kinds[index % kinds.len()], vary, &mut draw, &mut part)?;
                        done();
                    }
                    Ok(part)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>>>()
    })?;
    let mut all = Moments::default();
    parts.into_iter().for_each(|part| all.append(part));
    Ok(all)
}

/// Recipes with their tables.
struct Renderer {
    audio: LogMel,
    depth: DepthPreparer,
    thermal: ThermalPreparer,
    imu: ImuPreparer,
    window_samples: usize,
    imu_window_s: f64,
}

impl Renderer {
    fn new(config: &TrainConfig) -> Result<Self> {
        let recipes = &config.model.recipes;
        let missing = "model.recipes must be complete";
        let audio = recipes.audio.as_ref().context(missing)?;
        let imu = recipes.imu.as_ref().context(missing)?;
        let size = |size: sensebind_scene::Size| (size.width as u32, size.height as u32);
        let ((depth_w, depth_h), (thermal_w, thermal_h)) = (size(DEPTH_SIZE), size(THERMAL_SIZE));
        let depth = recipes.depth.as_ref().context(missing)?;
        let thermal = recipes.thermal.as_ref().context(missing)?;
        Ok(Self {
            audio: LogMel::new(audio)?,
            depth: DepthPreparer::new(depth, depth_w, depth_h, DepthUnit::MetresPerCount(0.001), None)?,
            thermal: ThermalPreparer::new(thermal, thermal_w, thermal_h, ThermalUnit::KelvinPerCount(0.01))?,
            imu: ImuPreparer::new(imu)?,
            window_samples: (audio.frames - 1) * audio.hop_samples + audio.frame_samples,
            imu_window_s: imu.samples as f64 / f64::from(imu.rate_hz),
        })
    }

    fn render(
        &mut self,
        config: &TrainConfig,
        shown: Shown,
        vary: bool,
        draw: &mut Draw,
        part: &mut Moments,
    ) -> Result<()> {
        let scene_s = config.scenes.scene_s;
        let world = World::new(draw.bits(), Timeline::single(shown, scene_s, draw.bits()));
        let window_s = self.window_samples as f64 / f64::from(AUDIO_RATE_HZ);
        let longest_s = window_s.max(self.imu_window_s);
        let at_s = longest_s + f64::from(draw.unit()) * (scene_s - longest_s).max(0.0);
        let mut values = Vec::new();

        let mut rgb = Vec::new();
        world.camera(at_s, CAMERA_SIZE, &mut rgb);
        let (mut width, mut height) = (CAMERA_SIZE.width, CAMERA_SIZE.height);
        if vary {
            (rgb, width, height) = vary_picture(config, rgb, width, height, draw);
        }
        let recipe = config
            .model
            .recipes
            .image
            .as_ref()
            .context("model.recipes.image is missing")?;
        let picture = Rgb8::new(width as u32, height as u32, rgb)?;
        ImagePreparer::new(recipe, width as u32, height as u32)?.append(&picture, &mut values)?;
        part.inputs[place(Sense::Image)].push(&values);

        let mut sound = vec![0.0; self.window_samples];
        let first = ((at_s - window_s) * f64::from(AUDIO_RATE_HZ)).max(0.0) as u64;
        world.audio(first, &mut sound);
        values.clear();
        self.audio.append(&sound, &mut values)?;
        part.inputs[place(Sense::Audio)].push(&values);

        let mut counts = Vec::new();
        let bytes = |counts: &[u16]| counts.iter().flat_map(|count| count.to_le_bytes()).collect::<Vec<u8>>();
        world.depth(at_s, &mut counts);
        values.clear();
        self.depth.append(&bytes(&counts), &mut values)?;
        part.inputs[place(Sense::Depth)].push(&values);
        world.thermal(at_s, &mut counts);
        values.clear();
        self.thermal.append(&bytes(&counts), &mut values)?;
        part.inputs[place(Sense::Thermal)].push(&values);

        let rate = f64::from(IMU_RATE_HZ);
        let start_s = at_s - self.imu_window_s;
        let first = (start_s * rate).max(0.0) as u64;
        let count = (self.imu_window_s * rate).ceil() as u64 + 2;
        let nanos = |s: f64| Timestamp::from_nanos((s * 1e9) as u64);
        let times: Vec<Timestamp> = (first..first + count)
            .map(|sample| nanos(sample as f64 / rate))
            .collect();
        let samples: Vec<[f32; 6]> = (first..first + count).map(|sample| world.imu(sample)).collect();
        values.clear();
        self.imu
            .append(nanos(first as f64 / rate), &times, &samples, &mut values)?;
        part.inputs[place(Sense::Imu)].push(&values);
        Ok(())
    }
}

/// A random crop, mirrored half of the time, with other brightness, contrast and colours.
fn vary_picture(
    config: &TrainConfig,
    rgb: Vec<u8>,
    width: usize,
    height: usize,
    draw: &mut Draw,
) -> (Vec<u8>, usize, usize) {
    let part = draw.range(config.augment.image_crop.min(1.0), 1.0);
    let (new_width, new_height) = ((width as f32 * part) as usize, (height as f32 * part) as usize);
    let (left, top) = (draw.index(width - new_width + 1), draw.index(height - new_height + 1));
    let mirrored = draw.chance(0.5);
    let strength = config.augment.image_colour;
    let around = |draw: &mut Draw| 1.0 + draw.range(-strength, strength);
    let (contrast, gains) = (around(draw), [around(draw), around(draw), around(draw)]);
    let common = around(draw);
    let mut out = Vec::with_capacity(new_width * new_height * 3);
    for row in top..top + new_height {
        for column in 0..new_width {
            let column = left + if mirrored { new_width - 1 - column } else { column };
            for channel in 0..3 {
                let value = f32::from(rgb[(row * width + column) * 3 + channel]);
                // Colours vary by a quarter of the strength: they help to tell things apart.
                let gain = common * (1.0 + (gains[channel] - 1.0) * 0.25);
                out.push((((value - 128.0) * contrast + 128.0) * gain).round().clamp(0.0, 255.0) as u8);
            }
        }
    }
    (out, new_width, new_height)
}
