//! From the pixel element to the samples of one frame.

use super::dataset::{DOUBLE_PIXELS, DataSet, Element, FLOAT_PIXELS, PIXEL_DATA};
use super::header::{Photometric, PixelHeader};
use super::syntax::{Codec, Syntax};
use super::{jpeg, jpeg_ls, jpeg2000, rle};
use crate::text::dicom as words;

/// Samples of a frame as stored: bit patterns whose meaning the header knows.
pub(super) struct Frame {
    pub(super) cells: Cells,
    /// Cells come plane by plane instead of pixel by pixel.
    pub(super) planar: bool,
    /// Lowest bit and number of bits of a sample in its cell.
    pub(super) bits: (u32, u32),
    /// The frame's colours are luma and chroma.
    pub(super) ybr: bool,
    /// It looks damaged, although nothing proves it.
    pub(super) doubtful: bool,
}

/// Cells of a frame.
pub(super) enum Cells {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
    Long(Vec<u32>),
    /// Samples that have their sign already.
    Signed(Vec<i32>),
    /// Numbers that are no grey levels of a fixed scale.
    Float(Vec<f32>),
}

type Result<T> = std::result::Result<T, String>;

/// Reads frame `frame`, from 0.
pub(super) fn read(
    set: &DataSet<'_>,
    syntax: Syntax,
    header: &PixelHeader,
    frame: usize,
) -> Result<Frame> {
    if frame >= header.frames {
        return Err(words::frame_missing(frame + 1, header.frames));
    }
    if let Some(element) = set.get(FLOAT_PIXELS) {
        return floats(element, header, frame, 4);
    }
    if let Some(element) = set.get(DOUBLE_PIXELS) {
        return floats(element, header, frame, 8);
    }
    let Some(element) = set.get(PIXEL_DATA) else {
        return Err(words::NO_PIXELS.to_owned());
    };
    if !element.delimited {
        return native(element, header, frame);
    }
    let code = fragments(element, syntax.codec, header.frames, frame)?;
    coded(&code, syntax, header)
}

fn coded(code: &[u8], syntax: Syntax, header: &PixelHeader) -> Result<Frame> {
    let codec = syntax.codec;
    let size = [header.columns, header.rows, header.samples];
    let whole = (header.low_bit(), header.stored);
    match codec {
        Codec::Rle => {
            let width = header.allocated as usize / 8;
            let bytes = rle::decode(code, header.rows * header.columns, header.samples, width)?;
            let cells = match width {
                1 => Cells::Bytes(bytes),
                2 => Cells::Words(
                    bytes
                        .chunks_exact(2)
                        .map(|c| u16::from_be_bytes([c[0], c[1]]))
                        .collect(),
                ),
                _ => Cells::Long(
                    bytes
                        .chunks_exact(4)
                        .map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]))
                        .collect(),
                ),
            };
            Ok(Frame {
                cells,
                planar: true,
                bits: whole,
                ybr: header.photometric == Photometric::Ybr,
                doubtful: false,
            })
        }
        Codec::Jpeg => {
            let decoded = match jpeg::decode(code, size) {
                Err(why) if why == words::JPEG_PROGRESSIVE => return progressive(code, size),
                decoded => decoded?,
            };
            // Some writers call the colours RGB and let their JPEG library turn them all the same.
            let ybr = header.photometric == Photometric::Ybr
                || header.photometric == Photometric::Rgb && decoded.adobe == Some(1);
            Ok(Frame {
                cells: Cells::Words(decoded.samples),
                planar: false,
                bits: (0, header.stored.min(decoded.bits)),
                ybr,
                doubtful: false,
            })
        }
        Codec::JpegLs => {
            let (samples, bits) = jpeg_ls::decode(code, size)?;
            Ok(Frame {
                cells: Cells::Words(samples),
                planar: false,
                bits: (0, header.stored.min(bits)),
                ybr: header.photometric == Photometric::Ybr,
                doubtful: false,
            })
        }
        Codec::Jpeg2000 => {
            let decoded = jpeg2000::decode(code, size)?;
            let cells = if decoded.signed == header.signed {
                Cells::Signed(decoded.samples)
            } else {
                // The codestream and the header disagree on the sign: the header is believed.
                Cells::Long(decoded.samples.iter().map(|v| *v as u32).collect())
            };
            Ok(Frame {
                cells,
                planar: false,
                bits: (0, header.stored.min(decoded.bits)),
                ybr: header.photometric == Photometric::Ybr,
                // Lossy code may overshoot a little.
                doubtful: decoded.beyond > if syntax.is_lossless_only() { 0.0 } else { 0.25 },
            })
        }
        Codec::Native => Err(words::CODE_BROKEN.to_owned()),
        Codec::Other => Err(words::NO_PIXELS.to_owned()),
    }
}

