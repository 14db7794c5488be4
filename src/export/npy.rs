//! NumPy's `.npy` format, version 1 and 2 (numpy.lib.format): strict about what is read, plain in
//! what is written.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::error::Result;
use crate::image::MAX_FILE_BYTES;
use crate::text::fault;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Most dimensions of an array that is read.
const MAX_RANK: usize = 4;
/// Longest header that is believed, in bytes.
const MAX_HEADER: usize = 65_536;

/// An array in C order, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Length of each dimension, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    /// As many values as the shape's product.
    pub values: Vec<f32>,
}

/// A two-dimensional f32 array `[height, width]` as the bytes of an `.npy` file (version 1.0,
/// little-endian, C order). The same values give the same bytes everywhere.
///
/// # Errors
/// Where `values` does not have `width * height` entries.
pub fn npy_bytes([width, height]: [usize; 2], values: &[f32]) -> Result<Vec<u8>> {
    if width.checked_mul(height) != Some(values.len()) {
        return Err(fault::array_shape(&[height, width], values.len()));
    }
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    // Magic, version and length take 10 bytes; the data start at a multiple of 64.
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.extend(std::iter::repeat_n(
        ' ',
        unpadded.next_multiple_of(64) - unpadded,
    ));
    header.push('\n');
    let mut bytes = Vec::with_capacity(MAGIC.len() + 4 + header.len() + 4 * values.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    Ok(bytes)
}

/// Reads an `.npy` file of float32 or float64 in C order, at most 4 dimensions, at most 1 GiB.
///
/// # Errors
/// Where the file is missing, a folder, not NumPy's, of another type or order, or where its size and
/// its header disagree.
pub fn read_npy(path: &Path) -> Result<NpyArray> {
    let file = File::open(path).map_err(|error| fault::read(path, &error))?;
    let facts = file.metadata().map_err(|error| fault::read(path, &error))?;
    if facts.is_dir() {
        return Err(fault::is_folder(path, "a NumPy array (.npy)"));
    }
    if facts.len() > MAX_FILE_BYTES {
        return Err(fault::file_too_large(path, facts.len(), MAX_FILE_BYTES));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| fault::read(path, &error))?;
    parse_npy(path, &bytes)
}

/// Reads an `.npy` file that is in memory; `path` is what errors name.
///
/// # Errors
/// As [`read_npy`].
pub fn parse_npy(path: &Path, bytes: &[u8]) -> Result<NpyArray> {
    let wrong = |why: &str| fault::npy(path, &why);
    let cut = || wrong("it is cut short inside its header");
    if !bytes.starts_with(MAGIC) {
        return Err(wrong("it does not start like one"));
    }
    let field = |from: usize, length: usize| bytes.get(from..from + length).ok_or_else(cut);
    let (start, length) = match field(6, 2)? {
        [1, _] => match field(8, 2)? {
            [a, b] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
            _ => return Err(cut()),
        },
        [2 | 3, _] => match field(8, 4)? {
            [a, b, c, d] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
            _ => return Err(cut()),
        },
        _ => return Err(wrong("its format version is not 1, 2 or 3")),
    };
    if length > MAX_HEADER {
        return Err(wrong("its header is impossibly long"));
    }
    let header =
        std::str::from_utf8(field(start, length)?).map_err(|_| wrong("its header is not text"))?;
    let data = bytes.get(start + length..).unwrap_or_default();

    let entry = |key: &str| {
        header
            .split_once(&format!("'{key}':"))
            .map(|(_, rest)| rest.trim_start())
            .ok_or_else(|| wrong(&format!("its header has no '{key}'")))
    };
    if !entry("fortran_order")?.starts_with("False") {
        return Err(wrong("it is stored in Fortran order"));
    }
    let descr = entry("descr")?;
    let shape = parse_shape(entry("shape")?).ok_or_else(|| wrong("its shape makes no sense"))?;
    if shape.len() > MAX_RANK {
        return Err(wrong(&format!("it has {} dimensions", shape.len())));
    }
    let count = shape
        .iter()
        .try_fold(1_usize, |count, &side| count.checked_mul(side))
        .ok_or_else(|| wrong("its shape is impossibly large"))?;
    let four = |read: fn([u8; 4]) -> f32| move |b: &[u8]| b.try_into().map(read);
    let eight = |read: fn([u8; 8]) -> f64| move |b: &[u8]| b.try_into().map(|b| read(b) as f32);
    let values: Option<Vec<f32>> = match descr.get(..5) {
        Some("'<f4'") => numbers(data, 4, count, four(f32::from_le_bytes)),
        Some("'>f4'") => numbers(data, 4, count, four(f32::from_be_bytes)),
        Some("'<f8'") => numbers(data, 8, count, eight(f64::from_le_bytes)),
        Some("'>f8'") => numbers(data, 8, count, eight(f64::from_be_bytes)),
        _ => {
            let found = descr.split(',').next().unwrap_or(descr);
            return Err(wrong(&format!("its numbers are of type {found}")));
        }
    };
    let values = values.ok_or_else(|| {
        wrong(&format!(
            "its header says shape {shape:?}, but {} bytes of data follow",
            data.len()
        ))
    })?;
    Ok(NpyArray { shape, values })
}

/// `count` numbers of `size` bytes, or `None` where `data` has not exactly that many.
fn numbers<E>(
    data: &[u8],
    size: usize,
    count: usize,
    read: impl Fn(&[u8]) -> std::result::Result<f32, E>,
) -> Option<Vec<f32>> {
    if count.checked_mul(size) != Some(data.len()) {
        return None;
    }
    data.chunks_exact(size)
        .map(|chunk| read(chunk).ok())
        .collect()
}

/// A Python tuple of whole numbers at the start of `text`: `()`, `(3,)`, `(1, 3, 224, 224)`.
fn parse_shape(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some(Vec::new());
    }
    inside
        .split(',')
        .map(|side| side.trim().parse().ok())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<NpyArray> {
        parse_npy(Path::new("a.npy"), bytes)
    }

    #[test]
    fn what_is_written_is_read() {
        let values = [1.5, -2.0, f32::MIN_POSITIVE, 0.0, 7.25, 1e30];
        let bytes = npy_bytes([3, 2], &values).unwrap();
        assert_eq!((bytes.len() - 24) % 64, 0, "data are aligned to 64 bytes");
        let array = parse(&bytes).unwrap();
        assert_eq!(array.shape, [2, 3]);
        assert_eq!(array.values, values);
        assert!(npy_bytes([3, 3], &values).is_err());
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn doubles_and_big_endian_are_read() {
        let header = "{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }\n";
        let mut data = 3.5_f64.to_be_bytes().to_vec();
        data.extend((-1.0_f64).to_be_bytes());
        let array = parse(&file(header, &data)).unwrap();
        assert_eq!((array.shape, array.values), (vec![2], vec![3.5, -1.0]));
    }

    #[test]
    fn damage_is_told_in_words() {
        let good = npy_bytes([4, 4], &[0.0; 16]).unwrap();
        let header = |descr: &str, order: &str, shape: &str| {
            let header =
                format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
            file(&header, &[0; 16])
        };
        for (bytes, word) in [
            (good[..20].to_vec(), "cut short"),
            (good[..good.len() - 4].to_vec(), "60 bytes"),
            (b"PK\x03\x04 and more".to_vec(), "start"),
            (header("'<i8'", "False", "(2,)"), "'<i8'"),
            (header("'<f4'", "True", "(2, 2)"), "Fortran"),
            (header("'<f4'", "False", "(1, 1, 1, 2, 2)"), "5 dimensions"),
            (header("'<f4'", "False", "(-4,)"), "shape"),
            (
                header("'<f4'", "False", "(4294967296, 4294967296, 4294967296)"),
                "large",
            ),
            (header("[('a', '<f4')]", "False", "(4,)"), "type"),
        ] {
            let error = parse(&bytes).unwrap_err();
            assert!(error.message().contains(word), "{word}: {error}");
        }
    }
}
