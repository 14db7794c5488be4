//! Kernels for the CPU.
//!
//! | file | what it holds |
//! |---|---|
//! | `simd` | vectors behind one trait, the choice of an instruction set at run time |
//! | `tile`, `pack`, `conv` | the inner loop, packed weights, direct convolution |
//! | `winograd` | 3x3 convolution with fewer products, where rounding is free to differ a little |
//! | `depthwise`, `pool`, `linear`, `elementwise`, `zipped`, `math` | everything else that is worth a kernel |
//! | `plane` | candle's tensors as channels-last planes; kernels as candle's custom operations |
//! | `forms`, `gradient` | what is made of a layer's weights once, forward and back |
//! | `arena` | memory that is used again |
//!
//! `unsafe` is fenced into this folder. It stands there for two reasons: vector instructions are unsafe to name, and
//! threads write disjoint parts of one output whose parts are not slices (rows of a plane with gaps).
#![allow(unsafe_code)] // see above; each block says what it relies on

mod arena;
mod conv;
mod depthwise;
mod elementwise;
mod forms;
mod gradient;
mod linear;
mod math;
mod pack;
mod plane;
mod pool;
mod simd;
mod tile;
mod winograd;
mod zipped;

pub use arena::{Recycler, keep_heap};
pub use forms::Cache;
pub use simd::Isa;
pub(crate) use zipped::{paired, vectorised, zipped};

use candle_core::{Shape, Tensor};

use super::{Chain, Denominator, Kernels, Purpose, plain};
use crate::error::Result;
use crate::model::op::{Act, BatchNorm, Conv2d, Op, Pool};
use crate::text::fault;
use arena::buffer;
use plane::{Plane, channels_first, from_pixels, run, run_planes};
use tile::Finish;

