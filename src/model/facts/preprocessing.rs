//! Preprocessing as Hugging Face and timm write it, made into a [`Recipe`].

use serde_json::Value;

use super::document::{Document, SIDE, as_side, kind};
use crate::error::Result;
use crate::preprocess::{Filter, Fit, Recipe, Scale};
use crate::text::fault;

/// What is expected of a mean or a standard deviation.
const CHANNELS: &str = "one number a channel";

/// The recipe of any JSON file: one of this program, a `preprocessor_config.json`, or timm's
/// `config.json` or `pretrained_cfg`.
///
/// # Errors
/// Names the key that is wrong.
pub(super) fn any(doc: &Document, channels: usize) -> Result<Recipe> {
    if doc.get("fit").is_some() && doc.get("scale").is_some() {
        return own(doc, channels);
    }
    if let Some(cfg) = timm_config(doc)? {
        return timm(&cfg, channels);
    }
    preprocessor(doc, channels)
}

/// A recipe as this program writes it.
fn own(doc: &Document, channels: usize) -> Result<Recipe> {
    let recipe: Recipe = serde_json::from_value(Value::Object(doc.map.clone()))
        .map_err(|e| fault::bad_json(&doc.path, &e.to_string()))?;
    if recipe.channels != channels {
        let error = fault::recipe_channels(recipe.channels, channels);
        return Err(fault::config_recipe(&doc.path, error.message()));
    }
    checked(doc, recipe)
}

/// timm's description of preprocessing, where the file has one.
pub(super) fn timm_config(doc: &Document) -> Result<Option<Document>> {
    if let Some(cfg) = doc.object("pretrained_cfg")? {
        return Ok(Some(cfg));
    }
    Ok(doc.get("input_size").is_some().then(|| doc.clone()))
}

/// timm's `pretrained_cfg`: resize of the shorter side to `size / crop_pct`, then the centre. What is
/// absent has timm's defaults (`timm.data.resolve_data_config`).
pub(super) fn timm(doc: &Document, channels: usize) -> Result<Recipe> {
    let [height, width] = match doc.get("input_size") {
        None => [224, 224],
        Some(value) => {
            let wrong = || doc.wrong("input_size", value, "[channels, rows, columns]");
            let Some([_, h, w]) = value.as_array().map(Vec::as_slice) else {
                return Err(wrong());
            };
            [as_side(h).ok_or_else(wrong)?, as_side(w).ok_or_else(wrong)?]
        }
    };
    let filter = match doc.text("interpolation")? {
        None => Filter::Bicubic,
        Some(name) => Filter::by_name(name).ok_or_else(|| {
            let names = Filter::ALL.map(Filter::name).join(", ");
            fault::config_value(&doc.path, "interpolation", &quoted(name), &names)
        })?,
    };
    let share = doc.positive("crop_pct")?.unwrap_or(0.875);
    if !(0.05..=1.0).contains(&share) {
        return Err(fault::config_value(
            &doc.path,
            "crop_pct",
            &share.to_string(),
            "a share from 0.05 to 1",
        ));
    }
    let scaled = |side: usize| (side as f64 / share).floor() as usize;
    let fit = match doc.text("crop_mode")?.unwrap_or("center") {
        "squash" => stretch_crop([width, height], [scaled(width), scaled(height)], |spare| {
            (spare as f64 / 2.0).round_ties_even() as usize
        }),
        "center" if width == height => Fit::CenterCrop {
            resize: scaled(width),
        },
        "center" => {
            return Err(fault::config_unsupported(
                &doc.path,
                "input_size",
                &format!("{height} x {width}"),
                "a square, or 'crop_mode' squash",
            ));
        }
        other => {
            return Err(fault::config_unsupported(
                &doc.path,
                "crop_mode",
                &quoted(other),
                "center or squash",
            ));
        }
    };
    let imagenet = Recipe::imagenet(channels, [width, height]);
    let recipe = Recipe {
        name: "timm".to_owned(),
        fit,
        filter,
        mean: per_channel(doc, "mean", channels)?.unwrap_or_else(|| imagenet.mean.clone()),
        std: per_channel(doc, "std", channels)?.unwrap_or_else(|| imagenet.std.clone()),
        ..imagenet
    };
    checked(doc, recipe)
}

