//! Runs plans: what is open, what was computed, what is being computed.
//!
//! The window holds a [`Session`] and asks it for maps every frame; the answer is there, on its way or
//! an error. The network's work is done by a worker thread. The command line uses the same
//! [`Analysis`] directly ([`grid`]).

mod analysis;
pub mod bench;
pub mod comparison;
mod facts;
mod figure;
pub mod grid;
pub mod inspect;
pub mod listing;
mod model_eye;
mod picture;
mod regions;
pub mod samples;
pub mod view;
mod worker;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use analysis::{Analysis, Finding, Partial};
pub use facts::{fact_lines, save_facts};
pub use figure::{Exhibit, ExhibitCase, ExhibitPanel};
pub use model_eye::{ModelEye, model_eye};
pub use picture::Picture;
pub use regions::{counted_notice, open_regions};

use crate::error::{Error, Result};
use crate::explain::RawMap;
use crate::job::Progress;
use crate::model::Model;
use crate::plan::{DeviceChoice, GivenFacts, ImageSource, MapKey, ModelSource};
pub use worker::{Choose, Growing};
use worker::{Event, Request, Setup, Worker, is_instant};

/// A map that was asked for.
#[derive(Clone)]
pub enum MapState {
    /// It is there.
    Ready(Arc<RawMap>),
    /// It is being computed.
    Waiting,
    /// It takes many passes and stands as far as it has come.
    Growing(Growing),
    /// It cannot be made; why, in words.
    Failed(String),
}

/// What the window works on.
pub struct Session {
    worker: Worker,
    /// What was last asked for; what is open, where that failed.
    asked: Option<Setup>,
    /// What the open network was opened with.
    opened: Option<Setup>,
    /// Where the next network is to run.
    device: DeviceChoice,
    /// Whether the network that was asked for is on its way.
    opening: bool,
    /// The picture that was last asked for, and whether it is on its way.
    picture_asked: Option<ImageSource>,
    opening_picture: bool,
    /// Where the open picture came from.
    picture_opened: Option<ImageSource>,
    /// The device failed in the middle of its work; why, in words.
    lost: Option<String>,
    model: Option<Arc<Model>>,
    picture: Option<Arc<Picture>>,
    findings: Vec<Finding>,
    attention_findings: Vec<Finding>,
    top: usize,
    pass_time: Option<Duration>,
    input_notices: Vec<String>,
    maps: HashMap<MapKey, MapState>,
    /// Maps that were stopped one by one.
    held: HashSet<MapKey>,
    wanted: (Vec<MapKey>, Vec<MapKey>),
    progress: Option<Progress>,
    errors: Vec<Error>,
    generation: u64,
    busy: bool,
    /// Whether the open pair has findings, or has failed to have them.
    settled: bool,
    started: Instant,
    first_map_after: Option<Duration>,
}

impl Session {
    /// Starts a session. `wake` is called, from another thread, whenever [`Session::poll`] has news.
    ///
    /// # Errors
    /// The worker thread cannot be started.
    pub fn new(device: DeviceChoice, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        Ok(Self {
            worker: Worker::start(Arc::new(wake))?,
            asked: None,
            opened: None,
            device,
            opening: false,
            picture_asked: None,
            opening_picture: false,
            picture_opened: None,
            lost: None,
            model: None,
            picture: None,
            findings: Vec::new(),
            attention_findings: Vec::new(),
            top: 0,
            pass_time: None,
            input_notices: Vec::new(),
            maps: HashMap::new(),
            held: HashSet::new(),
            wanted: Default::default(),
            progress: None,
            errors: Vec::new(),
            generation: 0,
            busy: false,
            settled: false,
            started: Instant::now(),
            first_map_after: None,
        })
    }

    /// A second session that shares this one's network and picture, to be compared with it. Neither is read or kept
    /// in memory twice.
    ///
    /// # Errors
    /// The worker thread cannot be started.
    pub fn beside(&self, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let mut second = Self::new(self.device(), wake)?;
        second.asked.clone_from(&self.opened);
        second.opened.clone_from(&self.opened);
        if let (Some(model), Some(picture)) = (&self.model, &self.picture) {
            second.model = Some(Arc::clone(model));
            second.picture = Some(Arc::clone(picture));
            second.picture_opened.clone_from(&self.picture_opened);
            second.submit(Request::Share(Arc::clone(model), Arc::clone(picture)));
        }
        Ok(second)
    }

