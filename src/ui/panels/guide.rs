//! The guide to the methods, from the catalogue: what each one shows, where it misleads, what it costs here, whose it is.

use egui::{Button, Key, Layout, RichText, ScrollArea, Ui, vec2};

use super::method_menu::cost_words;
use super::sheets::method_card_ui;
use crate::explain::catalogue::{self, Method};
use crate::text::method as words;
use crate::text::window;
use crate::ui::App;
use crate::ui::theme::{self, space};
use crate::ui::widgets::{section_ui, text_box_ui};

/// Height of both columns.
const HEIGHT: f32 = 460.0;
/// Width of the list.
const LIST: f32 = 220.0;
/// Width of the card.
const CARD: f32 = 480.0;

/// What is typed, and the method whose card is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ui) struct Guide {
    typed: String,
    open: Option<&'static str>,
}

impl Guide {
    /// The guide opened at a method.
    pub(in crate::ui) fn at(method: &'static str) -> Self {
        Self {
            typed: String::new(),
            open: Some(method),
        }
    }
}

/// The sheet; the method that is to be shown in the selected panel.
pub(super) fn guide_ui(app: &App, ui: &mut Ui, guide: &mut Guide) -> Option<&'static Method> {
    ui.label(
        RichText::new(crate::text::command::METHODS).font(theme::semibold(theme::size::TITLE)),
    );
    ui.add_space(space::S);
    let mut wish = None;
    ui.horizontal_top(|ui| {
        ui.allocate_ui_with_layout(
            vec2(LIST, HEIGHT),
            Layout::top_down(egui::Align::Min),
            |ui| {
                ui.set_width(LIST);
                list_ui(ui, guide);
            },
        );
        ui.add_space(space::L);
        ui.allocate_ui_with_layout(
            vec2(CARD, HEIGHT),
            Layout::top_down(egui::Align::Min),
            |ui| {
                ui.set_width(CARD);
                let open = guide.open.and_then(|id| catalogue::find(id).ok());
                if let Some(method) = open {
                    wish = card_ui(app, ui, method);
                }
            },
        );
    });
    wish
}

fn list_ui(ui: &mut Ui, guide: &mut Guide) {
    text_box_ui(ui, words::FIND_METHOD, words::FIND_METHOD, &mut guide.typed);
    let wanted = guide.typed.trim().to_lowercase();
    let fits = |method: &&Method| {
        [method.id, method.label, method.family]
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    };
    let found: Vec<&'static Method> = catalogue::all().filter(fits).collect();
    if !found.iter().any(|method| Some(method.id) == guide.open) {
        guide.open = found.first().map(|method| method.id);
    }
    let step =
        ui.input(|i| i.num_presses(Key::ArrowDown) as isize - i.num_presses(Key::ArrowUp) as isize);
    if step != 0
        && let Some(at) = found.iter().position(|m| Some(m.id) == guide.open)
    {
        let next = at.saturating_add_signed(step).min(found.len() - 1);
        guide.open = found.get(next).map(|method| method.id);
    }
    ScrollArea::vertical()
        .id_salt("guide's list")
        .max_height(HEIGHT - 40.0)
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            let mut family = "";
            for method in &found {
                if method.family != family {
                    family = method.family;
                    ui.add_space(space::S);
                    section_ui(ui, family);
                }
                let open = guide.open == Some(method.id);
                let row = ui.selectable_label(open, method.label);
                if open && step != 0 {
                    row.scroll_to_me(None);
                }
                if row.clicked() {
                    guide.open = Some(method.id);
                }
            }
            if found.is_empty() {
                ui.label(words::NO_SUCH_METHOD);
            }
        });
}

fn card_ui(app: &App, ui: &mut Ui, method: &'static Method) -> Option<&'static Method> {
    let panel = app.grid.selected;
    let cost = app.passes_of(method, panel, &app.params_of(panel));
    let cost = cost_words(app, method, cost);
    let mut wish = None;
    ScrollArea::vertical()
        .id_salt(("guide's card", method.id))
        .max_height(HEIGHT - 44.0)
        .auto_shrink(false)
        .show(ui, |ui| method_card_ui(ui, method, cost.as_deref()));
    ui.add_space(space::S);
    ui.horizontal(|ui| {
        let show = Button::new(window::show_in_panel(panel + 1));
        if ui.add(show).clicked() {
            wish = Some(method);
        }
        if ui
            .button(words::COPY_BIBTEX)
            .on_hover_text(method.citation.bibtex)
            .clicked()
        {
            ui.ctx().copy_text(method.citation.bibtex.to_owned());
        }
    });
    wish
}
