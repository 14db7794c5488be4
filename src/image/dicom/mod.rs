//! DICOM files: header, pixels, and how they are to be shown.
//!
//! [`Image::values`](super::Image::values) of a grey DICOM picture are its stored values on the scale of its
//! stored bits, `0..=2^bits - 1`, with air dark: signed values are moved up by `2^(bits - 1)`, and where small
//! values are bright (MONOCHROME1, or a falling rescale) a value `v` becomes `max - v`. That is what
//! TorchXRayVision feeds its models, whole numbers stay whole, and [`Presentation`] knows the way back. Rescale,
//! windows and tables act on the display only.

mod charset;
mod dataset;
mod dct;
mod golomb;
mod header;
mod huffman;
mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod pixels;
mod rle;
mod syntax;

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;

use super::display::Presentation;
use super::raster::{MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, Origin};
use super::record::Record;
use super::{Image, sha256_hex};
use crate::error::Result;
use crate::text::{dicom as words, fault};
use dataset::{Coding, DOUBLE_PIXELS, DataSet, FLOAT_PIXELS, PIXEL_DATA};
use header::{Photometric, PixelHeader};
use pixels::{Cells, Frame};
use syntax::{Codec, Syntax};

/// Whether `bytes` are DICOM, with or without preamble.
pub(super) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM") || dataset::bare_coding(bytes).is_some()
}

/// A file, taken apart.
struct File<'a> {
    meta: DataSet<'a>,
    set: DataSet<'a>,
    syntax: Syntax,
    /// The syntax is a guess.
    guessed: bool,
}

