//! A panel's picture: the X-ray, the heat over it, and what the pointer does.

use egui::{
    Align2, Color32, CornerRadius, PointerButton, Pos2, Rect, Response, Role, Sense, Shape, Stroke,
    Ui, WidgetInfo, pos2, vec2,
};

use super::details::{BUTTON, details_ui};
use super::grey::drag_ui;
use super::says::{chip, says_ui};
use crate::explain::catalogue;
use crate::post::{Contour, Field};
use crate::render::crop_in_source;
use crate::session::MapState;
use crate::text::window as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::ground::{LOWER, without};
use crate::ui::regions_draw;
use crate::ui::theme;
use crate::ui::viewport::{Placed, Source, Turn};
use crate::ui::widgets::{Count, colour_scale_ui};

/// Height of the colour scale below a picture.
pub(super) const SCALE: f32 = 26.0;

/// The picture of a panel with its colour scale; the point of the source under the pointer.
pub(super) fn well_ui(app: &mut App, ui: &mut Ui, panel: usize, well: Rect) -> Option<[f64; 2]> {
    let ground = ui.painter().add(Shape::Noop);
    let area = Rect::from_min_max(well.min, pos2(well.right(), well.bottom() - SCALE));
    let Some(source) = app.case_at(panel).source() else {
        ui.painter().set(ground, around(well, Rect::NOTHING));
        return None;
    };
    let response = ui.interact(area, ui.scope_id().with("well"), Sense::click_and_drag());
    name_for_readers(app, &response, panel);
    if panel == app.grid.selected {
        app.area = area;
    }
    let before = app.view_of(panel).place(area, source);
    let taken = regions_draw::pointer_ui(app, ui, &response, &before, panel);
    move_view(app, ui, &response, panel, area, source, taken);
    let window = drag_ui(app, &response, panel);

    let placed = app.view_of(panel).place(area, source);
    let clip = area.intersect(ui.clip_rect());
    let visible = placed.picture().intersect(area);
    let over = response.hover_pos().filter(|at| visible.contains(*at));
    let at_source = over.map(|at| placed.source_from_screen(at));
    let drawn = layers_ui(app, ui, panel, &placed, clip);
    let covered = if drawn { visible } else { Rect::NOTHING };
    ui.painter().set(ground, around(well, covered));
    cross_ui(app, ui, &placed, clip, panel, at_source.is_some());
    says_ui(app, ui, panel, area);
    turn_ui(ui, area, app.view_of(panel).turn);
    if let Some(numbers) = window {
        let spot = area.shrink(8.0);
        chip(ui, spot, Align2::RIGHT_TOP, &numbers, theme::ON_WELL);
    }

    let mut scale =
        Rect::from_min_max(pos2(well.left(), area.bottom()), well.max).shrink2(vec2(12.0, 4.0));
    let (left, spot) = scale.split_left_right_at_x(scale.right() - BUTTON);
    scale = left;
    let spot = Rect::from_min_max(pos2(spot.right() - 18.0, spot.top()), spot.max);
    details_ui(app, ui, panel, spot);
    if let Some(cell) = app.cells.get(panel)
        && matches!(cell.state, MapState::Ready(_) | MapState::Growing(_))
        && !cell.range.is_flat()
        && app
            .heats
            .get(panel)
            .and_then(|h| h.field())
            .is_some_and(|f| !f.empty)
    {
        let value = app
            .hovered(panel)
            .and_then(|at| app.heats.get(panel)?.value_at(at));
        colour_scale_ui(ui, scale, cell.range, &cell.look, value, Count::Raw);
        let id = ui.scope_id().with(("scale", panel));
        let bar = ui.interact(scale, id, Sense::hover());
        let label = catalogue::find(cell.key.as_ref().map_or("", |key| key.method.as_str()))
            .map_or("", |method| method.label);
        let name = words::scale_of_panel(panel + 1, label, cell.range.lo, cell.range.hi);
        bar.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
        bar.on_hover_text(name);
    }
    at_source
}

