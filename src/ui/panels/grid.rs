//! The grid of panels, with what has to be said above it.

use egui::emath::GuiRounding as _;
use egui::{
    Align, Align2, Area, Button, Context, Frame, Id, Label, Layout, Margin, Order, Rect, RichText,
    Shape, Ui, UiBuilder, vec2,
};

use super::GRID_MARGIN;
use super::cell;
use super::duel::duel_ui;
use super::strip::{self, NEEDS, strip_ui};
use crate::plan::DeviceChoice;
use crate::text::{device, session, window as words};
use crate::ui::App;
use crate::ui::app::Message;
use crate::ui::command::Command;
use crate::ui::ground::around_cards;
use crate::ui::state::Arrangement;
use crate::ui::theme::{self, space};

const GAP: f32 = 10.0;
/// Share of the width that the small panels beside a large one have.
const SMALL_COLUMN: f32 = 0.3;

pub(in crate::ui) fn grid_ui(app: &mut App, ui: &mut Ui) {
    let (ground, colour) = (ui.painter().add(Shape::Noop), theme::palette(ui).ground);
    let room = ui.max_rect().expand(GRID_MARGIN.into());
    let cards = cards_ui(app, ui);
    ui.painter().set(ground, around_cards(room, &cards, colour));
}

/// All that stands on the ground; where panels and the strip do.
fn cards_ui(app: &mut App, ui: &mut Ui) -> Vec<Rect> {
    messages_ui(app, ui);
    let mut cards = Vec::new();
    let mut area = ui.available_rect_before_wrap();
    let strip = app.strip.shown && area.height() >= NEEDS && !app.case().stops.list.is_empty();
    if strip {
        let (upper, lower) = area.split_top_bottom_at_y(area.bottom() - strip::HEIGHT);
        area = upper.with_max_y(upper.bottom() - GAP);
        let shown = ui.scope_builder(UiBuilder::new().max_rect(lower), |ui| strip_ui(app, ui));
        cards.extend(shown.inner);
    }
    if empty_ui(app, ui, area) {
        app.hover = None;
        return cards;
    }
    let mut hover = None;
    let places = match (app.grid.duel, app.grid.solo) {
        (Some(duel), _) => {
            let rect = area.round_to_pixels(ui.pixels_per_point());
            let at = duel_ui(app, ui, duel, rect);
            cards.push(rect);
            hover = at.map(|at| (app.grid.case_of(duel.panels[0]), at));
            Vec::new()
        }
        (None, Some(panel)) => vec![(panel, area)],
        (None, None) => places(app, area).into_iter().enumerate().collect(),
    };
    for (panel, rect) in places {
        let rect = rect.round_to_pixels(ui.pixels_per_point());
        cards.push(rect);
        ui.scope_builder(
            UiBuilder::new().max_rect(rect).id_salt(("panel", panel)),
            |ui| {
                ui.set_clip_rect(rect.expand(1.0));
                if let Some(at) = cell::cell_ui(app, ui, panel, rect) {
                    hover = Some((app.grid.case_of(panel), at));
                }
            },
        );
    }
    if hover != app.hover {
        app.hover = hover;
        ui.ctx().request_repaint();
    }
    cards
}

/// What can be done where there is nothing to show yet; whether that is so.
fn empty_ui(app: &mut App, ui: &mut Ui, area: Rect) -> bool {
    let case = app.case();
    let (picture, model) = (case.session.picture(), case.session.model());
    let missing = [
        picture.is_none().then_some(words::NO_IMAGE),
        model.is_none().then_some(words::NO_MODEL),
    ];
    if case.is_opening() || missing == [None; 2] {
        return false;
    }
    let p = theme::palette(ui);
    let rect = Rect::from_center_size(area.center(), vec2(420.0, 200.0));
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        ui.vertical_centered(|ui| {
            let title = RichText::new(words::EMPTY_TITLE).font(theme::semibold(theme::size::TITLE));
            ui.label(title);
            for line in missing.into_iter().flatten() {
                ui.label(RichText::new(line).color(p.muted));
            }
            ui.label(RichText::new(words::EMPTY_HINT).color(p.muted));
            ui.add_space(space::M);
            for command in [Command::OpenImage, Command::OpenModel] {
                let button = Button::new(command.label()).min_size(vec2(220.0, 28.0));
                if ui.add(button).clicked() {
                    app.send(command);
                }
            }
            let demo = Button::new(words::EMPTY_DEMO).min_size(vec2(220.0, 28.0));
            if ui.add(demo).clicked() {
                app.send(Command::OpenDemoModel);
                app.send(Command::OpenSample(0));
            }
        });
    });
    true
}

