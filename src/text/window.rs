//! Labels, buttons and hints of the window.

/// Progress: a network is read.
pub const OPENING_MODEL: &str = "Opening the network";
/// Progress: an image is read.
pub const OPENING_IMAGE: &str = "Opening the image";
/// Progress: synthetic chests.
pub const RENDERING: &str = "Rendering synthetic chests";
/// Progress: the forward pass.
pub const FORWARD: &str = "Running the network";
/// Progress: the reverse walk.
pub const BACKWARD: &str = "Walking back from the target";

// ---- the window itself -------------------------------------------------------------------------

/// What the title bar says.
pub fn title() -> String {
    format!("{} · {}", super::APP, super::RESEARCH_ONLY)
}

/// There is no desktop to open a window on.
pub fn no_display() -> String {
    "there is no display to open a window on; 'camlens explain --demo --out DIR' works without one"
        .to_owned()
}

/// The desktop refused a window.
pub fn no_window(why: &str) -> String {
    format!(
        "the window cannot be opened ({why}); on Debian and Ubuntu it needs: libx11-6 libx11-xcb1 libxcursor1 \
         libxi6 libxkbcommon0 libxkbcommon-x11-0 libegl1 libgl1-mesa-dri; \
         'camlens explain --demo --out DIR' works without a window"
    )
}

/// Printed once a screenshot is written.
pub fn first_map_after(seconds: f64) -> String {
    format!("first heatmap after {seconds:.2} s")
}

/// No map came in time for a screenshot.
pub const SCREENSHOT_LATE: &str = "no screenshot: the maps did not come within two minutes";

/// The picture of the window cannot be taken.
pub const SCREENSHOT_FAILED: &str = "no screenshot: the window gave no picture";

// ---- menus -------------------------------------------------------------------------------------

/// Menu.
pub const FILE: &str = "File";
/// Menu.
pub const EDIT: &str = "Edit";
/// Menu.
pub const COMPARE: &str = "Compare";
/// Heading in a menu.
pub const COLUMNS_AND_ROWS: &str = "Columns × rows";
/// Menu.
pub const VIEW: &str = "View";
/// Menu.
pub const PANELS: &str = "Panels";
/// Menu.
pub const HELP: &str = "Help";
/// Menu of the cases in the program.
pub const SAMPLES: &str = "Sample cases";
/// Closes a sheet or a banner.
pub const CLOSE: &str = "Close";
/// Closes a banner.
pub const DISMISS: &str = "Dismiss";

// ---- dialogs -----------------------------------------------------------------------------------

/// Title of a dialog.
pub const OPEN_IMAGE_TITLE: &str = "Open an X-ray";
/// Title of a dialog.
pub const OPEN_MODEL_TITLE: &str = "Open a network";
/// Title of a dialog.
pub const EXPORT_TITLE: &str = "Export the annotated picture";
/// Kind of files.
pub const IMAGE_FILES: &str = "X-ray images";
/// Kind of files.
pub const MODEL_FILES: &str = "Networks";
/// Kind of files.
pub const PNG_FILES: &str = "PNG pictures";
/// Kind of files.
pub const ALL_FILES: &str = "All files";
/// The desktop has no file dialog.
pub const NO_DIALOG: &str = "This desktop offers no file dialog: type or paste the path into the box on the left, or drop the file here";
/// The name of the box for paths.
pub const PATH_BOX: &str = "Path of an X-ray or a network";
/// In the empty box for paths.
pub const PATH_HINT: &str = "Paste a path, press Enter";
/// Over the window while files hang above it.
pub const DROP_HERE: &str = "Drop an X-ray, a network or a file of regions";
/// The upper end of a map's colour scale, with its unit.
pub fn raw(number: &str) -> String {
    format!("{number} raw")
}

/// The colour scale under a panel.
pub fn scale_of_panel(panel: usize, method: &str, lo: f32, hi: f32) -> String {
    format!(
        "Colour scale of panel {panel}: {method} from {} to {} in the map's raw units, before any normalisation",
        super::notice::number(lo),
        super::notice::number(hi)
    )
}

