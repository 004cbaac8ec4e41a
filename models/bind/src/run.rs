//! A whole training run: words, recordings, moments; image with text; every other sense against images; the files.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use sensebind_core::Sense;

use crate::batches::{Source, cut, plain, spread, taught};
use crate::chance::Draw;
use crate::config::{BOUND, TrainConfig};
use crate::contrast::Rows;
use crate::device::Device;
use crate::encoder::Input;
use crate::export::{Report, SenseReport};
use crate::measure::{self, Accuracy, HeldOutRecordings};
use crate::moments::{Moments, all_shown, render, sensed};
use crate::passes::{Share, embed};
use crate::progress::Progress;
use crate::recordings::{self, Recording, TrainingTakes};
use crate::scale;
use crate::stage::{Opposite, Plan, Trainee};
use crate::words::{Words, batch};

/// What the command line decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for states and results.
    pub out: PathBuf,
    /// Folder of real recordings.
    pub sounds: Option<PathBuf>,
    /// Go on from saved states.
    pub resume: bool,
    /// Threads.
    pub threads: usize,
    /// Stop in the middle: after this many steps of the first stage that is not finished (to test going on).
    pub stop_after: Option<usize>,
}

/// What a finished run hands over.
#[derive(Debug)]
pub struct Trained {
    /// Configuration with the words' ids filled in.
    pub config: TrainConfig,
    /// Encoders in the order image, text, then the bound senses.
    pub encoders: Vec<Trainee>,
    /// Accuracy and times.
    pub report: Report,
    /// The recordings that were trained or validated on.
    pub recordings: Vec<Recording>,
}

/// Purposes of draws; part of what a seed means.
const TRAIN_MOMENTS: u64 = 1;
const VALIDATION_MOMENTS: u64 = 2;
const BATCHES: u64 = 3;
const ROWS: u64 = 4;

struct Run<'a> {
    config: TrainConfig,
    options: &'a Options,
    device: Device,
    words: Words,
    train: Moments,
    by_shown: Vec<Vec<usize>>,
    validation: Moments,
    takes: TrainingTakes,
    held_out: HeldOutRecordings,
    states: PathBuf,
}

/// Trains everything; `None` when `stop_after` ended the run.
///
/// # Errors
/// Whatever a stage, a recipe or a file says.
pub fn run(mut config: TrainConfig, options: &Options) -> Result<Option<Trained>> {
    let states = options.out.join("states");
    std::fs::create_dir_all(&states).with_context(|| format!("cannot create {}", states.display()))?;
    let words = Words::collect(config.model.text_context)?;
    config.model.text_known_ids = Some(words.known_ids().to_vec());

    let recipe = config
        .model
        .recipes
        .audio
        .clone()
        .context("model.recipes.audio is missing")?;
    let recordings = match &options.sounds {
        Some(folder) => recordings::list(folder)?,
        None => Vec::new(),
    };
    eprintln!(
        "recordings: {} files{}",
        recordings.len(),
        if recordings.is_empty() {
            "; every sound is synthesised"
        } else {
            ""
        }
    );
    let takes = TrainingTakes::prepare(&config, &recipe, &recordings)?;
    let held_out = HeldOutRecordings::prepare(&config, &recordings)?;

    let kinds = all_shown().len();
    let moments = |name: &str, purpose: u64, each: usize, vary: bool| {
        let progress = Progress::new(name, kinds * each, 0);
        let rendered = render(&config, purpose, each, vary, options.threads, &|| progress.tick())?;
        eprintln!("{name}: {} moments in {:.0} s", rendered.count(), progress.finish());
        anyhow::Ok(rendered)
    };
    let validation = moments("held-out", VALIDATION_MOMENTS, config.scenes.validate_each, false)?;
    let train = moments("moments", TRAIN_MOMENTS, config.scenes.train_each, true)?;
    let by_shown = train.by_shown();
    let mut run = Run {
        config,
        options,
        device: Device::default(),
        words,
        train,
        by_shown,
        validation,
        takes,
        held_out,
        states,
    };
    run.everything(recordings)
}

