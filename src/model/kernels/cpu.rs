//! Kernels for the CPU: convolution as one matrix product over unfolded windows, and pooling with
//! the gradient that candle's own operations get wrong.
//!
//! A convolution is `W [O, K] x columns [K, P]` with `K = C kh kw` taps and `P` output positions; its
//! input gradient is `W^T g`, folded back. The products are candle's (packed, vectorised, parallel);
//! unfolding, folding and pooling are the custom operations of this file, parallel over channels.
//! A 1x1 convolution with stride 1 needs no unfolding at all.

use std::ops::AddAssign;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Shape, Tensor, WithDType};
use rayon::prelude::*;

use super::Kernels;
use crate::error::Result;
use crate::model::op::{Border, Conv2d, Pool, window_out};

/// See the module.
pub struct Cpu;

/// Packed forms of a layer's weights.
#[derive(Default)]
pub struct Cache {}

/// Geometry of a sliding window over planes of `[rows, columns]`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Windows {
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Border,
    dilation: [usize; 2],
}

impl Windows {
    fn of_pool(pool: &Pool, size: [usize; 2]) -> Self {
        Self {
            size,
            kernel: pool.kernel,
            stride: pool.stride,
            padding: pool.padding,
            dilation: pool.dilation,
        }
    }

    fn out(&self) -> [usize; 2] {
        [0, 1].map(|a| {
            window_out(
                self.size[a],
                self.kernel[a],
                self.stride[a],
                self.padding[a],
                self.dilation[a],
            )
        })
    }

    /// Output positions `o` along `axis` whose tap `k` falls inside the plane, as a half-open range.
    fn inside(&self, axis: usize, k: usize, out: usize) -> (usize, usize) {
        let shift = k * self.dilation[axis];
        let (pad, stride, size) = (self.padding[axis][0], self.stride[axis], self.size[axis]);
        let first = pad.saturating_sub(shift).div_ceil(stride);
        let end = if size + pad > shift {
            (size + pad - shift - 1) / stride + 1
        } else {
            0
        };
        let end = end.min(out);
        (first.min(end), end)
    }
}

/// Numbers that the kernels take: f32, and f64 for the forward pass in double precision.
trait Number: WithDType + Default + AddAssign {}
impl Number for f32 {}
impl Number for f64 {}

/// The values of a contiguous tensor, without a copy.
fn slice<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a [T]> {
    let values = storage.as_slice::<T>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("a kernel was handed a tensor that is not contiguous"),
    }
}

/// Unfolds `[N, C, H, W]` to `[N, C kh kw, oh ow]`.
struct Unfold(Windows);

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        match storage {
            CpuStorage::F64(_) => unfold_values::<f64>(self.0, storage, layout),
            _ => unfold_values::<f32>(self.0, storage, layout),
        }
    }
}

fn unfold_values<T: Number>(
    win: Windows,
    storage: &CpuStorage,
    layout: &Layout,
) -> candle_core::Result<(CpuStorage, Shape)> {
    let (n, c, h, w) = layout.shape().dims4()?;
    let x = slice::<T>(storage, layout)?;
    let [kh, kw] = win.kernel;
    let [oh, ow] = win.out();
    let taps = kh * kw;
    let mut columns = vec![T::default(); n * c * taps * oh * ow];
    columns
        .par_chunks_mut((taps * oh * ow).max(1))
        .zip(x.par_chunks((h * w).max(1)))
        .for_each(|(columns, plane)| {
            for (tap, column) in columns.chunks_exact_mut(oh * ow).enumerate() {
                let (ky, kx) = (tap / kw, tap % kw);
                let (y0, y1) = win.inside(0, ky, oh);
                let (x0, x1) = win.inside(1, kx, ow);
                if x0 == x1 {
                    continue;
                }
                for oy in y0..y1 {
                    let iy = oy * win.stride[0] + ky * win.dilation[0] - win.padding[0][0];
                    let ix = x0 * win.stride[1] + kx * win.dilation[1] - win.padding[1][0];
                    let row = &plane[iy * w + ix..(iy + 1) * w];
                    let out = &mut column[oy * ow + x0..oy * ow + x1];
                    if win.stride[1] == 1 {
                        out.copy_from_slice(&row[..out.len()]);
                    } else {
                        for (o, v) in out.iter_mut().zip(row.iter().step_by(win.stride[1])) {
                            *o = *v;
                        }
                    }
                }
            }
        });
    Ok((
        T::to_cpu_storage_owned(columns),
        Shape::from((n, c * taps, oh * ow)),
    ))
}

