//! Batch normalisation, joined with the ReLU that follows it (Ioffe and Szegedy 2015, "Batch Normalization").

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{values, with_values};

/// Mean and variance of every channel over one batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchStats {
    /// Means.
    pub mean: Vec<f32>,
    /// Variances with the divisor `count`.
    pub variance: Vec<f32>,
    /// Values a channel has in the batch, `n * h * w`.
    pub count: usize,
}

/// Normalises `[n, c, h, w]` by the statistics of the batch, scales by gamma `[c]`, shifts by
/// beta `[c]` and, where asked, cuts at zero. The statistics are left in [`Self::stats`].
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// Written by the forward pass, read by the backward pass and by whoever keeps running averages.
    pub stats: Arc<Mutex<BatchStats>>,
}

/// Lanes of a sum: wide enough for the compiler to use vector registers, and a fixed order of addition.
const LANES: usize = 16;

/// Sum over `f(index)` for `0..n`, in a fixed order.
fn lane_sum<const K: usize>(n: usize, f: impl Fn(usize) -> [f32; K]) -> [f64; K] {
    let mut lanes = [[0.0_f32; K]; LANES];
    let whole = n - n % LANES;
    let add = |sums: &mut [f32; K], terms: [f32; K]| {
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += term;
        }
    };
    for start in (0..whole).step_by(LANES) {
        for (lane, sums) in lanes.iter_mut().enumerate() {
            add(sums, f(start + lane));
        }
    }
    for i in whole..n {
        add(&mut lanes[0], f(i));
    }
    std::array::from_fn(|k| lanes.iter().map(|sums| f64::from(sums[k])).sum())
}

struct Dims {
    n: usize,
    c: usize,
    plane: usize,
}

impl Dims {
    fn of(dims: &[usize]) -> Result<Self> {
        let &[n, c, h, w] = dims else {
            bail!("batch normalisation expects four dimensions, found {dims:?}")
        };
        Ok(Self { n, c, plane: h * w })
    }

    fn image(&self) -> usize {
        self.c * self.plane
    }

    /// The planes of channel `c`, image by image.
    fn planes<'a>(&self, x: &'a [f32], c: usize) -> impl Iterator<Item = &'a [f32]> {
        let (from, plane) = (c * self.plane, self.plane);
        x.chunks_exact(self.image())
            .map(move |image| &image[from..from + plane])
    }
}

fn batch_stats(x: &[f32], dims: &Dims) -> BatchStats {
    let count = dims.n * dims.plane;
    let moments: Vec<(f32, f32)> = (0..dims.c)
        .into_par_iter()
        .map(|c| {
            // Shifting by one value of the channel keeps the difference of the two moments accurate.
            let shift = x[c * dims.plane];
            let [sum, squares] = dims.planes(x, c).fold([0.0; 2], |total, plane| {
                let sums = lane_sum(plane.len(), |i| {
                    let v = plane[i] - shift;
                    [v, v * v]
                });
                [total[0] + sums[0], total[1] + sums[1]]
            });
            let mean = sum / count as f64;
            let variance = (squares / count as f64 - mean * mean).max(0.0);
            ((mean + f64::from(shift)) as f32, variance as f32)
        })
        .collect();
    let (mean, variance) = moments.into_iter().unzip();
    BatchStats {
        mean,
        variance,
        count,
    }
}

/// `out = scale[c] * x + shift[c]`, cut at zero where asked.
fn affine(x: &[f32], dims: &Dims, scale: &[f32], shift: &[f32], relu: bool) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    out.par_chunks_mut(dims.image())
        .zip(x.par_chunks(dims.image()))
        .for_each(|(out, x)| {
            let planes = out
                .chunks_exact_mut(dims.plane)
                .zip(x.chunks_exact(dims.plane));
            for ((out, x), (&a, &b)) in planes.zip(scale.iter().zip(shift)) {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = (a * x + b).max(floor);
                }
            }
        });
    out
}

impl BatchNorm {
    fn inverse_deviation(&self, variance: f32) -> f32 {
        1.0 / (variance + self.eps).sqrt()
    }

    fn saved(&self) -> BatchStats {
        self.stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dims = Dims::of(x_layout.dims())?;
        let x = values(x, x_layout)?;
        let (gamma, beta) = (values(gamma, gamma_layout)?, values(beta, beta_layout)?);
        if gamma.len() != dims.c || beta.len() != dims.c {
            bail!(
                "batch normalisation of {} channels has {} scales",
                dims.c,
                gamma.len()
            )
        }
        let stats = batch_stats(x, &dims);
        let scale: Vec<f32> = gamma
            .iter()
            .zip(&stats.variance)
            .map(|(g, &v)| g * self.inverse_deviation(v))
            .collect();
        let shift: Vec<f32> = beta
            .iter()
            .zip(scale.iter().zip(&stats.mean))
            .map(|(b, (s, m))| b - s * m)
            .collect();
        let out = affine(x, &dims, &scale, &shift, self.relu);
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        _beta: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dims = Dims::of(x.dims())?;
        let stats = self.saved();
        let gamma: Vec<f32> = gamma.to_vec1()?;
        let grad = grad.contiguous()?;
        // Positions that the ReLU cut pass nothing on; without a ReLU every position passes.
        let floor = if self.relu { 0.0 } else { f32::NEG_INFINITY };
        let (dx, sums) = with_values(x, |x| {
            with_values(res, |res| {
                with_values(&grad, |grad| {
                    Ok(backward(x, res, grad, &dims, &stats, floor, |c| {
                        (gamma[c], self.inverse_deviation(stats.variance[c]))
                    }))
                })
            })
        })?;
        let (d_beta, d_gamma): (Vec<f32>, Vec<f32>) = sums.into_iter().unzip();
        let vector = |v: Vec<f32>| Tensor::from_vec(v, dims.c, &Device::Cpu);
        Ok((
            Some(Tensor::from_vec(dx, x.dims(), &Device::Cpu)?),
            Some(vector(d_gamma)?),
            Some(vector(d_beta)?),
        ))
    }
}

