//! ONNX files: agreement with PyTorch on small networks from both of its exporters
//! (`tests/data/onnx/make.py`), and files that are broken on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::fs;
use std::path::PathBuf;

use camlens::job::Job;
use camlens::model::Model;
use camlens::model::facts::{Activation, Provenance};
use camlens::preprocess::ModelInput;
use candle_core::Device;
use proptest::prelude::*;
use support::{json, relative_error};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/onnx")
        .join(name)
}

fn open(name: &str, bytes: &[u8]) -> Result<Model, String> {
    Model::from_onnx(name, bytes.to_vec(), &Device::Cpu).map_err(|e| e.to_string())
}

fn floats(value: &serde_json::Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Opens a file, and compares logits and the gradient at a layer with what PyTorch said.
fn agrees(name: &str, exporter: &str) -> Model {
    let file = format!("{name}.{exporter}.onnx");
    let model = open(&file, &fs::read(data(&file)).unwrap()).unwrap();
    let told = json(&data(&format!("{name}.json")));
    let shape: Vec<usize> = serde_json::from_value(told["shape"].clone()).unwrap();
    assert_eq!(model.input_shape().as_slice(), &shape[1..], "{file}");
    let values = (0..shape.iter().product())
        .map(|i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0)
        .collect();
    let trace = model
        .forward(
            &ModelInput::from_ready(&shape, values).unwrap(),
            &Job::default(),
        )
        .unwrap();
    let error = relative_error(&trace.logits().unwrap(), &floats(&told["logits"]));
    assert!(error < 1e-5, "{file}: logits differ by {error}");
    assert_eq!(model.classes(), floats(&told["logits"]).len(), "{file}");

    let target = told["target"].as_u64().unwrap() as usize;
    let mut taps = model.gradients(&trace, target).unwrap();
    let layer = model.layer(told["layer"].as_str().unwrap()).unwrap();
    let found = taps
        .at(&trace, layer, &Job::default())
        .unwrap()
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    let error = relative_error(&found, &floats(&told["gradient"]));
    assert!(
        error < 1e-5,
        "{file}: the gradient at {} differs by {error}",
        told["layer"]
    );

    let activation = match told["activation"].as_str() {
        Some("sigmoid") => Some(Activation::Sigmoid),
        Some(_) => Some(Activation::Softmax),
        None => None,
    };
    if let Some(activation) = activation {
        assert_eq!(model.facts.activation.value, activation, "{file}");
        assert_eq!(model.facts.activation.from, Provenance::Read, "{file}");
    }
    model
}

#[test]
fn residual_network() {
    for exporter in ["torchscript", "dynamo"] {
        let model = agrees("residual", exporter);
        assert_eq!(model.graph.stages, ["layer1", "layer2"], "{exporter}");
        assert_eq!(model.graph.last, "layer2", "{exporter}");
        for name in [
            "layer1.0.conv1",
            "layer1.0.relu#1",
            "layer1.0.relu",
            "layer1.1.add",
            "stem.2",
            "maxpool",
            "fc",
        ] {
            assert!(model.graph.find(name).is_some(), "{exporter}: {name}");
        }
    }
}

#[test]
fn channels_last_network() {
    for exporter in ["torchscript", "dynamo"] {
        let model = agrees("next", exporter);
        assert_eq!(model.graph.stages, ["stages.0", "stages.1"], "{exporter}");
        assert_eq!(model.graph.last, "stages.1", "{exporter}");
        assert!(model.layer("stages.0.1.pwconv1").is_ok(), "{exporter}");
    }
    // Operator set 11 writes LayerNorm and GELU out.
    let model = agrees("next_old", "torchscript");
    let labels: Vec<&str> = model.graph.nodes.iter().map(|n| n.op.label()).collect();
    assert_eq!(labels.iter().filter(|l| **l == "LayerNorm").count(), 4);
    assert_eq!(labels.iter().filter(|l| **l == "GELU").count(), 3);
}

#[test]
fn mobile_network() {
    for exporter in ["torchscript", "dynamo"] {
        let model = agrees("mobile", exporter);
        assert_eq!(
            model.graph.stages.first().map(String::as_str),
            Some("features.1"),
            "{exporter}"
        );
        let labels: Vec<&str> = model.graph.nodes.iter().map(|n| n.op.label()).collect();
        for label in ["SiLU", "Mish", "ReLU6", "Tanh", "AdaptiveMaxPool2d"] {
            assert!(labels.contains(&label), "{exporter}: {label}");
        }
        // The newer exporter puts the border into the convolution.
        assert_eq!(labels.contains(&"Pad"), exporter == "torchscript");
    }
}

// ---- files written by hand ---------------------------------------------------------------------

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field that is a message, a string or bytes.
fn part(field: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [
        varint(field << 3 | 2),
        varint(content.len() as u64),
        content.to_vec(),
    ]
    .concat()
}

fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value as u64)].concat()
}