/// See the module.
pub struct Cpu {
    isa: Isa,
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Cpu {
    /// Kernels in the best instruction set of this processor.
    pub fn new() -> Self {
        Self {
            isa: Isa::current(),
        }
    }

    /// Kernels in a chosen instruction set, one of [`Isa::available`]; for tests and comparisons. A set that this
    /// processor lacks becomes the portable one.
    pub fn with_isa(isa: Isa) -> Self {
        let isa = if Isa::available().contains(&isa) {
            isa
        } else {
            Isa::Portable
        };
        Self { isa }
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// An operation of this folder over channels-last planes, which gives planes of `channels` and `size`.
    fn planes<F>(&self, name: &'static str, inputs: &[&Tensor], kernel: F) -> Result<Tensor>
    where
        F: FnOnce(Isa, &[Plane<'_>]) -> (Vec<f32>, usize, [usize; 2]) + Send,
    {
        let isa = self.isa;
        run_planes(name, inputs, |planes| {
            let (values, channels, [h, w]) = kernel(isa, planes);
            Ok((values, [planes[0].images, channels, h, w]))
        })
    }

    /// An operation that keeps the shape of its first input.
    fn same<F>(&self, name: &'static str, inputs: &[&Tensor], kernel: F) -> Result<Tensor>
    where
        F: FnOnce(Isa, &[Plane<'_>]) -> Vec<f32> + Send,
    {
        let features = inputs.first().is_some_and(|x| x.rank() == 2);
        if features {
            // Features are planes of one pixel.
            let wide = inputs
                .iter()
                .map(|x| Ok(x.unsqueeze(2)?.unsqueeze(3)?))
                .collect::<Result<Vec<Tensor>>>()?;
            let wide: Vec<&Tensor> = wide.iter().collect();
            return Ok(self.same(name, &wide, kernel)?.flatten_from(1)?);
        }
        self.planes(name, inputs, |isa, planes| {
            let values = kernel(isa, planes);
            (values, planes[0].channels, planes[0].size)
        })
    }

    fn affine(&self, x: &Tensor, norm: &BatchNorm, act: Option<Act>) -> Result<Tensor> {
        let (scale, shift) = (norm.scale.to_vec1::<f32>()?, norm.shift.to_vec1::<f32>()?);
        let range = forms::clamp_of(act).unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        self.same("affine", &[x], |isa, p| {
            elementwise::affine_clamp(isa, &p[0], &scale, &shift, range)
        })
    }

    fn scale(&self, g: &Tensor, factors: &Tensor) -> Result<Tensor> {
        let factors = factors.flatten_all()?.to_vec1::<f32>()?;
        self.same("scale", &[g], |isa, p| {
            elementwise::scale(isa, &p[0], &factors)
        })
    }

    fn mean_places(&self, x: &Tensor) -> Result<Tensor> {
        self.planes("mean", &[x], |isa, p| {
            let share = 1.0 / (p[0].size[0] * p[0].size[1]).max(1) as f32;
            let mut sums = elementwise::sum_places(isa, &p[0], None);
            sums.iter_mut().for_each(|v| *v *= share);
            (sums, p[0].channels, [1, 1])
        })
    }

    /// Concatenates channels, pixel by pixel.
    fn concat(parts: &[&Tensor]) -> Result<Tensor> {
        let pixels = parts
            .iter()
            .map(|x| {
                Ok(plane::channels_last(x)?
                    .permute((0, 2, 3, 1))?
                    .contiguous()?)
            })
            .collect::<Result<Vec<Tensor>>>()?;
        Ok(Tensor::cat(&pixels, 3)?.permute((0, 3, 1, 2))?)
    }

    fn shuffle(&self, x: &Tensor, groups: usize) -> Result<Tensor> {
        self.same("channel-shuffle", &[x], |_, p| {
            let (c, n) = (p[0].channels, p[0].channels / groups.max(1));
            let mut out = buffer(p[0].pixels() * c);
            for (i, out) in out.chunks_exact_mut(c).enumerate() {
                let x = p[0].pixel(i);
                for (j, v) in out.iter_mut().enumerate() {
                    *v = x[j % groups * n + j / groups];
                }
            }
            out
        })
    }

    /// An adaptive mean whose windows all have one size is an ordinary one.
    fn even_pool(x: &Tensor, out: [usize; 2]) -> Result<Option<Pool>> {
        let (_, _, h, w) = x.dims4()?;
        let [oh, ow] = out;
        if oh == 0 || ow == 0 || h % oh != 0 || w % ow != 0 {
            return Ok(None);
        }
        let mut pool = Pool::square(1, 1, 0);
        pool.kernel = [h / oh, w / ow];
        pool.stride = pool.kernel;
        Ok(Some(pool))
    }

    /// The window that covers a whole plane.
    fn whole_plane(x: &Tensor) -> Result<Pool> {
        let (_, _, h, w) = x.dims4()?;
        let mut pool = Pool::square(1, 1, 0);
        (pool.kernel, pool.stride) = ([h, w], [h, w]);
        Ok(pool)
    }

    fn plain(op: &Op, inputs: &[&Tensor]) -> Result<Tensor> {
        let inputs = first_order(inputs)?;
        plain::apply(op, &inputs.iter().collect::<Vec<_>>())
    }

    fn plain_grad(op: &Op, inputs: &[&Tensor], y: &Tensor, g: &Tensor) -> Result<Vec<Tensor>> {
        let inputs = first_order(inputs)?;
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        plain::grad(op, &inputs, &channels_first(y)?, &channels_first(g)?)
    }
}

/// Tensors in the order of their shape, for candle's own operations.
fn first_order(inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    inputs.iter().map(|x| channels_first(x)).collect()
}

fn is_gate(x: &Tensor, gate: &Tensor) -> bool {
    matches!((x.dims(), gate.dims()), (&[n, c, _, _], &[gn, gc, 1, 1]) if n == gn && c == gc)
}

impl Kernels for Cpu {
    fn name(&self) -> &'static str {
        match self.isa {
            Isa::Portable => "cpu",
            Isa::Avx2 => "cpu, AVX2",
            Isa::Avx512 => "cpu, AVX-512",
            Isa::Neon => "cpu, NEON",
        }
    }

    fn fuses(&self) -> bool {
        true
    }

    fn conv2d(&self, x: &Tensor, conv: &Conv2d) -> Result<Tensor> {
        self.chain(&Chain::of(conv), x, None, Purpose::Trace)
    }

    fn conv2d_input_grad(&self, grad: &Tensor, conv: &Conv2d, dims: [usize; 4]) -> Result<Tensor> {
        self.chain_input_grad(&Chain::of(conv), grad, dims, None)
    }

    fn linear(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let (n, features) = x.dims2()?;
        let out = weight.dim(0)?;
        let bias = bias.map(|b| b.to_vec1::<f32>()).transpose()?;
        let isa = self.isa;
        let (x, weight) = (x.contiguous()?, weight.contiguous()?);
        run("linear", &[&x, &weight], |inputs| {
            let (x, weight) = (inputs[0].plain()?, inputs[1].plain()?);
            let y = linear::forward(isa, x, n, features, weight, bias.as_deref());
            Ok((y, Shape::from((n, out))))
        })
    }

    fn linear_input_grad(&self, grad: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let (n, _) = grad.dims2()?;
        let features = weight.dim(1)?;
        let isa = self.isa;
        let (grad, weight) = (grad.contiguous()?, weight.contiguous()?);
        run("linear-grad", &[&grad, &weight], |inputs| {
            let x = linear::input_grad(isa, inputs[0].plain()?, n, inputs[1].plain()?, features);
            Ok((x, Shape::from((n, features))))
        })
    }

    fn max_pool2d(&self, x: &Tensor, pool: &Pool) -> Result<Tensor> {
        self.planes("max-pool2d", &[x], |isa, p| {
            let out = pool::out_size(pool, p[0].size);
            (pool::max(isa, &p[0], pool), p[0].channels, out)
        })
    }

    fn max_pool2d_grad(&self, x: &Tensor, grad: &Tensor, pool: &Pool) -> Result<Tensor> {
        self.same("max-pool2d-grad", &[x, grad], |isa, p| {
            pool::max_grad(isa, &p[0], &p[1], pool)
        })
    }

    fn avg_pool2d(&self, x: &Tensor, pool: &Pool, count_border: bool) -> Result<Tensor> {
        self.planes("avg-pool2d", &[x], |isa, p| {
            let out = pool::out_size(pool, p[0].size);
            (
                pool::avg(isa, &p[0], pool, count_border),
                p[0].channels,
                out,
            )
        })
    }

    fn avg_pool2d_grad(
        &self,
        grad: &Tensor,
        pool: &Pool,
        count_border: bool,
        dims: [usize; 4],
    ) -> Result<Tensor> {
        let size = [dims[2], dims[3]];
        self.planes("avg-pool2d-grad", &[grad], |isa, p| {
            (
                pool::avg_grad(isa, &p[0], pool, count_border, size),
                p[0].channels,
                size,
            )
        })
    }

    fn apply(&self, op: &Op, inputs: &[&Tensor]) -> Result<Tensor> {
        match (op, inputs) {
            (Op::Conv2d(conv), [x]) => self.conv2d(x, conv),
            (Op::Linear { weight, bias, .. }, [x]) if x.rank() == 2 => {
                self.linear(x, weight, bias.as_ref())
            }
            (Op::Linear { .. }, [x]) => self.conv2d(x, &op.pointwise()?),
            (Op::MaxPool(pool), [x]) => self.max_pool2d(x, pool),
            (Op::GlobalMaxPool, [x]) => self.max_pool2d(x, &Self::whole_plane(x)?),
            (Op::AvgPool { pool, count_border }, [x]) => self.avg_pool2d(x, pool, *count_border),
            (Op::AdaptiveAvgPool([1, 1]), [x]) => self.mean_places(x),
            (Op::AdaptiveAvgPool(out), [x]) => match Self::even_pool(x, *out)? {
                Some(pool) if pool.kernel == [1, 1] => Ok((*x).clone()),
                Some(pool) => self.avg_pool2d(x, &pool, true),
                None => Self::plain(op, inputs),
            },
            (Op::BatchNorm(norm), [x]) => self.affine(x, norm, None),
            (Op::Scale(factors), [x]) => self.scale(x, factors),
            (Op::LayerNorm(norm), [x]) => {
                let (weight, bias) = (norm.weight.to_vec1::<f32>()?, norm.bias.to_vec1::<f32>()?);
                self.same("layer-norm", &[x], |isa, p| {
                    elementwise::layer_norm(isa, &p[0], &weight, &bias, norm.eps as f32)
                })
            }
            (Op::Act(act), [x]) if elementwise::has_fast(*act) => {
                self.same("activation", &[x], |isa, p| {
                    elementwise::activate(isa, &p[0], *act)
                })
            }
            (Op::Add, [a, b]) => self.same("add", &[a, b], |isa, p| {
                let all = [f32::NEG_INFINITY, f32::INFINITY];
                elementwise::add_clamp(isa, &p[0], &p[1], all)
            }),
            (Op::Mul, [x, gate]) if is_gate(x, gate) => self.same("gate", &[x, gate], |isa, p| {
                let gates: Vec<f32> = (0..p[1].images)
                    .flat_map(|i| p[1].pixel(i))
                    .copied()
                    .collect();
                elementwise::gate(isa, &p[0], &gates)
            }),
            (Op::Concat, parts) if parts.iter().all(|x| x.rank() == 4) => Self::concat(parts),
            (Op::Slice { start, len }, [x]) => Ok(x.narrow(1, *start, *len)?),
            (Op::ChannelShuffle { groups }, [x]) => self.shuffle(x, *groups),
            (Op::Flatten, [x]) => Ok(channels_first(x)?.flatten_from(1)?),
            (Op::Identity, [x]) => Ok((*x).clone()),
            _ => Self::plain(op, inputs),
        }
    }

    fn grad(
        &self,
        op: &Op,
        inputs: &[&Tensor],
        output: &Tensor,
        given: &Tensor,
    ) -> Result<Vec<Tensor>> {
        let dims4 = |x: &Tensor| -> Result<[usize; 4]> {
            let (n, c, h, w) = x.dims4()?;
            Ok([n, c, h, w])
        };
        Ok(match (op, inputs) {
            (Op::Conv2d(conv), [x]) => vec![self.conv2d_input_grad(given, conv, dims4(x)?)?],
            (Op::Linear { weight, .. }, [x]) if x.rank() == 2 => {
                vec![self.linear_input_grad(given, weight)?]
            }
            (Op::Linear { .. }, [x]) => {
                vec![self.conv2d_input_grad(given, &op.pointwise()?, dims4(x)?)?]
            }
            (Op::MaxPool(pool), [x]) => vec![self.max_pool2d_grad(x, given, pool)?],
            (Op::GlobalMaxPool, [x]) => {
                vec![self.max_pool2d_grad(x, given, &Self::whole_plane(x)?)?]
            }
            (Op::AvgPool { pool, count_border }, [x]) => {
                vec![self.avg_pool2d_grad(given, pool, *count_border, dims4(x)?)?]
            }
            (Op::AdaptiveAvgPool([1, 1]), [x]) => {
                let size = [x.dim(2)?, x.dim(3)?];
                let share = 1.0 / (size[0] * size[1]).max(1) as f32;
                vec![self.planes("mean-grad", &[given], |isa, p| {
                    (pool::spread(isa, &p[0], size, share), p[0].channels, size)
                })?]
            }
            (Op::AdaptiveAvgPool(out), [x]) => match Self::even_pool(x, *out)? {
                Some(pool) if pool.kernel == [1, 1] => vec![given.clone()],
                Some(pool) => vec![self.avg_pool2d_grad(given, &pool, true, dims4(x)?)?],
                None => Self::plain_grad(op, inputs, output, given)?,
            },
            (Op::BatchNorm(norm), [_]) => vec![self.scale(given, &norm.scale)?],
            (Op::Scale(factors), [_]) => vec![self.scale(given, factors)?],
            (Op::LayerNorm(norm), [x]) => {
                let weight = norm.weight.to_vec1::<f32>()?;
                vec![self.same("layer-norm-grad", &[x, given], |isa, p| {
                    elementwise::layer_norm_grad(isa, &p[0], &p[1], &weight, norm.eps as f32)
                })?]
            }
            (Op::Act(act), [x]) => match forms::clamp_of(Some(*act)) {
                Some(range) => vec![self.same("clamp-grad", &[output, given], |isa, p| {
                    elementwise::clamp_grad(isa, &p[0], &p[1], range)
                })?],
                None if elementwise::has_fast(*act) => {
                    vec![self.same("activation-grad", &[x, given], |isa, p| {
                        elementwise::activate_grad(isa, &p[0], &p[1], *act)
                    })?]
                }
                None => Self::plain_grad(op, inputs, output, given)?,
            },
            (Op::Add, [_, _]) => vec![given.clone(), given.clone()],
            (Op::Mul, [x, gate]) if is_gate(x, gate) => {
                let to_x = self.apply(op, &[given, gate])?;
                let to_gate = self.planes("gate-grad", &[x, given], |isa, p| {
                    (
                        elementwise::sum_places(isa, &p[0], Some(&p[1])),
                        p[0].channels,
                        [1, 1],
                    )
                })?;
                vec![to_x, to_gate]
            }
            (Op::Concat, parts) if given.rank() == 4 => {
                let mut start = 0;
                let mut shares = Vec::with_capacity(parts.len());
                for part in parts {
                    let channels = part.dim(1)?;
                    shares.push(given.narrow(1, start, channels)?);
                    start += channels;
                }
                shares
            }
            (Op::ChannelShuffle { groups }, [x]) => {
                vec![self.shuffle(given, x.dim(1)? / groups)?]
            }
            (Op::Flatten, [x]) => vec![given.contiguous()?.reshape(x.dims())?],
            (Op::Identity, [_]) => vec![given.clone()],
            _ => Self::plain_grad(op, inputs, output, given)?,
        })
    }

    fn chain(
        &self,
        chain: &Chain<'_>,
        x: &Tensor,
        added: Option<&Tensor>,
        purpose: Purpose,
    ) -> Result<Tensor> {
        let form = forms::forward(self.isa, chain, x, purpose)?;
        let mut inputs = vec![x];
        inputs.extend(added);
        let isa = self.isa;
        run_planes("convolution", &inputs, |p| {
            let (values, channels, [h, w]) = form
                .run(isa, &p[0], p.get(1), chain, None)
                .map_err(candle_core::Error::wrap)?;
            Ok((values, [p[0].images, channels, h, w]))
        })
    }

    fn norm_act(&self, norm: &BatchNorm, act: Act, x: &Tensor) -> Result<Tensor> {
        self.affine(x, norm, Some(act))
    }

    fn norm_act_grad(
        &self,
        norm: &BatchNorm,
        act: Act,
        y: &Tensor,
        given: &Tensor,
        sum: Option<&Tensor>,
    ) -> Result<Tensor> {
        let scale = norm.scale.to_vec1::<f32>()?;
        let range = forms::clamp_of(Some(act)).unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        let mut inputs = vec![y, given];
        inputs.extend(sum);
        self.same("norm-act-grad", &inputs, |isa, p| {
            elementwise::affine_clamp_grad(isa, p, &scale, range)
        })
    }

    fn chain_input_grad(
        &self,
        chain: &Chain<'_>,
        given: &Tensor,
        dims: [usize; 4],
        sum: Option<&Tensor>,
    ) -> Result<Tensor> {
        let Some(form) = gradient::backward(self.isa, chain, dims)? else {
            // A dilated kernel with a stride: no network of note has one.
            let portable = super::portable::Portable;
            return portable.chain_input_grad(
                chain,
                &channels_first(given)?,
                dims,
                sum.map(channels_first).transpose()?.as_ref(),
            );
        };
        let [_, c, h, w] = dims;
        let mut inputs = vec![given];
        inputs.extend(sum);
        self.planes("convolution-grad", &inputs, |isa, p| {
            let x = form.run(isa, &p[0], p.get(1), [h, w], Finish::Plain);
            (x, c, [h, w])
        })
    }

    fn conv2d_quotient(
        &self,
        x: &Tensor,
        conv: &Conv2d,
        r: &Tensor,
        over: Denominator,
    ) -> Result<Option<Tensor>> {
        let chain = Chain::of(conv);
        let (n, _, h, w) = x.dims4()?;
        let [outputs, _, kh, kw] = conv.weight_dims()?;
        let [oh, ow] = conv.out([h, w], [kh, kw]);
        if r.dims() != [n, outputs, oh, ow] {
            let (found, expected) = (format!("{:?}", r.dims()), [n, outputs, oh, ow]);
            return Err(fault::shape("relevance", &found, &format!("{expected:?}")));
        }
        let form = forms::forward(self.isa, &chain, x, Purpose::Trace)?;
        let isa = self.isa;
        let ending = match over {
            Denominator::Stabilised(e) => Finish::Over(e),
            Denominator::Exact => Finish::OverExact,
        };
        let s = run_planes("convolution-quotient", &[x, r], |p| {
            let (values, channels, [h, w]) = form
                .run(isa, &p[0], p.get(1), &chain, Some(ending))
                .map_err(candle_core::Error::wrap)?;
            Ok((values, [p[0].images, channels, h, w]))
        })?;
        Ok(Some(s))
    }

    fn conv2d_input_grad_product(
        &self,
        grad: &Tensor,
        conv: &Conv2d,
        x: &Tensor,
    ) -> Result<Option<Tensor>> {
        let (n, c, h, w) = x.dims4()?;
        let Some(form) = gradient::backward(self.isa, &Chain::of(conv), [n, c, h, w])? else {
            return Ok(None);
        };
        let r = self.planes("convolution-grad-product", &[grad, x], |isa, p| {
            let r = form.run(isa, &p[0], p.get(1), [h, w], Finish::Times);
            (r, c, [h, w])
        })?;
        Ok(Some(r))
    }
}

/// The tensor in the order of its shape.
pub(super) fn in_order(x: &Tensor) -> Result<Tensor> {
    channels_first(x)
}

/// Values of a plane that begin a block to which more channels are added: [`grow`] fills it.
pub(crate) fn block(dims: [usize; 4]) -> Result<Tensor> {
    let [n, c, h, w] = dims;
    from_pixels(vec![0f32; n * c * h * w], dims)
}

/// Writes `part`'s channels into a block from channel `start` on.
///
/// # Errors
/// Fails when they do not fit.
pub(crate) fn grow(block: &Tensor, part: &Tensor, start: usize) -> Result<()> {
    let pixels = block.permute((0, 2, 3, 1))?;
    let part = plane::channels_last(part)?
        .permute((0, 2, 3, 1))?
        .contiguous()?;
    Ok(pixels.slice_set(&part, 3, start)?)
}
