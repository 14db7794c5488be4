//! Grey levels of the X-ray: window by right drag or by number, presets, inversion. Display only: what the network
//! is fed never depends on it.

use egui::{Button, Checkbox, ComboBox, DragValue, PointerButton, Response, RichText, Ui};

use crate::image::display::{Display, VoiFunction};
use crate::text::grey as words;
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::theme::{self, space};
use crate::ui::widgets::section_ui;

/// Screen points over which a drag passes through all values of the picture.
const FULL_DRAG: f64 = 600.0;

/// The side panel's part.
pub(super) fn grey_ui(app: &mut App, ui: &mut Ui) {
    let (Some(picture), Some(now)) = (
        app.case().session.picture().cloned(),
        app.case().base.display(),
    ) else {
        return;
    };
    let Some(image) = picture.image() else {
        return;
    };
    section_ui(ui, words::GREY_LEVELS);
    let mut display = now.clone();
    let span = span_of(
        image.max_value,
        image.presentation.modality(0.0),
        image.presentation.modality(image.max_value),
    );
    ui.horizontal(|ui| {
        let [mut center, mut width] = display.center_width();
        let mut changed = false;
        for (value, name, hint, range) in [
            (&mut center, words::CENTER, words::CENTER_HINT, -1e7..=1e7),
            (&mut width, words::WIDTH, words::WIDTH_HINT, 1e-3..=1e7),
        ] {
            let label = ui.label(RichText::new(name).small().color(theme::palette(ui).muted));
            let decimals = usize::from(span < 20.0) * 2;
            let box_ = DragValue::new(value)
                .speed(span / FULL_DRAG)
                .range(range)
                .max_decimals(decimals);
            let response = ui.add(box_).on_hover_text(hint).labelled_by(label.id);
            changed |= response.changed();
        }
        if changed {
            display.set_center_width(center, width);
        }
    });
    ui.horizontal(|ui| {
        let presets = Display::presets_of(image);
        let shown = if app.case().base.has_own_display() {
            words::PRESETS
        } else {
            words::OF_THE_FILE
        };
        ComboBox::from_id_salt("grey-presets")
            .selected_text(shown)
            .width(110.0)
            .show_ui(ui, |ui| {
                for (name, label) in presets {
                    if ui.selectable_label(false, label).clicked()
                        && let Ok(preset) = Display::preset(image, &name)
                    {
                        let invert = display.invert;
                        display = Display { invert, ..preset };
                    }
                }
            })
            .response
            .on_hover_text(words::PRESETS_HINT);
        let reset = Button::new(RichText::new(Command::ResetGrey.label()).small());
        if ui
            .add_enabled(app.case().base.has_own_display(), reset)
            .clicked()
        {
            app.send(Command::ResetGrey);
        }
    });
    ui.horizontal(|ui| {
        let muted = theme::palette(ui).muted;
        let label = ui.label(RichText::new(words::FUNCTION).small().color(muted));
        let now = display.function();
        ComboBox::from_id_salt("voi-function")
            .selected_text(now.map_or(words::TABLE, |f| words::function(f.id())))
            .width(110.0)
            .show_ui(ui, |ui| {
                for function in VoiFunction::ALL {
                    let chosen = now == Some(function);
                    if ui
                        .selectable_label(chosen, words::function(function.id()))
                        .clicked()
                    {
                        display.set_function(function);
                    }
                }
            })
            .response
            .on_hover_text(words::FUNCTION_HINT)
            .labelled_by(label.id);
    });
    ui.add(Checkbox::new(&mut display.invert, words::INVERT))
        .on_hover_text(words::INVERT_HINT);
    if display != now {
        app.case_mut().base.set_display(Some(display));
    }
    ui.add_space(space::M);
}

/// Right drag over the picture: across for the width, up and down for the center, as viewers do. Returns the numbers
/// to show while it lasts.
pub(super) fn drag_ui(app: &mut App, response: &Response, panel: usize) -> Option<String> {
    if !response.dragged_by(PointerButton::Secondary) {
        return None;
    }
    let picture = app.case_at(panel).session.picture()?.clone();
    let image = picture.image()?;
    let mut display = app.case_at(panel).base.display()?;
    let delta = response.drag_delta();
    let shown = &image.presentation;
    let span = span_of(
        image.max_value,
        shown.modality(0.0),
        shown.modality(image.max_value),
    );
    let [center, width] = display.center_width();
    // Narrow windows move slowly, so that a tenth of a window is as far to drag as it is in a wide one.
    let step = span.min(4.0 * width.max(span / 256.0)) / FULL_DRAG;
    if delta != egui::Vec2::ZERO {
        let width = (width + f64::from(delta.x) * step).max(span / 4096.0);
        display.set_center_width(center + f64::from(delta.y) * step, width);
        app.case_at_mut(panel)
            .base
            .set_display(Some(display.clone()));
    }
    let [center, width] = display.center_width();
    Some(words::numbers(center, width, span))
}

/// How far the values of the file can reach, in modality units.
fn span_of(max_value: f32, low: f64, high: f64) -> f64 {
    let span = (high - low).abs();
    if span.is_finite() && span > 0.0 {
        span
    } else {
        f64::from(max_value)
    }
}
