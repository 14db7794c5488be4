//! One panel: its method and layer, what can be done with it, and its picture.

use egui::{
    Align, Button, DragAndDrop, Label, Layout, Popup, PopupCloseBehavior, Rect, Response, RichText,
    Role, ScrollArea, Sense, Stroke, StrokeKind, Ui, UiBuilder, WidgetInfo, pos2, vec2,
};

use super::method_menu::method_menu_ui;
use super::well::{SCALE, well_ui};
use crate::explain::catalogue::{self, Place};
use crate::text::method as method_words;
use crate::text::window as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::ground::upper_edge;
use crate::ui::state::Panel;
use crate::ui::theme;
use crate::ui::widgets::{depth_ui, section_ui};

/// Height of the controls above a picture.
pub(super) const HEADER: f32 = 72.0;
/// The same where panels are small: the method and the layer in one row, and the strip of layers serves as the slider.
const SMALL_HEADER: f32 = 28.0;
/// Panels lower than this are small.
const SMALL: f32 = 220.0;

/// What a panel of this height needs beside its picture.
pub(super) fn around_picture(height: f32) -> f32 {
    SCALE + if height < SMALL { SMALL_HEADER } else { HEADER }
}

/// A panel that is dragged to another place.
#[derive(Clone, Copy)]
struct Carried(usize);

/// Draws a panel and returns the point of the source under the pointer, where it is over the picture.
pub(super) fn cell_ui(app: &mut App, ui: &mut Ui, panel: usize, rect: Rect) -> Option<[f64; 2]> {
    let p = theme::palette(ui);
    let small = rect.height() < SMALL;
    let height = if small { SMALL_HEADER } else { HEADER };
    let top = Rect::from_min_size(rect.min, vec2(rect.width(), height));
    ui.painter().add(upper_edge(rect, p.panel));
    carry_ui(app, ui, panel, top, rect);
    let header = top.shrink2(if small {
        vec2(6.0, 2.0)
    } else {
        vec2(12.0, 6.0)
    });
    ui.scope_builder(UiBuilder::new().max_rect(header), |ui| {
        if let Some(now) = app.grid.panels.get(panel).cloned() {
            header_ui(app, ui, panel, &now, small);
        }
    });
    let well = Rect::from_min_max(pos2(rect.left(), rect.top() + height), rect.max);
    let hover = well_ui(app, ui, panel, well);
    let carried_here = DragAndDrop::payload::<Carried>(ui.ctx())
        .is_some_and(|carried| carried.0 != panel && ui.rect_contains_pointer(rect));
    if carried_here {
        let stroke = Stroke::new(2.0, p.accent);
        ui.painter()
            .rect_stroke(rect, theme::CARD_RADIUS, stroke, StrokeKind::Inside);
    } else if app.grid.selected == panel && app.grid.panels.len() > 1 {
        let stroke = Stroke::new(1.0, p.accent.gamma_multiply(0.8));
        ui.painter()
            .rect_stroke(rect, theme::CARD_RADIUS, stroke, StrokeKind::Inside);
    }
    hover
}

/// A panel is taken by the ground of its header and dropped on another one.
fn carry_ui(app: &mut App, ui: &Ui, panel: usize, header: Rect, rect: Rect) {
    let id = ui.scope_id().with(("carry", panel));
    let handle = ui.interact(header, id, Sense::click_and_drag());
    let name = words::header_of_panel(panel + 1);
    handle.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    if handle.clicked() {
        app.grid.selected = panel;
    }
    if handle.double_clicked() {
        app.send(Command::Solo(panel));
    }
    handle.dnd_set_drag_payload(Carried(panel));
    if handle.dragged() {
        ui.ctx().set_cursor_icon(egui::CursorIcon::Grabbing);
    }
    let dropped = ui.input(|i| i.pointer.any_released()) && ui.rect_contains_pointer(rect);
    if dropped
        && let Some(carried) = DragAndDrop::payload::<Carried>(ui.ctx())
        && carried.0 != panel
    {
        DragAndDrop::clear_payload(ui.ctx());
        app.send(Command::MovePanel(carried.0, panel));
    }
}

fn header_ui(app: &mut App, ui: &mut Ui, panel: usize, now: &Panel, small: bool) {
    ui.spacing_mut().item_spacing.y = 0.0;
    ui.spacing_mut().interact_size.y = 24.0;
    ui.spacing_mut().button_padding.y = 2.0;
    title_ui(app, ui, panel, now, small);
    if !small && !app.case_at(panel).stops.list.is_empty() {
        rail_ui(app, ui, panel, now);
    }
}

