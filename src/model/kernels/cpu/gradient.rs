//! A convolution's gradient at its input, as convolutions of the gradient at its output.
//!
//! With a stride of s the input's pixels fall into s x s sets, by the remainders of their row and column; each set is
//! reached by its own taps, and its gradient is an ordinary convolution of the given one with these. Where the input
//! has few channels (an image), a set would use a few lanes of a vector only: there all sets come out of one
//! convolution, as channels side by side, and are put into their places.

use std::sync::Arc;

use rayon::prelude::*;

use super::arena::buffer;
use super::conv::{After, Source, Strides, Windows};
use super::depthwise::Taps;
use super::forms::{Algorithm, Key, Numbers, get_or_make, is_depthwise};
use super::pack::{Filters, Packed};
use super::plane::Plane;
use super::simd::Isa;
use super::tile::{Finish, tiles};
use super::winograd::{self, Transformed};
use crate::error::Result;
use crate::model::kernels::Chain;

/// A layer, ready to take a gradient back to its input.
pub(super) struct Backward {
    phases: Vec<Phase>,
    /// All phases as one convolution with their channels side by side, and where its windows begin.
    merged: Option<(Packed, [isize; 2])>,
    stride: [usize; 2],
    dilation: [usize; 2],
    inputs: usize,
}

struct Phase {
    /// First row and column of the set.
    at: [usize; 2],
    origin: [isize; 2],
    /// `None` where no tap reaches the set.
    algorithm: Option<Algorithm>,
}

/// Taps of one axis that reach the inputs whose place leaves `remainder`.
struct AxisTaps {
    /// Kernel positions in the order in which the gradient is read.
    taps: Vec<usize>,
    origin: isize,
}

fn axis_taps(kernel: usize, stride: usize, dilation: usize, before: usize, at: usize) -> AxisTaps {
    if stride == 1 {
        return AxisTaps {
            taps: (0..kernel).rev().collect(),
            origin: before as isize - (dilation * (kernel - 1)) as isize,
        };
    }
    let (remainder, offset) = ((at + before) % stride, (at + before) / stride);
    let mut taps: Vec<usize> = (remainder..kernel).step_by(stride).collect();
    taps.reverse();
    AxisTaps {
        origin: offset as isize + 1 - taps.len() as isize,
        taps,
    }
}

/// The form of a chain's gradient; `None` for a stride with a dilation. `dims` is the input's shape.
pub(super) fn backward(
    isa: Isa,
    chain: &Chain<'_>,
    dims: [usize; 4],
) -> Result<Option<Arc<Backward>>> {
    let conv = chain.conv;
    let (stride, dilation) = (conv.stride, conv.dilation);
    if (0..2).any(|a| stride[a] > 1 && dilation[a] > 1) {
        return Ok(None);
    }
    let weight_dims = conv.weight_dims()?;
    let turned = [
        weight_dims[1],
        weight_dims[0],
        weight_dims[2],
        weight_dims[3],
    ];
    let winograd = stride == [1, 1]
        && winograd::pays(
            isa,
            conv.groups,
            turned,
            dilation,
            dims[0],
            [dims[2], dims[3]],
        );
    let key = Key {
        isa,
        folded: chain.norm.is_some(),
        winograd,
    };
    get_or_make(&conv.prepared.0.backward, key, || {
        let numbers = Numbers::of(conv, chain.norm.map(|norm| &norm.scale))?;
        let [outputs, inputs, kh, kw] = weight_dims;
        let (groups, kernel) = (conv.groups, [kh, kw]);
        let each = outputs / groups;
        let mut phases = Vec::with_capacity(stride[0] * stride[1]);
        let merged = merged(isa, chain, weight_dims, &numbers);
        if merged.is_some() {
            return Ok(Backward {
                phases,
                merged,
                stride,
                dilation,
                inputs,
            });
        }
        for py in 0..stride[0] {
            for px in 0..stride[1] {
                let at = [py, px];
                let axes = [0, 1].map(|a| {
                    axis_taps(kernel[a], stride[a], dilation[a], conv.padding[a][0], at[a])
                });
                let [ys, xs] = [&axes[0].taps, &axes[1].taps];
                let algorithm = if ys.is_empty() || xs.is_empty() {
                    None
                } else if is_depthwise(conv, weight_dims) {
                    Some(Algorithm::Depthwise(Taps::new(
                        outputs,
                        [ys.len(), xs.len()],
                        |c, ky, kx| numbers.at(c, 0, ys[ky], xs[kx]),
                    )))
                } else if winograd {
                    Some(Algorithm::Winograd(Transformed::new(
                        isa,
                        inputs,
                        outputs,
                        |i, o, ky, kx| numbers.at(o, i, ys[ky], xs[kx]),
                    )))
                } else {
                    let filters = Filters {
                        groups,
                        outputs: inputs,
                        inputs: each,
                        kernel: [ys.len(), xs.len()],
                    };
                    Some(Algorithm::Direct(Packed::new(
                        isa,
                        filters,
                        |i, o, ky, kx| {
                            let group = i / inputs;
                            numbers.at(group * each + o, i % inputs, ys[ky], xs[kx])
                        },
                    )))
                };
                phases.push(Phase {
                    at,
                    origin: [axes[0].origin, axes[1].origin],
                    algorithm,
                });
            }
        }
        Ok(Backward {
            phases,
            merged,
            stride,
            dilation,
            inputs: inputs * groups,
        })
    })
    .map(Some)
}

