//! Data elements of a DICOM file (PS3.5, chapter 7), read in place.
//!
//! Nothing is copied and nothing is allocated by a length that the file merely claims: values are slices
//! of the file, sequences are walked when asked for. Crates that read whole data sets reserve memory by
//! the claimed length first, so four bad bytes would cost gigabytes.

/// Group and element number, as `0xggggeeee`.
pub(super) type Tag = u32;

/// Length field of a value that ends with a delimiter.
const UNDEFINED: u32 = 0xFFFF_FFFF;
const ITEM: Tag = 0xFFFE_E000;
const ITEM_END: Tag = 0xFFFE_E00D;
const SEQUENCE_END: Tag = 0xFFFE_E0DD;
/// Sequences inside sequences; real files stay below ten.
const MAX_DEPTH: usize = 32;

pub(super) const PIXEL_DATA: Tag = 0x7FE0_0010;
pub(super) const FLOAT_PIXELS: Tag = 0x7FE0_0008;
pub(super) const DOUBLE_PIXELS: Tag = 0x7FE0_0009;

/// How numbers and headers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    /// Value representations stand in the headers.
    pub(super) explicit: bool,
    /// Most significant byte first.
    pub(super) big_endian: bool,
}

impl Coding {
    pub(super) const EXPLICIT: Self = Self {
        explicit: true,
        big_endian: false,
    };
    pub(super) const IMPLICIT: Self = Self {
        explicit: false,
        big_endian: false,
    };

    pub(super) fn u16(self, two: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(two)
        } else {
            u16::from_le_bytes(two)
        }
    }

    pub(super) fn u32(self, four: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(four)
        } else {
            u32::from_le_bytes(four)
        }
    }
}

/// One data element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: Tag,
    /// Value as stored; of a sequence its items, of encapsulated pixels their fragments, without the
    /// closing delimiter.
    pub(super) value: &'a [u8],
    /// The value ended with a delimiter: pixels are encapsulated.
    pub(super) delimited: bool,
    /// Value representation, where the file names it.
    pub(super) vr: Option<[u8; 2]>,
    pub(super) coding: Coding,
}

/// Why a data set could not be walked to its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The element at which it broke off, or the one before.
    pub(super) tag: Tag,
    /// It is cut short there; otherwise what stands there makes no sense.
    pub(super) cut: bool,
}

/// Elements in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct DataSet<'a> {
    elements: Vec<Element<'a>>,
    /// Where walking stopped before the end, if it did.
    pub(super) broken: Option<Broken>,
    /// Bytes that were walked.
    pub(super) length: usize,
}

struct Header {
    tag: Tag,
    length: u32,
    vr: Option<[u8; 2]>,
    /// Of unknown representation: a delimited value is coded implicitly, whatever surrounds it.
    unknown: bool,
    size: usize,
}

fn two(bytes: &[u8], at: usize) -> Option<[u8; 2]> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok()
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok()
}

fn tag_at(bytes: &[u8], at: usize, coding: Coding) -> Option<Tag> {
    let group = coding.u16(two(bytes, at)?);
    let element = coding.u16(two(bytes, at + 2)?);
    Some(u32::from(group) << 16 | u32::from(element))
}

fn header_at(bytes: &[u8], at: usize, coding: Coding) -> Option<Header> {
    let tag = tag_at(bytes, at, coding)?;
    let vr = two(bytes, at + 4)?;
    let named = vr.iter().all(u8::is_ascii_uppercase);
    if !coding.explicit || tag >> 16 == 0xFFFE || !named {
        return Some(Header {
            tag,
            length: coding.u32(four(bytes, at + 4)?),
            vr: None,
            unknown: false,
            size: 8,
        });
    }
    let long = matches!(
        &vr,
        b"OB"
            | b"OD"
            | b"OF"
            | b"OL"
            | b"OV"
            | b"OW"
            | b"SQ"
            | b"SV"
            | b"UC"
            | b"UN"
            | b"UR"
            | b"UT"
            | b"UV"
    );
    let (length, size) = if long {
        (coding.u32(four(bytes, at + 8)?), 12)
    } else {
        (u32::from(coding.u16(two(bytes, at + 6)?)), 8)
    };
    Some(Header {
        tag,
        length,
        vr: Some(vr),
        unknown: &vr == b"UN",
        size,
    })
}

