//! The window's state and one frame of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::{Context, Frame, Key, Panel as Side, Ui, UiBuilder, UiKind, UiStackInfo};
use poll_promise::Promise;
use rayon::ThreadPool;

use super::case::{Case, Cases};
use super::command::Command;
use super::controls::Controls;
use super::desk::Desk;
use super::facts_form::FactsForm;
use super::file_list::FileList;
use super::follow;
use super::heat::{DuelHeat, Heat};
use super::history::History;
use super::panels::{self, Strip};
use super::picker::FilePicker;
use super::regions_tool::{Measured, Pen};
use super::run::{Options, Outcome};
use super::screenshot::Screenshot;
use super::settings::Store;
use super::state::{Grid, Look};
use super::stops::Stops;
use super::theme;
use super::viewport::Viewport;
use crate::error::{Error, Result};
use crate::explain::catalogue::{self, Method, Passes};
use crate::image::display::Display;
use crate::plan::{GivenFacts, ImageSource, MapKey, Target, Values};
use crate::post::{Field, ScaleRange};
use crate::session::{MapState, Session, samples};

/// How long good news stays.
const GOOD_NEWS: Duration = Duration::from_secs(8);

/// A sheet over the window.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sheet {
    About,
    Keys,
    Methods(panels::Guide),
    /// What is known about the network, to be settled and saved.
    Facts(FactsForm),
    /// Asks for an export's path where the desktop has no dialog.
    SavePath(String),
    /// The same for regions.
    SaveRegions(String),
    /// What the network is fed.
    Eye(panels::Eye),
    /// The files of a folder.
    Files,
    /// Asks for a session's path where the desktop has no dialog.
    SaveSession(String),
    /// Any action by a few letters.
    Palette(panels::Palette),
}

/// A line that appears over the grid and can be sent away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Something went wrong.
    Error(String),
    /// The device cannot be had or failed; the CPU is offered.
    Device(String),
    /// Something is done.
    Done(String),
    /// What the program is for, until somebody takes note of it.
    FirstStart,
    /// The session of the run before can be gone on with.
    LastSession,
}

/// What a panel shows in this frame.
#[derive(Clone)]
pub(super) struct Cell {
    /// Which map; the panel's settings may have moved on since.
    pub(super) key: Option<MapKey>,
    pub(super) state: MapState,
    pub(super) look: Look,
    pub(super) range: ScaleRange,
}

/// The program's window.
pub struct App {
    /// To wake the window from threads.
    pub(super) ctx: Context,
    /// What is open.
    pub(super) cases: Cases,
    pub(super) grid: Grid,
    /// The view of every panel that has none of its own.
    pub(super) viewport: Viewport,
    /// Where the selected panel's picture lies on the screen.
    pub(super) area: egui::Rect,
    pub(super) overlay: bool,
    pub(super) peeking: bool,
    /// Point of a case's X-ray under the pointer.
    pub(super) hover: Option<(usize, [f64; 2])>,
    pub(super) heats: Vec<Heat>,
    /// Threads that bring the fields of several panels up to date. Others than the network's, behind whose work a
    /// slider would wait; `None` where the system gives none.
    pub(super) hands: Option<ThreadPool>,
    pub(super) cells: Vec<Cell>,
    pub(super) picker: Box<dyn FilePicker>,
    pub(super) path_box: String,
    pub(super) filter: String,
    /// What is typed into the search field of the menus of methods.
    pub(super) method_filter: String,
    pub(super) messages: Vec<Message>,
    pub(super) sheet: Option<Sheet>,
    /// The folder or DICOMDIR that was opened last.
    pub(super) files: Option<FileList>,
    pub(super) export: Option<Promise<Result<PathBuf>>>,
    pub(super) queue: Vec<Command>,
    /// Tools that draw regions.
    pub(super) pen: Pen,
    pub(super) measured: Measured,
    /// Two panels' difference.
    pub(super) duel: DuelHeat,
    pub(super) strip: Strip,
    /// When the last good news came.
    good_news_since: Option<Instant>,
    /// Whether the remembered colours were chosen.
    themed: bool,
    /// Light colours were asked for, in this run only.
    light: bool,
    /// Whether the sides of the window are shown.
    pub(super) sides: bool,
    pub(super) history: History<Desk>,
    /// What is remembered from one run to the next.
    pub(super) store: Store,
    screenshot: Option<Screenshot>,
    pub(super) first_error: Option<Error>,
}

