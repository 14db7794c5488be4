//! Pooling over channels-last planes: channels are the lanes.

use rayon::prelude::*;

use super::arena::buffer;
use super::plane::Plane;
use super::simd::{Isa, Simd, dispatch};
use crate::model::op::Pool;

/// Rows and columns of a pool's output.
pub(super) fn out_size(pool: &Pool, size: [usize; 2]) -> [usize; 2] {
    [pool.out(0, size[0]), pool.out(1, size[1])]
}

/// Input positions along an axis that a window reads, as `(tap, position)`.
fn taps(pool: &Pool, axis: usize, o: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    let (kernel, dilation) = (pool.kernel[axis], pool.dilation[axis]);
    let start = o * pool.stride[axis];
    let before = pool.padding[axis][0];
    (0..kernel).filter_map(move |k| {
        let at = (start + k * dilation).checked_sub(before)?;
        (at < size).then_some((k, at))
    })
}

/// Calls `f` with the output pixel's channels and its image, row and column, in parallel over rows.
fn over_outputs(
    images: usize,
    out_size: [usize; 2],
    channels: usize,
    f: impl Fn(&mut [f32], usize, usize, usize) + Sync,
) -> Vec<f32> {
    let [oh, ow] = out_size;
    let mut out = buffer(images * oh * ow * channels);
    out.par_chunks_mut((ow * channels).max(1))
        .enumerate()
        .for_each(|(row, out)| {
            for (ox, out) in out.chunks_exact_mut(channels).enumerate() {
                f(out, row / oh, row % oh, ox);
            }
        });
    out
}