/// Gradient by the input, and for every channel the gradients by beta and gamma.
fn backward(
    x: &[f32],
    res: &[f32],
    grad: &[f32],
    dims: &Dims,
    stats: &BatchStats,
    floor: f32,
    gamma_and_inverse: impl Fn(usize) -> (f32, f32) + Sync,
) -> (Vec<f32>, Vec<(f32, f32)>) {
    let sums: Vec<(f32, f32)> = (0..dims.c)
        .into_par_iter()
        .map(|c| {
            let (mean, inverse) = (stats.mean[c], gamma_and_inverse(c).1);
            let planes = dims
                .planes(x, c)
                .zip(dims.planes(res, c).zip(dims.planes(grad, c)));
            let [sum, dot] = planes.fold([0.0; 2], |total, (x, (res, grad))| {
                let n = x.len().min(res.len()).min(grad.len());
                let (x, res, grad) = (&x[..n], &res[..n], &grad[..n]);
                let sums = lane_sum(n, |i| {
                    let g = if res[i] > floor { grad[i] } else { 0.0 };
                    [g, g * (x[i] - mean)]
                });
                [total[0] + sums[0], total[1] + sums[1]]
            });
            (sum as f32, dot as f32 * inverse)
        })
        .collect();
    let count = stats.count as f32;
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(dims.image())
        .zip(
            x.par_chunks(dims.image()).zip(
                res.par_chunks(dims.image())
                    .zip(grad.par_chunks(dims.image())),
            ),
        )
        .for_each(|(dx, (x, (res, grad)))| {
            for (c, &(sum, dot)) in sums.iter().enumerate() {
                let plane = c * dims.plane..(c + 1) * dims.plane;
                let (gamma, inverse) = gamma_and_inverse(c);
                // dx = gamma/sigma (g - mean(g) - xhat mean(g xhat)), written as a g + b x + d.
                let a = gamma * inverse;
                let b = -a * dot / count * inverse;
                let d = -a * sum / count - b * stats.mean[c];
                let inputs = x[plane.clone()].iter().zip(&res[plane.clone()]);
                for (dx, ((&x, &res), &g)) in
                    dx[plane.clone()].iter_mut().zip(inputs.zip(&grad[plane]))
                {
                    let g = if res > floor { g } else { 0.0 };
                    *dx = a * g + b * x + d;
                }
            }
        });
    (dx, sums)
}

/// A fixed scale and shift of every channel and, where asked, a ReLU: batch normalisation with
/// running statistics. It has no gradient.
#[derive(Clone, Debug)]
pub struct Affine {
    /// Factors, one a channel.
    pub scale: Vec<f32>,
    /// Addends, one a channel.
    pub shift: Vec<f32>,
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl CustomOp1 for Affine {
    fn name(&self) -> &'static str {
        "channel-affine"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let dims = Dims::of(layout.dims())?;
        if self.scale.len() != dims.c || self.shift.len() != dims.c {
            bail!("{} factors for {} channels", self.scale.len(), dims.c)
        }
        let out = affine(
            values(x, layout)?,
            &dims,
            &self.scale,
            &self.shift,
            self.relu,
        );
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{gradient_error, noise_tensor};
    use super::*;

    fn op(relu: bool) -> BatchNorm {
        BatchNorm {
            eps: 1e-5,
            relu,
            stats: Arc::default(),
        }
    }

    #[test]
    fn normalises_every_channel() {
        let x = (noise_tensor(&[3, 2, 5, 7], 8) + 3.0).unwrap();
        let gamma = Tensor::ones(2, candle_core::DType::F32, &Device::Cpu).unwrap();
        let beta = gamma.zeros_like().unwrap();
        let out = x.apply_op3(&gamma, &beta, op(false)).unwrap();
        for c in 0..2 {
            let channel = out.narrow(1, c, 1).unwrap();
            let mean: f32 = channel.mean_all().unwrap().to_scalar().unwrap();
            let square: f32 = channel
                .sqr()
                .unwrap()
                .mean_all()
                .unwrap()
                .to_scalar()
                .unwrap();
            assert!(
                mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-3,
                "{mean} {square}"
            );
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for relu in [false, true] {
            let inputs = [
                noise_tensor(&[3, 2, 4, 5], 10),
                noise_tensor(&[2], 11),
                noise_tensor(&[2], 12),
            ];
            let error = gradient_error(&inputs, 1e-3, |t| t[0].apply_op3(&t[1], &t[2], op(relu)));
            assert!(error < 1e-2, "relu {relu}: {error}");
        }
    }
}
