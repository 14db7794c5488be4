//! One panel: method, layer, picture with heat, colour scale, and what must be said about the map.

use egui::{
    Align, Align2, Button, Color32, CornerRadius, Label, Layout, PointerButton, Rect, Response,
    RichText, Role, Sense, Stroke, StrokeKind, Ui, UiBuilder, WidgetInfo, pos2, vec2,
};

use super::details::{BUTTON, details_ui, gauge_ui};
use super::grey::drag_ui;
use super::method_menu::method_menu_ui;
use crate::explain::RawMap;
use crate::explain::catalogue::{self, Place};
use crate::post::Field;
use crate::render::crop_in_source;
use crate::session::{Growing, MapState};
use crate::text::measure;
use crate::text::method as method_words;
use crate::text::window as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::regions_draw;
use crate::ui::theme;
use crate::ui::viewport::Placed;
use crate::ui::widgets::{colour_scale_ui, depth_ui};

/// Height of the controls above a picture.
pub(super) const HEADER: f32 = 72.0;
/// Height of the colour scale below it.
pub(super) const SCALE: f32 = 26.0;

const FULL: Rect = Rect {
    min: pos2(0.0, 0.0),
    max: pos2(1.0, 1.0),
};

/// Draws a panel and returns the point of the source under the pointer, where it is over the picture.
pub(super) fn cell_ui(app: &mut App, ui: &mut Ui, panel: usize, rect: Rect) -> Option<[f64; 2]> {
    let p = theme::palette(ui);
    ui.painter().rect_filled(rect, 8.0, p.panel);
    let header = Rect::from_min_size(rect.min, vec2(rect.width(), HEADER)).shrink2(vec2(12.0, 6.0));
    ui.scope_builder(UiBuilder::new().max_rect(header), |ui| {
        header_ui(app, ui, panel);
    });
    let well = Rect::from_min_max(pos2(rect.left(), rect.top() + HEADER), rect.max);
    let hover = well_ui(app, ui, panel, well);
    if app.grid.selected == panel && app.grid.panels.len() > 1 {
        let stroke = Stroke::new(1.0, p.accent.gamma_multiply(0.8));
        ui.painter()
            .rect_stroke(rect, 8.0, stroke, StrokeKind::Inside);
    }
    hover
}

fn header_ui(app: &mut App, ui: &mut Ui, panel: usize) {
    let p = theme::palette(ui);
    let Some(now) = app.grid.panels.get(panel).cloned() else {
        return;
    };
    ui.spacing_mut().item_spacing.y = 0.0;
    ui.spacing_mut().interact_size.y = 24.0;
    ui.spacing_mut().button_padding.y = 2.0;
    ui.horizontal(|ui| {
        method_menu_ui(app, ui, panel, now.method);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if app.grid.panels.len() > 1 {
                let close = Button::new(RichText::new("×").color(p.muted)).frame(false);
                let close = ui
                    .add(close)
                    .on_hover_text(Command::RemovePanel(panel).label());
                let name = words::remove_panel(panel + 1);
                close.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
                if close.clicked() {
                    app.send(Command::RemovePanel(panel));
                }
            }
            if now.own.is_some() {
                let text = RichText::new(words::OWN_SETTINGS).small().color(p.accent);
                let own = ui
                    .add(Button::new(text).frame(false))
                    .on_hover_text(words::OWN_SETTINGS_HINT);
                if own.clicked()
                    && let Some(panel) = app.grid.panels.get_mut(panel)
                {
                    panel.own = None;
                }
            }
            if let (Ok(method), Some(stop)) =
                (catalogue::find(now.method), app.stops.list.get(now.stop))
            {
                let name = method.layer_of(&stop.name);
                let name = RichText::new(name).font(theme::medium(theme::size::BODY));
                ui.add(Label::new(name).truncate());
            }
        });
    });
    if app.stops.list.is_empty() {
        return;
    }
    let place = catalogue::find(now.method).map_or(Place::Layer, |m| m.place);
    let is_fixed = !place.has_layers();
    let (slider, moved) = ui
        .add_enabled_ui(!is_fixed, |ui| {
            let stop = if is_fixed { 0 } else { now.stop };
            depth_ui(ui, &words::layer_of_panel(panel + 1), &app.stops, stop)
        })
        .inner;
    if is_fixed {
        let words = match place {
            Place::Branch => method_words::OWN_PLACE,
            _ => method_words::NO_DEPTH,
        };
        slider.on_disabled_hover_text(words);
        let text = RichText::new(words).small().color(p.muted);
        ui.add(Label::new(text).truncate());
        return;
    }
    let count = app.stops.list.len();
    if let Some(stop) = app.stops.list.get(moved.unwrap_or(now.stop)) {
        slider.on_hover_text(words::layer_hint(
            &stop.name,
            moved.unwrap_or(now.stop) + 1,
            count,
            stop.stage,
        ));
        ui.spacing_mut().interact_size.y = 14.0;
        ui.horizontal(|ui| {
            let quiet =
                |text: String| Label::new(RichText::new(text).small().color(p.muted)).truncate();
            ui.add(quiet(words::layer_grid(&stop.op, stop.resolution)));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add(quiet(words::receptive_field(stop.receptive_field)));
            });
        });
    }
    if let Some(stop) = moved {
        app.grid.selected = panel;
        app.grid.move_to(panel, stop);
        ui.ctx().request_repaint();
    }
}