impl<'a> File<'a> {
    /// `buffer` holds what a deflated file unpacks to.
    fn parse(shown: &Path, bytes: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<Self> {
        let start = if bytes.get(128..132) == Some(b"DICM") {
            132
        } else {
            0
        };
        let body = bytes.get(start..).unwrap_or_default();
        let coding = if dataset::looks_explicit(body) {
            Coding::EXPLICIT
        } else {
            Coding::IMPLICIT
        };
        let meta = DataSet::read(body, coding, |tag| tag >> 16 == 0x0002);
        let rest = body.get(meta.length..).unwrap_or_default();
        let (syntax, guessed) = match meta.text(0x0002_0010) {
            Some(uid) => {
                let known = syntax::by_uid(&uid);
                (
                    known.ok_or_else(|| fault::dicom_syntax(shown, &uid))?,
                    false,
                )
            }
            None => (guess(rest), true),
        };
        let rest = if syntax.deflated {
            inflate(rest, buffer).map_err(|why| fault::broken_dicom(shown, &why))?;
            buffer
        } else {
            rest
        };
        let mut coding = syntax.coding;
        if !coding.big_endian {
            // Some writers name the wrong one of the two; the first header shows it.
            coding.explicit = dataset::looks_explicit(rest);
        }
        let set = DataSet::read(rest, coding, |_| true);
        Ok(Self {
            meta,
            set,
            syntax,
            guessed,
        })
    }

    fn has_pixels(&self) -> bool {
        [PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS]
            .iter()
            .any(|tag| self.set.get(*tag).is_some())
    }

    fn is_directory(&self) -> bool {
        self.meta.text(0x0002_0002).as_deref() == Some("1.2.840.10008.1.3.10")
    }

    /// Why there are no pixels.
    fn without_pixels(&self, shown: &Path) -> crate::Error {
        if self.is_directory() {
            return fault::dicom_directory(shown);
        }
        let broken = self.set.broken.or(self.meta.broken);
        if let Some(broken) = broken {
            let [group, element] = [broken.tag >> 16, broken.tag & 0xFFFF];
            let why = if broken.cut {
                words::header_cut(group, element)
            } else {
                words::header_broken(group, element)
            };
            return fault::broken_dicom(shown, &why);
        }
        let kind = self
            .set
            .text(0x0008_0016)
            .map(|uid| syntax::sop_class(&uid));
        fault::dicom_without_picture(shown, kind.as_deref())
    }

    fn record(&self, frame: usize) -> Record {
        Record {
            facts: header::facts(&self.set, &self.meta, self.syntax, frame),
            identity: header::identity(&self.set),
        }
    }
}

fn guess(bytes: &[u8]) -> Syntax {
    match dataset::bare_coding(bytes) {
        Some(coding) if coding.big_endian => syntax::BIG_ENDIAN,
        _ if dataset::looks_explicit(bytes) => syntax::EXPLICIT,
        _ => syntax::IMPLICIT,
    }
}

fn inflate(bytes: &[u8], buffer: &mut Vec<u8>) -> Result<(), String> {
    let read = flate2::read::DeflateDecoder::new(bytes)
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(buffer);
    if buffer.len() as u64 > MAX_FILE_BYTES {
        return Err(words::DEFLATE_LARGE.to_owned());
    }
    match read {
        // What came out before a damaged end may still be whole; its length tells.
        Err(_) if buffer.is_empty() => Err(words::DEFLATE_BROKEN.to_owned()),
        _ => Ok(()),
    }
}

/// What the start of a file tells without its pixels.
pub(super) struct Head {
    pub(super) record: Record,
    pub(super) has_pixels: bool,
    /// Files that a directory names, as parts of their paths.
    pub(super) directory: Option<Vec<Vec<String>>>,
    /// The header went on beyond the bytes that were given.
    pub(super) cut: bool,
}

/// Reads the header of a file of which `bytes` is the beginning.
///
/// # Errors
/// The data set does not unpack, or its coding is not known.
pub(super) fn head(shown: &Path, bytes: &[u8]) -> Result<Head> {
    let mut buffer = Vec::new();
    let file = File::parse(shown, bytes, &mut buffer)?;
    let directory = file.is_directory().then(|| {
        let records = file.set.items(0x0004_1220, MAX_RECORDS);
        let names = records.iter().filter_map(|record| record.text(0x0004_1500));
        names
            .map(|name| {
                name.split('\\')
                    .map(|part| part.trim().to_owned())
                    .collect()
            })
            .collect()
    });
    Ok(Head {
        record: file.record(0),
        has_pixels: file.has_pixels(),
        directory,
        cut: file.set.broken.is_some_and(|broken| broken.cut),
    })
}

/// Records of a directory that are looked at.
const MAX_RECORDS: usize = 100_000;

/// Reads frame `frame` (from 0) of a DICOM file.
///
/// # Errors
/// One sentence that names the file and what is wrong with it.
pub(super) fn read(name: &str, path: Option<&Path>, bytes: &[u8], frame: usize) -> Result<Image> {
    let shown = path.unwrap_or(Path::new(name));
    let broken = |why: String| fault::broken_dicom(shown, &why);
    let mut buffer = Vec::new();
    let file = File::parse(shown, bytes, &mut buffer)?;
    if !file.has_pixels() {
        return Err(file.without_pixels(shown));
    }
    let is_coded = file
        .set
        .get(PIXEL_DATA)
        .is_some_and(|element| element.delimited);
    if file.syntax.codec == Codec::Other && is_coded {
        return Err(fault::dicom_syntax(shown, file.syntax.name));
    }
    let header = PixelHeader::read(&file.set, file.syntax).map_err(broken)?;
    check_size(shown, &header)?;
    let palette = match header.photometric {
        Photometric::Palette => Some(Palette::read(shown, &file.set)?),
        _ => None,
    };
    let read = pixels::read(&file.set, file.syntax, &header, frame).map_err(broken)?;
    let presentation = header::presentation(&file.set, &header, frame);
    let doubtful = read.doubtful;
    let planes = Planes::of(read, &header, &presentation, palette.as_ref());
    let not_finite = planes.values.iter().filter(|v| !v.is_finite()).count();
    if not_finite > 0 {
        return Err(fault::image_not_finite(shown, not_finite));
    }
    let record = file.record(frame);
    let mut notices = notices(&file, &header, &record, frame);
    if doubtful {
        notices.push(words::DOUBTFUL.to_owned());
    }
    Ok(Image {
        width: header.columns,
        height: header.rows,
        channels: planes.channels,
        max_value: planes.max_value,
        values: planes.values,
        origin: Origin {
            name: name.to_owned(),
            path: path.map(Path::to_path_buf),
            format: "DICOM".to_owned(),
            bits: planes.bits,
            colour: planes.colour,
            sha256: sha256_hex(bytes),
        },
        presentation: planes.presentation.into_owned(),
        record: Some(Box::new(record)),
        notices,
    })
}

/// A DICOM picture may be small; its upper limits are those of all pictures.
fn check_size(shown: &Path, header: &PixelHeader) -> Result<()> {
    let (w, h) = (header.columns as u32, header.rows as u32);
    if w.max(h) > MAX_SIDE {
        return Err(fault::image_size(shown, w, h, 1, MAX_SIDE));
    }
    if u64::from(w) * u64::from(h) > MAX_PIXELS {
        return Err(fault::image_pixels(shown, w, h, MAX_PIXELS));
    }
    Ok(())
}

fn notices(file: &File<'_>, header: &PixelHeader, record: &Record, frame: usize) -> Vec<String> {
    let mut found = Vec::new();
    if file.guessed {
        found.push(words::guessed_syntax(file.syntax.name));
    }
    if header.frames > 1 {
        found.push(words::frames(frame + 1, header.frames));
    }
    if record.facts.lossy {
        found.push(words::LOSSY.to_owned());
    }
    if record.facts.has_oblong_pixels() {
        found.push(words::OBLONG.to_owned());
    }
    found
}

/// Red, green and blue of a palette (PS3.3, C.7.6.3.1.5).
struct Palette {
    first: i32,
    bits: u32,
    tables: [Vec<u16>; 3],
}

impl Palette {
    fn read(shown: &Path, set: &DataSet<'_>) -> Result<Self> {
        let missing = || fault::broken_dicom(shown, &words::NO_PALETTE);
        if set.get(0x0028_1201).is_none() && set.get(0x0028_1221).is_some() {
            return Err(fault::dicom_palette(shown));
        }
        let mut first = 0;
        let mut bits = 16;
        let mut tables = [const { Vec::new() }; 3];
        for (index, table) in tables.iter_mut().enumerate() {
            let at = index as u32;
            let (Some(descriptor), Some(data)) =
                (set.words(0x0028_1101 + at), set.words(0x0028_1201 + at))
            else {
                return Err(missing());
            };
            let &[entries, start, depth, ..] = descriptor.as_slice() else {
                return Err(missing());
            };
            first = i32::from(start);
            bits = u32::from(depth).clamp(8, 16);
            *table = header::entries_of(entries, depth, data).ok_or_else(missing)?;
        }
        if bits > 8 && tables.iter().flatten().all(|v| *v < 256) {
            // Written as 16 bits, filled as 8.
            bits = 8;
        }
        Ok(Self {
            first,
            bits,
            tables,
        })
    }

