//! Images as viewers know them, from end to end on the real binary: frames, shapes of windows, outlined regions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

#[path = "support/dicom_file.rs"]
mod dicom_file;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use camlens::image::Image;
use camlens::job::Job;
use camlens::plan::Plan;
use camlens::session::grid;
use dicom_file::{Dicom, text};
use serde_json::Value;
use support::{camlens, json};

fn sample() -> Image {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples/man-right-middle.png");
    Image::open(&path).unwrap()
}

/// The sample as 12 bits, and the same from right to left.
fn two_frames() -> [Vec<u16>; 2] {
    let image = sample();
    let cells: Vec<u16> = image.values.iter().map(|v| *v as u16 * 16).collect();
    let mirrored = cells
        .chunks(image.width)
        .flat_map(|row| row.iter().rev())
        .copied()
        .collect();
    [cells, mirrored]
}

fn write(folder: &Path, name: &str, frames: &[&[u16]]) -> PathBuf {
    let image = sample();
    let file = Dicom::grey(image.width as u16, image.height as u16, 12)
        .set(text(0x0028_0008, "IS", &frames.len().to_string()))
        .words(&frames.concat());
    let path = folder.join(name);
    fs::write(&path, file.bytes()).unwrap();
    path
}

fn ok(args: &[&str]) -> String {
    let out = camlens(args);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

fn refused(args: &[&str], code: i32, words: &str) {
    let out = camlens(args);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
    assert!(code != 1 || said.trim_end().lines().count() == 1, "{said}");
}

#[test]
fn a_frame_is_explained_as_a_file_of_its_own_would_be() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = two_frames();
    let both = write(folder.path(), "both.dcm", &[&first, &second]);
    let alone = write(folder.path(), "alone.dcm", &[&second]);
    let (both, alone) = (both.to_str().unwrap(), alone.to_str().unwrap());
    let logits = |image: &str, frame: &str| -> Value {
        let told = ok(&[
            "predict", "--demo", "--image", image, "--frame", frame, "--json",
        ]);
        serde_json::from_str::<Value>(&told).unwrap()["logits"].clone()
    };
    assert_eq!(logits(both, "2"), logits(alone, "1"));
    assert_ne!(logits(both, "2"), logits(both, "1"));

    let explain = |image: &str, frame: &[&str], out: &Path| {
        let mut args = vec![
            "explain", "--demo", "--image", image, "--method", "grad-cam",
        ];
        args.extend(["--out", out.to_str().unwrap()]);
        args.extend(frame);
        ok(&args);
        (
            json(&out.join("manifest.json")),
            fs::read(out.join("grad-cam.layer4.npy")).unwrap(),
        )
    };
    let (manifest, map) = explain(both, &["--frame", "2"], &folder.path().join("two"));
    let (whole, same) = explain(alone, &[], &folder.path().join("alone"));
    assert_eq!(map, same);
    assert_eq!(manifest["image"]["frame"], 2);
    assert_eq!(manifest["image"]["frames"], 2);
    assert_eq!(manifest["plan"]["image"]["frame"]["frame"], 2);
    assert_eq!(manifest["plan"]["image"]["frame"]["path"], both);
    assert!(
        whole["image"].get("frame").is_none(),
        "one frame: none is named"
    );

    // What the manifest says makes the same map again.
    let plan: Plan = serde_json::from_value(manifest["plan"].clone()).unwrap();
    let again = folder.path().join("again");
    grid::run(&plan, &again, &Job::default()).unwrap();
    assert_eq!(fs::read(again.join("grad-cam.layer4.npy")).unwrap(), map);

    let figure = |frame: &str| {
        let out = folder.path().join(format!("figure{frame}.png"));
        ok(&[
            "figure",
            "--demo",
            "--image",
            both,
            "--frame",
            frame,
            "--row",
            "grad-cam",
            "--layer",
            "last",
            "--out",
            out.to_str().unwrap(),
        ]);
        image::open(&out).unwrap().into_rgb8()
    };
    assert_ne!(figure("1"), figure("2"));

    let predict = ["predict", "--demo"];
    let with = |more: &[&'static str]| [predict.as_slice(), more].concat();
    refused(&with(&["--frame", "2"]), 2, "--image");
    let mut missing = with(&["--frame", "3", "--image"]);
    missing.push(both);
    refused(&missing, 1, "frame 3 was asked for, it has 2");
    let ready = folder.path().join("input.npy");
    candle_core::Tensor::zeros(
        (1, 1, 64, 64),
        candle_core::DType::F32,
        &candle_core::Device::Cpu,
    )
    .unwrap()
    .write_npy(&ready)
    .unwrap();
    let mut ready_frame = with(&["--frame", "2", "--image"]);
    ready_frame.push(ready.to_str().unwrap());
    refused(&ready_frame, 1, "frame 2 was asked for");
}

#[test]
fn the_window_has_the_shape_of_the_file_or_the_one_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let [cells, _] = two_frames();
    let size = sample().size();
    let plain = Dicom::grey(size[0] as u16, size[1] as u16, 12).words(&cells);
    let soft = plain
        .clone()
        .set(text(0x0028_1050, "DS", "1800"))
        .set(text(0x0028_1051, "DS", "2000"))
        .set(text(0x0028_1056, "CS", "SIGMOID"));
    let files = [("plain.dcm", plain), ("soft.dcm", soft)].map(|(name, file)| {
        let path = folder.path().join(name);
        fs::write(&path, file.bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let out = folder.path().join("view.png");
    let view = |file: &str, more: &[&str]| -> Vec<u8> {
        let mut args = vec!["view", "--image", file, "--window", "1500,1000"];
        args.extend(["--out", out.to_str().unwrap()]);
        args.extend(more);
        ok(&args);
        image::open(&out).unwrap().to_luma8().into_raw()
    };
    // The formulas of PS3.3, C.11.2.1.3, written down once more.
    let (c, w) = (1500.0, 1000.0);
    let sigmoid = |x: f64| 255.0 / (1.0 + (-4.0 * (x - c) / w).exp());
    let linear = |x: f64| 255.0 * ((x - (c - 0.5)) / (w - 1.0) + 0.5).clamp(0.0, 1.0);
    let exact = |x: f64| 255.0 * ((x - c) / w + 0.5).clamp(0.0, 1.0);
    let near = |levels: Vec<u8>, expected: &dyn Fn(f64) -> f64| {
        assert_eq!(levels.len(), cells.len());
        for (level, cell) in levels.iter().zip(&cells) {
            let expected = expected(f64::from(*cell));
            assert!(
                (f64::from(*level) - expected).abs() <= 0.51,
                "{level} {expected}"
            );
        }
    };
    near(view(&files[0], &[]), &linear);
    near(view(&files[0], &["--voi", "sigmoid"]), &sigmoid);
    near(view(&files[0], &["--voi", "linear-exact"]), &exact);
    near(view(&files[1], &[]), &sigmoid);
    near(view(&files[1], &["--voi", "linear"]), &linear);
    refused(
        &[
            "view", "--image", &files[0], "--voi", "square", "--out", "x.png",
        ],
        2,
        "expected linear, linear-exact or sigmoid",
    );
}

#[test]
fn a_figure_outlines_regions_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let regions = folder.path().join("regions.json");
    let [w, h] = sample().size();
    let coco = format!(
        r#"{{"images":[{{"id":1,"file_name":"man-right-middle.png","width":{w},"height":{h}}}],
        "categories":[{{"id":1,"name":"Pneumonia"}}],
        "annotations":[{{"id":1,"image_id":1,"category_id":1,"bbox":[40,60,80,90]}}]}}"#
    );
    fs::write(&regions, coco).unwrap();
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples/man-right-middle.png");
    let figure = |more: &[&str]| {
        let out = folder.path().join("figure.png");
        let mut args = vec!["figure", "--demo", "--image", image.to_str().unwrap()];
        args.extend([
            "--row",
            "grad-cam",
            "--layer",
            "last",
            "--scale",
            "1",
            "--opacity",
            "0",
        ]);
        args.extend(["--out", out.to_str().unwrap()]);
        args.extend(more);
        ok(&args);
        image::open(&out).unwrap().into_rgb8()
    };
    let cyan = |picture: &image::RgbImage| {
        let of_line = |p: &&image::Rgb<u8>| p.0[0] < 90 && p.0[1] > 150 && p.0[2] > 180;
        picture.pixels().filter(of_line).count()
    };
    assert_eq!(cyan(&figure(&[])), 0);
    let outlined = cyan(&figure(&["--regions", regions.to_str().unwrap()]));
    assert!(outlined > 100, "{outlined}");
    let (file, out) = (regions.to_str().unwrap(), folder.path().join("no.png"));
    refused(
        &[
            "figure",
            "--demo",
            "--regions",
            file,
            "--mask",
            file,
            "--out",
            out.to_str().unwrap(),
        ],
        2,
        "cannot be used with",
    );
}
