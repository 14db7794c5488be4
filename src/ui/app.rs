//! The window's state and one frame of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{Context, Key, Panel as Side, Ui};
use poll_promise::Promise;

use super::base::Base;
use super::command::Command;
use super::facts_form::FactsForm;
use super::file_list::FileList;
use super::follow::Wanted;
use super::heat::Heat;
use super::panels;
use super::picker::FilePicker;
use super::regions_tool::Drawn;
use super::run::{Options, Outcome};
use super::screenshot::Screenshot;
use super::state::{Grid, Look, Stops};
use super::theme;
use super::viewport::Viewport;
use crate::error::{Error, Result};
use crate::explain::catalogue::{self, Layout, Method, Passes};
use crate::image::display::Display;
use crate::model::Model;
use crate::plan::{
    Against, Factor, GivenFacts, ImageSource, MapKey, ModelSource, Score, Target, Values,
};
use crate::post::{Field, ScaleRange};
use crate::session::{Finding, MapState, Picture, Session, samples};

/// A sheet over the window.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sheet {
    About,
    Keys,
    Methods,
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

/// What of the explained class is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Aim {
    pub(super) score: Score,
    /// Another class that it is set against.
    pub(super) against: Option<usize>,
    /// The sign is turned: the absence of the class.
    pub(super) negated: bool,
}

