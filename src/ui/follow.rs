//! Keeping up with the sessions: what they opened, what they are asked for, what panels show of it.

use std::collections::HashSet;
use std::sync::Arc;

use egui::Context;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::app::{App, Cell};
use super::heat::Heat;
use super::state::Look;
use crate::explain::{RawMap, catalogue};
use crate::plan::{MapKey, Normalise, Target, Values};
use crate::post::{ScaleRange, scale_of};
use crate::session::MapState;

/// Method, stop, what is explained, parameters.
type WantedMap = (&'static str, usize, Target, Values);

/// What the maps that were last asked for depend on.
#[derive(Clone, PartialEq)]
pub(super) struct Wanted {
    maps: Vec<WantedMap>,
    layers: usize,
}

impl Wanted {
    /// Whether the same maps are meant at all layers together, wherever the sliders stand.
    fn is_all_of(&self, other: &Self) -> bool {
        let same = |(a, b): (&WantedMap, &WantedMap)| (a.0, a.2, &a.3) == (b.0, b.2, &b.3);
        self.layers == other.layers
            && self.maps.len() == other.maps.len()
            && self.maps.iter().zip(&other.maps).all(same)
    }
}

/// Most threads that bring panels up to date: there are at most 16 of them, in a fraction of a millisecond each.
const MOST_HANDS: usize = 4;

/// Threads that bring panels up to date; `None` where the system gives none.
pub(super) fn hands() -> Option<ThreadPool> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ThreadPoolBuilder::new()
        .num_threads(cores.min(MOST_HANDS))
        .thread_name(|i| format!("camlens-panels-{i}"))
        .build()
        .ok()
}

/// What a panel's field is to be made of: the map, the settings, and what notices call the class.
type Due = (Arc<RawMap>, Look, String);

/// Does something to each item, by several threads where there is more than one.
fn side_by_side<T: Send>(
    hands: Option<&ThreadPool>,
    items: &mut [T],
    work: impl Fn(&mut T) + Sync + Send,
) {
    match hands {
        Some(hands) if items.len() > 1 => hands.install(|| items.par_iter_mut().for_each(work)),
        _ => items.iter_mut().for_each(work),
    }
}

/// The scale of a panel; `None` before it has a field. `all` are the largest magnitudes of all panels.
fn range_of(heat: &Heat, look: &Look, all: &[f32]) -> Option<ScaleRange> {
    let own = heat.largest()?;
    if look.post.normalise != Normalise::Shared {
        return scale_of(&[own], &look.post).into_iter().next();
    }
    let largest = [&[own], all].concat();
    scale_of(&largest, &look.post).into_iter().next()
}

impl App {
    /// Takes in what the sessions have: another network, another picture, findings, errors.
    pub(super) fn follow(&mut self, ctx: &Context) {
        for number in 0..self.cases.len() {
            let news = self.cases.get_mut(number).follow(ctx);
            if let Some(old) = news.other_network {
                let stops = &self.cases.get(number).stops;
                self.grid.carry_over(number, &old, stops);
                if self.cases.get(number).target.is_none() {
                    self.filter.clear();
                    let own = self.grid.panels.iter_mut().filter(|p| p.case == number);
                    own.for_each(|panel| panel.target = None);
                }
            }
            let case = self.cases.get(number);
            if !case.session.findings().is_empty() {
                let own = self.grid.panels.iter_mut().filter(|p| p.case == number);
                for panel in own.filter(|panel| panel.target_wish.is_some()) {
                    let wish = panel.target_wish.take();
                    panel.target = wish
                        .and_then(|label| case.class_of(&label))
                        .or(panel.target);
                }
            }
            if news.fit {
                // Pictures that are compared keep the part that is looked at.
                if self.cases.len() == 1 {
                    self.viewport = self.viewport.anew();
                }
                self.hover = None;
            }
            for message in news.messages {
                self.say(message);
            }
            for error in news.errors {
                self.first_error.get_or_insert(error);
            }
        }
    }

    /// Asks the sessions for the maps on screen, and for the other layers of the same methods,
    /// nearest first, so that the depth slider finds them ready.
    pub(super) fn want(&mut self) {
        for number in 0..self.cases.len() {
            self.want_of(number);
        }
    }

