//! 3x3 convolution by Winograd's F(4x4, 3x3): a quarter of the products (Lavin and Gray, CVPR 2016,
//! arXiv 1509.09308).
//!
//! Each 6x6 patch d of an input channel becomes `B^T d B`, each kernel g `G g G^T`; 36 matrix products over channels
//! follow, and `A^T m A` gives 4x4 outputs. Sums round a little differently than direct ones (2e-6 of the largest
//! logit in VGG-16), enough to open or close single rectifiers; so it serves scores and gradients, whose
//! rectifiers are fixed, and not traces. With channels as lanes none of the transforms shuffles anything.

#![allow(clippy::needless_range_loop)] // rows and columns of small matrices read best by index

use std::cell::RefCell;

use rayon::prelude::*;

use super::conv::{After, Source, Strides, Windows};
use super::pack::{Filters, Packed};
use super::simd::{Isa, Simd, dispatch};
use super::tile::{Finish, Piece, Tile, tiles};

/// Rows and columns of a patch, and their product.
const PATCH: usize = 6;
const POINTS: usize = PATCH * PATCH;
/// Rows and columns of outputs of a patch.
const OUT: usize = 4;
/// Numbers of transformed input and output that a task works on.
const BLOCK: usize = 320 * 1024;
/// Numbers that are summed in registers at a time; see `conv`.
const CHAIN: usize = 256;

/// Transformed and packed weights, one matrix for each point of a patch.
pub(super) struct Transformed {
    outputs: usize,
    inputs: usize,
    points: Vec<Packed>,
}

/// `G` of F(4x4, 3x3).
const G: [[f64; 3]; PATCH] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

impl Transformed {
    pub(super) fn new(
        isa: Isa,
        outputs: usize,
        inputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let filters = Filters {
            groups: 1,
            outputs,
            inputs,
            kernel: [1, 1],
        };
        let mut all = vec![0f32; outputs * inputs * POINTS];
        all.par_chunks_mut((inputs * POINTS).max(1))
            .enumerate()
            .for_each(|(o, row)| {
                for (i, u) in row.chunks_exact_mut(POINTS).enumerate() {
                    let g: [[f64; 3]; 3] = std::array::from_fn(|y| {
                        std::array::from_fn(|x| f64::from(weight(o, i, y, x)))
                    });
                    for (y, row) in u.chunks_exact_mut(PATCH).enumerate() {
                        for (x, u) in row.iter_mut().enumerate() {
                            let mut sum = 0.0;
                            for (ky, gy) in G[y].iter().enumerate() {
                                for (kx, gx) in G[x].iter().enumerate() {
                                    sum += gy * gx * g[ky][kx];
                                }
                            }
                            *u = sum as f32;
                        }
                    }
                }
            });
        let points = (0..POINTS)
            .map(|p| {
                Packed::new(isa, filters, |o, i, _, _| {
                    all[(o * inputs + i) * POINTS + p]
                })
            })
            .collect();
        Self {
            outputs,
            inputs,
            points,
        }
    }
}

/// Whether it is worth while for weights `[out, in, rows, columns]` and an output of `size`.
pub(super) fn pays(
    isa: Isa,
    groups: usize,
    [outputs, inputs, kh, kw]: [usize; 4],
    dilation: [usize; 2],
    images: usize,
    size: [usize; 2],
) -> bool {
    let patches = images * size[0].div_ceil(OUT) * size[1].div_ceil(OUT);
    isa != Isa::Portable
        && groups == 1
        && [kh, kw] == [3, 3]
        && dilation == [1, 1]
        && inputs >= 32
        && outputs >= 32
        // Edges waste part of a patch, and the weights, four times as many, are read once for all patches.
        && size[0] * size[1] >= 144
        && patches >= 36
}

thread_local! {
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

#[derive(Clone, Copy)]
struct Shared(*mut f32);
// SAFETY: tasks write the outputs of their own patches.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn get(self) -> *mut f32 {
        self.0
    }
}