    fn colour(&self, index: i64) -> [f32; 3] {
        let place = usize::try_from(index - i64::from(self.first)).unwrap_or(0);
        [0, 1, 2].map(|channel| {
            let table = &self.tables[channel];
            table
                .get(place)
                .or(table.last())
                .map_or(0.0, |v| f32::from(*v))
        })
    }
}

/// Values as an [`Image`] has them.
struct Planes<'a> {
    channels: usize,
    values: Vec<f32>,
    max_value: f32,
    bits: u32,
    colour: bool,
    presentation: Cow<'a, Presentation>,
}

/// Takes a sample out of its cell, with its sign.
fn number(cell: u32, (low, count): (u32, u32), signed: bool) -> i64 {
    let mask = (1_u64 << count) - 1;
    let bits = i64::from(cell >> low) & mask as i64;
    if signed && bits >> (count - 1) & 1 == 1 {
        bits - (1 << count)
    } else {
        bits
    }
}

impl<'a> Planes<'a> {
    fn of(
        frame: Frame,
        header: &PixelHeader,
        shown: &'a Presentation,
        palette: Option<&Palette>,
    ) -> Self {
        let pixels = header.rows * header.columns;
        let bits = frame.bits;
        let signed = header.signed;
        let [lo, hi] = header::ends_of(header);
        let max = hi - lo;
        if let Cells::Float(values) = frame.cells {
            // Nothing says what white is, and nothing is turned.
            let max_value = values.iter().fold(1.0_f32, |most, &v| most.max(v));
            let mut shown = shown.clone();
            (shown.sign, shown.offset) = (1.0, 0.0);
            return Self {
                channels: 1,
                values,
                max_value,
                bits: 32,
                colour: false,
                presentation: Cow::Owned(shown),
            };
        }
        if header.samples == 3 || palette.is_some() {
            let numbers: Box<dyn Fn(usize) -> i64> = match frame.cells {
                Cells::Bytes(cells) => Box::new(move |at| {
                    number(cells.get(at).copied().unwrap_or(0).into(), bits, signed)
                }),
                Cells::Words(cells) => Box::new(move |at| {
                    number(cells.get(at).copied().unwrap_or(0).into(), bits, signed)
                }),
                Cells::Long(cells) => {
                    Box::new(move |at| number(cells.get(at).copied().unwrap_or(0), bits, signed))
                }
                Cells::Signed(cells) => {
                    Box::new(move |at| i64::from(cells.get(at).copied().unwrap_or(0)))
                }
                Cells::Float(_) => Box::new(|_| 0),
            };
            return Self::colours(
                &numbers,
                frame.planar,
                frame.ybr,
                pixels,
                max as f32,
                header,
                shown,
                palette,
            );
        }
        // value = sign * (stored - offset), in whole numbers.
        let (lo, hi) = (lo as i64, hi as i64);
        let (sign, offset) = (shown.sign as i64, shown.offset as i64);
        let value = |stored: i64| (sign * (stored.clamp(lo, hi) - offset)) as f32;
        let mut values: Vec<f32> = match &frame.cells {
            Cells::Bytes(cells) => cells
                .iter()
                .map(|v| value(number((*v).into(), bits, signed)))
                .collect(),
            Cells::Words(cells) => cells
                .iter()
                .map(|v| value(number((*v).into(), bits, signed)))
                .collect(),
            Cells::Long(cells) => cells
                .iter()
                .map(|v| value(number(*v, bits, signed)))
                .collect(),
            Cells::Signed(cells) => cells.iter().map(|v| value((*v).into())).collect(),
            Cells::Float(cells) => cells.clone(),
        };
        values.resize(pixels, value(0));
        Self {
            channels: 1,
            values,
            max_value: max.max(1.0) as f32,
            bits: header.stored,
            colour: false,
            presentation: Cow::Borrowed(shown),
        }
    }

