//! DICOM files: reading, showing, refusing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

#[path = "support/dicom_file.rs"]
mod dicom_file;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use camlens::image::display::{Display, Voi, VoiFunction, render, render_grey};
use camlens::image::{Image, sha256_hex};
use camlens::job::Job;
use camlens::plan::ImageSource;
use camlens::session::Picture;
use camlens::session::listing::{Thumbnails, list};
use dicom_file::{
    BIG_ENDIAN, DEFLATED, Dicom, Element, IMPLICIT, LOSSLESS, RLE, Value, lossless_jpeg, rle, text,
    us,
};

// ---- the reference files -----------------------------------------------------------------------

/// The folder of reference files, or `None` (said aloud) where they are not there.
fn reference() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/dicom");
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: no reference data at {}", path.display());
    None
}

/// All frames of a file.
fn frames(path: &Path) -> Vec<Image> {
    let first = Image::open(path).unwrap_or_else(|e| panic!("{e}"));
    let count = first.record.as_ref().unwrap().facts.frames;
    let mut all = vec![first];
    all.extend((1..count).map(|frame| Image::open_frame(path, frame).unwrap()));
    all
}

/// Stored values of a picture, plane by plane.
fn stored(image: &Image) -> Vec<f64> {
    let shown = &image.presentation;
    image.values.iter().map(|v| shown.stored(*v)).collect()
}

fn extremes(images: &[Image]) -> (f64, f64) {
    images
        .iter()
        .flat_map(stored)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| {
            (lo.min(v), hi.max(v))
        })
}

/// SHA-256 of the stored pixels, as the file's type, little-endian.
fn stored_hash(images: &[Image]) -> String {
    let mut bytes = Vec::new();
    for image in images {
        let facts = &image.record.as_ref().unwrap().facts;
        let planes = if facts.samples_per_pixel == 3 { 3 } else { 1 };
        let values = stored(image);
        for at in 0..image.width * image.height {
            for plane in 0..planes {
                // Equal colours are kept once.
                let v = values[at + (plane % image.channels) * image.width * image.height] as i64;
                if facts.bits_allocated == 8 {
                    bytes.push(v as u8);
                } else {
                    bytes.extend_from_slice(&(v as u16).to_le_bytes());
                }
            }
        }
    }
    sha256_hex(&bytes)
}

fn one_line(error: &camlens::Error, path: &Path) {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains(path.file_name().unwrap().to_str().unwrap()),
        "{text}"
    );
    assert!(
        text.len() > 40 && text.len() < 600 && !text.chars().any(char::is_control),
        "{text}"
    );
}

#[test]
fn generated_files_are_read_exactly_and_shown_as_expected() {
    let Some(folder) = reference() else { return };
    let folder = folder.join("generated");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let mut shown = 0;
    for entry in manifest.as_array().unwrap() {
        let name = entry["file"].as_str().unwrap();
        let path = folder.join(name);
        if entry.get("error").is_some() {
            match Image::open(&path) {
                Err(error) => one_line(&error, &path),
                // A PNG under another name is a picture.
                Ok(image) => assert!(
                    name.starts_with("93") && !image.notices.is_empty(),
                    "{name} opened"
                ),
            }
            continue;
        }
        let images = frames(&path);
        let (lo, hi) = extremes(&images);
        let near = |a: f64, key: &str, by: f64| {
            let b = entry[key].as_f64().unwrap();
            assert!((a - b).abs() <= by, "{name}: {key} {b}, read {a}");
        };
        // Lossy code leaves decoders some freedom.
        if name.starts_with("12") || name.starts_with("13") {
            near(lo, "stored_min", 8.0);
            near(hi, "stored_max", 8.0);
            let all: Vec<f64> = images.iter().flat_map(stored).collect();
            near(
                all.iter().sum::<f64>() / all.len() as f64,
                "stored_mean",
                0.05,
            );
        } else {
            near(lo, "stored_min", 0.0);
            near(hi, "stored_max", 0.0);
            let hash = stored_hash(&images);
            // The folder's first hash lost its last digit.
            assert!(
                hash.starts_with(entry["stored_sha256_le"].as_str().unwrap()),
                "{name}: {hash}"
            );
        }
        let expected = folder.join("expected").join(name.replace(".dcm", ".png"));
        if expected.exists() {
            shown += 1;
            let expected = image::open(&expected).unwrap().to_luma8();
            let image = &images[0];
            let seen = render_grey(image, &Display::default_for(image));
            assert_eq!(seen.dimensions(), expected.dimensions(), "{name}");
            let worst = seen
                .as_raw()
                .iter()
                .zip(expected.as_raw())
                .map(|(a, b)| a.abs_diff(*b))
                .max()
                .unwrap();
            assert!(worst <= 1, "{name}: {worst} levels off");
        }
    }
    assert_eq!(shown, 22);
}

/// Rows of TABLE.md before its section on generated files: file name to all cells.
fn table(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(folder.join("TABLE.md")).unwrap();
    let text = text.split("## generated/").next().unwrap();
    text.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| file"))
        .map(|line| {
            let cells: Vec<String> = line.split('|').map(|c| c.trim().to_owned()).collect();
            (cells[1].clone(), cells)
        })
        .collect()
}

