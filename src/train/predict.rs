//! From pictures to logits and class activation maps, in inference mode.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::ops::with_values;
use crate::error::Result;
use crate::job::Job;

/// How grey values in 0 to 1 become the network's input: `(v - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Subtracted.
    pub mean: f32,
    /// Divided by.
    pub std: f32,
}

impl Input {
    /// Applies it in place.
    pub fn standardise(&self, image: &mut [f32]) {
        for v in image {
            *v = (*v - self.mean) / self.std;
        }
    }
}

/// Images a pass: enough for the matrix products, little enough to stay in memory and to be
/// cancelled soon.
const BATCH: usize = 16;

fn for_each_batch(
    network: &Network,
    images: &[Vec<f32>],
    side: usize,
    input: &Input,
    job: &Job,
    mut f: impl FnMut(&Tensor) -> Result<()>,
) -> Result<()> {
    for batch in images.chunks(BATCH) {
        job.check()?;
        let mut values: Vec<f32> = batch.concat();
        input.standardise(&mut values);
        let x = Tensor::from_vec(values, (batch.len(), 1, side, side), &Device::Cpu)?;
        f(&network.features(&x)?)?;
    }
    Ok(())
}

/// Logits of images with values in 0 to 1, `side * side` each.
pub fn logits_of(
    network: &Network,
    images: &[Vec<f32>],
    side: usize,
    input: &Input,
    job: &Job,
) -> Result<Vec<[f64; 2]>> {
    let mut all = Vec::with_capacity(images.len());
    for_each_batch(network, images, side, input, job, |features| {
        let rows: Vec<Vec<f32>> = network.logits(features)?.to_vec2()?;
        all.extend(rows.iter().map(|r| [f64::from(r[0]), f64::from(r[1])]));
        Ok(())
    })?;
    Ok(all)
}

/// A map at the grid of the last stage.
#[derive(Clone, Debug, PartialEq)]
pub struct CamMap {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Values, row by row.
    pub values: Vec<f32>,
}

/// Grad-CAM at `layer4` before its ReLU (Selvaraju et al. 2017). Behind the last stage stand only
/// an average and a linear layer, so the gradient is the layer's weight over the number of
/// positions, and Grad-CAM is CAM (Zhou et al. 2016) up to that factor.
pub fn cams_of(
    network: &Network,
    images: &[Vec<f32>],
    side: usize,
    input: &Input,
    class: usize,
    job: &Job,
) -> Result<Vec<CamMap>> {
    let weights = network.head_weights(class)?;
    let mut all = Vec::with_capacity(images.len());
    for_each_batch(network, images, side, input, job, |features| {
        let (_, channels, height, width) = features.dims4()?;
        let positions = height * width;
        Ok(with_values(features, |values| {
            for image in values.chunks_exact(channels * positions) {
                let mut map = vec![0.0; positions];
                for (plane, w) in image.chunks_exact(positions).zip(&weights) {
                    for (m, a) in map.iter_mut().zip(plane) {
                        *m += w * a / positions as f32;
                    }
                }
                all.push(CamMap {
                    width,
                    height,
                    values: map,
                });
            }
            Ok(())
        })?)
    })?;
    Ok(all)
}