    fn colours(
        numbers: &dyn Fn(usize) -> i64,
        planar: bool,
        ybr: bool,
        pixels: usize,
        max: f32,
        header: &PixelHeader,
        shown: &'a Presentation,
        palette: Option<&Palette>,
    ) -> Self {
        let half = ((max + 1.0) / 2.0).floor();
        let lift = if header.signed { half as i64 } else { 0 };
        let pixel = |at: usize| -> [f32; 3] {
            if let Some(palette) = palette {
                return palette.colour(numbers(at));
            }
            let places = if planar {
                [at, at + pixels, at + 2 * pixels]
            } else {
                [3 * at, 3 * at + 1, 3 * at + 2]
            };
            let [a, b, c] = places.map(|place| (numbers(place) + lift) as f32);
            if !ybr {
                return [a, b, c];
            }
            // PS3.3, C.7.6.3.1.2.
            let (cb, cr) = (b - half, c - half);
            [
                a + 1.402 * cr,
                a - 0.344_136 * cb - 0.714_136 * cr,
                a + 1.772 * cb,
            ]
            .map(|v| v.round().clamp(0.0, max))
        };
        let mut values = vec![0.0; 3 * pixels];
        let mut grey = true;
        let (red, rest) = values.split_at_mut(pixels);
        let (green, blue) = rest.split_at_mut(pixels);
        for (at, ((r, g), b)) in red.iter_mut().zip(green).zip(blue).enumerate() {
            [*r, *g, *b] = pixel(at);
            grey &= r == g && g == b;
        }
        if grey {
            values.truncate(pixels);
        }
        let bits = palette.map_or(header.stored, |palette| palette.bits);
        Self {
            channels: if grey { 1 } else { 3 },
            values,
            max_value: palette.map_or(max, |palette| ((1_u32 << palette.bits) - 1) as f32),
            bits,
            colour: true,
            presentation: Cow::Borrowed(shown),
        }
    }
}
