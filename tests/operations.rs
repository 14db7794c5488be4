//! Every operation's gradient against finite differences, on both sets of kernels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail loudly

mod support;

use std::sync::Arc;

use camlens::job::Job;
use camlens::model::backward::{Gradient, Taps};
use camlens::model::forward::Engine;
use camlens::model::graph::{Builder, Graph, NodeId};
use camlens::model::kernels::{Denominator, Kernels, cpu::Cpu, cpu::Isa, portable::Portable};
use camlens::model::op::{Act, BatchNorm, Border, Conv2d, LayerNorm, Op, Pool};
use candle_core::{Device, Tensor};
use support::recipe_tensor;

/// Numbers in [-1, 1) that are the same everywhere.
fn noise(name: &str, shape: &[usize]) -> Tensor {
    let values = recipe_tensor(&format!("{name}.noise"), shape, 11, &[]);
    (Tensor::from_vec(values, shape, &Device::Cpu).unwrap() * 50.0).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let flat: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    flat.into_iter().map(f64::from).collect()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    let pairs = values(a).into_iter().zip(values(b));
    pairs.map(|(a, b)| a * b).sum()
}

/// The CPU's kernels in every instruction set of this processor, and candle's operations.
fn all_kernels() -> Vec<Arc<dyn Kernels>> {
    let mut all: Vec<Arc<dyn Kernels>> = vec![Arc::new(Portable)];
    for isa in Isa::available() {
        all.push(Arc::new(Cpu::with_isa(isa)));
    }
    all
}

/// Compares the walk's gradient at the input with central differences along random directions, and the
/// inferred shape of the output with the one that comes out.
fn check(name: &str, shape: [usize; 3], scale: f64, describe: impl FnOnce(&mut Builder) -> NodeId) {
    let mut builder = Builder::new();
    let end = describe(&mut builder);
    let graph: Arc<Graph> = Arc::new(builder.finish(Vec::new(), "input"));
    assert_eq!(end, graph.output());
    let job = Job::default();
    let dims = [2, shape[0], shape[1], shape[2]];
    let x = (noise(name, &dims) * scale).unwrap();
    for kernels in all_kernels() {
        let engine = Engine::new(Arc::clone(&graph), Arc::clone(&kernels));
        let run = |x: &Tensor| engine.trace(x, &job).unwrap();
        let trace = run(&x);
        let out = trace.output(end).unwrap();
        let inferred = graph.shapes(shape).unwrap()[end];
        assert_eq!(
            inferred.dims().iter().product::<usize>() * 2,
            out.elem_count(),
            "{name}: shape"
        );
        let seed = noise("seed", out.dims());
        let mut taps = Taps::start(&trace, seed.clone(), Arc::new(Gradient));
        let gradient = &taps.at(&trace, 0, &job).unwrap().unwrap();
        assert_eq!(gradient.dims(), x.dims(), "{name}: gradient's shape");
        let length = dot(gradient, gradient).sqrt().max(1e-3);
        for direction in 0..4 {
            let d = noise(&format!("{name}{direction}"), &dims);
            let step = 2e-3;
            let at = |sign: f64| {
                let moved = (&x + (&d * (sign * step)).unwrap()).unwrap();
                dot(&run(&moved).output(end).unwrap(), &seed)
            };
            let difference = (at(1.0) - at(-1.0)) / (2.0 * step);
            let along = dot(gradient, &d);
            let limit = 3e-3 * length * dot(&d, &d).sqrt() / (d.elem_count() as f64).sqrt() + 2e-3;
            assert!(
                (difference - along).abs() < limit,
                "{name}, {}: {difference} by differences, {along} by the walk, limit {limit}",
                kernels.name()
            );
        }
    }
}

fn one(name: &str, shape: [usize; 3], op: Op) {
    // Far apart for maxima, so that no difference crosses from one winner to another.
    let scale = match op {
        Op::MaxPool(_) | Op::GlobalMaxPool => 20.0,
        _ => 1.0,
    };
    check(name, shape, scale, |b| b.push("op", op, &[0]));
}

const ASYMMETRIC: Border = [[0, 1], [2, 1]];