fn value_info(name: &str, dims: &[i64]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&d| part(1, number(1, d))).collect();
    let tensor = [number(1, 1), part(2, dims)].concat();
    [part(1, name), part(2, part(1, tensor))].concat()
}

fn node(op: &str, name: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = inputs.iter().flat_map(|i| part(1, i)).collect();
    bytes.extend(part(2, output));
    bytes.extend(part(3, name));
    bytes.extend(part(4, op));
    bytes
}

fn tensor(name: &str, dims: &[i64], values: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = dims.iter().flat_map(|&d| number(1, d)).collect();
    bytes.extend(number(2, 1));
    bytes.extend(part(8, name));
    bytes.extend(part(9, 0.5f32.to_le_bytes().repeat(values)));
    bytes
}

/// A whole file: nodes, weights, image, the name of the output.
fn file(nodes: &[Vec<u8>], weights: &[Vec<u8>], image: &[i64]) -> Vec<u8> {
    let mut graph: Vec<u8> = nodes.iter().flat_map(|n| part(1, n)).collect();
    graph.extend(weights.iter().flat_map(|w| part(5, w)));
    graph.extend(part(11, value_info("image", image)));
    graph.extend(part(12, value_info("out", &[1, 4])));
    [number(1, 8), part(8, number(2, 17)), part(7, graph)].concat()
}

fn head() -> [Vec<u8>; 3] {
    [
        node("GlobalAveragePool", "/pool/GlobalAveragePool", &["y"], "p"),
        node("Flatten", "/Flatten", &["p"], "f"),
        node("MatMul", "/fc/MatMul", &["f", "w"], "out"),
    ]
}

fn with_head(first: Vec<u8>, weights: &[Vec<u8>], image: &[i64]) -> Vec<u8> {
    let nodes: Vec<Vec<u8>> = [first].into_iter().chain(head()).collect();
    file(&nodes, weights, image)
}

#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let error = open("model.onnx", bytes).err().expect("refused");
    for word in words.iter().chain(&["'model.onnx'"]) {
        assert!(error.contains(word), "'{word}' is missing in: {error}");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_small_file_by_hand_opens() {
    let w = tensor("w", &[3, 4], 12);
    let bytes = with_head(
        node("Relu", "/act/Relu", &["image"], "y"),
        std::slice::from_ref(&w),
        &[1, 3, 8, 8],
    );
    let model = open("model.onnx", &bytes).unwrap();
    assert_eq!((model.classes(), model.graph.last.as_str()), (4, "act"));
    let bytes = with_head(
        node("Relu", "/act/Relu", &["image"], "y"),
        &[w],
        &[0, 3, 0, 0],
    );
    let model = open("model.onnx", &bytes).unwrap();
    assert_eq!(model.input_shape(), [3, 224, 224]);
    assert!(
        model
            .notices
            .iter()
            .any(|n| n.contains("224 x 224 is assumed")),
        "{:?}",
        model.notices
    );
}

#[test]
fn what_is_wrong_is_named() {
    let w = || tensor("w", &[3, 4], 12);
    let relu = || node("Relu", "/act/Relu", &["image"], "y");
    let image = [1, 3, 8, 8];
    let whole = with_head(relu(), &[w()], &image);

    refused(b"", &["not an ONNX file", "0 bytes"]);
    refused(b"PK\x03\x04rest of a zip", &["not an ONNX file"]);
    refused(b"{\"json\": true}", &["'model.onnx'"]);
    refused(&whole[..whole.len() / 2], &["cut short"]);
    refused(
        &with_head(node("Loop", "/x/Loop", &["image"], "y"), &[w()], &image),
        &["needs the operator 'Loop' at node '/x/Loop', which Camlens does not have"],
    );
    refused(
        &with_head(
            node("ConvTranspose", "/up/ConvTranspose", &["image", "w"], "y"),
            &[w()],
            &image,
        ),
        &["'ConvTranspose'", "'/up/ConvTranspose'"],
    );
    refused(
        &with_head(relu(), &[tensor("w", &[3, 5], 12)], &image),
        &["tensor 'w'", "[3, 5]", "12 values"],
    );
    refused(
        &with_head(relu(), &[tensor("w", &[1 << 40, 1 << 40], 12)], &image),
        &["tensor 'w'"],
    );
    refused(
        &with_head(relu(), &[tensor("w", &[-3, 4], 12)], &image),
        &["tensor 'w'", "negative"],
    );
    let external = [
        tensor("w", &[3, 4], 0),
        part(13, [part(1, "location"), part(2, "w.bin")].concat()),
        number(14, 1),
    ];
    refused(
        &with_head(relu(), &[external.concat()], &image),
        &["tensor 'w'", "external data"],
    );
    refused(
        &with_head(node("Relu", "/act/Relu", &["nowhere"], "y"), &[w()], &image),
        &["'/act/Relu'", "'nowhere'"],
    );
    refused(
        &with_head(node("Relu", "/act/Relu", &["out"], "y"), &[w()], &image),
        &["cycle"],
    );
    refused(
        &with_head(relu(), &[w()], &[1, 77]),
        &["no image input", "2 axes"],
    );
    refused(
        &with_head(relu(), &[w()], &[1, 3, 1 << 40, 8]),
        &["1 to 4096"],
    );
    refused(
        &with_head(relu(), &[tensor("w", &[7, 4], 28)], &image),
        &["/fc/MatMul", "3 features"],
    );
    let attention = [
        node("Transpose", "/t/Transpose", &["image"], "y"),
        node("MatMul", "/attn/MatMul", &["image", "y"], "out"),
    ];
    refused(
        &file(&attention, &[], &image),
        &["/attn/MatMul", "attention", "state dict"],
    );
    let many = [number(1, 8), part(7, part(1, "").repeat(2 << 20))].concat();
    refused(&many, &["more than", "parts"]);
}

#[test]
fn a_small_file_cannot_ask_for_a_large_array() {
    // Channels that double 40 times, and a scale for each of them.
    let mut nodes = vec![node("Relu", "/act/Relu", &["image"], "x0")];
    for i in 0..40 {
        let (from, to) = (format!("x{i}"), format!("x{}", i + 1));
        let mut concat = node("Concat", &format!("/c{i}/Concat"), &[&from, &from], &to);
        concat.extend(part(5, [part(1, "axis"), number(3, 1)].concat()));
        nodes.push(concat);
    }
    nodes.push(node("Mul", "/m/Mul", &["x40", "s"], "out"));
    refused(
        &file(&nodes, &[tensor("s", &[1], 1)], &[1, 3, 8, 8]),
        &["larger than"],
    );
    // A constant that doubles 40 times.
    let mut nodes = vec![node("Concat", "/k/Concat", &["s", "s"], "k0")];
    nodes[0].extend(part(5, [part(1, "axis"), number(3, 0)].concat()));
    for i in 0..40 {
        let (from, to) = (format!("k{i}"), format!("k{}", i + 1));
        let mut concat = node("Concat", &format!("/k{i}/Concat"), &[&from, &from], &to);
        concat.extend(part(5, [part(1, "axis"), number(3, 0)].concat()));
        nodes.push(concat);
    }
    nodes.push(node("Mul", "/m/Mul", &["image", "k40"], "out"));
    refused(
        &file(&nodes, &[tensor("s", &[1], 1)], &[1, 3, 8, 8]),
        &["/k"],
    );
}

// ---- mutations ---------------------------------------------------------------------------------

/// Peak memory of this process in MiB, where the system says it.
fn peak_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib / 1024)
}

