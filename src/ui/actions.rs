//! What commands do, and how files come in and go out.

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{Context, Theme, ViewportCommand};
use poll_promise::Promise;

use super::app::{App, Message, Sheet};
use super::case::Case;
use super::command::Command;
use super::facts_form::FactsForm;
use super::file_list::FileList;
use super::heat::Heat;
use super::panels::{Eye, Guide};
use super::picker::{Answer, Ask};
use super::presets::{Ground, Preset};
use super::session_file::{self, looks_like_session};
use super::state::{Arrangement, Duel, Look, Overlap};
use super::viewport::{Turn, Viewport};
use crate::error::{Error, Kind, Result};
use crate::export::{png_bytes, safe_name, write_whole};
use crate::plan::{DeviceChoice, GivenFacts, ImageSource, ModelSource, Sign};
use crate::regions::looks_like_regions;
use crate::session::{Exhibit, ExhibitCase, ExhibitPanel, MapState, samples, save_facts};
use crate::text::{APP, RESEARCH_ONLY, fact, region, session as session_words, window as words};

/// Scale of an exported figure; 2 gives panels 960 pixels wide.
const EXPORT_SCALE: f32 = 2.0;
/// A step of the zoom keys.
const ZOOM_STEP: f32 = 1.25;

impl App {
    /// Carries out what was asked for since the last frame.
    pub(super) fn carry_out(&mut self, ctx: &Context) {
        for command in std::mem::take(&mut self.queue) {
            self.execute(ctx, command);
        }
        self.drop_unseen_case();
    }

