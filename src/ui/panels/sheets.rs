//! Sheets over the window: about, keys, methods, facts, and a path where there is no file dialog.

use egui::{Context, Frame, Grid, Id, Key, Margin, Modal, RichText, TextEdit, Ui};

use super::files::files_ui;
use super::guide::guide_ui;
use super::model_eye::eye_ui;
use super::palette::{Found, palette_ui};
use crate::explain::catalogue::Method;
use crate::plan::ImageSource;
use crate::text::method as method_words;
use crate::text::{APP, RESEARCH_ONLY, region, session, window as words};
use crate::ui::App;
use crate::ui::app::Sheet;
use crate::ui::command::Command;
use crate::ui::facts_form::Deed;
use crate::ui::theme::{self, space};
use crate::ui::widgets::section_ui;

pub(in crate::ui) fn sheets_ui(app: &mut App, ctx: &Context) {
    let Some(mut sheet) = app.sheet.take() else {
        return;
    };
    let mut save = None;
    let mut deed = None;
    let mut chosen = None;
    let mut found = None;
    let mut wish = None;
    let frame = Frame::window(&ctx.global_style()).inner_margin(Margin::same(24));
    let modal = Modal::new(Id::unique("sheet")).frame(frame);
    let modal = modal.show(ctx, |ui| {
        ui.set_max_width(match sheet {
            Sheet::Methods(_) => 760.0,
            _ => 560.0,
        });
        match &mut sheet {
            Sheet::About => about_ui(ui),
            Sheet::Keys => keys_ui(ui),
            Sheet::Methods(guide) => wish = guide_ui(app, ui, guide),
            Sheet::Eye(eye) => eye_ui(ui, eye),
            Sheet::Files => chosen = files_ui(app, ui),
            Sheet::Palette(palette) => found = palette_ui(app, ui, palette),
            Sheet::SaveSession(path) => {
                if save_path_ui(ui, session::SAVE_TITLE, path) {
                    save = Some(path.clone());
                }
            }
            Sheet::SaveRegions(path) => {
                if save_path_ui(ui, region::SAVE_TITLE, path) {
                    save = Some(path.clone());
                }
            }
            Sheet::Facts(form) => deed = form.ui(ui),
            Sheet::SavePath(path) => {
                if save_path_ui(ui, words::EXPORT_TITLE, path) {
                    save = Some(path.clone());
                }
            }
        }
        ui.add_space(space::M);
        ui.button(words::CLOSE).clicked()
    });
    if let (Sheet::Facts(form), Some(deed)) = (&mut sheet, deed) {
        let done = match deed {
            Deed::Apply => app.apply_facts(form),
            Deed::Save => {
                app.save_facts(form);
                false
            }
        };
        if done {
            return;
        }
    }
    if let Some(method) = wish {
        app.take_found(Found::Method(method.id));
        return;
    }
    if let Some(found) = found {
        app.take_found(found);
        return;
    }
    if let Some(path) = chosen {
        app.open_image(ImageSource::Path(path));
        return;
    }
    if let Some(path) = save {
        match sheet {
            Sheet::SaveRegions(_) => app.save_regions(std::path::Path::new(&path)),
            Sheet::SaveSession(_) => app.save_session(std::path::Path::new(&path)),
            _ => app.start_export(path.into()),
        }
    } else if !modal.inner && !modal.should_close() {
        app.sheet = Some(sheet);
    }
}

fn title_ui(ui: &mut Ui, title: &str) {
    ui.label(RichText::new(title).font(theme::semibold(theme::size::TITLE)));
    ui.add_space(space::S);
}

fn about_ui(ui: &mut Ui) {
    title_ui(ui, &format!("{APP} {}", env!("CARGO_PKG_VERSION")));
    let caution = theme::palette(ui).caution;
    ui.label(
        RichText::new(RESEARCH_ONLY)
            .font(theme::medium(theme::size::BODY))
            .color(caution),
    );
    for paragraph in words::ABOUT {
        ui.label(paragraph);
    }
}

fn keys_ui(ui: &mut Ui) {
    title_ui(ui, &Command::Keys.label());
    ui.spacing_mut().interact_size.y = 18.0;
    let row = |ui: &mut Ui, keys: &str, effect: &str| {
        ui.label(RichText::new(keys).font(theme::medium(theme::size::BODY)));
        ui.label(effect);
        ui.end_row();
    };
    let grid = Grid::new("keys").num_columns(2).spacing([32.0, 5.0]);
    grid.show(ui, |ui| {
        for (gesture, effect) in words::MOUSE {
            row(ui, gesture, effect);
        }
        for command in Command::with_shortcut() {
            match (command, command.keys(ui.ctx())) {
                // One row for all of them.
                (Command::Panels(1), _) => row(ui, words::PANEL_KEYS, words::PANEL_KEYS_EFFECT),
                (Command::Panels(_), _) | (_, None) => {}
                (_, Some(keys)) => row(ui, &keys, &command.label()),
            }
        }
    });
}

/// What a method shows, where it misleads, and where it comes from.
pub(super) fn method_card_ui(ui: &mut Ui, method: &Method, cost: Option<&str>) {
    let muted = theme::palette(ui).muted;
    ui.spacing_mut().item_spacing.y = 3.0;
    ui.label(RichText::new(method.label).font(theme::semibold(theme::size::HEADING)));
    let family = if method.class_discriminative {
        method.family.to_owned()
    } else {
        format!("{}, {}", method.family, method_words::EVERY_CLASS)
    };
    ui.label(RichText::new(family).small().color(muted));
    ui.add_space(space::XS);
    for (head, text) in [
        (words::SHOWS, method.shows),
        (words::WEAKNESS, method.weakness),
        (method_words::COST, cost.unwrap_or(method.cost.formula)),
        (words::SOURCE, method.citation.text),
    ] {
        section_ui(ui, head);
        ui.label(text);
    }
    if let Some(ours) = method.reconstruction {
        section_ui(ui, method_words::OURS);
        ui.label(ours);
    }
}

/// Whether the path is to be written to.
fn save_path_ui(ui: &mut Ui, title: &str, path: &mut String) -> bool {
    title_ui(ui, title);
    let edit = ui.name_inputs(words::EXPORT_PATH, |ui| {
        ui.add(TextEdit::singleline(path).desired_width(520.0))
    });
    let entered = edit.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
    ui.button(words::SAVE).clicked() || entered
}