/// Convolves with stride 1.
///
/// # Panics
/// Where the slices are shorter than the geometry says.
pub(super) fn convolve(
    isa: Isa,
    x: Source<'_>,
    windows: &Windows,
    weights: &Transformed,
    after: &After<'_>,
    y: &mut [f32],
    y_strides: Strides,
) {
    let Windows {
        images, size, out, ..
    } = *windows;
    let (inputs, outputs) = (weights.inputs, weights.outputs);
    if images * out[0] * out[1] == 0 {
        return;
    }
    assert!(x.data.len() >= x.strides.end(images, size, inputs));
    assert!(y.len() >= y_strides.end(images, out, outputs));
    if let Some(added) = &after.added {
        assert!(added.data.len() >= added.strides.end(images, out, outputs));
    }
    assert!(after.fits(outputs));
    let grid = [out[0].div_ceil(OUT), out[1].div_ceil(OUT)];
    let patches = images * grid[0] * grid[1];
    let threads = rayon::current_num_threads();
    let most = (BLOCK / (POINTS * (inputs + outputs))).clamp(14, 112);
    let tasks = patches
        .div_ceil(most)
        .next_multiple_of(threads)
        .min(patches);
    let target = Shared(y.as_mut_ptr());
    let task = |task: usize| {
        let range = task * patches / tasks..(task + 1) * patches / tasks;
        SCRATCH.with(|scratch| {
            let (mut v, mut m) = scratch.take();
            let count = range.len();
            if v.len() < POINTS * count * inputs {
                v.resize(POINTS * count * inputs, 0.0);
            }
            if m.len() < POINTS * count * outputs {
                m.resize(POINTS * count * outputs, 0.0);
            }
            let part = Part {
                windows,
                grid,
                first: range.start,
                count,
            };
            dispatch!(isa, transform_input(
                x: &Source<'_> = &x,
                part: &Part<'_> = &part,
                inputs: usize = inputs,
                v: &mut [f32] = &mut v,
            ));
            multiply(isa, weights, count, &v, &mut m);
            dispatch!(isa, transform_output(
                m: &[f32] = &m,
                part: &Part<'_> = &part,
                outputs: usize = outputs,
                after: &After<'_> = after,
                y: *mut f32 = target.get(),
                y_strides: Strides = y_strides,
            ));
            scratch.replace((v, m));
        });
    };
    if tasks == 1 {
        task(0);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// The patches of a task.
struct Part<'a> {
    windows: &'a Windows,
    grid: [usize; 2],
    first: usize,
    count: usize,
}

impl Part<'_> {
    /// Image, and row and column of the first output, of patch `i` of this part.
    fn place(&self, i: usize) -> (usize, usize, usize) {
        let patch = self.first + i;
        let [rows, columns] = self.grid;
        (
            patch / (rows * columns),
            patch / columns % rows * OUT,
            patch % columns * OUT,
        )
    }
}

/// One row or column of `B^T d`.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn b_transposed<S: Simd>(d: [S::V; PATCH]) -> [S::V; PATCH] {
    // SAFETY: the caller's.
    unsafe {
        let [d0, d1, d2, d3, d4, d5] = d;
        let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(5.0));
        let minus = |a: S::V, k: S::V, b: S::V| S::sub(a, S::mul(k, b));
        let p = minus(d4, four, d2);
        let q = minus(d3, four, d1);
        let r = S::sub(d4, d2);
        let s = S::mul(two, S::sub(d3, d1));
        [
            S::add(minus(S::mul(four, d0), five, d2), d4),
            S::add(p, q),
            S::sub(p, q),
            S::add(r, s),
            S::sub(r, s),
            S::add(minus(S::mul(four, d1), five, d3), d5),
        ]
    }
}