    fn execute(&mut self, ctx: &Context, command: Command) {
        match command {
            Command::OpenImage => self.picker.ask(ctx, Ask::Image),
            Command::OpenModel => self.picker.ask(ctx, Ask::Model),
            Command::OpenDemoModel => self.open_model(ModelSource::Demo),
            Command::OpenSample(place) => {
                if let Some(sample) = samples::SAMPLES.get(place) {
                    self.open_image(ImageSource::Sample(sample.name.clone()));
                }
            }
            Command::Device(choice) => self.run_on(choice),
            Command::ModelFacts => self.open_facts(),
            Command::OpenRegions => self.picker.ask(ctx, Ask::Regions),
            Command::SaveRegions if self.case().drawn.set.list.is_empty() => {
                self.say(Message::Error(region::NOTHING_TO_SAVE.to_owned()));
            }
            Command::SaveRegions => {
                let ask = Ask::SaveRegions(self.case().regions_file_name());
                self.picker.ask(ctx, ask);
            }
            Command::Draw(tool) => self.take_tool(Some(tool)),
            Command::DeleteRegion => self.case_mut().drawn.delete(),
            Command::LeaveTool => self.leave_tool(),
            Command::ModelEye => match Eye::of(self, ctx) {
                Ok(eye) => self.sheet = Some(Sheet::Eye(eye)),
                Err(words) => self.say(Message::Error(words)),
            },
            Command::Export => self.ask_export(ctx),
            Command::Quit => ctx.send_viewport_cmd(ViewportCommand::Close),
            Command::ToggleOverlay => self.overlay = !self.overlay,
            Command::Files if self.files.is_some() => self.sheet = Some(Sheet::Files),
            Command::Files => self.say(Message::Error(words::NO_FOLDER.to_owned())),
            Command::NextFile => self.step_file(1),
            Command::PreviousFile => self.step_file(-1),
            Command::NextFrame => self.step_frame(1),
            Command::PreviousFrame => self.step_frame(-1),
            Command::Fit => self.change_view(|view| view.fit()),
            Command::FlipAcross => self.change_view(|view| view.turn.flip_across()),
            Command::FlipDown => self.change_view(|view| view.turn.flip_down()),
            Command::RotateRight => self.change_view(|view| view.turn.rotate(1)),
            Command::RotateLeft => self.change_view(|view| view.turn.rotate(3)),
            Command::AsStored => self.change_view(|view| view.turn = Turn::default()),
            Command::NativePixels => self.change_view(|view| view.native = !view.native),
            Command::OneToOne => self.one_to_one(ctx.pixels_per_point()),
            Command::Invert => {
                if let Some(mut display) = self.case().base.display() {
                    display.invert = !display.invert;
                    self.case_mut().base.set_display(Some(display));
                }
            }
            Command::ResetGrey => self.case_mut().base.set_display(None),
            Command::ZoomIn => self.zoom(ZOOM_STEP),
            Command::ZoomOut => self.zoom(1.0 / ZOOM_STEP),
            Command::ToggleTheme => {
                let light = ctx.theme() == Theme::Dark;
                self.store.settings.light = light;
                ctx.set_theme(if light { Theme::Light } else { Theme::Dark });
            }
            Command::Panels(count) => {
                self.grid.arrangement = Arrangement::Automatic;
                let case = self.grid.case_of(self.grid.selected);
                self.grid.set_count(count, &self.cases.get(case).stops);
            }
            Command::Table(columns, rows) => {
                let case = self.grid.case_of(self.grid.selected);
                self.grid
                    .set_table(columns, rows, &self.cases.get(case).stops);
            }
            Command::RemovePanel(panel) => {
                self.grid.remove(panel);
                if panel < self.heats.len() {
                    self.heats.remove(panel);
                }
            }
            Command::DuplicatePanel(panel) => self.grid.duplicate(panel),
            Command::MovePanel(from, to) => self.grid.move_panel(from, to),
            Command::PinPanel(panel) => {
                if let Some(panel) = self.grid.panels.get_mut(panel) {
                    panel.pinned = !panel.pinned;
                }
            }
            Command::Solo(panel) => {
                self.grid.duel = None;
                self.grid.solo = match self.grid.solo {
                    Some(_) => None,
                    None => Some(panel).filter(|_| self.grid.panels.len() > 1),
                };
                self.grid.selected = panel.min(self.grid.panels.len().saturating_sub(1));
            }
            Command::Swipe => self.lay_over(Overlap::Swipe(0.5)),
            Command::Difference => self.lay_over(Overlap::Difference),
            Command::NextPanel => {
                self.grid.selected = (self.grid.selected + 1) % self.grid.panels.len().max(1);
                self.grid.solo = self.grid.solo.map(|_| self.grid.selected);
            }
            Command::Preset(preset) => self.lay_out(preset),
            Command::Compare => self.compare(ctx),
            Command::CompareImage => self.compare_with(ctx, Ask::Image),
            Command::CompareModel => self.compare_with(ctx, Ask::Model),
            Command::EndComparison => self.end_comparison(),
            Command::ToggleLinkedView => self.toggle_linked_view(),
            Command::ToggleLinkedTarget => self.grid.linked_target = !self.grid.linked_target,
            Command::ToggleSides => self.sides = !self.sides,
            Command::ToggleStrip => self.strip.shown = !self.strip.shown,
            Command::Undo => match self.history.undo() {
                Some(desk) => self.put_back(ctx, &desk),
                None => self.say(Message::Done(session_words::NOTHING_TO_UNDO.to_owned())),
            },
            Command::Redo => match self.history.redo() {
                Some(desk) => self.put_back(ctx, &desk),
                None => self.say(Message::Done(session_words::NOTHING_TO_REDO.to_owned())),
            },
            Command::Palette => self.sheet = Some(Sheet::Palette(Default::default())),
            Command::OpenSession => self.picker.ask(ctx, Ask::Session),
            Command::SaveSession => self.picker.ask(ctx, Ask::SaveSession(session_name())),
            Command::RestoreSession => match self.store.last().cloned() {
                Some(desk) => self.put_back(ctx, &desk),
                None => self.say(Message::Error(session_words::NO_LAST.to_owned())),
            },
            Command::OpenRecent(place) => {
                if let Some(path) = self.store.settings.recent.get(place).cloned() {
                    self.open_recent(&path);
                }
            }
            Command::ForgetRecent => self.store.settings.recent.clear(),
            Command::ToggleLinkedDepth => {
                self.grid.linked_depth = !self.grid.linked_depth;
                let selected = self.grid.selected;
                if let Some(stop) = self.grid.panels.get(selected).map(|p| p.stop) {
                    self.grid.move_to(selected, stop);
                }
            }
            Command::PreviousFinding => self.step_finding(-1),
            Command::NextFinding => self.step_finding(1),
            Command::ShowSigned => {
                let mut look = self.grid.edited();
                look.choose_sign(Some(Sign::Signed));
                self.grid.edit(look);
                // A panel with settings of its own does not follow the others.
                self.grid.show_signed(self.grid.selected);
            }
            Command::ResetLook => self.grid.edit(Look::default()),
            Command::Cancel => {
                for case in self.cases.iter_mut() {
                    case.session.cancel();
                    case.stopped = true;
                }
            }
            Command::Resume => {
                for case in self.cases.iter_mut() {
                    if case.session.findings().is_empty() {
                        // The forward pass itself was stopped.
                        case.session.open_picture(case.image_source.clone());
                    }
                    case.want_again();
                }
            }
            Command::About => self.sheet = Some(Sheet::About),
            Command::Keys => self.sheet = Some(Sheet::Keys),
            Command::Methods => {
                let now = self.grid.panels.get(self.grid.selected);
                let guide = now.map(|panel| Guide::at(panel.method)).unwrap_or_default();
                self.sheet = Some(Sheet::Methods(guide));
            }
        }
    }

