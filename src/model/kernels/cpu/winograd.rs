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

use super::arena::buffer;
use super::conv::{After, Source, Strides, Windows};
use super::pack::{Filters, Packed};
use super::simd::{Isa, Shared, Simd, dispatch, load, store};
use super::tile::{Finish, Piece, Tile, tiles};

/// Rows and columns of a patch, and their product.
const PATCH: usize = 6;
const POINTS: usize = PATCH * PATCH;
/// Rows and columns of outputs of a patch.
const OUT: usize = 4;
/// Numbers of transformed input and output that a task works on.
const BLOCK: usize = 320 * 1024;
/// Transformed weights that are too many for a cache, in numbers: they are read once for all patches.
const HEAVY: usize = 1024 * 1024;
/// Most numbers of transformed input and output that are kept at once for that.
const WHOLE: usize = 16 * 1024 * 1024;
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
                // Points outermost, so that packing reads runs of numbers.
                for i in 0..inputs {
                    let g: [[f64; 3]; 3] = std::array::from_fn(|y| {
                        std::array::from_fn(|x| f64::from(weight(o, i, y, x)))
                    });
                    let half: [[f64; 3]; PATCH] = std::array::from_fn(|y| {
                        std::array::from_fn(|x| (0..3).map(|k| G[y][k] * g[k][x]).sum())
                    });
                    for y in 0..PATCH {
                        for x in 0..PATCH {
                            let sum: f64 = (0..3).map(|k| half[y][k] * G[x][k]).sum();
                            row[(y * PATCH + x) * inputs + i] = sum as f32;
                        }
                    }
                }
            });
        let points = (0..POINTS)
            .map(|p| {
                Packed::new(isa, filters, |o, i, _, _| {
                    all[(o * POINTS + p) * inputs + i]
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
    let call = Call {
        isa,
        x,
        windows,
        weights,
        after,
        y: Shared(y.as_mut_ptr()),
        y_strides,
        grid,
        patches,
    };
    let heavy = POINTS * inputs * outputs > HEAVY;
    if heavy && patches * POINTS * (inputs + outputs) <= WHOLE {
        call.in_phases();
    } else {
        call.in_blocks();
    }
}

/// Everything that the tasks of one convolution share.
struct Call<'a> {
    isa: Isa,
    x: Source<'a>,
    windows: &'a Windows,
    weights: &'a Transformed,
    after: &'a After<'a>,
    y: Shared,
    y_strides: Strides,
    grid: [usize; 2],
    patches: usize,
}

// SAFETY: everything but `y` is shared for reading; of `y` see `Shared`.
unsafe impl Sync for Call<'_> {}

impl Call<'_> {
    /// Tasks take some patches through all three steps, so that what they transform stays in their cache; each
    /// reads all weights.
    fn in_blocks(&self) {
        let (inputs, outputs) = (self.weights.inputs, self.weights.outputs);
        let threads = rayon::current_num_threads();
        let most = (BLOCK / (POINTS * (inputs + outputs))).clamp(14, 112);
        let tasks = self
            .patches
            .div_ceil(most)
            .next_multiple_of(threads)
            .min(self.patches);
        let task = |task: usize| {
            let first = task * self.patches / tasks;
            let count = (task + 1) * self.patches / tasks - first;
            SCRATCH.with(|scratch| {
                let (mut v, mut m) = scratch.take();
                if v.len() < POINTS * count * inputs {
                    v.resize(POINTS * count * inputs, 0.0);
                }
                if m.len() < POINTS * count * outputs {
                    m.resize(POINTS * count * outputs, 0.0);
                }
                let part = Part {
                    first,
                    count,
                    row: 0,
                    rows: count,
                };
                self.input(&part, Shared(v.as_mut_ptr()));
                for point in 0..POINTS {
                    let a = &v[point * count * inputs..][..count * inputs];
                    let c = &mut m[point * count * outputs..][..count * outputs];
                    multiply(self.isa, self.weights, point, count, a, c);
                }
                self.output(&part, &m);
                scratch.replace((v, m));
            });
        };
        if tasks == 1 {
            task(0);
        } else {
            (0..tasks).into_par_iter().with_max_len(1).for_each(task);
        }
    }

    /// One step after the other over all patches, so that weights too large for a cache are read once.
    fn in_phases(&self) {
        let (inputs, outputs, all) = (self.weights.inputs, self.weights.outputs, self.patches);
        let mut v = buffer(POINTS * all * inputs);
        let mut m = buffer(POINTS * all * outputs);
        let parts = (4 * rayon::current_num_threads()).min(all);
        let part = |i: usize| {
            let first = i * all / parts;
            Part {
                first,
                count: (i + 1) * all / parts - first,
                row: first,
                rows: all,
            }
        };
        let target = Shared(v.as_mut_ptr());
        (0..parts)
            .into_par_iter()
            .for_each(|i| self.input(&part(i), target));
        m.par_chunks_mut(all * outputs)
            .zip(v.par_chunks(all * inputs))
            .enumerate()
            .for_each(|(point, (c, a))| multiply(self.isa, self.weights, point, all, a, c));
        (0..parts)
            .into_par_iter()
            .for_each(|i| self.output(&part(i), &m));
    }

    fn input(&self, part: &Part, v: Shared) {
        dispatch!(self.isa, transform_input(
            call: &Call<'_> = self,
            part: &Part = part,
            v: *mut f32 = v.get(),
        ));
    }

    fn output(&self, part: &Part, m: &[f32]) {
        dispatch!(self.isa, transform_output(
            call: &Call<'_> = self,
            part: &Part = part,
            m: &[f32] = m,
        ));
    }

    /// Image, and row and column of the first output, of a patch.
    fn place(&self, patch: usize) -> (usize, usize, usize) {
        let [rows, columns] = self.grid;
        (
            patch / (rows * columns),
            patch / columns % rows * OUT,
            patch % columns * OUT,
        )
    }
}

/// Some patches, and where they stand among the `rows` rows that each point of `v` and `m` has.
struct Part {
    first: usize,
    count: usize,
    row: usize,
    rows: usize,
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

/// `B^T d B` of every patch of a part: `v[point][row][channel]`.
///
/// # Safety
/// As [`Simd`]; extents were checked by [`convolve`], `v` has `part.rows` rows of channels for each point, and no
/// other task writes those of this part.
#[inline(always)]
unsafe fn transform_input<S: Simd>(call: &Call<'_>, part: &Part, v: *mut f32) {
    let (x, windows, inputs) = (&call.x, call.windows, call.weights.inputs);
    let size = windows.size;
    // SAFETY: the caller's.
    let zero = unsafe { S::splat(0.0) };
    for i in 0..part.count {
        let (image, oy, ox) = call.place(part.first + i);
        let top = windows.origin[0] + oy as isize;
        let left = windows.origin[1] + ox as isize;
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
            // SAFETY: only cells inside the plane are read; the rows of `v` are the caller's.
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
                        let row = (r * PATCH + c) * part.rows + part.row + i;
                        store::<S>(v.add(row * inputs + channel), n, t);
                    }
                }
            }
            channel += S::LANES;
        }
    }
}

