//! Kernels one by one, in every instruction set of this processor: `cargo bench`.
#![allow(missing_docs, clippy::unwrap_used)] // criterion writes the entry point; a bench may fail loudly

use camlens::model::kernels::cpu::{Cpu, Isa, Recycler};
use camlens::model::kernels::{Chain, Kernels, Purpose};
use camlens::model::op::{Act, Conv2d, Op, Pool, even};
use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: Recycler = Recycler::new();

fn random(shape: &[usize]) -> Tensor {
    Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap()
}

/// Channels-last, as activations are inside the network.
fn activations(c: usize, side: usize) -> Tensor {
    random(&[1, side, side, c]).permute((0, 3, 1, 2)).unwrap()
}

fn conv(o: usize, i: usize, k: usize, stride: usize, groups: usize) -> Conv2d {
    let weight = random(&[o, i / groups, k, k]);
    let mut conv = Conv2d::new(weight, None, [stride; 2], even([k / 2; 2]));
    conv.groups = groups;
    conv
}

fn convolutions(c: &mut Criterion) {
    // name, in, out, side, kernel, stride, groups
    let cases = [
        ("7x7 stem", 3, 64, 224, 7, 2, 1),
        ("1x1 64-256 at 56", 64, 256, 56, 1, 1, 1),
        ("1x1 1024-256 at 14", 1024, 256, 14, 1, 1, 1),
        ("3x3 64 at 56", 64, 64, 56, 3, 1, 1),
        ("3x3 256 at 14", 256, 256, 14, 3, 1, 1),
        ("3x3 512 at 28", 512, 512, 28, 3, 1, 1),
        ("3x3 256 stride 2", 256, 256, 28, 3, 2, 1),
        ("3x3 128 in 32 groups at 56", 128, 128, 56, 3, 1, 32),
        ("depthwise 3x3 144 at 56", 144, 144, 56, 3, 1, 144),
        ("depthwise 5x5 240 at 28", 240, 240, 28, 5, 1, 240),
    ];
    for (name, i, o, side, k, stride, groups) in cases {
        let conv = conv(o, i, k, stride, groups);
        let x = activations(i, side);
        let out = side.div_ceil(stride);
        let mut group = c.benchmark_group(name);
        // Multiplications and additions.
        group.throughput(Throughput::Elements(
            (2 * out * out * o * i / groups * k * k) as u64,
        ));
        let chain = Chain {
            conv: &conv,
            norm: None,
            act: Some(Act::Relu),
        };
        for isa in Isa::available() {
            let kernels = Cpu::with_isa(isa);
            for (what, purpose) in [("direct", Purpose::Trace), ("free", Purpose::Scores)] {
                group.bench_function(BenchmarkId::new(what, isa.name()), |b| {
                    b.iter(|| kernels.chain(&chain, &x, None, purpose).unwrap());
                });
            }
            let g = activations(o, out);
            group.bench_function(BenchmarkId::new("input gradient", isa.name()), |b| {
                b.iter(|| {
                    kernels
                        .conv2d_input_grad(&g, &conv, [1, i, side, side])
                        .unwrap()
                });
            });
        }
        group.finish();
    }
}

fn others(c: &mut Criterion) {
    let kernels = Cpu::new();
    let x = activations(64, 112);
    let pool = Pool::square(3, 2, 1);
    let y = kernels.max_pool2d(&x, &pool).unwrap();
    c.bench_function("max-pool 3x3 stride 2", |b| {
        b.iter(|| kernels.max_pool2d(&x, &pool).unwrap());
    });
    c.bench_function("max-pool gradient", |b| {
        b.iter(|| kernels.max_pool2d_grad(&x, &y, &pool).unwrap());
    });
    for act in [Act::Relu, Act::Hardswish, Act::Silu, Act::Gelu] {
        c.bench_function(act.label(), |b| {
            b.iter(|| kernels.apply(&Op::Act(act), &[&x]).unwrap());
        });
    }
    let (x, weight) = (random(&[1, 4096]), random(&[4096, 4096]));
    c.bench_function("linear 4096-4096", |b| {
        b.iter(|| kernels.linear(&x, &weight, None).unwrap());
    });
}

criterion_group!(benches, convolutions, others);
criterion_main!(benches);
