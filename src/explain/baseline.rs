//! What "nothing to see" looks like to a network: baselines of path and occlusion methods.

use super::catalogue::{Domain, Param};
use super::random;
use super::study::Study;

/// Standard deviation of the blurred baseline, as a share of the input's longer side.
const BLUR_SHARE: f64 = 0.05;

/// The baselines that methods offer; the first is Captum's.
pub(super) const NAMES: &[&str] = &["zero", "black", "white", "mean", "blur", "noise"];

/// The parameter that chooses one.
pub(super) const BASELINE: Param = Param {
    id: "baseline",
    help: "What the image is compared with: 0 of the normalised input (the data set's mean colour, Captum's default), black, white, the image's own mean, the image blurred, or noise of its own mean and spread",
    domain: Domain::Choice(NAMES),
};

/// A baseline in the shape of the study's input, `[C, H, W]`; an unknown name is `zero`. `seed` counts for noise only.
pub(super) fn make(study: &Study<'_>, name: &str, seed: u64) -> Vec<f32> {
    let input = study.input;
    let pixels = (input.height * input.width).max(1);
    let mut out = vec![0f32; input.values.len()];
    let planes = out
        .chunks_exact_mut(pixels)
        .zip(input.values.chunks_exact(pixels));
    for (channel, (plane, x)) in planes.enumerate() {
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / pixels as f64;
        match name {
            "black" => plane.fill(end(study, channel, 0.0)),
            "white" => plane.fill(end(study, channel, 1.0)),
            "mean" => plane.fill(mean as f32),
            "blur" => plane.copy_from_slice(&blurred(x, input.width, input.height)),
            "noise" => {
                let squares: f64 = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum();
                let sd = (squares / pixels as f64).sqrt();
                let mut rng = random::stream(seed, channel as u64);
                let noise = random::normals(&mut rng, pixels);
                for (p, n) in plane.iter_mut().zip(noise) {
                    *p = (mean + sd * f64::from(n)) as f32;
                }
            }
            _ => {}
        }
    }
    out
}

/// What the recipe makes of the darkest (0) or brightest (1) pixel; without a recipe the input's own extreme.
fn end(study: &Study<'_>, channel: usize, share: f32) -> f32 {
    match &study.model.facts.recipe {
        Some(recipe) => recipe.value.input_from_share(share, channel),
        None => {
            let (lo, hi) = super::resize::range(&study.input.values);
            if share > 0.5 { hi } else { lo }
        }
    }
}

/// A Gaussian blur with clamped edges.
fn blurred(plane: &[f32], width: usize, height: usize) -> Vec<f32> {
    let sigma = (BLUR_SHARE * width.max(height) as f64).max(0.5);
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f64> = (-reach..=reach)
        .map(|d| (-((d * d) as f64) / (2.0 * sigma * sigma)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    let pass = |source: &[f32], length: usize, stride: usize, at: usize, cell: usize| {
        let start = at - cell * stride;
        let sum: f64 = weights
            .iter()
            .zip(-reach..=reach)
            .map(|(w, d)| {
                let cell = (cell as isize + d).clamp(0, length as isize - 1) as usize;
                w * f64::from(source[start + cell * stride])
            })
            .sum();
        (sum / total) as f32
    };
    let rows: Vec<f32> = (0..plane.len())
        .map(|i| pass(plane, width, 1, i, i % width))
        .collect();
    (0..plane.len())
        .map(|i| pass(&rows, height, width, i, i / width))
        .collect()
}
