//! Kernel SHAP (Lundberg and Lee 2017) over superpixels: Shapley values of the pieces by weighted least squares on the
//! scores of inputs of which some pieces are hidden.
//!
//! The values add up to `y(x) - y(baseline)` exactly: the regression is solved under that constraint, not with two
//! heavily weighted rows.

use nalgebra::{DMatrix, DVector};
use rand::RngExt as _;

use super::baseline;
use super::batches::{blend, images};
use super::map::Grid;
use super::random;
use super::settings::Settings;
use super::study::Study;
use super::superpixels::{self, Segments};
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::kernels::Purpose;
use crate::text::notice;

/// Coalitions beyond twice the number of pieces, unless a number is given.
const MORE_SAMPLES: usize = 512;
/// Largest number of pieces of which all coalitions could be listed.
const MOST_LISTED: usize = 20;

struct KernelShap {
    segments: Segments,
    hidden: Vec<f32>,
    seed: u64,
    /// Coalitions, without the empty and the full one.
    samples: usize,
    /// Whether they are all that there are.
    all: bool,
    /// Passes that are done; the first is the baseline's.
    done: usize,
    /// Score of the baseline.
    base: f64,
    /// Normal equations of the regression, of all pieces but the last.
    squares: DMatrix<f64>,
    right: DVector<f64>,
}

/// Coalitions that are scored for `pieces`.
pub(super) fn coalitions(pieces: usize, settings: &Settings) -> usize {
    let wanted = match settings.count("samples") {
        0 => 2 * pieces + MORE_SAMPLES,
        some => some,
    };
    match all_coalitions(pieces) {
        Some(all) => all.min(wanted),
        None => wanted,
    }
}

fn all_coalitions(pieces: usize) -> Option<usize> {
    (pieces <= MOST_LISTED).then(|| (1usize << pieces).saturating_sub(2))
}

/// Kernel SHAP.
pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let size = [study.input.width, study.input.height];
    let wanted = settings.count("segments").max(1);
    let segments = match settings.is("pieces", "slic") {
        true => {
            let pixels = size[0] * size[1];
            let mut grey = vec![0f32; pixels];
            for plane in study.input.values.chunks_exact(pixels.max(1)) {
                grey.iter_mut().zip(plane).for_each(|(g, v)| *g += v);
            }
            superpixels::slic(&grey, size, wanted)
        }
        false => superpixels::grid(size, wanted),
    };
    let samples = coalitions(segments.count, settings);
    let free = segments.count.saturating_sub(1);
    Ok(Box::new(KernelShap {
        hidden: baseline::make(study, settings.word("baseline"), 0),
        seed: settings.seed(),
        samples,
        all: all_coalitions(segments.count) == Some(samples),
        done: 0,
        base: 0.0,
        squares: DMatrix::zeros(free, free),
        right: DVector::zeros(free),
        segments,
    }))
}

impl KernelShap {
    /// Which pieces are shown in a coalition, and its weight in the regression.
    fn coalition(&self, index: usize) -> (Vec<bool>, f64) {
        let pieces = self.segments.count;
        if self.all {
            // Bits of 1, 2, ...; neither empty nor full.
            let shown: Vec<bool> = (0..pieces).map(|i| (index + 1) >> i & 1 == 1).collect();
            let k = shown.iter().filter(|s| **s).count();
            return (shown, kernel(pieces, k));
        }
        // Sizes are drawn with the kernel's share, so that every coalition weighs the same; each comes with
        // its complement, which cancels much of the noise.
        let mut rng = random::stream(self.seed, (index / 2) as u64);
        let share = |k: usize| 1.0 / (k as f64 * (pieces - k) as f64);
        let total: f64 = (1..pieces).map(share).sum();
        let mut left = rng.random::<f64>() * total;
        let mut k = 1;
        while k + 1 < pieces && left >= share(k) {
            left -= share(k);
            k += 1;
        }
        let mut order: Vec<usize> = (0..pieces).collect();
        for at in 0..k {
            let other = rng.random_range(at..pieces);
            order.swap(at, other);
        }
        let complement = index % 2 == 1;
        let mut shown = vec![complement; pieces];
        for &piece in &order[..k] {
            shown[piece] = !complement;
        }
        (shown, 1.0)
    }

    /// Adds a coalition's score to the regression. With z the pieces that are shown and the last value replaced by the
    /// constraint, `sum_i (z_i - z_M) phi_i = y(z) - y(baseline) - z_M (y(x) - y(baseline))`.
    fn add(&mut self, shown: &[bool], weight: f64, score: f64, whole: f64) {
        let bit = |s: bool| if s { 1.0 } else { 0.0 };
        let last = bit(shown.last().copied().unwrap_or(false));
        let row = DVector::from_iterator(
            self.right.len(),
            shown.iter().take(self.right.len()).map(|&s| bit(s) - last),
        );
        let y = score - self.base - last * whole;
        self.squares.ger(weight, &row, &row, 1.0);
        self.right.axpy(weight * y, &row, 1.0);
    }

    /// The Shapley values as they stand.
    fn values(&self, whole: f64) -> Vec<f64> {
        let free = self.right.len();
        let trace = self.squares.trace();
        let mut phi = match (trace > 0.0).then(|| self.solve(trace / free as f64)) {
            Some(Some(solved)) => solved.iter().copied().collect(),
            // Nothing is known yet: all pieces alike.
            _ => vec![whole / self.segments.count.max(1) as f64; free],
        };
        phi.push(whole - phi.iter().sum::<f64>());
        phi
    }

