//! RISE (Petsiuk et al. 2018): the mean of random masks, each weighted with the score of what it lets through.

use rand::RngExt as _;
use rayon::prelude::*;

use super::batches::{dim, images};
use super::map::Grid;
use super::objective::Objective;
use super::random;
use super::resize::{Align, Resize, range};
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::kernels::Purpose;
use crate::plan::{Score, Target};
use crate::text::notice;

struct Rise {
    objective: Objective,
    /// Cells s of a mask's grid along each axis.
    cells: usize,
    /// Probability p that a cell lets the input through.
    keep: f64,
    seed: u64,
    samples: usize,
    /// `[width, height]` of a cell in pixels.
    cell: [usize; 2],
    size: [usize; 2],
    enlarge: Resize,
    done: usize,
    /// Sum of score times mask, and of its square.
    sum: Vec<f64>,
    squares: Vec<f64>,
}

/// RISE.
pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let cells = settings.count("cells").max(1);
    let size = [study.input.width, study.input.height];
    let cell = size.map(|side| side.div_ceil(cells));
    let target = match settings.is("score", "probability") {
        true => Target {
            score: Score::Probability,
            ..study.target
        },
        false => study.target,
    };
    Ok(Box::new(Rise {
        objective: Objective::Target(target),
        cells,
        keep: settings.number("keep"),
        seed: settings.seed(),
        samples: settings.count("samples"),
        cell,
        size,
        enlarge: Resize::new(
            [cells; 2],
            cell.map(|side| (cells + 1) * side),
            Align::Centres,
        ),
        done: 0,
        sum: vec![0.0; size[0] * size[1]],
        squares: vec![0.0; size[0] * size[1]],
    }))
}

impl Rise {
    /// A grid of s x s that is 1 with probability p, enlarged to s + 1 cells and cut out at a random offset within one.
    fn mask(&self, index: usize) -> Vec<f32> {
        let mut rng = random::stream(self.seed, index as u64);
        let grid: Vec<f32> = (0..self.cells * self.cells)
            .map(|_| match rng.random::<f64>() < self.keep {
                true => 1.0,
                false => 0.0,
            })
            .collect();
        let [dx, dy] = self.cell.map(|side| rng.random_range(0..side.max(1)));
        let full = self.enlarge.run(&grid);
        let [width, height] = self.size;
        full.chunks_exact((self.cells + 1) * self.cell[0])
            .skip(dy)
            .take(height)
            .flat_map(|row| &row[dx..dx + width])
            .copied()
            .collect()
    }

    /// Standard error of the map, mean over pixels.
    fn standard_error(&self) -> f64 {
        let n = self.done.max(1) as f64;
        let pairs = self.sum.iter().zip(&self.squares);
        let total: f64 = pairs
            .map(|(sum, squares)| ((squares / n - (sum / n).powi(2)).max(0.0) / n).sqrt())
            .sum();
        total / self.sum.len().max(1) as f64 / self.keep
    }
}

impl Steps for Rise {
    fn total(&self) -> usize {
        self.samples
    }

    fn done(&self) -> usize {
        self.done
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        study.job.check()?;
        let count = study
            .batch_size(Purpose::Scores)
            .min(self.samples - self.done);
        let masks: Vec<Vec<f32>> = (self.done..self.done + count)
            .into_par_iter()
            .map(|index| self.mask(index))
            .collect();
        let x = &study.input.values;
        let batch = images(study, count, |i, image| dim(image, x, &masks[i]))?;
        let rows = study.logits(&batch)?;
        for (mask, row) in masks.iter().zip(&rows) {
            let score = f64::from(self.objective.value(row, &study.model.facts));
            let places = self.sum.iter_mut().zip(&mut self.squares).zip(mask);
            for ((sum, squares), &m) in places {
                let v = score * f64::from(m);
                *sum += v;
                *squares += v * v;
            }
        }
        self.done += rows.len();
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let scale = 1.0 / (self.done.max(1) as f64 * self.keep);
        let values: Vec<f32> = self.sum.iter().map(|sum| (sum * scale) as f32).collect();
        if self.done >= self.samples {
            let (lo, hi) = range(&values);
            let error = self.standard_error() as f32;
            study.notice(notice::sampling_error(self.samples, error, hi - lo));
        }
        Ok(Drawn::Grid(Grid {
            width: self.size[0],
            height: self.size[1],
            values,
        }))
    }
}
