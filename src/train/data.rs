//! The images that a network learns from: rows of `manifest.csv`, decoded once to small grey planes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::Result;
use crate::image::resize_grey;
use crate::job::Job;
use crate::text::fault;

/// Which part of the data a patient belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Learned from.
    Train,
    /// Looked at while learning, and for calibration.
    Val,
    /// Looked at once, for the card.
    Test,
    /// Patients with radiologists' boxes, for localisation alone.
    Boxes,
}

/// A lesion box in fractions of the image's width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LesionBox {
    /// Left and top edge.
    pub origin: [f64; 2],
    /// Width and height.
    pub size: [f64; 2],
}

/// One image with what is known of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// File as the manifest names it.
    pub file: String,
    /// Whether it is labelled pneumonia.
    pub positive: bool,
    /// Patient, unique over data sets.
    pub patient: String,
    /// Index into [`Dataset::sources`].
    pub source: usize,
    /// Part of the data.
    pub split: Split,
    /// Lesion boxes labelled Pneumonia.
    pub boxes: Vec<LesionBox>,
    /// Grey values, `side * side`, row by row.
    pub pixels: Vec<u8>,
}

/// All cases of a run.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Names of the data sets, as their folders are called.
    pub sources: Vec<String>,
    /// Width and height of every plane.
    pub side: usize,
    /// The images, in the order of the manifests.
    pub cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Row {
    file: String,
    label: String,
    patient_id: String,
    split_by_patient: String,
    #[serde(default)]
    bboxes_json_px_in_1024_image: String,
}

#[derive(serde::Deserialize)]
struct BoxRow {
    label: String,
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

/// Pixels of the image that NIH's boxes are measured in.
const BOX_SPACE: f64 = 1024.0;

impl Row {
    /// The folder below the data set that holds the file: `train224`, `bbox_full`.
    fn folder(&self) -> &str {
        self.file.split('/').nth(1).unwrap_or_default()
    }

    /// What the row is used for. Images of patients with boxes serve only as whole images beside
    /// their boxes, and only folders made for training are trained on.
    fn split(&self) -> Option<Split> {
        let training = self.folder().starts_with("train");
        match self.split_by_patient.as_str() {
            "train" if training => Some(Split::Train),
            "val" if training => Some(Split::Val),
            "test" if training => Some(Split::Test),
            "bbox_test" if !self.bboxes_json_px_in_1024_image.is_empty() && !training => {
                Some(Split::Boxes)
            }
            _ => None,
        }
    }

    fn boxes(&self, manifest: &Path) -> Result<Vec<LesionBox>> {
        if self.bboxes_json_px_in_1024_image.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<BoxRow> = serde_json::from_str(&self.bboxes_json_px_in_1024_image)
            .map_err(|e| fault::training_manifest(manifest, &e))?;
        Ok(rows
            .iter()
            .filter(|b| b.label == "Pneumonia")
            .map(|b| LesionBox {
                origin: [b.x / BOX_SPACE, b.y / BOX_SPACE],
                size: [b.w / BOX_SPACE, b.h / BOX_SPACE],
            })
            .collect())
    }
}

/// The manifest a `--data` value names, and the folder its `file` column starts from.
fn manifest_of(path: &Path) -> Result<(PathBuf, PathBuf, String)> {
    let whole = path.canonicalize().map_err(|e| fault::read(path, &e))?;
    let manifest = if whole.is_dir() {
        whole.join("manifest.csv")
    } else {
        whole
    };
    let folder = manifest.parent().unwrap_or(Path::new("/"));
    let name = folder
        .file_name()
        .map_or_else(|| "data".to_owned(), |n| n.to_string_lossy().into_owned());
    let base = folder.parent().unwrap_or(folder).to_owned();
    Ok((manifest, base, name))
}

/// Bytes to grey values in 0 to 1.
pub fn grey(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|&v| f32::from(v) / 255.0).collect()
}

