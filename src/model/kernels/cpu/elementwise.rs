//! Operations that read each number once: affine maps, activations, sums, products, normalisation.

use rayon::prelude::*;

use super::arena::buffer;
use super::math::{erf, exp, sigmoid};
use super::plane::Plane;
use super::simd::{Isa, Simd, dispatch};
use crate::model::op::Act;

/// Numbers that are worth a task of their own.
const GRAIN: usize = 32 * 1024;

/// Output and up to three inputs over the same numbers, all of them whole pixels.
struct Span<'a> {
    out: &'a mut [f32],
    inputs: [&'a [f32]; 3],
}

/// Runs `f` over all pixels of equally sized planes, in parallel, and gives the dense output. Dense planes come in
/// long spans, views pixel by pixel.
fn over_pixels(planes: &[Plane<'_>], f: impl Fn(Span<'_>) + Sync) -> Vec<f32> {
    let Some(first) = planes.first() else {
        return Vec::new();
    };
    let channels = first.channels;
    let mut out = buffer(first.pixels() * channels);
    let dense = planes.iter().all(Plane::is_dense);
    let pixels = (GRAIN / channels.max(1)).max(1);
    let work = |(chunk, out): (usize, &mut [f32])| {
        let start = chunk * pixels;
        if dense {
            let part = |i: usize| {
                planes.get(i).map_or(&[][..], |p| {
                    &p.data[start * channels..start * channels + out.len()]
                })
            };
            let inputs = [part(0), part(1), part(2)];
            f(Span { out, inputs });
        } else {
            for (i, out) in out.chunks_exact_mut(channels).enumerate() {
                let part = |k: usize| planes.get(k).map_or(&[][..], |p| p.pixel(start + i));
                let inputs = [part(0), part(1), part(2)];
                f(Span { out, inputs });
            }
        }
    };
    if out.len() <= GRAIN {
        out.chunks_mut((pixels * channels).max(1))
            .enumerate()
            .for_each(work);
    } else {
        out.par_chunks_mut((pixels * channels).max(1))
            .enumerate()
            .for_each(work);
    }
    out
}

/// `min(max(scale * x + shift, lo), hi)` per channel.
pub(super) fn affine_clamp(
    isa: Isa,
    x: &Plane<'_>,
    scale: &[f32],
    shift: &[f32],
    [lo, hi]: [f32; 2],
) -> Vec<f32> {
    over_pixels(&[*x], |span| {
        dispatch!(isa, affine_span(
            out: &mut [f32] = span.out,
            x: &[f32] = span.inputs[0],
            scale: &[f32] = scale,
            shift: &[f32] = shift,
            lo: f32 = lo,
            hi: f32 = hi,
        ));
    })
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn affine_span<S: Simd>(
    out: &mut [f32],
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    lo: f32,
    hi: f32,
) {
    let channels = scale.len();
    for (out, x) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
        for (((out, x), scale), shift) in out.iter_mut().zip(x).zip(scale).zip(shift) {
            *out = clamp(x * scale + shift, lo, hi);
        }
    }
}

/// Keeps NaN.
#[inline(always)]
fn clamp(v: f32, lo: f32, hi: f32) -> f32 {
    let v = if v < lo { lo } else { v };
    if v > hi { hi } else { v }
}

/// `scale * g` per channel: the gradient of an affine map.
pub(super) fn scale(isa: Isa, g: &Plane<'_>, factors: &[f32]) -> Vec<f32> {
    let zeros = vec![0f32; factors.len()];
    affine_clamp(isa, g, factors, &zeros, [f32::NEG_INFINITY, f32::INFINITY])
}

