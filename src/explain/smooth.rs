//! Smooth Grad-CAM++ (Omeiza et al. 2019): Grad-CAM++ with gradients averaged over noisy inputs.

use super::channels::Channels;
use super::evidence::Places;
use super::masks;
use super::pass::WalkRule;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::kernels::Purpose;

/// torchcam's constant in the denominator.
const EPS: f64 = 1e-8;

struct SmoothGradCamPp {
    samples: usize,
    sd: f32,
    seed: u64,
    done: usize,
    /// Sums of G, G^2 and G^3 over the noisy inputs, `[K, h, w]` each.
    sums: [Vec<f64>; 3],
}

pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let elements = study.evidence(false)?.activations.len();
    Ok(Box::new(SmoothGradCamPp {
        samples: settings.count("samples"),
        sd: settings.number("sd") as f32,
        seed: settings.seed(),
        done: 0,
        sums: [0, 1, 2].map(|_| vec![0.0; elements]),
    }))
}

impl Steps for SmoothGradCamPp {
    fn total(&self) -> usize {
        self.samples
    }

    fn done(&self) -> usize {
        self.done
    }

    fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        let count = study
            .batch_size(Purpose::Sample)
            .min(self.samples - self.done);
        let batch = masks::noisy(study, self.seed, self.sd, self.done..self.done + count)?;
        let found = study.batch_gradients(&batch, study.node, WalkRule::Gradient)?;
        if let Some(gradient) = &found.gradient {
            let places = Places::of(study.model, study.node, gradient)?;
            let images = (0..count)
                .map(|image| places.read(gradient, image))
                .collect::<Result<Vec<_>>>()?;
            for image in images {
                for (i, g) in image.into_iter().enumerate() {
                    let g = f64::from(g);
                    self.sums[0][i] += g;
                    self.sums[1][i] += g * g;
                    self.sums[2][i] += g * g * g;
                }
            }
        }
        self.done += count;
        Ok(())
    }

    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn> {
        let evidence = study.evidence(false)?;
        let cells = evidence.cells().max(1);
        let n = self.done.max(1) as f64;
        let [g1, g2, g3] = &self.sums;
        let weights = evidence
            .activations
            .chunks_exact(cells)
            .enumerate()
            .map(|(k, a)| {
                let at = k * cells..(k + 1) * cells;
                let [g1, g2, g3] = [&g1[at.clone()], &g2[at.clone()], &g3[at]];
                let sum: f64 = a.iter().zip(g3).map(|(&a, g)| f64::from(a) * g / n).sum();
                let terms = g1.iter().zip(g2).map(|(g1, g2)| {
                    let alpha = (g2 / n) / (2.0 * g2 / n + sum + EPS);
                    alpha * (g1 / n).max(0.0)
                });
                terms.sum::<f64>() as f32
            });
        Ok(Drawn::Channels(Channels::Weights(weights.collect())))
    }
}
