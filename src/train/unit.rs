//! Convolution, batch normalisation and ReLU as one unit with its running statistics.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Tensor, Var};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::ops::{Affine, BatchNorm, Conv2d};
use super::state::Array;
use crate::error::Result;

/// PyTorch's defaults.
const EPS: f32 = 1e-5;
const MOMENTUM: f32 = 0.1;

/// Averages over batches, as PyTorch keeps them.
pub(super) struct Running {
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
}

/// Convolution, batch normalisation and, where it follows, ReLU.
pub(super) struct Unit {
    pub(super) conv_name: String,
    pub(super) norm_name: String,
    conv: Conv2d,
    relu: bool,
    pub(super) weight: Var,
    pub(super) gamma: Var,
    pub(super) beta: Var,
    pub(super) running: Mutex<Running>,
}

/// Source of initial values.
pub(super) struct Init(pub(super) ChaCha8Rng);

impl Init {
    /// Normal deviates by Box and Muller's transform.
    pub(super) fn normal(&mut self, n: usize, deviation: f64) -> Vec<f32> {
        (0..n)
            .map(|_| {
                let u: f64 = self.0.random_range(f64::EPSILON..1.0);
                let v: f64 = self.0.random_range(0.0..std::f64::consts::TAU);
                (deviation * (-2.0 * u.ln()).sqrt() * v.cos()) as f32
            })
            .collect()
    }

    /// `He` initialisation by fan-out, as torchvision does; `gamma` is the initial scale.
    pub(super) fn unit(
        &mut self,
        [conv_name, norm_name]: [String; 2],
        [inputs, outputs, kernel]: [usize; 3],
        stride: usize,
        relu: bool,
        gamma: f32,
    ) -> Result<Unit> {
        let deviation = (2.0 / (outputs * kernel * kernel) as f64).sqrt();
        let weight = self.normal(outputs * inputs * kernel * kernel, deviation);
        let cpu = &Device::Cpu;
        Ok(Unit {
            conv_name,
            norm_name,
            conv: Conv2d {
                stride,
                padding: kernel / 2,
            },
            relu,
            weight: Var::from_vec(weight, (outputs, inputs, kernel, kernel), cpu)?,
            gamma: Var::from_vec(vec![gamma; outputs], outputs, cpu)?,
            beta: Var::from_vec(vec![0.0_f32; outputs], outputs, cpu)?,
            running: Mutex::new(Running {
                mean: vec![0.0; outputs],
                variance: vec![1.0; outputs],
            }),
        })
    }
}

impl Unit {
    /// With the statistics of the batch, which also move the running averages.
    pub(super) fn train(&self, x: &Tensor) -> Result<Tensor> {
        let norm = BatchNorm {
            eps: EPS,
            relu: self.relu,
            stats: Arc::default(),
        };
        let stats = norm.stats.clone();
        let convolved = x.apply_op2(&self.weight, self.conv)?;
        let out = convolved.apply_op3(&self.gamma, &self.beta, norm)?;
        let stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // PyTorch keeps the unbiased variance.
        let unbiased = stats.count as f32 / (stats.count.max(2) - 1) as f32;
        for (r, &m) in running.mean.iter_mut().zip(&stats.mean) {
            *r += MOMENTUM * (m - *r);
        }
        for (r, &v) in running.variance.iter_mut().zip(&stats.variance) {
            *r += MOMENTUM * (v * unbiased - *r);
        }
        Ok(out)
    }

    /// With the running averages and without gradients.
    pub(super) fn infer(&self, x: &Tensor) -> Result<Tensor> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let gamma: Vec<f32> = self.gamma.to_vec1()?;
        let beta: Vec<f32> = self.beta.to_vec1()?;
        let scale: Vec<f32> = gamma
            .iter()
            .zip(&running.variance)
            .map(|(g, v)| g / (v + EPS).sqrt())
            .collect();
        let shift = beta
            .iter()
            .zip(scale.iter().zip(&running.mean))
            .map(|(b, (s, m))| b - s * m)
            .collect();
        let affine = Affine {
            scale,
            shift,
            relu: self.relu,
        };
        let weight = self.weight.as_detached_tensor();
        Ok(x.apply_op2_no_bwd(&weight, &self.conv)?
            .apply_op1_no_bwd(&affine)?)
    }

    pub(super) fn running(&self) -> [(String, Array); 2] {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        [
            ("running_mean", running.mean.clone()),
            ("running_var", running.variance.clone()),
        ]
        .map(|(what, values)| {
            let shape = vec![values.len()];
            (
                format!("{}.{what}", self.norm_name),
                Array { shape, values },
            )
        })
    }
}
