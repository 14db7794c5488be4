//! Labels, activation and preprocessing: read from Hugging Face's and timm's files, given by the user,
//! guessed, saved, and the findings of TorchXRayVision.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use camlens::model::Model;
use camlens::model::facts::{Facts, Provenance, XRV_FINDINGS};
use camlens::plan::{Activation, ModelSource};
use camlens::preprocess::{Filter, Fit, Scale};
use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use support::{camlens, save};

/// The shipped network with another head and nothing said about it, as `model.safetensors` in `dir`:
/// one channel, so many classes.
fn network(dir: &Path, classes: usize, more: &[(&str, Tensor)]) {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/model.safetensors");
    let mut tensors: BTreeMap<String, Tensor> = candle_core::safetensors::load(demo, &Device::Cpu)
        .unwrap()
        .into_iter()
        .collect();
    let width = tensors["fc.weight"].dims()[1];
    let weight: Vec<f32> = (0..classes * width)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 100.0)
        .collect();
    let weight = Tensor::from_vec(weight, (classes, width), &Device::Cpu).unwrap();
    tensors.insert("fc.weight".to_owned(), weight);
    let bias: Vec<f32> = (0..classes).map(|i| i as f32 / 10.0 - 1.0).collect();
    tensors.insert(
        "fc.bias".to_owned(),
        Tensor::from_vec(bias, classes, &Device::Cpu).unwrap(),
    );
    for (name, tensor) in more {
        tensors.insert((*name).to_owned(), tensor.clone());
    }
    save(&tensors, &dir.join("model.safetensors"));
}

