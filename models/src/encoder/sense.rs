//! What each sense reads of a window.

use super::window::WindowInput;
use crate::input::{
    DepthPreparer, ImagePreparer, ImuPreparer, InputError, LogMel, Resampler, Rgb8, ThermalPreparer, VideoPreparer,
    check_sides, evenly_spaced, first_channel,
};
use crate::manifest::{AudioRecipe, DepthRecipe, ImageRecipe, ImuRecipe, ThermalRecipe, VideoRecipe};
use sensebind_core::{DepthUnit, Format, PixelLayout, Sense, ThermalUnit, Timestamp, Window};

/// Tables kept for this many kinds of stream; the oldest go first. Pictures of ever new sizes must not fill the memory.
const KEPT_TABLES: usize = 8;

/// Preparers by what they were built for.
#[derive(Debug)]
struct Tables<K, P>(Vec<(K, P)>);

impl<K: PartialEq, P> Tables<K, P> {
    fn get(&mut self, key: K, build: impl FnOnce() -> Result<P, InputError>) -> Result<&mut P, InputError> {
        let index = match self.0.iter().position(|(k, _)| *k == key) {
            Some(index) => index,
            None => {
                let built = build()?;
                if self.0.len() == KEPT_TABLES {
                    self.0.remove(0);
                }
                self.0.push((key, built));
                self.0.len() - 1
            }
        };
        Ok(&mut self.0[index].1)
    }
}

/// The newest frame of a window.
fn last_frame(window: &Window) -> Result<&[u8], InputError> {
    match window.frames().next_back() {
        Some((_, bytes)) => Ok(bytes),
        None => Err(InputError::Unusable {
            what: "window",
            why: "it holds no frame".into(),
        }),
    }
}

/// A stream of another sense than the encoder's: the engine never gives one, [`WindowInput::accepts`] was asked.
fn other_sense(expected: Sense, format: &Format) -> InputError {
    InputError::Size {
        what: "window",
        expected: format!("a window of sense {expected}"),
        found: format.to_string(),
    }
}

/// The last picture of the window.
#[derive(Debug)]
pub(super) struct ImageInput {
    recipe: ImageRecipe,
    picture: Rgb8,
    tables: Tables<(u32, u32), ImagePreparer>,
}

impl ImageInput {
    pub fn new(recipe: &ImageRecipe) -> Result<Self, InputError> {
        // Any size will do to check the recipe.
        ImagePreparer::new(recipe, recipe.size.max(1), recipe.size.max(1))?;
        Ok(Self {
            recipe: recipe.clone(),
            picture: Rgb8::default(),
            tables: Tables(Vec::new()),
        })
    }
}

impl WindowInput for ImageInput {
    fn item(&self) -> Vec<usize> {
        vec![3, self.recipe.size as usize, self.recipe.size as usize]
    }

    fn accepts(&self, format: &Format) -> Result<(), InputError> {
        match *format {
            // Their size is unknown until a frame is decoded.
            Format::Image {
                layout: PixelLayout::Jpeg | PixelLayout::Png,
                ..
            } => Ok(()),
            Format::Image {
                width, height, layout, ..
            } => {
                check_sides(layout, width, height)?;
                ImagePreparer::new(&self.recipe, width, height).map(drop)
            }
            _ => Err(other_sense(Sense::Image, format)),
        }
    }

    fn append(&mut self, window: &Window, batch: &mut Vec<f32>) -> Result<(), InputError> {
        let Format::Image {
            width, height, layout, ..
        } = window.format
        else {
            return Err(other_sense(Sense::Image, &window.format));
        };
        self.picture.decode_from(layout, last_frame(window)?, width, height)?;
        let size = (self.picture.width(), self.picture.height());
        let preparer = self
            .tables
            .get(size, || ImagePreparer::new(&self.recipe, size.0, size.1))?;
        preparer.append(&self.picture, batch)
    }
}

/// Pictures of the window, evenly spaced: for two the first and the last.
#[derive(Debug)]
pub(super) struct VideoInput {
    recipe: VideoRecipe,
    pictures: Vec<Rgb8>,
    tables: Tables<(u32, u32), VideoPreparer>,
}

impl VideoInput {
    pub fn new(recipe: &VideoRecipe) -> Result<Self, InputError> {
        VideoPreparer::new(recipe, recipe.size.max(1), recipe.size.max(1))?;
        Ok(Self {
            recipe: recipe.clone(),
            pictures: vec![Rgb8::default(); recipe.frames as usize],
            tables: Tables(Vec::new()),
        })
    }
}