/// What two cases are called.
pub const CASE_NAMES: [&str; 2] = ["A", "B"];
/// On the switch between two cases.
pub const CASE_HINT: &str = "This side of the window is about this case; what is opened goes there";

/// A case on the switch.
pub fn case_name(letter: &str, picture: &str) -> String {
    format!("{letter}: {picture}")
}

/// A panel that presets leave alone.
pub const PINNED: &str = "pinned";
/// The same, longer.
pub const PINNED_HINT: &str =
    "Presets and linked sliders leave this panel alone. Click to let it go.";
/// On the button with three dots.
pub const MORE_HINT: &str = "Duplicate, pin, compare, remove, or explain another finding here";
/// Heading in a panel's menu.
pub const OWN_FINDING: &str = "Finding explained here";
/// The finding of the case.
pub const SHARED_FINDING: &str = "As in the list of findings";

/// Heading of the list of maps that are on their way.
pub const QUEUE: &str = "Queue";
/// Nothing is on its way.
pub const QUEUE_EMPTY: &str = "Every map on screen is there";
/// A map that is not begun.
pub const QUEUE_WAITS: &str = "waits";

/// A map that is on its way.
pub fn queued(panel: usize, method: &str, layer: &str) -> String {
    format!("Panel {panel}: {method} at {layer}")
}

/// Puts a method of the guide into the selected panel.
pub fn show_in_panel(panel: usize) -> String {
    format!("Show in panel {panel}")
}

/// What denoising does at present to a panel's map.
pub fn denoise_now(method: &str, layer: &str, grid: [usize; 2], limit: &str) -> String {
    format!(
        "Cells under {limit} become 0 ({method}, {layer}, {} × {})",
        grid[0], grid[1]
    )
}

/// What denoising would do.
pub fn denoise_off(method: &str, layer: &str, grid: [usize; 2]) -> String {
    format!(
        "All {} × {} cells are kept ({method}, {layer})",
        grid[0], grid[1]
    )
}

/// The method has a denoising of its own.
pub fn denoise_own(method: &str, what: &str) -> String {
    format!("{method}'s own denoising is below: {what}")
}

/// Heading of the strip of layers.
pub fn layers_of(panel: usize, method: &str) -> String {
    format!("Layers, panel {panel}: {method}")
}

/// What a screen reader calls the strip.
pub fn strip_name(panel: usize) -> String {
    format!("Strip of layers of panel {panel}")
}

/// Name, operation, grid and receptive field of a layer in one line.
pub fn layer_facts(
    name: &str,
    op: &str,
    resolution: [usize; 2],
    field: Option<[usize; 2]>,
) -> String {
    format!(
        "{name}  ·  {}  ·  {}",
        layer_grid(op, resolution),
        receptive_field(field)
    )
}

/// The button with three dots on a panel.
pub fn more_of_panel(panel: usize) -> String {
    format!("More for panel {panel}")
}

/// The ground of a panel's header.
pub fn header_of_panel(panel: usize) -> String {
    format!("Header of panel {panel}: drag to move it, double click to see it alone")
}

/// Two panels are needed to compare.
pub const NEEDS_TWO_PANELS: &str = "There is one panel only: show two to lay them over each other";
/// Name of the box for an export's path.
pub const EXPORT_PATH: &str = "File to write";
/// Writes the file.
pub const SAVE: &str = "Save";

/// A dropped file has no path.
pub const DROPPED_WITHOUT_PATH: &str = "What was dropped is not a file on this computer";

/// Kind of files of which one is open at a time.
pub const MODELS: &str = "network";
/// The same.
pub const REGIONS: &str = "file of regions";

/// More files of a kind were dropped than can be open.
pub fn dropped_too_many(opened: &str, others: usize, kind: &str) -> String {
    format!("'{opened}' was opened, {others} more left out: one {kind} is open at a time")
}

