//! Attention Branch Networks: the loader against plain loops, the second head, and methods on the perception branch.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

#[path = "abn/network.rs"]
mod network;
#[path = "abn/reference.rs"]
mod reference;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use camlens::explain::relevance::{Composite, Plan, Seed};
use camlens::explain::{Pass, RawMap, catalogue};
use camlens::job::Job;
use camlens::model::Model;
use camlens::model::kernels::portable::Portable;
use camlens::model::weights::Weights;
use camlens::preprocess::ModelInput;
use candle_core::{Device, Tensor};
use network::{BASIC, LAYOUTS, Layout, Tensors, flat, open};
use reference::Reference;
use serde_json::Value;
use support::{camlens, explain_map, json, recipe_tensor, relative_error, save};

fn scaled(tensors: &mut Tensors, key: &str, by: f64) {
    let tensor = (&tensors[key] * by).unwrap();
    tensors.insert(key.to_owned(), tensor);
}

#[test]
fn logits_of_both_heads_and_the_map_agree_with_plain_loops() {
    for layout in LAYOUTS {
        let (tensors, input) = (layout.tensors(), layout.input());
        let [logits, own, map] = Reference(&tensors).run(&layout, &input);
        let (lo, hi) = map
            .iter()
            .fold((1f32, 0f32), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
        assert!(
            hi - lo > 0.05,
            "{layout:?}: a flat map tests nothing: {lo}..{hi}"
        );
        for portable in [false, true] {
            let mut model = open(tensors.clone()).unwrap();
            if portable {
                model = model.with_kernels(Arc::new(Portable));
            }
            let trace = model.forward(&input, &Job::default()).unwrap();
            let found = trace.logits().unwrap();
            let found_own = model.attention_logits(&trace).unwrap().unwrap();
            let node = model.layer("attention").unwrap();
            let found_map = trace.output(node).unwrap();
            let side = if layout.kernel == 7 {
                layout.side >> (layout.last())
            } else {
                layout.side >> (layout.last() - 2)
            };
            assert_eq!(found_map.dims(), [1, 1, side, side], "{layout:?}");
            for (what, found, reference) in [
                ("logits", found, &logits),
                ("attention logits", found_own, &own),
                ("map", flat(&found_map), &map),
            ] {
                let error = relative_error(&found, reference);
                assert!(error < 1e-5, "{layout:?} {what}: off by {error}");
            }
            // Logits alone are those of the perception head as well.
            let alone = model.logits(&input, &Job::default()).unwrap();
            let error = relative_error(&alone, &logits);
            assert!(error < 1e-4, "{layout:?} alone: off by {error}");
        }
    }
}

#[test]
fn layers_have_the_authors_names_and_what_tensors_cannot_tell_is_said() {
    for layout in LAYOUTS {
        let model = layout.model();
        let stages: Vec<String> = (1..=layout.last()).map(|l| format!("layer{l}")).collect();
        assert_eq!(model.graph.stages, stages);
        assert_eq!(model.graph.last, *stages.last().unwrap());
        assert_eq!(model.classes(), layout.classes);
        assert_eq!(model.input_shape()[0], layout.channels);
        let branch = model.graph.attention.unwrap();
        assert_eq!(model.graph.find("attention"), Some(branch.map));
        assert_eq!(model.graph.find("sigmoid"), Some(branch.map));
        for name in [
            "conv1",
            "bn1",
            "relu#1",
            "bn_att",
            "att_conv",
            "bn_att2",
            "relu",
            "att_conv2",
            "att_gap",
            "att_conv3",
            "bn_att3",
            "perception",
            "avgpool",
            "fc",
            &format!("att_layer{}.1.conv1", layout.last())[..],
        ] {
            if layout.blocks > 1 || !name.contains(".1.") {
                assert!(model.graph.find(name).is_some(), "{layout:?}: {name}");
            }
        }
        let arch = &model.facts.arch.value;
        assert!(
            arch.starts_with("resnet") && arch.contains("attention branch)"),
            "{arch}"
        );
        assert!(
            !model.notices.iter().any(|n| n.contains("not used")),
            "{:?}",
            model.notices
        );
        let cifar = layout.kernel == 3;
        assert_eq!(
            model.notices.iter().any(|n| n.contains("CIFAR")),
            cifar,
            "{:?}",
            model.notices
        );
        assert_eq!(model.graph.find("maxpool").is_none(), cifar);
        if cifar {
            assert_eq!(model.input_shape(), [3, 32, 32]);
        }
    }
    // A published trunk keeps its name.
    let resnet18 = Layout {
        widths: &[64, 128, 256, 512],
        ..BASIC
    };
    assert_eq!(
        resnet18.model().facts.arch.value,
        "resnet18 (attention branch)"
    );
    for arch in ["resnet18", "abn"] {
        let weights = Weights::from_tensors("net.pth", resnet18.tensors());
        let model = Model::build(&weights, Some(arch), &Device::Cpu).unwrap();
        assert!(model.graph.attention.is_some(), "{arch}");
    }
}

#[test]
fn what_does_not_go_together_is_one_clear_error() {
    let refused = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = BASIC.tensors();
        change(&mut tensors);
        open(tensors).err().unwrap().to_string()
    };
    let made = |shape: &[usize]| {
        Tensor::from_vec(
            recipe_tensor("made.weight", shape, 1, &[]),
            shape,
            &Device::Cpu,
        )
        .unwrap()
    };
    for key in [
        "att_conv.weight",
        "att_conv2.weight",
        "att_conv3.weight",
        "bn_att3.running_mean",
        "layer4.0.conv1.weight",
        "fc.weight",
    ] {
        let words = refused(&|tensors| {
            tensors.remove(key);
        });
        assert!(
            words.contains("'net.pth'") && words.contains(&format!("'{key}'")),
            "{words}"
        );
    }
    let words = refused(&|tensors| {
        tensors.retain(|key, _| !key.starts_with("att_layer4"));
    });
    assert!(words.contains("att_layer4.0.conv1.weight"), "{words}");
    let words = refused(&|tensors| {
        tensors.insert("att_conv3.weight".into(), made(&[2, 4, 3, 3]));
    });
    assert!(words.contains("2 planes"), "{words}");
    let words = refused(&|tensors| {
        tensors.insert("att_conv2.weight".into(), made(&[3, 4, 1, 1]));
    });
    assert!(
        words.contains("3 classes") && words.contains("expected 4"),
        "{words}"
    );
    let words = refused(&|tensors| {
        let early: Vec<(String, Tensor)> = tensors
            .iter()
            .filter(|(key, _)| key.starts_with("att_layer4"))
            .map(|(key, tensor)| (key.replace("att_layer4", "att_layer3"), tensor.clone()))
            .collect();
        tensors.retain(|key, _| !key.starts_with("att_layer4"));
        tensors.extend(early);
    });
    assert!(words.contains("stage 3 of 4"), "{words}");
}

