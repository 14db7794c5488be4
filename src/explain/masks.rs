//! Masked copies of the input, made batch by batch.

use candle_core::Tensor;
use rayon::prelude::*;

use super::batches::{dim, images};
use super::study::Study;
use crate::error::Result;

/// The input times each of `masks` (one value a pixel, all channels alike), `[N, C, H, W]`. What a mask hides becomes
/// 0 of the normalised tensor, the data set's mean colour.
///
/// # Errors
/// A device that fails.
pub(super) fn masked<M: AsRef<[f32]> + Sync>(study: &Study<'_>, masks: &[M]) -> Result<Tensor> {
    let x = &study.input.values;
    images(study, masks.len(), |index, out| {
        dim(out, x, masks[index].as_ref());
    })
}

/// Images that lie one behind the other as a batch, `[N, C, H, W]`.
///
/// # Errors
/// A device that fails.
pub(super) fn batch_of(study: &Study<'_>, values: Vec<f32>, count: usize) -> Result<Tensor> {
    let input = study.input;
    let shape = (count, input.channels, input.height, input.width);
    Ok(Tensor::from_vec(values, shape, study.model.device())?)
}

/// Copies of the input with normal noise of standard deviation `sd` added, one for each index; an index always has the
/// same noise. `[N, C, H, W]`.
///
/// # Errors
/// A device that fails.
pub(super) fn noisy(
    study: &Study<'_>,
    seed: u64,
    sd: f32,
    indices: std::ops::Range<usize>,
) -> Result<Tensor> {
    let count = indices.len();
    let images: Vec<Vec<f32>> = indices
        .into_par_iter()
        .map(|index| {
            let mut rng = super::random::stream(seed, index as u64);
            let noise = super::random::normals(&mut rng, study.input.values.len());
            let pairs = study.input.values.iter().zip(noise);
            pairs.map(|(x, n)| x + sd * n).collect()
        })
        .collect();
    batch_of(study, images.concat(), count)
}