    fn solve(&self, scale: f64) -> Option<DVector<f64>> {
        // While there are too few coalitions a little of the identity picks one solution.
        [1e-12, 1e-6, 1e-3].into_iter().find_map(|share| {
            let mut squares = self.squares.clone();
            for i in 0..squares.nrows() {
                squares[(i, i)] += share * scale;
            }
            let solved = squares.cholesky()?.solve(&self.right);
            solved.iter().all(|v| v.is_finite()).then_some(solved)
        })
    }
}

/// The Shapley kernel: `(M - 1) / (C(M, k) k (M - k))`.
fn kernel(pieces: usize, k: usize) -> f64 {
    let choose: f64 = (0..k)
        .map(|i| (pieces - i) as f64 / (i + 1) as f64)
        .product();
    (pieces - 1) as f64 / (choose * k as f64 * (pieces - k) as f64)
}

impl Steps for KernelShap {
    fn total(&self) -> usize {
        self.samples + 1
    }

    fn done(&self) -> usize {
        self.done
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        study.job.check()?;
        let count = study
            .batch_size(Purpose::Scores)
            .min(self.total() - self.done);
        let nothing = || (vec![false; self.segments.count], 0.0);
        let batch: Vec<(Vec<bool>, f64)> = (self.done..self.done + count)
            .map(|pass| match pass.checked_sub(1) {
                None => nothing(),
                Some(index) => self.coalition(index),
            })
            .collect();
        let x = &study.input.values;
        let tensor = images(study, count, |i, image| {
            let shown = &batch[i].0;
            let labels = self.segments.labels.iter();
            let mask: Vec<f32> = labels
                .map(|&label| if shown[label] { 1.0 } else { 0.0 })
                .collect();
            blend(image, x, &self.hidden, &mask);
        })?;
        let scores = study.scores(&tensor)?;
        let y = f64::from(study.score());
        for ((shown, weight), score) in batch.into_iter().zip(scores) {
            if self.done == 0 {
                self.base = f64::from(score);
            } else {
                self.add(&shown, weight, f64::from(score), y - self.base);
            }
            self.done += 1;
        }
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let whole = f64::from(study.score()) - self.base;
        let phi = match self.done {
            0 => vec![0.0; self.segments.count],
            _ => self.values(whole),
        };
        let mut areas = vec![0usize; self.segments.count];
        for &label in &self.segments.labels {
            areas[label] += 1;
        }
        if self.done >= self.total() {
            let pieces = self.segments.count;
            study.notice(notice::shapley_values(
                pieces,
                self.samples,
                self.all,
                whole as f32,
            ));
        }
        let labels = self.segments.labels.iter();
        Ok(Drawn::Grid(Grid {
            width: study.input.width,
            height: study.input.height,
            values: labels
                .map(|&label| (phi[label] / areas[label].max(1) as f64) as f32)
                .collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A regression that is fed with a game of its own.
    fn shap(pieces: usize, samples: usize, game: impl Fn(&[bool]) -> f64) -> Vec<f64> {
        let all = all_coalitions(pieces).is_some_and(|all| all <= samples);
        let mut shap = KernelShap {
            segments: Segments {
                labels: (0..pieces).collect(),
                count: pieces,
            },
            hidden: Vec::new(),
            seed: 0,
            samples: all_coalitions(pieces).filter(|_| all).unwrap_or(samples),
            all,
            done: 0,
            base: game(&vec![false; pieces]),
            squares: DMatrix::zeros(pieces - 1, pieces - 1),
            right: DVector::zeros(pieces - 1),
        };
        let whole = game(&vec![true; pieces]) - shap.base;
        for index in 0..shap.samples {
            let (shown, weight) = shap.coalition(index);
            assert!(shown.iter().any(|s| *s) && !shown.iter().all(|s| *s));
            shap.add(&shown, weight, game(&shown), whole);
        }
        let phi = shap.values(whole);
        assert!((phi.iter().sum::<f64>() - whole).abs() < 1e-9);
        phi
    }

    #[test]
    fn all_coalitions_give_shapleys_values() {
        // 3 z0 + 2 z1 z2 + 1: phi = 3, 1, 1, 0.
        let bit = |s: bool| if s { 1.0 } else { 0.0 };
        let phi = shap(4, 1000, |z| {
            3.0 * bit(z[0]) + 2.0 * bit(z[1]) * bit(z[2]) + 1.0
        });
        for (phi, expected) in phi.iter().zip([3.0, 1.0, 1.0, 0.0]) {
            assert!((phi - expected).abs() < 1e-6, "{phi} for {expected}");
        }
    }

    #[test]
    fn samples_give_an_additive_game_exactly_and_others_nearly() {
        let phi = shap(30, 600, |z| {
            z.iter()
                .enumerate()
                .map(|(i, s)| if *s { i as f64 } else { 0.0 })
                .sum()
        });
        for (i, phi) in phi.iter().enumerate() {
            assert!((phi - i as f64).abs() < 1e-6, "{phi} for {i}");
        }
        let phi = shap(30, 2000, |z| {
            z.chunks_exact(2).filter(|pair| pair[0] && pair[1]).count() as f64
        });
        for phi in phi {
            assert!((phi - 0.5).abs() < 0.1, "{phi}");
        }
    }
}
