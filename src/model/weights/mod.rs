//! The tensors of a network's file, checked before anything is built from them.
//!
//! Everything in a file is treated as hostile: lengths beyond the file, overlapping or misplaced
//! offsets, wrong types and numbers that are not finite end in one sentence each. Files are mapped
//! into memory; each number is copied once, into the f32 tensor that is kept.

mod map;
mod names;
mod pickle;
mod pth;
mod raw;
mod safetensors_file;
mod zip;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::text::{fault, notice};
pub(crate) use names::outline;
use raw::Raw;

/// A buffer of TorchXRayVision's networks that is no weight and may hold NaN: see
/// [`Weights::op_threshs`].
const OP_THRESHS: &str = "op_threshs";

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
    /// TorchXRayVision's operating points, one probability a class, NaN for classes that were never
    /// trained; where the file has a tensor of that name.
    pub op_threshs: Option<Vec<f32>>,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Reads a `.safetensors` file or a PyTorch checkpoint (`.pth`, `.pt`, `.ckpt`, `.bin`), by what is
    /// in it, whatever its name.
    ///
    /// # Errors
    /// One sentence that names the file, what was found and what was expected.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let suffix = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if let Some(kind @ ("onnx" | "h5" | "keras" | "tflite" | "pb")) = suffix.as_deref() {
            return Err(fault::model_format(path, kind));
        }
        let name = path.file_name().map_or_else(
            || path.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        );
        let mut weights = map::with_bytes(path, |bytes| Self::parse(&name, bytes, device))?;
        weights.path = Some(path.to_owned());
        Ok(weights)
    }

    /// Reads the bytes of a safetensors file or a PyTorch checkpoint; `name` stands for it in messages.
    /// The tensors take at most twice the memory of the bytes (numbers of 16 bits become 32), reading
    /// them a fixed number of MiB and a multiple of the header beside that.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub fn parse(name: &str, bytes: &[u8], device: &Device) -> Result<Self> {
        let read = || -> Result<_> {
            if pth::is_zip(bytes) {
                let (raws, nested) = pth::read(name, bytes)?;
                let notices = nested.iter().map(|keys| notice::nested(keys)).collect();
                return Self::check(name, raws, BTreeMap::new(), notices, device);
            }
            if pth::is_pickle(bytes) {
                return Err(fault::legacy_checkpoint(name));
            }
            let (raws, metadata) = safetensors_file::read(name, bytes)?;
            Self::check(name, raws, metadata, Vec::new(), device)
        };
        let (sha256, weights) = rayon::join(|| crate::image::sha256_hex(bytes), read);
        let mut weights = weights?;
        weights.sha256 = sha256;
        Ok(weights)
    }

    /// Makes tensors of what was read, under present names.
    fn check(
        name: &str,
        raws: Vec<Raw>,
        metadata: BTreeMap<String, String>,
        mut notices: Vec<String>,
        device: &Device,
    ) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        let mut op_threshs = None;
        for raw in raws {
            let leaf = raw.name.rsplit('.').next().unwrap_or(&raw.name);
            if leaf == OP_THRESHS {
                op_threshs = Some(raw.values);
                continue;
            }
            if raw.not_finite > 0 {
                let key = safetensors_file::one_line(&raw.name);
                return Err(fault::not_finite(
                    name,
                    &key,
                    raw.not_finite,
                    raw.values.len(),
                ));
            }
            let tensor = Tensor::from_vec(raw.values, raw.shape, &Device::Cpu)?;
            tensors.insert(raw.name, tensor.to_device(device)?);
        }
        if tensors.is_empty() {
            return Err(fault::no_tensors(name));
        }
        let (tensors, stripped) = names::strip_prefixes(name, tensors)?;
        if !stripped.is_empty() {
            notices.push(notice::prefix_stripped(&stripped));
        }
        let (tensors, respelled) = names::modern_densenet_names(tensors);
        if respelled {
            notices.push(notice::old_densenet_names());
        }
        Ok(Self {
            name: name.to_owned(),
            path: None,
            sha256: String::new(),
            metadata,
            notices,
            op_threshs,
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
            op_threshs: None,
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