    /// Lays the grid out for a purpose, for every case.
    fn lay_out(&mut self, preset: Preset) {
        let first = self.cases.get(0);
        let order = first.findings_order("");
        let grounds: Vec<Ground<'_>> = self
            .cases
            .iter()
            .map(|case| Ground {
                stops: &case.stops,
                attention: !case.session.attention_findings().is_empty(),
                classes: (order.iter())
                    .map(|&class| case.class_of(&first.label(class)))
                    .collect(),
            })
            .collect();
        self.grid.preset(preset, &grounds);
    }

    /// Panels look at the same part of the picture from here on, that of the selected one; or each at its own.
    fn toggle_linked_view(&mut self) {
        if self.grid.is_view_linked() {
            let view = self.viewport;
            self.grid
                .panels
                .iter_mut()
                .for_each(|p| p.view = Some(view));
        } else {
            self.viewport = self.view_of(self.grid.selected);
            self.grid.panels.iter_mut().for_each(|p| p.view = None);
        }
    }

    /// Lays the selected panel and the next one over each other, or shows all panels again.
    fn lay_over(&mut self, overlap: Overlap) {
        let (count, first) = (self.grid.panels.len(), self.grid.selected);
        if count < 2 {
            self.say(Message::Error(words::NEEDS_TWO_PANELS.to_owned()));
            return;
        }
        let same_kind = self.grid.duel.is_some_and(|duel| {
            std::mem::discriminant(&duel.overlap) == std::mem::discriminant(&overlap)
        });
        self.grid.solo = None;
        let panels = match self.grid.duel {
            Some(duel) => duel.panels,
            None => [first, self.opponent_of(first)],
        };
        self.grid.duel = (!same_kind).then_some(Duel { panels, overlap });
    }

    /// The panel that a panel is compared with: where there are two cases, the one that shows the same of the other
    /// case; else the next one.
    fn opponent_of(&self, panel: usize) -> usize {
        let panels = &self.grid.panels;
        let next = (panel + 1) % panels.len().max(1);
        let Some(own) = panels.get(panel) else {
            return next;
        };
        let twin = panels
            .iter()
            .position(|p| p.case != own.case && p.method == own.method);
        twin.unwrap_or(next)
    }

    fn zoom(&mut self, factor: f32) {
        if let Some(source) = self.case().source().filter(|_| self.area.is_positive()) {
            let area = self.area;
            self.change_view(|view| view.zoom_at(factor, area.center(), area, source));
        }
    }

    fn one_to_one(&mut self, pixels_per_point: f32) {
        if let Some(source) = self.case().source().filter(|_| self.area.is_positive()) {
            let area = self.area;
            self.change_view(|view| view.one_to_one(area, source, pixels_per_point));
        }
    }

    /// Changes what is seen in the selected panel, and in all that share its view.
    fn change_view(&mut self, change: impl FnOnce(&mut Viewport)) {
        let panel = self.grid.selected;
        let mut view = self.view_of(panel);
        change(&mut view);
        // A turned picture may reach less far to one side.
        if let Some(source) = self.case().source().filter(|_| self.area.is_positive()) {
            view.pan(egui::Vec2::ZERO, self.area, source);
        }
        self.see(panel, view);
    }

    fn step_finding(&mut self, step: isize) {
        let order = self.findings_order();
        let now = self.objective().map(|target| target.class);
        let at = order.iter().position(|i| Some(*i) == now);
        let next = at.map_or(0, |at| {
            at.saturating_add_signed(step)
                .min(order.len().saturating_sub(1))
        });
        if let Some(class) = order.get(next) {
            self.explain(*class);
        }
    }

    // ---- files in --------------------------------------------------------------------------------

    pub(super) fn open_image(&mut self, source: ImageSource) {
        self.case_mut().open_image(source);
    }

    fn open_model(&mut self, source: ModelSource) {
        self.case_mut().open_model(source, GivenFacts::default());
    }

    /// Opens the network again on another device.
    fn run_on(&mut self, choice: DeviceChoice) {
        self.messages.retain(|m| !matches!(m, Message::Device(_)));
        for case in self.cases.iter_mut() {
            case.stopped = false;
            case.session.set_device(choice);
        }
    }

    // ---- facts about the network -------------------------------------------------------------------

    fn open_facts(&mut self) {
        if let Some(model) = self.case().session.model() {
            self.sheet = Some(Sheet::Facts(FactsForm::of(model)));
        }
    }