fn well_ui(app: &mut App, ui: &mut Ui, panel: usize, well: Rect) -> Option<[f64; 2]> {
    let radius = CornerRadius {
        nw: 0,
        ne: 0,
        sw: 8,
        se: 8,
    };
    ui.painter().rect_filled(well, radius, theme::WELL);
    let area = Rect::from_min_max(well.min, pos2(well.right(), well.bottom() - SCALE));
    let picture = app.session.picture()?.clone();
    let source = picture.size();
    let response = ui.interact(area, ui.scope_id().with("well"), Sense::click_and_drag());
    name_for_readers(app, &response, panel);
    let before = app.viewport.place(area, source);
    let taken = regions_draw::pointer_ui(app, ui, &response, &before, panel);
    move_view(app, ui, &response, panel, area, source, taken);
    let window = drag_ui(app, &response);

    let placed = app.viewport.place(area, source);
    let clip = area.intersect(ui.clip_rect());
    let visible = placed.picture().intersect(area);
    let painter = ui.painter().with_clip_rect(clip);
    let pixels_wide = placed.picture().width() * ui.pixels_per_point();
    if let Some(texture) = app.base.texture(ui.ctx(), pixels_wide) {
        painter.image(texture, placed.picture(), FULL, Color32::WHITE);
    }
    let over = response.hover_pos().filter(|at| visible.contains(*at));
    let at_source = over.map(|at| placed.source_from_screen(at));
    heat_ui(app, ui, panel, &placed, visible.intersect(clip));
    regions_draw::cells_ui(app, ui, panel, &placed, visible.intersect(clip));
    regions_draw::draw_ui(app, ui, &placed, clip, panel);
    cross_ui(app, ui, &placed, clip, at_source.is_some());
    says_ui(app, ui, panel, area);
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
        let value = app.hover.and_then(|at| app.heats.get(panel)?.value_at(at));
        colour_scale_ui(ui, scale, cell.range, &cell.look, value);
    }
    at_source
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

