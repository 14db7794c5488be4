//! CheXlocalize (Saporta et al., Nature Machine Intelligence 2022): radiologists' outlines, and masks made from them.
//!
//! Annotations are `{picture: {"img_size": [h, w], finding: [[[x, y], ...], ...]}}`, segmentations are
//! `{picture: {finding: {"size": [h, w], "counts": text}}}` with COCO's run lengths. Pictures are called by the last parts of
//! CheXpert's paths joined by `_`.

use std::path::Path;

use serde_json::{Map, Value};

use super::coco::{corner, mask_of_rle, size_of};
use super::open::Found;
use super::{Region, Shape, Subject};
use crate::error::Result;
use crate::text::fault;

const SIZE: &str = "img_size";

/// Whether a file's content is one of the two kinds.
pub(super) fn is_chexlocalize(value: &Value) -> bool {
    let Some(first) = value
        .as_object()
        .and_then(|pictures| pictures.values().next())
    else {
        return false;
    };
    first.as_object().is_some_and(|picture| {
        picture.contains_key(SIZE)
            || picture
                .values()
                .any(|finding| finding.get("counts").is_some())
    })
}

/// The regions of a picture.
pub(super) fn read(file: &Path, value: &Value, subject: &Subject<'_>) -> Result<Found> {
    let mut found = Found::nothing();
    for (name, picture) in value.as_object().into_iter().flatten() {
        if !subject.is_called(name) {
            found.others.add(name);
            continue;
        }
        found.named = true;
        let Some(picture) = picture.as_object() else {
            return Err(fault::regions_place(
                file,
                name,
                &picture.to_string(),
                "an object of findings",
            ));
        };
        match picture.get(SIZE) {
            Some(size) => outlines(file, name, picture, size, subject, &mut found)?,
            None => masks(file, name, picture, subject, &mut found)?,
        }
    }
    Ok(found)
}

fn outlines(
    file: &Path,
    name: &str,
    picture: &Map<String, Value>,
    size: &Value,
    subject: &Subject<'_>,
    found: &mut Found,
) -> Result<()> {
    let place = format!("{name}.{SIZE}");
    let Some([height, width]) = size_of(size) else {
        return Err(fault::regions_place(
            file,
            &place,
            &size.to_string(),
            "[height, width]",
        ));
    };
    if [width, height] != subject.size {
        return Err(fault::regions_size(
            file,
            SIZE,
            [width, height],
            subject.size,
        ));
    }
    for (finding, rings) in picture.iter().filter(|(key, _)| key.as_str() != SIZE) {
        let place = format!("{name}.{finding}");
        let wrong = || {
            fault::regions_place(
                file,
                &place,
                &rings.to_string(),
                "a list of outlines [[x, y], ...]",
            )
        };
        let mut outlines = Vec::new();
        for ring in rings.as_array().ok_or_else(wrong)? {
            let corners: Option<Vec<[f64; 2]>> = ring
                .as_array()
                .and_then(|corners| corners.iter().map(corner).collect());
            outlines.push(corners.filter(|c| c.len() >= 3).ok_or_else(wrong)?);
        }
        if !outlines.is_empty() {
            let region = Region {
                shape: Shape::Polygon(outlines),
                label: finding.clone(),
                origin: String::new(),
            };
            found.regions.push((region, place));
        }
    }
    Ok(())
}

fn masks(
    file: &Path,
    name: &str,
    picture: &Map<String, Value>,
    subject: &Subject<'_>,
    found: &mut Found,
) -> Result<()> {
    for (finding, rle) in picture {
        let place = format!("{name}.{finding}");
        let mask = mask_of_rle(file, &place, rle, subject.size)?;
        // A finding that is not there has a mask without a pixel.
        if mask.inside.contains(&true) {
            let region = Region {
                shape: Shape::Mask(mask),
                label: finding.clone(),
                origin: String::new(),
            };
            found.regions.push((region, place));
        }
    }
    Ok(())
}
