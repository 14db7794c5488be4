//! The attributes that say what the pixels are and how they are shown.

use super::charset;
use super::dataset::{DOUBLE_PIXELS, DataSet, FLOAT_PIXELS, Tag};
use super::syntax::{self, Syntax};
use crate::image::display::{Lut, Modality, Presentation, VoiFunction, Window};
use crate::image::record::{DicomFacts, Identity, WindowFacts};
use crate::text::dicom as words;

/// Colour model of stored pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Photometric {
    /// Small is bright.
    Mono1,
    Mono2,
    Palette,
    /// Also what JPEG 2000 makes of its own luma and chroma.
    Rgb,
    Ybr,
    /// Luma and chroma, chroma once for two pixels.
    Ybr422,
}

/// Attributes of the image pixel module (PS3.3, C.7.6.3), checked.
#[derive(Clone, Debug)]
pub(super) struct PixelHeader {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// 1 or 3.
    pub(super) samples: usize,
    /// 1, 8, 16 or 32.
    pub(super) allocated: u32,
    /// 1 to `allocated`.
    pub(super) stored: u32,
    pub(super) high_bit: u32,
    pub(super) signed: bool,
    pub(super) photometric: Photometric,
    pub(super) planar: bool,
    pub(super) frames: usize,
}

const ROWS: Tag = 0x0028_0010;
const COLUMNS: Tag = 0x0028_0011;
const PHOTOMETRIC: Tag = 0x0028_0004;
const WINDOW_CENTER: Tag = 0x0028_1050;
const WINDOW_WIDTH: Tag = 0x0028_1051;
const WINDOW_NAME: Tag = 0x0028_1055;
const VOI_FUNCTION: Tag = 0x0028_1056;
const SLOPE: Tag = 0x0028_1053;
const INTERCEPT: Tag = 0x0028_1052;
const RESCALE_TYPE: Tag = 0x0028_1054;
const MODALITY_LUT: Tag = 0x0028_3000;
const VOI_LUT: Tag = 0x0028_3010;

/// Entries and windows beyond this many are not looked at.
const MOST_LUTS: usize = 16;

impl PixelHeader {
    /// Reads and checks; sizes are not compared with any limit here.
    pub(super) fn read(set: &DataSet<'_>, syntax: Syntax) -> Result<Self, String> {
        let needed = |tag: Tag, name: &str| {
            set.u16(tag)
                .ok_or_else(|| words::attribute(name, None))
                .map(usize::from)
        };
        let wrong = |name: &str, found: &dyn std::fmt::Display| {
            words::attribute(name, Some(&found.to_string()))
        };
        let (rows, columns) = (needed(ROWS, "Rows")?, needed(COLUMNS, "Columns")?);
        if rows == 0 || columns == 0 {
            return Err(wrong("Rows x Columns", &format!("{rows} x {columns}")));
        }
        let float = set.get(FLOAT_PIXELS).is_some() || set.get(DOUBLE_PIXELS).is_some();
        let samples = set.u16(0x0028_0002).map_or(1, usize::from);
        let allocated = u32::try_from(needed(0x0028_0100, "Bits Allocated")?).unwrap_or(0);
        let stored = set.u16(0x0028_0101).map_or(allocated, u32::from);
        let high_bit = set
            .u16(0x0028_0102)
            .map_or(stored.saturating_sub(1), u32::from);
        if !(matches!(allocated, 1 | 8 | 16 | 32) || float && allocated == 64) {
            return Err(wrong("Bits Allocated", &allocated));
        }
        if stored == 0 || stored > allocated {
            return Err(wrong("Bits Stored", &stored));
        }
        if high_bit >= allocated || high_bit + 1 < stored {
            return Err(wrong("High Bit", &high_bit));
        }
        let name = set.text(PHOTOMETRIC);
        let photometric = match name.as_deref() {
            Some("MONOCHROME1") => Photometric::Mono1,
            // ACR-NEMA had no colours and no such attribute.
            Some("MONOCHROME2") | None => Photometric::Mono2,
            Some("PALETTE COLOR") => Photometric::Palette,
            Some("RGB" | "YBR_RCT" | "YBR_ICT") => Photometric::Rgb,
            Some("YBR_FULL_422") if syntax.codec == syntax::Codec::Native => Photometric::Ybr422,
            Some("YBR_FULL" | "YBR_FULL_422") => Photometric::Ybr,
            Some(other) => return Err(wrong("Photometric Interpretation", &other)),
        };
        let fits = match photometric {
            Photometric::Mono1 | Photometric::Mono2 | Photometric::Palette => samples == 1,
            Photometric::Ybr422 => samples == 3 && allocated == 8 && columns % 2 == 0,
            Photometric::Rgb | Photometric::Ybr => {
                samples == 3 && (allocated == 8 || allocated == 16)
            }
        };
        if !fits {
            let found = format!(
                "{} with {samples} sample(s) of {allocated} bits",
                name.as_deref().unwrap_or("none")
            );
            return Err(wrong("Photometric Interpretation", &found));
        }
        let frames = match set.text(0x0028_0008) {
            None => 1,
            Some(text) => match text.parse::<usize>() {
                Ok(frames @ 1..=1_000_000) => frames,
                // Written by some for single pictures.
                Ok(0) => 1,
                _ => return Err(wrong("Number of Frames", &text)),
            },
        };
        Ok(Self {
            rows,
            columns,
            samples,
            allocated,
            stored,
            high_bit,
            signed: set.u16(0x0028_0103) == Some(1),
            photometric,
            planar: set.u16(0x0028_0006) == Some(1),
            frames,
        })
    }

