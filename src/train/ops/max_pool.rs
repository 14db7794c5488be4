//! Max-pooling with overlapping windows and a right gradient.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{values, with_values};

/// Maximum over square windows of `[n, c, h, w]`; positions outside the image never win. The gradient
/// goes to the first maximum of a window in row order, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Positions around the image that belong to windows but never win.
    pub padding: usize,
}

impl MaxPool {
    fn out(&self, size: usize) -> usize {
        (size + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }

    /// First position of a window and the one after its last, along one axis.
    fn window(&self, o: usize, size: usize) -> (usize, usize) {
        let start = o * self.stride;
        (
            start.saturating_sub(self.padding),
            (start + self.kernel).saturating_sub(self.padding).min(size),
        )
    }

    /// Calls `f(output position, input position of the first maximum)` for one plane.
    fn for_each_winner(&self, plane: &[f32], h: usize, w: usize, mut f: impl FnMut(usize, usize)) {
        let (oh, ow) = (self.out(h), self.out(w));
        for oy in 0..oh {
            let (y0, y1) = self.window(oy, h);
            for ox in 0..ow {
                let (x0, x1) = self.window(ox, w);
                let mut winner = y0 * w + x0;
                let mut best = f32::NEG_INFINITY;
                for y in y0..y1 {
                    for (x, &v) in (x0..x1).zip(&plane[y * w + x0..y * w + x1]) {
                        if v > best {
                            best = v;
                            winner = y * w + x;
                        }
                    }
                }
                f(oy * ow + ox, winner);
            }
        }
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let &[n, c, h, w] = layout.dims() else {
            bail!("pooling expects four dimensions, found {:?}", layout.dims())
        };
        if h + 2 * self.padding < self.kernel || self.padding >= self.kernel {
            bail!("pooling window does not fit {:?}", layout.dims())
        }
        let x = values(x, layout)?;
        let (oh, ow) = (self.out(h), self.out(w));
        let mut out = vec![0.0; n * c * oh * ow];
        out.par_chunks_mut(oh * ow)
            .zip(x.par_chunks(h * w))
            .for_each(|(out, plane)| {
                self.for_each_winner(plane, h, w, |o, i| out[o] = plane[i]);
            });
        Ok((CpuStorage::F32(out), Shape::from((n, c, oh, ow))))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, h, w) = x.dims4()?;
        let windows = self.out(h) * self.out(w);
        let grad = grad.contiguous()?;
        let dx = with_values(x, |x| {
            with_values(&grad, |grad| {
                let mut dx = vec![0.0; x.len()];
                dx.par_chunks_mut(h * w)
                    .zip(x.par_chunks(h * w).zip(grad.par_chunks(windows)))
                    .for_each(|(dx, (plane, grad))| {
                        self.for_each_winner(plane, h, w, |o, i| dx[i] += grad[o]);
                    });
                Ok(dx)
            })
        })?;
        Ok(Some(Tensor::from_vec(dx, x.dims(), &Device::Cpu)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{gradient_error, noise_tensor};
    use super::*;
    use candle_core::Var;

    const STEM: MaxPool = MaxPool {
        kernel: 3,
        stride: 2,
        padding: 1,
    };

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let x = noise_tensor(&[2, 2, 6, 5], 3);
        assert_eq!(x.apply_op1(STEM).unwrap().dims(), &[2, 2, 3, 3]);
        let error = gradient_error(&[x], 1e-4, |t| t[0].apply_op1(STEM));
        assert!(error < 1e-2, "{error}");
    }

    /// candle 0.11.1 gives (.75, .75, 0, .75) here: the sum of a gradient must stay what came in.
    #[test]
    fn ties_give_the_gradient_to_the_first_maximum() {
        let x = Var::from_slice(&[1f32, 1.0, 0.0, 1.0], (1, 1, 2, 2), &Device::Cpu).unwrap();
        let pool = MaxPool {
            kernel: 2,
            stride: 2,
            padding: 0,
        };
        let loss = x.apply_op1(pool).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        let grad: Vec<f32> = grads
            .get(&x)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(grad, [1.0, 0.0, 0.0, 0.0]);
    }
}
