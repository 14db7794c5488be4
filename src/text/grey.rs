//! Words about the grey levels of the X-ray.

/// Heading.
pub const GREY_LEVELS: &str = "Grey levels";
/// Field.
pub const CENTER: &str = "Center";
/// Hover text.
pub const CENTER_HINT: &str =
    "Value shown as middle grey, in the file's units. Right drag up or down over the X-ray";
/// Field.
pub const WIDTH: &str = "Width";
/// Hover text.
pub const WIDTH_HINT: &str =
    "Values from black to white, in the file's units. Right drag left or right over the X-ray";
/// Choice, where grey levels were changed.
pub const PRESETS: &str = "Presets";
/// Choice, where they were not.
pub const OF_THE_FILE: &str = "As the file says";
/// Hover text.
pub const PRESETS_HINT: &str =
    "Windows of the file and usual ones. The network's input never depends on them";
/// Switch.
pub const INVERT: &str = "Invert";
/// Hover text.
pub const INVERT_HINT: &str =
    "Black for white, after the window. The network's input stays as it is";

/// Shown while a drag lasts.
pub fn numbers(center: f64, width: f64, span: f64) -> String {
    let decimals = usize::from(span < 20.0) * 2;
    format!("C {center:.decimals$}   W {width:.decimals$}")
}