/// The matrix product of one point: `c[row][output] = sum_channel a[row][channel] u[channel][output]`.
fn multiply(isa: Isa, weights: &Transformed, point: usize, count: usize, a: &[f32], c: &mut [f32]) {
    let kernels = tiles(isa);
    let (inputs, outputs) = (weights.inputs, weights.outputs);
    assert!(a.len() >= count * inputs && c.len() >= count * outputs);
    let parts = inputs.div_ceil(CHAIN);
    let packed = &weights.points[point];
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
                    ahead: (to - from) * packed.panel,
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

/// `A^T m A` of every patch of a part, with scale, bias, sum and finish, into the output.
///
/// # Safety
/// As [`Simd`]; extents were checked by [`convolve`], `m` has `part.rows` rows of outputs for each point, and no other
/// task writes the outputs of these patches.
#[inline(always)]
unsafe fn transform_output<S: Simd>(call: &Call<'_>, part: &Part, m: &[f32]) {
    let (after, y_strides, outputs) = (call.after, call.y_strides, call.weights.outputs);
    let (out, y) = (call.windows.out, call.y.get());
    for i in 0..part.count {
        let (image, oy, ox) = call.place(part.first + i);
        let (rows, columns) = (OUT.min(out[0] - oy), OUT.min(out[1] - ox));
        let mut channel = 0;
        while channel < outputs {
            let n = outputs - channel;
            // SAFETY: the rows of `m` are the caller's; only outputs inside the plane are written.
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
                        let row = (r * PATCH + c) * part.rows + part.row + i;
                        *v = load::<S>(m.as_ptr().add(row * outputs + channel), n);
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
                        let other = after.added.map_or(std::ptr::null(), |added| {
                            let at = added.strides.at(image, oy + r, ox + c) + channel;
                            added.data.as_ptr().wrapping_add(at)
                        });
                        v = after.finish.of::<S>(v, other, n);
                        let at = y_strides.at(image, oy + r, ox + c) + channel;
                        store::<S>(y.add(at), n, v);
                    }
                }
            }
            channel += S::LANES;
        }
    }
}
