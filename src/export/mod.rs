//! Results on disk, whole or not at all.
//!
//! * [`npy_bytes`], [`read_npy`]: NumPy arrays
//! * [`png_bytes`] and its like: pictures with a description inside
//! * [`Bundle`]: a folder of files whose manifest is written last
//! * [`write_whole`]: a single file

mod bundle;
mod npy;
mod png;

pub use bundle::{Bundle, safe_name, write_whole};
pub use npy::{NpyArray, npy_bytes, parse_npy, read_npy};
pub use png::{grey_png_bytes, png_bytes, rgb_png_bytes, rgba_png_bytes};
