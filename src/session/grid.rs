//! `camlens explain`: every method of a plan at every layer of it, written as one bundle.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::analysis::Analysis;
use super::picture::Picture;
use crate::error::Result;
use crate::explain::{RawMap, catalogue};
use crate::export::{Bundle, npy_bytes, png_bytes, safe_name};
use crate::job::Job;
use crate::model::{Model, device};
use crate::plan::{MapKey, Plan, Post};
use crate::post::{Field, ScaleRange, process_named, scale_range};
use crate::render::{Heat, overlay};
use crate::text::{APP, RESEARCH_ONLY};

/// Overlays that are drawn side by side.
const PICTURES_AT_A_TIME: usize = 8;

/// What a run wrote.
pub struct Report {
    /// The manifest.
    pub manifest: PathBuf,
    /// Maps that were written.
    pub written: usize,
    /// Cells of the grid that failed, in words.
    pub failed: Vec<String>,
    /// What the user should know, each said once.
    pub notices: Vec<String>,
}

struct Cell {
    key: MapKey,
    map: RawMap,
    field: Field,
}

/// Runs `plan` and writes its maps, overlays and manifest into `out`.
///
/// A cell of the grid that cannot be made is named in the manifest and in the report; the others are
/// written all the same.
///
/// # Errors
/// Anything that concerns the whole grid: files, classes, layers, methods, writing. Then nothing is
/// written.
pub fn run(plan: &Plan, out: &Path, job: &Job) -> Result<Report> {
    let mut bundle = Bundle::create(out)?;
    let model = Arc::new(Model::open_on(
        &plan.model,
        plan.arch.as_deref(),
        &plan.given,
        plan.device,
    )?);
    let params = Analysis::resolved_params(&plan.methods, &plan.params)?;
    let layers = resolve_layers(&model, &plan.layers)?;
    let picture = Picture::open(&plan.image)?;
    let input = Arc::new(picture.input_for(&model)?);
    let mut analysis = Analysis::run(Arc::clone(&model), input, job)?;
    analysis.only_layers(&layers)?;
    model.forget_forward();
    let target = match &plan.class {
        Some(class) => model.class(class)?,
        None => analysis.top(),
    };

    let (mut cells, mut failed) = (Vec::new(), Vec::new());
    for method in &plan.methods {
        for layer in &layers {
            let key = MapKey {
                method: method.clone(),
                layer: layer.clone(),
                target,
                params: plan.params.get(method).cloned().unwrap_or_default(),
            };
            match analysis.map(&key, job) {
                Ok(map) => {
                    let field = process_named(&map, &plan.post, &model.facts.label(target));
                    cells.push(Cell { key, map, field });
                }
                // A device that failed once fails the rest of the grid as well.
                Err(error) if error.is_cancelled() || error.is_of_device() => return Err(error),
                Err(error) => failed.push((key, error.to_string())),
            }
        }
    }

    let maps = write_cells(&mut bundle, plan, &picture, &cells)?;
    let findings = analysis.findings();
    let manifest = json!({
        "program": APP,
        "version": env!("CARGO_PKG_VERSION"),
        "schema": 1,
        "purpose": RESEARCH_ONLY,
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "facts": model.facts,
        },
        "image": {
            "name": picture.name,
            "sha256": picture.sha256,
            "size": picture.size(),
        },
        "input": {
            "shape": [1, analysis.input.channels, analysis.input.height, analysis.input.width],
            "source_from_model": analysis.input.source_from_model,
        },
        "device": device::name(model.device()),
        "target": target,
        "finding": findings.get(target),
        "logits": analysis.logits,
        "parameters": params,
        "post": plan.post,
        "view": plan.view,
        "notices": model.notices.iter().chain(&picture.notices).chain(&analysis.input.notices).collect::<Vec<_>>(),
        "maps": maps,
        "failed": failed.iter().map(|(key, error)| json!({
            "method": key.method, "layer": key.layer, "error": error,
        })).collect::<Vec<_>>(),
        "plan": plan,
    });
    let mut bytes =
        serde_json::to_vec_pretty(&manifest).map_err(|e| crate::text::fault::write(out, &e))?;
    bytes.push(b'\n');
    bundle.finish("manifest.json", &bytes)?;

    let mut notices: BTreeSet<String> = model.notices.iter().cloned().collect();
    notices.extend(cells.iter().filter_map(|cell| cell.field.notice.clone()));
    Ok(Report {
        manifest: out.join("manifest.json"),
        written: cells.len(),
        failed: failed
            .into_iter()
            .map(|(key, error)| format!("{} at {}: {error}", key.method, key.layer))
            .collect(),
        notices: notices.into_iter().collect(),
    })
}

/// Layer names in the order asked for, each once.
fn resolve_layers(model: &Model, wanted: &[String]) -> Result<Vec<String>> {
    let mut layers: Vec<String> = Vec::new();
    for wanted in wanted {
        for name in model.layers_named(wanted)? {
            if !layers.contains(&name) {
                layers.push(name);
            }
        }
    }
    Ok(layers)
}

fn write_cells(
    bundle: &mut Bundle,
    plan: &Plan,
    picture: &Picture,
    cells: &[Cell],
) -> Result<Vec<Value>> {
    let fields: Vec<&Field> = cells.iter().map(|cell| &cell.field).collect();
    let ranges = scale_range(&fields, &plan.post);
    let notes = [("Software", APP), ("Disclaimer", RESEARCH_ONLY)];
    let Post { sign, cut, .. } = plan.post;
    let pairs: Vec<(&Cell, ScaleRange)> = cells.iter().zip(ranges).collect();
    let mut maps = Vec::with_capacity(cells.len());
    // Pictures are drawn and packed side by side, a few at a time: large X-rays make large pictures.
    for pairs in pairs.chunks(PICTURES_AT_A_TIME) {
        let drawn: Vec<Result<Vec<u8>>> = pairs
            .par_iter()
            .map(|(cell, range)| {
                let heat = Heat {
                    field: &cell.field,
                    range: *range,
                    sign,
                    view: plan.view,
                    cut,
                };
                png_bytes(&overlay(&picture.display, &heat), &notes)
            })
            .collect();
        for ((cell, range), picture) in pairs.iter().zip(drawn) {
            let stem = safe_name(&format!("{}.{}", cell.key.method, cell.key.layer));
            let (file, overlay_file) = (format!("{stem}.npy"), format!("{stem}.png"));
            let map = &cell.map;
            bundle.write(&file, &npy_bytes([map.width, map.height], &map.values)?)?;
            bundle.write(&overlay_file, &picture?)?;
            let (min, max) = map.range();
            let notices: Vec<&String> = map.notices.iter().chain(&cell.field.notice).collect();
            maps.push(json!({
                "method": map.method,
                "label": catalogue::find(&map.method)?.label,
                "layer": map.layer,
                "target": map.target,
                "file": file,
                "overlay": overlay_file,
                "grid": [map.height, map.width],
                "min": min,
                "max": max,
                "scale": range,
                "notices": notices,
            }));
        }
    }
    Ok(maps)
}
