//! Words about session files, recent files and what the program remembers.

use std::path::Path;

use crate::error::{Error, Kind};

/// Title of a dialog.
pub const OPEN_TITLE: &str = "Open a session";
/// Title of a dialog.
pub const SAVE_TITLE: &str = "Save the session";
/// Kind of files.
pub const FILES: &str = "Camlens sessions";
/// Menu.
pub const RECENT: &str = "Open recent";
/// In the empty menu.
pub const NO_RECENT: &str = "Nothing was opened yet";
/// There is nothing to go back to.
pub const NO_LAST: &str = "There is no earlier session to restore";
/// There is no step back.
pub const NOTHING_TO_UNDO: &str = "There is nothing to undo";
/// There is no step forward.
pub const NOTHING_TO_REDO: &str = "There is nothing to redo";
/// The notice of the first start.
pub const FIRST_START: &str = "Research use only, not for diagnosis. Camlens shows where a network looked, not whether \
                               it is right; its maps can mislead. It has no regulatory clearance.";
/// Takes note of it.
pub const UNDERSTOOD: &str = "I understand";
/// Offers the session of the last run.
pub const LAST_OFFER: &str = "Go on where you left off?";

/// A session was opened.
pub fn opened(path: &Path) -> String {
    format!("Session '{}' is open", name(path))
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Panels of a session that cannot be shown.
pub fn panels_left_out(count: usize) -> String {
    format!(
        "{count} panels of the session were left out: this version does not know their methods, or they are more than \
         the grid holds"
    )
}

/// A session file that is none.
pub fn not_a_session(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(
        Kind::Input,
        format!(
            "'{}' is not a session of Camlens ({why}); expected a file that 'Save session' wrote",
            path.display()
        ),
    )
}

/// A session file of a newer version.
pub fn from_the_future(path: &Path, found: u64, known: u64) -> Error {
    Error::new(
        Kind::Unsupported,
        format!(
            "'{}' was written by a newer Camlens: its format is {found}, this version reads up to {known}; nothing was \
             changed, open it with the newer version",
            path.display()
        ),
    )
}

/// The settings cannot be read.
pub fn broken_settings(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!(
        "The settings in '{}' cannot be read ({why}); Camlens starts with its defaults, and that file was kept as '{}'",
        path.display(),
        path.with_extension("broken").display()
    )
}

/// A recent file that is no longer there.
pub fn gone(path: &Path) -> String {
    format!("'{}' is no longer there", path.display())
}