/// An export is done.
pub fn exported(path: &std::path::Path) -> String {
    format!("Saved {}", path.display())
}

/// An export was asked for while maps were computed.
pub const EXPORT_LATER: &str = "The picture can be exported once every panel shows its map";
/// An export is under way.
pub const EXPORTING: &str = "Writing the picture";
/// The export's thread broke.
pub const EXPORT_BROKE: &str = "the picture cannot be drawn: an internal fault";

// ---- case, network, findings -------------------------------------------------------------------

/// Heading.
pub const CASE: &str = "X-ray";
/// Heading.
pub const NETWORK: &str = "Network";
/// Heading.
pub const FINDINGS: &str = "Findings";
/// Heading of the explained finding.
pub const EXPLAINED: &str = "Explained finding";
/// Nothing is open.
pub const NO_IMAGE: &str = "No X-ray is open";
/// Heading of the empty window.
pub const EMPTY_TITLE: &str = "Nothing to show yet";
/// What is needed.
pub const EMPTY_HINT: &str = "Camlens needs an X-ray and a network: open them, drop them here, or begin with what is built in";
/// Opens the built-in network and a sample case.
pub const EMPTY_DEMO: &str = "Built-in network and sample case";
/// Nothing is open.
pub const NO_MODEL: &str = "No network is open";
/// The forward pass is running.
pub const FINDINGS_WAIT: &str = "Waiting for the network";
/// The forward pass was stopped or failed.
pub const NO_FINDINGS: &str = "There are no findings for this pair";
/// In the empty filter.
pub const FILTER: &str = "Filter findings";
/// Column.
pub const PROBABILITY: &str = "Probability";
/// Heading of a quiet list.
pub const GUESSED: &str = "What to know";
/// In place of the list.
pub const MODEL_CARD: &str = "About this network";

/// Button beside the network.
pub const FACTS: &str = "Facts…";

/// Size of the open image.
pub fn image_size([width, height]: [usize; 2]) -> String {
    format!("{width} × {height} px")
}

/// Field of the frame that is shown.
pub const FRAME: &str = "Frame";
/// Hover text.
pub const FRAME_HINT: &str =
    "This file holds several pictures. The network sees the one that is shown";
/// The open file has one picture.
pub const ONE_FRAME: &str = "This file has one frame";

/// Behind the field.
pub fn of_frames(frames: usize) -> String {
    format!("of {frames}")
}

/// What the open network is; `input` is `[channels, rows, columns]`.
pub fn network_line(arch: &str, classes: usize, [channels, height, width]: [usize; 3]) -> String {
    let outputs = if classes == 1 {
        "1 output".to_owned()
    } else {
        format!("{classes} outputs")
    };
    let side = if height == width {
        format!("{width} px")
    } else {
        format!("{width} × {height} px")
    };
    let colour = match channels {
        1 => " grey",
        3 => " colour",
        _ => "",
    };
    format!("{arch} · {side}{colour} · {outputs}")
}

/// A probability for the eye.
pub fn probability(value: f32) -> String {
    // Never a certainty that the network does not have.
    if value > 0.995 {
        "> 0.99".to_owned()
    } else if value < 0.005 {
        "< 0.01".to_owned()
    } else {
        format!("{value:.2}")
    }
}

/// The small line under the verdict.
pub fn logit_line(
    logit: f32,
    calibrated: bool,
    threshold: Option<f32>,
    score: Option<f32>,
) -> String {
    let state = if calibrated {
        "calibrated"
    } else {
        "not calibrated"
    };
    if let Some(score) = score {
        return format!("{} · logit {logit:.2}", super::fact::score(score));
    }
    match threshold {
        Some(t) => format!("called from {t:.2} on · logit {logit:.2} · {state}"),
        None => format!("logit {logit:.2} · {state}"),
    }
}

