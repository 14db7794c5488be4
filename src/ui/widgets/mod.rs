//! Controls that egui does not bring along.

mod colour_scale;
mod controls;
mod depth;

pub(crate) use colour_scale::{Count, colour_scale_ui};
pub(crate) use controls::{
    Amount, amount_ui, figures, rule_ui, section_ui, segmented_ui, text_box_ui,
};
pub(crate) use depth::depth_ui;
