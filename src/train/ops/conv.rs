//! Two-dimensional convolution without bias, as im2col and one matrix product a group of images.

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::im2col::Patches;
use super::{values, with_values};

/// Small planes are joined until a matrix product has about this many columns: below it, packing
/// the kernel costs more than the product.
const COLUMNS: usize = 256;

/// Convolution `[n, ci, h, w] * [co, ci, k, k] -> [n, co, oh, ow]` with equal stride and zero padding
/// on both axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Step between patches.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
}

/// Sizes of one call.
struct Call {
    patches: Patches,
    images: usize,
    out_channels: usize,
    /// Images a matrix product takes.
    group: usize,
}

impl Conv2d {
    fn call(&self, x: &[usize], weight: &[usize]) -> Result<Call> {
        let (&[n, ci, height, width], &[co, wi, kernel, kw]) = (x, weight) else {
            bail!("convolution expects four dimensions, found {x:?} and {weight:?}")
        };
        if ci != wi || kernel != kw || height + 2 * self.padding < kernel || n == 0 {
            bail!("kernel {weight:?} does not fit input {x:?}")
        }
        let patches = Patches {
            channels: ci,
            height,
            width,
            kernel,
            stride: self.stride,
            padding: self.padding,
        };
        Ok(Call {
            patches,
            images: n,
            out_channels: co,
            group: (COLUMNS / patches.positions()).clamp(1, n),
        })
    }
}

impl Call {
    /// Groups of images as columns; a 1 x 1 kernel with stride 1 still goes through here, where
    /// the columns are a plain copy.
    fn columns(&self, images: &[f32]) -> Result<Tensor> {
        let columns = self.patches.columns(images);
        let width = columns.len() / self.patches.rows();
        Tensor::from_vec(columns, (self.patches.rows(), width), &Device::Cpu)
    }

    /// `[images, co, p]` to a matrix `[co, images * p]`.
    fn gather(&self, values: &[f32]) -> Result<Tensor> {
        let (co, p) = (self.out_channels, self.patches.positions());
        let count = values.len() / (co * p);
        let mut matrix = Vec::with_capacity(values.len());
        for c in 0..co {
            for i in 0..count {
                let from = (i * co + c) * p;
                matrix.extend_from_slice(&values[from..from + p]);
            }
        }
        Tensor::from_vec(matrix, (co, count * p), &Device::Cpu)
    }

    /// The way back of [`Self::gather`].
    fn scatter(&self, matrix: &[f32], values: &mut [f32]) {
        let (co, p) = (self.out_channels, self.patches.positions());
        let count = values.len() / (co * p);
        for c in 0..co {
            for i in 0..count {
                let (from, to) = ((c * count + i) * p, (i * co + c) * p);
                values[to..to + p].copy_from_slice(&matrix[from..from + p]);
            }
        }
    }

    fn forward(&self, x: &[f32], weight: &Tensor) -> Result<Vec<f32>> {
        let out_len = self.out_channels * self.patches.positions();
        let mut out = vec![0.0; self.images * out_len];
        out.par_chunks_mut(self.group * out_len)
            .zip(x.par_chunks(self.group * self.patches.image_len()))
            .try_for_each(|(out, x)| {
                let product = weight.matmul(&self.columns(x)?)?;
                with_values(&product, |matrix| {
                    self.scatter(matrix, out);
                    Ok(())
                })
            })?;
        Ok(out)
    }

