//! Which picture, and the verbs about one.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::parse::{parse_frame, parse_voi, parse_window};
use crate::image::display::VoiFunction;
use crate::plan::ImageSource;
use crate::session::samples;
use crate::session::view::Wanted;

#[derive(Args)]
pub(in crate::cli) struct ImageArgs {
    /// Image: DICOM, PNG, JPEG, TIFF, BMP, WebP, or a ready input (.npy, .safetensors with a tensor 'input')
    #[arg(long, required_unless_present = "demo")]
    pub(in crate::cli) image: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) frame: FrameArgs,
}

impl ImageArgs {
    pub(in crate::cli) fn source(&self) -> ImageSource {
        match &self.image {
            Some(path) => self.frame.of(path.clone()),
            None => first_sample(),
        }
    }
}

/// The sample case that stands where no image is given.
pub(super) fn first_sample() -> ImageSource {
    ImageSource::Sample(samples::first().map_or_else(String::new, |s| s.name.clone()))
}

#[derive(Args)]
pub(in crate::cli) struct FrameArgs {
    /// Frame of a file that has several, from 1
    #[arg(long, default_value = "1", value_parser = parse_frame, requires = "image")]
    pub(in crate::cli) frame: NonZeroUsize,
}

impl FrameArgs {
    /// This frame of a file.
    pub(in crate::cli) fn of(&self, path: PathBuf) -> ImageSource {
        ImageSource::frame_of(path, self.frame)
    }

    /// Its place, from 0.
    pub(in crate::cli) fn place(&self) -> usize {
        self.frame.get() - 1
    }
}

#[derive(Args)]
pub(in crate::cli) struct ViewArgs {
    /// Image: DICOM, PNG, JPEG, TIFF, BMP, WebP
    #[arg(long)]
    pub(in crate::cli) image: PathBuf,
    /// Center and width in the file's units (after rescale), or a preset: file, file2, file3, ... (windows and tables
    /// of the file), full (smallest to largest value), percentile (1 to 99), and for CT soft, lung, bone
    /// [default: the file's first window, else its table, else full]
    #[arg(long, value_name = "C,W|PRESET", value_parser = parse_window, allow_hyphen_values = true)]
    pub(in crate::cli) window: Option<Wanted>,
    /// Shape of the window: linear, linear-exact, sigmoid (PS3.3 C.11.2.1.3) [default: the file's own, else linear]
    #[arg(long, value_parser = parse_voi)]
    pub(in crate::cli) voi: Option<VoiFunction>,
    /// Turns the grey levels, after the window
    #[arg(long)]
    pub(in crate::cli) invert: bool,
    #[command(flatten)]
    pub(in crate::cli) frame: FrameArgs,
    /// Regions to outline: NIH or RSNA CSV, COCO or CheXlocalize JSON, YOLO text, mask PNG
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) regions: Option<PathBuf>,
    /// The PNG file: 8-bit, the stored rows and columns; grey, or colour where the file is or regions are drawn
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: PathBuf,
}

#[derive(Args)]
pub(in crate::cli) struct InspectArgs {
    /// Image, or a folder or DICOMDIR to list
    #[arg(long)]
    pub(in crate::cli) image: PathBuf,
    /// Network whose preprocessing is tried [default: the shipped demo's and the two standard recipes]
    #[arg(long)]
    pub(in crate::cli) model: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) frame: FrameArgs,
    /// Prints JSON: {name, format, sha256, width, height, bits, range, dicom, recipes: [...], notices}; of a folder
    /// {entries: [{name, format, size, dicom, problem}], notices}
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
