//! What is made of a layer's weights once: packed, BatchNorm multiplied in, turned round for the gradient.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use super::arena::buffer;
use super::conv::{self, After, Source, Strides, Windows};
use super::depthwise::{self, Taps};
use super::elementwise;
use super::pack::{Filters, Packed};
use super::plane::Plane;
use super::simd::Isa;
use super::tile::Finish;
use super::winograd::{self, Transformed};
use crate::error::Result;
use crate::model::kernels::{Chain, Purpose};
use crate::model::op::{Act, Conv2d};

/// The forms of one layer.
#[derive(Default)]
pub struct Cache {
    forward: Mutex<Vec<(Key, Arc<Forward>)>>,
    backward: Mutex<Vec<(Key, Arc<Backward>)>>,
}

impl Cache {
    /// Gives back what only a forward pass needs; the next one makes it again.
    pub(crate) fn forget_forward(&self) {
        self.forward
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Which form: for an instruction set, with or without BatchNorm's scale multiplied in, by which algorithm.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    isa: Isa,
    folded: bool,
    winograd: bool,
}

/// The form of a key, made on first use.
fn get_or_make<T>(
    list: &Mutex<Vec<(Key, Arc<T>)>>,
    key: Key,
    make: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, form)) = list.iter().find(|(k, _)| *k == key) {
        return Ok(Arc::clone(form));
    }
    let form = Arc::new(make()?);
    list.push((key, Arc::clone(&form)));
    Ok(form)
}

/// The range of an activation that is a clamp.
pub(super) fn clamp_of(act: Option<Act>) -> Option<[f32; 2]> {
    match act {
        Some(Act::Relu) => Some([0.0, f32::INFINITY]),
        Some(Act::Clamp { lo, hi }) => Some([lo, hi]),
        _ => None,
    }
}

/// Weights as numbers.
struct Numbers {
    weight: Vec<f32>,
    dims: [usize; 4],
    /// Per output channel; multiplied in.
    scale: Option<Vec<f32>>,
}

impl Numbers {
    fn of(conv: &Conv2d, scale: Option<&Tensor>) -> Result<Self> {
        Ok(Self {
            weight: conv.weight.flatten_all()?.to_vec1()?,
            dims: conv.weight_dims()?,
            scale: scale.map(|s| s.to_vec1()).transpose()?,
        })
    }

    /// One weight: output channel over all groups, input channel within its group.
    #[inline]
    fn at(&self, o: usize, i: usize, ky: usize, kx: usize) -> f32 {
        let [_, inputs, rows, columns] = self.dims;
        let w = self.weight[((o * inputs + i) * rows + ky) * columns + kx];
        match &self.scale {
            Some(scale) => w * scale[o],
            None => w,
        }
    }
}

/// BatchNorm's scale, and its shift together with the convolution's bias.
fn scale_and_bias(chain: &Chain<'_>) -> Result<[Option<Vec<f32>>; 2]> {
    let bias = chain
        .conv
        .bias
        .as_ref()
        .map(|b| b.to_vec1::<f32>())
        .transpose()?;
    let Some(norm) = chain.norm else {
        return Ok([None, bias]);
    };
    let scale = norm.scale.to_vec1::<f32>()?;
    let mut shift = norm.shift.to_vec1::<f32>()?;
    if let Some(bias) = bias {
        for ((shift, bias), scale) in shift.iter_mut().zip(bias).zip(&scale) {
            *shift += bias * scale;
        }
    }
    Ok([Some(scale), Some(shift)])
}

fn is_depthwise(conv: &Conv2d, [outputs, inputs, _, _]: [usize; 4]) -> bool {
    inputs == 1 && conv.groups == outputs && conv.groups > 1
}

/// How a convolution is computed.
enum Algorithm {
    Direct(Packed),
    Depthwise(Taps),
    Winograd(Transformed),
}

/// A layer, ready to run forward.
pub(super) struct Forward {
    algorithm: Algorithm,
    outputs: usize,
    kernel: [usize; 2],
}