/// Folds `[N, C kh kw, oh ow]` back to `[N, C, H, W]`, adding where windows overlap: the adjoint of [`Unfold`].
struct Fold(Windows);

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        match storage {
            CpuStorage::F64(_) => fold_values::<f64>(self.0, storage, layout),
            _ => fold_values::<f32>(self.0, storage, layout),
        }
    }
}

fn fold_values<T: Number>(
    win: Windows,
    storage: &CpuStorage,
    layout: &Layout,
) -> candle_core::Result<(CpuStorage, Shape)> {
    let (n, rows, _) = layout.shape().dims3()?;
    let columns = slice::<T>(storage, layout)?;
    let [h, w] = win.size;
    let [kh, kw] = win.kernel;
    let [oh, ow] = win.out();
    let taps = kh * kw;
    let c = rows / taps;
    let mut x = vec![T::default(); n * c * h * w];
    x.par_chunks_mut((h * w).max(1))
        .zip(columns.par_chunks((taps * oh * ow).max(1)))
        .for_each(|(plane, columns)| {
            for (tap, column) in columns.chunks_exact(oh * ow).enumerate() {
                let (ky, kx) = (tap / kw, tap % kw);
                let (y0, y1) = win.inside(0, ky, oh);
                let (x0, x1) = win.inside(1, kx, ow);
                if x0 == x1 {
                    continue;
                }
                for oy in y0..y1 {
                    let iy = oy * win.stride[0] + ky * win.dilation[0] - win.padding[0][0];
                    let ix = x0 * win.stride[1] + kx * win.dilation[1] - win.padding[1][0];
                    let row = &mut plane[iy * w + ix..(iy + 1) * w];
                    let from = &column[oy * ow + x0..oy * ow + x1];
                    for (v, g) in row.iter_mut().step_by(win.stride[1]).zip(from) {
                        *v += *g;
                    }
                }
            }
        });
    Ok((T::to_cpu_storage_owned(x), Shape::from((n, c, h, w))))
}

/// Index within the plane and value of the first maximum of a window. NaN wins, as in PyTorch.
fn first_maximum<T: Number>(plane: &[T], win: &Windows, oy: usize, ox: usize) -> (usize, T) {
    let [h, w] = win.size;
    let mut best = (usize::MAX, T::default());
    for ky in 0..win.kernel[0] {
        let iy = (oy * win.stride[0] + ky).wrapping_sub(win.padding[0][0]);
        if iy >= h {
            continue;
        }
        for kx in 0..win.kernel[1] {
            let ix = (ox * win.stride[1] + kx).wrapping_sub(win.padding[1][0]);
            if ix >= w {
                continue;
            }
            let v = plane[iy * w + ix];
            let (v_is_nan, best_is_nan) = (is_nan(v), is_nan(best.1));
            if best.0 == usize::MAX || v > best.1 || (v_is_nan && !best_is_nan) {
                best = (iy * w + ix, v);
            }
        }
    }
    best
}

/// NaN is the only number that does not equal itself.
fn is_nan<T: Number>(v: T) -> bool {
    v.partial_cmp(&v).is_none()
}

/// `x W^T` with sums in f64, whatever the type of `x`. The weight stays f32: a copy of a VGG's
/// classifier in double precision would take 800 MB.
struct Linear;

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, features) = x_layout.shape().dims2()?;
        let (out, _) = weight_layout.shape().dims2()?;
        let x = slice::<f64>(x, x_layout)?;
        let weight = slice::<f32>(weight, weight_layout)?;
        let mut y = vec![0f64; n * out];
        for (y, x) in y
            .chunks_exact_mut(out.max(1))
            .zip(x.chunks_exact(features.max(1)))
        {
            y.par_iter_mut()
                .zip(weight.par_chunks(features.max(1)))
                .for_each(|(y, row)| *y = dot(x, row));
        }
        Ok((CpuStorage::F64(y), Shape::from((n, out))))
    }
}

