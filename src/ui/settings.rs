//! What the program remembers from one run to the next: the notice that was read, the theme, the files that were open
//! last, and the session to go on with.
//!
//! Each file is written whole or not at all, so that a crash loses at most the last seconds. Of recent files only paths
//! are kept, nothing of what is in them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use etcetera::AppStrategy as _;
use poll_promise::Promise;
use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::session_file;
use crate::error::Result;
use crate::export::write_whole;
use crate::text::{APP, session as words};

/// Most files that are remembered.
const MOST_RECENT: usize = 12;
/// Shortest time between two writes of the running session.
const EVERY: Duration = Duration::from_secs(4);
/// Until a write that is under way is looked at again.
const SOON: Duration = Duration::from_millis(100);

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    /// The version whose notice was read and taken note of.
    pub(super) understood: Option<String>,
    /// Light colours.
    pub(super) light: bool,
    /// Files and folders that were opened, newest first.
    pub(super) recent: Vec<PathBuf>,
}

/// The settings and where they are kept.
#[derive(Default)]
pub(super) struct Store {
    /// `None` where nothing is kept.
    folder: Option<PathBuf>,
    pub(super) settings: Settings,
    written: Settings,
    /// The session of the run before.
    last: Option<Desk>,
    /// What this run began with: nothing is written over the last session before something was done.
    first: Option<Desk>,
    saved: Option<(Desk, Instant)>,
    saving: Option<Promise<Result<()>>>,
}

/// Where settings are kept on this system; `None` where it has no such place.
pub fn folder() -> Option<PathBuf> {
    let name = APP.to_lowercase();
    let place = etcetera::choose_app_strategy(etcetera::AppStrategyArgs {
        top_level_domain: "org".to_owned(),
        author: name.clone(),
        app_name: name,
    });
    Some(place.ok()?.config_dir())
}

impl Store {
    /// Reads what is kept in `folder`; what cannot be read is said, kept aside and forgotten.
    pub(super) fn open(folder: Option<PathBuf>) -> (Self, Option<String>) {
        let Some(folder) = folder else {
            return (Self::default(), None);
        };
        let path = settings_file(&folder);
        let mut complaint = None;
        let settings = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|why| {
                complaint = Some(words::broken_settings(&path, &why));
                // Whoever wrote that by hand wants it back.
                let _ = std::fs::rename(&path, path.with_extension("broken"));
                Settings::default()
            }),
            Err(_) => Settings::default(),
        };
        let store = Self {
            last: session_file::read(&last_file(&folder)).ok(),
            written: settings.clone(),
            settings,
            folder: Some(folder),
            ..Self::default()
        };
        (store, complaint)
    }

    /// Whether anything is kept.
    pub(super) fn keeps(&self) -> bool {
        self.folder.is_some()
    }

    /// Puts a file in front of those that were open last.
    pub(super) fn opened(&mut self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else {
            return;
        };
        self.settings.recent.retain(|other| *other != path);
        self.settings.recent.insert(0, path);
        self.settings.recent.truncate(MOST_RECENT);
    }

    /// The session of the run before.
    pub(super) fn last(&self) -> Option<&Desk> {
        self.last.as_ref()
    }

    /// Writes what has changed: settings at once, the session in the background and not too often. When it wants to be
    /// asked again although nothing happens, because a change waits for its time.
    pub(super) fn keep(&mut self, desk: Option<&Desk>) -> Option<Duration> {
        let folder = self.folder.as_ref()?;
        if self.settings != self.written {
            self.written = self.settings.clone();
            let written = std::fs::create_dir_all(folder).is_ok()
                && serde_json::to_vec_pretty(&self.settings)
                    .is_ok_and(|bytes| write_whole(&settings_file(folder), &bytes).is_ok());
            if !written {
                // A full or read-only disk: the run goes on, and nothing is written again and again.
                self.folder = None;
                return None;
            }
        }
        let now = Instant::now();
        let desk = desk?;
        if self.saved.is_none() && self.first.get_or_insert_with(|| desk.clone()) == desk {
            return None;
        }
        let wait = match &self.saved {
            Some((saved, _)) if saved == desk => return None,
            Some((_, at)) => EVERY.saturating_sub(now.duration_since(*at)),
            None => Duration::ZERO,
        };
        let writes = |saving: &Promise<_>| saving.ready().is_none();
        if self.saving.as_ref().is_some_and(writes) {
            return Some(wait.max(SOON));
        }
        if wait > Duration::ZERO {
            return Some(wait);
        }
        let (path, desk) = (last_file(folder), desk.clone());
        self.saved = Some((desk.clone(), now));
        self.saving = Some(Promise::spawn_thread("camlens-session", move || {
            if let Some(folder) = path.parent() {
                // That it cannot be made is said by the next line.
                let _ = std::fs::create_dir_all(folder);
            }
            session_file::write(&path, &desk)
        }));
        None
    }

    /// Writes the session before the program ends.
    pub(super) fn close(&mut self, desk: &Desk) {
        if let Some(saving) = self.saving.take() {
            // It must not come after the last word.
            let _ = saving.block_and_take();
        }
        let untouched = self.saved.is_none() && self.first.as_ref().is_none_or(|d| d == desk);
        if let Some(folder) = self.folder.as_ref().filter(|_| !untouched) {
            // Nobody is left to be told.
            let _ = session_file::write(&last_file(folder), desk);
        }
    }
}

fn settings_file(folder: &Path) -> PathBuf {
    folder.join("settings.json")
}

fn last_file(folder: &Path) -> PathBuf {
    folder.join(format!("last.{}", session_file::EXTENSION))
}
