//! The depth slider: a rail through the whole network, with a mark where a stage ends.

use egui::{EventFilter, Key, Rect, Response, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use crate::ui::stops::Stops;
use crate::ui::theme;

const HEIGHT: f32 = 18.0;
const HANDLE: f32 = 6.0;

/// Draws the rail and returns the new stop where it was moved. Arrow keys go layer by layer, page
/// keys stage by stage, Home and End to the ends.
pub(crate) fn depth_ui(
    ui: &mut Ui,
    name: &str,
    stops: &Stops,
    stop: usize,
) -> (Response, Option<usize>) {
    let width = ui.available_width();
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click_and_drag());
    let count = stops.list.len().max(1);
    let rail = Rect::from_min_max(
        pos2(rect.left() + HANDLE, rect.center().y),
        pos2(rect.right() - HANDLE, rect.center().y),
    );
    let x_of = |stop: usize| {
        let share = stop as f32 / (count - 1).max(1) as f32;
        rail.left() + share * rail.width()
    };

    let mut moved = None;
    if let Some(at) = response.interact_pointer_pos()
        && ui.is_enabled()
    {
        let share = ((at.x - rail.left()) / rail.width().max(1.0)).clamp(0.0, 1.0);
        moved = Some((share * (count - 1) as f32).round() as usize);
    }
    if response.clicked() || response.drag_started() {
        response.request_focus();
    }
    if response.has_focus() {
        moved = keys(ui, &response, stops, stop).or(moved);
    }
    moved = asked_by_reader(ui, &response, stop).or(moved);
    let now = moved.unwrap_or(stop).min(count - 1);

    response.widget_info(|| WidgetInfo::slider(ui.is_enabled(), now as f64, name));
    declare(ui, &response, stops, now);
    paint(ui, &response, rail, stops, now, x_of);
    (response, (now != stop).then_some(now))
}

fn keys(ui: &Ui, response: &Response, stops: &Stops, stop: usize) -> Option<usize> {
    ui.memory_mut(|m| {
        let filter = EventFilter {
            horizontal_arrows: true,
            ..EventFilter::default()
        };
        m.set_focus_lock_filter(response.id, filter);
    });
    let last = stops.list.len().saturating_sub(1);
    ui.input(|i| {
        let steps =
            i.num_presses(Key::ArrowRight) as isize - i.num_presses(Key::ArrowLeft) as isize;
        if i.key_pressed(Key::Home) {
            Some(0)
        } else if i.key_pressed(Key::End) {
            Some(last)
        } else if i.key_pressed(Key::PageUp) {
            Some(stops.next_stage(stop, true))
        } else if i.key_pressed(Key::PageDown) {
            Some(stops.next_stage(stop, false))
        } else {
            (steps != 0).then(|| stop.saturating_add_signed(steps).min(last))
        }
    })
}

/// What a screen reader asked for.
fn asked_by_reader(ui: &Ui, response: &Response, stop: usize) -> Option<usize> {
    use egui::accesskit::{Action, ActionData};
    ui.input(|i| {
        let value = i
            .accesskit_action_requests(response.id, Action::SetValue)
            .filter_map(|request| match request.data {
                Some(ActionData::NumericValue(value)) => Some(value.max(0.0).round() as usize),
                _ => None,
            })
            .last();
        let steps = i.num_accesskit_action_requests(response.id, Action::Increment) as isize
            - i.num_accesskit_action_requests(response.id, Action::Decrement) as isize;
        value.or((steps != 0).then(|| stop.saturating_add_signed(steps)))
    })
}

fn declare(ui: &Ui, response: &Response, stops: &Stops, now: usize) {
    use egui::accesskit::Action;
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_min_numeric_value(0.0);
        node.set_max_numeric_value(stops.list.len().saturating_sub(1) as f64);
        node.set_numeric_value_step(1.0);
        for action in [Action::SetValue, Action::Increment, Action::Decrement] {
            node.add_action(action);
        }
        if let Some(stop) = stops.list.get(now) {
            node.set_description(stop.name.clone());
        }
    });
}

fn paint(
    ui: &Ui,
    response: &Response,
    rail: Rect,
    stops: &Stops,
    now: usize,
    x_of: impl Fn(usize) -> f32,
) {
    let p = theme::palette(ui);
    let painter = ui.painter();
    let y = rail.center().y;
    painter.hline(rail.x_range(), y, Stroke::new(2.0, p.line));
    painter.hline(
        rail.left()..=x_of(now),
        y,
        Stroke::new(2.0, p.accent.gamma_multiply(0.7)),
    );
    // Single layers are marked only where there is room for a mark each.
    if rail.width() / stops.list.len().max(1) as f32 > 5.0 {
        for stop in 0..stops.list.len() {
            painter.circle_filled(pos2(x_of(stop), y), 1.5, p.faint);
        }
    }
    for stop in stops.stages() {
        let reached = stop <= now;
        let colour = if reached { p.accent } else { p.muted };
        painter.vline(x_of(stop), (y - 5.0)..=(y + 5.0), Stroke::new(1.5, colour));
    }
    let lively = response.hovered() || response.dragged() || response.has_focus();
    let centre = pos2(x_of(now), y);
    painter.circle_filled(centre, if lively { HANDLE } else { HANDLE - 1.0 }, p.accent);
    painter.circle_filled(centre, 2.0, p.panel);
    if response.has_focus() {
        painter.circle_stroke(centre, HANDLE + 2.0, Stroke::new(1.0, p.accent));
    }
}
