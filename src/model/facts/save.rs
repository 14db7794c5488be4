//! Facts as Hugging Face's files hold them, so that other programs read them too.
//!
//! A recipe that those files cannot say in full (a square cut from the centre, padding) also stands under
//! a key of this program. It counts only as long as the common keys are still those that were written
//! with it: whoever edits them afterwards is believed.

use serde_json::{Map, Value, json};

use super::document::Document;
use super::{Facts, Provenance};
use crate::plan::Activation;
use crate::preprocess::{Fit, Recipe, Scale};

/// Key of the recipe in full.
const OWN: &str = "camlens_recipe";

/// `config.json` with labels and activation, every other key of an existing file kept; `None` where
/// both are guesses. A guess is never written: it would come back as a fact.
pub fn config_json(
    facts: &Facts,
    existing: Option<&Map<String, Value>>,
) -> Option<Map<String, Value>> {
    let mut map = existing.cloned().unwrap_or_default();
    let mut changed = false;
    if facts.labels.from != Provenance::Guessed && !facts.labels.value.is_empty() {
        let labels = facts.labels.value.iter().enumerate();
        let by_index: Map<String, Value> = labels
            .clone()
            .map(|(i, label)| (i.to_string(), json!(label)))
            .collect();
        let by_label: Map<String, Value> = labels
            .filter(|(_, label)| !label.is_empty())
            .map(|(i, label)| (label.clone(), json!(i)))
            .collect();
        map.insert("id2label".to_owned(), Value::Object(by_index));
        map.insert("label2id".to_owned(), Value::Object(by_label));
        changed = true;
    }
    if facts.activation.from != Provenance::Guessed {
        let problem = match facts.activation.value {
            Activation::Softmax => "single_label_classification",
            Activation::Sigmoid => "multi_label_classification",
        };
        map.insert("problem_type".to_owned(), json!(problem));
        changed = true;
    }
    changed.then_some(map)
}

/// `preprocessor_config.json` of the recipe, every other key of an existing file kept; `None` where it
/// is a guess.
pub fn preprocessor_json(
    facts: &Facts,
    existing: Option<&Map<String, Value>>,
) -> Option<Map<String, Value>> {
    let fact = facts.recipe.as_ref()?;
    if fact.from == Provenance::Guessed {
        return None;
    }
    let mut map = existing.cloned().unwrap_or_default();
    for key in COMMON {
        map.remove(key);
    }
    map.extend(common_keys(&fact.value));
    // By way of text, which has the shortest numbers.
    if let Ok(own) = serde_json::to_string(&fact.value).and_then(|t| serde_json::from_str(&t)) {
        map.insert(OWN.to_owned(), own);
    }
    Some(map)
}

/// The recipe in full, where the common keys still say what was written with it.
pub(super) fn own_recipe(doc: &Document, channels: usize) -> Option<Recipe> {
    let recipe: Recipe = serde_json::from_value(doc.get(OWN)?.clone()).ok()?;
    if recipe.channels != channels || recipe.check().is_err() {
        return None;
    }
    let expected = common_keys(&recipe);
    let none = Value::Null;
    let same = COMMON.iter().all(|key| {
        let found = doc.map.get(*key).unwrap_or(&none);
        agree(found, expected.get(*key).unwrap_or(&none))
    });
    same.then_some(recipe)
}

/// Whether two values agree; numbers up to what is lost in writing and reading them.
fn agree(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let own = |(key, a)| b.get(key).is_some_and(|b| agree(a, b));
            a.len() == b.len() && a.iter().all(own)
        }
        _ => a == b,
    }
}

/// The shortest number that reads back as the same f32.
fn short(values: &[f32]) -> Vec<f64> {
    let one = |v: &f32| v.to_string().parse().unwrap_or(f64::from(*v));
    values.iter().map(one).collect()
}

/// Keys of Hugging Face's files that a recipe decides.
const COMMON: [&str; 12] = [
    "do_resize",
    "size",
    "resample",
    "do_center_crop",
    "crop_size",
    "crop_pct",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "include_top",
];

/// A recipe in Hugging Face's keys, as far as they can say it.
fn common_keys(recipe: &Recipe) -> Map<String, Value> {
    let sides = |width: usize, height: usize| json!({"height": height, "width": width});
    let model = sides(recipe.width, recipe.height);
    let (size, crop) = match recipe.fit {
        Fit::Stretch | Fit::SquareCrop | Fit::Pad => (model, None),
        Fit::CenterCrop { resize } | Fit::CropDown { resize } => {
            (json!({"shortest_edge": resize}), Some(model))
        }
        Fit::StretchCrop { width, height, .. } => (sides(width, height), Some(model)),
    };
    let (mean, std) = match recipe.scale {
        Scale::Unit => (recipe.mean.clone(), recipe.std.clone()),
        // (v / 255 - 1/2) * 2048 is the same as (2 v / 255 - 1) * 1024.
        Scale::XRayVision => (
            vec![0.5; recipe.channels],
            vec![1.0 / 2048.0; recipe.channels],
        ),
    };
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("do_resize", json!(true));
    put("size", size);
    put("resample", json!(recipe.filter.pillow()));
    put("do_center_crop", json!(crop.is_some()));
    if let Some(crop) = crop {
        put("crop_size", crop);
    }
    put("do_rescale", json!(true));
    put("rescale_factor", json!(1.0 / 255.0));
    put("do_normalize", json!(true));
    put("image_mean", json!(short(&mean)));
    put("image_std", json!(short(&std)));
    put("include_top", json!(false));
    map
}
