//! What a file is, without identity, and what recipes make of it.

use std::path::Path;

use serde::Serialize;

use crate::error::Result;
use crate::image::Image;
use crate::image::record::DicomFacts;
use crate::model::Model;
use crate::preprocess::{Recipe, prepare};

/// All that may be told about a picture.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// File name without folders.
    pub name: String,
    /// PNG, DICOM, ...
    pub format: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Bits of a sample.
    pub bits: u32,
    /// The largest value that the file's type can hold.
    pub white: f32,
    /// Smallest and largest value in the picture, on the scale from 0 to `white`.
    pub range: [f32; 2],
    /// Smallest and largest value as stored.
    pub stored_range: [f64; 2],
    /// Smallest and largest value in modality units.
    pub modality_range: [f64; 2],
    /// Of DICOM files.
    pub dicom: Option<DicomFacts>,
    /// What recipes make of it.
    pub recipes: Vec<Outcome>,
    /// What to know about the file.
    pub notices: Vec<String>,
}

/// What one recipe makes of a picture.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whose recipe it is: a network's name, or "standard".
    pub of: String,
    /// The recipe.
    pub recipe: Recipe,
    /// `[channels, height, width]` of the input.
    pub shape: [usize; 3],
    /// Smallest and largest value of the input.
    pub range: [f32; 2],
    /// Mean of the input.
    pub mean: f64,
    /// What an ordinary picture would span.
    pub expected_range: [f32; 2],
    /// What looks odd.
    pub notices: Vec<String>,
}

/// Looks into frame `frame` (from 0) of a file. With a model, its recipe is tried; otherwise `demo`'s and the two
/// standard ones for 224 x 224.
///
/// # Errors
/// The file cannot be read as a picture.
pub fn inspect(path: &Path, frame: usize, model: &Model, is_given: bool) -> Result<Inspection> {
    let image = Image::open_frame(path, frame)?;
    let mut recipes: Vec<(String, Recipe)> = Vec::new();
    if let Some(recipe) = &model.facts.recipe {
        recipes.push((model.name.clone(), recipe.value.clone()));
    }
    if !is_given {
        let standard = [
            Recipe::imagenet(3, STANDARD_SIZE),
            Recipe::torchxrayvision(STANDARD_SIZE),
        ];
        recipes.extend(standard.map(|recipe| ("standard".to_owned(), recipe)));
    }
    let outcomes = recipes
        .into_iter()
        .map(|(of, recipe)| outcome(of, recipe, &image))
        .collect::<Result<_>>()?;
    let range = ends(&image.values);
    let shown = &image.presentation;
    let rising = |[a, b]: [f64; 2]| [a.min(b), a.max(b)];
    Ok(Inspection {
        name: image.origin.name.clone(),
        format: image.origin.format.clone(),
        sha256: image.origin.sha256.clone(),
        width: image.width,
        height: image.height,
        channels: image.channels,
        bits: image.origin.bits,
        white: image.max_value,
        range,
        stored_range: rising(range.map(|v| shown.stored(v))),
        modality_range: rising(range.map(|v| shown.modality(v))),
        dicom: image.record.as_ref().map(|record| record.facts.clone()),
        recipes: outcomes,
        notices: image.notices,
    })
}

const STANDARD_SIZE: [usize; 2] = [224, 224];

fn outcome(of: String, recipe: Recipe, image: &Image) -> Result<Outcome> {
    let input = prepare(&recipe, image)?;
    let least = recipe.black().into_iter().fold(f32::INFINITY, f32::min);
    let most = recipe.white().into_iter().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = input.values.iter().map(|v| f64::from(*v)).sum();
    Ok(Outcome {
        of,
        shape: [input.channels, input.height, input.width],
        range: ends(&input.values),
        mean: sum / input.values.len().max(1) as f64,
        expected_range: [least, most],
        notices: input.notices,
        recipe,
    })
}

fn ends(values: &[f32]) -> [f32; 2] {
    values
        .iter()
        .fold([f32::INFINITY, f32::NEG_INFINITY], |[lo, hi], &v| {
            [lo.min(v), hi.max(v)]
        })
}
