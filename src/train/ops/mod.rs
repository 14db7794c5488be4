//! Tensor operations for training on the CPU: candle's autograd drives them, their arithmetic is ours.
//!
//! candle 0.11.1 differentiates a convolution with a loop nest that is five to eight times slower
//! than a matrix product, refuses the gradient of a 3 x 3 pooling with stride 2, and spreads the
//! gradient of a pooling window over ties wrongly. Each operation here has both directions written out and
//! its gradient checked by finite differences.
//!
//! Every sum is taken in an order that does not depend on the number of threads, so that a training run
//! gives the same bytes again.

mod add_relu;
mod batch_norm;
mod conv;
mod im2col;
mod max_pool;

pub use add_relu::AddRelu;
pub use batch_norm::{Affine, BatchNorm, BatchStats};
pub use conv::Conv2d;
pub use max_pool::MaxPool;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// Hands the values of a contiguous f32 tensor on the CPU to `f`.
pub(crate) fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(values(storage, layout)?),
        _ => bail!("training runs on the CPU"),
    }
}

/// The values of a contiguous f32 storage.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => bail!("expected a contiguous tensor"),
    }
}

#[cfg(test)]
pub(crate) mod test_support {
    use candle_core::{Device, Result, Tensor, Var};

    /// Deterministic values without structure, in [-1, 1).
    pub(crate) fn noise(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
        (0..n)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    pub(crate) fn noise_tensor(shape: &[usize], seed: u64) -> Tensor {
        let n = shape.iter().product();
        Tensor::from_vec(noise(n, seed), shape, &Device::Cpu).unwrap()
    }

    /// Largest distance between the gradient of `sum(c * f(inputs))` that autograd gives and central
    /// differences, over every element of every input, relative to the largest gradient.
    pub(crate) fn gradient_error(
        inputs: &[Tensor],
        step: f32,
        f: impl Fn(&[Tensor]) -> Result<Tensor>,
    ) -> f64 {
        let vars: Vec<Var> = inputs
            .iter()
            .map(|t| Var::from_tensor(t).unwrap())
            .collect();
        let tensors =
            |vars: &[Var]| -> Vec<Tensor> { vars.iter().map(|v| v.as_tensor().clone()).collect() };
        let out = f(&tensors(&vars)).unwrap();
        let c = noise_tensor(out.dims(), 99);
        let loss = |inputs: &[Tensor]| -> f64 {
            let weighted = (f(inputs).unwrap() * &c).unwrap();
            let values: Vec<f32> = weighted.flatten_all().unwrap().to_vec1().unwrap();
            values.iter().map(|&v| f64::from(v)).sum()
        };
        let grads = (out * &c).unwrap().sum_all().unwrap().backward().unwrap();
        let (mut worst, mut scale) = (0.0_f64, 1e-6_f64);
        for (i, var) in vars.iter().enumerate() {
            let grad: Vec<f32> = grads
                .get(var)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let base: Vec<f32> = inputs[i].flatten_all().unwrap().to_vec1().unwrap();
            for j in 0..base.len() {
                let mut moved: Vec<Tensor> = inputs.to_vec();
                let mut at = |delta: f32| {
                    let mut values = base.clone();
                    values[j] += delta;
                    moved[i] = Tensor::from_vec(values, inputs[i].dims(), &Device::Cpu).unwrap();
                    loss(&moved)
                };
                let numeric = (at(step) - at(-step)) / f64::from(2.0 * step);
                worst = worst.max((numeric - f64::from(grad[j])).abs());
                scale = scale.max(numeric.abs());
            }
        }
        worst / scale
    }
}