// ---- the second head ---------------------------------------------------------------------------

#[test]
fn the_attention_head_costs_the_other_passes_nothing() {
    let (model, input) = (BASIC.model(), BASIC.input());
    let live = model.graph.live();
    let dead: Vec<&str> = (0..live.len())
        .filter(|&id| !live[id])
        .map(|id| model.graph.nodes[id].name.as_str())
        .collect();
    assert_eq!(dead, ["att_conv2", "att_gap", "att_flatten"]);
    // The 1 x 1 convolutions that run: one for each of four shortcuts, and that behind the copied stage.
    let steps = model.profile(&input).unwrap();
    let pointwise = steps
        .iter()
        .filter(|(name, _)| name.starts_with("Conv2d 1x1"));
    assert_eq!(pointwise.count(), 5, "{steps:?}");
    assert!(
        !model
            .layers_named("all")
            .unwrap()
            .contains(&"att_conv2".to_owned())
    );
    assert!(
        model
            .layers_named("all")
            .unwrap()
            .contains(&"sigmoid".to_owned())
    );
    // Nothing comes back to it, and the walk goes on past it.
    let job = Job::default();
    let trace = model.forward(&input, &job).unwrap();
    let mut taps = model.gradients(&trace, 0).unwrap();
    let at = |name: &str| model.graph.find(name).unwrap();
    assert!(taps.at(&trace, at("att_conv2"), &job).unwrap().is_none());
    assert!(taps.at(&trace, at("bn_att"), &job).unwrap().is_some());
}

