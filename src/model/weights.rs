//! The tensors of a network's file, checked before anything is built from them.
//!
//! A safetensors file is eight bytes of header length, a JSON header and the data. Everything in it
//! is treated as hostile: lengths beyond the file, overlapping or misplaced offsets, wrong types and
//! numbers that are not finite end in one sentence each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::safetensors::Load as _;
use candle_core::{DType, Device, Tensor};
use safetensors::{SafeTensorError, SafeTensors};

use crate::error::Result;
use crate::text::{fault, notice};

/// Prefixes that training frameworks put before every name.
const PREFIXES: [&str; 6] = [
    "module.",
    "model.",
    "backbone.",
    "net.",
    "network.",
    "_orig_mod.",
];

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 8 << 30;

/// Tensors by PyTorch's names, as f32.
#[derive(Clone, Debug)]
pub struct Weights {
    /// File name, or a name for embedded weights.
    pub name: String,
    /// Where the file is.
    pub path: Option<PathBuf>,
    /// SHA-256 of the file's bytes, hexadecimal.
    pub sha256: String,
    /// The `__metadata__` map of the header.
    pub metadata: BTreeMap<String, String>,
    /// What was changed or left out on the way, in words.
    pub notices: Vec<String>,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Reads a `.safetensors` file.
    ///
    /// # Errors
    /// One sentence that names the file, what was found and what was expected.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let meta = std::fs::metadata(path).map_err(|e| fault::read(path, &e))?;
        if meta.is_dir() {
            return Err(fault::is_folder(path, "a .safetensors file"));
        }
        let suffix = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if let Some(kind @ ("pth" | "pt" | "ckpt" | "bin" | "onnx" | "h5" | "keras")) =
            suffix.as_deref()
        {
            return Err(fault::model_format(path, kind));
        }
        if meta.len() > MAX_BYTES {
            return Err(fault::model_too_large(path, meta.len(), MAX_BYTES));
        }
        let bytes = std::fs::read(path).map_err(|e| fault::read(path, &e))?;
        let name = path.file_name().map_or_else(
            || path.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        );
        let mut weights = Self::parse(&name, &bytes, device)?;
        weights.path = Some(path.to_owned());
        Ok(weights)
    }

    /// Reads the bytes of a safetensors file; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn parse(name: &str, bytes: &[u8], device: &Device) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| refuse(name, bytes, &e))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| refuse(name, bytes, &e))?;
        let metadata = header
            .metadata()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        let mut notices = Vec::new();
        let mut tensors = BTreeMap::new();
        for (key, view) in file.tensors() {
            if !matches!(
                view.dtype(),
                safetensors::Dtype::F32
                    | safetensors::Dtype::F16
                    | safetensors::Dtype::BF16
                    | safetensors::Dtype::F64
            ) {
                // Counters such as num_batches_tracked; nothing in evaluation mode reads integers.
                continue;
            }
            let tensor = view.load(&Device::Cpu)?.to_dtype(DType::F32)?;
            let bad = count_not_finite(&tensor)?;
            if bad > 0 {
                return Err(fault::not_finite(name, &key, bad, tensor.elem_count()));
            }
            tensors.insert(key, tensor.to_device(device)?);
        }
        if tensors.is_empty() {
            return Err(fault::no_tensors(name));
        }
        let (tensors, stripped) = strip_prefixes(name, tensors)?;
        if !stripped.is_empty() {
            notices.push(notice::prefix_stripped(&stripped));
        }
        let (tensors, respelled) = modern_densenet_names(tensors);
        if respelled {
            notices.push(notice::old_densenet_names());
        }
        Ok(Self {
            name: name.to_owned(),
            path: None,
            sha256: crate::image::sha256_hex(bytes),
            metadata,
            notices,
            tensors,
        })
    }

    /// Tensors that are already in memory, for training and tests; names are taken as they are.
    pub fn from_tensors(name: &str, tensors: BTreeMap<String, Tensor>) -> Self {
        Self {
            name: name.to_owned(),
            path: None,
            sha256: String::new(),
            metadata: BTreeMap::new(),
            notices: Vec::new(),
            tensors,
        }
    }

    /// Whether a tensor of this name is there.
    pub fn has(&self, key: &str) -> bool {
        self.tensors.contains_key(key)
    }

    /// Shape of a tensor.
    pub fn dims(&self, key: &str) -> Option<&[usize]> {
        self.tensors.get(key).map(Tensor::dims)
    }

    /// A tensor by name.
    ///
    /// # Errors
    /// Names the file and the missing tensor.
    pub fn get(&self, key: &str) -> Result<Tensor> {
        self.tensors
            .get(key)
            .cloned()
            .ok_or_else(|| fault::missing_tensor(&self.name, key))
    }

    /// All names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}

