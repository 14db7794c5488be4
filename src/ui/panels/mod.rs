//! The regions of the window.

mod aim;
mod bottom;
mod case;
mod cell;
mod details;
mod display;
mod duel;
mod files;
mod findings;
mod grey;
mod grid;
mod guide;
mod method_menu;
mod model_eye;
mod palette;
mod params;
mod queue;
mod regions;
mod says;
mod sheets;
mod strip;
mod top;
mod well;

pub(super) use bottom::bottom_ui;
pub(super) use case::case_ui;
pub(super) use display::display_ui;
pub(super) use grid::{drop_hint_ui, grid_ui};
pub(super) use guide::Guide;
pub(super) use model_eye::Eye;
pub(super) use palette::Palette;
pub(super) use sheets::sheets_ui;
pub(super) use strip::Strip;
pub(super) use top::top_ui;

use egui::{Color32, Frame, Margin, Ui};

use super::theme;

/// Around bars at the top and the bottom.
pub(super) fn bar_frame(ui: &Ui) -> Frame {
    Frame::new()
        .fill(theme::palette(ui).panel)
        .inner_margin(Margin::symmetric(16, 7))
}

/// Around the panels at the sides.
pub(super) fn side_frame(ui: &Ui) -> Frame {
    Frame::new()
        .fill(theme::palette(ui).panel)
        .inner_margin(Margin {
            left: 16,
            right: 16,
            top: 16,
            bottom: 12,
        })
}

/// Around the grid. Where the window is `cleared` to the ground's colour it is not painted once more: without a graphics
/// card every layer over the whole grid costs milliseconds.
pub(super) fn grid_frame(ui: &Ui, cleared: bool) -> Frame {
    let fill = if cleared {
        Color32::TRANSPARENT
    } else {
        theme::palette(ui).ground
    };
    Frame::new().fill(fill).inner_margin(Margin::same(10))
}
