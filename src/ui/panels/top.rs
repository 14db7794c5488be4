//! Menus, and how the grid is laid out.

use egui::{
    Align, Button, Color32, Layout, MenuBar, Response, RichText, Role, Sense, Ui, WidgetInfo,
};

use crate::model::device::{CHOICES, missing_feature, name};
use crate::session::samples;
use crate::text::{APP, device, region, session, window as words};
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::presets::Preset;
use crate::ui::regions_tool::Tool;
use crate::ui::state::{Arrangement, MAX_SIDE, Overlap};
use crate::ui::theme;
use crate::ui::viewport::Turn;
use crate::ui::widgets::section_ui;

/// Width that the buttons of the presets need beside the menus.
const ROOM_FOR_PRESETS: f32 = 460.0;

pub(in crate::ui) fn top_ui(app: &mut App, ui: &mut Ui) {
    MenuBar::new().ui(ui, |ui| {
        ui.label(RichText::new(APP).font(theme::semibold(15.0)));
        ui.add_space(theme::space::M);
        ui.menu_button(words::FILE, |ui| file_menu(app, ui));
        ui.menu_button(words::EDIT, |ui| {
            for command in [
                Command::Undo,
                Command::Redo,
                Command::Palette,
                Command::ResetLook,
            ] {
                item(app, ui, command);
            }
        });
        ui.menu_button(words::VIEW, |ui| {
            for command in [
                Command::ToggleOverlay,
                Command::ToggleStrip,
                Command::ToggleSides,
                Command::Fit,
                Command::OneToOne,
                Command::ZoomIn,
                Command::ZoomOut,
                Command::NativePixels,
                Command::Invert,
            ] {
                item(app, ui, command);
            }
            ui.separator();
            for command in [
                Command::FlipAcross,
                Command::FlipDown,
                Command::RotateRight,
                Command::RotateLeft,
                Command::AsStored,
            ] {
                item(app, ui, command).on_hover_text(words::TURN_HINT);
            }
            ui.separator();
            for command in [
                Command::PreviousFinding,
                Command::NextFinding,
                Command::ModelEye,
                Command::ToggleTheme,
            ] {
                item(app, ui, command);
            }
        });
        ui.menu_button(words::PANELS, |ui| {
            for command in [Command::ToggleLinkedDepth, Command::ToggleLinkedView] {
                item(app, ui, command);
            }
            ui.separator();
            for preset in Preset::ALL {
                item(app, ui, Command::Preset(preset));
            }
            ui.separator();
            section_ui(ui, words::COLUMNS_AND_ROWS);
            table_ui(app, ui);
        });
        ui.menu_button(words::COMPARE, |ui| {
            for command in [
                Command::CompareImage,
                Command::CompareModel,
                Command::Compare,
                Command::EndComparison,
                Command::ToggleLinkedTarget,
            ] {
                item(app, ui, command);
            }
            ui.separator();
            for command in [Command::Swipe, Command::Difference] {
                item(app, ui, command);
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
            let can_export = app.can_export() && app.export.is_none();
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
                Command::Preset(Preset::Depth),
                Command::Preset(Preset::Methods),
                Command::Preset(Preset::Clinician),
                Command::Preset(Preset::First),
            ] {
                if button(ui, command, !app.case().stops.list.is_empty(), None) {
                    app.send(command);
                }
            }
        });
    });
}