/// Progressive JPEG of 8 bits, which the standard retired: the raster formats' decoder reads it.
fn progressive(code: &[u8], [width, height, count]: [usize; 3]) -> Result<Frame> {
    let reader =
        ::image::ImageReader::with_format(std::io::Cursor::new(code), ::image::ImageFormat::Jpeg);
    let decoder = reader
        .into_decoder()
        .map_err(|_| words::JPEG_PROGRESSIVE.to_owned())?;
    let (w, h) = ::image::ImageDecoder::dimensions(&decoder);
    let found = [
        w as usize,
        h as usize,
        usize::from(::image::ImageDecoder::color_type(&decoder).channel_count()),
    ];
    if found != [width, height, count] {
        return Err(words::code_size(found, [width, height, count]));
    }
    let picture =
        ::image::DynamicImage::from_decoder(decoder).map_err(|_| words::CODE_BROKEN.to_owned())?;
    Ok(Frame {
        cells: Cells::Bytes(picture.into_bytes()),
        planar: false,
        bits: (0, 8),
        // The decoder has turned the colours.
        ybr: false,
        doubtful: false,
    })
}

/// Bytes of a frame's code, joined from its fragments.
fn fragments(element: &Element<'_>, codec: Codec, frames: usize, frame: usize) -> Result<Vec<u8>> {
    let mut items = element.fragments();
    let offsets: Vec<usize> = items.next().map_or_else(Vec::new, |(table, _)| {
        table
            .chunks_exact(4)
            .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]) as usize)
            .collect()
    });
    let parts: Vec<(&[u8], bool)> = items.collect();
    let missing = || words::fragments_missing(frame + 1, frames, parts.len());
    let mine: Vec<(&[u8], bool)> = if frames == 1 {
        parts.clone()
    } else if parts.len() == frames {
        parts.get(frame).copied().into_iter().collect()
    } else if offsets.len() == frames {
        // Offsets count from the first fragment's item.
        let (from, to) = (offsets.get(frame).copied(), offsets.get(frame + 1).copied());
        let mut at = 0;
        let mut found = Vec::new();
        for part in &parts {
            if Some(at) >= from && to.is_none_or(|to| at < to) {
                found.push(*part);
            }
            at += 8 + part.0.len();
        }
        found
    } else {
        // A frame begins where its code does.
        let starts = |part: &[u8]| match codec {
            Codec::Jpeg | Codec::JpegLs => part.starts_with(&[0xFF, 0xD8]),
            Codec::Jpeg2000 => part.starts_with(&[0xFF, 0x4F]),
            _ => true,
        };
        let mut index = None;
        let mut found = Vec::new();
        for part in &parts {
            if starts(part.0) {
                index = Some(index.map_or(0, |i: usize| i + 1));
            }
            if index == Some(frame) {
                found.push(*part);
            }
        }
        found
    };
    if mine.is_empty() {
        return Err(missing());
    }
    if mine.iter().any(|(_, whole)| !whole) {
        return Err(words::CODE_ENDS.to_owned());
    }
    Ok(mine
        .iter()
        .flat_map(|(part, _)| part.iter().copied())
        .collect())
}