/// The program's window.
pub struct App {
    /// To wake the window from threads.
    pub(super) ctx: Context,
    pub(super) session: Session,
    pub(super) model_source: ModelSource,
    /// What the user has said about the network.
    pub(super) given: GivenFacts,
    pub(super) image_source: ImageSource,
    /// The network that [`App::stops`] belongs to.
    pub(super) model: Option<Arc<Model>>,
    pub(super) picture: Option<Arc<Picture>>,
    pub(super) stops: Stops,
    pub(super) grid: Grid,
    pub(super) target: Option<usize>,
    /// What of the explained class is explained, and against which other one.
    pub(super) aim: Aim,
    pub(super) viewport: Viewport,
    pub(super) overlay: bool,
    pub(super) peeking: bool,
    /// Point of the source image under the pointer.
    pub(super) hover: Option<[f64; 2]>,
    pub(super) base: Base,
    pub(super) heats: Vec<Heat>,
    pub(super) cells: Vec<Cell>,
    pub(super) wanted: Option<Wanted>,
    /// Work was stopped by the user and is not to start again by itself.
    pub(super) stopped: bool,
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
    /// Regions of the open X-ray, and the tools that draw them.
    pub(super) drawn: Drawn,
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
        let wake = ctx.clone();
        let mut session = Session::new(options.device, move || wake.request_repaint())?;
        let image_source = options.image.clone().unwrap_or_else(|| {
            let name = samples::first().map(|sample| sample.name.clone());
            ImageSource::Sample(name.unwrap_or_default())
        });
        session.open_model(options.model.clone());
        session.open_picture(image_source.clone());
        Ok(Self {
            ctx: ctx.clone(),
            session,
            model_source: options.model.clone(),
            given: GivenFacts::default(),
            image_source,
            model: None,
            picture: None,
            stops: Stops::default(),
            grid: Grid::default(),
            target: None,
            aim: Aim::default(),
            viewport: Viewport::default(),
            overlay: true,
            peeking: false,
            hover: None,
            base: Base::default(),
            heats: Vec::new(),
            cells: Vec::new(),
            wanted: None,
            stopped: false,
            picker,
            path_box: String::new(),
            filter: String::new(),
            method_filter: String::new(),
            messages: Vec::new(),
            sheet: None,
            files: None,
            export: None,
            queue: Vec::new(),
            drawn: Drawn::default(),
            screenshot: options.screenshot.clone().map(Screenshot::new),
            first_error: None,
        })
    }

    /// Where a run under `--screenshot` leaves its result.
    pub(super) fn report_to(&mut self, outcome: Outcome) {
        if let Some(screenshot) = &mut self.screenshot {
            screenshot.outcome = outcome;
        }
    }

    /// The session under the window.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Panels and display settings.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Stops of the depth slider.
    pub fn stops(&self) -> &Stops {
        &self.stops
    }

    /// The explained class.
    pub fn target(&self) -> Option<usize> {
        self.target
    }

    /// What is visible of the X-ray.
    pub fn viewport(&self) -> Viewport {
        self.viewport
    }

    /// The file of the open X-ray; `None` for a sample.
    pub fn open_file(&self) -> Option<&Path> {
        match &self.image_source {
            ImageSource::Path(path) => Some(path),
            ImageSource::Sample(_) => None,
        }
    }

    /// How the X-ray's values become grey on the screen; `None` while there is none, or for a ready model input.
    pub fn grey_levels(&self) -> Option<Display> {
        self.base.display()
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
            && self.base.is_ready()
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
        self.session.is_busy() && (waits || self.cells.is_empty())
    }

    /// Has a command carried out at the end of the frame.
    pub fn send(&mut self, command: Command) {
        self.queue.push(command);
    }

    /// What every map explains.
    pub fn objective(&self) -> Option<Target> {
        let class = self.target?;
        let known = self.session.findings().len();
        let against = self.aim.against.filter(|&d| d != class && d < known);
        Some(Target {
            class,
            score: self.aim.score,
            against: against.map(|class| Against {
                class,
                factor: Factor(1.0),
            }),
            negated: self.aim.negated,
        })
    }

    /// Parameters of a panel's method that differ from their defaults.
    pub(super) fn params_of(&self, panel: usize) -> Values {
        let panel = self.grid.panels.get(panel);
        panel.map(|p| p.params.clone()).unwrap_or_default()
    }

    /// The channels of a layer, and of the stages up to it.
    fn channels_at(&self, stop: usize) -> Option<(usize, Vec<usize>)> {
        let model = self.model.as_ref()?;
        let stop = self.stops.list.get(stop)?;
        let node = model.layer(&stop.name).ok()?;
        let channels = |name: &str| Some(model.shape(model.layer(name).ok()?).ok()?.channels());
        let stages = model.graph.stages.iter();
        let before = stages.filter(|stage| model.layer(stage).is_ok_and(|s| s < node));
        let mut stages: Vec<usize> = before.filter_map(|stage| channels(stage)).collect();
        let own = channels(&stop.name)?;
        stages.push(own);
        Some((own, stages))
    }

    /// Forward passes and reverse walks of a method where a panel would show it.
    pub(super) fn passes_of(
        &self,
        method: &Method,
        panel: usize,
        values: &Values,
    ) -> Option<Passes> {
        let now = self.grid.panels.get(panel)?;
        let stop = match now.method == method.id {
            true => now.stop,
            false => Grid::stop_for(method, now.stop, &self.stops),
        };
        let (channels, stages) = self.channels_at(stop)?;
        let [_, height, width] = self.model.as_ref()?.input_shape();
        let layout = Layout {
            channels,
            input: [height, width],
            stages: &stages,
            last: self.channels_at(self.stops.last)?.0,
        };
        Some(method.passes(&layout, values))
    }

    /// The finding that is explained.
    pub(super) fn finding(&self) -> Option<&Finding> {
        self.session.findings().get(self.target?)
    }

    /// From which probability on the explained finding is called.
    pub(super) fn threshold(&self) -> Option<f32> {
        self.threshold_of(self.target?)
    }

    /// From which probability on a class is called, where the network says so.
    pub(super) fn threshold_of(&self, class: usize) -> Option<f32> {
        self.session.model()?.facts.threshold(class)
    }

    /// Whether the model calls the explained finding.
    pub(super) fn is_called(&self) -> Option<bool> {
        let probabilities: Vec<f32> = self
            .session
            .findings()
            .iter()
            .map(|f| f.probability)
            .collect();
        let (finding, model) = (self.finding()?, self.session.model()?);
        Some(model.facts.calls(finding.index, &probabilities))
    }

    /// The map that a panel shows.
    pub(super) fn key_of(&self, panel: usize) -> Option<MapKey> {
        let panel = self.grid.panels.get(panel)?;
        Some(MapKey {
            method: panel.method.to_owned(),
            layer: {
                let method = catalogue::find(panel.method).ok()?;
                let stop = self.stops.list.get(panel.stop)?;
                method.layer_of(&stop.name).to_owned()
            },
            target: self.objective()?,
            params: panel.params.clone(),
        })
    }

    /// Adds a line over the grid; the same line stands there once.
    pub(super) fn say(&mut self, message: Message) {
        // A network's error may be long: three at a time can be read.
        self.messages
            .retain(|m| *m != message && !matches!(m, Message::Done(_)));
        if self.messages.len() >= 3 {
            self.messages.remove(0);
        }
        self.messages.push(message);
    }

    /// Shortcuts; plain letters only while nobody types.
    fn keys(&mut self, ctx: &Context) {
        let typing = ctx.text_edit_focused();
        let free = !typing && self.sheet.is_none();
        for command in Command::WITH_SHORTCUT {
            let Some(shortcut) = command.shortcut() else {
                continue;
            };
            if command.is_plain_key() && !free {
                continue;
            }
            if command == Command::LeaveTool
                && (!self.drawn.is_active() || egui::Popup::is_any_open(ctx))
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
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        self.follow(&ctx);
        self.follow_regions(&ctx);
        self.take_answers();
        self.take_dropped(&ctx);
        self.keys(&ctx);
        // Commands may change what is on screen: they are carried out before anything is drawn.
        self.carry_out(&ctx);
        self.want();
        self.prepare();
        self.measure_regions();

        let bar = |ui: &Ui| panels::bar_frame(ui);
        let side = |ui: &Ui| panels::side_frame(ui);
        Side::top("menu")
            .frame(bar(ui))
            .show(ui, |ui| panels::top_ui(self, ui));
        Side::bottom("status")
            .frame(bar(ui))
            .show(ui, |ui| panels::bottom_ui(self, ui));
        Side::left("case")
            .frame(side(ui))
            .exact_size(theme::LEFT_WIDTH)
            .resizable(false)
            .show(ui, |ui| panels::case_ui(self, ui));
        Side::right("display")
            .frame(side(ui))
            .exact_size(theme::RIGHT_WIDTH)
            .resizable(false)
            .show(ui, |ui| panels::display_ui(self, ui));
        egui::CentralPanel::no_frame()
            .frame(panels::grid_frame(ui))
            .show(ui, |ui| panels::grid_ui(self, ui));
        panels::sheets_ui(self, &ctx);
        panels::drop_hint_ui(&ctx);
        if !self.queue.is_empty() {
            ctx.request_repaint();
        }

        let (ready, after) = (self.is_complete(), self.session.first_map_after());
        let stuck = self.session.is_settled() && self.session.findings().is_empty();
        if let Some(screenshot) = &mut self.screenshot {
            let fault = self.first_error.as_ref().filter(|_| stuck || !ready);
            screenshot.step(&ctx, ready, fault, after);
        }
    }
}
