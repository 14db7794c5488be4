//! What `camlens bench` says.

/// Rows of the table, for progress.
pub const ROWS: usize = 16;
/// Opening the file.
pub const LOAD: &str = "open the file";
/// A forward pass for logits.
pub const FORWARD: &str = "forward, logits only";
/// A forward pass that keeps what a reverse walk needs.
pub const TRACE: &str = "forward, kept for a walk";
/// A walk from the logits to the input.
pub const WALK: &str = "walk back to the input";
/// One image of a batch.
pub const MASK: &str = "Score-CAM, per mask";
/// The first pass, which packs weights.
pub const FIRST: &str = "first forward pass (packs weights)";
/// A new process.
pub const COLD: &str = "new process to first heatmap on disk";

/// A forward pass and a walk to a layer.
pub fn to_layer(layer: &str) -> String {
    format!("forward and backward to {layer}")
}

/// A grid of maps, from the input on.
pub fn grid(methods: usize, layers: usize) -> String {
    format!("grid of {methods} methods x {layers} layers")
}

/// A map of many passes.
pub fn map(method: &str, layer: &str, params: &[(&str, &str)]) -> String {
    let params: Vec<String> = params.iter().map(|(id, v)| format!(", {id} {v}")).collect();
    format!("{method} at {layer}{}", params.concat())
}

/// A batch.
pub fn batch(images: usize) -> String {
    format!("forward, batch of {images}")
}

/// Work that is cancelled, from the word to its end.
pub fn cancelled(what: &str) -> String {
    format!("cancel {what}")
}

/// A map of an image that has been opened.
pub fn open_image(map: &str) -> String {
    format!("{map}, image open")
}
