//! Files of regions.

use std::path::Path;

use super::{input, limits};
use crate::error::Error;

/// What kinds of files are read.
const KINDS: &str = "NIH's or RSNA's table of boxes (CSV), COCO or CheXlocalize JSON, YOLO's text (class cx cy w h), or a mask as PNG";
/// Longest piece of a file that is repeated, in characters.
const LONGEST: usize = 60;

/// A piece of a file in quotes, cut where it is long.
pub fn quoted(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "nothing".to_owned();
    }
    let short: String = text.chars().take(LONGEST).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("'{short}{more}'")
}

fn short(text: &str) -> String {
    let quoted = quoted(text);
    quoted.trim_matches('\'').to_owned()
}

/// A line of a file, as a place in it.
pub fn line_place(line: u64) -> String {
    format!("line {line}")
}

/// No kind of file that holds regions.
pub fn regions_format(path: &Path, found: &str) -> Error {
    input(format!(
        "'{}' is no file of regions: found {found}; expected {KINDS}",
        path.display()
    ))
}

/// JSON that breaks off or is none.
pub fn regions_json(path: &Path, why: &str) -> Error {
    input(format!(
        "'{}' cannot be read as JSON: {why}; expected COCO or CheXlocalize JSON",
        path.display()
    ))
}

/// A table that cannot be read.
pub fn regions_table(path: &Path, why: &str) -> Error {
    input(format!(
        "'{}' cannot be read as a table of boxes: {why}",
        path.display()
    ))
}

/// A row that does not hold together.
pub fn regions_row(path: &Path, line: u64, found: &str, expected: &str) -> Error {
    regions_place(path, &line_place(line), found, expected)
}

/// A place in a file that does not hold together.
pub fn regions_place(path: &Path, place: &str, found: &str, expected: &str) -> Error {
    input(format!(
        "'{}', {place}: found {}; expected {expected}",
        path.display(),
        short(found)
    ))
}

/// A file of regions for a picture of another size.
pub fn regions_size(path: &Path, what: &str, found: [usize; 2], expected: [usize; 2]) -> Error {
    input(format!(
        "'{}', {what}: found a size of {} x {} pixels; expected that of the X-ray, {} x {} (nothing is stretched to fit)",
        path.display(),
        found[0],
        found[1],
        expected[0],
        expected[1]
    ))
}

/// A shape that lies off the picture.
pub fn region_outside(path: &Path, place: &str, bounds: [f64; 4], size: [usize; 2]) -> Error {
    let [left, top, right, bottom] = bounds.map(|v| (10.0 * v).round() / 10.0);
    let comma = if place.is_empty() { "" } else { ", " };
    input(format!(
        "'{}'{comma}{place}: found a region from {left}, {top} to {right}, {bottom}, which is not on the X-ray of {} x {} \
         pixels; expected pixels of this X-ray (was it resized?)",
        path.display(),
        size[0],
        size[1]
    ))
}

/// The file says that nothing is on this picture.
pub fn regions_none_drawn(path: &Path, picture: &str) -> Error {
    input(format!(
        "'{}' has no region for '{picture}': it names this picture and draws nothing on it",
        path.display()
    ))
}

/// The file is about other pictures.
pub fn regions_other_pictures(
    path: &Path,
    picture: &str,
    others: usize,
    example: Option<&String>,
) -> Error {
    let found = match example {
        None => "it names no picture at all".to_owned(),
        Some(name) if others == 1 => format!("found '{}' alone", short(name)),
        Some(name) => format!("found {others} other pictures, such as '{}'", short(name)),
    };
    input(format!(
        "'{}' has no region for '{picture}': {found}; expected a picture of that name",
        path.display()
    ))
}

/// A PNG that cannot be decoded.
pub fn regions_png(path: &Path, why: &str) -> Error {
    limits(format!(
        "'{}' cannot be read as a mask: {why}; expected a PNG that is 0 outside the region",
        path.display()
    ))
}

/// A mask without a pixel.
pub fn regions_empty_mask(path: &Path) -> Error {
    input(format!(
        "'{}' has no region: every pixel of the mask is 0; expected other numbers inside the region",
        path.display()
    ))
}
