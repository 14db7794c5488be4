//! What menus, buttons and the palette call each action.

/// An action.
pub const OPEN_IMAGE: &str = "Open X-ray…";
/// An action.
pub const FILES: &str = "Pictures of the folder…";
/// An action.
pub const NEXT_FILE: &str = "Next picture of the folder";
/// An action.
pub const PREVIOUS_FILE: &str = "Previous picture of the folder";
/// An action.
pub const NEXT_FRAME: &str = "Next frame of the file";
/// An action.
pub const PREVIOUS_FRAME: &str = "Previous frame of the file";
/// An action.
pub const OPEN_MODEL: &str = "Open network…";
/// An action.
pub const OPEN_DEMO_MODEL: &str = "Use the built-in network";
/// An action.
pub const OPEN_RECENT: &str = "Open again";
/// An action.
pub const FORGET_RECENT: &str = "Forget recent files";
/// An action.
pub const OPEN_SESSION: &str = "Open session…";
/// An action.
pub const SAVE_SESSION: &str = "Save session…";
/// An action.
pub const RESTORE_SESSION: &str = "Restore the last session";
/// An action.
pub const MODEL_FACTS: &str = "Facts about this network…";
/// An action.
pub const EXPORT: &str = "Export picture…";
/// An action.
pub const QUIT: &str = "Quit";
/// An action.
pub const UNDO: &str = "Undo";
/// An action.
pub const REDO: &str = "Redo";
/// An action.
pub const PALETTE: &str = "Find an action…";
/// An action.
pub const TOGGLE_OVERLAY: &str = "Show overlay";
/// An action.
pub const FIT: &str = "Fit";
/// An action.
pub const ONE_TO_ONE: &str = "One to one";
/// An action.
pub const NATIVE_PIXELS: &str = "Native pixels";
/// An action.
pub const FLIP_ACROSS: &str = "Flip left and right";
/// An action.
pub const FLIP_DOWN: &str = "Flip top and bottom";
/// An action.
pub const ROTATE_RIGHT: &str = "Rotate right";
/// An action.
pub const ROTATE_LEFT: &str = "Rotate left";
/// An action.
pub const AS_STORED: &str = "Neither flipped nor rotated";
/// An action.
pub const INVERT: &str = "Invert grey levels";
/// An action.
pub const RESET_GREY: &str = "Reset";
/// An action.
pub const ZOOM_IN: &str = "Zoom in";
/// An action.
pub const ZOOM_OUT: &str = "Zoom out";
/// An action.
pub const TOGGLE_THEME: &str = "Light or dark";
/// An action.
pub const TOGGLE_SIDES: &str = "Side panels";
/// An action.
pub const TOGGLE_STRIP: &str = "Strip of layers";
/// An action.
pub const PRESET_FIRST: &str = "First look";
/// An action.
pub const PRESET_CLINICIAN: &str = "One large, three small";
/// An action.
pub const PRESET_METHODS: &str = "One layer, six methods";
/// An action.
pub const PRESET_DEPTH: &str = "One method, every stage";
/// An action.
pub const PRESET_SEED: &str = "Methods of the field";
/// An action.
pub const PRESET_FINDINGS: &str = "One method, every finding";
/// An action.
pub const PRESET_STAGES: &str = "Steps of this method";
/// An action.
pub const REMOVE_PANEL: &str = "Remove this panel";
/// An action.
pub const DUPLICATE_PANEL: &str = "Duplicate this panel";
/// An action.
pub const MOVE_PANEL: &str = "Move this panel";
/// An action.
pub const PIN_PANEL: &str = "Pin this panel";
/// An action.
pub const SOLO: &str = "This panel alone";
/// An action.
pub const SWIPE: &str = "Swipe between two panels";
/// An action.
pub const DIFFERENCE: &str = "Difference of two panels";
/// An action.
pub const NEXT_PANEL: &str = "Next panel";
/// An action.
pub const LINKED_DEPTH: &str = "Same layer in all panels";
/// An action.
pub const LINKED_VIEW: &str = "Same view in all panels";
/// An action.
pub const LINKED_TARGET: &str = "Same finding in both cases";
/// An action.
pub const COMPARE: &str = "Compare: this case twice";
/// An action.
pub const COMPARE_IMAGE: &str = "Compare with another X-ray…";
/// An action.
pub const COMPARE_MODEL: &str = "Compare with another network…";
/// An action.
pub const END_COMPARISON: &str = "End the comparison";
/// An action.
pub const PREVIOUS_FINDING: &str = "Previous finding";
/// An action.
pub const NEXT_FINDING: &str = "Next finding";
/// An action.
pub const SHOW_SIGNED: &str = "Show for and against";
/// An action.
pub const RESET_LOOK: &str = "Reset display";
/// An action.
pub const CANCEL: &str = "Cancel";
/// An action.
pub const RESUME: &str = "Compute again";
/// An action.
pub const ABOUT: &str = "About Camlens";
/// An action.
pub const KEYS: &str = "Keyboard and mouse";
/// An action.
pub const METHODS: &str = "Guide to the methods";

/// A sample case of the program.
pub fn sample(title: &str) -> String {
    format!("Sample case: {title}")
}

/// So many panels.
pub fn panels(count: usize) -> String {
    match count {
        1 => "1 panel".to_owned(),
        count => format!("{count} panels"),
    }
}

/// So many columns and rows.
pub fn table(columns: usize, rows: usize) -> String {
    format!("Grid of {columns} by {rows}")
}
