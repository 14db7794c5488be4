//! The one thread that does network work.
//!
//! Requests stand in a short queue under one lock. A newer request of a kind takes the place of an
//! older one that waits, and stops one that runs (latest wins); a stopped computation ends at the
//! next node of the graph. Results come back as [`Event`]s with the generation of the model and the
//! image that they belong to, so that a late result never stands under a new name.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::analysis::{Analysis, Finding, Partial};
use super::picture::Picture;
use crate::error::{Error, Result};
use crate::explain::{RawMap, catalogue};
use crate::job::{Job, Progress};
use crate::model::Model;
use crate::model::kernels::Kernels;
use crate::plan::{DeviceChoice, GivenFacts, ImageSource, MapKey, ModelSource};
use crate::text::{fault, window};

/// Shortest time between two progress reports.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);

/// Which network is opened, with what the user says about it, and where it runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setup {
    pub(super) source: ModelSource,
    pub(super) given: GivenFacts,
    pub(super) device: DeviceChoice,
}

/// What the worker is asked for.
#[derive(Clone)]
pub(super) enum Request {
    OpenModel(Setup),
    OpenPicture(ImageSource),
    /// Goes on with what another session has open.
    Share(Arc<Model>, Arc<Picture>),
    /// Maps that are on screen, then maps that may be asked for next.
    Maps {
        now: Vec<MapKey>,
        ahead: Vec<MapKey>,
    },
    Stop,
}

impl Request {
    /// Whether `self` makes `older` pointless.
    fn supersedes(&self, older: &Self) -> bool {
        match self {
            Self::OpenModel(..) => {
                !matches!(older, Self::OpenPicture(_) | Self::Share(..) | Self::Stop)
            }
            Self::OpenPicture(_) => {
                !matches!(older, Self::OpenModel(..) | Self::Share(..) | Self::Stop)
            }
            Self::Share(..) => !matches!(older, Self::Stop),
            Self::Maps { .. } => matches!(older, Self::Maps { .. }),
            Self::Stop => true,
        }
    }
}

/// What comes back.
pub(super) enum Event {
    Model(Setup, Result<Arc<Model>>),
    Picture(ImageSource, Result<Arc<Picture>>),
    /// The forward pass of the present model and image.
    Findings(Result<Found>),
    /// A map as far as it has come, and how long the rest may take.
    Growing(MapKey, Growing),
    Map(MapKey, Result<Arc<RawMap>>),
    Progress(Progress),
    /// Nothing is left to do.
    Idle,
}

/// What a forward pass tells.
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) attention: Vec<Finding>,
    pub(super) top: usize,
    pub(super) notices: Vec<String>,
    pub(super) pass_time: Duration,
}

impl Found {
    fn of(analysis: &Analysis) -> Self {
        Self {
            findings: analysis.findings(),
            attention: analysis.attention_findings(),
            top: analysis.top(),
            notices: analysis.input.notices.clone(),
            pass_time: analysis.pass_time,
        }
    }
}

/// A map that takes many passes, as far as it has come.
#[derive(Clone)]
pub struct Growing {
    /// The map so far.
    pub map: Arc<RawMap>,
    /// Passes or batches that are done.
    pub done: usize,
    /// All of them.
    pub total: usize,
    /// Time that the rest may take; `None` before there is a measure of it.
    pub left: Option<Duration>,
    /// Whether it was stopped and waits to be asked for again.
    pub stopped: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Request)>,
    running: Option<(Request, Job)>,
    /// Whether a map is running that takes many passes: stopped, it loses nothing.
    running_long: bool,
    generation: u64,
}

/// Which arithmetic runs a network on a device.
pub type Choose = Arc<dyn Fn(&candle_core::Device) -> Arc<dyn Kernels> + Send + Sync>;

struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
    /// Other arithmetic than a device's own.
    kernels: Mutex<Option<Choose>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kernels(&self) -> Option<Choose> {
        let kernels = self.kernels.lock();
        kernels.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Handle on the thread; dropping it stops the thread.
pub(super) struct Worker {
    shared: Arc<Shared>,
    events: Receiver<(u64, Event)>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread. `wake` is called after every event.
    pub(super) fn start(wake: Arc<dyn Fn() + Send + Sync>) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            ready: Condvar::new(),
            kernels: Mutex::default(),
        });
        let (sender, events) = channel();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("camlens-worker".to_owned())
            .spawn(move || {
                Thread {
                    shared: for_thread,
                    out: Outbox { sender, wake },
                    model: None,
                    picture: None,
                    analysis: None,
                }
                .run();
            })
            .map_err(|e| fault::no_thread(&e))?;
        Ok(Self {
            shared,
            events,
            thread: Some(thread),
        })
    }

    /// Networks that are opened from now on run with this arithmetic.
    pub(super) fn set_kernels(&self, choose: Choose) {
        let kernels = self.shared.kernels.lock();
        *kernels.unwrap_or_else(PoisonError::into_inner) = Some(choose);
    }

    /// Hands a request over and returns the generation that its results will carry.
    pub(super) fn submit(&self, request: Request) -> u64 {
        let mut queue = self.shared.lock();
        if !matches!(request, Request::Maps { .. }) {
            queue.generation += 1;
        }
        let generation = queue.generation;
        queue.waiting.retain(|(_, old)| !request.supersedes(old));
        if let Some((running, job)) = &queue.running
            && request.supersedes(running)
            && (queue.running_long || !same_targets(&request, running))
        {
            job.cancel();
        }
        queue.waiting.push_back((generation, request));
        drop(queue);
        self.shared.ready.notify_all();
        generation
    }

    /// Stops what runs and forgets what waits.
    pub(super) fn cancel(&self) {
        let mut queue = self.shared.lock();
        queue.waiting.clear();
        if let Some((_, job)) = &queue.running {
            job.cancel();
        }
    }

    /// Stops the map that is being made and forgets those that wait; a network or an image that is being opened
    /// goes on.
    pub(super) fn cancel_maps(&self) {
        let mut queue = self.shared.lock();
        queue
            .waiting
            .retain(|(_, request)| !matches!(request, Request::Maps { .. }));
        if let Some((Request::Maps { .. }, job)) = &queue.running {
            job.cancel();
        }
    }

    /// An event, when one has come.
    pub(super) fn poll(&self) -> Option<(u64, Event)> {
        self.events.try_recv().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.submit(Request::Stop);
        if let Some(thread) = self.thread.take() {
            // The thread ends at the next node of the graph; a panic in it was reported as an event.
            let _ = thread.join();
        }
    }
}

/// A running walk back from the same class serves the newer request as well: it is not stopped.
fn same_targets(new: &Request, running: &Request) -> bool {
    match (new, running) {
        (Request::Maps { now: a, .. }, Request::Maps { now: b, .. }) => {
            a.iter().all(|a| b.iter().any(|b| a.target == b.target))
        }
        _ => false,
    }
}

/// Whether the map is there as soon as the shared walks are.
pub(super) fn is_instant(key: &MapKey) -> bool {
    catalogue::find(&key.method).is_ok_and(|method| method.is_instant(&key.params))
}

