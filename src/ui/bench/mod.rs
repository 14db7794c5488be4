//! `camlens bench --window`: the real window, driven as a hand would, and what a frame costs.
//!
//! The window opens as it does for a user, without settings. Widgets are found by the names that screen readers hear, and
//! pointer events go in through eframe's `raw_input_hook`, so that egui and the program handle them as they handle a
//! mouse; the number of panels, linked depth and zoom are set by the commands that keys and menus send. Frames are drawn
//! one after the other, without waiting for the screen. A frame counts as a change when settings, layers, view or grey
//! levels differ from the frame before. The pointer of the machine is ignored while the bench runs.

mod film;
mod scene;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use egui::{Context, Event, Modifiers, Pos2, Ui, ViewportCommand};
use serde::Serialize;

use super::app::{App, is_of_pointer};
use super::controls::Controls;
use super::run::{self, Options};
use crate::error::{Error, Kind, Result};
use crate::plan::{DeviceChoice, ImageSource, ModelSource};
use crate::text::{bench as words, fault};
use scene::{SCENES, Scene, Seen};

/// Size of the window in points: a common laptop's.
const SIZE: [f32; 2] = [1600.0, 900.0];
/// Longest wait for maps.
const PATIENCE: Duration = Duration::from_secs(120);
/// Frames in which nothing is done before a scene begins: layout, scrolling and textures settle.
const SETTLE: usize = 12;
/// Between two looks at whether the maps have come.
const PAUSE: Duration = Duration::from_millis(50);
/// Frames in which the tree of names is asked for.
const NAMED: usize = 3;

/// What is to be measured.
pub struct Setup {
    /// The network.
    pub model: ModelSource,
    /// Where the arithmetic runs.
    pub device: DeviceChoice,
}

/// Milliseconds a frame.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// Median.
    pub median_ms: f64,
    /// 95 of 100 frames take no longer.
    pub p95_ms: f64,
}

/// One scene.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Short name, the same in every version.
    pub id: &'static str,
    /// What was done.
    pub what: &'static str,
    /// Frames that were measured.
    pub frames: usize,
    /// Frames in which what is shown changed.
    pub changes: usize,
    /// The program's own work: from input to the list of shapes.
    pub own: Spread,
    /// The same, without the time in which other programs had the processor; `None` where the system does not tell.
    /// What other threads do for a frame is not in it.
    pub own_on_processor: Option<Spread>,
    /// As `own`, with egui's triangles and the calls of OpenGL; without the wait for the buffer's turn.
    pub work: Spread,
    /// From the start of a frame to the start of the next.
    pub interval: Spread,
    /// Changes a second.
    pub changes_per_s: f64,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The program's version.
    pub version: &'static str,
    /// Size of the window in points.
    pub size: [f32; 2],
    /// Physical pixels a point.
    pub pixels_per_point: f32,
    /// Threads of the program.
    pub threads: usize,
    /// Scenes.
    pub rows: Vec<Row>,
}

/// Drives the window and measures it.
///
/// # Errors
/// As [`run::run`]; a widget is not there, or maps do not come in time.
pub fn run(setup: &Setup) -> Result<Report> {
    let folder = tempfile::tempdir().map_err(|e| fault::write(&std::env::temp_dir(), &e))?;
    let film = folder.path().join("bench.dcm");
    film::write(&film)?;
    let options = Options {
        model: setup.model.clone(),
        device: setup.device,
        size: Some(SIZE),
        vsync: false,
        ..Options::default()
    };
    let report = Arc::default();
    let found: Arc<Mutex<Option<Result<Report>>>> = Arc::clone(&report);
    run::open(options, move |ctx, app| {
        let names = Controls::default();
        ctx.add_plugin(names.clone());
        Box::new(Driven {
            app,
            director: Director::new(names, ImageSource::Path(film), found),
        })
    })?;
    let report = report.lock().unwrap_or_else(PoisonError::into_inner).take();
    report.unwrap_or_else(|| Err(Error::new(Kind::Cancelled, words::CLOSED)))
}

/// The window with somebody's hand on it.
struct Driven {
    app: App,
    director: Director,
}

impl eframe::App for Driven {
    fn ui(&mut self, ui: &mut Ui, frame: &mut eframe::Frame) {
        let (start, ran) = (Instant::now(), time_on_processor());
        self.app.ui(ui, frame);
        let times = Times {
            start,
            own: start.elapsed(),
            ran: time_on_processor()
                .zip(ran)
                .map(|(after, before)| after.saturating_sub(before)),
            work_before: frame.info().cpu_usage,
        };
        self.director.step(&mut self.app, ui.ctx(), &times);
        match self.director.act {
            // The worker needs the processor.
            Act::Settle(0) => ui.ctx().request_repaint_after(PAUSE),
            _ => ui.ctx().request_repaint(),
        }
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        self.app.clear_color(visuals)
    }