impl Run<'_> {
    fn everything(&mut self, recordings: Vec<Recording>) -> Result<Option<Trained>> {
        let seed = self.config.seed;
        let trainee = |sense: Sense| Trainee::new(self.config.architecture(sense), seed);
        let (mut image, mut text) = (trainee(Sense::Image), trainee(Sense::Text));
        let mut seconds = Vec::new();
        let Some(spent) = self.image_with_text(&mut image, &mut text)? else {
            return Ok(None);
        };
        seconds.push(("image_text".to_owned(), spent));

        let prompts = self.prompts(&text);
        let mut senses = vec![self.report(&image, &prompts)];
        // Image embeddings of the training moments never change again.
        let anchors = measure::embed_moments(
            &self.config,
            &image.architecture,
            &image.parameters,
            &self.train,
            self.options.threads,
            &self.device,
        );
        let anchors = Rows {
            width: self.config.model.out_embed_dim,
            values: anchors,
        };
        let mut encoders = vec![image, text];
        for sense in BOUND {
            let mut trainee = Trainee::new(self.config.architecture(sense), seed);
            let Some(spent) = self.bind(sense, &mut trainee, &anchors, &prompts)? else {
                return Ok(None);
            };
            seconds.push((sense.name().to_owned(), spent));
            senses.push(self.report(&trainee, &prompts));
            encoders.push(trainee);
        }
        let recordings = recordings
            .into_iter()
            .filter(|one| {
                let folds = &self.config.recordings;
                folds.train_folds.contains(&one.entry.fold) || folds.validate_folds.contains(&one.entry.fold)
            })
            .collect();
        let report = Report {
            seconds,
            threads: self.options.threads,
            senses,
        };
        Ok(Some(Trained {
            config: self.config.clone(),
            encoders,
            report,
            recordings,
        }))
    }

    fn plan<'a>(&'a self, name: &'a str, sense: Sense, settings: String) -> Plan<'a> {
        Plan {
            name,
            stage: self.config.stage(sense),
            share: self.config.share,
            threads: self.options.threads,
            device: &self.device,
            validate_every: self.config.validate_every,
            save_every: self.config.save_every,
            folder: &self.states,
            settings,
            resume: self.options.resume,
            stop_after: self.options.stop_after,
        }
    }

    fn prompts(&self, text: &Trainee) -> Rows {
        let (threads, device) = (self.options.threads, &self.device);
        measure::prompts(
            &self.config,
            &self.words,
            &text.architecture,
            &text.parameters,
            threads,
            device,
        )
    }

    /// Embeddings of the held-out moments.
    fn held_out_rows(&self, trainee: &Trainee) -> Rows {
        let values = measure::embed_moments(
            &self.config,
            &trainee.architecture,
            &trainee.parameters,
            &self.validation,
            self.options.threads,
            &self.device,
        );
        Rows {
            width: trainee.architecture.dim,
            values,
        }
    }

    fn accuracy(&self, trainee: &Trainee, prompts: &Rows) -> Accuracy {
        let rows = self.held_out_rows(trainee);
        measure::scenes(trainee.architecture.sense, &rows, &self.validation, prompts)
    }

    fn on_recordings(&self, trainee: &Trainee, prompts: &Rows) -> Option<Accuracy> {
        self.held_out.accuracy(
            &self.config,
            &trainee.architecture,
            &trainee.parameters,
            prompts,
            self.options.threads,
            &self.device,
        )
    }

    fn report(&self, trainee: &Trainee, prompts: &Rows) -> SenseReport {
        let sense = trainee.architecture.sense;
        let rows = self.held_out_rows(trainee);
        let scenes = measure::scenes(sense, &rows, &self.validation, prompts);
        let logit_scale = scale::fit(&rows, &self.validation.shown, prompts, &sensed(sense));
        let recordings = if sense == Sense::Audio {
            self.on_recordings(trainee, prompts)
        } else {
            None
        };
        SenseReport {
            sense,
            parameters: trainee.parameters.count(),
            logit_scale,
            scenes,
            recordings,
        }
    }

    /// The moments of a step's batch.
    fn batch_moments(&self, sense: Sense, step: usize) -> Vec<usize> {
        let mut draw = Draw::at(self.config.seed, &[BATCHES, sense as u64, step as u64]);
        let count = self.config.stage(sense).batch;
        let kinds = taught(sense);
        let kinds = spread(&kinds, count, &mut draw);
        kinds
            .into_iter()
            .map(|kind| self.by_shown[kind][draw.index(self.by_shown[kind].len())])
            .collect()
    }

    /// Varied patches of rows of a step's batch.
    fn varied(&self, sense: Sense, moments: &[usize], step: usize, rows: Range<usize>) -> Result<Input> {
        let source = Source {
            config: &self.config,
            moments: &self.train,
            by_shown: &self.by_shown,
            takes: &self.takes,
        };
        let mut patches = Vec::new();
        for row in rows {
            let mut draw = Draw::at(self.config.seed, &[ROWS, sense as u64, step as u64, row as u64]);
            let input = source.varied(sense, moments[row], &mut draw)?;
            cut(&self.config, sense, &input, &mut patches);
        }
        Ok(Input::Patches(patches))
    }

    fn image_with_text(&self, image: &mut Trainee, text: &mut Trainee) -> Result<Option<f64>> {
        let kinds = all_shown();
        let dropout = self.config.augment.word_dropout;
        let make = |sense: Sense, step: usize, rows: Range<usize>| {
            let moments = self.batch_moments(Sense::Image, step);
            if sense == Sense::Image {
                return self.varied(sense, &moments, step, rows);
            }
            let phrases: Vec<Vec<u32>> = rows
                .map(|row| {
                    let mut draw = Draw::at(self.config.seed, &[ROWS, sense as u64, step as u64, row as u64]);
                    self.words
                        .caption(kinds[self.train.shown[moments[row]]], dropout, &mut draw)
                })
                .collect();
            Ok(batch(&phrases))
        };
        let settings = self.config.settings(Sense::Image, false)?;
        let plan = self.plan("image_text", Sense::Image, settings);
        let mut validate = |trainees: &[&mut Trainee]| {
            let prompts = self.prompts(trainees[1]);
            describe(&self.accuracy(trainees[0], &prompts), None)
        };
        plan.train(&mut [image, text], &Opposite::Trained, &make, &mut validate)
    }

    fn bind(&self, sense: Sense, trainee: &mut Trainee, anchors: &Rows, prompts: &Rows) -> Result<Option<f64>> {
        let make = |_: Sense, step: usize, rows: Range<usize>| {
            self.varied(sense, &self.batch_moments(sense, step), step, rows)
        };
        let frozen = |step: usize| {
            let moments = self.batch_moments(sense, step);
            let values = moments
                .iter()
                .flat_map(|&moment| anchors.row(moment).iter().copied())
                .collect();
            Rows {
                width: anchors.width,
                values,
            }
        };
        let settings = self.config.settings(sense, self.options.sounds.is_some())?;
        let plan = self.plan(sense.name(), sense, settings);
        let mut validate = |trainees: &[&mut Trainee]| {
            let recordings = if sense == Sense::Audio {
                self.on_recordings(trainees[0], prompts)
            } else {
                None
            };
            describe(&self.accuracy(trainees[0], prompts), recordings.as_ref())
        };
        plan.train(&mut [trainee], &Opposite::Frozen(&frozen), &make, &mut validate)
    }
}

