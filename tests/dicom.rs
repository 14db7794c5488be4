//! DICOM files: reading, showing, refusing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use camlens::image::display::{Display, render, render_grey};
use camlens::image::{Image, sha256_hex};

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
                // A damaged JPEG 2000 may still hold a picture; a PNG under another name does.
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
            let allowed = if name.starts_with("12") { 2 } else { 1 };
            assert!(worst <= allowed, "{name}: {worst} levels off");
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
        let extended = cells[3].contains("Extended");
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
                if !decodable && !extended {
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