impl WindowInput for VideoInput {
    fn item(&self) -> Vec<usize> {
        let VideoRecipe { frames, size, .. } = self.recipe;
        vec![3, frames as usize, size as usize, size as usize]
    }

    fn items_per_window(&self) -> usize {
        self.recipe.crops as usize
    }

    fn accepts(&self, format: &Format) -> Result<(), InputError> {
        match *format {
            Format::Image {
                layout: PixelLayout::Jpeg | PixelLayout::Png,
                ..
            } => Ok(()),
            Format::Image {
                width, height, layout, ..
            } => {
                check_sides(layout, width, height)?;
                VideoPreparer::new(&self.recipe, width, height).map(drop)
            }
            _ => Err(other_sense(Sense::Image, format)),
        }
    }

    fn append(&mut self, window: &Window, batch: &mut Vec<f32>) -> Result<(), InputError> {
        let Format::Image {
            width, height, layout, ..
        } = window.format
        else {
            return Err(other_sense(Sense::Image, &window.format));
        };
        // No more pictures are decoded than the clip has.
        let places = evenly_spaced(window.frames().len(), self.pictures.len());
        for (picture, place) in self.pictures.iter_mut().zip(&places) {
            if let Some((_, bytes)) = window.frames().nth(*place) {
                picture.decode_from(layout, bytes, width, height)?;
            }
        }
        if places.is_empty() {
            return last_frame(window).map(drop);
        }
        let size = (self.pictures[0].width(), self.pictures[0].height());
        let preparer = self
            .tables
            .get(size, || VideoPreparer::new(&self.recipe, size.0, size.1))?;
        preparer.append(&self.pictures.iter().collect::<Vec<_>>(), batch)
    }
}

/// All samples of the window, at the recipe's rate. Digital silence is sound like any other: recordings are padded
/// with it.
#[derive(Debug)]
pub(super) struct AudioInput {
    recipe: AudioRecipe,
    log_mel: LogMel,
    samples: Vec<f32>,
    tables: Tables<u32, Resampler>,
}

impl AudioInput {
    pub fn new(recipe: &AudioRecipe) -> Result<Self, InputError> {
        let log_mel = LogMel::new(recipe)?;
        Ok(Self {
            recipe: recipe.clone(),
            log_mel,
            samples: Vec::new(),
            tables: Tables(Vec::new()),
        })
    }
}

impl WindowInput for AudioInput {
    fn item(&self) -> Vec<usize> {
        vec![1, self.recipe.mels, self.recipe.frames]
    }

    fn accepts(&self, format: &Format) -> Result<(), InputError> {
        match *format {
            Format::Audio {
                rate_hz,
                channels,
                sample,
            } => {
                Resampler::new(rate_hz, self.recipe.rate_hz)?;
                first_channel(&[], sample, channels, &mut Vec::new())
            }
            _ => Err(other_sense(Sense::Audio, format)),
        }
    }

    fn append(&mut self, window: &Window, batch: &mut Vec<f32>) -> Result<(), InputError> {
        let Format::Audio {
            rate_hz,
            channels,
            sample,
        } = window.format
        else {
            return Err(other_sense(Sense::Audio, &window.format));
        };
        self.samples.clear();
        first_channel(window.bytes(), sample, channels, &mut self.samples)?;
        if rate_hz == self.recipe.rate_hz {
            return self.log_mel.append(&self.samples, batch);
        }
        let resampler = self
            .tables
            .get(rate_hz, || Resampler::new(rate_hz, self.recipe.rate_hz))?;
        self.log_mel.append(&resampler.resample(&self.samples), batch)
    }
}

/// The last thermal frame of the window.
#[derive(Debug)]
pub(super) struct ThermalInput {
    recipe: ThermalRecipe,
    tables: Tables<(u32, u32, ThermalUnit), ThermalPreparer>,
}

impl ThermalInput {
    pub fn new(recipe: &ThermalRecipe) -> Result<Self, InputError> {
        ThermalPreparer::new(recipe, recipe.size.max(1), recipe.size.max(1), ThermalUnit::KelvinF32)?;
        Ok(Self {
            recipe: recipe.clone(),
            tables: Tables(Vec::new()),
        })
    }
}

