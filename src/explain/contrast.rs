//! Finer-CAM and Shapley-CAM: other scalars than the plain logit, and the curvature of what follows a layer.

use candle_core::Tensor;

use super::cam;
use super::channels::Channels;
use super::evidence::{Evidence, Places};
use super::objective::Objective;
use super::pass::WalkRule;
use super::settings::Settings;
use super::study::Study;
use super::task::Drawn;
use crate::error::Result;
use crate::model::forward::Trace;

/// Relative step of central differences along the activations. Two of them, this one and its double, cancel the error
/// of second order (Richardson), so that it may be large enough for f32.
const STEP: f64 = 0.02;

/// Finer-CAM (Zhang et al. 2025): any base method of the CAM family for the difference to the nearest classes.
pub(super) fn finer_cam(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    let objective = Objective::Finer {
        target: study.target,
        weight: settings.number("alpha") as f32,
        references: settings.count("references"),
        plain: settings.is("mode", "torchcam"),
    };
    let evidence = study.evidence_of(&study.layer.clone(), Some(objective))?;
    let base = cam::base(settings.word("base"));
    Ok(Drawn::Channels(base(&evidence, settings)?))
}

/// Shapley-CAM (Cai 2025): `w_k = mean_ij (G - 0.5 H A)`, H the Hessian of the target in the layer's activations.
///
/// Three parts make up `H A`, with y the logits, J = dy/dA, S the target as a function of y:
/// `J^T S'' (J A)` is exact but for J A, a central difference; the curvature of y itself is a central difference of
/// `J^T S'` and is taken only where something behind the layer is curved. Rectifiers and maxima are not: their kinks have
/// no Hessian.
pub(super) fn shapley_cam(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    let objective = match settings.word("target") {
        "rest" => Objective::Rest(study.target),
        _ => study.objective(),
    };
    let evidence = study.evidence_of(&study.layer.clone(), Some(objective))?;
    let mut gradients = evidence.gradients()?.to_vec();
    for part in [
        curvature_of_target(study, &evidence, objective)?,
        curvature_of_network(study, &evidence)?,
    ]
    .into_iter()
    .flatten()
    {
        for (g, h) in gradients.iter_mut().zip(part) {
            *g -= 0.5 * h;
        }
    }
    let cells = evidence.cells().max(1);
    let weights = gradients
        .chunks_exact(cells)
        .map(|g| (g.iter().map(|&g| f64::from(g)).sum::<f64>() / cells as f64) as f32);
    Ok(Drawn::Channels(Channels::Weights(weights.collect())))
}

/// `J^T S'' (J A)`; `None` where the target is linear in the logits.
fn curvature_of_target(
    study: &mut Study<'_>,
    evidence: &Evidence<'_>,
    objective: Objective,
) -> Result<Option<Vec<f32>>> {
    if objective.is_linear() {
        return Ok(None);
    }
    let trace = &study.pass.trace;
    let activations = trace.output(evidence.node)?;
    // J A by two central differences at once.
    let steps = [STEP, -STEP, 2.0 * STEP, -2.0 * STEP];
    let moved = steps
        .iter()
        .map(|e| Ok((&activations * (1.0 + e))?))
        .collect::<Result<Vec<_>>>()?;
    let moved = Tensor::cat(&moved, 0)?;
    let rows: Vec<Vec<f32>> = trace
        .resume_scores(evidence.node, &moved, &study.job.quiet())?
        .to_vec2()?;
    let [plus, minus, plus2, minus2] = &rows[..] else {
        return Ok(None);
    };
    let along: Vec<f64> = (0..plus.len())
        .map(|i| {
            let near = f64::from(plus[i]) - f64::from(minus[i]);
            let far = f64::from(plus2[i]) - f64::from(minus2[i]);
            richardson(near, far)
        })
        .collect();
    // S'' (J A): how the gradient at the logits moves in that direction.
    let length = along.iter().fold(0f64, |m, v| m.max(v.abs()));
    if length == 0.0 {
        return Ok(None);
    }
    let t = 1e-4 / length;
    let at = |sign: f64| {
        let pairs = study.pass.logits.iter().zip(&along);
        let y: Vec<f64> = pairs.map(|(&y, d)| f64::from(y) + sign * t * d).collect();
        objective.seed64(&y, &study.model.facts)
    };
    let seed: Vec<f32> = at(1.0)
        .iter()
        .zip(at(-1.0))
        .map(|(a, b)| ((a - b) / (2.0 * t)) as f32)
        .collect();
    walk(study, trace, &seed, evidence).map(Some)
}

/// `d (J^T S') / dA . A` with S' held; `None` where nothing behind the layer is curved.
fn curvature_of_network(
    study: &mut Study<'_>,
    evidence: &Evidence<'_>,
) -> Result<Option<Vec<f32>>> {
    if study.model.graph.is_piecewise_linear_after(evidence.node) {
        return Ok(None);
    }
    let trace = &study.pass.trace;
    let activations = trace.output(evidence.node)?;
    let at = |e: f64| -> Result<Vec<f32>> {
        let moved = (&activations * (1.0 + e))?;
        let moved = trace.resume(evidence.node, &moved, &study.job.quiet())?;
        walk(study, &moved, &evidence.seed, evidence)
    };
    let (plus, minus) = (at(STEP)?, at(-STEP)?);
    let (plus2, minus2) = (at(2.0 * STEP)?, at(-2.0 * STEP)?);
    let values = (0..plus.len()).map(|i| {
        let near = f64::from(plus[i]) - f64::from(minus[i]);
        let far = f64::from(plus2[i]) - f64::from(minus2[i]);
        richardson(near, far) as f32
    });
    Ok(Some(values.collect()))
}

/// A derivative from differences over two steps and over four.
fn richardson(near: f64, far: f64) -> f64 {
    (4.0 * near / (2.0 * STEP) - far / (4.0 * STEP)) / 3.0
}

/// `J^T seed` at the layer.
fn walk(
    study: &Study<'_>,
    trace: &Trace,
    seed: &[f32],
    evidence: &Evidence<'_>,
) -> Result<Vec<f32>> {
    let seed = Tensor::from_slice(seed, (1, seed.len()), study.model.device())?;
    let mut taps = WalkRule::Gradient.start(trace, seed);
    match taps.at(trace, evidence.node, study.job)? {
        Some(g) => Places::of(study.model, evidence.node, &g)?.read(&g, 0),
        None => Ok(vec![0.0; evidence.activations.len()]),
    }
}
