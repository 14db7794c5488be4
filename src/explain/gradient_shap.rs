//! GradientSHAP (Lundberg and Lee 2017, as Captum has it): gradients at random points between random baselines and
//! the image, also known as expected gradients.

use candle_core::Tensor;

use super::baseline;
use super::evidence::Places;
use super::integrated::add_products;
use super::map::Grid;
use super::masks::batch_of;
use super::pass::WalkRule;
use super::random;
use super::settings::Settings;
use super::study::Study;
use super::task::{Drawn, Steps};
use crate::error::Result;
use crate::model::kernels::Purpose;

struct GradientShap {
    samples: usize,
    sd: f32,
    seed: u64,
    done: usize,
    /// Sum of products over samples, `[h, w]`.
    sum: Vec<f64>,
    grid: [usize; 2],
    baselines: Vec<Start>,
}

/// Where lines to the image begin.
struct Start {
    /// `[C, H, W]`.
    image: Vec<f32>,
    /// What the layer makes of it, `[K, h, w]`.
    at_layer: Vec<f32>,
}

/// What is drawn for one sample.
struct Sample {
    baseline: usize,
    /// The image with its noise, `[C, H, W]`.
    end: Vec<f32>,
    /// The point where the gradient is taken.
    point: Vec<f32>,
}

pub(super) fn begin(study: &mut Study<'_>, settings: &Settings) -> Result<Box<dyn Steps>> {
    let output = study.pass.trace.output(study.node)?;
    let places = Places::of(study.model, study.node, &output)?;
    let names: &[&str] = match settings.word("baseline") {
        "several" => &["zero", "black", "white", "blur"],
        name => &[name],
    };
    let baselines = names
        .iter()
        .map(|name| {
            let image = baseline::make(study, name, settings.seed());
            let at_layer = match study.node {
                0 => image.clone(),
                node => {
                    let batch = batch_of(study, image.clone(), 1)?;
                    let trace = study.model.trace(&batch, &study.job.quiet())?;
                    places.read(&trace.output(node)?, 0)?
                }
            };
            Ok(Start { image, at_layer })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Box::new(GradientShap {
        samples: settings.count("samples").max(1),
        sd: settings.number("sd") as f32,
        seed: settings.seed(),
        done: 0,
        sum: vec![0.0; places.grid[0] * places.grid[1]],
        grid: places.grid,
        baselines,
    }))
}

impl GradientShap {
    /// A sample's own stream of random numbers draws its baseline, its place on the line and its noise.
    fn sample(&self, study: &Study<'_>, index: usize) -> Sample {
        let mut rng = random::stream(self.seed, index as u64);
        let which = random::uniform(&mut rng, 0.0, self.baselines.len() as f32) as usize;
        let which = which.min(self.baselines.len().saturating_sub(1));
        let a = random::uniform(&mut rng, 0.0, 1.0);
        let mut end = study.input.values.clone();
        if self.sd > 0.0 {
            let noise = random::normals(&mut rng, end.len());
            end.iter_mut()
                .zip(noise)
                .for_each(|(x, n)| *x += self.sd * n);
        }
        let start = self.baselines.get(which).map_or(&[][..], |b| &b.image);
        let point = start.iter().zip(&end).map(|(b, x)| b + a * (x - b));
        Sample {
            baseline: which,
            point: point.collect(),
            end,
        }
    }

    /// What the layer makes of the ends of all samples; `None` where they are the image itself.
    fn ends_at_layer(&self, study: &Study<'_>, samples: &[Sample]) -> Result<Option<Tensor>> {
        if self.sd == 0.0 {
            return Ok(None);
        }
        let ends: Vec<f32> = samples.iter().flat_map(|s| s.end.iter().copied()).collect();
        let batch = batch_of(study, ends, samples.len())?;
        if study.node == 0 {
            return Ok(Some(batch));
        }
        let trace = study.model.trace(&batch, &study.job.quiet())?;
        Ok(Some(trace.output(study.node)?))
    }
}

impl Steps for GradientShap {
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
        let samples: Vec<Sample> = (self.done..self.done + count)
            .map(|index| self.sample(study, index))
            .collect();
        let points: Vec<f32> = samples.iter().flat_map(|s| s.point.clone()).collect();
        let batch = batch_of(study, points, count)?;
        let found = study.batch_gradients(&batch, study.node, WalkRule::Gradient)?;
        let ends = self.ends_at_layer(study, &samples)?;
        if let Some(gradient) = &found.gradient {
            let places = Places::of(study.model, study.node, gradient)?;
            let own = places.read(&study.pass.trace.output(study.node)?, 0)?;
            let read = (0..count)
                .map(|image| {
                    let end = match &ends {
                        Some(ends) => places.read(ends, image)?,
                        None => own.clone(),
                    };
                    Ok((places.read(gradient, image)?, end))
                })
                .collect::<Result<Vec<_>>>()?;
            for (sample, (gradient, mut end)) in samples.iter().zip(read) {
                if let Some(start) = self.baselines.get(sample.baseline) {
                    let pairs = end.iter_mut().zip(&start.at_layer);
                    pairs.for_each(|(x, b)| *x -= b);
                    add_products(&mut self.sum, &gradient, &end);
                }
            }
        }
        self.done += count;
        Ok(())
    }

    fn drawn(&self, _: &mut Study<'_>) -> Result<Drawn> {
        let n = self.done.max(1) as f64;
        Ok(Drawn::Grid(Grid {
            width: self.grid[1],
            height: self.grid[0],
            values: self.sum.iter().map(|s| (s / n) as f32).collect(),
        }))
    }
}
