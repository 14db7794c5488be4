//! What must be said over a panel's picture: what it waits for, what its map is not, how far it has come.

use egui::{Align2, Button, Color32, Rect, RichText, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::details::gauge_ui;
use crate::explain::RawMap;
use crate::explain::catalogue;
use crate::session::{Growing, MapState};
use crate::text::measure;
use crate::text::method as method_words;
use crate::text::window as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::theme;

/// Words over the picture: not called, waiting, failed, nothing to see.
pub(super) fn says_ui(app: &mut App, ui: &mut Ui, panel: usize, area: Rect) {
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
        MapState::Waiting if app.case_at(panel).stopped => {
            chip(
                ui,
                inner,
                Align2::LEFT_BOTTOM,
                words::STOPPED,
                theme::ON_WELL,
            );
        }
        MapState::Waiting
            if app.case_at(panel).session.is_settled()
                && app.case_at(panel).session.findings().is_empty() =>
        {
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
            } else if app.is_called(panel) == Some(false) {
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
            app.case_at_mut(panel).session.go_on(&key);
        } else {
            app.case_at_mut(panel).session.hold(&key);
        }
        app.case_at_mut(panel).want_again();
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
pub(super) fn chip(ui: &Ui, area: Rect, corner: Align2, words: &str, colour: Color32) -> Rect {
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