#[test]
fn a_pass_goes_on_from_the_middle_with_both_heads() {
    let (model, input) = (BASIC.model(), BASIC.input());
    let job = Job::default();
    let trace = model.forward(&input, &job).unwrap();
    let features = model.graph.find("layer3").unwrap();
    let value = trace.output(features).unwrap();
    let both = Tensor::cat(&[&value, &(&value * 0.5).unwrap()], 0).unwrap();
    let resumed = trace.resume(features, &both, &job).unwrap();
    let rows = |t: &Tensor| t.to_vec2::<f32>().unwrap();
    let logits = rows(&resumed.output(model.graph.output()).unwrap());
    let scores = rows(&trace.resume_scores(features, &both, &job).unwrap());
    let own = rows(
        &resumed
            .output(model.graph.attention.unwrap().logits)
            .unwrap(),
    );
    assert!(relative_error(&logits[0], &trace.logits().unwrap()) < 1e-5);
    assert!(relative_error(&own[0], &model.attention_logits(&trace).unwrap().unwrap()) < 1e-5);
    for (a, b) in logits.iter().zip(&scores) {
        assert!(relative_error(a, b) < 1e-4);
    }
    assert!(relative_error(&logits[1], &logits[0]) > 1e-2);
    assert!(relative_error(&own[1], &own[0]) > 1e-2);
}

// ---- methods -----------------------------------------------------------------------------------

fn map_of(
    model: &Model,
    input: &ModelInput,
    method: &str,
    values: &[(&str, &str)],
    layer: &str,
) -> camlens::Result<RawMap> {
    let mut pass = Pass::run(model, input, &Job::default())?;
    explain_map(model, input, &mut pass, method, values, layer, 1)
}

#[test]
fn the_attention_map_is_shown_as_it_is_whatever_the_class() {
    for layout in LAYOUTS {
        let (tensors, input) = (layout.tensors(), layout.input());
        let [.., reference] = Reference(&tensors).run(&layout, &input);
        let model = open(tensors).unwrap();
        let map = map_of(&model, &input, "abn", &[], "attention").unwrap();
        assert_eq!((map.target, map.layer.as_str()), (None, "attention"));
        let error = relative_error(&map.values, &reference);
        assert!(error < 1e-5, "{layout:?}: off by {error}");
    }
    let plain = open(
        BASIC
            .tensors()
            .into_iter()
            .filter(|(k, _)| !k.contains("att"))
            .collect(),
    )
    .unwrap();
    let input = BASIC.input();
    for layer in ["attention", "layer4"] {
        let words = map_of(&plain, &input, "abn", &[], layer)
            .unwrap_err()
            .to_string();
        assert!(
            words.contains("'net.pth' has no attention branch"),
            "{words}"
        );
    }
}

/// A method, its layer, and parameters.
type Asked = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const PERCEPTION: [Asked; 8] = [
    ("grad-cam", "layer4", &[]),
    ("layer-cam", "layer2", &[]),
    ("score-cam", "layer4", &[("channels", "6")]),
    ("ablation-cam", "layer4", &[]),
    ("cam", "layer4", &[]),
    ("lrp-epsilon-plus", "input", &[]),
    ("integrated-gradients", "input", &[]),
    ("guided-backprop", "input", &[]),
];

#[test]
fn other_methods_explain_the_perception_branch() {
    let input = BASIC.input();
    let model = BASIC.model();
    // The attention head's own classifier is in none of them; the perception head's is in all.
    let mut other_head = BASIC.tensors();
    scaled(&mut other_head, "att_conv2.weight", -3.0);
    let other_head = open(other_head).unwrap();
    let mut other_fc = BASIC.tensors();
    let rows = [3, 2, 0, 1u32];
    let rows = Tensor::new(&rows, &Device::Cpu).unwrap();
    let fc = other_fc["fc.weight"].index_select(&rows, 0).unwrap();
    other_fc.insert("fc.weight".to_owned(), fc);
    let other_fc = open(other_fc).unwrap();
    for (method, layer, values) in PERCEPTION {
        let made = |model: &Model| map_of(model, &input, method, values, layer).unwrap();
        let map = made(&model);
        assert_eq!(map.values, made(&other_head).values, "{method}");
        assert!(
            relative_error(&made(&other_fc).values, &map.values) > 0.1,
            "{method}"
        );
    }
    let job = Job::default();
    let own = |model: &Model| {
        let trace = model.forward(&input, &job).unwrap();
        model.attention_logits(&trace).unwrap().unwrap()
    };
    let tripled: Vec<f32> = own(&model).iter().map(|v| -3.0 * v).collect();
    assert!(relative_error(&own(&other_head), &tripled) < 1e-5);

    // Before the pool and a linear head Grad-CAM is CAM over the number of cells.
    let cam = map_of(&model, &input, "cam", &[], "layer4").unwrap();
    let grad = map_of(&model, &input, "grad-cam", &[], "layer4").unwrap();
    let cells = (cam.width * cam.height) as f32;
    let times: Vec<f32> = grad.values.iter().map(|v| v * cells).collect();
    assert!(relative_error(&times, &cam.values) < 1e-4);
}

