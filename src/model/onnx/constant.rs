//! Constants of an ONNX file: their decoding and the arithmetic of shapes.
//!
//! Exporters write shapes as little programs (Shape, Gather, Concat, Slice, ...). They are run here, on
//! constants only. Every result is paid for from a [`Budget`], so a small file cannot ask for a large
//! array.

use std::rc::Rc;

use candle_core::{Device, Tensor};

use super::proto::TensorProto;
use crate::error::Result;
use crate::text::fault;

/// Numbers of a constant.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// Any floating-point type.
    F(Rc<[f32]>),
    /// Any integer type and truth values.
    I(Rc<[i64]>),
}

/// A constant array.
#[derive(Clone, Debug)]
pub(super) struct Const {
    /// Sizes of its axes; none for a number.
    pub(super) dims: Vec<usize>,
    /// As many numbers as the sizes say.
    pub(super) data: Data,
}

/// How many numbers folding may still make.
pub(super) struct Budget(pub(super) usize);

impl Budget {
    /// Takes `count` out, or says no.
    pub(super) fn pay(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.checked_sub(count)?;
        Some(())
    }
}

/// Product of sizes; `None` when it does not fit a number.
pub(super) fn product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

impl Const {
    /// A list of integers.
    pub(super) fn ints(values: Vec<i64>) -> Self {
        Self {
            dims: vec![values.len()],
            data: Data::I(values.into()),
        }
    }

    /// A list of floating-point numbers.
    pub(super) fn numbers(values: Vec<f32>) -> Self {
        Self {
            dims: vec![values.len()],
            data: Data::F(values.into()),
        }
    }

    /// The number that all values are.
    pub(super) fn uniform(&self) -> Option<f32> {
        let values = self.floats();
        let first = *values.first()?;
        values.iter().all(|&v| v == first).then_some(first)
    }

    /// Decodes a tensor of the file.
    ///
    /// # Errors
    /// External data, a type that is not read, data that do not fill the shape.
    pub(super) fn decode(file: &str, tensor: &TensorProto) -> Result<Self> {
        let name = &tensor.name;
        if tensor.data_location == 1 || !tensor.external_data.is_empty() {
            return Err(fault::onnx_external(file, name));
        }
        let dims: Option<Vec<usize>> = tensor
            .dims
            .iter()
            .map(|&d| usize::try_from(d).ok())
            .collect();
        let (Some(dims), raw) = (dims, &tensor.raw_data) else {
            return Err(fault::onnx_tensor(file, name, "a negative size"));
        };
        let Some(count) = product(&dims) else {
            return Err(fault::onnx_tensor(file, name, "a shape beyond all memory"));
        };
        let width = match tensor.data_type {
            1 | 6 | 12 => 4,
            2 | 3 | 9 => 1,
            4 | 5 | 10 | 16 => 2,
            7 | 11 | 13 => 8,
            kind => return Err(fault::onnx_type(file, name, kind)),
        };
        let typed = match tensor.data_type {
            1 => tensor.float_data.len(),
            7 => tensor.int64_data.len(),
            11 => tensor.double_data.len(),
            _ => tensor.int32_data.len(),
        };
        // Lengths first: nothing is allocated for a shape whose data are not there.
        let found = if raw.is_empty() {
            typed
        } else {
            raw.len() / width
        };
        if found != count || (!raw.is_empty() && raw.len() != count * width) {
            return Err(fault::onnx_tensor_data(file, name, &dims, found));
        }
        let data = match tensor.data_type {
            1 => floats(raw, &tensor.float_data, f32::from_le_bytes, |v| v),
            11 => floats(raw, &tensor.double_data, f64::from_le_bytes, |v| v as f32),
            10 => floats(raw, &tensor.int32_data, u16::from_le_bytes, |v| {
                half::f16::from_bits(v).to_f32()
            }),
            16 => floats(raw, &tensor.int32_data, u16::from_le_bytes, |v| {
                half::bf16::from_bits(v).to_f32()
            }),
            7 => ints(raw, &tensor.int64_data, i64::from_le_bytes),
            6 => ints(raw, &tensor.int32_data, i32::from_le_bytes),
            12 => ints(raw, &tensor.int32_data, u32::from_le_bytes),
            13 => ints(raw, &tensor.int64_data, i64::from_le_bytes),
            5 => ints(raw, &tensor.int32_data, i16::from_le_bytes),
            4 => ints(raw, &tensor.int32_data, u16::from_le_bytes),
            3 => ints(raw, &tensor.int32_data, i8::from_le_bytes),
            _ => ints(raw, &tensor.int32_data, u8::from_le_bytes),
        };
        Ok(Self { dims, data })
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::F(v) => v.len(),
            Data::I(v) => v.len(),
        }
    }

    /// The values as floating-point numbers.
    pub(super) fn floats(&self) -> Rc<[f32]> {
        match &self.data {
            Data::F(v) => Rc::clone(v),
            Data::I(v) => v.iter().map(|&v| v as f32).collect(),
        }
    }

    /// The values as integers.
    pub(super) fn integers(&self) -> Vec<i64> {
        match &self.data {
            Data::F(v) => v.iter().map(|&v| v as i64).collect(),
            Data::I(v) => v.to_vec(),
        }
    }

    /// The number, where there is only one.
    pub(super) fn scalar(&self) -> Option<f32> {
        match &self.data {
            Data::F(v) => match v[..] {
                [one] => Some(one),
                _ => None,
            },
            Data::I(v) => match v[..] {
                [one] => Some(one as f32),
                _ => None,
            },
        }
    }

    /// As weights on a device.
    ///
    /// # Errors
    /// Values that are not finite; an array without values.
    pub(super) fn tensor(&self, file: &str, name: &str, device: &Device) -> Result<Tensor> {
        let values = self.floats();
        let bad = values.iter().filter(|v| !v.is_finite()).count();
        if bad > 0 {
            return Err(fault::not_finite(file, name, bad, values.len()));
        }
        if values.is_empty() {
            return Err(fault::onnx_tensor(file, name, "a shape without values"));
        }
        Ok(Tensor::from_slice(&values, self.dims.as_slice(), device)?)
    }

    /// The same values in another shape.
    pub(super) fn reshaped(&self, dims: Vec<usize>) -> Option<Self> {
        (product(&dims)? == self.len()).then(|| Self {
            dims,
            data: self.data.clone(),
        })
    }

    /// The values at `at`, in the shape `dims`. Every index lies inside, or there is no result.
    pub(super) fn pick(&self, dims: Vec<usize>, at: &[usize]) -> Option<Self> {
        let data = match &self.data {
            Data::F(v) => Data::F(
                at.iter()
                    .map(|&i| v.get(i).copied())
                    .collect::<Option<_>>()?,
            ),
            Data::I(v) => Data::I(
                at.iter()
                    .map(|&i| v.get(i).copied())
                    .collect::<Option<_>>()?,
            ),
        };
        Some(Self { dims, data })
    }
}

