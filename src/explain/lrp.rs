//! Layer-wise relevance propagation (Bach et al. 2015) as methods of the catalogue: one for each composite.

use super::catalogue::INPUT;
use super::evidence::Places;
use super::fg_cam::strided;
use super::map::Grid;
use super::pixels::channel_sum;
use super::relevance::{Composite, Strided};
use super::settings::Settings;
use super::study::Study;
use super::task::Drawn;
use crate::error::Result;
use crate::text::fault;

pub(super) fn epsilon(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    lrp(study, settings, "epsilon")
}

pub(super) fn epsilon_plus(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    lrp(study, settings, "epsilon-plus")
}

pub(super) fn epsilon_plus_flat(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    lrp(study, settings, "epsilon-plus-flat")
}

pub(super) fn epsilon_gamma_box(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    lrp(study, settings, "epsilon-gamma-box")
}

pub(super) fn epsilon_alpha2_beta1(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    lrp(study, settings, "epsilon-alpha2-beta1")
}

/// A composite of the user's own.
pub(super) fn own(study: &mut Study<'_>, settings: &Settings) -> Result<Drawn> {
    let rules = settings.word("rules").to_owned();
    lrp(study, settings, &rules)
}

/// Relevance at the input under a composite, mean over channels, `[h, w]`.
pub(super) fn at_input(study: &mut Study<'_>, composite: &Composite) -> Result<Vec<f32>> {
    let (own, channels) = (study.layer.clone(), study.input.channels.max(1) as f32);
    study.go_to(INPUT)?;
    let map = relevance_map(study, composite, false);
    study.go_to(&own)?;
    // What is made of it is no relevance any more.
    study.conservation.clear();
    Ok(map?.values.iter().map(|v| v / channels).collect())
}

fn lrp(study: &mut Study<'_>, settings: &Settings, composite: &str) -> Result<Drawn> {
    let scaled = settings.is("start", "score");
    let mut composite: Composite = composite.parse()?;
    if strided(settings) == Strided::Window {
        composite.strided = Strided::Window;
    }
    Ok(Drawn::Grid(relevance_map(study, &composite, scaled)?))
}

/// Relevance at the study's layer, channels added. What stands at the logits is the gradient of the target there: 1 at
/// the class for a raw logit (zennit's habit), -a at the other class of a contrast, the softmax's gradient for a
/// probability; times the score itself where it is `scaled`.
fn relevance_map(study: &mut Study<'_>, composite: &Composite, scaled: bool) -> Result<Grid> {
    let objective = study.objective();
    let mut start = objective.seed(&study.pass.logits, &study.model.facts);
    if scaled {
        let score = study.score();
        start.iter_mut().for_each(|r| *r *= score);
    }
    let notices = study.pass.plan(study.model, composite)?.notices.clone();
    for words in notices {
        study.notice(words);
    }
    let (node, job) = (study.node, study.job);
    let relevance = study.pass.relevance(study.model, composite, start, job)?;
    let Some(r) = relevance.at(node) else {
        return Err(fault::no_gradient(&study.layer));
    };
    let places = Places::of(study.model, node, r)?;
    let [height, width] = places.grid;
    let values = channel_sum(&places.read(r, 0)?, height * width);
    study.conservation = relevance.conserved(&study.model.graph)?;
    Ok(Grid {
        width,
        height,
        values,
    })
}
