//! The grid of panels, with what has to be said above it.

use egui::emath::GuiRounding as _;
use egui::{
    Align, Align2, Area, Button, Context, Frame, Id, Label, Layout, Margin, Order, Rect, RichText,
    Ui, UiBuilder, vec2,
};

use super::cell;
use crate::plan::DeviceChoice;
use crate::text::{device, window as words};
use crate::ui::App;
use crate::ui::app::Message;
use crate::ui::command::Command;
use crate::ui::theme::{self, space};

const GAP: f32 = 10.0;
/// What a panel needs beside its picture.
const AROUND_PICTURE: f32 = cell::HEADER + cell::SCALE;

pub(in crate::ui) fn grid_ui(app: &mut App, ui: &mut Ui) {
    messages_ui(app, ui);
    let area = ui.available_rect_before_wrap();
    let count = app.grid.panels.len();
    let aspect = app.session.picture().map_or(1.0, |picture| {
        let [w, h] = picture.size();
        w as f32 / h.max(1) as f32
    });
    let columns = app
        .grid
        .columns(area.width(), area.height(), aspect, AROUND_PICTURE);
    let rows = count.div_ceil(columns);
    let size = vec2(
        (area.width() - GAP * (columns - 1) as f32) / columns as f32,
        (area.height() - GAP * (rows - 1) as f32) / rows as f32,
    );
    let mut hover = None;
    for panel in 0..count {
        let (column, row) = (panel % columns, panel / columns);
        let corner = area.min + vec2(column as f32 * (size.x + GAP), row as f32 * (size.y + GAP));
        let rect = Rect::from_min_size(corner, size).round_to_pixels(ui.pixels_per_point());
        ui.scope_builder(
            UiBuilder::new().max_rect(rect).id_salt(("panel", panel)),
            |ui| {
                ui.set_clip_rect(rect.expand(1.0));
                if let Some(at) = cell::cell_ui(app, ui, panel, rect) {
                    hover = Some(at);
                }
            },
        );
    }
    if hover != app.hover {
        app.hover = hover;
        ui.ctx().request_repaint();
    }
}

/// Errors and good news; each can be sent away.
fn messages_ui(app: &mut App, ui: &mut Ui) {
    let p = theme::palette(ui);
    let mut gone = None;
    let mut wish = None;
    for (i, message) in app.messages.iter().enumerate() {
        let (fill, ink, text) = match message {
            Message::Error(text) | Message::Device(text) => (p.error_ground, p.error, text),
            Message::Done(text) => (p.selected, p.text, text),
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
                    let close = Button::new(RichText::new(words::DISMISS).color(ink)).frame(false);
                    if ui.add(close).clicked() {
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
