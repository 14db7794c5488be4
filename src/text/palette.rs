//! Words of the palette.

/// Its name for screen readers.
pub const NAME: &str = "Find an action";
/// In its empty box.
pub const HINT: &str = "Type an action, a method, a layer, a finding, or a recent file";
/// No entry holds what is typed.
pub const NOTHING: &str = "Nothing is called that";
/// Kind of entry.
pub const METHOD: &str = "method in this panel";
/// Kind of entry.
pub const LAYER: &str = "layer in this panel";
/// Kind of entry.
pub const FINDING: &str = "finding";
/// Kind of entry.
pub const RECENT: &str = "recent file";
