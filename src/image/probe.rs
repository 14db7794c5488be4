//! What a file is, from its beginning, without its pixels: for lists of many files.

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

use ::image::ImageReader;

use super::dicom;
use super::raster::MAX_FILE_BYTES;
use super::record::Record;
use super::sniff::{Content, content_of, format_name};
use crate::error::Result;
use crate::text::{dicom as words, fault};

/// Bytes that are enough for nearly every header.
const HEAD_BYTES: u64 = 256 << 10;

/// What the beginning of a file tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// "PNG", "DICOM", ...
    pub format: &'static str,
    /// `[width, height]` in pixels.
    pub size: [usize; 2],
    /// Of DICOM files.
    pub record: Option<Box<Record>>,
    /// Of a DICOM directory, the files it names, as parts of their paths.
    pub directory: Option<Vec<Vec<String>>>,
}

/// Looks at a file.
///
/// # Errors
/// It cannot be read, it is no picture, or its header is damaged. What is wrong with its pixels shows only
/// when it is opened.
pub fn probe(path: &Path) -> Result<Probe> {
    let failed = |error| fault::read(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(fault::not_a_regular_file(path, "an image file"));
    }
    let mut bytes = Vec::new();
    file.by_ref()
        .take(HEAD_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.is_empty() {
        return Err(fault::empty_file(path));
    }
    match content_of(&bytes) {
        Content::Other(found) => Err(fault::not_an_image(path, found)),
        Content::Raster(format) => {
            let mut reader =
                ImageReader::with_format(Cursor::new(&bytes), format).into_dimensions();
            if reader.is_err() && facts.len() > HEAD_BYTES {
                // TIFF keeps its size anywhere.
                file.take(MAX_FILE_BYTES)
                    .read_to_end(&mut bytes)
                    .map_err(failed)?;
                reader = ImageReader::with_format(Cursor::new(&bytes), format).into_dimensions();
            }
            let name = format_name(format);
            let (width, height) = reader.map_err(|error| {
                fault::broken_image(path, name, &error.to_string().lines().next().unwrap_or(""))
            })?;
            Ok(Probe {
                format: name,
                size: [width as usize, height as usize],
                record: None,
                directory: None,
            })
        }
        Content::Dicom => {
            let mut head = dicom::head(path, &bytes)?;
            if !head.has_pixels && facts.len() > bytes.len() as u64 {
                file.take(MAX_FILE_BYTES)
                    .read_to_end(&mut bytes)
                    .map_err(failed)?;
                head = dicom::head(path, &bytes)?;
            }
            if head.directory.is_none() && !head.has_pixels {
                return Err(if head.cut {
                    fault::broken_dicom(path, &words::NO_PIXELS)
                } else {
                    fault::dicom_without_picture(path, head.record.facts.sop_class.as_deref())
                });
            }
            let facts = &head.record.facts;
            Ok(Probe {
                format: "DICOM",
                size: [facts.columns, facts.rows],
                directory: head.directory,
                record: Some(Box::new(head.record)),
            })
        }
    }
}
