//! COCO's JSON (Lin et al., ECCV 2014): boxes, outlines and run lengths, read and written.
//!
//! What COCO has no word for goes into `attributes`, as CVAT does it: an ellipse is written as an outline that any program
//! can draw, and its axes beside it, so that it comes back as an ellipse.

use std::path::Path;

use serde_json::{Value, json};

use super::mask::Mask;
use super::open::Found;
use super::rle::{self, Wrong};
use super::table::rectangle;
use super::{Region, Regions, Shape, Subject};
use crate::error::Result;
use crate::text::{APP, RESEARCH_ONLY, fault};

/// Whether a file's content is COCO's.
pub(super) fn is_coco(value: &Value) -> bool {
    value.get("images").is_some_and(Value::is_array)
        && value.get("annotations").is_some_and(Value::is_array)
}

/// Two whole numbers.
pub(super) fn size_of(value: &Value) -> Option<[usize; 2]> {
    let [a, b] = value.as_array()?.as_slice() else {
        return None;
    };
    Some([a.as_u64()? as usize, b.as_u64()? as usize])
}

/// Two numbers.
pub(super) fn corner(value: &Value) -> Option<[f64; 2]> {
    let [x, y] = value.as_array()?.as_slice() else {
        return None;
    };
    Some([x.as_f64()?, y.as_f64()?])
}