/// The well without what the X-ray covers: without a graphics card every layer costs.
fn around(well: Rect, covered: Rect) -> Shape {
    // The picture's edge lies anywhere between two pixels.
    let hole = covered.shrink(2.0);
    if !hole.is_positive() {
        return Shape::rect_filled(well, LOWER, theme::WELL);
    }
    let hole = Rect::from_min_max(hole.min.round(), hole.max.round());
    // Below is the colour scale.
    let (upper, below) = well.split_top_bottom_at_y(hole.bottom());
    let parts = without(upper, &[hole]).into_iter();
    let parts = parts.map(|part| Shape::rect_filled(part, CornerRadius::ZERO, theme::WELL));
    let below = Shape::rect_filled(below, LOWER, theme::WELL);
    Shape::Vec(parts.chain([below]).collect())
}

/// X-ray, heat, cells and regions of a panel inside `clip`; whether there is an X-ray.
pub(super) fn layers_ui(app: &mut App, ui: &Ui, panel: usize, placed: &Placed, clip: Rect) -> bool {
    let drawn = base_ui(app, ui, panel, placed, clip);
    let visible = placed.picture().intersect(clip);
    heat_ui(app, ui, panel, placed, visible);
    regions_draw::cells_ui(app, ui, panel, placed, visible);
    regions_draw::draw_ui(app, ui, placed, clip, panel);
    drawn
}

/// The X-ray of a panel inside `clip`; whether there is one.
pub(super) fn base_ui(app: &mut App, ui: &Ui, panel: usize, placed: &Placed, clip: Rect) -> bool {
    let painter = ui.painter().with_clip_rect(clip);
    let native = app.view_of(panel).native;
    let base = &mut app.case_at_mut(panel).base;
    let [w, h] = [placed.source.x, placed.source.y].map(f64::from);
    let pixels = placed.lengths([w, h]).map(|v| v * ui.pixels_per_point());
    let visible = placed.picture().intersect(painter.clip_rect());
    // Two opposite corners stay opposite, however the picture is turned.
    let seen = [visible.left_top(), visible.right_bottom()].map(|at| {
        let [x, y] = placed.source_from_screen(at);
        [x / w, y / h]
    });
    let texture = base.texture_of(ui.ctx(), pixels, native, seen);
    if let Some(texture) = texture {
        painter.add(placed.mesh(texture, [0.0, 0.0, w, h], Color32::WHITE));
    }
    texture.is_some()
}

/// That the picture is mirrored or turned, which must not be overlooked: what looks like the left side may be the right.
pub(super) fn turn_ui(ui: &Ui, area: Rect, turn: Turn) {
    if turn != Turn::default() {
        let words = words::turned(turn.mirrored, turn.quarters);
        let spot = area.shrink(8.0);
        chip(
            ui,
            spot,
            Align2::RIGHT_BOTTOM,
            &words,
            theme::ON_WELL_CAUTION,
        );
    }
}

/// Four corners of a field, as a rectangle of the source: left, top, right, bottom.
pub(super) fn source_of(field: &Field) -> [f64; 4] {
    let affine = &field.source_from_field;
    let [left, top] = affine.apply([0.0, 0.0]);
    let [right, bottom] = affine.apply([field.width as f64, field.height as f64]);
    [left, top, right, bottom]
}

fn name_for_readers(app: &App, response: &Response, panel: usize) {
    let state = app.grid.panels.get(panel);
    let method = state
        .and_then(|p| catalogue::find(p.method).ok())
        .map_or("", |m| m.label);
    let layer = app.key_of(panel).map(|key| key.layer).unwrap_or_default();
    let name = words::picture_of_panel(panel + 1, method, &layer);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
}

