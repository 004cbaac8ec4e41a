//! One stage of training: steps of symmetric InfoNCE between two sides, saved so that a stopped run goes on.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use sensebind_core::Sense;

use crate::chance::Draw;
use crate::contrast::{Rows, info_nce};
use crate::device::Device;
use crate::encoder::{Architecture, Input};
use crate::optimiser::{AdamW, Schedule, clip};
use crate::parameters::{Arrays, Parameters, read_arrays, write_arrays};
use crate::passes::{Pass, Share, side_by_side};
use crate::progress::Progress;

/// An encoder that is being trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Trainee {
    /// Its size.
    pub architecture: Architecture,
    /// Its weights.
    pub parameters: Parameters,
    memory: AdamW,
}

impl Trainee {
    /// Initial weights for a seed.
    pub fn new(architecture: Architecture, seed: u64) -> Self {
        let parameters = architecture.initial(&mut Draw::at(seed, &[0x1417, architecture.sense as u64]));
        let memory = AdamW::new(&parameters);
        Self {
            architecture,
            parameters,
            memory,
        }
    }
}

/// Input of some rows of a step's batch for an encoder.
pub type MakeInput<'a> = &'a (dyn Fn(Sense, usize, Range<usize>) -> Result<Input> + Sync);

/// What an encoder is compared with.
pub enum Opposite<'a> {
    /// The second encoder, trained too.
    Trained,
    /// Fixed embeddings of a step's rows.
    Frozen(&'a dyn Fn(usize) -> Rows),
}

impl std::fmt::Debug for Opposite<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Opposite::Trained => "Trained",
            Opposite::Frozen(_) => "Frozen",
        })
    }
}

/// How a stage runs.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Name of the stage and of its files.
    pub name: &'a str,
    /// Hyper-parameters.
    pub stage: &'a Schedule,
    /// Rows per share.
    pub share: usize,
    /// Threads.
    pub threads: usize,
    /// Device.
    pub device: &'a Device,
    /// Steps between measurements.
    pub validate_every: usize,
    /// Steps between saved states.
    pub save_every: usize,
    /// Where states are saved.
    pub folder: &'a Path,
    /// Everything the stage's result depends on; a saved state of other settings is refused.
    pub settings: String,
    /// Whether to go on from a saved state.
    pub resume: bool,
    /// Stop after this many steps of this run, state saved (to test going on).
    pub stop_after: Option<usize>,
}

/// Loss and gradient norm of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepResult {
    /// InfoNCE, nats.
    pub loss: f32,
    /// Norm of the whole gradient before clipping.
    pub norm: f32,
}

