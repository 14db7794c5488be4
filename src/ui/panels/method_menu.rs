//! The menu of methods on a panel: by family, searchable, with a card beside each entry.

use egui::{
    Align, ComboBox, Key, Layout, Popup, PopupCloseBehavior, RectAlign, RichText, ScrollArea,
    Tooltip, Ui,
};

use super::sheets::method_card_ui;
use crate::explain::catalogue::{self, Method};
use crate::plan::Values;
use crate::text::method as words;
use crate::text::window;
use crate::ui::App;
use crate::ui::theme::{self, space};
use crate::ui::widgets::{section_ui, text_box_ui};

/// Height of the list.
const LIST: f32 = 420.0;

/// The menu; `small` where it shares one row with everything else.
pub(super) fn method_menu_ui(
    app: &mut App,
    ui: &mut Ui,
    panel: usize,
    now: &'static str,
    small: bool,
) {
    let Ok(method) = catalogue::find(now) else {
        return;
    };
    let mut chosen: Option<&'static Method> = None;
    let font = theme::semibold(match small {
        true => theme::size::BODY - 0.5,
        false => theme::size::HEADING,
    });
    let combo = ui.name_inputs(window::method_of_panel(panel + 1), |ui| {
        ui.spacing_mut().button_padding.x = if small { 4.0 } else { 8.0 };
        ComboBox::from_id_salt(("method", panel))
            .selected_text(RichText::new(method.label).font(font))
            .width(if small { 40.0 } else { 128.0 })
            .height(LIST + 60.0)
            .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
            .show_ui(ui, |ui| {
                chosen = list_ui(app, ui, panel, now);
                if chosen.is_some() {
                    ui.close();
                }
            })
    });
    let cost = app.passes_of(method, panel, &app.params_of(panel));
    combo
        .response
        .on_hover_ui(|ui| method_card_ui(ui, method, cost_words(app, method, cost).as_deref()));
    if combo.inner.is_none() && !Popup::is_any_open(ui.ctx()) {
        // The next menu begins with the whole list.
        app.method_filter.clear();
    }
    if let Some(chosen) = chosen.filter(|m| m.id != now) {
        let case = app.grid.case_of(panel);
        app.grid
            .set_method(panel, chosen, &app.cases.get(case).stops);
        app.grid.selected = panel;
        ui.ctx().request_repaint();
    }
}

fn list_ui(app: &mut App, ui: &mut Ui, panel: usize, now: &str) -> Option<&'static Method> {
    ui.set_min_width(300.0);
    ui.spacing_mut().item_spacing.y = 2.0;
    let find = words::FIND_METHOD;
    let search = text_box_ui(ui, find, find, &mut app.method_filter);
    ui.add_space(space::XS);
    let wanted = app.method_filter.trim().to_lowercase();
    let fits = |method: &&Method| {
        [method.id, method.label, method.family]
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    };
    let found: Vec<&'static Method> = catalogue::all().filter(fits).collect();
    let mut families: Vec<&str> = Vec::new();
    for method in &found {
        if !families.contains(&method.family) {
            families.push(method.family);
        }
    }
    let mut chosen = None;
    if search.lost_focus() && !wanted.is_empty() && ui.input(|i| i.key_pressed(Key::Enter)) {
        chosen = found.first().copied();
    }
    ScrollArea::vertical().max_height(LIST).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        // Families of several tables are one group each, in the order of their first methods.
        for family in families {
            ui.add_space(space::S);
            section_ui(ui, family);
            for method in found.iter().filter(|m| m.family == family) {
                if entry_ui(app, ui, panel, method, method.id == now) {
                    chosen = Some(method);
                }
            }
        }
        if found.is_empty() {
            ui.label(words::NO_SUCH_METHOD);
        }
    });
    chosen
}

/// One method; whether it was chosen.
fn entry_ui(app: &App, ui: &mut Ui, panel: usize, method: &'static Method, now: bool) -> bool {
    let muted = theme::palette(ui).muted;
    let cost = app.passes_of(method, panel, &Values::new());
    let long = cost_words(app, method, cost);
    ui.horizontal(|ui| {
        let entry = ui.selectable_label(now, method.label);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add_space(space::S);
            if !method.is_instant(&Values::new()) {
                let seconds = seconds(app, cost);
                let text = seconds.map_or_else(String::new, words::duration);
                ui.label(RichText::new(text).small().color(muted));
            }
            if !method.class_discriminative {
                ui.label(RichText::new(words::ANY_FINDING).small().color(muted))
                    .on_hover_text(words::EVERY_CLASS);
            }
        });
        // Beside the list, not over it.
        let mut card = Tooltip::for_enabled(&entry);
        card.popup = card.popup.align(RectAlign::RIGHT_START).gap(space::M);
        card.show(|ui| method_card_ui(ui, method, long.as_deref()));
        entry.clicked()
    })
    .inner
}

fn seconds(app: &App, passes: Option<catalogue::Passes>) -> Option<f64> {
    // A reverse walk costs about as much as a forward pass and a third.
    let pass = app.case().session.pass_time()?.as_secs_f64();
    passes.map(|p| pass * (p.forward as f64 + 1.3 * p.backward as f64))
}

/// What a method costs at a panel's layer.
pub(super) fn cost_words(
    app: &App,
    method: &Method,
    passes: Option<catalogue::Passes>,
) -> Option<String> {
    let passes = passes?;
    if method.is_instant(&Values::new()) {
        return Some(words::AT_ONCE.to_owned());
    }
    Some(words::passes(
        passes.forward,
        passes.backward,
        seconds(app, Some(passes)),
    ))
}
