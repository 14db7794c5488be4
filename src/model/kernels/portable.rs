//! Kernels out of candle's own operations: they run on any device that candle knows and serve as
//! the second opinion on the CPU.
//!
//! candle 0.11 has no padding for pools, refuses the backward pass of a 3x3 pool with stride 2 and
//! hands a max-pool's gradient to every tie, so pools are walked tap by tap: tap `(ky, kx)` of all windows at
//! once is one strided slice of the padded input.

use candle_core::Tensor;

use super::Kernels;
use super::plain::pad;
use crate::error::Result;
use crate::model::op::{Border, Conv2d, Pool};

/// See the module.
pub struct Portable;

/// Indices `start, start + step, …`, `count` of them.
fn stride_index(start: usize, step: usize, count: usize, like: &Tensor) -> Result<Tensor> {
    let index: Vec<u32> = (0..count).map(|i| (start + i * step) as u32).collect();
    Ok(Tensor::from_vec(index, count, like.device())?)
}

/// Rows and columns of the padded input that tap `(ky, kx)` reads, as index tensors.
struct Tap {
    rows: Tensor,
    columns: Tensor,
}

impl Tap {
    fn gather(&self, padded: &Tensor) -> Result<Tensor> {
        Ok(padded
            .contiguous()?
            .index_select(&self.rows, 2)?
            .index_select(&self.columns, 3)?)
    }

    /// Adds `values` to zeros of the padded shape, where [`Tap::gather`] read.
    fn scatter(&self, values: &Tensor, padded: [usize; 4]) -> Result<Tensor> {
        let [n, c, h, w] = padded;
        let (_, _, oh, _) = values.dims4()?;
        let wide = Tensor::zeros((n, c, oh, w), values.dtype(), values.device())?.index_add(
            &self.columns,
            &values.contiguous()?,
            3,
        )?;
        Ok(
            Tensor::zeros((n, c, h, w), values.dtype(), values.device())?
                .index_add(&self.rows, &wide, 2)?,
        )
    }
}

/// The taps of a window in row-major order.
fn taps(
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    out: [usize; 2],
    like: &Tensor,
) -> Result<Vec<Tap>> {
    let mut taps = Vec::with_capacity(kernel[0] * kernel[1]);
    for ky in 0..kernel[0] {
        for kx in 0..kernel[1] {
            taps.push(Tap {
                rows: stride_index(ky * dilation[0], stride[0], out[0], like)?,
                columns: stride_index(kx * dilation[1], stride[1], out[1], like)?,
            });
        }
    }
    Ok(taps)
}

fn pool_out(pool: &Pool, h: usize, w: usize) -> [usize; 2] {
    [pool.out(0, h), pool.out(1, w)]
}

fn pool_taps(pool: &Pool, out: [usize; 2], like: &Tensor) -> Result<Vec<Tap>> {
    taps(pool.kernel, pool.stride, pool.dilation, out, like)
}

/// Cuts the border off again.
fn unpad(x: &Tensor, padding: Border, h: usize, w: usize) -> Result<Tensor> {
    Ok(x.narrow(2, padding[0][0], h)?
        .narrow(3, padding[1][0], w)?
        .contiguous()?)
}

/// Dimensions with a border.
fn bordered([n, c, h, w]: [usize; 4], [rows, columns]: Border) -> [usize; 4] {
    [n, c, h + rows[0] + rows[1], w + columns[0] + columns[1]]
}

/// The border of a pool, wide enough for a last window that hangs over the edge.
fn pool_border(pool: &Pool, size: [usize; 2], out: [usize; 2]) -> Border {
    [0, 1].map(|a| {
        let span = pool.dilation[a] * (pool.kernel[a] - 1) + 1;
        let reach = (out[a] - 1) * pool.stride[a] + span;
        let [before, after] = pool.padding[a];
        [before, after.max(reach.saturating_sub(size[a] + before))]
    })
}

