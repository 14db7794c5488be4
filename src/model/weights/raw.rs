//! Stored numbers of any floating-point type to f32, in one pass and side by side.

use std::sync::atomic::{AtomicUsize, Ordering};

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};
use rayon::prelude::*;

use super::safetensors_file::MAX_RANK;
use crate::error::Result;
use crate::text::fault;

/// Types of numbers that weights come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    F16,
    BF16,
    F32,
    F64,
}

impl Number {
    /// Bytes of one number.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// One tensor as f32.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Raw {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
    /// Values that are NaN or infinite.
    pub(super) not_finite: usize,
}

/// Numbers that one thread converts at a time.
const PART: usize = 1 << 16;

/// Copies a tensor's little-endian bytes out of a file as f32; the only copy that is made of them. Bytes
/// that are left over are ignored: the caller has checked that the shape fits.
pub(super) fn convert(name: &str, shape: &[usize], number: Number, bytes: &[u8]) -> Raw {
    let mut values = vec![0.0f32; bytes.len() / number.bytes()];
    let not_finite = AtomicUsize::new(0);
    values
        .par_chunks_mut(PART)
        .zip(bytes.par_chunks(PART * number.bytes()))
        .for_each(|(out, bytes)| {
            convert_part(number, bytes, out);
            let bad = out.iter().filter(|v| !v.is_finite()).count();
            if bad > 0 {
                not_finite.fetch_add(bad, Ordering::Relaxed);
            }
        });
    Raw {
        name: name.to_owned(),
        shape: shape.to_vec(),
        values,
        not_finite: not_finite.into_inner(),
    }
}

/// Half-precision numbers are gathered in blocks, since a file's bytes need not be aligned, and converted
/// a block at a time with the processor's own instructions.
fn convert_part(number: Number, bytes: &[u8], out: &mut [f32]) {
    const BLOCK: usize = 1024;
    match number {
        Number::F32 => {
            let (words, _) = bytes.as_chunks::<4>();
            for (to, from) in out.iter_mut().zip(words) {
                *to = f32::from_le_bytes(*from);
            }
        }
        Number::F64 => {
            let (words, _) = bytes.as_chunks::<8>();
            for (to, from) in out.iter_mut().zip(words) {
                *to = f64::from_le_bytes(*from) as f32;
            }
        }
        Number::F16 => {
            let mut block = [f16::ZERO; BLOCK];
            for (out, bytes) in out.chunks_mut(BLOCK).zip(bytes.chunks(2 * BLOCK)) {
                let (words, _) = bytes.as_chunks::<2>();
                for (to, from) in block.iter_mut().zip(words) {
                    *to = f16::from_le_bytes(*from);
                }
                if let Some(block) = block.get(..out.len()) {
                    block.convert_to_f32_slice(out);
                }
            }
        }
        Number::BF16 => {
            let mut block = [bf16::ZERO; BLOCK];
            for (out, bytes) in out.chunks_mut(BLOCK).zip(bytes.chunks(2 * BLOCK)) {
                let (words, _) = bytes.as_chunks::<2>();
                for (to, from) in block.iter_mut().zip(words) {
                    *to = bf16::from_le_bytes(*from);
                }
                if let Some(block) = block.get(..out.len()) {
                    block.convert_to_f32_slice(out);
                }
            }
        }
    }
}

/// Number of elements of a shape; `None` where it overflows.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
}

/// Refuses tensors of more dimensions than any layer has.
pub(super) fn check_rank(file: &str, name: &str, rank: usize) -> Result<()> {
    if rank > MAX_RANK {
        return Err(fault::tensor_rank(file, name, rank, MAX_RANK));
    }
    Ok(())
}