impl WindowInput for ThermalInput {
    fn item(&self) -> Vec<usize> {
        vec![1, self.recipe.size as usize, self.recipe.size as usize]
    }

    fn accepts(&self, format: &Format) -> Result<(), InputError> {
        match *format {
            Format::Thermal {
                width, height, unit, ..
            } => ThermalPreparer::new(&self.recipe, width, height, unit).map(drop),
            _ => Err(other_sense(Sense::Thermal, format)),
        }
    }

    fn append(&mut self, window: &Window, batch: &mut Vec<f32>) -> Result<(), InputError> {
        let Format::Thermal {
            width, height, unit, ..
        } = window.format
        else {
            return Err(other_sense(Sense::Thermal, &window.format));
        };
        let build = || ThermalPreparer::new(&self.recipe, width, height, unit);
        self.tables
            .get((width, height, unit), build)?
            .append(last_frame(window)?, batch)
            .map(drop)
    }
}

/// The last depth frame of the window.
#[derive(Debug)]
pub(super) struct DepthInput {
    recipe: DepthRecipe,
    tables: Tables<(u32, u32, DepthUnit, Option<f32>), DepthPreparer>,
}

impl DepthInput {
    pub fn new(recipe: &DepthRecipe) -> Result<Self, InputError> {
        DepthPreparer::new(
            recipe,
            recipe.size.max(1),
            recipe.size.max(1),
            DepthUnit::MetresF32,
            None,
        )?;
        Ok(Self {
            recipe: recipe.clone(),
            tables: Tables(Vec::new()),
        })
    }
}

impl WindowInput for DepthInput {
    fn item(&self) -> Vec<usize> {
        vec![1, self.recipe.size as usize, self.recipe.size as usize]
    }

    fn accepts(&self, format: &Format) -> Result<(), InputError> {
        match *format {
            Format::Depth {
                width,
                height,
                unit,
                focal_px,
                ..
            } => DepthPreparer::new(&self.recipe, width, height, unit, focal_px).map(drop),
            _ => Err(other_sense(Sense::Depth, format)),
        }
    }

    fn append(&mut self, window: &Window, batch: &mut Vec<f32>) -> Result<(), InputError> {
        let Format::Depth {
            width,
            height,
            unit,
            focal_px,
            ..
        } = window.format
        else {
            return Err(other_sense(Sense::Depth, &window.format));
        };
        let build = || DepthPreparer::new(&self.recipe, width, height, unit, focal_px);
        self.tables
            .get((width, height, unit, focal_px), build)?
            .append(last_frame(window)?, batch)
            .map(drop)
    }
}

/// All inertial samples of the window.
#[derive(Debug)]
pub(super) struct ImuInput {
    samples_out: usize,
    preparer: ImuPreparer,
    times: Vec<Timestamp>,
    samples: Vec<[f32; 6]>,
}

impl ImuInput {
    pub fn new(recipe: &ImuRecipe) -> Result<Self, InputError> {
        let preparer = ImuPreparer::new(recipe)?;
        Ok(Self {
            samples_out: recipe.samples,
            preparer,
            times: Vec::new(),
            samples: Vec::new(),
        })
    }
}

impl WindowInput for ImuInput {
    fn item(&self) -> Vec<usize> {
        vec![6, self.samples_out]
    }

    fn accepts(&self, format: &Format) -> Result<(), InputError> {
        match format {
            Format::Imu { .. } => Ok(()),
            _ => Err(other_sense(Sense::Imu, format)),
        }
    }

    fn append(&mut self, window: &Window, batch: &mut Vec<f32>) -> Result<(), InputError> {
        self.times.clear();
        self.samples.clear();
        for (time, bytes) in window.frames() {
            let (numbers, rest) = bytes.as_chunks::<4>();
            let Ok(numbers) = <&[[u8; 4]; 6]>::try_from(numbers) else {
                return Err(wrong_imu_frame(bytes.len()));
            };
            if !rest.is_empty() {
                return Err(wrong_imu_frame(bytes.len()));
            }
            self.times.push(time);
            self.samples.push(numbers.map(f32::from_le_bytes));
        }
        self.preparer
            .append(window.span.start, &self.times, &self.samples, batch)
    }
}

fn wrong_imu_frame(found: usize) -> InputError {
    let expected = format!("{} bytes (six f32)", Format::IMU_FRAME_BYTES);
    InputError::Size {
        what: "IMU frame",
        expected,
        found: format!("{found} bytes"),
    }
}
