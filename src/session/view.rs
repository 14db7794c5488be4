//! The picture alone, as a viewer shows it, written to a file.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::export::{grey_png_bytes, rgb_png_bytes, write_whole};
use crate::image::Image;
use crate::image::display::{Display, VoiFunction, render, render_grey};
use crate::image::geometry::Affine;
use crate::regions::{self, Subject};
use crate::render::draw_regions;
use crate::text::{APP, RESEARCH_ONLY};

/// Which grey levels are wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// The file's own choice.
    Default,
    /// Center and width, in modality units.
    Window(f64, f64),
    /// One of [`Display::preset`]'s names.
    Preset(String),
}

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The image file.
    pub image: PathBuf,
    /// Its frame, from 0.
    pub frame: usize,
    /// Grey levels.
    pub window: Wanted,
    /// Shape of the window; `None` for the file's own.
    pub function: Option<VoiFunction>,
    /// Turned after windowing.
    pub invert: bool,
    /// A file of regions, whose outlines are drawn.
    pub regions: Option<PathBuf>,
}

/// Writes the picture to `out` as 8-bit PNG, grey or, of colour files and under regions, red, green and blue, at its
/// stored rows and columns. Returns what to know about it.
///
/// # Errors
/// The file cannot be read, the window does not fit it, or `out` cannot be written; nothing is changed then.
pub fn run(request: &Request, out: &Path) -> Result<Vec<String>> {
    let image = Image::open_frame(&request.image, request.frame)?;
    let mut display = match &request.window {
        Wanted::Default => Display::default_for(&image),
        Wanted::Window(center, width) => {
            let mut display = Display::window(*center, *width);
            display.set_function(Display::function_of(&image));
            display
        }
        Wanted::Preset(name) => Display::preset(&image, name)?,
    };
    if let Some(function) = request.function {
        display.set_function(function);
    }
    display.invert = request.invert;
    // Nothing of the header goes into the file.
    let notes = [("Software", APP), ("Comment", RESEARCH_ONLY)];
    let mut notices = image.notices.clone();
    let regions = match &request.regions {
        Some(path) => {
            let subject = Subject {
                name: &image.origin.name,
                path: Some(&request.image),
                size: image.size(),
            };
            let regions = regions::open(path, &subject)?;
            notices.extend(regions.notices.iter().cloned());
            Some(regions)
        }
        None => None,
    };
    let bytes = if image.origin.colour || regions.is_some() {
        let mut picture = render(&image, &display);
        if let Some(regions) = &regions {
            draw_regions(&mut picture, &regions.list, &Affine::IDENTITY);
        }
        rgb_png_bytes(&picture, &notes)?
    } else {
        grey_png_bytes(&render_grey(&image, &display), &notes)?
    };
    write_whole(out, &bytes)?;
    Ok(notices)
}
