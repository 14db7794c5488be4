//! What the bench does to the window: which widget is dragged along which line, and what must change by it.

use egui::accesskit::Role;
use egui::{PointerButton, Pos2, Rect, pos2, vec2};

use crate::explain::catalogue;
use crate::image::display::Display;
use crate::text::{bench as words, window};
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::state::Look;
use crate::ui::theme;
use crate::ui::viewport::Viewport;

/// A widget, as screen readers call it.
pub(super) type Name = (Role, String);

/// One drag: the button goes down on a widget and the pointer moves once in every frame.
pub(super) struct Stroke {
    pub(super) on: fn(&App) -> Name,
    pub(super) button: PointerButton,
    pub(super) line: Line,
}

/// The way of the pointer.
#[derive(Clone, Copy)]
pub(super) enum Line {
    /// Along a slider, from its lower end to the upper one and back to the middle, in so many frames.
    Along(usize),
    /// Along the depth slider and back, a layer a frame.
    Layers,
    /// Along the strip and back, a small map a frame, as far as it is visible.
    Strip,
    /// Circles in the middle of a picture; frames.
    Circles(usize),
}

/// One row of the report.
pub(super) struct Scene {
    pub(super) id: &'static str,
    pub(super) what: &'static str,
    /// Whether it is about the large picture.
    pub(super) film: bool,
    /// Commands that set the window up, the same as keys and menus send.
    pub(super) first: fn() -> Vec<Command>,
    pub(super) strokes: &'static [Stroke],
}

/// Frames of a drag along one slider: four of them are the row.
const ONE_SLIDER: usize = 60;
/// Frames of a drag over a picture.
const ON_PICTURE: usize = 240;
/// Radius of the pointer's circles in points, and frames of one round.
const RADIUS: f32 = 110.0;
const ROUND: f32 = 80.0;

macro_rules! slider {
    ($name:expr) => {
        Stroke {
            on: |_| (Role::Slider, $name.to_owned()),
            button: PointerButton::Primary,
            line: Line::Along(ONE_SLIDER),
        }
    };
}

/// All rows, in their order: what is about the large picture comes last.
pub(super) const SCENES: [Scene; 7] = [
    Scene {
        id: "sliders",
        what: words::SLIDERS,
        film: false,
        first: || vec![Command::Panels(8)],
        strokes: &[
            slider!(window::CUT),
            slider!(window::BLUR),
            slider!(window::OPACITY),
            slider!(window::DENOISE),
        ],
    },
    Scene {
        id: "depth",
        what: words::DEPTH,
        film: false,
        // The sliders are where the row before left them: maps are denoised and blurred, as in use.
        first: || vec![Command::ToggleLinkedDepth],
        strokes: &[Stroke {
            on: |_| (Role::Slider, window::layer_of_panel(1)),
            button: PointerButton::Primary,
            line: Line::Layers,
        }],
    },
    Scene {
        id: "strip",
        what: words::STRIP,
        film: false,
        first: Vec::new,
        strokes: &[Stroke {
            on: |app| (Role::Slider, window::strip_name(app.grid.selected + 1)),
            button: PointerButton::Primary,
            line: Line::Strip,
        }],
    },
    Scene {
        id: "window_level",
        what: words::WINDOW_LEVEL,
        film: true,
        first: || vec![Command::Panels(4), Command::ResetLook],
        strokes: &[Stroke {
            on: picture,
            button: PointerButton::Secondary,
            line: Line::Circles(ON_PICTURE),
        }],
    },
    Scene {
        id: "pan",
        what: words::PAN,
        film: true,
        first: closer,
        strokes: &[Stroke {
            on: picture,
            button: PointerButton::Primary,
            line: Line::Circles(ON_PICTURE),
        }],
    },
    Scene {
        id: "pan_one",
        what: words::PAN_ONE,
        film: true,
        first: || vec![Command::Panels(1)],
        strokes: &[Stroke {
            on: picture,
            button: PointerButton::Primary,
            line: Line::Circles(ON_PICTURE),
        }],
    },
    Scene {
        id: "window_level_close",
        what: words::WINDOW_LEVEL_CLOSE,
        film: true,
        first: || vec![Command::Panels(4)],
        strokes: &[Stroke {
            on: picture,
            button: PointerButton::Secondary,
            line: Line::Circles(ON_PICTURE),
        }],
    },
];

/// Ten steps of a quarter: over nine times the fitted size, where the picture's own pixels are drawn.
fn closer() -> Vec<Command> {
    vec![Command::ZoomIn; 10]
}

/// The first panel's picture.
fn picture(app: &App) -> Name {
    let method = app.grid.panels.first().map_or("", |panel| panel.method);
    let label = catalogue::find(method).map_or("", |m| m.label);
    let layer = app.key_of(0).map(|key| key.layer).unwrap_or_default();
    (Role::Image, window::picture_of_panel(1, label, &layer))
}

impl Line {
    /// Where the pointer is in every frame of a drag on a widget that lies in `rect`.
    pub(super) fn points(self, app: &App, rect: Rect, screen: Rect) -> Vec<Pos2> {
        let y = rect.center().y;
        match self {
            Self::Along(frames) => (0..frames)
                .map(|i| {
                    let way = 1.5 * i as f32 / (frames - 1).max(1) as f32;
                    let share = 0.04 + 0.9 * if way <= 1.0 { way } else { 2.0 - way };
                    pos2(rect.left() + share * rect.width(), y)
                })
                .collect(),
            Self::Layers => {
                let last = app.case().stops.list.len().saturating_sub(1).max(1);
                // The handle's half width: `widgets::depth_ui`.
                let rail = rect.shrink2(vec2(6.0, 0.0));
                let x = |stop: usize| rail.left() + rail.width() * stop as f32 / last as f32;
                let there = (0..=last).rev();
                there.chain(1..=last).map(|stop| pos2(x(stop), y)).collect()
            }
            Self::Strip => {
                let room = Rect::from_x_y_ranges(
                    screen.left() + theme::LEFT_WIDTH + 40.0
                        ..=screen.right() - theme::RIGHT_WIDTH - 40.0,
                    screen.y_range(),
                );
                let seen = rect.intersect(room);
                let y = seen.top() + 20.0;
                let small_map = rect.width() / app.case().stops.list.len().max(1) as f32;
                let steps = (seen.width() / small_map).max(1.0) as usize;
                // In their middles; the last one may be cut off.
                let x = |i: usize| seen.left() + (i as f32 + 0.5).min(steps as f32) * small_map;
                let once = (0..=steps).rev().chain(1..steps);
                let points: Vec<Pos2> = once.map(|i| pos2(x(i), y)).collect();
                [points.clone(), points].concat()
            }
            Self::Circles(frames) => (0..frames)
                .map(|i| {
                    let angle = std::f32::consts::TAU * i as f32 / ROUND;
                    // From the middle outwards, so that a drag begins where the pointer is.
                    let radius = RADIUS * (i as f32 / 20.0).min(1.0);
                    rect.center() + radius * vec2(angle.cos(), angle.sin())
                })
                .collect(),
        }
    }
}

/// What the scenes change.
#[derive(Clone, PartialEq)]
pub(super) struct Seen {
    look: Look,
    stops: Vec<usize>,
    view: Viewport,
    display: Option<Display>,
}

impl Seen {
    pub(super) fn of(app: &App) -> Self {
        Self {
            look: app.grid.edited(),
            stops: app.grid.panels.iter().map(|panel| panel.stop).collect(),
            view: app.viewport,
            display: app.grey_levels(),
        }
    }
}