impl App {
    /// The window on `ctx`, which begins to open what `options` name.
    ///
    /// # Errors
    /// The worker thread cannot be started.
    pub fn new(ctx: &Context, options: &Options, picker: Box<dyn FilePicker>) -> Result<Self> {
        theme::install(ctx);
        if let Some(file) = &options.controls {
            Controls::to_file(ctx, file.clone());
        }
        let image = options.image.clone().unwrap_or_else(|| {
            let name = samples::first().map(|sample| sample.name.clone());
            ImageSource::Sample(name.unwrap_or_default())
        });
        let model = options.model.clone();
        let case = Case::open(ctx, options.device, model, GivenFacts::default(), image)?;
        let (store, complaint) = Store::open(options.folder.clone());
        let mut app = Self {
            ctx: ctx.clone(),
            cases: Cases::of(case),
            grid: Grid::default(),
            viewport: Viewport::default(),
            area: egui::Rect::ZERO,
            overlay: true,
            peeking: false,
            hover: None,
            heats: Vec::new(),
            hands: follow::hands(),
            cells: Vec::new(),
            picker,
            path_box: String::new(),
            filter: String::new(),
            method_filter: String::new(),
            messages: Vec::new(),
            sheet: None,
            files: None,
            export: None,
            queue: Vec::new(),
            pen: Pen::default(),
            measured: Measured::default(),
            duel: DuelHeat::default(),
            strip: Strip::default(),
            good_news_since: None,
            themed: false,
            light: options.light,
            sides: true,
            history: History::default(),
            store,
            screenshot: options.screenshot.clone().map(Screenshot::new),
            first_error: None,
        };
        if let Some(words) = complaint {
            app.say(Message::Error(words));
        }
        if app.store.keeps() {
            if let Some(path) = options.image.as_ref().and_then(ImageSource::path) {
                app.store.opened(path);
            }
            if app.store.last().is_some() && options.image.is_none() && options.session.is_none() {
                app.messages.push(Message::LastSession);
            }
            if app.store.settings.understood.is_none() {
                app.messages.insert(0, Message::FirstStart);
            }
        }
        if let Some(path) = &options.session {
            app.open_session(path);
            // Whoever named it knows.
            app.messages.retain(|m| !matches!(m, Message::Done(_)));
        }
        Ok(app)
    }

    /// Where a run under `--screenshot` leaves its result.
    pub(super) fn report_to(&mut self, outcome: Outcome) {
        if let Some(screenshot) = &mut self.screenshot {
            screenshot.outcome = outcome;
        }
    }

    /// The case of the selected panel: what the sides of the window are about.
    pub(super) fn case(&self) -> &Case {
        self.case_at(self.grid.selected)
    }

    /// As [`App::case`].
    pub(super) fn case_mut(&mut self) -> &mut Case {
        self.case_at_mut(self.grid.selected)
    }

    /// The case that a panel shows.
    pub(super) fn case_at(&self, panel: usize) -> &Case {
        self.cases.get(self.grid.case_of(panel))
    }

    /// As [`App::case_at`].
    pub(super) fn case_at_mut(&mut self, panel: usize) -> &mut Case {
        self.cases.get_mut(self.grid.case_of(panel))
    }

    /// The session under the selected panel.
    pub fn session(&self) -> &Session {
        &self.case().session
    }

    /// Panels and display settings.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Stops of the depth slider.
    pub fn stops(&self) -> &Stops {
        &self.case().stops
    }

    /// The explained class.
    pub fn target(&self) -> Option<usize> {
        self.case().target
    }

    /// What is visible of the X-ray.
    pub fn viewport(&self) -> Viewport {
        self.viewport
    }

