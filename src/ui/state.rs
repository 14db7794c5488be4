//! What the window shows, as plain data: panels, their methods and layers, and how maps are shown.

use crate::explain::catalogue::{self, Domain, Method, Place};
use crate::model::Model;
use crate::plan::{Post, Sign, Values, View};

/// The parameter that shows a step on the way to a method's map.
pub const STAGE: &str = "stage";
/// Most panels of the grid.
pub const MAX_PANELS: usize = 6;

/// One stop of the depth slider.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// Name by which the map is asked for: the stage's where it is one, else the node's.
    pub name: String,
    /// Operation.
    pub op: String,
    /// `[rows, columns]` of the grid.
    pub resolution: [usize; 2],
    /// Receptive field in pixels of the model's input; `None` for the whole image.
    pub receptive_field: Option<[usize; 2]>,
    /// Whether a stage of the network ends here.
    pub stage: bool,
}

/// Every layer that can be explained, from the input to the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stops {
    /// In order from the input.
    pub list: Vec<Stop>,
    /// The layer that is explained unless another is asked for.
    pub last: usize,
}

impl Stops {
    /// Reads them off a network.
    pub fn of(model: &Model) -> Self {
        // A model that could not list its layers was refused when it was opened.
        let layers = model.layers().unwrap_or_default();
        let graph = &model.graph;
        let node_name = |name: &str| graph.find(name).map(|id| graph.nodes[id].name.as_str());
        let mut list = Vec::new();
        let mut last = 0;
        for layer in layers
            .iter()
            .filter(|l| l.explainable && l.alias_of.is_none())
        {
            let Some(resolution) = layer.resolution else {
                continue;
            };
            let stage = graph
                .stages
                .iter()
                .find(|stage| node_name(stage) == Some(layer.name.as_str()));
            let is_last = node_name(&graph.last) == Some(layer.name.as_str());
            if is_last {
                last = list.len();
            }
            let alias = stage.or(is_last.then_some(&graph.last));
            list.push(Stop {
                name: alias.unwrap_or(&layer.name).clone(),
                op: layer.op.clone(),
                resolution,
                receptive_field: layer.receptive_field,
                stage: alias.is_some(),
            });
        }
        if last == 0 {
            last = list.len().saturating_sub(1);
        }
        Self { list, last }
    }

    /// Stops where a stage ends, in order.
    pub fn stages(&self) -> Vec<usize> {
        (0..self.list.len())
            .filter(|&i| self.list[i].stage)
            .collect()
    }

    /// A good layer of the stage before the last one: its end, or, where a stride follows it, the block
    /// before. What is skipped by a stride gets no gradient, and a map there shows the stride's grid instead
    /// of the image (LayerCAM's authors give the same advice). The last layer where there is no such stage.
    pub fn one_stage_earlier(&self) -> usize {
        let end = self.stages().into_iter().rfind(|&stop| stop < self.last);
        let Some((end, layer)) = end.and_then(|end| Some((end, self.list.get(end)?))) else {
            return self.last;
        };
        let shrinks = |next: &Stop| next.resolution[0] < layer.resolution[0];
        if !self.list.get(end + 1).is_some_and(shrinks) {
            return end;
        }
        // Of a block's activations the last one has a name without a number.
        self.list[..end]
            .iter()
            .rposition(|stop| {
                stop.op == layer.op
                    && stop.resolution == layer.resolution
                    && !stop.name.contains('#')
            })
            .unwrap_or(end)
    }

    /// The next stage end after (`forward`) or before `stop`.
    pub fn next_stage(&self, stop: usize, forward: bool) -> usize {
        let stages = self.stages();
        let next = if forward {
            stages.into_iter().find(|&s| s > stop)
        } else {
            stages.into_iter().rfind(|&s| s < stop)
        };
        next.unwrap_or(if forward {
            self.list.len().saturating_sub(1)
        } else {
            0
        })
    }
}

/// How maps are processed and shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
}

