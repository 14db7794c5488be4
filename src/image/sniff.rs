//! What a file is by its content, never by its name, and whether it is all there.
//!
//! Decoders forgive too much for our purpose: a JPEG that breaks off decodes to a picture whose
//! lower half is flat grey, and a heatmap over grey is worth less than an error. So containers are
//! walked to their end mark before a decoder sees them.

use ::image::ImageFormat;

use super::dicom::is_dicom;

/// What the first bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// One of the formats that are read.
    Raster(ImageFormat),
    /// A DICOM file, with or without its preamble.
    Dicom,
    /// Anything else, in words that fit after "found".
    Other(&'static str),
}

/// Tells what `bytes` are from their content alone.
pub(super) fn content_of(bytes: &[u8]) -> Content {
    if is_dicom(bytes) {
        return Content::Dicom;
    }
    match ::image::guess_format(bytes) {
        // Two letters are no proof: a text may start with them, a BMP header is never text.
        Ok(ImageFormat::Bmp) if looks_like_text(head_of(bytes)) => {}
        Ok(
            format @ (ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::Tiff
            | ImageFormat::Bmp
            | ImageFormat::WebP),
        ) => return Content::Raster(format),
        Ok(ImageFormat::Gif) => return Content::Other("a GIF"),
        _ => {}
    }
    Content::Other(name_of_other(bytes))
}

/// Name of a raster format as people write it.
pub(super) fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::WebP => "WebP",
        _ => "image",
    }
}

fn name_of_other(bytes: &[u8]) -> &'static str {
    const SIGNATURES: [(&[u8], &str); 8] = [
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive (or an office document)"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x93NUMPY", "a NumPy array (.npy)"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
        (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
        (b"\x7fELF", "a program"),
    ];
    for (signature, name) in SIGNATURES {
        if bytes.starts_with(signature) {
            return name;
        }
    }
    let head = head_of(bytes);
    if head.get(4..8) == Some(b"ftyp") {
        return "a HEIC, AVIF or video file";
    }
    if looks_like_text(head) {
        return match head.trim_ascii_start().first() {
            Some(b'<') => "an HTML or XML text",
            Some(b'{' | b'[') => "a JSON text",
            _ => "plain text",
        };
    }
    if head.iter().all(|&byte| byte == 0) {
        return "nothing but zero bytes";
    }
    "an unknown kind of binary data"
}

fn head_of(bytes: &[u8]) -> &[u8] {
    bytes.get(..4096).unwrap_or(bytes)
}

fn looks_like_text(head: &[u8]) -> bool {
    // The cut at 4096 bytes may fall into a character: only its first part is judged.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default())
                .unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

/// Size that a PNG's header claims, readable even where nothing follows it.
pub(super) fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let field = |from: usize| {
        let four: [u8; 4] = bytes.get(from..from + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(four))
    };
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((field(16)?, field(20)?))
}

/// Whether the first directory of a TIFF (classic or BigTIFF) claims values that the file cannot hold. The decoder
/// makes room for all that is claimed before it looks.
pub(super) fn tiff_claims_too_much(bytes: &[u8]) -> bool {
    let little = bytes.starts_with(b"II");
    let number = |at: usize, width: usize| -> Option<u64> {
        let field = bytes.get(at..at.checked_add(width)?)?;
        let fold = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if little {
            field.iter().rev().fold(0, fold)
        } else {
            field.iter().fold(0, fold)
        })
    };
    let big = number(2, 2) == Some(43);
    let (width, start) = if big { (8, 8) } else { (4, 4) };
    let claims = || {
        let directory = usize::try_from(number(start, width)?).ok()?;
        let head = if big { 8 } else { 2 };
        let entries = number(directory, head)?.min(bytes.len() as u64 / 12);
        let size = 4 + 2 * width;
        for entry in 0..entries as usize {
            let at = directory.checked_add(head + entry * size)?;
            let unit = match number(at + 2, 2)? {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                5 | 10 | 12 | 16 | 17 | 18 => 8,
                _ => 4,
            };
            let count = number(at + 4, width)?;
            if count.saturating_mul(unit) > bytes.len() as u64 {
                return Some(true);
            }
        }
        Some(false)
    };
    // A directory that ends too early is the decoder's to refuse.
    claims().unwrap_or(false)
}