    fn raw_input_hook(&mut self, _ctx: &Context, raw: &mut egui::RawInput) {
        raw.events.retain(|event| !is_of_pointer(event));
        raw.events.append(&mut self.director.events);
    }
}

/// How long this thread has run so far, where the system says it.
#[cfg(unix)]
fn time_on_processor() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).ok()
}

#[cfg(not(unix))]
fn time_on_processor() -> Option<Duration> {
    None
}

/// What a frame took.
struct Times {
    start: Instant,
    own: Duration,
    /// What this thread had of the processor in it.
    ran: Option<Duration>,
    /// Work of the frame before, in seconds.
    work_before: Option<f32>,
}

/// What is being done.
enum Act {
    /// The scene's first commands are to be sent.
    Begin,
    /// Maps are awaited; frames in which all was there.
    Settle(usize),
    /// The tree of names is awaited.
    Name(usize),
    /// The pointer is dragged; `at` is the next point.
    Drag {
        button: egui::PointerButton,
        points: Vec<Pos2>,
        at: usize,
    },
}

/// Goes from scene to scene and takes the times.
struct Director {
    names: Controls,
    film: Option<ImageSource>,
    report: Arc<Mutex<Option<Result<Report>>>>,
    /// For the next frame.
    events: Vec<Event>,
    scene: usize,
    stroke: usize,
    act: Act,
    since: Instant,
    taken: Taken,
    rows: Vec<Row>,
}

/// Times of the present scene, in seconds.
#[derive(Default)]
struct Taken {
    own: Vec<f64>,
    ran: Vec<f64>,
    work: Vec<f64>,
    interval: Vec<f64>,
    changes: usize,
    seen: Option<Seen>,
    /// Start of the frame before, where it was measured.
    before: Option<Instant>,
}

impl Director {
    fn new(names: Controls, film: ImageSource, report: Arc<Mutex<Option<Result<Report>>>>) -> Self {
        Self {
            names,
            film: Some(film),
            report,
            events: Vec::new(),
            scene: 0,
            stroke: 0,
            act: Act::Begin,
            since: Instant::now(),
            taken: Taken::default(),
            rows: Vec::new(),
        }
    }

    /// One frame is over: takes its times and says what happens in the next one.
    fn step(&mut self, app: &mut App, ctx: &Context, times: &Times) {
        let Some(scene) = SCENES.get(self.scene) else {
            return;
        };
        if let Some(error) = app.first_error.clone() {
            return self.finish(ctx, Err(error));
        }
        match &mut self.act {
            Act::Begin => {
                if scene.film
                    && let Some(film) = self.film.take()
                {
                    app.case_mut().open_image(film);
                }
                (scene.first)().into_iter().for_each(|c| app.send(c));
                self.act = Act::Settle(0);
                self.since = Instant::now();
                eprintln!("{}", scene.what);
            }
            Act::Settle(frames) => {
                let still = app.is_complete() && !app.cases.iter().any(|c| c.session.is_busy());
                *frames = if still { *frames + 1 } else { 0 };
                if *frames >= SETTLE {
                    ctx.enable_accesskit();
                    self.act = Act::Name(0);
                } else if self.since.elapsed() > PATIENCE {
                    self.finish(ctx, Err(Error::new(Kind::Limits, words::LATE)));
                }
            }
            Act::Name(frames) => {
                *frames += 1;
                if *frames >= NAMED {
                    ctx.disable_accesskit();
                    self.take_hold(app, ctx, scene);
                }
            }
            Act::Drag { .. } => self.drag(app, ctx, scene, times),
        }
    }

    /// Presses the button on the next stroke's widget.
    fn take_hold(&mut self, app: &App, ctx: &Context, scene: &Scene) {
        let Some(stroke) = scene.strokes.get(self.stroke) else {
            return;
        };
        let name = (stroke.on)(app);
        let Some(rect) = self.names.find(name.0, &name.1) else {
            return self.finish(ctx, Err(words::no_widget(&name.1)));
        };
        let points = stroke.line.points(app, rect, ctx.content_rect());
        let Some(&first) = points.first() else {
            return self.finish(ctx, Err(words::no_widget(&name.1)));
        };
        self.events = vec![
            Event::PointerMoved(first),
            button(first, stroke.button, true),
        ];
        self.act = Act::Drag {
            button: stroke.button,
            points,
            at: 0,
        };
        self.taken.before = None;
        self.taken.seen = None;
    }