/// Wheel zooms at the pointer, dragging pans, a double click fits; for every panel.
fn move_view(
    app: &mut App,
    ui: &Ui,
    response: &Response,
    panel: usize,
    area: Rect,
    source: [usize; 2],
    taken: bool,
) {
    if response.clicked() || response.drag_started() {
        app.grid.selected = panel;
    }
    if response.double_clicked() && !taken {
        app.viewport = Default::default();
    }
    let pans = response.dragged_by(PointerButton::Primary) && !taken;
    if pans || response.dragged_by(PointerButton::Middle) {
        app.viewport.pan(response.drag_delta(), area, source);
    }
    if let Some(at) = response.hover_pos() {
        let (scroll, pinch) = ui.input(|i| (i.smooth_scroll_delta.y, i.zoom_delta()));
        let factor = (scroll * 0.0035).exp() * pinch;
        if (factor - 1.0).abs() > 1e-4 {
            app.viewport.zoom_at(factor, at, area, source);
        }
    }
}

fn heat_ui(app: &mut App, ui: &Ui, panel: usize, placed: &Placed, clip: Rect) {
    let (shows, called) = (app.shows_overlay(), app.is_called().unwrap_or(true));
    let (Some(cell), Some(heat)) = (app.cells.get(panel), app.heats.get_mut(panel)) else {
        return;
    };
    if !matches!(cell.state, MapState::Ready(_) | MapState::Growing(_)) {
        return;
    }
    let texture = heat.texture(ui.ctx(), cell.range, &cell.look);
    let Some(field) = heat.field() else {
        return;
    };
    let painter = ui.painter().with_clip_rect(clip);
    if let (Some(texture), true) = (texture, shows) {
        let corner = |x: usize, y: usize| {
            placed.screen_from_source(field.source_from_field.apply([x as f64, y as f64]))
        };
        let rect = Rect::from_two_pos(corner(0, 0), corner(field.width, field.height));
        let strength = if called {
            1.0
        } else {
            theme::NOT_CALLED_OPACITY
        };
        painter.image(texture, rect, FULL, Color32::WHITE.gamma_multiply(strength));
    }
    crop_ui(&painter, placed, field);
}

/// The part of the picture that the model saw, where that is not all of it.
fn crop_ui(painter: &egui::Painter, placed: &Placed, field: &Field) {
    let Some([left, top, right, bottom]) = crop_in_source(field) else {
        return;
    };
    let rect = Rect::from_two_pos(
        placed.screen_from_source([left, top]),
        placed.screen_from_source([right, bottom]),
    )
    .shrink(0.5);
    let corners = [
        rect.left_top(),
        rect.right_top(),
        rect.right_bottom(),
        rect.left_bottom(),
        rect.left_top(),
    ];
    let stroke = Stroke::new(1.0, Color32::from_white_alpha(70));
    painter.extend(egui::Shape::dashed_line(&corners, stroke, 4.0, 4.0));
}