/// Wheel zooms at the pointer, dragging pans, for every panel; a double click shows one panel alone.
pub(super) fn move_view(
    app: &mut App,
    ui: &Ui,
    response: &Response,
    panel: usize,
    area: Rect,
    source: Source,
    taken: bool,
) {
    if response.clicked() || response.drag_started() {
        app.grid.selected = panel;
    }
    let mut view = app.view_of(panel);
    if response.double_clicked() && !taken {
        app.send(Command::Solo(panel));
    }
    let pans = response.dragged_by(PointerButton::Primary) && !taken;
    if pans || response.dragged_by(PointerButton::Middle) {
        view.pan(response.drag_delta(), area, source);
    }
    if let Some(at) = response.hover_pos() {
        let (scroll, pinch) = ui.input(|i| (i.smooth_scroll_delta.y, i.zoom_delta()));
        let factor = (scroll * 0.0035).exp() * pinch;
        if (factor - 1.0).abs() > 1e-4 {
            view.zoom_at(factor, at, area, source);
        }
    }
    if view != app.view_of(panel) {
        app.see(panel, view);
    }
}

fn heat_ui(app: &mut App, ui: &Ui, panel: usize, placed: &Placed, clip: Rect) {
    let (shows, called) = (app.shows_overlay(), app.is_called(panel).unwrap_or(true));
    let (Some(cell), Some(heat)) = (app.cells.get(panel), app.heats.get_mut(panel)) else {
        return;
    };
    if !matches!(cell.state, MapState::Ready(_) | MapState::Growing(_)) {
        return;
    }
    let painted = heat.texture(ui.ctx(), cell.range, &cell.look);
    let Some(field) = heat.field() else {
        return;
    };
    let painter = ui.painter().with_clip_rect(clip);
    if let (Some(painted), true) = (painted, shows) {
        let strength = if called {
            1.0
        } else {
            theme::NOT_CALLED_OPACITY
        };
        let tint = Color32::WHITE.gamma_multiply(strength);
        let rect = source_of(field);
        painter.add(placed.mesh_of_part(painted.texture, rect, painted.part, tint));
    }
    crop_ui(&painter, placed, field);
    if shows {
        contours_ui(
            &painter,
            placed,
            heat.contours(cell.range, &cell.look),
            called,
        );
    }
}

/// Lines of equal value, as on exported pictures.
fn contours_ui(painter: &egui::Painter, placed: &Placed, lines: &[Contour], called: bool) {
    let alpha = if called { 235 } else { 110 };
    for contour in lines {
        let points: Vec<Pos2> = contour
            .line
            .iter()
            .map(|at| placed.screen_from_source(*at))
            .collect();
        let dark = Stroke::new(2.6, Color32::from_black_alpha(alpha / 2));
        painter.add(Shape::line(points.clone(), dark));
        let bright = Stroke::new(1.0, Color32::from_white_alpha(alpha));
        painter.add(Shape::line(points, bright));
    }
}

/// The part of the picture that the model saw, where that is not all of it.
fn crop_ui(painter: &egui::Painter, placed: &Placed, field: &Field) {
    let Some(crop) = crop_in_source(field) else {
        return;
    };
    let rect = placed.rect(crop).shrink(0.5);
    let corners = [
        rect.left_top(),
        rect.right_top(),
        rect.right_bottom(),
        rect.left_bottom(),
        rect.left_top(),
    ];
    let stroke = Stroke::new(1.0, Color32::from_white_alpha(70));
    painter.extend(Shape::dashed_line(&corners, stroke, 4.0, 4.0));
}

/// Marks in every other panel the place that the pointer is on in one.
fn cross_ui(app: &App, ui: &Ui, placed: &Placed, clip: Rect, panel: usize, here: bool) {
    let Some(at) = app.hovered(panel).filter(|_| !here) else {
        return;
    };
    let at = placed.screen_from_source(at);
    let painter = ui.painter().with_clip_rect(clip);
    for (width, colour) in [(3.0, Color32::from_black_alpha(120)), (1.0, theme::ON_WELL)] {
        let stroke = Stroke::new(width, colour);
        for (from, to) in [(-9.0, -3.0), (3.0, 9.0)] {
            painter.hline((at.x + from)..=(at.x + to), at.y, stroke);
            painter.vline(at.x, (at.y + from)..=(at.y + to), stroke);
        }
    }
}
