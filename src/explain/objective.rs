//! The scalar that is differentiated or scored: its value and its gradient at the logits.

use crate::model::facts::Facts;
use crate::plan::{Activation, Score, Target};

/// Constant in Finer-CAM's weighted mean, as in pytorch-grad-cam.
const FINER_EPS: f64 = 1e-9;

/// A scalar function of the logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// What the user asks about.
    Target(Target),
    /// Finer-CAM (Zhang et al. 2025): `sum_i p_i (y_c - a y_i) / (sum_i p_i + 1e-9)` over the `references`
    /// classes whose logits are nearest to y_c; p is the softmax and is differentiated as well.
    Finer {
        /// The class, and whether the sign is turned.
        target: Target,
        /// Factor a.
        weight: f32,
        /// How many classes it is compared with.
        references: usize,
        /// Plain mean instead of the weighted one, as torchcam has it.
        plain: bool,
    },
    /// Shapley-CAM's `ReST` (Cai 2025): `y_c + ln p_c`, p the softmax.
    Rest(Target),
}

impl Objective {
    /// The target behind it.
    pub fn target(&self) -> Target {
        match *self {
            Self::Target(target) | Self::Finer { target, .. } | Self::Rest(target) => target,
        }
    }

    /// Its value for one image's raw logits.
    pub fn value(&self, logits: &[f32], facts: &Facts) -> f32 {
        let target = self.target();
        let y: Vec<f64> = logits.iter().map(|&v| f64::from(v)).collect();
        let own = y.get(target.class).copied().unwrap_or(f64::NAN);
        let value = match *self {
            Self::Target(target) => {
                let scores = match target.score {
                    Score::Logit => y,
                    Score::Probability => probabilities(&y, facts),
                };
                let of = |class: usize| scores.get(class).copied().unwrap_or(f64::NAN);
                let against = target
                    .against
                    .map_or(0.0, |d| f64::from(d.factor.0) * of(d.class));
                of(target.class) - against
            }
            Self::Finer {
                weight,
                references,
                plain,
                ..
            } if target.class < y.len() => {
                let (pairs, total) = finer_pairs(&y, target.class, references, plain);
                let weight = f64::from(weight);
                let sum: f64 = pairs.iter().map(|&(i, p)| p * (own - weight * y[i])).sum();
                if pairs.is_empty() {
                    own
                } else {
                    sum / (total + FINER_EPS)
                }
            }
            Self::Finer { .. } => f64::NAN,
            Self::Rest(_) => {
                let p = softmax(&y);
                own + p.get(target.class).copied().unwrap_or(f64::NAN).ln()
            }
        };
        (if target.negated { -value } else { value }) as f32
    }

    /// Its gradient at the logits: what a reverse walk starts from.
    pub fn seed(&self, logits: &[f32], facts: &Facts) -> Vec<f32> {
        let y: Vec<f64> = logits.iter().map(|&v| f64::from(v)).collect();
        self.seed64(&y, facts)
            .into_iter()
            .map(|s| s as f32)
            .collect()
    }

    /// As [`Objective::seed`] in double precision.
    pub(super) fn seed64(&self, logits: &[f64], facts: &Facts) -> Vec<f64> {
        let target = self.target();
        let mut seed = vec![0f64; logits.len()];
        if target.class >= seed.len() {
            return seed;
        }
        match *self {
            Self::Target(target) => {
                add_score(&mut seed, target.score, target.class, 1.0, logits, facts);
                if let Some(d) = target.against.filter(|d| d.class < logits.len()) {
                    let factor = -f64::from(d.factor.0);
                    add_score(&mut seed, target.score, d.class, factor, logits, facts);
                }
            }
            Self::Finer {
                weight,
                references,
                plain,
                ..
            } => finer_seed(
                &mut seed,
                logits,
                target.class,
                f64::from(weight),
                references,
                plain,
            ),
            Self::Rest(_) => {
                for (s, p) in seed.iter_mut().zip(softmax(logits)) {
                    *s -= p;
                }
                seed[target.class] += 2.0;
            }
        }
        if target.negated {
            seed.iter_mut().for_each(|s| *s = -*s);
        }
        seed
    }