/// Hugging Face's `preprocessor_config.json`.
pub(super) fn preprocessor(doc: &Document, channels: usize) -> Result<Recipe> {
    let kind_of = doc
        .text("image_processor_type")?
        .or(doc.text("feature_extractor_type")?)
        .unwrap_or_default();
    if doc.flag("do_resize")? == Some(false) {
        return Err(fault::config_unsupported(
            &doc.path,
            "do_resize",
            "false",
            "true, since a network's input has one size",
        ));
    }
    let filter = filter(doc)?;
    let crops = doc.flag("do_center_crop")?.unwrap_or(false);
    let crop = size_of(doc, "crop_size")?;
    let share = doc.positive("crop_pct")?;
    let size = size_of(doc, "size")?.ok_or_else(|| missing(doc, "size"))?;
    let by_share = share.is_some() || kind_of.starts_with("ConvNext");
    let ([width, height], fit) = match size {
        // ConvNext's processor, which ResNet uses too: below 384 the shorter side becomes size / crop_pct
        // and the centre is cut out, from 384 on the picture is stretched.
        Size::Edge(side) if by_share && !crops => {
            if side < 384 {
                let resize = (side as f64 / share.unwrap_or(224.0 / 256.0)).floor() as usize;
                ([side, side], Fit::CropDown { resize })
            } else {
                ([side, side], Fit::Stretch)
            }
        }
        Size::Edge(resize) if crops || crop.is_some() => {
            let model = match crop {
                Some(Size::Sides(sides)) => sides,
                Some(Size::Edge(side)) => [side, side],
                None => [resize, resize],
            };
            (model, Fit::CropDown { resize })
        }
        // A plain number that nothing crops is a square; a named shorter side leaves the other one open.
        Size::Edge(side) if doc.get("size").is_some_and(Value::is_number) => {
            ([side, side], Fit::Stretch)
        }
        Size::Edge(_) => {
            return Err(fault::config_unsupported(
                &doc.path,
                "size",
                "a shorter side without a centre crop",
                "'do_center_crop' with a 'crop_size', or a height and a width",
            ));
        }
        Size::Sides(sides) if crops => {
            let model = match crop {
                Some(Size::Sides(sides)) => sides,
                Some(Size::Edge(side)) => [side, side],
                None => sides,
            };
            (model, stretch_crop(model, sides, |spare| spare / 2))
        }
        Size::Sides(sides) => (sides, Fit::Stretch),
    };
    let (mean, std) = normalisation(doc, channels, kind_of.starts_with("EfficientNet"))?;
    let recipe = Recipe {
        name: "preprocessor_config.json".to_owned(),
        channels,
        width,
        height,
        fit,
        filter,
        scale: Scale::Unit,
        mean,
        std,
    };
    checked(doc, recipe)
}

/// A size in Hugging Face's spellings.
#[derive(Clone, Copy)]
enum Size {
    /// A shorter side.
    Edge(usize),
    /// `[width, height]`.
    Sides([usize; 2]),
}

fn size_of(doc: &Document, key: &str) -> Result<Option<Size>> {
    let Some(value) = doc.get(key) else {
        return Ok(None);
    };
    let side = |name: &str| -> Result<Option<usize>> {
        value
            .get(name)
            .filter(|v| !v.is_null())
            .map(|v| as_side(v).ok_or_else(|| doc.wrong(&format!("{key}.{name}"), v, SIDE)))
            .transpose()
    };
    match value {
        Value::Number(_) => Ok(doc.side(key)?.map(Size::Edge)),
        Value::Array(sides) => match sides.as_slice() {
            [h, w] => match (as_side(h), as_side(w)) {
                (Some(h), Some(w)) => Ok(Some(Size::Sides([w, h]))),
                _ => Err(doc.wrong(key, value, SIDE)),
            },
            _ => Err(doc.wrong(key, value, "[rows, columns]")),
        },
        Value::Object(_) => match (side("height")?, side("width")?, side("shortest_edge")?) {
            (Some(h), Some(w), _) => Ok(Some(Size::Sides([w, h]))),
            (None, None, Some(edge)) => Ok(Some(Size::Edge(edge))),
            _ => Err(doc.wrong(key, value, "a height and a width, or a shortest_edge")),
        },
        _ => Err(doc.wrong(key, value, SIDE)),
    }
}

