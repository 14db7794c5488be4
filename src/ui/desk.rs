//! Everything that is open and how it is shown, as plain data: a step of undo, and what a session file holds.
//!
//! Layers, classes and methods go by their names, so that a record outlives the network that is open now. Whose picture
//! it is stands nowhere in it; a file's path may tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::Context;
use serde::{Deserialize, Serialize};

use super::app::{App, Message};
use super::case::{Aim, Case, Wish};
use super::history::State;
use super::state::{Arrangement, Duel, Grid, Look, MAX_PANELS, Panel};
use super::viewport::Viewport;
use crate::explain::catalogue;
use crate::image::display::Display;
use crate::plan::{GivenFacts, ImageSource, ModelSource, Score, Values};
use crate::regions::{Regions, Subject, parse, to_coco};

/// A picture in a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CaseRecord {
    model: ModelSource,
    #[serde(default)]
    given: GivenFacts,
    image: ImageSource,
    /// Label of the explained class.
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    score: Score,
    #[serde(default)]
    against: Option<String>,
    #[serde(default)]
    negated: bool,
    /// Grey levels; `None` for the file's own.
    #[serde(default)]
    display: Option<Display>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regions: Option<RegionsRecord>,
}

/// Regions and the picture that they were drawn on.
#[derive(Clone, Debug)]
struct RegionsRecord {
    /// The picture, by [`Picture::key`](crate::session::Picture::key).
    of: String,
    set: Arc<Regions>,
}

impl PartialEq for RegionsRecord {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of && (Arc::ptr_eq(&self.set, &other.set) || self.set == other.set)
    }
}

/// As it stands in a file: regions as COCO JSON.
#[derive(Serialize, Deserialize)]
struct RegionsText {
    of: String,
    size: [usize; 2],
    coco: serde_json::Value,
}

/// What regions are called inside a session file.
const NAME: &str = "session";

impl Serialize for RegionsRecord {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let coco = serde_json::from_str(&to_coco(&self.set, NAME));
        RegionsText {
            of: self.of.clone(),
            size: self.set.size,
            coco: coco.map_err(serde::ser::Error::custom)?,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RegionsRecord {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = RegionsText::deserialize(deserializer)?;
        let subject = Subject {
            name: NAME,
            path: None,
            size: text.size,
        };
        let bytes = text.coco.to_string().into_bytes();
        let mut set =
            parse(Path::new("regions.json"), &bytes, &subject).map_err(serde::de::Error::custom)?;
        set.list.iter_mut().for_each(|region| region.origin.clear());
        Ok(Self {
            of: text.of,
            set: Arc::new(set),
        })
    }
}

/// A panel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PanelRecord {
    method: String,
    layer: String,
    #[serde(default)]
    look: Option<Look>,
    #[serde(default)]
    params: Values,
    #[serde(default)]
    case: usize,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    view: Option<Viewport>,
    #[serde(default)]
    pinned: bool,
}

/// Everything that is open and how it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Desk {
    pub(super) cases: Vec<CaseRecord>,
    panels: Vec<PanelRecord>,
    #[serde(default)]
    look: Look,
    #[serde(default)]
    arrangement: Arrangement,
    #[serde(default)]
    linked_depth: bool,
    #[serde(default = "yes")]
    linked_target: bool,
    #[serde(default)]
    view: Viewport,
    #[serde(default = "yes")]
    overlay: bool,
    #[serde(default)]
    cells: bool,
    #[serde(default = "yes")]
    strip: bool,
    #[serde(default = "yes")]
    sides: bool,
    #[serde(default)]
    selected: usize,
    #[serde(default)]
    solo: Option<usize>,
    #[serde(default)]
    duel: Option<Duel>,
}

fn yes() -> bool {
    true
}

impl State for Desk {
    fn is_like(&self, other: &Self) -> bool {
        self.selected == other.selected && self == other
            || Self {
                selected: other.selected,
                ..self.clone()
            } == *other
    }

    fn shows_elsewhere(&self, other: &Self) -> bool {
        let mut moved = self.clone();
        moved.view = other.view;
        moved.selected = other.selected;
        for (own, others) in moved.panels.iter_mut().zip(&other.panels) {
            own.view = others.view;
        }
        moved == *other
    }
}

impl CaseRecord {
    /// Files that are named in the record.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let model = match &mut self.model {
            ModelSource::Path(path) => Some(path),
            ModelSource::Demo => None,
        };
        let image = match &mut self.image {
            ImageSource::Path(path) | ImageSource::Frame { path, .. } => Some(path),
            ImageSource::Sample(_) => None,
        };
        model.into_iter().chain(image)
    }
}

impl Case {
    fn record(&mut self) -> CaseRecord {
        let set = self.drawn.shared();
        let of = self.drawn.of().to_owned();
        let (model, given) = self.open_network();
        CaseRecord {
            model: model.clone(),
            given: given.clone(),
            image: self.open_image_source().clone(),
            target: self.target.map(|class| self.label(class)),
            score: self.aim.score,
            against: self.aim.against.map(|class| self.label(class)),
            negated: self.aim.negated,
            display: (self.base.has_own_display())
                .then(|| self.base.display())
                .flatten(),
            regions: (!set.list.is_empty()).then_some(RegionsRecord { of, set }),
        }
    }

