//! The picture alone, as a viewer shows it, written to a file.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::export::{grey_png_bytes, rgb_png_bytes, write_whole};
use crate::image::Image;
use crate::image::display::{Display, render, render_grey};
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
    /// Turned after windowing.
    pub invert: bool,
}

/// Writes the picture to `out` as 8-bit PNG, grey or, of colour files, red, green and blue, at its stored
/// rows and columns. Returns what to know about it.
///
/// # Errors
/// The file cannot be read, the window does not fit it, or `out` cannot be written; nothing is changed then.
pub fn run(request: &Request, out: &Path) -> Result<Vec<String>> {
    let image = Image::open_frame(&request.image, request.frame)?;
    let mut display = match &request.window {
        Wanted::Default => Display::default_for(&image),
        Wanted::Window(center, width) => Display::window(*center, *width),
        Wanted::Preset(name) => Display::preset(&image, name)?,
    };
    display.invert = request.invert;
    // Nothing of the header goes into the file.
    let notes = [("Software", APP), ("Comment", RESEARCH_ONLY)];
    let bytes = if image.origin.colour {
        let picture = render(&image, &display);
        // Outlines of regions are drawn here, over the picture, before it is encoded.
        rgb_png_bytes(&picture, &notes)?
    } else {
        grey_png_bytes(&render_grey(&image, &display), &notes)?
    };
    write_whole(out, &bytes)?;
    Ok(image.notices)
}
