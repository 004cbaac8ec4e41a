//! AdamW with a global gradient norm and a cosine schedule with warm-up.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::parameters::{Arrays, Parameters};

/// How one stage is optimised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// InfoNCE's temperature; fixed, as the paper's.
    pub temperature: f32,
    /// Weight that the targets give to the whole batch: some "negatives" show the same happening.
    pub smoothing: f32,
    /// Optimiser steps.
    pub steps: usize,
    /// Pairs per step.
    pub batch: usize,
    /// Highest learning rate.
    pub peak_lr: f32,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    /// AdamW's decoupled decay, on matrices only.
    pub weight_decay: f32,
    /// AdamW's memory of gradients and of their squares.
    pub betas: [f32; 2],
    /// The whole gradient is scaled down to this norm.
    pub clip_norm: f32,
}

impl Schedule {
    /// Learning rate of a step: linear warm-up, then a half cosine down to 1 % of the peak (Loshchilov and Hutter 2017).
    pub fn lr(&self, step: usize) -> f32 {
        if step < self.warmup_steps {
            return self.peak_lr * (step + 1) as f32 / self.warmup_steps as f32;
        }
        let left = (self.steps.max(self.warmup_steps + 1) - self.warmup_steps) as f32;
        let part = (step - self.warmup_steps) as f32 / left;
        self.peak_lr * (0.01 + 0.99 * 0.5 * (1.0 + (std::f32::consts::PI * part.min(1.0)).cos()))
    }
}

/// AdamW's memory for one set of weights (Loshchilov and Hutter 2019, algorithm 2).
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    mean: Parameters,
    square: Parameters,
}

/// AdamW's epsilon.
const EPS: f32 = 1e-8;

impl AdamW {
    /// Nothing remembered yet.
    pub fn new(parameters: &Parameters) -> Self {
        let mut zero = parameters.clone();
        zero.iter_mut().for_each(|parameter| parameter.values.fill(0.0));
        Self {
            mean: zero.clone(),
            square: zero,
        }
    }

    /// One step, the `step`-th from 0, with gradients in the order of the parameters, already clipped.
    pub fn step(&mut self, schedule: &Schedule, step: usize, parameters: &mut Parameters, gradients: &[Vec<f32>]) {
        let lr = schedule.lr(step);
        let [first, second] = schedule.betas;
        let time = step as i32 + 1;
        let (mean_scale, square_scale) = (1.0 / (1.0 - first.powi(time)), 1.0 / (1.0 - second.powi(time)));
        let memory = self.mean.iter_mut().zip(self.square.iter_mut());
        for ((parameter, (mean, square)), gradient) in parameters.iter_mut().zip(memory).zip(gradients) {
            let keep = if parameter.decays {
                1.0 - lr * schedule.weight_decay
            } else {
                1.0
            };
            let values = parameter.values.iter_mut().zip(gradient);
            for ((value, &gradient), (mean, square)) in values.zip(mean.values.iter_mut().zip(square.values.iter_mut()))
            {
                *mean = first * *mean + (1.0 - first) * gradient;
                *square = second * *square + (1.0 - second) * gradient * gradient;
                let move_by = *mean * mean_scale / ((*square * square_scale).sqrt() + EPS);
                *value = *value * keep - lr * move_by;
            }
        }
    }

    /// Adds the memory to a checkpoint.
    pub fn store(&self, arrays: &mut Arrays) {
        self.mean.store("adam_mean.", arrays);
        self.square.store("adam_square.", arrays);
    }

    /// Takes the memory from a checkpoint.
    ///
    /// # Errors
    /// What [`Parameters::load`] says.
    pub fn load(&mut self, arrays: &Arrays) -> Result<()> {
        self.mean.load("adam_mean.", arrays)?;
        self.square.load("adam_square.", arrays)
    }
}

/// Scales all gradients so that their common norm is at most `limit`; returns the norm they had.
pub fn clip(gradients: &mut [&mut Vec<Vec<f32>>], limit: f32) -> f32 {
    let squares: f64 = gradients
        .iter()
        .flat_map(|set| set.iter())
        .map(|gradient| {
            gradient
                .iter()
                .map(|&value| f64::from(value) * f64::from(value))
                .sum::<f64>()
        })
        .sum();
    let norm = squares.sqrt() as f32;
    if norm > limit {
        let scale = limit / norm;
        for value in gradients
            .iter_mut()
            .flat_map(|set| set.iter_mut())
            .flat_map(|gradient| gradient.iter_mut())
        {
            *value *= scale;
        }
    }
    norm
}