    /// Opens what a record names, as far as it is not open already, and has the rest of it hold once that is there.
    fn put_back(&mut self, record: &CaseRecord) {
        // A second case that was made before the first one had anything to share has nothing, and asked for nothing.
        let idle = !self.session.is_opening();
        let no_network = idle && self.session.model().is_none();
        let no_picture = idle && self.session.picture().is_none();
        let (model, given) = self.open_network();
        if no_network || *model != record.model || *given != record.given {
            self.open_model(record.model.clone(), record.given.clone());
        }
        let opens = no_picture || *self.open_image_source() != record.image;
        // A second case that was just made has a picture that the window has not taken in yet.
        let other_picture = opens || self.picture.is_none();
        if opens {
            self.open_image(record.image.clone());
        } else {
            self.base.set_display(record.display.clone());
        }
        let aim = Aim {
            score: record.score,
            against: None,
            negated: record.negated,
        };
        self.wish = Wish {
            target: record.target.clone(),
            aim: Some((aim, record.against.clone())),
            display: other_picture.then(|| record.display.clone()),
            keep_view: true,
        };
        if !self.is_opening() {
            self.grant();
        }
        match &record.regions {
            Some(regions) => self.drawn.restore(&regions.of, (*regions.set).clone()),
            None if !opens => {
                let (of, size) = (self.drawn.of().to_owned(), self.drawn.set.size);
                self.drawn.restore(&of, Regions::none(size));
            }
            None => {}
        }
    }
}

impl App {
    /// What is open and how it is shown.
    pub(super) fn desk(&mut self) -> Desk {
        let cases = self.cases.iter_mut().map(Case::record).collect();
        let panels = (0..self.grid.panels.len()).filter_map(|i| {
            let (panel, case) = (self.grid.panels.get(i)?, self.case_at(i));
            let layer = case
                .stops
                .list
                .get(panel.stop)
                .map(|stop| stop.name.clone());
            Some(PanelRecord {
                method: panel.method.to_owned(),
                layer: panel.layer_wish.clone().or(layer).unwrap_or_default(),
                look: panel.own,
                params: panel.params.clone(),
                case: panel.case,
                target: match panel.target {
                    Some(class) => Some(case.label(class)),
                    None => panel.target_wish.clone(),
                },
                view: panel.view,
                pinned: panel.pinned,
            })
        });
        Desk {
            panels: panels.collect(),
            cases,
            look: self.grid.look,
            arrangement: self.grid.arrangement,
            linked_depth: self.grid.linked_depth,
            linked_target: self.grid.linked_target,
            view: self.viewport,
            overlay: self.overlay,
            cells: self.pen.cells,
            strip: self.strip.shown,
            sides: self.sides,
            selected: self.grid.selected,
            solo: self.grid.solo,
            duel: self.grid.duel,
        }
    }

    /// Has everything be as a record says. What must be opened for it comes as soon as it is there.
    pub(super) fn put_back(&mut self, ctx: &Context, desk: &Desk) {
        match (desk.cases.len(), self.cases.len()) {
            (0, _) => return,
            (1, 2) => self.cases.set_second(None),
            (2.., 1) => match self.cases.get(0).beside(ctx) {
                Ok(second) => self.cases.set_second(Some(second)),
                Err(error) => self.say(Message::Error(error.to_string())),
            },
            _ => {}
        }
        for (case, record) in self.cases.iter_mut().zip(&desk.cases) {
            case.put_back(record);
        }
        let known = self.cases.len();
        let panels: Vec<Panel> = desk
            .panels
            .iter()
            .filter(|record| record.case < known)
            .filter_map(|record| self.panel_of(record))
            .take(MAX_PANELS)
            .collect();
        if panels.len() < desk.panels.len() {
            let lost = desk.panels.len() - panels.len();
            self.say(Message::Error(crate::text::session::panels_left_out(lost)));
        }
        let grid = Grid {
            look: desk.look,
            scope: self.grid.scope,
            selected: desk.selected.min(panels.len().saturating_sub(1)),
            linked_depth: desk.linked_depth,
            linked_target: desk.linked_target,
            arrangement: desk.arrangement,
            solo: desk.solo.filter(|&panel| panel < panels.len()),
            duel: (desk.duel).filter(|duel| duel.panels.iter().all(|&p| p < panels.len())),
            panels,
        };
        if !grid.panels.is_empty() {
            self.grid = grid;
        }
        self.viewport = desk.view;
        self.overlay = desk.overlay;
        self.pen.cells = desk.cells;
        self.strip.shown = desk.strip;
        self.sides = desk.sides;
        self.hover = None;
    }

    /// A panel as it is recorded; `None` where this version does not know its method.
    fn panel_of(&self, record: &PanelRecord) -> Option<Panel> {
        let method = catalogue::find(&record.method).ok()?;
        let case = self.cases.get(record.case);
        let target = record.target.as_deref();
        let class = target.and_then(|label| case.class_of(label));
        let stop = case.stops.find(&record.layer);
        Some(Panel {
            case: record.case,
            stop: stop.unwrap_or(case.stops.last),
            layer_wish: (stop.is_none() || case.is_opening()).then(|| record.layer.clone()),
            own: record.look,
            params: method.check(&record.params).map_or_else(
                // What another version called differently has its default.
                |_| Values::new(),
                |()| record.params.clone(),
            ),
            target: class,
            target_wish: record.target.clone().filter(|_| class.is_none()),
            view: record.view,
            pinned: record.pinned,
            ..Panel::new(method.id, 0)
        })
    }

    /// Takes in a step of undo, once nobody drags and nothing is being opened.
    pub(super) fn note_step(&mut self, ctx: &Context) {
        let busy = ctx.input(|i| i.pointer.any_down()) || self.cases.iter().any(Case::is_opening);
        if busy {
            return;
        }
        let desk = self.desk();
        self.history.note(&desk, std::time::Instant::now());
        if let Some(wait) = self.store.keep(Some(&desk)) {
            ctx.request_repaint_after(wait);
        }
    }
}
