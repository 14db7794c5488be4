//! DeepLIFT (Shrikumar et al. 2017), rescale rule, and its mean over baselines, DeepSHAP (Lundberg and Lee 2017).

use std::sync::Arc;

use candle_core::Tensor;

use super::baseline;
use super::evidence::Places;
use super::map::Grid;
use super::masks::batch_of;
use super::pixels::channel_sum;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::backward::{Gradient, Rule, Taps};
use crate::model::graph::Node;
use crate::model::kernels::Kernels;
use crate::model::op::{Act, Op};
use crate::text::notice;

/// Differences of inputs below this take the gradient instead of a quotient, as in Captum.
const SMALLEST: f64 = 1e-10;

/// The rescale rule on a batch of two: the image and its baseline. Both rows carry the same multipliers.
struct Rescale {
    /// Whether every activation is rescaled, and a maximum's difference goes to the maxima of both rows. Otherwise
    /// as Captum computes it: only the activations that it knows, and a maximum hands back the plain gradient (its
    /// rule for them is there, but its result is dropped by the hooks of PyTorch 2).
    exact: bool,
}

impl Rescale {
    fn rescales(&self, act: Act) -> bool {
        self.exact
            || matches!(
                act,
                Act::Relu | Act::LeakyRelu(_) | Act::Elu(_) | Act::Sigmoid | Act::Tanh
            )
    }
}

impl Rule for Rescale {
    fn hand_back(
        &self,
        node: &Node,
        inputs: &[&Tensor],
        output: &Tensor,
        given: &Tensor,
        kernels: &dyn Kernels,
    ) -> Result<Vec<Tensor>> {
        match (&node.op, inputs) {
            (Op::Act(act), [x]) if self.rescales(*act) => {
                let plain = Gradient.hand_back(node, inputs, output, given, kernels)?;
                let (dx, dy) = (difference(x)?, difference(output)?);
                let (large, divisor) = safe(&dx)?;
                let multiplier = dy.div(&divisor)?;
                let rescaled = given.broadcast_mul(&multiplier)?;
                let plain = plain.into_iter().next();
                choose(&large, &rescaled, plain.as_ref().unwrap_or(&rescaled))
            }
            (Op::MaxPool(pool), [x]) if self.exact => {
                let plain = Gradient.hand_back(node, inputs, output, given, kernels)?;
                let (dx, out) = (difference(x)?, rows(output)?);
                // What rises to the larger of both maxima goes to the place of each row's own maximum.
                let most = out[0].maximum(&out[1])?;
                let g = rows(given)?;
                let parts = Tensor::cat(
                    &[(&g[0] * (&most - &out[1])?)?, (&g[1] * (&out[0] - &most)?)?],
                    0,
                )?;
                let spread = kernels.max_pool2d_grad(x, &parts, pool)?;
                let spread = rows(&spread)?;
                let sum = (&spread[0] + &spread[1])?;
                let (large, divisor) = safe(&dx)?;
                let both = sum.div(&divisor)?;
                let both = Tensor::cat(&[&both, &both], 0)?;
                let plain = plain.into_iter().next();
                choose(&large, &both, plain.as_ref().unwrap_or(&both))
            }
            _ => Gradient.hand_back(node, inputs, output, given, kernels),
        }
    }
}

/// The two rows of a batch.
fn rows(batch: &Tensor) -> Result<[Tensor; 2]> {
    Ok([
        batch.narrow(0, 0, 1)?.contiguous()?,
        batch.narrow(0, 1, 1)?.contiguous()?,
    ])
}

/// The first row less the second.
fn difference(batch: &Tensor) -> Result<Tensor> {
    let [a, b] = rows(batch)?;
    Ok((a - b)?)
}

/// Where a difference is large enough to divide by, and the divisor, 1 elsewhere.
fn safe(dx: &Tensor) -> Result<(Tensor, Tensor)> {
    let large = dx.abs()?.ge(SMALLEST)?;
    let divisor = large.where_cond(dx, &dx.ones_like()?)?;
    Ok((large, divisor))
}