fn chunks<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> {
    raw.as_chunks::<N>().0.iter().copied()
}

/// Floating-point values from raw bytes, or from a typed field where there are none.
fn floats<T: Copy, S: Copy + Narrow<T>, const N: usize>(
    raw: &[u8],
    typed: &[S],
    read: fn([u8; N]) -> T,
    widen: fn(T) -> f32,
) -> Data {
    Data::F(if raw.is_empty() {
        typed.iter().map(|&v| widen(v.narrow())).collect()
    } else {
        chunks(raw).map(|b| widen(read(b))).collect()
    })
}

/// A typed field's values as the type that they stand for: half precision is kept in 32-bit integers.
trait Narrow<T> {
    fn narrow(self) -> T;
}

impl Narrow<f32> for f32 {
    fn narrow(self) -> f32 {
        self
    }
}

impl Narrow<f64> for f64 {
    fn narrow(self) -> f64 {
        self
    }
}

impl Narrow<u16> for i32 {
    fn narrow(self) -> u16 {
        (self & 0xFFFF) as u16
    }
}

fn ints<T: Into<i64>, S: Copy + Into<i64>, const N: usize>(
    raw: &[u8],
    typed: &[S],
    read: fn([u8; N]) -> T,
) -> Data {
    Data::I(if raw.is_empty() {
        typed.iter().map(|&v| v.into()).collect()
    } else {
        chunks(raw).map(|b| read(b).into()).collect()
    })
}

/// An index that may count from the end, as an index into `len` entries.
pub(super) fn wrapped(index: i64, len: usize) -> Option<usize> {
    let len_i = i64::try_from(len).ok()?;
    let index = if index < 0 {
        index.checked_add(len_i)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|&i| i < len)
}

/// Indices that `start`, `end` and `step` of a Slice pick out of `len`, as ONNX clamps them.
pub(super) fn sliced(start: i64, end: i64, step: i64, len: usize) -> Option<Vec<usize>> {
    let n = i64::try_from(len).ok()?;
    if n == 0 {
        return Some(Vec::new());
    }
    let from_end = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
    let (mut at, end) = if step > 0 {
        (from_end(start).clamp(0, n), from_end(end).clamp(0, n))
    } else if step < 0 {
        (
            from_end(start).clamp(0, n - 1),
            from_end(end).clamp(-1, n - 1),
        )
    } else {
        return None;
    };
    let mut picked = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        picked.push(usize::try_from(at).ok().filter(|&i| i < len)?);
        at = at.checked_add(step)?;
    }
    Some(picked)
}