/// Index behind the delimiter that ends the items from `at`, and index of the delimiter.
fn end_of_items(
    bytes: &[u8],
    mut at: usize,
    coding: Coding,
    depth: usize,
) -> Option<(usize, usize)> {
    if depth > MAX_DEPTH {
        return None;
    }
    loop {
        let tag = tag_at(bytes, at, coding)?;
        let length = coding.u32(four(bytes, at + 4)?);
        match tag {
            SEQUENCE_END => return Some((at + 8, at)),
            ITEM if length == UNDEFINED => at = end_of_item(bytes, at + 8, coding, depth + 1)?.0,
            ITEM => {
                at = at.checked_add(8)?.checked_add(length as usize)?;
                if at > bytes.len() {
                    return None;
                }
            }
            _ => return None,
        }
    }
}

/// Index behind the delimiter that ends the item whose elements start at `at`, and index of it.
fn end_of_item(
    bytes: &[u8],
    mut at: usize,
    coding: Coding,
    depth: usize,
) -> Option<(usize, usize)> {
    loop {
        let header = header_at(bytes, at, coding)?;
        if header.tag == ITEM_END {
            return Some((at + 8, at));
        }
        at += header.size;
        at = if header.length == UNDEFINED {
            let inner = if header.unknown {
                Coding::IMPLICIT
            } else {
                coding
            };
            end_of_items(bytes, at, inner, depth + 1)?.0
        } else {
            at.checked_add(header.length as usize)?
        };
        if at > bytes.len() {
            return None;
        }
    }
}

impl<'a> DataSet<'a> {
    /// Walks `bytes` from their start until the pixels, the end, or the first element for which
    /// `goes_on` is false. Only groups that the program reads are kept.
    pub(super) fn read(bytes: &'a [u8], coding: Coding, goes_on: impl Fn(Tag) -> bool) -> Self {
        let mut found = Self {
            elements: Vec::new(),
            broken: None,
            length: 0,
        };
        let mut at = 0;
        let mut last = 0;
        while at < bytes.len() {
            let cut = Some(Broken {
                tag: last,
                cut: true,
            });
            let Some(header) = header_at(bytes, at, coding) else {
                // Padding behind the last element is no fault.
                let rest = bytes.get(at..).unwrap_or_default();
                found.broken = if rest.iter().all(|b| *b == 0) {
                    None
                } else {
                    cut
                };
                break;
            };
            if !goes_on(header.tag) {
                break;
            }
            if header.tag >> 16 == 0xFFFE {
                // An item or delimiter without its sequence, which some writers leave behind: what it holds
                // is walked over.
                let length = if header.length == UNDEFINED {
                    0
                } else {
                    header.length as usize
                };
                at = at.saturating_add(8).saturating_add(length);
                if at <= bytes.len() {
                    continue;
                }
            }
            if header.tag >> 16 == 0xFFFE || header.tag >> 16 == 0 {
                found.broken = Some(Broken {
                    tag: last,
                    cut: false,
                });
                break;
            }
            last = header.tag;
            let start = at + header.size;
            let rest = bytes.get(start..).unwrap_or_default();
            let delimited = header.length == UNDEFINED;
            let inner = if delimited && header.unknown {
                Coding::IMPLICIT
            } else {
                coding
            };
            let (value, missing, next) = if delimited {
                match end_of_items(bytes, start, inner, 0) {
                    Some((next, end)) => (bytes.get(start..end).unwrap_or_default(), 0, next),
                    // Fragments that are cut are judged by the frame that needs them.
                    None if header.tag == PIXEL_DATA => (rest, 0, bytes.len()),
                    None => {
                        found.broken = Some(Broken {
                            tag: last,
                            cut: true,
                        });
                        break;
                    }
                }
            } else {
                let length = header.length as usize;
                match rest.get(..length) {
                    Some(value) => (value, 0, start + length),
                    None => (rest, length - rest.len(), bytes.len()),
                }
            };
            if missing > 0 && header.tag >> 16 != 0x7FE0 {
                found.broken = Some(Broken {
                    tag: last,
                    cut: true,
                });
                break;
            }
            let element = Element {
                tag: header.tag,
                value,
                delimited,
                vr: header.vr,
                coding: inner,
            };
            if kept(header.tag) {
                found.elements.push(element);
            }
            at = next;
            found.length = at;
            if matches!(header.tag, PIXEL_DATA | FLOAT_PIXELS | DOUBLE_PIXELS) {
                break;
            }
        }
        found
    }

