//! Elementwise work of the relevance walk: several tensors are read once and one is written, in parallel.
//!
//! Tensors keep the kernels' layout: planes are read pixel by pixel, channels last, so nothing is copied where they
//! come from a kernel. On devices other than the CPU the values are fetched, computed here and sent back.

use candle_core::{Device, Storage, Tensor};
use rayon::prelude::*;

use crate::error::Result;
use crate::model::kernels::cpu::{paired, zipped};
use crate::text::fault;

/// Numbers that are worth a task of their own.
const GRAIN: usize = 32 * 1024;

/// The tensor as one run of numbers on the CPU, pixels outermost and channels innermost where it is a map.
fn run_of(x: &Tensor) -> Result<Tensor> {
    let x = x.to_device(&Device::Cpu)?;
    Ok(match x.rank() {
        4 => x.permute((0, 2, 3, 1))?.contiguous()?,
        _ => x.contiguous()?,
    })
}

/// The reverse of [`run_of`].
fn shaped(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    let x = match like.dims() {
        &[n, c, h, w] => {
            Tensor::from_vec(values, (n, h, w, c), &Device::Cpu)?.permute((0, 3, 1, 2))?
        }
        dims => Tensor::from_vec(values, dims, &Device::Cpu)?,
    };
    Ok(x.to_device(like.device())?)
}

/// Calls `f` with the numbers of a tensor that [`run_of`] made.
fn with_values<T>(x: &Tensor, f: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = x.storage_and_layout();
    let values = match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(cpu), Some((start, end))) => cpu.as_slice::<f32>()?.get(start..end),
        _ => None,
    };
    values
        .map(f)
        .ok_or_else(|| fault::shape("relevance", "scattered numbers", "one run of them"))
}

/// `f` of the numbers at each place of equally shaped tensors.
///
/// # Errors
/// Fails when the shapes differ or the device does.
pub(super) fn zip<const K: usize>(
    inputs: [&Tensor; K],
    f: impl Fn([f32; K]) -> f32 + Sync,
) -> Result<Tensor> {
    let (runs, first) = runs_of(inputs)?;
    let values = visit(&runs, [&[]; K], 0, &|slices| zipped(slices, &f))?;
    shaped(values, first)
}

/// As [`zip`] for a function that gives two numbers and says where they do not hold; `None` where that is anywhere.
///
/// # Errors
/// As [`zip`].
pub(super) fn pair<const K: usize>(
    inputs: [&Tensor; K],
    f: impl Fn([f32; K]) -> ([f32; 2], bool) + Sync,
) -> Result<Option<[Tensor; 2]>> {
    let (runs, first) = runs_of(inputs)?;
    let pair = visit(&runs, [&[]; K], 0, &|slices| paired(slices, &f))?;
    pair.map(|[a, b]| Ok([shaped(a, first)?, shaped(b, first)?]))
        .transpose()
}

/// Whether `f` holds at no place of two equally shaped tensors.
///
/// # Errors
/// As [`zip`].
pub(super) fn none(a: &Tensor, b: &Tensor, f: impl Fn(f32, f32) -> bool + Sync) -> Result<bool> {
    let (runs, _) = runs_of([a, b])?;
    visit(&runs, [&[]; 2], 0, &|[a, b]: [&[f32]; 2]| {
        let chunks = a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN));
        let found = |a: &[f32], b: &[f32]| -> u32 {
            let places = a.iter().zip(b);
            places.fold(0, |any, (a, b)| any | u32::from(f(*a, *b)))
        };
        chunks.all(|(a, b)| found(a, b) == 0)
    })
}

