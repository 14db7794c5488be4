//! Properties that hold for any network: kernels against plain loops, the reverse walk against
//! finite differences, and identities between methods.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use camlens::explain::{Pass, RawMap, catalogue};
use camlens::job::Job;
use camlens::model::Model;
use camlens::model::kernels::{Kernels, cpu::Cpu, cpu::Isa, portable::Portable};
use camlens::model::op::{Conv2d, Pool, even};
use camlens::model::weights::Weights;
use camlens::preprocess::ModelInput;
use candle_core::{DType, Device, Tensor};
use support::networks::small;
use support::{explain_map, relative_error};

/// Numbers in [-1, 1) that are the same everywhere.
fn noise(name: &str, shape: &[usize]) -> Tensor {
    let rules = [(String::new(), 1.0)];
    let key = format!("{name}.noise");
    let values: Vec<f32> = support::recipe_tensor(&key, shape, 7, &rules);
    (Tensor::from_vec(values, shape, &Device::Cpu).unwrap() * 50.0).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    let pairs = values(a).into_iter().zip(values(b));
    pairs.map(|(a, b)| f64::from(a) * f64::from(b)).sum()
}

/// The CPU's kernels in every instruction set of this processor, and candle's operations.
fn all_kernels() -> Vec<Arc<dyn Kernels>> {
    let mut all: Vec<Arc<dyn Kernels>> = Vec::new();
    for isa in Isa::available() {
        all.push(Arc::new(Cpu::with_isa(isa)));
    }
    all.push(Arc::new(Portable));
    all
}

/// A convolution by its definition.
fn plain_conv(x: &Tensor, conv: &Conv2d) -> Vec<f32> {
    let (n, _, h, w) = x.dims4().unwrap();
    let (o, ci, kh, kw) = conv.weight.dims4().unwrap();
    let (xs, ws) = (values(x), values(&conv.weight));
    let channels = ci * conv.groups;
    let out = |size: usize, k: usize, a: usize| {
        (size + conv.padding[a][0] + conv.padding[a][1] - conv.dilation[a] * (k - 1) - 1)
            / conv.stride[a]
            + 1
    };
    let (oh, ow) = (out(h, kh, 0), out(w, kw, 1));
    let mut y = Vec::new();
    for b in 0..n {
        for oc in 0..o {
            let group = oc / (o / conv.groups);
            for oy in 0..oh {
                for ox in 0..ow {
                    let mut sum = 0f64;
                    for c in 0..ci {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let iy = (oy * conv.stride[0] + ky * conv.dilation[0]) as isize
                                    - conv.padding[0][0] as isize;
                                let ix = (ox * conv.stride[1] + kx * conv.dilation[1]) as isize
                                    - conv.padding[1][0] as isize;
                                if iy < 0 || ix < 0 || iy >= h as isize || ix >= w as isize {
                                    continue;
                                }
                                let at = ((b * channels + group * ci + c) * h + iy as usize) * w
                                    + ix as usize;
                                sum += f64::from(xs[at])
                                    * f64::from(ws[((oc * ci + c) * kh + ky) * kw + kx]);
                            }
                        }
                    }
                    y.push(sum as f32);
                }
            }
        }
    }
    y
}

#[test]
fn convolutions_agree_with_plain_loops_and_gradients_are_their_adjoints() {
    // in, out, groups, kernel, stride, padding, dilation
    type Case = (
        usize,
        usize,
        usize,
        [usize; 2],
        [usize; 2],
        [usize; 2],
        [usize; 2],
    );
    let cases: [Case; 8] = [
        (3, 4, 1, [3, 3], [1, 1], [1, 1], [1, 1]),
        (4, 6, 1, [1, 1], [1, 1], [0, 0], [1, 1]),
        (4, 6, 1, [1, 1], [2, 2], [0, 0], [1, 1]),
        (2, 4, 1, [7, 7], [2, 2], [3, 3], [1, 1]),
        (4, 4, 2, [3, 3], [2, 2], [1, 1], [1, 1]),
        (4, 4, 4, [3, 3], [1, 1], [2, 2], [2, 2]),
        (3, 2, 1, [1, 7], [1, 1], [0, 3], [1, 1]),
        (2, 3, 1, [3, 5], [2, 1], [1, 0], [1, 2]),
    ];
    for (i, (c, o, groups, k, stride, padding, dilation)) in cases.into_iter().enumerate() {
        let weight = noise("weight", &[o, c / groups, k[0], k[1]]);
        let mut conv = Conv2d::new(weight, None, stride, even(padding));
        (conv.dilation, conv.groups) = (dilation, groups);
        let x = noise("x", &[2, c, 11, 14]);
        let reference = plain_conv(&x, &conv);
        for kernels in all_kernels() {
            let y = kernels.conv2d(&x, &conv).unwrap();
            let error = relative_error(&values(&y), &reference);
            assert!(error < 1e-5, "case {i}, {}: off by {error}", kernels.name());
            let g = noise("g", y.dims());
            let back = kernels
                .conv2d_input_grad(&g, &conv, [2, c, 11, 14])
                .unwrap();
            let (forward, adjoint) = (dot(&y, &g), dot(&x, &back));
            let gap = (forward - adjoint).abs() / forward.abs().max(1.0);
            assert!(
                gap < 1e-4,
                "case {i}, {}: {forward} and {adjoint}",
                kernels.name()
            );
        }
    }
}