/// Whether the model calls the finding.
pub fn verdict(called: bool) -> &'static str {
    if called {
        "The model calls this finding"
    } else {
        NOT_CALLED
    }
}

/// Beside a map whose finding is not called.
pub use super::notice::NOT_CALLED;

/// What the attention branch's own classifier says of the explained finding.
pub fn attention_line(given: f32, logit: f32) -> String {
    format!("Attention head {} · logit {logit:.2}", probability(given))
}

/// What that line means.
pub const ATTENTION_HINT: &str = "This network has two classifiers. The prediction above is its perception head's, \
     which every map but the attention map explains. The attention head is the classifier that the attention map was \
     trained with; its probability is not calibrated, and the two may disagree.";

/// How a findings row is read out; `second` is the probability that an attention head gives.
pub fn finding_hint(
    label: &str,
    probability: f32,
    logit: f32,
    score: Option<f32>,
    second: Option<f32>,
) -> String {
    let score = score.map_or_else(String::new, |s| format!(", {}", super::fact::score(s)));
    let second = second.map_or_else(String::new, |p| format!(", attention head {p:.4}"));
    format!(
        "{label}: probability {probability:.4}, logit {logit:.3}{score}{second}. Click to see where the network looked for it."
    )
}

// ---- panels ------------------------------------------------------------------------------------

/// Accessible name of a method's menu.
pub fn method_of_panel(panel: usize) -> String {
    format!("Method, panel {panel}")
}

/// Accessible name of a depth slider.
pub fn layer_of_panel(panel: usize) -> String {
    format!("Layer, panel {panel}")
}

/// Accessible name of a panel's picture.
pub fn picture_of_panel(panel: usize, method: &str, layer: &str) -> String {
    format!("X-ray with {method} at {layer}, panel {panel}")
}

/// Accessible name of the button that takes a panel away.
pub fn remove_panel(panel: usize) -> String {
    format!("Remove panel {panel}")
}

/// Left half of the line under the depth slider.
pub fn layer_grid(op: &str, [rows, columns]: [usize; 2]) -> String {
    format!("{op}, {rows} × {columns}")
}

/// Right half of the line under the depth slider.
pub fn receptive_field(field: Option<[usize; 2]>) -> String {
    match field {
        Some([rows, columns]) if rows == columns => format!("sees {rows} px"),
        Some([rows, columns]) => format!("sees {rows} × {columns} px"),
        None => "sees everything".to_owned(),
    }
}

/// Tooltip of the depth slider.
pub fn layer_hint(name: &str, place: usize, count: usize, stage: bool) -> String {
    let end = if stage { ", end of a stage" } else { "" };
    format!(
        "{name}: layer {place} of {count}{end}. Left is near the pixels (fine, little meaning), right is near \
         the decision (coarse, much meaning). Arrow keys step, Page keys go stage by stage. \
         \"Sees\" is the receptive field in pixels of the network's input."
    )
}

/// The panel's map is not there yet.
pub fn waiting_for(method: &str, layer: &str) -> String {
    format!("Computing {method} at {layer}")
}

/// The panel's map was stopped.
pub const STOPPED: &str = "Stopped";
/// The overlay is switched off.
pub const OVERLAY_HIDDEN: &str = "Overlay hidden (H)";
/// The overlay is hidden while a key is held.
pub const PEEKING: &str = "X-ray alone";
/// On a panel that has its own display settings.
pub const OWN_SETTINGS: &str = "Own display";
/// Takes a panel's own settings back.
pub const OWN_SETTINGS_HINT: &str =
    "This panel has display settings of its own. Click to follow the others again.";

/// On a picture that is not shown as it is stored.
pub fn turned(mirrored: bool, quarters: u8) -> String {
    let degrees = 90 * u32::from(quarters % 4);
    match (mirrored, degrees) {
        (true, 0) => "Mirrored".to_owned(),
        (true, 180) => "Upside down, mirrored".to_owned(),
        (true, _) => format!("Mirrored, rotated {degrees}°"),
        (false, _) => format!("Rotated {degrees}°"),
    }
}