/// All phases of a stride as one convolution, where their channels fit one panel.
fn merged(
    isa: Isa,
    chain: &Chain<'_>,
    [outputs, inputs, kh, kw]: [usize; 4],
    numbers: &Numbers,
) -> Option<(Packed, [isize; 2])> {
    let conv = chain.conv;
    let [sy, sx] = conv.stride;
    if sy * sx == 1
        || conv.groups != 1
        || conv.dilation != [1, 1]
        || sy * sx * inputs > tiles(isa).panel
    {
        return None;
    }
    let axis = |a: usize, kernel: usize, stride: usize| -> Vec<AxisTaps> {
        (0..stride)
            .map(|at| axis_taps(kernel, stride, 1, conv.padding[a][0], at))
            .collect()
    };
    let axes = [axis(0, kh, sy), axis(1, kw, sx)];
    // A window that holds the windows of all phases.
    let first = |axis: &[AxisTaps]| axis.iter().map(|taps| taps.origin).min();
    let end = |taps: &AxisTaps| taps.origin + taps.taps.len() as isize;
    let last = |axis: &[AxisTaps]| axis.iter().map(end).max();
    let origin = [first(&axes[0])?, first(&axes[1])?];
    let kernel = [
        usize::try_from(last(&axes[0])? - origin[0]).ok()?,
        usize::try_from(last(&axes[1])? - origin[1]).ok()?,
    ];
    let tap = |a: usize, phase: usize, at: usize| -> Option<usize> {
        let taps = &axes[a][phase];
        let place = usize::try_from(at as isize + origin[a] - taps.origin).ok()?;
        taps.taps.get(place).copied()
    };
    let filters = Filters {
        groups: 1,
        outputs: sy * sx * inputs,
        inputs: outputs,
        kernel,
    };
    let packed = Packed::new(isa, filters, |output, o, ky, kx| {
        let (phase, i) = (output / inputs, output % inputs);
        match (tap(0, phase / sx, ky), tap(1, phase % sx, kx)) {
            (Some(y), Some(x)) => numbers.at(o, i, y, x),
            _ => 0.0,
        }
    });
    Some((packed, origin))
}