/// Several running sums, so that the processor need not wait for one.
fn dot(x: &[f64], row: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0f64; LANES];
    let (xs, rows) = (x.chunks_exact(LANES), row.chunks_exact(LANES));
    let rest: f64 = xs
        .remainder()
        .iter()
        .zip(rows.remainder())
        .map(|(x, w)| x * f64::from(*w))
        .sum();
    for (x, w) in xs.zip(rows) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * f64::from(w[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest
}

struct MaxPool(Pool);

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        match storage {
            CpuStorage::F64(_) => max_pool_values::<f64>(&self.0, storage, layout),
            _ => max_pool_values::<f32>(&self.0, storage, layout),
        }
    }
}

fn max_pool_values<T: Number>(
    pool: &Pool,
    storage: &CpuStorage,
    layout: &Layout,
) -> candle_core::Result<(CpuStorage, Shape)> {
    let (n, c, h, w) = layout.shape().dims4()?;
    let x = slice::<T>(storage, layout)?;
    let win = Windows::of_pool(pool, [h, w]);
    let [oh, ow] = win.out();
    let mut y = vec![T::default(); n * c * oh * ow];
    y.par_chunks_mut((oh * ow).max(1))
        .zip(x.par_chunks((h * w).max(1)))
        .for_each(|(out, plane)| {
            for (i, v) in out.iter_mut().enumerate() {
                *v = first_maximum(plane, &win, i / ow, i % ow).1;
            }
        });
    Ok((T::to_cpu_storage_owned(y), Shape::from((n, c, oh, ow))))
}

struct MaxPoolGrad(Pool);

impl CustomOp2 for MaxPoolGrad {
    fn name(&self) -> &'static str {
        "max-pool2d-grad"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = x_layout.shape().dims4()?;
        let (x, grad) = (slice::<f32>(x, x_layout)?, slice::<f32>(grad, grad_layout)?);
        let win = Windows::of_pool(&self.0, [h, w]);
        let [oh, ow] = win.out();
        let mut out = vec![0f32; n * c * h * w];
        out.par_chunks_mut((h * w).max(1))
            .zip(x.par_chunks((h * w).max(1)))
            .zip(grad.par_chunks((oh * ow).max(1)))
            .for_each(|((out, plane), grad)| {
                for (i, &g) in grad.iter().enumerate() {
                    let (at, _) = first_maximum(plane, &win, i / ow, i % ow);
                    if let Some(v) = out.get_mut(at) {
                        *v += g;
                    }
                }
            });
        Ok((CpuStorage::F32(out), Shape::from((n, c, h, w))))
    }
}

fn unfold(x: &Tensor, win: Windows) -> Result<Tensor> {
    Ok(x.contiguous()?.apply_op1_no_bwd(&Unfold(win))?)
}

fn fold(columns: &Tensor, win: Windows) -> Result<Tensor> {
    Ok(columns.contiguous()?.apply_op1_no_bwd(&Fold(win))?)
}

/// `a [M, K] x b [N, K, P]` as one product an image; candle would copy `a` for a batched product.
fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (n, _, _) = b.dims3()?;
    if n == 1 {
        return Ok(a.matmul(&b.squeeze(0)?)?.unsqueeze(0)?);
    }
    let images = (0..n)
        .map(|i| a.matmul(&b.get(i)?))
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::stack(&images, 0)?)
}

fn is_pointwise(conv: &Conv2d, kernel: [usize; 2]) -> bool {
    kernel == [1, 1] && conv.stride == [1, 1] && conv.padding == [[0; 2]; 2]
}

