//! Integrated Gradients (Sundararajan et al. 2017): gradients along the straight line from a baseline.
//!
//! At the input x' and x are the baseline and the image. At another layer they are what that layer makes of the two,
//! and the pass goes on from the points between (Captum's `LayerIntegratedGradients`).

use std::f64::consts::PI;
use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::baseline;
use super::evidence::Places;
use super::map::Grid;
use super::masks::batch_of;
use super::pass::WalkRule;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::backward::{Gradient, Taps};
use crate::model::graph::NodeId;
use crate::model::kernels::Purpose;
use crate::model::op::Op;
use crate::text::notice;

struct Integrated {
    /// Place on the line and weight, in the order in which they are visited.
    points: Vec<(f64, f64)>,
    /// Where the passes go on from: the layer, or where the input's affine beginning ends. What stands there is on a
    /// straight line too, and its gradients are added up before they are taken back through what is the same for all
    /// points.
    at: NodeId,
    /// x' there, and x - x', pixel by pixel: `[h, w, K]`.
    line: [Vec<f32>; 2],
    /// x - x' at the layer, `[K, h, w]`.
    difference: Vec<f32>,
    /// The target's score with x' in the place of x.
    baseline_score: f32,
    done: usize,
    /// Weighted sum of the gradients at `at`, `[1, K, h, w]`; `None` where none arrived.
    sum: Option<Tensor>,
    grid: [usize; 2],
}

pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let job = study.job.quiet();
    let image = baseline::make(study, settings.word("baseline"), settings.seed());
    let image = batch_of(study, image, 1)?;
    let baseline = study.model.trace(&image, &job)?;
    let at = match study.node {
        0 => study.model.graph.affine_stem(),
        node => node,
    };
    let (from, to) = (baseline.output(at)?, study.pass.trace.output(at)?);
    // At a layer the score is that of a pass that has x' only there; what goes past the layer stays.
    let logits = study.pass.trace.resume_scores(at, &from, &job)?;
    let logits: Vec<Vec<f32>> = logits.to_vec2()?;
    let layer = study.pass.trace.output(study.node)?;
    let places = Places::of(study.model, study.node, &layer)?;
    let difference = (&layer - &baseline.output(study.node)?)?;
    let logits = logits.first().map_or(&[][..], Vec::as_slice);
    Ok(Box::new(Integrated {
        points: spread(&rule(settings.word("rule"), settings.count("steps").max(1))),
        at,
        line: line(&from, &to)?,
        difference: places.read(&difference, 0)?,
        baseline_score: study.objective().value(logits, &study.model.facts),
        done: 0,
        sum: None,
        grid: places.grid,
    }))
}

/// The beginning of a line between two tensors `[1, K, h, w]` and its direction, both `[h, w, K]`.
fn line(from: &Tensor, to: &Tensor) -> Result<[Vec<f32>; 2]> {
    let pixels =
        |x: &Tensor| -> Result<Vec<f32>> { Ok(x.permute((0, 2, 3, 1))?.flatten_all()?.to_vec1()?) };
    let (from, mut to) = (pixels(from)?, pixels(to)?);
    for (to, from) in to.iter_mut().zip(&from) {
        *to -= from;
    }
    Ok([from, to])
}

/// The same points in an order in which the first few already lie all along the line, so that a map that is not
/// finished yet is a coarse one and not one of the beginning.
fn spread(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let n = points.len();
    // About the golden ratio of n, and without a common divisor: every point comes once.
    let divisor = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let near = (n as f64 * 0.618).round() as usize;
    let stride = (near.max(1)..=n).find(|&s| divisor(s, n) == 1);
    let stride = stride.unwrap_or(1);
    let at = (0..n).map(|i| i * stride % n);
    at.filter_map(|i| points.get(i).copied()).collect()
}

/// Points in 0..1 and their weights, as Captum chooses them.
fn rule(name: &str, n: usize) -> Vec<(f64, f64)> {
    let w = 1.0 / n as f64;
    match name {
        // Captum's weights add up to (n - 1) / n: its result is low by that much.
        "riemann-trapezoid" => (0..n)
            .map(|i| {
                let half = if i == 0 || i + 1 == n { 0.5 } else { 1.0 };
                (i as f64 / (n - 1).max(1) as f64, w * half)
            })
            .collect(),
        "riemann-middle" => (0..n).map(|i| ((i as f64 + 0.5) * w, w)).collect(),
        _ => gauss_legendre(n),
    }
}

/// Nodes and weights of Gauss and Legendre on 0..1, by Newton's method on the Legendre polynomial.
pub(super) fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    (0..n)
        .rev()
        .map(|i| {
            let mut t = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut p0, mut p1) = (1.0, t);
                for k in 2..=n {
                    let k = k as f64;
                    (p0, p1) = (p1, ((2.0 * k - 1.0) * t * p1 - (k - 1.0) * p0) / k);
                }
                if n == 1 {
                    (p0, p1) = (1.0, t);
                }
                slope = n as f64 * (t * p1 - p0) / (t * t - 1.0);
                let step = p1 / slope;
                t -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            (0.5 * (1.0 + t), 1.0 / ((1.0 - t * t) * slope * slope))
        })
        .collect()
}

impl Integrated {
    /// What stands on the line at the given points, `[N, K, h, w]`.
    fn batch(&self, study: &Study<'_>, points: &[(f64, f64)]) -> Result<Tensor> {
        let [from, difference] = &self.line;
        let mut values = vec![0f32; from.len() * points.len()];
        for ((a, _), values) in points
            .iter()
            .zip(values.chunks_exact_mut(from.len().max(1)))
        {
            let a = *a as f32;
            let ends = from.par_iter().zip(difference.par_iter());
            values
                .par_iter_mut()
                .zip(ends)
                .with_min_len(16 * 1024)
                .for_each(|(value, (from, difference))| *value = from + a * difference);
        }
        let (_, k, h, w) = study.pass.trace.output(self.at)?.dims4()?;
        let batch = Tensor::from_vec(values, (points.len(), h, w, k), study.model.device())?;
        Ok(batch.permute((0, 3, 1, 2))?)
    }

