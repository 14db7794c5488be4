//! Fields become colours, colours lie over the X-ray, pictures become a figure.
//!
//! The same [`HeatLut`] paints the screen's textures and the exported pictures.
//!
//! * [`colormap`]: values to colours
//! * [`heat_rgba`]: a field as an RGBA picture of its own size, for a texture
//! * [`overlay`]: the heat over the base picture, sampled at the base's resolution
//! * [`figure`]: the annotated figure for reports

pub mod colormap;
pub mod figure;

mod colour_bar;
mod draw;
mod heat;
mod ink;
mod lettering;
mod overlay;
mod regions;
mod sheet;

pub use colormap::lut;
pub use figure::{ColourBar, Figure, FigurePanel};
pub use heat::{ENTRIES, HeatLut, heat_rgba};
pub use overlay::{Heat, crop_in_source, overlay, overlay_at};
pub use regions::{draw_regions, outlines};
