//! JPEG 2000 (ITU-T T.800) through `hayro-jpeg2000`, behind checks of the codestream's own header.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use crate::text::dicom as words;

/// Decoded samples, pixel by pixel, with what the codestream says of them.
pub(super) struct Decoded {
    pub(super) samples: Vec<i32>,
    /// Bits of a sample.
    pub(super) bits: u32,
    /// Samples below 0 are allowed.
    pub(super) signed: bool,
    /// How far, as a share of the range, samples lie outside of it. The code has no checksum; this is how
    /// damage shows.
    pub(super) beyond: f32,
}

/// Most tiles and least sides of precincts: the decoder keeps records of each, and a hostile file could ask
/// for more of them than pixels.
const MAX_TILES: u64 = 16_384;
const MIN_PRECINCT_EXPONENT: u8 = 4;

struct Siz {
    size: [usize; 3],
    bits: u32,
    signed: bool,
}

/// The image size segment, and a look at the coding style.
fn header(bytes: &[u8]) -> Result<Siz, String> {
    let ends = || words::CODE_ENDS.to_owned();
    let broken = || words::CODE_BROKEN.to_owned();
    let number = |at: usize| -> Result<u64, String> {
        let four: [u8; 4] = bytes
            .get(at..at + 4)
            .and_then(|four| four.try_into().ok())
            .ok_or_else(ends)?;
        Ok(u64::from(u32::from_be_bytes(four)))
    };
    if bytes.get(..4) != Some(&[0xFF, 0x4F, 0xFF, 0x51]) {
        return Err(broken());
    }
    let [right, bottom, left, top] = [number(8)?, number(12)?, number(16)?, number(20)?];
    let [tile_w, tile_h] = [number(24)?, number(28)?];
    let count = match bytes.get(40..42) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Err(ends()),
    };
    if left >= right || top >= bottom || tile_w == 0 || tile_h == 0 {
        return Err(broken());
    }
    if right.div_ceil(tile_w) * bottom.div_ceil(tile_h) > MAX_TILES {
        return Err(words::JPEG_2000_PIECES.to_owned());
    }
    let components = bytes
        .get(42..42 + 3 * count)
        .filter(|c| !c.is_empty())
        .ok_or_else(ends)?;
    let depth = components.first().copied().unwrap_or(0);
    for component in components.chunks_exact(3) {
        if component != [depth, 1, 1] {
            return Err(broken());
        }
    }
    // Other segments up to the first tile: precincts.
    let mut at = 42 + 3 * count;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0x90 {
            break;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        if let (0x52 | 0x53, Some(body)) = (marker, bytes.get(at + 4..at + 2 + length.max(2))) {
            let style = body.get(usize::from(marker == 0x53)).copied().unwrap_or(0);
            let from = if marker == 0x52 { 10 } else { 7 };
            if (if marker == 0x52 {
                body.first().copied().unwrap_or(0)
            } else {
                style
            }) & 1
                == 1
            {
                // The lowest resolution may be small itself.
                let finer = body.get(from + 1..).unwrap_or_default();
                if finer
                    .iter()
                    .any(|e| e & 15 < MIN_PRECINCT_EXPONENT || e >> 4 < MIN_PRECINCT_EXPONENT)
                {
                    return Err(words::JPEG_2000_PIECES.to_owned());
                }
            }
        }
        at += 2 + length.max(2);
    }
    sound(bytes, at)?;
    Ok(Siz {
        size: [(right - left) as usize, (bottom - top) as usize, count],
        bits: u32::from(depth & 0x7F) + 1,
        signed: depth & 0x80 != 0,
    })
}

/// Walks the tile-parts. Coded data never holds 0xFF followed by more than 0x8F, except the two markers of packets
/// (T.800, A.1.1 and D.3): in damaged data such pairs turn up soon, and decoders do not look.
fn sound(bytes: &[u8], mut at: usize) -> Result<(), String> {
    let ends = || words::CODE_ENDS.to_owned();
    let broken = || words::CODE_BROKEN.to_owned();
    while bytes.get(at..at + 2) == Some(&[0xFF, 0x90]) {
        let length: [u8; 4] = bytes
            .get(at + 6..at + 10)
            .and_then(|four| four.try_into().ok())
            .ok_or_else(ends)?;
        let length = u32::from_be_bytes(length) as usize;
        let end = if length == 0 {
            bytes.len()
        } else {
            at.saturating_add(length)
        };
        let mut start = at + 12;
        while let Some(&[0xFF, marker, high, low]) = bytes.get(start..start + 4) {
            if marker == 0x93 {
                break;
            }
            start += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
        }
        if end > bytes.len() {
            return Err(ends());
        }
        let mut body = bytes.get(start + 2..end).ok_or_else(broken)?;
        if length == 0 {
            // The last tile-part goes on to the end mark, which may be padded.
            while let [rest @ .., 0 | 0xD9] = body {
                body = rest;
            }
        }
        if body
            .windows(2)
            .any(|pair| pair[0] == 0xFF && pair[1] > 0x8F && !matches!(pair[1], 0x91 | 0x92))
        {
            return Err(broken());
        }
        at = end;
    }
    Ok(())
}

/// Decodes a codestream that must have this `[width, height, components]`, which is checked before
/// anything is allocated.
pub(super) fn decode(bytes: &[u8], size: [usize; 3]) -> Result<Decoded, String> {
    // Some writers keep the JP2 file around the codestream.
    let start = bytes
        .windows(4)
        .take(4096)
        .position(|four| four == [0xFF, 0x4F, 0xFF, 0x51])
        .ok_or_else(|| words::CODE_BROKEN.to_owned())?;
    let code = bytes.get(start..).unwrap_or_default();
    let siz = header(code)?;
    if siz.size != size {
        return Err(words::code_size(siz.size, size));
    }
    let broken = |_| words::CODE_BROKEN.to_owned();
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        strict: true,
        target_resolution: None,
    };
    let image = Image::new(code, &settings).map_err(broken)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(broken)?;
    let planes = decoded.components();
    let [width, height, count] = size;
    if planes.len() != count || planes.iter().any(|p| p.samples().len() < width * height) {
        return Err(words::CODE_BROKEN.to_owned());
    }
    // The decoder shifts all samples as if they were unsigned.
    let shift = if siz.signed {
        1_i32 << (siz.bits - 1)
    } else {
        0
    };
    let (lo, hi) = (-shift, (1_i32 << siz.bits.min(30)) - 1 - shift);
    let span = hi.saturating_sub(lo).max(1) as f32;
    let mut beyond = 0.0_f32;
    let mut samples = vec![0; width * height * count];
    for (index, plane) in planes.iter().enumerate() {
        for (target, v) in samples
            .iter_mut()
            .skip(index)
            .step_by(count)
            .zip(plane.samples())
        {
            let sample = (v.round() as i32).saturating_sub(shift);
            *target = sample.clamp(lo, hi);
            if sample != *target {
                beyond = beyond.max((sample as f32 - *target as f32).abs() / span);
            }
        }
    }
    Ok(Decoded {
        samples,
        bits: siz.bits,
        signed: siz.signed,
        beyond,
    })
}