    /// The element with this tag.
    pub(super) fn get(&self, tag: Tag) -> Option<&Element<'a>> {
        self.elements.iter().find(|element| element.tag == tag)
    }

    /// A text value without padding; empty ones count as absent.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let element = self.get(tag)?;
        let text = String::from_utf8_lossy(element.value);
        let text = text.trim_matches(['\0', ' ', '\n', '\r', '\t']);
        (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
    }

    /// Decimal numbers of a text value (`DS`, `IS`), up to the first that is none.
    pub(super) fn decimals(&self, tag: Tag) -> Vec<f64> {
        self.text(tag).map_or_else(Vec::new, |text| {
            text.split('\\')
                .map_while(|part| part.trim().parse::<f64>().ok())
                .filter(|number| number.is_finite())
                .take(MAX_NUMBERS)
                .collect()
        })
    }

    /// A binary number of 16 bits.
    pub(super) fn u16(&self, tag: Tag) -> Option<u16> {
        let element = self.get(tag)?;
        Some(element.coding.u16(two(element.value, 0)?))
    }

    /// All 16-bit numbers of a value.
    pub(super) fn words(&self, tag: Tag) -> Option<Vec<u16>> {
        let element = self.get(tag)?;
        let pairs = element.value.chunks_exact(2);
        Some(
            pairs
                .filter_map(|pair| pair.try_into().ok())
                .map(|pair| element.coding.u16(pair))
                .collect(),
        )
    }

    /// Items of a sequence, at most `most` of them; broken ones end the list.
    pub(super) fn items(&self, tag: Tag, most: usize) -> Vec<DataSet<'a>> {
        self.get(tag).map_or_else(Vec::new, |element| {
            element
                .item_values()
                .take(most)
                .map(|value| DataSet::read(value, element.coding, |_| true))
                .collect()
        })
    }
}

/// Windows, spacings and the like have a handful.
const MAX_NUMBERS: usize = 64;

/// What is looked at: identification, acquisition, position, image, overlays' absence, pixels, directory.
fn kept(tag: Tag) -> bool {
    matches!(
        tag >> 16,
        0x0002 | 0x0004 | 0x0008 | 0x0010 | 0x0018 | 0x0020 | 0x0028 | 0x2050 | 0x5200 | 0x7FE0
    )
}

impl<'a> Element<'a> {
    /// Values of the items of a sequence, or fragments of encapsulated pixels.
    pub(super) fn item_values(&self) -> impl Iterator<Item = &'a [u8]> {
        self.fragments().map(|(value, _)| value)
    }

    /// As [`Element::item_values`], with whether the item is all there.
    pub(super) fn fragments(&self) -> impl Iterator<Item = (&'a [u8], bool)> {
        let (bytes, coding) = (self.value, self.coding);
        let mut at = 0;
        std::iter::from_fn(move || {
            if tag_at(bytes, at, coding)? != ITEM {
                return None;
            }
            let length = coding.u32(four(bytes, at + 4)?);
            let start = at + 8;
            let (end, next) = if length == UNDEFINED {
                let (next, end) = end_of_item(bytes, start, coding, 0)?;
                (end, next)
            } else {
                let end = start.checked_add(length as usize)?;
                (end, end)
            };
            at = next;
            // A last fragment that breaks off is handed on as far as it goes.
            let whole = end <= bytes.len();
            Some((bytes.get(start..end.min(bytes.len()))?, whole))
        })
    }
}

/// Whether `bytes` begin like a data set that was written without preamble: three elements in rising
/// order that fit into the file, the first in group 0002, 0004 or 0008.
pub(super) fn bare_coding(bytes: &[u8]) -> Option<Coding> {
    let mut codings = vec![Coding::EXPLICIT, Coding::IMPLICIT];
    codings.push(Coding {
        explicit: true,
        big_endian: true,
    });
    codings.into_iter().find(|&coding| {
        let mut at = 0;
        let mut last = 0;
        for index in 0..3 {
            let Some(header) = header_at(bytes, at, coding) else {
                return false;
            };
            let named = two(bytes, at + 4).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
            let first = index > 0 || matches!(header.tag >> 16, 0x0002 | 0x0004 | 0x0008);
            if !first
                || header.tag >> 16 > 0x0020
                || header.tag <= last && index > 0
                || named != coding.explicit
            {
                return false;
            }
            if header.length == UNDEFINED {
                return index > 0;
            }
            last = header.tag;
            at += header.size + header.length as usize;
            if at > bytes.len() {
                return false;
            }
        }
        true
    })
}

/// Whether the headers of a data set at the start of `bytes` name value representations.
pub(super) fn looks_explicit(bytes: &[u8]) -> bool {
    two(bytes, 4).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase))
}
