//! DICOM files made by the tests, element by element.
#![allow(dead_code, unreachable_pub)] // every test binary uses a part of it

use std::io::Write as _;

/// A value before it is coded.
#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    Us(Vec<u16>),
    Ul(u32),
    Float(Vec<f32>),
    Bytes(Vec<u8>),
    /// 16-bit cells.
    Words(Vec<u16>),
    /// 32-bit cells.
    Long(Vec<u32>),
    Sequence(Vec<Vec<Element>>),
    /// Fragments of encapsulated pixels, the offset table first.
    Fragments(Vec<Vec<u8>>),
}

pub type Element = (u32, &'static str, Value);

pub fn text(tag: u32, vr: &'static str, value: &str) -> Element {
    (tag, vr, Value::Text(value.to_owned()))
}

pub fn us(tag: u32, value: u16) -> Element {
    (tag, "US", Value::Us(vec![value]))
}

pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub const RLE: &str = "1.2.840.10008.1.2.5";
pub const LOSSLESS: &str = "1.2.840.10008.1.2.4.57";

/// A file in the making.
#[derive(Clone, Debug)]
pub struct Dicom {
    pub syntax: String,
    pub preamble: bool,
    pub elements: Vec<Element>,
}

impl Dicom {
    /// The header of a grey picture, 16 bits allocated unless `bits` are at most 8; the pixels are to be set.
    pub fn grey(columns: u16, rows: u16, bits: u16) -> Self {
        let elements = vec![
            text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.1.1"),
            text(0x0008_0060, "CS", "DX"),
            text(0x0018_0015, "CS", "CHEST"),
            text(0x0018_5101, "CS", "PA"),
            us(0x0028_0002, 1),
            text(0x0028_0004, "CS", "MONOCHROME2"),
            us(0x0028_0010, rows),
            us(0x0028_0011, columns),
            us(0x0028_0100, if bits <= 8 { 8 } else { 16 }),
            us(0x0028_0101, bits),
            us(0x0028_0102, bits - 1),
            us(0x0028_0103, 0),
        ];
        Self {
            syntax: EXPLICIT.to_owned(),
            preamble: true,
            elements,
        }
    }

    /// Adds an element or takes the place of the one with its tag.
    pub fn set(mut self, element: Element) -> Self {
        self.elements.retain(|e| e.0 != element.0);
        self.elements.push(element);
        self.elements.sort_by_key(|e| e.0);
        self
    }

    pub fn without(mut self, tag: u32) -> Self {
        self.elements.retain(|e| e.0 != tag);
        self
    }

    pub fn syntax(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.syntax);
        self
    }

    pub fn words(self, cells: &[u16]) -> Self {
        self.set((0x7FE0_0010, "OW", Value::Words(cells.to_vec())))
    }

    pub fn fragments(self, syntax: &str, frames: Vec<Vec<u8>>) -> Self {
        let mut all = vec![Vec::new()];
        all.extend(frames);
        self.syntax(syntax)
            .set((0x7FE0_0010, "OB", Value::Fragments(all)))
    }

    pub fn bytes(&self) -> Vec<u8> {
        let explicit = self.syntax != IMPLICIT;
        let big = self.syntax == BIG_ENDIAN;
        let mut body = Vec::new();
        for element in &self.elements {
            put(&mut body, element, explicit, big);
        }
        if self.syntax == DEFLATED {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&body).unwrap();
            body = encoder.finish().unwrap();
        }
        if !self.preamble {
            return body;
        }
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        put(
            &mut file,
            &text(0x0002_0010, "UI", &self.syntax),
            true,
            false,
        );
        file.extend(body);
        file
    }
}

fn put(out: &mut Vec<u8>, (tag, vr, value): &Element, explicit: bool, big: bool) {
    let u16s = |v: u16| {
        if big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        }
    };
    let u32s = |v: u32| {
        if big {
            v.to_be_bytes()
        } else {
            v.to_le_bytes()
        }
    };
    let mut delimited = false;
    let mut body: Vec<u8> = match value {
        Value::Text(text) => text.bytes().collect(),
        Value::Us(values) | Value::Words(values) => values.iter().flat_map(|v| u16s(*v)).collect(),
        Value::Ul(value) => u32s(*value).to_vec(),
        Value::Long(values) => values.iter().flat_map(|v| u32s(*v)).collect(),
        Value::Float(values) => values.iter().flat_map(|v| u32s(v.to_bits())).collect(),
        Value::Bytes(bytes) => bytes.clone(),
        Value::Sequence(items) => {
            let mut body = Vec::new();
            for item in items {
                let mut inner = Vec::new();
                for element in item {
                    put(&mut inner, element, explicit, big);
                }
                body.extend(u16s(0xFFFE));
                body.extend(u16s(0xE000));
                body.extend(u32s(inner.len() as u32));
                body.extend(inner);
            }
            body
        }
        Value::Fragments(parts) => {
            delimited = true;
            let mut body = Vec::new();
            for part in parts {
                let mut part = part.clone();
                if part.len() % 2 == 1 {
                    part.push(0);
                }
                body.extend([0xFE, 0xFF, 0x00, 0xE0]);
                body.extend(u32s(part.len() as u32));
                body.extend(part);
            }
            body.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
            body
        }
    };
    if body.len() % 2 == 1 {
        body.push(if *vr == "UI" { 0 } else { b' ' });
    }
    out.extend(u16s((tag >> 16) as u16));
    out.extend(u16s((tag & 0xFFFF) as u16));
    let length = if delimited {
        u32::MAX
    } else {
        body.len() as u32
    };
    let long = matches!(*vr, "OB" | "OW" | "OF" | "SQ" | "UN");
    if explicit {
        out.extend(vr.bytes());
        if long {
            out.extend([0, 0]);
            out.extend(u32s(length));
        } else {
            out.extend(u16s(length as u16));
        }
    } else {
        out.extend(u32s(length));
    }
    out.extend(body);
}

