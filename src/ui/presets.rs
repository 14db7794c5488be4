//! Ways to lay the grid out for a purpose.

use super::state::{Arrangement, Grid, MAX_PANELS, Panel, STAGE};
use super::stops::Stops;
use crate::explain::catalogue::{self, Domain};
use crate::plan::Values;

/// A purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The grid of the first start.
    First,
    /// One large overlay, and three small ones made in other ways.
    Clinician,
    /// One layer, many methods.
    Methods,
    /// One method at the end of every stage.
    Depth,
    /// The methods that the field compares.
    Seed,
    /// One method, the most likely findings.
    Findings,
    /// The steps on the way to a method's map.
    Stages,
}

impl Preset {
    /// All that menus offer, in their order.
    pub const ALL: [Self; 6] = [
        Self::First,
        Self::Clinician,
        Self::Methods,
        Self::Depth,
        Self::Seed,
        Self::Findings,
    ];
}

/// Methods of [`Preset::Methods`].
const METHODS: [&str; 6] = [
    "grad-cam",
    "grad-cam++",
    "xgrad-cam",
    "hires-cam",
    "layer-cam",
    "eigen-cam",
];
/// Methods of [`Preset::Seed`]; the last one only where the network has an attention branch.
const SEED: [&str; 6] = [
    "grad-cam",
    "layer-cam",
    "score-cam",
    "fg-cam",
    "grad-cam-lrp",
    ATTENTION,
];
/// Methods of [`Preset::Clinician`], the large one first: three families and two depths.
const CLINICIAN: [&str; 4] = ["grad-cam", "layer-cam", "fg-cam", "grad-cam-lrp"];
const ATTENTION: &str = "abn";
/// Most findings side by side.
const MOST_FINDINGS: usize = 9;

/// What presets must know of a case.
pub(super) struct Ground<'a> {
    pub(super) stops: &'a Stops,
    /// Whether the network has an attention branch.
    pub(super) attention: bool,
    /// Classes, the most likely finding of the first case first; `None` where another case has no such class.
    pub(super) classes: Vec<Option<usize>>,
}

impl Grid {
    /// Lays the grid out anew, for every case. Panels that are pinned stay, in front.
    pub(super) fn preset(&mut self, preset: Preset, grounds: &[Ground<'_>]) {
        let now = self.panels.get(self.selected).cloned();
        let now = now.unwrap_or_else(|| Panel::new("grad-cam", 0));
        let Some(home) = grounds.get(now.case) else {
            return;
        };
        let mut panels: Vec<Panel> = self.panels.iter().filter(|p| p.pinned).cloned().collect();
        let mut each = 0;
        for (case, ground) in grounds.iter().enumerate() {
            let stop = match case == now.case {
                true => now.stop,
                false => ground.stops.like(now.stop, home.stops),
            };
            let from = Panel {
                stop,
                case,
                own: None,
                view: None,
                pinned: false,
                target: None,
                ..now.clone()
            };
            let fresh = laid_out(preset, &from, ground);
            each = fresh.len();
            panels.extend(fresh);
        }
        if panels.is_empty() {
            // The method has no stages, or no finding is known yet.
            return;
        }
        panels.truncate(MAX_PANELS);
        let pinned = panels.iter().filter(|p| p.pinned).count();
        self.panels = panels;
        self.linked_depth = false;
        self.arrangement = match preset {
            Preset::Clinician if grounds.len() == 1 => Arrangement::OneLarge,
            _ => Arrangement::Automatic,
        };
        if grounds.len() > 1 && pinned == 0 {
            self.arrange_cases(each);
        }
        self.selected = match preset {
            Preset::Stages => self.panels.len() - 1,
            _ => 0,
        };
        self.reshaped();
    }
}

/// The panels of one case.
fn laid_out(preset: Preset, now: &Panel, ground: &Ground<'_>) -> Vec<Panel> {
    let stops = ground.stops;
    let fresh = |method: &'static str, stop: usize| Panel {
        case: now.case,
        ..Panel::new(method, stop)
    };
    // Each method where it is usually looked at.
    let usual = |methods: &[&'static str]| -> Vec<Panel> {
        let known = methods
            .iter()
            .filter(|id| ground.attention || **id != ATTENTION);
        known.map(|id| fresh(id, usual_stop(id, stops))).collect()
    };
    match preset {
        Preset::First => usual(&FIRST),
        Preset::Clinician => usual(&CLINICIAN),
        Preset::Seed => usual(&SEED),
        Preset::Methods => {
            let stop = if now.stop == 0 { stops.last } else { now.stop };
            METHODS.into_iter().map(|id| fresh(id, stop)).collect()
        }
        Preset::Depth => {
            let has_layers = catalogue::find(now.method).is_ok_and(|m| m.place.has_layers());
            let (method, params) = match has_layers {
                true => (now.method, now.params.clone()),
                false => ("grad-cam", Values::new()),
            };
            let mut stages = stops.stages();
            if stages.len() > MAX_PANELS / 2 {
                stages.drain(..stages.len() - MAX_PANELS / 2);
            }
            if stages.is_empty() {
                stages.push(stops.last);
            }
            let at = |stop| Panel {
                params: params.clone(),
                ..fresh(method, stop)
            };
            stages.into_iter().map(at).collect()
        }
        Preset::Findings => ground
            .classes
            .iter()
            .take(MOST_FINDINGS)
            .filter_map(|class| {
                Some(Panel {
                    target: Some((*class)?),
                    ..now.clone()
                })
            })
            .collect(),
        Preset::Stages => stages_of(now),
    }
}

