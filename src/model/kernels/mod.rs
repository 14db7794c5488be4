//! The arithmetic behind one seam.
//!
//! Forward and backward never convolve or pool by themselves: they ask a [`Kernels`]. Two exist: one
//! out of candle's own operations that runs on any device, and one for the CPU. A faster set takes
//! their place here without any other module noticing, and the same tests hold for all of them.

pub mod cpu;
pub(crate) mod plain;
pub mod portable;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::op::{Conv2d, Pool};
use crate::error::Result;

/// Convolution and pooling with their input gradients (vector-Jacobian products).
///
/// All tensors are `[N, C, H, W]`; gradients are f32, forward operations f32 or, where
/// [`Kernels::forward_dtype`] says so, f64. `dims` is the shape of the operation's input.
pub trait Kernels: Send + Sync {
    /// Type in which the forward pass is computed. In f32 a few of the ten million rectifiers of a
    /// network end on the other side of 0 for no better reason than the order of a sum, which shows as single
    /// wrong cells in maps of early layers; in f64 they do not.
    fn forward_dtype(&self) -> DType;

    /// Name for `camlens bench` and manifests.
    fn name(&self) -> &'static str;

    /// Convolution with bias.
    fn conv2d(&self, x: &Tensor, conv: &Conv2d) -> Result<Tensor>;

    /// Gradient of [`Kernels::conv2d`] with respect to its input; `dims` is the input's shape.
    fn conv2d_input_grad(&self, grad: &Tensor, conv: &Conv2d, dims: [usize; 4]) -> Result<Tensor>;

    /// `x W^T + b` for `x [N, features]` and a weight `[out, features]`.
    fn linear(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor>;

    /// Maximum over windows; a border is minus infinity.
    fn max_pool2d(&self, x: &Tensor, pool: &Pool) -> Result<Tensor>;

    /// Gradient of [`Kernels::max_pool2d`]: each output's gradient goes to the first maximum of its
    /// window in row-major order, as PyTorch has it.
    fn max_pool2d_grad(&self, x: &Tensor, grad: &Tensor, pool: &Pool) -> Result<Tensor>;

    /// Mean over windows; `count_border` says whether the zeros of the border count.
    fn avg_pool2d(&self, x: &Tensor, pool: &Pool, count_border: bool) -> Result<Tensor>;

    /// Gradient of [`Kernels::avg_pool2d`].
    fn avg_pool2d_grad(
        &self,
        grad: &Tensor,
        pool: &Pool,
        count_border: bool,
        dims: [usize; 4],
    ) -> Result<Tensor>;
}

/// What kernels made of a layer's weights once (packed, transformed), shared by all copies of the layer.
#[derive(Clone, Default)]
pub struct Prepared(Arc<cpu::Cache>);

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prepared")
    }
}

/// The best kernels there are for a device.
pub fn for_device(device: &Device) -> Arc<dyn Kernels> {
    match device {
        Device::Cpu => Arc::new(cpu::Cpu),
        _ => Arc::new(portable::Portable),
    }
}

/// Matrix `[out, windows]` of the weights of an adaptive mean along one axis: row `i` averages the
/// cells `floor(i n / out) .. ceil((i + 1) n / out)`, as PyTorch rounds them.
///
/// The mean over a grid is separable, so forward is `R x C^T` and the gradient `R^T g C`.
pub(crate) fn adaptive_matrix(out: usize, n: usize, device: &Device) -> Result<Tensor> {
    let mut values = vec![0f32; out * n];
    for (i, row) in values.chunks_exact_mut(n.max(1)).enumerate() {
        let (start, end) = (i * n / out, ((i + 1) * n).div_ceil(out));
        let weight = 1.0 / (end - start).max(1) as f32;
        for cell in &mut row[start..end] {
            *cell = weight;
        }
    }
    Ok(Tensor::from_vec(values, (out, n), device)?)
}

/// Mean over a grid of windows, `[N, C, H, W]` to `[N, C, out rows, out columns]`.
pub(crate) fn adaptive_avg_pool2d(x: &Tensor, out: [usize; 2]) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    if out == [1, 1] {
        return Ok(x.flatten(2, 3)?.mean_keepdim(2)?.reshape((n, c, 1, 1))?);
    }
    if out == [h, w] {
        return Ok(x.clone());
    }
    let rows = adaptive_matrix(out[0], h, x.device())?.to_dtype(x.dtype())?;
    let columns = adaptive_matrix(out[1], w, x.device())?;
    let columns = columns.to_dtype(x.dtype())?.t()?.contiguous()?;
    let planes = x.reshape((n * c, h, w))?;
    Ok(rows
        .broadcast_matmul(&planes.broadcast_matmul(&columns)?)?
        .reshape((n, c, out[0], out[1]))?)
}

/// Gradient of [`adaptive_avg_pool2d`].
pub(crate) fn adaptive_avg_pool2d_grad(grad: &Tensor, dims: [usize; 4]) -> Result<Tensor> {
    let [n, c, h, w] = dims;
    let (_, _, oh, ow) = grad.dims4()?;
    if [oh, ow] == [1, 1] {
        return Ok((grad / (h * w) as f64)?
            .broadcast_as((n, c, h, w))?
            .contiguous()?);
    }
    if [oh, ow] == [h, w] {
        return Ok(grad.clone());
    }
    let rows = adaptive_matrix(oh, h, grad.device())?.t()?.contiguous()?;
    let columns = adaptive_matrix(ow, w, grad.device())?;
    let planes = grad.contiguous()?.reshape((n * c, oh, ow))?;
    Ok(rows
        .broadcast_matmul(&planes.broadcast_matmul(&columns)?)?
        .reshape((n, c, h, w))?)
}
