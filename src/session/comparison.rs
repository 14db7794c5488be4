//! `camlens figure`: methods in rows, layers in columns, one picture to look at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::analysis::Analysis;
use super::figure::{Exhibit, ExhibitCase, ExhibitPanel};
use super::grid::{plan_target, resolve_target};
use super::picture::Picture;
use super::regions::open_regions;
use super::samples;
use crate::error::Result;
use crate::explain::catalogue;
use crate::export::{png_bytes, write_whole};
use crate::image::Image;
use crate::job::Job;
use crate::model::Model;
use crate::plan::{ImageSource, MapKey, Plan, Post, Target, Values};
use crate::regions::{Mask, Region, Shape};
use crate::text::{APP, RESEARCH_ONLY, fault};

/// A figure that is to be made.
pub struct Comparison {
    /// Network, image, target, layers, regions to outline, and how maps are shown; its methods are not read.
    pub plan: Plan,
    /// Methods with parameters, one row each.
    pub rows: Vec<(String, Values)>,
    /// A picture of the image's size that is bright where the finding is, to be outlined; `None`: the sample's own.
    pub mask: Option<PathBuf>,
    /// 1 gives panels 480 pixels wide.
    pub scale: f32,
}

/// Makes every map and writes the figure. What should be known about it is handed back in words.
///
/// # Errors
/// Anything that is wrong with the files or the plan; a method that is not defined at a layer; cancellation.
pub fn run(comparison: &Comparison, out: &Path, job: &Job) -> Result<Vec<String>> {
    let plan = &comparison.plan;
    let model = Arc::new(Model::open_on(
        &plan.model,
        plan.arch.as_deref(),
        &plan.given,
        plan.device,
    )?);
    let mut layers: Vec<String> = Vec::new();
    for wanted in &plan.layers {
        for layer in model.layers_named(wanted)? {
            if !layers.contains(&layer) {
                layers.push(layer);
            }
        }
    }
    let picture = Picture::open(&plan.image)?;
    let input = Arc::new(picture.input_for(&model)?);
    let mut notices = model.notices.clone();
    let mut regions = match &plan.regions {
        Some(path) => {
            let regions = open_regions(path, &picture, &plan.image)?;
            notices.extend(regions.notices);
            regions.list
        }
        None => Vec::new(),
    };
    if let Some(mask) = mask_of(comparison)? {
        regions.push(region_of(&picture, &mask)?);
    }
    let target = resolve_target(&model, plan)?;
    let mut analysis = Analysis::run(Arc::clone(&model), input, job)?;
    let target = target.unwrap_or_else(|| Target {
        class: analysis.top(),
        ..plan_target(plan)
    });
    let mut panels = Vec::with_capacity(comparison.rows.len() * layers.len());
    for (id, params) in &comparison.rows {
        let method = catalogue::find(id)?;
        method.check(params)?;
        for layer in &layers {
            let key = MapKey {
                method: id.clone(),
                layer: method.layer_of(layer).to_owned(),
                target,
                params: params.clone(),
            };
            panels.push(ExhibitPanel {
                case: 0,
                target,
                map: Some(Arc::new(analysis.map(&key, job)?)),
                post: Post {
                    sign: plan.sign.unwrap_or_else(|| method.usual_sign()),
                    ..plan.post
                },
                view: plan.view,
                params: params.clone(),
                unfinished: None,
            });
        }
    }
    let exhibit = Exhibit {
        cases: vec![ExhibitCase {
            findings: analysis.findings(),
            picture: Arc::new(picture),
            regions,
            model: Arc::clone(&model),
        }],
        panels,
        columns: layers.len(),
    };
    let figure = exhibit.render(comparison.scale)?;
    let notes = [("Software", APP), ("Disclaimer", RESEARCH_ONLY)];
    write_whole(out, &png_bytes(&figure, &notes)?)?;
    Ok(notices)
}

/// The picture of where the finding is.
fn mask_of(comparison: &Comparison) -> Result<Option<Image>> {
    match (&comparison.mask, &comparison.plan.image) {
        (Some(path), _) => Image::open(path).map(Some),
        // Regions that the user gives take the place of the sample's own.
        (None, _) if comparison.plan.regions.is_some() => Ok(None),
        (None, ImageSource::Sample(name)) => {
            let sample = samples::find(name)?;
            let read = |bytes| Image::from_bytes(&sample.file, None, bytes);
            sample.mask.map(read).transpose()
        }
        (None, _) => Ok(None),
    }
}

/// Where the finding is.
fn region_of(picture: &Picture, mask: &Image) -> Result<Region> {
    let size = picture.size();
    if mask.size() != size {
        return Err(fault::mask_size(&mask.origin.name, mask.size(), size));
    }
    let grey = mask.grey();
    let inside = grey.iter().map(|v| *v > 0.5 * mask.max_value).collect();
    Ok(Region {
        shape: Shape::Mask(Mask::new(size, inside)),
        label: String::new(),
        origin: mask.origin.name.clone(),
    })
}