#[derive(Clone, Debug)]
enum Change {
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        8 => (at(), any::<u8>()).prop_map(|(i, b)| Change::Byte(i, b)),
        1 => at().prop_map(Change::Cut),
        2 => (at(), 1..40usize).prop_map(|(i, n)| Change::Remove(i, n)),
        2 => (at(), 1..40usize).prop_map(|(i, n)| Change::Repeat(i, n)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Change::Byte(i, b) => {
                let i = i.index(bytes.len());
                bytes[i] = *b;
            }
            Change::Cut(i) => bytes.truncate(i.index(bytes.len())),
            Change::Remove(i, n) => {
                let i = i.index(bytes.len());
                bytes.drain(i..(i + n).min(bytes.len()));
            }
            Change::Repeat(i, n) => {
                let i = i.index(bytes.len());
                let piece = bytes[i..(i + n).min(bytes.len())].to_vec();
                bytes.splice(i..i, piece);
            }
        }
    }
    bytes
}

fn originals() -> Vec<Vec<u8>> {
    let small = with_head(
        node("Relu", "/act/Relu", &["image"], "y"),
        &[tensor("w", &[3, 4], 12)],
        &[1, 3, 8, 8],
    );
    [
        "mobile.torchscript.onnx",
        "next_old.torchscript.onnx",
        "residual.dynamo.onnx",
    ]
    .iter()
    .map(|name| fs::read(data(name)).unwrap())
    .chain([small])
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_open_or_are_refused_in_one_line(
        which in 0..4usize,
        changes in prop::collection::vec(change(), 1..5),
    ) {
        let bytes = changed(originals().swap_remove(which), &changes);
        if let Err(error) = open("mutated.onnx", &bytes) {
            prop_assert_eq!(error.lines().count(), 1, "{}", &error);
            prop_assert!(error.contains("'mutated.onnx'"), "{}", &error);
        }
        if let Some(peak) = peak_mib() {
            prop_assert!(peak < 1024, "{} MiB for a file of {} bytes", peak, bytes.len());
        }
    }
}
