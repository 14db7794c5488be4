//! Words about lists of files.

/// While a folder is read.
pub const READING: &str = "Reading the folder";
/// Nothing in it.
pub const EMPTY: &str = "No file is in here.";

/// Heading.
pub fn title(folder: &str) -> String {
    format!("Pictures in {folder}")
}

/// Heading of files that were chosen together.
pub fn title_of_files(count: usize) -> String {
    format!("{count} files")
}

/// A picture's size in a list.
pub fn size([width, height]: [usize; 2]) -> String {
    format!("{width} × {height}")
}

/// What is known of a picture, side by side.
pub fn facts(parts: &[String]) -> String {
    parts.join("  ·  ")
}