#[test]
fn every_method_gives_finite_numbers_at_every_layer_or_says_why_not() {
    let layout = LAYOUTS[2];
    let (model, input) = (layout.model(), layout.input());
    let mut refused = 0;
    for layer in model.layers_named("all").unwrap() {
        for method in catalogue::all() {
            let few: Vec<(&str, &str)> = method
                .params
                .iter()
                .filter(|param| param.id == "samples")
                .map(|param| (param.id, "3"))
                .collect();
            match map_of(&model, &input, method.id, &few, &layer) {
                Ok(map) => assert!(map.values.iter().all(|v| v.is_finite()), "{}", method.id),
                Err(error) => {
                    refused += 1;
                    let words = error.to_string();
                    // Relevance and FG-CAM count the gate as a constant, so nothing comes there.
                    let walks = method.id.starts_with("lrp") || method.id == "fg-cam";
                    let gate = walks && words.contains("no gradient reaches");
                    let known = gate || words.contains("z-box") || method.id == "cam";
                    assert!(known, "{} at {layer}: {words}", method.id);
                }
            }
        }
    }
    assert!(refused > 0);
}

// ---- identities --------------------------------------------------------------------------------

fn logit(model: &Model, shape: [usize; 3], values: Vec<f32>, class: usize) -> f64 {
    let input = ModelInput::from_ready(&[1, shape[0], shape[1], shape[2]], values).unwrap();
    let trace = model.forward(&input, &Job::default()).unwrap();
    f64::from(trace.logits().unwrap()[class])
}

#[test]
fn the_reverse_walk_is_finite_differences() {
    let job = Job::default();
    for layout in LAYOUTS {
        let (model, input) = (layout.model(), layout.input());
        let shape = [input.channels, input.height, input.width];
        let trace = model.forward(&input, &job).unwrap();
        let mut taps = model.gradients(&trace, 1).unwrap();
        let gradient = flat(&taps.at(&trace, 0, &job).unwrap().unwrap());
        // Along the gradient the slope is steepest, and one rectifier on its kink matters least.
        let largest = gradient.iter().fold(0f32, |m, v| m.max(v.abs()));
        let along: Vec<f64> = gradient.iter().map(|g| f64::from(g / largest)).collect();
        let exact: f64 = gradient
            .iter()
            .zip(&along)
            .map(|(g, v)| f64::from(*g) * v)
            .sum();
        let h = 1e-4;
        let moved = |by: f64| {
            let pairs = input.values.iter().zip(&along);
            let values = pairs.map(|(x, v)| (f64::from(*x) + by * v) as f32);
            logit(&model, shape, values.collect(), 1)
        };
        let slope = (moved(h) - moved(-h)) / (2.0 * h);
        let gap = (slope - exact).abs() / slope.abs().max(0.05);
        assert!(gap < 2e-2, "{layout:?}: {exact} for {slope}");
    }
}

/// The branch's gradient goes through the map: moving an offset inside the branch moves the logit by the sum of the
/// gradient there.
#[test]
fn gradients_inside_the_branch_are_finite_differences() {
    let job = Job::default();
    let h = 2e-3;
    for layout in [LAYOUTS[0], LAYOUTS[2]] {
        let tensors = layout.tensors();
        let (model, input) = (layout.model(), layout.input());
        let shape = [input.channels, input.height, input.width];
        let trace = model.forward(&input, &job).unwrap();
        let mut taps = model.gradients(&trace, 1).unwrap();
        for path in ["bn_att3", "bn_att2", "bn_att"] {
            let node = model.graph.find(path).unwrap();
            let gradient = taps.at(&trace, node, &job).unwrap().unwrap();
            let (_, _, rows, columns) = gradient.dims4().unwrap();
            let exact: f64 = flat(&gradient)[..rows * columns]
                .iter()
                .map(|g| f64::from(*g))
                .sum();
            assert!(exact.abs() > 1e-5, "{path}: nothing to compare");
            let moved = |by: f32| {
                let mut tensors = tensors.clone();
                let key = format!("{path}.bias");
                let mut offset = flat(&tensors[&key]);
                offset[0] += by;
                let count = offset.len();
                tensors.insert(key, Tensor::from_vec(offset, count, &Device::Cpu).unwrap());
                logit(&open(tensors).unwrap(), shape, input.values.to_vec(), 1)
            };
            let slope = (moved(h) - moved(-h)) / f64::from(2.0 * h);
            let rounding = 16.0 * moved(0.0).abs() * f64::from(f32::EPSILON) / f64::from(h);
            let gap = (slope - exact).abs();
            assert!(
                gap < 2e-2 * slope.abs() + rounding,
                "{layout:?} {path}: {exact} for {slope}, of which rounding {rounding}"
            );
        }
    }
}

