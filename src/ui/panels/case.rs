//! The left side: which X-ray, which network, which finding, how sure.

use egui::{Align, Frame, Key, Label, Layout, Panel, RichText, Role, ScrollArea, Ui, WidgetInfo};

use super::aim::aim_ui;
use super::{findings, top};
use crate::model::facts::Provenance;
use crate::text::window as words;
use crate::ui::App;
use crate::ui::case::Case;
use crate::ui::command::Command;
use crate::ui::theme::{self, space};
use crate::ui::widgets::{figures, rule_ui, section_ui, segmented_ui, text_box_ui};

pub(in crate::ui) fn case_ui(app: &mut App, ui: &mut Ui) {
    let plain = Frame::NONE;
    Panel::bottom("sources")
        .frame(plain)
        .resizable(false)
        .show_separator_line(false)
        .show(ui, |ui| sources_ui(app, ui));
    egui::CentralPanel::no_frame().show(ui, |ui| {
        which_ui(app, ui);
        // The finding comes first: it is what a reader looks for.
        explained_ui(app, ui);
        aim_ui(app, ui);
        ui.add_space(space::M);
        rule_ui(ui);
        ui.add_space(space::S);
        findings::findings_ui(app, ui);
    });
}

/// Which of two cases this side is about; that of the selected panel.
fn which_ui(app: &mut App, ui: &mut Ui) {
    if app.cases.len() < 2 {
        return;
    }
    let picture = |case: &Case| case.session.picture().map(|p| p.name.clone());
    let network = |case: &Case| case.session.model().map(|m| m.name.clone());
    // What sets them apart: two networks may look at one X-ray.
    let of_each = |name: &dyn Fn(&Case) -> Option<String>| -> Vec<Option<String>> {
        app.cases.iter().map(name).collect()
    };
    let differ = |names: &[Option<String>]| names.windows(2).any(|pair| pair[0] != pair[1]);
    let (pictures, networks) = (of_each(&picture), of_each(&network));
    let names = match differ(&networks) && !differ(&pictures) {
        true => networks,
        false => pictures,
    };
    let names: Vec<String> = (names.into_iter().zip(words::CASE_NAMES))
        .map(|(name, letter)| words::case_name(letter, &name.unwrap_or_default()))
        .collect();
    let choices: Vec<(usize, &str, &str)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (i, name.as_str(), words::CASE_HINT))
        .collect();
    let mut case = app.grid.case_of(app.grid.selected);
    if segmented_ui(ui, &mut case, &choices) {
        let first = app.grid.panels.iter().position(|p| p.case == case);
        app.grid.selected = first.unwrap_or(app.grid.selected);
    }
    ui.add_space(space::S);
}

fn explained_ui(app: &App, ui: &mut Ui) {
    let p = theme::palette(ui);
    section_ui(ui, words::EXPLAINED);
    let explained = app.objective();
    let finding = explained.and_then(|target| app.case().session.findings().get(target.class));
    let Some(finding) = finding else {
        let words = if app.case().session.is_settled() {
            words::NO_FINDINGS
        } else {
            words::FINDINGS_WAIT
        };
        ui.label(RichText::new(words).color(p.muted));
        return;
    };
    let called = app.is_called(app.grid.selected).unwrap_or(false);
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.horizontal(|ui| {
        let room = ui.available_width() - 92.0;
        ui.allocate_ui_with_layout(
            egui::vec2(room, 38.0),
            Layout::left_to_right(Align::Center),
            |ui| {
                ui.add(
                    Label::new(
                        RichText::new(&finding.label).font(theme::semibold(theme::size::TITLE)),
                    )
                    .truncate(),
                );
            },
        );
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let colour = if called { p.text } else { p.muted };
            let font = theme::semibold(theme::size::DISPLAY);
            let number = figures(ui, &words::probability(finding.probability), &font, colour);
            ui.label(number);
        });
    });
    let calibrated = app
        .case()
        .session
        .model()
        .is_some_and(|model| model.facts.temperature.is_some());
    let verdict = words::verdict(called);
    ui.label(RichText::new(verdict).color(if called { p.text } else { p.caution }));
    ui.label(
        RichText::new(words::logit_line(
            finding.logit,
            calibrated,
            app.case().threshold_of(finding.index),
            finding.score,
        ))
        .small()
        .color(p.muted),
    );
    // A second opinion that the network was trained to give; the finding above is the prediction.
    if let Some(second) = app.case().session.attention_findings().get(finding.index) {
        let line = words::attention_line(second.probability, second.logit);
        ui.label(RichText::new(line).small().color(p.muted))
            .on_hover_text(words::ATTENTION_HINT);
    }
}