/// Why a file is not all there, as far as its container tells; `None` when it is.
pub(super) fn why_incomplete(format: ImageFormat, bytes: &[u8]) -> Option<&'static str> {
    match format {
        ImageFormat::Png => why_png_incomplete(bytes),
        ImageFormat::Jpeg => why_jpeg_incomplete(bytes),
        _ => None,
    }
}

fn why_png_incomplete(bytes: &[u8]) -> Option<&'static str> {
    const CUT: Option<&str> = Some("it is cut short before its end mark");
    let mut at = 8_usize;
    loop {
        let Some(head) = bytes.get(at..at + 8) else {
            return CUT;
        };
        let [a, b, c, d, kind @ ..] = head else {
            return CUT;
        };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        // length, kind, data, checksum
        at = at.saturating_add(length).saturating_add(12);
        if at > bytes.len() {
            return CUT;
        }
        if kind == b"IEND" {
            return None;
        }
    }
}

/// Walks a JPEG's segments and coded data to its end-of-image mark (ITU-T T.81, annex B).
fn why_jpeg_incomplete(bytes: &[u8]) -> Option<&'static str> {
    const CUT: Option<&str> =
        Some("it is cut short before its end mark, so the lower part of the picture is missing");
    const BAD: Option<&str> = Some("its structure is broken: an impossible marker was found");
    let mut at = 2_usize;
    let mut scans = 0;
    loop {
        // A marker: 0xFF, any number of 0xFF as padding, a code.
        match bytes.get(at) {
            None => return CUT,
            Some(0xff) => {}
            Some(_) => return BAD,
        }
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        let Some(&code) = bytes.get(at) else {
            return CUT;
        };
        at += 1;
        match code {
            0xd9 if scans == 0 => return Some("it holds no picture"),
            0xd9 => return None,
            // Restart marks belong into coded data, 0x00 is a stuffed byte, 0x02..=0xbf is reserved.
            0x00 | 0x02..=0xbf | 0xd0..=0xd8 => return BAD,
            0x01 => continue,
            _ => {}
        }
        let Some(&[high, low]) = bytes.get(at..at + 2) else {
            return CUT;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return BAD;
        }
        at += length;
        if at > bytes.len() {
            return CUT;
        }
        if code == 0xda {
            scans += 1;
            at = match end_of_coded_data(bytes, at) {
                Some(end) => end,
                None => return CUT,
            };
        }
    }
}

/// Index of the next marker that is neither a stuffed byte nor a restart mark.
fn end_of_coded_data(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|&byte| byte == 0xff)?;
        match bytes.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_told_by_content() {
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM\x02\x00");
        assert_eq!(content_of(&dicom), Content::Dicom);
        let bare =
            b"\x08\x00\x05\x00CS\x02\x00AB\x08\x00\x08\x00CS\x00\x00\x08\x00\x16\x00UI\x00\x00";
        assert_eq!(content_of(bare), Content::Dicom);
        assert_eq!(
            content_of(b"\x89PNG\r\n\x1a\n...."),
            Content::Raster(ImageFormat::Png)
        );
        assert_eq!(content_of(b"hello there"), Content::Other("plain text"));
        assert_eq!(
            content_of("Gr\u{fc}\u{df}e".as_bytes()),
            Content::Other("plain text")
        );
        assert_eq!(content_of(b"BMX bikes"), Content::Other("plain text"));
        assert_eq!(content_of(b"<html>"), Content::Other("an HTML or XML text"));
        assert_eq!(
            content_of(&[7, 1, 0, 9, 200, 3]),
            Content::Other("an unknown kind of binary data")
        );
    }

    #[test]
    fn text_that_is_cut_inside_a_character_is_text() {
        let mut text = "a".repeat(4095);
        text.push('\u{fc}');
        assert_eq!(content_of(text.as_bytes()), Content::Other("plain text"));
    }

    #[test]
    fn jpeg_walk_sees_stuffing_restarts_and_the_end() {
        let whole = [
            0xff, 0xd8, 0xff, 0xda, 0, 2, 1, 2, 0xff, 0x00, 3, 0xff, 0xd0, 4, 0xff, 0xd9, 9,
        ];
        assert_eq!(why_jpeg_incomplete(&whole), None);
        for end in 2..16 {
            assert!(why_jpeg_incomplete(&whole[..end]).is_some(), "cut at {end}");
        }
        let odd = [0xff, 0xd8, 0xff, 0xda, 0, 2, 1, 0xff, 0x10, 0xff, 0xd9];
        assert!(why_jpeg_incomplete(&odd).is_some());
    }
}