    /// Networks that are opened from now on run with this arithmetic instead of their device's own: other kernels, or
    /// such as fail where what happens then is to be seen.
    pub fn set_kernels(&self, choose: Choose) {
        self.worker.set_kernels(choose);
    }

    /// Opens a network; the present one stays until the new one is there.
    pub fn open_model(&mut self, source: ModelSource) {
        self.open_model_with(source, GivenFacts::default());
    }

    /// As [`Session::open_model`]; what the user says about the network comes before what its files say.
    pub fn open_model_with(&mut self, source: ModelSource, given: GivenFacts) {
        self.open_setup(Setup {
            source,
            given,
            device: self.device,
        });
    }

    fn open_setup(&mut self, setup: Setup) {
        self.asked = Some(setup.clone());
        self.opening = true;
        self.submit(Request::OpenModel(setup));
    }

    /// Opens the network again on another device; the present one stays until the new one is there, and stays
    /// where the device cannot be had.
    pub fn set_device(&mut self, device: DeviceChoice) {
        self.device = device;
        let Some(asked) = self.asked.clone() else {
            return;
        };
        let setup = Setup { device, ..asked };
        if self.lost.is_some() || self.opening || self.opened.as_ref() != Some(&setup) {
            self.open_setup(setup);
        } else {
            // That is what stands.
            self.asked = Some(setup);
        }
    }

    /// Where the open network runs, as it was chosen; before one is open, where it is to run.
    pub fn device(&self) -> DeviceChoice {
        self.opened.as_ref().map_or(self.device, |s| s.device)
    }

    /// Opens an image; the present one stays until the new one is there.
    pub fn open_picture(&mut self, source: ImageSource) {
        self.picture_asked = Some(source.clone());
        self.opening_picture = true;
        self.submit(Request::OpenPicture(source));
    }

    fn submit(&mut self, request: Request) {
        self.busy = true;
        self.generation = self.worker.submit(request);
    }

    /// Says which maps are on screen (`now`, most urgent first) and which may come next (`ahead`).
    /// Maps that are there or failed are not computed again. Cheap when nothing changed.
    pub fn want(&mut self, now: &[MapKey], ahead: &[MapKey]) {
        if self.findings.is_empty() || (self.wanted.0 == now && self.wanted.1 == ahead) {
            return;
        }
        self.wanted = (now.to_vec(), ahead.to_vec());
        let missing = |keys: &[MapKey]| -> Vec<MapKey> {
            keys.iter()
                .filter(|key| {
                    !self.held.contains(*key)
                        && !matches!(
                            self.maps.get(key),
                            Some(MapState::Ready(_) | MapState::Failed(_))
                        )
                })
                .cloned()
                .collect()
        };
        let (mut now, mut ahead) = (missing(now), missing(ahead));
        // What is there at once does not wait for what takes a minute, which nobody starts ahead of need.
        now.sort_by_key(|key| !is_instant(key));
        ahead.retain(is_instant);
        for key in &now {
            match self.maps.get_mut(key) {
                Some(MapState::Growing(growing)) => growing.stopped = false,
                _ => {
                    self.maps.insert(key.clone(), MapState::Waiting);
                }
            }
        }
        if let Some(words) = &self.lost {
            for key in now {
                self.maps.insert(key, MapState::Failed(words.clone()));
            }
        } else if !now.is_empty() || !ahead.is_empty() {
            self.submit(Request::Maps { now, ahead });
        }
    }

    /// Stops one map that grows; it stays as far as it has come until [`Session::go_on`].
    pub fn hold(&mut self, key: &MapKey) {
        if let Some(MapState::Growing(growing)) = self.maps.get_mut(key) {
            growing.stopped = true;
        }
        self.held.insert(key.clone());
        // The others are asked for again in the next frame.
        self.worker.cancel_maps();
        self.wanted = Default::default();
    }

