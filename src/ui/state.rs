//! What the window shows, as plain data: panels, their methods and layers, and how maps are shown.

use serde::{Deserialize, Serialize};

use super::presets::{FIRST, usual_stop};
use super::stops::Stops;
use super::viewport::Viewport;
use crate::explain::catalogue::{self, Method, Place};
use crate::plan::{Post, Sign, Values, View};

/// Width in points from which on a panel's header shows usual names of method and layer.
const READABLE: f32 = 300.0;

/// The parameter that shows a step on the way to a method's map.
pub const STAGE: &str = "stage";
/// Most rows of the grid, and most columns.
pub const MAX_SIDE: usize = 4;
/// Most panels of the grid.
pub const MAX_PANELS: usize = MAX_SIDE * MAX_SIDE;

/// How maps are processed and shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Look {
    /// Which sign is shown; `None` for the one that is usual for the method.
    pub sign: Option<Sign>,
    /// From the raw map to a presentable one.
    pub post: Post,
    /// Colours and opacity.
    pub view: View,
}

impl Look {
    /// Shows maps with this sign, `None` with that of their methods.
    pub fn choose_sign(&mut self, sign: Option<Sign>) {
        self.sign = sign;
        self.post.sign = sign.unwrap_or_default();
    }
}

/// One cell of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Catalogue id.
    pub method: &'static str,
    /// Index into [`Stops::list`].
    pub stop: usize,
    /// Settings of its own; `None` follows the grid's.
    pub own: Option<Look>,
    /// Parameters of the method that differ from their defaults.
    pub params: Values,
    /// Which case it shows: 0, or 1 for the one that is set beside it.
    pub case: usize,
    /// A class of its own to explain; `None` for the case's.
    pub target: Option<usize>,
    /// A view of its own; `None` for the one that all share.
    pub view: Option<Viewport>,
    /// Name of a layer that it is to show once the network is there.
    pub layer_wish: Option<String>,
    /// Label of the class that it is to explain once the findings are there.
    pub target_wish: Option<String>,
    /// It stays where presets lay the grid out anew and where panels move together.
    pub pinned: bool,
}

impl Panel {
    /// A panel with a method's defaults.
    pub fn new(method: &'static str, stop: usize) -> Self {
        Self {
            method,
            stop,
            own: None,
            params: Values::new(),
            case: 0,
            target: None,
            view: None,
            layer_wish: None,
            target_wish: None,
            pinned: false,
        }
    }
}

/// Methods for new panels, in this order: all answer at once, and the first ones differ most.
const NEXT: [&str; MAX_PANELS] = [
    "grad-cam",
    "grad-cam++",
    "xgrad-cam",
    "hires-cam",
    "layer-cam",
    "eigen-cam",
    "elementwise-cam",
    "eigen-grad-cam",
    "full-grad",
    "lrp-epsilon-plus",
    "saliency",
    "fem",
    "kpca-cam",
    "shapley-cam",
    "fg-cam",
    "random-cam",
];

/// What the display controls act on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every panel.
    #[default]
    All,
    /// The selected panel.
    Selected,
}

/// How panels share the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrangement {
    /// So that pictures come out largest.
    #[default]
    Automatic,
    /// So many columns and rows.
    Table {
        /// Panels in a row.
        columns: usize,
        /// Panels in a column.
        rows: usize,
    },
    /// The first panel large, the others small beside it.
    OneLarge,
}

/// How two panels are laid over each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// One to the left of a line, the other to the right of it; where the line stands, as a share of the width.
    Swipe(f32),
    /// The first minus the second, each in shares of its own colour scale.
    Difference,
}

/// Two panels in one picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duel {
    /// Indices of the panels.
    pub panels: [usize; 2],
    /// How they are laid over each other.
    pub overlap: Overlap,
}

/// The grid of panels.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Panels, row by row.
    pub panels: Vec<Panel>,
    /// Settings of panels that have none of their own.
    pub look: Look,
    /// Index of the selected panel.
    pub selected: usize,
    /// What the display controls act on.
    pub scope: Scope,
    /// Whether all panels move through the network together.
    pub linked_depth: bool,
    /// Whether another finding is explained in both cases.
    pub linked_target: bool,
    /// How panels share the room.
    pub arrangement: Arrangement,
    /// The one panel that is shown alone.
    pub solo: Option<usize>,
    /// Two panels that are shown in one picture.
    pub duel: Option<Duel>,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            panels: FIRST
                .into_iter()
                .map(|method| Panel::new(method, 0))
                .collect(),
            look: Look::default(),
            selected: 0,
            scope: Scope::All,
            linked_depth: false,
            linked_target: true,
            arrangement: Arrangement::Automatic,
            solo: None,
            duel: None,
        }
    }
}