impl Panel {
    /// A panel with a method's defaults.
    pub fn new(method: &'static str, stop: usize) -> Self {
        Self {
            method,
            stop,
            own: None,
            params: Values::new(),
        }
    }
}

/// Six methods that answer at once, for a comparison at one layer and for new panels.
const COMPARED: [&str; MAX_PANELS] = [
    "grad-cam",
    "grad-cam++",
    "xgrad-cam",
    "hires-cam",
    "layer-cam",
    "eigen-cam",
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
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            panels: ["grad-cam", "hires-cam", "layer-cam", "grad-cam++"]
                .into_iter()
                .map(|method| Panel::new(method, 0))
                .collect(),
            look: Look::default(),
            selected: 0,
            scope: Scope::All,
            linked_depth: false,
        }
    }
}

impl Grid {
    /// Puts every panel at the layer where its method is usually looked at.
    pub fn at_usual_layers(&mut self, stops: &Stops) {
        for panel in &mut self.panels {
            panel.stop = match panel.method {
                // LayerCAM was made for layers before the last one, and before global pooling HiResCAM
                // equals Grad-CAM: two panels would agree by construction.
                "layer-cam" | "hires-cam" => stops.one_stage_earlier(),
                _ => stops.last,
            };
        }
    }

    /// Carries panels over to another network: the same layer where there is one of that name, else
    /// the same depth.
    pub fn carry_over(&mut self, old: &Stops, new: &Stops) {
        if old.list.is_empty() {
            self.at_usual_layers(new);
            return;
        }
        for panel in &mut self.panels {
            let name = old.list.get(panel.stop).map(|stop| stop.name.as_str());
            let same = new
                .list
                .iter()
                .position(|stop| Some(stop.name.as_str()) == name);
            panel.stop = if panel.stop == old.last {
                new.last
            } else if let Some(same) = same {
                same
            } else {
                let depth = panel.stop as f64 / old.list.len().max(1) as f64;
                ((depth * new.list.len() as f64) as usize).min(new.list.len().saturating_sub(1))
            };
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
        for (i, p) in self.panels.iter_mut().enumerate() {
            if linked || i == panel {
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

    /// Shows `count` panels; new ones take methods that are not on screen yet.
    pub fn set_count(&mut self, count: usize, stops: &Stops) {
        let count = count.clamp(1, MAX_PANELS);
        self.panels.truncate(count);
        while self.panels.len() < count {
            let unused = COMPARED
                .into_iter()
                .find(|id| self.panels.iter().all(|p| p.method != *id));
            let stop = self
                .panels
                .get(self.selected)
                .map_or(stops.last, |p| p.stop);
            self.panels
                .push(Panel::new(unused.unwrap_or("grad-cam"), stop));
        }
        self.selected = self.selected.min(count - 1);
    }

    /// Takes a panel away; the last one stays.
    pub fn remove(&mut self, panel: usize) {
        if self.panels.len() > 1 && panel < self.panels.len() {
            self.panels.remove(panel);
            self.selected = self.selected.min(self.panels.len() - 1);
        }
    }

    /// One method at the ends of the network's stages.
    pub fn preset_depth(&mut self, stops: &Stops) {
        let (method, params) = self
            .panels
            .get(self.selected)
            .map_or(("grad-cam", Values::new()), |p| {
                (p.method, p.params.clone())
            });
        let mut stages = stops.stages();
        if stages.len() > MAX_PANELS {
            stages.drain(..stages.len() - MAX_PANELS);
        }
        if stages.is_empty() {
            stages.push(stops.last);
        }
        self.panels = stages
            .into_iter()
            .map(|stop| Panel {
                params: params.clone(),
                ..Panel::new(method, stop)
            })
            .collect();
        self.selected = 0;
        self.linked_depth = false;
    }

    /// The stages of the selected panel's method, one panel each, where it has any to show.
    pub fn preset_stages(&mut self) {
        let Some(panel) = self.panels.get(self.selected).cloned() else {
            return;
        };
        let method = catalogue::find(panel.method).ok();
        let stage = method.and_then(|m| m.params.iter().find(|param| param.id == STAGE));
        let Some(Domain::Choice(stages)) = stage.map(|param| param.domain) else {
            return;
        };
        // The default is what comes of the others.
        let mut order: Vec<&str> = stages.iter().skip(1).rev().copied().collect();
        order.extend(stages.first());
        self.panels = order
            .into_iter()
            .take(MAX_PANELS)
            .map(|stage| {
                let mut panel = panel.clone();
                match Some(&stage) == stages.first() {
                    true => panel.params.remove(STAGE),
                    false => panel.params.insert(STAGE.to_owned(), stage.to_owned()),
                };
                panel
            })
            .collect();
        self.selected = self.panels.len().saturating_sub(1);
    }

    /// Six methods at the layer of the selected panel.
    pub fn preset_methods(&mut self, stops: &Stops) {
        let stop = self
            .panels
            .get(self.selected)
            .map_or(stops.last, |p| p.stop);
        self.panels = COMPARED
            .into_iter()
            .map(|method| Panel::new(method, stop))
            .collect();
        self.selected = 0;
    }

    /// Columns of the grid on a surface of this shape, so that pictures of `aspect` (width by
    /// height) come out largest.
    pub fn columns(&self, width: f32, height: f32, aspect: f32, extra_height: f32) -> usize {
        let count = self.panels.len();
        let worth = |columns: usize| {
            let rows = count.div_ceil(columns);
            let cell_w = width / columns as f32;
            let cell_h = (height / rows as f32 - extra_height).max(1.0);
            // Holes in the grid look like something is missing.
            let filled = count as f32 / (rows * columns) as f32;
            cell_w.min(cell_h * aspect) * filled.sqrt()
        };
        (1..=count.max(1))
            .max_by(|&a, &b| worth(a).total_cmp(&worth(b)))
            .unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(stages: &[usize], count: usize, prefix: &str) -> Stops {
        let list = (0..count)
            .map(|i| Stop {
                name: format!("{prefix}{i}"),
                op: "ReLU".to_owned(),
                resolution: [7, 7],
                receptive_field: None,
                stage: stages.contains(&i),
            })
            .collect();
        Stops {
            list,
            last: *stages.last().unwrap(),
        }
    }

    #[test]
    fn usual_layers() {
        let mut grid = Grid::default();
        grid.at_usual_layers(&stops(&[4, 8, 11], 12, "a"));
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
        grid.at_usual_layers(&old);
        grid.panels[1].stop = 3;
        let mut renamed = grid.clone();
        grid.carry_over(&old, &same);
        assert_eq!([0, 1, 2].map(|i| grid.panels[i].stop), [19, 3, 8]);
        renamed.carry_over(&old, &other);
        assert_eq!([0, 1, 2].map(|i| renamed.panels[i].stop), [39, 10, 26]);
    }

    #[test]
    fn the_grid_has_no_holes_where_that_can_be_helped() {
        let mut grid = Grid::default();
        let stops = stops(&[4, 8, 11], 12, "a");
        for (count, columns) in [(1, 1), (2, 2), (4, 2), (6, 3)] {
            grid.set_count(count, &stops);
            assert_eq!(
                grid.columns(750.0, 700.0, 1.0, 98.0),
                columns,
                "{count} panels"
            );
        }
        grid.set_count(99, &stops);
        assert_eq!(grid.panels.len(), MAX_PANELS);
        let mut methods: Vec<&str> = grid.panels.iter().map(|p| p.method).collect();
        methods.sort_unstable();
        methods.dedup();
        assert_eq!(methods.len(), MAX_PANELS, "new panels bring new methods");
    }

    #[test]
    fn pages_go_through_stages_and_end_at_the_ends() {
        let stops = stops(&[4, 8, 11], 13, "a");
        assert_eq!(stops.next_stage(5, true), 8);
        assert_eq!(stops.next_stage(5, false), 4);
        assert_eq!(stops.next_stage(4, false), 0);
        assert_eq!(stops.next_stage(11, true), 12);
    }
}