/// Tensors as runs, and the first of them; they have one shape.
fn runs_of<const K: usize>(inputs: [&Tensor; K]) -> Result<(Vec<Tensor>, &Tensor)> {
    let Some(first) = inputs.into_iter().next() else {
        return Err(fault::shape("relevance", "no tensors", "some"));
    };
    if let Some(other) = inputs.iter().find(|x| x.dims() != first.dims()) {
        let (found, expected) = (format!("{:?}", other.dims()), format!("{:?}", first.dims()));
        return Err(fault::shape("relevance", &found, &expected));
    }
    let runs = inputs.iter().map(|x| run_of(x)).collect::<Result<_>>()?;
    Ok((runs, first))
}

/// `f` of the numbers of all runs, from number `at` on.
fn visit<const K: usize, T>(
    runs: &[Tensor],
    slices: [&[f32]; K],
    at: usize,
    f: &impl Fn([&[f32]; K]) -> T,
) -> Result<T> {
    let Some(run) = runs.get(at) else {
        return Ok(f(slices));
    };
    with_values(run, |values| {
        let mut slices = slices;
        if let Some(slot) = slices.get_mut(at) {
            *slot = values;
        }
        visit(runs, slices, at + 1, f)
    })?
}

/// `f(value, a, b)` with two numbers per channel of a map `[N, C, H, W]`.
///
/// # Errors
/// Fails when the numbers are not as many as channels or the device fails.
pub(super) fn per_channel(
    x: &Tensor,
    a: &[f32],
    b: &[f32],
    f: impl Fn(f32, f32, f32) -> f32 + Sync,
) -> Result<Tensor> {
    let (_, channels, _, _) = x.dims4()?;
    if a.len() != channels || b.len() != channels || channels == 0 {
        return Err(fault::shape(
            "relevance",
            &a.len().to_string(),
            &channels.to_string(),
        ));
    }
    let run = run_of(x)?;
    let mut out = vec![0f32; x.elem_count()];
    let grain = (GRAIN / channels).max(1) * channels;
    with_values(&run, |values| {
        out.par_chunks_mut(grain)
            .zip(values.par_chunks(grain))
            .for_each(|(out, x)| {
                for (out, x) in out.chunks_mut(channels).zip(x.chunks(channels)) {
                    for (((out, x), a), b) in out.iter_mut().zip(x).zip(a).zip(b) {
                        *out = f(*x, *a, *b);
                    }
                }
            });
    })?;
    shaped(out, x)
}

/// A map of one number per channel, in the shape of `like`.
pub(super) fn constant(like: &Tensor, values: &[f32]) -> Result<Tensor> {
    per_channel(like, values, values, |_, v, _| v)
}

/// The sum of all numbers, in double precision.
pub(super) fn total(x: &Tensor) -> Result<f64> {
    let run = run_of(x)?;
    with_values(&run, |values| {
        // Chunks in order: the sum must not depend on the number of threads.
        let sums: Vec<f64> = values
            .par_chunks(GRAIN)
            .map(|chunk| chunk.iter().map(|v| f64::from(*v)).sum())
            .collect();
        sums.iter().sum()
    })
}

/// `r / (z + e sgn z)` with `sgn 0 = 1`: relevance over a stabilised denominator.
pub(super) fn quotient(r: &Tensor, z: &Tensor, stabiliser: f32) -> Result<Tensor> {
    zip([r, z], |[r, z]| r / stabilised(z, stabiliser))
}

/// `r / z`, and 0 where z is 0: relevance for which nobody gave anything is dropped.
pub(super) fn exact_quotient(r: &Tensor, z: &Tensor) -> Result<Tensor> {
    zip([r, z], |[r, z]| if z == 0.0 { 0.0 } else { r / z })
}

/// `z + e sgn z` with `sgn 0 = 1`.
#[inline(always)]
pub(super) fn stabilised(z: f32, e: f32) -> f32 {
    if z < 0.0 { z - e } else { z + e }
}

/// The product of two tensors.
pub(super) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    zip([a, b], |[a, b]| a * b)
}

/// The sum of two tensors.
pub(super) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    zip([a, b], |[a, b]| a + b)
}
