//! Every finding with its probability; a click makes it the target.

use egui::text::{LayoutJob, TextWrapping};
use egui::{
    Align, Align2, Layout, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2,
    vec2,
};
use egui_extras::{Column, TableBuilder};

use crate::session::Finding;
use crate::text::window as words;
use crate::ui::App;
use crate::ui::theme::{self, space};
use crate::ui::widgets::{figures, section_ui, text_box_ui};

const ROW: f32 = 28.0;
/// From this many findings on, a filter is worth its room.
const FILTER_FROM: usize = 11;
const BAR_WIDTH: f32 = 84.0;

pub(super) fn findings_ui(app: &mut App, ui: &mut Ui) {
    let count = app.case().session.findings().len();
    ui.horizontal(|ui| {
        section_ui(ui, words::FINDINGS);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            section_ui(ui, words::PROBABILITY);
        });
    });
    if count >= FILTER_FROM {
        text_box_ui(ui, words::FILTER, words::FILTER, &mut app.filter);
    }
    if count == 0 {
        return;
    }
    let order = app.findings_order();
    let room = ui.available_height();
    ui.spacing_mut().item_spacing.y = 2.0;
    let mut chosen = None;
    let explained = app.objective().map(|target| target.class);
    TableBuilder::new(ui)
        .id_salt("findings")
        .column(Column::remainder().clip(true))
        .column(Column::exact(BAR_WIDTH + 42.0))
        .sense(Sense::click())
        .auto_shrink([false, true])
        .max_scroll_height((room - space::S).max(ROW))
        .min_scrolled_height(0.0)
        .body(|body| {
            body.rows(ROW, order.len(), |mut row| {
                let Some(finding) = order
                    .get(row.index())
                    .and_then(|&i| app.case().session.findings().get(i))
                else {
                    return;
                };
                let selected = explained == Some(finding.index);
                let second = app.case().session.attention_findings().get(finding.index);
                let second = second.map(|finding| finding.probability);
                row.set_selected(selected);
                row.col(|ui| {
                    if label_ui(ui, finding, second, selected).clicked() {
                        chosen = Some(finding.index);
                    }
                });
                let threshold = app.case().threshold_of(finding.index).unwrap_or(0.5);
                row.col(|ui| probability_ui(ui, finding.probability, threshold, selected));
                if row.response().clicked() {
                    chosen = Some(finding.index);
                }
            });
        });
    if let Some(class) = chosen {
        app.explain(class);
    }
}

/// The finding's name as a button that looks like a row.
fn label_ui(ui: &mut Ui, finding: &Finding, second: Option<f32>, selected: bool) -> Response {
    let p = theme::palette(ui);
    let area = ui.max_rect();
    let response = ui.interact(area, ui.scope_id().with(finding.index), Sense::click());
    let label = finding.label.as_str();
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, label));
    let font = if selected {
        theme::semibold(theme::size::BODY)
    } else {
        theme::regular(theme::size::BODY)
    };
    let job = LayoutJob {
        wrap: TextWrapping::truncate_at_width(area.width() - space::S),
        ..LayoutJob::simple_singleline(label.to_owned(), font, p.text)
    };
    let galley = ui.painter().layout_job(job);
    let at =
        Align2::LEFT_CENTER.anchor_size(area.left_center() + vec2(space::XS, 0.0), galley.size());
    ui.painter().galley(at.min, galley, p.text);
    if response.has_focus() {
        let stroke = Stroke::new(1.0, p.accent);
        ui.painter()
            .rect_stroke(area, 4.0, stroke, StrokeKind::Inside);
    }
    response.on_hover_text(words::finding_hint(
        label,
        finding.probability,
        finding.logit,
        finding.score,
        second,
    ))
}

fn probability_ui(ui: &Ui, probability: f32, threshold: f32, selected: bool) {
    let p = theme::palette(ui);
    let area = ui.max_rect();
    let y = area.center().y;
    let left = area.left();
    let rail = Rect::from_min_max(pos2(left, y - 2.0), pos2(left + BAR_WIDTH, y + 2.0));
    ui.painter().rect_filled(rail, 2.0, p.line);
    let filled = Rect::from_min_size(rail.min, vec2(BAR_WIDTH * probability.clamp(0.0, 1.0), 4.0));
    let colour = if selected { p.accent } else { p.faint };
    ui.painter().rect_filled(filled, 2.0, colour);
    // From here on the finding is called.
    let tick = rail.left() + BAR_WIDTH * threshold.clamp(0.0, 1.0);
    ui.painter()
        .vline(tick, (y - 5.0)..=(y + 5.0), Stroke::new(1.0, p.muted));
    let font = theme::regular(theme::size::BODY);
    let galley = figures(ui, &words::probability(probability), &font, p.text);
    let at = Align2::RIGHT_CENTER.anchor_size(pos2(area.right() - 4.0, y), galley.size());
    ui.painter().galley(at.min, galley, p.text);
}
