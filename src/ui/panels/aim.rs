//! What of the finding is explained: alone or against another, logit or probability, presence or absence.

use egui::{Align, Button, Checkbox, Layout, Popup, PopupCloseBehavior, RichText, ScrollArea, Ui};

use crate::plan::{Score, Target};
use crate::text::method as words;
use crate::ui::App;
use crate::ui::case::Aim;
use crate::ui::theme::{self, space};
use crate::ui::widgets::{section_ui, segmented_ui};

/// The formula, where it is more than the finding's logit, and the menu that changes it.
pub(super) fn aim_ui(app: &mut App, ui: &mut Ui) {
    let Some(target) = app.objective() else {
        return;
    };
    let p = theme::palette(ui);
    one_output_ui(app, ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 18.0;
        ui.spacing_mut().button_padding.y = 1.0;
        // The menu's button is drawn first: after a formula that comes and goes it would be another widget to
        // egui, and the menu would close at the first choice.
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let text = RichText::new(words::CONTRAST).small().color(p.muted);
            let button = ui
                .add(Button::new(text).frame(false))
                .on_hover_text(words::CONTRAST_HINT);
            Popup::menu(&button)
                .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
                .show(|ui| menu_ui(app, ui, target.class));
            if target != Target::from(target.class) {
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    formula_ui(app, ui, &target);
                });
            }
        });
    });
}

/// What is explained as a formula; a click takes it back to the finding alone.
fn formula_ui(app: &mut App, ui: &mut Ui, target: &Target) {
    let label = |class: usize| {
        let finding = app.case().session.findings().get(class);
        finding.map(|f| f.label.clone()).unwrap_or_default()
    };
    let text = RichText::new(format!("{}  ×", target.formula(label)))
        .small()
        .color(theme::palette(ui).accent);
    let close = ui
        .add(Button::new(text).truncate())
        .on_hover_text(words::PLAIN_TARGET);
    close.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, words::PLAIN_TARGET));
    if close.clicked() {
        app.case_mut().aim = Aim::default();
    }
}

/// A network with one output says yes or no: both can be explained.
fn one_output_ui(app: &mut App, ui: &mut Ui) {
    let [finding] = app.case().session.findings() else {
        return;
    };
    let (is, is_not) = (finding.label.clone(), words::absence(&finding.label));
    let choices = [
        (false, is.as_str(), words::CONTRAST_HINT),
        (true, is_not.as_str(), words::NEGATED_HINT),
    ];
    segmented_ui(ui, &mut app.case_mut().aim.negated, &choices);
}

fn menu_ui(app: &mut App, ui: &mut Ui, class: usize) {
    ui.set_width(260.0);
    if app.case().session.findings().len() > 1 {
        section_ui(ui, words::AGAINST_WHICH);
        ScrollArea::vertical().max_height(240.0).show(ui, |ui| {
            ui.selectable_value(&mut app.case_mut().aim.against, None, words::AGAINST_NONE);
            let others = app.findings_order();
            for other in others.into_iter().filter(|&other| other != class) {
                let label = app
                    .case()
                    .session
                    .findings()
                    .get(other)
                    .map(|f| f.label.clone());
                let label = label.unwrap_or_default();
                ui.selectable_value(&mut app.case_mut().aim.against, Some(other), label);
            }
        });
        ui.add_space(space::S);
    }
    section_ui(ui, words::SCORE);
    let choices = Score::ALL.map(|score| (score, words::score(score), words::SCORE_HINT));
    segmented_ui(ui, &mut app.case_mut().aim.score, &choices);
    ui.add_space(space::S);
    ui.add(Checkbox::new(
        &mut app.case_mut().aim.negated,
        words::NEGATED,
    ))
    .on_hover_text(words::NEGATED_HINT);
}
