//! The command line from end to end, on the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::Value;
use support::{camlens, json, recipe_tensors, relative_error, save, shared};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ok(args: &[&str]) -> String {
    let out = camlens(args);
    assert_eq!(
        out.status.code(),
        Some(0),
        "{args:?}: {}",
        text(&out.stderr)
    );
    text(&out.stdout)
}

fn npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let tensor = Tensor::read_npy(path).unwrap();
    (
        tensor.dims().to_vec(),
        tensor.flatten_all().unwrap().to_vec1().unwrap(),
    )
}

fn path(p: &Path) -> &str {
    p.to_str().unwrap()
}

#[test]
fn methods_are_an_array_with_the_catalogues_fields() {
    let methods: Value = serde_json::from_str(&ok(&["methods", "--json"])).unwrap();
    let ids: Vec<&str> = methods
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.first(), Some(&"grad-cam"));
    assert!(methods[0]["label"].is_string() && methods[0]["family"].is_string());
    assert!(ok(&["methods"]).contains("Selvaraju"));
}

#[test]
fn methods_stand_at_their_usual_layers_and_explain_a_contrast() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("maps");
    ok(&[
        "explain",
        "--demo",
        "--method",
        "grad-cam,saliency,occlusion,score-cam,ablation-cam",
        "--class",
        "1",
        "--against",
        "0",
        "--against-factor",
        "0.5",
        "--set",
        "score-cam.channels=4",
        "--set",
        "occlusion.stride=32",
        "--out",
        out.to_str().unwrap(),
    ]);
    let manifest = json(&out.join("manifest.json"));
    let formula = manifest["objective_formula"].as_str().unwrap();
    assert!(formula.contains(" - 0.5 logit("), "{formula}");
    assert_eq!(manifest["parameters"]["score-cam"]["channels"], "4");
    assert_eq!(
        manifest["parameters"]["score-cam"]["mode"],
        "pytorch-grad-cam"
    );
    let layers: Vec<&str> = manifest["maps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|map| map["layer"].as_str().unwrap())
        .collect();
    assert_eq!(layers, ["layer4", "input", "input", "layer4", "layer4"]);

    // A contrast needs two classes, and two different ones.
    for (class, against) in [("1", "1"), ("0", "0")] {
        let refused = camlens(&[
            "explain",
            "--demo",
            "--class",
            class,
            "--against",
            against,
            "--out",
            out.to_str().unwrap(),
        ]);
        assert_eq!(refused.status.code(), Some(1));
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains("against itself"), "{words}");
    }
    let refused = camlens(&[
        "explain",
        "--demo",
        "--set",
        "grad-cam.no-such=1",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn layers_of_the_demo_are_named_as_pytorch_names_them() {
    let layers: Value = serde_json::from_str(&ok(&["layers", "--demo", "--json"])).unwrap();
    let find = |name: &str| {
        layers
            .as_array()
            .unwrap()
            .iter()
            .find(|l| l["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(find("layer4")["alias_of"], "layer4.1.relu");
    assert_eq!(find("layer4")["shape"].as_array().unwrap().len(), 4);
    assert_eq!(find("conv1")["op"], "Conv2d");
    assert_eq!(find("conv1")["receptive_field"], serde_json::json!([7, 7]));
    assert_eq!(
        find("maxpool")["receptive_field"],
        serde_json::json!([11, 11])
    );
    assert_eq!(find("fc")["explainable"], false);
    assert!(ok(&["layers", "--demo"]).contains("layer2.0.downsample.0"));
}

#[test]
fn predict_gives_logits_and_findings() {
    let found: Value = serde_json::from_str(&ok(&["predict", "--demo", "--json"])).unwrap();
    assert_eq!(found["logits"].as_array().unwrap().len(), 2);
    let findings = found["findings"].as_array().unwrap();
    assert_eq!(findings[1]["label"], "Pneumonia");
    let sum: f64 = findings
        .iter()
        .map(|f| f["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-5);
    assert!(found["notices"].is_array());
}

/// A demo run with every view setting, into `out`.
fn full_demo(out: &Path) {
    ok(&[
        "explain",
        "--demo",
        "--method",
        "grad-cam,layer-cam",
        "--layer",
        "stages",
        "--class",
        "Pneumonia",
        "--sign",
        "signed",
        "--threshold",
        "0.1",
        "--blur",
        "12",
        "--normalise",
        "shared",
        "--out",
        path(out),
    ]);
}

#[test]
fn explain_demo_writes_maps_overlays_and_a_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("maps");
    full_demo(&out);
    let manifest = json(&out.join("manifest.json"));
    let maps = manifest["maps"].as_array().unwrap();
    assert_eq!(maps.len(), 8);
    assert_eq!(manifest["target"], 1);
    assert_eq!(manifest["post"]["blur_px"], 12.0);
    for map in maps {
        let (shape, values) = npy(&out.join(map["file"].as_str().unwrap()));
        assert_eq!(serde_json::json!(shape), map["grid"]);
        let largest = values.iter().copied().fold(f32::MIN, f32::max);
        assert!((f64::from(largest) - map["max"].as_f64().unwrap()).abs() < 1e-6);
        let overlay = image::open(out.join(map["overlay"].as_str().unwrap())).unwrap();
        assert_eq!(overlay.width(), 1024);
    }
    // The same plan gives the same bytes.
    let again = dir.path().join("again");
    full_demo(&again);
    for map in maps {
        for key in ["file", "overlay"] {
            let name = map[key].as_str().unwrap();
            assert_eq!(
                fs::read(out.join(name)).unwrap(),
                fs::read(again.join(name)).unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn a_cell_that_fails_leaves_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let out = camlens(&[
        "explain",
        "--demo",
        "--method",
        "cam",
        "--layer",
        "layer3,layer4",
        "--out",
        path(dir.path()),
    ]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stderr).contains("cam at layer3"),
        "{}",
        text(&out.stderr)
    );
    let manifest = json(&dir.path().join("manifest.json"));
    assert_eq!(manifest["maps"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["failed"][0]["layer"], "layer3");
    assert!(dir.path().join("cam.layer4.npy").is_file());
}

#[test]
fn explain_agrees_with_golden_from_ready_inputs_and_from_the_picture() {
    let (Some(tensors), Some(golden)) = (recipe_tensors("resnet50", 0), shared("golden")) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let weights = dir.path().join("resnet50.safetensors");
    // As DataParallel saves them: the prefix is taken off and said.
    let prefixed: BTreeMap<String, Tensor> = tensors
        .into_iter()
        .map(|(k, v)| (format!("module.{k}"), v))
        .collect();
    save(&prefixed, &weights);
    let inputs =
        candle_core::safetensors::load(golden.join("input.safetensors"), &Device::Cpu).unwrap();
    let input = dir.path().join("input.npy");
    inputs["rgb_224x224"].write_npy(&input).unwrap();
    let ready = dir.path().join("ready.safetensors");
    save(
        &BTreeMap::from([("input".to_owned(), inputs["rgb_224x224"].clone())]),
        &ready,
    );
    let reference =
        candle_core::safetensors::load(golden.join("resnet50.safetensors"), &Device::Cpu).unwrap();
    let picture = golden.join("input_224x224.png");
    for (i, image) in [&input, &ready, &picture].into_iter().enumerate() {
        let out = dir.path().join(format!("out{i}"));
        let done = camlens(&[
            "explain",
            "--model",
            path(&weights),
            "--image",
            path(image),
            "--method",
            "grad-cam,layer-cam",
            "--layer",
            "stages",
            "--class",
            "966",
            "--out",
            path(&out),
        ]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert!(text(&done.stderr).contains("'module.'"));
        let manifest = json(&out.join("manifest.json"));
        let logits: Vec<f32> = serde_json::from_value(manifest["logits"].clone()).unwrap();
        let expected: Vec<f32> = reference["logits"]
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert!(relative_error(&logits, &expected) < 2e-5);
        for map in manifest["maps"].as_array().unwrap() {
            let (method, layer) = (
                map["method"].as_str().unwrap(),
                map["layer"].as_str().unwrap(),
            );
            let key = format!("{}/{layer}/class966/raw", method.replace('-', ""));
            let expected: Vec<f32> = reference[&key].flatten_all().unwrap().to_vec1().unwrap();
            let (_, values) = npy(&out.join(map["file"].as_str().unwrap()));
            let error = relative_error(&values, &expected);
            let limit = if layer == "layer4" { 1e-4 } else { 1e-3 };
            assert!(error < limit, "{key}: off by {error}");
        }
    }
}

#[test]
fn real_x_rays_get_a_finding_and_a_map() {
    let Some(data) = shared("data") else { return };
    let dir = tempfile::tempdir().unwrap();
    let folders = [
        "kermany/fullres/NORMAL",
        "kermany/fullres/PNEUMONIA",
        "nih/bbox_full",
        "covid/hannover",
    ];
    for folder in folders {
        let mut files: Vec<_> = fs::read_dir(data.join(folder))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        for file in files.iter().take(2) {
            let out = dir.path().join(file.file_stem().unwrap());
            ok(&[
                "explain",
                "--demo",
                "--image",
                path(file),
                "--class",
                "Pneumonia",
                "--out",
                path(&out),
            ]);
            let manifest = json(&out.join("manifest.json"));
            let size = image::image_dimensions(file).unwrap();
            assert_eq!(
                manifest["image"]["size"],
                serde_json::json!([size.0, size.1])
            );
            assert_eq!(
                image::image_dimensions(out.join("grad-cam.layer4.png")).unwrap(),
                size
            );
        }
    }
}

#[test]
fn wrong_usage_is_status_2_and_says_what_was_expected() {
    for args in [
        &["explain", "--demo"][..],
        &["explain", "--demo", "--out", "x", "--normalise", "5..1"],
        &["explain", "--demo", "--out", "x", "--threshold", "2"],
        &["explain", "--demo", "--out", "x", "--colormap", "rainbow"],
        &["predict", "--model", "m.safetensors"],
        &["no-such-verb", "--demo"],
    ] {
        let out = camlens(args);
        assert_eq!(
            out.status.code(),
            Some(2),
            "{args:?}: {}",
            text(&out.stderr)
        );
        assert!(!out.stderr.is_empty());
    }
}

#[test]
fn what_does_not_exist_is_named_with_what_does() {
    let dir = tempfile::tempdir().unwrap();
    let out = path(dir.path());
    for (args, words) in [
        (["--class", "Fracture"], "class 'Fracture' does not exist"),
        (["--layer", "layer9"], "layer 'layer9' does not exist"),
        (["--layer", "fc"], "has no grid"),
        (
            ["--method", "sorcery"],
            "method 'sorcery' does not exist; known: grad-cam",
        ),
        (
            ["--set", "grad-cam++.mode=mine"],
            "expected pytorch-grad-cam, official, torchcam",
        ),
    ] {
        let mut all = vec!["explain", "--demo", "--method", "grad-cam++", "--out", out];
        if args[0] == "--method" {
            all.drain(2..4);
        }
        all.extend(args);
        let done = camlens(&all);
        assert_eq!(done.status.code(), Some(1), "{args:?}");
        let stderr = text(&done.stderr);
        assert!(stderr.contains(words), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(!dir.path().join("manifest.json").exists());
    }
}

#[test]
fn a_device_that_is_not_built_in_is_said_in_one_line_that_offers_the_cpu() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("maps");
    for (device, built) in [
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
    ] {
        if built {
            continue;
        }
        for verb in ["predict", "layers", "facts", "explain"] {
            let mut args = vec![verb, "--demo", "--device", device];
            if verb == "explain" {
                args.extend(["--out", path(&out)]);
            }
            let done = camlens(&args);
            assert_eq!(done.status.code(), Some(1), "{args:?}");
            assert_eq!(
                text(&done.stderr),
                format!(
                    "camlens: device '{device}' needs a build with the feature '{device}'; \
                     '--device cpu' runs on the CPU\n"
                )
            );
            assert!(done.stdout.is_empty());
        }
        assert!(!out.join("manifest.json").exists());
    }
    for device in ["auto", "cpu"] {
        if device == "auto" && cfg!(any(feature = "cuda", feature = "metal")) {
            continue;
        }
        ok(&["layers", "--demo", "--device", device]);
        let out = dir.path().join(device);
        ok(&["explain", "--demo", "--device", device, "--out", path(&out)]);
        let manifest = json(&out.join("manifest.json"));
        assert_eq!(manifest["device"], "cpu");
        assert_eq!(manifest["plan"]["device"], device);
    }
    assert_eq!(
        camlens(&["layers", "--demo", "--device", "tpu"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn without_a_display_one_line_points_to_what_works() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let out = camlens(&[]);
    assert_eq!(out.status.code(), Some(1));
    let stderr = text(&out.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("camlens explain --demo --out DIR"),
        "{stderr}"
    );
}

/// Where the two signs of a map are drawn: pixels that are clearly redder and clearly bluer than the grey X-ray.
fn red_and_blue(picture: &Path) -> (usize, usize) {
    let picture = image::open(picture).unwrap().to_rgb8();
    let count = |wanted: fn(i32, i32) -> bool| {
        let pixels = picture.pixels();
        let is = |p: &&image::Rgb<u8>| wanted(i32::from(p.0[0]), i32::from(p.0[2]));
        pixels.filter(is).count()
    };
    (count(|r, b| r > b + 24), count(|r, b| b > r + 24))
}

#[test]
fn maps_come_with_indicators_and_relevance_with_its_conservation() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| -> (Value, std::path::PathBuf) {
        let out = dir.path().join(name);
        let mut args = vec!["explain", "--demo", "--class", "1", "--out", path(&out)];
        args.extend(more);
        ok(&args);
        (json(&out.join("manifest.json")), out)
    };
    let methods = "grad-cam,lrp-epsilon-plus,lrp-epsilon-gamma-box";
    let (manifest, out) = run("plain", &["--method", methods]);
    for map in manifest["maps"].as_array().unwrap() {
        let (shape, values) = npy(&out.join(map["file"].as_str().unwrap()));
        let indicators = &map["indicators"];
        assert_eq!(indicators["grid"], map["grid"]);
        let close = |key: &str, expected: f64| {
            let found = indicators[key].as_f64().unwrap();
            let off = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(
                off < 1e-4,
                "{}: {key} {found}, expected {expected}",
                map["method"]
            );
        };
        // As methods.md, A7, has it, with its constants.
        let m: Vec<f64> = values.iter().map(|v| f64::from(v.max(0.0))).collect();
        let n = m.len() as f64;
        let sum: f64 = m.iter().sum();
        let p: Vec<f64> = m.iter().map(|v| v / (sum + 1e-12)).collect();
        close("ce", -p.iter().map(|p| p * (p + 1e-12).ln()).sum::<f64>());
        close("ce_max", n.ln());
        let mean = sum / n;
        let variance = m.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        close("cd", variance / mean.powi(2));
        // Eigenvalues of the covariance, from its trace and determinant.
        let at = |i: usize| [(i / shape[1]) as f64, (i % shape[1]) as f64];
        let moment = |f: &dyn Fn([f64; 2]) -> f64| -> f64 {
            p.iter().enumerate().map(|(i, p)| p * f(at(i))).sum()
        };
        let [my, mx] = [moment(&|c| c[0]), moment(&|c| c[1])];
        let yy = moment(&|c| c[0] * c[0]) - my * my;
        let xx = moment(&|c| c[1] * c[1]) - mx * mx;
        let xy = moment(&|c| c[0] * c[1]) - mx * my;
        let root = ((xx - yy).powi(2) / 4.0 + xy * xy).sqrt();
        let (l1, l2) = ((xx + yy) / 2.0 + root, (xx + yy) / 2.0 - root);
        close("ca", (l1 * l2).sqrt());
    }
    assert!(manifest["post"]["sign"].is_null());
    let [cam, plus, gamma] = [0, 1, 2].map(|i| manifest["maps"][i].clone());
    assert_eq!(cam["sign"], "positive");
    assert!(cam.get("conservation").is_none());
    for map in [&plus, &gamma] {
        // Both signs unless one is asked for, on a scale with 0 in its middle.
        assert_eq!(map["sign"], "signed");
        let [lo, hi] = ["lo", "hi"].map(|end| map["scale"][end].as_f64().unwrap());
        assert!(hi > 0.0 && lo == -hi, "{lo} to {hi}");
        let record = map["conservation"].as_array().unwrap();
        let layers: Vec<&str> = record
            .iter()
            .map(|at| at["layer"].as_str().unwrap())
            .collect();
        assert_eq!(
            layers,
            ["input", "layer1", "layer2", "layer3", "layer4", "fc"]
        );
        assert_eq!(
            (&record[5]["sum"], &record[5]["share"]),
            (&1.0.into(), &1.0.into())
        );
        let (_, values) = npy(&out.join(map["file"].as_str().unwrap()));
        let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
        let all: f64 = values.iter().map(|v| f64::from(v.abs())).sum();
        assert!((record[0]["sum"].as_f64().unwrap() - sum).abs() < 1e-5 * all);
        assert!(!map["notices"].to_string().contains("is hidden"));
    }
    let (red, blue) = red_and_blue(&out.join(gamma["overlay"].as_str().unwrap()));
    assert!(red > 20 && blue > 20, "{red} red, {blue} blue");

    // One sign by choice hides the other, and says so.
    let (manifest, out) = run(
        "positive",
        &[
            "--method",
            "grad-cam,lrp-epsilon-gamma-box",
            "--sign",
            "positive",
        ],
    );
    let [cam, gamma] = [0, 1].map(|i| manifest["maps"][i].clone());
    assert_eq!(
        (&cam["sign"], &gamma["sign"]),
        (&"positive".into(), &"positive".into())
    );
    assert_eq!(manifest["post"]["sign"], "positive");
    assert_eq!(gamma["scale"]["lo"], 0.0);
    assert!(
        gamma["notices"]
            .to_string()
            .contains("Negative relevance is hidden")
    );
    assert!(!cam["notices"].to_string().contains("is hidden"));
    let (_, blue) = red_and_blue(&out.join(gamma["overlay"].as_str().unwrap()));
    // Inferno has violet at its lower end, which the cut hides.
    assert!(blue < 20, "{blue} blue");
}

#[test]
fn relevance_of_class_against_class_is_a_difference_and_turns() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| -> (Value, Vec<f32>) {
        let out = dir.path().join(name);
        let mut args = vec!["explain", "--demo", "--method", "lrp-epsilon-plus"];
        args.extend(["--out", path(&out)]);
        args.extend(more);
        ok(&args);
        let manifest = json(&out.join("manifest.json"));
        let map = manifest["maps"][0].clone();
        let values = npy(&out.join(map["file"].as_str().unwrap())).1;
        if more.contains(&"--against") {
            let (red, blue) = red_and_blue(&out.join(map["overlay"].as_str().unwrap()));
            assert!(red + blue > 20, "{red} red, {blue} blue");
        }
        (map, values)
    };
    let (one, c) = run("c", &["--class", "1"]);
    let (_, d) = run("d", &["--class", "0"]);
    let (contrast, cd) = run("cd", &["--class", "1", "--against", "0"]);
    let (_, dc) = run("dc", &["--class", "0", "--against", "1"]);
    let scale = c.iter().chain(&d).fold(0f32, |m, v| m.max(v.abs()));
    for i in 0..c.len() {
        assert!((cd[i] - (c[i] - d[i])).abs() <= 1e-4 * scale, "cell {i}");
        assert!((cd[i] + dc[i]).abs() <= 1e-4 * scale, "cell {i}");
    }
    assert!(cd.iter().any(|v| v.abs() > 0.01 * scale));
    assert_eq!(contrast["sign"], "signed");
    assert_eq!(one["conservation"][5]["share"], 1.0);
    for at in contrast["conservation"].as_array().unwrap() {
        assert!(at["share"].is_null() && at["sum"].is_number(), "{at}");
    }
}

#[test]
fn a_figure_has_methods_in_rows_and_layers_in_columns() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("figure.png");
    let path = out.to_str().unwrap();
    let figure = |rows: &str, layers: &str| {
        camlens(&[
            "figure",
            "--demo",
            "--sample",
            "man-right-middle",
            "--scale",
            "0.25",
            "--row",
            rows,
            "--layer",
            layers,
            "--out",
            path,
        ])
    };
    let size = || {
        let picture = image::open(&out).unwrap();
        [picture.width(), picture.height()]
    };
    let one = figure("fg-cam", "last");
    assert!(
        one.status.success(),
        "{}",
        String::from_utf8_lossy(&one.stderr)
    );
    let single = size();
    let all = figure(
        "fg-cam,fg-cam:denoise=yes;keep=0.2,grad-cam-lrp:stage=cam",
        "last,input",
    );
    assert!(
        all.status.success(),
        "{}",
        String::from_utf8_lossy(&all.stderr)
    );
    let [width, height] = size();
    assert!(
        width > single[0] * 3 / 2 && height > single[1] * 2,
        "{single:?} {width} {height}"
    );
    for (rows, words) in [
        ("fg-cam:denoise", "is no row of a figure"),
        ("fg-cam:denoise=perhaps", "expected no, yes"),
        ("fgcam", "fg-cam"),
    ] {
        let wrong = figure(rows, "last");
        let stderr = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert_eq!(wrong.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains(words) && stderr.trim_end().lines().count() == 1,
            "{stderr}"
        );
    }
    // A mask of another size than the image.
    let wrong = camlens(&[
        "figure", "--demo", "--mask", path, "--row", "grad-cam", "--out", path,
    ]);
    let stderr = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        stderr.contains("the mask has") && stderr.contains("figure.png"),
        "{stderr}"
    );
}