/// One row or column of `A^T m`.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn a_transposed<S: Simd>(m: [S::V; PATCH]) -> [S::V; OUT] {
    // SAFETY: the caller's.
    unsafe {
        let [m0, m1, m2, m3, m4, m5] = m;
        let (s1, d1) = (S::add(m1, m2), S::sub(m1, m2));
        let (s2, d2) = (S::add(m3, m4), S::sub(m3, m4));
        [
            S::add(S::add(m0, s1), s2),
            S::fma(S::splat(2.0), d2, d1),
            S::fma(S::splat(4.0), s2, s1),
            S::add(S::fma(S::splat(8.0), d2, d1), m5),
        ]
    }
}

/// `B^T d B` of every patch: `v[point][patch][channel]`.
///
/// # Safety
/// As [`Simd`]; extents were checked by [`convolve`], `v` has room for all patches.
#[inline(always)]
unsafe fn transform_input<S: Simd>(x: &Source<'_>, part: &Part<'_>, inputs: usize, v: &mut [f32]) {
    let size = part.windows.size;
    let zero = unsafe { S::splat(0.0) };
    for i in 0..part.count {
        let (image, oy, ox) = part.place(i);
        let top = part.windows.origin[0] + oy as isize;
        let left = part.windows.origin[1] + ox as isize;
        let rows: [bool; PATCH] = std::array::from_fn(|r| {
            let y = top + r as isize;
            y >= 0 && (y as usize) < size[0]
        });
        let columns: [bool; PATCH] = std::array::from_fn(|c| {
            let x = left + c as isize;
            x >= 0 && (x as usize) < size[1]
        });
        let start = (image * x.strides.image) as isize
            + top * x.strides.row as isize
            + left * x.strides.pixel as isize;
        let mut channel = 0;
        while channel < inputs {
            let n = inputs - channel;
            // SAFETY: only cells inside the plane are read; `v` holds `POINTS * count * inputs` numbers.
            unsafe {
                let mut half = [[zero; PATCH]; PATCH];
                for c in 0..PATCH {
                    let mut d = [zero; PATCH];
                    if columns[c] {
                        for r in 0..PATCH {
                            if rows[r] {
                                let at = start
                                    + (r * x.strides.row + c * x.strides.pixel + channel) as isize;
                                d[r] = load::<S>(x.data.as_ptr().offset(at), n);
                            }
                        }
                    }
                    let t = b_transposed::<S>(d);
                    for r in 0..PATCH {
                        half[r][c] = t[r];
                    }
                }
                for (r, half) in half.iter().enumerate() {
                    let t = b_transposed::<S>(*half);
                    for (c, t) in t.into_iter().enumerate() {
                        let at = ((r * PATCH + c) * part.count + i) * inputs + channel;
                        store::<S>(v.as_mut_ptr().add(at), n, t);
                    }
                }
            }
            channel += S::LANES;
        }
    }
}

/// The 36 matrix products: `m[point][patch][output] = sum_channel v[point][patch][channel] u[point]`.
fn multiply(isa: Isa, weights: &Transformed, count: usize, v: &[f32], m: &mut [f32]) {
    let kernels = tiles(isa);
    let (inputs, outputs) = (weights.inputs, weights.outputs);
    assert!(v.len() >= POINTS * count * inputs && m.len() >= POINTS * count * outputs);
    let parts = inputs.div_ceil(CHAIN);
    for (point, packed) in weights.points.iter().enumerate() {
        let a = &v[point * count * inputs..];
        let c = &mut m[point * count * outputs..(point + 1) * count * outputs];
        for panel in 0..packed.panels {
            let first = panel * packed.panel;
            let channels = packed.panel.min(outputs - first);
            let loops = if channels <= kernels.lanes {
                kernels.narrow
            } else {
                kernels.full
            };
            let rows = packed.rows(panel);
            for part in 0..parts {
                let (from, to) = (part * inputs / parts, (part + 1) * inputs / parts);
                let pieces = [Piece {
                    offset: from,
                    len: to - from,
                }];
                let groups = count.div_ceil(loops.len());
                let mut done = 0;
                for group in 0..groups {
                    let end = (group + 1) * count / groups;
                    let tile = Tile {
                        pieces: &pieces,
                        a: a[done * inputs..].as_ptr(),
                        a_step: inputs,
                        b: rows[from * packed.panel..].as_ptr(),
                        b_step: packed.panel,
                        c: c[done * outputs + first..].as_mut_ptr(),
                        c_step: outputs,
                        channels,
                        resume: part > 0,
                        last: false,
                        scale: std::ptr::null(),
                        bias: std::ptr::null(),
                        added: std::ptr::null(),
                        added_step: 0,
                        finish: Finish::Plain,
                    };
                    // SAFETY: `a` and `c` hold `count` rows from here on, the panel `inputs` rows.
                    unsafe { loops[end - done - 1](&tile) };
                    done = end;
                }
            }
        }
    }
}

