//! The strip of layers: a small map of every layer of the selected panel's method, which is the depth slider as well.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use egui::{
    Align, Align2, Color32, ColorImage, Context, CornerRadius, EventFilter, Frame, Key, Label,
    Layout, Margin, Rect, Response, RichText, Role, ScrollArea, Sense, Shape, Stroke, StrokeKind,
    TextureHandle, TextureId, TextureOptions, Ui, WidgetInfo, pos2, vec2,
};

use crate::explain::RawMap;
use crate::explain::catalogue::{self, Place};
use crate::plan::{MapKey, Normalise, Post, View};
use crate::post::{scale_range, upsample};
use crate::render::heat_rgba;
use crate::session::MapState;
use crate::text::method as method_words;
use crate::text::window as words;
use crate::ui::App;
use crate::ui::ground::{lower_edge, upper_edge};
use crate::ui::state::Look;
use crate::ui::theme;
use crate::ui::viewport::{Placed, Viewport};

/// Height of a small map.
const SIDE: f32 = 50.0;
/// Room below it for the name of a stage.
const NAME: f32 = 15.0;
const GAP: f32 = 3.0;
/// Cells along the longer side of a small map's texture.
const CELLS: usize = 64;
/// Small maps that are made in one frame.
const A_FRAME: usize = 2;
/// Height of the strip with its heading and its scroll bar.
pub(super) const HEIGHT: f32 = 18.0 + SIDE + NAME + 24.0;
/// Lower windows have no room for the strip.
pub(super) const NEEDS: f32 = 620.0;

/// A small map, and what it was made from.
struct Small {
    map: Arc<RawMap>,
    post: Post,
    view: View,
    texture: Option<TextureHandle>,
}

/// The small maps.
pub(in crate::ui) struct Strip {
    pub(in crate::ui) shown: bool,
    /// Whether a small map that is seen in this frame is still to come.
    pub(in crate::ui) unfinished: bool,
    small: HashMap<MapKey, Small>,
    /// The panel and the stop that the strip was scrolled to.
    at: Option<(usize, usize)>,
}

impl Default for Strip {
    fn default() -> Self {
        Self {
            shown: true,
            unfinished: false,
            small: HashMap::new(),
            at: None,
        }
    }
}

impl Strip {
    /// The small map as a texture; made anew, where `may` says so, when what it was made from has changed. Until then
    /// the one that stands is shown.
    fn texture(
        &mut self,
        ctx: &Context,
        key: &MapKey,
        map: &Arc<RawMap>,
        look: &Look,
        may: &mut usize,
    ) -> Option<TextureId> {
        // What is below a cell wide would not be seen; each map by itself, since layers differ by orders of magnitude.
        let post = Post {
            blur_px: 0.0,
            normalise: Normalise::Map,
            ..look.post
        };
        let view = View {
            opacity: 0.75,
            ..look.view
        };
        let stands = self.small.get(key).is_some_and(|small| {
            Arc::ptr_eq(&small.map, map) && small.post == post && small.view == view
        });
        if !stands && *may > 0 {
            *may -= 1;
            let image = small_image(map, &post, &view);
            let texture =
                image.map(|image| ctx.load_texture("layer", image, TextureOptions::LINEAR));
            let small = Small {
                map: Arc::clone(map),
                post,
                view,
                texture,
            };
            self.small.insert(key.clone(), small);
        } else if !stands {
            self.unfinished = true;
            ctx.request_repaint();
        }
        let small = self.small.get(key)?;
        // A map of another picture must not stand under this one's name.
        let same = Arc::ptr_eq(&small.map, map);
        small
            .texture
            .as_ref()
            .filter(|_| same)
            .map(TextureHandle::id)
    }
}

/// Every so many cells of the field, coloured.
fn small_image(map: &RawMap, post: &Post, view: &View) -> Option<ColorImage> {
    let field = upsample(map, post.sign, post.denoise, "");
    let range = scale_range(&[&field], post).into_iter().next()?;
    if field.empty || range.is_flat() {
        return None;
    }
    let rgba = heat_rgba(&field, range, post.sign, view, post.cut);
    let step = field.width.max(field.height).div_ceil(CELLS).max(1);
    let size = [field.width / step, field.height / step].map(|side| side.max(1));
    let mut cells = Vec::with_capacity(4 * size[0] * size[1]);
    for y in 0..size[1] {
        for x in 0..size[0] {
            let at = 4 * ((y * step) * field.width + x * step);
            cells.extend(rgba.get(at..at + 4).unwrap_or(&[0; 4]));
        }
    }
    Some(ColorImage::from_rgba_unmultiplied(size, &cells))
}

