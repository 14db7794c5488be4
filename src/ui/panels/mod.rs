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

use egui::{Frame, Margin};

/// Room around the grid.
const GRID_MARGIN: i8 = 10;

/// Around bars at the top and the bottom. They have the colour that the window is cleared to, as the sides have.
pub(super) fn bar_frame() -> Frame {
    Frame::new().inner_margin(Margin::symmetric(16, 7))
}

/// Around the panels at the sides.
pub(super) fn side_frame() -> Frame {
    Frame::new().inner_margin(Margin {
        left: 16,
        right: 16,
        top: 16,
        bottom: 12,
    })
}

/// Around the grid, which paints its own ground.
pub(super) fn grid_frame() -> Frame {
    Frame::new().inner_margin(Margin::same(GRID_MARGIN))
}
