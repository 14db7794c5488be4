//! Linear layers: a few rows times a large matrix that is read once.

use rayon::prelude::*;

use super::arena::buffer;
use super::simd::{Isa, Simd, dispatch};

/// Rows of `x` that share one pass over the weights.
const TOGETHER: usize = 4;
/// Outputs of a task.
const OUTPUTS: usize = 32;

/// `x W^T + b`, `x [n, features]`, `weight [out, features]`; gives `[n, out]`.
pub(super) fn forward(
    isa: Isa,
    x: &[f32],
    n: usize,
    features: usize,
    weight: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let out = weight.len() / features.max(1);
    // Outputs first, so that a task's part lies together.
    let mut by_output = buffer(n * out);
    by_output
        .par_chunks_mut((OUTPUTS * n).max(1))
        .enumerate()
        .for_each(|(task, part)| {
            if n == 1 {
                let first = task * OUTPUTS;
                let rows = &weight[first * features..(first + part.len()) * features];
                dispatch!(isa, rows_times(
                    rows: &[f32] = rows,
                    x: &[f32] = x,
                    out: &mut [f32] = part,
                ));
                if let Some(bias) = bias {
                    for (v, b) in part.iter_mut().zip(&bias[first..]) {
                        *v += b;
                    }
                }
                return;
            }
            for (i, part) in part.chunks_exact_mut(n).enumerate() {
                let o = task * OUTPUTS + i;
                let row = &weight[o * features..(o + 1) * features];
                let first = bias.map_or(0.0, |b| b[o]);
                for (x, part) in x.chunks(TOGETHER * features).zip(part.chunks_mut(TOGETHER)) {
                    dispatch!(isa, dots(
                        row: &[f32] = row,
                        x: &[f32] = x,
                        out: &mut [f32] = part,
                    ));
                    for v in part {
                        *v += first;
                    }
                }
            }
        });
    if n == 1 {
        return by_output;
    }
    let mut y = buffer(n * out);
    for (o, part) in by_output.chunks_exact(n).enumerate() {
        for (i, v) in part.iter().enumerate() {
            y[i * out + o] = *v;
        }
    }
    y
}

/// Products of many rows with one: several rows at a time, because memory answers several streams faster than one.
///
/// # Safety
/// As [`Simd`]; `rows` holds `out.len()` rows as long as `x`.
#[inline(always)]
unsafe fn rows_times<S: Simd>(rows: &[f32], x: &[f32], out: &mut [f32]) {
    let features = x.len();
    let mut parts = out.chunks_exact_mut(TOGETHER);
    let mut at = 0;
    for part in &mut parts {
        let mut sums = [[0f32; 1]; TOGETHER];
        // SAFETY: the next `TOGETHER` rows; the product is the same either way round.
        unsafe { products::<S, TOGETHER>(x, &rows[at * features..], &mut sums) };
        for (out, sum) in part.iter_mut().zip(sums) {
            *out = sum[0];
        }
        at += TOGETHER;
    }
    for out in parts.into_remainder() {
        let mut sums = [[0f32; 1]; 1];
        // SAFETY: one row.
        unsafe { products::<S, 1>(x, &rows[at * features..], &mut sums) };
        *out = sums[0][0];
        at += 1;
    }
}

/// Products of `row` with each of up to [`TOGETHER`] rows.
///
/// # Safety
/// As [`Simd`]; `x` holds `out.len() <= TOGETHER` rows as long as `row`.
#[inline(always)]
unsafe fn dots<S: Simd>(row: &[f32], x: &[f32], out: &mut [f32]) {
    let features = row.len();
    if out.len() == TOGETHER && x.len() == TOGETHER * features {
        let mut sums = [[0f32; 1]; TOGETHER];
        // SAFETY: lengths were just compared.
        unsafe { products::<S, TOGETHER>(row, x, &mut sums) };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum[0];
        }
    } else {
        for (out, x) in out.iter_mut().zip(x.chunks_exact(features.max(1))) {
            let mut sums = [[0f32; 1]; 1];
            // SAFETY: `x` is one row.
            unsafe { products::<S, 1>(row, x, &mut sums) };
            *out = sums[0][0];
        }
    }
}

/// # Safety
/// As [`Simd`]; `x` holds `P` rows as long as `row`.
#[inline(always)]
unsafe fn products<S: Simd, const P: usize>(row: &[f32], x: &[f32], out: &mut [[f32; 1]; P]) {
    /// Vectors of `row` in flight.
    const DEEP: usize = 4;
    let features = row.len();
    let step = DEEP * S::LANES;
    let whole = features / step * step;
    // SAFETY: indices stay under `whole <= features` and in row `p < P`.
    unsafe {
        let mut sums = [[S::splat(0.0); DEEP]; P];
        let mut at = 0;
        while at < whole {
            for d in 0..DEEP {
                let w = S::load(row.as_ptr().add(at + d * S::LANES));
                for (p, sums) in sums.iter_mut().enumerate() {
                    let x = S::load(x.as_ptr().add(p * features + at + d * S::LANES));
                    sums[d] = S::fma(w, x, sums[d]);
                }
            }
            at += step;
        }
        for (p, (out, sums)) in out.iter_mut().zip(sums).enumerate() {
            let total = S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])));
            let rest: f32 = row[whole..]
                .iter()
                .zip(&x[p * features + whole..(p + 1) * features])
                .map(|(w, x)| w * x)
                .sum();
            out[0] = total + rest;
        }
    }
}

/// `g W`, the gradient of [`forward`] at its input: `g [n, out]` gives `[n, features]`.
pub(super) fn input_grad(
    isa: Isa,
    g: &[f32],
    n: usize,
    weight: &[f32],
    features: usize,
) -> Vec<f32> {
    let out = weight.len() / features.max(1);
    let mut x = vec![0f32; n * features];
    let width = features
        .div_ceil(4 * rayon::current_num_threads())
        .next_multiple_of(64);
    for (x, g) in x
        .chunks_exact_mut(features.max(1))
        .zip(g.chunks_exact(out.max(1)))
    {
        // Gradients of one logit are zero in most rows.
        let rows: Vec<usize> = (0..out).filter(|&o| g[o] != 0.0).collect();
        x.par_chunks_mut(width).enumerate().for_each(|(i, x)| {
            let from = i * width;
            for &o in &rows {
                let row = &weight[o * features + from..o * features + from + x.len()];
                dispatch!(isa, add_scaled(
                    x: &mut [f32] = x,
                    row: &[f32] = row,
                    factor: f32 = g[o],
                ));
            }
        });
    }
    x
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn add_scaled<S: Simd>(x: &mut [f32], row: &[f32], factor: f32) {
    for (x, w) in x.iter_mut().zip(row) {
        *x += w * factor;
    }
}