    fn want_of(&mut self, number: usize) {
        let case = self.cases.get(number);
        if case.session.findings().is_empty() {
            return;
        }
        let panels = self.grid.panels.iter().filter(|p| p.case == number);
        let wanted = Wanted {
            maps: panels
                .filter_map(|p| {
                    Some((
                        p.method,
                        p.stop,
                        case.objective(p.target)?,
                        p.params.clone(),
                    ))
                })
                .collect(),
            layers: case.stops.list.len(),
        };
        if case.wanted.as_ref() == Some(&wanted) {
            return;
        }
        // A depth slider that runs over maps which are all there asks for nothing new, in every frame.
        if case.wanted.as_ref().is_some_and(|w| w.is_all_of(&wanted)) && self.has_all(number) {
            self.cases.get_mut(number).wanted = Some(wanted);
            return;
        }
        let mut seen = HashSet::new();
        let mut key = |method: &'static str, stop: usize, target: Target, params: &Values| {
            let method = catalogue::find(method).ok()?;
            let layer = method.layer_of(&case.stops.list.get(stop)?.name);
            // A map that has no choice of layers is the same wherever the slider stands.
            let stop = if method.place.has_layers() { stop } else { 0 };
            seen.insert((method.id, stop, target, params.clone()))
                .then(|| MapKey {
                    method: method.id.to_owned(),
                    layer: layer.to_owned(),
                    target,
                    params: params.clone(),
                })
        };
        let now: Vec<MapKey> = wanted
            .maps
            .iter()
            .filter_map(|(m, stop, target, params)| key(m, *stop, *target, params))
            .collect();
        let mut ahead = Vec::new();
        for distance in 1..wanted.layers {
            for (method, stop, target, params) in &wanted.maps {
                ahead.extend(key(method, stop + distance, *target, params));
                ahead.extend(
                    stop.checked_sub(distance)
                        .and_then(|stop| key(method, stop, *target, params)),
                );
            }
        }
        let case = self.cases.get_mut(number);
        // Asking for something else is a wish to see it, whatever was stopped before.
        case.stopped = false;
        case.session.want(&now, &ahead);
        case.wanted = Some(wanted);
    }

    /// Whether nothing is being computed for a case, or was stopped, and its panels' maps are there.
    fn has_all(&self, number: usize) -> bool {
        let case = self.cases.get(number);
        let is_there = |panel: usize| {
            let key = self.key_of(panel);
            key.is_some_and(|key| matches!(case.session.map(&key), MapState::Ready(_)))
        };
        let panels = self.grid.panels.iter().enumerate();
        let mut own = panels.filter(|(_, panel)| panel.case == number);
        !case.stopped && !case.session.is_busy() && own.all(|(i, _)| is_there(i))
    }

    /// Brings every panel's field and scale up to date.
    pub(super) fn prepare(&mut self) {
        let count = self.grid.panels.len();
        self.heats.resize_with(count, Heat::default);
        let states: Vec<(Option<MapKey>, MapState)> = (0..count)
            .map(|i| {
                let key = self.key_of(i);
                let state = key
                    .as_ref()
                    .map_or(MapState::Waiting, |key| self.case_at(i).session.map(key));
                (key, state)
            })
            .collect();
        let jobs: Vec<Option<Due>> = states
            .iter()
            .enumerate()
            .map(|(i, (_, state))| {
                let map = match state {
                    MapState::Ready(map) => map,
                    MapState::Growing(growing) => &growing.map,
                    _ => return None,
                };
                let own = self.grid.panels.get(i).and_then(|panel| panel.target);
                let label = self.case_at(i).objective_name(own);
                Some((Arc::clone(map), self.grid.look_of(i), label))
            })
            .collect();
        let mut stale: Vec<(&mut Heat, Due)> = Vec::new();
        for (heat, job) in self.heats.iter_mut().zip(jobs) {
            match job {
                Some(job) if !heat.is_of(&job.0, &job.1) => stale.push((heat, job)),
                Some(_) => {}
                None => heat.forget(),
            }
        }
        let hands = self.hands.as_ref();
        side_by_side(hands, &mut stale, |(heat, (map, look, label))| {
            heat.update(map, look, label);
            // A scale that others share is known when all have their fields.
            if look.post.normalise != Normalise::Shared
                && let Some(range) = range_of(heat, look, &[])
            {
                heat.colour(range, look);
            }
        });
        let all: Vec<f32> = self.heats.iter().filter_map(Heat::largest).collect();
        self.cells = states
            .into_iter()
            .enumerate()
            .map(|(i, (key, state))| {
                let look = self.grid.look_of(i);
                let range = (self.heats.get(i)).and_then(|heat| range_of(heat, &look, &all));
                Cell {
                    key,
                    state,
                    look,
                    range: range.unwrap_or_default(),
                }
            })
            .collect();
        let panels = self.heats.iter_mut().zip(&self.cells);
        let mut pale: Vec<(&mut Heat, &Cell)> = panels
            .filter(|(heat, cell)| !heat.is_coloured(cell.range, &cell.look))
            .collect();
        side_by_side(self.hands.as_ref(), &mut pale, |(heat, cell)| {
            heat.colour(cell.range, &cell.look);
        });
    }
}