    /// Opens the network again with what the form says; false where it does not fit.
    pub(super) fn apply_facts(&mut self, form: &mut FactsForm) -> bool {
        let Some(model) = self.case().session.model() else {
            return false;
        };
        match form.given(model, &self.case().given) {
            Ok(given) => {
                let case = self.case_mut();
                case.open_model(case.model_source.clone(), given);
                true
            }
            Err(error) => {
                form.error = Some(error.to_string());
                false
            }
        }
    }

    /// Writes the facts that are no guesses beside the network.
    pub(super) fn save_facts(&mut self, form: &mut FactsForm) {
        let Some(model) = self.case().session.model() else {
            return;
        };
        if form.is_changed() {
            form.error = Some(fact::APPLY_FIRST.to_owned());
            return;
        }
        match save_facts(model) {
            Ok(paths) => {
                self.say(Message::Done(fact::saved(&paths)));
                form.error = None;
            }
            Err(error) => form.error = Some(error.to_string()),
        }
    }

    /// Opens the picture that stands before or after the open one in the folder's list.
    fn step_file(&mut self, step: isize) {
        let Some(files) = &self.files else {
            self.say(Message::Error(words::NO_FOLDER.to_owned()));
            return;
        };
        // From the one that was asked for last: a second press must not wait for the first picture.
        let now = self.case().image_source.path().unwrap_or(Path::new(""));
        if let Some(path) = files.neighbour(now, step) {
            self.open_image(ImageSource::Path(path));
        }
    }

    /// Opens the frame so many places from the one that was last asked for; at the ends of the file nothing happens.
    fn step_frame(&mut self, step: isize) {
        let frames = self.case().picture.as_ref().map_or(1, |p| p.frame[1]);
        if frames < 2 {
            self.say(Message::Error(words::ONE_FRAME.to_owned()));
            return;
        }
        let frame = self.case().frame_asked().saturating_add_signed(step);
        self.open_frame(frame.clamp(1, frames));
    }

    /// Opens a frame, from 1, of the file on screen.
    pub(super) fn open_frame(&mut self, frame: usize) {
        let case = self.case();
        if frame == case.frame_asked() {
            return;
        }
        if let (Some(path), Some(frame)) = (case.open_file(), NonZeroUsize::new(frame)) {
            let source = ImageSource::frame_of(path.to_owned(), frame);
            self.open_image(source);
        }
    }

    /// Opens a file or folder as what it looks like.
    pub fn open_path(&mut self, path: &Path) {
        self.store.opened(path);
        if looks_like_session(path) {
            self.open_session(path);
        } else if is_list(path) {
            self.files = Some(FileList::open(&self.ctx, path));
            self.sheet = Some(Sheet::Files);
        } else if looks_like_model(path) {
            self.open_model(ModelSource::Path(path.to_owned()));
        } else if looks_like_regions(path) {
            self.open_regions(path, false);
        } else {
            self.open_image(ImageSource::Path(path.to_owned()));
        }
    }

    pub(super) fn open_recent(&mut self, path: &Path) {
        if path.exists() {
            self.open_path(path);
        } else {
            self.store.settings.recent.retain(|other| other != path);
            self.say(Message::Error(session_words::gone(path)));
        }
    }

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

    /// Opens what the path box says.
    pub(super) fn open_path_box(&mut self) {
        let typed = std::mem::take(&mut self.path_box);
        // File managers copy paths in quotes or as URLs.
        let path = typed.trim().trim_matches(['"', '\'']);
        let path = path.strip_prefix("file://").unwrap_or(path);
        if !path.is_empty() {
            self.open_path(Path::new(path));
        }
    }