#[test]
fn a_maximum_hands_its_gradient_to_the_first_of_equals() {
    let pool = Pool::square(2, 2, 0);
    let x = Tensor::new(
        &[[[[1f32, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]]],
        &Device::Cpu,
    )
    .unwrap();
    let g = Tensor::new(&[[[[1f32, 5.0]]]], &Device::Cpu).unwrap();
    for kernels in all_kernels() {
        let back = kernels.max_pool2d_grad(&x, &g, &pool).unwrap();
        assert_eq!(
            values(&back),
            [1.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            "{}",
            kernels.name()
        );
    }
}

#[test]
fn pools_agree_between_kernels_and_conserve_gradients() {
    for pool in [
        Pool::square(3, 2, 1),
        Pool::square(2, 2, 0),
        Pool::square(3, 1, 1),
    ] {
        // All negative: a border of zeros would win every maximum at the edge.
        let x = (noise("pool", &[1, 3, 9, 12]) - 100.0).unwrap();
        let (a, b) = (Cpu::new(), Portable);
        let y = a.max_pool2d(&x, &pool).unwrap();
        assert_eq!(values(&y), values(&b.max_pool2d(&x, &pool).unwrap()));
        assert!(values(&y).iter().all(|v| *v < 0.0));
        let g = noise("g", y.dims());
        let back = a.max_pool2d_grad(&x, &g, &pool).unwrap();
        assert!(
            relative_error(
                &values(&b.max_pool2d_grad(&x, &g, &pool).unwrap()),
                &values(&back)
            ) < 1e-6
        );
        let total = |t: &Tensor| values(t).iter().map(|v| f64::from(*v)).sum::<f64>();
        assert!((total(&back) - total(&g)).abs() < 1e-3);

        let y = a.avg_pool2d(&x, &pool, true).unwrap();
        assert!(
            relative_error(
                &values(&b.avg_pool2d(&x, &pool, true).unwrap()),
                &values(&y)
            ) < 1e-6
        );
        let back = a.avg_pool2d_grad(&g, &pool, true, [1, 3, 9, 12]).unwrap();
        let other = b.avg_pool2d_grad(&g, &pool, true, [1, 3, 9, 12]).unwrap();
        assert!(relative_error(&values(&other), &values(&back)) < 1e-5);
        assert!((dot(&y, &g) - dot(&x, &back)).abs() / dot(&y, &g).abs().max(1.0) < 1e-4);
    }
}

const FAMILIES: [&str; 5] = ["resnet", "resnet bottleneck", "densenet", "vgg", "vgg bn"];

fn model(tensors: BTreeMap<String, Tensor>) -> Model {
    Model::build(&Weights::from_tensors("small", tensors), None, &Device::Cpu).unwrap()
}

fn ready(x: &Tensor) -> ModelInput {
    ModelInput::from_ready(x.dims(), values(x)).unwrap()
}

fn logit(model: &Model, x: &Tensor, class: usize) -> f64 {
    let trace = model.forward(&ready(x), &Job::default()).unwrap();
    f64::from(trace.logits().unwrap()[class])
}

#[test]
fn gradients_at_the_input_are_finite_differences() {
    for family in FAMILIES {
        for channels in [1, 3] {
            let net = model(small(family, channels, 4));
            let x = noise("image", &[1, channels, 40, 56]);
            let job = Job::default();
            let trace = net.forward(&ready(&x), &job).unwrap();
            let mut taps = net.gradients(&trace, 2).unwrap();
            // Along the gradient itself the slope is steepest, and one rectifier on its kink matters least.
            let gradient = taps.at(&trace, 0, &job).unwrap().unwrap();
            let largest = values(&gradient).iter().fold(0f32, |m, v| m.max(v.abs()));
            let v = (&gradient / f64::from(largest)).unwrap();
            let exact = dot(&gradient, &v);
            // Small enough to cross few kinks of the rectifiers, large enough for f32 logits.
            let h = 1e-4;
            let step = (&v * h).unwrap();
            let up = logit(&net, &(&x + &step).unwrap(), 2);
            let down = logit(&net, &(&x - &step).unwrap(), 2);
            let slope = (up - down) / (2.0 * h);
            let gap = (slope - exact).abs() / slope.abs().max(0.05);
            assert!(
                gap < 2e-2,
                "{family}, {channels} channels: {exact} for {slope}"
            );
        }
    }
}

#[test]
fn gradients_inside_are_finite_differences() {
    // Moving the offset of a BatchNorm's channel moves the logit by the sum of the gradient there.
    let h = 2e-4;
    for family in ["resnet", "resnet bottleneck", "densenet", "vgg bn"] {
        let tensors = small(family, 2, 3);
        let net = model(tensors.clone());
        let x = noise("image", &[1, 2, 40, 40]);
        let job = Job::default();
        let trace = net.forward(&ready(&x), &job).unwrap();
        let mut taps = net.gradients(&trace, 1).unwrap();
        let offsets: Vec<&String> = tensors
            .keys()
            .filter(|k| {
                k.ends_with(".bias") && tensors.contains_key(&k.replace(".bias", ".running_var"))
            })
            .collect();
        assert!(offsets.len() >= 3, "{family}");
        for key in offsets {
            let path = key.trim_end_matches(".bias");
            let node = net.graph.find(path).unwrap();
            let gradient = taps.at(&trace, node, &job).unwrap().unwrap();
            let (_, _, rows, columns) = gradient.dims4().unwrap();
            let exact: f32 = values(&gradient)[..rows * columns].iter().sum();
            let moved = |by: f32| {
                let mut tensors = tensors.clone();
                let mut offset = values(&tensors[key]);
                offset[0] += by;
                let shape = tensors[key].shape().clone();
                let tensor = Tensor::from_vec(offset, shape, &Device::Cpu).unwrap();
                tensors.insert(key.clone(), tensor);
                logit(&model(tensors), &x, 1)
            };
            let slope = (moved(h) - moved(-h)) / f64::from(2.0 * h);
            let gap = (slope - f64::from(exact)).abs();
            // An f32 pass rounds its logits by a few units in the last place.
            let rounding = 16.0 * moved(0.0).abs() * f64::from(f32::EPSILON) / f64::from(h);
            assert!(
                gap < 2e-2 * slope.abs().max(0.2) + rounding,
                "{family} {path}: {exact} for {slope}, of which rounding {rounding}"
            );
        }
    }
}

fn map(net: &Model, x: &Tensor, method: &str, layer: &str) -> camlens::Result<RawMap> {
    let input = ready(x);
    let mut pass = Pass::run(net, &input, &Job::default())?;
    explain_map(net, &input, &mut pass, method, &[], layer, 1)
}

#[test]
fn before_pooling_and_a_linear_head_the_gradient_methods_are_cam() {
    for (family, layer) in [("resnet", "layer2"), ("densenet", "features.relu5")] {
        let net = model(small(family, 1, 3));
        let x = noise("image", &[1, 1, 48, 64]);
        let cam = map(&net, &x, "cam", layer).unwrap();
        let cells = (cam.width * cam.height) as f32;
        for method in ["grad-cam", "hires-cam", "xgrad-cam"] {
            let other = map(&net, &x, method, layer).unwrap();
            let scaled: Vec<f32> = other.values.iter().map(|v| v * cells).collect();
            let error = relative_error(&scaled, &cam.values);
            assert!(error < 1e-4, "{family} {method}: off by {error}");
        }
        // What the logit is the mean of, less the bias.
        let mean: f32 = cam.values.iter().sum::<f32>() / cells;
        let key = if family == "resnet" {
            "fc.bias"
        } else {
            "classifier.bias"
        };
        let bias = values(&small(family, 1, 3)[key])[1];
        let logit = logit(&net, &x, 1) as f32;
        assert!(
            (mean + bias - logit).abs() < 1e-4,
            "{family}: {mean} + {bias} for {logit}"
        );
    }
    let vgg = model(small("vgg", 1, 3));
    let refused = map(&vgg, &noise("image", &[1, 1, 48, 64]), "cam", "features.7").unwrap_err();
    assert!(refused.message().contains("another head"), "{refused}");
}

#[test]
fn every_method_works_at_every_layer_that_has_a_grid() {
    for family in FAMILIES {
        let net = model(small(family, 2, 3));
        let x = noise("image", &[1, 2, 40, 56]);
        for layer in net.layers_named("all").unwrap() {
            for method in catalogue::all().filter(|m| m.id != "cam") {
                // Methods of many passes draw few samples here.
                let few: Vec<(&str, &str)> = method
                    .params
                    .iter()
                    .filter(|param| param.id == "samples")
                    .map(|param| (param.id, "3"))
                    .collect();
                let input = ready(&x);
                let mut pass = Pass::run(&net, &input, &Job::default()).unwrap();
                let made = explain_map(&net, &input, &mut pass, method.id, &few, &layer, 1);
                if method.id == "abn" {
                    assert!(made.unwrap_err().message().contains("attention branch"));
                    continue;
                }
                if method.id == "lrp-epsilon-gamma-box" {
                    // Two channels have no known black and white, which the z-box rule needs.
                    assert!(made.unwrap_err().message().contains("z-box"));
                    continue;
                }
                if method.id == "fg-cam" && layer == "avgpool" {
                    assert!(made.unwrap_err().message().contains("features."));
                    continue;
                }
                let map = made.unwrap();
                assert!(
                    map.values.iter().all(|v| v.is_finite()),
                    "{family} {layer} {}",
                    method.id
                );
                assert_eq!(map.values.len(), map.width * map.height);
            }
        }
    }
}

#[test]
fn module_paths_are_those_of_pytorch() {
    let net = model(small("resnet bottleneck", 3, 5));
    let name = |path: &str| net.graph.nodes[net.graph.find(path).unwrap()].name.clone();
    assert_eq!(name("layer2"), "layer2.1.relu");
    assert_eq!(name("layer1.0"), "layer1.0.relu");
    assert_eq!(name("layer1.0.relu#1"), "layer1.0.relu#1");
    assert_eq!(name("layer1.0.relu#2"), "layer1.0.relu#2");
    assert_eq!(net.input_shape(), [3, 224, 224]);
    assert_eq!(net.classes(), 5);
    let dense = model(small("densenet", 1, 2));
    let name = |path: &str| {
        dense.graph.nodes[dense.graph.find(path).unwrap()]
            .name
            .clone()
    };
    assert_eq!(name("features"), "features.norm5");
    assert_eq!(name("features.denseblock2"), "features.denseblock2.concat");
    assert_eq!(
        name("features.denseblock1.denselayer1"),
        "features.denseblock1.denselayer1.conv2"
    );
}

#[test]
fn catalogue_rows_are_complete() {
    for method in catalogue::all() {
        for words in [
            method.label,
            method.family,
            method.shows,
            method.weakness,
            method.formula,
            method.citation.text,
        ] {
            assert!(words.len() > 2, "{}", method.id);
        }
        assert!(method.citation.bibtex.starts_with('@'), "{}", method.id);
        assert!(method.cost.formula.contains('F'), "{}", method.id);
        let mut values = BTreeMap::new();
        values.insert("no-such".to_owned(), "1".to_owned());
        assert!(method.check(&values).is_err());
        method.check(&method.resolved(&BTreeMap::new())).unwrap();
    }
}

#[test]
fn grad_cam_pp_modes_differ_and_are_finite() {
    let net = model(small("resnet", 1, 3));
    let (x, job) = (noise("image", &[1, 1, 64, 64]), Job::default());
    let input = ready(&x);
    let mut pass = Pass::run(&net, &input, &job).unwrap();
    let of = |mode: &str| {
        explain_map(
            &net,
            &input,
            &mut pass,
            "grad-cam++",
            &[("mode", mode)],
            "layer1",
            1,
        )
        .unwrap()
        .values
    };
    let maps = ["pytorch-grad-cam", "official", "torchcam"].map(of);
    assert!(maps.iter().flat_map(|m| m.iter()).all(|v| v.is_finite()));
    assert_ne!(maps[0], maps[1]);
    assert_ne!(maps[0], maps[2]);
}

#[test]
fn cancelled_work_ends_with_a_cancellation() {
    let net = model(small("resnet", 1, 3));
    let job = Job::default();
    job.cancel();
    let error = net
        .forward(&ready(&noise("image", &[1, 1, 64, 64])), &job)
        .err()
        .unwrap();
    assert!(error.is_cancelled());
}

#[test]
fn old_densenet_spelling_and_stacked_prefixes_are_understood() {
    let modern = small("densenet", 1, 3);
    let old: BTreeMap<String, Tensor> = modern
        .iter()
        .map(|(key, tensor)| {
            let mut key = key.clone();
            for part in ["norm", "conv"] {
                for n in ["1", "2"] {
                    key = key.replace(
                        &format!("denselayer{n}.{part}{n}."),
                        &format!("denselayer{n}.{part}.{n}."),
                    );
                }
            }
            (format!("module.model.{key}"), tensor.clone())
        })
        .collect();
    assert!(old.keys().any(|k| k.contains("denselayer1.norm.1.weight")));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.safetensors");
    support::save(&old, &path);
    let weights = Weights::open(&path, &Device::Cpu).unwrap();
    let notices = weights.notices.join("\n");
    assert!(notices.contains("'module.model.'") && notices.contains("norm.1"));
    let x = noise("image", &[1, 1, 48, 64]);
    let net = Model::build(&weights, None, &Device::Cpu).unwrap();
    assert_eq!(logit(&net, &x, 0), logit(&model(modern), &x, 0));
}

#[test]
fn every_node_of_a_fused_step_can_be_asked_for() {
    let job = Job::default();
    for family in FAMILIES {
        let tensors = small(family, 3, 4);
        let x = noise("image", &[1, 3, 40, 56]);
        // Node by node, as written down.
        let plain = model(tensors.clone()).with_kernels(Arc::new(Portable));
        let plain_trace = plain.forward(&ready(&x), &job).unwrap();
        let mut plain_taps = plain.gradients(&plain_trace, 2).unwrap();
        for isa in Isa::available() {
            let fused = model(tensors.clone()).with_kernels(Arc::new(Cpu::with_isa(isa)));
            let trace = fused.forward(&ready(&x), &job).unwrap();
            let mut taps = fused.gradients(&trace, 2).unwrap();
            let mut only_last = fused.gradients(&trace, 2).unwrap();
            only_last.keep_only(&[fused.graph.find(&fused.graph.last).unwrap()]);
            for (id, node) in fused.graph.nodes.iter().enumerate().rev() {
                let (a, b) = (trace.output(id).unwrap(), plain_trace.output(id).unwrap());
                let error = relative_error(&values(&a), &values(&b));
                assert!(
                    error < 2e-5,
                    "{family} {}, {isa:?}: output {error}",
                    node.name
                );
                let expected = plain_taps.at(&plain_trace, id, &job).unwrap().unwrap();
                for taps in [&mut taps, &mut only_last] {
                    let found = taps.at(&trace, id, &job).unwrap().unwrap();
                    assert_eq!(found.dims(), expected.dims(), "{family} {}", node.name);
                    // A rectifier that is all but tied may differ in a cell.
                    let error = relative_error(&values(&found), &values(&expected));
                    assert!(
                        error < 1e-3,
                        "{family} {}, {isa:?}: gradient {error}",
                        node.name
                    );
                }
            }
            // The pass for logits only gives the same, by whatever shortcuts.
            let scores = fused.logits(&ready(&x), &job).unwrap();
            let error = relative_error(&scores, &plain_trace.logits().unwrap());
            assert!(error < 2e-5, "{family}, {isa:?}: scores {error}");
        }
    }
}

#[test]
fn a_batch_gives_what_its_images_give_one_by_one() {
    let job = Job::default();
    for family in FAMILIES {
        let net = model(small(family, 1, 4));
        let batch = noise("batch", &[3, 1, 48, 40]);
        let together = values(&net.scores(&batch, &job).unwrap());
        for i in 0..3 {
            let one = batch.narrow(0, i, 1).unwrap();
            let alone = values(&net.scores(&one, &job).unwrap());
            assert!(
                relative_error(&together[i * 4..(i + 1) * 4], &alone) < 1e-5,
                "{family}"
            );
        }
    }
}

#[test]
fn a_pass_goes_on_from_any_node_with_other_values_there() {
    let job = Job::default();
    for family in FAMILIES {
        for kernels in [Arc::new(Cpu::new()) as Arc<dyn Kernels>, Arc::new(Portable)] {
            let net = model(small(family, 3, 4)).with_kernels(kernels);
            let x = noise("image", &[1, 3, 40, 56]);
            let trace = net.forward(&ready(&x), &job).unwrap();
            let logits = trace.logits().unwrap();
            let mut taps = net.gradients(&trace, 2).unwrap();
            for (id, node) in net.graph.nodes.iter().enumerate().rev() {
                let at = format!("{family} {} {}", net.kernels().name(), node.name);
                // Its own output three times gives the same logits and the same gradient three times.
                let own = trace.output(id).unwrap();
                let same = Tensor::cat(&[&own, &own, &own], 0).unwrap();
                let scores = trace.resume_scores(id, &same, &job).unwrap();
                let resumed = trace.resume(id, &same, &job).unwrap();
                let expected = values(&taps.at(&trace, id, &job).unwrap().unwrap());
                let outputs = resumed.output(net.graph.output()).unwrap();
                let seed = Tensor::new(&[[0f32, 0.0, 1.0, 0.0]; 3], &Device::Cpu).unwrap();
                let rule = Arc::new(camlens::model::backward::Gradient);
                let mut walk = camlens::model::backward::Taps::start(&resumed, seed, rule);
                let found = values(&walk.at(&resumed, id, &job).unwrap().unwrap());
                let part = expected.len();
                for i in 0..3 {
                    for scores in [&scores, &outputs] {
                        let row = values(&scores.get(i).unwrap());
                        let error = relative_error(&row, &logits);
                        assert!(error < 2e-5, "{at}: logits {error}");
                    }
                    let error = relative_error(&found[i * part..(i + 1) * part], &expected);
                    assert!(error < 1e-3, "{at}: gradient {error}");
                }
                // Other values give what a pass node by node gives that has them there.
                let scaled: Vec<Tensor> = [0.5, 1.5, -1.0]
                    .iter()
                    .map(|&factor| (&own * factor).unwrap())
                    .collect();
                let other = Tensor::cat(&scaled, 0).unwrap();
                let mut all: Vec<Tensor> = Vec::new();
                for (other_id, node) in net.graph.nodes.iter().enumerate() {
                    let inputs: Vec<&Tensor> = node.inputs.iter().map(|&i| &all[i]).collect();
                    all.push(match other_id {
                        _ if other_id == id => other.clone(),
                        0 => Tensor::cat(&[&x, &x, &x], 0).unwrap(),
                        _ => net.kernels().apply(&node.op, &inputs).unwrap(),
                    });
                }
                let expected = values(all.last().unwrap());
                let scores = values(&trace.resume_scores(id, &other, &job).unwrap());
                assert!(relative_error(&scores, &expected) < 2e-5, "{at}: scaled");
                let resumed = trace.resume(id, &other, &job).unwrap();
                let outputs = values(&resumed.output(net.graph.output()).unwrap());
                assert!(relative_error(&outputs, &expected) < 2e-5, "{at}: scaled");
                for (other_id, node) in net.graph.nodes.iter().enumerate() {
                    let found = values(&resumed.output(other_id).unwrap());
                    let error = relative_error(&found, &values(&all[other_id]));
                    assert!(error < 2e-5, "{at}: output of {} {error}", node.name);
                }
            }
        }
    }
}

#[test]
fn a_pass_of_a_whole_network_goes_on_from_any_node() {
    let job = Job::default();
    for arch in ["resnet18", "densenet121"] {
        let Some(tensors) = support::recipe_tensors(arch, 0) else {
            return;
        };
        let net = model(tensors);
        let (dims, x) = support::scene_a(64, 96, false);
        let input = ModelInput::from_ready(&dims, x).unwrap();
        let trace = net.forward(&input, &job).unwrap();
        let logits = trace.logits().unwrap();
        for (id, node) in net.graph.nodes.iter().enumerate() {
            let own = trace.output(id).unwrap();
            let same = Tensor::cat(&[&own, &own, &own], 0).unwrap();
            let scores = trace.resume_scores(id, &same, &job).unwrap();
            for i in 0..3 {
                let error = relative_error(&values(&scores.get(i).unwrap()), &logits);
                assert!(error < 2e-5, "{arch} {}: {error}", node.name);
            }
        }
    }
}
