//! What is known about a network, in lines for people, and saved beside it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::Result;
use crate::export::write_whole;
use crate::model::Model;
use crate::model::facts::{
    CONFIG, Document, PREPROCESSOR, Provenance, config_json, preprocessor_json,
};
use crate::preprocess::{Fit, Recipe, Scale};
use crate::text::{fact as words, fault};

/// Every fact as name, value and where it comes from.
pub fn fact_lines(model: &Model) -> Vec<(&'static str, String, Provenance)> {
    let facts = &model.facts;
    let mut lines = vec![
        (words::ARCH, facts.arch.value.clone(), facts.arch.from),
        (
            words::LABELS,
            words::labels(&facts.labels.value, model.classes()),
            facts.labels.from,
        ),
        (
            words::ACTIVATION,
            facts.activation.value.id().to_owned(),
            facts.activation.from,
        ),
    ];
    lines.push(match &facts.recipe {
        Some(recipe) => (
            words::PREPROCESSING,
            recipe_line(&recipe.value),
            recipe.from,
        ),
        None => (
            words::PREPROCESSING,
            words::NO_RECIPE.to_owned(),
            Provenance::Guessed,
        ),
    });
    if let Some(points) = &facts.op_threshs {
        let trained = points.value.iter().flatten().count();
        lines.push((
            words::OP_THRESHS,
            words::op_threshs(trained, points.value.len()),
            points.from,
        ));
    }
    lines
}

/// A recipe in one line.
pub(super) fn recipe_line(recipe: &Recipe) -> String {
    let fit = match recipe.fit {
        Fit::Stretch => words::STRETCH.to_owned(),
        Fit::SquareCrop => words::SQUARE.to_owned(),
        Fit::Pad => words::PAD.to_owned(),
        Fit::CenterCrop { resize } | Fit::CropDown { resize } => words::center_crop(resize),
        Fit::StretchCrop { width, height, .. } => words::stretch_crop(width, height),
    };
    let range = match recipe.scale {
        Scale::Unit => words::normalised(&recipe.mean, &recipe.std),
        Scale::XRayVision => words::XRV_RANGE.to_owned(),
    };
    let size = [recipe.width, recipe.height];
    words::recipe(&recipe.name, size, &fit, recipe.filter.name(), &range)
}

/// Writes labels, activation and preprocessing that are no guesses into `config.json` and
/// `preprocessor_config.json` beside the network; every other key of these files is kept, and each is written
/// whole or not at all. Returns what was written.
///
/// # Errors
/// The demo, which has no folder; nothing but guesses; existing files that are no JSON; writing.
pub fn save_facts(model: &Model) -> Result<Vec<PathBuf>> {
    let file = model
        .path
        .as_deref()
        .ok_or_else(fault::save_facts_of_demo)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let (config, preprocessor) = (folder.join(CONFIG), folder.join(PREPROCESSOR));
    // Both are read before either is written: a broken one changes nothing.
    let (old_config, old_preprocessor) = (Document::open(&config)?, Document::open(&preprocessor)?);
    let map = |doc: &Option<Document>| doc.as_ref().map(|doc| doc.map.clone());
    let files = [
        (config, config_json(&model.facts, map(&old_config).as_ref())),
        (
            preprocessor,
            preprocessor_json(&model.facts, map(&old_preprocessor).as_ref()),
        ),
    ];
    let mut written = Vec::new();
    for (path, map) in files {
        if let Some(map) = map {
            write_json(&path, map)?;
            written.push(path);
        }
    }
    if written.is_empty() {
        return Err(fault::nothing_to_save());
    }
    Ok(written)
}

fn write_json(path: &Path, map: Map<String, Value>) -> Result<()> {
    let mut bytes =
        serde_json::to_vec_pretty(&Value::Object(map)).map_err(|e| fault::write(path, &e))?;
    bytes.push(b'\n');
    write_whole(path, &bytes)
}