/// Hover text of what turns the picture.
pub const TURN_HINT: &str = "On the screen only: regions keep their place in the X-ray, the network's input and exported pictures stay as stored";

/// What the pointer is on, in the bottom bar.
pub fn pixel(x: usize, y: usize, grey: u8) -> String {
    format!("x {x}   y {y}   grey {grey}")
}

/// Where a list of files is asked for.
pub const NO_FOLDER: &str =
    "No folder is open: drop a folder or a DICOMDIR on the window, or paste its path.";

/// Hover text of the patient's name.
pub const IDENTITY_HINT: &str =
    "From the file's header. Shown here only: exports, manifests and screenshots leave it out";

/// The same with the value in the file's units, where those are not grey levels.
pub fn pixel_value(x: usize, y: usize, value: f64, grey: u8) -> String {
    let decimals = usize::from(value.fract() != 0.0) * 2;
    format!("x {x}   y {y}   value {value:.decimals$}   grey {grey}")
}

/// Head of a method's card.
pub const SHOWS: &str = "Shows";
/// Head of a method's card.
pub const WEAKNESS: &str = "Weakness";
/// Head of a method's card.
pub const SOURCE: &str = "Source";

// ---- display -----------------------------------------------------------------------------------

/// Heading.
pub const DISPLAY: &str = "Display";
/// Display settings act on every panel.
pub const ALL_PANELS: &str = "All panels";
/// Tooltip of the same.
pub const ALL_PANELS_HINT: &str =
    "The controls below act on every panel that has no settings of its own";
/// Tooltip of the choice of one panel.
pub const ONE_PANEL_HINT: &str = "The controls below act on the selected panel only";

/// Display settings act on one panel.
pub fn one_panel(panel: usize) -> String {
    format!("Panel {panel} only")
}

/// Which sign counts.
pub const EVIDENCE: &str = "Evidence";
/// The sign that is usual for each method.
pub const USUAL_SIGN: &str = "Auto";
/// Tooltip.
pub const USUAL_SIGN_HINT: &str = "As each method is usually read: relevance propagation for and against, all others what speaks for the finding";
/// Positive values.
pub const FOR: &str = "For";
/// Tooltip.
pub const FOR_HINT: &str = "What speaks for the finding";
/// Negative values.
pub const AGAINST: &str = "Against";
/// Tooltip.
pub const AGAINST_HINT: &str = "What speaks against the finding";
/// Signed values.
pub const BOTH: &str = "Both";
/// Tooltip.
pub const BOTH_HINT: &str = "Red speaks for the finding, blue against it";
/// Slider.
pub const DENOISE: &str = "Denoise";
/// Tooltip.
pub const DENOISE_HINT: &str =
    "Cells of the map under this share of its largest value become 0, before the blur";
/// Heading.
pub const CONTOURS: &str = "Contour lines";
/// No lines.
pub const CONTOURS_NONE: &str = "None";
/// One line.
pub const CONTOURS_HALF: &str = "50 %";
/// Three lines.
pub const CONTOURS_QUARTERS: &str = "25s";
/// Nine lines.
pub const CONTOURS_TENTHS: &str = "10s";
/// Tooltip.
pub const CONTOURS_HINT: &str = "Lines of equal value at these shares of the colour scale: they leave the X-ray between them uncovered";
/// Slider.
pub const BLUR: &str = "Blur";
/// Tooltip.
pub const BLUR_HINT: &str =
    "Gaussian blur; its sigma in pixels of the X-ray, so that it means the same in every panel";
