//! Operations that need no kernel of their own, out of candle's, with their gradients. They run on
//! any device and in any layout.
//!
//! candle's autograd is not used anywhere: the gradients here are written out (vector-Jacobian products).

use candle_core::{D, Tensor};

use super::{adaptive_avg_pool2d, adaptive_avg_pool2d_grad};
use crate::error::Result;
use crate::model::op::{Act, Border, LayerNorm, Op};
use crate::text::fault;

/// `1 / sqrt(2)`.
const SQRT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// `1 / sqrt(2 pi)`, the height of the normal density at 0.
const NORMAL_AT_0: f64 = 0.398_942_280_401_432_7;
/// `sqrt(2 / pi)` and the cubic term of GELU's tanh approximation.
const GELU_TANH: (f64, f64) = (0.797_884_560_802_865_4, 0.044_715);

/// Applies an operation that is not a convolution, a windowed pool or a linear layer.
///
/// # Errors
/// Fails when the operation does not take these inputs or the device fails.
pub(crate) fn apply(op: &Op, inputs: &[&Tensor]) -> Result<Tensor> {
    Ok(match (op, inputs) {
        (Op::BatchNorm(bn), [x]) => x
            .broadcast_mul(&per_channel(&bn.scale, x)?)?
            .broadcast_add(&per_channel(&bn.shift, x)?)?,
        (Op::Scale(scale), [x]) => x.broadcast_mul(&per_channel(scale, x)?)?,
        (Op::LayerNorm(norm), [x]) => layer_norm(x, norm)?,
        (Op::Act(act), [x]) => activate(x, *act)?,
        (Op::AdaptiveAvgPool(out), [x]) => adaptive_avg_pool2d(x, *out)?,
        (Op::GlobalMaxPool, [x]) => {
            let (n, c, _, _) = x.dims4()?;
            x.flatten_from(2)?.max(2)?.reshape((n, c, 1, 1))?
        }
        (Op::Flatten, [x]) => x.flatten_from(1)?,
        (Op::Unflatten, [x]) => {
            let (n, c) = x.dims2()?;
            x.reshape((n, c, 1, 1))?
        }
        (Op::Add, [a, b]) => (*a + *b)?,
        (Op::Mul, [a, b]) => a.broadcast_mul(b)?,
        (Op::Concat, parts) if !parts.is_empty() => Tensor::cat(parts, 1)?,
        (Op::Slice { start, len }, [x]) => x.narrow(1, *start, *len)?.contiguous()?,
        (Op::ChannelShuffle { groups }, [x]) => shuffle(x, *groups)?,
        (Op::Pad { border, value }, [x]) => pad(x, *border, *value)?,
        (
            Op::Tokens {
                class_token,
                position,
            },
            [x],
        ) => tokens(x, class_token.as_ref(), position.as_ref())?,
        (Op::Attention { heads }, [qkv]) => attention(qkv, *heads)?,
        (Op::SelectToken(token), [x]) => x.narrow(3, *token, 1)?.flatten_from(1)?,
        (Op::Identity, [x]) => (*x).clone(),
        (op, _) => return Err(fault::shape(op.label(), "other inputs", "its own")),
    })
}

