//! The colour scale under a panel, with numbers at its ends and a mark at the value under the pointer.

use egui::{Align2, Color32, Mesh, Rect, Shape, Stroke, Ui, pos2, vec2};

use super::figures;
use crate::plan::Sign;
use crate::post::ScaleRange;
use crate::render::colormap;
use crate::text::{notice, window};
use crate::ui::state::Look;
use crate::ui::theme;

/// What the numbers of a scale count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// The map's raw units.
    Raw,
    /// Shares of other scales.
    Shares,
}

const BAR: f32 = 6.0;
/// From this width on the ends of a scale with both signs are said in words.
const WIDE: f32 = 260.0;
/// Coloured steps of the bar.
const STEPS: usize = 64;

/// Draws the scale into `area`. `value` is what the pointer is on, where it is on something; `count` is what the numbers
/// count.
pub(crate) fn colour_scale_ui(
    ui: &Ui,
    area: Rect,
    range: ScaleRange,
    look: &Look,
    value: Option<f32>,
    count: Count,
) {
    let font = theme::regular(theme::size::SMALL);
    let painter = ui.painter();
    let quiet = theme::ON_WELL_QUIET;
    let y = area.center().y;
    let signed = look.post.sign == Sign::Signed;
    let numbers = [range.lo, range.hi].map(notice::number);
    let ends = match (count, area.width() >= WIDE) {
        (Count::Raw, true) if signed => [
            notice::bar_against(range.lo),
            notice::bar_in_favour(range.hi),
        ],
        (Count::Raw, true) => {
            let [lo, hi] = numbers;
            [lo, window::raw(&hi)]
        }
        _ => numbers,
    };
    let [lo, hi] = ends;
    let lo = painter.text(
        pos2(area.left(), y),
        Align2::LEFT_CENTER,
        lo,
        font.clone(),
        quiet,
    );
    let hi = painter.text(
        pos2(area.right(), y),
        Align2::RIGHT_CENTER,
        hi,
        font.clone(),
        quiet,
    );
    let bar = Rect::from_min_max(
        pos2(lo.right() + theme::space::S, y - BAR / 2.0),
        pos2(hi.left() - theme::space::S, y + BAR / 2.0),
    );
    if bar.width() < 20.0 {
        return;
    }
    painter.add(Shape::mesh(gradient(bar, look)));
    painter.rect_stroke(
        bar,
        0.0,
        Stroke::new(1.0, Color32::from_white_alpha(46)),
        egui::StrokeKind::Outside,
    );
    if signed {
        // The middle is 0, whatever the ends.
        let mark = Stroke::new(1.0, theme::ON_WELL);
        painter.vline(bar.center().x, bar.y_range().expand(2.0), mark);
    }
    if let Some(value) = value {
        let x = bar.left() + range.share(value) * bar.width();
        let tip = pos2(x, bar.top() - 1.0);
        painter.add(Shape::convex_polygon(
            vec![tip, tip + vec2(-4.0, -6.0), tip + vec2(4.0, -6.0)],
            theme::ON_WELL,
            Stroke::NONE,
        ));
        let text = notice::number(value);
        let half = figures(ui, &text, &font, theme::ON_WELL).size().x / 2.0;
        let at = pos2(
            x.clamp(
                bar.left() + half,
                (bar.right() - half).max(bar.left() + half),
            ),
            bar.top() - 8.0,
        );
        let galley = figures(ui, &text, &font, theme::ON_WELL);
        let spot = Align2::CENTER_BOTTOM.anchor_size(at, galley.size());
        painter.rect_filled(spot.expand2(vec2(4.0, 1.0)), 3.0, theme::WELL_VEIL);
        painter.galley(spot.min, galley, theme::ON_WELL);
    }
}

/// The colours as they come out over black; what the cut hides is dimmed.
fn gradient(bar: Rect, look: &Look) -> Mesh {
    let colours = colormap::lut(colormap::effective(look.view.colormap, look.post.sign));
    let mut mesh = Mesh::default();
    let step = bar.width() / STEPS as f32;
    for i in 0..STEPS {
        let share = (i as f32 + 0.5) / STEPS as f32;
        let strength = match look.post.sign {
            Sign::Signed => (2.0 * share - 1.0).abs(),
            Sign::Positive | Sign::Negative => share,
        };
        let level = (share * (colormap::LEVELS - 1) as f32) as usize;
        let [r, g, b] = colours.get(level).copied().unwrap_or_default();
        let colour = if strength < look.post.cut {
            Color32::from_gray(38)
        } else {
            Color32::from_rgb(r, g, b)
        };
        let left = bar.left() + i as f32 * step;
        mesh.add_colored_rect(
            Rect::from_min_max(pos2(left, bar.top()), pos2(left + step, bar.bottom())),
            colour,
        );
    }
    mesh
}
