//! Numbers about a panel's map: a button beside the colour scale opens them, and for relevance a gauge on the picture
//! says how much of it came through.

use egui::{
    Align, Align2, Color32, Id, Layout, Popup, PopupCloseBehavior, Rect, RichText, Role, Sense,
    Stroke, Ui, WidgetInfo, pos2, vec2,
};

use crate::evaluate::fostering::Indicators;
use crate::explain::RawMap;
use crate::explain::catalogue;
use crate::explain::relevance::Conserved;
use crate::text::measure as words;
use crate::ui::App;
use crate::ui::theme::{self, space};
use crate::ui::widgets::section_ui;

/// Room that the button takes at the right end of the colour scale.
pub(super) const BUTTON: f32 = 26.0;
/// Width of the sheet that it opens.
const WIDTH: f32 = 330.0;

/// The button and what it opens.
pub(super) fn details_ui(app: &mut App, ui: &mut Ui, panel: usize, spot: Rect) {
    let Some(heat) = app.heats.get_mut(panel) else {
        return;
    };
    let Some(map) = heat.map().cloned() else {
        return;
    };
    let id = ui.scope_id().with(("details", panel));
    let button = ui.interact(spot, id, Sense::click());
    let name = words::details_of_panel(panel + 1);
    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let colour = if button.hovered() || button.has_focus() {
        theme::ON_WELL
    } else {
        theme::ON_WELL_QUIET
    };
    let painter = ui.painter();
    painter.circle_stroke(spot.center(), 7.5, Stroke::new(1.2, colour));
    let font = theme::semibold(theme::size::SMALL - 0.5);
    painter.text(spot.center(), Align2::CENTER_CENTER, "i", font, colour);
    Popup::menu(&button)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| {
            // Menus are justified, which tears sentences apart.
            ui.with_layout(Layout::top_down(Align::LEFT), |ui| {
                sheet_ui(ui, &map, heat.indicators());
            });
        });
    button.on_hover_text(words::DETAILS_HINT);
}

fn sheet_ui(ui: &mut Ui, map: &RawMap, indicators: Option<&Indicators>) {
    ui.set_width(WIDTH);
    ui.spacing_mut().item_spacing.y = space::XS;
    let muted = theme::palette(ui).muted;
    let quiet = |ui: &mut Ui, text: &str| {
        ui.label(RichText::new(text).small().color(muted));
    };
    let method = catalogue::find(&map.method).map_or("", |m| m.label);
    let heading = words::details_heading(method, &map.layer, [map.height, map.width]);
    ui.label(RichText::new(heading).font(theme::semibold(theme::size::HEADING)));
    ui.add_space(space::XS);
    section_ui(ui, words::CONCENTRATION);
    if let Some(i) = indicators {
        if let (Some(ce), Some(ca), Some(cd)) = (i.ce, i.ca, i.cd) {
            let cells = i.grid[0] * i.grid[1];
            ui.label(words::entropy(ce, i.ce_max, ce.exp(), cells));
            ui.label(words::extent(ca, i.even_extent()));
            ui.label(words::contrast(cd));
        } else {
            ui.label(i.reason.unwrap_or_default());
        }
    }
    quiet(ui, words::CONCENTRATION_HINT);
    if let Some(sentence) = map.conserved_words() {
        ui.add_space(space::S);
        section_ui(ui, words::CONSERVATION);
        ui.label(sentence);
        let most = largest(&map.conservation);
        for at in map.conservation.iter().rev() {
            row_ui(ui, at, most);
        }
        quiet(ui, words::CONSERVATION_HINT);
    }
}

/// The value that a bar stands for: the share, or the sum where shares mean nothing.
fn value(at: &Conserved) -> f64 {
    at.share.unwrap_or(at.sum)
}

/// What a full bar stands for: all of the relevance, or more where there is more.
fn largest(all: &[Conserved]) -> f64 {
    let most = all.iter().fold(0f64, |most, at| most.max(value(at).abs()));
    match all.iter().any(|at| at.share.is_some()) {
        true => most.max(1.0),
        // Rounding alone makes no bar.
        false => most.max(1e-6),
    }
}

