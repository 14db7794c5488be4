//! `camlens explain`: every method of a plan at every layer of it, written as one bundle.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::analysis::Analysis;
use super::picture::Picture;
use super::regions::Truth;
use crate::error::Result;
use crate::evaluate::fostering::Indicators;
use crate::explain::RawMap;
use crate::explain::catalogue::{self, Method, Place};
use crate::export::{Bundle, npy_bytes, png_bytes, safe_name};
use crate::image::geometry::Affine;
use crate::job::Job;
use crate::model::{Model, device};
use crate::plan::{Against, Factor, MapKey, Plan, Post, Sign, Target, Values};
use crate::post::{Field, ScaleRange, hidden_sign, process_named, scale_range};
use crate::render::{Heat, draw_regions, overlay};
use crate::text::{APP, RESEARCH_ONLY, fault};

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
    post: Post,
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
    let cells = resolve_cells(&model, plan)?;
    let picture = Picture::open(&plan.image)?;
    let truth = plan.regions.as_deref();
    let truth = truth.map(|path| Truth::open(path, &picture, &plan.image));
    let mut truth = truth.transpose()?;
    let input = Arc::new(picture.input_for(&model)?);
    let target = resolve_target(&model, plan)?;
    let mut analysis = Analysis::run(Arc::clone(&model), input, job)?;
    if cells
        .iter()
        .all(|(method, _, values)| method.reads_one_layer(values))
    {
        let layers: Vec<String> = cells.iter().map(|(_, layer, _)| layer.clone()).collect();
        analysis.only_layers(&layers)?;
        model.forget_forward();
    }
    let target = target.unwrap_or_else(|| Target {
        class: analysis.top(),
        ..plan_target(plan)
    });

    let label = model.facts.label(target.class);
    if let Some(truth) = &mut truth {
        truth.about(&label);
    }
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (method, layer, params) in cells {
        let key = MapKey {
            method: method.id.to_owned(),
            layer,
            target,
            params,
        };
        match analysis.map(&key, job) {
            Ok(map) => {
                let post = plan.post_for(method.usual_sign());
                let field = process_named(&map, &post, &label);
                done.push(Cell {
                    key,
                    map,
                    post,
                    field,
                });
            }
            // A device that failed once fails the rest of the grid as well.
            Err(error) if error.is_cancelled() || error.is_of_device() => return Err(error),
            Err(error) => failed.push((key, error.to_string())),
        }
    }
    let cells = done;

    let maps = write_cells(&mut bundle, plan, &picture, &cells, truth.as_ref())?;
    let findings = analysis.findings();
    let mut post = json!(plan.post);
    if plan.sign.is_none() {
        // Each map says its own.
        post["sign"] = Value::Null;
    }
    let mut manifest = json!({
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
        "target": target.class,
        "objective": target,
        "objective_formula": target.formula(|class| model.facts.label(class)),
        "finding": findings.get(target.class),
        "logits": analysis.logits,
        "parameters": params,
        "post": post,
        "view": plan.view,
        "notices": model.notices.iter().chain(&picture.notices).chain(&analysis.input.notices).collect::<Vec<_>>(),
        "maps": maps,
        "failed": failed.iter().map(|(key, error)| json!({
            "method": key.method, "layer": key.layer, "error": error,
        })).collect::<Vec<_>>(),
        "plan": plan,
    });
    if let (Some(fields), Some(logits)) = (manifest.as_object_mut(), &analysis.attention_logits) {
        let finding = analysis.attention_findings().into_iter().nth(target.class);
        fields.insert("attention_logits".to_owned(), json!(logits));
        fields.insert("attention_finding".to_owned(), json!(finding));
    }
    if let [frame, frames @ (2..)] = picture.frame {
        manifest["image"]["frame"] = json!(frame);
        manifest["image"]["frames"] = json!(frames);
    }
    if let Some(truth) = &truth {
        manifest["regions"] = truth.manifest(&label);
    }
    let mut bytes = serde_json::to_vec_pretty(&manifest).map_err(|e| fault::write(out, &e))?;
    bytes.push(b'\n');
    bundle.finish("manifest.json", &bytes)?;

    let mut notices: BTreeSet<String> = model.notices.iter().cloned().collect();
    notices.extend(
        picture
            .notices
            .iter()
            .chain(&analysis.input.notices)
            .cloned(),
    );
    notices.extend(cells.iter().filter_map(|cell| cell.field.notice.clone()));
    notices.extend(truth.iter().flat_map(|truth| truth.notices(&label)));
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

