//! The side panel's part about regions: tools, files, the list, and the numbers of every panel.

use egui::text::{LayoutJob, TextWrapping};
use egui::{Button, Checkbox, DragValue, Key, RichText, Role, Sense, Ui, WidgetInfo, vec2};

use crate::explain::catalogue;
use crate::regions::Shape;
use crate::text::region as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::regions_tool::Tool;
use crate::ui::theme::{self, space};
use crate::ui::widgets::{figures, section_ui, segmented_ui, text_box_ui};

pub(super) fn regions_ui(app: &mut App, ui: &mut Ui) {
    section_ui(ui, words::REGIONS);
    tools_ui(app, ui);
    numbers_ui(app, ui);
    list_ui(app, ui);
    files_ui(app, ui);
    ui.add_space(space::M);
}

fn tools_ui(app: &mut App, ui: &mut Ui) {
    let tools = [
        None,
        Some(Tool::Box),
        Some(Tool::Ellipse),
        Some(Tool::Freehand),
    ];
    let mut tool = app.region_tool();
    let choices: Vec<(Option<Tool>, &str, &str)> = tools
        .into_iter()
        .zip(words::TOOLS)
        .zip(words::TOOL_HINTS)
        .map(|((tool, name), hint)| (tool, name, hint))
        .collect();
    if segmented_ui(ui, &mut tool, &choices) {
        app.take_tool(tool);
    }
}

/// How far each panel's map agrees with the regions.
fn numbers_ui(app: &App, ui: &mut Ui) {
    let p = theme::palette(ui);
    let small = theme::regular(theme::size::SMALL);
    let mut area = None;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for (i, panel) in app.grid.panels.iter().enumerate() {
            let Some(numbers) = app.localisation(i) else {
                continue;
            };
            let method = catalogue::find(panel.method).map_or("", |m| m.label);
            area = Some(numbers.area_share);
            let line = match (numbers.energy_inside, numbers.pointing_hit) {
                (Some(energy), Some(hit)) => {
                    words::numbers(i + 1, method, energy, hit, numbers.iou_at_cut)
                }
                _ => words::no_numbers(i + 1, method),
            };
            // The numbers are always whole; a long name ends where they begin, and is whole under the pointer.
            let (name, found) = line.split_once(": ").unwrap_or((&line, ""));
            let galley = figures(ui, found, &small, p.text);
            let size = vec2(ui.available_width(), galley.size().y);
            let (rect, row) = ui.allocate_exact_size(size, Sense::hover());
            row.widget_info(|| WidgetInfo::labeled(Role::Label, true, &line));
            let at = rect.right_top() - vec2(galley.size().x, 0.0);
            let mut job = LayoutJob::simple_singleline(name.to_owned(), small.clone(), p.text);
            job.wrap = TextWrapping::truncate_at_width((at.x - rect.left() - space::S).max(0.0));
            let name = ui.painter().layout_job(job);
            ui.painter().galley(rect.min, name, p.text);
            ui.painter().galley(at, galley, p.text);
            row.on_hover_text(format!("{line}\n{}", words::NUMBERS_HINT));
        }
        if let Some(area) = area {
            let galley = figures(ui, &words::area(area), &small, p.muted);
            ui.label(galley).on_hover_text(words::NUMBERS_HINT);
        }
        for note in &app.case().drawn.notes {
            ui.label(RichText::new(note).small().color(p.caution));
        }
    });
}

fn kind(shape: &Shape) -> usize {
    match shape {
        Shape::Box { .. } => 0,
        Shape::Ellipse { .. } => 1,
        Shape::Polygon(_) => 2,
        Shape::Mask(_) => 3,
    }
}

fn list_ui(app: &mut App, ui: &mut Ui) {
    let muted = theme::palette(ui).muted;
    if app.case().drawn.set.list.is_empty() {
        ui.label(RichText::new(words::NONE).small().color(muted));
    }
    let mut chosen = None;
    for (i, region) in app.case().drawn.set.list.iter().enumerate() {
        let name = words::entry(i + 1, &region.label, words::shape(kind(&region.shape)));
        let is_selected = app.case().drawn.selected == Some(i);
        let row = Button::selectable(is_selected, RichText::new(name).small()).truncate();
        let mut row = ui.add(row);
        if !region.origin.is_empty() {
            row = row.on_hover_text(&region.origin);
        }
        if row.clicked() {
            chosen = Some((!is_selected).then_some(i));
        }
    }
    if let Some(chosen) = chosen {
        app.case_mut().drawn.selected = chosen;
    }
    selected_ui(app, ui);
    ui.horizontal_wrapped(|ui| {
        for (name, tool) in [
            (words::ADD_BOX, Tool::Box),
            (words::ADD_ELLIPSE, Tool::Ellipse),
        ] {
            if ui.add(Button::new(RichText::new(name).small())).clicked() {
                app.add_in_the_middle(tool);
            }
        }
    });
}

/// Label and place of the selected region.
fn selected_ui(app: &mut App, ui: &mut Ui) {
    let drawn = &mut app.case_mut().drawn;
    let size = drawn.set.size.map(|side| side as f64);
    let Some(region) = drawn.selected.and_then(|i| drawn.set.list.get_mut(i)) else {
        return;
    };
    let mut changed = text_box_ui(ui, words::LABEL, words::LABEL_HINT, &mut region.label).changed();
    let [left, top, right, bottom] = region.shape.bounds();
    let before = [left, top, right - left, bottom - top];
    let mut sides = before;
    if matches!(region.shape, Shape::Box { .. } | Shape::Ellipse { .. }) {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 3.0;
            for (i, (name, value)) in words::SIDES.into_iter().zip(&mut sides).enumerate() {
                let axis = i % 2;
                let range = if i < 2 {
                    0.0..=size[axis]
                } else {
                    1.0..=size[axis]
                };
                ui.name_inputs(name, |ui| {
                    ui.add(DragValue::new(value).range(range).max_decimals(1))
                })
                .on_hover_text(name);
            }
        });
    }
    if sides != before {
        let [x, y, w, h] = sides;
        // What is typed stays on the picture.
        let (x, y) = (x.min(size[0] - w).max(0.0), y.min(size[1] - h).max(0.0));
        region.shape = match region.shape {
            Shape::Ellipse { .. } => Shape::Ellipse {
                cx: x + w / 2.0,
                cy: y + h / 2.0,
                rx: w / 2.0,
                ry: h / 2.0,
            },
            _ => Shape::Box { x, y, w, h },
        };
        changed = true;
    }
    if changed {
        drawn.changed();
    }
    if ui.small_button(words::DELETE).clicked() {
        app.send(Command::DeleteRegion);
    }
}

fn files_ui(app: &mut App, ui: &mut Ui) {
    ui.horizontal(|ui| {
        for command in [Command::OpenRegions, Command::SaveRegions] {
            let text = RichText::new(command.label()).small();
            if ui.add(Button::new(text)).clicked() {
                app.send(command);
            }
        }
    });
    let edit = text_box_ui(ui, words::PATH_BOX, words::PATH_HINT, &mut app.pen.path_box);
    if edit.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter)) {
        app.open_regions_box();
    }
}

/// The toggle of the layer's own cells, among the switches of the display.
pub(super) fn cells_switch_ui(app: &mut App, ui: &mut Ui) {
    ui.add(Checkbox::new(&mut app.pen.cells, words::GRID))
        .on_hover_text(words::GRID_HINT);
}
