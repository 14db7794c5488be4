//! The sheet that lists files: a folder's, or those that were dropped together.

use std::path::PathBuf;

use egui::{
    Align2, Color32, CornerRadius, Rect, Role, ScrollArea, Sense, Ui, WidgetInfo, pos2, vec2,
};

use crate::session::listing::Entry;
use crate::text::files as words;
use crate::ui::App;
use crate::ui::theme::{self, space};

/// Height of a row.
const ROW: f32 = 60.0;

/// Lists the files; returns the one that was chosen.
pub(super) fn files_ui(app: &mut App, ui: &mut Ui) -> Option<PathBuf> {
    let hides_names = app.is_written();
    let now = app.open_file().map(PathBuf::from);
    let p = theme::palette(ui);
    let list = app.files.as_mut()?;
    ui.label(egui::RichText::new(&list.title).font(theme::semibold(theme::size::TITLE)));
    ui.add_space(space::S);
    ui.set_min_size(vec2(520.0, 0.0));
    let entries: Vec<Entry> = match list.listing() {
        None => {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label(words::READING);
            });
            return None;
        }
        Some(Err(error)) => {
            ui.label(egui::RichText::new(error.to_string()).color(p.error));
            return None;
        }
        Some(Ok(listing)) => {
            for notice in &listing.notices {
                ui.label(egui::RichText::new(notice).small().color(p.muted));
            }
            if listing.entries.is_empty() {
                ui.label(words::EMPTY);
            }
            listing.entries.clone()
        }
    };
    let mut chosen = None;
    ScrollArea::vertical()
        .max_height(440.0)
        .auto_shrink([false, true])
        .show_rows(ui, ROW, entries.len(), |ui, rows| {
            for entry in &entries[rows] {
                let (rect, response) =
                    ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
                let can_open = entry.problem.is_none();
                response.widget_info(|| WidgetInfo::labeled(Role::Button, can_open, &entry.name));
                let fill = if now.as_ref() == Some(&entry.path) {
                    p.selected
                } else if response.hovered() || response.has_focus() {
                    p.raised
                } else {
                    Color32::TRANSPARENT
                };
                ui.painter().rect_filled(rect, CornerRadius::same(6), fill);
                let spot = Rect::from_min_size(rect.min + vec2(4.0, 4.0), vec2(56.0, ROW - 8.0));
                ui.painter().rect_filled(spot, 4.0, theme::WELL);
                if can_open && let Some(picture) = list.thumbnail(ui.ctx(), &entry.path) {
                    let [w, h] = picture.size().map(|side| side as f32);
                    let shrink = (spot.width() / w).min(spot.height() / h);
                    let size = vec2(w * shrink, h * shrink);
                    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
                    let at = Rect::from_center_size(spot.center(), size);
                    ui.painter().image(picture.id(), at, whole, Color32::WHITE);
                }
                let text = Rect::from_min_max(pos2(spot.right() + 12.0, rect.top()), rect.max);
                let painter = ui.painter().with_clip_rect(text.intersect(ui.clip_rect()));
                let colour = if can_open { p.text } else { p.muted };
                let font = theme::medium(theme::size::BODY);
                let at = text.left_top() + vec2(0.0, 9.0);
                painter.text(at, Align2::LEFT_TOP, &entry.name, font, colour);
                let (line, colour) = match &entry.problem {
                    Some(problem) => (problem.clone(), p.caution),
                    None => (facts_of(entry, hides_names), p.muted),
                };
                let font = theme::regular(theme::size::SMALL);
                let at = text.left_top() + vec2(0.0, 31.0);
                painter.text(at, Align2::LEFT_TOP, &line, font, colour);
                if let Some(problem) = &entry.problem {
                    response.on_hover_text(problem);
                } else if response.clicked() {
                    chosen = Some(entry.path.clone());
                }
            }
        });
    chosen
}

/// Format, size, kind, and who it is of, where that may be shown.
fn facts_of(entry: &Entry, hides_names: bool) -> String {
    let mut parts: Vec<String> = entry.format.iter().map(|f| (*f).to_owned()).collect();
    parts.extend(entry.size.map(words::size));
    parts.extend(
        entry
            .dicom
            .as_ref()
            .and_then(|facts| facts.modality.clone()),
    );
    if !hides_names && let Some(identity) = &entry.identity {
        let who = [&identity.name, &identity.id, &identity.study_date];
        parts.extend(who.into_iter().flatten().cloned());
    }
    words::facts(&parts)
}
