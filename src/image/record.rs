//! What a DICOM header says beside the pixels: facts that may be written anywhere, and who the patient is,
//! which may not.

use std::fmt;

use serde::Serialize;

/// Facts without identity. Nothing in here leads to a person: no names, numbers, dates, places or UIDs of
/// patient, study or picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DicomFacts {
    /// Kind of equipment: CR, DX, CT, ...
    pub modality: Option<String>,
    /// What sort of object it is.
    pub sop_class: Option<String>,
    /// How data and pixels are coded.
    pub transfer_syntax: String,
    /// Rows of a frame.
    pub rows: usize,
    /// Columns of a frame.
    pub columns: usize,
    /// Frames in the file.
    pub frames: usize,
    /// The frame that was read, from 1.
    pub frame: usize,
    /// Samples of a pixel.
    pub samples_per_pixel: usize,
    /// Colour model of the stored pixels.
    pub photometric: String,
    /// Bits that a sample takes in the file.
    pub bits_allocated: u32,
    /// Bits of them that are used.
    pub bits_stored: u32,
    /// Stored values may be negative.
    pub signed: bool,
    /// Rescale slope, where the file has one.
    pub rescale_slope: Option<f64>,
    /// Rescale intercept, where the file has one.
    pub rescale_intercept: Option<f64>,
    /// Unit after rescale, as the file says.
    pub rescale_type: Option<String>,
    /// A table takes the place of slope and intercept.
    pub modality_lut: bool,
    /// Windows of the file, the first is its own choice.
    pub windows: Vec<WindowFacts>,
    /// Tables for values of interest.
    pub voi_luts: usize,
    /// Distance of rows and of columns in mm at the patient, `[rows, columns]`.
    pub pixel_spacing_mm: Option<[f64; 2]>,
    /// Distance of rows and of columns in mm at the detector.
    pub imager_pixel_spacing_mm: Option<[f64; 2]>,
    /// Height and width of a pixel, where only their ratio is known.
    pub pixel_aspect_ratio: Option<[f64; 2]>,
    /// Compressed with loss at some time.
    pub lossy: bool,
    /// Body part, as the file says.
    pub body_part: Option<String>,
    /// View: PA, AP, LL, ...
    pub view_position: Option<String>,
    /// Side of a paired part.
    pub laterality: Option<String>,
    /// Maker of the equipment.
    pub manufacturer: Option<String>,
    /// Number of the series in its study.
    pub series_number: Option<i64>,
    /// Number of the picture in its series.
    pub instance_number: Option<i64>,
}

/// A window, as facts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WindowFacts {
    /// Middle, in modality units.
    pub center: f64,
    /// Width, in modality units.
    pub width: f64,
    /// `linear`, `linear-exact` or `sigmoid`.
    pub function: &'static str,
    /// What the file calls it.
    pub explanation: String,
}

impl DicomFacts {
    /// Whether pixels are not square, as far as the file tells.
    pub fn has_oblong_pixels(&self) -> bool {
        self.pixel_aspect() != 1.0
    }

    /// Width of a pixel over its height, as far as the file tells; 1 within a hundredth of a square, and for what makes
    /// no sense.
    pub fn pixel_aspect(&self) -> f64 {
        let height_and_width = self
            .pixel_spacing_mm
            .or(self.imager_pixel_spacing_mm)
            .or(self.pixel_aspect_ratio);
        match height_and_width.map(|[height, width]| width / height) {
            Some(aspect) if (0.01..=100.0).contains(&aspect) && (aspect - 1.0).abs() > 0.01 => {
                aspect
            }
            _ => 1.0,
        }
    }
}

/// Who the picture is of. It is for the screen: it cannot be serialised, and printing it for debugging
/// shows nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Patient's name, as people write it.
    pub name: Option<String>,
    /// Patient's number.
    pub id: Option<String>,
    /// Date of birth, as stored (YYYYMMDD).
    pub birth_date: Option<String>,
    /// Sex: M, F, O.
    pub sex: Option<String>,
    /// Age, as stored (for example 045Y).
    pub age: Option<String>,
    /// Number of the order.
    pub accession: Option<String>,
    /// Date of the study, as stored.
    pub study_date: Option<String>,
    /// What the study is called.
    pub study_description: Option<String>,
    /// Where it was taken.
    pub institution: Option<String>,
    /// UIDs of study, series and picture: for sorting.
    pub(crate) uids: [Option<String>; 3],
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(not shown)")
    }
}

/// Both halves of a header.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// What may be written.
    pub facts: DicomFacts,
    /// What may only be shown.
    pub identity: Identity,
}