/// Marks in every other panel the place that the pointer is on in one.
fn cross_ui(app: &App, ui: &Ui, placed: &Placed, clip: Rect, here: bool) {
    let Some(at) = app.hover.filter(|_| !here) else {
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

/// Words over the picture: not called, waiting, failed, nothing to see.
fn says_ui(app: &mut App, ui: &mut Ui, panel: usize, area: Rect) {
    let inner = area.shrink(8.0);
    if app.peeking {
        chip(ui, inner, Align2::LEFT_TOP, words::PEEKING, theme::ON_WELL);
    } else if !app.overlay {
        chip(
            ui,
            inner,
            Align2::LEFT_TOP,
            words::OVERLAY_HIDDEN,
            theme::ON_WELL,
        );
    }
    let Some(cell) = app.cells.get(panel) else {
        return;
    };
    match &cell.state {
        MapState::Waiting if app.stopped => {
            chip(
                ui,
                inner,
                Align2::LEFT_BOTTOM,
                words::STOPPED,
                theme::ON_WELL,
            );
        }
        MapState::Waiting if app.session.is_settled() && app.session.findings().is_empty() => {
            chip(
                ui,
                inner,
                Align2::LEFT_BOTTOM,
                words::NO_FINDINGS,
                theme::ON_WELL,
            );
        }
        MapState::Waiting => {
            let words = match app.key_of(panel) {
                Some(key) => {
                    let label = catalogue::find(&key.method).map_or("", |m| m.label);
                    words::waiting_for(label, &key.layer)
                }
                None => words::FINDINGS_WAIT.to_owned(),
            };
            chip(ui, inner, Align2::LEFT_BOTTOM, &words, theme::ON_WELL);
            let corner = Rect::from_center_size(inner.center(), vec2(22.0, 22.0));
            ui.put(
                corner,
                egui::Spinner::new().size(20.0).color(theme::ON_WELL_QUIET),
            );
        }
        MapState::Growing(growing) => {
            let growing = growing.clone();
            notices_ui(app, ui, panel, inner, &growing.map);
            growing_ui(app, ui, panel, inner, &growing);
        }
        MapState::Failed(words) => said_ui(app, ui, panel, inner, words.clone(), false),
        MapState::Ready(map) => {
            let map = map.clone();
            notices_ui(app, ui, panel, inner, &map);
            let Some(cell) = app.cells.get(panel) else {
                return;
            };
            let field = app.heats.get(panel).and_then(|heat| heat.field());
            if let Some((words, empty)) = field.and_then(|f| Some((f.notice.clone()?, f.empty))) {
                let offer = empty && cell.look.post.sign != crate::plan::Sign::Signed;
                said_ui(app, ui, panel, inner, words, offer);
            } else if app.is_called() == Some(false) {
                // At the foot, where the lungs are not.
                chip(
                    ui,
                    inner,
                    Align2::LEFT_BOTTOM,
                    words::NOT_CALLED,
                    theme::ON_WELL_CAUTION,
                );
            }
        }
    }
}

/// How far a map has come that takes many passes, with the way to stop it or to let it go on.
fn growing_ui(app: &mut App, ui: &mut Ui, panel: usize, area: Rect, growing: &Growing) {
    let (words, button) = if growing.stopped {
        let at = method_words::stopped_at(growing.done, growing.total);
        (at, method_words::GO_ON)
    } else {
        let left = growing.left.map(|left| left.as_secs_f64());
        let far = method_words::growing(growing.done, growing.total, left);
        (far, method_words::STOP_MAP)
    };
    let size = vec2(area.width(), 30.0);
    let rect = Align2::LEFT_BOTTOM.align_size_within_rect(size, area);
    ui.painter().rect_filled(rect, 5.0, theme::WELL_VEIL);
    let share = growing.done as f32 / growing.total.max(1) as f32;
    let rail = Rect::from_min_size(
        rect.left_bottom() - vec2(0.0, 2.0),
        vec2(rect.width() * share, 2.0),
    );
    ui.painter()
        .rect_filled(rail, 1.0, theme::palette(ui).accent);
    let colour = if growing.stopped {
        theme::ON_WELL_CAUTION
    } else {
        theme::ON_WELL
    };
    let font = theme::medium(theme::size::SMALL);
    let galley = crate::ui::widgets::figures(ui, &words, &font, colour);
    let at = Align2::LEFT_CENTER.anchor_size(rect.left_center() + vec2(8.0, 0.0), galley.size());
    ui.painter().galley(at.min, galley, colour);
    let spot = Rect::from_min_max(
        pos2(rect.right() - 76.0, rect.top() + 4.0),
        rect.max - vec2(4.0, 5.0),
    );
    let name = method_words::on_panel(button, panel + 1);
    let pressed = ui.put(spot, Button::new(RichText::new(button).small()));
    pressed.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    if pressed.clicked()
        && let Some(key) = app.key_of(panel)
    {
        if growing.stopped {
            app.session.go_on(&key);
        } else {
            app.session.hold(&key);
        }
        app.want_again();
    }
}

/// What must be known about a map, in a corner where no lung is: the whole of it under the pointer.
fn notices_ui(app: &mut App, ui: &mut Ui, panel: usize, area: Rect, map: &RawMap) {
    if app.peeking || !app.overlay {
        return;
    }
    let mut lines: Vec<String> = Vec::new();
    let cut = app.cells.get(panel).map_or(0.0, |cell| cell.look.post.cut);
    if app.heats.get(panel).is_some_and(|heat| heat.hardly_drawn()) {
        lines.push(measure::hardly_drawn(cut));
    }
    if map.target.is_none() {
        lines.push(method_words::EVERY_CLASS.to_owned());
    }
    lines.extend(map.notices.iter().cloned());
    let id = ui.scope_id();
    let mut top = area.top();
    if let Some(rect) = gauge_ui(ui, area, id.with(("gauge", panel)), map) {
        top = rect.bottom() + 4.0;
    }
    if let Some(hidden) = app.heats.get(panel).and_then(|heat| heat.hidden_sign()) {
        // One click away from all of it.
        let line = measure::show_hidden(hidden);
        let room = Rect::from_min_max(pos2(area.left(), top), area.max);
        let rect = chip(ui, room, Align2::LEFT_TOP, &line, theme::ON_WELL_CAUTION);
        let response = ui.interact(rect, id.with(("hidden", panel)), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &line));
        let response = response.on_hover_cursor(egui::CursorIcon::PointingHand);
        if response.on_hover_text(&line).clicked() {
            app.grid.selected = panel;
            app.send(Command::ShowSigned);
        }
        top = rect.bottom() + 4.0;
    }
    for (i, line) in lines.iter().enumerate() {
        let room = Rect::from_min_max(pos2(area.left(), top), area.max);
        let rect = chip(ui, room, Align2::LEFT_TOP, line, theme::ON_WELL_CAUTION);
        let response = ui.interact(rect, id.with(("notice", panel, i)), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, line));
        response.on_hover_text(line);
        top = rect.bottom() + 4.0;
    }
}

