//! Two panels in one picture: to either side of a line that is dragged, or one minus the other.

use egui::{
    Align2, Color32, EventFilter, Key, Rect, RichText, Role, Sense, Stroke, Ui, UiBuilder,
    WidgetInfo, pos2, vec2,
};

use super::well::{SCALE, base_ui, layers_ui, move_view, source_of, turn_ui};
use crate::explain::catalogue;
use crate::plan::Sign;
use crate::post::ScaleRange;
use crate::text::compare as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::ground::{LOWER, upper_edge};
use crate::ui::state::{Duel, Look, Overlap};
use crate::ui::theme;
use crate::ui::widgets::{Count, colour_scale_ui};

/// Height of the row above the picture.
const HEADER: f32 = 40.0;
/// The ends of the scale of differences, in shares of the maps' own scales.
const RANGE: ScaleRange = ScaleRange { lo: -1.0, hi: 1.0 };
/// What a press of an arrow key moves the line by.
const STEP: f32 = 0.02;

/// Draws both panels into `rect`; the point of the first one's X-ray under the pointer.
pub(super) fn duel_ui(app: &mut App, ui: &mut Ui, duel: Duel, rect: Rect) -> Option<[f64; 2]> {
    let p = theme::palette(ui);
    ui.painter().add(upper_edge(rect, p.panel));
    let header = Rect::from_min_size(rect.min, vec2(rect.width(), HEADER));
    ui.scope_builder(
        UiBuilder::new().max_rect(header.shrink2(vec2(12.0, 6.0))),
        |ui| header_ui(app, ui, duel),
    );
    let well = Rect::from_min_max(pos2(rect.left(), header.bottom()), rect.max);
    ui.painter().rect_filled(well, LOWER, theme::WELL);
    let area = Rect::from_min_max(well.min, pos2(well.right(), well.bottom() - SCALE));
    let [first, second] = duel.panels;
    let source = app.case_at(first).source()?;
    app.area = area;
    let response = ui.interact(area, ui.scope_id().with("duel"), Sense::click_and_drag());
    let name = words::picture(&title(app, first), &title(app, second));
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
    let line = match duel.overlap {
        Overlap::Swipe(at) => {
            let clip = area.intersect(ui.clip_rect());
            let x = area.left() + at * area.width();
            let (left, right) = clip.split_left_right_at_x(x);
            for (panel, clip) in [(first, left), (second, right)] {
                if let Some(source) = app.case_at(panel).source() {
                    let placed = app.view_of(panel).place(area, source);
                    layers_ui(app, ui, panel, &placed, clip);
                }
            }
            line_ui(app, ui, duel, area, x)
        }
        Overlap::Difference => {
            difference_ui(app, ui, duel, area, well);
            false
        }
    };
    turn_ui(
        ui,
        area.with_max_y(area.bottom() - 30.0),
        app.view_of(first).turn,
    );
    move_view(app, ui, &response, first, area, source, line);
    // Both sides show the same place, whether the views of all panels are linked or not.
    let view = app.view_of(first);
    if app.view_of(second) != view {
        app.see(second, view);
    }
    let placed = view.place(area, source);
    let at = response.hover_pos()?;
    (placed.picture().contains(at) && area.contains(at)).then(|| placed.source_from_screen(at))
}

/// What a panel shows: method, layer, and the case where there are two.
fn title(app: &App, panel: usize) -> String {
    let Some(now) = app.grid.panels.get(panel) else {
        return String::new();
    };
    let method = catalogue::find(now.method).map_or("", |m| m.label);
    let layer = app.key_of(panel).map(|key| key.layer).unwrap_or_default();
    let case = app.case_at(panel);
    let names = [
        case.session.model().map(|model| model.name.clone()),
        case.session.picture().map(|picture| picture.name.clone()),
    ];
    match app.cases.len() {
        1 => words::title(method, &layer, &[]),
        _ => words::title(
            method,
            &layer,
            &names.into_iter().flatten().collect::<Vec<_>>(),
        ),
    }
}

fn header_ui(app: &mut App, ui: &mut Ui, duel: Duel) {
    let [first, second] = duel.panels.map(|panel| title(app, panel));
    let p = theme::palette(ui);
    let joined = match duel.overlap {
        Overlap::Swipe(_) => words::swipe(&first, &second),
        Overlap::Difference => words::minus(&first, &second),
    };
    ui.horizontal(|ui| {
        let text = RichText::new(joined).font(theme::semibold(theme::size::HEADING));
        let room = (ui.available_width() - 280.0).max(60.0);
        ui.allocate_ui(vec2(room, 24.0), |ui| {
            ui.add(egui::Label::new(text).truncate());
        });
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button(words::END).clicked() {
                app.grid.duel = None;
            }
            let other = match duel.overlap {
                Overlap::Swipe(_) => Command::Difference,
                Overlap::Difference => Command::Swipe,
            };
            let text = RichText::new(other.label()).color(p.muted);
            if ui.button(text).clicked() {
                app.send(other);
            }
        });
    });
}