/// The method's menu, the layer, what sets the panel apart, and what can be done with it.
fn title_ui(app: &mut App, ui: &mut Ui, panel: usize, now: &Panel, small: bool) {
    let p = theme::palette(ui);
    ui.horizontal(|ui| {
        method_menu_ui(app, ui, panel, now.method, small);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            more_ui(app, ui, panel, now);
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
            if now.pinned {
                let text = RichText::new(words::PINNED).small().color(p.accent);
                let pin = ui
                    .add(Button::new(text).frame(false))
                    .on_hover_text(words::PINNED_HINT);
                if pin.clicked() {
                    app.send(Command::PinPanel(panel));
                }
            }
            let case = app.case_at(panel);
            if let (Ok(method), Some(stop)) =
                (catalogue::find(now.method), case.stops.list.get(now.stop))
            {
                let mut name = method.layer_of(&stop.name).to_owned();
                if let Some(class) = now.target {
                    name = format!("{} · {name}", case.label(class));
                }
                if app.cases.len() > 1 {
                    name = format!("{} · {name}", words::CASE_NAMES[now.case.min(1)]);
                }
                let size = if small {
                    theme::size::SMALL
                } else {
                    theme::size::BODY
                };
                let text = RichText::new(&name).font(theme::medium(size));
                ui.add(Label::new(text).truncate()).on_hover_text(name);
            }
        });
    });
}

/// The button with three dots, and its menu.
fn more_ui(app: &mut App, ui: &mut Ui, panel: usize, now: &Panel) {
    let p = theme::palette(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(18.0, 18.0), Sense::hover());
    let button = ui.interact(rect, ui.scope_id().with(("more", panel)), Sense::click());
    let name = words::more_of_panel(panel + 1);
    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let lively = button.hovered() || button.has_focus();
    for step in [-5.0, 0.0, 5.0] {
        let at = rect.center() + vec2(step, 0.0);
        let colour = if lively { p.text } else { p.muted };
        ui.painter().circle_filled(at, 1.5, colour);
    }
    if button.has_focus() {
        let ring = Stroke::new(1.0, p.accent);
        ui.painter()
            .rect_stroke(rect, 4.0, ring, StrokeKind::Outside);
    }
    Popup::menu(&button)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| menu_ui(app, ui, panel, now));
    button.on_hover_text(words::MORE_HINT);
}

fn menu_ui(app: &mut App, ui: &mut Ui, panel: usize, now: &Panel) {
    ui.set_min_width(220.0);
    let many = app.grid.panels.len() > 1;
    for (command, on, can) in [
        (Command::DuplicatePanel(panel), false, true),
        (Command::PinPanel(panel), now.pinned, true),
        (Command::Solo(panel), app.grid.solo == Some(panel), many),
        (Command::Swipe, false, many),
        (Command::Difference, false, many),
        (Command::RemovePanel(panel), false, many),
    ] {
        let mut entry = Button::selectable(on, command.label());
        if let Some(keys) = command.keys(ui.ctx()) {
            entry = entry.shortcut_text(keys);
        }
        if ui.add_enabled(can, entry).clicked() {
            app.grid.selected = panel;
            app.send(command);
            ui.close();
        }
    }
    let order = app.case_at(panel).findings_order("");
    if order.len() < 2 {
        return;
    }
    ui.separator();
    section_ui(ui, words::OWN_FINDING);
    ScrollArea::vertical().max_height(200.0).show(ui, |ui| {
        let mut own = now.target;
        ui.selectable_value(&mut own, None, words::SHARED_FINDING);
        for class in order {
            let label = app.case_at(panel).label(class);
            ui.selectable_value(&mut own, Some(class), label);
        }
        if own != now.target
            && let Some(panel) = app.grid.panels.get_mut(panel)
        {
            panel.target = own;
            ui.close();
        }
    });
}

/// The depth slider with the layer's facts.
fn rail_ui(app: &mut App, ui: &mut Ui, panel: usize, now: &Panel) {
    let p = theme::palette(ui);
    let place = catalogue::find(now.method).map_or(Place::Layer, |m| m.place);
    let is_fixed = !place.has_layers();
    let stops = &app.case_at(panel).stops;
    let (slider, moved): (Response, Option<usize>) = ui
        .add_enabled_ui(!is_fixed, |ui| {
            let stop = if is_fixed { 0 } else { now.stop };
            depth_ui(ui, &words::layer_of_panel(panel + 1), stops, stop)
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
    let shown = moved.unwrap_or(now.stop);
    if let Some(stop) = stops.list.get(shown) {
        let hint = words::layer_hint(&stop.name, shown + 1, stops.list.len(), stop.stage);
        slider.on_hover_text(hint);
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
