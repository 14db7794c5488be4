//! The end of a residual block.

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{values, with_values};

/// Values handled by one task.
pub(super) const CHUNK: usize = 1 << 16;

/// `max(a + b, 0)` for two tensors of one shape (He et al. 2016, "Deep residual learning").
/// The gradient at 0 is 0, as in PyTorch.
#[derive(Clone, Copy, Debug)]
pub struct AddRelu;

impl CustomOp2 for AddRelu {
    fn name(&self) -> &'static str {
        "add-relu"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if a_layout.dims() != b_layout.dims() {
            bail!("cannot add {:?} and {:?}", a_layout.dims(), b_layout.dims())
        }
        let (a, b) = (values(a, a_layout)?, values(b, b_layout)?);
        let mut out = vec![0.0; a.len()];
        out.par_chunks_mut(CHUNK)
            .zip(a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)))
            .for_each(|(out, (a, b))| {
                for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                    *out = (a + b).max(0.0);
                }
            });
        Ok((CpuStorage::F32(out), a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _a: &Tensor,
        _b: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let passed = with_values(res, |res| {
            with_values(&grad, |grad| {
                let mut out = vec![0.0; grad.len()];
                out.par_chunks_mut(CHUNK)
                    .zip(grad.par_chunks(CHUNK).zip(res.par_chunks(CHUNK)))
                    .for_each(|(out, (grad, res))| {
                        for ((out, &g), &r) in out.iter_mut().zip(grad).zip(res) {
                            *out = if r > 0.0 { g } else { 0.0 };
                        }
                    });
                Ok(out)
            })
        })?;
        let passed = Tensor::from_vec(passed, grad.dims(), &Device::Cpu)?;
        Ok((Some(passed.clone()), Some(passed)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{gradient_error, noise_tensor};
    use super::*;

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let inputs = [noise_tensor(&[2, 3, 4], 5), noise_tensor(&[2, 3, 4], 6)];
        let error = gradient_error(&inputs, 1e-3, |t| t[0].apply_op2(&t[1], AddRelu));
        assert!(error < 2e-3, "{error}");
    }
}
