//! Every architecture against what PyTorch computed on the same recipe weights (tests/reference, made by
//! its make.py): logits, stages, every module's output by its name, and the Grad-CAM of the last layer.
//! Then the variants that people make of them: narrow, truncated, re-headed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::BTreeMap;

use camlens::explain::Pass;
use camlens::job::Job;
use camlens::model::forward::Trace;
use camlens::model::weights::Weights;
use camlens::model::{Model, Shape};
use camlens::preprocess::ModelInput;
use candle_core::{Device, Tensor};
use serde_json::Value;
use support::{explain_map, recipe_tensor, reference, reference_tensors, relative_error, scene_a};

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Runs a reference network; `arch` is what the user would say of it.
fn check(name: &str, arch: Option<&str>) {
    let reference = reference(name);
    let size = reference["size"].as_u64().unwrap() as usize;
    let xray = name.starts_with("xrv");
    let (shape, values) = scene_a(size, size, xray);
    let input = ModelInput::from_ready(&shape, values).unwrap();
    let weights = Weights::from_tensors(name, reference_tensors(&reference));
    let model = Model::build(&weights, arch, &Device::Cpu).unwrap();
    let plain = name.trim_start_matches("timm_").trim_start_matches("xrv_");
    assert_eq!(model.facts.arch.value, plain);
    let unused: Vec<&String> = model
        .notices
        .iter()
        .filter(|n| n.contains("not used"))
        .collect();
    assert!(unused.is_empty(), "{name}: {unused:?}");
    assert_eq!(model.graph.last, reference["last"].as_str().unwrap());
    let stages = reference["stages"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|s| s[0].as_str().unwrap()).collect();
    assert_eq!(model.graph.stages, names, "{name}: stages");

    let job = Job::default();
    let trace = model.forward(&input, &job).unwrap();
    for stage in stages {
        let (path, facts) = (stage[0].as_str().unwrap(), &stage[1]);
        let node = model.graph.find(path).unwrap();
        let shapes = model.graph.shapes([shape[1], size, size]).unwrap();
        let expected: Vec<usize> = serde_json::from_value(facts["shape"].clone()).unwrap();
        assert_eq!(shapes[node].dims(), expected, "{name} {path}");
        let found = flat(&trace.output(node).unwrap());
        let absmax = facts["absmax"].as_f64().unwrap() as f32;
        let stride = facts["stride"].as_u64().unwrap() as usize;
        for (a, b) in found
            .iter()
            .step_by(stride)
            .zip(numbers(&facts["strided16"]))
        {
            assert!((a - b).abs() <= 2e-5 * absmax, "{name} {path}: {a} for {b}");
        }
        let mean = found.iter().map(|v| f64::from(*v)).sum::<f64>() / found.len() as f64;
        let off = (mean - facts["mean"].as_f64().unwrap()).abs();
        assert!(off < 2e-5 * f64::from(absmax), "{name} {path}: mean");
    }
    modules(name, &reference, &model, &trace);

    let logits = trace.logits().unwrap();
    assert_eq!(logits.len() as u64, reference["classes"].as_u64().unwrap());
    let absmax = reference["absmax"].as_f64().unwrap() as f32;
    for (a, b) in logits.iter().zip(numbers(&reference["logits"])) {
        assert!((a - b).abs() <= 2e-5 * absmax, "{name}: logit {a} for {b}");
    }
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    let class = logits.iter().position(|v| *v == top).unwrap();
    assert_eq!(class as u64, reference["target"].as_u64().unwrap());

    let last = model.graph.last.clone();
    let mut pass = Pass::run(&model, &input, &job).unwrap();
    let map = explain_map(&model, &input, &mut pass, "grad-cam", &[], &last, class).unwrap();
    let error = relative_error(&map.values, &numbers(&reference["cam"]["values"]));
    assert!(error < 1e-4, "{name}: map off by {error}");
}

