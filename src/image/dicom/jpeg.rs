//! JPEG as DICOM uses it (ITU-T T.81): Huffman-coded sequential DCT with 8 or 12 bits, and lossless with
//! 2 to 16 bits and any predictor.
//!
//! No kept crate reads 12-bit DCT frames, which digital radiography writes as "JPEG Extended"; lossless
//! frames need the same markers and tables, so both are read here. Components come out as stored; colour
//! is the caller's, who knows the header's photometric interpretation.

use super::dct::{ZIGZAG, inverse_dct};
use super::huffman::{Bits, Huffman};
use crate::text::dicom as words;

/// Decoded samples.
pub(super) struct Decoded {
    /// `height * width * components`, pixel by pixel.
    pub(super) samples: Vec<u16>,
    /// Bits of a sample.
    pub(super) bits: u32,
    /// What an Adobe segment says of the colours: 0 none or RGB, 1 YCbCr.
    pub(super) adobe: Option<u8>,
}

type Result<T> = std::result::Result<T, String>;

fn broken<T>() -> Result<T> {
    Err(words::CODE_BROKEN.to_owned())
}

#[derive(Clone, Copy, Default)]
struct Component {
    id: u8,
    /// Samples across and down in each unit.
    h: usize,
    v: usize,
    quant: usize,
}

#[derive(Default)]
struct State {
    quant: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart: usize,
    adobe: Option<u8>,
    frame: Option<Frame>,
}

struct Frame {
    lossless: bool,
    bits: u32,
    width: usize,
    height: usize,
    components: Vec<Component>,
    /// Samples across and down in the largest component of a unit.
    most: [usize; 2],
    /// Planes: for lossless `width * height`, otherwise whole units.
    planes: Vec<Plane>,
}

struct Plane {
    stride: usize,
    values: Vec<u16>,
}

/// Decodes a whole JPEG stream that must have this `[width, height, components]`, which is checked
/// before anything is allocated.
pub(super) fn decode(bytes: &[u8], size: [usize; 3]) -> Result<Decoded> {
    let mut state = State::default();
    let mut at = 2;
    let mut scans = 0;
    if bytes.get(..2) != Some(&[0xFF, 0xD8]) {
        return broken();
    }
    loop {
        let Some(marker) = next_marker(bytes, &mut at) else {
            // Without its end mark, but with all that was announced: frames are often padded so.
            if scans > 0 {
                break;
            }
            return Err(words::CODE_ENDS.to_owned());
        };
        if marker == 0xD9 {
            break;
        }
        if matches!(marker, 0x01 | 0xD0..=0xD8) {
            continue;
        }
        let length = match bytes.get(at..at + 2) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(words::CODE_ENDS.to_owned()),
        };
        let Some(body) = bytes.get(at + 2..at + length.max(2)) else {
            return Err(words::CODE_ENDS.to_owned());
        };
        at += length.max(2);
        match marker {
            0xC4 => state.huffman(body)?,
            0xDB => state.quantisation(body)?,
            0xDD => match body {
                [high, low, ..] => state.restart = usize::from(u16::from_be_bytes([*high, *low])),
                _ => return broken(),
            },
            0xC0 | 0xC1 | 0xC3 => state.start(body, marker == 0xC3, size)?,
            0xC2 => return Err(words::JPEG_PROGRESSIVE.to_owned()),
            0xC5..=0xC7 | 0xC9..=0xCF => return Err(words::JPEG_KIND.to_owned()),
            0xEE if body.starts_with(b"Adobe") => state.adobe = body.get(11).copied(),
            0xDA => {
                // Each component stands in one scan; more would be work without end.
                scans += 1;
                if scans > 4 {
                    return broken();
                }
                at = state.scan(body, bytes, at)?;
            }
            _ => {}
        }
    }
    if scans == 0 {
        return Err(words::CODE_EMPTY.to_owned());
    }
    state.finish()
}

fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        let rest = bytes.get(*at..)?;
        *at += rest.iter().position(|b| *b == 0xFF)?;
        while bytes.get(*at) == Some(&0xFF) {
            *at += 1;
        }
        let code = *bytes.get(*at)?;
        *at += 1;
        if code != 0 {
            return Some(code);
        }
    }
}

impl State {
    fn huffman(&mut self, mut body: &[u8]) -> Result<()> {
        while let Some((&head, rest)) = body.split_first() {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return broken();
            };
            let total = counts.iter().map(|c| usize::from(*c)).sum::<usize>();
            let (Some(symbols), tables) = (
                rest.get(..total),
                if head >> 4 == 0 {
                    &mut self.dc
                } else {
                    &mut self.ac
                },
            ) else {
                return broken();
            };
            let (Some(slot), Some(table)) = (
                tables.get_mut(usize::from(head & 15)),
                Huffman::new(counts, symbols),
            ) else {
                return broken();
            };
            *slot = Some(table);
            body = rest.get(total..).unwrap_or_default();
        }
        Ok(())
    }

    fn quantisation(&mut self, mut body: &[u8]) -> Result<()> {
        while let Some((&head, rest)) = body.split_first() {
            let wide = head >> 4 != 0;
            let size = if wide { 128 } else { 64 };
            let (Some(numbers), Some(slot)) =
                (rest.get(..size), self.quant.get_mut(usize::from(head & 15)))
            else {
                return broken();
            };
            let mut table = [0; 64];
            for (index, place) in ZIGZAG.into_iter().enumerate() {
                table[place] = if wide {
                    u16::from_be_bytes([numbers[2 * index], numbers[2 * index + 1]])
                } else {
                    u16::from(numbers[index])
                };
            }
            *slot = Some(table);
            body = rest.get(size..).unwrap_or_default();
        }
        Ok(())
    }

    /// Start of frame.
    fn start(&mut self, body: &[u8], lossless: bool, size: [usize; 3]) -> Result<()> {
        let &[bits, h1, h0, w1, w0, count, ref rest @ ..] = body else {
            return broken();
        };
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        let found = [width, height, usize::from(count)];
        if found != size {
            return Err(words::code_size(found, size));
        }
        let bits_fit = if lossless {
            (2..=16).contains(&bits)
        } else {
            bits == 8 || bits == 12
        };
        if self.frame.is_some() || !bits_fit {
            return broken();
        }
        let mut components = Vec::new();
        for three in rest.chunks_exact(3).take(usize::from(count)) {
            let &[id, sampling, quant] = three else {
                return broken();
            };
            let (h, v) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) || quant > 3 {
                return broken();
            }
            components.push(Component {
                id,
                h,
                v,
                quant: usize::from(quant),
            });
        }
        if components.len() != usize::from(count) {
            return broken();
        }
        if let [only] = components.as_mut_slice() {
            // The sampling of a single component means nothing.
            (only.h, only.v) = (1, 1);
        }
        let most = components
            .iter()
            .fold([1, 1], |[h, v], c| [h.max(c.h), v.max(c.v)]);
        if lossless && components.iter().any(|c| [c.h, c.v] != most) {
            return Err(words::JPEG_SAMPLING.to_owned());
        }
        let units = [width.div_ceil(8 * most[0]), height.div_ceil(8 * most[1])];
        let planes = components
            .iter()
            .map(|c| {
                let (stride, rows) = if lossless {
                    (width, height)
                } else {
                    (units[0] * c.h * 8, units[1] * c.v * 8)
                };
                Plane {
                    stride,
                    values: vec![0; stride * rows],
                }
            })
            .collect();
        self.frame = Some(Frame {
            lossless,
            bits: u32::from(bits),
            width,
            height,
            components,
            most,
            planes,
        });
        Ok(())
    }

    /// Reads a scan; returns where its coded data ended.
    fn scan(&mut self, body: &[u8], bytes: &[u8], at: usize) -> Result<usize> {
        let (Some(frame), Some((&count, rest))) = (self.frame.as_mut(), body.split_first()) else {
            return broken();
        };
        let count = usize::from(count);
        let (Some(selectors), Some(&[first, _last, low])) =
            (rest.get(..2 * count), rest.get(2 * count..2 * count + 3))
        else {
            return broken();
        };
        let mut parts = Vec::new();
        for pair in selectors.chunks_exact(2) {
            let &[id, tables] = pair else { return broken() };
            let Some(index) = frame.components.iter().position(|c| c.id == id) else {
                return broken();
            };
            parts.push((index, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        if parts.is_empty() {
            return broken();
        }
        let mut bits = Bits::new(bytes, at);
        if frame.lossless {
            let mut tables = Vec::new();
            for (index, dc, _) in &parts {
                let Some(table) = self.dc.get(*dc).and_then(Option::as_ref) else {
                    return broken();
                };
                tables.push((*index, table));
            }
            lossless_scan(
                frame,
                &tables,
                [u32::from(first), u32::from(low & 15)],
                self.restart,
                &mut bits,
            )?;
        } else {
            let mut tables = Vec::new();
            for (index, dc, ac) in &parts {
                let quant = frame.components.get(*index).map_or(0, |c| c.quant);
                let (Some(dc), Some(ac), Some(quant)) = (
                    self.dc.get(*dc).and_then(Option::as_ref),
                    self.ac.get(*ac).and_then(Option::as_ref),
                    self.quant.get(quant).and_then(Option::as_ref),
                ) else {
                    return broken();
                };
                tables.push(Part {
                    index: *index,
                    dc,
                    ac,
                    quant,
                });
            }
            dct_scan(frame, &tables, self.restart, &mut bits)?;
        }
        Ok(bits.at)
    }

    fn finish(self) -> Result<Decoded> {
        let Some(frame) = self.frame else {
            return Err(words::CODE_EMPTY.to_owned());
        };
        let count = frame.components.len();
        let samples = if let ([plane], true) = (frame.planes.as_slice(), frame.lossless) {
            plane.values.clone()
        } else {
            let mut samples = vec![0; frame.width * frame.height * count];
            for (index, (plane, c)) in frame.planes.iter().zip(&frame.components).enumerate() {
                for (y, row) in samples.chunks_exact_mut(frame.width * count).enumerate() {
                    let from = (y * c.v / frame.most[1]) * plane.stride;
                    let line = plane
                        .values
                        .get(from..from + plane.stride)
                        .unwrap_or_default();
                    for (x, pixel) in row.chunks_exact_mut(count).enumerate() {
                        pixel[index] = line.get(x * c.h / frame.most[0]).copied().unwrap_or(0);
                    }
                }
            }
            samples
        };
        Ok(Decoded {
            samples,
            bits: frame.bits,
            adobe: self.adobe,
        })
    }
}

/// Lossless (T.81, annex H). `[selection, point transform]` are the scan's.
fn lossless_scan(
    frame: &mut Frame,
    parts: &[(usize, &Huffman)],
    [selection, low]: [u32; 2],
    restart: usize,
    bits: &mut Bits<'_>,
) -> Result<()> {
    if !(1..=7).contains(&selection) || low >= frame.bits {
        return broken();
    }
    let width = frame.width;
    let start = 1_i32 << (frame.bits - low - 1);
    // Restarts come at the ends of rows.
    let rows_each = restart.checked_div(width).unwrap_or(0);
    let mut first_row = true;
    for y in 0..frame.height {
        if rows_each > 0 && y > 0 && y % rows_each == 0 {
            if !bits.restart() {
                return Err(words::CODE_ENDS.to_owned());
            }
            first_row = true;
        }
        for x in 0..width {
            for (index, table) in parts {
                let Some(plane) = frame.planes.get_mut(*index) else {
                    return broken();
                };
                let here = y * width + x;
                let value = |at: usize| i32::from(plane.values[at]);
                let prediction = match (x, first_row) {
                    (0, true) => start,
                    (_, true) => value(here - 1),
                    (0, false) => value(here - width),
                    (_, false) => {
                        let (a, b, c) = (
                            value(here - 1),
                            value(here - width),
                            value(here - width - 1),
                        );
                        match selection {
                            1 => a,
                            2 => b,
                            3 => c,
                            4 => a + b - c,
                            5 => a + ((b - c) >> 1),
                            6 => b + ((a - c) >> 1),
                            _ => (a + b) >> 1,
                        }
                    }
                };
                let difference = match bits.symbol(table) {
                    Some(16) => 32_768,
                    Some(size @ 0..=15) => bits.signed(u32::from(size)),
                    _ => return broken(),
                };
                plane.values[here] = (prediction + difference) as u16;
            }
        }
        first_row = false;
        if bits.overrun() {
            return Err(words::CODE_ENDS.to_owned());
        }
    }
    if low > 0 {
        for (index, _) in parts {
            if let Some(plane) = frame.planes.get_mut(*index) {
                plane.values.iter_mut().for_each(|v| *v <<= low);
            }
        }
    }
    Ok(())
}

struct Part<'a> {
    index: usize,
    dc: &'a Huffman,
    ac: &'a Huffman,
    quant: &'a [u16; 64],
}

/// Sequential DCT (T.81, annex F).
fn dct_scan(
    frame: &mut Frame,
    parts: &[Part<'_>],
    restart: usize,
    bits: &mut Bits<'_>,
) -> Result<()> {
    let alone = parts.len() == 1;
    let units = {
        let c = parts
            .first()
            .and_then(|p| frame.components.get(p.index))
            .copied();
        let c = c.unwrap_or_default();
        if alone {
            // A scan of one component has no padding to whole units.
            [
                (frame.width * c.h).div_ceil(8 * frame.most[0]),
                (frame.height * c.v).div_ceil(8 * frame.most[1]),
            ]
        } else {
            [
                frame.width.div_ceil(8 * frame.most[0]),
                frame.height.div_ceil(8 * frame.most[1]),
            ]
        }
    };
    let mut last = [0_i32; 4];
    let mut until_restart = restart;
    for row in 0..units[1] {
        for column in 0..units[0] {
            if restart > 0 && until_restart == 0 {
                if !bits.restart() {
                    return Err(words::CODE_ENDS.to_owned());
                }
                last = [0; 4];
                until_restart = restart;
            }
            until_restart = until_restart.saturating_sub(1);
            for part in parts {
                let (Some(c), Some(plane), Some(dc)) = (
                    frame.components.get(part.index).copied(),
                    frame.planes.get_mut(part.index),
                    last.get_mut(part.index),
                ) else {
                    return broken();
                };
                let [h, v] = if alone { [1, 1] } else { [c.h, c.v] };
                for block in 0..h * v {
                    let x = (column * h + block % h) * 8;
                    let y = (row * v + block / h) * 8;
                    let Some(coefficients) = block_of(bits, part, dc) else {
                        return broken();
                    };
                    let pixels = inverse_dct(&coefficients, frame.bits);
                    for (line, eight) in pixels.chunks_exact(8).enumerate() {
                        let from = (y + line) * plane.stride + x;
                        if let Some(target) = plane.values.get_mut(from..from + 8) {
                            target.copy_from_slice(eight);
                        }
                    }
                }
            }
        }
        if bits.overrun() {
            return Err(words::CODE_ENDS.to_owned());
        }
    }
    Ok(())
}

/// Coefficients of a block, with quantisation undone.
fn block_of(bits: &mut Bits<'_>, part: &Part<'_>, last: &mut i32) -> Option<[i32; 64]> {
    let mut block = [0; 64];
    let size = u32::from(bits.symbol(part.dc)?);
    if size > 15 {
        return None;
    }
    *last = last.wrapping_add(bits.signed(size)).clamp(-65_536, 65_535);
    block[0] = *last * i32::from(part.quant[0]);
    let mut index = 1;
    while index < 64 {
        let symbol = bits.symbol(part.ac)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run != 15 {
                break;
            }
            index += 16;
            continue;
        }
        index += run;
        let place = *ZIGZAG.get(index)?;
        block[place] = bits.signed(size) * i32::from(part.quant[place]);
        index += 1;
    }
    Some(block)
}