fn sources_ui(app: &mut App, ui: &mut Ui) {
    rule_ui(ui);
    ui.add_space(space::S);
    section_ui(ui, words::CASE);
    name_ui(
        ui,
        app.case()
            .session
            .picture()
            .map(|picture| (picture.name.clone(), words::image_size(picture.size()))),
        words::NO_IMAGE,
    );
    // On the screen only: no file that the program writes carries it.
    if let Some(identity) = app.case().session.picture().and_then(|p| p.identity())
        && !app.is_written()
    {
        let who = [&identity.name, &identity.id, &identity.birth_date];
        let line = who
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("  ·  ");
        if !line.is_empty() {
            let text = RichText::new(line).small().color(theme::palette(ui).muted);
            ui.add(Label::new(text).truncate())
                .on_hover_text(words::IDENTITY_HINT);
        }
    }
    frame_ui(app, ui);
    ui.horizontal(|ui| {
        if ui.button(Command::OpenImage.label()).clicked() {
            app.send(Command::OpenImage);
        }
        ui.menu_button(words::SAMPLES, |ui| top::samples_menu(app, ui));
    });
    ui.add_space(space::M);
    section_ui(ui, words::NETWORK);
    let network = app.case().session.model().map(|model| {
        let line = words::network_line(
            &model.facts.arch.value,
            model.classes(),
            model.input_shape(),
        );
        (model.name.clone(), line)
    });
    name_ui(ui, network, words::NO_MODEL);
    ui.horizontal(|ui| {
        for command in [Command::OpenModel, Command::ModelFacts] {
            let label = match command {
                Command::ModelFacts => words::FACTS.to_owned(),
                command => command.label(),
            };
            if ui.button(label).clicked() {
                app.send(command);
            }
        }
    });
    ui.add_space(space::XS);
    path_box_ui(app, ui);
    notices_ui(app, ui);
}

/// An arrow key adds the speed of a drag to the number, which is then rounded: the slowest drag with which that is one.
const ARROW_STEPS_ONE: f64 = 0.51;

/// Which frame of a file of several; the arrow keys step while the number has the focus.
fn frame_ui(app: &mut App, ui: &mut Ui) {
    let Some([_, frames @ (2..)]) = app.case().picture.as_ref().map(|p| p.frame) else {
        return;
    };
    let muted = theme::palette(ui).muted;
    ui.horizontal(|ui| {
        let asked = app.case().frame_asked();
        let mut frame = asked;
        let step = |ui: &mut Ui, app: &mut App, command: Command, sign: &str, can: bool| {
            let button = ui
                .add_enabled(can, egui::Button::new(sign))
                .on_hover_text(command.label());
            button.widget_info(|| WidgetInfo::labeled(Role::Button, can, command.label()));
            if button.clicked() {
                app.send(command);
            }
        };
        let label = ui.label(RichText::new(words::FRAME).small().color(muted));
        step(ui, app, Command::PreviousFrame, "‹", asked > 1);
        let number = egui::DragValue::new(&mut frame)
            .range(1..=frames)
            .speed(ARROW_STEPS_ONE)
            .update_while_editing(false);
        ui.add(number)
            .on_hover_text(words::FRAME_HINT)
            .labelled_by(label.id);
        step(ui, app, Command::NextFrame, "›", asked < frames);
        ui.label(RichText::new(words::of_frames(frames)).small().color(muted));
        if frame != asked {
            app.open_frame(frame);
        }
    });
    ui.add_space(space::XS);
}

fn name_ui(ui: &mut Ui, named: Option<(String, String)>, otherwise: &str) {
    let p = theme::palette(ui);
    ui.spacing_mut().item_spacing.y = 2.0;
    match named {
        Some((name, line)) => {
            ui.add(
                Label::new(RichText::new(&name).font(theme::medium(theme::size::BODY))).truncate(),
            )
            .on_hover_text(name);
            ui.add(Label::new(RichText::new(line).small().color(p.muted)).truncate());
        }
        None => {
            ui.label(RichText::new(otherwise).color(p.muted));
        }
    }
    ui.add_space(space::XS);
}

fn path_box_ui(app: &mut App, ui: &mut Ui) {
    let edit = text_box_ui(ui, words::PATH_BOX, words::PATH_HINT, &mut app.path_box);
    if edit.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter)) {
        app.open_path_box();
    }
}

/// What was guessed or looks odd: quiet, but there.
fn notices_ui(app: &App, ui: &mut Ui) {
    let notices: Vec<&str> = app.case().session.notices().collect();
    let card = app
        .case()
        .session
        .model()
        .and_then(|model| model.facts.card.clone());
    if notices.is_empty() && card.is_none() {
        return;
    }
    let p = theme::palette(ui);
    let guessed = app
        .case()
        .session
        .model()
        .is_some_and(|model| model.facts.labels.from == Provenance::Guessed);
    let colour = if guessed { p.caution } else { p.muted };
    ui.add_space(space::XS);
    let title = format!(
        "{} ({})",
        words::GUESSED,
        notices.len() + usize::from(card.is_some())
    );
    let button = ui.add(egui::Button::new(RichText::new(title).small().color(colour)).frame(false));
    egui::Popup::menu(&button)
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| {
            // A menu would justify the words.
            let plain = Layout::top_down(Align::Min);
            ui.with_layout(plain, |ui| {
                ui.set_max_width(360.0);
                ScrollArea::vertical().max_height(360.0).show(ui, |ui| {
                    for notice in notices {
                        ui.label(RichText::new(notice).color(p.text));
                        ui.add_space(space::XS);
                    }
                    if let Some(card) = card {
                        section_ui(ui, words::MODEL_CARD);
                        ui.label(card);
                    }
                });
            });
        });
}