    /// The file of the open X-ray; `None` for a sample.
    pub fn open_file(&self) -> Option<&Path> {
        self.case().open_file()
    }

    /// How the X-ray's values become grey on the screen; `None` while there is none, or for a ready model input.
    pub fn grey_levels(&self) -> Option<Display> {
        self.case().base.display()
    }

    /// Whether heat is drawn in this frame.
    pub fn shows_overlay(&self) -> bool {
        self.overlay && !self.peeking
    }

    /// Lines over the grid.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The processed field of a panel, once it is there.
    pub fn field(&self, panel: usize) -> Option<&Field> {
        self.heats.get(panel).and_then(Heat::field)
    }

    /// How far a panel's map has come; `None` where there is no such panel.
    pub fn state_of(&self, panel: usize) -> Option<MapState> {
        self.cells.get(panel).map(|cell| cell.state.clone())
    }

    /// Pearson's correlation of the two panels whose difference is shown; `None` where none is shown, `Some(None)` where
    /// one of them is constant.
    pub fn agreement(&self) -> Option<Option<f64>> {
        self.grid.duel?;
        Some(self.duel.found.as_ref()?.correlation)
    }

    /// Whether every panel shows what it is to show, to the end or until it was stopped.
    pub fn is_complete(&self) -> bool {
        let grows = |cell: &Cell| matches!(&cell.state, MapState::Growing(g) if !g.stopped);
        self.is_shown() && !self.cells.iter().any(grows)
    }

    /// Whether a picture of the window is to be written: nobody's name may be in it.
    pub(super) fn is_written(&self) -> bool {
        self.screenshot.is_some()
    }

    /// Whether every panel shows something of its map.
    pub(super) fn is_shown(&self) -> bool {
        !self.cells.is_empty()
            && self.cells.len() == self.grid.panels.len()
            && self.cases.iter().all(|case| case.base.is_ready())
            && self.cells.iter().enumerate().all(|(i, cell)| {
                cell.key.is_some()
                    && cell.key == self.key_of(i)
                    && !matches!(cell.state, MapState::Waiting)
            })
    }

    /// Whether a panel waits for work that is being done.
    pub(super) fn is_waiting(&self) -> bool {
        let waits = self.cells.iter().any(|cell| match &cell.state {
            MapState::Waiting => true,
            MapState::Growing(growing) => !growing.stopped,
            _ => false,
        });
        self.cases.iter().any(|case| case.session.is_busy()) && (waits || self.cells.is_empty())
    }

    /// Has a command carried out at the end of the frame.
    pub fn send(&mut self, command: Command) {
        self.queue.push(command);
    }

    /// What the selected panel's map explains.
    pub fn objective(&self) -> Option<Target> {
        self.objective_of(self.grid.selected)
    }

    /// What a panel's map explains.
    pub fn objective_of(&self, panel: usize) -> Option<Target> {
        let own = self.grid.panels.get(panel)?.target;
        self.case_at(panel).objective(own)
    }

    /// Label of the class that a panel explains; empty before there is one.
    pub(super) fn label_of(&self, panel: usize) -> String {
        let target = self.objective_of(panel);
        let label = target.map(|target| self.case_at(panel).label(target.class));
        label.unwrap_or_default()
    }

    /// Parameters of a panel's method that differ from their defaults.
    pub(super) fn params_of(&self, panel: usize) -> Values {
        let panel = self.grid.panels.get(panel);
        panel.map(|p| p.params.clone()).unwrap_or_default()
    }

    /// Forward passes and reverse walks of a method where a panel would show it.
    pub(super) fn passes_of(
        &self,
        method: &Method,
        panel: usize,
        values: &Values,
    ) -> Option<Passes> {
        let now = self.grid.panels.get(panel)?;
        let case = self.case_at(panel);
        let stop = match now.method == method.id {
            true => now.stop,
            false => Grid::stop_for(method, now.stop, &case.stops),
        };
        case.passes_of(method, stop, values)
    }

    /// Whether the model calls what a panel explains.
    pub(super) fn is_called(&self, panel: usize) -> Option<bool> {
        let class = self.objective_of(panel)?.class;
        self.case_at(panel).calls(class)
    }