/// Every module of PyTorch that has one output is found by its name and has that output.
fn modules(name: &str, reference: &Value, model: &Model, trace: &Trace) {
    let mut missing = Vec::new();
    for row in reference["modules"].as_array().unwrap() {
        let path = row[0].as_str().unwrap();
        // The second half of a permutation or a pooled plane has other dimensions, but the same numbers.
        let Some(node) = model.graph.find(path) else {
            missing.push(path);
            continue;
        };
        let found = flat(&trace.output(node).unwrap());
        assert_eq!(
            found.len() as u64,
            row[1].as_u64().unwrap(),
            "{name} {path}"
        );
        let absmax = row[2].as_f64().unwrap() as f32;
        let stride = (found.len() / 3).max(1);
        for (n, value) in row.as_array().unwrap()[3..].iter().enumerate() {
            let (a, b) = (found[(n + 1) * stride], value.as_f64().unwrap() as f32);
            assert!((a - b).abs() <= 5e-5 * absmax, "{name} {path}: {a} for {b}");
        }
    }
    assert!(missing.is_empty(), "{name}: no node for {missing:?}");
}

macro_rules! references {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(stringify!($name), None);
        })*
    };
}

references!(
    resnet34,
    resnet101,
    wide_resnet50_2,
    resnext50_32x4d,
    vgg11,
    vgg16_bn,
    densenet169,
    squeezenet1_0,
    googlenet,
    inception_v3,
    mobilenet_v3_small,
    mobilenet_v3_large,
    efficientnet_b3,
    efficientnet_b5,
    efficientnet_v2_s,
    convnext_small,
    mnasnet0_75,
    mnasnet1_0,
    shufflenet_v2_x1_0,
    regnet_y_400mf,
    regnet_x_400mf,
    vit_b_16,
    timm_efficientnet_b0,
    timm_resnext50_32x4d,
    timm_resnet50d,
    xrv_resnet50,
);

#[test]
fn timm_densenet121() {
    check("timm_densenet121", Some("timm/densenet121"));
}

#[test]
fn tf_efficientnet_b0() {
    check("tf_efficientnet_b0", Some("tf_efficientnet_b0.ns_jft_in1k"));
}

// ---- variants ----------------------------------------------------------------------------------

/// Tensors of these shapes, with small weights.
fn made(shapes: &[(&str, &[usize])]) -> BTreeMap<String, Tensor> {
    shapes
        .iter()
        .map(|(name, shape)| {
            let values = recipe_tensor(name, shape, 5, &[]);
            let tensor = Tensor::from_vec(values, *shape, &Device::Cpu).unwrap();
            ((*name).to_owned(), tensor)
        })
        .collect()
}

fn norm(tensors: &mut BTreeMap<String, Tensor>, path: &str, channels: usize) {
    for leaf in ["weight", "bias", "running_mean", "running_var"] {
        let name = format!("{path}.{leaf}");
        let values = recipe_tensor(&name, &[channels], 5, &[]);
        let tensor = Tensor::from_vec(values, channels, &Device::Cpu).unwrap();
        tensors.insert(name, tensor);
    }
}

/// A ResNet of two stages of one basic block each, `width` channels, `inputs` input channels, headless.
fn small_resnet(inputs: usize, width: usize) -> BTreeMap<String, Tensor> {
    let double = 2 * width;
    let mut tensors = made(&[
        ("conv1.weight", &[width, inputs, 7, 7]),
        ("layer1.0.conv1.weight", &[width, width, 3, 3]),
        ("layer1.0.conv2.weight", &[width, width, 3, 3]),
        ("layer2.0.conv1.weight", &[double, width, 3, 3]),
        ("layer2.0.conv2.weight", &[double, double, 3, 3]),
        ("layer2.0.downsample.0.weight", &[double, width, 1, 1]),
    ]);
    for (path, channels) in [
        ("bn1", width),
        ("layer1.0.bn1", width),
        ("layer1.0.bn2", width),
        ("layer2.0.bn1", double),
        ("layer2.0.bn2", double),
        ("layer2.0.downsample.1", double),
    ] {
        norm(&mut tensors, path, channels);
    }
    tensors
}