    /// The lowest bit of a sample in its cell.
    pub(super) fn low_bit(&self) -> u32 {
        self.high_bit + 1 - self.stored
    }
}

/// The modules of a frame: of an enhanced object its functional groups (PS3.3, C.7.6.16), else the file.
struct Groups<'a> {
    own: Vec<DataSet<'a>>,
    root: &'a DataSet<'a>,
}

impl<'a> Groups<'a> {
    fn new(root: &'a DataSet<'a>, frame: usize) -> Self {
        const SHARED: Tag = 0x5200_9229;
        const PER_FRAME: Tag = 0x5200_9230;
        let mut groups = root.items(PER_FRAME, frame.saturating_add(1).min(1 << 16));
        let mut own: Vec<DataSet<'a>> = if groups.len() > frame {
            groups.pop().into_iter().collect()
        } else {
            Vec::new()
        };
        own.extend(root.items(SHARED, 1));
        Self { own, root }
    }

    /// The macro's item in this frame's groups, in those of all frames, or nothing.
    fn item(&self, tag: Tag) -> Option<DataSet<'a>> {
        self.own
            .iter()
            .find_map(|group| group.items(tag, 1).into_iter().next())
    }

    /// Where the elements of the macro `tag` stand.
    fn of(&self, tag: Tag) -> DataSet<'a> {
        self.item(tag).unwrap_or_else(|| self.root.clone())
    }
}

fn pair(numbers: &[f64]) -> Option<[f64; 2]> {
    match numbers {
        &[a, b, ..] if a > 0.0 && b > 0.0 => Some([a, b]),
        _ => None,
    }
}

/// Tables of a LUT sequence.
fn luts(set: &DataSet<'_>, tag: Tag, signed: bool) -> Vec<Lut> {
    let mut found = Vec::new();
    for item in set.items(tag, MOST_LUTS) {
        let (Some(descriptor), Some(data)) = (item.words(0x0028_3002), item.words(0x0028_3006))
        else {
            continue;
        };
        let &[entries, first, bits] = descriptor.as_slice() else {
            continue;
        };
        let first = if signed {
            i32::from(first as i16)
        } else {
            i32::from(first)
        };
        let Some(values) = entries_of(entries, bits, data) else {
            continue;
        };
        let bits = u32::from(bits).clamp(8, 16);
        let name = item.text(0x0028_3003).unwrap_or_default();
        found.push(Lut {
            first,
            bits,
            values,
            name,
        });
    }
    found
}