/// Where it stands, where there is one.
pub(super) fn strip_ui(app: &mut App, ui: &mut Ui) -> Option<Rect> {
    let panel = app.grid.selected;
    let now = app.grid.panels.get(panel).cloned()?;
    let method = catalogue::find(now.method).ok()?;
    let p = theme::palette(ui);
    let edges = ui.painter().add(Shape::Noop);
    let shown = Frame::new()
        .inner_margin(Margin::symmetric(12, 6))
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let layers = method.place.has_layers();
            let stop = app.case_at(panel).stops.list.get(now.stop).cloned();
            ui.horizontal(|ui| {
                ui.set_height(18.0);
                let text = words::layers_of(panel + 1, method.label);
                let font = theme::semibold(theme::size::SMALL);
                ui.label(RichText::new(text).font(font).color(p.muted));
                if let Some(stop) = stop.filter(|_| layers) {
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        let facts = words::layer_facts(
                            &stop.name,
                            &stop.op,
                            stop.resolution,
                            stop.receptive_field,
                        );
                        let text = RichText::new(facts).small().color(p.muted);
                        ui.add(Label::new(text).truncate());
                    });
                }
            });
            if layers {
                film_ui(app, ui, panel, now.stop);
            } else {
                let text = match method.place {
                    Place::Branch => method_words::OWN_PLACE,
                    _ => method_words::NO_DEPTH,
                };
                ui.allocate_ui(vec2(ui.available_width(), SIDE + NAME), |ui| {
                    ui.label(RichText::new(text).color(p.muted));
                });
            }
        });
    let rect = shown.response.rect;
    let ends = [upper_edge(rect, p.panel), lower_edge(rect, p.panel)];
    ui.painter().set(edges, Shape::Vec(ends.into()));
    Some(rect)
}

fn film_ui(app: &mut App, ui: &mut Ui, panel: usize, stop: usize) {
    let look = app.grid.look_of(panel);
    let turn = app.view_of(panel).turn;
    let shown = app.case_at(panel).source().map(|s| s.shown(turn));
    let aspect = shown.map_or(1.0, |s| (s.x / s.y.max(1.0)).clamp(0.5, 2.0));
    let step = SIDE * aspect + GAP;
    let count = app.case_at(panel).stops.list.len();
    let mut may = if ui.input(|i| i.pointer.any_down()) {
        0
    } else {
        A_FRAME
    };
    let scroll = ScrollArea::horizontal()
        .id_salt("strip of layers")
        .auto_shrink([false, true]);
    scroll.show_viewport(ui, |ui, visible| {
        let width = count as f32 * step;
        let (rect, response) =
            ui.allocate_exact_size(vec2(width, SIDE + NAME), Sense::click_and_drag());
        let first = (visible.left() / step).floor().max(0.0) as usize;
        let last = ((visible.right() / step).ceil() as usize).min(count);
        let place = |stop: usize| {
            let left = rect.left() + stop as f32 * step;
            Rect::from_min_size(pos2(left, rect.top()), vec2(step - GAP, SIDE))
        };
        // What shares a texture is painted in one go: every change of texture has its price.
        for stop in first..last {
            ui.painter()
                .rect_filled(place(stop), CornerRadius::same(3), theme::WELL);
        }
        for stop in first..last {
            base_ui(app, ui, panel, place(stop));
        }
        for stop in first..last {
            small_ui(app, ui, panel, stop, place(stop), &look, &mut may);
        }
        let moved = moved_ui(app, ui, &response, panel, stop, rect.left(), step);
        let now = moved.unwrap_or(stop);
        let p = theme::palette(ui);
        let frame = place(now).expand(1.0);
        ui.painter()
            .rect_stroke(frame, 4.0, Stroke::new(2.0, p.accent), StrokeKind::Outside);
        if app.strip.at != Some((panel, now)) {
            ui.scroll_to_rect(frame.expand2(vec2(2.0 * step, 0.0)), None);
            app.strip.at = Some((panel, now));
        }
        if let Some(stop) = moved {
            app.grid.move_to(panel, stop);
            ui.ctx().request_repaint();
        }
        if let Some(at) = response.hover_pos() {
            let under = (((at.x - rect.left()) / step) as usize).min(count.saturating_sub(1));
            if let Some(stop) = app.case_at(panel).stops.list.get(under) {
                let facts =
                    words::layer_facts(&stop.name, &stop.op, stop.resolution, stop.receptive_field);
                response.on_hover_text_at_pointer(facts);
            }
        }
    });
    // Several panels' worth is kept, so that going back and forth between panels makes nothing anew.
    if app.strip.small.len() > 4 * count.max(32) {
        let keys: HashSet<MapKey> = (0..count)
            .filter_map(|stop| app.key_at(panel, stop))
            .collect();
        app.strip.small.retain(|key, _| keys.contains(key));
    }
}

