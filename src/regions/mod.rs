//! Where somebody drew: boxes, ellipses, outlines and masks in pixels of the source image.
//!
//! * [`Region`]: one [`Shape`] with a label and where it came from; [`Regions`]: all of one picture
//! * [`open`]: NIH's and RSNA's tables, COCO, CheXlocalize, YOLO and masks, told apart by their content
//! * [`to_coco`]: all of them as COCO, from which they come back as they were
//!
//! Coordinates have pixel edges at whole numbers ([`crate::image::geometry`]). One rule says what belongs to a region, for
//! every shape and wherever something is counted: **a pixel is inside when its centre is**. A box holds its left and upper
//! edge and not the others, so that boxes side by side share no pixel. An outline is filled by the even-odd rule, several
//! outlines of one region add up; what drawing programs do with the pixels under the line itself (Pillow takes them in)
//! is not copied.

mod chexlocalize;
mod coco;
mod mask;
mod open;
mod rle;
mod shape;
mod table;
mod yolo;

use std::path::Path;

pub use coco::to_coco;
pub use mask::Mask;
pub use open::{looks_like_regions, open, parse};
pub use shape::Shape;

use crate::error::Result;
use crate::text::fault;

/// What somebody drew, and what they called it.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Where it is, in pixels of the source image.
    pub shape: Shape,
    /// The finding; empty where the file names none.
    pub label: String,
    /// Name of the file that it was read from; empty for what was drawn here.
    pub origin: String,
}

/// The picture whose regions are looked for in a file that may hold those of many.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// File name.
    pub name: &'a str,
    /// The whole path where there is one: CheXpert's pictures are called by their folders.
    pub path: Option<&'a Path>,
    /// `[width, height]`.
    pub size: [usize; 2],
}

/// The regions of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// In the order of the file.
    pub list: Vec<Region>,
    /// Size of the picture, `[width, height]`.
    pub size: [usize; 2],
    /// What to know about them.
    pub notices: Vec<String>,
}

impl Regions {
    /// None yet, for a picture of this size.
    pub fn none(size: [usize; 2]) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    /// The regions that a finding is measured against: those that bear its name (upper and lower case are the same), or
    /// all of them where none does, since many files name no finding or another word for it.
    pub fn about(&self, label: &str) -> Vec<&Region> {
        let same = |region: &&Region| region.label.trim().eq_ignore_ascii_case(label.trim());
        let named: Vec<&Region> = self.list.iter().filter(same).collect();
        if named.is_empty() {
            self.list.iter().collect()
        } else {
            named
        }
    }

    /// Labels, each once, in the order in which they first come.
    pub fn labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for region in &self.list {
            if !labels.contains(&region.label.as_str()) {
                labels.push(&region.label);
            }
        }
        labels
    }
}

/// One flag a pixel, row by row: whether it is inside any of `regions`. `size` is `[width, height]` of the source.
pub fn union_mask(regions: &[&Region], size: [usize; 2]) -> Vec<bool> {
    let mut inside = vec![false; size[0] * size[1]];
    for region in regions {
        region.shape.fill(size, &mut inside);
    }
    inside
}

/// How far a shape may reach over the picture's edge, as a share of the longer side: hands and rounding do that.
const OVERHANG: f64 = 0.02;

/// Refuses a shape that cannot have been drawn on this picture. `place` says where in the file it stands.
fn check_fits(shape: &Shape, file: &Path, place: &str, size: [usize; 2]) -> Result<()> {
    let [left, top, right, bottom] = shape.bounds();
    let [width, height] = size.map(|side| side as f64);
    let over = (OVERHANG * width.max(height)).max(2.0);
    let lies_on = left >= -over && top >= -over && right <= width + over && bottom <= height + over;
    if lies_on && right > 0.0 && bottom > 0.0 && left < width && top < height {
        Ok(())
    } else {
        Err(fault::region_outside(file, place, shape.bounds(), size))
    }
}

/// Endings that are taken off a picture's name. What follows the last dot of an identifier is none.
const ENDINGS: [&str; 11] = [
    "png",
    "jpg",
    "jpeg",
    "tif",
    "tiff",
    "bmp",
    "webp",
    "dcm",
    "dicom",
    "npy",
    "safetensors",
];

/// The last part of a path without the ending of a picture, in lower case.
fn stem_of(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name).trim();
    let lower = last.to_lowercase();
    match lower.rsplit_once('.') {
        Some((stem, ending)) if ENDINGS.contains(&ending) => stem.to_owned(),
        _ => lower,
    }
}

impl Subject<'_> {
    /// Whether a name in a file means this picture: file names with or without folders and ending, or the last folders
    /// and the name joined by `_`, as CheXpert's studies are called (`patient1_study1_view1_frontal`).
    pub fn is_called(&self, name: &str) -> bool {
        let wanted = stem_of(name);
        if wanted.is_empty() {
            return false;
        }
        if wanted == stem_of(self.name) {
            return true;
        }
        let Some(path) = self.path else {
            return false;
        };
        let mut joined = stem_of(&path.to_string_lossy());
        let folders = path.parent().into_iter().flat_map(Path::ancestors);
        if joined == wanted {
            return true;
        }
        for folder in folders.take(4) {
            let Some(name) = folder.file_name() else {
                return false;
            };
            joined = format!("{}_{joined}", name.to_string_lossy().to_lowercase());
            if joined == wanted {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(label: &str, x: f64) -> Region {
        Region {
            shape: Shape::Box {
                x,
                y: 0.0,
                w: 2.0,
                h: 2.0,
            },
            label: label.to_owned(),
            origin: String::new(),
        }
    }

    #[test]
    fn names_of_many_kinds_mean_one_picture() {
        let path = Path::new("data/valid/patient64541/study1/view1_frontal.jpg");
        let subject = Subject {
            name: "view1_frontal.jpg",
            path: Some(path),
            size: [10, 10],
        };
        for name in [
            "view1_frontal.jpg",
            "VIEW1_frontal",
            "elsewhere/view1_frontal.png",
            "patient64541_study1_view1_frontal",
        ] {
            assert!(subject.is_called(name), "{name}");
        }
        for name in [
            "",
            "frontal",
            "patient1_study1_view1_frontal",
            "view1_frontal.2",
        ] {
            assert!(!subject.is_called(name), "{name}");
        }
        // The last number of an identifier is no ending.
        let series = Subject {
            name: "1.2.840.7.dcm",
            path: None,
            size: [10, 10],
        };
        assert!(series.is_called("1.2.840.7") && !series.is_called("1.2.840.8"));
    }

    #[test]
    fn a_finding_is_measured_against_its_own_regions_where_there_are_any() {
        let regions = Regions {
            list: vec![region("Mass", 0.0), region("pneumonia", 4.0)],
            size: [8, 8],
            notices: Vec::new(),
        };
        assert_eq!(regions.about("Pneumonia").len(), 1);
        assert_eq!(regions.about("Effusion").len(), 2);
        assert_eq!(regions.labels(), ["Mass", "pneumonia"]);
        let mask = union_mask(&regions.about("Effusion"), regions.size);
        assert_eq!(mask.iter().filter(|inside| **inside).count(), 8);
    }
}