/// The regions of a picture.
pub(super) fn read(file: &Path, value: &Value, subject: &Subject<'_>) -> Result<Found> {
    let list = |name: &str| {
        value
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let mut found = Found::nothing();
    let mut ids: Vec<&Value> = Vec::new();
    for (i, image) in list("images").enumerate() {
        let name = image
            .get("file_name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !subject.is_called(name) {
            found.others.add(name);
            continue;
        }
        found.named = true;
        let place = format!("images[{i}]");
        let Some(id) = image.get("id") else {
            return Err(fault::regions_place(file, &place, "no id", "an id"));
        };
        let side = |name: &str| {
            image
                .get(name)
                .and_then(Value::as_u64)
                .map(|side| side as usize)
        };
        if let (Some(width), Some(height)) = (side("width"), side("height"))
            && [width, height] != subject.size
        {
            return Err(fault::regions_size(
                file,
                &place,
                [width, height],
                subject.size,
            ));
        }
        ids.push(id);
    }
    for (i, annotation) in list("annotations").enumerate() {
        if !annotation
            .get("image_id")
            .is_some_and(|id| ids.contains(&id))
        {
            continue;
        }
        let place = format!("annotations[{i}]");
        let category = annotation.get("category_id");
        let label = list("categories")
            .find(|entry| entry.get("id") == category)
            .and_then(|entry| entry.get("name"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let region = Region {
            shape: shape_of(file, &place, annotation, subject.size)?,
            label: label.to_owned(),
            origin: String::new(),
        };
        found.regions.push((region, place));
    }
    Ok(found)
}

fn shape_of(file: &Path, place: &str, annotation: &Value, size: [usize; 2]) -> Result<Shape> {
    if let Some(ellipse) = annotation.get("attributes").and_then(ellipse_of) {
        return Ok(ellipse);
    }
    match annotation.get("segmentation") {
        Some(Value::Array(rings)) if !rings.is_empty() => {
            let place = format!("{place}.segmentation");
            let wrong = |ring: &Value| {
                let expected = "an outline [x1, y1, x2, y2, ...] of at least three corners";
                fault::regions_place(file, &place, &ring.to_string(), expected)
            };
            let mut outlines = Vec::with_capacity(rings.len());
            for ring in rings {
                let numbers: Option<Vec<f64>> = ring
                    .as_array()
                    .and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
                let numbers = numbers
                    .filter(|n| n.len() >= 6 && n.len().is_multiple_of(2))
                    .ok_or_else(|| wrong(ring))?;
                let corners = numbers.chunks_exact(2).map(|pair| match pair {
                    [x, y] => [*x, *y],
                    _ => [0.0; 2],
                });
                outlines.push(corners.collect());
            }
            Ok(Shape::Polygon(outlines))
        }
        Some(rle @ Value::Object(_)) => {
            let place = format!("{place}.segmentation");
            mask_of_rle(file, &place, rle, size).map(Shape::Mask)
        }
        _ => {
            let place = format!("{place}.bbox");
            let found = annotation.get("bbox").cloned().unwrap_or_default();
            let sides = found.as_array().map(Vec::as_slice);
            let numbers = match sides {
                Some([x, y, w, h]) => [x, y, w, h].map(|v| v.as_f64().unwrap_or(f64::NAN)),
                _ => [f64::NAN; 4],
            };
            rectangle(numbers).ok_or_else(|| {
                let expected = "[x, y, width, height] with a width and a height above 0";
                fault::regions_place(file, &place, &found.to_string(), expected)
            })
        }
    }
}

fn ellipse_of(attributes: &Value) -> Option<Shape> {
    if attributes.get("shape")?.as_str()? != "ellipse" {
        return None;
    }
    let number = |name: &str| {
        attributes
            .get(name)
            .and_then(Value::as_f64)
            .filter(|v| v.is_finite())
    };
    let (cx, cy) = (number("cx")?, number("cy")?);
    let (rx, ry) = (number("rx")?, number("ry")?);
    (rx > 0.0 && ry > 0.0).then_some(Shape::Ellipse { cx, cy, rx, ry })
}

/// A mask from `{"size": [h, w], "counts": [..] | text}`; `size` is the picture's `[width, height]`.
pub(super) fn mask_of_rle(file: &Path, place: &str, rle: &Value, size: [usize; 2]) -> Result<Mask> {
    let wrong = |found: &str, expected: &str| fault::regions_place(file, place, found, expected);
    let Some([height, width]) = rle.get("size").and_then(size_of) else {
        return Err(wrong(
            &rle.to_string(),
            "run lengths with a size [height, width]",
        ));
    };
    if [width, height] != size {
        return Err(fault::regions_size(file, place, [width, height], size));
    }
    let expected = "run lengths: a list of whole numbers or COCO's text";
    let counts = match rle.get("counts") {
        Some(Value::Array(list)) => list
            .iter()
            .map(Value::as_u64)
            .collect::<Option<Vec<u64>>>()
            .ok_or_else(|| wrong("counts that are no whole numbers", expected))?,
        Some(Value::String(text)) => {
            rle::from_text(text).map_err(|_| wrong(&fault::quoted(text), expected))?
        }
        _ => return Err(wrong("no counts", expected)),
    };
    rle::decode(&counts, size).map_err(|error| match error {
        Wrong::Count(sum) => wrong(
            &format!("run lengths of {sum} pixels"),
            &format!("{} pixels", width * height),
        ),
        Wrong::Text => wrong("a text of run lengths that breaks off", expected),
    })
}

/// The regions of a picture called `name` as COCO's JSON: boxes as `bbox`, outlines as lists of corners, masks as run
/// lengths in text, ellipses as outlines with their axes in `attributes`. `area` counts pixels.
pub fn to_coco(regions: &Regions, name: &str) -> String {
    let labels = regions.labels();
    let annotations: Vec<Value> = regions
        .list
        .iter()
        .enumerate()
        .map(|(i, region)| {
            let category = labels.iter().position(|label| *label == region.label);
            let [left, top, right, bottom] = region.shape.bounds();
            let mut entry = json!({
                "id": i + 1,
                "image_id": 1,
                "category_id": category.map_or(0, |at| at + 1),
                "bbox": [left, top, right - left, bottom - top],
                "area": region.shape.pixels(regions.size),
                "iscrowd": 0,
                "segmentation": segmentation(&region.shape),
            });
            if let Shape::Box { x, y, w, h } = region.shape {
                // The four numbers as they are: a difference would round them.
                entry["bbox"] = json!([x, y, w, h]);
            }
            let mut attributes = json!({});
            if let Shape::Ellipse { cx, cy, rx, ry } = region.shape {
                attributes = json!({"shape": "ellipse", "cx": cx, "cy": cy, "rx": rx, "ry": ry});
            }
            if !region.origin.is_empty() {
                attributes["origin"] = json!(region.origin);
            }
            entry["attributes"] = attributes;
            entry
        })
        .collect();
    let whole = json!({
        "info": {"description": RESEARCH_ONLY, "contributor": APP, "version": env!("CARGO_PKG_VERSION")},
        "images": [{
            "id": 1, "file_name": name, "width": regions.size[0], "height": regions.size[1],
        }],
        "categories": labels.iter().enumerate().map(|(i, label)| json!({
            "id": i + 1, "name": label,
        })).collect::<Vec<_>>(),
        "annotations": annotations,
    });
    format!("{whole:#}\n")
}

fn segmentation(shape: &Shape) -> Value {
    match shape {
        Shape::Box { .. } => json!([]),
        Shape::Ellipse { .. } | Shape::Polygon(_) => {
            let rings = shape.outline();
            json!(rings.iter().map(|ring| ring.concat()).collect::<Vec<_>>())
        }
        Shape::Mask(mask) => json!({
            "size": [mask.size[1], mask.size[0]],
            "counts": rle::to_text(&rle::encode(mask)),
        }),
    }
}
