//! Parameters of the selected panel's method, made from the catalogue.

use egui::{
    Align, Button, Checkbox, ComboBox, DragValue, Label, Layout, RichText, Slider, TextEdit, Ui,
};

use crate::explain::catalogue::{self, Domain, Param};
use crate::text::method as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::presets::Preset;
use crate::ui::state::STAGE;
use crate::ui::theme::{self, space};
use crate::ui::widgets::section_ui;

pub(super) fn params_ui(app: &mut App, ui: &mut Ui) {
    let panel = app.grid.selected;
    let Some(method) = app
        .grid
        .panels
        .get(panel)
        .and_then(|p| catalogue::find(p.method).ok())
    else {
        return;
    };
    let p = theme::palette(ui);
    let params = app.params_of(panel);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 16.0;
        ui.spacing_mut().button_padding.y = 0.0;
        section_ui(ui, &words::parameters(panel + 1, method.label));
        if !params.is_empty() {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let text = RichText::new(words::DEFAULTS).small().color(p.muted);
                if ui.add(Button::new(text).frame(false)).clicked()
                    && let Some(panel) = app.grid.panels.get_mut(panel)
                {
                    panel.params.clear();
                }
            });
        }
    });
    if method.params.is_empty() {
        ui.label(RichText::new(words::NO_PARAMETERS).small().color(p.muted));
    }
    for param in method.params {
        let default = param.default_text();
        let value = params.get(param.id).unwrap_or(&default);
        let changed = param_ui(ui, panel, param, value, method.is_instant(&params));
        if let Some(value) = changed
            && let Some(panel) = app.grid.panels.get_mut(panel)
        {
            // Only what differs is a part of the map's key: defaults are the same map.
            if value == default {
                panel.params.remove(param.id);
            } else {
                panel.params.insert(param.id.to_owned(), value);
            }
        }
    }
    if method.params.iter().any(|param| param.id == STAGE)
        && ui
            .small_button(words::STAGES)
            .on_hover_text(words::STAGES_HINT)
            .clicked()
    {
        app.send(Command::Preset(Preset::Stages));
    }
    ui.add_space(space::M);
}

/// One parameter; its new value once it was changed. `live` numbers take effect while they are dragged.
fn param_ui(ui: &mut Ui, panel: usize, param: &Param, value: &str, live: bool) -> Option<String> {
    match param.domain {
        Domain::Choice(["no", "yes"]) => {
            let mut on = value == "yes";
            let check = ui.add(Checkbox::new(&mut on, param.id));
            let changed = check.clicked();
            check.on_hover_text(param.help);
            changed.then(|| if on { "yes" } else { "no" }.to_owned())
        }
        Domain::Choice(choices) => row(ui, param, |ui| {
            let mut chosen = value;
            ComboBox::from_id_salt(("param", panel, param.id))
                .selected_text(value)
                .width(116.0)
                .show_ui(ui, |ui| {
                    for choice in choices {
                        ui.selectable_value(&mut chosen, choice, *choice);
                    }
                });
            (chosen != value).then(|| chosen.to_owned())
        }),
        Domain::Number {
            min, max, whole, ..
        } => row(ui, param, |ui| {
            number_ui(ui, panel, param, value, [min, max], whole, live)
        }),
        Domain::Rules { .. } => rules_ui(ui, panel, param, value),
    }
}

/// Rules of layers as text: they take effect when the line is left and reads as rules; what does not read says why.
fn rules_ui(ui: &mut Ui, panel: usize, param: &Param, value: &str) -> Option<String> {
    let id = ui.scope_id().with(("param", panel, param.id));
    let draft: Option<String> = ui.data(|data| data.get_temp(id));
    let mut shown = draft.clone().unwrap_or_else(|| value.to_owned());
    ui.add(Label::new(param.id)).on_hover_text(param.help);
    let width = ui.available_width();
    let edit = ui.name_inputs(param.id, |ui| {
        ui.add(TextEdit::singleline(&mut shown).desired_width(width))
    });
    let wrong = param.fault(&shown);
    if let Some(wrong) = &wrong {
        let p = theme::palette(ui);
        ui.label(RichText::new(wrong).small().color(p.caution));
    }
    if edit.has_focus() {
        ui.data_mut(|data| data.insert_temp(id, shown));
        return None;
    }
    if draft.is_some() && wrong.is_none() {
        ui.data_mut(|data| data.remove::<String>(id));
    }
    (wrong.is_none() && shown != value).then_some(shown)
}

/// A number; a share or another measure on a slider. Unless it is `live` it takes effect when it is let go: a map of
/// many passes must not begin at every step of a drag.
fn number_ui(
    ui: &mut Ui,
    panel: usize,
    param: &Param,
    value: &str,
    [min, max]: [f64; 2],
    whole: bool,
    live: bool,
) -> Option<String> {
    let id = ui.scope_id().with(("param", panel, param.id));
    let stands: f64 = value.parse().unwrap_or(min);
    let mut shown = ui.data(|data| data.get_temp(id)).unwrap_or(stands);
    let speed = if whole {
        (stands.abs() / 100.0).max(0.1)
    } else {
        ((max - min) / 400.0).min(0.02)
    };
    let drag = if whole {
        let drag = DragValue::new(&mut shown).range(min..=max).speed(speed);
        ui.add(drag.max_decimals(0))
    } else {
        ui.spacing_mut().slider_width = 72.0;
        let slider = Slider::new(&mut shown, min..=max).drag_value_speed(speed);
        ui.add(slider.max_decimals(3))
    };
    // Hundredths are as fine as an eye can tell, and their maps are kept.
    if live && !whole && drag.dragged() {
        shown = (shown * 100.0).round() / 100.0;
    }
    let waits = drag.dragged() && !live;
    if waits || drag.has_focus() && !drag.dragged() {
        ui.data_mut(|data| data.insert_temp(id, shown));
        return None;
    }
    ui.data_mut(|data| data.remove::<f64>(id));
    let shown = if whole { shown.round() } else { shown };
    ((shown - stands).abs() > 1e-9).then(|| shown.to_string())
}

fn row<R>(ui: &mut Ui, param: &Param, add: impl FnOnce(&mut Ui) -> R) -> R {
    ui.horizontal(|ui| {
        ui.add(Label::new(param.id)).on_hover_text(param.help);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.name_inputs(param.id, add)
        })
        .inner
    })
    .inner
}
