//! Faults of DICOM files and of how they are shown.

use std::fmt::Display;
use std::path::Path;

use super::{input, unsupported};
use crate::error::Error;

/// A DICOM file that is damaged or contradicts itself.
pub fn broken_dicom(path: &Path, why: &dyn Display) -> Error {
    input(format!(
        "'{}' is a DICOM file that cannot be shown: {why}; get the file again from its source",
        path.display()
    ))
}

/// A DICOM file that holds no picture.
pub fn dicom_without_picture(path: &Path, kind: Option<&str>) -> Error {
    let kind = kind.map_or_else(String::new, |kind| format!(" ({kind})"));
    input(format!(
        "'{}' is a DICOM file without pixel data{kind}; expected a picture, open the file of the X-ray itself",
        path.display()
    ))
}

/// Pixels are coded in a way that is not read.
pub fn dicom_syntax(path: &Path, syntax: &str) -> Error {
    unsupported(format!(
        "'{}' has pixels coded as {syntax}, which is not read; export it uncompressed (Explicit VR Little Endian) \
         or as JPEG Lossless or JPEG 2000",
        path.display()
    ))
}

/// A palette of a kind that is not read.
pub fn dicom_palette(path: &Path) -> Error {
    unsupported(format!(
        "'{}' has a segmented palette, which is not read; export it as RGB or as a plain palette",
        path.display()
    ))
}

/// The list of a DICOM medium was given as a picture.
pub fn dicom_directory(path: &Path) -> Error {
    input(format!(
        "'{}' is the directory of a DICOM medium (DICOMDIR); expected a picture, 'camlens inspect' lists what it names",
        path.display()
    ))
}

/// A frame is asked of a file that has one picture.
pub fn no_such_frame(path: &Path, frame: usize) -> Error {
    input(format!(
        "'{}': frame {frame} was asked for, the file has one picture",
        path.display()
    ))
}

/// A preset in Hounsfield units, for a picture that has none.
pub fn preset_needs_hounsfield(name: &str, image: &str) -> Error {
    input(format!(
        "window '{name}' is in Hounsfield units, which '{image}' does not have (CT has them, an X-ray does not); \
         choose file, full, percentile or CENTER,WIDTH"
    ))
}

/// A window that the file does not have.
pub fn preset_of_file(name: &str, image: &str, windows: usize) -> Error {
    input(format!(
        "window '{name}' does not exist: '{image}' has {windows} window(s) of its own"
    ))
}

/// A window by a name that is not known.
pub fn unknown_preset(name: &str, known: &str) -> Error {
    input(format!(
        "window '{name}' is not known; choose {known}, or CENTER,WIDTH"
    ))
}
