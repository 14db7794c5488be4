//! Changed copies of the input, made side by side.

use candle_core::Tensor;
use rayon::prelude::*;

use super::study::Study;
use crate::error::Result;

/// A batch `[N, C, H, W]` of `count` images; `fill` writes the image of an index, `[C, H, W]`, which holds zeros before.
///
/// # Errors
/// A device that fails.
pub(super) fn images(
    study: &Study<'_>,
    count: usize,
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Tensor> {
    let input = study.input;
    let size = input.channels * input.height * input.width;
    let mut batch = vec![0f32; count * size];
    batch
        .par_chunks_exact_mut(size.max(1))
        .enumerate()
        .for_each(|(index, image)| fill(index, image));
    let shape = (count, input.channels, input.height, input.width);
    Ok(Tensor::from_vec(batch, shape, study.model.device())?)
}

/// Writes `x` where the mask is 1, `hidden` where it is 0, and what lies between elsewhere. All channels have the same
/// mask, one value a pixel.
pub(super) fn blend(image: &mut [f32], x: &[f32], hidden: &[f32], mask: &[f32]) {
    let size = mask.len().max(1);
    let planes = image.chunks_exact_mut(size).zip(x.chunks_exact(size));
    for ((out, x), hidden) in planes.zip(hidden.chunks_exact(size)) {
        for (((o, x), b), m) in out.iter_mut().zip(x).zip(hidden).zip(mask) {
            *o = b + (x - b) * m;
        }
    }
}

/// Writes the input times a mask: what is hidden becomes 0 of the normalised tensor.
pub(super) fn dim(image: &mut [f32], x: &[f32], mask: &[f32]) {
    let size = mask.len().max(1);
    for (out, x) in image.chunks_exact_mut(size).zip(x.chunks_exact(size)) {
        for ((o, x), m) in out.iter_mut().zip(x).zip(mask) {
            *o = x * m;
        }
    }
}