/// What [`apply`]'s operations hand back to their inputs for `given` at the output.
///
/// # Errors
/// As [`apply`].
pub(crate) fn grad(
    op: &Op,
    inputs: &[&Tensor],
    output: &Tensor,
    given: &Tensor,
) -> Result<Vec<Tensor>> {
    Ok(match (op, inputs) {
        (Op::Input, _) => Vec::new(),
        (Op::BatchNorm(bn), [x]) => vec![given.broadcast_mul(&per_channel(&bn.scale, x)?)?],
        (Op::Scale(scale), [x]) => vec![given.broadcast_mul(&per_channel(scale, x)?)?],
        (Op::LayerNorm(norm), [x]) => vec![layer_norm_grad(x, given, norm)?],
        (Op::Act(act), [x]) => vec![activate_grad(x, output, given, *act)?],
        (Op::AdaptiveAvgPool(_), [x]) => {
            let (n, c, h, w) = x.dims4()?;
            vec![adaptive_avg_pool2d_grad(given, [n, c, h, w])?]
        }
        (Op::GlobalMaxPool, [x]) => vec![global_max_grad(x, given)?],
        (Op::Flatten | Op::Unflatten, [x]) => vec![given.contiguous()?.reshape(x.shape())?],
        (Op::Add, [_, _]) => vec![given.clone(), given.clone()],
        (Op::Mul, [a, b]) => {
            let to_b = (given * *a)?;
            vec![given.broadcast_mul(b)?, sum_to(&to_b, b)?]
        }
        (Op::Concat, parts) => {
            let mut start = 0;
            let mut shares = Vec::with_capacity(parts.len());
            for part in parts {
                let channels = part.dim(1)?;
                shares.push(given.narrow(1, start, channels)?.contiguous()?);
                start += channels;
            }
            shares
        }
        (Op::Slice { start, len }, [x]) => {
            let after = x.dim(1)? - start - len;
            vec![given.pad_with_zeros(1, *start, after)?]
        }
        (Op::ChannelShuffle { groups }, [x]) => vec![shuffle(given, x.dim(1)? / groups)?],
        (Op::Pad { border, .. }, [x]) => {
            let (_, _, h, w) = x.dims4()?;
            vec![
                given
                    .narrow(2, border[0][0], h)?
                    .narrow(3, border[1][0], w)?
                    .contiguous()?,
            ]
        }
        (Op::Tokens { class_token, .. }, [x]) => {
            let skip = usize::from(class_token.is_some());
            let places = given.dim(3)? - skip;
            vec![
                given
                    .narrow(3, skip, places)?
                    .contiguous()?
                    .reshape(x.shape())?,
            ]
        }
        (Op::Attention { heads }, [qkv]) => vec![attention_grad(qkv, given, *heads)?],
        (Op::SelectToken(token), [x]) => {
            let (n, c, _, tokens) = x.dims4()?;
            vec![
                given
                    .reshape((n, c, 1, 1))?
                    .pad_with_zeros(3, *token, tokens - token - 1)?,
            ]
        }
        (Op::Identity, [_]) => vec![given.clone()],
        (op, _) => return Err(fault::shape(op.label(), "other inputs", "its own")),
    })
}

/// A tensor of one number per channel in the rank of `x`.
fn per_channel(values: &Tensor, x: &Tensor) -> Result<Tensor> {
    let mut dims = vec![1; x.rank()];
    if let Some(channels) = dims.get_mut(1) {
        *channels = values.elem_count();
    }
    Ok(values.reshape(dims)?.to_dtype(x.dtype())?)
}

/// Sums over the axes along which `like` was repeated.
fn sum_to(x: &Tensor, like: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    for (axis, &size) in like.dims().iter().enumerate() {
        if size == 1 && x.dim(axis)? != 1 {
            x = x.sum_keepdim(axis)?;
        }
    }
    Ok(x)
}

/// An elementwise nonlinearity.
pub(crate) fn activate(x: &Tensor, act: Act) -> Result<Tensor> {
    Ok(match act {
        Act::Relu => x.relu()?,
        Act::Clamp { lo, hi } => x.clamp(lo, hi)?,
        Act::LeakyRelu(slope) => (x.relu()? + (x.minimum(&x.zeros_like()?)? * f64::from(slope))?)?,
        Act::Elu(alpha) => x.elu(f64::from(alpha))?,
        Act::Sigmoid => sigmoid(x)?,
        Act::Tanh => x.tanh()?,
        Act::HardSigmoid => hard_sigmoid(x)?,
        Act::Hardswish => (x * hard_sigmoid(x)?)?,
        Act::Silu => (x * sigmoid(x)?)?,
        Act::Gelu => (x * normal_cdf(x)?)?,
        Act::GeluTanh => (x * ((gelu_inner(x)?.tanh()? + 1.0)? * 0.5)?)?,
        Act::Mish => (x * softplus(x)?.tanh()?)?,
    })
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    // Written with tanh so that large magnitudes do not overflow.
    Ok((((x * 0.5)?.tanh()? + 1.0)? * 0.5)?)
}

fn hard_sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok(((x + 3.0)?.clamp(0f32, 6f32)? / 6.0)?)
}

fn normal_cdf(x: &Tensor) -> Result<Tensor> {
    Ok((((x * SQRT_HALF)?.erf()? + 1.0)? * 0.5)?)
}

fn gelu_inner(x: &Tensor) -> Result<Tensor> {
    let (k, c) = GELU_TANH;
    Ok(((x + ((x.sqr()? * x)? * c)?)? * k)?)
}

/// `ln(1 + e^x)`, without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    let small = ((x.abs()?.neg()?).exp()? + 1.0)?.log()?;
    Ok((x.relu()? + small)?)
}