#[test]
fn every_activation() {
    let acts = [
        Act::Relu,
        Act::RELU6,
        Act::Clamp { lo: -1.0, hi: 2.0 },
        Act::LeakyRelu(0.1),
        Act::Elu(1.0),
        Act::Elu(0.7),
        Act::Sigmoid,
        Act::Tanh,
        Act::HardSigmoid,
        Act::Hardswish,
        Act::Silu,
        Act::Gelu,
        Act::GeluTanh,
        Act::Mish,
    ];
    for act in acts {
        let name = format!("{act:?}");
        // Wide enough to reach both ends of the piecewise ones.
        check(&name, [2, 3, 4], 4.0, |b| b.push("act", Op::Act(act), &[0]));
    }
}

#[test]
fn the_derivative_at_a_kink_is_pytorchs() {
    let at = [-3.0f32, -1.0, 0.0, 1.0, 3.0, 6.0];
    // torch: relu'(0) = 0; hardtanh' is 0 at both ends; hardsigmoid' is 0 at both; hardswish' is 0 at -3
    // and 1 at 3; leaky_relu'(0) is the slope.
    let cases: [(Act, [f32; 6]); 5] = [
        (Act::Relu, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
        (Act::RELU6, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
        (Act::LeakyRelu(0.25), [0.25, 0.25, 0.25, 1.0, 1.0, 1.0]),
        (
            Act::HardSigmoid,
            [0.0, 1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0, 0.0, 0.0],
        ),
        (Act::Hardswish, [0.0, 1.0 / 6.0, 0.5, 5.0 / 6.0, 1.0, 1.0]),
    ];
    for (act, expected) in cases {
        let mut builder = Builder::new();
        builder.push("act", Op::Act(act), &[0]);
        let graph = Arc::new(builder.finish(Vec::new(), "input"));
        let x = Tensor::new(&at, &Device::Cpu)
            .unwrap()
            .reshape((1, 1, 1, 6))
            .unwrap();
        let job = Job::default();
        let trace = Engine::new(graph, Arc::new(Cpu::new()))
            .trace(&x, &job)
            .unwrap();
        let seed = x.ones_like().unwrap();
        let mut taps = Taps::start(&trace, seed, Arc::new(Gradient));
        let gradient = taps.at(&trace, 0, &job).unwrap().unwrap();
        for (found, expected) in values(&gradient).into_iter().zip(expected) {
            assert!(
                (found - f64::from(expected)).abs() < 1e-6,
                "{act:?}: {found} for {expected}"
            );
        }
    }
}

#[test]
fn convolutions() {
    // out, in, groups, kernel, stride, border, dilation
    type Case = (
        usize,
        usize,
        usize,
        [usize; 2],
        [usize; 2],
        Border,
        [usize; 2],
    );
    let cases: [Case; 7] = [
        (4, 3, 1, [3, 3], [1, 1], [[1; 2]; 2], [1, 1]),
        (4, 3, 1, [3, 3], [2, 2], ASYMMETRIC, [1, 1]),
        (4, 4, 4, [3, 3], [2, 2], [[0, 1]; 2], [1, 1]),
        (8, 4, 4, [5, 5], [1, 1], [[2; 2]; 2], [1, 1]),
        (6, 4, 2, [3, 3], [1, 2], [[2; 2]; 2], [2, 2]),
        (4, 3, 1, [1, 7], [1, 1], [[0; 2], [3; 2]], [1, 1]),
        (4, 3, 1, [4, 4], [4, 4], [[0; 2]; 2], [1, 1]),
    ];
    for (i, (o, c, groups, k, stride, border, dilation)) in cases.into_iter().enumerate() {
        let weight = noise("weight", &[o, c / groups, k[0], k[1]]);
        let mut conv = Conv2d::new(weight, Some(noise("bias", &[o])), stride, border);
        (conv.groups, conv.dilation) = (groups, dilation);
        one(&format!("conv {i}"), [c, 9, 10], Op::Conv2d(conv));
    }
}

#[test]
fn pools() {
    let pool = Pool {
        kernel: [3, 4],
        stride: [2, 2],
        padding: ASYMMETRIC,
        dilation: [1, 1],
        ceil: true,
    };
    let pools = [
        Pool::square(3, 2, 0).with_ceil(),
        Pool::square(2, 2, 0).with_ceil(),
        Pool::square(3, 2, 1),
        Pool::square(3, 1, 1),
        pool,
    ];
    for (i, pool) in pools.into_iter().enumerate() {
        for shape in [[2, 7, 8], [2, 8, 9]] {
            let name = format!("pool {i} {shape:?}");
            one(&format!("max {name}"), shape, Op::MaxPool(pool));
            for count_border in [true, false] {
                let mean = Op::AvgPool { pool, count_border };
                one(&format!("mean {name} {count_border}"), shape, mean);
            }
        }
    }
    let dilated = Pool {
        dilation: [2, 1],
        ..Pool::square(3, 2, 1)
    };
    one("dilated", [2, 9, 8], Op::MaxPool(dilated));
    one("adaptive", [2, 7, 9], Op::AdaptiveAvgPool([3, 4]));
    one("adaptive to more", [2, 4, 5], Op::AdaptiveAvgPool([6, 7]));
    one("global mean", [2, 5, 4], Op::AdaptiveAvgPool([1, 1]));
    one("global maximum", [2, 5, 4], Op::GlobalMaxPool);
}

#[test]
fn the_first_of_equal_maxima_gets_a_planes_gradient() {
    let x = [
        0f32, 3.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -1.0, -1.0,
    ];
    let x = Tensor::from_slice(&x, (1, 3, 2, 2), &Device::Cpu).unwrap();
    let given = Tensor::from_slice(&[5f32, 6.0, 7.0], (1, 3, 1, 1), &Device::Cpu).unwrap();
    for kernels in all_kernels() {
        let op = Op::GlobalMaxPool;
        let y = kernels.apply(&op, &[&x]).unwrap();
        let shares = kernels.grad(&op, &[&x], &y, &given).unwrap();
        assert_eq!(
            camlens::model::kernels::values(&shares[0]).unwrap(),
            [0.0, 5.0, 0.0, 0.0, 6.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0],
            "{}",
            kernels.name()
        );
    }
}

#[test]
fn norms_and_scales() {
    let norm = || LayerNorm {
        weight: noise("w", &[6]),
        bias: noise("b", &[6]),
        eps: 1e-3,
    };
    one("layer norm", [6, 3, 4], Op::LayerNorm(norm()));
    let batch = BatchNorm {
        scale: noise("s", &[6]),
        shift: noise("t", &[6]),
    };
    one("batch norm", [6, 3, 4], Op::BatchNorm(batch.clone()));
    one("layer scale", [6, 3, 4], Op::Scale(noise("s", &[6])));
    check("norms of features", [6, 1, 1], 1.0, |b| {
        let x = b.push("flat", Op::Flatten, &[0]);
        let x = b.push("batch", Op::BatchNorm(batch), &[x]);
        b.push("layer", Op::LayerNorm(norm()), &[x])
    });
}

#[test]
fn linear_layers() {
    let layer = || Op::linear(noise("weight", &[5, 6]), Some(noise("bias", &[5])));
    one("over channels", [6, 3, 4], layer());
    check("over features", [2, 3, 1], 1.0, |b| {
        let x = b.push("flat", Op::Flatten, &[0]);
        b.push("linear", layer(), &[x])
    });
}

#[test]
fn sums_products_and_channels() {
    let act = |b: &mut Builder| b.push("act", Op::Act(Act::Silu), &[0]);
    check("add", [4, 3, 5], 1.0, |b| {
        let y = act(b);
        b.push("add", Op::Add, &[0, y])
    });
    check("add twice the same", [4, 3, 5], 1.0, |b| {
        let y = act(b);
        b.push("add", Op::Add, &[y, y])
    });
    check("mul", [4, 3, 5], 1.0, |b| {
        let y = act(b);
        b.push("mul", Op::Mul, &[0, y])
    });
    check("mul by a gate per channel", [4, 3, 5], 1.0, |b| {
        let y = b.push("pool", Op::AdaptiveAvgPool([1, 1]), &[0]);
        b.push("mul", Op::Mul, &[0, y])
    });
    check("mul by an attention map", [4, 3, 5], 1.0, |b| {
        let conv = Conv2d::new(noise("one", &[1, 4, 1, 1]), None, [1, 1], [[0; 2]; 2]);
        let y = b.push("conv", Op::Conv2d(conv), &[0]);
        b.push("mul", Op::Mul, &[0, y])
    });
    check("mul of features", [6, 1, 1], 1.0, |b| {
        let x = b.push("flat", Op::Flatten, &[0]);
        let y = b.push("act", Op::Act(Act::Tanh), &[x]);
        b.push("mul", Op::Mul, &[x, y])
    });
    check("concat", [4, 3, 5], 1.0, |b| {
        let y = act(b);
        let z = b.push("slice", Op::Slice { start: 1, len: 2 }, &[0]);
        b.push("concat", Op::Concat, &[0, y, z])
    });
    one("slice", [5, 3, 4], Op::Slice { start: 1, len: 3 });
    one("slice from 0", [5, 3, 4], Op::Slice { start: 0, len: 2 });
    one("shuffle", [6, 3, 4], Op::ChannelShuffle { groups: 2 });
    one("shuffle 3", [6, 3, 4], Op::ChannelShuffle { groups: 3 });
    one("identity", [2, 3, 4], Op::Identity);
    one("flatten", [2, 3, 4], Op::Flatten);
    let pad = Op::Pad {
        border: ASYMMETRIC,
        value: 0.5,
    };
    one("pad", [2, 3, 4], pad);
}

#[test]
fn a_shuffle_moves_channels_as_shufflenet_does() {
    let mut builder = Builder::new();
    builder.push("shuffle", Op::ChannelShuffle { groups: 2 }, &[0]);
    let graph = Arc::new(builder.finish(Vec::new(), "input"));
    let x = Tensor::arange(0f32, 6.0, &Device::Cpu)
        .unwrap()
        .reshape((1, 6, 1, 1))
        .unwrap();
    let trace = Engine::new(Arc::clone(&graph), Arc::new(Cpu::new()))
        .trace(&x, &Job::default())
        .unwrap();
    assert_eq!(
        values(&trace.output(1).unwrap()),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
}

#[test]
fn transformers() {
    let tokens = |class: bool| Op::Tokens {
        class_token: class.then(|| noise("class", &[6])),
        position: Some(noise("position", &[6 + usize::from(class), 6])),
    };
    one("tokens", [6, 2, 3], tokens(true));
    one("tokens without a class", [6, 2, 3], tokens(false));
    check("select the class", [6, 2, 3], 1.0, |b| {
        let x = b.push("tokens", tokens(true), &[0]);
        b.push("select", Op::SelectToken(0), &[x])
    });
    check("select a place", [6, 2, 3], 1.0, |b| {
        let x = b.push("tokens", tokens(true), &[0]);
        b.push("select", Op::SelectToken(4), &[x])
    });
    check("attention", [6, 2, 3], 1.0, |b| {
        let x = b.push("tokens", tokens(true), &[0]);
        let joint = Op::linear(noise("qkv", &[18, 6]), Some(noise("bias", &[18])));
        let x = b.push("qkv", joint, &[x]);
        b.push("attention", Op::Attention { heads: 2 }, &[x])
    });
    check("layer norm of tokens", [6, 2, 3], 1.0, |b| {
        let x = b.push("tokens", tokens(true), &[0]);
        let norm = LayerNorm {
            weight: noise("w", &[6]),
            bias: noise("b", &[6]),
            eps: 1e-6,
        };
        b.push("norm", Op::LayerNorm(norm), &[x])
    });
}

#[test]
fn attention_is_that_of_its_definition() {
    // One head of two channels, two tokens.
    let mut builder = Builder::new();
    let tokens = Op::Tokens {
        class_token: None,
        position: None,
    };
    let x = builder.push("tokens", tokens, &[0]);
    builder.push("attention", Op::Attention { heads: 1 }, &[x]);
    let graph = Arc::new(builder.finish(Vec::new(), "input"));
    let numbers: Vec<f32> = (0..12).map(|i| ((i * 7 % 5) as f32 - 2.0) / 2.0).collect();
    let x = Tensor::from_vec(numbers.clone(), (1, 6, 1, 2), &Device::Cpu).unwrap();
    let trace = Engine::new(Arc::clone(&graph), Arc::new(Cpu::new()))
        .trace(&x, &Job::default())
        .unwrap();
    let at = |channel: usize, token: usize| f64::from(numbers[channel * 2 + token]);
    let mut expected = vec![0.0; 4];
    for i in 0..2 {
        let score = |j: usize| ((at(0, i) * at(2, j) + at(1, i) * at(3, j)) / 2f64.sqrt()).exp();
        let sum = score(0) + score(1);
        for c in 0..2 {
            expected[c * 2 + i] = (0..2).map(|j| score(j) / sum * at(4 + c, j)).sum();
        }
    }
    for (a, b) in values(&trace.output(graph.output()).unwrap())
        .iter()
        .zip(expected)
    {
        assert!((a - b).abs() < 1e-6, "{a} for {b}");
    }
}

/// The steps of a relevance walk that are done on the way to memory, in every instruction set, against candle's operations
/// one by one: direct, depthwise, grouped and Winograd convolutions, strides with and without cells that nobody reads, and an
/// image of few channels, whose gradient comes out of one convolution.
#[test]
fn quotients_and_products_of_convolutions() {
    /// Weight, input, stride, border, groups.
    type Case = ([usize; 4], [usize; 4], usize, usize, usize);
    let cases: [Case; 8] = [
        ([8, 3, 7, 7], [1, 3, 29, 30], 2, 3, 1),
        ([8, 6, 7, 7], [2, 6, 16, 17], 2, 3, 1),
        ([16, 1, 5, 4], [1, 1, 21, 13], 3, 1, 1),
        ([40, 24, 1, 1], [1, 24, 9, 9], 2, 0, 1),
        ([33, 17, 3, 3], [1, 17, 8, 11], 1, 1, 1),
        ([48, 48, 3, 3], [1, 48, 24, 28], 1, 1, 1),
        ([12, 1, 3, 3], [1, 12, 10, 9], 1, 1, 12),
        ([16, 8, 3, 3], [1, 16, 10, 9], 2, 1, 2),
    ];
    for (weight, input, stride, border, groups) in cases {
        let name = format!("{weight:?} {stride}");
        // Positive products, as the rules have them; some outputs are exactly 0.
        let mut w = noise(&name, &weight).abs().unwrap();
        let dead = noise("dead", &[weight[0], 1, 1, 1]).gt(0.9).unwrap();
        let zeros = w.zeros_like().unwrap();
        w = dead
            .broadcast_as(w.shape())
            .unwrap()
            .where_cond(&zeros, &w)
            .unwrap();
        let mut conv = Conv2d::new(w, None, [stride; 2], [[border; 2]; 2]);
        conv.groups = groups;
        let x = noise("x", &input).relu().unwrap();
        let z = Portable.conv2d(&x, &conv).unwrap();
        let r = noise("r", z.dims());
        let near = |found: &Tensor, expected: &[f64], what: &str| {
            let found = values(found);
            assert_eq!(found.len(), expected.len(), "{name} {what}");
            let scale = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() <= 2e-4 * scale, "{name} {what}: {f} for {e}");
            }
        };
        let pairs = || values(&r).into_iter().zip(values(&z));
        let stabilised: Vec<f64> = pairs()
            .map(|(r, z)| r / if z < 0.0 { z - 0.25 } else { z + 0.25 })
            .collect();
        let exact: Vec<f64> = pairs()
            .map(|(r, z)| if z == 0.0 { 0.0 } else { r / z })
            .collect();
        let (n, c, h, wide) = x.dims4().unwrap();
        let g = Portable
            .conv2d_input_grad(&r, &conv, [n, c, h, wide])
            .unwrap();
        let product = values(&(&g * &x).unwrap());
        for isa in Isa::available() {
            let kernels = Cpu::with_isa(isa);
            let over = |d| kernels.conv2d_quotient(&x, &conv, &r, d).unwrap().unwrap();
            near(
                &over(Denominator::Stabilised(0.25)),
                &stabilised,
                "quotient",
            );
            near(&over(Denominator::Exact), &exact, "exact quotient");
            let found = kernels.conv2d_input_grad_product(&r, &conv, &x);
            near(&found.unwrap().unwrap(), &product, "product");
            let plain = kernels.conv2d_input_grad(&r, &conv, [n, c, h, wide]);
            near(&plain.unwrap(), &values(&g), "gradient");
        }
        let narrow = r.narrow(2, 0, 1).unwrap();
        let wrong = Cpu::new().conv2d_quotient(&x, &conv, &narrow, Denominator::Exact);
        assert!(wrong.is_err(), "{name}: another shape");
    }
}

/// Batches through a linear layer whose sizes fill no block, in every instruction set.
#[test]
fn linear_layers_in_batches() {
    for (n, features, out) in [(2, 5, 3), (7, 2049, 37), (8, 4100, 64), (5, 16, 33)] {
        let (x, w) = (noise("x", &[n, features]), noise("w", &[out, features]));
        let b = noise("b", &[out]);
        let expected = values(&Portable.linear(&x, &w, Some(&b)).unwrap());
        let scale = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
        for isa in Isa::available() {
            let found = values(&Cpu::with_isa(isa).linear(&x, &w, Some(&b)).unwrap());
            assert_eq!(found.len(), expected.len());
            for (f, e) in found.iter().zip(&expected) {
                assert!(
                    (f - e).abs() <= 1e-5 * scale,
                    "{n} {features} {out}: {f} for {e}"
                );
            }
        }
    }
}