fn count_not_finite(tensor: &Tensor) -> Result<usize> {
    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
    Ok(values.iter().filter(|v| !v.is_finite()).count())
}

/// Removes known prefixes from the names that have them, as long as most names do.
fn strip_prefixes(
    file: &str,
    mut tensors: BTreeMap<String, Tensor>,
) -> Result<(BTreeMap<String, Tensor>, String)> {
    let mut stripped = String::new();
    while let Some(prefix) = PREFIXES.iter().find(|prefix| {
        2 * tensors.keys().filter(|k| k.starts_with(**prefix)).count() > tensors.len()
    }) {
        let mut renamed = BTreeMap::new();
        for (key, tensor) in tensors {
            let key = key.strip_prefix(prefix).map_or(key.clone(), str::to_owned);
            if renamed.insert(key.clone(), tensor).is_some() {
                return Err(fault::name_twice(file, &key, prefix));
            }
        }
        tensors = renamed;
        stripped.push_str(prefix);
    }
    Ok((tensors, stripped))
}

/// Old torchvision files write `denselayer1.norm.1.weight` for `denselayer1.norm1.weight`.
fn modern_densenet_names(tensors: BTreeMap<String, Tensor>) -> (BTreeMap<String, Tensor>, bool) {
    let mut changed = false;
    let tensors = tensors
        .into_iter()
        .map(|(key, tensor)| {
            let mut new = key.clone();
            if key.contains("denselayer") {
                for part in ["norm", "relu", "conv"] {
                    for number in ["1", "2"] {
                        new = new
                            .replace(&format!(".{part}.{number}."), &format!(".{part}{number}."));
                    }
                }
            }
            changed |= new != key;
            (new, tensor)
        })
        .collect();
    (tensors, changed)
}

/// Words for what the safetensors reader refused.
fn refuse(name: &str, bytes: &[u8], error: &SafeTensorError) -> crate::Error {
    let found = match error {
        SafeTensorError::HeaderTooSmall => format!("{} bytes, no header", bytes.len()),
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            let mut length = [0u8; 8];
            for (to, from) in length.iter_mut().zip(bytes) {
                *to = *from;
            }
            return fault::header_length(name, u64::from_le_bytes(length), bytes.len());
        }
        SafeTensorError::InvalidHeader(_) | SafeTensorError::InvalidHeaderDeserialization(_) => {
            return fault::header_not_json(name, &error.to_string());
        }
        SafeTensorError::InvalidOffset(tensor) => return fault::bad_offsets(name, tensor),
        SafeTensorError::MetadataIncompleteBuffer => return fault::truncated_model(name, bytes),
        other => other.to_string(),
    };
    fault::bad_safetensors(name, &found)
}

/// Names grouped by their first part, for the message about an unknown architecture.
pub(crate) fn outline(weights: &Weights) -> String {
    let groups: BTreeSet<&str> = weights
        .keys()
        .map(|key| key.split('.').next().unwrap_or(key))
        .collect();
    let shown: Vec<&str> = groups.iter().take(8).copied().collect();
    let more = groups.len().saturating_sub(shown.len());
    let mut words = format!(
        "{} tensors under {}",
        weights.keys().count(),
        shown.join(", ")
    );
    if more > 0 {
        words.push_str(&format!(" and {more} more"));
    }
    words
}
