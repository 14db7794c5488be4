//! The sample cases: chest X-rays made by this program, of nobody.
//!
//! No real image goes in. A chest is a set of solids (`anatomy`), bones (`bones`) and branching vessels
//! and airways (`vessels`) in millimetres; disease replaces air by fluid in a region with a warped margin
//! (`lesion`); rays are summed through all of it, and a `film` is exposed by Beer and Lambert's law,
//! fogged by scatter, blurred, grained and developed (`render`). Where vessels vanish, airways stand
//! out or the diaphragm's border is lost, it follows from that sum. As the place of disease is known to
//! the pixel, its mask is ground truth to hold heatmaps against.
//!
//! Everything follows from the seeds in `cases`: [`make`] writes the same bytes again.
//!
//! * [`make`]: writes `assets/samples`: films, masks and `samples.json`
//! * [`Sample`], [`Samples`]: what stands in `samples.json`
//! * [`add_opacity`]: an air-space opacity on any radiograph, for training and tests

use std::fs;
use std::io::Write as _;
use std::path::Path;

use ::image::codecs::png::{CompressionType, FilterType, PngEncoder};
use ::image::{ExtendedColorType, ImageEncoder as _};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::job::Job;
use crate::text::fault;

mod anatomy;
mod bones;
mod cases;
mod film;
mod lesion;
mod people;
mod plane;
mod render;
mod spine;
#[cfg(test)]
mod tests;
mod vessels;

use cases::{Case, Person};
use lesion::Lesion;
pub use lesion::add_opacity;
pub use people::make_set;
use plane::Plane;

/// Name of the list that stands beside the films.
pub const LIST: &str = "samples.json";

/// A pixel belongs to the mask where disease adds more than this share of the most that it adds anywhere.
pub const MASK_SHARE: f32 = 0.25;

const ORIGIN: &str = "synthetic, made by Camlens; no patient";
const METHOD: &str = "rays summed through solids for body, lungs, heart, vessels and bones, no real image used; \
disease replaces air by fluid in part of the lung";

/// The list of sample cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// What these pictures are.
    pub origin: String,
    /// How they were made.
    pub method: String,
    /// How a mask was cut.
    pub mask: String,
    /// The cases; a healthy chest stands before the same chest with disease.
    pub cases: Vec<Sample>,
}

/// One sample case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Short name, the stem of its files.
    pub name: String,
    /// What a user reads in a list.
    pub title: String,
    /// What is in the picture.
    pub contains: String,
    /// Whether there is an opacity.
    pub opacity: bool,
    /// The film: an 8-bit grey PNG in the same folder.
    pub file: String,
    /// The mask of all opacities, a PNG of the same size, 0 or 255; none in a healthy chest.
    pub mask: Option<String>,
    /// The box round the mask: left, top, width, height in pixels.
    pub mask_box: Option<[usize; 4]>,
    /// The same chest without disease, where this one has some.
    pub healthy: Option<String>,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Seed of the person.
    pub seed: u64,
    /// Seeds of the opacities.
    pub opacity_seeds: Vec<u64>,
    /// Where the picture comes from.
    pub origin: String,
}

/// Renders all sample cases into `out_dir`, which is made when it is not there.
///
/// Takes some seconds a film. The list is written last, so that a folder with a list is complete.
///
/// # Errors
/// `Io` where a file cannot be written; `Cancelled`.
pub fn make(out_dir: &Path, job: &Job) -> Result<()> {
    fs::create_dir_all(out_dir).map_err(|e| fault::write(out_dir, &e))?;
    let cases = cases::all();
    let mut list = Vec::with_capacity(cases.len());
    for (done, case) in cases.iter().enumerate() {
        job.check()?;
        job.progress(case.title, done, cases.len());
        let (film, mask) = render(case, job)?;
        let mut sample = describe(case, &cases);
        if let Some(name) = &sample.mask {
            sample.mask_box = bounds(&mask);
            write_png(&out_dir.join(name), &mask)?;
        }
        write_png(&out_dir.join(&sample.file), &film)?;
        list.push(sample);
    }
    let samples = Samples {
        origin: ORIGIN.to_owned(),
        method: METHOD.to_owned(),
        mask: format!(
            "255 where disease adds more than {:.0} % of its highest added attenuation",
            100.0 * MASK_SHARE
        ),
        cases: list,
    };
    let path = out_dir.join(LIST);
    let mut json = serde_json::to_vec_pretty(&samples).map_err(|e| fault::write(&path, &e))?;
    json.push(b'\n');
    write_whole(&path, &json)?;
    job.progress(LIST, cases.len(), cases.len());
    Ok(())
}

/// Film and mask of a case, as grey levels 0 to 1.
fn render(case: &Case, job: &Job) -> Result<(Plane, Plane)> {
    render_person(&case.person, &case.lesions, job)
}

/// Film and mask of a person with disease.
fn render_person(p: &Person, lesions: &[Lesion], job: &Job) -> Result<(Plane, Plane)> {
    let picture = render::picture(&p.chest, &p.view, &p.film, p.matter, lesions, job)?;
    let mask = picture
        .mask
        .map(|share| if share > MASK_SHARE { 1.0 } else { 0.0 });
    Ok((picture.grey, mask))
}

fn describe(case: &Case, all: &[Case]) -> Sample {
    let ill = !case.lesions.is_empty();
    let seed = case.person.chest.seed;
    let healthy = all
        .iter()
        .find(|other| ill && other.lesions.is_empty() && other.person.chest.seed == seed);
    Sample {
        name: case.name.to_owned(),
        title: case.title.to_owned(),
        contains: case.contains.to_owned(),
        opacity: ill,
        file: format!("{}.png", case.name),
        mask: ill.then(|| format!("{}.mask.png", case.name)),
        mask_box: None,
        healthy: healthy.map(|other| other.name.to_owned()),
        size: [case.person.view.width, case.person.view.height],
        seed,
        opacity_seeds: case.lesions.iter().map(|l| l.seed).collect(),
        origin: ORIGIN.to_owned(),
    }
}

/// The box round all pixels that are not 0: left, top, width, height.
fn bounds(mask: &Plane) -> Option<[usize; 4]> {
    let mut found: Option<[usize; 4]> = None;
    for (i, _) in mask.values.iter().enumerate().filter(|(_, v)| **v > 0.0) {
        let (c, r) = (i % mask.width, i / mask.width);
        let [left, top, right, bottom] = found.unwrap_or([c, r, c, r]);
        found = Some([left.min(c), top.min(r), right.max(c), bottom.max(r)]);
    }
    found.map(|[left, top, right, bottom]| [left, top, right - left + 1, bottom - top + 1])
}

fn bytes(plane: &Plane) -> Vec<u8> {
    let level = |g: &f32| (255.0 * g.clamp(0.0, 1.0)).round() as u8;
    plane.values.iter().map(level).collect()
}

fn write_png(path: &Path, plane: &Plane) -> Result<()> {
    let mut file = Vec::new();
    // Grain leaves little to gain by searching longer, and filters that follow it cost nothing.
    PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive)
        .write_image(
            &bytes(plane),
            plane.width as u32,
            plane.height as u32,
            ExtendedColorType::L8,
        )
        .map_err(|e| fault::write(path, &e))?;
    write_whole(path, &file)
}

/// Writes beside the destination and moves into place, so that no half file is ever found there.
fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let attempt = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // Files of an asset folder are for everybody to read.
            builder.permissions(fs::Permissions::from_mode(0o644));
        }
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(content)?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().map_err(|e| fault::write(path, &e))
}