impl Kernels for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn forward_dtype(&self) -> DType {
        DType::F64
    }

    fn conv2d(&self, x: &Tensor, conv: &Conv2d) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let [o, i, kh, kw] = conv.weight_dims()?;
        let win = Windows {
            size: [h, w],
            kernel: [kh, kw],
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
        };
        let [oh, ow] = win.out();
        let weight = conv.weight.reshape((o, i * kh * kw))?.to_dtype(x.dtype())?;
        let columns = if is_pointwise(conv, [kh, kw]) {
            x.contiguous()?.reshape((n, c, h * w))?
        } else {
            unfold(x, win)?
        };
        let y = if conv.groups == 1 {
            product(&weight, &columns)?
        } else {
            let (rows, taps) = (o / conv.groups, i * kh * kw);
            let parts = (0..conv.groups)
                .map(|g| {
                    product(
                        &weight.narrow(0, g * rows, rows)?,
                        &columns.narrow(1, g * taps, taps)?.contiguous()?,
                    )
                })
                .collect::<Result<Vec<_>>>()?;
            Tensor::cat(&parts, 1)?
        };
        let y = y.reshape((n, o, oh, ow))?;
        Ok(match &conv.bias {
            Some(bias) => y.broadcast_add(&bias.reshape((1, o, 1, 1))?.to_dtype(x.dtype())?)?,
            None => y,
        })
    }

    fn conv2d_input_grad(&self, grad: &Tensor, conv: &Conv2d, dims: [usize; 4]) -> Result<Tensor> {
        let [n, c, h, w] = dims;
        let [o, i, kh, kw] = conv.weight_dims()?;
        let (_, _, oh, ow) = grad.dims4()?;
        let win = Windows {
            size: [h, w],
            kernel: [kh, kw],
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
        };
        let weight = conv.weight.reshape((o, i * kh * kw))?;
        let grad = grad.contiguous()?.reshape((n, o, oh * ow))?;
        let columns = if conv.groups == 1 {
            product(&weight.t()?, &grad)?
        } else {
            let rows = o / conv.groups;
            let parts = (0..conv.groups)
                .map(|g| {
                    product(
                        &weight.narrow(0, g * rows, rows)?.t()?,
                        &grad.narrow(1, g * rows, rows)?.contiguous()?,
                    )
                })
                .collect::<Result<Vec<_>>>()?;
            Tensor::cat(&parts, 1)?
        };
        if is_pointwise(conv, [kh, kw]) {
            return Ok(columns.reshape((n, c, h, w))?);
        }
        fold(&columns, win)
    }

    fn linear(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let wide = x.to_dtype(DType::F64)?.contiguous()?;
        let y = wide.apply_op2_no_bwd(&weight.contiguous()?, &Linear)?;
        let y = match bias {
            Some(bias) => y.broadcast_add(&bias.to_dtype(DType::F64)?)?,
            None => y,
        };
        Ok(y.to_dtype(x.dtype())?)
    }

    fn max_pool2d(&self, x: &Tensor, pool: &Pool) -> Result<Tensor> {
        if pool.ceil {
            return super::portable::Portable.max_pool2d(x, pool);
        }
        Ok(x.contiguous()?.apply_op1_no_bwd(&MaxPool(*pool))?)
    }

    fn max_pool2d_grad(&self, x: &Tensor, grad: &Tensor, pool: &Pool) -> Result<Tensor> {
        if pool.ceil {
            return super::portable::Portable.max_pool2d_grad(x, grad, pool);
        }
        Ok(x.contiguous()?
            .apply_op2_no_bwd(&grad.contiguous()?, &MaxPoolGrad(*pool))?)
    }

    fn avg_pool2d(&self, x: &Tensor, pool: &Pool, count_border: bool) -> Result<Tensor> {
        super::portable::Portable.avg_pool2d(x, pool, count_border)
    }

    fn avg_pool2d_grad(
        &self,
        grad: &Tensor,
        pool: &Pool,
        count_border: bool,
        dims: [usize; 4],
    ) -> Result<Tensor> {
        super::portable::Portable.avg_pool2d_grad(grad, pool, count_border, dims)
    }
}