/// The form of a chain for an input like `x`.
pub(super) fn forward(
    isa: Isa,
    chain: &Chain<'_>,
    x: &Tensor,
    purpose: Purpose,
) -> Result<Arc<Forward>> {
    let (n, _, h, w) = x.dims4()?;
    let dims = chain.conv.weight_dims()?;
    let out = chain.conv.out([h, w], [dims[2], dims[3]]);
    let winograd = purpose != Purpose::Trace
        && chain.conv.stride == [1, 1]
        && winograd::pays(isa, chain.conv.groups, dims, chain.conv.dilation, n, out);
    let key = Key {
        isa,
        folded: false,
        winograd,
    };
    get_or_make(&chain.conv.prepared.0.forward, key, || {
        let numbers = Numbers::of(chain.conv, None)?;
        let [outputs, inputs, kh, kw] = dims;
        let groups = chain.conv.groups;
        let algorithm = if is_depthwise(chain.conv, dims) {
            Algorithm::Depthwise(Taps::new(outputs, [kh, kw], |c, ky, kx| {
                numbers.at(c, 0, ky, kx)
            }))
        } else if winograd {
            Algorithm::Winograd(Transformed::new(isa, outputs, inputs, |o, i, ky, kx| {
                numbers.at(o, i, ky, kx)
            }))
        } else {
            let filters = Filters {
                groups,
                outputs: outputs / groups,
                inputs,
                kernel: [kh, kw],
            };
            Algorithm::Direct(Packed::new(isa, filters, |o, i, ky, kx| {
                numbers.at(o, i, ky, kx)
            }))
        };
        Ok(Forward {
            algorithm,
            outputs,
            kernel: [kh, kw],
        })
    })
}

impl Forward {
    /// Values, channels and size of the output.
    pub(super) fn run(
        &self,
        isa: Isa,
        x: &Plane<'_>,
        added: Option<&Plane<'_>>,
        chain: &Chain<'_>,
    ) -> Result<(Vec<f32>, usize, [usize; 2])> {
        let conv = chain.conv;
        let [scale, bias] = scale_and_bias(chain)?;
        let out = conv.out(x.size, self.kernel);
        let windows = Windows {
            images: x.images,
            size: x.size,
            out,
            stride: conv.stride,
            dilation: conv.dilation,
            origin: [0, 1].map(|a| -(conv.padding[a][0] as isize)),
        };
        let finish = match clamp_of(chain.act) {
            Some([lo, hi]) => Finish::Clamp(lo, hi),
            None => Finish::Plain,
        };
        let after = After {
            scale: scale.as_deref(),
            bias: bias.as_deref(),
            added: added.map(Plane::source),
            finish,
        };
        let mut y = buffer(x.images * out[0] * out[1] * self.outputs);
        let strides = Strides::dense(out, self.outputs);
        match &self.algorithm {
            Algorithm::Direct(packed) => {
                conv::convolve(isa, x.source(), &windows, packed, &after, &mut y, strides);
            }
            Algorithm::Depthwise(taps) => {
                depthwise::convolve(isa, x.source(), &windows, taps, &after, &mut y, strides);
            }
            Algorithm::Winograd(weights) => {
                winograd::convolve(isa, x.source(), &windows, weights, &after, &mut y, strides);
            }
        }
        if let Some(act) = chain.act
            && finish == Finish::Plain
        {
            activate_all(isa, &mut y, act);
        }
        Ok((y, self.outputs, out))
    }
}

/// An activation over all values, in parallel.
fn activate_all(isa: Isa, values: &mut [f32], act: Act) {
    use rayon::prelude::*;
    values
        .par_chunks_mut(32 * 1024)
        .for_each(|part| elementwise::activate_in_place(isa, part, act));
}

/// A layer, ready to take a gradient back to its input.
///
/// With a stride of s the input's pixels fall into s x s sets, by the remainders of their row and column; each
/// set is reached by its own taps, and its gradient is an ordinary convolution of the given one with these.
pub(super) struct Backward {
    phases: Vec<Phase>,
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
            stride,
            dilation,
            inputs: inputs * groups,
        })
    })
    .map(Some)
}

impl Backward {
    /// The gradient at an input of `size`, plus `sum`.
    pub(super) fn run(
        &self,
        isa: Isa,
        g: &Plane<'_>,
        sum: Option<&Plane<'_>>,
        size: [usize; 2],
    ) -> Vec<f32> {
        let dense = Strides::dense(size, self.inputs);
        let mut out = buffer(g.images * size[0] * size[1] * self.inputs);
        if self.phases.iter().any(|phase| phase.algorithm.is_none()) {
            // Places that no window reads keep what has arrived there.
            match sum {
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
                added: sum.map(|sum| Source {
                    data: &sum.data[first(sum.strides)..],
                    strides: spread(sum.strides),
                }),
                ..After::NOTHING
            };
            let (y, strides) = (&mut out[first(dense)..], spread(dense));
            match algorithm {
                Algorithm::Direct(packed) => {
                    conv::convolve(isa, g.source(), &windows, packed, &after, y, strides);
                }
                Algorithm::Depthwise(taps) => {
                    depthwise::convolve(isa, g.source(), &windows, taps, &after, y, strides);
                }
                Algorithm::Winograd(weights) => {
                    winograd::convolve(isa, g.source(), &windows, weights, &after, y, strides);
                }
            }
        }
        out
    }
}
