//! A picture of the size and depth of a digital chest film, for timing: no film of anybody, only its numbers' range.

use std::path::Path;

use crate::error::Result;
use crate::export::write_whole;

/// Columns and rows.
pub(super) const SIZE: [u16; 2] = [2500, 3000];
/// Bits of a value.
const BITS: u16 = 12;

/// Writes the picture as an uncompressed DICOM file without a window of its own.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path) -> Result<()> {
    write_whole(path, &dicom())
}

/// A value between 0 and 4095: a broad chest, ribs across it, and grain in the last bits.
fn value(x: f32, y: f32, grain: u16) -> u16 {
    let lungs = 1.0 - ((x - 0.5).abs() - 0.22).abs() * 3.0;
    let ribs = 0.5 + 0.5 * (34.0 * y + 6.0 * (x - 0.5).abs()).sin();
    let level = 0.25 + 0.45 * lungs.clamp(0.0, 1.0) + 0.2 * ribs;
    ((level * 4000.0) as u16).min(4063) + grain
}

fn dicom() -> Vec<u8> {
    let [columns, rows] = SIZE;
    let mut meta = Vec::new();
    put(&mut meta, 0x0002_0010, b"UI", b"1.2.840.10008.1.2.1\0");
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let length = u32::try_from(meta.len()).unwrap_or_default();
    put(&mut bytes, 0x0002_0000, b"UL", &length.to_le_bytes());
    bytes.extend(meta);
    put(&mut bytes, 0x0028_0002, b"US", &1_u16.to_le_bytes());
    put(&mut bytes, 0x0028_0004, b"CS", b"MONOCHROME2 ");
    for (tag, value) in [
        (0x0028_0010, rows),
        (0x0028_0011, columns),
        (0x0028_0100, 16),
        (0x0028_0101, BITS),
        (0x0028_0102, BITS - 1),
        (0x0028_0103, 0),
    ] {
        put(&mut bytes, tag, b"US", &value.to_le_bytes());
    }
    bytes.extend([0xE0, 0x7F, 0x10, 0x00]);
    bytes.extend(b"OW\0\0");
    bytes.extend((2 * u32::from(columns) * u32::from(rows)).to_le_bytes());
    let mut grain = 1_u32;
    for y in 0..rows {
        for x in 0..columns {
            grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let share = |at: u16, of: u16| f32::from(at) / f32::from(of);
            let cell = value(share(x, columns), share(y, rows), (grain >> 27) as u16);
            bytes.extend(cell.to_le_bytes());
        }
    }
    bytes
}

/// An element in the explicit little-endian coding.
fn put(bytes: &mut Vec<u8>, tag: u32, vr: &[u8; 2], value: &[u8]) {
    bytes.extend(((tag >> 16) as u16).to_le_bytes());
    bytes.extend((tag as u16).to_le_bytes());
    bytes.extend(vr);
    bytes.extend(u16::try_from(value.len()).unwrap_or_default().to_le_bytes());
    bytes.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_as_a_12_bit_picture() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.dcm");
        write(&path).unwrap();
        let image = crate::image::Image::open(&path).unwrap();
        assert_eq!(image.size(), [2500, 3000]);
        assert_eq!((image.origin.bits, image.max_value), (12, 4095.0));
        let (lo, hi) = image
            .values
            .iter()
            .fold((f32::MAX, f32::MIN), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
        assert!(lo < 1500.0 && hi > 3000.0, "{lo} {hi}");
    }
}
