//! Candle's tensors as channels-last planes, and back.
//!
//! A tensor keeps its shape `[N, C, H, W]` for everybody else; only its strides differ: the channels of a pixel
//! lie side by side, as in PyTorch's `channels_last`. Slices of channels are views.

use std::cell::RefCell;
use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Tensor};
use rayon::prelude::*;

use super::conv::{Source, Strides};
use crate::error::Result;

/// The values of one tensor, channels-last.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    /// Begins with the first channel of the first pixel.
    pub(super) data: &'a [f32],
    pub(super) images: usize,
    pub(super) channels: usize,
    pub(super) size: [usize; 2],
    pub(super) strides: Strides,
}

impl<'a> Plane<'a> {
    pub(super) fn source(&self) -> Source<'a> {
        Source {
            data: self.data,
            strides: self.strides,
        }
    }

    pub(super) fn pixels(&self) -> usize {
        self.images * self.size[0] * self.size[1]
    }

    /// Whether pixels follow each other without gaps.
    pub(super) fn is_dense(&self) -> bool {
        self.strides == Strides::dense(self.size, self.channels)
    }

    /// The channels of a pixel, counted over all images.
    pub(super) fn pixel(&self, index: usize) -> &'a [f32] {
        let [h, w] = self.size;
        let at = index / (h * w) * self.strides.image
            + index / w % h * self.strides.row
            + index % w * self.strides.pixel;
        &self.data[at..at + self.channels]
    }
}

/// The strides of a layout as those of a channels-last plane, where it is one.
fn strides_of(layout: &Layout) -> Option<([usize; 4], Strides)> {
    let &[n, c, h, w] = layout.dims() else {
        return None;
    };
    let &[image, channel, row, pixel] = layout.stride() else {
        return None;
    };
    // An axis of one has no stride to speak of.
    let pixel = if w > 1 { pixel } else { c };
    let row = if h > 1 { row } else { w * pixel };
    let image = if n > 1 { image } else { h * row };
    let fits = (c == 1 || channel == 1)
        && pixel >= c
        && row >= (w - 1) * pixel + c
        && image >= (h - 1) * row + (w - 1) * pixel + c;
    fits.then_some(([n, c, h, w], Strides { image, row, pixel }))
}

/// The tensor itself where its channels lie side by side, a copy in that order otherwise.
pub(super) fn channels_last(x: &Tensor) -> Result<Tensor> {
    if x.elem_count() == 0 || strides_of(x.layout()).is_some() {
        return Ok(x.clone());
    }
    let (n, c, h, w) = x.dims4()?;
    let x = if x.is_contiguous() {
        run("to-channels-last", &[x], |inputs| {
            let mut out = vec![0f32; n * c * h * w];
            transpose(inputs[0].plain()?, &mut out, n, c, h * w);
            Ok((out, Shape::from((n, h, w, c))))
        })?
    } else {
        x.permute((0, 2, 3, 1))?.contiguous()?
    };
    Ok(x.permute((0, 3, 1, 2))?)
}

/// The tensor in the order of its shape, `[N, C, H, W]` without gaps.
pub(super) fn channels_first(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() || x.rank() != 4 {
        return Ok(x.contiguous()?);
    }
    let (n, c, h, w) = x.dims4()?;
    let pixels = x.permute((0, 2, 3, 1))?;
    if !pixels.is_contiguous() {
        return Ok(x.contiguous()?);
    }
    run("to-channels-first", &[&pixels], |inputs| {
        let mut out = vec![0f32; n * c * h * w];
        transpose(inputs[0].plain()?, &mut out, n, h * w, c);
        Ok((out, Shape::from((n, c, h, w))))
    })
}

/// `[n, rows, columns]` to `[n, columns, rows]`.
fn transpose(x: &[f32], out: &mut [f32], n: usize, rows: usize, columns: usize) {
    /// Rows and columns of a block that fits the first-level cache.
    const BLOCK: usize = 16;
    let plane = rows * columns;
    if plane == 0 {
        return;
    }
    let band = BLOCK * rows;
    for (x, out) in x
        .chunks_exact(plane)
        .zip(out.chunks_exact_mut(plane))
        .take(n)
    {
        out.par_chunks_mut(band).enumerate().for_each(|(i, band)| {
            let first = i * BLOCK;
            for (r0, _) in (0..rows).step_by(BLOCK).zip(0..) {
                for r in r0..(r0 + BLOCK).min(rows) {
                    let from = &x[r * columns + first..];
                    for (c, column) in band.chunks_exact_mut(rows).enumerate() {
                        column[r] = from[c];
                    }
                }
            }
        });
    }
}