    /// What is seen in a panel.
    pub(super) fn view_of(&self, panel: usize) -> Viewport {
        let own = self.grid.panels.get(panel).and_then(|panel| panel.view);
        own.unwrap_or(self.viewport)
    }

    /// Shows another part of the picture in a panel, and in all that share its view.
    pub(super) fn see(&mut self, panel: usize, view: Viewport) {
        match self.grid.panels.get_mut(panel).map(|p| &mut p.view) {
            Some(Some(own)) => *own = view,
            _ => self.viewport = view,
        }
    }

    /// The point of a panel's X-ray that the pointer is on, there or in a panel with the same X-ray.
    pub(super) fn hovered(&self, panel: usize) -> Option<[f64; 2]> {
        let (case, at) = self.hover?;
        let own = self.grid.case_of(panel);
        let hash = |case: usize| Some(&self.cases.get(case).picture.as_ref()?.sha256);
        (case == own || hash(case) == hash(own)).then_some(at)
    }

    /// Classes in the order of the findings list.
    pub(super) fn findings_order(&self) -> Vec<usize> {
        self.case().findings_order(&self.filter)
    }

    /// Explains a class, in the other case as well where it knows the finding.
    pub(super) fn explain(&mut self, class: usize) {
        let label = self.case().label(class);
        let linked = self.grid.linked_target;
        let selected = self.grid.selected;
        if let Some(panel) = self.grid.panels.get_mut(selected)
            && panel.target.is_some()
        {
            panel.target = Some(class);
            return;
        }
        self.case_mut().target = Some(class);
        for case in self.cases.iter_mut().filter(|_| linked) {
            case.target = case.class_of(&label).or(case.target);
        }
    }

    /// The map that a panel shows.
    pub(super) fn key_of(&self, panel: usize) -> Option<MapKey> {
        self.key_at(panel, self.grid.panels.get(panel)?.stop)
    }

    /// The map that a panel would show at another stop.
    pub(super) fn key_at(&self, panel: usize, stop: usize) -> Option<MapKey> {
        let target = self.objective_of(panel)?;
        let stops = &self.case_at(panel).stops;
        let panel = self.grid.panels.get(panel)?;
        Some(MapKey {
            method: panel.method.to_owned(),
            layer: {
                let method = catalogue::find(panel.method).ok()?;
                let stop = stops.list.get(stop)?;
                method.layer_of(&stop.name).to_owned()
            },
            target,
            params: panel.params.clone(),
        })
    }

    /// Adds a line over the grid; the same line stands there once.
    pub(super) fn say(&mut self, message: Message) {
        // A network's error may be long: three at a time can be read.
        self.messages
            .retain(|m| *m != message && !matches!(m, Message::Done(_)));
        let stays = |m: &Message| matches!(m, Message::FirstStart | Message::LastSession);
        if self.messages.iter().filter(|m| !stays(m)).count() >= 3
            && let Some(oldest) = self.messages.iter().position(|m| !stays(m))
        {
            self.messages.remove(oldest);
        }
        if matches!(message, Message::Done(_)) {
            self.good_news_since = Some(Instant::now());
        }
        self.messages.push(message);
    }

    /// Good news goes away by itself.
    fn fade(&mut self, ctx: &Context) {
        let Some(since) = self.good_news_since else {
            return;
        };
        match GOOD_NEWS.checked_sub(since.elapsed()) {
            Some(left) => ctx.request_repaint_after(left),
            None => {
                self.messages.retain(|m| !matches!(m, Message::Done(_)));
                self.good_news_since = None;
            }
        }
    }

