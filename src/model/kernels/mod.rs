//! The arithmetic behind one seam.
//!
//! Forward and backward never convolve or pool by themselves: they ask a [`Kernels`]. Two exist: one
//! out of candle's own operations that runs on any device, and a faster one for the CPU. The same tests hold for
//! both.

pub mod cpu;
pub(crate) mod plain;
pub mod portable;

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::op::{Act, BatchNorm, Conv2d, Op, Pool};
use crate::error::Result;

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A trace that a reverse walk reads. Sums are taken directly: which rectifiers are open must not hang on
    /// the rounding of a shortcut.
    Trace,
    /// A trace that a reverse walk reads for one of many samples whose mean is looked at: a rectifier more or less is
    /// lost in it, and shortcuts are welcome.
    Sample,
    /// Only the logits are read. Shortcuts such as Winograd's, which round a little differently, are welcome.
    Scores,
}

/// Operations that kernels may compute in one go: a convolution, its BatchNorm, a sum with another node and an
/// activation, in that order, each but the first optional.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The convolution.
    pub conv: &'a Conv2d,
    /// BatchNorm right behind it.
    pub norm: Option<&'a BatchNorm>,
    /// Activation of the sum.
    pub act: Option<Act>,
}

impl<'a> Chain<'a> {
    /// A convolution by itself.
    pub fn of(conv: &'a Conv2d) -> Self {
        Self {
            conv,
            norm: None,
            act: None,
        }
    }
}

/// What relevance is divided by where sums stand below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Denominator {
    /// `z + e sgn z`, with `sgn 0 = 1`.
    Stabilised(f32),
    /// z, and what stands over 0 becomes 0.
    Exact,
}

/// Operations with their input gradients (vector-Jacobian products).
///
/// All tensors are f32, `[N, C, H, W]` or `[N, features]`, in whatever strides the kernels like; `dims` is the
/// shape of the operation's input.
pub trait Kernels: Send + Sync {
    /// Name for `camlens bench` and manifests.
    fn name(&self) -> &'static str;

    /// Whether [`Kernels::chain`] is faster than its operations one by one.
    fn fuses(&self) -> bool {
        false
    }

    /// Convolution with bias.
    ///
    /// # Errors
    /// Fails when the device does.
    fn conv2d(&self, x: &Tensor, conv: &Conv2d) -> Result<Tensor>;

    /// Gradient of [`Kernels::conv2d`] with respect to its input; `dims` is the input's shape.
    ///
    /// # Errors
    /// Fails when the device does.
    fn conv2d_input_grad(&self, grad: &Tensor, conv: &Conv2d, dims: [usize; 4]) -> Result<Tensor>;