/// A tensor `[N, C, H, W]` over channels-last values.
pub(super) fn from_pixels(values: Vec<f32>, dims: [usize; 4]) -> Result<Tensor> {
    let [n, c, h, w] = dims;
    Ok(Tensor::from_vec(values, (n, h, w, c), &candle_core::Device::Cpu)?.permute((0, 3, 1, 2))?)
}

/// One input of a kernel.
pub(super) struct Input<'a> {
    values: &'a [f32],
    layout: &'a Layout,
}

impl<'a> Input<'a> {
    /// The values in the order of the shape.
    pub(super) fn plain(&self) -> candle_core::Result<&'a [f32]> {
        match self.layout.contiguous_offsets() {
            Some((start, end)) => Ok(&self.values[start..end]),
            None => candle_core::bail!("a kernel was handed a tensor that is not contiguous"),
        }
    }

    /// The values as a channels-last plane.
    pub(super) fn plane(&self) -> candle_core::Result<Plane<'a>> {
        match strides_of(self.layout) {
            Some(([images, channels, h, w], strides)) => Ok(Plane {
                data: &self.values[self.layout.start_offset()..],
                images,
                channels,
                size: [h, w],
                strides,
            }),
            None => candle_core::bail!("a kernel was handed a tensor that is not channels-last"),
        }
    }
}

type Output = candle_core::Result<(Vec<f32>, Shape)>;

/// A kernel as candle's custom operation.
struct Custom<F> {
    name: &'static str,
    /// Taken by the one call that candle makes.
    kernel: Mutex<RefCell<Option<F>>>,
}

impl<F: FnOnce(&[Input<'_>]) -> Output + Send> Custom<F> {
    fn call(&self, inputs: &[(&CpuStorage, &Layout)]) -> candle_core::Result<(CpuStorage, Shape)> {
        let inputs = inputs
            .iter()
            .map(|(storage, layout)| {
                Ok(Input {
                    values: storage.as_slice::<f32>()?,
                    layout,
                })
            })
            .collect::<candle_core::Result<Vec<_>>>()?;
        let kernel = match self.kernel.lock() {
            Ok(kernel) => kernel.take(),
            Err(_) => None,
        };
        let Some(kernel) = kernel else {
            candle_core::bail!("the kernel {} was called twice", self.name)
        };
        let (values, shape) = kernel(&inputs)?;
        Ok((CpuStorage::F32(values), shape))
    }
}

impl<F: FnOnce(&[Input<'_>]) -> Output + Send> CustomOp1 for Custom<F> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.call(&[(s, l)])
    }
}

impl<F: FnOnce(&[Input<'_>]) -> Output + Send> CustomOp2 for Custom<F> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.call(&[(s1, l1), (s2, l2)])
    }
}

impl<F: FnOnce(&[Input<'_>]) -> Output + Send> CustomOp3 for Custom<F> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.call(&[(s1, l1), (s2, l2), (s3, l3)])
    }
}

/// Runs a kernel over one to three f32 tensors as candle's custom operation.
pub(super) fn run<F>(name: &'static str, inputs: &[&Tensor], kernel: F) -> Result<Tensor>
where
    F: FnOnce(&[Input<'_>]) -> Output + Send,
{
    let op = Custom {
        name,
        kernel: Mutex::new(RefCell::new(Some(kernel))),
    };
    Ok(match inputs {
        [a] => a.apply_op1_no_bwd(&op)?,
        [a, b] => a.apply_op2_no_bwd(b, &op)?,
        [a, b, c] => a.apply_op3_no_bwd(b, c, &op)?,
        _ => {
            return Err(crate::text::fault::shape(
                name,
                &format!("{} tensors", inputs.len()),
                "one to three",
            ));
        }
    })
}

/// The same for kernels over channels-last planes that give one: inputs are brought in order first.
pub(super) fn run_planes<F>(name: &'static str, inputs: &[&Tensor], kernel: F) -> Result<Tensor>
where
    F: FnOnce(&[Plane<'_>]) -> candle_core::Result<(Vec<f32>, [usize; 4])> + Send,
{
    let inputs = inputs
        .iter()
        .map(|x| channels_last(x))
        .collect::<Result<Vec<_>>>()?;
    let refs: Vec<&Tensor> = inputs.iter().collect();
    let out = run(name, &refs, |inputs| {
        let planes = inputs
            .iter()
            .map(Input::plane)
            .collect::<candle_core::Result<Vec<_>>>()?;
        let (values, [n, c, h, w]) = kernel(&planes)?;
        Ok((values, Shape::from((n, h, w, c))))
    })?;
    Ok(out.permute((0, 3, 1, 2))?)
}
