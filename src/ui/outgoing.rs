//! What goes out: sessions and annotated pictures.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::Context;
use poll_promise::Promise;

use super::app::{App, Message};
use super::case::Case;
use super::heat::Heat;
use super::picker::Ask;
use super::session_file;
use crate::error::{Error, Kind, Result};
use crate::export::{png_bytes, safe_name, write_whole};
use crate::session::{Exhibit, ExhibitCase, ExhibitPanel, MapState};
use crate::text::{APP, RESEARCH_ONLY, session as session_words, window as words};

/// Scale of an exported figure; 2 gives panels 960 pixels wide.
const EXPORT_SCALE: f32 = 2.0;

impl App {
    /// Has everything be as a session file says.
    pub(super) fn open_session(&mut self, path: &Path) {
        match session_file::read(path) {
            Ok(desk) => {
                let ctx = self.ctx.clone();
                self.put_back(&ctx, &desk);
                self.say(Message::Done(session_words::opened(path)));
            }
            Err(error) => self.say(Message::Error(error.to_string())),
        }
    }

    /// Writes what is open and how it is shown.
    pub(super) fn save_session(&mut self, path: &Path) {
        let path = match path.extension() {
            Some(_) => path.to_owned(),
            None => path.with_extension(session_file::EXTENSION),
        };
        let desk = self.desk();
        match session_file::write(&path, &desk) {
            Ok(()) => {
                self.store.opened(&path);
                self.say(Message::Done(words::exported(&path)));
            }
            Err(error) => self.say(Message::Error(error.to_string())),
        }
    }

    pub(super) fn ask_export(&mut self, ctx: &Context) {
        let Some(exhibit) = self.exhibit() else {
            self.say(Message::Error(words::EXPORT_LATER.to_owned()));
            return;
        };
        let stem = exhibit.cases.first().map(|case| case.picture.stem());
        let stem = stem.unwrap_or_default();
        let label = self.label_of(self.grid.selected);
        let name = format!(
            "{}.png",
            safe_name(&format!("{stem} {label} {}", APP.to_lowercase()))
        );
        self.picker.ask(ctx, Ask::SavePng(name));
    }

    /// Whether every panel has what an export shows. Asked in every frame, while [`App::exhibit`] renders whole pictures.
    pub(super) fn can_export(&self) -> bool {
        let is_there =
            |case: &Case| case.session.picture().is_some() && case.session.model().is_some();
        self.is_shown()
            && self.cases.iter().all(is_there)
            && (0..self.grid.panels.len()).all(|panel| self.objective_of(panel).is_some())
    }

    /// What an export shows; `None` while a panel waits.
    pub fn exhibit(&self) -> Option<Exhibit> {
        if !self.is_shown() {
            return None;
        }
        let cases = self.cases.iter().map(exhibited);
        Some(Exhibit {
            cases: cases.collect::<Option<Vec<ExhibitCase>>>()?,
            panels: (0..self.grid.panels.len())
                .map(|i| {
                    let look = self.grid.look_of(i);
                    let unfinished = match self.cells.get(i).map(|cell| &cell.state) {
                        Some(MapState::Growing(growing)) => Some([growing.done, growing.total]),
                        _ => None,
                    };
                    Some(ExhibitPanel {
                        case: self.grid.case_of(i),
                        target: self.objective_of(i)?,
                        unfinished,
                        params: self.params_of(i),
                        map: self.heats.get(i).and_then(Heat::map).cloned(),
                        post: look.post,
                        view: look.view,
                    })
                })
                .collect::<Option<Vec<ExhibitPanel>>>()?,
            columns: self.grid.panels.len().div_ceil(2).clamp(1, 3),
        })
    }

    /// Draws and writes the picture on a thread.
    pub(super) fn start_export(&mut self, path: PathBuf) {
        let Some(exhibit) = self.exhibit() else {
            self.say(Message::Error(words::EXPORT_LATER.to_owned()));
            return;
        };
        let path = match path.extension() {
            Some(_) => path,
            None => path.with_extension("png"),
        };
        self.export = Some(Promise::spawn_thread("camlens-export", move || {
            let work = || -> Result<PathBuf> {
                let picture = exhibit.render(EXPORT_SCALE)?;
                let notes = [("Software", APP), ("Disclaimer", RESEARCH_ONLY)];
                write_whole(&path, &png_bytes(&picture, &notes)?)?;
                Ok(path.clone())
            };
            // A fault in drawing must not take the window down with it.
            catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|_| Err(Error::new(Kind::Numeric, words::EXPORT_BROKE)))
        }));
    }
}

/// Suggested name of a session file.
pub(super) fn session_name() -> String {
    format!("{}.{}", APP.to_lowercase(), session_file::EXTENSION)
}

/// What an export shows of a case, in the grey levels of the window.
fn exhibited(case: &Case) -> Option<ExhibitCase> {
    let picture = case.session.picture()?;
    Some(ExhibitCase {
        model: case.session.model()?.clone(),
        picture: match case.base.display() {
            Some(display) if case.base.has_own_display() => Arc::new(picture.shown(&display)),
            _ => Arc::clone(picture),
        },
        findings: case.session.findings().to_vec(),
        regions: case.regions().list.clone(),
    })
}
