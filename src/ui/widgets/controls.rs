//! Rows of the side panels: headings, amounts, choices.

use std::sync::Arc;

use egui::{
    Align, Button, Color32, DragValue, FontId, Galley, Layout, Response, RichText, Sense, Slider,
    Stroke, TextEdit, Ui, UiBuilder, vec2,
};

use crate::text::window as words;
use crate::ui::theme::{self, space};

/// A thin rule over the panel's whole width.
pub(crate) fn rule_ui(ui: &mut Ui) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
    let line = theme::palette(ui).line;
    ui.painter()
        .hline(rect.x_range(), rect.center().y, Stroke::new(1.0, line));
}

/// A small quiet heading.
pub(crate) fn section_ui(ui: &mut Ui, title: &str) {
    let p = theme::palette(ui);
    ui.label(
        RichText::new(title)
            .font(theme::semibold(theme::size::SMALL))
            .color(p.muted),
    );
}

/// A number in words and steps, for [`amount_ui`].
pub(crate) struct Amount<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What it does.
    pub(crate) hint: &'a str,
    /// Smallest and largest value, in the unit that is shown.
    pub(crate) range: [f64; 2],
    /// What a double click goes back to.
    pub(crate) default: f64,
    /// Behind the number.
    pub(crate) unit: &'a str,
}

/// A name, a number that can be typed, and a rail. Returns whether the value moved.
pub(crate) fn amount_ui(ui: &mut Ui, amount: &Amount<'_>, value: &mut f64) -> bool {
    let before = *value;
    ui.scope(|ui| amount_row_ui(ui, amount, value));
    ui.add_space(space::XS);
    (*value - before).abs() > f64::EPSILON
}

fn amount_row_ui(ui: &mut Ui, amount: &Amount<'_>, value: &mut f64) {
    let [lo, hi] = amount.range;
    ui.spacing_mut().item_spacing.y = 1.0;
    ui.horizontal(|ui| {
        ui.label(RichText::new(amount.name).font(theme::medium(theme::size::BODY)))
            .on_hover_text(amount.hint);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().button_padding = vec2(5.0, 1.0);
            ui.spacing_mut().interact_size.y = 20.0;
            let v = &mut ui.visuals_mut().widgets;
            v.inactive.weak_bg_fill = Color32::TRANSPARENT;
            ui.name_inputs(words::value_of(amount.name), |ui| {
                ui.add(
                    DragValue::new(value)
                        .range(lo..=hi)
                        .max_decimals(0)
                        .speed((hi - lo) / 200.0)
                        .suffix(amount.unit),
                )
            });
        });
    });
    let slider = ui.name_inputs(amount.name, |ui| {
        ui.spacing_mut().slider_width = ui.available_width();
        ui.spacing_mut().interact_size.y = 18.0;
        ui.visuals_mut().selection.bg_fill = theme::palette(ui).accent.gamma_multiply(0.75);
        ui.add(Slider::new(value, lo..=hi).step_by(1.0).show_value(false))
    });
    if slider.double_clicked() {
        *value = amount.default;
    }
    slider.on_hover_text(amount.hint);
}

/// Choices side by side, one of which holds. Returns whether another was chosen.
pub(crate) fn segmented_ui<T: PartialEq + Copy>(
    ui: &mut Ui,
    value: &mut T,
    choices: &[(T, &str, &str)],
) -> bool {
    let p = theme::palette(ui);
    let before = *value;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
    ui.painter().rect_filled(rect, 6.0, p.raised);
    let width = rect.width() / choices.len().max(1) as f32;
    for (i, (choice, label, hint)) in choices.iter().enumerate() {
        let left = rect.left() + i as f32 * width;
        let cell =
            egui::Rect::from_min_size(egui::pos2(left, rect.top()), vec2(width, rect.height()));
        let selected = *value == *choice;
        let text = RichText::new(*label)
            .font(theme::medium(theme::size::BODY - 0.5))
            .color(if selected {
                ui.visuals().selection.stroke.color
            } else {
                p.muted
            });
        ui.scope_builder(UiBuilder::new().max_rect(cell.shrink(2.0)), |ui| {
            ui.spacing_mut().button_padding = vec2(2.0, 0.0);
            let button = Button::selectable(selected, text)
                .truncate()
                .min_size(vec2(width - 4.0, 22.0));
            if ui
                .with_layout(
                    Layout::centered_and_justified(egui::Direction::LeftToRight),
                    |ui| ui.add(button),
                )
                .inner
                .on_hover_text(*hint)
                .clicked()
            {
                *value = *choice;
            }
        });
    }
    *value != before
}

/// A one-line text box as wide as its panel, with a name for screen readers beside its hint.
pub(crate) fn text_box_ui(ui: &mut Ui, name: &str, hint: &str, text: &mut String) -> Response {
    let edit = TextEdit::singleline(text)
        .hint_text(hint)
        .desired_width(f32::INFINITY);
    let response = ui.add(edit);
    ui.ctx()
        .accesskit_node_builder(response.id, |node| node.set_label(name));
    response
}

/// Digits in columns of equal width. The fonts' own digits are proportional, and numbers that are
/// compared or that change must not dance.
pub(crate) fn figures(ui: &Ui, text: &str, font: &FontId, colour: Color32) -> Arc<Galley> {
    let painter = ui.painter();
    let digit = |c: char| {
        painter
            .layout_no_wrap(c.to_string(), font.clone(), colour)
            .size()
            .x
    };
    let widest = digit('0');
    let mut job = egui::text::LayoutJob::default();
    let mut carry = 0.0;
    for c in text.chars() {
        let room = if c.is_ascii_digit() {
            (widest - digit(c)).max(0.0)
        } else {
            0.0
        };
        let format = egui::TextFormat::simple(font.clone(), colour);
        job.append(&c.to_string(), carry + room / 2.0, format);
        carry = room / 2.0;
    }
    painter.layout_job(job)
}