/// The gradient of [`affine_clamp`] at its input: `scale * g` where `lo < y < hi`, plus a third plane where there is
/// one. `planes` are the output y, the gradient g there, and that third one.
pub(super) fn affine_clamp_grad(
    isa: Isa,
    planes: &[Plane<'_>],
    scale: &[f32],
    [lo, hi]: [f32; 2],
) -> Vec<f32> {
    over_pixels(planes, |span| {
        dispatch!(isa, affine_clamp_grad_span(
            out: &mut [f32] = span.out,
            inputs: [&[f32]; 3] = span.inputs,
            scale: &[f32] = scale,
            lo: f32 = lo,
            hi: f32 = hi,
        ));
    })
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn affine_clamp_grad_span<S: Simd>(
    out: &mut [f32],
    [y, g, sum]: [&[f32]; 3],
    scale: &[f32],
    lo: f32,
    hi: f32,
) {
    let channels = scale.len();
    for (p, out) in out.chunks_exact_mut(channels).enumerate() {
        let at = p * channels;
        let (y, g) = (&y[at..at + channels], &g[at..at + channels]);
        for (((out, y), g), scale) in out.iter_mut().zip(y).zip(g).zip(scale) {
            *out = if *y > lo && *y < hi { g * scale } else { 0.0 };
        }
        if let Some(sum) = sum.get(at..at + channels) {
            for (out, sum) in out.iter_mut().zip(sum) {
                *out += sum;
            }
        }
    }
}

/// The sum of two planes, clamped.
pub(super) fn add_clamp(isa: Isa, a: &Plane<'_>, b: &Plane<'_>, [lo, hi]: [f32; 2]) -> Vec<f32> {
    over_pixels(&[*a, *b], |span| {
        dispatch!(isa, add_span(
            out: &mut [f32] = span.out,
            a: &[f32] = span.inputs[0],
            b: &[f32] = span.inputs[1],
            lo: f32 = lo,
            hi: f32 = hi,
        ));
    })
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn add_span<S: Simd>(out: &mut [f32], a: &[f32], b: &[f32], lo: f32, hi: f32) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = clamp(a + b, lo, hi);
    }
}

/// `g` where `lo < y < hi`, 0 elsewhere: the gradient of a clamp, read off its output.
pub(super) fn clamp_grad(isa: Isa, y: &Plane<'_>, g: &Plane<'_>, [lo, hi]: [f32; 2]) -> Vec<f32> {
    over_pixels(&[*y, *g], |span| {
        dispatch!(isa, clamp_grad_span(
            out: &mut [f32] = span.out,
            y: &[f32] = span.inputs[0],
            g: &[f32] = span.inputs[1],
            lo: f32 = lo,
            hi: f32 = hi,
        ));
    })
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn clamp_grad_span<S: Simd>(out: &mut [f32], y: &[f32], g: &[f32], lo: f32, hi: f32) {
    for ((out, y), g) in out.iter_mut().zip(y).zip(g) {
        *out = if *y > lo && *y < hi { *g } else { 0.0 };
    }
}

/// The functions that are written in straight lines here; the others are candle's.
pub(super) fn has_fast(act: Act) -> bool {
    matches!(
        act,
        Act::Relu
            | Act::Clamp { .. }
            | Act::LeakyRelu(_)
            | Act::Sigmoid
            | Act::HardSigmoid
            | Act::Hardswish
            | Act::Silu
            | Act::Gelu
    )
}

/// An activation, in place.
pub(super) fn activate_in_place(isa: Isa, values: &mut [f32], act: Act) {
    dispatch!(isa, act_in_place(values: &mut [f32] = values, act: Act = act));
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn act_in_place<S: Simd>(values: &mut [f32], act: Act) {
    macro_rules! each {
        ($f:expr) => {
            for v in values.iter_mut() {
                *v = $f(*v);
            }
        };
    }
    match act {
        Act::Relu => each!(|x| clamp(x, 0.0, f32::INFINITY)),
        Act::Clamp { lo, hi } => each!(|x| clamp(x, lo, hi)),
        Act::LeakyRelu(slope) => each!(|x: f32| if x > 0.0 { x } else { slope * x }),
        Act::Sigmoid => each!(sigmoid),
        Act::HardSigmoid => each!(hard_sigmoid),
        Act::Hardswish => each!(|x| x * hard_sigmoid(x)),
        Act::Silu => each!(|x| x * sigmoid(x)),
        Act::Gelu => each!(|x| x * normal_cdf(x)),
        // `has_fast` keeps these away.
        Act::Elu(_) | Act::Tanh | Act::GeluTanh | Act::Mish => {}
    }
}

#[inline(always)]
fn hard_sigmoid(x: f32) -> f32 {
    clamp(x + 3.0, 0.0, 6.0) / 6.0
}

#[inline(always)]
fn normal_cdf(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// An activation.
pub(super) fn activate(isa: Isa, x: &Plane<'_>, act: Act) -> Vec<f32> {
    over_pixels(&[*x], |span| {
        span.out.copy_from_slice(span.inputs[0]);
        activate_in_place(isa, span.out, act);
    })
}

/// The gradient of an activation at input `x` for `g` at its output.
pub(super) fn activate_grad(isa: Isa, x: &Plane<'_>, g: &Plane<'_>, act: Act) -> Vec<f32> {
    over_pixels(&[*x, *g], |span| {
        dispatch!(isa, act_grad_span(
            out: &mut [f32] = span.out,
            x: &[f32] = span.inputs[0],
            g: &[f32] = span.inputs[1],
            act: Act = act,
        ));
    })
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn act_grad_span<S: Simd>(out: &mut [f32], x: &[f32], g: &[f32], act: Act) {
    /// `1 / sqrt(2 pi)`.
    const NORMAL_AT_0: f32 = 0.398_942_3;
    macro_rules! each {
        ($f:expr) => {
            for ((out, x), g) in out.iter_mut().zip(x).zip(g) {
                *out = g * $f(*x);
            }
        };
    }
    match act {
        Act::Relu => each!(|x: f32| if x > 0.0 { 1.0 } else { 0.0 }),
        Act::Clamp { lo, hi } => each!(|x: f32| if x > lo && x < hi { 1.0 } else { 0.0 }),
        Act::LeakyRelu(slope) => each!(|x: f32| if x > 0.0 { 1.0 } else { slope }),
        Act::Sigmoid => each!(|x| {
            let s = sigmoid(x);
            s * (1.0 - s)
        }),
        Act::HardSigmoid => each!(|x: f32| if x > -3.0 && x < 3.0 { 1.0 / 6.0 } else { 0.0 }),
        Act::Hardswish => each!(|x: f32| {
            let between = (2.0 * x + 3.0) / 6.0;
            let low = if x > -3.0 { between } else { 0.0 };
            if x < 3.0 { low } else { 1.0 }
        }),
        Act::Silu => each!(|x| {
            let s = sigmoid(x);
            s * (1.0 + x * (1.0 - s))
        }),
        Act::Gelu => each!(|x: f32| normal_cdf(x) + x * NORMAL_AT_0 * exp(-0.5 * x * x)),
        Act::Elu(_) | Act::Tanh | Act::GeluTanh | Act::Mish => {}
    }
}

/// Each image's plane times one number per channel (squeeze-excite); `gates` is `[images, channels]`.
pub(super) fn gate(isa: Isa, x: &Plane<'_>, gates: &[f32]) -> Vec<f32> {
    let zeros = vec![0f32; x.channels];
    let each = x.size[0] * x.size[1];
    let mut out = buffer(x.pixels() * x.channels);
    out.par_chunks_mut((GRAIN / x.channels.max(1)).clamp(1, each.max(1)) * x.channels)
        .enumerate()
        .for_each(|(chunk, out)| {
            let start = chunk * (GRAIN / x.channels.max(1)).clamp(1, each.max(1));
            for (i, out) in out.chunks_exact_mut(x.channels).enumerate() {
                let image = (start + i) / each;
                let gates = &gates[image * x.channels..(image + 1) * x.channels];
                dispatch!(isa, affine_span(
                    out: &mut [f32] = out,
                    x: &[f32] = x.pixel(start + i),
                    scale: &[f32] = gates,
                    shift: &[f32] = &zeros,
                    lo: f32 = f32::NEG_INFINITY,
                    hi: f32 = f32::INFINITY,
                ));
            }
        });
    out
}

/// Sum over the places of each channel of each image of `a * b` (or of `a` alone), `[images, channels]`.
pub(super) fn sum_places(isa: Isa, a: &Plane<'_>, b: Option<&Plane<'_>>) -> Vec<f32> {
    /// Pixels that are summed in f32 before the sum goes on in f64.
    const SHORT: usize = 32;
    let each = a.size[0] * a.size[1];
    let mut out = vec![0f32; a.images * a.channels];
    let sum = |(image, out): (usize, &mut [f32])| {
        let mut total = vec![0f64; a.channels];
        let mut part = vec![0f32; a.channels];
        for start in (0..each).step_by(SHORT) {
            part.fill(0.0);
            for pixel in start..(start + SHORT).min(each) {
                let at = image * each + pixel;
                match b {
                    Some(b) => dispatch!(isa, add_product(
                        sum: &mut [f32] = &mut part,
                        a: &[f32] = a.pixel(at),
                        b: &[f32] = b.pixel(at),
                    )),
                    None => dispatch!(isa, add_values(
                        sum: &mut [f32] = &mut part,
                        a: &[f32] = a.pixel(at),
                    )),
                }
            }
            for (total, part) in total.iter_mut().zip(&part) {
                *total += f64::from(*part);
            }
        }
        for (out, total) in out.iter_mut().zip(total) {
            *out = total as f32;
        }
    };
    out.par_chunks_mut(a.channels.max(1))
        .enumerate()
        .for_each(sum);
    out
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn add_product<S: Simd>(sum: &mut [f32], a: &[f32], b: &[f32]) {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum += a * b;
    }
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn add_values<S: Simd>(sum: &mut [f32], a: &[f32]) {
    for (sum, a) in sum.iter_mut().zip(a) {
        *sum += a;
    }
}

/// Normalisation over the channels of every pixel.
pub(super) fn layer_norm(
    isa: Isa,
    x: &Plane<'_>,
    weight: &[f32],
    bias: &[f32],
    eps: f32,
) -> Vec<f32> {
    let channels = x.channels;
    over_pixels(&[*x], |span| {
        for (out, x) in span
            .out
            .chunks_exact_mut(channels)
            .zip(span.inputs[0].chunks_exact(channels))
        {
            let (mean, inverse) = moments(isa, x, eps);
            for (((out, x), w), b) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *out = (x - mean) * inverse * w + b;
            }
        }
    })
}

/// The gradient of [`layer_norm`]: with u the normalised values and q = w g,
/// `(q - mean q - u mean(q u)) / sqrt(var + eps)`.
pub(super) fn layer_norm_grad(
    isa: Isa,
    x: &Plane<'_>,
    g: &Plane<'_>,
    weight: &[f32],
    eps: f32,
) -> Vec<f32> {
    let channels = x.channels;
    over_pixels(&[*x, *g], |span| {
        let pixels = span.inputs[0]
            .chunks_exact(channels)
            .zip(span.inputs[1].chunks_exact(channels));
        for (out, (x, g)) in span.out.chunks_exact_mut(channels).zip(pixels) {
            let (mean, inverse) = moments(isa, x, eps);
            let (mut q_sum, mut qu_sum) = (0f64, 0f64);
            for ((x, g), w) in x.iter().zip(g).zip(weight) {
                let q = f64::from(g * w);
                q_sum += q;
                qu_sum += q * f64::from((x - mean) * inverse);
            }
            let q_mean = (q_sum / channels as f64) as f32;
            let qu_mean = (qu_sum / channels as f64) as f32;
            for (((out, x), g), w) in out.iter_mut().zip(x).zip(g).zip(weight) {
                let u = (x - mean) * inverse;
                *out = (g * w - q_mean - u * qu_mean) * inverse;
            }
        }
    })
}

/// Mean and `1 / sqrt(var + eps)` of some numbers.
fn moments(isa: Isa, x: &[f32], eps: f32) -> (f32, f32) {
    let n = x.len().max(1) as f32;
    let mean =
        dispatch!(isa, total(x: &[f32] = x, minus: f32 = 0.0, square: bool = false) -> f32) / n;
    let variance =
        dispatch!(isa, total(x: &[f32] = x, minus: f32 = mean, square: bool = true) -> f32) / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

/// Sum of `x - minus`, or of its square.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn total<S: Simd>(x: &[f32], minus: f32, square: bool) -> f32 {
    // SAFETY: chunks have as many numbers as the vector, the rest is told by its length.
    unsafe {
        let shift = S::splat(minus);
        let one = S::splat(1.0);
        let mut sums = [S::splat(0.0); 4];
        let mut chunks = x.chunks_exact(4 * S::LANES);
        for chunk in &mut chunks {
            for (i, sum) in sums.iter_mut().enumerate() {
                let v = S::sub(S::load(chunk.as_ptr().add(i * S::LANES)), shift);
                *sum = S::fma(v, if square { v } else { one }, *sum);
            }
        }
        let rest: f32 = chunks
            .remainder()
            .iter()
            .map(|v| v - minus)
            .map(|v| if square { v * v } else { v })
            .sum();
        S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3]))) + rest
    }
}