    /// Shortcuts; plain letters only while nobody types.
    fn keys(&mut self, ctx: &Context) {
        let typing = ctx.text_edit_focused();
        let free = !typing && self.sheet.is_none();
        for command in Command::with_shortcut() {
            let command = command.at(self.grid.selected);
            let Some(shortcut) = command.shortcut() else {
                continue;
            };
            if command.is_plain_key() && !free {
                continue;
            }
            if command == Command::LeaveTool && (!self.has_tool() || egui::Popup::is_any_open(ctx))
            {
                continue;
            }
            if command == Command::Cancel && (!self.is_waiting() || egui::Popup::is_any_open(ctx)) {
                continue;
            }
            if ctx.input_mut(|i| i.consume_shortcut(&shortcut)) {
                self.send(command);
            }
        }
        let held = ctx.input(|i| i.key_down(Key::Space) && i.modifiers.is_none());
        self.peeking = held && free;
    }

    /// What lies around the grid, and the grid.
    fn regions_ui(&mut self, ui: &mut Ui) {
        Side::top("menu")
            .frame(panels::bar_frame())
            .show(ui, |ui| panels::top_ui(self, ui));
        Side::bottom("status")
            .frame(panels::bar_frame())
            .show(ui, |ui| panels::bottom_ui(self, ui));
        if self.sides {
            Side::left("case")
                .frame(panels::side_frame())
                .exact_size(theme::LEFT_WIDTH)
                .resizable(false)
                .show(ui, |ui| panels::case_ui(self, ui));
            Side::right("display")
                .frame(panels::side_frame())
                .exact_size(theme::RIGHT_WIDTH)
                .resizable(false)
                .show(ui, |ui| panels::display_ui(self, ui));
        }
        egui::CentralPanel::no_frame()
            .frame(panels::grid_frame())
            .show(ui, |ui| panels::grid_ui(self, ui));
    }
}

impl eframe::App for App {
    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        theme::cleared(visuals).to_normalized_gamma_f32()
    }

    fn ui(&mut self, ui: &mut Ui, frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        if !std::mem::replace(&mut self.themed, true) && (self.light || self.store.settings.light) {
            ctx.set_theme(egui::Theme::Light);
        }
        self.follow(&ctx);
        self.take_answers();
        self.take_dropped(&ctx);
        self.follow_files();
        self.keys(&ctx);
        self.fade(&ctx);
        // Commands may change what is on screen: they are carried out before anything is drawn.
        self.carry_out(&ctx);
        self.want();
        self.prepare();
        self.measure_regions();
        self.note_step(&ctx);
        self.strip.unfinished = false;

        // The window has this colour before anything is painted; what fades into it asks egui for it.
        if frame.gl().is_none() {
            // Tests draw with another library, which clears to a colour of its own.
            let colour = theme::cleared(ui.visuals());
            ui.painter().rect_filled(ui.max_rect(), 0.0, colour);
        }
        let background = Frame::new().fill(theme::cleared(ui.visuals()));
        let info = UiStackInfo::new(UiKind::Frame).with_frame(background);
        ui.scope_builder(UiBuilder::new().ui_stack_info(info), |ui| {
            self.regions_ui(ui);
        });
        panels::sheets_ui(self, &ctx);
        panels::drop_hint_ui(&ctx);
        if !self.queue.is_empty() {
            ctx.request_repaint();
        }

        let ready = self.is_complete() && !self.strip.unfinished;
        let after = self.case().session.first_map_after();
        let stuck = self.case().session.is_settled() && self.case().session.findings().is_empty();
        if let Some(screenshot) = &mut self.screenshot {
            let fault = self.first_error.as_ref().filter(|_| stuck || !ready);
            screenshot.step(&ctx, ready, fault, after);
        }
    }

    fn raw_input_hook(&mut self, _ctx: &Context, raw: &mut egui::RawInput) {
        if self.is_written() {
            // Wherever the pointer happens to be: a picture shows no tooltip and no read-out under it.
            raw.events.retain(|event| !is_of_pointer(event));
        }
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        let desk = self.desk();
        self.store.close(&desk);
    }
}

/// Whether an event comes from a mouse or the like.
pub(super) fn is_of_pointer(event: &egui::Event) -> bool {
    matches!(
        event,
        egui::Event::PointerMoved(_)
            | egui::Event::PointerButton { .. }
            | egui::Event::PointerGone
            | egui::Event::MouseMoved(_)
            | egui::Event::MouseWheel { .. }
    )
}