    /// Takes answers of dialogs and of the export.
    pub(super) fn take_answers(&mut self) {
        match self.picker.poll() {
            Some((Ask::Image, Answer::Chosen(path))) => {
                self.store.opened(&path);
                self.open_image(ImageSource::Path(path));
            }
            Some((Ask::Model, Answer::Chosen(path))) => {
                self.store.opened(&path);
                self.open_model(ModelSource::Path(path));
            }
            Some((Ask::Regions, Answer::Chosen(path))) => self.open_regions(&path, false),
            Some((Ask::SaveRegions(_), Answer::Chosen(path))) => self.save_regions(&path),
            Some((Ask::SaveRegions(name), Answer::Unavailable)) => {
                self.sheet = Some(Sheet::SaveRegions(in_home(&name)));
            }
            Some((Ask::Session, Answer::Chosen(path))) => self.open_path(&path),
            Some((Ask::SaveSession(_), Answer::Chosen(path))) => self.save_session(&path),
            Some((Ask::SaveSession(name), Answer::Unavailable)) => {
                self.sheet = Some(Sheet::SaveSession(in_home(&name)));
            }
            Some((Ask::SavePng(_), Answer::Chosen(path))) => self.start_export(path),
            Some((Ask::SavePng(name), Answer::Unavailable)) => {
                self.sheet = Some(Sheet::SavePath(in_home(&name)));
            }
            Some((_, Answer::Unavailable)) => self.say(Message::Error(words::NO_DIALOG.to_owned())),
            Some((_, Answer::Dismissed)) | None => {}
        }
        if let Some(promise) = self.export.take() {
            match promise.try_take() {
                Ok(Ok(path)) => self.say(Message::Done(words::exported(&path))),
                Ok(Err(error)) => self.say(Message::Error(error.to_string())),
                Err(promise) => self.export = Some(promise),
            }
        }
    }

    /// Opens the first picture of a list that was waited for.
    pub(super) fn follow_files(&mut self) {
        let first = self.files.as_mut().and_then(FileList::take_first);
        if let Some((path, regions)) = first {
            if let Some(regions) = regions {
                self.open_regions(&regions, true);
            }
            self.open_image(ImageSource::Path(path));
        }
    }

    /// Opens dropped files: one network and one file of regions at most; of several X-rays the first, with a list of
    /// all.
    pub(super) fn take_dropped(&mut self, ctx: &Context) {
        let dropped: Vec<PathBuf> = ctx.input(|i| {
            i.raw
                .dropped_files
                .iter()
                .map(|file| file.path().to_owned())
                .collect()
        });
        if dropped.is_empty() {
            return;
        }
        let (models, others): (Vec<PathBuf>, Vec<PathBuf>) = dropped
            .into_iter()
            .filter(|path| !path.as_os_str().is_empty())
            .partition(|path| looks_like_model(path));
        let (regions, images): (Vec<PathBuf>, Vec<PathBuf>) = others
            .into_iter()
            .partition(|path| looks_like_regions(path));
        if models.is_empty() && images.is_empty() && regions.is_empty() {
            self.say(Message::Error(words::DROPPED_WITHOUT_PATH.to_owned()));
        }
        if let Some(model) = models.first() {
            self.open_path(model);
        }
        for (kind, one) in [(words::MODELS, &models), (words::REGIONS, &regions)] {
            if let [first, others @ ..] = one.as_slice()
                && !others.is_empty()
            {
                let name = first.file_name().unwrap_or_default().to_string_lossy();
                let words = words::dropped_too_many(&name, others.len(), kind);
                self.say(Message::Error(words));
            }
        }
        let regions = regions.into_iter().next();
        match images.as_slice() {
            [] | [_] => {
                if let Some(regions) = &regions {
                    self.open_regions(regions, !images.is_empty());
                }
                if let Some(image) = images.first() {
                    self.open_path(image);
                }
            }
            _ => {
                self.files = Some(FileList::of_files(ctx, images, regions));
                self.sheet = Some(Sheet::Files);
            }
        }
    }

    // ---- pictures out ----------------------------------------------------------------------------

    fn ask_export(&mut self, ctx: &Context) {
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
fn session_name() -> String {
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

/// A suggested path where there is no dialog to choose one.
fn in_home(name: &str) -> String {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    home.join(name).display().to_string()
}

/// Whether a path is opened as a network: by its name, and a `.safetensors` by what it holds, since
/// ready model inputs have that ending too.
fn looks_like_model(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    match extension.as_str() {
        "safetensors" => !holds_only_input(path),
        "pth" | "pt" | "onnx" | "bin" | "ckpt" | "h5" => true,
        _ => path.is_dir() && !is_list(path),
    }
}

/// Whether a path is a list of pictures: a DICOMDIR, or a folder without a network in it.
fn is_list(path: &Path) -> bool {
    if path.is_dir() {
        let files = std::fs::read_dir(path).map(|dir| dir.flatten().map(|e| e.path()).collect());
        let files: Vec<PathBuf> = files.unwrap_or_default();
        let is_network = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default();
            name == "config.json" || (file.is_file() && looks_like_model(file))
        };
        return !files.iter().any(is_network);
    }
    path.file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"))
}

fn holds_only_input(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head));
    let json = head.get(8..).unwrap_or_default();
    let Some(json) = read.ok().map(|_| String::from_utf8_lossy(json)) else {
        return false;
    };
    // The header of a file with one tensor is short and stands in the first bytes.
    json.contains("\"input\":") && json.matches("\"dtype\"").count() == 1
}