#[derive(Clone)]
struct Outbox {
    sender: Sender<(u64, Event)>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Outbox {
    fn send(&self, generation: u64, event: Event) {
        // The window may be gone already; then nobody waits for the result.
        let _ = self.sender.send((generation, event));
        (self.wake)();
    }
}

struct Thread {
    shared: Arc<Shared>,
    out: Outbox,
    model: Option<Arc<Model>>,
    picture: Option<Arc<Picture>>,
    analysis: Option<Analysis>,
}

impl Thread {
    fn run(mut self) {
        loop {
            let (generation, request, job) = self.next();
            if matches!(request, Request::Stop) {
                return;
            }
            // A fault in a dependency must not take the window down: it becomes an error in words.
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                self.serve(generation, &request, &job);
            }));
            let idle = {
                let mut queue = self.shared.lock();
                queue.running = None;
                queue.waiting.is_empty()
            };
            if outcome.is_err() {
                self.analysis = None;
                self.out
                    .send(generation, Event::Findings(Err(fault::worker_panicked())));
            }
            if idle {
                self.out.send(generation, Event::Idle);
            }
        }
    }

    fn next(&self) -> (u64, Request, Job) {
        let mut queue = self.shared.lock();
        loop {
            if let Some((generation, request)) = queue.waiting.pop_front() {
                let job = self.job(generation);
                queue.running = Some((request.clone(), job.clone()));
                return (generation, request, job);
            }
            queue = self
                .shared
                .ready
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn job(&self, generation: u64) -> Job {
        let out = self.out.clone();
        let last = Mutex::new(Instant::now());
        Job::new(move |progress| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= PROGRESS_EVERY {
                *last = Instant::now();
                out.send(generation, Event::Progress(progress));
            }
        })
    }

    fn serve(&mut self, generation: u64, request: &Request, job: &Job) {
        match request {
            Request::OpenModel(setup) => {
                job.progress(window::OPENING_MODEL, 0, 0);
                let opened =
                    Model::open_on(&setup.source, None, &setup.given, setup.device).map(|model| {
                        let choose = self.shared.kernels();
                        let kernels = choose.map(|choose| choose(model.device()));
                        Arc::new(match kernels {
                            Some(kernels) => model.with_kernels(kernels),
                            None => model,
                        })
                    });
                if let Ok(model) = &opened {
                    self.model = Some(Arc::clone(model));
                }
                let fine = opened.is_ok();
                self.out
                    .send(generation, Event::Model(setup.clone(), opened));
                if fine {
                    self.analyse(generation, job);
                } else {
                    self.stays(generation);
                }
            }
            Request::OpenPicture(source) => {
                job.progress(window::OPENING_IMAGE, 0, 0);
                let opened = Picture::open(source).map(Arc::new);
                if let Ok(picture) = &opened {
                    self.picture = Some(Arc::clone(picture));
                }
                let fine = opened.is_ok();
                self.out
                    .send(generation, Event::Picture(source.clone(), opened));
                if fine {
                    self.analyse(generation, job);
                } else {
                    self.stays(generation);
                }
            }
            Request::Share(model, picture) => {
                self.model = Some(Arc::clone(model));
                self.picture = Some(Arc::clone(picture));
                self.analyse(generation, job);
            }
            Request::Maps { now, ahead } => self.maps(generation, now, ahead, job),
            Request::Stop => {}
        }
    }

    /// Says again what is known of the pair that stays open: a request that failed may have come before its findings were
    /// taken in.
    fn stays(&self, generation: u64) {
        if let Some(analysis) = &self.analysis {
            let found = Found::of(analysis);
            self.out.send(generation, Event::Findings(Ok(found)));
        }
    }

    /// Runs the forward pass once both a model and an image are there.
    fn analyse(&mut self, generation: u64, job: &Job) {
        let (Some(model), Some(picture)) = (&self.model, &self.picture) else {
            return;
        };
        self.analysis = None;
        let analysis = picture
            .input_for(model)
            .and_then(|input| Analysis::run(Arc::clone(model), Arc::new(input), job));
        let event = analysis.map(|analysis| {
            let found = Found::of(&analysis);
            self.analysis = Some(analysis);
            found
        });
        self.out.send(generation, Event::Findings(event));
    }

    fn maps(&mut self, generation: u64, now: &[MapKey], ahead: &[MapKey], job: &Job) {
        let Some(analysis) = &mut self.analysis else {
            return;
        };
        for (i, key) in now.iter().chain(ahead).enumerate() {
            // Maps ahead of need give way to whatever else is asked.
            if i >= now.len() && !self.shared.lock().waiting.is_empty() {
                return;
            }
            let long = !is_instant(key);
            self.shared.lock().running_long = long;
            // A newer request may have come between two maps and found nothing to stop.
            if long && !self.shared.lock().waiting.is_empty() {
                self.shared.lock().running_long = false;
                return;
            }
            let (start, mut first) = (Instant::now(), None);
            let out = &self.out;
            let map = analysis.grow(key, job, &mut |partial| {
                let Partial { map, done, total } = partial;
                let since = *first.get_or_insert(done.saturating_sub(1));
                let left = start
                    .elapsed()
                    .mul_f64((total - done) as f64)
                    .div_f64((done - since).max(1) as f64);
                out.send(
                    generation,
                    Event::Growing(
                        key.clone(),
                        Growing {
                            map: Arc::new(map),
                            done,
                            total,
                            left: Some(left),
                            stopped: false,
                        },
                    ),
                );
            });
            let map = map.map(Arc::new);
            self.shared.lock().running_long = false;
            if map.as_ref().is_err_and(Error::is_cancelled) {
                return;
            }
            let lost = map.as_ref().is_err_and(Error::is_of_device);
            self.out.send(generation, Event::Map(key.clone(), map));
            if lost {
                // The other maps would fail as well, each after its time.
                return;
            }
        }
    }
}
