//! The CAM family: channels of a layer, weighted and added.
//!
//! Symbols: A activations `[K, h, w]`, G = dy_c/dA their gradient, y_c the raw logit of the target.
//! Every function returns what is added up over channels, before any ReLU, normalisation or resize.

use super::catalogue::ChannelsOf;
use super::channels::Channels;
use super::evidence::Evidence;
use super::random;
use super::settings::Settings;
use crate::error::Result;

/// Constant that pytorch-grad-cam adds to the denominator of Grad-CAM++.
const GRAD_CAM_PP_EPS: f64 = 1e-6;
/// Constant that pytorch-grad-cam adds to the sum of a channel in XGrad-CAM.
const XGRAD_CAM_EPS: f32 = 1e-7;

/// Components `f(G_k, A_k)`, cell by cell.
fn elementwise(evidence: &Evidence<'_>, f: impl Fn(f32, f32) -> f32) -> Result<Channels> {
    let gradients = evidence.gradients()?;
    let pairs = evidence.activations.iter().zip(gradients);
    Ok(Channels::Components(
        pairs.map(|(&a, &g)| f(g, a)).collect(),
    ))
}

/// The method that another one is built on, by its id; Grad-CAM unless it is one of the others.
pub(super) fn base(id: &str) -> ChannelsOf {
    match id {
        "grad-cam++" => grad_cam_pp,
        "hires-cam" => hires_cam,
        "xgrad-cam" => xgrad_cam,
        "layer-cam" => layer_cam,
        _ => grad_cam,
    }
}

/// Grad-CAM (Selvaraju et al. 2017): `alpha_k = mean_ij G_kij`.
pub(super) fn grad_cam(evidence: &Evidence<'_>, _: &Settings) -> Result<Channels> {
    let cells = evidence.cells() as f64;
    let alpha: Vec<f32> = evidence
        .pairs()?
        .map(|(_, g)| (sum(g.iter().copied()) / cells) as f32)
        .collect();
    Ok(Channels::Weights(alpha))
}

/// Grad-CAM++ (Chattopadhay et al. 2018) in one of three published definitions.
///
/// With S = exp(y_c) all higher derivatives are powers of G, and the factor exp(y_c) cancels in `a`.
/// In `w` it is a global scale, which no definition here applies.
pub(super) fn grad_cam_pp(evidence: &Evidence<'_>, settings: &Settings) -> Result<Channels> {
    // In double precision: the square of a huge logit's gradient would overflow.
    let weight: fn(&[f32], &[f32]) -> f64 = match settings.word("mode") {
        "official" => |a, g| {
            let sum_a = sum(a.iter().copied());
            let alpha = |g: f64| {
                let denominator = 2.0 * g * g + sum_a * g * g * g;
                let denominator = if denominator == 0.0 { 1.0 } else { denominator };
                g * g / denominator
            };
            // The authors' code normalises alpha over the places with a positive gradient.
            let positive = || g.iter().filter(|g| **g > 0.0).map(|g| f64::from(*g));
            let total: f64 = positive().map(alpha).sum();
            let total = if total == 0.0 { 1.0 } else { total };
            positive().map(|g| g * alpha(g) / total).sum()
        },
        // torchcam means to divide by 2 G^2 + sum_ab A G^3, but divides a copy: what it computes is this.
        "torchcam" => |_, g| {
            let positive = g.iter().map(|g| f64::from(g.max(0.0)));
            positive.map(|g| g * g * g).sum()
        },
        _ => |a, g| {
            let sum_a = sum(a.iter().copied());
            let positive = g.iter().map(|g| f64::from(g.max(0.0)));
            positive
                .map(|g| {
                    let g2 = g * g;
                    g * (g2 / (2.0 * g2 + sum_a * g2 * g + GRAD_CAM_PP_EPS))
                })
                .sum()
        },
    };
    let weights: Vec<f32> = evidence
        .pairs()?
        .map(|(a, g)| weight(a, g) as f32)
        .collect();
    Ok(Channels::Weights(weights))
}

/// HiResCAM (Draelos and Carin 2020): `M = sum_k G_k * A_k`.
pub(super) fn hires_cam(evidence: &Evidence<'_>, _: &Settings) -> Result<Channels> {
    elementwise(evidence, |g, a| g * a)
}

/// XGrad-CAM (Fu et al. 2020): `w_k = sum_ij G_kij A_kij / (sum_ij A_kij + eps)`.
pub(super) fn xgrad_cam(evidence: &Evidence<'_>, _: &Settings) -> Result<Channels> {
    let weights: Vec<f32> = evidence
        .pairs()?
        .map(|(a, g)| {
            let denominator = sum(a.iter().copied()) as f32 + XGRAD_CAM_EPS;
            sum(a.iter().zip(g).map(|(&a, &g)| g * a / denominator)) as f32
        })
        .collect();
    Ok(Channels::Weights(weights))
}

/// LayerCAM (Jiang et al. 2021): `M = sum_k relu(G_k) * A_k`.
pub(super) fn layer_cam(evidence: &Evidence<'_>, _: &Settings) -> Result<Channels> {
    elementwise(evidence, |g, a| g.max(0.0) * a)
}

/// pytorch-grad-cam's GradCAMElementWise: `M = sum_k relu(G_k * A_k)`.
pub(super) fn elementwise_cam(evidence: &Evidence<'_>, _: &Settings) -> Result<Channels> {
    elementwise(evidence, |g, a| (g * a).max(0.0))
}

/// FEM (Fuad et al. 2020): each channel weighted by the share of its cells that lie more than two standard
/// deviations above its mean.
pub(super) fn fem(evidence: &Evidence<'_>, _: &Settings) -> Result<Channels> {
    let cells = evidence.cells().max(1);
    let weights = evidence.activations.chunks_exact(cells).map(|channel| {
        let n = cells as f64;
        let mean = sum(channel.iter().copied()) / n;
        let squares: f64 = channel.iter().map(|&a| (f64::from(a) - mean).powi(2)).sum();
        let threshold = mean + 2.0 * (squares / n).sqrt();
        let rare = channel
            .iter()
            .filter(|&&a| f64::from(a) > threshold)
            .count();
        rare as f32 / cells as f32
    });
    Ok(Channels::Weights(weights.collect()))
}

/// The control: weights uniform in -1..1, whatever the network has learnt.
pub(super) fn random_cam(evidence: &Evidence<'_>, settings: &Settings) -> Result<Channels> {
    let mut rng = random::stream(settings.seed(), 0);
    let weights = (0..evidence.channels).map(|_| random::uniform(&mut rng, -1.0, 1.0));
    Ok(Channels::Weights(weights.collect()))
}

/// CAM (Zhou et al. 2016): the weights of the classifier, bias unused.
pub(super) fn cam(evidence: &Evidence<'_>, _: &Settings) -> Result<Channels> {
    Ok(Channels::Weights(evidence.head_weights()?))
}

/// Sum in double precision: a channel of an early layer has 50 000 cells.
fn sum(values: impl Iterator<Item = f32>) -> f64 {
    values.map(f64::from).sum()
}
