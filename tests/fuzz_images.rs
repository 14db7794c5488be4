//! Thousands of damaged pictures: no panic, no end that does not come, memory within a multiple of what the header
//! declares, one line that names the file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

#[path = "support/damage.rs"]
mod damage;
#[path = "support/dicom_file.rs"]
mod dicom_file;

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use camlens::image::display::{Display, render_grey};
use camlens::image::{Image, MAX_PIXELS};
use damage::{Damage, apply, one_line, thousands, within};
use dicom_file::{
    BIG_ENDIAN, DEFLATED, Dicom, IMPLICIT, LOSSLESS, RLE, Value, lossless_jpeg, rle, text, us,
};
use image::{DynamicImage, ImageBuffer, ImageFormat, ImageReader, Luma, Rgb};

/// Bytes that may be held for each declared pixel, and for each byte of the file (a deflated one unpacks to at most
/// a thousand times its size), beside a fixed part.
const PER_PIXEL: usize = 128;
const PER_BYTE: usize = 64;
const PER_DEFLATED_BYTE: usize = 4096;
const FIXED: usize = 16 << 20;

/// Longest that a small damaged file may take.
const LONGEST: Duration = Duration::from_secs(20);

/// Largest product of numbers that stand where rows and columns do, as far as pictures of that size are accepted.
fn declared(bytes: &[u8]) -> usize {
    let raster = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()
        .and_then(|reader| reader.into_dimensions().ok());
    if let Some((w, h)) = raster {
        return (u64::from(w) * u64::from(h)).min(MAX_PIXELS) as usize;
    }
    let side = |tag: u8| {
        bytes
            .windows(10)
            .filter(|w| matches!(w, [0x28, 0, t, 0, ..] | [0, 0x28, 0, t, ..] if *t == tag))
            .flat_map(|w| {
                [
                    u16::from_le_bytes([w[8], w[9]]),
                    u16::from_be_bytes([w[8], w[9]]),
                ]
            })
            .max()
            .map_or(0, u64::from)
    };
    (side(0x10) * side(0x11)).min(MAX_PIXELS) as usize
}

/// Name of files that are no DICOM.
const RASTER: &str = "a.img";

/// Opens a damaged file and, where that succeeds, shows it.
fn open(name: &str, bytes: &[u8], per_byte: usize) {
    let allowed = FIXED + PER_PIXEL * declared(bytes) + per_byte * bytes.len();
    let started = Instant::now();
    let read = within(allowed, bytes.len(), || {
        let image = Image::from_bytes(name, None, bytes)?;
        assert!(image.values.iter().all(|v| v.is_finite()));
        let levels = render_grey(&image, &Display::default_for(&image));
        assert_eq!(levels.len(), image.width * image.height);
        Ok::<_, camlens::Error>(())
    });
    if let Err(error) = read {
        one_line(&error.to_string(), name);
    }
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}

fn pattern(w: usize, h: usize) -> Vec<u16> {
    (0..w * h).map(|at| (at * at % 4093) as u16).collect()
}

fn twelve() -> Dicom {
    Dicom::grey(24, 16, 12).words(&pattern(24, 16))
}

#[test]
fn uncompressed_dicom() {
    let lut = vec![
        (0x0028_3002, "US", Value::Us(vec![4, 0, 8])),
        (0x0028_3006, "OW", Value::Words(vec![1, 9, 99, 255])),
    ];
    let rich = twelve()
        .set((0x0028_3000, "SQ", Value::Sequence(vec![lut.clone()])))
        .set((0x0028_3010, "SQ", Value::Sequence(vec![lut])))
        .set(text(0x0028_1050, "DS", "2048\\100"))
        .set(text(0x0028_1051, "DS", "4096\\10"))
        .set(text(0x0028_1053, "DS", "-1.5"))
        .set(text(0x0028_1052, "DS", "100"))
        .set(text(0x0010_0010, "PN", "A^B"))
        .set(text(0x0028_0008, "IS", "1"));
    for file in [
        rich.clone(),
        rich.clone().syntax(IMPLICIT),
        rich.clone().syntax(BIG_ENDIAN),
    ] {
        let bytes = file.bytes();
        Image::from_bytes("a.dcm", None, &bytes).unwrap();
        // The header, where a bit means most, and then all of it.
        thousands(1500, |damages| {
            open(
                "a.dcm",
                &apply(&bytes, 132..bytes.len() - 768, &damages),
                PER_BYTE,
            );
        });
        thousands(400, |damages| {
            open("a.dcm", &apply(&bytes, 0..bytes.len(), &damages), PER_BYTE);
        });
    }
    let bytes = rich.syntax(DEFLATED).bytes();
    thousands(1500, |damages| {
        open(
            "a.dcm",
            &apply(&bytes, 132..bytes.len(), &damages),
            PER_DEFLATED_BYTE,
        );
    });
}