fn file_menu(app: &mut App, ui: &mut Ui) {
    item(app, ui, Command::OpenImage);
    ui.menu_button(words::SAMPLES, |ui| samples_menu(app, ui));
    for command in [
        Command::Files,
        Command::PreviousFile,
        Command::NextFile,
        Command::PreviousFrame,
        Command::NextFrame,
    ] {
        item(app, ui, command);
    }
    ui.menu_button(session::RECENT, |ui| recent_menu(app, ui));
    ui.separator();
    for command in [
        Command::OpenSession,
        Command::SaveSession,
        Command::RestoreSession,
    ] {
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

/// Files that were open last.
fn recent_menu(app: &mut App, ui: &mut Ui) {
    let recent = app.store.settings.recent.clone();
    if recent.is_empty() {
        ui.add_enabled(false, Button::new(session::NO_RECENT));
        return;
    }
    for (place, path) in recent.iter().enumerate() {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let entry = ui
            .button(name.to_string_lossy())
            .on_hover_text(path.display().to_string());
        if entry.clicked() {
            app.send(Command::OpenRecent(place));
        }
    }
    ui.separator();
    item(app, ui, Command::ForgetRecent);
}

/// Small squares, one for each number of columns and rows.
fn table_ui(app: &mut App, ui: &mut Ui) {
    let p = theme::palette(ui);
    let now = match app.grid.arrangement {
        Arrangement::Table { columns, rows } => Some((columns, rows)),
        _ => None,
    };
    ui.spacing_mut().item_spacing = egui::vec2(4.0, 4.0);
    for rows in 1..=MAX_SIDE {
        ui.horizontal(|ui| {
            for columns in 1..=MAX_SIDE {
                let size = egui::vec2(34.0, 24.0);
                let (rect, square) = ui.allocate_exact_size(size, Sense::click());
                let command = Command::Table(columns, rows);
                let name = command.label();
                square.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
                let fill = if now == Some((columns, rows)) {
                    p.selected
                } else if square.hovered() || square.has_focus() {
                    p.hovered
                } else {
                    p.raised
                };
                ui.painter().rect_filled(rect, 4.0, fill);
                let font = theme::regular(theme::size::SMALL);
                let text = format!("{columns}×{rows}");
                let at = rect.center();
                ui.painter()
                    .text(at, egui::Align2::CENTER_CENTER, text, font, p.text);
                if square.clicked() {
                    app.send(command);
                    ui.close();
                }
            }
        });
    }
}

/// Where the network runs; what this build lacks is grey and says what it needs.
fn device_menu(app: &mut App, ui: &mut Ui) {
    let chosen = app.case().session.device();
    let open = app.case().session.model().map(|model| name(model.device()));
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
            _ => {
                item(app, ui, command);
            }
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

fn item(app: &mut App, ui: &mut Ui, command: Command) -> Response {
    let on = match command {
        Command::ToggleOverlay => app.overlay,
        Command::ToggleLinkedDepth => app.grid.linked_depth,
        Command::ToggleLinkedView => app.grid.is_view_linked(),
        Command::ToggleLinkedTarget => app.grid.linked_target,
        Command::ToggleStrip => app.strip.shown,
        Command::ToggleSides => app.sides,
        Command::Swipe | Command::Difference => app.grid.duel.is_some_and(|duel| {
            matches!(duel.overlap, Overlap::Swipe(_)) == (command == Command::Swipe)
        }),
        Command::Draw(tool) => app.region_tool() == Some(tool),
        Command::NativePixels => app.view_of(app.grid.selected).native,
        Command::OneToOne => app.view_of(app.grid.selected).exact.is_some(),
        _ => false,
    };
    let mut entry = Button::selectable(on, command.label());
    if let Some(keys) = command.keys(ui.ctx()) {
        entry = entry.shortcut_text(keys);
    }
    let can = match command {
        Command::NextFrame | Command::PreviousFrame => {
            let picture = app.case().picture.as_ref();
            picture.is_some_and(|picture| picture.frame[1] > 1)
        }
        Command::AsStored => app.view_of(app.grid.selected).turn != Turn::default(),
        Command::Undo => app.history.can_undo(),
        Command::Redo => app.history.can_redo(),
        Command::RestoreSession => app.store.last().is_some(),
        Command::Compare => app.cases.len() == 1,
        Command::EndComparison | Command::ToggleLinkedTarget => app.cases.len() > 1,
        Command::Swipe | Command::Difference => app.grid.panels.len() > 1,
        _ => true,
    };
    let response = ui.add_enabled(can, entry);
    if response.clicked() {
        app.send(command);
    }
    response
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