fn open(tensors: BTreeMap<String, Tensor>, arch: Option<&str>) -> camlens::error::Result<Model> {
    Model::build(
        &Weights::from_tensors("variant", tensors),
        arch,
        &Device::Cpu,
    )
}

fn op(model: &Model, name: &str) -> &'static str {
    let node = model.graph.find(name).unwrap();
    model.graph.nodes[node].op.label()
}

#[test]
fn a_narrow_truncated_network_of_one_channel_opens() {
    let mut tensors = small_resnet(1, 8);
    tensors.append(&mut made(&[("fc.weight", &[3, 16]), ("fc.bias", &[3])]));
    let model = open(tensors, None).unwrap();
    assert_eq!(model.input_shape()[0], 1);
    assert_eq!((model.classes(), model.graph.last.as_str()), (3, "layer2"));
    assert_eq!(model.graph.stages, ["layer1", "layer2"]);
    assert!(model.facts.arch.value.starts_with("resnet (basic 1-1"));
}

#[test]
fn a_classifier_of_several_layers_opens_and_its_activation_is_called_a_guess() {
    // Dropout, Linear, BatchNorm, ReLU, Dropout, Linear
    let mut tensors = small_resnet(3, 8);
    tensors.append(&mut made(&[
        ("fc.1.weight", &[12, 16]),
        ("fc.1.bias", &[12]),
        ("fc.5.weight", &[2, 12]),
        ("fc.5.bias", &[2]),
    ]));
    norm(&mut tensors, "fc.2", 12);
    let model = open(tensors.clone(), None).unwrap();
    assert_eq!(model.classes(), 2);
    let ops = [0, 1, 2, 3, 4, 5].map(|i| op(&model, &format!("fc.{i}")));
    let expected = [
        "Identity",
        "Linear",
        "BatchNorm2d",
        "ReLU",
        "Identity",
        "Linear",
    ];
    assert_eq!(ops, expected);
    assert!(model.notices.iter().any(|n| n.contains("'fc.3'")));

    // What it computes is what PyTorch's modules would.
    let (shape, values) = scene_a(64, 64, false);
    let input = ModelInput::from_ready(&shape, values).unwrap();
    let trace = model.forward(&input, &Job::default()).unwrap();
    let pooled = trace.output(model.graph.find("flatten").unwrap()).unwrap();
    let weight = |name: &str| tensors[name].clone();
    let x = pooled
        .matmul(&weight("fc.1.weight").t().unwrap())
        .unwrap()
        .broadcast_add(&weight("fc.1.bias"))
        .unwrap();
    let spread = (weight("fc.2.running_var") + 1e-5).unwrap().sqrt().unwrap();
    let x = x
        .broadcast_sub(&weight("fc.2.running_mean"))
        .unwrap()
        .broadcast_div(&spread)
        .unwrap()
        .broadcast_mul(&weight("fc.2.weight"))
        .unwrap()
        .broadcast_add(&weight("fc.2.bias"))
        .unwrap();
    let x = x
        .relu()
        .unwrap()
        .matmul(&weight("fc.5.weight").t().unwrap())
        .unwrap()
        .broadcast_add(&weight("fc.5.bias"))
        .unwrap();
    let error = relative_error(&trace.logits().unwrap(), &flat(&x));
    assert!(error < 1e-5, "off by {error}");
}

