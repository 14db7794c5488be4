//! Ablation-CAM (Desai and Ramaswamy 2020): a channel's weight is how much the target's score falls without it. The
//! network goes on from the layer, for many ablated channels at once.

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use super::channels::Channels;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::text::notice;

/// How far below the layer's smallest value pytorch-grad-cam puts an ablated channel where that is not 0.
const FAR_BELOW: f32 = 1e7;
/// Added to the score's magnitude before it divides.
const EPS: f32 = 1e-8;

struct AblationCam {
    /// Whether the score divides with its sign, as pytorch-grad-cam has it.
    signed: bool,
    /// The layer's output, `[h, w, K]`.
    output: Vec<f32>,
    /// `[K, h, w]` of it.
    dims: [usize; 3],
    /// What an ablated channel holds.
    value: f32,
    /// Channels that ablation changes; the others weigh nothing.
    channels: Vec<usize>,
    /// The target's score through the same part of the network, so that its rounding cancels, and then the scores
    /// without each of the channels.
    scores: Vec<f32>,
}

/// Ablation-CAM.
pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let output = study.pass.trace.output(study.node)?;
    let (_, k, h, w) = output.dims4()?;
    let output: Vec<f32> = output
        .get(0)?
        .permute((1, 2, 0))?
        .to_dtype(DType::F32)?
        .flatten_all()?
        .to_vec1()?;
    let signed = settings.is("mode", "pytorch-grad-cam");
    let least = output.iter().copied().fold(f32::INFINITY, f32::min);
    let value = match signed && least != 0.0 {
        true => least - FAR_BELOW,
        false => 0.0,
    };
    let differs = |k_at: &usize| output.iter().skip(*k_at).step_by(k).any(|v| *v != value);
    Ok(Box::new(AblationCam {
        signed,
        channels: (0..k).filter(differs).collect(),
        scores: Vec::new(),
        output,
        dims: [k, h, w],
        value,
    }))
}

impl AblationCam {
    /// The layer's output for some passes: as it is in the first, with one channel ablated in each of the others.
    fn batch(&self, study: &Study<'_>, passes: std::ops::Range<usize>) -> Result<Tensor> {
        let [k, h, w] = self.dims;
        let mut batch = vec![0f32; passes.len() * self.output.len()];
        let shape = (passes.len(), h, w, k);
        batch
            .par_chunks_exact_mut(self.output.len().max(1))
            .zip(passes)
            .for_each(|(image, pass)| {
                image.copy_from_slice(&self.output);
                if let Some(&channel) = pass.checked_sub(1).and_then(|at| self.channels.get(at)) {
                    let values = image.iter_mut().skip(channel).step_by(k.max(1));
                    values.for_each(|v| *v = self.value);
                }
            });
        let batch = Tensor::from_vec(batch, shape, study.model.device())?;
        Ok(batch.permute((0, 3, 1, 2))?)
    }
}

impl Steps for AblationCam {
    fn total(&self) -> usize {
        self.channels.len() + 1
    }

    fn done(&self) -> usize {
        self.scores.len()
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        study.job.check()?;
        let done = self.scores.len();
        let count = study.tail_batch_size().min(self.total() - done);
        if count == 0 {
            return Ok(());
        }
        let batch = self.batch(study, done..done + count)?;
        let job = study.job.quiet();
        let rows = study.pass.trace.resume_scores(study.node, &batch, &job)?;
        let rows: Vec<Vec<f32>> = rows.to_dtype(DType::F32)?.to_vec2()?;
        let objective = study.objective();
        let scores = rows
            .iter()
            .map(|row| objective.value(row, &study.model.facts));
        self.scores.extend(scores);
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let y = self.scores.first().copied().unwrap_or(study.score());
        let divisor = match self.signed && y != 0.0 {
            true => y,
            false => y.abs() + EPS,
        };
        if y <= 0.0 {
            study.notice(notice::ablated_score_not_positive(y, self.signed));
        }
        if self.value != 0.0 {
            study.notice(notice::ablated_far_below(self.value));
        }
        let mut weights = vec![0f32; self.dims[0]];
        let mut odd = 0;
        for (&k, &score) in self.channels.iter().zip(self.scores.iter().skip(1)) {
            let weight = (y - score) / divisor;
            if weight.is_finite() {
                weights[k] = weight;
            } else {
                odd += 1;
            }
        }
        if odd > 0 {
            study.notice(notice::scores_not_finite(odd, self.channels.len()));
        }
        Ok(Drawn::Channels(Channels::Weights(weights)))
    }
}