    /// Whether the gradient at the logits does not depend on them.
    pub(super) fn is_linear(&self) -> bool {
        matches!(self, Self::Target(target) if target.score == Score::Logit)
    }
}

/// Probabilities in double precision.
fn probabilities(logits: &[f64], facts: &Facts) -> Vec<f64> {
    let t = f64::from(facts.temperature.unwrap_or(1.0));
    match facts.activation.value {
        Activation::Sigmoid => logits
            .iter()
            .map(|z| 1.0 / (1.0 + (-z / t).exp()))
            .collect(),
        Activation::Softmax => {
            let scaled: Vec<f64> = logits.iter().map(|z| z / t).collect();
            softmax(&scaled)
        }
    }
}

/// Adds `factor * d score_class / d logits`.
fn add_score(
    seed: &mut [f64],
    score: Score,
    class: usize,
    factor: f64,
    logits: &[f64],
    facts: &Facts,
) {
    if score == Score::Logit {
        seed[class] += factor;
        return;
    }
    let p = probabilities(logits, facts);
    let t = f64::from(facts.temperature.unwrap_or(1.0));
    let own = p[class];
    match facts.activation.value {
        Activation::Sigmoid => seed[class] += factor * own * (1.0 - own) / t,
        Activation::Softmax => {
            for (j, (s, &p)) in seed.iter_mut().zip(&p).enumerate() {
                let same = if j == class { 1.0 } else { 0.0 };
                *s += factor * own * (same - p) / t;
            }
        }
    }
}

/// Gradient of Finer-CAM's objective.
fn finer_seed(
    seed: &mut [f64],
    logits: &[f64],
    class: usize,
    weight: f64,
    references: usize,
    plain: bool,
) {
    let (pairs, total) = finer_pairs(logits, class, references, plain);
    if pairs.is_empty() {
        seed[class] = 1.0;
        return;
    }
    let all = total + FINER_EPS;
    for &(i, p) in &pairs {
        seed[class] += p / all;
        seed[i] -= weight * p / all;
    }
    if plain {
        return;
    }
    // p moves with every logit: dp_i/dy_j = p_i (1[i=j] - p_j).
    let p = softmax(logits);
    let margin = |i: usize| logits[class] - weight * logits[i];
    let sum: f64 = pairs.iter().map(|&(i, p)| p * margin(i)).sum();
    for &(i, p_i) in &pairs {
        // d (sum / all) / d p_i
        let d = margin(i) / all - sum / (all * all);
        for (j, s) in seed.iter_mut().enumerate() {
            let same = if i == j { 1.0 } else { 0.0 };
            *s += d * p_i * (same - p[j]);
        }
    }
}

/// Softmax in double precision.
pub(super) fn softmax(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = logits.iter().map(|&z| (z - max).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.into_iter().map(|e| e / sum).collect()
}

/// The classes that Finer-CAM compares with and their weights, and the sum of those: the ranks 1 to `references`
/// of |y_i - y_c|, ascending.
fn finer_pairs(
    logits: &[f64],
    class: usize,
    references: usize,
    plain: bool,
) -> (Vec<(usize, f64)>, f64) {
    let mut order: Vec<usize> = (0..logits.len()).filter(|&i| i != class).collect();
    let distance = |i: usize| (logits[i] - logits[class]).abs();
    order.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    order.truncate(references);
    let p = softmax(logits);
    let pairs: Vec<(usize, f64)> = order
        .into_iter()
        .map(|i| (i, if plain { 1.0 } else { p[i] }))
        .collect();
    let total = pairs.iter().map(|&(_, p)| p).sum();
    (pairs, total)
}