#[test]
fn vgg_with_one_linear_layer_opens() {
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut channels = 3;
    for (index, width) in [(0, 8), (3, 12), (6, 16)] {
        shapes.push((
            format!("features.{index}.weight"),
            vec![width, channels, 3, 3],
        ));
        channels = width;
    }
    shapes.push(("classifier.weight".to_owned(), vec![4, 16]));
    let shapes: Vec<(&str, &[usize])> = shapes
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.as_slice()))
        .collect();
    let model = open(made(&shapes), Some("vgg11")).unwrap();
    assert_eq!(model.classes(), 4);
    assert_eq!(model.graph.last, "features.7");
    let pooled = model.graph.find("avgpool").unwrap();
    assert_eq!(model.shape(pooled).unwrap(), Shape::Map([16, 1, 1]));
}

#[test]
fn a_tensor_without_a_place_inside_the_network_is_refused() {
    let mut tensors = small_resnet(3, 8);
    tensors.append(&mut made(&[
        ("fc.weight", &[2, 16]),
        ("layer1.0.attn.fc1.weight", &[4, 8, 1, 1]),
    ]));
    let words = open(tensors, None).err().unwrap().to_string();
    for word in ["layer1.0.attn.fc1.weight", "torch.onnx.export", "resnet"] {
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn a_network_inside_other_modules_opens() {
    let mut tensors = small_resnet(3, 8);
    tensors.append(&mut made(&[("fc.0.weight", &[2, 16]), ("fc.0.bias", &[2])]));
    let wrapped = tensors
        .into_iter()
        .map(|(name, tensor)| (format!("encoder.resnet18.{name}"), tensor))
        .collect();
    let model = open(wrapped, None).unwrap();
    assert_eq!(model.classes(), 2);
    let notice = "'encoder.resnet18.'";
    assert!(model.notices.iter().any(|n| n.contains(notice)));
}

#[test]
fn an_unknown_network_is_told_how_to_come_as_onnx() {
    let tensors = made(&[
        ("trunk.0.weight", &[8, 1, 5, 5]),
        ("trunk.1.weight", &[8, 8, 3, 3]),
        ("out.weight", &[2, 8]),
    ]);
    let words = open(tensors, None).err().unwrap().to_string();
    for word in [
        "2 convolutions",
        "1 linear layers",
        "trunk",
        "torch.zeros(1, 1, 224, 224)",
        "model.onnx",
    ] {
        assert!(words.contains(word), "'{word}' is missing in: {words}");
    }
}

#[test]
fn a_name_overrides_the_recognition_and_must_fit() {
    let mut tensors = small_resnet(3, 8);
    tensors.append(&mut made(&[("fc.weight", &[2, 16])]));
    // The name of the model that a variant was made from is accepted.
    assert!(open(tensors.clone(), Some("resnet18")).is_ok());
    assert!(open(tensors.clone(), Some("timm/resnet18.a1_in1k")).is_ok());
    let words = open(tensors.clone(), Some("densenet121")).err().unwrap();
    assert!(
        words.to_string().contains("features.conv0.weight"),
        "{words}"
    );
    let words = open(tensors, Some("lenet")).err().unwrap();
    assert!(
        words.to_string().contains("'lenet' is not known"),
        "{words}"
    );
}

// ---- Hugging Face transformers' spelling -------------------------------------------------------

/// The same numbers under two spellings, `(torchvision's or timm's, transformers')`, must give the same logits.
fn same_under_both_names(pairs: &[(&str, &str, &[usize])], side: usize, arch: &str) {
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    for (our, their, shape) in pairs {
        let values = recipe_tensor(our, shape, 9, &[]);
        let tensor = Tensor::from_vec(values, *shape, &Device::Cpu).unwrap();
        ours.insert((*our).to_owned(), tensor.clone());
        theirs.insert((*their).to_owned(), tensor);
    }
    let (shape, values) = scene_a(side, side, false);
    let input = ModelInput::from_ready(&shape, values).unwrap();
    let run = |tensors| {
        let model = open(tensors, None).unwrap();
        assert!(model.facts.arch.value.starts_with(arch));
        assert!(!model.notices.iter().any(|n| n.contains("not used")));
        let trace = model.forward(&input, &Job::default()).unwrap();
        trace.logits().unwrap()
    };
    let error = relative_error(&run(theirs), &run(ours));
    assert!(error < 2e-5, "{arch}: off by {error}");
}

#[test]
fn transformers_resnet() {
    let mut pairs: Vec<(String, String, Vec<usize>)> = Vec::new();
    let mut convolution = |our: &str, norm: &str, their: &str, shape: [usize; 4]| {
        pairs.push((
            format!("{our}.weight"),
            format!("resnet.{their}.convolution.weight"),
            shape.to_vec(),
        ));
        for leaf in ["weight", "bias", "running_mean", "running_var"] {
            pairs.push((
                format!("{norm}.{leaf}"),
                format!("resnet.{their}.normalization.{leaf}"),
                vec![shape[0]],
            ));
        }
    };
    convolution("conv1", "bn1", "embedder.embedder", [8, 3, 7, 7]);
    for (stage, (inner, before, out)) in [(4, 8, 16), (8, 16, 32)].into_iter().enumerate() {
        let (our, their) = (
            format!("layer{}.0", stage + 1),
            format!("encoder.stages.{stage}.layers.0"),
        );
        for (k, shape) in [
            [inner, before, 1, 1],
            [inner, inner, 3, 3],
            [out, inner, 1, 1],
        ]
        .into_iter()
        .enumerate()
        {
            convolution(
                &format!("{our}.conv{}", k + 1),
                &format!("{our}.bn{}", k + 1),
                &format!("{their}.layer.{k}"),
                shape,
            );
        }
        convolution(
            &format!("{our}.downsample.0"),
            &format!("{our}.downsample.1"),
            &format!("{their}.shortcut"),
            [out, before, 1, 1],
        );
    }
    pairs.push((
        "fc.weight".into(),
        "classifier.1.weight".into(),
        vec![5, 32],
    ));
    pairs.push(("fc.bias".into(), "classifier.1.bias".into(), vec![5]));
    let pairs: Vec<(&str, &str, &[usize])> = pairs
        .iter()
        .map(|(a, b, s)| (a.as_str(), b.as_str(), s.as_slice()))
        .collect();
    same_under_both_names(&pairs, 64, "resnet");
}

#[test]
fn transformers_convnext() {
    let (block, theirs) = ("stages.0.blocks.0", "convnext.encoder.stages.0.layers.0");
    let names: Vec<(String, String, &[usize])> = vec![
        (
            "stem.0.weight".into(),
            "convnext.embeddings.patch_embeddings.weight".into(),
            &[8, 3, 4, 4],
        ),
        (
            "stem.0.bias".into(),
            "convnext.embeddings.patch_embeddings.bias".into(),
            &[8],
        ),
        (
            "stem.1.weight".into(),
            "convnext.embeddings.layernorm.weight".into(),
            &[8],
        ),
        (
            "stem.1.bias".into(),
            "convnext.embeddings.layernorm.bias".into(),
            &[8],
        ),
        (
            format!("{block}.conv_dw.weight"),
            format!("{theirs}.dwconv.weight"),
            &[8, 1, 7, 7],
        ),
        (
            format!("{block}.conv_dw.bias"),
            format!("{theirs}.dwconv.bias"),
            &[8],
        ),
        (
            format!("{block}.norm.weight"),
            format!("{theirs}.layernorm.weight"),
            &[8],
        ),
        (
            format!("{block}.norm.bias"),
            format!("{theirs}.layernorm.bias"),
            &[8],
        ),
        (
            format!("{block}.mlp.fc1.weight"),
            format!("{theirs}.pwconv1.weight"),
            &[32, 8],
        ),
        (
            format!("{block}.mlp.fc1.bias"),
            format!("{theirs}.pwconv1.bias"),
            &[32],
        ),
        (
            format!("{block}.mlp.fc2.weight"),
            format!("{theirs}.pwconv2.weight"),
            &[8, 32],
        ),
        (
            format!("{block}.mlp.fc2.bias"),
            format!("{theirs}.pwconv2.bias"),
            &[8],
        ),
        (
            format!("{block}.gamma"),
            format!("{theirs}.layer_scale_parameter"),
            &[8],
        ),
        (
            "stages.1.downsample.0.weight".into(),
            "convnext.encoder.stages.1.downsampling_layer.0.weight".into(),
            &[8],
        ),
        (
            "stages.1.downsample.0.bias".into(),
            "convnext.encoder.stages.1.downsampling_layer.0.bias".into(),
            &[8],
        ),
        (
            "stages.1.downsample.1.weight".into(),
            "convnext.encoder.stages.1.downsampling_layer.1.weight".into(),
            &[16, 8, 2, 2],
        ),
        (
            "head.norm.weight".into(),
            "convnext.layernorm.weight".into(),
            &[16],
        ),
        (
            "head.norm.bias".into(),
            "convnext.layernorm.bias".into(),
            &[16],
        ),
        (
            "head.fc.weight".into(),
            "classifier.weight".into(),
            &[3, 16],
        ),
        ("head.fc.bias".into(), "classifier.bias".into(), &[3]),
    ];
    let pairs: Vec<(&str, &str, &[usize])> = names
        .iter()
        .map(|(a, b, s)| (a.as_str(), b.as_str(), *s))
        .collect();
    same_under_both_names(&pairs, 64, "convnext");
}

#[test]
fn transformers_vit_joins_queries_keys_and_values() {
    let names = |leaf: &str| {
        let at = "vit.encoder.layer.0";
        [
            format!("{at}.attention.attention.query.{leaf}"),
            format!("{at}.attention.attention.key.{leaf}"),
            format!("{at}.attention.attention.value.{leaf}"),
            format!("{at}.attention.output.dense.{leaf}"),
            format!("{at}.intermediate.dense.{leaf}"),
            format!("{at}.output.dense.{leaf}"),
            format!("{at}.layernorm_before.{leaf}"),
            format!("{at}.layernorm_after.{leaf}"),
            format!("vit.layernorm.{leaf}"),
        ]
    };
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("vit.embeddings.cls_token".into(), vec![1, 1, 64]),
        ("vit.embeddings.position_embeddings".into(), vec![1, 5, 64]),
        (
            "vit.embeddings.patch_embeddings.projection.weight".into(),
            vec![64, 3, 16, 16],
        ),
        (
            "vit.embeddings.patch_embeddings.projection.bias".into(),
            vec![64],
        ),
        ("classifier.weight".into(), vec![3, 64]),
        ("classifier.bias".into(), vec![3]),
    ];
    for (i, (weight, bias)) in names("weight").into_iter().zip(names("bias")).enumerate() {
        let (out, inputs) = match i {
            4 => (128, Some(64)),
            5 => (64, Some(128)),
            6.. => (64, None),
            _ => (64, Some(64)),
        };
        shapes.push((weight, inputs.map_or(vec![out], |n| vec![out, n])));
        shapes.push((bias, vec![out]));
    }
    let shapes: Vec<(&str, &[usize])> = shapes
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.as_slice()))
        .collect();
    let model = open(made(&shapes), None).unwrap();
    assert_eq!(model.input_shape(), [3, 32, 32]);
    assert_eq!(model.classes(), 3);
    let joint = "encoder.layers.encoder_layer_0.self_attention.in_proj";
    let node = model.graph.find(joint).unwrap();
    assert_eq!(model.shape(node).unwrap().channels(), 192);
    let (shape, values) = scene_a(32, 32, false);
    let input = ModelInput::from_ready(&shape, values).unwrap();
    let trace = model.forward(&input, &Job::default()).unwrap();
    assert_eq!(trace.logits().unwrap().len(), 3);
}