/// Methods of [`Preset::First`].
pub(super) const FIRST: [&str; 4] = ["grad-cam", "hires-cam", "layer-cam", "grad-cam++"];

/// Where a method is usually looked at.
pub(super) fn usual_stop(method: &str, stops: &Stops) -> usize {
    match method {
        // LayerCAM was made for layers before the last one, and before global pooling HiResCAM
        // equals Grad-CAM: two panels would agree by construction.
        "layer-cam" | "hires-cam" => stops.one_stage_earlier(),
        _ => catalogue::find(method).map_or(stops.last, |m| Grid::stop_for(m, stops.last, stops)),
    }
}

/// The stages of a panel's method, one panel each, where it has any to show.
fn stages_of(panel: &Panel) -> Vec<Panel> {
    let method = catalogue::find(panel.method).ok();
    let stage = method.and_then(|m| m.params.iter().find(|param| param.id == STAGE));
    let Some(Domain::Choice(stages)) = stage.map(|param| param.domain) else {
        return Vec::new();
    };
    // The default is what comes of the others.
    let mut order: Vec<&str> = stages.iter().skip(1).rev().copied().collect();
    order.extend(stages.first());
    order
        .into_iter()
        .map(|stage| {
            let mut panel = panel.clone();
            match Some(&stage) == stages.first() {
                true => panel.params.remove(STAGE),
                false => panel.params.insert(STAGE.to_owned(), stage.to_owned()),
            };
            panel
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::stops::tests::stops;
    use super::*;

    fn ground(stops: &Stops) -> Ground<'_> {
        Ground {
            stops,
            attention: false,
            classes: vec![Some(1), Some(0)],
        }
    }

    #[test]
    fn presets_are_made_of_real_methods() {
        for id in METHODS.iter().chain(&SEED).chain(&CLINICIAN).chain(&FIRST) {
            assert!(catalogue::find(id).is_ok(), "{id}");
        }
    }

    #[test]
    fn depth_is_one_method_at_every_stage() {
        let stops = stops(&[4, 8, 11], 12, "a");
        let mut grid = Grid {
            selected: 2,
            ..Grid::default()
        };
        grid.preset(Preset::Depth, &[ground(&stops)]);
        let at: Vec<usize> = grid.panels.iter().map(|p| p.stop).collect();
        assert_eq!(at, [4, 8, 11]);
        assert!(grid.panels.iter().all(|p| p.method == "layer-cam"));
    }

    #[test]
    fn pinned_panels_stay_in_front() {
        let stops = stops(&[4, 8, 11], 12, "a");
        let mut grid = Grid::default();
        grid.panels[2].pinned = true;
        let kept = grid.panels[2].clone();
        grid.preset(Preset::Methods, &[ground(&stops)]);
        assert_eq!(grid.panels.len(), METHODS.len() + 1);
        assert_eq!(grid.panels[0], kept);
    }

    #[test]
    fn an_attention_map_is_shown_where_there_is_one() {
        let stops = stops(&[4, 8, 11], 12, "a");
        let mut grid = Grid::default();
        grid.preset(Preset::Seed, &[ground(&stops)]);
        assert_eq!(grid.panels.len(), SEED.len() - 1);
        let with = Ground {
            attention: true,
            ..ground(&stops)
        };
        grid.preset(Preset::Seed, &[with]);
        assert_eq!(grid.panels.len(), SEED.len());
    }

    #[test]
    fn findings_stand_side_by_side_and_both_cases_have_them() {
        let (a, b) = (stops(&[4, 8, 11], 12, "a"), stops(&[20, 39], 40, "b"));
        let mut grid = Grid::default();
        grid.at_usual_layers(0, &a);
        let other = Ground {
            classes: vec![Some(0), None],
            ..ground(&b)
        };
        grid.preset(Preset::Findings, &[ground(&a), other]);
        let seen: Vec<_> = grid
            .panels
            .iter()
            .map(|p| (p.case, p.target, p.stop))
            .collect();
        assert_eq!(seen, [(0, Some(1), 11), (0, Some(0), 11), (1, Some(0), 39)]);
    }
}