    /// Lets a map that was stopped go on from where it stands, the next time it is wanted.
    pub fn go_on(&mut self, key: &MapKey) {
        self.held.remove(key);
        self.wanted = Default::default();
    }

    /// Whether a map was stopped by [`Session::hold`].
    pub fn is_held(&self, key: &MapKey) -> bool {
        self.held.contains(key)
    }

    /// The state of a map.
    pub fn map(&self, key: &MapKey) -> MapState {
        self.maps.get(key).cloned().unwrap_or(MapState::Waiting)
    }

    /// Takes in what the worker has sent; returns whether anything did.
    pub fn poll(&mut self) -> bool {
        let mut news = false;
        while let Some((generation, event)) = self.worker.poll() {
            news = true;
            self.take(generation, event);
        }
        news
    }

    fn take(&mut self, generation: u64, event: Event) {
        let current = generation == self.generation;
        match event {
            Event::Model(setup, Ok(model)) => {
                self.opening &= self.asked.as_ref() != Some(&setup);
                self.model = Some(model);
                self.opened = Some(setup);
                self.forget();
            }
            Event::Picture(source, Ok(picture)) => {
                self.opening_picture &= self.picture_asked.as_ref() != Some(&source);
                self.picture_opened = Some(source);
                self.picture = Some(picture);
                self.forget();
            }
            Event::Model(setup, Err(error)) => {
                if self.asked.as_ref() == Some(&setup) {
                    self.opening = false;
                    self.go_back(&error);
                }
                self.report(error);
            }
            Event::Picture(source, Err(error)) => {
                self.opening_picture &= self.picture_asked.as_ref() != Some(&source);
                self.report(error);
            }
            Event::Findings(Ok(found)) if current => {
                self.findings = found.findings;
                self.attention_findings = found.attention;
                self.top = found.top;
                self.input_notices = found.notices;
                self.pass_time = Some(found.pass_time);
                self.settled = true;
            }
            Event::Findings(Err(error)) => {
                if current {
                    self.settled = true;
                    if error.is_of_device() {
                        self.lost = Some(error.to_string());
                    }
                }
                self.report(error);
            }
            Event::Growing(key, growing) if current => {
                self.first_map_after
                    .get_or_insert_with(|| self.started.elapsed());
                // What was stopped, or is no longer asked for, may still have sent a last look.
                let stopped = self.held.contains(&key) || !self.wanted.0.contains(&key);
                self.maps
                    .insert(key, MapState::Growing(Growing { stopped, ..growing }));
            }
            Event::Map(key, Ok(map)) if current => {
                self.first_map_after
                    .get_or_insert_with(|| self.started.elapsed());
                self.maps.insert(key, MapState::Ready(map));
            }
            Event::Map(key, Err(error)) if current => {
                self.maps.insert(key, MapState::Failed(error.to_string()));
                if error.is_of_device() {
                    self.lose(error);
                }
            }
            Event::Progress(progress) if current => self.progress = Some(progress),
            Event::Idle if current => {
                self.busy = false;
                self.progress = None;
            }
            // Results of a model or an image that is no longer open.
            _ => {}
        }
    }

    /// A network could not be opened: what is open counts again.
    fn go_back(&mut self, error: &Error) {
        let Some(opened) = &self.opened else {
            return;
        };
        self.device = opened.device;
        // Where only the device is to blame the same network may be asked for on another one.
        if !error.is_of_device() {
            self.asked = Some(opened.clone());
        }
    }

    /// The device failed while maps were made: those that wait for it will not come.
    fn lose(&mut self, error: Error) {
        let words = error.to_string();
        self.maps
            .values_mut()
            .filter(|state| matches!(state, MapState::Waiting))
            .for_each(|state| *state = MapState::Failed(words.clone()));
        self.lost = Some(words);
        self.errors.push(error);
    }

    fn report(&mut self, error: Error) {
        // What was wanted may have been dropped with the failed request: it can be asked for again.
        self.wanted = Default::default();
        if !error.is_cancelled() {
            self.errors.push(error);
        }
    }

