//! A file's bytes without a copy of it: the one place of this module that needs `unsafe`.
#![allow(unsafe_code)] // mapping a file is unsafe in Rust: another program may change it meanwhile

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::Result;
use crate::text::fault;

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 8 << 30;

/// What is expected where no regular file is.
const EXPECTED: &str = "a file with a network's weights";

/// Hands the bytes of a file to `read`, mapped into memory. Nothing of them may be kept: the map is
/// gone when this returns, so that a file which is changed or cut short later does not matter.
///
/// # Errors
/// A file that cannot be read, is no regular file or is larger than 8 GiB; whatever `read` refuses.
pub(super) fn with_bytes<T>(path: &Path, read: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    let meta = std::fs::metadata(path).map_err(|e| fault::read(path, &e))?;
    if meta.is_dir() {
        return Err(fault::is_folder(path, EXPECTED));
    }
    if !meta.is_file() {
        return Err(fault::not_a_regular_file(path, EXPECTED));
    }
    if meta.len() > MAX_BYTES {
        return Err(fault::model_too_large(path, meta.len(), MAX_BYTES));
    }
    if meta.len() == 0 {
        return read(&[]);
    }
    let file = File::open(path).map_err(|e| fault::read(path, &e))?;
    // SAFETY: the map is read-only, private to this function and dropped before it returns. Bytes that
    // another program writes meanwhile change numbers, which are checked after they are copied out; every length
    // is checked against the slice. Only a file that shrinks during these milliseconds would stop the
    // program, which the system offers no way to rule out.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| fault::read(path, &e))?;
    read(&map)
}