/// The line between both sides: dragged, or moved by arrow keys. Whether the pointer belongs to it.
fn line_ui(app: &mut App, ui: &Ui, duel: Duel, area: Rect, x: f32) -> bool {
    let grip = Rect::from_center_size(pos2(x, area.center().y), vec2(18.0, area.height()));
    let id = ui.scope_id().with("swipe line");
    let handle = ui.interact(grip, id, Sense::click_and_drag());
    let at = match duel.overlap {
        Overlap::Swipe(at) => at,
        Overlap::Difference => return false,
    };
    handle.widget_info(|| WidgetInfo::slider(true, f64::from(at), words::LINE));
    if handle.hovered() || handle.dragged() {
        ui.ctx().set_cursor_icon(egui::CursorIcon::ResizeHorizontal);
    }
    if handle.clicked() || handle.drag_started() {
        handle.request_focus();
    }
    let mut moved = at;
    if handle.dragged()
        && let Some(pointer) = handle.interact_pointer_pos()
    {
        moved = (pointer.x - area.left()) / area.width().max(1.0);
    }
    if handle.has_focus() {
        ui.memory_mut(|m| {
            let filter = EventFilter {
                horizontal_arrows: true,
                ..EventFilter::default()
            };
            m.set_focus_lock_filter(handle.id, filter);
        });
        let presses = ui.input(|i| {
            i.num_presses(Key::ArrowRight) as f32 - i.num_presses(Key::ArrowLeft) as f32
        });
        moved += presses * STEP;
    }
    let moved = moved.clamp(0.0, 1.0);
    if moved != at {
        app.grid.duel = Some(Duel {
            overlap: Overlap::Swipe(moved),
            ..duel
        });
        ui.ctx().request_repaint();
    }
    let painter = ui.painter().with_clip_rect(area);
    painter.vline(
        x,
        area.y_range(),
        Stroke::new(3.0, Color32::from_black_alpha(140)),
    );
    painter.vline(x, area.y_range(), Stroke::new(1.0, theme::ON_WELL));
    let knob = pos2(x, area.center().y);
    painter.circle(
        knob,
        9.0,
        theme::WELL_VEIL,
        Stroke::new(1.5, theme::ON_WELL),
    );
    for (side, tip) in [(-1.0, -5.5), (1.0, 5.5)] {
        let points = vec![
            knob + vec2(tip, 0.0),
            knob + vec2(tip - side * 3.5, -3.5),
            knob + vec2(tip - side * 3.5, 3.5),
        ];
        painter.add(egui::Shape::convex_polygon(
            points,
            theme::ON_WELL,
            Stroke::NONE,
        ));
    }
    let font = theme::medium(theme::size::SMALL);
    for (panel, corner, align) in [
        (
            duel.panels[0],
            area.left_bottom() + vec2(10.0, -10.0),
            Align2::LEFT_BOTTOM,
        ),
        (
            duel.panels[1],
            area.right_bottom() + vec2(-10.0, -10.0),
            Align2::RIGHT_BOTTOM,
        ),
    ] {
        let galley = painter.layout_no_wrap(title(app, panel), font.clone(), theme::ON_WELL);
        let spot = align.anchor_size(corner, galley.size());
        painter.rect_filled(spot.expand2(vec2(7.0, 4.0)), 5.0, theme::WELL_VEIL);
        painter.galley(spot.min, galley, theme::ON_WELL);
    }
    handle.dragged()
}

/// One minus the other over the first one's X-ray, with how far they agree.
fn difference_ui(app: &mut App, ui: &Ui, duel: Duel, area: Rect, well: Rect) {
    let [first, second] = duel.panels;
    let Some(source) = app.case_at(first).source() else {
        return;
    };
    let clip = area.intersect(ui.clip_rect());
    let placed = app.view_of(first).place(area, source);
    base_ui(app, ui, first, &placed, clip);
    let range = |panel: usize| app.cells.get(panel).map(|cell| cell.range);
    let view = app.grid.look_of(first).view;
    let mut look = Look {
        view,
        ..Look::default()
    };
    look.choose_sign(Some(Sign::Signed));
    look.post.cut = app.grid.look_of(first).post.cut;
    let pair = [first, second].map(|i| {
        let heat = app.heats.get(i).zip(range(i));
        heat.filter(|(heat, _)| heat.field().is_some_and(|field| !field.empty))
    });
    if let [Some(a), Some(b)] = pair {
        app.duel.update(a, b);
    }
    let waits = pair.iter().any(Option::is_none);
    let found = app.duel.found.as_ref().filter(|_| !waits);
    let font = theme::medium(theme::size::BODY);
    let Some(found) = found else {
        let text = if waits {
            words::WAITS
        } else {
            words::OTHER_PICTURES
        };
        let at = clip.left_bottom() + vec2(12.0, -12.0);
        let painter = ui.painter();
        painter.text(at, Align2::LEFT_BOTTOM, text, font, theme::ON_WELL);
        return;
    };
    let painter = ui
        .painter()
        .with_clip_rect(placed.picture().intersect(clip));
    let words = words::agreement(found.correlation);
    if app.shows_overlay()
        && let Some(painted) = app.duel.texture(ui.ctx(), RANGE, &look)
        && let Some(found) = &app.duel.found
    {
        let rect = source_of(&found.field);
        painter.add(placed.mesh_of_part(painted.texture, rect, painted.part, Color32::WHITE));
    }
    let galley = ui.painter().layout_no_wrap(words, font, theme::ON_WELL);
    let spot =
        Align2::LEFT_BOTTOM.anchor_size(area.left_bottom() + vec2(12.0, -12.0), galley.size());
    ui.painter()
        .rect_filled(spot.expand2(vec2(8.0, 5.0)), 5.0, theme::WELL_VEIL);
    ui.painter().galley(spot.min, galley, theme::ON_WELL);
    let scale = Rect::from_min_max(pos2(well.left(), area.bottom()), well.max);
    let value = app.hovered(first).and_then(|at| app.duel.value_at(at));
    colour_scale_ui(
        ui,
        scale.shrink2(vec2(12.0, 4.0)),
        RANGE,
        &look,
        value,
        Count::Shares,
    );
}
