//! What is computed and what waits for it: one line for each map, each of which can be stopped by itself.

use egui::{Align, Button, Layout, Popup, PopupCloseBehavior, ProgressBar, Response, RichText, Ui};

use crate::explain::catalogue;
use crate::plan::MapKey;
use crate::session::MapState;
use crate::text::method as words;
use crate::text::window;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::theme::{self, space};
use crate::ui::widgets::section_ui;

/// A panel whose map is on its way, or was stopped.
struct Waiting {
    panel: usize,
    key: MapKey,
    /// Steps that are done, steps in all, and the seconds that the rest may take.
    progress: Option<(usize, usize, Option<f64>)>,
    held: bool,
}

fn waiting(app: &App) -> Vec<Waiting> {
    let cells = app.cells.iter().enumerate();
    cells
        .filter_map(|(panel, cell)| {
            let key = cell.key.clone()?;
            let (progress, stopped) = match &cell.state {
                MapState::Waiting => (None, false),
                MapState::Growing(growing) => {
                    let left = growing.left.map(|left| left.as_secs_f64());
                    (Some((growing.done, growing.total, left)), growing.stopped)
                }
                _ => return None,
            };
            let held = stopped || app.case_at(panel).session.is_held(&key);
            Some(Waiting {
                panel,
                key,
                progress,
                held,
            })
        })
        .collect()
}

/// The menu behind the line about the work in progress.
pub(super) fn queue_menu(app: &mut App, button: &Response) {
    Popup::menu(button)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| {
            ui.with_layout(Layout::top_down(Align::LEFT), |ui| list_ui(app, ui));
        });
}

fn list_ui(app: &mut App, ui: &mut Ui) {
    ui.set_width(340.0);
    section_ui(ui, window::QUEUE);
    let all = waiting(app);
    if all.is_empty() {
        ui.label(window::QUEUE_EMPTY);
        return;
    }
    let muted = theme::palette(ui).muted;
    for one in all {
        let label = catalogue::find(&one.key.method).map_or("", |m| m.label);
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.set_width(240.0);
                ui.spacing_mut().item_spacing.y = 2.0;
                ui.label(window::queued(one.panel + 1, label, &one.key.layer));
                let far = match one.progress {
                    Some((done, total, _)) if one.held => words::stopped_at(done, total),
                    Some((done, total, left)) => words::growing(done, total, left),
                    None if one.held => window::STOPPED.to_owned(),
                    None => window::QUEUE_WAITS.to_owned(),
                };
                ui.label(RichText::new(far).small().color(muted));
                if let Some((done, total, _)) = one.progress {
                    let share = done as f32 / total.max(1) as f32;
                    ui.add(ProgressBar::new(share).desired_height(3.0));
                }
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let word = if one.held {
                    words::GO_ON
                } else {
                    words::STOP_MAP
                };
                let button = ui.add(Button::new(RichText::new(word).small()));
                let name = words::on_panel(word, one.panel + 1);
                button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
                if button.clicked() {
                    let case = app.case_at_mut(one.panel);
                    match one.held {
                        true => case.session.go_on(&one.key),
                        false => case.session.hold(&one.key),
                    }
                    case.want_again();
                }
            });
        });
        ui.add_space(space::XS);
    }
    if ui.button(Command::Cancel.label()).clicked() {
        app.send(Command::Cancel);
        ui.close();
    }
}