fn folder(classes: usize, files: &[(&str, Value)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    network(dir.path(), classes, &[]);
    for (name, value) in files {
        fs::write(dir.path().join(name), value.to_string()).unwrap();
    }
    dir
}

fn open(dir: &Path) -> Result<Model, camlens::Error> {
    Model::open(&ModelSource::Path(dir.to_owned()), None, &Device::Cpu)
}

fn facts(dir: &Path) -> Facts {
    open(dir).unwrap().facts
}

fn run(args: &[&str]) -> (i32, String, String) {
    let out = camlens(args);
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (
        out.status.code().unwrap(),
        text(&out.stdout),
        text(&out.stderr),
    )
}

#[test]
fn hugging_face_folder() {
    let dir = folder(
        3,
        &[
            (
                "config.json",
                json!({
                    "architectures": ["ResNetForImageClassification"],
                    "model_type": "resnet",
                    "num_channels": 1,
                    "id2label": {"0": "Normal", "2": "Tuberculosis", "1": "Pneumonia"},
                    "problem_type": "multi_label_classification",
                }),
            ),
            (
                "preprocessor_config.json",
                json!({
                    "image_processor_type": "ConvNextImageProcessor",
                    "size": {"shortest_edge": 224},
                    "crop_pct": 0.875,
                    "resample": 3,
                    "do_normalize": true,
                    "image_mean": [0.5],
                    "image_std": [0.25],
                }),
            ),
        ],
    );
    let facts = facts(dir.path());
    assert_eq!(facts.labels.value, ["Normal", "Pneumonia", "Tuberculosis"]);
    assert_eq!(facts.labels.from, Provenance::Read);
    assert_eq!(facts.activation.value, Activation::Sigmoid);
    let recipe = facts.recipe.unwrap();
    assert_eq!(recipe.from, Provenance::Read);
    let recipe = recipe.value;
    assert_eq!(
        (recipe.width, recipe.height, recipe.channels),
        (224, 224, 1)
    );
    assert_eq!(recipe.fit, Fit::CropDown { resize: 256 });
    assert_eq!(recipe.filter, Filter::Bicubic);
    assert_eq!((recipe.mean, recipe.std), (vec![0.5], vec![0.25]));
}

#[test]
fn spellings_of_hugging_faces_preprocessing() {
    let recipe = |value: Value| {
        let dir = folder(2, &[("preprocessor_config.json", value)]);
        facts(dir.path()).recipe.unwrap().value
    };
    let norm = json!({"image_mean": [0.5, 0.5, 0.5], "image_std": 0.5});
    let with = |more: Value| {
        let mut all = norm.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    // A plain number is a square; a pair has rows first.
    let square = recipe(with(json!({"size": 96})));
    assert_eq!(
        (square.width, square.height, square.fit),
        (96, 96, Fit::Stretch)
    );
    let sides = recipe(with(
        json!({"size": {"height": 128, "width": 160}, "resample": 0}),
    ));
    assert_eq!(
        (sides.width, sides.height, sides.filter),
        (160, 128, Filter::Nearest)
    );
    // The shorter side, then the centre.
    let crop = recipe(with(
        json!({"size": {"shortest_edge": 256}, "do_center_crop": true, "crop_size": 224}),
    ));
    assert_eq!((crop.width, crop.fit), (224, Fit::CropDown { resize: 256 }));
    // A stretch, then the centre.
    let both = recipe(with(json!({
        "size": {"height": 256, "width": 251}, "do_center_crop": true, "crop_size": {"height": 224, "width": 224}
    })));
    let fit = Fit::StretchCrop {
        width: 251,
        height: 256,
        left: 13,
        top: 16,
    };
    assert_eq!(both.fit, fit);
    // From 384 on ConvNext's processor stretches.
    let large = recipe(with(
        json!({"feature_extractor_type": "ConvNextFeatureExtractor", "size": 384}),
    ));
    assert_eq!((large.width, large.fit), (384, Fit::Stretch));
    // Without rescaling, white is 255 for the network; without normalising, 1.
    let raw = recipe(json!({"size": 64, "do_rescale": false, "do_normalize": false}));
    assert!(raw.black() == [0.0] && (raw.white()[0] - 255.0).abs() < 1e-3);
    let unit = recipe(json!({"size": 64, "do_normalize": false}));
    assert_eq!((unit.black(), unit.white()), (vec![0.0], vec![1.0]));
    // EfficientNet's processor divides twice.
    let twice = recipe(with(
        json!({"image_processor_type": "EfficientNetImageProcessor", "size": 64}),
    ));
    assert_eq!(twice.white(), [(1.0 - 0.5) / 0.25]);
}

#[test]
fn timm_folder() {
    let cfg = json!({"input_size": [1, 288, 288], "mean": [0.449], "std": [0.226], "interpolation": "bicubic",
        "crop_pct": 0.95, "crop_mode": "center"});
    let config = json!({"architecture": "resnet18.a1_in1k", "num_classes": 2, "pretrained_cfg": cfg,
        "label_names": ["no", "yes"]});
    let dir = folder(2, &[("config.json", config.clone())]);
    let found = facts(dir.path());
    assert_eq!(found.labels.value, ["no", "yes"]);
    let recipe = found.recipe.unwrap().value;
    assert_eq!(
        (recipe.width, recipe.fit),
        (288, Fit::CenterCrop { resize: 303 })
    );
    assert_eq!(
        (recipe.filter, recipe.scale),
        (Filter::Bicubic, Scale::Unit)
    );

    let mut squash = config;
    squash["pretrained_cfg"]["crop_mode"] = json!("squash");
    let dir = folder(2, &[("config.json", squash)]);
    let fit = Fit::StretchCrop {
        width: 303,
        height: 303,
        left: 8,
        top: 8,
    };
    assert_eq!(facts(dir.path()).recipe.unwrap().value.fit, fit);
}

#[test]
fn bad_values_are_refused_by_name() {
    let cases = [
        (
            "config.json",
            json!({"id2label": [1]}),
            "'id2label' is a list of 1",
        ),
        (
            "config.json",
            json!({"id2label": {"0": "a", "5": "b"}}),
            "id2label.'5'",
        ),
        (
            "config.json",
            json!({"id2label": {"0": "a", "00": "b"}}),
            "'id2label' is incomplete",
        ),
        (
            "config.json",
            json!({"id2label": {"0": "two\nlines", "1": "b"}}),
            "a label of one line",
        ),
        (
            "config.json",
            json!({"problem_type": "regression"}),
            "'problem_type' is 'regression'",
        ),
        (
            "config.json",
            json!({"image_size": -3}),
            "'image_size' is -3",
        ),
        (
            "config.json",
            json!({"op_threshs": [0.5]}),
            "'op_threshs' has 1 values for 2 classes",
        ),
        (
            "config.json",
            json!({"op_threshs": [0.5, 1.5]}),
            "holds 1.5",
        ),
        (
            "config.json",
            json!({"pretrained_cfg": {"crop_pct": 0}}),
            "'crop_pct' is 0",
        ),
        (
            "config.json",
            json!({"pretrained_cfg": {"crop_pct": 7}}),
            "'crop_pct' is 7",
        ),
        (
            "config.json",
            json!({"pretrained_cfg": {"interpolation": "psychic"}}),
            "'psychic'",
        ),
        (
            "config.json",
            json!({"pretrained_cfg": {"crop_mode": "border"}}),
            "'border'",
        ),
        (
            "config.json",
            json!({"pretrained_cfg": {"mean": [0.1, 0.2, 0.3]}}),
            "'mean' is a list of 3",
        ),
        (
            "config.json",
            json!({"pretrained_cfg": {"std": [0]}}),
            "standard deviations above 0",
        ),
        ("preprocessor_config.json", json!({}), "'size' is missing"),
        (
            "preprocessor_config.json",
            json!({"size": 224}),
            "'image_mean' is missing",
        ),
        (
            "preprocessor_config.json",
            json!({"size": {"height": 9}}),
            "a height and a width",
        ),
        (
            "preprocessor_config.json",
            json!({"size": 1e9}),
            "'size' is 1000000000",
        ),
        (
            "preprocessor_config.json",
            json!({"size": 64, "resample": 9}),
            "'resample' is 9",
        ),
        (
            "preprocessor_config.json",
            json!({"size": 64, "do_resize": false}),
            "'do_resize' is false",
        ),
        (
            "preprocessor_config.json",
            json!({"size": 64, "do_normalize": false, "rescale_factor": 0}),
            "'rescale_factor' is 0",
        ),
        (
            "preprocessor_config.json",
            json!({"size": 64, "do_center_crop": true, "crop_size": 96, "do_normalize": false}),
            "larger than the picture",
        ),
        (
            "preprocessor_config.json",
            json!([1]),
            "expected one JSON object",
        ),
    ];
    for (file, value, words) in cases {
        let dir = folder(2, &[(file, value.clone())]);
        let error = open(dir.path())
            .err()
            .unwrap_or_else(|| panic!("{value} was taken"))
            .to_string();
        assert!(
            error.contains(words) && error.contains(file),
            "{value}: {error}"
        );
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn what_does_not_fit_is_told_and_not_used() {
    let many: serde_json::Map<String, Value> = (0..5)
        .map(|i| (i.to_string(), json!(format!("L{i}"))))
        .collect();
    let dir = folder(
        2,
        &[("config.json", json!({"id2label": many, "num_channels": 3}))],
    );
    let model = open(dir.path()).unwrap();
    assert!(model.facts.labels.value.is_empty());
    let all = model.notices.join("\n");
    assert!(
        all.contains("names 5 labels, the network has 2") && all.contains("num_channels 3"),
        "{all}"
    );
    // Hugging Face's placeholders are no names.
    let dir = folder(
        2,
        &[(
            "config.json",
            json!({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}),
        )],
    );
    assert_eq!(facts(dir.path()).labels.from, Provenance::Guessed);
}

#[test]
fn facts_are_given_shown_and_saved() {
    let old = json!({"model_type": "resnet", "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "ours": {"deep": [1, 2.5]}});
    let dir = folder(2, &[("config.json", old)]);
    let model = dir.path().to_str().unwrap();
    let (code, out, _) = run(&["facts", "--model", model]);
    assert_eq!(code, 0);
    assert_eq!(out.matches("[a guess]").count(), 3, "{out}");

    let names = dir.path().join("names.txt");
    fs::write(&names, "Normal\r\nPneumonia, bacterial\r\n").unwrap();
    let args = [
        "facts",
        "--model",
        model,
        "--labels",
        names.to_str().unwrap(),
        "--preprocess",
        "imagenet-crop",
        "--activation",
        "softmax",
        "--save",
    ];
    let (code, out, err) = run(&args);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.matches("[given by you]").count(), 3, "{out}");
    assert!(
        err.contains("config.json") && err.contains("preprocessor_config.json"),
        "{err}"
    );

    let config = support::json(&dir.path().join("config.json"));
    assert_eq!(
        config["id2label"],
        json!({"0": "Normal", "1": "Pneumonia, bacterial"})
    );
    assert_eq!(config["label2id"]["Pneumonia, bacterial"], 1);
    assert_eq!(config["problem_type"], "single_label_classification");
    assert_eq!(
        (&config["ours"]["deep"][1], &config["model_type"]),
        (&json!(2.5), &json!("resnet"))
    );
    let saved = support::json(&dir.path().join("preprocessor_config.json"));
    assert_eq!(saved["size"], json!({"shortest_edge": 256}));
    assert_eq!(saved["image_mean"], json!([0.449]));

    let found = facts(dir.path());
    assert_eq!(found.labels.value[1], "Pneumonia, bacterial");
    let recipe = found.recipe.unwrap();
    assert_eq!(
        (recipe.from, recipe.value.name.as_str()),
        (Provenance::Read, "imagenet-crop")
    );
    assert_eq!(recipe.value.fit, Fit::CenterCrop { resize: 256 });

    // Whoever edits the common keys afterwards is believed.
    let mut edited = saved;
    edited["image_mean"] = json!([0.1]);
    fs::write(
        dir.path().join("preprocessor_config.json"),
        edited.to_string(),
    )
    .unwrap();
    let recipe = facts(dir.path()).recipe.unwrap().value;
    assert_eq!(
        (recipe.mean, recipe.name.as_str()),
        (vec![0.1], "preprocessor_config.json")
    );
}

#[test]
fn every_recipe_comes_back_as_it_was_saved() {
    for name in ["imagenet", "imagenet-crop", "torchxrayvision"] {
        let dir = folder(2, &[]);
        let model = dir.path().to_str().unwrap();
        let (code, out, err) = run(&[
            "facts",
            "--model",
            model,
            "--preprocess",
            name,
            "--save",
            "--json",
        ]);
        assert_eq!(code, 0, "{err}");
        let given: Value = serde_json::from_str(&out).unwrap();
        let read = serde_json::to_string(&facts(dir.path())).unwrap();
        let read: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(given["recipe"]["value"]["name"], name);
        assert_eq!(read["recipe"]["value"], given["recipe"]["value"]);
        assert!(
            !dir.path().join("config.json").exists(),
            "guesses are not written"
        );
    }
}

#[test]
fn wrong_wishes_are_refused_in_words() {
    let dir = folder(2, &[]);
    let model = dir.path().to_str().unwrap();
    let odd = dir.path().join("odd.json");
    fs::write(&odd, "{\"size\": \"large\"}").unwrap();
    for (args, words) in [
        (
            &["--labels", "a,b,c"][..],
            "3 labels were given; this network has 2 outputs",
        ),
        (&["--labels", ","], "at least one class must have a name"),
        (&["--labels", "no/such.txt"], "no such file"),
        (&["--preprocess", "imagnet"], "imagnet"),
        (
            &["--preprocess", odd.to_str().unwrap()],
            "'size' is 'large'",
        ),
        (&["--preprocess", "no/such.json"], "no such file"),
        (&["--save"], "nothing to save"),
    ] {
        let mut all = vec!["facts", "--model", model];
        all.extend(args);
        let (code, _, err) = run(&all);
        let last = err.lines().last().unwrap_or_default();
        assert!(code == 1 && last.contains(words), "{args:?}: {err}");
    }
    let (code, _, err) = run(&["facts", "--demo", "--activation", "softmax", "--save"]);
    assert!(code == 1 && err.contains("no folder to save"), "{err}");
    // What the demo says about itself is read.
    let (code, out, _) = run(&["facts", "--demo"]);
    assert!(code == 0 && !out.contains("guess"), "{out}");
}

// ---- TorchXRayVision ---------------------------------------------------------------------------

/// Operating points in the manner of its weights for the RSNA data: two classes were trained.
fn points() -> Tensor {
    let mut points = vec![f32::NAN; 18];
    points[8] = 0.1349;
    points[16] = 0.25;
    Tensor::from_vec(points, 18, &Device::Cpu).unwrap()
}

#[test]
fn torchxrayvisions_findings_are_a_guess_and_untrained_ones_are_not_offered() {
    let dir = tempfile::tempdir().unwrap();
    network(dir.path(), 18, &[("op_threshs", points())]);
    let model = open(dir.path()).unwrap();
    assert_eq!(model.facts.labels.from, Provenance::Guessed);
    assert_eq!(model.facts.labels.value, XRV_FINDINGS);
    assert_eq!(model.facts.activation.value, Activation::Sigmoid);
    let notices = model.notices.join("\n");
    assert!(
        notices.contains("labels are a guess") && notices.contains("16 of 18 outputs"),
        "{notices}"
    );
    assert_eq!(model.class("pneumonia").unwrap(), 8);
    for name in ["Edema", "4"] {
        let error = model.class(name).unwrap_err().to_string();
        assert!(error.contains("was not trained"), "{error}");
    }
    // The score as torchxrayvision.models.op_norm makes it.
    let score = |p: f32| model.facts.score(8, p).unwrap();
    assert!((score(0.1349) - 0.5).abs() < 1e-6 && score(0.0) == 0.0 && score(1.0) == 1.0);
    assert!((score(0.06745) - 0.25).abs() < 1e-6 && (score(0.56745) - 0.75).abs() < 1e-6);

    let path = dir.path().to_str().unwrap();
    let image = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/samples/man-right-middle.png"
    );
    let (code, out, err) = run(&["predict", "--model", path, "--image", image, "--json"]);
    assert_eq!(code, 0, "{err}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["logits"].as_array().unwrap().len(), 18);
    let findings = out["findings"].as_array().unwrap();
    let labels: Vec<&str> = findings
        .iter()
        .map(|f| f["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["Pneumonia", "Lung Opacity"]);
    let f = &findings[0];
    let p = f["probability"].as_f64().unwrap() as f32;
    assert!((f["score"].as_f64().unwrap() as f32 - model.facts.score(8, p).unwrap()).abs() < 1e-5);

    // An explanation is of the raw logit, and never of a class that was not trained.
    let maps = dir.path().join("maps");
    let maps_text = maps.to_str().unwrap();
    let args = [
        "explain", "--model", path, "--image", image, "--out", maps_text,
    ];
    assert_eq!(run(&args).0, 0);
    let manifest = support::json(&maps.join("manifest.json"));
    assert!(manifest["target"] == 8 || manifest["target"] == 16);
    assert!(manifest["finding"]["score"].is_number());
    let (code, _, err) = run(&[&args[..], &["--class", "Hernia"]].concat());
    assert!(code == 1 && err.contains("was not trained"), "{err}");
}

#[test]
fn operating_points_come_from_configuration_too() {
    let list: Vec<Value> = (0..18)
        .map(|i| if i == 8 { json!(0.3) } else { Value::Null })
        .collect();
    let labels: serde_json::Map<String, Value> = (0..18)
        .map(|i| {
            (
                i.to_string(),
                json!(if i == 8 || i == 3 {
                    XRV_FINDINGS[i]
                } else {
                    ""
                }),
            )
        })
        .collect();
    let dir = folder(
        18,
        &[(
            "config.json",
            json!({"op_threshs": list, "id2label": labels}),
        )],
    );
    let model = open(dir.path()).unwrap();
    assert_eq!(model.facts.labels.from, Provenance::Read);
    assert!(model.facts.is_trained(8) && !model.facts.is_trained(3) && !model.facts.is_trained(0));
    assert!(model.class("").is_err(), "an empty label is no name");
    assert_eq!(model.facts.threshold(8), Some(0.3));
}