impl Grid {
    /// The case that a panel shows.
    pub fn case_of(&self, panel: usize) -> usize {
        self.panels.get(panel).map_or(0, |panel| panel.case)
    }

    /// Puts every panel of a case at the layer where its method is usually looked at.
    pub fn at_usual_layers(&mut self, case: usize, stops: &Stops) {
        for panel in self.panels.iter_mut().filter(|panel| panel.case == case) {
            panel.stop = usual_stop(panel.method, stops);
        }
    }

    /// Carries a case's panels over to another network: the same layer where there is one of that name, else
    /// the same depth.
    pub fn carry_over(&mut self, case: usize, old: &Stops, new: &Stops) {
        if old.list.is_empty() {
            self.at_usual_layers(case, new);
        } else {
            let own = self.panels.iter_mut().filter(|panel| panel.case == case);
            own.for_each(|panel| panel.stop = new.like(panel.stop, old));
        }
        for panel in self.panels.iter_mut().filter(|panel| panel.case == case) {
            let wish = panel.layer_wish.take();
            panel.stop = wish.and_then(|name| new.find(&name)).unwrap_or(panel.stop);
        }
    }

    /// The settings that hold for a panel; `post.sign` is what its map is really shown with.
    pub fn look_of(&self, panel: usize) -> Look {
        let Some(panel) = self.panels.get(panel) else {
            return self.look;
        };
        let mut look = panel.own.unwrap_or(self.look);
        if look.sign.is_none()
            && let Ok(method) = catalogue::find(panel.method)
        {
            look.post.sign = method.usual_sign();
        }
        look
    }

    /// Shows both signs in a panel, whether it has settings of its own or follows the grid's.
    pub fn show_signed(&mut self, panel: usize) {
        let own = self.panels.get_mut(panel).and_then(|p| p.own.as_mut());
        own.unwrap_or(&mut self.look)
            .choose_sign(Some(Sign::Signed));
    }

    /// The settings that the display controls show.
    pub fn edited(&self) -> Look {
        match self.scope {
            Scope::All => self.look,
            Scope::Selected => self.look_of(self.selected),
        }
    }

    /// Takes settings from the display controls.
    pub fn edit(&mut self, look: Look) {
        match self.scope {
            Scope::All => self.look = look,
            Scope::Selected => {
                if let Some(panel) = self.panels.get_mut(self.selected) {
                    panel.own = Some(look);
                }
            }
        }
    }

    /// Moves a panel through the network, and the others with it where they are linked.
    pub fn move_to(&mut self, panel: usize, stop: usize) {
        let linked = self.linked_depth;
        // A layer of one network means nothing to another.
        let case = self.case_of(panel);
        for (i, p) in self.panels.iter_mut().enumerate() {
            if i == panel || (linked && !p.pinned && p.case == case) {
                p.stop = stop;
            }
        }
    }

    /// Where a panel that stands at `stop` would show a method.
    pub fn stop_for(method: &Method, stop: usize, stops: &Stops) -> usize {
        match method.place {
            Place::Layer if stop == 0 => stops.last,
            Place::Pixels => 0,
            _ => stop,
        }
    }

    /// Gives a panel another method, and where that is looked at elsewhere takes it to its usual place.
    pub fn set_method(&mut self, panel: usize, method: &'static Method, stops: &Stops) {
        let Some(panel) = self.panels.get_mut(panel) else {
            return;
        };
        panel.stop = Self::stop_for(method, panel.stop, stops);
        panel.method = method.id;
        panel.params.clear();
    }

