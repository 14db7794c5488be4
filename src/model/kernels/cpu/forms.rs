//! What is made of a layer's weights once, for its forward pass; turned round for the gradient: `gradient`.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use super::arena::buffer;
use super::conv::{self, After, Source, Strides, Windows};
use super::depthwise::{self, Taps};
use super::elementwise;
use super::gradient::Backward;
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
    pub(super) backward: Mutex<Vec<(Key, Arc<Backward>)>>,
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
pub(super) struct Key {
    pub(super) isa: Isa,
    pub(super) folded: bool,
    pub(super) winograd: bool,
}

/// The form of a key, made on first use.
pub(super) fn get_or_make<T>(
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
pub(super) struct Numbers {
    weight: Vec<f32>,
    dims: [usize; 4],
    /// Per output channel; multiplied in.
    scale: Option<Vec<f32>>,
}

impl Numbers {
    pub(super) fn of(conv: &Conv2d, scale: Option<&Tensor>) -> Result<Self> {
        Ok(Self {
            weight: conv.weight.flatten_all()?.to_vec1()?,
            dims: conv.weight_dims()?,
            scale: scale.map(|s| s.to_vec1()).transpose()?,
        })
    }

    /// One weight: output channel over all groups, input channel within its group.
    #[inline]
    pub(super) fn at(&self, o: usize, i: usize, ky: usize, kx: usize) -> f32 {
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

pub(super) fn is_depthwise(conv: &Conv2d, [outputs, inputs, _, _]: [usize; 4]) -> bool {
    inputs == 1 && conv.groups == outputs && conv.groups > 1
}

/// How a convolution is computed.
pub(super) enum Algorithm {
    Direct(Packed),
    Depthwise(Taps),
    Winograd(Transformed),
}

impl Algorithm {
    pub(super) fn run(
        &self,
        isa: Isa,
        x: Source<'_>,
        windows: &Windows,
        after: &After<'_>,
        y: &mut [f32],
        y_strides: Strides,
    ) {
        match self {
            Self::Direct(packed) => {
                conv::convolve(isa, x, windows, packed, after, y, y_strides);
            }
            Self::Depthwise(taps) => {
                depthwise::convolve(isa, x, windows, taps, after, y, y_strides);
            }
            Self::Winograd(weights) => {
                winograd::convolve(isa, x, windows, weights, after, y, y_strides);
            }
        }
    }
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
    /// Values, channels and size of the output. What comes of the sums and of `added` is the chain's activation, or
    /// `ending`.
    pub(super) fn run(
        &self,
        isa: Isa,
        x: &Plane<'_>,
        added: Option<&Plane<'_>>,
        chain: &Chain<'_>,
        ending: Option<Finish>,
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
        let finish = match (ending, clamp_of(chain.act)) {
            (Some(ending), _) => ending,
            (None, Some([lo, hi])) => Finish::Clamp(lo, hi),
            (None, None) => Finish::Plain,
        };
        let after = After {
            scale: scale.as_deref(),
            bias: bias.as_deref(),
            added: added.map(Plane::source),
            finish,
        };
        let mut y = buffer(x.images * out[0] * out[1] * self.outputs);
        let strides = Strides::dense(out, self.outputs);
        self.algorithm
            .run(isa, x.source(), &windows, &after, &mut y, strides);
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
