//! What is known about a network, in words.

/// The architecture.
pub const ARCH: &str = "Architecture";
/// The names of the outputs.
pub const LABELS: &str = "Labels";
/// How probabilities follow from logits.
pub const ACTIVATION: &str = "Activation";
/// From pixels to the input.
pub const PREPROCESSING: &str = "Preprocessing";
/// TorchXRayVision's thresholds.
pub const OP_THRESHS: &str = "Operating points";
/// No recipe is known.
pub const NO_RECIPE: &str = "none is known for this number of channels: only ready inputs";

/// Title of the sheet.
pub const TITLE: &str = "Facts about this network";
/// Explains the sheet.
pub const EXPLAIN: &str = "What its tensors do not say. A guess stays a guess until you settle it; saving writes config.json and \
     preprocessor_config.json beside the network.";
/// Box for labels.
pub const LABELS_BOX: &str = "Labels, one a line";
/// In the empty box.
pub const LABELS_HINT: &str = "One label a line; an empty line is a class that was never trained";
/// Keeps the present preprocessing.
pub const KEEP: &str = "As it is";
/// Uses what was chosen.
pub const APPLY: &str = "Apply";
/// Saving would leave out what was typed.
pub const APPLY_FIRST: &str =
    "Apply the changes first: what is saved is what the network runs with";
/// Writes the files.
pub const SAVE: &str = "Save beside the network";

/// The labels in one line.
pub fn labels(labels: &[String], classes: usize) -> String {
    if labels.is_empty() {
        return format!("none for {classes} outputs");
    }
    let named: Vec<&str> = (labels.iter())
        .map(|label| {
            if label.is_empty() {
                "(not trained)"
            } else {
                label
            }
        })
        .collect();
    let shown: Vec<&str> = named.iter().take(24).copied().collect();
    let more = named.len() - shown.len();
    if more > 0 {
        format!("{} and {more} more", shown.join(", "))
    } else {
        shown.join(", ")
    }
}

/// A recipe in one line; `fit` from the functions below.
pub fn recipe(
    name: &str,
    [width, height]: [usize; 2],
    fit: &str,
    filter: &str,
    range: &str,
) -> String {
    format!("{name}: {fit} {width} x {height} px, {filter}, {range}")
}

/// The whole picture, stretched.
pub const STRETCH: &str = "stretched to";
/// The middle square.
pub const SQUARE: &str = "centre square, resized to";
/// The whole picture with a border.
pub const PAD: &str = "padded with black to";

/// The shorter side, then the middle.
pub fn center_crop(resize: usize) -> String {
    format!("shorter side to {resize} px, centre")
}

/// A stretch, then a part.
pub fn stretch_crop(width: usize, height: usize) -> String {
    format!("stretched to {width} x {height} px, centre")
}

/// Mean and standard deviation.
pub fn normalised(mean: &[f32], std: &[f32]) -> String {
    format!("mean {mean:?}, standard deviation {std:?}")
}

/// TorchXRayVision's range.
pub const XRV_RANGE: &str = "values from -1024 to 1024";

/// How many classes have an operating point.
pub fn op_threshs(with: usize, of: usize) -> String {
    format!("{with} of {of} classes; scores put them at 0.5")
}

/// Where a fact comes from.
pub fn provenance(id: &str) -> &'static str {
    match id {
        "read" => "read from its files",
        "given" => "given by you",
        _ => "a guess",
    }
}

/// Files were written.
pub fn saved(paths: &[std::path::PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    format!("Saved {}", names.join(" and "))
}

/// Fields of a display score, beside the raw logit.
pub fn score(value: f32) -> String {
    format!("score {value:.2} (0.5 at the operating point)")
}