/// One quiet line in a corner; where it stands.
fn chip(ui: &Ui, area: Rect, corner: Align2, words: &str, colour: Color32) -> Rect {
    let font = theme::medium(theme::size::SMALL);
    let job = egui::text::LayoutJob {
        wrap: egui::text::TextWrapping::truncate_at_width(area.width() - 16.0),
        ..egui::text::LayoutJob::simple_singleline(words.to_owned(), font, colour)
    };
    let galley = ui.painter().layout_job(job);
    let size = galley.size() + vec2(14.0, 8.0);
    let rect = corner.align_size_within_rect(size, area);
    ui.painter().rect_filled(rect, 5.0, theme::WELL_VEIL);
    ui.painter()
        .galley(rect.min + vec2(7.0, 4.0), galley, colour);
    rect
}

/// A sentence at the foot of the picture, with the way out of an empty map.
fn said_ui(
    app: &mut App,
    ui: &mut Ui,
    panel: usize,
    area: Rect,
    words: String,
    offer_signed: bool,
) {
    let font = theme::medium(theme::size::SMALL + 0.5);
    let galley = ui
        .painter()
        .layout(words, font, theme::ON_WELL, area.width() - 20.0);
    let button = if offer_signed { 30.0 } else { 0.0 };
    let size = vec2(area.width(), galley.size().y + 14.0 + button);
    let rect = Align2::LEFT_BOTTOM.align_size_within_rect(size, area);
    ui.painter().rect_filled(rect, 5.0, theme::WELL_VEIL);
    ui.painter()
        .galley(rect.min + vec2(10.0, 7.0), galley, theme::ON_WELL);
    if offer_signed {
        let spot = Rect::from_min_size(
            pos2(rect.left() + 8.0, rect.bottom() - 32.0),
            vec2((rect.width() - 16.0).min(160.0), 24.0),
        );
        let command = Command::ShowSigned;
        if ui.put(spot, Button::new(command.label())).clicked() {
            app.grid.selected = panel;
            app.send(command);
        }
    }
}