    /// `r` over [`Kernels::conv2d`], cell by cell, where these kernels do both in one go; `r` has the output's shape.
    ///
    /// # Errors
    /// Fails when the shapes do not fit or the device does.
    fn conv2d_quotient(
        &self,
        _x: &Tensor,
        _conv: &Conv2d,
        _r: &Tensor,
        _over: Denominator,
    ) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// [`Kernels::conv2d_input_grad`] times the input `x`, cell by cell, where these kernels do both in one go.
    ///
    /// # Errors
    /// Fails when the shapes do not fit or the device does.
    fn conv2d_input_grad_product(
        &self,
        _grad: &Tensor,
        _conv: &Conv2d,
        _x: &Tensor,
    ) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// `x W^T + b` for `x [N, features]` and a weight `[out, features]`.
    ///
    /// # Errors
    /// Fails when the device does.
    fn linear(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor>;

    /// `g W`, the gradient of [`Kernels::linear`] at its input.
    ///
    /// # Errors
    /// Fails when the device does.
    fn linear_input_grad(&self, grad: &Tensor, weight: &Tensor) -> Result<Tensor> {
        Ok(grad.matmul(weight)?)
    }

    /// Maximum over windows; a border is minus infinity.
    ///
    /// # Errors
    /// Fails when the device does.
    fn max_pool2d(&self, x: &Tensor, pool: &Pool) -> Result<Tensor>;

    /// Gradient of [`Kernels::max_pool2d`]: each output's gradient goes to the first maximum of its
    /// window in row-major order, as PyTorch has it.
    ///
    /// # Errors
    /// Fails when the device does.
    fn max_pool2d_grad(&self, x: &Tensor, grad: &Tensor, pool: &Pool) -> Result<Tensor>;

    /// Mean over windows; `count_border` says whether the zeros of the border count.
    ///
    /// # Errors
    /// Fails when the device does.
    fn avg_pool2d(&self, x: &Tensor, pool: &Pool, count_border: bool) -> Result<Tensor>;

    /// Gradient of [`Kernels::avg_pool2d`].
    ///
    /// # Errors
    /// Fails when the device does.
    fn avg_pool2d_grad(
        &self,
        grad: &Tensor,
        pool: &Pool,
        count_border: bool,
        dims: [usize; 4],
    ) -> Result<Tensor>;

    /// Any operation but [`Op::Input`].
    ///
    /// # Errors
    /// Fails when the operation does not take these inputs or the device fails.
    fn apply(&self, op: &Op, inputs: &[&Tensor]) -> Result<Tensor> {
        match (op, inputs) {
            (Op::Conv2d(conv), [x]) => self.conv2d(x, conv),
            (Op::MaxPool(pool), [x]) => self.max_pool2d(x, pool),
            (Op::AvgPool { pool, count_border }, [x]) => self.avg_pool2d(x, pool, *count_border),
            (Op::Linear { weight, bias, .. }, [x]) if x.rank() == 2 => {
                self.linear(x, weight, bias.as_ref())
            }
            (Op::Linear { .. }, [x]) => self.conv2d(x, &op.pointwise()?),
            _ => plain::apply(op, inputs),
        }
    }

    /// What [`Kernels::apply`] hands back to its inputs for `given` at the output: the ordinary gradient, with
    /// `relu'(0) = 0` and a maximum's to the first maximum, as in PyTorch.
    ///
    /// # Errors
    /// As [`Kernels::apply`].
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
            (Op::MaxPool(pool), [x]) => vec![self.max_pool2d_grad(x, given, pool)?],
            (Op::AvgPool { pool, count_border }, [x]) => {
                vec![self.avg_pool2d_grad(given, pool, *count_border, dims4(x)?)?]
            }
            (Op::Linear { weight, .. }, [x]) if x.rank() == 2 => {
                vec![self.linear_input_grad(given, weight)?]
            }
            (Op::Linear { .. }, [x]) => {
                vec![self.conv2d_input_grad(given, &op.pointwise()?, dims4(x)?)?]
            }
            _ => plain::grad(op, inputs, output, given)?,
        })
    }

    /// A whole chain; `added` is the other part of its sum.
    ///
    /// # Errors
    /// Fails when the device does.
    fn chain(
        &self,
        chain: &Chain<'_>,
        x: &Tensor,
        added: Option<&Tensor>,
        _purpose: Purpose,
    ) -> Result<Tensor> {
        let mut y = self.conv2d(x, chain.conv)?;
        if let Some(norm) = chain.norm {
            y = self.apply(&Op::BatchNorm(norm.clone()), &[&y])?;
        }
        if let Some(added) = added {
            y = self.apply(&Op::Add, &[&y, added])?;
        }
        if let Some(act) = chain.act {
            y = self.apply(&Op::Act(act), &[&y])?;
        }
        Ok(y)
    }

    /// BatchNorm and an activation that is a clamp.
    ///
    /// # Errors
    /// Fails when the device does.
    fn norm_act(&self, norm: &BatchNorm, act: Act, x: &Tensor) -> Result<Tensor> {
        let y = self.apply(&Op::BatchNorm(norm.clone()), &[x])?;
        self.apply(&Op::Act(act), &[&y])
    }

    /// The gradient of [`Kernels::norm_act`] at its input for `given` at its output `y`, plus `sum` where
    /// something has arrived at the input already.
    ///
    /// # Errors
    /// Fails when the device does.
    fn norm_act_grad(
        &self,
        norm: &BatchNorm,
        act: Act,
        y: &Tensor,
        given: &Tensor,
        sum: Option<&Tensor>,
    ) -> Result<Tensor> {
        let mut g = given.clone();
        for share in self.grad(&Op::Act(act), &[y], y, given)? {
            g = self.apply(&Op::Scale(norm.scale.clone()), &[&share])?;
        }
        match sum {
            Some(sum) => self.apply(&Op::Add, &[&g, sum]),
            None => Ok(g),
        }
    }

    /// The gradient of a chain's convolution and BatchNorm at its input, for `given` before the sum and the
    /// activation, plus `sum` where something has arrived at the input already.
    ///
    /// # Errors
    /// Fails when the device does.
    fn chain_input_grad(
        &self,
        chain: &Chain<'_>,
        given: &Tensor,
        dims: [usize; 4],
        sum: Option<&Tensor>,
    ) -> Result<Tensor> {
        let mut g = given.clone();
        if let Some(norm) = chain.norm {
            g = plain::apply(&Op::Scale(norm.scale.clone()), &[&g])?;
        }
        let g = self.conv2d_input_grad(&g, chain.conv, dims)?;
        match sum {
            Some(sum) => self.apply(&Op::Add, &[&g, sum]),
            None => Ok(g),
        }
    }
}

/// What kernels made of a layer's weights once (packed, transformed), shared by all copies of the layer.
#[derive(Clone, Default)]
pub struct Prepared(Arc<cpu::Cache>);

impl Prepared {
    /// Gives back what only a forward pass needs; the next one makes it again.
    pub(crate) fn forget_forward(&self) {
        self.0.forget_forward();
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prepared")
    }
}

/// The values of a tensor in the order of its shape.
///
/// # Errors
/// Fails when the device does.
pub fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    let ordered = match tensor.device() {
        Device::Cpu => cpu::in_order(tensor)?,
        _ => tensor.contiguous()?,
    };
    Ok(ordered.flatten_all()?.to_vec1()?)
}

/// The best kernels there are for a device.
pub fn for_device(device: &Device) -> Arc<dyn Kernels> {
    match device {
        Device::Cpu => Arc::new(cpu::Cpu::new()),
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