    /// Gradients by the input (when `wanted`) and by the kernel.
    fn backward(
        &self,
        x: &[f32],
        weight: &Tensor,
        grad: &[f32],
        wanted: bool,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let out_len = self.out_channels * self.patches.positions();
        let image_len = self.patches.image_len();
        let transposed = weight.t()?;
        let mut dx = vec![0.0; if wanted { x.len() } else { 0 }];
        let chunks: Vec<Option<&mut [f32]>> = if wanted {
            dx.chunks_mut(self.group * image_len).map(Some).collect()
        } else {
            (0..self.images.div_ceil(self.group))
                .map(|_| None)
                .collect()
        };
        let parts: Vec<Tensor> = chunks
            .into_par_iter()
            .zip(grad.par_chunks(self.group * out_len))
            .zip(x.par_chunks(self.group * image_len))
            .map(|((dx, grad), x)| {
                let grad = self.gather(grad)?;
                let part = grad.matmul(&self.columns(x)?.t()?)?;
                if let Some(dx) = dx {
                    let columns = transposed.matmul(&grad)?;
                    with_values(&columns, |columns| {
                        self.patches.add_columns(columns, dx);
                        Ok(())
                    })?;
                }
                Ok(part)
            })
            .collect::<Result<_>>()?;
        // Summed in the order of the images, so that the result does not depend on the threads.
        let mut dw = vec![0.0; self.out_channels * self.patches.rows()];
        for part in &parts {
            with_values(part, |part| {
                for (sum, v) in dw.iter_mut().zip(part) {
                    *sum += v;
                }
                Ok(())
            })?;
        }
        Ok((dx, dw))
    }
}

impl CustomOp2 for Conv2d {
    fn name(&self) -> &'static str {
        "im2col-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let call = self.call(x_layout.dims(), weight_layout.dims())?;
        let weight = Tensor::from_slice(
            values(weight, weight_layout)?,
            (call.out_channels, call.patches.rows()),
            &Device::Cpu,
        )?;
        let out = call.forward(values(x, x_layout)?, &weight)?;
        let shape = Shape::from((
            call.images,
            call.out_channels,
            call.patches.out_height(),
            call.patches.out_width(),
        ));
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let call = self.call(x.dims(), weight.dims())?;
        let matrix = weight
            .detach()
            .reshape((call.out_channels, call.patches.rows()))?;
        let grad = grad.contiguous()?;
        let wanted = x.track_op();
        let (dx, dw) = with_values(x, |x| {
            with_values(&grad, |grad| call.backward(x, &matrix, grad, wanted))
        })?;
        let dx = wanted
            .then(|| Tensor::from_vec(dx, x.dims(), &Device::Cpu))
            .transpose()?;
        Ok((dx, Some(Tensor::from_vec(dw, weight.dims(), &Device::Cpu)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{gradient_error, noise_tensor};
    use super::*;

    #[test]
    fn agrees_with_candle_and_with_finite_differences() {
        for (kernel, stride, padding, h, w) in [
            (3, 1, 1, 5, 4),
            (3, 2, 1, 7, 6),
            (7, 2, 3, 9, 8),
            (1, 2, 0, 5, 5),
            (1, 1, 0, 3, 4),
        ] {
            let x = noise_tensor(&[3, 2, h, w], 1);
            let weight = noise_tensor(&[4, 2, kernel, kernel], 2);
            let op = Conv2d { stride, padding };
            let ours = x.apply_op2(&weight, op).unwrap();
            let theirs = x.conv2d(&weight, padding, stride, 1, 1).unwrap();
            assert_eq!(ours.dims(), theirs.dims());
            let apart = (ours - theirs)
                .unwrap()
                .abs()
                .unwrap()
                .max_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap();
            assert!(apart < 1e-5, "kernel {kernel} stride {stride}: {apart}");
            let error = gradient_error(&[x, weight], 1e-2, |t| t[0].apply_op2(&t[1], op));
            assert!(error < 2e-3, "kernel {kernel} stride {stride}: {error}");
        }
    }

    #[test]
    fn kernel_that_does_not_fit_is_refused() {
        let x = noise_tensor(&[1, 2, 4, 4], 1);
        let weight = noise_tensor(&[1, 3, 3, 3], 2);
        let op = Conv2d {
            stride: 1,
            padding: 1,
        };
        assert!(x.apply_op2(&weight, op).is_err());
    }
}
