//! Regions on a panel's picture: drawing, selecting and moving with the pointer, the outlines, and the layer's own cells.

use egui::{
    Color32, CursorIcon, PointerButton, Pos2, Rect, Response, Shape as Stroked, Stroke, Ui,
};

use super::app::App;
use super::heat::Heat;
use super::regions_tool::{Draft, Tool, shape_of};
use super::viewport::Placed;
use crate::regions::Shape;

/// Regions: the same cyan as on exported pictures, which neither an X-ray nor heat has.
const LINE: Color32 = Color32::from_rgb(0, 229, 255);
/// The selected region.
const SELECTED: Color32 = Color32::from_rgb(255, 255, 255);
/// Under both.
const HALO: Color32 = Color32::from_rgba_premultiplied(0, 0, 0, 170);
/// Shortest side of a shape that was meant, in points of the screen.
const SMALLEST: f32 = 4.0;
/// Distance of the corners of a line that is drawn by hand, in points of the screen.
const STEP: f32 = 2.0;

/// Drawing, selecting and moving on a panel's picture. Returns whether the pointer belongs to a region, so that the view
/// stays where it is.
pub(super) fn pointer_ui(
    app: &mut App,
    ui: &Ui,
    response: &Response,
    placed: &Placed,
    panel: usize,
) -> bool {
    let Some(tool) = app.pen.tool else {
        return select_ui(app, ui, response, placed, panel);
    };
    if response.hovered() {
        ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
    }
    let picture = placed.picture();
    let at = response.interact_pointer_pos();
    let on_picture = |at: Pos2| {
        let [x, y] = placed.source_from_screen(picture.clamp(at));
        // A hand is no finer than this, and numbers in files stay short.
        let fine = |v: f64, side: f32| (64.0 * v.clamp(0.0, f64::from(side))).round() / 64.0;
        [fine(x, placed.source.x), fine(y, placed.source.y)]
    };
    if response.drag_started_by(PointerButton::Primary)
        && let Some(origin) = ui.input(|i| i.pointer.press_origin())
        && picture.contains(origin)
    {
        app.case_at_mut(panel).drawn.selected = None;
        app.pen.draft = Some(Draft {
            panel,
            tool,
            path: vec![on_picture(origin)],
        });
    }
    if let Some(draft) = app.pen.draft.as_mut().filter(|d| d.panel == panel)
        && let Some(at) = at
    {
        let here = on_picture(at);
        let last = draft.path.last().copied().unwrap_or(here);
        let moved = placed
            .screen_from_source(last)
            .distance(placed.screen_from_source(here));
        if draft.tool != Tool::Freehand {
            draft.path.truncate(1);
            draft.path.push(here);
        } else if moved >= STEP {
            draft.path.push(here);
        }
    }
    if response.drag_stopped_by(PointerButton::Primary)
        && let Some(draft) = app.pen.draft.take_if(|d| d.panel == panel)
        && let Some(shape) = shape_of(draft.tool, &draft.path)
    {
        let [left, top, right, bottom] = shape.bounds();
        let [across, down] = placed.lengths([right - left, bottom - top]);
        let long = across.max(down);
        let short = (right - left).min(bottom - top);
        // A click with a trembling hand draws nothing, and a line has no area.
        if long >= SMALLEST && short >= 0.5 {
            app.finish_shape(shape, panel);
        }
    }
    !response.dragged_by(PointerButton::Middle)
}