/// Entries of a table; those of 8 bits may stand two in a word.
pub(super) fn entries_of(count: u16, bits: u16, words: Vec<u16>) -> Option<Vec<u16>> {
    let count = if count == 0 {
        1 << 16
    } else {
        usize::from(count)
    };
    let mut values = if bits <= 8 && words.len() < count {
        words.iter().flat_map(|w| [w & 0xFF, w >> 8]).collect()
    } else {
        words
    };
    values.truncate(count);
    (!values.is_empty()).then_some(values)
}

/// How the frame is to be shown, and whether it must be turned for the model, so that air is dark.
pub(super) fn presentation(set: &DataSet<'_>, header: &PixelHeader, frame: usize) -> Presentation {
    let groups = Groups::new(set, frame);
    let mut shown = Presentation::default();
    if header.samples != 1 || header.photometric == Photometric::Palette {
        return shown;
    }
    let transform = groups.of(0x0028_9145);
    let slope = transform
        .decimals(SLOPE)
        .first()
        .copied()
        .filter(|s| *s != 0.0);
    let intercept = transform.decimals(INTERCEPT).first().copied();
    let mut tables = luts(set, MODALITY_LUT, header.signed);
    shown.modality = if tables.is_empty() {
        Modality::Linear {
            slope: slope.unwrap_or(1.0),
            intercept: intercept.unwrap_or(0.0),
        }
    } else {
        Modality::Lut(tables.swap_remove(0))
    };
    // What a table of values of interest is asked for may be negative after a signed modality.
    let negative = match &shown.modality {
        Modality::Linear { slope, intercept } => {
            let ends = ends_of(header).map(|v| slope * v + intercept);
            ends.iter().any(|v| *v < 0.0)
        }
        Modality::Lut(_) => false,
    };
    let voi = groups.of(0x0028_9132);
    shown.windows = windows(&voi);
    shown.luts = luts(&voi, VOI_LUT, negative);
    for (number, lut) in shown.luts.iter_mut().enumerate() {
        if lut.name.is_empty() {
            lut.name = words::lut_number(number + 1);
        }
    }
    shown.inverted = header.photometric == Photometric::Mono1;
    shown.padding = padding(set, header);
    let is_ct = set.text(0x0008_0060).as_deref() == Some("CT");
    let unit = transform.text(RESCALE_TYPE);
    shown.hounsfield = unit.as_deref() == Some("HU")
        || is_ct && unit.is_none() && (slope.is_some() || intercept.is_some_and(|i| i < -900.0));
    let falls = match &shown.modality {
        Modality::Linear { slope, .. } => *slope < 0.0,
        Modality::Lut(lut) => lut.falls(),
    };
    let [lo, hi] = ends_of(header);
    if shown.inverted != falls {
        (shown.sign, shown.offset) = (-1.0, hi);
    } else {
        (shown.sign, shown.offset) = (1.0, lo);
    }
    shown
}

/// Lowest and highest value that the stored bits can have.
pub(super) fn ends_of(header: &PixelHeader) -> [f64; 2] {
    let all = (2.0_f64).powi(header.stored as i32);
    if header.signed {
        [-all / 2.0, all / 2.0 - 1.0]
    } else {
        [0.0, all - 1.0]
    }
}

fn windows(set: &DataSet<'_>) -> Vec<Window> {
    let function = match set.text(VOI_FUNCTION).as_deref() {
        Some("SIGMOID") => VoiFunction::Sigmoid,
        Some("LINEAR_EXACT") => VoiFunction::LinearExact,
        _ => VoiFunction::Linear,
    };
    let names = set.text(WINDOW_NAME).unwrap_or_default();
    let mut names = names.split('\\').map(str::trim);
    let centers = set.decimals(WINDOW_CENTER);
    let widths = set.decimals(WINDOW_WIDTH);
    let least = if function == VoiFunction::Linear {
        1.0
    } else {
        f64::MIN_POSITIVE
    };
    let pairs = centers.into_iter().zip(widths).take(MOST_LUTS);
    pairs
        .enumerate()
        .map(|(number, (center, width))| {
            let name = names.next().filter(|name| !name.is_empty());
            Window {
                center,
                width: width.max(least),
                function,
                name: name.map_or_else(|| words::window_number(number + 1), str::to_owned),
            }
        })
        .collect()
}

