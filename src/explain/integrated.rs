//! Attributions along paths from a baseline: Integrated Gradients and GradientSHAP.

use std::f64::consts::PI;

use super::baseline;
use super::evidence::Places;
use super::map::Grid;
use super::masks::batch_of;
use super::pass::WalkRule;
use super::pixels::channel_sum;
use super::random;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::kernels::Purpose;
use crate::text::notice;

/// A path: the gradient is taken at `from + a (to - from)` and counts with a weight.
struct Point {
    /// Which baseline it starts from.
    baseline: usize,
    a: f64,
    weight: f64,
    /// Standard deviation and index of the noise that is added to the image.
    noise: Option<(f32, usize)>,
}

/// `sum_points weight * gradient * (A(x) - A(x'))`, by baseline.
struct Path {
    points: Vec<Point>,
    baselines: Vec<Vec<f32>>,
    seed: u64,
    done: usize,
    /// Weighted sum of gradients for each baseline, `[K, h, w]`.
    sums: Vec<Vec<f64>>,
    /// What the gradients are multiplied with for each baseline, `[K, h, w]`.
    differences: Vec<Vec<f32>>,
    grid: [usize; 2],
    /// The target's score at each baseline.
    scores: Vec<f32>,
    /// Whether the attributions should add up to the difference of the scores.
    complete: bool,
}

/// Integrated Gradients (Sundararajan et al. 2017).
pub(super) fn integrated_gradients(
    study: &mut Study<'_>,
    settings: &Settings,
) -> Result<Box<dyn Steps>> {
    let n = settings.count("steps").max(1);
    let points = rule(settings.word("rule"), n)
        .into_iter()
        .map(|(a, weight)| Point {
            baseline: 0,
            a,
            weight,
            noise: None,
        })
        .collect();
    let from = baseline::make(study, settings.word("baseline"), settings.seed());
    Path::new(study, points, vec![from], settings.seed(), true)
}

/// GradientSHAP (Lundberg and Lee 2017, as Captum has it): random points between random baselines and the image.
pub(super) fn gradient_shap(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let samples = settings.count("samples").max(1);
    let names: &[&str] = match settings.word("baseline") {
        "several" => &["zero", "black", "white", "blur"],
        name => &[name],
    };
    let baselines: Vec<Vec<f32>> = names
        .iter()
        .map(|name| baseline::make(study, name, settings.seed()))
        .collect();
    let sd = settings.number("sd") as f32;
    let points = (0..samples)
        .map(|i| {
            let mut rng = random::stream(settings.seed(), i as u64);
            let which = random::uniform(&mut rng, 0.0, baselines.len() as f32) as usize;
            Point {
                baseline: which.min(baselines.len() - 1),
                a: f64::from(random::uniform(&mut rng, 0.0, 1.0)),
                weight: 1.0 / samples as f64,
                noise: (sd > 0.0).then_some((sd, samples + i)),
            }
        })
        .collect();
    Path::new(study, points, baselines, settings.seed(), false)
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
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
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

impl Path {
    fn new(
        study: &mut Study<'_>,
        points: Vec<Point>,
        baselines: Vec<Vec<f32>>,
        seed: u64,
        complete: bool,
    ) -> Result<Box<dyn Steps>> {
        let output = study.pass.trace.output(study.node)?;
        let places = Places::of(study.model, study.node, &output)?;
        let at_image = places.read(&output, 0)?;
        let objective = study.objective();
        let (mut differences, mut scores) = (Vec::new(), Vec::new());
        for from in &baselines {
            let batch = batch_of(study, from.clone(), 1)?;
            let trace = study.model.trace(&batch, &study.job.quiet())?;
            scores.push(objective.value(&trace.logits()?, &study.model.facts));
            let there = places.read(&trace.output(study.node)?, 0)?;
            let pairs = at_image.iter().zip(there);
            differences.push(pairs.map(|(x, b)| x - b).collect());
        }
        Ok(Box::new(Self {
            sums: vec![vec![0.0; at_image.len()]; baselines.len()],
            differences,
            points,
            baselines,
            seed,
            done: 0,
            grid: places.grid,
            scores,
            complete,
        }))
    }

    fn image(&self, study: &Study<'_>, point: &Point) -> Vec<f32> {
        let from = &self.baselines[point.baseline];
        let noise = point.noise.map(|(sd, index)| {
            let mut rng = random::stream(self.seed, index as u64);
            (sd, random::normals(&mut rng, from.len()))
        });
        let a = point.a as f32;
        (0..from.len())
            .map(|i| {
                let x = study.input.values[i] + noise.as_ref().map_or(0.0, |(sd, n)| sd * n[i]);
                from[i] + a * (x - from[i])
            })
            .collect()
    }
}

impl Steps for Path {
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
        let images: Vec<f32> = points
            .iter()
            .flat_map(|point| self.image(study, point))
            .collect();
        let batch = batch_of(study, images, count)?;
        let found = study.batch_gradients(&batch, study.node, WalkRule::Gradient)?;
        if let Some(gradient) = &found.gradient {
            let places = Places::of(study.model, study.node, gradient)?;
            let read = (0..count)
                .map(|image| places.read(gradient, image))
                .collect::<Result<Vec<_>>>()?;
            for (point, gradient) in points.iter().zip(read) {
                let sum = &mut self.sums[point.baseline];
                for (s, g) in sum.iter_mut().zip(gradient) {
                    *s += point.weight * f64::from(g);
                }
            }
        }
        self.done += count;
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let [height, width] = self.grid;
        let cells = height * width;
        let mut map = vec![0f32; cells];
        for (sum, difference) in self.sums.iter().zip(&self.differences) {
            let products: Vec<f32> = sum
                .iter()
                .zip(difference)
                .map(|(s, d)| (s * f64::from(*d)) as f32)
                .collect();
            let part = channel_sum(&products, cells);
            map.iter_mut().zip(part).for_each(|(m, p)| *m += p);
        }
        if self.complete && self.done == self.points.len() {
            let sum: f64 = map.iter().map(|&v| f64::from(v)).sum();
            let from = self.scores.iter().sum::<f32>() / self.scores.len().max(1) as f32;
            study.notice(notice::completeness(sum, f64::from(study.score() - from)));
        }
        Ok(Drawn::Grid(Grid {
            width,
            height,
            values: map,
        }))
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
}
