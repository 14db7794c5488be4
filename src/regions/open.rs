//! Opening a file of regions: what it is, told by its content.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use super::mask::{is_png, read_png};
use super::{Region, Regions, Shape, Subject, check_fits, chexlocalize, coco, table, yolo};
use crate::error::Result;
use crate::text::fault;

/// Largest file that is read, in bytes: twice the run lengths of CheXlocalize's test set.
const MAX_BYTES: u64 = 256 << 20;

/// What a reader hands back: regions with the place in the file where each stands.
pub(super) struct Found {
    /// Regions of the picture.
    pub(super) regions: Vec<(Region, String)>,
    /// Pictures that the file speaks of, this one aside.
    pub(super) others: Others,
    /// The file names this picture, be it to say that there is nothing on it.
    pub(super) named: bool,
    /// What to know about the file.
    pub(super) notices: Vec<String>,
}

/// Other pictures of a file: how many, and one of them.
#[derive(Default)]
pub(super) struct Others {
    names: std::collections::BTreeSet<String>,
}

impl Others {
    pub(super) fn add(&mut self, name: &str) {
        if !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }
}

impl Found {
    pub(super) fn nothing() -> Self {
        Self {
            regions: Vec::new(),
            others: Others::default(),
            named: false,
            notices: Vec::new(),
        }
    }
}

/// Reads the regions of a picture from a file: NIH's `BBox_List` or this project's manifest of it, RSNA's pneumonia
/// table, COCO or CheXlocalize JSON, YOLO's text, or a mask as PNG.
///
/// # Errors
/// One sentence that names the file, the place in it, what was found and what was expected: another kind of file, a row
/// that does not hold together, another size than the picture's, shapes outside of it; and a file that has no region for
/// this picture.
pub fn open(path: &Path, subject: &Subject<'_>) -> Result<Regions> {
    let facts = std::fs::metadata(path).map_err(|e| fault::read(path, &e))?;
    if facts.is_dir() {
        return Err(fault::is_folder(path, "a file of regions"));
    }
    if !facts.is_file() {
        return Err(fault::not_a_regular_file(path, "a file of regions"));
    }
    if facts.len() > MAX_BYTES {
        return Err(fault::file_too_large(path, facts.len(), MAX_BYTES));
    }
    let bytes = std::fs::read(path).map_err(|e| fault::read(path, &e))?;
    parse(path, &bytes, subject)
}

/// As [`open`] for a file that is in memory already; `path` is what errors name.
///
/// # Errors
/// As [`open`].
pub fn parse(path: &Path, bytes: &[u8], subject: &Subject<'_>) -> Result<Regions> {
    if bytes.is_empty() {
        return Err(fault::empty_file(path));
    }
    let found = if is_png(bytes) {
        let mask = read_png(path, bytes, subject.size)?;
        let label = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        one_picture(vec![(
            Region {
                shape: Shape::Mask(mask),
                label: label.unwrap_or_default(),
                origin: String::new(),
            },
            String::new(),
        )])
    } else {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| fault::regions_format(path, "bytes that are neither text nor a PNG"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match kind_of(text) {
            Kind::Json => of_json(path, text, subject)?,
            Kind::Nih => table::nih(path, text, subject)?,
            Kind::Rsna => table::rsna(path, text, subject)?,
            Kind::Manifest => table::manifest(path, text, subject)?,
            Kind::Yolo => one_picture(yolo::read(path, text, subject.size)?),
            Kind::Other => {
                let first = text
                    .lines()
                    .find(|l| !l.trim().is_empty())
                    .unwrap_or_default();
                return Err(fault::regions_format(path, &fault::quoted(first)));
            }
        }
    };
    finish(path, subject, found)
}

/// Of a file that belongs to one picture whatever that is called.
fn one_picture(regions: Vec<(Region, String)>) -> Found {
    Found {
        regions,
        named: true,
        ..Found::nothing()
    }
}

fn finish(path: &Path, subject: &Subject<'_>, found: Found) -> Result<Regions> {
    if found.regions.is_empty() {
        let names = &found.others.names;
        return Err(if found.named {
            fault::regions_none_drawn(path, subject.name)
        } else {
            fault::regions_other_pictures(path, subject.name, names.len(), names.first())
        });
    }
    let origin = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut list = Vec::with_capacity(found.regions.len());
    for (mut region, place) in found.regions {
        check_fits(&region.shape, path, &place, subject.size)?;
        region.origin.clone_from(&origin);
        list.push(region);
    }
    Ok(Regions {
        list,
        size: subject.size,
        notices: found.notices,
    })
}

fn of_json(path: &Path, text: &str, subject: &Subject<'_>) -> Result<Found> {
    let value: Value =
        serde_json::from_str(text).map_err(|e| fault::regions_json(path, &e.to_string()))?;
    if coco::is_coco(&value) {
        coco::read(path, &value, subject)
    } else if chexlocalize::is_chexlocalize(&value) {
        chexlocalize::read(path, &value, subject)
    } else {
        Err(fault::regions_format(path, "JSON of another kind"))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Json,
    Nih,
    Rsna,
    Manifest,
    Yolo,
    Other,
}

fn kind_of(text: &str) -> Kind {
    if text.trim_start().starts_with(['{', '[']) {
        return Kind::Json;
    }
    let Some(first) = text.lines().find(|line| !line.trim().is_empty()) else {
        return Kind::Other;
    };
    let has = |names: &[&str]| {
        let fields: Vec<&str> = first
            .split(',')
            .map(|field| field.trim().trim_matches('"'))
            .collect();
        names.iter().all(|name| fields.contains(name))
    };
    if has(&["Image Index", "Finding Label"]) {
        Kind::Nih
    } else if has(&table::RSNA_COLUMNS) {
        Kind::Rsna
    } else if has(&[table::MANIFEST_BOXES]) {
        Kind::Manifest
    } else if yolo::is_line(first) {
        Kind::Yolo
    } else {
        Kind::Other
    }
}

/// Whether a file is one of regions rather than an X-ray or a network, told by its first bytes. A mask is a PNG like many
/// an X-ray and is not recognised: it is opened as regions by name.
pub fn looks_like_regions(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(8192).read_to_end(&mut head));
    if read.is_err() || !path.is_file() {
        return false;
    }
    // The last character may be cut in two.
    let text = match std::str::from_utf8(&head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() + 4 > head.len() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default())
                .unwrap_or_default()
        }
        Err(_) => return false,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    !text.is_empty() && kind_of(text) != Kind::Other
}