/// The bytes of a frame without compression; what all frames need must be there.
fn frame_bytes<'a>(
    element: &Element<'a>,
    bits_each: u64,
    header: &PixelHeader,
    frame: usize,
) -> Result<&'a [u8]> {
    let all = (bits_each * header.frames as u64).div_ceil(8);
    if (element.value.len() as u64) < all {
        return Err(words::pixels_missing(element.value.len(), all));
    }
    // Frames of single bits need not begin at a byte; the caller asks from the byte before.
    let from = (bits_each * frame as u64) / 8;
    let to = (bits_each * (frame as u64 + 1)).div_ceil(8);
    Ok(element
        .value
        .get(from as usize..to as usize)
        .unwrap_or_default())
}

fn native(element: &Element<'_>, header: &PixelHeader, frame: usize) -> Result<Frame> {
    let pixels = (header.rows * header.columns) as u64;
    let subsampled = header.photometric == Photometric::Ybr422;
    let samples = if subsampled { 2 } else { header.samples as u64 };
    let bits_each = pixels * samples * u64::from(header.allocated);
    let bytes = frame_bytes(element, bits_each, header, frame)?;
    let coding = element.coding;
    let cells = match header.allocated {
        1 => {
            let skip = (bits_each * frame as u64 % 8) as usize;
            Cells::Bytes(
                (skip..skip + pixels as usize)
                    .map(|bit| bytes.get(bit / 8).map_or(0, |byte| byte >> (bit % 8) & 1))
                    .collect(),
            )
        }
        8 if coding.big_endian && element.vr == Some(*b"OW") => {
            // Bytes in words: the second comes first.
            Cells::Bytes(
                bytes
                    .chunks(2)
                    .flat_map(|pair| pair.iter().rev().copied())
                    .collect(),
            )
        }
        8 => Cells::Bytes(bytes.to_vec()),
        16 => Cells::Words(
            bytes
                .chunks_exact(2)
                .map(|c| coding.u16([c[0], c[1]]))
                .collect(),
        ),
        _ => Cells::Long(
            bytes
                .chunks_exact(4)
                .map(|c| coding.u32([c[0], c[1], c[2], c[3]]))
                .collect(),
        ),
    };
    let cells = match cells {
        // Two pixels share their chroma: Y Y Cb Cr.
        Cells::Bytes(bytes) if subsampled => Cells::Bytes(
            bytes
                .chunks_exact(4)
                .flat_map(|c| [c[0], c[2], c[3], c[1], c[2], c[3]])
                .collect(),
        ),
        cells => cells,
    };
    Ok(Frame {
        cells,
        planar: header.planar && !subsampled,
        bits: (header.low_bit(), header.stored),
        ybr: matches!(header.photometric, Photometric::Ybr | Photometric::Ybr422),
        doubtful: false,
    })
}

fn floats(
    element: &Element<'_>,
    header: &PixelHeader,
    frame: usize,
    width: usize,
) -> Result<Frame> {
    let bits_each = (header.rows * header.columns * width * 8) as u64;
    let bytes = frame_bytes(element, bits_each, header, frame)?;
    let big = element.coding.big_endian;
    let values = bytes
        .chunks_exact(width)
        .map(|c| match (c, big) {
            (&[a, b, c, d], false) => f32::from_le_bytes([a, b, c, d]),
            (&[a, b, c, d], true) => f32::from_be_bytes([a, b, c, d]),
            (&[a, b, c, d, e, f, g, h], false) => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            (&[a, b, c, d, e, f, g, h], true) => {
                f64::from_be_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            _ => 0.0,
        })
        .collect();
    Ok(Frame {
        cells: Cells::Float(values),
        planar: false,
        bits: (0, 32),
        ybr: false,
        doubtful: false,
    })
}
