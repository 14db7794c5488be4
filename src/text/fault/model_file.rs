//! The sentences of errors about the files of networks: weights, checkpoints, folders.

use std::path::Path;

use super::{input, unsupported};
use crate::error::{Error, Kind};

/// The Python lines that write a file which opens.
const CONVERT: &str = "In Python: from safetensors.torch import save_file; \
     save_file({k: v.contiguous() for k, v in model.state_dict().items()}, 'model.safetensors')";

fn model(message: String) -> Error {
    Error::new(Kind::Model, message)
}

/// A network's file in a format that is not read.
pub fn model_format(path: &Path, kind: &str) -> Error {
    unsupported(format!(
        "'{}' is a .{kind} file; this version reads .safetensors and PyTorch state dicts (.pth, .pt). {CONVERT}",
        path.display()
    ))
}

/// A folder without weights.
pub fn no_model_in_folder(path: &Path) -> Error {
    input(format!(
        "'{}' is a folder without a network; give the file, or a folder that holds model.safetensors, one .safetensors, \
         pytorch_model.bin, one .pth or model.onnx",
        path.display()
    ))
}

/// A folder with several files that could be meant.
pub fn several_models_in_folder(path: &Path, names: &str) -> Error {
    input(format!(
        "'{}' is a folder with several networks: {names}; give the one that is meant",
        path.display()
    ))
}

/// A folder whose weights are spread over several files.
pub fn sharded_model(path: &Path, index: &str) -> Error {
    unsupported(format!(
        "'{}' holds weights in several files ({index}); expected one file. {CONVERT}",
        path.display()
    ))
}

/// A tensor of more dimensions than any layer has.
pub fn tensor_rank(name: &str, tensor: &str, rank: usize, max: usize) -> Error {
    model(format!(
        "'{name}': tensor '{tensor}' has {rank} dimensions; expected at most {max}"
    ))
}

/// A PyTorch checkpoint that is damaged or of an unknown make.
pub fn bad_checkpoint(name: &str, why: &str) -> Error {
    model(format!(
        "'{name}' is not a sound PyTorch checkpoint (.pth): {why}; copy it again or convert it to safetensors. {CONVERT}"
    ))
}

/// A tensor of a checkpoint that does not hold together.
pub fn bad_checkpoint_tensor(name: &str, tensor: &str, why: &str) -> Error {
    model(format!(
        "'{name}' is not a sound PyTorch checkpoint (.pth): tensor '{tensor}': {why}"
    ))
}

/// What `torch.save` wrote before PyTorch 1.6.
pub fn legacy_checkpoint(name: &str) -> Error {
    unsupported(format!(
        "'{name}' is a bare pickle, as PyTorch before 1.6 wrote checkpoints; expected a zip archive or safetensors. \
         In Python: import torch; torch.save(torch.load('{name}', map_location='cpu', weights_only=True), 'model.pth')"
    ))
}

/// A whole object in place of its weights.
pub fn pickled_module(name: &str, class: &str) -> Error {
    unsupported(format!(
        "'{name}' is a whole pickled object ({class}), which only runs with its own Python code; expected a state dict. \
         In Python: import torch; from safetensors.torch import save_file; \
         model = torch.load('{name}', map_location='cpu', weights_only=False); \
         save_file({{k: v.contiguous() for k, v in model.state_dict().items()}}, 'model.safetensors')"
    ))
}

/// TorchXRayVision's own files.
pub fn pickled_torchxrayvision(name: &str, class: &str) -> Error {
    unsupported(format!(
        "'{name}' is a whole pickled TorchXRayVision network ({class}); expected a state dict. \
         In Python: import torchxrayvision as xrv; from safetensors.torch import save_file; \
         model = xrv.models.DenseNet(weights='densenet121-res224-all'); \
         save_file({{k: v.contiguous() for k, v in model.state_dict().items()}}, 'model.safetensors')"
    ))
}

/// A TorchScript archive.
pub fn torchscript(name: &str) -> Error {
    unsupported(format!(
        "'{name}' is a TorchScript archive; expected a state dict. In Python: import torch; from safetensors.torch import save_file; \
         model = torch.jit.load('{name}', map_location='cpu'); \
         save_file({{k: v.contiguous() for k, v in model.state_dict().items()}}, 'model.safetensors')"
    ))
}

/// A checkpoint without tensors under names.
pub fn no_state_dict(name: &str, keys: &str) -> Error {
    let found = if keys.is_empty() {
        "no named entries".to_owned()
    } else {
        format!("entries {keys}")
    };
    model(format!(
        "'{name}' holds no tensors: found {found}; expected a state dict, at the top or under 'state_dict' or 'model'. {CONVERT}"
    ))
}
