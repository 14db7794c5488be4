//! Tables: NIH's boxes, RSNA's boxes, and the manifest of NIH's pictures with boxes.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use serde_json::Value;

use super::open::Found;
use super::{Region, Shape, Subject};
use crate::error::Result;
use crate::text::{fault, notice};

/// Columns by which RSNA's table is known.
pub(super) const RSNA_COLUMNS: [&str; 6] = ["patientId", "x", "y", "width", "height", "Target"];
/// The column of a manifest that holds boxes; its name says of which picture.
pub(super) const MANIFEST_BOXES: &str = "bboxes_json_px_in_1024_image";
/// Side of NIH's pictures, in pixels.
const NIH_SIDE: usize = 1024;

/// One row with its line in the file.
struct Row {
    line: u64,
    fields: StringRecord,
}

impl Row {
    fn text(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }

    fn number(&self, file: &Path, column: usize, name: &str) -> Result<f64> {
        let found = self.text(column);
        found
            .parse()
            .ok()
            .filter(|v: &f64| v.is_finite())
            .ok_or_else(|| {
                fault::regions_row(
                    file,
                    self.line,
                    &format!("{name} {}", fault::quoted(found)),
                    "a number",
                )
            })
    }

    /// A box from four columns.
    fn rectangle(&self, file: &Path, columns: [usize; 4]) -> Result<Shape> {
        let [x, y, w, h] = columns;
        let shape = rectangle([
            self.number(file, x, "x")?,
            self.number(file, y, "y")?,
            self.number(file, w, "width")?,
            self.number(file, h, "height")?,
        ]);
        shape.ok_or_else(|| {
            let found = format!("a box {} wide and {} high", self.text(w), self.text(h));
            fault::regions_row(file, self.line, &found, "a width and a height above 0")
        })
    }
}

/// A box with an area.
pub(super) fn rectangle([x, y, w, h]: [f64; 4]) -> Option<Shape> {
    let is_box = [x, y, w, h].iter().all(|v| v.is_finite()) && w > 0.0 && h > 0.0;
    is_box.then_some(Shape::Box { x, y, w, h })
}

/// The header and the rows.
fn rows(file: &Path, text: &str) -> Result<(StringRecord, Vec<Row>)> {
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let broken = |e: csv::Error| fault::regions_table(file, &e.to_string());
    let header = reader.headers().map_err(broken)?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let fields = record.map_err(broken)?;
        let line = fields.position().map_or(0, csv::Position::line);
        if fields.iter().any(|field| !field.is_empty()) {
            rows.push(Row { line, fields });
        }
    }
    Ok((header, rows))
}

fn place(row: &Row) -> String {
    fault::line_place(row.line)
}

fn region(shape: Shape, label: &str) -> Region {
    Region {
        shape,
        label: label.to_owned(),
        origin: String::new(),
    }
}

/// NIH ChestX-ray14's `BBox_List_2017.csv`: `Image Index,Finding Label,Bbox [x,y,w,h]`, where the brackets of the header
/// make four columns of the last one. Pixels of the pictures of 1024 x 1024 that NIH gave out.
pub(super) fn nih(file: &Path, text: &str, subject: &Subject<'_>) -> Result<Found> {
    let (_, rows) = rows(file, text)?;
    let mut found = Found::nothing();
    for row in rows {
        let name = row.text(0);
        if !subject.is_called(name) {
            found.others.add(name);
            continue;
        }
        found.named = true;
        let shape = row.rectangle(file, [2, 3, 4, 5])?;
        found
            .regions
            .push((region(shape, row.text(1)), place(&row)));
    }
    if subject.size != [NIH_SIDE; 2] && !found.regions.is_empty() {
        found.notices.push(notice::regions_of_nih(subject.size));
    }
    Ok(found)
}

/// RSNA's pneumonia challenge: `patientId,x,y,width,height,Target`, one row a box, and one without a box where `Target` is 0.
pub(super) fn rsna(file: &Path, text: &str, subject: &Subject<'_>) -> Result<Found> {
    let (header, rows) = rows(file, text)?;
    let column = |name: &str| {
        header
            .iter()
            .position(|field| field == name)
            .unwrap_or(usize::MAX)
    };
    let [patient, x, y, w, h, target] = RSNA_COLUMNS.map(column);
    let mut found = Found::nothing();
    for row in rows {
        let name = row.text(patient);
        if !subject.is_called(name) {
            found.others.add(name);
            continue;
        }
        found.named = true;
        match row.text(target) {
            "0" | "0.0" => {}
            "1" | "1.0" => {
                let shape = row.rectangle(file, [x, y, w, h])?;
                found
                    .regions
                    .push((region(shape, "Pneumonia"), place(&row)));
            }
            other => {
                let words = format!("Target {}", fault::quoted(other));
                return Err(fault::regions_row(file, row.line, &words, "0 or 1"));
            }
        }
    }
    Ok(found)
}

/// A manifest of pictures with boxes as JSON in one column: `[{"label", "x", "y", "w", "h"}]`.
pub(super) fn manifest(file: &Path, text: &str, subject: &Subject<'_>) -> Result<Found> {
    let (header, rows) = rows(file, text)?;
    let column = |name: &str| header.iter().position(|field| field == name);
    let boxes = column(MANIFEST_BOXES).unwrap_or(usize::MAX);
    let Some(names) = column("file") else {
        return Err(fault::regions_table(file, "there is no column 'file'"));
    };
    let mut found = Found::nothing();
    for row in rows {
        let (name, json) = (row.text(names), row.text(boxes));
        if !subject.is_called(name) {
            if !json.is_empty() {
                found.others.add(name);
            }
            continue;
        }
        found.named = true;
        if json.is_empty() {
            continue;
        }
        let wrong = || {
            let expected = "a list of {\"label\", \"x\", \"y\", \"w\", \"h\"} with w and h above 0";
            fault::regions_row(file, row.line, &fault::quoted(json), expected)
        };
        let list: Vec<Value> = serde_json::from_str(json).map_err(|_| wrong())?;
        for entry in list {
            let side = |name: &str| entry.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
            let shape = rectangle(["x", "y", "w", "h"].map(side)).ok_or_else(wrong)?;
            let label = entry
                .get("label")
                .and_then(Value::as_str)
                .unwrap_or_default();
            found.regions.push((region(shape, label), place(&row)));
        }
    }
    if subject.size != [NIH_SIDE; 2] && !found.regions.is_empty() {
        return Err(fault::regions_size(
            file,
            "a box",
            [NIH_SIDE; 2],
            subject.size,
        ));
    }
    Ok(found)
}
