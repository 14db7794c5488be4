//! The purpose, the work in progress, and what the pointer is on.

use egui::{Align, Layout, ProgressBar, RichText, Spinner, Ui};

use super::queue::queue_menu;
use crate::job::Progress;
use crate::text::{RESEARCH_ONLY, window as words};
use crate::ui::App;
use crate::ui::command::Command;
use crate::ui::theme;
use crate::ui::widgets::figures;

pub(in crate::ui) fn bottom_ui(app: &mut App, ui: &mut Ui) {
    let p = theme::palette(ui);
    let small = theme::regular(theme::size::SMALL);
    ui.horizontal(|ui| {
        ui.set_height(22.0);
        ui.label(
            RichText::new(RESEARCH_ONLY)
                .font(theme::medium(theme::size::SMALL + 0.5))
                .color(p.caution),
        );
        ui.add_space(theme::space::L);
        work_ui(app, ui);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(words) = pixel_words(app) {
                let galley = figures(ui, &words, &small, p.muted);
                ui.label(galley);
            }
        });
    });
}

fn work_ui(app: &mut App, ui: &mut Ui) {
    let p = theme::palette(ui);
    let quiet = |text: String| RichText::new(text).small().color(p.muted);
    if app.export.is_some() {
        ui.add(Spinner::new().size(12.0));
        ui.label(quiet(words::EXPORTING.to_owned()));
    } else if app.cases.iter().any(|case| case.stopped) {
        ui.label(quiet(words::STOPPED.to_owned()));
        if ui.small_button(Command::Resume.label()).clicked() {
            app.send(Command::Resume);
        }
    } else if app.is_waiting() {
        ui.add(Spinner::new().size(12.0));
        if let Some(progress) = app.case().session.progress() {
            let Progress { label, done, total } = progress;
            ui.label(quiet(words::progress(label, *done, *total)));
            if progress.total > 0 {
                let share = progress.done as f32 / progress.total as f32;
                ui.add(
                    ProgressBar::new(share)
                        .desired_width(140.0)
                        .desired_height(4.0),
                );
            }
        }
        let more = ui.small_button(words::QUEUE);
        queue_menu(app, &more);
        if ui.small_button(Command::Cancel.label()).clicked() {
            app.send(Command::Cancel);
        }
    } else if app.case().session.is_busy() {
        ui.label(quiet(words::AHEAD.to_owned()));
    } else if app.is_complete() {
        ui.label(quiet(words::READY.to_owned()));
    }
}

/// The pixel under the pointer.
fn pixel_words(app: &App) -> Option<String> {
    let (case, [x, y]) = app.hover?;
    let case = app.cases.get(case);
    let picture = case.session.picture()?;
    let [width, height] = picture.size();
    if x < 0.0 || y < 0.0 || x >= width as f64 || y >= height as f64 {
        return None;
    }
    let (x, y) = (x as usize, y as usize);
    if let (Some(image), Some(display)) = (picture.image(), case.base.display())
        && image.channels == 1
    {
        let value = *image.values.get(y * width + x)?;
        let grey = display.level(&image.presentation, value);
        return Some(if image.origin.bits == 8 && image.record.is_none() {
            words::pixel(x, y, grey)
        } else {
            words::pixel_value(x, y, image.presentation.modality(value), grey)
        });
    }
    let pixel = picture.display.get_pixel_checked(x as u32, y as u32)?;
    let grey = pixel.0.iter().map(|&v| u32::from(v)).sum::<u32>() / 3;
    Some(words::pixel(x, y, grey as u8))
}