impl Plan<'_> {
    fn state(&self) -> (PathBuf, PathBuf) {
        (
            self.folder.join(format!("{}.safetensors", self.name)),
            self.folder.join(format!("{}.json", self.name)),
        )
    }

    /// Steps and seconds that a saved state has behind it; loads it.
    fn load(&self, trainees: &mut [&mut Trainee]) -> Result<(usize, f64)> {
        let (state, settings) = self.state();
        if !self.resume || !state.is_file() {
            return Ok((0, 0.0));
        }
        let saved =
            std::fs::read_to_string(&settings).with_context(|| format!("cannot read {}", settings.display()))?;
        ensure!(
            saved == self.settings,
            "{} was saved with other settings; delete it to train this stage again",
            state.display()
        );
        let arrays = read_arrays(&state)?;
        for trainee in trainees {
            trainee.parameters.load("", &arrays)?;
            trainee.memory.load(&arrays)?;
        }
        match arrays.get("progress").map(|(_, progress)| progress.as_slice()) {
            Some(&[step, seconds]) => Ok((step as usize, f64::from(seconds))),
            _ => bail!("{}: progress is missing", state.display()),
        }
    }

    fn save(&self, trainees: &[&mut Trainee], step: usize, seconds: f64) -> Result<()> {
        let (state, settings) = self.state();
        let mut arrays = Arrays::new();
        for trainee in trainees {
            trainee.parameters.store("", &mut arrays);
            trainee.memory.store(&mut arrays);
        }
        // Exact: a step count is far below 2^24.
        arrays.insert("progress".to_owned(), (vec![2], vec![step as f32, seconds as f32]));
        std::fs::write(&settings, &self.settings).with_context(|| format!("cannot write {}", settings.display()))?;
        write_arrays(&state, &arrays)
    }

    /// Trains one or two encoders to the end of the stage, or until `stop_after`: the seconds it took over all runs, or
    /// `None` when it was stopped.
    ///
    /// # Errors
    /// An input that cannot be made, a state that cannot be read or written, a loss that is not finite.
    pub fn train(
        &self,
        trainees: &mut [&mut Trainee],
        opposite: &Opposite<'_>,
        make: MakeInput<'_>,
        validate: &mut dyn FnMut(&[&mut Trainee]) -> String,
    ) -> Result<Option<f64>> {
        let (first, spent) = self.load(trainees)?;
        let total = self.stage.steps;
        let progress = Progress::new(self.name, total, first);
        let mut smooth = None;
        for step in first..total {
            if self.stop_after.is_some_and(|most| step >= first + most) {
                self.save(trainees, step, spent + progress.seconds())?;
                return Ok(None);
            }
            let result = self.step(trainees, opposite, make, step)?;
            ensure!(
                result.loss.is_finite() && result.norm.is_finite(),
                "{}: step {step}: loss {} and gradient norm {}; lower peak_lr",
                self.name,
                result.loss,
                result.norm
            );
            let mean = smooth.map_or(result.loss, |mean: f32| 0.95 * mean + 0.05 * result.loss);
            smooth = Some(mean);
            let done = step + 1;
            let lr = self.stage.lr(step);
            progress.step(done, &format!("loss {mean:.3} norm {:.2} lr {lr:.2e}", result.norm));
            if done % self.validate_every == 0 || done == total {
                progress.say(&format!("step {done}: {}", validate(trainees)));
            }
            if done % self.save_every == 0 || done == total {
                self.save(trainees, done, spent + progress.seconds())?;
            }
        }
        Ok(Some(spent + progress.finish()))
    }

    /// One optimiser step.
    fn step(
        &self,
        trainees: &mut [&mut Trainee],
        opposite: &Opposite<'_>,
        make: MakeInput<'_>,
        step: usize,
    ) -> Result<StepResult> {
        let batch = self.stage.batch;
        let mut jobs = Vec::new();
        for (place, trainee) in trainees.iter().enumerate() {
            for from in (0..batch).step_by(self.share) {
                jobs.push((
                    place,
                    &trainee.architecture,
                    &trainee.parameters,
                    from..(from + self.share).min(batch),
                ));
            }
        }
        let places: Vec<(usize, usize)> = jobs.iter().map(|(place, _, _, rows)| (*place, rows.len())).collect();
        let passes = side_by_side(jobs, self.threads, |(_, architecture, parameters, rows)| {
            let count = rows.len();
            let input = make(architecture.sense, step, rows)?;
            Ok(Pass::forward(
                &Share {
                    architecture,
                    parameters,
                    input,
                    count,
                },
                self.device,
            ))
        });
        let passes = passes.into_iter().collect::<Result<Vec<Pass>>>()?;

        let side = |wanted: usize| {
            let rows = passes.iter().zip(&places).filter(|(_, (place, _))| *place == wanted);
            let values = rows.flat_map(|(pass, _)| pass.rows.values.iter().copied()).collect();
            Rows {
                width: trainees[0].architecture.dim,
                values,
            }
        };
        let right = match opposite {
            Opposite::Trained => side(1),
            Opposite::Frozen(rows) => rows(step),
        };
        let contrast = info_nce(&side(0), &right, 1.0 / self.stage.temperature, self.stage.smoothing);

        let mut taken = [0, 0];
        let jobs: Vec<(Pass, Vec<f32>)> = passes
            .into_iter()
            .zip(&places)
            .map(|(pass, &(place, count))| {
                let all = if place == 0 { &contrast.left } else { &contrast.right };
                let from = taken[place] * all.width;
                taken[place] += count;
                (pass, all.values[from..from + count * all.width].to_vec())
            })
            .collect();
        let shares = side_by_side(jobs, self.threads, |(pass, gradient)| {
            pass.backward(&gradient, self.device)
        });
        let mut sums: Vec<Vec<Vec<f32>>> = vec![Vec::new(); trainees.len()];
        for (share, (place, _)) in shares.into_iter().zip(&places) {
            let sum = &mut sums[*place];
            if sum.is_empty() {
                *sum = share;
                continue;
            }
            for (sum, part) in sum.iter_mut().flatten().zip(share.iter().flatten()) {
                *sum += part;
            }
        }
        let norm = clip(&mut sums.iter_mut().collect::<Vec<_>>(), self.stage.clip_norm);
        for (trainee, gradients) in trainees.iter_mut().zip(&sums) {
            trainee
                .memory
                .step(self.stage, step, &mut trainee.parameters, gradients);
        }
        Ok(StepResult {
            loss: contrast.loss,
            norm,
        })
    }
}
