//! An X-ray as numbers, and where they came from.
//!
//! * [`Image`]: stored pixel values as f32 planes, read from PNG, JPEG, TIFF, BMP, WebP or DICOM
//! * [`display`]: grey levels for the eye only; a model's input never depends on them
//! * [`record`]: what a DICOM header says, apart in what may be written and what may only be shown
//! * [`geometry`]: which pixel is where, after every crop and resize

pub mod display;
pub mod geometry;
pub mod record;

mod dicom;
mod hash;
mod probe;
mod raster;
mod resize;
mod sniff;

pub use hash::sha256_hex;
pub use probe::{Probe, probe};
pub use raster::{Image, MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, MIN_SIDE, Origin};
pub use resize::{Filter, resize_grey, resize_plane, resize_plane_with, resize_rgb};
