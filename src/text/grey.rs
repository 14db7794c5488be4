//! Words about the grey levels of the X-ray.

/// Heading.
pub const GREY_LEVELS: &str = "Grey levels";
/// Field.
pub const CENTER: &str = "Level";
/// Hover text.
pub const CENTER_HINT: &str = "Window center: the value shown as middle grey, in the file's units. Right drag up or down over the X-ray";
/// Field.
pub const WIDTH: &str = "Window";
/// Hover text.
pub const WIDTH_HINT: &str = "Window width: values from black to white, in the file's units. Right drag left or right over the X-ray";
/// Choice, where grey levels were changed.
pub const PRESETS: &str = "Presets";
/// Choice, where they were not.
pub const OF_THE_FILE: &str = "As the file says";
/// Hover text.
pub const PRESETS_HINT: &str =
    "Windows of the file and usual ones. The network's input never depends on them";
/// Choice of the window's shape.
pub const FUNCTION: &str = "Function";
/// Hover text.
pub const FUNCTION_HINT: &str = "How grey rises from black to white (DICOM's VOI LUT function). A sigmoid bends softly into both";
/// Shape that a table of the file gives.
pub const TABLE: &str = "Table of the file";

/// A shape in the menu, by its name on the command line.
pub fn function(id: &str) -> &'static str {
    match id {
        "linear-exact" => "Linear exact",
        "sigmoid" => "Sigmoid",
        _ => "Linear",
    }
}

/// Switch.
pub const INVERT: &str = "Invert";
/// Hover text.
pub const INVERT_HINT: &str =
    "Black for white, after the window. The network's input stays as it is";

/// Shown while a drag lasts.
pub fn numbers(center: f64, width: f64, span: f64) -> String {
    let decimals = usize::from(span < 20.0) * 2;
    format!("W {width:.decimals$}   L {center:.decimals$}")
}