/// Without a tool: a click selects, a drag on the selected region moves it.
fn select_ui(app: &mut App, ui: &Ui, response: &Response, placed: &Placed, panel: usize) -> bool {
    let drawn = &mut app.case_at_mut(panel).drawn;
    if drawn.set.list.is_empty() {
        return false;
    }
    if response.clicked()
        && let Some(at) = response.interact_pointer_pos()
    {
        let at = placed.source_from_screen(at);
        // The smallest one that is hit: a large one around it must not hide it.
        let list = drawn.set.list.iter().enumerate();
        let hit = list
            .filter(|(_, region)| region.shape.contains(at))
            .min_by(|a, b| {
                let area = |shape: &Shape| {
                    let [left, top, right, bottom] = shape.bounds();
                    (right - left) * (bottom - top)
                };
                area(&a.1.shape).total_cmp(&area(&b.1.shape))
            });
        drawn.selected = hit.map(|(i, _)| i);
    }
    let Some(region) = drawn.selected.and_then(|i| drawn.set.list.get_mut(i)) else {
        return false;
    };
    let origin = ui.input(|i| i.pointer.press_origin());
    let drags = response.dragged_by(PointerButton::Primary);
    // Where the drag began tells whose it is: the region has moved since.
    let started = response.drag_started_by(PointerButton::Primary);
    let id = response.id.with("moves a region");
    if started {
        let on = origin.is_some_and(|at| region.shape.contains(placed.source_from_screen(at)));
        let moves = on && !matches!(region.shape, Shape::Mask(_));
        ui.data_mut(|data| data.insert_temp(id, moves));
    }
    if !drags || !ui.data(|data| data.get_temp(id)).unwrap_or(false) {
        return false;
    }
    let delta = placed.source_from_vector(response.drag_delta());
    let [left, top, right, bottom] = region.shape.bounds();
    let keep = |by: f64, lo: f64, hi: f64, side: f32| {
        by.clamp((-lo).min(0.0), (f64::from(side) - hi).max(0.0))
    };
    region.shape.move_by([
        keep(delta[0], left, right, placed.source.x),
        keep(delta[1], top, bottom, placed.source.y),
    ]);
    drawn.changed();
    true
}

/// The outlines on a panel's picture.
pub(super) fn draw_ui(app: &mut App, ui: &Ui, placed: &Placed, clip: Rect, panel: usize) {
    let drawn = &mut app.cases.get_mut(app.grid.case_of(panel)).drawn;
    if drawn
        .outlines
        .as_ref()
        .is_none_or(|(version, _)| *version != drawn.version)
    {
        let lines = drawn.set.list.iter().map(|region| region.shape.outline());
        drawn.outlines = Some((drawn.version, lines.collect()));
    }
    let painter = ui.painter().with_clip_rect(clip);
    let stroke = |ring: &[[f64; 2]], colour: Color32, closed: bool| {
        let points: Vec<Pos2> = ring
            .iter()
            .map(|at| placed.screen_from_source(*at))
            .collect();
        for stroke in [Stroke::new(3.2, HALO), Stroke::new(1.4, colour)] {
            painter.add(match closed {
                true => Stroked::closed_line(points.clone(), stroke),
                false => Stroked::line(points.clone(), stroke),
            });
        }
    };
    for (i, rings) in drawn
        .outlines
        .iter()
        .flat_map(|(_, lines)| lines.iter().enumerate())
    {
        let is_selected = drawn.selected == Some(i);
        for ring in rings {
            stroke(ring, if is_selected { SELECTED } else { LINE }, true);
        }
        if is_selected && let Some(region) = drawn.set.list.get(i) {
            let [left, top, right, bottom] = region.shape.bounds();
            for corner in [[left, top], [right, top], [right, bottom], [left, bottom]] {
                let at = placed.screen_from_source(corner);
                painter.rect_filled(Rect::from_center_size(at, egui::vec2(5.0, 5.0)), 1.0, LINE);
            }
        }
    }
    if let Some(draft) = app
        .pen
        .draft
        .as_ref()
        .filter(|d| d.panel == panel || d.tool != Tool::Freehand)
    {
        match (draft.tool, shape_of(draft.tool, &draft.path)) {
            (Tool::Freehand, _) => stroke(&draft.path, SELECTED, false),
            (_, Some(shape)) => {
                for ring in shape.outline() {
                    stroke(&ring, SELECTED, true);
                }
            }
            _ => {}
        }
    }
}

/// Most lines of a grid that is still readable, by their distance in points of the screen.
const CLOSEST_LINES: f32 = 5.0;

/// The borders of the layer's own cells, where they are wide enough apart on the screen.
pub(super) fn cells_ui(app: &App, ui: &Ui, panel: usize, placed: &Placed, clip: Rect) {
    let Some(map) = app
        .heats
        .get(panel)
        .and_then(Heat::map)
        .filter(|_| app.pen.cells)
    else {
        return;
    };
    let affine = map.source_from_grid();
    let step = placed.lengths(affine.scale);
    if step[0].min(step[1]) < CLOSEST_LINES {
        return;
    }
    let painter = ui.painter().with_clip_rect(clip);
    let at = |x: usize, y: usize| placed.screen_from_source(affine.apply([x as f64, y as f64]));
    let stroke = Stroke::new(1.0, Color32::from_white_alpha(70));
    for x in 0..=map.width {
        painter.line_segment([at(x, 0), at(x, map.height)], stroke);
    }
    for y in 0..=map.height {
        painter.line_segment([at(0, y), at(map.width, y)], stroke);
    }
}
