//! A map in the making: at once, or step by step with a partial result after each.

use super::catalogue::{Compute, Method};
use super::channels::Channels;
use super::map::{Grid, RawMap};
use super::settings::Settings;
use super::study::Study;
use crate::error::Result;
use crate::plan::Values;
use crate::text::notice;

/// Work that grows a map over many passes through the network. It owns all that it has found out, so that it can be
/// stopped at any step and go on later with the same study.
pub trait Steps: Send {
    /// Steps in all.
    fn total(&self) -> usize;

    /// Steps that are done.
    fn done(&self) -> usize;

    /// Does the next few, about a tenth of a second of work: one batch of passes. Where it fails or is cancelled
    /// nothing that was done before is lost, and the step can be tried again.
    ///
    /// # Errors
    /// Cancellation, a device that fails.
    fn advance(&mut self, study: &mut Study<'_>) -> Result<()>;

    /// The map as it stands after the steps that are done.
    ///
    /// # Errors
    /// Cancellation, a device that fails.
    fn drawn(&self, study: &mut Study<'_>) -> Result<Drawn>;
}

/// What a method gives.
pub enum Drawn {
    /// Weighted channels of the study's layer.
    Channels(Channels),
    /// A finished map, on any grid.
    Grid(Grid),
}

/// The work of one map.
pub struct Task {
    method: &'static Method,
    settings: Settings,
    state: State,
}

enum State {
    /// Nothing is done, and all will be at once.
    New,
    Whole(Grid),
    Steps(Box<dyn Steps>),
}

impl Task {
    /// Begins a map.
    ///
    /// # Errors
    /// Parameters that the method does not have or that are out of range; a method that is not defined here.
    pub fn begin(method: &'static Method, values: &Values, study: &mut Study<'_>) -> Result<Self> {
        let settings = method.settings(values)?;
        let state = match super::options::wrap(method, &settings, study)? {
            Some(steps) => State::Steps(steps),
            None => match method.compute {
                Compute::Channels(_) | Compute::Map(_) => State::New,
                Compute::Steps(begin) => State::Steps(begin(study, &settings)?),
            },
        };
        Ok(Self {
            method,
            settings,
            state,
        })
    }

    /// Steps that are done, and steps in all.
    pub fn progress(&self) -> (usize, usize) {
        match &self.state {
            State::New => (0, 1),
            State::Whole(_) => (1, 1),
            State::Steps(steps) => (steps.done(), steps.total()),
        }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        let (done, total) = self.progress();
        done >= total
    }

    /// Does the next piece of work.
    ///
    /// # Errors
    /// As [`Steps::advance`].
    pub fn advance(&mut self, study: &mut Study<'_>) -> Result<()> {
        study.job.check()?;
        match &mut self.state {
            State::New => {
                let drawn = match self.method.compute {
                    Compute::Channels(f) => {
                        let gradients = self.method.reads.gradients();
                        let draw = |study: &mut Study<'_>| {
                            let channels = f(&study.evidence(gradients)?, &self.settings)?;
                            Ok(Drawn::Channels(channels))
                        };
                        super::options::at_layers(self.method, &draw, &self.settings, study)?
                    }
                    Compute::Map(f) => {
                        let draw = |study: &mut Study<'_>| f(study, &self.settings);
                        super::options::at_layers(self.method, &draw, &self.settings, study)?
                    }
                    // Begun as steps.
                    Compute::Steps(_) => return Ok(()),
                };
                self.state = State::Whole(self.grid(drawn, study)?);
            }
            State::Whole(_) => {}
            State::Steps(steps) => steps.advance(study)?,
        }
        Ok(())
    }

    /// The map as it stands.
    ///
    /// # Errors
    /// As [`Steps::drawn`].
    pub fn map(&self, study: &mut Study<'_>) -> Result<RawMap> {
        let mut grid = match &self.state {
            State::New => Grid::zeros(1, 1),
            State::Whole(grid) => grid.clone(),
            State::Steps(steps) => {
                let drawn = steps.drawn(study)?;
                self.grid(drawn, study)?
            }
        };
        let mut notices = study.notices.clone();
        let odd = grid.values.iter().filter(|v| !v.is_finite()).count();
        if odd > 0 {
            // A picture of no numbers would be blank without a reason.
            grid.values
                .iter_mut()
                .filter(|v| !v.is_finite())
                .for_each(|v| *v = 0.0);
            notices.push(notice::map_not_finite(odd, grid.values.len()));
        }
        Ok(RawMap {
            method: self.method.id.to_owned(),
            layer: self.method.layer_of(&study.layer).to_owned(),
            target: self
                .method
                .class_discriminative
                .then_some(study.target.class),
            width: grid.width,
            height: grid.height,
            values: grid.values.into(),
            model_size: [study.input.width, study.input.height],
            source_from_model: study.input.source_from_model,
            source_size: study.input.source_size,
            blur_px: study.blur_px,
            notices,
            conservation: study.conservation.clone(),
        })
    }

    /// Weighted channels as they stand, where the method has passes of its own for them.
    ///
    /// # Errors
    /// As [`Steps::drawn`].
    pub fn channels(&self, study: &mut Study<'_>) -> Result<Option<Channels>> {
        match &self.state {
            State::Steps(steps) => Ok(match steps.drawn(study)? {
                Drawn::Channels(channels) => Some(channels),
                Drawn::Grid(_) => None,
            }),
            _ => Ok(None),
        }
    }

    fn grid(&self, drawn: Drawn, study: &mut Study<'_>) -> Result<Grid> {
        super::options::grid(drawn, &self.settings, study)
    }
}