/// `A^T m A` of every patch, bias, sum and finish, into the output.
///
/// # Safety
/// As [`Simd`]; extents were checked by [`convolve`], and no other task writes the outputs of these patches.
#[inline(always)]
unsafe fn transform_output<S: Simd>(
    m: &[f32],
    part: &Part<'_>,
    outputs: usize,
    after: &After<'_>,
    y: *mut f32,
    y_strides: Strides,
) {
    let out = part.windows.out;
    for i in 0..part.count {
        let (image, oy, ox) = part.place(i);
        let (rows, columns) = (OUT.min(out[0] - oy), OUT.min(out[1] - ox));
        let mut channel = 0;
        while channel < outputs {
            let n = outputs - channel;
            // SAFETY: `m` holds `POINTS * count * outputs` numbers; only outputs inside the plane are written.
            unsafe {
                let number = |all: Option<&[f32]>, none: f32| match all {
                    Some(all) => load::<S>(all.as_ptr().add(channel), n),
                    None => S::splat(none),
                };
                let (scale, bias) = (number(after.scale, 1.0), number(after.bias, 0.0));
                let mut half = [[S::splat(0.0); PATCH]; OUT];
                for c in 0..PATCH {
                    let mut column = [S::splat(0.0); PATCH];
                    for (r, v) in column.iter_mut().enumerate() {
                        let at = ((r * PATCH + c) * part.count + i) * outputs + channel;
                        *v = load::<S>(m.as_ptr().add(at), n);
                    }
                    let t = a_transposed::<S>(column);
                    for r in 0..OUT {
                        half[r][c] = t[r];
                    }
                }
                for (r, half) in half.iter().enumerate().take(rows) {
                    let t = a_transposed::<S>(*half);
                    for (c, t) in t.into_iter().enumerate() {
                        if c >= columns {
                            break;
                        }
                        let mut v = S::fma(t, scale, bias);
                        if let Some(added) = after.added {
                            let at = added.strides.at(image, oy + r, ox + c) + channel;
                            v = S::add(v, load::<S>(added.data.as_ptr().add(at), n));
                        }
                        if let Finish::Clamp(lo, hi) = after.finish {
                            v = S::at_most(S::at_least(v, S::splat(lo)), S::splat(hi));
                        }
                        let at = y_strides.at(image, oy + r, ox + c) + channel;
                        store::<S>(y.add(at), n, v);
                    }
                }
            }
            channel += S::LANES;
        }
    }
}

/// # Safety
/// As [`Simd`], for `n` numbers or a whole vector.
#[inline(always)]
unsafe fn load<S: Simd>(p: *const f32, n: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        if n >= S::LANES {
            S::load(p)
        } else {
            S::load_first(p, n)
        }
    }
}

/// # Safety
/// As [`Simd`], for `n` numbers or a whole vector.
#[inline(always)]
unsafe fn store<S: Simd>(p: *mut f32, n: usize, v: S::V) {
    // SAFETY: the caller's.
    unsafe {
        if n >= S::LANES {
            S::store(p, v);
        } else {
            S::store_first(p, n, v);
        }
    }
}
