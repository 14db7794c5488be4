//! What `camlens inspect` prints.

/// Names of lines.
pub const FORMAT: &str = "format";
/// Size and channels.
pub const SIZE: &str = "size";
/// Smallest and largest stored value.
pub const VALUES: &str = "stored values";
/// After rescale.
pub const MODALITY_VALUES: &str = "modality values";

/// Columns, rows, samples and bits.
pub fn size(width: usize, height: usize, channels: usize, bits: u32) -> String {
    let kind = if channels == 3 { "colour" } else { "grey" };
    format!("{width} x {height}, {kind}, {bits} bits")
}

/// A range.
pub fn range(lo: f64, hi: f64) -> String {
    format!("{lo} to {hi}")
}

/// Head of a recipe's lines.
pub fn recipe(name: &str, of: &str) -> String {
    format!("recipe {name} ({of})")
}

/// What a recipe makes of a picture.
pub fn outcome(shape: [usize; 3], range: [f32; 2], expected: [f32; 2], mean: f64) -> String {
    let [c, h, w] = shape;
    let [lo, hi] = range;
    let [black, white] = expected;
    format!(
        "input {c} x {h} x {w}, values {lo:.3} to {hi:.3} (black is {black:.3}, white is {white:.3}), mean {mean:.3}"
    )
}

/// A value that the file does not state.
pub const NOT_STATED: &str = "not stated";