/// Pixel padding value and its range limit.
fn padding(set: &DataSet<'_>, header: &PixelHeader) -> Option<[f64; 2]> {
    let number = |tag| {
        let bits = set.u16(tag)?;
        Some(if header.signed {
            f64::from(bits as i16)
        } else {
            f64::from(bits)
        })
    };
    let value = number(0x0028_0120)?;
    let limit = number(0x0028_0121).unwrap_or(value);
    Some([value.min(limit), value.max(limit)])
}

/// What may be written about the file.
pub(super) fn facts(
    set: &DataSet<'_>,
    meta: &DataSet<'_>,
    syntax: Syntax,
    frame: usize,
) -> DicomFacts {
    let groups = Groups::new(set, frame);
    let transform = groups.of(0x0028_9145);
    let voi = groups.of(0x0028_9132);
    let measures = groups.of(0x0028_9110);
    let whole = |tag| set.decimals(tag).first().map(|v| *v as i64);
    let small = |tag| u32::from(set.u16(tag).unwrap_or(0));
    let sop = set.text(0x0008_0016).or_else(|| meta.text(0x0002_0002));
    DicomFacts {
        modality: set.text(0x0008_0060),
        sop_class: sop.map(|uid| syntax::sop_class(&uid)),
        transfer_syntax: syntax.name.to_owned(),
        rows: set.u16(ROWS).map_or(0, usize::from),
        columns: set.u16(COLUMNS).map_or(0, usize::from),
        frames: set
            .decimals(0x0028_0008)
            .first()
            .map_or(1, |v| v.max(1.0) as usize),
        frame: frame + 1,
        samples_per_pixel: set.u16(0x0028_0002).map_or(1, usize::from),
        photometric: set.text(PHOTOMETRIC).unwrap_or_default(),
        bits_allocated: small(0x0028_0100),
        bits_stored: small(0x0028_0101),
        signed: set.u16(0x0028_0103) == Some(1),
        rescale_slope: transform.decimals(SLOPE).first().copied(),
        rescale_intercept: transform.decimals(INTERCEPT).first().copied(),
        rescale_type: transform.text(RESCALE_TYPE),
        modality_lut: set.get(MODALITY_LUT).is_some(),
        windows: windows(&voi)
            .into_iter()
            .map(|w| WindowFacts {
                center: w.center,
                width: w.width,
                function: w.function.id(),
                explanation: w.name,
            })
            .collect(),
        voi_luts: voi.items(VOI_LUT, MOST_LUTS).len(),
        pixel_spacing_mm: pair(&measures.decimals(0x0028_0030)),
        imager_pixel_spacing_mm: pair(&set.decimals(0x0018_1164)),
        pixel_aspect_ratio: pair(&set.decimals(0x0028_0034)),
        lossy: set.text(0x0028_2110).as_deref() == Some("01") || syntax.is_lossy(),
        body_part: set.text(0x0018_0015),
        view_position: set.text(0x0018_5101),
        laterality: set.text(0x0020_0062).or_else(|| set.text(0x0020_0060)),
        manufacturer: set.text(0x0008_0070),
        series_number: whole(0x0020_0011),
        instance_number: whole(0x0020_0013),
    }
}

/// Who the picture is of.
pub(super) fn identity(set: &DataSet<'_>) -> Identity {
    let sets = set.text(0x0008_0005).unwrap_or_default();
    let text = |tag: Tag| {
        let text = charset::decode(set.get(tag)?.value, &sets);
        (!text.is_empty()).then_some(text)
    };
    Identity {
        name: text(0x0010_0010)
            .map(|name| charset::person(&name))
            .filter(|name| !name.is_empty()),
        id: text(0x0010_0020),
        birth_date: text(0x0010_0030),
        sex: text(0x0010_0040),
        age: text(0x0010_1010),
        accession: text(0x0008_0050),
        study_date: text(0x0008_0020),
        study_description: text(0x0008_1030),
        institution: text(0x0008_0080),
        uids: [
            set.text(0x0020_000D),
            set.text(0x0020_000E),
            set.text(0x0008_0018),
        ],
    }
}