#[test]
fn public_files_are_read_or_refused_as_the_table_says() {
    let Some(folder) = reference() else { return };
    let rows = table(&folder);
    assert!(rows.len() > 60, "{}", rows.len());
    let mut wrong = Vec::new();
    for (name, cells) in &rows {
        let path = folder.join(name);
        let truth = &cells[10];
        let opened = Image::open(&path);
        let decodable = truth.starts_with('(');
        // Our decoder reads 12-bit JPEG, and frames before one that is missing.
        let extended = cells[3].contains("Extended");
        let either = name.contains("GH177") || name.contains("too_short");
        match opened {
            Err(error) => {
                one_line(&error, &path);
                println!("{name}: {error}");
                if decodable && !cells[3].contains("High-Throughput") || extended {
                    wrong.push(format!("{error}"));
                }
            }
            Ok(first) => {
                println!(
                    "{name}: {:?} {} bits, {:?}",
                    first.size(),
                    first.origin.bits,
                    first.notices
                );
                if !decodable && !extended && !either {
                    wrong.push(format!("{name} opened, the table says {truth}"));
                    continue;
                }
                let Some((lo, hi)) = truth
                    .split_once("min")
                    .and_then(|(_, rest)| rest.split_once(" max"))
                else {
                    continue;
                };
                if first.origin.colour {
                    continue;
                }
                let (lo, hi): (f64, f64) = (lo.parse().unwrap(), hi.parse().unwrap());
                let (a, b) = extremes(&frames(&path));
                let lossy = first.record.as_ref().unwrap().facts.lossy
                    || cells[3].ends_with("JPEG 2000 Image Compression");
                let by = if lossy { 2.0 + 0.002 * hi.abs() } else { 1e-6 };
                if (a - lo).abs() > by || (b - hi).abs() > by {
                    wrong.push(format!("{name}: read {a} to {b}, the table says {truth}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lossy_twins_are_close_to_their_lossless_original() {
    let Some(folder) = reference() else { return };
    let open = |name: &str| Image::open(&folder.join("wg04").join(name)).unwrap();
    let truth = open("RG3_JPLL.dcm");
    for name in ["RG3_JLSL.dcm", "RG3_J2KR.dcm"] {
        assert_eq!(open(name).values, truth.values, "{name}");
    }
    // 12-bit JPEG, which the reference reader cannot open, and lossy JPEG 2000.
    for name in ["RG3_JPLY.dcm", "RG3_J2KI.dcm"] {
        let twin = open(name);
        let sum: f64 = twin
            .values
            .iter()
            .zip(&truth.values)
            .map(|(a, b)| f64::from((a - b).abs()))
            .sum();
        let mean = sum / truth.values.len() as f64;
        assert!(mean < 4.0, "{name}: {mean} of 1023 off on average");
    }
}

#[test]
fn a_file_without_its_last_delimiter_has_all_its_frames() {
    let Some(folder) = reference() else { return };
    let whole = folder.join("pydicom/emri_small.dcm");
    let cut = folder.join("pydicom/emri_small_jpeg_2k_lossless_too_short.dcm");
    for (a, b) in frames(&whole).iter().zip(frames(&cut)) {
        assert_eq!(a.values, b.values);
    }
    let error = Image::open_frame(&cut, 10).unwrap_err();
    one_line(&error, &cut);
    assert!(
        error
            .to_string()
            .contains("frame 11 was asked for, it has 10"),
        "{error}"
    );
}

#[test]
fn names_are_read_in_their_own_writing_and_stay_in_the_identity() {
    let Some(folder) = reference() else { return };
    let path = folder.join("fodicom/CR-MONO1-10-chest");
    let picture = Picture::open(&ImageSource::Path(path)).unwrap();
    let identity = picture.identity().unwrap();
    let name = identity.name.clone().unwrap();
    assert!(!format!("{identity:?}").contains(&name));
    assert!(
        !serde_json::to_string(picture.facts().unwrap())
            .unwrap()
            .contains(&name)
    );
}

#[test]
fn the_same_picture_in_any_coding_is_the_same_to_model_and_eye() {
    let Some(folder) = reference() else { return };
    let folder = folder.join("generated");
    let open = |number: &str| {
        let entry = fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .find(|p| p.file_name().unwrap().to_str().unwrap().starts_with(number))
            .unwrap();
        Image::open(&entry).unwrap()
    };
    let truth = open("02");
    let seen = render_grey(&truth, &Display::default_for(&truth));
    for number in ["03", "04", "06", "07", "08", "09", "10", "11", "19", "25"] {
        let image = open(number);
        assert_eq!(image.max_value, 4095.0, "{number}");
        assert_eq!(
            image.values, truth.values,
            "{number}: a model sees another picture"
        );
        let other = render_grey(&image, &Display::default_for(&image));
        let worst = other
            .as_raw()
            .iter()
            .zip(seen.as_raw())
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst <= Some(1), "{number}: {worst:?}");
    }
    // Windows change the eye's picture, never the model's.
    for number in ["16", "17", "18", "20", "24"] {
        assert_eq!(open(number).values, truth.values, "{number}");
    }
    let colour = open("15");
    let rgb = render(&colour, &Display::default_for(&colour));
    assert!(rgb.pixels().all(|p| p[0] == p[1] && p[1] == p[2]));
}

// ---- files made here ---------------------------------------------------------------------------

const W: usize = 40;
const H: usize = 33;

/// The 12-bit picture that the files in `tests/data/dicom` hold as well.
fn pattern() -> Vec<u16> {
    let mut cells: Vec<u16> = (0..H * W)
        .map(|at| {
            let (x, y) = (at % W, at / W);
            ((x * x * 37 + y * 91 + ((x / 5 + y / 7) % 2) * 800) % 4096) as u16
        })
        .collect();
    for y in 10..20 {
        cells[y * W + 8..y * W + 30].fill(700);
    }
    cells
}

fn twelve() -> Dicom {
    Dicom::grey(W as u16, H as u16, 12).words(&pattern())
}

fn open(file: &Dicom) -> Image {
    Image::from_bytes("made.dcm", None, &file.bytes()).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(file: &Dicom) -> String {
    let error =
        Image::from_bytes("made.dcm", None, &file.bytes()).expect_err("this must be refused");
    let error = error.to_string();
    assert!(
        error.contains("made.dcm") && error.lines().count() == 1,
        "{error}"
    );
    error
}

fn shown(image: &Image) -> Vec<u8> {
    render_grey(image, &Display::default_for(image)).into_raw()
}

fn floats(cells: &[u16]) -> Vec<f32> {
    cells.iter().map(|v| f32::from(*v)).collect()
}

#[test]
fn every_coding_gives_the_same_numbers() {
    let truth = floats(&pattern());
    let mut files = vec![
        ("explicit", twelve()),
        ("implicit", twelve().syntax(IMPLICIT)),
        ("big endian", twelve().syntax(BIG_ENDIAN)),
        ("deflated", twelve().syntax(DEFLATED)),
        ("RLE", twelve().fragments(RLE, vec![rle(&pattern())])),
    ];
    for (name, syntax) in [
        ("bare explicit", dicom_file::EXPLICIT),
        ("bare implicit", IMPLICIT),
        ("bare big endian", BIG_ENDIAN),
    ] {
        let mut bare = twelve().syntax(syntax);
        bare.preamble = false;
        files.push((name, bare));
    }
    // A single picture may come in several fragments.
    let code = rle(&pattern());
    let (a, b) = code.split_at(200);
    files.push((
        "RLE in pieces",
        twelve().fragments(RLE, vec![a.to_vec(), b.to_vec()]),
    ));
    for (name, file) in files {
        let image = open(&file);
        assert_eq!(image.values, truth, "{name}");
        assert_eq!(
            (image.size(), image.channels, image.max_value),
            ([W, H], 1, 4095.0),
            "{name}"
        );
        assert_eq!(image.origin.bits, 12, "{name}");
    }
    for selection in 1..=7 {
        for restart in [0, 1, 5] {
            let code = lossless_jpeg(&pattern(), W, 12, selection, restart);
            let image = open(&twelve().fragments(LOSSLESS, vec![code]));
            assert_eq!(
                image.values, truth,
                "lossless JPEG, predictor {selection}, restart {restart}"
            );
        }
    }
    // 16 bits use differences of all sizes.
    let deep: Vec<u16> = (0..W * H).map(|at| (at * 40_503 % 65_536) as u16).collect();
    for selection in [1, 4, 7] {
        let file = Dicom::grey(W as u16, H as u16, 16)
            .fragments(LOSSLESS, vec![lossless_jpeg(&deep, W, 16, selection, 0)]);
        assert_eq!(open(&file).values, floats(&deep), "predictor {selection}");
    }
}

#[test]
fn files_of_other_encoders_give_the_same_numbers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dicom");
    let open = |name: &str| Image::open(&folder.join(name)).unwrap_or_else(|e| panic!("{e}"));
    let truth = floats(&pattern());
    for name in [
        "jpeg-ls.dcm",
        "jpeg-ls-signed.dcm",
        "jpeg-2000.dcm",
        "jpeg-2000-signed.dcm",
    ] {
        assert_eq!(open(name).values, truth, "{name}");
    }
    let near = open("jpeg-ls-near.dcm");
    let worst = near
        .values
        .iter()
        .zip(&truth)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst > 0.0 && worst <= 3.0, "{worst}");
    assert!(near.notices.iter().any(|n| n.contains("with loss")));
    let grey = pattern();
    let mut colours: Vec<f32> = grey.iter().map(|v| f32::from(v >> 4)).collect();
    colours.extend(grey.iter().map(|v| f32::from((v >> 3) & 255)));
    colours.extend((0..W * H).map(|at| ((at % W * 6 + at / W) % 256) as f32));
    for y in 10..20 {
        for x in 8..30 {
            for (plane, v) in [9.0, 90.0, 200.0].into_iter().enumerate() {
                colours[plane * W * H + y * W + x] = v;
            }
        }
    }
    for name in [
        "jpeg-2000-rgb.dcm",
        "jpeg-ls-plane.dcm",
        "jpeg-ls-line.dcm",
        "jpeg-ls-sample.dcm",
    ] {
        let image = open(name);
        assert_eq!((image.channels, image.origin.colour), (3, true), "{name}");
        assert!(image.values == colours, "{name}: other colours");
    }
}

#[test]
fn garbage_above_and_below_the_stored_bits_is_masked() {
    let dirty: Vec<u16> = pattern().iter().map(|v| v | 0xA000).collect();
    assert_eq!(open(&twelve().words(&dirty)).values, floats(&pattern()));
    let high: Vec<u16> = pattern().iter().map(|v| v << 4 | 9).collect();
    let file = twelve().set(us(0x0028_0102, 15)).words(&high);
    assert_eq!(open(&file).values, floats(&pattern()));
}

#[test]
fn air_is_dark_for_the_model_whatever_the_file_says() {
    let plain = pattern();
    let turned: Vec<u16> = plain.iter().map(|v| 4095 - v).collect();
    let signed: Vec<u16> = plain
        .iter()
        .map(|v| v.wrapping_sub(2048) & 0x0FFF)
        .collect();
    let mono1 = text(0x0028_0004, "CS", "MONOCHROME1");
    let slope = |v: &str| text(0x0028_1053, "DS", v);
    let intercept = |v: &str| text(0x0028_1052, "DS", v);
    let window = |c: &str, w: &str| [text(0x0028_1050, "DS", c), text(0x0028_1051, "DS", w)];
    let with = |file: Dicom, window: [Element; 2]| window.into_iter().fold(file, Dicom::set);
    let truth = open(&with(twelve(), window("2048", "4096")));
    let eye = shown(&truth);
    let same = [
        (
            "MONOCHROME1",
            with(
                twelve().set(mono1.clone()).words(&turned),
                window("2048", "4096"),
            ),
        ),
        (
            "signed",
            with(
                twelve().set(us(0x0028_0103, 1)).words(&signed),
                window("0", "4096"),
            ),
        ),
        (
            "negative slope",
            with(
                twelve()
                    .set(slope("-1"))
                    .set(intercept("4095"))
                    .words(&turned),
                window("2048", "4096"),
            ),
        ),
        (
            "MONOCHROME1 and negative slope",
            with(
                twelve()
                    .set(mono1)
                    .set(slope("-2"))
                    .set(intercept("100"))
                    .words(&plain),
                // Small modality values are bright, and they are the large stored ones.
                window("-3996", "8191"),
            ),
        ),
    ];
    for (name, file) in same {
        let image = open(&file);
        assert_eq!(image.values, truth.values, "{name}: the model's picture");
        let worst = shown(&image)
            .iter()
            .zip(&eye)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst <= Some(1), "{name}: {worst:?} levels off for the eye");
    }
    // The way back to what the file stores.
    let image = open(&twelve().set(us(0x0028_0103, 1)).words(&signed));
    assert!(
        image
            .values
            .iter()
            .zip(&plain)
            .all(|(v, p)| image.presentation.stored(*v) == f64::from(*p) - 2048.0)
    );
}

/// One row of values with a header, as levels.
fn levels(values: &[u16], elements: Vec<Element>) -> Vec<u8> {
    let file = Dicom::grey(values.len() as u16, 1, 12).words(values);
    shown(&open(&elements.into_iter().fold(file, Dicom::set)))
}

#[test]
fn windows_follow_the_standard() {
    let window = |c: &str, w: &str, function: &str| {
        vec![
            text(0x0028_1050, "DS", c),
            text(0x0028_1051, "DS", w),
            text(0x0028_1056, "CS", function),
        ]
    };
    // C.11.2.1.2, note 4: center 2048, width 4096 is the identity on 12 bits.
    assert_eq!(
        levels(&[0, 2047, 2048, 4095], window("2048", "4096", "LINEAR")),
        [0, 127, 128, 255]
    );
    // Width 1 is a threshold: above center - 0.5.
    assert_eq!(
        levels(&[99, 100, 101], window("100", "1", "LINEAR")),
        [0, 255, 255]
    );
    assert_eq!(
        levels(&[50, 100, 150], window("100", "100", "LINEAR_EXACT")),
        [0, 128, 255]
    );
    // 1 / (1 + exp(-4 (x - c) / w)): at the center a half, a quarter width above it 1 / (1 + 1 / e).
    assert_eq!(
        levels(&[100, 125, 4000], window("100", "100", "SIGMOID")),
        [128, 186, 255]
    );
    // No window: smallest to largest; padding is not counted.
    assert_eq!(levels(&[10, 20, 30], vec![]), [0, 128, 255]);
    assert_eq!(
        levels(&[0, 10, 20, 30], vec![us(0x0028_0120, 0)]),
        [0, 0, 128, 255]
    );
    // One value: no division by nothing.
    assert_eq!(levels(&[500, 500], vec![])[0], 31);
}

fn lut(tag: u32, descriptor: [u16; 3], data: Vec<u16>) -> Element {
    let item = vec![
        (0x0028_3002, "US", Value::Us(descriptor.to_vec())),
        text(0x0028_3003, "LO", "Curve"),
        (0x0028_3006, "OW", Value::Words(data)),
    ];
    (tag, "SQ", Value::Sequence(vec![item]))
}

#[test]
fn tables_are_applied_in_order() {
    let voi = lut(0x0028_3010, [3, 10, 8], vec![0, 51, 255]);
    assert_eq!(
        levels(&[0, 10, 11, 12, 99], vec![voi.clone()]),
        [0, 0, 51, 255, 255]
    );
    // Modality first: 1 becomes 11.
    let modality = lut(0x0028_3000, [3, 0, 16], vec![10, 11, 12]);
    assert_eq!(
        levels(&[0, 1, 2], vec![modality.clone(), voi.clone()]),
        [0, 51, 255]
    );
    // Inverted after the table.
    let mono1 = text(0x0028_0004, "CS", "MONOCHROME1");
    assert_eq!(
        levels(&[0, 1, 2], vec![modality, voi.clone(), mono1]),
        [255, 204, 0]
    );
    // A window goes before a table.
    let image = open(
        &twelve()
            .set(voi)
            .set(text(0x0028_1050, "DS", "2048\\100"))
            .set(text(0x0028_1051, "DS", "4096\\50"))
            .set(text(0x0028_1055, "LO", "WIDE\\NARROW")),
    );
    let names: Vec<&str> = image
        .presentation
        .windows
        .iter()
        .map(|w| w.name.as_str())
        .collect();
    assert_eq!(names, ["WIDE", "NARROW"]);
    assert!(matches!(Display::default_for(&image).voi, Voi::Window(w) if w.name == "WIDE"));
    assert!(
        matches!(Display::preset(&image, "file2").unwrap().voi, Voi::Window(w) if w.name == "NARROW")
    );
    assert!(
        matches!(Display::preset(&image, "file3").unwrap().voi, Voi::Lut(l) if l.name == "Curve")
    );
    for (name, words) in [
        ("file4", "3 window(s)"),
        ("lung", "Hounsfield"),
        ("nice", "percentile"),
    ] {
        let error = Display::preset(&image, name).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let ct = open(
        &twelve()
            .set(text(0x0008_0060, "CS", "CT"))
            .set(text(0x0028_1052, "DS", "-1024"))
            .set(text(0x0028_1053, "DS", "1")),
    );
    assert!(matches!(
        Display::preset(&ct, "lung").unwrap().voi,
        Voi::Window(w) if w.center == -600.0 && w.function == VoiFunction::Linear
    ));
}

fn colour(photometric: &str, planar: u16, bytes: Vec<u8>, columns: u16) -> Dicom {
    Dicom::grey(columns, 1, 8)
        .set(us(0x0028_0002, 3))
        .set(us(0x0028_0006, planar))
        .set(text(0x0028_0004, "CS", photometric))
        .set((0x7FE0_0010, "OB", Value::Bytes(bytes)))
}

#[test]
fn colours_come_out_as_colours() {
    let rgb = [255.0, 10.0, 0.0, 20.0, 0.0, 30.0];
    assert_eq!(
        open(&colour("RGB", 0, vec![255, 0, 0, 10, 20, 30], 2)).values,
        rgb
    );
    assert_eq!(
        open(&colour("RGB", 1, vec![255, 10, 0, 20, 0, 30], 2)).values,
        rgb
    );
    // Red is (76, 85, 255) in luma and chroma.
    let red = open(&colour("YBR_FULL", 0, vec![76, 85, 255, 76, 85, 255], 2));
    assert_eq!(red.values, [254.0, 254.0, 0.0, 0.0, 0.0, 0.0]);
    let red = open(&colour("YBR_FULL_422", 0, vec![76, 76, 85, 255], 2));
    assert_eq!(red.values, [254.0, 254.0, 0.0, 0.0, 0.0, 0.0]);
    let table = |tag, values: [u16; 2]| (tag, "OW", Value::Words(values.map(|v| v * 257).to_vec()));
    let mut palette = Dicom::grey(4, 1, 8)
        .set(text(0x0028_0004, "CS", "PALETTE COLOR"))
        .set((0x7FE0_0010, "OB", Value::Bytes(vec![0, 1, 7, 8])));
    for (tag, values) in [
        (0x0028_1201, [1, 2]),
        (0x0028_1202, [3, 4]),
        (0x0028_1203, [5, 6]),
    ] {
        let descriptor = (tag - 0x100, "US", Value::Us(vec![2, 7, 16]));
        palette = palette.set(descriptor).set(table(tag, values));
    }
    let image = open(&palette);
    assert_eq!(image.values[..4], [257.0, 257.0, 257.0, 514.0]);
    assert_eq!((image.max_value, image.channels), (65_535.0, 3));
    assert!(refused(&palette.without(0x0028_1202)).contains("palette"));
    // Grey colours are kept once and shown as colour.
    let grey = open(&colour("RGB", 0, vec![5, 5, 5, 9, 9, 9], 2));
    assert_eq!((grey.channels, grey.origin.colour), (1, true));
    assert_eq!(
        render(&grey, &Display::default_for(&grey)).into_raw(),
        [5, 5, 5, 9, 9, 9]
    );
}

#[test]
fn other_kinds_of_cells() {
    let bits = Dicom::grey(10, 1, 8)
        .set(us(0x0028_0100, 1))
        .set(us(0x0028_0101, 1))
        .set(us(0x0028_0102, 0))
        .set(text(0x0028_0008, "IS", "2"))
        .set((
            0x7FE0_0010,
            "OB",
            Value::Bytes(vec![0b0101_0101, 0b0000_1110, 0b1111_0000]),
        ));
    let frame = |n| {
        Image::frame_from_bytes("made.dcm", None, &bits.bytes(), n)
            .unwrap()
            .values
    };
    assert_eq!(frame(0), [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    // The second begins inside a byte.
    assert_eq!(frame(1), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let long = Dicom::grey(2, 1, 12)
        .set(us(0x0028_0100, 32))
        .set(us(0x0028_0101, 32))
        .set(us(0x0028_0102, 31))
        .set((0x7FE0_0010, "OW", Value::Long(vec![795_000, 1_254_000])));
    assert_eq!(open(&long).values, [795_000.0, 1_254_000.0]);
    assert_eq!(shown(&open(&long)), [0, 255]);
    let float = Dicom::grey(2, 1, 12).set(us(0x0028_0100, 32)).set((
        0x7FE0_0008,
        "OF",
        Value::Float(vec![-0.5, 0.25]),
    ));
    assert_eq!(open(&float).values, [-0.5, 0.25]);
    let not = float.set((0x7FE0_0008, "OF", Value::Float(vec![f32::NAN, 0.0])));
    assert!(refused(&not).contains("not finite"));
}

#[test]
fn frames_are_chosen() {
    let mut two = pattern();
    two.extend(pattern().iter().rev());
    let native = twelve().set(text(0x0028_0008, "IS", "2")).words(&two);
    let back: Vec<u16> = pattern().into_iter().rev().collect();
    let coded = twelve()
        .set(text(0x0028_0008, "IS", "2"))
        .fragments(RLE, vec![rle(&pattern()), rle(&back)]);
    // With an offset table, and the second frame in two pieces.
    let (a, b) = (rle(&pattern()), rle(&back));
    let table: Vec<u8> = [0, 8 + a.len() as u32]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let offsets = coded.clone().set((
        0x7FE0_0010,
        "OB",
        Value::Fragments(vec![table, a, b[..100].to_vec(), b[100..].to_vec()]),
    ));
    for (name, file) in [
        ("native", native),
        ("fragments", coded),
        ("offsets", offsets),
    ] {
        let read = |n| Image::frame_from_bytes("made.dcm", None, &file.bytes(), n);
        assert_eq!(read(0).unwrap().values, floats(&pattern()), "{name}");
        assert_eq!(read(1).unwrap().values, floats(&back), "{name}");
        assert!(
            read(0)
                .unwrap()
                .notices
                .iter()
                .any(|n| n.contains("2 frames")),
            "{name}"
        );
        let error = read(2).unwrap_err().to_string();
        assert!(error.contains("frame 3 was asked for, it has 2"), "{error}");
    }
}

#[test]
fn faults_are_named() {
    let set = |element: Element| twelve().set(element);
    let large = set(us(0x0028_0010, 60_000)).set(us(0x0028_0011, 60_000));
    let cases = [
        (large, "60000 x 60000"),
        (
            set(us(0x0028_0010, 34)),
            "has 2640 bytes where its header promises 2720",
        ),
        (set(us(0x0028_0010, 0)), "Rows x Columns"),
        (twelve().without(0x0028_0011), "Columns is missing"),
        (twelve().without(0x0028_0100), "Bits Allocated is missing"),
        (set(us(0x0028_0100, 12)), "Bits Allocated '12'"),
        (set(us(0x0028_0101, 17)), "Bits Stored '17'"),
        (set(us(0x0028_0102, 3)), "High Bit '3'"),
        (set(us(0x0028_0002, 4)), "MONOCHROME2 with 4 sample(s)"),
        (set(text(0x0028_0004, "CS", "CMYK")), "CMYK"),
        (set(text(0x0028_0008, "IS", "1A")), "Number of Frames '1A'"),
        (
            twelve().without(0x7FE0_0010),
            "without pixel data (Digital X-Ray Image",
        ),
        (
            twelve().fragments("1.2.840.10008.1.2.4.201", vec![vec![0; 8]]),
            "High-Throughput JPEG 2000",
        ),
        (
            twelve().fragments("1.2.840.10008.1.2.4.102", vec![vec![0; 8]]),
            "MPEG-4",
        ),
        (
            twelve().fragments("1.2.3.4.5", vec![vec![0; 8]]),
            "1.2.3.4.5",
        ),
        (
            twelve().fragments(RLE, vec![rle(&pattern())[..900].to_vec()]),
            "cut short",
        ),
        (twelve().fragments(RLE, vec![vec![9; 80]]), "RLE header"),
        (
            twelve().fragments(RLE, vec![]),
            "not among its 0 fragment(s)",
        ),
        (
            twelve().fragments(
                LOSSLESS,
                vec![lossless_jpeg(&pattern(), W, 12, 1, 0)[..700].to_vec()],
            ),
            "cut short",
        ),
        (
            twelve().fragments(LOSSLESS, vec![lossless_jpeg(&pattern(), W / 2, 12, 1, 0)]),
            "compressed pixels are 20 x 66 with 1 sample(s), its header says 40 x 33",
        ),
    ];
    for (file, words) in cases {
        let error = refused(&file);
        assert!(error.contains(words), "'{words}' is missing in: {error}");
    }
    let whole = twelve().bytes();
    for (end, words) in [(180, "header"), (whole.len() - 9, "promises 2640")] {
        let error = Image::from_bytes("cut.dcm", None, &whole[..end])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cut short") && error.contains(words),
            "{error}"
        );
    }
}

// ---- the command line --------------------------------------------------------------------------

fn camlens(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_camlens"))
        .args(args)
        .output()
        .unwrap()
}

fn words_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        self.path(name)
    }
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

fn png(bytes: &[u8], size: [u32; 2]) -> Vec<u8> {
    let picture = image::GrayImage::from_raw(size[0], size[1], bytes.to_vec()).unwrap();
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

#[test]
fn view_writes_what_a_viewer_shows() {
    let folder = Folder::new();
    let file = folder.file("a.dcm", &twelve().bytes());
    let out = folder.path("out.png");
    let view = |extra: &[&str]| {
        let mut args = vec!["view", "--image", &file, "--out", &out];
        args.extend(extra);
        let run = camlens(&args);
        assert!(run.status.success(), "{}", words_of(&run.stderr));
        image::open(&out).unwrap()
    };
    let full = view(&[]);
    assert_eq!(
        (full.width(), full.height(), full.color()),
        (40, 33, image::ColorType::L8)
    );
    let image = open(&twelve());
    let expect = |c: f64, w: f64| render_grey(&image, &Display::window(c, w)).into_raw();
    assert_eq!(full.to_luma8().into_raw(), shown(&image));
    assert_eq!(
        view(&["--window", "1000,500"]).to_luma8().into_raw(),
        expect(1000.0, 500.0)
    );
    assert_eq!(
        view(&["--window", "-10,500"]).to_luma8().into_raw(),
        expect(-10.0, 500.0)
    );
    let inverted: Vec<u8> = expect(1000.0, 500.0).iter().map(|v| 255 - v).collect();
    let seen = view(&["--window", "1000,500", "--invert"])
        .to_luma8()
        .into_raw();
    assert!(seen.iter().zip(&inverted).all(|(a, b)| a.abs_diff(*b) <= 1));
    assert_ne!(
        view(&["--window", "percentile"]).to_luma8().into_raw(),
        shown(&image)
    );
    assert_eq!(
        view(&["--window", "file"]).to_luma8().into_raw(),
        shown(&image)
    );

    let rgb = folder.file(
        "c.dcm",
        &colour("RGB", 0, vec![255, 0, 0, 10, 20, 30], 2).bytes(),
    );
    let run = camlens(&["view", "--image", &rgb, "--out", &out]);
    assert!(run.status.success(), "{}", words_of(&run.stderr));
    assert_eq!(
        image::open(&out).unwrap().into_rgb8().into_raw(),
        [255, 0, 0, 10, 20, 30]
    );
    let plain = folder.file(
        "p.png",
        &png(
            &(0..40 * 33)
                .map(|v| (v % 200 + 20) as u8)
                .collect::<Vec<_>>(),
            [40, 33],
        ),
    );
    assert!(
        camlens(&["view", "--image", &plain, "--out", &out])
            .status
            .success()
    );
    let levels = image::open(&out).unwrap().to_luma8().into_raw();
    assert_eq!(
        (levels.iter().min(), levels.iter().max()),
        (Some(&0), Some(&255))
    );

    for (args, code, words) in [
        (vec!["--window", "lung"], 1, "Hounsfield"),
        (vec!["--frame", "2"], 1, "frame 2 was asked for"),
        (vec!["--frame", "0"], 2, "from 1"),
        (vec!["--window", "5,0"], 2, "CENTER,WIDTH"),
    ] {
        let mut all = vec!["view", "--image", &file, "--out", &out];
        all.extend(args);
        let run = camlens(&all);
        let stderr = words_of(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}

const MARK: [&str; 9] = [
    "Zebrowski",
    "Quirinius",
    "PID-77-XQ",
    "19310203",
    "ACC-4711-ZZ",
    "20190807",
    "Hospital Wunderlich",
    "1.2.826.99.1",
    "Dr^Marabu",
];

fn marked() -> Dicom {
    twelve()
        .set(text(0x0008_0018, "UI", "1.2.826.99.1.3"))
        .set(text(0x0008_0020, "DA", "20190807"))
        .set(text(0x0008_0050, "SH", "ACC-4711-ZZ"))
        .set(text(0x0008_0080, "LO", "Hospital Wunderlich"))
        .set(text(0x0008_0090, "PN", "Dr^Marabu"))
        .set(text(0x0010_0010, "PN", "Zebrowski^Quirinius"))
        .set(text(0x0010_0020, "LO", "PID-77-XQ"))
        .set(text(0x0010_0030, "DA", "19310203"))
        .set(text(0x0020_000D, "UI", "1.2.826.99.1.1"))
        .set(text(0x0020_000E, "UI", "1.2.826.99.1.2"))
}

#[test]
fn nothing_that_is_written_names_the_patient() {
    let folder = Folder::new();
    let file = folder.file("in/case.dcm", &marked().bytes());
    let picture = Picture::open(&ImageSource::Path(PathBuf::from(&file))).unwrap();
    let identity = picture.identity().unwrap();
    assert_eq!(identity.name.as_deref(), Some("Zebrowski, Quirinius"));
    assert_eq!(identity.id.as_deref(), Some("PID-77-XQ"));
    assert_eq!(identity.accession.as_deref(), Some("ACC-4711-ZZ"));
    let [maps, view, sheet, input] =
        ["maps", "out/view.png", "out/figure.png", "in"].map(|n| folder.path(n));
    fs::create_dir_all(folder.path("out")).unwrap();
    let mut written: Vec<(String, Vec<u8>)> = vec![(
        "debug".into(),
        format!("{:?}", picture.image()).into_bytes(),
    )];
    for args in [
        vec!["explain", "--demo", "--image", &file, "--out", &maps],
        vec!["view", "--image", &file, "--out", &view],
        vec![
            "figure", "--demo", "--image", &file, "--row", "grad-cam", "--layer", "last", "--out",
            &sheet,
        ],
        vec!["predict", "--demo", "--image", &file, "--json"],
        vec!["inspect", "--image", &file],
        vec!["inspect", "--image", &file, "--json"],
        vec!["inspect", "--image", &input, "--json"],
        vec!["inspect", "--image", &input],
    ] {
        let run = camlens(&args);
        assert!(run.status.success(), "{args:?}: {}", words_of(&run.stderr));
        written.push((format!("{args:?} stdout"), run.stdout));
        written.push((format!("{args:?} stderr"), run.stderr));
    }
    let mut files = 0;
    for dir in [folder.path("maps"), folder.path("out")] {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            files += 1;
            written.push((path.display().to_string(), fs::read(path).unwrap()));
        }
    }
    assert!(files >= 5, "{files}");
    for (what, bytes) in written {
        for mark in MARK {
            let found = bytes
                .windows(mark.len())
                .any(|w| w.eq_ignore_ascii_case(mark.as_bytes()));
            assert!(!found, "{what} carries '{mark}'");
        }
    }
}

#[test]
fn inspect_tells_what_the_file_is_and_what_recipes_make_of_it() {
    let folder = Folder::new();
    let odd = twelve()
        .set(text(0x0018_5101, "CS", "LL"))
        .set(text(0x0018_0015, "CS", "HAND"))
        .set(text(0x0028_0030, "DS", "0.143\\0.143"))
        .set(text(0x0028_1050, "DS", "2048"))
        .set(text(0x0028_1051, "DS", "4096"));
    let file = folder.file("a.dcm", &odd.bytes());
    let run = camlens(&["inspect", "--image", &file, "--json"]);
    assert!(run.status.success(), "{}", words_of(&run.stderr));
    let told: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(
        (&told["format"], &told["width"], &told["height"]),
        (&"DICOM".into(), &40.into(), &33.into())
    );
    let dicom = &told["dicom"];
    assert_eq!(dicom["modality"], "DX");
    assert_eq!(dicom["sop_class"], "Digital X-Ray Image - For Presentation");
    assert_eq!(dicom["transfer_syntax"], "Explicit VR Little Endian");
    assert_eq!(dicom["pixel_spacing_mm"], serde_json::json!([0.143, 0.143]));
    assert_eq!(dicom["windows"][0]["width"], 4096.0);
    let recipes = told["recipes"].as_array().unwrap();
    assert_eq!(recipes.len(), 3);
    let xrv = &recipes[2];
    assert_eq!(xrv["recipe"]["name"], "torchxrayvision");
    assert_eq!(
        (&xrv["shape"], &xrv["expected_range"]),
        (
            &serde_json::json!([1, 224, 224]),
            &serde_json::json!([-1024.0, 1024.0])
        )
    );
    let notices = xrv["notices"].to_string();
    assert!(
        notices.contains("HAND") && notices.contains("from the side"),
        "{notices}"
    );
    let text = words_of(&camlens(&["inspect", "--image", &file]).stdout);
    assert!(
        text.contains("2048 / 4096 linear") && text.contains("recipe torchxrayvision"),
        "{text}"
    );
}

#[test]
fn folders_are_listed_in_a_viewers_order() {
    let folder = Folder::new();
    let numbered = |series: &str, number: &str| {
        marked()
            .set(text(0x0020_000E, "UI", &format!("1.2.826.99.1.{series}")))
            .set(text(0x0020_0011, "IS", series))
            .set(text(0x0020_0013, "IS", number))
            .bytes()
    };
    folder.file("study/x1.dcm", &numbered("2", "1"));
    folder.file("study/x2.dcm", &numbered("1", "10"));
    folder.file("study/x3", &numbered("1", "9"));
    folder.file("study/im10.png", &png(&[7; 40 * 40], [40, 40]));
    folder.file("study/im9.png", &png(&[7; 40 * 40], [40, 40]));
    folder.file("study/notes.txt", b"no picture at all");
    folder.file("study/cut.dcm", &numbered("1", "1")[..220]);
    let listing = list(&folder.0.path().join("study"), &Job::default()).unwrap();
    let names: Vec<&str> = listing.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "x3",
            "x2.dcm",
            "x1.dcm",
            "im9.png",
            "im10.png",
            "cut.dcm",
            "notes.txt"
        ]
    );
    assert!(listing.entries[..5].iter().all(|e| e.problem.is_none()));
    assert!(
        listing.entries[6]
            .problem
            .as_ref()
            .unwrap()
            .contains("plain text")
    );
    let run = camlens(&["inspect", "--image", &folder.path("study")]);
    let table = words_of(&run.stdout);
    assert_eq!(table.lines().count(), 8, "{table}");

    // A medium's directory names two files that are there and one that is not.
    let record = |name: &str| {
        vec![
            text(0x0004_1430, "CS", "IMAGE"),
            text(0x0004_1500, "CS", name),
        ]
    };
    let directory = Dicom {
        syntax: dicom_file::EXPLICIT.to_owned(),
        preamble: true,
        elements: vec![(
            0x0004_1220,
            "SQ",
            Value::Sequence(vec![
                record("STUDY\\X2.DCM"),
                record("STUDY\\X3"),
                record("STUDY\\GONE"),
                record("..\\UP"),
            ]),
        )],
    };
    let mut bytes = directory.bytes();
    // Its own class stands in the file's meta information.
    let mut class = vec![2, 0, 2, 0, b'U', b'I', 20, 0];
    class.extend(b"1.2.840.10008.1.3.10");
    bytes.splice(132..132, class);
    let path = folder.file("DICOMDIR", &bytes);
    let listing = list(Path::new(&path), &Job::default()).unwrap();
    let names: Vec<String> = listing
        .entries
        .iter()
        .map(|e| e.name.to_lowercase())
        .collect();
    assert_eq!(names, ["study/x3", "study/x2.dcm", "study/gone"]);
    let error = Image::open(Path::new(&path)).unwrap_err().to_string();
    assert!(error.contains("DICOMDIR"), "{error}");
}

#[test]
fn thumbnails_come_from_the_background() {
    let folder = Folder::new();
    let good = PathBuf::from(folder.file("a.dcm", &twelve().bytes()));
    let bad = PathBuf::from(folder.file("b.dcm", &twelve().bytes()[..300]));
    let thumbnails = Thumbnails::start(16, || {});
    thumbnails.want(&bad);
    thumbnails.want(&good);
    let mut made = BTreeMap::new();
    let started = Instant::now();
    while made.len() < 2 && started.elapsed() < Duration::from_secs(20) {
        made.extend(thumbnails.take());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(made[&good].as_ref().unwrap().dimensions(), (16, 13));
    assert!(made[&bad].is_err());
}

/// Seconds from file to first pixels, and milliseconds of a frame while a window is dragged. `CAMLENS_BIG` names a
/// folder with DICOM files of 2500 x 3000 pixels.
#[test]
#[ignore = "a measurement: cargo test --test dicom -- --ignored --nocapture"]
fn measured() {
    let folder = std::env::var("CAMLENS_BIG").expect("CAMLENS_BIG names a folder");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut best = [f64::INFINITY; 3];
        for _ in 0..5 {
            let started = Instant::now();
            let image = Image::open(&path).unwrap();
            best[0] = best[0].min(started.elapsed().as_secs_f64());
            let picture = render(&image, &Display::default_for(&image));
            best[1] = best[1].min(started.elapsed().as_secs_f64());
            let started = Instant::now();
            let dragged = render(&image, &Display::window(1900.0, 3000.0));
            best[2] = best[2].min(started.elapsed().as_secs_f64());
            assert_ne!(picture, dragged);
        }
        println!(
            "{}: open {:.3} s, first pixels {:.3} s, a frame of window/level {:.1} ms",
            path.file_name().unwrap().to_string_lossy(),
            best[0],
            best[1],
            best[2] * 1e3
        );
    }
}

#[test]
fn view_outlines_regions_where_they_are() {
    let folder = Folder::new();
    let grey: Vec<u8> = vec![90; 200 * 160];
    let file = folder.file("a.png", &png(&grey, [200, 160]));
    // Center and size as shares: columns 60 to 140, rows 40 to 120.
    let regions = folder.file("boxes.txt", b"0 0.5 0.5 0.4 0.5\n");
    let out = folder.path("out.png");
    let run = camlens(&[
        "view",
        "--image",
        &file,
        "--regions",
        &regions,
        "--window",
        "128,256",
        "--out",
        &out,
    ]);
    assert!(run.status.success(), "{}", words_of(&run.stderr));
    let seen = image::open(&out).unwrap().into_rgb8();
    assert_eq!(seen.dimensions(), (200, 160), "stored rows and columns");
    let is_grey = |x: u32, y: u32| {
        let [r, g, b] = seen.get_pixel(x, y).0;
        r == g && g == b
    };
    for (x, y) in [(60, 80), (140, 80), (100, 40), (100, 120)] {
        assert!(
            (-1..=1).any(|d: i32| !is_grey((x + d) as u32, (y + d) as u32)),
            "no line at {x}, {y}"
        );
    }
    let plain = seen.get_pixel(100, 80).0;
    for (x, y) in [(100, 80), (10, 10), (190, 150), (70, 50)] {
        assert_eq!(seen.get_pixel(x, y).0, plain, "the X-ray at {x}, {y}");
    }

    // What does not fit is said, and nothing is written.
    fs::remove_file(&out).unwrap();
    let bad = folder.file("bad.txt", b"0 0.5 0.5 zero 0.5\n");
    let run = camlens(&["view", "--image", &file, "--regions", &bad, "--out", &out]);
    assert_eq!(run.status.code(), Some(1));
    assert!(words_of(&run.stderr).contains("bad.txt"));
    assert!(!Path::new(&out).exists());
}