fn describe(scenes: &Accuracy, recordings: Option<&Accuracy>) -> String {
    let percent = |accuracy: &Accuracy| {
        format!(
            "{:.1} % (chance {:.1} %)",
            100.0 * accuracy.top1,
            100.0 * accuracy.chance
        )
    };
    let mut line = format!("held-out scenes top-1 {}", percent(scenes));
    if let Some(recordings) = recordings {
        line += &format!(", held-out recordings {}", percent(recordings));
        for (shown, said, count) in &recordings.mistakes {
            line += &format!(", {shown} taken for {said} x{count}");
        }
    }
    for (shown, said, count) in &scenes.mistakes {
        line += &format!("; {shown} taken for {said} x{count}");
    }
    line
}

/// Embeddings of a trained encoder for moments as they are; for tests and tools.
///
/// # Errors
/// Moments of another configuration.
pub fn embed_some(config: &TrainConfig, trainee: &Trainee, moments: &Moments, which: &[usize]) -> Result<Vec<f32>> {
    ensure!(
        which.iter().all(|&moment| moment < moments.count()),
        "there are only {} moments",
        moments.count()
    );
    let (architecture, parameters) = (&trainee.architecture, &trainee.parameters);
    let input = plain(config, architecture.sense, moments, which);
    Ok(embed(
        vec![Share {
            architecture,
            parameters,
            input,
            count: which.len(),
        }],
        1,
        &Device::default(),
    ))
}
