//! Menus, and how the grid is laid out.

use egui::{Align, Button, Color32, Layout, MenuBar, RichText, Ui};

use crate::model::device::{CHOICES, missing_feature, name};
use crate::session::samples;
use crate::text::{APP, device, region, window as words};
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::regions_tool::Tool;
use crate::ui::state::MAX_PANELS;
use crate::ui::theme;

/// Width that the buttons of the presets need beside the menus.
const ROOM_FOR_PRESETS: f32 = 460.0;

pub(in crate::ui) fn top_ui(app: &mut App, ui: &mut Ui) {
    MenuBar::new().ui(ui, |ui| {
        ui.label(RichText::new(APP).font(theme::semibold(15.0)));
        ui.add_space(theme::space::M);
        ui.menu_button(words::FILE, |ui| file_menu(app, ui));
        ui.menu_button(words::VIEW, |ui| {
            for command in [
                Command::ToggleOverlay,
                Command::Fit,
                Command::Invert,
                Command::ZoomIn,
                Command::ZoomOut,
                Command::PreviousFinding,
                Command::NextFinding,
                Command::ModelEye,
                Command::ToggleTheme,
            ] {
                item(app, ui, command);
            }
        });
        ui.menu_button(words::PANELS, |ui| {
            for command in [
                Command::PresetDefault,
                Command::PresetMethods,
                Command::PresetDepth,
                Command::ToggleLinkedDepth,
            ] {
                item(app, ui, command);
            }
            ui.separator();
            for count in 1..=MAX_PANELS {
                item(app, ui, Command::Panels(count));
            }
        });
        ui.menu_button(region::REGIONS, |ui| {
            for command in [
                Command::OpenRegions,
                Command::SaveRegions,
                Command::Draw(Tool::Box),
                Command::Draw(Tool::Ellipse),
                Command::Draw(Tool::Freehand),
                Command::DeleteRegion,
            ] {
                item(app, ui, command);
            }
        });
        ui.menu_button(words::HELP, |ui| {
            for command in [Command::Methods, Command::Keys, Command::About] {
                item(app, ui, command);
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let can_export = app.exhibit().is_some() && app.export.is_none();
            let fill = theme::palette(ui).raised;
            if button(ui, Command::Export, can_export, Some(fill)) {
                app.send(Command::Export);
            }
            ui.add_space(theme::space::S);
            if ui.available_width() < ROOM_FOR_PRESETS {
                // They stand in the menu as well.
                return;
            }
            for command in [
                Command::PresetDepth,
                Command::PresetMethods,
                Command::PresetDefault,
            ] {
                if button(ui, command, !app.stops.list.is_empty(), None) {
                    app.send(command);
                }
            }
        });
    });
}

fn file_menu(app: &mut App, ui: &mut Ui) {
    item(app, ui, Command::OpenImage);
    ui.menu_button(words::SAMPLES, |ui| samples_menu(app, ui));
    for command in [Command::Files, Command::PreviousFile, Command::NextFile] {
        item(app, ui, command);
    }
    ui.separator();
    item(app, ui, Command::OpenModel);
    item(app, ui, Command::OpenDemoModel);
    item(app, ui, Command::ModelFacts);
    ui.menu_button(device::MENU, |ui| device_menu(app, ui));
    ui.separator();
    item(app, ui, Command::Export);
    item(app, ui, Command::Quit);
}

/// Where the network runs; what this build lacks is grey and says what it needs.
fn device_menu(app: &mut App, ui: &mut Ui) {
    let chosen = app.session.device();
    let open = app.session.model().map(|model| name(model.device()));
    for choice in CHOICES {
        let command = Command::Device(choice);
        match (missing_feature(choice), open) {
            (Some(feature), _) => {
                ui.add_enabled(false, Button::new(device::needs(choice, feature)));
            }
            (None, Some(open)) if choice == chosen => {
                let entry = Button::selectable(true, device::present(choice, open));
                if ui.add(entry).clicked() {
                    app.send(command);
                }
            }
            _ => item(app, ui, command),
        }
    }
}

/// One entry a sample case; what is in it says the tooltip.
pub(super) fn samples_menu(app: &mut App, ui: &mut Ui) {
    for (place, sample) in samples::SAMPLES.iter().enumerate() {
        let entry = ui.button(&sample.title).on_hover_text(&sample.description);
        if entry.clicked() {
            app.send(Command::OpenSample(place));
        }
    }
}

fn item(app: &mut App, ui: &mut Ui, command: Command) {
    let on = match command {
        Command::ToggleOverlay => app.overlay,
        Command::ToggleLinkedDepth => app.grid.linked_depth,
        Command::Panels(count) => app.grid.panels.len() == count,
        Command::Draw(tool) => app.region_tool() == Some(tool),
        _ => false,
    };
    let mut entry = Button::selectable(on, command.label());
    if let Some(keys) = command.keys(ui.ctx()) {
        entry = entry.shortcut_text(keys);
    }
    if ui.add(entry).clicked() {
        app.send(command);
    }
}

fn button(ui: &mut Ui, command: Command, enabled: bool, fill: Option<Color32>) -> bool {
    let mut button = Button::new(command.label());
    if let Some(fill) = fill {
        button = button.fill(fill);
    }
    let response = ui.add_enabled(enabled, button);
    let response = match command.keys(ui.ctx()) {
        Some(keys) => response.on_hover_text(keys),
        None => response,
    };
    response.clicked()
}
