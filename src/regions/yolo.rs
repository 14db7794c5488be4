//! YOLO's text: one object a line, `class cx cy w h` as shares of the picture, or `class x1 y1 x2 y2 ...` for outlines.

use std::path::Path;

use super::table::rectangle;
use super::{Region, Shape};
use crate::error::Result;
use crate::text::{class_number, fault};

/// Numbers of a line: a class and what follows it.
fn numbers(line: &str) -> Option<(u32, Vec<f64>)> {
    let mut fields = line.split_whitespace();
    let class = fields.next()?.parse().ok()?;
    let numbers: Vec<f64> = fields
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    Some((class, numbers))
}

/// Whether a line may be YOLO's.
pub(super) fn is_line(line: &str) -> bool {
    numbers(line).is_some_and(|(_, numbers)| numbers.len() >= 4)
}

/// The objects of a picture of `size`. A sixth number, the confidence of a prediction, is not read.
pub(super) fn read(file: &Path, text: &str, size: [usize; 2]) -> Result<Vec<(Region, String)>> {
    let [width, height] = size.map(|side| side as f64);
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let line_number = i as u64 + 1;
        let wrong =
            |expected: &str| fault::regions_row(file, line_number, &fault::quoted(line), expected);
        let Some((class, numbers)) = numbers(line) else {
            return Err(wrong(
                "a class number and shares of the picture: class cx cy w h",
            ));
        };
        if !numbers.iter().all(|v| (0.0..=1.0).contains(v)) {
            return Err(wrong("shares of the picture from 0 to 1"));
        }
        let shape = match numbers.as_slice() {
            [cx, cy, w, h] | [cx, cy, w, h, _] => {
                let corner = [(cx - w / 2.0) * width, (cy - h / 2.0) * height];
                rectangle([corner[0], corner[1], w * width, h * height])
                    .ok_or_else(|| wrong("a width and a height above 0"))?
            }
            corners if corners.len() >= 6 && corners.len().is_multiple_of(2) => {
                let corner = |pair: &[f64]| match pair {
                    [x, y] => [x * width, y * height],
                    _ => [0.0; 2],
                };
                Shape::Polygon(vec![corners.chunks_exact(2).map(corner).collect()])
            }
            _ => {
                return Err(wrong(
                    "class cx cy w h, or class and at least three corners",
                ));
            }
        };
        let region = Region {
            shape,
            label: class_number(class as usize),
            origin: String::new(),
        };
        found.push((region, fault::line_place(line_number)));
    }
    Ok(found)
}
