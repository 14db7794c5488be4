//! Poly-CAM (Englebert et al. 2022): masked scores at several layers, joined from the deepest to the shallowest.

use super::map::Grid;
use super::masks::masked;
use super::objective::Objective;
use super::resize::{self, Align, Resize};
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::kernels::Purpose;
use crate::plan::{Score, Target};

/// Smallest divisor.
const EPS: f32 = 1e-12;

/// One layer: its normalised channels, and how the target's probability answers to each of them.
struct Level {
    size: [usize; 2],
    activations: Vec<f32>,
    weights: Vec<f32>,
}

struct PolyCam {
    mode: Mode,
    /// From the deepest layer to the shallowest.
    levels: Vec<Level>,
    /// Probability of the unchanged input.
    base: f32,
    target: Objective,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Plus,
    Minus,
    Both,
}

pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let mut levels = Vec::new();
    for layer in super::options::stages_up_to(study)? {
        let evidence = study.evidence_of(&layer, None)?;
        let mut activations = evidence.activations.clone();
        for channel in activations.chunks_exact_mut(evidence.cells().max(1)) {
            spread(channel);
        }
        levels.push(Level {
            size: [evidence.width, evidence.height],
            activations,
            weights: Vec::new(),
        });
    }
    levels.reverse();
    let target = Objective::Target(Target {
        score: Score::Probability,
        ..study.target
    });
    Ok(Box::new(PolyCam {
        mode: match settings.word("mode") {
            "-" => Mode::Minus,
            "+-" => Mode::Both,
            _ => Mode::Plus,
        },
        levels,
        base: target.value(&study.pass.logits, &study.model.facts),
        target,
    }))
}

/// `clip((A - P0.1) / P99.9 of that, 0, 1)`: robust against single cells.
fn spread(channel: &mut [f32]) {
    let low = percentile(channel, 0.001);
    channel.iter_mut().for_each(|a| *a -= low);
    let high = percentile(channel, 0.999).max(EPS);
    channel
        .iter_mut()
        .for_each(|a| *a = (*a / high).clamp(0.0, 1.0));
}

/// Between ranks as numpy's `percentile` does.
fn percentile(values: &[f32], share: f64) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = share * sorted.len().saturating_sub(1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    match (sorted.get(low), sorted.get(high)) {
        (Some(&a), Some(&b)) => a + (b - a) * (at - low as f64) as f32,
        _ => 0.0,
    }
}

impl PolyCam {
    /// The level that is being scored.
    fn open(&self) -> Option<usize> {
        let channels = |l: &Level| l.activations.len() / (l.size[0] * l.size[1]).max(1);
        self.levels
            .iter()
            .position(|l| l.weights.len() < channels(l))
    }
}

impl Steps for PolyCam {
    fn total(&self) -> usize {
        let channels = |l: &Level| l.activations.len() / (l.size[0] * l.size[1]).max(1);
        self.levels.iter().map(channels).sum()
    }

    fn done(&self) -> usize {
        self.levels.iter().map(|l| l.weights.len()).sum()
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        let Some(at) = self.open() else {
            return Ok(());
        };
        let level = &self.levels[at];
        let cells = (level.size[0] * level.size[1]).max(1);
        let to = [study.input.width, study.input.height];
        let from = level.weights.len();
        let share = if self.mode == Mode::Both { 2 } else { 1 };
        let count = (study.batch_size(Purpose::Scores) / share)
            .max(1)
            .min(level.activations.len() / cells - from);
        let planes = &level.activations[from * cells..(from + count) * cells];
        let mut all = Resize::new(level.size, to, Align::Centres).run_all(planes, cells);
        let inverse: Vec<Vec<f32>> = if self.mode == Mode::Plus {
            Vec::new()
        } else {
            let turned = |m: &Vec<f32>| m.iter().map(|v| 1.0 - v).collect();
            all.iter().map(turned).collect()
        };
        if self.mode == Mode::Minus {
            all.clear();
        }
        all.extend(inverse);
        let scores: Vec<f32> = study
            .logits(&masked(study, &all)?)?
            .iter()
            .map(|row| self.target.value(row, &study.model.facts))
            .collect();
        let base = self.base;
        let weights: Vec<f32> = match self.mode {
            Mode::Plus => scores,
            Mode::Minus => scores.iter().map(|s| (base - s).max(0.0)).collect(),
            Mode::Both => {
                let (plus, minus) = scores.split_at(count);
                let pairs = plus.iter().zip(minus);
                pairs.map(|(p, m)| (p + base - m).max(0.0)).collect()
            }
        };
        self.levels[at].weights.extend(weights);
        Ok(())
    }

    fn drawn(&self, _: &mut Study<'_>) -> Result<Drawn> {
        let mut joined: Option<(Vec<f32>, [usize; 2])> = None;
        for level in self.levels.iter().filter(|l| !l.weights.is_empty()) {
            let cells = (level.size[0] * level.size[1]).max(1);
            let mut map = vec![0f32; cells];
            for (channel, w) in level.activations.chunks_exact(cells).zip(&level.weights) {
                map.iter_mut().zip(channel).for_each(|(m, a)| *m += w * a);
            }
            map.iter_mut().for_each(|m| *m = m.max(0.0));
            if let Some((deeper, size)) = joined {
                let coarse = resize::up(&map, level.size, size);
                let local = resize::up(&coarse, size, level.size);
                let wide = resize::up(&deeper, size, level.size);
                for ((m, l), p) in map.iter_mut().zip(local).zip(wide) {
                    *m = (*m / l.max(EPS) * p).max(0.0);
                }
            }
            joined = Some((map, level.size));
        }
        let (values, [width, height]) = joined.unwrap_or((vec![0.0], [1, 1]));
        Ok(Drawn::Grid(Grid {
            width,
            height,
            values,
        }))
    }
}
