//! What `camlens bench` says.

use crate::error::{Error, Kind};

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

// ---- the window --------------------------------------------------------------------------------

/// Scene.
pub const SLIDERS: &str = "8 panels, cut, blur, opacity and denoise in turn";
/// Scene.
pub const DEPTH: &str = "8 panels, all through the layers by the depth slider";
/// Scene.
pub const STRIP: &str = "8 panels, all through the layers by the strip";
/// Scene.
pub const WINDOW_LEVEL: &str = "2500 x 3000, 12 bits, 4 panels: window and level";
/// Scene.
pub const PAN: &str = "the same, zoomed in: pan";
/// Scene.
pub const PAN_ONE: &str = "the same in one panel: pan";
/// Scene.
pub const WINDOW_LEVEL_CLOSE: &str = "4 panels, zoomed in: window and level";
/// Somebody closed the window.
pub const CLOSED: &str = "the window was closed before everything was measured";
/// Maps did not come.
pub const LATE: &str = "the maps were not there after two minutes, so there is nothing to measure";
/// Heading of the table.
pub const WINDOW_COLUMNS: &str = "\
milliseconds a frame: median (95 of 100 below)            on processor          own work       with OpenGL          interval   changes a second";

/// The window that was measured.
pub fn window_head(
    version: &str,
    [w, h]: [f32; 2],
    pixels_per_point: f32,
    threads: usize,
) -> String {
    format!(
        "Camlens {version}, window {w} x {h} at {pixels_per_point} pixels a point, {threads} threads"
    )
}

/// A widget that should be there is not.
pub fn no_widget(name: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("the window shows no '{name}' to measure"),
    )
}

/// A scene in which hardly anything happened.
pub fn nothing_moved(what: &str, changes: usize, frames: usize) -> Error {
    Error::new(
        Kind::Unsupported,
        format!(
            "'{what}': only {changes} of {frames} frames changed anything, so the times mean nothing"
        ),
    )
}