/// The whole X-ray in `rect`, turned as in the panel.
fn placed(app: &App, panel: usize, rect: Rect) -> Option<Placed> {
    let view = Viewport {
        turn: app.view_of(panel).turn,
        ..Viewport::default()
    };
    Some(view.place(rect, app.case_at(panel).source()?))
}

/// The small X-ray under a small map.
fn base_ui(app: &mut App, ui: &Ui, panel: usize, rect: Rect) {
    let Some(placed) = placed(app, panel, rect) else {
        return;
    };
    let native = app.view_of(panel).native;
    let [w, h] = [placed.source.x, placed.source.y].map(f64::from);
    let pixels = placed.lengths([w, h]).map(|v| v * ui.pixels_per_point());
    let base = &mut app.case_at_mut(panel).base;
    if let Some(base) = base.texture(ui.ctx(), pixels, native) {
        let quiet = Color32::from_white_alpha(150);
        ui.painter().add(placed.mesh(base, [0.0, 0.0, w, h], quiet));
    }
}

/// One small map, with its name where a stage ends.
fn small_ui(
    app: &mut App,
    ui: &Ui,
    panel: usize,
    stop: usize,
    rect: Rect,
    look: &Look,
    may: &mut usize,
) {
    let painter = ui.painter();
    let Some(placed) = placed(app, panel, rect) else {
        return;
    };
    let key = app.key_at(panel, stop);
    let state = (key.as_ref()).map(|key| app.case_at(panel).session.map(key));
    let map = match &state {
        Some(MapState::Ready(map)) => Some(map),
        Some(MapState::Growing(growing)) => Some(&growing.map),
        _ => None,
    };
    if let (Some(key), Some(map)) = (&key, map) {
        let texture = app.strip.texture(ui.ctx(), key, map, look, may);
        if let Some(texture) = texture {
            let model = map.model_size;
            let [left, top] = map.source_from_model.apply([0.0, 0.0]);
            let [right, bottom] = map.source_from_model.apply(model.map(|side| side as f64));
            let clipped = painter.with_clip_rect(rect.intersect(ui.clip_rect()));
            clipped.add(placed.mesh(texture, [left, top, right, bottom], Color32::WHITE));
        }
    } else {
        // Not there yet, or made only where it is looked at.
        app.strip.unfinished |= app.case_at(panel).session.is_busy();
        painter.circle_filled(rect.center(), 2.0, theme::ON_WELL_QUIET);
    }
    let p = theme::palette(ui);
    let stops = &app.case_at(panel).stops;
    if let Some(named) = stops.list.get(stop).filter(|stop| stop.stage) {
        let at = pos2(rect.center().x, rect.bottom() + 1.0);
        let font = theme::regular(theme::size::SMALL - 1.0);
        let short = named.name.rsplit('.').next().unwrap_or(&named.name);
        painter.text(at, Align2::CENTER_TOP, short, font, p.muted);
        painter.hline(
            rect.x_range(),
            rect.bottom() - 1.0,
            Stroke::new(2.0, p.accent),
        );
    }
}

/// The stop that a click, a drag or a key chooses.
fn moved_ui(
    app: &App,
    ui: &Ui,
    response: &Response,
    panel: usize,
    stop: usize,
    left: f32,
    step: f32,
) -> Option<usize> {
    let stops = &app.case_at(panel).stops;
    let last = stops.list.len().saturating_sub(1);
    let name = words::strip_name(panel + 1);
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Slider, true, &name);
        info.value = Some(stop as f64);
        info
    });
    if response.clicked() || response.drag_started() {
        response.request_focus();
    }
    let mut moved = None;
    if let Some(at) = response.interact_pointer_pos()
        && (response.clicked() || response.dragged())
    {
        moved = Some((((at.x - left) / step).max(0.0) as usize).min(last));
    }
    if response.has_focus() {
        ui.memory_mut(|m| {
            let filter = EventFilter {
                horizontal_arrows: true,
                ..EventFilter::default()
            };
            m.set_focus_lock_filter(response.id, filter);
        });
        moved = moved.or(ui.input(|i| {
            let steps =
                i.num_presses(Key::ArrowRight) as isize - i.num_presses(Key::ArrowLeft) as isize;
            if i.key_pressed(Key::PageUp) {
                Some(stops.next_stage(stop, true))
            } else if i.key_pressed(Key::PageDown) {
                Some(stops.next_stage(stop, false))
            } else if i.key_pressed(Key::Home) {
                Some(0)
            } else if i.key_pressed(Key::End) {
                Some(last)
            } else {
                (steps != 0).then(|| stop.saturating_add_signed(steps).min(last))
            }
        }));
    }
    moved.filter(|moved| *moved != stop)
}
