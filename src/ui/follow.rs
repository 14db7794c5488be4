//! Keeping up with the session: what it opened, what it is asked for, what panels show of it.

use std::collections::HashSet;
use std::sync::Arc;

use egui::Context;

use super::app::{App, Cell, Message};
use super::heat::Heat;
use super::state::Stops;
use super::viewport::Viewport;
use crate::explain::catalogue;
use crate::plan::{MapKey, Target, Values};
use crate::post::{Field, scale_range};
use crate::session::MapState;
use crate::text::method as words;

/// What the maps that were last asked for depend on.
#[derive(Clone, PartialEq)]
pub(super) struct Wanted {
    maps: Vec<(&'static str, usize, Values)>,
    target: Target,
    layers: usize,
}

impl App {
    /// Takes in what the session has: another network, another picture, findings, errors.
    pub(super) fn follow(&mut self, ctx: &Context) {
        self.session.poll();
        if let Some(model) = self.session.model().cloned()
            && !self.model.as_ref().is_some_and(|m| Arc::ptr_eq(m, &model))
        {
            let stops = Stops::of(&model);
            self.grid.carry_over(&self.stops, &stops);
            let same_labels = self.model.as_ref().is_some_and(|m| {
                m.facts.labels == model.facts.labels && m.classes() == model.classes()
            });
            if !same_labels {
                self.target = None;
                self.aim = Default::default();
                self.filter.clear();
            }
            self.stops = stops;
            self.model = Some(model);
            self.wanted = None;
        }
        if let Some(picture) = self.session.picture().cloned()
            && !self
                .picture
                .as_ref()
                .is_some_and(|p| Arc::ptr_eq(p, &picture))
        {
            self.base.show(ctx, &picture);
            self.viewport = Viewport::default();
            self.hover = None;
            self.picture = Some(picture);
            self.wanted = None;
        }
        if self.target.is_none() && !self.session.findings().is_empty() {
            self.target = Some(self.usual_target());
        }
        let errors = self.session.take_errors();
        if !errors.is_empty() {
            // What waited was dropped together with the request that failed: ask again.
            self.session.want(&[], &[]);
            self.wanted = None;
        }
        for error in errors {
            let words = error.to_string();
            self.say(if error.is_of_device() {
                Message::Device(words)
            } else {
                Message::Error(words)
            });
            self.first_error.get_or_insert(error);
        }
    }

    /// The class that is explained unless another is asked for: what the network was made to find
    /// where it says so, else the highest logit.
    fn usual_target(&self) -> usize {
        match self.session.model() {
            Some(model) if model.facts.operating_point.is_some() => {
                model.classes().saturating_sub(1)
            }
            _ => self.session.top(),
        }
    }

    /// Asks the session for the maps on screen, and for the other layers of the same methods,
    /// nearest first, so that the depth slider finds them ready.
    pub(super) fn want(&mut self) {
        let Some(target) = self.objective() else {
            return;
        };
        if self.session.findings().is_empty() {
            return;
        }
        let wanted = Wanted {
            maps: self
                .grid
                .panels
                .iter()
                .map(|p| (p.method, p.stop, p.params.clone()))
                .collect(),
            target,
            layers: self.stops.list.len(),
        };
        if self.wanted.as_ref() == Some(&wanted) {
            return;
        }
        // Asking for something else is a wish to see it, whatever was stopped before.
        self.stopped = false;
        let mut seen = HashSet::new();
        let mut key = |method: &'static str, stop: usize, params: &Values| {
            let method = catalogue::find(method).ok()?;
            let layer = method.layer_of(&self.stops.list.get(stop)?.name);
            // A map that has no choice of layers is the same wherever the slider stands.
            let stop = if method.place.has_layers() { stop } else { 0 };
            seen.insert((method.id, stop, params.clone()))
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
            .filter_map(|(m, stop, params)| key(m, *stop, params))
            .collect();
        let mut ahead = Vec::new();
        for distance in 1..wanted.layers {
            for (method, stop, params) in &wanted.maps {
                ahead.extend(key(method, stop + distance, params));
                ahead.extend(
                    stop.checked_sub(distance)
                        .and_then(|stop| key(method, stop, params)),
                );
            }
        }
        self.session.want(&now, &ahead);
        self.wanted = Some(wanted);
    }

    /// What the explained thing is called in a sentence: "Pneumonia", "Pneumonia against Normal".
    pub(super) fn objective_name(&self) -> String {
        let label = |class: usize| {
            let finding = self.session.findings().get(class);
            finding.map(|f| f.label.clone()).unwrap_or_default()
        };
        self.objective()
            .map(|target| words::objective_name(&target, label))
            .unwrap_or_default()
    }

    /// Has the maps asked for again, after they were stopped.
    pub(super) fn want_again(&mut self) {
        self.stopped = false;
        self.session.want(&[], &[]);
        self.wanted = None;
    }

    /// Brings every panel's field and scale up to date.
    pub(super) fn prepare(&mut self) {
        let count = self.grid.panels.len();
        self.heats.resize_with(count, Heat::default);
        let label = self.objective_name();
        let states: Vec<(Option<MapKey>, MapState)> = (0..count)
            .map(|i| {
                let key = self.key_of(i);
                let state = key
                    .as_ref()
                    .map_or(MapState::Waiting, |key| self.session.map(key));
                (key, state)
            })
            .collect();
        for (i, (_, state)) in states.iter().enumerate() {
            let look = self.grid.look_of(i);
            match (state, self.heats.get_mut(i)) {
                (MapState::Ready(map), Some(heat)) => heat.update(map, &look, &label),
                (MapState::Growing(growing), Some(heat)) => {
                    heat.update(&growing.map, &look, &label);
                }
                (_, Some(heat)) => heat.forget(),
                _ => {}
            }
        }
        let all: Vec<&Field> = self.heats.iter().filter_map(Heat::field).collect();
        self.cells = states
            .into_iter()
            .enumerate()
            .map(|(i, (key, state))| {
                let look = self.grid.look_of(i);
                let range = self.heats.get(i).and_then(Heat::field).map(|own| {
                    let mut fields = vec![own];
                    fields.extend(&all);
                    scale_range(&fields, &look.post)
                        .into_iter()
                        .next()
                        .unwrap_or_default()
                });
                Cell {
                    key,
                    state,
                    look,
                    range: range.unwrap_or_default(),
                }
            })
            .collect();
    }
}