#[test]
fn integrated_gradients_are_complete() {
    for layout in [LAYOUTS[0], LAYOUTS[3]] {
        let (model, input) = (layout.model(), layout.input());
        let shape = [input.channels, input.height, input.width];
        let params = [("baseline", "zero"), ("steps", "300")];
        let map = map_of(&model, &input, "integrated-gradients", &params, "input").unwrap();
        let sum: f64 = map.values.iter().map(|v| f64::from(*v)).sum();
        let difference = logit(&model, shape, input.values.to_vec(), 1)
            - logit(&model, shape, vec![0.0; input.values.len()], 1);
        let gap = (sum - difference).abs();
        assert!(
            gap < 5e-3 * difference.abs(),
            "{layout:?}: {sum} for {difference}"
        );
    }
}

#[test]
fn relevance_is_conserved_through_the_attention_map() {
    // With few channels an output of a shortcut may have no positive contribution at all, and z-plus then has nobody to
    // give its relevance to: a loss of the rule's definition, in any ResNet.
    let wide = [
        Layout {
            widths: &[24, 32, 40, 48],
            ..BASIC
        },
        Layout {
            widths: &[24, 32],
            ..LAYOUTS[1]
        },
        Layout {
            widths: &[24, 32, 40],
            ..LAYOUTS[3]
        },
    ];
    for layout in wide {
        let mut tensors = layout.tensors();
        for (name, tensor) in &mut tensors {
            if name.ends_with("bias") || name.ends_with("running_mean") {
                *tensor = tensor.zeros_like().unwrap();
            }
        }
        let (model, input, job) = (open(tensors).unwrap(), layout.input(), Job::default());
        let trace = model.forward(&input, &job).unwrap();
        for composite in [
            "conv=z-plus,linear=z-plus",
            "conv=gamma(0.25),linear=gamma(0.25)",
        ] {
            let composite: Composite = composite.parse().unwrap();
            let plan = Plan::new(&model, &composite).unwrap();
            let relevance = plan.walk(&model, &trace, Seed::OneHot(1), &job).unwrap();
            let told = relevance.conserved(&model.graph).unwrap();
            assert!(told.len() > layout.last());
            for layer in told {
                let share = layer.share.unwrap();
                assert!(
                    (share - 1.0).abs() < 1e-3,
                    "{layout:?} {composite} {}: {share}",
                    layer.layer
                );
            }
            // The map is a constant: its branch gets nothing, and is not said to stand under stand-in rules.
            for name in ["attention", "bn_att", "att_conv", "att_conv2"] {
                let node = model.graph.find(name).unwrap();
                assert!(relevance.at(node).is_none(), "{name}");
            }
            assert!(
                !plan.notices.iter().any(|n| n.contains("bn_att")),
                "{:?}",
                plan.notices
            );
            assert!(
                plan.notices.iter().any(|n| n.contains("1 gate")),
                "{:?}",
                plan.notices
            );
            // At the features the weighted and the plain part add up again.
            let features = model
                .graph
                .find(&format!("layer{}", layout.last() - 1))
                .unwrap();
            let sum = relevance.sum(features).unwrap();
            assert!((sum / relevance.start - 1.0).abs() < 1e-3);
        }
    }
}

// ---- the command line --------------------------------------------------------------------------

