//! `.safetensors`: eight bytes of header length, a JSON header, the data.

use std::collections::BTreeMap;

use rayon::prelude::*;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::raw::{Number, Raw, check_rank, convert};
use crate::error::Result;
use crate::text::fault;

/// Most dimensions of a tensor.
pub(super) const MAX_RANK: usize = 8;

/// Longest header that is parsed, in bytes: a hundred thousand tensors take about ten million.
const MAX_HEADER: u64 = 32 << 20;

/// Tensors and the `__metadata__` of the bytes of a file; integers are left out (counters such as
/// `num_batches_tracked`: nothing in evaluation mode reads them).
///
/// # Errors
/// One sentence with the file's `name` and, where one is at fault, the tensor's.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<(Vec<Raw>, BTreeMap<String, String>)> {
    if let Some(length) = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
        && length > MAX_HEADER
    {
        return Err(fault::header_length(name, length, bytes.len()));
    }
    let (header_length, header) =
        SafeTensors::read_metadata(bytes).map_err(|e| refuse(name, bytes, &e))?;
    let metadata = header
        .metadata()
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    let data = bytes.get(header_length + 8..).unwrap_or_default();
    // In the order of names, so that the same file gives the same words.
    let infos: BTreeMap<String, _> = header.tensors().into_iter().collect();
    let mut chosen = Vec::new();
    for (key, info) in infos {
        let number = match info.dtype {
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::BF16,
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            _ => continue,
        };
        check_rank(name, &one_line(&key), info.shape.len())?;
        let (start, end) = info.data_offsets;
        let data = data
            .get(start..end)
            .ok_or_else(|| fault::bad_offsets(name, &one_line(&key)))?;
        chosen.push((key, &info.shape, number, data));
    }
    let tensors = chosen
        .par_iter()
        .map(|(key, shape, number, data)| convert(key, shape, *number, data))
        .collect();
    Ok((tensors, metadata))
}

/// Words for what the safetensors reader refused.
fn refuse(name: &str, bytes: &[u8], error: &SafeTensorError) -> crate::Error {
    let found = match error {
        SafeTensorError::HeaderTooSmall => format!("{} bytes, no header", bytes.len()),
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            let length = bytes
                .first_chunk::<8>()
                .map_or(0, |b| u64::from_le_bytes(*b));
            return fault::header_length(name, length, bytes.len());
        }
        SafeTensorError::InvalidHeader(_) | SafeTensorError::InvalidHeaderDeserialization(_) => {
            return fault::header_not_json(name, &one_line(&error.to_string()));
        }
        SafeTensorError::InvalidOffset(tensor) => {
            return fault::bad_offsets(name, &one_line(tensor));
        }
        SafeTensorError::MetadataIncompleteBuffer => return fault::truncated_model(name, bytes),
        other => one_line(&other.to_string()),
    };
    fault::bad_safetensors(name, &found)
}

/// Text of a file, for one line of an error: no control characters, not longer than can be read.
pub(super) fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(160)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(160).is_some() {
        line.push('…');
    }
    line
}
