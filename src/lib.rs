//! Camlens shows where a chest X-ray classifier looked.
//!
//! One way through the house; a module imports only what stands left of it, and
//! `tests/architecture.rs` fails when one does not:
//!
//! ```text
//! error plan text job -> image -> regions -> preprocess -> model -> explain -> post -> evaluate -> render -> export
//!                  synth, train    make what ships: sample cases and the small trained model
//!                  session         runs plans over all of these: worker, cache, progress, cancel
//!                  ui, cli         sit on session; they never compute
//! ```
//!
//! The main job, as data: a [`plan::Plan`] names a model, an image, a target and maps. The image
//! ([`image`]) becomes a model input by a described recipe ([`preprocess`]); the network, a graph
//! ([`model`]), keeps every node's output in one forward pass and hands gradients to every node in
//! one reverse walk; methods ([`explain`]) combine the two into raw maps; [`post`] makes maps
//! presentable in the open (sign, denoise, blur, normalise, cut), [`render`] colours and composes
//! them, [`export`] writes them whole or not at all.

pub mod error;
pub mod plan;
pub mod text;

pub mod job;

pub mod image;
pub mod preprocess;
pub mod regions;

pub mod model;

pub mod explain;
pub mod post;

pub mod evaluate;
pub mod render;

pub mod export;

pub mod synth;
pub mod train;

pub mod session;

pub mod cli;
#[cfg(feature = "gui")]
pub mod ui;

pub use error::{Error, Result};