    fn drag(&mut self, app: &mut App, ctx: &Context, scene: &Scene, times: &Times) {
        let Act::Drag {
            button: held,
            points,
            at,
        } = &mut self.act
        else {
            return;
        };
        let (held, now) = (*held, *at);
        *at += 1;
        let next = points.get(now + 1).copied();
        let here = points.get(now).copied().unwrap_or_default();
        // The first frame only presses the button.
        if now > 0 {
            self.taken.take(app, times);
        }
        self.taken.seen = Some(Seen::of(app));
        self.taken.before = Some(times.start);
        if let Some(next) = next {
            self.events.push(Event::PointerMoved(next));
            return;
        }
        self.events = vec![button(here, held, false), Event::PointerGone];
        self.stroke += 1;
        self.act = Act::Settle(0);
        self.since = Instant::now();
        if self.stroke < scene.strokes.len() {
            return;
        }
        match std::mem::take(&mut self.taken).row(scene) {
            Ok(row) => self.rows.push(row),
            Err(error) => return self.finish(ctx, Err(error)),
        }
        self.scene += 1;
        self.stroke = 0;
        self.act = Act::Begin;
        if self.scene == SCENES.len() {
            let report = Report {
                version: env!("CARGO_PKG_VERSION"),
                size: ctx.content_rect().size().into(),
                pixels_per_point: ctx.pixels_per_point(),
                threads: rayon::current_num_threads(),
                rows: std::mem::take(&mut self.rows),
            };
            self.finish(ctx, Ok(report));
        }
    }

    fn finish(&mut self, ctx: &Context, report: Result<Report>) {
        self.scene = SCENES.len();
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        ctx.send_viewport_cmd(ViewportCommand::Close);
    }
}

fn button(pos: Pos2, button: egui::PointerButton, pressed: bool) -> Event {
    Event::PointerButton {
        pos,
        button,
        pressed,
        modifiers: Modifiers::NONE,
    }
}

impl Taken {
    /// A frame of a drag.
    fn take(&mut self, app: &App, times: &Times) {
        self.own.push(times.own.as_secs_f64());
        self.ran.extend(times.ran.map(|ran| ran.as_secs_f64()));
        if let Some(before) = self.before {
            self.interval
                .push(times.start.duration_since(before).as_secs_f64());
        }
        // Said one frame late: that of the frame in which the button went down is left out.
        if self.own.len() > 1
            && let Some(work) = times.work_before
        {
            self.work.push(f64::from(work));
        }
        let changed = self
            .seen
            .as_ref()
            .is_some_and(|seen| *seen != Seen::of(app));
        self.changes += usize::from(changed);
    }

    /// # Errors
    /// Hardly anything changed: the row would be about nothing.
    fn row(self, scene: &Scene) -> Result<Row> {
        let frames = self.own.len();
        if 2 * self.changes < frames || frames == 0 {
            return Err(words::nothing_moved(scene.what, self.changes, frames));
        }
        let seconds: f64 = self.interval.iter().sum();
        Ok(Row {
            id: scene.id,
            what: scene.what,
            frames,
            changes: self.changes,
            own: spread(self.own),
            own_on_processor: (!self.ran.is_empty()).then(|| spread(self.ran)),
            work: spread(self.work),
            interval: spread(self.interval),
            changes_per_s: self.changes as f64 / seconds.max(f64::MIN_POSITIVE),
        })
    }
}

fn spread(mut seconds: Vec<f64>) -> Spread {
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * seconds.len().saturating_sub(1) as f64).round() as usize;
        1e3 * seconds.get(place).copied().unwrap_or(f64::NAN)
    };
    Spread {
        median_ms: at(0.5),
        p95_ms: at(0.95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_of_sorted_times() {
        let found = spread((0..=100).rev().map(|ms| f64::from(ms) * 1e-3).collect());
        assert!((found.median_ms - 50.0).abs() < 1e-9 && (found.p95_ms - 95.0).abs() < 1e-9);
    }

    #[test]
    fn a_row_in_which_nothing_changed_is_refused() {
        let taken = |changes| Taken {
            own: vec![1e-3; 10],
            interval: vec![2e-3; 10],
            changes,
            ..Taken::default()
        };
        let row = taken(10).row(&SCENES[0]).unwrap();
        assert!((row.changes_per_s - 500.0).abs() < 1e-6);
        let error = taken(4).row(&SCENES[0]).unwrap_err().to_string();
        assert!(error.contains("4 of 10"), "{error}");
    }
}