/// RLE code of one frame: bytes of equal weight, most significant first, as literal runs and repeats.
pub fn rle(cells: &[u16]) -> Vec<u8> {
    let planes: [Vec<u8>; 2] = [
        cells.iter().map(|v| (v >> 8) as u8).collect(),
        cells.iter().map(|v| *v as u8).collect(),
    ];
    let mut out = vec![0; 64];
    out[0] = 2;
    for (index, plane) in planes.iter().enumerate() {
        let at = out.len() as u32;
        out[4 + 4 * index..8 + 4 * index].copy_from_slice(&at.to_le_bytes());
        let mut rest = plane.as_slice();
        while let Some(&first) = rest.first() {
            let same = rest.iter().take(128).take_while(|b| **b == first).count();
            if same > 2 {
                out.extend([(257 - same) as u8, first]);
                rest = &rest[same..];
            } else {
                let count = rest.len().min(5);
                out.push(count as u8 - 1);
                out.extend_from_slice(&rest[..count]);
                rest = &rest[count..];
            }
        }
        // Does nothing.
        out.push(128);
        if out.len() % 2 == 1 {
            out.push(0);
        }
    }
    out
}

/// A lossless JPEG of one component: any predictor, restarts after so many rows (0 for none).
pub fn lossless_jpeg(
    cells: &[u16],
    width: usize,
    bits: u8,
    selection: u8,
    restart_rows: usize,
) -> Vec<u8> {
    let height = cells.len() / width;
    let mut out = vec![0xFF, 0xD8];
    // All 17 sizes of differences with codes of five bits.
    out.extend([0xFF, 0xC4, 0, 19 + 17, 0]);
    out.extend((1..=16).map(|length| if length == 5 { 17 } else { 0 }));
    out.extend(0..17);
    out.extend([0xFF, 0xC3, 0, 11, bits]);
    out.extend((height as u16).to_be_bytes());
    out.extend((width as u16).to_be_bytes());
    out.extend([1, 1, 0x11, 0]);
    if restart_rows > 0 {
        out.extend([0xFF, 0xDD, 0, 4]);
        out.extend(((restart_rows * width) as u16).to_be_bytes());
    }
    out.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, selection, 0, 0]);
    let (mut buffer, mut count) = (0_u64, 0_u32);
    let flush = |out: &mut Vec<u8>, buffer: &mut u64, count: &mut u32, all: bool| {
        while *count >= 8 || all && *count > 0 {
            if *count < 8 {
                *buffer = (*buffer << (8 - *count)) | ((1 << (8 - *count)) - 1);
                *count = 8;
            }
            let byte = (*buffer >> (*count - 8)) as u8;
            *count -= 8;
            out.push(byte);
            if byte == 0xFF {
                out.push(0);
            }
        }
    };
    let mut first = true;
    let mut marker = 0;
    for y in 0..height {
        if restart_rows > 0 && y > 0 && y % restart_rows == 0 {
            flush(&mut out, &mut buffer, &mut count, true);
            out.extend([0xFF, 0xD0 + marker]);
            marker = (marker + 1) % 8;
            first = true;
        }
        for x in 0..width {
            let at = |x: usize, y: usize| i32::from(cells[y * width + x]);
            let guess = match (x, first) {
                (0, true) => 1 << (bits - 1),
                (_, true) => at(x - 1, y),
                (0, false) => at(x, y - 1),
                _ => {
                    let (a, b, c) = (at(x - 1, y), at(x, y - 1), at(x - 1, y - 1));
                    [
                        a,
                        b,
                        c,
                        a + b - c,
                        a + ((b - c) >> 1),
                        b + ((a - c) >> 1),
                        (a + b) >> 1,
                    ][usize::from(selection) - 1]
                }
            };
            // Differences are modulo 2^16.
            let difference = i32::from((at(x, y) - guess) as i16);
            let size = if difference == -32_768 {
                16
            } else {
                32 - difference.unsigned_abs().leading_zeros()
            };
            buffer = (buffer << 5) | u64::from(size);
            count += 5;
            if size > 0 && size < 16 {
                let extra = if difference < 0 {
                    difference + (1 << size) - 1
                } else {
                    difference
                };
                buffer = (buffer << size) | extra as u64;
                count += size;
            }
            flush(&mut out, &mut buffer, &mut count, false);
        }
        first = false;
    }
    flush(&mut out, &mut buffer, &mut count, true);
    out.extend([0xFF, 0xD9]);
    out
}
