//! Regions of the open picture, and how far its maps agree with them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::picture::Picture;
use crate::error::Result;
use crate::evaluate::localisation::{Cover, Localisation};
use crate::image::sha256_hex;
use crate::plan::{ImageSource, Post};
use crate::post::{Field, ScaleRange};
use crate::regions::{self, Region, Regions, Subject, union_mask};
use crate::text::{fault, notice};

/// Reads the regions of `picture`, which was opened from `source`, from a file.
///
/// # Errors
/// As [`regions::open`].
pub fn open_regions(path: &Path, picture: &Picture, source: &ImageSource) -> Result<Regions> {
    let image = match source {
        // While another picture fails to open, the source is not that of the one that stands.
        ImageSource::Sample(_) => None,
        source => source.path().filter(|path| path.ends_with(&picture.name)),
    };
    let subject = Subject {
        name: &picture.name,
        path: image,
        size: picture.size(),
    };
    regions::open(path, &subject)
}

/// Regions that maps of one finding are measured against, with the file they came from.
pub(super) struct Truth {
    path: PathBuf,
    sha256: String,
    all: Regions,
    counted: Vec<Region>,
    mask: Vec<bool>,
}

impl Truth {
    /// Opens a file for a picture; `label` is the explained finding.
    pub(super) fn open(path: &Path, picture: &Picture, source: &ImageSource) -> Result<Self> {
        let all = open_regions(path, picture, source)?;
        let bytes = std::fs::read(path).map_err(|e| fault::read(path, &e))?;
        Ok(Self {
            path: path.to_owned(),
            sha256: sha256_hex(&bytes),
            all,
            counted: Vec::new(),
            mask: Vec::new(),
        })
    }

    /// Chooses the regions of the explained finding.
    pub(super) fn about(&mut self, label: &str) {
        let counted = self.all.about(label);
        self.mask = union_mask(&counted, self.all.size);
        self.counted = counted.into_iter().cloned().collect();
    }

    /// What is counted and drawn.
    pub(super) fn counted(&self) -> &[Region] {
        &self.counted
    }

    /// What the reader must know.
    pub(super) fn notices(&self, label: &str) -> Vec<String> {
        let mut notices = self.all.notices.clone();
        notices.extend(counted_notice(&self.all, label));
        notices
    }

    /// How far a map agrees, as it is shown.
    pub(super) fn measure(&self, field: &Field, range: ScaleRange, post: &Post) -> Localisation {
        let cover = Cover::of_field(&self.mask, field);
        cover.measure(&field.values, range, post.sign, post.cut)
    }

    /// For the manifest: the file, and what of it counts.
    pub(super) fn manifest(&self, label: &str) -> Value {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let labels: Vec<&str> = self
            .counted
            .iter()
            .map(|region| region.label.as_str())
            .collect();
        json!({
            "file": name,
            "sha256": self.sha256,
            "regions": self.all.list.len(),
            "counted": labels,
            "notices": self.notices(label),
        })
    }
}

/// What must be said where regions bear other names than the finding.
pub fn counted_notice(regions: &Regions, label: &str) -> Option<String> {
    let counted = regions.about(label);
    let named = counted
        .iter()
        .any(|r| r.label.trim().eq_ignore_ascii_case(label.trim()));
    let labels = regions.labels();
    let has_label = labels.iter().any(|label| !label.trim().is_empty());
    if !named && has_label {
        Some(notice::regions_of_other_findings(&labels, label))
    } else if named && counted.len() < regions.list.len() {
        Some(notice::regions_left_out(
            counted.len(),
            regions.list.len(),
            label,
        ))
    } else {
        None
    }
}