/// Damage to single bytes of `bytes` from `from` on, so that the file around stays sound.
fn poked(bytes: &[u8], from: usize, damages: &[Damage]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    let length = bytes.len() - from;
    for damage in damages {
        match damage {
            Damage::Byte(at, b) => damaged[from + ((usize::from(*at) * length) >> 16)] = *b,
            Damage::Remove(at, n) | Damage::Repeat(at, n, _) => {
                // Near the start, where the code's own header is.
                let at = (usize::from(*at) % 96).min(length - 1);
                damaged[from + at] = *n;
            }
            _ => {}
        }
    }
    damaged
}

fn coded(bytes: &[u8], cases: u32) {
    Image::from_bytes("a.dcm", None, bytes).unwrap();
    let start = bytes
        .windows(4)
        .position(|w| w == [0xE0, 0x7F, 0x10, 0x00])
        .unwrap();
    // Behind the element's header, the offset table and the fragment's header.
    let code = start + 12 + 8 + 8;
    thousands(cases, |damages| {
        open("a.dcm", &poked(bytes, code, &damages), PER_BYTE);
    });
    thousands(cases / 3, |damages| {
        open(
            "a.dcm",
            &apply(bytes, start..bytes.len(), &damages),
            PER_BYTE,
        );
    });
}

#[test]
fn rle_and_lossless_jpeg() {
    let cells = pattern(24, 16);
    coded(&twelve().fragments(RLE, vec![rle(&cells)]).bytes(), 2000);
    for (selection, restart) in [(1, 0), (4, 3), (7, 1)] {
        let code = lossless_jpeg(&cells, 24, 12, selection, restart);
        coded(&twelve().fragments(LOSSLESS, vec![code]).bytes(), 1500);
    }
}

#[test]
fn jpeg() {
    let grey: DynamicImage =
        ImageBuffer::from_fn(24, 16, |x, y| Luma([(x * 9 + y * y) as u8])).into();
    let rgb: DynamicImage =
        ImageBuffer::from_fn(24, 16, |x, y| Rgb([(x * 9) as u8, (y * y) as u8, 77])).into();
    for (picture, samples, photometric) in [(grey, 1, "MONOCHROME2"), (rgb, 3, "YBR_FULL_422")] {
        let mut code = Cursor::new(Vec::new());
        picture.write_to(&mut code, ImageFormat::Jpeg).unwrap();
        let file = Dicom::grey(24, 16, 8)
            .set(us(0x0028_0002, samples))
            .set(us(0x0028_0006, 0))
            .set(text(0x0028_0004, "CS", photometric))
            .fragments("1.2.840.10008.1.2.4.50", vec![code.into_inner()]);
        coded(&file.bytes(), 2500);
    }
}

#[test]
fn jpeg_ls_and_jpeg_2000() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dicom");
    for (name, cases) in [
        ("jpeg-ls.dcm", 2000),
        ("jpeg-ls-near.dcm", 1000),
        ("jpeg-ls-line.dcm", 1000),
        ("jpeg-ls-sample.dcm", 1500),
        ("jpeg-2000.dcm", 3000),
        ("jpeg-2000-rgb.dcm", 1500),
    ] {
        coded(&fs::read(folder.join(name)).unwrap(), cases);
    }
}

#[test]
fn raster_files() {
    let grey: DynamicImage =
        ImageBuffer::from_fn(40, 33, |x, y| Luma([(x * 1501 + y * 17) as u16])).into();
    let rgb: DynamicImage =
        ImageBuffer::from_fn(40, 33, |x, y| Rgb([(x * 9) as u8, (y * y) as u8, 77])).into();
    for (picture, format) in [
        (&grey, ImageFormat::Png),
        (&grey, ImageFormat::Tiff),
        (&rgb, ImageFormat::Jpeg),
        (&rgb, ImageFormat::Bmp),
        (&rgb, ImageFormat::WebP),
        (&rgb, ImageFormat::Tiff),
    ] {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        let bytes = bytes.into_inner();
        Image::from_bytes(RASTER, None, &bytes).unwrap();
        thousands(800, |damages| {
            open(RASTER, &apply(&bytes, 0..bytes.len(), &damages), PER_BYTE);
        });
        let head = bytes.len().min(300);
        thousands(800, |damages| {
            open(RASTER, &apply(&bytes, 0..head, &damages), PER_BYTE);
        });
    }
}

#[test]
fn sequences_inside_sequences_end() {
    let head = twelve().without(0x7FE0_0010).bytes();
    for inner in [
        // An undefined sequence with an undefined item, again and again.
        [
            &[
                0x40, 0x00, 0x75, 0x02, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
            ][..],
            &[0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF],
        ]
        .concat(),
        vec![0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0],
        vec![
            0x28, 0, 0x50, 0x10, b'U', b'N', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
        ],
    ] {
        let mut bytes = head.clone();
        bytes.extend(inner.repeat(50_000));
        open("deep.dcm", &bytes, PER_BYTE);
    }
}