/// Slider.
pub const CUT: &str = "Cut";
/// Tooltip.
pub const CUT_HINT: &str = "Below this share of the colour scale nothing is drawn";
/// Slider.
pub const OPACITY: &str = "Opacity";
/// Tooltip.
pub const OPACITY_HINT: &str = "How much of the X-ray the overlay covers";
/// How opacity follows the value.
pub const UNIFORM: &str = "Uniform";
/// Tooltip.
pub const UNIFORM_HINT: &str = "The same opacity everywhere above the cut";
/// How opacity follows the value.
pub const BY_VALUE: &str = "By value";
/// Tooltip.
pub const BY_VALUE_HINT: &str = "Strong values cover more; weak signal is easily overlooked";
/// What the ends of the scale stand for.
pub const SCALE: &str = "Scale";
/// Each map its own scale.
pub const SCALE_MAP: &str = "Per map";
/// Tooltip.
pub const SCALE_MAP_HINT: &str =
    "From 0 to this map's own largest value: places compare, strengths do not";
/// One scale for all panels.
pub const SCALE_SHARED: &str = "Shared";
/// Tooltip.
pub const SCALE_SHARED_HINT: &str =
    "One scale for all panels, so that strengths compare; only where the units do";
/// Given ends.
pub const SCALE_FIXED: &str = "Fixed";
/// Tooltip.
pub const SCALE_FIXED_HINT: &str =
    "Ends of the scale by hand, in raw units: the same for every case";
/// Lower end.
pub const SCALE_LO: &str = "Lower end";
/// Upper end.
pub const SCALE_HI: &str = "Upper end";
/// Menu of colour maps.
pub const COLOURS: &str = "Colours";
/// Said where signed maps take over.
pub const COLOURS_SIGNED: &str = "Maps of both signs always use the diverging colours";
/// Under the switch of the overlay.
pub const PEEK_HINT: &str = "Hold Space to see the X-ray alone";

/// Accessible name of the number beside a slider.
pub fn value_of(slider: &str) -> String {
    format!("{slider}, number")
}

/// A colour map in menus.
pub fn colormap(map: crate::plan::Colormap) -> &'static str {
    use crate::plan::Colormap;
    match map {
        Colormap::Inferno => "Inferno",
        Colormap::Magma => "Magma",
        Colormap::Viridis => "Viridis",
        Colormap::Cividis => "Cividis (colour-vision safe)",
        Colormap::Diverging => "Diverging",
        Colormap::Jet => "Jet (legacy, misleading)",
    }
}

// ---- bottom bar --------------------------------------------------------------------------------

/// Layers beside those on screen are computed.
pub const AHEAD: &str = "Preparing the other layers";
/// Everything is there.
pub const READY: &str = "Ready";

/// How far the present work has come.
pub fn progress(label: &str, done: usize, total: usize) -> String {
    if total == 0 {
        label.to_owned()
    } else {
        format!("{label} ({done} of {total})")
    }
}

// ---- sheets ------------------------------------------------------------------------------------

/// What the program is and is not.
pub const ABOUT: [&str; 4] = [
    "Camlens shows where a chest X-ray classifier looked: many explanation methods and layers side by side.",
    "It is a research instrument. It is not a medical device, it has not been validated for any clinical use, and \
     nothing it shows may be used for diagnosis or treatment.",
    "A heatmap says which places moved the network's number. It does not say why, it is not a segmentation, and a \
     plausible place does not make the answer right.",
    "Everything is computed on this computer; nothing is sent anywhere.",
];

/// What the mouse does, as pairs of gesture and effect.
pub const MOUSE: [(&str, &str); 6] = [
    ("Wheel", "Zoom at the pointer, all panels"),
    ("Drag", "Pan, all panels"),
    (
        "Right drag",
        "Grey levels: width across, center up and down",
    ),
    ("Double click", "One panel alone; on a slider: its default"),
    ("Hold Space", "See the X-ray under the overlay"),
    ("Arrows on a slider", "One step; Page keys: one stage"),
];

/// Keys that set the number of panels.
pub const PANEL_KEYS: &str = "1 to 9";
/// What they do.
pub const PANEL_KEYS_EFFECT: &str = "So many panels";

/// What is being done while a map of many passes grows.
pub fn sampling(method: &str) -> String {
    format!("{method}: passes")
}
