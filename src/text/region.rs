//! Words about regions in the window.

/// Heading, and the menu.
pub const REGIONS: &str = "Regions";
/// What the tools are called.
pub const TOOLS: [&str; 4] = ["Select", "Box", "Ellipse", "Free"];
/// What the tools do.
pub const TOOL_HINTS: [&str; 4] = [
    "A click selects, a drag moves the selected region (Escape leaves a tool)",
    "Drag a box on any panel (B)",
    "Drag an ellipse on any panel (E)",
    "Draw around a region on any panel (F)",
];
/// The tools in the menu.
pub const DRAW: [&str; 3] = ["Draw a box", "Draw an ellipse", "Draw freehand"];
/// Adds a shape without a mouse.
pub const ADD_BOX: &str = "Add box in the middle";
/// Adds a shape without a mouse.
pub const ADD_ELLIPSE: &str = "Add ellipse in the middle";
/// Opens a dialog.
pub const OPEN: &str = "Open regions…";
/// Opens a dialog.
pub const SAVE: &str = "Save regions…";
/// Takes the selected one away.
pub const DELETE: &str = "Delete region";
/// Leaves the tool.
pub const LEAVE: &str = "Leave the drawing tool";
/// Shows the grid.
pub const GRID: &str = "Cells of the layer";
/// What it shows.
pub const GRID_HINT: &str =
    "Draws the borders of the layer's own cells: the overlay between them is interpolated";
/// The sheet of the network's input.
pub const MODEL_EYE: &str = "Model's eye…";

/// Name of the box for a path.
pub const PATH_BOX: &str = "Path of a file of regions";
/// In the empty box.
pub const PATH_HINT: &str = "Paste a path, press Enter";
/// Title of a dialog.
pub const OPEN_TITLE: &str = "Open regions";
/// Title of a dialog and a sheet.
pub const SAVE_TITLE: &str = "Save regions as COCO JSON";
/// Kind of files.
pub const FILES: &str = "Regions";
/// Kind of files.
pub const COCO_FILES: &str = "COCO JSON";
/// Name of a box.
pub const LABEL: &str = "Label of the region";
/// In the empty box.
pub const LABEL_HINT: &str = "Finding, such as Pneumonia";
/// Nothing is open or drawn.
pub const NONE: &str = "None yet: open a file, drop one here, or draw.";
/// What the numbers mean.
pub const NUMBERS_HINT: &str = "Inside: share of the map's positive energy within the regions (an even map would have their share of the area). \
Hit or miss: whether the map's highest point lies within. IoU: overlap of what is drawn above the cut with the regions. \
A miss may have a high IoU and a hit a low one: read both.";
/// There is nothing to measure.
pub const NO_NUMBERS: &str = "no positive evidence";
/// Saving without any.
pub const NOTHING_TO_SAVE: &str = "There are no regions to save: open a file or draw first";
/// There is no picture yet.
pub const NO_PICTURE: &str = "Open an X-ray first: regions belong to one";
/// The four numbers of a box or an ellipse.
pub const SIDES: [&str; 4] = ["Left", "Top", "Width", "Height"];

/// A region in the list.
pub fn entry(number: usize, label: &str, shape: &str) -> String {
    let label = if label.trim().is_empty() {
        "no label"
    } else {
        label
    };
    format!("Region {number}: {label}, {shape}")
}

/// What a shape is called: box, ellipse, outline, mask.
pub fn shape(kind: usize) -> &'static str {
    ["box", "ellipse", "outline", "mask"]
        .get(kind)
        .copied()
        .unwrap_or("region")
}

/// Share of the picture.
pub fn area(share: f64) -> String {
    format!("Area {:.1} % of the X-ray", 100.0 * share)
}

/// Numbers of a panel.
pub fn numbers(panel: usize, method: &str, energy: f64, hit: bool, iou: Option<f64>) -> String {
    let iou = iou.map_or_else(|| "IoU -".to_owned(), |iou| format!("IoU {iou:.2}"));
    let hit = if hit { "hit" } else { "miss" };
    format!(
        "{panel} {method}: {:.0} % inside, {hit}, {iou}",
        100.0 * energy
    )
}

/// A panel without numbers.
pub fn no_numbers(panel: usize, method: &str) -> String {
    format!("{panel} {method}: {NO_NUMBERS}")
}

/// A file was opened.
pub fn opened(count: usize, file: &str) -> String {
    match count {
        1 => format!("1 region from {file}"),
        _ => format!("{count} regions from {file}"),
    }
}

/// The network's input: size and channels.
pub fn eye_size(channels: usize, width: usize, height: usize) -> String {
    let channels = if channels == 1 {
        "1 channel".to_owned()
    } else {
        format!("{channels} channels")
    };
    format!("{width} x {height} pixels, {channels}")
}

/// The network's input: its numbers.
pub fn eye_range(lo: f32, hi: f32, black: f32, white: f32) -> String {
    format!("Numbers from {lo:.3} to {hi:.3}; black is {black:.3}, white {white:.3}")
}

/// The network's input: the part of the X-ray.
pub fn eye_crop(crop: Option<[f64; 4]>) -> String {
    match crop {
        None => "It sees the whole X-ray".to_owned(),
        Some([left, top, right, bottom]) => format!(
            "It sees columns {left:.0} to {right:.0} and rows {top:.0} to {bottom:.0}, outlined on the left"
        ),
    }
}

/// The network's input: one pixel of it.
pub fn eye_pixel(scale: [f64; 2]) -> String {
    format!(
        "One of its pixels is {:.2} x {:.2} pixels of the X-ray",
        scale[0], scale[1]
    )
}

/// Name of the picture of the X-ray for screen readers.
pub const EYE_SOURCE: &str = "The X-ray with the part that the network sees";
/// Name of the picture of the input for screen readers.
pub const EYE_INPUT: &str = "The network's input as a picture";
/// Title of the sheet.
pub const EYE_TITLE: &str = "Model's eye: what the network is fed";
/// A ready input has no recipe.
pub const EYE_READY: &str =
    "A ready input: no preprocessing was done; shown as if the network's own recipe had made it";
/// There is nothing to show.
pub const EYE_NOTHING: &str = "Open an X-ray and a network first";
