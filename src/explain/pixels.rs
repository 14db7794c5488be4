//! Gradients at the input, or at any layer: saliency, input times gradient, SmoothGrad.

use super::evidence::Places;
use super::map::Grid;
use super::masks;
use super::pass::WalkRule;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::graph::NodeId;
use crate::model::kernels::Purpose;
use crate::text::fault;

/// Saliency (Simonyan et al. 2013): the largest magnitude of the gradient among channels.
pub(super) fn saliency(study: &mut Study<'_>, _: &Settings) -> Result<Drawn> {
    let (gradient, [height, width]) = gradient(study, study.node, WalkRule::Gradient)?;
    let values = channel_max(&gradient, height * width);
    Ok(Drawn::Grid(Grid {
        width,
        height,
        values,
    }))
}

/// Input times gradient: `sum_ch x * dy/dx`.
pub(super) fn input_x_gradient(study: &mut Study<'_>, _: &Settings) -> Result<Drawn> {
    let evidence = study.evidence(true)?;
    let pairs = evidence.activations.iter().zip(evidence.gradients()?);
    let products: Vec<f32> = pairs.map(|(a, g)| a * g).collect();
    let map = channel_sum(&products, evidence.cells());
    Ok(Drawn::Grid(Grid::of(map, &evidence)))
}

/// What a walk leaves at a node, `[K, h, w]`, and `[h, w]`.
pub(super) fn gradient(
    study: &mut Study<'_>,
    node: NodeId,
    rule: WalkRule,
) -> Result<(Vec<f32>, [usize; 2])> {
    let objective = study.objective();
    let found = study
        .pass
        .gradient(study.model, &objective, rule, node, study.job)?;
    let Some(found) = found else {
        return Err(fault::no_gradient(&study.layer));
    };
    let places = Places::of(study.model, node, &found)?;
    Ok((places.read(&found, 0)?, places.grid))
}

/// Sum over channels in double precision.
pub(super) fn channel_sum(values: &[f32], cells: usize) -> Vec<f32> {
    let mut sum = vec![0f64; cells];
    for channel in values.chunks_exact(cells.max(1)) {
        sum.iter_mut()
            .zip(channel)
            .for_each(|(s, v)| *s += f64::from(*v));
    }
    sum.into_iter().map(|s| s as f32).collect()
}

fn channel_max(values: &[f32], cells: usize) -> Vec<f32> {
    let mut most = vec![0f32; cells];
    for channel in values.chunks_exact(cells.max(1)) {
        most.iter_mut()
            .zip(channel)
            .for_each(|(m, v)| *m = m.max(v.abs()));
    }
    most
}

/// SmoothGrad (Smilkov et al. 2017): the mean gradient over noisy copies of the input.
struct SmoothGrad {
    samples: usize,
    sd: f32,
    seed: u64,
    squared: bool,
    done: usize,
    /// Sum of gradients, or of their squares, `[K, h, w]`.
    sum: Vec<f64>,
    grid: [usize; 2],
    magnitude: bool,
}

pub(super) fn smooth_grad(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let output = study.pass.trace.output(study.node)?;
    let (lo, hi) = super::resize::range(&study.input.values);
    Ok(Box::new(SmoothGrad {
        samples: settings.count("samples"),
        sd: settings.number("noise") as f32 * (hi - lo),
        seed: settings.seed(),
        squared: settings.is("mode", "squared"),
        magnitude: settings.is("mode", "magnitude"),
        done: 0,
        sum: vec![0.0; output.elem_count()],
        grid: Places::of(study.model, study.node, &output)?.grid,
    }))
}

impl Steps for SmoothGrad {
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
                let squared = self.squared;
                self.sum.resize(image.len(), 0.0);
                self.sum.iter_mut().zip(image).for_each(|(s, g)| {
                    let g = f64::from(g);
                    *s += if squared { g * g } else { g };
                });
            }
        }
        self.done += count;
        Ok(())
    }

    fn drawn(&self, _: &mut Study<'_>) -> Result<Drawn> {
        let n = self.done.max(1) as f64;
        let mean: Vec<f32> = self.sum.iter().map(|s| (s / n) as f32).collect();
        let [height, width] = self.grid;
        let values = if self.magnitude {
            channel_max(&mean, height * width)
        } else {
            channel_sum(&mean, height * width)
        };
        Ok(Drawn::Grid(Grid {
            width,
            height,
            values,
        }))
    }
}
