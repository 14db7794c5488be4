//! An X-ray as numbers, and where they came from.
//!
//! * [`Image`]: stored pixel values as f32 planes, read from PNG, JPEG, TIFF, BMP or WebP
//! * [`DisplayWindow`]: grey levels for the eye only; a model's input never depends on it
//! * [`geometry`]: which pixel is where, after every crop and resize
//!
//! DICOM has its door here: `sniff` recognises it by content, and a reader will yield the same
//! [`Image`].

pub mod geometry;

mod hash;
mod raster;
mod resize;
mod sniff;
mod window;

pub use hash::sha256_hex;
pub use raster::{Image, MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, MIN_SIDE, Origin};
pub use resize::{Filter, resize_grey, resize_plane, resize_plane_with, resize_rgb};
pub use window::{DisplayWindow, to_u8};