/// Width and height to `side`, whatever the proportions, as the network's recipe says (antialiased
/// bilinear, the filter's support growing with the reduction).
pub fn stretch(pixels: Vec<u8>, width: usize, height: usize, side: usize) -> Option<Vec<u8>> {
    if (width, height) == (side, side) {
        return Some(pixels);
    }
    resize_grey(&pixels, [width, height], [side, side]).ok()
}

fn decode(path: &Path, side: usize) -> Result<Vec<u8>> {
    let image = image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|e| fault::read(path, &e))?
        .decode()
        .map_err(|e| fault::broken_image(path, "image", &e))?
        .into_luma8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    stretch(image.into_raw(), width, height, side)
        .ok_or_else(|| fault::broken_image(path, "image", &"it cannot be resized"))
}

impl Dataset {
    /// Reads the manifests in `data` and decodes their images to `side` pixels.
    ///
    /// # Errors
    /// A manifest or image that cannot be read; a patient who stands in two splits; no case to train on.
    pub fn read(data: &[PathBuf], side: usize, job: &Job) -> Result<Self> {
        let mut sources = Vec::new();
        let mut cases = Vec::new();
        let mut paths = Vec::new();
        for given in data {
            let (manifest, base, name) = manifest_of(given)?;
            let mut reader = csv::Reader::from_path(&manifest)
                .map_err(|e| fault::training_manifest(&manifest, &e))?;
            for row in reader.deserialize::<Row>() {
                let row = row.map_err(|e| fault::training_manifest(&manifest, &e))?;
                let Some(split) = row.split() else { continue };
                let boxes = row.boxes(&manifest)?;
                if split == Split::Boxes && boxes.is_empty() {
                    continue;
                }
                paths.push(base.join(&row.file));
                cases.push(Case {
                    positive: row.label.eq_ignore_ascii_case("PNEUMONIA"),
                    patient: format!("{name}/{}", row.patient_id),
                    file: row.file,
                    source: sources.len(),
                    split,
                    boxes,
                    pixels: Vec::new(),
                });
            }
            sources.push(name);
        }
        let mut splits = BTreeMap::new();
        for case in &cases {
            if *splits.entry(&case.patient).or_insert(case.split) != case.split {
                return Err(fault::patient_in_two_splits(&case.patient));
            }
        }
        for positive in [false, true] {
            let train = |c: &&Case| c.split == Split::Train && c.positive == positive;
            if cases.iter().filter(train).count() == 0 {
                return Err(fault::nothing_to_train_on(positive));
            }
        }
        let total = cases.len();
        let mut done = 0;
        for (cases, paths) in cases.chunks_mut(256).zip(paths.chunks(256)) {
            job.check()?;
            job.progress("reading images", done, total);
            done += cases.len();
            let decode = |(case, path): (&mut Case, &PathBuf)| -> Result<()> {
                case.pixels = decode(path, side)?;
                Ok(())
            };
            cases.par_iter_mut().zip(paths).try_for_each(decode)?;
        }
        Ok(Self {
            sources,
            side,
            cases,
        })
    }

    /// Indices of the cases of a split, of one source or of all.
    pub fn indices(&self, split: Split, source: Option<usize>) -> Vec<usize> {
        (0..self.cases.len())
            .filter(|&i| {
                let case = &self.cases[i];
                case.split == split && source.is_none_or(|s| s == case.source)
            })
            .collect()
    }

    /// The planes at another size, in the order of the cases; empty for cases of other splits.
    pub fn planes(&self, side: usize, splits: &[Split]) -> Vec<Vec<u8>> {
        self.cases
            .par_iter()
            .map(|case| {
                if splits.contains(&case.split) {
                    stretch(case.pixels.clone(), self.side, self.side, side).unwrap_or_default()
                } else {
                    Vec::new()
                }
            })
            .collect()
    }
}
