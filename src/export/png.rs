//! PNG files that say what they are: text chunks beside the pixels.

use std::io::Cursor;

use ::image::codecs::png::{CompressionType, FilterType, PngEncoder};
use ::image::{ExtendedColorType, GrayImage, ImageEncoder as _, RgbImage};

use crate::error::Result;
use crate::text::fault;

/// Length of PNG's signature and first chunk (IHDR); text goes right behind them.
const HEAD: usize = 8 + 25;

/// An RGB picture as the bytes of a PNG file; grey pictures are written with one channel. `notes`
/// are pairs of keyword ("Software", "Description", "Comment": 1 to 79 Latin letters) and text.
///
/// # Errors
/// Where the picture has no pixels.
pub fn png_bytes(picture: &RgbImage, notes: &[(&str, &str)]) -> Result<Vec<u8>> {
    let size = [picture.width(), picture.height()];
    let grey = picture
        .pixels()
        .all(|p| p.0[0] == p.0[1] && p.0[1] == p.0[2]);
    if grey {
        let levels: Vec<u8> = picture.pixels().map(|p| p.0[0]).collect();
        encode(&levels, size, ExtendedColorType::L8, notes)
    } else {
        encode(picture.as_raw(), size, ExtendedColorType::Rgb8, notes)
    }
}

/// 8-bit grey levels as the bytes of a PNG file.
///
/// # Errors
/// Where the picture has no pixels.
pub fn grey_png_bytes(picture: &GrayImage, notes: &[(&str, &str)]) -> Result<Vec<u8>> {
    let size = [picture.width(), picture.height()];
    encode(picture.as_raw(), size, ExtendedColorType::L8, notes)
}

/// An RGB picture as the bytes of a PNG file of three channels, also where all of it is grey.
///
/// # Errors
/// Where the picture has no pixels.
pub fn rgb_png_bytes(picture: &RgbImage, notes: &[(&str, &str)]) -> Result<Vec<u8>> {
    let size = [picture.width(), picture.height()];
    encode(picture.as_raw(), size, ExtendedColorType::Rgb8, notes)
}

/// RGBA bytes (not premultiplied, `4 * width * height`) as the bytes of a PNG file.
///
/// # Errors
/// Where the bytes do not fill the size, or it is empty.
pub fn rgba_png_bytes(rgba: &[u8], size: [usize; 2], notes: &[(&str, &str)]) -> Result<Vec<u8>> {
    let wrong = || fault::array_shape(&[size[1], size[0], 4], rgba.len());
    let cells = size[0].checked_mul(size[1]).ok_or_else(wrong)?;
    if cells.checked_mul(4) != Some(rgba.len()) {
        return Err(wrong());
    }
    let side = |length: usize| u32::try_from(length).map_err(|_| wrong());
    encode(
        rgba,
        [side(size[0])?, side(size[1])?],
        ExtendedColorType::Rgba8,
        notes,
    )
}

fn encode(
    samples: &[u8],
    [width, height]: [u32; 2],
    kind: ExtendedColorType,
    notes: &[(&str, &str)],
) -> Result<Vec<u8>> {
    if width == 0 || height == 0 {
        return Err(fault::encode("PNG", &"the picture has no pixels"));
    }
    let mut out = Cursor::new(Vec::new());
    // A fixed compression and filter: the same pixels give the same file. Searching for the best filter and
    // the shortest code takes ten times as long for a tenth of the bytes.
    PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Up)
        .write_image(samples, width, height, kind)
        .map_err(|error| fault::encode("PNG", &error))?;
    let mut bytes = out.into_inner();
    let chunks: Vec<u8> = notes
        .iter()
        .flat_map(|(keyword, text)| text_chunk(keyword, text))
        .collect();
    if bytes.len() >= HEAD {
        bytes.splice(HEAD..HEAD, chunks);
    }
    Ok(bytes)
}

/// `tEXt` for plain ASCII, `iTXt` (UTF-8) for anything else (PNG specification, 11.3.4).
fn text_chunk(keyword: &str, text: &str) -> Vec<u8> {
    let keyword: String = keyword
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(79)
        .collect();
    let text = text.replace('\0', " ");
    let ascii = text.is_ascii();
    let mut body: Vec<u8> = if ascii { *b"tEXt" } else { *b"iTXt" }.to_vec();
    body.extend_from_slice(keyword.as_bytes());
    body.push(0);
    if !ascii {
        // Not compressed; no language tag, no translated keyword.
        body.extend_from_slice(&[0, 0, 0, 0]);
    }
    body.extend_from_slice(text.as_bytes());
    let mut chunk = ((body.len() - 4) as u32).to_be_bytes().to_vec();
    chunk.extend_from_slice(&body);
    chunk.extend_from_slice(&crc32(&body).to_be_bytes());
    chunk
}

/// The checksum of PNG's chunks (ISO 3309, polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ::image::Rgb;

    #[test]
    fn crc_agrees_with_the_standard() {
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
    }

    #[test]
    fn pictures_with_notes_open_and_stay_exact() {
        let mut picture = RgbImage::new(40, 36);
        for (x, y, pixel) in picture.enumerate_pixels_mut() {
            *pixel = Rgb([x as u8, y as u8, 200]);
        }
        let notes = [("Software", "Camlens"), ("Description", "Lungen\u{f6}dem")];
        let bytes = png_bytes(&picture, &notes).unwrap();
        let back = ::image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(back, picture);
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
        assert!(has(b"tEXtSoftware\0Camlens") && has(b"iTXtDescription\0"));
        assert_eq!(bytes, png_bytes(&picture, &notes).unwrap());
    }

    #[test]
    fn grey_pictures_have_one_channel() {
        let picture = RgbImage::from_pixel(40, 36, Rgb([7, 7, 7]));
        let bytes = png_bytes(&picture, &[]).unwrap();
        let back = ::image::load_from_memory(&bytes).unwrap();
        assert_eq!(back.color(), ::image::ColorType::L8);
    }

    #[test]
    fn sizes_are_checked() {
        assert!(png_bytes(&RgbImage::new(0, 0), &[]).is_err());
        assert!(rgba_png_bytes(&[0; 15], [2, 2], &[]).is_err());
        assert!(rgba_png_bytes(&[0; 16], [2, 2], &[]).is_ok());
    }
}