/// How many cells count in each window's mean, `[1, 1, oh, ow]`.
fn window_counts(
    pool: &Pool,
    count_border: bool,
    [h, w]: [usize; 2],
    out: [usize; 2],
    like: &Tensor,
) -> Result<Tensor> {
    let counts = [0, 1].map(|a| {
        let (size, [before, after]) = ([h, w][a], pool.padding[a]);
        (0..out[a])
            .map(|o| {
                let start = o * pool.stride[a];
                let end = start + pool.kernel[a];
                let (lo, hi) = if count_border {
                    (0, size + before + after)
                } else {
                    (before, size + before)
                };
                end.min(hi).saturating_sub(start.max(lo)) as f32
            })
            .collect::<Vec<f32>>()
    });
    let values: Vec<f32> = counts[0]
        .iter()
        .flat_map(|r| counts[1].iter().map(move |c| (r * c).max(1.0)))
        .collect();
    let counts = Tensor::from_vec(values, (1, 1, out[0], out[1]), like.device())?;
    Ok(counts.to_dtype(like.dtype())?)
}

fn is_square(conv: &Conv2d) -> bool {
    let same = |pair: [usize; 2]| pair[0] == pair[1];
    let [rows, columns] = conv.padding;
    same(conv.stride) && same(conv.dilation) && same(rows) && rows == columns
}