    /// Shows `count` panels; new ones take methods that are not on screen yet. Panels that are pinned go last.
    pub fn set_count(&mut self, count: usize, stops: &Stops) {
        let count = count.clamp(1, MAX_PANELS);
        while self.panels.len() > count {
            let last = self.panels.iter().rposition(|panel| !panel.pinned);
            self.panels.remove(last.unwrap_or(self.panels.len() - 1));
        }
        let now = self.panels.get(self.selected);
        let (stop, case) = now.map_or((stops.last, 0), |p| (p.stop, p.case));
        while self.panels.len() < count {
            let unused = NEXT.into_iter().find(|id| {
                let mut others = self.panels.iter().filter(|p| p.case == case);
                others.all(|p| p.method != *id)
            });
            let method = unused.unwrap_or("grad-cam");
            let usual = catalogue::find(method).map_or(stop, |m| Self::stop_for(m, stop, stops));
            self.panels.push(Panel {
                case,
                ..Panel::new(method, usual)
            });
        }
        self.reshaped();
    }

    /// Lays the grid out in so many columns and rows, and fills it.
    pub fn set_table(&mut self, columns: usize, rows: usize, stops: &Stops) {
        let (columns, rows) = (columns.clamp(1, MAX_SIDE), rows.clamp(1, MAX_SIDE));
        self.arrangement = Arrangement::Table { columns, rows };
        self.set_count(columns * rows, stops);
    }

    /// Panels came, went or moved: what points at one by its place points at nothing.
    pub(super) fn reshaped(&mut self) {
        self.solo = None;
        self.duel = None;
        self.selected = self.selected.min(self.panels.len().saturating_sub(1));
    }

    /// Takes a panel away; the last one stays.
    pub fn remove(&mut self, panel: usize) {
        if self.panels.len() > 1 && panel < self.panels.len() {
            self.panels.remove(panel);
            self.reshaped();
        }
    }

    /// Puts a copy of a panel behind it; a full grid stays as it is.
    pub fn duplicate(&mut self, panel: usize) {
        if let Some(copy) = self.panels.get(panel).cloned()
            && self.panels.len() < MAX_PANELS
        {
            self.panels.insert(panel + 1, copy);
            self.reshaped();
            self.selected = panel + 1;
        }
    }

    /// Takes a panel to another place; those between move up.
    pub fn move_panel(&mut self, from: usize, to: usize) {
        if from < self.panels.len() && to < self.panels.len() && from != to {
            let panel = self.panels.remove(from);
            self.panels.insert(to, panel);
            self.reshaped();
            self.selected = to;
        }
    }

    /// Panels of a second case, next to those of the first.
    pub fn add_case(&mut self) {
        self.panels.retain(|panel| panel.case == 0);
        self.panels.truncate(MAX_PANELS / 2);
        let count = self.panels.len();
        let second = self.panels.iter().map(|panel| Panel {
            case: 1,
            ..panel.clone()
        });
        let second: Vec<Panel> = second.collect();
        self.panels.extend(second);
        self.arrange_cases(count);
        self.reshaped();
        self.selected = count.min(self.panels.len() - 1);
    }

    /// One row for each of two cases, where a row is wide enough.
    pub(super) fn arrange_cases(&mut self, panels_each: usize) {
        self.arrangement = match panels_each {
            // Two pictures side by side are larger than one above the other.
            1 => Arrangement::Automatic,
            2..=MAX_SIDE => Arrangement::Table {
                columns: panels_each,
                rows: 2,
            },
            _ => Arrangement::Automatic,
        };
    }

    /// Takes the panels of the second case away.
    pub fn drop_case(&mut self) {
        self.panels.retain(|panel| panel.case == 0);
        if self.panels.is_empty() {
            self.panels.push(Panel::new("grad-cam", 0));
        }
        self.arrangement = Arrangement::Automatic;
        self.reshaped();
    }

    /// Whether panels look at the same part of the picture.
    pub fn is_view_linked(&self) -> bool {
        self.panels.iter().all(|panel| panel.view.is_none())
    }