/// Methods at layers in the order asked for, each once.
fn resolve_cells(model: &Model, plan: &Plan) -> Result<Vec<(&'static Method, String, Values)>> {
    let mut cells: Vec<(&'static Method, String, Values)> = Vec::new();
    for id in &plan.methods {
        let method = catalogue::find(id)?;
        for wanted in &plan.layers {
            let names = match (wanted.as_str(), method.place) {
                ("usual", Place::Layer) => model.layers_named("last")?,
                ("usual", Place::Pixels | Place::Image) => vec![catalogue::INPUT.to_owned()],
                ("usual", Place::Branch) => vec![method.layer_of("").to_owned()],
                (wanted, _) => model.layers_named(wanted)?,
            };
            for name in names {
                let layer = method.layer_of(&name).to_owned();
                if !cells
                    .iter()
                    .any(|(m, l, _)| m.id == method.id && *l == layer)
                {
                    let values = plan.params.get(id).cloned().unwrap_or_default();
                    cells.push((method, layer, values));
                }
            }
        }
    }
    Ok(cells)
}

/// What the plan says about the target besides its class.
pub(super) fn plan_target(plan: &Plan) -> Target {
    Target {
        score: plan.score,
        negated: plan.negated,
        ..Target::from(0)
    }
}

/// The target of a plan; `None` where the class is the highest logit and nothing else hangs on it.
pub(super) fn resolve_target(model: &Model, plan: &Plan) -> Result<Option<Target>> {
    let class = plan.class.as_ref().map(|c| model.class(c)).transpose()?;
    let against = match &plan.against {
        None => None,
        Some(wanted) => Some(Against {
            class: model.class(wanted)?,
            factor: Factor(plan.against_factor),
        }),
    };
    if against.is_some() && class.is_none() {
        return Err(fault::contrast_needs_class());
    }
    if let (Some(class), Some(against)) = (class, against)
        && class == against.class
    {
        return Err(fault::contrast_with_itself(&model.facts.label(class)));
    }
    Ok(class.map(|class| Target {
        class,
        against,
        ..plan_target(plan)
    }))
}

fn write_cells(
    bundle: &mut Bundle,
    plan: &Plan,
    picture: &Picture,
    cells: &[Cell],
    truth: Option<&Truth>,
) -> Result<Vec<Value>> {
    let fields: Vec<&Field> = cells.iter().map(|cell| &cell.field).collect();
    // Each under its own sign; a shared scale looks at all of them.
    let mut ranges = vec![ScaleRange::default(); cells.len()];
    for sign in [Sign::Positive, Sign::Negative, Sign::Signed] {
        if !cells.iter().any(|cell| cell.post.sign == sign) {
            continue;
        }
        let all = scale_range(&fields, &Post { sign, ..plan.post });
        for ((range, of_sign), cell) in ranges.iter_mut().zip(all).zip(cells) {
            if cell.post.sign == sign {
                *range = of_sign;
            }
        }
    }
    let notes = [("Software", APP), ("Disclaimer", RESEARCH_ONLY)];
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
                    sign: cell.post.sign,
                    view: plan.view,
                    cut: cell.post.cut,
                };
                let mut drawn = overlay(&picture.display, &heat);
                if let Some(truth) = truth {
                    draw_regions(&mut drawn, truth.counted(), &Affine::IDENTITY);
                }
                png_bytes(&drawn, &notes)
            })
            .collect();
        for ((cell, range), picture) in pairs.iter().zip(drawn) {
            let stem = safe_name(&format!("{}.{}", cell.key.method, cell.key.layer));
            let (file, overlay_file) = (format!("{stem}.npy"), format!("{stem}.png"));
            let map = &cell.map;
            bundle.write(&file, &npy_bytes([map.width, map.height], &map.values)?)?;
            bundle.write(&overlay_file, &picture?)?;
            let (min, max) = map.range();
            let hidden = hidden_sign(map, cell.post.sign);
            let notices: Vec<&String> = map
                .notices
                .iter()
                .chain(&cell.field.notice)
                .chain(&hidden)
                .collect();
            let mut entry = json!({
                "method": map.method,
                "label": catalogue::find(&map.method)?.label,
                "layer": map.layer,
                "target": map.target,
                "file": file,
                "overlay": overlay_file,
                "grid": [map.height, map.width],
                "min": min,
                "max": max,
                "sign": cell.post.sign,
                "scale": range,
                "indicators": Indicators::of(map),
                "notices": notices,
            });
            if let Some(truth) = truth {
                entry["regions"] = json!(truth.measure(&cell.field, *range, &cell.post));
            }
            if !map.conservation.is_empty() {
                entry["conservation"] = json!(map.conservation);
            }
            maps.push(entry);
        }
    }
    Ok(maps)
}