impl Kernels for Portable {
    fn name(&self) -> &'static str {
        "portable"
    }

    fn conv2d(&self, x: &Tensor, conv: &Conv2d) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let [o, i, kh, kw] = conv.weight_dims()?;
        let y = if is_square(conv) {
            x.contiguous()?.conv2d(
                &conv.weight,
                conv.padding[0][0],
                conv.stride[0],
                conv.dilation[0],
                conv.groups,
            )?
        } else {
            // candle takes one number for both axes: sum the taps as 1x1 convolutions instead.
            let out = conv.out([h, w], [kh, kw]);
            let padded = pad(x, conv.padding, 0.0)?;
            let mut sum: Option<Tensor> = None;
            let all = taps([kh, kw], conv.stride, conv.dilation, out, x)?;
            for (t, tap) in all.iter().enumerate() {
                let weight = conv
                    .weight
                    .narrow(2, t / kw, 1)?
                    .narrow(3, t % kw, 1)?
                    .contiguous()?;
                let part = tap.gather(&padded)?.conv2d(&weight, 0, 1, 1, conv.groups)?;
                sum = Some(match sum {
                    Some(sum) => (sum + part)?,
                    None => part,
                });
            }
            sum.ok_or_else(|| {
                crate::text::fault::shape("convolution", "an empty kernel", &format!("{i} taps"))
            })?
        };
        Ok(match &conv.bias {
            Some(bias) => y.broadcast_add(&bias.reshape((1, o, 1, 1))?)?,
            None => y,
        })
    }

    fn conv2d_input_grad(&self, grad: &Tensor, conv: &Conv2d, dims: [usize; 4]) -> Result<Tensor> {
        let [n, c, h, w] = dims;
        let [o, i, kh, kw] = conv.weight_dims()?;
        let (_, _, oh, ow) = grad.dims4()?;
        let (rows, per_group) = (o / conv.groups, i);
        let mut parts = Vec::with_capacity(conv.groups);
        for g in 0..conv.groups {
            let grad = grad.narrow(1, g * rows, rows)?.contiguous()?;
            let weight = conv.weight.narrow(0, g * rows, rows)?;
            let mut sum: Option<Tensor> = None;
            if is_square(conv) {
                // What the forward division rounded away comes back as output padding.
                let (s, p, d) = (conv.stride[0], conv.padding[0][0], conv.dilation[0]);
                let natural = |out: usize, k: usize| {
                    ((out - 1) * s + d * (k - 1) + 1) as isize - 2 * p as isize
                };
                let (need_h, need_w) = (h as isize - natural(oh, kh), w as isize - natural(ow, kw));
                if need_h == need_w && need_h >= 0 {
                    sum = Some(grad.conv_transpose2d(
                        &weight.contiguous()?,
                        p,
                        need_h as usize,
                        s,
                        d,
                    )?);
                }
            }
            let part = match sum {
                Some(part) => part,
                None => {
                    let padded = bordered([n, per_group, h, w], conv.padding);
                    let mut sum = Tensor::zeros(padded.to_vec(), grad.dtype(), grad.device())?;
                    let all = taps([kh, kw], conv.stride, conv.dilation, [oh, ow], &grad)?;
                    for (t, tap) in all.iter().enumerate() {
                        // [i, rows, 1, 1]: the tap's matrix, transposed
                        let weight = weight
                            .narrow(2, t / kw, 1)?
                            .narrow(3, t % kw, 1)?
                            .transpose(0, 1)?
                            .contiguous()?;
                        let values = grad.conv2d(&weight, 0, 1, 1, 1)?;
                        sum = (sum + tap.scatter(&values, padded)?)?;
                    }
                    unpad(&sum, conv.padding, h, w)?
                }
            };
            parts.push(part);
        }
        let out = Tensor::cat(&parts, 1)?;
        debug_assert_eq!(out.dims(), [n, c, h, w]);
        Ok(out)
    }

    fn linear(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let y = x.matmul(&weight.t()?)?;
        Ok(match bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }

    fn max_pool2d(&self, x: &Tensor, pool: &Pool) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let out = pool_out(pool, h, w);
        let padded = pad(x, pool_border(pool, [h, w], out), f32::NEG_INFINITY)?;
        let mut best: Option<Tensor> = None;
        for tap in pool_taps(pool, out, x)? {
            let values = tap.gather(&padded)?;
            best = Some(match best {
                Some(best) => best.maximum(&values)?,
                None => values,
            });
        }
        best.ok_or_else(|| crate::text::fault::shape("max-pool", "an empty window", "a window"))
    }

    fn max_pool2d_grad(&self, x: &Tensor, grad: &Tensor, pool: &Pool) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let out = pool_out(pool, h, w);
        let border = pool_border(pool, [h, w], out);
        let padded = pad(x, border, f32::NEG_INFINITY)?;
        let best = self.max_pool2d(x, pool)?;
        let dims = bordered([n, c, h, w], border);
        let mut sum = Tensor::zeros(dims.to_vec(), x.dtype(), x.device())?;
        // Gradient still to be handed out: the first tap that equals the maximum takes it.
        let mut left = grad.contiguous()?;
        for tap in pool_taps(pool, out, x)? {
            let is_best = tap.gather(&padded)?.eq(&best)?.to_dtype(x.dtype())?;
            let taken = (&left * &is_best)?;
            left = (&left - &taken)?;
            sum = (sum + tap.scatter(&taken, dims)?)?;
        }
        unpad(&sum, border, h, w)
    }

    fn avg_pool2d(&self, x: &Tensor, pool: &Pool, count_border: bool) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let out = pool_out(pool, h, w);
        let padded = pad(x, pool_border(pool, [h, w], out), 0.0)?;
        let mut sum: Option<Tensor> = None;
        for tap in pool_taps(pool, out, x)? {
            let values = tap.gather(&padded)?;
            sum = Some(match sum {
                Some(sum) => (sum + values)?,
                None => values,
            });
        }
        let counts = window_counts(pool, count_border, [h, w], out, x)?;
        match sum {
            Some(sum) => Ok(sum.broadcast_div(&counts)?),
            None => Err(crate::text::fault::shape(
                "avg-pool",
                "an empty window",
                "a window",
            )),
        }
    }

    fn avg_pool2d_grad(
        &self,
        grad: &Tensor,
        pool: &Pool,
        count_border: bool,
        dims: [usize; 4],
    ) -> Result<Tensor> {
        let [_, _, h, w] = dims;
        let (_, _, oh, ow) = grad.dims4()?;
        let border = pool_border(pool, [h, w], [oh, ow]);
        let padded = bordered(dims, border);
        let counts = window_counts(pool, count_border, [h, w], [oh, ow], grad)?;
        let share = grad.broadcast_div(&counts)?;
        let mut sum = Tensor::zeros(padded.to_vec(), grad.dtype(), grad.device())?;
        for tap in pool_taps(pool, [oh, ow], grad)? {
            sum = (sum + tap.scatter(&share, padded)?)?;
        }
        unpad(&sum, border, h, w)
    }
}
