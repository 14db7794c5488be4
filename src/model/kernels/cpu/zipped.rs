//! Any function of the numbers at each place of several runs, in the instruction set of this processor.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::arena::buffer;
use super::simd::Isa;

/// Numbers that are worth a task of their own.
const GRAIN: usize = 32 * 1024;

/// `f` of the numbers at each place of equally long runs, in parallel; as long as the shortest of them.
pub(crate) fn zipped<const K: usize>(
    runs: [&[f32]; K],
    f: impl Fn([f32; K]) -> f32 + Sync,
) -> Vec<f32> {
    let isa = Isa::current();
    let len = runs.iter().map(|run| run.len()).min().unwrap_or(0);
    let mut out = buffer(len);
    let work = |(chunk, out): (usize, &mut [f32])| {
        let (start, len) = (chunk * GRAIN, out.len());
        let parts = runs.map(|run| &run[start..start + len]);
        in_set(isa, || each(out, parts, &f));
    };
    if len <= GRAIN {
        out.chunks_mut(GRAIN).enumerate().for_each(work);
    } else {
        out.par_chunks_mut(GRAIN).enumerate().for_each(work);
    }
    out
}

/// As [`zipped`] for a function that gives two numbers, and says whether a place is one where they do not hold: then there
/// is no result.
pub(crate) fn paired<const K: usize>(
    runs: [&[f32]; K],
    f: impl Fn([f32; K]) -> ([f32; 2], bool) + Sync,
) -> Option<[Vec<f32>; 2]> {
    let isa = Isa::current();
    let len = runs.iter().map(|run| run.len()).min().unwrap_or(0);
    let mut out = [buffer(len), buffer(len)];
    let failed = AtomicBool::new(false);
    let [first, second] = &mut out;
    first
        .par_chunks_mut(GRAIN)
        .zip(second.par_chunks_mut(GRAIN))
        .enumerate()
        .for_each(|(chunk, (first, second))| {
            let (start, len) = (chunk * GRAIN, first.len());
            let parts = runs.map(|run| &run[start..start + len]);
            if in_set(isa, || each_pair([first, second], parts, &f)) {
                failed.store(true, Ordering::Relaxed);
            }
        });
    (!failed.into_inner()).then_some(out)
}

#[inline(always)]
fn each<const K: usize>(out: &mut [f32], parts: [&[f32]; K], f: &impl Fn([f32; K]) -> f32) {
    let len = out.len();
    let parts = parts.map(|part| &part[..len]);
    for (i, out) in out.iter_mut().enumerate() {
        *out = f(std::array::from_fn(|k| parts[k][i]));
    }
}

#[inline(always)]
fn each_pair<const K: usize>(
    [first, second]: [&mut [f32]; 2],
    parts: [&[f32]; K],
    f: &impl Fn([f32; K]) -> ([f32; 2], bool),
) -> bool {
    let len = first.len();
    let second = &mut second[..len];
    let parts = parts.map(|part| &part[..len]);
    let mut failed = 0u32;
    for (i, first) in first.iter_mut().enumerate() {
        let ([a, b], fails) = f(std::array::from_fn(|k| parts[k][i]));
        (*first, second[i]) = (a, b);
        failed |= u32::from(fails);
    }
    failed != 0
}

/// Runs `f`, which must be all inlined, in the best instruction set of this processor. Results are the same in each: sums are
/// neither reordered nor fused.
#[inline]
pub(crate) fn vectorised<T>(f: impl FnOnce() -> T) -> T {
    in_set(Isa::current(), f)
}

/// Runs `f` compiled for an instruction set.
#[inline]
fn in_set<T>(isa: Isa, f: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
    fn avx512<T>(f: impl FnOnce() -> T) -> T {
        f()
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2<T>(f: impl FnOnce() -> T) -> T {
        f()
    }
    match isa {
        // SAFETY: `Isa` values are only made after their features were detected.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(f) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(f) },
        _ => f(),
    }
}