fn activate_grad(x: &Tensor, y: &Tensor, given: &Tensor, act: Act) -> Result<Tensor> {
    let mask = |m: Tensor| m.to_dtype(given.dtype());
    let slope = match act {
        Act::Relu => mask(y.gt(0f64)?)?,
        Act::Clamp { lo, hi } => (mask(y.gt(f64::from(lo))?)? * mask(y.lt(f64::from(hi))?)?)?,
        Act::LeakyRelu(slope) => {
            let positive = mask(x.gt(0f64)?)?;
            ((&positive * f64::from(1.0 - slope))? + f64::from(slope))?
        }
        Act::Elu(alpha) => {
            // e^x alpha = y + alpha where x is not positive
            let positive = mask(x.gt(0f64)?)?;
            let below = (y + f64::from(alpha))?;
            positive.ones_like()?.where_cond_like(&positive, &below)?
        }
        Act::Sigmoid => (y * y.affine(-1.0, 1.0)?)?,
        Act::Tanh => y.sqr()?.affine(-1.0, 1.0)?,
        Act::HardSigmoid => ((mask(x.gt(-3f64)?)? * mask(x.lt(3f64)?)?)? / 6.0)?,
        Act::Hardswish => {
            // 0 below -3, 1 above 3, (2 x + 3) / 6 between
            let between = ((x * 2.0)? + 3.0)?.affine(1.0 / 6.0, 0.0)?;
            let above = mask(x.ge(3f64)?)?;
            let inside = (mask(x.gt(-3f64)?)? * above.affine(-1.0, 1.0)?)?;
            ((between * inside)? + above)?
        }
        Act::Silu => {
            let s = sigmoid(x)?;
            let rest = (x * s.affine(-1.0, 1.0)?)?;
            (&s * (rest + 1.0)?)?
        }
        Act::Gelu => {
            let density = ((x.sqr()? * -0.5)?.exp()? * NORMAL_AT_0)?;
            (normal_cdf(x)? + (x * density)?)?
        }
        Act::GeluTanh => {
            let (k, c) = GELU_TANH;
            let t = gelu_inner(x)?.tanh()?;
            let inner = x.sqr()?.affine(3.0 * c * k, k)?;
            let outer = (x * (t.sqr()?.affine(-1.0, 1.0)? * inner)?)?;
            ((t + 1.0)? + outer)?.affine(0.5, 0.0)?
        }
        Act::Mish => {
            let t = softplus(x)?.tanh()?;
            let outer = (x * (t.sqr()?.affine(-1.0, 1.0)? * sigmoid(x)?)?)?;
            (t + outer)?
        }
    };
    Ok((given * slope)?)
}

/// Small helper: picks `self` where `mask` is 1 and `other` where it is 0, for float masks.
trait WhereLike {
    fn where_cond_like(&self, mask: &Tensor, other: &Tensor) -> candle_core::Result<Tensor>;
}

impl WhereLike for Tensor {
    fn where_cond_like(&self, mask: &Tensor, other: &Tensor) -> candle_core::Result<Tensor> {
        mask.gt(0f64)?.where_cond(self, other)
    }
}

/// Centred values and `1 / sqrt(var + eps)` over the channels.
fn normalised(x: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    let mean = x.mean_keepdim(1)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(1)?;
    let inverse = (variance + eps)?.sqrt()?.recip()?;
    Ok((centred.broadcast_mul(&inverse)?, inverse))
}

fn layer_norm(x: &Tensor, norm: &LayerNorm) -> Result<Tensor> {
    let (unit, _) = normalised(x, norm.eps)?;
    Ok(unit
        .broadcast_mul(&per_channel(&norm.weight, x)?)?
        .broadcast_add(&per_channel(&norm.bias, x)?)?)
}

/// With u the normalised values and q = w g: `(q - mean q - u mean(q u)) / sqrt(var + eps)`.
fn layer_norm_grad(x: &Tensor, given: &Tensor, norm: &LayerNorm) -> Result<Tensor> {
    let (unit, inverse) = normalised(x, norm.eps)?;
    let q = given.broadcast_mul(&per_channel(&norm.weight, x)?)?;
    let along = (&q * &unit)?.mean_keepdim(1)?;
    let rest = q
        .broadcast_sub(&q.mean_keepdim(1)?)?
        .sub(&unit.broadcast_mul(&along)?)?;
    Ok(rest.broadcast_mul(&inverse)?)
}

/// The gradient of a maximum over planes, to the first maximum of each.
fn global_max_grad(x: &Tensor, given: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let flat = x.contiguous()?.reshape((n * c, h * w))?;
    // candle's argmax on GPUs takes any of several equal maxima. Ranked from the last place to the first, the
    // first maximum is the one with the highest rank.
    let rank: Vec<f32> = (1..=h * w).rev().map(|rank| rank as f32).collect();
    let rank = Tensor::from_vec(rank, (1, h * w), x.device())?.to_dtype(x.dtype())?;
    let is_max = flat
        .broadcast_eq(&flat.max_keepdim(1)?)?
        .to_dtype(x.dtype())?;
    let ranked = is_max.broadcast_mul(&rank)?;
    let first = ranked.broadcast_eq(&ranked.max_keepdim(1)?)?;
    let given = given.contiguous()?.reshape((n * c, 1))?;
    Ok(first
        .to_dtype(given.dtype())?
        .broadcast_mul(&given)?
        .reshape((n, c, h, w))?)
}

