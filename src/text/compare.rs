//! Words about two panels in one picture.

/// Ends it.
pub const END: &str = "Back to all panels";
/// The line between both sides.
pub const LINE: &str = "Line between both panels";
/// A map is not there yet.
pub const WAITS: &str = "Waits for both maps";
/// Maps of pictures that do not match.
pub const OTHER_PICTURES: &str =
    "These maps lie on pictures of different sizes: their difference means nothing";

/// Method and layer, and the case where there are two.
pub fn title(method: &str, layer: &str, case: &[String]) -> String {
    let mut title = format!("{method} at {layer}");
    if !case.is_empty() {
        title = format!("{title} ({})", case.join(", "));
    }
    title
}

/// The heading over a swipe.
pub fn swipe(first: &str, second: &str) -> String {
    format!("{first}  |  {second}")
}

/// The heading over a difference.
pub fn minus(first: &str, second: &str) -> String {
    format!("{first}  minus  {second}")
}

/// What a screen reader calls the picture.
pub fn picture(first: &str, second: &str) -> String {
    format!("Picture of {first} and {second}")
}

/// How far two maps agree.
pub fn agreement(correlation: Option<f64>) -> String {
    match correlation {
        Some(r) => format!(
            "Pearson correlation {r:.2}; red: the first map is stronger, blue: the second; each in shares of its own scale"
        ),
        None => "One of the maps is the same everywhere: there is no correlation".to_owned(),
    }
}