    /// Gradients on the line for some points, each times its weight.
    fn gradients(&self, study: &Study<'_>, points: &[(f64, f64)]) -> Result<Option<Tensor>> {
        let job = study.job.quiet();
        let batch = self.batch(study, points)?;
        let trace = study.pass.trace.resume(self.at, &batch, &job)?;
        let logits: Vec<Vec<f32>> = trace.output(study.model.graph.output())?.to_vec2()?;
        let objective = study.objective();
        let mut seeds = Vec::new();
        for (row, (_, weight)) in logits.iter().zip(points) {
            let seed = objective.seed(row, &study.model.facts);
            seeds.extend(seed.iter().map(|s| s * *weight as f32));
        }
        let classes = seeds.len() / logits.len().max(1);
        let seed = Tensor::from_vec(seeds, (logits.len(), classes), study.model.device())?;
        let mut taps = WalkRule::Gradient.start(&trace, seed);
        taps.keep_only(&[self.at]);
        taps.at(&trace, self.at, &job)
    }

    /// The sum of gradients at the layer, `[1, K, h, w]`.
    fn sum_at_layer(&self, study: &Study<'_>) -> Result<Option<Tensor>> {
        match &self.sum {
            Some(sum) if self.at != study.node => {
                let (trace, rule) = (&study.pass.trace, Arc::new(Gradient));
                let mut taps = Taps::start_at(trace, self.at, sum.clone(), rule);
                taps.at(trace, study.node, &study.job.quiet())
            }
            sum => Ok(sum.clone()),
        }
    }
}

impl Steps for Integrated {
    fn total(&self) -> usize {
        self.points.len()
    }

    fn done(&self) -> usize {
        self.done
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        let count = study
            .batch_size(Purpose::Trace)
            .min(self.points.len() - self.done);
        let points = &self.points[self.done..self.done + count];
        if let Some(gradients) = self.gradients(study, points)? {
            let kernels = study.model.kernels();
            let mut sum = self.sum.clone();
            for image in 0..count {
                let image = gradients.narrow(0, image, 1)?;
                sum = Some(match sum {
                    Some(sum) => kernels.apply(&Op::Add, &[&sum, &image])?,
                    None => image,
                });
            }
            self.sum = sum;
        }
        self.done += count;
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let weight = |points: &[(f64, f64)]| points.iter().map(|(_, w)| w).sum::<f64>();
        let mut factor = 1.0;
        let mut map = vec![0f64; self.grid[0] * self.grid[1]];
        if let Some(gradients) = self.sum_at_layer(study)? {
            let places = Places::of(study.model, study.node, &gradients)?;
            let gradients = places.read(&gradients, 0)?;
            add_products(&mut map, &gradients, &self.difference);
        }
        if self.done == self.points.len() {
            let sum = map.iter().sum();
            let expected = f64::from(study.score()) - f64::from(self.baseline_score);
            study.notice(notice::completeness(sum, expected));
        } else if self.done > 0 {
            factor =
                weight(&self.points) / weight(&self.points[..self.done]).max(f64::MIN_POSITIVE);
        }
        Ok(Drawn::Grid(Grid {
            width: self.grid[1],
            height: self.grid[0],
            values: map.iter().map(|s| (s * factor) as f32).collect(),
        }))
    }
}

/// Adds `sum_k g_k d_k` for gradients and differences `[K, h, w]`.
pub(super) fn add_products(sum: &mut [f64], gradients: &[f32], differences: &[f32]) {
    let cells = sum.len().max(1);
    let channels = gradients
        .chunks_exact(cells)
        .zip(differences.chunks_exact(cells));
    for (g, d) in channels {
        for ((s, g), d) in sum.iter_mut().zip(g).zip(d) {
            *s += f64::from(*g) * f64::from(*d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauss_legendre_is_exact_for_polynomials() {
        for n in [1, 2, 5, 50] {
            let points = gauss_legendre(n);
            for power in 0..(2 * n).min(20) {
                let sum: f64 = points.iter().map(|(a, w)| w * a.powi(power as i32)).sum();
                let exact = 1.0 / (power as f64 + 1.0);
                assert!((sum - exact).abs() < 1e-13, "{n} {power}: {sum}");
            }
            assert!(points.windows(2).all(|p| p[0].0 < p[1].0));
        }
    }

    #[test]
    fn the_other_rules_are_captums() {
        let trapezoid = rule("riemann-trapezoid", 5);
        assert_eq!(trapezoid[0], (0.0, 0.1));
        assert_eq!(trapezoid[2], (0.5, 0.2));
        assert_eq!(trapezoid[4], (1.0, 0.1));
        assert_eq!(rule("riemann-middle", 2), [(0.25, 0.5), (0.75, 0.5)]);
    }

    #[test]
    fn every_point_is_visited_once_and_the_first_ones_lie_apart() {
        for n in 1..60 {
            let mut places: Vec<f64> = spread(&rule("riemann-middle", n))
                .iter()
                .map(|p| p.0)
                .collect();
            if n > 4 {
                assert!((places[0] - places[1]).abs() > 0.2, "{n}");
            }
            places.sort_by(f64::total_cmp);
            let expected: Vec<f64> = rule("riemann-middle", n).iter().map(|p| p.0).collect();
            assert_eq!(places, expected);
        }
    }
}