impl Backward {
    /// The gradient at an input of `size`, and what `finish` makes of it and of `other`: their sum or their product.
    pub(super) fn run(
        &self,
        isa: Isa,
        g: &Plane<'_>,
        other: Option<&Plane<'_>>,
        size: [usize; 2],
        finish: Finish,
    ) -> Vec<f32> {
        let dense = Strides::dense(size, self.inputs);
        let mut out = buffer(g.images * size[0] * size[1] * self.inputs);
        if let Some((packed, origin)) = &self.merged {
            self.run_merged(isa, g, (packed, *origin), size, &mut out);
            finish_all(&mut out, self.inputs, other, finish);
            return out;
        }
        if self.phases.iter().any(|phase| phase.algorithm.is_none()) {
            // Places that no window reads keep what has arrived there.
            match other.filter(|_| finish == Finish::Plain) {
                Some(sum) => {
                    for (i, out) in out.chunks_exact_mut(self.inputs).enumerate() {
                        out.copy_from_slice(sum.pixel(i));
                    }
                }
                None => out.fill(0.0),
            }
        }
        for phase in &self.phases {
            let Some(algorithm) = &phase.algorithm else {
                continue;
            };
            let of_phase =
                [0, 1].map(|a| size[a].saturating_sub(phase.at[a]).div_ceil(self.stride[a]));
            if of_phase.contains(&0) {
                continue;
            }
            let windows = Windows {
                images: g.images,
                size: g.size,
                out: of_phase,
                stride: [1, 1],
                dilation: self.dilation,
                origin: phase.origin,
            };
            let spread = |strides: Strides| Strides {
                image: strides.image,
                row: strides.row * self.stride[0],
                pixel: strides.pixel * self.stride[1],
            };
            let first = |s: Strides| s.at(0, phase.at[0], phase.at[1]);
            let after = After {
                added: other.map(|other| Source {
                    data: &other.data[first(other.strides)..],
                    strides: spread(other.strides),
                }),
                finish,
                ..After::NOTHING
            };
            let (y, strides) = (&mut out[first(dense)..], spread(dense));
            algorithm.run(isa, g.source(), &windows, &after, y, strides);
        }
        out
    }

    fn run_merged(
        &self,
        isa: Isa,
        g: &Plane<'_>,
        (packed, origin): (&Packed, [isize; 2]),
        size: [usize; 2],
        out: &mut [f32],
    ) {
        let ([sy, sx], inputs) = (self.stride, self.inputs);
        let grid = [size[0].div_ceil(sy), size[1].div_ceil(sx)];
        let channels = sy * sx * inputs;
        let windows = Windows {
            images: g.images,
            size: g.size,
            out: grid,
            stride: [1, 1],
            dilation: [1, 1],
            origin,
        };
        let mut side_by_side = buffer(g.images * grid[0] * grid[1] * channels);
        super::conv::convolve(
            isa,
            g.source(),
            &windows,
            packed,
            &After::NOTHING,
            &mut side_by_side,
            Strides::dense(grid, channels),
        );
        out.par_chunks_mut((size[1] * inputs).max(1))
            .enumerate()
            .for_each(|(row, out)| {
                let (image, y) = (row / size[0], row % size[0]);
                let from = (image * grid[0] + y / sy) * grid[1] * channels;
                // The phases of this row lie side by side, a run of `sx` pixels in each place of the grid.
                let phases = y % sy * sx * inputs;
                let runs = side_by_side[from..from + grid[1] * channels].chunks_exact(channels);
                for (to, run) in out.chunks_mut(sx * inputs).zip(runs) {
                    to.copy_from_slice(&run[phases..phases + to.len()]);
                }
            });
    }
}

/// Sums with or multiplies by another plane.
fn finish_all(out: &mut [f32], channels: usize, other: Option<&Plane<'_>>, finish: Finish) {
    let Some(other) = other else {
        return;
    };
    out.par_chunks_mut(channels.max(1) * 256)
        .enumerate()
        .for_each(|(chunk, out)| {
            for (i, out) in out.chunks_exact_mut(channels).enumerate() {
                for (out, other) in out.iter_mut().zip(other.pixel(chunk * 256 + i)) {
                    match finish {
                        Finish::Times => *out *= other,
                        _ => *out += other,
                    }
                }
            }
        });
}
