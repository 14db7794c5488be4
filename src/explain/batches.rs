//! Changed copies of the input, made side by side, and what stands where something is hidden.

use candle_core::Tensor;
use rayon::prelude::*;

use super::study::Study;
use crate::error::Result;

/// Standard deviation of the blurred baseline, as a share of the longer side.
const BLUR_SHARE: f64 = 0.05;

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

/// What stands where the input is hidden, `[C, H, W]`: `zero` is 0 of the normalised tensor, `black` the recipe's black
/// (the smallest value of the input where there is no recipe), `mean` the mean of each channel, `blur` the input through
/// a Gaussian of a twentieth of the longer side.
pub(super) fn baseline(study: &Study<'_>, word: &str) -> Vec<f32> {
    let input = study.input;
    let size = input.width * input.height;
    match word {
        "black" => {
            let least = input.values.iter().copied().fold(f32::INFINITY, f32::min);
            let black = study.model.facts.recipe.as_ref().map(|r| r.value.black());
            (0..input.channels)
                .flat_map(|c| {
                    let value = black.as_ref().and_then(|b| b.get(c)).copied();
                    std::iter::repeat_n(value.unwrap_or(least), size)
                })
                .collect()
        }
        "mean" => input
            .values
            .chunks_exact(size.max(1))
            .flat_map(|plane| {
                let sum: f64 = plane.iter().map(|v| f64::from(*v)).sum();
                std::iter::repeat_n((sum / size as f64) as f32, size)
            })
            .collect(),
        "blur" => {
            let sigma = BLUR_SHARE * input.width.max(input.height) as f64;
            input
                .values
                .chunks_exact(size.max(1))
                .flat_map(|plane| blurred(plane, input.width, sigma))
                .collect()
        }
        _ => vec![0.0; input.values.len()],
    }
}

/// A plane through a Gaussian, edges clamped.
fn blurred(plane: &[f32], width: usize, sigma: f64) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f64> = (-radius..=radius)
        .map(|d| (-0.5 * (d as f64 / sigma).powi(2)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    let height = plane.len() / width.max(1);
    let clamp = |at: isize, len: usize| at.clamp(0, len as isize - 1) as usize;
    let along = |read: &dyn Fn(usize) -> f32, at: usize, len: usize| {
        let taps = weights.iter().zip(-radius..=radius);
        let sum: f64 = taps
            .map(|(w, d)| w * f64::from(read(clamp(at as isize + d, len))))
            .sum();
        (sum / total) as f32
    };
    let mut wide = Vec::with_capacity(plane.len());
    for row in plane.chunks_exact(width.max(1)) {
        wide.extend((0..width).map(|x| along(&|at| row[at], x, width)));
    }
    let mut out = Vec::with_capacity(plane.len());
    for y in 0..height {
        out.extend((0..width).map(|x| along(&|at| wide[at * width + x], y, height)));
    }
    out
}