/// Maximum over windows; NaN wins, as in PyTorch.
pub(super) fn max(isa: Isa, x: &Plane<'_>, pool: &Pool) -> Vec<f32> {
    let [h, w] = x.size;
    over_outputs(
        x.images,
        out_size(pool, x.size),
        x.channels,
        |out, n, oy, ox| {
            out.fill(f32::NEG_INFINITY);
            for (_, iy) in taps(pool, 0, oy, h) {
                for (_, ix) in taps(pool, 1, ox, w) {
                    dispatch!(isa, larger(
                        best: &mut [f32] = out,
                        x: &[f32] = x.pixel((n * h + iy) * w + ix),
                    ));
                }
            }
        },
    )
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn larger<S: Simd>(best: &mut [f32], x: &[f32]) {
    for (best, x) in best.iter_mut().zip(x) {
        let keep = *best >= *x || best.is_nan();
        *best = if keep { *best } else { *x };
    }
}

/// The gradient of [`max`]: each output's goes to the first maximum of its window in row-major order.
pub(super) fn max_grad(isa: Isa, x: &Plane<'_>, g: &Plane<'_>, pool: &Pool) -> Vec<f32> {
    let ([h, w], c) = (x.size, x.channels);
    let [oh, ow] = g.size;
    let mut out = vec![0f32; x.pixels() * c];
    // Windows overlap, so tasks own bands of input rows and look at every window that reaches into theirs.
    let bands = (2 * rayon::current_num_threads())
        .div_ceil(x.images)
        .clamp(1, h);
    let band_rows = h.div_ceil(bands);
    let reach = pool.dilation[0] * (pool.kernel[0] - 1);
    let images: Vec<&mut [f32]> = out.chunks_mut((h * w * c).max(1)).collect();
    let tasks: Vec<(usize, usize, &mut [f32])> = images
        .into_iter()
        .enumerate()
        .flat_map(|(n, image)| {
            image
                .chunks_mut((band_rows * w * c).max(1))
                .enumerate()
                .map(move |(b, band)| (n, b * band_rows, band))
        })
        .collect();
    tasks.into_par_iter().for_each(|(n, first, band)| {
        let rows = band.len() / (w * c);
        let mut best = vec![0f32; c];
        let mut at = vec![0u32; c];
        // Windows whose first row is at most the band's last and whose last row at least the band's first.
        let low = (first + pool.padding[0][0]).saturating_sub(reach) / pool.stride[0];
        let high = ((first + rows - 1 + pool.padding[0][0]) / pool.stride[0] + 1).min(oh);
        for oy in low..high {
            for ox in 0..ow {
                best.fill(f32::NEG_INFINITY);
                at.fill(u32::MAX);
                for (_, iy) in taps(pool, 0, oy, h) {
                    for (_, ix) in taps(pool, 1, ox, w) {
                        dispatch!(isa, first_larger(
                            best: &mut [f32] = &mut best,
                            at: &mut [u32] = &mut at,
                            x: &[f32] = x.pixel((n * h + iy) * w + ix),
                            here: u32 = (iy * w + ix) as u32,
                        ));
                    }
                }
                let g = g.pixel((n * oh + oy) * ow + ox);
                for (_, iy) in taps(pool, 0, oy, h) {
                    if iy < first || iy >= first + rows {
                        continue;
                    }
                    for (_, ix) in taps(pool, 1, ox, w) {
                        let to = ((iy - first) * w + ix) * c;
                        dispatch!(isa, add_where(
                            out: &mut [f32] = &mut band[to..to + c],
                            at: &[u32] = &at,
                            here: u32 = (iy * w + ix) as u32,
                            g: &[f32] = g,
                        ));
                    }
                }
            }
        }
    });
    out
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn first_larger<S: Simd>(best: &mut [f32], at: &mut [u32], x: &[f32], here: u32) {
    for ((best, at), x) in best.iter_mut().zip(at).zip(x) {
        // The first cell of a window is taken whatever it holds, NaN and minus infinity included.
        let keep = *at != u32::MAX && (*best >= *x || best.is_nan());
        *best = if keep { *best } else { *x };
        *at = if keep { *at } else { here };
    }
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn add_where<S: Simd>(out: &mut [f32], at: &[u32], here: u32, g: &[f32]) {
    for ((out, at), g) in out.iter_mut().zip(at).zip(g) {
        *out += if *at == here { *g } else { 0.0 };
    }
}

/// Cells that count in the mean of a window along one axis.
fn counted(pool: &Pool, axis: usize, o: usize, size: usize, count_border: bool) -> usize {
    let start = o * pool.stride[axis];
    let end = start + pool.kernel[axis];
    let [before, after] = pool.padding[axis];
    let (lo, hi) = if count_border {
        (0, size + before + after)
    } else {
        (before, size + before)
    };
    end.min(hi).saturating_sub(start.max(lo))
}

/// One over the number of cells that count in a window's mean.
fn share(pool: &Pool, oy: usize, ox: usize, size: [usize; 2], count_border: bool) -> f32 {
    let cells =
        counted(pool, 0, oy, size[0], count_border) * counted(pool, 1, ox, size[1], count_border);
    1.0 / cells.max(1) as f32
}

/// Mean over windows.
pub(super) fn avg(isa: Isa, x: &Plane<'_>, pool: &Pool, count_border: bool) -> Vec<f32> {
    let [h, w] = x.size;
    over_outputs(
        x.images,
        out_size(pool, x.size),
        x.channels,
        |out, n, oy, ox| {
            out.fill(0.0);
            let share = share(pool, oy, ox, x.size, count_border);
            for (_, iy) in taps(pool, 0, oy, h) {
                for (_, ix) in taps(pool, 1, ox, w) {
                    dispatch!(isa, add_scaled(
                        out: &mut [f32] = out,
                        x: &[f32] = x.pixel((n * h + iy) * w + ix),
                        factor: f32 = 1.0,
                    ));
                }
            }
            for v in out.iter_mut() {
                *v *= share;
            }
        },
    )
}

/// The gradient of [`avg`] for an input of `size`.
pub(super) fn avg_grad(
    isa: Isa,
    g: &Plane<'_>,
    pool: &Pool,
    count_border: bool,
    size: [usize; 2],
) -> Vec<f32> {
    let [oh, ow] = g.size;
    over_outputs(g.images, size, g.channels, |out, n, iy, ix| {
        out.fill(0.0);
        for oy in readers(pool, 0, iy, oh) {
            for ox in readers(pool, 1, ix, ow) {
                dispatch!(isa, add_scaled(
                    out: &mut [f32] = out,
                    x: &[f32] = g.pixel((n * oh + oy) * ow + ox),
                    factor: f32 = share(pool, oy, ox, size, count_border),
                ));
            }
        }
    })
}

/// Windows along an axis that read position `i`.
fn readers(pool: &Pool, axis: usize, i: usize, out: usize) -> std::ops::Range<usize> {
    let at = i + pool.padding[axis][0];
    let low = (at + 1)
        .saturating_sub(pool.kernel[axis])
        .div_ceil(pool.stride[axis]);
    let high = (at / pool.stride[axis] + 1).min(out);
    low.min(high)..high
}

/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn add_scaled<S: Simd>(out: &mut [f32], x: &[f32], factor: f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += x * factor;
    }
}

/// One value per channel of each image over a whole plane, times `factor`.
pub(super) fn spread(isa: Isa, g: &Plane<'_>, size: [usize; 2], factor: f32) -> Vec<f32> {
    over_outputs(g.images, size, g.channels, |out, n, _, _| {
        out.fill(0.0);
        dispatch!(isa, add_scaled(
            out: &mut [f32] = out,
            x: &[f32] = g.pixel(n),
            factor: f32 = factor,
        ));
    })
}