fn filter(doc: &Document) -> Result<Filter> {
    let Some(value) = doc.get("resample") else {
        return Ok(Filter::Bilinear);
    };
    value
        .as_u64()
        .and_then(Filter::from_pillow)
        .ok_or_else(|| doc.wrong("resample", value, "Pillow's number of a filter, 0 to 5"))
}

/// Mean and standard deviation for values in 0..=1, with the rescaling folded in.
fn normalisation(doc: &Document, channels: usize, efficient: bool) -> Result<(Vec<f32>, Vec<f32>)> {
    if doc.flag("rescale_offset")?.unwrap_or(false) {
        return Err(fault::config_unsupported(
            &doc.path,
            "rescale_offset",
            "true",
            "false, with mean and standard deviation to the same effect",
        ));
    }
    let (mut mean, mut std) = if doc.flag("do_normalize")?.unwrap_or(true) {
        (
            per_channel(doc, "image_mean", channels)?.ok_or_else(|| missing(doc, "image_mean"))?,
            per_channel(doc, "image_std", channels)?.ok_or_else(|| missing(doc, "image_std"))?,
        )
    } else {
        (vec![0.0; channels], vec![1.0; channels])
    };
    if efficient && doc.flag("include_top")?.unwrap_or(true) {
        // Its processor divides by the standard deviation a second time: (share - mean) / std / std.
        for s in &mut std {
            *s *= *s;
        }
    }
    let factor = if doc.flag("do_rescale")?.unwrap_or(true) {
        doc.positive("rescale_factor")?.unwrap_or(1.0 / 255.0)
    } else {
        1.0
    };
    // Numbers as the network sees them, for white: 1 in the usual case, which changes nothing.
    let white = 255.0 * factor;
    if (white - 1.0).abs() > 1e-6 {
        for v in mean.iter_mut().chain(&mut std) {
            *v = (f64::from(*v) / white) as f32;
        }
    }
    Ok((mean, std))
}

/// One number a channel; one number stands for all, and three equal ones for one.
fn per_channel(doc: &Document, key: &str, channels: usize) -> Result<Option<Vec<f32>>> {
    let Some(list) = doc.numbers(key)? else {
        return Ok(None);
    };
    let list: Vec<f32> = list.into_iter().map(|v| v as f32).collect();
    let wrong = || {
        let found = doc.get(key).map_or_else(String::new, kind);
        fault::config_value(&doc.path, key, &found, CHANNELS)
    };
    match list.as_slice() {
        list if list.len() == channels => Ok(Some(list.to_vec())),
        [one] => Ok(Some(vec![*one; channels])),
        [r, g, b] if channels == 1 && r == g && g == b => Ok(Some(vec![*r])),
        _ => Err(wrong()),
    }
}

fn stretch_crop(model: [usize; 2], from: [usize; 2], half: impl Fn(usize) -> usize) -> Fit {
    if model == from {
        return Fit::Stretch;
    }
    Fit::StretchCrop {
        width: from[0],
        height: from[1],
        left: half(from[0].saturating_sub(model[0])),
        top: half(from[1].saturating_sub(model[1])),
    }
}

fn missing(doc: &Document, key: &str) -> crate::Error {
    fault::config_value(&doc.path, key, "missing", "a value for it")
}

/// A text of the file, safe for one line of an error.
fn quoted(text: &str) -> String {
    kind(&Value::String(text.to_owned()))
}

/// A recipe that holds together.
fn checked(doc: &Document, recipe: Recipe) -> Result<Recipe> {
    recipe
        .check()
        .map_err(|error| fault::config_recipe(&doc.path, error.message()))?;
    Ok(recipe)
}