/// A layer, a bar from 0, and its numbers.
fn row_ui(ui: &mut Ui, at: &Conserved, most: f64) {
    let p = theme::palette(ui);
    let words = words::conserved_at(&at.layer, at.sum, at.share);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 18.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
    let font = theme::regular(theme::size::SMALL);
    let painter = ui.painter();
    painter.text(
        rect.left_center(),
        Align2::LEFT_CENTER,
        &words,
        font,
        p.text,
    );
    let rail = Rect::from_min_max(
        pos2(rect.right() - 96.0, rect.center().y - 3.0),
        pos2(rect.right(), rect.center().y + 3.0),
    );
    painter.rect_filled(rail, 2.0, p.raised);
    let length = (value(at).abs() / most) as f32 * rail.width();
    let bar = Rect::from_min_size(rail.min, vec2(length, rail.height()));
    // Relevance whose sign has turned is not what came through.
    let colour = if value(at) < 0.0 { p.caution } else { p.accent };
    painter.rect_filled(bar, 2.0, colour);
}

/// Shares at the pixels between which the map accounts for most of the output: half of it, half more. Outside the gauge
/// calls for care. The bounds are ours.
const CALM: std::ops::RangeInclusive<f64> = 0.5..=1.5;
const BAR: f32 = 4.0;
const BAR_GAP: f32 = 2.0;
const BAR_HEIGHT: f32 = 14.0;

/// The gauge on the picture: a bar for each layer from the output (left) to the pixels (right), and the number there.
/// Returns where it stands; `None` for methods that hand no relevance down.
pub(super) fn gauge_ui(ui: &Ui, room: Rect, id: Id, map: &RawMap) -> Option<Rect> {
    let sentence = map.conserved_words()?;
    let (input, output) = (map.conservation.first()?, map.conservation.last()?);
    let short = match input.share {
        Some(share) => words::conserved_short(share),
        None => words::conserved_sums_short(output.sum, input.sum),
    };
    let count = map.conservation.len() as f32;
    let bars = count * BAR + (count - 1.0) * BAR_GAP;
    let colour = match input.share {
        Some(share) if !(CALM.contains(&share)) => theme::ON_WELL_CAUTION,
        _ => theme::ON_WELL,
    };
    let text = egui::text::LayoutJob {
        wrap: egui::text::TextWrapping::truncate_at_width((room.width() - bars - 24.0).max(0.0)),
        ..egui::text::LayoutJob::simple_singleline(short, theme::medium(theme::size::SMALL), colour)
    };
    let painter = ui.painter();
    let galley = painter.layout_job(text);
    let size = vec2(
        bars + galley.size().x + 21.0,
        galley.size().y.max(BAR_HEIGHT) + 8.0,
    );
    let rect = Rect::from_min_size(room.min, size);
    painter.rect_filled(rect, 5.0, theme::WELL_VEIL);
    let most = largest(&map.conservation);
    let turned = map.conservation.iter().any(|at| value(at) < 0.0);
    let foot = rect.center().y + BAR_HEIGHT / 2.0;
    // Where signs turn, 0 is in the middle.
    let (zero, full) = match turned {
        true => (rect.center().y, BAR_HEIGHT / 2.0),
        false => (foot, BAR_HEIGHT),
    };
    let mut x = rect.left() + 7.0;
    for (i, at) in map.conservation.iter().rev().enumerate() {
        let last = i + 1 == map.conservation.len();
        let colour: Color32 = if last { colour } else { theme::ON_WELL_QUIET };
        let height = (value(at) / most) as f32 * full;
        let bar = Rect::from_two_pos(pos2(x, zero), pos2(x + BAR, zero - height));
        painter.rect_filled(bar, 1.0, colour);
        x += BAR + BAR_GAP;
    }
    let line = Stroke::new(1.0, theme::ON_WELL_QUIET);
    painter.hline((rect.left() + 7.0)..=(x - BAR_GAP), zero, line);
    let at = pos2(x + 5.0, rect.center().y - galley.size().y / 2.0);
    painter.galley(at, galley, colour);
    let response = ui.interact(rect, id, Sense::hover());
    let name = words::gauge(&sentence);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    response.on_hover_text(sentence);
    Some(rect)
}