/// Where each panel stands.
fn places(app: &App, area: Rect) -> Vec<Rect> {
    let count = app.grid.panels.len();
    let turn = app.view_of(app.grid.selected).turn;
    let shown = app.case().source().map(|source| source.shown(turn));
    let aspect = shown.map_or(1.0, |shown| shown.x / shown.y.max(1.0));
    if app.grid.arrangement == Arrangement::OneLarge && count > 1 {
        let right = (area.width() * SMALL_COLUMN).round();
        let (large, small) = area.split_left_right_at_x(area.right() - right);
        let mut all = vec![large.with_max_x(large.right() - GAP)];
        all.extend(table(small, 1, count - 1, count - 1));
        return all;
    }
    let (columns, rows) = match app.grid.arrangement {
        Arrangement::Table { columns, rows } if columns * rows >= count => (columns, rows),
        _ => {
            let around = cell::around_picture;
            let columns = app
                .grid
                .columns(area.width(), area.height(), aspect, around);
            (columns, count.div_ceil(columns))
        }
    };
    table(area, columns, rows, count)
}

/// Cells of a table, row by row.
fn table(area: Rect, columns: usize, rows: usize, count: usize) -> Vec<Rect> {
    let size = vec2(
        (area.width() - GAP * (columns - 1) as f32) / columns as f32,
        (area.height() - GAP * (rows - 1) as f32) / rows as f32,
    );
    (0..count)
        .map(|i| {
            let (column, row) = ((i % columns) as f32, (i / columns) as f32);
            let corner = area.min + vec2(column * (size.x + GAP), row * (size.y + GAP));
            Rect::from_min_size(corner, size)
        })
        .collect()
}

/// Errors and good news; each can be sent away.
fn messages_ui(app: &mut App, ui: &mut Ui) {
    let p = theme::palette(ui);
    let mut gone = None;
    let mut wish = None;
    for (i, message) in app.messages.iter().enumerate() {
        let (fill, ink, text) = match message {
            Message::Error(text) | Message::Device(text) => {
                (p.error_ground, p.error, text.as_str())
            }
            Message::Done(text) => (p.selected, p.text, text.as_str()),
            Message::FirstStart => (p.selected, p.text, session::FIRST_START),
            Message::LastSession => (p.selected, p.text, session::LAST_OFFER),
        };
        Frame::new()
            .fill(fill)
            .corner_radius(6.0)
            .inner_margin(Margin::symmetric(12, 8))
            .show(ui, |ui| {
                // As high as its words: a plain layout from the right would fill the whole grid.
                let size = vec2(ui.available_width(), ui.spacing().interact_size.y);
                let line = Layout::right_to_left(Align::Center);
                ui.allocate_ui_with_layout(size, line, |ui| {
                    if *message == Message::FirstStart {
                        if ui.button(session::UNDERSTOOD).clicked() {
                            let version = env!("CARGO_PKG_VERSION").to_owned();
                            app.store.settings.understood = Some(version);
                            gone = Some(i);
                        }
                    } else {
                        let close = RichText::new(words::DISMISS).color(ink);
                        if ui.add(Button::new(close).frame(false)).clicked() {
                            gone = Some(i);
                        }
                    }
                    if *message == Message::LastSession
                        && ui.button(Command::RestoreSession.label()).clicked()
                    {
                        wish = Some(Command::RestoreSession);
                        gone = Some(i);
                    }
                    if matches!(message, Message::Device(_)) && ui.button(device::USE_CPU).clicked()
                    {
                        wish = Some(Command::Device(DeviceChoice::Cpu));
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        let words = RichText::new(text).color(ink);
                        ui.add(Label::new(words).wrap().selectable(true));
                    });
                });
            });
        ui.add_space(space::XS);
    }
    if let Some(i) = gone {
        app.messages.remove(i);
    }
    if let Some(command) = wish {
        app.send(command);
    }
}

/// Says what happens to files that hang over the window.
pub(in crate::ui) fn drop_hint_ui(ctx: &Context) {
    if ctx.input(|i| i.raw.hovered_files.is_empty()) {
        return;
    }
    Area::new(Id::unique("drop hint"))
        .order(Order::Foreground)
        .anchor(Align2::CENTER_CENTER, vec2(0.0, 0.0))
        .show(ctx, |ui| {
            let p = theme::palette(ui);
            Frame::new()
                .fill(p.selected)
                .corner_radius(10.0)
                .inner_margin(Margin::symmetric(32, 24))
                .show(ui, |ui| {
                    ui.label(
                        RichText::new(words::DROP_HERE).font(theme::semibold(theme::size::TITLE)),
                    );
                });
        });
}
