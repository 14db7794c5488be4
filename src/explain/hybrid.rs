//! Grad-CAM times LRP, blurred (Dhore et al., arXiv 2405.12175): where a coarse CAM and fine relevance agree.
//!
//! The paper is silent on the denoising threshold, the rules of LRP and the width of the blur, and no code was
//! published. What stands here in their place is ours, and every one of them is a parameter:
//!
//! 1. g: Grad-CAM++ (or Grad-CAM) at the layer, ReLU, min-max, enlarged to the input, min-max (as pytorch-grad-cam)
//! 2. g': g where it is at least tau, else 0; tau by Otsu's method
//! 3. r: relevance at the input, mean over channels, with its sign
//! 4. P = g' r, and a Gaussian blur of it with sigma a share of the input's longer side
//!
//! The map is P: its blur is applied where maps are shown, so that files hold what was computed.

use super::cam;
use super::fg_cam::strided;
use super::lrp;
use super::map::Grid;
use super::relevance::Composite;
use super::resize::{min_max, normalised};
use super::settings::Settings;
use super::study::Study;
use super::task::Drawn;
use crate::error::Result;
use crate::text::notice;

/// pytorch-grad-cam's constant in the denominator of its min-max.
const MIN_MAX_EPS: f32 = 1e-7;
/// Bins of the histogram of Otsu's method.
const BINS: usize = 256;

/// One of the stages, on the input's grid.
pub(super) fn grad_cam_lrp(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    let (width, height) = (study.input.width, study.input.height);
    let grid = |values| {
        Drawn::Grid(Grid {
            width,
            height,
            values,
        })
    };
    let stage = settings.word("stage");
    let cam = match stage {
        "lrp" => None,
        _ => Some(denoised_cam(study, settings)?),
    };
    if let (Some(cam), "cam") = (&cam, stage) {
        return Ok(grid(cam.clone()));
    }
    let composite = Composite {
        strided: strided(settings),
        ..settings.word("relevance").parse()?
    };
    let relevance = lrp::at_input(study, &composite)?;
    let Some(mut product) = cam else {
        return Ok(grid(relevance));
    };
    product
        .iter_mut()
        .zip(&relevance)
        .for_each(|(g, r)| *g *= r);
    if stage != "product" {
        study.blur_px = settings.number("sigma") as f32 / 100.0 * width.max(height) as f32;
    }
    Ok(grid(product))
}

/// g': the CAM in 0..1 on the input's grid, 0 where it is under the threshold.
fn denoised_cam(study: &mut Study<'_>, settings: &Settings) -> Result<Vec<f32>> {
    let evidence = study.evidence(true)?;
    let channels = cam::base(settings.word("cam"))(&evidence, settings)?;
    let map = channels.sum(&evidence);
    let size = [study.input.width, study.input.height];
    let mut g = normalised(&map.values, [map.width, map.height], size);
    min_max(&mut g, MIN_MAX_EPS);
    let threshold = match settings.word("denoise") {
        "otsu" => otsu(&g),
        "mean" => (g.iter().map(|v| f64::from(*v)).sum::<f64>() / g.len().max(1) as f64) as f32,
        "fixed" => settings.number("threshold") as f32,
        _ => 0.0,
    };
    let kept = g.iter().filter(|v| **v >= threshold && **v > 0.0).count();
    g.iter_mut()
        .filter(|v| **v < threshold)
        .for_each(|v| *v = 0.0);
    study.notice(notice::hybrid_threshold(
        threshold,
        kept as f64 / g.len().max(1) as f64,
    ));
    Ok(g)
}

/// Otsu's threshold (IEEE Trans. SMC 9(1), 1979) of values in 0..1: the lower edge of the upper class for which the
/// variance between both classes is largest; 0 where all values are alike.
pub(super) fn otsu(values: &[f32]) -> f32 {
    let mut counts = [0f64; BINS];
    for v in values.iter().filter(|v| v.is_finite()) {
        let bin = (v.clamp(0.0, 1.0) * BINS as f32) as usize;
        counts[bin.min(BINS - 1)] += 1.0;
    }
    let total: f64 = counts.iter().sum();
    let all: f64 = counts.iter().enumerate().map(|(i, n)| i as f64 * n).sum();
    let (mut below, mut sum_below) = (0.0, 0.0);
    let (mut best, mut threshold) = (0.0, 0);
    for (bin, n) in counts.iter().enumerate() {
        // The upper class begins at this bin.
        let above = total - below;
        if below > 0.0 && above > 0.0 {
            let apart = sum_below / below - (all - sum_below) / above;
            let between = below * above * apart * apart;
            if between > best {
                (best, threshold) = (between, bin);
            }
        }
        below += n;
        sum_below += bin as f64 * n;
    }
    threshold as f32 / BINS as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn otsu_parts_two_heaps_between_them() {
        let mut values = vec![0.1f32; 60];
        values.extend([0.12; 40]);
        values.extend([0.8; 20]);
        values.extend([0.85; 5]);
        let t = otsu(&values);
        assert!(t > 0.12 && t <= 0.8, "{t}");
        // By hand: every cut of six values, the one with the largest variance between the classes.
        let six = [0.0f32, 0.25, 0.25, 0.5, 0.75, 1.0];
        let between = |cut: usize| {
            let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
            let (a, b) = six.split_at(cut);
            (a.len() * b.len()) as f32 * (mean(a) - mean(b)).powi(2)
        };
        let best = (1..6)
            .filter(|c| *c != 2)
            .max_by(|a, b| between(*a).total_cmp(&between(*b)));
        let t = otsu(&six);
        let cut = six.iter().filter(|v| **v < t).count();
        assert_eq!(cut, best.unwrap());
    }

    #[test]
    fn otsu_of_one_value_keeps_everything() {
        assert_eq!(otsu(&[0.5; 10]), 0.0);
        assert_eq!(otsu(&[]), 0.0);
        assert_eq!(otsu(&[f32::NAN, 0.3]), 0.0);
    }
}