fn choose(large: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Vec<Tensor>> {
    let large = Tensor::cat(&[large, large], 0)?;
    Ok(vec![
        large.where_cond(&yes.contiguous()?, &no.contiguous()?)?,
    ])
}

/// One or several baselines, one after the other.
struct DeepLift {
    names: Vec<&'static str>,
    seed: u64,
    exact: bool,
    done: usize,
    sum: Vec<f64>,
    grid: [usize; 2],
    /// Sum over baselines of the target's score there.
    scores: f64,
}

/// DeepLIFT against one baseline.
pub(super) fn deep_lift(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let wanted = settings.word("baseline");
    let name = baseline::NAMES.iter().find(|n| **n == wanted);
    begin(study, settings, vec![name.copied().unwrap_or("zero")])
}

/// DeepSHAP: the mean of DeepLIFT over baselines; noise with as many seeds as asked for.
pub(super) fn deep_shap(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let mut names = vec!["zero", "black", "white", "mean", "blur"];
    names.resize(names.len() + settings.count("noises"), "noise");
    begin(study, settings, names)
}

fn begin(
    study: &mut Study<'_>,
    settings: &Settings,
    names: Vec<&'static str>,
) -> Result<Box<dyn Steps>> {
    let output = study.pass.trace.output(study.node)?;
    let grid = Places::of(study.model, study.node, &output)?.grid;
    Ok(Box::new(DeepLift {
        names,
        seed: settings.seed(),
        exact: settings.is("mode", "exact"),
        done: 0,
        sum: vec![0.0; grid[0] * grid[1]],
        grid,
        scores: 0.0,
    }))
}

impl Steps for DeepLift {
    fn total(&self) -> usize {
        self.names.len()
    }

    fn done(&self) -> usize {
        self.done
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        let Some(name) = self.names.get(self.done) else {
            return Ok(());
        };
        let job = study.job.quiet();
        let from = baseline::make(study, name, self.seed + self.done as u64);
        let mut both = study.input.values.to_vec();
        both.extend(&from);
        let trace = study.model.trace(&batch_of(study, both, 2)?, &job)?;
        let logits: Vec<Vec<f32>> = trace.output(study.model.graph.output())?.to_vec2()?;
        let objective = study.objective();
        // One seed for both rows, that of the image: multipliers belong to the pair.
        let seed = objective.seed(&study.pass.logits, &study.model.facts);
        let classes = seed.len();
        let seed = Tensor::from_vec(
            [&seed[..], &seed[..]].concat(),
            (2, classes),
            study.model.device(),
        )?;
        let mut taps = Taps::start(&trace, seed, Arc::new(Rescale { exact: self.exact }));
        taps.keep_only(&[study.node]);
        let output = trace.output(study.node)?;
        if let Some(multipliers) = taps.at(&trace, study.node, &job)? {
            let places = Places::of(study.model, study.node, &output)?;
            let m = places.read(&multipliers, 0)?;
            let (x, b) = (places.read(&output, 0)?, places.read(&output, 1)?);
            let products: Vec<f32> = (0..m.len()).map(|i| m[i] * (x[i] - b[i])).collect();
            let map = channel_sum(&products, self.sum.len());
            self.sum
                .iter_mut()
                .zip(map)
                .for_each(|(s, v)| *s += f64::from(v));
        }
        if let Some(row) = logits.get(1) {
            self.scores += f64::from(objective.value(row, &study.model.facts));
        }
        self.done += 1;
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let n = self.done.max(1) as f64;
        if self.done == self.names.len() {
            let sum: f64 = self.sum.iter().sum();
            let difference = f64::from(study.score()) - self.scores / n;
            study.notice(notice::completeness(sum / n, difference));
        }
        let [height, width] = self.grid;
        Ok(Drawn::Grid(Grid {
            width,
            height,
            values: self.sum.iter().map(|s| (s / n) as f32).collect(),
        }))
    }
}