    /// Drops what belonged to the pair that was open before.
    fn forget(&mut self) {
        self.findings.clear();
        self.attention_findings.clear();
        self.input_notices.clear();
        self.maps.clear();
        self.held.clear();
        self.wanted = Default::default();
        self.settled = false;
        self.lost = None;
    }

    /// Stops what is being computed. Maps that were waiting can be asked for again.
    pub fn cancel(&mut self) {
        self.worker.cancel();
        self.maps
            .retain(|_, state| !matches!(state, MapState::Waiting));
        self.maps.values_mut().for_each(|state| {
            if let MapState::Growing(growing) = state {
                growing.stopped = true;
            }
        });
        self.wanted = Default::default();
        self.busy = false;
        self.progress = None;
    }

    /// The open network.
    pub fn model(&self) -> Option<&Arc<Model>> {
        self.model.as_ref()
    }

    /// Where the open network came from, and what was said about it.
    pub fn network_source(&self) -> Option<(&ModelSource, &GivenFacts)> {
        let opened = self.opened.as_ref()?;
        Some((&opened.source, &opened.given))
    }

    /// Where the open picture came from.
    pub fn picture_source(&self) -> Option<&ImageSource> {
        self.picture_opened.as_ref()
    }

    /// Whether a network or a picture is on its way.
    pub fn is_opening(&self) -> bool {
        self.opening || self.opening_picture
    }

    /// The open image.
    pub fn picture(&self) -> Option<&Arc<Picture>> {
        self.picture.as_ref()
    }

    /// Findings of the open pair by class index; empty until they are there.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What the attention branch of the open network says by class index; empty where it has none.
    pub fn attention_findings(&self) -> &[Finding] {
        &self.attention_findings
    }

    /// Class with the highest logit.
    pub fn top(&self) -> usize {
        self.top
    }

    /// How long a forward pass of the open pair took; the first one packs the weights as well.
    pub fn pass_time(&self) -> Option<Duration> {
        self.pass_time
    }

    /// What looks odd about the image's numbers, and what was guessed about the network.
    pub fn notices(&self) -> impl Iterator<Item = &str> {
        let model = self.model.iter().flat_map(|m| m.notices.iter());
        let picture = self.picture.iter().flat_map(|p| p.notices.iter());
        picture
            .chain(self.input_notices.iter())
            .chain(model)
            .map(String::as_str)
    }

    /// Whether anything is being computed or opened.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether the forward pass of the open pair is over, well or badly.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// How far the present work has come.
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// Takes the errors that came since the last call.
    pub fn take_errors(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.errors)
    }

    /// Time from the start of the session to its first map.
    pub fn first_map_after(&self) -> Option<Duration> {
        self.first_map_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::fault;

    fn key(layer: &str) -> MapKey {
        MapKey {
            method: "grad-cam".to_owned(),
            layer: layer.to_owned(),
            target: 0.into(),
            params: Default::default(),
        }
    }

    fn failed(session: &Session, layer: &str) -> bool {
        matches!(session.map(&key(layer)), MapState::Failed(words) if words.contains("memory"))
    }

    #[test]
    fn a_device_that_fails_in_a_walk_is_said_once_and_not_asked_again() -> Result<()> {
        let mut session = Session::new(DeviceChoice::Cpu, || {})?;
        session.findings = vec![Finding {
            index: 0,
            label: String::new(),
            logit: 0.0,
            probability: 0.5,
            score: None,
            trained: true,
        }];
        for layer in ["a", "b"] {
            session.maps.insert(key(layer), MapState::Waiting);
        }
        let full = fault::device_failed("cuda", "out of memory");
        session.take(0, Event::Map(key("a"), Err(full)));
        assert!(failed(&session, "a") && failed(&session, "b"));
        let errors = session.take_errors();
        assert!(errors.len() == 1 && errors[0].is_of_device());
        // What is asked for next fails at once instead of waiting for ever.
        session.want(&[key("c")], &[key("d")]);
        assert!(failed(&session, "c") && !session.is_busy());
        assert!(session.take_errors().is_empty());
        // Another pair may fit.
        session.forget();
        assert!(session.lost.is_none());
        Ok(())
    }
}