    /// Columns of the grid on a surface of this shape, so that pictures of `aspect` (width by
    /// height) come out large and what stands above them can be read.
    /// `around` is what a panel of a height needs beside its picture.
    pub fn columns(
        &self,
        width: f32,
        height: f32,
        aspect: f32,
        around: impl Fn(f32) -> f32,
    ) -> usize {
        let count = self.panels.len();
        let worth = |columns: usize| {
            let rows = count.div_ceil(columns);
            let cell_w = width / columns as f32;
            let cell_h = height / rows as f32;
            let cell_h = (cell_h - around(cell_h)).max(1.0);
            // Holes in the grid look like something is missing.
            let filled = count as f32 / (rows * columns) as f32;
            // In a narrow panel the layer's name gives way to the method's.
            let readable = (cell_w / READABLE).min(1.0);
            cell_w.min(cell_h * aspect) * filled.sqrt() * readable
        };
        (1..=count.clamp(1, MAX_SIDE.max(count.div_ceil(MAX_SIDE))))
            .max_by(|&a, &b| worth(a).total_cmp(&worth(b)))
            .unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stops::tests::stops;
    use super::*;

    #[test]
    fn usual_layers() {
        let mut grid = Grid::default();
        grid.at_usual_layers(0, &stops(&[4, 8, 11], 12, "a"));
        let at: Vec<usize> = grid.panels.iter().map(|p| p.stop).collect();
        assert_eq!(at, [11, 8, 8, 11]);
    }

    #[test]
    fn another_network_keeps_names_then_depths() {
        let (old, same, other) = (
            stops(&[4, 8, 11], 12, "a"),
            stops(&[4, 9, 19], 20, "a"),
            stops(&[20, 39], 40, "b"),
        );
        let mut grid = Grid::default();
        grid.at_usual_layers(0, &old);
        grid.panels[1].stop = 3;
        let mut renamed = grid.clone();
        grid.carry_over(0, &old, &same);
        assert_eq!([0, 1, 2].map(|i| grid.panels[i].stop), [19, 3, 8]);
        renamed.carry_over(0, &old, &other);
        assert_eq!([0, 1, 2].map(|i| renamed.panels[i].stop), [39, 10, 26]);
    }

    #[test]
    fn the_grid_has_no_holes_where_that_can_be_helped() {
        let mut grid = Grid::default();
        let stops = stops(&[4, 8, 11], 12, "a");
        for (count, columns) in [(1, 1), (2, 2), (4, 2), (6, 3)] {
            grid.set_count(count, &stops);
            assert_eq!(
                grid.columns(750.0, 700.0, 1.0, |_| 98.0),
                columns,
                "{count} panels"
            );
        }
        // 1280 x 800 with a message over the grid: four in a row would have no room for their headers.
        grid.set_count(4, &stops);
        assert_eq!(grid.columns(737.0, 528.0, 1.0, |_| 98.0), 2);
        grid.set_count(99, &stops);
        assert_eq!(grid.panels.len(), MAX_PANELS);
        let mut methods: Vec<&str> = grid.panels.iter().map(|p| p.method).collect();
        methods.sort_unstable();
        methods.dedup();
        assert_eq!(methods.len(), MAX_PANELS, "new panels bring new methods");
    }

    #[test]
    fn pinned_panels_stay() {
        let stops = stops(&[4, 8, 11], 12, "a");
        let mut grid = Grid::default();
        grid.at_usual_layers(0, &stops);
        grid.panels[3].pinned = true;
        grid.set_count(2, &stops);
        assert!(grid.panels[1].pinned, "{:?}", grid.panels);
        grid.linked_depth = true;
        grid.move_to(0, 2);
        assert_eq!([grid.panels[0].stop, grid.panels[1].stop], [2, 11]);
    }

    #[test]
    fn panels_move_and_are_copied() {
        let mut grid = Grid::default();
        let ids = |grid: &Grid| grid.panels.iter().map(|p| p.method).collect::<Vec<_>>();
        grid.solo = Some(3);
        grid.move_panel(3, 0);
        assert_eq!(
            ids(&grid),
            ["grad-cam++", "grad-cam", "hires-cam", "layer-cam"]
        );
        assert_eq!((grid.selected, grid.solo), (0, None));
        grid.duplicate(1);
        assert_eq!(ids(&grid)[1..3], ["grad-cam", "grad-cam"]);
        assert_eq!(grid.selected, 2);
    }

    #[test]
    fn two_cases_have_the_same_panels() {
        let mut grid = Grid::default();
        grid.add_case();
        assert_eq!(grid.panels.len(), 8);
        assert_eq!(
            grid.arrangement,
            Arrangement::Table {
                columns: 4,
                rows: 2
            }
        );
        assert_eq!(grid.case_of(grid.selected), 1);
        grid.linked_depth = true;
        grid.move_to(4, 7);
        assert!(grid.panels.iter().all(|p| (p.stop == 7) == (p.case == 1)));
        grid.drop_case();
        assert_eq!(grid.panels.len(), 4);
    }
}
