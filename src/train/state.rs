//! Named arrays: the parameters and running statistics of a network, and the file that holds them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::error::Result;
use crate::text::fault;

/// An f32 array with its shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Values, as many as the product of the shape.
    pub values: Vec<f32>,
}

/// Arrays by name, in the order of their names.
pub type State = BTreeMap<String, Array>;

/// Words stored beside the arrays (`__metadata__`).
pub type Metadata = BTreeMap<String, String>;

/// The bytes of a safetensors file. The same arrays and words always give the same bytes: the
/// safetensors package writes metadata in hash order, which would not.
pub fn to_bytes(state: &State, metadata: &Metadata) -> Result<Vec<u8>> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), serde_json::json!(metadata));
    }
    let mut offset = 0;
    for (name, array) in state {
        let end = offset + 4 * array.values.len();
        header.insert(
            name.clone(),
            serde_json::json!({"dtype": "F32", "shape": array.shape, "data_offsets": [offset, end]}),
        );
        offset = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // Eight-byte alignment of the data, as the format recommends.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + offset);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    for array in state.values() {
        for value in &array.values {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    }
    Ok(bytes)
}

/// Reads what [`to_bytes`] wrote; arrays of other types than f32 are left out. `path` is named in errors.
pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<(State, Metadata)> {
    let broken = |e: &dyn std::fmt::Display| fault::broken_training_file(path, e);
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| broken(&e))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| broken(&e))?;
    let words = header.metadata().clone().unwrap_or_default();
    let mut state = State::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            continue;
        }
        let values = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        let shape = view.shape().to_vec();
        state.insert(name.to_owned(), Array { shape, values });
    }
    Ok((state, words.into_iter().collect()))
}

/// Writes a file whole or not at all.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| fault::write(path, &e);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // A plain file beside the target, not one from tempfile: that could be read by its owner alone.
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    let partial = Path::new(&name);
    let mut file = std::fs::File::create(partial).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(partial, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (State, Metadata) {
        let mut state = State::new();
        for (name, n) in [("b.weight", 6), ("a", 2)] {
            let values = (0..n).map(|i| i as f32 - 1.5).collect();
            let shape = vec![2, n / 2];
            state.insert(name.to_owned(), Array { shape, values });
        }
        let words = (0..20)
            .map(|i| (format!("key{i}"), format!("\"{i}\" \n")))
            .collect();
        (state, words)
    }

    #[test]
    fn what_is_written_is_read_again_and_bytes_are_stable() {
        let (state, words) = sample();
        let bytes = to_bytes(&state, &words).unwrap();
        assert_eq!(bytes, to_bytes(&state, &words).unwrap());
        assert_eq!(from_bytes(&bytes, Path::new("x")).unwrap(), (state, words));
    }

    #[test]
    fn damaged_file_is_an_error_that_names_it() {
        let (state, words) = sample();
        let bytes = to_bytes(&state, &words).unwrap();
        let error =
            from_bytes(&bytes[..bytes.len() - 3], Path::new("cut.safetensors")).unwrap_err();
        assert!(error.to_string().contains("cut.safetensors"), "{error}");
    }
}