fn ok(args: &[&str]) -> String {
    let out = camlens(args);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{args:?}: {told}");
    String::from_utf8(out.stdout).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The network as DataParallel saves it, and an input beside it.
fn saved(dir: &Path, layout: &Layout) -> [String; 2] {
    let tensors: Tensors = layout
        .tensors()
        .into_iter()
        .map(|(name, tensor)| (format!("module.{name}"), tensor))
        .collect();
    let (model, image) = (dir.join("abn.safetensors"), dir.join("x.safetensors"));
    save(&tensors, &model);
    let input = layout.input();
    let shape = (1, input.channels, input.height, input.width);
    let tensor = Tensor::from_vec(input.values.to_vec(), shape, &Device::Cpu).unwrap();
    save(&BTreeMap::from([("input".to_owned(), tensor)]), &image);
    [model, image].map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn both_heads_are_predicted_and_the_map_is_exported() {
    let dir = tempfile::tempdir().unwrap();
    let [model, image] = saved(dir.path(), &BASIC);
    let [logits, own, map] = Reference(&BASIC.tensors()).run(&BASIC, &BASIC.input());
    let source = ["--model", &model, "--image", &image];

    let told: Value =
        serde_json::from_str(&ok(&[&["predict", "--json"], &source[..]].concat())).unwrap();
    assert!(relative_error(&numbers(&told["logits"]), &logits) < 1e-5);
    assert!(relative_error(&numbers(&told["attention_logits"]), &own) < 1e-5);
    for (list, logits) in [("findings", &logits), ("attention_findings", &own)] {
        let rows = told[list].as_array().unwrap();
        assert_eq!(rows.len(), 4);
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let softmax: Vec<f32> = logits.iter().map(|z| (z - largest).exp()).collect();
        let sigmoid: Vec<f32> = logits.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
        let sum: f32 = softmax.iter().sum();
        for (i, row) in rows.iter().enumerate() {
            let p = row["probability"].as_f64().unwrap() as f32;
            let near = |q: f32| (p - q).abs() < 1e-4;
            assert!(
                near(softmax[i] / sum) || near(sigmoid[i]),
                "{list} {i}: {p}"
            );
            assert!((row["logit"].as_f64().unwrap() as f32 - logits[i]).abs() < 1e-4);
        }
    }
    assert!(
        told["notices"]
            .as_array()
            .unwrap()
            .iter()
            .any(|n| n.as_str().unwrap().contains("'module.'"))
    );
    let text = ok(&[&["predict"], &source[..]].concat());
    assert!(
        text.lines().next().unwrap().contains("attention head"),
        "{text}"
    );
    for value in own {
        assert!(text.contains(&format!("{value:.3}")), "{value} in {text}");
    }

    let out = dir.path().join("maps");
    let where_to = ["--out", out.to_str().unwrap()];
    ok(&[
        &["explain", "--method", "abn,grad-cam", "--normalise", "0..1"],
        &source[..],
        &where_to,
    ]
    .concat());
    let manifest = json(&out.join("manifest.json"));
    assert!(relative_error(&numbers(&manifest["logits"]), &logits) < 1e-5);
    assert!(
        relative_error(
            &numbers(&manifest["attention_logits"]),
            &numbers(&told["attention_logits"])
        ) < 1e-6
    );
    let class = manifest["target"].as_u64().unwrap() as usize;
    assert_eq!(
        manifest["attention_finding"],
        told["attention_findings"][class]
    );
    let cell = &manifest["maps"][0];
    assert_eq!(cell["method"], "abn");
    assert_eq!(cell["layer"], "attention");
    assert_eq!(cell["target"], Value::Null);
    assert_eq!(cell["scale"], serde_json::json!({"lo": 0.0, "hi": 1.0}));
    let file = Tensor::read_npy(out.join(cell["file"].as_str().unwrap())).unwrap();
    assert_eq!(file.dims(), [6, 6]);
    assert!(relative_error(&flat(&file), &map) < 1e-5);
    assert_eq!(manifest["maps"][1]["layer"], "layer4");
    // Every layer that is asked for gives the one map there is.
    let all = dir.path().join("all");
    ok(&[
        &["explain", "--method", "abn", "--layer", "stages"],
        &source[..],
        &["--out", all.to_str().unwrap()],
    ]
    .concat());
    assert_eq!(
        json(&all.join("manifest.json"))["maps"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn without_a_branch_the_cell_fails_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("maps");
    let args = [
        "explain",
        "--demo",
        "--method",
        "grad-cam,abn",
        "--out",
        out.to_str().unwrap(),
    ];
    let run = camlens(&args);
    assert_eq!(run.status.code(), Some(1));
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(
        told.contains("abn at attention: 'camlens-demo' has no attention branch"),
        "{told}"
    );
    let manifest = json(&out.join("manifest.json"));
    assert_eq!(manifest["maps"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["failed"].as_array().unwrap().len(), 1);
    assert!(manifest.get("attention_logits").is_none());
    let told: Value = serde_json::from_str(&ok(&["predict", "--demo", "--json"])).unwrap();
    assert!(told.get("attention_findings").is_none());
}
