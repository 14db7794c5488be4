//! Linear layers: a few rows times a large matrix that is read once.

use rayon::prelude::*;

use super::arena::buffer;
use super::simd::{Isa, Simd, dispatch};

/// Rows that are multiplied side by side.
const TOGETHER: usize = 4;
/// Numbers of a row that are multiplied before the next rows come: [`TOGETHER`] pieces fit the first-level cache, and sums
/// in a lane stay short.
const PIECE: usize = 2048;
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
            let first = task * OUTPUTS;
            let rows = &weight[first * features..(first + part.len() / n) * features];
            dispatch!(isa, block(
                rows: &[f32] = rows,
                x: &[f32] = x,
                features: usize = features,
                out: &mut [f32] = part,
            ));
            if let Some(bias) = bias {
                for (part, b) in part.chunks_exact_mut(n).zip(&bias[first..]) {
                    part.iter_mut().for_each(|v| *v += b);
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

/// Products of some rows of weights with all rows of `x`, `out[row][x]`. Both are taken through in pieces, so that those of
/// a few rows stay in the first-level cache while the others pass.
///
/// # Safety
/// As [`Simd`]; `rows` and `x` hold whole rows of `features`, and `out` a number for each pair of them.
#[inline(always)]
unsafe fn block<S: Simd>(rows: &[f32], x: &[f32], features: usize, out: &mut [f32]) {
    let (outputs, n) = (rows.len() / features.max(1), x.len() / features.max(1));
    assert!(out.len() >= outputs * n);
    out.fill(0.0);
    let mut from = 0;
    while from < features {
        let len = PIECE.min(features - from);
        let mut o = 0;
        while o < outputs {
            let together = if o + TOGETHER <= outputs { TOGETHER } else { 1 };
            let w = rows[o * features + from..].as_ptr();
            let mut i = 0;
            while i < n {
                let many = if i + TOGETHER <= n { TOGETHER } else { 1 };
                let x = x[i * features + from..].as_ptr();
                let out = &mut out[o * n + i..];
                // SAFETY: `together` rows of weights from `o` and `many` of x from `i` have `len` numbers from `from` on.
                unsafe {
                    match (together, many) {
                        (TOGETHER, TOGETHER) => {
                            pairs::<S, TOGETHER, TOGETHER>(w, x, features, len, out, n);
                        }
                        (TOGETHER, _) => pairs::<S, TOGETHER, 1>(w, x, features, len, out, n),
                        (_, TOGETHER) => pairs::<S, 1, TOGETHER>(w, x, features, len, out, n),
                        _ => pairs::<S, 1, 1>(w, x, features, len, out, n),
                    }
                }
                i += many;
            }
            o += together;
        }
        from += len;
    }
}

/// Adds the products of `O` rows with `P` rows over `len` numbers to `out`, whose rows are `n` apart.
///
/// # Safety
/// As [`Simd`]; `w` and `x` point to so many rows, `features` apart, of `len` numbers.
#[inline(always)]
unsafe fn pairs<S: Simd, const O: usize, const P: usize>(
    w: *const f32,
    x: *const f32,
    features: usize,
    len: usize,
    out: &mut [f32],
    n: usize,
) {
    let whole = len / S::LANES * S::LANES;
    // SAFETY: indices stay under `len` in rows under `O` and `P`.
    unsafe {
        let mut sums = [[S::splat(0.0); P]; O];
        let mut at = 0;
        while at < whole {
            let mut columns = [S::splat(0.0); P];
            for (p, column) in columns.iter_mut().enumerate() {
                *column = S::load(x.add(p * features + at));
            }
            for (o, sums) in sums.iter_mut().enumerate() {
                let w = S::load(w.add(o * features + at));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = S::fma(w, column, *sum);
                }
            }
            at += S::LANES;
        }
        for (o, sums) in sums.into_iter().enumerate() {
            for (p, sum) in sums.into_iter().enumerate() {
                let mut total = S::sum(sum);
                for i in whole..len {
                    total += *w.add(o * features + i) * *x.add(p * features + i);
                }
                out[o * n + p] += total;
            }
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
