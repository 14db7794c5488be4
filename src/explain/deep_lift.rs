//! DeepLIFT (Shrikumar et al. 2017), rescale rule, and its mean over baselines, DeepSHAP (Lundberg and Lee 2017).

use std::sync::Arc;

use candle_core::Tensor;

use super::baseline;
use super::evidence::Places;
use super::integrated::gauss_legendre;
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
use crate::model::op::{Act, Op, Pool};
use crate::text::{fault, notice};

/// Differences of inputs below this take the gradient instead of a quotient, as in Captum.
const SMALLEST: f64 = 1e-10;

/// Points between two rows of logits at which an objective that is not linear is differentiated.
const SEED_POINTS: usize = 32;

/// The rescale rule on a batch of two: the image and its baseline. Both rows carry the same multipliers.
struct Rescale {
    /// Whether every activation is rescaled, a maximum's difference goes to the maxima of both rows, and a product
    /// shares what both factors did. Otherwise
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
        let plain = || Gradient.hand_back(node, inputs, output, given, kernels);
        match (&node.op, inputs) {
            (Op::Act(act), [x]) if self.rescales(*act) => Ok(vec![activation(
                x,
                output,
                given,
                plain()?.first().unwrap_or(given),
            )?]),
            (Op::MaxPool(pool), [x]) if self.exact => {
                let plain = plain()?;
                let plain = plain.first().unwrap_or(x);
                Ok(vec![maximum(x, output, given, plain, pool, kernels)?])
            }
            (Op::GlobalMaxPool, [x]) if self.exact => {
                let (_, _, h, w) = x.dims4()?;
                let whole = Pool {
                    kernel: [h, w],
                    ..Pool::square(1, 1, 0)
                };
                let plain = plain()?;
                let plain = plain.first().unwrap_or(x);
                Ok(vec![maximum(x, output, given, plain, &whole, kernels)?])
            }
            (Op::Mul, [a, b]) if self.exact => {
                // ab - a'b' = (a - a') (b + b') / 2 + (b - b') (a + a') / 2: the gradient halfway.
                let (a, b) = (middle(a)?, middle(b)?);
                Gradient.hand_back(node, &[&a, &b], output, given, kernels)
            }
            _ => plain(),
        }
    }
}

/// `given * dy / dx` where dx is large enough to divide by, the plain gradient elsewhere.
fn activation(x: &Tensor, y: &Tensor, given: &Tensor, plain: &Tensor) -> Result<Tensor> {
    let [x, y, given, plain] = [flat(x)?, flat(y)?, flat(given)?, flat(plain)?];
    let (dx, dy) = (difference(&x)?, difference(&y)?);
    let (large, divisor) = safe(&dx)?;
    let multiplier = dy.div(&divisor)?;
    let (given, plain) = (rows(&given)?, rows(&plain)?);
    let row = |i: usize| large.where_cond(&(&given[i] * &multiplier)?, &plain[i]);
    unflat(&Tensor::cat(&[row(0)?, row(1)?], 0)?)
}

/// What rises to the larger of both maxima goes to the place of each row's own maximum.
fn maximum(
    x: &Tensor,
    y: &Tensor,
    given: &Tensor,
    plain: &Tensor,
    pool: &Pool,
    kernels: &dyn Kernels,
) -> Result<Tensor> {
    let (out, g) = (rows(&flat(y)?)?, rows(&flat(given)?)?);
    let most = out[0].maximum(&out[1])?;
    let parts = [(&g[0] * (&most - &out[1])?)?, (&g[1] * (&out[0] - &most)?)?];
    let parts = unflat(&Tensor::cat(&parts, 0)?)?;
    let spread = rows(&flat(&kernels.max_pool2d_grad(x, &parts, pool)?)?)?;
    let (large, divisor) = safe(&difference(&flat(x)?)?)?;
    let both = (&spread[0] + &spread[1])?.div(&divisor)?;
    let plain = rows(&flat(plain)?)?;
    let row = |i: usize| large.where_cond(&both, &plain[i]);
    unflat(&Tensor::cat(&[row(0)?, row(1)?], 0)?)
}

/// Maps with the channels of a pixel side by side, as the CPU's kernels like them: nothing is copied there.
fn flat(x: &Tensor) -> Result<Tensor> {
    Ok(match x.rank() {
        4 => x.permute((0, 2, 3, 1))?.contiguous()?,
        _ => x.contiguous()?,
    })
}

/// The reverse of [`flat`].
fn unflat(x: &Tensor) -> Result<Tensor> {
    Ok(match x.rank() {
        4 => x.permute((0, 3, 1, 2))?,
        _ => x.clone(),
    })
}

/// The two rows of a batch.
fn rows(batch: &Tensor) -> Result<[Tensor; 2]> {
    Ok([batch.narrow(0, 0, 1)?, batch.narrow(0, 1, 1)?])
}

/// The first row less the second.
fn difference(batch: &Tensor) -> Result<Tensor> {
    let [a, b] = rows(batch)?;
    Ok((a - b)?)
}

/// The mean of both rows, in both.
fn middle(batch: &Tensor) -> Result<Tensor> {
    let [a, b] = rows(&flat(batch)?)?;
    let mean = ((a + b)? * 0.5)?;
    unflat(&Tensor::cat(&[&mean, &mean], 0)?)
}

/// Where a difference is large enough to divide by, and the divisor, 1 elsewhere.
fn safe(dx: &Tensor) -> Result<(Tensor, Tensor)> {
    let large = dx.abs()?.ge(SMALLEST)?;
    let divisor = large.where_cond(dx, &dx.ones_like()?)?;
    Ok((large, divisor))
}

/// The objective's gradient at the logits, averaged along the straight line between both rows' logits: times their
/// difference it is the difference of the scores. For a logit or a contrast of logits it is the plain seed.
fn seed_between(study: &Study<'_>, at: &[f32], from: &[f32]) -> Vec<f32> {
    let objective = study.objective();
    let mut mean = vec![0f64; at.len()];
    for (a, weight) in gauss_legendre(SEED_POINTS) {
        let logits: Vec<f32> = at
            .iter()
            .zip(from)
            .map(|(x, b)| (f64::from(*b) + a * (f64::from(*x) - f64::from(*b))) as f32)
            .collect();
        let seed = objective.seed(&logits, &study.model.facts);
        let pairs = mean.iter_mut().zip(seed);
        pairs.for_each(|(m, s)| *m += weight * f64::from(s));
    }
    mean.into_iter().map(|m| m as f32).collect()
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
        let trace = study.model.trace_nodes(&batch_of(study, both, 2)?, &job)?;
        let logits: Vec<Vec<f32>> = trace.output(study.model.graph.output())?.to_vec2()?;
        let [at, there] = logits.as_slice() else {
            return Err(fault::shape("a batch of two", "other rows", "two"));
        };
        // One seed for both rows: multipliers belong to the pair.
        let seed = seed_between(study, at, there);
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
        let score = study.objective().value(there, &study.model.facts);
        self.scores += f64::from(score);
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
