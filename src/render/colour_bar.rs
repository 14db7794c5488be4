//! The colour scale under a picture: numbers at its ends, hatching where nothing is drawn.

use ::image::RgbImage;

use super::colormap::{LEVELS, effective, lut};
use super::draw::{Area, Look, fill, fill_with, mix};
use super::figure::ColourBar;
use super::lettering::{Fonts, Style, Weight};
use crate::plan::Sign;
use crate::text::notice;

/// A number under the bar, at a share of its width.
struct Tick {
    share: f32,
    label: String,
}

/// Height of the whole, in pixels, `unit` being the size of one pixel at scale 1.
pub(super) fn height_px(unit: f32) -> f32 {
    (BAR + GAP + LABEL * 1.42 + UNIT_LINE * 1.42) * unit
}

const BAR: f32 = 9.0;
const GAP: f32 = 5.0;
const LABEL: f32 = 11.5;
const UNIT_LINE: f32 = 11.5;

/// Draws the bar with its upper left corner at `x`, `y`.
pub(super) fn draw(
    canvas: &mut RgbImage,
    fonts: &Fonts,
    look: &Look,
    bar: &ColourBar,
    [x, y]: [f32; 2],
    width: f32,
    unit: f32,
) {
    let colours = lut(effective(bar.view.colormap, bar.sign));
    let area = Area {
        x,
        y,
        width,
        height: (BAR * unit).round(),
    };
    let cut = bar.cut.clamp(0.0, 1.0);
    let period = (5.0 * unit).max(2.0) as u32;
    fill_with(canvas, area, |column, row| {
        let share = (column as f32 + 0.5) / width.max(1.0);
        let strength = match bar.sign {
            Sign::Signed => (2.0 * share - 1.0).abs(),
            _ => share,
        };
        if strength < cut {
            // Diagonal hatching: on the scale, but not drawn on the picture.
            let stroke = (column + row) % period < period.div_ceil(4);
            return if stroke { look.hatch } else { look.blank };
        }
        let level = (share * (LEVELS - 1) as f32 + 0.5) as usize;
        colours.get(level).copied().unwrap_or(look.blank)
    });
    outline(canvas, area, mix(look.paper, look.ink, 0.35), unit);

    let style = Style {
        weight: Weight::Medium,
        em_px: LABEL * unit,
        colour: look.ink,
    };
    let top = y + area.height + GAP * unit;
    let mut taken: Vec<(f32, f32)> = Vec::new();
    for tick in ticks(bar) {
        let label_width = fonts.width(&tick.label, &style);
        let at = x + tick.share * width;
        let left = (at - label_width / 2.0).clamp(x, (x + width - label_width).max(x));
        let clear = 10.0 * unit;
        // Ends come first; what would touch them is left out.
        if taken
            .iter()
            .any(|&(from, to)| left < to + clear && left + label_width > from - clear)
        {
            continue;
        }
        taken.push((left, left + label_width));
        if tick.share > 0.0 && tick.share < 1.0 {
            let mark = Area {
                x: (at - unit / 2.0).round(),
                y: y + area.height,
                width: unit.max(1.0).round(),
                height: (3.0 * unit).round(),
            };
            fill(canvas, mark, look.muted);
        }
        fonts.draw(canvas, &tick.label, &style, left, top + style.rise_px());
    }

    let quiet = Style {
        weight: Weight::Regular,
        em_px: UNIT_LINE * unit,
        colour: look.muted,
    };
    let line = top + style.line_px() + quiet.rise_px();
    let hint = if cut > 0.0 {
        notice::bar_cut(cut, bar.sign == Sign::Signed)
    } else {
        String::new()
    };
    let hint_width = fonts.width(&hint, &quiet);
    fonts.draw(canvas, &hint, &quiet, x + width - hint_width, line);
    let room = (width - hint_width - 12.0 * unit).max(0.0);
    let words = fonts.elide(&bar.unit, &quiet, room);
    fonts.draw(canvas, &words, &quiet, x, line);
}

fn outline(canvas: &mut RgbImage, area: Area, colour: [u8; 3], unit: f32) {
    let t = unit.max(1.0).round();
    let Area {
        x,
        y,
        width,
        height,
    } = area;
    let edges = [
        (x, y, width, t),
        (x, y + height - t, width, t),
        (x, y, t, height),
        (x + width - t, y, t, height),
    ];
    for (x, y, width, height) in edges {
        let edge = Area {
            x,
            y,
            width,
            height,
        };
        fill(canvas, edge, colour);
    }
}

/// Ends first, then what may be left out: the middle, then the cut.
fn ticks(bar: &ColourBar) -> Vec<Tick> {
    let value_at = |share: f32| bar.range.lo + (bar.range.hi - bar.range.lo) * share;
    let tick = |share: f32| Tick {
        share,
        label: notice::number(value_at(share)),
    };
    let cut = bar.cut.clamp(0.0, 1.0);
    if bar.sign == Sign::Signed {
        vec![
            Tick {
                share: 0.0,
                label: notice::bar_against(value_at(0.0)),
            },
            Tick {
                share: 1.0,
                label: notice::bar_in_favour(value_at(1.0)),
            },
            tick(0.5),
        ]
    } else {
        let mut all = vec![tick(0.0), tick(1.0)];
        if cut > 0.0 && cut < 1.0 {
            all.push(tick(cut));
        }
        all
    }
}