fn shuffle(x: &Tensor, groups: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    Ok(x.contiguous()?
        .reshape((n, groups, c / groups, h, w))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((n, c, h, w))?)
}

/// Adds a border of `value` around the last two axes.
pub(super) fn pad(x: &Tensor, border: Border, value: f32) -> Result<Tensor> {
    let mut x = x.clone();
    for (axis, widths) in border.into_iter().enumerate() {
        let edge = |width: usize| {
            let mut dims = x.dims().to_vec();
            dims[axis + 2] = width;
            Tensor::full(value, dims, x.device())?.to_dtype(x.dtype())
        };
        let parts: Vec<Tensor> = match widths {
            [0, 0] => continue,
            [0, after] => vec![x.clone(), edge(after)?],
            [before, 0] => vec![edge(before)?, x.clone()],
            [before, after] => vec![edge(before)?, x.clone(), edge(after)?],
        };
        x = Tensor::cat(&parts, axis + 2)?;
    }
    Ok(x)
}

fn tokens(x: &Tensor, class_token: Option<&Tensor>, position: Option<&Tensor>) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let places = x.contiguous()?.reshape((n, c, 1, h * w))?;
    let all = match class_token {
        Some(token) => {
            let token = token.reshape((1, c, 1, 1))?.to_dtype(x.dtype())?;
            Tensor::cat(&[token.repeat((n, 1, 1, 1))?, places], 3)?
        }
        None => places,
    };
    Ok(match position {
        Some(position) => {
            let position = position.t()?.reshape((1, c, 1, ()))?;
            all.broadcast_add(&position.to_dtype(x.dtype())?)?
        }
        None => all,
    })
}

/// Queries, keys and values as `[N, heads, T, d]`.
fn heads_of(qkv: &Tensor, heads: usize) -> Result<[Tensor; 3]> {
    let (n, c3, _, t) = qkv.dims4()?;
    let split = qkv
        .contiguous()?
        .reshape((n, 3, heads, c3 / 3 / heads, t))?
        .transpose(3, 4)?;
    let part = |i: usize| split.narrow(1, i, 1)?.squeeze(1)?.contiguous();
    Ok([part(0)?, part(1)?, part(2)?])
}

/// `softmax(q k^T / sqrt d)`, `[N, heads, T, T]`.
fn attention_weights(q: &Tensor, k: &Tensor) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let scores = (q.matmul(&k.t()?.contiguous()?)? * scale)?;
    let top = scores.max_keepdim(D::Minus1)?;
    let exp = scores.broadcast_sub(&top)?.exp()?;
    Ok(exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?)
}

fn attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (n, c3, _, t) = qkv.dims4()?;
    let [q, k, v] = heads_of(qkv, heads)?;
    let mixed = attention_weights(&q, &k)?.matmul(&v)?;
    Ok(mixed
        .transpose(2, 3)?
        .contiguous()?
        .reshape((n, c3 / 3, 1, t))?)
}

fn attention_grad(qkv: &Tensor, given: &Tensor, heads: usize) -> Result<Tensor> {
    let (n, c3, _, t) = qkv.dims4()?;
    let d = c3 / 3 / heads;
    let [q, k, v] = heads_of(qkv, heads)?;
    let p = attention_weights(&q, &k)?;
    let g = given
        .contiguous()?
        .reshape((n, heads, d, t))?
        .transpose(2, 3)?
        .contiguous()?;
    let gv = p.t()?.contiguous()?.matmul(&g)?;
    let gp = g.matmul(&v.t()?.contiguous()?)?;
    // softmax: p * (gp - sum(gp p))
    let along = (&gp * &p)?.sum_keepdim(D::Minus1)?;
    let scale = 1.0 / (d as f64).sqrt();
    let gs = ((&p * gp.broadcast_sub(&along)?)? * scale)?;
    let gq = gs.matmul(&k)?;
    let gk = gs.t()?.contiguous()?.matmul(&q)?;
    let all = Tensor::stack(&[gq, gk, gv], 1)?; // [N, 3, heads, T, d]
    Ok(all.transpose(3, 4)?.contiguous()?.reshape((n, c3, 1, t))?)
}
